"""What training measured -> metrics.json, report.html (one file, offline, light and dark), model_card.md.

In:  metrics, a dict; NumPy values and records such as QualityFlag are made plain. Keys, all but `run` optional:
     run         {"version", "trained_at", "view", "data", "n_clients", "n_invoices", "fraud_rate",
                 "split": a sentence on who was kept back, "how": sentences on how the model was trained,
                 "readings": {"data", "n_clients"}}; all but the first two may be missing
     results     what invoices reached, empty or missing where none were given: a list, the main one first, then what
                 stands beside it (the other view, active clients). Each is
                 {"view", "clients": who, in words} | evaluation.evaluate(...), over outer folds also | pool(...):
                 n, n_fraud, base_rate, roc_auc, pr_auc, brier, brier_base, calibration_error, calibration_noise,
                 calibration_slope, at_top [{share, visits, precision, lift}],
                 at_threshold {threshold, confusion, precision, recall, f1, false_positive_rate, suspected_share},
                 calibration [rows of calibration_table], curves {roc, pr, visits}, groups {name: [rows of by_group]};
                 calibration, curves and groups may be missing beside the main one
     severities  evaluation.severity_table(...)
     visits      visit_study.visits_measured(...): what visits find, cost and bring, whether the promise holds
     models      list of {"view", "clients", "rows": compare(...), over outer folds pool([compare(...), ...])}
     importance  list of {"feature", "group", "text", "value": mean absolute TreeSHAP contribution, log-odds}
     agreement   validation.agreement(...): reasons beside TreeSHAP, by evidence group
     quality     list of QualityFlag
     readings    Outcome.metrics of reading_validation.py, by "made" of households attacked, of labels, or without
     manifest    the model's manifest
     title       of the page
Out: three files in a folder. What is missing from metrics is left out, never invented.
"""

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from fraud.evaluation import weaknesses
from fraud.report_cells import interval, shown
from fraud.report_page import BRACKETS, LIMITS, data_facts, name_of, report_html
from fraud.report_readings import HEADS as READING_HEADS
from fraud.report_readings import LIMITS as READING_LIMITS
from fraud.report_readings import PLANS, RECALLS, made_said, plan_said, ranking_rows, ranking_said

NOT_FOR = (
    "cutting off supply, billing or penalties: no step against a client without an inspection and a person's decision",
    "saying that a client is a fraud: a score is a reason for a visit",
    "clients with too little history to judge; they get no score",
    "rates of fraud by region or kind of client: who was inspected shapes them",
    "another utility's clients, before training on their own outcomes",
)
EVIDENCE = {"results": "invoices", "readings": "smart-meter readings"}
VIEWS = (
    "`prospective`: trained and measured on active clients only, without evidence that may come after detection. "
    "`all`: every feature, for comparison with published figures."
)
HEADS = ("measured on", "clients", "ROC-AUC", "PR-AUC", "precision, top 1 %", "top 5 %", "top 10 %")
HEADS += ("precision at threshold", "recall", "Brier", "calibration error")


def write_report(metrics: Mapping, folder: str | os.PathLike) -> None:
    """Write the three files into `folder`, made where missing; each old file stays whole until the new one is.

    Raises ValueError for NaN and TypeError for what is neither plain, NumPy nor a record.
    """
    metrics = json.loads(json.dumps(metrics, default=_plain, allow_nan=False))
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "metrics.json", json.dumps(metrics, indent=1, ensure_ascii=False) + "\n")
    _replace(folder / "report.html", report_html(metrics))
    _replace(folder / "model_card.md", model_card(metrics))


