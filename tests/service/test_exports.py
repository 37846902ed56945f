"""Lists as XLSX and PDF, and what draws them: texts stay texts, every letter is on paper, the worker stays small."""

import errno
import json
import re
import subprocess
import sys
from contextlib import closing
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree
from zipfile import ZipFile

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from fairmeter.scoring.problems import Problem
from fairmeter.store import Store, StoreUnavailable
from fairmeter.web.desk_api import schemas
from fairmeter.web.exports import files, process
from fairmeter.web.exports.pdf import PdfDocument
from fairmeter.web.exports.pdf_crew_sheet import crew_sheet, round_up, runs
from fairmeter.web.exports.pdf_table import fit_widths, pdf_table
from fairmeter.web.exports.text_shaping import displayable, join_arabic, single_line, visual_order
from tests.builders.examples import fewer
from tests.builders.pages import FORMULA, HOSTILE, N_CLIENTS, filled, inspected, open_desk
from tests.builders.service import error_in

ROOT = Path(__file__).resolve().parents[2]
CELL = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
PERSON = "Amélie Œuvré, Łódź"
ARABIC = "\u0645\u062d\u0645\u062f"  # Muhammad: meem, hah, meem, dal
SHAPED = "\ufee3\ufea4\ufee4\ufeaa"  # initial, medial, medial, final


@pytest.fixture(scope="module")
def store(templates, tmp_path_factory):
    with templates.copied("sqlite", tmp_path_factory.mktemp("papers")) as url, closing(Store(url)) as store:
        filled(store)
        inspected(store, "c-050", "confirmed", note=f"=HYPERLINK(1) {PERSON}")
        store.open_case("c-060", "anna", "On the list.")
        yield store


@pytest.fixture(scope="module")
def desk(store):
    return open_desk(store)


def book_of(answer):
    """The cells of an XLSX file: (kind, text), and what else is in it."""
    assert (answer.status_code, answer.mimetype) == (200, files.XLSX), answer.text
    with ZipFile(BytesIO(answer.data)) as archive:
        sheet = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))  # noqa: S314  made here
        names = archive.namelist()
    rows = [[(cell.get("t"), "".join(cell.itertext())) for cell in row] for row in sheet.iter(f"{CELL}row")]
    assert not list(sheet.iter(f"{CELL}f"))
    assert not list(sheet.iter(f"{CELL}hyperlink"))
    return rows, names


def pages_of(data):
    """How many pages a PDF has."""
    return len(re.findall(rb"/Type /Page\b(?!s)", data))


# --- XLSX -------------------------------------------------------------------------------------------------------------


def test_a_spreadsheet_holds_every_row_and_every_id_as_text(desk):
    rows, names = book_of(desk.get("/clients?format=xlsx&limit=1&sort=id"))
    header, *found = rows
    assert [text for _, text in header] == list(schemas.ClientRow.model_fields)
    ids = {row[0] for row in found}
    assert len(found) == len(ids) == N_CLIENTS
    assert {("inlineStr", FORMULA), ("inlineStr", HOSTILE), ("inlineStr", "c-001")} <= ids
    assert all(kind is None or kind == "n" for row in found for kind, _ in row[1:2])  # scores are numbers
    assert not [name for name in names if "externalLink" in name or "vba" in name.lower()]


@pytest.mark.parametrize("path", ["/clients", "/alerts", "/cases", "/list"])
@pytest.mark.parametrize("kind", ["xlsx", "pdf", "csv"])
def test_every_list_comes_as_every_kind_of_file_and_is_documented(desk, path, kind):
    answer = desk.get(f"{path}?format={kind}&severity=critical")
    assert answer.status_code == 200, answer.text
    content = desk.get("/openapi.json").json["paths"][path]["get"]["responses"]["200"]["content"]
    assert {answer.mimetype, "application/json"} <= set(content)
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{path[1:]}.{kind}"'
    assert answer.data[:4] == {"xlsx": b"PK\x03\x04", "pdf": b"%PDF"}.get(kind, answer.data[:4])


def test_a_spreadsheet_has_the_rows_of_the_api(desk):
    rows, _ = book_of(desk.get("/list?visits=7&random_share=0&format=xlsx"))
    asked = desk.get("/list?visits=7&random_share=0").json["rows"]
    assert [row[1][1] for row in rows[1:]] == [row["client_id"] for row in asked]
    assert [float(row[2][1]) for row in rows[1:]] == pytest.approx([row["probability"] for row in asked])


