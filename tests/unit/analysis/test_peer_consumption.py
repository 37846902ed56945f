"""Monthly quartiles by category and region, worked by hand on a few clients."""

from datetime import date

import numpy as np
import pytest

from fairmeter.analysis import peer_consumption
from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.store import Series
from tests.builders.store import clients_of

MARCH = date(2026, 3, 1)


def months(kwh, first_on=MARCH):
    return Series("month", first_on, np.array(kwh, np.float32))


def crowd(n, category=11.0, region=103.0):
    """n clients that use 0, 1, 2 ... kWh in March and twice as much in April."""
    ids = [f"c-{i}" for i in range(n)]
    clients = clients_of(client_id=ids, category=[category] * n, region=[region] * n)
    return clients, {id_: months([i, 2 * i]) for i, id_ in enumerate(ids)}


def test_a_band_holds_the_quartiles_of_each_month():
    (band,) = peer_consumption.consumption_bands(*crowd(21))
    assert (band.category, band.region, band.n_clients, band.first_on) == (11.0, 103.0, 21, MARCH)
    assert band.n.tolist() == [21, 21]
    assert (band.low.tolist(), band.middle.tolist(), band.high.tolist()) == ([5, 10], [10, 20], [15, 30])
    assert band.is_present


def test_quartiles_equal_those_of_numpy_with_missing_values():
    known = np.random.default_rng(0).gamma(2, 100, (30, 57)).astype(np.float32)
    known[np.random.default_rng(1).random(known.shape) < 0.3] = np.nan
    n, quartiles = peer_consumption.monthly_quartiles(known)
    assert n.tolist() == (~np.isnan(known)).sum(axis=1).tolist()
    np.testing.assert_allclose(quartiles, np.nanpercentile(known, (25, 50, 75), axis=1), rtol=1e-5)


def test_a_month_with_too_few_clients_has_no_quartiles_and_their_number():
    clients, courses = crowd(peer_consumption.MIN_PEERS)
    courses["c-0"] = months([7.0])  # nothing known of April
    (band,) = peer_consumption.consumption_bands(clients, courses)
    assert band.n.tolist() == [peer_consumption.MIN_PEERS, peer_consumption.MIN_PEERS - 1]
    assert np.isnan(band.middle).tolist() == [False, True]
    (few,) = peer_consumption.consumption_bands(*crowd(3))
    assert (few.is_present, few.n_clients) == (False, 3)


def test_a_month_with_enough_readings_is_the_mean_day_times_a_month():
    kwh = np.full(61, 2.0)
    kwh[:15] = np.nan  # half of March
    first, found = peer_consumption.by_month(Series("day", MARCH, kwh))
    assert peer_consumption.month_start(first) == MARCH
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(2 * DAYS_PER_MONTH)


def test_clients_without_region_category_or_consumption_are_left_out():
    clients = clients_of(client_id=["a", "b", "c"], category=[11, np.nan, 11], region=[np.nan, 103, 103])
    assert peer_consumption.consumption_bands(clients, {"a": months([1.0]), "b": months([1.0])}) == []


def test_clients_whose_months_differ_share_one_calendar():
    clients, courses = crowd(20)
    courses["c-19"] = months([100.0], date(2025, 12, 1))
    (band,) = peer_consumption.consumption_bands(clients, courses)
    assert (band.first_on, band.n.tolist()) == (date(2025, 12, 1), [1, 0, 0, 19, 19])
