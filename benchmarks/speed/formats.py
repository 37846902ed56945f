"""Time the readers of meter data formats on made-up files.

    python -m benchmarks.speed.formats                                      20 clients, a year of half-hours
    python -m benchmarks.speed.formats --clients 2 --days 30 --out F.json   smaller, and written to a file

In:  nothing: the files are made in memory, all of the same consumption.
Out: a table, and with --out a JSON file: of each reader the readings, the bytes of the file, the processor seconds of
     the faster of two runs, and readings a second. Other load on the machine lengthens them.
"""

import argparse
import io
import json
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from time import process_time

from benchmarks.helpers import meter_files
from benchmarks.helpers.meter_files import Curve, random_curves
from fairmeter.data.files import TableFile
from fairmeter.data.formats import READERS

MINUTES = 30
LINE = "{:<24}{:>12}{:>14}{:>12}{:>16}"
WRITERS: dict[str, tuple[str, Callable[[Sequence[Curve]], str | bytes]]] = {
    "NEM12": ("nem12", meter_files.nem12),
    "NEM13": ("nem13", lambda curves: meter_files.nem13(_periods(curves))),
    "Green Button XML": ("espi", meter_files.espi),
    "MSCONS": ("mscons", meter_files.mscons),
    "Enedis R4x": ("enedis", lambda curves: meter_files.enedis_r4x(curves[0])),
    "Enedis R50": ("enedis", meter_files.enedis_r50),
    "Enedis R151": ("enedis_index", lambda curves: meter_files.enedis_r151(_days(curves))),
    "DLMS load profile": ("dlms", lambda curves: meter_files.dlms(curves[0])),
}


def main() -> int:
    """Make the files, time their readers, print and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--out", type=Path, help="JSON file of the results")
    given = parser.parse_args()
    curves = random_curves(given.clients, given.days, MINUTES)
    print(LINE.format("format", "readings", "bytes", "seconds", "readings/s"))
    results = [timed(name, *WRITERS[name], curves) for name in WRITERS]
    if given.out:
        found = {"clients": given.clients, "days": given.days, "minutes": MINUTES, "formats": results}
        given.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def timed(name: str, reader: str, write: Callable[[Sequence[Curve]], str | bytes], curves: Sequence[Curve]) -> dict:
    """Readings a second of one reader; it is printed as well."""
    content = write(curves)
    data = content.encode() if isinstance(content, str) else content
    source = TableFile("made_up", "made_up", lambda: io.BytesIO(data), len(data))
    seconds, n_rows = [], 0
    for _ in range(2):
        started = process_time()
        n_rows = sum(table.n_rows for table in READERS[reader](source))
        seconds.append(process_time() - started)
    rate = round(n_rows / min(seconds))
    print(LINE.format(name, f"{n_rows:,}", f"{len(data):,}", f"{min(seconds):.2f}", f"{rate:,}"))
    return {
        "format": name,
        "readings": n_rows,
        "bytes": len(data),
        "seconds": round(min(seconds), 3),
        "readings_a_second": rate,
    }


def _periods(curves: Sequence[Curve]) -> list[tuple]:
    """A period between two meter readings for each day."""
    return [(point, "E", day - timedelta(days=1), day, 0, 1) for point, day, _ in _days(curves)]


def _days(curves: Sequence[Curve]) -> list[tuple]:
    a_day = 24 * 60 // MINUTES
    return [
        (curve.client, curve.moment(at), {"HCB": at, "HPB": 2 * at})
        for curve in curves
        for at in range(0, len(curve.wh), a_day)
    ]


if __name__ == "__main__":
    sys.exit(main())
