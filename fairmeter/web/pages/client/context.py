"""What stands around a client, for its page: its latest invoices with what they contradict, neighbours, peers, weather.

In:  the profile as the API tells it; what the store keeps of all clients.
Out: rows and charts' traces for the page, each empty or None where nothing is kept.
"""

import math
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import groupby
from statistics import fmean
from typing import Any, NamedTuple

from fairmeter.analysis.invoice_checks import NEW_METER
from fairmeter.analysis.peer_consumption import MIN_PEERS, ConsumptionBand, month_starts
from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.store import Store
from fairmeter.web.desk_api import schemas as told
from fairmeter.web.http import i18n
from fairmeter.web.pages import charts

MID_MONTH = timedelta(days=14)
LEAST_DAYS = 20  # of a month with a known temperature, for its mean
SMOOTH = 7  # days
N_NEIGHBOURS = 8


class ClientSurroundings(NamedTuple):
    """band: of the client's category and region, None where none was learnt; temperatures: within its series."""

    band: ConsumptionBand | None
    temperatures: Sequence[tuple[date, float]]


def around_of(store: Store, profile: told.RiskProfile) -> ClientSurroundings:
    series, client = profile.series, profile.client
    if series is None or not series.kwh:
        return ClientSurroundings(None, ())
    last = series.first_on + timedelta(days=len(series.kwh) * (1 if series.step == "day" else 31))
    return ClientSurroundings(
        store.find_band(client["category"], client["region"]), store.temperatures(series.first_on, last)
    )


def panel(store: Store, profile: told.RiskProfile) -> dict[str, Any]:
    """invoices (the newest first), has_gas, n_contradicting, neighbours."""
    lines = [(invoice, [in_words(finding) for finding in invoice.findings]) for invoice in reversed(profile.invoices)]
    return {
        "invoices": lines,
        "has_gas": any(invoice.energy == "gas" for invoice in profile.invoices),
        "n_contradicting": sum(is_contradicting(invoice) for invoice in profile.invoices),
        "neighbours": store.neighbours_of(profile.client["client_id"], N_NEIGHBOURS),
    }


# --- invoices ---------------------------------------------------------------------------------------------------------


def in_words(finding: told.InvoiceIssueResponse) -> str:
    size = i18n.number(finding.size, 0 if finding.size >= 10 or finding.size.is_integer() else 1)
    return i18n.text(f"client.finding.{finding.kind}", size=size)


def is_contradicting(invoice: told.InvoiceResponse) -> bool:
    return any(finding.kind != NEW_METER for finding in invoice.findings)


# --- peers ------------------------------------------------------------------------------------------------------------


def peers_in_words(band: ConsumptionBand | None) -> str | None:
    """Who the band is of, or that there are too few."""
    if band is None:
        return None
    told_of = {"category": i18n.code(band.category), "region": i18n.code(band.region)}
    if not band.is_present:
        return i18n.text("client.too_few_peers", n=band.n_clients, least=MIN_PEERS, **told_of)
    return i18n.text("client.peers_note", n=band.n_clients, shown=i18n.number(band.n_clients), **told_of)


def quartiles(
    band: ConsumptionBand, step: str, first_on: date, last_on: date
) -> list[tuple[date, float, float, float]]:
    """Each month's day on the chart, and low, middle and high in the chart's unit; unknown months left out."""
    share = 1.0 if step == "month" else 1.0 / DAYS_PER_MONTH
    shift = timedelta(0) if step == "month" else MID_MONTH
    months = zip(month_starts(band.first_on, len(band.n)), band.low, band.middle, band.high, strict=True)
    return [
        (day + shift, *(float(value) * share for value in values))
        for day, *values in months
        if first_on <= day + shift <= last_on and not math.isnan(values[1])
    ]


def peers(band: ConsumptionBand | None, step: str, first_on: date, last_on: date) -> list[dict]:
    """Areas between the quartiles, one for each stretch of months without a gap, and the median, dotted."""
    traces: list[dict] = []
    for _, stretch in groupby(
        enumerate(quartiles(band, step, first_on, last_on) if band else ()), key=_month_less_place
    ):
        rows = [row for _, row in stretch]
        days = [day.isoformat() for day, *_ in rows]
        low, middle, high = ([round(row[i], 2) for row in rows] for i in (1, 2, 3))
        named = {"legendgroup": "peers", "showlegend": not traces}
        lower, upper = charts.band(days, low, high, i18n.text("client.peers"))
        line, bare = {"width": 1.2, "dash": "dot"}, {"showlegend": False, "hoverinfo": "skip"}
        traces += [lower, upper | named, charts.line(days, middle, colour=charts.QUIET, line=line, **bare)]
    return traces


def _month_less_place(numbered: tuple[int, tuple]) -> int:
    """The same for months that follow each other."""
    place, (day, *_) = numbered
    return day.year * 12 + day.month - place


# --- weather ----------------------------------------------------------------------------------------------------------


def weather(temperatures: Sequence[tuple[date, float]], step: str, last_on: date) -> dict | None:
    """The temperature as a line of its own axis: by month, or the mean of seven days."""
    known = [(day, degrees) for day, degrees in temperatures if day <= last_on]
    rows = _by_month(known) if step == "month" else _smoothed(known)
    if not rows:
        return None
    days, degrees = zip(*rows, strict=True)
    hover = {"hovertemplate": "%{x|%d %b %Y}: %{y:.0f} °C<extra></extra>", "yaxis": "y2"}
    line = {"width": 1.2}
    return charts.line(
        [day.isoformat() for day in days], degrees, i18n.text("client.temperature"), WARM, line=line, **hover
    )


WARM = "var(--high)"


def _by_month(known: Sequence[tuple[date, float]]) -> list[tuple[date, float]]:
    found = []
    for month, days in groupby(known, key=lambda row: row[0].replace(day=1)):
        degrees = [value for _, value in days]
        found += [(month, round(fmean(degrees), 1))] if len(degrees) >= LEAST_DAYS else []
    return found


def _smoothed(known: Sequence[tuple[date, float]]) -> list[tuple[date, float]]:
    """The mean of the last seven days that are known; days of which too few are stay out."""
    rows = ((known[i][0], known[max(i - SMOOTH + 1, 0) : i + 1]) for i in range(len(known)))
    within = ((day, [t for one, t in part if (day - one).days < SMOOTH]) for day, part in rows)
    return [(day, round(fmean(degrees), 1)) for day, degrees in within if len(degrees) > SMOOTH // 2]
