"""The text of a map <-> rows of a form: one row a field, with its column, unit and format.

In:  the text; later the rows that a user changed.
Out: FormRows; the text with the lines of changed rows replaced, all other lines as they were. What a row cannot hold
     (joins, wide tables, sums ...) is shown as it stands, and is changed in the text.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from fairmeter.data.maps.fields import FIELDS
from fairmeter.data.maps.map_file import with_like
from fairmeter.data.maps.spec import KINDS
from fairmeter.data.maps.toml_text import MapError, decode, key_lines, parse_toml

WITH_UNIT, WITH_FORMAT = ("quantity",), ("day", "moment")
BARE = re.compile(r"[A-Za-z0-9_-]+")


class FormRow(NamedTuple):
    """One field of one table. [table: "readings", of [[readings]] the second "readings#2"]

    column: "" where the map names none; is_fixed: where the value has another source, which only the text changes.
    unit, format: None where the field has none of it, or where it is no text. line: the value as TOML, "" without one.
    """

    table: str
    field: str
    column: str
    unit: str | None
    format: str | None
    is_fixed: bool
    is_required: bool
    line: str


class RowChange(NamedTuple):
    """What a user chose for a row. [column: "" removes the field]"""

    table: str
    field: str
    column: str
    unit: str = ""
    format: str = ""


def form_rows(text: str) -> list[FormRow]:
    """A row for each field that the tables of a map may have. Raises MapError."""
    return list(_rows(with_like(parse_toml(text, "the map"))))


def with_changes(text: str, changes: Iterable[RowChange]) -> str:
    """The text with these rows. Raises MapError where a row's line cannot be replaced."""
    text = decode(text.encode())
    data = with_like(parse_toml(text, "the map"))
    rows = {(row.table, row.field): row for row in _rows(data)}
    for change in changes:
        row = rows.get((change.table, change.field))
        if row is None or not _differs(row, change):
            continue
        before = _table_of(data, change.table).get(change.field)
        value = _changed(before, row, change)
        text = _with_line(text, change.table, change.field, value)
        after = _table_of(with_like(parse_toml(text, "the map")), change.table).get(change.field)
        if after != value:
            raise MapError(
                f"the map, {change.table}.{change.field}: its line cannot be replaced. Change it in the text itself"
            )
    return text


def _rows(data: Mapping) -> Iterator[FormRow]:
    for kind in KINDS:
        found = data.get(kind)
        for number, table in enumerate(found if isinstance(found, list) else [found] if found is not None else (), 1):
            if isinstance(table, dict):
                key = kind if number == 1 else f"{kind}#{number}"
                yield from (_row(key, name, field, table.get(name)) for name, field in FIELDS[kind].items())


def _row(key: str, name: str, field, value: object) -> FormRow:
    options = value if isinstance(value, dict) else {}
    column = value if isinstance(value, str) else options.get("column", "")
    is_simple = value is None or (isinstance(column, str) and (isinstance(value, str) or "column" in options))
    return FormRow(
        key,
        name,
        column if is_simple else "",
        _text(options, "unit") if field.reading in WITH_UNIT else None,
        _text(options, "format") if field.reading in WITH_FORMAT else None,
        not is_simple,
        field.is_required,
        "" if value is None else as_toml(value),
    )


def _text(options: Mapping, name: str) -> str | None:
    value = options.get(name, "")
    return value if isinstance(value, str) else None


def _differs(row: FormRow, change: RowChange) -> bool:
    if row.is_fixed:
        return False
    former = (row.column, row.unit or "", row.format or "")
    given = (
        change.column,
        change.unit if row.unit is not None else "",
        change.format if row.format is not None else "",
    )
    return former != given


def _changed(before: object, row: FormRow, change: RowChange) -> object:
    if not change.column:
        return None
    value = dict(before) if isinstance(before, dict) else {}
    value["column"] = change.column
    for name, given, former in (("unit", change.unit, row.unit), ("format", change.format, row.format)):
        if former is None:
            continue
        if given:
            value[name] = given
        else:
            value.pop(name, None)
    return change.column if value.keys() == {"column"} else value


def _table_of(data: Mapping, key: str) -> Mapping:
    kind, _, number = key.partition("#")
    found = data.get(kind, {})
    if isinstance(found, list):
        return found[int(number or 1) - 1] if len(found) >= int(number or 1) else {}
    return found if isinstance(found, dict) else {}


def _with_line(text: str, table: str, field: str, value: object) -> str:
    lines, at = text.replace("\r\n", "\n").split("\n"), key_lines(text)
    line = [] if value is None else [f"{field} = {as_toml(value)}"]
    if f"{table}.{field}" in at:
        number = at[f"{table}.{field}"] - 1
        lines[number : number + 1] = line
    elif table in at:
        lines[at[table] : at[table]] = line
    else:  # of a map that is like another
        lines += ["", f"[{table.partition('#')[0]}]", *line]
    return "\n".join(lines)


def as_toml(value: object) -> str:
    """A value as TOML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(name)} = {as_toml(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, str):
        return _quoted(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _key(name: str) -> str:
    return name if BARE.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    """A text in quotes; one with a backslash in single ones, as patterns are written."""
    if "\\" in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in escaped) + '"'
