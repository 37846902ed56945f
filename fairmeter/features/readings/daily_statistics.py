"""Blocks on daily consumption: levels, kinds of days and their runs, ceilings, repetition, weekdays, season.

In:  DailySeries (fairmeter/features/readings/series.py).
Out: BLOCKS; each computes (features, clients), float64. Missing evidence is NaN.
"""

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.features.base import FALL, HISTORY, IRREGULAR, LOW, PLACE, SEASON, SHAPE, Block, Feature
from fairmeter.features.readings.series import DailySeries, slope

# --- levels -----------------------------------------------------------------------------------------------------------

QUANTILES = {"min": 0.0, "q02": 0.02, "q10": 0.1, "q25": 0.25, "q75": 0.75, "q90": 0.9, "q98": 0.98, "max": 1.0}
LAGS = (0, 1, 7, 14, 28)


def _levels(rows: DailySeries) -> np.ndarray:
    segments, ends = rows.segments, rows.segments.ends
    n, mean, deviation, skew = (x[:0:-1] for x in rows.shape)  # of relative, of log
    quantiles = segments.quantiles(rows.relative[None], tuple(QUANTILES.values()), n[:1])[:, 0]
    cut = np.array([rows.since_end(7), rows.since_end(30), rows.since_end(14)])
    stop = np.array([ends, ends, cut[0]])
    _, recent, variance = (x[0] for x in rows.window(cut, stop, slice(2, 3)))
    lag = np.array(LAGS)[:, None]
    last = rows.relative.take(np.maximum(ends - 1 - lag, segments.starts))
    lagged = np.where(segments.counts > lag, last, np.nan)
    n_read = n[0] + segments.total(np.isnan(rows.kwh) & ~rows.is_unread)  # days of a total that was spread as well
    return np.array([
        np.log(rows.level), mean[0] * rows.level, deviation[0] * rows.level,
        *(recent[:2] * rows.level), *(np.sqrt(variance[:2]) * rows.level), *recent[:2],
        *(np.sqrt(variance[:2]) / recent[:2]), recent[0] - recent[2], lagged[0] - lagged[1], *lagged,
        mean[0], deviation[0] / mean[0], skew[0], deviation[1], skew[1],
        *quantiles, quantiles[-1] / mean[0], quantiles[1] / quantiles[5], n[0], n_read / segments.counts,
    ])  # fmt: skip


LEVELS_BLOCK = Block(
    (
        Feature("level", LOW, "log kWh a day", "log of the median day"),
        Feature("mean_kwh", LOW, "kWh a day", "mean consumption"),
        Feature("std_kwh", IRREGULAR, "kWh a day", "standard deviation of consumption"),
        Feature("mean_7_kwh", LOW, "kWh a day", "mean of the last 7 days"),
        Feature("mean_30_kwh", LOW, "kWh a day", "mean of the last 30 days"),
        Feature("std_7_kwh", IRREGULAR, "kWh a day", "standard deviation of the last 7 days"),
        Feature("std_30_kwh", IRREGULAR, "kWh a day", "standard deviation of the last 30 days"),
        Feature("mean_7", FALL, "of the median day", "mean of the last 7 days over the median day"),
        Feature("mean_30", FALL, "of the median day", "mean of the last 30 days over the median day"),
        Feature("cv_7", IRREGULAR, "ratio", "coefficient of variation of the last 7 days"),
        Feature("cv_30", IRREGULAR, "ratio", "coefficient of variation of the last 30 days"),
        Feature("derivative_7", FALL, "of the median day", "mean of the last 7 days less that of the 7 days before"),
        Feature("derivative_1", FALL, "of the median day", "last day less the day before"),
        *(Feature(f"lag_{lag}", LOW, "of the median day", f"consumption {lag} days before the last") for lag in LAGS),
        Feature("mean_over_median", SHAPE, "ratio", "mean over median day"),
        Feature("cv", IRREGULAR, "ratio", "coefficient of variation"),
        Feature("skew", SHAPE, "", "skewness of consumption"),
        Feature("log_std", IRREGULAR, "log ratio", "standard deviation of log consumption"),
        Feature("log_skew", SHAPE, "", "skewness of log consumption"),
        *(Feature(f"relative_{name}", SHAPE, "of the median day", f"{name} of the days over the median day")
          for name in QUANTILES),
        Feature("peak_to_average", SHAPE, "ratio", "highest day over the mean"),
        Feature("base_to_high", SHAPE, "ratio", "2 % quantile over 90 % quantile"),
        Feature("n_days", HISTORY, "days", "number of known days"),
        Feature("known_share", HISTORY, "share", "share of days with a reading"),
    ),
    _levels,
)  # fmt: skip

