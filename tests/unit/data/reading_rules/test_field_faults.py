"""Faults of real files, with the right value worked out on made-up clients: nothing is misread in silence."""

import numpy as np
import pytest

from fairmeter.data.daily import DailyConsumption
from fairmeter.data.reading_cleaning import clean_readings

DAY = 24 * 60
NAN = np.nan
N = 200  # days


# --- builders ---------------------------------------------------------------------------------------------------------


def home(seed=0, n=N, level=9.0):
    rng = np.random.default_rng(seed)
    return (level * (1 + 0.2 * np.cos(2 * np.pi * np.arange(n) / 365)) * rng.lognormal(0, 0.2, n)).round(2)


def moments(n, step=DAY, first="2023-01-01T00:00"):
    return np.datetime64(first, "m") + step * np.arange(n)


def table(kwh, read_at=None, client=0, **more):
    kwh = np.asarray(kwh, np.float64)
    read_at = moments(len(kwh)) if read_at is None else read_at
    return {"client": np.full(len(kwh), client), "read_at": read_at, "consumption_kwh": kwh} | more


def joined(*tables):
    return {name: np.concatenate([one[name] for one in tables]) for name in tables[0]}


def hours(daily, step=60):
    """The days in equal parts that follow the time of the day."""
    at = np.arange(0, DAY, step)
    shape = 1 + 0.5 * np.sin(2 * np.pi * at / DAY)
    return (np.asarray(daily)[:, None] * shape / shape.sum()).ravel()


def cleaned(readings, n_clients=1):
    """Daily consumption, and how many rows each flag found."""
    clean, findings = clean_readings(readings)
    again, _ = clean_readings(clean)
    for name, column in again.items():
        np.testing.assert_array_equal(column, clean[name])
    found = {finding.flag: len(finding.clients) for finding in findings}
    return DailyConsumption.from_readings(clean, n_clients), found


# --- a gap, then all of it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_days", [2, 5, 10, 40])
@pytest.mark.parametrize("how", ["zeros", "missing", "left out"])
def test_a_catch_up_after_a_gap_is_spread_over_it_and_flagged(n_days, how):
    right, gap = home(), slice(100, 100 + n_days)
    kwh = right.copy()
    kwh[gap.stop] += right[gap].sum()
    kwh[gap] = {"zeros": 0.0, "missing": NAN, "left out": NAN}[how]
    is_there = ~np.isnan(kwh) if how == "left out" else np.ones(N, bool)
    days, found = cleaned(table(kwh[is_there], moments(N)[is_there]))
    spread = right[gap.start : gap.stop + 1].mean()
    np.testing.assert_allclose(days.kwh[gap.start : gap.stop + 1], spread)
    np.testing.assert_array_equal(np.delete(days.kwh, np.r_[gap, gap.stop]), np.delete(right, np.r_[gap, gap.stop]))
    assert found == {"catch_ups": 1}


@pytest.mark.parametrize("step", [15, 30, 60])
@pytest.mark.parametrize("how", ["zeros", "left out"])
def test_a_catch_up_in_one_part_of_an_hour_is_spread_over_its_days(step, how):
    right = home(n=60)
    kwh, a_day = hours(right, step), DAY // step
    gap = slice(30 * a_day, 34 * a_day)
    kwh[gap.stop] += kwh[gap].sum()
    kwh[gap] = 0.0
    is_there = np.ones(len(kwh), bool)
    is_there[gap] = how == "zeros"
    days, found = cleaned(table(kwh[is_there], moments(len(kwh), step)[is_there]))
    np.testing.assert_allclose(days.kwh.sum(), right.sum(), rtol=1e-9)
    np.testing.assert_allclose(days.kwh[30:34], right[30:34].mean(), rtol=0.03)
    assert found == {"catch_ups": 1}


@pytest.mark.parametrize(
    "after",
    [
        9.0,  # as before: an empty home
        25.0,  # more than before, less than two weeks would hold
        900.0,  # more than two weeks hold
    ],
)
def test_zeros_without_a_catch_up_stay_as_they_are(after):
    kwh = home()
    kwh[100:114] = 0.0
    kwh[114] = after
    days, found = cleaned(table(kwh))
    np.testing.assert_array_equal(days.kwh, kwh)
    assert found == {}


# --- error codes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [16_777.215, 186_227.0865, 65_535.0, 131_070.0, 6_553.5, 99_999.0, 2_147_483.647])
@pytest.mark.parametrize("n", [1, 4])
def test_an_error_code_is_missing_and_flagged(code, n):
    kwh = home()
    kwh[50 : 50 + 7 * n : 7] = code
    days, found = cleaned(table(kwh))
    assert np.isnan(days.kwh[50 : 50 + 7 * n : 7]).all()
    assert np.nanmax(days.kwh) < 30
    assert found.pop("gap_days") == n
    assert found == {"error_codes" if code < 1e6 else "impossible_readings": n}


def test_an_error_code_among_hours_is_missing_and_its_day_scaled():
    right = home(n=30)
    kwh = hours(right)
    kwh[24 * 10 + 12] = 65.535
    days, found = cleaned(table(kwh, moments(len(kwh), 60)))
    np.testing.assert_allclose(days.kwh, right, rtol=0.06)
    assert found == {"error_codes": 1}


def test_the_harvest_of_a_large_client_is_no_error():
    kwh = home(level=4.0)
    kwh[120:128] = [900, 1500, 1800, 2100, 1700, 1600, 1900, 1400]
    days, found = cleaned(table(kwh))
    np.testing.assert_array_equal(days.kwh, kwh)
    assert found == {}


