"""The desk's plan of visits: the best of the stored scores, and a random sample to compare with.

In:  the service; the number of visits, their cost, filters.
Out: VisitPlan: clients without an open case or a recent visit.
"""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any, NamedTuple

from fairmeter.core.types import Score
from fairmeter.desk.service import DeskService, RankedVisit
from fairmeter.evaluation.conformal_selection import p_value_steps, selection_threshold
from fairmeter.scoring.problems import bad_value

SPARE = 3000  # scores read beyond the number of visits: clients with a case or a recent visit are left out
PLAN_FILTERS = {"severity", "region", "category", "reason_group", "pattern", "onset_since", "onset_until"}


class VisitPlan(NamedTuple):
    """A plan of visits. ranked: all candidates in order, of which the first n_best are visited; sampled: at random."""

    ranked: list[RankedVisit]
    n_best: int
    sampled: list[Score]
    n_left_out: int

    def rows(self) -> list[RankedVisit]:
        """The planned visits; their scores have no reasons (with_reasons adds them)."""
        return [*self.ranked[: self.n_best], *(RankedVisit(score, True) for score in self.sampled)]


def plan_of(
    service: DeskService,
    visits: int,
    *,
    random_share: float = 0.0,
    cost: float = 0.0,
    price: float | None = None,
    false_alarms: float | None = None,
    filters: Mapping[str, Any],
) -> VisitPlan:
    """The plan of so many visits. Raises Problem.

    random_share: of the visits; cost: of a visit; price: of a kWh, where the client's own is unknown; false_alarms:
    expected share of the list that may be false; filters: PLAN_FILTERS of Store.stored_scores.
    """
    busy = service.store.work_states(service.rules, date.today())
    sampled = _sample(service, busy, filters, round(visits * random_share))
    least = {} if false_alarms is None else {"least_score": min_selected_score(service, false_alarms)}
    left_out = busy.keys() | {score.client_id for score in sampled}
    ranked = _ranked(service, left_out, {**filters, **least}, visits, cost, price)
    return VisitPlan(ranked, visits - len(sampled), sampled, len(busy))


def ranked_candidates(
    service: DeskService, left_out: Collection[str], filters: Mapping[str, Any], visits: int, cost: float,
    price: float | None,
) -> list[RankedVisit]:  # fmt: skip
    """The candidates in order as plan_of ranks them, without those left out as well as those that need no visit."""
    busy = service.store.work_states(service.rules, date.today())
    return _ranked(service, busy.keys() | set(left_out), filters, visits, cost, price)


def random_sample(service: DeskService, left_out: Collection[str], filters: Mapping[str, Any], n: int) -> list[Score]:
    """Random clients as plan_of draws them, without those left out."""
    busy = service.store.work_states(service.rules, date.today())
    return _sample(service, busy.keys() | set(left_out), filters, n)


def _ranked(
    service: DeskService, left_out: Collection[str], filters: Mapping[str, Any], visits: int, cost: float,
    price: float | None,
) -> list[RankedVisit]:  # fmt: skip
    scores = service.store.stored_scores(limit=visits + SPARE, with_explanations=False, **filters)
    candidates = [score for score in scores if score.value is not None and score.client_id not in left_out]
    return list(service.plan(candidates, len(candidates), cost, price))


def with_reasons(service: DeskService, rows: list[RankedVisit]) -> list[RankedVisit]:
    """The visits with the reasons, harmless causes and flags of their scores."""
    full = service.store.scores_of([planned.score.client_id for planned in rows])
    return [planned._replace(score=full.get(planned.score.client_id, planned.score)) for planned in rows]


def min_selected_score(service: DeskService, false_alarms: float) -> float:
    """The lowest score of a list with at most that expected share of false alarms; infinite if none. Raises Problem."""
    if service.run_ranks():
        raise bad_value("false_alarms", "given, but the last run has ranks alone, which promise nothing; leave it out")
    table = service.manifest.get("promise")
    if table is None:
        raise bad_value("false_alarms", "given, but this model was trained without what a promise needs; leave it out")
    steps = p_value_steps(table)
    return selection_threshold(service.store.count_at_least(steps.min_score), steps, false_alarms)[0]


def _sample(service: DeskService, busy: Collection[str], filters: Mapping[str, Any], n: int) -> list[Score]:
    """Random clients, the same all week: otherwise users could repeat the draw until they like it."""
    if n == 0:
        return []
    year, week, _ = date.today().isocalendar()
    sampled = service.store.sample_clients(n, f"{year}-{week}", busy, **filters)
    return [profile.score for profile in map(service.store.find_profile, sampled) if profile is not None]
