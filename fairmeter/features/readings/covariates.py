"""What the clients of a place share, by date: their neighbours' common factor, the temperature, the holidays, and
what their transformer delivered that no meter registered.

In:  Days of many clients (fairmeter/data/daily.py); optionally the cell of each (transformer or region), weather, holidays.
Out: Covariates: plain arrays, which a model can keep; missing is NaN.

The factor of a date is the median over clients of log consumption less the client's own level. Season, weather and
weekdays are in it; a theft is not, as long as fewer than half of the clients steal.
"""

from dataclasses import dataclass, replace

import numpy as np

from fairmeter.data.daily import DailyConsumption

MIN_CLIENTS = 20  # known on a date: the median of fewer is noise
MIN_DATES = 30  # to tell whether two factors move together
MAX_CLIENTS = 2_000  # of a cell: more say nothing new, and take time
ROUNDS = 4  # of levels and factors in turn; after three nothing moves by a hundredth
# A day and its mirror image add up to this [days since 1970]: about a midsummer's Saturday and Sunday, so a weekend is
# the image of a weekend, a winter of a winter, and the sun stands as high.
MIRROR = int(np.array(["2013-06-22", "2013-06-23"], "datetime64[D]").astype(np.int64).sum())
OFFSET = 0.05  # of the client's level, added before the log: a day of zero must not outweigh a month


