"""Oblivious trees: the comparisons of a tree select its leaf, and the leaves add up."""

import numpy as np

from fairmeter.models.runtime.oblivious_trees import BLOCK, average_models

NAN = np.nan


def model(*trees, scale=1.0, bias=0.0):
    """CatBoost's JSON of some trees: (splits, leaf values), a split (column, border); the first is the lowest bit."""
    return {
        "oblivious_trees": [
            {
                "splits": splits and [{"float_feature_index": c, "border": b} for c, b in splits],
                "leaf_values": leaves,
            }
            for splits, leaves in trees
        ],
        "scale_and_bias": [scale, [bias]],
    }


def values(trees, *rows):
    return trees.values(np.array(rows, dtype=np.float32)).tolist()


TWO_LEVELS = ([(0, 1.0), (1, 5.0)], [10.0, 20.0, 30.0, 40.0])


def test_the_comparisons_select_the_leaf():
    trees = average_models([model(TWO_LEVELS)])
    assert values(trees, [0, 0], [2, 0], [0, 6], [2, 6]) == [10, 20, 30, 40]


def test_a_value_on_the_border_and_a_missing_one_are_not_above_it():
    trees = average_models([model(TWO_LEVELS)])
    assert values(trees, [1, 5], [NAN, NAN], [NAN, 6]) == [10, 10, 30]


def test_trees_of_fewer_levels_add_to_the_others():
    trees = average_models([model(TWO_LEVELS, ([(1, 0.0)], [1.0, 2.0]), (None, [0.5]))])
    assert values(trees, [0, 0], [2, 6]) == [10 + 1 + 0.5, 40 + 2 + 0.5]


def test_several_models_give_their_mean_each_with_its_scale_and_bias():
    trees = average_models([model(TWO_LEVELS, scale=2.0, bias=1.0), model(([(0, 1.0)], [0.0, 4.0]), bias=3.0)])
    assert values(trees, [0, 0], [2, 0]) == [(2 * 10 + 1 + 0 + 3) / 2, (2 * 20 + 1 + 4 + 3) / 2]


def test_a_client_has_the_same_value_alone_and_in_a_batch_to_the_last_bit():
    rng = np.random.default_rng(0)
    drawn = [([(int(c), 0.0) for c in rng.choice(6, 3)], rng.normal(size=8).tolist()) for _ in range(200)]
    trees, matrix = average_models([model(*drawn)]), rng.normal(size=(2 * BLOCK + 5, 6)).astype(np.float32)
    together = trees.values(matrix)
    assert [trees.values(matrix[i : i + 1])[0] for i in range(len(matrix))] == together.tolist()


def test_no_client_has_no_value():
    assert average_models([model(TWO_LEVELS)]).values(np.empty((0, 2), np.float32)).shape == (0,)
