"""Text files parsed by Arrow, row by row where it cannot, in batches and at once: always the same values."""

import io
import time
import tracemalloc
from collections import Counter

import pytest

from fairmeter.data.files import DamagedFile, MissingColumns, MissingFile, TableFile, find_file, find_files
from fairmeter.data.layouts import Layout, open_file, read_raw, text_blocks, text_tables
from tests.unit.data.layouts.test_broken_files import TITLES, TYPED, workbook

NAMES = frozenset({"meter", "at", "kwh"})


def a_file(text, encoding="utf-8", name="a.csv"):
    content = text if isinstance(text, bytes) else text.encode(encoding)
    return TableFile(name, f"here/{name}", lambda: io.BufferedReader(io.BytesIO(content)), len(content), f"here/{name}")


def values_of(table, name):
    column = table.column(name)
    return [column.values[code] for code in column.codes]


def rows_of(source, layout=Layout(expected=NAMES), wanted=None):  # noqa: B008, an immutable one
    """(rows of all batches, notes, batches)."""
    batches = list(read_raw(source, layout, wanted))
    names = wanted or (batches[0].header if batches else [])
    rows = [row for part in batches for row in zip(*(values_of(part, name) for name in names), strict=True)]
    return rows, sum((part.notes for part in batches), Counter()), batches


