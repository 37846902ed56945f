"""Alerts as runs raise them: one a client, none beside a case or soon after a visit, each told once."""

from datetime import date, timedelta

import pytest

from fairmeter.casework.alert_rules import NotificationRule
from fairmeter.store import BadQuery
from fairmeter.store.engine import upsert as bulk
from fairmeter.store.notifications import due_at, wait_after
from fairmeter.store.runs import RunSummary
from tests.builders.store import NOW, clients_of, score_of, shipped_rules, write

LOW = score_of(probability=0.1, severity="low")
ROLLBACK = [{"n_index_rollbacks": 1.0}]


def alerts_of(store, **query) -> list[tuple]:
    return [(alert.client_id, alert.severity, alert.state) for alert in store.list_alerts(**query).rows]


def test_a_score_and_facts_raise_an_alert_that_says_which_rules(store):
    clients = clients_of(client_id=["c-1"], region=[103], category=[11])
    assert write(store, score_of(), facts=ROLLBACK, clients=clients) == RunSummary(1, 1, 0, 0)
    (alert,) = store.list_alerts().rows
    assert [rule["rule"] for rule in alert.rules] == ["index rollback", "score"]
    assert (alert.severity, alert.probability, alert.region, alert.raised_at) == ("critical", 0.7, 103.0, NOW)
    assert store.find_alert(alert.alert_id) == store.open_alert_of("c-1") == alert


def test_scoring_again_updates_the_alert_and_makes_no_second_one(store):
    write(store, score_of(severity="medium", probability=0.5))
    assert write(store, score_of(severity="high"), scored_at=NOW + timedelta(days=1)) == RunSummary(1, 0, 1, 0)
    (alert,) = store.list_alerts(state=None).rows
    assert (alert.severity, alert.probability, alert.raised_at) == ("high", 0.7, NOW)
    assert alert.updated_at == NOW + timedelta(days=1)


def test_an_alert_that_nothing_speaks_for_any_more_lapses_and_may_come_back(store):
    write(store)
    assert write(store, LOW) == RunSummary(1, 0, 0, 1)
    assert alerts_of(store) == []
    assert write(store) == RunSummary(1, 1, 0, 0)
    assert alerts_of(store, state=None, sort="id") == [("c-1", "high", "open"), ("c-1", "high", "lapsed")]


def test_facts_that_a_run_does_not_bring_go_on_speaking(store):
    write(store, LOW, facts=ROLLBACK)
    assert write(store, LOW) == RunSummary(1, 0, 1, 0)
    assert write(store, LOW, facts=[{}]) == RunSummary(1, 0, 0, 1)


def test_clients_of_other_runs_keep_their_alerts(store):
    write(store, score_of("a"), score_of("b"))
    write(store, score_of("c"))
    assert sorted(alert[0] for alert in alerts_of(store)) == ["a", "b", "c"]


@pytest.mark.parametrize("few", [0, 500], ids=["by their range", "one by one"])
def test_a_run_of_many_looks_up_its_own_clients_and_leaves_those_between_alone(store, monkeypatch, few):
    monkeypatch.setattr(bulk, "MAX_IDS", few)
    ids = ["a", "b", "c", "d", "e"]
    codes = clients_of(client_id=ids, region=[101, 102, 103, 104, 105])
    write(store, *(score_of(id_) for id_ in ids), clients=codes, facts=ROLLBACK * 5)
    ended = [score_of(id_, 0.01, "low") for id_ in ("d", "b")]
    assert write(store, *ended, facts=[{}, {}]) == RunSummary(2, 0, 0, 2)
    assert sorted(alert[0] for alert in alerts_of(store)) == ["a", "c", "e"]
    assert write(store, *ended, score_of("c", 0.02, "low")) == RunSummary(3, 0, 1, 0)  # what is known of "c" speaks on
    regions = {row.client_id: row.region for row in store.list_profiles().rows}
    assert regions == {"a": 101.0, "b": 102.0, "c": 103.0, "d": 104.0, "e": 105.0}


def test_a_client_with_an_open_case_gets_no_alert(store):
    write(store, LOW)
    case = store.open_case("c-1", "ana", "a neighbour called")
    assert write(store, score_of(), facts=ROLLBACK) == RunSummary(1, 0, 0, 0)
    store.move_case(case.case_id, "closed", "ana", "seen from the street")
    assert store.work_states(shipped_rules()) != {}


