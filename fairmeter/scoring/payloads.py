"""Bytes of a request -> rows, one a client.

In:  JSON or NDJSON, and limits.
Out: for each client a RawClient, an AggregatedClient, or the Problem with its row. The scorer checks the values later.
A body that cannot be read as a whole raises its Problem.
"""

from collections.abc import Iterator
from typing import NamedTuple

from pydantic_core import from_json

from fairmeter.scoring.problems import Problem, bad_value

RAW_KEYS = {"client", "invoices", "readings"}
FORMS = "Send client, invoices and readings, or aggregates in one flat object; /docs has examples."
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # Windows' editors write it before UTF-8
SCALARS = {str, int, float, bool, type(None)}


class RequestLimits(NamedTuple):
    """How much one request may hold."""

    body_bytes: int
    clients: int
    invoices: int  # of one client
    readings: int  # of one client


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


def parse_json(data: bytes):
    """The value of a JSON text. Raises Problem; NaN and Infinity are not JSON."""
    try:
        return from_json(data.removeprefix(BYTE_ORDER_MARK), allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        message = f"The body is not JSON ({error})." if data.strip() else f"The body is empty. {FORMS}"
        raise Problem(400, "bad_json", message) from None


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


def rows_of_json(data: bytes, limits: RequestLimits) -> Iterator[Row]:
    """The rows of a JSON list. Raises Problem."""
    bodies = parse_json(data)
    if type(bodies) is not list:
        raise Problem(422, "bad_value", "The body is not a JSON list; send a list of what /predict takes.")
    check_number(len(bodies), limits)
    return (_row_or_problem(body, limits) for body in bodies)


def rows_of_ndjson(data: bytes, limits: RequestLimits) -> Iterator[Row]:
    """The rows of NDJSON, one a line that is not blank; a line that is not JSON is one bad row. Raises Problem."""
    lines = [line for line in data.split(b"\n") if line.strip()]
    check_number(len(lines), limits)
    return (_row_or_problem(line, limits) for line in lines)


def _row_or_problem(body, limits: RequestLimits) -> Row:
    try:
        return parse_row(parse_json(body) if type(body) is bytes else body, limits)
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
