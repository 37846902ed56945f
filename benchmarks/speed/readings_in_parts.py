"""Time a check's pass and score.py over readings larger than the memory that they may take.

    python -m benchmarks.speed.readings_in_parts                               10 million quarter-hours, 4GB
    python -m benchmarks.speed.readings_in_parts --clients 60 --out F.json     fewer, and written to a file

In:  nothing: a CSV of made-up quarter-hour readings of a year a client is written to a temporary folder.
Out: a table, and with --out a JSON file: of each step the wall-clock and processor seconds, and the peak memory, of a
     process of its own. Other load on the machine lengthens the former, not the latter.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import pyarrow as pa
from pyarrow import csv

from fairmeter.cli.options import bytes_of
from fairmeter.data.partitioned.reading_parts import DiskSpace, readings_on_disk
from fairmeter.scoring.partitioned import FIXED_BYTES

QUARTERS = 96  # a day
N_DAYS = 365
FIRST = np.datetime64("2023-01-01T00:00", "m")
LINE = "{:<28}{:>12}{:>14}{:>14}{:>12}"


def main() -> int:
    """Make the file, run each step in a process of its own, print and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, default=286, help="of a year each (286: 10 million readings)")
    parser.add_argument("--memory", default="4GB")
    parser.add_argument("--out", type=Path, help="JSON file of the results")
    parser.add_argument("--check", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.check:
        return check_pass(given.check, bytes_of(given.memory))
    with TemporaryDirectory(dir=".") as folder:
        file = Path(folder) / "readings.csv"
        n = write_readings(file, given.clients)
        print(f"{n:,} readings, {file.stat().st_size / 2**20:,.0f} MB of CSV, --memory {given.memory}")
        print(LINE.format("step", "seconds", "CPU seconds", "peak memory", "readings/s"))
        module, score = [sys.executable, "-m", "benchmarks.speed.readings_in_parts"], [sys.executable, "score.py"]
        steps = {
            "check: all parts cleaned": [*module, "--check", str(file), "--memory", given.memory],
            "score.py --memory": [*score, "--readings", str(file), "--memory", given.memory, f"--out={folder}/s.csv"],
        }
        results = [timed(name, command, n) for name, command in steps.items()]
    if given.out:
        found = {"clients": given.clients, "days": N_DAYS, "readings": n, "memory": given.memory, "steps": results}
        given.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def write_readings(file: Path, n_clients: int) -> int:
    """Made-up readings: a level, a day's shape and noise a client, in Wh. Returns their number."""
    rng = np.random.default_rng(0)
    minute = np.arange(N_DAYS * QUARTERS) * 15
    moments = pa.array(np.datetime_as_string(FIRST + minute.astype("timedelta64[m]"), "m"))
    shape = 1.6 + np.sin(2 * np.pi * (minute / 1440.0 - 0.3)) + 0.3 * np.cos(2 * np.pi * minute / (1440.0 * 365))
    options = csv.WriteOptions(include_header=False, quoting_style="none")
    with file.open("wb") as stream:
        stream.write(b"client_id,read_at,consumption_kwh\n")
        for client in range(n_clients):
            kwh = np.round(rng.uniform(0.03, 0.2) * shape * rng.gamma(2.0, 0.5, len(minute)), 3)
            ids = pa.array([f"c-{client:06d}"] * len(minute))
            csv.write_csv(pa.table([ids, moments, pa.array(kwh)], ["id", "at", "kwh"]), stream, options)
    return n_clients * len(minute)


def check_pass(file: Path, memory: int) -> int:
    """Read, clean and total all parts, as a check does."""
    with TemporaryDirectory(dir=file.parent) as folder:
        on_disk = readings_on_disk([], file, None, DiskSpace(Path(folder), memory - FIXED_BYTES))
        n = sum(len(part.readings["client"]) for part in on_disk.parts())
    print(f"{n:,} cleaned", file=sys.stderr)
    return 0


def timed(name: str, command: list[str], n: int) -> dict:
    """Seconds and peak memory of a command; they are printed as well."""
    started = perf_counter()
    process = os.posix_spawn(command[0], command, os.environ)
    _, status, used = os.wait4(process, 0)
    seconds, cpu = perf_counter() - started, used.ru_utime + used.ru_stime
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    memory = used.ru_maxrss * 1024
    print(LINE.format(name, f"{seconds:.0f}", f"{cpu:.0f}", f"{memory / 2**20:,.0f} MB", f"{n / cpu:,.0f}"))
    return {"step": name, "seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1), "peak_bytes": memory}


if __name__ == "__main__":
    sys.exit(main())
