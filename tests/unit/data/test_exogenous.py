"""Weather and holidays from files, and the holidays of a country from its code."""

import sys

import numpy as np
import pytest

from fairmeter.data.exogenous import Exogenous, UnknownHolidays, read_exogenous, read_holidays, read_weather
from fairmeter.data.files import TableError


def day(text):
    return int(np.datetime64(text, "D").astype(int))


@pytest.fixture
def written(tmp_path):
    def write(text, name="weather.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_the_temperature_of_a_date_is_the_mean_of_its_columns_and_rows(written):
    path = written(
        "date,temperature_max_c,wind,temperature_min_c\n2013-01-02,9,7,1\n2013-01-01,4,7,\n2013-01-02,5,1,5\n"
    )
    days, degrees = read_weather(path)
    assert days.tolist() == [day("2013-01-01"), day("2013-01-02")]
    assert degrees.tolist() == [4.0, 5.0]


def test_holidays_are_the_dates_of_a_file_each_once(written):
    path = written("Bank holidays,Type\n26/12/2012,Boxing Day\n2012-12-25,Christmas\n2012-12-25,Sunday\n")
    assert read_holidays(str(path)).tolist() == [day("2012-12-25"), day("2012-12-26")]


def test_a_countrys_code_gives_its_holidays():
    pytest.importorskip("holidays", reason="the library of holidays is for training alone")
    found = read_holidays("TN")
    assert day("2014-03-20") in found, "Independence Day"
    assert day("2014-03-21") not in found
    assert day("2013-04-01") in read_holidays("GB-ENG"), "Easter Monday, which Scotland does not keep"
    assert day("2013-04-01") not in read_holidays("GB-SCT")


def test_without_weather_and_holidays_exogenous_is_empty():
    assert read_exogenous(None, None) == Exogenous(None, None)


BAD_WEATHER = {
    "no temperature": ("date,wind\n2013-01-01,3\n", "lacks a column with 'temp'"),
    "no date": ("when,temperature\n2013-01-01,3\n", "lacks a column with 'date'"),
    "Fahrenheit": ("date,temperature\n2013-01-01,103\n", "temperature of 103"),
    "a word": ("date,temperature\n2013-01-01,warm\n", "'warm', not a number"),
    "an empty date": ("date,temperature\n,3\n", "empty; every row needs its date"),
    "a damaged date": ("date,temperature\n2013-13-01,3\n", "not a date"),
}


@pytest.mark.parametrize(("text", "words"), BAD_WEATHER.values(), ids=BAD_WEATHER)
def test_unreadable_weather_raises_one_sentence(written, text, words):
    with pytest.raises(TableError, match=words):
        read_weather(written(text))


@pytest.mark.parametrize(("given", "words"), [("nowhere.csv", "neither a file nor"), ("gb", "neither a file nor")])
def test_neither_file_nor_country_code_raises_one_sentence(given, words):
    with pytest.raises(TableError, match=words):
        read_holidays(given)


@pytest.mark.parametrize("code", ["XX", "GB-QQ"])
def test_an_unknown_country_raises_one_sentence(code):
    pytest.importorskip("holidays", reason="the library of holidays is for training alone")
    with pytest.raises(UnknownHolidays, match=f"does not have {code};"):
        read_holidays(code)


def test_a_missing_library_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(UnknownHolidays, match="pip install holidays, or name a file"):
        read_holidays("TN")