def lines(n, delimiter=";"):
    return [delimiter.join((f"m-{i % 7}", f"2024-01-01 {i:05d}", f"{i},5")) for i in range(n)]


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(text_tables, "BLOCK_BYTES", 2_000)
    monkeypatch.setattr(text_blocks, "BLOCK_BYTES", 2_000)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    ("spoil", "notes"),
    [
        (lambda rows: rows, {}),
        (lambda rows: [*rows, "TOTAL;7"], {"footers": 1}),
        (lambda rows: [*rows[:900], "meter;at;kwh", *rows[900:]], {"repeated headers": 1}),
        (lambda rows: [*rows[:900], "", *rows[900:], ""], {"empty lines": 2}),
        (lambda rows: [*rows[:900], ";;", *rows[900:]], {"empty lines": 1}),
        (lambda rows: [*rows[:900], rows[900] + ";;;", *rows[901:]], {"rows with more values than names": 1}),
        (lambda rows: [*rows[:900], '"m-4";2024-01-01 00900;"900,5"', *rows[901:]], {}),
    ],
    ids=["plain", "footer", "header again", "empty lines", "delimiters alone", "longer row", "quotes"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
def test_what_is_odd_far_down_changes_no_value(spoil, notes, encoding):
    rows = lines(1_500)
    text = "\n".join(["Zähler;2024", "", "meter;at;kwh", *spoil(rows)]) + "\n"
    expected = [tuple(row.split(";")) for row in rows]
    found, said, batches = rows_of(a_file(text, encoding))
    assert found == expected
    assert len(batches) > 1
    assert {name: n for name, n in said.items() if not name.startswith("read as")} == notes
    assert [part.first_row for part in batches[1:]] == [part.first_row + part.n_rows for part in batches[:-1]]
    assert {part.above for part in batches} == {"Zähler;2024"}
    whole = open_file(a_file(text, encoding), Layout(expected=NAMES)).table(None, ())
    assert list(zip(*(values_of(whole, name) for name in whole.header), strict=True)) == expected
    assert whole.notes == said


@pytest.mark.usefixtures("small_blocks")
def test_an_accent_below_the_first_megabyte_is_read_in_its_encoding(monkeypatch):
    from fairmeter.data.layouts import encodings

    monkeypatch.setattr(encodings, "SAMPLE_BYTES", 3_000)
    text = "\n".join(["meter;at;kwh", *lines(500), "é-1;x;1"]) + "\n"
    found, said, _ = rows_of(a_file(text, "latin-1"))
    assert len(found) == 501
    assert found[-1] == ("é-1", "x", "1")
    assert said == {"read as latin-1": 1}


@pytest.mark.usefixtures("small_blocks")
def test_a_row_is_located_by_its_line_whatever_was_left_out():
    rows = lines(1_000)
    text = "\n".join(["about", "", "meter;at;kwh", rows[0], "", *rows[1:500], "meter;at;kwh", *rows[500:]])
    batches = rows_of(a_file(text))[2]
    numbered = text.split("\n")
    for part in batches:
        at = part.line(part.n_rows - 1)
        assert numbered[at - 1] == rows[part.first_row + part.n_rows - 1]


def test_each_part_of_a_report_has_the_lines_above_its_own_header():
    part = '"For location: {}"\n"Quality"\nmeter,at,kwh\n{},1,2\n{},2,3\n'
    text = part.format("1 Main St", "a", "a") + "\n" + part.format("2 Main St", "b", "b")
    _, said, batches = rows_of(a_file(text))
    assert [(table.above.split("\n")[0].strip('"'), values_of(table, "meter")) for table in batches] == [
        ("For location: 1 Main St", ["a", "a"]),
        ("For location: 2 Main St", ["b", "b"]),
    ]
    assert said["repeated headers"] == 1


def test_the_header_is_the_line_with_most_of_the_names():
    text = "meter,12341234\nx,y\n\nmeter,at,kwh\n1,2,3\n"
    rows, _, [table] = rows_of(a_file(text))
    assert rows == [("1", "2", "3")]
    assert table.above == "meter,12341234\nx,y"


def test_what_is_stated_is_not_searched():
    text = "meter;at,kwh\nmeter;1,2\n7;8,9\n"
    rows, _, [table] = rows_of(a_file(text), Layout(delimiter=";", skip_rows=1, expected=NAMES))
    assert table.header == ["meter", "1,2"]
    assert rows == [("7", "8,9")]


@pytest.mark.parametrize("delimiter", [None, " "])
def test_a_file_without_a_header_has_stated_names(delimiter):
    text = "1392 19503 0.14\n1392 19504  0.5\n"
    rows, _, _ = rows_of(a_file(text, name="File1.txt"), Layout(delimiter=delimiter, names=("meter", "code", "kwh")))
    assert rows == [("1392", "19503", "0.14"), ("1392", "19504", "0.5")]


def test_a_stated_encoding_is_taken():
    text = "日付,kwh\n2024/01/01,3\n"
    rows, said, _ = rows_of(a_file(text, "cp932"), Layout(encoding="cp932", expected=frozenset({"日付"})), ["日付"])
    assert rows == [("2024/01/01",)]
    assert said == {"read as cp932": 1}


@pytest.mark.parametrize("encoding", ["nonsense", "base64", "rot13"])
def test_an_encoding_that_is_none_is_refused(encoding):
    with pytest.raises(DamagedFile, match=f"there is no encoding '{encoding}'"):
        rows_of(a_file("a,b\n1,2\n"), Layout(encoding=encoding))


def test_a_wrong_encoding_is_refused():
    with pytest.raises(DamagedFile, match="is not text in the encoding"):
        rows_of(a_file("é,b\n1,2\n", "latin-1"), Layout(encoding="utf-8"))


def test_a_column_without_a_name_and_a_second_one_of_a_name_are_found():
    text = '"";MT_001;Estado;Estado\n2011-01-01;0;a;b\n'
    rows, _, _ = rows_of(a_file(text), Layout(), ["", "Estado#2", "MT_001"])
    assert rows == [("2011-01-01", "b", "0")]


def test_columns_that_are_not_wanted_are_not_kept():
    [table] = read_raw(a_file("meter,at,kwh\n1,2,3\n"), Layout(expected=NAMES), ["kwh"])
    assert table.column("kwh").values == ["3"]
    with pytest.raises(MissingColumns):
        table.column("meter")


def test_a_sheet_is_found_by_its_name():
    def second(places):
        places[1].write_row(0, 0, ["meter", "kwh"])
        places[1].write_row(1, 0, ["0017", 2.5])

    source = a_file(workbook(TITLES, *TYPED, sheets=("a", "b"), write=second), name="a.xlsx")
    assert rows_of(source, Layout(sheet="b"))[0] == [("0017", 2.5)]
    with pytest.raises(MissingFile, match="no sheet 'c'; it has a, b"):
        rows_of(source, Layout(sheet="c"))


def test_records_are_found_by_their_path():
    text = '{"data": {"n": 1, "items": [{"meter": 7, "at": {"from": "x"}}, {"meter": 8, "kwh": null}]}}'
    rows, _, [table] = rows_of(a_file(text, name="a.json"), Layout(records="data.items"))
    assert table.header == ["meter", "at.from", "kwh"]
    assert rows == [(7, "x", None), (8, None, None)]
    with pytest.raises(MissingColumns, match=r"no 'rows' of records = 'data\.rows'; found n, items"):
        rows_of(a_file(text, name="a.json"), Layout(records="data.rows"))


def test_files_in_folders_of_a_folder_are_found_with_their_paths(tmp_path):
    for place in ("a.csv", "PT1/courbe.csv", "PT2/courbe.txt", "PT2/deeper/no.csv", "README.txt"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("x\n1\n")
    found = [source.path_text.partition("/")[2] for source in find_files(None, (tmp_path,), is_deep=True)]
    assert found == ["a.csv", "PT1/courbe.csv", "PT2/courbe.txt"]


def test_many_batches_need_no_more_memory_than_one(tmp_path):
    path = tmp_path / "readings.csv"
    with path.open("w") as file:
        file.write("meter;at;kwh\n")
        file.writelines(f"{line}\n" for line in lines(200_000))
        file.write("TOTAL\n")
    tracemalloc.start()
    n_rows = sum(part.n_rows for part in read_raw(find_file("reading", (path,)), Layout(expected=NAMES)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_rows == 200_000
    assert peak < 4 * path.stat().st_size


@pytest.mark.usefixtures("small_blocks")
def test_a_reader_that_is_left_early_reads_nothing_afterwards():
    class Counting(io.BytesIO):
        n_reads = 0

        def read(self, size=-1):
            Counting.n_reads += 1
            time.sleep(0.001)
            return super().read(min(size, 2_000))

    content = "\n".join(["meter;at;kwh", *lines(20_000)]).encode()
    source = TableFile("a.csv", "here/a.csv", lambda: Counting(content), len(content), "here/a.csv")
    batches = read_raw(source, Layout(expected=NAMES))
    assert next(batches).n_rows
    batches.close()
    n_reads = Counting.n_reads
    time.sleep(0.05)
    assert Counting.n_reads == n_reads < len(content) / 2_000
