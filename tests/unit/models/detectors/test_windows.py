"""Matrices of series: they end in one column, weeks begin on Monday, and no later day has an influence."""

import numpy as np
import pytest

from fairmeter.core.segments import Segments
from fairmeter.data.daily import DailyConsumption
from fairmeter.models.detectors.windows import DayGrid, blocks, cut_series, log_ratio, mean_of_known, quantiles_of_known

NAN = np.nan
THURSDAY = 0  # 1970-01-01


def days_of(*series, first=THURSDAY):
    counts = np.array([len(one) for one in series])
    segments = Segments(counts)
    return DailyConsumption(
        segments, segments.position + first, np.concatenate([np.array(one, dtype=float) for one in series])
    )


def test_series_end_in_the_last_column_and_are_missing_before_they_begin():
    grid = DayGrid.from_days(days_of([1, 2, 3], [], [4]), None, multiple=3, before=0)
    np.testing.assert_array_equal(grid.kwh, [[1, 2, 3], [NAN] * 3, [NAN, NAN, 4]])
    np.testing.assert_array_equal(grid.row, [[0, 1, 2], [4, 4, 4], [4, 4, 3]])


def test_a_grid_has_empty_columns_and_a_multiple_that_holds_the_longest_series():
    assert DayGrid.from_days(days_of([1] * 14), None, multiple=7, before=3).kwh.shape == (1, 17)
    assert DayGrid.from_days(days_of([1] * 15), None, multiple=7, before=3).kwh.shape == (1, 24)
    assert DayGrid.from_days(days_of([]), None, multiple=7, before=3).kwh.shape == (1, 10)


def test_monday_is_0():
    assert DayGrid.from_days(days_of([1, 1, 1, 1, 1]), None, 5, 0).weekday.tolist() == [[3, 4, 5, 6, 0]]


def test_sums_before_a_column_ignore_missing_days():
    total, n = DayGrid.from_days(days_of([1, NAN, 3]), None, multiple=4, before=0).before()
    assert total.tolist() == [[0, 0, 1, 1, 4]]
    assert n.tolist() == [[0, 0, 1, 1, 2]]


def test_a_factor_of_zero_is_unknown():
    grid = DayGrid.from_days(days_of([1, 1, 1]), np.array([1.2, 0.0, NAN]), multiple=3, before=0)
    np.testing.assert_array_equal(grid.factor, [[1.2, NAN, NAN]])


def test_blocks_cover_all_clients_and_rows_once(monkeypatch):
    monkeypatch.setattr("fairmeter.models.detectors.windows.BLOCK", 2)
    seen = list(blocks(days_of([1, 2], [3], [], [4], [5]), None, multiple=2))
    assert [(c.start, c.stop) for c, _, _ in seen] == [(0, 2), (2, 4), (4, 5)]
    assert [(r.start, r.stop) for _, r, _ in seen] == [(0, 3), (3, 4), (4, 5)]
    np.testing.assert_array_equal(seen[1][2].kwh, [[NAN, NAN], [NAN, 4]])


def test_pieces_are_parts_of_one_series_each_and_long_enough():
    days = days_of(range(100), range(1000, 1030), [7])
    parts, rows, client = cut_series(days, np.random.default_rng(0), every=10, min_days=20)
    assert client.tolist() == [0] * 9 + [1] * 2
    assert (parts.segments.counts >= 20).all()
    np.testing.assert_array_equal(parts.kwh, days.kwh[rows])
    np.testing.assert_array_equal(parts.day, days.day[rows])
    assert (np.diff(parts.kwh)[~parts.segments.is_first[1:]] == 1).all()
    assert 0 < (parts.segments.first(parts.kwh)[:9] == 0).sum() < 9  # some have lost their beginning, some have not


def test_no_series_gives_no_pieces():
    parts, rows, client = cut_series(days_of([1, 2]), np.random.default_rng(0), every=10, min_days=20)
    assert (len(parts.kwh), len(rows), len(client)) == (0, 0, 0)


def test_relative_consumption_is_0_at_the_level_and_bounded_on_both_sides():
    values = log_ratio(np.array([5.0, 0.0, 1e9, NAN]), np.array([5.0]))
    assert values[:3] == pytest.approx([0, np.log(0.1 / 1.1), np.log(20.1 / 1.1)])
    assert np.isnan(values[3])
    assert np.isnan(log_ratio(np.array([5.0]), np.array([0.0]))).all()


def test_means_and_quantiles_need_enough_known_values():
    values = np.array([[1, NAN, 3, 8], [NAN, NAN, NAN, 2]])
    np.testing.assert_array_equal(mean_of_known(values, 2), [4, NAN])
    np.testing.assert_array_equal(quantiles_of_known(values, (0.0, 0.5), 2), [[1, NAN], [3, NAN]])
    np.testing.assert_array_equal(quantiles_of_known(values, (0.9,)), [[3, 2]])
