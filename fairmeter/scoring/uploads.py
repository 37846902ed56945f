"""Uploaded CSV files -> rows, one a client.

In:  clients (client_id, ...) with invoices (client_id, invoice_on, ...), readings (client_id, read_at, ...) or both; or
     readings alone. UTF-8, comma-separated, with a header.
Out: a row for each line of clients, with its invoices and readings in the files' order; flags for lines of unknown
     clients. Without a file of clients, a row for each client_id of the readings, in order of first appearance.
The server has no data-frame library: values stay text, and the tables parse them as they parse files.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import BinaryIO, NamedTuple

from fairmeter.core.types import QualityFlag
from fairmeter.data.client_joins import explain_failure, join_of_ids, with_examples
from fairmeter.scoring.payloads import RawClient, RequestLimits, Row, check_number, too_many_rows
from fairmeter.scoring.problems import bad_value

CLIENT_ID = "client_id"
FILES = "clients with invoices, readings or both, or readings alone"


class UploadedFiles(NamedTuple):
    """The rows, and the flags of the files as a whole."""

    rows: Iterator[Row]
    quality: list[QualityFlag]


class UploadedTable(NamedTuple):
    """A file's header and the values of each line, by client."""

    header: list[str]
    lines: list[tuple[str, list[str]]]


def read_upload(files, limits: RequestLimits) -> UploadedFiles:
    """The rows of the files `clients`, `invoices` and `readings`. Raises Problem. [files: name -> file]"""
    _check_names(files)
    sheets = {name: _sheet(files[name], name) for name in ("clients", "invoices", "readings") if name in files}
    clients = sheets.pop("clients", None) or _clients_of(sheets["readings"])
    check_number(len(clients.lines), limits)
    owned = {name: LinesByClient.of(sheet) for name, sheet in sheets.items()}
    client_ids = dict.fromkeys(client_id for client_id, _ in clients.lines)
    quality = [flag for name, table in owned.items() for flag in table.of_unknown_clients(name, client_ids)]
    return UploadedFiles(_rows(clients, owned, limits), quality)


def _check_names(files) -> None:
    if "invoices" not in files and "readings" not in files:
        raise bad_value("invoices", f"missing; upload CSV files: {FILES}")
    if "clients" not in files and "invoices" in files:
        raise bad_value("clients", f"missing; upload CSV files: {FILES}")


def _clients_of(readings: UploadedTable) -> UploadedTable:
    return UploadedTable(
        [CLIENT_ID], [(client_id, [client_id]) for client_id in dict.fromkeys(i for i, _ in readings.lines)]
    )


class LinesByClient(NamedTuple):
    """The lines of invoices or readings by client."""

    header: list[str]
    lines: dict[str, list[list[str]]]

    @classmethod
    def of(cls, sheet: UploadedTable) -> "LinesByClient":
        lines = defaultdict(list)
        for client_id, values in sheet.lines:
            lines[client_id].append(values)
        return cls(sheet.header, lines)

    def of_unknown_clients(self, name: str, client_ids: Collection[str]) -> list[QualityFlag]:
        """A flag of lines without a client. Raises Problem where next to none has one."""
        join = join_of_ids(name, (client_id for client_id, lines in self.lines.items() for _ in lines), client_ids)
        if join.is_failed:
            raise bad_value(name, explain_failure(join))
        if not (n := join.n_rows - join.n_joined):
            return []
        flag = f"{name}_of_unknown_clients"
        text = f"{name.capitalize()} of clients that are not in the clients' file, left out: {n:,}."
        return with_examples([QualityFlag(flag, n, text)], flag, join)

    def n_of(self, client_id: str) -> int:
        return len(self.lines.get(client_id, ()))

    def rows_of(self, client_id: str) -> list[dict[str, str]]:
        return [dict(zip(self.header, line, strict=True)) for line in self.lines.get(client_id, ())]


NOTHING = LinesByClient([], {})


def _rows(clients: UploadedTable, owned: dict[str, LinesByClient], limits: RequestLimits) -> Iterator[Row]:
    # Lines become objects here, a few clients at a time: all at once they take ten times the files' size.
    invoices, readings = owned.get("invoices", NOTHING), owned.get("readings", NOTHING)
    seen = set()
    for client_id, values in clients.lines:
        if not client_id:
            yield bad_value("client.client_id", "empty; every client needs an id")
        elif client_id in seen:
            yield bad_value("client.client_id", "given before; keep one line a client")
        elif invoices.n_of(client_id) > limits.invoices:
            yield too_many_rows("invoices", invoices.n_of(client_id), limits.invoices)
        elif readings.n_of(client_id) > limits.readings:
            yield too_many_rows("readings", readings.n_of(client_id), limits.readings)
        else:
            client = dict(zip(clients.header, values, strict=True))
            yield RawClient(client, invoices.rows_of(client_id), readings.rows_of(client_id))
        seen.add(client_id)


def _sheet(file: BinaryIO, name: str) -> UploadedTable:
    try:
        return _read(file, name)
    except UnicodeDecodeError:
        raise bad_value(name, "not UTF-8 text; save it as UTF-8") from None
    except csv.Error as error:
        raise bad_value(name, f"not CSV ({error})") from None


def _read(stream: BinaryIO, name: str) -> UploadedTable:
    copies = {}  # values repeat; one copy of each halves the memory
    reader = csv.reader(io.StringIO(stream.read().decode("utf-8-sig"), newline=""))
    header = [column.strip() for column in next(reader, [])]
    at = _place_of_id(header, name)
    lines = []
    for values in reader:
        if len(values) == len(header):
            lines.append((values[at].strip(), [copies.setdefault(value, value) for value in values]))
        elif values:
            counts = f"{len(values)} values; the header has {len(header)}"
            raise bad_value(name, f"line {reader.line_num} has {counts}; correct or remove it")
    return UploadedTable(header, lines)


def _place_of_id(header: list[str], name: str) -> int:
    if not header:
        raise bad_value(name, "empty; send a header and rows")
    if len(set(header)) < len(header):
        raise bad_value(name, "a column stands in the header more than once; keep one of each")
    if CLIENT_ID not in header:
        raise bad_value(name, f"no column {CLIENT_ID} in the header; the columns are separated by commas")
    return header.index(CLIENT_ID)
