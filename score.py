"""A whole client base -> one ranked list: `python score.py archive.zip`.

In:  clients and invoices, readings, or all three (data/README.md, 'Input tables'; labels are not needed); model.bin.
Out: scores.csv, or Parquet where --out ends so: client_id, score, rank, severity, reason_1..3, expected_recovery_kwh,
     quality (flags joined by ";"). Sorted by rank; clients with too little history come last, without score and rank.
In CSV a text that a spreadsheet would take for a formula (it begins with = + - @ and is no number) gets an apostrophe
in front, and so does a text that begins with one: taking one leading apostrophe off gives every id back.
Exit codes: 0 done, 2 the input, the model or --out cannot be used (one sentence on stderr), 130 stopped by Ctrl-C.
"""

import argparse
import csv
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from features import FEATURE_NAMES, client_features
from fraud import model_file
from fraud.days import Days
from fraud.model import FraudModel
from fraud.model_file import ModelError
from fraud.reading_tables import ReadingTables, has_readings, read_readings
from fraud.records import INSUFFICIENT_HISTORY, SEVERITIES, QualityFlag, Score, Table
from fraud.tables import TableError, Tables, read_tables, tables_from_records

MODEL_PATH = os.environ.get("MODEL_PATH") or "model.bin"
MODEL_KEY = os.environ.get("MODEL_KEY", "").encode() or None  # with it, an unsigned model is refused
CHUNK = 8192  # clients at a time; their features stay under 0.1 GB, and more are not faster
N_REASONS = 3
BAD_USE, STOPPED = 2, 130  # exit codes, the latter a shell's for Ctrl-C

NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")
TAKEN_FOR_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")

Columns = dict[str, list]
Quality = list[tuple[QualityFlag, ...]]  # of each client


class CannotWrite(Exception):
    """The list cannot be written where it is wanted; one sentence."""


def main(arguments: list[str] | None = None) -> int:
    options = parsed(arguments)
    try:
        run(options)
    except (TableError, ModelError, CannotWrite) as error:
        print(error, file=sys.stderr)
        return BAD_USE
    except KeyboardInterrupt:
        print(f"Stopped; {options.out} is as it was.", file=sys.stderr)
        return STOPPED
    return 0


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="score.py", description="Ranks all clients by their score.")
    parser.add_argument("sources", nargs="*", type=Path, help="a zip, a folder, or the files")
    parser.add_argument("--clients", type=Path, help="the clients' file, whatever its name")
    parser.add_argument("--invoices", type=Path, help="the invoices' file, whatever its name")
    parser.add_argument("--readings", type=Path, help="the file of smart-meter readings; alone, these alone are judged")
    parser.add_argument("--out", type=Path, default=Path("scores.csv"), help="a .csv or .parquet file (scores.csv)")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """Reads, scores, writes, and says so."""
    out = writable(options.out, inputs=[*options.sources, options.clients, options.invoices, options.readings])
    model = loaded_model()
    console = Console(highlight=False)
    with progress() as bar:
        reading = bar.add_task("Reading", total=None)
        tables, days = read(options)
        bar.remove_task(reading)
        task, started = bar.add_task("Scoring clients", total=len(tables.clients["client_id"])), perf_counter()
        scores = []
        for part in scored(tables.clients, tables.invoices, tables.quality, model, days):
            scores += part
            bar.advance(task, len(part))
        seconds = perf_counter() - started
    print_quality(tables.flags, console)
    write(columns_of(ranked(scores)), out)
    print_summary(scores, seconds, options.out, console)


# --- reading ----------------------------------------------------------------------------------------------------------


def read(options: argparse.Namespace) -> tuple[Tables, Days | None]:
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
    return tables, Days.of(readings.readings, len(quality))


def without_invoices(readings: ReadingTables) -> Tables:
    """The tables of clients of whom nothing but readings is known."""
    n = len(readings.client_ids)
    clients, invoices, _ = tables_from_records([{"client_id": i} for i in readings.client_ids], [[]] * n)
    return Tables(clients, invoices, [], [()] * n)


# --- scoring ----------------------------------------------------------------------------------------------------------


def loaded_model() -> FraudModel:
    """Raises ModelError."""
    model = model_file.load(MODEL_PATH, MODEL_KEY)
    model_file.check_features(model, FEATURE_NAMES, MODEL_PATH)
    return model


