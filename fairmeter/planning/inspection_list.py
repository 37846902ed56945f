"""Scores with the energy at stake -> the clients to visit.

In:  Scores, each with its RecoveryEstimate; the number of visits and the cost of one; if known, regions, open cases and
     past inspections.
Out: a recommendation for each client, and an inspection list with at most that many visits.

Some visits are a random sample of all clients that can be visited. Their hit rate is that of the client base, with
which the list's own hit rate is compared. As labels they also show the next training clients with low scores.
"""

import heapq
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairmeter.core.types import (
    FITS,
    INSPECT_NOW,
    NEXT_ROUND,
    NOT_ENOUGH,
    WATCH,
    FeatureMatrix,
    RecoveryEstimate,
    Score,
    Table,
)
from fairmeter.data.daily import DailyConsumption
from fairmeter.features.invoices.series import InvoiceSeries
from fairmeter.models.fraud_model import FraudModel
from fairmeter.models.reading_model import onset_day
from fairmeter.planning.recovery import BILLABLE_MONTHS, recovery_estimates

RANDOM_SHARE = 0.05  # of the visits: two of forty a week are a hundred comparisons a year
RECENT_DAYS = 365  # after an inspection: a fault found has been repaired, and a year shows whether this lasts
URGENT, NOTABLE = ("critical", "high"), ("critical", "high", "medium")
# A score from little data may be high or low by chance.
SPARSE_HISTORY_FLAGS = frozenset({"short_history", "short_readings"})
ONE_STEP_LATER = {INSPECT_NOW: NEXT_ROUND, NEXT_ROUND: WATCH, WATCH: WATCH}


@dataclass(frozen=True, slots=True)
class PlannedVisit:
    """One visit of an inspection list; number 1 is the first, `row` is the client's place among the scores.

    net: expected value less the cost of the visit, as (most likely, low, high) in the currency of the prices; None
    without a price or without an estimate of the energy at stake.
    """

    number: int
    row: int
    score: Score
    is_random: bool
    net: tuple[float, float, float] | None = None
    route: int | None = None


# --- one client -------------------------------------------------------------------------------------------------------


def recommendation(score: Score) -> str:
    """What to do about a client; all pages and answers use this rule.

    Suspected with severity high or critical: inspect now. Otherwise suspected, or medium: next round. Others: watch.
    One step later if a harmless cause fits, if the score rests on little data, or if the account has ended.
    Not enough data: without a score, or if the score rests on little data and stays below the threshold.
    """
    flags = {flag.flag for flag in score.quality}
    is_on_little = not SPARSE_HISTORY_FLAGS.isdisjoint(flags)
    if score.value is None or (is_on_little and not score.is_suspected):
        return NOT_ENOUGH
    first = INSPECT_NOW if score.is_suspected and score.severity in URGENT else NEXT_ROUND
    first = first if score.is_suspected or score.severity in NOTABLE else WATCH
    is_harmless = any(explanation.verdict == FITS for explanation in score.explanations)
    return ONE_STEP_LATER[first] if is_harmless or is_on_little or "inactive" in flags else first


def estimate_recoveries(
    model: FraudModel,
    clients: Table,
    invoices: Table,
    days: DailyConsumption | None = None,
    reading_features: FeatureMatrix | None = None,
    billable_months: int = BILLABLE_MONTHS,
    series: InvoiceSeries | None = None,
) -> list[RecoveryEstimate | None]:
    """Energy that may be billed after a visit to each client; the model gives the medians of peers."""
    peers = None if model.invoices is None else model.invoices.inputs.peers
    onset = None if reading_features is None else onset_day(reading_features)
    return recovery_estimates(clients, invoices, peers, days, onset, billable_months, series)


def add_recovery(scores: Sequence[Score], recovery_estimates: Sequence[RecoveryEstimate | None]) -> list[Score]:
    """The scores with their recovery estimate and recommendation; without a probability there is no estimate."""
    return [
        replace(
            score,
            recovery=None if score.probability is None else recovery,
            recommendation=recommendation(score),
        )
        for score, recovery in zip(scores, recovery_estimates, strict=True)
    ]


def expected_values(scores: Sequence[Score], price: float | None = None) -> np.ndarray:
    """Expected value of a visit to each client: most likely, low, high. [float64, (scores, 3), NaN if unknown]

    price: per kWh, for clients without a price of their own.
    """
    out = np.full((len(scores), 3), np.nan)
    for row, score in zip(out, scores, strict=True):
        found = score.recovery
        if found is None or score.probability is None:
            continue
        per_kwh = found.value / found.kwh if found.value is not None and found.kwh > 0 else price
        if per_kwh is not None:
            row[:] = score.probability * per_kwh * np.array([found.kwh, found.low_kwh, found.high_kwh])
    return out


