"""Consistency checks of invoices, one named case at a time."""

import numpy as np
import pytest

from fairmeter.analysis.invoice_checks import (
    BACKWARDS,
    JUMP,
    MISSING_MONTHS,
    NEW_METER,
    NOT_BILLED,
    OVERBILLED,
    OVERLAPPING,
    ROLLBACK,
    check_invoices,
)
from fairmeter.data.json_records import tables_from_records
from fairmeter.store import invoice_histories
from fairmeter.store.engine.packing import MAX_INVOICES, pack_invoices, unpack_invoices
from tests.builders.invoices import BEFORE, JANUARY, invoice, ledger
from tests.builders.tables import a_client


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, []),
        ({"old_index": 250, "new_index": 370}, [(ROLLBACK, 50)]),
        ({"old_index": 350, "new_index": 470}, [(JUMP, 50)]),
        ({"new_index": 280}, [(BACKWARDS, 20)]),
        ({"consumption_level_1": 80}, [(NOT_BILLED, 40)]),
        ({"consumption_level_1": 180}, [(OVERBILLED, 60)]),
        ({"consumption_level_1": 121}, []),  # rounding
        ({"coefficient": 3, "consumption_level_1": 360}, []),
        ({"coefficient": 3}, [(NOT_BILLED, 240)]),
        ({"day": "2014-09-24"}, [(MISSING_MONTHS, 4)]),
        ({"months": 8}, [(OVERLAPPING, 4)]),
        ({"meter_id": 8, "old_index": 0, "new_index": 120}, [(NEW_METER, 1)]),
        ({"day": JANUARY, "months": 1}, []),  # two invoices of one visit
        ({"old_index": None, "months": None, "coefficient": None}, []),  # what is not known is no finding
    ],
)
def test_an_invoice_is_checked_alone_and_against_the_previous_one(given, expected):
    found = [(kind, round(size)) for kind, size in check_invoices(ledger(BEFORE, invoice(**given)))[1]]
    assert found == expected


def test_invoices_are_compared_within_their_energy():
    gas = invoice("2014-03-24", old_index=5000, new_index=5120) | {"energy": "GAZ"}
    assert [len(found) for found in check_invoices(ledger(BEFORE, gas, invoice()))] == [0, 0, 0]
    assert check_invoices(ledger(BEFORE)) == [()]


def test_a_ledger_holds_the_latest_invoices_in_order():
    days = [f"20{10 + i // 4}-{1 + 3 * (i % 4):02d}-05" for i in range(MAX_INVOICES + 5)]
    rows = [invoice(day, old_index=i, new_index=i + 120) for i, day in enumerate(days)]
    found = ledger(*rows[::-1])
    assert found["old_index"].tolist() == list(range(5, MAX_INVOICES + 5))
    assert found["day"][-1] == np.datetime64(days[-1]).astype(int)
    assert set(found["consumption"]) == {120.0}


def test_what_is_missing_stays_missing():
    bare = dict.fromkeys((f"consumption_level_{i}" for i in (1, 2, 3, 4)), None) | {"old_index": None, "months": None}
    (row,) = ledger(invoice(**bare))
    assert np.isnan([row["consumption"], row["old_index"]]).all()
    np.testing.assert_array_equal(unpack_invoices(pack_invoices(ledger(BEFORE))), ledger(BEFORE))


def test_clients_without_invoices_have_no_ledger():
    records = [a_client("a"), a_client("b"), a_client("c")]
    table = tables_from_records(records, [[BEFORE], [], [BEFORE, invoice()]])[1]
    assert {id_: len(rows) for id_, rows in invoice_histories(["a", "b", "c"], table).items()} == {"a": 1, "c": 2}
