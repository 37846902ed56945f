"""Raw tables of transformers -> canonical ones. The only module with their raw column names.

In:  daily totals: transformer_id, measured_on, delivered_kwh, and losses_kwh where an engineer computed technical
     losses; optionally a list of transformers: transformer_id, region, latitude, longitude, has_meter. Two files (zip,
     folder, CSV, CSV.gz, Parquet) with "transformer" in their names, distinguished by their columns; or JSON.
Out: TransformerTables: a row per measured transformer, its days, and quality flags.
"""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.core.types import QualityFlag, Table
from fairmeter.data.arrow_reader import parse_table, read_header
from fairmeter.data.client_joins import UnjoinedRows, explain_failure, join_of_ids, with_examples
from fairmeter.data.files import Column, InvalidValue, MissingFile, TableFile, UnreadableDate, find_files
from fairmeter.data.json_records import columns_from_records
from fairmeter.data.parsing import NAT, parse_day, parse_number, parse_text
from fairmeter.data.reading_rules.steps import THOUSAND, UNIT_SPREAD, largest_steps, log_levels
from fairmeter.data.tables import parse_code

KIND = "transformer"
UNNAMED = "transformers_without_clients"
MAX_KWH = 1e9  # a day: a larger value is an index, not an energy
LIST_COLUMNS = ("region", "latitude", "longitude", "has_meter")


class DoubledTotal(InvalidValue):
    """A transformer has two totals for a day, or two rows in the list."""


@dataclass(frozen=True)
class TransformerTables:
    """Transformers and their daily totals. [transformer: row in transformers; day: since 1970; kWh: NaN missing]

    transformers: transformer_id (object: str), region, latitude, longitude (float64). totals, by transformer and day:
    transformer, day (int64), delivered_kwh, losses_kwh (float64).
    """

    transformers: Table
    totals: Table
    flags: list[QualityFlag]


# --- one value --------------------------------------------------------------------------------------------------------


def parse_transformer_id(value) -> str:
    """A transformer id. Raises ValueError where it is empty."""
    text = parse_text(value)
    if not text:
        raise ValueError("empty; every row needs its transformer")
    return text


def parse_measured_day(value) -> int:
    """Days since 1970, never missing. Raises ValueError."""
    day = parse_day(value)
    if day == NAT:
        raise ValueError("empty; every total needs its day")
    return day


def parse_flag(value) -> float:
    """1 or 0, NaN if missing. Raises ValueError."""
    number = parse_number(float(value) if isinstance(value, bool) else value)
    if number not in (0, 1) and not np.isnan(number):
        raise ValueError("neither 1 nor 0; write one of them or nothing")
    return number


def _number(name: str, is_required: bool = False) -> Column:
    return Column(name, name, parse_number, np.float64, is_required, is_number=True)


TRANSFORMER_ID = Column("transformer_id", "transformer_id", parse_transformer_id, object)
TOTAL_FIELDS = (
    TRANSFORMER_ID,
    Column("measured_on", "measured_on", parse_measured_day, np.int64, error=UnreadableDate),
    _number("delivered_kwh", is_required=True),
    _number("losses_kwh"),
)
LIST_FIELDS = (
    TRANSFORMER_ID,
    Column("region", "region", parse_code, np.float64, is_required=False),
    _number("latitude"),
    _number("longitude"),
    Column("has_meter", "has_meter", parse_flag, np.float64, is_required=False),
)
DELIVERED = "delivered_kwh"


# --- from files -------------------------------------------------------------------------------------------------------


def has_transformers(*sources) -> bool:
    """Whether zips, folders and files contain daily totals of transformers. Raises TableError."""
    return any(_is_totals(source) for source in find_files(KIND, sources))


def read_transformers(*sources, transformers: str | Path | None = None) -> TransformerTables:
    """Read and clean both tables; the list of transformers may be absent.

    transformers: a zip, a folder, or a file of totals of any name, used instead of the sources. Raises TableError.
    """
    named = (transformers,) if transformers is not None else ()
    if len(only := find_files(None, named)) == 1:
        return build_transformers(_read(only[0], TOTAL_FIELDS), None)
    found = find_files(KIND, named or sources)
    totals, lists = ([s for s in found if _is_totals(s) == is_so] for is_so in (True, False))
    if len(totals) != 1 or len(lists) > 1:
        names = ", ".join(map(str, found)) or "none"
        raise MissingFile(
            f"Need one file with '{KIND}' in its name and a column {DELIVERED}, at most one without; found {names}. "
            "Name the files of one utility."
        )
    return build_transformers(_read(totals[0], TOTAL_FIELDS), _read(lists[0], LIST_FIELDS) if lists else None)


def _is_totals(source: TableFile) -> bool:
    return DELIVERED in map(str.casefold, read_header(source, (*TOTAL_FIELDS, *LIST_FIELDS)))


def _read(source: TableFile, fields: tuple[Column, ...]) -> Table:
    sheet = parse_table(source, fields)
    return {field.name: sheet.take(field) for field in fields if field in sheet}


# --- from JSON --------------------------------------------------------------------------------------------------------


def transformers_from_records(totals: list[dict], transformers: list[dict]) -> TransformerTables:
    """The canonical tables from JSON objects. Raises FieldError."""
    place = partial(_place, "transformer_totals"), partial(_place, "transformers")
    tables = (
        columns_from_records(totals, TOTAL_FIELDS, place[0]),
        columns_from_records(transformers, LIST_FIELDS, place[1]),
    )
    return build_transformers(*tables)


