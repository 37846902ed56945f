"""The subprocess that makes one export: `python -m fairmeter.web.exports.worker`, started by process.py.

In:  stdin, JSON lines: a header with the kind of file (KINDS), then the rows, lists of plain values.
Out: stdout, the file, after the last row.

It has none of the service's settings, opens no connection, and runs at a lower priority than the requests.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from typing import BinaryIO

Rows = Iterator[list]


def write_xlsx(header: dict, rows: Rows, out: BinaryIO) -> None:
    from fairmeter.web.exports.xlsx import write_book

    write_book(header, rows, out)


def write_pdf_table(header: dict, rows: Rows, out: BinaryIO) -> None:
    from fairmeter.web.exports.pdf_table import pdf_table

    out.write(pdf_table(header, rows))


def write_crew_sheet(header: dict, _rows: Rows, out: BinaryIO) -> None:
    from fairmeter.web.exports.pdf_crew_sheet import crew_sheet

    out.write(crew_sheet(header))


KINDS: dict[str, Callable[[dict, Rows, BinaryIO], None]] = {
    "book": write_xlsx,
    "table": write_pdf_table,
    "sheet": write_crew_sheet,
}
NICENESS = 10  # of the scheduler


def main(lines: Iterator[bytes], out: BinaryIO) -> None:
    """Make one file."""
    os.nice(NICENESS)
    logging.disable()  # messages of libraries may quote a value
    header = json.loads(next(lines))
    KINDS[header["kind"]](header, (json.loads(line) for line in lines), out)


if __name__ == "__main__":
    main(iter(sys.stdin.buffer), sys.stdout.buffer)
