"""Run an app under gunicorn with the service's own settings, and query it by a client with little overhead.

In:  an app such as "predict:app", and its environment variables.
Out: `Server` as a context manager: port, seconds until ready, memory, imported libraries.
"""

import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, sleep
from typing import IO, Any

import psutil

ROOT = Path(__file__).resolve().parents[2]  # where gunicorn finds gunicorn.conf.py
LONGEST_START = 60.0  # seconds
RETRY = 0.005  # seconds
SERVICE, THREADED = "predict:app", "--worker-class gthread --threads 8"  # the worker of an app that is WSGI alone
# Set outside they would change what is measured; $PORT would be listened on too.
NOT_PASSED_ON = ("PORT", "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS")
HEAVY = frozenset({"catboost", "keras", "pandas", "polars", "pyarrow", "scipy", "sklearn", "tensorflow", "xgboost"})
GOOD = (b"HTTP/1.1 200 ", b"HTTP/1.1 201 ")
OF_LIBRARY = re.compile(r"/(?:site|dist)-packages/(\w+)")
OF_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


class DidNotStart(Exception):
    """A server that ended, or that took too long; its own words went to stderr."""


class BadAnswer(Exception):
    """An answer other than 200 or 201: a figure made of it would be worth nothing."""


class Connection:
    """A persistent HTTP/1.1 connection. http.client would take longer to parse an answer than Flask to send it."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=LONGEST_START)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, part: bytes) -> None:
        self._socket.sendall(part)

    def ask(self, request: bytes) -> bytes:
        """The body of the answer, which must have a length and the status 200 or 201. Raises BadAnswer, OSError."""
        self.send(request)
        answer = bytearray()
        while (head := answer.find(b"\r\n\r\n")) < 0:
            answer += self._received()
        if not answer.startswith(GOOD):
            raise BadAnswer(answer[:500].decode(errors="replace"))
        end = head + 4 + int(OF_LENGTH.search(answer, 0, head)[1])
        while len(answer) < end:
            answer += self._received()
        return bytes(answer[head + 4 :])

    def _received(self) -> bytes:
        part = self._socket.recv(2**18)
        if not part:
            raise BadAnswer("The connection was closed before the answer.")
        return part


def got(path: str, key: str = "") -> bytes:
    """A GET request. [key: of a script]"""
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n{_with(key)}\r\n".encode()


def posted(path: str, body: bytes, key: str = "") -> bytes:
    """A POST request with JSON. [key: of a script]"""
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n{_with(key)}\r\n".encode() + body


def _with(key: str) -> str:
    return f"X-API-Key: {key}\r\n" if key else ""


@dataclass(frozen=True)
class Server:
    """A gunicorn that is ready. [ready_s: seconds from its start]"""

    pid: int
    port: int
    ready_s: float

    def memory_mb(self) -> float:
        """What each of master and worker has for itself, and what they share, once. [10^6 bytes]

        PSS would flatter both: of a library's pages it counts a part only while other processes, as the one that
        measures, have the library too.
        """
        taken = [process.memory_full_info() for process in self._processes()]
        return (sum(memory.uss for memory in taken) + max(memory.rss - memory.uss for memory in taken)) / 1e6

    def worker_mb(self) -> float:
        """What the worker alone takes, with all that it shares. [10^6 bytes]"""
        [worker] = psutil.Process(self.pid).children()
        return worker.memory_info().rss / 1e6

    def heavy_libraries(self) -> list[str]:
        """Those of HEAVY of which a file is mapped into master or worker."""
        paths = (mapped.path for process in self._processes() for mapped in process.memory_maps())
        found = (OF_LIBRARY.search(path) for path in paths)
        return sorted({match[1] for match in found if match} & HEAVY)

    def _processes(self) -> list[psutil.Process]:
        master = psutil.Process(self.pid)
        return [master, *master.children(recursive=True)]


@contextmanager
def served(app: str, log: IO[bytes] | None = None, **environment: str) -> Iterator[Server]:
    """One worker. Raises DidNotStart. [log: where its stderr goes, else to ours]"""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--log-level", "warning", app]
    inherited = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
    inherited |= {} if app == SERVICE else {"GUNICORN_CMD_ARGS": THREADED}
    started = perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=inherited | environment, stderr=log)  # noqa: S603  (our own command)
    try:
        wait_until_ready(process, port, app)
        yield Server(process.pid, port, perf_counter() - started)
    finally:
        process.terminate()
        process.wait()


def wait_until_ready(process: subprocess.Popen, port: int, app: str) -> None:
    """Returns with the first 200 from /ready: gunicorn takes connections before its worker can answer them."""
    deadline = perf_counter() + LONGEST_START
    while perf_counter() < deadline and process.poll() is None:
        try:
            with Connection(port) as connection:
                connection.ask(got("/ready"))
                return
        except (OSError, BadAnswer):
            sleep(RETRY)
    raise DidNotStart(f"gunicorn {app} ended, or did not answer /ready with 200 within {LONGEST_START:.0f} s.")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def machine_now() -> dict[str, Any]:
    """When and on what something is measured."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "python": platform.python_version(),
        "load_at_start": round(os.getloadavg()[0], 2),
    }
