"""Readings that cannot be: error codes as energy, dates far from all others, what a register showed.

In:  client, minute since 1970 and kWh of readings by client, then time.
Out: masks of the rows at fault. Each rule looks at one client at a time, first by figures that cost little.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from fairmeter.core.segments import Segments
from fairmeter.data.reading_rules.intervals import DAY, interval_minutes, long_steps

FUSE_KW = 43.5  # three phases of 63 A at 230 V, the largest connection of a home
MAX_MULTIPLE, MAX_CODE_MULTIPLE = 50.0, 10.0  # of the client's median: beyond it, and the fuse, is an error
SCREEN, ERROR_SCREEN = 2.0, 5.0  # times the client's mean: only such readings are looked at
RARE = 0.02  # share of a client's readings: what is more frequent and varies is its use
CODES = (
    65_535.0,
    16_777_215.0,
    2_147_483_647.0,
    4_294_967_295.0,
    1_862_270_865.0,
)  # all bits of 16, 24 and 32; a modem
SCALES = 10.0 ** np.arange(-5, 2)
CODE_TOLERANCE = 1e-7
MAX_CODE_MULTIPLES = 9  # several errors in one reading
ODD_GAP = 400 * DAY  # of a date to all others
MAX_ODD_DAYS, MIN_DAYS = 2, 20  # of dates far from the others, and of these
MIN_READINGS = 14  # of a register: fewer could rise by chance
MAX_FALLS, MIN_RISES = 0.02, 0.5  # shares of the steps
MIN_LEVEL = 20.0  # of a register over its steps: consumption that grows is not as far above its growth
SAMPLED = 7  # of so many steps one is looked at first: consumption falls at half of them, a register at none
MIN_A_DAY, MIN_RISE_DAYS = 4, 0.9  # readings of a counter that starts anew each day; share of its days that never fall


class LargeReadings(NamedTuple):
    """Rows above SCREEN times their client's mean of what is above 0, and how many times."""

    rows: np.ndarray
    times: np.ndarray


def large_readings(client: np.ndarray, kwh: np.ndarray) -> LargeReadings:
    """The few rows that rules on single readings look at. [rows by client]"""
    counts = np.bincount(client)
    with np.errstate(invalid="ignore"):
        others = np.flatnonzero(~(kwh > 0))  # few
        if len(others):
            used, n = kwh.copy(), counts - np.bincount(client[others], minlength=len(counts))
            used[others] = 0.0
        else:
            used, n = kwh, counts
        mean = Segments(counts).total(used) / np.maximum(n, 1.0)
        rows = np.flatnonzero(kwh > np.repeat(SCREEN * mean, counts))
    return LargeReadings(rows, kwh[rows] / mean[client[rows]])


def error_codes(
    client: np.ndarray, minute: np.ndarray, kwh: np.ndarray, stated: np.ndarray | None, large: LargeReadings
) -> np.ndarray:
    """Mark readings beyond the fuse and far beyond the client's own. [bool; stated: lengths in minutes, NaN unknown]"""
    is_error = np.zeros(len(kwh), bool)
    # FUSE_KW / 4: of a quarter of an hour.
    rows = large.rows[(large.times > ERROR_SCREEN) & (kwh[large.rows] > FUSE_KW / 4)]
    if not len(rows):
        return is_error
    by_client = Segments(np.bincount(client))
    for owner in np.unique(client[rows]).tolist():
        rows = slice(int(by_client.starts[owner]), int(by_client.ends[owner]))
        lengths = interval_minutes(client[rows], minute[rows], None if stated is None else stated[rows])
        is_error[rows] = _errors_of_client(lengths, kwh[rows])
    return is_error


