"""Smart meters of a simulated utility: what homes use -> what their meters register -> which readings arrive.

In:  homes with what they use (household.py), what they used in the months before, thefts by home.
Out: Metered: kWh used and registered [home, day], the readings, the harmless changes with their truth.

Readings come once a day; those of some homes come hourly in the last HOURLY_DAYS days. A lost reading is a row that is
not there: the meter counted on, and the invoice has it.
"""

from dataclasses import dataclass

import numpy as np

from fairmeter.core.types import Table
from fairmeter.simulation.billing import ELEC, FIRST_MONTH, FIRST_READ_MONTH, N_MONTHS
from fairmeter.simulation.harmless_patterns import HARMLESS, changed
from fairmeter.simulation.load_profiles import LoadProfile, draw_hours
from fairmeter.simulation.network import DistributionNetwork
from fairmeter.simulation.theft_patterns import attacked

MONTH_STARTS = (FIRST_MONTH + np.arange(N_MONTHS + 1)).astype("datetime64[D]")
DAYS_OF_MONTH = np.diff(MONTH_STARTS).astype(int)
WITH_READINGS = slice(FIRST_READ_MONTH, N_MONTHS)
FIRST_DAY = MONTH_STARTS[FIRST_READ_MONTH]
DAY = np.arange(FIRST_DAY, MONTH_STARTS[-1])
HOURLY_DAYS = 60
HOURLY_SHARE = 0.18  # of smart meters that send hourly readings lately
HARMLESS_SHARE = 0.15  # of homes, one change each
HONEST_DAYS, CHANGED_DAYS = 60, 30  # before a harmless change and after it, at least
# London: 48 % of households lack readings of some days, 0.25 % of all days. Other utilities lose more.
GAPS_A_YEAR, GAP_DAYS, LOST_HOURS = 0.8, 2.5, 0.002
DECIMALS = {1: 2, 24: 3}  # of a reading [kWh], by readings a day
COMPANY = 20  # homes whose series a thief could take for his own
DEMO_SEED = 18  # of the thefts of demo clients: plain ones, the same in every utility
# The sun is highest on 21 June: days after the first reading.
HERE = {"solar_panels": {"midsummer_day": (112, 112)}}
# Changes of what is read and not of what is used; all other harmless changes happen at home.
AT_THE_METER = {"meter_exchange", "estimated_bill", "missing_readings"}


@dataclass(frozen=True)
class MeteredUtility:
    """What the smart meters of homes did. Rows of `readings` and `harmless` name the home by its row."""

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
        """The days on which those were exchanged."""
        return self.harmless["onset_on"][self.harmless["change"] == "meter_exchange"]


