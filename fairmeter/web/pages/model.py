"""The model's page: measured quality, what severities promise, visits by threshold, drift, overlap of lists.

In:  the manifest of model.bin; the report of a training or validation, if there is one; scores and runs of the store.
Out: the page at /desk/model. Reports of other models are not shown; without its own the page says so.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

from fairmeter.casework.hit_rates import hit_rates, overall
from fairmeter.core.claims import severity_promises
from fairmeter.core.types import Score
from fairmeter.scoring.population_drift import describe_unlike
from fairmeter.store import Run, Store
from fairmeter.web.http import i18n
from fairmeter.web.pages import charts
from fairmeter.web.pages.site import Site, ranks_why, render

N_BINS = 200  # of scores: the slider's steps
N_FEATURES, N_WEAK = 15, 8
MIN_FRAUDS = 50  # of a group: with fewer, its figures are too uncertain
N_EXPLAINED = 300  # highest scores, whose reasons are averaged
N_DRIFT_FEATURES = 12  # shown; the report of score.py has thirty
N_RUNS = 30
# A drift level has the shape and colour of a severity: pages have no other sign for "look here".
BADGES = {"shifted": "high", "shifting": "medium", "stable": "low", "too few clients": "insufficient history"}
LINE_STYLES = ((charts.ACCENT, "solid"), ("var(--ink)", "dot"), (charts.QUIET, "dash"))
SHARE = {"tickformat": ".0%", "range": [0, 1.02]}


def register(site: Site) -> None:
    desk, reports = site.desk, site.settings.reports

    @site.page("/model")
    def model():
        manifest, claims = desk.manifest, ranks_why(desk) is None
        report = report_of(reports, manifest)
        return render(
            "model.html",
            model=model_state(manifest, claims),
            severities=severity_promises(manifest),
            readings=readings_state(manifest.get("readings")),
            drift=drift_state(desk.store, str(manifest["version"])),
            overlap=overlap_state(desk.store),
            measured_at=trained_at_of(report),
            visited=next((rate for rate in hit_rates(desk.store.inspections(), overall) if not rate.is_random), None),
            run=report and report["run"],
            rests_on=mean_effects_chart(desk.store.stored_scores(limit=N_EXPLAINED)) if claims else None,
            slider=slider_data(manifest, desk.store.count_scores(N_BINS), main_result(report)) if claims else None,
            **report_context(report),
        )


def model_state(manifest: dict, claims: bool) -> dict[str, Any]:
    """Version, view, time of training and figures of the model. [from the manifest in model.bin]

    claims: whether scores are probabilities; without, the figures are not those of these clients, and left out.
    """
    trained_at = datetime.fromisoformat(manifest["trained_at"]) if manifest.get("trained_at") else None
    if trained_at is not None and trained_at.tzinfo is None:
        trained_at = trained_at.replace(tzinfo=UTC)
    metrics = (manifest.get("metrics") or {}) if claims else {}
    return {
        "version": manifest["version"],
        "view": manifest.get("view"),
        "trained_at": trained_at,
        "roc_auc": metrics.get("roc_auc"),
        "pr_auc": metrics.get("pr_auc"),
        "fraud_rate": manifest.get("fraud_rate") if claims else None,
    }


def readings_state(readings: Mapping | None) -> dict[str, Any] | None:
    """The manifest's entries on the ensemble for readings; None for a model without one."""
    names = ("data", "n_clients", "threshold", "made")
    return {name: readings.get(name) for name in names} if readings else None


# --- drift ------------------------------------------------------------------------------------------------------------


def drift_state(store: Store, version: str) -> dict[str, Any] | None:
    """The last measured drift, and whether another model version was measured; None before the first measurement."""
    last = store.last_drift()
    if last is None:
        return None
    parts = [part_state(name, part) for name, part in last.found["parts"].items()]
    state = {"scored_at": last.scored_at, "version": last.model_version, "parts": parts}
    warning = describe_unlike(last.found)
    more = {"is_other": last.model_version != version, "untold": last.found["untold"]}
    words = i18n.worded(warning)
    return state | more | {"warning": words and f"{words[0].upper()}{words[1:]}"}


def part_state(name: str, part: dict[str, Any]) -> dict[str, Any]:
    """One ensemble's drift with its features of most drift, each with the badge of its level."""
    rows = [row | {"badge": BADGES[row["level"]]} for row in part["features"][:N_DRIFT_FEATURES]]
    return part | {"name": name, "features": rows, "badge": BADGES[part["score"]["level"]]}


