"""Mixed traffic against a desk on SQLite: clients scored and stored, readings, case moves, lists.

In:  request bodies of simulated clients (bodies.py); the duration.
Out: Mixed: requests, failures, latencies, and the growth of the workers' memory.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date, timedelta
from itertools import count, cycle
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import NamedTuple

import numpy as np

from benchmarks.helpers.bodies import as_json
from benchmarks.helpers.servers import BadAnswer, Connection, Server, got, posted, served
from benchmarks.speed.bench import MODEL_PATH, SERVICE
from fairmeter.casework.alert_rules import read_rules
from fairmeter.core.types import Score
from fairmeter.store import Store
from fairmeter.web.http import sessions
from fairmeter.web.http.auth import INVESTIGATOR

RULES = Path(__file__).resolve().parents[2] / "data" / "alerts.toml"
N_CASES = 20
N_KEPT = (
    500  # clients that are scored and kept again and again; all are known before, else lists grow while they are read
)
N_DAYS = 60  # of readings that a meter sends, before the next meter: each batch is judged with all before it
EVERY = 2.0  # seconds between two looks at the memory
WARM_UP = 0.5  # of the time: the database's pages, its statements and the days read are remembered once, and no growth
A_MINUTE = 60  # seconds
PAGES = ("/dashboard", "/clients?sort=score", "/list?visits=20", "/alerts", "/cases", "/metrics")


class Mixed(NamedTuple):
    """slope_mb_hour: of master and workers, by least squares after the warm-up, with its standard error.

    first_mb, last_mb: at the end of the warm-up and of the time. minutes_mb: at the begin of every minute.
    """

    seconds: float
    n_requests: int
    n_writes: int
    errors: list[str]
    p50_ms: float
    p95_ms: float
    p99_ms: float
    first_mb: float
    last_mb: float
    slope_mb_hour: float
    slope_error_mb_hour: float
    minutes_mb: list[float]


class Asker:
    """A user or a meter: a persistent connection, opened again after a failure."""

    def __init__(self, port: int, key: str) -> None:
        self._port, self._key = port, key
        self._connection: Connection | None = None
        self.taken: list[float] = []
        self.errors: list[str] = []
        self.n_writes = 0

    def read(self, path: str) -> bytes:
        return self._ask(path, got(path, self._key))

    def write(self, path: str, body: object) -> bytes:
        self.n_writes += 1
        return self._ask(path, posted(path, as_json(body), self._key))

    def score(self, body: dict) -> bytes:
        return self._ask("/predict", posted("/predict", as_json(body), self._key))

    def _ask(self, path: str, request: bytes) -> bytes:
        started = perf_counter()
        try:
            self._connection = self._connection or Connection(self._port)
            return self._connection.ask(request)
        except (BadAnswer, OSError) as error:
            self.errors.append(f"{path}: {error}")
            self.close()
            return b""
        finally:
            self.taken.append(perf_counter() - started)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.__exit__()
        self._connection = None


# --- generators of requests, one at a time ----------------------------------------------------------------------------


def scores(asker: Asker, bodies: list[dict]) -> Iterator[None]:
    for body in cycle(bodies):
        yield asker.score(body)


def recorded(asker: Asker, bodies: list[dict]) -> Iterator[None]:
    for body in cycle(bodies):
        yield asker.write("/predict?record=1", body)


def meters(asker: Asker, name: str) -> Iterator[None]:
    """A day of hours after the other."""
    for n in count():
        client_id, day = f"{name}-{n // N_DAYS}", date(2014, 1, 1) + timedelta(days=n % N_DAYS)
        hours = [{"client_id": client_id, "read_at": f"{day}T{i:02}:00", "consumption_kwh": 0.4} for i in range(24)]
        yield asker.write("/readings", {"readings": hours})


def moves(asker: Asker, case_ids: list[int]) -> Iterator[None]:
    """Assigns a case and gives it back, again and again."""
    for n, case_id in enumerate(cycle(case_ids)):
        answer = asker.read(f"/cases/{case_id}")
        if answer:
            case = json.loads(answer)
            to = "assigned" if case["state"] == "new" else "new"
            body = {"to": to, "why": f"move {n}", "version": case["version"], "assignee": "anna"}
            asker.write(f"/cases/{case_id}/moves", body)
        yield


def looks(asker: Asker) -> Iterator[None]:
    for path in cycle(PAGES):
        yield asker.read(path)


# --- all at once ------------------------------------------------------------------------------------------------------


def mixed_traffic(bodies: list[dict], seconds: float) -> Mixed:
    """Raises DidNotStart, BadAnswer."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/desk.db"
        key, case_ids = prepared(url)
        settings = {"MODEL_PATH": str(MODEL_PATH), "DATABASE_URL": url, "LOG_LEVEL": "WARNING"}
        with served(SERVICE, **settings) as server:
            askers = [Asker(server.port, key) for _ in range(8)]
            keep_once(server.port, key, bodies[:N_KEPT])
            steps = [
                *(scores(asker, bodies[i::3]) for i, asker in enumerate(askers[:3])),
                recorded(askers[3], bodies[:N_KEPT]),
                *(meters(asker, f"m{i}") for i, asker in enumerate(askers[4:6])),
                moves(askers[6], case_ids),
                looks(askers[7]),
            ]
            looked = run_all(steps, server, seconds)
    return summary(askers, looked, seconds)