def draw_homes(rng: np.random.Generator, services: Table, network: DistributionNetwork, n_demo: int) -> Table:
    """The services with a smart meter: electricity still in use, of a transformer that measures.

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
    """What changes slowly, from the middle of one month to that of the next. [home, every month] -> [home, day]"""
    middle = MONTH_STARTS[:-1] + DAYS_OF_MONTH // 2
    before = np.searchsorted(middle, DAY, side="right") - 1
    after = np.minimum(before + 1, N_MONTHS - 1)
    part = (DAY - middle[before]).astype(int) / np.maximum((middle[after] - middle[before]).astype(int), 1)
    return monthly[:, before] * (1 - part) + monthly[:, after] * part


def draw_readings(
    rng: np.random.Generator, homes: Table, use: LoadProfile, before: np.ndarray, thefts: Table
) -> MeteredUtility:
    """What the meters make of what the homes use.

    homes: is_hourly, is_demo, start_on, end_on; before: kWh used in the months before the first reading [home, month];
    thefts: home, pattern, onset_on, ended_on.
    """
    used, registered, earlier = np.zeros(use.activity.shape), np.zeros(use.activity.shape), before.copy()
    harmless, arrived = draw_harmless(rng, homes), []
    for steps in DECIMALS:
        rows = np.flatnonzero(homes["is_hourly"] == (steps > 1))
        group = {name: column[rows] for name, column in homes.items()}
        kwh = draw_hours(rng, use, rows) if steps > 1 else use.total[rows]
        events = of_homes(harmless, rows), of_homes(thefts, rows)
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
    """kWh used, counted by the meter, and read (NaN: nothing arrived) [home, step]; counted before [home, month]."""
    kwh = change(rng, kwh, harmless, steps, is_at_home=True)
    counted, before = steal(rng, kwh, before, thefts, homes["is_demo"], steps)
    read = change(rng, counted, harmless, steps, is_at_home=False)
    counted = np.round(np.where(np.isnan(read), counted, read), DECIMALS[steps])
    is_lost = np.isnan(read) | draw_lost(rng, len(read), steps) | np.repeat(~is_open(homes), steps, axis=1)
    return kwh, counted, np.where(is_lost, np.nan, counted), before


def of_homes(events: Table, homes: np.ndarray) -> Table:
    """The thefts or changes of some homes, `home` counted among those."""
    keep = np.isin(events["home"], homes)
    return {
        **{name: column[keep] for name, column in events.items()},
        "home": np.searchsorted(homes, events["home"][keep]),
    }


def is_open(homes: Table) -> np.ndarray:
    """Whether the account exists. [home, day]"""
    return (homes["start_on"][:, None] <= DAY) & (homes["end_on"][:, None] > DAY)


def by_day(kwh: np.ndarray, steps: int) -> np.ndarray:
    """Sums of the steps of each day, to the watt-hour. [home, day]"""
    return np.round(kwh.reshape(len(kwh), kwh.shape[1] // steps, steps).sum(axis=2), 3)


# ---- harmless changes


def draw_harmless(rng: np.random.Generator, homes: Table) -> Table:
    """Which homes change harmlessly, how, from which day on: home, change, onset_on. Demo clients never do."""
    n = len(homes["start_on"])
    first, last = np.maximum(homes["start_on"], FIRST_DAY), homes["end_on"]
    room = (last - first).astype(int) - HONEST_DAYS - CHANGED_DAYS
    onset = first + HONEST_DAYS + (rng.random(n) * np.maximum(room, 0)).astype(int)
    name = np.array(list(HARMLESS), object)[rng.integers(len(HARMLESS), size=n)]
    home = np.flatnonzero((rng.random(n) < HARMLESS_SHARE) & (room > 0) & ~homes["is_demo"])
    return {"home": home, "change": name[home], "onset_on": onset[home]}


def change(rng: np.random.Generator, kwh: np.ndarray, changes: Table, steps: int, is_at_home: bool) -> np.ndarray:
    """kWh after the harmless changes at home, or after those at the meter. [home, step]"""
    after = kwh.copy()
    for name in HARMLESS:
        rows = np.flatnonzero(changes["change"] == name)
        if len(rows) and is_at_home == (name not in AT_THE_METER):
            home, onset = changes["home"][rows], (changes["onset_on"][rows] - FIRST_DAY).astype(int) * steps
            after[home] = changed(kwh[home], onset, name, rng, steps, HERE)
    return after


# ---- thefts


def steal(
    rng: np.random.Generator, kwh: np.ndarray, before: np.ndarray, thefts: Table, is_demo: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Registered kWh [home, step], and those of the months before the first reading [home, month].

    A theft that is older than the readings runs through the months before them at the same pace, day by day.
    """
    registered, earlier = kwh.copy(), before.copy()
    is_early, of_demo = thefts["onset_on"] < FIRST_DAY, is_demo[thefts["home"]]
    kinds = np.array([" ".join(map(str, kind)) for kind in zip(thefts["pattern"], is_early, of_demo, strict=True)], str)
    for kind in np.unique(kinds):
        rows = np.flatnonzero(kinds == kind)
        name, early, home = thefts["pattern"][rows[0]], is_early[rows[0]], thefts["home"][rows]
        among = np.append(home, company(home, len(kwh))) if name == "low_user" else home
        past = in_steps(before[among], steps) if early else np.zeros((len(among), 0))
        whole, first = np.hstack([past, kwh[among]]), MONTH_STARTS[0] if early else FIRST_DAY
        onset, ended = (days_after(thefts[day][rows], first) * steps for day in ("onset_on", "ended_on"))
        onset = np.append(onset, np.full(len(among) - len(home), whole.shape[1]))
        own_rng = np.random.default_rng(DEMO_SEED) if of_demo[rows[0]] else rng
        taken = attacked(whole, onset, name, own_rng, steps)[: len(home)]
        taken = np.where(np.arange(whole.shape[1]) < ended[:, None], taken, whole[: len(home)])
        registered[home] = taken[:, past.shape[1] :]
        if early:
            earlier[home] = by_month(taken[:, : past.shape[1]], steps, slice(FIRST_READ_MONTH))
    return registered, earlier