@pytest.mark.parametrize(("outcome", "days"), [("cleared", 365), ("confirmed", 180), ("refused", 7)])
def test_a_client_gets_no_alert_within_the_quiet_days_after_a_visit(store, outcome, days):
    write(store)
    case = store.open_case("c-1", "ana", "alert", assignee="bo")
    store.move_case(case.case_id, "inspecting", "bo", "on the way")
    visited_on = store.find_case(case.case_id).updated_at.date()
    store.record_inspection(case.case_id, outcome, visited_on, "bo")
    last = NOW.replace(year=visited_on.year, month=visited_on.month, day=visited_on.day) + timedelta(days=days - 1)
    assert write(store, scored_at=last).n_raised == 0
    assert write(store, scored_at=last + timedelta(days=1)).n_raised == 1


def test_the_last_visit_decides_how_long_a_client_is_left_in_peace(store):
    write(store)
    for outcome in ("cleared", "refused"):
        case = store.open_case("c-1", "ana", "alert", assignee="bo")
        store.move_case(case.case_id, "inspecting", "bo", "on the way")
        store.record_inspection(case.case_id, outcome, date(2026, 11, 2), "bo")
    (state,) = store.work_states(shipped_rules(), date(2026, 11, 3)).values()
    assert state.why == "inspected on 2026-11-02: refused; in peace until 2026-11-09"


def test_alerts_are_listed_by_severity_region_and_day(store):
    clients = clients_of(client_id=["a", "b", "c"], region=[1, 2, 2])
    first = [score_of("a", severity="medium"), score_of("b", severity="critical")]
    write(store, *first, clients=clients)
    write(store, score_of("c"), clients=clients, scored_at=NOW + timedelta(days=1))
    assert [alert[0] for alert in alerts_of(store)] == ["b", "c", "a"]
    assert alerts_of(store, sort="raised")[0] == ("c", "high", "open")
    assert alerts_of(store, region=2.0, severity="high") == [("c", "high", "open")]
    assert alerts_of(store, raised_since=NOW + timedelta(days=1)) == [("c", "high", "open")]
    assert len(alerts_of(store, raised_until=NOW + timedelta(days=1))) == 2
    page = store.list_alerts(limit=2)
    assert [alert.client_id for alert in store.list_alerts(limit=2, after=page.next).rows] == ["a"]
    assert store.count_alerts() == {"critical": 1, "high": 1, "medium": 1, "low": 0}
    with pytest.raises(BadQuery, match="sort is 'name'"):
        store.list_alerts(sort="name")


# --- the outbox -------------------------------------------------------------------------------------------------------

SOON = NOW + timedelta(days=1)


def test_an_alert_is_told_when_it_is_raised_and_again_only_when_it_gets_graver(store):
    for severity, n_waiting in (("medium", 1), ("medium", 1), ("high", 2), ("medium", 2), ("high", 2), ("critical", 3)):
        write(store, score_of(severity=severity))
        assert store.count_notices()["waiting"] == n_waiting, severity


def test_grave_alerts_are_told_at_once_and_others_gathered(store):
    write(store, score_of("a", severity="critical"), score_of("b", severity="medium"), LOW)
    now = store.claim_notices(NOW)
    assert [(notice.severity, notice.title) for notice in now.notices] == [("critical", "Critical alert 1: client a")]
    assert "- Electricity fell 62 % after March 2026." in now.notices[0].body
    assert store.settle_notices(now, True, None, NOW)
    later = store.claim_notices(SOON)
    assert [notice.severity for notice in later.notices] == ["medium"]


@pytest.mark.parametrize(("hour", "days", "at"), [(None, 0, 12), (13, 0, 13), (12, 0, 12), (5, 1, 5)])
def test_what_is_gathered_goes_out_at_the_next_such_hour(hour, days, at):
    assert due_at(NotificationRule("desk", "high", hour), NOW) == NOW.replace(hour=at) + timedelta(days=days)


def test_a_claimed_notice_is_nobody_elses_until_its_lease_ends(store):
    write(store, score_of(severity="critical"))
    claim = store.claim_notices(NOW)
    assert store.claim_notices(NOW + timedelta(minutes=4)) is None
    again = store.claim_notices(NOW + timedelta(minutes=5))
    assert again.notices == claim.notices
    assert store.settle_notices(claim, True) is False, "its lease was lost"
    assert store.settle_notices(again, True) is True
    assert store.count_notices() == {"waiting": 0, "sent": 1, "given up": 0}


def test_what_cannot_be_sent_is_tried_ever_later_and_given_up_in_the_end(store):
    write(store, score_of(severity="critical"))
    now, waits = NOW, []
    while (claim := store.claim_notices(now)) is not None:
        store.settle_notices(claim, False, "the server says no", now)
        waits.append(wait_after(len(waits) + 1))
        now += waits[-1]
    assert (len(waits), waits[0], waits[1], waits[-1]) == (
        12, timedelta(minutes=1), timedelta(minutes=2), timedelta(hours=12),
    )  # fmt: skip
    assert store.count_notices() == {"waiting": 0, "sent": 0, "given up": 1}
