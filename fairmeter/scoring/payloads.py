"""Bytes of a request -> rows, one a client.

In:  JSON or NDJSON, and limits. Of a long text the structure is looked at before anything is built of it, and the
     clients of a list are built one after the other.
Out: for each client a RawClient, an AggregatedClient, or the Problem with its row. The scorer checks the values later.
A body that cannot be read as a whole raises its Problem.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from typing import Any, NamedTuple

from pydantic_core import from_json

from fairmeter.data.layouts.json_structure import Structure, read_structure
from fairmeter.scoring.problems import Problem, bad_value

RAW_KEYS = {"client", "invoices", "readings"}
FORMS = "Send client, invoices and readings, or aggregates in one flat object; /docs has examples."
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # Windows' editors write it before UTF-8
SHORT = 2**16  # bytes; what is built of a shorter text takes 2 MB at most
MAX_DEPTH = 16  # objects and lists in each other; a batch has four
MIN_BYTES = 32  # bytes for each object or list; a reading has 47
LIST_BEGINS = re.compile(rb"\s*\[")
SCALARS = {str, int, float, bool, type(None)}


class RequestLimits(NamedTuple):
    """How much one request may hold."""

    body_bytes: int
    clients: int
    invoices: int  # of one client
    readings: int  # of one client
    client_bytes: int = 2 * 2**20  # of the JSON of one client


class RawClient(NamedTuple):
    """A client with its invoices and readings; client_tables.py checks names and values."""

    client: dict
    invoices: list[dict]
    readings: list[dict]


class AggregatedClient(NamedTuple):
    """A client's features, aggregated by the caller."""

    features: dict
    client_id: str


Row = RawClient | AggregatedClient | Problem


