"""A simulated utility in the shape of the public STEG set: clients, their invoices, and thefts with their truth.

In:  a number of clients and a seed (python -m fraud.simulate --clients 2000 --seed 1 --out data/sample.zip).
Out: tables clients and invoices (canonical columns) and thefts(client_id, pattern, onset_on, ended_on, share_lost_kwh,
     caught), or a zip of the three.

Everything follows from a grid of monthly consumption [service, month], where a service is one client's electricity or
gas: harmless changes act on what is used, thefts on what the meter registers of it, and billing.py makes the invoices.
Figures reached on simulated clients say that the machinery works, never how well it finds real thieves.
"""

import argparse
import os
import sys
import zipfile
from pathlib import Path

import numpy as np

from fraud.billing import (
    BEFORE_RECORDS,
    ELEC,
    FIRST_MONTH,
    GAZ,
    MONTHS,
    N_MONTHS,
    N_ROUTES,
    READ_EVERY,
    draw_calendar,
    make_invoices,
    month_number,
)
from fraud.records import Table
from fraud.theft import INVOICED, PATTERNS

PATTERN_NAMES = tuple(INVOICED)  # those that can show on invoices

# Figures said to be measured are aggregates over the public STEG training set, its dates put right (dates.py), rounded;
# those that act together (spans, consumption, changes, vacancies) were set by hand until the invoices came near the
# measured distributions. How thieves and harmless changes behave is not known from that set: such figures decide how
# hard the simulated thefts are to find.
BLOCK = 2000  # clients drawn at a time: bounds the memory
FRAUD_RATE = 0.056  # share of clients labelled, that is caught; measured
UNCAUGHT_RATE = 0.006  # thieves nobody found, labelled 0; unknown in reality
ALWAYS_SHARE = 0.1  # of thefts, that are older than the account; unknown in reality
# Measured: of clients last billed before 2013, 1 in 900 is labelled, of the others 1 in 15.
INSPECTIONS_BEGIN = month_number("2013-01")
JANUARY = month_number("2006-01")
METER_TAKEN_SHARE = 0.6  # measured: 56 % of labelled clients have had two meters or more
EXCHANGES_A_MONTH = {ELEC: 0.0014, GAZ: 0.0009}

# Measured: region, its district, share of clients, share of them with gas, share of them labelled.
REGIONS = np.array([
    (101, 60, 0.2492, 0.42, 0.036), (104, 69, 0.0951, 0.57, 0.054), (311, 63, 0.0913, 0.61, 0.081),
    (107, 69, 0.0735, 0.53, 0.065), (301, 62, 0.0708, 0.39, 0.033), (103, 69, 0.0660, 0.64, 0.104),
    (306, 63, 0.0445, 0.45, 0.052), (303, 62, 0.0437, 0.42, 0.052), (310, 62, 0.0358, 0.41, 0.051),
    (312, 63, 0.0323, 0.41, 0.052), (302, 62, 0.0321, 0.34, 0.063), (304, 62, 0.0281, 0.50, 0.067),
    (309, 62, 0.0268, 0.44, 0.039), (307, 62, 0.0251, 0.10, 0.062), (305, 62, 0.0200, 0.37, 0.056),
    (313, 63, 0.0156, 0.43, 0.069), (371, 62, 0.0154, 0.00, 0.075), (105, 69, 0.0123, 0.58, 0.060),
    (308, 63, 0.0064, 0.32, 0.069), (106, 69, 0.0053, 0.58, 0.082), (372, 63, 0.0049, 0.11, 0.104),
    (379, 63, 0.0042, 0.22, 0.063),
])  # fmt: skip
REGION, DISTRICT, SHARE, GAS_SHARE, CAUGHT_SHARE = REGIONS.T
SECOND_DISTRICT = (101, 63, 0.054)  # measured: the one large region that lies in two districts

# Measured: shares of categories, and of those labelled among them.
CATEGORIES = np.array([11, 12, 51])
CATEGORY_SHARES = np.array([0.9701, 0.0176, 0.0123])
CATEGORY_CAUGHT = np.array([0.055, 0.040, 0.159])
# The median and spread of the log of kWh a month, ELEC and GAZ, by category.
LOG_KWH = np.array([[4.75, 3.10], [4.75, 3.10], [7.45, 6.40]])
LOG_KWH_SPREAD = np.array([[0.62, 0.90], [1.25, 1.50], [0.75, 0.90]])
LARGE_USERS = (0.04, 1.0)  # share of services, more in the log: the measured upper tail is heavier than log-normal
LARGE = 2  # the row of category 51