def overlap_state(store: Store) -> dict[str, Any] | None:
    """Overlap of the list with that of the run before, for the last run and over time; None before the second run."""
    runs = [run for run in store.list_runs(N_RUNS) if run.stability]
    if not runs:
        return None
    return {
        "rows": runs[-1].stability,
        "scored_at": runs[-1].scored_at,
        "chart": overlap_chart(runs) if runs[1:] else None,
    }


def overlap_chart(runs: Sequence[Run]) -> charts.Chart:
    """Jaccard index from run to run, one line for each length of the list."""
    lengths = sorted({row["k"] for row in runs[-1].stability})
    lines = []
    for k, (colour, dash) in zip(lengths, LINE_STYLES, strict=False):
        found = [next((row["jaccard"] for row in run.stability if row["k"] == k), None) for run in runs]
        name = i18n.text("drift.first", n=k)
        when = [run.scored_at.isoformat() for run in runs]
        lines.append(charts.line(when, found, name, colour, mode="lines+markers", line={"dash": dash}))
    axes = {"xaxis": {"type": "date"}, "yaxis": {"range": [0, 1.05], "title": i18n.text("drift.jaccard")}}
    return charts.chart(*lines, **axes, showlegend=len(lines) > 1)


# --- the report -------------------------------------------------------------------------------------------------------


def report_of(paths: Sequence[Path], manifest: Mapping) -> dict[str, Any] | None:
    """The first report that is of this model; None without any. [manifest: with the sha256 of the model's file]"""
    found = (report for report in map(read_report, paths) if report is not None)
    return next((report for report in found if is_report_of(report, manifest)), None)


def is_report_of(report: Mapping, manifest: Mapping) -> bool:
    """Whether a report was made of the model: by the file's checksum, or by version and time of the training.

    Versions before 2026.11.30 were numbered anew for each first model: alone they say nothing.
    """
    run, sums = report["run"], (report.get("model_sha256"), manifest.get("sha256"))
    if None not in sums:
        return sums[0] == sums[1]
    names = ("version", "trained_at")
    return all(run.get(name) is not None and run[name] == manifest.get(name) for name in names)


def read_report(path: Path) -> dict[str, Any] | None:
    """A metrics.json; None where it is missing, no JSON or without results."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) and report.get("results") and "run" in report else None


def trained_at_of(report: Mapping | None) -> datetime | None:
    """When the report's model was trained (UTC); None where the report does not contain it."""
    trained_at = report and report["run"].get("trained_at")
    moment = datetime.fromisoformat(trained_at) if trained_at else None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def main_result(report: Mapping | None) -> dict[str, Any] | None:
    """The first result of a report; None without a report."""
    return report["results"][0] if report else None


def report_context(report: Mapping | None) -> dict[str, Any]:
    """Tables and charts of a report, for the template; `result` is None without a report."""
    result = main_result(report)
    if result is None:
        return {"result": None}
    curves = result.get("curves") or {}
    return {
        "result": result,
        "results": report["results"],
        "models": next((m["rows"] for m in report.get("models", ()) if m["view"] == result["view"]), []),
        "roc": roc_chart(curves["roc"], result) if "roc" in curves else None,
        "pr": precision_recall_chart(curves["pr"], result) if "pr" in curves else None,
        "visits": visits_chart(curves["visits"], result) if "visits" in curves else None,
        "calibration": calibration_chart(result["calibration"]) if result.get("calibration") else None,
        "importance": importance_chart(report["importance"]) if report.get("importance") else None,
        "weak": weak_groups(result.get("groups") or {}),
    }


def roc_chart(curve: Mapping, result: Mapping) -> charts.Chart:
    """ROC curve with the model's threshold marked."""
    chance = charts.line([0, 1], [0, 1], i18n.text("model.chance"), charts.QUIET, line={"dash": "dot", "width": 1})
    whole = charts.line(curve["false_positive_rate"], curve["recall"], i18n.text("model.this"))
    at = result["at_threshold"]
    point = charts.points(
        [at["false_positive_rate"]["value"]], [at["recall"]["value"]], i18n.text("model.at_threshold"), charts.BAD
    )
    axes = {"xaxis": SHARE | {"title": i18n.text("model.fpr")}, "yaxis": SHARE | {"title": i18n.text("model.recall")}}
    return charts.chart(chance, whole, point, **axes, showlegend=True)


def precision_recall_chart(curve: Mapping, result: Mapping) -> charts.Chart:
    """Precision against recall with the model's threshold marked."""
    base = result["base_rate"]["value"]
    chance = charts.line([0, 1], [base] * 2, i18n.text("model.chance"), charts.QUIET, line={"dash": "dot", "width": 1})
    whole = charts.line(curve["recall"], curve["precision"], i18n.text("model.this"))
    at = result["at_threshold"]
    point = charts.points(
        [at["recall"]["value"]], [at["precision"]["value"]], i18n.text("model.at_threshold"), charts.BAD
    )
    axes = {"xaxis": SHARE | {"title": i18n.text("model.recall")}}
    axes |= {"yaxis": SHARE | {"title": i18n.text("model.precision")}}
    return charts.chart(chance, whole, point, **axes, showlegend=True)


