"""Visits as an iCalendar file."""

from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from fairmeter.web.exports.icalendar import END, MAX_LINE, DayEvent, calendar_text, escaped, folded

NOW = datetime(2026, 12, 1, 7, 30, tzinfo=UTC)
EVENT = DayEvent("2@desk", date(2026, 12, 31), "1. c-1", "At stake: 1,000 kWh; a fall.", "Tunis", (36.8, 10.2))


def test_an_event_takes_its_whole_day():
    lines = calendar_text("North", [EVENT], NOW).split(END)
    assert lines[:2] == ["BEGIN:VCALENDAR", "VERSION:2.0"]
    for line in ("DTSTART;VALUE=DATE:20261231", "DTEND;VALUE=DATE:20270101", "DTSTAMP:20261201T073000Z", "UID:2@desk"):
        assert line in lines
    assert r"DESCRIPTION:At stake: 1\,000 kWh\; a fall." in lines
    assert "GEO:36.800000;10.200000" in lines
    assert lines[-2:] == ["END:VCALENDAR", ""]


def test_what_is_empty_is_left_out():
    text = calendar_text("North", [DayEvent("1", date(2026, 12, 1), "c", "")], NOW)
    assert not any(name in text for name in ("DESCRIPTION", "LOCATION", "GEO"))


def test_a_text_cannot_begin_another_line():
    assert escaped("a\r\nEND:VEVENT,;\\") == r"a\nEND:VEVENT\,\;\\"


@given(st.text(alphabet=st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])))
def test_lines_are_folded_at_75_bytes_and_lose_nothing(line):
    parts = list(folded(line))
    assert all(len(part.encode()) <= MAX_LINE for part in parts)
    assert parts[0] + "".join(part[1:] for part in parts[1:]) == line
    assert all(part.startswith(" ") for part in parts[1:])