OLD_SHARE = 0.45  # measured: first billed by February 2006; the others evenly later
CLOSED_SHARES = (0.11, 0.11, 0.10)  # accounts that end within a year, in the last two years, at some time; 2/3 do not
TARIFFS = ([11, 10, 15, 29, 9], [0.878, 0.092, 0.020, 0.006, 0.004])
GAS_TARIFF, LARGE_GAS_TARIFF, LARGE_GAS_SHARE = 40, 45, 0.46
TARIFF_CHANGE_SHARE = 0.09  # measured: one in eleven of tariff 10 (small users) moves to 11
LEVEL_BY_TARIFF = {10: -0.25, 15: -3.0}  # in the log

ENERGY_NAMES = np.array(["ELEC", "GAZ"])
ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # same seed, same bytes
UNIX = 3  # the system that a zip says it was made on


# ---- clients and services


def draw_clients(rng: np.random.Generator, n: int) -> Table:
    """n clients: where, of what kind, on which reading route, billed for which months [start, end)."""
    region_row = rng.choice(len(REGIONS), n, p=SHARE / SHARE.sum())
    start, end = draw_spans(rng, n)
    region, district, share = SECOND_DISTRICT
    is_elsewhere = (REGION[region_row] == region) & (rng.random(n) < share)
    return {
        "region_row": region_row,
        "category_row": rng.choice(len(CATEGORIES), n, p=CATEGORY_SHARES),
        "district": np.where(is_elsewhere, district, DISTRICT[region_row]),
        "route": rng.integers(N_ROUTES, size=n),
        "start": start,
        "end": end,
        "created_on": draw_creation(rng, start),
    }


