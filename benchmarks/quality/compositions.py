"""Thefts of kinds that nobody named: what compositions in the training files are worth, and how many solar homes.

    python -m benchmarks.quality.compositions london_daily.parquet    writes benchmarks/results/compositions.json
    python -m benchmarks.quality.compositions FILE --files 4 --out FILE

In:  readings of honest households: those that train.py fits on, split again, so that its test part stays unseen.
Out: with 95 % intervals, ROC-AUC and recall at 5 and 1 % false alarms of quick ensembles on other households, for
     published patterns, wider ranges, compositions like those of the training, and compositions of which one part is in
     no training file; the share of honest homes, and of homes with each harmless change, that are suspected.

The ensembles are trained on published patterns alone, and with compositions and ever more homes with solar panels.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table as Sheet

from fairmeter.core.environment import configure_numeric_libraries
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.readings import read_readings
from fairmeter.evaluation import reading_metrics
from fairmeter.evaluation.metrics import share_estimate
from fairmeter.features.readings.covariates import Covariates
from fairmeter.models.reading_model import ReadingModel
from fairmeter.simulation.compositions import HELD_OUT, TRAINED
from fairmeter.simulation.harmless_patterns import HARMLESS
from fairmeter.training.attacks import BROAD, HONEST, PUBLISHED, WIDE, AttackPlan, HonestHouseholds, split
from fairmeter.training.options import SEED
from fairmeter.training.reading_fitting import (
    COMPOSED_SHARE,
    HARMLESS_SHARE,
    SOLAR_WEIGHT,
    fit_labelled,
    make_sample,
    make_training_sets,
)
from fairmeter.training.validation.readings import HOUSEHOLD_SHARES

OUT = Path(__file__).resolve().parents[1] / "results" / Path(__file__).with_suffix(".json").name
LEARN_SHARE = 0.72  # of the households, the others measure
TEST_SETS, HARMLESS_SETS = 2, 4  # attacked sets that each household that measures is in
SOLAR_WEIGHTS = (1.0, 2.0, 4.0)  # of solar panels among harmless changes
MEASURED = {
    "as published": PUBLISHED,
    "wider than published": BROAD,
    "compositions as trained on": replace(BROAD, composed=1.0, compositions=TRAINED),
    "compositions with an unknown part": replace(BROAD, composed=1.0, compositions=HELD_OUT),
}
FORWARD = (PUBLISHED, PUBLISHED, PUBLISHED, replace(PUBLISHED, is_metered=True))
MIRRORED = (PUBLISHED, BROAD, WIDE, replace(BROAD, is_metered=True))
FILES = (*FORWARD, *(replace(plan, is_mirrored=True) for plan in MIRRORED))
CHANGED = replace(PUBLISHED, stealing=0.0, harmless=1.0)
UNCHANGED = replace(PUBLISHED, stealing=0.0, harmless=0.0)


class Mix(NamedTuple):
    """What training files hold. composed: share of compositions among thefts; solar: weight of solar panels."""

    name: str
    composed: float
    solar: float

    def plans(self, n: int) -> list[AttackPlan]:
        """The first n of FILES with this mix."""
        return [replace(plan, composed=self.composed, solar=self.solar, harmless=HARMLESS_SHARE) for plan in FILES[:n]]


MIXES = (
    Mix("published patterns", 0.0, SOLAR_WEIGHT),
    *(Mix(f"with compositions, solar weight {weight:g}", COMPOSED_SHARE, weight) for weight in SOLAR_WEIGHTS),
)


def main(arguments: list[str] | None = None) -> int:
    configure_numeric_libraries()
    parser = argparse.ArgumentParser(prog="compositions.py", description=__doc__.splitlines()[0])
    parser.add_argument("readings", type=Path)
    parser.add_argument("--files", type=int, default=len(FILES), help="training files of each mix")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    tables = read_readings(options.readings)
    base = HonestHouseholds.from_consumption(DailyConsumption.from_readings(tables.readings, len(tables.client_ids)))
    learning, measuring = households(base)
    figures = {"data": options.readings.name, "learning": len(learning), "measuring": len(measuring)}
    figures |= {"files": options.files, "harmless_share": HARMLESS_SHARE, "mixes": []}
    for mix in MIXES:
        model = fitted(base, learning, mix.plans(options.files))
        figures["mixes"].append(mix._asdict() | measured(model, base, measuring))
        options.out.write_text(json.dumps(figures, indent=1) + "\n")
    console = Console(highlight=False)
    for made in sheets(figures["mixes"]):
        console.print(made)
    return 0


def households(base: HonestHouseholds) -> list[np.ndarray]:
    """Households to learn from and to measure on, of those that train.py fits its ensemble on."""
    _, ensemble_part, _ = split(len(base.kwh), SEED, HOUSEHOLD_SHARES)
    return [ensemble_part[part] for part in split(len(ensemble_part), SEED, (LEARN_SHARE, 1.0 - LEARN_SHARE))]


def fitted(base: HonestHouseholds, learning: np.ndarray, plans: Sequence[AttackPlan]) -> ReadingModel:
    """A quick ensemble, without the networks of honest consumption."""
    covariates = Covariates.from_consumption(base.days(learning))
    sample = make_sample(make_training_sets(base, learning, covariates, plans, SEED), {})
    return fit_labelled(sample, {}, covariates, SEED, True, lambda _: None)[0]


def measured(model: ReadingModel, base: HonestHouseholds, measuring: np.ndarray) -> dict:
    """Rankings by kind of theft, and shares of suspected honest homes at 5 % false alarms among unchanged ones."""
    found = {}
    for i, (words, plan) in enumerate(MEASURED.items()):
        test = _scored(model, base, measuring, [plan] * TEST_SETS, SEED + 2 + i)
        found[words] = {"n": len(test.score), "n_thieves": int(test.label.sum())}
        found[words] |= reading_metrics.ranking(test.label, test.score, test.household)
    return {"thefts": found, "suspected": suspected(model, base, measuring)}


class Scored(NamedTuple):
    """Attacked clients with their scores. [kind: the pattern, the harmless change, or honest]"""

    score: np.ndarray
    label: np.ndarray
    household: np.ndarray
    kind: np.ndarray


def _scored(
    model: ReadingModel, base: HonestHouseholds, measuring: np.ndarray, plans: Sequence[AttackPlan], seed: int
) -> Scored:
    files = make_training_sets(base, measuring, model.surroundings, plans, seed)
    sample = make_sample(files, model.networks)
    kind = np.concatenate([file.kind for file in files])
    return Scored(model.log_ratio(sample.evidence), sample.label, sample.household, kind)


def suspected(model: ReadingModel, base: HonestHouseholds, measuring: np.ndarray) -> dict:
    """Shares of homes that reach the score which 5 % of unchanged homes reach. [{kind: {n, value, interval}}]"""
    honest = _scored(model, base, measuring, [UNCHANGED] * TEST_SETS, SEED + 7)
    changed = _scored(model, base, measuring, [CHANGED] * HARMLESS_SETS, SEED + 8)
    stolen = _scored(model, base, measuring, [PUBLISHED] * HARMLESS_SETS, SEED + 9)
    threshold = reading_metrics.score_at_rate(honest.score, reading_metrics.RATES[0])
    of_kind = {HONEST: honest.score, "all": changed.score}
    of_kind |= {name: changed.score[changed.kind == name] for name in HARMLESS}
    of_kind["subtract"] = stolen.score[stolen.kind == "subtract"]
    return {name: _share(score >= threshold) for name, score in of_kind.items()}


def _share(reached: np.ndarray) -> dict:
    return {"n": len(reached)} | share_estimate(float(reached.sum()), len(reached))


# --- tables -----------------------------------------------------------------------------------------------------------


def sheets(mixes: Sequence[dict]) -> Iterator[Sheet]:
    """One table of rankings and one of suspected homes."""
    names = ("roc_auc", *(f"recall_at_{rate:.0%}" for rate in reading_metrics.RATES))
    made = Sheet("trained on", "thefts", *(name.replace("_", " ") for name in names), box=None, pad_edge=False)
    for mix in mixes:
        for words, row in mix["thefts"].items():
            made.add_row(mix["name"], words, *(_words(row[name]["value"], row[name]["interval"]) for name in names))
    yield made
    kinds = tuple(mixes[0]["suspected"])
    made = Sheet("suspected", *(mix["name"] for mix in mixes), box=None, pad_edge=False)
    for kind in kinds:
        rows = (mix["suspected"][kind] for mix in mixes)
        made.add_row(kind.replace("_", " "), *(_words(row["value"], row["interval"]) for row in rows))
    ratios = (mix["suspected"]["all"]["value"] / mix["suspected"][HONEST]["value"] for mix in mixes)
    made.add_row("changed over unchanged", *(f"{ratio:.2f}" for ratio in ratios))
    yield made


def _words(value: float, interval: Sequence[float]) -> str:
    return "{:.3f} ({:.3f} to {:.3f})".format(value, *interval)


if __name__ == "__main__":
    raise SystemExit(main())
