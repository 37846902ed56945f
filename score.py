"""A whole client base -> one ranked list: `python score.py archive.zip`; with --visits also an inspection list.

In:  clients and invoices, readings, or all three (data/README.md, 'Input tables'; labels are not needed); model.bin.
Out: scores.csv, or Parquet where --out ends so: client_id, score, rank, severity, reason_1..3, expected_recovery_kwh,
     quality, anomalies. Sorted by rank; clients with too little history come last, without score and rank.
     With --visits or --false-alarms also visits.csv, a row a visit; with --transformers balance.csv, a row a
     transformer; with --report report.html and drift.json; with --store the desk's database, in one transaction.
     docs/inspections.md describes the columns. In CSV no text is a formula.
With --check nothing is scored: what is in the files, on one screen; 0 fine, 1 to be looked at, 2 cannot be used.
With --guess-map nothing is scored: a map for these files, to be corrected.
Exit codes: 0 done, 2 the input, the model or a file cannot be used (one sentence on stderr), 130 stopped by Ctrl-C.
"""

import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
from pydantic import ValidationError
from rich.progress import Progress

from fairmeter.analysis.energy_balance import EnergyBalances, balance_columns
from fairmeter.cli.score import inspections
from fairmeter.cli.score import partitioned as partitioned_run
from fairmeter.cli.score.console import (
    PipedConsole,
    discard_output,
    print_drift,
    print_incidents,
    print_overlap,
    print_quality,
    print_summary,
    print_unlike,
    print_unused,
    progress,
)
from fairmeter.cli.score.inspections import ListError
from fairmeter.cli.score.options import ScoringOptions, parse
from fairmeter.cli.score.visit_tables import print_list, print_worth
from fairmeter.cli.settings import CommandSettings, describe_invalid
from fairmeter.core.types import Score
from fairmeter.data.exogenous import Exogenous
from fairmeter.data.files import TableError
from fairmeter.data.maps import DataMap, map_of_files
from fairmeter.data.maps.mapped_base import read_mapped_exogenous
from fairmeter.data.partitioned.reading_parts import DiskSpace
from fairmeter.data.partitioned.spark import SparkError
from fairmeter.data.writers import OutputError, writable, writable_folder, write
from fairmeter.evaluation.drift import list_overlap
from fairmeter.features.invoices.matrix import FEATURE_NAMES
from fairmeter.models import model_file
from fairmeter.models.fraud_model import FraudModel
from fairmeter.models.model_file import ModelError
from fairmeter.planning.exclusions import check_exclusions, read_exclusions
from fairmeter.planning.list_files import COLUMN_TYPES, read_list, score_columns, visit_columns
from fairmeter.scoring.incidents import counted_incidents
from fairmeter.scoring.inputs import read_balances, read_client_base
from fairmeter.scoring.population import ClientBase
from fairmeter.scoring.population_drift import DriftMonitor
from fairmeter.scoring.ranking import ranked_rows, rows_with_reasons
from fairmeter.scoring.run_claims import as_claimed

BAD_USE, STOPPED = 2, 130  # exit codes, the latter a shell's for Ctrl-C


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        if options.guess_map:
            from fairmeter.data.guess import guess_map  # reads its vocabulary

            print(guess_map(options.files), flush=True)
            return 0
        if options.check:
            return check(options)
        settings = CommandSettings.from_environment()
        if options.is_partitioned:
            partitioned_run.check_partitioned(options)
        if options.is_partitioned and not partitioned_run.has_readings_to_score(options):
            partitioned_run.run_partitioned(options, settings, load_model(options, settings))
        else:
            run(options, settings)
    except ValidationError as error:
        print(describe_invalid(error), file=sys.stderr)
        return BAD_USE
    except (TableError, ModelError, OutputError, ListError, SparkError) as error:
        print(error, file=sys.stderr)
        return BAD_USE
    except BrokenPipeError:  # the reader of the output, such as head, has ended
        discard_output()
        return 0
    except KeyboardInterrupt:
        print(f"Stopped; {options.out} is as it was.", file=sys.stderr)
        return STOPPED
    return 0


def check(options: ScoringOptions) -> int:
    """Print what is in the files, and with --report write check.html. The exit code says how it looks."""
    from fairmeter.checks.check_files import check_files  # these load Jinja2, which lists do not need
    from fairmeter.cli.check import print_check
    from fairmeter.reports.check_report import write_check_report

    report = None if options.report is None else writable_folder(options.report)
    data_map = map_of_files(options.map, options.sources, options.readings)
    partitioned_run.check_memory(options)
    with progress() as bar, partitioned_run.disk_space(options, bar) as space:
        bar.add_task("Reading", total=None)
        named = options.clients, options.invoices, options.readings
        found = check_files(options.sources, data_map, *named, space)
    print_check(found, report, PipedConsole(highlight=False))
    if report is not None:
        write_check_report(found, report)
    return found.exit_code


class OutputFiles(NamedTuple):
    """Where a run writes; checked before the work, not after it."""

    scores: Path
    visits: Path | None
    balances: Path | None
    report: Path | None


