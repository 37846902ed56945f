"""What is stored of a client, and the deletion of what is old: both in the audit chain."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from fairmeter.casework.workflow import ClientNotFound, MoveNotAllowed
from tests.builders.store import NOW, score_of, shipped_rules, write

PHOTO = f"{'0' * 32}-{'1' * 8}.jpg"


@pytest.fixture
def worked_on(store):
    write(store, score_of("c-1"), score_of("c-2"), rules=shipped_rules())
    for client in ("c-1", "c-2"):
        store.add_readings([(client, NOW.replace(tzinfo=None), 1.0)], NOW)
        case = store.open_case(client, "ana", "worth a look", assignee="bo")
        store.move_case(case.case_id, "inspecting", "bo", "on the way")
        store.record_inspection(case.case_id, "cleared", date(2026, 11, 3), "bo", photos=(PHOTO,))
    return store


def test_an_export_holds_all_tables_that_name_the_client_and_nobody_else(worked_on):
    rows = worked_on.export_client("c-1", "ana", "asked for")
    expected = {"clients", "profiles", "findings", "scores", "readings", "alerts", "cases", "moves", "inspections"}
    assert expected <= set(rows)
    assert {move["case_id"] for move in rows["moves"]} == {rows["cases"][0]["case_id"]}
    text = json.dumps(rows, allow_nan=False)
    assert "c-1" in text
    assert "c-2" not in text
    assert worked_on.verify_chain() is None


def test_an_export_and_a_purge_need_a_client_and_a_reason(worked_on):
    with pytest.raises(ClientNotFound):
        worked_on.export_client("nobody", "ana", "asked for")
    with pytest.raises(MoveNotAllowed):
        worked_on.export_client("c-1", "ana", " ")
    with pytest.raises(MoveNotAllowed):
        worked_on.purge({"readings": 1}, "ana", "")


def test_what_is_older_is_deleted_and_the_rest_stays(worked_on):
    now = datetime.now(UTC)
    local = now.replace(tzinfo=None, microsecond=0)
    worked_on.add_readings([("c-1", local - timedelta(days=age), 1.0) for age in (5, 40, 800)], now)
    n_before = worked_on.count_readings()
    purged = worked_on.purge({"readings": 730}, "ana", "two years")
    assert purged.counts == {"readings": 1}
    assert worked_on.count_readings() == n_before - 1
    assert worked_on.verify_chain() is None


def test_purged_photos_are_named_and_the_chain_holds(worked_on):
    age = (datetime.now(UTC).date() - date(2026, 11, 3)).days
    assert worked_on.purge({"photos": age}, "ana", "the limit is that very day").photos == ()
    purged = worked_on.purge({"photos": max(age - 1, 1)}, "ana", "old")
    assert purged.photos == (PHOTO, PHOTO)
    assert worked_on.photo_names() == []
    assert worked_on.verify_chain() is None
    assert len(worked_on.list_cases().rows) == 2
