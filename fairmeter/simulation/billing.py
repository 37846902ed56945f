"""Invoices from monthly consumption: reading rounds, meters, index, tiers, codes, dates.

In:  clients and services (clients.py), registered kWh [service, month], meters exchanged so far [service, month].
Out: the invoices table in its canonical columns, sorted by service, then by reading.

The index is continuous between invoices of a meter. Billed units are the index difference, except for estimates (billed
later) and corrections. Figures marked "measured" are aggregates over the public STEG training set.
"""

import numpy as np

from fairmeter.core.types import Table

FIRST_MONTH = np.datetime64("2005-06", "M")
N_MONTHS = 171  # 2005-06 .. 2019-08, invoiced the month after: 99.5 % of measured invoices are dated 2005-07 to 2019-09
MONTHS = np.arange(N_MONTHS)
ELEC, GAZ = 0, 1
BEFORE_RECORDS = 5  # accounts that begin in these months are older; measured: 40 % are first billed 2005-07 to 2006-02


def month_number(month: str) -> int:
    """Number of a month such as 2014-01 among MONTHS."""
    return int((np.datetime64(month, "M") - FIRST_MONTH).astype(int))


FIRST_READ_MONTH = month_number("2018-03")  # smart meters have readings of the last 18 months
READ_EVERY = 4  # months between readings
N_ROUTES = 36  # reading routes of a region: measured 26 invoice days a region and round, 44 in the average client's
SKIPPED_SHARE, EXTRA_SHARE = 0.085, 0.03  # rounds left out (8 months on one invoice), readings between rounds (2 and 2)
# In working days, as measured: each route has one of the first 12 days, delayed by up to 7. Measured, days from one
# invoice of a meter to the next (10/50/90 %): 115/121/129 where it covers 4 months, 237/245/253 where 8.
ROUTE_DAYS, DELAYS = 12, 8
LOST_SHARE = 0.075  # measured: 7 % of invoices start above the end of the previous one
ESTIMATED_SHARE = 0.04
CORRECTED_SHARE = 0.003  # measured: 0.4 % of invoices bill another amount than the index difference
TURNED_TOO_FAR_SHARE = 0.2  # of the invoices of clients that turn the index back

# Fitted to the measured shares of codes; codes in less than 0.2 % of invoices are left out.
METER_CODES = {
    ELEC: ([203, 207, 413, 202, 420, 410, 433, 442], [0.50, 0.15, 0.12, 0.13, 0.035, 0.035, 0.02, 0.01]),
    GAZ: ([5, 10, 25, 40], [0.968, 0.020, 0.010, 0.002]),
}
NEW_METER_CODES = {ELEC: ([203, 207, 413, 420], [0.35, 0.40, 0.20, 0.05]), GAZ: METER_CODES[GAZ]}
LOG_METER_ID = (13.1, 1.3)  # measured: median 494,381, nine in ten between 12,000 and 8 million
NO_METER_ID_SHARE = 0.01  # measured: 1 % of invoices have the number 0
STATUSES = ([0, 1, 5, 4], [0.981, 0.013, 0.005, 0.001])
REMARKS = ([6, 9, 8], [0.46, 0.38, 0.16])
REMARK_RENEWED = 0.35  # measured: 0.77 of invoices have the remark 6 or 9 of the previous one
USUAL_REMARK, ESTIMATED_REMARK, USED_REMARK = 6, 8, 9

# Measured limits [kWh per month] of levels 1-3; the rest is level 4. Tiers changed in January 2014.
TIERS_CHANGED = month_number("2014-01")
UNLIMITED = np.inf
TIERS = {10: (50, UNLIMITED, UNLIMITED), 11: (300, UNLIMITED, UNLIMITED)}
TIERS_SINCE_2014 = {10: (200, 100, 200), 11: (200, 100, 200)}


def make_invoices(
    rng: np.random.Generator,
    clients: Table,
    services: Table,
    kwh: np.ndarray,
    meters: np.ndarray,
    is_turned_back: np.ndarray,
    calendar: np.ndarray,
) -> Table:
    """Invoices of all services; some are lost, as in measured data, but never the first of a service.

    kwh, meters (exchanges so far) and is_turned_back (tampering with the index) are grids [service, month].
    """
    periods = draw_periods(rng, clients, services, meters)
    service = periods["service"]
    billed = draw_bills(rng, periods, services, kwh, is_turned_back)
    invoices = {
        "client": services["client"][service],
        "invoice_on": calendar[services["region_row"][service], services["route"][service], periods["end"] - 1],
        "energy": services["energy"][service].astype(np.int8),
        "tariff": tariffs(periods, services),
        **draw_codes(rng, periods, services, billed),
        "coefficient": services["coefficient"][service].astype(float),
        **level_columns(periods, services, billed["units"]),
        "old_index": billed["old_index"],
        "new_index": billed["new_index"],
        "months": (periods["end"] - periods["begin"]).astype(float),
    }
    is_present = periods["is_first"] | (rng.random(len(service)) >= LOST_SHARE)
    return {name: column[is_present] for name, column in invoices.items()}


