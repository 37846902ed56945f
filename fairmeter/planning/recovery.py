"""Energy at stake: what a client would have used, if it steals, less what its meter registered. [kWh]

In:  clients and invoices (canonical tables); if there are readings, their DailyConsumption and the day of the change.
Out: a RecoveryEstimate for each client, or None if nothing can be estimated.

Consumption is a matrix of steps (months or days), the last step first, so that the same season of the year before is
always the same number of steps away. The usual level is the client's own before a clear fall, with its seasons.
Without a fall it is the level of clients like it. The usual level is known as a distribution only. Given theft,
consumption was above what was registered: the estimate is the median of that part of the distribution, and the range
runs from its 10 % to its 90 % quantile. Electricity only, because gas is billed in other units.
"""

from dataclasses import dataclass
from math import erfc, log, sqrt

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.types import RecoveryEstimate, Table
from fairmeter.data.daily import DailyConsumption
from fairmeter.features.invoices.series import InvoiceSeries, fill_missing
from fairmeter.models.peer_groups import PEER_FEATURES, PeerGroups
from fairmeter.wording.phrases import Phrase, sentence

# Months before a visit that may be billed. Laws differ; India's Electricity Act 2003, section 126(5), allows twelve if
# the beginning of the theft is unknown, as it is here.
BILLABLE_MONTHS = 12
LEVEL_YEARS = 3  # before the fall, for the usual level: earlier years may be of another household
CLEAR_FALL = (
    0.75  # of the usual level, or less: as measured, one honest client in eight falls that far from year to year
)
MAX_REGISTERED = 0.9  # of the consumption: the theft of less than a tenth is not worth a visit
SEASON_WEIGHT = 0.5  # of the year before, against the level: the year holds the season, the level is more recent
# Standard deviation of the logarithm of the usual consumption of a year. Measured on honest clients of the public
# invoices: 0.42 against their own year before (more here, as the day of a fall is uncertain), 0.75 against their region
# and category. Readings give a more recent level and a clearer onset; theirs is set so that ranges of simulated thefts
# hold the stated share.
OWN_SPREAD, PEERS_SPREAD, READINGS_SPREAD = 0.5, 0.75, 0.3
LOW, MIDDLE, HIGH = 0.1, 0.5, 0.9

MAX_MONTHS, MAX_DAYS = 168, 1095  # steps that are used: fourteen years, three years
MIN_SIDE = 4  # months on each side of a fall: the period of an invoice
SEASON_MONTHS, SEASON_DAYS = 12, 364  # steps to the same season; of days, to the same weekday
MAX_INVOICE_MONTHS = 24  # of one invoice
MIN_KWH, MAX_KWH = 1.0, 1e12  # kWh: below it nothing is at stake; no client uses more in a day
ROUNDING = 1e-9  # of running sums: equal months must not look like a fall
CHUNK = 1000  # clients at a time: bounds the memory
USUAL_LEVEL = PEER_FEATURES.index("elec_level_median")
# Upper tail of the normal distribution, as logarithms because of its far end.
Z = np.linspace(-8.0, 8.0, 1601)
LOG_TAIL = np.array([log(erfc(z / sqrt(2.0)) / 2.0) for z in Z])


@dataclass(frozen=True)
class MonthlyConsumption:
    """Consumption by step, a row for each client, the last step first. [kwh: NaN if unknown]

    last_day: the day of column 0, days since 1970. A step is a month, or a day if made from readings.
    """

    kwh: np.ndarray
    last_day: np.ndarray
    steps_per_year: int
    steps_per_month: float

    def day_of(self, steps: np.ndarray) -> np.ndarray:
        """The day that lies so many steps before the last one. [days since 1970]"""
        return self.last_day - steps * (DAYS_PER_MONTH / self.steps_per_month)


