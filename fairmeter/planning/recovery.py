"""Energy at stake: what a client would have used, if it steals, less what its meter registered. [kWh]

In:  clients and invoices (canonical tables); where there are readings their Days, and the day of the change in each.
Out: a Recovery each client, or None where nothing can be estimated.

Consumption comes as a Course, the last step first, so that the same season of the year before is always as many steps
away. Usual is the client's own level before a clear fall, seasons counted; without one it is the level of clients like
it. Of what is usual only the distribution is known: given that a part is stolen, consumption was above what was
registered, and the estimate is the median of the rest of it, the range from its 10 % to its 90 % quantile. Electricity
alone: gas is billed in other units.
"""

from dataclasses import dataclass
from math import erfc, log, sqrt

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.types import RecoveryEstimate, Table
from fairmeter.data.daily import DailyConsumption
from fairmeter.features.invoices.series import InvoiceSeries, fill_missing
from fairmeter.models.peer_groups import PEER_FEATURES, PeerGroups

# Months before a visit that may be billed back. Laws differ; India's Electricity Act 2003, section 126(5), allows
# twelve where nobody can tell when the theft began, as is the case here.
BILLABLE_MONTHS = 12
LEVEL_YEARS = 3  # before the fall, that tell the usual level: older ones may be another household's
CLEAR_FALL = 0.75  # of the usual or less: measured, one honest client in eight falls so far from year to year
REGISTERED_MOST = 0.9  # of what is used: who takes less than a tenth changes nothing that a visit could be worth
SEASON_WEIGHT = 0.5  # of the year before against the level: the one tells the season, the other is the nearer past
# Spread of the logarithm of what is usual, a year's sum. Measured on honest clients of the public invoices: 0.42
# against their own year before, to which comes that the day of a fall is not certain; 0.75 against their region and
# category. Days give a nearer past and a surer onset; set by simulated thefts, whose ranges then hold what they say.
OWN_SPREAD, PEERS_SPREAD, READINGS_SPREAD = 0.5, 0.75, 0.3
LOW, MIDDLE, HIGH = 0.1, 0.5, 0.9

MONTHS_SEEN, DAYS_SEEN = 168, 1095  # steps of a course: fourteen years, three years
LEAST_SIDE = 4  # months on each side of a fall: an invoice's
SEASON_MONTHS, SEASON_DAYS = 12, 364  # steps to the same season; of days to the same day of the week
MONTHS_MOST = 24  # that one invoice covers
LEAST, MOST = 1.0, 1e12  # kWh: less at stake is nothing, more on a day nobody ever used
ROUNDING = 1e-9  # of running sums: equal months must not look like a fall
CHUNK = 1000  # clients at a time: bounds the memory
USUAL_LEVEL = PEER_FEATURES.index("elec_level_median")
# The normal distribution's upper tail, as logarithms for the sake of the far end.
Z = np.linspace(-8.0, 8.0, 1601)
LOG_TAIL = np.array([log(erfc(z / sqrt(2.0)) / 2.0) for z in Z])


@dataclass(frozen=True)
class MonthlyConsumption:
    """Consumption by step, a row a client, the last step first. [kwh: NaN where unknown]

    last_day: of column 0, days since 1970; season: steps of a year; a_month: steps of a month.
    """

    kwh: np.ndarray
    last_day: np.ndarray
    season: int
    a_month: float

    def day_of(self, steps: np.ndarray) -> np.ndarray:
        """The day so many steps before the end of the course. [days since 1970]"""
        return self.last_day - steps * (DAYS_PER_MONTH / self.a_month)


