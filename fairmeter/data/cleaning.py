"""Rules that clean clients and invoices, the same for files and for JSON.

In:  canonical tables as parsed (fairmeter/data/tables.py), invoices sorted by client, energy -1 where missing, with
     the column date_form (fairmeter/data/date_swaps.py), which the output lacks.
Out: cleaned tables with all clients, and a CleaningFinding for each rule that matched a row.
docs/cleaning.md describes the data problems behind the rules.
"""

import re
from collections.abc import Callable, Iterator
from functools import reduce
from typing import NamedTuple

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.code_names import NO_CODE_NAMES, CodeNames
from fairmeter.core.types import TOTAL_ROW, Table
from fairmeter.data.completion import (
    ESTIMATES,
    LEVELS,
    BilledBy,
    complete_invoices,
    days_since_last,
    index_difference,
)
from fairmeter.data.date_swaps import DATE_FORM, find_swapped, swap_day_and_month
from fairmeter.data.invoice_rules.corrections import CANCELLED, COPIES, CREDITED, REPEATED, ROUNDING, correct_invoices

# First and last code of the public set. A code of another utility, text or number, has a name and stays.
STEG_CODES = {"meter_status": (0, 5), "remark": (6, 9)}
MAX_MONTHS = 24  # of one invoice; longer periods are cut to it
NO_PERIOD_MONTHS = 120  # no billing period exceeds ten years: a larger value belongs to another column
CREATED_ON = (np.datetime64("1950-01-01"), np.datetime64("2100-12-31"))
CLIENT_LIMITS = {"latitude": (-90, 90), "longitude": (-180, 180), "tariff_price": (0, 1e6)}  # degrees; money a unit
MAX_DAYS_OFF = 5  # between the days that an invoice states and those since the one before
FITTING_SHARE = 0.8  # of a client's invoices, for a unit that all of them have
MAX_QUANTITY = 1e12  # kWh: more than a country uses, and small enough that the product of two does not overflow

WORDS_OF_TOTALS = """
    total totals totaux totales totale totali totaal subtotal sum sums summe gesamt gesamtsumme insgesamt somme suma
    soma итого итог всего сума разом toplam razem łącznie ogółem összesen celkem spolu ukupno jumlah tổng
    المجموع الإجمالي اجمالي 合计 总计 合計 総計 합계 grand general generale générale général overall all tous
"""
TOTAL_WORDS = frozenset(WORDS_OF_TOTALS.split())  # an id of nothing else is a row of totals
MORE_WORDS = frozenset({"grand", "general", "generale", "générale", "général", "overall", "all", "tous"})
QUANTITIES = (*LEVELS, "old_index", "new_index", "coefficient", "consumption")


class CleaningFinding(NamedTuple):
    """A data problem and, for each invoice or client that has it, the row number of the client."""

    flag: str
    text: str
    clients: np.ndarray


class CleaningRule(NamedTuple):
    """`where` marks the rows with a problem; `mend` returns their corrected columns, none if they are only counted."""

    flag: str
    text: str
    where: Callable[[Table, Table], np.ndarray]
    mend: Callable[[Table, np.ndarray], Table] = lambda _table, _mask: {}
    code: str = ""  # a column whose named codes are of another utility: the rule does not apply to them


