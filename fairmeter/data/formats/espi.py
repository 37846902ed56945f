"""Green Button data (NAESB ESPI, XML) -> RawTables, one row an interval.

In:  an Atom feed whose entries (usage points, meter readings, reading types, interval blocks) are tied by links.
Out: usage_point, meter_reading, flow, uom, unit, minutes, seconds, read_at (UTC, start of the interval), local_at (the
     file's standard time), quality, value (the power of ten put in), taken, fed_in. Gas, reactive energy and totals
     beside their parts are left out and counted. The file is gone through twice: links may stand after the values.
"""

import math
from collections.abc import Iterator

import numpy as np

from fairmeter.data.files import TableFile, file_errors
from fairmeter.data.formats.espi_links import CLEARED, UNITS, Channel, Entries, read_entries
from fairmeter.data.formats.rows import RowBuffer
from fairmeter.data.formats.xml_elements import elements_of
from fairmeter.data.layouts.raw_table import RawTable

COLUMNS = (
    "usage_point", "meter_reading", "flow", "uom", "unit", "minutes", "seconds", "read_at", "local_at", "quality",
    "value",
)  # fmt: skip
LEAVES = frozenset({"start", "duration", "value", "quality"})
LATEST = 4_102_444_800  # seconds since 1970 at the start of 2100
MEASURED = {"", "0", "11", "14", "17", "18", "19"}  # quality: valid, derived, raw, validated, verified, for revenue
EXPORT_AGAIN = "the file is damaged: download it again"


class IntervalBlock:
    """The intervals of an entry as they are collected."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.seconds: list[str] = []
        self.values: list[float | None] = []
        self.qualities: list[str] = []


def read_espi(source: TableFile) -> Iterator[RawTable]:
    """Read a Green Button file. Raises TableError."""
    with file_errors(source):
        rows = RowBuffer(source, COLUMNS, utc=("read_at",))
        entries = read_entries(source)
        block, leaves, quality = IntervalBlock(), {}, ""
        for name, element in elements_of(source, CLEARED):
            if name in LEAVES:
                text = (element.text or "").strip()
                if name == "quality" and quality not in MEASURED:
                    continue  # of several qualities of one interval the worst counts
                leaves[name] = text
                quality = leaves.get("quality", "")
            elif name == "IntervalReading":
                _note(rows, block, leaves)
                leaves, quality = {}, ""
            elif name in ("interval", "ReadingType"):
                leaves, quality = {}, ""
            elif name == "entry":
                leaves, quality = {}, ""
                if block.starts:
                    yield from rows.full()
                    _add(rows, block, entries.channel_of(element, source), entries)
                    block = IntervalBlock()
        yield from rows.rest("a Green Button file of electricity has a ReadingType of uom 72 and IntervalReadings")


def _note(rows: RowBuffer, block: IntervalBlock, leaves: dict[str, str]) -> None:
    start, value = leaves.get("start", ""), leaves.get("value", "")
    try:
        block.values.append(_finite(value) if value else None)
        block.starts.append(int(start))
    except ValueError:
        raise rows.invalid_reading(f"start {start[:30]!r}, value {value[:30]!r}", EXPORT_AGAIN) from None
    if not 0 < block.starts[-1] < LATEST:
        raise rows.invalid_reading(f"a start of {start}, where seconds since 1970 are due", EXPORT_AGAIN)
    block.seconds.append(leaves.get("duration", ""))
    block.qualities.append(leaves.get("quality", ""))


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


def _add(rows: RowBuffer, block: IntervalBlock, channel: Channel, entries: Entries) -> None:
    n = len(block.starts)
    if channel.left_out:
        rows.left_out[channel.left_out] += n
        return
    starts = np.array(block.starts, np.int64)
    seconds = [text if text.isdecimal() else str(channel.seconds or "") for text in block.seconds]
    minutes = [f"{int(text) / 60:g}" if text else "" for text in seconds]
    scale, divisor = 10 ** max(channel.tens, 0), 10 ** max(-channel.tens, 0)  # 0.1 is 1 / 10, and not 1 x 0.1
    values = [None if value is None else value * scale / divisor for value in block.values]
    known = (
        channel.usage_point,
        channel.meter_reading,
        channel.flow,
        channel.uom,
        UNITS[channel.uom],
        minutes,
        seconds,
    )
    rows.add(n, None, channel.is_fed_in, (*known, starts, starts + entries.offset, block.qualities, values))
