"""Thefts in a simulated utility: client, pattern, onset and end; and their effect on meters without readings.

In:  services, kWh used [service, month] (clients.py), a random generator.
Out: thefts (service, pattern, onset, end, caught); registered kWh, meters exchanged, index turned back, all
     [service, month].

Thefts on smart meters begin and end on any day, others on the first of a month. The public set does not show how
thieves behave; the figures assumed here decide how hard simulated thefts are to find.
"""

import numpy as np

from fairmeter.core.calendar import DAYS_PER_YEAR
from fairmeter.core.types import Table
from fairmeter.simulation.billing import (
    ELEC,
    FIRST_MONTH,
    FIRST_READ_MONTH,
    GAZ,
    MONTHS,
    N_MONTHS,
    READ_EVERY,
    month_number,
)
from fairmeter.simulation.clients import CATEGORY_CAUGHT, CAUGHT_SHARE
from fairmeter.simulation.theft_patterns import INVOICED, PATTERNS, apply_theft

UNCAUGHT_RATE = 0.006  # undetected thieves, labelled 0; unknown in reality
ALWAYS_SHARE = 0.1  # of thefts that are older than the account; unknown in reality
# Measured: of clients last billed before 2013, 1 in 900 is labelled, of the others 1 in 15.
INSPECTIONS_BEGIN = month_number("2013-01")
METER_TAKEN_SHARE = 0.6  # measured: 56 % of labelled clients had two meters or more
EXCHANGES_PER_MONTH = {ELEC: 0.0014, GAZ: 0.0009}
STEPS_PER_DAY = 12 / DAYS_PER_YEAR  # of the grid of months
# Thefts on smart meters: share with an onset within the readings, least days before and after the onset, and share of
# the caught that are caught within the readings. Set by hand, so that such cases occur.
RECENT_SHARE, HONEST_DAYS, STOLEN_DAYS, CAUGHT_WHILE_READ_SHARE = 0.7, 120, 45, 0.12
# Patterns that show on invoices, on daily readings, on hourly readings.
MONTHLY_PATTERNS = np.array(list(INVOICED), object)
DAILY_PATTERNS = np.array([name for name, each in PATTERNS.items() if each.is_theft and not each.needs_hours], object)
HOURLY_PATTERNS = np.array([name for name, each in PATTERNS.items() if each.is_theft], object)


def draw_thefts(rng: np.random.Generator, services: Table, n_caught: int, n_demo: int = 0) -> Table:
    """Table of electricity thefts, none by the first n_demo clients: service, pattern, times.

    onset and ended (exclusive) are months, onset_on and ended_on their first days.
    """
    electric = np.flatnonzero((services["energy"] == ELEC) & (services["client"] >= n_demo))
    start, end = services["start"][electric], services["end"][electric]
    is_caught = draw_caught(rng, services, electric, n_caught)
    is_thief = is_caught | ((rng.random(len(electric)) < UNCAUGHT_RATE) & (end - start > 12))
    ended = np.where(is_caught, draw_catch(rng, start, end), N_MONTHS)
    onset = draw_onset(rng, start, np.minimum(ended, end))
    pattern = MONTHLY_PATTERNS[rng.integers(len(MONTHLY_PATTERNS), size=len(electric))]
    thefts = {"service": electric, "pattern": pattern, "onset": onset, "ended": ended, "caught": is_caught}
    thefts |= {"onset_on": month_start(onset), "ended_on": month_start(ended)}
    return {name: column[is_thief] for name, column in thefts.items()}


def draw_caught(rng: np.random.Generator, services: Table, rows: np.ndarray, n_caught: int) -> np.ndarray:
    """Whether a service is caught. Measured: 0.9 % below 8 invoices, 9 % from 58; by region and category. [bool]"""
    months, end = services["end"][rows] - services["start"][rows], services["end"][rows]
    weight = (1 - np.exp(-months / 90)) * ((months > 8) & (end > INSPECTIONS_BEGIN + 8))
    weight = weight * CAUGHT_SHARE[services["region_row"][rows]] * CATEGORY_CAUGHT[services["category_row"][rows]]
    # Smallest exponential waiting times: weighted sampling without replacement (Efraimidis and Spirakis 2006).
    waiting = rng.exponential(size=len(rows)) / np.maximum(weight, 1e-300)
    is_caught = np.zeros(len(rows), bool)
    is_caught[np.argsort(waiting)[:n_caught]] = True
    return is_caught & (weight > 0)


