"""The demonstration's page: four clients day by day, a theft to try, a client to paste.

In:  the simulated utility's first clients (scenarios.py); a share and a day; the desk's scoring backend.
Out: the page at /desk/demo, and scores as JSON for its script. Nothing is stored.
"""

import json
from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache
from threading import Lock
from typing import Any

from flask import abort, jsonify, request

from fairmeter.core.types import FITS, SEVERITIES, Score
from fairmeter.desk.service import DeskService
from fairmeter.scoring import examples
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import VIEWER
from fairmeter.web.pages import charts
from fairmeter.web.pages.demo.scenarios import (
    CLIENT_IDS,
    Scenario,
    client_until,
    daily_consumption,
    load_scenario,
    shown_days,
    with_theft,
)
from fairmeter.web.pages.site import Site, ranks_why, render

BATCH_SIZE = 2  # days scored at once; the worker would not release the memory of more: 50 MB for 16 days
N_REASONS = 3
MAX_DAYS = 365  # from the start of a tried theft to the last reading
CHART_DAYS = 400  # on the chart


def register(site: Site) -> None:
    demo_scores = Demo(site.desk)

    @site.page("/demo")
    def demo():
        client_id = request.args.get("client")
        client_id = client_id if client_id in CLIENT_IDS else CLIENT_IDS[2]
        shared = {"client_ids": CLIENT_IDS, "client_id": client_id, "example": example_body(), "severities": SEVERITIES}
        try:
            scenario = load_scenario(client_id)
        except OSError:
            return render("demo.html", **shared, scenario=None, data={"texts": i18n.texts_below("demo.script")})
        scores = demo_scores.scores(client_id)
        played, honest = (
            scenario_chart(scenario, scores, ranks_why(site.desk) is None),
            load_scenario(CLIENT_IDS[0]),
        )
        data = {
            "client": client_id,
            "frames": scores,
            "texts": i18n.texts_below("demo.script"),
            "severities": i18n.texts_below("severity"),
        }
        shared |= {"most_days": MAX_DAYS, "thief": theft_chart(honest)}
        return render("demo.html", **shared, scenario=scenario, chart_played=played, data=data)

    @site.page("/demo/reasons", VIEWER)
    def demo_reasons():
        client_id, day = request.args.get("client", ""), request.args.get("day", "")
        scenario = scenario_or_404(client_id)
        if day not in {frame.isoformat() for frame in shown_days(scenario.last_on)}:
            abort(404)
        return jsonify(demo_scores.reasons(client_id, day))

    @site.page("/demo/thief", VIEWER)
    def demo_thief():
        share, days = request.args.get("share", 0, float), request.args.get("days", 0, int)
        if not (0 <= share <= 1 and 1 <= days <= MAX_DAYS):
            abort(400)
        scenario_or_404(CLIENT_IDS[0])
        return jsonify(demo_scores.theft(round(share, 2), days, request.args.get("reasons") == "1"))


def scenario_or_404(client_id: str) -> Scenario:
    """The scenario of a client; 404 for another client, or where the simulated utility is not installed."""
    try:
        return load_scenario(client_id)
    except (KeyError, OSError):
        abort(404)


class Demo:
    """Scores of the demonstration, each computed once per worker and only one at a time."""

    def __init__(self, desk: DeskService) -> None:
        self._desk, self._one_at_a_time = desk, Lock()
        self._scores_of, self._explained = lru_cache(maxsize=8)(self._scores), lru_cache(maxsize=512)(self._reasons)
        self._with_theft = lru_cache(maxsize=256)(self._theft)

    # What is kept has no text: each reader has a language of its own.

    def scores(self, client_id: str) -> list[dict[str, Any]]:
        """The score on each shown day: {"day", "told", "value", "score", "severity"}. [told, score: as text]"""
        return [frame_response(day, score) for day, score in self._scores_of(client_id)]

    def reasons(self, client_id: str, day: str) -> dict[str, Any]:
        """The score of a day with its reasons, for the script."""
        return score_response(self._explained(client_id, day))

    def theft(self, share: float, days: int, with_reasons: bool) -> dict[str, Any]:
        """The score of an honest client of whose last days a share is not registered, for the script."""
        return score_response(self._with_theft(share, days, with_reasons))

    def _scores(self, client_id: str) -> list[tuple[date, Score]]:
        scenario = load_scenario(client_id)
        found, all_days = [], shown_days(scenario.last_on)
        with self._one_at_a_time:
            for start in range(0, len(all_days), BATCH_SIZE):
                days = all_days[start : start + BATCH_SIZE]
                scores = self._desk.backend.score([client_until(scenario, day) for day in days])
                found += zip(days, scores, strict=True)
        return found

    def _reasons(self, client_id: str, day: str) -> Score:
        until = client_until(load_scenario(client_id), date.fromisoformat(day))
        with self._one_at_a_time:
            return self._desk.backend.score([until], with_reasons=True)[0]

    def _theft(self, share: float, days: int, with_reasons: bool) -> Score:
        honest = load_scenario(CLIENT_IDS[0])
        since = honest.last_on - timedelta(days=days - 1)
        with self._one_at_a_time:
            return self._desk.backend.score([with_theft(honest, share, since)], with_reasons)[0]


