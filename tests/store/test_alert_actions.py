"""Dismissed and snoozed alerts leave lists and counts, and who did it and why is on record."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import update

from fairmeter.casework.workflow import BadDay, MoveNotAllowed
from fairmeter.store import AlertNotFound
from fairmeter.store.engine.schema import alerts
from tests.builders.store import score_of, write

NOW = datetime.now(UTC)
NEXT_WEEK = date.today() + timedelta(days=7)
ROLLBACK = [{"n_index_rollbacks": 1.0}]
ALL = {"critical": 0, "high": 1, "medium": 0, "low": 0}


@pytest.fixture
def desk(store):
    """One open alert, of the score."""
    write(store, score_of("c-1", 0.7, "high"))
    return store


def listed(store, **filters):
    found = store.list_alerts(**filters).rows
    assert store.count_listed_alerts(**{name: value for name, value in filters.items() if name != "sort"}) == len(found)
    return [(alert.alert_id, alert.state) for alert in found]


def test_a_dismissed_alert_leaves_list_and_count_and_says_who_dismissed_it_and_why(desk):
    assert (listed(desk), desk.count_alerts()) == ([(1, "open")], ALL)
    assert desk.dismiss_alert(1, "ana", "a bakery, open at night").state == "dismissed"
    assert (listed(desk), sum(desk.count_alerts().values())) == ([], 0)
    assert listed(desk, state="dismissed") == [(1, "dismissed")]
    (action,) = desk.actions_of_alert(1)
    assert (action.action, action.user, action.why) == ("dismissed", "ana", "a bakery, open at night")
    assert any('"alert"' in line and "a bakery" in line for line in desk.chain_lines())
    assert desk.verify_chain() is None


def test_what_was_dismissed_is_not_raised_again_until_more_speaks_for_it(desk):
    desk.dismiss_alert(1, "ana", "a bakery")
    assert write(desk, score_of("c-1", 0.6, "medium"), scored_at=NOW).n_raised == 0
    assert write(desk, score_of("c-1", 0.7, "high"), scored_at=NOW + timedelta(hours=1)).n_raised == 0
    assert write(desk, score_of("c-1", 0.9, "critical"), scored_at=NOW + timedelta(hours=2)).n_raised == 1
    assert listed(desk, state=None, sort="id") == [(2, "open"), (1, "lapsed")]


def test_another_rule_raises_an_alert_beside_what_was_dismissed(desk):
    desk.dismiss_alert(1, "ana", "a bakery")
    assert write(desk, score_of("c-1", 0.7, "high"), facts=ROLLBACK, scored_at=NOW).n_raised == 1


def test_what_was_dismissed_ends_with_its_rules_and_may_come_back(desk):
    desk.dismiss_alert(1, "ana", "a bakery")
    assert write(desk, score_of("c-1", 0.1, "low"), scored_at=NOW).n_lapsed == 1
    assert write(desk, score_of("c-1", 0.7, "high"), scored_at=NOW + timedelta(hours=1)).n_raised == 1


def test_a_snoozed_alert_is_open_again_on_its_day(desk):
    assert desk.snooze_alert(1, "ana", "new tenant moves in", NEXT_WEEK).state == "snoozed"
    assert (listed(desk), sum(desk.count_alerts().values())) == ([], 0)
    assert listed(desk, state="snoozed") == [(1, "snoozed")]
    assert write(desk, score_of("c-1", 0.72, "high"), scored_at=NOW).n_updated == 1
    assert listed(desk) == []
    with desk.writing() as connection:
        connection.execute(update(alerts).values(snoozed_until=date.today() - timedelta(days=1)))
    assert (listed(desk), desk.count_alerts()) == ([(1, "open")], ALL)


def test_a_snoozed_alert_wakes_where_it_becomes_more_severe(desk):
    desk.snooze_alert(1, "ana", "new tenant", NEXT_WEEK)
    write(desk, score_of("c-1", 0.95, "critical"), scored_at=NOW)
    assert listed(desk) == [(1, "open")]


def test_an_alert_is_given_to_somebody_and_found_by_that(desk):
    desk.add_user("bo", "x", "investigator")
    assert desk.assign_alert(1, "ana", "his district", "bo").assignee == "bo"
    assert (listed(desk, assignee="bo"), listed(desk, assignee="ana")) == ([(1, "open")], [])
    (notice,) = desk.list_user_notices("bo")
    assert (notice.kind, notice.alert_id, notice.sent_by) == ("assigned", 1, "ana")
    assert desk.assign_alert(1, "bo", "ill", None).assignee is None
    with pytest.raises(MoveNotAllowed, match="no active user or crew 'eva'"):
        desk.assign_alert(1, "ana", "so", "eva")


def test_alerts_are_found_and_counted_by_their_rules(desk):
    write(desk, score_of("c-2", 0.8, "high"), facts=ROLLBACK, scored_at=NOW)
    assert listed(desk, rule="index rollback") == [(2, "open")]
    assert listed(desk, rule="score", sort="id") == [(2, "open"), (1, "open")]
    assert listed(desk, rule='x" %') == []
    assert desk.count_alerts_by_rule() == {"score": 2, "index rollback": 1}


def test_dismissed_and_snoozed_alerts_are_opened_again(desk):
    desk.dismiss_alert(1, "ana", "a bakery")
    assert desk.reopen_alert(1, "ana", "it closed").state == "open"
    desk.snooze_alert(1, "ana", "later", NEXT_WEEK)
    assert desk.reopen_alert(1, "ana", "now").state == "open"
    assert [action.action for action in desk.actions_of_alert(1)] == ["dismissed", "reopened", "snoozed", "reopened"]


def test_no_second_alert_of_a_client_is_opened(desk):
    desk.dismiss_alert(1, "ana", "a bakery")
    write(desk, score_of("c-1", 0.95, "critical"), scored_at=NOW)
    with pytest.raises(MoveNotAllowed, match="Alert 1 is lapsed"):
        desk.reopen_alert(1, "ana", "so")


def test_what_cannot_be_done_about_an_alert_is_said(desk):
    with pytest.raises(AlertNotFound, match="no alert 99"):
        desk.dismiss_alert(99, "ana", "so")
    for day in (date.max, date.min):
        with pytest.raises(BadDay, match=f"until is {day}"):
            desk.snooze_alert(1, "ana", "so", day)
    with pytest.raises(MoveNotAllowed, match="Give a reason"):
        desk.dismiss_alert(1, "ana", " ")
    desk.open_case("c-1", "ana", "alert")
    with pytest.raises(MoveNotAllowed, match="Alert 1 is in case"):
        desk.dismiss_alert(1, "ana", "so")


def test_the_alert_of_a_client_is_its_open_one_or_that_of_its_open_case(desk):
    write(desk, score_of("c-2", 0.8, "high"), score_of("c-3", 0.1, "low"), facts=[*ROLLBACK, {}], scored_at=NOW)
    desk.open_case("c-2", "ana", "alert")
    found = desk.alerts_of(["c-1", "c-2", "c-3"])
    assert {client: (one.alert_id, one.rules[0]["rule"]) for client, one in found.items()} == {
        "c-1": (1, "score"), "c-2": (2, "index rollback"),
    }  # fmt: skip
