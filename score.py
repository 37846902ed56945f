"""A whole client base -> one ranked list: `python score.py archive.zip`; with --visits also an inspection list.

In:  clients and invoices, readings, or all three (data/README.md, 'Input tables'; labels are not needed); model.bin.
Out: scores.csv, or Parquet where --out ends so: client_id, score, rank, severity, reason_1..3, expected_recovery_kwh,
     quality (flags joined by ";"). Sorted by rank; clients with too little history come last, without score and rank.
     Reasons are given to whoever is on the inspection list; without one, to the suspected, from FEWEST to MOST of them.
     With --visits or --false-alarms also visits.csv (--list; CSV or Parquet), a row a visit: visit (1 is the first),
     client_id, drawn_at_random, score, rank, severity, recommendation, at_stake_kwh with at_stake_low_kwh and
     at_stake_high_kwh (if the client steals), estimate (how that was made, in words), expected_net_value with
     net_value_low and net_value_high (probability times worth, less --cost), route (a day's; with --routes),
     reason_1..3, harmless (causes that fit, joined by ";"), quality.
     With --transformers also balance.csv beside it, a row a transformer: where its energy went (docs/data-dictionary.md).
     With --report FOLDER also report.html and drift.json: whether the clients are like those that the model learnt
     from, and with --former how much of the former list stays.
     With --store all of it also goes to the desk's database, in one transaction: profiles, past scores, alerts, and
     the transformers, where their totals are among the sources. With --memory or --spark these are a part of the
     clients: the highest scores (--keep, and whoever has reasons), some drawn at random of all, and whoever the desk
     knows already.
In CSV no text is a formula (fairmeter/data/writers.py).
Exit codes: 0 done, 2 the input, the model or a file cannot be used (one sentence on stderr), 130 stopped by Ctrl-C.
"""

import argparse
import os
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from fairmeter.analysis.energy_balance import EnergyBalances, balances_of, columns_of_balances
from fairmeter.cli.options import amount, bytes_of, share, whole
from fairmeter.cli.visit_tables import print_list, print_worth
from fairmeter.core.types import INSUFFICIENT_HISTORY, SEVERITIES, QualityFlag, Score, Table
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.exogenous import Exogenous, read_almanac
from fairmeter.data.files import TableError
from fairmeter.data.json_records import tables_from_records
from fairmeter.data.partitioned.partitions import find_pieces
from fairmeter.data.partitioned.spark import SparkError
from fairmeter.data.readings import ReadingTables, has_readings, read_readings
from fairmeter.data.tables import Tables, read_tables
from fairmeter.data.transformers import has_transformers, read_transformers
from fairmeter.data.writers import OutputError, writable, writable_folder, write
from fairmeter.evaluation.conformal_selection import ConformalSelection, promised
from fairmeter.evaluation.stability import stability
from fairmeter.features.invoices.matrix import FEATURE_NAMES
from fairmeter.models import model_file
from fairmeter.models.fraud_model import FraudModel
from fairmeter.models.model_file import ModelError
from fairmeter.planning import inspection_list
from fairmeter.planning.exclusions import Exclusions, read_visited
from fairmeter.planning.inspection_list import RANDOM_SHARE, RECENT_DAYS, PlannedVisit
from fairmeter.planning.list_files import COLUMN_TYPES, columns_of, columns_of_list, read_list
from fairmeter.planning.recovery import BILLABLE_MONTHS
from fairmeter.planning.routes import day_routes
from fairmeter.scoring.population import ClientBase
from fairmeter.scoring.population_drift import DriftMonitor, drift_said
from fairmeter.scoring.ranking import SelectionSizes

