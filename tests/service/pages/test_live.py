"""The live page, without a browser; tests/browser/test_workflow.py has the browser's part."""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from fairmeter.core.types import Anomaly, DataIncident
from fairmeter.store import ReceivedBatch, StoreUnavailable
from fairmeter.web.http.auth import INVESTIGATOR, VIEWER
from fairmeter.web.pages import live
from tests.builders.desk import add_user, desk_app, some_readings, with_key
from tests.builders.pages import HOSTILE, open_desk, seen
from tests.builders.store import score_of, write

TUNIS, UTC_ZONE = ZoneInfo("Africa/Tunis"), ZoneInfo("UTC")
HOUR = timedelta(hours=1)
CLOCK = r"\d\d:\d\d:\d\d "  # the time at which the part was made


@pytest.fixture
def desk(store):
    return open_desk(store)


def a_batch(received_at, last_at):
    return ReceivedBatch("c-1", received_at, 1, last_at, last_at, 1.0)


def test_an_empty_desk_says_how_readings_and_alerts_come(desk):
    page = seen(desk.get("/desk/live"))
    assert page.status == 200
    assert "No readings have come yet" in page.text
    assert "No alert yet" in page.text
    assert "Nothing came in the last four weeks" in page.text


def test_readings_come_with_their_clients_score_and_lag(store, desk):
    now = datetime.now(UTC)
    write(store, score_of(HOSTILE, 0.97, "critical"))
    clock = (now - 2 * HOUR).replace(tzinfo=None, microsecond=0)
    store.add_readings([(HOSTILE, clock, 1.5)], now)
    store.add_readings([("meter-2", clock - i * HOUR, 2.0) for i in range(3)], now)
    page = seen(desk.get("/desk/live"))
    assert f"{HOSTILE} 97" in page.text
    assert HOSTILE not in page.whole
    assert "1.5 kWh" in page.text
    assert "2 h" in page.text
    assert "meter-2 not scored 6.0" in page.text
    assert "3 readings, " in page.text
    assert "in the last hour, 4 together" in page.text


def test_alerts_are_shown_by_pattern_as_in_the_api(store, desk):
    spike = Anomaly("sudden spike", "high", "2026-01-03", "2026-01-22", 1.4, "3.1 times the usual.")
    write(store, score_of("c-1", 0.1, "low", anomalies=(spike,)), score_of("c-2"), scored_at=datetime.now(UTC))
    for pattern, ids in (
        ("sudden+spike", ["c-1"]),
        ("irregular+hours", []),
        ("", ["c-1", "c-2"]),
        ("odd", ["c-1", "c-2"]),
    ):
        page = seen(desk.get(f"/desk/live?pattern={pattern}"))
        assert sorted(re.findall(r'data-key="a \d+">.*?>(c-\d)</a>', page.whole)) == ids
    assert "3.1 times the usual." in seen(desk.get("/desk/live/feed?pattern=sudden+spike")).text
    rows = desk.get("/alerts?pattern=sudden+spike").json["rows"]
    assert [row["client_id"] for row in rows] == ["c-1"]
    assert desk.get("/alerts?pattern=odd").status_code == 422


def test_what_is_the_datas_fault_and_who_waits_stands_on_the_page_in_the_api_and_in_the_metrics(store, desk):
    incident = DataIncident("same_factor", "A tenth from one day on.", 1234, date(2026, 11, 1), 1200)
    write(store, score_of("c-1"), incidents=[incident], scored_at=datetime.now(UTC))
    store.add_readings([("c-1", datetime(2026, 11, 2), 1.0)])
    text = seen(desk.get("/desk/live")).text
    assert "Data incident, same_factor: 1,234 clients, 1,200 scores held back. A tenth from one day on." in text
    assert "1 clients with new readings wait to be judged" in text
    dashboard = desk.get("/dashboard").json
    assert dashboard["incidents"] == [
        {
            "kind": "same_factor", "text": "A tenth from one day on.", "n_clients": 1234, "since_on": "2026-11-01",
            "n_held_back": 1200,
        }
    ]  # fmt: skip
    assert dashboard["n_unjudged"] == 1
    metrics = desk.get("/metrics").text
    assert 'fairmeter_data_incident_clients{kind="same_factor"} 1234.0' in metrics
    assert 'fairmeter_scores_held_back{kind="same_factor"} 1200.0' in metrics
    assert "fairmeter_clients_unjudged 1.0" in metrics
    write(store, score_of("c-1"), scored_at=datetime.now(UTC))
    assert "Data incident" not in seen(desk.get("/desk/live")).text, "the next run has none"


