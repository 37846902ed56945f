"""Smart meters of a simulated utility: consumption -> registered energy -> received readings.

In:  homes with their LoadProfile, their consumption in the months before, thefts by home.
Out: MeteredUtility: kWh used and registered [home, day], the readings, the true harmless changes.

Readings are daily; some homes send hourly ones in the last HOURLY_DAYS days. A lost reading is a missing row: the meter
registered its energy, and the invoice bills it.
"""

from dataclasses import dataclass

import numpy as np

from fairmeter.core.types import Table
from fairmeter.simulation.billing import ELEC, FIRST_MONTH, FIRST_READ_MONTH, N_MONTHS
from fairmeter.simulation.harmless_patterns import HARMLESS, apply_harmless
from fairmeter.simulation.load_profiles import LoadProfile, draw_hours
from fairmeter.simulation.network import DistributionNetwork
from fairmeter.simulation.theft_patterns import apply_theft

MONTH_STARTS = (FIRST_MONTH + np.arange(N_MONTHS + 1)).astype("datetime64[D]")
DAYS_OF_MONTH = np.diff(MONTH_STARTS).astype(int)
WITH_READINGS = slice(FIRST_READ_MONTH, N_MONTHS)
FIRST_DAY = MONTH_STARTS[FIRST_READ_MONTH]
DAY = np.arange(FIRST_DAY, MONTH_STARTS[-1])
HOURLY_DAYS = 60
HOURLY_SHARE = 0.18  # of smart meters with hourly readings
HARMLESS_SHARE = 0.15  # of homes, each with one change
HONEST_DAYS, CHANGED_DAYS = 60, 30  # before a harmless change and after it, at least
# London: 48 % of households lack readings on some days, 0.25 % of all days. Other utilities lose more.
GAPS_PER_YEAR, GAP_DAYS, LOST_HOURS = 0.8, 2.5, 0.002
DECIMALS = {1: 2, 24: 3}  # of a reading [kWh], by readings per day
N_OTHER_HOMES = 20  # homes whose series a thief may copy
DEMO_SEED = 18  # of the thefts of demo clients, which are the same in every utility
# Days from the first reading to 21 June.
HERE = {"solar_panels": {"midsummer_day": (112, 112)}}
# Changes of the readings, not of the consumption; all others happen at home.
AT_THE_METER = {"meter_exchange", "estimated_bill", "missing_readings"}


@dataclass(frozen=True)
class MeteredUtility:
    """Energy and readings of smart meters. `home` in `readings` and `harmless` is the row of the home."""

    used: np.ndarray  # kWh [home, day]
    registered: np.ndarray  # kWh [home, day]
    before: np.ndarray  # kWh registered in the months before the first reading [home, month]
    readings: Table  # home, read_at, consumption_kwh; by home, then time
    harmless: Table  # home, change, onset_on

    @property
    def exchanged_home(self) -> np.ndarray:
        """Homes whose meter was exchanged harmlessly."""
        return self.harmless["home"][self.harmless["change"] == "meter_exchange"]

    @property
    def exchanged_on(self) -> np.ndarray:
        """Days of these exchanges."""
        return self.harmless["onset_on"][self.harmless["change"] == "meter_exchange"]


def draw_homes(rng: np.random.Generator, services: Table, network: DistributionNetwork, n_demo: int) -> Table:
    """Services with a smart meter: open electricity accounts on a transformer with a meter.

    Columns service, client, transformer, region_row, is_shop, is_hourly, is_demo, start_on, end_on (exclusive).
    """
    transformer = network.transformer[services["client"]]
    is_home = (services["energy"] == ELEC) & (services["end"] > FIRST_READ_MONTH)
    service = np.flatnonzero(is_home & network.transformers["has_meter"][transformer])
    is_demo = services["client"][service] < n_demo
    return {
        "service": service,
        "client": services["client"][service],
        "transformer": transformer[service],
        "region_row": services["region_row"][service],
        "is_shop": services["category_row"][service] > 0,
        "is_hourly": is_demo | (rng.random(len(service)) < HOURLY_SHARE),
        "is_demo": is_demo,
        "start_on": MONTH_STARTS[services["start"][service]],
        "end_on": MONTH_STARTS[services["end"][service]],
    }


def day_by_day(monthly: np.ndarray) -> np.ndarray:
    """Interpolate a slow variable between the middles of months. [(home, all months) -> (home, day)]"""
    middle = MONTH_STARTS[:-1] + DAYS_OF_MONTH // 2
    before = np.searchsorted(middle, DAY, side="right") - 1
    after = np.minimum(before + 1, N_MONTHS - 1)
    part = (DAY - middle[before]).astype(int) / np.maximum((middle[after] - middle[before]).astype(int), 1)
    return monthly[:, before] * (1 - part) + monthly[:, after] * part


