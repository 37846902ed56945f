"""What stands around clients stays until it is learnt anew: ledgers, bands of peers, temperatures."""

from datetime import date

import numpy as np

from fairmeter.analysis import peer_consumption
from fairmeter.store import ReferenceData, Series
from tests.builders.client_page import ALONE, MONTHLY, filled
from tests.builders.invoices import BEFORE, invoice, ledger
from tests.builders.store import clients_of, score_of, write

MARCH = date(2026, 3, 1)


def band_of(n):
    """The band of n clients who use 0, 1, 2 ... kWh in March and twice as much in April."""
    ids = [f"c-{i}" for i in range(n)]
    clients = clients_of(client_id=ids, category=[11.0] * n, region=[103.0] * n)
    courses = {id_: Series("month", MARCH, np.array([i, 2 * i], np.float32)) for i, id_ in enumerate(ids)}
    (band,) = peer_consumption.consumption_bands(clients, courses)
    return band


def test_the_store_keeps_a_ledger_until_another_one_comes(store):
    clients = clients_of(client_id=["c-1", "c-2"])
    write(store, score_of(), score_of("c-2"), clients=clients, invoice_histories={"c-1": ledger(BEFORE)})
    write(store, score_of(probability=0.9))
    np.testing.assert_array_equal(store.find_profile("c-1").invoices, ledger(BEFORE))
    assert store.find_profile("c-2").invoices is None
    write(store, invoice_histories={"c-1": ledger(BEFORE, invoice())})
    assert len(store.find_profile("c-1").invoices) == 2


def test_the_store_keeps_the_band_that_was_learnt_last(store):
    band, other = band_of(21), band_of(25)
    write(store, reference=ReferenceData((band,)))
    write(store, reference=ReferenceData((other,)))
    found = store.find_band(11.0, 103.0)
    assert found[:4] == other[:4]
    for kept, learnt in zip(found[4:], other[4:], strict=True):
        np.testing.assert_array_equal(kept, learnt)
    assert store.find_band(11.0, 999.0) is None
    assert store.find_band(None, 103.0) is None


def test_the_store_keeps_the_temperature_of_each_day(store):
    write(store, reference=ReferenceData((), [(MARCH, 12.5), (date(2026, 3, 2), 13.0)]))
    write(store, reference=ReferenceData((), [(date(2026, 3, 2), 14.0)]))
    assert store.temperatures(MARCH, date(2026, 3, 31)) == [(MARCH, 12.5), (date(2026, 3, 2), 14.0)]
    assert store.temperatures(date(2027, 1, 1), date(2027, 2, 1)) == []


def test_neighbours_are_found_in_either_database(store):
    filled(store)
    assert [one.client_id for one in store.neighbours_of("c-5", 2)] == ["c-4", "c-6"]
    assert [one.client_id for one in store.neighbours_of(MONTHLY, 1)] == ["c-0"]
    assert store.neighbours_of(ALONE) == []
