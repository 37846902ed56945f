"""What each kind of evidence on single invoices gains, on all clients and on those without an exchanged meter.

    python -m benchmarks.quality.levers data/archive.zip              writes benchmarks/results/levers.md
    python -m benchmarks.quality.levers data/sample.zip --quick --out levers.md

In:  clients and invoices with labels; the view `prospective`.
Out: a table of what is lost without each kind, with the 95 % interval of the paired difference: ROC-AUC, PR-AUC and
     precision in the top 1 % of all, ROC-AUC and PR-AUC among clients whose meter and code never changed, and the
     ROC-AUC of the score for a recent exchange among honest clients.
Exit codes: 0 done, 2 the data cannot be used (one sentence on stderr), 130 stopped by Ctrl-C.

A kind that gains on all clients and not without an exchange has found the exchange, and is not taken. One XGBoost is
fitted for each row and fold, as the ensemble's member is. Intervals cover the sampling of test clients only.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.helpers.commands import exit_code
from benchmarks.quality.families import FAMILIES, Matrices, matching
from fairmeter.cli.console import print_lines
from fairmeter.cli.train_options import default_sources
from fairmeter.core.environment import configure_numeric_libraries
from fairmeter.data.files import TableError
from fairmeter.data.tables import read_tables
from fairmeter.evaluation.metrics import RESAMPLES, cumulative_hits, percentiles, roc_auc
from fairmeter.features.invoices import series
from fairmeter.features.invoices.matrix import client_features
from fairmeter.training.dataset import PROSPECTIVE, Dataset, TrainingError
from fairmeter.training.ensemble_fitting import MEMBER_SEED, fit_inputs
from fairmeter.training.invoice_pipeline import ensemble_config, read_dataset
from fairmeter.training.member_fitting import fit_xgboost
from fairmeter.training.options import SEED, TEST_PARTS
from fairmeter.training.validation.exchange_guard import exchanged_recently, without_exchange
from fairmeter.training.validation.invoices import TestSplit, splits

OUT = Path(__file__).resolve().parents[1] / "results" / "levers.md"
TOP = 0.01  # share of the clients
FIGURES = (
    "ROC-AUC", "PR-AUC", f"precision, top {TOP:.0%}", "ROC-AUC without exchange", "PR-AUC without exchange",
    "ROC-AUC for an exchange",
)  # fmt: skip
KINDS = ("mates of the day", "single invoices", "first price level, both energies, uncommon periods")
TOGETHER, APART, AGAIN = "all three", "(invoices of one day apart, as before)", "(nothing: other draws in the fit)"


class TestClients(NamedTuple):
    """The clients that one fold measures on."""

    label: np.ndarray
    without_exchange: np.ndarray
    exchanged: np.ndarray

    def figures(self, score: np.ndarray, drawn: np.ndarray | slice = slice(None)) -> list[float]:
        """FIGURES of these clients, or of a sample of them. [drawn: row numbers]"""
        y, never, recent, score = self.label[drawn], self.without_exchange[drawn], self.exchanged[drawn], score[drawn]
        honest, of_all, of_never = y == 0, cumulative_hits(y, score), cumulative_hits(y[never], score[never])
        areas = roc_auc(y, score), roc_auc(y[never], score[never]), roc_auc(recent[honest], score[honest])
        top = float(of_all.precision_at([TOP])[0])
        return [areas[0], of_all.pr_auc(), top, areas[1], of_never.pr_auc(), areas[2]]


class Row(NamedTuple):
    """A kind that is left out, the columns that it has, and its scores, one array for each fold."""

    kind: str
    n: int
    scores: list[np.ndarray]


def main(arguments: list[str] | None = None) -> int:
    configure_numeric_libraries()
    options = parsed(arguments)
    return exit_code(lambda: run(options), TableError, TrainingError)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="levers.py", description="What evidence on single invoices gains.")
    parser.add_argument("data", nargs="*", type=Path, help="a zip, a folder, or files (as train.py)")
    parser.add_argument("--folds", type=int, default=1, help=f"outer folds to measure, up to {TEST_PARTS} (1)")
    parser.add_argument("--quick", action="store_true", help="small models: a trial")
    parser.add_argument("--out", type=Path, default=OUT, help="a Markdown file (benchmarks/results/levers.md)")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    data = default_sources(tuple(options.data))
    dataset = read_dataset(data)
    folds = splits(dataset, PROSPECTIVE, TEST_PARTS, SEED)[: options.folds]
    clients = [test_clients(dataset, split) for split in folds]
    rows = fitted_rows(dataset, apart(data, dataset), folds, options.quick)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(page(dataset, clients, rows), encoding="utf-8")
    print_lines(f"{options.out} written.")


def test_clients(dataset: Dataset, split: TestSplit) -> TestClients:
    marks = dataset.label, without_exchange(dataset), exchanged_recently(dataset)
    return TestClients(*(mark[split.test] for mark in marks))


# --- fitting ----------------------------------------------------------------------------------------------------------


def apart(data: tuple[Path, ...], dataset: Dataset) -> Dataset:
    """The same clients, the invoices of one day apart as before they were summed."""
    with days_apart():
        tables = read_tables(*data)
        return replace(dataset, evidence=client_features(tables.clients, tables.invoices))


@contextmanager
def days_apart() -> Iterator[None]:
    """Features are computed without summing the invoices of one day."""
    summed = series.sum_each_day
    series.sum_each_day = lambda invoices: invoices
    try:
        yield
    finally:
        series.sum_each_day = summed


def fitted_rows(dataset: Dataset, before: Dataset, folds: list[TestSplit], quick: bool) -> list[Row]:
    """Rows of the table, the first of which leaves nothing out."""
    rows: dict[str, Row] = {}
    for split in folds:
        for kind, inputs, left_out, seed in trials(dataset, before, split, quick):
            row = rows.setdefault(kind, Row(kind, int(left_out.sum()), []))
            row.scores.append(score(inputs, ~left_out, dataset.label[split.train], seed, quick))
            print_lines(f"{kind or 'all inputs'}: fold {len(row.scores)} of {len(folds)}")
    return list(rows.values())


def trials(
    dataset: Dataset, before: Dataset, split: TestSplit, quick: bool
) -> Iterator[tuple[str, Matrices, np.ndarray, int]]:
    """What is left out, the inputs, the mask of the columns left out, and the seed of each fit of one fold."""
    inputs = matrices(dataset, split, quick)
    masks = {kind: matching(FAMILIES[kind], inputs.names) for kind in KINDS}
    none = np.zeros(len(inputs.names), bool)
    yield "", inputs, none, MEMBER_SEED
    for kind, mask in masks.items():
        yield kind, inputs, mask, MEMBER_SEED
    yield TOGETHER, inputs, np.any(list(masks.values()), axis=0), MEMBER_SEED
    yield AGAIN, inputs, none, MEMBER_SEED + 1
    yield APART, matrices(before, split, quick), none, MEMBER_SEED


def matrices(dataset: Dataset, split: TestSplit, quick: bool) -> Matrices:
    config, train = ensemble_config(PROSPECTIVE, quick), dataset.evidence.of(split.train)
    inputs, matrix = fit_inputs(train, dataset.label[split.train], config, SEED)
    return Matrices(inputs.names, matrix, inputs.matrix(dataset.evidence.of(split.test)))


def score(inputs: Matrices, used: np.ndarray, label: np.ndarray, seed: int, quick: bool) -> np.ndarray:
    fitted = fit_xgboost(np.ascontiguousarray(inputs.train[:, used]), label, seed, quick)
    return fitted.serving.values(np.ascontiguousarray(inputs.test[:, used]))


# --- measuring --------------------------------------------------------------------------------------------------------


def measured(clients: list[TestClients], scores: list[np.ndarray]) -> np.ndarray:
    """FIGURES, the mean over folds."""
    return np.mean([each.figures(of_fold) for each, of_fold in zip(clients, scores, strict=True)], axis=0)


def resampled(clients: list[TestClients], scores: list[np.ndarray]) -> np.ndarray:
    """FIGURES of samples of the test clients, the same samples for all rows. [(resamples, figures)]"""
    rng, draws = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        drawn = [rng.integers(len(each.label), size=len(each.label)) for each in clients]
        parts = zip(clients, scores, drawn, strict=True)
        draws.append(np.mean([each.figures(of_fold, some) for each, of_fold, some in parts], axis=0))
    return np.array(draws)


# --- what is written --------------------------------------------------------------------------------------------------

HEAD = f"""# What evidence on single invoices gains

