"""The subprocess that reads uploaded tables by a caller's map: `python -m fairmeter.web.scoring_api.table_worker`.

In:  stdin: a line of JSON with limits of seconds and bytes, the size of the map, and kind, name and size of each file;
     then the bytes of all.
Out: stdout: a pickle of MappedBase, or of the sentence of what does not fit. Exit code TOO_MUCH beyond its memory.

A few bytes of a spreadsheet or of Parquet may unpack to any size, a library may abort on them, and a pattern of a map
may take any time. It has none of the service's settings.
"""

import json
import logging
import pickle
import resource
import sys
from typing import BinaryIO

from fairmeter.core import memory
from fairmeter.data.files import TableError
from fairmeter.data.maps.mapped_base import MappedBase
from fairmeter.scoring.mapped_uploads import TablePart, read_base

TOO_MUCH = 3  # exit code
MEMORY_SHARE = 0.75  # of the machine's or the container's


def main(stdin: BinaryIO, stdout: BinaryIO) -> int:
    """Read the tables of one request."""
    logging.disable()  # messages of libraries may quote a value
    header = json.loads(stdin.readline())
    memory.give_way(min(header["max_bytes"], int(MEMORY_SHARE * memory.usable_bytes())))
    resource.setrlimit(resource.RLIMIT_CPU, (header["max_cpu"], header["max_cpu"]))
    try:
        pickle.dump(_read(header, stdin), stdout, protocol=5)
    except (MemoryError, ImportError, OSError):  # a library, or the tables, find no room
        return TOO_MUCH
    return 0


def _read(header: dict, stdin: BinaryIO) -> MappedBase | str:
    map_text = stdin.read(header["map"])
    parts = [TablePart(kind, name, stdin.read(n_bytes)) for kind, name, n_bytes in header["parts"]]
    try:
        return read_base(map_text, parts)
    except TableError as error:
        return str(error)


if __name__ == "__main__":
    sys.exit(main(sys.stdin.buffer, sys.stdout.buffer))
