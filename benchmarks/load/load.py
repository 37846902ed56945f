"""Load the service and bare Flask in the same run: `make load`.

    python -m benchmarks.load.load                            a quarter of an hour, ten minutes of it mixed traffic
    python -m benchmarks.load.load --seconds 2 --minutes 2    shorter
    python -m benchmarks.load.load --workers                  also other kinds of worker

In:  model.bin (or MODEL_PATH) and simulated clients. wrk, a separate program (apt install wrk), generates the load
     with little processor time.
Out: tables, and benchmarks/results/load.json (or --json) with the date and the size of the machine.
Exit codes: 0 done, 2 wrk is missing or the service failed (one sentence on stderr), 130 stopped by Ctrl-C.

Service and Flask alternate; each figure is the median of its rounds. Every connection sends its next request as soon
as it is answered, so latencies at many connections are those of a queue of that length. Ratios carry over to other
machines; times do not.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, NamedTuple

import numpy as np
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table as Grid

from benchmarks.helpers.bodies import as_json, bodies_of, with_invoices
from benchmarks.helpers.commands import exit_code
from benchmarks.helpers.servers import BadAnswer, Connection, DidNotStart, Server, got, machine_now, posted, served
from benchmarks.load.mixed import Mixed, mixed_traffic
from benchmarks.speed.bench import HELLO, MODEL_PATH, N_INVOICES, SEED, SERVICE, WIDTH, by_turns
from fairmeter.simulation.utility import simulate

HERE = Path(__file__).parent
SCRIPT, OUT = HERE / "load.lua", HERE.parent / "results" / "load.json"
CONNECTIONS = (1, 8, 32, 64)
ROUNDS = 3  # turns of each side
N_SIMULATED, N_BATCH, N_BATCHES = 3000, 1000, 3  # clients; clients of a batch; batches
N_IDLE, A_MOMENT = 12, 0.2  # connections that do not go on; seconds
# Browsers open connections ahead of need; an attacker sends half of the announced body.
BESIDE = {"idle": b"", "half_sent": posted("/predict", b"{}" * 50)[:-20]}
AT_ONCE = 32  # connections, where workers are compared
WORKERS = {  # gunicorn's arguments, in addition to gunicorn.conf.py
    "as delivered": "",
    "gunicorn's gthread": "--worker-class gthread --threads 8",
    "sync": "--worker-class sync --threads 1",
    "preloaded": "--preload",
    "2 workers": "--workers 2",
    "2 workers, preloaded": "--workers 2 --preload",
}


class NoWrk(Exception):
    """wrk is not installed."""


class Rate(NamedTuple):
    """Of one side at so many connections: medians over its turns. [ms, requests a second]"""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    requests_s: float


def main(arguments: list[str] | None = None) -> int:
    return ended(measured, parsed(arguments))


def ended(measure: Callable[[argparse.Namespace], dict[str, Any]], options: argparse.Namespace) -> int:
    """Writes what was measured, and the machine, to options.json; the exit code."""

    def work() -> None:
        if shutil.which("wrk") is None:
            raise NoWrk("wrk is not installed, which asks the service: apt install wrk.")
        found = {"machine": machine_now()} | measure(options)
        options.json.write_text(json.dumps(found, indent=1) + "\n")

    return exit_code(work, NoWrk, DidNotStart, BadAnswer)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="load.py", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=8, help="of each turn (8)")
    parser.add_argument("--minutes", type=float, default=10, help="of mixed traffic with writes (10)")
    parser.add_argument("--workers", action="store_true", help="also other kinds of worker")
    parser.add_argument(
        "--json", type=Path, default=OUT, help="the file for the figures (benchmarks/results/load.json)"
    )
    return parser.parse_args(arguments)


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Measures and prints. Raises DidNotStart, BadAnswer."""
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else WIDTH)
    bodies = bodies_of(*simulate(N_SIMULATED, SEED)[:2])
    with tempfile.NamedTemporaryFile("wb", suffix=".ndjson") as lines:
        lines.write(b"\n".join(as_json(body) for body in with_invoices(bodies, N_INVOICES)))
        lines.flush()
        found: dict[str, Any] = {"predict": of_predict(Path(lines.name), options.seconds, console)}
        if options.workers:
            found["workers"] = of_workers(Path(lines.name), options.seconds, console)
    found["batch"] = of_batch(bodies[:N_BATCH], console)
    found["mixed"] = of_mixed(bodies, 60 * options.minutes, console)
    return found


# --- one client a request ---------------------------------------------------------------------------------------------


def of_predict(lines: Path, seconds: int, console: Console) -> list[dict[str, Any]]:
    """The service with reasons and without them, and Flask that parses the same body."""
    grid = grid_of(f"/predict, {N_INVOICES} invoices", "connections", "p50", "p95", "p99", "requests/s", "of Flask's")
    rows = []
    with served(SERVICE, MODEL_PATH=str(MODEL_PATH), LOG_LEVEL="WARNING") as service, served(HELLO) as hello:
        sides = {
            "with reasons": (service, "/predict"),
            "reasons=0": (service, "/predict?reasons=0"),
            "bare Flask": (hello, "/predict"),
        }
        for n in CONNECTIONS:
            calls = [partial(stormed, server.port, path, n, seconds, lines) for server, path in sides.values()]
            rates = dict(zip(sides, (Rate(*map(float, figures)) for figures in by_turns(ROUNDS, *calls)), strict=True))
            for side, rate in rates.items():
                share = rate.requests_s / rates["bare Flask"].requests_s
                rows.append({"side": side, "connections": n} | rate._asdict() | {"share_of_flask": share})
                grid.add_row(side, str(n), *of_rate(rate), f"{share:.2f}")
    console.print(grid)
    return rows


