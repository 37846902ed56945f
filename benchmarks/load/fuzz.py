"""Send random valid and invalid requests, generated from our OpenAPI document, to a real gunicorn.

    python -m benchmarks.load.fuzz                            10,000 requests over all routes, some minutes
    python -m benchmarks.load.fuzz --requests 500 --seed 7    fewer, with another seed

In:  model.bin. The desk is on, in a new SQLite file; no request leaves this machine.
Out: a table of routes and statuses. Exit code 1, with the request as a curl, for any 5xx, any response that does not
     match the document's schema, and any traceback in the log. The same seed generates the same requests.
"""

import argparse
import gzip
import json
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import seed as seeded
from hypothesis.errors import Unsatisfiable
from rich.console import Console
from rich.table import Column
from rich.table import Table as Grid
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from benchmarks.helpers.servers import served

N_REQUESTS, SEED, A_ROUND = 10_000, 1, 40  # a round: of each route, before the next one has its turn
LONGEST = 60.0  # seconds for an answer
PAPERS, MOST_PAPERS = {"pdf", "xlsx"}, 60  # each takes a process of its own, a second or two
LONGEST_ADDRESS = 4000  # bytes; gunicorn.conf.py takes 4,094 in the line of a request
FIRST = ("/predict?record=1", "/readings", "/cases")  # posted before, so that there is a client with a case to ask for
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
TRACES = ("Traceback (most recent call last)", '"error": ', " failed")
DEEP = 100_000
# What no generator of values makes: texts that are no JSON, no text, or larger and deeper than anybody sends.
HOSTILE = {
    "nothing": b"",
    "half an object": b'{"client": {"client_id": "c-',
    "no numbers": b'{"client": {}, "invoices": [{"invoice_on": NaN}], "visits": -Infinity}',
    "a huge number": b'{"readings": [{"client_id": "c-17", "read_at": "2014-03-01", "consumption_kwh": 1e999}]}',
    "a number of 5,000 digits": b'{"client": {"category": ' + b"9" * 5000 + b"}}",
    "half a surrogate": b'{"client": {"client_id": "\\ud800"}, "client_id": "\\udfff", "why": "\\ud800"}',
    "a NUL": b'{"client": {"client_id": "a\\u0000b"}, "client_id": "a\\u0000b", "why": "\\u0000"}',
    "Latin-1": '{"client_id": "Béja", "why": "é"}'.encode("latin-1"),
    "UTF-16": '{"client_id": "c-17", "why": "x"}'.encode("utf-16"),
    "lists in lists": b"[" * DEEP + b"]" * DEEP,
    "objects in objects": b'{"client":' * DEEP + b"1" + b"}" * DEEP,
    "ten megabytes of text": json.dumps({"client_id": "x" * 10**7, "why": "y", "name": "n", "password": "p"}).encode(),
    "what is packed": gzip.compress(bytes(10**7)),
}


@dataclass
class Seen:
    """What was answered. [wrong: the first request of each kind of fault; times: how many; n_operations: documented]"""

    answers: dict[str, Counter] = field(default_factory=lambda: defaultdict(Counter))
    wrong: dict[tuple[str, str], str] = field(default_factory=dict)
    times: Counter = field(default_factory=Counter)
    n_papers: int = 0
    n_operations: int = 0

    def total(self) -> int:
        return sum(counter.total() for counter in self.answers.values())

    def add_wrong(self, route: str, what: str, request: str) -> None:
        self.times[route, what] += 1
        self.wrong.setdefault((route, what), request)


def main() -> int:
    options = parsed()
    seen = fuzzed(options.requests, options.seed)
    console = Console()
    console.print(table_of(seen))
    for (route, what), request in seen.wrong.items():
        console.print(f"{route}, {seen.times[route, what]} times: {what}\n{request[:2000]}\n", markup=False)
    console.print(f"{seen.total():,} requests, seed {options.seed}, {len(seen.wrong)} kinds of faults.")
    return 1 if seen.wrong else 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=N_REQUESTS, help="at least this many (10,000)")
    parser.add_argument("--seed", type=int, default=SEED)
    return parser.parse_args()


