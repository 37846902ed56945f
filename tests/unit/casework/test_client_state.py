"""One state a client: its case decides, then its visit, then what its score recommends."""

from datetime import UTC, date, datetime

import pytest

from fairmeter.casework.client_state import LastCase, WorkState, client_state, work_state
from fairmeter.core.types import INSPECT_NOW, NOT_ENOUGH
from tests.builders.store import shipped_rules

CLOSED_AT = datetime(2026, 11, 2, 12, tzinfo=UTC)
BEFORE, SINCE = CLOSED_AT.replace(day=1), CLOSED_AT.replace(day=3)
SOON, LATE = date(2026, 11, 5), date(2028, 1, 1)  # within the quiet days of each outcome, and after them


def state_on(today, state="closed", outcome=None, scored_at=SINCE):
    case = LastCase(7, state, outcome, CLOSED_AT, CLOSED_AT.date() if outcome else None, scored_at)
    return client_state(work_state(case, shipped_rules(), today), INSPECT_NOW)


@pytest.mark.parametrize("state", ["new", "assigned", "inspecting"])
def test_an_open_case_decides(state):
    assert state_on(LATE, state) == state


@pytest.mark.parametrize("outcome", ["confirmed", "fault", "cleared", "no_access", "refused"])
def test_a_visit_decides_in_its_quiet_days_and_the_score_after_them(outcome):
    assert state_on(SOON, outcome=outcome) == outcome
    assert state_on(LATE, outcome=outcome) == INSPECT_NOW


@pytest.mark.parametrize(("outcome", "state"), [("confirmed", "confirmed"), ("no_access", INSPECT_NOW)])
def test_a_score_of_before_the_meter_was_seen_does_not_come_back(outcome, state):
    assert state_on(LATE, outcome=outcome, scored_at=BEFORE) == state


def test_a_case_that_was_closed_without_a_visit_is_closed_for_a_while():
    assert (state_on(SOON), state_on(LATE)) == ("closed", INSPECT_NOW)


def test_without_a_case_the_state_is_what_is_recommended():
    assert client_state(None, "watch") == "watch"
    assert client_state(None, None) == NOT_ENOUGH
    assert client_state(WorkState("assigned", "case 7 is open"), "watch") == "assigned"
