"""Sentences on the topics of a client's invoices: its own figures, and what is usual for clients like it.

In:  InvoiceContext (fairmeter/explanation/sentence_inputs.py): a client's invoices, its features and what is usual.
Out: a Sentence for each topic of topics.INVOICE_TOPICS; None if the client's figures do not support one.
"""

from collections.abc import Callable

import numpy as np

from fairmeter.core.formatting import share_or_none
from fairmeter.explanation import account_sentences, pattern_sentences
from fairmeter.explanation.sentence_inputs import InvoiceContext, Sentence, direction
from fairmeter.explanation.topics import Topic
from fairmeter.features.base import DISCREPANCY, FALL, IRREGULAR, LOW
from fairmeter.features.invoices.consumption import (
    LARGE_CHANGE,
    NEAR_ZERO_KWH,
    SAME_RATIO,
    SEASON_OF_MONTH,
    SEASONS,
)
from fairmeter.wording.phrases import Phrase, sentence

UNCHANGED = 0.05  # of the level: a smaller change counts as none
YEAR = 365  # days
REMARKS = (6, 8, 9)  # codes of the meter reader that the features count
UPPER_LEVELS = (2, 3, 4)

SentenceRule = Callable[[InvoiceContext], Sentence | None]


# --- fall in consumption ----------------------------------------------------------------------------------------------


def _change(it: InvoiceContext) -> Sentence | None:
    """Level before and after the clearest change."""
    day, ago = it.history.day, it.value("split_level_ago")
    if np.isnan(ago):
        return None
    is_after = it.history.from_day(day[-1] - ago)
    before, after = it.history.rate(~is_after), it.history.rate(is_after)
    if np.isnan(before + after) or before <= 0:
        return None
    ratio = after / before - 1.0
    kind = "kept" if abs(ratio) < UNCHANGED else "fell" if ratio < 0 else "rose"
    values = {"before": before, "after": after, "since": day[~is_after][-1], "part": abs(ratio)}
    usual = it.usual_clause("split_level_size", "usual.clearest_change", np.expm1)
    return Sentence(sentence(it.phrase(f"invoice.change.{kind}", **values), usual), 1 if kind == "fell" else -1)


def _year_on_year(it: InvoiceContext) -> Sentence | None:
    """The invoice with the largest fall from a year before."""
    off = it.history.year_on_year
    if np.isnan(off).all():
        return None
    at = int(np.nanargmin(off))
    now, then = it.history.monthly[at], np.expm1(it.history.level[at] - off[at])
    usual = it.usual_clause("year_on_year_min", "usual.deepest", lambda x: min(np.expm1(x), 0.0))
    if now >= then * (1.0 - UNCHANGED):
        return Sentence(sentence(it.phrase("invoice.year.none"), usual), -1)
    values = {"at": it.history.day[at], "part": 1.0 - now / then, "now": now, "then": then}
    text = it.phrase("invoice.year.below", **values)
    return Sentence(sentence(text, usual), direction(-off[at], -it.usual("year_on_year_min")))


def _years(it: InvoiceContext) -> Sentence | None:
    """The last year and the three years before it."""
    back = it.history.day[-1] - it.history.day
    now = it.history.rate(back < YEAR)
    before = it.history.rate((back >= YEAR) & (back < 4 * YEAR))
    if np.isnan(now):
        return None
    usual = it.usual_clause("year_0_level", "usual.last_year", np.expm1)
    values = {"now": now, "until": it.history.day[-1]}
    if np.isnan(before):
        return Sentence(sentence(it.phrase("invoice.years.last", **values), usual))
    suspicion = 0 if abs(now - before) < UNCHANGED * before else 1 if now < before else -1
    return Sentence(sentence(it.phrase("invoice.years.both", **values, before=before), usual), suspicion)


def _drops(it: InvoiceContext) -> Sentence | None:
    """Invoices with less than half of the consumption of the one before."""
    step = it.history.change
    if np.isnan(step).all():
        return None
    deepest = int(np.nanargmin(step))
    n = int((step < -LARGE_CHANGE).sum())
    usual = it.usual_clause("fall_n", "usual.falls", round)
    now, then = it.history.monthly[deepest], np.expm1(it.history.level[deepest] - step[deepest])
    values = {"at": it.history.day[deepest], "now": now, "then": then}
    fall = it.phrase("invoice.drops.deepest", **values) if now < then * (1.0 - UNCHANGED) else ""
    text = Phrase("invoice.drops.halves", n=n, count=it.count_of_invoices(n))
    return Sentence(sentence(text, fall, usual), direction(n, it.usual("fall_n")) if n else -1)


