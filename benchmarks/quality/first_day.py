"""A utility's first day: four invented exports from unknown columns to the first page of the desk, one command a step.

    python -m benchmarks.quality.first_day                      writes benchmarks/results/first_day.json
    python -m benchmarks.quality.first_day --small --out FILE   tiny exports, in two minutes

In:  nothing: the exports are made. Their four layouts are those of tests/unit/data/maps.
Out: for each export and step the seconds and the exit code, the guessed lines that are not sure, and what the check
     asks. The steps after the guess take the right map, as if its unsure lines had been corrected by hand.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import requests

from benchmarks.helpers import exports
from benchmarks.helpers.commands import exit_code
from benchmarks.helpers.exports import Export
from benchmarks.helpers.servers import LONGEST_START, SERVICE, served

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "benchmarks" / "results" / "first_day.json"
UNSURE = "# ?"
QUESTION = 1  # exit code of a check that asks something
EXPORTS: dict[str, Callable[[Path, bool], Export]] = {
    "Brazilian, wide months": lambda to, small: exports.brazilian(to, 200 if small else 2_000),
    "Indian, ledger with slabs": lambda to, small: exports.indian(to, 60 if small else 2_000),
    "European, quarter hours": lambda to, small: exports.european(to, *((24, 40) if small else (100, 200))),
    "French, a file a client": lambda to, small: exports.french(to, *((24, 40) if small else (300, 40))),
}
LINE = "{:<28}{:<10}{:>9}  {}"


class StepFailed(Exception):
    """A command ended with another exit code than a good one."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="first_day.py", description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="tiny exports")
    parser.add_argument("--only", choices=EXPORTS, help="one export")
    parser.add_argument("--out", type=Path, default=OUT)
    return exit_code(lambda: _measure(parser.parse_args(arguments)), StepFailed)


def _measure(options: argparse.Namespace) -> None:
    print(LINE.format("export", "step", "seconds", "what stood in the way"))
    found = []
    for name in [options.only] if options.only else EXPORTS:
        with tempfile.TemporaryDirectory() as folder:
            found.append({"export": name} | first_day(name, EXPORTS[name](Path(folder), options.small), Path(folder)))
        figures = {"small": options.small, "exports": found}
        options.out.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")


def first_day(name: str, export: Export, folder: Path) -> dict:
    """Seconds and obstacles of each step. Raises StepFailed."""
    mapped, model = (str(export.files), "--map", str(export.map)), folder / "model.bin"
    scores = (*mapped, "--model", str(model), "--out", str(folder / "scores.csv"))
    steps = {
        "guess": ("score.py", str(export.files), "--guess-map"),
        "check": ("score.py", *mapped, "--check", "--report", str(folder / "check")),
        "train": ("train.py", *mapped, "--quick", "--out", str(model), "--report", str(folder / "report")),
        "list": ("score.py", *scores, "--visits", "20", "--price", "0.2", "--list", str(folder / "visits.csv")),
        "store": ("score.py", *scores, "--store"),
    }
    environment = {"DATABASE_URL": f"sqlite:///{folder / 'desk.db'}", "MODEL_PATH": str(model)}
    seconds, obstacles = {}, []
    for step, command in steps.items():
        seconds[step], output = _run(command, environment)
        asked = _obstacles(step, output)
        obstacles += asked
        print(LINE.format(name, step, f"{seconds[step]:.1f}", f"{len(asked)} to answer" if asked else ""))
    seconds["desk"] = _first_page(folder, environment)
    print(LINE.format(name, "desk", f"{seconds['desk']:.1f}", ""))
    return {"seconds": seconds, "obstacles": obstacles}


def _run(command: tuple[str, ...], environment: dict[str, str]) -> tuple[float, str]:
    """Seconds, and what was printed. Raises StepFailed."""
    begin, settings = perf_counter(), os.environ | environment
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=settings, capture_output=True, text=True)  # noqa: S603  (our own commands)
    if done.returncode and not ("--check" in command and done.returncode == QUESTION):
        raise StepFailed(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    return round(perf_counter() - begin, 1), done.stdout


def _obstacles(step: str, output: str) -> list[str]:
    """Lines of a guessed map that are not sure, and lines of a check that ask something."""
    lines = (line.strip() for line in output.splitlines())
    if step == "guess":
        return [line for line in lines if UNSURE in line and not line.startswith("#")]
    return [line for line in lines if line.startswith("?")] if step == "check" else []


def _first_page(folder: Path, environment: dict[str, str]) -> float:
    """Seconds from the start of the service to the first page of the desk. Raises requests.HTTPError."""
    begin = perf_counter()
    with (folder / "log").open("wb") as log, served(SERVICE, log, OPEN="1", **environment) as server:
        requests.get(f"http://127.0.0.1:{server.port}/desk/", timeout=LONGEST_START).raise_for_status()
        return round(perf_counter() - begin, 1)


if __name__ == "__main__":
    raise SystemExit(main())
