"""Attack the service on loopback and measure what it still answers: `make attack`.

    python -m benchmarks.load.attack                          all attacks, some minutes
    python -m benchmarks.load.attack --seconds 2 unread       two seconds beside each attack, of one kind only

In:  model.bin. The desk is on, in a new SQLite file; the service listens on loopback alone. Every attack is bounded.
Out: a table: beside each attack the 99th percentile of /health and /ready, the median of /predict, its ratio to that
     of a quiet service in the same run, and the largest memory of the worker. Every request is on a new connection.
Exit codes: 0 all within the bounds, 1 not.
"""

import argparse
import json
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from threading import Event, Thread
from time import perf_counter, sleep
from typing import NamedTuple

import numpy as np
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table as Grid

from benchmarks.helpers.bodies import as_json
from benchmarks.helpers.servers import Connection, Server, got, posted, served
from fairmeter.scoring import examples

MAX_SECONDS, MAX_RATIO = 1.0, 5.0  # of /health and /ready at the 99th percentile; of /predict's median to a quiet one's
SECONDS = 10.0  # beside each attack
PAUSE = 0.05  # seconds between the rounds of questions
N_CALLERS, N_SILENT, N_HALF = 16, 1050, 64  # connections
N_HEAVY, N_CLIENTS = 8, 3000  # batches at once; clients of each
N_LARGE = 9000  # clients of a batch
N_NESTED = 31 * 2**20  # bytes of opening brackets
SIDE = 4000  # pixels of a photo
RATE = 2600  # bytes a second: just above what is closed
LARGEST_FILE = "/desk/static/attack/plotly.min.js"
HEAD = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
SCORED = posted("/predict?reasons=0", as_json(examples.RAW))
ASKED = {"health": got("/health"), "ready": got("/ready"), "predict": SCORED}


class Attack(NamedTuple):
    """What is done to the service in the block of `begun(port)`."""

    name: str
    begun: Callable[[int], "object"]


