"""Every request leaves an id, a line and a count, and none of them says whom it was about."""

import json
import logging
import re

import pytest

from fairmeter.web.app import create_app
from fairmeter.web.http import observability
from fairmeter.web.http.observability import JsonLines
from tests.builders.service import LIMITS, PRIVATE, Broken, ByConsumption, a_body


@pytest.fixture
def client():
    return create_app(ByConsumption(), LIMITS).test_client()


@pytest.fixture
def lines():
    """What is logged while the test runs, as objects."""
    written = []

    class Kept(logging.Handler):
        def emit(self, record):
            written.append(JsonLines().format(record))

    logger = logging.getLogger(observability.LOGGER)
    kept = Kept()
    logger.addHandler(kept)
    before, _ = logger.level, logger.setLevel(logging.INFO)
    yield written
    logger.removeHandler(kept)
    logger.setLevel(before)


def counted(client, name, **labels):
    """The value of a metric, 0 where it was never counted."""
    wanted = {f'{key}="{value}"' for key, value in labels.items()}
    for line in client.get("/metrics").text.splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if found and found[1] == name and wanted <= set((found[2] or "").split(",")):
            return float(found[3])
    return 0.0


# --- ids --------------------------------------------------------------------------------------------------------------


def test_a_sane_request_id_comes_back(client):
    answer = client.get("/health", headers={"X-Request-ID": "6f1c-77.a:b_c"})
    assert answer.headers["X-Request-ID"] == "6f1c-77.a:b_c"


@pytest.mark.parametrize("given", ["", "a b", 'x"}{', "a" * 65, "é"])
def test_another_id_is_replaced_by_a_new_one(client, given):
    made = [client.get("/health", headers={"X-Request-ID": given}).headers["X-Request-ID"] for _ in range(2)]
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in made)
    assert made[0] != made[1]


def test_errors_have_an_id_too(client):
    for answer in (client.get("/nowhere"), client.post("/predict", data=b"{"), client.get("/predict")):
        assert answer.headers["X-Request-ID"]


# --- the log ----------------------------------------------------------------------------------------------------------


def test_a_request_is_one_line_with_its_id_route_status_and_time(client, lines):
    client.post("/predict", json=a_body(), headers={"X-Request-ID": "r-1"})
    line = json.loads(lines.pop())
    assert lines == []
    assert {key: line[key] for key in ("level", "event", "request_id", "method", "route", "status")} == {
        "level": "info",
        "event": "request",
        "request_id": "r-1",
        "method": "POST",
        "route": "/predict",
        "status": 200,
    }
    assert line["ms"] > 0
    assert line["at"].endswith("+00:00")


def test_no_line_says_whom_a_request_was_about(client, lines):
    client.post("/predict", json=a_body(PRIVATE))
    client.post("/predict", json={"client": {"client_id": PRIVATE}, "invoices": PRIVATE})
    client.get(f"/{PRIVATE}?client_id={PRIVATE}")
    client.get(f"/v2/models/fraud/versions/{PRIVATE}")
    assert len(lines) == 4
    assert PRIVATE not in "".join(lines)
    assert json.loads(lines[-1])["route"] == "/v2/models/fraud/versions/{version}"


def test_a_fault_is_a_line_with_its_place_and_without_its_words(lines):
    create_app(Broken(), LIMITS).test_client().post("/predict", json=a_body())
    fault, asked = (json.loads(line) for line in lines)
    assert fault["level"] == "error"
    assert fault["exception"] == "RuntimeError"
    assert any(frame.endswith(" score") for frame in fault["frames"])
    assert PRIVATE not in "".join(lines)
    assert asked["request_id"] == fault["request_id"]


def test_those_who_ask_whether_it_is_alive_leave_no_line_unless_it_is_not(lines):
    client = create_app(Broken(), LIMITS).test_client()
    client.get("/health")
    assert lines == []
    client.get("/ready")
    assert [json.loads(line)["event"] for line in lines] == ["the example cannot be scored", "request"]


# --- counts -----------------------------------------------------------------------------------------------------------


def test_requests_are_counted_by_route_and_status(client):
    client.post("/predict", json=a_body())
    client.post("/predict", json=a_body())
    client.post("/predict", data=b"{")
    assert counted(client, "fairmeter_requests_total", route="/predict", status="200") == 2
    assert counted(client, "fairmeter_requests_total", route="/predict", status="400") == 1
    assert counted(client, "fairmeter_request_seconds_count", route="/predict") == 3


def test_addresses_that_nobody_serves_are_one_route(client):
    for name in ("a", "b", "c"):
        client.get(f"/{name}")
        client.open(f"/{name}", method=name.upper())
    assert counted(client, "fairmeter_requests_total", route="none", method="GET", status="404") == 3
    assert counted(client, "fairmeter_requests_total", route="none", method="other", status="404") == 3


def test_scores_are_counted_by_severity_in_every_route(client):
    client.post("/predict", json=a_body())
    client.post("/predict", json={"invoices": []})
    client.post("/batch", json=[a_body("a"), a_body("b"), {"client": 1}])
    text = {"inputs": [{"name": "client", "shape": [1], "datatype": "BYTES", "data": [json.dumps(a_body())]}]}
    assert client.post("/v2/models/fraud/infer", json=text).status_code == 200
    assert counted(client, "fairmeter_scores_total", severity="high") == 4
    assert counted(client, "fairmeter_scores_total", severity="insufficient history") == 1


def test_the_model_is_among_the_counts(client):
    assert counted(client, "fairmeter_model", version="1.0", view="prospective") == 1


def test_the_counts_name_no_client(client):
    client.post("/predict", json=a_body(PRIVATE))
    client.get(f"/{PRIVATE}")
    assert PRIVATE not in client.get("/metrics").text
