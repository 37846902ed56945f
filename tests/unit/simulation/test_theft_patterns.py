"""Theft patterns on short series: by hand with fixed parameters, and invariants of all patterns."""

from itertools import product

import numpy as np
import pytest

from fairmeter.simulation.pattern import UnknownPattern, WrongSeries
from fairmeter.simulation.theft_patterns import INVOICED, PATTERNS, PUBLISHED, WIDE, apply_theft

N_SERIES, N_DAYS = 40, 240
MONTHLY, DAILY, HOURLY = 12 / 365.25, 1.0, 24.0
STEPS = [MONTHLY, DAILY, HOURLY]
NAN = np.nan
# Per step they lower what is registered; the others put something else in its place, or move it in time.
NEVER_ABOVE = {
    "constant_scale", "bypass_window", "random_scale", "cut_off", "subtract", "zero", "gradual", "intermittent_zero",
    "neighbourhood_deviation", "rollback", "meter_change", "phase_lost",
}  # fmt: skip


def honest_kwh(n_series=N_SERIES, n_steps=N_DAYS):
    """Irregular series with missing readings, also at the start and the end."""
    rng = np.random.default_rng(1)
    kwh = rng.gamma(3, 4, (n_series, n_steps))
    kwh[rng.random(kwh.shape) < 0.05] = NAN
    kwh[::3, :20] = NAN
    kwh[1::3, -30:] = NAN
    return kwh


def onsets(n_series=N_SERIES):
    return np.random.default_rng(3).integers(40, 180, n_series)


def stolen(name, kwh=None, onset=None, steps_per_day=DAILY, ranges=PUBLISHED, seed=2):
    kwh = honest_kwh() if kwh is None else kwh
    onset = onsets(len(kwh)) if onset is None else onset
    return apply_theft(kwh, onset, name, np.random.default_rng(seed), steps_per_day, ranges)


def worked(name, kwh, onset=0, steps_per_day=DAILY, **fixed):
    """One series attacked with fixed parameters, rounded."""
    ranges = {name: {parameter: (value, value) for parameter, value in fixed.items()}}
    assert set(fixed) == set(PUBLISHED[name]), "a worked example leaves nothing to chance"
    return np.round(stolen(name, np.array([kwh], float), np.array([onset]), steps_per_day, ranges)[0], 6).tolist()


def allowed(name, steps_per_day):
    return steps_per_day >= 24 or not PATTERNS[name].needs_hours


# --- laws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PATTERNS)
def test_at_every_step_a_pattern_keeps_the_laws(name, subtests):
    steps = [steps_per_day for steps_per_day in STEPS if allowed(name, steps_per_day)]
    for steps_per_day, (kind, ranges) in product(steps, {"published": PUBLISHED, "wide": WIDE}.items()):
        given, at = honest_kwh(), {"steps_per_day": steps_per_day, "ranges": kind}
        registered = stolen(name, given, steps_per_day=steps_per_day, ranges=ranges)
        known = ~np.isnan(honest_kwh())
        with subtests.test("the input is unchanged", **at):
            np.testing.assert_array_equal(given, honest_kwh())
        with subtests.test("the same seed gives the same series", **at):
            np.testing.assert_array_equal(registered, stolen(name, steps_per_day=steps_per_day, ranges=ranges))
        with subtests.test("it adds no missing values", **at):
            np.testing.assert_array_equal(~np.isnan(registered), known)
        with subtests.test("it is honest before the onset", **at):
            is_before = np.arange(N_DAYS) < onsets()[:, None]
            np.testing.assert_array_equal(registered[is_before], given[is_before])
        with subtests.test("it is finite and never negative", **at):
            assert np.isfinite(registered[known]).all()
            assert (registered[known] >= 0).all()
        if name in NEVER_ABOVE:
            with subtests.test("it registers no more than was used", **at):
                assert (registered[known] - given[known] <= 1e-9).all()


