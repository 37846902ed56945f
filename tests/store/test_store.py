"""Profiles and their lists, past scores, people, and tables that come up to date whatever made them."""

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy import text

from fairmeter.core.client_ids import problem_with_id
from fairmeter.core.types import INSUFFICIENT_HISTORY
from fairmeter.store import (
    BadQuery,
    BadRole,
    BadStoreUrl,
    NameTaken,
    NoSuchName,
    Series,
    Store,
    StoreUnavailable,
    ValueOutOfRange,
)
from fairmeter.store.engine import database
from fairmeter.store.runs import BadRun
from tests.builders.examples import fewer
from tests.builders.store import NOW, clients_of, score_of, write

SORTS = ("score", "severity", "recovery", "scored", "id")


def ids_of(page) -> list[str]:
    return [row.client_id for row in page.rows]


def walked(store, limit: int, **query) -> list[str]:
    """The ids of all pages, one page after the other."""
    page = store.list_profiles(limit=limit, **query)
    found = ids_of(page)
    while page.next:
        page = store.list_profiles(limit=limit, after=page.next, **query)
        found += ids_of(page)
    return found


# --- profiles ---------------------------------------------------------------------------------------------------------


def test_a_profile_comes_back_as_it_was_written(store):
    series = Series("day", date(2026, 10, 1), np.array([1.5, np.nan, 3.25], dtype=np.float32))
    clients = clients_of(
        client_id=["other", "c-1"], region=[1, 103], category=[np.nan, 11], district=[1, 69],
        created_on=["NaT", "2003-08-12"], transformer_id=["", "T-7"],
    )  # fmt: skip
    write(store, score_of(), clients=clients, facts=[{"spike_ratio": 2.5, "unknown": np.nan}], series={"c-1": series})
    profile = store.find_profile("c-1")
    assert profile.score == score_of()
    assert (profile.facts, profile.model_version, profile.scored_at) == ({"spike_ratio": 2.5}, "2026.11.1", NOW)
    assert profile.client == {
        "client_id": "c-1", "category": 11.0, "region": 103.0, "district": 69.0, "created_on": date(2003, 8, 12),
        "latitude": None, "longitude": None, "transformer_id": "T-7", "tariff_price": None,
    }  # fmt: skip
    assert profile.series[:2] == series[:2]
    np.testing.assert_array_equal(profile.series.kwh, series.kwh)
    assert store.find_profile("other") is None


def test_a_score_that_says_little_comes_back_as_it_was_written(store):
    bare = replace(
        score_of(probability=None), reasons=(), quality=(), explanations=(), recovery=None, recommendation=None,
        onset_on=None, typical=None,
    )  # fmt: skip
    write(store, bare)
    assert store.find_profile("c-1").score == bare
    assert store.stored_scores() == [bare]


def test_what_a_run_does_not_bring_stays_as_it_was(store):
    series = Series("month", date(2026, 1, 1), np.array([100.0], dtype=np.float32))
    clients = clients_of(client_id=["c-1"], region=[103], category=[11])
    write(store, score_of(), score_of("c-2"), clients=clients, facts=[{"spike_ratio": 6.0}, {}], series={"c-1": series})
    write(store, score_of(probability=0.9), clients=clients_of(client_id=["c-1"], region=[np.nan], category=[12]))
    profile = store.find_profile("c-1")
    assert (profile.client["region"], profile.client["category"], profile.score.probability) == (103.0, 12.0, 0.9)
    assert (profile.facts, profile.series.kwh.tolist()) == ({"spike_ratio": 6.0}, [100.0])
    (row,) = store.list_profiles(region=103, category=12).rows
    assert row.client_id == "c-1"
    assert store.find_profile("c-2").score == score_of("c-2")


def test_past_scores_make_a_trend_and_whole_runs_another(store):
    for day, probability in enumerate((0.1, 0.2, 0.6)):
        scores = [score_of(probability=probability), score_of("c-2", None)]
        write(store, *scores, scored_at=NOW + timedelta(days=day), is_run=day != 1)
    assert [row["probability"] for row in store.trend_of("c-1")] == [0.1, 0.2, 0.6]
    assert [row["probability"] for row in store.trend_of("c-1", limit=2)] == [0.2, 0.6]
    runs = store.list_runs()
    assert [(run.scored_at, run.n_clients, run.n_suspected) for run in runs] == [
        (NOW, 2, 0),
        (NOW + timedelta(days=2), 2, 1),
    ]
    assert runs[0].n_by_severity == {"critical": 0, "high": 1, "medium": 0, "low": 0, INSUFFICIENT_HISTORY: 1}


