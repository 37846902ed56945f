"""Detect thefts without labels: utilities of attacked households, ranked by detectors fitted on these clients.

    python -m benchmarks.quality.unlabelled london_daily.parquet    writes benchmarks/results/unlabelled.json
    python -m benchmarks.quality.unlabelled FILE --utilities 2 --out FILE

In:  readings of honest households.
Out: ROC-AUC, PR-AUC and recall at 5 and 1 % false alarms, with 95 % intervals: of the mean rank that train.py uses
     without labels, of each detector alone, and of the ratio of the last 30 days to the past.

Each utility consists of the households that train.py holds out, attacked anew as published; the share of thieves is
that of training. Labels are used to count only. The networks are left out: no detector uses them.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from fairmeter.core.environment import configure_numeric_libraries
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.readings import read_readings
from fairmeter.evaluation import reading_metrics
from fairmeter.models.reading_model import reading_matrix
from fairmeter.training.attacks import PUBLISHED, AttackedHouseholds, HonestHouseholds, attack_households, split
from fairmeter.training.options import SEED
from fairmeter.training.reading_fitting import DETECTOR_FEATURES, fit_unlabelled
from fairmeter.training.reading_pipeline import THEFT_SHARE
from fairmeter.training.validation.readings import HOUSEHOLD_SHARES

OUT = Path(__file__).resolve().parents[1] / "results" / Path(__file__).with_suffix(".json").name
ATTACK = replace(PUBLISHED, stealing=THEFT_SHARE)
RATIO = "ratio of the last 30 days"


def main() -> None:
    configure_numeric_libraries()
    parser = argparse.ArgumentParser(prog="unlabelled.py", description=__doc__.splitlines()[0])
    parser.add_argument("readings", type=Path)
    parser.add_argument("--utilities", type=int, default=20)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    tables = read_readings(options.readings)
    base = HonestHouseholds.from_consumption(DailyConsumption.from_readings(tables.readings, len(tables.client_ids)))
    held_out = split(len(base.kwh), SEED, HOUSEHOLD_SHARES)[-1]
    console = Console(highlight=False)
    with console.status("Attacking and ranking"):
        files = [attack_households(base, held_out, SEED + i, "file", plan=ATTACK) for i in range(options.utilities)]
        scores = [scores_of(file) for file in files]
    label, household = (np.concatenate([getattr(file, name) for file in files]) for name in ("label", "household"))
    together = {name: np.concatenate([one[name] for one in scores]) for name in scores[0]}
    figures = {
        "data": options.readings.name,
        "utilities": len(files),
        "households": len(np.unique(household)),
        "clients": len(label),
        "thieves": int(label.sum()),
        "models": reading_metrics.compare(label, together, household),
    }
    options.out.write_text(json.dumps(figures, indent=1) + "\n")
    console.print_json(json.dumps(figures))


def scores_of(file: AttackedHouseholds) -> dict[str, np.ndarray]:
    """Of one utility's clients by name, higher = more suspicious."""
    evidence = reading_matrix(file.days, {}, file.covariates)
    model, log_odds = fit_unlabelled(evidence, {}, file.covariates, SEED)
    inputs = model.ensemble.inputs
    matrix = inputs.matrix(evidence).astype(np.float64)
    column = dict(zip(inputs.names, matrix.T, strict=True))
    detectors = {name.replace("_", " "): column[name] for name in DETECTOR_FEATURES}
    return {"mean rank": log_odds} | detectors | {RATIO: -column["ratio_last_30"]}


if __name__ == "__main__":
    main()
