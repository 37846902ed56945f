"""Laws of all rolling detectors, for long and short windows, and the timeline that brings them to one scale."""

import numpy as np
import pytest

from fairmeter.core.segments import Segments
from fairmeter.features.readings.covariates import Covariates
from fairmeter.models.detectors import anomaly_timeline
from fairmeter.models.detectors import rolling as along
from fairmeter.models.detectors.anomaly_timeline import DAY_SCALES, UNUSUAL
from fairmeter.models.detectors.rolling import DAY_WINDOWS, ROLLING_DETECTORS, WindowLengths
from tests.builders.readings import days_of, robbed, town

laws = pytest.mark.parametrize("detector", ROLLING_DETECTORS.values(), ids=ROLLING_DETECTORS)
SHORT = WindowLengths(recent=1, before=3, min_known=3, every=1, spread=0.5)
windows = pytest.mark.parametrize("windows", [DAY_WINDOWS, SHORT], ids=["long", "short"])
N_ROWS, SINCE, SEED = 160, 110, 5


def steady(n=6, seed=0):
    """Log consumption of clients with a few missing values. [client, row]"""
    rng = np.random.default_rng(seed)
    series = rng.normal(2.0, 0.3, (n, N_ROWS))
    series[rng.random(series.shape) < 0.05] = np.nan
    return series


def along_of(detector, series, windows, seed=SEED):
    """[client, row]"""
    segments = Segments([len(each) for each in series])
    return detector(segments, np.concatenate(series), windows, seed).reshape(len(series), -1)


# --- laws -------------------------------------------------------------------------------------------------------------


@windows
@laws
def test_a_planted_fall_raises_the_values_that_follow(detector, windows):
    series = steady()
    series[:, SINCE:] -= 1.5
    told = along_of(detector, series, windows)
    after = np.nanmax(told[:, SINCE : SINCE + 2 * windows.recent], axis=1)
    assert (after > np.nanquantile(told[:, :SINCE], 0.95, axis=1)).all()


@windows
@laws
def test_a_planted_spike_is_found(detector, windows):
    series = steady()
    series[:, SINCE : SINCE + 7] += 2.0
    told = along_of(detector, series, windows)
    assert (np.nanmax(told[:, SINCE : SINCE + 7], axis=1) > np.nanquantile(told[:, :SINCE], 0.99, axis=1)).all()


@laws
def test_the_same_seed_gives_the_same_values(detector):
    np.testing.assert_array_equal(*(along_of(detector, steady(), DAY_WINDOWS) for _ in range(2)))


@windows
@laws
def test_a_clients_values_do_not_depend_on_other_clients_or_their_order(detector, windows):
    series, order = list(steady()), [3, 0, 5, 1, 4, 2]
    together = along_of(detector, series, windows)
    np.testing.assert_array_equal(along_of(detector, [series[i] for i in order], windows), together[order])
    np.testing.assert_array_equal(along_of(detector, series[2:3], windows)[0], together[2])


@laws
def test_later_rows_change_no_earlier_value_except_of_a_forest(detector):
    """A forest is fitted on a client's first half, which grows with the series; the others use earlier rows alone."""
    series = steady(3)
    cut = along_of(detector, series[:, :SINCE], DAY_WINDOWS)
    if detector is not along.isolation_forest:
        np.testing.assert_array_equal(cut, along_of(detector, series, DAY_WINDOWS)[:, :SINCE])


SERIES = {
    "nothing": np.empty(0),
    "one row": np.array([1.0]),
    "nothing known": np.full(80, np.nan),
    "one value for ever": np.full(80, 2.0),
    "absurd values": np.where(np.arange(80) % 9 == 0, 12.0, -3.0),
    "a week known": np.where(np.arange(80) < 7, 1.0, np.nan),
}


