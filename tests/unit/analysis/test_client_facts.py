"""Facts of a client, worked by hand: a fall, a spike, a rise at night, an index that runs back, an empty home that is
lived in, what neighbours use; and its consumption."""

import numpy as np
import pytest

from fairmeter.analysis import client_facts
from fairmeter.analysis.energy_balance import EnergyBalances
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.json_records import tables_from_records
from fairmeter.data.readings import readings_from_records
from tests.builders.readings import days_of as town_days
from tests.builders.tables import a_client, an_invoice

FIRST = np.datetime64("2013-01-01")


def invoices_of(*invoices):
    return tables_from_records([a_client("c-1")], [list(invoices)])[1]


def days_of(kwh):
    readings = [{"read_at": str(FIRST + n), "consumption_kwh": value} for n, value in enumerate(kwh)]
    return DailyConsumption.from_readings(readings_from_records([readings])[0], 1)


NO_INVOICES = invoices_of()


def test_a_fall_is_against_the_same_days_a_year_before_if_present():
    kwh = np.full(455, 20.0)
    kwh[:90], kwh[-90:] = 10.0, 4.0
    assert client_facts.consumption_fall(kwh) == pytest.approx(0.6)
    assert client_facts.consumption_fall(kwh[90:]) == pytest.approx(0.8)
    assert client_facts.consumption_fall(np.full(455, 5.0)) == 0.0


def test_a_fall_needs_enough_readings_in_both_periods():
    kwh = np.full(455, 20.0)
    kwh[-90:-20] = np.nan
    assert client_facts.consumption_fall(kwh) is None
    assert client_facts.consumption_fall(kwh[:100]) is None
    assert client_facts.consumption_fall(np.zeros(455)) is None
    assert client_facts.consumption_spike(np.full(400, 9.0)) is None


def test_a_spike_is_the_highest_month_of_a_year_over_the_median_before():
    kwh = np.full(12 * 30 + 6 * 30, 10.0)
    kwh[-60:-30] = 60.0
    assert client_facts.consumption_spike(kwh) == pytest.approx(6.0)


def test_the_rise_of_the_night_share():
    hours = np.ones((180, 24))
    hours[-90:, :5] = 4.0  # 20 of 39 instead of 5 of 24
    assert client_facts.night_rise(hours) == pytest.approx(20 / 39 - 5 / 24)
    assert client_facts.night_rise(hours[:100]) is None
    assert client_facts.night_rise(None) is None


def test_an_index_rollback_starts_below_the_end_of_the_previous_invoice_of_the_meter():
    first = an_invoice(invoice_on="2014-01-24", meter_id=1, old_index=0, new_index=100)
    second = an_invoice(invoice_on="2014-05-24", meter_id=1, old_index=90, new_index=150)
    other = an_invoice(invoice_on="2014-09-24", meter_id=2, old_index=0, new_index=10)
    assert client_facts.index_rollbacks(invoices_of(other, second, first), 1).tolist() == [1]
    assert client_facts.index_rollbacks(invoices_of(first, other), 1).tolist() == [0]
    assert client_facts.index_rollbacks(NO_INVOICES, 1).tolist() == [-1]


def test_facts_that_cannot_be_computed_are_left_out():
    assert client_facts.client_facts(NO_INVOICES, None, 1) == [{}]
    assert client_facts.client_facts(NO_INVOICES, days_of(np.full(200, 5.0)), 1) == [{"fall_90_days_share": 0.0}]


def test_a_series_is_daily_with_readings_and_monthly_without():
    invoices = invoices_of(
        an_invoice(invoice_on="2014-03-24", months=2, consumption_level_1=60, consumption_level_2=0),
        an_invoice(invoice_on="2014-01-24", months=1, consumption_level_1=45, consumption_level_2=0),
    )
    [monthly] = client_facts.consumption_series(invoices, None, 1)
    assert (monthly.step, str(monthly.first_on), monthly.kwh.tolist()) == ("month", "2013-12-01", [45.0, 30.0, 30.0])
    [daily] = client_facts.consumption_series(invoices, days_of([1.0, 2.0, 3.0]), 1)
    assert (daily.step, daily.first_on, daily.kwh.tolist()) == ("day", FIRST, [1.0, 2.0, 3.0])
    assert client_facts.consumption_series(NO_INVOICES, None, 1) == [None]


