"""Segments: every result equals plain NumPy on that segment alone."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.core.segments import Segments

NAN = float("nan")
SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
NUMBERS = st.one_of(st.sampled_from([NAN, 0.0, -0.0, 1.0, 2.0, -3.0]), st.floats(-1e6, 1e6, width=32))
CODES = st.sampled_from([NAN, -1.0, 0.0, 5.0, 203.0])
SPLIT_VALUES = st.sampled_from([NAN, 0.0, 1.0, 2.0, 10.0])


def parts_of(values):
    return st.lists(st.lists(values, max_size=9), max_size=6)


def laid_out(parts):
    """(segments, series of shape (rows,), its parts as arrays)"""
    arrays = [np.array(part, dtype=np.float64) for part in parts]
    return Segments([len(part) for part in parts]), np.concatenate([*arrays, np.empty(0)]), arrays


def known(part):
    return part[~np.isnan(part)]


def close(got, wanted):
    np.testing.assert_allclose(got, np.array(wanted, dtype=np.float64), rtol=1e-9, atol=1e-9)


@given(parts_of(NUMBERS))
def test_sums_extremes_first_and_last_of_each_segment(parts):
    segments, series, arrays = laid_out(parts)
    values = [known(part) for part in arrays]
    close(segments.total(np.nan_to_num(series)), [v.sum() for v in values])
    close(segments.largest(series), [v.max() if v.size else NAN for v in values])
    close(segments.smallest(series), [v.min() if v.size else NAN for v in values])
    close(segments.first(series), [part[0] if part.size else NAN for part in arrays])
    close(segments.last(series), [part[-1] if part.size else NAN for part in arrays])


@given(parts_of(NUMBERS))
def test_moments_are_those_of_the_known_values(parts):
    segments, series, arrays = laid_out(parts)
    values = [known(part) for part in arrays]
    n, mean, deviation = segments.moments(series)
    close(n, [v.size for v in values])
    close(mean, [v.mean() if v.size else NAN for v in values])
    close(segments.mean(series), mean)
    np.testing.assert_allclose(deviation, [v.std() if v.size else NAN for v in values], rtol=1e-6, atol=1e-6)


@given(parts_of(st.integers(-1000, 1000)))
def test_shape_is_the_third_moment_over_the_cubed_deviation(parts):
    segments, series, arrays = laid_out(parts)
    wanted = [
        ((a - a.mean()) ** 3).mean() / a.std() ** 3 if a.size and a.std() else 0.0 if a.size else NAN for a in arrays
    ]
    np.testing.assert_allclose(segments.shape(series)[3], wanted, rtol=1e-6, atol=1e-9)


def test_a_flat_series_has_no_skewness_whatever_its_rounding():
    assert Segments([3]).shape(np.full(3, 0.1))[3] == 0.0
    assert Segments([3]).shape(np.array([1e9, 1e9 + 1e-7, 1e9]))[3] == 0.0


@given(parts_of(NUMBERS))
def test_quantiles_are_linear_between_the_known_values_as_float32(parts):
    segments, series, arrays = laid_out(parts)
    n, _, _ = segments.moments(series)
    values = [known(part).astype(np.float32).astype(np.float64) for part in arrays]
    wanted = [[np.quantile(v, share) if v.size else NAN for v in values] for share in SHARES]
    got = segments.quantiles(series[None], SHARES, n[None])
    assert got.shape == (len(SHARES), 1, len(segments))
    close(got[:, 0], np.reshape(wanted, (len(SHARES), len(parts))))


@pytest.mark.parametrize("missing", [np.nan, -np.nan], ids=["positive", "negative"])
def test_a_missing_value_of_either_sign_comes_after_all_others(missing):
    series = np.array([[missing, 9e30, -9e30, 2.0, missing]])
    quantiles = Segments([5]).quantiles(series, (0.0, 0.5, 1.0), np.array([[3.0]]))
    np.testing.assert_allclose(quantiles.ravel(), [-9e30, 2.0, 9e30], rtol=1e-6)


@given(parts_of(CODES))
def test_modes_count_the_known_codes_and_the_smaller_wins_a_tie(parts):
    segments, codes, arrays = laid_out(parts)
    counts = [Counter(known(part).tolist()) for part in arrays]
    mode = [min(c, key=lambda code, c=c: (-c[code], code)) if c else NAN for c in counts]
    n_distinct, found, share = segments.modes(codes)
    close(n_distinct, [len(c) for c in counts])
    close(segments.distinct(codes), [len(c) for c in counts])
    close(found, mode)
    close(share, [c[m] / c.total() if c else NAN for c, m in zip(counts, mode, strict=True)])
    for of_repetition, of_modes in zip(segments.repetition(codes), (n_distinct, share), strict=True):
        close(of_repetition, of_modes)


@given(parts_of(st.booleans()))
def test_runs_end_where_segments_end(parts):
    segments, mask, arrays = laid_out(parts)
    runs = [[(value, len(list(group))) for value, group in itertools.groupby(part)] for part in arrays]
    longest, last = segments.runs(mask == 1.0)
    close(longest, [max([n for value, n in run if value], default=0) for run in runs])
    close(last, [run[-1][1] if run and run[-1][0] else 0 for run in runs])


@given(parts_of(NUMBERS))
def test_a_lag_does_not_reach_into_the_previous_segment(parts):
    segments, series, arrays = laid_out(parts)
    for steps in (1, 2, 6):
        wanted = [np.append(np.full(steps, NAN), part)[: len(part)] for part in arrays]
        close(segments.lags(series, (steps,))[0], np.concatenate([*wanted, []]))
    close(segments.lag(series), segments.lags(series, (1,))[0])


@given(parts_of(NUMBERS))
def test_spread_and_position_match_the_rows_of_each_segment(parts):
    segments, _, arrays = laid_out(parts)
    rows = [(i, j) for i, part in enumerate(arrays) for j in range(len(part))]
    assert segments.spread(np.arange(len(parts))).tolist() == [i for i, _ in rows]
    assert (np.zeros(len(rows)) + segments.broadcast(np.arange(len(parts)))).tolist() == [i for i, _ in rows]
    assert segments.position.tolist() == [j for _, j in rows]
    assert segments.rows_left.tolist() == [len(arrays[i]) - j for i, j in rows]
    assert segments.is_first.tolist() == [j == 0 for _, j in rows]


def split_by_hand(part, at, min_values=2):
    """(between-part sum of squares, later mean - earlier mean) of a split before row `at`; -1 where not allowed."""
    earlier, later = known(part[:at]), known(part[at:])
    if min(earlier.size, later.size) < min_values or np.isnan(part[at]):
        return -1.0, NAN
    gap = later.mean() - earlier.mean()
    return earlier.size * later.size / (earlier.size + later.size) * gap * gap, gap


@given(parts_of(SPLIT_VALUES))
def test_the_best_split_is_the_best_of_all_splits(parts):
    segments, series, arrays = laid_out(parts)
    size, explained, row = (found[0] for found in segments.best_split(series[None]))
    for i, part in enumerate(arrays):
        splits = [split_by_hand(part, at) for at in range(len(part))]
        most = max([between for between, _ in splits], default=-1.0)
        if most <= 0:
            assert np.isnan([size[i], explained[i]]).all()
            assert row[i] == -1
            continue
        between, gap = splits[row[i] - segments.starts[i]]
        assert between == pytest.approx(most)
        assert size[i] == pytest.approx(gap)
        assert explained[i] == pytest.approx(most / ((known(part) - known(part).mean()) ** 2).sum())


def test_the_later_of_two_equally_good_splits_wins():
    assert Segments([6]).best_split(np.array([[0.0, 0.0, 9.0, 9.0, 0.0, 0.0]]))[2] == 4


EVERY_RESULT = {
    "total": lambda s, x: s.total(np.nan_to_num(x)),
    "largest": lambda s, x: s.largest(x),
    "mean": lambda s, x: s.mean(x),
    "moments": lambda s, x: np.stack(s.moments(x)),
    "shape": lambda s, x: np.stack(s.shape(x)),
    "quantiles": lambda s, x: s.quantiles(x, SHARES, s.moments(x)[0]),
    "modes": lambda s, x: np.stack(s.modes(x)),
    "runs": lambda s, x: np.stack(s.runs(x > 0)),
    "best split": lambda s, x: np.stack(s.best_split(x)[:2]),
}


@pytest.mark.parametrize("name", EVERY_RESULT)
@given(parts=parts_of(st.one_of(st.just(NAN), st.floats(-1e9, 1e9))))
def test_a_segment_gives_the_same_bits_alone_and_among_others(name, parts):
    segments, series, arrays = laid_out(parts)
    together = EVERY_RESULT[name](segments, np.stack([series, -series]))
    for i, part in enumerate(arrays):
        alone = EVERY_RESULT[name](Segments([len(part)]), np.stack([part, -part]))
        np.testing.assert_array_equal(together[..., i], alone[..., 0])


@pytest.mark.parametrize("counts", [[], [0], [0, 0, 0]])
def test_segments_without_rows_have_zero_totals_and_nan_otherwise(counts):
    segments, series = Segments(counts), np.empty((2, 0))
    for name, result in EVERY_RESULT.items():
        assert result(segments, series).shape[-1] == len(counts), name
    assert (segments.total(series) == 0).all()
    assert np.isnan(segments.last(series)).all()
    assert np.isnan(segments.mean(series)).all()
