"""What the service answers for one client, errors of one shape, and documents that hold."""

import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.data.readings import OPTIONAL_FIELDS, READING_FIELDS
from fairmeter.data.tables import CLIENT_FIELDS, INVOICE_FIELDS
from fairmeter.scoring import examples
from fairmeter.web.app import create_app
from fairmeter.web.scoring_api import schemas
from tests.builders.service import (
    BODIES,
    FUZZ,
    LIMITS,
    MANIFEST,
    PRIVATE,
    Broken,
    ByConsumption,
    a_body,
    a_reading,
    error_in,
    fuzzed,
    posted,
    predicted,
    uploaded,
)
from tests.builders.tables import an_invoice, in_kaggle_names


@pytest.fixture(scope="module")
def client():
    return create_app(ByConsumption(), LIMITS).test_client()


# --- one client -------------------------------------------------------------------------------------------------------


def test_reasons_are_left_out_where_nobody_wants_them(client):
    with_reasons, without = (client.post(f"/predict{query}", json=a_body()).json for query in ("", "?reasons=0"))
    assert with_reasons["reasons"] == [{"group": "level", "effect": 0.2, "text": "High."}]
    assert without == with_reasons | {"reasons": []}


@pytest.mark.parametrize("path", ["/predict", "/batch"])
def test_a_wish_for_reasons_that_is_neither_yes_nor_no_is_refused(client, path):
    assert error_in(client.post(f"{path}?reasons=maybe", json=a_body()), 422)["fields"][0]["path"] == "reasons"


def test_it_answers_in_the_keys_that_scripts_read(client):
    answer = predicted(client, a_body("c-17", level=150))
    assert list(answer) == [
        "prediction",
        "probability",
        "severity",
        "threshold",
        "client_id",
        "reasons",
        "harmless",
        "typical_probability",
        "quality",
        "onset_on",
        "expected_recovery_kwh",
        "expected_recovery_range_kwh",
        "expected_recovery_text",
        "recommendation",
        "anomalies",
        "model",
    ]
    assert answer["prediction"] == 1
    assert answer["probability"] == 0.75
    assert answer["client_id"] == "c-17"
    assert answer["reasons"] == [{"group": "level", "effect": 0.2, "text": "High."}]
    assert answer["model"] == {"version": "1.0", "view": "prospective", "trained_at": "2026-11-21T10:00:00Z"}


def test_the_prediction_is_the_probability_against_the_threshold(client):
    assert predicted(client, a_body(level=50))["probability"] == 0.5
    assert predicted(client, a_body(level=50))["prediction"] == 1
    assert predicted(client, a_body(level=49))["prediction"] == 0


def test_kaggle_names_and_day_first_dates_mean_the_same(client):
    body = a_body()
    [raw_client] = in_kaggle_names([body["client"] | {"created_on": "12/08/2003"}])
    days = ({"invoice_on": "24/01/2014"}, {"invoice_on": "24/02/2014"})
    raw = in_kaggle_names([invoice | day for invoice, day in zip(body["invoices"], days, strict=True)])
    assert "client_catg" in raw_client
    assert "counter_type" in raw[0]
    assert predicted(client, {"client": raw_client, "invoices": raw}) == predicted(client, body)


def test_keys_that_it_does_not_know_change_nothing(client):
    body = a_body()
    more = {"client": body["client"] | {"mood": "good"}, "invoices": [i | {"x": [1]} for i in body["invoices"]], "y": 1}
    assert predicted(client, more) == predicted(client, body)


@pytest.mark.parametrize(
    "body",
    [
        {"client": {}},
        {"client": None, "invoices": None, "readings": None},
        {"invoices": []},
        {"client": {"client_id": "c-1"}, "invoices": []},
    ],
)
def test_a_client_without_invoices_is_insufficient_history_and_not_a_low_score(client, body):
    answer = predicted(client, body)
    assert answer["probability"] is None
    assert answer["prediction"] is None
    assert answer["severity"] == "insufficient history"
    assert "no_invoices" in [flag["flag"] for flag in answer["quality"]]


def test_an_invoice_needs_nothing_but_its_date(client):
    assert predicted(client, {"invoices": [{"invoice_on": "2014-03-24"}]})["client_id"] is None