@pytest.mark.parametrize(
    ("ids", "given", "told"),
    [
        (["a", "a"], {}, "1 clients have two scores, such as 'a'"),
        ([""], {}, "is empty"),
        (["a\0"], {}, "cannot be stored"),
        (["\ud800"], {}, "cannot be stored"),
        (["a"], {"facts": []}, "1 scores but facts for 0"),
    ],
)
def test_a_run_that_cannot_be_kept_says_why_and_leaves_nothing(store, ids, given, told):
    with pytest.raises(BadRun, match=told):
        write(store, *(score_of(id_) for id_ in ids), **given)
    assert store.count_profiles() == 0


def test_numbers_of_the_dashboard_count_clients(store):
    scores = [score_of("a", 0.9, "critical"), score_of("b", 0.1, "low"), score_of("c", 0.6), score_of("d", None)]
    clients = clients_of(client_id=["a", "b", "c", "d"], region=[1, 1, 2, 1])
    write(store, *scores, clients=clients)
    assert store.count_severities() == {"critical": 1, "high": 1, "medium": 0, "low": 1, INSUFFICIENT_HISTORY: 1}
    spots = [(spot.region, spot.n_clients, spot.n_suspected) for spot in store.count_by_region()]
    assert spots == [(2.0, 1, 1), (1.0, 3, 1)]
    assert store.count_by_region()[1].expected_recovery_kwh == pytest.approx(900)


def test_scores_are_counted_in_equal_steps(store):
    write(
        store,
        score_of("a", 0.0, "low"),
        score_of("b", 0.26),
        score_of("c", 0.74),
        score_of("d", 1.0),
        score_of("e", None),
    )
    assert store.count_scores(4) == [(1, 0.0), (1, 0.26), (1, 0.74), (1, 1.0)]
    assert store.count_at_least([1.0, 0.5, 0.26, 0.2, 0.0]).tolist() == [1, 2, 3, 3, 4]


def test_clients_are_drawn_alike_for_a_seed_and_stay_drawn_when_others_come(store):
    write(store, *(score_of(f"c-{n}") for n in range(20)), score_of("unknown", None))
    everybody = store.sample_clients(99, "week 1")
    assert sorted(everybody) == sorted(f"c-{n}" for n in range(20))
    assert store.sample_clients(5, "week 1") == everybody[:5]
    assert store.sample_clients(20, "week 2") != everybody
    assert store.sample_clients(20, "week 1", left_out={everybody[0]}) == everybody[1:]


def test_a_plan_reads_scores_without_what_explains_them_and_asks_for_it_later(store):
    write(store, score_of("a", 0.9), score_of("b", 0.8))
    bare = store.stored_scores(limit=1, with_explanations=False)
    assert [(s.client_id, s.recovery, s.reasons) for s in bare] == [("a", score_of().recovery, ())]
    assert store.scores_of(["a", "nobody"]) == {"a": score_of("a", 0.9)}


def test_what_a_list_can_be_filtered_by_is_told(store):
    write(
        store, score_of("a"), score_of("b"), clients=clients_of(client_id=["a", "b"], region=[2, 1], category=[11, 11])
    )
    assert store.list_codes() == {"region": [1.0, 2.0], "category": [11.0], "reason_group": ["fall in consumption"]}


def test_codes_that_no_client_has_are_none_to_filter_by(store):
    assert store.list_codes() == {"region": [], "category": [], "reason_group": []}
    write(store, score_of("a", reasons=()), score_of("b", reasons=()), clients=clients_of(client_id=["a"], region=[7]))
    assert store.list_codes() == {"region": [7.0], "category": [], "reason_group": []}


def test_alerts_are_counted_by_when_they_were_raised(store):
    day = timedelta(days=1)
    write(store, score_of("a", 0.9, "critical"), scored_at=NOW - 3 * day)
    write(store, score_of("b", 0.9, "critical"), score_of("c", 0.6, "high"), scored_at=NOW)
    counted = store.count_raised([NOW - 2 * day, NOW - day])
    assert [sum(counts.values()) for counts in counted] == [0, 2]
    assert sum(sum(counts.values()) for counts in store.count_raised([NOW - 9 * day])) == 3


