"""Many clients at once, as JSON, NDJSON and CSV: ranked, each as it would be alone, bad rows beside good ones."""

import errno
import io
import json
import pickle
import subprocess
from pathlib import Path

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.core.paths import PROJECT
from fairmeter.models import model_file
from fairmeter.scoring import batches, examples
from fairmeter.scoring.payloads import RawClient
from fairmeter.scoring.predictor import Predictor
from fairmeter.web.app import create_app
from fairmeter.web.scoring_api import schemas, table_process
from tests.builders.service import (
    BODIES,
    FUZZ,
    LIMITS,
    PRIVATE,
    ByConsumption,
    a_body,
    a_reading,
    error_in,
    fuzzed,
    posted,
    predicted,
    uploaded,
    without_errors,
    without_model,
)
from tests.builders.tables import an_invoice


@pytest.fixture(scope="module")
def client():
    return create_app(ByConsumption(), LIMITS).test_client()


# --- ranks and rows ---------------------------------------------------------------------------------------------------


def test_a_batch_is_ranked_and_says_which_row_is_which(client):
    bodies = [a_body("a", level=10), {"client": {"client_id": "b"}}, a_body("c", level=300), a_body("d", level=20)]
    results = without_errors(client.post("/batch", json=bodies))
    assert [(r["rank"], r["row"], r["client_id"]) for r in results] == [
        (1, 2, "c"),
        (2, 3, "d"),
        (3, 0, "a"),
        (None, 1, "b"),
    ]


def test_a_client_gets_the_same_answer_alone_and_in_a_batch_of_several_chunks(client):
    bodies = [a_body(f"c-{i}", n_invoices=1, level=i) if i % 3 else examples.FLAT for i in range(LIMITS.clients)]
    answer = client.post("/batch?reasons=1", json=bodies)
    for result in without_errors(answer)[::50]:
        alone = predicted(client, bodies[result["row"]])
        assert result == {"rank": result["rank"], "row": result["row"]} | without_model(alone)
    assert [r["rank"] for r in answer.json["results"]] == list(range(1, LIMITS.clients + 1))


def test_clients_with_many_readings_are_judged_in_smaller_parts_with_the_same_answers(client, monkeypatch):
    bodies = [
        a_body(f"c-{i}", n_invoices=1) | {"readings": [a_reading(day, i) for day in range(1, 29)]} for i in range(9)
    ]
    bodies[4] = {"readings": PRIVATE}
    answers = []
    for most in (50_000, 60, 1):
        monkeypatch.setattr(batches, "CHUNK_RECORDS", most)
        answers.append(client.post("/batch", json=bodies).json)
    assert answers[0]["n_results"] == 8
    assert answers[0] == answers[1] == answers[2]
    assert [len(chunk) for chunk in batches.chunks([RawClient({}, [{}], [{}] * n) for n in (0, 0, 5, 1)])] == [1] * 4


def test_bad_rows_stand_beside_good_ones_with_their_errors(client):
    bad = [
        {"client": {}, "invoices": [an_invoice(), an_invoice(new_index=PRIVATE)]},
        {"age_months": PRIVATE},
        PRIVATE,
        {},
    ]
    answer = client.post("/batch", json=[a_body("a"), bad[0], bad[1], a_body("b"), bad[2], bad[3], examples.FLAT])
    assert answer.status_code == 200
    assert [r["client_id"] for r in answer.json["results"]] == ["a", "b", None]
    assert [e["row"] for e in answer.json["errors"]] == [1, 2, 4, 5]
    assert answer.json["errors"][0]["error"]["fields"][0]["path"] == "invoices.1.new_index"
    assert answer.json["errors"][1]["error"]["fields"][0]["path"] == "age_months"
    assert PRIVATE not in answer.text


def test_many_bad_rows_do_not_make_the_good_ones_be_judged_again():
    scorer = ByConsumption()
    bodies = [a_body(n_invoices=1, old_index="x" if i % 2 else 0) for i in range(LIMITS.clients)]
    answer = create_app(scorer, LIMITS).test_client().post("/batch", json=bodies)
    assert answer.json["n_errors"] == LIMITS.clients / 2
    assert scorer.n_scored == answer.json["n_results"] == LIMITS.clients / 2