@dataclass(frozen=True)
class EnergyAtStake:
    """Usual and registered energy of each client in the months that may be billed. [kWh]

    before: the usual level [kWh a month]; since: onset of the fall [days since 1970], NaN if the usual level is that of
    clients like it; spread: standard deviation of the logarithm of the usual energy.
    """

    usual: np.ndarray
    registered: np.ndarray
    months: np.ndarray
    before: np.ndarray
    since: np.ndarray
    spread: np.ndarray

    def is_estimable(self) -> np.ndarray:
        return (self.months > 0) & (self.usual >= MIN_KWH)

    def is_fall(self) -> np.ndarray:
        return self.is_estimable() & (self.registered <= CLEAR_FALL * self.usual)

    def where(self, takes_other: np.ndarray, other: "EnergyAtStake") -> "EnergyAtStake":
        """The values of `other` for the clients of the mask, otherwise these."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return EnergyAtStake(*(np.where(takes_other, theirs, own) for own, theirs in pairs))

    def used_quantiles(self, *shares: float) -> np.ndarray:
        """Quantiles of the energy used, given that a part of it was stolen. [kWh, (shares, clients)]"""
        floor = self.registered / MAX_REGISTERED
        with np.errstate(divide="ignore", invalid="ignore"):
            # Less the spread squared: thefts of all sizes are equally likely, so the density has a factor 1 / used.
            middle = np.log(np.maximum(self.usual, 1.0)) - self.spread**2
            tail = np.interp((np.log(floor) - middle) / self.spread, Z, LOG_TAIL)
            z = np.interp(-(tail + np.log(1.0 - np.array(shares))[:, None]), -LOG_TAIL, Z)
        return np.maximum(np.exp(middle + self.spread * z), floor)


def recovery_estimates(
    clients: Table,
    invoices: Table,
    peers: PeerGroups | None,
    days: DailyConsumption | None = None,
    onset: np.ndarray | None = None,
    billable_months: int = BILLABLE_MONTHS,
    series: InvoiceSeries | None = None,
) -> list[RecoveryEstimate | None]:
    """Energy that may be billed after a visit to each client.

    onset: the most likely first day of the change in its readings [days since 1970], NaN if none; series: of the
    invoices, if there already.
    """
    price, n = clients.get("tariff_price"), len(clients["client_id"])
    if n <= CHUNK:
        series = series or InvoiceSeries.from_tables(clients, invoices)
        stake = _stake(clients, series, peers, days, onset, billable_months)
        return _estimates(stake, price)
    out: list[RecoveryEstimate | None] = []
    for start in range(0, n, CHUNK):
        part = slice(start, min(start + CHUNK, n))
        theirs = slice(*np.searchsorted(invoices["client"], (part.start, part.stop)))
        of_part = {name: column[theirs] for name, column in invoices.items()} | {
            "client": invoices["client"][theirs] - part.start
        }
        accounts = {name: column[part] for name, column in clients.items()}
        of_days = (None, None) if days is None or onset is None else (days.slice(part.start, part.stop), onset[part])
        stake = _stake(accounts, InvoiceSeries.from_tables(accounts, of_part), peers, *of_days, billable_months)
        out += _estimates(stake, None if price is None else price[part])
    return out


def _stake(
    clients: Table,
    series: InvoiceSeries,
    peers: PeerGroups | None,
    days: DailyConsumption | None,
    onset: np.ndarray | None,
    billable_months: int,
) -> EnergyAtStake:
    """By invoices, or by readings where these show a fall, or where invoices show nothing."""
    stake = stake_from_invoices(clients, series, peers, billable_months)
    if days is None or onset is None:
        return stake
    read = stake_from_readings(days, onset, billable_months)
    return stake.where(read.is_fall() | (read.is_estimable() & ~stake.is_estimable()), read)


# --- energy at stake --------------------------------------------------------------------------------------------------


def stake_from_invoices(
    clients: Table, rows: InvoiceSeries, peers: PeerGroups | None, billable_months: int
) -> EnergyAtStake:
    """Against the client's own level before the clearest fall; without a fall, against clients like it."""
    monthly, period = monthly_from_invoices(rows)
    steps = steps_since_fall(monthly)
    # On average, half of the months of the invoice in which the fall began lie before it.
    own = stake_since(monthly, steps, billable_months, OWN_SPREAD, period / 4)
    usual = usual_level(clients, peers)
    compared = stake_against_peers(monthly, usual, billable_months)
    return own.where(~own.is_fall() & compared.is_estimable(), compared)


def stake_from_readings(days: DailyConsumption, onset: np.ndarray, billable_months: int) -> EnergyAtStake:
    """Against the client's own level before the change in its readings."""
    monthly = daily_from_readings(days)
    steps = np.clip(fill_missing(monthly.last_day + 1.0 - onset, 0.0), 0, MAX_DAYS).astype(np.int64)
    return stake_since(monthly, steps, billable_months, READINGS_SPREAD)


