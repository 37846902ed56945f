"""Uploaded tables whose columns a map states -> scores: /batch with a part `map`, or a body of text/csv.

In:  the bytes of files, and a map: TOML, or the name of one that is shipped.
Out: a Score for each client, and the flags of the files as a whole. Problem with the sentence of what does not fit.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from fairmeter.core.types import QualityFlag, Score
from fairmeter.data.files import TableError, TableFile
from fairmeter.data.layouts import Layout, open_file
from fairmeter.data.layouts.workbooks import OLE, ZIP
from fairmeter.data.maps import DataMap, parse_map, read_map
from fairmeter.data.maps.mapped_base import MappedBase, read_mapped_base
from fairmeter.data.readings import NO_READINGS, READ_AT, ReadingTables
from fairmeter.data.tables import select_clients
from fairmeter.scoring.batches import CHUNK, Scorer
from fairmeter.scoring.client_tables import ClientTables
from fairmeter.scoring.payloads import RequestLimits, check_number, too_many_rows
from fairmeter.scoring.problems import bad_value

MAP = "map"
KINDS = ("clients", "invoices", "readings")


class TablePart(NamedTuple):
    """An uploaded file. [kind: the name of its part, such as "invoices"; name: of the file]"""

    kind: str
    name: str
    content: bytes


ReadBase = Callable[[bytes, Sequence[TablePart]], MappedBase]


class MappedScores:
    """The clients of uploaded tables, scored in parts. [quality: flags of the files as a whole]"""

    def __init__(self, base: MappedBase, limits: RequestLimits) -> None:
        """Raises Problem for more clients or rows of one than a request may hold."""
        tables = base.with_reading_flags()
        self._tables, self._readings = tables, base.readings
        self.quality: list[QualityFlag] = tables.flags
        n = len(tables.clients["client_id"])
        check_number(n, limits)
        _check_rows("invoices", tables.invoices["client"], limits.invoices)
        if base.readings is not None:
            _check_rows("readings", base.readings.readings["client"], limits.readings)

    def scored(self, scorer: Scorer, with_reasons: bool) -> Iterator[Score]:
        """The score of each client, in the order of the tables."""
        n = len(self._tables.clients["client_id"])
        for first in range(0, n, CHUNK):
            yield from scorer.score(self._part(np.arange(first, min(first + CHUNK, n))), with_reasons)

    def _part(self, rows: np.ndarray) -> ClientTables:
        clients, invoices = select_clients(rows, self._tables.clients, self._tables.invoices)
        quality = [self._tables.quality[row] for row in rows.tolist()]
        readings = NO_READINGS if self._readings is None else _readings_of(self._readings, rows)
        return ClientTables(clients, invoices, readings, quality, self._tables.code_names)


def mapped_upload(files, limits: RequestLimits, read: ReadBase) -> MappedScores:
    """The tables of uploaded files by the map among them. [files: name -> file, one of them `map`] Raises Problem.

    read: read_base(), or a way to call it where any file and any pattern of a map does no harm.
    """
    parts = [TablePart(name, files[name].filename or name, files[name].read()) for name in files if name != MAP]
    try:
        return MappedScores(read(files[MAP].read(), parts), limits)
    except TableError as error:
        raise bad_value(MAP, str(error)) from None


def read_base(map_text: bytes, parts: Sequence[TablePart]) -> MappedBase:
    """The tables of uploaded files by a map. Raises TableError."""
    tables = {part.kind: _table_file(part.name, part.content) for part in parts}
    named = {name: tables[name] for name in KINDS if name in tables}
    return read_mapped_base(parse_map(map_text, MAP), tuple(tables.values()), **named)


def csv_upload(body: bytes, map_name: str | None, limits: RequestLimits) -> MappedScores:
    """The tables of one CSV file, by a shipped map or under canonical names. Raises Problem."""
    if body.startswith((OLE, ZIP)):
        raise bad_value("body", "a spreadsheet; send it in a form, beside a part `map`")
    source = _table_file("body.csv", body)
    try:
        data_map = read_map(map_name) if map_name and "/" not in map_name else _canonical_map(source)
        return MappedScores(read_mapped_base(data_map, (source,)), limits)
    except TableError as error:
        raise bad_value("body", str(error)) from None


def _canonical_map(source: TableFile) -> DataMap:
    """The map of a file with canonical names: readings where it has their moments, else invoices."""
    expected = frozenset({"client_id", READ_AT.name, "invoice_on"})
    has_readings = READ_AT.name in open_file(source, Layout(expected=expected)).header
    return parse_map("[readings]\n" if has_readings else "[invoices]\n", "body")


def _table_file(name: str, content: bytes) -> TableFile:
    return TableFile(name.rpartition("/")[2].lower(), name, partial(io.BytesIO, content), len(content), name)


def _check_rows(name: str, client: np.ndarray, limit: int) -> None:
    most = int(np.bincount(client).max(initial=0))
    if most > limit:
        raise too_many_rows(name, most, limit)


def _readings_of(readings: ReadingTables, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The readings of some clients. [rows: of clients, ascending]"""
    table = readings.readings
    mask = np.isin(table["client"], rows)
    part = {name: column[mask] for name, column in table.items()}
    return part | {"client": np.searchsorted(rows, part["client"])}
