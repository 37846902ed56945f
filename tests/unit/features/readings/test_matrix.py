"""Features of readings: laws that hold for any client, and numbers worked by hand."""

import numpy as np
import pytest

from fairmeter.core.change_points import ChangePoints
from fairmeter.core.segments import Segments
from fairmeter.data.daily import DailyConsumption
from fairmeter.features.base import READING_GROUPS
from fairmeter.features.readings.covariates import MIN_CLIENTS, Covariates
from fairmeter.features.readings.matrix import CHUNK, FEATURE_NAMES, FEATURES, reading_features

NAN = np.nan
FIRST = int(np.datetime64("2012-03-05").astype(int))  # a Monday


def days_of(*series, first=FIRST):
    """DailyConsumption of clients from their kWh, all starting on one day."""
    counts = np.array([len(kwh) for kwh in series])
    day = np.concatenate([first + np.arange(n) for n in counts]) if len(series) else np.array([], int)
    return DailyConsumption(Segments(counts), day, np.concatenate([np.asarray(kwh, float) for kwh in series]))


def household(seed, n=400, missing=0.0):
    """Days with a level, weeks, a winter and noise."""
    rng = np.random.default_rng(seed)
    day = np.arange(n)
    log = 2.0 + 0.3 * np.cos(day / 58.0) + 0.1 * (day % 7 >= 5) + rng.normal(0, 0.2, n) + rng.normal(0, 0.5)
    return np.where(rng.random(n) < missing, NAN, np.exp(log))


def town(n=60, n_days=400, missing=0.02):
    return [household(seed, n_days, missing) for seed in range(n)]


def surroundings_of(days):
    day = np.arange(days.day.min(), days.day.max() + 1)
    return Covariates.from_consumption(days, weather=(day, 10.0 + 8.0 * np.cos(day / 58.0)), holidays=day[::97])


def features(*series, covariates=None, first=FIRST):
    return reading_features(days_of(*series, first=first), covariates)


def value(name, *kwh, **options):
    return float(
        features(np.concatenate([np.atleast_1d(part) for part in kwh]), **options)[0, FEATURE_NAMES.index(name)]
    )


def identical(one, other):
    np.testing.assert_array_equal(one, other, strict=True)


# --- laws -------------------------------------------------------------------------------------------------------------

HARD_CASES = {
    "one day": [5.0],
    "one day of zero": [0.0],
    "two days": [5.0, 0.0],
    "a week": household(1, 7),
    "ten days": household(2, 10),
    "zeros": np.zeros(200),
    "flat": np.full(200, 3.0),
    "mostly missing": household(3, 400, 0.97),
    "missing but for the ends": np.where(np.isin(np.arange(300), (0, 299)), 4.0, NAN),
    "a long gap": np.where(np.abs(np.arange(400) - 200) < 150, NAN, household(4)),
    "huge": household(5) * 1e9,
    "tiny": household(6) * 1e-9,
    "one outlier": np.where(np.arange(400) == 250, 1e12, household(7)),
}


@pytest.mark.parametrize("with_surroundings", [False, True], ids=["alone", "with covariates"])
class TestLaws:
    def test_a_client_alone_has_what_it_has_in_a_batch_to_the_last_bit(self, with_surroundings):
        series = [*town(CHUNK + 7, 300), *HARD_CASES.values()]
        days = days_of(*series)
        given = surroundings_of(days) if with_surroundings else None
        together = reading_features(days, given)
        for client in (0, CHUNK - 1, CHUNK, *range(CHUNK + 7, len(series))):
            identical(reading_features(days.slice(client, client + 1), given), together[client : client + 1])

    def test_the_order_of_clients_does_not_matter(self, with_surroundings):
        series = [*town(20, 200), *HARD_CASES.values()]
        given = surroundings_of(days_of(*series)) if with_surroundings else None
        order = np.random.default_rng(0).permutation(len(series))
        mixed = features(*(series[i] for i in order), covariates=given)
        identical(mixed, features(*series, covariates=given)[order])

    @pytest.mark.parametrize("kwh", HARD_CASES.values(), ids=HARD_CASES)
    def test_no_client_is_too_hard(self, with_surroundings, kwh):
        given = surroundings_of(days_of(*town(30, 400))) if with_surroundings else None
        row = features(kwh, covariates=given)[0]
        assert row.dtype == np.float32
        assert not np.isinf(row).any()
        assert row[FEATURE_NAMES.index("n_days")] == np.count_nonzero(~np.isnan(kwh))


