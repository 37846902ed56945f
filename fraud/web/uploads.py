"""Two CSV files -> rows, one a client.

In:  clients (client_id, ...) and invoices (client_id, invoice_on, ...), UTF-8, comma-separated, with a header.
Out: a row for each line of clients, with its invoices in the file's order; how many invoices belong to none of them.
The server has no data-frame library; the values stay text, which the tables read as they read files.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from fraud.records import QualityFlag
from fraud.web.bodies import Limits, RawClient, Row, check_number
from fraud.web.errors import bad_value

CLIENT_ID = "client_id"


class Upload(NamedTuple):
    """The rows, and what was found wrong with the files as a whole."""

    rows: Iterator[Row]
    quality: list[QualityFlag]


class Sheet(NamedTuple):
    """A file's header and the values of each line, by client."""

    header: list[str]
    lines: list[tuple[str, list[str]]]


def read_upload(files, limits: Limits) -> Upload:
    """The rows of the files `clients` and `invoices`. [files: name -> file] Raises Problem."""
    clients, invoices = (_sheet(files, name) for name in ("clients", "invoices"))
    check_number(len(clients.lines), limits)
    of_client = defaultdict(list)
    for client_id, values in invoices.lines:
        of_client[client_id].append(values)
    known = {client_id for client_id, _ in clients.lines}
    n_unknown = sum(len(lines) for client_id, lines in of_client.items() if client_id not in known)
    return Upload(_rows(clients, invoices.header, of_client, limits), _unknown(n_unknown))


def _rows(clients: Sheet, header: list[str], of_client: dict, limits: Limits) -> Iterator[Row]:
    # An object a line is made only now, some clients at a time: all at once they take ten times the files' size.
    seen = set()
    for client_id, values in clients.lines:
        lines = of_client.get(client_id, ())
        if not client_id:
            yield bad_value("client.client_id", "empty; every client needs an id")
        elif client_id in seen:
            yield bad_value("client.client_id", "given before; keep one line a client")
        elif len(lines) > limits.invoices:
            yield bad_value("invoices", f"{len(lines):,} where {limits.invoices:,} are taken")
        else:
            yield RawClient(dict(zip(clients.header, values, strict=True)), [_named(header, line) for line in lines])
        seen.add(client_id)


def _named(header: list[str], line: list[str]) -> dict[str, str]:
    return dict(zip(header, line, strict=True))


def _unknown(n: int) -> list[QualityFlag]:
    text = f"Invoices of clients that are not in the clients' file, left out: {n:,}."
    return [QualityFlag("invoices_of_unknown_clients", n, text)] if n else []


def _sheet(files, name: str) -> Sheet:
    if name not in files:
        raise bad_value(name, "missing; upload two CSV files, clients and invoices")
    try:
        return _read(files[name], name)
    except UnicodeDecodeError:
        raise bad_value(name, "not UTF-8 text; save it as UTF-8") from None
    except csv.Error as error:
        raise bad_value(name, f"not CSV ({error})") from None


def _read(stream: BinaryIO, name: str) -> Sheet:
    known = {}  # values come back again and again; one copy of each halves the memory
    reader = csv.reader(io.StringIO(stream.read().decode("utf-8-sig"), newline=""))
    header = [column.strip() for column in next(reader, [])]
    at = _place_of_id(header, name)
    lines = []
    for values in reader:
        if len(values) == len(header):
            lines.append((values[at].strip(), [known.setdefault(value, value) for value in values]))
        elif values:
            counts = f"{len(values)} values where the header has {len(header)}"
            raise bad_value(name, f"line {reader.line_num} has {counts}; correct or remove it")
    return Sheet(header, lines)


def _place_of_id(header: list[str], name: str) -> int:
    if not header:
        raise bad_value(name, "empty; send a header and rows")
    if len(set(header)) < len(header):
        raise bad_value(name, "a column stands in the header more than once; keep one of each")
    if CLIENT_ID not in header:
        raise bad_value(name, f"no column {CLIENT_ID} in the header; the columns are separated by commas")
    return header.index(CLIENT_ID)
