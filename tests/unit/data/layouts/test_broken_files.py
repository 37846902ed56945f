"""Files that are broken or oddly written: each is read with what was done said, or refused in one sentence."""

import gzip
import io
import json
import zipfile
from collections import Counter
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
import xlsxwriter
from pyarrow import parquet

from fairmeter.data.files import TableError, find_file
from fairmeter.data.layouts import Layout, read_raw
from fairmeter.data.readings import read_readings

HEADER = "client_id,read_at,consumption_kwh\n"
ROWS = "A-1,2024-01-01,1.5\nA-1,2024-01-02,2.5\nA-2,2024-01-01,4\n"
GOOD = HEADER + ROWS
READ = [("A-1", "2024-01-01", 1.5), ("A-1", "2024-01-02", 2.5), ("A-2", "2024-01-01", 4.0)]


def with_delimiter(delimiter, text=GOOD):
    return text.replace(",", delimiter)


def workbook(*rows, sheets=("Sheet1",), write=None, **options):
    """The bytes of an XLSX; `write` does what rows of values cannot. [rows: of the first sheet]"""
    stream = io.BytesIO()
    book = xlsxwriter.Workbook(stream, {"default_date_format": "yyyy-mm-dd", **options})
    places = [book.add_worksheet(name) for name in sheets]
    for i, row in enumerate(rows):
        places[0].write_row(i, 0, row)
    if write:
        write(places)
    book.close()
    return stream.getvalue()


def open_document(*rows):
    """The bytes of an ODS. [rows: texts, dates and numbers]"""

    def cell(value):
        if isinstance(value, str):
            return f'<table:table-cell office:value-type="string"><text:p>{value}</text:p></table:table-cell>'
        if isinstance(value, date):
            return f'<table:table-cell office:value-type="date" office:date-value="{value}"/>'
        return f'<table:table-cell office:value-type="float" office:value="{value}"/>'

    names = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    lines = "".join(f"<table:table-row>{''.join(map(cell, row))}</table:table-row>" for row in rows)
    sheet = f'<table:table table:name="Sheet1">{lines}</table:table>'
    content = f"<office:body><office:spreadsheet>{sheet}</office:spreadsheet></office:body>"
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    listed = f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
    space = 'xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"'
    return zipped(
        **{
            "mimetype": kind,
            "content__xml": f"<office:document-content {names}>{content}</office:document-content>",
            "META-INF/manifest__xml": f"<manifest:manifest {space}>{listed}</manifest:manifest>",
        }
    )


def as_parquet():
    stream = io.BytesIO()
    parquet.write_table(pa.table({"client_id": ["A-1"], "read_at": ["2024-01-01"], "consumption_kwh": [1.0]}), stream)
    return stream.getvalue()


