"""How well the falls of a transformer's clients account for its loss."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from fairmeter.store import Series
from fairmeter.web.pages.transformers.falls import ended_on, falls_by_week, unexplained
from tests.builders.store import a_balance

MONDAY = date(2026, 1, 5)
N_WEEKS = 20


def balance(lost_weeks, since_week=10, **more):
    weeks = {"weeks_from": MONDAY, "delivered_weeks": np.full(N_WEEKS, 700.0), "lost_weeks": np.array(lost_weeks)}
    return replace(a_balance("t-1"), since_on=MONDAY + timedelta(weeks=since_week), **weeks, **more)


LASTING = [0.0] * 10 + [70.0] * 10
OVER = [0.0] * 10 + [70.0] * 4 + [0.0] * 6


def test_a_clients_fall_is_what_it_used_less_than_before_the_loss_began():
    kwh = np.r_[np.full(70, 10.0), np.full(70, 4.0)].astype(np.float32)
    falls = falls_by_week(balance(LASTING), {"c-1": Series("day", MONDAY, kwh)}, ["c-1"])
    assert falls == [0.0] * 10 + [42.0] * 10
    assert unexplained(balance(LASTING, lost_kwh=700.0), falls) == pytest.approx(700.0 - 420.0)


def test_a_client_without_enough_weeks_before_accounts_for_nothing():
    kwh = np.full(70, 4.0, np.float32)
    late = Series("day", MONDAY + timedelta(weeks=10), kwh)
    assert falls_by_week(balance(LASTING), {"c-1": late}, ["c-1"]) is None
    assert unexplained(balance(LASTING, lost_kwh=700.0), None) == 700.0


def test_a_loss_that_is_over_says_until_when_it_lasted():
    assert ended_on(balance(OVER)) == MONDAY + timedelta(weeks=13)
    assert ended_on(balance(LASTING)) is None
