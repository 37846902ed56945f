"""Readings in steps of 10 Wh, 100 Wh or whole kWh: what their rounding does to scores, with and without the rule on it.

    python -m benchmarks.quality.resolution london_daily.parquet    writes benchmarks/results/resolution.json

In:  readings of honest households in Wh: those that train.py fits on, split as in compositions.py.
Out: for each resolution, with features of the values as they stand and of `without_rounding`: ROC-AUC and recall of a
     quick ensemble trained on Wh, and the share of honest clients that reach the score which 5 % reach in Wh.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from rich.console import Console
from rich.table import Table as Sheet

from benchmarks.quality.compositions import FILES, Mix, fitted, households
from fairmeter.core.environment import configure_numeric_libraries
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.readings import read_readings
from fairmeter.evaluation import reading_metrics
from fairmeter.evaluation.metrics import share_estimate
from fairmeter.features.readings import matrix
from fairmeter.features.readings.resolution import COARSE, FINE
from fairmeter.models.reading_model import ReadingModel
from fairmeter.training.attacks import PUBLISHED, AttackedHouseholds, HonestHouseholds
from fairmeter.training.options import SEED
from fairmeter.training.reading_fitting import COMPOSED_SHARE, SOLAR_WEIGHT, make_sample, make_training_sets

OUT = Path(__file__).resolve().parents[1] / "results" / Path(__file__).with_suffix(".json").name
TEST_SETS = 2  # attacked sets that each household that measures is in
MIX = Mix("with compositions", COMPOSED_SHARE, SOLAR_WEIGHT)


def main(arguments: list[str] | None = None) -> int:
    configure_numeric_libraries()
    parser = argparse.ArgumentParser(prog="resolution.py", description=__doc__.splitlines()[0])
    parser.add_argument("readings", type=Path)
    parser.add_argument("--files", type=int, default=len(FILES), help="training files")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    tables = read_readings(options.readings)
    base = HonestHouseholds.from_consumption(DailyConsumption.from_readings(tables.readings, len(tables.client_ids)))
    learning, measuring = households(base)
    model = fitted(base, learning, MIX.plans(options.files))
    files = make_training_sets(base, measuring, model.surroundings, [PUBLISHED] * TEST_SETS, SEED + 2)
    figures = {"data": options.readings.name, "files": options.files, "rows": list(measured(model, files))}
    options.out.write_text(json.dumps(figures, indent=1) + "\n")
    Console(highlight=False).print(sheet(figures["rows"]))
    return 0


def measured(model: ReadingModel, files: Sequence[AttackedHouseholds]) -> Iterator[dict]:
    """A row for each resolution and way, Wh first: its threshold is that of all rows."""
    threshold = None
    for steps in (FINE, *COARSE):
        for is_kept in (True, False) if threshold is not None else (False,):
            sample_files = [replace(file, days=rounded(file.days, steps)) for file in files]
            with as_they_stand() if is_kept else nullcontext():
                sample = make_sample(sample_files, model.networks)
            score, honest = model.log_ratio(sample.evidence), sample.label == 0
            if threshold is None:
                threshold = reading_metrics.score_at_rate(score[honest], reading_metrics.RATES[0])
            reached = score[honest] >= threshold
            suspected = {"n": len(reached)} | share_estimate(float(reached.sum()), len(reached))
            ranking = reading_metrics.ranking(sample.label, score, sample.household)
            yield {"steps_per_kwh": steps, "as_they_stand": is_kept, "honest_suspected": suspected} | ranking


def rounded(days: DailyConsumption, steps_per_kwh: float) -> DailyConsumption:
    """The days as a meter or an export with so many steps would have them."""
    return replace(days, kwh=np.rint(days.kwh * steps_per_kwh) / steps_per_kwh)


@contextmanager
def as_they_stand() -> Iterator[None]:
    """Features of the rounded values themselves."""
    with patch.object(matrix, "without_rounding", lambda days: days):
        yield


def sheet(rows: Sequence[dict]) -> Sheet:
    names = ("roc_auc", *(f"recall_at_{rate:.0%}" for rate in reading_metrics.RATES))
    made = Sheet("step", "values", "honest suspected", *(name.replace("_", " ") for name in names), box=None)
    for row in rows:
        way = "as they stand" if row["as_they_stand"] else "without rounding"
        estimates = (row["honest_suspected"], *(row[name] for name in names))
        made.add_row(f"{1 / row['steps_per_kwh']:g} kWh", way, *map(_words, estimates))
    return made


def _words(estimate: dict) -> str:
    return "{:.3f} ({:.3f} to {:.3f})".format(estimate["value"], *estimate["interval"])


if __name__ == "__main__":
    raise SystemExit(main())
