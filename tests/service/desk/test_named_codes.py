"""At the desk a region, a category or a meter that is a text has its name: in answers, filters, files and pages."""

import csv
import io

import pytest

from fairmeter.data.tables import parse_code
from fairmeter.web.http.auth import INVESTIGATOR
from tests.builders.desk import add_user, desk_app, signed_in, with_key
from tests.builders.service import a_body

TEXTS = {"category": "RESIDENCIAL", "region": "Feira de Santana", "district": "Centro"}


@pytest.fixture
def desk(store):
    """A script's client at a desk with one client of a named region, and one of region 103."""
    add_user(store)
    client = desk_app(store).test_client()
    client.environ_base["HTTP_X_API_KEY"] = with_key(store, INVESTIGATOR, "script")["X-API-Key"]
    named, plain = a_body("named", level=300, meter_id="AB-1234"), a_body("plain", level=300)
    named["client"] |= TEXTS
    for body in (named, plain):
        assert client.post("/predict?record=1", json=body).status_code == 200
    return client


def test_answers_hold_the_names(desk):
    rows = {row["client_id"]: row for row in desk.get("/clients").json["rows"]}
    assert {name: rows["named"][name] for name in TEXTS} == TEXTS
    assert (rows["plain"]["region"], rows["plain"]["category"]) == (103, 11)
    profile = desk.get("/consumer/named").json
    assert {name: profile["client"][name] for name in TEXTS} == TEXTS
    assert {invoice["meter_id"] for invoice in profile["invoices"]} == {"AB-1234"}
    assert {alert["region"] for alert in desk.get("/alerts").json["rows"]} == {"Feira de Santana", 103}


@pytest.mark.parametrize(
    ("region", "found"),
    [("Feira de Santana", ["named"]), (f"{parse_code('Feira de Santana'):.0f}", ["named"]), ("103", ["plain"]),
     ("region_103", ["plain"]), ("Elsewhere", [])],
)  # fmt: skip
def test_filters_take_the_name_or_the_code(desk, region, found):
    for path in ("/clients", "/alerts"):
        rows = desk.get(path, query_string={"region": region}).json["rows"]
        assert [row["client_id"] for row in rows] == found
    listed = desk.get("/list", query_string={"region": region}).json["rows"]
    assert [row["client_id"] for row in listed] == found


def test_files_hold_the_names(desk):
    lines = list(csv.DictReader(io.StringIO(desk.get("/clients?format=csv").text)))
    assert {line["region"] for line in lines} == {"Feira de Santana", "103.000000"}


def test_pages_show_the_names(desk):
    browser, _ = signed_in(desk.application)
    for path in ("/desk/suspects", "/desk/client/named", "/desk/map", "/desk/today"):
        page = browser.get(path).text
        assert "Feira de Santana" in page, path
        assert ">641" not in page
    assert "AB-1234" in browser.get("/desk/client/named").text
    for region in ("Feira de Santana", f"{parse_code('Feira de Santana'):.0f}"):
        page = browser.get("/desk/suspects", query_string={"region": region}).text
        assert "client/named" in page
        assert "client/plain" not in page


def test_names_of_former_runs_stay(desk, store):
    body = a_body("other", level=300)
    body["client"]["region"] = "Ilhéus"
    desk.post("/predict?record=1", json=body)
    names = store.code_names()
    assert {names.name("region", parse_code(text)) for text in ("Ilhéus", "Feira de Santana")} == {
        "Ilhéus",
        "Feira de Santana",
    }


def test_two_names_of_one_code_are_both_shown(desk, store):
    for client_id, text in (("one", "plumless"), ("two", "buckeroo")):
        body = a_body(client_id, level=300)
        body["client"]["region"] = text
        desk.post("/predict?record=1", json=body)
    assert store.code_names().name("region", parse_code("plumless")) == "plumless or buckeroo"
