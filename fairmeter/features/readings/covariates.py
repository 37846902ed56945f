"""Covariates by date that the clients of a place share: neighbours' factor, temperature, holidays, transformer losses.

In:  DailyConsumption of many clients; optionally the group of each (transformer or region), weather, holidays.
Out: Covariates: plain arrays, which a model can store; missing is NaN.

The factor of a date is the median over clients of log consumption minus the client's own level. It contains season,
weather and weekdays, but no theft, as long as fewer than half of the clients steal.
"""

from dataclasses import dataclass, replace

import numpy as np

from fairmeter.data.daily import DailyConsumption

MIN_CLIENTS = 20  # with a known day: the median of fewer is noise
MIN_DATES = 30  # for a correlation of two factors
MAX_CLIENTS = 2_000  # sampled per group: more cost time without changing the median
ROUNDS = 4  # of median polish; after three no factor changes by 0.01
# A day and its mirror image add up to this [days since 1970], the sum of a midsummer Saturday and Sunday: weekends map
# to weekends, winters to winters, and days to days with the same height of the sun.
MIRROR = int(np.array(["2013-06-22", "2013-06-23"], "datetime64[D]").astype(np.int64).sum())
OFFSET = 0.05  # of the client's level, added before the log: a day of zero must not dominate a month


@dataclass(frozen=True)
class TransformerLosses:
    """Energy that transformers delivered and no meter registered, after technical losses."""

    first_day: int  # days since 1970
    kwh: np.ndarray  # float64 (transformers, days), NaN where unknown
    transformer: np.ndarray  # int64 (clients,): each client's row of kwh, -1 where it has none

    def at(self, client: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Loss of each row's transformer on its day. [client: number; day: since 1970; result: kWh, NaN unknown]"""
        row, place = self.transformer[client], day - self.first_day
        is_inside = (row >= 0) & (place >= 0) & (place < self.kwh.shape[1])
        out = np.full(len(day), np.nan)
        out[is_inside] = self.kwh[row[is_inside], place[is_inside]]
        return out

    def for_clients(self, chosen: slice | np.ndarray) -> "TransformerLosses":
        """Losses for some of the clients. [chosen: slice, numbers or mask]"""
        return replace(self, transformer=self.transformer[chosen])


@dataclass(frozen=True)
class Covariates:
    """Covariates by date, from `first_day` on; dates outside are missing.

    A model stores the fields by these names.
    """

    first_day: int  # days since 1970
    factor: np.ndarray  # float64 (groups, days): log ratio of the neighbours' consumption to their level
    temperature: np.ndarray  # float64 (days,) [deg C]
    is_holiday: np.ndarray  # float64 (days,): 1, 0 or NaN
    cell: np.ndarray | None = None  # int64 (clients,): each client's row of `factor`; None: the first row for all
    losses: TransformerLosses | None = None  # of these clients only: a model does not store them

    @classmethod
    def from_consumption(
        cls,
        days: DailyConsumption,
        cell: np.ndarray | None = None,
        weather: tuple[np.ndarray, np.ndarray] | None = None,
        holidays: np.ndarray | None = None,
    ) -> "Covariates":
        """Estimate the factors of these clients, by group.

        cell: group number of each client; weather: (days since 1970, temperature [deg C]); holidays: days since 1970.
        A date with fewer than MIN_CLIENTS known clients in a group takes the factor of all groups together; it is
        missing if these are too few as well.
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
        """(factor, temperature, holiday) of each row. [client: number; day: since 1970]"""
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
        """Correlation of day-to-day changes of the first groups' factors, over common dates.

        NaN with fewer than MIN_DATES changes, or if a factor is constant.
        """
        start = max(self.first_day, other.first_day)
        stop = min(self.first_day + self.factor.shape[1], other.first_day + other.factor.shape[1])
        own, others = (
            np.diff(each.factor[0, start - each.first_day : max(stop, start) - each.first_day])
            for each in (self, other)
        )
        known = ~np.isnan(own) & ~np.isnan(others)
        own, others = own[known], others[known]
        if len(own) < MIN_DATES or not own.std() or not others.std():
            return np.nan
        return float(np.corrcoef(own, others)[0, 1])

    def with_weather(self, weather: tuple[np.ndarray, np.ndarray] | None, holidays: np.ndarray | None) -> "Covariates":
        """Replace weather and holidays where given; formats as in `from_consumption`."""
        n = self.factor.shape[1]
        temperature = self.temperature if weather is None else _by_date(*weather, self.first_day, n)
        is_holiday = self.is_holiday if holidays is None else _by_date(holidays, 1.0, self.first_day, n, 0.0)
        return replace(self, temperature=temperature, is_holiday=is_holiday)

    def mirrored(self) -> "Covariates":
        """Covariates for the same clients with time reversed about MIRROR; without losses."""
        first_day = MIRROR - (self.first_day + self.factor.shape[1] - 1)
        factor, temperature, is_holiday = (x[..., ::-1] for x in (self.factor, self.temperature, self.is_holiday))
        return Covariates(first_day, factor, temperature, is_holiday, self.cell)

    @property
    def has_weather(self) -> bool:
        """Whether any date has a temperature."""
        return not np.isnan(self.temperature).all()

    @property
    def has_holidays(self) -> bool:
        """Whether holidays were given."""
        return not np.isnan(self.is_holiday).all()

    def without_transformer_losses(self) -> "Covariates":
        """Covariates without losses, for other clients behind other transformers."""
        return self if self.losses is None else replace(self, losses=None)

    def for_clients(self, chosen: slice | np.ndarray) -> "Covariates":
        """Covariates for some of the clients. [chosen: slice, numbers or mask]"""
        if self.cell is None and self.losses is None:
            return self
        cell = None if self.cell is None else self.cell[chosen]
        return replace(self, cell=cell, losses=self.losses and self.losses.for_clients(chosen))


def log_relative(days: DailyConsumption) -> tuple[np.ndarray, np.ndarray]:
    """(level of each client [kWh per day], log ratio of each day's consumption to it).

    The level is the median day, the mean if most days are near zero, and 1 if all are.
    """
    segments, kwh = days.segments, days.kwh[None]
    n, mean, _ = segments.moments(kwh)
    with np.errstate(invalid="ignore"):
        median = segments.quantiles(kwh, (0.5,), n)[0]
        level = np.where(median > OFFSET * mean, median, np.where(mean > 0, mean, 1.0))[0]
    return level, np.log(days.kwh / segments.broadcast(level) + OFFSET)


def _factor(days: DailyConsumption, clients: np.ndarray, first_day: int, n_days: int) -> np.ndarray:
    """Factors of dates by median polish with clients' levels (Tukey). [float64, (n_days,)]"""
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
    """Median of the known values of each row, NaN without any."""
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
    """The values on consecutive dates. [float64, (n_days,)]"""
    series = np.full(n_days, otherwise)
    is_inside = (day >= first_day) & (day < first_day + n_days)
    series[day[is_inside] - first_day] = np.broadcast_to(value, day.shape)[is_inside]
    return series
