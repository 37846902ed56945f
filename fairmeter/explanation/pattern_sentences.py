"""Sentences on mates of the reading day, single invoices, both energies, and uncommon periods.

In:  InvoiceContext (fairmeter/explanation/sentence_inputs.py): a client's features and the members' input.
Out: SENTENCES by evidence group and topic; each gives a Sentence, or None if the figures do not support one.
"""

from collections.abc import Callable

import numpy as np

from fairmeter.core.formatting import counted, figure, month, sentence, share
from fairmeter.explanation.sentence_inputs import InvoiceContext, Sentence, direction
from fairmeter.features.base import HISTORY, IRREGULAR, PLACE, TARIFF, UNUSUAL

EVEN = 0.02  # log ratio: a smaller difference is called about the same
SentenceRule = Callable[[InvoiceContext], Sentence | None]


def _mates(it: InvoiceContext) -> Sentence | None:
    """Consumption beside clients of the region that were invoiced on the same days."""
    off = it.column(f"mates_{it.energy}_level_mean")
    if np.isnan(off):
        return None
    text = f"on the days its route was read, it used {_beside(off)} {it.energy_name} {_than(off)}on average"
    late = it.column(f"mates_{it.energy}_level_recent") + off
    lately = "" if np.isnan(late) else f"in its last two years {_beside(late)}"
    return Sentence(sentence(text, lately), direction(-off if np.isnan(late) else -late, 0.0))


def _beside(off: float) -> str:
    if abs(off) < EVEN:
        return "about as much"
    return f"{share(1.0 - np.exp(off))} less" if off < 0 else f"{share(np.expm1(off))} more"


def _than(off: float) -> str:
    return "as its neighbours " if abs(off) < EVEN else "than its neighbours "


def _invoices(it: InvoiceContext) -> Sentence | None:
    """The invoice that is most like those of flagged clients."""
    most, typical = it.column("invoice_trees_max"), it.typical("invoice_trees_max")
    on = it.features("last_invoice_on") - it.column("invoice_trees_peak_ago")
    if np.isnan(most + typical + on):
        return None
    text = f"its invoice of {month(on)} looks most like those of flagged clients"
    than = "about as much as the typical client's most suspicious one"
    if abs(most - typical) >= EVEN:
        ratio = figure(np.exp(most - typical))
        than = f"its odds of fraud are {ratio} times those of the typical client's most suspicious one"
    return Sentence(sentence(text, than), direction(most, typical))


def _first_level(it: InvoiceContext) -> Sentence | None:
    mean, typical = it.features("full_level_1_mean"), it.typical("full_level_1_mean")
    if np.isnan(mean):
        return None
    text = f"where an invoice exceeds the first price level, {figure(mean)} kWh a month are billed at it"
    return Sentence(sentence(text, "" if np.isnan(typical) else f"the typical client's {figure(typical)}"))


def _both(it: InvoiceContext) -> Sentence | None:
    """Electricity beside gas of the same day."""
    alike = it.features("both_correlation")
    if np.isnan(alike):
        return None
    text = f"electricity and gas of the same days rise and fall together with a correlation of {alike:.2f}"
    none = it.features("both_no_electricity_share")
    return Sentence(sentence(text, f"on {share(none)} of these days gas was used and no electricity" if none else ""))


def _alone(it: InvoiceContext) -> Sentence | None:
    part = it.features("electricity_alone_share")
    if np.isnan(part):
        return None
    return Sentence(sentence(f"{share(part)} of its invoice dates have electricity and no gas"))


def _long_periods(it: InvoiceContext) -> Sentence | None:
    n, typical = it.features("period_over_4_n"), it.typical("period_over_4_n")
    if np.isnan(n):
        return None
    text = f"{counted(n, 'invoice')} {'covers' if n == 1 else 'cover'} more than four months"
    return Sentence(sentence(text, "" if np.isnan(typical) else f"the typical client has {figure(typical)}"))


def _odd_level(it: InvoiceContext) -> Sentence | None:
    off = it.features("odd_period_level")
    if np.isnan(off):
        return None
    text = f"invoices of uncommon periods come to {_beside(off)} a month {'as' if abs(off) < EVEN else 'than'} all"
    return Sentence(sentence(text), direction(-off, 0.0))


def _odd_period(it: InvoiceContext) -> Sentence | None:
    on = it.features("odd_period_on")
    if np.isnan(on):
        return Sentence(sentence("every invoice covers one, two or four months"), -1)
    return Sentence(sentence(f"the last invoice of other than one, two or four months is of {month(on)}"))


SENTENCES: dict[tuple[str, str], SentenceRule] = {
    (PLACE, "mates"): _mates, (UNUSUAL, "invoices"): _invoices, (TARIFF, "first_level"): _first_level,
    (IRREGULAR, "both"): _both, (HISTORY, "both"): _alone, (TARIFF, "uncommon"): _long_periods,
    (IRREGULAR, "uncommon"): _odd_level, (HISTORY, "uncommon"): _odd_period,
}  # fmt: skip
