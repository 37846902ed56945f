"""The overview: the desk in numbers.

In:  the store's counts, inspections, runs; what is known of the model.
Out: the page at /desk/.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from fairmeter.casework import hit_rates
from fairmeter.casework.hit_rates import HitRate
from fairmeter.casework.types import Inspection
from fairmeter.core.types import SEVERITIES
from fairmeter.web.http import i18n
from fairmeter.web.pages import charts
from fairmeter.web.pages.model import drift_state, model_state
from fairmeter.web.pages.site import Site, render

N_WEEKS, N_SPOTS, N_TRANSFORMERS = 12, 8, 10
FORTNIGHTS = {"type": "date", "tickformat": "%d %b", "dtick": 14 * 86_400_000}  # milliseconds


class RecoveredEnergy(NamedTuple):
    """What visits brought: chosen ones, those drawn at random, and what was billed after them."""

    chosen: HitRate | None
    random: HitRate | None
    kwh: float
    value: float


def register(site: Site) -> None:
    store, zone = site.desk.store, site.settings.time_zone

    @site.page("/")
    def overview():
        by_severity, inspections = store.count_severities(), store.inspections()
        weeks = weeks_until(datetime.now(zone).date())
        runs = store.list_runs(1)
        return render(
            "overview.html",
            n_clients=sum(by_severity.values()),
            by_severity=by_severity,
            alerts=store.count_alerts(),
            cases=store.count_cases(),
            found=found_by(inspections),
            trend=trend(weeks, store.count_raised(moments(weeks, zone)), inspections),
            spots=store.count_by_region(N_SPOTS),
            transformers=store.worst_transformers(N_TRANSFORMERS),
            last_run=runs[-1] if runs else None,
            model=model_state(site.desk.manifest),
            drift=drift_state(store, str(site.desk.manifest["version"])),
        )


def weeks_until(today: date) -> list[date]:
    """The Mondays of the last weeks, this one's last."""
    monday = today - timedelta(days=today.weekday())
    return [monday - timedelta(weeks=n) for n in reversed(range(N_WEEKS))]


def moments(days: Sequence[date], zone: ZoneInfo) -> list[datetime]:
    """When these days begin where the utility is."""
    return [datetime.combine(day, time(), zone).astimezone(UTC) for day in days]


def found_by(inspections: Sequence[Inspection]) -> RecoveredEnergy:
    rates = {rate.is_random: rate for rate in hit_rates.hit_rates(inspections, hit_rates.overall)}
    kwh = sum(i.recovered_kwh or 0.0 for i in inspections)
    return RecoveredEnergy(rates.get(False), rates.get(True), kwh, sum(i.recovered_value or 0.0 for i in inspections))


def trend(weeks: Sequence[date], raised: Sequence[dict[str, int]], inspections: Sequence[Inspection]) -> charts.Chart:
    """Alerts raised by week, and the visits of the week that confirmed one."""
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
    layout = {"barmode": "stack", "showlegend": True, "xaxis": FORTNIGHTS | {"tick0": days[0]}}
    layout |= {"yaxis": {"title": i18n.text("overview.alerts_raised")}, "margin": {"l": 52, "r": 16, "t": 34, "b": 36}}
    if not confirmed:
        return charts.chart(*stacks, **layout)
    return charts.chart(*stacks, hits, yaxis2=second, **layout)
