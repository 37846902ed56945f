"""The desk's routes over a store, on SQLite and PostgreSQL: what is kept, told, moved and refused."""

import csv
import io
import json
from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given

from fairmeter.desk.runs import Rescorer
from fairmeter.evaluation.conformal_selection import calibration_table, select
from fairmeter.store import Profile, Series, StoreUnavailable
from fairmeter.web.desk_api import access_models, schemas
from fairmeter.web.desk_api.bodies import EXAMPLES
from fairmeter.web.http.auth import INVESTIGATOR
from tests.builders.desk import ForDesk, desk_app, moved, opened, recorded, some_readings, with_key
from tests.builders.examples import fewer
from tests.builders.service import JSON_VALUES, PRIVATE, a_body, error_in, fuzzed
from tests.builders.store import score_of, shipped_rules


@pytest.fixture
def desk(store, tmp_path):
    """A script's client at the desk; each of its requests has an investigator's key."""
    client = desk_app(store, photos=tmp_path / "photos").test_client()
    headers = with_key(store, INVESTIGATOR, "script")
    client.environ_base["HTTP_X_API_KEY"] = headers["X-API-Key"]
    return client


def got(desk, path, status=200):
    answer = desk.get(path)
    assert answer.status_code == status, answer.text
    return answer.json


def rows(desk, path):
    return got(desk, path)["rows"]


def lines(answer):
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "text/csv"
    return list(csv.reader(io.StringIO(answer.text)))


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_predict_keeps_a_client_only_where_it_is_asked_to(desk):
    body = a_body("c-1", level=300)
    plain = desk.post("/predict", json=body).json
    assert rows(desk, "/clients") == []
    assert desk.post("/predict?record=1", json=body).json == plain
    [row] = rows(desk, "/clients")
    assert (row["client_id"], row["probability"], row["severity"]) == ("c-1", plain["probability"], "high")


def test_a_client_without_an_id_is_judged_and_not_kept(desk):
    body = a_body()
    del body["client"]["client_id"]
    error = error_in(desk.post("/predict?record=1", json=body), 422)
    assert error["fields"][0]["path"] == "client.client_id"
    assert rows(desk, "/clients") == []


def test_aggregates_are_kept_too(desk):
    assert desk.post("/predict?record=1", json={"client_id": "f-1", "age_months": 3}).status_code == 200
    assert got(desk, "/consumer/f-1")["probability"] == 0.25


def test_a_profile_tells_all_that_is_known_of_a_client(desk):
    recorded(desk, ["c-1"], {})
    opened(desk, "c-1", {}, assignee="anna")
    profile = got(desk, "/consumer/c-1")
    assert profile["client"]["client_id"] == "c-1"
    assert profile["reasons"] == [{"group": "level", "effect": 0.2, "text": "High."}]
    assert (profile["series"]["step"], len(profile["series"]["kwh"])) == ("month", 5)
    assert profile["facts"]["score_of_invoices"] == profile["probability"]
    assert [past["severity"] for past in profile["trend"]] == ["high"]
    assert (profile["alert"]["state"], profile["case"]["assignee"]) == ("in case", "anna")


def test_an_id_with_a_slash_finds_its_client(desk):
    recorded(desk, ["a/b c"], {})
    assert got(desk, "/consumer/a/b%20c")["client"]["client_id"] == "a/b c"


def test_a_client_that_nobody_scored_is_a_404_that_does_not_repeat_the_id(desk):
    assert PRIVATE not in error_in(desk.get(f"/consumer/{PRIVATE}"), 404)["message"]


# --- readings ---------------------------------------------------------------------------------------------------------


def test_readings_are_kept_once_and_their_client_is_judged(desk):
    first = desk.post("/readings", json=some_readings(n_days=3)).json
    assert (first["n_new"], first["n_duplicate"], first["n_rescored"]) == (3, 0, 1)
    again = desk.post("/readings", json=some_readings(n_days=4)).json
    assert (again["n_new"], again["n_duplicate"], again["n_rescored"]) == (1, 3, 1)
    assert desk.post("/readings", json=some_readings(n_days=4)).json["n_rescored"] == 0
    profile = got(desk, "/consumer/m-1")
    assert profile["probability"] == pytest.approx(46 / 146)  # 10 + 11 + 12 + 13 kWh, of which the scorer makes this
    assert profile["series"]["kwh"] == [10.0, 11.0, 12.0, 13.0]
    assert got(desk, "/dashboard")["n_readings"] == 4


