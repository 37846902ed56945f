"""BentoML, MLServer and MLflow, each in its own environment with an XGBoost, started as its documentation says.

In:  pip's package index; a folder for the environments, which are reused.
Out: a `servers.Server` as a context manager. Raises NotInstalled, DidNotStart.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, sleep
from typing import NamedTuple

from rich.console import Console

from benchmarks.helpers.bodies import as_json
from benchmarks.helpers.servers import (
    LONGEST_START,
    RETRY,
    ROOT,
    BadAnswer,
    Connection,
    DidNotStart,
    Server,
    free_port,
    posted,
)

GIVEN = Path(__file__).parent / "beside"
OLDER_LOOP = "uvloop<0.22"  # MLServer 1.7.1 does not start with a newer one: "There is no current event loop"
N_TREES, DEPTH = 450, 6  # of members.fit_xgboost
# The same environment for all: no competing thread pools, no telemetry.
QUIET = {"OMP_NUM_THREADS": "1", "BENTOML_DO_NOT_TRACK": "True", "MLFLOW_DISABLE_TELEMETRY": "true"}


class Tool(NamedTuple):
    """A server of models. [words: of its command, {port} filled in; the first is in its environment's bin/]"""

    name: str
    packages: list[str]
    words: list[str]
    path: str
    body: Callable[[list[float]], dict]


class NotInstalled(DidNotStart):
    """pip, or the tool's own way to keep a model, failed; its last words."""


OTHERS = (
    Tool(
        "BentoML", ["bentoml", "xgboost", "scikit-learn"],
        ["bentoml", "serve", "service:Scorer", "--host", "127.0.0.1", "--port", "{port}"],
        "/predict", lambda row: {"data": [row]},
    ),
    Tool(
        "MLServer", ["mlserver", "mlserver-xgboost", OLDER_LOOP], ["mlserver", "start", "."],
        "/v2/models/scorer/infer",
        lambda row: {"inputs": [{"name": "row", "shape": [1, len(row)], "datatype": "FP32", "data": row}]},
    ),
    Tool(
        "MLflow", ["mlflow", "xgboost"],
        ["mlflow", "models", "serve", "-m", "model", "-h", "127.0.0.1", "-p", "{port}", "--env-manager", "local"],
        "/invocations", lambda row: {"inputs": [row]},
    ),
)  # fmt: skip


def locked() -> list[str]:
    """What Fairmeter serves with, in the versions of the lock."""
    packages = json.loads((ROOT / "Pipfile.lock").read_text())["default"]
    return ["--no-deps", *(f"{name}{entry['version']}" for name, entry in packages.items())]


def installed(name: str, packages: list[str], folder: Path, console: Console) -> Path:
    """bin/ of an environment with these packages, made where there is none. Raises NotInstalled."""
    home = (folder / name).resolve()
    done = home / ".installed"
    if not done.exists():
        console.print(f"Installing {name} into {home}.")
        run([sys.executable, "-m", "venv", "--clear", str(home)])
        run([str(home / "bin" / "pip"), "install", "--quiet", *packages])
        done.touch()
    return home / "bin"


def run(command: list[str], **more) -> None:
    done = subprocess.run(command, capture_output=True, text=True, **more)  # noqa: S603  (our own command)
    if done.returncode:
        raise NotInstalled(
            f"{command[0]} ended with {done.returncode}: {(done.stderr.strip() or '?').splitlines()[-1]}"
        )


@contextmanager
def other(tool: Tool, folder: Path, work: Path, row: list[float], console: Console) -> Iterator[Server]:
    """A tool with its model. Raises NotInstalled, DidNotStart."""
    tools = installed(tool.name, tool.packages, folder, console)
    home = work / f"{tool.name}-home"
    shutil.copytree(GIVEN, home)
    settings = QUIET | {"BENTOML_HOME": str(home / "bentoml"), "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    fit = [str(tools / "python"), "fit.py", tool.name.lower(), ".", str(len(row)), str(N_TREES), str(DEPTH)]
    run(fit, cwd=home, env=os.environ | settings)
    command = [str(tools / tool.words[0]), *tool.words[1:]]
    with running(command, home, settings, posted(tool.path, as_json(tool.body(row)))) as server:
        yield server


@contextmanager
def running(command: list[str], folder: Path, settings: dict[str, str], first: bytes) -> Iterator[Server]:
    """The command while the block lasts, once it answered the first request. Raises DidNotStart."""
    port, started = free_port(), perf_counter()
    ports = {f"MLSERVER_{name}_PORT": str(free_port()) for name in ("GRPC", "METRICS")}
    settings = QUIET | ports | {"MLSERVER_HTTP_PORT": str(port), "MLSERVER_HOST": "127.0.0.1"} | settings
    words = [word.format(port=port) for word in command]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(  # noqa: S603  (our own command)
            words, cwd=folder, env=os.environ | settings, stdout=log, stderr=log, start_new_session=True
        )
        try:
            if not answers(process, port, first):
                log.seek(0)
                last_line = (log.read().strip() or "?").splitlines()[-1]
                raise DidNotStart(f"{Path(words[0]).name} gave no answer within {LONGEST_START:.0f} s: {last_line}")
            yield Server(process.pid, port, perf_counter() - started)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def answers(process: subprocess.Popen, port: int, first: bytes) -> bool:
    """Whether it answers the first request with 200 in time."""
    deadline = perf_counter() + LONGEST_START
    while perf_counter() < deadline and process.poll() is None:
        try:
            with Connection(port) as connection:
                connection.ask(first)
                return True
        except (OSError, BadAnswer):
            sleep(RETRY)
    return False