def test_alerts_come_the_newest_first_with_their_sentence(store, desk):
    write(store, score_of("c-old"), scored_at=datetime.now(UTC) - HOUR)
    write(store, score_of("c-new"), scored_at=datetime.now(UTC))
    store.open_case("c-old", "anna", "On the list.")
    text = seen(desk.get("/desk/live/feed")).text
    assert text.index("c-new") < text.index("c-old")
    assert "in a case" in text
    assert "Alerts raised 2 in the last 24 hours" in text


def test_the_part_that_changes_is_the_page_without_its_frame(desk):
    part = seen(desk.get("/desk/live/feed"))
    assert "<html" not in part.whole
    assert "data-part" in part.whole
    assert re.sub(CLOCK, "", part.text) in re.sub(CLOCK, "", seen(desk.get("/desk/live")).text)


def test_a_rejection_is_shown_by_its_error_and_never_by_its_content(store):
    app = desk_app(store)
    add_user(store, "vera", VIEWER)
    script, key = app.test_client(), with_key(store, INVESTIGATOR)
    body = some_readings(n_days=1)
    body["readings"][0]["consumption_kwh"] = "Xq7-private"
    assert script.post("/readings", json=body, headers=key).status_code == 422
    assert script.post("/readings", data=b"{", content_type="application/json", headers=key).status_code in (400, 422)
    assert script.post("/readings", json=body).status_code == 401  # without an identity: not stored
    page = seen(script.get("/desk/live", headers=with_key(store, VIEWER)))
    assert "Refused 2 messages" in page.text
    assert "Xq7-private" not in page.whole
    assert store.last_rejection(datetime.now(UTC) - HOUR).why in page.text


def test_a_rejection_that_cannot_be_stored_fails_nothing(store, monkeypatch):
    def away(*_args, **_options):
        raise StoreUnavailable("The database does not answer.")

    script, key = desk_app(store).test_client(), with_key(store, INVESTIGATOR)
    monkeypatch.setattr(store, "count_rejected", away)
    assert script.post("/readings", json={"readings": []}, headers=key).status_code == 422


def test_the_lag_is_counted_by_the_utilitys_clock():
    noon = datetime(2026, 11, 2, 12, tzinfo=UTC)  # 13:00 in Tunis
    batch = a_batch(noon, datetime(2026, 11, 2, 12))
    assert live.lag(batch, TUNIS) == HOUR
    assert live.lag(batch, UTC_ZONE) == timedelta(0)


@pytest.mark.parametrize(
    ("lag", "written"),
    [
        (timedelta(seconds=45), "45 s"),
        (timedelta(0), "0 s"),
        (timedelta(minutes=75), "1 h 15 min"),
        (timedelta(hours=2), "2 h"),
        (timedelta(days=2, hours=3, minutes=4), "2 d 3 h"),
        (timedelta(days=1, minutes=5), "1 d"),
        (-timedelta(minutes=5), "\u22125 min"),
    ],
)
def test_a_lag_is_written_in_its_two_largest_units(lag, written):
    assert live.format_lag(lag) == written


def test_hours_of_the_week_are_those_of_the_utilitys_clock():
    sunday_night = datetime(2026, 11, 1, 23, tzinfo=UTC)  # Monday, 0 h in Tunis
    hours = live.counts_by_weekday_and_hour({sunday_night: 5, sunday_night - timedelta(days=7): 2}, TUNIS)
    assert hours[0][0] == 7
    assert sum(map(sum, hours)) == 7
    assert live.counts_by_weekday_and_hour({sunday_night: 5}, UTC_ZONE)[6][23] == 5


def test_the_last_hour_is_shown_by_minute_and_small_counts_stay_visible():
    now = datetime(2026, 11, 2, 12, 30, 59, tzinfo=UTC)
    minute = now.replace(second=0)
    minutes = live.counts_by_minute({minute: 600, minute - timedelta(minutes=59): 1, minute - HOUR: 9}, now)
    assert (len(minutes), minutes[0], minutes[-1], sum(minutes)) == (60, 1, 600, 601)
    assert live.bar_heights(minutes)[:2] == [1.0, 0.0]
    assert live.bar_heights(minutes)[-1] == live.BAR
    assert live.bar_heights([0] * 60) == [0.0] * 60


def test_the_heat_map_shows_what_is_asked_for_if_there_is_any(store, desk):
    write(store, scored_at=datetime.now(UTC) - HOUR)
    assert "When alerts were raised" in seen(desk.get("/desk/live")).text
    store.add_readings([("c-1", datetime(2026, 11, 2), 1.0)])
    assert "When readings came" in seen(desk.get("/desk/live?heat=<b>")).text
    assert "When alerts were raised" in seen(desk.get("/desk/live?heat=alerts")).text