MODEL_PATH = os.environ.get("MODEL_PATH") or "model.bin"
DATABASE_URL = os.environ.get("DATABASE_URL")  # of the desk, for --store
MODEL_KEY = os.environ.get("MODEL_KEY", "").encode() or None  # with it, an unsigned model is refused
FEWEST, MOST = 100, 1000  # clients with reasons where no list is asked for: a first page, and half a minute's work
DRAWN_SHARE = 0.1  # of --keep: so many more clients, drawn at random, of whom the desk draws its random visits
MOST_KEPT = 50_000  # clients that a walk in parts tells a desk of: each takes 30 kB of memory until they are written
LEAST_MEMORY = 700 * 2**20  # bytes: Python, the libraries, the model and one chunk of clients
BAD_USE, STOPPED = 2, 130  # exit codes, the latter a shell's for Ctrl-C

Quality = list[tuple[QualityFlag, ...]]  # of each client


class ListError(Exception):
    """The inspection list that is asked for cannot be made; one sentence."""


class StoreOutputError(Exception):
    """The desk's database cannot be used; one sentence."""


def main(arguments: list[str] | None = None) -> int:
    options = parsed(arguments)
    try:
        run(options)
    except (TableError, ModelError, OutputError, ListError, StoreOutputError, SparkError) as error:
        print(error, file=sys.stderr)
        return BAD_USE
    except KeyboardInterrupt:
        print(f"Stopped; {options.out} is as it was.", file=sys.stderr)
        return STOPPED
    return 0


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="score.py", description="Ranks all clients by their score.")
    add = parser.add_argument
    add("sources", nargs="*", type=Path, help="a zip, a folder, or the files")
    add("--clients", type=Path, help="the clients' file, whatever its name")
    add("--invoices", type=Path, help="the invoices' file, whatever its name")
    add("--readings", type=Path, help="the file of smart-meter readings; alone, these alone are judged")
    add("--weather", type=Path, help="a file with a date and a temperature a row, for a model trained beside weather")
    add("--transformers", type=Path, metavar="F", help="their daily totals: a zip, a folder or a file; and balance.csv")
    add("--holidays", metavar="FILE_OR_COUNTRY", help="a file with a date a row, or a country's code: GB or GB-ENG")
    add("--out", type=Path, default=Path("scores.csv"), help="a .csv or .parquet file (scores.csv)")
    add("--report", type=Path, metavar="FOLDER", help="report.html and drift.json: are clients like those learnt from?")
    add("--former", type=Path, metavar="F", help="a list of a run before: how much of it stays")
    add("--store", action="store_true", help="also keep it all at the desk (DATABASE_URL, else fairmeter.db here)")
    add("--spark", metavar="MASTER", help="walk through it on Apache Spark: local[*], spark://HOST:7077, yarn")
    add("--memory", type=bytes_of, metavar="SIZE", help="walk through a base of any size in so much memory: 2GB")
    add("--keep", type=whole, metavar="N", default=20_000, help="scores that --store keeps of it: the highest (20000)")
    add = parser.add_argument_group("what a visit brings, and the inspection list").add_argument
    add("--visits", type=whole, help="how many visits the crews can make")
    add("--list", type=Path, default=Path("visits.csv"), help="where the list goes, .csv or .parquet (visits.csv)")
    add("--cost", type=amount, default=0.0, help="of a visit, in the currency of the prices (0)")
    add("--price", type=amount, help="per kWh, of clients without a tariff_price")
    add("--false-alarms", type=share, help="list no more than keep this expected share of false alarms, 0 to 1")
    add("--random-share", type=share, default=RANDOM_SHARE, help=f"of the visits, drawn at random ({RANDOM_SHARE})")
    add("--seed", type=whole, default=0, help="of the random visits; another each round draws others (0)")
    add("--spread-regions", action="store_true", help="visits to all regions, by their numbers of clients")
    add("--routes", type=whole, metavar="A_DAY", help="group near addresses into days of so many visits")
    add("--leave-out", type=Path, metavar="F", help="CSV with client_id, and inspected_on where it was a visit")
    add("--recent-days", type=whole, default=RECENT_DAYS, help=f"how long a visit keeps a client out ({RECENT_DAYS})")
    add("--billable-months", type=whole, default=BILLABLE_MONTHS, help=f"that may be billed back ({BILLABLE_MONTHS})")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """Reads, scores, lists, writes, and says so."""
    if options.memory or options.spark:
        run_large(options)
        return
    inputs = [*options.sources, options.clients, options.invoices, options.readings, options.weather, options.leave_out]
    out = writable(options.out, inputs)
    is_listing = options.visits is not None or options.false_alarms is not None
    list_out = writable(options.list, [*inputs, out]) if is_listing else None
    inputs.append(options.transformers)
    balance_out = writable(options.out.with_name("balance.csv"), inputs) if options.transformers else None
    report = writable_folder(options.report) if options.report else None
    model = loaded_model()
    store = opened_store() if options.store else None
    check_promise(model, options)
    visited = read_visited(options.leave_out)
    former = None if options.former is None else read_list(options.former)
    watch = DriftMonitor(model) if report or options.store else None
    almanac = read_almanac(options.weather, options.holidays)
    console = Console(highlight=False)
    with progress() as bar:
        step = bar.add_task("Reading", total=None)
        tables, days = read(options)
        balances = balances_asked(tables, days, options)
        base = ClientBase.of(model, tables, days, almanac, balances and balances.losses)
        check_routes(tables.clients, options)
        bar.remove_task(step)
        step, started = bar.add_task("Scoring clients", total=len(base.tables.quality)), perf_counter()
        scores: list[Score] = []
        for part in base.scored(options.billable_months, *([watch.add] if watch else [])):
            scores += part
            bar.advance(step, len(part))
        seconds = perf_counter() - started
        found = promise_of(scores, model, options)
        listed = inspections(scores, base.tables.clients, options, visited, found) if is_listing else []
        rows = np.array([visit.row for visit in listed], dtype=np.int64) if is_listing else first_rows(scores)
        bar.add_task("Finding reasons", total=None)
        scores = base.with_reasons(scores, np.sort(rows))
    print_quality(base.tables.flags, console)
    print_unused(almanac, base, console)
    ranks = ranked(scores)
    if is_listing:
        write(columns_of_list(listed, scores, ranks), list_out, COLUMN_TYPES)
    write(columns_of([scores[row] for row in ranks]), out, COLUMN_TYPES)
    if balance_out is not None:
        write(columns_of_balances(balances.rows), balance_out)
    if store is not None:
        beside = {"balances": balances, "drift": watch.drift(), "weather": almanac.weather}
        keep(store, scores, base, console, **beside)
    print_summary(Counter(score.severity for score in scores), seconds, options.out, console)
    print_worth(scores, options.visits, options.cost, options.price, console)
    if is_listing:
        print_list(listed, found, options.visits, options.list, console)
    rows = None if former is None else stability([scores[row].client_id for row in judged(scores, ranks)], former)
    print_stability(rows, console)
    if watch:
        print_drift(watch.drift(), console)
    if report:
        from fairmeter.reports.scoring_report import write_run_report  # brings plotly, which lists do without

        write_run_report(run_facts(scores, base, watch.drift(), rows, options), report)