def run(options: ScoringOptions, settings: CommandSettings) -> None:
    """Check, read, score, plan visits, explain, write, and print what was found."""
    files = output_files(options)
    model = load_model(options, settings)
    store = open_store(settings) if options.store else None
    inspections.check_false_alarms(model, options)
    exclusions = read_exclusions(options.leave_out)
    former = None if options.former is None else read_list(options.former)
    data_map = map_of_files(options.map, options.sources, options.readings)
    exogenous = read_mapped_exogenous(data_map, tuple(options.sources), options.weather, options.holidays)
    console = PipedConsole(highlight=False)

    with progress() as bar, partitioned_run.disk_space(options, bar) as space:
        base, balances = read_base(options, model, exogenous, bar, data_map, space)
        left_out = check_exclusions(exclusions, base.tables.clients["client_id"].tolist(), options.leave_out)
        is_whole = bool(files.report or options.store)
        monitor = DriftMonitor(model, None if is_whole else len(base.tables.quality))
        started = perf_counter()
        scores = score_clients(base, options, monitor, bar)
        seconds = perf_counter() - started
        scores, drift = as_claimed(scores, monitor.drift())
        inspections.check_ranks(drift, options)
        selection = inspections.select_by_false_alarms(scores, model, options)
        visits = inspections.plan_inspections(scores, base.tables.clients, options, exclusions, selection)
        rows = rows_with_reasons(scores) if visits is None else np.array([v.row for v in visits], dtype=np.int64)
        bar.add_task("Finding reasons", total=None)
        scores = base.with_reasons(scores, np.sort(rows))

    ranks = ranked_rows(scores)
    overlap = None if former is None else list_overlap(_ids_by_rank(scores, ranks), former)
    print_quality([*base.tables.flags, *left_out], console)
    incidents = counted_incidents(base.tables.incidents, scores)
    print_incidents(incidents, console)
    print_unused(exogenous, base, console)
    if visits is not None:
        write(visit_columns(visits, scores, ranks), files.visits, COLUMN_TYPES)
    write(score_columns([scores[row] for row in ranks]), files.scores, COLUMN_TYPES)
    if files.balances is not None:
        write(balance_columns(balances.rows), files.balances)
    if store is not None:
        details = {"balances": balances, "drift": drift, "weather": exogenous.weather}
        details |= {"incidents": incidents, "accept_fewer": options.accept_fewer}
        save_scores(store, scores, base, console, **details)
    print_summary(Counter(score.severity for score in scores), seconds, options.out, console)
    print_worth(scores, options.visits, options.cost, options.price, console)
    if visits is not None:
        print_list(visits, selection, options.visits, options.list, console)
    print_overlap(overlap, console)
    print_unlike(drift, console)
    if is_whole:
        print_drift(drift, console)
    if files.report:
        from fairmeter.reports.scoring_report import write_scoring_report  # loads Jinja2, which lists do not need

        write_scoring_report(run_facts(scores, base, drift, overlap, options), files.report)


def output_files(options: ScoringOptions) -> OutputFiles:
    """Raises OutputError for a place that cannot be written to, or that is read."""
    inputs = [*options.sources, options.clients, options.invoices, options.readings, options.weather, options.leave_out]
    scores = writable(options.out, inputs)
    visits = writable(options.list, [*inputs, scores]) if options.has_list else None
    inputs.append(options.transformers)
    balances = writable(options.out.with_name("balance.csv"), inputs) if options.transformers else None
    return OutputFiles(scores, visits, balances, writable_folder(options.report) if options.report else None)


def read_base(
    options: ScoringOptions,
    model: FraudModel,
    exogenous: Exogenous,
    bar: Progress,
    data_map: DataMap | None = None,
    space: DiskSpace | None = None,
) -> tuple[ClientBase, EnergyBalances | None]:
    """The client base as the model scores it, and where its transformers' energy went. Raises TableError, ListError."""
    step = bar.add_task("Reading", total=None)
    named = options.clients, options.invoices, options.readings
    tables, days = read_client_base(options.sources, *named, data_map, space)
    inspections.check_transformers(options, tables.clients, days is not None)
    balances = read_balances(options.sources, options.transformers, tables, days, data_map)
    base = ClientBase.from_tables(model, tables, days, exogenous, balances and balances.losses)
    inspections.check_routes(options, tables.clients)
    bar.remove_task(step)
    return base, balances


def score_clients(base: ClientBase, options: ScoringOptions, monitor: DriftMonitor, bar: Progress) -> list[Score]:
    """A score for each client, in the order of the table."""
    step = bar.add_task("Scoring clients", total=len(base.tables.quality))
    scores: list[Score] = []
    for part in base.scored(options.billable_months, monitor.add):
        scores += part
        bar.advance(step, len(part))
    return scores


def _ids_by_rank(scores: list[Score], ranks: list[int]) -> list[str]:
    return [scores[row].client_id for row in ranks if scores[row].value is not None]


def load_model(options: ScoringOptions, settings: CommandSettings) -> FraudModel:
    """The model of --model or of the settings, its features those of this program. Raises ModelError."""
    path = options.model or settings.model_file
    model = model_file.load(path, settings.key)
    model_file.check_features(model, FEATURE_NAMES, path)
    return model


def open_store(settings: CommandSettings):
    """The desk's store, opened now rather than after the work. Raises OutputError."""
    from fairmeter.cli.score import desk_output  # brings SQLAlchemy, which scoring into files does without

    return desk_output.open_store(settings)


def save_scores(store, *args, **details) -> None:
    """As desk_output.save_scores. Raises OutputError."""
    from fairmeter.cli.score import desk_output

    desk_output.save_scores(store, *args, **details)


def run_facts(
    scores: list[Score], base: ClientBase, drift: dict, overlap: list[dict] | None, options: ScoringOptions
) -> dict:
    """What the scoring report shows of this run."""
    read = [*options.sources, *filter(None, (options.clients, options.invoices, options.readings))]
    return {
        "scored_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": ", ".join(path.name for path in read),
        "n_by_severity": Counter(score.severity for score in scores),
        "n_suspected": sum(score.is_suspected for score in scores),
        "drift": drift,
        "stability": overlap,
        "former": options.former and options.former.name,
        "model": {name: base.model.manifest.get(name) for name in ("version", "trained_at")},
    }


if __name__ == "__main__":
    sys.exit(main())
