"""The page Today, by role: new alerts, own cases, the month against the last, crews, detection by week, regions.

In:  the store's alerts, cases, inspections, plans and runs; who asks.
Out: the page at /desk/today.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from flask import make_response, redirect, url_for

from fairmeter.casework import hit_rates
from fairmeter.casework.hit_rates import HitRate
from fairmeter.casework.types import Inspection
from fairmeter.core.types import SEVERITIES
from fairmeter.web.http import i18n
from fairmeter.web.pages import charts
from fairmeter.web.pages.cases import signature_of
from fairmeter.web.pages.model import drift_state
from fairmeter.web.pages.site import Site, render
from fairmeter.web.pages.today.changes import remember_visit
from fairmeter.web.pages.today.work import investigator_context, manager_context

N_WEEKS, N_REGIONS, N_TRANSFORMERS = 12, 6, 5
FORTNIGHT_TICKS = {"type": "date", "tickformat": "%d %b", "dtick": 14 * 86_400_000}  # milliseconds


class RecoveredEnergy(NamedTuple):
    """Hit rates of chosen and of random inspections, and what was billed after both. [kWh; currency of the settings]"""

    chosen: HitRate | None
    random: HitRate | None
    kwh: float
    value: float


def register(site: Site) -> None:
    store = site.desk.store

    @site.page("/")
    def home():
        return redirect(url_for("desk.today"))

    @site.page("/today")
    def today():
        zone = site.settings.time_zone
        inspections, day, me = store.inspections(), datetime.now(zone).date(), signature_of(site)
        weeks, runs = weeks_until(day), store.list_runs(1)
        page = render(
            "today.html",
            n_clients=sum(store.count_severities().values()),
            alerts=store.count_alerts(),
            results=inspection_results(inspections),
            trend=detection_chart(weeks, store.count_raised(starts_of_days(weeks, zone)), inspections),
            spots=store.count_by_region(N_REGIONS),
            transformers=store.worst_transformers(N_TRANSFORMERS),
            last_run=runs[-1] if runs else None,
            drift=drift_state(store, str(site.desk.manifest["version"])),
            me=me,
            **investigator_context(site.desk, me, day, zone),
            **manager_context(store, inspections, day),
        )
        answer = make_response(page)
        remember_visit(answer, day)
        return answer


def weeks_until(today: date) -> list[date]:
    """The Mondays of the last N_WEEKS weeks, the current week last."""
    monday = today - timedelta(days=today.weekday())
    return [monday - timedelta(weeks=n) for n in reversed(range(N_WEEKS))]


def starts_of_days(days: Sequence[date], zone: ZoneInfo) -> list[datetime]:
    """The beginnings of days in the utility's time zone, in UTC."""
    return [datetime.combine(day, time(), zone).astimezone(UTC) for day in days]


def inspection_results(inspections: Sequence[Inspection]) -> RecoveredEnergy:
    """Summarise all inspections."""
    rates = {rate.is_random: rate for rate in hit_rates.hit_rates(inspections, hit_rates.overall)}
    kwh = sum(i.recovered_kwh or 0.0 for i in inspections)
    return RecoveredEnergy(rates.get(False), rates.get(True), kwh, sum(i.recovered_value or 0.0 for i in inspections))


def detection_chart(
    weeks: Sequence[date], raised: Sequence[dict[str, int]], inspections: Sequence[Inspection]
) -> charts.Chart:
    """Alerts raised by week and severity, and the inspections of each week that confirmed a theft."""
    days = [week.isoformat() for week in weeks]
    stacks = [
        charts.bars(days, [counts[name] for counts in raised], i18n.text(f"severity.{name}"), charts.COLOURS[name])
        for name in reversed(SEVERITIES)
        if any(counts[name] for counts in raised)
    ]
    confirmed = Counter(hit_rates.week(i) for i in inspections if i.outcome == "confirmed")
    hits = charts.line(
        days,
        [confirmed[week] for week in weeks],
        i18n.text("overview.confirmed"),
        "var(--ink)",
        mode="lines+markers",
        yaxis="y2",
    )
    second = {"title": i18n.text("overview.confirmed"), "overlaying": "y", "side": "right", "rangemode": "tozero"}
    second |= {"tickmode": "auto", "nticks": 5, "tickformat": ",d", "showgrid": False}
    layout = {"barmode": "stack", "showlegend": True, "xaxis": FORTNIGHT_TICKS | {"tick0": days[0]}}
    layout |= {"yaxis": {"title": i18n.text("overview.alerts_raised")}, "margin": {"l": 52, "r": 16, "t": 34, "b": 36}}
    if not confirmed:
        return charts.chart(*stacks, **layout)
    return charts.chart(*stacks, hits, yaxis2=second, **layout)