def run_large(options: argparse.Namespace) -> None:
    """The same of a client base in parts: the ranked list, and profiles of some clients."""
    from fairmeter.scoring import partitioned  # brings what one client does without

    check_large(options)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # executors need the very libraries that are here
    out = writable(options.out, [*options.sources, options.clients, options.invoices])
    judge = partitioned.PartitionScorer(loaded_model(), options.billable_months)
    store = opened_store() if options.store else None
    wanted = None if store is None else wanted_at(store, options.keep)
    console, started = Console(highlight=False), perf_counter()
    pieces = find_pieces(tuple(options.sources), options.clients, options.invoices)
    with progress() as bar:
        step = bar.add_task("Reading", total=None)

        def tell(what: str, done: int, of: int | None) -> None:
            bar.update(step, description=what, completed=done, total=of)

        with partitioned.walk(judge, pieces, options.memory, options.spark) as walk:
            ranking, few, drawn = partitioned.listed(walk, out, FEWEST, MOST, tell, wanted)
    print_quality(ranking.flags, console)
    if store is not None and few:
        part = partitioned.together(few)
        whole = ranking.n_clients, ranking.n_suspected, ranking.n_by_severity, drawn
        keep(store, part.scores, ClientBase(judge.model, part.tables), console, whole=whole)
    print_summary(ranking.n_by_severity, perf_counter() - started, options.out, console)