def clean(
    clients: Table, invoices: Table, names: CodeNames = NO_CODE_NAMES
) -> tuple[Table, Table, list[CleaningFinding]]:
    """Clean copies of both tables with CLIENT_RULES and INVOICE_RULES, then join estimates to actual invoices.

    names: of codes that are texts, and of numbers that are no codes of the public set. Returns clients, invoices and
    the findings. No client is dropped; exact copies of an invoice and estimates that no actual invoice follows are.
    """
    invoices, found = correct_invoices(invoices) if len(invoices["client"]) else (invoices, [])
    has_invoices = len(invoices["client"]) > 0  # all may have been cancelled
    findings = [CleaningFinding(*kind, of_clients) for kind, of_clients in found]
    billed_by = BilledBy.of(invoices) if has_invoices else None
    with np.errstate(invalid="ignore"):  # a missing value fails every comparison, as the rules require
        for rule in INVOICE_RULES if has_invoices else ():
            mask = rule.where(invoices, clients)
            if rule.code and names:
                mask &= ~np.isin(invoices[rule.code], names.codes(rule.code))
            if np.count_nonzero(mask):  # five times faster than any() on one client's rows
                invoices = invoices | rule.mend(invoices, mask)
                findings.append(CleaningFinding(rule.flag, rule.text, invoices["client"][mask]))
        if billed_by:
            invoices, estimates = complete_invoices(invoices, billed_by)
            findings += [CleaningFinding(*ESTIMATES[kind], of_clients) for kind, of_clients in estimates.items()]
        for rule in CLIENT_RULES:
            mask = rule.where(clients, invoices)
            if np.count_nonzero(mask):
                clients = clients | rule.mend(clients, mask)
                findings.append(CleaningFinding(rule.flag, rule.text, np.flatnonzero(mask)))
    return clients, {name: column for name, column in invoices.items() if name != DATE_FORM}, findings


# --- rules on invoices ------------------------------------------------------------------------------------------------


def _missing(*names: str) -> Callable[[Table, np.ndarray], Table]:
    return lambda table, mask: {name: np.where(mask, np.nan, table[name]) for name in names}


def _is_impossible(quantity: np.ndarray) -> np.ndarray:
    return (quantity < 0) | (quantity > MAX_QUANTITY)


def _quantities(invoices: Table) -> Iterator[tuple[str, np.ndarray]]:
    return ((name, invoices[name]) for name in QUANTITIES if name in invoices)


def _has_impossible_quantity(invoices: Table, _clients: Table) -> np.ndarray:
    return reduce(np.logical_or, (_is_impossible(quantity) for _, quantity in _quantities(invoices)))


def _without_impossible_quantities(invoices: Table, _mask: np.ndarray) -> Table:
    return {name: np.where(_is_impossible(quantity), np.nan, quantity) for name, quantity in _quantities(invoices)}


def is_foreign(name: str, code: np.ndarray) -> np.ndarray:
    """Mark codes of a column that the public set does not have; missing ones are none. [name: of STEG_CODES]"""
    first, last = STEG_CODES[name]
    return (code < first) | (code > last) | (code > np.floor(code))


def _billed(invoices: Table) -> np.ndarray:
    levels = sum(invoices[name] for name in LEVELS)
    return np.where(np.isnan(levels), invoices["consumption"], levels) if "consumption" in invoices else levels


def _levels_differ(invoices: Table, _clients: Table) -> np.ndarray:
    return np.abs(_billed(invoices) - index_difference(invoices)) > ROUNDING


def _split_coefficient(invoices: Table) -> Table:
    """Columns as they were before a coefficient "1,3" was split at its comma and the later columns moved on by one."""
    decimals = invoices[LEVELS[0]]
    n_digits = np.floor(np.log10(np.maximum(decimals, 1))) + 1
    moved = dict(zip(LEVELS, (*(invoices[name] for name in LEVELS[1:]), invoices["old_index"]), strict=True))
    return moved | {
        "coefficient": invoices["coefficient"] + decimals / 10**n_digits,
        "old_index": invoices["new_index"],
        "new_index": invoices["months"],
        "months": np.full(len(decimals), np.nan),
    }


def _is_split(invoices: Table, clients: Table) -> np.ndarray:
    """Mark rows whose levels disagree with the index as they are and agree once moved back."""
    mask = (invoices["months"] > MAX_MONTHS) & (invoices["months"] <= MAX_QUANTITY)  # moved back, the value is an index
    rows = np.flatnonzero(mask)
    if len(rows):
        as_is = {name: column[rows] for name, column in invoices.items()}
        has_decimals = (as_is[LEVELS[0]] >= 1) & (as_is[LEVELS[0]] < 100)
        adds_up_back = ~_levels_differ(as_is | _split_coefficient(as_is), clients)
        mask[rows] = has_decimals & _levels_differ(as_is, clients) & adds_up_back
    return mask


