"""A TOML file -> a DataMap, with every error of the file at once.

In:  the path of a map, or the name of one that is shipped; its text may begin with `like = "NAME"`.
Out: the DataMap of spec.py. MapError has a sentence for each problem: where it stands, what is there, what to write.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fairmeter.data.files import MissingFile, file_errors
from fairmeter.data.formats import READERS, default_map
from fairmeter.data.layouts import Layout
from fairmeter.data.maps.fields import FIELDS
from fairmeter.data.maps.map_problems import MapProblems
from fairmeter.data.maps.map_values import ValueReader, as_missing
from fairmeter.data.maps.spec import KINDS, DataMap, TableSpec, WideSpec
from fairmeter.data.maps.toml_text import MapError, TomlText, parse_toml

SHIPPED = Path(__file__).parent / "shipped"
JSON_READER = "json"  # read as a table, with or without `records`
MAX_LIKES = 5  # maps that build on one another
LAYOUT_KEYS = {
    "encoding": str,
    "delimiter": str,
    "decimal": str,
    "thousands": str,
    "skip_rows": int,
    "missing": object,
    "zone": str,
    "sheet": str,
    "names": list,
    "records": str,
}
TABLE_KEYS = LAYOUT_KEYS | {
    "files": str,
    "reader": str,
    "keep": dict,
    "drop": dict,
    "wide": object,
    "version": object,
    "series": list,
    "register": bool,
    "register_digits": int,
    "several": str,
    "per": str,
    "months": object,
}
SETTINGS_OF = {
    "clients": {"version"},
    "invoices": {"version", "series", "register", "register_digits", "per", "months", "wide"},
    "readings": {"version", "series", "register", "register_digits", "several", "wide"},
}
FOR_SOME = set().union(*SETTINGS_OF.values())
WIDE_KEYS = ("columns", "to", "pattern", "format", "locale", "day", "year", "slot", "minutes", "name")
CHOICES = {"several": ("sum",), "per": ("month",)}
EMPTY_MAP = DataMap("no map", {})


def shipped_maps() -> dict[str, Path]:
    """{name: path} of the maps that come with the product."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def find_map(given: str | Path) -> Path:
    """The path of a map by its path or, for one that is shipped, its name. Raises MissingFile."""
    path = Path(given)
    if path.is_file():
        return path
    shipped = shipped_maps()
    if str(given) in shipped:
        return shipped[str(given)]
    raise MissingFile(f"There is no map {given}; name a .toml file, or one of {', '.join(shipped)}.")


def read_map(given: str | Path) -> DataMap:
    """Read a map by its path or its shipped name. Raises MissingFile, MapError."""
    path = find_map(given)
    with file_errors(path):
        data = path.read_bytes()
    return parse_map(data, path.name)


def parse_map(data: bytes | str, name: str = "the map") -> DataMap:
    """The map of a TOML text. [name: of its file, for messages] Raises MapError."""
    text = parse_toml(data, name)
    return _MapBuilder(text, with_like(text)).build()


def with_like(text: TomlText) -> dict:
    """The keys of a map over those of the maps that it is like. Raises MapError, MissingFile."""
    data, likes = dict(text.data), 0
    while (like := data.pop("like", None)) is not None:
        likes += 1
        shipped = shipped_maps()
        if not isinstance(like, str) or like not in shipped:
            raise MapError(f'{text.name}: there is no shipped map {like!r}. Write: like = "{next(iter(shipped))}" ...')
        if likes > MAX_LIKES:
            raise MapError(f"{text.name}: its maps are like one another in a circle. Write the tables themselves")
        data = merged(parse_toml(shipped[like].read_bytes(), like).data, data)
    return data


def merged(below: dict, above: dict) -> dict:
    """Tables of one map with single keys replaced by another's; over [[readings]], [readings] changes each of them."""
    out = dict(below)
    for key, value in above.items():
        former = out.get(key)
        if isinstance(value, dict) and isinstance(former, list):
            out[key] = [table | value for table in former]
        elif isinstance(value, dict) and isinstance(former, dict):
            nested = key == "tables"
            out[key] = merged(former, value) if nested else former | value
        else:
            out[key] = value
    return out


