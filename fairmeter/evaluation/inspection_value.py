"""What a ranked list of so many visits finds, costs and brings; which number of visits is best.

In:  clients in the order of the list: labels, or probabilities where nobody knows yet; what is at stake with each.
Out: rows of figures with 95 % intervals, for the report and for score.py.

What is at stake is an estimate of itself (recovery.py) whose error no interval here holds: they hold the chance of who
steals. Money or energy, whichever stake and cost are given in.
"""

from collections.abc import Sequence

import numpy as np

from fairmeter.core.types import SEVERITIES
from fairmeter.evaluation.metrics import Z95, estimate, share_estimate

NUMBERS = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)


def worth_of_visits(
    hit: np.ndarray, stake: np.ndarray, cost: float, is_known: bool, numbers: Sequence[int] = NUMBERS
) -> list[dict]:
    """{visits, precision, hits, brings, net} of the first so many clients. [hit: label, or probability; by rank]

    stake: what a hit brings, NaN is taken for the median; cost: of one visit, in the same unit; is_known: whether hit
    holds labels. Numbers beyond the clients are left out; all of them are the last row.
    """
    hits, brought, variance, spread = _sums(hit, filled(stake), is_known)
    wanted = [n for n in numbers if n < len(hit)] + [len(hit)] if len(hit) else []
    rows = []
    for n in wanted:
        half = Z95 * np.sqrt(spread[n - 1])
        share = hits[n - 1] / n
        around = Z95 * np.sqrt(variance[n - 1]) / n
        precision = estimate(share, (max(share - around, 0.0), min(share + around, 1.0)))
        net = brought[n - 1] - n * cost
        rows.append({
            "visits": n,
            "precision": share_estimate(hits[n - 1], n) if is_known else precision,
            "hits": float(hits[n - 1]),
            "brings": float(brought[n - 1]),
            "net": estimate(net, (net - half, net + half)),
        })  # fmt: skip
    return rows


def best_number(hit: np.ndarray, stake: np.ndarray, cost: float, is_known: bool) -> dict:
    """{visits, net}: how many from the top bring most after their cost; 0 where even the first does not pay."""
    hits, brought, _, spread = _sums(hit, filled(stake), is_known)
    net = np.append(0.0, brought - cost * np.arange(1, len(hits) + 1))
    best = int(net.argmax())
    half = Z95 * np.sqrt(spread[best - 1]) if best else 0.0
    return {"visits": best, "net": estimate(net[best], (net[best] - half, net[best] + half))}


def worth_of_severities(
    severity: Sequence[str], hit: np.ndarray, stake: np.ndarray, cost: float, is_known: bool
) -> list[dict]:
    """{severity, n, precision, costs, brings, net}: all clients of each severity visited, the highest first."""
    stake, names = filled(stake), np.array(severity, dtype=object)
    rows = []
    for name in SEVERITIES:
        of = names == name
        if of.any():
            [all_of] = worth_of_visits(hit[of], stake[of], cost, is_known, numbers=())
            rows.append({"severity": name, "n": all_of.pop("visits"), "costs": float(of.sum() * cost)} | all_of)
    return rows


def filled(stake: np.ndarray) -> np.ndarray:
    """With the median where nothing could be estimated; 0 where nothing was for anybody."""
    known = ~np.isnan(stake)
    return np.where(known, stake, np.median(stake[known]) if known.any() else 0.0)


def _sums(hit: np.ndarray, stake: np.ndarray, is_known: bool) -> tuple[np.ndarray, ...]:
    """Of the first 1, 2, ... clients: hits, what they bring, and the variances of both.

    Of labels each hit counts as its own variance, as of rare events; of probabilities it is p (1 - p).
    """
    variance = hit if is_known else hit * (1.0 - hit)
    return tuple(np.cumsum(each) for each in (hit, hit * stake, variance, variance * stake**2))