@fewer(5, suppress_health_check=[HealthCheck.too_slow])  # an example is a PDF
@given(st.lists(st.text(), min_size=1, max_size=8))
def test_any_text_comes_back_from_a_spreadsheet_as_text(texts):
    from fairmeter.web.exports.xlsx import write_book

    out = BytesIO()
    write_book({"columns": ["a"]}, [[text] for text in texts], out)
    with ZipFile(out) as archive:
        sheet = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))  # noqa: S314  made here
    assert not list(sheet.iter(f"{CELL}f"))
    assert {cell.get("t") for cell in sheet.iter(f"{CELL}c")} <= {"inlineStr", None}


def test_a_bad_filter_is_said_before_anything_is_made(desk):
    assert error_in(desk.get("/clients?format=xlsx&after=zz"), 422)["fields"][0]["path"] == "after"
    assert error_in(desk.get("/clients?format=docx"), 422)["fields"][0]["path"] == "format"


# --- PDF --------------------------------------------------------------------------------------------------------------


def told_table(**changed):
    told = {"title": "A list", "notes": [], "columns": ["Client", "Score"], "is_number": [False, True]}
    return told | {"foot": "of the tests", "page": "Page {n} of {all}", "empty": "Nothing."} | changed


def test_a_printed_list_repeats_its_header_and_numbers_its_pages(monkeypatch):
    put = []
    monkeypatch.setattr(PdfDocument, "_place", lambda self, _x, _y, line, *_: put.append((self.page_no(), line)))
    made = pdf_table(told_table(), [[f"c-{n}", "50 %"] for n in range(150)])
    assert pages_of(made) == 5
    assert b"/MediaBox [0 0 841.89 595.28]" in made
    assert [page for page, line in put if line == "Client"] == [1, 2, 3, 4, 5]
    assert [line for _, line in put if line.startswith("c-")] == [f"c-{n}" for n in range(150)]
    assert [line for _, line in put if line.startswith("Page")] == [f"Page {n} of {{nb}}" for n in range(1, 6)]


def test_no_more_is_printed_than_somebody_carries_and_the_paper_says_so(desk, monkeypatch):
    sent = []
    monkeypatch.setattr(files, "MAX_PRINTED", 5)
    monkeypatch.setattr(files, "file_response", lambda told, rows, *_: sent.append((told, list(rows))) or "")
    desk.get("/clients?format=pdf&sort=id")
    desk.get("/clients?format=pdf&sort=id&id_prefix=c-01&least_score=0.87")
    (cut, first), (whole, second) = sent
    assert len(first) == 5
    assert "The first 5 rows; CSV and XLSX have all of them." in cut["notes"]
    assert whole["notes"] == ["Sorted by: id; Ids that begin with: c-01; Score from: 0.87"]
    assert [row[0] for row in second] == ["c-010", "c-011"]
    assert second[0][1:4] == ["Critical", "88\u202f%", "810\u202fkWh"]


def test_columns_share_a_page_and_the_widest_gives_way():
    assert fit_widths([10, 20, 200], 100) == [10, 20, 70]
    assert fit_widths([10, 20, 30], 100) == [10, 20, 30]
    assert fit_widths([80, 80], 100) == [50, 50]
    assert fit_widths([], 100) == []


@pytest.mark.parametrize(
    "text",
    [
        PERSON,
        ARABIC,
        "\u0428\u0430\u043b\u0430\u043f\u0430\u0439",
        "\u4e2d\u6587",
        "a\0b\r\n\tc",
        "\U0001f600",
        "x" * 5000,
        "",
    ],
)
def test_no_text_stops_a_paper(text):
    assert pages_of(pdf_table(told_table(title=text, notes=[text]), [[text, "1"]])) == 1
    assert pages_of(crew_sheet(told_sheet(client=text))) == 1


def told_sheet(**changed):
    part = {"title": "Why", "items": []}
    found = {"title": "Found", "outcomes": ["Confirmed", "Cleared"], "blanks": ["Index", "Seal"], "notes": "Notes"}
    told = {"kind": "sheet", "title": "Visit", "client": "c-1", "printed": "today", "severity": "High", "about": ""}
    told |= {"facts": [], "stakes": [], "chart": None, "reasons": part, "harmless": part, "checks": part}
    return told | {"found": found, "foot": ""} | changed