def is_change(column: np.ndarray) -> np.ndarray:
    """Whether a row differs from the previous one; true for the first."""
    return np.concatenate([[True], column[1:] != column[:-1]])


# ---- reading rounds


def draw_readings(rng: np.random.Generator, clients: Table) -> np.ndarray:
    """Whether a meter is read at the end of a month: at least once, and when the account closes. [client, month]"""
    start, end = clients["start"][:, None], clients["end"][:, None]
    turn = (MONTHS - clients["route"][:, None]) % READ_EVERY
    draw = rng.random(turn.shape)
    is_read = ((turn == 0) & (draw >= SKIPPED_SHARE)) | ((turn == READ_EVERY // 2) & (draw < EXTRA_SHARE))
    is_read &= (start <= MONTHS) & (end > MONTHS)
    return is_read | ((end - 1 == MONTHS) & ((end < N_MONTHS) | ~is_read.any(axis=1, keepdims=True)))


def draw_periods(rng: np.random.Generator, clients: Table, services: Table, meters: np.ndarray) -> Table:
    """One row per service and reading: the covered months [begin, end), and the number of earlier meters."""
    is_read = draw_readings(rng, clients)[services["client"]] & (services["start"][:, None] <= MONTHS)
    service, last = np.nonzero(is_read)
    is_first = is_change(service)
    begin = np.where(is_first, services["start"][service], np.roll(last, 1) + 1)
    n_before = meters[service, begin]
    is_new_meter = is_first | is_change(n_before)
    return {
        "service": service,
        "begin": begin,
        "end": last + 1,
        "is_first": is_first,
        "is_new_meter": is_new_meter,
        "meter": np.cumsum(is_new_meter) - 1,
        "n_before": n_before,
    }


def draw_calendar(rng: np.random.Generator, n_regions: int) -> np.ndarray:
    """Invoice date of each route in the month after the reading. [(region, route, month read)]"""
    day = rng.integers(ROUTE_DAYS, size=(n_regions, N_ROUTES, 1))
    delay = rng.integers(DELAYS, size=(n_regions, N_ROUTES, N_MONTHS))
    return np.busday_offset((FIRST_MONTH + MONTHS + 1).astype("datetime64[D]"), day + delay, roll="forward")


# ---- units and index


def draw_bills(
    rng: np.random.Generator, periods: Table, services: Table, kwh: np.ndarray, is_turned_back: np.ndarray
) -> Table:
    """Per reading: billed units (kWh / coefficient), old and new index, whether it was estimated."""
    service = periods["service"]
    total = np.pad(np.cumsum(kwh, axis=1), ((0, 0), (1, 0)))
    used = (total[service, periods["end"]] - total[service, periods["begin"]]) / services["coefficient"][service]
    units, is_estimated = draw_estimates(rng, np.rint(used), periods["is_new_meter"])
    chance = np.where(is_turned_back[service, periods["end"] - 1], TURNED_TOO_FAR_SHARE, CORRECTED_SHARE)
    set_back = np.where(rng.random(len(units)) < chance, np.rint(units * rng.uniform(0.2, 1.4, len(units))), 0.0)
    first_index = draw_first_index(rng, periods, services)
    old, new = turn_index(units - set_back, periods["is_new_meter"], first_index)
    return {"units": units, "is_estimated": is_estimated, "old_index": old, "new_index": new}


def draw_estimates(
    rng: np.random.Generator, used: np.ndarray, is_new_meter: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Billed units and whether they are estimated: an estimate is too low, and the next reading bills the rest."""
    # The last reading of a meter is never estimated: no later reading could bill the rest.
    is_estimated = ~np.roll(is_new_meter, -1) & (rng.random(len(used)) < ESTIMATED_SHARE)
    left_out = np.where(is_estimated, np.rint(used * rng.uniform(0.1, 0.8, len(used))), 0.0)
    return used - left_out + np.roll(left_out, 1), is_estimated


def draw_first_index(rng: np.random.Generator, periods: Table, services: Table) -> np.ndarray:
    """First index of each meter: zero if new, up to 20 years of consumption if older than the records."""
    rows = np.flatnonzero(periods["is_new_meter"])
    service = periods["service"][rows]
    is_old = (periods["n_before"][rows] == 0) & (services["start"][service] < BEFORE_RECORDS)
    is_second_hand = rng.random(len(rows)) < 0.2
    used = np.exp(np.clip(services["level"][service], 1, 8)) * rng.uniform(0, 240, len(rows))
    return np.where(is_old | is_second_hand, np.rint(used), 0.0)


def turn_index(steps: np.ndarray, is_new_meter: np.ndarray, first_index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Old and new index of consecutive readings; a meter starts higher where its index would become negative."""
    meter, total = np.cumsum(is_new_meter) - 1, np.cumsum(steps)
    new = total - (total - steps)[is_new_meter][meter]
    lowest = np.minimum.reduceat(new, np.flatnonzero(is_new_meter))
    new = new + np.maximum(first_index, -lowest)[meter]
    return new - steps, new


# ---- tariffs and codes


def tariffs(periods: Table, services: Table) -> np.ndarray:
    """Tariff of each reading."""
    is_moved = periods["end"] > services["tariff_11_from"][periods["service"]]
    return np.where(is_moved, 11, services["tariff"][periods["service"]]).astype(float)


def level_columns(periods: Table, services: Table, units: np.ndarray) -> Table:
    """Columns of the billed kWh in the four levels."""
    kwh, months = units * services["coefficient"][periods["service"]], periods["end"] - periods["begin"]
    split = levels(kwh, months, tariffs(periods, services), periods["end"] >= TIERS_CHANGED)
    return {f"consumption_level_{number}": level for number, level in enumerate(split, start=1)}


def levels(kwh: np.ndarray, months: np.ndarray, tariff: np.ndarray, is_new_law: np.ndarray) -> np.ndarray:
    """kWh by billing level, from the monthly limits of the tariff; without limits all in level 1. [(4, row)]"""
    limits = np.full((3, len(kwh)), UNLIMITED)
    for is_new, tiers_by_tariff in ((False, TIERS), (True, TIERS_SINCE_2014)):
        for code, tiers in tiers_by_tariff.items():
            limits[:, (tariff == code) & (is_new_law == is_new)] = np.reshape(tiers, (3, 1))
    up_to = np.minimum(np.cumsum(limits * months, axis=0), kwh)
    return np.diff(np.vstack([np.zeros_like(kwh), up_to, kwh]), axis=0)


def draw_codes(rng: np.random.Generator, periods: Table, services: Table, billed: Table) -> Table:
    """Meter number and code (one per meter), status and remark."""
    number, code = draw_meters(rng, periods, services)
    return {
        "meter_id": number[periods["meter"]],
        "meter_status": rng.choice(STATUSES[0], len(periods["service"]), p=STATUSES[1]).astype(float),
        "meter_code": code[periods["meter"]],
        "remark": draw_remarks(rng, periods, billed),
    }


def draw_meters(rng: np.random.Generator, periods: Table, services: Table) -> tuple[np.ndarray, np.ndarray]:
    """Number (NaN where missing) and code of each meter."""
    rows = np.flatnonzero(periods["is_new_meter"])
    number = np.rint(np.exp(np.clip(rng.normal(*LOG_METER_ID, len(rows)), 5, 16.1)))
    number[rng.random(len(rows)) < NO_METER_ID_SHARE] = np.nan
    energy, is_later = services["energy"][periods["service"][rows]], periods["n_before"][rows] > 0
    code = np.zeros(len(rows))
    for of_energy in (ELEC, GAZ):
        for later, (codes, shares) in ((False, METER_CODES[of_energy]), (True, NEW_METER_CODES[of_energy])):
            is_drawn = (energy == of_energy) & (is_later == later)
            code[is_drawn] = rng.choice(codes, is_drawn.sum(), p=shares)
    return number, code


def draw_remarks(rng: np.random.Generator, periods: Table, billed: Table) -> np.ndarray:
    """Remark of the meter reader, often the previous one. Measured: almost no invoice with remark 9 bills zero."""
    n = len(billed["units"])
    is_renewed = periods["is_first"] | (rng.random(n) < REMARK_RENEWED)
    latest = np.maximum.accumulate(np.where(is_renewed, np.arange(n), 0))
    remark = rng.choice(REMARKS[0], n, p=REMARKS[1])[latest]
    remark = np.where((remark == USED_REMARK) & (billed["units"] == 0), USUAL_REMARK, remark)
    return np.where(billed["is_estimated"], ESTIMATED_REMARK, remark).astype(float)
