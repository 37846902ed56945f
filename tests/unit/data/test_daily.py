"""Readings become daily consumption on an unbroken calendar: sums by hand, clock changes, gaps, repetitions."""

from dataclasses import replace

import numpy as np
import pytest

from fairmeter.data.daily import DailyConsumption

NAN = np.nan


def readings(*rows):
    """A canonical table of (client, moment, kWh)."""
    client, read_at, kwh = zip(*rows, strict=True) if rows else ((), (), ())
    return {
        "client": np.array(client, dtype=np.int64),
        "read_at": np.array(read_at, dtype="datetime64[m]"),
        "consumption_kwh": np.array(kwh, dtype=np.float64),
    }


def hourly(first="2013-01-01T00:00", n=24, kwh=1.0, client=0):
    moments = np.datetime64(first, "m") + 60 * np.arange(n)
    return [(client, moment, value) for moment, value in zip(moments, np.broadcast_to(kwh, n), strict=True)]


def daily(*kwh, first="2013-01-01", client=0):
    return [(client, np.datetime64(first) + i, value) for i, value in enumerate(kwh)]


def same(one, other):
    for name in ("day", "kwh", "hours"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.segments.counts, other.segments.counts)


class TestDailyReadings:
    def test_they_are_taken_as_they_are(self):
        days = DailyConsumption.from_readings(readings(*daily(5, 6, 7)), 1)
        np.testing.assert_array_equal(days.kwh, [5, 6, 7])
        np.testing.assert_array_equal(days.day, np.datetime64("2013-01-01").astype(int) + np.arange(3))
        assert days.hours is None

    def test_a_day_that_was_not_read_is_a_row_without_value(self):
        days = DailyConsumption.from_readings(readings(*daily(5), *daily(7, first="2013-01-04")), 1)
        np.testing.assert_array_equal(days.kwh, [5, NAN, NAN, 7])

    def test_the_calendar_runs_from_the_first_to_the_last_known_day(self):
        days = DailyConsumption.from_readings(readings(*daily(NAN, -1, 5, NAN, 7, NAN, NAN)), 1)
        np.testing.assert_array_equal(days.kwh, [5, NAN, 7])
        assert days.day[0] == np.datetime64("2013-01-03").astype(int)

    def test_a_series_of_one_day_has_one_row(self):
        np.testing.assert_array_equal(DailyConsumption.from_readings(readings(*daily(5)), 1).kwh, [5])

    def test_what_is_negative_or_not_finite_is_missing(self):
        days = DailyConsumption.from_readings(readings(*daily(5, -0.1, np.inf, -np.inf, NAN, 0)), 1)
        np.testing.assert_array_equal(days.kwh, [5, NAN, NAN, NAN, NAN, 0])

    def test_repetitions_count_once_with_their_mean(self):
        days = DailyConsumption.from_readings(readings(*daily(5, 6), *daily(8), *daily(NAN, 6)), 1)
        np.testing.assert_array_equal(days.kwh, [6.5, 6])

    def test_a_second_reading_on_a_day_does_not_make_the_client_hourly(self):
        days = DailyConsumption.from_readings(
            readings((0, "2013-01-01T00:00", 5), (0, "2013-01-01T09:30", 7), (0, "2013-01-02T00:00", 6)), 1
        )
        np.testing.assert_array_equal(days.kwh, [6, 6])

    def test_a_reading_without_a_date_is_left_out(self):
        days = DailyConsumption.from_readings(readings((0, "NaT", 5), *daily(6)), 1)
        np.testing.assert_array_equal(days.kwh, [6])


class TestHourlyReadings:
    def test_a_day_is_the_sum_of_its_hours(self):
        days = DailyConsumption.from_readings(readings(*hourly(n=48, kwh=np.arange(48.0))), 1)
        np.testing.assert_array_equal(days.kwh, [276, 276 + 24 * 24])
        np.testing.assert_array_equal(days.hours, np.arange(48.0).reshape(2, 24))

    @pytest.mark.parametrize(("n", "kwh"), [(24, 24.0), (18, 24.0), (17, NAN)])
    def test_a_day_of_18_known_hours_is_scaled_up_and_one_of_fewer_is_missing(self, n, kwh):
        gaps = np.where(np.arange(48) % 24 < n, 1.0, NAN)
        days = DailyConsumption.from_readings(readings(*hourly(n=48, kwh=gaps), *hourly("2013-01-03T00:00", 24)), 1)
        np.testing.assert_array_equal(days.kwh[-1:], [24.0])
        np.testing.assert_array_equal(days.kwh[:-1], [kwh, kwh] if n >= 18 else [])

    def test_an_hour_that_came_through_alone_is_no_day(self):
        rows = [*hourly(n=24), (0, "2013-01-02T00:00", 1.0), *hourly("2013-01-03T00:00", 24)]
        np.testing.assert_array_equal(DailyConsumption.from_readings(readings(*rows), 1).kwh, [24, NAN, 24])

    def test_the_spring_day_of_23_hours_and_the_autumn_day_of_25_compare_with_the_others(self):
        spring = [row for row in hourly("2013-03-30T00:00", 72, 2.0) if row[1] != np.datetime64("2013-03-31T01:00")]
        autumn = [*hourly("2013-10-26T00:00", 72, 2.0), (0, np.datetime64("2013-10-27T01:00"), 2.0)]
        for rows in (spring, autumn):
            np.testing.assert_allclose(DailyConsumption.from_readings(readings(*rows), 1).kwh, [48, 48, 48])

    def test_half_hours_are_summed(self):
        halves = [(0, np.datetime64("2013-01-01T00:00") + 30 * i, 0.5) for i in range(96)]
        np.testing.assert_allclose(DailyConsumption.from_readings(readings(*halves), 1).kwh, [24, 24])
        np.testing.assert_allclose(DailyConsumption.from_readings(readings(*halves[1:]), 1).kwh, [24, 24])

    def test_a_file_that_came_twice_counts_once(self):
        rows = hourly(n=72, kwh=np.arange(72.0))
        same(
            DailyConsumption.from_readings(readings(*rows, *rows), 1),
            DailyConsumption.from_readings(readings(*rows), 1),
        )

    def test_a_client_may_change_from_daily_to_hourly_readings(self):
        days = DailyConsumption.from_readings(readings(*daily(20, 21), *hourly("2013-01-03T00:00", 24)), 1)
        np.testing.assert_array_equal(days.kwh, [20, 21, 24])
        assert np.isnan(days.hours[:2]).all()
        assert (days.hours[2] == 1).all()