def test_ndjson_is_the_same_batch_and_a_bad_line_is_one_bad_row(client):
    lines = [json.dumps(a_body("a")), "{not json", "", json.dumps(a_body("b", level=300))]
    answer = posted(client, "\r\n".join(lines), "/batch", "application/x-ndjson")
    assert [(r["row"], r["client_id"]) for r in answer.json["results"]] == [(2, "b"), (0, "a")]
    assert [(e["row"], e["error"]["code"]) for e in answer.json["errors"]] == [(1, "bad_json")]


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b"[]", "application/json", 422),
        (b"{}", "application/json", 422),
        (b" \n\n", "application/x-ndjson", 422),
        (json.dumps([{}] * 601), "application/json", 413),
        (b"{}\n" * 601, "application/x-ndjson", 413),
        (b"client_id\n", "text/plain", 415),
        (b"client_id\n", "text/csv", 422),
        (b"clients", "multipart/form-data", 422),
        (b"--x\r\n\r\n", "multipart/form-data; boundary=x", 422),
    ],
)
def test_a_batch_of_no_clients_or_too_many_is_refused_as_a_whole(client, data, kind, status):
    error_in(posted(client, data, "/batch", kind), status)


def test_a_batch_gives_reasons_where_they_are_asked_for(client):
    without, asked = (client.post(f"/batch{query}", json=[a_body()]).json["results"] for query in ("", "?reasons=1"))
    assert [result["reasons"] for result in without + asked] == [
        [],
        [{"group": "level", "effect": 0.2, "text": "High."}],
    ]


@FUZZ
@given(st.lists(BODIES, min_size=1, max_size=6))
def test_every_row_of_a_batch_is_a_result_or_an_error_and_as_it_would_be_alone(client, bodies):
    answer = posted(client, fuzzed(bodies), "/batch?reasons=1")
    assert answer.status_code == 200, answer.json
    schemas.BatchAnswer.model_validate(answer.json, extra="forbid")
    outcomes = sorted(answer.json["results"] + answer.json["errors"], key=lambda outcome: outcome["row"])
    assert [outcome["row"] for outcome in outcomes] == list(range(len(bodies)))
    for body, outcome in zip(bodies, outcomes, strict=True):
        alone = posted(client, fuzzed(body)).json
        assert outcome == {key: outcome[key] for key in ("rank", "row") if key in outcome} | without_model(alone)


# --- CSV --------------------------------------------------------------------------------------------------------------

CLIENTS = "client_id,client_catg,region,disrict,creation_date\na,11,103,69,12/08/2003\nb,,,,\n"
INVOICES = "client_id,invoice_date,counter_type,consommation_level_1\nb,2014-03-24,GAZ,\na,24/03/2014,ELEC,300\n"


def test_two_csv_files_are_the_same_batch_as_json(client):
    bodies = [a_body("a", n_invoices=3, level=400), a_body("b", n_invoices=1)]
    files = {"clients": [body["client"] for body in bodies]}
    owned = [i | {"client_id": body["client"]["client_id"]} for body in bodies for i in body["invoices"]]
    files["invoices"] = owned[::-1]
    texts = [examples.csv_of(files[name]).encode() for name in ("clients", "invoices")]
    assert without_errors(uploaded(client, *texts)) == without_errors(client.post("/batch", json=bodies))


def csv_of_bodies(bodies, name):
    rows = [row | {"client_id": body["client"]["client_id"]} for body in bodies for row in body[name]]
    return examples.csv_of(rows).encode()


