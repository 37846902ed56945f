"""What is wrong with a whole file, or at many clients on one day, is refused, put right or held back."""

import numpy as np
import pytest

from fairmeter.data.daily import DailyConsumption
from fairmeter.data.files import InvalidValue, TableError, UnreadableDate
from fairmeter.data.reading_rules.many_clients import UnusableReadings, clean_client_base
from fairmeter.data.readings import read_readings
from tests.unit.data.reading_rules.test_field_faults import home, hours, joined, moments, table

N = 300


# --- builders ---------------------------------------------------------------------------------------------------------


def base(*series):
    """Daily readings of a client a series."""
    return joined(*(table(kwh, client=client) for client, kwh in enumerate(series)))


def homes(n, days=N):
    rng = np.random.default_rng(9)
    return [home(seed, days, level) for seed, level in enumerate(rng.uniform(4, 20, n))]


def cleaned(readings, n):
    found = clean_client_base(readings, n, "readings.csv")
    flags = {finding.flag: finding.clients for finding in found.findings}
    return DailyConsumption.from_readings(found.readings, n), flags, found.incidents


def write_long(path, series, text=str):
    rows = [
        f"h{client},{np.datetime64('2023-01-01') + day},{text(value)}"
        for client, kwh in enumerate(series)
        for day, value in enumerate(kwh)
    ]
    path.write_text("\n".join(["client_id,read_at,consumption_kwh", *rows]) + "\n")
    return path


# --- registers and units ----------------------------------------------------------------------------------------------


def test_a_file_of_register_totals_is_refused_with_the_line_for_the_map():
    with pytest.raises(UnusableReadings, match=r"6 of 6 clients never fall.* register = true"):
        cleaned(base(*(21_000 + np.cumsum(kwh) for kwh in homes(6))), 6)


@pytest.mark.parametrize("step", [15, 60])
def test_a_file_of_counters_that_start_anew_each_midnight_is_refused(step):
    counters = [np.cumsum(hours(kwh, step).reshape(30, -1), axis=1).ravel() for kwh in homes(4, 30)]
    readings = joined(*(table(kwh, moments(len(kwh), step), client=i) for i, kwh in enumerate(counters)))
    with pytest.raises(UnusableReadings, match="register = true"):
        cleaned(readings, 4)


@pytest.mark.parametrize(("factor", "unit"), [(1000.0, "Wh"), (0.001, "MWh")])
def test_a_file_in_another_unit_is_refused_by_the_client_in_the_middle(factor, unit):
    readings = base(*(kwh * factor for kwh in homes(7)))
    with pytest.raises(UnusableReadings, match=f'unit = "{unit}"'):
        cleaned(readings, 7)
    assert clean_client_base(readings, 7, "readings.csv", is_unit_stated=True).incidents == ()


@pytest.mark.parametrize("factor", [1000.0, 0.001])
@pytest.mark.parametrize("n_clients", [3, 12])
def test_a_step_by_a_thousand_on_one_day_at_many_clients_is_put_right(factor, n_clients):
    right = homes(12)
    series = [np.where(np.arange(N) >= 180, kwh * (factor if i < n_clients else 1), kwh) for i, kwh in enumerate(right)]
    days, flags, incidents = cleaned(base(*series), 12)
    np.testing.assert_allclose(days.kwh, np.concatenate(right))
    assert set(flags["unit_steps"]) == set(range(n_clients))
    assert [(incident.kind, incident.n_clients, str(incident.since_on)) for incident in incidents] == [
        ("unit_steps", n_clients, "2023-06-30")
    ]


# --- the same factor at many clients ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("factor", "n_clients"), [(0.1, 4), (0.1, 7), (0.25, 7), (4.0, 7), (0.0, 7)])
def test_the_same_factor_on_one_day_at_many_clients_is_a_data_incident(factor, n_clients):
    series = [np.where((np.arange(N) >= 180) & (i < n_clients), kwh * factor, kwh) for i, kwh in enumerate(homes(20))]
    _, flags, incidents = cleaned(base(*series), 20)
    assert flags["same_factor"].tolist() == list(range(n_clients))
    [incident] = incidents
    assert (incident.kind, incident.n_clients, str(incident.since_on)) == ("same_factor", n_clients, "2023-06-30")


@pytest.mark.parametrize("factor", [0.25, 0.5, 0.6, 1.7, 4.0])
@pytest.mark.parametrize("on", [60, 180, 283])
def test_the_cheap_look_rules_out_no_group(factor, on, monkeypatch):
    rng = np.random.default_rng(on)
    first = rng.integers(0, 30, 20)  # clients whose weeks begin on different days
    series = [np.where((np.arange(N) >= on) & (i < 6), kwh * factor, kwh) for i, kwh in enumerate(homes(20))]
    whole = [moments(N, 24 * 60)[day:] for day in first]
    readings = joined(
        *(table(kwh[day:], whole[i], client=i) for i, (kwh, day) in enumerate(zip(series, first, strict=True)))
    )
    looked = cleaned(readings, 20)[2]
    monkeypatch.setattr("fairmeter.data.reading_rules.many_clients.LOOK_ALIKE", 0.0)
    assert looked == cleaned(readings, 20)[2]
    is_clear = factor in (0.25, 4.0) and on < 283  # the last days are too few to measure
    assert looked or not is_clear


