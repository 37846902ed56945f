"""Invoices of meters side by side -> one invoice a day and energy, so that a series is that of the whole supply.

In:  invoices by client, energy and day.
Out: the same table, the invoices of such meters on one day summed. Two invoices of a day when a meter is exchanged stay
     apart: meters side by side share many days.
"""

import numpy as np

from fairmeter.core.consumption import LEVELS
from fairmeter.core.types import Table

MIN_SHARED_DAYS = 3  # of a meter with another invoice of its energy
MIN_SHARED_SHARE = 0.5  # of the meter's days


def sum_side_by_side(invoices: Table) -> Table:
    """Sum invoices of one client, energy and day where meters are read side by side. [invoices: in definite order]

    A sum has the codes and the meter of the largest part. Its index is the sum of all where their coefficients agree.
    """
    rows = _rows_with_shared_days(invoices)
    if not len(rows):
        return invoices
    some = {name: column[rows] for name, column in invoices.items()}
    starts = _starts_of_days(some)
    sizes = np.diff(np.append(starts, len(rows)))
    is_side = np.repeat(sizes > 1, sizes) & _is_side_meter(some, np.repeat(sizes > 1, sizes))
    day = np.repeat(np.arange(len(starts)), sizes)
    order = np.lexsort((is_side, day))  # stable: parts keep their order
    is_new = np.append(True, (np.diff(day[order]) != 0) | ~is_side[order][1:] | ~is_side[order][:-1])
    if is_new.all():
        return invoices
    summed, main = _summed({name: column[order] for name, column in some.items()}, np.flatnonzero(is_new))
    return _replaced(invoices, rows, rows[order[main]], summed)


def _rows_with_shared_days(invoices: Table) -> np.ndarray:
    """Rows of each client and energy with so many shared days that a meter may be side by side. [ascending]"""
    client, energy, day = invoices["client"], invoices["energy"], invoices["invoice_on"]
    is_same_day = (day[1:] == day[:-1]) & (client[1:] == client[:-1]) & (energy[1:] == energy[:-1])
    at = np.flatnonzero(is_same_day)
    if len(at) < MIN_SHARED_DAYS:
        return np.empty(0, np.int64)
    service = client * 2 + energy
    n_shared = np.bincount(service[at], minlength=service[-1] + 1)
    return np.flatnonzero(n_shared[service] >= MIN_SHARED_DAYS)


def _replaced(invoices: Table, rows: np.ndarray, main: np.ndarray, summed: Table) -> Table:
    """The table with `summed` in the place of its rows `main`, and without the other ones of `rows`."""
    is_kept = np.ones(len(invoices["client"]), bool)
    is_kept[rows] = False
    is_kept[main] = True
    place = np.cumsum(is_kept)[main] - 1
    out = {}
    for name, column in invoices.items():
        out[name] = column[is_kept]
        out[name][place] = summed[name]
    return out


def _starts_of_days(invoices: Table) -> np.ndarray:
    """First rows of each client, energy and day."""
    client, energy, day = invoices["client"], invoices["energy"], invoices["invoice_on"]
    is_new = (client[1:] != client[:-1]) | (energy[1:] != energy[:-1]) | (day[1:] != day[:-1])
    return np.flatnonzero(np.append(True, is_new)) if len(client) else np.empty(0, np.int64)


def _is_side_meter(invoices: Table, is_shared: np.ndarray) -> np.ndarray:
    """Mark invoices of meters that share many of their days. All unknown meters of a client count as one."""
    meter = np.where(np.isnan(invoices["meter_id"]), np.inf, invoices["meter_id"])
    service = invoices["client"] * 2 + invoices["energy"]
    day = invoices["invoice_on"].astype("datetime64[D]").astype(np.int64)
    order = np.lexsort((day, meter, service))
    is_new_meter = np.append(True, (np.diff(service[order]) != 0) | (meter[order][1:] != meter[order][:-1]))
    is_new_day = is_new_meter | np.append(True, np.diff(day[order]) != 0)
    of_meter = np.cumsum(is_new_meter) - 1
    n_days = np.bincount(of_meter, is_new_day)
    n_shared = np.bincount(of_meter, is_new_day & is_shared[order])
    is_side = (n_shared >= MIN_SHARED_DAYS) & (n_shared >= MIN_SHARED_SHARE * n_days)
    marked = np.empty(len(order), bool)
    marked[order] = is_side[of_meter]
    return marked


def _summed(invoices: Table, starts: np.ndarray) -> tuple[Table, np.ndarray]:
    """One invoice a group of consecutive rows, and the row of its largest part. [starts: first row of each group]"""
    sizes = np.diff(np.append(starts, len(invoices["client"])))
    amount = np.nan_to_num(sum(np.nan_to_num(invoices[name]) for name in LEVELS) + _whole(invoices))
    group = np.repeat(np.arange(len(starts)), sizes)
    main = np.lexsort((-np.arange(len(group)), amount, group))[np.cumsum(sizes) - 1]
    out = {name: column[main] for name, column in invoices.items()}
    for name in (*LEVELS, "consumption"):
        if name in invoices:
            out[name] = _known_sum(invoices[name], starts)
    out["months"] = np.fmax.reduceat(invoices["months"], starts)
    factor = np.where(np.isnan(invoices["coefficient"]), 1.0, invoices["coefficient"])
    is_alike = np.maximum.reduceat(factor, starts) == np.minimum.reduceat(factor, starts)
    for name in ("old_index", "new_index"):
        total = np.add.reduceat(invoices[name], starts)
        out[name] = np.where(sizes == 1, out[name], np.where(is_alike, total, np.nan))
    return out, main


def _whole(invoices: Table) -> np.ndarray | float:
    return np.nan_to_num(invoices["consumption"]) if "consumption" in invoices else 0.0


def _known_sum(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sums of the known values of each group; NaN where none is known."""
    is_known = ~np.isnan(values)
    total = np.add.reduceat(np.where(is_known, values, 0.0), starts)
    return np.where(np.logical_or.reduceat(is_known, starts), total, np.nan)
