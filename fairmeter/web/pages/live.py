"""What comes in: readings and alerts as they come, how fast, how late, what was refused, and at which hours.

In:  the newest readings and alerts of the store; ?heat=readings or alerts.
Out: the page at /desk/live, and /desk/live/feed, the part of it that changes, which live.js asks for again and again.
     Without scripts the page shows the same as of when it was loaded.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from flask import request

from fairmeter.store import ReceivedBatch, Store
from fairmeter.web.http import i18n
from fairmeter.web.pages.site import Site, render

EVERY = 5  # seconds between two looks; a page that nobody sees asks for nothing
N_BATCHES, N_ALERTS, N_MINUTES = 14, 12, 60
DAY = timedelta(days=1)
PAST = 28 * DAY  # of the heat map, and in which a refusal is told: four of each hour of the week
READINGS, ALERTS = "readings", "alerts"
BAR = 30  # height of the tallest bar, in the picture's own units


class IngestionView(NamedTuple):
    """A batch and how late its newest reading was. [lag: by the utility's clock]"""

    batch: ReceivedBatch
    lag: timedelta


class Heat(NamedTuple):
    """How many came in each hour of the week, Monday first; the most of them; of what; of what else there is."""

    hours: list[list[int]]
    most: int
    of: str
    others: list[str]


def register(site: Site) -> None:
    store, zone = site.desk.store, site.settings.time_zone

    @site.page("/live")
    def live():
        told = {"every": EVERY, "live_texts": i18n.texts_below("live.script")}
        return render("live.html", **shown(store, zone, request.args.get("heat", "")), **told)

    @site.page("/live/feed")
    def live_feed():
        return render("live_feed.html", **shown(store, zone, request.args.get("heat", "")))


def shown(store: Store, zone: ZoneInfo, heat_of: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    came = [IngestionView(batch, lag(batch, zone)) for batch in store.newest_batches(N_BATCHES)]
    alerts = store.list_alerts(state=None, sort="raised", limit=N_ALERTS).rows
    concerned = {one.batch.client_id for one in came} | {alert.client_id for alert in alerts}
    minutes = by_minute(store.new_readings_by_minute(now - timedelta(minutes=N_MINUTES)), now)
    return {
        "now": now,
        "came": came,
        "alerts": alerts,
        "scores": store.scores_of(sorted(concerned)),
        "minutes": minutes,
        "bars": bars(minutes),
        "median_lag": median([one.lag for one in came]) if came else None,
        "day": store.ingestion_totals(now - DAY),
        "n_raised": sum(store.alerts_by_hour(now - DAY).values()),
        "refusal": store.last_rejection(now - PAST),
        "heat": heat(store, now, zone, heat_of),
        "clock": lambda moment: f"{moment.astimezone(zone):%H:%M:%S}",
        "told_lag": told_lag,
        "told_moment": told_moment,
    }


def lag(batch: ReceivedBatch, zone: ZoneInfo) -> timedelta:
    """From what the newest reading's clock showed to its arrival, by the clock where the utility is.

    A reading knows no zone: where its meter's clock is not the utility's, the lag is off by the difference.
    """
    return batch.received_at.astimezone(zone).replace(tzinfo=None) - batch.last_at


def told_lag(value: timedelta) -> str:
    """2 d 3 h, 3 h 20 min, 45 s; with a minus where the meter's clock is ahead."""
    seconds = abs(int(value.total_seconds()))
    parts = {"days": seconds // 86_400, "hours": seconds // 3600 % 24, "minutes": seconds // 60 % 60}
    first = next((i for i, n in enumerate(parts.values()) if n), None)
    if first is None:
        words = [i18n.text("live.lag.seconds", n=seconds)]
    else:
        told = list(parts.items())[first : first + 2]
        words = [i18n.text(f"live.lag.{name}", n=n) for name, n in told if n]
    return ("\u2212" if value < timedelta(0) else "") + " ".join(words)


def told_moment(value: datetime) -> str:
    """What a meter's clock showed: it has no zone to be moved to."""
    return f"{value:%Y-%m-%d}" if value.time() == datetime.min.time() else f"{value:%Y-%m-%d %H:%M}"


def by_minute(came: Mapping[datetime, int], now: datetime) -> list[int]:
    """The last whole hour, minute by minute; the minute that is not over is the last."""
    minute = now.replace(second=0, microsecond=0)
    return [came.get(minute - timedelta(minutes=n), 0) for n in reversed(range(N_MINUTES))]


def bars(minutes: list[int]) -> list[float]:
    """Heights of the bars; what is not nothing shows."""
    most = max(minutes)
    return [max(1.0, round(BAR * n / most, 1)) if n else 0.0 for n in minutes]


def heat(store: Store, now: datetime, zone: ZoneInfo, wanted: str) -> Heat | None:
    """Of what is asked for, or of what there is."""
    counts = {READINGS: store.new_readings_by_hour(now - PAST), ALERTS: store.alerts_by_hour(now - PAST)}
    there = [name for name, of_hour in counts.items() if of_hour]
    if not there:
        return None
    chosen = wanted if wanted in there else there[0]
    hours = week(counts[chosen], zone)
    return Heat(hours, max(map(max, hours)), chosen, there)


def week(counts: Mapping[datetime, int], zone: ZoneInfo) -> list[list[int]]:
    """Counts by weekday and hour of the utility's clock. [7 x 24]"""
    hours = [[0] * 24 for _ in range(7)]
    for moment, n in counts.items():
        there = moment.astimezone(zone)
        hours[there.weekday()][there.hour] += n
    return hours
