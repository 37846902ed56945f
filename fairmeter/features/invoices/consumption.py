"""Blocks on consumption: statistics of series, kinds of invoices, years, seasons, change point, trend, totals.

In:  InvoiceSeries (fairmeter/features/invoices/series.py).
Out: BLOCKS; each computes (features, pairs with invoices), float64. Missing evidence is NaN; an empty count is 0.

This module does not use a meter's number, code, status or coefficient; of the index it uses the difference within an
invoice.
"""

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.features.base import DISCREPANCY, FALL, HISTORY, IRREGULAR, LOW, TARIFF, Block, Feature
from fairmeter.features.invoices.series import InvoiceSeries, fill_missing

QUANTILES = {"min": 0.0, "q10": 0.1, "q25": 0.25, "median": 0.5, "q75": 0.75, "q90": 0.9, "max": 1.0}
STATISTICS = {
    "mean": "mean",
    "std": "standard deviation",
    "skew": "skewness",
    "last": "last",
    "min": "lowest",
    "q10": "10 % quantile",
    "q25": "25 % quantile",
    "median": "median",
    "q75": "75 % quantile",
    "q90": "90 % quantile",
    "max": "highest",
}
NEAR_ZERO_KWH = 10.0  # per month: less than a fridge uses
LARGE_CHANGE = 0.7  # log ratio: to half, or to double
SAME_RATIO = 0.02  # log ratio: an estimate, or a copy of the invoice before
OFF_CYCLE_DAYS = 25.0  # shorter than any regular period: an extra visit
LATE_DAYS = 60.0  # the reading round missed two months
YEARS_BACK = 8
SEASONS = {"winter": (11, 0, 1), "spring": (2, 3, 4), "summer": (5, 6, 7), "autumn": (8, 9, 10)}
SEASON_OF_MONTH = np.array([next(i for i, s in enumerate(SEASONS.values()) if month in s) for month in range(12)])

# --- series and their statistics --------------------------------------------------------------------------------------

SERIES = (
    ("consumption", LOW, "kWh an invoice", "consumption of an invoice", lambda r: r.consumption),
    ("monthly", LOW, "kWh a month", "consumption a month", lambda r: r.monthly),
    ("level", LOW, "log kWh a month", "log consumption a month", lambda r: r.level),
    ("daily", LOW, "log kWh a month", "log consumption over the days since the previous invoice", lambda r: r.daily),
    ("level_1", LOW, "kWh", "consumption at the first price level", lambda r: r.levels[0]),
    ("level_2", LOW, "kWh", "consumption at the second price level", lambda r: r.levels[1]),
    ("level_3", LOW, "kWh", "consumption at the third price level", lambda r: r.levels[2]),
    ("level_4", LOW, "kWh", "consumption at the fourth price level", lambda r: r.levels[3]),
    ("level_1_share", TARIFF, "share", "share billed at the first price level", lambda r: r.level_1_share),
    ("level_2_monthly", LOW, "log kWh a month", "log consumption a month at the second price level",
     lambda r: r.level_2_monthly),
    ("gap", HISTORY, "days", "time between invoices", lambda r: r.gap),
    ("gap_excess", HISTORY, "days", "time between invoices beyond the months billed", lambda r: r.gap_excess),
    ("months", TARIFF, "months", "months an invoice covers", lambda r: r.months),
    ("change", FALL, "log ratio", "change from one invoice to the next", lambda r: r.change),
    ("jump", IRREGULAR, "log ratio", "size of the change from one invoice to the next", lambda r: np.abs(r.change)),
    ("off_average", FALL, "log ratio", "deviation from the three invoices before", lambda r: r.off_average),
    ("year_on_year", FALL, "log ratio", "change against the same season a year before", lambda r: r.year_on_year),
)  # fmt: skip


def _series_statistics(rows: InvoiceSeries) -> np.ndarray:
    series = np.array([read(rows) for *_, read in SERIES])
    n, mean, deviation, skew = rows.by_pair.shape(series)
    quantiles = rows.by_pair.quantiles(series, tuple(QUANTILES.values()), n)
    return np.concatenate([mean, deviation, skew, rows.by_pair.last(series), *quantiles])


SERIES_BLOCK = Block(
    tuple(
        Feature(f"{name}_{short}", group, unit, f"{long} of the {text}")
        for short, long in STATISTICS.items()
        for name, group, unit, text, _ in SERIES
    ),
    _series_statistics,
    is_by_pair=True,
)

# --- invoices of a kind: how many, how long in a row ------------------------------------------------------------------

