"""What the page of a day shows: columns of visits, a map of the ways, a calendar.

In:  the store, a day, the page's options.
Out: DayView for plan.html.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from fairmeter.casework.types import Case, Crew, Plan, PlanVisit
from fairmeter.desk.fieldwork.day_routes import way_km
from fairmeter.store import Store
from fairmeter.store.fieldwork.sites import ClientSite
from fairmeter.web.pages.basemap import Line
from fairmeter.web.pages.plan.route_map import RouteMap, Way, draw_ways

N_COLOURS = 8  # of plan.css; further crews begin again with the first
WEEKS_BEFORE, WEEKS = 1, 4  # of the calendar
WEEK = timedelta(days=7)


class Card(NamedTuple):
    """A visit in a column. number: its place in the way, from 1; case: the client's case, if there is one."""

    number: int
    visit: PlanVisit
    site: ClientSite | None
    case: Case | None


class CrewColumn(NamedTuple):
    """A crew with its visits on a day. colour: its number in plan.css; km: of the way; kwh: expected of all visits."""

    crew: Crew
    plan: Plan | None
    cards: list[Card]
    colour: int
    km: float
    kwh: float


class CalendarDay(NamedTuple):
    """A day of the calendar. n_done: visits whose case was closed since, or whose meter was not seen."""

    on: date
    n_crews: int
    n_visits: int
    n_done: int
    is_published: bool


class DayView(NamedTuple):
    """Everything that the page shows of a day. n_random: random visits among n_visits."""

    on: date
    crews: list[Crew]
    columns: list[CrewColumn]
    map: RouteMap | None
    calendar: list[CalendarDay]
    n_visits: int
    n_random: int
    is_published: bool
    versions: dict[int, int]


def day_view(store: Store, on: date, outlines: Sequence[Line]) -> DayView:
    """The view of a day."""
    first = on - timedelta(days=on.weekday()) - WEEKS_BEFORE * WEEK
    plans = store.list_plans(first, first + WEEKS * WEEK - timedelta(days=1))
    crews = store.list_crews()
    today = [plan for plan in plans if plan.planned_on == on]
    columns = columns_of(store, crews, today)
    cards = [card for column in columns for card in column.cards]
    return DayView(
        on=on,
        crews=crews,
        columns=columns,
        map=map_of(columns, outlines),
        calendar=calendar_of(store, plans, first),
        n_visits=len(cards),
        n_random=sum(card.visit.is_random for card in cards),
        is_published=bool(today) and all(plan.is_published for plan in today if plan.visits),
        versions={plan.crew_id: plan.version for plan in today},
    )


def columns_of(store: Store, crews: Sequence[Crew], plans: Sequence[Plan]) -> list[CrewColumn]:
    """A column for each crew that has a plan; its colour is that of the crew's place among all crews."""
    visits = [visit for plan in plans for visit in plan.visits]
    sites = store.sites_of([visit.client_id for visit in visits])
    cases = store.cases_by_id([visit.case_id for visit in visits if visit.case_id])
    by_crew = {plan.crew_id: plan for plan in plans}
    known = {crew.crew_id for crew in crews}
    gone = [store.find_crew(crew_id) for crew_id in by_crew if crew_id not in known]
    return [
        _column(crew, by_crew[crew.crew_id], number % N_COLOURS, sites, cases)
        for number, crew in enumerate([*crews, *filter(None, gone)])
        if crew.crew_id in by_crew
    ]


def _column(
    crew: Crew, plan: Plan, colour: int, sites: Mapping[str, ClientSite], cases: Mapping[int, Case]
) -> CrewColumn:
    cards = [
        Card(number, visit, sites.get(visit.client_id), cases.get(visit.case_id or 0))
        for number, visit in enumerate(plan.visits, 1)
    ]
    found = [card.site for card in cards if card.site]
    kwh = sum(site.expected_recovery_kwh or 0.0 for site in found)
    return CrewColumn(crew, plan, cards, colour, way_km(crew, found), kwh)


def map_of(columns: Sequence[CrewColumn], outlines: Sequence[Line]) -> RouteMap | None:
    """The ways of all crews on a map; None where no client has a place."""
    ways = [
        Way(
            column.colour,
            column.crew.name,
            [
                (c.site.latitude, c.site.longitude, c.number, c.visit)
                for c in column.cards
                if c.site and c.site.has_place
            ],
            None if column.crew.latitude is None else (column.crew.latitude, column.crew.longitude),
        )
        for column in columns
    ]
    return draw_ways(ways, outlines)


def calendar_of(store: Store, plans: Sequence[Plan], first: date) -> list[CalendarDay]:
    """The days of the calendar with what is planned and done on them."""
    done = store.count_inspections(first, first + WEEKS * WEEK)
    days = []
    for n in range(WEEKS * 7):
        on = first + timedelta(days=n)
        of_day = [plan for plan in plans if plan.planned_on == on and plan.visits]
        n_visits = sum(len(plan.visits) for plan in of_day)
        is_published = bool(of_day) and all(plan.is_published for plan in of_day)
        days.append(CalendarDay(on, len(of_day), n_visits, done.get(on, 0), is_published))
    return days
