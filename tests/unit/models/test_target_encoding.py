"""Target encoding, worked by hand: each client counts once, and its own label never reaches its encoding."""

import numpy as np
import pytest

from fairmeter.core.types import GroupKeys
from fairmeter.models.target_encoding import (
    MIN_CLIENTS,
    MULTI_KEY_STATISTICS,
    PRIOR_CLIENTS,
    GroupRates,
    column_names,
    out_of_fold,
)


def cells_of(*keys_by_client):
    """Group keys from the groups of each client."""
    counts = np.array([len(keys) for keys in keys_by_client])
    return GroupKeys(counts, np.array([key for keys in keys_by_client for key in keys], dtype=np.uint64))


def columns(rates, **cells):
    """Encodings of one client by name."""
    values = rates.columns({name: cells_of(keys) for name, keys in cells.items()})
    return dict(zip(column_names(tuple(cells)), values[0].tolist(), strict=True))


def labels(n, n_frauds):
    return np.repeat([1.0, 0.0], [n_frauds, n - n_frauds])


def drawn(seed=0, n=200, n_cells=40):
    """Clients with one place and a few route days, one in five a fraud; groups of all sizes."""
    rng = np.random.default_rng(seed)
    places = rng.integers(0, n_cells, n)
    days = [rng.integers(0, n_cells, rng.integers(1, 6)) for _ in range(n)]
    label = (rng.random(n) < 0.2).astype(float)
    return {"place": cells_of(*places[:, None]), "route_day": cells_of(*days)}, label


def test_keys_that_two_names_share_are_told_apart():
    shared = {"place": cells_of(*[[7]] * 10), "route_day": cells_of(*[[7]] * 5, *[[8]] * 5)}
    rates = GroupRates.fit(shared, labels(10, 5))
    found = columns(rates, place=[8], route_day=[7])
    assert found["neighbours_place_size"] == 0.0
    assert found["neighbours_route_day_size"] == pytest.approx(np.log(6))
    assert found["neighbours_route_day_mean"] == pytest.approx((5 + PRIOR_CLIENTS * 0.5) / (5 + PRIOR_CLIENTS))


def test_all_names_groups_are_found_in_one_search(monkeypatch):
    groups, label = drawn()
    rates, searches = GroupRates.fit(groups, label), []
    search = np.searchsorted
    monkeypatch.setattr(np, "searchsorted", lambda *given: searches.append(1) or search(*given))
    rates.columns(groups)
    assert len(searches) == 1


# --- worked by hand ---------------------------------------------------------------------------------------------------


def test_a_groups_share_is_shrunk_towards_the_mean_of_all_clients():
    rates = GroupRates.fit({"place": cells_of(*[[7]] * 10, *[[8]] * 10)}, labels(20, 2))
    assert rates.base_rate == 0.1
    found = columns(rates, place=[7])
    assert found["neighbours_place_rate"] == pytest.approx((2 + PRIOR_CLIENTS * 0.1) / (10 + PRIOR_CLIENTS))
    assert found["neighbours_place_size"] == pytest.approx(np.log(11))


def test_a_client_in_several_groups_has_statistics_of_their_shares():
    rates = GroupRates.fit({"route_day": cells_of(*[[1]] * 5, *[[2]] * 45)}, labels(50, 5))
    low, high = 0.1 * 15 / 60, (5 + 1.5) / 20
    found = columns(rates, route_day=[1, 1, 2])
    weights = np.array([1 / (1 + 5 / 50), 1 / (1 + 5 / 50), 1 / (1 + 45 / 50)])
    by_hand = {
        "mean": (2 * high + low) / 3,
        "weighted": weights @ [high, high, low] / weights.sum(),
        "max": high,
        "min": low,
        "last": low,
        "size": (2 * np.log(6) + np.log(46)) / 3,
    }
    assert tuple(by_hand) == MULTI_KEY_STATISTICS
    assert found == pytest.approx({f"neighbours_route_day_{name}": value for name, value in by_hand.items()})


def test_an_unknown_group_has_the_mean_share_and_size_zero():
    rates = GroupRates.fit({"place": cells_of(*[[7]] * 20)}, labels(20, 5))
    assert columns(rates, place=[99]) == {"neighbours_place_rate": 0.25, "neighbours_place_size": 0}


def test_a_client_without_a_group_has_no_value():
    rates = GroupRates.fit({"route_day": cells_of(*[[7]] * 20)}, labels(20, 5))
    assert np.isnan(list(columns(rates, route_day=[]).values())).all()


def test_a_client_counts_once_in_a_group_however_often_it_is_there():
    rates = GroupRates.fit({"route_day": cells_of([7] * 30, *[[7]] * 9)}, labels(10, 1))
    assert rates.n_clients["route_day"].tolist() == [10]
    assert rates.n_frauds["route_day"].tolist() == [1]


def test_groups_of_too_few_clients_are_not_stored():
    small, enough = [[1]] * (MIN_CLIENTS - 1), [[2]] * MIN_CLIENTS
    rates = GroupRates.fit({"place": cells_of(*small, *enough)}, labels(2 * MIN_CLIENTS - 1, 3))
    assert rates.keys["place"].tolist() == [2]
    assert columns(rates, place=[1])["neighbours_place_size"] == 0


def test_without_a_large_enough_group_the_share_is_the_mean():
    rates = GroupRates.fit({"place": cells_of([1], [2], [3], [4])}, labels(4, 1))
    assert columns(rates, place=[1])["neighbours_place_rate"] == 0.25


# --- laws -------------------------------------------------------------------------------------------------------------


def test_a_training_clients_own_label_never_reaches_its_own_columns():
    cells, label = drawn()
    folds = np.arange(len(label)) % 5
    before = out_of_fold(cells, label, folds)
    for client in range(0, len(label), 7):
        flipped = label.copy()
        flipped[client] = 1 - flipped[client]
        after = out_of_fold(cells, flipped, folds)
        np.testing.assert_array_equal(after[client], before[client])
        assert (after != before).any(), "the flip must reach somebody, or this shows nothing"


def test_out_of_fold_columns_are_those_of_a_fit_on_the_other_folds():
    cells, label = drawn()
    folds = np.arange(len(label)) % 4
    others = {name: kept_of(cell, folds != 2) for name, cell in cells.items()}
    mine = {name: kept_of(cell, folds == 2) for name, cell in cells.items()}
    expected = GroupRates.fit(others, label[folds != 2]).columns(mine)
    np.testing.assert_array_equal(out_of_fold(cells, label, folds)[folds == 2], expected)


def test_columns_of_one_client_do_not_depend_on_the_others():
    cells, label = drawn()
    rates = GroupRates.fit(cells, label)
    together = rates.columns(cells)
    for client in range(0, len(label), 20):
        only = np.arange(len(label)) == client
        alone = rates.columns({name: kept_of(cell, only) for name, cell in cells.items()})
        np.testing.assert_array_equal(alone[0], together[client])


def test_every_column_has_a_name():
    cells, label = drawn()
    names = column_names(tuple(cells))
    assert GroupRates.fit(cells, label).columns(cells).shape == (len(label), len(names))
    assert len(set(names)) == len(names)


def kept_of(cell, clients):
    return GroupKeys(cell.counts[clients], cell.keys[np.repeat(clients, cell.counts)])
