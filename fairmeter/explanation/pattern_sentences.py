"""Sentences on mates of the reading day, single invoices, both energies, and uncommon periods.

In:  InvoiceContext (fairmeter/explanation/sentence_inputs.py): a client's features and the members' input.
Out: SENTENCES by evidence group and topic; each gives a Sentence, or None if the figures do not support one.
"""

from collections.abc import Callable

import numpy as np

from fairmeter.explanation.sentence_inputs import InvoiceContext, Sentence, direction
from fairmeter.features.base import HISTORY, IRREGULAR, PLACE, TARIFF, UNUSUAL
from fairmeter.wording.phrases import Phrase, sentence

EVEN = 0.02  # log ratio: a smaller difference is called about the same
SentenceRule = Callable[[InvoiceContext], Sentence | None]


def _mates(it: InvoiceContext) -> Sentence | None:
    """Consumption beside clients of the region that were invoiced on the same days."""
    off = it.column(f"mates_{it.energy}_level_mean")
    if np.isnan(off):
        return None
    late = it.column(f"mates_{it.energy}_level_recent") + off
    lately = "" if np.isnan(late) else Phrase(f"pattern.lately.{_way(late)}", part=_part(late))
    text = it.phrase(f"pattern.mates.{_way(off)}", part=_part(off))
    return Sentence(sentence(text, lately), direction(-off if np.isnan(late) else -late, 0.0))


def _way(off: float) -> str:
    return "even" if abs(off) < EVEN else "less" if off < 0 else "more"


def _part(off: float) -> float:
    """The difference as a share of the others. [log ratio -> 0..]"""
    return 1.0 - np.exp(off) if off < 0 else np.expm1(off)


def _invoices(it: InvoiceContext) -> Sentence | None:
    """The invoice that is most like those of flagged clients."""
    most, typical = it.column("invoice_trees_max"), it.typical("invoice_trees_max")
    on = it.features("last_invoice_on") - it.column("invoice_trees_peak_ago")
    if np.isnan(most + typical + on):
        return None
    than = Phrase("typical.odds_even")
    if abs(most - typical) >= EVEN:
        than = Phrase("typical.odds", ratio=np.exp(most - typical))
    return Sentence(sentence(Phrase("pattern.invoice", on=on), than), direction(most, typical))


def _first_level(it: InvoiceContext) -> Sentence | None:
    mean, typical = it.features("full_level_1_mean"), it.typical("full_level_1_mean")
    if np.isnan(mean):
        return None
    than = "" if np.isnan(typical) else Phrase("typical.figure", typical=typical)
    return Sentence(sentence(Phrase("pattern.first_level", mean=mean), than))


def _both(it: InvoiceContext) -> Sentence | None:
    """Electricity beside gas of the same day."""
    alike = it.features("both_correlation")
    if np.isnan(alike):
        return None
    none = it.features("both_no_electricity_share")
    alone = Phrase("pattern.gas_alone", part=none) if none else ""
    return Sentence(sentence(Phrase("pattern.both", alike=alike), alone))


def _alone(it: InvoiceContext) -> Sentence | None:
    part = it.features("electricity_alone_share")
    if np.isnan(part):
        return None
    return Sentence(sentence(Phrase("pattern.electricity_alone", part=part)))


def _long_periods(it: InvoiceContext) -> Sentence | None:
    n, typical = it.features("period_over_4_n"), it.typical("period_over_4_n")
    if np.isnan(n):
        return None
    than = "" if np.isnan(typical) else Phrase("typical.has", typical=typical)
    return Sentence(sentence(Phrase("pattern.long_periods", n=n), than))


def _odd_level(it: InvoiceContext) -> Sentence | None:
    off = it.features("odd_period_level")
    if np.isnan(off):
        return None
    return Sentence(sentence(Phrase(f"pattern.odd_level.{_way(off)}", part=_part(off))), direction(-off, 0.0))


def _odd_period(it: InvoiceContext) -> Sentence | None:
    on = it.features("odd_period_on")
    if np.isnan(on):
        return Sentence(sentence(Phrase("pattern.odd_period.none")), -1)
    return Sentence(sentence(Phrase("pattern.odd_period.last", on=on)))


SENTENCES: dict[tuple[str, str], SentenceRule] = {
    (PLACE, "mates"): _mates, (UNUSUAL, "invoices"): _invoices, (TARIFF, "first_level"): _first_level,
    (IRREGULAR, "both"): _both, (HISTORY, "both"): _alone, (TARIFF, "uncommon"): _long_periods,
    (IRREGULAR, "uncommon"): _odd_level, (HISTORY, "uncommon"): _odd_period,
}  # fmt: skip
