"""What the page Today says of work: an investigator's alerts and cases, a manager's month and crews.

In:  the store's alerts, cases, inspections and plans; who asks; the day.
Out: values for the template.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from fairmeter.casework.types import Case, Inspection
from fairmeter.casework.workflow import METER_SEEN
from fairmeter.desk.client_states import first_rule_of
from fairmeter.desk.service import DeskService
from fairmeter.store import Store
from fairmeter.web.pages.cases import due_cases
from fairmeter.web.pages.today.changes import changes_context, seen_days

N_ALERTS, N_CASES = 6, 12
PLANNED_DAYS = 7  # of the crews' load
DAY = timedelta(days=1)


class MonthResults(NamedTuple):
    """What visits of a month brought. [recovered: kWh, and currency of the settings]"""

    n_visits: int
    n_seen: int
    n_confirmed: int
    kwh: float
    value: float


class CrewLoad(NamedTuple):
    """A crew's planned visits of the coming week, today included; capacity: visits a day."""

    name: str
    capacity: int
    n_today: int
    n_week: int


def investigator_context(desk: DeskService, me: str, today: date, zone: ZoneInfo) -> dict[str, Any]:
    """New alerts, the user's cases with those that are due, and what changed since the user was here last."""
    store = desk.store
    start = datetime.combine(seen_days(today)[1], time(), zone).astimezone(UTC)
    names = [me, *store.crews_of_user(me)]
    mine = store.list_cases(assigned_to=names, is_open=True, sort="severity", limit=N_CASES).rows
    newest = store.list_alerts(sort="raised", limit=N_ALERTS).rows
    return {
        "new_alerts": [(alert, first_rule_of(alert)) for alert in newest],
        "my_cases": sorted(mine, key=lambda case: due_on(case) or date.max),
        "overdue": {case.case_id for case in mine if (due := due_on(case)) and due < today},
        **changes_context(store, today, zone),
        "counts": {
            "alerts": store.count_listed_alerts(raised_since=start),
            "due": store.count_listed_cases(**due_cases(today)),
        },
        "today": today,
    }


def due_on(case: Case) -> date | None:
    """The day on which a case is to be visited."""
    return case.planned_on or case.revisit_on


def manager_context(store: Store, inspections: Sequence[Inspection], today: date) -> dict[str, Any]:
    """This month against the last, and the load of the crews."""
    first = today.replace(day=1)
    before = (first - DAY).replace(day=1)
    return {
        "this_month": month_results(i for i in inspections if i.inspected_on >= first),
        "last_month": month_results(i for i in inspections if before <= i.inspected_on < first),
        "crews": crew_loads(store, today),
        "tomorrow": today + DAY,
    }


def month_results(inspections: Iterable[Inspection]) -> MonthResults:
    """Sums over the visits of a month."""
    found = list(inspections)
    return MonthResults(
        len(found),
        sum(i.outcome in METER_SEEN for i in found),
        sum(i.outcome == "confirmed" for i in found),
        sum(i.recovered_kwh or 0.0 for i in found),
        sum(i.recovered_value or 0.0 for i in found),
    )


def crew_loads(store: Store, today: date) -> list[CrewLoad]:
    """The planned visits of every active crew."""
    plans = store.list_plans(today, today + (PLANNED_DAYS - 1) * DAY)
    loads = []
    for crew in store.list_crews():
        own = [plan for plan in plans if plan.crew_id == crew.crew_id]
        n_today = sum(len(plan.visits) for plan in own if plan.planned_on == today)
        loads.append(CrewLoad(crew.name, crew.capacity, n_today, sum(len(plan.visits) for plan in own)))
    return loads