def a_chart(values, **changed):
    told = {"title": "Consumption", "values": values, "low": None, "high": None, "labels": [(0, "2014")]}
    return told | {"onset": None, "levels": [None, None], "onset_text": "onset"} | changed


@pytest.mark.parametrize(
    "chart",
    [
        a_chart([1.0]), a_chart([None, None]), a_chart([0.0, 0.0, 0.0]), a_chart([5.0, None, 7.0, 1e7], onset=3),
        a_chart([1.0] * 40, low=[0.5] * 20 + [None] * 20, high=[2.0] * 20 + [None] * 20, onset=39, levels=[1.0, 1.0]),
    ],
)  # fmt: skip
def test_a_sheet_draws_whatever_is_known_of_a_consumption(chart):
    assert pages_of(crew_sheet(told_sheet(chart=chart))) == 1


def test_a_sheet_is_one_page_however_much_there_is_to_say():
    much = "Electricity fell 62 % after March 2014, from 412 to 156 kWh a month. " * 20
    parts = {
        "reasons": {"title": "Why", "items": [["+21 %", much]] * 6},
        "harmless": {"title": "Harmless", "items": [much] * 7},
        "checks": {"title": "Look at", "items": [much] * 7},
    }
    told = told_sheet(**parts, chart=a_chart([1.0] * 60), facts=[["Place", much]] * 8, stakes=[["Score", "9 %"]] * 6)
    from fairmeter.web.exports.pdf_crew_sheet import FITS, CrewSheet

    assert CrewSheet(told, *FITS[0]).drawn() < 0  # in large letters it would not fit
    assert CrewSheet(told, *FITS[-1]).drawn() >= 0
    assert pages_of(crew_sheet(told)) == 1


def test_an_axis_ends_at_a_round_number_and_gaps_part_a_line():
    assert [round_up(value) for value in (0.05, 1, 150, 399, 401, 9000)] == [0.1, 1, 200, 400, 800, 10000]
    assert runs([None, 1.0, 2.0, None, 3.0]) == [(1, 3), (4, 5)]
    assert runs([]) == []


# --- letters ----------------------------------------------------------------------------------------------------------


def everything(_character):
    return True


def latin(character):
    return ord(character) < 256


def test_arabic_letters_are_joined_and_stand_from_right_to_left():
    assert join_arabic(ARABIC, everything) == SHAPED
    assert visual_order(SHAPED) == SHAPED[::-1]
    assert visual_order(f"c-1 {SHAPED}") == f"c-1 {SHAPED[::-1]}"
    assert join_arabic("\u0644\u0627", everything) == "\ufefb"  # lam and alef are one
    assert join_arabic("\u062f\u0627\u0631", everything) == "\ufea9\ufe8d\ufead"  # none of these joins the next
    assert join_arabic("\u0628\u064e\u0628", everything) == "\ufe91\u064e\ufe90"  # a mark parts nothing
    assert join_arabic("\u06af\u0644", everything) == "\ufb94\ufede"  # Persian gaf joins as well
    assert join_arabic(ARABIC, latin) == ARABIC  # a font without these forms


def test_what_a_font_does_not_have_is_taken_apart_or_a_question_mark():
    assert displayable("Amélie Œuvré, Łódź \u2013 50\u202f%", latin) == "Amélie ?uvré, ?ódz - 50\u00a0%"
    assert displayable(ARABIC, latin) == "????"
    assert displayable("a\u200bb\u0301c", everything) == "a\u200bb\u0301c"
    assert displayable("a\u200bb", latin) == "ab"
    assert single_line("a\0b\r\nc\u2028d") == "a b  c d"


def test_the_font_of_the_house_has_the_letters_of_its_utilities():
    pytest.importorskip("pymupdf_fonts", reason="without the font Western letters alone are printed")
    paper = PdfDocument("portrait")
    assert paper.ready(PERSON) == PERSON
    assert paper.ready(ARABIC) == SHAPED


# --- the process that makes them --------------------------------------------------------------------------------------


