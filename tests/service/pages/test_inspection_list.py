"""The list: every filter, files of what it shows, and many cases at once."""

import re
from contextlib import closing
from datetime import timedelta

import pytest

from fairmeter.core.types import ANOMALY_PATTERNS, Anomaly, Reason
from fairmeter.store import Store
from tests.builders.pages import filled, open_desk, seen
from tests.builders.store import NOW, clients_of, score_of, write

FALL, LOW = "fall in consumption", "low or zero use"
SPIKE = Anomaly("sudden spike", "high", "2026-01-03", "2026-01-22", 1.4, "3.1 times the usual.")
IDS = ("a-1", "a-2", "b-1", "b-2")


def some(store: Store) -> None:
    """Four clients, each with another pattern, onset, region and category; the last two scored a day later."""
    reasons = {"a-1": FALL, "a-2": LOW, "b-1": FALL, "b-2": LOW}
    onsets = {"a-1": "2026-01-15", "a-2": "2026-03-01", "b-1": None, "b-2": "2026-06-30"}
    clients = clients_of(client_id=IDS, region=[101, 101, 102, 102], category=[11, 12, 11, 12])
    for day, ids in enumerate((IDS[:2], IDS[2:])):
        scores = [
            score_of(
                id_,
                0.9 - IDS.index(id_) / 10,
                onset_on=onsets[id_],
                reasons=(Reason(reasons[id_], 0.2, "It is so."),),
                anomalies=(SPIKE,) if id_ == "b-2" else (),
            )
            for id_ in ids
        ]
        write(store, *scores, clients=clients, scored_at=NOW + timedelta(days=day))


@pytest.fixture
def own_store(templates, tmp_path):
    with templates.copied("sqlite", tmp_path) as url, closing(Store(url)) as store:
        yield store


@pytest.fixture
def desk(own_store):
    some(own_store)
    return open_desk(own_store)


def shown(desk, filters):
    """The clients on the page of all clients, which must show no error."""
    page = seen(desk.get(f"/desk/suspects?sort=id&{filters}"))
    assert page.status == 200
    return re.findall(r'name="client" value="([^"]+)"', page.whole)


FILTERS = {
    "": list(IDS),
    "reason_group=fall+in+consumption": ["a-1", "b-1"],
    "reason_group=nothing+of+the+kind": [],
    "onset_since=2026-03-01": ["a-2", "b-2"],
    "onset_until=2026-03-01": ["a-1", "a-2"],
    "onset_since=2026-02-01&onset_until=2026-06-29": ["a-2"],
    "scored_since=2026-11-03": ["b-1", "b-2"],
    "scored_until=2026-11-03": ["a-1", "a-2"],
    "region=102&category=11": ["b-1"],
    "id_prefix=b": ["b-1", "b-2"],
    "least_score=0.75": ["a-1", "a-2"],
    "pattern=sudden+spike": ["b-2"],
    "pattern=gradual+change": [],
    "severity=high&reason_group=low+or+zero+use&region=101": ["a-2"],
}


@pytest.mark.parametrize(("filters", "expected"), FILTERS.items())
def test_each_filter_selects_the_same_clients_on_the_page_and_in_the_api(desk, filters, expected):
    assert shown(desk, filters) == expected
    moments = re.sub(r"(scored_\w+=[\d-]+)", r"\1T00:00", filters)
    assert [row["client_id"] for row in desk.get(f"/clients?sort=id&{moments}").json["rows"]] == expected


def test_an_invalid_day_is_reported_and_filters_nothing(desk):
    page = seen(desk.get("/desk/suspects?onset_since=soon"))
    assert "Began since: " in page.text
    assert "4 clients" in page.text
    assert desk.get("/clients?onset_since=soon").status_code == 422


@pytest.mark.parametrize("sort", ["score", "severity", "recovery", "scored", "id"])
def test_filters_go_with_every_sort(desk, sort):
    rows = desk.get(f"/clients?sort={sort}&reason_group=fall+in+consumption").json["rows"]
    assert {row["client_id"] for row in rows} == {"a-1", "b-1"}


