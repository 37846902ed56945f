"""Compare the service with BentoML, MLServer and MLflow, each with an XGBoost of similar size.

    python -m benchmarks.comparison.beside_others                 ten minutes, after a quarter of an hour of installing
    python -m benchmarks.comparison.beside_others --folder DIR    where the environments are made, and reused

In:  model.bin (or MODEL_PATH), wrk (apt install wrk), pip's package index. Every server gets its own environment;
     Fairmeter's holds the serving packages of Pipfile.lock. The others are installed, fitted and started as their
     documentation says (benchmarks/comparison/beside/), with their default number of workers.
Out: tables, and benchmarks/results/beside_others.json (or --json). Failures to install, start or answer are named.

The others receive one finished row of numbers and answer with one number. Fairmeter receives the same row as a flat
object, scored by its ensemble on aggregates (one XGBoost with as many trees, as deep). It also receives a client with
invoices, from which it computes 923 features for three kinds of trees, without and with reasons.
One thread per model, since requests arrive in parallel. Servers alternate; each figure is the median of its rounds.
"""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from benchmarks.comparison.other_servers import OTHERS, NotInstalled, installed, locked, other, running
from benchmarks.helpers.bodies import as_json, bodies_of, with_invoices
from benchmarks.helpers.servers import ROOT, BadAnswer, DidNotStart, Server, posted
from benchmarks.load.load import N_SIMULATED, Rate, ended, grid_of, of_rate, stormed
from benchmarks.speed.bench import MODEL_KEY, MODEL_PATH, N_INVOICES, SEED, SERVICE, WIDTH, by_turns
from fairmeter.features.invoices.matrix import FEATURE_NAMES, client_features
from fairmeter.models import model_file
from fairmeter.models.fraud_model import aggregate_names
from fairmeter.simulation.utility import simulate

HERE = Path(__file__).parent
OUT = HERE.parent / "results" / "beside_others.json"
CONNECTIONS, ROUNDS = (1, 8, 32, 64), 3
N_ROWS = 80  # clients sent in turn
US = "Fairmeter"


class Side(NamedTuple):
    """What is asked of one server. [lines: the file of bodies]"""

    what: str
    tool: str
    path: str
    lines: Path


def main(arguments: list[str] | None = None) -> int:
    return ended(measured, parsed(arguments))


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="beside_others.py", description=__doc__.splitlines()[0])
    folder = Path(tempfile.gettempdir()) / "fairmeter-beside"
    parser.add_argument("--folder", type=Path, default=folder, help=f"for the environments, 4 GB ({folder})")
    parser.add_argument("--seconds", type=int, default=4, help="of each turn (4)")
    parser.add_argument(
        "--json", type=Path, default=OUT, help="the file for the figures (benchmarks/results/beside_others.json)"
    )
    return parser.parse_args(arguments)


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Install, measure and print. Raises DidNotStart, BadAnswer of Fairmeter; failures of others go into the table."""
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else WIDTH)
    names, rows, billed = sent()
    servers, missing = {}, {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        work = Path(folder)
        ours = installed(US, locked(), options.folder, console)
        words = ["-m", "gunicorn", "--log-level", "warning", "--bind", "127.0.0.1:{port}", SERVICE]
        settings = {"MODEL_PATH": str(MODEL_PATH), "LOG_LEVEL": "WARNING"}
        first = posted("/predict", as_json(billed[0]))
        servers[US] = stack.enter_context(running([str(ours / "python"), *words], ROOT, settings, first))
        flat = file_of(work / "flat", [dict(zip(names, row, strict=True)) for row in rows])
        clients = file_of(work / "clients", billed)
        sides = [
            Side("a finished row", US, "/predict?reasons=0", flat),
            Side(f"{N_INVOICES} invoices", US, "/predict?reasons=0", clients),
            Side(f"{N_INVOICES} invoices, with reasons", US, "/predict", clients),
        ]
        for tool in OTHERS:
            try:
                servers[tool.name] = stack.enter_context(other(tool, options.folder, work, rows[0], console))
            except (NotInstalled, DidNotStart) as error:
                missing[tool.name] = str(error)
                console.print(f"{tool.name}: {error}")
            else:
                sides.append(
                    Side("a finished row", tool.name, tool.path, file_of(work / tool.name, map(tool.body, rows)))
                )
        found = rates_of(sides, servers, options.seconds, console)
        sizes = sizes_of(servers, options.folder, console)
    return {"rates": found, "servers": sizes, "missing": missing}


def sent() -> tuple[list[str], list[list[float]], list[dict]]:
    """Simulated clients: the names of aggregates and N_ROWS rows of them, and as many clients with N_INVOICES."""
    clients, invoices, *_ = simulate(N_SIMULATED, SEED)
    model = model_file.load(MODEL_PATH, MODEL_KEY)
    model_file.check_features(model, FEATURE_NAMES, MODEL_PATH)
    names = aggregate_names(model)
    table = client_features(clients, invoices, model.group_key_names).features[
        :N_ROWS, [FEATURE_NAMES.index(name) for name in names]
    ]
    return names, np.nan_to_num(table).tolist(), with_invoices(bodies_of(clients, invoices), N_INVOICES)[:N_ROWS]


def file_of(path: Path, bodies) -> Path:
    path.write_bytes(b"\n".join(as_json(body) for body in bodies))
    return path


# --- figures ----------------------------------------------------------------------------------------------------------


def rates_of(sides: list[Side], servers: dict[str, Server], seconds: int, console: Console) -> list[dict[str, Any]]:
    """Raises BadAnswer where a request to Fairmeter failed."""
    grid, rows = grid_of("server", "sent", "connections", "p50", "p95", "p99", "requests/s"), []
    for n in CONNECTIONS:
        calls = [partial(asked, side, servers[side.tool].port, n, seconds, console) for side in sides]
        for side, figures in zip(sides, by_turns(ROUNDS, *calls), strict=True):
            rate = Rate(*map(float, figures))
            rows.append({"server": side.tool, "sent": side.what, "connections": n} | rate._asdict())
            grid.add_row(side.tool, side.what, str(n), *of_rate(rate))
    console.print(grid)
    return rows


def asked(side: Side, port: int, connections: int, seconds: int, console: Console) -> Rate:
    """One round. A failure of another server is reported and leaves no figure."""
    try:
        return stormed(port, side.path, connections, seconds, side.lines)
    except BadAnswer as error:
        if side.tool == US:
            raise
        console.print(f"{side.tool}, {connections} connections: {error}")
        return Rate(*[np.nan] * len(Rate._fields))


def sizes_of(servers: dict[str, Server], folder: Path, console: Console) -> dict[str, dict[str, float]]:
    """What each takes after all that was asked of it, and what was installed for it."""
    grid, sizes = grid_of("server", "ready", "memory", "installed"), {}
    for name, server in servers.items():
        packages = sum(path.lstat().st_size for path in (folder / name / "lib").rglob("*")) / 1e6
        sizes[name] = {"ready_s": server.ready_s, "memory_mb": server.memory_mb(), "installed_mb": packages}
        grid.add_row(name, f"{server.ready_s:.1f} s", f"{sizes[name]['memory_mb']:.0f} MB", f"{packages:.0f} MB")
    console.print(grid)
    return sizes


if __name__ == "__main__":
    sys.exit(main())
