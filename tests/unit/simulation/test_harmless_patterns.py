"""Harmless changes on short series: by hand with fixed parameters, and the laws that hold for all of them."""

from itertools import product

import numpy as np
import pytest

from fairmeter.simulation.harmless_patterns import HARMLESS, USUAL, WIDE, apply_harmless
from fairmeter.simulation.pattern import UnknownPattern

N_SERIES, N_STEPS = 40, 240
STEPS = [12 / 365.25, 1.0, 24.0]
NAN = np.nan
LOSES_READINGS = {"meter_exchange", "missing_readings"}
NEVER_ABOVE = {"holiday", "solar_panels", "efficiency", "missing_readings"}


def honest_kwh():
    """Uneven series, some readings missing, some series without their first or last days."""
    rng = np.random.default_rng(1)
    kwh = rng.gamma(3, 4, (N_SERIES, N_STEPS))
    kwh[rng.random(kwh.shape) < 0.05] = NAN
    kwh[::3, :20] = NAN
    kwh[1::3, -30:] = NAN
    return kwh


def onsets():
    return np.random.default_rng(3).integers(40, 180, N_SERIES)


def after(name, kwh=None, onset=None, steps_per_day=1.0, ranges=USUAL, seed=2):
    kwh = honest_kwh() if kwh is None else kwh
    onset = onsets() if onset is None else onset
    return apply_harmless(kwh, onset, name, np.random.default_rng(seed), steps_per_day, ranges)


def worked(name, kwh, onset=0, steps_per_day=1.0, **fixed):
    """One series changed with fixed parameters, rounded."""
    ranges = {name: {parameter: (value, value) for parameter, value in fixed.items()}}
    assert set(fixed) == set(USUAL[name]), "a worked example leaves nothing to chance"
    return np.round(after(name, np.array([kwh], float), np.array([onset]), steps_per_day, ranges)[0], 6)


# --- laws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HARMLESS)
def test_at_every_step_a_change_keeps_the_laws(name, subtests):
    for steps_per_day, (kind, ranges) in product(STEPS, {"usual": USUAL, "wide": WIDE}.items()):
        given, at = honest_kwh(), {"steps_per_day": steps_per_day, "ranges": kind}
        kwh = after(name, given, steps_per_day=steps_per_day, ranges=ranges)
        with subtests.test("the input is unchanged", **at):
            np.testing.assert_array_equal(given, honest_kwh())
        with subtests.test("the same seed gives the same series", **at):
            np.testing.assert_array_equal(kwh, after(name, steps_per_day=steps_per_day, ranges=ranges))
        with subtests.test("nothing changes before it", **at):
            is_before = np.arange(N_STEPS) < onsets()[:, None]
            np.testing.assert_array_equal(kwh[is_before], given[is_before])
        with subtests.test("what was missing stays missing", **at):
            assert np.isnan(kwh[np.isnan(given)]).all()
        if name not in LOSES_READINGS:
            with subtests.test("no reading is lost", **at):
                np.testing.assert_array_equal(np.isnan(kwh), np.isnan(given))
        with subtests.test("it is never negative", **at):
            assert (kwh[~np.isnan(kwh)] >= 0).all()
        if name in NEVER_ABOVE:
            with subtests.test("it is never above what was used", **at):
                assert (np.nan_to_num(kwh - given) <= 1e-9).all()


@pytest.mark.parametrize("name", HARMLESS)
def test_at_the_ends_a_change_keeps_the_laws(name, subtests):
    with subtests.test("an onset after the last step is never"):
        np.testing.assert_array_equal(after(name, onset=np.full(N_SERIES, N_STEPS)), honest_kwh())
    with subtests.test("a series without a reading passes"):
        assert np.isnan(after(name, np.full((2, 48), NAN), np.array([0, 5]))).all()
    with subtests.test("series of no step pass"):
        assert after(name, np.empty((2, 0)), np.array([0, 0])).shape == (2, 0)
    with subtests.test("it is no theft"):
        assert not HARMLESS[name].is_theft
    with subtests.test("its wide ranges hold the usual ones"):
        for parameter, (least, most) in USUAL[name].items():
            assert WIDE[name][parameter][0] <= least <= most <= WIDE[name][parameter][1], parameter


