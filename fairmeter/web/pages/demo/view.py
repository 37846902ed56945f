"""The demonstration: four clients day by day, a theft that somebody draws, a client that somebody pastes.

In:  the simulated utility's first clients (scenarios.py); a share and a day; the model, by what the desk was given.
Out: the page at /desk/demo, and scores for its script. Nothing of it is kept.
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
from fairmeter.web.pages.demo.scenarios import CLIENT_IDS, Scenario, daily, frames, scenario, stolen, until
from fairmeter.web.pages.site import Site, render

AT_ONCE = 2  # frames judged in one go: a worker keeps the memory that their readings took, 50 MB for 16 of them
N_REASONS = 3
MOST_DAYS = 365  # before the last reading, that a drawn theft may begin
SHOWN_DAYS = 400  # of the chart


def register(site: Site) -> None:
    demo_of = Demo(site.desk)

    @site.page("/demo")
    def demo():
        client_id = request.args.get("client")
        client_id = client_id if client_id in CLIENT_IDS else CLIENT_IDS[2]
        shared = {"client_ids": CLIENT_IDS, "client_id": client_id, "example": example(), "severities": SEVERITIES}
        try:
            told = scenario(client_id)
        except OSError:
            return render("demo.html", **shared, told=None, data={"texts": i18n.texts_below("demo.script")})
        scores = demo_of.scores(client_id)
        played, honest = chart(told, scores), scenario(CLIENT_IDS[0])
        data = {
            "client": client_id,
            "frames": scores,
            "texts": i18n.texts_below("demo.script"),
            "severities": i18n.texts_below("severity"),
        }
        shared |= {"most_days": MOST_DAYS, "thief": thief_chart(honest)}
        return render("demo.html", **shared, told=told, chart_played=played, data=data)

    @site.page("/demo/reasons", VIEWER)
    def demo_reasons():
        client_id, day = request.args.get("client", ""), request.args.get("day", "")
        told = told_or_404(client_id)
        if day not in {frame.isoformat() for frame in frames(told.last_on)}:
            abort(404)
        return jsonify(demo_of.reasons(client_id, day))

    @site.page("/demo/thief", VIEWER)
    def demo_thief():
        share, days = request.args.get("share", 0, float), request.args.get("days", 0, int)
        if not (0 <= share <= 1 and 1 <= days <= MOST_DAYS):
            abort(400)
        told_or_404(CLIENT_IDS[0])
        return jsonify(demo_of.thief(round(share, 2), days, request.args.get("reasons") == "1"))


def told_or_404(client_id: str) -> Scenario:
    """The scenario; nothing is there of another client, nor where the simulated utility is not installed."""
    try:
        return scenario(client_id)
    except (KeyError, OSError):
        abort(404)


class Demo:
    """Scores of the demonstration, each computed once a worker; one at a time, as they are only shown."""

    def __init__(self, desk: DeskService) -> None:
        self._desk, self._one_at_a_time = desk, Lock()
        self.scores, self.reasons = lru_cache(maxsize=8)(self._scores), lru_cache(maxsize=512)(self._reasons)
        self.thief = lru_cache(maxsize=256)(self._thief)

    def _scores(self, client_id: str) -> list[dict[str, Any]]:
        """The score on each day that is shown: {"day", "told", "probability", "severity"}; told: the day in words."""
        told = scenario(client_id)
        found, shown = [], frames(told.last_on)
        with self._one_at_a_time:
            for start in range(0, len(shown), AT_ONCE):
                days = shown[start : start + AT_ONCE]
                scores = self._desk.backend.score([until(told, day) for day in days])
                found += [frame(day, score) for day, score in zip(days, scores, strict=True)]
        return found

    def _reasons(self, client_id: str, day: str) -> dict[str, Any]:
        with self._one_at_a_time:
            return worded(
                self._desk.backend.score([until(scenario(client_id), date.fromisoformat(day))], with_reasons=True)[0]
            )

    def _thief(self, share: float, days: int, with_reasons: bool) -> dict[str, Any]:
        honest = scenario(CLIENT_IDS[0])
        since = honest.last_on - timedelta(days=days - 1)
        with self._one_at_a_time:
            return worded(self._desk.backend.score([stolen(honest, share, since)], with_reasons)[0])


def frame(day: date, score: Score) -> dict[str, Any]:
    return {
        "day": day.isoformat(),
        "told": i18n.day(day),
        "probability": score.probability,
        "severity": score.severity,
    }


def worded(score: Score) -> dict[str, Any]:
    """A score for the script."""
    return {
        "probability": score.probability,
        "severity": score.severity,
        "reasons": [reason.text for reason in score.reasons if reason.effect > 0][:N_REASONS],
        "harmless": [
            i18n.text("demo.harmless", text=cause.text) for cause in score.explanations if cause.verdict == FITS
        ],
    }


def example() -> str:
    """What /predict takes, to begin with: one record a line."""
    rows = ",\n    ".join(json.dumps(row) for row in examples.RAW["invoices"])
    return f'{{\n  "client": {json.dumps(examples.RAW["client"])},\n  "invoices": [\n    {rows}\n  ]\n}}'


# --- charts -----------------------------------------------------------------------------------------------------------


def chart(told: Scenario, scores: Sequence[dict]) -> charts.Chart:
    """Consumption above, the score below; the script shows them up to a day."""
    kwh = recent(told)
    days = [frame["day"] for frame in scores]
    use = charts.line(list(kwh), list(kwh.values()), i18n.text("demo.kwh"), line={"width": 1.4})
    score = charts.line(
        days, [frame["probability"] for frame in scores], i18n.text("demo.score"), charts.BAD, mode="lines+markers",
        yaxis="y2", line={"shape": "hv"}, marker={"size": 5}, hovertemplate="%{x}: %{y:.0%}<extra></extra>",
    )  # fmt: skip
    layout = {
        "xaxis": {"type": "date", "range": [next(iter(kwh)), told.last_on.isoformat()], "anchor": "y2"},
        "yaxis": {"title": i18n.text("demo.kwh"), "domain": [0.42, 1], "range": [0, max(kwh.values()) * 1.05]},
        "yaxis2": {"title": i18n.text("demo.score"), "domain": [0, 0.32], "range": [0, 1.02], "tickformat": ".0%"},
        "margin": {"l": 56, "r": 16, "t": 28, "b": 36},
    }
    if told.onset_on:
        shape, note = charts.upright(told.onset_on.isoformat(), i18n.text("demo.begins"))
        layout |= {"shapes": [shape], "annotations": [note]}
    return charts.chart(use, score, **layout)


def thief_chart(honest: Scenario) -> charts.Chart:
    """What was used and what the meter would show; the script draws the second from the sliders."""
    kwh = recent(honest)
    used = charts.line(list(kwh), list(kwh.values()), i18n.text("demo.used"), charts.QUIET, line={"width": 1})
    shown = charts.line(list(kwh), list(kwh.values()), i18n.text("demo.registered"), line={"width": 1.4})
    axes = {"xaxis": {"type": "date"}, "yaxis": {"title": i18n.text("demo.kwh"), "rangemode": "tozero"}}
    return charts.chart(used, shown, **axes, showlegend=True, margin={"l": 56, "r": 16, "t": 34, "b": 36})


def recent(told: Scenario) -> dict[str, float]:
    since = (told.last_on - timedelta(days=SHOWN_DAYS)).isoformat()
    return {day: kwh for day, kwh in daily(told).items() if day >= since}
