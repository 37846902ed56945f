"""Anomalies in readings, on made-up homes: each pattern under its name, since its day, and none in a plain home."""

from dataclasses import replace

import numpy as np
import pytest

from fairmeter.analysis.anomalies import find_anomalies
from fairmeter.analysis.anomalies.find import reading_evidence
from fairmeter.analysis.anomalies.limits import ALONE, FLOORS, LIMITS, NEIGHBOURS, SHARES
from fairmeter.analysis.anomalies.recent_days import DAYS, RecentDays, run_around, run_lengths
from fairmeter.analysis.anomalies.wording import KINDS
from fairmeter.core.types import ANOMALY_PATTERNS, SEVERITIES, TAMPERING
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.json_records import tables_from_records
from fairmeter.features.readings.covariates import Covariates
from tests.builders.readings import FIRST, days_of, town

N_DAYS, N_HOMES = 700, 24
NO_INVOICES = tables_from_records([{"client_id": "c"}], [[]])[1]


@pytest.fixture(scope="module")
def homes():
    return town(N_HOMES, N_DAYS, seed=3)


@pytest.fixture(scope="module")
def neighbours(homes):
    return Covariates.from_consumption(days_of(homes))


def anomalies_of(kwh, covariates=None):
    """The anomalies of one home, by pattern."""
    [found] = find_anomalies(1, NO_INVOICES, days_of([kwh]), covariates)
    return {one.pattern: one for one in found}


def changed(kwh, ago, change):
    """The home with its days from some days before the end on changed."""
    kwh = kwh.copy()
    kwh[-ago:] = change(kwh[-ago:], kwh[:-ago])
    return kwh


def day_before_end(ago):
    return str(np.datetime64(FIRST + N_DAYS - ago, "D"))


def days_apart(one, other):
    return abs(int((np.datetime64(one, "D") - np.datetime64(other, "D")).astype(int)))


def times_three(own, _):
    return own * np.where(np.arange(len(own)) < 20, 3.0, 1.0)


def no_use(own, _):
    return own * 0.0


def a_ramp(own, _):
    return own * (1.0 - 0.75 * np.minimum(np.arange(len(own)) / 120, 1.0))


def flat(own, before):
    return np.full(len(own), round(0.4 * before.mean(), 1))


def a_copy(own, before):
    return before[-len(own) :]


def whole(own, _):
    return np.ceil(own)


def a_stall(own, _):
    own = own.copy()
    own[:10], own[10] = 0.0, own[:11].sum()
    return own


def low_weekends(own, before):
    weekday = (np.arange(len(own)) + len(before)) % 7
    return own * np.where(weekday >= 5, 0.1, 1.0)


PLANTED = [
    ("sudden spike", 60, times_three, 3),
    ("zero or low use", 45, no_use, 2),
    ("gradual change", 190, a_ramp, 40),
    ("tampering signature", 60, flat, 2),
    ("tampering signature", 28, a_copy, 2),
    ("tampering signature", 28, whole, 3),
    ("tampering signature", 60, a_stall, 2),
    ("tampering signature", 63, low_weekends, 14),
    ("change from own history", 120, lambda own, _: own * 0.2, 14),
]


@pytest.mark.parametrize(
    ("pattern", "ago", "change", "near"), PLANTED, ids=lambda value: getattr(value, "__name__", None)
)
def test_each_pattern_has_its_name_and_its_first_day(homes, neighbours, pattern, ago, change, near):
    found = anomalies_of(changed(homes[4], ago, change), neighbours)
    assert pattern in found
    assert days_apart(found[pattern].since, day_before_end(ago)) <= near
    assert found[pattern].since <= found[pattern].until <= day_before_end(1)
    assert found[pattern].severity in SEVERITIES
    assert found[pattern].strength >= 1.0


def test_a_home_that_falls_while_its_neighbours_go_on_deviates_from_them(homes, neighbours):
    found = anomalies_of(changed(homes[4], 150, lambda own, _: own * 0.15), neighbours)
    assert "less than before, set against neighbours" in found["neighbour deviation"].text


