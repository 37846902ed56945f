"""Anomalies in invoices, worked by hand: each pattern under its name, and none for a client without anything odd."""

import numpy as np
import pytest

from fairmeter.analysis.anomalies import find_anomalies
from fairmeter.data.json_records import tables_from_records
from tests.builders.tables import a_client, an_invoice

N = 18  # invoices of four months: six years
USUAL = [400, 430, 380, 410, 440, 390, 420, 405, 435, 385, 415, 425, 395, 410, 430, 400, 415, 405]


def invoices_of(kwh, client_id="c-1", **changes):
    """Invoices of four months, the index counting on."""
    index = np.concatenate([[0], np.cumsum(kwh)])
    first = np.datetime64("2008-01-15", "D")
    return [
        an_invoice(client_id, invoice_on=str(first + 122 * i), consumption_level_1=value, consumption_level_2=0,
                   old_index=int(index[i]), new_index=int(index[i + 1]), **changes)
        for i, value in enumerate(kwh)
    ]  # fmt: skip


def anomalies_of(*invoices, peer_gap=None):
    """The anomalies of one client, by pattern."""
    table = tables_from_records([a_client()], [list(invoices)])[1]
    [found] = find_anomalies(1, table, peer_gap=None if peer_gap is None else np.array([peer_gap]))
    return {one.pattern: one for one in found}


def with_last(*kwh):
    return invoices_of([*USUAL[: N - len(kwh)], *kwh])


def test_a_client_without_anything_odd_has_no_anomaly():
    assert anomalies_of(*invoices_of(USUAL)) == {}


def test_a_client_without_electricity_or_invoices_has_no_anomaly():
    assert anomalies_of(*invoices_of(USUAL, energy="GAZ")) == {}
    assert anomalies_of() == {}


def test_an_invoice_far_above_all_before_is_a_spike():
    found = anomalies_of(*with_last(3200))
    assert found["sudden spike"].text == (
        "The invoice from May 2013 to September 2013 shows 800 kWh a month instead of 104."
    )


def test_an_invoice_as_high_as_in_that_season_a_year_before_is_none():
    seasonal = [value * (6 if i % 3 == 2 else 1) for i, value in enumerate(USUAL)]
    assert anomalies_of(*invoices_of(seasonal)) == {}


def test_years_without_consumption_are_zero_or_low_use():
    found = anomalies_of(*with_last(*[0] * 12))
    assert found["zero or low use"].text.startswith("Next to no consumption for 48 months")


def test_a_fall_two_years_running_is_a_gradual_change():
    found = anomalies_of(*with_last(*[220] * 3, *[110] * 3))
    assert "gradual change" in found
    assert found["gradual change"].text == "Consumption fell two years running, by 61 % in all since October 2011."


def test_a_last_year_below_all_years_before_is_a_change_from_own_history():
    assert "change from own history" in anomalies_of(*with_last(20, 25, 20))
    assert "change from own history" in anomalies_of(*with_last(1900, 2000, 1900))


def test_an_index_that_runs_back_is_a_tampering_signature():
    turned = invoices_of(USUAL)
    for invoice in turned[-1:]:
        invoice["old_index"] -= 3000
        invoice["new_index"] -= 3000
    found = anomalies_of(*turned)
    assert list(found) == ["tampering signature"]
    assert "went back by 3,000" in found["tampering signature"].text


def test_a_standstill_with_a_catch_up_is_a_tampering_signature():
    assert "tampering signature" in anomalies_of(*with_last(0, 0, 0, 2600))


def test_equal_invoices_are_a_tampering_signature():
    found = anomalies_of(*with_last(400, 400, 400, 400))
    assert (
        "5 invoices in a row" in found["tampering signature"].text or "4 invoices" in found["tampering signature"].text
    )


@pytest.mark.parametrize(
    ("gap", "patterns"), [(-5.0, ["neighbour deviation"]), (5.0, ["neighbour deviation"]), (0.5, []), (np.nan, [])]
)
def test_a_client_far_from_its_peers_deviates_from_its_neighbours(gap, patterns):
    assert list(anomalies_of(*invoices_of(USUAL), peer_gap=gap)) == patterns


def test_the_anomalies_of_a_client_do_not_depend_on_the_clients_beside_it():
    series = [USUAL, [*USUAL[:-1], 3200], [*USUAL[:6], *[0] * 12], USUAL[:2], [], [*USUAL[:-4], 0, 0, 0, 2600]]
    clients = [a_client(f"c-{i}") for i in range(len(series))]
    rows = [invoices_of(kwh, f"c-{i}") for i, kwh in enumerate(series)]
    together = find_anomalies(len(series), tables_from_records(clients, rows)[1])
    alone = [find_anomalies(1, tables_from_records([c], [r])[1])[0] for c, r in zip(clients, rows, strict=True)]
    assert together == alone
    assert [bool(found) for found in together] == [False, True, True, False, False, True]


def test_the_order_of_the_invoices_does_not_matter():
    rows = with_last(0, 0, 0, 2600)
    assert anomalies_of(*rows) == anomalies_of(*rows[::-1])
