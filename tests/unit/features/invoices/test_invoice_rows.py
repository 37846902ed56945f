"""Values of single invoices, worked by hand, and the same alone as among other clients."""

import numpy as np
import pytest

from fairmeter.features.invoices.invoice_rows import INVOICE_ROWS, ROW_COLUMNS
from fairmeter.features.invoices.matrix import client_features
from tests.builders.features import GAS, LN10, cut, day, monthly, simulated, tables_of


def rows_of(*histories, **account):
    return client_features(*tables_of(*histories, **account)).invoices


def column(rows, name):
    return rows.values[:, ROW_COLUMNS.index(name)].tolist()


def test_every_invoice_has_the_values_worked_by_hand():
    rows = rows_of(monthly(9, 99, 0, remark=[6, 8, 9], tariff=11))
    assert rows.counts.tolist() == [3]
    nan = pytest.approx([np.nan], nan_ok=True)
    assert column(rows, "level") == pytest.approx([LN10, 2 * LN10, 0])
    assert column(rows, "zero") == [0, 0, 1]
    assert column(rows, "change")[:1] == nan
    assert column(rows, "change")[1:] == pytest.approx([LN10, -2 * LN10])
    assert column(rows, "day") == [day("2014-01-01"), day("2014-02-01"), day("2014-03-01")]
    assert column(rows, "gap_after")[:2] == [31, 28]
    assert column(rows, "remark_before")[1:] == [6, 8]
    assert column(rows, "remark_after")[:2] == [8, 9]
    assert column(rows, "off_mean") == pytest.approx([0, LN10, -LN10], abs=1e-6)
    assert column(rows, "off_next")[:2] == pytest.approx([-LN10, 2 * LN10])
    assert column(rows, "level_after")[2:] == nan
    assert column(rows, "age") == [d - day("2003-08-12") for d in column(rows, "day")]


def test_the_mates_of_an_invoice_have_its_region_energy_and_day():
    mine, same = rows_of(monthly(1)), rows_of(monthly(5), district=70.0, category=51.0)
    others = rows_of(monthly(1), region=104.0), rows_of(monthly(1, energy=GAS)), rows_of(monthly(1, first="2014-02"))
    assert mine.mates.tolist() == same.mates.tolist()
    assert mine.mates[0] not in [other.mates[0] for other in others]


def test_rows_of_a_client_do_not_depend_on_the_others_nor_on_other_keys():
    tables = simulated()
    together = client_features(*tables).invoices
    ends = np.cumsum(together.counts)
    for client in (0, 17, 39):
        alone = client_features(*cut(tables, client, client + 1), (INVOICE_ROWS,)).invoices
        own = slice(ends[client] - together.counts[client], ends[client])
        assert alone.values.tobytes() == together.values[own].tobytes()
        assert alone.mates.tolist() == together.mates[own].tolist()


def test_clients_without_invoices_have_no_rows_and_keep_their_place():
    rows = rows_of([], monthly(1, 2), [])
    assert rows.counts.tolist() == [0, 2, 0]
    assert rows_of([]).values.shape == (0, len(ROW_COLUMNS))


def test_rows_come_only_where_they_are_asked_for():
    assert client_features(*tables_of(monthly(1)), ("route_day",)).invoices is None


def test_some_clients_of_a_matrix_have_their_own_rows():
    evidence = client_features(*tables_of(monthly(1), monthly(2, 3), monthly(4)))
    assert column(evidence.of(np.array([1, 2])).invoices, "level_1") == [2, 3, 4]
