"""What a map states, as small objects: tables, their fields, and what is done to a value.

In:  nothing; map_file.py makes these from TOML.
Out: DataMap and its parts, none of which can change.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fairmeter.data.layouts import Layout

KINDS = ("clients", "invoices", "readings", "transformers", "weather", "holidays")

NO_LAYOUT = Layout()


@dataclass(frozen=True)
class JoinSpec:
    """The row of another table with the same value. [on: pairs (column here, column there)]

    start, end: the moments there between which a row is valid; None is open.
    present, absent: constants for rows with and without a match, used instead of a column.
    """

    table: str
    on: tuple[tuple[str, str], ...]
    start: "ValueSpec | None" = None
    end: "ValueSpec | None" = None
    present: object = None
    absent: object = None


@dataclass(frozen=True)
class ValueSpec:
    """Where one field comes from and what is done to it. [place: "[readings] read_at", for messages]

    source: "column", "any", "sum", "constant", "filename", "above", "join", or "none" for the values of wide columns.
    columns: of the source; of a join those of the other table. text: the pattern of filename and above.
    """

    place: str
    source: str = "column"
    columns: tuple[str, ...] = ()
    constant: object = None
    text: str | None = None
    join: JoinSpec | None = None
    pattern: str | None = None
    width: int | None = None
    values: tuple[tuple[str, object], ...] | None = None
    formats: tuple[str, ...] = ()
    locale: str | None = None
    day: str | int | None = None
    zone: str | None = None
    clock: str | None = None
    stamp: str | None = None
    slot: "ValueSpec | None" = None
    minutes: "ValueSpec | float | None" = None
    day_1: str | None = None
    unit: "ValueSpec | str | None" = None
    factors: "tuple[ValueSpec | float, ...]" = ()
    decimal: str = "."
    thousands: str | None = None
    missing: tuple[object, ...] = ()

    def named_columns(self) -> Iterable[str]:
        """Columns of the table itself that the value may need."""
        yield from self.join_columns() if self.join else self.columns
        for inner in (self.slot, self.minutes, self.unit, *self.factors):
            if isinstance(inner, ValueSpec):
                yield from inner.named_columns()

    def join_columns(self) -> Iterable[str]:
        return (here for here, _ in self.join.on) if self.join else ()

    def joins(self) -> Iterable["ValueSpec"]:
        """This value and those inside it that come from other tables."""
        if self.join:
            yield self
        for inner in (self.slot, self.minutes, self.unit, *self.factors):
            if isinstance(inner, ValueSpec):
                yield from inner.joins()


@dataclass(frozen=True)
class MonthsSpec:
    """Months of an invoice: of the days between two dates, or of a number in a unit ("months" or "days")."""

    start: ValueSpec | None = None
    end: ValueSpec | None = None
    number: ValueSpec | None = None
    unit: str = "months"

    def parts(self) -> Iterable[ValueSpec]:
        return (part for part in (self.start, self.end, self.number) if part is not None)


@dataclass(frozen=True)
class WideSpec:
    """Columns that hold one field each for a date, a time of the day, a slot or a client.

    to: the field; name: "client_id" where the names are clients. slot: pattern of the number of a slot in the names.
    year: of dates whose format has none, a number or the value of a file's name.
    """

    place: str
    columns: str
    to: str
    pattern: str | None = None
    formats: tuple[str, ...] = ()
    locale: str | None = None
    day: str | int = "last"
    year: ValueSpec | int | None = None
    slot: str | None = None
    minutes: float | None = None
    name: str | None = None


@dataclass(frozen=True)
class TableSpec:
    """One table of a map: its files, their layout, its fields, and what becomes of its rows."""

    kind: str
    place: str
    files: str | None = None
    layout: Layout = NO_LAYOUT
    reader: str | None = None
    decimal: str = "."
    thousands: str | None = None
    missing: tuple[object, ...] = ()
    zone: str | None = None
    fields: Mapping[str, ValueSpec] = field(default_factory=dict)
    keep: tuple[tuple[str, str], ...] = ()
    drop: tuple[tuple[str, str], ...] = ()
    wide: tuple[WideSpec, ...] = ()
    months: MonthsSpec | None = None
    series: tuple[str, ...] = ()
    version: ValueSpec | None = None
    is_register: bool = False
    register_digits: int | None = None
    several: str | None = None
    per: str | None = None

    def values(self) -> Iterable[ValueSpec]:
        """All values that the table states."""
        yield from self.fields.values()
        if self.months:
            yield from self.months.parts()
        if self.version:
            yield self.version

    def columns(self) -> frozenset[str]:
        """All columns that the table names; a header is recognised by them."""
        named = {name for value in self.values() for name in value.named_columns()}
        return frozenset(named | {name for name, _ in (*self.keep, *self.drop)} | set(self.series))


@dataclass(frozen=True)
class DataMap:
    """A map: the tables of each kind, and the other tables that joins name.

    name: of its file; lines: {"[readings] read_at": line}, for messages.
    """

    name: str
    tables: Mapping[str, tuple[TableSpec, ...]]
    others: Mapping[str, TableSpec] = field(default_factory=dict)
    defaults: TableSpec = TableSpec("files", "[files]")
    lines: Mapping[str, int] = field(default_factory=dict)

    def of(self, kind: str) -> tuple[TableSpec, ...]:
        """The tables of a kind; none where the map leaves it out."""
        return self.tables.get(kind, ())

    @property
    def is_empty(self) -> bool:
        """Whether the map states nothing, so that files are read as they are without a map."""
        return not any(self.tables.values()) and self.defaults == TableSpec("files", "[files]")

    def other(self, name: str) -> TableSpec:
        """The table that a join names: one of [tables.NAME], or a file with the layout of [files]."""
        if name in self.others:
            return self.others[name]
        defaults = self.defaults
        return TableSpec(
            "tables",
            f"[files] {name}",
            name,
            defaults.layout._replace(skip_rows=None, names=None, sheet=None),
            decimal=defaults.decimal,
            thousands=defaults.thousands,
            missing=defaults.missing,
            zone=defaults.zone,
        )
