"""Facts on the run and on invoices, for report.html and the model card; the page itself is a template.

In:  metrics as described in training_report.py, as plain values.
Out: sentences and rows, and the page of the training report as text.
"""

import json
from collections.abc import Mapping

from fairmeter.evaluation.model_evaluation import group_importance, weaknesses
from fairmeter.reports import figures, reading_facts
from fairmeter.reports.rendering import format_value, name_of, render

N_FEATURES = 25  # on the page; metrics.json holds all
MAX_ENTRY_LENGTH = 600  # characters of one manifest entry on the page
BRACKETS = "Brackets hold 95 % intervals."
LIMITS = (
    "A label of 0 means not caught, not honest: some of those counted as wrongly suspected may be undetected fraud.",
    "The labels carry no date, kind or amount of fraud: nothing here says how early a fraud is found, or how much "
    "energy or money comes back. In the view 'all', evidence may have come after detection.",
    "Who was caught depends on who was inspected. Clients with long histories were caught more often, so part of every "
    "score is how long a client has been observed.",
    "The figures hold for clients like those kept back, of the same utility and the same years. Elsewhere the model "
    "has to be trained and measured anew.",
)


def training_page(metrics: Mapping) -> str:
    """report.html; what is missing from the metrics has no section."""
    context = {
        "title": metrics.get("title", "Fairmeter: training report"),
        "facts": head_facts(metrics),
        "metrics": metrics,
        "figures": figures,
        "reading_facts": reading_facts,
        "invoice_limits": LIMITS,
        "importance": top_importance(metrics.get("importance")),
        "manifest": {entry: _shorten(value) for entry, value in (metrics.get("manifest") or {}).items()},
    }
    if metrics.get("results"):
        context |= {"curves": curves_by_name(metrics["results"]), "weak_groups": weak_groups(metrics["results"][0])}
    if metrics.get("visits"):
        context["profit"] = profit_table(metrics["visits"]["curves"])
    return render("training_report.html", **context)


def head_facts(metrics: Mapping) -> list[str]:
    """Sentences on the run, the data and the measured clients, as far as they are present."""
    run, results = metrics["run"], metrics.get("results")
    stamp = f"Version {run['version']}, trained {run['trained_at']}."
    facts = [f"View {name_of(results[0])}. {stamp}" if results else stamp, *data_facts(run)]
    if "unlabelled" in metrics:
        facts.append(describe_unlabelled(metrics))
    if results:
        n, n_fraud = results[0]["n"], results[0]["n_fraud"]
        measured = f"Measured on {n:,} clients, {n_fraud:,} of them labelled fraud."
        facts.append(" ".join(filter(None, (measured, run.get("split"), BRACKETS))))
    return facts


def describe_unlabelled(metrics: Mapping) -> str:
    """What a model without labels is, and that nothing was measured."""
    n = metrics["unlabelled"]["n"]
    return (
        f"The invoices of {n:,} clients came without labels: the model ranks clients by how far their consumption "
        "fell, beside the others. Nothing could be measured, and a rank is no probability of theft."
    )


def data_facts(run: Mapping) -> list[str]:
    """Names and sizes of the training data, invoices and readings."""
    sizes = [
        format_value(run.get("n_clients"), ",") + " clients" if "n_clients" in run else "",
        f"({format_value(run['fraud_rate'], '.2%')} labelled fraud)" if "fraud_rate" in run else "",
        f"with {run['n_invoices']:,} invoices" if "n_invoices" in run else "",
    ]
    invoices = ", ".join(filter(None, (run.get("data"), " ".join(filter(None, sizes)))))
    readings = run.get("readings")
    facts = [f"Data: {invoices}."] if invoices else []
    return facts + ([f"Readings: {readings['data']}, {readings['n_clients']:,} clients."] if readings else [])


def curves_by_name(results: list[Mapping]) -> dict[str, dict]:
    """ROC and precision-recall curves, each by the name of its result."""
    with_curves = [result for result in results if result.get("curves")]
    return {kind: {name_of(result): result["curves"][kind] for result in with_curves} for kind in ("roc", "pr")}


def weak_groups(main: Mapping) -> dict[str, list[str]]:
    """Sentences on groups clearly weaker than all clients together, by grouping."""
    by_grouping: dict[str, list[str]] = {}
    for grouping, sentence in weaknesses(main):
        by_grouping.setdefault(grouping, []).append(sentence)
    return by_grouping


def top_importance(rows: list | None) -> dict | None:
    """The N_FEATURES most important columns, and the sums of evidence groups."""
    if not rows:
        return None
    ranked = sorted(rows, key=lambda row: -row["value"])[:N_FEATURES]
    by_feature = {row["feature"]: row["value"] for row in ranked}
    return {"rows": ranked, "by_feature": by_feature, "by_group": group_importance(rows)}


def profit_table(curves: Mapping[str, list]) -> dict:
    """Heads and (visits, one row for each order of the list) of the table of profits."""
    heads = ["visits", *(head for name in curves for head in (f"precision, {name}", f"net, {name} [kWh]"))]
    return {"heads": heads, "rows": [(rows[0]["visits"], rows) for rows in zip(*curves.values(), strict=True)]}


def _shorten(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) <= MAX_ENTRY_LENGTH:
        return text
    return f"{text[:MAX_ENTRY_LENGTH]} ... ({len(text):,} characters, whole in metrics.json)"
