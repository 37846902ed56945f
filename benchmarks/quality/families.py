"""What each family of evidence gains: a model with all inputs against the same model without the family.

    python -m benchmarks.quality.families data/archive.zip    both views; writes benchmarks/results/families.md
    python -m benchmarks.quality.families data/sample.zip --quick --out families.md

In:  clients and invoices with labels; a view.
Out: per view a table of the ROC-AUC, PR-AUC and precision in the top 1 % lost without the family, with the 95 %
     interval of the paired difference.
Exit codes: 0 done, 2 the data cannot be used (one sentence on stderr), 130 stopped by Ctrl-C.

One split by client; a row is the mean of several XGBoost models, fitted as the ensemble's member is. The interval
covers the sampling of test clients only. The row that leaves nothing out shows the variation of the fit: it samples
other columns and clients for its trees. A family that another one can replace gains little, however predictive.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.helpers.commands import exit_code
from fairmeter.cli.console import fitting_progress, print_lines
from fairmeter.cli.train_options import default_sources
from fairmeter.core.environment import configure_numeric_libraries
from fairmeter.core.types import FeatureMatrix
from fairmeter.data import cleaning
from fairmeter.data.files import TableError
from fairmeter.data.tables import read_tables
from fairmeter.evaluation.metrics import RESAMPLES, CumulativeHits, bootstrap, cumulative_hits, percentiles, ratio
from fairmeter.features.invoices.matrix import AGGREGATES_BLOCK, FEATURES, METER_GROUP_KEYS, client_features
from fairmeter.models.fraud_model import ACCOUNT_FEATURES
from fairmeter.training.dataset import VIEWS, Dataset, TrainingError
from fairmeter.training.ensemble_fitting import (
    DETECTOR_FEATURES,
    MEMBER_SEED,
    EnsembleConfig,
    fit_inputs,
)
from fairmeter.training.invoice_pipeline import ensemble_config, read_dataset
from fairmeter.training.member_fitting import fit_xgboost
from fairmeter.training.options import SEED, TEST_PARTS
from fairmeter.training.validation.invoices import CLIENT_SETS, TestSplit, splits

OUT = Path(__file__).resolve().parents[1] / "results" / "families.md"
TOP = 0.01  # share of the clients
FIGURES = ("ROC-AUC", "PR-AUC", f"precision, top {TOP:.0%}")

ENERGY = "(elec|gas)_"
PEERS = "_against_peers"
BY_METER = "|".join(METER_GROUP_KEYS)
OF_METERS = "|".join(feature.name for feature in FEATURES if feature.after_detection)
# Each by the names of its inputs, whole; a feature takes its deviation from the peers along.
FAMILIES = {
    "how much is used": f"{ENERGY}(consumption|monthly|level|daily|level_\\d|level_1_share|level_2_monthly)_"
    "(mean|std|skew|last|min|max|median|q\\d+)"
    f"|{ENERGY}total(_monthly|_level_\\d_share)?|(consumption_level_\\d|total_consumption)_(mean|std|min|max)",
    "change against earlier invoices": f"{ENERGY}(change|jump|off_average|fall|rise|same)_.*",
    "change against the same season a year before": f"{ENERGY}(year_on_year|yearly_fall)_.*",
    "change points and trends": f"{ENERGY}(split_.*|halves_change|last_3_change|slope|persistence)",
    "zero, near zero, upper price levels: how often, how long": f"{ENERGY}(zero|near_zero|level_[234])_"
    "(n|share|longest|lately)",
    "gaps and coverage": f"{ENERGY}((gap|gap_excess|months|not_4_months|off_cycle|late)_.*|total_months|coverage)"
    "|months_(mean|std|min|max)",
    "years back": f"{ENERGY}year_\\d_.*",
    "seasons": f"{ENERGY}(winter|spring|summer|autumn)_.*",
    "remarks and tariffs": f"{ENERGY}(remark|tariff)_.*|n_tariffs",
    "discrepancies inside an invoice": f"{ENERGY}(mismatch|rollback|stall)_.*",
    "gas": "gas_.*",
    "neighbours: reading route": "neighbours_(route_day|route_step|first_day)_.*",
    "neighbours: creation": "neighbours_created_(day|month|year)_.*",
    "neighbours: place and tariff": "neighbours_(place|tariff)_.*",
    "neighbours: meters": f"neighbours_({BY_METER})_.*",
    "neighbours, all": "neighbours_.*",
    "mates of the day": "mates_.*",
    "single invoices": "invoice_trees_.*",
    "first price level, both energies, uncommon periods": "full_level_1_.*|both_.*|(electricity|gas)_alone_share"
    "|(odd|long)_period_.*|gap_variation|period_.*_n",
    "peers": f".*{PEERS}",
    "detectors": "|".join(DETECTOR_FEATURES),
    "place and category": "category|region|district",
    "account history": "created_on|age_months|first_invoice_after|n_before_creation|n_invoices|n_invoice_dates"
    f"|(first|last)_invoice_on|{ENERGY}(n|first_on|last_on|span)",
    "meters, their codes and coefficients": f"(?=({OF_METERS})$){ENERGY}(meter|coefficient|log_meter)_.*",
    "index from one invoice to the next": f"(?=({OF_METERS})$){ENERGY}(?!meter|coefficient|log_meter).*",
}
OLDER = "|".join((*(feature.name for feature in AGGREGATES_BLOCK.features), *ACCOUNT_FEATURES))
DATES_RULE = "day_and_month_swapped"  # of fairmeter/data/cleaning.py


class Matrices(NamedTuple):
    """What a member sees of the split's clients. [float32, (clients, len(names))]"""

    names: tuple[str, ...]
    train: np.ndarray
    test: np.ndarray


