"""Processor time of requests, and whether another checkout of the repository gives the same answers.

    python -m benchmarks.speed.requests                      this checkout alone
    python -m benchmarks.speed.requests --beside FOLDER      another one too, by turns: git worktree add FOLDER COMMIT

In:  model.bin of each checkout (or MODEL_PATH, for both); simulated clients.
Out: the median of the turns [ms of processor time a request or client], the ratio to the other checkout, and how far
     the numbers of the answers differ. Exit code 1 where a text or an order differs, or a number by over TOLERANCE.

Each checkout is a process of its own that asks its app without a socket. Processor time does not depend on what else
the machine does, as far as caches and clock rates allow; the ratio of turns that alternate depends on it least.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any, NamedTuple

import numpy as np

HERE = Path(__file__).resolve().parents[2]
SEED, N_SIMULATED, N_INVOICES, N_BATCH, N_READ = 1, 3000, 35, 1000, 50
TURNS = 9
TOLERANCE = 1e-6  # of a number in an answer, relative where it is above 1


class Stage(NamedTuple):
    """What is asked: a route, which bodies, and how many of them a turn; n_clients: in each."""

    what: str
    path: str
    bodies: str
    n: int
    n_clients: int = 1


STAGES = (
    Stage(f"`/predict?reasons=0`, {N_INVOICES} invoices", "/predict?reasons=0", "billed", 30),
    Stage(f"`/predict`, {N_INVOICES} invoices", "/predict", "billed", 20),
    Stage("`/predict?reasons=0`, 540 daily readings", "/predict?reasons=0", "read", 20),
    Stage("`/predict`, 540 daily readings", "/predict", "read", 15),
    Stage(f"`/batch` of {N_BATCH:,}, a client", "/batch", "batch", 1, N_BATCH),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="requests.py", description="Processor time of requests.")
    parser.add_argument("--beside", type=Path, help="the folder of another checkout")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return work(*map(Path, options.worker))
    with TemporaryDirectory() as folder:
        bodies = Path(folder, "bodies.json")
        bodies.write_text(json.dumps(bodies_by_kind()))
        sides = [Side(each.resolve(), bodies) for each in (HERE, options.beside) if each]
        print("| processor time, ms | here | beside | ratio |\n|---|---|---|---|")
        found = [measured(stage, sides) for stage in range(len(STAGES))]
    return max(found) > TOLERANCE


def measured(number: int, sides: list["Side"]) -> float:
    """Print a stage's row; the largest difference of the answers, infinite where texts differ."""
    answers = [side.ask(number, "answers") for side in sides]
    turns = np.array([[side.ask(number, "time") for side in sides] for _ in range(TURNS)])
    here, *beside = np.median(turns, axis=0)
    ratio = f"{np.median(turns[:, 0] / turns[:, 1]):.2f}" if beside else ""
    other = f"{beside[0]:.2f}" if beside else ""
    difference = max(differences(answers[0], answers[-1]), default=0.0)
    print(f"| {STAGES[number].what} | {here:.2f} | {other} | {ratio} |", flush=True)
    if difference:
        print(f"largest difference: {difference:.1e}", file=sys.stderr)
    return difference


def differences(one: Any, other: Any) -> Iterator[float]:
    """How far numbers differ; infinite for anything else that differs."""
    if isinstance(one, dict) and isinstance(other, dict) and list(one) == list(other):
        for name in one:
            yield from differences(one[name], other[name])
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for pair in zip(one, other, strict=True):
            yield from differences(*pair)
    elif type(one) is float and type(other) is float:
        yield abs(one - other) / max(1.0, abs(one))
    else:
        yield 0.0 if one == other else np.inf


def bodies_by_kind() -> dict[str, list]:
    """What each stage sends."""
    from benchmarks.helpers.bodies import bodies_of, with_invoices
    from benchmarks.speed import readings
    from fairmeter.simulation.utility import simulate

    clients, invoices, _ = simulate(N_SIMULATED, SEED)
    bodies = bodies_of(clients, invoices)
    read = readings.bodies_of(readings.households(SEED), N_READ)
    return {"billed": with_invoices(bodies, N_INVOICES), "read": read, "batch": [bodies[:N_BATCH]]}


class Side:
    """A process that runs the app of a checkout."""

    def __init__(self, folder: Path, bodies: Path) -> None:
        command = [sys.executable, str(Path(__file__).resolve()), "--worker", str(folder), str(bodies)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        environment = os.environ | {"LOG_LEVEL": "WARNING"}
        self._process = subprocess.Popen(command, text=True, cwd=folder, env=environment, **pipes)  # noqa: S603

    def ask(self, stage: int, what: str) -> Any:
        """Answers of a stage, or its time. [ms a client]"""
        self._process.stdin.write(f"{stage} {what}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def work(folder: Path, bodies: Path) -> int:
    """Answer `ask` until the input ends."""
    sys.path.insert(0, str(folder))
    from predict import app

    given, client = json.loads(bodies.read_text()), app.test_client()
    sent = {kind: [json.dumps(body).encode() for body in of_kind] for kind, of_kind in given.items()}

    def answer(stage: Stage, i: int) -> bytes:
        found = client.post(stage.path, data=sent[stage.bodies][i % len(sent[stage.bodies])], content_type=JSON)
        if found.status_code != 200:
            raise SystemExit(f"{stage.path} answered {found.status}")
        return found.data

    for line in sys.stdin:
        number, what = line.split()
        stage = STAGES[int(number)]
        if what == "answers":
            found = [json.loads(answer(stage, i)) for i in range(stage.n)]
        else:
            started = process_time()
            for i in range(stage.n):
                answer(stage, i)
            found = 1e3 * (process_time() - started) / (stage.n * stage.n_clients)
        print(json.dumps(found), flush=True)
    return 0


JSON = "application/json"

if __name__ == "__main__":
    sys.exit(main())