def draw_catch(rng: np.random.Generator, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Month in which a thief is caught, from the start of inspections to a year after the last invoice."""
    earliest = np.maximum(INSPECTIONS_BEGIN, start) + 8
    return earliest + (rng.random(len(start)) * np.maximum(end + 12 - earliest, 1)).astype(int)


def draw_onset(rng: np.random.Generator, start: np.ndarray, ended: np.ndarray) -> np.ndarray:
    """Month of onset: at least 8 months before the end, or before the account, where no change is visible."""
    earliest = start + READ_EVERY
    onset = earliest + (rng.random(len(start)) * np.maximum(ended - 8 - earliest, 0)).astype(int)
    return np.where((rng.random(len(start)) < ALWAYS_SHARE) | (ended - 8 < earliest), start - 12, onset)


def month_start(month: np.ndarray) -> np.ndarray:
    """First day of months counted from FIRST_MONTH. [datetime64[D]]"""
    return (FIRST_MONTH + month).astype("datetime64[D]")


def month_of(day: np.ndarray) -> np.ndarray:
    """Month of a day, counted from FIRST_MONTH."""
    return (day.astype("datetime64[M]") - FIRST_MONTH).astype(int)


def draw_days(rng: np.random.Generator, thefts: Table, services: Table, homes: Table) -> Table:
    """Date thefts of homes with readings to the day, most of them within the readings. homes: service, is_hourly.

    They are caught later than others, since a client caught before the first reading is honest afterwards.
    """
    of, n = thefts["service"], len(thefts["service"])
    has_readings, is_hourly = np.zeros((2, len(services["client"])), bool)
    has_readings[homes["service"]], is_hourly[homes["service"]] = True, homes["is_hourly"]
    first = month_start(np.maximum(services["start"][of], FIRST_READ_MONTH))
    last = month_start(services["end"][of])
    is_dated = has_readings[of] & ((last - first).astype(int) > HONEST_DAYS + STOLEN_DAYS)
    begins = first + HONEST_DAYS + days_up_to(rng, (last - first).astype(int) - HONEST_DAYS - STOLEN_DAYS)
    onset = np.where(is_dated & (rng.random(n) < RECENT_SHARE), begins, thefts["onset_on"])
    earliest = np.maximum(first, onset) + STOLEN_DAYS
    while_read = earliest + days_up_to(rng, (last - earliest).astype(int))
    is_soon = rng.random(n) < CAUGHT_WHILE_READ_SHARE
    ends = np.where(is_soon, while_read, last + days_up_to(rng, np.full(n, 365)))
    ended = np.where(is_dated & thefts["caught"], ends, thefts["ended_on"])
    ends_later = ended > month_start(month_of(ended))  # a partial month counts as a month of theft
    daily, hourly = (names[rng.integers(len(names), size=n)] for names in (DAILY_PATTERNS, HOURLY_PATTERNS))
    return thefts | {
        "onset_on": onset,
        "ended_on": ended,
        "onset": month_of(onset),
        "ended": month_of(ended) + ends_later,
        "pattern": np.where(is_dated, np.where(is_hourly[of], hourly, daily), thefts["pattern"]),
    }


def days_up_to(rng: np.random.Generator, limit: np.ndarray) -> np.ndarray:
    """Random numbers of days below `limit`. [timedelta64[D]]"""
    return (rng.random(len(limit)) * np.maximum(limit, 0)).astype(int).astype("timedelta64[D]")


def is_stolen(thefts: Table) -> np.ndarray:
    """Whether a theft is active. [(theft, month)]"""
    return (thefts["onset"][:, None] <= MONTHS) & (thefts["ended"][:, None] > MONTHS)


def steal(rng: np.random.Generator, kwh: np.ndarray, thefts: Table) -> np.ndarray:
    """kWh registered by the meters. [(service, month)]"""
    registered, is_on = kwh.copy(), is_stolen(thefts)
    for name in MONTHLY_PATTERNS:
        rows = np.flatnonzero(thefts["pattern"] == name)
        used = kwh[thefts["service"][rows]]
        taken = apply_theft(used, thefts["onset"][rows], name, rng, STEPS_PER_DAY, INVOICED)
        registered[thefts["service"][rows]] = np.where(is_on[rows], taken, used)
    return registered


def lost_share(kwh: np.ndarray, registered: np.ndarray, thefts: Table, services: Table) -> np.ndarray:
    """Unregistered share of the kWh used during thefts in billed months. [0..1, NaN without consumption]"""
    of = thefts["service"]
    is_billed = (services["start"][of][:, None] <= MONTHS) & (services["end"][of][:, None] > MONTHS)
    stolen = stolen_share(thefts) * is_billed
    used, lost = (kwh[of] * stolen).sum(axis=1), ((kwh - registered)[of] * (stolen > 0)).sum(axis=1)
    # Below 0 where a stalled index catches up with months before the first invoice; above 1 where the stolen days of a
    # month are those of highest consumption.
    return np.clip(lost / np.where(used > 0, used, np.nan), 0, 1)


def stolen_share(thefts: Table) -> np.ndarray:
    """Share of the days of a month with an active theft. [0..1, (theft, month)]"""
    begin, end = month_start(MONTHS), month_start(MONTHS + 1)
    days = np.minimum(thefts["ended_on"][:, None], end) - np.maximum(thefts["onset_on"][:, None], begin)
    return np.maximum(days.astype(int), 0) / (end - begin).astype(int)


def draw_exchanges(
    rng: np.random.Generator, services: Table, thefts: Table, others: tuple[np.ndarray, np.ndarray] | None = None
) -> np.ndarray:
    """Number of exchanged meters so far: harmless, by thieves, after a catch, and `others`. [(service, month)]"""
    per_month = np.where(services["energy"] == ELEC, EXCHANGES_PER_MONTH[ELEC], EXCHANGES_PER_MONTH[GAZ])
    is_exchanged = rng.random((len(per_month), N_MONTHS)) < per_month[:, None]
    by_thief = thefts["pattern"] == "meter_change"
    after_catch = thefts["caught"] & (rng.random(len(by_thief)) < METER_TAKEN_SHARE)
    for is_meant, month in ((by_thief, thefts["onset"]), (after_catch, thefts["ended"])):
        is_meant = is_meant & (month >= 0) & (month < N_MONTHS)
        is_exchanged[thefts["service"][is_meant], month[is_meant]] = True
    if others:
        is_exchanged[others] = True
    return np.cumsum(is_exchanged, axis=1)


def turned_back(services: Table, thefts: Table) -> np.ndarray:
    """Whether a thief turns the index back. [bool, (service, month)]"""
    is_rolled = thefts["pattern"] == "rollback"
    grid = np.zeros((len(services["client"]), N_MONTHS), bool)
    grid[thefts["service"][is_rolled]] = is_stolen(thefts)[is_rolled]
    return grid
