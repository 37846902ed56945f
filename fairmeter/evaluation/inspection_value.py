"""Profit curves of an inspection list: what the first n visits find, cost and recover, and the best n.

In:  clients in the order of the list: labels, or probabilities where there are none; what is at stake with each.
Out: rows of figures with 95 % intervals, for the report and for score.py.

The stake is itself an estimate (planning/recovery.py). The intervals leave its error out and cover only the chance of
which clients steal. Money or energy, in the unit of stake and cost.
"""

from collections.abc import Sequence

import numpy as np

from fairmeter.core.types import SEVERITIES
from fairmeter.evaluation.metrics import Z95, estimate, share_estimate

VISIT_COUNTS = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)


def profit_curve(
    hit: np.ndarray, stake: np.ndarray, cost: float, has_labels: bool, visit_counts: Sequence[int] = VISIT_COUNTS
) -> list[dict]:
    """{visits, precision, hits, brings, net} of the first n clients, for each n. [hit: label or probability, by rank]

    stake: what a hit recovers, the median where NaN; cost: of one visit, in the same unit; has_labels: whether hit
    holds labels. Counts beyond the number of clients are left out; the last row counts all clients.
    """
    hits, brought, hit_variance, brought_variance = _sums(hit, fill_missing_stakes(stake), has_labels)
    wanted = [n for n in visit_counts if n < len(hit)] + [len(hit)] if len(hit) else []
    rows = []
    for n in wanted:
        half = Z95 * np.sqrt(brought_variance[n - 1])
        share = hits[n - 1] / n
        around = Z95 * np.sqrt(hit_variance[n - 1]) / n
        precision = estimate(share, (max(share - around, 0.0), min(share + around, 1.0)))
        net = brought[n - 1] - n * cost
        rows.append({
            "visits": n,
            "precision": share_estimate(hits[n - 1], n) if has_labels else precision,
            "hits": float(hits[n - 1]),
            "brings": float(brought[n - 1]),
            "net": estimate(net, (net - half, net + half)),
        })  # fmt: skip
    return rows


def best_visit_count(hit: np.ndarray, stake: np.ndarray, cost: float, has_labels: bool) -> dict:
    """{visits, net}: the number of visits from the top with the highest net result; 0 where the first does not pay."""
    hits, brought, _, variance = _sums(hit, fill_missing_stakes(stake), has_labels)
    net = np.append(0.0, brought - cost * np.arange(1, len(hits) + 1))
    best = int(net.argmax())
    half = Z95 * np.sqrt(variance[best - 1]) if best else 0.0
    return {"visits": best, "net": estimate(net[best], (net[best] - half, net[best] + half))}


def profit_by_severity(
    severity: Sequence[str], hit: np.ndarray, stake: np.ndarray, cost: float, has_labels: bool
) -> list[dict]:
    """{severity, n, precision, costs, brings, net} of visiting all clients of a severity, the highest first."""
    stake, names = fill_missing_stakes(stake), np.array(severity, dtype=object)
    rows = []
    for name in SEVERITIES:
        of = names == name
        if of.any():
            [everyone] = profit_curve(hit[of], stake[of], cost, has_labels, visit_counts=())
            rows.append({"severity": name, "n": everyone.pop("visits"), "costs": float(of.sum() * cost)} | everyone)
    return rows


def fill_missing_stakes(stake: np.ndarray) -> np.ndarray:
    """Replace missing stakes by the median of the others; 0 where all are missing."""
    is_present = ~np.isnan(stake)
    return np.where(is_present, stake, np.median(stake[is_present]) if is_present.any() else 0.0)


def _sums(hit: np.ndarray, stake: np.ndarray, has_labels: bool) -> tuple[np.ndarray, ...]:
    """Cumulative hits and recovery over the first 1, 2, ... clients, and the variances of both.

    A label counts as its own variance, as for rare events; a probability p has the variance p (1 - p).
    """
    variance = hit if has_labels else hit * (1.0 - hit)
    return tuple(np.cumsum(each) for each in (hit, hit * stake, variance, variance * stake**2))