def test_what_differs_comes_late_or_out_of_order_is_counted(desk):
    desk.post("/readings", json=some_readings(n_days=4))
    other = some_readings(n_days=1, kwh=50.0)
    assert desk.post("/readings", json=other).json["n_differing"] == 1
    missed = {"readings": [{"client_id": "m-1", "read_at": "2014-02-28", "consumption_kwh": 1}]}
    told = desk.post("/readings", json=missed).json
    assert (told["n_new"], told["n_late"], told["n_out_of_order"]) == (1, 1, 1)
    counts = desk.get("/metrics").text
    assert 'fairmeter_readings_total{kind="new"} 5.0' in counts
    assert 'fairmeter_readings_total{kind="out_of_order"} 1.0' in counts


def test_readings_add_to_what_the_invoices_said(desk):
    recorded(desk, ["c-1"], {}, level=50)
    before = got(desk, "/consumer/c-1")["probability"]
    assert before == 0.5
    desk.post("/readings", json=some_readings("c-1", n_days=3))
    profile = got(desk, "/consumer/c-1")
    # Odds of the readings, 33 to 100, times those of the invoices, 1, over those of the prior, 1 to 9.
    assert profile["probability"] == pytest.approx(2.97 / 3.97)
    assert "invoices_as_scored" in [flag["flag"] for flag in profile["quality"]]
    desk.post("/readings", json=some_readings("c-1", n_days=4))
    assert got(desk, "/consumer/c-1")["facts"]["score_of_invoices"] == 0.5


def test_readings_go_on_from_the_days_that_came_in_files(desk, store):
    days = Series("day", date(2014, 2, 26), np.array([20.0, np.nan, 30.0], np.float32))
    store.write_run([score_of("m-1", 0.3)], "1", shipped_rules(), series={"m-1": days})
    desk.post("/readings", json=some_readings("m-1", n_days=2))
    profile = got(desk, "/consumer/m-1")
    assert profile["series"]["kwh"] == [20.0, None, 30.0, 10.0, 11.0]
    assert profile["probability"] == pytest.approx(71 / 171)


def test_a_client_with_too_few_readings_keeps_the_score_that_it_had():
    before = Profile({}, score_of("m-1", 0.3), {}, None, None, "1", datetime(2014, 3, 1, tzinfo=UTC))
    rescorer = Rescorer(ForDesk())
    none = {"client_id": np.array([], object), "read_at": np.array([], "M8[s]"), "consumption_kwh": np.array([])}
    [kept], _ = rescorer.rescore(["m-1"], {"m-1": before}, none, {})
    assert kept is before.score
    [unknown], _ = rescorer.rescore(["m-1"], {}, none, {})
    assert unknown.probability is None


def deleted(desk, **changes):
    query = {"client_id": "m-1", "since": "2014-03-02", "until": "2014-03-04", "why": "of another meter"} | changes
    return desk.delete("/readings", query_string=query)


def test_readings_that_should_never_have_come_are_deleted_and_their_client_is_judged(desk, store):
    desk.post("/readings", json=some_readings(n_days=3))
    answer = deleted(desk)
    assert (answer.status_code, answer.json) == (200, {"n_deleted": 2, "n_rescored": 1, "n_waiting": 0})
    profile = got(desk, "/consumer/m-1")
    assert profile["probability"] == pytest.approx(10 / 110)
    assert [former.source for former in store.former_readings_of("m-1")] == ["DELETE /readings"] * 2
    assert deleted(desk).json == {"n_deleted": 0, "n_rescored": 0, "n_waiting": 0}


@pytest.mark.parametrize(
    ("change", "status", "path"),
    [
        ({"since": "soon"}, 422, "since"),
        ({"since": "1393718400"}, 422, "since"),
        ({"until": "2014-03-02"}, 422, "until"),
        ({"kwh": 1}, 422, "kwh"),
        ({"client_id": "nobody"}, 404, None),
        ({"why": " "}, 409, None),
    ],
)
def test_a_period_that_is_none_is_refused_by_name_and_nothing_is_deleted(desk, change, status, path):
    desk.post("/readings", json=some_readings(n_days=3))
    error = error_in(deleted(desk, **change), status)
    assert path is None or error["fields"][0]["path"] == path
    assert got(desk, "/dashboard")["n_readings"] == 3


