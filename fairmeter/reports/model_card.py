"""model_card.md: purpose, metrics, weaknesses and limits of the model.

In:  metrics as described in training_report.py, as plain values.
Out: Markdown. The headings are those of Mitchell et al., Model Cards for Model Reporting, FAT* 2019
     (doi:10.1145/3287560.3287596). What is missing from the metrics has no section.
"""

import re
from collections.abc import Mapping

from fairmeter.core.claims import UNLABELLED, claims_probability
from fairmeter.evaluation import drift
from fairmeter.evaluation.model_evaluation import LIST_SHARE, MIN_GROUP, weaknesses
from fairmeter.reports import reading_facts
from fairmeter.reports.invoice_facts import BRACKETS, LIMITS, data_facts, describe_unlabelled
from fairmeter.reports.rendering import escape_markdown, format_value, render

EVIDENCE = {"results": "invoices", "unlabelled": "invoices", "readings": "smart-meter readings"}


def model_card(metrics: Mapping) -> str:
    """The card in Markdown."""
    run, results, readings = _escape_run(metrics["run"]), metrics.get("results"), metrics.get("readings")
    unlabelled = () if "unlabelled" not in metrics else reading_facts.LIMITS[UNLABELLED]
    limits = [*(LIMITS if results else unlabelled), *(reading_facts.LIMITS[readings["made"]] if readings else ())]
    text = render(
        "model_card.md",
        metrics=metrics,
        run=run,
        results=results,
        readings=readings,
        is_injected=bool(readings) and readings["made"] == "injected",
        evidence=[words for key, words in EVIDENCE.items() if metrics.get(key)],
        details=_details(metrics),
        evaluation_data=_evaluation_data(metrics, run, results, readings),
        training_data=_training_data(metrics, run),
        weaknesses=[f"{group} {sentence}" for group, sentence in weaknesses(results[0])] if results else [],
        ranking_rows=reading_facts.ranking_rows(readings) if readings else [],
        false_alarms=_false_alarms(results),
        caveats=[*limits, *_drift_references(metrics.get("fingerprints", {}))],
        reading_facts=reading_facts,
        brackets=BRACKETS,
        min_group=MIN_GROUP,
        list_share=f"{LIST_SHARE:.0%}",
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _details(metrics: Mapping) -> list[str]:
    run, manifest = metrics["run"], metrics.get("manifest", {})
    libraries = ", ".join(f"{name} {version}" for name, version in manifest.get("libraries", {}).items())
    facts = [f"Version {run['version']}, trained {run['trained_at']}.", *run.get("how", ())]
    if manifest.get("threshold") and not claims_probability(manifest):
        facts.append(f"Suspected from percentile {100 * manifest['threshold']:.0f} of the training clients on.")
    elif "threshold" in manifest:
        facts.append(f"Suspected from a score of {manifest['threshold']:.4f} on.")
    return facts + ([f"Libraries: {libraries}."] if libraries else [])


def _evaluation_data(metrics: Mapping, run: Mapping, results: list | None, readings: Mapping | None) -> list[str]:
    facts = [run.get("split", "")]
    if results:
        facts.append(f"Measured on {results[0]['n']:,} clients, {results[0]['n_fraud']:,} of them labelled fraud.")
    if "unlabelled" in metrics:
        facts.append(describe_unlabelled(metrics))
    if readings:
        facts.append(escape_markdown(reading_facts.describe_evaluation(readings)))
    return list(filter(None, facts))


def _training_data(metrics: Mapping, run: Mapping) -> list[str]:
    fingerprint = metrics.get("manifest", {}).get("data_fingerprint")
    return [*data_facts(run), *([f"SHA-256 of features and labels: `{fingerprint}`"] if fingerprint else [])]


def _false_alarms(results: list | None) -> list[str]:
    if not results or not results[0]["at_threshold"]["precision"]:
        return []
    precision = results[0]["at_threshold"]["precision"]
    low, high = precision["interval"] or (precision["value"],) * 2
    share, bounds = format_value(1 - precision["value"], ".1%"), f"{100 * (1 - high):.1f} to {100 * (1 - low):.1f}"
    return [f"Of the clients suspected at the threshold, {share} ({bounds}) are not labelled fraud."]


def _drift_references(references: Mapping) -> list[str]:
    return [
        f"Kept of the training clients ({name}), to tell when others are no longer like them: deciles and the share "
        f"missing of {reference['n_features']:,} features of {reference['n']:,} clients, and deciles of the score. "
        + (f"{reference['n_constant']:,} of the features never vary among them. " if reference["n_constant"] else "")
        + f"A population stability index from {drift.MIN_SHIFTING_PSI} on means that a feature is shifting, from "
        f"{drift.MIN_SHIFTED_PSI} on that it has shifted."
        for name, reference in references.items()
    ]


def _escape_run(run: Mapping) -> dict:
    texts = {key: escape_markdown(value) if isinstance(value, str) else value for key, value in run.items()}
    return texts | ({"readings": _escape_run(run["readings"])} if run.get("readings") else {})
