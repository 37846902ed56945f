"""Coded columns, names and values of a raw table."""

import io
from datetime import date

import pytest

from fairmeter.data.files import MissingColumns, TableFile
from fairmeter.data.layouts.raw_table import CodedColumn, RawTable, addressable, clean_text

SOURCE = TableFile("a.csv", "folder/a.csv", io.BytesIO)


def test_a_column_holds_each_distinct_value_once_and_keeps_the_rows():
    column = CodedColumn.of(["b", "a", "b", "", "a"])
    assert column.values == ["b", "a", ""]
    assert column.codes.tolist() == [0, 1, 0, 2, 1]
    assert column.codes.dtype.name == "int32"


def test_values_of_different_types_stay_apart():
    assert CodedColumn.of([1, 1.0, True, "1", None, date(2024, 1, 1)]).codes.tolist() == [0, 1, 2, 3, 4, 5]


def test_names_are_found_whatever_their_case_where_that_is_one():
    table = RawTable.of_columns(
        SOURCE, {"Meter": CodedColumn.of("xy"), "kWh": CodedColumn.of("12"), "KWH": CodedColumn.of("34")}
    )
    assert table.column("METER").values == ["x", "y"]
    assert table.column("KWH").values == ["3", "4"]
    assert not table.has("kwh")
    with pytest.raises(MissingColumns, match=r"folder/a\.csv lacks kwh; found \['Meter', 'kWh', 'KWH'\]\."):
        table.column("kwh")


def test_rows_of_a_batch_are_counted_on_where_a_file_has_no_lines():
    table = RawTable.of_columns(SOURCE, {"a": CodedColumn.of("xyz")}, first_row=100)
    assert (table.n_rows, table.line(0), table.line(2)) == (3, 101, 103)


def test_the_second_column_of_a_name_is_numbered():
    assert addressable([" Estado", "\ufeffData", "Estado ", "Estado"]) == ["Estado", "Data", "Estado#2", "Estado#3"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('="540000000000000017"', "540000000000000017"),
        ("'1234567890", "1234567890"),
        ("'A-7'", "A-7"),
        ("\u00a0 12,5\u202f", "12,5"),
        ("\ufeff\ufeffid", "id"),
        ("'s-Hertogenbosch", "'s-Hertogenbosch"),
        ("L'Aquila", "L'Aquila"),
        ("'", ""),
        ("", ""),
        ('="" ', ""),
        ("=1+1", "=1+1"),
    ],
)
def test_what_surrounds_a_value_goes(text, expected):
    assert clean_text(text) == expected