def test_a_viewer_deletes_nothing(store):
    viewer = desk_app(store).test_client()
    viewer.environ_base["HTTP_X_API_KEY"] = with_key(store, "viewer")["X-API-Key"]
    assert deleted(viewer).status_code == 403


BAD_READINGS = [
    ({"client_id": ""}, "readings.0.client_id"),
    ({"client_id": "a\0b"}, "readings.0.client_id"),
    ({"client_id": "/m-1"}, "readings.0.client_id"),
    ({"read_at": "soon"}, "readings.0.read_at"),
    ({"read_at": "20261025"}, "readings.0.read_at"),
    ({"read_at": "1761350400"}, "readings.0.read_at"),
    ({"read_at": 1761350400}, "readings.0.read_at"),
    ({"read_at": ""}, "readings.0.read_at"),
    ({"consumption_kwh": None}, "readings.0.consumption_kwh"),
    ({"consumption_kwh": 1e300}, "readings.0.consumption_kwh"),
    ({"consumption_kwh": None, "quality": "estimated"}, "readings.0.consumption_kwh"),
    ({"minutes": 0}, "readings.0.minutes"),
    ({"export_kwh": -1}, "readings.0.export_kwh"),
    ({"quality": "guessed"}, "readings.0.quality"),
    ({"kwh": 1}, "readings.0.kwh"),
]


def test_a_bad_reading_is_a_422_that_says_where_and_nothing_is_kept(desk):
    for change, path in BAD_READINGS:
        body = {"readings": [some_readings()["readings"][0] | change]}
        error = error_in(desk.post("/readings", json=body), 422)
        assert [field["path"] for field in error["fields"]] == [path]
    assert got(desk, "/dashboard")["n_readings"] == 0


def test_what_readings_state_besides_their_consumption_counts_when_their_client_is_judged(desk, store):
    sent = some_readings(n_days=4)["readings"]
    sent[1] |= {"minutes": 2 * 24 * 60}  # of two days: the third has no reading of its own
    sent[2] |= {"read_at": "2014-03-05", "quality": "missing", "consumption_kwh": None}
    sent[3] |= {"quality": "estimated", "export_kwh": 2.5}
    assert desk.post("/readings", json={"readings": sent}).json["n_new"] == 4
    assert store.readings_of(["m-1"])["export_kwh"][2] == 2.5
    profile = got(desk, "/consumer/m-1")
    assert {"estimated_readings"} == {flag["flag"] for flag in profile["quality"]} & {"estimated_readings", "gap_days"}
    assert profile["series"]["kwh"] == [10.0, 5.5, 5.5], "an estimate is no evidence"


@pytest.mark.parametrize("moment", ["2014-03-04", "2014-03-04T00:00:00Z", "04/03/2014", "04/03/2014 00:00"])
def test_readings_take_the_dates_that_files_take(desk, moment):
    body = {"readings": [some_readings()["readings"][0] | {"read_at": moment}]}
    assert desk.post("/readings", json=body).json["n_new"] == 1
    assert got(desk, "/consumer/m-1")["series"]["first_on"] == "2014-03-04"


# --- alerts and cases -------------------------------------------------------------------------------------------------


def test_an_alert_says_which_rule_raised_it(desk):
    recorded(desk, ["c-1", "c-1"], {})
    [alert] = rows(desk, "/alerts")
    # Both invoices show the same two index levels: the second begins below the end of the first.
    assert [(rule["rule"], rule["severity"]) for rule in alert["rules"]] == [
        ("index rollback", "critical"),
        ("score", "high"),
    ]
    assert (alert["severity"], alert["state"]) == ("critical", "open")
    assert rows(desk, "/alerts?severity=high") == []
    assert len(rows(desk, "/alerts?state=all")) == 1


def test_a_case_goes_from_new_to_closed_and_every_move_says_who_and_why(desk):
    recorded(desk, ["c-1"], {})
    case = opened(desk, "c-1", {})
    assert (case["state"], case["version"], case["opened_by"]) == ("new", 1, "key script")
    case = moved(desk, case, "assigned", {}, assignee="anna").json
    case = moved(desk, case, "inspecting", {}).json
    visit = desk.post("/cases/1/inspections", json=EXAMPLES["NewInspection"] | {"version": case["version"]})
    assert visit.status_code == 201, visit.text
    told = got(desk, "/cases/1")
    assert (told["state"], told["outcome"]) == ("closed", "confirmed")
    assert [move["to_state"] for move in told["moves"]] == ["new", "assigned", "inspecting", "closed"]
    assert {move["user"] for move in told["moves"]} == {"key script"}
    assert all(move["why"] for move in told["moves"])


