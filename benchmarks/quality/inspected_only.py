"""Labels of inspected clients only: does learning from the others too rank all clients better?

    python -m benchmarks.quality.inspected_only    prints, and writes benchmarks/results/inspected_only.json
    python -m benchmarks.quality.inspected_only --seeds 2 --clients 1000 --out FILE

In:  nothing; simulated utilities (fairmeter.simulation), of which inspectors visit the clients whose consumption fell
     most, and some others by chance. Labels of the others are used to count only.
Out: ROC-AUC on clients that no model was fitted on, with 95 % intervals over the seeds, of XGBoost fitted on
     inspected     the inspected clients, as train.py does
     weighted      the same, weighted by the inverse of the probability of a visit, estimated from the features
     unlabelled    the inspected, and the others as honest clients of half the weight (positive-unlabelled learning)
"""

import argparse
import json
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table as Sheet

from fairmeter.core.environment import configure_numeric_libraries
from fairmeter.evaluation.metrics import mean_estimate, roc_auc
from fairmeter.features.invoices.matrix import FEATURE_NAMES, client_features
from fairmeter.models.ensemble import probability_of
from fairmeter.simulation.utility import simulate
from fairmeter.training.member_fitting import fit_xgboost
from fairmeter.training.sample_weights import cap_weights
from fairmeter.training.unlabelled_invoices import FALLS

OUT = Path(__file__).resolve().parents[1] / "results" / Path(__file__).with_suffix(".json").name
INSPECTED, CHOSEN = 0.12, 0.8  # share of the clients that are inspected; of these, chosen for their fall
FRAUD_RATE = 0.08
UNLABELLED_WEIGHT = 0.5
LEAST_PROBABILITY = 0.02  # of a visit: bounds the weights
METHODS = ("inspected", "weighted", "unlabelled")


def main(arguments: list[str] | None = None) -> int:
    configure_numeric_libraries()
    parser = argparse.ArgumentParser(prog="inspected_only.py", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--clients", type=int, default=8000)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    measured = [measure(options.clients, seed) for seed in range(options.seeds)]
    found = {method: mean_estimate([each[method] for each in measured]) for method in METHODS}
    for method in METHODS[1:]:
        gains = [each[method] - each["inspected"] for each in measured]
        found[f"{method} less inspected"] = mean_estimate(gains)
    figures = {"clients": options.clients, "seeds": options.seeds, "inspected": INSPECTED, "roc_auc": found}
    options.out.write_text(json.dumps(figures, indent=1) + "\n")
    made = Sheet("fitted on", "ROC-AUC", box=None, pad_edge=False)
    for method, row in found.items():
        made.add_row(method, "{:+.3f} ({:+.3f} to {:+.3f})".format(row["value"], *row["interval"]))
    Console(highlight=False).print(made)
    return 0


def measure(n_clients: int, seed: int) -> dict[str, float]:
    """ROC-AUC of each method on the half of a utility's clients that nothing was fitted on."""
    clients, invoices, _ = simulate(n_clients, seed, FRAUD_RATE)
    features, label = client_features(clients, invoices).features, clients["label"]
    rng = np.random.default_rng(seed)
    is_fitted = rng.permutation(n_clients) < n_clients // 2
    is_inspected = inspected(features, rng) & is_fitted
    scores = {
        "inspected": fitted_score(features, label, is_inspected, None, seed),
        "weighted": fitted_score(
            features, label, is_inspected, visit_weights(features, is_inspected, is_fitted, seed), seed
        ),
        "unlabelled": fitted_score(
            features,
            np.where(is_inspected, label, 0.0),
            is_fitted,
            np.where(is_inspected, 1.0, UNLABELLED_WEIGHT)[is_fitted],
            seed,
        ),
    }
    return {name: roc_auc(label[~is_fitted], score[~is_fitted]) for name, score in scores.items()}


def inspected(features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Clients that inspectors visit: most for the deepest fall since the clearest change, the rest by chance. [mask]"""
    fall = features[:, FEATURE_NAMES.index(FALLS[0])]
    noisy = np.where(np.isnan(fall), 0.0, fall) + rng.normal(0, 0.2, len(fall))
    n = round(INSPECTED * len(fall))
    is_inspected = np.zeros(len(fall), dtype=bool)
    is_inspected[np.argsort(noisy)[: round(CHOSEN * n)]] = True
    rest = np.flatnonzero(~is_inspected)
    is_inspected[rng.permutation(rest)[: n - int(is_inspected.sum())]] = True
    return is_inspected


def visit_weights(features: np.ndarray, is_inspected: np.ndarray, is_fitted: np.ndarray, seed: int) -> np.ndarray:
    """Inverse of the inspected clients' probability of a visit, by a model of who was visited."""
    member = fit_xgboost(features[is_fitted], is_inspected[is_fitted].astype(float), seed, True, None)
    probability = probability_of(member.serving.values(features[is_inspected]))
    return cap_weights(1.0 / np.maximum(probability, LEAST_PROBABILITY))


def fitted_score(
    features: np.ndarray, label: np.ndarray, chosen: np.ndarray, weight: np.ndarray | None, seed: int
) -> np.ndarray:
    """Log-odds of all clients by a member that is fitted on the chosen ones. [chosen: mask; weight: of these]"""
    return fit_xgboost(features[chosen], label[chosen], seed, True, weight).serving.values(features)


if __name__ == "__main__":
    raise SystemExit(main())
