"""Clients of a simulated utility, their services, and their honest monthly consumption.

In:  a random generator, a number of clients.
Out: clients, their services (one client's electricity or gas), kWh used [service, month] without any theft.

Figures marked "measured" are rounded aggregates over the public STEG training set with corrected dates
(data/date_swaps.py). Figures with a joint effect (spans, consumption, changes, vacancies) were set by hand until the
invoices came near the measured distributions.
"""

import numpy as np

from fairmeter.core.types import Table
from fairmeter.simulation.billing import (
    BEFORE_RECORDS,
    ELEC,
    FIRST_MONTH,
    FIRST_READ_MONTH,
    GAZ,
    MONTHS,
    N_MONTHS,
    N_ROUTES,
    READ_EVERY,
    month_number,
)

JANUARY = month_number("2006-01")

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
# Median and standard deviation of the log of kWh per month, ELEC and GAZ, by category.
LOG_KWH = np.array([[4.75, 3.10], [4.75, 3.10], [7.45, 6.40]])
LOG_KWH_SPREAD = np.array([[0.62, 0.90], [1.25, 1.50], [0.75, 0.90]])
LARGE_USERS = (0.04, 1.0)  # share of services, increase of the log: the measured upper tail is heavier than log-normal
LARGE = 2  # row of category 51

OLD_SHARE = 0.45  # measured: first billed by February 2006; the others later, uniformly
CLOSED_SHARES = (0.11, 0.11, 0.10)  # accounts that end within a year, in the last two years, at some time; 2/3 do not
TARIFFS = ([11, 10, 15, 29, 9], [0.878, 0.092, 0.020, 0.006, 0.004])
GAS_TARIFF, LARGE_GAS_TARIFF, LARGE_GAS_SHARE = 40, 45, 0.46
TARIFF_CHANGE_SHARE = 0.09  # measured: one in eleven of tariff 10 (small users) moves to 11
LEVEL_BY_TARIFF = {10: -0.25, 15: -3.0}  # in the log


# ---- clients and services


def draw_clients(rng: np.random.Generator, n: int) -> Table:
    """n clients: region, category, reading route, and the months of the account [start, end)."""
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
    # Accounts closed within a year also represent the 5 % of measured clients whose first invoices predate 2005.
    start = np.where(fate == 0, rng.integers(90, size=n), start)
    some_day = start + np.ceil(rng.random(n) * (N_MONTHS - start)).astype(int)
    ends = [start + rng.integers(1, 13, n), N_MONTHS - rng.integers(4, 28, n), some_day, np.full(n, N_MONTHS)]
    return start, np.clip(np.choose(fate, ends), start + 1, N_MONTHS)


def draw_creation(rng: np.random.Generator, start: np.ndarray) -> np.ndarray:
    """Creation date: up to 27 years before the first month of accounts older than the records, weeks for others.

    Measured, days from creation to the first invoice (10/50/90 %): 779/4161/8940 where that is in 2005, 37/107/257
    from 2011 on, never negative.
    """
    n = len(start)
    days_before = np.where(start < BEFORE_RECORDS, rng.uniform(0, 10_000, n), rng.exponential(40, n)).astype(int)
    return (FIRST_MONTH + start).astype("datetime64[D]") - days_before


def draw_services(rng: np.random.Generator, clients: Table) -> Table:
    """Electricity and gas of the clients, by client, then energy; gas begins at the same time or later."""
    n = len(clients["start"])
    has_gas = rng.random(n) < 1.06 * GAS_SHARE[clients["region_row"]]  # some begin too late to be billed
    is_gas_only = has_gas & (rng.random(n) < 0.011)
    client, energy = np.nonzero(np.stack([~is_gas_only, has_gas], axis=1))
    is_later = (energy == GAZ) & ~is_gas_only[client] & (rng.random(len(client)) < 0.4)
    start = clients["start"][client] + is_later * rng.exponential(36, len(client)).astype(int)
    copied = {name: clients[name][client] for name in ("region_row", "category_row", "route", "end")}
    services = {"client": client, "energy": energy, "start": start, **copied}
    services = {name: column[start < copied["end"]] for name, column in services.items()}
    return services | draw_contracts(rng, services)


