"""Laws that both networks keep, fitted once on few clients; and their arithmetic by hand, with networks of zeros."""

import warnings

import numpy as np
import pytest

from fairmeter.core.segments import Segments
from fairmeter.data.daily import DailyConsumption
from fairmeter.evaluation.metrics import roc_auc
from fairmeter.models.detectors.autoencoder import Autoencoder
from fairmeter.models.detectors.forecaster import Forecaster
from fairmeter.models.detectors.keras_fit import TooFewSeries
from fairmeter.models.detectors.week_channels import WEEKS, week_channels
from fairmeter.models.detectors.week_convolution import WeekConvolution
from fairmeter.models.model_file import from_plain, to_plain
from fairmeter.models.runtime import onnx_networks, onnx_trees
from fairmeter.models.runtime.convolution_graph import convolution_graph

laws = pytest.mark.parametrize("kind", [Autoencoder, Forecaster])
FIRST_DAY = 16_000
N_DAYS = 320


def households(n, seed, n_days=N_DAYS):
    """[clients, days] kWh: a level, a weekend, a season and noise of its own for each."""
    rng = np.random.default_rng(seed)
    day = np.arange(n_days)
    weekend = np.isin((day + FIRST_DAY) % 7, [2, 3]) * rng.uniform(0.0, 0.5, (n, 1))
    season = 0.2 * np.cos(2 * np.pi * day / 365) * rng.uniform(0.5, 1.5, (n, 1))
    return rng.lognormal(2, 0.6, (n, 1)) * np.exp(weekend + season + rng.normal(0, 0.2, (n, n_days)))


def with_gaps(kwh, share, seed=0):
    return np.where(np.random.default_rng(seed).random(kwh.shape) < share, np.nan, kwh)


def days_of(*series):
    segments = Segments(np.array([len(one) for one in series]))
    return DailyConsumption(
        segments, segments.position + FIRST_DAY, np.concatenate([np.array(one, dtype=float) for one in series])
    )


@pytest.fixture(scope="module")
def fitted():
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed: make install")
    progress = []
    honest = days_of(*with_gaps(households(60, 1), 0.05))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns of what NumPy will change for it, not for us
        kinds = (Autoencoder, Forecaster)
        made = {kind: kind.fit(honest, seed=3, on_progress=progress.append, epochs=6) for kind in kinds}
    assert any("forecaster, epoch 6: loss" in line for line in progress)
    return made


@pytest.fixture(scope="module")
def mixed():
    """Long and short, with and without gaps, none at all, and nothing but zeros."""
    long = households(4, 9)
    return days_of(
        long[0], with_gaps(long[1], 0.5), long[2, :100], [], long[3, :10], np.zeros(N_DAYS), [np.nan, 5.0, np.nan]
    )  # fmt: skip


# --- laws -------------------------------------------------------------------------------------------------------------


@laws
def test_it_answers_in_the_shapes_it_promises(fitted, mixed, kind):
    network = fitted[kind]
    scores = network.scores(mixed)
    assert (scores.dtype, scores.shape) == (np.float32, (7, len(kind.names)))
    assert (network.score(mixed).dtype, network.score(mixed).shape) == (np.float64, (7,))
    assert network.row_scores(mixed).shape == mixed.kwh.shape
    assert len(set(kind.names)) == len(kind.names)


@laws
def test_long_series_have_every_score_with_gaps_and_without(fitted, mixed, kind):
    network = fitted[kind]
    assert np.isfinite(network.scores(mixed)[:2]).all()
    assert np.isfinite(network.score(mixed)[:2]).all()


@laws
def test_what_is_too_short_or_has_no_consumption_has_no_score(fitted, mixed, kind):
    network = fitted[kind]
    assert np.isnan(network.scores(mixed)[3:]).all()
    assert np.isnan(network.score(mixed)[3:]).all()
    assert np.isnan(network.row_scores(mixed)[mixed.segments.starts[4] :]).all()


@laws
def test_nothing_is_infinite_even_where_values_are_absurd(fitted, kind):
    kwh = households(3, 5)
    kwh[0, 200:] = 1e12
    kwh[1, :200] = 1e-12
    kwh[2] *= 1e-9
    network = fitted[kind]
    assert np.isfinite(network.scores(days_of(*kwh))).all()
    assert not np.isinf(network.row_scores(days_of(*kwh))).any()


