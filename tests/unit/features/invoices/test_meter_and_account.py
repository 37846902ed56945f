"""Blocks on codes, meter and account: numbers by hand, and the aggregates of older scripts against pandas."""

import numpy as np
import pandas as pd
import pytest

from fairmeter.features.invoices.matrix import FEATURE_NAMES, client_features
from fairmeter.features.invoices.series import LEVELS
from tests.builders.features import (
    ELEC,
    GAS,
    LN10,
    NAN,
    an_invoice,
    assert_by_hand,
    day,
    features_of,
    monthly,
    simulated,
)

BY_HAND = {
    "a code and its changes": (
        monthly(9, 99, 99, 9, tariff=[11, 40, 40, 11]),
        {"tariff_distinct": 2, "tariff_mode": 11, "tariff_mode_share": 0.5, "tariff_changes": 2}
        | {
            "tariff_changed_on": day("2014-04-01"),
            "tariff_first_changed_on": day("2014-02-01"),
            "tariff_changed_ago": 0,
        }
        | {"tariff_step_max": LN10, "tariff_step_min": -LN10, "tariff_last": 11, "tariff_first": 11}
        | {"tariff_mean": 25.5, "tariff_max": 40, "remark_changes": 0, "remark_changed_on": NAN},
    ),
    "meters of 13 digits": (
        monthly(1, 1, 1, meter_id=[2_000_000_000_001, 2_000_000_000_002, 2_000_000_000_002]),
        {"meter_distinct": 2, "meter_changes": 1, "meter_mode_share": 2 / 3, "meter_changed_ago": 28}
        | {"log_meter_mean": np.log10(2e12)},
    ),
    "an index from one invoice to the next": (
        monthly(1, 1, 1, 1, old_index=[0, 100, 150, 400], new_index=[100, 200, 300, 500], meter_id=[7, 7, NAN, 8]),
        {"gaps_of_index": 2, "index_back": 1, "index_step_max": 100, "index_step_min": -50, "index_step_sum": 50}
        | {"index_back_on": day("2014-03-01"), "index_back_ago": 31, "new_index_mean": 275, "new_index_std": 21875**0.5}
        | {"new_index_max": 500, "old_index_min": 0, "old_index_last": 400, "new_index_first": 100}
        | {"log_index_max": np.log(501), "meter_last": 8, "meter_first": 7, "meter_unknown": 1},
    ),
}


@pytest.mark.parametrize(("history", "by_hand"), BY_HAND.values(), ids=BY_HAND)
@pytest.mark.parametrize("energy", [ELEC, GAS])
def test_features_of_codes_and_meters_have_the_numbers_worked_by_hand(history, by_hand, energy):
    assert_by_hand(history, by_hand, energy)


def test_account_features_use_the_invoices_of_all_energies():
    history = [an_invoice("2012-12-02"), an_invoice("2014-01-01", tariff=40), an_invoice("2014-01-01", energy=GAS)]
    by_hand = {"created_on": day("2013-01-01"), "age_months": 365 / 30.44, "first_invoice_after": -30}
    by_hand |= {"n_before_creation": 1, "n_invoices": 3, "n_invoice_dates": 2, "gas_share": 1 / 3, "n_tariffs": 2}
    by_hand |= {"first_invoice_on": day("2012-12-02"), "last_invoice_on": day("2014-01-01"), "category": 51}
    found = features_of(history, created_on="2013-01-01", category=51)
    assert {name: found[name] for name in by_hand} == pytest.approx(by_hand, rel=1e-5)


def test_an_unknown_account_is_missing():
    found = features_of(monthly(1, 2), created_on="NaT", region=NAN)
    for name in ("created_on", "age_months", "first_invoice_after", "region"):
        assert np.isnan(found[name]), name


def test_aggregates_are_those_of_a_pandas_groupby():
    clients, invoices = simulated()
    frame = pd.DataFrame(invoices).assign(total_consumption=lambda t: t[list(LEVELS)].sum(axis=1, min_count=1))
    names, aggregates = [*LEVELS, "total_consumption", "months"], ["mean", "std", "min", "max"]
    wanted = frame.groupby("client")[names].agg(aggregates)
    got = client_features(clients, invoices).features[wanted.index]
    for name in names:
        for aggregate in aggregates:
            column = got[:, FEATURE_NAMES.index(f"{name}_{aggregate}")]
            np.testing.assert_allclose(column, wanted[name, aggregate], rtol=1e-5, atol=1e-3, err_msg=name)
