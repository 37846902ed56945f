"""Invoices beside those of the same day: means of enough clients, each client's own values apart."""

import numpy as np
import pytest

from fairmeter.core.types import InvoiceRows
from fairmeter.features.invoices.invoice_rows import COMPARED, ROW_COLUMNS
from fairmeter.models.day_mates import COLUMN_NAMES, MIN_MATES, DayMates, beside_others, mate_columns

LEVEL, DAY, ENERGY = (ROW_COLUMNS.index(name) for name in ("level", "day", "energy"))


def rows(levels, mates, counts=None, day=0.0, energy=0.0):
    """Invoices with these levels and keys, one a client unless counts say otherwise."""
    values = np.full((len(levels), len(ROW_COLUMNS)), np.nan, np.float32)
    values[:, LEVEL], values[:, DAY], values[:, ENERGY] = levels, day, energy
    counts = np.ones(len(levels), int) if counts is None else np.array(counts)
    return InvoiceRows(counts, np.array(mates, np.uint64), values)


def columns(of_rows, mates):
    return dict(zip(COLUMN_NAMES, mate_columns(of_rows, mates.beside(of_rows)).T.tolist(), strict=True))


MANY = rows(np.arange(10.0), [7] * 10)
MATES = DayMates.fit(MANY)


def test_a_mean_is_of_all_clients_of_the_day():
    assert MATES.keys.tolist() == [7]
    assert MATES.means[0, LEVEL] == 4.5
    assert MATES.beside(rows([6.0, 1.0], [7, 8]))[:, LEVEL].tolist() == pytest.approx([1.5, np.nan], nan_ok=True)


def test_days_of_few_clients_are_not_stored():
    assert len(DayMates.fit(rows(np.ones(MIN_MATES - 1), [3] * (MIN_MATES - 1))).keys) == 0
    assert np.isnan(DayMates.fit(rows([1.0], [3])).beside(MANY)).all()


def test_a_value_known_of_few_has_no_mean():
    some = rows([1.0] * MIN_MATES, [3] * MIN_MATES)
    some.values[0, COMPARED.index("gap")] = 30
    mates = DayMates.fit(some)
    assert mates.means[0, LEVEL] == 1
    assert np.isnan(mates.means[0, COMPARED.index("gap")])


def test_a_training_client_is_not_its_own_mate():
    off = beside_others(MANY)[:, LEVEL]
    assert off[0] == pytest.approx(0 - np.arange(1, 10).mean())
    assert off[9] == pytest.approx(9 - np.arange(9).mean())
    changed = rows([100.0, *range(1, 10)], [7] * 10)
    assert beside_others(changed)[0, LEVEL] - off[0] == pytest.approx(100)


def test_columns_are_statistics_of_a_clients_differences_by_energy():
    client = rows([5.5, 3.5, 6.5, 2.5], [7] * 4, [4], day=[0, 365, 1095, 1100], energy=[0, 0, 0, 1])
    found = columns(client, MATES)
    assert found["mates_elec_level_mean"][0] == pytest.approx(2 / 3)
    assert found["mates_elec_level_max"] == [2]
    assert found["mates_elec_level_min"] == [-1]
    assert found["mates_gas_level_mean"] == [-2]
    assert found["mates_elec_level_recent"][0] == pytest.approx(2 - 2 / 3)
    slope = np.polyfit([0, 1, 3], [1, -1, 2], 1)[0]
    assert found["mates_elec_level_slope"][0] == pytest.approx(slope, rel=1e-5)


def test_a_client_without_mates_or_invoices_has_missing_columns():
    found = mate_columns(*(lambda of: (of, MATES.beside(of)))(rows([1.0], [99], [0, 1, 0])))
    assert found.shape == (3, len(COLUMN_NAMES))
    assert np.isnan(found).all()
