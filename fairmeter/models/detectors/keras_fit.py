"""Fitting of networks with Keras: autoencoder, forecaster and the dense members of an ensemble.

In:  inputs and targets as arrays; which series are held out for validation.
Out: weights of the layers, as Keras orders them, for fairmeter/models/runtime/onnx_networks.py. The same seed gives the
     same weights.

Keras is imported inside the functions, so that serving never loads TensorFlow.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from fairmeter.models.detectors.windows import with_mask
from fairmeter.models.runtime import onnx_networks

if TYPE_CHECKING:
    import keras

VALIDATION_SHARE = 0.15  # of the clients, held out to select the epoch with the least loss
PATIENCE = 5  # epochs without a smaller validation loss before fitting ends
BATCH = 256
LEARNING_RATE = 0.01  # divided by three after two epochs without a smaller loss
MIN_CLIENTS = 4

HIDDEN, DROPOUT = (256, 128), (0.4, 0.3)  # units of the hidden layers of dense networks; share dropped in a step
NOISE = 0.1  # standard deviation of noise added to each value in training, so that no single value decides
EPOCHS, MIN_STEPS = 12, 300  # with few clients there are more epochs, so that there are enough steps
DENSE_BATCH, DENSE_RATE, WEIGHT_DECAY, LABEL_SMOOTHING = 512, 1e-3, 1e-3, 0.02

OnProgress = Callable[[str], None]


class TooFewSeries(ValueError):
    """Too few honest series, or too short ones, to fit a network; the message gives the number required."""


def silent(_: str) -> None:
    """Ignore a progress message."""


def held_out_series(client: np.ndarray, seed: int, min_days: int) -> np.ndarray:
    """Mask of the series held out for validation: all series of a client or none. [bool]

    min_days: length of the shortest series, for the message. Raises TooFewSeries.
    """
    clients = np.unique(client)
    if len(clients) < MIN_CLIENTS:
        raise TooFewSeries(
            f"Clients with at least {min_days} known days: {len(clients)}; a network needs {MIN_CLIENTS}. "
            "Give more honest series, or fit without networks."
        )
    shuffled = np.random.default_rng(seed).permutation(clients)
    return np.isin(client, shuffled[: max(1, round(VALIDATION_SHARE * len(clients)))])


# --- autoencoder and forecaster ---------------------------------------------------------------------------------------


def fit_autoencoder(
    windows: np.ndarray, held_out: np.ndarray, sizes: tuple[int, int], seed: int, on_progress: OnProgress, epochs: int
) -> tuple[list[onnx_networks.Dense], list[onnx_networks.Dense]]:
    """Encoder and decoder, each with a hidden and a linear layer. [windows: (n, days); sizes: hidden units, code]"""
    import keras

    keras.utils.set_random_seed(seed)
    inputs, (units, code) = with_mask(windows), sizes
    layers = [
        keras.layers.Dense(n, activation)
        for n, activation in ((units, "relu"), (code, None), (units, "relu"), (windows.shape[1], None))
    ]
    model = keras.Sequential([keras.Input(inputs.shape[1:]), keras.layers.Dropout(0.1), *layers])

    def loss(target: "keras.KerasTensor", decoded: "keras.KerasTensor") -> "keras.KerasTensor":
        value, known = keras.ops.split(target, 2, axis=-1)
        return keras.ops.sum(known * keras.ops.abs(value - decoded), axis=-1) / keras.ops.sum(known, axis=-1)

    _fit(model, loss, inputs, inputs, held_out, on_progress, epochs, "autoencoder")
    weights = [tuple(layer.get_weights()) for layer in layers]
    return weights[:2], weights[2:]


def fit_forecaster(
    inputs: np.ndarray, target: np.ndarray, held_out: np.ndarray, units: int, log_spreads: tuple[float, float],
    seed: int, on_progress: OnProgress, epochs: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, onnx_networks.Dense]:  # fmt: skip
    """Kernel, recurrent kernel and bias of an LSTM, and the dense layer on it.

    inputs: (n, steps, width); target: (n, steps, k), NaN if unknown; log_spreads: range of the forecast log spread.
    """
    import keras

    keras.utils.set_random_seed(seed)
    lstm, head = keras.layers.LSTM(units, return_sequences=True), keras.layers.Dense(2 * target.shape[2])
    model = keras.Sequential([keras.Input(inputs.shape[1:]), lstm, head])
    known = ~np.isnan(target)
    packed = np.concatenate([np.nan_to_num(target), known], axis=2).astype(np.float32)

    def loss(target: "keras.KerasTensor", forecast: "keras.KerasTensor") -> "keras.KerasTensor":
        """Negative log-likelihood of a Laplace distribution."""
        value, known = keras.ops.split(target, 2, axis=-1)
        median, spread = keras.ops.split(forecast, 2, axis=-1)
        spread = keras.ops.clip(spread, *log_spreads)
        each = keras.ops.abs(value - median) * keras.ops.exp(-spread) + spread
        return keras.ops.sum(known * each, axis=-1) / keras.ops.mean(known)

    _fit(model, loss, inputs, packed, held_out, on_progress, epochs, "forecaster")
    return *lstm.get_weights(), tuple(head.get_weights())


def _fit(
    model: "keras.Model", loss: Callable, inputs: np.ndarray, target: np.ndarray, held_out: np.ndarray,
    on_progress: OnProgress, epochs: int, name: str,
) -> None:  # fmt: skip
    """Fit until the validation loss no longer falls, and keep the weights of the best epoch."""
    import keras

    def report_epoch(epoch: int, logs: dict[str, float]) -> None:
        on_progress(f"{name}, epoch {epoch + 1}: loss {logs['loss']:.4f}, validation loss {logs['val_loss']:.4f}")

    model.compile(keras.optimizers.Adam(LEARNING_RATE, clipnorm=1.0), loss)
    model.fit(
        inputs[~held_out], target[~held_out], batch_size=BATCH, epochs=epochs, verbose=0, shuffle=True,
        validation_data=(inputs[held_out], target[held_out]),
        callbacks=[
            keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True),
            keras.callbacks.ReduceLROnPlateau(patience=2, factor=0.3),
            keras.callbacks.LambdaCallback(on_epoch_end=report_epoch),
        ],
    )  # fmt: skip


# --- dense networks ---------------------------------------------------------------------------------------------------


def fit_dense(inputs: np.ndarray, label: np.ndarray, seed: int, weight: np.ndarray | None = None) -> "keras.Model":
    """Fit dense layers with ReLU. [inputs: float32, (clients, width); output: log-odds of label 1]

    AdamW with a learning rate that decays to zero, so no clients are held out for early stopping.
    """
    import keras

    keras.utils.set_random_seed(seed)
    layers = [keras.Input(inputs.shape[1:]), keras.layers.GaussianNoise(NOISE)]
    for n, share in zip(HIDDEN, DROPOUT, strict=True):
        layers += [keras.layers.Dense(n, "relu"), keras.layers.Dropout(share)]
    model, n_batches = keras.Sequential([*layers, keras.layers.Dense(1)]), -(-len(inputs) // DENSE_BATCH)
    epochs = max(EPOCHS, -(-MIN_STEPS // n_batches))
    rate = keras.optimizers.schedules.CosineDecay(DENSE_RATE, epochs * n_batches)
    loss = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=LABEL_SMOOTHING)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY), loss)
    target = label.astype(np.float32)[:, None]
    model.fit(inputs, target, batch_size=DENSE_BATCH, epochs=epochs, verbose=0, sample_weight=weight)
    return model


def layers_of(model: "keras.Model") -> list[onnx_networks.Dense]:
    """Weights of a model's dense layers."""
    return [tuple(layer.get_weights()) for layer in model.layers if layer.get_weights()]
