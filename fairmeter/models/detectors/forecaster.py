"""LSTM that forecasts the next days, fitted on honest clients.

In:  DailyConsumption and neighbours' factors, as autoencoder.py takes them.
Out: scores as autoencoder.py gives them: how far the days fell short of their forecast.

Only `fit` imports TensorFlow; serving runs the weights in ONNX Runtime. Consumption is relative to the client's own
earlier mean, so the network sees falls and rises but no kWh. A client's scores depend on its own rows.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairmeter.data.daily import DailyConsumption
from fairmeter.models.detectors import keras_fit
from fairmeter.models.detectors.keras_fit import OnProgress, silent
from fairmeter.models.detectors.windows import (
    WEEK,
    DayGrid,
    blocks,
    cut_series,
    factors_for_half,
    log_ratio,
    mean_of_known,
    put_rows,
    quantiles_of_known,
)
from fairmeter.models.runtime import onnx_networks, onnx_trees

LOG_SPREADS = (-3.0, 1.5)  # range of forecast spreads: a day with a tiny spread must not outweigh all others
CAP = 10.0  # spreads: one absurd day must not dominate a month


@dataclass(frozen=True)
class Forecaster:
    """Errors of the forecasts that an LSTM made a day, four weeks and a quarter ahead. [spreads]

    The forecast of the next day shows a sudden fall; the others still follow the old level when the fall has become
    usual. The network forecasts median and spread of a Laplace distribution, so unsteady clients have smaller errors.
    """

    LEAD: ClassVar[int] = 28  # days before the first forecast
    SPAN: ClassVar[int] = 182  # days of forecasts in one run
    MIN_BEFORE: ClassVar[int] = 14  # known days for a level
    AHEAD: ClassVar[dict[str, int]] = {"day": 1, "month": 28, "quarter": 91}
    # Days over which errors are averaged, and the number of known days required.
    LAST: ClassVar[dict[int, int]] = {7: 3, 30: 10, 90: 20}
    UNITS: ClassVar[int] = 32
    names: ClassVar[tuple[str, ...]] = tuple(
        f"{ahead}_ahead_{what}"
        for ahead in ("day", "month", "quarter")
        for what in ("error_7", "error_30", "error_90", "absolute_90", "low_90", "high_90")
    )

    graph: bytes

    @classmethod
    def fit(
        cls,
        days: DailyConsumption,
        seed: int,
        on_progress: OnProgress = silent,
        epochs: int = 40,
        factor: np.ndarray | None = None,
    ) -> "Forecaster":
        """Fit on honest clients; the same seed gives the same network. Raises TooFewSeries.

        With factors, half of the series lack them, so that the network can score series with and without.
        """
        rng = np.random.default_rng(seed)
        parts, rows, client = cut_series(days, rng, every=60, min_days=2 * cls.LEAD)
        factors = factors_for_half(parts, rows, factor, rng)
        width = cls.LEAD + cls.SPAN
        all_inputs = [np.empty((0, width, cls._width()), np.float32)]
        all_targets = [np.empty((0, width, len(cls.AHEAD)))]
        for _, _, grid in blocks(parts, factors, cls.SPAN, cls.LEAD):
            inputs, series, first = cls._chunk(grid, grid.kwh.shape[1] - width)
            all_inputs.append(inputs)
            all_targets.append(cls._targets(series, first))
        inputs, target = np.concatenate(all_inputs), np.concatenate(all_targets)
        usable = (~np.isnan(target)).any(axis=(1, 2))
        held_out = keras_fit.held_out_series(client[usable], seed, 2 * cls.LEAD)
        weights = keras_fit.fit_forecaster(
            inputs[usable], target[usable], held_out, cls.UNITS, LOG_SPREADS, seed, on_progress, epochs
        )
        return cls(onnx_networks.lstm_graph(*weights))

    def scores(self, days: DailyConsumption, factor: np.ndarray | None = None) -> np.ndarray:
        """Scores of each client. [float32, (clients, len(names))] An error below 0: less was used than forecast."""
        out = np.full((len(days.segments), len(self.names)), np.nan, dtype=np.float32)
        for clients, _, grid in blocks(days, factor, self.SPAN, self.LEAD):
            last = self._errors(grid, only_last=True)
            longest, min_known = max(self.LAST.items())
            quarter = last[..., -longest:]
            each = [mean_of_known(last[..., -n:], known) for n, known in self.LAST.items()]
            each += [mean_of_known(np.abs(quarter), min_known), *quantiles_of_known(quarter, (0.1, 0.9), min_known)]
            out[clients] = np.stack(each, axis=2).reshape(-1, len(self.names))
        return out

    def score(self, days: DailyConsumption, factor: np.ndarray | None = None) -> np.ndarray:
        """Mean shortfall of the last 30 days against the forecasts of all horizons. [float64, (clients,)]"""
        errors = self.scores(days, factor)[:, [self.names.index(f"{ahead}_ahead_error_30") for ahead in self.AHEAD]]
        return -mean_of_known(errors.astype(np.float64))

    def row_scores(self, days: DailyConsumption, factor: np.ndarray | None = None) -> np.ndarray:
        """Mean shortfall of each row's day against the forecasts of all horizons. [float64, (rows,)]"""
        out = np.full(len(days.kwh), np.nan)
        for _, rows, grid in blocks(days, factor, self.SPAN, self.LEAD):
            shortfall = -mean_of_known(np.moveaxis(self._errors(grid), 1, 2))
            put_rows(out[rows], grid.row[:, self.LEAD :], shortfall)
        return out

    @classmethod
    def _width(cls) -> int:
        """Number of columns of the network's input."""
        return 4 + WEEK + len(cls.AHEAD)

    @classmethod
    def _chunk(cls, grid: DayGrid, start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Input of the network for LEAD + SPAN columns.

        -> (inputs [float32, (clients, columns, width)], series relative to the level [float64, (clients, columns)],
        first column with a forecast [int64, (clients,)], past the end if there are too few known days)
        """
        n_columns = cls.LEAD + cls.SPAN
        total, n = grid.before()
        enough = n >= cls.MIN_BEFORE
        first = np.maximum(np.where(enough[:, -1], enough.argmax(axis=1), n.shape[1] - 1), start + cls.LEAD)
        each = np.arange(len(n))
        level = np.where(enough[each, first], total[each, first] / np.maximum(n[each, first], 1), np.nan)
        columns = slice(start, start + n_columns)
        series = log_ratio(grid.kwh[:, columns], level[:, None])
        factor = np.log(np.clip(grid.factor[:, columns], 0.2, 5.0))
        has_series, has_factor = ~np.isnan(series), ~np.isnan(factor)
        inputs = np.zeros((len(n), n_columns, cls._width()), dtype=np.float32)
        inputs[..., 0], inputs[..., 1] = np.where(has_series, series, 0.0), has_series
        inputs[..., 2], inputs[..., 3] = np.where(has_factor, factor, 0.0), has_factor
        inputs[..., 4 : 4 + WEEK] = grid.weekday[:, columns, None] == np.arange(WEEK)
        for i, h in enumerate(cls.AHEAD.values(), start=4 + WEEK):
            inputs[:, :-h, i] = inputs[:, h:, 2]
        return inputs, series, first - start

    @classmethod
    def _targets(cls, series: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Target of each step, NaN if unknown or before the first forecast. [float64, (clients, columns, AHEAD)]"""
        target = np.full((*series.shape, len(cls.AHEAD)), np.nan)
        for i, h in enumerate(cls.AHEAD.values()):
            target[:, :-h, i] = series[:, h:]
        target[np.arange(series.shape[1]) < first[:, None] - 1] = np.nan
        return target

    def _errors(self, grid: DayGrid, only_last: bool = False) -> np.ndarray:
        """(actual - forecast) / spread of each day, NaN if unknown. [float64, (clients, AHEAD, days)]"""
        starts = range(0, grid.kwh.shape[1] - self.LEAD, self.SPAN)
        return np.concatenate([self._errors_from(grid, start) for start in (starts[-1:] if only_last else starts)], 2)

    def _errors_from(self, grid: DayGrid, start: int) -> np.ndarray:
        inputs, series, first = self._chunk(grid, start)
        forecast = onnx_trees.run(self.graph, np.ascontiguousarray(np.moveaxis(inputs, 1, 0))).astype(np.float64)
        median, spread = np.moveaxis(forecast, 1, 0).reshape(*inputs.shape[:2], 2, -1).transpose(2, 0, 1, 3)
        errors = (self._targets(series, first) - median) * np.exp(-np.clip(spread, *LOG_SPREADS))
        shifted = np.full((len(series), len(self.AHEAD), series.shape[1]), np.nan)
        for i, h in enumerate(self.AHEAD.values()):
            shifted[:, i, h:] = errors[:, :-h, i]
        return np.clip(shifted[..., self.LEAD :], -CAP, CAP)
