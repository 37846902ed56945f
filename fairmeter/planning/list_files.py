"""Scores and visits -> columns -> a CSV or Parquet file that spreadsheets open safely, whole or not at all.

In:  scores by rank, or visits; a path. None is empty.
Out: the file, as score.py describes it. In CSV a text that a spreadsheet would take for a formula (it begins with
     = + - @ and is no number) gets an apostrophe in front, and so does a text that begins with one: taking one leading
     apostrophe off gives every text back.
"""

import csv
import os
import re
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path

from fairmeter.core.types import FITS, Score
from fairmeter.data.files import DamagedFile, MissingColumns, MissingFile
from fairmeter.planning.inspection_list import PlannedVisit

N_REASONS = 3
NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")
TAKEN_FOR_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
# Kinds of columns in Parquet, which must have them where all values are missing too; the others are texts.
WHOLE = {"rank", "visit", "route"}
YES_OR_NO = {"drawn_at_random"}
NUMBERS = {
    "score", "expected_recovery_kwh", "at_stake_kwh", "at_stake_low_kwh", "at_stake_high_kwh", "expected_net_value",
    "net_value_low", "net_value_high",
}  # fmt: skip

Columns = dict[str, list]


class OutputError(Exception):
    """The list cannot be written where it is wanted; one sentence."""


# --- columns ----------------------------------------------------------------------------------------------------------


def columns_of(scores: list[Score]) -> Columns:
    """The ranked list's columns; None is empty."""
    columns = {
        "client_id": [score.client_id for score in scores],
        "score": [score.probability for score in scores],
        "rank": [None if score.probability is None else rank for rank, score in enumerate(scores, 1)],
        "severity": [score.severity for score in scores],
    }
    columns |= reasons_of(scores)
    columns["expected_recovery_kwh"] = [score.expected_recovery_kwh for score in scores]
    columns["quality"] = [";".join(flag.flag for flag in score.quality) or None for score in scores]
    return columns


def reasons_of(scores: list[Score]) -> Columns:
    return {
        f"reason_{i + 1}": [score.reasons[i].text if len(score.reasons) > i else None for score in scores]
        for i in range(N_REASONS)
    }


def columns_of_list(listed: list[PlannedVisit], scores: list[Score], ranks: list[int]) -> Columns:
    """The inspection list's columns. [scores: of all clients, explained; ranks: their rows by rank]"""
    rank_of, theirs = {row: rank for rank, row in enumerate(ranks, 1)}, [scores[visit.row] for visit in listed]
    at_stake = [score.recovery for score in theirs]
    nets = [visit.net or (None, None, None) for visit in listed]
    return {
        "visit": [visit.number for visit in listed],
        "client_id": [score.client_id for score in theirs],
        "drawn_at_random": [visit.is_random for visit in listed],
        "score": [score.probability for score in theirs],
        "rank": [rank_of[visit.row] for visit in listed],
        "severity": [score.severity for score in theirs],
        "recommendation": [score.recommendation for score in theirs],
        "at_stake_kwh": [found and found.kwh for found in at_stake],
        "at_stake_low_kwh": [found and found.low_kwh for found in at_stake],
        "at_stake_high_kwh": [found and found.high_kwh for found in at_stake],
        "estimate": [found and found.text for found in at_stake],
        "expected_net_value": [net[0] for net in nets],
        "net_value_low": [net[1] for net in nets],
        "net_value_high": [net[2] for net in nets],
        "route": [visit.route for visit in listed],
        **reasons_of(theirs),
        "harmless": [";".join(e.cause for e in score.explanations if e.verdict == FITS) or None for score in theirs],
        "quality": [";".join(flag.flag for flag in score.quality) or None for score in theirs],
    }


# --- files ------------------------------------------------------------------------------------------------------------


def write(columns: Columns, out: Path) -> None:
    """Beside, then renamed: `out` is the old file or the whole new one. Raises OutputError."""
    write_chunks([columns], out)


def write_chunks(chunks: Iterable[Columns], out: Path) -> None:
    """The same of rows that come some at a time, of which there are some."""
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    form: Callable = write_parquet if out.suffix.lower() == ".parquet" else write_csv
    try:
        form(chunks, part)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(out)
    except OSError as error:
        raise OutputError(f"{out} cannot be written ({error.strerror}); name another file.") from error
    finally:
        part.unlink(missing_ok=True)


def write_csv(chunks: Iterable[Columns], path: Path) -> None:
    with path.open("x", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        for i, columns in enumerate(chunks):
            if i == 0:
                writer.writerow(columns)
            writer.writerows([cell(value) for value in row] for row in zip(*columns.values(), strict=True))


def cell(value):
    """A value for CSV: scores to six decimals, and no text that a spreadsheet would run."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6f}"
    if isinstance(value, str) and value.startswith(TAKEN_FOR_FORMULA) and not NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def write_parquet(chunks: Iterable[Columns], path: Path) -> None:
    from pyarrow import parquet

    tables = map(_as_arrow, chunks)
    first = next(tables)
    with parquet.ParquetWriter(path, first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table)


def _as_arrow(columns: Columns):
    import pyarrow as pa

    kinds = (
        dict.fromkeys(WHOLE, pa.int64()) | dict.fromkeys(YES_OR_NO, pa.bool_()) | dict.fromkeys(NUMBERS, pa.float64())
    )
    return pa.table({name: pa.array(values, kinds.get(name, pa.string())) for name, values in columns.items()})


def read_list(path: Path) -> list[str]:
    """Client ids of a ranked list written here before, by rank; those without one are left out. Raises TableError."""
    try:
        rows = _parquet_rows(path) if path.suffix.lower() == ".parquet" else _csv_rows(path)
    except OSError as error:
        raise MissingFile(f"{path} cannot be read ({error.strerror or 'no such table'}); name a list.") from error
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise DamagedFile(f"{path} is no list of score.py ({error}); name its CSV or Parquet file.") from error
    except KeyError as error:
        raise MissingColumns(
            f"{path.name} lacks the column {error.args[0]}; name a list that score.py wrote."
        ) from None
    return [client_id for _, client_id in sorted(rows)]


def _csv_rows(path: Path) -> list[tuple[int, str]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        found = [(row["rank"], row["client_id"]) for row in csv.DictReader(stream)]
    return [(int(rank), (client_id or "").removeprefix("'")) for rank, client_id in found if rank]


def _parquet_rows(path: Path) -> list[tuple[int, str]]:
    from pyarrow import parquet

    for name in {"rank", "client_id"}.difference(parquet.read_schema(path).names):
        raise KeyError(name)
    table = parquet.read_table(path, columns=["rank", "client_id"])
    found = zip(*(table[name].to_pylist() for name in ("rank", "client_id")), strict=True)
    return [(int(rank), str(client_id)) for rank, client_id in found if rank is not None]


def writable(out: Path, inputs: list[Path | None]) -> Path:
    """The file that `out` leads to. Raises OutputError, now rather than after the work."""
    target = out.resolve()
    if target.exists() and not target.is_file():
        raise OutputError(f"{out} is no file; name one that ends in .csv or .parquet.")
    if any(path is not None and path.resolve() == target for path in inputs):
        raise OutputError(f"{out} is what is read; name another file.")
    if not os.access(target.parent, os.W_OK):
        raise OutputError(f"{target.parent} is no folder that can be written to; name another file.")
    return target


def writable_folder(folder: Path) -> Path:
    """A folder that is there or can be made. Raises OutputError, now rather than after the work."""
    there = next(place for place in (folder.resolve(), *folder.resolve().parents) if place.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise OutputError(f"{folder} is no folder that can be written to; name another folder.")
    return folder
