"""Readings of the demonstration that keep coming."""

from datetime import datetime

from fairmeter.desk.demo_data import slot_before


def test_a_reading_is_of_the_last_whole_quarter_of_an_hour():
    assert slot_before(datetime(2026, 11, 2, 13, 31, 9)) == datetime(2026, 11, 2, 13, 15)
    assert slot_before(datetime(2026, 11, 2, 0, 4)) == datetime(2026, 11, 1, 23, 45)
