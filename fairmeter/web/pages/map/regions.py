"""Regions by month of onset: the stand-in for the map where no client has coordinates.

In:  the map's filters.
Out: a row for each region with one tile per month, the largest suspected share first.
"""

from datetime import date, timedelta
from typing import Any, NamedTuple

from flask import url_for

from fairmeter.core.code_names import shown
from fairmeter.store import RegionCount, Store

N_MONTHS, N_REGIONS = 24, 60
LIST_FILTERS = ("severity",)  # filters that a link to the list repeats


class RegionTile(NamedTuple):
    """Number of suspected clients of a region with onset in a month. [link: to these clients, None without any]"""

    month: date
    n: int
    link: str | None


class RegionRow(NamedTuple):
    """A region with its tiles by month."""

    spot: RegionCount
    tiles: list[RegionTile]


def regions_context(store: Store, filters: dict[str, Any]) -> dict[str, Any]:
    """What the template receives: rows, months, most (the largest tile), n_suspected (sum of all tiles)."""
    spots = [spot for spot in store.count_by_region(N_REGIONS) if filters.get("region") in (None, spot.region)]
    onsets = store.onsets_by_month(**filters)
    months = months_until(max((month for _, month in onsets), default=None), filters.get("onset_since"))
    rows = [RegionRow(spot, [region_tile(spot.region, month, onsets, filters) for month in months]) for spot in spots]
    numbers = [one.n for row in rows for one in row.tiles]
    return {"rows": rows, "months": months, "most": max(numbers, default=0), "n_suspected": sum(numbers)}


def region_tile(region: float | None, month: date, onsets: dict, filters: dict[str, Any]) -> RegionTile:
    """The tile of a region and a month."""
    n = onsets.get((region, month), 0)
    if not n or region is None:
        return RegionTile(month, n, None)
    given = {name: filters[name] for name in LIST_FILTERS if name in filters}
    first, last = month, next_month(month) - timedelta(days=1)
    first, last = max(first, filters.get("onset_since", first)), min(last, filters.get("onset_until", last))
    period = {"onset_since": first.isoformat(), "onset_until": last.isoformat()}
    return RegionTile(month, n, url_for("desk.suspects", region=shown(region), **given, **period))


def months_until(last: date | None, since: date | None) -> list[date]:
    """The months up to the last one with an onset, at most N_MONTHS; none before `since`."""
    months: list[date] = []
    while last is not None and len(months) < N_MONTHS and (since is None or last >= since.replace(day=1)):
        months.append(last)
        last = (last - timedelta(days=1)).replace(day=1)
    return months[::-1]


def next_month(month: date) -> date:
    """The first day of the next month. [month: its first day]"""
    return (month + timedelta(days=31)).replace(day=1)
