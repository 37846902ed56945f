"""Fit the convolution over weeks on attacked households. Training only.

In:  attacked households, many files; a seed.
Out: the WeekConvolution that is served, and its column for the clients of these files, from networks that were fitted
     on other households.

The network that is served is fitted on all households. Each of two others is fitted on one half and judges the other,
so that the ensemble learns how far to trust what such a network says of households that it has not seen.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from fairmeter.data.daily import DailyConsumption
from fairmeter.features.readings.covariates import Covariates
from fairmeter.models.detectors.convolution_fit import WeekSeries, fit_convolution
from fairmeter.models.detectors.week_channels import WEEKS, week_channels
from fairmeter.models.detectors.week_convolution import WeekConvolution
from fairmeter.models.detectors.windows import MONDAY, WEEK
from fairmeter.models.runtime.convolution_graph import convolution_graph
from fairmeter.training.attacks import AttackedHouseholds
from fairmeter.training.ensemble_fitting import household_folds

NAME = "convolution"
MIN_FILES = 12  # of the same households: with fewer attacks the network learns the households and not the thefts
HALVES = 2
FILES_TOGETHER = 6  # shuffled with each other; more take more memory


class FittedConvolution(NamedTuple):
    """The network that is served, and its log-odds for the clients of the files out of fold. [float32, (clients, 1)]"""

    serving: WeekConvolution
    columns: np.ndarray


def fit_convolutions(
    files: Sequence[AttackedHouseholds], seed: int, on_step: Callable[[str], None] = lambda _: None
) -> FittedConvolution:
    """Fit one network on all households, and one on each half for the column out of fold."""
    household = np.concatenate([file.household for file in files])
    half = household_folds(household, HALVES, seed)
    columns = np.full((len(household), 1), np.nan, np.float32)
    for number in range(HALVES):
        on_step(f"{NAME}, half {number + 1} of {HALVES}")
        network = _fitted(files, half != number, seed + number)
        for file, rows in _rows_of(files):
            mine = half[rows] == number
            covariates = file.covariates and file.covariates.for_clients(mine)
            columns[rows][mine] = network.scores(*_series(file.days.for_clients(mine), covariates))
    on_step(f"{NAME}, all households")
    return FittedConvolution(_fitted(files, np.ones(len(household), bool), seed + HALVES), columns)


def _fitted(files: Sequence[AttackedHouseholds], used: np.ndarray, seed: int) -> WeekConvolution:
    """A network of some clients of the files. [used: mask of all]"""
    weights = fit_convolution(_parts(files, used, np.random.default_rng(seed)), int(used.sum()), seed)
    return WeekConvolution(convolution_graph(weights, WEEKS))


def _parts(files: Sequence[AttackedHouseholds], used: np.ndarray, rng: np.random.Generator) -> Iterator[WeekSeries]:
    """The files in random order, some together. Their channels are made when they are due, to limit the memory."""
    rows = [some for _, some in _rows_of(files)]
    order = rng.permutation(len(files))
    for start in range(0, len(files), FILES_TOGETHER):
        parts = [_weeks(files[i]).of(used[rows[i]]) for i in order[start : start + FILES_TOGETHER]]
        yield WeekSeries(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _rows_of(files: Sequence[AttackedHouseholds]) -> Iterator[tuple[AttackedHouseholds, slice]]:
    """Each file with its place among the clients of all."""
    stop = 0
    for file in files:
        start, stop = stop, stop + len(file.label)
        yield file, slice(start, stop)


def _weeks(file: AttackedHouseholds) -> WeekSeries:
    last = file.days.segments.last(file.days.day.astype(np.float64)).astype(np.int64)
    onset = WEEKS - 1 - ((last + MONDAY) // WEEK - (file.onset + MONDAY) // WEEK)
    return WeekSeries(
        week_channels(*_series(file.days, file.covariates)), file.label, np.where(file.onset >= 0, onset, WEEKS)
    )


def _series(days: DailyConsumption, covariates: Covariates | None) -> tuple[DailyConsumption, np.ndarray | None]:
    """Days and factors as a ReadingModel gives them to its networks."""
    factor = None if covariates is None else np.exp(covariates.at(days.segments.index, days.day)[0])
    return days, factor
