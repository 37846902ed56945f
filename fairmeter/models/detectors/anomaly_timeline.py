"""How unusual each of a client's days was, by each detector: the anomaly timeline.

In:  Days, and where they are known Covariates and the networks of a ReadingModel; or Rows of invoices.
Out: {detector: [float64, (rows,)]}, NaN where it cannot be told. 0 is a usual day, and from UNUSUAL (1.0) on a day is
     unusual: of honest households, one day in a hundred comes there.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.data.daily import DailyConsumption
from fairmeter.features.invoices.series import InvoiceSeries
from fairmeter.features.readings.covariates import Covariates
from fairmeter.features.readings.series import DailySeries
from fairmeter.models.detectors import rolling as along
from fairmeter.models.detectors.rolling import ALONG, WindowLengths

UNUSUAL = 1.0
# Median and 99 % quantile of each detector's values, so that all can be drawn on one scale.
# Days: measured on London households of 2011 to 2014; invoices: on clients of the public set that were never caught.
OF_DAYS = {
    "z_score": (0.470, 2.871), "moving_average": (0.439, 3.595), "quartiles": (0.094, 5.374),
    "isolation_forest": (0.294, 0.628), "autoencoder": (0.036, 4.166), "forecaster": (0.011, 3.281),
}  # fmt: skip
OF_INVOICES = {
    "z_score": (0.573, 5.308), "moving_average": (0.533, 6.957), "quartiles": (0.082, 7.467),
    "isolation_forest": (0.361, 0.744),
}  # fmt: skip


class RollingDetector(Protocol):
    """What a network of networks.py does along time."""

    def along(self, days: DailyConsumption, factor: np.ndarray | None = None) -> np.ndarray:
        """[float64, (rows,)]; factor: what each row's day is for the neighbours, 1 = usual, NaN unknown"""


def timeline(
    days: DailyConsumption,
    surroundings: Covariates | None = None,
    networks: Mapping[str, RollingDetector] | None = None,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """By the names of the detectors and of the networks, a value for each row of the Days."""
    return standardised(values_along(days, surroundings, networks, seed), OF_DAYS)


def invoice_timeline(rows: InvoiceSeries, seed: int = 0) -> dict[str, np.ndarray]:
    """A value for each row, of its consumption a day beside the same client's and energy's earlier invoices."""
    with np.errstate(divide="ignore", invalid="ignore"):
        series = rows.daily
    return standardised(_classical(rows.by_pair, series, along.INVOICES, seed), OF_INVOICES)


def values_along(
    days: DailyConsumption, surroundings: Covariates | None, networks: Mapping[str, RollingDetector] | None, seed: int
) -> dict[str, np.ndarray]:
    """As the detectors give them, each on its own scale."""
    if not len(days.kwh):
        return {name: np.empty(0) for name in (*ALONG, *(networks or {}))}
    found = _classical(days.segments, _adjusted(days, surroundings), along.DAYS, seed)
    factor = None
    if surroundings is not None:
        factor = np.exp(surroundings.at(days.segments.index, days.day)[0])
    return found | {name: network.along(days, factor) for name, network in (networks or {}).items()}


def standardised(values: Mapping[str, np.ndarray], scales: Mapping[str, tuple[float, float]]) -> dict[str, np.ndarray]:
    """0 where half of the honest rows lie below, UNUSUAL where 99 of 100 do."""
    return {
        name: UNUSUAL * (each - scales[name][0]) / (scales[name][1] - scales[name][0]) for name, each in values.items()
    }


def _classical(segments: Segments, series: np.ndarray, pace: WindowLengths, seed: int) -> dict[str, np.ndarray]:
    return {name: detector(segments, series, pace, seed) for name, detector in ALONG.items()}


def _adjusted(days: DailyConsumption, surroundings: Covariates | None) -> np.ndarray:
    """log consumption less the neighbours' factor. [(rows,)]"""
    filled = days.segments.filled
    some = DailyConsumption(Segments(days.segments.counts[filled]), days.day, days.kwh, days.hours)
    with np.errstate(divide="ignore", invalid="ignore"):
        return DailySeries(some, surroundings and surroundings.for_clients(filled)).off_usual
