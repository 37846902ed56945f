"""Consistency checks of a client's invoices: index, months and consumption, within and between invoices.

In:  the invoices of one client, oldest first: day [since 1970], energy (0 electricity, 1 gas), months, coefficient,
     consumption [kWh, or m3 of gas], meter_id, old_index, new_index [the meter's own units]; NaN where missing.
Out: the issues of each invoice, of ISSUES, with their sizes. A check with missing values finds no issue.
"""

import math
from typing import NamedTuple

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.types import Table

ROUNDING = 1.0  # consumption is billed in whole units, also with a coefficient of 1.3
# Months by which an invoice may differ from the time since the previous one: reading dates vary by days.
SLACK = 1.0
ROLLBACK = "rollback"  # starts below the index at which the previous invoice ended
JUMP = "jump"  # starts above it
BACKWARDS = "backwards"  # ends below its own start
NOT_BILLED = "not_billed"  # the meter registered more than was billed
OVERBILLED = "overbilled"  # the meter registered less than was billed
MISSING_MONTHS = "missing_months"  # covers less than the time since the previous invoice
OVERLAPPING = "overlapping"  # covers more than the time since the previous invoice
NEW_METER = "new_meter"  # another meter than on the previous invoice: not an error, the index starts again
ISSUES = (ROLLBACK, JUMP, BACKWARDS, NOT_BILLED, OVERBILLED, MISSING_MONTHS, OVERLAPPING, NEW_METER)


class InvoiceIssue(NamedTuple):
    """An issue of an invoice. [size: index units, consumption, or months, by kind; > 0]"""

    kind: str
    size: float


def check_invoices(invoices: Table) -> list[tuple[InvoiceIssue, ...]]:
    """Issues of each invoice, alone and against the previous one of the same energy."""
    last_of: dict[int, int] = {}
    found = []
    for row, energy in enumerate(np.asarray(invoices["energy"]).tolist()):
        own = {name: float(invoices[name][row]) for name in COLUMNS}
        last = last_of.get(energy)
        previous = None if last is None else {name: float(invoices[name][last]) for name in COLUMNS}
        found.append((*check_invoice(own), *(check_against_previous(own, previous) if previous else ())))
        last_of[energy] = row
    return found


COLUMNS = ("day", "months", "coefficient", "consumption", "meter_id", "old_index", "new_index")


def check_invoice(own: dict[str, float]) -> list[InvoiceIssue]:
    """Issues within one invoice."""
    step = own["new_index"] - own["old_index"]
    if step < 0:
        return [InvoiceIssue(BACKWARDS, -step)]
    coefficient = 1.0 if math.isnan(own["coefficient"]) else own["coefficient"]
    unbilled = step * coefficient - own["consumption"]
    if not abs(unbilled) > ROUNDING:  # NaN too
        return []
    return [InvoiceIssue(NOT_BILLED if unbilled > 0 else OVERBILLED, abs(unbilled))]


def check_against_previous(own: dict[str, float], previous: dict[str, float]) -> list[InvoiceIssue]:
    """Issues between an invoice and the previous one."""
    found = []
    if own["meter_id"] != previous["meter_id"] and not math.isnan(own["meter_id"] + previous["meter_id"]):
        found.append(InvoiceIssue(NEW_METER, 1.0))
    elif abs(step := own["old_index"] - previous["new_index"]) >= ROUNDING:
        found.append(InvoiceIssue(JUMP if step > 0 else ROLLBACK, abs(step)))
    excess = (own["day"] - previous["day"]) / DAYS_PER_MONTH - own["months"]
    # Two invoices of one day are a correction or two meters: their months are not consecutive.
    if own["day"] > previous["day"] and abs(excess) > SLACK:
        found.append(InvoiceIssue(MISSING_MONTHS if excess > 0 else OVERLAPPING, abs(excess)))
    return found
