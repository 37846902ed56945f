"""How a client is billed: price levels, both energies and uncommon periods, worked by hand."""

import numpy as np
import pytest

from tests.builders.features import GAS, LN10, day, features_of, monthly


def test_the_first_level_counts_where_an_invoice_exceeds_it():
    levels = {"consumption_level_2": [0, 10, 20], "months": [1, 2, 1]}
    found = features_of(monthly(30, 100, 80, **levels))
    assert [found[f"full_level_1_{name}"] for name in ("mean", "max", "min")] == [65, 80, 50]


def test_electricity_and_gas_of_the_same_days_are_compared():
    found = features_of(monthly(9, 99, 999, 0) + monthly(9, 9, 0, first="2014-02", energy=GAS))
    assert found["electricity_alone_share"] == 0.25
    assert found["gas_alone_share"] == 0
    assert found["both_difference"] == pytest.approx((LN10 + 2 * LN10 + 0) / 3)
    assert found["both_no_electricity_share"] == 0
    assert found["both_no_gas_share"] == 0
    assert found["both_months_difference"] == 0
    pairs = np.array([[2, 1], [3, 1], [0, 0]])
    assert found["both_correlation"] == pytest.approx(np.corrcoef(pairs.T)[0, 1], rel=1e-5)


def test_gas_used_on_days_without_electricity_is_counted():
    found = features_of(monthly(0, 99, 0) + monthly(9, 9, 0, energy=GAS))
    assert found["both_no_electricity_share"] == pytest.approx(1 / 3)


def test_without_gas_both_energies_are_unknown():
    found = features_of(monthly(1, 2, 3))
    assert np.isnan([found["electricity_alone_share"], found["both_correlation"], found["both_difference"]]).all()


def test_uncommon_periods_are_counted_and_dated():
    found = features_of(monthly(9, 999, 9, 9, months=[1, 3, 1, 6]))
    assert [found[f"period_{n}_n"] for n in (1, 2, 3, 6, 8, 12)] == [2, 0, 1, 1, 0, 0]
    assert found["period_over_4_n"] == 1
    assert found["odd_period_on"] == day("2014-04-01")
    levels = np.log1p([9, 333, 9, 1.5])
    assert found["odd_period_level"] == pytest.approx(levels[[1, 3]].mean() - levels.mean(), rel=1e-5)
    assert found["long_period_level"] == pytest.approx(levels[3] - levels.mean(), rel=1e-5)
    gaps = np.array([31, 28, 31])
    assert found["gap_variation"] == pytest.approx(gaps.std() / gaps.mean(), rel=1e-5)
