"""Tables -> features -> members -> stack -> calibrate -> threshold -> report -> model.bin.

    python train.py data/archive.zip              one test part of a fifth, then the model on all clients
    python train.py data/archive.zip --validate   five outer folds of both views; writes the report, no model

In:  clients and invoices (a zip, a folder, or files; see data/README.md), a view.
Out: model.bin with its checksum; report/ with metrics.json, report.html and a model card.
Exit codes: 0 done, 2 the data or a place to write cannot be used (one sentence on stderr), 130 stopped by Ctrl-C.
Whatever stops it, model.bin is the old one or the whole new one.
"""

import argparse
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fairmeter.data.exogenous import NO_EXOGENOUS, Exogenous, read_almanac
from fairmeter.data.files import TableError
from fairmeter.data.partitioned.spark import SparkError
from fairmeter.data.readings import ReadingTables, has_readings, read_readings
from fairmeter.data.tables import read_tables
from fairmeter.explanation.meanings import described
from fairmeter.features.invoices.matrix import (
    AGGREGATES_BLOCK,
    CELLS,
    FEATURE_NAMES,
    FEATURES,
    METER_CELLS,
    client_features,
)
from fairmeter.features.readings.covariates import TransformerLosses
from fairmeter.models import model_file
from fairmeter.models.fraud_model import OF_THE_ACCOUNT, FraudModel
from fairmeter.models.model_file import ModelError
from fairmeter.reports.training_report import write_report
from fairmeter.scoring.population_drift import fingerprints
from fairmeter.training import reading_pipeline
from fairmeter.training.dataset import PROSPECTIVE, VIEWS, Dataset, TrainingError
from fairmeter.training.ensemble_fitting import LOOKS_AT, STACK_FOLDS, EnsembleConfig, Fitted, fit_ensemble
from fairmeter.training.inspection_labels import InspectionLabels, beside, until_visits, weights_in_words, with_stored
from fairmeter.training.manifest import HOW, KEPT_SILENT, manifest_of, next_version
from fairmeter.training.member_fitting import TREES
from fairmeter.training.validation import invoices
from fairmeter.training.validation.inspections import visits_measured
from fairmeter.training.validation.invoices import TestSplit
from fairmeter.training.validation.readings import ATTACKS

ARCHIVE, SAMPLE = Path("data/archive.zip"), Path("data/sample.zip")
TEST_PARTS = 5  # one part is kept for measuring
SEED = 20261101
# Precision that out-of-fold scores kept from each cut-off on, with 95 % certainty; below the last one is "low".
PROMISES = {"critical": 0.5, "high": 0.3, "medium": 0.15}
MISSING_SHARE = 0.3  # of the aggregates, hidden in training: older scripts send some of them
DATABASE_URL = os.environ.get("DATABASE_URL")  # of the desk, for --store
MODEL_KEY = os.environ.get("MODEL_KEY", "").encode() or None  # with it, the model is signed
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin while they wait take a shared machine's cores
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # else TensorFlow tells of its processor instructions
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # else its sums differ from one kind of processor to another
CANNOT, STOPPED = 2, 130  # exit codes, the latter a shell's for Ctrl-C

READING_STEPS = 24  # fits, about
# Of gas, which fewer than half of the clients have: tried without these on one fold, the members ranked no worse.
FINE_OF_GAS = ("skew", "q10", "q25", "median", "q75", "q90", "longest", "lately", "upper", "n_zero")
AGGREGATE_NAMES = (*(feature.name for feature in AGGREGATES_BLOCK.features), *OF_THE_ACCOUNT)
Tell = Callable[[str], None]
console = Console(highlight=False, markup=False)