@dataclass
class Answers:
    """Seconds until the answers, by what was asked."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in ASKED})
    largest_mb: float = 0.0

    def p99(self, name: str) -> float:
        """The 99th percentile."""
        return float(np.percentile(self.seconds[name], 99))

    def median(self, name: str) -> float:
        """The median."""
        return float(np.median(self.seconds[name]))


# --- attacks ----------------------------------------------------------------------------------------------------------


def connected(port: int, sent: bytes, held: ExitStack, buffer: int | None = None) -> socket.socket | None:
    """A connection that sent something, closed at the end of the stack; None where it was refused."""
    with suppress(OSError):
        connection = socket.socket()
        held.callback(connection.close)
        if buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", port))
        connection.sendall(sent)
        return connection
    return None


def many(port: int, n: int, sent: bytes, held: ExitStack, buffer: int | None = None) -> list[socket.socket]:
    """So many connections that sent the same."""
    made = (connected(port, sent, held, buffer) for _ in range(n))
    return [connection for connection in made if connection is not None]


@contextmanager
def going_on(step: Callable[[], None], every: float) -> Iterator[None]:
    """A step again and again beside the block."""
    enough = Event()

    def run() -> None:
        while not enough.wait(every):
            step()

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


@contextmanager
def unread(port: int) -> Iterator[None]:
    """Large answers, several a connection, of which nothing is read."""
    with ExitStack() as held:
        many(port, N_CALLERS, got(LARGEST_FILE) * 6, held, 4096)
        yield


@contextmanager
def trickled(port: int) -> Iterator[None]:
    """Large answers that are read by bytes."""
    with ExitStack() as held:
        readers = many(port, N_CALLERS, got(LARGEST_FILE), held, 4096)

        def read() -> None:
            for reader in readers:
                with suppress(OSError):
                    reader.recv(10)

        with going_on(read, 0.2):
            yield


@contextmanager
def slow_uploads(port: int) -> Iterator[None]:
    """Long bodies at the slowest pace that is taken, with a length and in chunks that look finished."""
    with ExitStack() as held:
        whole = HEAD % b"/batch" + b"Content-Length: 30000000\r\n\r\n[" + b" " * 70_000
        in_chunks = HEAD % b"/batch" + b"Transfer-Encoding: chunked\r\n\r\n"
        senders = many(port, N_CALLERS, whole, held)
        looking_finished = many(port, N_CALLERS, in_chunks, held)

        def send() -> None:
            for each in (*senders, *looking_finished):
                with suppress(OSError):
                    chunk = b"\r\n0\r\n\r\n".ljust(RATE)
                    each.sendall(chunk if each in senders else b"%x\r\n%s\r\n" % (RATE, chunk))

        with going_on(send, 1.0):
            yield


@contextmanager
def silent(port: int) -> Iterator[None]:
    """Connections that say nothing, and others that sent half of what they announced."""
    with ExitStack() as held:
        many(port, N_SILENT, b"", held)
        many(port, N_HALF, HEAD % b"/predict" + b"Content-Length: 50\r\n\r\n{", held)
        many(port, N_HALF, b"GET /health HTTP/1.1\r\nHo", held)
        yield


@contextmanager
def again_and_again(ask: Callable[[ExitStack], object]) -> Iterator[None]:
    """Ask on connections that are closed after a second, and again."""

    def send() -> None:
        with ExitStack() as held:
            ask(held)
            sleep(1)

    with going_on(send, 0.1):
        yield


@contextmanager
def hung_up(port: int) -> Iterator[None]:
    """Large batches with reasons whose callers hang up, and send the next one."""
    body = as_json([with_id(f"a-{i}") for i in range(N_CLIENTS)])
    request = posted("/batch?reasons=1", body)

    with again_and_again(lambda held: many(port, N_HEAVY, request, held)):
        yield


@contextmanager
def large(port: int) -> Iterator[None]:
    """Batches of 15 MB, whose callers wait."""
    with ExitStack() as held:
        many(port, N_HEAVY, posted("/batch", as_json([with_id(f"a-{i}") for i in range(N_LARGE)])), held)
        yield


@contextmanager
def nested(port: int) -> Iterator[None]:
    """Bodies of nested lists, which would take thirty times their size; one client each, and batches."""
    bodies = [b"[" * N_NESTED, b"[" + b"[]," * (N_NESTED // 3) + b"[]]"]
    requests = [posted(path, body) for path in ("/predict", "/batch") for body in bodies]

    def send() -> None:
        with ExitStack() as held:
            for request in requests * 2:
                connected(port, request, held)

    with going_on(send, 0.5):
        yield


@contextmanager
def paperwork(port: int) -> Iterator[None]:
    """Files of lists, and a promise over the whole list."""
    asked = [got(path) for path in ("/clients?format=pdf", "/clients?format=xlsx", "/list?false_alarms=0.2")]

    def ask(held: ExitStack) -> None:
        for each in asked * 3:
            connected(port, each, held)

    with again_and_again(ask):
        yield


@contextmanager
def photos(port: int) -> Iterator[None]:
    """Photos of sixteen megapixels, with visits that are never recorded, as their case is another's."""
    request = posted("/cases/1/inspections", as_json(a_visit()))

    with again_and_again(lambda held: many(port, N_HEAVY, request, held)):
        yield


def a_visit() -> dict:
    """A visit with six photos."""
    from base64 import b64encode

    from PIL import Image

    file = BytesIO()
    Image.new("RGB", (SIDE, SIDE), (200, 40, 40)).save(file, "PNG")
    photo = b64encode(file.getvalue()).decode()
    return {"outcome": "cleared", "inspected_on": "2026-01-01", "version": 2**40, "photos": [photo] * 6}


def with_id(client_id: str) -> dict:
    """The example as another client."""
    return examples.RAW | {"client": examples.RAW["client"] | {"client_id": client_id}}


ATTACKS = [
    Attack(function.__name__, function)
    for function in (unread, trickled, slow_uploads, silent, hung_up, large, nested, paperwork, photos)
]

