"""The cost of scoring a growing client base: in memory, partition by partition, and on Spark.

    python -m benchmarks.speed.spark --clients 100000 300000      simulated bases, written first and removed after
    python -m benchmarks.speed.spark --archive data/archive.zip   the public archive: are the lists equal?
    python -m benchmarks.speed.spark --ways memory spark --master 'spark://host:7077'

In:  numbers of clients (simulated in parallel, 20,000 a file, the same for the same number), model.bin.
Out: a table, and --out as JSON, extended after every run: seconds, processor seconds, peak memory and disk of each way;
     processor seconds as a straight line through the measured sizes (drawn by spark_chart.py).

Processor seconds are the measure; `others_cores` is the number of cores used by other processes during the wall-clock
seconds. Memory is the sampled proportional set size of all processes of a way, Java's included. A run that fails
becomes a row too, and the next one starts.
"""

import argparse
import filecmp
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table as Grid

from fairmeter.simulation.billing import draw_calendar
from fairmeter.simulation.clients import REGIONS
from fairmeter.simulation.utility import BLOCK, FRAUD_RATE, csv_columns, simulate_block, stack

ROOT = Path(__file__).resolve().parents[2]
SEED = 8
FILE_CLIENTS = 20_000
WAYS = ("whole", "memory", "spark")
MOST_WHOLE = 400_000  # clients: more would fill this memory, which is the point of the other ways
SAMPLED, SEEN = 0.5, 10  # seconds between looks at processes, and at the disk
NOT_OURS = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess)


class Base(NamedTuple):
    """A client base in files. [n_clients, n_invoices: None of an archive]"""

    name: str
    place: Path
    n_clients: int | None = None
    n_invoices: int | None = None


class Watched(NamedTuple):
    """What a process and its children took."""

    seconds: float
    busy: float  # seconds of a processor
    others: float  # cores that other work kept busy
    most_bytes: int
    most_disk: int


def main() -> int:
    options = parsed()
    console, results = Console(), Results(options)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        for n in [None] * bool(options.archive) + options.clients:
            base = written(folder, n) if n else Base(options.archive.name, options.archive)
            for way in options.ways:
                if way != "whole" or n is None or n <= MOST_WHOLE:
                    results.add(measured(base, way, folder, options))
                    console.print(results.runs[-1])
            for left in folder.iterdir():
                shutil.rmtree(left) if left.is_dir() else left.unlink()
    console.print(grid_of(results.runs))
    return 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--clients", type=int, nargs="*", default=[], help="of each simulated base")
    add("--archive", type=Path, help="files to score besides, as score.py takes them")
    add("--ways", nargs="*", choices=WAYS, default=WAYS)
    add("--memory", default="2GB", help="of the way through parts on one machine (2GB)")
    add("--master", default="local[*]", help="of the way on Spark (local[*])")
    add("--folder", type=Path, default=None, help="for the simulated bases, which are removed again")
    add("--out", type=Path, help="a JSON file; the runs that it holds of other bases and ways stay")
    return parser.parse_args()


# --- bases ------------------------------------------------------------------------------------------------------------