KINDS = (
    ("zero", LOW, "zero consumption", lambda r: r.consumption == 0),
    ("near_zero", LOW, f"at most {NEAR_ZERO_KWH:.0f} kWh a month", lambda r: r.consumption <= NEAR_ZERO_KWH * r.months),
    ("level_2", TARIFF, "consumption at the second price level", lambda r: r.levels[1] > 0),
    ("level_3", TARIFF, "consumption at the third price level", lambda r: r.levels[2] > 0),
    ("level_4", TARIFF, "consumption at the fourth price level", lambda r: r.levels[3] > 0),
    ("fall", FALL, "less than half of the invoice before", lambda r: r.change < -LARGE_CHANGE),
    ("rise", IRREGULAR, "more than double the invoice before", lambda r: r.change > LARGE_CHANGE),
    ("yearly_fall", FALL, "less than half of a year before", lambda r: r.year_on_year < -LARGE_CHANGE),
    ("same", IRREGULAR, "the consumption of the invoice before, within 2 %", lambda r: np.abs(r.change) < SAME_RATIO),
    ("mismatch", DISCREPANCY, "an index difference other than what was billed", lambda r: np.abs(r.mismatch) > 0),
    ("rollback", DISCREPANCY, "an index that runs backwards", lambda r: r["new_index"] < r["old_index"]),
    ("stall", DISCREPANCY, "an index that stands still", lambda r: r["new_index"] == r["old_index"]),
    ("remark_6", DISCREPANCY, "the reader's remark 6", lambda r: r["remark"] == 6),
    ("remark_8", DISCREPANCY, "the reader's remark 8", lambda r: r["remark"] == 8),
    ("remark_9", DISCREPANCY, "the reader's remark 9", lambda r: r["remark"] == 9),
    ("not_4_months", TARIFF, "a period other than four months", lambda r: np.abs(r["months"] - 4) > 0),
    ("off_cycle", HISTORY, "less than 25 days after the invoice before", lambda r: r.gap < OFF_CYCLE_DAYS),
    ("late", HISTORY, "over 60 days more than the months billed since the invoice before",
     lambda r: r.gap_excess > LATE_DAYS),
)  # fmt: skip
KIND_STATISTICS = (
    ("n", "invoices", "number of invoices"),
    ("share", "share", "share of invoices"),
    ("longest", "invoices", "longest run of invoices"),
    ("lately", "invoices", "run of invoices, up to the last one,"),
)


def _kinds(rows: InvoiceSeries) -> np.ndarray:
    pairs = rows.by_pair
    is_kind = np.array([test(rows) for *_, test in KINDS])
    n = pairs.total(is_kind.astype(np.float64))
    return np.concatenate([n, n / pairs.counts, *pairs.runs(is_kind)])


KINDS_BLOCK = Block(
    tuple(
        Feature(f"{name}_{short}", group, unit, f"{long} with {text}")
        for short, unit, long in KIND_STATISTICS
        for name, group, text, _ in KINDS
    ),
    _kinds,
    is_by_pair=True,
)

# --- calendar years back from the last invoice, seasons ---------------------------------------------------------------

PART_STATISTICS = (
    ("level", "log kWh a month", "mean log consumption a month"),
    ("n", "invoices", "number of invoices"),
    ("n_zero", "invoices", "number of invoices with zero consumption"),
    ("upper", "kWh", "consumption at the third and fourth price level"),
)


def _part_features(parts: dict[str, str], group: str) -> tuple[Feature, ...]:
    return tuple(
        Feature(f"{part}_{short}", group, unit, f"{long} {when}")
        for short, unit, long in PART_STATISTICS
        for part, when in parts.items()
    )


def _by_part(rows: InvoiceSeries, part: np.ndarray, n_parts: int) -> np.ndarray:
    """PART_STATISTICS of each part of the time. [part: of each row; result: float64, (4 * n_parts, pairs)]"""
    is_in = part == np.arange(n_parts)[:, None]
    known = is_in & ~np.isnan(rows.level)
    upper = fill_missing(rows.levels[2] + rows.levels[3], 0.0)
    is_zero = is_in & (rows.consumption == 0)
    series = np.array([np.where(known, rows.level, 0.0), known, is_in, is_zero, np.where(is_in, upper, 0.0)])
    level, n_known, n, n_zero, upper = rows.by_pair.total(series)
    return np.concatenate([level / n_known, n, n_zero, upper])


