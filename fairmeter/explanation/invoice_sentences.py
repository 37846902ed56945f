"""Sentences on the topics of a client's invoices: its own figures, and what is usual for clients like it.

In:  InvoiceContext (fairmeter/explanation/sentence_inputs.py): a client's invoices, its features and what is usual.
Out: a Sentence for each topic of topics.INVOICE_TOPICS; None if the client's figures do not support one.
"""

from collections.abc import Callable

import numpy as np

from fairmeter.core.formatting import change, counted, figure, join_names, month, sentence, share, share_or_none
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

UNCHANGED = 0.05  # of the level: a smaller change counts as none
YEAR = 365  # days
REMARKS = (6, 8, 9)  # codes of the meter reader that the features count
ORDINALS = {2: "second", 3: "third", 4: "fourth"}

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
    since, ratio = month(day[~is_after][-1]), after / before - 1.0
    usual = it.usual_clause(
        "split_level_size", "for {like} the clearest change is usually {usual}", lambda x: change(np.expm1(x))
    )
    if abs(ratio) < UNCHANGED:
        text = f"{it.energy_name} kept its level, {it.per_month(before)} until {since} and {figure(after)} after"
        return Sentence(sentence(text, usual), -1)
    way = f"{'fell' if ratio < 0 else 'rose'} {share(abs(ratio))}"
    text = f"{it.energy_name} {way} after {since}, from {figure(before)} to {it.per_month(after)}"
    return Sentence(sentence(text, usual), 1 if ratio < 0 else -1)


def _year_on_year(it: InvoiceContext) -> Sentence | None:
    """The invoice with the largest fall from a year before."""
    off = it.history.year_on_year
    if np.isnan(off).all():
        return None
    at = int(np.nanargmin(off))
    now, then = it.history.monthly[at], np.expm1(it.history.level[at] - off[at])
    usual = it.usual_clause(
        "year_on_year_min", "for {like} the deepest is usually {usual}", lambda x: change(min(np.expm1(x), 0.0))
    )
    if now >= then * (1.0 - UNCHANGED):
        return Sentence(sentence(f"no {it.invoice_name} lies clearly below that of a year before", usual), -1)
    text = f"the {it.invoice_name} of {month(it.history.day[at])} lies {share(1.0 - now / then)} below"
    text += f" that of a year before, {figure(now)} against {it.per_month(then)}"
    return Sentence(sentence(text, usual), direction(-off[at], -it.usual("year_on_year_min")))


def _years(it: InvoiceContext) -> Sentence | None:
    """The last year and the three years before it."""
    back = it.history.day[-1] - it.history.day
    now = it.history.rate(back < YEAR)
    before = it.history.rate((back >= YEAR) & (back < 4 * YEAR))
    if np.isnan(now):
        return None
    usual = it.usual_clause(
        "year_0_level", "{like} usually take {usual} in their last year", lambda x: figure(np.expm1(x))
    )
    text = f"{it.energy_name} came to {it.per_month(now)} in the year up to {month(it.history.day[-1])}"
    if np.isnan(before):
        return Sentence(sentence(text, usual))
    suspicion = 0 if abs(now - before) < UNCHANGED * before else 1 if now < before else -1
    return Sentence(sentence(f"{text}, to {figure(before)} in the three years before", usual), suspicion)


def _drops(it: InvoiceContext) -> Sentence | None:
    """Invoices with less than half of the consumption of the one before."""
    step = it.history.change
    if np.isnan(step).all():
        return None
    deepest = int(np.nanargmin(step))
    n = int((step < -LARGE_CHANGE).sum())
    usual = it.usual_clause("fall_n", "{like} usually have {usual}", lambda x: counted(round(x), "such fall"))
    now, then = it.history.monthly[deepest], np.expm1(it.history.level[deepest] - step[deepest])
    text = f"{it.count_of_invoices(n)} {'is' if n < 2 else 'are'} less than half of the one before"
    if now < then * (1.0 - UNCHANGED):
        text += (
            f"; the deepest fall, in {month(it.history.day[deepest])}, is from {figure(then)} to {it.per_month(now)}"
        )
    return Sentence(sentence(text, usual), direction(n, it.usual("fall_n")) if n else -1)


# --- low or zero use --------------------------------------------------------------------------------------------------


def _level(it: InvoiceContext) -> Sentence | None:
    rate = it.history.rate(np.ones(len(it.history), bool))
    if np.isnan(rate):
        return None
    low, high = np.nanmin(it.history.monthly), np.nanmax(it.history.monthly)
    text = f"{it.energy_name} averages {it.per_month(rate)} over {counted(len(it.history), 'invoice')}"
    text += f", from {figure(low)} to {figure(high)}" if high > low else ""
    usual = it.usual_clause("monthly_mean", "{like} usually average {usual}", figure)
    return Sentence(
        sentence(text, usual), int(rate < it.usual("monthly_mean"))
    )  # a high level does not speak for a client


def _zero(it: InvoiceContext) -> Sentence | None:
    is_low = it.history.kwh <= NEAR_ZERO_KWH * it.history.months
    n, limit = int(is_low.sum()), f"{NEAR_ZERO_KWH:.0f} {it.unit} a month or less"
    usual = it.usual_clause("near_zero_share", "for {like} usually {usual} do", _share_or_none)
    text = f"{it.count_of_invoices(n)} {'bills' if n < 2 else 'bill'} {limit}"
    if n:
        text += f", the last in {month(it.history.day[is_low][-1])}"
        run = int(it.value("near_zero_longest"))
        text += f", {run} of them in a row" if run > 1 else ""
    suspicion = -1 if n == 0 else direction(n / len(it.history), it.usual("near_zero_share"))
    return Sentence(sentence(text, usual), suspicion)


