"""The columns of one table -> the lines of its part of a map.

In:  TableColumns.
Out: TableGuess: "clients", "invoices" or "readings", each line with its reason; two for a table with import and export.
"""

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from fairmeter.data.guess.above import id_above, unit_above
from fairmeter.data.guess.columns import FieldGuess, TableColumns
from fairmeter.data.guess.quantities import FEWEST_KWH, MOST_KWH, daily_mean, looks_like_register
from fairmeter.data.guess.vocabulary import UNITS, WORDS, unit_in, words_of
from fairmeter.data.guess.wide import WideGuess, guess_wide

MAX_READING_DAYS = 8  # between rows of one client; with more they are invoices
OBIS = re.compile(r"\d+-\d+:(?P<code>\d+\.\d+\.\d+)(?:[*.]\d+)?")
ATTRIBUTES = ("category", "region", "district", "created_on", "latitude", "longitude", "transformer_id", "label")
INVOICE_CODES = ("tariff", "meter_id", "meter_status", "remark", "coefficient", "old_index", "new_index")


class GuessLine(NamedTuple):
    """A line of a map with its reason."""

    text: str
    reason: str
    is_sure: bool = True

    def __str__(self) -> str:
        return f"{self.text}  # {'' if self.is_sure else '? '}{self.reason}"


class TableGuess(NamedTuple):
    """One table of a map."""

    kind: str
    lines: list[GuessLine]


def table_lines(columns: TableColumns) -> list[TableGuess]:
    """The tables that the columns are; none where nothing in them fits."""
    wide = guess_wide(columns.table.header)
    if wide and wide.step == "month":
        return [*_clients_beside(columns), TableGuess("invoices", list(_wide_invoices(columns, wide)))]
    if wide:
        return [*_clients_beside(columns), TableGuess("readings", list(_wide_readings(columns, wide)))]
    found = columns.by_field
    has_quantity = bool({"consumption", "consumption_kwh", "new_index"} & found.keys())
    if has_quantity and "read_at" in found and _are_readings(columns):
        return [TableGuess("readings", list(lines)) for lines in _readings(columns)]
    if has_quantity and {"invoice_on", "read_at"} & found.keys():
        return [*_clients_beside(columns), TableGuess("invoices", list(_invoices(columns)))]
    if "client_id" in found:
        return [TableGuess("clients", [*_id_line(columns), *_attribute_lines(columns, ATTRIBUTES)])]
    return []


def _are_readings(columns: TableColumns) -> bool:
    """Whether the rows of a client are so close that they are readings."""
    found = columns.by_field
    if "time_of_day" in found or found["read_at"].values.has_times:
        return True
    n_days = found["read_at"].values.n_distinct
    n_clients = max(found["client_id"].values.n_distinct if "client_id" in found else 1, 1)
    rows = columns.table.n_rows / n_clients
    span = found["read_at"].values.span_days
    return rows > 1 and n_days > 1 and span / max(rows - 1, 1) <= MAX_READING_DAYS


# --- lines that all tables share --------------------------------------------------------------------------------------


def _id_line(columns: TableColumns) -> Iterator[GuessLine]:
    guess = columns.by_field.get("client_id") or columns.by_field.get("meter_id")
    if guess is not None:
        n, rows = guess.values.n_distinct, columns.table.n_rows
        sure = guess.is_sure and "client_id" in columns.by_field
        yield GuessLine(f"client_id = {quoted(guess.column)}", f"{n:,} ids in {rows:,} rows", sure)
    elif above := id_above(columns.table.above):
        yield GuessLine(f"client_id = {{above = '{above}'}}", "the id stands above the header")
    else:
        text = "client_id = {filename = '([^/]+)\\.\\w+$'}"
        yield GuessLine(text, "no column has an id; this takes the file's name", False)


def _attribute_lines(columns: TableColumns, fields: tuple[str, ...]) -> Iterator[GuessLine]:
    for field in fields:
        guess = columns.by_field.get(field)
        if guess is None:
            continue
        if field == "created_on":
            yield _date_line(field, guess)
        elif field == "label":
            yield _label_line(guess)
        else:
            yield GuessLine(f"{field} = {quoted(guess.column)}", _described(guess), guess.is_sure)


