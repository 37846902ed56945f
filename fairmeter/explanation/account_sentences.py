"""Sentences on what surrounds the consumption: tariff, place and neighbours, account history, detectors.

In:  InvoiceContext (fairmeter/explanation/sentence_inputs.py): a client's invoices, its features and what is usual.
Out: SENTENCES by evidence group and topic; each gives a Sentence, or None if the figures do not support one.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from fairmeter.core.formatting import rate as percent
from fairmeter.core.formatting import share
from fairmeter.explanation.sentence_inputs import InvoiceContext, Sentence, direction
from fairmeter.features.base import HISTORY, PLACE, TARIFF, UNUSUAL
from fairmeter.wording.phrases import Phrase, sentence

# --- tariff and invoice configuration ---------------------------------------------------------------------------------


def _price_levels(it: InvoiceContext) -> Sentence | None:
    first = it.value("level_1_share_mean")
    if np.isnan(first):
        return None
    text = Phrase("account.price_levels", count=it.all_invoices, part=first)
    is_usual = share(first) == share(it.usual("level_1_share_mean"))
    return Sentence(sentence(text, it.usual_clause("level_1_share_mean", "usual.share")), -int(is_usual))


def _periods(it: InvoiceContext) -> Sentence | None:
    months = it.history.months[~np.isnan(it.history.months)]
    if not len(months):
        return None
    n = int((np.abs(months - 4) > 0).sum())
    text = Phrase("account.periods.none", count=it.count_of_invoices(n))
    if n:
        values = {"n": n, "count": it.count_of_invoices(n), "low": months.min(), "high": months.max()}
        text = Phrase("account.periods.some", **values)
    return Sentence(sentence(text, it.usual_clause("not_4_months_share", "usual.do")))


def _gas(it: InvoiceContext) -> Sentence | None:
    part = it.value("gas_share")
    if np.isnan(part):
        return None
    text = Phrase("account.gas.some", part=part) if part else Phrase("account.gas.none")
    return Sentence(sentence(text, it.usual_clause("gas_share", "usual.share_or_none")))


def _tariff(it: InvoiceContext) -> Sentence | None:
    if it.history is None:
        return _n_tariffs(it)
    codes = it.history.tariff
    known = ~np.isnan(codes)
    if not known.any():
        return None
    names = [str(it.names.name("tariff", code)) for code in np.unique(codes[known])]
    text = it.phrase("account.tariff.one", name=names[0])
    if len(names) > 1:
        text = it.phrase("account.tariff.several", names=names, last=str(it.names.name("tariff", codes[known][-1])))
    return Sentence(sentence(text, it.usual_clause("tariff_distinct", "usual.tariffs")))


def _n_tariffs(it: InvoiceContext) -> Sentence | None:
    n = it.value("n_tariffs")
    if np.isnan(n):
        return None
    return Sentence(sentence(Phrase("account.tariff.count", n=n), it.usual_clause("n_tariffs", "usual.have")))


# --- place, category and neighbours -----------------------------------------------------------------------------------


def _flagged(it: InvoiceContext, column: str, which: str, **values: Any) -> Sentence | None:
    """Share of flagged clients in a group of the training data, and that of all clients."""
    rate, rates = it.column(column), it.ensemble.inputs.rates
    if np.isnan(rate) or rates is None or percent(rate) == percent(rates.base_rate):
        return None
    text = Phrase(f"account.flagged.{which}", rate=rate, base=rates.base_rate, **values)
    return Sentence(sentence(text), direction(rate, rates.base_rate))


def _place_parts(it: InvoiceContext) -> list[Phrase]:
    codes = {name: it.features(name) for name in ("category", "region", "district")}
    known = {name: code for name, code in codes.items() if not np.isnan(code)}
    return [Phrase(f"place.{name}", name=str(it.names.name(name, code))) for name, code in known.items()]


def _place(it: InvoiceContext) -> Sentence | None:
    parts = _place_parts(it)
    if not parts:
        return None
    flagged = _flagged(it, "neighbours_place_rate", "place", parts=parts)
    return flagged or Sentence(sentence(Phrase("account.place", parts=parts)))


def _route(it: InvoiceContext) -> Sentence | None:
    return _flagged(it, "neighbours_route_day_mean", "route")


def _creation_cell(it: InvoiceContext) -> Sentence | None:
    return _flagged(it, "neighbours_created_month_rate", "created")


def _tariff_cell(it: InvoiceContext) -> Sentence | None:
    return _flagged(it, "neighbours_tariff_mean", "tariff")


def _exchange_cell(it: InvoiceContext) -> Sentence | None:
    return _flagged(it, "neighbours_meter_code_mean", "meters")


# --- account history --------------------------------------------------------------------------------------------------


def _gaps(it: InvoiceContext) -> Sentence | None:
    gap = it.history.gap
    if np.isnan(gap).all():
        return None
    longest = int(np.nanargmax(gap))
    text = it.phrase("account.gaps", mean=np.nanmean(gap), most=gap[longest], until=it.history.day[longest])
    mean, most = it.usual("gap_mean"), it.usual("gap_max")
    return Sentence(
        sentence(text, "" if np.isnan(mean + most) else Phrase("usual.gaps", like=it.like, mean=mean, most=most))
    )


def _creation(it: InvoiceContext) -> Sentence | None:
    created, first = it.features("created_on"), it.features("first_invoice_on")
    if np.isnan(created + first):
        return None
    return Sentence(sentence(Phrase("account.created", created=created, first=first)))


def _account(it: InvoiceContext) -> Sentence | None:
    if it.history is None:
        return _account_of_aggregates(it)
    day, kind = it.history.day, "one" if len(it.history) == 1 else "several"
    text = Phrase(f"account.invoices.{kind}", count=it.all_invoices, first=day[0], last=day[-1])
    return Sentence(sentence(text, it.usual_clause("n", "usual.have")))


def _account_of_aggregates(it: InvoiceContext) -> Sentence | None:
    n, age = it.value("n_invoices"), it.value("age_months")
    parts = [] if np.isnan(age) else [Phrase("account.age", age=age)]
    parts += [] if np.isnan(n) else [Phrase("account.has", n=n)]
    if not parts:
        return None
    usual = {"age": it.usual("age_months"), "n": it.usual("n_invoices")}
    known = {name: value for name, value in usual.items() if not np.isnan(value)}
    if "n" in known:
        known["n"] = round(known["n"])
    beside = Phrase(f"usual.account.{'_'.join(known)}", like=it.like, **known) if known else ""
    return Sentence(sentence(Phrase("account.all", parts=parts), beside))


# --- unusual shape ----------------------------------------------------------------------------------------------------


def _deviation(it: InvoiceContext) -> Sentence | None:
    value, typical = it.column("z_score"), it.typical("z_score")
    if np.isnan(value + typical):
        return None
    text = Phrase("shape.deviation", value=value)
    return Sentence(sentence(text, Phrase("typical.deviation", typical=typical)), direction(value, typical))


def _average(it: InvoiceContext) -> Sentence | None:
    value, typical = it.column("moving_average"), it.typical("moving_average")
    if np.isnan(value + typical):
        return None
    text = Phrase("shape.average", value=value)
    return Sentence(sentence(text, Phrase("typical.average", typical=typical)), direction(value, typical))


SENTENCES: dict[tuple[str, str], Callable[[InvoiceContext], Sentence | None]] = {
    (TARIFF, "price_levels"): _price_levels, (TARIFF, "periods"): _periods, (TARIFF, "gas"): _gas,
    (TARIFF, "tariff"): _tariff,
    (PLACE, "place"): _place, (PLACE, "route"): _route, (PLACE, "creation"): _creation_cell,
    (PLACE, "tariff"): _tariff_cell, (PLACE, "meters"): _exchange_cell,
    (HISTORY, "gaps"): _gaps, (HISTORY, "creation"): _creation, (HISTORY, "account"): _account,
    (UNUSUAL, "deviation"): _deviation, (UNUSUAL, "average"): _average,
}  # fmt: skip