# --- kinds of days: how many, how long in a row -----------------------------------------------------------------------

KINDS = (
    ("zero", LOW, "zero consumption", lambda r: r.relative <= 0.0005),
    ("near_zero", LOW, "less than a tenth of the median day", lambda r: r.relative < 0.1),
    ("low", LOW, "less than a third of the median day", lambda r: r.relative < 0.33),
    ("high", IRREGULAR, "more than double the median day", lambda r: r.relative > 2.0),
    ("flat", SHAPE, "the consumption of the day before, within 0.5 %",
     lambda r: np.abs(r.log - r.segments.lag(r.log)) < 0.005),
    ("fall", FALL, "a third less than the neighbours' change foretells",
     lambda r: r.residual - _median_residual(r) < -0.4),
    ("missing", HISTORY, "no reading", lambda r: r.is_unread),
)  # fmt: skip
KIND_STATISTICS = (
    ("share", "share", "share of days with"),
    ("share_90", "share", "share of the last 90 days with"),
    ("share_30", "share", "share of the last 30 days with"),
    ("longest", "days", "longest run of days with"),
    ("lately", "days", "run of days, up to the last one, with"),
    ("runs", "runs", "number of runs of days with"),
    ("runs_90", "runs", "number of runs in the last 90 days of days with"),
)


def _median_residual(rows: DailySeries) -> np.ndarray:
    """Median residual of each client, broadcast to its rows."""
    return rows.segments.broadcast(rows.segments.quantiles(rows.residual[None], (0.5,), rows.shape[0][:1])[0, 0])


def _kinds(rows: DailySeries) -> np.ndarray:
    segments = rows.segments
    is_kind = np.array([test(rows) for *_, test in KINDS])
    begins = is_kind.copy()
    begins[:, 1:] &= ~is_kind[:, :-1] | segments.is_first[1:]
    in_90, in_30 = segments.rows_left <= 90, segments.rows_left <= 30
    counted = np.array([is_kind, is_kind & in_90, is_kind & in_30, begins, begins & in_90], dtype=np.float64)
    n, n_90, n_30, runs, runs_90 = segments.total(counted)
    counts = segments.counts
    longest, current = segments.runs(is_kind)
    return np.concatenate([
        n / counts, n_90 / np.minimum(counts, 90), n_30 / np.minimum(counts, 30), longest, current, runs, runs_90,
    ])  # fmt: skip


KINDS_BLOCK = Block(
    tuple(
        Feature(f"{name}_{short}", group, unit, f"{long} {text}")
        for short, unit, long in KIND_STATISTICS
        for name, group, text, _ in KINDS
    ),
    _kinds,
)

# --- a ceiling that is no longer exceeded, a floor that is no longer reached ------------------------------------------

CEILING_WINDOWS = (14, 30, 60, 120)