def _described(guess: FieldGuess) -> str:
    first = ", ".join(guess.values.texts[:3])
    return f"{guess.values.n_distinct:,} values: {first}" + (" ..." if guess.values.n_distinct > 3 else "")


def _label_line(guess: FieldGuess) -> GuessLine:
    texts = sorted(guess.values.texts)
    if set(texts) <= {"0", "1", "0.0", "1.0"}:
        return GuessLine(f"label = {quoted(guess.column)}", "1 fraud, 0 none")
    values = ", ".join(f"{quoted(text)} = {int(text.casefold() in WORDS.yes)}" for text in texts)
    return GuessLine(f"label = {{column = {quoted(guess.column)}, values = {{{values}}}}}", "1 is a fraud", False)


def _date_line(field: str, guess: FieldGuess, more: str = "") -> GuessLine:
    form, locale, is_open = guess.values.date_format
    parts = [f"column = {quoted(guess.column)}"]
    parts += [f'format = "{form}"'] if form else []
    parts += [f'locale = "{locale}"'] if locale else []
    if (form and "%d" not in form and "%m" in form) or (form and "%b" in form and "%d" not in form):
        parts.append('day = "last"')
    text = ", ".join(parts) + more
    value = f"{{{text}}}" if form or more else quoted(guess.column)
    reason = f"{guess.values.n_known:,} of {guess.values.n:,} values fit" if form else "dates as they stand"
    return GuessLine(f"{field} = {value}", f"{reason}{'; month first fits as well' if is_open else ''}", not is_open)


def quoted(name: str) -> str:
    """A text in TOML's double quotes, or in single ones where it holds a backslash or a double quote."""
    return (
        f"'{name}'"
        if ('"' in name or "\\" in name) and "'" not in name
        else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    )


def _unit(columns: TableColumns, guess: FieldGuess) -> tuple[str, str, bool]:
    """(text of the unit, reason, whether it is sure)."""
    column = columns.by_field.get("unit")
    if column and all(text.casefold() in UNITS for text in column.values.texts):
        held = ", ".join(column.values.texts)
        return f"unit = {{column = {quoted(column.column)}}}", f"{column.column} holds {held}", True
    if stated := unit_in(guess.column):
        return f'unit = "{stated}"', "the unit stands in the name", True
    if stated := unit_above(columns.table.above):
        return f'unit = "{stated}"', "the unit stands above the header", True
    a_day = daily_mean(columns, guess)
    unit = "Wh" if a_day > MOST_KWH else "MWh" if 0 < a_day < FEWEST_KWH else "kWh"
    seen = f", and a client has {a_day:,.4g} a day on average" if a_day else ""
    return f'unit = "{unit}"', f"no unit is stated{seen}", False


def _quality_line(columns: TableColumns) -> Iterator[GuessLine]:
    guess = columns.by_field.get("quality")
    if guess is None or guess.values.n_distinct > 12:
        return
    known = {text: _quality_of(text) for text in guess.values.texts}
    if not any(known.values()):
        return
    values = ", ".join(f'{quoted(text)} = "{meaning}"' for text, meaning in known.items() if meaning)
    unknown = [text for text, meaning in known.items() if not meaning]
    rest = ', "*" = "estimated"' if unknown else ""
    reason = f"what do {', '.join(unknown)} mean" if unknown else _described(guess)
    yield GuessLine(f"quality = {{column = {quoted(guess.column)}, values = {{{values}{rest}}}}}", reason, not unknown)


def _quality_of(text: str) -> str | None:
    plain = "".join(words_of(text))
    return next((meaning for meaning, words in WORDS.quality.items() if plain in words), None)


def _clients_beside(columns: TableColumns) -> list[TableGuess]:
    """The clients of a table of invoices or readings that has their attributes."""
    lines = list(_attribute_lines(columns, ATTRIBUTES))
    return [TableGuess("clients", [*_id_line(columns), *lines])] if lines else []


# --- invoices ---------------------------------------------------------------------------------------------------------


