"""Blocks on how a client is billed: the first price level's limit, electricity beside gas, uncommon periods.

In:  InvoiceSeries (fairmeter/features/invoices/series.py).
Out: BLOCKS; each computes (features, clients), float64. Missing evidence is NaN; an empty count is 0.
"""

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.features.base import HISTORY, IRREGULAR, TARIFF, Block, Feature
from fairmeter.features.invoices.series import InvoiceSeries

USUAL_MONTHS = (1, 2, 4)
LONG_MONTHS = 6
COUNTED_MONTHS = (1, 2, 3, 6, 8, 12)

# --- the first price level --------------------------------------------------------------------------------------------


def _first_level(rows: InvoiceSeries) -> np.ndarray:
    clients = rows.by_client
    full = np.where(rows.levels[1] > 0, rows.levels[0] / rows.months, np.nan)
    return np.array([clients.mean(full), clients.largest(full), clients.smallest(full)])


FIRST_LEVEL_BLOCK = Block(
    tuple(
        Feature(f"full_level_1_{short}", TARIFF, "kWh a month", f"{long} first price level of invoices that exceed it")
        for short, long in (("mean", "mean"), ("max", "highest"), ("min", "lowest"))
    ),
    _first_level,
)

# --- electricity beside gas -------------------------------------------------------------------------------------------


def _both_energies(rows: InvoiceSeries) -> np.ndarray:
    """Features of days on which a client has an invoice of both energies; NaN for clients without gas."""
    electricity, gas = _same_days(rows)
    is_gas = rows["energy"] == 1
    n_gas = rows.by_client.total(is_gas.astype(np.float64))
    n_electricity = rows.by_client.counts - n_gas
    both = Segments(np.bincount(rows.by_client.index[gas], minlength=len(rows.by_client)))
    n_both = both.counts
    n_days = np.where(n_gas > 0, rows.by_client.counts - n_both, np.nan)
    first, second = rows.level[electricity], rows.level[gas]
    _, mean, deviation = both.moments(np.array([first, second, first - second]))
    product = both.mean((first - both.spread(mean[0])) * (second - both.spread(mean[1])))
    zeros = np.array([(first == 0) & (second > 0), (second == 0) & (first > 0)], dtype=np.float64)
    months = np.abs(rows.months[electricity] - rows.months[gas])
    return np.array([
        (n_electricity - n_both) / n_days, (n_gas - n_both) / n_days, product / (deviation[0] * deviation[1]),
        mean[2], deviation[2], *both.mean(zeros), both.mean(months),
    ])  # fmt: skip


def _same_days(rows: InvoiceSeries) -> tuple[np.ndarray, np.ndarray]:
    """Rows of electricity and of gas of the same client and day, paired, by client."""
    place = rows.by_client.index.astype(np.int64) << 32 | (rows.day.astype(np.int64) + (1 << 20))
    electricity, gas = (np.flatnonzero(rows["energy"] == energy) for energy in (0, 1))
    if not len(electricity) or not len(gas):
        return np.empty((2, 0), np.int64)
    at = np.minimum(np.searchsorted(place[electricity], place[gas]), len(electricity) - 1)
    is_same = place[electricity][at] == place[gas]
    return electricity[at[is_same]], gas[is_same]


BOTH_BLOCK = Block(
    (
        Feature("electricity_alone_share", HISTORY, "share", "share of invoice dates with electricity and no gas"),
        Feature("gas_alone_share", HISTORY, "share", "share of invoice dates with gas and no electricity"),
        Feature("both_correlation", IRREGULAR, "correlation", "correlation of electricity with gas of the same day"),
        Feature("both_difference", IRREGULAR, "log ratio", "mean of electricity against gas of the same day"),
        Feature("both_difference_std", IRREGULAR, "log ratio", "standard deviation of electricity against gas"),
        Feature("both_no_electricity_share", IRREGULAR, "share", "share of days with gas used and no electricity"),
        Feature("both_no_gas_share", IRREGULAR, "share", "share of days with electricity used and no gas"),
        Feature("both_months_difference", TARIFF, "months", "difference of the months billed of both energies"),
    ),
    _both_energies,
)

# --- uncommon periods -------------------------------------------------------------------------------------------------


def _periods(rows: InvoiceSeries) -> np.ndarray:
    clients, months, gap = rows.by_client, rows.months, rows.gap
    is_odd = (np.abs(months[None] - np.array(USUAL_MONTHS)[:, None]) > 0).all(axis=0) & ~np.isnan(months)
    is_long = months >= LONG_MONTHS
    every, odd, long = clients.mean(np.where([np.ones_like(is_odd), is_odd, is_long], rows.level, np.nan))
    last_odd = clients.largest(np.where(is_odd, rows.day, np.nan))
    counted = np.array([*(months == n for n in COUNTED_MONTHS), months > max(USUAL_MONTHS)], dtype=np.float64)
    _, mean, deviation = clients.moments(gap[None])
    return np.array([
        last_odd, odd - every, long - every, deviation[0] / mean[0], *clients.total(counted),
    ])  # fmt: skip


PERIODS_BLOCK = Block(
    (
        Feature("odd_period_on", HISTORY, "days since 1970", "last invoice of other than one, two or four months"),
        Feature("odd_period_level", IRREGULAR, "log ratio", "invoices of uncommon periods against all"),
        Feature("long_period_level", IRREGULAR, "log ratio", f"invoices of {LONG_MONTHS} months and more against all"),
        Feature("gap_variation", HISTORY, "ratio", "deviation of the time between invoices against its mean"),
        *(Feature(f"period_{n}_n", TARIFF, "invoices", f"number of invoices of {n} months") for n in COUNTED_MONTHS),
        Feature("period_over_4_n", TARIFF, "invoices", "number of invoices of more than four months"),
    ),
    _periods,
)

COUNTS = tuple(feature.name for feature in PERIODS_BLOCK.features if feature.unit == "invoices")
BLOCKS = (FIRST_LEVEL_BLOCK, BOTH_BLOCK, PERIODS_BLOCK)
