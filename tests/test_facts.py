"""Facts of a client, worked by hand: a fall, a spike, a rise at night, an index that runs back; and its consumption."""

import numpy as np
import pytest
from table_builders import a_client, an_invoice

from fraud import facts
from fraud.days import Days
from fraud.reading_tables import readings_from_records
from fraud.tables import tables_from_records

FIRST = np.datetime64("2013-01-01")


def invoices_of(*invoices):
    return tables_from_records([a_client("c-1")], [list(invoices)])[1]


def days_of(kwh):
    readings = [{"read_at": str(FIRST + n), "consumption_kwh": value} for n, value in enumerate(kwh)]
    return Days.of(readings_from_records([readings])[0], 1)


NO_INVOICES = invoices_of()


def test_a_fall_is_against_the_same_days_a_year_before_where_there_are_some():
    kwh = np.full(455, 20.0)
    kwh[:90], kwh[-90:] = 10.0, 4.0
    assert facts.fall(kwh) == pytest.approx(0.6)
    assert facts.fall(kwh[90:]) == pytest.approx(0.8)
    assert facts.fall(np.full(455, 5.0)) == 0.0


def test_nothing_is_said_of_a_span_of_which_too_little_is_known():
    kwh = np.full(455, 20.0)
    kwh[-90:-20] = np.nan
    assert facts.fall(kwh) is None
    assert facts.fall(kwh[:100]) is None
    assert facts.fall(np.zeros(455)) is None
    assert facts.spike(np.full(400, 9.0)) is None


def test_a_spike_is_the_highest_month_of_a_year_against_the_usual_one_before():
    kwh = np.full(12 * 30 + 6 * 30, 10.0)
    kwh[-60:-30] = 60.0
    assert facts.spike(kwh) == pytest.approx(6.0)


def test_the_share_of_the_night_rises_by_what_was_not_there_before():
    hours = np.ones((180, 24))
    hours[-90:, :5] = 4.0  # 20 of 39 instead of 5 of 24
    assert facts.night_rise(hours) == pytest.approx(20 / 39 - 5 / 24)
    assert facts.night_rise(hours[:100]) is None
    assert facts.night_rise(None) is None


def test_an_index_runs_back_where_an_invoice_begins_below_the_end_of_the_one_before_on_the_same_meter():
    first = an_invoice(invoice_on="2014-01-24", meter_id=1, old_index=0, new_index=100)
    second = an_invoice(invoice_on="2014-05-24", meter_id=1, old_index=90, new_index=150)
    other = an_invoice(invoice_on="2014-09-24", meter_id=2, old_index=0, new_index=10)
    assert facts.rollbacks(invoices_of(other, second, first), 1).tolist() == [1]
    assert facts.rollbacks(invoices_of(first, other), 1).tolist() == [0]
    assert facts.rollbacks(NO_INVOICES, 1).tolist() == [-1]


def test_facts_that_cannot_be_told_are_left_out():
    assert facts.facts_of(NO_INVOICES, None, 1) == [{}]
    assert facts.facts_of(NO_INVOICES, days_of(np.full(200, 5.0)), 1) == [{"fall_90_days_share": 0.0}]


def test_a_course_is_daily_with_readings_and_monthly_without():
    invoices = invoices_of(
        an_invoice(invoice_on="2014-03-24", months=2, consumption_level_1=60, consumption_level_2=0),
        an_invoice(invoice_on="2014-01-24", months=1, consumption_level_1=45, consumption_level_2=0),
    )
    [monthly] = facts.courses_of(invoices, None, 1)
    assert (monthly.step, str(monthly.first_on), monthly.kwh.tolist()) == ("month", "2013-12-01", [45.0, 30.0, 30.0])
    [daily] = facts.courses_of(invoices, days_of([1.0, 2.0, 3.0]), 1)
    assert (daily.step, daily.first_on, daily.kwh.tolist()) == ("day", FIRST, [1.0, 2.0, 3.0])
    assert facts.courses_of(NO_INVOICES, None, 1) == [None]
