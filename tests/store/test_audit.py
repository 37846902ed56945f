"""What is done to the database past the desk shows in the audit: changed, deleted, reordered, rebuilt."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from fairmeter.casework.audit_chain import AuditEntry, entry_hash
from fairmeter.store import Store
from fairmeter.store.audit import AUDITED, digest_of
from tests.builders.store import score_of, write

KEY = b"a key that is not in the database"
VISITED_ON = date(2026, 11, 2)


def worked(store: Store) -> Store:
    """Two users, a key, two cases with an inspection each."""
    write(store, score_of("c-1"), score_of("c-2"))
    store.add_user("anna", "hash of a password", "viewer")
    store.add_user("ben", "hash of another", "viewer")
    store.add_key("nightly", "hash of a key", "investigator")
    for client_id, outcome in (("c-1", "confirmed"), ("c-2", "cleared")):
        case = store.open_case(client_id, "ana", "worth a look", assignee="bo")
        store.move_case(case.case_id, "inspecting", "bo", "on the way")
        store.record_inspection(case.case_id, outcome, VISITED_ON, "bo", photos=("a.jpg",))
    store.record_recovery(1, "ana", 800.0)
    return store


@pytest.fixture
def sealed(database_url) -> Iterator[Store]:
    with closing(Store(database_url, KEY)) as opened:
        yield worked(opened)


def past_the_desk(store: Store, *statements: str) -> None:
    with store.writing() as connection:
        if store.is_sqlite:
            connection.execute(text("DROP TRIGGER audit_is_not_changed"))
            connection.execute(text("DROP TRIGGER audit_is_not_deleted"))
        else:
            connection.execute(text("ALTER TABLE audit_entries DISABLE TRIGGER ALL"))
        for statement in statements:
            connection.execute(text(statement))


def test_what_the_desk_does_is_as_it_was_written(sealed):
    sealed.change_user("anna", role="admin")
    sealed.revoke_key("nightly")
    assert sealed.verify_chain() is None
    assert sealed.audit_end().seal == "valid"
    assert (
        sealed.audit_end().n_entries == 3 + 2 * 4 + 2 + 1 + 2
    )  # users and keys, moves, inspections, recovery, changes


def test_the_database_refuses_to_change_audit_entries(sealed):
    for change in ("UPDATE audit_entries SET details = ''", "DELETE FROM audit_entries"):
        with pytest.raises(DBAPIError, match="only ever added"), sealed.writing() as connection:
            connection.execute(text(change))


TAMPERED = {
    "an outcome": ("UPDATE inspections SET outcome = 'cleared' WHERE inspection_id = 1", "inspection 1 was changed"),
    "whose visit": ("UPDATE inspections SET client_id = 'c-2' WHERE inspection_id = 1", "inspection 1 was changed"),
    "a photo": ("UPDATE inspections SET photos = '[]' WHERE inspection_id = 2", "inspection 2 was changed"),
    "what was billed": ("UPDATE inspections SET recovered_kwh = 8 WHERE inspection_id = 1", "inspection 1 was changed"),
    "an inspection is deleted": ("DELETE FROM inspections WHERE inspection_id = 1", "inspection 1 was deleted"),
    "all inspections are deleted": ("DELETE FROM inspections", "inspection 2 was deleted"),
    "a role": ("UPDATE users SET role = 'admin' WHERE name = 'ben'", "user ben was changed"),
    "a password": ("UPDATE users SET password_hash = 'mine' WHERE name = 'ben'", "user ben was changed"),
    "a user is deleted": ("DELETE FROM users WHERE name = 'ben'", "user ben was deleted"),
    "a key's role": ("UPDATE api_keys SET role = 'admin'", "key nightly was changed"),
    "a user is inserted": (
        "INSERT INTO users (name, password_hash, role, is_active, created_at) "
        "SELECT 'eva', password_hash, 'admin', is_active, created_at FROM users WHERE name = 'ben'",
        "user eva is in no audit entry",
    ),
    "an entry is changed": ("UPDATE audit_entries SET details = 'other' WHERE seq = 2", "Audit entry 2 was changed"),
    "an entry is deleted": ("DELETE FROM audit_entries WHERE seq = 2", "entries between are missing"),
    "the last entry is deleted": ("DELETE FROM audit_entries WHERE seq = 14", "ends with entry 13"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_whoever_changes_or_deletes_a_row_shows_in_the_audit_with_a_key_and_without(store, how):
    statement, told = TAMPERED[how]
    past_the_desk(worked(store), statement)
    assert told in store.verify_chain().text


def test_entries_that_changed_places_are_found(sealed):
    swap = "UPDATE audit_entries SET seq = {} WHERE seq = {}"
    past_the_desk(sealed, swap.format(99, 2), swap.format(2, 3), swap.format(3, 99))
    assert "was not written after" in sealed.verify_chain().text


def rebuild(store: Store) -> None:
    """Change an outcome, and compute all hashes after it anew, as whoever can write to the database can."""
    past_the_desk(store, "UPDATE inspections SET outcome = 'cleared' WHERE inspection_id = 1")
    inspection = AUDITED["inspection"]
    with store.writing() as connection:
        columns = [inspection.table.c[name] for name in (inspection.key, *inspection.columns)]
        digest = digest_of(connection.execute(select(*columns).where(columns[0] == 1)).one())
        table, previous = AUDITED_ENTRIES, "0" * 64
        for row in connection.execute(table.select().order_by(table.c.seq)).mappings().all():
            is_it = (row["kind"], row["subject"]) == ("inspection", "1")
            changed = {**row, "previous_hash": previous, "digest": digest if is_it else row["digest"]}
            previous = changed["hash"] = entry_hash(AuditEntry(**changed))
            connection.execute(table.update().where(table.c.seq == row["seq"]).values(changed))
        connection.execute(text("UPDATE audit_head SET hash = :hash"), {"hash": previous})


AUDITED_ENTRIES = AUDITED["move"].table.metadata.tables["audit_entries"]


def test_a_chain_that_was_rebuilt_is_found_by_the_key_and_not_vouched_for_later(sealed):
    rebuild(sealed)
    assert "no valid seal of AUDIT_KEY: the chain was rebuilt" in sealed.verify_chain().text
    sealed.change_user("anna", role="admin")
    assert "no valid seal of AUDIT_KEY" in sealed.verify_chain().text


def test_a_seal_that_was_taken_away_is_missed(sealed):
    rebuild(sealed)
    past = "UPDATE audit_head SET seal = NULL"
    with sealed.writing() as connection:
        connection.execute(text(past))
    assert "no valid seal of AUDIT_KEY" in sealed.verify_chain().text


def test_without_a_key_a_rebuilt_chain_is_found_by_an_entry_that_was_noted(store):
    end = worked(store).audit_end()
    assert end.seal == "none"
    assert store.has_audit_entry(end.n_entries, end.hash)
    rebuild(store)
    assert store.verify_chain() is None, "which is why audit says what it cannot prove"
    assert not store.has_audit_entry(end.n_entries, end.hash)


def test_rows_of_before_there_was_a_chain_are_in_it_from_the_migration_on(empty_url):
    with closing(Store(empty_url)) as store:
        store.migrate(to="0012")
        moment = "'2026-11-02 12:00:00.000000'" if store.is_sqlite else "'2026-11-02 12:00:00+00'"
        with store.writing() as connection:
            connection.execute(text("INSERT INTO clients (client_id) VALUES ('c-1')"))
            connection.execute(text(f"INSERT INTO users VALUES ('anna', 'hash', 'admin', true, {moment})"))  # noqa: S608
            connection.execute(
                text(
                    'INSERT INTO inspections (inspection_id, client_id, inspected_on, outcome, "user", is_random, '  # noqa: S608
                    "recorded_at, note, recovered_kwh, photos, region) VALUES (7, 'c-1', '2026-11-01', 'confirmed', "
                    f"'bo', false, {moment}, '', 12.5, '[]', 103)"
                )
            )
        store.migrate()
        assert store.verify_chain() is None
        assert store.audit_end().n_entries == 2
        with store.writing() as connection:
            connection.execute(text("UPDATE inspections SET outcome = 'cleared'"))
        assert "The inspection 7 was changed after audit entry 1" in store.verify_chain().text


# --- sign-ins, exports, what users and keys have beside --------------------------------------------------------------

LATER = {
    "a second factor is taken away": ("UPDATE users SET totp_secret = NULL", "user anna was changed"),
    "an identity elsewhere": ("UPDATE users SET subject = 'mine' WHERE name = 'ben'", "user ben was changed"),
    "a key's end": ("UPDATE api_keys SET expires_at = NULL", "key nightly was changed"),
    "a key's limit": ("UPDATE api_keys SET per_minute = 9", "key nightly was changed"),
    "a sign-in is deleted": ("DELETE FROM audit_entries WHERE kind = 'signed in'", "entries between are missing"),
    "an export is deleted": ("DELETE FROM audit_entries WHERE kind = 'list exported'", "entries between are missing"),
}


@pytest.mark.parametrize("how", LATER)
def test_second_factors_ends_of_keys_sign_ins_and_exports_are_in_the_chain(store, how):
    store.add_user("anna", "hash", "admin")
    store.add_user("ben", "hash", "viewer")
    store.set_totp("anna", "SECRET")
    store.add_key("nightly", "hash of a key", "viewer", expires_at=datetime(2030, 1, 1, tzinfo=UTC), per_minute=5)
    store.begin_session("hash of a session", "anna", timedelta(hours=1), "by password")
    store.record_export("clients", "anna", "csv: severity high")
    store.change_user("ben", role="admin", by="anna")
    assert store.verify_chain() is None
    statement, told = LATER[how]
    past_the_desk(store, statement)
    assert told in store.verify_chain().text
