"""Check whether reasons name the theft pattern, on detected simulated thefts.

    python -m benchmarks.quality.reasons            writes benchmarks/results/reasons.json
    python -m benchmarks.quality.reasons --quick    small members without networks, 800 clients (or --clients N)

In:  model.bin, and a model trained on one simulated utility by its truth; both score the readings of another utility.
Out: the share of detected thefts whose pattern belongs to one of the first two reasons, overall and by pattern. As a
     baseline, the share that the first two reasons of honest clients, which show no pattern, would reach.

HOLDS maps a pattern to the evidence groups that show it, by its formula; it was fixed before anything was measured.
Several groups can: a meter that registers nothing is a fall, and zero use. Figures on simulated clients show that the
code works, and nothing about real thieves.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from benchmarks.quality.simulated import BEFORE, ELSE, FRAUD_RATE, HONEST, SEEDS, Truth, truth_of
from fairmeter.core.environment import configure_numeric_libraries
from fairmeter.explanation.shapley import EnsembleInput, shapley_values
from fairmeter.explanation.topics import READINGS
from fairmeter.features.base import FALL, IRREGULAR, LOW, PLACE, REASON_GROUPS, UNUSUAL
from fairmeter.models import model_file
from fairmeter.models.reading_model import ReadingModel
from fairmeter.simulation.utility import simulate_utility
from fairmeter.training.options import PROMISED_PRECISION
from fairmeter.training.validation.readings import train_on_labels

MODEL, OUT = Path("model.bin"), Path(__file__).resolve().parents[1] / "results" / "reasons.json"
FIRST = 2  # reasons that a crew reads before it goes
N_HONEST = 200  # explained for the yardstick
HOLDS: dict[str, set[str]] = {
    "constant_scale": {FALL}, "gradual": {FALL}, "meter_change": {FALL}, "phase_lost": {FALL}, "rollback": {FALL},
    "low_user": {FALL, LOW}, "subtract": {FALL, LOW}, "zero": {FALL, LOW},
    "bypass_window": {FALL, LOW}, "intermittent_zero": {LOW, IRREGULAR}, "stall": {LOW, IRREGULAR, UNUSUAL},
    "random_scale": {FALL, IRREGULAR}, "random_mean": {IRREGULAR, FALL},
    "cut_off": {UNUSUAL}, "mean": {UNUSUAL}, "last_month": {UNUSUAL}, "flat_line": {UNUSUAL},
    "reversal": {IRREGULAR}, "irregular_hours": {IRREGULAR},
    "neighbourhood_deviation": {FALL, PLACE},
}  # fmt: skip


class Scorer(NamedTuple):
    """A model on readings, its prior [0..1], and its threshold."""

    model: ReadingModel
    rate: float
    threshold: float


def main() -> None:
    configure_numeric_libraries()
    parser = argparse.ArgumentParser(prog="reasons.py", description="Whether reasons name the pattern of a theft.")
    parser.add_argument("--clients", type=int, help="of each utility (4,000; 800 with --quick)")
    parser.add_argument("--quick", action="store_true", help="small members without networks")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    console, n = Console(highlight=False), options.clients or (800 if options.quick else 4000)
    with console.status("Simulating two utilities"):
        training, scored = (truth_of(simulate_utility(n, seed, FRAUD_RATE)) for seed in SEEDS)
    with console.status("Fitting") as status:
        scorers = {"model.bin": committed(), "another utility": fitted(training, options.quick, status.update)}
        figures = {name: measured(scorer, scored) for name, scorer in scorers.items()}
    options.out.write_text(
        json.dumps({"clients": n, "seeds": SEEDS, "quick": options.quick} | figures, indent=1) + "\n"
    )
    console.print_json(json.dumps(figures))


def committed() -> Scorer:
    model = model_file.load(MODEL)
    return Scorer(model.readings, model.manifest["fraud_rate"], model.manifest["readings"]["threshold"])


def fitted(training: Truth, quick: bool, on_step) -> Scorer:
    label = np.where(np.isin(training.kind, [BEFORE, ELSE]), np.nan, training.kind != HONEST).astype(float)
    rate = float(np.nanmean(label))
    outcome = train_on_labels(training.days, label, rate, PROMISED_PRECISION, 1, SEEDS[0], quick, on_step)
    return Scorer(outcome.model, rate, outcome.thresholds["threshold"])


def measured(scorer: Scorer, scored: Truth) -> dict:
    """Over detected thefts that began while the meter was read."""
    model = scorer.model
    evidence = model.features(scored.days, model.covariates_for(scored.days))
    constant = log_odds(scorer.rate) - log_odds(model.theft_share)
    rows = model.ensemble.inputs.matrix(evidence)
    score = 1.0 / (1.0 + np.exp(-(model.ensemble.log_odds(rows) + constant)))
    is_theft = np.isin(scored.kind, list(HOLDS))
    detected, honest = np.flatnonzero(is_theft & (score >= scorer.threshold)), np.flatnonzero(scored.kind == HONEST)
    first = {client: first_groups(model, rows[client], constant) for client in detected.tolist()}
    of_honest = [first_groups(model, rows[client], constant) for client in honest[:N_HONEST].tolist()]
    named = {client: bool(groups & HOLDS[scored.kind[client]]) for client, groups in first.items()}
    kinds = sorted({scored.kind[client] for client in first})
    by_chance = [np.mean([bool(g & HOLDS[scored.kind[client]]) for g in of_honest]) for client in first]
    return {
        "n_thefts": int(is_theft.sum()),
        "n_detected": len(first),
        "named": float(np.mean(list(named.values()))),
        "by_chance": float(np.mean(by_chance)),
        "by_pattern": {
            kind: {"n": len(of_kind), "named": float(np.mean(of_kind))}
            for kind in kinds
            if (of_kind := [named[client] for client in first if scored.kind[client] == kind])
        },
        "first": {g: float(np.mean([g in groups for groups in first.values()])) for g in REASON_GROUPS},
    }


def first_groups(model: ReadingModel, row: np.ndarray, constant: float) -> set[str]:
    effects = shapley_values([EnsembleInput(model.ensemble, READINGS, row)], constant, np.inf).effects
    return {REASON_GROUPS[i] for i in np.argsort(-np.abs(effects))[:FIRST]}


def log_odds(rate: float) -> float:
    return float(np.log(rate / (1.0 - rate)))


if __name__ == "__main__":
    main()