def main(arguments: list[str] | None = None) -> int:
    options = parsed(arguments)
    try:
        run(options)
    except (TableError, TrainingError, ModelError, SparkError) as error:
        print(error, file=sys.stderr)
        return CANNOT
    except OSError as error:
        place = error.filename or options.out
        print(f"{place} cannot be written ({error.strerror}); {options.out} is as it was.", file=sys.stderr)
        return CANNOT
    except KeyboardInterrupt:
        print(f"Stopped; {options.out} is as it was.", file=sys.stderr)
        return STOPPED
    return 0


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="train.py", description="Fits the model and writes model.bin and report/.")
    add = parser.add_argument
    add("data", nargs="*", type=Path, help=f"a zip, a folder, or files ({ARCHIVE}, else {SAMPLE})")
    add("--view", choices=VIEWS, default=PROSPECTIVE, help="prospective leaves out what may follow a detection")
    add("--readings", type=Path, help="smart-meter readings: a zip, a folder or a file; alone, only these are learnt")
    add("--weather", type=Path, help="a file with a date and a temperature a row, for the days of the readings")
    add("--holidays", metavar="FILE_OR_COUNTRY", help="a file with a date a row, or a country's code: GB or GB-ENG")
    add("--attack", action="store_true", help="take the readings for honest, and attack half of them to learn from")
    add("--onto", type=Path, metavar="MODEL", help="a model whose ensembles on invoices stay; readings are added")
    add("--store", nargs="?", const="", metavar="URL", help="learn from the desk's visits too (URL: DATABASE_URL)")
    add("--only-visits", action="store_true", help="of these alone: labels of the data are left out")
    add("--spark", metavar="MASTER", help="make the features of invoices on Apache Spark: local[*], spark://HOST:7077")
    add("--quick", action="store_true", help="small members, for a first look: under a minute on the sample")
    add("--out", type=Path, default=Path("model.bin"))
    add("--report", type=Path, default=Path("report"), help="a folder")
    add("--validate", action="store_true", help="five outer folds, for invoices of both views; writes the report only")
    options = parser.parse_args(arguments)
    if (options.attack or options.onto) and not options.readings:
        parser.error("--attack and --onto go with --readings")
    if options.onto and options.data:
        parser.error("--onto takes the place of invoices: leave out what they were to be learnt from")
    if options.store is None and options.only_visits:
        parser.error("--only-visits goes with --store")
    if options.store is not None and (options.attack or options.spark):
        parser.error("--store goes neither with --attack, which needs no label, nor with --spark")
    if options.store is not None and options.readings and not (options.data or options.onto):
        parser.error(
            "--store goes with invoices, or with --onto a model of them: visits alone tell no share of thieves"
        )
    options.command = command_of(sys.argv[1:] if arguments is None else arguments)
    return options


def command_of(arguments: list[str]) -> str:
    """For the model card: files by their names alone, for where they are is nobody's business."""
    arguments = [re.sub(r"[\w+]+://.*", "URL", word) for word in arguments]  # may hold a password
    return shlex.join(["python", "train.py", *(re.sub("[^=]*/(?=.)", "", word) for word in arguments)])


def run(options: argparse.Namespace) -> None:
    """Reads, fits, measures, writes, and says so."""
    check_places(options)
    started = time.monotonic()
    stamp = {"version": next_version(options.out), "trained_at": datetime.now(UTC).isoformat(timespec="seconds")}
    data = [] if options.readings and not options.data else sources(options.data)
    base = older_model(options.onto) if options.onto else None
    places = places_of_readings(data, options)
    if (options.weather or options.holidays) and not places and options.store is None:
        raise TrainingError("--weather and --holidays go with readings, and there are none; name them with --readings.")
    almanac = read_almanac(options.weather, options.holidays)
    readings = tables_of_readings(places)  # first: it takes seconds to tell what cannot be read
    visits, found = visits_of(options)
    readings = with_stored(readings, visits.readings) if visits else readings
    study = study_of(data, options.spark, visits, options.only_visits) if data else None
    if study:
        metrics, base = from_invoices(study, options, stamp)
    else:
        metrics = {"run": {"view": options.view, "how": []} | stamp, "results": []}
    if visits:
        metrics["run"]["how"] = [*metrics["run"]["how"], *found]
    if readings:
        name = ", ".join(path.name for path in places) or "the desk"
        try:
            readings, as_of = reading_pipeline.with_labels(readings, study, options, visits)
            losses = reading_pipeline.losses_beside(data, study, readings)
            readings = until_visits(readings, as_of)
            metrics, base = with_readings(metrics, base, readings, name, options, stamp, almanac, losses)
        except TrainingError as error:
            if options.readings:
                raise
            say(f"The readings beside the invoices are left out: {error}")
    kept = {"command": options.command} | ({"fingerprints": fingerprints(base)} if base else {})
    write_report(metrics | kept, options.report)
    if not options.validate:
        model_file.save(base, options.out, MODEL_KEY)  # last: what goes wrong before leaves the old model
    say(*(in_words(result) for result in metrics["results"]), *readings_in_words(metrics.get("readings", {})))
    say(f"{options.report}/report.html written; {(time.monotonic() - started) / 60:.1f} minutes.")