FILTERS_OF_VISITS = (
    ("reason_group=low+or+zero+use", ["a-2", "b-2"]),
    ("onset_until=2026-02-01", ["a-1"]),
    ("pattern=sudden+spike", ["b-2"]),
)


def test_the_inspection_list_takes_pattern_and_onset_too(desk):
    for filters, expected in FILTERS_OF_VISITS:
        assert [row["client_id"] for row in desk.get(f"/list?random_share=0&{filters}").json["rows"]] == expected
        page = seen(desk.get(f"/desk/list?random_share=0&{filters}"))
        assert re.findall(r'name="client" value="([^"]+)"', page.whole) == expected


def test_the_choices_are_the_codes_in_the_store(desk):
    page = seen(desk.get("/desk/suspects")).whole
    chosen = re.search(r'<select name="reason_group">(.*?)</select>', page, re.DOTALL)[1]
    assert re.findall(r'value="([^"]+)"', chosen) == [FALL, LOW]
    patterns = re.search(r'<select name="pattern"[^>]*>(.*?)</select>', page, re.DOTALL)[1]
    assert re.findall(r'value="([^"]+)"', patterns) == list(ANOMALY_PATTERNS)


def test_a_clients_page_and_profile_name_what_is_unusual(desk):
    page = seen(desk.get("/desk/client/b-2")).text
    assert "Sudden spike High 3 Jan 2026 to 22 Jan 2026 3.1 times the usual." in page
    [found] = desk.get("/consumer/b-2").json["anomalies"]
    assert (found["pattern"], found["since"], found["strength"]) == ("sudden spike", "2026-01-03", 1.4)
    assert "Anomalies by detector" not in page
    assert "Sudden spike High" not in seen(desk.get("/desk/client/a-1")).text


def test_every_file_of_a_page_has_the_rows_of_the_page(desk):
    page = seen(desk.get("/desk/suspects?reason_group=low+or+zero+use&sort=id"))
    addresses = {kind: next(a for a in page.links if f"format={kind}" in a) for kind in ("csv", "xlsx", "pdf")}
    assert [line.split(",")[0] for line in desk.get(addresses["csv"]).text.splitlines()] == ["client_id", "a-2", "b-2"]
    assert desk.get(addresses["xlsx"]).data[:2] == b"PK"
    assert desk.get(addresses["pdf"]).data[:4] == b"%PDF"


# --- cases ------------------------------------------------------------------------------------------------------------


def opened_for(desk, ids, assignee):
    form = {"client": ids, "why": "On the list.", "assignee": assignee, "next": "/desk/suspects"}
    return seen(desk.post("/desk/list/cases", data=form, follow_redirects=True))


def test_unassigned_cases_are_assigned_with_those_that_are_opened(desk, own_store):
    own_store.open_case("a-1", "otto", "Found before.")
    own_store.open_case("a-2", "otto", "Found before.", assignee="otto")
    page = opened_for(desk, list(IDS), "anna")
    assert "2 cases opened, given to anna." in page.text
    assert "1 case that was open and nobody had is given to anna." in page.text
    assert "number 2; otto has it" in page.text
    assert [own_store.open_case_of(id_).assignee for id_ in IDS] == ["anna", "otto", "anna", "anna"]


def test_an_open_case_stays_unassigned_without_an_assignee(desk, own_store):
    own_store.open_case("a-1", "otto", "Found before.")
    assert "has an open case already" in opened_for(desk, ["a-1"], "").text
    assert own_store.open_case_of("a-1").state == "new"


def test_a_page_of_clients_says_who_works_on_them(desk, own_store):
    case = own_store.open_case("a-2", "otto", "Found before.", assignee="otto")
    page = seen(desk.get("/desk/suspects?state=all"))
    assert "Assigned otto" in page.text
    assert f"/desk/cases/{case.case_id}" in page.links


def test_open_cases_are_found_by_client(store):
    filled(store)
    case = store.open_case("c-001", "anna", "On the list.")
    assert store.open_cases_of(["c-001", "c-002"]) == {"c-001": case}
    assert store.open_cases_of([]) == {}
