"""A file of clients to leave out -> clients with an open case, and the last inspection of the others.

In:  CSV with client_id and, optionally, inspected_on; a row without a day is an open case. None without a file.
Out: Exclusions. The last of several days of a client counts.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairmeter.core.types import QualityFlag
from fairmeter.data.client_joins import (
    MIN_JOINED_SHARE,
    Join,
    UnjoinedRows,
    explain_failure,
    sample,
    with_examples,
)
from fairmeter.data.files import DamagedFile, MissingColumns, MissingFile, UnreadableDate
from fairmeter.data.parsing import NAT, parse_day, parse_text

UNMATCHED = "left_out_ids_without_client"


class Exclusions(NamedTuple):
    """Clients to leave out of a list. [open_cases: client ids; inspected_on: the last day, by client id]"""

    open_cases: frozenset[str]
    inspected_on: dict[str, np.datetime64]


def read_exclusions(path: Path | None) -> Exclusions:
    """Exclusions of a file; none without a file. Raises TableError."""
    open_cases, inspected_on = set(), {}
    for line, row in enumerate(_rows(path) if path else [], 2):
        client_id, text = parse_text(row["client_id"]), row.get("inspected_on")
        try:
            day = parse_day(text or "")
        except ValueError as error:
            raise UnreadableDate(f"{path.name}, line {line}, inspected_on {text!r}: {error}.") from None
        if day == NAT:
            open_cases.add(client_id)
        else:
            inspected_on[client_id] = max(np.datetime64(day, "D"), inspected_on.get(client_id, np.datetime64(day, "D")))
    return Exclusions(frozenset(open_cases), inspected_on)


def check_exclusions(exclusions: Exclusions, client_ids: Sequence[str], path: Path | None) -> list[QualityFlag]:
    """A flag with the number and examples of ids that no client has. Raises UnjoinedRows where next to none has one."""
    ids = exclusions.open_cases | exclusions.inspected_on.keys()
    if path is None or not ids:
        return []
    unknown = ids.difference(client_ids)
    n, known = len(unknown), len(ids) - len(unknown)
    join = Join("ids to leave out", len(ids), known, len(client_ids), known, n, sample(unknown), sample(client_ids))
    if known < MIN_JOINED_SHARE * len(ids):
        raise UnjoinedRows(f"{path.name}: {explain_failure(join)}")
    text = f"Ids of {path.name} that no client has, so that they leave out nobody: {n:,}."
    return with_examples([QualityFlag(UNMATCHED, n, text)], UNMATCHED, join) if n else []


def _rows(path: Path) -> list[dict]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            rows, header = list(reader), reader.fieldnames or []
    except OSError as error:
        raise MissingFile(
            f"{path} cannot be read ({error.strerror}); name the file of clients to leave out."
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DamagedFile(f"{path} is not a CSV file in UTF-8 ({error}); save it as one.") from error
    if "client_id" not in header:
        raise MissingColumns(f"{path.name} lacks the column client_id; got {header}.")
    return rows