class TestSeveralClients:
    ROWS = (*daily(5, NAN, 7, client=1), *hourly(n=48, client=3), *daily(NAN, client=4), *daily(3, client=5))

    def test_a_client_without_known_readings_has_no_rows(self):
        days = DailyConsumption.from_readings(readings(*self.ROWS), 7)
        np.testing.assert_array_equal(days.segments.counts, [0, 3, 0, 2, 0, 1, 0])
        np.testing.assert_array_equal(days.kwh, [5, NAN, 7, 24, 24, 3])

    @pytest.mark.parametrize("n_clients", [0, 3])
    def test_no_readings_give_no_days(self, n_clients):
        days = DailyConsumption.from_readings(readings(), n_clients)
        assert len(days.day) == len(days.kwh) == 0
        assert len(days.segments) == n_clients

    def test_the_order_of_rows_does_not_matter(self):
        rows = [*self.ROWS, *daily(0.1, 0.7, client=5), *daily(0.3, client=5)]
        mixed = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
        same(DailyConsumption.from_readings(readings(*mixed), 7), DailyConsumption.from_readings(readings(*rows), 7))

    def test_a_client_alone_has_the_days_it_has_among_others(self):
        days = DailyConsumption.from_readings(readings(*self.ROWS), 7)
        for client in (1, 3, 5):
            alone = DailyConsumption.from_readings(
                readings(*((0, *row[1:]) for row in self.ROWS if row[0] == client)), 1
            )
            part = days.slice(client, client + 1)
            np.testing.assert_array_equal(part.kwh, alone.kwh)
            np.testing.assert_array_equal(part.day, alone.day)

    def test_slices_put_together_are_the_whole(self):
        days = DailyConsumption.from_readings(readings(*self.ROWS), 7)
        parts = [days.slice(0, 4), days.slice(4, 7), days.slice(7, 7)]
        np.testing.assert_array_equal(np.concatenate([part.kwh for part in parts]), days.kwh)
        np.testing.assert_array_equal(np.concatenate([part.hours for part in parts]), days.hours)


def test_the_input_is_not_changed():
    table = readings(*daily(-5, 6), *daily(8))
    before = {name: column.copy() for name, column in table.items()}
    DailyConsumption.from_readings(table, 1)
    for name, column in table.items():
        np.testing.assert_array_equal(column, before[name])


class TestDaysOfATotal:
    """Parts of one total that was spread over several days."""

    @staticmethod
    def days(kwh, spread):
        found = DailyConsumption.from_readings(readings(*daily(*kwh)), 1)
        return replace(found, is_spread=np.isin(np.arange(len(kwh)), spread))

    def test_they_are_missing_where_only_days_of_their_own_are_asked_for(self):
        own = self.days([5, 6, 2, 2, 7, 8], [2, 3]).without_spread()
        np.testing.assert_array_equal(own.kwh, [5, 6, NAN, NAN, 7, 8])

    @pytest.mark.parametrize(("spread", "first", "kwh"), [([0, 1], 2, [3, 4, 5]), ([3, 4], 0, [1, 2, 3])])
    def test_the_calendar_begins_and_ends_with_a_day_of_its_own(self, spread, first, kwh):
        own = self.days([1, 2, 3, 4, 5], spread).without_spread()
        np.testing.assert_array_equal(own.kwh, kwh)
        assert own.day[0] == np.datetime64("2013-01-01").astype(int) + first
        assert own.segments.counts.tolist() == [3]

    def test_a_client_that_is_read_by_the_week_keeps_them(self):
        weekly = self.days([1, 2, 2, 2, 3, 3, 3], range(1, 7))
        assert weekly.without_spread() is weekly
