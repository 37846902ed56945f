"""Do a client's invoices agree with each other and with themselves: index, months, consumption?

In:  the invoices of one client, oldest first: day [since 1970], energy (0 electricity, 1 gas), months, coefficient,
     consumption [kWh, or m3 of gas], meter_id, old_index, new_index [the meter's own units]; NaN where missing.
Out: Checked, a row an invoice: what was found, of FINDINGS, with its size. What cannot be told is no finding.
"""

import math
from typing import NamedTuple

import numpy as np

from fairmeter.core.calendar import DAYS_PER_MONTH
from fairmeter.core.types import Table

ROUNDING = 1.0  # consumption is billed in whole units, also where the coefficient is 1.3
SLACK = (
    1.0  # months that an invoice may cover more or less than lie since the one before: routes are not read to the day
)
ROLLBACK = "rollback"  # the index begins below where the invoice before ended
JUMP = "jump"  # it begins above
BACKWARDS = "backwards"  # it ends below where it begins
NOT_BILLED = "not_billed"  # the meter counted more than was billed
OVERBILLED = "overbilled"  # it counted less
MISSING_MONTHS = "missing_months"  # more time lies since the invoice before than is billed
OVERLAPPING = "overlapping"  # less does
NEW_METER = "new_meter"  # another meter than on the invoice before: no fault, and the index starts anew
FINDINGS = (ROLLBACK, JUMP, BACKWARDS, NOT_BILLED, OVERBILLED, MISSING_MONTHS, OVERLAPPING, NEW_METER)


class InvoiceIssue(NamedTuple):
    """[size: of the index, in consumption, or in months, as the kind says; above 0]"""

    kind: str
    size: float


def checked(invoices: Table) -> list[tuple[InvoiceIssue, ...]]:
    """What was found of each invoice, each beside the one before of the same energy."""
    before: dict[int, int] = {}
    found = []
    for row, energy in enumerate(np.asarray(invoices["energy"]).tolist()):
        own = {name: float(invoices[name][row]) for name in COLUMNS}
        last = before.get(energy)
        beside = None if last is None else {name: float(invoices[name][last]) for name in COLUMNS}
        found.append((*alone(own), *(beside_the_last(own, beside) if beside else ())))
        before[energy] = row
    return found


COLUMNS = ("day", "months", "coefficient", "consumption", "meter_id", "old_index", "new_index")


def alone(own: dict[str, float]) -> list[InvoiceIssue]:
    """What an invoice says against itself."""
    step = own["new_index"] - own["old_index"]
    if step < 0:
        return [InvoiceIssue(BACKWARDS, -step)]
    coefficient = 1.0 if math.isnan(own["coefficient"]) else own["coefficient"]
    unbilled = step * coefficient - own["consumption"]
    if not abs(unbilled) > ROUNDING:  # NaN too
        return []
    return [InvoiceIssue(NOT_BILLED if unbilled > 0 else OVERBILLED, abs(unbilled))]


def beside_the_last(own: dict[str, float], last: dict[str, float]) -> list[InvoiceIssue]:
    """What an invoice says against the one before."""
    found = []
    if own["meter_id"] != last["meter_id"] and not math.isnan(own["meter_id"] + last["meter_id"]):
        found.append(InvoiceIssue(NEW_METER, 1.0))
    elif abs(step := own["old_index"] - last["new_index"]) >= ROUNDING:
        found.append(InvoiceIssue(JUMP if step > 0 else ROLLBACK, abs(step)))
    excess = (own["day"] - last["day"]) / DAYS_PER_MONTH - own["months"]
    # Two invoices of one day are one visit: a correction, or two meters, whose months are not one after the other.
    if own["day"] > last["day"] and abs(excess) > SLACK:
        found.append(InvoiceIssue(MISSING_MONTHS if excess > 0 else OVERLAPPING, abs(excess)))
    return found
