"""Rules that clean readings, with results worked by hand on a few rows."""

import numpy as np
import pytest

from fairmeter.data.daily import DailyConsumption
from fairmeter.data.reading_cleaning import MAX_READING_KWH, clean_readings

NAN = np.nan
SPRING, AUTUMN = "2013-03-31", "2013-10-27"  # Sundays on which Europe's clocks change


# --- builders ---------------------------------------------------------------------------------------------------------


def readings(*rows):
    """A table of (client, moment, kWh), as parsed."""
    client, read_at, kwh = zip(*rows, strict=True) if rows else ((), (), ())
    return {
        "client": np.array(client, np.int64),
        "read_at": np.array(read_at, "datetime64[m]"),
        "consumption_kwh": np.array(kwh, np.float64),
    }


def series(*kwh, first="2013-01-01", step=24 * 60, client=0):
    """Readings at equal steps, daily by default. [step: minutes]"""
    moments = np.datetime64(first, "m") + step * np.arange(len(kwh))
    return [(client, moment, value) for moment, value in zip(moments, kwh, strict=True)]


def hours_of(day, *hours, kwh=1.0):
    """Hourly rows of these hours of a day, in that order."""
    return [(0, np.datetime64(day, "m") + 60 * hour, kwh) for hour in hours]


def cleaned(*rows):
    """kWh after cleaning, and how many rows each flag found."""
    table, findings = clean_readings(readings(*rows))
    return table["consumption_kwh"].tolist(), {finding.flag: len(finding.clients) for finding in findings}


# --- values and moments -----------------------------------------------------------------------------------------------


def test_readings_without_fault_stay_as_they_are():
    rows = [*series(0, 0, 5, MAX_READING_KWH), *series(7, client=2)]
    table, findings = clean_readings(readings(*rows))
    for name, column in readings(*rows).items():
        np.testing.assert_array_equal(table[name], column)
        assert table[name].dtype == column.dtype
    assert findings == []


def test_an_empty_table_of_readings_stays_empty():
    assert cleaned() == ([], {})


@pytest.mark.parametrize(
    ("kwh", "flag"),
    [
        (-0.001, "negative_readings"),
        (-np.inf, "negative_readings"),
        (np.inf, "impossible_readings"),
        (MAX_READING_KWH * 1.001, "impossible_readings"),
    ],
)
def test_impossible_values_are_missing(kwh, flag):
    values, flags = cleaned(*series(1, kwh, 2))
    np.testing.assert_array_equal(values, [1, NAN, 2])
    assert flags == {flag: 1, "gap_days": 1}


@pytest.mark.parametrize("moment", ["1970-01-01", "0001-01-01", "2101-01-01", "9999-12-31T23:59"])
def test_readings_outside_the_valid_years_are_left_out(moment):
    values, flags = cleaned(*series(1, 2), (0, moment, 3))
    assert (values, flags) == ([1, 2], {"impossible_moments": 1})


def test_readings_long_before_a_clients_last_one_are_left_out_for_that_client_only():
    rows = [(0, "1999-01-01", 1), *series(2, 3), (1, "1999-01-01", 4)]
    assert cleaned(*rows) == ([2, 3, 4], {"old_readings": 1})


# --- one reading a moment ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kept", "flags"),
    [
        ([5, 5], 5, {"duplicate_readings": 1}),
        ([0.1, 0.1, 0.1], 0.1, {"duplicate_readings": 2}),
        ([5, 8], 6.5, {"conflicting_readings": 1}),
        ([8, 5, 5], 6.5, {"duplicate_readings": 1, "conflicting_readings": 1}),  # a copy does not count twice
        ([NAN, 5], 5, {"duplicate_readings": 1}),
        ([NAN, NAN], NAN, {"duplicate_readings": 1}),
        ([-1, 5], 5, {"negative_readings": 1, "duplicate_readings": 1}),
    ],
)
def test_readings_of_one_moment_become_one(values, kept, flags):
    rows = [*series(1), *((0, "2013-01-02", value) for value in values), *series(3, first="2013-01-03")]
    for ordered in (rows, rows[::-1]):
        kwh, found = cleaned(*ordered)
        np.testing.assert_array_equal(kwh, [1, kept, 3])
        found.pop("gap_days", None)
        assert found == flags


