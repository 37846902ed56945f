"""CSV and Parquet files: no cell is a formula, types without values, and files that are complete or not written."""

import csv
import io

import pytest
from pyarrow import parquet

from fairmeter.data.writers import OutputError, cell, csv_lines, write, write_chunks


@pytest.mark.parametrize(
    ("value", "in_csv"),
    [
        ("=1+1", "'=1+1"),
        ("+A1", "'+A1"),
        ("-A1", "'-A1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("'=x", "''=x"),
        ("-12", "-12"),
        ("+21671", "+21671"),
        ("c-17", "c-17"),
        ("17", "17"),
        ("some_client_0", "some_client_0"),
        (0.1234567, "0.123457"),
        (None, None),
        (3, 3),
        (True, "true"),
    ],
)
def test_no_text_in_csv_is_a_formula_and_every_id_comes_back(value, in_csv):
    assert cell(value) == in_csv
    if isinstance(value, str):
        assert in_csv.removeprefix("'") == value


def test_streamed_lines_have_the_same_cells_but_for_booleans():
    rows = list(csv.reader(io.StringIO("".join(csv_lines(["id", "score", "is_random"], [["=1", 0.5, True]])))))
    assert rows == [["id", "score", "is_random"], ["'=1", "0.500000", "True"]]


def test_a_parquet_column_without_values_has_its_type(tmp_path):
    path = tmp_path / "list.parquet"
    write({"client_id": [None], "rank": [None], "score": [None]}, path, {"rank": int, "score": float})
    assert [str(kind) for kind in parquet.read_schema(path).types] == ["string", "int64", "double"]


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_chunks_equal_rows_written_at_once(tmp_path, ending):
    once, chunked = tmp_path / f"once{ending}", tmp_path / f"chunked{ending}"
    write({"client_id": ["a", "b", "c"]}, once)
    write_chunks([{"client_id": ["a"]}, {"client_id": ["b", "c"]}], chunked)
    if ending == ".csv":
        assert chunked.read_bytes() == once.read_bytes()
    else:
        assert parquet.read_table(chunked).equals(parquet.read_table(once))


def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path):
    out = tmp_path / "none" / "list.csv"
    with pytest.raises(OutputError, match=r"list\.csv cannot be written .*; name another file\."):
        write({"client_id": ["a"]}, out)
    assert not list(tmp_path.iterdir())
