"""Population drift: PSI against the training distribution, and the overlap of two ranked lists.

In:  the ensemble members' input [float32, (clients, width)] and the ensemble's log-odds of the same clients;
     client ids of two lists, the highest score first.
Out: ReferenceDistribution of the training clients, stored with the ensemble; counts of other clients in its bins; from
     these the population stability index (PSI) of each column, its limit by chance, and a level.

PSI = sum over bins of (now - then) * ln(now / then), the shares of clients in a bin; missing values have their own bin.
Below 0.1 little has changed, from 0.25 on a model should be trained again: Siddiqi, Credit Risk Scorecards, Wiley 2006.
Without drift it is about (1 / n then + 1 / n now) times a chi-square of (bins - 1) degrees of freedom: Yurdakul and
Naranjo, Statistical properties of the population stability index, Journal of Risk Model Validation 14 (2020). With few
clients the PSI is high by chance alone, so a level also requires more than CHANCE_Z of such samples reach.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fairmeter.core.types import Table

DECILES = np.arange(1, 10) / 10
N_EDGES, N_BINS = 9, 11  # ten bins of values, and the missing
MISSING = N_BINS - 1
MIN_SHIFTING_PSI, MIN_SHIFTED_PSI = 0.1, 0.25
STABLE, SHIFTING, SHIFTED, TOO_FEW = LEVELS = ("stable", "shifting", "shifted", "too few clients")
MIN_CLIENTS = 50  # with fewer, chance alone reaches 0.6
CHANCE_Z = 3.0902  # 99.9 % of a normal distribution: one in a thousand stable columns is called shifted
BLOCK = 64  # columns transposed at a time: one by one, each value would be fetched from memory again
HALF = 0.5  # clients added to a bin: a share of 0 has no logarithm
OVERLAP_LENGTHS = (50, 200, 1000)  # visits of about a week, a month, half a year
MAX_OVERLAP_LENGTH = max(OVERLAP_LENGTHS)


@dataclass(frozen=True)
class ReferenceDistribution:
    """Binned distribution of the training clients by column: the members' input, and last the score (log-odds).

    edges: upper edges of the bins of values [float32, (width + 1, N_EDGES)], inf where there are fewer; shares: of the
    clients in each bin [float32, (width + 1, N_BINS)]; n: number of clients.
    """

    edges: np.ndarray
    shares: np.ndarray
    n: int

    @classmethod
    def from_clients(
        cls, matrix: np.ndarray, log_odds: np.ndarray, rows: np.ndarray | None = None
    ) -> "ReferenceDistribution":
        """Bin all or some clients. [log_odds: of the same clients, out of fold; rows: mask]"""
        n = len(matrix) if rows is None else int(rows.sum())
        edges, counts = [], []
        for column in _columns(matrix, log_odds, rows):
            edges.append(_edges(column))
            counts.append(_counts(column[None], edges[-1][None])[0])
        return cls(np.stack(edges), (np.stack(counts) / max(n, 1)).astype(np.float32), n)

    def counts(self, matrix: np.ndarray, log_odds: np.ndarray) -> np.ndarray:
        """Number of other clients in each bin; counts of partitions add up. [int64, (width + 1, N_BINS)]"""
        starts = range(0, matrix.shape[1], BLOCK)
        blocks = [np.ascontiguousarray(matrix[:, start : start + BLOCK].T) for start in starts]
        blocks.append(log_odds.astype(np.float32)[None])
        edges = np.split(self.edges, [*starts[1:], matrix.shape[1]])
        return np.concatenate([_counts(*each) for each in zip(blocks, edges, strict=True)])


def _columns(matrix: np.ndarray, log_odds: np.ndarray, rows: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Each column of all or some clients, the score last. [float32]"""
    some = slice(None) if rows is None else rows
    for start in range(0, matrix.shape[1], BLOCK):
        yield from np.ascontiguousarray(matrix[some, start : start + BLOCK].T)
    yield log_odds[some].astype(np.float32)


def _edges(column: np.ndarray) -> np.ndarray:
    """Deciles of the values; a value that spans two or more deciles gets its own bin. [float32, (N_EDGES,)]"""
    edges = np.full(N_EDGES, np.inf, dtype=np.float32)
    present = np.sort(column[~np.isnan(column)])  # faster than a partition at nine places
    if len(present):
        deciles = present[np.ceil(DECILES * len(present)).astype(np.int64) - 1]
        repeated = deciles[1:][deciles[1:] == deciles[:-1]]
        found = np.unique(np.concatenate([deciles, np.nextafter(repeated, np.float32(-np.inf))]))
        edges[: len(found)] = found
    return edges