def test_a_third_csv_file_of_readings_is_the_same_batch_as_json(client):
    days = {"a": (1, 2, 3), "b": (), "c": (2, 9)}
    bodies = [a_body(c, n_invoices=1) | {"readings": [a_reading(day, 20 * day) for day in days[c]]} for c in "abc"]
    clients = examples.csv_of([body["client"] for body in bodies]).encode()
    texts = [csv_of_bodies(bodies, name) for name in ("invoices", "readings")]
    expected = without_errors(client.post("/batch", json=bodies))
    assert without_errors(uploaded(client, clients, *texts)) == expected
    assert len({result["probability"] for result in expected}) == 3


def test_clients_may_have_readings_and_no_invoices(client):
    readings = csv_of_bodies([{"client": {"client_id": "a"}, "readings": [a_reading(kwh=300)]}], "readings")
    results = without_errors(uploaded(client, clients=CLIENTS.encode(), readings=readings))
    assert [(r["client_id"], r["probability"]) for r in results] == [("a", 0.75), ("b", None)]


def test_readings_alone_are_clients_in_the_order_in_which_they_first_come(client):
    text = "client_id,read_at,consumption_kwh\n"
    text += "b,24/03/2014,50\na,2014-03-24,300\nb,2014-03-25,50\nc,2014-03-24T00:00,\n"
    results = without_errors(uploaded(client, readings=text.encode()))
    assert [(r["client_id"], r["row"], r["probability"]) for r in results] == [
        ("a", 1, 0.75),
        ("b", 0, 0.5),
        ("c", 2, 0),
    ]


def test_csv_readings_of_unknown_clients_are_counted(client):
    readings = b"client_id,read_at,consumption_kwh\na,2014-03-24,1\nz,2014-03-24,1\nz,2014-03-25,1\n"
    answer = uploaded(client, CLIENTS.encode(), INVOICES.encode(), readings)
    assert without_errors(answer)
    assert [flag["flag"] for flag in answer.json["quality"]] == ["readings_of_unknown_clients"]
    assert ": 2." in answer.json["quality"][0]["text"]


def test_csv_clients_with_a_bad_reading_or_too_many_are_bad_rows(client):
    lines = ["a,2014-03-24,1", "b,2014-03-24,1", "b,2014-03-25,many", *["c,2014-03-24,1"] * 101]
    readings = "\n".join(["client_id,read_at,consumption_kwh", *lines]) + "\n"
    answer = uploaded(client, readings=readings.encode())
    assert [r["client_id"] for r in answer.json["results"]] == ["a"]
    paths = {e["row"]: e["error"]["fields"][0]["path"] for e in answer.json["errors"]}
    assert paths == {1: "readings.1.consumption_kwh", 2: "readings"}


def test_csv_with_kaggle_names_a_byte_order_mark_and_blank_lines_is_read(client):
    answer = uploaded(client, b"\xef\xbb\xbf" + CLIENTS.replace("\n", "\r\n\r\n").encode(), INVOICES.encode())
    first = without_errors(answer)[0]
    assert (first["client_id"], first["probability"]) == ("a", 0.75)


def test_csv_invoices_of_unknown_clients_are_counted(client):
    answer = uploaded(client, CLIENTS.encode(), (INVOICES + "z,2014-03-24,ELEC,1\n").encode())
    assert without_errors(answer)
    assert [flag["flag"] for flag in answer.json["quality"]] == ["invoices_of_unknown_clients"]


def test_csv_clients_without_an_id_twice_or_with_a_bad_value_are_bad_rows(client):
    clients = CLIENTS + "a,11,,,\n,11,,,\nc,11,,,soon\n"
    answer = uploaded(client, clients.encode(), INVOICES.encode())
    assert answer.json["n_results"] == 2
    paths = {e["row"]: e["error"]["fields"][0]["path"] for e in answer.json["errors"]}
    assert paths == {2: "client.client_id", 3: "client.client_id", 4: "client.creation_date"}