def _ceilings(rows: DailySeries) -> np.ndarray:
    """Maximum of the last days; time since it was exceeded, share of days above, improbability by chance."""
    segments, relative, row = rows.segments, rows.relative, np.arange(rows.segments.n_rows)
    is_last = segments.rows_left <= np.array(CEILING_WINDOWS)[:, None]
    ceiling = segments.largest(np.where(is_last, relative, np.nan))
    maximum, known = segments.broadcast(ceiling), ~np.isnan(relative)
    over = relative > 1.01 * maximum
    last = np.maximum.reduceat(np.where(over, row, -1), segments.starts, axis=-1)
    last = np.maximum(last, segments.starts - 1)
    is_since = row > segments.broadcast(last)
    at = (np.abs(relative / maximum - 1.0) < 0.005) & is_since
    counted = np.array([over, known & ~is_since, at, known & is_since], dtype=np.float64)
    n_over, n_before, n_at, n_since = segments.total(counted)
    share = n_over / (n_before + 2.0)
    surprise = -n_since * np.log1p(-np.minimum(share, 0.98))
    found = np.array([ceiling, segments.ends - 1 - last, share, surprise, n_at, n_at / n_since])
    return found.swapaxes(0, 1).reshape(-1, len(segments))


CEILING_BLOCK = Block(
    tuple(
        Feature(f"ceiling_{w}_{short}", SHAPE, unit, f"{long} the highest of the last {w} days")
        for w in CEILING_WINDOWS
        for short, unit, long in (
            ("height", "of the median day", "level of"),
            ("held", "days", "time since a day exceeded"),
            ("over", "share", "share of the days before then that exceeded"),
            ("surprise", "nats", "how unlikely it is by chance that so long no day exceeded"),
            ("n_at", "days", "number of days within 0.5 % of"),
            ("at", "share", "share of days since then within 0.5 % of"),
        )
    ),
    _ceilings,
)

# --- repetition: the days of weeks or a month before ------------------------------------------------------------------

REPEAT_LAGS = (1, 2, 7, 14, 21, 27, 28, 29, 30, 31, 32, 35)
REPEAT_WINDOWS = (30, 60, 120)


def _repetition(rows: DailySeries) -> np.ndarray:
    """Deviation of log consumption from that of a day to five weeks before, with the least of them; autocorrelation."""
    segments, log = rows.segments, rows.log
    lagged = segments.lags(log, REPEAT_LAGS)
    is_recent = np.flatnonzero(segments.rows_left <= REPEAT_WINDOWS[-1])
    recent = Segments(np.minimum(segments.counts, REPEAT_WINDOWS[-1]))
    off = log.take(is_recent) - lagged.take(is_recent, axis=-1)
    now = np.where(segments.rows_left.take(is_recent) <= np.array(REPEAT_WINDOWS)[:, None, None], off, np.nan)
    n, mean, deviation = recent.moments(now)
    same = recent.total((np.abs(now - recent.broadcast(mean)) < 0.01).astype(np.float64)) / n
    deviation, same = np.where(n >= 7, np.array([deviation, same]), np.nan)
    least, week = np.fmin.reduce(deviation[:, 2:], axis=1), deviation[:, 2]
    most = np.fmax.reduce(same[:, 2:], axis=1)
    found = np.array([deviation[:, 0], week, least, least / week, most, same[:, 0]])
    mean = segments.broadcast(rows.shape[1][1])
    centred = log - mean
    with_lag = segments.mean(centred * (lagged - mean)) / segments.mean(centred * centred)
    return np.concatenate([found.swapaxes(0, 1).reshape(-1, len(segments)), with_lag])


REPETITION_BLOCK = Block(
    (
        *(Feature(f"repeat_{w}_{short}", SHAPE, unit, f"{long}, last {w} days")
          for w in REPEAT_WINDOWS
          for short, unit, long in (
              ("jump", "log ratio", "deviation from the day before"),
              ("week", "log ratio", "deviation from the week before"),
              ("least", "log ratio", "least deviation from days a week to five weeks before"),
              ("copy", "ratio", "least deviation from days a week to five weeks before over that from the week before"),
              ("same", "share", "largest share of days in a fixed ratio to days a week to five weeks before"),
              ("same_day", "share", "share of days in a fixed ratio to the day before"),
          )),
        *(
            Feature(f"autocorrelation_{lag}", IRREGULAR, "", f"correlation with {lag} days before")
            for lag in REPEAT_LAGS
        ),
    ),
    _repetition,
)  # fmt: skip