def test_a_deviation_from_neighbours_needs_neighbours(homes):
    assert "neighbour deviation" not in anomalies_of(changed(homes[4], 150, lambda own, _: own * 0.15))


def test_plain_homes_have_no_anomaly(homes, neighbours):
    for covariates in (None, neighbours):
        assert find_anomalies(N_HOMES, NO_INVOICES, days_of(homes), covariates) == [()] * N_HOMES


def test_a_change_that_all_neighbours_make_is_none(homes):
    cold = homes.copy()
    cold[:, -60:] *= 4.0
    shared = Covariates.from_consumption(days_of(cold))
    assert anomalies_of(cold[4], shared) == {}
    assert "sudden spike" in anomalies_of(cold[4])


def test_a_return_from_an_absence_is_no_spike(homes):
    assert "sudden spike" not in anomalies_of(np.concatenate([homes[4][:-60], homes[4][-60:-40] * 0.2, homes[4][-40:]]))


def test_what_ended_before_the_last_ninety_days_is_past(homes):
    kwh = homes[4].copy()
    kwh[-180:-150] *= 4.0
    assert anomalies_of(kwh) == {}


def test_the_sentence_of_a_spike_has_its_figures():
    kwh = np.full(N_DAYS, 10.0)
    kwh[-30:-10] = 40.0
    text = anomalies_of(kwh + np.arange(N_DAYS) % 7)["sudden spike"].text
    assert (
        text == "3.3 times the usual consumption from 8 November 2014 to 27 November 2014: 43 kWh a day instead of 13."
    )


def test_the_sentence_of_low_use_names_the_usual_day_where_there_is_one():
    kwh = np.full(N_DAYS, 8.0)
    kwh[-40:] = 0.0
    text = anomalies_of(kwh)["zero or low use"].text
    assert (
        text
        == "Next to no consumption on 40 days from 29 October 2014 to 7 December 2014: 0 kWh a day, 8 on usual ones."
    )
    text = anomalies_of(np.zeros(100))["zero or low use"].text
    assert text == "Next to no consumption on 100 days from 7 January 2013 to 16 April 2013: 0 kWh a day."


def test_the_anomalies_of_a_home_do_not_depend_on_the_homes_beside_it(homes, neighbours):
    some = [changed(homes[i], ago, change) for i, (_, ago, change, _) in enumerate(PLANTED)]
    some = [*some, *homes[:3], homes[5][-40:], homes[6][-9:], np.full(3, np.nan)[:0]]
    together = find_anomalies(len(some), NO_INVOICES, days_of(some), neighbours)
    alone = [find_anomalies(1, NO_INVOICES, days_of([one]), neighbours)[0] for one in some]
    assert together == alone
    assert sum(map(bool, together)) >= len(PLANTED)


def test_values_are_the_same_bits_alone_and_among_others(homes, neighbours):
    some = [changed(homes[i], ago, change) for i, (_, ago, change, _) in enumerate(PLANTED)]
    together = reading_evidence(days_of(some), neighbours)[1]
    for i, one in enumerate(some):
        for alone, among in zip(reading_evidence(days_of([one]), neighbours)[1], together, strict=True):
            assert alone.value.tobytes() == among.value[i : i + 1].tobytes(), alone.kind


@pytest.mark.parametrize("kwh", [[0.0] * 400, [5.0], [np.nan, 3.0, np.nan], [1e6] * 200, [0.0] * 100 + [9.0] * 100])
def test_odd_series_are_answered(kwh):
    for one in anomalies_of(np.array(kwh)).values():
        assert np.isfinite(one.strength)
        assert one.text


def test_a_gap_in_the_readings_is_no_low_use(homes):
    kwh = homes[4].copy()
    kwh[-60:-20] = np.nan
    assert "zero or low use" not in anomalies_of(kwh)


# --- hours ------------------------------------------------------------------------------------------------------------