def test_what_was_cleaned_comes_back_as_quality_flags(client):
    quality = predicted(client, a_body(meter_id=0))["quality"]
    assert [flag["flag"] for flag in quality] == ["meter_number_zero"]
    assert set(quality[0]) == {"flag", "text"}


def test_readings_count_beside_invoices_and_alone(client):
    readings = [a_reading(day, 10) for day in range(1, 11)]
    invoices_alone, both = a_body(level=50), a_body(level=50) | {"readings": readings}
    assert predicted(client, invoices_alone)["probability"] == 0.5
    assert predicted(client, both)["probability"] == pytest.approx(2 / 3)
    answer = predicted(client, {"client": {"client_id": "c-2"}, "readings": readings})
    assert (answer["client_id"], answer["probability"]) == ("c-2", 0.5)
    assert predicted(client, {"readings": readings})["probability"] == 0.5


def test_what_was_cleaned_in_readings_comes_back_as_quality_flags(client):
    body = a_body() | {"readings": [a_reading(1), a_reading(2, -1), a_reading(4)]}
    assert [flag["flag"] for flag in predicted(client, body)["quality"]] == ["negative_readings", "gap_days"]


def test_aggregates_are_taken_as_one_flat_object(client):
    answer = predicted(client, examples.FLAT | {"client_id": 17})
    assert answer["probability"] == 0.25
    assert answer["client_id"] == "17"
    assert answer["quality"][0]["flag"] == "unknown_features"


def test_a_byte_order_mark_and_a_missing_content_type_do_no_harm(client):
    data = json.dumps(a_body()).encode()
    assert client.post("/predict", data=b"\xef\xbb\xbf" + data).json == predicted(client, a_body())


# --- errors -----------------------------------------------------------------------------------------------------------

NOT_JSON = {
    "nothing": b"",
    "blanks": b" \n",
    "half an object": b'{"client": {',
    "two objects": b"{}{}",
    "NaN": b'{"age_months": NaN}',
    "Infinity": b'{"age_months": -Infinity}',
    "a number of 5,000 digits": b'{"age_months": ' + b"9" * 5000 + b"}",
    "100,000 open brackets": b"[" * 100_000,
    "1,000 nested objects": b'{"a":' * 1000 + b"1" + b"}" * 1000,
    "bytes that are not UTF-8": b'{"region": "\xff"}',
    "half a surrogate pair": b'{"region": "\\ud800"}',
    "UTF-16": '{"region": 1}'.encode("utf-16"),
    "a form": b"client=1",
}