def fuzzed(n_requests: int, seed: int = SEED) -> Seen:
    """What a service of its own answered to at least this many (10,000) requests. Raises DidNotStart."""
    seen = Seen()
    with service() as (address, log), requests.Session() as session:
        document = requests.get(f"{address}/openapi.json", timeout=LONGEST).json()
        fill(address, document)
        operations = operations_of(document, address)
        seen.n_operations = len(operations)
        send_hostile(operations, session, seen)
        a_round = min(A_ROUND, max(1, n_requests // (2 * len(operations))))
        n = 0
        while seen.total() < n_requests:
            mode = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)[n % 2]
            for i, operation in enumerate(operations):
                send_drawn(operation, mode, a_round, seed * 1_000_003 + 1009 * n + i, session, seen)
            n += 1
        find_traces(log, seen)
    return seen


@contextmanager
def service() -> Iterator[tuple[str, Path]]:
    """The address of a service with an empty desk, and the file of its log."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        url = f"sqlite:///{folder}/fuzz.db"
        with log.open("wb") as stream, served("predict:app", log=stream, DATABASE_URL=url, OPEN="1") as server:
            yield f"http://127.0.0.1:{server.port}", log


def fill(address: str, document: dict) -> None:
    """Sends the document's own examples. Raises requests.HTTPError where one is not taken."""
    for path in FIRST:
        body = document["paths"][path.partition("?")[0]]["post"]["requestBody"]["content"]["application/json"]
        example = next(iter(body["examples"].values()))["value"]
        requests.post(address + path, json=example, timeout=LONGEST).raise_for_status()


def operations_of(document: dict, address: str) -> list[APIOperation]:
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=address)
    schema.config.generation.update(with_security_parameters=False)  # wrong keys would have to wait after ten
    return [result.ok() for result in schema.get_all_operations()]


# --- sending ----------------------------------------------------------------------------------------------------------


def send_drawn(
    operation: APIOperation, mode: GenerationMode, most: int, seed: int, session: requests.Session, seen: Seen
) -> None:
    """Up to `most` requests to one route; of a route that takes nothing there are fewer."""

    @seeded(seed)
    @settings(
        max_examples=most,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Case) -> None:
        if is_paper(case):
            assume(seen.n_papers < MOST_PAPERS)
            seen.n_papers += 1
        send_one(case, session, seen)

    with suppress(Unsatisfiable):  # nothing can be wrong in a request that says nothing
        send()


def is_paper(case: Case) -> bool:
    return bool(PAPERS & {str(value) for value in as_list((case.query or {}).get("format"))})


def as_list(value) -> list:
    return value if isinstance(value, list) else [value]


def send_hostile(operations: list[APIOperation], session: requests.Session, seen: Seen) -> None:
    for operation in operations:
        names = re.findall(r"{(\w+)}", operation.path)
        for body in operation.body:
            for name, data in HOSTILE.items():
                case = operation.Case(path_parameters=dict.fromkeys(names, 1), method=operation.method)
                sent = {"data": data, "headers": {"Content-Type": body.media_type}}
                send_one(case, session, seen, f"the body {name!r} as {body.media_type}", **sent)


def send_one(case: Case, session: requests.Session, seen: Seen, shown: str = "", **more) -> None:
    """One request, whose answer is counted and checked."""
    route = f"{case.method.upper()} {case.operation.path}"
    try:
        answer = case.call(session=session, timeout=LONGEST, **more)
    except requests.RequestException as error:
        seen.add_wrong(route, f"no answer ({type(error).__name__})", shown or case.as_curl_command())
        return
    seen.answers[route][answer.status_code] += 1
    if 400 <= answer.status_code < 500 and len(answer.request.path_url) > LONGEST_ADDRESS:
        return  # gunicorn's own answer: the request never reaches the service
    try:
        case.validate_response(answer, checks=CHECKS)
    except FailureGroup as group:
        for failure in group.exceptions:
            seen.add_wrong(route, sentence_of(failure), shown or case.as_curl_command())


def sentence_of(failure: Failure) -> str:
    return " ".join(f"{failure.title}: {failure.message}".split())[:300]


def find_traces(log: Path, seen: Seen) -> None:
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if any(trace in line for trace in TRACES):
            seen.add_wrong("log", "a traceback", line)


def table_of(seen: Seen) -> Grid:
    statuses = sorted({status for counter in seen.answers.values() for status in counter})
    grid = Grid(Column("route", no_wrap=True), *map(str, statuses), "all")
    for route, counter in sorted(seen.answers.items()):
        grid.add_row(route, *(f"{counter[status] or ''}" for status in statuses), str(counter.total()))
    grid.add_row("all", *(str(sum(c[status] for c in seen.answers.values())) for status in statuses), str(seen.total()))
    return grid


if __name__ == "__main__":
    sys.exit(main())