def test_the_same_factor_at_a_few_clients_may_be_theirs():
    series = [np.where((np.arange(N) >= 180) & (i < 3), kwh * 0.1, kwh) for i, kwh in enumerate(homes(20))]
    assert cleaned(base(*series), 20)[2] == ()


def test_thefts_of_different_days_and_factors_are_no_incident():
    rng = np.random.default_rng(4)
    series = [
        np.where(np.arange(N) >= rng.integers(60, 240), kwh * rng.uniform(0.1, 0.6), kwh) if i < 6 else kwh
        for i, kwh in enumerate(homes(60))
    ]
    assert cleaned(base(*series), 60)[2] == ()


def test_homes_without_a_fault_have_no_incident_and_no_flag():
    _, flags, incidents = cleaned(base(*homes(40)), 40)
    assert (flags, incidents) == ({}, ())


def test_readings_of_one_moment_without_a_pattern_are_refused():
    rng = np.random.default_rng(5)
    parts = []
    for client, kwh in enumerate(homes(5, 100)):
        parts.append(table(kwh, client=client))
        again = np.sort(rng.choice(100, 60, replace=False))
        parts.append(table(kwh[again] * 0.4, moments(100)[again], client=client))
    with pytest.raises(UnusableReadings, match='several = "sum"'):
        cleaned(joined(*parts), 5)


# --- files ------------------------------------------------------------------------------------------------------------


def test_commas_between_thousands_are_read_where_numbers_have_a_point(tmp_path):
    series = [*homes(4, 60), home(8, 60, 2400.0)]
    path = write_long(tmp_path / "readings.csv", series, '"{:,.2f}"'.format)
    found = read_readings(path)
    np.testing.assert_array_equal(found.readings["consumption_kwh"], np.concatenate(series))
    assert found.flags == []


def test_a_client_that_would_lose_its_readings_is_named(tmp_path):
    series = [*homes(14, 60), home(8, 60, 2400.0)]
    path = write_long(tmp_path / "readings.csv", series, lambda kwh: f'"{kwh:.1f}"' if kwh < 900 else '"2.345,6"')
    with pytest.raises(InvalidValue, match=r"'2\.345,6'.* 60 of the 60 readings of client 'h14'"):
        read_readings(path)


def test_a_wide_table_reads_days_that_a_data_frame_named_with_a_time(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("CONS_NO,2013-01-01,2013-01-02 00:00:00,2013-01-03T00:00:00\na,5,6,7\n")
    np.testing.assert_array_equal(read_readings(path).readings["consumption_kwh"], [5, 6, 7])


@pytest.mark.parametrize("name", ["2013.01.02", "2 Jan 2013", "20130102", "2013-01-02 06:00"])
def test_a_wide_table_names_the_columns_that_look_like_days_and_are_not_read(tmp_path, name):
    path = tmp_path / "wide.csv"
    path.write_text(f"CONS_NO,FLAG,2013-01-01,{name}\na,0,5,6\n")
    with pytest.raises(UnreadableDate, match=name.replace(".", r"\.")):
        read_readings(path)


def test_lengths_exports_and_quality_are_read_from_files(tmp_path):
    path = tmp_path / "readings.csv"
    rows = ["a,2023-01-01,70,10080,,actual", "a,2023-01-08,9,1440,3.5,estimated", "a,2023-01-09,4,,,missing"]
    path.write_text("\n".join(["client_id,read_at,consumption_kwh,minutes,export_kwh,quality", *rows]) + "\n")
    found = read_readings(path).readings
    np.testing.assert_array_equal(found["minutes"], [10080, 1440, np.nan])
    np.testing.assert_array_equal(found["export_kwh"], [np.nan, 3.5, np.nan])
    np.testing.assert_array_equal(found["consumption_kwh"], [70, 9, np.nan])
    assert found["is_estimated"].tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("column", "value"), [("minutes", "0"), ("minutes", "-60"), ("export_kwh", "-1"), ("quality", "guessed")]
)
def test_what_an_optional_column_cannot_hold_is_refused(tmp_path, column, value):
    path = tmp_path / "readings.csv"
    path.write_text(f"client_id,read_at,consumption_kwh,{column}\na,2023-01-01,5,{value}\n")
    with pytest.raises(TableError, match=rf"line 2: {column} is '?{value}"):
        read_readings(path)