@pytest.mark.parametrize("name", PATTERNS)
def test_at_the_ends_a_pattern_keeps_the_laws(name, subtests):
    with subtests.test("an onset after the last step is never"):
        never = np.full(N_SERIES, N_DAYS)
        np.testing.assert_array_equal(stolen(name, onset=never, steps_per_day=HOURLY), honest_kwh())
    with subtests.test("a theft older than the series shows from its first step"):
        older = stolen(name, honest_kwh(), np.full(N_SERIES, -17), HOURLY)
        np.testing.assert_array_equal(np.isnan(older), np.isnan(honest_kwh()))
    with subtests.test("without consumption nothing is registered"):
        assert not stolen(name, np.zeros((3, 96)), np.zeros(3, int), HOURLY).any()
    with subtests.test("a series without a reading passes"):
        assert np.isnan(stolen(name, np.full((2, 48), NAN), np.array([0, 5]), HOURLY)).all()
    with subtests.test("series of no step pass"):
        assert stolen(name, np.empty((2, 0)), np.array([0, 0]), HOURLY).shape == (2, 0)
    with subtests.test("no series at all passes"):
        assert stolen(name, np.empty((0, 9)), np.empty(0, int), HOURLY).shape == (0, 9)


@pytest.mark.parametrize("name", [name for name in PATTERNS if name != "low_user"])  # that is made of another series
def test_with_fixed_parameters_a_series_does_not_depend_on_the_others(name):
    fixed = {parameter: (sum(ends) / 2,) * 2 for parameter, ends in PUBLISHED[name].items()}
    # What is drawn at each step is fixed too.
    fixed |= {p: (0.5, 0.5) for p in ("least", "most") if "least" in fixed} | {"honest_share": (0, 0)}
    ranges = {name: {parameter: fixed[parameter] for parameter in PUBLISHED[name]}}
    kwh, onset = honest_kwh()[:6], onsets()[:6]
    alone = [stolen(name, kwh[[row]], onset[[row]], HOURLY, ranges)[0] for row in range(6)]
    np.testing.assert_array_equal(stolen(name, kwh, onset, HOURLY, ranges), alone)


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_names_its_source_and_its_wide_ranges_hold_the_published_ones(name):
    assert PATTERNS[name].source
    assert PATTERNS[name].formula.__doc__
    assert set(PUBLISHED[name]) == set(WIDE[name])
    for parameter, (least, most) in PUBLISHED[name].items():
        assert WIDE[name][parameter][0] <= least <= most <= WIDE[name][parameter][1], parameter


# --- worked examples --------------------------------------------------------------------------------------------------


def test_every_theft_lowers_the_sum_unless_it_moves_energy_within_a_day():
    kwh = np.random.default_rng(5).gamma(6, 2, (60, 24 * 60))
    for name, pattern in PATTERNS.items():
        share = stolen(name, kwh, np.zeros(60, int), HOURLY).sum() / kwh.sum()
        if name in ("mean", "reversal", "irregular_hours"):
            assert share == pytest.approx(1)
        else:
            assert (share < 0.97) == pattern.is_theft, name


@pytest.mark.parametrize(
    ("name", "fixed", "honest", "expected"),
    [
        ("constant_scale", {"share": 0.5}, [4, NAN, 2, 0], [2, NAN, 1, 0]),
        ("neighbourhood_deviation", {"share": 0.75}, [4, 8], [3, 6]),
        ("zero", {}, [4, NAN, 2], [0, NAN, 0]),
        ("random_scale", {"least": 0.5, "most": 0.5}, [4, 2], [2, 1]),
        ("random_mean", {"least": 0.5, "most": 0.5}, [4, NAN, 2], [1.5, NAN, 1.5]),
        ("mean", {"level": 1}, [4, NAN, 2, 0], [2, NAN, 2, 2]),
        ("cut_off", {"quantile": 0.5}, [4, 1, NAN, 3, 2], [3, 1, NAN, 3, 2]),
        ("subtract", {"share": 0.5}, [4, 1, NAN, 7], [2, 0, NAN, 5]),
        ("gradual", {"ramp_days": 4, "most": 0.8}, [10] * 7, [10, 8, 6, 4, 2, 2, 2]),
        ("intermittent_zero", {"honest_share": 0, "spell_days": 0}, [4, 2], [0, 0]),
        ("intermittent_zero", {"honest_share": 1, "spell_days": 2}, [4, 2, 3, 1], [0, 0, 3, 1]),
        ("spike", {"more": 2, "days": 2}, [1, 2, 3], [3, 6, 3]),
        ("phase_lost", {"n_lost": 1}, [3, 6], [2, 4]),
        ("phase_lost", {"n_lost": 2}, [3, 6], [1, 2]),
        ("meter_change", {"share": 0.5, "dead_days": 1}, [4, 4, 2], [0, 2, 1]),
        ("stall", {"stall_days": 2, "every_days": 4, "share": 0.5}, [2, 4, 1, 1, 2, 2, 3], [0, 0, 4, 1, 0, 0, 5]),
        ("rollback", {"share": 0.5, "every_days": 4}, [1, 2, 3, 4, 6], [0, 0, 1, 4, 3]),
        ("bypass_window", {"hours": 5, "start_hour": 0, "days": 2, "every_days": 3}, [1] * 7, [0, 0, 1, 0, 0, 1, 0]),
    ],
)
def test_on_daily_series_from_the_first_day(name, fixed, honest, expected):
    np.testing.assert_array_equal(worked(name, honest, **fixed), expected)


