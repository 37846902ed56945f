"""Imports: their steps, one process at a time, what a dead process leaves, and maps that were confirmed."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from fairmeter.store import ImportConflict, NoSuchImport, Store
from fairmeter.store.imports import KEPT, LEASE, MAX_OPEN, REMEMBERED, STOPPED

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FILES = [{"name": "bills.csv", "n_bytes": 12}]


def added(store, owner="anna", folder="a", now=NOW):
    return store.add_import(owner, folder, FILES, now=now)


def done(store, import_id, step, now=NOW, **found):
    """Ask for a step and do it."""
    if step != "guess":
        store.queue_step(import_id, step, now=now)
    claim = store.claim_step(now)
    assert (claim.found.import_id, claim.step) == (import_id, step)
    assert store.finish_step(claim, now, **found)


def scored(store):
    found = added(store)
    done(store, found.import_id, "guess", headers={"hash": "h"}, map_text="[clients]")
    done(store, found.import_id, "check", checked={"exit_code": 0})
    done(store, found.import_id, "score", trial={"n_clients": 3})
    return store.find_import(found.import_id, "anna")


def test_an_import_goes_from_step_to_step_with_what_each_found(store):
    found = scored(store)
    assert (found.state, found.step, found.map_text) == ("scored", None, "[clients]")
    assert (found.checked, found.trial, found.files) == ({"exit_code": 0}, {"n_clients": 3}, tuple(FILES))
    done(store, found.import_id, "confirm", outcome={"n_profiles": 3})
    stored = store.find_import(found.import_id, "anna")
    assert (stored.state, stored.outcome) == ("stored", {"n_profiles": 3})
    assert (stored.headers, stored.map_text, stored.checked, stored.trial) == (None, None, None, None)


@pytest.mark.parametrize("step", ["score", "confirm"])
def test_a_step_waits_for_those_before_it(store, step):
    found = added(store)
    done(store, found.import_id, "guess")
    with pytest.raises(ImportConflict, match=f"the step {step} is not possible: it is mapped"):
        store.queue_step(found.import_id, step)


def test_a_new_map_drops_what_was_checked_and_scored_by_the_former_one(store):
    found = scored(store)
    store.set_import_map(found.import_id, "[invoices]", NOW)
    changed = store.find_import(found.import_id, "anna")
    assert (changed.state, changed.map_text, changed.checked, changed.trial) == ("mapped", "[invoices]", None, None)


def test_a_new_check_drops_the_trial_at_once(store):
    found = scored(store)
    store.queue_step(found.import_id, "check")
    assert store.find_import(found.import_id, "anna").trial is None


def test_the_map_is_not_changed_while_a_step_runs(store):
    found = scored(store)
    store.queue_step(found.import_id, "check")
    with pytest.raises(ImportConflict, match="its step check is waiting"):
        store.set_import_map(found.import_id, "[invoices]")


def test_another_user_does_not_find_it(store):
    found = added(store)
    with pytest.raises(NoSuchImport):
        store.find_import(found.import_id, "bert")
    assert store.list_imports("bert") == []


def test_one_import_is_worked_on_at_a_time_in_the_order_of_asking(store):
    first, second = added(store, folder="a"), added(store, "bert", "b", NOW + timedelta(seconds=1))
    claim = store.claim_step(NOW)
    assert claim.found.import_id == first.import_id
    assert store.claim_step(NOW) is None
    store.finish_step(claim, NOW)
    assert store.claim_step(NOW).found.import_id == second.import_id


def test_of_many_processes_at_once_one_gets_the_step(store, database_url):
    added(store)

    def claim(_):
        with closing(Store(database_url)) as own:
            return own.claim_step(NOW)

    with ThreadPoolExecutor(6) as pool:
        assert sum(found is not None for found in pool.map(claim, range(6))) == 1


def test_a_step_whose_process_died_is_stopped_and_can_be_asked_for_again(store):
    found = scored(store)
    store.queue_step(found.import_id, "confirm", now=NOW)
    lost = store.claim_step(NOW)
    later = NOW + LEASE + timedelta(seconds=1)
    assert not store.release_stale_steps(later)
    stopped = store.find_import(found.import_id, "anna")
    assert (stopped.state, stopped.step, stopped.error) == ("scored", None, STOPPED)
    assert not store.finish_step(lost, later, outcome={})
    done(store, found.import_id, "confirm", later, outcome={})


def test_a_process_that_renews_its_lease_keeps_the_step(store):
    found = added(store)
    claim, later = store.claim_step(NOW), NOW + LEASE + timedelta(seconds=1)
    assert store.beat_step(claim, {"text": "Reading"}, NOW + LEASE / 2)
    assert store.claim_step(NOW + LEASE) is None
    assert store.find_import(found.import_id, "anna").progress == {"text": "Reading"}
    assert store.finish_step(claim, later)


def test_a_step_that_no_process_works_on_is_found(store):
    added(store)
    assert store.release_stale_steps(NOW)
    store.claim_step(NOW)
    assert not store.release_stale_steps(NOW)


def test_a_failed_step_leaves_its_sentence_and_the_state_before_it(store):
    found = scored(store)
    store.queue_step(found.import_id, "confirm")
    store.fail_step(store.claim_step(NOW), "The disk is full.", NOW)
    failed = store.find_import(found.import_id, "anna")
    assert (failed.state, failed.step, failed.error) == ("scored", None, "The disk is full.")


def test_a_cancelled_import_takes_the_step_from_its_process(store):
    found = added(store)
    claim = store.claim_step(NOW)
    store.cancel_import(found.import_id, NOW)
    assert not store.beat_step(claim, now=NOW)
    assert store.find_import(found.import_id, "anna").state == "cancelled"


def test_an_import_that_is_being_stored_is_not_cancelled(store):
    found = scored(store)
    store.queue_step(found.import_id, "confirm", now=NOW)
    store.claim_step(NOW)
    with pytest.raises(ImportConflict, match="step confirm is running"):
        store.cancel_import(found.import_id)


def test_only_so_many_imports_are_open(store):
    for number in range(MAX_OPEN):
        added(store, folder=str(number))
    with pytest.raises(ImportConflict, match=f"{MAX_OPEN} imports are open"):
        added(store, folder="one more")


def test_what_nobody_confirms_within_a_day_is_cancelled_and_forgotten_after_a_month(store):
    old, new = added(store, folder="old"), added(store, folder="new", now=NOW + KEPT)
    assert store.expire_imports(NOW + KEPT + timedelta(minutes=1)) == ["new"]
    assert store.find_import(old.import_id, "anna").state == "cancelled"
    store.expire_imports(NOW + KEPT + REMEMBERED + timedelta(days=2))
    assert [found.import_id for found in store.list_imports("anna")] == [new.import_id]


def test_an_import_that_is_worked_on_does_not_expire(store):
    added(store, folder="busy")
    claim = store.claim_step(NOW)
    store.beat_step(claim, now=NOW + 2 * KEPT)
    assert store.expire_imports(NOW + 2 * KEPT) == ["busy"]


def test_the_last_confirmed_map_of_such_headers_is_kept(store):
    assert store.kept_map("h") is None
    store.keep_map("h", "[clients]", "anna", NOW)
    store.keep_map("h", "[invoices]", "bert", NOW)
    assert store.kept_map("h") == ("[invoices]", "bert", NOW)