def draw_contracts(rng: np.random.Generator, services: Table) -> Table:
    """Tariff, month of its change to 11, meter coefficient, and `level`, the log of the usual kWh per month."""
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


# ---- honest consumption [service, month], with harmless changes


def draw_consumption(rng: np.random.Generator, services: Table, n_clients: int) -> tuple[np.ndarray, np.ndarray]:
    """kWh of each service and month, billed or not; and the log of its usual kWh. [(service, month)]

    The usual kWh leave out season, noise, and changes in the months with readings, whose days load_profiles.py makes.
    """
    of_client, n = services["client"], len(services["client"])
    season = draw_season(rng, services["energy"])
    usual = services["level"][:, None] + draw_drift(rng, n)
    noise = rng.normal(0, np.exp(rng.normal(-0.9, 0.5, (n, 1))), (n, N_MONTHS))
    changes = (draw_new_tenants(rng, n_clients) + draw_efficiency(rng, n_clients))[of_client]
    present = draw_vacancies(rng, n_clients)[of_client]
    kwh = np.exp(usual + season + noise + changes) * present * ~draw_idle_gas(rng, services["energy"])
    return kwh, usual + changes[:, np.minimum(MONTHS, FIRST_READ_MONTH)]


def draw_season(rng: np.random.Generator, energy: np.ndarray) -> np.ndarray:
    """Seasonal variation of the log. Measured: electricity peaks in August; gas in January, three times as high."""
    n = len(energy)
    peak = np.where(energy == ELEC, 6.9, -0.1) + rng.normal(0, 0.7, n)
    swing = np.where(energy == ELEC, 0.17, 0.55) * rng.gamma(2.0, 0.5, n)
    return swing[:, None] * np.cos(2 * np.pi * (MONTHS - JANUARY - peak[:, None]) / 12)


def draw_drift(rng: np.random.Generator, n: int, correlation: float = 0.94, sd: float = 0.35) -> np.ndarray:
    """Slow variation of the log: a stationary first-order autoregression."""
    drift = rng.normal(0, sd, (n, N_MONTHS))
    drift[:, 1:] *= np.sqrt(1 - correlation**2)
    for month in MONTHS[1:]:
        drift[:, month] += correlation * drift[:, month - 1]
    return drift


def draw_new_tenants(rng: np.random.Generator, n: int, per_month: float = 0.0015, sd: float = 0.5) -> np.ndarray:
    """Lasting steps of the log, up or down, when another household moves in. [(client, month)]"""
    return np.cumsum((rng.random((n, N_MONTHS)) < per_month) * rng.normal(0, sd, (n, N_MONTHS)), axis=1)


def draw_efficiency(rng: np.random.Generator, n: int, per_month: float = 0.001) -> np.ndarray:
    """Lasting falls to 0.6-0.9 of the consumption by insulation, refrigerators, solar panels. [(client, month)]"""
    return np.cumsum((rng.random((n, N_MONTHS)) < per_month) * np.log(rng.uniform(0.6, 0.9, (n, N_MONTHS))), axis=1)


def draw_vacancies(rng: np.random.Generator, n: int) -> np.ndarray:
    """Share of the usual consumption: 1, less while a home is vacant; some homes often are, most rarely."""
    per_month = np.clip(np.exp(rng.normal(-5.3, 1.8, (n, 1))), 0, 0.2)
    begins = rng.random((n, N_MONTHS)) < per_month
    left = np.maximum.accumulate(np.where(begins, MONTHS, -1), axis=1)
    back = MONTHS + rng.geometric(1 / 9, (n, N_MONTHS))
    standby = np.where(rng.random((n, N_MONTHS)) < 0.7, 0.0, rng.uniform(0, 0.3, (n, N_MONTHS)))
    rows = np.arange(n)[:, None]
    return np.where((left >= 0) & (back[rows, left] > MONTHS), standby[rows, left], 1.0)


def draw_idle_gas(rng: np.random.Generator, energy: np.ndarray) -> np.ndarray:
    """Whether gas is connected but not used yet. Measured: 10 % of clients with gas use none. [(service, month)]"""
    n = len(energy)
    begins = np.where((energy == GAZ) & (rng.random(n) < 0.13), rng.integers(3 * N_MONTHS, size=n), 0)
    return begins[:, None] > MONTHS