def model_card(metrics: Mapping) -> str:
    """The model card in Markdown: data, figures of invoices and of readings, limits, what it is not for, training."""
    run = _escaped(metrics["run"])
    results, readings = metrics.get("results"), metrics.get("readings")
    sections = {
        "Data": "\n\n".join(filter(None, (*data_facts(run), run.get("split")))),
        "View": VIEWS if results else "",
        "Figures": _figures(results) if results else "",
        "Where it is weaker": _weaker(results[0]) if results else "",
        "Smart-meter readings": _readings(readings) if readings else "",
        "Limits": _bullets([*(LIMITS if results else ()), *(READING_LIMITS[readings["made"]] if readings else ())]),
        "Not for": _bullets(NOT_FOR),
        "How it was trained": _bullets([*metrics["run"].get("how", ()), f"Trained {metrics['run']['trained_at']}."]),
    }
    view = f", view {run['view']}" if results and "view" in run else ""
    title = f"# Model card: Fairmeter {run['version']}{view}"
    parts = [title, _purpose(metrics), *(f"## {name}\n\n{text}" for name, text in sections.items() if text)]
    return "\n\n".join(parts) + "\n"


def _purpose(metrics: Mapping) -> str:
    evidence = " and ".join(words for key, words in EVIDENCE.items() if metrics.get(key))
    by = "by the probability that they are labelled fraud, " if metrics.get("results") else ""
    return f"Ranks a utility's clients {by}from their {evidence}, to choose inspections."


def _escaped(run: Mapping) -> dict:
    texts = {key: _md(value) if isinstance(value, str) else value for key, value in run.items()}
    return texts | ({"readings": _escaped(run["readings"])} if run.get("readings") else {})


def _weaker(main: Mapping) -> str:
    said = _bullets(f"{grouping} {said}" for grouping, said in weaknesses(main))
    return said or "No group is clearly weaker than all clients together."


def _figures(results: Iterable[Mapping]) -> str:
    rows = _rows(HEADS, map(_figures_of, results))
    return f"On clients the model was not trained on. {BRACKETS}\n\n{rows}"


def _readings(readings: Mapping) -> str:
    """The ranking on readings, and in sentences what each way to attack showed."""
    parts, ranked = [_md(made_said(readings))], ranking_rows(readings)
    if ranked:
        cells = [[row.words, f"{row.n:,}", "-" if row.n_thieves is None else f"{row.n_thieves:,}"] for row in ranked]
        cells = [[*first, *_ranked(row.ranking)] for first, row in zip(cells, ranked, strict=True)]
        parts += [_rows(("measured on", *READING_HEADS), cells), _md(ranking_said(readings))]
    if readings["made"] == "injected":
        parts += [f"Attacked {words}:\n\n{_bullets(plan_said(readings[words]))}" for words in PLANS]
    return "\n\n".join(parts)


def _ranked(ranking: Mapping) -> list[str]:
    areas = [_cell(ranking[name], ".3f") for name in ("roc_auc", "pr_auc")]
    return areas + [_cell(ranking[name], ".1%") for name in RECALLS]


def _rows(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _figures_of(result: Mapping) -> list[str]:
    found = result["at_threshold"]
    return [
        _md(name_of(result)),
        f"{result['n']:,}",
        _cell(result["roc_auc"], ".3f"),
        _cell(result["pr_auc"], ".3f"),
        *(_cell(top["precision"], ".1%") for top in result["at_top"]),
        _cell(found["precision"], ".1%"),
        _cell(found["recall"], ".1%"),
        _cell(result["brier"], ".4f"),
        _cell(result["calibration_error"], ".4f"),
    ]


def _cell(figure: Mapping | None, form: str) -> str:
    return f"{shown(figure['value'], form)} {interval(figure, form)}".rstrip() if figure else "-"


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {_md(sentence)}" for sentence in sentences)


def _md(text) -> str:
    """One line of Markdown in which nothing from outside is read as a table, tag or link; `code` stays."""
    line = " ".join(str(text).split())
    return "".join(f"\\{sign}" if sign in "\\|<>[]*#" else sign for sign in line)


def _plain(value):
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if dataclasses.is_dataclass(value):
        return dataclasses.asdict(value)
    raise TypeError(f"metrics hold a {type(value).__name__}; give plain values, NumPy values or records.")


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