def test_two_clients_may_be_read_at_one_moment():
    assert cleaned(*series(1), *series(2, client=1)) == ([1, 2], {})


# --- clock changes ----------------------------------------------------------------------------------------------------


def but_stuck(result):
    """Ignore the flag of stuck readings, which constant hours get."""
    kwh, flags = result
    return kwh, {flag: n for flag, n in flags.items() if flag != "stuck_readings"}


def test_a_repeated_hour_counts_once_and_is_neither_a_copy_nor_a_conflict():
    for second in (1.0, 3.0):
        rows = [*hours_of(AUTUMN, 0, 1, 2), *hours_of(AUTUMN, 2, kwh=second), *hours_of(AUTUMN, *range(3, 24))]
        kwh, flags = but_stuck(cleaned(*rows))
        assert len(kwh) == 24
        assert kwh[2] == (1.0 + second) / 2
        assert flags == {"clock_changes": 1}


def test_repeated_half_hours_count_once():
    once = series(*[1.0] * 48, first=AUTUMN, step=30)
    kwh, flags = cleaned(*once, *((client, moment, 2.0) for client, moment, _ in once[4:6]))
    np.testing.assert_array_equal(np.flatnonzero(np.array(kwh) == 1.5), [4, 5])
    assert flags == {"clock_changes": 1}


def test_a_day_of_23_hours_is_counted_and_its_total_compares_with_other_days():
    rows = [*hours_of("2013-03-30", *range(24)), *hours_of(SPRING, 0, 1, *range(3, 24))]
    table, findings = clean_readings(readings(*rows))
    assert [finding.flag for finding in findings] == ["clock_changes"]
    np.testing.assert_allclose(DailyConsumption.from_readings(table, 1).kwh, [24, 24])


def test_a_day_of_25_hours_compares_with_other_days():
    rows = [*hours_of(AUTUMN, *range(24)), *hours_of(AUTUMN, 2, kwh=3.0), *hours_of("2013-10-28", *range(24))]
    table, _ = clean_readings(readings(*rows))
    np.testing.assert_allclose(DailyConsumption.from_readings(table, 1).kwh, [25, 24])


@pytest.mark.parametrize(
    ("rows", "flag"),
    [
        ([*hours_of("2013-10-26", *range(24)), *hours_of("2013-10-26", 2)], "duplicate_readings"),  # a Saturday
        ([*hours_of("2013-07-28", *range(24)), *hours_of("2013-07-28", 2)], "duplicate_readings"),  # in summer
        ([*hours_of(AUTUMN, *range(24)), *hours_of(AUTUMN, 12)], "duplicate_readings"),  # at noon
        ([*hours_of(AUTUMN, *range(24)), *hours_of(AUTUMN, 2, 3)], "duplicate_readings"),  # two hours
        ([*hours_of(AUTUMN, *range(24)), *hours_of(AUTUMN, 2, 2)], "duplicate_readings"),  # three times
        ([*hours_of(AUTUMN, 0, 1, 2, 2, 3)], "duplicate_readings"),  # most of the day is missing
        (series(1, 1, first=AUTUMN, step=0), "duplicate_readings"),  # daily readings
        (hours_of(SPRING, *range(12), *range(13, 24)), None),  # lost at noon
    ],
)
def test_other_patterns_are_not_clock_changes(rows, flag):
    _, flags = but_stuck(cleaned(*rows))
    assert list(flags) == ([flag] if flag else [])


# --- gaps and stuck meters --------------------------------------------------------------------------------------------


def test_days_without_a_known_reading_inside_the_span_are_counted():
    rows = [*series(NAN, 1, NAN, 2), *series(3, NAN, first="2013-01-10"), *series(1, client=1)]
    assert cleaned(*rows)[1] == {"gap_days": 6}  # the 3rd and the 5th to the 9th


def test_a_day_with_any_known_hour_is_not_a_gap_day():
    assert cleaned(*hours_of("2013-01-01", 5), *hours_of("2013-01-02", 23), *hours_of("2013-01-04", 0))[1] == {
        "gap_days": 1
    }


