"""Weather as downloaded from Meteostat, Open-Meteo and GHCN-Daily: one mean temperature a day, in deg C."""

import gzip

import numpy as np
import pytest

from fairmeter.data.exogenous import read_weather
from fairmeter.data.files import TableError

MONTH = [f"2024-01-{day:02d}" for day in range(1, 11)]


@pytest.fixture
def read(tmp_path):
    """{day: deg C, rounded} of a weather file."""

    def of(text, name="weather.csv"):
        path = tmp_path / name
        data = text.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        days, degrees = read_weather(path)
        return dict(zip(map(str, np.array(days, "datetime64[D]")), np.round(degrees, 6).tolist(), strict=True))

    return of


def hours(line):
    return "".join(line(day, hour, day_number + hour) for day_number, day in enumerate(MONTH) for hour in range(24))


# The hours of a day are so many degrees more than the day's number in the list.
MEANS = {day: day_number + 11.5 for day_number, day in enumerate(MONTH)}


def test_meteostat_hours_without_a_header_give_the_mean_of_the_day(read):
    text = hours(lambda day, hour, degrees: f"{day},{hour},{degrees}.0,1.0,80,,,200,9.0,,1013.0,,\n")
    assert read(text, "03772.csv.gz") == MEANS


def test_meteostat_days_without_a_header_state_their_mean(read):
    assert read("2024-01-01,5.5,2.0,8.0,,,,,,,\n2024-01-02,,2.0,8.0,,,,,,,\n") == {"2024-01-01": 5.5, "2024-01-02": 5.0}


def test_meteostats_newer_files_name_their_columns(read):
    head = "year,month,day,hour,temp,temp_source,rhum,rhum_source\n"
    text = hours(lambda day, hour, degrees: f"{day.replace('-0', '-').replace('-', ',')},{hour},{degrees},x,80,x\n")
    assert read(head + text) == MEANS
    assert read("date,tavg,tmin,tmax,prcp\n2024-01-01,5.5,2,8,0\n2024-01-02,,2,8,\n") == {
        "2024-01-01": 5.5,
        "2024-01-02": 5.0,
    }


ABOVE = "latitude,longitude,elevation,utc_offset_seconds,timezone,timezone_abbreviation\n52.5,13.4,38.0,0,GMT,GMT\n\n"


def test_open_meteo_hours_stand_below_lines_about_the_place(read):
    text = hours(lambda day, hour, degrees: f"{day}T{hour:02d}:00,{degrees},{degrees - 20}\n")
    head = f"{ABOVE}time,temperature_2m (°C),apparent_temperature (°C)\n"
    assert read(head + text) == MEANS, "what it feels like is no temperature"
    assert read(head + text + "\ntime,weather_code (wmo code)\n2024-01-01,3\n") == MEANS


def test_fahrenheit_is_converted_where_it_is_stated(read):
    assert read(f"{ABOVE}time,temperature_2m_mean (°F)\n2024-01-01,50\n") == {"2024-01-01": 10.0}
    assert read("date,temperature_f\n2024-01-01,50\n") == {"2024-01-01": 10.0}
    assert read("date,temp (F)\n2024-01-01,104\n") == {"2024-01-01": 40.0}


def test_open_meteo_highest_and_lowest_give_the_mean(read):
    text = f"{ABOVE}time,temperature_2m_max (°C),temperature_2m_min (°C)\n2024-01-01,9,1\n2024-01-02,9,\n"
    assert read(text) == {"2024-01-01": 5.0}, "a day without its lowest temperature has no mean"


GHCN = "GM000003319,20240101,{},{},,{},E,\n"


def test_ghcn_by_station_is_in_tenths_and_one_element_a_row(read):
    text = GHCN.format("TMAX", 90, "") + GHCN.format("PRCP", 7, "") + GHCN.format("TMIN", 10, "")
    assert read(text, "GM000003319.csv.gz") == {"2024-01-01": 5.0}
    assert read(text + GHCN.format("TAVG", 61, "")) == {"2024-01-01": 6.1}, "its own mean is nearer"
    assert read("ID,DATE,ELEMENT,DATA_VALUE,M_FLAG,Q_FLAG,S_FLAG,OBS_TIME\n" + text) == {"2024-01-01": 5.0}


def test_ghcn_values_that_failed_their_check_do_not_count(read):
    text = GHCN.format("TMAX", 90, "") + GHCN.format("TMIN", 10, "") + GHCN.format("TAVG", 999, "X")
    assert read(text) == {"2024-01-01": 5.0}


def test_ghcn_access_files_are_in_tenths_with_their_flags_beside(read):
    head = '"STATION","DATE","LATITUDE","ELEVATION","NAME","TMAX","TMAX_ATTRIBUTES","TMIN","TMIN_ATTRIBUTES"\n'
    first = '"G","2024-01-01","52","51","B","  190",",,E","  -10",",,E"\n'
    failed = '"G","2024-01-02","52","51","B","150",",I,E","1",",,E"\n'
    assert read(head + first + failed) == {"2024-01-01": 9.0}


def test_ghcn_tables_in_degrees_are_taken_as_they_are(read):
    assert read("STATION,NAME,DATE,TMAX,TMIN\nG,B,2024-01-01,9.5,0.5\n") == {"2024-01-01": 5.0}
    assert read("STATION,NAME,DATE,TMAX (°F),TMIN (°F)\nG,B,2024-01-01,59,41\n") == {"2024-01-01": 10.0}


def test_a_day_with_a_few_hours_only_has_no_mean(read):
    text = hours(lambda day, hour, degrees: f"{day},{hour},{degrees},1,80,,,200,9.0,,1013.0,,\n")
    assert read(text + "2024-01-11,0,-30,1,80,,,200,9.0,,1013.0,,\n") == MEANS


def test_a_column_that_people_call_temp_is_read_as_before(read):
    assert read("date,temp\n24/03/2014,5\n24/03/2014,7\n") == {"2014-03-24": 6.0}


BAD = {
    "no unit": ("STATION,NAME,DATE,TMAX,TMIN\nG,B,2024-01-01,59,41\n", "without a unit; write TMAX .°F"),
    "two stations": (GHCN.format("TMAX", 9, "") + GHCN.replace("GM", "UK").format("TMAX", 9, ""), "line 2: station UK"),
    "no temperature": (GHCN.format("PRCP", 9, ""), "has no temperatures"),
    "a word": (GHCN.format("TMAX", "warm", ""), "line 1: a temperature of 'warm'"),
    "no date": (GHCN.replace("0101", "1301").format("TMAX", 9, ""), "line 1: '20241301' is no date"),
    "beyond extremes": (GHCN.format("TAVG", 9990, ""), "temperature of 999 deg C"),
}


@pytest.mark.parametrize(("text", "words"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_one_sentence_with_its_line(read, text, words):
    with pytest.raises(TableError, match=words):
        read(text)


@pytest.mark.parametrize(
    "text", [ABOVE + "time,temperature_2m (°C)\n2024-01-01T00:00,1.5\n", GHCN.format("TAVG", 5, "")]
)
def test_a_file_that_ends_anywhere_gives_days_or_one_sentence(read, text):
    for end in range(len(text)):
        try:
            assert isinstance(read(text[:end]), dict)
        except TableError as error:
            words = str(error)
            assert "\n" not in words