@pytest.mark.parametrize("path", ["/predict", "/batch"])
@pytest.mark.parametrize("data", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_not_json_is_a_400(client, data, path):
    assert error_in(posted(client, data, path), 400)["code"] == "bad_json"


def invoice_with(**changes):
    return {"client": {}, "invoices": [an_invoice(), an_invoice(**changes)]}


BAD_VALUES = {
    "a list": ([], None),
    "a text": (PRIVATE, None),
    "nothing": (None, None),
    "an empty object": ({}, None),
    "no object as client": ({"client": PRIVATE}, "client"),
    "no list of invoices": ({"invoices": {"0": an_invoice()}}, "invoices"),
    "no object as invoice": ({"invoices": [an_invoice(), PRIVATE]}, "invoices.1"),
    "no list of readings": ({"readings": {"0": a_reading()}}, "readings"),
    "no object as reading": ({"readings": [a_reading(), PRIVATE]}, "readings.1"),
    "too many readings": ({"readings": [a_reading()] * 101}, "readings"),
    "a reading without its moment": ({"readings": [a_reading(), {"consumption_kwh": 1}]}, "readings.1.read_at"),
    "a reading without its value": (
        {"readings": [a_reading(), {"read_at": "2014-01-01", "kwh": 1}]},
        "readings.1.consumption_kwh",
    ),
    "a moment that is none": ({"readings": [a_reading() | {"read_at": PRIVATE}]}, "readings.0.read_at"),
    "a reading of letters": (
        {"invoices": [an_invoice()], "readings": [a_reading(1), a_reading(2), a_reading(3), a_reading(4, PRIVATE)]},
        "readings.3.consumption_kwh",
    ),
    "a reading that is a list": ({"readings": [a_reading(kwh=[1])]}, "readings.0.consumption_kwh"),
    "a true reading": ({"readings": [a_reading(kwh=True)]}, "readings.0.consumption_kwh"),
    "too many invoices": (a_body(n_invoices=41), "invoices"),
    "no date": ({"invoices": [{"new_index": 1}]}, "invoices.0.invoice_on"),
    "the 31st of a month that has 30": (invoice_with(invoice_on="2014-06-31"), "invoices.1.invoice_on"),
    "an index of letters": (invoice_with(new_index=PRIVATE), "invoices.1.new_index"),
    "an index that is a list": (invoice_with(new_index=[1]), "invoices.1.new_index"),
    "an index of 4,000 digits": (invoice_with(new_index=10**4000), "invoices.1.new_index"),
    "a true index": (invoice_with(new_index=True), "invoices.1.new_index"),
    "a true code": (invoice_with(tariff=True), "invoices.1.tariff"),
    "an unknown energy": (invoice_with(energy=PRIVATE), "invoices.1.energy"),
    "a bad date under its Kaggle name": ({"client": {"creation_date": PRIVATE}}, "client.creation_date"),
    "both names of a column": (invoice_with(months_number=4), "invoices.1.months_number"),
    "an aggregate that is a list": ({"age_months": [1]}, "age_months"),
    "an aggregate of letters": ({"age_months": PRIVATE}, "age_months"),
}


@pytest.mark.parametrize(("body", "path"), BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_a_bad_value_is_a_422_that_says_where(client, body, path):
    error = error_in(posted(client, json.dumps(body)), 422)
    assert error["code"] == "bad_value"
    assert [field["path"] for field in error["fields"]] == ([path] if path else [])
    assert error["message"].endswith(".")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("POST", "/predict/", 404, "not_found"),
        ("GET", "/swagger/nothing.js", 404, "not_found"),
        ("GET", "/predict", 405, "method_not_allowed"),
        ("DELETE", "/health", 405, "method_not_allowed"),
    ],
)
def test_other_addresses_and_methods_are_errors_of_the_same_shape(client, method, path, status, code):
    answer = client.open(path, method=method)
    assert error_in(answer, status)["code"] == code
    assert ("Allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("headers", [{"Content-Type": "text/csv"}, {"Content-Encoding": "gzip"}])
def test_other_content_is_a_415(client, headers):
    headers = {"Content-Type": "application/json"} | headers
    error = error_in(client.post("/predict", data=b"{}", headers=headers), 415)
    assert "application/json" in error["message"]


@pytest.mark.parametrize("path", ["/predict", "/batch"])
def test_a_body_above_the_limit_is_a_413(client, path):
    data = b" " * (LIMITS.body_bytes + 1)
    assert error_in(posted(client, data, path), 413)["code"] == "too_large"


def test_a_body_sent_in_chunks_is_not_cut_at_the_limit(client):
    line = json.dumps(examples.FLAT).encode() + b"\n"
    stream = io.BytesIO(line * (LIMITS.body_bytes // len(line) + 1))
    answer = client.post(
        "/batch",
        input_stream=stream,
        content_type="application/x-ndjson",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert error_in(answer, 413)["code"] == "too_large"


def test_a_body_that_broke_off_is_not_judged(client):
    data = json.dumps(examples.FLAT).encode()
    answer = client.post(
        "/predict",
        input_stream=io.BytesIO(data),
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": str(len(data) + 1)},
    )
    assert error_in(answer, 400)["code"] == "bad_request"


def test_a_fault_of_ours_is_a_500_without_details_and_in_the_log(caplog):
    client = create_app(Broken(), LIMITS).test_client()
    for path, body in (("/predict", a_body()), ("/batch", [a_body()])):
        assert error_in(client.post(path, json=body), 500)["code"] == "internal"
    assert PRIVATE in caplog.text  # the traceback; of the request, only method and path
    assert "POST /predict failed" in caplog.text


@FUZZ
@given(BODIES)
def test_no_body_is_ever_a_500(client, body):
    answer = posted(client, fuzzed(body))
    assert answer.status_code in (200, 422), answer.json
    model = schemas.Answer if answer.status_code == 200 else schemas.ErrorAnswer
    model.model_validate(answer.json, extra="forbid")


@FUZZ
@given(st.binary(max_size=300))
def test_no_bytes_are_ever_a_500(client, data):
    for path, kind in (("/predict", "application/json"), ("/batch", "application/x-ndjson"), ("/batch", "x")):
        assert posted(client, data, path, kind).status_code < 500
    assert uploaded(client, b"client_id\n" + data, b"client_id,invoice_on\n" + data).status_code < 500


# --- state and documents ----------------------------------------------------------------------------------------------


def test_it_says_that_it_is_alive_ready_and_with_which_model(client):
    assert client.get("/health").json == {"status": "alive"}
    assert client.get("/ready").json["model"]["version"] == "1.0"
    assert client.get("/model").json == MANIFEST


def test_it_is_not_ready_when_the_model_does_not_judge():
    client = create_app(Broken(), LIMITS).test_client()
    assert error_in(client.get("/ready"), 503)["code"] == "not_ready"
    assert client.get("/health").status_code == 200


def test_answers_about_people_are_kept_by_no_cache(client):
    for answer in (client.post("/predict", json=a_body()), client.get("/model"), client.get("/nowhere")):
        assert answer.headers["Cache-Control"] == "no-store"


def document(client):
    return client.get("/openapi.json").json


def operations(document):
    return [(path, method, o) for path, item in document["paths"].items() for method, o in item.items()]


def test_the_document_is_openapi_3_1_and_names_every_route(client):
    assert document(client)["openapi"] == "3.1.0"
    assert {path for path, _, _ in operations(document(client))} == {
        "/predict",
        "/batch",
        "/health",
        "/ready",
        "/ready/scoring",
        "/model",
        "/metrics",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/fraud",
        "/v2/models/fraud/ready",
        "/v2/models/fraud/infer",
    }


def test_every_reference_in_the_document_leads_somewhere(client):
    named = set(re.findall(r'"#/components/schemas/(\w+)"', client.get("/openapi.json").text))
    assert named <= set(document(client)["components"]["schemas"])


ANSWERS = {"/predict": schemas.Answer, "/batch": schemas.BatchAnswer, "/health": schemas.Alive}
ANSWERS |= {"/ready": schemas.Ready, "/ready/scoring": schemas.Ready, "/model": schemas.Manifest}


def test_every_example_of_every_route_is_answered_as_documented(client):
    for path, method, operation in operations(document(client)):
        for kind, content in operation.get("requestBody", {"content": {None: {}}})["content"].items():
            for example in content.get("examples", {None: {"value": None}}).values():
                answer = sent(client, path, method, kind, example["value"])
                assert answer.status_code == 200, answer.text
                if path in ANSWERS:
                    ANSWERS[path].model_validate(answer.json, extra=None if path == "/model" else "forbid")
                    assert not answer.json.get("errors")
                else:
                    assert path == "/metrics" or path.startswith("/v2")


def sent(client, path, method, kind, value):
    if kind == "multipart/form-data":
        return uploaded(client, **{name: text.encode() for name, text in value.items()})
    data = value if isinstance(value, str | None) else json.dumps(value)
    return client.open(path, method=method, data=data, content_type=kind)


def test_the_documented_columns_are_those_that_the_tables_read():
    for model, fields, left_out in (
        (schemas.Client, CLIENT_FIELDS, {"label", "labelled_on"}),
        (schemas.Invoice, INVOICE_FIELDS, {"date_form"}),
        (schemas.Reading, (*READING_FIELDS, *OPTIONAL_FIELDS), set()),
    ):
        assert set(model.model_fields) == {field.name for field in fields} - left_out
        for field in fields:
            if field.raw != field.name and field.name not in left_out:
                assert f"Kaggle: {field.raw}" in model.model_fields[field.name].description


def test_the_documentation_is_found_with_a_slash_behind_it_too(client):
    answer = client.get("/docs/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "../docs")


def test_swagger_ui_comes_from_here_alone(client):
    assert client.get("/").headers["Location"] == "docs"
    page = client.get("/docs").text
    places = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(places) == 4
    for place in places:
        with client.get(f"/{place}") as asset:
            assert asset.status_code == 200
    assert '"validatorUrl": null' in page
    assert 'new URL("openapi.json"' in page
