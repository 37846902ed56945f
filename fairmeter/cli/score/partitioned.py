"""score.py --memory and --spark: the ranked list of a client base that is scored in parts, and profiles of some."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from time import perf_counter

from rich.progress import Progress

from fairmeter.cli.score.console import PipedConsole, print_quality, print_summary, print_unlike, progress
from fairmeter.cli.score.inspections import ListError
from fairmeter.cli.score.options import ScoringOptions
from fairmeter.cli.settings import CommandSettings
from fairmeter.core.environment import configure_spark
from fairmeter.data.maps import map_of_files, read_map
from fairmeter.data.maps.map_file import EMPTY_MAP
from fairmeter.data.partitioned.mapped_files import find_mapped_files
from fairmeter.data.partitioned.partitions import files_of_kind, find_table_files
from fairmeter.data.partitioned.reading_parts import DiskSpace
from fairmeter.data.readings import has_readings
from fairmeter.data.writers import writable
from fairmeter.models.fraud_model import FraudModel
from fairmeter.scoring import partitioned, ranking
from fairmeter.scoring.population import ClientBase

MIN_MEMORY = 700 * 2**20  # bytes: Python, the libraries, the model and one chunk of clients


def check_partitioned(options: ScoringOptions) -> None:
    """Raises ListError where an option needs all clients at once."""
    if options.memory and options.spark:
        raise ListError("--memory is for this machine only, and executors have Spark's own settings: leave one out.")
    check_memory(options)
    if has_readings_to_score(options):
        if options.spark:
            raise ListError("Readings are compared with their neighbours' on one machine: write --memory, not --spark.")
        return
    at_once = {"--visits": options.visits, "--false-alarms": options.false_alarms}
    at_once |= {"--report": options.report, "--former": options.former}
    asked = [name for name, value in at_once.items() if value is not None]
    if asked:
        raise ListError(f"{asked[0]} needs all clients in memory at once: leave it out, or --memory and --spark.")
    if options.weather or options.holidays or options.transformers:
        raise ListError("Weather, holidays and transformers are compared with readings: name --readings, or leave out.")


def check_memory(options: ScoringOptions) -> None:
    """Raises ListError for less memory than any work takes."""
    if options.memory and options.memory < MIN_MEMORY:
        raise ListError(f"--memory is below {MIN_MEMORY // 2**20}MB, which the model and its libraries take.")


def has_readings_to_score(options: ScoringOptions) -> bool:
    """Whether there are readings, which are read in parts and then scored as in memory."""
    if options.readings or has_readings(*options.sources) or files_of_kind("reading", tuple(options.sources)):
        return True
    data_map = map_of_files(options.map, options.sources)
    return data_map is not None and bool(data_map.of("readings"))


@contextmanager
def disk_space(options: ScoringOptions, bar: Progress) -> Iterator[DiskSpace | None]:
    """Where readings are read in parts; None without --memory, or without readings. Raises OutputError."""
    if not options.memory or not has_readings_to_score(options):
        yield None
        return
    step, n = bar.add_task("Reading rows", total=None), 0

    def on_rows(n_more: int) -> None:
        nonlocal n
        n += n_more
        bar.update(step, completed=n)

    with partitioned.temporary_folder_beside(options.out.absolute()) as folder:
        yield DiskSpace(folder, options.memory - partitioned.FIXED_BYTES, on_rows)


def run_partitioned(options: ScoringOptions, settings: CommandSettings, model: FraudModel) -> None:
    """Score all parts, write the ranked list, and store some profiles where that is asked for."""
    configure_spark()
    out = writable(options.out, [*options.sources, options.clients, options.invoices])
    scorer = partitioned.PartitionScorer(model, options.billable_months)
    store = sizes = None
    if options.store:
        from fairmeter.cli.score import desk_output  # brings SQLAlchemy

        store = desk_output.open_store(settings)
        sizes = desk_output.selection_sizes(store, options.keep)
    console, started = PipedConsole(highlight=False), perf_counter()
    data_map = read_map(options.map) if options.map else EMPTY_MAP
    find_files = find_table_files if data_map.is_empty else partial(find_mapped_files, data_map)
    files = find_files(tuple(options.sources), options.clients, options.invoices)
    with progress() as bar:
        step = bar.add_task("Reading", total=None)

        def on_progress(what: str, done: int, of: int | None) -> None:
            bar.update(step, description=what, completed=done, total=of)

        with partitioned.partition_runner(scorer, files, options.memory, options.spark) as runner:
            ranked, subsets, sampled, drift = partitioned.write_list(
                runner, out, ranking.MIN_REASONED, ranking.MAX_REASONED, on_progress, sizes
            )
    print_quality(ranked.flags, console)
    if store is not None and subsets:
        subset = partitioned.concatenate(subsets)
        whole = ranked.n_clients, ranked.n_suspected, ranked.n_by_severity, sampled
        details = {"population": whole, "accept_fewer": options.accept_fewer, "drift": drift}
        desk_output.save_scores(store, subset.scores, ClientBase(model, subset.tables), console, **details)
    print_unlike(drift, console)
    print_summary(ranked.n_by_severity, perf_counter() - started, options.out, console)
