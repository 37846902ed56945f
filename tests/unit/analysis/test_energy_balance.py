"""Energy balances worked by hand: losses, gaps, clients without meters, closed accounts, intervals, fit."""

from pathlib import Path

import numpy as np
import pytest
from pyarrow import csv as arrow_csv

from fairmeter.analysis.energy_balance import (
    LOSSES_SHARE,
    METER_SD,
    NORMAL_95,
    UnlikelyTotals,
    balance_columns,
    energy_balances,
)
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.files import find_files
from fairmeter.data.json_records import tables_from_records
from fairmeter.data.readings import read_readings
from fairmeter.data.tables import read_tables
from fairmeter.data.transformers import read_transformers, transformers_from_records
from tests.builders.readings import FIRST, days_of
from tests.builders.tables import a_client, an_invoice

SAMPLE = Path(__file__).resolve().parents[3] / "data" / "sample.zip"
N_DAYS = 91  # thirteen weeks


def balanced(kwh, delivered, losses=0.0, invoices=None, transformer="t-1"):
    """One transformer's EnergyBalance and the EnergyBalances. [kwh: (client, day), NaN missing; delivered: per day]"""
    delivered = np.broadcast_to(np.asarray(delivered, float), np.shape(kwh)[1:])
    totals = [
        {"transformer_id": "t-1", "measured_on": str(np.datetime64(FIRST + n, "D")), "delivered_kwh": one,
         "losses_kwh": losses}
        for n, one in enumerate(delivered.tolist())
    ]  # fmt: skip
    kwh = np.asarray(kwh, float)
    read = DailyConsumption.from_readings(
        {"client": np.repeat(np.arange(len(kwh)), kwh.shape[1]), "consumption_kwh": kwh.ravel(),
         "read_at": np.tile((FIRST + np.arange(kwh.shape[1])).astype("datetime64[D]"), len(kwh))},
        len(kwh),
    )  # fmt: skip
    clients = [a_client(f"c-{i}") for i in range(len(kwh))]
    invoices = tables_from_records(clients, invoices or [[] for _ in clients])[1]
    found = energy_balances(
        transformers_from_records(totals, []), np.full(len(kwh), transformer, object), read, invoices
    )
    return found.rows[0], found


def steady(*levels, n_days=N_DAYS):
    """Clients that use the same each day."""
    return np.repeat(np.array(levels, float)[:, None], n_days, axis=1)


def bills(kwh_a_day, last="2013-04-07", n=3):
    """Monthly electricity invoices up to a day, or none. [FIRST is 2013-01-07, the 91st day 2013-04-07]"""
    end = np.datetime64(last)
    return [
        an_invoice(invoice_on=str(end - 30 * i), months=1, consumption_level_1=round(kwh_a_day * 30.44),
                   consumption_level_2=0)
        for i in range(n)
    ]  # fmt: skip


def test_lost_is_delivered_less_registered_and_technical_losses():
    balance, found = balanced(steady(10, 10, 10), 40.0, losses=1.0)
    assert (balance.n_clients, balance.n_read, balance.n_days) == (3, 3, 90)
    assert balance.delivered_kwh == pytest.approx(90 * 40)
    assert balance.registered_kwh == pytest.approx(90 * 30)
    assert balance.losses_kwh == pytest.approx(90)
    assert balance.lost_kwh == pytest.approx(90 * 9)
    assert balance.lost_share == pytest.approx(9 / 40)
    assert found.share.tolist() == [balance.lost_share] * 3


@pytest.mark.parametrize(("factor", "unit"), [(1000.0, "Wh"), (0.001, "MWh")])
def test_totals_in_another_unit_than_the_readings_are_refused(factor, unit):
    with pytest.raises(UnlikelyTotals, match=f"look like {unit}"):
        balanced(steady(10, 20, 30), 63 * factor)


def test_missing_losses_are_assumed_with_a_wider_interval():
    computed, _ = balanced(steady(10, 10), 25.0, losses=1.0)
    assumed, _ = balanced(steady(10, 10), 25.0, losses=None)
    assert assumed.losses_kwh == pytest.approx(LOSSES_SHARE * assumed.delivered_kwh)
    assert assumed.high_share - assumed.low_share > computed.high_share - computed.low_share