@laws
def test_a_client_alone_scores_as_in_the_batch(fitted, mixed, kind):
    network = fitted[kind]
    scores, score, along = network.scores(mixed), network.score(mixed), network.row_scores(mixed)
    for i, (start, end) in enumerate(zip(mixed.segments.starts, mixed.segments.ends, strict=True)):
        alone = mixed.slice(i, i + 1)
        np.testing.assert_allclose(network.scores(alone)[0], scores[i], atol=1e-5)
        np.testing.assert_allclose(network.score(alone)[0], score[i], atol=1e-5)
        np.testing.assert_allclose(network.row_scores(alone), along[start:end], atol=1e-5)


@laws
def test_the_order_of_the_clients_does_not_matter(fitted, kind):
    kwh = households(150, 6, 120)  # more than are scored at a time
    network, order = fitted[kind], np.random.default_rng(0).permutation(150)
    there, here = network.scores(days_of(*kwh[order])), network.scores(days_of(*kwh))
    np.testing.assert_allclose(there, here[order], atol=1e-5)


@laws
def test_the_unit_of_energy_does_not_matter(fitted, kind):
    kwh = households(5, 7)
    network = fitted[kind]
    np.testing.assert_allclose(network.scores(days_of(*kwh * 1000)), network.scores(days_of(*kwh)), atol=1e-4)


@laws
def test_it_survives_the_model_file(fitted, mixed, kind):
    again = from_plain(to_plain(fitted[kind]))
    assert type(again) is kind
    np.testing.assert_array_equal(again.scores(mixed), fitted[kind].scores(mixed))


@laws
def test_a_graph_is_small(fitted, kind):
    assert len(fitted[kind].graph) < 300_000


@laws
def test_it_ranks_planted_falls_above_honest_series(fitted, kind):
    kwh = households(80, 11)
    kwh[40:, 250:] *= 0.2
    is_planted = np.repeat([0, 1], 40)
    assert roc_auc(is_planted, fitted[kind].score(days_of(*with_gaps(kwh, 0.05)))) > 0.8


@laws
def test_suspicion_along_time_rises_with_the_fall(fitted, kind):
    kwh = households(40, 12)
    kwh[:, 250:] *= 0.1
    along = fitted[kind].row_scores(days_of(*kwh)).reshape(kwh.shape)
    assert np.nanmean(along[:, 257:280]) > np.nanmean(along[:, 180:240]) + 0.5


@laws
def test_what_happens_later_changes_nothing_before(fitted, kind):
    """Both end on the same day, so that they are cut alike."""
    kwh = households(1, 13)[0]
    fallen = np.where(np.arange(N_DAYS) < 300, kwh, 0.0)
    ordinary, other = (fitted[kind].row_scores(days_of(series)) for series in (kwh, fallen))
    np.testing.assert_allclose(other[:292], ordinary[:292], atol=1e-6)
    assert not np.allclose(other[300:], ordinary[300:], atol=1e-3)


# --- autoencoder ------------------------------------------------------------------------------------------------------


def test_the_autoencoder_judges_26_days_by_their_own_mean(fitted):
    scores = fitted[Autoencoder].scores(days_of(households(1, 14)[0, :26]))[0]
    assert np.isfinite(scores[list(Autoencoder.names).index("weeks_error_last")])
    assert np.isnan(scores[list(Autoencoder.names).index("weeks_error_before")])


# --- forecaster -------------------------------------------------------------------------------------------------------


def column(name):
    return Forecaster.names.index(name)


def test_a_sudden_fall_is_less_than_foretold_and_a_rise_more(fitted):
    kwh = np.tile(households(1, 15), (3, 1))
    kwh[1, -7:] *= 0.3
    kwh[2, -7:] *= 3
    same, fallen, risen = fitted[Forecaster].scores(days_of(*kwh))[:, column("day_ahead_error_7")]
    assert fallen < same - 1 < same + 1 < risen


