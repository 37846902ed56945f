"""How long each reading lasts, and which readings cover the same time.

In:  readings by client, then time: client, minute since 1970, and minutes where the file states them.
Out: the length of each reading [minutes], and readings of which none lies within another one.

A reading lasts until the next one, unless readings were lost or the interval of the meter changed there. The distances
before and after it show which, so that a client may change its interval any number of times.
"""

import numpy as np

DAY = 24 * 60  # minutes
NEAR_DAY = 20 * 60  # a daily reading is not taken at the same minute each day
# Longer distances within a day are no interval of a meter, except these: then each reading is a total of its day.
MAX_PART, LONG_PARTS = 6 * 60, (8 * 60, 12 * 60)
BEFORE, AFTER = 6, 4  # distances that show the interval before and after a reading
MIN_AFTER = 3  # of them, for an interval to have become longer: less could be the few that came through
SAME = 8  # rows at each end of a run of equal distances, past what BEFORE and AFTER see: those between are alike
PART = 2**14  # rows at once, whose differences stay in the processor's cache
FULL = 0.99  # share of a reading's time that others must cover to stand in for it
MIN_TOTAL = 0.98  # of the sum of its parts: a total below it is no total


def is_of_days(minute: np.ndarray) -> bool:
    """Whether all moments are midnights, as those of totals of days are."""
    parts = (minute[at : at + PART] for at in range(0, len(minute), PART))
    return all((part == part // DAY * DAY).all() for part in parts)


def long_steps(minute: np.ndarray, least: int) -> np.ndarray:
    """Rows after which the next one is more than some minutes later, whatever its client."""
    if len(minute) <= PART:
        return np.flatnonzero(minute[1:] - minute[:-1] > least)
    found = []
    for at in range(1, len(minute), PART):
        part = minute[at - 1 : at + PART]
        found.append(at - 1 + np.flatnonzero(part[1:] - part[:-1] > least))
    return np.concatenate(found)


def interval_minutes(client: np.ndarray, minute: np.ndarray, stated: np.ndarray | None = None) -> np.ndarray:
    """Length of each reading. [float64, minutes; rows by client, then time; stated: NaN where the file has none]"""
    if stated is not None and not np.isnan(stated).any():
        return stated
    found = _from_distances(client, minute)
    return found if stated is None else np.where(np.isnan(stated), found, stated)


def _from_distances(client: np.ndarray, minute: np.ndarray) -> np.ndarray:
    """At most a day; a client's only reading is the total of its day."""
    if not len(client):
        return np.zeros(0)
    step = np.full(len(client), np.inf)
    np.subtract(minute[1:], minute[:-1], out=step[:-1])
    step[:-1][client[1:] != client[:-1]] = np.inf
    if step.min() >= NEAR_DAY:
        return np.full(len(client), float(DAY))
    rows, n_alike = _ends_of_runs(step)
    if len(rows) == len(step):
        return _of_steps(client, step)
    return np.repeat(_of_steps(client[rows], step[rows]), n_alike)


def _ends_of_runs(step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows without the middle of long runs of equal distances, how many rows each stands for).

    In the middle of a run all distances around are one, so that these rows are as the SAMEth one of their run.
    """
    starts = np.append(0, 1 + np.flatnonzero(step[1:] != step[:-1]))
    n = np.diff(np.append(starts, len(step)))
    n_kept = np.minimum(n, 2 * SAME)
    first = np.cumsum(n_kept) - n_kept
    place = np.arange(int(n_kept.sum())) - np.repeat(first, n_kept)
    rows = np.repeat(starts, n_kept) + place + np.where(place >= SAME, np.repeat(n - n_kept, n_kept), 0)
    n_alike = np.ones(len(rows), np.int64)
    is_long = n > n_kept
    n_alike[first[is_long] + SAME - 1] += (n - n_kept)[is_long]
    return rows, n_alike


def _of_steps(client: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Length of each reading by the distance to the next one of its client, infinite for its last one. [minutes]"""
    after, n_after = _least_after(client, step)
    before = np.where(n_after < MIN_AFTER, _least_before(client, step, MIN_AFTER), _least_before(client, step, BEFORE))
    following = np.where(np.isinf(step), np.inf, np.append(after[1:], np.inf))
    with np.errstate(invalid="ignore"):
        is_longer = (after > before) & (n_after >= MIN_AFTER) & (step % after == 0)
    is_daily = (step == following) & (step >= NEAR_DAY) | (np.abs(step - DAY) <= 60.0)
    goes_on = np.isinf(before) & is_daily  # a client's first reading
    shorter, longer = np.where(goes_on, step, after), np.where(is_longer, after, before)
    length = np.select([step < before, step > before], [shorter, longer], step)
    length = _of_runs(client, step, length)
    length[1:] = np.where(_is_last_total(client, step, length, following)[1:], DAY, length[1:])
    is_total = (length >= NEAR_DAY) | ((length > MAX_PART) & ~np.isin(length, LONG_PARTS))
    return np.where(is_total, DAY, length)


def _of_runs(client: np.ndarray, step: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Lengths where a reading that lasts until the next one makes all of its run of equal distances do so."""
    is_new = np.ones(len(client), bool)
    is_new[1:] = (client[1:] != client[:-1]) | (step[1:] != step[:-1])
    run = np.cumsum(is_new) - 1
    lasts = np.bincount(run, length == step) > 0
    return np.where(lasts[run] & (step < np.inf), step, length)


def _is_last_total(client: np.ndarray, step: np.ndarray, length: np.ndarray, following: np.ndarray) -> np.ndarray:
    """Mark the last total of a day, read at 23:59, before an hourly reading at 00:00."""
    is_last = np.zeros(len(client), bool)
    follows = (client[1:] == client[:-1]) & (length[:-1] >= NEAR_DAY) & (step[:-1] == length[:-1])
    is_last[1:] = follows & (step[1:] < NEAR_DAY) & (step[1:] != following[1:])
    return is_last


def _least_after(client: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(least distance from each reading on, number of known ones among them)."""
    least, n_known = step.copy(), (step < np.inf).astype(np.int64)
    for k in range(1, min(AFTER, len(step))):
        is_own = client[k:] == client[:-k]
        least[:-k] = np.minimum(least[:-k], np.where(is_own, step[k:], np.inf))
        n_known[:-k] += is_own & (step[k:] < np.inf)
    return least, n_known


def _least_before(client: np.ndarray, step: np.ndarray, n: int) -> np.ndarray:
    """Least of the n distances up to each reading, infinite for a client's first one."""
    least = np.full(len(step), np.inf)
    for k in range(1, min(n + 1, len(step))):
        is_own = client[k:] == client[:-k]
        least[k:] = np.minimum(least[k:], np.where(is_own, step[:-k], np.inf))
    return least


def whole_days(minute: np.ndarray, length: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(start, length) with readings of one or more days moved to the start of the day that they are stamped with.

    A total of a day counts for that day, whether its stamp is 00:00, 06:00 or 23:59.
    """
    if not len(length) or length.max() < NEAR_DAY:
        return minute, length
    n_days = np.rint(length / DAY)
    spare = np.where(n_days == 1, 60.0, 0.0)  # an hour less in spring, one more in autumn
    is_whole = (length >= NEAR_DAY) & (np.abs(length - n_days * DAY) <= spare)
    return np.where(is_whole, minute // DAY * DAY, minute), np.where(is_whole, n_days * DAY, length)


def without_overlaps(
    client: np.ndarray, start: np.ndarray, length: np.ndarray, kwh: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Count a total beside its parts once: as its parts where all are known, else as the total.

    Returns client, start, length, kWh by client, then start. What is less than its parts is no total: it becomes a
    reading as long as these.
    """
    order = np.lexsort((-length, start, client))
    rows = [column[order] for column in (client, start, length, kwh)]
    while (totals := _innermost_totals(*rows[:3])).size:
        rows = _resolve(totals, *rows)
    return tuple(rows)


def _innermost_totals(client: np.ndarray, start: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Rows that hold others, of which none holds any. [rows by client, start, then length, longest first]"""
    holds = np.zeros(len(start), bool)
    end = start + length
    is_within = (client[1:] == client[:-1]) & (end[1:] <= end[:-1]) & (length[1:] * 2 <= length[:-1])
    holds[:-1] = is_within & (start[1:] < end[:-1])
    totals = np.flatnonzero(holds)
    if not totals.size:
        return totals
    n_outer = np.cumsum(np.append(0, holds))
    stop = _stops(totals, client, start, length)
    return totals[n_outer[stop] - n_outer[totals + 1] == 0]


def _stops(totals: np.ndarray, client: np.ndarray, start: np.ndarray, length: np.ndarray) -> np.ndarray:
    """The row after the last one that begins within each total."""
    span = float(start.max() - start.min() + length.max() + 1)
    key = client * span + (start - start.min())
    return np.searchsorted(key, key[totals] + length[totals], side="left")


def _resolve(totals: np.ndarray, *rows: np.ndarray) -> list[np.ndarray]:
    client, start, length, kwh = rows
    stop = _stops(totals, client, start, length)
    known = ~np.isnan(kwh)
    covered = np.append(0.0, np.cumsum(np.where(known, length, 0.0)))
    first = totals + 1
    share = (covered[stop] - covered[first]) / length[totals]
    edges = np.column_stack([first, stop]).ravel()
    parts = np.add.reduceat(np.append(np.where(known, kwh, 0.0), 0.0), edges)[::2]
    value = kwh[totals]
    is_part = ~(value >= MIN_TOTAL * parts) & ~np.isnan(value) & (share < FULL)
    is_total = ~is_part & (share < FULL) & ~np.isnan(value)
    length = length.copy()
    length[totals[is_part]] = length[first[is_part]]
    is_kept = np.ones(len(start), bool)
    is_kept[totals[~is_part & ~is_total]] = False
    inside = np.zeros(len(start) + 1, np.int64)
    np.add.at(inside, first[is_total], 1)
    np.add.at(inside, stop[is_total], -1)
    is_kept &= np.cumsum(inside[:-1]) == 0
    return [column[is_kept] for column in (client, start, length, kwh)]