def wanted_at(store, n_first: int) -> SelectionSizes:
    """Of whom the desk is told, where it is told of a part. Raises StoreOutputError."""
    from fairmeter.desk import runs

    try:
        n = store.count_profiles() + n_first
        if n <= MOST_KEPT:
            return SelectionSizes(n_first, round(DRAWN_SHARE * n_first), store.newest_scores().keys())
    except runs.CANNOT_OPEN as error:
        raise StoreOutputError(str(error)) from error
    store.close()
    raise StoreOutputError(
        f"The desk would be told of {n:,} clients, those whom it knows among them; in parts that can be {MOST_KEPT:,}: "
        "lower --keep, give this base a desk of its own, or score it in memory."
    )


def check_large(options: argparse.Namespace) -> None:
    """Raises ListError where something is asked for that looks at all clients at once."""
    at_once = {"--visits": options.visits, "--false-alarms": options.false_alarms}
    at_once |= {"--report": options.report, "--former": options.former}
    asked = [name for name, value in at_once.items() if value is not None]
    if asked:
        raise ListError(f"{asked[0]} wants all clients in memory at once: leave it out, or --memory and --spark.")
    beside = options.readings, options.weather, options.holidays, options.transformers
    if any(beside) or has_readings(*options.sources):
        raise ListError("Readings are judged beside their neighbours', in memory: name --clients and --invoices alone.")
    if options.memory and options.spark:
        raise ListError("--memory is of this machine alone: executors have Spark's own settings; leave one out.")
    if options.memory and options.memory < LEAST_MEMORY:
        raise ListError(f"--memory is below {LEAST_MEMORY // 2**20}MB, which the model and its libraries take.")


def judged(scores: list[Score], ranks: list[int]) -> list[int]:
    """Those of the ranked rows that have a score."""
    return [row for row in ranks if scores[row].probability is not None]


def run_facts(
    scores: list[Score], base: ClientBase, drift: dict, rows: list[dict] | None, options: argparse.Namespace
) -> dict:
    """What the report tells of this run."""
    read = [*options.sources, *filter(None, (options.clients, options.invoices, options.readings))]
    return {
        "scored_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": ", ".join(path.name for path in read),
        "n_by_severity": Counter(score.severity for score in scores),
        "n_suspected": sum(s.probability is not None and s.probability >= s.threshold for s in scores),
        "drift": drift,
        "stability": rows,
        "former": options.former and options.former.name,
        "model": {name: base.model.manifest.get(name) for name in ("version", "trained_at")},
    }


def opened_store():
    """Now rather than after the work. Raises StoreOutputError."""
    from fairmeter.desk import runs  # brings SQLAlchemy, which scoring into files does without

    try:
        return runs.open_store(DATABASE_URL or runs.DATABASE)
    except runs.CANNOT_OPEN as error:
        raise StoreOutputError(str(error)) from error


def keep(store, scores: list[Score], base: ClientBase, console: Console, **beside) -> None:
    """Keeps the scores and closes the store. [beside: as desk.keep_run takes it]

    Raises CannotKeep; then the desk is as it was before.
    """
    from fairmeter.desk import runs

    version = str(base.model.manifest["version"])
    try:
        told = base.tables, base.days, base.billed(scores)
        kept = runs.keep_run(store, runs.RULES, scores, version, *told, **beside)
    except runs.CANNOT_OPEN as error:
        raise StoreOutputError(str(error)) from error
    finally:
        store.close()
    said = f"{kept.n_profiles:,} clients at the desk; alerts: {kept.n_raised:,} raised, {kept.n_updated:,} updated"
    console.print(f"{said}, {kept.n_lapsed:,} lapsed.")


