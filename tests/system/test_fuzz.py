"""Some hundred requests drawn from our own document: none is a 5xx, none has another shape than the document says."""

from pathlib import Path

import pytest
from flask_openapi import Info, OpenAPI
from pydantic import BaseModel

from benchmarks.load import fuzz

ROOT = Path(__file__).resolve().parents[2]
N_REQUESTS = 600  # of which the hostile bodies are half, and each route has its turn afterwards


@pytest.mark.skipif(not (ROOT / "model.bin").exists(), reason="model.bin is not there; train.py makes it")
def test_no_request_that_anybody_can_draw_is_a_5xx_or_has_another_shape_than_documented(monkeypatch):
    monkeypatch.setattr(fuzz, "MOST_PAPERS", 4)
    seen = fuzz.fuzzed(N_REQUESTS)
    assert seen.wrong == {}
    assert seen.total() >= N_REQUESTS
    assert len(seen.answers) == seen.n_operations > 70
    statuses = {status for counter in seen.answers.values() for status in counter}
    assert statuses >= {200, 400, 404, 422}


class Told(BaseModel):
    number: int


@pytest.fixture
def faulty():
    """The routes of an app of which one breaks and one says something else than it documents."""
    app = OpenAPI("faulty", info=Info(title="faulty", version="1"))
    answers = {"/breaks": ({}, 500), "/other": ({"number": "none"}, 200), "/well": ({"number": 1}, 200)}
    for path, answer in answers.items():
        app.get(path, endpoint=path[1:], responses={200: Told})(lambda answer=answer: answer)
    schema = fuzz.schemathesis.openapi.from_wsgi("/openapi/openapi.json", app)
    return [result.ok() for result in schema.get_all_operations()]


def test_it_finds_what_breaks_and_what_says_something_else_and_a_traceback(faulty, tmp_path):
    seen = fuzz.Seen()
    for operation in faulty:
        fuzz.send_drawn(operation, fuzz.GenerationMode.POSITIVE, 3, 1, None, seen)
    assert {route for route, _ in seen.wrong} == {"GET /breaks", "GET /other"}
    log = tmp_path / "log"
    log.write_text('{"event": "request"}\n{"level": "error", "event": "GET /clients failed"}\n')
    fuzz.find_traces(log, seen)
    assert seen.times["log", "a traceback"] == 1