def _invoices(columns: TableColumns) -> Iterator[GuessLine]:
    found = columns.by_field
    yield from _id_line(columns)
    yield from _drop_line(columns)
    date = found.get("invoice_on") or found["read_at"]
    yield _date_line("invoice_on", date)
    yield from _months_line(columns, date)
    levels = _levels(columns)
    quantity = found.get("consumption") or found.get("consumption_kwh")
    if quantity and not levels:
        unit, reason, sure = _unit(columns, quantity)
        yield GuessLine(f"consumption = {{column = {quoted(quantity.column)}, {unit}}}", reason, sure)
    yield from _level_lines(levels)
    yield GuessLine('energy = {constant = "ELEC"}', "no column says electricity or gas", False)
    yield from _attribute_lines(columns, INVOICE_CODES)
    yield from _quality_line(columns)


def _months_line(columns: TableColumns, date: FieldGuess) -> Iterator[GuessLine]:
    start, days, months = (columns.by_field.get(field) for field in ("period_from", "days", "months"))
    form, locale, _ = date.values.date_format
    if start and start.column != date.column and start.values.date_format[0] == form:
        more = (f', format = "{form}"' if form else "") + (f', locale = "{locale}"' if locale else "")
        yield GuessLine(
            f"months = {{from = {quoted(start.column)}, to = {quoted(date.column)}{more}}}", "two dates of one format"
        )
    elif months:
        yield GuessLine(f"months = {quoted(months.column)}", _described(months), months.is_sure)
    elif days:
        yield GuessLine(f'months = {{unit = "days", column = {quoted(days.column)}}}', _described(days), days.is_sure)


def _levels(columns: TableColumns) -> list[str]:
    """Columns of consumption by price level, in their order."""
    named = [name for name in columns.table.header if WORDS.levels & set(words_of(name))]
    found = [name for name in named if columns.values(name).number_share == 1.0]
    return found if len(found) > 1 else []


def _level_lines(levels: list[str]) -> Iterator[GuessLine]:
    """A line for each price level; the fourth sums all that follow."""
    for i, column in enumerate(levels[:3], 1):
        yield GuessLine(f"consumption_level_{i} = {quoted(column)}", "one of the price levels", False)
    if len(levels) == 4:
        yield GuessLine(f"consumption_level_4 = {quoted(levels[3])}", "one of the price levels", False)
    elif len(levels) > 4:
        names = ", ".join(map(quoted, levels[3:]))
        yield GuessLine(f"consumption_level_4 = {{sum = [{names}]}}", "the dearest price levels", False)


def _drop_line(columns: TableColumns) -> Iterator[GuessLine]:
    """Rows that a column calls cancelled."""
    for column in columns.table.header:
        values = columns.values(column) if column else None
        if values is None or not 1 < values.n_distinct <= 20:
            continue
        cancelled = sorted(text for text in values.texts if WORDS.cancelled & set(words_of(text)))
        if cancelled:
            pattern = "|".join(map(re.escape, cancelled))
            yield GuessLine(f"drop = {{{quoted(column)} = '{pattern}'}}", "bills that do not count")
            return


def _wide_invoices(columns: TableColumns, wide: WideGuess) -> Iterator[GuessLine]:
    yield from _id_line(columns)
    yield GuessLine(
        f'wide = {{to = "consumption", {wide.text}}}',
        f"{len(wide.columns):,} columns are months",
        "year" not in wide.text,
    )
    yield GuessLine("months = {constant = 1}", "a column is a month")
    yield GuessLine('energy = {constant = "ELEC"}', "no column says electricity or gas", False)
    yield from _attribute_lines(columns, ("tariff", "meter_id"))


# --- readings ---------------------------------------------------------------------------------------------------------


def _readings(columns: TableColumns) -> Iterator[Iterator[GuessLine]]:
    """The lines of each table: one, or one of import and one of export."""
    flow = _flow(columns)
    if flow is None:
        yield _long_readings(columns, "consumption_kwh", None)
        return
    column, imports, exports = flow
    yield _long_readings(
        columns, "consumption_kwh", GuessLine(f"keep = {{{quoted(column)} = '{imports}'}}", "what was used")
    )
    if exports:
        yield _long_readings(
            columns, "export_kwh", GuessLine(f"keep = {{{quoted(column)} = '{exports}'}}", "what was fed in")
        )


