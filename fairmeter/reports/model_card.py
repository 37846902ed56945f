"""model_card.md: what the model is, for whom, what it reached on whom, where it is weaker, what it is not for.

In:  metrics as described in report.py, already plain.
Out: Markdown. The headings are those of Mitchell et al., Model Cards for Model Reporting, FAT* 2019
     (doi:10.1145/3287560.3287596); what is missing from metrics has no section, and no figure is written here by hand.
"""

from collections.abc import Iterable, Mapping, Sequence

from fairmeter.evaluation import drift
from fairmeter.evaluation.model_evaluation import LIST_SHARE, MIN_GROUP, weaknesses
from fairmeter.reports.html import interval, shown
from fairmeter.reports.invoice_sections import BRACKETS, LIMITS, data_facts, name_of
from fairmeter.reports.reading_sections import HEADS as READING_HEADS
from fairmeter.reports.reading_sections import LIMITS as READING_LIMITS
from fairmeter.reports.reading_sections import PLANS, RECALLS, made_said, plan_said, ranking_rows, ranking_said

SOURCE = "The headings are those of Mitchell et al., Model Cards for Model Reporting, 2019."
INTENDED = (
    "Choosing whom a utility's crews visit, and in which order, with the reasons of each score; a person decides.",
    "Users: investigators who work the list, managers who decide how many crews go out, data scientists who train and "
    "measure the model.",
)
NOT_FOR = (
    "cutting off supply, billing or penalties: no step against a client without an inspection and a person's decision",
    "saying that a client is a fraud: a score is a reason for a visit",
    "clients with too little history to judge; they get no score",
    "rates of fraud by region or kind of client: who was inspected shapes them",
    "another utility's clients, before training on their own outcomes",
)
ETHICS = (
    "A false suspicion costs a household a visit, and the trust that it is treated as others are.",
    "The model sees no name, age, sex, origin or income.",
    "Crews who only visit whom the model names teach it their own habits: one visit in twenty is drawn at random.",
)
OF_PLACES = (
    "From invoices it sees region, district and neighbours, which may stand for what it does not see: the groups above "
    "are there to be looked at, and lists can be spread over regions."
)
TO_DO = (
    "Measure anew on what the crews find, visits drawn at random beside the others, and train again with it.",
    "Train again when the clients are no longer like those it learnt from (score.py --report, the page Model).",
)
METRICS_SAID = (
    "ROC-AUC and PR-AUC: how well clients are ranked. Precision in the top shares: what a list of that length finds. "
    "Precision and recall at the threshold, which has the highest F1 out of fold. Brier score and calibration error: "
    "whether scores can be read as probabilities. "
)
VIEWS = (
    "`prospective`: trained and measured on active clients only, without evidence that may come after detection. "
    "`all`: every feature, for comparison with published figures."
)
EVIDENCE = {"results": "invoices", "readings": "smart-meter readings"}
HEADS = ("measured on", "clients", "labelled fraud", "ROC-AUC", "PR-AUC", "precision, top 1 %", "top 5 %", "top 10 %")
HEADS += ("precision at threshold", "recall", "Brier", "calibration error")
SEVERITY_HEADS = ("severity", "from score", "promised precision", "clients", "precision of these")
GROUP_HEADS = ("clients", "labelled fraud", "mean score", "ROC-AUC", f"its frauds in the top {LIST_SHARE:.0%} of all")


def model_card(metrics: Mapping) -> str:
    """The card in Markdown."""
    run = _escaped(metrics["run"])
    results, readings = metrics.get("results"), metrics.get("readings")
    sections = {
        "Model details": _details(metrics),
        "Intended use": _bullets(INTENDED),
        "Not for": _bullets(NOT_FOR),
        "Factors": _factors(results, readings),
        "Metrics": METRICS_SAID + BRACKETS if results else "",
        "Evaluation data": _evaluation_data(results, readings, run),
        "Training data": _training_data(metrics, run),
        "Quantitative analyses": _analyses(metrics, results, readings),
        "Ethical considerations": _bullets([*_false_alarms(results), *ETHICS, *([OF_PLACES] if results else [])]),
        "Caveats and recommendations": _bullets(
            [
                *(LIMITS if results else ()),
                *(READING_LIMITS[readings["made"]] if readings else ()),
                *_fingerprints_said(metrics.get("fingerprints", {})),
                *TO_DO,
            ]
        ),
    }
    view = f", view {run['view']}" if results and "view" in run else ""
    title = f"# Model card: Fairmeter {run['version']}{view}"
    parts = [title, f"{_purpose(metrics)} {SOURCE}"]
    return "\n\n".join([*parts, *(f"## {name}\n\n{text}" for name, text in sections.items() if text)]) + "\n"