# --- reading ----------------------------------------------------------------------------------------------------------


def read(options: argparse.Namespace) -> tuple[Tables, DailyConsumption | None]:
    """Clients and invoices, and the days of those who have readings. Raises TableError."""
    files = options.clients, options.invoices
    if options.readings is None and not has_readings(*options.sources):
        return read_tables(*options.sources, clients=files[0], invoices=files[1]), None
    readings = read_readings(*options.sources, readings=options.readings)
    if options.sources == [] and files == (None, None):
        tables = without_invoices(readings)
    else:
        tables = read_tables(*options.sources, clients=files[0], invoices=files[1])
        readings = readings.for_clients(tables.clients["client_id"])
    quality = [a + b for a, b in zip(tables.quality, readings.quality, strict=True)]
    tables = replace(tables, quality=quality, flags=[*tables.flags, *readings.flags])
    return tables, DailyConsumption.of(readings.readings, len(quality))


def balances_asked(tables: Tables, days: DailyConsumption | None, options: argparse.Namespace) -> EnergyBalances | None:
    """Of the transformers that are named, else of those among the sources. Raises TableError, ListError."""
    can_tell = days is not None and "transformer_id" in tables.clients
    if options.transformers is not None and not can_tell:
        raise ListError(
            "--transformers wants readings, and the transformer_id of the clients: name both, or leave it out."
        )
    if options.transformers is None and not (can_tell and has_transformers(*options.sources)):
        return None
    measured = read_transformers(*options.sources, transformers=options.transformers)
    tables.flags.extend(measured.flags)
    return balances_of(measured, tables.clients["transformer_id"], days, tables.invoices)


def without_invoices(readings: ReadingTables) -> Tables:
    """The tables of clients of whom nothing but readings is known."""
    n = len(readings.client_ids)
    clients, invoices, _ = tables_from_records([{"client_id": i} for i in readings.client_ids], [[]] * n)
    return Tables(clients, invoices, [], [()] * n)


def loaded_model() -> FraudModel:
    """Raises ModelError."""
    model = model_file.load(MODEL_PATH, MODEL_KEY)
    model_file.check_features(model, FEATURE_NAMES, MODEL_PATH)
    return model


# --- ranking ----------------------------------------------------------------------------------------------------------


def ranked(scores: list[Score]) -> list[int]:
    """Row numbers, the highest probability first, equal ones as they came; those without one last."""
    return sorted(range(len(scores)), key=lambda row: _fall(scores[row].probability))


def _fall(probability: float | None) -> float:
    return np.inf if probability is None else -probability


# --- the inspection list ----------------------------------------------------------------------------------------------


def check_promise(model: FraudModel, options: argparse.Namespace) -> None:
    """Raises ListError."""
    if options.false_alarms is None:
        return
    if "promise" not in model.manifest:
        raise ListError(f"{MODEL_PATH} keeps no promise table, so --false-alarms cannot be kept: train it again.")
    if model.readings is not None and (options.readings or has_readings(*options.sources)):
        raise ListError("The promise is one of scores from invoices: leave out the readings, or --false-alarms.")


def promise_of(scores: list[Score], model: FraudModel, options: argparse.Namespace) -> ConformalSelection | None:
    """Who keeps the promised share of false alarms, among clients like those trained on."""
    if options.false_alarms is None:
        return None
    is_alike = [not any(flag.flag == "inactive" for flag in score.quality) for score in scores]
    probability = [
        score.probability if alike and score.probability is not None else np.nan
        for score, alike in zip(scores, is_alike, strict=True)
    ]
    return promised(np.array(probability, dtype=np.float64), model.manifest["promise"], options.false_alarms)