def _values(rows: DailySeries) -> np.ndarray:
    """Repetition and roundness of values."""
    segments = rows.segments
    kwh = np.where(rows.relative > 0.0005, np.rint(rows.kwh * 1000.0) / 1000.0, np.nan)  # whole Wh, as meters have
    n_distinct, share = segments.repetition(np.array([kwh, np.rint(np.log(kwh) * 100.0)]))
    n = segments.total((~np.isnan(kwh)).astype(np.float64))
    scaled = np.array([kwh, kwh * 10.0])
    off = np.abs(scaled - np.rint(scaled)) < 1e-6
    return np.concatenate([n_distinct[:1] / n, share, segments.total(off.astype(np.float64)) / n])


VALUES_BLOCK = Block(
    (
        Feature("distinct_share", SHAPE, "share", "different values over known days"),
        Feature("mode_share", SHAPE, "share", "share of the most frequent value"),
        Feature("near_mode_share", SHAPE, "share", "share of the most frequent value, to 1 %"),
        Feature("whole_share", SHAPE, "share", "share of whole kWh"),
        Feature("tenth_share", SHAPE, "share", "share of whole tenths of a kWh"),
    ),
    _values,
)

# --- weekdays, holidays, season, weather, neighbours ------------------------------------------------------------------

BASE_TEMPERATURE = 15.5  # deg C: base of heating degree days in British practice
SEASONS = {"winter": (11, 0, 1), "spring": (2, 3, 4), "summer": (5, 6, 7), "autumn": (8, 9, 10)}
SEASON_OF_MONTH = np.array([next(i for i, s in enumerate(SEASONS.values()) if month in s) for month in range(12)])


# Height of the sun, 1 at the northern midsummer, -1 at the southern: solar output follows it, theft does not.
SUN = np.cos(2.0 * np.pi * (np.arange(366) - 171) / 365.25)


def _context(rows: DailySeries) -> np.ndarray:
    segments, log = rows.segments, rows.log
    month = rows.day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    in_season = SEASON_OF_MONTH.take(month) == np.arange(4)[:, None]
    weekend = rows.weekday >= 5
    holiday = (rows.holiday == 1.0, rows.holiday == 0.0) if rows.has_holidays else ()
    means = segments.mean(np.where(np.array([weekend, ~weekend, *in_season, *holiday]), log, np.nan))
    overall = rows.shape[1][1]
    on_holidays = means[6] - means[7] if rows.has_holidays else np.full(len(segments), np.nan)
    factor = np.where(segments.broadcast(rows.is_covered), rows.factor, np.nan)
    recent = np.where(segments.rows_left <= 60, 1.0, np.nan)
    by_factor, with_factor = slope(rows, np.array([log, log * recent]), np.array([factor, factor]))
    sensitivity = np.where(rows.is_covered, 1.0 + rows.step.slope[0], np.nan)
    off_neighbours = np.where(
        rows.is_covered, segments.last(rows.off_neighbours) - segments.mean(rows.off_neighbours), np.nan
    )
    return np.array([
        means[0] - means[1], on_holidays, *(means[2:6] - overall), *_weather(rows),
        by_factor[0], with_factor[0], by_factor[1], with_factor[1], sensitivity, rows.shape[2][0], off_neighbours,
    ])  # fmt: skip


