"""Fitted model on readings: log-odds of theft less those of the prior, so that they add to other log-odds.

In:  DailyConsumption (fairmeter/data/daily.py); Covariates, if neighbours, weather or holidays are known.
Out: FeatureMatrix, then log-odds, one a client; NaN with fewer than MIN_DAYS known days. NumPy and ONNX Runtime only.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fairmeter.core.types import FeatureMatrix
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.exogenous import NO_EXOGENOUS, Exogenous
from fairmeter.features.readings.covariates import Covariates
from fairmeter.features.readings.matrix import FEATURE_NAMES, reading_features
from fairmeter.models.ensemble import Ensemble

MIN_CORRELATION = 0.6  # of the factors of two client bases, from which they count as one place
LAST_DAY_COLUMN = -1  # number of the column that holds the last day
MIN_DAYS = 14  # known days: two weeks, the least that shows a weekly pattern
ONSET_COLUMN = FEATURE_NAMES.index("off_usual_step_ago")


class SequenceScorer(Protocol):
    """A network that scores series of days: Autoencoder, Forecaster, WeekConvolution.

    `names` are the columns of its scores [float32, (clients, len(names))], NaN for a series that is too short.
    """

    names: tuple[str, ...]

    def scores(self, days: DailyConsumption, factor: np.ndarray | None = None) -> np.ndarray:
        """Scores of each client. [factor: the neighbours' factor of each row's day, 1 = usual, NaN if unknown]"""


Networks = dict[str, SequenceScorer]


@dataclass(frozen=True)
class ReadingModel:
    """An ensemble on readings. `surroundings`: covariates of its training clients; theft_share: among them, 0..1."""

    ensemble: Ensemble
    networks: Networks
    surroundings: Covariates
    theft_share: float

    @property
    def networks_of_days(self) -> Networks:
        """Networks that score each day too, and not only the series as a whole."""
        return {name: network for name, network in self.networks.items() if hasattr(network, "row_scores")}

    def features(self, days: DailyConsumption, covariates: Covariates | None = None) -> FeatureMatrix:
        """Input of the ensemble. Without covariates, those of the training clients apply on the dates they have."""
        return reading_matrix(days, self.networks, covariates or self.surroundings)

    def covariates_for(
        self, days: DailyConsumption, cell: np.ndarray | None = None, exogenous: Exogenous = NO_EXOGENOUS
    ) -> Covariates:
        """Covariates for a whole client base: its own, or those of the training clients if both move together.

        Training clients of the same place are the better neighbours, because they are honest. Weather and holidays
        are used only if the model was trained with them. cell: region or transformer. [int64, one a client]
        """
        weather = exogenous.weather if self.surroundings.has_weather else None
        holidays = exogenous.holidays if self.surroundings.has_holidays else None
        own = Covariates.from_consumption(days, cell, weather, holidays)
        if np.isnan(own.factor).all() or own.correlation_with(self.surroundings) >= MIN_CORRELATION:
            return self.surroundings.with_weather(weather, holidays)
        return own

    def log_ratio(self, features: FeatureMatrix) -> np.ndarray:
        """Calibrated log-odds of theft less those of the training clients' share. [float64, one a client]"""
        out = np.full(len(features), np.nan)
        known = features.n_records >= MIN_DAYS
        if known.any():
            prior = np.log(self.theft_share / (1.0 - self.theft_share))
            out[known] = self.ensemble.judged(features if known.all() else features.of(known)).log_odds - prior
        return out


def reading_matrix(days: DailyConsumption, networks: Networks, covariates: Covariates | None) -> FeatureMatrix:
    """Features, scores of the networks, and the last day. [float32, (clients, columns)]

    There is one column more than `reading_matrix_names(networks)`: the last day.
    """
    days, factor = days.without_spread(), None
    if covariates is not None:
        factor = np.exp(covariates.at(days.segments.index, days.day)[0])
    parts = [reading_features(days, covariates), *(network.scores(days, factor) for network in networks.values())]
    parts.append(days.segments.last(days.day.astype(np.float64))[:, None])
    n_known = days.segments.total((~np.isnan(days.kwh)).astype(np.int64))
    return FeatureMatrix(np.concatenate(parts, axis=1, dtype=np.float32), n_known, {})


def reading_matrix_names(networks: Networks) -> tuple[str, ...]:
    """Names of the columns of `reading_matrix`, without the last day."""
    return (*FEATURE_NAMES, *(name for network in networks.values() for name in network.names))


def onset_day(features: FeatureMatrix) -> np.ndarray:
    """The most likely day of a change in consumption: the clearest step. [days since 1970, NaN if none]"""
    return features.features[:, LAST_DAY_COLUMN].astype(np.float64) + 1.0 - features.features[:, ONSET_COLUMN]