class _MapBuilder:
    """Builds one DataMap and collects its problems."""

    def __init__(self, text: TomlText, data: dict) -> None:
        self._data = data
        self._problems = MapProblems(text.name, text.lines)
        self._values = ValueReader(self._problems)
        self._lines = text.lines
        self._name = text.name

    def build(self) -> DataMap:
        """Raises MapError with all problems."""
        for key in self._data:
            if key not in (*KINDS, "files", "tables"):
                self._problems.unknown_table(key, (*KINDS, "files", "tables"))
        files = self._dict("files", self._data.get("files", {}))
        self._check_keys("files", files, LAYOUT_KEYS)
        defaults = self._layout(TableSpec("files", "[files]"), files, "files")
        tables = {kind: self._tables(kind, defaults) for kind in KINDS if kind in self._data}
        others = {}
        for name, given in self._dict("tables", self._data.get("tables", {})).items():
            others[name] = self._table("tables", given, f"tables.{name}", defaults)
        found = DataMap(self._name, tables, others, defaults, self._lines)
        self._problems.raise_any()
        return found

    def _dict(self, key: str, given: object) -> dict:
        if isinstance(given, dict):
            return given
        self._problems.wrong(f"[{key}]", f"{given!r} is no table. Write: [{key}]", key)
        return {}

    def _tables(self, kind: str, defaults: TableSpec) -> tuple[TableSpec, ...]:
        given = self._data[kind]
        if not isinstance(given, list):
            return self._with_reader(kind, given, kind, defaults)
        found = []
        for number, table in enumerate(given, 1):
            found += self._with_reader(kind, table, kind if number == 1 else f"{kind}#{number}", defaults)
        return tuple(found)

    def _with_reader(self, kind: str, given: object, key: str, defaults: TableSpec) -> tuple[TableSpec, ...]:
        """The tables of one [table]: a reader by name brings its own, whose keys the map changes."""
        table = self._dict(key, given)
        reader = table.get("reader")
        brought = parse_toml(default_map(reader), reader).data.get(kind, {}) if reader in READERS else {}
        brought = brought if isinstance(brought, list) else [brought]
        return tuple(self._table(kind, below | table, key, defaults) for below in brought)

    def _table(self, kind: str, given: object, key: str, defaults: TableSpec) -> TableSpec:
        table = self._dict(key, given)
        fields = FIELDS.get(kind, {})
        allowed = {name for name in TABLE_KEYS if name not in FOR_SOME or name in SETTINGS_OF.get(kind, ())}
        self._check_keys(key, table, {name: TABLE_KEYS.get(name, object) for name in (*fields, *sorted(allowed))})
        place = f"[{key.partition('#')[0]}]"
        spec = self._layout(replace(defaults, kind=kind, place=place), table, key)
        reader = table.get("reader")
        if isinstance(reader, str) and reader not in (*READERS, JSON_READER):
            self._problems.wrong(
                f"{place} reader",
                f'there is no reader "{reader}". Write one of: {", ".join((*READERS, JSON_READER))}',
                f"{key}.reader",
            )
        read = self._values.with_table(spec, key)
        months = table.get("months") if kind == "invoices" else None
        wide = table.get("wide", [])
        wide_fields = {w.get("to") for w in (wide if isinstance(wide, list) else [wide]) if isinstance(w, dict)}
        values = {
            name: read.value(name, table[name], fields[name].reading, may_lack_source=name in wide_fields)
            for name in fields
            if name in table and not (name == "months" and isinstance(months, dict) and _is_period(months))
        }
        spec = replace(
            spec,
            files=table.get("files"),
            reader=reader,
            fields={name: value for name, value in values.items() if value is not None},
            keep=read.patterns("keep", table.get("keep", {})),
            drop=read.patterns("drop", table.get("drop", {})),
            wide=tuple(self._wide(table.get("wide"), read)),
            months=read.months(months) if isinstance(months, dict) and _is_period(months) else None,
            series=read.names("series", table["series"]) if "series" in table else (),
            version=read.value("version", table["version"], "version") if "version" in table else None,
            is_register=table.get("register") is True,
            register_digits=table.get("register_digits"),
            several=table.get("several"),
            per=table.get("per"),
        )
        self._check_choices(table, key, place)
        return spec

    def _check_choices(self, table: dict, key: str, place: str) -> None:
        for name, choices in CHOICES.items():
            if name in table and table[name] not in choices:
                self._problems.wrong(
                    f"{place} {name}",
                    f'"{table[name]}" is none of its values. Write: {name} = "{choices[0]}"',
                    f"{key}.{name}",
                )
        digits = table.get("register_digits")
        if isinstance(digits, int) and not 1 <= digits <= 15:
            self._problems.wrong(
                f"{place} register_digits",
                f"{digits} is no number of digits. Write: register_digits = 6",
                f"{key}.register_digits",
            )

    def _check_keys(self, key: str, table: dict, allowed: Mapping[str, type]) -> None:
        place = f"[{key.partition('#')[0]}]"
        for name, value in table.items():
            if name not in allowed:
                self._problems.unknown_key(place, name, tuple(allowed), f"{key}.{name}")
            elif allowed[name] is not object and not _is_of(value, allowed[name]):
                self._problems.wrong(
                    f"{place} {name}", f"{value!r} does not fit. Write: {_example(name)}", f"{key}.{name}"
                )

    def _layout(self, below: TableSpec, table: dict, key: str) -> TableSpec:
        """A table with the layout that is stated for it over that of [files]."""
        place = f"[{key.partition('#')[0]}]"
        stated = {
            name: table[name] for name in ("encoding", "delimiter", "skip_rows", "sheet", "records") if name in table
        }
        if "names" in table and isinstance(table["names"], list):
            stated["names"] = tuple(map(str, table["names"]))
        layout = Layout(**{**below.layout._asdict(), **stated})
        self._values.check_layout(place, key, table)
        decimal, thousands = table.get("decimal", below.decimal), table.get("thousands", below.thousands)
        if decimal == thousands:
            self._problems.wrong(
                f"{place} thousands",
                f'"{thousands}" is the decimal mark too. Write: decimal = "," and thousands = "."',
                f"{key}.thousands",
            )
        missing = as_missing(table["missing"]) if "missing" in table else below.missing
        return replace(
            below,
            layout=layout,
            decimal=decimal,
            thousands=thousands,
            missing=missing,
            zone=table.get("zone", below.zone),
        )

    def _wide(self, given: object, read: ValueReader) -> list[WideSpec]:
        if given is None:
            return []
        found = [read.wide(one, WIDE_KEYS) for one in (given if isinstance(given, list) else [given])]
        return [one for one in found if one is not None]


def _is_period(months: dict) -> bool:
    return bool({"from", "to", "unit"} & months.keys())


def _is_of(value: object, kind: type) -> bool:
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


EXAMPLES = {
    "skip_rows": "skip_rows = 2",
    "names": 'names = ["meter", "code", "kwh"]',
    "series": 'series = ["METER_NO"]',
    "keep": "keep = {STATUS = 'OK'}",
    "drop": "drop = {STATUS = 'CANCELLED'}",
    "register": "register = true",
    "register_digits": "register_digits = 6",
}


def _example(name: str) -> str:
    return EXAMPLES.get(name, f'{name} = "..."')