def written(folder: Path, n_clients: int) -> Base:
    """A folder with clients/ and invoices/, Parquet files of FILE_CLIENTS clients each."""
    base = folder / f"{n_clients}"
    for name in ("clients", "invoices"):
        (base / name).mkdir(parents=True)
    common, *seeds = np.random.SeedSequence(SEED).spawn(1 + -(-n_clients // BLOCK))
    calendar = draw_calendar(np.random.default_rng(common), len(REGIONS))
    firsts = range(0, n_clients, FILE_CLIENTS)
    with ProcessPoolExecutor() as pool:
        n_invoices = sum(pool.map(partial(write_file, base, n_clients, seeds, calendar), firsts))
    return Base(f"{n_clients:,}", base, n_clients, n_invoices)


def write_file(base: Path, n_clients: int, seeds: list, calendar: np.ndarray, first: int) -> int:
    """The clients from `first` on, as many as one file holds; how many invoices they have."""
    import pyarrow as pa
    from pyarrow import parquet

    blocks = []
    for start in range(first, min(first + FILE_CLIENTS, n_clients), BLOCK):
        n = min(BLOCK, n_clients - start)
        clients, invoices, _ = simulate_block(seeds[start // BLOCK], start, n, FRAUD_RATE, calendar, None)
        owner = {"client": invoices["client"] - start}
        blocks.append((clients, csv_columns(invoices | owner, clients["client_id"])))
    for name, tables in zip(("clients", "invoices"), zip(*blocks, strict=True), strict=True):
        table = {name: pa.array(column, from_pandas=True) for name, column in stack(tables).items()}
        parquet.write_table(pa.table(table), base / name / f"part-{first // FILE_CLIENTS:05d}.parquet")
    return sum(len(invoices["client_id"]) for _, invoices in blocks)


# --- ways -------------------------------------------------------------------------------------------------------------


def measured(base: Base, way: str, folder: Path, options: argparse.Namespace) -> dict:
    """One run of score.py: what it took; is its list that of the first way that ended?"""
    out = folder / f"{way}.csv"
    more = {"whole": [], "memory": ["--memory", options.memory], "spark": ["--spark", options.master]}[way]
    source = [str(base.place)] if way != "whole" or base.place.is_file() else whole_of(base.place)
    asked = [sys.executable, str(ROOT / "score.py"), *source, "--out", str(out), *more]
    row = {"base": base.name, "n_clients": base.n_clients, "n_invoices": base.n_invoices, "way": way}
    row |= {"setting": more[1] if more else None}
    beside = {**os.environ, "SPARK_LOCAL_DIRS": str(folder / "spark")}
    with tempfile.TemporaryFile("w+") as log:
        with subprocess.Popen(asked, cwd=ROOT, env=beside, stdout=subprocess.DEVNULL, stderr=log) as process:  # noqa: S603
            found = watched(process, folder)
        if process.returncode:
            log.seek(0)
            return row | {"failed": f"{process.returncode}: {log.read().strip()[-300:]}"}
    first = next((folder / f"{other}.csv" for other in options.ways if (folder / f"{other}.csv").exists()), out)
    return row | {
        "seconds": round(found.seconds, 1),
        "others_cores": round(found.others, 1),
        "processor_seconds": round(found.busy, 1),
        "peak_mb": round(found.most_bytes / 2**20),
        "peak_disk_mb": round(found.most_disk / 2**20),
        "is_same_list": filecmp.cmp(first, out, shallow=False) if first != out else None,
    }


def whole_of(base: Path) -> list[str]:
    """One file a table, as the way in memory reads them."""
    import pyarrow as pa
    from pyarrow import parquet

    named = []
    for name in ("clients", "invoices"):
        file = base.parent / f"{base.name}-{name}.parquet"
        if not file.exists():
            parts = sorted((base / name).iterdir())
            parquet.write_table(pa.concat_tables([parquet.read_table(part) for part in parts]), file)
        named += [f"--{name}", str(file)]
    return named


def watched(process: subprocess.Popen, folder: Path) -> Watched:
    """What the process and its children took until it ended. [folder: where it puts what is in between]"""
    root, peak, busy, disk = psutil.Process(process.pid), 0, {}, 0
    start, before = time.perf_counter(), all_busy()
    looked, there = start, on_disk(folder)
    while process.poll() is None:
        try:
            family = [root, *root.children(recursive=True)]
        except NOT_OURS:
            break
        held = 0
        for each in family:
            try:
                held += each.memory_full_info().pss
                times = each.cpu_times()
                busy[each.pid] = times.user + times.system
            except NOT_OURS:
                continue
        peak = max(peak, held)
        if time.perf_counter() - looked > SEEN:
            looked, disk = time.perf_counter(), max(disk, on_disk(folder) - there)
        time.sleep(SAMPLED)
    process.wait()
    seconds, own = time.perf_counter() - start, sum(busy.values())
    return Watched(seconds, own, max(all_busy() - before - own, 0.0) / seconds, peak, disk)


def all_busy() -> float:
    """Seconds that all processors computed, for whomever."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - times.iowait - times.steal - times.guest - times.guest_nice


def on_disk(folder: Path) -> int:
    """Bytes of all files in a folder; those that go while it looks do not count."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(place, name)).st_size
            except FileNotFoundError:
                continue
    return total


# --- output -----------------------------------------------------------------------------------------------------------


class Results:
    """The runs, those of --out among them, which is written after each."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._out = options.out
        self.runs = json.loads(self._out.read_text())["runs"] if self._out and self._out.exists() else []

    def add(self, run: dict) -> None:
        """In the place of the same base's by the same way."""
        same = run["base"], run["way"]
        self.runs = [other for other in self.runs if (other["base"], other["way"]) != same] + [run]
        if self._out:
            lines = {way: line_of(self.runs, way) for way in WAYS}
            row = {"cores": os.cpu_count(), "runs": self.runs, "lines": lines}
            new = self._out.with_suffix(".new")
            new.write_text(json.dumps(row, indent=1) + "\n")
            new.replace(self._out)


def line_of(runs: list[dict], way: str) -> dict | None:
    """Processor seconds of a way as a straight line: those of a run of nothing, and those of each million clients.

    Each size counts alike: the line is nearest by shares, not by seconds, which the largest would decide alone.
    """
    of_way = [run for run in runs if run["way"] == way and run["n_clients"] and "failed" not in run]
    if len(of_way) < 2:
        return None
    millions, busy = (np.array([run[name] for run in of_way]) for name in ("n_clients", "processor_seconds"))
    a_million, nothing = np.polyfit(millions / 1e6, busy, 1, w=1 / busy)
    return {"processor_seconds_of_nothing": round(nothing, 1), "a_million": round(a_million, 1)}


def grid_of(runs: list[dict]) -> Grid:
    names = ("base", "way", "seconds", "others_cores", "processor_seconds", "peak_mb", "peak_disk_mb", "is_same_list")
    grid = Grid(*names, "core h a million")
    for run in runs:
        done = run["n_clients"] and "failed" not in run
        a_million = f"{run['processor_seconds'] / 3600 / run['n_clients'] * 1e6:.2f}" if done else run.get("failed", "")
        grid.add_row(*(str(run.get(name, "")) for name in names), a_million)
    return grid


if __name__ == "__main__":
    sys.exit(main())
