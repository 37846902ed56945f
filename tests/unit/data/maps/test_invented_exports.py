"""Four invented exports, read by their maps, are to the last bit what careful pandas makes of them."""

import numpy as np
import pytest

from benchmarks.helpers import exports
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.maps import read_map
from fairmeter.data.maps.mapped_base import read_mapped_base
from fairmeter.data.readings import read_readings
from fairmeter.data.tables import read_tables


def same_table(found, expected, without=()):
    assert found.keys() - set(without) == expected.keys() - set(without)
    for name in expected.keys() - set(without):
        assert found[name].dtype == expected[name].dtype, name
        is_text = found[name].dtype == object
        equal = np.array_equal(found[name], expected[name], equal_nan=not is_text)
        assert equal, name


@pytest.mark.parametrize("make", [exports.brazilian, exports.indian])
def test_invoices_are_those_of_careful_pandas(make, tmp_path):
    export = make(tmp_path)
    base = read_mapped_base(read_map(export.map), (export.files,))
    expected = read_tables(export.canonical)
    same_table(base.tables.clients, expected.clients)
    order = [np.lexsort([t.invoices["invoice_on"], t.invoices["client"]]) for t in (base.tables, expected)]
    found, there = (
        {n: c[o] for n, c in t.invoices.items()} for t, o in zip((base.tables, expected), order, strict=True)
    )
    same_table(found, there)
    assert base.tables.code_names == expected.code_names


@pytest.mark.parametrize("make", [exports.european, exports.french])
def test_readings_are_those_of_careful_pandas(make, tmp_path):
    export = make(tmp_path)
    base = read_mapped_base(read_map(export.map), (export.files,))
    expected = read_readings(export.canonical).for_clients(base.tables.clients["client_id"])
    same_table(base.readings.readings, expected.readings, without={"minutes", "is_estimated"})
    n = len(expected.client_ids)
    days, there = (DailyConsumption.from_readings(r, n) for r in (base.readings.readings, expected.readings))
    np.testing.assert_array_equal(days.kwh, there.kwh)
    np.testing.assert_array_equal(days.hours, there.hours)
