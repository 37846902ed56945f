"""Detection and correction of invoice dates with day and month swapped, client by client.

In:  invoices (fairmeter/data/tables.py) with `is_export_date`: dates written year first, as in the public export.
Out: which rows are swapped, and their corrected dates.

The public export read day-first dates month-first where that gives a date: 04/03/2014 became the 3rd of April, while
24/03/2014 stayed right. Meter indices reveal the order: an invoice that starts at the index where another on the same
meter ended is the later one. docs/cleaning.md has the measurements.
"""

import numpy as np

from fairmeter.core.types import Table

INVOICE_YEARS = (1950, 2100)  # dates outside are typing errors or placeholders
EXPORT_DATE = "is_export_date"
STATED_DATE = "is_stated_date"  # in a format that a map states: never put right


def _swap_each(dates: np.ndarray) -> np.ndarray:
    """Exchange day and month of each date; dates with a day above 12 stay as they are."""
    years, months = dates.astype("datetime64[Y]"), dates.astype("datetime64[M]")
    day, month = (dates - months).astype(int), (months - years).astype(int)  # both from 0
    return np.where(day < 12, (years.astype("datetime64[M]") + day).astype("datetime64[D]") + month, dates)


_EVERY_DATE = np.arange(f"{INVOICE_YEARS[0]}-01-01", f"{INVOICE_YEARS[1] + 1}-01-01", dtype="datetime64[D]")
_SWAPPED = _swap_each(_EVERY_DATE)  # a lookup is ten times faster than calendar arithmetic


def swap_day_and_month(dates: np.ndarray) -> np.ndarray:
    """Exchange day and month of dates within INVOICE_YEARS; dates with a day above 12 stay as they are."""
    return _SWAPPED[(dates - _EVERY_DATE[0]).view(np.int64)]


def index_links(invoices: Table) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows (earlier, later) of one meter: the later invoice starts at the index where the earlier ended.

    Only invoices whose index rose take part. Where two end at the same index their order is unknown; neither takes
    part, so that the result does not depend on the order of the rows. All missing meter numbers of a client count as
    one meter.
    """
    moved = np.flatnonzero(invoices["new_index"] > invoices["old_index"])
    service = invoices["client"][moved] * 3 + invoices["energy"][moved]  # -1, 0 or 1
    meter = invoices["meter_id"][moved]
    meter = np.where(np.isnan(meter), np.inf, meter)  # NaN does not equal itself
    new = invoices["new_index"][moved]
    order = np.lexsort((new, meter, service))
    old, new, meter, service = invoices["old_index"][moved[order]], new[order], meter[order], service[order]
    is_same_meter = (meter[1:] == meter[:-1]) & (service[1:] == service[:-1])
    is_tie = np.zeros(len(order) + 1, bool)  # same index as the row before
    is_tie[1:-1] = is_same_meter & (new[1:] == new[:-1])
    is_alone = ~(is_tie[1:] | is_tie[:-1])
    at = np.flatnonzero(is_same_meter & (old[1:] == new[:-1]) & is_alone[1:] & is_alone[:-1])
    return moved[order[at]], moved[order[at + 1]]


def find_swapped(invoices: Table, n_clients: int) -> np.ndarray:
    """Mark invoices whose day and month are to be swapped back.

    These are the ambiguous dates of clients with fewer backward links after the swap. Where the number does not change,
    the client's dates in the format of the public export are marked.
    """
    other = swap_day_and_month(invoices["invoice_on"])
    is_ambiguous = other != invoices["invoice_on"]
    if not np.count_nonzero(is_ambiguous):
        return is_ambiguous
    gain = _repaired_links(invoices, other, n_clients)[invoices["client"]]
    is_swapped = (gain > 0) | ((gain == 0) & invoices.get(EXPORT_DATE, False))
    return is_ambiguous & is_swapped & ~invoices.get(STATED_DATE, np.zeros(1, bool))


def _repaired_links(invoices: Table, other: np.ndarray, n_clients: int) -> np.ndarray:
    """Links that run backwards in time by the given dates, less those by the other dates. [(clients,)]"""
    earlier, later = index_links(invoices)
    as_given = invoices["invoice_on"]
    gain = (as_given[later] <= as_given[earlier]).astype(np.int8) - (other[later] <= other[earlier])
    at = np.flatnonzero(gain)
    return np.bincount(invoices["client"][later[at]], gain[at], n_clients)
