"""Ramps and steps that explain a client's weeks: whether a fall came little by little or at once.

In:  logarithms of weekly consumption, (clients, WEEKS), NaN where unknown.
Out: squared errors of all ramps, and of the best downward step; the likely start and length of a ramp.

Sums are of integers: sums of floats in a matrix product would depend on the clients beside.
"""

import numpy as np

from fairmeter.analysis.anomalies.recent_days import WEEKS

STARTS, LENGTHS, FALLS = range(6, 41), (8, 13, 17, 26), (0.45, 0.65, 0.85)  # weeks before the end, weeks, share
MARGIN = 4  # weeks by which a ramp may reach beyond the end
FIXED_POINT = 4096.0
AGO = np.arange(WEEKS)[::-1] + 0.5  # weeks from the middle of each week to the end


def _fixed(values: np.ndarray) -> np.ndarray:
    return np.rint(values * FIXED_POINT).astype(np.int64)


CHOSEN = [(start, length, fall) for start in STARTS for length in LENGTHS for fall in FALLS if length <= start + MARGIN]
RAMP_STARTS, RAMP_LENGTHS = (np.array([ramp[i] for ramp in CHOSEN]) for i in (0, 1))
RAMPS = _fixed(np.array([np.log(1.0 - fall * np.clip((start - AGO) / n, 0.0, 1.0)) for start, n, fall in CHOSEN])).T
RAMP_SQUARES = RAMPS * RAMPS


def ramp_errors(week: np.ndarray) -> np.ndarray:
    """Squared error of the level with each of RAMPS. [(clients, ramps)]"""
    known = (~np.isnan(week)).astype(np.int64)
    value = _fixed(np.where(known > 0, week, 0.0))
    n = np.maximum(known.sum(axis=1), 1)[:, None]
    squares = (value * value).sum(axis=1)[:, None] - 2 * (value @ RAMPS) + known @ RAMP_SQUARES
    total = value.sum(axis=1)[:, None] - known @ RAMPS
    return (squares - total * (total / n)) / FIXED_POINT**2


RELATED = 9.0  # weeks that count as one: the errors of weeks that follow each other are alike


def likely_ramp(error: np.ndarray, n_known: int) -> tuple[float, float]:
    """(start, length) of one client's ramp in weeks, the mean over all ramps by their likelihood. [error: (ramps,)]"""
    least = max(float(error.min()), 1e-9)
    weight = np.exp((least - error) * max(n_known, 1) / (2.0 * RELATED * least))
    return tuple(float((weight * each).sum() / weight.sum()) for each in (RAMP_STARTS, RAMP_LENGTHS))


def step_error(week: np.ndarray) -> np.ndarray:
    """Squared error of the level with the best downward step. [(clients,)]"""
    known = (~np.isnan(week)).astype(np.int64)
    value = _fixed(np.where(known > 0, week, 0.0))
    first = slice(WEEKS - STARTS.stop, WEEKS - STARTS.start)
    total, n = value.sum(axis=1)[:, None], np.maximum(known.sum(axis=1)[:, None], 1)
    before, n_before = (each.cumsum(axis=1)[:, first] for each in (value, known))
    after, n_after = total - before, n - n_before
    shared = np.minimum(after - n_after * (total / n), 0.0)
    own = n_after * n_before / n
    gain = np.where(own > 0, shared * shared / np.where(own > 0, own, 1.0), 0.0).max(axis=1)
    spread = (value * value).sum(axis=1) - total[:, 0] * (total[:, 0] / n[:, 0])
    return (spread - gain) / FIXED_POINT**2