def from_invoices(study: Dataset, options: argparse.Namespace, stamp: dict) -> tuple[dict, FraudModel | None]:
    """The metrics, and the model where not --validate."""
    say(study.summary(), *(f"  {flag.text}" for flag in study.tables.flags))
    if options.validate:
        return validated(study, options, stamp), None
    return trained(study, options, stamp)


# --- before and after -------------------------------------------------------------------------------------------------


def check_places(options: argparse.Namespace) -> None:
    """Before half an hour of fitting, not after. Raises TrainingError."""
    for folder in (options.out.resolve().parent, options.report.resolve().parent):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise TrainingError(f"{folder} is no folder that can be written to; choose another with --out or --report.")
    read = [*options.data, *filter(None, [options.readings])]
    if options.out.is_dir() or options.out.resolve() in [path.resolve() for path in read]:
        raise TrainingError(f"{options.out} is a folder or what is read; name a file for the model with --out.")
    if options.report.exists() and not (options.report.is_dir() and os.access(options.report, os.W_OK | os.X_OK)):
        raise TrainingError(f"{options.report} is no folder that can be written to; choose another with --report.")


def sources(given: list[Path]) -> list[Path]:
    if given:
        return given
    if ARCHIVE.exists():
        return [ARCHIVE]
    say(f"{ARCHIVE} is not there (data/README.md says where it comes from): training on the simulated {SAMPLE}.")
    return [SAMPLE]


def visits_of(options: argparse.Namespace) -> tuple[InspectionLabels | None, list[str]]:
    """What the desk's visits found, and the same in words. Raises TrainingError."""
    if options.store is None:
        return None, []
    from fairmeter.desk import training_labels  # brings SQLAlchemy, which training on files does without

    visits, found = training_labels.visits_at(options.store or DATABASE_URL)
    say(*found)
    return visits, found


def study_of(
    data: list[Path], master: str | None = None, visits: InspectionLabels | None = None, only_visits: bool = False
) -> Dataset:
    """Raises TableError, TrainingError, SparkError. [master: of a cluster that makes the features]"""
    if master:
        return study_on_spark(data, master)
    with console.status("Reading tables and making features"):
        tables, name, weight = read_tables(*data), ", ".join(path.name for path in data), None
        if visits:
            tables, weight = beside(visits, tables, only_visits)
            name += " and the desk's visits"
        evidence = client_features(tables.clients, tables.invoices)
    return replace(Dataset.of(name, tables, evidence, FEATURE_NAMES), weight=weight)


def study_on_spark(data: list[Path], master: str) -> Dataset:
    from fairmeter.scoring import partitioned

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # executors need the very libraries that are here
    with console.status("Making features on Spark") as status:

        def tell(what: str, done: int, of: int | None) -> None:
            status.update(f"{what}: {done:,} of {of:,}" if of else what)

        return partitioned.study_on(master, data, tell)


