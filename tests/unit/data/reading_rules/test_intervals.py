"""Every reading has its own length: mixtures of intervals keep their energy, and lost parts are not made up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairmeter.data.daily import DailyConsumption
from fairmeter.data.reading_cleaning import clean_readings
from fairmeter.data.reading_rules import intervals
from fairmeter.data.reading_rules.intervals import interval_minutes

DAY = 24 * 60
FIRST = int(np.datetime64("2023-02-27T00:00", "m").astype(np.int64))
INTERVALS = (5, 10, 15, 30, 60, DAY)


# --- builders ---------------------------------------------------------------------------------------------------------


def table(minute, kwh, **more):
    columns = {"client": np.zeros(len(minute), np.int64), "read_at": np.array(minute, np.int64).view("datetime64[m]")}
    return columns | {"consumption_kwh": np.array(kwh, np.float64)} | more


def parts(day, minutes, kwh=24.0, stamp=0):
    """(minute, kWh) of a day in parts of equal length, whose energy follows the time of the day. [stamp: of a total]"""
    if minutes == DAY:
        return [(FIRST + day * DAY + stamp, kwh)]
    at = np.arange(0, DAY, minutes)
    shape = 1 + 0.5 * np.sin(2 * np.pi * (at + minutes / 2) / DAY)
    return [(FIRST + day * DAY + int(m), kwh * w) for m, w in zip(at, shape / shape.sum(), strict=True)]


def days_of(rows, **more):
    minute, kwh = zip(*rows, strict=True)
    cleaned, _ = clean_readings(table(minute, kwh, **more))
    return DailyConsumption.from_readings(cleaned, 1)


def blocks(*lengths_and_days):
    """Rows of days in a row: (interval, number of days) each."""
    rows, day = [], 0
    for minutes, n in lengths_and_days:
        for _ in range(n):
            rows += parts(day, minutes)
            day += 1
    return rows


# --- laws -------------------------------------------------------------------------------------------------------------

mixtures = st.lists(st.tuples(st.sampled_from(INTERVALS), st.integers(6, 9)), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(mixtures, st.integers(0, 2**32 - 1))
def test_any_mixture_of_intervals_in_any_order_of_rows_keeps_the_energy_of_each_day(mixture, seed):
    rows = blocks(*mixture)
    rows = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
    days = days_of(rows)
    assert len(days.kwh) == sum(n for _, n in mixture)
    np.testing.assert_allclose(days.kwh, 24.0, rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(INTERVALS[:-1]), st.floats(0, 0.25), st.integers(0, 2**32 - 1))
def test_lost_parts_are_scaled_by_what_is_known_or_the_day_is_missing(minutes, lost, seed):
    rows = blocks((minutes, 9))
    is_kept = np.random.default_rng(seed).random(len(rows)) >= lost
    is_kept[[0, -1]] = True
    kept = [row for row, keep in zip(rows, is_kept, strict=True) if keep]
    days = days_of(kept)
    day = np.array([minute for minute, _ in kept]) // DAY
    for at, kwh in zip(days.day, days.kwh, strict=True):
        known = sum(value for (_, value), is_own in zip(kept, day == at, strict=True) if is_own)
        share = np.count_nonzero(day == at) * minutes / DAY
        assert np.isnan(kwh) or known * (1 - 1e-9) <= kwh <= known / share * (1 + 1e-9)
        assert np.isnan(kwh) or share >= 0.66


@settings(max_examples=60, deadline=None)
@given(st.sampled_from((5, 10, 15, 30, 60)), st.integers(0, 1))
def test_days_of_23_and_25_hours_compare_with_the_others(minutes, is_autumn):
    first = int(np.datetime64("2023-10-28" if is_autumn else "2023-03-25", "m").astype(np.int64))
    minute = np.arange(first, first + 3 * DAY, minutes)
    night = first + DAY + 120
    is_night = (minute >= night) & (minute < night + 60)
    minute = np.append(minute, minute[is_night]) if is_autumn else minute[~is_night]
    days = days_of([(m, minutes / 60) for m in minute])
    np.testing.assert_allclose(days.kwh, 24.0, rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(mixtures, st.integers(0, 4))
def test_stated_lengths_give_the_same_days_as_distances(mixture, spare):
    rows = blocks(*mixture)
    lengths = np.concatenate([np.full(n * DAY // minutes, float(minutes)) for minutes, n in mixture])
    lengths[spare :: spare + 2] = np.nan
    np.testing.assert_allclose(days_of(rows, minutes=lengths).kwh, days_of(rows).kwh)


# --- cases ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fine", [15, 30, 60])
@pytest.mark.parametrize("stamp", [0, 6 * 60, 22 * 60, 23 * 60 + 59])
def test_totals_of_days_at_any_time_of_the_day_may_turn_into_parts_and_back(fine, stamp):
    totals = [row for day in range(10) for row in parts(day, DAY, stamp=stamp)]
    rows = [*totals, *(row for day in range(10, 20) for row in parts(day, fine))]
    days = days_of(rows)
    np.testing.assert_allclose(days.kwh, np.full(20, 24.0))
    assert np.isnan(days.hours[:10]).all()
    assert not np.isnan(days.hours[10:]).any()
    back = [*(row for day in range(10) for row in parts(day, fine)), *((m + 10 * DAY, kwh) for m, kwh in totals)]
    np.testing.assert_allclose(days_of(back).kwh, np.full(20, 24.0))


@pytest.mark.parametrize("fine", [15, 30, 60])
@pytest.mark.parametrize("stamp", [0, 22 * 60, 23 * 60 + 59])
@pytest.mark.parametrize("lost", [0, 0.2])
def test_a_total_beside_its_parts_counts_once(fine, stamp, lost):
    rows = [row for day in range(30) for row in parts(day, fine)]
    is_kept = np.random.default_rng(0).random(len(rows)) >= lost
    rows = [row for row, keep in zip(rows, is_kept, strict=True) if keep]
    rows += [row for day in range(30) for row in parts(day, DAY, stamp=stamp)]
    np.testing.assert_allclose(days_of(rows).kwh, np.full(30, 24.0), rtol=1e-9)


def test_hours_beside_their_quarters_count_once_where_lengths_are_stated():
    rows = [*blocks((60, 3)), *blocks((15, 3))]
    minutes = np.repeat([60.0, 15.0], [72, 288])
    np.testing.assert_allclose(days_of(rows, minutes=minutes).kwh, [24, 24, 24])


def test_a_reading_of_a_week_is_spread_over_its_days():
    cleaned, _ = clean_readings(table([FIRST, FIRST + 7 * DAY], [70.0, 9.0], minutes=np.array([7.0 * DAY, DAY])))
    np.testing.assert_allclose(DailyConsumption.from_readings(cleaned, 1).kwh, [*[10.0] * 7, 9.0])


def test_an_interval_may_change_within_a_day():
    rows = [row for row in blocks((60, 3)) if row[0] < FIRST + DAY + 12 * 60]
    rows += [row for row in blocks((5, 3)) if row[0] >= FIRST + DAY + 12 * 60]
    np.testing.assert_allclose(days_of(rows).kwh, [24, 24, 24], rtol=1e-2)


def test_a_hour_that_came_through_alone_lasts_an_hour():
    minute = np.array([*range(0, DAY, 60), DAY, *range(2 * DAY, 3 * DAY, 60)])
    assert interval_minutes(np.zeros(49, np.int64), minute).tolist() == [60.0] * 49


@settings(max_examples=100, deadline=None)
@given(
    runs=st.lists(st.tuples(st.sampled_from([15, 60, 120, 720, DAY, 3 * DAY]), st.integers(1, 40)), min_size=1),
    changes=st.lists(st.integers(0, 200), max_size=4),
)
def test_what_is_alike_within_long_runs_is_computed_once_with_the_same_result(runs, changes):
    minute = FIRST + np.append(0, np.cumsum(np.concatenate([np.full(n, step) for step, n in runs])))
    client = np.searchsorted(np.sort(changes), np.arange(len(minute)), side="right")
    shortened = interval_minutes(client, minute)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervals, "SAME", len(minute))
        np.testing.assert_array_equal(shortened, interval_minutes(client, minute))