# --- worked examples --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fixed", "honest", "onset", "expected"),
    [
        ("holiday", {"days": 2, "standby": 0.5, "jitter": 0}, [4, 4, 1, 7, 4], 1, [4, 2, 1, 7, 4]),
        ("new_tenant", {"days": 2, "standby": 0, "jitter": 0, "tenant": 1.5}, [4, 4, 4, 2, 6], 1, [4, 0, 0, 3, 9]),
        ("new_appliance", {"more": 0.5, "jitter": 0}, [2, NAN, 4, 6], 2, [2, NAN, 6, 8]),
        ("efficiency", {"share": 0.6, "ramp_days": 0}, [5, 5, 10], 1, [5, 3, 6]),
        ("efficiency", {"share": 0.6, "ramp_days": 4}, [10] * 6, 1, [10, 9, 8, 7, 6, 6]),
        ("meter_exchange", {"share": 1.05, "dead_days": 1}, [2, 2, 2, 4], 1, [2, NAN, 2.1, 4.2]),
        ("missing_readings", {"share": 0, "gap_days": 2}, [2, 3, 4, 5], 1, [2, NAN, NAN, 5]),
        ("missing_readings", {"share": 1, "gap_days": 0}, [2, 3, 4], 1, [2, NAN, NAN]),
        # 8 used while 2 a day were written: the first reading brings its own 3 and the 2 that lack.
        ("estimated_bill", {"days": 3, "level": 1}, [2, 2, 1, 4, 3, 3, 5], 2, [2, 2, 2, 2, 2, 5, 5]),
        # 3 used, 12 written: the next 9 are not registered again.
        ("estimated_bill", {"days": 3, "level": 2}, [2, 2, 1, 1, 1, 4, 3, 6, 5], 2, [2, 2, 4, 4, 4, 0, 0, 4, 5]),
        # A day without a reading gets no estimate.
        ("estimated_bill", {"days": 2, "level": 1}, [2, 5, NAN, 4], 1, [2, 2, NAN, 7]),
        ("solar_panels", {"cover": 0.5, "swing": 0, "midsummer_day": 0, "clouds": 0}, [4, 1, 7, 4], 1, [4, 0, 5, 2]),
    ],
)
def test_on_daily_series(name, fixed, honest, onset, expected):
    np.testing.assert_array_equal(worked(name, honest, onset, **fixed), expected)


def test_an_estimate_and_its_catch_up_sum_to_the_consumption():
    kwh = np.random.default_rng(4).gamma(3, 4, (200, 400))
    np.testing.assert_allclose(after("estimated_bill", kwh, np.full(200, 60)).sum(axis=1), kwh.sum(axis=1))


CLEAR_SKY = {"cover": 0.5, "clouds": 0.0, "midsummer_day": 100.0}


class TestSolarPanels:
    def test_solar_panels_yield_most_at_midsummer_and_least_half_a_year_later(self):
        saved = 10 - worked("solar_panels", [10.0] * 366, swing=0.8, **CLEAR_SKY)
        assert saved.argmax() == 100
        assert saved.max() == pytest.approx(5 * 1.8)
        assert saved.min() == pytest.approx(5 * 0.2, abs=0.01)

    def test_solar_panels_yield_nothing_at_night_and_their_share_of_the_day(self):
        saved = 10 - worked("solar_panels", [10.0] * 48, steps_per_day=24, swing=0, **(CLEAR_SKY | {"cover": 0.2}))
        assert not saved[:6].any()
        assert not saved[18:24].any()
        assert saved.sum() == pytest.approx(0.2 * 480, rel=0.01)

    def test_a_cloudy_day_is_cloudy_at_all_hours(self):
        fixed = {"cover": 0.2, "clouds": 0.8, "midsummer_day": 0, "swing": 0}
        saved = 10 - worked("solar_panels", [10.0] * 240, steps_per_day=24, **fixed).reshape(10, 24)
        np.testing.assert_allclose(saved[:, 12] / saved[:, 9], saved[0, 12] / saved[0, 9], rtol=1e-4)
        assert saved[:, 12].std() > 0.1 * saved[:, 12].mean()


def test_readings_are_missing_as_often_as_sampled():
    ranges = {"missing_readings": {"share": (0.3, 0.3), "gap_days": (0, 0)}}
    lost = np.isnan(after("missing_readings", np.ones((1, 5000)), np.zeros(1, int), ranges=ranges))
    assert lost.mean() == pytest.approx(0.3, abs=0.03)


def test_an_unknown_change_raises_with_all_names():
    with pytest.raises(UnknownPattern, match="Unknown harmless change 'solar'; there are holiday"):
        after("solar")
