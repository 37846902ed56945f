"""Load profile buffers of meters (DLMS/COSEM, profile generic) -> RawTables, one row a value.

In:  the encoded attributes of one profile, one after another: 3 capture objects, 4 capture period [s] (may be left
     out), 2 buffer; as bytes, or as hexadecimal digits.
Out: meter (the file's name without its ending), obis, read_at, value, taken, fed_in. A moment whose offset is stated
     is UTC. OBIS 1.x is taken, 2.x fed in; others are left out and counted. Values are without scaler and unit.
Needs the library dlms-cosem, which is imported only here.
"""

import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime

from fairmeter.data.files import DamagedFile, TableError, TableFile, file_errors
from fairmeter.data.formats.rows import RowBuffer
from fairmeter.data.layouts.raw_table import RawTable

COLUMNS = ("meter", "obis", "read_at", "value")
MAX_BYTES = 2**26  # a buffer is held as a whole; a year of quarter-hours has a megabyte
HEXADECIMAL = re.compile(rb"[0-9a-fA-F\s]+")
CLOCK, OBIS_BYTES, CAPTURE_PARTS = 8, 6, 4
NO_OFFSET = b"\x00\x00"  # bytes 9 and 10 of a clock
DIRECTIONS = {1: False, 2: True}  # group C of the OBIS code, of active energy: whether it was fed in
# What the library raises for damaged bytes.
DAMAGE = (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, AssertionError, struct.error,
          NotImplementedError, RecursionError)  # fmt: skip
READ_AGAIN = "read attributes 3, 4 and 2 of the profile again"


def read_dlms(source: TableFile) -> Iterator[RawTable]:
    """Read a captured load profile. Raises TableError."""
    with file_errors(source):
        rows = RowBuffer(source, COLUMNS)
        objects, minutes, entries = _profile_of(source)
        meter = (source.path_text or source.file_name).rpartition("/")[2].partition(".")[0]
        is_utc = False
        for entry, n_null in _dated(source, objects, minutes, entries):
            yield from rows.full()
            if n_null:
                rows.left_out["values that the meter left out"] += n_null
            moment, raw = next(((column.value, raw) for column, raw in entry if _is_clock(column)), (None, None))
            if moment is None:
                raise rows.invalid_reading("no clock in this entry or before it", READ_AGAIN)
            is_utc = is_utc if raw is None else bytes(raw[9:11]) == NO_OFFSET
            stamp = _text(moment, is_utc)
            for column, _ in entry:
                if _is_clock(column):
                    continue
                code = column.attribute.instance
                if code.a != 1 or code.c not in DIRECTIONS or not isinstance(column.value, int | float):
                    rows.left_out[f"values of {code.to_string()}"] += 1
                    continue
                rows.add(1, None, DIRECTIONS[code.c], (meter, code.to_string(), stamp, column.value))
        yield from rows.rest("a load profile of energy captures OBIS codes such as 1-0:1.8.0.255")


def decode(source: TableFile, data: bytes) -> list:
    """The values of A-XDR bytes. Raises DamagedFile where they are cut off, TableError without the library."""
    try:
        from dlms_cosem import a_xdr
    except ImportError:
        raise TableError(
            f"{source} is a load profile, which needs the library dlms-cosem: pip install dlms-cosem."
        ) from None

    class StrictDecoder(a_xdr.AXdrDecoder):
        """The library's decoder takes what is there beyond the end of the bytes: half a number is a number."""

        def get_bytes(self, length: int) -> bytearray:
            if self.pointer + length > len(self.buffer):
                raise ValueError("the bytes end within a value")
            return super().get_bytes(length)

    sequence = a_xdr.EncodingConf(attributes=[a_xdr.Sequence(attribute_name="data")])
    try:
        # A Null before keeps a single array from being taken for the list of values.
        return StrictDecoder(sequence).decode(b"\x00" + data)["data"][1:]
    except DAMAGE as error:
        what = str(error) or type(error).__name__
        raise DamagedFile(f"{source}: no load profile, or a damaged one ({what}); {READ_AGAIN}.") from None


def _profile_of(source: TableFile) -> tuple[list, int, list]:
    """(capture objects, minutes between entries, entries)."""
    values = decode(source, _bytes_of(source))
    arrays = [value for value in values if isinstance(value, list)]
    objects = next((array for array in arrays if array and all(map(_is_capture_object, array))), None)
    entries = next((array for array in arrays if array is not objects), None)
    if objects is None or entries is None:
        raise DamagedFile(
            f"{source} lacks the {'buffer' if objects else 'capture objects'} of a profile; {READ_AGAIN}."
        )
    width = len(objects)
    odd = next((i for i, entry in enumerate(entries, 1) if not isinstance(entry, list) or len(entry) != width), 0)
    if odd:
        raise DamagedFile(f"{source}, entry {odd:,}: not of {width} values, one a capture object; {READ_AGAIN}.")
    period = next((value for value in values if isinstance(value, int) and value > 0), 0)
    return objects, period // 60, entries


def _bytes_of(source: TableFile) -> bytes:
    with source.open() as stream:
        found = stream.read(MAX_BYTES + 1)
    if len(found) > MAX_BYTES:
        raise DamagedFile(f"{source} has over {MAX_BYTES:,} bytes; read shorter periods of the profile.")
    if HEXADECIMAL.fullmatch(found):
        digits = b"".join(found.split())
        if len(digits) % 2:
            raise DamagedFile(f"{source} has an odd number of hexadecimal digits; {READ_AGAIN}.")
        return bytes.fromhex(digits.decode())
    return found


def _dated(source: TableFile, objects: list, minutes: int, entries: list) -> Iterator[tuple[list, int]]:
    """The library's columns of each entry with the raw value of each, and how many values it lacks.

    A clock that the meter left out is the one before it and the capture period.
    """
    from dlms_cosem import cosem, enumerations
    from dlms_cosem.parsers import ProfileGenericBufferParser

    try:
        attributes = [
            cosem.CosemAttribute(enumerations.CosemInterface(kind), cosem.Obis.from_bytes(code), attribute)
            for kind, code, attribute, _ in objects
        ]
        parsed = ProfileGenericBufferParser(attributes, minutes).parse_entries(entries)
    except DAMAGE as error:
        raise DamagedFile(f"{source}: a clock or a capture object is damaged ({error}); {READ_AGAIN}.") from None
    if not minutes and any(None in entry for entry in entries):
        raise DamagedFile(f"{source} leaves out clocks or values and states no capture period; {READ_AGAIN}.")
    for entry, columns in zip(entries, parsed, strict=True):
        raw = dict(zip(map(id, attributes), entry, strict=True))
        yield [(column, raw[id(column.attribute)]) for column in columns if column], len(entry) - len(columns)


def _is_clock(column) -> bool:
    return column.attribute.interface.value == CLOCK


def _is_capture_object(value) -> bool:
    """Whether it is (class, OBIS code, attribute, index)."""
    return (
        isinstance(value, list)
        and len(value) == CAPTURE_PARTS
        and isinstance(value[0], int)
        and isinstance(value[1], bytes | bytearray)
        and len(value[1]) == OBIS_BYTES
        and isinstance(value[2], int)
    )


def _text(moment: datetime, is_utc: bool) -> str:
    """ISO text: UTC where the clock states its offset. The library takes an offset of 0 for none."""
    if moment.tzinfo is not None:
        moment, is_utc = moment.astimezone(UTC).replace(tzinfo=None), True
    return moment.isoformat() + ("Z" if is_utc else "")