def stormed(port: int, path: str, connections: int, seconds: int, lines: Path) -> Rate:
    """One turn of wrk. Raises BadAnswer where any request failed: such a rate would be worth nothing."""
    asked = ("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(SCRIPT))
    command = (*asked, f"http://127.0.0.1:{port}{path}", "--", str(lines))
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603  (our own command)
    if done.returncode:
        raise BadAnswer(f"wrk: {done.stderr.strip() or done.stdout.strip()}")
    figures = json.loads(done.stdout.splitlines()[-1])
    if figures["n_errors"]:
        raise BadAnswer(f"{path}: {figures['n_errors']} of {figures['n_requests']} requests failed.")
    return Rate(*(figures[name] for name in Rate._fields))


# --- workers ----------------------------------------------------------------------------------------------------------


def of_workers(lines: Path, seconds: int, console: Console) -> list[dict[str, Any]]:
    """What gunicorn.conf.py chose, beside what it could have chosen."""
    beside = [f"beside {N_IDLE} {name}" for name in BESIDE]
    grid = grid_of(f"{AT_ONCE} connections", "p50", "p95", "p99", "requests/s", *beside, "MB")
    rows = []
    for name, arguments in WORKERS.items():
        settings = {"MODEL_PATH": str(MODEL_PATH), "LOG_LEVEL": "WARNING", "GUNICORN_CMD_ARGS": arguments}
        with served(SERVICE, **settings) as server:
            waits = {f"beside_{name}_s": wait_beside(server, sent) for name, sent in BESIDE.items()}
            rate, memory = stormed(server.port, "/predict", AT_ONCE, seconds, lines), server.memory_mb()
        rows.append({"workers": name} | rate._asdict() | waits | {"memory_mb": memory})
        grid.add_row(name, *of_rate(rate), *(f"{wait:.3f} s" for wait in waits.values()), f"{memory:.0f}")
    console.print(grid)
    return rows


def wait_beside(server: Server, sent: bytes) -> float:
    """What a request on a connection of its own takes beside others that sent so much and no more.
    [seconds, LONGEST_START at most]"""
    with ExitStack() as waiting:
        for _ in range(N_IDLE):
            waiting.enter_context(Connection(server.port)).send(sent)
        sleep(A_MOMENT)  # they are taken before it comes
        started = perf_counter()
        with Connection(server.port) as connection, suppress(TimeoutError, BadAnswer):
            connection.ask(got("/health"))
        return perf_counter() - started


# --- many clients a request, and everything at once -------------------------------------------------------------------


def of_batch(bodies: list[dict], console: Console) -> list[dict[str, Any]]:
    """Batches with and without reasons, one after the other."""
    grid, rows = grid_of(f"/batch of {len(bodies):,}", "median", "clients/s", "MB after"), []
    with served(SERVICE, MODEL_PATH=str(MODEL_PATH), LOG_LEVEL="WARNING") as server, Connection(server.port) as asker:
        for path in ("/batch", "/batch?reasons=1"):
            request, taken = posted(path, as_json(bodies)), []
            for _ in range(N_BATCHES):
                started = perf_counter()
                asker.ask(request)
                taken.append(perf_counter() - started)
            median, memory = float(np.median(taken)), server.memory_mb()
            rows.append({"path": path, "median_s": median, "clients_s": len(bodies) / median, "memory_mb": memory})
            grid.add_row(path, f"{median:.2f} s", f"{len(bodies) / median:,.0f}", f"{memory:.0f}")
    console.print(grid)
    return rows


def of_mixed(bodies: list[dict], seconds: float, console: Console) -> dict[str, Any]:
    """A desk on SQLite, people and meters at once. Raises BadAnswer where a request failed."""
    mixed = mixed_traffic(bodies, seconds)
    if mixed.errors:
        raise BadAnswer(
            f"Mixed traffic: {len(mixed.errors)} of {mixed.n_requests} failed, the first: {mixed.errors[0]}"
        )
    console.print(describe(mixed))
    return {name: value for name, value in mixed._asdict().items() if name != "errors"} | {"n_errors": 0}


def describe(mixed: Mixed) -> str:
    return (
        f"Mixed traffic, {mixed.seconds / 60:.1f} minutes: {mixed.n_requests:,} requests, {mixed.n_writes:,} of them "
        f"writes, none failed; p50 {mixed.p50_ms:.0f} ms, p95 {mixed.p95_ms:.0f} ms, p99 {mixed.p99_ms:.0f} ms. Memory "
        f"{mixed.first_mb:.0f} MB after half of the time, {mixed.last_mb:.0f} MB at the end: "
        f"{mixed.slope_mb_hour:+.1f} MB an hour (least squares; standard error {mixed.slope_error_mb_hour:.1f})."
    )


# --- the tables -------------------------------------------------------------------------------------------------------


def grid_of(*columns: str) -> Grid:
    grid = Grid(box=MARKDOWN)
    for i, column in enumerate(columns):
        grid.add_column(column, justify="right" if i else "left")
    return grid


def of_rate(rate: Rate) -> tuple[str, ...]:
    times = (rate.p50_ms, rate.p95_ms, rate.p99_ms)
    return (*(f"{ms:.2f} ms" for ms in times), f"{rate.requests_s:,.0f}")


if __name__ == "__main__":
    sys.exit(main())
