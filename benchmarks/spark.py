"""What it costs to score a base that grows: in memory, part by part on one machine, on Spark.

    python benchmarks/spark.py --clients 100000 300000           simulated bases, written first
    python benchmarks/spark.py --archive data/archive.zip        the public archive: are the lists equal?
    python benchmarks/spark.py --ways memory spark --master 'spark://host:7077'

In:  numbers of clients (the simulator writes them in parallel, 20,000 a file, the same for the same number), model.bin.
Out: a table, and --out as JSON: seconds, processor seconds and memory at its peak of each way; core hours a million
     clients, and where the straight line through the measured sizes meets another way's.

Memory is what all processes of a way hold together (their proportional set size, sampled), Java's among it.
"""

import argparse
import filecmp
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table as Grid

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # else Python looks for rooms in benchmarks/ only

from fraud.billing import draw_calendar
from fraud.population import REGIONS
from fraud.simulate import BLOCK, FRAUD_RATE, in_words, simulate_block, stack

ROOT = Path(__file__).resolve().parents[1]
SEED = 8
FILE_CLIENTS = 20_000
WAYS = ("whole", "memory", "spark")
MOST_WHOLE = 400_000  # clients: more would fill this memory, which is the point of the other ways
SAMPLED = 0.5  # seconds
NOT_OURS = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess)


def main() -> int:
    options = parsed()
    console, rows = Console(), []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        bases = [(f"{options.archive.name}", options.archive, None)] if options.archive else []
        for n in options.clients:
            console.print(f"Writing {n:,} clients ...")
            bases.append((f"{n:,}", written(Path(folder), n), n))
        for name, place, n in bases:
            ways = [way for way in options.ways if way != "whole" or n is None or n <= MOST_WHOLE]
            rows += [measured(name, place, n, way, Path(folder), options) for way in ways]
            console.print(rows[-len(ways) :])
    console.print(grid_of(rows))
    lines = {way: line_of([row for row in rows if row["way"] == way and row["n_clients"]]) for way in options.ways}
    if options.out:
        told = {"cores": os.cpu_count(), "memory_setting": options.memory, "master": options.master}
        options.out.write_text(json.dumps(told | {"runs": rows, "lines": lines}, indent=1) + "\n")
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
    add("--out", type=Path, help="a JSON file")
    return parser.parse_args()


# --- bases ------------------------------------------------------------------------------------------------------------


def written(folder: Path, n_clients: int) -> Path:
    """A folder with clients/ and invoices/, Parquet files of FILE_CLIENTS clients each."""
    base = folder / f"{n_clients}"
    for name in ("clients", "invoices"):
        (base / name).mkdir(parents=True)
    common, *seeds = np.random.SeedSequence(SEED).spawn(1 + -(-n_clients // BLOCK))
    calendar = draw_calendar(np.random.default_rng(common), len(REGIONS))
    firsts = range(0, n_clients, FILE_CLIENTS)
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(write_file, base, n_clients, seeds, calendar), firsts))
    return base


def write_file(base: Path, n_clients: int, seeds: list, calendar: np.ndarray, first: int) -> None:
    """The clients from `first` on, as many as one file holds."""
    import pyarrow as pa
    from pyarrow import parquet

    blocks = []
    for start in range(first, min(first + FILE_CLIENTS, n_clients), BLOCK):
        n = min(BLOCK, n_clients - start)
        clients, invoices, _ = simulate_block(seeds[start // BLOCK], start, n, FRAUD_RATE, calendar, None)
        owner = {"client": invoices["client"] - start}
        blocks.append((clients, in_words(invoices | owner, clients["client_id"])))
    for name, tables in zip(("clients", "invoices"), zip(*blocks, strict=True), strict=True):
        table = {name: pa.array(column, from_pandas=True) for name, column in stack(tables).items()}
        parquet.write_table(pa.table(table), base / name / f"part-{first // FILE_CLIENTS:05d}.parquet")


# --- ways -------------------------------------------------------------------------------------------------------------


def measured(name: str, place: Path, n: int | None, way: str, folder: Path, options: argparse.Namespace) -> dict:
    """One run of score.py: seconds, processor seconds, peak of memory; is its list that of the first way?"""
    out = folder / f"{place.name}-{way}.csv"
    more = {"whole": [], "memory": ["--memory", options.memory], "spark": ["--spark", options.master]}[way]
    source = [str(place)] if way != "whole" or place.is_file() else whole_of(place)
    asked = [sys.executable, str(ROOT / "score.py"), *source, "--out", str(out), *more]
    start = time.perf_counter()
    with subprocess.Popen(asked, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        peak, busy = watched(process)
    if process.returncode:
        raise SystemExit(f"{' '.join(asked)} ended with {process.returncode}.")
    seconds = time.perf_counter() - start
    first = folder / f"{place.name}-{options.ways[0]}.csv"
    return {
        "base": name,
        "n_clients": n,
        "way": way,
        "seconds": round(seconds, 1),
        "processor_seconds": round(busy, 1),
        "peak_mb": round(peak / 2**20),
        "is_same_list": filecmp.cmp(first, out, shallow=False) if first.exists() else None,
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


def watched(process: subprocess.Popen) -> tuple[int, float]:
    """(bytes that the process and its children held together at the most, seconds that they computed)"""
    root, peak, busy = psutil.Process(process.pid), 0, {}
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
        time.sleep(SAMPLED)
    process.wait()
    return peak, sum(busy.values())


# --- what it says -----------------------------------------------------------------------------------------------------


def line_of(rows: list[dict]) -> dict | None:
    """Processor seconds as a straight line: those of a run of nothing, and those of each million clients."""
    if len(rows) < 2:
        return None
    a_million, nothing = np.polyfit([r["n_clients"] / 1e6 for r in rows], [r["processor_seconds"] for r in rows], 1)
    return {"processor_seconds_of_nothing": round(nothing, 1), "a_million": round(a_million, 1)}


def grid_of(rows: list[dict]) -> Grid:
    grid = Grid("clients", "way", "seconds", "processor s", "peak MB", "core h a million", "same list")
    for row in rows:
        a_million = f"{row['processor_seconds'] / 3600 / row['n_clients'] * 1e6:.2f}" if row["n_clients"] else ""
        told = (row["base"], row["way"], row["seconds"], row["processor_seconds"], row["peak_mb"], a_million)
        grid.add_row(*map(str, told), str(row["is_same_list"]))
    return grid


if __name__ == "__main__":
    sys.exit(main())
