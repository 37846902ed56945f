"""Speed and memory of Fairmeter against other ways to the same result, measured in one run: `make bench`.

    python -m benchmarks.speed.bench                      data/archive.zip, else a simulated utility
    python -m benchmarks.speed.bench --quick              a small simulated utility, under a minute
    python -m benchmarks.speed.bench --json speed.json    the figures as JSON too

In:  model.bin (or MODEL_PATH); clients and invoices for what is measured on all of them. Measurements on one client or
     a thousand use simulated ones, so that no real client's row goes through a socket.
Out: one table; the ratio is Fairmeter's figure divided by the other one.
Exit codes: 0 done, 2 the data or the model cannot be used, or a server does not answer (one sentence on stderr), 130
stopped by Ctrl-C.

Both sides alternate, A B A B, and each figure is the median of its rounds, so that other load on the machine affects
both. Ratios carry over to other machines; times do not.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table as Grid

from benchmarks.helpers.bodies import as_json, bodies_of, requests_of, with_invoices
from benchmarks.helpers.commands import exit_code
from benchmarks.helpers.servers import BadAnswer, Connection, DidNotStart, Server, machine_now, posted, served
from benchmarks.speed import readings
from benchmarks.speed.naive import AGGREGATIONS, naive_features
from fairmeter.core.types import Table
from fairmeter.data.files import TableError
from fairmeter.data.json_records import tables_from_records
from fairmeter.data.tables import Tables, read_tables
from fairmeter.features.invoices.matrix import FEATURE_NAMES, client_features
from fairmeter.models import model_file
from fairmeter.models.fraud_model import FraudModel
from fairmeter.models.model_file import ModelError
from fairmeter.scoring.population import ClientBase
from fairmeter.simulation.utility import simulate
from fairmeter.training.member_fitting import fit_catboost, fit_xgboost

ARCHIVE = Path("data/archive.zip")
MODEL_PATH = Path(os.environ.get("MODEL_PATH") or "model.bin").resolve()
MODEL_KEY = os.environ.get("MODEL_KEY", "").encode() or None  # with it, an unsigned model is refused
N_INVOICES = 35  # of the client that is timed: about the mean of the public set
N_BATCH = 1000  # clients
N_SIMULATED = 3000  # clients: some eighty of them have N_INVOICES
N_TIMED = 50  # clients with readings that are scored in turn
SEED = 1
WIDTH = 200  # columns of the table in a file, which has no edge to break lines at

SERVICE, HELLO, HELLO_HEAVY = "predict:app", "benchmarks.helpers.hello:app", "benchmarks.helpers.hello_heavy:app"
Tell = Callable[[str], None]


class Size(NamedTuple):
    """How much is measured."""

    rounds: int  # turns of each side
    table_rounds: int  # as many, of what takes all clients
    requests: int  # a turn
    clients: int  # simulated, where there is no archive


FULL = Size(rounds=3, table_rounds=1, requests=400, clients=20_000)  # three minutes on an idle machine
QUICK = Size(rounds=3, table_rounds=3, requests=200, clients=3000)


class Figure(NamedTuple):
    """A row of the table; a list instead of a number says which, and has no ratio."""

    what: str
    unit: str
    ours: float | list[str]
    beside: float | list[str] | None = None
    than: str = ""

    @property
    def ratio(self) -> float | None:
        is_pair = not isinstance(self.ours, list) and self.beside
        return self.ours / self.beside if is_pair else None


def main(arguments: list[str] | None = None) -> int:
    options = parsed(arguments)
    work = partial(run, options, QUICK if options.quick else FULL)
    return exit_code(work, TableError, ModelError, DidNotStart, BadAnswer)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.py", description="Speed and memory, each figure beside another's.")
    parser.add_argument("data", nargs="*", type=Path, help=f"a zip, a folder, or files ({ARCHIVE}, else simulated)")
    parser.add_argument(
        "--quick", action="store_true", help="fewer turns, and simulated clients where no data is named"
    )
    parser.add_argument("--json", type=Path, help="a file for the figures as JSON")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, size: Size) -> None:
    """Measures, prints, writes. The service comes first, while this process is small and has no threads."""
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else WIDTH)
    machine = machine_now()
    model = model_file.load(MODEL_PATH, MODEL_KEY)
    model_file.check_features(model, FEATURE_NAMES, MODEL_PATH)
    with console.status("") as status:
        tell = status.update
        clients, invoices, _ = simulate(N_SIMULATED, SEED)
        bodies = bodies_of(clients, invoices)
        figures = [*of_starts(bodies, size, tell), *of_service(bodies, size, tell), *of_desk(bodies, size, tell)]
        natives = native_models(clients, invoices, options.quick, tell)
        figures += of_one_client(model, bodies, *natives, size, tell)
        figures += of_readings(model, size, tell)
        name, tables = tables_for(options.data, size, options.quick, tell)
        figures += of_tables(model, tables, size, tell)
    data = {"name": name, "n_clients": len(tables.quality), "n_invoices": len(tables.invoices["client"])}
    console.print(
        grid_of(figures),
        "{cores} cores, Python {python}, load {load_at_start} at the start.".format(**machine),
        "All clients: {name}, {n_clients:,} with {n_invoices:,} invoices.".format(**data),
        sep="\n",
    )
    if options.json:
        rows = [figure._asdict() | {"ratio": figure.ratio} for figure in figures]
        options.json.write_text(json.dumps({"machine": machine, "data": data, "figures": rows}, indent=1) + "\n")


# --- taking turns -----------------------------------------------------------------------------------------------------


def by_turns(rounds: int, *sides: Callable[[], Any]) -> Iterator[np.ndarray]:
    """The median figures of each side, which run one after the other, again and again."""
    turns = [[side() for side in sides] for _ in range(rounds)]
    return (np.median(of_side, axis=0) for of_side in zip(*turns, strict=True))


def seconds(call: Callable[[], Any]) -> float:
    started = perf_counter()
    call()
    return perf_counter() - started


def latency(calls: Iterable[Callable[[], Any]]) -> tuple[float, float, float]:
    """p50 [ms], p99 [ms], and calls a second, one after the other."""
    taken = np.array([seconds(call) for call in calls])
    return (*(1e3 * np.quantile(taken, (0.5, 0.99))), len(taken) / taken.sum())


# --- the service ------------------------------------------------------------------------------------------------------


def of_starts(bodies: list[dict], size: Size, tell: Tell) -> list[Figure]:
    """Memory and libraries after a turn of requests, so that nothing is loaded later."""
    tell("Starting workers")
    requests, libraries = requests_of(with_invoices(bodies, N_INVOICES)), {}

    def started(app: str) -> tuple[float, float]:
        with served(app, MODEL_PATH=str(MODEL_PATH)) as server:
            asked(server, requests, size.requests)
            libraries[app] = server.heavy_libraries()
            return server.ready_s, server.memory_mb()

    ours, heavy = by_turns(size.rounds, lambda: started(SERVICE), lambda: started(HELLO_HEAVY))
    than = "Flask that imports pandas, sklearn, XGBoost, CatBoost"
    return [
        Figure("worker, time to ready", "s", ours[0], heavy[0], than),
        Figure("worker, memory with gunicorn's master", "MB", ours[1], heavy[1], than),
        Figure("worker, heavy libraries in its memory", "", libraries[SERVICE], libraries[HELLO_HEAVY], than),
    ]


def of_service(bodies: list[dict], size: Size, tell: Tell) -> list[Figure]:
    """One kept-alive connection, the next request when the last is answered."""
    tell("Asking the service")
    one_by_one, of_35 = requests_of(bodies[:N_BATCH]), requests_of(with_invoices(bodies, N_INVOICES))
    explained = [posted("/predict", as_json(body)) for body in with_invoices(bodies, N_INVOICES)]
    batch = posted("/batch", as_json(bodies[:N_BATCH]))
    with served(SERVICE, MODEL_PATH=str(MODEL_PATH), LOG_LEVEL="WARNING") as service, served(HELLO) as hello:
        ours, bare = by_turns(
            size.rounds, lambda: asked(service, of_35, size.requests), lambda: asked(hello, of_35, size.requests)
        )
        with_reasons, beside = by_turns(
            size.rounds,
            lambda: asked(service, explained, size.requests // 2),
            lambda: asked(hello, of_35, size.requests // 2),
        )
        at_once, single = by_turns(
            size.rounds, lambda: asked(service, [batch], 1), lambda: asked(service, one_by_one, N_BATCH)
        )
        memory = service.memory_mb()
    what, than = f"/predict?reasons=0, {N_INVOICES} invoices", "bare Flask, the same body"
    return [
        Figure(f"{what}, p50", "ms", ours[0], bare[0], than),
        Figure(f"{what}, p99", "ms", ours[1], bare[1], than),
        Figure(f"{what}, at one connection", "requests/s", ours[2], bare[2], than),
        Figure(f"/predict with reasons, {N_INVOICES} invoices, p50", "ms", with_reasons[0], beside[0], than),
        Figure(
            f"/batch of {N_BATCH:,} with invoices",
            "clients/s",
            at_once[2] * N_BATCH,
            single[2],
            "/predict?reasons=0, the same",
        ),
        Figure("worker, memory after these batches", "MB", memory),
    ]


def of_desk(bodies: list[dict], size: Size, tell: Tell) -> list[Figure]:
    """What a desk costs whoever asks for a score alone."""
    tell("Asking the service with a desk")
    requests, settings = requests_of(with_invoices(bodies, N_INVOICES)), {"MODEL_PATH": str(MODEL_PATH)}
    settings["LOG_LEVEL"] = "WARNING"
    with (
        TemporaryDirectory() as folder,
        served(SERVICE, **settings, DATABASE_URL=f"sqlite:///{folder}/desk.db") as desk,
        served(SERVICE, **settings) as alone,
    ):
        beside, without = by_turns(
            size.rounds, lambda: asked(desk, requests, size.requests), lambda: asked(alone, requests, size.requests)
        )
    what = f"/predict?reasons=0, {N_INVOICES} invoices, with a desk, p50"
    return [Figure(what, "ms", beside[0], without[0], "the same without a desk")]


def asked(server: Server, requests: list[bytes], n: int) -> tuple[float, float, float]:
    """The latency of n requests, one after the other."""
    with Connection(server.port) as connection:
        connection.ask(requests[0])
        return latency(partial(connection.ask, request) for request in islice(cycle(requests), n))


# --- one client in this process ---------------------------------------------------------------------------------------


def native_models(clients: Table, invoices: Table, is_quick: bool, tell: Tell) -> tuple[list[np.ndarray], list[Any]]:
    """Finished rows, and the libraries' own models for them, as large as ours. [rows: float32, (1, features)]"""
    tell("Fitting XGBoost and CatBoost, to be timed beside the model")
    features = client_features(clients, invoices).features
    xgboost = fit_xgboost(features, clients["label"], SEED, is_quick).native
    bags = fit_catboost(features, clients["label"], SEED, is_quick).native
    xgboost.set_params(n_jobs=1)  # as one would serve it: threads cost one row more than they gain
    return list(features[:, None]), [xgboost, *bags]


