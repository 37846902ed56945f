"""Detect thefts in invoices without labels: invented utilities, ranked by detectors fitted on their own clients.

    python -m benchmarks.quality.unlabelled_invoices    prints, and writes benchmarks/results/unlabelled_invoices.json
    python -m benchmarks.quality.unlabelled_invoices --seeds 3 --clients 400 --out FILE

In:  nothing; the two utilities of benchmarks/helpers/invented_utilities.py are made up from seeds.
Out: ROC-AUC and precision in the first 5 % with 95 % intervals over the seeds: of the mean rank that train.py uses
     without labels, and of the ratio of the last six invoices to those before, which anyone would try first.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table as Sheet

from benchmarks.helpers.invented_utilities import UTILITIES, Utility
from fairmeter.core.environment import configure_numeric_libraries
from fairmeter.evaluation.metrics import mean_estimate, precision_at_k, roc_auc
from fairmeter.features.invoices.matrix import client_features
from fairmeter.training.invoice_pipeline import ensemble_config
from fairmeter.training.options import SEED
from fairmeter.training.unlabelled_invoices import fit_unlabelled_invoices

OUT = Path(__file__).resolve().parents[1] / "results" / Path(__file__).with_suffix(".json").name
FIRST = 0.05  # share of the clients on a list
RANK, RATIO = "mean rank", "ratio of the last six invoices"


def main(arguments: list[str] | None = None) -> int:
    configure_numeric_libraries()
    parser = argparse.ArgumentParser(prog="unlabelled_invoices.py", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    found = {name: figures_of(name, options.clients, range(options.seeds)) for name in UTILITIES}
    figures = {"clients": options.clients, "seeds": options.seeds, "utilities": found}
    options.out.write_text(json.dumps(figures, indent=1) + "\n")
    Console(highlight=False).print(sheet(found))
    return 0


def figures_of(name: str, n_clients: int, seeds: range) -> dict[str, dict]:
    """By score, each figure's mean over the seeds with its t-interval; of the difference too."""
    measured = [measure(UTILITIES[name](n_clients, seed)) for seed in seeds]
    scores = {score: [each[score] for each in measured] for score in (RANK, RATIO)}
    rows = {
        score: {figure: mean_estimate([row[figure] for row in rows]) for figure in ("roc_auc", "precision_first")}
        for score, rows in scores.items()
    }
    pairs = zip(scores[RANK], scores[RATIO], strict=True)
    return rows | {"difference": {"roc_auc": mean_estimate([a["roc_auc"] - b["roc_auc"] for a, b in pairs])}}


def measure(utility: Utility) -> dict[str, dict[str, float]]:
    """ROC-AUC and precision in the first of the list, of both scores."""
    label = utility.is_thief.astype(np.float64)
    return {
        name: {"roc_auc": roc_auc(label, score), "precision_first": precision_at_k(label, score, FIRST)}
        for name, score in ((RANK, mean_rank(utility)), (RATIO, utility.plain_ratio()))
    }


def mean_rank(utility: Utility) -> np.ndarray:
    """The log-odds that train.py's model without labels gives its own clients."""
    evidence = client_features(utility.clients, utility.invoices)
    return fit_unlabelled_invoices(evidence, ensemble_config("prospective", quick=True), SEED)[1]


def sheet(found: dict[str, dict]) -> Sheet:
    made = Sheet(box=None, pad_edge=False)
    for head in ("utility", "score", "ROC-AUC", f"precision in the first {FIRST:.0%}"):
        made.add_column(head)
    for utility, rows in found.items():
        for score, row in rows.items():
            first = row.get("precision_first")
            made.add_row(utility, score, in_brackets(row["roc_auc"]), in_brackets(first) if first else "")
    return made


def in_brackets(figure: dict) -> str:
    low, high = figure["interval"]
    return f"{figure['value']:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    raise SystemExit(main())
