"""The published theft patterns as functions on series: what a meter registers of what is used.

In:  kwh [series, step], since [series, step] (steps since the onset, 0 before it), a random generator.
Out: registered kWh of the same shape, as if the theft went on at every step; the caller keeps honest steps honest.
Sources: Jokar et al. 2016 (IEEE TSG), Messinis 2018, Zidi et al. 2022. A step is a month; where a published
parameter is in hours or days, the docstring says what became of it.
"""

from collections.abc import Callable

import numpy as np

Pattern = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]

SPELL = 4  # months: about one invoice, so that a spell can show on one
YEAR = 12


def constant_scale(kwh: np.ndarray, _since: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """h1: y = a x, a ~ U(0.1, 0.8), as behind a partial by-pass."""
    return kwh * rng.uniform(0.1, 0.8, (len(kwh), 1))


def zero(kwh: np.ndarray, _since: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """y = 0: total by-pass."""
    return np.zeros_like(kwh)


def gradual(kwh: np.ndarray, since: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """y = (1 - min(s t, m)) x, m ~ U(0.3, 1), reached in 3-24 months: in 30-180 days, as published, a step."""
    ramp, most = rng.uniform(3, 24, (len(kwh), 1)), rng.uniform(0.3, 1.0, (len(kwh), 1))
    return kwh * (1 - most * np.clip(since / ramp, 0, 1))


def intermittent_zero(kwh: np.ndarray, since: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """y = d x, d ~ Bernoulli(p) for spells of four months, p ~ U(0.2, 0.7); the onset is where the first 0 begins."""
    spell = since // SPELL
    is_honest = rng.random((len(kwh), 1 + spell.max(initial=0))) < rng.uniform(0.2, 0.7, (len(kwh), 1))
    is_honest[:, 0] = False
    return kwh * np.take_along_axis(is_honest, spell, axis=1)


def cut_off(kwh: np.ndarray, _since: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """y = min(x, c), c at the 0.05-0.4 quantile of the client's own steps."""
    at = (rng.uniform(0.05, 0.4, len(kwh)) * kwh.shape[1]).astype(int)
    limit = np.sort(kwh, axis=1)[np.arange(len(kwh)), at]
    return np.minimum(kwh, limit[:, None])


def rollback(kwh: np.ndarray, _since: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """y = a x, a ~ U(0.3, 0.8): the index is turned back before the reader comes; turned too far, it shows."""
    return kwh * rng.uniform(0.3, 0.8, (len(kwh), 1))


def stall(kwh: np.ndarray, since: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The index stands still for 6-10 months of each year, then catches up with at most half of what it missed."""
    length, share = rng.integers(6, 11, (len(kwh), 1)), rng.uniform(0, 0.5, (len(kwh), 1))
    before = np.cumsum(kwh, axis=1) - kwh
    missed = before - np.take_along_axis(before, np.maximum(np.arange(kwh.shape[1]) - length, 0), axis=1)
    month = since % YEAR
    return np.select([month < length, month == length], [0.0, kwh + share * missed], kwh)


def meter_change(kwh: np.ndarray, _since: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """y = a x, a ~ U(0.2, 0.7), behind another meter that appears at the onset and runs slow."""
    return kwh * rng.uniform(0.2, 0.7, (len(kwh), 1))


PATTERNS: dict[str, Pattern] = {
    pattern.__name__: pattern
    for pattern in (constant_scale, zero, gradual, intermittent_zero, cut_off, rollback, stall, meter_change)
}
PATTERN_NAMES = tuple(PATTERNS)