def prepared(url: str) -> tuple[str, list[int]]:
    """A key that may write, and cases to be moved."""
    with closing(Store(url)) as store:
        store.migrate()
        key, key_hash = sessions.new_key()
        store.add_key("load", key_hash, INVESTIGATOR)
        known = [Score(f"c-{i}", 0.5, "high", 0.1, (), ()) for i in range(N_CASES)]
        store.write_run(known, "load", read_rules(RULES))
        return key, [store.open_case(score.client_id, "anna", "to begin with").case_id for score in known]


def keep_once(port: int, key: str, bodies: list[dict]) -> None:
    """Raises BadAnswer."""
    asker = Asker(port, key)
    for _ in zip(bodies, recorded(asker, bodies), strict=False):
        if asker.errors:
            raise BadAnswer(asker.errors[0])
    asker.close()


def run_all(steps: list[Iterator[None]], server: Server, seconds: float) -> np.ndarray:
    """Goes through the steps at once; the memory while they did. [(looks, 2): seconds, MB]"""
    enough, started, looked = Event(), perf_counter(), []
    with ThreadPoolExecutor(len(steps)) as threads:
        running = [threads.submit(until, enough.is_set, one) for one in steps]
        try:
            while (now := perf_counter() - started) < seconds and not any(future.done() for future in running):
                looked.append((now, server.memory_mb()))
                enough.wait(EVERY)
        finally:
            enough.set()
        for future in running:
            future.result()
    return np.array(looked)


def until(is_enough: Callable[[], bool], steps: Iterator[None]) -> None:
    for _ in steps:
        if is_enough():
            return


def summary(askers: list[Asker], looked: np.ndarray, seconds: float) -> Mixed:
    taken = np.concatenate([asker.taken for asker in askers])
    warm = looked[looked[:, 0] >= WARM_UP * seconds]
    slope, error = slope_of(warm[:, 0] / 3600, warm[:, 1])
    minutes = looked[np.searchsorted(looked[:, 0], np.arange(0, looked[-1, 0], A_MINUTE)), 1].round(1).tolist()
    for asker in askers:
        asker.close()
    return Mixed(
        seconds, len(taken), sum(asker.n_writes for asker in askers), [e for asker in askers for e in asker.errors],
        *(1e3 * np.quantile(taken, (0.5, 0.95, 0.99))).tolist(), float(warm[0, 1]), float(warm[-1, 1]), slope, error,
        minutes,
    )  # fmt: skip


def slope_of(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """By least squares, with its standard error as if looks were independent."""
    slope, start = np.polyfit(x, y, 1)
    rest = y - (slope * x + start)
    error = np.sqrt(rest @ rest / (len(x) - 2) / ((x - x.mean()) ** 2).sum())
    return float(slope), float(error)