class Trial(NamedTuple):
    """What is left out, and what the models see instead. [left_out: mask of the inputs]"""

    family: str
    inputs: Matrices
    left_out: np.ndarray
    first_seed: int = MEMBER_SEED


class Lost(NamedTuple):
    """What models lack without some inputs, in FIGURES, with intervals [(3,), (3, 2)]. [n: inputs left out]"""

    family: str
    n: int
    lost: np.ndarray
    intervals: np.ndarray


def main(arguments: list[str] | None = None) -> int:
    configure_numeric_libraries()
    options = parsed(arguments)
    return exit_code(lambda: run(options), TableError, TrainingError)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="families.py", description="What each family of evidence gains.")
    parser.add_argument("data", nargs="*", type=Path, help="a zip, a folder, or files (as train.py)")
    parser.add_argument("--view", choices=VIEWS, action="append", help="one of them; again for another (both)")
    parser.add_argument("--quick", action="store_true", help="small models: a trial")
    parser.add_argument("--fits", type=int, default=2, help="models a row, of which the mean is given (2)")
    parser.add_argument("--out", type=Path, default=OUT, help="a Markdown file (benchmarks/results/families.md)")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """Reads twice, fits for each family, writes after each view."""
    data = default_sources(tuple(options.data))
    dataset, as_given = read_dataset(data), evidence_without_rule(data, DATES_RULE)
    parts = [HEAD]
    for view in options.view or VIEWS:
        parts.append(of_view(dataset, as_given, view, options))
        options.out.write_text("\n".join(parts))
        print_lines(parts[-1])


# --- dates as given ---------------------------------------------------------------------------------------------------


def evidence_without_rule(data: tuple[Path, ...], flag: str) -> FeatureMatrix:
    """The clients' evidence where one rule of cleaning is left out; the clients are those of read_dataset()."""
    with without_rule(flag):
        tables = read_tables(*data)
    return client_features(tables.clients, tables.invoices)


@contextmanager
def without_rule(flag: str) -> Iterator[None]:
    """Tables are cleaned by all other rules. Nothing but this comparison wants that, so the rooms do not offer it."""
    rules = cleaning.INVOICE_RULES
    others = tuple(rule for rule in rules if rule.flag != flag)
    if len(others) == len(rules):
        raise ValueError(f"No rule raises {flag}; there are {[rule.flag for rule in rules]}.")
    cleaning.INVOICE_RULES = others
    try:
        yield
    finally:
        cleaning.INVOICE_RULES = rules


# --- fitting ----------------------------------------------------------------------------------------------------------


def of_view(dataset: Dataset, as_given: FeatureMatrix, view: str, options: argparse.Namespace) -> str:
    """The section of a view, in Markdown. Raises TrainingError."""
    split = splits(dataset, view, TEST_PARTS, SEED)[0]
    plan = replace(ensemble_config(view, options.quick), members=("xgboost",), quick=True)  # only its inputs are taken
    inputs, other = (matrices(evidence, split, dataset.label, plan) for evidence in (dataset.evidence, as_given))
    with fitting_progress(len(FAMILIES) + 4) as on_step:

        def measured(trial: Trial) -> tuple[np.ndarray, np.ndarray]:
            on_step(f"without {trial.family}")
            return figures_of(dataset.label[split.test], scores(trial, dataset.label[split.train], options))

        whole, *others = [(trial, measured(trial)) for trial in trials(inputs, other, options.fits)]
    rows = [lost(trial, reached, whole[1]) for trial, reached in others]
    return section(dataset, split, whole[1], rows)


