"""The surroundings on a client's page: invoices with their contradictions, neighbours, peers, temperature.

In:  the client's profile; the store's reference data.
Out: rows and chart traces for the template, each empty or None without data for it.
"""

import math
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import groupby
from statistics import fmean
from typing import Any, NamedTuple

from fairmeter.analysis.invoice_checks import NEW_METER, InvoiceIssue
from fairmeter.analysis.peer_consumption import MIN_PEERS, ConsumptionBand, month_starts
from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.desk.client_profile import ClientProfile, InvoiceLine
from fairmeter.store import Store
from fairmeter.web.http import i18n
from fairmeter.web.pages import charts

MID_MONTH = timedelta(days=14)
MIN_DAYS = 20  # with a known temperature, for the mean of a month
SMOOTH = 7  # days
N_NEIGHBOURS = 8
TEMPERATURE_COLOUR = "var(--high)"


class ClientSurroundings(NamedTuple):
    """Reference data of a client's charts.

    band: consumption of its category and region, None where none is stored.
    temperatures: by day within its series. [°C]
    """

    band: ConsumptionBand | None
    temperatures: Sequence[tuple[date, float]]


def load_surroundings(store: Store, profile: ClientProfile) -> ClientSurroundings:
    """Load the reference data of a client's charts."""
    series, client = profile.series, profile.client
    if series is None or not series.kwh:
        return ClientSurroundings(None, ())
    last = series.first_on + timedelta(days=len(series.kwh) * (1 if series.step == "day" else 31))
    return ClientSurroundings(
        store.find_band(client["category"], client["region"]), store.temperatures(series.first_on, last)
    )


def surroundings_context(store: Store, profile: ClientProfile) -> dict[str, Any]:
    """What the template receives: invoices (the newest first), has_gas, n_contradicting, neighbours."""
    lines = [
        (invoice, [describe_issue(finding) for finding in invoice.findings]) for invoice in reversed(profile.invoices)
    ]
    return {
        "invoices": lines,
        "has_gas": any(invoice.energy == "gas" for invoice in profile.invoices),
        "n_contradicting": sum(is_contradicting(invoice) for invoice in profile.invoices),
        "neighbours": store.neighbours_of(profile.client["client_id"], N_NEIGHBOURS),
    }


# --- invoices ---------------------------------------------------------------------------------------------------------


def describe_issue(finding: InvoiceIssue) -> str:
    """The sentence of an invoice's contradiction."""
    size = i18n.number(finding.size, 0 if finding.size >= 10 or finding.size.is_integer() else 1)
    return i18n.text(f"client.finding.{finding.kind}", size=size)


def is_contradicting(invoice: InvoiceLine) -> bool:
    """Whether an invoice has a contradiction other than a new meter."""
    return any(finding.kind != NEW_METER for finding in invoice.findings)


# --- peers ------------------------------------------------------------------------------------------------------------


def describe_peers(band: ConsumptionBand | None) -> str | None:
    """The sentence on the clients of the band; None without a band."""
    if band is None:
        return None
    values = {"category": i18n.code(band.category, "category"), "region": i18n.code(band.region, "region")}
    if not band.is_present:
        return i18n.text("client.too_few_peers", n=band.n_clients, least=MIN_PEERS, **values)
    return i18n.text("client.peers_note", n=band.n_clients, shown=i18n.number(band.n_clients), **values)


def monthly_quartiles(
    band: ConsumptionBand, step: str, first_on: date, last_on: date
) -> list[tuple[date, float, float, float]]:
    """Day on the chart, first quartile, median and third quartile of each known month. [kWh per step]"""
    share = 1.0 if step == "month" else 1.0 / DAYS_PER_MONTH
    shift = timedelta(0) if step == "month" else MID_MONTH
    months = zip(month_starts(band.first_on, len(band.n)), band.low, band.middle, band.high, strict=True)
    return [
        (day + shift, *(float(value) * share for value in values))
        for day, *values in months
        if first_on <= day + shift <= last_on and not math.isnan(values[1])
    ]


def peer_traces(band: ConsumptionBand | None, step: str, first_on: date, last_on: date) -> list[dict]:
    """The band between the quartiles for each run of months without a gap, and the dotted median."""
    traces: list[dict] = []
    for _, run in groupby(enumerate(monthly_quartiles(band, step, first_on, last_on) if band else ()), key=_run_key):
        rows = [row for _, row in run]
        days = [day.isoformat() for day, *_ in rows]
        low, middle, high = ([round(row[i], 2) for row in rows] for i in (1, 2, 3))
        named = {"legendgroup": "peers", "showlegend": not traces}
        lower, upper = charts.band(days, low, high, i18n.text("client.peers"))
        line, bare = {"width": 1.2, "dash": "dot"}, {"showlegend": False, "hoverinfo": "skip"}
        traces += [lower, upper | named, charts.line(days, middle, colour=charts.QUIET, line=line, **bare)]
    return traces


def _run_key(numbered: tuple[int, tuple]) -> int:
    """Month number less position: constant within a run of consecutive months."""
    position, (day, *_) = numbered
    return day.year * 12 + day.month - position


# --- weather ----------------------------------------------------------------------------------------------------------


def temperature_trace(temperatures: Sequence[tuple[date, float]], step: str, last_on: date) -> dict | None:
    """The temperature on a second axis: monthly means, or means of seven days. [°C]"""
    until_last = [(day, degrees) for day, degrees in temperatures if day <= last_on]
    rows = _by_month(until_last) if step == "month" else _rolling_mean(until_last)
    if not rows:
        return None
    days, degrees = zip(*rows, strict=True)
    hover = {"hovertemplate": "%{x|%d %b %Y}: %{y:.0f} °C<extra></extra>", "yaxis": "y2"}
    line = {"width": 1.2}
    return charts.line(
        [day.isoformat() for day in days],
        degrees,
        i18n.text("client.temperature"),
        TEMPERATURE_COLOUR,
        line=line,
        **hover,
    )


def _by_month(temperatures: Sequence[tuple[date, float]]) -> list[tuple[date, float]]:
    """Monthly means of months with at least MIN_DAYS known days."""
    found = []
    for month, days in groupby(temperatures, key=lambda row: row[0].replace(day=1)):
        degrees = [value for _, value in days]
        found += [(month, round(fmean(degrees), 1))] if len(degrees) >= MIN_DAYS else []
    return found


def _rolling_mean(temperatures: Sequence[tuple[date, float]]) -> list[tuple[date, float]]:
    """Means of the last seven days; days with fewer than four known are left out."""
    rows = ((temperatures[i][0], temperatures[max(i - SMOOTH + 1, 0) : i + 1]) for i in range(len(temperatures)))
    within = ((day, [t for one, t in part if (day - one).days < SMOOTH]) for day, part in rows)
    return [(day, round(fmean(degrees), 1)) for day, degrees in within if len(degrees) > SMOOTH // 2]