@dataclass(frozen=True)
class TransformerLosses:
    """What transformers delivered and no meter behind them registered, technical losses taken off."""

    first_day: int  # days since 1970
    kwh: np.ndarray  # float64 (transformers, days), NaN where it cannot be told
    transformer: np.ndarray  # int64 (clients,): each client's row of kwh, -1 where it has none

    def at(self, client: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Of each row's transformer on its day. [client: number; day: since 1970; kWh, NaN unknown]"""
        row, place = self.transformer[client], day - self.first_day
        is_inside = (row >= 0) & (place >= 0) & (place < self.kwh.shape[1])
        out = np.full(len(day), np.nan)
        out[is_inside] = self.kwh[row[is_inside], place[is_inside]]
        return out

    def for_clients(self, chosen: slice | np.ndarray) -> "TransformerLosses":
        return replace(self, transformer=self.transformer[chosen])


@dataclass(frozen=True)
class Covariates:
    """References by date, from `first_day` on; outside they are missing."""

    first_day: int  # days since 1970
    factor: np.ndarray  # float64 (cells, days): log of the neighbours' consumption over their usual
    temperature: np.ndarray  # float64 (days,) [deg C]
    is_holiday: np.ndarray  # float64 (days,): 1, 0 or NaN
    cell: np.ndarray | None = None  # int64 (clients,): each client's row of `factor`; None: the first is everybody's
    losses: TransformerLosses | None = None  # of these very clients: a model keeps none

    @classmethod
    def from_consumption(
        cls,
        days: DailyConsumption,
        cell: np.ndarray | None = None,
        weather: tuple[np.ndarray, np.ndarray] | None = None,
        holidays: np.ndarray | None = None,
    ) -> "Covariates":
        """The factors of these clients, with weather as (day, temperature) and holidays as days since 1970.

        A date with fewer than LEAST_CLIENTS known clients in a cell takes the factor of all cells together, and is
        missing where these are too few too.
        """
        first = int(days.day.min()) if len(days.day) else 0
        n = int(days.day.max()) - first + 1 if len(days.day) else 0
        numbers = np.zeros(len(days.segments), np.int64) if cell is None else cell
        cells, number = np.unique(numbers, return_inverse=True)
        of_all = _factor(days, np.arange(len(numbers)), first, n)
        factor = np.array(
            [of_all]
            if len(cells) < 2
            else [_factor(days, np.flatnonzero(number == i), first, n) for i in range(len(cells))]
        )
        temperature = np.full(n, np.nan) if weather is None else _by_date(*weather, first, n)
        is_holiday = np.full(n, np.nan) if holidays is None else _by_date(holidays, 1.0, first, n, 0.0)
        factor = np.where(np.isnan(factor), of_all, factor)
        return cls(first, factor, temperature, is_holiday, None if cell is None else number)

    def at(self, client: np.ndarray, day: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(factor, temperature, holiday) of each row: client's number, days since 1970."""
        place = day - self.first_day
        is_inside = (place >= 0) & (place < self.factor.shape[1])
        if not is_inside.any():
            return (np.full(len(day), np.nan),) * 3
        is_all_inside = is_inside.all()
        place = place if is_all_inside else np.where(is_inside, place, 0)
        factor = self.factor[0].take(place) if self.cell is None else self.factor[self.cell[client], place]
        found = factor, self.temperature.take(place), self.is_holiday.take(place)
        return found if is_all_inside else tuple(np.where(is_inside, values, np.nan) for values in found)

    def correlation_with(self, other: "Covariates") -> float:
        """Correlation of the first cells' factors from day to day, on the dates that both have.

        NaN on too few dates, or where one never changes.
        """
        start = max(self.first_day, other.first_day)
        stop = min(self.first_day + self.factor.shape[1], other.first_day + other.factor.shape[1])
        mine, theirs = (
            np.diff(each.factor[0, start - each.first_day : max(stop, start) - each.first_day])
            for each in (self, other)
        )
        known = ~np.isnan(mine) & ~np.isnan(theirs)
        mine, theirs = mine[known], theirs[known]
        if len(mine) < MIN_DATES or not mine.std() or not theirs.std():
            return np.nan
        return float(np.corrcoef(mine, theirs)[0, 1])

    def with_weather(self, weather: tuple[np.ndarray, np.ndarray] | None, holidays: np.ndarray | None) -> "Covariates":
        """The same factors with another weather and other holidays, where these are given; as in `of`."""
        n = self.factor.shape[1]
        temperature = self.temperature if weather is None else _by_date(*weather, self.first_day, n)
        is_holiday = self.is_holiday if holidays is None else _by_date(holidays, 1.0, self.first_day, n, 0.0)
        return replace(self, temperature=temperature, is_holiday=is_holiday)

    def mirrored(self) -> "Covariates":
        """What they are to the same clients backwards in time, see MIRROR; without losses."""
        first_day = MIRROR - (self.first_day + self.factor.shape[1] - 1)
        factor, temperature, is_holiday = (x[..., ::-1] for x in (self.factor, self.temperature, self.is_holiday))
        return Covariates(first_day, factor, temperature, is_holiday, self.cell)

    @property
    def has_weather(self) -> bool:
        return not np.isnan(self.temperature).all()

    @property
    def has_holidays(self) -> bool:
        return not np.isnan(self.is_holiday).all()

    def without_transformer_losses(self) -> "Covariates":
        """For clients to come, behind other transformers."""
        return self if self.losses is None else replace(self, losses=None)

    def for_clients(self, chosen: slice | np.ndarray) -> "Covariates":
        """Those of some of the clients, by slice, numbers or mask."""
        if self.cell is None and self.losses is None:
            return self
        cell = None if self.cell is None else self.cell[chosen]
        return replace(self, cell=cell, losses=self.losses and self.losses.for_clients(chosen))


def log_relative(days: DailyConsumption) -> tuple[np.ndarray, np.ndarray]:
    """(each client's level [kWh a day], log of each day's consumption over it).

    The level is the median day, the mean where most days are near zero, 1 where all are.
    """
    segments, kwh = days.segments, days.kwh[None]
    n, mean, _ = segments.moments(kwh)
    with np.errstate(invalid="ignore"):
        median = segments.quantiles(kwh, (0.5,), n)[0]
        level = np.where(median > OFFSET * mean, median, np.where(mean > 0, mean, 1.0))[0]
    return level, np.log(days.kwh / segments.broadcast(level) + OFFSET)


def _factor(days: DailyConsumption, clients: np.ndarray, first_day: int, n_days: int) -> np.ndarray:
    """Median polish: clients' levels and dates' factors in turn. [float64, (n_days,)]"""
    step = max(1, -(-len(clients) // MAX_CLIENTS))
    chosen = np.zeros(len(days.segments), dtype=bool)
    chosen[clients[::step]] = True
    row = np.flatnonzero(days.segments.spread(chosen))
    number = (np.cumsum(chosen) - 1)[days.segments.index[row]]
    table = np.full((int(chosen.sum()), n_days), np.nan)
    table[number, days.day[row] - first_day] = log_relative(days)[1][row]
    factor, by_date = np.zeros(n_days), np.ascontiguousarray(table.T)
    for _ in range(ROUNDS):
        level = _medians(table - factor)
        factor = np.nan_to_num(_medians(by_date - level))
    enough = np.count_nonzero(~np.isnan(by_date), axis=1) >= MIN_CLIENTS
    return np.where(enough, factor, np.nan)


def _medians(table: np.ndarray) -> np.ndarray:
    """Median of the values of each row that are there, NaN where none is."""
    ordered = np.sort(table, axis=1)
    n = np.count_nonzero(~np.isnan(table), axis=1)
    rows = np.arange(len(table))
    if not table.shape[1]:
        return np.full(len(table), np.nan)
    middle = ordered[rows, np.maximum(n - 1, 0) // 2] + ordered[rows, np.minimum(n // 2, table.shape[1] - 1)]
    return np.where(n > 0, middle / 2, np.nan)


def _by_date(
    day: np.ndarray, value: np.ndarray | float, first_day: int, n_days: int, otherwise: float = np.nan
) -> np.ndarray:
    """The values on the dates asked for. [float64, (n_days,)]"""
    series = np.full(n_days, otherwise)
    is_inside = (day >= first_day) & (day < first_day + n_days)
    series[day[is_inside] - first_day] = np.broadcast_to(value, day.shape)[is_inside]
    return series
