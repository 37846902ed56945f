"""The crew's sheet of a client, one page of PDF: place, reasons, checks, and boxes for the result.

In:  the client's id.
Out: the file at /desk/crew-sheet/ID; exports/pdf_crew_sheet.py draws the texts and values that are collected here.
"""

import re
from datetime import UTC, date, datetime
from typing import Any

from flask import Response

from fairmeter.casework import workflow as rules
from fairmeter.casework.types import Case
from fairmeter.core.types import Reason
from fairmeter.desk.client_profile import ClientProfile, InvoiceLine, client_profile, stored_profile
from fairmeter.web.exports.files import PDF, cell_text, filtered
from fairmeter.web.exports.process import file_response
from fairmeter.web.http import i18n
from fairmeter.web.pages.client.charts import median_levels, step_starts
from fairmeter.web.pages.client.context import ClientSurroundings, load_surroundings, monthly_quartiles
from fairmeter.web.pages.client.visit_checks import visit_checks
from fairmeter.web.pages.site import Site

WEEK = 7  # days; more than one point a week does not fit on paper
MAX_REASONS = 6
MAX_LABELS = 8  # below the chart
VERDICTS = ("fits", "cannot tell", "does not fit")  # in the order of the sheet
BLANKS = ("meter_number", "index", "seal", "visited_on", "signature")  # boxes that the crew fills in
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def register(site: Site) -> None:
    desk, store = site.desk, site.desk.store

    @site.page("/crew-sheet/<path:client_id>")
    def crew_sheet(client_id: str):
        profile = client_profile(desk, stored_profile(store, client_id))
        return sheet_answer(profile, load_surroundings(store, profile))


def sheet_answer(profile: ClientProfile, surroundings: ClientSurroundings) -> Response:
    """The sheet as a PDF file, named after the client."""
    name = UNSAFE.sub("-", profile.client["client_id"]).strip("-.")[:60] or "client"
    return file_response(sheet_content(profile, surroundings), (), f"{name}.pdf", PDF)


def sheet_content(profile: ClientProfile, surroundings: ClientSurroundings) -> dict[str, Any]:
    """The texts and values that exports/pdf_crew_sheet.py draws."""
    groups = [reason.group for reason in profile.reasons if reason.effect > 0]
    checks = visit_checks(groups, [anomaly.pattern for anomaly in profile.anomalies])
    case = profile.case
    case_text = i18n.text("crew.case", n=case.case_id, who=case.assignee or "-") if is_open(case) else ""
    scored = i18n.text("client.scored", when=filtered("moment", profile.scored_at), version=profile.model_version)
    return {
        "kind": "sheet",
        "title": i18n.text("crew.title"),
        "client": profile.client["client_id"],
        "printed": i18n.text("crew.printed", when=filtered("moment", datetime.now(UTC))),
        "severity": cell_text("severity", profile.severity),
        "about": "; ".join(filter(None, (scored, case_text))),
        "facts": facts(profile),
        "stakes": stakes(profile),
        "chart": chart(profile, surroundings),
        "reasons": titled("client.reasons", [reason_row(one, profile) for one in profile.reasons[:MAX_REASONS]]),
        "harmless": titled("client.harmless", harmless_causes(profile)),
        "checks": titled("crew.checks", checks),
        "found": {
            "title": i18n.text("crew.found"),
            "outcomes": [i18n.text(f"outcome.{outcome}") for outcome in rules.OUTCOMES],
            "blanks": [i18n.text(f"crew.blank.{name}") for name in BLANKS],
            "notes": i18n.text("crew.notes"),
        },
        "foot": "",
        "direction": i18n.current_locale().direction,
    }


def is_open(case: Case | None) -> bool:
    """Whether there is a case that is not closed."""
    return case is not None and case.state != rules.CLOSED


def titled(key: str, items: list) -> dict[str, Any]:
    """A section of the sheet."""
    return {"title": i18n.text(key), "items": items}


# --- facts ------------------------------------------------------------------------------------------------------------


def facts(profile: ClientProfile) -> list[tuple[str, str]]:
    """Names and values of the client's place, contract and meter."""
    client, coded = profile.client, lambda name: i18n.code(profile.client[name], name)
    place = (client["latitude"], client["longitude"])
    invoice = next((one for one in reversed(profile.invoices) if one.meter_id is not None), None)
    rows = [
        ("client.place", None if None in place else f"{place[0]:.5f}, {place[1]:.5f}"),
        ("crew.region", f"{coded('region')}, {coded('district')}"),
        ("client.transformer", client["transformer_id"]),
        ("client.category", coded("category")),
        ("client.tariff_price", client["tariff_price"] and i18n.number(client["tariff_price"], 3)),
        ("client.since", client["created_on"] and i18n.day(client["created_on"])),
        ("crew.meter", invoice and describe_meter(invoice)),
    ]
    return [(i18n.text(key), value) for key, value in rows if value]


def describe_meter(invoice: InvoiceLine) -> str:
    """Number of the meter, with its last index and the day of that invoice."""
    number, day = i18n.code(invoice.meter_id), i18n.day(invoice.invoice_on)
    return i18n.text("crew.meter_value", number=number, index=i18n.number(invoice.new_index), day=day)


