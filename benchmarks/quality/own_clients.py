"""The cost of `train.py --attack` on a utility's own clients: thieves labelled as honest households.

    python -m benchmarks.quality.own_clients london_daily.parquet    writes benchmarks/results/own_clients.json
    python -m benchmarks.quality.own_clients FILE --every 68 --out FILE

In:  readings of honest households. One in ten is turned into a thief, as published, before training.
Out: ROC-AUC, PR-AUC and recall at 5 and 1 % false alarms, with 95 % intervals, of all these households as they are: by
     an ensemble trained on each of them as honest, and by two that were each trained on one half and score the other.

The ensembles train on one in --every files of TRAINING_PLANS, without the networks of honest consumption.
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
from fairmeter.features.readings.covariates import Covariates
from fairmeter.models.reading_model import reading_matrix
from fairmeter.training.attacks import PUBLISHED, AttackedHouseholds, HonestHouseholds, attack_households, split
from fairmeter.training.options import SEED
from fairmeter.training.reading_fitting import TRAINING_PLANS, fit_labelled, make_sample, make_training_sets

OUT = Path(__file__).resolve().parents[1] / "results" / Path(__file__).with_suffix(".json").name
ATTACK = replace(PUBLISHED, stealing=0.1, harmless=0.0, gaps=0.0)
HALVES = (0.5, 0.5)


def main() -> None:
    configure_numeric_libraries()
    parser = argparse.ArgumentParser(prog="own_clients.py", description="Thieves among households taken for honest.")
    parser.add_argument("readings", type=Path)
    parser.add_argument("--every", type=int, default=7, help="train on one in N files of TRAINING_PLANS (7)")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    tables = read_readings(options.readings)
    base = HonestHouseholds.from_consumption(DailyConsumption.from_readings(tables.readings, len(tables.client_ids)))
    everybody = np.arange(len(base.kwh))
    attacked = attack_households(base, everybody, SEED, plan=ATTACK)
    base, is_thief = among_honest(base, attacked)
    plans = TRAINING_PLANS[:: options.every]
    console = Console(highlight=False)

    def scores(training: np.ndarray, scored: np.ndarray, name: str) -> np.ndarray:
        """[log-odds, by the ensemble of some households of others]"""
        with console.status("") as status:
            surroundings = Covariates.from_consumption(base.days(training))
            sample = make_sample(make_training_sets(base, training, surroundings, plans, SEED), {})
            model, _ = fit_labelled(
                sample, {}, surroundings, SEED, False, lambda what: status.update(f"{name}: {what}")
            )
            return model.log_ratio(reading_matrix(base.days(scored), {}, surroundings))

    first, second = split(len(everybody), SEED, HALVES)
    apart = np.empty(len(everybody))
    apart[second], apart[first] = scores(first, second, "first half"), scores(second, first, "second half")
    by_name = {"by an ensemble that learnt from them": scores(everybody, everybody, "all"), "learnt from others": apart}
    figures = {
        "data": options.readings.name,
        "households": len(everybody),
        "thieves": int(is_thief.sum()),
        "files": len(plans),
        "models": reading_metrics.compare(is_thief, by_name, everybody),
    }
    options.out.write_text(json.dumps(figures, indent=1) + "\n")
    console.print_json(json.dumps(figures))


def among_honest(base: HonestHouseholds, attacked: AttackedHouseholds) -> tuple[HonestHouseholds, np.ndarray]:
    """The households with the readings of the thieves' meters, and their labels. [int64, 1 steals]"""
    thieves = np.flatnonzero(attacked.label == 1)
    kwh, is_thief = base.kwh.copy(), np.zeros(len(base.kwh), dtype=np.int64)
    is_thief[attacked.household[thieves]] = 1
    days = attacked.days.for_clients(attacked.label == 1)
    household = attacked.household[thieves][days.segments.index]
    kwh[is_thief == 1] = np.nan
    kwh[household, days.day - base.first_day] = days.kwh
    return HonestHouseholds(kwh, base.first_day), is_thief


if __name__ == "__main__":
    main()