def _weather(rows: DailySeries) -> np.ndarray:
    """Slope and correlation with cold; last days minus before, adjusted for cold. [float64, (5, clients)]"""
    segments, days = rows.segments, np.array((7, 30, 90))[:, None]
    if not rows.has_weather:
        return np.full((5, len(segments)), np.nan)
    cold = np.maximum(BASE_TEMPERATURE - rows.temperature, 0.0)
    by_cold, with_cold = slope(rows, rows.log, cold)
    off_weather = rows.log - segments.broadcast(by_cold) * cold
    is_last = segments.rows_left <= days
    last, before = segments.mean(np.where(np.array([is_last, ~is_last]), off_weather, np.nan))
    return np.array([by_cold, with_cold, *(last - before)])


CONTEXT_BLOCK = Block(
    (
        Feature("weekend", SEASON, "log ratio", "log consumption at weekends less that on weekdays"),
        Feature("holiday", SEASON, "log ratio", "log consumption on holidays less that on other days"),
        *(Feature(season, SEASON, "log ratio", f"log consumption in {season} less that of all days")
          for season in SEASONS),
        Feature("cold_slope", SEASON, "log ratio a deg C", "rise of log consumption with each degree of cold"),
        Feature("cold_correlation", SEASON, "", "correlation of log consumption with cold"),
        *(Feature(f"off_weather_{w}", SEASON, "log ratio",
                  f"last {w} days less before, the temperature's part taken out")
          for w in (7, 30, 90)),
        Feature("neighbours_slope", PLACE, "", "rise of log consumption with the neighbours'"),
        Feature("neighbours_correlation", PLACE, "", "correlation of log consumption with the neighbours'"),
        Feature("neighbours_slope_60", PLACE, "", "rise of log consumption with the neighbours', last 60 days"),
        Feature("neighbours_correlation_60", PLACE, "",
                "correlation of log consumption with the neighbours', last 60 days"),
        Feature("neighbours_sensitivity", PLACE, "", "sensitivity to the neighbours' factor beside the clearest step"),
        Feature("adjusted_std", IRREGULAR, "log ratio", "standard deviation of the adjusted consumption"),
        Feature("off_neighbours_last", PLACE, "log ratio",
                "last day's deviation from the neighbours, less the usual one"),
    ),
    _context,
)  # fmt: skip


def _sun(rows: DailySeries) -> np.ndarray:
    """Slope and correlation with the height of the sun: after and before the clearest step, and over 180 days."""
    segments, date = rows.segments, rows.day.astype("datetime64[D]")
    sun = SUN.take((date - date.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64))
    row = np.arange(segments.n_rows)
    is_after = row >= segments.broadcast(np.where(rows.step.row[0] >= 0, rows.step.row[0], segments.starts))
    is_recent = row >= segments.broadcast(segments.ends) - 180
    less = rows.relative - np.exp(np.where(np.isnan(rows.neighbour_factor), 0.0, rows.neighbour_factor))
    series = np.array([rows.residual, rows.residual, rows.residual, less])
    series = np.where(np.array([is_after, ~is_after, is_recent, is_recent]), series, np.nan)
    by_sun = slope(rows, series, np.array([sun, sun, sun, sun]))
    return np.stack(by_sun, axis=1).reshape(-1, len(segments))


SUN_BLOCK = Block(
    tuple(
        Feature(f"sun_{short}_{case}", SEASON, unit, f"{long} of the {series} with the sun's height, {when}")
        for case, series, when in (
            ("after", "adjusted consumption", "after the clearest step"),
            ("before", "adjusted consumption", "before the clearest step"),
            ("180", "adjusted consumption", "last 180 days"),
            ("less_180", "consumption less the neighbours'", "last 180 days"),
        )
        for short, unit, long in (("slope", "log ratio", "rise"), ("correlation", "", "correlation"))
    ),
    _sun,
)

BLOCKS = (LEVELS_BLOCK, KINDS_BLOCK, CEILING_BLOCK, REPETITION_BLOCK, VALUES_BLOCK, CONTEXT_BLOCK, SUN_BLOCK)
