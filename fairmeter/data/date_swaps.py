"""Invoice dates that came with day and month swapped, put right client by client.

In:  invoices (fairmeter/data/tables.py) with `is_export_date`: dates written as the public export writes them, year first.
Out: which rows are swapped, and their dates put right.

Whoever made the public export read day-first dates month-first, as far as that gives a date: 04/03/2014 came out as
the 3rd of April, 24/03/2014 as it should. What the meters showed tells: an invoice starts where the one before it on
the same meter ended, so it is the later one. Measured in docs/cleaning.md.
"""

import numpy as np

from fairmeter.core.types import Table

INVOICE_YEARS = (1950, 2100)  # outside, a date is a slip of the pen or a placeholder
EXPORT_DATE = "is_export_date"


def _swap_each(dates: np.ndarray) -> np.ndarray:
    """Each date with day and month exchanged; itself where its day is no month."""
    years, months = dates.astype("datetime64[Y]"), dates.astype("datetime64[M]")
    day, month = (dates - months).astype(int), (months - years).astype(int)  # both from 0
    return np.where(day < 12, (years.astype("datetime64[M]") + day).astype("datetime64[D]") + month, dates)


_EVERY_DATE = np.arange(f"{INVOICE_YEARS[0]}-01-01", f"{INVOICE_YEARS[1] + 1}-01-01", dtype="datetime64[D]")
_SWAPPED = _swap_each(_EVERY_DATE)  # looking a date up is ten times faster than taking it apart


def swap_day_and_month(dates: np.ndarray) -> np.ndarray:
    """Dates within INVOICE_YEARS with day and month exchanged; others than themselves where that gives another date."""
    return _SWAPPED[(dates - _EVERY_DATE[0]).view(np.int64)]


def index_links(invoices: Table) -> tuple[np.ndarray, np.ndarray]:
    """Rows (earlier, later) of each two invoices of one meter of which the later starts where the earlier ended.

    Only invoices that moved the meter on take part. Where two ended at one index nothing tells which was first: neither
    takes part, so that the order of the rows does not matter. All missing meter numbers of a client are one meter.
    """
    moved = np.flatnonzero(invoices["new_index"] > invoices["old_index"])
    service = invoices["client"][moved] * 3 + invoices["energy"][moved]  # -1, 0 or 1
    meter = invoices["meter_id"][moved]
    meter = np.where(np.isnan(meter), np.inf, meter)  # NaN does not equal itself
    new = invoices["new_index"][moved]
    order = np.lexsort((new, meter, service))
    old, new, meter, service = invoices["old_index"][moved[order]], new[order], meter[order], service[order]
    is_same_meter = (meter[1:] == meter[:-1]) & (service[1:] == service[:-1])
    is_tie = np.zeros(len(order) + 1, bool)  # with the row before
    is_tie[1:-1] = is_same_meter & (new[1:] == new[:-1])
    is_alone = ~(is_tie[1:] | is_tie[:-1])
    at = np.flatnonzero(is_same_meter & (old[1:] == new[:-1]) & is_alone[1:] & is_alone[:-1])
    return moved[order[at]], moved[order[at + 1]]


def find_swapped(invoices: Table, n_clients: int) -> np.ndarray:
    """Marks the invoices whose day and month are to be swapped: of clients whose links then run backwards less often.

    Where it makes no difference to a client, its dates that came as the public export writes them are marked.
    """
    other = swap_day_and_month(invoices["invoice_on"])
    is_open = other != invoices["invoice_on"]
    if not np.count_nonzero(is_open):
        return is_open
    gain = _repaired_links(invoices, other, n_clients)[invoices["client"]]
    return is_open & ((gain > 0) | ((gain == 0) & invoices.get(EXPORT_DATE, False)))


def _repaired_links(invoices: Table, other: np.ndarray, n_clients: int) -> np.ndarray:
    """Links that run backwards in time by the dates as given, less those by the other dates. [a client]"""
    earlier, later = index_links(invoices)
    as_given = invoices["invoice_on"]
    gain = (as_given[later] <= as_given[earlier]).astype(np.int8) - (other[later] <= other[earlier])
    at = np.flatnonzero(gain)
    return np.bincount(invoices["client"][later[at]], gain[at], n_clients)