def hourly(homes, moved_from):
    """Homes with an evening profile, of which one moves half of its energy into the night from a day on."""
    profile = np.array([0.5] * 6 + [1.0] * 11 + [2.5] * 5 + [1.0] * 2)
    rng = np.random.default_rng(1)
    days = days_of(homes)
    hours = days.kwh[:, None] * profile / profile.sum() * rng.uniform(0.8, 1.2, (len(days.kwh), 24))
    moved = hours[moved_from:N_DAYS] * 0.5
    hours[moved_from:N_DAYS] -= moved
    hours[moved_from:N_DAYS, :5] += moved.sum(axis=1, keepdims=True) / 5
    return replace(days, hours=hours)


def test_irregular_hours_are_a_move_into_the_night(homes):
    moved, *others = find_anomalies(3, NO_INVOICES, hourly(homes[:3], N_DAYS - 42))
    assert [one.pattern for one in moved] == ["irregular hours"]
    assert days_apart(moved[0].since, day_before_end(42)) <= 14
    assert others == [(), ()]


def read_every(minutes, hours, first):
    """Readings of an interval that sum to these hours. [hours: (days, 24)]"""
    n = 60 // minutes
    start = np.datetime64(first, "D").astype("datetime64[m]") + minutes * np.arange(hours.size * n)
    kwh = np.repeat(hours.ravel() / n, n)
    table = {"client": np.zeros(len(kwh), np.int64), "read_at": start, "consumption_kwh": kwh}
    return DailyConsumption.from_readings(table, 1)


def test_readings_of_fifteen_and_thirty_minutes_are_as_those_of_an_hour(homes):
    hours = hourly(homes[:1], N_DAYS - 42).hours[-150:]
    found = [find_anomalies(1, NO_INVOICES, read_every(minutes, hours, FIRST))[0] for minutes in (60, 30, 15)]
    assert found[0][0].pattern == "irregular hours"
    assert found[0] == found[1]
    assert found[1] == found[2]


# --- limits and windows -----------------------------------------------------------------------------------------------


def test_every_kind_has_a_pattern_a_share_a_floor_and_rising_limits():
    assert {kind.pattern for kind in KINDS.values()} == set(ANOMALY_PATTERNS)
    assert KINDS.keys() == SHARES.keys() == FLOORS.keys()
    for limits in LIMITS.values():
        for kind, values in limits.items():
            assert len(values) == len(SEVERITIES)
            assert list(values) == sorted(values)
            assert values[0] >= FLOORS[kind] > 0
    assert set(LIMITS[NEIGHBOURS]) - set(LIMITS[ALONE]) == {"neighbour_fall", "neighbour_rise"}


def test_runs_of_days():
    mask = np.array([[True, True, False, False, False, True, False, True]])
    assert run_lengths(mask).tolist() == [[1, 2, 0, 0, 0, 1, 0, 1]]
    assert run_around(mask[0], 6) == (5, 7)
    assert run_around(mask[0], 2) == (0, 1)
    assert run_around(~mask[0] & mask[0], 3) == (3, 3)


def test_recent_days_end_with_each_clients_last_day():
    recent = RecentDays.of(days_of([[1.0, 2.0], [3.0, np.nan, 5.0]]))
    assert recent.kwh.shape == (2, DAYS)
    np.testing.assert_array_equal(recent.kwh[:, -3:], [[np.nan, 1.0, 2.0], [3.0, np.nan, 5.0]])
    assert recent.day_of(1, DAYS - 1) == FIRST + 2


def test_days_that_repeat_by_chance_in_whole_kwh_are_no_tampering(homes):
    small = homes * (1.2 / homes.mean(axis=1, keepdims=True))
    found = find_anomalies(N_HOMES, NO_INVOICES, days_of(np.rint(small)))
    assert not any(one.pattern == TAMPERING for of_home in found for one in of_home)


def test_a_flat_line_is_named_in_whole_kwh_where_they_are_small_beside_a_day(homes):
    large = np.rint(changed(homes[0] * (20.0 / homes[0].mean()), 60, flat))
    assert TAMPERING in anomalies_of(large)
