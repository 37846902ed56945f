"""The form of a map: rows of its fields, and lines replaced one by one."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.data.maps import MapError, parse_map
from fairmeter.data.maps.map_form import RowChange, as_toml, form_rows, with_changes

TEXT = """# of March
[clients]
client_id = "Nr"  # 12 of 12 fit

[invoices]
client_id = "Nr"
invoice_on = {column = "Datum", format = "%d.%m.%Y"}
consumption = {sum = ["HT", "NT"]}  # two registers
"""
READINGS = (
    '[[readings]]\nclient_id = "A"\nconsumption_kwh = {column = "V", unit = "Wh"}\n\n[[readings]]\nclient_id = "B"\n'
)


def row_of(text, table, field):
    return next(row for row in form_rows(text) if (row.table, row.field) == (table, field))


def test_each_field_of_a_stated_table_has_a_row():
    rows = form_rows(TEXT)
    assert {row.table for row in rows} == {"clients", "invoices"}
    assert row_of(TEXT, "clients", "client_id")[2:6] == ("Nr", None, None, False)
    assert row_of(TEXT, "invoices", "invoice_on")[2:6] == ("Datum", None, "%d.%m.%Y", False)
    assert row_of(TEXT, "clients", "region").line == ""


def test_what_a_row_cannot_hold_is_shown_as_it_stands_and_stays():
    row = row_of(TEXT, "invoices", "consumption")
    assert (row.column, row.is_fixed, row.line) == ("", True, '{sum = ["HT", "NT"]}')
    assert with_changes(TEXT, [RowChange("invoices", "consumption", "HT")]) == TEXT


def test_rows_that_are_as_they_were_change_nothing():
    changes = [RowChange(r.table, r.field, r.column, r.unit or "", r.format or "") for r in form_rows(TEXT)]
    assert with_changes(TEXT, changes) == TEXT


def test_one_line_changes_and_the_others_stay():
    changed = with_changes(TEXT, [RowChange("invoices", "invoice_on", "Bis", format="%Y-%m-%d")])
    assert changed == TEXT.replace('{column = "Datum", format = "%d.%m.%Y"}', '{column = "Bis", format = "%Y-%m-%d"}')


def test_a_field_is_added_and_removed():
    added = with_changes(TEXT, [RowChange("clients", "region", "Ort")])
    assert '[clients]\nregion = "Ort"\n' in added
    assert with_changes(added, [RowChange("clients", "region", "")]) == TEXT


def test_other_keys_of_a_value_stay():
    text = '[clients]\nclient_id = {column = "A", width = 10}\n'
    assert 'client_id = {column = "B", width = 10}' in with_changes(text, [RowChange("clients", "client_id", "B")])


def test_the_second_of_two_tables_is_changed_by_its_number():
    changed = with_changes(READINGS, [RowChange("readings#2", "consumption_kwh", "W", unit="kW")])
    assert tomllib.loads(changed)["readings"][1] == {"client_id": "B", "consumption_kwh": {"column": "W", "unit": "kW"}}
    assert tomllib.loads(changed)["readings"][0] == tomllib.loads(READINGS)["readings"][0]


def test_a_map_that_is_like_another_gets_a_table_of_its_own():
    text = 'like = "fluvius"\n'
    row = next(row for row in form_rows(text) if row.column)
    changed = with_changes(text, [RowChange(row.table, row.field, "Other", row.unit or "", row.format or "")])
    assert changed.startswith(text)
    assert row_of(changed, row.table, row.field).column == "Other"


def test_a_line_that_cannot_be_replaced_alone_is_refused():
    text = '[clients]\nclient_id = {column = "A", missing = [\n"-",\n"x"]}\n'
    with pytest.raises(MapError):
        with_changes(text, [RowChange("clients", "client_id", "B")])


def test_an_unknown_row_is_ignored():
    assert with_changes(TEXT, [RowChange("users", "password", "x"), RowChange("clients", "nothing", "x")]) == TEXT


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_name_of_a_column_can_be_chosen(name):
    changed = with_changes(TEXT, [RowChange("clients", "region", name)])
    assert tomllib.loads(changed)["clients"]["region"] == name
    assert tomllib.loads(changed)["invoices"] == tomllib.loads(TEXT)["invoices"]


TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
NAMES = st.text("ab .'\"\\", min_size=1)
VALUES = st.recursive(
    TEXTS | st.integers(-99, 99) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
)


@given(VALUES)
def test_values_come_back_from_their_toml(value):
    assert tomllib.loads(f"x = {as_toml(value)}")["x"] == value


def test_the_changed_text_is_still_a_map():
    assert parse_map(with_changes(TEXT, [RowChange("clients", "category", "Klasse")])).of("clients")
