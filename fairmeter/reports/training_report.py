"""Metrics of a training run -> metrics.json, report.html (one file, offline, light and dark), model_card.md.

In:  metrics, a dict; NumPy values and records such as QualityFlag become plain values. Keys, all but `run` optional:
     run         {"version", "trained_at", "view", "data", "n_clients", "n_invoices", "fraud_rate",
                 "split": a sentence on the held-out clients, "how": sentences on how the model was trained,
                 "readings": {"data", "n_clients"}}; all but the first two may be missing
     results     results on invoices, empty or missing without any: a list, the main one first, then others (the other
                 view, active clients). Each is
                 {"view", "clients": description} | evaluation.evaluate(...), over outer folds also | pool(...):
                 n, n_fraud, base_rate, roc_auc, pr_auc, brier, brier_base, calibration_error, calibration_noise,
                 calibration_slope, at_top [{share, visits, precision, lift}],
                 at_threshold {threshold, confusion, precision, recall, f1, false_positive_rate, suspected_share},
                 guard: validation.exchange_guard(...),
                 calibration [rows of reliability_table], curves {roc, pr, visits}, groups {name: [rows of by_group]};
                 calibration, curves and groups may be missing in all but the main one
     severities  evaluation.severity_table(...)
     visits      validation.inspections.measure_inspections(...): value of visits, and validity of false-alarm bounds
     models      list of {"view", "clients", "rows": compare(...), over outer folds pool([compare(...), ...])}
     importance  list of {"feature", "group", "text", "value": mean absolute TreeSHAP contribution, log-odds}
     agreement   validation.invoices.agreement(...): reasons and TreeSHAP by evidence group
     quality     list of QualityFlag
     readings    ReadingTrainingResult.metrics; "made" is injected, labelled or without labels
     manifest    the model's manifest
     command     the training command
     fingerprints  population_drift.fingerprints(...): the reference of drift
     model_sha256  checksum of the model.bin that the run wrote: a report is of this model alone
     title       of the page
Out: three files in a folder. What is missing from the metrics is left out.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fairmeter.reports.invoice_facts import training_page
from fairmeter.reports.model_card import model_card


def write_training_report(metrics: Mapping, folder: str | os.PathLike) -> None:
    """Write the three files into `folder`, created if missing; a file is replaced once the new one is complete.

    Raises ValueError for NaN, and TypeError for values that are neither plain, NumPy nor records.
    """
    metrics = json.loads(json.dumps(metrics, default=_plain, allow_nan=False))
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "metrics.json", json.dumps(metrics, indent=1, ensure_ascii=False) + "\n")
    _replace(folder / "report.html", training_page(metrics))
    _replace(folder / "model_card.md", model_card(metrics))


def _plain(value):
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if dataclasses.is_dataclass(value):
        return dataclasses.asdict(value)
    raise TypeError(f"metrics hold a {type(value).__name__}; use plain values, NumPy values or records.")


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
