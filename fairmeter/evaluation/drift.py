"""Whether clients are still like those that a model learnt from: a fingerprint of these, and how far others are off it.

In:  the members' input [float32, (clients, width)] and the ensemble's log-odds of the same clients.
Out: ReferenceDistribution, which the ensemble keeps; of other clients their counts in its bins; from these the population
     stability index (PSI) of each column, what it would be by chance, and a level.

PSI = sum over bins of (now - then) * ln(now / then), the shares of clients in a bin; missing is a bin of its own.
Below 0.1 little has changed, from 0.25 on a model is due for training: Siddiqi, Credit Risk Scorecards, Wiley 2006.
Without any change it is (1 / n then + 1 / n now) times a chi-square of (bins - 1) degrees of freedom, about: Yurdakul
and Naranjo, Statistical properties of the population stability index, Journal of Risk Model Validation 14 (2020). Few
clients are far off by chance alone, so a level also asks for more than CHANCE of such draws reach.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fairmeter.core.types import Table

DECILES = np.arange(1, 10) / 10
N_EDGES, N_BINS = 9, 11  # ten bins of values, and the missing
MISSING = N_BINS - 1
SHIFTING, SHIFTED = 0.1, 0.25
STABLE, MOVING, MOVED, TOO_FEW = LEVELS = ("stable", "shifting", "shifted", "too few clients")
LEAST_CLIENTS = 50  # with fewer, chance alone reaches 0.6
CHANCE_Z = 3.0902  # 99.9 % of a normal distribution: of a thousand stable columns one is taken for shifted
BLOCK = 64  # columns turned into rows at a time: one after the other, each value would be fetched from memory anew
HALF = 0.5  # clients more in a bin: a share of 0 has no logarithm


@dataclass(frozen=True)
class ReferenceDistribution:
    """The training clients in bins, by column: those of the members' input, and last the score (log-odds).

    edges: upper edges of the bins of values [float32, (width + 1, N_EDGES)], inf where there are fewer; shares: of the
    clients in each bin [float32, (width + 1, N_BINS)]; n: the clients.
    """

    edges: np.ndarray
    shares: np.ndarray
    n: int

    @classmethod
    def of(cls, matrix: np.ndarray, log_odds: np.ndarray, rows: np.ndarray | None = None) -> "ReferenceDistribution":
        """Of all clients, or of some. [log_odds: of the same clients, out of fold; rows: mask]"""
        n = len(matrix) if rows is None else int(rows.sum())
        edges, counts = [], []
        for column in _columns(matrix, log_odds, rows):
            edges.append(_edges(column))
            counts.append(_counts(column, edges[-1]))
        return cls(np.stack(edges), (np.stack(counts) / max(n, 1)).astype(np.float32), n)

    def counts(self, matrix: np.ndarray, log_odds: np.ndarray) -> np.ndarray:
        """How many of other clients are in each bin; counts of parts add. [int64, (width + 1, N_BINS)]"""
        columns = _columns(matrix, log_odds)
        return np.stack([_counts(column, edges) for column, edges in zip(columns, self.edges, strict=True)])


def _columns(matrix: np.ndarray, log_odds: np.ndarray, rows: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Each column of the clients, or of some, the score last. [float32]"""
    some = slice(None) if rows is None else rows
    for start in range(0, matrix.shape[1], BLOCK):
        yield from np.ascontiguousarray(matrix[some, start : start + BLOCK].T)
    yield log_odds[some].astype(np.float32)


def _edges(column: np.ndarray) -> np.ndarray:
    """Deciles of what is known; a value that holds two or more of them gets a bin of its own. [float32, (N_EDGES,)]"""
    edges = np.full(N_EDGES, np.inf, dtype=np.float32)
    known = np.sort(column[~np.isnan(column)])  # faster than a partition at nine places
    if len(known):
        deciles = known[np.ceil(DECILES * len(known)).astype(np.int64) - 1]
        held = deciles[1:][deciles[1:] == deciles[:-1]]
        found = np.unique(np.concatenate([deciles, np.nextafter(held, np.float32(-np.inf))]))
        edges[: len(found)] = found
    return edges


