"""Shapley values over evidence groups: the laws that define them, by hand."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.explanation.shapley import CombinedModel, EnsembleInput, shapley_values
from fairmeter.explanation.topics import INVOICES
from fairmeter.features.base import DISCREPANCY, FALL, LOW, REASON_GROUPS
from fairmeter.models.ensemble import Ensemble, EnsembleInputs, probability_of

FALLS, LOWS, REMARKS = "elec_change_min", "elec_zero_share", "elec_remark_6_share"
NAMES = (FALLS, LOWS, REMARKS)
ONE, NONE = np.ones(1), np.zeros(1)


@dataclass(frozen=True)
class Sum:
    """A member whose log-odds are a weighted sum of its columns, and a product of the first two."""

    weights: tuple[float, ...]
    together: float = 0.0

    def values(self, matrix):
        known = np.nan_to_num(matrix.astype(np.float64))
        return known @ np.array(self.weights) + self.together * known[:, 0] * known[:, 1]


def ensemble_of(member, names=NAMES, typical=None):
    inputs = EnsembleInputs(names, np.arange(len(names)), None, None, None)
    typical = np.zeros(len(names), np.float32) if typical is None else np.array(typical, np.float32)
    return Ensemble(inputs, {"one": member}, ONE, 0.0, NONE, NONE, typical)


def part_of(member, row, **options):
    return EnsembleInput(ensemble_of(member, **options), INVOICES, np.array(row, np.float32))


def effects(found):
    return dict(zip(REASON_GROUPS, found.effects.tolist(), strict=True))


# --- laws -------------------------------------------------------------------------------------------------------------


@given(
    st.tuples(*[st.floats(-2, 2)] * 3), st.floats(-2, 2), st.tuples(*[st.floats(-3, 3) | st.just(np.nan)] * 3),
    st.tuples(*[st.floats(-3, 3)] * 3),
)  # fmt: skip
def test_effects_sum_to_the_score_less_the_typical_clients(weights, together, row, typical):
    part = part_of(Sum(weights, together), row, typical=typical)
    found = shapley_values([part], 0.0, 0.0)
    both = part.ensemble.log_odds(np.array([row, typical], np.float32))
    assert (found.probability, found.typical) == pytest.approx(tuple(probability_of(both)), abs=1e-12)
    assert found.effects.sum() == pytest.approx(found.probability - found.typical, abs=1e-12)


@given(
    st.tuples(*[st.floats(-2, 2)] * 3), st.tuples(*[st.floats(-3, 3)] * 3), st.floats(-4, 4), st.floats(-4, 4),
    st.floats(-2, 2),
)  # fmt: skip
def test_effects_sum_with_a_part_of_which_only_the_result_is_known(weights, row, earlier, usual, constant):
    part = part_of(Sum(weights, 0.4), row)
    found = shapley_values([part], constant, 0.0, CombinedModel(earlier, usual))
    own, typical = part.ensemble.log_odds(np.array([row, np.zeros(3)], np.float32))
    whole = probability_of(np.array([own + earlier + constant, typical + usual + constant]))
    assert (found.probability, found.typical) == pytest.approx(tuple(whole), abs=1e-12)
    assert found.effects.sum() + found.stored_effect == pytest.approx(found.probability - found.typical, abs=1e-12)


def test_a_part_of_which_only_the_result_is_known_has_its_own_effect():
    found = shapley_values([part_of(Sum((0.0, 0.0, 0.0)), [1.0, 2.0, 0.0])], 0.0, 0.0, CombinedModel(np.log(3.0), 0.0))
    assert found.stored_effect == pytest.approx(0.25), "from 1 in 2 to 3 in 4"
    assert not found.effects.any()
    same = shapley_values([part_of(Sum((1.0, 0.0, 0.0)), [1.0, 0.0, 0.0])], 0.0, 0.0, CombinedModel(1.0, 0.0))
    assert same.stored_effect == pytest.approx(effects(same)[FALL]), "as a group that moves the score as far"


def test_a_group_that_no_member_uses_has_no_effect():
    found = effects(shapley_values([part_of(Sum((1.0, -0.5, 0.0)), [2.0, 1.0, 9.0])], 0.0, 0.0))
    assert found[DISCREPANCY] == 0.0
    assert found[FALL] > 0 > found[LOW]


def test_a_group_in_which_the_client_is_typical_has_no_effect():
    found = effects(
        shapley_values([part_of(Sum((1.0, 1.0, 1.0)), [2.0, 5.0, np.nan], typical=[0, 5, np.nan])], 0.0, 0.0)
    )
    assert [group for group, effect in found.items() if effect] == [FALL]


def test_symmetric_groups_have_equal_effects():
    found = effects(shapley_values([part_of(Sum((1.0, 1.0, 0.3), together=0.7), [1.5, 1.5, -1.0])], 0.0, 0.0))
    assert found[FALL] == pytest.approx(found[LOW], abs=1e-12)


def test_two_groups_share_their_joint_effect_worked_by_hand():
    found = shapley_values([part_of(Sum((0.0, 0.0, 0.0), together=1.0), [1.0, 2.0, 0.0])], 0.0, 0.0)
    assert found.typical == 0.5
    assert effects(found)[FALL] == pytest.approx((1 / (1 + np.exp(-2)) - 0.5) / 2)


def test_the_parts_of_invoices_and_of_readings_add_up_before_they_become_a_probability():
    one, other = part_of(Sum((1.0, 0, 0)), [2.0, 0, 0]), part_of(Sum((0, 1.0, 0)), [0, 1.0, 0])
    found = shapley_values([one, other], -1.5, 0.0)
    assert found.probability == pytest.approx(1 / (1 + np.exp(-1.5)))
    assert found.typical == pytest.approx(1 / (1 + np.exp(1.5)))
    assert found.effects.sum() == pytest.approx(found.probability - found.typical)


def test_a_topic_moves_the_score_by_its_loss_if_that_topic_alone_is_typical():
    found = shapley_values([part_of(Sum((1.0, -1.0, 0.0)), [2.0, 0.5, 0.0])], 0.0, 0.0)
    moves = {aspect.name: move for (_, aspect), move in found.moves.items()}
    assert moves == {"drops": 2.0, "zero": -0.5}


def test_topics_are_computed_only_for_groups_with_a_large_enough_effect():
    found = shapley_values([part_of(Sum((1.0, 0.001, 0.0)), [2.0, 0.5, 0.0])], 0.0, 0.01)
    assert {aspect.group for _, aspect in found.moves} == {FALL}


# --- the typical client -----------------------------------------------------------------------------------------------


def test_the_typical_client_is_the_median_of_those_not_labelled():
    from fairmeter.training.ensemble_fitting import reference_client

    matrix = np.array([[1, 9], [3, np.nan], [5, np.nan], [100, 7]], np.float32)
    typical = reference_client(matrix, np.array([0, 0, 0, 1]))
    assert typical[0] == 3
    assert np.isnan(typical[1])  # two of three have none
