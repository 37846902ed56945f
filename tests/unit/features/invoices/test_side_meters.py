"""Meters side by side: their invoices of one day count together, those of an exchange one after the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.data.json_records import tables_from_records
from fairmeter.features.invoices.matrix import FEATURE_NAMES, client_features
from fairmeter.features.invoices.series import InvoiceSeries
from tests.builders.tables import a_client, an_invoice

DAYS = ["2013-02-17", "2013-06-17", "2013-10-17", "2014-02-17", "2014-06-17", "2014-10-17"]


def meter(meter_id, kwh=100, days=DAYS, **changes):
    """An invoice of this consumption on each day, one index after the other."""
    levels = {"consumption_level_1": kwh, "consumption_level_2": 0}
    index = [{"old_index": kwh * i, "new_index": kwh * (i + 1)} for i in range(len(days))]
    return [
        an_invoice(invoice_on=day, meter_id=meter_id, **levels | at | changes)
        for day, at in zip(days, index, strict=True)
    ]


def series(*rows):
    clients, invoices, _ = tables_from_records([a_client()], [list(rows)])
    return InvoiceSeries.from_tables(clients, invoices).columns


def features(*rows):
    clients, invoices, _ = tables_from_records([a_client()], [list(rows)])
    return dict(zip(FEATURE_NAMES, client_features(clients, invoices).features[0].tolist(), strict=True))


def test_two_meters_are_one_series_of_their_sum():
    table = series(*meter(1, 100), *meter(2, 40))
    assert table["consumption_level_1"].tolist() == [140.0] * 6
    assert table["months"].tolist() == [4.0] * 6
    assert table["meter_id"].tolist() == [1.0] * 6
    assert (table["new_index"] - table["old_index"]).tolist() == [140.0] * 6


def test_the_features_of_two_meters_are_those_of_one_that_uses_as_much():
    both = features(*meter(1, 100), *meter(2, 40))
    one = features(*meter(1, 140))
    same = [name for name in one if both[name] == one[name] or (np.isnan(one[name]) and np.isnan(both[name]))]
    assert set(one) - set(same) == set()


def test_three_meters_are_one_series():
    assert series(*meter(1, 100), *meter(2, 40), *meter(3, 7))["consumption_level_1"].tolist() == [147.0] * 6


def test_the_same_meter_names_the_series_though_another_uses_more_at_times():
    first, second = meter(1, 100), meter(2, 90)
    second[2] |= {"consumption_level_1": 130, "new_index": 310}
    assert set(series(*first, *second)["meter_id"].tolist()) == {1.0}


def test_meters_of_different_coefficients_have_no_common_index():
    table = series(*meter(1, 100), *meter(2, 10, coefficient=4, consumption_level_1=40))
    assert table["consumption_level_1"].tolist() == [140.0] * 6
    assert np.isnan(table["old_index"]).all()


def test_a_day_and_a_night_register_of_one_meter_are_one_series():
    night = [row | {"old_index": 9000 + row["old_index"], "new_index": 9000 + row["new_index"]} for row in meter(1, 30)]
    assert series(*meter(1, 100), *night)["consumption_level_1"].tolist() == [130.0] * 6


def test_a_meter_that_was_added_later_counts_from_then_on():
    table = series(*meter(1, 100), *meter(2, 40, DAYS[3:]))
    assert table["consumption_level_1"].tolist() == [100.0] * 3 + [140.0] * 3


@pytest.mark.parametrize("n_shared", [1, 2])
def test_an_exchange_stays_two_meters(n_shared):
    before, after = meter(1, 100, DAYS[:4]), meter(2, 90, DAYS[4 - n_shared :])
    assert len(series(*before, *after)["client"]) == len(before) + len(after)


def test_electricity_and_gas_of_one_day_stay_apart():
    assert len(series(*meter(1), *meter(2, energy="GAZ"))["client"]) == 12


@given(st.randoms(), st.lists(st.tuples(st.integers(1, 3), st.sampled_from(DAYS), st.integers(1, 200)), max_size=14))
def test_the_order_of_the_rows_does_not_matter_and_no_energy_is_lost(random, chosen):
    rows = [
        an_invoice(meter_id=number, invoice_on=day, consumption_level_1=kwh, consumption_level_2=0, new_index=500 + kwh)
        for number, day, kwh in {(number, day): (number, day, kwh) for number, day, kwh in chosen}.values()
    ]
    one, other = series(*rows), series(*random.sample(rows, len(rows)))
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    assert one["consumption_level_1"].sum() == sum(row["consumption_level_1"] for row in rows)