@contextmanager
def progress(steps: int) -> Iterator[Tell]:
    """Gives a function that hears what is about to run, once each step."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("Fitting", total=steps)

        def tell(what: str) -> None:
            bar.update(task, description=f"Fitting {what}")
            bar.advance(task)

        yield tell


def say(*lines: str) -> None:
    console.print(*lines, sep="\n", soft_wrap=True)


def in_words(result: dict) -> str:
    top = result["at_top"][0]
    figures = {
        "ROC-AUC": result["roc_auc"],
        "PR-AUC": result["pr_auc"],
        f"precision in the top {top['share']:.0%}": top["precision"],
        "calibration error": result["calibration_error"],
    }
    measured = ", ".join(f"{name} {estimate_in_words(estimate)}" for name, estimate in figures.items())
    return f"{result['view']}, {result['clients']}: {measured}"


def estimate_in_words(estimate: dict | None) -> str:
    if estimate is None:
        return "unknown"
    interval = " ({:.3f} to {:.3f})".format(*estimate["interval"]) if estimate["interval"] else ""
    return f"{estimate['value']:.3f}{interval}"


# --- fitting and measuring --------------------------------------------------------------------------------------------


def trained(study: Dataset, options: argparse.Namespace, stamp: dict) -> tuple[dict, FraudModel]:
    """The metrics of a model fitted on all but the test part, and the model of all clients."""
    split = invoices.splits(study, options.view, TEST_PARTS, SEED)[0]
    clients = study.clients(options.view)
    with progress(2 * (STACK_FOLDS + 1) * (len(TREES) + 1)) as tell:
        fitted, older = fit_both(study, split.train, options, tell)
        measured = measured_parts(study, split, fitted, older)
        final, final_older = fit_both(study, clients, options, tell)
    manifest = manifest_of(study, clients, final, measured["results"][0], PROMISES) | {"view": options.view} | stamp
    run = run_facts(study) | {"view": options.view, "split": KEPT_BACK} | stamp
    metrics = {"run": run, **measured, "manifest": {k: v for k, v in manifest.items() if k not in KEPT_SILENT}}
    return metrics, FraudModel(final.ensemble, final_older.ensemble, None, manifest)


def measured_parts(study: Dataset, split: TestSplit, fitted: Fitted, older: Fitted) -> dict:
    report = invoices.test_part_report(study, split, fitted, older, PROMISES, SEED)
    importance = invoices.importance(study, split, fitted, described, SEED)
    worth = visits_measured(study, split, fitted, PROMISES, SEED)
    beside = {"importance": importance, "agreement": invoices.agreement(study, split, fitted, SEED)}
    return report | {"visits": worth, **beside, "quality": study.tables.flags}


def validated(study: Dataset, options: argparse.Namespace, stamp: dict) -> dict:
    """Five outer folds of each view: every client is scored once, by a model that has not seen it."""
    results, models = [], []
    with progress((STACK_FOLDS + 1) * len(VIEWS) * TEST_PARTS * len(TREES)) as tell:
        for view in VIEWS:
            plan = plan_of(view, options.quick)
            of_view, rows = invoices.outer_folds(study, view, plan, TEST_PARTS, SEED, tell)
            results += of_view
            models.append(rows)
    run = run_facts(study) | {"view": " and ".join(VIEWS), "split": OUTER_FOLDS} | stamp
    return {"run": run, "results": results, "models": models, "quality": study.tables.flags}


def fit_both(study: Dataset, clients: np.ndarray, options: argparse.Namespace, tell: Tell) -> tuple[Fitted, Fitted]:
    """The ensemble on invoices, and the one on what older scripts send."""
    evidence, label, weight = study.evidence.of(clients), study.label[clients], study.weight_of(clients)
    older = EnsembleConfig(
        names=FEATURE_NAMES,
        seen=AGGREGATE_NAMES,
        members=("xgboost",),
        quick=options.quick,
        missing_share=MISSING_SHARE,
    )
    plans = plan_of(options.view, options.quick), older
    return tuple(fit_ensemble(evidence, label, plan, SEED, tell, weight=weight) for plan in plans)


def is_fine_gas(name: str) -> bool:
    return name.startswith("gas_") and name.endswith(FINE_OF_GAS)


def plan_of(view: str, quick: bool) -> EnsembleConfig:
    seen = tuple(f.name for f in FEATURES if not is_fine_gas(f.name) and (view != PROSPECTIVE or not f.after_detection))
    cells = tuple(name for name in CELLS if view != PROSPECTIVE or name not in METER_CELLS)
    return EnsembleConfig(FEATURE_NAMES, seen, cells, looks_at=LOOKS_AT, has_peers=True, quick=quick)


# --- readings ---------------------------------------------------------------------------------------------------------


def places_of_readings(data: list[Path], options: argparse.Namespace) -> list[Path]:
    """Where to read them from, nowhere where there are none. Raises TableError."""
    if options.readings:
        return [options.readings]
    return data if has_readings(*data) else []


def tables_of_readings(places: list[Path]) -> ReadingTables | None:
    """None where there are no places. Raises TableError."""
    if not places:
        return None
    with console.status("Reading smart-meter readings"):
        return read_readings(*places)


def with_readings(
    metrics: dict,
    base: FraudModel | None,
    tables: ReadingTables,
    name: str,
    options: argparse.Namespace,
    stamp: dict,
    almanac: Exogenous = NO_EXOGENOUS,
    losses: TransformerLosses | None = None,
) -> tuple[dict, FraudModel | None]:
    """Metrics, and the model where not --validate, with the readings' parts. [base: on invoices; name: of readings]"""
    days = reading_pipeline.days_of(tables, name, almanac, options)
    n_known = int(days.segments.filled.sum())
    say(f"{n_known:,} clients with readings.", *(f"  {flag.text}" for flag in tables.flags))
    theft_share = reading_pipeline.theft_share_of(tables.label, base, options)
    with progress(READING_STEPS) as tell:
        how = options, PROMISES, SEED, tell, almanac, losses
        outcome = reading_pipeline.fitted(days, tables.label, theft_share, *how)
    metrics = metrics | {"quality": [*metrics.get("quality", []), *tables.flags]}
    return reading_pipeline.joined(metrics, base, outcome, {"data": name, "n_clients": n_known}, options, stamp)


