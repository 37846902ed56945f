"""Texts of clients become rows without taking much more memory than they have bytes."""

import json

import pytest

from fairmeter.scoring import payloads
from fairmeter.scoring.batches import chunks
from fairmeter.scoring.payloads import (
    MAX_DEPTH,
    SHORT,
    RawClient,
    RequestLimits,
    parse_client,
    parse_json,
    rows_of_json,
    rows_of_ndjson,
)
from fairmeter.scoring.problems import Problem

LIMITS = RequestLimits(body_bytes=2**24, clients=1000, invoices=50, readings=50, client_bytes=2**17)


def a_client(i=0, note=""):
    return {"client": {"client_id": f"c-{i}", "note": note}, "invoices": [{"months": 4}]}


def refused(call, *arguments):
    with pytest.raises(Problem) as found:
        call(*arguments)
    return found.value.status, found.value.code


LONG = [a_client(i, "x" * 500) for i in range(300)]


def test_a_long_list_has_the_rows_of_a_short_one(monkeypatch):
    text = json.dumps(LONG).encode()
    assert len(text) > SHORT
    one_by_one = list(rows_of_json(text, LIMITS))
    monkeypatch.setattr(payloads, "SHORT", 2**30)
    assert one_by_one == list(rows_of_json(text, LIMITS))
    assert one_by_one[7] == RawClient({"client_id": "c-7", "note": "x" * 500}, [{"months": 4}], [])


def test_lines_are_rows_and_blank_ones_are_none():
    text = b"\n\n".join(json.dumps(each).encode() for each in LONG) + b"\n \n"
    assert list(rows_of_ndjson(text, LIMITS)) == list(rows_of_json(json.dumps(LONG).encode(), LIMITS))


@pytest.mark.parametrize(
    "damaged",
    [lambda text: text[:-1], lambda text: text + b"]", lambda text: text[:-1] + b",]", lambda text: text[:-9] + b"]"],
    ids=["no end", "more behind it", "a comma too many", "a broken row"],
)
def test_a_long_list_that_is_no_json_is_refused_as_a_whole(damaged):
    text = damaged(json.dumps(LONG).encode())
    assert refused(lambda: list(rows_of_json(text, LIMITS))) == (400, "bad_json")


def test_too_many_clients_are_refused_before_they_are_built():
    assert refused(rows_of_json, json.dumps(LONG * 4).encode(), LIMITS) == (413, "too_large")
    assert refused(rows_of_ndjson, b"{}\n" * 1001, LIMITS) == (413, "too_large")
    assert refused(rows_of_json, b"[" + b" " * SHORT + b"]", LIMITS) == (422, "bad_value")


def test_one_client_that_is_too_large_is_one_bad_row_of_a_batch():
    large = a_client(1, "x" * LIMITS.client_bytes)
    assert refused(parse_client, json.dumps(large).encode(), LIMITS) == (413, "too_large")
    good, bad, other = rows_of_json(json.dumps([a_client(0), large, a_client(2)]).encode(), LIMITS)
    assert (good.client["client_id"], bad.status, other.client["client_id"]) == ("c-0", 413, "c-2")


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"[" * SHORT * 2, 400),
        (b"[" + b"[]," * SHORT + b"[]]", 413),
        (b'{"x":[' + b"{}," * SHORT + b"{}]}", 413),
        (b'{"a":' * SHORT, 400),
    ],
    ids=["deep lists", "many lists", "many objects", "deep objects"],
)
def test_what_would_take_many_times_its_bytes_is_not_built(text, status, monkeypatch):
    monkeypatch.setattr(payloads, "from_json", lambda *_a, **_o: pytest.fail("it was built"))
    assert refused(parse_json, text)[0] == status
    assert refused(lambda: list(rows_of_json(text, RequestLimits(2**24, 2**30, 1, 1))))[0] == status


def test_brackets_within_texts_count_as_texts():
    assert parse_json(json.dumps({"note": "[{" * SHORT}).encode()) == {"note": "[{" * SHORT}
    deepest = b"[" * MAX_DEPTH + b'"%s"' % (b"x" * SHORT) + b"]" * MAX_DEPTH
    assert parse_json(deepest)


def test_rows_of_many_bytes_are_scored_in_smaller_parts(monkeypatch):
    monkeypatch.setattr("fairmeter.scoring.batches.CHUNK_BYTES", 5000)
    monkeypatch.setattr("fairmeter.scoring.batches.CHUNK", 2 * len(LONG))
    sizes = [len(chunk) for chunk in chunks(rows_of_json(json.dumps(LONG).encode(), LIMITS))]
    assert sum(sizes) == len(LONG)
    assert max(sizes) == 9, "each has some 580 bytes"