@pytest.mark.parametrize(
    ("clients", "invoices", "path", "words"),
    [
        (b"", INVOICES.encode(), "clients", "empty"),
        (b"id,region\n1,2\n", INVOICES.encode(), "clients", "client_id"),
        (b"client_id;region\n1;2\n", INVOICES.encode(), "clients", "commas"),
        (b"client_id,region,region\n1,2,3\n", INVOICES.encode(), "clients", "more than once"),
        (CLIENTS.encode(), b"client_id,invoice_on\na,2014-01-01,7\n", "invoices", "line 2 has 3 values"),
        (CLIENTS.encode(), "client_id,invoice_on\né,2014-01-01\n".encode("latin-1"), "invoices", "UTF-8"),
        (CLIENTS.encode(), b"client_id,invoice_on\na," + b"9" * 200_000, "invoices", "not CSV"),
    ],
)
def test_csv_that_cannot_be_read_says_which_file_and_why(client, clients, invoices, path, words):
    error = error_in(uploaded(client, clients, invoices), 422)
    assert [field["path"] for field in error["fields"]] == [path]
    assert words in error["message"]


def test_a_missing_file_of_two_is_named(client):
    answer = client.post("/batch", data={"clients": (io.BytesIO(CLIENTS.encode()), "clients.csv"), "invoices": "x"})
    assert error_in(answer, 422)["fields"][0]["path"] == "invoices"
    for names, missing in ((["invoices"], "clients"), (["invoices", "readings"], "clients"), (["clients"], "invoices")):
        answer = uploaded(client, **{name: INVOICES.encode() for name in names})
        assert error_in(answer, 422)["fields"][0]["path"] == missing


# --- tables of other columns, with a map ------------------------------------------------------------------------------

BILLS = "Conta;Mês;kWh\n0017;01/2024;10,5\n0017;02/2024;20\n0018;01/2024;300\n"
BILL_MAP = (
    '[files]\ndelimiter = ";"\ndecimal = ","\n[invoices]\nclient_id = "Conta"\nmonths = {constant = 1}\n'
    'invoice_on = {column = "Mês", format = "%m/%Y"}\nconsumption = {column = "kWh", unit = "kWh"}\n'
)


def with_map(client, data_map, **files):
    parts = {name: (io.BytesIO(text.encode("latin-1")), f"{name}.txt") for name, text in files.items()}
    return client.post("/batch", data=parts | {"map": (io.BytesIO(data_map.encode()), "mine.toml")})


def test_tables_of_other_columns_come_with_their_map(client):
    answer = with_map(client, BILL_MAP, faturas=BILLS)
    assert sorted(row["client_id"] for row in without_errors(answer)) == ["0017", "0018"]
    assert "missing_columns" in {flag["flag"] for flag in answer.json["quality"]}


def test_a_map_that_does_not_fit_is_answered_with_its_sentence(client):
    answer = with_map(client, BILL_MAP.replace('"Conta"', '"Konta"'), invoices=BILLS)
    assert 'no column "Konta" in invoices.txt' in error_in(answer, 422)["message"]


def test_a_spreadsheet_comes_with_its_map_too(client):
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream) as book:
        sheet = book.add_worksheet()
        for i, row in enumerate([("Conta", "Mês", "kWh"), ("0017", "01/2024", 10.5), ("0018", "02/2024", 20)]):
            sheet.write_row(i, 0, row)
    parts = {"bills": (io.BytesIO(stream.getvalue()), "b.xlsx"), "map": (io.BytesIO(BILL_MAP.encode()), "mine.toml")}
    assert sorted(row["client_id"] for row in without_errors(client.post("/batch", data=parts))) == ["0017", "0018"]
    answer = client.post("/batch", data=stream.getvalue(), content_type="text/csv")
    assert "a spreadsheet" in error_in(answer, 422)["message"]


SLOW_PATTERN = BILL_MAP + "keep = {Conta = '(a+)+'}\n"  # time grows with two to the power of the length
LONG = BILLS + "a" * 60 + "!;03/2024;1\n"


@pytest.mark.parametrize(("limit", "most"), [("MAX_CPU", 1), ("MAX_BYTES", 2**26)])
def test_a_map_or_a_file_that_takes_too_much_ends_alone(client, monkeypatch, limit, most):
    monkeypatch.setattr(table_process, limit, most)
    assert error_in(with_map(client, SLOW_PATTERN, faturas=LONG), 413)["code"] == "too_large"