def draw_spans(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """First month, and the month after the last, of n accounts."""
    is_old, later = rng.random(n) < OLD_SHARE, rng.integers(BEFORE_RECORDS, N_MONTHS - READ_EVERY, n)
    start = np.where(is_old, rng.integers(BEFORE_RECORDS, size=n), later)
    fate = rng.choice(4, n, p=[*CLOSED_SHARES, 1 - sum(CLOSED_SHARES)])
    # Accounts closed within a year stand also for the twentieth of measured clients whose first invoices predate 2005.
    start = np.where(fate == 0, rng.integers(90, size=n), start)
    some_day = start + np.ceil(rng.random(n) * (N_MONTHS - start)).astype(int)
    ends = [start + rng.integers(1, 13, n), N_MONTHS - rng.integers(4, 28, n), some_day, np.full(n, N_MONTHS)]
    return start, np.clip(np.choose(fate, ends), start + 1, N_MONTHS)


def draw_creation(rng: np.random.Generator, start: np.ndarray) -> np.ndarray:
    """Creation: up to 27 years before the first month for those older than the records, weeks for others.

    Measured, days from creation to the first invoice (10/50/90 %): 779/4161/8940 where that is in 2005, 37/107/257
    from 2011 on, never below zero.
    """
    n = len(start)
    days_before = np.where(start < BEFORE_RECORDS, rng.uniform(0, 10_000, n), rng.exponential(40, n)).astype(int)
    return (FIRST_MONTH + start).astype("datetime64[D]") - days_before


def draw_services(rng: np.random.Generator, clients: Table) -> Table:
    """Electricity and gas of the clients, sorted by client, then energy; gas begins together or later."""
    n = len(clients["start"])
    has_gas = rng.random(n) < 1.06 * GAS_SHARE[clients["region_row"]]  # some will begin too late to be billed
    is_gas_only = has_gas & (rng.random(n) < 0.011)
    client, energy = np.nonzero(np.stack([~is_gas_only, has_gas], axis=1))
    is_later = (energy == GAZ) & ~is_gas_only[client] & (rng.random(len(client)) < 0.4)
    start = clients["start"][client] + is_later * rng.exponential(36, len(client)).astype(int)
    copied = {name: clients[name][client] for name in ("region_row", "category_row", "route", "end")}
    services = {"client": client, "energy": energy, "start": start, **copied}
    services = {name: column[start < copied["end"]] for name, column in services.items()}
    return services | draw_contracts(rng, services)


def draw_contracts(rng: np.random.Generator, services: Table) -> Table:
    """Tariff, the month it becomes 11, meter coefficient, and `level`, the log of the usual kWh a month."""
    n, energy, kind = len(services["client"]), services["energy"], services["category_row"]
    is_large_gas = (kind == LARGE) & (rng.random(n) < LARGE_GAS_SHARE)
    gas_tariff = np.where(is_large_gas, LARGE_GAS_TARIFF, GAS_TARIFF)
    tariff = np.where(energy == ELEC, rng.choice(TARIFFS[0], n, p=TARIFFS[1]), gas_tariff)
    moves = (tariff == 10) & (rng.random(n) < TARIFF_CHANGE_SHARE)
    level = rng.normal(LOG_KWH[kind, energy], LOG_KWH_SPREAD[kind, energy])
    level += LARGE_USERS[1] * (rng.random(n) < LARGE_USERS[0])
    return {
        "tariff": tariff,
        "tariff_11_from": np.where(moves, rng.integers(24, N_MONTHS, n), N_MONTHS),
        "coefficient": np.where(rng.random(n) < 0.0005, rng.choice([2, 3, 10, 30, 40], n), 1),
        "level": level + sum(more * (tariff == code) for code, more in LEVEL_BY_TARIFF.items()),
    }


# ---- what is used: honest kWh [service, month], harmless changes included


def draw_consumption(rng: np.random.Generator, services: Table, n_clients: int) -> np.ndarray:
    """kWh used by each service in each month, billed or not."""
    of_client, n = services["client"], len(services["client"])
    log_kwh = services["level"][:, None] + draw_season(rng, services["energy"]) + draw_drift(rng, n)
    log_kwh += rng.normal(0, np.exp(rng.normal(-0.9, 0.5, (n, 1))), (n, N_MONTHS))
    log_kwh += (draw_new_tenants(rng, n_clients) + draw_efficiency(rng, n_clients))[of_client]
    present = draw_vacancies(rng, n_clients)[of_client]
    return np.exp(log_kwh) * present * ~draw_idle_gas(rng, services["energy"])


def draw_season(rng: np.random.Generator, energy: np.ndarray) -> np.ndarray:
    """Yearly swing of the log. Measured: electricity peaks in August, gas in January and three times as high."""
    n = len(energy)
    peak = np.where(energy == ELEC, 6.9, -0.1) + rng.normal(0, 0.7, n)
    swing = np.where(energy == ELEC, 0.17, 0.55) * rng.gamma(2.0, 0.5, n)
    return swing[:, None] * np.cos(2 * np.pi * (MONTHS - JANUARY - peak[:, None]) / 12)


def draw_drift(rng: np.random.Generator, n: int, keeps: float = 0.94, sd: float = 0.35) -> np.ndarray:
    """Slow ups and downs of the log: a first-order autoregression in its steady state from the first month on."""
    drift = rng.normal(0, sd, (n, N_MONTHS))
    drift[:, 1:] *= np.sqrt(1 - keeps**2)
    for month in MONTHS[1:]:
        drift[:, month] += keeps * drift[:, month - 1]
    return drift


def draw_new_tenants(rng: np.random.Generator, n: int, per_month: float = 0.0015, sd: float = 0.5) -> np.ndarray:
    """Another household moves in: a lasting step of the log, up or down. [client, month]"""
    return np.cumsum((rng.random((n, N_MONTHS)) < per_month) * rng.normal(0, sd, (n, N_MONTHS)), axis=1)


def draw_efficiency(rng: np.random.Generator, n: int, per_month: float = 0.001) -> np.ndarray:
    """Insulation, a new refrigerator, solar panels: a lasting fall to 0.6-0.9 of what was used. [client, month]"""
    return np.cumsum((rng.random((n, N_MONTHS)) < per_month) * np.log(rng.uniform(0.6, 0.9, (n, N_MONTHS))), axis=1)


def draw_vacancies(rng: np.random.Generator, n: int) -> np.ndarray:
    """Share of the usual consumption where a home stands empty, 1 elsewhere; some homes often do, most hardly ever."""
    per_month = np.clip(np.exp(rng.normal(-5.3, 1.8, (n, 1))), 0, 0.2)
    begins = rng.random((n, N_MONTHS)) < per_month
    left = np.maximum.accumulate(np.where(begins, MONTHS, -1), axis=1)
    back = MONTHS + rng.geometric(1 / 9, (n, N_MONTHS))
    standby = np.where(rng.random((n, N_MONTHS)) < 0.7, 0.0, rng.uniform(0, 0.3, (n, N_MONTHS)))
    rows = np.arange(n)[:, None]
    return np.where((left >= 0) & (back[rows, left] > MONTHS), standby[rows, left], 1.0)


def draw_idle_gas(rng: np.random.Generator, energy: np.ndarray) -> np.ndarray:
    """Gas connected but not used yet. Measured: a tenth of clients with gas use none at all. [service, month]"""
    n = len(energy)
    begins = np.where((energy == GAZ) & (rng.random(n) < 0.13), rng.integers(3 * N_MONTHS, size=n), 0)
    return begins[:, None] > MONTHS


# ---- what is stolen


def draw_thefts(rng: np.random.Generator, services: Table, n_caught: int) -> Table:
    """Thefts of electricity: service, pattern (its place in PATTERN_NAMES), onset, end [month, exclusive], caught."""
    electric = np.flatnonzero(services["energy"] == ELEC)
    start, end = services["start"][electric], services["end"][electric]
    is_caught = draw_caught(rng, services, electric, n_caught)
    is_thief = is_caught | ((rng.random(len(electric)) < UNCAUGHT_RATE) & (end - start > 12))
    ended = np.where(is_caught, draw_catch(rng, start, end), N_MONTHS)
    onset = draw_onset(rng, start, np.minimum(ended, end))
    pattern = rng.integers(len(PATTERN_NAMES), size=len(electric))
    thefts = {"service": electric, "pattern": pattern, "onset": onset, "ended": ended, "caught": is_caught}
    return {name: column[is_thief] for name, column in thefts.items()}


def draw_caught(rng: np.random.Generator, services: Table, rows: np.ndarray, n_caught: int) -> np.ndarray:
    """Who is caught: measured 0.9 % of those with under 8 invoices, 9 % from 58 on; regions and categories differ."""
    months, end = services["end"][rows] - services["start"][rows], services["end"][rows]
    weight = (1 - np.exp(-months / 90)) * ((months > 8) & (end > INSPECTIONS_BEGIN + 8))
    weight = weight * CAUGHT_SHARE[services["region_row"][rows]] * CATEGORY_CAUGHT[services["category_row"][rows]]
    # The smallest of exponential waiting times: a weighted draw without replacement (Efraimidis and Spirakis 2006).
    waiting = rng.exponential(size=len(rows)) / np.maximum(weight, 1e-300)
    is_caught = np.zeros(len(rows), bool)
    is_caught[np.argsort(waiting)[:n_caught]] = True
    return is_caught & (weight > 0)


def draw_catch(rng: np.random.Generator, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Month of the catch: at any time since inspections began, or within the year after the last invoice."""
    earliest = np.maximum(INSPECTIONS_BEGIN, start) + 8
    return earliest + (rng.random(len(start)) * np.maximum(end + 12 - earliest, 1)).astype(int)


def draw_onset(rng: np.random.Generator, start: np.ndarray, ended: np.ndarray) -> np.ndarray:
    """Month a theft begins: up to 8 months before it ends, or before the account, where no change ever shows."""
    earliest = start + READ_EVERY
    onset = earliest + (rng.random(len(start)) * np.maximum(ended - 8 - earliest, 0)).astype(int)
    return np.where((rng.random(len(start)) < ALWAYS_SHARE) | (ended - 8 < earliest), start - 12, onset)


def is_stolen(thefts: Table) -> np.ndarray:
    """Whether a theft is going on. [theft, month]"""
    return (thefts["onset"][:, None] <= MONTHS) & (thefts["ended"][:, None] > MONTHS)


def steal(rng: np.random.Generator, kwh: np.ndarray, thefts: Table) -> np.ndarray:
    """What the meters register of the kWh used. [service, month]"""
    registered, is_on = kwh.copy(), is_stolen(thefts)
    since = np.maximum(MONTHS - thefts["onset"][:, None], 0)
    for place, (name, ranges) in enumerate(INVOICED.items()):
        rows = np.flatnonzero(thefts["pattern"] == place)
        used = kwh[thefts["service"][rows]]
        taken = PATTERNS[name](used, since[rows], rng, 12 / 365.25, ranges)
        registered[thefts["service"][rows]] = np.where(is_on[rows], taken, used)
    return registered


def lost_share(kwh: np.ndarray, registered: np.ndarray, thefts: Table, services: Table) -> np.ndarray:
    """Share of the kWh used while stealing, in months that were billed, not registered. [0..1, NaN: none used]"""
    of = thefts["service"]
    is_billed = (services["start"][of][:, None] <= MONTHS) & (services["end"][of][:, None] > MONTHS)
    counts = is_stolen(thefts) & is_billed
    used = (kwh[of] * counts).sum(axis=1)
    share = 1 - (registered[of] * counts).sum(axis=1) / np.where(used > 0, used, np.nan)
    return np.maximum(share, 0)  # below 0 where a stalled index catches up with months before the first invoice


def draw_exchanges(rng: np.random.Generator, services: Table, thefts: Table) -> np.ndarray:
    """Meters exchanged so far: harmlessly, by thieves, and after a catch. [service, month]"""
    per_month = np.where(services["energy"] == ELEC, EXCHANGES_A_MONTH[ELEC], EXCHANGES_A_MONTH[GAZ])
    is_exchanged = rng.random((len(per_month), N_MONTHS)) < per_month[:, None]
    by_thief = thefts["pattern"] == PATTERN_NAMES.index("meter_change")
    after_catch = thefts["caught"] & (rng.random(len(by_thief)) < METER_TAKEN_SHARE)
    for is_meant, month in ((by_thief, thefts["onset"]), (after_catch, thefts["ended"])):
        is_meant = is_meant & (month >= 0) & (month < N_MONTHS)
        is_exchanged[thefts["service"][is_meant], month[is_meant]] = True
    return np.cumsum(is_exchanged, axis=1)


def turned_back(services: Table, thefts: Table) -> np.ndarray:
    """Where thieves turn the index back. [service, month]"""
    is_rolled = thefts["pattern"] == PATTERN_NAMES.index("rollback")
    grid = np.zeros((len(services["client"]), N_MONTHS), bool)
    grid[thefts["service"][is_rolled]] = is_stolen(thefts)[is_rolled]
    return grid


# ---- the utility


def simulate(n_clients: int, seed: int, fraud_rate: float = FRAUD_RATE) -> tuple[Table, Table, Table]:
    """Tables clients, invoices, thefts of a simulated utility; the same arguments give the same tables.

    A label says "caught"; thefts holds the uncaught too. ended_on is NaT while a theft goes on, onset_on may lie before
    the first invoice, share_lost_kwh is NaN where nothing was used. ValueError for no client, a negative seed, or a
    rate outside 0..0.5.
    """
    if n_clients < 1 or seed < 0 or not 0 <= fraud_rate <= 0.5:
        what = f"{n_clients} clients, seed {seed}, fraud rate {fraud_rate}"
        raise ValueError(f"Got {what}; need at least 1 client, a seed from 0 on, and a fraud rate in 0..0.5.")
    firsts = range(0, n_clients, BLOCK)
    calendar_seed, *block_seeds = np.random.SeedSequence(seed).spawn(1 + len(firsts))
    calendar = draw_calendar(np.random.default_rng(calendar_seed), len(REGIONS))
    blocks = [
        simulate_block(np.random.default_rng(own), first, min(BLOCK, n_clients - first), fraud_rate, calendar)
        for own, first in zip(block_seeds, firsts, strict=True)
    ]
    clients, invoices, thefts = (stack(tables) for tables in zip(*blocks, strict=True))
    return clients, invoices, thefts


def simulate_block(
    rng: np.random.Generator, first: int, n: int, fraud_rate: float, calendar: np.ndarray
) -> tuple[Table, Table, Table]:
    """The clients first .. first + n - 1, their invoices and thefts."""
    clients = draw_clients(rng, n)
    services = draw_services(rng, clients)
    kwh = draw_consumption(rng, services, n)
    thefts = draw_thefts(rng, services, round(fraud_rate * n))
    registered = steal(rng, kwh, thefts)
    exchanges, is_turned_back = draw_exchanges(rng, services, thefts), turned_back(services, thefts)
    invoices = make_invoices(rng, clients, services, registered, exchanges, is_turned_back, calendar)
    invoices["client"] = invoices["client"] + first
    lost = lost_share(kwh, registered, thefts, services)
    return client_table(clients, services, thefts, first), invoices, theft_table(services, thefts, lost, first)


def client_table(clients: Table, services: Table, thefts: Table, first: int) -> Table:
    """Clients in their canonical columns."""
    n = len(clients["start"])
    label = np.zeros(n)
    label[services["client"][thefts["service"][thefts["caught"]]]] = 1.0
    return {
        "client_id": client_ids(first + np.arange(n)),
        "category": CATEGORIES[clients["category_row"]].astype(float),
        "region": REGION[clients["region_row"]],
        "district": clients["district"],
        "created_on": clients["created_on"],
        "label": label,
    }


def theft_table(services: Table, thefts: Table, lost: np.ndarray, first: int) -> Table:
    """Thefts with their truth; onset and end are first days of months."""
    ended_on = (FIRST_MONTH + thefts["ended"]).astype("datetime64[D]")
    return {
        "client_id": client_ids(first + services["client"][thefts["service"]]),
        "pattern": np.array(PATTERN_NAMES, object)[thefts["pattern"]],
        "onset_on": (FIRST_MONTH + thefts["onset"]).astype("datetime64[D]"),
        "ended_on": np.where(thefts["caught"], ended_on, np.datetime64("NaT")),
        "share_lost_kwh": np.round(lost, 4),
        "caught": thefts["caught"].astype(float),
    }


def client_ids(numbers: np.ndarray) -> np.ndarray:
    """Ids such as s-00017."""
    return np.array([f"s-{number:05d}" for number in numbers], object)


def stack(tables: tuple[Table, ...]) -> Table:
    """Tables with the same columns, one below the other."""
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


# ---- the file


def write_zip(path: Path, clients: Table, invoices: Table, thefts: Table) -> None:
    """clients.csv, invoices.csv and thefts.csv in one zip, the same bytes for the same tables. OSError."""
    named = {"client_id": clients["client_id"][invoices["client"]], **invoices}
    named["energy"] = ENERGY_NAMES[invoices["energy"]]
    del named["client"]
    beside = path.with_name(path.name + ".part")
    try:
        with zipfile.ZipFile(beside, "w") as archive:
            for name, table in (("clients", clients), ("invoices", named), ("thefts", thefts)):
                archive.writestr(member(f"{name}.csv"), csv_bytes(table))
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def member(name: str) -> zipfile.ZipInfo:
    """A place in the zip that says nothing of when and where it was made."""
    info = zipfile.ZipInfo(name, ZIP_TIME)
    info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, UNIX, 0o644 << 16
    return info


def csv_bytes(table: Table) -> bytes:
    """CSV with ISO dates, whole numbers without a point, nothing for what is missing."""
    import pyarrow
    from pyarrow import csv

    columns = {name: pyarrow.array(values, from_pandas=True) for name, values in table.items()}
    columns = {name: column.cast("int64") if is_whole(table[name]) else column for name, column in columns.items()}
    sink = pyarrow.BufferOutputStream()
    csv.write_csv(pyarrow.table(columns), sink, csv.WriteOptions(quoting_style="none"))
    return sink.getvalue().to_pybytes()


def is_whole(values: np.ndarray) -> bool:
    """Whether these are floats that are all whole numbers or missing."""
    return values.dtype == float and not np.mod(values[~np.isnan(values)], 1).any()


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m fraud.simulate", description="Write a simulated utility to a zip.")
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fraud-rate", type=float, default=FRAUD_RATE, help="share of clients caught and labelled")
    parser.add_argument("--out", type=Path, default=Path("data/sample.zip"))
    asked = parser.parse_args(arguments)
    try:
        clients, invoices, thefts = simulate(asked.clients, asked.seed, asked.fraud_rate)
        write_zip(asked.out, clients, invoices, thefts)
    except ModuleNotFoundError as error:
        print(f"Nothing written: {error}; `make install` gives what is needed to write files.", file=sys.stderr)
        return 2
    except (ValueError, OSError) as error:
        print(f"Nothing written: {error}", file=sys.stderr)
        return 2
    n_invoices, n_thefts = len(invoices["client"]), len(thefts["caught"])
    print(f"{asked.out}: {asked.clients:,} clients, {n_invoices:,} invoices, {n_thefts:,} thefts.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
