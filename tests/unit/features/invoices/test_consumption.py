"""Blocks on consumption: each family's numbers by hand, for electricity and for gas."""

import numpy as np
import pytest

from fairmeter.features.invoices.series import LEVELS
from tests.builders.features import ELEC, GAS, LN10, NAN, an_invoice, assert_by_hand, day, monthly


def yearly(*kwh):
    """Invoices 365 days apart."""
    return [an_invoice(f"{2013 + i}-01-01", units) for i, units in enumerate(kwh)]


BY_HAND = {
    "statistics of the consumption": (
        monthly(10, 20, 60),
        {"consumption_mean": 30, "consumption_std": (1400 / 3) ** 0.5, "consumption_skew": 6000 / (1400 / 3) ** 1.5}
        | {"consumption_last": 60, "consumption_min": 10, "consumption_q10": 12, "consumption_q25": 15}
        | {"consumption_median": 20, "consumption_q75": 40, "consumption_q90": 52, "consumption_max": 60},
    ),
    "consumption a month and its log": (
        monthly(18, 198, months=2),
        {"monthly_mean": 54, "level_min": LN10, "level_max": 2 * LN10, "months_mean": 2},
    ),
    "time between invoices": (
        monthly(1, 1, 1),
        {"gap_mean": 29.5, "gap_min": 28, "gap_last": 28, "gap_excess_max": 31 - 30.44, "gap_excess_last": 28 - 30.44},
    ),
    "price levels": (
        monthly(10, 10, **{LEVELS[1]: [0, 9], LEVELS[2]: [30, 1], LEVELS[3]: 0}),
        {"level_1_mean": 10, "level_2_max": 9, "level_3_mean": 15.5, "level_4_max": 0}
        | {"level_1_share_mean": 0.375, "level_2_monthly_max": LN10, "level_2_n": 1, "level_3_longest": 2}
        | {"total_level_1_share": 20 / 60, "total_level_2_share": 9 / 60, "total_level_3_share": 31 / 60},
    ),
    "change from one invoice to the next": (
        monthly(9, 99, 9),
        {
            "change_mean": 0,
            "change_min": -LN10,
            "change_max": LN10,
            "change_last": -LN10,
            "jump_mean": LN10,
            "jump_std": 0,
        }
        | {"fall_n": 1, "fall_lately": 1, "rise_n": 1, "rise_lately": 0, "same_n": 0},
    ),
    "to a little more than half, and to a little less than double": (
        monthly(99, 50, 98),
        {"fall_n": 0, "rise_n": 0, "same_n": 0, "yearly_fall_n": 0},
    ),
    "deviation from the three before": (monthly(9, 9, 9, 99), {"off_average_mean": LN10, "off_average_last": LN10}),
    "change against the year before": (
        yearly(99, 9, 9),
        {"year_on_year_min": -LN10, "year_on_year_last": 0, "yearly_fall_n": 1, "yearly_fall_share": 1 / 3},
    ),
    "runs of zeros": (
        monthly(0, 0, 5, 0),
        {"zero_n": 3, "zero_share": 0.75, "zero_longest": 2, "zero_lately": 1}
        | {"near_zero_n": 4, "near_zero_longest": 4, "near_zero_lately": 4, "same_n": 1},
    ),
    "an index inside one invoice": (
        monthly(100, 0, 90, old_index=[600, 500, 500], new_index=[500, 500, 600]),
        {"rollback_n": 1, "rollback_lately": 0, "stall_n": 1, "stall_longest": 1}
        | {"mismatch_n": 2, "mismatch_share": 2 / 3, "mismatch_lately": 1}
        | {"mismatch_sum": -190, "mismatch_size": 210, "mismatch_max": 10, "mismatch_min": -200},
    ),
    "the reader's remarks": (
        monthly(1, 1, 1, 1, remark=[6, 9, 9, 8]),
        {"remark_6_n": 1, "remark_9_longest": 2, "remark_9_lately": 0, "remark_8_lately": 1, "remark_distinct": 3},
    ),
    "periods and visits off the cycle": (
        [
            an_invoice("2014-01-01", months=4),
            an_invoice("2014-01-20"),  # 19 days
            an_invoice("2014-06-20"),  # 151 days for one month
            an_invoice("2014-10-28", months=4),  # 130 days for four
            an_invoice("2014-11-22"),  # 25 days
        ],
        {"off_cycle_n": 1, "off_cycle_lately": 0, "late_n": 1, "late_lately": 0, "not_4_months_n": 3},
    ),
    "years back from the last invoice": (
        [
            an_invoice("2016-01-01", 9),
            an_invoice("2015-01-02", 2, **{LEVELS[2]: 90, LEVELS[3]: 7}),  # 364 days before
            an_invoice("2015-01-01", 0),
            an_invoice("2008-06-01", 5),
            an_invoice("2007-06-01", 5),  # more than eight years before
        ],
        {"year_0_n": 2, "year_0_level": 1.5 * LN10, "year_0_n_zero": 0, "year_0_upper": 97}
        | {"year_1_n": 1, "year_1_level": 0, "year_1_n_zero": 1, "year_1_upper": 0, "year_2_n": 0, "year_2_level": NAN}
        | {"year_7_n": 1},
    ),
    "seasons": (
        [an_invoice(f"2014-{month:02}-01", kwh) for month, kwh in ((1, 9), (2, 99), (5, 9), (6, 0), (9, 0), (12, 999))],
        {"winter_n": 3, "winter_level": 2 * LN10, "spring_n": 1, "summer_n": 1, "summer_n_zero": 1, "autumn_n_zero": 1},
    ),
    "a clear change point": (
        monthly(100, 100, 100, 40, 40),
        {"split_monthly_size": -60, "split_monthly_explained": 1, "split_monthly_ago": 30}
        | {"split_level_size": np.log(41 / 101), "split_level_explained": 1, "split_level_ago": 30},
    ),
    "a change point among other changes": (
        monthly(10, 20, 40, 50),
        {"split_monthly_size": 30, "split_monthly_explained": 0.9, "split_monthly_ago": 31},
    ),
    "no change point in three invoices": (
        monthly(10, 20, 40),
        {"split_monthly_size": NAN, "split_monthly_explained": NAN, "split_monthly_ago": NAN},
    ),
    "trend": (
        yearly(9, 99, 999),
        {"slope": LN10, "halves_change": 1.5 * LN10, "last_3_change": NAN, "persistence": 0},
    ),
    "the last three invoices": (monthly(9, 99, 99, 99), {"last_3_change": LN10, "halves_change": LN10 / 2}),
    "persistence": (monthly(9, 99, 9, 99), {"persistence": -1}),
    "totals": (
        monthly(100, 200, 300),
        {"n": 3, "total": 600, "total_months": 3, "total_monthly": 200, "span": 59, "coverage": 3 * 30.44 / 59}
        | {"first_on": day("2014-01-01"), "last_on": day("2014-03-01"), "total_level_1_share": 1},
    ),
}


@pytest.mark.parametrize(("history", "by_hand"), BY_HAND.values(), ids=BY_HAND)
@pytest.mark.parametrize("energy", [ELEC, GAS])
def test_features_of_consumption_have_the_numbers_worked_by_hand(history, by_hand, energy):
    assert_by_hand(history, by_hand, energy)
