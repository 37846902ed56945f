"""Who shares what with a client, on both databases: groups, confirmed cases by a day, the nearest, erasure, export."""

from datetime import timedelta

import numpy as np
import pytest

from fairmeter.analysis.shared_traits import SharedTraits
from fairmeter.store import RelationGroup
from fairmeter.store.lookup import relations
from tests.builders.relations import ROUTE, VISITED, related_street, visit
from tests.builders.store import clients_of, score_of, write


@pytest.fixture
def street(store):
    return related_street(store)


def groups_of(store, client_id="me", until=VISITED):
    return {one.kind: one for one in store.relations_of(client_id, until).groups}


def sharing(store, kind, client_id="me"):
    return {one.client_id for one in store.relations_of(client_id, VISITED).related if kind in one.kinds}


def test_clients_are_grouped_by_what_they_share(street):
    expected = {"route": {"route", "most"}, "meter": {"meter", "most"}, "codes": {"codes", "most"}}
    expected |= {"created": {"born", "most"}, "transformer": {"wired"}}
    assert {kind: sharing(street, kind) for kind in expected} == expected
    assert {kind: one.n_clients for kind, one in groups_of(street).items()} == {k: len(v) for k, v in expected.items()}


def test_days_and_codes_count_within_a_district_alone(street):
    assert groups_of(street, "far") == {}
    assert street.relations_of("alone", VISITED) == street.relations_of("nobody", VISITED) == ((), ())


def test_the_client_that_shares_most_comes_first_then_the_nearest_by_place(street):
    found = street.relations_of("me", VISITED).related
    assert [one.client_id for one in found] == ["most", "route", "meter", "codes", "born", "wired"]
    assert found[0].kinds == ("meter", "created", "codes", "route")
    assert found[1].metres == pytest.approx(111, abs=1)
    assert [one.client_id for one in street.relations_of("me", VISITED, limit=2).related] == ["most", "route"]


def test_cases_confirmed_by_the_day_count_and_no_later_or_other_ones(street):
    visit(street, "route")
    visit(street, "born", "cleared")
    before = VISITED - timedelta(days=1)
    assert {kind: one.n_confirmed for kind, one in groups_of(street, until=before).items() if one.n_confirmed} == {}
    assert {kind: one.n_confirmed for kind, one in groups_of(street).items() if one.n_confirmed} == {"route": 1}
    assert {one.client_id for one in street.relations_of("me", VISITED).related if one.is_confirmed} == {"route"}
    assert not any(one.is_confirmed for one in street.relations_of("me", before).related)


@pytest.mark.parametrize("outcome", ["confirmed", "cleared", "fault"])
def test_what_was_found_at_the_client_itself_changes_nothing(street, outcome):
    visit(street, "most")
    before = street.relations_of("me", VISITED)
    visit(street, "me", outcome)
    assert street.relations_of("me", VISITED) == before


def test_shuffled_outcomes_of_a_client_reach_the_relations_of_others_and_never_its_own(street):
    own, others = [street.relations_of("me", VISITED)], [groups_of(street, "wired")["transformer"].n_confirmed]
    for outcome in np.random.default_rng(1).permutation(["confirmed", "cleared", "fault", "cleared"]).tolist():
        visit(street, "me", outcome)
        own.append(street.relations_of("me", VISITED))
        others.append(groups_of(street, "wired")["transformer"].n_confirmed)
    assert own == own[:1] * 5
    assert set(others) == {0, 1}


def test_a_later_run_replaces_what_is_shared_and_one_without_invoices_keeps_it(street):
    write(street, score_of("route"))
    assert "route" in sharing(street, "route")
    write(street, score_of("route"), traits={"route": SharedTraits(((1, 2),))})
    assert "route" not in sharing(street, "route")


def test_a_client_recorded_without_its_place_stays_on_its_route(street):
    write(street, score_of("route"), traits={"route": SharedTraits((ROUTE,))}, clients=clients_of(client_id=["route"]))
    assert "route" in sharing(street, "route")


def test_a_group_that_is_too_large_is_not_read(street, monkeypatch):
    monkeypatch.setattr(relations, "MAX_SHARING", 1)
    assert groups_of(street)["route"] == RelationGroup("route", None, None)
    assert sharing(street, "route") == set()
    assert sharing(street, "transformer") == {"wired"}


def test_clients_of_stores_before_are_still_related_by_what_was_stored(store):
    related_street(store, traits=None)
    assert set(groups_of(store)) == {"created", "transformer"}


def test_erasure_deletes_what_a_client_shares_and_an_export_holds_it(street):
    assert len(street.export_client("route", "ana", "asked for")["relations"]) == 1
    visit(street, "route")
    street.erase_client("route", "ana", "asked for")
    assert sharing(street, "route") == {"most"}
    assert groups_of(street)["route"].n_confirmed == 0
    with street.reading() as connection:
        assert "route" not in {row.client_id for row in connection.execute(relations.relations.select())}