def _flow(columns: TableColumns) -> tuple[str, str, str | None] | None:
    """(column, pattern of import, pattern of export or None), by OBIS codes or by words."""
    for column in columns.table.header:
        values = columns.values(column) if column else None
        if values is None or not 1 <= values.n_distinct <= 40:
            continue
        codes = {text: found["code"] for text in values.texts if (found := OBIS.fullmatch(text))}
        if len(codes) == values.n_distinct:
            return column, _obis_pattern("1", codes.values()) or ".*", _obis_pattern("2", codes.values())
        words = {text: set(words_of(text)) for text in values.texts}
        imports = [text for text in words if words[text] & WORDS.imports and not words[text] & WORDS.exports]
        exports = [text for text in words if words[text] & WORDS.exports]
        if imports and exports:
            return column, "|".join(map(re.escape, imports)), "|".join(map(re.escape, exports))
    return None


def _obis_pattern(side: str, codes: Collection[str]) -> str | None:
    """The codes of one side, 1 used and 2 fed in: the total if there is one, else its registers; None without any."""
    own = [code for code in codes if re.fullmatch(rf"{side}\.(8|29)\.\d", code)]
    if not own:
        return None
    kind = own[0].split(".")[1]
    return rf".*:{side}\.{kind}\." + ("0.*" if f"{side}.{kind}.0" in own else "[1-9].*")


def _long_readings(columns: TableColumns, field: str, keep: GuessLine | None) -> Iterator[GuessLine]:
    found = columns.by_field
    yield from _id_line(columns)
    if keep:
        yield keep
    yield _moment_line(columns)
    quantity = (
        found.get(field) if field in found and keep is None else found.get("consumption_kwh") or found["consumption"]
    )
    unit, reason, sure = _unit(columns, quantity)
    yield GuessLine(f"{field} = {{column = {quoted(quantity.column)}, {unit}}}", reason, sure)
    if keep is None and "export_kwh" in found and found["export_kwh"].column != quantity.column:
        export = found["export_kwh"]
        yield GuessLine(
            f"export_kwh = {{column = {quoted(export.column)}, {_unit(columns, export)[0]}}}",
            "what was fed in",
            export.is_sure,
        )
    yield from _quality_line(columns)
    if keep and "[1-9]" in keep.text:
        column = keep.text.removeprefix("keep = {").partition(" = ")[0]
        yield GuessLine(f"series = [{column}]", "registers side by side, which are added")
    if looks_like_register(columns):
        yield GuessLine("register = true", "the values of a client never fall")
    if "version" in found:
        yield _date_line("version", found["version"])


def _moment_line(columns: TableColumns) -> GuessLine:
    found = columns.by_field
    moment, time = found["read_at"], found.get("time_of_day")
    if time and time.column != moment.column and not moment.values.has_times:
        form, locale, is_open = moment.values.date_format
        clock = "%H:%M:%S" if time.values.texts[0].count(":") == 2 else "%H:%M"
        shown = f"{form or '%Y-%m-%d'} {clock}"
        extra = f', locale = "{locale}"' if locale else ""
        both = f"column = [{quoted(moment.column)}, {quoted(time.column)}]"
        text = f'read_at = {{{both}, format = "{shown}"{extra}, stamp = "start"}}'
        return GuessLine(
            text, "does the moment begin or end its interval" + ("; month first fits as well" if is_open else ""), False
        )
    line = _date_line("read_at", moment, ', stamp = "start"' if moment.values.has_times else "")
    if not moment.values.has_times:
        return line
    return GuessLine(line.text, f"{line.reason}; does the moment begin or end its interval", False)


def _wide_readings(columns: TableColumns, wide: WideGuess) -> Iterator[GuessLine]:
    yield from _id_line(columns)
    if wide.step == "time" and "read_at" in columns.by_field:
        yield _date_line("read_at", columns.by_field["read_at"])
    yield GuessLine(
        f'wide = {{to = "consumption_kwh", {wide.text}}}', f"{len(wide.columns):,} columns are {wide.step}s"
    )
    yield GuessLine('consumption_kwh = {unit = "kWh"}', "no unit is stated", False)