def test_a_worker_loads_nothing_that_draws():
    command = (
        "import fairmeter.web.desk, sys; print(sorted({'fpdf', 'xlsxwriter', 'fontTools', 'PIL'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_what_goes_wrong_in_the_rows_is_raised_before_anything_is_sent(desk, store, monkeypatch):
    first, asked = store.list_profiles, []

    def gone(**filters):
        asked.append(filters)
        if len(asked) > 1:
            raise StoreUnavailable("The database does not answer; nothing was written, try again.")
        return first(**{**filters, "limit": 50})

    monkeypatch.setattr(store, "list_profiles", gone)
    assert error_in(desk.get("/clients?format=xlsx"), 503)["code"] == "store_unavailable"


def test_a_file_that_cannot_be_made_is_a_500_whose_log_quotes_nothing(caplog):
    with pytest.raises(Problem) as raised:
        process.make_file({"kind": "book"}, [["a private id"]])
    assert raised.value.status == 500
    (said,) = [record.fields for record in caplog.records]
    assert said["type"] == "KeyError"
    assert "xlsx.py" in said["place"]
    assert "private" not in json.dumps(said)


def test_files_wait_for_their_turn_and_say_so_where_it_does_not_come(monkeypatch):
    monkeypatch.setattr(process, "MAX_WAIT", 0.1)
    for _ in range(process.MAX_PROCESSES):
        assert process.SLOTS.acquire(timeout=1)
    try:
        with pytest.raises(Problem) as raised:
            process.make_file({"kind": "book", "columns": []}, [])
        assert (raised.value.status, raised.value.headers) == (503, {"Retry-After": "10"})
    finally:
        for _ in range(process.MAX_PROCESSES):
            process.SLOTS.release()


def test_a_file_for_which_the_disk_has_no_room_comes_again_later(monkeypatch):
    class FullDisk(BytesIO):
        def write(self, _part):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(process, "SpooledTemporaryFile", lambda *_, **__: FullDisk())
    with pytest.raises(Problem, match="no room") as refused:
        process.make_file({"kind": "book", "columns": ["a"]}, [])
    assert refused.value.status == 503


def test_a_file_that_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr(process, "MAX_SECONDS", 0.2)

    def never():
        from time import sleep

        while True:
            sleep(0.05)
            yield ["x"]

    with pytest.raises(Problem):
        process.make_file({"kind": "book", "columns": ["a"]}, never())


# --- on record --------------------------------------------------------------------------------------------------------


def test_whoever_takes_a_list_as_a_file_is_on_record_without_the_clients_that_were_asked_for(store):
    client, before = open_desk(store), len(list(store.chain_lines()))
    for path in ("/clients?format=csv&severity=high&id_prefix=c-0", "/list?format=csv", "/inspections.csv", "/clients"):
        assert client.get(path).status_code == 200
    entries = [json.loads(line) for line in list(store.chain_lines())[before:]]
    exports = [entry for entry in entries if entry.get("kind") == "list exported"]
    assert [(entry["subject"], entry["user"]) for entry in exports] == [
        ("clients", "open"),
        ("list", "open"),
        ("inspections", "open"),
    ]
    assert "severity high" in exports[0]["details"]
    assert "c-0" not in exports[0]["details"]
    assert store.verify_chain() is None


# --- right to left ----------------------------------------------------------------------------------------------------


def test_a_document_in_arabic_is_mirrored(monkeypatch):
    """What begins at the left margin begins at the right one, numbers of pages and brackets stay readable."""
    drawn = []
    cell = PdfDocument.cell
    monkeypatch.setattr(
        PdfDocument,
        "cell",
        lambda self, w, h, text, align: (drawn.append((round(self.x), text)), cell(self, w, h, text, align=align)),
    )
    told = told_table(title="\u0642\u0627\u0626\u0645\u0629", page="{n} \u0645\u0646 {all}", direction="rtl")
    made = pdf_table(told, [["c-1", "\u0645 (5)"]])
    assert pages_of(made) == 1
    texts = {text: x for x, text in drawn}
    assert texts["Client"] > texts["Score"]
    assert next(text for text in texts if "(5)" in text)
    assert "{nb}" in " ".join(texts)


def test_brackets_in_arabic_text_are_mirrored_and_isolated_parts_are_not():
    assert visual_order("\u0645 (5)") == "(5) \u0645"
    assert visual_order("\u0645 \u2066s-1 (a)\u2069") == "s-1 (a) \u0645"
    assert visual_order("no \u2066mark\u2069") == "no mark"