def company(home: np.ndarray, n: int) -> np.ndarray:
    """Some other homes of n, for the pattern that takes the series of another; where there are none, the same."""
    others = np.setdiff1d(np.arange(n), home)[:COMPANY]
    return others if len(others) else home


def days_after(day: np.ndarray, first: np.datetime64) -> np.ndarray:
    """Days from the first one, 0 before it."""
    return np.maximum((day - first).astype(int), 0)


def in_steps(monthly: np.ndarray, steps: int) -> np.ndarray:
    """Months spread evenly over their days or hours. [home, step]"""
    n_steps = DAYS_OF_MONTH[: monthly.shape[1]] * steps
    return np.repeat(monthly / n_steps, n_steps, axis=1)


def by_month(kwh: np.ndarray, steps: int = 1, months: slice = WITH_READINGS) -> np.ndarray:
    """Sums over these months of days or hours that fill them. [home, month]"""
    days = DAYS_OF_MONTH[months]
    return np.add.reduceat(kwh, (np.cumsum(days) - days) * steps, axis=1)


# ---- what arrives


def draw_lost(rng: np.random.Generator, n: int, steps: int) -> np.ndarray:
    """Which readings are lost: for days on end, hourly ones also one by one. [home, step]"""
    often = rng.gamma(0.7, 1 / 0.7, (n, 1))
    begins = rng.random((n, len(DAY))) < often * GAPS_A_YEAR / 365
    ends = np.where(begins, np.arange(len(DAY)) + rng.geometric(1 / GAP_DAYS, begins.shape), 0)
    is_lost = np.repeat(np.maximum.accumulate(ends, axis=1) > np.arange(len(DAY)), steps, axis=1)
    is_hourly = np.arange(len(DAY) * steps) >= first_hourly(steps)
    return is_lost | (is_hourly & (rng.random(is_lost.shape) < LOST_HOURS))


def first_hourly(steps: int) -> int:
    """The first step that is sent as an hour and not in its day's sum; all steps where a day has one."""
    return (len(DAY) - HOURLY_DAYS * (steps > 1)) * steps


def reading_rows(read: np.ndarray, steps: int) -> list[Table]:
    """Rows home, read_at, consumption_kwh of what arrived; hourly only in the last HOURLY_DAYS days."""
    until = first_hourly(steps)
    hours = np.arange(DAY[0], DAY[-1] + 1, dtype="datetime64[h]")
    return [
        rows_of(by_day(read[:, :until], steps), DAY[: until // steps]),
        rows_of(read[:, until:], hours[until:]),
    ]


def rows_of(read: np.ndarray, time: np.ndarray) -> Table:
    """One row for each value that is there."""
    home, step = np.nonzero(~np.isnan(read))
    return {"home": home, "read_at": time[step].astype("datetime64[m]"), "consumption_kwh": read[home, step]}


def by_home_and_time(parts: list[Table]) -> Table:
    """All rows, by home, then time."""
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort([rows["read_at"], rows["home"]])
    return {name: column[order] for name, column in rows.items()}
