"""Autoencoder of four weeks of consumption, fitted on honest clients.

In:  DailyConsumption, missing days NaN; optionally the neighbours' factor of each row's day (1 = usual, 1.2 = a fifth
     more, NaN if unknown), so that weather and season are not suspicious.
Out: `scores` [float32, (clients, k)], columns as in `names`; `score` [float64, (clients,)] and `row_scores` [float64,
     (rows,)], higher = more suspicious. NaN if a series is too short, or has no consumption to compare with.

Only `fit` imports TensorFlow; serving runs the weights in ONNX Runtime. Consumption is relative to the client's own
earlier mean, so the network sees falls and rises but no kWh. A client's scores depend on its own rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
    with_mask,
)
from fairmeter.models.runtime import onnx_networks, onnx_trees


@dataclass(frozen=True)
class Autoencoder:
    """Reconstruction error of four weeks, and Mahalanobis distance of their code from the codes of honest weeks.

    The code can represent a level that no honest client has, so the error alone would miss a plain fall. The distance
    shows it.
    """

    WEEKS: ClassVar[int] = 4  # in a window; a window ends every week
    DAYS: ClassVar[int] = WEEKS * WEEK
    MIN_KNOWN: ClassVar[int] = 14  # days of a window
    MIN_BEFORE: ClassVar[int] = 28  # known days for a level; with fewer, the level is the mean of the window
    RECENT: ClassVar[int] = 4  # windows
    UNITS: ClassVar[int] = 64
    CODE: ClassVar[int] = 6
    names: ClassVar[tuple[str, ...]] = tuple(
        f"weeks_{what}_{when}"
        for what in ("error", "distance")
        for when in ("last", "recent", "before", "largest", "change")
    )

    graph: bytes
    code_mean: np.ndarray  # float64 (CODE,)
    whitening: np.ndarray  # float64 (CODE, CODE): honest (code - mean) @ whitening have the identity as covariance
    usual: np.ndarray  # float64 (2, 2): mean and deviation of error and of distance among honest windows

    @classmethod
    def fit(
        cls,
        days: DailyConsumption,
        seed: int,
        on_progress: OnProgress = silent,
        epochs: int = 40,
        factor: np.ndarray | None = None,
    ) -> "Autoencoder":
        """Fit on honest clients; the same seed gives the same network. Raises TooFewSeries.

        With factors, half of the series lack them, so that the network can score series with and without.
        """
        rng = np.random.default_rng(seed)
        parts, rows, client = cut_series(days, rng, every=3 * WEEK, min_days=cls.DAYS)
        factors = factors_for_half(parts, rows, factor, rng)
        # Only the last window of each piece: the others are the last ones of other pieces.
        ends = [cls._windows(grid)[:, -1] for _, _, grid in cls._blocks(parts, factors)]
        windows = np.concatenate([np.empty((0, cls.DAYS)), *ends])
        usable = _has_enough_days(windows)
        windows, client = windows[usable], client[usable]
        held_out = keras_fit.held_out_series(client, seed, cls.DAYS)
        sizes = cls.UNITS, cls.CODE
        encoder, decoder = keras_fit.fit_autoencoder(windows, held_out, sizes, seed, on_progress, epochs)
        made = cls(
            onnx_networks.autoencoder_graph(encoder, decoder), np.zeros(cls.CODE), np.eye(cls.CODE), np.ones((2, 2))
        )
        return made._scaled_to(windows)

    def _scaled_to(self, windows: np.ndarray) -> "Autoencoder":
        """The same network with code, error and distance scaled by these honest windows."""
        code = self._run(windows)[1]
        variance, axes = np.linalg.eigh(np.cov(code.T) + 1e-6 * np.eye(self.CODE))
        made = replace(self, code_mean=code.mean(axis=0), whitening=axes / np.sqrt(variance))
        values = made._error_and_distance(windows)
        return replace(made, usual=np.stack([values.mean(axis=1), np.maximum(values.std(axis=1), 1e-6)]))

    def scores(self, days: DailyConsumption, factor: np.ndarray | None = None) -> np.ndarray:
        """Scores of each client. [float32, (clients, len(names))]"""
        out = np.full((len(days.segments), len(self.names)), np.nan, dtype=np.float32)
        for clients, _, grid in self._blocks(days, factor):
            values = self._error_and_distance(self._windows(grid))
            recent, before = mean_of_known(values[..., -self.RECENT :]), mean_of_known(values[..., : -self.RECENT])
            largest = np.fmax.reduce(values, axis=-1)
            each = np.stack([values[..., -1], recent, before, largest, recent - before], axis=1)
            out[clients] = each.reshape(len(self.names), -1).T
        return out

    def score(self, days: DailyConsumption, factor: np.ndarray | None = None) -> np.ndarray:
        """Mean of the last windows' error or distance, whichever is larger. [float64, (clients,), deviations]"""
        out = np.full(len(days.segments), np.nan)
        for clients, _, grid in self._blocks(days, factor):
            out[clients] = mean_of_known(self._suspicion(grid)[:, -self.RECENT :])
        return out

    def row_scores(self, days: DailyConsumption, factor: np.ndarray | None = None) -> np.ndarray:
        """Error or distance of the first window that ends on each row's day or later. [float64, (rows,)]"""
        out = np.full(len(days.kwh), np.nan)
        for _, rows, grid in self._blocks(days, factor):
            by_day = np.repeat(self._suspicion(grid), WEEK, axis=1)
            put_rows(out[rows], grid.row[:, -by_day.shape[1] :], by_day)
        return out

    @classmethod
    def _blocks(cls, days: DailyConsumption, factor: np.ndarray | None) -> Iterator[tuple[slice, slice, DayGrid]]:
        return blocks(days, factor, WEEK, cls.DAYS - WEEK)

    @classmethod
    def _windows(cls, grid: DayGrid) -> np.ndarray:
        """Input of the network: the days of each week from Monday on. [float64, (clients, windows, DAYS)]"""
        n_clients, n_columns = grid.kwh.shape
        grid = replace(grid, kwh=grid.kwh / np.where(np.isnan(grid.factor), 1.0, grid.factor))
        total, n = grid.before()
        starts = np.arange(0, n_columns - cls.DAYS + 1, WEEK)
        has_level = n[:, starts] >= cls.MIN_BEFORE
        weeks, of_window = grid.kwh.reshape(n_clients, -1, WEEK), starts[:, None] // WEEK + np.arange(cls.WEEKS)
        known = mean_of_known(weeks[:, of_window].reshape(n_clients, -1, cls.DAYS), cls.MIN_KNOWN)
        level = np.where(has_level, total[:, starts] / np.maximum(n[:, starts], 1), known)
        monday = (grid.weekday[:, :WEEK].argmin(axis=1)[:, None] + np.arange(WEEK)) % WEEK
        from_monday = weeks[np.arange(n_clients)[:, None, None, None], of_window[..., None], monday[:, None, None]]
        series = log_ratio(from_monday.reshape(n_clients, -1, cls.DAYS), level[..., None])
        return np.where(np.isnan(known)[..., None], np.nan, series)

    def _run(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Reconstruction and code. [(n, DAYS) -> (n, DAYS), (n, CODE)]"""
        output = onnx_trees.run(self.graph, with_mask(windows)).astype(np.float64)
        return output[:, : self.DAYS], output[:, self.DAYS :]

    def _error_and_distance(self, windows: np.ndarray) -> np.ndarray:
        """Mean absolute error and distance of each window. [(..., DAYS) -> (2, ...)]"""
        flat = windows.reshape(-1, self.DAYS)
        usable = _has_enough_days(flat)
        values = np.full((2, len(flat)), np.nan)
        if usable.any():
            decoded, code = self._run(flat[usable])
            # A sum of products, because the rounding of a matrix product depends on the number of rows.
            white = ((code - self.code_mean)[..., None] * self.whitening).sum(axis=1)
            values[:, usable] = mean_of_known(np.abs(flat[usable] - decoded)), np.sqrt(mean_of_known(white * white))
        return values.reshape(2, *windows.shape[:-1])

    def _suspicion(self, grid: DayGrid) -> np.ndarray:
        """Error or distance of each window, whichever is larger. [float64, (clients, windows), deviations]"""
        usual, deviation = self.usual[..., None, None]
        return ((self._error_and_distance(self._windows(grid)) - usual) / deviation).max(axis=0)


def _has_enough_days(windows: np.ndarray) -> np.ndarray:
    """Mask of the windows with at least MIN_KNOWN known days."""
    return (~np.isnan(windows)).sum(axis=-1) >= Autoencoder.MIN_KNOWN