def of_one_client(
    model: FraudModel, bodies: list[dict], rows: list[np.ndarray], natives: list[Any], size: Size, tell: Tell
) -> list[Figure]:
    """From the parsed JSON to the score."""
    tell("Scoring one client after the other")
    bodies = with_invoices(bodies, N_INVOICES)

    def ours() -> np.ndarray:
        taken = [stages(model, body) for body in islice(cycle(bodies), size.requests)]
        return 1e3 * np.quantile(np.column_stack([taken, np.sum(taken, axis=1)]), (0.5, 0.99), axis=0)

    def theirs() -> tuple[float, float, float]:
        return latency(partial(judged_natively, natives, row) for row in islice(cycle(rows), size.requests))

    mine, other = by_turns(size.rounds, ours, theirs)
    p50, p99 = mine
    what, than = f"one client, {N_INVOICES} invoices", "XGBoost + CatBoost, one finished row"
    return [
        *(Figure(f"{what}: {stage}, p50", "ms", taken) for stage, taken in zip(STAGES, p50, strict=False)),
        Figure(f"{what}: all of it, p50", "ms", p50[-1], other[0], than),
        Figure(f"{what}: all of it, p99", "ms", p99[-1], other[1], than),
    ]


STAGES = ("JSON to tables", "features", "judge")