@windows
@pytest.mark.parametrize("series", SERIES.values(), ids=SERIES)
@laws
def test_values_are_finite_or_missing(detector, series, windows):
    told = detector(Segments([0, len(series), 0]), series, windows, SEED)
    assert told.shape == series.shape
    assert not np.isinf(told).any()
    if detector is not along.isolation_forest:
        assert np.isnan(told[: windows.min_known // 2]).all(), "too little is known before"


@laws
def test_it_changes_nothing_in_place(detector):
    series = steady()
    before = series.copy()
    along_of(detector, series, DAY_WINDOWS)
    np.testing.assert_array_equal(series, before)


# --- worked by hand ---------------------------------------------------------------------------------------------------

BY_TWO = WindowLengths(recent=1, before=2, min_known=2, every=1, spread=0.1)


def by_hand(detector, *series):
    return detector(Segments([len(series)]), np.array(series, float), BY_TWO, SEED)


def test_z_score_is_the_distance_from_all_earlier_rows_in_their_deviations():
    told = by_hand(along.z_score, 1.0, 3.0, 5.0, 2.0, 2.0)
    assert told[2:4] == pytest.approx([3.0, 1.0 / np.sqrt(8 / 3)])


def test_moving_average_is_the_distance_from_the_rows_just_before():
    told = by_hand(along.moving_average, 1.0, 3.0, 5.0, 2.0, 2.0)
    assert told[2:] == pytest.approx([3.0, 2.0, 1.5 / 1.5])


def test_quartiles_measure_the_distance_in_interquartile_ranges():
    told = by_hand(along.quartiles, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0)
    assert told[6] == pytest.approx((2.0 - 0.0) / 2.0), "quartiles of 1 .. 6 are 2 and 4, the known value below each"


def test_a_flat_client_has_the_smallest_assumed_spread():
    assert by_hand(along.z_score, 1.0, 1.0, 1.0, 1.2)[3] == pytest.approx(0.2 / BY_TWO.spread, rel=1e-5)


# --- the timeline -----------------------------------------------------------------------------------------------------


class Network:
    """A network whose scores are the kWh of the day, and which records the factor it was given."""

    def row_scores(self, days, factor=None):
        self.factor = factor
        return days.kwh.copy()


@pytest.fixture(scope="module")
def thieves():
    """Days of thirty households, of which the first two register a tenth from day 150 on; and those of all."""
    days = days_of(robbed(town(30, 200), [0, 1], 150, 0.1))
    return days, Covariates.from_consumption(days)


def test_every_detector_has_a_value_for_every_day_on_one_scale(thieves):
    told = anomaly_timeline.timeline(*thieves)
    assert set(told) == set(ROLLING_DETECTORS)
    for name, values in told.items():
        stolen, honest = values[150:175], values.reshape(30, 200)[2:]
        assert np.nanmax(stolen) >= UNUSUAL, name
        assert np.nanmean(honest >= UNUSUAL) < 0.1, name


def test_networks_are_part_of_the_timeline_and_take_the_neighbours_factor(thieves, monkeypatch):
    days, surroundings = thieves
    network = Network()
    monkeypatch.setitem(DAY_SCALES, "autoencoder", (1.0, 3.0))
    told = anomaly_timeline.timeline(days, surroundings, {"autoencoder": network})["autoencoder"]
    np.testing.assert_allclose(told, (days.kwh - 1.0) / 2.0)
    expected = np.exp(surroundings.at(days.segments.index, days.day)[0])
    np.testing.assert_array_equal(network.factor, expected)


def test_a_change_that_all_neighbours_share_is_not_unusual():
    kwh = town(30, 200)
    kwh[:, 150:] *= 0.3
    days = days_of(kwh)
    alone, beside = (
        anomaly_timeline.timeline(days, s)["z_score"].reshape(30, 200)
        for s in (None, Covariates.from_consumption(days))
    )
    assert np.nanmean(alone[:, 155:170]) > UNUSUAL
    assert np.nanmean(beside[:, 155:170]) < UNUSUAL


def test_a_clients_timeline_does_not_depend_on_other_clients(thieves):
    days, surroundings = thieves
    together, alone = (
        anomaly_timeline.timeline(days, surroundings),
        anomaly_timeline.timeline(days.slice(1, 2), surroundings),
    )
    for name in ROLLING_DETECTORS:
        np.testing.assert_array_equal(alone[name], together[name][200:400])


def test_without_a_day_the_timeline_is_empty():
    told = anomaly_timeline.timeline(days_of([[], []]), None, {"autoencoder": Network()})
    assert {name: len(values) for name, values in told.items()} == dict.fromkeys((*ROLLING_DETECTORS, "autoencoder"), 0)


def test_every_detector_and_network_has_its_scale():
    assert set(DAY_SCALES) == {*ROLLING_DETECTORS, "autoencoder", "forecaster"}
    assert all(usual < unusual for usual, unusual in DAY_SCALES.values())
