"""What does not fit a map, in sentences: where, what is there, how many, and the line to write.

In:  a Misfit, a table and its columns, counts of values.
Out: MapErrors. For counts a file is read once more.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import product

import numpy as np

from fairmeter.data.files import TableError, TableFile
from fairmeter.data.layouts import RawTable
from fairmeter.data.maps.fields import FIELDS
from fairmeter.data.maps.map_problems import nearest
from fairmeter.data.maps.rows.joins import noun_of
from fairmeter.data.maps.spec import TableSpec, ValueSpec
from fairmeter.data.maps.toml_text import MAX_OF_A_KIND, MapError
from fairmeter.data.maps.values.columns import (
    Batch,
    Misfit,
    is_missing,
    missing_columns,
    path_of,
    patterned,
    source_column,
)
from fairmeter.data.maps.values.date_formats import SPECIAL_FORMATS, DateFormat, fits_all, special_moment
from fairmeter.data.maps.values.quantities import UNITS, parse_decimal
from fairmeter.data.parsing import parse_text

DATES = (
    "%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%d", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y%m%d", "%d/%m/%y", "%m/%d/%y",
    "%d.%m.%y", "%d-%m-%y", "%m-%d-%Y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%b %Y", "%b-%y", "%m/%Y", "%Y-%m", "%Y%m",
)  # fmt: skip
TIMES = ("", " %H:%M", " %H:%M:%S", "T%H:%M", "T%H:%M:%S", "T%H:%M:%S%z", " %I:%M %p", " %I:%M:%S %p")
FORMATS = tuple(day + time for time, day in product(TIMES, DATES))
MARKS = ((".", None), (",", None), (",", "."), (".", ","), (",", " "), (".", " "), (".", "'"))
MAX_SHOWN = 20  # columns of a header in a message
MAX_TEXT = 60  # characters of a value in a message
CONSUMPTION = ("consumption", "new_index", *(f"consumption_level_{i}" for i in (1, 2, 3, 4)))


def name_of(source: TableFile) -> str:
    """The name of a file without its folders."""
    return path_of(source).rpartition("/")[2]


def field_of(spec: ValueSpec) -> str:
    """The field of a value, from its place."""
    return spec.place.partition("] ")[2] or spec.place


def value_counts(spec: ValueSpec, batch: Batch) -> Counter[str]:
    """How often each text that is to be a date or a number stands in a batch; dates of Excel are left out."""
    counts: Counter[str] = Counter()
    columns = (
        [batch.raw_column(name) for name in spec.columns] if spec.source == "sum" else [source_column(spec, batch)]
    )
    for column in columns:
        if column is None:
            continue
        with suppress(Misfit):
            column = patterned(replace(spec, values=None), column)
        rows = np.bincount(column.codes, minlength=len(column.values))
        for value, n in zip(column.values, rows.tolist(), strict=True):
            if n and isinstance(value, str) and not is_missing(spec, value):
                counts[value] += n
    return counts


# --- values -----------------------------------------------------------------------------------------------------------


def explain(map_name: str, misfit: Misfit, raw: RawTable, batches: Iterable[Batch]) -> TableError:
    """The error of a value that does not fit. [raw: where it stands; batches: the whole file, for counts]"""
    spec, what = misfit.spec, misfit.what
    value = _shown(misfit.value)
    if what in ("filename", "above"):
        there = "its path" if what == "filename" else "the lines above its header"
        return MapError(
            f"{map_name}, {spec.place}: {what} = '{spec.text}' finds nothing in {there}, {value}, of "
            f'{name_of(raw.source)}. Correct the pattern, or name the column: {field_of(spec)} = "..."'
        )
    place = f"{name_of(raw.source)}, {getattr(raw, 'unit', 'line')} {raw.line(misfit.row):,}"
    counts: Counter[str] = Counter()
    if what in ("format", "number", "values", "unit"):
        for batch in batches:
            counts.update(value_counts(spec, batch))
    if what == "format":
        return MapError(f"{place}: {value} {_format_sentence(spec, counts)}")
    if what == "number":
        return MapError(f"{place}: {value} {_number_sentence(spec, counts)}")
    if what == "values":
        return MapError(f"{map_name}, {spec.place}: {_values_sentence(spec, counts)}")
    return MapError(f"{place}: {spec.place} is {value}, {_other_sentence(spec, what)}")


def _shown(value: object) -> str:
    text = parse_text(value)
    return f'"{text[:MAX_TEXT]}{"..." if len(text) > MAX_TEXT else ""}"'


def _format_sentence(spec: ValueSpec, counts: Counter[str]) -> str:
    total = counts.total()
    if not spec.formats:
        given, fits = "a date as data/README.md has them", lambda _text: False
    else:
        given, fits = f'"{spec.formats[0]}"', lambda text: _fits(text, spec.formats[0], spec.locale)
    bad = sum(n for text, n in counts.items() if not fits(text))
    form = best_format(counts, spec.locale)
    if form is None:
        return (
            f"does not fit {given}; of {total:,} values {bad:,} do not. Correct them, or write what is to count as "
            'empty: missing = ["..."]'
        )
    if not spec.formats:
        return f'does not fit {given}; all of {total:,} values fit "{form}". Write: format = "{form}"'
    return (
        f'does not fit {given}; of {total:,} values {bad:,} do not, all of them fit "{form}". Write: format = "{form}"'
    )


def _fits(text: str, form: str, locale: str | None) -> bool:
    found = special_moment(text, form) if form in SPECIAL_FORMATS else DateFormat.of(form, locale).moment(text, "last")
    return found is not None


def best_format(texts: Iterable[str], locale: str | None = None) -> str | None:
    """The first of the usual formats that all texts fit; None if none does."""
    texts = list(texts)
    if not texts:
        return None
    return next((form for form in FORMATS if _fits(texts[0], form, locale) and fits_all(texts, form, locale)), None)


def _number_sentence(spec: ValueSpec, counts: Counter[str]) -> str:
    given = f'decimal = "{spec.decimal}"' + (f', thousands = "{spec.thousands}"' if spec.thousands else "")
    bad = sum(n for text, n in counts.items() if parse_decimal(text, spec.decimal, spec.thousands) is None)
    marks = next((m for m in MARKS if all(parse_decimal(text, *m) is not None for text in counts)), None)
    start = f"is no number with {given}; of {counts.total():,} values {bad:,} are none"
    if marks is None:
        odd = next((text for text in counts if parse_decimal(text, spec.decimal, spec.thousands) is None), "...")
        return f'{start}. Correct them, or write what is to count as empty: missing = ["{odd}"]'
    line = f'decimal = "{marks[0]}"' + (f' and thousands = "{marks[1]}"' if marks[1] else "")
    return f"{start}, all of them fit {line}. Write: {line}"


def _values_sentence(spec: ValueSpec, counts: Counter[str]) -> str:
    known = {text for text, _ in spec.values or ()}
    rest = [(text, n) for text, n in counts.most_common() if text not in known]
    there = ", ".join(f'"{text}" ({n:,})' for text, n in rest[:MAX_OF_A_KIND])
    meanings = {"quality": '"actual"', "energy": '"ELEC"'}.get(field_of(spec), "0")
    word = f'"{rest[0][0]}"' if rest else '"..."'
    return f"values has no {there}. Write: values = {{..., {word} = {meanings}}}"


def _other_sentence(spec: ValueSpec, what: str) -> str:
    field = field_of(spec)
    column = spec.columns[0] if spec.columns else "..."
    sentences = {
        "pattern": f"which does not fit pattern = '{spec.pattern}'. Correct it, or put the value under missing",
        "spoilt": "an id that was turned into a number. Format the column as text and export it again",
        "empty id": f"empty; each row needs its id. Leave such rows out: drop = {{\"{column}\" = ''}}",
        "empty moment": "empty; each reading needs its moment. Correct it, or leave the row out with drop",
        "empty day": "empty; each invoice needs its date. Correct it, or leave the row out with drop",
        "year": "outside the years 1950 to 2100. Correct it",
        "slot": f"no number of an interval of its day. Write their length: {field} = {{..., minutes = 15}}",
        "minutes": "no length of an interval. Write: minutes = 30, or name a column with 30, PT30M or 00:30",
        "day number": "no number of a day. Write: pattern = '(?P<day>\\d{3})(?P<slot>\\d\\d)'",
        "unit": f'none of the units {", ".join(UNITS)}. Write: unit = "kWh", or keep = {{...}} for the rows of energy',
    }
    return sentences.get(what, f"which cannot be used ({what}). Correct it")


def no_format_fits(spec: ValueSpec, source: TableFile, texts: Iterable[str]) -> MapError:
    """The error where none of a list of formats fits all values of a file."""
    texts = list(texts)
    misfit = next(text for text in texts if not _fits(text, spec.formats[0], spec.locale))
    form = best_format(texts, spec.locale)
    line = f'Write: format = "{form}"' if form else "Correct the values, or add their format to the list"
    shown = ", ".join(f'"{each}"' for each in spec.formats)
    return MapError(f'{name_of(source)}: "{misfit}" ... none of {shown} fits all of {len(texts):,} values. {line}')


# --- columns ----------------------------------------------------------------------------------------------------------


def missing_columns_of(
    map_name: str, table: TableSpec, raw: RawTable, count_others: Callable[[list[str]], int]
) -> list[str]:
    """A sentence for each column that a table needs and a file lacks, at most five. [count_others: files without it]"""
    found = []
    for value in table.values():
        name = value.place.partition("] ")[2]
        field = FIELDS[table.kind].get(name)
        names = missing_columns(value, raw, is_required=field is not None and field.is_required)
        if names:
            found.append(
                _no_column(map_name, value.place, names, raw, count_others(names), _line(value, name, names, raw))
            )
    for key in ("keep", "drop"):
        for column, pattern in getattr(table, key):
            if not raw.has(column):
                meant = nearest(column, raw.header) or "..."
                line = f"{key} = {{\"{meant}\" = '{pattern}'}}"
                found.append(_no_column(map_name, f"{table.place} {key}", [column], raw, count_others([column]), line))
    for column in table.series:
        if not raw.has(column):
            line = f'series = ["{nearest(column, raw.header) or "..."}"]'
            found.append(_no_column(map_name, f"{table.place} series", [column], raw, count_others([column]), line))
    found += _not_stated(map_name, table, raw)
    return found[:MAX_OF_A_KIND]


def _no_column(map_name: str, place: str, names: list[str], raw: RawTable, others: int, line: str) -> str:
    word = " nor ".join(f'"{name}"' for name in dict.fromkeys(names))
    more = f", nor in {others:,} other{'s' if others > 1 else ''}" if others else ""
    return (
        f"{map_name}, {place}: no column {word} in {name_of(raw.source)}{more}. It has: {_header(raw)}. Write: {line}"
    )


def _header(raw: RawTable) -> str:
    shown = ", ".join(raw.header[:MAX_SHOWN])
    return f"{shown}, ..." if len(raw.header) > MAX_SHOWN else shown


def _line(value: ValueSpec, name: str, names: list[str], raw: RawTable) -> str:
    """The line with the column that is most like the missing one."""
    meant = nearest(names[0], raw.header) or "..."
    is_bare = value == ValueSpec(
        value.place, columns=value.columns, decimal=value.decimal, thousands=value.thousands, missing=value.missing,
        zone=value.zone,
    )  # fmt: skip
    return f'{name} = "{meant}"' if is_bare else f'{name} = {{column = "{meant}", ...}}'


def _not_stated(map_name: str, table: TableSpec, raw: RawTable) -> list[str]:
    """Required fields that neither the map nor the file has."""
    given = set(table.fields) | {wide.to for wide in table.wide} | {wide.name for wide in table.wide}
    if any(wide.formats or wide.slot for wide in table.wide):
        given |= {"invoice_on"}
        if table.kind == "readings" and "read_at" not in table.fields and not any(wide.slot for wide in table.wide):
            given |= {"read_at"}
    absent = [field.name for field in FIELDS[table.kind].values() if field.is_required and field.name not in given]
    if table.kind == "readings" and not {"consumption_kwh", "export_kwh"} & given:
        absent.append("consumption_kwh")
    if table.kind == "invoices" and not set(CONSUMPTION) & given:
        absent.append("consumption")
    return [
        f"{map_name}, {table.place}: {name} is not stated, and {name_of(raw.source)} has no column of that name. "
        f'It has: {_header(raw)}. Write: {name} = "..."'
        for name in absent
    ]


def missing_in_join(map_name: str, missing: list[str], raw: RawTable) -> MapError:
    """The error of a joined table without a column that the join names."""
    return MapError(
        f'{map_name}: no column "{missing[0]}" in {name_of(raw.source)}, which a join names. It has: {_header(raw)}. '
        f'Write: "{nearest(missing[0], raw.header) or "..."}" instead'
    )


# --- rows -------------------------------------------------------------------------------------------------------------


def nothing_kept(map_name: str, table: TableSpec, n_rows: int, seen: dict[str, Counter[str]]) -> MapError:
    """The error where keep leaves no row."""
    name, pattern = next(
        ((name, text) for name, text in table.keep if not any(re.fullmatch(text, value) for value in seen[name])),
        table.keep[0],
    )
    there = ", ".join(f'"{value}" ({n:,})' for value, n in seen[name].most_common(MAX_OF_A_KIND))
    key = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'
    return MapError(
        f"{map_name}, {table.place} keep: no row is left of {n_rows:,}. {name} holds {there}; the pattern is "
        f"'{pattern}'. Write: keep = {{{key} = '{_wider(pattern, seen[name])}'}}"
    )


def _wider(pattern: str, values: Counter[str]) -> str:
    """A pattern that some of the values fit."""
    for wider in (f"{pattern}.*", f".*{pattern}", f".*{pattern}.*", f"(?i){pattern}", f"(?i).*{pattern}.*"):
        if any(re.fullmatch(wider, value) for value in values):
            return wider
    value = nearest(pattern, list(values)) or next(iter(values), "")
    return re.escape(value).replace(r"\ ", " ")


def nothing_joins(map_name: str, spec: ValueSpec, seen: dict[str, bool], there: Iterable[str]) -> MapError:
    """The error where no value of a table is in the table that it joins."""
    there, here = list(there), list(seen)
    width = _width(here, there)
    names = " ".join(name for name, _ in spec.join.on)
    example = f'("{here[0]}" here, "{_like(here[0], there)}" there)'
    line = f'{field_of(spec)} = {{join = "{spec.join.table}", ..., '
    line += f"width = {width}}}" if width else 'on = {COLUMN_HERE = "COLUMN_THERE"}}'
    return MapError(
        f"{map_name}, {spec.place}: 0 of {len(seen):,} {noun_of(names)} join {spec.join.table} {example}. Write: {line}"
    )


def _width(here: list[str], there: list[str]) -> int | None:
    """The width at which ids of both sides match once leading zeros are back; None if none does."""
    if not {text.lstrip("0") for text in here} & {text.lstrip("0") for text in there}:
        return None
    return max(map(len, (*here, *there)))


def _like(text: str, there: list[str]) -> str:
    return next((other for other in there if other.lstrip("0") == text.lstrip("0")), there[0] if there else "")
