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
     command     by which it was trained
     fingerprints  likeness.fingerprints(...): what drift is measured from
     title       of the page
Out: three files in a folder. What is missing from metrics is left out, never invented.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fairmeter.reports.invoice_sections import report_html
from fairmeter.reports.model_card import model_card


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