@dataclass(frozen=True)
class EnergyAtStake:
    """Of each client: usual and registered energy of the months that count [kWh], how sure the usual is, since when.

    before: the usual level [kWh a month]; since: days since 1970, NaN where compared with clients like it.
    """

    usual: np.ndarray
    registered: np.ndarray
    months: np.ndarray
    before: np.ndarray
    since: np.ndarray
    spread: np.ndarray

    def is_known(self) -> np.ndarray:
        return (self.months > 0) & (self.usual >= LEAST)

    def is_fall(self) -> np.ndarray:
        return self.is_known() & (self.registered <= CLEAR_FALL * self.usual)

    def chosen(self, takes_other: np.ndarray, other: "EnergyAtStake") -> "EnergyAtStake":
        """This stake, or for the clients of the mask the other one."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return EnergyAtStake(*(np.where(takes_other, theirs, own) for own, theirs in pairs))

    def used(self, *shares: float) -> np.ndarray:
        """What was used, at these quantiles of what it may have been, as a part was stolen. [kWh, a row each]"""
        floor = self.registered / REGISTERED_MOST
        with np.errstate(divide="ignore", invalid="ignore"):
            # Less the spread squared, as a theft of any size is as likely as another: the density has a 1 / used.
            middle = np.log(np.maximum(self.usual, 1.0)) - self.spread**2
            tail = np.interp((np.log(floor) - middle) / self.spread, Z, LOG_TAIL)
            z = np.interp(-(tail + np.log(1.0 - np.array(shares))[:, None]), -LOG_TAIL, Z)
        return np.maximum(np.exp(middle + self.spread * z), floor)


def recoveries(
    clients: Table,
    invoices: Table,
    peers: PeerGroups | None,
    days: DailyConsumption | None = None,
    onset: np.ndarray | None = None,
    billable_months: int = BILLABLE_MONTHS,
) -> list[RecoveryEstimate | None]:
    """What a visit to each client may bring. [onset: most likely first day of the change in its readings, or NaN]"""
    price, n = clients.get("tariff_price"), len(clients["client_id"])
    out: list[RecoveryEstimate | None] = []
    for start in range(0, n, CHUNK):
        part = slice(start, min(start + CHUNK, n))
        theirs = slice(*np.searchsorted(invoices["client"], (part.start, part.stop)))
        of_part = {name: column[theirs] for name, column in invoices.items()} | {
            "client": invoices["client"][theirs] - part.start
        }
        accounts = {name: column[part] for name, column in clients.items()}
        stake = stake_of_invoices(accounts, of_part, peers, billable_months)
        if days is not None and onset is not None:
            read = stake_of_readings(days.slice(part.start, part.stop), onset[part], billable_months)
            stake = stake.chosen(read.is_fall() | (read.is_known() & ~stake.is_known()), read)
        out += _in_words(stake, None if price is None else price[part])
    return out


# --- what is at stake -------------------------------------------------------------------------------------------------


def stake_of_invoices(clients: Table, invoices: Table, peers: PeerGroups | None, billable_months: int) -> EnergyAtStake:
    """By the client's own level before the clearest fall; without a clear fall by that of clients like it."""
    rows = InvoiceSeries.from_tables(clients, invoices)
    course, period = course_of_invoices(rows)
    steps = steps_since_fall(course)
    # The invoice in whose months it began looks whole as often as fallen: half of its time lies before, on average.
    own = stake_since(course, steps, billable_months, OWN_SPREAD, period / 4)
    usual = usual_level(clients, peers)
    compared = stake_of_peers(course, usual, billable_months)
    return own.chosen(~own.is_fall() & compared.is_known(), compared)


def stake_of_readings(days: DailyConsumption, onset: np.ndarray, billable_months: int) -> EnergyAtStake:
    """By the client's own level before the change in its readings."""
    course = course_of_days(days)
    steps = np.clip(fill_missing(course.last_day + 1.0 - onset, 0.0), 0, DAYS_SEEN).astype(np.int64)
    return stake_since(course, steps, billable_months, READINGS_SPREAD)