# --- the list ---------------------------------------------------------------------------------------------------------


def inspection_list(
    scores: Sequence[Score],
    visits: int,
    cost: float = 0.0,
    price: float | None = None,
    *,
    by_score: bool = False,
    random_share: float = RANDOM_SHARE,
    seed: int = 0,
    open_cases: Collection[str] = frozenset(),
    inspected_on: Mapping[str, np.datetime64] | None = None,
    today: np.datetime64 | None = None,
    recent_days: int = RECENT_DAYS,
    regions: Sequence | None = None,
    candidates: np.ndarray | None = None,
) -> list[PlannedVisit]:
    """At most `visits` visits: the best by expected net value, then the random ones.

    Clients are ranked by score without any price, or with by_score. With prices, a client is listed only if its
    expected value covers the cost of the visit. A client without an estimate has the median stake of the others.
    Left out: clients without a score, with an open case, or inspected within recent_days before `today`.
    regions: one a client; the visits are then distributed by the regions' numbers of clients.
    candidates: mask of the clients that may be listed; random visits ignore it.
    Raises ValueError for numbers out of range.
    """
    if visits < 0 or not 0 <= random_share <= 1 or cost < 0 or (price is not None and price < 0):
        raise ValueError(
            f"Visits, cost and price must be at least 0 and the random share from 0 to 1; got {visits} visits, "
            f"a cost of {cost}, a price of {price} and a random share of {random_share}."
        )
    closed = _recently_inspected(inspected_on or {}, today, recent_days) | set(open_cases)
    may_be_visited = np.array([s.value is not None and s.client_id not in closed for s in scores], dtype=bool)
    values = expected_values(scores, price)
    net = values - cost
    sampled = _sample(may_be_visited, min(round(visits * random_share), visits), seed)
    best = may_be_visited if candidates is None else may_be_visited & candidates
    best = best.copy()
    best[sampled] = False
    value = visit_values(scores, np.full(len(scores), np.nan) if by_score else values[:, 0], cost)
    order = np.flatnonzero(best & (value >= 0))  # a score is never below 0
    order = order[np.argsort(-value[order], kind="stable")]
    n_best = visits - len(sampled)
    chosen = order[:n_best] if regions is None else _spread(order, np.asarray(regions), may_be_visited, n_best)
    rows = [(row, False) for row in chosen.tolist()] + [(row, True) for row in sampled.tolist()]
    return [
        PlannedVisit(number, row, scores[row], is_random, None if np.isnan(net[row, 0]) else tuple(net[row].tolist()))
        for number, (row, is_random) in enumerate(rows, 1)
    ]


def _recently_inspected(inspected_on: Mapping, today: np.datetime64 | None, recent_days: int) -> set[str]:
    """Clients inspected within recent_days before today; without `today`, all clients that were ever inspected."""
    since = np.datetime64("0001-01-01") if today is None else np.datetime64(today, "D") - recent_days
    return {client_id for client_id, day in inspected_on.items() if np.datetime64(day, "D") > since}


def _sample(may_be_visited: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Row numbers of a simple random sample of n clients; of all clients if there are fewer."""
    rows = np.flatnonzero(may_be_visited)
    return np.random.default_rng(seed).permutation(rows)[:n]


def visit_values(scores: Sequence[Score], value: np.ndarray, cost: float) -> np.ndarray:
    """Values by which the list is ranked: expected value less cost, or the score (also a rank) without any value.

    [float64, (scores,), NaN without a score]
    """
    score = np.array([np.nan if s.value is None else s.value for s in scores], dtype=np.float64)
    if np.isnan(value).all():
        return score
    known = ~np.isnan(value) & (score > 0)
    median_stake = np.median(value[known] / score[known]) if known.any() else 0.0
    return np.where(np.isnan(value), score * median_stake, value) - cost


def _spread(order: np.ndarray, region: np.ndarray, may_be_visited: np.ndarray, n: int) -> np.ndarray:
    """The best clients of each region; the D'Hondt method gives each region its number of visits."""
    names, number = np.unique([str(each) for each in region], return_inverse=True)
    n_clients = np.bincount(number[may_be_visited], minlength=len(names))
    queues = [order[number[order] == i].tolist()[::-1] for i in range(len(names))]
    waiting = [(-float(n_clients[i]), i, 1) for i, queue in enumerate(queues) if queue]
    heapq.heapify(waiting)
    chosen = set()
    while waiting and len(chosen) < n:
        _, i, seats = heapq.heappop(waiting)
        chosen.add(queues[i].pop())
        if queues[i]:
            heapq.heappush(waiting, (-n_clients[i] / (seats + 1), i, seats + 1))
    return np.array([row for row in order.tolist() if row in chosen], dtype=np.int64)
