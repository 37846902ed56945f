"""Scores with what is at stake -> whom to visit.

In:  Scores, each with its Recovery; the number of visits, what one costs, and where known regions, open cases and past
     inspections.
Out: a recommendation each client, and an inspection list of at most so many visits.

Some visits are drawn at random from all clients who could be visited: their hit rate is that of the client base, what
the list's own is compared with, and as labels they show the next training what the model never suspected.
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
from fairmeter.models.fraud_model import FraudModel
from fairmeter.models.reading_model import onset_day
from fairmeter.planning.recovery import BILLABLE_MONTHS, recoveries

RANDOM_SHARE = 0.05  # of the visits: two of forty a week give a hundred comparisons a year
RECENT_DAYS = 365  # after an inspection: what was found has been put right, and a year shows whether it stays so
URGENT, NOTABLE = ("critical", "high"), ("critical", "high", "medium")
# A score that rests on little may be high by chance, and low as well.
ON_LITTLE = frozenset({"short_history", "short_readings"})
LATER = {INSPECT_NOW: NEXT_ROUND, NEXT_ROUND: WATCH, WATCH: WATCH}


@dataclass(frozen=True, slots=True)
class PlannedVisit:
    """One visit of an inspection list; number 1 is the first, `row` the client's place among the scores.

    net: expected value less the visit's cost: most likely, low, high, in the currency of the prices; None without a
    price or without an estimate of what is at stake.
    """

    number: int
    row: int
    score: Score
    is_random: bool
    net: tuple[float, float, float] | None = None
    route: int | None = None


# --- one client -------------------------------------------------------------------------------------------------------


def recommendation(score: Score) -> str:
    """What to do about a client: the rule of all pages and answers.

    Suspected and high or critical: inspect now. Suspected otherwise, or medium: next round. All else: watch. One step
    later where a harmless explanation fits, where the score rests on little, or the account has ended. Not enough to
    say where there is no score, or where it rests on little and does not suspect.
    """
    flags = {flag.flag for flag in score.quality}
    is_suspected = score.probability is not None and score.probability >= score.threshold
    is_on_little = not ON_LITTLE.isdisjoint(flags)
    if score.probability is None or (is_on_little and not is_suspected):
        return NOT_ENOUGH
    first = INSPECT_NOW if is_suspected and score.severity in URGENT else NEXT_ROUND
    first = first if is_suspected or score.severity in NOTABLE else WATCH
    is_harmless = any(explanation.verdict == FITS for explanation in score.explanations)
    return LATER[first] if is_harmless or is_on_little or "inactive" in flags else first


def recoveries_of(
    model: FraudModel,
    clients: Table,
    invoices: Table,
    days: DailyConsumption | None = None,
    metered: FeatureMatrix | None = None,
    billable_months: int = BILLABLE_MONTHS,
) -> list[RecoveryEstimate | None]:
    """What a visit to each client may bring, beside those the model knows. [metered: the evidence of its days]"""
    peers = None if model.invoices is None else model.invoices.inputs.peers
    onset = None if metered is None else onset_day(metered)
    return recoveries(clients, invoices, peers, days, onset, billable_months)


def with_worth(scores: Sequence[Score], recoveries: Sequence[RecoveryEstimate | None]) -> list[Score]:
    """The scores with what a visit brings and what to do; nothing is estimated of whom nobody can judge."""
    worth = [
        replace(score, recovery=None if score.probability is None else recovery)
        for score, recovery in zip(scores, recoveries, strict=True)
    ]
    return [replace(score, recommendation=recommendation(score)) for score in worth]


def expected_values(scores: Sequence[Score], price: float | None = None) -> np.ndarray:
    """Money a visit is expected to bring: most likely, low, high. [float64, (scores, 3), NaN where unknown]

    price: per kWh, for clients without one of their own.
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

    Without any price, or by_score, the score ranks. With prices nobody is listed who is expected to bring less than
    the visit costs; who has no estimate is ranked by the median stake of the others. Left out: clients without a score,
    with an open case, or inspected within recent_days before `today`. regions: one a client, to spread the visits over
    them by their numbers of clients. candidates: a mask of those who may be listed, drawn ones aside. Raises ValueError
    for numbers that make no list.
    """
    if visits < 0 or not 0 <= random_share <= 1 or cost < 0 or (price is not None and price < 0):
        raise ValueError(
            f"Got {visits} visits, a cost of {cost}, a price of {price} and a random share of {random_share}; "
            "none may be below 0, and the share not above 1."
        )
    closed = _recently_inspected(inspected_on or {}, today, recent_days) | set(open_cases)
    may_be_visited = np.array([s.probability is not None and s.client_id not in closed for s in scores], dtype=bool)
    values = expected_values(scores, price)
    net = values - cost
    drawn = _drawn(may_be_visited, min(round(visits * random_share), visits), seed)
    best = may_be_visited if candidates is None else may_be_visited & candidates
    best = best.copy()
    best[drawn] = False
    merit = merits(scores, np.full(len(scores), np.nan) if by_score else values[:, 0], cost)
    order = np.flatnonzero(best & (merit >= 0))  # a score always is
    order = order[np.argsort(-merit[order], kind="stable")]
    n_best = visits - len(drawn)
    chosen = order[:n_best] if regions is None else _spread(order, np.asarray(regions), may_be_visited, n_best)
    rows = [(row, False) for row in chosen.tolist()] + [(row, True) for row in drawn.tolist()]
    return [
        PlannedVisit(number, row, scores[row], is_random, None if np.isnan(net[row, 0]) else tuple(net[row].tolist()))
        for number, (row, is_random) in enumerate(rows, 1)
    ]


def _recently_inspected(inspected_on: Mapping, today: np.datetime64 | None, recent_days: int) -> set[str]:
    """Without a day to count from, everybody who was ever inspected."""
    since = np.datetime64("0001-01-01") if today is None else np.datetime64(today, "D") - recent_days
    return {client_id for client_id, day in inspected_on.items() if np.datetime64(day, "D") > since}


def _drawn(may_be_visited: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Row numbers of n clients, each as likely as another; all where there are fewer."""
    rows = np.flatnonzero(may_be_visited)
    return np.random.default_rng(seed).permutation(rows)[:n]


def merits(scores: Sequence[Score], value: np.ndarray, cost: float) -> np.ndarray:
    """What the list is ranked by: the expected value less the cost, or without any value the score. [NaN: no score]"""
    probability = np.array([np.nan if s.probability is None else s.probability for s in scores], dtype=np.float64)
    if np.isnan(value).all():
        return probability
    known = ~np.isnan(value) & (probability > 0)
    median_stake = np.median(value[known] / probability[known]) if known.any() else 0.0
    return np.where(np.isnan(value), probability * median_stake, value) - cost


def _spread(order: np.ndarray, region: np.ndarray, may_be_visited: np.ndarray, n: int) -> np.ndarray:
    """The best of each region, as many as the largest quotients of its clients give it (D'Hondt)."""
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