def stages(model: FraudModel, body: dict) -> tuple[float, ...]:
    """What each of STAGES takes. [seconds]"""
    marks = [perf_counter()]
    clients, invoices, quality = tables_from_records([body["client"]], [body["invoices"]])
    marks.append(perf_counter())
    evidence = client_features(clients, invoices, model.group_key_names)
    marks.append(perf_counter())
    model.score_clients(evidence, clients["client_id"], quality)
    marks.append(perf_counter())
    return tuple(np.diff(marks))


def judged_natively(natives: list[Any], row: np.ndarray) -> list[np.ndarray]:
    return [model.predict_proba(row) for model in natives]


# --- readings ---------------------------------------------------------------------------------------------------------


def of_readings(model: FraudModel, size: Size, tell: Tell) -> list[Figure]:
    """Features of many, and one client from the parsed JSON to the score where the model judges readings."""
    tell("Features of readings")
    table = readings.households(SEED)
    frame = pd.DataFrame(table)
    ours, pandas = by_turns(
        size.table_rounds,
        lambda: seconds(lambda: readings.features_of(table)),
        lambda: seconds(lambda: readings.naive_features(frame)),
    )
    what, than = f"{readings.N_CLIENTS:,} clients with {readings.N_DAYS} daily readings", "pandas groupby with lambdas"
    figures = [
        Figure(f"features of {what}", "s", ours, pandas, than),
        Figure("features of readings", "", len(readings.FEATURE_NAMES), len(readings.AGGREGATIONS), than),
    ]
    if model.readings is None:
        return figures
    bodies = readings.bodies_of(table, N_TIMED)
    p50, p99, _ = latency(partial(readings.judged, model, body) for body in islice(cycle(bodies), size.requests))
    what = f"one client, {readings.N_DAYS} daily readings: JSON to score"
    return [*figures, Figure(f"{what}, p50", "ms", p50), Figure(f"{what}, p99", "ms", p99)]