def _moved_back(invoices: Table, mask: np.ndarray) -> Table:
    back = _split_coefficient({name: column[mask] for name, column in invoices.items()})
    out = {name: invoices[name].copy() for name in back}
    for name, column in back.items():
        out[name][mask] = column
    return out


def _has_days_for_months(invoices: Table, clients: Table) -> np.ndarray:
    """Mark invoices of clients whose months are the days since the invoice before."""
    is_long = invoices["months"] > MAX_MONTHS
    if not np.count_nonzero(is_long):
        return is_long
    n = len(clients["client_id"])
    rows = np.flatnonzero((np.bincount(invoices["client"][is_long], minlength=n) > 0)[invoices["client"]])
    some = {name: invoices[name][rows] for name in ("client", "energy", "invoice_on", "months")}
    gap = days_since_last(some)
    known = ~np.isnan(gap) & (some["months"] >= 1)
    fits = known & is_long[rows] & (np.abs(gap - some["months"]) <= MAX_DAYS_OFF)
    n_known, n_fits = (np.bincount(some["client"], mask, minlength=n) for mask in (known, fits))
    return is_long & (n_fits >= np.maximum(FITTING_SHARE * n_known, 1))[invoices["client"]]


def _months_of_days(invoices: Table, mask: np.ndarray) -> Table:
    return {"months": np.where(mask, np.rint(invoices["months"] / DAYS_PER_MONTH), invoices["months"])}


def _no_months(invoices: Table, _clients: Table) -> np.ndarray:
    return (invoices["months"] < 1) | (invoices["months"] > NO_PERIOD_MONTHS)


def _bounded_months(invoices: Table, _mask: np.ndarray) -> Table:
    return {"months": np.minimum(invoices["months"], MAX_MONTHS)}


def _as_electricity(invoices: Table, mask: np.ndarray) -> Table:
    return {"energy": np.where(mask, np.int8(0), invoices["energy"])}


def _day_and_month_swapped(invoices: Table, clients: Table) -> np.ndarray:
    return find_swapped(invoices, clients["created_on"])


def _swapped_back(invoices: Table, mask: np.ndarray) -> Table:
    return {"invoice_on": np.where(mask, swap_day_and_month(invoices["invoice_on"]), invoices["invoice_on"])}


def _before_creation(invoices: Table, clients: Table) -> np.ndarray:
    return invoices["invoice_on"] < clients["created_on"][invoices["client"]]


INVOICE_RULES = (
    CleaningRule(
        "unknown_energy", "Invoices without energy, taken as electricity", lambda i, _: i["energy"] < 0, _as_electricity
    ),
    CleaningRule(
        "impossible_quantities",
        f"Invoices with a level, index or coefficient below 0 or above {MAX_QUANTITY:,.0f}, which is taken as missing",
        _has_impossible_quantity,
        _without_impossible_quantities,
    ),
    # Before the rules on months, which would take days for months that cannot be.
    CleaningRule(
        "days_in_months",
        "Invoices with days in the column of months, converted",
        _has_days_for_months,
        _months_of_days,
    ),
    # Before the rules on months and indices, which would remove parts of such a row.
    CleaningRule(
        "shifted_columns",
        "Invoices whose decimal coefficient was split at its comma; their columns are moved back, their months missing",
        _is_split,
        _moved_back,
    ),
    CleaningRule(
        "impossible_months",
        f"Invoices over less than one month or more than {NO_PERIOD_MONTHS}, taken as missing",
        _no_months,
        _missing("months"),
    ),
    CleaningRule(
        "long_period",
        f"Invoices over more than {MAX_MONTHS} months, bounded to {MAX_MONTHS}",
        lambda invoices, _: invoices["months"] > MAX_MONTHS,
        _bounded_months,
    ),
    CleaningRule(
        "unknown_meter_status",
        "Invoices with a meter status other than {}-{}, taken as missing".format(*STEG_CODES["meter_status"]),
        lambda invoices, _: is_foreign("meter_status", invoices["meter_status"]),
        _missing("meter_status"),
        "meter_status",
    ),
    CleaningRule(
        "unknown_remark",
        "Invoices with a remark other than {}-{}, taken as missing".format(*STEG_CODES["remark"]),
        lambda invoices, _: is_foreign("remark", invoices["remark"]),
        _missing("remark"),
        "remark",
    ),
    CleaningRule(
        "meter_number_zero",
        "Invoices with meter number 0, taken as missing",
        lambda invoices, _: invoices["meter_id"] == 0,
        _missing("meter_id"),
    ),
    # After the rules on meters and indices, whose results it uses, and before any rule on dates.
    CleaningRule(
        "day_and_month_swapped",
        "Invoices whose date had day and month swapped, put right",
        _day_and_month_swapped,
        _swapped_back,
    ),
    CleaningRule("invoices_before_creation", "Invoices dated before their client's creation, kept", _before_creation),
    CleaningRule(
        "index_not_sum_of_levels", "Invoices whose levels do not add up to the index difference, kept", _levels_differ
    ),
    CleaningRule(
        "index_runs_backwards",
        "Invoices whose new index is below the old one, kept",
        lambda invoices, _: invoices["new_index"] < invoices["old_index"],
    ),
)


