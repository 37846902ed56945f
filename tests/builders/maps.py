"""Files of made-up utilities, and what a map makes of them, as plain rows."""

from pathlib import Path

import numpy as np

from fairmeter.data.maps import parse_map, read_map
from fairmeter.data.maps.map_reader import MapReader
from fairmeter.data.maps.mapped_base import read_mapped_base
from fairmeter.data.maps.mapped_tables import read_uncleaned_readings


def as_map(text: str):
    """A shipped map by its name, or the map of a TOML text."""
    return parse_map(text, "mine.toml") if "\n" in text or "=" in text else read_map(text)


def readings_of(text: str, folder: Path) -> list[tuple]:
    """(client, moment, kWh, and where given export, minutes, "estimated") of settled readings, sorted."""
    found = read_uncleaned_readings(MapReader(as_map(text), (folder,)))
    table, rows = found.table, []
    for i in range(len(table["client"])):
        row = [
            found.ids[table["client"][i]],
            str(table["read_at"][i]).replace("T", " "),
            _plain(table["consumption_kwh"][i]),
        ]
        row += [_plain(table["export_kwh"][i])] if "export_kwh" in table else []
        row += ["estimated"] if "is_estimated" in table and table["is_estimated"][i] else []
        rows.append(tuple(row))
    return sorted(rows, key=str)


def minutes_of(text: str, folder: Path) -> list[float | None]:
    """The stated lengths of settled readings, in their order of client and moment."""
    table = read_uncleaned_readings(MapReader(as_map(text), (folder,))).table
    order = np.lexsort((table["read_at"], table["client"]))
    return [_plain(value) for value in table.get("minutes", np.full(len(order), np.nan))[order]]


def base_of(text: str, folder: Path):
    """The cleaned base of a map."""
    return read_mapped_base(as_map(text), (folder,))


def rows_of(table: dict, *names: str) -> list[tuple]:
    """Columns of a table as rows; dates as texts, missing values None."""
    return list(zip(*([_plain(value) for value in table[name].tolist()] for name in names), strict=True))


def _plain(value):
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return None if value is None or value != value else value
