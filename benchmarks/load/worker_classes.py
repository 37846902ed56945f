"""One request after the other to the service as delivered and under gunicorn's threaded worker, by turns.

    python -m benchmarks.load.worker_classes --out benchmarks/results/worker_classes.json

In:  model.bin (or MODEL_PATH) and a simulated client.
Out: the median of each, and the ratio of the medians with its 95 % interval, resampled by rounds.
"""

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.helpers.bodies import as_json, bodies_of, with_invoices
from benchmarks.helpers.servers import THREADED, Connection, got, machine_now, posted, served
from benchmarks.speed.bench import N_INVOICES, SEED
from fairmeter.simulation.utility import simulate

N_ROUNDS, N_FIRST, N_RESAMPLED = 400, 30, 1000
N_SIMULATED = 3000  # clients


def sent_requests() -> dict[str, bytes]:
    """What is asked, by name."""
    [body, *_] = with_invoices(bodies_of(*simulate(N_SIMULATED, SEED)[:2]), N_INVOICES)
    plain, explained = (posted(path, as_json(body)) for path in ("/predict?reasons=0", "/predict"))
    return {"/predict?reasons=0": plain, "/predict": explained, "/health": got("/health")}


def seconds_of(connection: Connection, request: bytes) -> float:
    began = perf_counter()
    connection.ask(request)
    return perf_counter() - began


def measured(n_rounds: int) -> dict[str, np.ndarray]:
    """Seconds by what was asked. [(rounds, 2): as delivered, threaded]"""
    with ExitStack() as servers:
        started = [
            servers.enter_context(served("predict:app", LOG_LEVEL="ERROR", **given))
            for given in ({}, {"GUNICORN_CMD_ARGS": THREADED})
        ]
        asked = [servers.enter_context(Connection(server.port)) for server in started]
        return {name: in_turns(asked, request, n_rounds) for name, request in sent_requests().items()}


def in_turns(asked: list[Connection], request: bytes, n_rounds: int) -> np.ndarray:
    for connection in asked * N_FIRST:
        connection.ask(request)
    found = np.empty((n_rounds, len(asked)))
    for i in range(n_rounds):
        for j in (0, 1) if i % 2 else (1, 0):
            found[i, j] = seconds_of(asked[j], request)
    return found


def summary(seconds: np.ndarray) -> dict[str, float]:
    """Medians [ms], and the ratio of the first to the second with its interval."""
    drawn = np.random.default_rng(SEED).integers(0, len(seconds), (N_RESAMPLED, len(seconds)))
    medians = np.median(seconds[drawn], axis=1)
    low, high = np.percentile(medians[:, 0] / medians[:, 1], (2.5, 97.5))
    ours, threaded = np.median(seconds, axis=0) * 1e3
    figures = {"as_delivered_ms": ours, "threaded_ms": threaded, "ratio": ours / threaded, "low": low, "high": high}
    return {name: round(float(value), 3) for name, value in figures.items()}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=N_ROUNDS)
    parser.add_argument("--out", type=Path, help="where the figures go too")
    options = parser.parse_args(arguments)
    found = {name: summary(seconds) for name, seconds in measured(options.rounds).items()}
    for name, figures in found.items():
        print(name, *(f"{key} {value}" for key, value in figures.items()))
    if options.out:
        options.out.write_text(json.dumps({"machine": machine_now()} | found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
