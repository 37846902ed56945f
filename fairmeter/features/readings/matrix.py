"""Smart-meter readings -> one row of features per client, by the same function in training and service.

In:  DailyConsumption (fairmeter/data/daily.py); Covariates where neighbours, weather or holidays are known.
Out: float32 of shape (clients, len(FEATURES)); missing evidence is NaN.

A client's row depends on its own readings and the covariates alone, to the last bit, and not on today's date.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.data.daily import DailyConsumption
from fairmeter.features.base import READING_GROUPS, Block, Feature
from fairmeter.features.readings import (
    change_signatures,
    changes,
    daily_statistics,
    hourly,
    on_and_off,
    transformer_losses,
    weekdays,
)
from fairmeter.features.readings.covariates import Covariates
from fairmeter.features.readings.resolution import without_rounding
from fairmeter.features.readings.series import DailySeries

__all__ = ["BLOCKS", "FEATURES", "FEATURE_NAMES", "READING_GROUPS", "reading_features"]

CHUNK = 25  # clients computed at a time: their series fit the processor's cache
THREADS = 2  # NumPy releases the GIL in its loops; more threads wait for memory

BLOCKS: tuple[Block, ...] = (
    *daily_statistics.BLOCKS,
    *changes.BLOCKS,
    *change_signatures.BLOCKS,
    *weekdays.BLOCKS,
    *on_and_off.BLOCKS,
    *hourly.BLOCKS,
    *transformer_losses.BLOCKS,
)
FEATURES: tuple[Feature, ...] = tuple(feature for block in BLOCKS for feature in block.features)
FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)


def reading_features(days: DailyConsumption, covariates: Covariates | None = None) -> np.ndarray:
    """Features of every client; all NaN without readings. [float32, (clients, len(FEATURES))]"""
    n = len(days.segments)
    if n <= CHUNK:
        return _features(days, covariates)

    def features_of(start: int) -> np.ndarray:
        stop = min(start + CHUNK, n)
        return _features(days.slice(start, stop), covariates and covariates.for_clients(slice(start, stop)))

    with ThreadPoolExecutor(THREADS) as pool:
        return np.concatenate(list(pool.map(features_of, range(0, n, CHUNK))))


def _features(days: DailyConsumption, covariates: Covariates | None) -> np.ndarray:
    matrix = np.full((len(days.segments), len(FEATURES)), np.nan, dtype=np.float32)
    filled = days.segments.filled
    if not filled.any():
        return matrix
    covariates = covariates and covariates.for_clients(filled)
    only = without_rounding(replace(days, segments=Segments(days.segments.counts[filled])))
    with np.errstate(all="ignore"):  # missing evidence is NaN, and so is a division by zero
        rows = DailySeries(only, covariates)
        found = np.concatenate([block.compute(rows) for block in BLOCKS]).T
    matrix[filled] = np.where(np.isfinite(found), found, np.nan)
    return matrix
