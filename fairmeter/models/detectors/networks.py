"""Networks that learnt honest consumption: an autoencoder of four weeks, an LSTM that foretells the days ahead. And
how the dense networks among an ensemble's members (dense.py) are fitted.

In:  Days, missing days NaN; optionally, a row, what the day is for the neighbourhood (1 = usual, 1.2 = a fifth more,
     NaN = unknown), so that weather and season accuse nobody.
Out: `scores` [float32, (clients, k)], columns as in `names`; `score` [float64, (clients,)] and `along` [float64,
     (rows,)], higher = more suspicious. NaN where a series is too short, or has no consumption to compare with.

The only door to TensorFlow: `fit` opens it, and serving runs the weights in ONNX Runtime. Consumption is relative to
the client's own earlier mean, so a network knows falls and rises, and no kWh. A client's scores depend on its own rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fairmeter.data.daily import DailyConsumption
from fairmeter.models.detectors.windows import WEEK, DayGrid, blocks, mean, pieces, quantiles, relative
from fairmeter.models.runtime import onnx_networks, onnx_trees

if TYPE_CHECKING:
    import keras

SHARE_TO_VALIDATE = 0.15  # of the clients: the epoch with the least loss on them is kept
PATIENCE = 5  # epochs without a lesser loss end the fitting
BATCH = 256
LEARNING_RATE = 0.01  # a third of it whenever two epochs gain nothing
LEAST_CLIENTS = 4
LOG_SPREADS = (-3.0, 1.5)  # the network may foretell: a day's tiny spread must not outweigh all other days
CAP = 10.0  # of its spread: one absurd day must not drown a month

Tell = Callable[[str], None]


class TooFewSeries(ValueError):
    """Too few honest series, or too short ones, to learn from; the message says how many are needed."""


def _silent(_: str) -> None:
    pass


# --- autoencoder ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Autoencoder:
    """How badly four weeks are reproduced from the few numbers that tell honest weeks apart, and how odd those are.

    The few numbers can carry a level that no honest client has, so the error alone would miss a plain fall: their
    Mahalanobis distance from the usual ones shows it.
    """

    WEEKS: ClassVar[int] = 4  # in a window; one ends every week
    DAYS: ClassVar[int] = WEEKS * WEEK
    LEAST_KNOWN: ClassVar[int] = 14  # days of a window
    LEAST_BEFORE: ClassVar[int] = 28  # known days to take a level from; with fewer the window's own mean serves
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
        cls, days: DailyConsumption, seed: int, tell: Tell = _silent, epochs: int = 40, factor: np.ndarray | None = None
    ) -> "Autoencoder":
        """Learnt from honest clients; the same seed gives the same network. Raises TooFewSeries.

        With factors half of the series are shown without them, so that the network serves with and without.
        """
        rng = np.random.default_rng(seed)
        parts, rows, client = pieces(days, rng, every=3 * WEEK, least=cls.DAYS)
        shown = _shown_to_half(parts, rows, factor, rng)
        # Of each piece its last window alone: the others are the last ones of other pieces.
        ends = [cls._windows(grid)[:, -1] for _, _, grid in cls._blocks(parts, shown)]
        windows = np.concatenate([np.empty((0, cls.DAYS)), *ends])
        usable = _known_enough(windows)
        windows, client = windows[usable], client[usable]
        encoder, decoder = _fit_autoencoder(windows, _to_validate(client, seed), seed, tell, epochs)
        made = cls(
            onnx_networks.of_autoencoder(encoder, decoder), np.zeros(cls.CODE), np.eye(cls.CODE), np.ones((2, 2))
        )
        return made._scaled_to(windows)

    def _scaled_to(self, windows: np.ndarray) -> "Autoencoder":
        code = self._answer(windows)[1]
        variance, axes = np.linalg.eigh(np.cov(code.T) + 1e-6 * np.eye(self.CODE))
        made = replace(self, code_mean=code.mean(axis=0), whitening=axes / np.sqrt(variance))
        told = made._told(windows)
        return replace(made, usual=np.stack([told.mean(axis=1), np.maximum(told.std(axis=1), 1e-6)]))

    def scores(self, days: DailyConsumption, factor: np.ndarray | None = None) -> np.ndarray:
        """[float32, (clients, len(names))]"""
        out = np.full((len(days.segments), len(self.names)), np.nan, dtype=np.float32)
        for clients, _, grid in self._blocks(days, factor):
            told = self._told(self._windows(grid))
            recent, before = mean(told[..., -self.RECENT :]), mean(told[..., : -self.RECENT])
            largest = np.fmax.reduce(told, axis=-1)
            each = np.stack([told[..., -1], recent, before, largest, recent - before], axis=1)
            out[clients] = each.reshape(len(self.names), -1).T
        return out

    def score(self, days: DailyConsumption, factor: np.ndarray | None = None) -> np.ndarray:
        """Error or distance, whichever is odder, of the last windows, in deviations among honest ones. [float64]"""
        out = np.full(len(days.segments), np.nan)
        for clients, _, grid in self._blocks(days, factor):
            out[clients] = mean(self._suspicion(grid)[:, -self.RECENT :])
        return out

    def along(self, days: DailyConsumption, factor: np.ndarray | None = None) -> np.ndarray:
        """The same of the first window that ends on the day or later. [float64, (rows,)]"""
        out = np.full(len(days.kwh), np.nan)
        for _, rows, grid in self._blocks(days, factor):
            by_day = np.repeat(self._suspicion(grid), WEEK, axis=1)
            _put(out[rows], grid.row[:, -by_day.shape[1] :], by_day)
        return out

    @classmethod
    def _blocks(cls, days: DailyConsumption, factor: np.ndarray | None) -> Iterator[tuple[slice, slice, DayGrid]]:
        return blocks(days, factor, WEEK, cls.DAYS - WEEK)

    @classmethod
    def _windows(cls, grid: DayGrid) -> np.ndarray:
        """What the network sees: a week's days from Monday on. [float64, (clients, windows, DAYS)]"""
        n_clients, n_columns = grid.kwh.shape
        grid = replace(grid, kwh=grid.kwh / np.where(np.isnan(grid.factor), 1.0, grid.factor))
        total, n = grid.before()
        starts = np.arange(0, n_columns - cls.DAYS + 1, WEEK)
        has_level = n[:, starts] >= cls.LEAST_BEFORE
        weeks, of_window = grid.kwh.reshape(n_clients, -1, WEEK), starts[:, None] // WEEK + np.arange(cls.WEEKS)
        known = mean(weeks[:, of_window].reshape(n_clients, -1, cls.DAYS), cls.LEAST_KNOWN)
        level = np.where(has_level, total[:, starts] / np.maximum(n[:, starts], 1), known)
        monday = (grid.weekday[:, :WEEK].argmin(axis=1)[:, None] + np.arange(WEEK)) % WEEK
        from_monday = weeks[np.arange(n_clients)[:, None, None, None], of_window[..., None], monday[:, None, None]]
        series = relative(from_monday.reshape(n_clients, -1, cls.DAYS), level[..., None])
        return np.where(np.isnan(known)[..., None], np.nan, series)

    def _answer(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(reconstruction, code) of windows (n, DAYS)."""
        answer = onnx_trees.run(self.graph, _with_mask(windows)).astype(np.float64)
        return answer[:, : self.DAYS], answer[:, self.DAYS :]

    def _told(self, windows: np.ndarray) -> np.ndarray:
        """Mean absolute error and distance of each window. [(..., DAYS) -> (2, ...)]"""
        flat = windows.reshape(-1, self.DAYS)
        usable = _known_enough(flat)
        told = np.full((2, len(flat)), np.nan)
        if usable.any():
            decoded, code = self._answer(flat[usable])
            # Products summed one after another: a matrix product may round otherwise with other clients beside.
            white = ((code - self.code_mean)[..., None] * self.whitening).sum(axis=1)
            told[:, usable] = mean(np.abs(flat[usable] - decoded)), np.sqrt(mean(white * white))
        return told.reshape(2, *windows.shape[:-1])

    def _suspicion(self, grid: DayGrid) -> np.ndarray:
        """[float64, (clients, windows)]"""
        usual, deviation = self.usual[..., None, None]
        return ((self._told(self._windows(grid)) - usual) / deviation).max(axis=0)


def _shown_to_half(
    parts: DailyConsumption, rows: np.ndarray, factor: np.ndarray | None, rng: "np.random.Generator"
) -> np.ndarray:
    """The factors of the days of half the parts, NaN for the others."""
    is_shown = parts.segments.spread(rng.random(len(parts.segments)) < 0.5)
    return np.where(is_shown, np.nan if factor is None else factor[rows], np.nan)


def _known_enough(windows: np.ndarray) -> np.ndarray:
    return (~np.isnan(windows)).sum(axis=-1) >= Autoencoder.LEAST_KNOWN


def _with_mask(values: np.ndarray) -> np.ndarray:
    """Values with 0 for the missing ones, then 1 where known. [(n, k) -> float32, (n, 2 k)]"""
    known = ~np.isnan(values)
    return np.concatenate([np.where(known, values, 0.0), known], axis=1).astype(np.float32)


def _put(out: np.ndarray, row: np.ndarray, values: np.ndarray) -> None:
    """`out` at the rows that a grid's columns stand for."""
    inside = row < len(out)
    out[row[inside]] = values[inside]


# --- forecaster -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Forecaster:
    """By how much the days fell short of what an LSTM foretold a day, four weeks and a quarter before, in spreads.

    The next day shows a sudden fall; the farther ones still know the old level when the fall has become a habit. The
    network foretells median and spread (of a Laplace distribution), so unsteady clients are given more room.
    """

    LEAD: ClassVar[int] = 28  # days that it sees before the first that counts
    SPAN: ClassVar[int] = 182  # days that it then foretells in one go
    LEAST_BEFORE: ClassVar[int] = 14  # known days to take a level from
    AHEAD: ClassVar[dict[str, int]] = {"day": 1, "month": 28, "quarter": 91}
    LAST: ClassVar[dict[int, int]] = {7: 3, 30: 10, 90: 20}  # days that errors are taken over: known ones needed
    UNITS: ClassVar[int] = 32
    names: ClassVar[tuple[str, ...]] = tuple(
        f"{ahead}_ahead_{what}"
        for ahead in ("day", "month", "quarter")
        for what in ("error_7", "error_30", "error_90", "absolute_90", "low_90", "high_90")
    )

    graph: bytes

    @classmethod
    def fit(
        cls, days: DailyConsumption, seed: int, tell: Tell = _silent, epochs: int = 40, factor: np.ndarray | None = None
    ) -> "Forecaster":
        """Learnt from honest clients; the same seed gives the same network. Raises TooFewSeries.

        With factors half of the series are shown without them, so that the network serves with and without.
        """
        rng = np.random.default_rng(seed)
        parts, rows, client = pieces(days, rng, every=60, least=2 * cls.LEAD)
        shown = _shown_to_half(parts, rows, factor, rng)
        seen, target = [np.empty((0, cls.LEAD + cls.SPAN, cls._width()), np.float32)], []
        target.append(np.empty((0, cls.LEAD + cls.SPAN, len(cls.AHEAD))))
        for _, _, grid in blocks(parts, shown, cls.SPAN, cls.LEAD):
            inputs, series, first = cls._chunk(grid, grid.kwh.shape[1] - cls.LEAD - cls.SPAN)
            seen.append(inputs)
            target.append(cls._targets(series, first))
        seen, target = np.concatenate(seen), np.concatenate(target)
        usable = (~np.isnan(target)).any(axis=(1, 2))
        held = _to_validate(client[usable], seed)
        return cls(onnx_networks.of_lstm(*_fit_forecaster(seen[usable], target[usable], held, seed, tell, epochs)))

    def scores(self, days: DailyConsumption, factor: np.ndarray | None = None) -> np.ndarray:
        """[float32, (clients, len(names))]; an error below 0: less was used than foretold"""
        out = np.full((len(days.segments), len(self.names)), np.nan, dtype=np.float32)
        for clients, _, grid in blocks(days, factor, self.SPAN, self.LEAD):
            last = self._errors(grid, only_last=True)
            longest, least = max(self.LAST.items())
            quarter = last[..., -longest:]
            each = [mean(last[..., -n:], known) for n, known in self.LAST.items()]
            each += [mean(np.abs(quarter), least), *quantiles(quarter, (0.1, 0.9), least)]
            out[clients] = np.stack(each, axis=2).reshape(-1, len(self.names))
        return out

    def score(self, days: DailyConsumption, factor: np.ndarray | None = None) -> np.ndarray:
        """Mean shortfall of the last 30 days, over what is foretold from near and far. [float64, (clients,)]"""
        errors = self.scores(days, factor)[:, [self.names.index(f"{ahead}_ahead_error_30") for ahead in self.AHEAD]]
        return -mean(errors.astype(np.float64))

    def along(self, days: DailyConsumption, factor: np.ndarray | None = None) -> np.ndarray:
        """Mean shortfall of the day, over what was foretold from near and far. [float64, (rows,)]"""
        out = np.full(len(days.kwh), np.nan)
        for _, rows, grid in blocks(days, factor, self.SPAN, self.LEAD):
            shortfall = -mean(np.moveaxis(self._errors(grid), 1, 2))
            _put(out[rows], grid.row[:, self.LEAD :], shortfall)
        return out

    @classmethod
    def _width(cls) -> int:
        return 4 + WEEK + len(cls.AHEAD)

    @classmethod
    def _chunk(cls, grid: DayGrid, start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the network sees of LEAD + SPAN columns.

        -> (inputs [float32, (clients, columns, width)], series relative to the level [float64, (clients, columns)],
        first column that counts [int64, (clients,)], past the end where there are too few known days)
        """
        n_columns = cls.LEAD + cls.SPAN
        total, n = grid.before()
        enough = n >= cls.LEAST_BEFORE
        first = np.maximum(np.where(enough[:, -1], enough.argmax(axis=1), n.shape[1] - 1), start + cls.LEAD)
        each = np.arange(len(n))
        level = np.where(enough[each, first], total[each, first] / np.maximum(n[each, first], 1), np.nan)
        columns = slice(start, start + n_columns)
        series = relative(grid.kwh[:, columns], level[:, None])
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
        """What each step is to foretell, NaN where unknown or before it counts. [float64, (clients, columns, AHEAD)]"""
        target = np.full((*series.shape, len(cls.AHEAD)), np.nan)
        for i, h in enumerate(cls.AHEAD.values()):
            target[:, :-h, i] = series[:, h:]
        target[np.arange(series.shape[1]) < first[:, None] - 1] = np.nan
        return target

    def _errors(self, grid: DayGrid, only_last: bool = False) -> np.ndarray:
        """(actual - foretold) / spread of each day, NaN where it cannot be told. [float64, (clients, AHEAD, days)]"""
        starts = range(0, grid.kwh.shape[1] - self.LEAD, self.SPAN)
        return np.concatenate([self._errors_from(grid, start) for start in (starts[-1:] if only_last else starts)], 2)

    def _errors_from(self, grid: DayGrid, start: int) -> np.ndarray:
        inputs, series, first = self._chunk(grid, start)
        foretold = onnx_trees.run(self.graph, np.ascontiguousarray(np.moveaxis(inputs, 1, 0))).astype(np.float64)
        median, spread = np.moveaxis(foretold, 1, 0).reshape(*inputs.shape[:2], 2, -1).transpose(2, 0, 1, 3)
        errors = (self._targets(series, first) - median) * np.exp(-np.clip(spread, *LOG_SPREADS))
        shifted = np.full((len(series), len(self.AHEAD), series.shape[1]), np.nan)
        for i, h in enumerate(self.AHEAD.values()):
            shifted[:, i, h:] = errors[:, :-h, i]
        return np.clip(shifted[..., self.LEAD :], -CAP, CAP)


# --- fitting: from here on Keras ------------------------------------------------------------------------------------


def _to_validate(client: np.ndarray, seed: int) -> np.ndarray:
    """Whether a series is kept to validate with: all of a client's or none. [bool] Raises TooFewSeries."""
    clients = np.unique(client)
    if len(clients) < LEAST_CLIENTS:
        raise TooFewSeries(
            f"{len(clients)} clients have {Autoencoder.DAYS} to {2 * Forecaster.LEAD} known days; a network needs"
            f" {LEAST_CLIENTS}: give more honest series, or fit without networks."
        )
    shuffled = np.random.default_rng(seed).permutation(clients)
    return np.isin(client, shuffled[: max(1, round(SHARE_TO_VALIDATE * len(clients)))])


def _fit_autoencoder(
    windows: np.ndarray, held: np.ndarray, seed: int, tell: Tell, epochs: int
) -> tuple[list[onnx_networks.Dense], list[onnx_networks.Dense]]:
    """Encoder and decoder, each a hidden layer and a linear one."""
    import keras

    keras.utils.set_random_seed(seed)
    seen = _with_mask(windows)
    layers = [
        keras.layers.Dense(n, activation)
        for n, activation in ((Autoencoder.UNITS, "relu"), (Autoencoder.CODE, None),
                              (Autoencoder.UNITS, "relu"), (Autoencoder.DAYS, None))
    ]  # fmt: skip
    model = keras.Sequential([keras.Input(seen.shape[1:]), keras.layers.Dropout(0.1), *layers])

    def loss(target: "keras.KerasTensor", decoded: "keras.KerasTensor") -> "keras.KerasTensor":
        value, known = keras.ops.split(target, 2, axis=-1)
        return keras.ops.sum(known * keras.ops.abs(value - decoded), axis=-1) / keras.ops.sum(known, axis=-1)

    _fit(model, loss, seen, seen, held, tell, epochs, "autoencoder")
    weights = [tuple(layer.get_weights()) for layer in layers]
    return weights[:2], weights[2:]


def _fit_forecaster(
    seen: np.ndarray, target: np.ndarray, held: np.ndarray, seed: int, tell: Tell, epochs: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, onnx_networks.Dense]:
    """Kernel, recurrent kernel and bias of the LSTM, and the dense layer on it."""
    import keras

    keras.utils.set_random_seed(seed)
    lstm, head = keras.layers.LSTM(Forecaster.UNITS, return_sequences=True), keras.layers.Dense(2 * target.shape[2])
    model = keras.Sequential([keras.Input(seen.shape[1:]), lstm, head])
    known = ~np.isnan(target)
    packed = np.concatenate([np.nan_to_num(target), known], axis=2).astype(np.float32)

    def loss(target: "keras.KerasTensor", foretold: "keras.KerasTensor") -> "keras.KerasTensor":
        """Negative log-likelihood of a Laplace distribution."""
        value, known = keras.ops.split(target, 2, axis=-1)
        median, spread = keras.ops.split(foretold, 2, axis=-1)
        spread = keras.ops.clip(spread, *LOG_SPREADS)
        each = keras.ops.abs(value - median) * keras.ops.exp(-spread) + spread
        return keras.ops.sum(known * each, axis=-1) / keras.ops.mean(known)

    _fit(model, loss, seen, packed, held, tell, epochs, "forecaster")
    return *lstm.get_weights(), tuple(head.get_weights())


def _fit(
    model: "keras.Model", loss: Callable, seen: np.ndarray, target: np.ndarray, held: np.ndarray, tell: Tell,
    epochs: int, name: str,
) -> None:  # fmt: skip
    """Until the clients kept to validate with gain no more; the best epoch's weights stay."""
    import keras

    def told(epoch: int, logs: dict[str, float]) -> None:
        tell(f"{name}, epoch {epoch + 1}: loss {logs['loss']:.4f}, on clients kept apart {logs['val_loss']:.4f}")

    model.compile(keras.optimizers.Adam(LEARNING_RATE, clipnorm=1.0), loss)
    model.fit(
        seen[~held], target[~held], batch_size=BATCH, epochs=epochs, verbose=0, shuffle=True,
        validation_data=(seen[held], target[held]),
        callbacks=[
            keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True),
            keras.callbacks.ReduceLROnPlateau(patience=2, factor=0.3),
            keras.callbacks.LambdaCallback(on_epoch_end=told),
        ],
    )  # fmt: skip


# --- dense networks ---------------------------------------------------------------------------------------------------

HIDDEN, DROPOUT = (256, 128), (0.4, 0.3)  # units of the hidden layers; share of them that a step leaves out
NOISE = 0.1  # deviation of what is added to each value in training: no single value must decide
EPOCHS, LEAST_STEPS = 12, 300  # of few clients more epochs, or there is no time to learn
DENSE_BATCH, DENSE_RATE, WEIGHT_DECAY, LABEL_SMOOTHING = 512, 1e-3, 1e-3, 0.02


def fit_dense(seen: np.ndarray, label: np.ndarray, seed: int, weight: np.ndarray | None = None) -> "keras.Model":
    """Dense layers with ReLU from what is seen [float32, (clients, width)] to the log-odds of label 1.

    AdamW with a rate that falls to nothing in the end: nobody is kept apart to stop by. The same seed gives the same.
    """
    import keras

    keras.utils.set_random_seed(seed)
    layers = [keras.Input(seen.shape[1:]), keras.layers.GaussianNoise(NOISE)]
    for n, share in zip(HIDDEN, DROPOUT, strict=True):
        layers += [keras.layers.Dense(n, "relu"), keras.layers.Dropout(share)]
    model, n_batches = keras.Sequential([*layers, keras.layers.Dense(1)]), -(-len(seen) // DENSE_BATCH)
    epochs = max(EPOCHS, -(-LEAST_STEPS // n_batches))
    rate = keras.optimizers.schedules.CosineDecay(DENSE_RATE, epochs * n_batches)
    loss = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=LABEL_SMOOTHING)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY), loss)
    target = label.astype(np.float32)[:, None]
    model.fit(seen, target, batch_size=DENSE_BATCH, epochs=epochs, verbose=0, sample_weight=weight)
    return model


def layers_of(model: "keras.Model") -> list[onnx_networks.Dense]:
    """The weights of its dense layers."""
    return [tuple(layer.get_weights()) for layer in model.layers if layer.get_weights()]