def test_last_month_uses_only_the_last_honest_month():
    honest = [9.0] * 10 + [3.0] * 15 + [NAN] * 5 + [1.0] * 10 + [7.0, 8.0]
    assert worked("last_month", honest, onset=40, share=0.5)[-2:] == [(15 * 3 + 10 * 1) / 25 / 2] * 2


def test_a_theft_without_honest_days_before_it_copies_the_mean_of_the_series():
    assert worked("last_month", [2, 4, 6], share=0.5) == [2, 2, 2]


def test_a_flat_line_repeats_a_share_of_the_mean_before_the_onset():
    assert worked("flat_line", [2, 6, 9, 1], onset=2, share=0.5) == [2, 6, 2, 2]


def test_low_user_takes_the_lowest_other_series_and_at_most_half_of_the_own_mean():
    kwh = np.array([[10.0, 20.0, 30.0], [1.0, NAN, 3.0], [0.0, 0.0, 0.0], [3.0, 3.0, 3.0]])
    taken = stolen("low_user", kwh, np.zeros(4, int), ranges={"low_user": {"rank": (0, 0), "most": (0.5, 0.5)}})
    # The second has no reading on the second day: the first's own 20 at the level of 2 to 20.
    np.testing.assert_allclose(taken[0], [1.0, 2.0, 3.0])
    np.testing.assert_allclose(taken[1], [1.0, NAN, 1.0])  # the fourth uses more, so its 3 become half of 2
    np.testing.assert_allclose(taken[2], [0.0, 0.0, 0.0])
    np.testing.assert_allclose(taken[3], np.array([1.0, 3.0 * 2 / 3, 3.0]) * 0.75)


class TestHours:
    def test_a_bypass_window_starts_at_the_same_hour_of_every_day(self):
        kwh = worked(
            "bypass_window", [1.0] * 72, onset=30, steps_per_day=24, hours=5, start_hour=22, days=7, every_days=30
        )
        assert [hour for hour in range(72) if kwh[hour] == 0] == [46, 47, 48, 49, 50, 70, 71]

    def test_reversal_reverses_each_day_and_preserves_its_sum(self):
        day = list(range(24))
        assert worked("reversal", day + day, onset=24, steps_per_day=24) == day + day[::-1]

    def test_reversal_leaves_a_reading_without_a_partner_unchanged(self):
        kwh = worked("reversal", [NAN, *range(1, 24), 5.0, 6.0], steps_per_day=24)
        assert kwh[1:3] == [22, 21]
        assert kwh[23:] == [23, 5, 6]

    def test_the_mean_is_that_of_each_day(self):
        assert worked("mean", [1] * 12 + [3] * 12 + [NAN] + [4] * 3, steps_per_day=24, level=1)[12:] == pytest.approx(
            [2] * 12 + [NAN] + [4] * 3, nan_ok=True
        )

    def test_irregular_hours_move_energy_into_night_hours_with_readings(self):
        kwh = worked("irregular_hours", [NAN, NAN, 1, 1, 1, 1] + [2] * 18, steps_per_day=24, share=0.5)
        assert kwh[2:6] == [1 + 18 / 4] * 4
        assert kwh[6:] == [1] * 18

    @pytest.mark.parametrize("name", ["reversal", "irregular_hours"])
    def test_patterns_within_a_day_need_hourly_series(self, name):
        with pytest.raises(WrongSeries, match="hourly"):
            stolen(name)


