"""Which map the files of a run are read by: the one that is named, else that of the meter data format they all are of.

In:  the map's name or None; the paths that a run reads.
Out: a DataMap, or None where the files are tables with canonical or Kaggle names.
"""

from collections.abc import Sequence
from pathlib import Path

from fairmeter.data.files import FORMAT_SUFFIXES, NAMED_SUFFIXES, TableError, TableFile, find_files
from fairmeter.data.formats import default_map, detect
from fairmeter.data.maps.map_file import parse_map, read_map
from fairmeter.data.maps.spec import DataMap

TEXTS = (".csv", ".txt", ".csv.gz", ".txt.gz")  # names of tables under which some formats come


def map_of_files(given: str | Path | None, sources: Sequence[Path], readings: Path | None = None) -> DataMap | None:
    """The map that is named; else what the columns mean of the one format of all readings.

    Raises TableError for files of several formats, or of one beside tables.
    """
    if given is not None:
        return read_map(given)
    files = find_files(None, (readings,) if readings else tuple(sources), is_deep=True)
    formats = {source: detect(source) if _may_be_format(source) else None for source in files}
    found = sorted({name for name in formats.values() if name})
    if not found:
        return None
    if len(found) > 1:
        raise TableError(
            f"The files are of several formats ({', '.join(found)}); score those of each for themselves, or write a "
            "map with a [[readings]] for each reader."
        )
    [name] = found
    tables = [source for source, of in formats.items() if of is None]
    if tables or (readings and sources):
        one = next(source for source, of in formats.items() if of)
        other = tables[0] if tables else sources[0]
        raise TableError(
            f"{one} is of the format {name}, {other} is a table. Name each: --readings, --clients, --invoices."
        )
    return parse_map(default_map(name), f"the map of {name}")


def _may_be_format(source: TableFile) -> bool:
    return source.file_name.endswith((*FORMAT_SUFFIXES, *NAMED_SUFFIXES, *TEXTS))