def _counts(column: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """[int64, (N_BINS,)]"""
    # Ten comparisons of whole columns take a hundredth of the time of one search for each value.
    above = [np.count_nonzero(column > edge) for edge in edges]
    n_known = len(column) - np.count_nonzero(np.isnan(column))
    return np.append(-np.diff([n_known, *above, 0]), len(column) - n_known)


def psi(fingerprint: ReferenceDistribution, counts: np.ndarray) -> np.ndarray:
    """Population stability index of each column. [counts: of other clients; float64, 0 = alike]"""
    then, now = fingerprint.shares.astype(np.float64) * fingerprint.n, counts.astype(np.float64)
    is_used = _used(then, now)
    then, now = (_shares(n, is_used) for n in (then, now))
    return np.where(is_used, (now - then) * np.log(now / then), 0.0).sum(axis=1)


def by_chance(fingerprint: ReferenceDistribution, counts: np.ndarray) -> np.ndarray:
    """What the index of a stable column reaches once in a thousand times. [float64, one a column]"""
    n_now = counts[0].sum()
    free = np.maximum(_used(fingerprint.shares, counts).sum(axis=1) - 1, 1)
    # Quantile of chi-square by Wilson and Hilferty, PNAS 17 (1931): within 1 % from three degrees of freedom on.
    chi_square = free * (1.0 - 2.0 / (9.0 * free) + CHANCE_Z * np.sqrt(2.0 / (9.0 * free))) ** 3
    return chi_square * (1.0 / max(fingerprint.n, 1) + 1.0 / max(n_now, 1))


def level_of(index: float, chance: float, n_now: int) -> str:
    """One of LEVELS."""
    if n_now < LEAST_CLIENTS:
        return TOO_FEW
    if index < max(SHIFTING, chance):
        return STABLE
    return MOVED if index >= max(SHIFTED, chance) else MOVING


def compared(fingerprint: ReferenceDistribution, counts: np.ndarray) -> Table:
    """By column, the score last: psi, chance, level, is_constant (in training), and the share missing then and now."""
    index, chance, n_now = psi(fingerprint, counts), by_chance(fingerprint, counts), int(counts[0].sum())
    levels = [level_of(*found, n_now) for found in zip(index.tolist(), chance.tolist(), strict=True)]
    return {
        "psi": index,
        "chance": chance,
        "level": np.array(levels),
        "is_constant": is_constant(fingerprint),
        "missing_then": fingerprint.shares[:, MISSING].astype(np.float64),
        "missing_now": counts[:, MISSING] / max(n_now, 1),
    }


def is_constant(fingerprint: ReferenceDistribution) -> np.ndarray:
    """Whether all training clients are in one bin of a column: they share one value, or it is missing. [bool]"""
    return (fingerprint.shares > 0).sum(axis=1) <= 1


def is_missing(fingerprint: ReferenceDistribution) -> np.ndarray:
    """Whether no training client has a value of a column. [bool]"""
    return fingerprint.shares[:, MISSING] == 1.0


def above(fingerprint: ReferenceDistribution, counts: np.ndarray) -> tuple[float, float]:
    """Share of clients above the score that one in ten of the training clients was above, then and now. [0..1]"""
    tenth = int(np.isfinite(fingerprint.edges[-1]).sum())
    then, now = fingerprint.shares[-1].astype(np.float64), counts[-1] / max(int(counts[0].sum()), 1)
    return float(then[tenth]), float(now[tenth])


def _used(then: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Bins that somebody is in; the others are there for columns of more values. [bool]"""
    return (then > 0) | (now > 0)


def _shares(n: np.ndarray, is_used: np.ndarray) -> np.ndarray:
    """Of each bin that is used, with half a client more in each; 1 elsewhere. [counts -> 0..1]"""
    more = np.where(is_used, n + HALF, 0.0)
    return np.where(is_used, more / np.maximum(more.sum(axis=1, keepdims=True), HALF), 1.0)
