"""The map where no client has coordinates: regions by the month in which their suspected clients began.

In:  the map's filters.
Out: a row for each region with a tile a month, the largest suspected share first.
"""

from datetime import date, timedelta
from typing import Any, NamedTuple

from flask import url_for

from fairmeter.store import RegionCount, Store

N_MONTHS, N_REGIONS = 24, 60
KEPT = ("severity",)  # filters that go along to the list


class RegionTile(NamedTuple):
    """Suspected clients of a region who began in a month. [link: to them, None where there are none]"""

    month: date
    n: int
    link: str | None


class RegionRow(NamedTuple):
    spot: RegionCount
    tiles: list[RegionTile]


def shown(store: Store, filters: dict[str, Any]) -> dict[str, Any]:
    """rows, months, most: the largest number of a tile, n_suspected: of all tiles."""
    spots = [spot for spot in store.count_by_region(N_REGIONS) if filters.get("region") in (None, spot.region)]
    began = store.onsets_by_month(**filters)
    months = months_until(max((month for _, month in began), default=None), filters.get("onset_since"))
    rows = [RegionRow(spot, [tile(spot.region, month, began, filters) for month in months]) for spot in spots]
    numbers = [one.n for row in rows for one in row.tiles]
    return {"rows": rows, "months": months, "most": max(numbers, default=0), "n_suspected": sum(numbers)}


def tile(region: float | None, month: date, began: dict, filters: dict[str, Any]) -> RegionTile:
    n = began.get((region, month), 0)
    if not n or region is None:
        return RegionTile(month, n, None)
    kept = {name: filters[name] for name in KEPT if name in filters}
    first, last = month, following(month) - timedelta(days=1)
    first, last = max(first, filters.get("onset_since", first)), min(last, filters.get("onset_until", last))
    began_then = {"onset_since": first.isoformat(), "onset_until": last.isoformat()}
    return RegionTile(month, n, url_for("desk.list", show="all", region=f"{region:g}", **kept, **began_then))


def months_until(last: date | None, since: date | None) -> list[date]:
    """The months up to the last one in which somebody began, N_MONTHS at most; none from before `since`."""
    months: list[date] = []
    while last is not None and len(months) < N_MONTHS and (since is None or last >= since.replace(day=1)):
        months.append(last)
        last = (last - timedelta(days=1)).replace(day=1)
    return months[::-1]


def following(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)