# --- odd dates --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "flag"),
    [
        ("2063-12-31", "impossible_moments"),
        ("2099-01-01", "impossible_moments"),
        ("2025-02-01", "odd_dates"),
        ("2019-06-01", "odd_dates"),
        ("1999-06-01", "odd_dates"),
    ],
)
def test_one_odd_date_is_left_out_and_no_other_reading(moment, flag):
    right = home()
    odd = table([8.0], np.array([moment], "datetime64[m]"))
    days, found = cleaned(joined(table(right), odd))
    np.testing.assert_array_equal(days.kwh, right)
    assert found == {flag: 1}


def test_readings_that_go_on_after_two_years_stay():
    right = home()
    later = table(right[:30], moments(30, first="2025-06-01T00:00"))
    _, found = cleaned(joined(table(right), later))
    assert set(found) == {"gap_days"}


# --- several readings of a moment -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shares", [(0.62, 0.38), (0.9, 0.1), (0.45, 0.35, 0.2)])
def test_registers_and_phases_of_one_moment_are_added(shares):
    right = home()
    days, found = cleaned(joined(*(table(right * share) for share in shares)))
    np.testing.assert_allclose(days.kwh, right)
    assert found == {"summed_registers": N}


def test_a_register_of_the_total_beside_its_parts_counts_once():
    right = home()
    days, _ = cleaned(joined(table(right), table(right * 0.7), table(right * 0.3)))
    np.testing.assert_allclose(days.kwh, right)


def test_a_moment_that_lacks_a_register_is_missing():
    right = home()
    night = table(right * 0.4)
    days, _ = cleaned(joined(table(right * 0.6), {name: np.delete(column, 20) for name, column in night.items()}))
    assert np.isnan(days.kwh[20])
    np.testing.assert_allclose(np.delete(days.kwh, 20), np.delete(right, 20))


@pytest.mark.parametrize("second", [lambda kwh: kwh, lambda kwh: kwh.round(1)])
def test_two_feeds_of_one_reading_are_not_added(second):
    right = home()
    days, _ = cleaned(joined(table(right), table(second(right))))
    np.testing.assert_allclose(days.kwh, right, atol=0.06)


def test_an_actual_reading_takes_the_place_of_an_estimate():
    right, estimated = home(), np.zeros(N, bool)
    days, found = cleaned(
        joined(table(right, is_estimated=estimated), table(np.full(50, 3.0), moments(50), is_estimated=~estimated[:50]))
    )
    np.testing.assert_array_equal(days.kwh, right)
    assert found == {"superseded_estimates": 50}


# --- estimates --------------------------------------------------------------------------------------------------------


def test_estimates_are_kept_and_are_neither_a_fall_nor_a_stuck_meter():
    kwh, estimated = home(), np.zeros(N, bool)
    kwh[120:140], estimated[120:140] = 1.0, True
    clean, findings = clean_readings(table(kwh, is_estimated=estimated))
    np.testing.assert_array_equal(clean["consumption_kwh"], kwh)
    assert {finding.flag: len(finding.clients) for finding in findings} == {"estimated_readings": 20}
    days = DailyConsumption.from_readings(clean, 1)
    assert np.isnan(days.kwh[120:140]).all()


@pytest.mark.parametrize(("n", "is_named"), [(45, False), (46, True)])
def test_a_client_whose_recent_days_are_mostly_estimates_is_named(n, is_named):
    estimated = np.arange(N) >= N - n
    _, findings = clean_readings(table(home(), is_estimated=estimated))
    assert ("mostly_estimated" in {finding.flag for finding in findings}) == is_named


# --- net metering -----------------------------------------------------------------------------------------------------


def test_days_below_0_of_a_net_meter_are_exports_and_their_consumption_is_not_known():
    kwh = home()
    kwh[60:160:4] = -3.0
    days, found = cleaned(table(kwh))
    assert np.isnan(days.kwh[60:160:4]).all()
    assert days.export_kwh.sum() == 75.0
    assert found == {"net_metering": 25, "gap_days": 25}


def test_a_day_with_hours_below_0_is_not_scaled_from_its_night():
    right = home(n=40)
    kwh = hours(right).reshape(40, 24)
    kwh[10:30, 11:14] = -0.5
    days, _ = cleaned(table(kwh.ravel(), moments(40 * 24, 60)))
    assert np.isnan(days.kwh[10:30]).all()
    np.testing.assert_allclose(days.kwh[:10], right[:10])
    assert days.export_kwh.sum() == pytest.approx(20 * 3 * 0.5)


def test_a_single_value_below_0_is_an_error():
    kwh = home()
    kwh[70] = -3.0
    days, found = cleaned(table(kwh))
    assert days.export_kwh is None
    assert found == {"negative_readings": 1, "gap_days": 1}


# --- registers as consumption -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0.0, 21_000.0])
def test_a_client_whose_readings_are_what_its_meter_showed_is_flagged_and_not_judged_by_them(first):
    days, found = cleaned(joined(table(first + np.cumsum(home())), table(home(1), client=1)), 2)
    assert days.segments.counts.tolist() == [0, N]
    assert found == {"register_totals": N}


@pytest.mark.parametrize("step", [15, 60])
def test_a_counter_that_starts_anew_each_midnight_is_flagged(step):
    kwh = np.cumsum(hours(home(n=20), step).reshape(20, -1), axis=1).ravel()
    days, found = cleaned(table(kwh, moments(len(kwh), step)))
    assert len(days.kwh) == 0
    assert found == {"register_totals": len(kwh)}


def test_consumption_that_grows_each_day_is_no_register():
    _, found = cleaned(table(np.arange(5.0, 35.0)))
    assert found == {}