def test_whoever_comes_second_hears_who_has_the_case(desk):
    recorded(desk, ["c-1"], {})
    seen = opened(desk, "c-1", {})
    assert moved(desk, seen, "assigned", {}, assignee="anna").status_code == 200
    error = error_in(moved(desk, seen, "assigned", {}, assignee="ben"), 409)
    assert error["code"] == "case_taken"
    assert "anna has it" in error["message"]
    second = desk.post("/cases", json={"client_id": "c-1", "why": "x"})
    assert "anna" in error_in(second, 409)["message"]


CANNOT = [
    ("/cases", {"client_id": "unknown", "why": "x"}, 404),
    ("/cases/99/moves", {"to": "assigned", "why": "x", "assignee": "anna"}, 404),
    ("/cases/99/inspections", {"outcome": "cleared", "inspected_on": "2014-01-01"}, 404),
    ("/cases/1/moves", {"to": "inspecting", "why": "x"}, 409),
    ("/cases/1/moves", {"to": "assigned", "why": "x"}, 409),
    ("/cases/1/inspections", {"outcome": "cleared", "inspected_on": "2014-01-01"}, 409),
    ("/cases/1/moves", {"to": "lost", "why": "x"}, 422),
    ("/cases/1/inspections", {"outcome": "guilty", "inspected_on": "2014-01-01"}, 422),
    ("/cases/1/inspections", {"outcome": "cleared", "inspected_on": "2014-02-31"}, 422),
    ("/cases/1/inspections", {"outcome": "cleared", "inspected_on": "2014-01-01", "recovered_kwh": -1}, 422),
    ("/cases/0/moves", {"to": "assigned", "why": "x"}, 422),
    ("/cases/99999999999999999999/moves", {"to": "assigned", "why": "x"}, 422),
    ("/cases", {"client_id": "c-2"}, 422),
    ("/cases", {"client_id": "c-2", "why": "a\0b"}, 422),
    ("/cases", {"client_id": "c-2", "why": "x", "mood": 1}, 422),
    ("/cases", ["c-1"], 400),
]


def test_what_cannot_be_done_says_so_in_the_shape_of_errors(desk):
    recorded(desk, ["c-1", "c-2"], {})
    opened(desk, "c-1", {})
    for path, body, status in CANNOT:
        assert error_in(desk.post(path, json=body), status)["message"].endswith("."), (path, body)
    assert [move["to_state"] for move in got(desk, "/cases/1")["moves"]] == ["new"]


def test_a_body_that_is_not_json_is_a_400(desk):
    for data in (b"", b"{", b'{"why": "\\ud800"}', b"null"):
        for path in ("/cases", "/readings", "/cases/1/moves", "/cases/1/inspections", "/session"):
            answer = desk.post(path, data=data, content_type="application/json")
            assert error_in(answer, answer.status_code)["message"]
            assert answer.status_code in (400, 422)


# --- lists ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 100_000, b'{"version": NaN}', b'{"why": "\\ud800"}', b'{"why": "\xe9"}', b""]
)
@pytest.mark.parametrize("path", ["/cases", "/cases/1/moves", "/cases/1/inspections", "/readings", "/session"])
def test_a_body_that_pythons_own_parser_falls_over_or_takes_is_a_400_too(desk, path, body):
    assert error_in(desk.post(path, data=body, content_type="application/json"), 400)["code"] == "bad_json"


def test_pages_follow_one_another_without_gap_or_repetition(desk, store):
    scores = [score_of(f"c-{i:02d}", 0.5 + 0.02 * (i % 5)) for i in range(12)]
    store.write_run(scores, "1", shipped_rules())
    seen, after = [], ""
    while after is not None:
        page = got(desk, f"/clients?limit=5{after and '&after=' + after}")
        seen += [row["client_id"] for row in page["rows"]]
        after = page["next"]
    assert sorted(seen) == [score.client_id for score in scores]
    assert len(got(desk, "/clients?id_prefix=c-1&limit=50")["rows"]) == 2
    assert len(got(desk, "/clients?least_score=0.57&limit=50")["rows"]) == 2