def test_the_interval_covers_errors_of_meters_and_losses():
    balance, _ = balanced(steady(10, 10), 20.0, losses=0.0)
    assert balance.lost_share == pytest.approx(0.0)
    assert balance.high_share == pytest.approx(NORMAL_95 * METER_SD)
    assert balance.low_share == pytest.approx(-balance.high_share)
    assert balance.since_on is None


def test_a_gap_in_a_clients_readings_is_no_loss():
    kwh = steady(10, 10, 10, 10, 10, 10)
    kwh[2, 30:60] = np.nan
    balance, _ = balanced(kwh, 60.0)
    assert balance.lost_kwh == pytest.approx(0.0)
    assert balance.estimated_kwh == pytest.approx(300.0)
    assert balance.high_share > balanced(steady(*[10] * 6), 60.0)[0].high_share


def test_a_client_without_smart_meter_is_estimated_by_its_invoices():
    kwh = steady(10, 10, 10, 10, 10, np.nan)
    balance, _ = balanced(kwh, 60.0, invoices=[[], [], [], [], [], bills(10.0)])
    assert balance.n_clients == 6
    assert balance.n_read == 5
    assert balance.lost_share == pytest.approx(0.0, abs=0.002)


def test_days_with_too_much_estimated_are_not_balanced():
    kwh = steady(10, 10, np.nan)
    balance, found = balanced(kwh, 30.0, invoices=[[], [], bills(10.0)])
    assert (balance.lost_share, balance.n_days) == (None, 0)
    assert np.isnan(found.share).all()
    mostly_dark, _ = balanced(steady(10, np.nan, np.nan), 30.0, invoices=[[], bills(1.0), bills(1.0)])
    assert mostly_dark.lost_share is None


def test_a_silent_meter_whose_invoices_go_on_is_no_loss():
    kwh = steady(10, 10, 10, 10, 10, 10)
    kwh[0, 20:] = np.nan
    balance, _ = balanced(kwh, 60.0, invoices=[bills(10.0)] + [[]] * 5)
    assert balance.lost_share == pytest.approx(0.0, abs=0.005)


def test_a_client_without_smart_meter_that_is_invoiced_rarely_is_no_loss():
    kwh = steady(10, 10, 10, 10, 10, np.nan, n_days=400)
    going_on = bills(10.0, last=str(np.datetime64(FIRST + 399, "D")))
    rarely = [an_invoice(invoice_on=str(np.datetime64(FIRST + 150, "D")), months=8, consumption_level_1=2435,
                         consumption_level_2=0)]  # fmt: skip
    balance, _ = balanced(kwh, 60.0, invoices=[going_on] * 5 + [rarely])
    assert balance.n_clients == 6
    assert balance.lost_share == pytest.approx(0.0, abs=0.002)


def test_an_account_that_was_closed_is_not_estimated():
    kwh = steady(10, 10, 10, 10, 10, 10, n_days=400)
    kwh[0, 100:] = np.nan
    closed = bills(10.0, last=str(np.datetime64(FIRST + 110, "D")))
    going_on = bills(10.0, last=str(np.datetime64(FIRST + 399, "D")))
    balance, found = balanced(kwh, np.r_[np.full(100, 60.0), np.full(300, 50.0)], invoices=[closed] + [going_on] * 5)
    assert balance.n_clients == 5
    assert balance.lost_share == pytest.approx(0.0)
    assert np.isnan(found.share).tolist() == [True] + [False] * 5


def test_a_probably_closed_account_widens_the_interval_by_its_estimate():
    kwh = steady(*[10] * 10)
    kwh[0, 60:] = np.nan
    final = bills(10.0, last=str(np.datetime64(FIRST + 70, "D")))
    going_on = bills(10.0)
    delivered = np.r_[np.full(60, 100.0), np.full(31, 90.0)]
    balance, _ = balanced(kwh, delivered, invoices=[final] + [going_on] * 9)
    assert balance.estimated_kwh == 0.0
    assert balance.lost_kwh == pytest.approx(0.0)
    assert balance.high_share > 31 * 10 / balance.delivered_kwh


