"""The model: what was measured, what its severities promise, what a threshold means in visits,
whether clients are still like those that it learnt from.

In:  what model.bin says of itself; the report of a training or validation, where one is kept; the scores in the store.
Out: the page at /desk/model. Figures of a report that is not of this very model are shown with its version.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

from fairmeter.core.types import Score
from fairmeter.web.http import texts
from fairmeter.web.pages import charts
from fairmeter.web.pages.drift import drift_state, kept_state
from fairmeter.web.pages.overview import model_state
from fairmeter.web.pages.site import Site, render

N_BINS = 200  # of scores: the slider's steps
N_FEATURES, N_WEAK, LEAST_FRAUDS = 15, 8, 50  # groups with fewer frauds say little
N_EXPLAINED = 300  # clients, those with the highest scores, whose reasons tell what scores rest on
SHARE = {"tickformat": ".0%", "range": [0, 1.02]}


def register(site: Site) -> None:
    desk, reports = site.desk, site.settings.reports

    @site.page("/model")
    def model():
        manifest = desk.manifest
        report = report_of(reports, str(manifest["version"]))
        return render(
            "model.html",
            model=model_state(manifest),
            severities=manifest.get("severities", ()),
            readings=readings_state(manifest.get("readings")),
            drift=drift_state(desk.store, str(manifest["version"])),
            kept=kept_state(desk.store),
            measured_at=moment_of(report),
            run=report and report["run"],
            rests_on=rests_on(desk.store.stored_scores(limit=N_EXPLAINED)),
            slider=slider(manifest, desk.store.count_scores(N_BINS), main_result(report)),
            **figures(report),
        )


def readings_state(told: Mapping | None) -> dict[str, Any] | None:
    """What the model says of its ensemble on readings; None where it has none."""
    names = ("data", "n_clients", "threshold", "made")
    return {name: told.get(name) for name in names} if told else None


# --- the report -------------------------------------------------------------------------------------------------------


def report_of(paths: Sequence[Path], version: str) -> dict[str, Any] | None:
    """The report of this version, else the first there is; None where none is kept or can be read."""
    found = [report for report in map(read_report, paths) if report is not None]
    of_this = [report for report in found if report["run"].get("version") == version]
    return next(iter(of_this or found), None)


def read_report(path: Path) -> dict[str, Any] | None:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) and report.get("results") and "run" in report else None


def moment_of(report: Mapping | None) -> datetime | None:
    told = report and report["run"].get("trained_at")
    moment = datetime.fromisoformat(told) if told else None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def main_result(report: Mapping | None) -> dict[str, Any] | None:
    return report["results"][0] if report else None


def figures(report: Mapping | None) -> dict[str, Any]:
    """What the page draws of a report; nothing where there is none."""
    result = main_result(report)
    if result is None:
        return {"result": None}
    curves = result.get("curves") or {}
    return {
        "result": result,
        "results": report["results"],
        "models": next((m["rows"] for m in report.get("models", ()) if m["view"] == result["view"]), []),
        "roc": roc(curves["roc"], result) if "roc" in curves else None,
        "pr": pr(curves["pr"], result) if "pr" in curves else None,
        "visits": visits(curves["visits"], result) if "visits" in curves else None,
        "calibration": calibration(result["calibration"]) if result.get("calibration") else None,
        "importance": importance(report["importance"]) if report.get("importance") else None,
        "weak": weak(result.get("groups") or {}),
    }


def roc(curve: Mapping, result: Mapping) -> charts.Chart:
    chance = charts.line([0, 1], [0, 1], texts.text("model.chance"), charts.QUIET, line={"dash": "dot", "width": 1})
    whole = charts.line(curve["false_positive_rate"], curve["recall"], texts.text("model.this"))
    at = result["at_threshold"]
    point = charts.points(
        [at["false_positive_rate"]["value"]], [at["recall"]["value"]], texts.text("model.at_threshold"), charts.BAD
    )
    axes = {"xaxis": SHARE | {"title": texts.text("model.fpr")}, "yaxis": SHARE | {"title": texts.text("model.recall")}}
    return charts.chart(chance, whole, point, **axes, showlegend=True)


def pr(curve: Mapping, result: Mapping) -> charts.Chart:
    base = result["base_rate"]["value"]
    chance = charts.line([0, 1], [base] * 2, texts.text("model.chance"), charts.QUIET, line={"dash": "dot", "width": 1})
    whole = charts.line(curve["recall"], curve["precision"], texts.text("model.this"))
    at = result["at_threshold"]
    point = charts.points(
        [at["recall"]["value"]], [at["precision"]["value"]], texts.text("model.at_threshold"), charts.BAD
    )
    axes = {"xaxis": SHARE | {"title": texts.text("model.recall")}}
    axes |= {"yaxis": SHARE | {"title": texts.text("model.precision")}}
    return charts.chart(chance, whole, point, **axes, showlegend=True)


def visits(curve: Mapping, result: Mapping) -> charts.Chart:
    """Precision among the first so many, with its interval."""
    spread = charts.band(curve["visits"], curve["low"], curve["high"], texts.text("model.interval"))
    whole = charts.line(curve["visits"], curve["precision"], texts.text("model.precision"))
    base = [result["base_rate"]["value"]] * 2
    ends = [curve["visits"][0], curve["visits"][-1]]
    chance = charts.line(ends, base, texts.text("model.chance"), charts.QUIET, line={"dash": "dot", "width": 1})
    axes = {"xaxis": {"type": "log", "title": texts.text("model.n_visits"), "dtick": 1}}
    axes |= {"yaxis": SHARE | {"title": texts.text("model.precision")}}
    return charts.chart(*spread, chance, whole, **axes)


def calibration(rows: Sequence[Mapping]) -> charts.Chart:
    """What was scored against what was found, in tenths of the clients."""
    x, y = [row["mean_score"] for row in rows], [row["fraud_share"]["value"] for row in rows]
    low, high = zip(*(row["fraud_share"]["interval"] for row in rows), strict=True)
    most = max(*x, *high)
    errors = {
        "type": "data", "symmetric": False, "color": "var(--line-2)", "thickness": 1.5,
        "array": [b - a for a, b in zip(y, high, strict=True)],
        "arrayminus": [a - b for a, b in zip(y, low, strict=True)],
    }  # fmt: skip
    exact = charts.line([0, most], [0, most], colour=charts.QUIET, line={"dash": "dot", "width": 1}, hoverinfo="skip")
    found = charts.points(x, y, error_y=errors, hovertemplate="%{x:.1%} &#8594; %{y:.1%}<extra></extra>")
    axes = {"xaxis": {"tickformat": ".0%", "title": texts.text("model.mean_score")}}
    axes |= {"yaxis": {"tickformat": ".0%", "title": texts.text("model.fraud_share")}}
    return charts.chart(exact, found, **axes)


def importance(rows: Sequence[Mapping]) -> charts.Chart:
    best = sorted(rows, key=lambda row: -row["value"])[:N_FEATURES][::-1]
    trace = charts.bars(
        [row["value"] for row in best], [charts.lines_of(row["text"], 40) for row in best], orientation="h"
    )
    return charts.chart(trace, xaxis={"title": texts.text("model.log_odds")}, margin={"l": 8, "r": 16, "t": 8, "b": 40})


def rests_on(scores: Sequence[Score]) -> charts.Chart | None:
    """Mean absolute effect of each evidence group on scores that have reasons; None where none has."""
    explained, effects = [score for score in scores if score.reasons], Counter()
    for score in explained:
        effects.update({reason.group: abs(reason.effect) for reason in score.reasons})
    if not effects:
        return None
    groups, sums = zip(*reversed(effects.most_common()), strict=True)
    means = [total / len(explained) for total in sums]
    told = charts.lines_of(texts.text("model.rests_on_axis", n=len(explained)), 32)
    trace = charts.bars(means, groups, orientation="h", hovertemplate="%{y}: %{x:.1%}<extra></extra>")
    axes = {"xaxis": {"title": told, "tickformat": ".0%"}}
    return charts.chart(trace, **axes, margin={"l": 8, "r": 16, "t": 8, "b": 40})


def weak(groups: Mapping[str, Sequence[Mapping]]) -> list[dict[str, Any]]:
    """The groups in which it tells clients apart worst, of those with enough frauds to say so."""
    rows = [{"group": name, **row} for name, found in groups.items() for row in found]
    rows = [row for row in rows if row.get("n_fraud", 0) >= LEAST_FRAUDS and row.get("roc_auc")]
    return sorted(rows, key=lambda row: row["roc_auc"]["value"])[:N_WEAK]


# --- the slider -------------------------------------------------------------------------------------------------------


def slider(manifest: Mapping, counts: Sequence[tuple[int, float]], result: Mapping | None) -> dict[str, Any] | None:
    """What the script needs to say what any threshold means: visits by the scores here, errors by the report.

    counts: of scores in each step, and their sums. n, total: the same of all from that step on.
    """
    n, total = (list(accumulate(column[::-1]))[::-1] for column in zip(*counts, strict=True))
    if n[0] == 0:
        return None
    above = {"n": n, "total": [round(each, 2) for each in total]}
    told = {"steps": N_BINS, "threshold": manifest["threshold"], "n_clients": n[0], **above}
    if result is not None and "roc" in (result.get("curves") or {}):
        curve = result["curves"]["roc"]
        told["report"] = {"n": result["n"], "n_fraud": result["n_fraud"], "score": curve["score"]}
        told["report"] |= {"recall": curve["recall"], "false_positive_rate": curve["false_positive_rate"]}
    return told
