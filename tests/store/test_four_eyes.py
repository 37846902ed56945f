"""With FOUR_EYES=1 two users take part in every case that is closed."""

from contextlib import closing
from datetime import date

import pytest

from fairmeter.casework.workflow import FourEyesNeeded
from fairmeter.store import Store
from tests.builders.store import write


@pytest.fixture
def strict(store, database_url):
    """The store of a service with FOUR_EYES=1, with a client."""
    write(store)
    with closing(Store(database_url, four_eyes=True)) as opened:
        yield opened


def inspecting(store, by, crew):
    case = store.open_case("c-1", by, "worth a look", assignee=crew)
    return store.move_case(case.case_id, "inspecting", crew, "on the way")


def test_with_four_eyes_nobody_closes_a_case_alone(strict):
    case = inspecting(strict, "ana", "ana")
    with pytest.raises(FourEyesNeeded):
        strict.record_inspection(case.case_id, "cleared", date(2026, 11, 2), "ana")
    assert strict.find_case(case.case_id).state == "inspecting"
    assert strict.list_inspections().rows == []
    strict.record_inspection(case.case_id, "cleared", date(2026, 11, 2), "bo")
    assert strict.find_case(case.case_id).state == "closed"


def test_with_four_eyes_whoever_was_sent_by_another_closes_the_case(strict):
    case = inspecting(strict, "ana", "bo")
    strict.record_inspection(case.case_id, "confirmed", date(2026, 11, 2), "bo")
    assert strict.find_case(case.case_id).state == "closed"


def test_with_four_eyes_a_case_is_not_closed_without_a_visit_by_one_user(strict):
    case = strict.open_case("c-1", "ana", "worth a look")
    with pytest.raises(FourEyesNeeded):
        strict.move_case(case.case_id, "closed", "ana", "nothing in it")
    strict.move_case(case.case_id, "closed", "bo", "nothing in it")


def test_with_four_eyes_who_closed_a_case_before_does_not_count_when_it_is_opened_again(strict):
    case = strict.open_case("c-1", "ana", "worth a look")
    strict.move_case(case.case_id, "closed", "bo", "nothing in it")
    strict.move_case(case.case_id, "new", "bo", "a mistake")
    with pytest.raises(FourEyesNeeded):
        strict.move_case(case.case_id, "closed", "bo", "nothing in it")