def _purpose(metrics: Mapping) -> str:
    evidence = " and ".join(words for key, words in EVIDENCE.items() if metrics.get(key))
    by = "by the probability that they are labelled fraud, " if metrics.get("results") else ""
    return f"Ranks a utility's clients {by}from their {evidence}, to choose inspections."


# --- sections ---------------------------------------------------------------------------------------------------------


def _details(metrics: Mapping) -> str:
    manifest = metrics.get("manifest", {})
    libraries = ", ".join(f"{name} {number}" for name, number in manifest.get("libraries", {}).items())
    said = [
        f"Version {metrics['run']['version']}, trained {metrics['run']['trained_at']}.",
        *metrics["run"].get("how", ()),
        f"Suspected from a score of {manifest['threshold']:.4f} on." if "threshold" in manifest else "",
        f"Libraries: {libraries}." if libraries else "",
    ]
    told = f"\n\nTraining command: `{_code(metrics['command'])}`" if "command" in metrics else ""
    return _bullets(filter(None, said)) + told + (f"\n\n{VIEWS}" if metrics.get("results") else "")


def _factors(results: list | None, readings: Mapping | None) -> str:
    said = []
    if results:
        said.append(
            f"Figures are given by {', '.join(results[0]['groups'])}; groups of fewer than {MIN_GROUP} clients are "
            "pooled or passed over, as an interval says nothing there."
        )
    if readings and readings["made"] == "injected":
        said.append("On readings, figures are given by pattern of theft, energy lost and harmless change.")
    return _bullets(said)


def _evaluation_data(results: list | None, readings: Mapping | None, run: Mapping) -> str:
    parts = [run.get("split", "")]
    if results:
        parts.append(f"Measured on {results[0]['n']:,} clients, {results[0]['n_fraud']:,} of them labelled fraud.")
    if readings:
        parts.append(_md(made_said(readings)))
    return "\n\n".join(filter(None, parts))


def _training_data(metrics: Mapping, run: Mapping) -> str:
    flags = [flag["text"] for flag in metrics.get("quality") or ()]
    cleaned = f"What was found and done in cleaning:\n\n{_bullets(flags)}" if flags else ""
    mark = metrics.get("manifest", {}).get("data_fingerprint")
    known_by = f"SHA-256 of features and labels: `{mark}`" if mark else ""
    return "\n\n".join(filter(None, (*data_facts(run), known_by, cleaned)))


def _analyses(metrics: Mapping, results: list | None, readings: Mapping | None) -> str:
    parts = []
    if results:
        parts += [f"On clients the model was not trained on.\n\n{_rows(HEADS, map(_figures_of, results))}"]
        parts += [_severities(metrics.get("severities"))]
        parts += [f"### Where it is weaker\n\n{_weaker(results[0])}", *_groups(results[0])]
    if readings:
        parts.append(f"### Smart-meter readings\n\n{_readings(readings)}")
    return "\n\n".join(filter(None, parts))


def _weaker(main: Mapping) -> str:
    said = _bullets(f"{grouping} {said}" for grouping, said in weaknesses(main))
    return said or "No group is clearly weaker than all clients together."


def _severities(rows: Sequence[Mapping] | None) -> str:
    cells = [
        [
            row["severity"],
            shown(row["score"], ".4f"),
            shown(row["promised"], ".0%"),
            f"{row['n']:,}",
            _cell(row["precision"], ".1%"),
        ]
        for row in rows or ()
    ]
    return _rows(SEVERITY_HEADS, cells) if cells else ""