def test_the_order_of_rows_does_not_matter():
    kwh = household(1, 90)
    rows = {
        "client": np.zeros(90, dtype=np.int64),
        "read_at": (FIRST + np.arange(90)).astype("datetime64[D]").astype("datetime64[m]"),
        "consumption_kwh": kwh,
    }
    order = np.random.default_rng(1).permutation(90)
    mixed = {name: column[order] for name, column in rows.items()}
    identical(
        reading_features(DailyConsumption.from_readings(mixed, 1)),
        reading_features(DailyConsumption.from_readings(rows, 1)),
    )


def test_nothing_depends_on_todays_date_or_the_year():
    kwh = household(2, 300)
    day_28_years_on = FIRST + 7 * 1461  # weekdays and seasons are the same
    identical(features(kwh), features(kwh, first=day_28_years_on))


def test_a_client_without_readings_is_missing_and_does_not_affect_others():
    series = [household(1), [], household(2), []]
    found = features(*series)
    assert np.isnan(found[[1, 3]]).all()
    identical(found[[0, 2]], features(series[0], series[2]))
    assert reading_features(days_of([])).shape == (1, len(FEATURES))


def test_without_covariates_features_of_neighbours_weather_and_holidays_are_missing():
    row = features(household(1))[0]
    for name in ("neighbours_slope", "neighbours_correlation", "cold_slope", "off_weather_30", "holiday"):
        assert np.isnan(row[FEATURE_NAMES.index(name)]), name
    given = surroundings_of(days_of(*town(30)))
    row = features(household(1), covariates=given)[0]
    for name in ("neighbours_slope", "neighbours_correlation", "cold_slope", "off_weather_30", "holiday"):
        assert not np.isnan(row[FEATURE_NAMES.index(name)]), name


def test_daily_readings_have_no_features_of_hours():
    row = features(household(1))[0]
    assert np.isnan(row[[name.startswith(("night_share", "zero_hours")) for name in FEATURE_NAMES]]).all()


def test_names_are_unique_and_every_feature_has_its_group_and_sentence():
    assert len(set(FEATURE_NAMES)) == len(FEATURES)
    for feature in FEATURES:
        assert feature.group in READING_GROUPS, feature
        assert feature.text, feature


# --- by hand ----------------------------------------------------------------------------------------------------------

BY_HAND = [
    ("n_days", [1, NAN, 3, 4], 3),
    ("known_share", [1, NAN, 3, 4], 0.75),
    ("mean_kwh", [1, NAN, 3, 5], 3),
    ("mean_7_kwh", [9, 1, 2, 3, 4, 5, 6, 7], 4),
    ("mean_30_kwh", [9, 1, 2, 3, 4, 5, 6, 10], 5),
    ("std_kwh", [2, 4, 4, 4, 5, 5, 7, 9], 2),
    ("level", [np.e, np.e, np.e, 1, 9], 1),
    ("peak_to_average", [1, 1, 1, 5], 2.5),
    ("lag_1", [2, 4, 6], 1),
    ("derivative_1", [2, 4, 6], 0.5),
    ("zero_share", [0, 4, 4, 4, 0], 0.4),
    ("zero_longest", [4, 0, 0, 4, 0, 4, 4], 2),
    ("zero_lately", [4, 4, 4, 4, 0, 4, 0, 0], 2),
    ("zero_runs", [4, 0, 0, 4, 0, 4, 4], 2),
    ("missing_longest", [4, NAN, NAN, NAN, 4, NAN, 4], 3),
    ("flat_longest", [1, 2, 2, 2, 3, 4], 2),
    ("distinct_share", [1, 2, 2, 4], 0.75),
    ("mode_share", [1, 2, 2, 4], 0.5),
    ("whole_share", [1, 2, 2.5, 4.25], 0.5),
    ("tenth_share", [1, 2, 2.5, 4.25], 0.75),
    ("ratio_last_30", [*[8] * 60, *[2] * 30], np.log(0.26 / 1.01)),
    ("off_usual_step_ago", [*[8] * 60, *[2] * 30], 30),
    ("off_usual_step_explained", [*[8] * 60, *[2] * 30], 1),
    ("log_last_30", [*[8] * 60, *[2] * 30], np.log(0.30 / 1.05)),
    ("log_fall_1_size", [*[8] * 60, *[2] * 30], np.log(0.30 / 1.05)),
    ("log_rise_size", [*[8] * 60, *[2] * 30], 0),
    ("log_year_on_year_28", [*[8] * 100, *[2] * 364], np.log(1.05 / 4.05)),  # the level is that of most days: 2 kWh
    ("ceiling_30_held", [*[8] * 60, *[2] * 30], 30),
    ("ceiling_30_n_at", [*[8] * 60, *[2] * 30], 30),
]


