"""Australian accumulated data (AEMO MDFF, NEM13) -> RawTables, one row a period between two meter readings.

In:  records 100 header, 250 two readings of a register and the energy between them, 550, 900 the end.
Out: nmi, suffix, meter, unit, from, to, old_index, new_index, quality, reason, updated, value, taken, fed_in.
     Registers of another unit, and energy that was fed in, are left out and counted: invoices are of consumption.
"""

from collections.abc import Iterator

from fairmeter.data.files import TableFile, file_errors
from fairmeter.data.formats.nem12 import EXPORT_AGAIN, moment_of, records_of
from fairmeter.data.formats.rows import UNITS, RowBuffer
from fairmeter.data.layouts.raw_table import RawTable

COLUMNS = (
    "nmi", "suffix", "meter", "unit", "from", "to", "old_index", "new_index", "quality", "reason", "updated", "value",
)  # fmt: skip
RECORDS = ("100", "250", "550", "900")
N_FIELDS = 20  # of a record 250, up to the unit


def read_nem13(source: TableFile) -> Iterator[RawTable]:
    """Read a NEM13 file. Raises TableError."""
    rows = RowBuffer(source, COLUMNS)
    with file_errors(source):
        for line, fields in records_of(source):
            if fields[0] == "250":
                yield from rows.full()
                _add(rows, line, fields)
            elif fields[0] not in RECORDS:
                raise rows.invalid(line, f"begins with {fields[0][:20]!r}, no record of NEM13", EXPORT_AGAIN)
        yield from rows.rest("a NEM13 file has records 250 of the direction E")


def _add(rows: RowBuffer, line: int, fields: list[str]) -> None:
    if len(fields) < N_FIELDS or not fields[1]:
        raise rows.invalid(line, f"a record 250 with {len(fields)} fields, where 23 are due", EXPORT_AGAIN)
    nmi, _, _, suffix, _, meter, direction, old_index, begin = fields[1:10]
    new_index, end, quality, reason, _, value, unit = fields[13:20]
    if unit.upper() not in UNITS or direction.upper() == "I":
        kind = "fed into the grid" if direction.upper() == "I" else f"in {unit or 'no unit'}"
        rows.left_out[f"values {kind} (register {suffix})"] += 1
        return
    try:
        period = [moment_of(begin), moment_of(end)]
    except ValueError:
        raise rows.invalid(line, f"{begin[:20]!r} or {end[:20]!r} is no moment such as 20031001103230",
                           EXPORT_AGAIN) from None  # fmt: skip
    updated = fields[21] if len(fields) > 21 else ""
    known = (nmi, suffix, meter, UNITS[unit.upper()], *period, old_index, new_index, quality, reason, updated)
    rows.add(1, line, False, (*known, value))