# --- lists ------------------------------------------------------------------------------------------------------------

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
SEVERITY = {0: "critical", 1: "high", 2: "medium", 3: "low"}


@pytest.fixture
def listed(store):
    """23 clients, many with equal scores; every seventh cannot be judged."""
    scores = [score_of(f"c-{i:02}", None if i % 7 == 0 else (i % 5) / 10, SEVERITY[i % 4]) for i in range(23)]
    clients = clients_of(client_id=[s.client_id for s in scores], region=[i % 3 for i in range(23)])
    write(store, *scores[:12], clients=clients)
    write(store, *scores[12:], clients=clients, scored_at=NOW + timedelta(hours=1))
    return store


def test_pages_one_after_the_other_are_the_whole_list_once(listed):
    filters = ({}, {"region": 1}, {"severity": "high"}, {"id_prefix": "c-1"}, {"least_score": 0.2})
    for sort, query in product(SORTS, filters):
        whole = ids_of(listed.list_profiles(sort=sort, limit=100, **query))
        assert walked(listed, 4, sort=sort, **query) == whole
        assert len(set(whole)) == len(whole) == listed.count_profiles(**query) > 0


def test_lists_begin_with_the_highest_and_end_with_what_cannot_be_judged(listed):
    whole = listed.list_profiles(limit=100).rows
    keys = [-1 if row.probability is None else row.probability for row in whole]
    assert keys == sorted(keys, reverse=True)
    assert {row.probability for row in whole[-4:]} == {None}
    severities = [row.severity for row in listed.list_profiles(sort="severity", limit=100).rows]
    order = [*SEVERITY.values(), INSUFFICIENT_HISTORY]
    assert severities == sorted(severities, key=order.index)


def test_filters_leave_what_they_say(listed):
    assert ids_of(listed.list_profiles(sort="id", id_prefix="c-2")) == ["c-20", "c-21", "c-22"]
    assert listed.count_profiles(id_prefix="C-") == 0
    assert listed.count_profiles(scored_since=NOW + timedelta(hours=1)) == 11
    assert listed.count_profiles(scored_until=NOW + timedelta(hours=1)) == 12
    assert listed.count_profiles(id_prefix="c-%") == listed.count_profiles(id_prefix="c_") == 0
    assert listed.count_profiles(region=None, severity=None) == 23
    assert listed.count_profiles(region=10**30) == 0


@fewer(4, suppress_health_check=list(HealthCheck))  # an example is a run and a walk through its pages
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
            lambda client_id: problem_with_id(client_id) is None
        ),
        min_size=1,
    ),
    st.data(),
)
def test_any_id_is_found_again_by_itself_and_by_how_it_begins(store, ids, data):
    ids = sorted(set(ids))
    write(store, *(score_of(id_) for id_ in ids))
    wanted = data.draw(st.sampled_from(ids))
    assert store.find_profile(wanted).score.client_id == wanted
    assert wanted in walked(store, 3, sort="id", id_prefix=wanted[: data.draw(st.integers(1, len(wanted)))])


def test_a_query_that_makes_no_sense_is_refused_by_field(listed):
    for query in (
        {"sort": "name"}, {"limit": 0}, {"limit": 1001}, {"severity": "grave"}, {"colour": "red"},
        {"id_prefix": "a\0"}, {"after": "rubbish"}, {"after": "é"}, {"after": "W10"}, {"after": ""},
    ):  # fmt: skip
        with pytest.raises(BadQuery) as raised:
            listed.list_profiles(**query)
        assert raised.value.field == next(iter(query))


def test_what_no_database_can_look_for_is_no_crash(store):
    for look in (
        lambda: store.find_profile("\ud800"),
        lambda: store.find_alert(2**80),
        lambda: store.moves_of(2**80),
        lambda: store.list_cases(client_id="\ud800"),
    ):
        with pytest.raises(ValueOutOfRange):
            look()


def test_what_overflows_in_our_own_code_is_no_mistake_of_the_caller(store):
    with pytest.raises(OverflowError), store.reading():
        date.max + timedelta(days=1)