def stake_since(
    monthly: MonthlyConsumption,
    steps: np.ndarray,
    billable_months: int,
    spread: float,
    earlier: np.ndarray | float = 0.0,
) -> EnergyAtStake:
    """The last `steps` steps against those before, in the months that may be billed. [steps: 0 without a fall]

    earlier: number of steps by which the change most likely preceded them.
    """
    place, width = np.arange(monthly.kwh.shape[1]), _width(monthly, billable_months)
    is_since = place < steps[:, None]
    past = np.where(is_since, np.nan, monthly.kwh)
    n_past = np.cumsum(~np.isnan(past), axis=1)
    past = np.where(n_past <= LEVEL_YEARS * monthly.steps_per_year, past, np.nan)
    level = _mean(past, 1)
    usual = _with_season(past, level, monthly.steps_per_year, width)
    counts = is_since[:, :width] & ~np.isnan(monthly.kwh[:, :width]) & (steps[:, None] > 0) & ~np.isnan(level)[:, None]
    since = np.where(steps > 0, monthly.day_of(steps + earlier), np.nan)
    return EnergyAtStake(
        np.where(counts, usual, 0.0).sum(axis=1),
        np.where(counts, monthly.kwh[:, :width], 0.0).sum(axis=1),
        counts.sum(axis=1) / monthly.steps_per_month,
        level * monthly.steps_per_month,
        since,
        np.full(len(steps), spread),
    )


def stake_against_peers(monthly: MonthlyConsumption, usual: np.ndarray, billable_months: int) -> EnergyAtStake:
    """The months that may be billed, against the level of clients like it. [usual: kWh a month, NaN if unknown]"""
    recent = monthly.kwh[:, : _width(monthly, billable_months)]
    months = (~np.isnan(recent) & ~np.isnan(usual)[:, None]).sum(axis=1) / monthly.steps_per_month
    registered = np.where(np.isnan(recent), 0.0, recent).sum(axis=1)
    unknown = np.full(len(usual), np.nan)
    spread = np.full(len(usual), PEERS_SPREAD)
    return EnergyAtStake(fill_missing(usual, 0.0) * months, registered, months, usual, unknown, spread)


def usual_level(clients: Table, peers: PeerGroups | None) -> np.ndarray:
    """Median electricity of clients of the same region and category. [kWh a month, NaN if unknown]"""
    if peers is None:
        return np.full(len(clients["client_id"]), np.nan)
    group = peers.group(np.stack([clients["region"], clients["category"]], axis=1))
    kwh = np.expm1(peers.medians[group, USUAL_LEVEL].astype(np.float64))
    return np.where(kwh > 0, kwh, np.nan)


