"""Detection and correction of invoice dates with day and month swapped, client by client.

In:  invoices (fairmeter/data/tables.py) with `date_form`: how each date was written.
Out: which rows are swapped, and their corrected dates.

The public export read day-first dates month-first where that gives a date: 04/03/2014 became the 3rd of April, while
24/03/2014 stayed right. Meter indices reveal the order: an invoice that starts at the index where another on the same
meter ended is the later one. docs/cleaning.md has the measurements.
"""

from enum import IntEnum

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.types import Table

INVOICE_YEARS = (1950, 2100)  # dates outside are typing errors or placeholders
DATE_FORM = "date_form"
# Of the mean difference between gaps and billed months: one order of day and month is clearly worse than the other.
WORSE_RATIO, WORSE_DAYS = 1.5, 10.0
MAX_GAP_ERROR = 365.0  # days: a lost year of invoices must not outweigh all other gaps
GAP_COLUMNS = ("client", "energy", "months", "invoice_on", DATE_FORM)
MIN_GAPS = 3  # of a client, for a swap that only the gaps ask for


class DateForm(IntEnum):
    """How a date was written, which says what may put it right. Missing in a table, all are PLAIN."""

    PLAIN = 0  # 2014-03-24, or typed: one order only, so links of the index alone
    EXPORT = 1  # year first in the public export: links, gaps, and both orders where neither decides
    SLASHED = 2  # 24/03/2014, which others write month first: links and gaps
    STATED = 3  # in a format that a map states: nothing


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


def find_swapped(invoices: Table, created_on: np.ndarray) -> np.ndarray:
    """Mark invoices whose day and month are to be swapped back.

    These are the ambiguous dates of clients with fewer backward links after the swap. Where the number does not change,
    gaps that fit the billed months clearly better decide, unless that alone puts an invoice before the creation of its
    client; a PLAIN date has one order, which gaps do not change. Where nothing decides, dates of the public export are
    marked. [created_on: of each client]
    """
    n_clients = len(created_on)
    other = swap_day_and_month(invoices["invoice_on"])
    is_ambiguous = other != invoices["invoice_on"]
    if not np.count_nonzero(is_ambiguous):
        return is_ambiguous
    form = invoices.get(DATE_FORM, np.full(len(other), DateForm.PLAIN, np.int8))
    by_links = _repaired_links(invoices, other, n_clients)
    is_open = is_ambiguous & ((form == DateForm.EXPORT) | (form == DateForm.SLASHED))
    has_open = np.bincount(invoices["client"][is_open], minlength=n_clients) > 0
    by_gaps = np.zeros(n_clients, np.int8)
    undecided = np.flatnonzero(((by_links == 0) & has_open)[invoices["client"]])
    if len(undecided):
        some = {name: invoices[name][undecided] for name in GAP_COLUMNS if name in invoices}
        by_gaps = _repaired_gaps(some, other[undecided], n_clients)
        by_gaps[_predates(some, other[undecided], by_gaps, created_on)] = 0
    links, gaps = by_links[invoices["client"]], by_gaps[invoices["client"]]
    is_swapped = (links > 0) | (is_open & (links == 0) & ((gaps > 0) | ((gaps == 0) & (form == DateForm.EXPORT))))
    return is_ambiguous & is_swapped & (form != DateForm.STATED)


def _predates(invoices: Table, other: np.ndarray, by_gaps: np.ndarray, created_on: np.ndarray) -> np.ndarray:
    """Mark clients with an invoice before their creation by the chosen dates, and none by the others."""
    client, given = invoices["client"], invoices["invoice_on"]
    is_other = by_gaps[client] > 0
    is_before = [np.where(is_other, one, two) < created_on[client] for one, two in ((other, given), (given, other))]
    chosen, rest = (np.bincount(client, mask, minlength=len(created_on)) for mask in is_before)
    return (chosen > 0) & (rest == 0)


def _repaired_gaps(invoices: Table, other: np.ndarray, n_clients: int) -> np.ndarray:
    """1 where the other dates fit the billed months clearly better, -1 where worse, else 0. [int8, (clients,)]"""
    given, n = gap_errors(invoices, invoices["invoice_on"], n_clients)
    if given.max() <= WORSE_DAYS and not np.count_nonzero(invoices[DATE_FORM] == DateForm.EXPORT):
        return np.zeros(n_clients, np.int8)  # already regular, the usual case of a single client
    swapped, _ = gap_errors(invoices, other, n_clients)
    is_better = (given > WORSE_RATIO * swapped + WORSE_DAYS) & (n >= MIN_GAPS)
    return is_better.astype(np.int8) - (swapped > WORSE_RATIO * given + WORSE_DAYS)


def gap_errors(invoices: Table, dates: np.ndarray, n_clients: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean difference between gaps and billed months of each client, and its number of gaps. [days; (clients,)]

    dates: of the invoices. Invoices of one day and energy count once. Where months are missing the client's median gap
    stands for them. A client without gaps has 0.
    """
    key = ((invoices["client"] * 3 + invoices["energy"]) << 22) + dates.view(np.int64) + (1 << 21)
    order = np.argsort(key)  # of equal keys any order: their gap is 0
    gap, later = np.diff(key[order]), order[1:]
    at = np.flatnonzero((gap > 0) & (gap < (1 << 20)))
    gap, client = gap[at], invoices["client"][later[at]]
    months = invoices["months"][later[at]]
    expected = DAYS_PER_MONTH * np.where(months >= 1, months, np.nan)
    if (unknown := np.isnan(expected)).any():
        expected[unknown] = _median_gaps(gap, client, n_clients)[client[unknown]]
    n = np.bincount(client, minlength=n_clients)
    error = np.bincount(client, np.minimum(np.abs(gap - expected), MAX_GAP_ERROR), n_clients)
    return error / np.maximum(n, 1), n


def _median_gaps(gap: np.ndarray, client: np.ndarray, n_clients: int) -> np.ndarray:
    """The lower median of each client's gaps. [days; (clients,), 0 without any]"""
    n = np.bincount(client, minlength=n_clients)
    ordered = np.append(gap[np.lexsort((gap, client))], 0)
    return np.where(n > 0, ordered[np.minimum(np.cumsum(n) - n + (n - 1) // 2, len(gap))], 0)


def _repaired_links(invoices: Table, other: np.ndarray, n_clients: int) -> np.ndarray:
    """Links that run backwards in time by the given dates, less those by the other dates. [(clients,)]"""
    earlier, later = index_links(invoices)
    as_given = invoices["invoice_on"]
    gain = (as_given[later] <= as_given[earlier]).astype(np.int8) - (other[later] <= other[earlier])
    at = np.flatnonzero(gain)
    return np.bincount(invoices["client"][later[at]], gain[at], n_clients)
