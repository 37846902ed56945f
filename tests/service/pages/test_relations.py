"""A client's relations on its page, on their own page for a day, and in the API."""

import re
from contextlib import closing
from datetime import timedelta

import pytest

from fairmeter.store import Store
from fairmeter.web.http.auth import NO_ONE
from fairmeter.web.pages.client.relations import HUB_WIDTH, WIDTH
from tests.builders.desk import desk_app, with_key
from tests.builders.pages import open_desk, seen
from tests.builders.relations import VISITED, related_street, visit
from tests.builders.service import a_body

BEFORE = VISITED - timedelta(days=1)


@pytest.fixture(scope="module")
def store(templates, tmp_path_factory):
    with templates.copied("sqlite", tmp_path_factory.mktemp("relations")) as url, closing(Store(url)) as opened:
        related_street(opened)
        visit(opened, "most")
        opened.open_case("wired", "ana", "worth a look", assignee="bo")
        yield opened


@pytest.fixture(scope="module")
def reader(store):
    return open_desk(store)


def answer(reader, client_id="me", **query):
    return reader.get(f"/consumer/{client_id}/relations", query_string=query)


def test_the_api_counts_each_group_and_its_confirmed_cases(reader):
    found = answer(reader, until=VISITED).json
    assert (found["client_id"], found["until"]) == ("me", VISITED.isoformat())
    counts = {group["kind"]: (group["n_clients"], group["n_confirmed"]) for group in found["groups"]}
    expected = {"meter": (2, 1), "transformer": (1, 0), "created": (2, 1), "codes": (2, 1), "route": (2, 1)}
    assert counts == expected


def test_the_nearest_have_their_state_and_severity(reader):
    related = {one["client_id"]: one for one in answer(reader).json["related"]}
    assert (related["most"]["state"], related["most"]["is_confirmed"]) == ("confirmed", True)
    assert (related["wired"]["state"], related["wired"]["severity"]) == ("assigned", "high")
    assert related["most"]["kinds"] == ["meter", "created", "codes", "route"]


def test_for_a_day_that_is_past_nothing_of_later_is_told(reader):
    found = answer(reader, until=BEFORE).json
    assert {group["n_confirmed"] for group in found["groups"]} == {0}
    assert {(one["state"], one["is_confirmed"]) for one in found["related"]} == {(None, False)}
    then = {one["client_id"]: one["state"] for one in answer(reader, until=VISITED).json["related"]}
    assert then == dict.fromkeys(then) | {"most": "confirmed"}


def test_what_visits_to_the_client_found_is_in_none_of_its_answers(reader, store):
    before = answer(reader).json, seen(reader.get("/desk/client/me/relations")).whole
    visit(store, "me")
    assert (answer(reader).json, seen(reader.get("/desk/client/me/relations")).whole) == before


@pytest.mark.parametrize("query", [{"until": "yesterday"}, {"untl": "2026-11-03"}, {"until": "2026-13-40"}])
def test_a_wrong_query_is_refused(reader, query):
    assert answer(reader, **query).status_code == 422


def test_a_client_that_is_not_there_is_not_found(reader):
    assert answer(reader, "nobody").status_code == 404
    assert reader.get("/desk/client/nobody/relations").status_code == 404
    assert answer(reader, "alone").json["groups"] == []


def test_only_who_may_see_clients_sees_their_relations(store):
    closed = desk_app(store, NO_ONE, "key of scoring").test_client()
    assert answer(closed).status_code == 401
    assert closed.get("/consumer/me/relations", headers={"X-API-Key": "key of scoring"}).status_code == 403
    assert closed.get("/desk/client/me/relations").status_code in (302, 303, 401)
    assert closed.get("/consumer/me/relations", headers=with_key(store, "viewer")).status_code == 200


def test_an_id_that_would_be_the_address_of_relations_is_refused(reader):
    refused = reader.post("/predict?record=1", json=a_body("me/relations"))
    assert refused.status_code in (400, 422)
    assert "ends with /relations" in refused.text


# --- pages ------------------------------------------------------------------------------------------------------------


def test_the_page_of_a_client_has_the_section_with_the_list_and_the_graph(reader):
    page = seen(reader.get("/desk/client/me"))
    assert "Meter number one of the last three meters has the same number 2 1" in page.text
    assert "most High Confirmed" in page.text
    graph = re.search(r'<svg class="relations".*?</svg>', page.whole, re.DOTALL)[0]
    assert set(re.findall(r'aria-label="(\w+), ', graph)) == {"most", "route", "meter", "codes", "born", "wired"}
    assert 'aria-label="most, High, confirmed case"' in graph
    assert graph.count('class="confirmed"') == 1


def test_the_page_of_a_day_shows_that_day(reader):
    page = seen(reader.get("/desk/client/me/relations", query_string={"until": BEFORE.isoformat()}))
    assert f'value="{BEFORE.isoformat()}"' in page.whole
    assert 'class="confirmed"' not in page.whole
    assert "Confirmed" not in page.text
    assert reader.get("/desk/client/me/relations?until=never").status_code == 200


@pytest.mark.parametrize("language", ["en", "fr", "ar"])
def test_the_graph_is_within_its_box_and_mirrored_where_the_language_is(reader, language):
    headers = {"Accept-Language": language}
    whole = seen(reader.get("/desk/client/me/relations", headers=headers)).whole
    graph = re.search(r'<svg class="relations".*?</svg>', whole, re.DOTALL)[0]
    xs = [float(x) for x in re.findall(r'<rect x="([-\d.]+)" y="[-\d.]+" width="150"', graph)]
    own = float(re.search(r'class="here" cx="([\d.]+)"', graph)[1])
    assert all(0 <= x <= WIDTH - HUB_WIDTH for x in xs)
    assert (own > WIDTH / 2) == (language == "ar")
    assert "relations." not in whole.replace("desk.client_relations", "")


def test_a_client_alone_says_so(reader):
    page = seen(reader.get("/desk/client/alone/relations"))
    assert "No client at the desk shares anything" in page.text
    assert 'class="relations"' not in page.whole
