"""Detect thefts in a simulated utility by a model trained on another one, at its own threshold.

    python -m benchmarks.quality.simulated            writes benchmarks/results/simulated.json
    python -m benchmarks.quality.simulated --quick    small members, a few hundred clients: a trial
    python -m benchmarks.quality.simulated --without-transformers --out FILE    the value of transformer totals

In:  two utilities of fairmeter/simulation/utility.py with their own seeds: one to train on by its truth, one to score.
Out: precision, recall, F1 and the share of false alarms among the suspected, with 95 % intervals; recall by pattern.

A thief steals on the last day of the readings, began while the meter was read, at least MIN_DAYS before that day, and
took at least MIN_LOSS of the energy. Earlier or smaller thefts are in neither class; the share suspected of those
that began before the readings is reported separately. Figures on simulated clients show that the code works, and
nothing about real thieves.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from fairmeter.analysis.energy_balance import energy_balances
from fairmeter.core.environment import configure_numeric_libraries
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.transformers import TransformerTables
from fairmeter.evaluation import model_evaluation
from fairmeter.evaluation.metrics import roc_auc
from fairmeter.features.readings.covariates import Covariates, TransformerLosses
from fairmeter.models.ensemble import probability_of
from fairmeter.models.reading_model import MIN_DAYS as LEAST_READ
from fairmeter.models.reading_model import reading_matrix
from fairmeter.simulation.utility import Utility, simulate_utility
from fairmeter.training.options import PROMISED_PRECISION
from fairmeter.training.validation.readings import train_on_labels

OUT = Path(__file__).resolve().parents[1] / "results" / "simulated.json"
MIN_DAYS, MIN_LOSS = 14, 0.1
FRAUD_RATE = 0.1  # of the clients, caught or not: enough of them to count, rarer than in a training file
SEEDS = (101, 202)
HONEST, BEFORE, ELSE = "honest", "began before the readings", "stole before, or too little"


class Truth(NamedTuple):
    """Of each client with readings: what it does, and what its transformer lost."""

    days: DailyConsumption
    kind: np.ndarray  # a pattern, HONEST, BEFORE or ELSE
    losses: TransformerLosses | None


def main() -> None:
    configure_numeric_libraries()
    parser = argparse.ArgumentParser(prog="simulated.py", description="Thefts found in a simulated utility.")
    parser.add_argument("--clients", type=int, default=40_000, help="of each utility (40,000)")
    parser.add_argument("--quick", action="store_true", help="small members, 800 clients")
    parser.add_argument("--without-transformers", action="store_true", help="as if none of them had a meter")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    console, n = Console(highlight=False), 800 if options.quick else options.clients
    with console.status("Simulating two utilities"):
        training, scored = (truth_of(simulate_utility(n, seed, FRAUD_RATE)) for seed in SEEDS)
    if options.without_transformers:
        training, scored = (truth._replace(losses=None) for truth in (training, scored))
    with console.status("Fitting") as status:
        figures = measured(training, scored, options.quick, status.update)
    options.out.write_text(json.dumps(figures | {"clients": n, "seeds": SEEDS}, indent=1) + "\n")
    console.print_json(json.dumps({name: value for name, value in figures.items() if name != "by_pattern"}))


def truth_of(utility: Utility) -> Truth:
    days = DailyConsumption.from_readings(utility.readings, len(utility.clients["client_id"]))
    n_known = days.segments.total((~np.isnan(days.kwh)).astype(np.int64))
    kind = np.full(len(n_known), HONEST, dtype=object)
    last = days.day.max()
    row_of = {client_id: row for row, client_id in enumerate(utility.clients["client_id"])}
    first = days.segments.first(days.day.astype(np.float64))
    thefts = utility.thefts
    for client_id, pattern, onset, ended, lost in zip(
        *(thefts[name] for name in ("client_id", "pattern", "onset_on", "ended_on", "share_lost_kwh")), strict=True
    ):
        row, since = row_of[client_id], onset.astype("datetime64[D]").astype(int)
        goes_on = np.isnat(ended) or ended.astype("datetime64[D]").astype(int) > last
        is_thief = goes_on and since <= last - MIN_DAYS and lost >= MIN_LOSS
        kind[row] = (BEFORE if since <= first[row] else pattern) if is_thief else ELSE
    read = n_known >= LEAST_READ
    transformer_id = utility.clients["transformer_id"]
    balances = energy_balances(measured_transformers(utility), transformer_id, days, utility.invoices)
    return Truth(days.for_clients(read), kind[read], balances.losses.for_clients(read))


def measured_transformers(utility: Utility) -> TransformerTables:
    """Transformer totals as a utility has them: delivered energy, without computed losses and without the truth."""
    row_of = {id_: row for row, id_ in enumerate(utility.transformers["transformer_id"])}
    totals = utility.transformer_totals
    columns = {
        "transformer": np.array([row_of[id_] for id_ in totals["transformer_id"]]),
        "day": totals["measured_on"].astype("datetime64[D]").astype(np.int64),
        "delivered_kwh": totals["delivered_kwh"],
    }
    order = np.lexsort((columns["day"], columns["transformer"]))
    columns = {name: column[order] for name, column in columns.items()}
    columns["losses_kwh"] = np.full(len(order), np.nan)
    return TransformerTables(utility.transformers, columns, [])


def measured(training: Truth, scored: Truth, quick: bool, on_step) -> dict:
    label = np.where(np.isin(training.kind, [BEFORE, ELSE]), np.nan, training.kind != HONEST).astype(float)
    share = float(np.nanmean(label))
    outcome = train_on_labels(
        training.days, label, share, PROMISED_PRECISION, 1, SEEDS[0], quick, on_step, transformer_losses=training.losses
    )
    model, threshold = outcome.model, outcome.thresholds["threshold"]
    evidence = reading_matrix(
        scored.days, model.networks, replace(Covariates.from_consumption(scored.days), losses=scored.losses)
    )
    score = probability_of(model.log_ratio(evidence) + np.log(share / (1.0 - share)))
    counted = ~np.isin(scored.kind, [BEFORE, ELSE])
    y, found = scored.kind[counted] != HONEST, score[counted]
    result = model_evaluation.at_threshold(y, found, threshold)
    alarms = result["confusion"]["true_positive"] + result["confusion"]["false_positive"]
    return {
        **{name: result[name] for name in ("threshold", "confusion", "precision", "recall", "f1")},
        "false_alarms_share": result["confusion"]["false_positive"] / max(alarms, 1),
        "roc_auc": float(roc_auc(y, found)),
        "theft_share": float(y.mean()),
        "suspected_of_those_that_began_before": float(np.mean(score[scored.kind == BEFORE] >= threshold)),
        "by_pattern": {
            kind: {
                "n": int((scored.kind == kind).sum()),
                "recall": float(np.mean(score[scored.kind == kind] >= threshold)),
            }
            for kind in np.unique(scored.kind[counted]).tolist()
            if kind != HONEST
        },
    }


if __name__ == "__main__":
    main()