def stakes(profile: ClientProfile) -> list[tuple[str, str]]:
    """Names and values of the client's score, its energy at stake and former visits."""
    recovery = profile.recovery
    energy = i18n.energy
    at_stake = recovery and i18n.text(
        "crew.at_stake",
        kwh=energy(recovery.kwh), low=energy(recovery.low_kwh), high=energy(recovery.high_kwh),
        months=i18n.number(recovery.months),
    )  # fmt: skip
    rows = [
        ("client.score", describe_score(profile)),
        ("crew.state", cell_text("state", profile.state)),
        ("crew.onset", profile.onset_on and i18n.day(profile.onset_on)),
        ("crew.if_theft", at_stake),
        ("crew.expected", cell_text("expected_recovery_kwh", profile.expected_recovery_kwh)),
        ("crew.visits", describe_visits(profile)),
    ]
    return [(i18n.text(key), value) for key, value in rows if value]


def describe_score(profile: ClientProfile) -> str:
    """The probability, or the percentile of a model without labels, and from where on clients are suspected."""
    if profile.percentile is not None:
        threshold = i18n.number(100 * profile.threshold)
        return i18n.text("crew.score_of_ranks", score=i18n.score(profile), threshold=threshold)
    if profile.probability is None:
        return i18n.text("client.no_score")
    return i18n.text("crew.score", score=i18n.score(profile), threshold=i18n.percent(profile.threshold))


def describe_visits(profile: ClientProfile) -> str:
    """Day and outcome of the last three visits."""
    return "; ".join(
        f"{i18n.day(visit.inspected_on)}: {i18n.text(f'outcome.{visit.outcome}')}" for visit in profile.inspections[:3]
    )


def reason_row(one: Reason, profile: ClientProfile) -> tuple[str, str]:
    """Effect and sentence of a reason; of a rank the effect is its sign alone."""
    sign = "+" if one.effect > 0 else "\N{MINUS SIGN}"
    effect = i18n.signed(one.effect) if profile.percentile is None else sign
    return effect, f"{i18n.group(one.group)}. {i18n.worded(one.text)}"


def harmless_causes(profile: ClientProfile) -> list[str]:
    """Sentences on the harmless causes, those that fit first."""
    causes = sorted(profile.explanations, key=lambda one: VERDICTS.index(one.verdict) if one.verdict in VERDICTS else 3)
    return [
        f"{i18n.cause(one.cause)}: {i18n.text_or_default(f'verdict.{one.verdict}', one.verdict)}. "
        f"{i18n.worded(one.text)}"
        for one in causes
    ]


# --- the chart --------------------------------------------------------------------------------------------------------


def chart(profile: ClientProfile, surroundings: ClientSurroundings) -> dict[str, Any] | None:
    """Values of the consumption chart: by month, or by week for daily readings; None without values."""
    series = profile.series
    if series is None or not any(kwh is not None for kwh in series.kwh):
        return None
    days, onset = step_starts(series), profile.onset_on and date.fromisoformat(profile.onset_on)
    level = median_levels(series, onset) if onset else None
    every = WEEK if series.step == "day" else 1
    starts = days[::every]
    low, high = peer_quartiles(surroundings, series.step, starts)
    return {
        "title": f"{i18n.text('client.consumption')}, {i18n.text(f'client.kwh_{series.step}')}{peers_note(low)}",
        "values": [mean_of_known(series.kwh[i : i + every]) for i in range(0, len(days), every)],
        "low": low,
        "high": high,
        "labels": time_labels(starts),
        "onset": None if onset is None else sum(day < onset for day in starts),
        "levels": [level.before, level.after] if level else [None, None],
        "onset_text": i18n.text("client.onset"),
    }


def peers_note(low: list | None) -> str:
    """The note on the grey band, empty without a band."""
    return f"; {i18n.text('crew.grey')}" if low else ""


def mean_of_known(kwh: list[float | None]) -> float | None:
    """The mean of the known values; None without any. [kWh]"""
    known = [value for value in kwh if value is not None]
    return sum(known) / len(known) if known else None


def peer_quartiles(surroundings: ClientSurroundings, step: str, days: list[date]) -> tuple[list | None, list | None]:
    """First and third quartile of each point's month; None where no month is known. [kWh per step]"""
    rows = monthly_quartiles(surroundings.band, step, days[0], days[-1]) if surroundings.band else []
    by_month = {(day.year, day.month): (low, high) for day, low, _, high in rows}
    found = [by_month.get((day.year, day.month), (None, None)) for day in days]
    return ([low for low, _ in found], [high for _, high in found]) if by_month else (None, None)


def time_labels(days: list[date]) -> list[tuple[int, str]]:
    """Position and text of labels at the start of years, or of months in a short series."""
    years = [(i, str(day.year)) for i, day in enumerate(days) if i and day.year != days[i - 1].year]
    months = [(i, i18n.month(day)) for i, day in enumerate(days) if i == 0 or day.month != days[i - 1].month]
    found = years if len(years) > 2 else months
    return found[:: -(-len(found) // MAX_LABELS)]