def _upper(it: InvoiceContext) -> Sentence | None:
    """Number of invoices that reach the higher price levels."""
    shares = {level: it.value(f"level_{level}_share") for level in ORDINALS}
    if any(np.isnan(x) for x in shares.values()):
        return None
    counts = [f"{round(x * len(it.history))} the {ORDINALS[level]}" for level, x in shares.items() if x > 0]
    if counts:
        text = (
            f"of {counted(len(it.history), it.invoice_name)} so many reach a dearer price level: {join_names(counts)}"
        )
    else:
        text = f"{it.count_of_invoices(0)} reaches the second price level"
    usual = it.usual_clause("level_2_share", "for {like} usually {usual} reach the second", share_or_none)
    is_usual = share_or_none(shares[2]) == share_or_none(it.usual("level_2_share"))
    return Sentence(sentence(text, usual), -int(is_usual))


def _share_or_none(part: float) -> str:
    return share(part) if part else "none"


def _sums(it: InvoiceContext) -> Sentence | None:
    """Consumption of an invoice of any energy; that at the first price level if the total is not given."""
    name, at = "total_consumption", ""
    if np.isnan(it.value("total_consumption_mean")):
        name, at = "consumption_level_1", " at the first price level"
    mean, low, high = (it.value(f"{name}_{what}") for what in ("mean", "min", "max"))
    if np.isnan(mean):
        return None
    text = f"an invoice bills {figure(mean)} kWh on average{at}"
    text += "" if np.isnan(low + high) else f", from {figure(low)} to {figure(high)}"
    usual = it.usual_clause(f"{name}_mean", "those of {like} usually {usual}", figure)
    return Sentence(sentence(text, usual), int(mean < it.usual(f"{name}_mean")))


# --- irregular use ----------------------------------------------------------------------------------------------------


def _jumps(it: InvoiceContext) -> Sentence | None:
    jump = it.value("jump_mean")
    if np.isnan(jump):
        return None
    text = f"from one {it.invoice_name} to the next the consumption a month changes by a factor of {np.exp(jump):.1f}"
    usual = it.usual_clause("jump_mean", "for {like} usually by {usual}", lambda x: f"{np.exp(x):.1f}")
    return Sentence(sentence(f"{text} on average", usual), direction(jump, it.usual("jump_mean")))


def _same(it: InvoiceContext) -> Sentence | None:
    n = int((np.abs(it.history.change) < SAME_RATIO).sum())
    usual = it.usual_clause("same_share", "for {like} usually {usual} do", _share_or_none)
    verb = "repeats" if n < 2 else "repeat"
    text = f"{it.count_of_invoices(n)} {verb} the consumption a month of the one before to 2 %"
    return Sentence(sentence(text, usual), direction(n / len(it.history), it.usual("same_share")))


def _seasons(it: InvoiceContext) -> Sentence | None:
    months = it.history.day.astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12
    season = SEASON_OF_MONTH[months]
    rates = {name: it.history.rate(season == i) for i, name in enumerate(SEASONS)}
    known = {name: rate for name, rate in rates.items() if not np.isnan(rate)}
    if len(known) < 2:
        return None
    parts = join_names(f"{figure(rate)} in {name}" for name, rate in known.items())
    text = f"{it.energy_name} invoices dated by season come to {parts}, in {it.unit} a month"
    usual = {name: np.expm1(it.usual(f"{name}_level")) for name in ("summer", "winter") if name in known}
    if not usual or np.isnan(list(usual.values())).any():
        return Sentence(sentence(text))
    beside = join_names(f"{figure(level)} in {name}" for name, level in usual.items())
    return Sentence(sentence(text, f"those of {it.like} usually to {beside}"))


# --- discrepancies ----------------------------------------------------------------------------------------------------


def _remark(it: InvoiceContext) -> Sentence | None:
    counts = {code: int((it.history.remark == code).sum()) for code in REMARKS}
    found = {code: n for code, n in counts.items() if n}
    if not found:
        return None
    parts = join_names(f"{code} on {n}" for code, n in found.items())
    text = f"the reader's remark is {parts} of {counted(len(it.history), it.invoice_name)}"
    shares = {code: it.usual(f"remark_{code}_share") for code in REMARKS}
    known = [f"{code} on {share(x)}" for code, x in shares.items() if not np.isnan(x)]
    return Sentence(sentence(text, f"for {it.like} usually {join_names(known)}" if known else ""))


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
        text = f"on {it.count_of_invoices(n)} the index moved by another amount than was billed"
        text += f", at most by {figure(abs(largest))} {it.unit} {way}"
    else:
        text = f"on all of {counted(int(known.sum()), it.invoice_name)} the index moved by what was billed"
    back = f"it ran backwards on {n_back}" if n_back else ""
    still = f"it stood still on {n_still}" if n_still else ""
    name, such = ("stall_n", "invoice on which it stands still") if n_still and not n else ("mismatch_n", "mismatch")
    many = "mismatches" if such == "mismatch" else "invoices on which it stands still"
    usual = it.usual_clause(name, "{like} usually have {usual}", lambda x: counted(round(x), such, many))
    return Sentence(sentence(text, back, still, usual), 1 if n or n_back else 0 if n_still else -1)


def _meter(it: InvoiceContext) -> Sentence | None:
    n, changed = it.value("meter_distinct"), it.value("meter_changed_on")
    if np.isnan(n):
        return None
    text = f"{it.energy_name} was invoiced from {counted(n, 'meter')}"
    text += "" if np.isnan(changed) else f", the last exchange in {month(changed)}"
    usual = it.usual_clause("meter_distinct", "{like} usually have {usual}", lambda x: f"{x:.0f}")
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