def _with_season(past: np.ndarray, level: np.ndarray, season: int, width: int) -> np.ndarray:
    """Usual consumption of each of the last `width` steps: the level, shrunk towards the same season before."""
    n, seen = past.shape
    years = np.full((n, -(-seen // season) * season), np.nan)
    years[:, :seen] = past
    of_season = _mean(years.reshape(n, -1, season), 1)
    shrunk = (1.0 - SEASON_WEIGHT) * level[:, None] + SEASON_WEIGHT * of_season
    return np.where(np.isnan(of_season), level[:, None], shrunk)[:, np.arange(width) % season]


def _width(monthly: MonthlyConsumption, billable_months: int) -> int:
    return min(round(billable_months * monthly.steps_per_month), monthly.kwh.shape[1])


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean of the known values; NaN if there are none."""
    known = ~np.isnan(values)
    n = known.sum(axis=axis)
    return np.where(n > 0, np.where(known, values, 0.0).sum(axis=axis) / np.maximum(n, 1), np.nan)


# --- consumption by step ----------------------------------------------------------------------------------------------


def monthly_from_invoices(rows: InvoiceSeries) -> tuple[MonthlyConsumption, np.ndarray]:
    """Electricity by month, each invoice spread over its months; and the mean months of a client's invoices."""
    n = len(rows.by_client)
    selected = np.flatnonzero((rows["energy"] == 0) & ~np.isnan(rows.consumption))
    client, day = rows["client"][selected].astype(np.int64), rows.day[selected]
    months = np.clip(np.rint(fill_missing(rows.months[selected], 1.0)), 1, MAX_INVOICE_MONTHS).astype(np.int64)
    last = np.full(n, -np.inf)
    np.maximum.at(last, client, day)
    first_step = np.rint((last[client] - day) / DAYS_PER_MONTH).astype(np.int64)
    within = np.arange(months.sum()) - np.repeat(np.cumsum(months) - months, months)
    step = np.repeat(first_step, months) + within
    width = int(min(step.max(initial=0) + 1, MAX_MONTHS))
    seen = step < width
    cell = (np.repeat(client, months) * width + step)[seen]
    total = np.bincount(cell, np.repeat(rows.consumption[selected] / months, months)[seen], n * width)
    times = np.bincount(cell, minlength=n * width)
    kwh = np.where(times > 0, total / np.maximum(times, 1), np.nan).reshape(n, width)
    n_invoices = np.bincount(client, minlength=n)
    period = np.bincount(client, months, n) / np.maximum(n_invoices, 1)
    return MonthlyConsumption(kwh, np.where(n_invoices > 0, last, np.nan), SEASON_MONTHS, 1.0), period


def daily_from_readings(days: DailyConsumption) -> MonthlyConsumption:
    """Electricity by day."""
    n = len(days.segments)
    counts = days.segments.counts
    width = int(min(counts.max(initial=0), MAX_DAYS))
    step = days.segments.spread(counts) - 1 - days.segments.position
    seen = step < width
    kwh = np.full((n, width), np.nan)
    kwh[days.segments.index[seen], step[seen]] = np.where(days.kwh[seen] <= MAX_KWH, days.kwh[seen], np.nan)
    return MonthlyConsumption(kwh, days.segments.last(days.day.astype(np.float64)), SEASON_DAYS, DAYS_PER_MONTH)


def steps_since_fall(monthly: MonthlyConsumption) -> np.ndarray:
    """Steps since the clearest fall, the split with the largest sum of squares between its sides; 0 if none."""
    # The root is a compromise: large months dominate kWh, and months at zero dominate its logarithm.
    known = ~np.isnan(monthly.kwh)
    root = np.sqrt(np.where(known, np.maximum(monthly.kwh, 0.0), 0.0))
    n_since, since = np.cumsum(known, axis=1), np.cumsum(root, axis=1)
    n_before, before = n_since[:, -1:] - n_since, since[:, -1:] - since
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = before / n_before - since / n_since
        between = n_since * n_before * gap * gap
        is_lower = before / n_before > (1.0 + ROUNDING) * since / n_since
    is_fall = known & (n_since >= MIN_SIDE) & (n_before >= MIN_SIDE) & is_lower
    between = np.where(is_fall, between, 0.0)
    return np.where(is_fall.any(axis=1), between.argmax(axis=1) + 1, 0)


# --- estimates --------------------------------------------------------------------------------------------------------


def _estimates(stake: EnergyAtStake, price: np.ndarray | None) -> list[RecoveryEstimate | None]:
    lost = (stake.used_quantiles(LOW, MIDDLE, HIGH) - stake.registered).T.tolist()
    return [
        _estimate(stake, i, kwh, None if price is None else price[i]) if is_known else None
        for i, (is_known, kwh) in enumerate(zip(stake.is_estimable().tolist(), lost, strict=True))
    ]


def _estimate(stake: EnergyAtStake, i: int, kwh: list[float], price: float | None) -> RecoveryEstimate:
    (low, middle, high), months = kwh, float(stake.months[i])
    used = (stake.registered[i] + middle) / months
    values = {"used": used, "usual": stake.before[i], "registered": stake.registered[i] / months}
    if np.isnan(stake.since[i]):
        uses = Phrase("recovery.beside", **values)
    else:
        uses = Phrase("recovery.before", **values, since=stake.since[i])
    n = round(months)
    counted = Phrase("recovery.months", n=n) if n == 1 or months >= 1 else Phrase("recovery.less")
    text = sentence(uses, Phrase("recovery.over", months=counted))
    worth = None if price is None or np.isnan(price) else float(middle * price)
    return RecoveryEstimate(middle, low, high, months, text, worth)
