"""A day's visits for several crews: those that are due, a random sample, and the best by expected value.

In:  the service, a day, the crews with their numbers of visits and working areas; the plans that are there.
Out: the visits of each crew, in order, for Store.save_plans.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta
from math import nan
from typing import NamedTuple

import numpy as np

from fairmeter.casework.types import Case, Crew, Plan, PlanVisit
from fairmeter.casework.workflow import ASSIGNED, NEW
from fairmeter.desk.service import DeskService
from fairmeter.desk.visit_plan import random_sample, ranked_candidates
from fairmeter.planning.crew_plan import Clients, plan_crews
from fairmeter.store import Store
from fairmeter.store.fieldwork.sites import ClientSite

HORIZON = timedelta(days=31)  # around a day, in which a client is not planned twice
MAX_DUE = 200  # cases that wait for a day


class CrewDay(NamedTuple):
    """A crew's day. region: the code of its working area, None for all."""

    crew: Crew
    n_visits: int
    region: float | None = None


class DayOptions(NamedTuple):
    """What is asked of a day. [random_share: of the visits; cost: of a visit; price: of a kWh, None: each client's]"""

    random_share: float = 0.0
    cost: float = 0.0
    price: float | None = None


class Candidate(NamedTuple):
    """A client that may be visited. value: NaN where it was not chosen by value; crew: its only one, where fixed."""

    client_id: str
    value: float
    is_random: bool = False
    crew: int | None = None


class ProposedDay(NamedTuple):
    """Visits of the crews in order, by crew_id; clients that are due but do not fit."""

    visits: dict[int, tuple[PlanVisit, ...]]
    refused: tuple[str, ...]


def propose_day(service: DeskService, day: date, crew_days: Sequence[CrewDay], options: DayOptions) -> ProposedDay:
    """Plan a day anew; fixed visits stay with their crews. Raises Problem."""
    store = service.store
    known = store.list_plans(day - HORIZON, day + HORIZON)
    fixed = _fixed_visits(known, day, crew_days)
    others = _planned_elsewhere(known, day, {each.crew.crew_id for each in crew_days})
    taken = others | {one.client_id for one in fixed}
    waiting = [case for case in due_cases(store, day) if case.client_id not in taken]
    due = [Candidate(case.client_id, nan, case.is_random) for case in waiting]
    taken |= {one.client_id for one in due}
    sampled = _sampled(service, crew_days, options, taken)
    best = _best(service, crew_days, options, taken | {one.client_id for one in sampled})
    return _divided(store, [*fixed, *sampled, *due], best, crew_days)


def due_cases(store: Store, day: date) -> list[Case]:
    """Open cases that wait for a day: not planned yet, or to come back by this day; the gravest first."""
    new = store.list_cases(state=NEW, sort="severity", limit=MAX_DUE).rows
    waiting = store.list_cases(state=ASSIGNED, due_until=day, sort="severity", limit=MAX_DUE).rows
    found = [case for case in (*new, *waiting) if case.planned_on is None]
    return [case for case in found if case.revisit_on is None or case.revisit_on <= day]


def _fixed_visits(known: Iterable[Plan], day: date, crew_days: Sequence[CrewDay]) -> list[Candidate]:
    """The visits of this day that a user has fixed, each with its crew."""
    number = {each.crew.crew_id: i for i, each in enumerate(crew_days)}
    return [
        Candidate(visit.client_id, nan, visit.is_random, number[plan.crew_id])
        for plan in known
        if plan.planned_on == day and plan.crew_id in number
        for visit in plan.visits
        if visit.is_fixed
    ]


def _planned_elsewhere(known: Iterable[Plan], day: date, crew_ids: Collection[int]) -> set[str]:
    """Clients in other plans of these weeks: of other days, or of crews that are not planned now."""
    others = [plan for plan in known if plan.planned_on != day or plan.crew_id not in crew_ids]
    return {visit.client_id for plan in others for visit in plan.visits}


def _by_region(crew_days: Sequence[CrewDay]) -> dict[float | None, int]:
    """Number of visits by working area, the narrow ones first: what they leave is for crews that go anywhere."""
    regions = sorted({each.region for each in crew_days}, key=lambda region: (region is None, region or 0.0))
    return {region: sum(each.n_visits for each in crew_days if each.region == region) for region in regions}


