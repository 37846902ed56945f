"""Thefts by composition: the laws of every combination, and each part worked by hand on a few days."""

import numpy as np
import pytest

from fairmeter.core.calendar import DAYS_PER_YEAR
from fairmeter.simulation import compositions
from fairmeter.simulation.compositions import (
    ALL,
    COURSES,
    DAYS,
    FORMS,
    HELD_OUT,
    HELD_OUT_VALUES,
    TRAINED,
    TUNING,
    TUNING_VALUES,
    Composition,
    apply_compositions,
    apply_in_turn,
    sample_compositions,
)

MONDAY = int(np.datetime64("2013-01-07").astype(int))
N_DAYS, ONSET = 400, 150
RISES = {"flat", "copied", "mixed", "compressed"}  # forms that may exceed a low day


@pytest.fixture(scope="module")
def honest():
    """Forty series that share hot and cold days."""
    rng = np.random.default_rng(1)
    common = rng.normal(0, 0.1, N_DAYS)
    kwh = np.exp(rng.normal(1, 0.5, (40, 1)) + common + rng.normal(0, 0.2, (40, N_DAYS)))
    kwh[:, 10] = np.nan
    return kwh


def stolen(kwh, days="every_day", form="zero", course="lasting", seed=2):
    onset = np.full(len(kwh), ONSET)
    chosen = [Composition(days, form, course)] * len(kwh)
    return apply_compositions(kwh, onset, MONDAY, chosen, np.random.default_rng(seed))


def changed_days(honest, **parts):
    """Whether each day after the onset is changed. [(series, day)]"""
    return ~np.isclose(stolen(honest, **parts), honest, equal_nan=True)[:, ONSET:]


def test_every_composition_keeps_the_laws(honest):
    chosen, rng = [ALL[i % len(ALL)] for i in range(len(ALL))], np.random.default_rng(3)
    kwh = honest[np.arange(len(ALL)) % len(honest)]
    before = kwh.copy()
    out = apply_compositions(kwh, np.full(len(kwh), ONSET), MONDAY, chosen, rng)
    np.testing.assert_array_equal(kwh, before)
    np.testing.assert_array_equal(np.isnan(out), np.isnan(kwh))
    np.testing.assert_array_equal(out[:, :ONSET], kwh[:, :ONSET])
    assert np.nanmin(out) >= 0.0
    may_rise = np.array([each.form in RISES for each in chosen])
    assert (np.nan_to_num(out - kwh)[~may_rise] <= 1e-12).all()
    lost = np.nansum(kwh - out, axis=1)
    assert (lost > 0).mean() > 0.9


def test_the_held_out_compositions_share_one_part_each_with_no_training_file():
    for held_out, values, others in (
        (TUNING, TUNING_VALUES, HELD_OUT_VALUES),
        (HELD_OUT, HELD_OUT_VALUES, TUNING_VALUES),
    ):
        assert {len(values & set(each)) for each in held_out} == {1}
        assert not any(others & set(each) for each in held_out)
        assert set().union(*held_out) >= values
    assert not any((TUNING_VALUES | HELD_OUT_VALUES) & set(each) for each in TRAINED)
    assert set().union(*TRAINED) == {*DAYS, *FORMS, *COURSES} - TUNING_VALUES - HELD_OUT_VALUES


def test_all_days_are_drawn_three_times_as_often_as_any_other_choice():
    drawn = [each.days for each in sample_compositions(TRAINED, 6000, np.random.default_rng(4))]
    n_choices = len({each.days for each in TRAINED})
    assert drawn.count("every_day") / len(drawn) == pytest.approx(3 / (n_choices + 2), abs=0.03)


class TestDays:
    @pytest.mark.parametrize(
        ("days", "weekdays"), [("weekends", {5, 6}), ("working_days", {0, 1, 2, 3, 4}), ("every_day", set(range(7)))]
    )
    def test_days_of_the_week(self, honest, days, weekdays):
        weekday = (np.arange(ONSET, N_DAYS)) % 7
        expected = np.isin(weekday, list(weekdays))
        np.testing.assert_array_equal(changed_days(honest, days=days), np.tile(expected, (len(honest), 1)))

    def test_some_weekdays_are_one_to_four_and_the_same_in_all_weeks(self, honest):
        found = changed_days(honest, days="some_weekdays")[:, : 7 * 35].reshape(len(honest), 35, 7)
        assert (found == found[:, :1]).all()
        assert set(found[:, 0].sum(axis=1)) == {1, 2, 3, 4}

    def test_weeks_are_whole_from_monday_to_sunday(self, honest):
        monday = -ONSET % 7
        found = changed_days(honest, days="whole_weeks")[:, monday : monday + 7 * 30].reshape(len(honest), 30, 7)
        assert (found == found[..., :1]).all()
        assert 0.4 < found.mean() < 0.6

    def test_blocks_last_two_to_twenty_days(self, honest):
        for series in changed_days(honest, days="blocks"):
            first = np.argmin(series) if not series.all() else len(series)
            assert 2 <= first <= 20

    def test_winter_is_around_midwinter_and_summer_around_midsummer(self, honest):
        day = MONDAY + np.arange(ONSET, N_DAYS)
        away = np.abs((day - compositions.MIDSUMMER + DAYS_PER_YEAR / 2) % DAYS_PER_YEAR - DAYS_PER_YEAR / 2)
        summer, winter = (changed_days(honest, days=name) for name in ("summer", "winter"))
        assert summer[:, away < 45].all()
        assert not summer[:, away > 105].any()
        assert winter[:, away > DAYS_PER_YEAR / 2 - 45].all()
        assert not winter[:, away < DAYS_PER_YEAR / 2 - 105].any()

    def test_days_of_high_and_low_demand_follow_what_all_use(self, honest):
        common = np.log(honest[:, ONSET:]).mean(axis=0)
        for days, sign in (("high_demand", 1), ("low_demand", -1)):
            chosen = changed_days(honest, days=days).mean(axis=0)
            assert sign * np.corrcoef(chosen, common)[0, 1] > 0.7

    def test_the_first_days_of_a_month_and_every_few_days(self, honest):
        date = (MONDAY + np.arange(ONSET, N_DAYS)).astype("datetime64[D]")
        of_month = (date - date.astype("datetime64[M]")).astype(int)
        early = changed_days(honest, days="early_in_month")
        assert early[:, of_month < 6].all()
        assert not early[:, of_month >= 20].any()
        rate = changed_days(honest, days="every_few_days").mean(axis=1)
        assert set(np.rint(1 / rate)) <= {2, 3, 4, 5}


