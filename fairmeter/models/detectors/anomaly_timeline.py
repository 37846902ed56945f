"""Anomaly timeline: how unusual each of a client's days was, by detector.

In:  DailyConsumption; if known, Covariates and the networks of a ReadingModel.
Out: {detector: [float64, (rows,)]}, NaN if unknown. 0 is a usual day. From UNUSUAL (1.0) on a day is unusual: among
     honest households, one day in a hundred is.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.data.daily import DailyConsumption
from fairmeter.features.readings.covariates import Covariates
from fairmeter.features.readings.series import DailySeries
from fairmeter.models.detectors.rolling import DAY_WINDOWS, ROLLING_DETECTORS

UNUSUAL = 1.0
# Median and 99 % quantile of each detector's values, which bring all detectors to one scale.
# Measured on London households of 2011 to 2014.
DAY_SCALES = {
    "z_score": (0.470, 2.871), "moving_average": (0.439, 3.595), "quartiles": (0.094, 5.374),
    "isolation_forest": (0.294, 0.628), "autoencoder": (0.036, 4.166), "forecaster": (0.011, 3.281),
}  # fmt: skip


class RollingDetector(Protocol):
    """A network that scores each row of a series, such as Autoencoder and Forecaster."""

    def row_scores(self, days: DailyConsumption, factor: np.ndarray | None = None) -> np.ndarray:
        """Score of each row. [float64, (rows,); factor: the neighbours' factor of its day, NaN if unknown]"""


def timeline(
    days: DailyConsumption,
    covariates: Covariates | None = None,
    networks: Mapping[str, RollingDetector] | None = None,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Standardised values of each row, by the names of the detectors and of the networks."""
    return standardise(rolling_values(days, covariates, networks, seed), DAY_SCALES)


def rolling_values(
    days: DailyConsumption, covariates: Covariates | None, networks: Mapping[str, RollingDetector] | None, seed: int
) -> dict[str, np.ndarray]:
    """Values of each row, each detector on its own scale."""
    if not len(days.kwh):
        return {name: np.empty(0) for name in (*ROLLING_DETECTORS, *(networks or {}))}
    series = _adjusted(days, covariates)
    found = {name: scores(days.segments, series, DAY_WINDOWS, seed) for name, scores in ROLLING_DETECTORS.items()}
    factor = None
    if covariates is not None:
        factor = np.exp(covariates.at(days.segments.index, days.day)[0])
    return found | {name: network.row_scores(days, factor) for name, network in (networks or {}).items()}


def standardise(values: Mapping[str, np.ndarray], scales: Mapping[str, tuple[float, float]]) -> dict[str, np.ndarray]:
    """Scale values so that 0 is the median of honest rows and UNUSUAL their 99 % quantile."""
    return {
        name: UNUSUAL * (each - scales[name][0]) / (scales[name][1] - scales[name][0]) for name, each in values.items()
    }


def _adjusted(days: DailyConsumption, covariates: Covariates | None) -> np.ndarray:
    """Logarithm of consumption less the neighbours' factor. [(rows,)]"""
    filled = days.segments.filled
    some = DailyConsumption(Segments(days.segments.counts[filled]), days.day, days.kwh, days.hours)
    with np.errstate(divide="ignore", invalid="ignore"):
        return DailySeries(some, covariates and covariates.for_clients(filled)).off_neighbours
