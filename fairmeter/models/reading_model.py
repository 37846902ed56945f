"""Readings -> what they say of a theft: the members' log-odds less the prior's, so that it adds to other evidence.

In:  Days (fairmeter/data/daily.py) and, where neighbours, weather or holidays are known for these dates, Covariates.
Out: FeatureMatrix, then log-odds a client; NaN with fewer than LEAST_DAYS known days. NumPy and ONNX Runtime only.
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

TOGETHER = 0.6  # correlation from which two factors are those of one place
LAST_DAY = -1  # the last column of the evidence
LEAST_DAYS = 14  # known days: with fewer, nothing can be told from the week
ONSET = FEATURE_NAMES.index("off_usual_step_ago")


class SequenceScorer(Protocol):
    """What a network of networks.py does: scores by `names` [float32, (clients, len(names))], NaN where too short."""

    names: tuple[str, ...]

    def scores(self, days: DailyConsumption, factor: np.ndarray | None = None) -> np.ndarray:
        """[factor: what each row's day is for the neighbours, 1 = usual, NaN unknown]"""


Networks = dict[str, SequenceScorer]


@dataclass(frozen=True)
class ReadingModel:
    """An ensemble on readings. `surroundings` are those of its training clients; theft_share: of them, 0..1."""

    ensemble: Ensemble
    networks: Networks
    surroundings: Covariates
    theft_share: float

    def evidence(self, days: DailyConsumption, surroundings: Covariates | None = None) -> FeatureMatrix:
        """What the ensemble sees. Without surroundings those of the training clients count, on the dates they have."""
        return reading_evidence(days, self.networks, surroundings or self.surroundings)

    def surroundings_of(
        self, days: DailyConsumption, cell: np.ndarray | None = None, almanac: Exogenous = NO_EXOGENOUS
    ) -> Covariates:
        """Of a whole client base its own, by cell (a region or transformer, int64 a client); else the model's.

        Where its days go up and down as those of the training clients do, these are its neighbours, and honest ones.
        Of the almanac counts what the model was trained with: of the rest it has learnt nothing.
        """
        weather = almanac.weather if self.surroundings.has_weather else None
        holidays = almanac.holidays if self.surroundings.has_holidays else None
        own = Covariates.from_consumption(days, cell, weather, holidays)
        if np.isnan(own.factor).all() or own.correlation_with(self.surroundings) >= TOGETHER:
            return self.surroundings.with_weather(weather, holidays)
        return own

    def log_ratio(self, evidence: FeatureMatrix) -> np.ndarray:
        """Calibrated log-odds of theft less those of the training clients' share. [float64, one a client]"""
        out = np.full(len(evidence), np.nan)
        known = evidence.n_records >= LEAST_DAYS
        if known.any():
            prior = np.log(self.theft_share / (1.0 - self.theft_share))
            inputs = self.ensemble.inputs.matrix(evidence.of(known))
            out[known] = self.ensemble.log_odds(inputs) - prior
        return out


def reading_evidence(days: DailyConsumption, networks: Networks, surroundings: Covariates | None) -> FeatureMatrix:
    """Features, the networks' scores, and the last day. [float32, (clients, len(evidence_names(networks)) + 1)]"""
    factor = None
    if surroundings is not None:
        factor = np.exp(surroundings.at(days.segments.index, days.day)[0])
    parts = [reading_features(days, surroundings), *(network.scores(days, factor) for network in networks.values())]
    parts.append(days.segments.last(days.day.astype(np.float64))[:, None])
    n_known = days.segments.total((~np.isnan(days.kwh)).astype(np.int64))
    return FeatureMatrix(np.concatenate(parts, axis=1, dtype=np.float32), n_known, {})


def evidence_names(networks: Networks) -> tuple[str, ...]:
    """The columns of `reading_evidence` that a model may see."""
    return (*FEATURE_NAMES, *(name for network in networks.values() for name in network.names))


def onset_day(evidence: FeatureMatrix) -> np.ndarray:
    """The most likely day on which consumption changed: the clearest step. [days since 1970, NaN where none]"""
    return evidence.features[:, LAST_DAY].astype(np.float64) + 1.0 - evidence.features[:, ONSET]
