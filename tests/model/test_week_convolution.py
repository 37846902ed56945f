"""The convolution over weeks: its channels by hand, its scores, its column out of fold. Keras: test_networks.py."""

import numpy as np
import pytest

from fairmeter.core.segments import Segments
from fairmeter.data.daily import DailyConsumption
from fairmeter.features.readings.covariates import Covariates
from fairmeter.models.detectors.week_channels import CHANNELS, KNOWN_CHANNEL, WEEKS, week_channels
from fairmeter.models.detectors.week_convolution import WeekConvolution
from fairmeter.models.model_file import from_plain, to_plain
from fairmeter.models.runtime import onnx_trees
from fairmeter.models.runtime.convolution_graph import ConvolutionWeights, convolution_graph
from fairmeter.training import convolution_fitting, reading_fitting
from fairmeter.training.attacks import HonestHouseholds
from fairmeter.training.reading_fitting import QUICK_TRAINING_PLANS, fit_labelled, make_sample, make_training_sets
from tests.builders.readings import FIRST, town

MONDAY = 4  # 1970-01-05
EQUAL, WEEKLY, ZERO, AT_TOP = range(CHANNELS - 6, CHANNELS - 2)


def days_of(*series, first=MONDAY):
    segments = Segments(np.array([len(one) for one in series]))
    return DailyConsumption(
        segments, segments.position + first, np.concatenate([np.asarray(one, float) for one in series])
    )


def drawn_weights(seed, n_units=8):
    rng = np.random.default_rng(seed)

    def drawn(*shape):
        return rng.normal(0.0, 0.3, shape).astype(np.float32)

    layers = [(drawn(1, CHANNELS, n_units), drawn(n_units))]
    layers += [(drawn(3, n_units, n_units), drawn(n_units)) for _ in range(2)]
    heads = [(drawn(5 * n_units, 4), drawn(4)), (drawn(4, 1), drawn(1))]
    return ConvolutionWeights(layers, (1, 4), KNOWN_CHANNEL, heads)


@pytest.fixture(scope="module")
def drawn():
    return WeekConvolution(convolution_graph(drawn_weights(1), WEEKS))


@pytest.fixture(scope="module")
def mixed():
    """Long, with gaps, longer than the weeks, short, empty, nothing but zeros, and unknown days alone."""
    rng = np.random.default_rng(2)
    one = rng.lognormal(2.0, 0.3, 300)
    gaps = np.where(rng.random(300) < 0.4, np.nan, one)
    return days_of(
        one, gaps, rng.lognormal(2.0, 0.3, 900), one[:20], [], np.zeros(100), np.append(np.full(40, np.nan), 1)
    )


# --- channels ---------------------------------------------------------------------------------------------------------


def test_the_last_day_is_in_the_last_week_and_weeks_before_the_first_are_empty():
    channels = week_channels(days_of(np.arange(1.0, 15.0), first=4))  # from a Monday on
    assert channels[0, :, KNOWN_CHANNEL].tolist() == [0.0] * (WEEKS - 2) + [1.0, 1.0]
    assert not channels[0, :-2, :28].any()
    assert channels[0, -2:, 7:14].all()


def test_equal_days_zeros_and_days_at_the_top_are_shares_of_their_week():
    kwh = 1.237 * np.array([3, 3, 3, 3, 1, 0, 0, 3, 3, 3, 2, 1, 0, 0])  # Wh: whole kWh would be taken for rounded
    channels = week_channels(days_of(kwh, first=4))[0, -2:]
    assert channels[:, EQUAL] == pytest.approx([3 / 7, 2 / 7])  # a zero like the zero before is a zero, not a copy
    assert channels[:, WEEKLY] == pytest.approx([0.0, 6 / 7])
    assert channels[:, ZERO] == pytest.approx([2 / 7, 2 / 7])
    assert channels[:, AT_TOP] == pytest.approx([3 / 6, 2 / 6])


def test_a_fall_shows_in_the_difference_from_its_week_on():
    kwh = np.tile([8.0, 9.0, 10.0, 9.0, 8.0, 12.0, 11.0], 40)
    kwh[140:] *= 0.5
    mean = week_channels(days_of(kwh, first=4))[0, -40:, 36]
    assert mean.argmin() == 20
    assert mean.min() == pytest.approx(np.log(0.5), abs=0.05)


def test_what_neighbours_do_too_is_no_residual_and_without_them_it_is():
    season = np.exp(0.4 * np.sin(np.arange(400) / 60.0))
    kwh = 8.0 * season
    alone, beside = (week_channels(days_of(kwh, first=4), factor)[0, :, :7] for factor in (None, season))
    assert np.abs(beside).max() < 0.1 < np.abs(alone).max()