def parse_json(data: bytes) -> Any:
    """The value of a JSON text. Raises Problem; NaN and Infinity are not JSON."""
    text = data.removeprefix(BYTE_ORDER_MARK)
    check_text(text)
    try:
        return from_json(text, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        raise (
            _no_json(str(error)) if text.strip() else Problem(400, "bad_json", f"The body is empty. {FORMS}")
        ) from None


def _no_json(why: str) -> Problem:
    return Problem(400, "bad_json", f"The body is not JSON ({why}).")


def check_text(text: bytes) -> None:
    """Raises Problem for a long text that nests too deep, or that would take far more memory than it has bytes."""
    if len(text) > SHORT:
        check_structure(read_structure(text), len(text))


def check_structure(structure: Structure, n_bytes: int) -> None:
    """Raises Problem for a text that nests too deep, or that would take far more memory than it has bytes."""
    if structure.depth > MAX_DEPTH:
        raise _no_json(f"lists and objects nest deeper than {MAX_DEPTH} levels")
    if structure.n_containers * MIN_BYTES > max(n_bytes, SHORT):
        raise Problem(
            413, "too_large", f"The text holds {structure.n_containers:,} lists and objects; send plain rows."
        )


def parse_client(data: bytes, limits: RequestLimits) -> RawClient | AggregatedClient:
    """The client of a JSON text. Raises Problem."""
    if len(data) > limits.client_bytes:
        message = f"The client has {len(data):,} bytes of JSON; the limit is {limits.client_bytes:,} a client."
        raise Problem(413, "too_large", message)
    return parse_row(parse_json(data), limits)


def parse_row(body, limits: RequestLimits) -> RawClient | AggregatedClient:
    """The client that a body describes, in whichever form. Raises Problem."""
    if type(body) is not dict:
        raise Problem(422, "bad_value", f"The body is not a JSON object. {FORMS}")
    if RAW_KEYS.isdisjoint(body):
        return _flat_client(body)
    client, invoices, readings = (body.get(name) for name in ("client", "invoices", "readings"))
    if client is not None and type(client) is not dict:
        raise bad_value("client", "not an object")
    _check_list(invoices, "invoices", limits.invoices)
    _check_list(readings, "readings", limits.readings)
    return RawClient(client or {}, invoices or [], readings or [])


def _check_list(value, path: str, limit: int) -> None:
    if value is None:
        return
    if type(value) is not list:
        raise bad_value(path, "not a list")
    if len(value) > limit:
        raise too_many_rows(path, len(value), limit)


def too_many_rows(path: str, n: int, limit: int) -> Problem:
    """The problem of a client with more rows than one may have."""
    return bad_value(path, f"{n:,} rows; the limit is {limit:,} a client")


def _flat_client(body: dict) -> AggregatedClient:
    if not body:
        raise Problem(422, "bad_value", f"The object is empty. {FORMS}")
    for name, value in body.items():
        if type(value) not in SCALARS:
            raise bad_value(name, "not a single value")
    client_id = body.pop("client_id", None)
    return AggregatedClient(body, "" if client_id is None else str(client_id))


class TextRows(Iterator[Row]):
    """Rows that are built of texts one after the other. [n_bytes: of the texts so far]"""

    def __init__(self, texts: Iterable[bytes], limits: RequestLimits) -> None:
        self._texts, self._limits, self.n_bytes = iter(texts), limits, 0

    def __next__(self) -> Row:
        text = next(self._texts)
        self.n_bytes += len(text)
        try:
            return parse_client(text, self._limits)
        except Problem as problem:
            return self._kept(problem)

    def _kept(self, problem: Problem) -> Problem:
        """The problem as that of a row. Raises it where it is one of the whole body."""
        return problem


class ListRows(TextRows):
    """Rows of one JSON text, which is refused as a whole where a part is no JSON."""

    def _kept(self, problem: Problem) -> Problem:
        if problem.code == "bad_json":
            raise problem
        return problem


def rows_of_json(data: bytes, limits: RequestLimits) -> Iterator[Row]:
    """The rows of a JSON list. Raises Problem, also while they are read."""
    text = data.removeprefix(BYTE_ORDER_MARK)
    if len(text) > SHORT and LIST_BEGINS.match(text):
        return ListRows(_elements(text, limits), limits)
    bodies = parse_json(text)
    if type(bodies) is not list:
        raise Problem(422, "bad_value", "The body is not a JSON list; send a list of what /predict takes.")
    check_number(len(bodies), limits)
    return (_row_or_problem(body, limits) for body in bodies)


def _elements(text: bytes, limits: RequestLimits) -> Iterator[bytes]:
    """The texts of a list's elements. Raises Problem."""
    structure = read_structure(text, 10 * limits.clients)  # the number is then right, where it is not absurd
    start = text.index(b"[")
    check_number(len(structure.commas) + bool(text[start + 1 : structure.end].strip()), limits)
    check_structure(structure, len(text))
    if structure.end < 0 or text[structure.end + 1 :].strip():
        raise _no_json("its list does not end, or something follows it")
    bounds = [start, *structure.commas.tolist(), structure.end]
    return (text[before + 1 : after] for before, after in pairwise(bounds))


def rows_of_ndjson(data: bytes, limits: RequestLimits) -> Iterator[Row]:
    """The rows of NDJSON, one a line that is not blank; a line that is not JSON is one bad row. Raises Problem."""
    n_lines = sum(1 for _ in islice(_lines(data), 10 * limits.clients + 1))
    check_number(n_lines, limits)
    return TextRows(_lines(data), limits)


def _lines(data: bytes) -> Iterator[bytes]:
    """The lines that are not blank."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        line, start = data[start : end if end >= 0 else len(data)], (end + 1 if end >= 0 else len(data))
        if line.strip():
            yield line


def _row_or_problem(body: Any, limits: RequestLimits) -> Row:
    try:
        return parse_row(body, limits)
    except Problem as problem:
        return problem


def check_number(n_clients: int, limits: RequestLimits) -> None:
    """Raises Problem for no client, or for more than a request may hold."""
    if n_clients == 0:
        raise Problem(422, "bad_value", "There is no client in the body; send at least one.")
    if n_clients > limits.clients:
        message = (
            f"The body holds {n_clients:,} clients; the limit is {limits.clients:,} a request. Send them in parts."
        )
        raise Problem(413, "too_large", message)
