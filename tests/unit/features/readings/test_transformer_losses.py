"""Features of transformer losses against the client's own days."""

from dataclasses import replace

import numpy as np
import pytest

from fairmeter.features.readings.covariates import Covariates, TransformerLosses
from fairmeter.features.readings.series import DailySeries
from fairmeter.features.readings.transformer_losses import BLOCK, MAX_RATIO
from tests.builders.readings import FIRST, days_of, robbed, town

N_DAYS, SINCE, LEFT = 400, 280, 0.4
THIEF, HONEST, ALONE = 0, 1, 2
NAMES = [feature.name for feature in BLOCK.features]


def loss_features(kwh, lost, transformer):
    """Features by name, one value per client, of clients behind these transformers."""
    days = days_of(kwh)
    losses = TransformerLosses(FIRST, np.asarray(lost, float), np.asarray(transformer))
    covariates = replace(Covariates.from_consumption(days), losses=losses)
    with np.errstate(all="ignore"):
        return dict(zip(NAMES, BLOCK.compute(DailySeries(days, covariates)), strict=True))


@pytest.fixture(scope="module")
def found():
    """Thirty homes: the first steals from one day on, the second has the same transformer, the third has none."""
    used = town(30, N_DAYS)
    registered = robbed(used, [THIEF], SINCE, LEFT)
    lost = (used - registered).sum(axis=0)[None] + np.random.default_rng(3).normal(0.0, 0.02, (1, N_DAYS))
    transformer = np.zeros(30, np.int64)
    transformer[ALONE] = -1
    return loss_features(registered, lost, transformer), used, registered


def test_a_loss_is_in_units_of_the_clients_median_day(found):
    features, used, registered = found
    level = np.median(registered[HONEST])
    stolen = (used - registered)[THIEF]
    assert features["transformer_lost_30"][HONEST] == pytest.approx(stolen[-30:].mean() / level, rel=0.02)
    rise = stolen[-90:].mean() - stolen[:-90].mean()
    assert features["transformer_rise_90"][HONEST] == pytest.approx(rise / level, rel=0.02)


def test_a_loss_varies_only_with_the_client_that_causes_it(found):
    features, *_ = found
    assert features["transformer_moves_after"][THIEF] > 0.8
    assert np.nanmax(features["transformer_moves_after"][1:]) < 0.5


def test_a_loss_explains_a_fall_that_nothing_else_causes():
    kwh = np.full((30, N_DAYS), 10.0) + np.random.default_rng(1).normal(0.0, 0.1, (30, N_DAYS))
    registered = robbed(kwh, [THIEF], SINCE, LEFT)
    features = loss_features(registered, (kwh - registered).sum(axis=0)[None], np.zeros(30, np.int64))
    assert features["transformer_explains_step"][THIEF] == pytest.approx(1.0, abs=0.02)
    assert features["transformer_explains_30"][THIEF] == pytest.approx(1.0, rel=0.05)
    assert features["transformer_explains_step"][HONEST] == MAX_RATIO  # its own fall is close to 0


def test_a_theft_older_than_the_readings_shows_by_its_variation():
    used = town(30, N_DAYS)
    registered = robbed(used, [THIEF], 0, LEFT)
    features = loss_features(registered, (used - registered).sum(axis=0)[None], np.zeros(30, np.int64))
    assert features["transformer_moves_180"][THIEF] > 0.99
    assert features["transformer_slope_180"][THIEF] == pytest.approx((1 - LEFT) / LEFT, rel=0.01)
    assert np.nanmax(features["transformer_moves_180"][1:]) < 0.4


@pytest.mark.parametrize("name", NAMES)
def test_a_client_without_a_transformer_has_no_features_of_losses(found, name):
    assert np.isnan(found[0][name][ALONE])


def test_without_measured_transformers_features_of_losses_are_missing():
    days = days_of(town(30, 60))
    assert np.isnan(BLOCK.compute(DailySeries(days, Covariates.from_consumption(days)))).all()
    assert np.isnan(BLOCK.compute(DailySeries(days, None))).all()


def test_days_outside_the_measured_ones_are_unknown():
    kwh = town(3, 100)
    features = loss_features(kwh, np.random.default_rng(4).random((1, 20)), [0, 0, 0])  # the first twenty days
    assert np.isnan(features["transformer_lost_30"]).all()
    assert np.isnan(features["transformer_moves_180"]).sum() == 0  # 180 days hold them


def test_features_of_losses_do_not_depend_on_other_clients():
    used = town(30, N_DAYS)
    registered = robbed(used, [THIEF], SINCE, LEFT)
    lost, days = (used - registered).sum(axis=0)[None], days_of(registered)
    covariates = replace(
        Covariates.from_consumption(days), losses=TransformerLosses(FIRST, lost, np.zeros(30, np.int64))
    )
    with np.errstate(all="ignore"):
        everybody = BLOCK.compute(DailySeries(days, covariates))
        alone = BLOCK.compute(DailySeries(days.slice(4, 5), covariates.for_clients(slice(4, 5))))
    np.testing.assert_array_equal(everybody[:, 4:5], alone)