def stake_since(
    course: MonthlyConsumption,
    steps: np.ndarray,
    billable_months: int,
    spread: float,
    earlier: np.ndarray | float = 0.0,
) -> EnergyAtStake:
    """The last `steps` steps against those before, in the months that may be billed. [0 steps: nothing fell]

    earlier: steps by which the change most likely came before them.
    """
    place, width = np.arange(course.kwh.shape[1]), _width(course, billable_months)
    is_since = place < steps[:, None]
    past = np.where(is_since, np.nan, course.kwh)
    n_past = np.cumsum(~np.isnan(past), axis=1)
    past = np.where(n_past <= LEVEL_YEARS * course.season, past, np.nan)
    level = _mean(past, 1)
    usual = _with_season(past, level, course.season, width)
    counts = is_since[:, :width] & ~np.isnan(course.kwh[:, :width]) & (steps[:, None] > 0) & ~np.isnan(level)[:, None]
    since = np.where(steps > 0, course.day_of(steps + earlier), np.nan)
    return EnergyAtStake(
        np.where(counts, usual, 0.0).sum(axis=1),
        np.where(counts, course.kwh[:, :width], 0.0).sum(axis=1),
        counts.sum(axis=1) / course.a_month,
        level * course.a_month,
        since,
        np.full(len(steps), spread),
    )


def stake_of_peers(course: MonthlyConsumption, usual: np.ndarray, billable_months: int) -> EnergyAtStake:
    """The months that may be billed against what clients like it use. [usual: kWh a month, NaN unknown]"""
    lately = course.kwh[:, : _width(course, billable_months)]
    months = (~np.isnan(lately) & ~np.isnan(usual)[:, None]).sum(axis=1) / course.a_month
    registered = np.where(np.isnan(lately), 0.0, lately).sum(axis=1)
    nobody_knows = np.full(len(usual), np.nan)
    spread = np.full(len(usual), PEERS_SPREAD)
    return EnergyAtStake(fill_missing(usual, 0.0) * months, registered, months, usual, nobody_knows, spread)


def usual_level(clients: Table, peers: PeerGroups | None) -> np.ndarray:
    """Electricity of clients of the same region and category, the median of theirs. [kWh a month, NaN unknown]"""
    if peers is None:
        return np.full(len(clients["client_id"]), np.nan)
    group = peers.group(np.stack([clients["region"], clients["category"]], axis=1))
    kwh = np.expm1(peers.medians[group, USUAL_LEVEL].astype(np.float64))
    return np.where(kwh > 0, kwh, np.nan)


