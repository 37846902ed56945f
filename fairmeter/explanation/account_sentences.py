"""Sentences on what surrounds the consumption: tariff, place and neighbours, account history, detectors.

In:  InvoiceContext (fairmeter/explanation/sentence_inputs.py): a client's invoices, its features and what is usual.
Out: SENTENCES by evidence group and topic; each gives a Sentence, or None if the figures do not support one.
"""

from collections.abc import Callable

import numpy as np

from fairmeter.core.formatting import counted, figure, join_names, month, sentence, share, share_or_none
from fairmeter.core.formatting import rate as percent
from fairmeter.explanation.sentence_inputs import InvoiceContext, Sentence, direction
from fairmeter.features.base import HISTORY, PLACE, TARIFF, UNUSUAL

# --- tariff and invoice configuration ---------------------------------------------------------------------------------


def _price_levels(it: InvoiceContext) -> Sentence | None:
    first = it.value("level_1_share_mean")
    if np.isnan(first):
        return None
    text = (
        f"on {counted(len(it.history), it.invoice_name)} {share(first)} is billed at the first price level on average"
    )
    is_usual = share(first) == share(it.usual("level_1_share_mean"))
    usual = it.usual_clause("level_1_share_mean", "for {like} usually {usual}", share)
    return Sentence(sentence(text, usual), -int(is_usual))


def _periods(it: InvoiceContext) -> Sentence | None:
    months = it.history.months[~np.isnan(it.history.months)]
    if not len(months):
        return None
    n = int((np.abs(months - 4) > 0).sum())
    verb = "covers" if n < 2 else "cover"
    text = f"{it.count_of_invoices(n)} {verb} another period than four months"
    text += f", from {figure(months.min())} to {figure(months.max())} months" if n else ""
    return Sentence(sentence(text, it.usual_clause("not_4_months_share", "for {like} usually {usual} do", share)))


def _gas(it: InvoiceContext) -> Sentence | None:
    part = it.value("gas_share")
    if np.isnan(part):
        return None
    text = f"{share(part)} of the invoices are for gas" if part else "no invoice is for gas"
    return Sentence(sentence(text, it.usual_clause("gas_share", "for {like} usually {usual}", share_or_none)))


def _tariff(it: InvoiceContext) -> Sentence | None:
    if it.history is None:
        n = it.value("n_tariffs")
        text = f"the client has {counted(n, 'tariff')}"
        return (
            None
            if np.isnan(n)
            else Sentence(
                sentence(text, it.usual_clause("n_tariffs", "{like} usually have {usual}", lambda x: f"{x:.0f}"))
            )
        )
    codes = it.history.tariff
    known = ~np.isnan(codes)
    if not known.any():
        return None
    names = [it.names.name("tariff", code) for code in np.unique(codes[known])]
    text = (
        f"the {it.energy_name} tariff is {names[0]} throughout"
        if len(names) == 1
        else f"{it.energy_name} was billed by tariffs {join_names(names)}"
    )
    if len(names) > 1:
        text += f", lately by {it.names.name('tariff', codes[known][-1])}"
    return Sentence(
        sentence(
            text, it.usual_clause("tariff_distinct", "{like} usually have {usual}", lambda x: counted(x, "tariff"))
        )
    )


# --- place, category and neighbours -----------------------------------------------------------------------------------


def _flagged(it: InvoiceContext, column: str, which: str) -> Sentence | None:
    """Share of flagged clients in a group of the training data, and that of all clients."""
    rate, rates = it.column(column), it.ensemble.inputs.rates
    if np.isnan(rate) or rates is None or percent(rate) == percent(rates.base_rate):
        return None
    flagged = f"{percent(rate)} were flagged for fraud in the training data"
    text = f"of the clients {which}, {flagged}, of all {percent(rates.base_rate)}"
    return Sentence(sentence(text), direction(rate, rates.base_rate))


def _place_words(it: InvoiceContext) -> str:
    codes = {name: it.features(name) for name in ("category", "region", "district")}
    known = {name: code for name, code in codes.items() if not np.isnan(code)}
    return ", ".join(f"{name} {it.names.name(name, code)}" for name, code in known.items())


def _place(it: InvoiceContext) -> Sentence | None:
    words = _place_words(it)
    if not words:
        return None
    return _flagged(it, "neighbours_place_rate", f"of {words}") or Sentence(sentence(f"the client is of {words}"))