def scored(
    clients: Table, invoices: Table, quality: Quality, model: FraudModel, days: Days | None = None
) -> Iterator[list[Score]]:
    """The clients' scores in the order of the table, a chunk at a time; readings beside those of their region."""
    judges_readings = days is not None and model.readings is not None
    beside = model.readings.surroundings_of(days, regions(clients)) if judges_readings else None
    for start in range(0, len(clients["client_id"]), CHUNK):
        of_chunk, their_invoices = clients_from(start, clients, invoices)
        evidence = client_features(of_chunk, their_invoices, model.cells)
        metered, part = None, slice(start, min(start + CHUNK, len(quality)))
        if judges_readings:
            metered = model.readings.evidence(days.slice(part.start, part.stop), beside.of_clients(part))
        yield model.judge(evidence, of_chunk["client_id"], quality[part], metered)


def regions(clients: Table) -> np.ndarray:
    """A number for each region; the clients without one share another. [int64, one a client]"""
    return np.unique(np.nan_to_num(clients["region"], nan=-1.0), return_inverse=True)[1]


def clients_from(start: int, clients: Table, invoices: Table) -> tuple[Table, Table]:
    """CHUNK clients from row `start` on, and their invoices."""
    first, last = np.searchsorted(invoices["client"], (start, start + CHUNK))
    of_chunk = {name: column[start : start + CHUNK] for name, column in clients.items()}
    their_invoices = {name: column[first:last] for name, column in invoices.items()}
    return of_chunk, their_invoices | {"client": their_invoices["client"] - start}


def ranked(scores: list[Score]) -> list[Score]:
    """Highest probability first, equal ones as they came; those without one last."""
    return sorted(scores, key=lambda score: np.inf if score.probability is None else -score.probability)


# --- the list ---------------------------------------------------------------------------------------------------------


def columns_of(scores: list[Score]) -> Columns:
    """The list's columns; None is empty."""
    columns = {
        "client_id": [score.client_id for score in scores],
        "score": [score.probability for score in scores],
        "rank": [None if score.probability is None else rank for rank, score in enumerate(scores, 1)],
        "severity": [score.severity for score in scores],
    }
    for i in range(N_REASONS):
        columns[f"reason_{i + 1}"] = [score.reasons[i].text if len(score.reasons) > i else None for score in scores]
    columns["expected_recovery_kwh"] = [None] * len(scores)
    columns["quality"] = [";".join(flag.flag for flag in score.quality) or None for score in scores]
    return columns


def write(columns: Columns, out: Path) -> None:
    """Beside, then renamed: `out` is the old file or the whole new one. Raises CannotWrite."""
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    form: Callable = write_parquet if out.suffix.lower() == ".parquet" else write_csv
    try:
        form(columns, part)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(out)
    except OSError as error:
        raise CannotWrite(f"{out} cannot be written ({error.strerror}); name another file with --out.") from error
    finally:
        part.unlink(missing_ok=True)


def write_csv(columns: Columns, path: Path) -> None:
    with path.open("x", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([cell(value) for value in row] for row in zip(*columns.values(), strict=True))


def cell(value):
    """A value for CSV: scores to six decimals, and no text that a spreadsheet would run."""
    if isinstance(value, float):
        return f"{value:.6f}"
    if isinstance(value, str) and value.startswith(TAKEN_FOR_FORMULA) and not NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def write_parquet(columns: Columns, path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    types = {"score": pa.float64(), "rank": pa.int64(), "expected_recovery_kwh": pa.float64()}
    arrays = {name: pa.array(values, types.get(name, pa.string())) for name, values in columns.items()}
    parquet.write_table(pa.table(arrays), path)


def writable(out: Path, inputs: list[Path | None]) -> Path:
    """The file that `out` leads to. Raises CannotWrite, now rather than after the work."""
    target = out.resolve()
    if target.exists() and not target.is_file():
        raise CannotWrite(f"{out} is no file; name one that ends in .csv or .parquet with --out.")
    if any(path is not None and path.resolve() == target for path in inputs):
        raise CannotWrite(f"{out} is what is read; name another file with --out.")
    if not os.access(target.parent, os.W_OK):
        raise CannotWrite(f"{target.parent} is no folder that can be written to; name another file with --out.")
    return target


# --- what is said -----------------------------------------------------------------------------------------------------


def progress() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(SpinnerColumn(), *columns, console=Console(stderr=True), transient=True)


def print_quality(flags: list[QualityFlag], console: Console) -> None:
    for flag in flags:
        console.print(f"{flag.flag}: {flag.text}", soft_wrap=True, markup=False)


def print_summary(scores: list[Score], seconds: float, out: Path, console: Console) -> None:
    counts = Counter(score.severity for score in scores)
    console.print(", ".join(f"{name} {counts[name]:,}" for name in (*SEVERITIES, INSUFFICIENT_HISTORY)))
    speed = len(scores) / max(seconds, 1e-3)
    console.print(f"{len(scores):,} clients scored in {seconds:.1f} s, {speed:,.0f} a second: {out}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