# --- all clients ------------------------------------------------------------------------------------------------------


def tables_for(data: list[Path], size: Size, is_quick: bool, tell: Tell) -> tuple[str, Tables]:
    """The tables, and what they are. Raises TableError."""
    data = data or ([ARCHIVE] if ARCHIVE.exists() and not is_quick else [])
    if data:
        tell("Reading tables")
        return ", ".join(path.name for path in data), read_tables(*data)
    tell("Simulating clients")
    clients, invoices, _ = simulate(size.clients, SEED)
    return "simulated clients", Tables(clients, invoices, [], [()] * len(clients["client_id"]))


def of_tables(model: FraudModel, tables: Tables, size: Size, tell: Tell) -> list[Figure]:
    """Once the tables are read, and the frame that pandas works on is made."""
    tell("Features and scores of all clients")
    clients, invoices, n = tables.clients, tables.invoices, len(tables.quality)
    frame = pd.DataFrame(invoices)
    ours, pandas, score = by_turns(
        size.table_rounds,
        lambda: seconds(lambda: client_features(clients, invoices)),
        lambda: seconds(lambda: naive_features(frame)),
        lambda: seconds(lambda: list(ClientBase(model, tables).scored())),
    )
    than = "pandas groupby with lambdas"
    return [
        Figure("features of all clients", "s", ours, pandas, than),
        Figure("features of a client", "", len(FEATURE_NAMES), len(AGGREGATIONS), than),
        Figure("score.py, features and scores", "clients/s", n / score, n / pandas, f"{than}, no scores"),
    ]


# --- the table --------------------------------------------------------------------------------------------------------


def grid_of(figures: list[Figure]) -> Grid:
    grid = Grid("", "unit", "Fairmeter", "other", "ratio", "the other is", box=MARKDOWN)
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2g}"
        grid.add_row(figure.what, figure.unit, text_of(figure.ours), text_of(figure.beside), ratio, figure.than)
    return grid


def text_of(value: float | list[str] | None) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