def test_a_client_has_the_same_channels_alone_and_among_others(mixed):
    whole = week_channels(mixed)
    assert whole.shape == (7, WEEKS, CHANNELS)
    assert np.isfinite(whole).all()
    for i in range(7):
        np.testing.assert_array_equal(week_channels(mixed.slice(i, i + 1)), whole[i : i + 1])


# --- the network ------------------------------------------------------------------------------------------------------


def test_it_scores_alone_as_in_a_batch_and_again_from_the_file(drawn, mixed):
    scores = drawn.scores(mixed)
    assert (scores.dtype, scores.shape) == (np.float32, (7, 1))
    assert np.isfinite(scores[:3]).all()
    for i in range(7):
        np.testing.assert_array_equal(drawn.scores(mixed.slice(i, i + 1)), scores[i : i + 1])
    np.testing.assert_array_equal(from_plain(to_plain(drawn)).scores(mixed), scores)


def test_too_few_known_days_have_no_score(drawn, mixed):
    assert np.isnan(drawn.scores(mixed)[[3, 4, 6]]).all()


def test_weeks_before_the_series_do_not_count():
    graph, rng = convolution_graph(drawn_weights(3), WEEKS), np.random.default_rng(4)
    some = rng.normal(size=(1, WEEKS, CHANNELS)).astype(np.float32)
    some[..., KNOWN_CHANNEL] = np.arange(WEEKS) >= 50
    other = some.copy()
    other[:, :50, :KNOWN_CHANNEL] = 9.0
    np.testing.assert_array_equal(onnx_trees.run(graph, some), onnx_trees.run(graph, other))


# --- out of fold ------------------------------------------------------------------------------------------------------


def test_a_households_column_is_of_a_network_that_has_not_seen_it(monkeypatch):
    base = HonestHouseholds(town(40, 120), FIRST)
    households = np.arange(40)
    files = make_training_sets(
        base, households, Covariates.from_consumption(base.days(households)), QUICK_TRAINING_PLANS, 3
    )
    seen = []

    def drawn_for(parts, n_series, _seed):
        channels = np.concatenate([part.channels for part in parts])
        assert len(channels) == n_series
        seen.append({one.tobytes() for one in channels})
        return drawn_weights(len(seen))

    monkeypatch.setattr(convolution_fitting, "fit_convolution", drawn_for)
    fitted = convolution_fitting.fit_convolutions(files, 3)
    series = np.concatenate([week_channels(*convolution_fitting._series(file.days, file.covariates)) for file in files])
    in_half = np.array([[one.tobytes() in half for half in seen] for one in series])
    assert (in_half[:, 0] != in_half[:, 1]).all()
    assert in_half[:, 2].all()
    graphs = [convolution_graph(drawn_weights(number), WEEKS) for number in (1, 2)]
    others = [
        onnx_trees.run(graphs[half[0]], one[None])[0, 0]
        for one, half in zip(series, in_half[:, :1].astype(int), strict=True)
    ]
    known = ~np.isnan(fitted.columns[:, 0])
    assert known.mean() > 0.9
    np.testing.assert_allclose(fitted.columns[known, 0], np.array(others)[known], rtol=1e-5)
    sample = make_sample(files, {}, fitted.columns)
    np.testing.assert_array_equal(sample.evidence.features[:, -2], fitted.columns[:, 0])


def test_the_ensemble_weighs_the_column_and_no_other_member_is_fitted_on_it(monkeypatch, drawn):
    base, households = HonestHouseholds(town(40, 120), FIRST), np.arange(40)
    covariates = Covariates.from_consumption(base.days(households))
    files = make_training_sets(base, households, covariates, QUICK_TRAINING_PLANS, 3)
    label = np.concatenate([file.label for file in files])
    telling = (np.random.default_rng(1).normal(size=len(label)) + 3.0 * label - 1.5)[:, None].astype(np.float32)
    fitted = convolution_fitting.FittedConvolution(drawn, telling)
    monkeypatch.setattr(reading_fitting, "fit_convolutions", lambda *_: fitted)
    monkeypatch.setattr(reading_fitting, "MIN_FILES", len(files))
    assert reading_fitting.learn_convolution(files[:1], {}, 3, True, print)[0] == {}
    assert reading_fitting.learn_convolution(files, {}, 3, False, print)[0] == {}
    networks, sample = reading_fitting.learn_convolution(files, {}, 3, True, print)
    ensemble = fit_labelled(sample, networks, covariates, 3, True, lambda _: None)[0].ensemble
    assert ensemble.weights[list(ensemble.members).index("convolution")] > 0
    matrix = ensemble.inputs.matrix(sample.evidence)
    column = ensemble.members["convolution"].column
    np.testing.assert_array_equal(matrix[:, column], telling[:, 0])
    other = matrix.copy()
    other[:, column] = np.random.default_rng(2).normal(size=len(label))
    for name, member in ensemble.members.items():
        assert np.array_equal(member.values(other), member.values(matrix)) == (name != "convolution")