# --- rules on clients -------------------------------------------------------------------------------------------------


def _created_outside(clients: Table, _invoices: Table) -> np.ndarray:
    return (clients["created_on"] < CREATED_ON[0]) | (clients["created_on"] > CREATED_ON[1])


def _beyond_limits(clients: Table, name: str) -> np.ndarray:
    low, high = CLIENT_LIMITS[name]
    return (clients[name] < low) | (clients[name] > high)


def _has_value_beyond_limits(clients: Table, _invoices: Table) -> np.ndarray:
    none = np.zeros(len(clients["client_id"]), bool)
    return reduce(np.logical_or, (_beyond_limits(clients, name) for name in CLIENT_LIMITS if name in clients), none)


def _within_limits(clients: Table, _mask: np.ndarray) -> Table:
    given = [name for name in CLIENT_LIMITS if name in clients]
    return {name: np.where(_beyond_limits(clients, name), np.nan, clients[name]) for name in given}


def _without_invoices(clients: Table, invoices: Table) -> np.ndarray:
    return np.bincount(invoices["client"], minlength=len(clients["client_id"])) == 0


def _is_total(client_id: object) -> bool:
    words = re.findall(r"[^\W\d_]+", str(client_id).casefold())
    return TOTAL_WORDS.issuperset(words) and not MORE_WORDS.issuperset(words)


def _total_rows(clients: Table, _invoices: Table) -> np.ndarray:
    ids = clients["client_id"].tolist()
    return np.array([not str(client_id)[-1:].isdigit() and _is_total(client_id) for client_id in ids], bool)


CLIENT_RULES = (
    CleaningRule(
        TOTAL_ROW, "Clients whose id is the word for a total: rows of totals, which get no score", _total_rows
    ),
    CleaningRule(
        "impossible_creation_date",
        "Clients created before {} or after {}, taken as missing".format(*CREATED_ON),
        _created_outside,
        lambda clients, mask: {"created_on": np.where(mask, np.datetime64("NaT"), clients["created_on"])},
    ),
    CleaningRule(
        "no_creation_date",
        "Clients without a date of creation, kept",
        lambda clients, _: np.isnat(clients["created_on"]),
    ),
    CleaningRule(
        "impossible_client_values",
        "Clients with a latitude, longitude or price that cannot be, which is taken as missing",
        _has_value_beyond_limits,
        _within_limits,
    ),
    CleaningRule(
        "no_invoices", "Clients without invoices, kept: judged by their readings or not at all", _without_invoices
    ),
)
FINDINGS = (
    COPIES[0],
    CANCELLED[0],
    CREDITED[0],
    REPEATED[0],
    *(rule.flag for rule in INVOICE_RULES),
    *(flag for flag, _ in ESTIMATES.values()),
    *(rule.flag for rule in CLIENT_RULES),
)  # the flags in the order in which they are found
