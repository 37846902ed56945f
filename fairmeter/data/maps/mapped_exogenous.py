"""Transformers' totals, weather and holidays as a map states them -> the tables that the other readers give.

In:  a MapReader whose map has [transformers], [weather] or [holidays].
Out: TransformerTables; (days, temperatures); days.
"""

import numpy as np

from fairmeter.core.types import Table
from fairmeter.data.exogenous import mean_by_day
from fairmeter.data.files import TableError
from fairmeter.data.formats.weather import MAX_TEMPERATURE, MIN_TEMPERATURE
from fairmeter.data.maps.map_reader import MapReader
from fairmeter.data.maps.rows.canonical_rows import CanonicalRows, concatenate_rows
from fairmeter.data.tables import parse_code
from fairmeter.data.transformers import LIST_COLUMNS, TransformerTables, build_transformers


def mapped_weather(reader: MapReader) -> tuple[np.ndarray, np.ndarray]:
    """(days since 1970, ascending; mean temperature of each [deg C]). Raises TableError."""
    rows = concatenate_rows(list(reader.rows("weather")))
    degrees = rows.columns["temperature"]
    odd = degrees[(degrees < MIN_TEMPERATURE) | (degrees > MAX_TEMPERATURE)]
    if len(odd):
        raise TableError(
            f"{reader.data_map.name}, [weather] temperature: {odd[0]:g} is outside {MIN_TEMPERATURE:g} to "
            f"{MAX_TEMPERATURE:g} deg C. Write what is to count as empty: missing = [{odd[0]:g}]"
        )
    return mean_by_day(rows.columns["day"], rows.columns["temperature"])


def mapped_holidays(reader: MapReader) -> np.ndarray:
    """Holidays as days since 1970, ascending, without repetition. Raises TableError."""
    return np.unique(concatenate_rows(list(reader.rows("holidays"))).columns["day"])


def mapped_transformers(reader: MapReader) -> TransformerTables:
    """Totals of days, those of the same transformer and day added, and what is known of places. Raises TableError."""
    rows = concatenate_rows(list(reader.rows("transformers")))
    ids = np.array([*rows.client.values, ""], object)[:-1][rows.client.codes]
    totals: Table = {"transformer_id": ids, "measured_on": rows.columns["day"]}
    for name in ("delivered_kwh", "losses_kwh"):
        if name in rows.columns:
            totals[name] = rows.columns[name]
    return build_transformers(_by_day(totals), _places(rows, ids))


def _by_day(totals: Table) -> Table:
    """Totals of parts of a day as one a day; a day with an unknown part is unknown."""
    _, number = np.unique(totals["transformer_id"].astype(str), return_inverse=True)
    order = np.lexsort((totals["measured_on"], number))
    number, day = number[order], totals["measured_on"][order]
    is_first = np.append(True, (number[1:] != number[:-1]) | (day[1:] != day[:-1]))[: len(day)]
    starts = np.flatnonzero(is_first)
    out = {name: column[order][starts] for name, column in totals.items()}
    for name in ("delivered_kwh", "losses_kwh"):
        if name in totals and len(starts):
            out[name] = np.add.reduceat(totals[name][order], starts)
    return out


def _places(rows: CanonicalRows, ids: np.ndarray) -> Table | None:
    """One row a transformer, of the columns of places that the map states."""
    given = [name for name in LIST_COLUMNS if name in rows.columns or name in rows.texts]
    if not given:
        return None
    names, first = np.unique(ids.astype(str), return_index=True)
    table: Table = {"transformer_id": names.astype(object)}
    for name in given:
        if name in rows.texts:
            column = rows.texts[name]
            table[name] = np.array([*map(parse_code, column.values), np.nan])[:-1][column.codes][first]
        else:
            table[name] = rows.columns[name][first]
    return table