def _route(it: InvoiceContext) -> Sentence | None:
    return _flagged(it, "neighbours_route_day_mean", "of its region that are invoiced on the same days")


def _creation_cell(it: InvoiceContext) -> Sentence | None:
    return _flagged(it, "neighbours_created_month_rate", "of its region whose account is of the same month")


def _tariff_cell(it: InvoiceContext) -> Sentence | None:
    return _flagged(it, "neighbours_tariff_mean", "of its region with the same tariff")


def _exchange_cell(it: InvoiceContext) -> Sentence | None:
    return _flagged(it, "neighbours_meter_code_mean", "of its region with the same meter codes")


# --- account history --------------------------------------------------------------------------------------------------


def _gaps(it: InvoiceContext) -> Sentence | None:
    gap = it.history.gap
    if np.isnan(gap).all():
        return None
    longest = int(np.nanargmax(gap))
    text = f"{it.energy_name} is invoiced every {figure(np.nanmean(gap))} days on average, "
    text += f"the longest time between two invoices being {figure(gap[longest])} days, "
    text += f"up to {month(it.history.day[longest])}"
    mean, most = it.usual("gap_mean"), it.usual("gap_max")
    usual = "" if np.isnan(mean + most) else f"for {it.like} usually every {figure(mean)} days, at most {figure(most)}"
    return Sentence(sentence(text, usual))


def _creation(it: InvoiceContext) -> Sentence | None:
    created, first = it.features("created_on"), it.features("first_invoice_on")
    if np.isnan(created + first):
        return None
    text = f"the account was created in {month(created)}, its first invoice is of {month(first)}"
    return Sentence(sentence(text))


def _account(it: InvoiceContext) -> Sentence | None:
    if it.history is not None:
        day = it.history.day
        text = f"there {'is' if len(day) == 1 else 'are'} {counted(len(day), it.invoice_name)}"
        text += f", from {month(day[0])} to {month(day[-1])}" if len(day) > 1 else f", of {month(day[0])}"
        return Sentence(sentence(text, it.usual_clause("n", "{like} usually have {usual}", lambda x: f"{x:.0f}")))
    n, age = it.value("n_invoices"), it.value("age_months")
    parts = [] if np.isnan(age) else [f"is {figure(age)} months old at its last invoice"]
    parts += [] if np.isnan(n) else [f"has {counted(n, 'invoice')}"]
    if not parts:
        return None
    usual = it.usual_clause("age_months", "those of {like} are usually {usual} months old", figure)
    also = it.usual_clause("n_invoices", "and have {usual}", lambda x: counted(round(x), "invoice"))
    return Sentence(sentence(f"the account {join_names(parts)}", f"{usual} {also}".strip()))


# --- unusual shape ----------------------------------------------------------------------------------------------------


def _deviation(it: InvoiceContext) -> Sentence | None:
    value, typical = it.column("z_score"), it.typical("z_score")
    if np.isnan(value + typical):
        return None
    text = f"taken together its figures lie {value:.1f} standard deviations from the mean of all clients"
    return Sentence(sentence(text, f"those of the typical client {typical:.1f}"), direction(value, typical))


def _average(it: InvoiceContext) -> Sentence | None:
    value, typical = it.column("moving_average"), it.typical("moving_average")
    if np.isnan(value + typical):
        return None
    text = f"the invoice that deviates most from the three before it does so by {value:.1f} standard deviations"
    return Sentence(sentence(text, f"the typical client's by {typical:.1f}"), direction(value, typical))


SENTENCES: dict[tuple[str, str], Callable[[InvoiceContext], Sentence | None]] = {
    (TARIFF, "price_levels"): _price_levels, (TARIFF, "periods"): _periods, (TARIFF, "gas"): _gas,
    (TARIFF, "tariff"): _tariff,
    (PLACE, "place"): _place, (PLACE, "route"): _route, (PLACE, "creation"): _creation_cell,
    (PLACE, "tariff"): _tariff_cell, (PLACE, "meters"): _exchange_cell,
    (HISTORY, "gaps"): _gaps, (HISTORY, "creation"): _creation, (HISTORY, "account"): _account,
    (UNUSUAL, "deviation"): _deviation, (UNUSUAL, "average"): _average,
}  # fmt: skip