def frame_response(day: date, score: Score) -> dict[str, Any]:
    """The score of a day, for the script."""
    return {
        "day": day.isoformat(),
        "told": i18n.day(day),
        "value": score.value,
        "score": i18n.score(score),
        "severity": score.severity,
    }


def score_response(score: Score) -> dict[str, Any]:
    """A score with its reasons and harmless causes, for the script."""
    return {
        "value": score.value,
        "score": i18n.score(score),
        "severity": score.severity,
        "reasons": [i18n.worded(reason.text) for reason in score.reasons if reason.effect > 0][:N_REASONS],
        "harmless": [
            i18n.text("demo.harmless", text=i18n.worded(cause.text))
            for cause in score.explanations
            if cause.verdict == FITS
        ],
    }


def example_body() -> str:
    """An example body of /predict, one record per line."""
    rows = ",\n    ".join(json.dumps(row) for row in examples.RAW["invoices"])
    return f'{{\n  "client": {json.dumps(examples.RAW["client"])},\n  "invoices": [\n    {rows}\n  ]\n}}'


# --- charts -----------------------------------------------------------------------------------------------------------


def scenario_chart(scenario: Scenario, scores: Sequence[dict], claims_probability: bool) -> charts.Chart:
    """Consumption above, the score below; the script shows both up to a day."""
    ticks = ".0%" if claims_probability else ".2f"
    kwh = recent_consumption(scenario)
    days = [frame["day"] for frame in scores]
    use = charts.line(list(kwh), list(kwh.values()), i18n.text("demo.kwh"), line={"width": 1.4})
    score = charts.line(
        days, [frame["value"] for frame in scores], i18n.text("demo.score"), charts.BAD, mode="lines+markers",
        yaxis="y2", line={"shape": "hv"}, marker={"size": 5}, hovertemplate=f"%{{x}}: %{{y:{ticks}}}<extra></extra>",
    )  # fmt: skip
    layout = {
        "xaxis": {"type": "date", "range": [next(iter(kwh)), scenario.last_on.isoformat()], "anchor": "y2"},
        "yaxis": {"title": i18n.text("demo.kwh"), "domain": [0.42, 1], "range": [0, max(kwh.values()) * 1.05]},
        "yaxis2": {"title": i18n.text("demo.score"), "domain": [0, 0.32], "range": [0, 1.02], "tickformat": ticks},
        "margin": {"l": 56, "r": 16, "t": 28, "b": 36},
    }
    if scenario.onset_on:
        shape, note = charts.vertical_line(scenario.onset_on.isoformat(), i18n.text("demo.begins"))
        layout |= {"shapes": [shape], "annotations": [note]}
    return charts.chart(use, score, **layout)


def theft_chart(honest: Scenario) -> charts.Chart:
    """Consumption used and consumption registered; the script updates the second from the sliders."""
    kwh = recent_consumption(honest)
    used = charts.line(list(kwh), list(kwh.values()), i18n.text("demo.used"), charts.QUIET, line={"width": 1})
    registered = charts.line(list(kwh), list(kwh.values()), i18n.text("demo.registered"), line={"width": 1.4})
    axes = {"xaxis": {"type": "date"}, "yaxis": {"title": i18n.text("demo.kwh"), "rangemode": "tozero"}}
    return charts.chart(used, registered, **axes, showlegend=True, margin={"l": 56, "r": 16, "t": 34, "b": 36})


def recent_consumption(scenario: Scenario) -> dict[str, float]:
    """Consumption by day on the chart. [kWh]"""
    since = (scenario.last_on - timedelta(days=CHART_DAYS)).isoformat()
    return {day: kwh for day, kwh in daily_consumption(scenario).items() if day >= since}
