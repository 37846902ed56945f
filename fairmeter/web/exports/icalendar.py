"""Visits of a day -> an iCalendar file (RFC 5545), which calendars of phones open.

In:  events of whole days.
Out: the file's text, with lines of at most 75 bytes and their ends as the standard asks.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

MAX_LINE = 75  # bytes, without the line's end
END = "\r\n"
ESCAPED = str.maketrans({"\\": r"\\", ";": r"\;", ",": r"\,", "\n": r"\n", "\r": None})
PRODUCT = "-//Fairmeter//Visits//EN"


class DayEvent(NamedTuple):
    """An event of a whole day. uid: the same whenever the event is exported again; place: latitude, longitude."""

    uid: str
    on: date
    title: str
    text: str
    location: str = ""
    place: tuple[float, float] | None = None


def calendar_text(name: str, events: Iterable[DayEvent], written_at: datetime) -> str:
    """The calendar with these events. [written_at: with its time zone]"""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:{PRODUCT}", "METHOD:PUBLISH", f"X-WR-CALNAME:{escaped(name)}"]
    stamp = f"{written_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    lines += [line for event in events for line in _event_lines(event, stamp)]
    return END.join(part for line in [*lines, "END:VCALENDAR"] for part in folded(line)) + END


def _event_lines(event: DayEvent, stamp: str) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{escaped(event.uid)}"
    yield f"DTSTAMP:{stamp}"
    yield f"DTSTART;VALUE=DATE:{event.on:%Y%m%d}"
    yield f"DTEND;VALUE=DATE:{event.on + timedelta(days=1):%Y%m%d}"
    yield f"SUMMARY:{escaped(event.title)}"
    if event.text:
        yield f"DESCRIPTION:{escaped(event.text)}"
    if event.location:
        yield f"LOCATION:{escaped(event.location)}"
    if event.place:
        yield f"GEO:{event.place[0]:.6f};{event.place[1]:.6f}"
    yield "END:VEVENT"


def escaped(text: str) -> str:
    """A text as a value of the format."""
    return text.translate(ESCAPED)


def folded(line: str) -> Iterator[str]:
    """The line in parts of at most MAX_LINE bytes, of which each after the first begins with a blank."""
    part = ""
    for letter in line:
        if len((part + letter).encode()) > MAX_LINE:
            yield part
            part = " "
        part += letter
    yield part
