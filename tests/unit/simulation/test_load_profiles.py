"""Daily consumption of simulated homes against real ones; effects of heat, cold, weekends and holidays."""

import numpy as np
import pytest

from fairmeter.simulation.load_profiles import draw_hours, draw_use
from fairmeter.simulation.metering import DAY
from fairmeter.simulation.weather import draw_temperature, is_free, is_holiday, weekday

N_HOMES = 400


@pytest.fixture(scope="module")
def kwh():
    """[home, day]"""
    rng = np.random.default_rng(5)
    level = np.repeat(rng.normal(4.75, 0.62, (N_HOMES, 1)), len(DAY), axis=1) + 0.2 * np.sin(np.arange(len(DAY)) / 90)
    temperature = draw_temperature(rng, DAY, np.full(N_HOMES, 36.0))
    return draw_use(rng, level, temperature, DAY, np.zeros(N_HOMES, bool)).total


class TestHouseholds:
    # Measured: aggregates over the daily readings of 2,061 London households.
    @pytest.mark.parametrize(
        ("what", "measured", "tolerance"),
        [
            ("coefficient of variation, 5 %", 0.18, 0.08),
            ("coefficient of variation, median", 0.37, 0.05),
            ("coefficient of variation, 95 %", 0.80, 0.25),
            ("autocorrelation at one day", 0.57, 0.08),
            ("about the mean of 29 days, standard deviation", 0.27, 0.05),
            ("about the mean of 29 days, autocorrelation at one day", 0.29, 0.06),
            ("about the mean of 29 days, autocorrelation at two days", 0.12, 0.05),
            ("Sundays over Wednesdays", 1.05, 0.04),
            ("share of days under a twentieth of a kWh", 0.005, 0.006),
            ("share of days under half of the mean of 29", 0.035, 0.015),
        ],
    )
    def test_statistics_are_near_those_of_real_households(self, kwh, what, measured, tolerance):
        assert abs(shape_of(kwh)[what] - measured) <= tolerance

    def test_hours_sum_to_the_day_and_homes_differ_from_shops(self):
        rng, shape = np.random.default_rng(3), (40, len(DAY))
        is_shop = np.arange(40) < 20
        temperature = np.full(shape, 20.0)
        use = draw_use(rng, np.full(shape, 5.0), temperature, DAY, is_shop)
        hours = draw_hours(rng, use, np.arange(40)).reshape(40, len(DAY), 24)
        np.testing.assert_allclose(hours.sum(axis=2), use.total)
        share = hours.sum(axis=1) / hours.sum(axis=(1, 2))[:, None]
        assert share[~is_shop, 18:23].sum(axis=1).mean() > 1.3 * share[is_shop, 18:23].sum(axis=1).mean()
        assert share[:, :5].max() < 1 / 24 * 1.5
        sunday = weekday(DAY) == 6
        closed = use.total[is_shop][:, sunday].mean(axis=1) < 0.8 * use.total[is_shop][:, ~sunday].mean(axis=1)
        assert 0.3 < closed.mean() < 1

    def test_heat_and_cold_raise_consumption(self):
        cold, mild, hot = (
            draw_use(
                np.random.default_rng(3),
                np.full((300, len(DAY)), 5.0),
                np.where(DAY[-1] - 30 <= DAY, degrees, 20.0) * np.ones((300, 1)),
                DAY,
                np.zeros(300, bool),
            )
            .total[:, -30:]
            .mean()
            for degrees in (5.0, 20.0, 34.0)
        )
        assert hot > 1.1 * mild
        assert cold > 1.1 * mild


def shape_of(kwh):
    weights = np.ones(29)
    around = np.stack([np.convolve(home, weights, "same") for home in kwh])
    around /= np.convolve(np.ones(kwh.shape[1]), weights, "same")
    relative = kwh / np.where(around > 0.2, around, np.nan)
    variation = kwh.std(axis=1) / kwh.mean(axis=1)
    by_weekday = [np.nanmedian(np.nanmean(relative[:, weekday(DAY) == day], axis=1)) for day in range(7)]
    return {
        **{f"coefficient of variation, {name}": np.quantile(variation, q) for name, q in
           (("5 %", 0.05), ("median", 0.5), ("95 %", 0.95))},
        "autocorrelation at one day": np.median(autocorrelation(kwh, 1)),
        "about the mean of 29 days, standard deviation": np.median(np.nanstd(relative, axis=1)),
        "about the mean of 29 days, autocorrelation at one day": np.nanmedian(autocorrelation(relative, 1)),
        "about the mean of 29 days, autocorrelation at two days": np.nanmedian(autocorrelation(relative, 2)),
        "Sundays over Wednesdays": by_weekday[6] / by_weekday[2],
        "share of days under a twentieth of a kWh": np.mean(kwh < 0.05),
        "share of days under half of the mean of 29": np.nanmean(relative < 0.5),
    }  # fmt: skip


def autocorrelation(series, lag):
    centred = series - np.nanmean(series, axis=1, keepdims=True)
    return np.nanmean(centred[:, lag:] * centred[:, :-lag], axis=1) / np.nanmean(centred**2, axis=1)


class TestWeather:
    def test_summers_are_hot_and_the_south_is_hotter(self):
        north, south = draw_temperature(np.random.default_rng(1), DAY, np.array([36.8, 33.0]))
        month = DAY.astype("datetime64[M]").astype(int) % 12 + 1
        assert north[month == 8].mean() > north[month == 1].mean() + 12
        assert south.mean() > north.mean() + 2
        assert 8 < north[month == 1].mean() < 14
        assert np.corrcoef(north[1:], north[:-1])[0, 1] > 0.9

    def test_free_days_are_weekends_and_the_holidays_of_tunisia(self):
        days = np.array(["2019-03-18", "2019-03-20", "2018-06-15", "2018-08-21", "2019-08-11"], "datetime64[D]")
        assert is_holiday(days).tolist() == [False, True, True, True, True]
        assert weekday(np.array(["2019-03-18", "2019-03-24"], "datetime64[D]")).tolist() == [0, 6]
        assert is_free(np.array(["2019-03-22", "2019-03-23"], "datetime64[D]")).tolist() == [False, True]