def draw_readings(
    rng: np.random.Generator, homes: Table, use: LoadProfile, before: np.ndarray, thefts: Table
) -> MeteredUtility:
    """Apply harmless changes, thefts, metering and transmission to the consumption of homes.

    homes: is_hourly, is_demo, start_on, end_on; before: kWh used in the months before the first reading [home, month];
    thefts: home, pattern, onset_on, ended_on.
    """
    used, registered, earlier = np.zeros(use.activity.shape), np.zeros(use.activity.shape), before.copy()
    harmless, arrived = draw_harmless(rng, homes), []
    for steps in DECIMALS:
        rows = np.flatnonzero(homes["is_hourly"] == (steps > 1))
        group = {name: column[rows] for name, column in homes.items()}
        kwh = draw_hours(rng, use, rows) if steps > 1 else use.total[rows]
        events = select_homes(harmless, rows), select_homes(thefts, rows)
        kwh, counted, read, earlier[rows] = register(rng, group, kwh, before[rows], *events, steps)
        used[rows], registered[rows] = (by_day(values, steps) * is_open(group) for values in (kwh, counted))
        arrived += [{**part, "home": rows[part["home"]]} for part in reading_rows(read, steps)]
    return MeteredUtility(used, registered, earlier, by_home_and_time(arrived), harmless)


