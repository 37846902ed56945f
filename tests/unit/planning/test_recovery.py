"""Energy at stake: what may be billed after a visit if the client steals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.data.daily import DailyConsumption
from fairmeter.features.invoices.series import InvoiceSeries
from fairmeter.models.peer_groups import PEER_FEATURES, PeerGroups
from fairmeter.planning.recovery import (
    MIN_SIDE,
    EnergyAtStake,
    daily_from_readings,
    monthly_from_invoices,
    recovery_estimates,
    steps_since_fall,
)
from tests.builders.features import GAS, NAN, monthly, tables_of

USUAL = 160.0  # kWh a month, of clients like those of the tests


def peers_of(kwh=USUAL):
    """All clients are of one group, which uses this much electricity."""
    medians = np.zeros((1, len(PEER_FEATURES)), np.float32)
    medians[0, PEER_FEATURES.index("elec_level_median")] = np.log1p(kwh)
    return PeerGroups(np.arange(len(PEER_FEATURES)), np.array([0, 1]), np.empty((0, 2)), medians)


def recovery_of(*kwh, peers=None, days=None, onset=None, price=None, months=12, **changes):
    """The estimate for a client with one invoice a month."""
    clients, invoices = tables_of(monthly(*kwh, **changes))
    if price is not None:
        clients["tariff_price"] = np.array([price])
    return recovery_estimates(clients, invoices, peers, days, onset, months)[0]


def days_of(*kwh):
    n = len(kwh)
    read_at = np.datetime64("2018-01-01") + np.arange(n)
    return DailyConsumption.from_readings(
        {"client": np.zeros(n, np.int64), "read_at": read_at, "consumption_kwh": np.array(kwh, float)}, 1
    )


def by_hand(usual, registered, spread, share):
    """The quantile of a log-normal distribution above the floor, from a fine grid of its tail."""
    used = np.exp(np.linspace(np.log(registered / 0.9), np.log(usual) + 8 * spread, 400_001))
    density = np.exp(-0.5 * ((np.log(used) - np.log(usual) + spread**2) / spread) ** 2)
    mass = np.cumsum(density) / density.sum()
    return used[np.searchsorted(mass, share)]


# --- invoices ---------------------------------------------------------------------------------------------------------


def test_a_fall_is_measured_against_the_own_level_before_it():
    found = recovery_of(*[300] * 24, *[100] * 6)
    assert found.months == 6
    assert found.kwh == pytest.approx(by_hand(1800, 600, 0.5, 0.5) - 600, rel=0.01)
    assert "before November 2015 it was 300" in found.text
    assert "its meter registers 100; counted over 6 months" in found.text


def test_only_billable_months_count():
    falls = [300] * 24, [100] * 30
    twelve, six = (recovery_of(*falls[0], *falls[1], months=months) for months in (12, 6))
    assert (twelve.months, six.months) == (12, 6)
    assert twelve.kwh == pytest.approx(2 * six.kwh, rel=0.01)


def test_more_months_may_be_billed_than_a_season_has():
    found = recovery_of(*[300] * 24, *[100] * 30, months=36)
    assert found.months == 30
    assert found.kwh == pytest.approx(by_hand(9000, 3000, 0.5, 0.5) - 3000, rel=0.01)


def test_the_season_of_the_year_before_counts():
    low, high = [180] * 6, [240] * 6
    in_high, in_low = (recovery_of(*past, *[30] * 6) for past in (low + high + low, high + low + high))
    assert in_high.kwh == pytest.approx(by_hand(6 * 0.5 * (200 + 240), 180, 0.5, 0.5) - 180, rel=0.01)
    assert in_low.kwh == pytest.approx(by_hand(6 * 0.5 * (220 + 180), 180, 0.5, 0.5) - 180, rel=0.01)


def test_a_client_that_was_always_low_is_compared_with_clients_like_it():
    found = recovery_of(*[40] * 24, peers=peers_of())
    assert found.months == 12
    assert found.kwh == pytest.approx(by_hand(12 * USUAL, 480, 0.75, 0.5) - 480, rel=0.01)
    assert "clients of its region and category use 160" in found.text


def test_a_comparison_with_other_clients_has_the_wider_range():
    own, compared = recovery_of(*[160] * 24, *[40] * 12), recovery_of(*[40] * 24, peers=peers_of())
    assert compared.high_kwh / compared.low_kwh > own.high_kwh / own.low_kwh


@pytest.mark.parametrize("kwh", [(), (40, 40), (NAN,) * 24])
def test_there_is_no_estimate_without_consumption(kwh):
    assert recovery_of(*kwh) is None


def test_gas_alone_is_not_estimated():
    assert recovery_of(*[300] * 24, *[100] * 6, energy=GAS) is None


def test_months_that_no_invoice_covers_do_not_count():
    clients, invoices = tables_of([*monthly(*[300] * 24), *monthly(100, 100, 100, 100, first="2016-06")])
    assert recovery_estimates(clients, invoices, None)[0].months == 4


def test_an_invoice_is_spread_over_its_months():
    rows = InvoiceSeries.from_tables(*tables_of(monthly(400, first="2014-05", months=4)))
    course, period = monthly_from_invoices(rows)
    assert course.kwh.tolist() == [[100, 100, 100, 100]]
    assert period == 4


def test_the_value_is_the_energy_at_the_clients_price():
    found = recovery_of(*[300] * 24, *[100] * 6, price=0.2)
    assert found.value == pytest.approx(0.2 * found.kwh)
    assert recovery_of(*[300] * 24, *[100] * 6, price=NAN).value is None
    assert recovery_of(*[300] * 24, *[100] * 6).value is None


def test_the_clearest_fall_is_found_and_a_rise_is_ignored():
    fall, rise, flat = monthly(*[300] * 20, *[90] * 7), monthly(*[90] * 9, *[300] * 9), monthly(*[70] * 30)
    course, _ = monthly_from_invoices(InvoiceSeries.from_tables(*tables_of(fall, rise, flat)))
    assert steps_since_fall(course).tolist() == [7, 0, 0]


def test_a_client_alone_has_the_same_estimate_as_among_others():
    histories = monthly(*[300] * 24, *[100] * 6), [], monthly(*[50] * 9), monthly(*range(300, 0, -5))
    together = recovery_estimates(*tables_of(*histories), peers_of())
    assert together == [recovery_estimates(*tables_of(history), peers_of())[0] for history in histories]


def test_chunks_give_the_same_as_all_at_once(monkeypatch):
    histories = [monthly(*[300] * (12 + i), *[100] * (5 + i)) for i in range(5)]
    at_once = recovery_estimates(*tables_of(*histories), None)
    monkeypatch.setattr("fairmeter.planning.recovery.CHUNK", 2)
    assert recovery_estimates(*tables_of(*histories), None) == at_once


# --- readings ---------------------------------------------------------------------------------------------------------


def test_readings_count_from_the_day_of_the_change():
    days = days_of(*[10] * 200, *[4] * 61)
    onset = days.day[200:201].astype(float)
    found = recovery_of(days=days, onset=onset)
    assert found.months == pytest.approx(61 / 30.44)
    assert found.kwh == pytest.approx(by_hand(610, 244, 0.3, 0.5) - 244, rel=0.01)
    assert "before July 2018 it was 304" in found.text


def test_readings_without_a_fall_leave_the_estimate_to_the_invoices():
    days = days_of(*[4] * 100)
    by_both = recovery_of(*[300] * 24, *[100] * 6, days=days, onset=days.day[50:51].astype(float))
    assert by_both == recovery_of(*[300] * 24, *[100] * 6)


def test_days_without_a_reading_do_not_count():
    days = days_of(*[10] * 200, *[NAN] * 20, *[4] * 30)
    found = recovery_of(days=days, onset=days.day[200:201].astype(float))
    assert found.months == pytest.approx(30 / 30.44)


def test_the_last_day_of_each_client_is_the_first_step():
    course = daily_from_readings(days_of(1, 2, 3))
    assert course.kwh.tolist() == [[3, 2, 1]]
    assert course.day_of(np.array([0]))[0] == np.datetime64("2018-01-03").astype(int)


def test_impossible_readings_have_no_estimate():
    days = days_of(*[1e307] * 200, *[1.0] * 60)
    assert recovery_of(days=days, onset=days.day[200:201].astype(float)) is None


def test_readings_without_a_change_and_no_invoices_have_no_estimate():
    assert recovery_of(days=days_of(*[4] * 100), onset=np.array([NAN])) is None


# --- laws -------------------------------------------------------------------------------------------------------------

KWH = st.floats(0, 1e5)


@given(st.lists(st.sampled_from([0, 1, 50, 300, 1e6, NAN]), max_size=40), st.integers(1, 60))
def test_a_range_holds_its_estimate_and_nothing_is_below_zero(kwh, months):
    found = recovery_of(*kwh, peers=peers_of(), months=months)
    if found is not None:
        assert 0 <= found.low_kwh <= found.kwh <= found.high_kwh < np.inf
        assert 0 < found.months <= months


@given(KWH, KWH, KWH)
def test_more_registered_energy_means_a_lower_estimate(usual, some, more):
    some, more = sorted((some, more))
    both = np.array([some, more])
    stake = EnergyAtStake(np.full(2, usual), both, np.ones(2), np.ones(2), np.ones(2), np.full(2, 0.5))
    share = 1 - both / stake.used_quantiles(0.5)[0]
    assert share[1] <= share[0] + 1e-9


def test_a_fall_needs_some_months_on_both_sides():
    few = MIN_SIDE - 1
    course, _ = monthly_from_invoices(InvoiceSeries.from_tables(*tables_of(monthly(*[300] * 20, *[0] * few))))
    assert steps_since_fall(course)[0] != few