class TestMonths:
    def test_a_monthly_bypass_window_loses_the_share_of_its_week(self):
        kwh = worked("bypass_window", [30.0] * 3, steps_per_day=1 / 30, hours=5, start_hour=0, days=6, every_days=30)
        assert kwh == [24, 24, 24]

    def test_an_index_turned_back_each_month_registers_a_share_of_each(self):
        assert worked("rollback", [10, 20, 30], steps_per_day=MONTHLY, share=0.4, every_days=30) == [4, 8, 12]

    def test_on_invoices_thefts_grow_for_months_and_pause_for_four_months(self):
        kwh, onset = np.full((300, 48), 100.0), np.zeros(300, int)
        gradual = stolen("gradual", kwh, onset, MONTHLY, INVOICED)
        n_falling = (np.diff(gradual, axis=1) < -1e-9).sum(axis=1)
        assert n_falling.min() >= 3
        assert n_falling.max() == 24
        spells = stolen("intermittent_zero", kwh, onset, MONTHLY, INVOICED).reshape(300, 12, 4)
        assert set(np.unique(spells)) == {0, 100}
        assert (spells == spells[:, :, :1]).all()

    def test_on_invoices_an_index_stalls_for_6_to_10_months_a_year_and_catches_up_with_half_at_most(self):
        kwh = stolen("stall", np.full((300, 48), 100.0), np.zeros(300, int), MONTHLY, INVOICED)
        n_stalled = (kwh[:, :12] == 0).sum(axis=1)
        assert set(n_stalled) == {6, 7, 8, 9, 10}
        caught_up = kwh[np.arange(300), n_stalled] - 100
        assert ((caught_up >= 0) & (caught_up <= 50 * n_stalled)).all()
        np.testing.assert_allclose(kwh[:, 12:24], kwh[:, :12])


@pytest.mark.parametrize(
    ("name", "least", "most"), [("constant_scale", 0.1, 0.8), ("neighbourhood_deviation", 0.4, 0.85)]
)
def test_a_scale_is_one_share_for_each_series_within_its_published_range(name, least, most):
    share = stolen(name, np.ones((500, 3)), np.zeros(500, int))
    np.testing.assert_array_equal(share, share[:, :1] * np.ones(3))
    assert least <= share.min() < least + 0.02
    assert most - 0.02 < share.max() <= most


def test_a_random_scale_is_drawn_for_each_step():
    share = stolen("random_scale", np.ones((1, 5000)), np.zeros(1, int))[0]
    assert share.mean() == pytest.approx(0.45, abs=0.02)
    assert share.std() == pytest.approx(0.7 / 12**0.5, abs=0.01)
    assert abs(np.corrcoef(share[1:], share[:-1])[0, 1]) < 0.05


def test_an_intermittent_zero_is_honest_as_often_as_sampled():
    ranges = {"intermittent_zero": {"honest_share": (0.3, 0.3)}}
    assert stolen("intermittent_zero", np.ones((1, 5000)), np.zeros(1, int), ranges=ranges).mean() == pytest.approx(
        0.3, abs=0.03
    )


def test_only_the_spike_is_no_theft():
    assert [name for name, pattern in PATTERNS.items() if not pattern.is_theft] == ["spike"]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: stolen("bypass"), UnknownPattern, "Unknown theft pattern 'bypass'; there are constant_scale"),
        (lambda: stolen("zero", ranges={"zero": {"share": (0, 1)}}), UnknownPattern, "no parameter"),
        (lambda: stolen("zero", onset=np.zeros(3, int)), WrongSeries, "40 series"),
        (lambda: stolen("low_user", np.ones((1, 5))), WrongSeries, "another client"),
    ],
)
def test_invalid_attacks_raise_with_a_reason(call, error, message):
    with pytest.raises(error, match=message):
        call()
