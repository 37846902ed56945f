"""One client on one page for the crew, as a PDF: where to go, why, what to look at, boxes for what is found.

In:  the client's id.
Out: the file at /desk/crew-sheet/ID; paper/sheet.py draws what is put together here, texts and a chart's values.
"""

import re
from datetime import UTC, date, datetime
from typing import Any

from flask import Response

from fairmeter.casework import workflow as rules
from fairmeter.web.desk_api import schemas as told
from fairmeter.web.desk_api.read import profile_of
from fairmeter.web.exports.files import PDF, cell_text, filtered
from fairmeter.web.exports.process import file_response
from fairmeter.web.http import i18n
from fairmeter.web.pages.client.charts import days_of, levels
from fairmeter.web.pages.client.context import ClientSurroundings, around_of, quartiles
from fairmeter.web.pages.site import Site

WEEK = 7  # days; a point a week is as much as fits on paper
MOST_REASONS, MOST_CHECKS = 6, 6
MOST_LABELS = 8  # below a chart
ANYWAY = ("meter", "seals")  # what is looked at whatever the reasons are
VERDICTS = ("fits", "cannot tell", "does not fit")  # what may be harmless comes first
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def register(site: Site) -> None:
    store = site.desk.store

    @site.page("/crew-sheet/<path:client_id>")
    def crew_sheet(client_id: str):
        profile = profile_of(store, client_id)
        return sheet_answer(profile, around_of(store, profile))


def sheet_answer(profile: told.RiskProfile, around: ClientSurroundings) -> Response:
    name = UNSAFE.sub("-", profile.client["client_id"]).strip("-.")[:60] or "client"
    return file_response(sheet_told(profile, around), (), f"{name}.pdf", PDF)


def sheet_told(profile: told.RiskProfile, around: ClientSurroundings) -> dict[str, Any]:
    """What paper/sheet.py draws."""
    case = profile.case
    case_told = i18n.text("crew.case", n=case.case_id, who=case.assignee or "-") if is_open(case) else ""
    scored = i18n.text("client.scored", when=filtered("moment", profile.scored_at), version=profile.model_version)
    return {
        "kind": "sheet",
        "title": i18n.text("crew.title"),
        "client": profile.client["client_id"],
        "printed": i18n.text("crew.printed", when=filtered("moment", datetime.now(UTC))),
        "severity": cell_text("severity", profile.severity),
        "about": "; ".join(filter(None, (scored, case_told))),
        "facts": facts(profile),
        "stakes": stakes(profile),
        "chart": chart(profile, around),
        "reasons": titled("client.reasons", [reason(one) for one in profile.reasons[:MOST_REASONS]]),
        "harmless": titled("client.harmless", harmless(profile)),
        "checks": titled("crew.checks", checks(profile)),
        "found": {
            "title": i18n.text("crew.found"),
            "outcomes": [i18n.text(f"outcome.{outcome}") for outcome in rules.OUTCOMES],
            "blanks": [i18n.text(f"crew.blank.{name}") for name in BLANKS],
            "notes": i18n.text("crew.notes"),
        },
        "foot": "",
    }


BLANKS = ("meter_number", "index", "seal", "visited_on", "signature")


def is_open(case: told.CaseResponse | None) -> bool:
    return case is not None and case.state != rules.CLOSED


def titled(key: str, items: list) -> dict[str, Any]:
    return {"title": i18n.text(key), "items": items}


# --- facts ------------------------------------------------------------------------------------------------------------


def facts(profile: told.RiskProfile) -> list[tuple[str, str]]:
    """Where to go, and which meter is to be found there."""
    client, coded = profile.client, lambda name: i18n.code(profile.client[name])
    place = (client["latitude"], client["longitude"])
    invoice = next((one for one in reversed(profile.invoices) if one.meter_id is not None), None)
    rows = [
        ("client.place", None if None in place else f"{place[0]:.5f}, {place[1]:.5f}"),
        ("crew.region", f"{coded('region')}, {coded('district')}"),
        ("client.transformer", client["transformer_id"]),
        ("client.category", coded("category")),
        ("client.tariff_price", client["tariff_price"] and i18n.number(client["tariff_price"], 3)),
        ("client.since", client["created_on"] and i18n.day(client["created_on"])),
        ("crew.meter", invoice and meter(invoice)),
    ]
    return [(i18n.text(key), value) for key, value in rows if value]


def meter(invoice: told.InvoiceResponse) -> str:
    number, day = i18n.code(invoice.meter_id), i18n.day(invoice.invoice_on)
    return i18n.text("crew.meter_told", number=number, index=i18n.number(invoice.new_index), day=day)


