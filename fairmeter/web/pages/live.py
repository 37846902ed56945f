"""The live page: the newest readings and alerts, their rate, lag and rejections, and the hours of the week.

In:  the newest readings and alerts of the store; ?heat=readings or alerts; ?pattern= of the alerts.
Out: the page at /desk/live, and /desk/live/feed, its changing part, which live.js loads every few seconds. Without
     scripts the page stays as it was loaded.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from flask import request

from fairmeter.core.types import ANOMALY_PATTERNS
from fairmeter.store import ReceivedBatch, Store
from fairmeter.web.http import i18n
from fairmeter.web.pages.site import Site, render

REFRESH_SECONDS = 5  # live.js pauses while the page is hidden
N_BATCHES, N_ALERTS, N_MINUTES = 14, 12, 60
DAY = timedelta(days=1)
HEAT_PERIOD = 28 * DAY  # four of each hour of the week; older rejections are not shown
READINGS, ALERTS = "readings", "alerts"
BAR = 30  # height of the tallest bar in the view box of the SVG


class ArrivedBatch(NamedTuple):
    """A batch with the lag of its newest reading by the utility's clock."""

    batch: ReceivedBatch
    lag: timedelta


class HeatMap(NamedTuple):
    """Counts by hour of the week, Monday first.

    most: the largest count; of: what is counted; choices: what has counts.
    """

    hours: list[list[int]]
    most: int
    of: str
    choices: list[str]


def register(site: Site) -> None:
    store = site.desk.store

    @site.page("/live")
    def live():
        data = {"every": REFRESH_SECONDS, "live_texts": i18n.texts_below("live.script"), "patterns": ANOMALY_PATTERNS}
        return render("live.html", **live_context(store, site.settings.time_zone, *asked()), **data)

    @site.page("/live/feed")
    def live_feed():
        return render("live_feed.html", **live_context(store, site.settings.time_zone, *asked()))


def asked() -> tuple[str, str | None]:
    """What the address asks for: what the heat map counts, and the pattern of the alerts, None for all."""
    pattern = request.args.get("pattern")
    return request.args.get("heat", ""), pattern if pattern in ANOMALY_PATTERNS else None


def live_context(store: Store, zone: ZoneInfo, heat_of: str, pattern: str | None = None) -> dict[str, Any]:
    """What the template of the feed receives."""
    now = datetime.now(UTC)
    arrived = [ArrivedBatch(batch, lag(batch, zone)) for batch in store.newest_batches(N_BATCHES)]
    alerts = store.list_alerts(state=None, sort="raised", limit=N_ALERTS, pattern=pattern).rows
    client_ids = {one.batch.client_id for one in arrived} | {alert.client_id for alert in alerts}
    minutes = counts_by_minute(store.new_readings_by_minute(now - timedelta(minutes=N_MINUTES)), now)
    return {
        "now": now,
        "arrived": arrived,
        "alerts": alerts,
        "pattern": pattern,
        "scores": store.scores_of(sorted(client_ids)),
        "minutes": minutes,
        "bars": bar_heights(minutes),
        "median_lag": median([one.lag for one in arrived]) if arrived else None,
        "day": store.ingestion_totals(now - DAY),
        "n_raised": sum(store.alerts_by_hour(now - DAY).values()),
        "refusal": store.last_rejection(now - HEAT_PERIOD),
        "incidents": store.last_incidents(),
        "n_waiting": store.count_unjudged(),
        "heat": heat_map(store, now, zone, heat_of),
        "clock": lambda moment: f"{moment.astimezone(zone):%H:%M:%S}",
        "format_lag": format_lag,
        "format_meter_time": format_meter_time,
    }


def lag(batch: ReceivedBatch, zone: ZoneInfo) -> timedelta:
    """Time from the newest reading of a batch to its arrival, both by the utility's clock.

    Readings have no time zone: for a meter in another zone the lag is off by the difference.
    """
    return batch.received_at.astimezone(zone).replace(tzinfo=None) - batch.last_at


def format_lag(value: timedelta) -> str:
    """Write a lag as 2 d 3 h, 3 h 20 min or 45 s; negative where the meter's clock is ahead."""
    seconds = abs(int(value.total_seconds()))
    parts = {"days": seconds // 86_400, "hours": seconds // 3600 % 24, "minutes": seconds // 60 % 60}
    first = next((i for i, n in enumerate(parts.values()) if n), None)
    if first is None:
        words = [i18n.text("live.lag.seconds", n=seconds)]
    else:
        largest = list(parts.items())[first : first + 2]
        words = [i18n.text(f"live.lag.{name}", n=n) for name, n in largest if n]
    return ("\u2212" if value < timedelta(0) else "") + " ".join(words)


def format_meter_time(value: datetime) -> str:
    """Write the time of a meter's clock as it is: it has no zone to convert from."""
    return f"{value:%Y-%m-%d}" if value.time() == datetime.min.time() else f"{value:%Y-%m-%d %H:%M}"


def counts_by_minute(counts: Mapping[datetime, int], now: datetime) -> list[int]:
    """Readings in each of the last 60 minutes; the current minute is the last."""
    minute = now.replace(second=0, microsecond=0)
    return [counts.get(minute - timedelta(minutes=n), 0) for n in reversed(range(N_MINUTES))]


def bar_heights(minutes: list[int]) -> list[float]:
    """Heights of the bars, at least 1 for any count above 0."""
    most = max(minutes)
    return [max(1.0, round(BAR * n / most, 1)) if n else 0.0 for n in minutes]


def heat_map(store: Store, now: datetime, zone: ZoneInfo, wanted: str) -> HeatMap | None:
    """The heat map of readings or alerts as wanted, or of the one that has counts; None without any."""
    counts = {READINGS: store.new_readings_by_hour(now - HEAT_PERIOD), ALERTS: store.alerts_by_hour(now - HEAT_PERIOD)}
    choices = [name for name, of_hour in counts.items() if of_hour]
    if not choices:
        return None
    chosen = wanted if wanted in choices else choices[0]
    hours = counts_by_weekday_and_hour(counts[chosen], zone)
    return HeatMap(hours, max(map(max, hours)), chosen, choices)


def counts_by_weekday_and_hour(counts: Mapping[datetime, int], zone: ZoneInfo) -> list[list[int]]:
    """Counts by weekday and hour of the utility's clock. [7 x 24]"""
    hours = [[0] * 24 for _ in range(7)]
    for moment, n in counts.items():
        local = moment.astimezone(zone)
        hours[local.weekday()][local.hour] += n
    return hours
