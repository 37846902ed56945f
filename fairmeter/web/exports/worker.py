"""What is to be printed -> a file: `python -m fairmeter.web.exports.worker`, which papers.py starts for each file.

In:  stdin, a line of JSON each: first what to make (KINDS), then the rows, lists of plain values.
Out: stdout, the file, after the last row has come.

A process of its own, as the libraries that draw take 40 MB of a worker that never gives them back. It is given nothing
of the service's settings, opens no connection, and works at a lower priority than what answers requests.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from typing import BinaryIO

Rows = Iterator[list]


def book(told: dict, rows: Rows, out: BinaryIO) -> None:
    from fairmeter.web.exports.xlsx import write_book

    write_book(told, rows, out)


def table(told: dict, rows: Rows, out: BinaryIO) -> None:
    from fairmeter.web.exports.pdf_table import table_of

    out.write(table_of(told, rows))


def sheet(told: dict, _rows: Rows, out: BinaryIO) -> None:
    from fairmeter.web.exports.pdf_crew_sheet import sheet_of

    out.write(sheet_of(told))


KINDS: dict[str, Callable[[dict, Rows, BinaryIO], None]] = {"book": book, "table": table, "sheet": sheet}
POLITE = 10  # of the scheduler's niceness


def main(lines: Iterator[bytes], out: BinaryIO) -> None:
    os.nice(POLITE)
    logging.disable()  # what libraries say in passing may quote a value
    told = json.loads(next(lines))
    KINDS[told["kind"]](told, (json.loads(line) for line in lines), out)


if __name__ == "__main__":
    main(iter(sys.stdin.buffer), sys.stdout.buffer)