@pytest.fixture
def exact(monkeypatch):
    """Whole kWh are what was used, not what a meter rounded to."""
    monkeypatch.setattr("fairmeter.features.readings.matrix.without_rounding", lambda days: days)


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize(("name", "kwh", "expected"), BY_HAND, ids=[name for name, *_ in BY_HAND])
def test_numbers_worked_by_hand(name, kwh, expected):
    assert value(name, kwh) == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.usefixtures("exact")
def test_weekends_and_seasons_follow_the_calendar():
    day = np.arange(364)
    kwh = np.where(day % 7 >= 5, 8.0, 4.0)  # FIRST is a Monday
    assert value("weekend", kwh) == pytest.approx(np.log(2.05 / 1.05), rel=1e-4)
    in_june = np.datetime64("2012-06-15").astype(int) - FIRST
    summer = np.where(np.abs(day - in_june) < 10, 8.0, 4.0)
    assert value("summer", summer) > 0.1 > 0 > value("winter", summer)


def test_a_ramp_is_distinguished_from_a_step_and_its_start_found():
    n, begin = 300, 200
    ramp = 8.0 * (1 - 0.8 * np.clip((np.arange(n) - begin + 1) / 90, 0, 1))
    by_ramp, by_step = (value(f"log_fall_{days}_explained", ramp) for days in (90, 1))
    assert by_ramp > by_step > 0.5
    assert abs(value("log_fall_90_ago", ramp) - (n - begin)) < 15


def test_ramps_searched_together_equal_those_searched_one_by_one():
    rng = np.random.default_rng(0)
    counts, series = [90, 60, 71], rng.normal(size=(2, 221))
    series[:, ::9] = NAN
    changes = ChangePoints(Segments(counts), series, rng.normal(size=(2, 221)))
    together = changes.best((1, 5, 30), (-1, 1), every=3)
    alone = [change for days in (1, 5, 30) for change in changes.best((days,), (-1, 1), every=3)]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(np.array(one), np.array(other))


@pytest.mark.parametrize("days", [1, 30])
def test_the_best_change_is_that_of_least_squares(days):
    rng = np.random.default_rng(days)
    n, t = 60, np.arange(60)
    covariate = rng.normal(size=n)
    series = 0.5 * covariate - 1.0 * np.clip((t - 30 + 1) / days, 0, 1) + rng.normal(0, 0.1, n)
    series[[5, 40]] = NAN
    found = ChangePoints(Segments([n]), series[None], covariate[None]).best((days,), (0,))[0]
    known = ~np.isnan(series)

    def fit(row):
        ramp = np.clip((t - row + 1) / days, 0, 1)
        # An additional last row shrinks the slope towards 0 by PRIOR, a sum of squares of 4.
        table = np.column_stack([np.ones(n), ramp, covariate])[known]
        table = np.vstack([table - [[0, *table[:, 1:].mean(axis=0)]], [0, 0, 2.0]])
        goal = np.append(series[known] - series[known].mean(), 0.0)
        answer, *_ = np.linalg.lstsq(table, goal, rcond=None)
        return np.sum((table @ answer - goal) ** 2), answer[1]

    errors = {row: fit(row) for row in range(7, n - 7) if known[row]}
    best = min(errors, key=lambda row: errors[row][0])
    assert found.row[0, 0] == best
    assert found.size[0, 0] == pytest.approx(errors[best][1], rel=1e-3)


def test_a_scale_a_subtraction_and_a_ceiling_leave_their_own_traces():
    honest = household(3, 360)
    stolen = {
        "scale": 0.5 * honest,
        "subtraction": np.maximum(honest - 0.5 * np.median(honest), 0),
        "ceiling": np.minimum(honest, np.quantile(honest, 0.3)),
    }
    misfit = {
        kind: {
            name: value(f"off_{name}_90", np.where(np.arange(360) < 270, honest, kwh))
            for name in ("scale", "subtraction", "ceiling")
        }
        for kind, kwh in stolen.items()
    }
    for kind, found in misfit.items():
        assert min(found, key=found.get) == kind, (kind, found)