def test_a_client_that_is_recorded_keeps_its_invoices_until_others_come(desk, store):
    recorded(desk, ["c-1"], {})
    assert store.find_profile("c-1").invoices["consumption"].tolist() == [310.0, 310.0]  # 300 and 10 of the two levels
    desk.post("/readings", json=some_readings("c-1"))
    assert len(store.find_profile("c-1").invoices) == 2
    desk.post("/predict?record=1", json=a_body("c-1", n_invoices=3))
    assert len(store.find_profile("c-1").invoices) == 3


def test_csv_holds_every_row_and_no_formula(desk, store):
    scores = [score_of(f"=c-{i}", 0.6) for i in range(1005)]
    store.write_run(scores, "1", shipped_rules())
    answer = desk.get("/clients?format=csv&limit=1")
    header, *found = lines(answer)
    assert header == list(schemas.ClientRow.model_fields)
    assert {row[0] for row in found} == {f"'{score.client_id}" for score in scores}
    assert 'filename="clients.csv"' in answer.headers["Content-Disposition"]
    assert lines(desk.get("/alerts?format=csv"))[1][4] == "score"


def test_inspections_are_told_as_a_sheet(desk):
    recorded(desk, ["c-1"], {})
    case = opened(desk, "c-1", {}, assignee="anna")
    moved(desk, case, "inspecting", {})
    body = {"outcome": "confirmed", "inspected_on": "2014-09-02", "note": "=HYPERLINK(1)"}
    desk.post("/cases/1/inspections", json=body)
    header, row = lines(desk.get("/inspections.csv"))
    found = dict(zip(header, row, strict=True))
    assert (found["client_id"], found["outcome"], found["note"]) == ("c-1", "confirmed", "'=HYPERLINK(1)")
    assert lines(desk.get("/inspections.csv?since=2014-09-03"))[1:] == []
    assert got(desk, "/dashboard")["hit_rates"]["all"][0]["hit_rate"] == 1.0


def test_the_list_has_the_best_first_and_leaves_out_whom_somebody_works_on(desk, store):
    store.write_run([score_of(f"c-{i}", 0.5 + i / 100) for i in range(10)], "1", shipped_rules())
    opened(desk, "c-9", {})
    told = got(desk, "/list?visits=3&random_share=0")
    assert [row["client_id"] for row in told["rows"]] == ["c-8", "c-7", "c-6"]
    assert told["n_left_out"] == 1
    assert lines(desk.get("/list?visits=3&random_share=0&format=csv"))[1][1] == "c-8"


def test_a_share_of_the_visits_is_drawn_at_random_and_stays_all_week(desk, store):
    store.write_run([score_of(f"c-{i}", 0.5 + i / 100) for i in range(10)], "1", shipped_rules())
    told = got(desk, "/list?visits=4&random_share=0.5")
    drawn = [row["client_id"] for row in told["rows"] if row["is_random"]]
    assert [row["is_random"] for row in told["rows"]] == [False, False, True, True]
    assert len({row["client_id"] for row in told["rows"]}) == 4
    again = got(desk, "/list?visits=4&random_share=0.5")["rows"]
    assert [row["client_id"] for row in again if row["is_random"]] == drawn


def test_a_promise_of_false_alarms_lists_whom_all_stored_scores_allow(desk, store, monkeypatch):
    error = error_in(desk.get("/list?false_alarms=0.5"), 422)
    assert [bad["path"] for bad in error["fields"]] == ["false_alarms"]  # this model promises nothing
    honest = calibration_table(np.zeros(9), np.arange(9) / 10)  # a score above 0.8 has the p-value 1/10
    monkeypatch.setitem(ForDesk.manifest, "promise", honest)
    scores = [0.95, 0.9, 0.85, 0.8, 0.45, 0.0, None]
    store.write_run([score_of(f"c-{i}", score) for i, score in enumerate(scores)], "1", shipped_rules())
    for share, n in ((0.19, 0), (0.21, 3), (0.31, 4), (0.59, 4), (0.61, 5), (1.0, 6)):
        listed = got(desk, f"/list?visits=9&random_share=0&false_alarms={share}")["rows"]
        assert sorted(row["client_id"] for row in listed) == [f"c-{i}" for i in range(n)], share
        assert select(np.array(scores, np.float64), honest, share).is_listed.sum() == n