def _counts(columns: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Number of clients in each bin of some columns. [(columns, clients), (columns, N_EDGES) -> int64]"""
    # Ten comparisons of whole columns take a hundredth of the time of one search for each value.
    above = [np.count_nonzero(columns > edge[:, None], axis=1) for edge in edges.T]
    n_missing = np.count_nonzero(np.isnan(columns), axis=1)
    n_clients = columns.shape[1]
    at_least = np.stack([n_clients - n_missing, *above, np.zeros(len(columns), np.int64)])
    return np.column_stack([-np.diff(at_least, axis=0).T, n_missing])


def psi(reference: ReferenceDistribution, counts: np.ndarray) -> np.ndarray:
    """Population stability index of each column. [counts: of other clients; float64, 0 = no drift]"""
    then, now = reference.shares.astype(np.float64) * reference.n, counts.astype(np.float64)
    is_used = _used(then, now)
    then, now = (_shares(n, is_used) for n in (then, now))
    return np.where(is_used, (now - then) * np.log(now / then), 0.0).sum(axis=1)


def chance_limit(reference: ReferenceDistribution, counts: np.ndarray) -> np.ndarray:
    """The index that a stable column exceeds once in a thousand times. [float64, per column]"""
    n_now = counts[0].sum()
    free = np.maximum(_used(reference.shares, counts).sum(axis=1) - 1, 1)
    # Quantile of chi-square by Wilson and Hilferty, PNAS 17 (1931): within 1 % from three degrees of freedom on.
    chi_square = free * (1.0 - 2.0 / (9.0 * free) + CHANCE_Z * np.sqrt(2.0 / (9.0 * free))) ** 3
    return chi_square * (1.0 / max(reference.n, 1) + 1.0 / max(n_now, 1))


def drift_level(index: float, chance: float, n_now: int) -> str:
    """One of LEVELS, from the index, its limit by chance, and the number of clients."""
    if n_now < MIN_CLIENTS:
        return TOO_FEW
    if index < max(MIN_SHIFTING_PSI, chance):
        return STABLE
    return SHIFTED if index >= max(MIN_SHIFTED_PSI, chance) else SHIFTING


def compare_columns(reference: ReferenceDistribution, counts: np.ndarray) -> Table:
    """Per column, the score last: psi, chance, level, is_constant (in training), missing_then and missing_now."""
    index, chance, n_now = psi(reference, counts), chance_limit(reference, counts), int(counts[0].sum())
    levels = [drift_level(*found, n_now) for found in zip(index.tolist(), chance.tolist(), strict=True)]
    return {
        "psi": index,
        "chance": chance,
        "level": np.array(levels),
        "is_constant": is_constant(reference),
        "missing_then": reference.shares[:, MISSING].astype(np.float64),
        "missing_now": counts[:, MISSING] / max(n_now, 1),
    }


def is_constant(reference: ReferenceDistribution) -> np.ndarray:
    """Whether all training clients share one bin of a column: one value, or all missing. [bool]"""
    return (reference.shares > 0).sum(axis=1) <= 1


def is_missing(reference: ReferenceDistribution) -> np.ndarray:
    """Whether no training client has a value of a column. [bool]"""
    return reference.shares[:, MISSING] == 1.0


def share_above_top_decile(reference: ReferenceDistribution, counts: np.ndarray) -> tuple[float, float]:
    """Share of clients above the score that one in ten training clients exceeded, then and now. [0..1]"""
    tenth = int(np.isfinite(reference.edges[-1]).sum())
    then, now = reference.shares[-1].astype(np.float64), counts[-1] / max(int(counts[0].sum()), 1)
    return float(then[tenth]), float(now[tenth])


def _used(then: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Bins that any client is in; columns with few distinct values leave others empty. [bool]"""
    return (then > 0) | (now > 0)


def _shares(n: np.ndarray, is_used: np.ndarray) -> np.ndarray:
    """Share of each used bin with half a client added to each; 1 for unused bins. [counts -> 0..1]"""
    more = np.where(is_used, n + HALF, 0.0)
    return np.where(is_used, more / np.maximum(more.sum(axis=1, keepdims=True), HALF), 1.0)


# --- lists ------------------------------------------------------------------------------------------------------------


def list_overlap(now: Sequence[str], former: Sequence[str]) -> list[dict]:
    """{"k", "n_both", "jaccard"} of the first k clients of both lists, for each of OVERLAP_LENGTHS that both reach.

    Where both reach none, k is the length of the shorter list. jaccard: clients in both lists over clients in either
    (Jaccard, Bulletin de la Société Vaudoise des Sciences Naturelles 37, 1901).
    """
    shortest = min(len(now), len(former))
    lengths = [k for k in OVERLAP_LENGTHS if k <= shortest] or [shortest] * bool(shortest)
    return [_overlap(k, set(now[:k]), set(former[:k])) for k in lengths]


def _overlap(k: int, now: set[str], former: set[str]) -> dict:
    n_both = len(now & former)
    return {"k": k, "n_both": n_both, "jaccard": n_both / len(now | former)}