# --- measured ---------------------------------------------------------------------------------------------------------


def ask(port: int, name: str) -> float:
    """Seconds until one answer, on a connection of its own. Raises OSError, BadAnswer."""
    began = perf_counter()
    with Connection(port) as connection:
        connection.ask(ASKED[name])
    return perf_counter() - began


def answers_for(server: Server, seconds: float) -> Answers:
    """What is answered in so many seconds, each thing by turns."""
    answers, until = Answers(), perf_counter() + seconds
    while perf_counter() < until:
        for name, found in answers.seconds.items():
            found.append(ask(server.port, name))
        answers.largest_mb = max(answers.largest_mb, server.worker_mb())
        sleep(PAUSE)
    return answers


def beside(attack: Attack, server: Server, seconds: float, settled: float = 1.0) -> Answers:
    """What is answered beside an attack that has begun."""
    with attack.begun(server.port):
        sleep(settled)
        return answers_for(server, seconds)


def is_within(answers: Answers, quiet: Answers) -> bool:
    """Whether the service held."""
    is_alive = max(answers.p99("health"), answers.p99("ready")) <= MAX_SECONDS
    return is_alive and answers.median("predict") <= MAX_RATIO * quiet.median("predict")


@contextmanager
def attacked_service(folder: Path, **settings: str) -> Iterator[Server]:
    """The service with a desk that has a client and a case."""
    database = f"sqlite:///{folder}/attack.db"
    with served("predict:app", DATABASE_URL=database, OPEN="anywhere", LOG_LEVEL="ERROR", **settings) as server:
        with Connection(server.port) as asker:
            asker.ask(posted("/predict?record=1", as_json(examples.RAW)))
            client_id = examples.RAW["client"]["client_id"]
            asker.ask(posted("/cases", as_json({"client_id": client_id, "why": "to be attacked"})))
        yield server


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[[], *(attack.name for attack in ATTACKS)], default=[])
    parser.add_argument("--seconds", type=float, default=SECONDS, help="beside each attack")
    parser.add_argument("--json", type=Path, help="where the figures go too")
    options = parser.parse_args(arguments)
    chosen = [attack for attack in ATTACKS if not options.names or attack.name in options.names]
    with tempfile.TemporaryDirectory() as folder, attacked_service(Path(folder)) as server:
        quiet = answers_for(server, options.seconds)
        found = {attack.name: beside(attack, server, options.seconds) for attack in chosen}
    print_table(found, quiet)
    if options.json:
        options.json.write_text(json.dumps(figures_of({"quiet": quiet} | found), indent=1) + "\n")
    return 0 if all(is_within(answers, quiet) for answers in found.values()) else 1


def print_table(found: dict[str, Answers], quiet: Answers) -> None:
    grid = Grid("beside", "/health p99", "/ready p99", "/predict p50", "of quiet", "worker", "held", box=MARKDOWN)
    for name, answers in ({"nothing": quiet} | found).items():
        ratio = answers.median("predict") / quiet.median("predict")
        figures = (f"{answers.p99(n):.3f} s" for n in ("health", "ready"))
        held = "yes" if is_within(answers, quiet) else "no"
        predict, memory = f"{answers.median('predict') * 1e3:.1f} ms", f"{answers.largest_mb:.0f} MB"
        grid.add_row(name, *figures, predict, f"{ratio:.1f}", memory, held)
    Console(width=120).print(grid)


def figures_of(found: dict[str, Answers]) -> dict[str, dict[str, float]]:
    """The figures by attack."""
    return {
        name: {
            "health_p99_s": round(answers.p99("health"), 4),
            "ready_p99_s": round(answers.p99("ready"), 4),
            "predict_p50_ms": round(answers.median("predict") * 1e3, 2),
            "n": len(answers.seconds["health"]),
            "worker_mb": round(answers.largest_mb),
        }
        for name, answers in found.items()
    }


if __name__ == "__main__":
    sys.exit(main())