@pytest.mark.parametrize(
    ("rows", "n_stuck"),
    [
        (series(1, *[5.0] * 7, 2), 7),
        (series(1, *[5.0] * 6, 2), 0),
        (series(*[0.0] * 30), 0),  # an empty home or a bypass: evidence for features, not a fault
        (series(*[5.0] * 24, step=60), 24),
        (series(*[5.0] * 23, step=60), 0),
        (series(*[5.0] * 48, step=30), 48),
        (series(*[5.0] * 47, step=30), 0),
        (series(*[5.0] * 27, step=6 * 60), 0),
        (series(*[5.0] * 28, step=6 * 60), 28),
        ([*series(*[5.0] * 4), *series(*[5.0] * 4, first="2013-01-06")], 0),  # a day without reading between
        (series(5, 5, 5, NAN, 5, 5, 5, 5), 0),
        ([*series(*[5.0] * 4), *series(*[5.0] * 4, first="2013-01-05", client=1)], 0),
        ([*series(*[5.0] * 7), *series(*[6.0] * 8, first="2013-01-08")], 15),
    ],
)
def test_a_constant_value_for_a_week_or_hourly_for_a_day_is_flagged_as_stuck(rows, n_stuck):
    kwh, flags = cleaned(*rows)
    assert flags.get("stuck_readings", 0) == n_stuck
    np.testing.assert_array_equal(kwh, [value for _, _, value in rows])


# --- laws -------------------------------------------------------------------------------------------------------------


def troubled(rng, client):
    n = 60
    moments = np.datetime64(AUTUMN, "m") - 24 * 60 * 3 + rng.integers(0, 8 * 24, n) * 60
    kwh = rng.choice([-1.0, 0.0, 0.5, 0.5, 2.0, NAN, np.inf], n)
    return [(client, moment, value) for moment, value in zip(moments, kwh, strict=True)]


def test_cleaning_ignores_the_order_of_rows_and_other_clients():
    rng = np.random.default_rng(1)
    rows = [row for client in range(20) for row in troubled(rng, client)]
    table, findings = clean_readings(readings(*rows))
    shuffled, again = clean_readings(readings(*(rows[i] for i in rng.permutation(len(rows)))))
    for name in table:
        np.testing.assert_array_equal(shuffled[name], table[name])
    assert [(f.flag, sorted(f.clients)) for f in again] == [(f.flag, sorted(f.clients)) for f in findings]
    for client in range(20):
        alone, own = clean_readings(readings(*((0, *row[1:]) for row in rows if row[0] == client)))
        np.testing.assert_array_equal(alone["consumption_kwh"], table["consumption_kwh"][table["client"] == client])
        counts = {f.flag: n for f in findings if (n := int((f.clients == client).sum()))}
        assert {f.flag: len(f.clients) for f in own} == counts


def test_cleaning_again_finds_only_what_the_rules_leave_in_place():
    rng = np.random.default_rng(2)
    table, _ = clean_readings(readings(*(row for client in range(9) for row in troubled(rng, client))))
    again, findings = clean_readings(table)
    for name in table:
        np.testing.assert_array_equal(again[name], table[name])
    assert {finding.flag for finding in findings} <= {"gap_days", "stuck_readings", "clock_changes"}


def test_cleaned_and_raw_readings_give_the_same_days_without_conflicts():
    rows = [*hours_of(AUTUMN, *range(24)), *hours_of(AUTUMN, 2, kwh=3.0), *hours_of("2013-10-28", *range(24), kwh=2.0)]
    rows += [(0, np.datetime64("2013-10-28T05:00"), 2.0), (0, np.datetime64("2013-10-28T06:00"), -1.0)]
    table, _ = clean_readings(readings(*rows))
    for raw, clean in zip(
        vars(DailyConsumption.from_readings(readings(*rows), 1)).values(),
        vars(DailyConsumption.from_readings(table, 1)).values(),
        strict=True,
    ):
        if isinstance(raw, np.ndarray):
            np.testing.assert_array_equal(raw, clean)
