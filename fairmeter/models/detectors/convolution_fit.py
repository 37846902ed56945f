"""Fitting of the convolution over weeks with Keras.

In:  Weeks of attacked households, some files at a time: channels, labels, and the week of the onset.
Out: ConvolutionWeights for fairmeter/models/runtime/convolution_graph.py. The same seed gives the same weights on the
     same machine.

Beside the label the network learns in which weeks the theft goes on: that is what it has to find, and there are a
hundred answers in each series instead of one.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fairmeter.models.detectors.week_channels import CHANNELS, KNOWN_CHANNEL, WEEKS
from fairmeter.models.runtime.convolution_graph import LATE_WEEKS, ConvolutionWeights, folded

if TYPE_CHECKING:
    import keras

UNITS, DILATIONS = 64, (1, 2, 4, 8, 16, 32)  # weeks: the last layer compares what lies most of a year apart
BATCH, RATE, LAST_SHARE, WARM_STEPS = 32, 2e-3, 0.05, 100
WEIGHT_DECAY, LABEL_SMOOTHING, WEEK_WEIGHT = 1e-3, 0.02, 0.3
LAYER_DROPOUT, POOL_DROPOUT, HEAD_DROPOUT, HEAD_UNITS = 0.1, 0.3, 0.2, 64
MOMENTUM = 0.98  # of the running means of batch normalisation
NOISE, SCALE_NOISE = 0.05, 0.1  # of the residuals in training: of each day, and of the spread of all


class WeekSeries(NamedTuple):
    """Series of clients. [channels: float32 (n, WEEKS, CHANNELS); label: 1 steals; onset: week, WEEKS where none]"""

    channels: np.ndarray
    label: np.ndarray
    onset: np.ndarray

    def of(self, rows: np.ndarray) -> "WeekSeries":
        """[mask or numbers]"""
        return WeekSeries(*(values[rows] for values in self))


def fit_convolution(parts: Iterable[WeekSeries], n_series: int, seed: int) -> ConvolutionWeights:
    """Fit once over all parts, each shuffled. [n_series: in all parts, for the decay of the learning rate]"""
    import keras

    keras.utils.set_random_seed(seed)
    model, n_steps = _network(), max(n_series // BATCH, 1)
    warm = min(WARM_STEPS, n_steps // 4)
    rate = keras.optimizers.schedules.CosineDecay(
        LAST_SHARE * RATE, n_steps - warm, alpha=0.0, warmup_target=RATE, warmup_steps=warm
    )
    losses = [
        keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing)
        for smoothing in (LABEL_SMOOTHING, 0.0)
    ]
    optimizer = keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY, clipnorm=1.0)
    model.compile(optimizer, losses, loss_weights=[1.0, WEEK_WEIGHT])
    model.fit(_batches(parts, np.random.default_rng(seed)), steps_per_epoch=n_steps, epochs=1, verbose=0)
    return _weights(model)


def _network() -> "keras.Model":
    import keras
    from keras import layers, ops

    inputs = keras.Input((WEEKS, CHANNELS))
    known = inputs[..., KNOWN_CHANNEL : KNOWN_CHANNEL + 1]
    hidden = _normed(layers.Conv1D(UNITS, 1)(inputs)) * known
    for dilation in DILATIONS:
        found = _normed(layers.Conv1D(UNITS, 3, padding="same", dilation_rate=dilation)(hidden))
        hidden = (hidden + layers.SpatialDropout1D(LAYER_DROPOUT)(found)) * known
    late = np.zeros((1, WEEKS, 1), np.float32)
    late[:, -LATE_WEEKS:] = 1.0
    means = [
        ops.sum(hidden * mask, 1) / (ops.sum(mask, 1) + 1e-3) for mask in (known, known * late, known * (1 - late))
    ]
    out_of_reach = (1.0 - known) * 1e3
    ends = [ops.max(hidden - out_of_reach, axis=1), ops.min(hidden + out_of_reach, axis=1)]
    pooled = layers.Dropout(POOL_DROPOUT)(ops.concatenate([*means, *ends], axis=-1))
    head = layers.Dropout(HEAD_DROPOUT)(layers.Dense(HEAD_UNITS, "relu")(pooled))
    return keras.Model(inputs, [layers.Dense(1)(head), layers.Conv1D(1, 1)(hidden)])


def _normed(values: "keras.KerasTensor") -> "keras.KerasTensor":
    from keras import layers

    return layers.ReLU()(layers.BatchNormalization(momentum=MOMENTUM)(values))


def _batches(parts: Iterable[WeekSeries], rng: np.random.Generator) -> Iterator[tuple]:
    """Batches for Keras: channels, both targets, and their weights; a series' unknown weeks weigh nothing."""
    for part in parts:
        order = rng.permutation(len(part.label))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            some = part.of(order[start : start + BATCH])
            is_stolen = (np.arange(WEEKS) >= some.onset[:, None]) & (some.label == 1)[:, None]
            targets = some.label.astype(np.float32)[:, None], is_stolen.astype(np.float32)[..., None]
            known = some.channels[..., KNOWN_CHANNEL]
            yield _noisy(some.channels, rng), targets, (np.ones(len(order[:BATCH]), np.float32), known)


def _noisy(channels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Channels with a little noise in the residuals, so that no household is known by its days."""
    out, days, known = channels.copy(), slice(0, 7), slice(7, 14)
    out[..., days] *= np.exp(rng.normal(0.0, SCALE_NOISE, (len(out), 1, 1)))
    out[..., days] += out[..., known] * rng.normal(0.0, NOISE, out[..., days].shape)
    return out


def _weights(model: "keras.Model") -> ConvolutionWeights:
    """The layers' weights; those of the weeks' own output are not needed in serving."""
    import keras

    convolutions = [layer.get_weights() for layer in model.layers if isinstance(layer, keras.layers.Conv1D)]
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    heads = [tuple(layer.get_weights()) for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    layers = [
        folded(*weights, *norm.get_weights(), norm.epsilon)
        for weights, norm in zip(convolutions, norms, strict=False)  # the last convolution is the weeks' output
    ]
    return ConvolutionWeights(layers, DILATIONS, KNOWN_CHANNEL, heads)