def trials(inputs: Matrices, as_given: Matrices, fits: int) -> Iterator[Trial]:
    """All inputs first. A family none of whose inputs this view sees is passed over."""
    none = np.zeros(len(inputs.names), bool)
    yield Trial("nothing", inputs, none)
    yield Trial("dates put right", as_given, none)
    for family in FAMILIES:
        columns = columns_of(family, inputs.names)
        if columns.any():
            yield Trial(family, inputs, columns)
    yield Trial("all but what older scripts send", inputs, ~matching(OLDER, inputs.names))
    yield Trial("nothing: the same inputs, other draws in the fit", inputs, none, MEMBER_SEED + fits)


def matrices(evidence: FeatureMatrix, split: TestSplit, label: np.ndarray, plan: EnsembleConfig) -> Matrices:
    """As training makes them: fitted on the training clients, whose columns from labels come out of fold."""
    inputs, train = fit_inputs(evidence.of(split.train), label[split.train], plan, SEED)
    return Matrices(inputs.names, train, inputs.matrix(evidence.of(split.test)))


def scores(trial: Trial, label: np.ndarray, options: argparse.Namespace) -> np.ndarray:
    """Of the test clients, by each of the models. [float32, (fits, clients)]"""
    train, test = trial.inputs.train[:, ~trial.left_out], trial.inputs.test[:, ~trial.left_out]
    seeds = range(trial.first_seed, trial.first_seed + options.fits)
    models = (fit_xgboost(train, label, seed, options.quick).native for seed in seeds)
    return np.array([model.predict_proba(test)[:, 1] for model in models])


def columns_of(family: str, names: tuple[str, ...]) -> np.ndarray:
    """Which inputs belong to the family, or are deviations from peers in one that does. [mask]"""
    return matching(FAMILIES[family], names) | matching(FAMILIES[family], tuple(n.removesuffix(PEERS) for n in names))


def matching(pattern: str, names: tuple[str, ...]) -> np.ndarray:
    return np.array([re.fullmatch(pattern, name) is not None for name in names])


# --- measuring --------------------------------------------------------------------------------------------------------


def lost(trial: Trial, reached: tuple[np.ndarray, np.ndarray], whole: tuple[np.ndarray, np.ndarray]) -> Lost:
    """Both were resampled with the same clients, so the difference is a paired one. [as figures_of() gives them]"""
    difference, draws = (with_it - without for with_it, without in zip(whole, reached, strict=True))
    intervals = np.array([percentiles(of_figure) for of_figure in draws.T])
    return Lost(trial.family, int(trial.left_out.sum()), difference, intervals)


def figures_of(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The models' mean FIGURES, and the same resampled. [scores: (fits, clients) -> (3,), (resamples, 3)]"""
    weights = np.ones(len(truth))
    values = [figures(cumulative_hits(truth, score), weights) for score in scores]
    return np.mean(values, axis=0), np.mean([bootstrap(truth, score, figures) for score in scores], axis=0)


def figures(steps: CumulativeHits, _weights: np.ndarray) -> list[float]:
    hits, others = np.append(0, steps.hits), np.append(0, steps.n - steps.hits)
    roc_auc = ratio(np.trapezoid(hits, others), hits[-1] * others[-1])
    return [float(roc_auc), steps.pr_auc(), *steps.precision_at([TOP])]


# --- what is written --------------------------------------------------------------------------------------------------

HEAD = f"""# What each family of evidence gains

Made by `python -m benchmarks.quality.families`. A row is the mean of a few XGBoost models, fitted as the ensemble's
member is on four fifths of a view's clients and measured on the last fifth. The figures are what is lost without the
family, with the 95 % interval of the paired difference ({RESAMPLES} resamples of the test clients); above 0 the family
helps. The interval covers the sampling of test clients only: the row that leaves nothing out shows the variation of the
fit. What another family can replace gains little here, however predictive it is by itself.
"""


def section(dataset: Dataset, split: TestSplit, whole: tuple[np.ndarray, np.ndarray], rows: list[Lost]) -> str:
    intervals = [percentiles(draws) for draws in whole[1].T]
    reached = ", ".join(
        f"{name} {value:.3f} ({low:.3f} to {high:.3f})"
        for name, value, (low, high) in zip(FIGURES, whole[0], intervals, strict=True)
    )
    lines = [
        f"## {split.view}, {CLIENT_SETS[split.view]}",
        "",
        f"{dataset.name}: fitted on {len(split.train):,} clients, measured on {len(split.test):,}.",
        f"All inputs: {reached}.",
        "",
        f"| left out | inputs | {' | '.join(FIGURES)} |",
        "|---|---:|---:|---:|---:|",
        *(line(row) for row in rows),
    ]
    return "\n".join(lines) + "\n"


def line(row: Lost) -> str:
    cells = [
        f"{lost:+.4f} ({low:+.4f} to {high:+.4f})" for lost, (low, high) in zip(row.lost, row.intervals, strict=True)
    ]
    return f"| {row.family} | {row.n or ''} | {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