def _with_season(past: np.ndarray, level: np.ndarray, season: int, width: int) -> np.ndarray:
    """What each of the last `width` steps usually is: the level, drawn towards the same season before the fall."""
    n, seen = past.shape
    years = np.full((n, -(-seen // season) * season), np.nan)
    years[:, :seen] = past
    of_season = _mean(years.reshape(n, -1, season), 1)
    drawn = (1.0 - SEASON_WEIGHT) * level[:, None] + SEASON_WEIGHT * of_season
    return np.where(np.isnan(of_season), level[:, None], drawn)[:, np.arange(width) % season]


def _width(course: MonthlyConsumption, billable_months: int) -> int:
    return min(round(billable_months * course.a_month), course.kwh.shape[1])


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean of what is known, NaN of nothing."""
    known = ~np.isnan(values)
    n = known.sum(axis=axis)
    return np.where(n > 0, np.where(known, values, 0.0).sum(axis=axis) / np.maximum(n, 1), np.nan)


# --- courses ----------------------------------------------------------------------------------------------------------


def course_of_invoices(rows: InvoiceSeries) -> tuple[MonthlyConsumption, np.ndarray]:
    """Electricity by month, each invoice spread over its months; and the usual months of an invoice. [a client]"""
    n = len(rows.by_client)
    kept = np.flatnonzero((rows["energy"] == 0) & ~np.isnan(rows.consumption))
    client, day = rows["client"][kept].astype(np.int64), rows.day[kept]
    months = np.clip(np.rint(fill_missing(rows.months[kept], 1.0)), 1, MONTHS_MOST).astype(np.int64)
    last = np.full(n, -np.inf)
    np.maximum.at(last, client, day)
    first_step = np.rint((last[client] - day) / DAYS_PER_MONTH).astype(np.int64)
    within = np.arange(months.sum()) - np.repeat(np.cumsum(months) - months, months)
    step = np.repeat(first_step, months) + within
    width = int(min(step.max(initial=0) + 1, MONTHS_SEEN))
    seen = step < width
    cell = (np.repeat(client, months) * width + step)[seen]
    total = np.bincount(cell, np.repeat(rows.consumption[kept] / months, months)[seen], n * width)
    times = np.bincount(cell, minlength=n * width)
    kwh = np.where(times > 0, total / np.maximum(times, 1), np.nan).reshape(n, width)
    n_invoices = np.bincount(client, minlength=n)
    period = np.bincount(client, months, n) / np.maximum(n_invoices, 1)
    return MonthlyConsumption(kwh, np.where(n_invoices > 0, last, np.nan), SEASON_MONTHS, 1.0), period


def course_of_days(days: DailyConsumption) -> MonthlyConsumption:
    n = len(days.segments)
    counts = days.segments.counts
    width = int(min(counts.max(initial=0), DAYS_SEEN))
    step = days.segments.spread(counts) - 1 - days.segments.position
    seen = step < width
    kwh = np.full((n, width), np.nan)
    kwh[days.segments.index[seen], step[seen]] = np.where(days.kwh[seen] <= MOST, days.kwh[seen], np.nan)
    return MonthlyConsumption(kwh, days.segments.last(days.day.astype(np.float64)), SEASON_DAYS, DAYS_PER_MONTH)


def steps_since_fall(course: MonthlyConsumption) -> np.ndarray:
    """Steps since the clearest fall: the split with the largest sum of squares between its sides; 0 where none."""
    # The root lies between kWh, where large months drown all others, and their logarithm, where a month at zero does.
    known = ~np.isnan(course.kwh)
    root = np.sqrt(np.where(known, np.maximum(course.kwh, 0.0), 0.0))
    n_since, since = np.cumsum(known, axis=1), np.cumsum(root, axis=1)
    n_before, before = n_since[:, -1:] - n_since, since[:, -1:] - since
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = before / n_before - since / n_since
        between = n_since * n_before * gap * gap
        is_lower = before / n_before > (1.0 + ROUNDING) * since / n_since
    is_fall = known & (n_since >= LEAST_SIDE) & (n_before >= LEAST_SIDE) & is_lower
    between = np.where(is_fall, between, 0.0)
    return np.where(is_fall.any(axis=1), between.argmax(axis=1) + 1, 0)


# --- in words ---------------------------------------------------------------------------------------------------------


def _in_words(stake: EnergyAtStake, price: np.ndarray | None) -> list[RecoveryEstimate | None]:
    lost = (stake.used(LOW, MIDDLE, HIGH) - stake.registered).T.tolist()
    return [
        _recovery(stake, i, kwh, None if price is None else price[i]) if is_known else None
        for i, (is_known, kwh) in enumerate(zip(stake.is_known().tolist(), lost, strict=True))
    ]


def _recovery(stake: EnergyAtStake, i: int, kwh: list[float], price: float | None) -> RecoveryEstimate:
    (low, middle, high), months = kwh, float(stake.months[i])
    used = (stake.registered[i] + middle) / months
    if np.isnan(stake.since[i]):
        usual = f"clients of its region and category use {stake.before[i]:,.0f}"
    else:
        month = np.datetime64(int(stake.since[i]), "D").item().strftime("%B %Y")
        usual = f"before {month} it was {stake.before[i]:,.0f}"
    counted = "1 month" if round(months) == 1 else f"{months:,.0f} months" if months >= 1 else "less than a month"
    text = (
        f"If it steals, it uses about {used:,.0f} kWh a month ({usual}), and its meter registers "
        f"{stake.registered[i] / months:,.0f}; counted over {counted}."
    )
    worth = None if price is None or np.isnan(price) else float(middle * price)
    return RecoveryEstimate(middle, low, high, months, text, worth)
