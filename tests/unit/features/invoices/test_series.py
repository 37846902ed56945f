"""InvoiceSeries: the order of a client's invoices, and the series computed from them."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.features.invoices.series import LEVELS, TIE_BREAKS, InvoiceSeries, as_float_days, row_order
from tests.builders.features import (
    ELEC,
    GAS,
    LN10,
    NAN,
    UNKNOWN,
    an_invoice,
    client_table,
    invoice_table,
    monthly,
    tables_of,
)


def rows_of(*histories):
    return InvoiceSeries.from_tables(*tables_of(*histories))


def near(series, wanted):
    np.testing.assert_allclose(series, wanted, rtol=1e-12)


def test_invoices_are_ordered_by_client_energy_and_day():
    late, gas, early = an_invoice("2014-05-01", 3), an_invoice("2013-01-01", 2, GAS), an_invoice("2014-01-01", 1)
    rows = rows_of([late, gas, early], [gas, early])
    assert rows["client"].tolist() == [0, 0, 0, 1, 1]
    assert rows["energy"].tolist() == [ELEC, ELEC, GAS, ELEC, GAS]
    assert rows[LEVELS[0]].tolist() == [1, 3, 2, 1, 2]
    assert rows.pairs.tolist() == [0, 1, 2, 3]
    assert rows.by_pair.counts.tolist() == [2, 1, 1, 1]
    assert rows.by_client.counts.tolist() == [3, 2]


def test_a_pair_without_invoices_has_no_segment():
    rows = rows_of([an_invoice(energy=GAS)], [], [an_invoice()])
    assert rows.pairs.tolist() == [1, 4]
    assert rows.by_pair.counts.tolist() == [1, 1]
    assert rows.by_client.counts.tolist() == [1, 0, 1]


@pytest.mark.parametrize("column", TIE_BREAKS)
def test_every_column_breaks_ties_between_invoices_of_one_day(column):
    tables = [invoice_table([shuffled]) for shuffled in permutations(an_invoice(**{column: v}) for v in (3, 1, NAN, 2))]
    orders = {str(table[column][row_order(table)]) for table in tables}
    assert len(orders) == 1


@given(st.permutations(range(8)))
def test_the_order_of_the_input_does_not_matter(order):
    history = [*monthly(9, 99, 9), *monthly(5, 6, energy=GAS), *monthly(9, 99, 9, remark=9)]
    expected, shuffled = rows_of(history), rows_of([history[i] for i in order])
    for name in expected.columns:
        np.testing.assert_array_equal(expected[name], shuffled[name])


@pytest.mark.parametrize("day", ["1969-12-31", "1970-01-01", "2413-07-01"])
def test_dates_of_any_century_keep_their_order(day):
    rows = rows_of([an_invoice(day, 1), an_invoice("1950-01-01", 2)], [an_invoice("1900-01-01", 3)])
    assert rows[LEVELS[0]].tolist() == [2, 1, 3]


def test_a_missing_date_is_nan():
    days = as_float_days(np.array(["1970-01-11", "NaT", "1969-12-31"], dtype="datetime64[D]"))
    near(days, [10, NAN, -1])


def test_consumption_is_the_sum_of_the_known_levels():
    levels = [(1, 2, 3, 4), (1, NAN, 3, NAN), (NAN, NAN, NAN, NAN), (0, 0, 0, 0)]
    history = [
        invoice | dict(zip(LEVELS, four, strict=True))
        for invoice, four in zip(monthly(0, 0, 0, 0), levels, strict=True)
    ]
    near(rows_of(history).consumption, [10, 4, NAN, 0])


def test_gaps_are_days_since_the_previous_invoice_of_the_same_energy():
    history = [
        an_invoice(day, energy=energy) for day, energy in (("2014-01-01", 0), ("2014-01-31", 0), ("2014-03-02", 0))
    ]
    history += [an_invoice("2014-02-01", energy=GAS), an_invoice("2014-02-11", energy=GAS)]
    rows = rows_of(history, [an_invoice("2015-01-01")])
    near(rows.gap, [NAN, 30, 30, NAN, 10, NAN])
    near(rows.gap_excess, [NAN, 30 - 30.44, 30 - 30.44, NAN, 10 - 30.44, NAN])
    near(rows.days_before_last, [60, 30, 0, 10, 0, 0])


def test_unknown_months_are_estimated_from_the_gap():
    days = ("2014-01-01", "2014-05-02", "2014-05-03", "2014-07-03", "2019-01-01")
    months = (NAN, NAN, NAN, 4, NAN)
    history = [an_invoice(day, months=m) for day, m in zip(days, months, strict=True)]
    near(rows_of(history).months, [NAN, 4, 1, 4, 24])


def test_the_level_is_the_log_of_the_monthly_consumption():
    rows = rows_of(
        [an_invoice("2014-01-01", 18, months=2), an_invoice("2014-01-31", 0), an_invoice("2014-03-02", **UNKNOWN)]
    )
    near(rows.monthly, [9, 0, NAN])
    near(rows.level, [LN10, 0, NAN])
    near(rows.daily, [NAN, 0, NAN])


def test_the_daily_rate_counts_days_and_not_the_months_billed():
    rows = rows_of([an_invoice("2014-01-01"), an_invoice("2014-01-31", 60, months=4), an_invoice("2014-02-01", 5)])
    near(rows.daily, [NAN, np.log1p(60 / 30 * 30.44), np.log1p(5 / 5 * 30.44)])  # one day counts as five


def test_change_and_off_average_are_missing_without_earlier_invoices():
    rows = rows_of(monthly(9, 99, 9, 9, 999), monthly(9))
    near(rows.change / LN10, [NAN, 1, -1, 0, 2, NAN])
    near(rows.off_average / LN10, [NAN, NAN, NAN, 1 - 4 / 3, 3 - 4 / 3, NAN])


@pytest.mark.parametrize(
    ("days", "compared"),
    [
        (("2013-01-01", "2014-01-01"), True),
        (("2013-01-01", "2013-12-02"), True),  # 335 days
        (("2013-01-01", "2013-12-01"), False),  # 334
        (("2013-01-01", "2014-01-31"), True),  # 395
        (("2013-01-01", "2014-02-01"), False),  # 396
        (("2013-01-01", "2013-05-01", "2013-09-01", "2014-01-01"), True),
        (("2013-01-01", "2013-04-01", "2013-07-01", "2013-10-01", "2014-01-01"), True),
        (("2013-01-01", *(f"2013-{m:02}-01" for m in (3, 5, 7, 9, 11)), "2014-01-01"), True),  # six before
        (
            ("2013-01-01", *(f"2013-{m:02}-01" for m in (4, 6, 8, 10)), "2014-01-01"),
            False,
        ),  # the invoice five back is not compared
    ],
)
def test_year_on_year_compares_with_11_to_13_months_earlier(days, compared):
    history = [an_invoice(day, 9) for day in days[:-1]] + [an_invoice(days[-1], 99)]
    rows = rows_of(history)
    near(rows.year_on_year[-1] / LN10, 1.0 if compared else NAN)
    assert np.isnan(rows.year_on_year[0])


def test_year_on_year_takes_the_nearest_known_invoice():
    history = [an_invoice("2013-01-01", 9), an_invoice("2013-01-20", 99), an_invoice("2014-01-05", 999)]
    near(rows_of(history).year_on_year / LN10, [NAN, NAN, 1])
    history[1] |= UNKNOWN
    near(rows_of(history).year_on_year / LN10, [NAN, NAN, 2])


def test_mismatch_is_the_index_difference_minus_billed_consumption():
    history = monthly(100, 90, 110, NAN, old_index=[0, 100, 200, 300], new_index=[100, 200, 300, NAN])
    near(rows_of(history).mismatch, [0, 10, -10, NAN])


def test_tables_without_rows_give_series_without_segments():
    rows = InvoiceSeries.from_tables(client_table([]), invoice_table([]))
    assert (len(rows.by_pair), len(rows.by_client), len(rows.level), len(rows.year_on_year)) == (0, 0, 0, 0)
    assert InvoiceSeries.without_invoices().by_pair.counts.tolist() == [0]