def test_the_change_is_against_the_same_days_a_year_before():
    kwh = steady(10, 10, n_days=7 * 66)
    delivered = np.full(7 * 66, 20.0)
    delivered[-90 - 365 : -365] = 25.0
    delivered[-90:] = 40.0
    balance, _ = balanced(kwh, delivered)
    assert balance.lost_share == pytest.approx(0.5)
    assert balance.before_share == pytest.approx(0.2)


def test_a_loss_begins_in_the_week_of_its_step():
    kwh = steady(10, 10, n_days=7 * 40)
    kwh[1, 7 * 25 :] = 4.0
    balance, found = balanced(kwh, 20.0)
    assert str(balance.since_on) == str(np.datetime64(FIRST + 7 * 25, "D"))
    assert str(balance.weeks_from) == str(np.datetime64(FIRST, "D"))
    assert balance.lost_weeks[24:26] == (0.0, 42.0)
    assert balance.delivered_weeks == (140.0,) * 40
    assert found.fit[1] == pytest.approx(1.0)
    assert np.isnan(found.fit[0])  # what never varies fits nothing


def test_a_loss_fits_the_client_whose_share_fell_with_it():
    rng = np.random.default_rng(0)
    use = rng.uniform(8.0, 12.0, (6, 7 * 40))
    registered = use.copy()
    registered[3, 7 * 20 :] *= 0.2
    _, found = balanced(registered, use.sum(axis=0))
    assert np.argmax(found.fit) == 3
    assert found.fit[3] > 0.9
    assert np.delete(found.fit, 3).max() < 0.5


def test_a_transformer_without_known_clients_has_no_balance():
    balance, found = balanced(steady(10), 40.0, transformer="t-2")
    assert (balance.n_clients, balance.lost_share) == (0, None)
    assert np.isnan(found.share).all()


def test_without_totals_there_is_no_balance():
    found = energy_balances(
        transformers_from_records([], []),
        np.array(["t-1"], object),
        days_of([[1.0]]),
        tables_from_records([{}], [[]])[1],
    )
    assert found.rows == []
    assert np.isnan(found.share).all()


def test_the_file_has_the_largest_loss_first_and_missing_balances_last():
    judged, _ = balanced(steady(10, 10), 25.0)
    dark, _ = balanced(steady(np.nan, np.nan), 25.0)
    columns = balance_columns([dark, judged])
    assert columns["lost_share"] == [judged.lost_share, None]
    assert columns["until_on"] == ["2013-04-07"] * 2


@pytest.fixture(scope="module")
def sample():
    """EnergyBalances of the simulated utility, and the true share of unregistered consumption."""
    tables = read_tables(SAMPLE)
    readings = read_readings(SAMPLE).for_clients(tables.clients["client_id"])
    days = DailyConsumption.from_readings(readings.readings, len(tables.quality))
    found = energy_balances(read_transformers(SAMPLE), tables.clients["transformer_id"], days, tables.invoices)
    [totals] = [source for source in find_files("transformer", (SAMPLE,)) if "totals" in source.file_name]
    with totals.open() as stream:
        truth = arrow_csv.read_csv(stream).to_pydict()
    ids, day = np.array(truth["transformer_id"]), np.array(truth["measured_on"], "datetime64[D]")
    unregistered, delivered = (
        np.array(truth[name]) * (day > day.max() - 90) for name in ("unregistered_kwh", "delivered_kwh")
    )
    own = [ids == row.transformer_id for row in found.rows]
    return found.rows, np.array([unregistered[rows].sum() / delivered[rows].sum() for rows in own])


def test_losses_in_the_sample_match_the_true_ones(sample):
    rows, truth = sample
    judged = [i for i, row in enumerate(rows) if row.lost_share is not None]
    found = np.array([rows[i].lost_share for i in judged])
    assert len(judged) >= 0.9 * len(rows)
    assert np.corrcoef(found, truth[judged])[0, 1] > 0.99
    assert np.abs(found - truth[judged]).mean() < 0.005
    is_held = [rows[i].low_share <= truth[i] <= rows[i].high_share for i in judged]
    assert np.mean(is_held) >= 0.95