def _place(table: str, row: int) -> tuple[int, str]:
    return row, f"{table}.{row}"


# --- joining the clients ----------------------------------------------------------------------------------------------


def flags_of_join(tables: TransformerTables, transformer_id: np.ndarray) -> list[QualityFlag]:
    """A flag of transformers that no client names. [transformer_id: of each client, empty where unknown]

    Raises UnjoinedRows where next to none is named, and next to no client has a measured one.
    """
    named = dict.fromkeys(filter(None, transformer_id.tolist()))
    join = join_of_ids("transformers", tables.transformers["transformer_id"].tolist(), named)
    if join.is_failed:
        raise UnjoinedRows(f"The totals: {explain_failure(join, 'transformer_id')}")
    if not join.n_unknown_ids:
        return []
    text = f"Transformers with totals that no client names, left out: {join.n_unknown_ids:,}."
    return with_examples([QualityFlag(UNNAMED, join.n_unknown_ids, text)], UNNAMED, join)


# --- cleaning ---------------------------------------------------------------------------------------------------------


def build_transformers(totals: Table, listed: Table | None) -> TransformerTables:
    """Sort, flag and clean parsed columns. Raises DoubledTotal."""
    ids, row = np.unique(totals["transformer_id"].astype(str), return_inverse=True)
    order = np.lexsort((totals["measured_on"], row))
    row, day = row[order], totals["measured_on"][order]
    if (twice := np.flatnonzero((row[1:] == row[:-1]) & (day[1:] == day[:-1]))).size:
        at = f"transformer {str(ids[row[twice[0]]])!r} on {np.datetime64(int(day[twice[0]]), 'D')}"
        raise DoubledTotal(f"There are two totals for {at}; keep one row per transformer and day (add up its hours).")
    _refuse_mixed_units(ids, row, day, totals[DELIVERED][order])
    places = _places(ids.astype(object), listed)
    delivered, losses = totals[DELIVERED][order], totals.get("losses_kwh")
    losses = np.full(len(row), np.nan) if losses is None else losses[order]
    flags: list[QualityFlag] = []
    delivered, losses = (_drop_impossible(kwh, flags) for kwh in (delivered, losses))
    is_measured = _flag_unmetered(places.pop("has_meter")[row] != 0.0, flags)
    columns = {"transformer": row, "day": day, DELIVERED: delivered, "losses_kwh": losses}
    return TransformerTables(places, {name: column[is_measured] for name, column in columns.items()}, flags)


def _refuse_mixed_units(ids: np.ndarray, transformer: np.ndarray, day: np.ndarray, kwh: np.ndarray) -> None:
    """Raise InvalidValue where a transformer's totals change by a thousand on one day. [rows by transformer, day]"""
    segments = Segments(np.bincount(transformer, minlength=len(ids)))
    with np.errstate(invalid="ignore"):
        steps = largest_steps(segments, day, log_levels(segments, np.where(kwh > 0, kwh, np.nan)))
        is_thousand = np.abs(np.abs(steps.change) - THOUSAND) <= UNIT_SPREAD
    if (mixed := np.flatnonzero(is_thousand)).size:
        when = np.datetime64(int(steps.day[mixed[0]]), "D")
        raise InvalidValue(
            f"Totals of {mixed.size:,} transformers change by a thousand on one day, those of {str(ids[mixed[0]])!r} "
            f"on {when}, as if kWh were mixed with Wh or MWh; write delivered_kwh in kWh throughout."
        )


def _drop_impossible(kwh: np.ndarray, flags: list[QualityFlag]) -> np.ndarray:
    """Replace energies that no transformer delivers by NaN, with a quality flag."""
    is_bad = ~np.isnan(kwh) & ~((kwh >= 0) & (kwh <= MAX_KWH))
    if n := int(is_bad.sum()):
        text = f"Totals of transformers below 0 or above {MAX_KWH:,.0f} kWh a day, taken as missing: {n:,}."
        flags.append(QualityFlag("impossible_transformer_totals", n, text))
    return np.where(is_bad, np.nan, kwh)


def _flag_unmetered(is_measured: np.ndarray, flags: list[QualityFlag]) -> np.ndarray:
    """Add a quality flag for totals of transformers without a meter; returns the mask unchanged."""
    if n := int((~is_measured).sum()):
        text = f"Totals of transformers that are listed as having no meter, left out: {n:,}."
        flags.append(QualityFlag("totals_without_meter", n, text))
    return is_measured


def _places(ids: np.ndarray, listed: Table | None) -> Table:
    """Region, coordinates and has_meter of each transformer, NaN if unknown. Raises DoubledTotal."""
    table = {"transformer_id": ids} | {name: np.full(len(ids), np.nan) for name in LIST_COLUMNS}
    if listed is None:
        return table
    row_of = {id_: row for row, id_ in enumerate(listed["transformer_id"])}
    if len(row_of) < len(listed["transformer_id"]):
        id_, n = Counter(listed["transformer_id"]).most_common(1)[0]
        raise DoubledTotal(f"The list of transformers has {n} rows for {id_!r}; keep one of them.")
    row = np.array([row_of.get(id_, -1) for id_ in ids], np.int64)
    return table | {name: np.append(listed[name], np.nan)[row] for name in LIST_COLUMNS if name in listed}