def _sampled(
    service: DeskService, crew_days: Sequence[CrewDay], options: DayOptions, taken: Collection[str]
) -> list[Candidate]:
    """The random visits, divided among the working areas by their numbers of visits."""
    n_by_region = _by_region(crew_days)
    n_visits = sum(n_by_region.values())
    found: list[Candidate] = []
    n_before = 0
    for region, n in n_by_region.items():
        first, n_before = round(options.random_share * n_before), n_before + n
        n_random = round(options.random_share * n_before) - first
        left_out = {*taken, *(one.client_id for one in found)}
        scores = random_sample(service, left_out, _filters(region), min(n_random, n_visits))
        found += [Candidate(score.client_id, nan, True) for score in scores]
    return found


def _best(
    service: DeskService, crew_days: Sequence[CrewDay], options: DayOptions, taken: Collection[str]
) -> list[Candidate]:
    """The best clients of each working area, as many as its crews could visit together."""
    found: dict[str, Candidate] = {}
    n_visits = sum(each.n_visits for each in crew_days)
    for region in _by_region(crew_days):
        ranked = ranked_candidates(service, taken, _filters(region), n_visits, options.cost, options.price)
        has_net = any(planned.net for planned in ranked)
        for planned in ranked[:n_visits]:
            value = (planned.net[0] if planned.net else nan) if has_net else planned.score.value
            found.setdefault(planned.score.client_id, Candidate(planned.score.client_id, value))
    return [one for one in found.values() if one.value == one.value]  # NaN is not itself


def _filters(region: float | None) -> dict[str, float]:
    return {} if region is None else {"region": region}


def _divided(
    store: Store, wanted: Sequence[Candidate], best: Sequence[Candidate], crew_days: Sequence[CrewDay]
) -> ProposedDay:
    """Divide the clients among the crews. [wanted: to be visited in any case, if they fit]"""
    candidates = [*wanted, *best]
    sites = store.sites_of([one.client_id for one in candidates])
    clients = clients_table(candidates, sites)
    routes, refused = plan_crews(
        clients,
        [each.n_visits for each in crew_days],
        _may_go(candidates, sites, crew_days),
        fixed=range(len(wanted)),
        bases=bases_of([each.crew for each in crew_days]),
    )
    visits = {
        each.crew.crew_id: tuple(_visit(candidates[row]) for row in route.rows)
        for each, route in zip(crew_days, routes, strict=True)
    }
    return ProposedDay(visits, tuple(wanted[row].client_id for row in refused))


def _visit(one: Candidate) -> PlanVisit:
    return PlanVisit(one.client_id, is_fixed=one.crew is not None, is_random=one.is_random)


def _may_go(candidates: Sequence[Candidate], sites: dict[str, ClientSite], crew_days: Sequence[CrewDay]) -> np.ndarray:
    """Whether a crew may visit a client: a fixed one its own crew alone. [bool, (clients, crews)]"""
    may_go = np.zeros((len(candidates), len(crew_days)), dtype=bool)
    for row, one in enumerate(candidates):
        for crew, each in enumerate(crew_days):
            is_inside = each.region is None or each.region == sites[one.client_id].region
            may_go[row, crew] = is_inside if one.crew is None else crew == one.crew
    return may_go


def clients_table(candidates: Sequence[Candidate], sites: dict[str, ClientSite]) -> Clients:
    """The candidates with their places, as plan_crews takes them."""

    def column(name: str) -> np.ndarray:
        found = [getattr(sites[one.client_id], name) for one in candidates]
        return np.array([nan if value is None else value for value in found], dtype=np.float64)

    value = np.array([one.value for one in candidates], dtype=np.float64)
    return Clients(value, column("latitude"), column("longitude"), column("expected_recovery_kwh"), column("district"))


def bases_of(crews: Sequence[Crew]) -> np.ndarray:
    """Latitude and longitude of the crews' bases. [degrees, (crews, 2), NaN without one]"""
    places = [(crew.latitude, crew.longitude) for crew in crews]
    return np.array([(nan, nan) if None in place else place for place in places], dtype=np.float64).reshape(-1, 2)