def inspections(
    scores: list[Score],
    clients: Table,
    options: argparse.Namespace,
    visited: Exclusions,
    found: ConformalSelection | None,
) -> list[PlannedVisit]:
    """The visits that the options ask for; where they name no number, as many as the promise allows, none at random."""
    n = options.visits if options.visits is not None else int(found.is_listed.sum())
    listed = inspection_list.inspection_list(
        scores,
        n,
        options.cost,
        options.price,
        by_score=found is not None,  # the promise is one of the highest scores
        random_share=options.random_share if options.visits is not None else 0.0,
        seed=options.seed,
        open_cases=visited.open_cases,
        inspected_on=visited.inspected_on,
        today=np.datetime64("today"),
        recent_days=options.recent_days,
        regions=clients["region"] if options.spread_regions else None,
        candidates=None if found is None else found.is_listed,
    )
    return with_routes(listed, clients, options.routes)


def check_routes(clients: Table, options: argparse.Namespace) -> None:
    """Raises ListError."""
    if options.routes is not None and (options.routes < 1 or not {"latitude", "longitude"} <= clients.keys()):
        raise ListError("--routes wants a day's visits, 1 or more, and latitude and longitude of the clients.")


def with_routes(listed: list[PlannedVisit], clients: Table, a_day: int | None) -> list[PlannedVisit]:
    """The visits with the number of their day's route, None where the address is not known."""
    if a_day is None or not listed:
        return listed
    rows = [visit.row for visit in listed]
    routes = day_routes(clients["latitude"][rows], clients["longitude"][rows], a_day).tolist()
    return [replace(visit, route=route or None) for visit, route in zip(listed, routes, strict=True)]


def first_rows(scores: list[Score]) -> np.ndarray:
    """Whose reasons are given where there is no list: the suspected, from FEWEST to MOST of the highest scores."""
    order = [row for row in ranked(scores) if scores[row].probability is not None]
    n_suspected = sum(scores[row].probability >= scores[row].threshold for row in order)
    return np.array(order[: min(max(n_suspected, FEWEST), MOST)], dtype=np.int64)


# --- what is said -----------------------------------------------------------------------------------------------------


def progress() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(SpinnerColumn(), *columns, console=Console(stderr=True), transient=True)


def print_quality(flags: list[QualityFlag], console: Console) -> None:
    for flag in flags:
        console.print(f"{flag.flag}: {flag.text}", soft_wrap=True, markup=False)


def print_unused(almanac: Exogenous, base: ClientBase, console: Console) -> None:
    """What was given of weather and holidays, and the model never learnt to look at."""
    known = base.beside and {"weather": base.beside.has_weather, "holidays": base.beside.has_holidays}
    for what, given in almanac._asdict().items():
        if given is not None and not (known and known[what]):
            why = f"the model was trained on readings without {what}" if known else "no readings are judged"
            console.print(f"--{what} is not used: {why}.", soft_wrap=True)


def print_summary(counts: Counter[str], seconds: float, out: Path, console: Console) -> None:
    n = counts.total()
    console.print(", ".join(f"{name} {counts[name]:,}" for name in (*SEVERITIES, INSUFFICIENT_HISTORY)))
    speed = n / max(seconds, 1e-3)
    console.print(f"{n:,} clients scored in {seconds:.1f} s, {speed:,.0f} a second: {out}", soft_wrap=True)


def print_stability(rows: list[dict] | None, console: Console) -> None:
    for row in rows or ():
        said = f"Of the first {row['k']:,} clients {row['n_both']:,} were among the former list's first {row['k']:,}"
        console.print(f"{said} (Jaccard index {row['jaccard']:.2f}).", soft_wrap=True)


def print_drift(drift: dict, console: Console) -> None:
    for sentence in drift_said(drift):
        console.print(sentence, soft_wrap=True, markup=False)


if __name__ == "__main__":
    sys.exit(main())