def _errors_of_client(length: np.ndarray, kwh: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        usual = np.median(kwh[kwh > 0])
        is_beyond = kwh > FUSE_KW * length / 60.0
        is_far = is_beyond & (kwh > MAX_MULTIPLE * usual)
        is_code = is_beyond & (kwh > MAX_CODE_MULTIPLE * usual) & _is_code(kwh)
    if np.count_nonzero(is_far) > max(RARE * len(kwh), 1.0):
        _, which, n = np.unique(kwh, return_inverse=True, return_counts=True)
        is_far &= (n > 1)[which]  # an error repeats its value; use does not
    return is_far | is_code


def _is_code(kwh: np.ndarray) -> np.ndarray:
    """Mark a code of CODES, as it is or with its decimal point elsewhere, or a small multiple of it."""
    codes = np.outer(CODES, SCALES).ravel()
    times = kwh[:, None] / codes
    nearest = np.rint(times)
    with np.errstate(invalid="ignore"):
        fits = (nearest >= 1) & (nearest <= MAX_CODE_MULTIPLES) & (np.abs(times - nearest) <= CODE_TOLERANCE * nearest)
    return fits.any(axis=1)


def odd_dates(client: np.ndarray, minute: np.ndarray) -> np.ndarray:
    """Mark the readings of at most two days that lie far from all others of their client, of which there are many."""
    is_odd = np.zeros(len(minute), bool)
    far = long_steps(minute, ODD_GAP)
    if not len(far):
        return is_odd
    far = far[client[far] == client[far + 1]]
    for owner in np.unique(client[far]).tolist():
        start, end = np.searchsorted(client, [owner, owner + 1])
        own = minute[start:end]
        edges = [0, *(1 + np.flatnonzero(np.diff(own) > ODD_GAP)).tolist(), len(own)]
        parts = [slice(*pair) for pair in pairwise(edges)]
        n_days = [len(np.unique(own[part] // DAY)) for part in parts]
        if max(n_days) >= MIN_DAYS:
            for part, n in zip(parts, n_days, strict=True):
                is_odd[start + part.start : start + part.stop] = n <= MAX_ODD_DAYS
    return is_odd


def register_clients(client: np.ndarray, minute: np.ndarray, kwh: np.ndarray) -> np.ndarray:
    """Clients whose readings are what the meter showed, in all or since midnight. [int64, ascending]"""
    if len(kwh) < MIN_READINGS:
        return client[:0]
    owner, is_own = client[1::SAMPLED], client[1::SAMPLED] == client[:-1:SAMPLED]
    with np.errstate(invalid="ignore"):
        falls = (kwh[1::SAMPLED] < kwh[:-1:SAMPLED]) & is_own
    n_steps = np.bincount(owner[is_own])
    n_falls = np.bincount(owner[falls], minlength=len(n_steps))
    # A counter that starts anew each day falls once a day.
    is_candidate = (n_steps > 0) & (n_falls <= n_steps / (MIN_A_DAY - 1))
    found = []
    for owner in np.flatnonzero(is_candidate).tolist():
        rows = slice(*np.searchsorted(client, [owner, owner + 1]).tolist())
        if _is_register(kwh[rows]) or _is_daily_counter(minute[rows], kwh[rows]):
            found.append(owner)
    return np.array(found, np.int64)


def _is_register(kwh: np.ndarray) -> bool:
    known = kwh[~np.isnan(kwh)]
    step = np.diff(known)
    if len(step) < MIN_READINGS - 1 or np.mean(step < 0) > MAX_FALLS or np.mean(step > 0) < MIN_RISES:
        return False
    rises = step[step > 0]
    return len(rises) > 0 and np.median(known) > MIN_LEVEL * np.median(rises)


def _is_daily_counter(minute: np.ndarray, kwh: np.ndarray) -> bool:
    is_known = ~np.isnan(kwh)
    day, known = minute[is_known] // DAY, kwh[is_known]
    is_within = day[1:] == day[:-1]
    step = np.diff(known)
    if np.count_nonzero(is_within) < MIN_READINGS or np.count_nonzero(is_within) < 2 * np.count_nonzero(~is_within):
        return False
    is_falling = np.mean(step[is_within] < 0) > MAX_FALLS or np.mean(step[is_within] > 0) < MIN_RISES
    ends = step[~is_within]
    return not is_falling and len(ends) > 0 and np.mean(ends < 0) >= MIN_RISE_DAYS