def test_a_cursor_of_another_list_is_refused(listed):
    cursor = listed.list_profiles(sort="recovery", limit=3).next
    for sort in ("score", "severity", "scored", "id"):
        with pytest.raises(BadQuery, match="not a cursor of this list"):
            listed.list_profiles(sort=sort, after=cursor)


# --- people -----------------------------------------------------------------------------------------------------------


def test_users_are_added_changed_and_never_doubled(store):
    assert store.count_active_users() == 0
    user = store.add_user("ana", "hash", "viewer")
    assert store.find_user("ana") == user
    with pytest.raises(NameTaken, match="'ana'"):
        store.add_user("ana", "other", "admin")
    assert store.change_user("ana", role="admin", is_active=False) == replace(user, role="admin", is_active=False)
    assert (store.count_active_users(), [u.name for u in store.list_users()]) == (0, ["ana"])
    with pytest.raises(BadRole, match="'owner'"):
        store.add_user("eva", "hash", "owner")
    with pytest.raises(NoSuchName, match="'eva'"):
        store.change_user("eva", role="admin")
    assert store.find_user("nul\0") is None


def test_a_key_works_until_it_is_revoked_and_its_use_is_on_record(store):
    store.add_key("nightly", "hash-of-it", "investigator")
    assert store.use_key("hash-of-it").role == "investigator"
    assert store.use_key("another") is None
    assert store.list_keys()[0].last_used_at is not None
    store.revoke_key("nightly")
    assert store.use_key("hash-of-it") is None
    with pytest.raises(NameTaken):
        store.add_key("nightly", "other", "viewer")
    with pytest.raises(NoSuchName):
        store.revoke_key("none")


def test_workers_share_one_secret(store, database_url):
    found = []

    def ask():
        with closing(Store(database_url)) as other:
            found.append(other.secret("cookies"))

    workers = [threading.Thread(target=ask) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {*found, store.secret("cookies")} == {found[0]}
    assert (len(found), len(found[0])) == (4, 64)
    assert store.secret("others") != found[0]


# --- connections ------------------------------------------------------------------------------------------------------


class Contended(sqlite3.Connection):
    """A file whose journal mode others are setting: the first times SQLite says so, and does not wait."""

    refusals, code = 2, sqlite3.SQLITE_BUSY

    def execute(self, sql, *given):
        if "journal_mode" in sql and self.refusals:
            self.refusals -= 1
            error = sqlite3.OperationalError("locked")
            error.sqlite_errorcode = self.code
            raise error
        return super().execute(sql, *given)


def test_a_connection_waits_for_others_that_set_the_journal_mode(tmp_path):
    with closing(sqlite3.connect(tmp_path / "store.db", factory=Contended)) as connection:
        database._prepare(connection, None)
        assert connection.refusals == 0
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_connection_waits_for_nothing_else(tmp_path):
    with closing(sqlite3.connect(tmp_path / "store.db", factory=Contended)) as connection:
        connection.code = sqlite3.SQLITE_READONLY
        with pytest.raises(sqlite3.OperationalError):
            database._prepare(connection, None)
        assert connection.refusals == 1


@pytest.mark.parametrize(
    "url", ["", "fairmeter.db", "mysql://u:secret@h/d", "sqlite://", "sqlite:///:memory:", "http://["]
)
def test_a_url_that_cannot_be_used_is_explained_without_its_password(url):
    with pytest.raises(BadStoreUrl, match="DATABASE_URL") as raised:
        Store(url)
    assert "secret" not in str(raised.value)


def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path):
    with (
        closing(Store(f"sqlite:///{tmp_path}/none/store.db")) as store,
        pytest.raises(StoreUnavailable, match="unable to open"),
    ):
        store.migrate()


def test_sqlite_keeps_a_log_ahead_so_that_readers_never_wait(tmp_path):
    with closing(Store(f"sqlite:///{tmp_path}/store.db")) as store:
        store.migrate()
        with store.writing() as connection:
            connection.execute(text("INSERT INTO clients (client_id) VALUES ('c-1')"))
            assert store.count_profiles() == 0
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_moments_without_a_zone_are_refused(store):
    with pytest.raises(Exception, match="has no time zone"):
        write(store, scored_at=datetime(2026, 11, 2))
    assert store.count_profiles() == 0
