"""The pages of cases, without a browser."""

import re
from datetime import UTC, date, datetime, timedelta
from html import unescape

import pytest

from fairmeter.web.http.auth import THIS_MACHINE
from tests.builders.desk import add_user, desk_app, signed_in
from tests.builders.store import score_of, write

WHY = "Fall since March."
VISITED = "2026-03-02"


@pytest.fixture
def desk(store):
    """A desk that is open to this machine, with three clients."""
    write(store, *(score_of(client_id) for client_id in ("c-1", "c-2", "<script>alert(1)</script>")))
    return desk_app(store, THIS_MACHINE).test_client()


def page_of(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return answer.text


def words(text):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def move(client, case, to, **more):
    form = {"to": to, "why": WHY, "version": case.version} | more
    return client.post(f"/desk/cases/{case.case_id}/moves", data=form)


def test_the_board_has_a_column_a_state_and_each_case_in_its_own(store, desk):
    store.open_case("c-1", "anna", WHY)
    store.open_case("c-2", "anna", WHY, assignee="ben")
    columns = page_of(desk, "/desk/cases").split('class="column"')[1:]
    assert [re.findall(r"c-\d", words(column)) for column in columns] == [["c-1"], ["c-2"], [], []]


def test_the_board_of_one_person_shows_their_cases_alone(store, desk):
    store.open_case("c-1", "anna", WHY, assignee="anna")
    store.open_case("c-2", "anna", WHY, assignee="ben")
    page = words(page_of(desk, "/desk/cases?assignee=ben"))
    assert "c-2" in page
    assert "c-1" not in page


def test_the_cases_of_one_state_have_several_pages(store, desk, monkeypatch):
    monkeypatch.setattr("fairmeter.web.pages.cases.N_ROWS", 1)
    for client_id in ("c-1", "c-2"):
        store.open_case(client_id, "anna", WHY)
    first = page_of(desk, "/desk/cases?state=new")
    second = page_of(desk, unescape(re.search(r'href="([^"]+)" rel="next"', first)[1]))
    assert {re.search(r"c-\d", words(page))[0] for page in (first, second)} == {"c-1", "c-2"}


def test_a_case_goes_by_its_forms_from_new_to_closed_with_an_outcome(store, desk):
    case = store.open_case("c-1", "anna", WHY)
    assert move(desk, case, "assigned", assignee="ben").status_code == 302
    assert move(desk, store.find_case(case.case_id), "inspecting").status_code == 302
    found = {"outcome": "confirmed", "inspected_on": VISITED, "note": "By-pass.", "version": 3}
    assert desk.post(f"/desk/cases/{case.case_id}/inspections", data=found).status_code == 302
    assert store.find_case(case.case_id).outcome == "confirmed"
    page = words(page_of(desk, f"/desk/cases/{case.case_id}"))
    assert "By-pass." in page
    assert "given to ben" in page


def test_a_case_taken_by_another_user_is_shown_with_their_name_and_the_typed_text(store, desk):
    case = store.open_case("c-1", "anna", WHY)
    store.move_case(case.case_id, "assigned", "anna", WHY, assignee="ben")
    answer = move(desk, case, "assigned", assignee="cleo", why="Cleo lives <nearby>.")
    assert answer.status_code == 409
    assert "ben has it" in words(answer.text)
    assert store.find_case(case.case_id).assignee == "ben"


def test_a_refused_outcome_comes_back_as_it_was_typed(store, desk):
    case = store.open_case("c-1", "anna", WHY, assignee="ben")
    store.move_case(case.case_id, "inspecting", "ben", WHY)
    typed = {"outcome": "fault", "inspected_on": "2999-01-01", "note": "Display <dark>, seal whole.", "version": 3}
    answer = desk.post(f"/desk/cases/{case.case_id}/inspections", data=typed)
    assert answer.status_code == 422
    assert "Display &lt;dark&gt;, seal whole." in answer.text
    assert re.search(r'value="fault" required checked', answer.text)
    assert store.find_case(case.case_id).state == "inspecting"


def test_what_was_billed_is_added_to_the_visit_later(store, desk):
    case = store.open_case("c-1", "anna", WHY, assignee="ben")
    store.move_case(case.case_id, "inspecting", "ben", WHY)
    store.record_inspection(case.case_id, "confirmed", date.fromisoformat(VISITED), "ben")
    assert desk.post(f"/desk/cases/{case.case_id}/recovery", data={"recovered_kwh": "812.5"}).status_code == 302
    assert store.inspections()[0].recovered_kwh == 812.5


def test_a_viewer_sees_the_case_without_its_forms_and_cannot_move_it(store):
    write(store)
    case = store.open_case("c-1", "anna", WHY)
    add_user(store, "vera", "viewer")
    browser, token = signed_in(desk_app(store), "vera")
    assert "/moves" not in page_of(browser, f"/desk/cases/{case.case_id}")
    answer = browser.post(f"/desk/cases/{case.case_id}/moves", data={"to": "closed", "why": WHY}, headers=token)
    assert answer.status_code == 403
    assert store.find_case(case.case_id).state == "new"


def test_a_client_whose_id_is_a_script_shows_as_text(store, desk):
    case = store.open_case("<script>alert(1)</script>", "anna", WHY)
    for address in ("/desk/cases", f"/desk/cases/{case.case_id}"):
        page = page_of(desk, address)
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)" in page


def test_a_missing_case_is_a_page_with_a_sentence(desk):
    answer = desk.get("/desk/cases/99")
    assert answer.status_code == 404
    assert "There is no case 99." in answer.text


def test_cases_due_until_a_day_are_listed_by_themselves(store, desk):
    today = datetime.now(UTC).date()
    for client_id, days in (("c-1", 0), ("c-2", 1)):
        case = store.open_case(client_id, "anna", WHY)
        store.move_case(case.case_id, "assigned", "anna", WHY, assignee="anna", planned_on=today + timedelta(days=days))
    page = page_of(desk, f"/desk/cases?due_until={today}")
    assert cards(page) == ["c-1"]
    assert re.search(r'id="in-due">Due until .*<span class="count">1<', page)
    assert set(cards(page_of(desk, f"/desk/cases?due_until={today + timedelta(days=1)}"))) == {"c-1", "c-2"}


def cards(page: str) -> list[str]:
    return re.findall(r"<bdi>(c-\d)</bdi>", page)


def test_a_day_in_the_address_that_is_none_is_said(desk):
    page = words(page_of(desk, "/desk/cases?due_until=soon"))
    assert "Assigned" in page
    assert "due" in page.lower()


def test_a_card_says_how_many_comments_its_case_has(store, desk):
    case = store.open_case("c-1", "anna", WHY)
    store.open_case("c-2", "anna", WHY)
    for text in ("One.", "Two."):
        store.add_comment(case.case_id, "anna", text)
    page = page_of(desk, "/desk/cases")
    assert f'href="/desk/cases/{case.case_id}#comments" aria-label="2 comments"' in page
    assert page.count("n-comments") == 1
