"""The values of a map: TOML of one field -> ValueSpec, with its problems.

In:  a text (a column's name) or a {...} of one source and what is done to it.
Out: ValueSpec, MonthsSpec, WideSpec; problems go to MapProblems.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from fairmeter.data.maps.map_problems import MapProblems, nearest
from fairmeter.data.maps.spec import JoinSpec, MonthsSpec, TableSpec, ValueSpec, WideSpec
from fairmeter.data.maps.values.clocks import is_clock, is_zone, zone_names
from fairmeter.data.maps.values.date_formats import SPECIAL_FORMATS, DateFormat, FormatError
from fairmeter.data.maps.values.quantities import UNITS

SOURCES = ("column", "any", "sum", "constant", "filename", "above", "join")
TEXT_KEYS = ("pattern", "width", "values", "missing")
JOIN_KEYS = ("on", "from", "to", "format", "locale")
DATE_KEYS = ("format", "locale", "day", "zone", "clock", "day_1")
NUMBER_KEYS = ("decimal", "thousands")
KEYS_OF = {
    "id": (),
    "text": (),
    "code": (),
    "flag": (),
    "energy": (),
    "quality": (),
    "label": ("present", "absent"),
    "day": DATE_KEYS,
    "version": DATE_KEYS,
    "moment": (*DATE_KEYS, "stamp", "slot", "minutes"),
    "number": (*NUMBER_KEYS, "factor"),
    "months": (*NUMBER_KEYS, "unit"),
    "quantity": (*NUMBER_KEYS, "unit", "minutes", "factor"),
}
STAMPS = ("start", "end")


class _Bound(NamedTuple):
    """The table whose values are read."""

    table: TableSpec
    key: str


def as_missing(given: object) -> tuple[object, ...]:
    """Values that are missing besides the empty one, as a map states them."""
    return tuple(given) if isinstance(given, list) else (given,)


@dataclass(frozen=True)
class ValueReader:
    """Reads the values of one table of a map."""

    problems: MapProblems
    bound: _Bound | None = None

    def with_table(self, table: TableSpec, key: str) -> "ValueReader":
        return replace(self, bound=_Bound(table, key))

    def value(self, name: str, given: object, reading: str, may_lack_source: bool = False) -> ValueSpec | None:
        """The value of a field; None where it has a problem. [reading: as in fields.py]"""
        return self._value(name, name, given, reading, may_lack_source)

    def _value(self, name: str, key: str, given: object, reading: str, may_lack_source: bool = False):
        table, place = self.bound.table, f"{self.bound.table.place} {name}"
        at = f"{self.bound.key}.{key}"
        if isinstance(given, str):
            given = {"column": given}
        if not isinstance(given, dict):
            self.problems.wrong(place, f'{given!r} is no value. Write: {key} = "COLUMN"', at)
            return None
        if not self._check_keys(place, at, given, reading):
            return None
        sources = [source for source in SOURCES if source in given]
        if "join" in sources:
            sources = ["join"]
        if len(sources) != 1 and not (may_lack_source and not sources):
            there = " and ".join(sources) or "none"
            self.problems.wrong(place, f'one source is needed, there is {there}. Write: {key} = {{column = "..."}}', at)
            return None
        source = sources[0] if sources else "none"
        spec = ValueSpec(
            place,
            source,
            decimal=given.get("decimal", table.decimal),
            thousands=given.get("thousands", table.thousands),
            missing=as_missing(given["missing"]) if "missing" in given else table.missing,
            zone=given.get("zone", table.zone),
            pattern=self._pattern(place, at, "pattern", given.get("pattern")),
            width=self._of_type(place, at, given, "width", int, "width = 10"),
            values=self._choices(place, at, given),
            formats=self._formats(place, at, given),
            locale=given.get("locale"),
            day=given.get("day"),
            clock=given.get("clock"),
            stamp=given.get("stamp"),
            day_1=given.get("day_1"),
        )
        self._check_dates(place, at, spec)
        spec = replace(spec, **self._source(place, at, given, source, reading))
        if "slot" in given:
            spec = replace(spec, slot=self._value(name, key, given["slot"], "number"))
        if "minutes" in given:
            spec = replace(spec, minutes=self._number_or_value(name, key, given["minutes"], "text"))
        if "unit" in given and reading != "months":
            spec = replace(spec, unit=self._unit(name, key, given["unit"]))
        factors = given.get("factor", [])
        factors = factors if isinstance(factors, list) else [factors]
        found = tuple(self._number_or_value(name, key, factor, "number") for factor in factors)
        return replace(spec, factors=found)

    # --- the parts of a value -----------------------------------------------------------------------------------------

    def _check_keys(self, place: str, at: str, given: dict, reading: str) -> bool:
        allowed = (*SOURCES, *TEXT_KEYS, *KEYS_OF[reading], *(JOIN_KEYS if "join" in given else ()))
        unknown = [key for key in given if key not in allowed]
        for key in unknown:
            if (key in JOIN_KEYS and "join" not in given) or any(key in keys for keys in KEYS_OF.values()):
                self.problems.wrong(place, f"{key} does not belong to this field. Leave it out", at)
            else:
                self.problems.unknown_key(place, key, allowed, at)
        return not unknown

    def _source(self, place: str, at: str, given: dict, source: str, reading: str) -> dict:
        if source in ("column", "any", "sum"):
            return {"columns": self._column_names(place, at, source, given[source])}
        if source == "constant":
            return {"constant": given["constant"]}
        if source in ("filename", "above"):
            text = self._pattern(place, at, source, given[source])
            if text is not None and not re.compile(text).groups:
                self.problems.wrong(place, f"{source} has no part in brackets. Write: {source} = '({text})'", at)
            return {"text": text}
        return self._join(place, at, given, reading) if source == "join" else {}

    def _join(self, place: str, at: str, given: dict, reading: str) -> dict:
        on = given.get("on")
        if isinstance(on, str):
            on = {on: on}
        is_label = "present" in given or "absent" in given
        if not isinstance(on, dict) or not all(isinstance(there, str) for there in on.values()) or not on:
            self.problems.wrong(place, f'join needs on. Write: {{join = "{given["join"]}", on = "COLUMN", ...}}', at)
            on = {}
        if not isinstance(given["join"], str):
            self.problems.wrong(place, 'join names a file or a [tables.NAME]. Write: join = "other.csv"', at)
        if "column" not in given and not is_label:
            self.problems.wrong(place, 'join needs the column to take. Write: column = "..."', at)
        ends = {}
        for key, part in (("start", "from"), ("end", "to")):
            if part in given:
                own = given[part] if isinstance(given[part], dict) else {"column": given[part]}
                shared = {k: given[k] for k in ("format", "locale") if k in given}
                ends[key] = self._value(place.partition("] ")[2], at.rpartition(".")[2], shared | own, "version")
        join = JoinSpec(
            str(given["join"]), tuple(on.items()), present=given.get("present"), absent=given.get("absent"), **ends
        )
        columns = self._column_names(place, at, "column", given["column"]) if "column" in given else ()
        out = {"join": join, "columns": columns}
        return out if reading in ("day", "version", "moment") else out | {"formats": ()}

    def _column_names(self, place: str, at: str, key: str, given: object) -> tuple[str, ...]:
        names = given if isinstance(given, list) else [given]
        if not names or not all(isinstance(name, str) for name in names):
            self.problems.wrong(place, f'{given!r} names no column. Write: {key} = "..."', at)
            return ()
        return tuple(names)

    def _choices(self, place: str, at: str, given: dict) -> tuple[tuple[str, object], ...] | None:
        if "values" not in given:
            return None
        if not isinstance(given["values"], dict):
            self.problems.wrong(place, 'values is a {...}. Write: values = {A = "actual", "*" = "estimated"}', at)
            return None
        return tuple((str(text), value) for text, value in given["values"].items())

    def _formats(self, place: str, at: str, given: dict) -> tuple[str, ...]:
        if "format" not in given:
            return ()
        formats = given["format"] if isinstance(given["format"], list) else [given["format"]]
        for text in formats:
            try:
                if text not in SPECIAL_FORMATS:
                    DateFormat.of(text, given.get("locale"))
            except FormatError as error:
                self.problems.wrong(place, str(error), at)
        return tuple(map(str, formats))

    def _check_dates(self, place: str, at: str, spec: ValueSpec) -> None:
        if spec.zone is not None:
            self._check_zone(place, at, spec.zone)
        if spec.clock is not None and not is_clock(spec.clock):
            self.problems.wrong(place, f'"{spec.clock}" is no clock. Write: clock = "UTC" or clock = "+10:00"', at)
        if spec.stamp not in (None, *STAMPS):
            self.problems.wrong(place, f'"{spec.stamp}" is no stamp. Write: stamp = "start" or stamp = "end"', at)
        if spec.day not in (None, "first", "last") and not _is_day_number(spec.day):
            self.problems.wrong(place, f'{spec.day!r} is no day. Write: day = "last", "first" or a number', at)
        if spec.day_1 is not None and not re.fullmatch(r"\d{4}-\d\d-\d\d", str(spec.day_1)):
            self.problems.wrong(place, f'{spec.day_1!r} is no date. Write: day_1 = "2009-01-01"', at)

    def _check_zone(self, place: str, at: str, zone: object) -> None:
        if not is_zone(zone):
            meant = nearest(str(zone), zone_names()) or "Europe/Berlin"
            self.problems.wrong(place, f'there is no zone "{zone}". Write: zone = "{meant}"', at)

    def check_layout(self, place: str, key: str, table: dict) -> None:
        """Note a zone or an encoding that does not exist."""
        if isinstance(table.get("zone"), str):
            self._check_zone(f"{place} zone", f"{key}.zone", table["zone"])
        if isinstance(encoding := table.get("encoding"), str):
            try:
                "".encode(encoding)
            except LookupError:
                self.problems.wrong(
                    f"{place} encoding", f'there is no encoding "{encoding}". Write: encoding = "latin-1"', key
                )

    def _unit(self, name: str, key: str, given: object) -> ValueSpec | str | None:
        if not isinstance(given, str):
            return self._value(name, key, given, "text")
        unit = next((unit for unit in UNITS if unit.lower() == given.lower()), None)
        if unit is None:
            meant = nearest(given, tuple(UNITS)) or "kWh"
            self.problems.wrong(
                f"{self.bound.table.place} {name}",
                f'there is no unit "{given}"; there are {", ".join(UNITS)}. Write: unit = "{meant}"',
                f"{self.bound.key}.{key}",
            )
        return unit

    def _number_or_value(self, name: str, key: str, given: object, reading: str) -> ValueSpec | float | None:
        if isinstance(given, int | float) and not isinstance(given, bool):
            return float(given)
        return self._value(name, key, given, reading)

    def _of_type(self, place: str, at: str, given: dict, key: str, kind: type, example: str):
        value = given.get(key)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            self.problems.wrong(place, f"{key} = {value!r} does not fit. Write: {example}", at)
            return None
        return value

    def _pattern(self, place: str, at: str, key: str, given: object) -> str | None:
        if given is None:
            return None
        try:
            re.compile(given)
        except (re.error, TypeError) as error:
            self.problems.wrong(place, f"{key} = '{given}' is no pattern ({error}). Put \\ before a bracket", at)
            return None
        return given

    # --- other keys of a table ----------------------------------------------------------------------------------------

    def patterns(self, name: str, given: object) -> tuple[tuple[str, str], ...]:
        """The (column, pattern) pairs of keep or drop."""
        place, at = f"{self.bound.table.place} {name}", f"{self.bound.key}.{name}"
        if not isinstance(given, dict):
            return ()
        pairs = [(column, self._pattern(place, at, column, str(text))) for column, text in given.items()]
        return tuple((column, text) for column, text in pairs if text is not None)

    def names(self, name: str, given: object) -> tuple[str, ...]:
        """A list of columns."""
        if not isinstance(given, list):
            return ()
        return self._column_names(f"{self.bound.table.place} {name}", f"{self.bound.key}.{name}", name, given or [""])

    def months(self, given: dict) -> MonthsSpec | None:
        """Months of from and to, or of a number in days."""
        place, at = f"{self.bound.table.place} months", f"{self.bound.key}.months"
        shared = {key: given[key] for key in ("format", "locale") if key in given}
        if "from" in given or "to" in given:
            if not {"from", "to"} <= given.keys():
                self.problems.wrong(place, 'both ends are needed. Write: months = {from = "...", to = "..."}', at)
                return None
            unknown = given.keys() - {"from", "to", "format", "locale"}
            for key in unknown:
                self.problems.unknown_key(place, key, ("from", "to", "format", "locale"), at)
            ends = [given[end] if isinstance(given[end], dict) else {"column": given[end]} for end in ("from", "to")]
            start, end = (self._value("months", "months", shared | part, "day") for part in ends)
            return MonthsSpec(start, end)
        if given.get("unit") not in ("days", "months"):
            self.problems.wrong(place, f'"{given.get("unit")}" is no unit of time. Write: unit = "days"', at)
            return None
        return MonthsSpec(number=self.value("months", given, "months"), unit=given["unit"])

    def wide(self, given: object, keys: Sequence[str]) -> WideSpec | None:
        """One family of wide columns."""
        place, at = f"{self.bound.table.place} wide", f"{self.bound.key}.wide"
        if not isinstance(given, dict) or not {"columns", "to"} <= given.keys():
            self.problems.wrong(place, "columns and to are needed. Write: wide = {columns = '...', to = \"...\"}", at)
            return None
        for key in given:
            if key not in keys:
                self.problems.unknown_key(place, key, keys, at)
        if not {"format", "slot", "name"} & given.keys():
            self.problems.wrong(place, 'format, slot or name says what the columns are. Write: format = "%b/%Y"', at)
        if "name" in given and given["name"] != "client_id":
            self.problems.wrong(place, f'name = {given["name"]!r} is none. Write: name = "client_id"', at)
        year = given.get("year")
        if isinstance(year, dict):
            year = self._value("wide", "wide", year, "number")
        day = given.get("day", "last")
        if day not in ("first", "last") and not _is_day_number(day):
            self.problems.wrong(place, f'{day!r} is no day. Write: day = "last", "first" or a number', at)
        return WideSpec(
            place,
            self._pattern(place, at, "columns", given["columns"]) or "",
            str(given["to"]),
            self._pattern(place, at, "pattern", given.get("pattern")),
            self._formats(place, at, given),
            given.get("locale"),
            day,
            year,
            self._pattern(place, at, "slot", given.get("slot")),
            self._of_type(place, at, given, "minutes", int, "minutes = 15"),
            given.get("name"),
        )


def _is_day_number(day: object) -> bool:
    return isinstance(day, int) and not isinstance(day, bool) and 1 <= day <= 31
