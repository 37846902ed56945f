"""What plans, campaigns, rules, settings and the map read, on both databases."""

from datetime import UTC, datetime, timedelta

from fairmeter.core.types import TAMPERING, Anomaly
from tests.builders.store import clients_of, score_of, write

TODAY = datetime.now(UTC).date()
WHY = "On the list."


def filled(store):
    tampered = (Anomaly(TAMPERING, "high", "2026-01-01", "2026-02-01", 2.0, "The index went back."),)
    scores = score_of("c-1", 0.9, "critical", anomalies=tampered), score_of("c-2"), score_of("c-3", 0.1, "low")
    places = clients_of(
        client_id=["c-1", "c-2", "c-3"], region=[101.0, 101.0, 102.0], district=[1.0, 2.0, 3.0],
        latitude=[36.0, 36.1, float("nan")], longitude=[10.0, 10.1, float("nan")],
    )  # fmt: skip
    write(store, *scores, clients=places, facts=[{"n_index_rollbacks": 1.0}, {}, {}])


def test_sites_are_those_asked_for_with_score_and_place(store):
    filled(store)
    sites = store.sites_of(["c-1", "c-3", "nobody"])
    assert sorted(sites) == ["c-1", "c-3"]
    assert (sites["c-1"].latitude, sites["c-1"].district, sites["c-1"].severity) == (36.0, 1.0, "critical")
    assert (sites["c-1"].has_place, sites["c-3"].has_place) == (True, False)
    assert store.sites_of([]) == {}


def test_sites_of_more_clients_than_a_statement_lists_are_still_those_asked_for(store):
    ids = [f"k-{n:05}" for n in range(1300)]
    write(store, *(score_of(id_) for id_ in ids), clients=clients_of(client_id=ids, region=[101.0] * len(ids)))
    assert sorted(store.sites_of(ids[::2])) == ids[::2]


def test_visits_are_counted_by_day_and_known_by_the_phones_key(store):
    filled(store)
    for client_id, days in (("c-1", 1), ("c-2", 1), ("c-3", 9)):
        case = store.open_case(client_id, "anna", WHY, assignee="anna")
        store.move_case(case.case_id, "inspecting", "anna", WHY)
        noted = {"fraud_type": "bypass", "seal": "broken", "index_read": 12.5, "sent_key": f"phone-{client_id}"}
        store.record_inspection(case.case_id, "confirmed", TODAY - timedelta(days=days), "anna", **noted)
    assert store.count_inspections(TODAY - timedelta(days=7), TODAY) == {TODAY - timedelta(days=1): 2}
    assert (store.has_visit("phone-c-1"), store.has_visit("phone-c-9")) == (True, False)
    found = store.inspections()[-1]
    assert (found.fraud_type, found.seal, found.index_read) == ("bypass", "broken", 12.5)
    assert store.verify_chain() is None


def test_what_a_crew_noted_cannot_be_changed_past_the_desk(store):
    filled(store)
    case = store.open_case("c-1", "anna", WHY, assignee="anna")
    store.move_case(case.case_id, "inspecting", "anna", WHY)
    store.record_inspection(case.case_id, "confirmed", TODAY, "anna", fraud_type="bypass")
    with store.writing() as connection:
        connection.exec_driver_sql("UPDATE inspections SET fraud_type = 'something_else'")
    assert store.verify_chain() is not None


def test_settings_of_the_desk_are_kept_replaced_and_removed(store):
    store.set_desk_values({"currency": "TND", "price_per_kwh": 0.2}, "anna")
    store.set_desk_values({"currency": None, "price_per_kwh": 0.3}, "ben")
    found = store.desk_values()
    assert {name: (one.value, one.changed_by) for name, one in found.items()} == {"price_per_kwh": (0.3, "ben")}


def test_rules_read_scores_anomalies_and_facts_of_every_client(store):
    filled(store)
    found = {score.client_id: (score.probability, len(score.anomalies), facts) for score, facts in store.rule_inputs()}
    assert found == {"c-1": (0.9, 1, {"n_index_rollbacks": 1.0}), "c-2": (0.7, 0, {}), "c-3": (0.1, 0, {})}
    names = sorted(row["rule"] for rules in store.open_alert_rules() for row in rules)
    assert names == ["index rollback", "score", "score", "tampering signature"]


def test_suspected_clients_of_an_area_are_counted_by_severity(store):
    filled(store)
    assert store.count_suspected(store.area()) == {"critical": 1, "high": 1}
    assert store.count_suspected(store.area(), region=102.0) == {}