def zipped(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return stream.getvalue()


def records(**changes):
    names = HEADER.strip().split(",")
    return [dict(zip(names, row, strict=True)) | changes for row in READ]


TITLES = HEADER.strip().split(",")
TYPED = [["A-1", date(2024, 1, 1), 1.5], ["A-1", date(2024, 1, 2), 2.5], ["A-2", date(2024, 1, 1), 4]]
HTML = "<html><table><tr><td>client_id</td></tr></table></html>"
CUT = gzip.compress(GOOD.encode() * 100, mtime=0)[:60]

# (name, file name, content, what is said of it)
READ_ALIKE = [
    ("semicolons", "readings.csv", with_delimiter(";"), {}),
    ("tabs", "readings.tsv", with_delimiter("\t"), {}),
    ("tabs in a .txt", "readings.txt", with_delimiter("\t"), {}),
    ("bars", "readings.csv", with_delimiter("|"), {}),
    ("blanks", "readings.txt", with_delimiter(" "), {}),
    ("several blanks", "readings.txt", with_delimiter("   "), {}),
    ("tabs, though named .xls", "readings.xls", with_delimiter("\t"), {}),
    ("a mark", "readings.csv", "\ufeff" + GOOD, {}),
    ("two marks", "readings.csv", "\ufeff\ufeff" + GOOD, {}),
    ("UTF-16 with a mark", "readings.csv", GOOD.encode("utf-16"), {"read as utf-16": 1}),
    ("UTF-16 without a mark", "readings.csv", GOOD.encode("utf-16-le"), {"read as utf-16-le": 1}),
    ("UTF-16, big end first", "readings.csv", GOOD.encode("utf-16-be"), {"read as utf-16-be": 1}),
    ("UTF-32", "readings.csv", GOOD.encode("utf-32"), {"read as utf-32": 1}),
    ("latin-1 above", "readings.csv", f"Relevé d'été\n{GOOD}".encode("latin-1"), {"read as latin-1": 1}),
    ("cp1252 above", "readings.csv", f"Preis in €: été\n{GOOD}".encode("cp1252"), {"read as cp1252": 1}),
    ("cp1256 above", "readings.csv", f"قراءات العدادات\n{GOOD}".encode("cp1256"), {"read as cp1256": 1}),
    ("CR LF", "readings.csv", GOOD.replace("\n", "\r\n"), {}),
    ("CR alone", "readings.csv", GOOD.replace("\n", "\r"), {}),
    ("no end of the last line", "readings.csv", GOOD.rstrip(), {}),
    ("lines above", "readings.csv", f"Meter data\nfrom,2024\n\n{GOOD}", {}),
    ("capitals in names", "readings.csv", GOOD.replace("client_id", "Client_ID"), {}),
    ("blanks around names", "readings.csv", GOOD.replace("read_at", " read_at \u00a0"), {}),
    ("quotes around everything", "readings.csv", '"' + GOOD[:-1].replace(",", '","').replace("\n", '"\n"') + '"\n', {}),
    ("formulas of texts", "readings.csv", GOOD.replace("A-1", '="A-1"'), {}),
    ("' before ids", "readings.csv", GOOD.replace("A-", "'A-"), {}),
    ("no-break spaces", "readings.csv", GOOD.replace("A-1", "\u00a0A-1\u202f"), {}),
    ("header twice", "readings.csv", GOOD.replace("A-2", f"{HEADER}A-2"), {"repeated headers": 1}),
    ("mark in the middle", "readings.csv", GOOD.replace("A-2", f"\ufeff{HEADER}A-2"), {"repeated headers": 1}),
    ("empty lines", "readings.csv", GOOD.replace("A-2", "\n\nA-2") + "\n", {"empty lines": 3}),
    ("lines of delimiters", "readings.csv", GOOD + ",,\n,,\n", {"empty lines": 2}),
    ("lines of blanks", "readings.csv", GOOD.replace("A-2", "   \nA-2"), {"empty lines": 1}),
    ("a total", "readings.csv", GOOD + "TOTAL,8\n", {"footers": 1}),
    ("a total of full width", "readings.csv", GOOD + "Total,,8\n", {"footers": 1}),
    ("a note", "readings.csv", GOOD + "\nPrinted on 2024-02-01\n", {"footers": 1, "empty lines": 1}),
    ("a note of full width", "readings.csv", GOOD + "Printed,,\n", {"footers": 1}),
    ("more values than names", "readings.csv", HEADER + ROWS.replace("\n", ",,,\n"), {}),
    ("a delimiter at the header's end", "readings.csv", HEADER.replace("\n", ",\n") + ROWS, {}),
    (
        "a column twice, not wanted",
        "readings.csv",
        "x,x,client_id,read_at,consumption_kwh\n" + "1,2," + ROWS.replace("\n", "\n1,2,")[:-4],
        {},
    ),
    ("gzip", "readings.csv.gz", gzip.compress(GOOD.encode(), mtime=0), {}),
    ("zip in a folder", "readings.zip", zipped(**{"2024/readings__csv": GOOD}), {}),
    ("XLSX", "readings.xlsx", workbook(TITLES, *TYPED), {}),
    ("XLSX named .csv", "readings.csv", workbook(TITLES, *TYPED), {}),
    ("ODS", "readings.ods", open_document(TITLES, *TYPED), {}),
    ("XLS", "readings.xls", Path(__file__).with_name("readings.xls").read_bytes(), {}),  # as Excel 97 wrote it
    ("XLSB", "readings.xlsb", Path(__file__).with_name("readings.xlsb").read_bytes(), {}),  # as pyxlsbwriter writes it
    ("XLSX named .xls", "readings.xls", workbook(TITLES, *TYPED), {}),
    ("XLSX with texts", "readings.xlsx", workbook(TITLES, *READ), {}),
    (
        "XLSX with moments",
        "readings.xlsx",
        workbook(TITLES, *([a, datetime(b.year, b.month, b.day), c] for a, b, c in TYPED)),
        {},
    ),
    ("XLSX with a title", "readings.xlsx", workbook(["Meters 2024"], [], TITLES, *TYPED), {}),
    (
        "XLSX with a merged title",
        "readings.xlsx",
        workbook([], TITLES, *TYPED, write=lambda places: places[0].merge_range("A1:C1", "Meters 2024")),
        {},
    ),
    (
        "XLSX with a merged id",
        "readings.xlsx",
        workbook(TITLES, *TYPED, write=lambda places: places[0].merge_range("A2:A3", "A-1")),
        {"merged cells, filled with their value": 1},
    ),
    ("XLSX, empty columns first", "readings.xlsx", workbook(["", *TITLES], *(["", *row] for row in TYPED)), {}),
    ("XLSX with a total", "readings.xlsx", workbook(TITLES, *TYPED, ["Total", "", 8]), {"footers": 1}),
    (
        "XLSX with two sheets",
        "readings.xlsx",
        workbook(TITLES, *TYPED, sheets=("a", "b")),
        {"other sheets, not read": 1},
    ),
    ("JSON", "readings.json", json.dumps(records()), {}),
    ("JSON in lines", "readings.json", json.dumps(records(), indent=1), {}),
    ("JSON with one list", "readings.json", json.dumps({"n": 3, "items": records()}), {}),
    ("NDJSON", "readings.ndjson", "\n".join(map(json.dumps, records())), {}),
    ("JSON named .txt", "readings.txt", json.dumps(records()), {}),
]

# (name, file name, content, words of the sentence)
REFUSED = [
    ("nothing", "readings.csv", "", "is empty"),
    ("blanks alone", "readings.csv", " \n\n", "is empty"),
    ("a header alone", "readings.csv", HEADER, "no rows"),
    ("other names", "readings.csv", "a,b,c\n1,2,3\n", "lacks client_id"),
    ("a short row", "readings.csv", HEADER + "A-1,2024-01-01\n" + ROWS, "line 2 has 2 values where the header has 3"),
    ("cut off at its end", "readings.csv", GOOD + "A-2,2024-0", "line 5 has 2 values"),
    ("a decimal comma", "readings.csv", HEADER + ROWS.replace("2.5", "2,5"), "line 3 has 4 values"),
    ("a quote that is not closed", "readings.csv", HEADER + '"A-1,2024-01-01,1.5\n' + ROWS, "line 2 opens a quote"),
    ("NUL bytes", "readings.csv", GOOD.replace("2.5", "2\0.5"), "line 3 has NUL bytes"),
    ("NUL bytes at its end", "readings.csv", GOOD + "\0" * 100, "line 5 has NUL bytes"),
    (
        "UTF-8 but for one place",
        "readings.csv",
        ("éàü\n" * 9 + GOOD).encode().replace(b"A-2", b"A\xe9-2"),
        "line 13 is not UTF-8",
    ),
    ("a line of five million letters", "readings.csv", GOOD + "x" * 5_000_000, "longer than"),
    ("30,000 columns", "readings.csv", ",".join(f"c{i}" for i in range(30_000)) + "\n", "30,000 columns"),
    ("a name twice", "readings.csv", with_delimiter(",", GOOD).replace("read_at", "client_id"), "lacks read_at"),
    (
        "a wanted name twice",
        "readings.csv",
        "client_id," + HEADER + "A-1," + ROWS.replace("\n", "\nA-1,")[:-4],
        "client_id more than once",
    ),
    (
        "a date that is none",
        "readings.csv",
        GOOD.replace("2024-01-02", "2024-13-02"),
        "line 3: read_at is '2024-13-02'",
    ),
    ("an id in scientific notation", "readings.csv", GOOD.replace("A-2", "1.2E+11"), "line 4: client_id is '1.2E+11'"),
    ("an id with a comma, scientific", "readings.csv", with_delimiter(";").replace("A-2", "1,2E+11"), "'1,2E+11'"),
    ("an id with decimals", "readings.csv", GOOD.replace("A-2", "123.0"), "line 4: client_id is '123.0'"),
    (
        "an id of too many digits",
        "readings.xlsx",
        workbook(TITLES, [541448820000000017, *TYPED[0][1:]]),
        "row 2: client_id is",
    ),
    ("an id that is empty", "readings.csv", GOOD.replace("A-2", ""), "line 4: client_id is ''"),
    ("half a gzip", "readings.csv.gz", CUT, "cannot be read"),
    ("a gzip named .csv", "readings.csv", gzip.compress(GOOD.encode(), mtime=0), "content of a .gz file"),
    ("Parquet named .csv", "readings.csv", as_parquet(), "content of a .parquet file"),
    ("text named .parquet", "readings.parquet", GOOD, "cannot be read"),
    ("text named .xlsx", "readings.xlsx", GOOD, "is no spreadsheet"),
    ("half an XLSX", "readings.xlsx", workbook(TITLES, *TYPED)[:2000], "cannot be read"),
    ("a zip named .xlsx", "readings.xlsx", zipped(readings__csv=GOOD), "cannot be read"),
    ("a web page named .xls", "readings.xls", HTML, "is a web page"),
    ("XML", "readings.txt", "<?xml version='1.0'?><a/>", "is XML"),
    ("a PDF named .csv", "readings.csv", "%PDF-1.7\n", "is a PDF"),
    (
        "a password",
        "readings.xlsx",
        b"\xd0\xcf\x11\xe0" + bytes(600) + "EncryptedPackage".encode("utf-16-le"),
        "protected by a password",
    ),
    ("a damaged .xls", "readings.xls", b"\xd0\xcf\x11\xe0" + bytes(600), "cannot be read"),
    ("an empty XLSX", "readings.xlsx", workbook(), "is empty"),
    ("XLSX with a header alone", "readings.xlsx", workbook(TITLES), "no rows"),
    (
        "XLSX with text for a number",
        "readings.xlsx",
        workbook(TITLES, ["A-1", date(2024, 1, 1), "none"]),
        "row 2: consumption_kwh is 'none'",
    ),
    ("a zip in a zip", "readings.zip", zipped(readings__zip=zipped(readings__csv=GOOD)), "readings.zip"),
    ("an empty list", "readings.json", "[]", "no objects"),
    ("JSON that is cut off", "readings.json", json.dumps(records())[:-5], "is not JSON"),
    ("a line of NDJSON that is cut off", "readings.ndjson", "\n".join(map(json.dumps, records()))[:-5], "object 3"),
    ("JSON with two lists", "readings.json", json.dumps({"a": [], "b": []}), 'records = "data.items"'),
    ("a list of numbers", "readings.json", "[1, 2]", "object 1 is '1'"),
    ("JSON nested deeply", "readings.json", "[" * 100_000, "nested too deeply"),
]


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content", "notes"), [case[1:] for case in READ_ALIKE], ids=[c[0] for c in READ_ALIKE]
)
def test_a_file_written_oddly_is_read_like_a_plain_one(tmp_path, name, content, notes):
    path = written(tmp_path, name, content)
    tables = read_readings(path)
    ids = tables.client_ids[tables.readings["client"]]
    at = tables.readings["read_at"].astype("datetime64[D]").astype(str)
    assert list(zip(ids, at.tolist(), tables.readings["consumption_kwh"].tolist(), strict=True)) == READ
    parts = read_raw(find_file("reading", (path,)), Layout(expected=frozenset(TITLES)))
    said = sum((part.notes for part in parts), start=Counter())
    assert {key: n for key, n in said.items() if key in notes or key not in LESSER} == notes