class TestForms:
    def test_the_size_is_the_share_taken(self, honest):
        share = (1 - stolen(honest, form="scaled") / honest)[:, ONSET:]
        assert np.nanstd(share, axis=1).max() < 1e-9
        size = share[:, 0]
        assert 0.2 <= size.min() < 0.35 < 0.85 < size.max() <= 1.0

    def test_subtracted_capped_and_base_kept_change_the_days_that_they_should(self, honest):
        taken = {
            form: (honest - stolen(honest, form=form))[:, ONSET:] for form in ("subtracted", "capped", "base_kept")
        }
        constant = np.nanmax(taken["subtracted"], axis=1)
        left = honest[:, ONSET:] - taken["subtracted"]
        off = np.where(left > 0, taken["subtracted"] - constant[:, None], 0.0)
        assert np.abs(off).max() < 1e-9
        registered = honest[:, ONSET:] - taken["capped"]
        is_cut = taken["capped"] > 1e-9
        cap = np.nanmax(registered, axis=1, keepdims=True)
        np.testing.assert_allclose(np.where(is_cut, registered, cap), np.broadcast_to(cap, is_cut.shape))
        base = np.nanquantile(honest, 0.1, axis=1)[:, None]
        assert not taken["base_kept"][honest[:, ONSET:] < 0.95 * base].any()
        assert (taken["base_kept"][honest[:, ONSET:] > 1.05 * base] > 0).all()

    def test_flat_and_copied_repeat_what_was_before(self, honest):
        flat = stolen(honest, form="flat")[:, ONSET:]
        np.testing.assert_allclose(flat, flat[:, :1] + 0 * flat)
        copied = stolen(honest, form="copied")
        for series, before in zip(copied, honest, strict=True):
            lags = [
                k
                for k in range(7, 36, 7)
                if np.allclose(series[ONSET : ONSET + 100], series[ONSET + k : ONSET + 100 + k])
            ]
            period = lags[0]
            ratio = series[ONSET : ONSET + period] / before[ONSET - period : ONSET]
            np.testing.assert_allclose(ratio, ratio[0])

    def test_a_mixture_takes_two_forms_day_by_day(self, honest):
        mixed, zero = stolen(honest, form="mixed")[:, ONSET:], 0.0
        share = np.mean(mixed == zero, axis=1)
        assert ((share > 0.1) & (share < 0.9)).any()
        assert (share == 0).any()

    def test_compressed_days_keep_their_order_and_come_nearer(self, honest):
        out = stolen(honest, form="compressed")[:, ONSET:]
        spread = np.log(out).std(axis=1) / np.log(honest[:, ONSET:]).std(axis=1)
        assert (spread <= 0.8 + 1e-9).all()
        assert (np.argmax(out, axis=1) == np.argmax(honest[:, ONSET:], axis=1))[spread > 0.01].all()


class TestCourses:
    def share_taken(self, honest, course):
        return 1 - stolen(honest, course=course)[:, ONSET:] / honest[:, ONSET:]

    def test_growing_reaches_all_within_thirty_to_two_hundred_and_forty_days(self, honest):
        taken = self.share_taken(honest, "growing")
        whole = (taken > 1 - 1e-9).argmax(axis=1)
        assert (np.diff(taken, axis=1) >= -1e-9).all()
        assert whole.min() >= 29
        assert whole.max() <= 240

    def test_the_others_last_end_fade_climb_and_go_on_and_off(self, honest):
        assert (self.share_taken(honest, "lasting") == 1).all()
        ending = self.share_taken(honest, "ending")
        assert set(ending.sum(axis=1)) <= set(range(20, 181))
        fading = self.share_taken(honest, "fading")
        assert (fading[:, 0] > 0.98).all()
        assert (np.diff(fading, axis=1) <= 1e-9).all()
        stairs = self.share_taken(honest, "in_stairs")
        assert {len(np.unique(np.round(series, 6))) for series in stairs} == {2, 3, 4}
        switches = (np.abs(np.diff(self.share_taken(honest, "on_and_off"), axis=1)) > 0.5).sum(axis=1)
        assert (switches >= 4).all()


def test_a_second_composition_takes_over_and_the_first_ends(honest):
    onset, n = np.full(len(honest), ONSET), len(honest)
    pair = ([Composition("every_day", "zero", "lasting")] * n, [Composition("weekends", "zero", "lasting")] * n)
    out = apply_in_turn(honest, onset, MONDAY, pair, np.random.default_rng(5))
    weekday = np.arange(N_DAYS) % 7
    assert (out[:, ONSET : ONSET + 20] == 0).all()
    late = out[:, ONSET + 151 :]
    assert (late[:, weekday[ONSET + 151 :] >= 5] == 0).all()
    np.testing.assert_array_equal(
        late[:, weekday[ONSET + 151 :] < 5], honest[:, ONSET + 151 :][:, weekday[ONSET + 151 :] < 5]
    )