def visits_chart(curve: Mapping, result: Mapping) -> charts.Chart:
    """Precision by number of visits, with its interval."""
    spread = charts.band(curve["visits"], curve["low"], curve["high"], i18n.text("model.interval"))
    whole = charts.line(curve["visits"], curve["precision"], i18n.text("model.precision"))
    base = [result["base_rate"]["value"]] * 2
    ends = [curve["visits"][0], curve["visits"][-1]]
    chance = charts.line(ends, base, i18n.text("model.chance"), charts.QUIET, line={"dash": "dot", "width": 1})
    axes = {"xaxis": {"type": "log", "title": i18n.text("model.n_visits"), "dtick": 1}}
    axes |= {"yaxis": SHARE | {"title": i18n.text("model.precision")}}
    return charts.chart(*spread, chance, whole, **axes)


def calibration_chart(rows: Sequence[Mapping]) -> charts.Chart:
    """Share of frauds against the mean score, in tenths of the clients. (reliability diagram)"""
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
    axes = {"xaxis": {"tickformat": ".0%", "title": i18n.text("model.mean_score")}}
    axes |= {"yaxis": {"tickformat": ".0%", "title": i18n.text("model.fraud_share")}}
    return charts.chart(exact, found, **axes)


def importance_chart(rows: Sequence[Mapping]) -> charts.Chart:
    """Mean absolute contribution of the most important features. [log-odds]"""
    best = sorted(rows, key=lambda row: -row["value"])[:N_FEATURES][::-1]
    trace = charts.bars(
        [row["value"] for row in best], [charts.wrap_label(row["text"], 40) for row in best], orientation="h"
    )
    return charts.chart(trace, xaxis={"title": i18n.text("model.log_odds")}, margin={"l": 8, "r": 16, "t": 8, "b": 40})


def mean_effects_chart(scores: Sequence[Score]) -> charts.Chart | None:
    """Mean absolute effect of each evidence group on the scores that have reasons; None where none has."""
    explained, effects = [score for score in scores if score.reasons], Counter()
    for score in explained:
        effects.update({i18n.group(reason.group): abs(reason.effect) for reason in score.reasons})
    if not effects:
        return None
    groups, sums = zip(*reversed(effects.most_common()), strict=True)
    means = [total / len(explained) for total in sums]
    title = charts.wrap_label(i18n.text("model.rests_on_axis", n=len(explained)), 32)
    trace = charts.bars(means, groups, orientation="h", hovertemplate="%{y}: %{x:.1%}<extra></extra>")
    axes = {"xaxis": {"title": title, "tickformat": ".0%"}}
    return charts.chart(trace, **axes, margin={"l": 8, "r": 16, "t": 8, "b": 40})


def weak_groups(groups: Mapping[str, Sequence[Mapping]]) -> list[dict[str, Any]]:
    """The groups with the lowest ROC AUC, of those with at least MIN_FRAUDS frauds."""
    rows = [{"group": name, **row} for name, found in groups.items() for row in found]
    rows = [row for row in rows if row.get("n_fraud", 0) >= MIN_FRAUDS and row.get("roc_auc")]
    return sorted(rows, key=lambda row: row["roc_auc"]["value"])[:N_WEAK]


# --- the slider -------------------------------------------------------------------------------------------------------


def slider_data(
    manifest: Mapping, counts: Sequence[tuple[int, float]], result: Mapping | None
) -> dict[str, Any] | None:
    """Data of the threshold's slider: clients above each step in the store, errors in the report; None without scores.

    counts: number and sum of the scores in each step; `n` and `total` are the same, accumulated from the highest step.
    """
    n, total = (list(accumulate(column[::-1]))[::-1] for column in zip(*counts, strict=True))
    if n[0] == 0:
        return None
    above = {"n": n, "total": [round(each, 2) for each in total]}
    data = {"steps": N_BINS, "threshold": manifest["threshold"], "n_clients": n[0], **above}
    if result is not None and "roc" in (result.get("curves") or {}):
        curve = result["curves"]["roc"]
        data["report"] = {"n": result["n"], "n_fraud": result["n_fraud"], "score": curve["score"]}
        data["report"] |= {"recall": curve["recall"], "false_positive_rate": curve["false_positive_rate"]}
    return data