LESSER = {"rows with more values than names", "empty lines"}  # counted as well in some of the files above


@pytest.mark.parametrize(("name", "content", "words"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED])
def test_a_broken_file_is_refused_in_one_sentence(tmp_path, name, content, words):
    path = written(tmp_path, name, content)
    with pytest.raises(TableError) as caught:
        read_readings(path)
    text = str(caught.value)
    assert words in text
    assert "\n" not in text
    assert text.endswith(".")
    assert len(text) < 2_000


FAR_CELLS = [(2**20 - 1, 2**14 - 1), (2**20 - 1, 99), (700, 2**14 - 1)]


@pytest.mark.parametrize(("row", "column"), FAR_CELLS)
def test_a_cell_far_away_is_refused_before_memory_is_taken_for_all_between(tmp_path, row, column):
    """The library would ask for up to half a terabyte, and end the process."""
    content = workbook(["client_id"], ["A-1"], write=lambda sheets: sheets[0].write(row, column, 1))
    path = written(tmp_path, "readings.xlsx", content)
    with pytest.raises(TableError, match=rf"{row + 1:,} rows and {column + 1:,} columns"):
        read_readings(path)


def test_a_panic_of_the_library_is_a_damaged_file(tmp_path, monkeypatch):
    class PanicException(BaseException):
        """As pyo3's."""

    def panic(*_, **__):
        raise PanicException

    monkeypatch.setattr("python_calamine.load_workbook", panic)
    path = written(tmp_path, "readings.xlsx", workbook(["client_id"], ["A-1"]))
    with pytest.raises(TableError, match="damaged spreadsheet"):
        read_readings(path)