def test_a_copied_month_has_the_least_deviation_from_the_month_before():
    kwh = household(4, 240)
    copied = kwh.copy()
    for day in range(180, 240):
        copied[day] = 0.6 * kwh[150 + day % 30]
    assert value("repeat_30_least", copied) < 0.01 < 0.1 < value("repeat_30_least", kwh)


def test_solar_panels_follow_the_sun_and_a_theft_does_not():
    day = np.arange(500)
    since_midsummer = day + FIRST - np.datetime64("2012-06-21").astype(int)
    height = 0.5 + 0.5 * np.cos(2 * np.pi * since_midsummer / 365.25)
    flat = np.exp(np.random.default_rng(2).normal(2, 0.05, 500))
    panels, theft = (np.where(day >= 200, flat * share, flat) for share in (1 - 0.7 * height, 0.5))
    assert value("sun_correlation_after", panels) < -0.9
    assert abs(value("sun_correlation_after", theft)) < 0.3


def test_hourly_features_show_use_that_moved_to_the_night():
    hours = np.tile(np.r_[np.full(6, 0.5), np.full(18, 1.0)], (60, 1))
    hours[30:] = np.r_[np.full(6, 3.0), np.full(18, 1.0 / 6.0)]
    moments = np.datetime64("2013-01-01", "m") + 60 * np.arange(60 * 24)
    table = {"client": np.zeros(60 * 24, np.int64), "read_at": moments, "consumption_kwh": hours.ravel()}
    row = dict(zip(FEATURE_NAMES, reading_features(DailyConsumption.from_readings(table, 1))[0], strict=True))
    assert row["night_share_last_30"] == pytest.approx(18 / 21)
    assert row["night_share_change_30"] == pytest.approx(18 / 21 - 3 / 21)
    assert row["night_share_split_ago"] == 30


# --- covariates -----------------------------------------------------------------------------------------------------


def test_the_factor_is_what_clients_have_in_common_even_when_two_in_five_steal():
    n_days, day = 300, np.arange(300)
    common = 0.4 * np.cos(day / 40.0)
    rng = np.random.default_rng(0)
    kwh = np.exp(common + rng.normal(0, 1, (200, 1)) + rng.normal(0, 0.2, (200, n_days)))
    kwh[:80, 200:] *= 0.3
    factor = Covariates.from_consumption(days_of(*kwh)).factor[0]
    off = factor - common
    assert np.corrcoef(factor[:200], common[:200])[0, 1] > 0.99
    # With two in five stealing, the median is in the lower half of the honest clients, far above the thefts.
    assert abs(np.median(off[200:]) - np.median(off[:200])) < 0.25 * abs(np.log(0.3))


def test_the_adjusted_fall_contains_the_theft_and_not_the_season():
    fall_of_all = np.where(np.arange(300) < 240, 1.0, 0.5)
    rng = np.random.default_rng(1)
    series = [np.exp(rng.normal(0, 0.1, 300)) * fall_of_all * 8.0 for _ in range(40)]
    series[0] = np.where(np.arange(300) < 240, series[0], 0.4 * series[0])
    days = days_of(*series)
    found = reading_features(days, Covariates.from_consumption(days))[:, FEATURE_NAMES.index("adjusted_last_60")]
    assert found[0] < -0.5
    assert np.abs(found[1:]).max() < 0.1


def test_a_date_with_too_few_clients_has_no_factor_and_a_small_group_takes_that_of_all():
    enough, few = days_of(*town(MIN_CLIENTS, 40, 0)), days_of(*town(MIN_CLIENTS - 1, 40, 0))
    assert not np.isnan(Covariates.from_consumption(enough).factor).any()
    assert np.isnan(Covariates.from_consumption(few).factor).all()
    cell = np.arange(MIN_CLIENTS) // (MIN_CLIENTS - 3)
    by_cell = Covariates.from_consumption(enough, cell=cell)
    identical(by_cell.factor[1], Covariates.from_consumption(enough).factor[0])