# --- low or zero use --------------------------------------------------------------------------------------------------


def _level(it: InvoiceContext) -> Sentence | None:
    rate = it.history.rate(np.ones(len(it.history), bool))
    if np.isnan(rate):
        return None
    low, high = np.nanmin(it.history.monthly), np.nanmax(it.history.monthly)
    text = it.phrase("invoice.level.same", rate=rate, n=len(it.history))
    if high > low:
        text = it.phrase("invoice.level.range", rate=rate, n=len(it.history), low=low, high=high)
    usual = it.usual_clause("monthly_mean", "usual.average")
    # A high level does not speak for a client.
    return Sentence(sentence(text, usual), int(rate < it.usual("monthly_mean")))


def _zero(it: InvoiceContext) -> Sentence | None:
    is_low = it.history.kwh <= NEAR_ZERO_KWH * it.history.months
    n, run = int(is_low.sum()), 0
    values = {"count": it.count_of_invoices(n), "limit": NEAR_ZERO_KWH}
    if n:
        run = int(it.value("near_zero_longest"))
        values |= {"n": n, "last": it.history.day[is_low][-1]} | ({"run": run} if run > 1 else {})
    text = it.phrase(f"invoice.zero.{'none' if n == 0 else 'run' if run > 1 else 'some'}", **values)
    suspicion = -1 if n == 0 else direction(n / len(it.history), it.usual("near_zero_share"))
    return Sentence(sentence(text, it.usual_clause("near_zero_share", "usual.some_do")), suspicion)


def _upper(it: InvoiceContext) -> Sentence | None:
    """Number of invoices that reach the higher price levels."""
    shares = {level: it.value(f"level_{level}_share") for level in UPPER_LEVELS}
    if any(np.isnan(x) for x in shares.values()):
        return None
    counts = {level: round(x * len(it.history)) for level, x in shares.items() if x > 0}
    parts = [Phrase("invoice.upper.part", n=n, level=level) for level, n in counts.items()]
    if parts:
        text = Phrase("invoice.upper.some", count=it.all_invoices, parts=parts)
    else:
        text = Phrase("invoice.upper.none", count=it.count_of_invoices(0))
    is_usual = share_or_none(shares[2]) == share_or_none(it.usual("level_2_share"))
    return Sentence(sentence(text, it.usual_clause("level_2_share", "usual.reach_second")), -int(is_usual))


def _sums(it: InvoiceContext) -> Sentence | None:
    """Consumption of an invoice of any energy; that at the first price level if the total is not given."""
    name, kind = "total_consumption", "total"
    if np.isnan(it.value("total_consumption_mean")):
        name, kind = "consumption_level_1", "first_level"
    mean, low, high = (it.value(f"{name}_{what}") for what in ("mean", "min", "max"))
    if np.isnan(mean):
        return None
    text = Phrase(f"invoice.sums.{kind}", mean=mean)
    if not np.isnan(low + high):
        text = Phrase(f"invoice.sums.{kind}_range", mean=mean, low=low, high=high)
    usual = it.usual_clause(f"{name}_mean", "usual.sums")
    return Sentence(sentence(text, usual), int(mean < it.usual(f"{name}_mean")))


# --- irregular use ----------------------------------------------------------------------------------------------------


def _jumps(it: InvoiceContext) -> Sentence | None:
    jump = it.value("jump_mean")
    if np.isnan(jump):
        return None
    text = it.phrase("invoice.jumps", factor=np.exp(jump))
    return Sentence(
        sentence(text, it.usual_clause("jump_mean", "usual.factor", np.exp)), direction(jump, it.usual("jump_mean"))
    )


def _same(it: InvoiceContext) -> Sentence | None:
    n = int((np.abs(it.history.change) < SAME_RATIO).sum())
    text = Phrase("invoice.same", n=n, count=it.count_of_invoices(n))
    usual = it.usual_clause("same_share", "usual.some_do")
    return Sentence(sentence(text, usual), direction(n / len(it.history), it.usual("same_share")))