def register(
    rng: np.random.Generator,
    homes: Table,
    kwh: np.ndarray,
    before: np.ndarray,
    harmless: Table,
    thefts: Table,
    steps: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """kWh used, registered, and read (NaN: not received) [home, step]; registered before [home, month]."""
    kwh = change(rng, kwh, harmless, steps, is_at_home=True)
    counted, before = steal(rng, kwh, before, thefts, homes["is_demo"], steps)
    read = change(rng, counted, harmless, steps, is_at_home=False)
    counted = np.round(np.where(np.isnan(read), counted, read), DECIMALS[steps])
    is_lost = np.isnan(read) | draw_lost(rng, len(read), steps) | np.repeat(~is_open(homes), steps, axis=1)
    return kwh, counted, np.where(is_lost, np.nan, counted), before


def select_homes(events: Table, homes: np.ndarray) -> Table:
    """Thefts or changes of some homes, with `home` as the position among these."""
    chosen = np.isin(events["home"], homes)
    return {
        **{name: column[chosen] for name, column in events.items()},
        "home": np.searchsorted(homes, events["home"][chosen]),
    }


def is_open(homes: Table) -> np.ndarray:
    """Whether the account is open. [(home, day)]"""
    return (homes["start_on"][:, None] <= DAY) & (homes["end_on"][:, None] > DAY)


def by_day(kwh: np.ndarray, steps: int) -> np.ndarray:
    """Daily sums, rounded to watt-hours. [kWh, (home, day)]"""
    return np.round(kwh.reshape(len(kwh), kwh.shape[1] // steps, steps).sum(axis=2), 3)


# ---- harmless changes


def draw_harmless(rng: np.random.Generator, homes: Table) -> Table:
    """Table of harmless changes: home, change, onset_on. Demo clients have none."""
    n = len(homes["start_on"])
    first, last = np.maximum(homes["start_on"], FIRST_DAY), homes["end_on"]
    n_free = (last - first).astype(int) - HONEST_DAYS - CHANGED_DAYS
    onset = first + HONEST_DAYS + (rng.random(n) * np.maximum(n_free, 0)).astype(int)
    name = np.array(list(HARMLESS), object)[rng.integers(len(HARMLESS), size=n)]
    home = np.flatnonzero((rng.random(n) < HARMLESS_SHARE) & (n_free > 0) & ~homes["is_demo"])
    return {"home": home, "change": name[home], "onset_on": onset[home]}


def change(rng: np.random.Generator, kwh: np.ndarray, changes: Table, steps: int, is_at_home: bool) -> np.ndarray:
    """Apply the harmless changes at home, or those at the meter. [kWh, (home, step)]"""
    after = kwh.copy()
    for name in HARMLESS:
        rows = np.flatnonzero(changes["change"] == name)
        if len(rows) and is_at_home == (name not in AT_THE_METER):
            home, onset = changes["home"][rows], (changes["onset_on"][rows] - FIRST_DAY).astype(int) * steps
            after[home] = apply_harmless(kwh[home], onset, name, rng, steps, HERE)
    return after


# ---- thefts


def steal(
    rng: np.random.Generator, kwh: np.ndarray, before: np.ndarray, thefts: Table, is_demo: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Registered kWh [home, step], and those of the months before the first reading [home, month].

    A theft older than the readings is applied to the months before in the same daily or hourly steps.
    """
    registered, earlier = kwh.copy(), before.copy()
    is_early, of_demo = thefts["onset_on"] < FIRST_DAY, is_demo[thefts["home"]]
    kinds = np.array([" ".join(map(str, kind)) for kind in zip(thefts["pattern"], is_early, of_demo, strict=True)], str)
    for kind in np.unique(kinds):
        rows = np.flatnonzero(kinds == kind)
        name, early, home = thefts["pattern"][rows[0]], is_early[rows[0]], thefts["home"][rows]
        among = np.append(home, other_homes(home, len(kwh))) if name == "low_user" else home
        past = in_steps(before[among], steps) if early else np.zeros((len(among), 0))
        whole, first = np.hstack([past, kwh[among]]), MONTH_STARTS[0] if early else FIRST_DAY
        onset, ended = (days_after(thefts[day][rows], first) * steps for day in ("onset_on", "ended_on"))
        onset = np.append(onset, np.full(len(among) - len(home), whole.shape[1]))
        own_rng = np.random.default_rng(DEMO_SEED) if of_demo[rows[0]] else rng
        taken = apply_theft(whole, onset, name, own_rng, steps)[: len(home)]
        taken = np.where(np.arange(whole.shape[1]) < ended[:, None], taken, whole[: len(home)])
        registered[home] = taken[:, past.shape[1] :]
        if early:
            earlier[home] = by_month(taken[:, : past.shape[1]], steps, slice(FIRST_READ_MONTH))
    return registered, earlier


def other_homes(home: np.ndarray, n: int) -> np.ndarray:
    """Some other homes of n, whose series a pattern may copy; the same homes where there are no others."""
    others = np.setdiff1d(np.arange(n), home)[:N_OTHER_HOMES]
    return others if len(others) else home


def days_after(day: np.ndarray, first: np.datetime64) -> np.ndarray:
    """Days since the first one, 0 before it."""
    return np.maximum((day - first).astype(int), 0)


def in_steps(monthly: np.ndarray, steps: int) -> np.ndarray:
    """Spread monthly sums evenly over their days or hours. [(home, step)]"""
    n_steps = DAYS_OF_MONTH[: monthly.shape[1]] * steps
    return np.repeat(monthly / n_steps, n_steps, axis=1)


def by_month(kwh: np.ndarray, steps: int = 1, months: slice = WITH_READINGS) -> np.ndarray:
    """Monthly sums of daily or hourly series that cover these months. [(home, month)]"""
    days = DAYS_OF_MONTH[months]
    return np.add.reduceat(kwh, (np.cumsum(days) - days) * steps, axis=1)


# ---- received readings


def draw_lost(rng: np.random.Generator, n: int, steps: int) -> np.ndarray:
    """Whether a reading is lost: for runs of days, hourly ones also singly. [(home, step)]"""
    often = rng.gamma(0.7, 1 / 0.7, (n, 1))
    begins = rng.random((n, len(DAY))) < often * GAPS_PER_YEAR / 365
    ends = np.where(begins, np.arange(len(DAY)) + rng.geometric(1 / GAP_DAYS, begins.shape), 0)
    is_lost = np.repeat(np.maximum.accumulate(ends, axis=1) > np.arange(len(DAY)), steps, axis=1)
    is_hourly = np.arange(len(DAY) * steps) >= first_hourly(steps)
    return is_lost | (is_hourly & (rng.random(is_lost.shape) < LOST_HOURS))


def first_hourly(steps: int) -> int:
    """First step with hourly readings, before which daily sums are sent; the end for daily meters."""
    return (len(DAY) - HOURLY_DAYS * (steps > 1)) * steps


def reading_rows(read: np.ndarray, steps: int) -> list[Table]:
    """Tables home, read_at, consumption_kwh of received readings; hourly only in the last HOURLY_DAYS days."""
    until = first_hourly(steps)
    hours = np.arange(DAY[0], DAY[-1] + 1, dtype="datetime64[h]")
    return [
        rows_of(by_day(read[:, :until], steps), DAY[: until // steps]),
        rows_of(read[:, until:], hours[until:]),
    ]


def rows_of(read: np.ndarray, time: np.ndarray) -> Table:
    """One row for each value that is not missing."""
    home, step = np.nonzero(~np.isnan(read))
    return {"home": home, "read_at": time[step].astype("datetime64[m]"), "consumption_kwh": read[home, step]}


def by_home_and_time(parts: list[Table]) -> Table:
    """All rows, sorted by home, then time."""
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort([rows["read_at"], rows["home"]])
    return {name: column[order] for name, column in rows.items()}