def _years_back(rows: InvoiceSeries) -> np.ndarray:
    return _by_part(rows, rows.days_before_last // 365, YEARS_BACK)


def _seasons(rows: InvoiceSeries) -> np.ndarray:
    return _by_part(rows, SEASON_OF_MONTH[rows.month_of_year], len(SEASONS))


YEARS_BLOCK = Block(
    _part_features({f"year_{i}": f"in year {i} before the last invoice" for i in range(YEARS_BACK)}, FALL),
    _years_back,
    is_by_pair=True,
)
SEASONS_BLOCK = Block(
    _part_features({season: f"in {season}" for season in SEASONS}, IRREGULAR), _seasons, is_by_pair=True
)

# --- change point, trend, totals --------------------------------------------------------------------------------------

SPLIT_SERIES = (
    ("level", "log ratio", "log consumption a month", lambda r: r.level),
    ("daily", "log ratio", "log consumption over the days", lambda r: r.daily),
    ("monthly", "kWh a month", "consumption a month", lambda r: r.monthly),
)


def _change_point(rows: InvoiceSeries) -> np.ndarray:
    size, explained, row = rows.by_pair.best_split(np.array([read(rows) for *_, read in SPLIT_SERIES]))
    days = np.append(rows.days_before_last, np.nan)
    return np.concatenate([size, explained, days[row]])  # row -1, no change point, takes the NaN at the end


SPLIT_BLOCK = Block(
    tuple(
        Feature(f"split_{name}_{short}", FALL, unit or own_unit, f"{long} of the {text}")
        for short, unit, long in (
            ("size", "", "size of the clearest change"),
            ("explained", "share", "how clear the clearest change is"),
            ("ago", "days", "time from the clearest change to the last invoice"),
        )
        for name, own_unit, text, _ in SPLIT_SERIES
    ),
    _change_point,
    is_by_pair=True,
)


def _trend(rows: InvoiceSeries) -> np.ndarray:
    pairs, level = rows.by_pair, rows.level
    n, at = pairs.spread(pairs.counts), pairs.position
    parts = np.array([at < n / 2, at >= n / 2, at < n - 3, at >= n - 3])
    early, late, before, recent = pairs.mean(np.where(parts, level, np.nan))
    time_and_level = np.array([rows.day, level])
    since_mean, off_mean = time_and_level - pairs.spread(pairs.mean(time_and_level))
    products = np.array([since_mean * off_mean, since_mean * since_mean])
    with_time, of_time = pairs.total(np.where(np.isnan(off_mean), 0.0, products))
    with_former, of_level = pairs.mean(np.array([off_mean * pairs.lag(off_mean), off_mean * off_mean]))
    return np.array([late - early, recent - before, with_time / of_time * 365, with_former / of_level])


TREND_BLOCK = Block(
    (
        Feature("halves_change", FALL, "log ratio", "later half of the history against the earlier half"),
        Feature("last_3_change", FALL, "log ratio", "last three invoices against those before"),
        Feature("slope", FALL, "log ratio a year", "trend of consumption"),
        Feature("persistence", IRREGULAR, "correlation", "correlation of an invoice with the one before"),
    ),
    _trend,
    is_by_pair=True,
)


def _totals(rows: InvoiceSeries) -> np.ndarray:
    pairs, off = rows.by_pair, rows.mismatch
    *levels, months, off_sum, off_size = pairs.total(
        fill_missing(np.concatenate([rows.levels, [rows.months, off, np.abs(off)]]), 0.0)
    )
    consumption = levels[0] + levels[1] + levels[2] + levels[3]
    if "consumption" in rows.columns:
        consumption = pairs.total(fill_missing(rows.consumption, 0.0))
    span = rows.last_day - rows.first_day
    return np.array([
        pairs.counts, consumption, months, rows.first_day, rows.last_day, span,
        consumption / months, months * DAYS_PER_MONTH / span, *(level / consumption for level in levels),
        off_sum, off_size, pairs.largest(off), pairs.smallest(off),
    ])  # fmt: skip


TOTALS_BLOCK = Block(
    (
        Feature("n", HISTORY, "invoices", "number of invoices"),
        Feature("total", LOW, "kWh", "consumption of all invoices"),
        Feature("total_months", HISTORY, "months", "months covered by all invoices"),
        Feature("first_on", HISTORY, "days since 1970", "date of the first invoice"),
        Feature("last_on", HISTORY, "days since 1970", "date of the last invoice"),
        Feature("span", HISTORY, "days", "time from the first to the last invoice"),
        Feature("total_monthly", LOW, "kWh a month", "consumption a month over the whole history"),
        Feature("coverage", HISTORY, "ratio", "months billed against the time from the first to the last invoice"),
        *(Feature(f"total_level_{i}_share", TARIFF, "share", f"share billed at price level {i}") for i in (1, 2, 3, 4)),
        Feature("mismatch_sum", DISCREPANCY, "kWh", "index differences less what was billed"),
        Feature("mismatch_size", DISCREPANCY, "kWh", "size of the index differences less what was billed"),
        Feature("mismatch_max", DISCREPANCY, "kWh", "largest index difference beyond what was billed"),
        Feature("mismatch_min", DISCREPANCY, "kWh", "largest consumption billed beyond the index difference"),
    ),
    _totals,
    is_by_pair=True,
)

BLOCKS = (SERIES_BLOCK, KINDS_BLOCK, YEARS_BLOCK, SEASONS_BLOCK, SPLIT_BLOCK, TREND_BLOCK, TOTALS_BLOCK)