def test_the_forecaster_takes_what_neighbours_used_that_day_a_row(fitted):
    days = days_of(*households(3, 17))
    network = fitted[Forecaster]
    unknown = np.full(len(days.kwh), np.nan)
    np.testing.assert_array_equal(network.scores(days, unknown), network.scores(days))
    assert not np.array_equal(network.scores(days, np.full(len(days.kwh), 1.5)), network.scores(days))


# --- fitting ----------------------------------------------------------------------------------------------------------


@laws
def test_too_few_series_are_refused_in_words(kind):
    with pytest.raises(TooFewSeries, match="Give more honest series"):
        kind.fit(days_of(*households(2, 0), [], [1.0]), seed=1)


@pytest.mark.nightly
def test_the_same_seed_gives_the_same_network_and_the_graph_answers_as_keras(monkeypatch):
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed: make install")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras

        days, models, sequential = days_of(*households(8, 2, 150)), [], keras.Sequential

        def kept(layers):
            models.append(sequential(layers))
            return models[-1]

        monkeypatch.setattr(keras, "Sequential", kept)
        for kind in (Autoencoder, Forecaster):
            once, again = (kind.fit(days, seed=4, epochs=1) for _ in range(2))
            np.testing.assert_allclose(once.scores(days), again.scores(days), atol=1e-4)
            seen = np.random.default_rng(0).normal(size=(5, 210, models[-1].input_shape[-1])).astype(np.float32)
            if kind is Autoencoder:
                expected, answer = models[-1](seen[:, 0]), onnx_trees.run(again.graph, seen[:, 0])[:, :28]
            else:
                by_step = np.ascontiguousarray(seen.swapaxes(0, 1))
                expected, answer = models[-1](seen), onnx_trees.run(again.graph, by_step).swapaxes(0, 1)
            np.testing.assert_allclose(answer, expected, atol=1e-5)


# --- by hand ----------------------------------------------------------------------------------------------------------

HALF = np.log((0.5 + 0.1) / (1 + 0.1))  # what a network sees where half of the level was used


def zeros(*shape):
    return np.zeros(shape, dtype=np.float32)


@pytest.fixture(scope="module")
def foretells_the_level():
    """A forecaster without opinion: median 0, the level, and logarithm of the spread 0."""
    return Forecaster(onnx_networks.lstm_graph(zeros(14, 8), zeros(2, 8), zeros(8), (zeros(2, 6), zeros(6))))


@pytest.fixture(scope="module")
def reproduces_the_level():
    """An autoencoder without opinion: every day 0, the level, every code 0."""
    encoder = [(zeros(56, 2), zeros(2)), (zeros(2, 6), zeros(6))]
    graph = onnx_networks.autoencoder_graph(encoder, [(zeros(6, 2), zeros(2)), (zeros(2, 28), zeros(28))])
    return Autoencoder(graph, np.zeros(6), np.eye(6), np.array([[0.0, 0.0], [1.0, 1.0]]))


def test_errors_are_those_of_the_last_days_from_every_distance(foretells_the_level):
    scores = foretells_the_level.scores(days_of([10.0] * 300 + [5.0] * 30))[0].reshape(3, -1)
    expected = [HALF, HALF, HALF / 3, -HALF / 3, HALF, 0]  # the last 7, 30, 90 days; absolute; 10 and 90 % quantiles
    assert scores == pytest.approx(np.array([expected] * 3), abs=1e-6)


def test_missing_days_count_for_nothing(foretells_the_level):
    series = np.array([10.0] * 300 + [5.0] * 30)
    series[-15:-5] = np.nan
    series[100] = np.nan
    scores = foretells_the_level.scores(days_of(series))[0]
    assert scores[column("day_ahead_error_7")] == pytest.approx(HALF, abs=1e-6)
    assert scores[column("day_ahead_error_90")] == pytest.approx(HALF * 20 / 80, abs=1e-6)


def test_the_forecaster_needs_14_days_to_begin_with(foretells_the_level):
    along = foretells_the_level.row_scores(days_of([10.0] * 40 + [5.0]))
    assert np.isnan(along[:14]).all()
    assert along[14:] == pytest.approx([0] * 26 + [-HALF], abs=1e-6)