Made by `python -m benchmarks.quality.levers`. A row is an XGBoost, fitted as the ensemble's member is, without one kind
of evidence. The figures are what is lost without it, with the 95 % interval of the paired difference ({RESAMPLES}
resamples of the test clients); above 0 the kind helps. The last column is the guard: there a positive difference means
that the kind follows exchanges of meters. Rows in brackets leave nothing out.
"""


def page(dataset: Dataset, clients: list[TestClients], rows: list[Row]) -> str:
    whole, draws = measured(clients, rows[0].scores), resampled(clients, rows[0].scores)
    reached = ", ".join(
        f"{name} {value:.3f} ({low:.3f} to {high:.3f})"
        for name, value, (low, high) in zip(FIGURES, whole, map(percentiles, draws.T), strict=True)
    )
    n = sum(len(each.label) for each in clients)
    head = [HEAD, f"{dataset.name}, {len(clients)} of {TEST_PARTS} folds, {n:,} test clients.", f"All: {reached}.", ""]
    table = [f"| left out | inputs | {' | '.join(FIGURES)} |", f"|---|---:{'|---:' * len(FIGURES)}|"]
    return "\n".join([*head, *table, *(line(clients, row, whole, draws) for row in rows[1:])]) + "\n"


def line(clients: list[TestClients], row: Row, whole: np.ndarray, draws: np.ndarray) -> str:
    lost = whole - measured(clients, row.scores)
    intervals = map(percentiles, (draws - resampled(clients, row.scores)).T)
    cells = [f"{value:+.4f} ({low:+.4f} to {high:+.4f})" for value, (low, high) in zip(lost, intervals, strict=True)]
    return f"| {row.kind} | {row.n or ''} | {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