BAD_FILTERS = [
    ("/clients?limit=0", "limit"),
    ("/clients?limit=x", "limit"),
    ("/clients?sort=mood", "sort"),
    ("/clients?region=nan", "region"),
    ("/clients?least_score=2", "least_score"),
    ("/clients?after=nonsense", "after"),
    ("/clients?colour=red", "colour"),
    ("/clients?id_prefix=%00", "id_prefix"),
    ("/alerts?severity=odd", "severity"),
    ("/alerts?raised_since=soon", "raised_since"),
    ("/cases?state=lost", "state"),
    ("/list?visits=0", "visits"),
    ("/inspections.csv?since=x", "since"),
]


def test_a_filter_that_means_nothing_is_a_422_that_says_which(desk):
    for path, field in BAD_FILTERS:
        assert [bad["path"] for bad in error_in(desk.get(path), 422)["fields"]] == [field], path


def test_moments_without_an_offset_are_utc(desk):
    recorded(desk, ["c-1"], {})
    for moment, n in (("2014-01-01T00:00:00", 1), ("2014-01-01", 1), ("2999-01-01T00:00:00%2B01:00", 0)):
        assert len(rows(desk, f"/clients?scored_since={moment}")) == n


# --- the whole --------------------------------------------------------------------------------------------------------

ANSWERS = {
    "/consumer/{client_id}": schemas.RiskProfile,
    "/clients": schemas.ClientPage,
    "/dashboard": schemas.Dashboard,
    "/alerts": schemas.AlertPage,
    "/cases": schemas.CasePage,
    "/cases/{case_id}": schemas.CaseWithMoves,
    "/list": schemas.VisitList,
    "/session": access_models.SessionResponse,
}
IN_ORDER = ("/cases", "/cases/{case_id}/moves", "/cases/{case_id}/inspections", "/readings")


def test_every_example_of_every_route_of_the_desk_is_answered_as_documented(desk):
    document = desk.get("/openapi.json").json
    recorded(desk, ["c-17"], {})
    for path in IN_ORDER:
        [example] = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"].values()
        answer = desk.post(path.format(case_id=1), json=example["value"])
        assert answer.status_code in (200, 201), answer.text
    for path, model in ANSWERS.items():
        assert document["paths"][path]["get"]["security"]
        model.model_validate(got(desk, path.format(client_id="c-17", case_id=1)), extra="forbid")
    assert {path for path in document["paths"] if path not in ANSWERS} >= {"/readings", "/inspections.csv"}


def test_the_dashboard_counts_what_there_is(desk, store):
    store.write_run([score_of(f"c-{i}", 0.7) for i in range(3)], "1", shipped_rules())
    opened(desk, "c-0", {}, assignee="anna")
    told = got(desk, "/dashboard")
    assert (told["n_clients"], told["clients_by_severity"]["high"]) == (3, 3)
    assert told["alerts_by_severity"]["high"] == 2
    assert told["cases_by_state"]["assigned"] == 1
    assert [run["n_clients"] for run in told["trend"]] == [3]


def test_a_database_that_does_not_answer_is_a_503_and_is_counted(desk, store, monkeypatch):
    def gone(*_args, **_options):
        raise StoreUnavailable("The database does not answer; nothing was written, try again.")

    monkeypatch.setattr(store, "list_cases", gone)
    answer = desk.get("/cases")
    assert error_in(answer, 503)["code"] == "store_unavailable"
    assert answer.headers["Retry-After"]
    assert "fairmeter_store_errors_total 1.0" in desk.get("/metrics").text
    monkeypatch.setattr(store, "ping", gone)
    assert error_in(desk.get("/ready"), 503)["code"] == "store_unavailable"
    assert desk.post("/predict", json=a_body()).status_code == 200


# An example is fifty requests.
FUZZ = fewer(2, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@FUZZ
@given(JSON_VALUES)
def test_no_body_and_no_filter_is_ever_a_500(desk, value):
    data = fuzzed(dict.fromkeys(("client_id", "why", "to", "assignee", "readings", "outcome", "password"), value))
    for path in ("/cases", "/cases/1/moves", "/cases/1/inspections", "/readings", "/session"):
        assert desk.post(path, data=data, content_type="application/json").status_code < 500
    for path in ("/clients", "/alerts", "/cases", "/list", "/inspections.csv", "/consumer/x"):
        names = ("after", "limit", "region", "id_prefix", "client_id", "since", "scored_since", "assignee")
        for name in names:
            assert desk.get(path, query_string={name: json.dumps(value)}).status_code < 500