def test_a_forecast_from_afar_begins_that_much_later(foretells_the_level):
    scores = foretells_the_level.scores(days_of([10.0] * 60))[0].reshape(3, -1)
    assert np.isfinite(scores[:, 0]).tolist() == [True, True, False]  # a quarter has not passed


def test_suspicion_is_the_shortfall(foretells_the_level):
    days = days_of([10.0] * 300 + [5.0] * 30, [10.0] * 300 + [20.0] * 30)
    fallen, risen = foretells_the_level.score(days)
    assert fallen == pytest.approx(-HALF, abs=1e-6)
    assert risen < 0


def test_the_error_of_four_weeks_is_the_mean_over_known_days(reproduces_the_level):
    series = np.array([10.0] * 100 + [5.0] * 7)
    whole, with_a_gap = (reproduces_the_level.scores(days_of(one))[0] for one in (series, np.append(series, np.nan)))
    assert whole[Autoencoder.names.index("weeks_error_last")] == pytest.approx(-HALF / 4, abs=1e-6)
    assert whole[Autoencoder.names.index("weeks_error_before")] == pytest.approx(0, abs=1e-6)
    assert whole[Autoencoder.names.index("weeks_error_largest")] == pytest.approx(-HALF / 4, abs=1e-6)
    assert with_a_gap[Autoencoder.names.index("weeks_error_last")] == pytest.approx(-HALF * 7 / 27, abs=1e-6)


def test_a_day_is_suspected_as_the_window_that_ends_on_it_or_next(reproduces_the_level):
    along = reproduces_the_level.row_scores(days_of([10.0] * 100 + [5.0] * 7))
    assert along[-7:] == pytest.approx([-HALF / 4] * 7, abs=1e-6)
    assert along[-14:-7] == pytest.approx([0] * 7, abs=1e-6)


def test_what_the_neighbourhood_used_less_is_no_error(reproduces_the_level):
    days = days_of([10.0] * 100 + [5.0] * 7)
    factor = np.where(np.isnan(days.kwh), np.nan, days.kwh / 10.0)
    assert reproduces_the_level.scores(days, factor)[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("first", range(7))
def test_a_window_begins_on_monday_whatever_day_a_series_ends_on(first):
    segments = Segments(np.array([90]))
    day = segments.position + FIRST_DAY + first
    days = DailyConsumption(segments, day, (day + 3) % 7 + 1.0)  # Mondays 1, Sundays 7
    *_, (_, _, grid) = Autoencoder._blocks(days, None)
    last = Autoencoder._windows(grid)[0, -1].reshape(4, 7)
    assert (np.diff(last, axis=1) > 0).all()


# --- convolution over weeks -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keras_network():
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed: make install")
    from fairmeter.models.detectors import convolution_fit

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return convolution_fit._network()


def test_the_graph_of_a_convolution_answers_as_keras_does(keras_network, mixed):
    from fairmeter.models.detectors.convolution_fit import _weights

    rng = np.random.default_rng(5)
    for weights in keras_network.weights:
        if "moving" in weights.name or weights.name in {"gamma", "beta", "bias"}:
            weights.assign(rng.uniform(0.5, 1.5, weights.shape))
    channels = week_channels(mixed)[:3]
    expected = keras_network(channels, training=False)[0].numpy()
    found = onnx_trees.run(convolution_graph(_weights(keras_network), WEEKS), channels)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.nightly
def test_a_convolution_finds_falls_that_it_was_shown():
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed: make install")
    from fairmeter.models.detectors.convolution_fit import WeekSeries, fit_convolution

    def shown(seed, n=256):
        rng = np.random.default_rng(seed)
        kwh, label = rng.lognormal(2.0, 0.3, (n, 364)), np.arange(n) % 2
        kwh[label == 1, 250:] *= 0.4
        return days_of(*kwh), label

    days, label = shown(1)
    weeks = WeekSeries(week_channels(days), label, np.full(len(label), WEEKS - 16))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = fit_convolution([weeks] * 6, 6 * len(label), 7)
    days, label = shown(2)
    assert roc_auc(label, WeekConvolution(convolution_graph(fitted, WEEKS)).scores(days)[:, 0]) > 0.95
