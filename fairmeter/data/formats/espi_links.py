"""The entries of a Green Button file and the links between them -> what each meter reading counts.

In:  Atom entries: UsagePoint, MeterReading, ReadingType, IntervalBlock, LocalTimeParameters, in any order.
Out: Channels, by the path of the meter reading; which block belongs to which; the clock's offset.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

from fairmeter.data.files import InvalidValue, TableFile
from fairmeter.data.formats.xml_elements import elements_of

UNITS = {"72": "Wh", "38": "W"}  # uom, of real energy and power
OTHER_UNITS = {
    "119": "ft3",
    "169": "therm",
    "42": "m3",
    "132": "Btu",
    "61": "VA",
    "63": "var",
    "71": "VAh",
    "73": "varh",
}
FLOWS = {"": False, "0": False, "1": False, "4": False, "20": False, "19": True}  # whether energy was fed in
TOTALS = {"1", "2", "3"}  # accumulationBehaviour of what the meter showed; 4 is what was used in the interval
CLEARED = frozenset({"IntervalReading", "entry"})
USAGE_POINT = re.compile(r"/UsagePoint/([^/]+)")
MAX_TENS = 12  # either way; pico to tera


class Channel(NamedTuple):
    """What the intervals of a meter reading hold. seconds: of an interval; begin, end: of all of them, 0 unknown."""

    usage_point: str
    meter_reading: str
    flow: str
    uom: str
    tens: int
    seconds: int
    accumulation: str
    begin: int
    end: int
    left_out: str = ""  # why it is not read; empty if it is

    @property
    def is_fed_in(self) -> bool:
        return FLOWS.get(self.flow, False)


class Entries(NamedTuple):
    """Channels by the path of their meter reading, and the offset of standard time [s]."""

    channels: dict[str, Channel]
    offset: int

    def channel_of(self, entry: Element, source: TableFile) -> Channel:
        """The channel of an entry with interval blocks. Raises InvalidValue where no link leads to one."""
        path = reading_path(entry)
        if path in self.channels:
            return self.channels[path]
        if len(self.channels) == 1:
            return next(iter(self.channels.values()))
        raise InvalidValue(
            f"{source}: an IntervalBlock at {path or 'no address'} belongs to no MeterReading of the file; "
            "download the file again, with all its entries."
        )


def read_entries(source: TableFile) -> Entries:
    """Go through a file for everything but its values. Raises TableError."""
    types: dict[str, dict[str, str]] = {}
    related: dict[str, list[str]] = {}
    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    offset = 0
    for name, element in elements_of(source, CLEARED):
        if name == "interval":
            spans[""].append(_span(element))
        elif name == "tzOffset":
            offset = _whole(element.text, source, name)
        elif name == "entry":
            links = dict(_links(element))
            if (kind := _child(element, "ReadingType")) is not None:
                types[links.get("self", [""])[0]] = {part.tag: (part.text or "").strip() for part in kind}
            if _child(element, "MeterReading") is not None:
                related[links.get("self", [""])[0]] = links.get("related", [])
            if spans[""]:
                spans[reading_path(element)] += spans.pop("")
    channels = {path: _channel(path, hrefs, types, spans[path], source) for path, hrefs in related.items()}
    return Entries(_without_totals(channels), offset)


def reading_path(entry: Element) -> str:
    """The path of the meter reading that the blocks of an entry belong to."""
    links = dict(_links(entry))
    for href in (*links.get("up", []), *links.get("self", [])):
        if "/IntervalBlock" in href:
            return href[: href.rindex("/IntervalBlock")]
    return ""


def _channel(path: str, hrefs: list[str], types: dict, spans: list[tuple[int, int]], source: TableFile) -> Channel:
    kind = next((types[href] for href in hrefs if href in types), None)
    if kind is None and len(types) == 1:
        kind = next(iter(types.values()))
    if kind is None:
        raise InvalidValue(
            f"{source}: the MeterReading {path} has no ReadingType among its links, so its unit is unknown; "
            "download the file again, with all its entries."
        )
    uom, flow = kind.get("uom", ""), kind.get("flowDirection", "")
    tens, seconds = (_whole(kind.get(name) or "0", source, name) for name in ("powerOfTenMultiplier", "intervalLength"))
    if abs(tens) > MAX_TENS:
        raise InvalidValue(f"{source}: a powerOfTenMultiplier of {tens} is no unit of energy; download the file again.")
    point = USAGE_POINT.search(path)
    left_out = ""
    if uom not in UNITS:
        left_out = f"readings in {OTHER_UNITS.get(uom, 'another unit')} (uom {uom or 'missing'})"
    elif flow not in FLOWS:
        left_out = f"readings of flow direction {flow}"
    return Channel(
        point[1] if point else path or "1", path.rpartition("/")[2], flow, uom, tens, seconds,
        kind.get("accumulationBehaviour", ""), min((a for a, _ in spans), default=0),
        max((b for _, b in spans), default=0), left_out,
    )  # fmt: skip


def _without_totals(channels: dict[str, Channel]) -> dict[str, Channel]:
    """Leave out what the meter showed beside what was used, and days beside the hours that they consist of."""
    alike = defaultdict(list)
    for channel in channels.values():
        if not channel.left_out:
            alike[channel.usage_point, channel.is_fed_in].append(channel)
    return {
        path: channel._replace(left_out=channel.left_out or _repeats(channel, alike))
        for path, channel in channels.items()
    }


def _repeats(channel: Channel, alike: dict) -> str:
    others = [other for other in alike[channel.usage_point, channel.is_fed_in] if other is not channel]
    if channel.accumulation in TOTALS and any(other.accumulation not in TOTALS for other in others):
        return "totals that the meter showed, beside what was used"
    shorter = [other for other in others if 0 < other.seconds < channel.seconds]
    if any(other.begin < channel.end and channel.begin < other.end for other in shorter):
        return f"intervals of {channel.seconds:,} s, beside shorter ones of the same time"
    return ""


def _links(entry: Element) -> Iterator[tuple[str, list[str]]]:
    found: dict[str, list[str]] = defaultdict(list)
    for child in entry:
        if child.tag == "link":
            found[child.get("rel", "")].append(urlsplit(child.get("href", "").strip()).path.rstrip("/"))
    return iter(found.items())


def _child(entry: Element, name: str) -> Element | None:
    contents: Iterable[Element] = (part for child in entry if child.tag == "content" for part in child)
    return next((part for part in contents if part.tag == name), None)


def _span(interval: Element) -> tuple[int, int]:
    found = {part.tag: (part.text or "").strip() for part in interval}
    begin, length = (found.get(name, "") for name in ("start", "duration"))
    return (int(begin), int(begin) + int(length)) if begin.isdecimal() and length.isdecimal() else (0, 0)


def _whole(text: str | None, source: TableFile, name: str) -> int:
    try:
        return int((text or "").strip())
    except ValueError:
        raise InvalidValue(f"{source}: {name} is {text!r}, no whole number; download the file again.") from None