def older_model(path: Path) -> FraudModel:
    """Without its ensemble on readings, whose features may be older than today's. Raises ModelError."""
    model = replace(model_file.load(path, MODEL_KEY), readings=None)
    model_file.check_features(model, FEATURE_NAMES, path)
    return model


def readings_in_words(metrics: dict) -> Iterator[str]:
    """A line each ranking that was measured on readings."""
    found = {"labelled readings": metrics} | {f"injected thefts, {words}": metrics.get(words) for words in ATTACKS}
    for words, part in found.items():
        ranking = (part or {}).get("ranking")
        if ranking:
            shown = (f"{name.replace('_', ' ')} {estimate_in_words(value)}" for name, value in ranking.items())
            yield f"{words}: {', '.join(shown)}"


# --- what is written down ---------------------------------------------------------------------------------------------

KEPT_BACK = (
    f"Split by client, frauds spread evenly: one part of {TEST_PARTS} was kept back from the fit and measured on. "
    "The model in model.bin was then fitted on all clients of the view."
)
OUTER_FOLDS = (
    f"Split by client, frauds spread evenly: {TEST_PARTS} outer folds, "
    "each client scored by a model that has not seen it."
)


def run_facts(study: Dataset) -> dict:
    weighed = [] if study.weight is None else [weights_in_words(study.weight[~np.isnan(study.label)])]
    return {
        "data": study.name,
        "n_clients": len(study.label),
        "n_invoices": study.n_invoices,
        "fraud_rate": study.fraud_rate,
        "how": [*HOW, *weighed, f"Active: last invoice on or after {np.datetime64(int(study.active_from), 'D')}."],
    }


if __name__ == "__main__":
    sys.exit(main())
