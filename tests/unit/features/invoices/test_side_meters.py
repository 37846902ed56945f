"""Invoices of one day and energy count together; features of meters see those of an exchange apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.data.json_records import tables_from_records
from fairmeter.features.invoices.matrix import FEATURE_NAMES, FEATURES, METER_GROUP_KEYS, client_features
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


def series_of_meters(*rows):
    clients, invoices, _ = tables_from_records([a_client()], [list(rows)])
    return InvoiceSeries.from_tables(clients, invoices).of_meters.columns


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
def test_an_exchange_is_one_invoice_a_day_and_two_meters(n_shared):
    before, after = meter(1, 100, DAYS[:4]), meter(2, 90, DAYS[4 - n_shared :])
    of_days, of_meters = series(*before, *after), series_of_meters(*before, *after)
    assert of_days["consumption_level_1"].tolist() == [100.0] * (4 - n_shared) + [190.0] * n_shared + [90.0] * 2
    assert len(of_meters["client"]) == len(before) + len(after)


def exchange(*months):
    """Five invoices of 400 kWh, the fourth shared by two meters that cover these months."""
    first, second = meter(1, 400, DAYS[:4]), meter(2, 400, DAYS[3:])
    first[3] |= {"months": months[0], "consumption_level_1": 150, "new_index": 1350}
    second[0] |= {"months": months[1], "consumption_level_1": 250, "new_index": 250}
    return [*first, *second]


@pytest.mark.parametrize("months", [(2, 2), (4, 4), (1, 3), (4, 1)])
def test_the_day_of_an_exchange_covers_the_months_of_both_up_to_the_time_since_the_invoice_before(months):
    table = series(*exchange(*months))
    assert table["months"].tolist() == [4.0] * 6
    assert table["consumption_level_1"].tolist() == [400.0] * 6
    assert (table["new_index"] - table["old_index"]).tolist() == [400.0] * 6


def test_without_an_invoice_before_the_longest_period_counts():
    assert series(*meter(1, 100, DAYS[:1]), *meter(2, 100, DAYS[:1], months=2))["months"].tolist() == [4.0]


def test_only_features_of_meters_see_an_exchange():
    exchanged, plain = features(*exchange(2, 2)), features(*meter(1, 400))
    changed = {
        feature.name
        for feature in FEATURES
        if exchanged[feature.name] != plain[feature.name]
        and not (np.isnan(exchanged[feature.name]) and np.isnan(plain[feature.name]))
    }
    assert changed <= {feature.name for feature in FEATURES if feature.after_detection}
    assert exchanged["elec_meter_changes"] == 1
    assert exchanged["elec_meter_distinct"] == 2


def test_only_group_keys_of_meters_see_an_exchange():
    keys = []
    for rows in (exchange(2, 2), meter(1, 400)):
        clients, invoices, _ = tables_from_records([a_client()], [rows])
        keys.append(client_features(clients, invoices).group_keys)
    assert {name for name in keys[0] if keys[0][name].keys.tolist() != keys[1][name].keys.tolist()} <= set(
        METER_GROUP_KEYS
    )
    assert len(keys[0]["exchange_day"].keys) == 1


def test_the_exchange_of_one_client_does_not_change_another():
    exchanged, plain = exchange(2, 2), meter(7, 130)
    clients, invoices, _ = tables_from_records([a_client("a"), a_client("b")], [exchanged, plain])
    together = client_features(clients, invoices).features
    for i, rows in enumerate((exchanged, plain)):
        alone = client_features(*tables_from_records([a_client("ab"[i])], [rows])[:2]).features
        assert together[i : i + 1].tobytes() == alone.tobytes()


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