def stakes(profile: told.RiskProfile) -> list[tuple[str, str]]:
    """What is known of the client, and what the visit may bring."""
    score, recovery = profile.probability, profile.recovery
    suspected = i18n.text("crew.score", score=i18n.percent(score), threshold=i18n.percent(profile.threshold))
    energy = i18n.energy
    at_stake = recovery and i18n.text(
        "crew.at_stake",
        kwh=energy(recovery.kwh), low=energy(recovery.low_kwh), high=energy(recovery.high_kwh),
        months=i18n.number(recovery.months),
    )  # fmt: skip
    rows = [
        ("client.score", i18n.text("client.no_score") if score is None else suspected),
        ("crew.recommendation", cell_text("recommendation", profile.recommendation)),
        ("crew.onset", profile.onset_on and i18n.day(profile.onset_on)),
        ("crew.if_theft", at_stake),
        ("crew.expected", cell_text("expected_recovery_kwh", profile.expected_recovery_kwh)),
        ("crew.visits", visits(profile)),
    ]
    return [(i18n.text(key), value) for key, value in rows if value]


def visits(profile: told.RiskProfile) -> str:
    """What the last visits found."""
    return "; ".join(
        f"{i18n.day(visit.inspected_on)}: {i18n.text(f'outcome.{visit.outcome}')}" for visit in profile.inspections[:3]
    )


def reason(one: told.ProfileReasonResponse) -> tuple[str, str]:
    return i18n.signed(one.effect), f"{one.group.capitalize()}. {one.text}"


def harmless(profile: told.RiskProfile) -> list[str]:
    told_of = sorted(
        profile.explanations, key=lambda one: VERDICTS.index(one.verdict) if one.verdict in VERDICTS else 3
    )
    return [
        f"{one.cause.capitalize()}: {i18n.text_or_default(f'verdict.{one.verdict}', one.verdict)}. {one.text}"
        for one in told_of
    ]


def checks(profile: told.RiskProfile) -> list[str]:
    """What to look at: by the groups that raise the score, the strongest first, then what is looked at anyway."""
    raising = [one.group for one in profile.reasons if one.effect > 0]
    keys = [f"crew.check.{name}" for name in (*raising, *ANYWAY)]
    found = dict.fromkeys(text for key in keys if (text := i18n.text_or_default(key, "")))
    kept = list(found)
    return [*kept[: MOST_CHECKS - len(ANYWAY)], *kept[-len(ANYWAY) :]] if len(kept) > MOST_CHECKS else kept


# --- the chart --------------------------------------------------------------------------------------------------------


def chart(profile: told.RiskProfile, around: ClientSurroundings) -> dict[str, Any] | None:
    """Consumption by month, or by week where it is known by day."""
    series = profile.series
    if series is None or not any(kwh is not None for kwh in series.kwh):
        return None
    days, onset = days_of(series), profile.onset_on and date.fromisoformat(profile.onset_on)
    level = levels(series, onset) if onset else None
    every = WEEK if series.step == "day" else 1
    starts = days[::every]
    low, high = band(around, series.step, starts)
    return {
        "title": f"{i18n.text('client.consumption')}, {i18n.text(f'client.kwh_{series.step}')}{peers_said(low)}",
        "values": [mean_of(series.kwh[i : i + every]) for i in range(0, len(days), every)],
        "low": low,
        "high": high,
        "labels": labels(starts),
        "onset": None if onset is None else sum(day < onset for day in starts),
        "levels": [level.before, level.after] if level else [None, None],
        "onset_text": i18n.text("client.onset"),
    }


def peers_said(low: list | None) -> str:
    return f"; {i18n.text('crew.grey')}" if low else ""


def mean_of(kwh: list[float | None]) -> float | None:
    known = [value for value in kwh if value is not None]
    return sum(known) / len(known) if known else None


def band(around: ClientSurroundings, step: str, days: list[date]) -> tuple[list | None, list | None]:
    """The quartiles of each point's month, None where nothing is known of any."""
    rows = quartiles(around.band, step, days[0], days[-1]) if around.band else []
    by_month = {(day.year, day.month): (low, high) for day, low, _, high in rows}
    found = [by_month.get((day.year, day.month), (None, None)) for day in days]
    return ([low for low, _ in found], [high for _, high in found]) if by_month else (None, None)


def labels(days: list[date]) -> list[tuple[int, str]]:
    """Where a year begins, or of a short course a month."""
    years = [(i, str(day.year)) for i, day in enumerate(days) if i and day.year != days[i - 1].year]
    months = [
        (i, f"{i18n.text(f'months.m{day.month}')} {day.year}")
        for i, day in enumerate(days)
        if i == 0 or day.month != days[i - 1].month
    ]
    found = years if len(years) > 2 else months
    return found[:: -(-len(found) // MOST_LABELS)]