def _groups(main: Mapping) -> list[str]:
    """A table a grouping."""
    return [
        _rows((_md(name), *GROUP_HEADS), [_group_row(row) for row in rows]) for name, rows in main["groups"].items()
    ]


def _group_row(row: Mapping) -> list[str]:
    return [
        _md(row["value"]),
        f"{row['n']:,}",
        _cell(row["base_rate"], ".1%"),
        shown(row["mean_score"], ".1%"),
        _cell(row["roc_auc"], ".3f"),
        _cell(row["recall_in_list"], ".1%"),
    ]


def _figures_of(result: Mapping) -> list[str]:
    found = result["at_threshold"]
    return [
        _md(name_of(result)),
        f"{result['n']:,}",
        _cell(result["base_rate"], ".2%"),
        _cell(result["roc_auc"], ".3f"),
        _cell(result["pr_auc"], ".3f"),
        *(_cell(top["precision"], ".1%") for top in result["at_top"]),
        _cell(found["precision"], ".1%"),
        _cell(found["recall"], ".1%"),
        _cell(result["brier"], ".4f"),
        _cell(result["calibration_error"], ".4f"),
    ]


def _readings(readings: Mapping) -> str:
    """The ranking on readings, and in sentences what each way to attack showed."""
    parts, ranked = [], ranking_rows(readings)
    if ranked:
        cells = [[row.words, f"{row.n:,}", "-" if row.n_thieves is None else f"{row.n_thieves:,}"] for row in ranked]
        cells = [[*first, *_ranked(row.ranking)] for first, row in zip(cells, ranked, strict=True)]
        parts += [_rows(("measured on", *READING_HEADS), cells), _md(ranking_said(readings))]
    if readings["made"] == "injected":
        parts += [f"Attacked {words}:\n\n{_bullets(plan_said(readings[words]))}" for words in PLANS]
    return "\n\n".join(parts) or "No label says how well it ranks: nothing was measured."


def _ranked(ranking: Mapping) -> list[str]:
    areas = [_cell(ranking[name], ".3f") for name in ("roc_auc", "pr_auc")]
    return areas + [_cell(ranking[name], ".1%") for name in RECALLS]


def _false_alarms(results: list | None) -> list[str]:
    if not results or not results[0]["at_threshold"]["precision"]:
        return []
    found = results[0]["at_threshold"]["precision"]
    low, high = found["interval"] or (found["value"],) * 2
    wrong = shown(1 - found["value"], ".1%"), f"{100 * (1 - high):.1f} to {100 * (1 - low):.1f}"
    return [f"Of the clients suspected at the threshold, {wrong[0]} ({wrong[1]}) are not labelled fraud."]


def _fingerprints_said(fingerprints: Mapping) -> list[str]:
    return [
        f"Kept of the training clients ({name}), to tell when others are no longer like them: deciles and the share "
        f"missing of {kept['n_features']:,} features of {kept['n']:,} clients, and deciles of the score. "
        + (f"{kept['n_constant']:,} of the features never vary among them. " if kept["n_constant"] else "")
        + f"A population stability index from {drift.MIN_SHIFTING_PSI} on means that a feature is shifting, from "
        f"{drift.MIN_SHIFTED_PSI} on that it has shifted."
        for name, kept in fingerprints.items()
    ]


# --- Markdown ---------------------------------------------------------------------------------------------------------


def _escaped(run: Mapping) -> dict:
    texts = {key: _md(value) if isinstance(value, str) else value for key, value in run.items()}
    return texts | ({"readings": _escaped(run["readings"])} if run.get("readings") else {})


def _rows(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(figure: Mapping | None, form: str) -> str:
    return f"{shown(figure['value'], form)} {interval(figure, form)}".rstrip() if figure else "-"


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {_md(sentence)}" for sentence in sentences)


def _code(text: str) -> str:
    """What may stand between backticks."""
    return " ".join(text.split()).replace("`", "'")


def _md(text) -> str:
    """One line of Markdown in which nothing from outside is read as a table, tag or link; `code` stays."""
    line = " ".join(str(text).split())
    return "".join(f"\\{sign}" if sign in "\\|<>[]*#" else sign for sign in line)