def test_tables_for_which_the_disk_has_no_room_come_again_later(client, monkeypatch):
    def full_disk(**_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(table_process, "TemporaryFile", full_disk)
    assert "no room" in error_in(with_map(client, BILL_MAP, faturas=BILLS), 503)["message"]


def test_tables_beside_others_that_are_read_come_again_later(client):
    with table_process.ONE_AT_A_TIME:
        answer = with_map(client, BILL_MAP, faturas=BILLS)
    assert error_in(answer, 503)["code"] == "busy"
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize("value", [print, subprocess.Popen, Path], ids=lambda value: value.__name__)
def test_of_the_process_that_reads_tables_nothing_but_tables_is_taken(value):
    with pytest.raises(pickle.UnpicklingError):
        table_process.TableUnpickler(io.BytesIO(pickle.dumps(value))).load()


def test_one_table_comes_as_text_under_canonical_names_or_by_a_shipped_map(client):
    bills = "client_id,invoice_on,consumption,months\na,2024-01-31,10,1\nb,2024-01-31,20,1\n"
    answer = client.post("/batch", data=bills, content_type="text/csv")
    assert {row["client_id"] for row in without_errors(answer)} == {"a", "b"}
    hours = "MålepunktsID;Fra_dato;Til_dato;Mængde;Måleenhed;Kvalitet;Type\n"
    hours += "570;01-01-2023 00:00:00;01-01-2023 01:00:00;0,11;KWH;Målt;Tidsserie\n"
    answer = client.post("/batch?map=eloverblik", data=hours.encode(), content_type="text/csv")
    assert [row["client_id"] for row in without_errors(answer)] == ["570"]
    assert client.post("/batch?map=elsewhere", data=hours.encode(), content_type="text/csv").status_code == 422


def test_a_map_does_not_lift_the_limits(client):
    rows = "".join(f"c{i},2024-01-31,1,1\n" for i in range(LIMITS.clients + 1))
    text = "client_id,invoice_on,consumption,months\n" + rows
    assert client.post("/batch", data=text, content_type="text/csv").status_code == 413


@pytest.mark.parametrize("name", ["invoices", "readings"])
def test_a_csv_file_whose_ids_are_written_otherwise_is_refused_with_the_cause(client, name):
    clients = "client_id\n" + "".join(f"007{i:02d}\n" for i in range(30))
    head = {"invoices": "client_id,invoice_on,consumption", "readings": "client_id,read_at,consumption_kwh"}[name]
    rows = head + "\n" + "".join(f"7{i:02d},2014-03-24,5\n" for i in range(30))
    answer = uploaded(client, clients.encode(), **{name: rows.encode()})
    assert answer.status_code == 422
    message = str(answer.json)
    assert f"0 of 30 {name}" in message
    assert "leading zeros" in message


# --- the unit of all readings -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def delivered():
    return create_app(Predictor(model_file.load(PROJECT / "model.bin")), LIMITS).test_client()


def households(kwh, n=batches.MIN_CLIENTS):
    """Clients with twenty days of readings around so many kWh."""
    days = range(1, 21)
    return [
        {"client": {"client_id": f"h-{i}"}, "readings": [a_reading(day, kwh * (1 + day % 3 / 10)) for day in days]}
        for i in range(n)
    ]


@pytest.mark.parametrize(("kwh", "unit"), [(9_000.0, "Wh"), (0.009, "MWh")])
def test_readings_of_many_clients_in_another_unit_are_refused(delivered, kwh, unit):
    error = error_in(delivered.post("/batch", json=households(kwh)), 422)
    assert f"kWh a day, which looks like {unit}; send kWh." in error["fields"][0]["message"]


@pytest.mark.parametrize("bodies", [households(9.0), households(9_000.0, batches.MIN_CLIENTS - 1)])
def test_plausible_readings_and_a_few_large_clients_are_scored(delivered, bodies):
    assert len(without_errors(delivered.post("/batch", json=bodies))) == len(bodies)