# --- gas without electricity ------------------------------------------------------------------------------------------


def billed(energy, *monthly, last="2014-12-24"):
    """Monthly invoices, the newest first, each with its consumption."""
    end = np.datetime64(last, "M")
    return [
        an_invoice(invoice_on=f"{end - i}-24", energy=energy, months=1, consumption_level_1=kwh, consumption_level_2=0)
        for i, kwh in enumerate(monthly)
    ]


EMPTY_HOMES = {
    "gas went on for three months": (billed("ELEC", 0, 0, 0, 90) + billed("GAZ", 20, 15, 20, 20), 3),
    "electricity was used last": (billed("ELEC", 80, 0, 0) + billed("GAZ", 20, 20, 20), 0),
    "no gas either in the second month": (billed("ELEC", 0, 0, 0) + billed("GAZ", 20, 0, 20), 1),
    "the gas of the last two months is not invoiced yet": (
        billed("ELEC", 0, 0, 0, 0, 90) + billed("GAZ", 20, 20, 20, last="2014-10-24"),
        2,
    ),
    "no gas": (billed("ELEC", 0, 0, 0), None),
    "no electricity": (billed("GAZ", 20, 20), None),
    "an account that was closed years ago": (
        billed("ELEC", 0, 0, 0, last="2011-12-24") + billed("GAZ", 20, 20),
        None,
    ),
}


@pytest.mark.parametrize(("invoices", "months"), EMPTY_HOMES.values(), ids=EMPTY_HOMES)
def test_zero_months_count_while_gas_is_used(invoices, months):
    found = client_facts.zero_months(invoices_of(*invoices), None)
    assert found == ({} if months is None else {0: months})


def test_zero_months_use_readings_before_invoices():
    gas = billed("GAZ", *[20] * 6, last="2013-07-24")
    days = days_of(np.r_[np.full(31 + 28, 9.0), np.zeros(31 + 30 + 31 + 30)])  # January to June 2013
    assert client_facts.zero_months(invoices_of(*gas, *billed("ELEC", 50, last="2013-03-24")), days) == {0: 4}


# --- beside others ----------------------------------------------------------------------------------------------------


def a_base(levels, region=101.0, n_days=100):
    """Clients of one region and category that use the same each day."""
    n = len(levels)
    clients = {"client_id": np.array([f"c-{i}" for i in range(n)], object), "category": np.full(n, 11.0)}
    clients["region"] = np.broadcast_to(np.asarray(region, float), n)
    return clients, town_days(np.repeat(np.array(levels, float)[:, None], n_days, axis=1))


def test_a_neighbour_share_is_over_the_median_of_region_and_category():
    clients, days = a_base([1.0, *range(2, 12)])
    share = client_facts.neighbour_shares(clients, days)
    assert share[0] == pytest.approx(1.0 / 6.5)  # the others: 2 .. 11
    assert share[10] == pytest.approx(11.0 / 5.5)  # 1 .. 10
    assert share[5] == pytest.approx(6.0 / 6.0)  # 1 .. 5 and 7 .. 11


def test_a_neighbour_share_needs_ten_other_clients():
    clients, days = a_base([*range(1, 12)], region=[101.0] * 10 + [np.nan])
    assert np.isnan(client_facts.neighbour_shares(clients, days)).all()


def test_clients_with_too_few_recent_readings_do_not_count():
    clients, days = a_base([*range(1, 13)])
    kwh = days.kwh.reshape(12, -1).copy()
    kwh[0, 50:] = np.nan
    share = client_facts.neighbour_shares(clients, town_days(kwh))
    assert np.isnan(share[0])
    assert share[1] == pytest.approx(2.0 / 7.5)  # 3 .. 12


def test_context_facts_are_given_where_present():
    clients, days = a_base([2.0] * 11)
    balances = EnergyBalances([], np.array([0.2] + [np.nan] * 10), np.array([0.7] + [np.nan] * 10), None)
    found = client_facts.context_facts(clients, days, balances)
    assert found[0] == {"neighbour_share": 1.0, "transformer_loss_share": 0.2, "transformer_loss_fit": 0.7}
    assert found[1] == {"neighbour_share": 1.0}
    assert client_facts.context_facts(clients, None, None) == [{}] * 11