def _seasons(it: InvoiceContext) -> Sentence | None:
    months = it.history.day.astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12
    season = SEASON_OF_MONTH[months]
    rates = {name: it.history.rate(season == i) for i, name in enumerate(SEASONS)}
    known = {name: rate for name, rate in rates.items() if not np.isnan(rate)}
    if len(known) < 2:
        return None
    text = it.phrase("invoice.seasons.own", parts=_in_seasons(known))
    usual = {name: np.expm1(it.usual(f"{name}_level")) for name in ("summer", "winter") if name in known}
    if not usual or np.isnan(list(usual.values())).any():
        return Sentence(sentence(text))
    return Sentence(sentence(text, Phrase("usual.seasons", like=it.like, parts=_in_seasons(usual))))


def _in_seasons(rates: dict[str, float]) -> list[Phrase]:
    return [Phrase("invoice.seasons.part", rate=rate, season=name) for name, rate in rates.items()]


# --- discrepancies ----------------------------------------------------------------------------------------------------


def _remark(it: InvoiceContext) -> Sentence | None:
    counts = {code: int((it.history.remark == code).sum()) for code in REMARKS}
    parts = [Phrase("invoice.remark.part", code=code, n=n) for code, n in counts.items() if n]
    if not parts:
        return None
    text = Phrase("invoice.remark.own", parts=parts, count=it.all_invoices)
    shares = {code: it.usual(f"remark_{code}_share") for code in REMARKS}
    known = [Phrase("usual.remark_part", code=code, part=x) for code, x in shares.items() if not np.isnan(x)]
    return Sentence(sentence(text, Phrase("usual.remarks", like=it.like, parts=known) if known else ""))


def _index(it: InvoiceContext) -> Sentence | None:
    """Agreement of the index with the billed consumption, and whether it moves forward."""
    off, moved = it.history.mismatch, it.history.new_index - it.history.old_index
    known = ~np.isnan(off)
    n, n_back, n_still = int((np.abs(off) > 0).sum()), int((moved < 0).sum()), int((moved == 0).sum())
    if not known.any():
        return None
    if n:
        largest = off[known][np.abs(off[known]).argmax()]
        way = "more" if largest > 0 else "less"
        text = it.phrase(f"invoice.index.{way}", count=it.count_of_invoices(n), most=abs(largest))
    else:
        text = Phrase("invoice.index.agrees", count=it.invoices_named(int(known.sum())))
    back = Phrase("invoice.index.back", n=n_back) if n_back else ""
    still = Phrase("invoice.index.still", n=n_still) if n_still else ""
    name = "stall_n" if n_still and not n else "mismatch_n"
    usual = it.usual_clause(name, f"usual.{name}", round)
    return Sentence(sentence(text, back, still, usual), 1 if n or n_back else 0 if n_still else -1)


def _meter(it: InvoiceContext) -> Sentence | None:
    n, changed = it.value("meter_distinct"), it.value("meter_changed_on")
    if np.isnan(n):
        return None
    text = it.phrase("invoice.meters.ever", n=n)
    if not np.isnan(changed):
        text = it.phrase("invoice.meters.changed", n=n, changed=changed)
    usual = it.usual_clause("meter_distinct", "usual.have")
    return Sentence(sentence(text, usual), direction(n, it.usual("meter_distinct")))


SENTENCES: dict[tuple[str, str], SentenceRule] = {
    **account_sentences.SENTENCES,
    **pattern_sentences.SENTENCES,
    (FALL, "change"): _change, (FALL, "year_on_year"): _year_on_year, (FALL, "years"): _years, (FALL, "drops"): _drops,
    (LOW, "level"): _level, (LOW, "zero"): _zero, (LOW, "upper"): _upper, (LOW, "sums"): _sums,
    (IRREGULAR, "jumps"): _jumps, (IRREGULAR, "same"): _same, (IRREGULAR, "seasons"): _seasons,
    (DISCREPANCY, "remark"): _remark, (DISCREPANCY, "index"): _index, (DISCREPANCY, "meter"): _meter,
}  # fmt: skip


def invoice_sentence(it: InvoiceContext, topic: Topic) -> Sentence | None:
    """The sentence on a topic; None if the client's figures do not support one."""
    if it.energy and it.history is None:
        return None
    return SENTENCES[topic.group, topic.name](it)