def test_outside_their_dates_covariates_are_missing():
    given = surroundings_of(days_of(*town(30, 100)))
    identical(features(household(1), first=FIRST + 5000, covariates=given), features(household(1), first=FIRST + 5000))


# --- days of the week, and two levels in turn -------------------------------------------------------------------------


def weekly_home(n_weeks, noise=0.02, seed=3):
    """A year or two of equal weeks with little noise, from a Monday on. [(weeks, 7)]"""
    return np.exp(1.0 + np.random.default_rng(seed).normal(0, noise, (n_weeks, 7)))


def test_weekends_halved_show_against_weekdays_and_at_the_right_week():
    weeks = weekly_home(80)
    weeks[-20:, 5:] *= 0.5
    found = dict(zip(FEATURE_NAMES, features(weeks.ravel())[0], strict=True))
    assert found["weekend_off_13w"] == pytest.approx(np.log(0.55 / 1.05), abs=0.12)
    assert found["weekend_z_13w"] < -20
    assert found["weekend_fall_ago"] == 20
    assert found["weekend_fall_size"] == pytest.approx(np.log(0.55 / 1.05), abs=0.05)
    assert found["weekend_fall_weekends"] == pytest.approx(np.log(0.55 / 1.05), abs=0.05)
    assert found["weekend_fall_weekdays"] == pytest.approx(0.0, abs=0.02)
    assert found["weekend_year_on_year_9w"] == pytest.approx(np.log(0.55 / 1.05), abs=0.05)
    assert abs(found["wednesday_z_9w"]) < abs(found["saturday_z_9w"])


def test_one_day_of_the_week_shows_against_the_other_six():
    weeks = weekly_home(60)
    weeks[-15:, 2] *= 0.3
    found = dict(zip(FEATURE_NAMES, features(weeks.ravel())[0], strict=True))
    size = np.log(0.35 / 1.05)
    assert found["wednesday_fall_size"] == pytest.approx(size, abs=0.05)
    others = [found[f"{day}_fall_size"] for day in ("monday", "tuesday", "thursday", "friday", "saturday", "sunday")]
    assert min(others) > -0.1


def test_a_week_is_from_monday_to_sunday_whatever_day_a_series_begins_on():
    weeks = weekly_home(60)
    weeks[-20:, 5:] *= 0.4
    whole, later = weeks.ravel(), weeks.ravel()[3:]
    for name in ("weekend_fall_size", "weekend_off_9w", "weekend_fall_ago"):
        assert value(name, later, first=FIRST + 3) == pytest.approx(value(name, whole), abs=0.02)


def test_two_levels_in_turn_are_separated_with_their_distance_share_and_switches():
    days = np.exp(np.random.default_rng(4).normal(1, 0.05, 360))
    low = np.zeros(360, bool)
    low[200:207] = low[220:227] = low[240:247] = low[300:307] = True
    kwh = np.where(low, 0.3 * days, days)
    found = dict(zip(FEATURE_NAMES, features(kwh)[0], strict=True))
    assert found["levels_distance_1"] == pytest.approx(np.log(1.03 / 0.33), abs=0.05)
    assert found["levels_low_share_1"] == pytest.approx(28 / 360, abs=1e-6)
    assert found["levels_switches_1"] == pytest.approx(8 / 359, abs=1e-6)
    assert found["levels_low_share_1_last_182"] == pytest.approx(28 / 182, abs=1e-6)
    assert found["levels_gain_1"] > 200
    assert value("levels_distance_1", days) < 0.2


def test_a_low_week_of_a_bypass_keeps_its_ups_and_downs_and_that_of_an_empty_home_does_not():
    days = np.exp(np.random.default_rng(5).normal(1, 0.3, 350))
    stolen, empty = days.copy(), days.copy()
    for start in (98, 196, 294):
        stolen[start : start + 14] *= 0.25
        empty[start : start + 14] = 0.25 * np.exp(1)
    ratio = {name: value("low_weeks_jump_ratio", kwh) for name, kwh in (("stolen", stolen), ("empty", empty))}
    assert ratio["stolen"] > 0.6
    assert ratio["empty"] < 0.1
    assert value("low_weeks_70", stolen) == pytest.approx(6 / 50, abs=0.03)
    assert value("low_weeks_runs", stolen) == 3
    assert value("low_weeks_longest", stolen) == 2
    assert value("low_weeks_current", stolen) == 0
