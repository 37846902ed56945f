"""The page of a transformer: its energy balance by week, and its clients by score.

In:  the transformer's id.
Out: the page at /desk/transformer/ID; the section on the transformer of a client's page.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from werkzeug.exceptions import NotFound

from fairmeter.core.types import EnergyBalance
from fairmeter.desk.client_profile import ClientProfile
from fairmeter.store import Store
from fairmeter.web.http import i18n
from fairmeter.web.pages import charts
from fairmeter.web.pages.site import Site, render
from fairmeter.web.pages.transformers.falls import ended_on, falls_by_week, unexplained

MAX_CLIENTS = 200
FIT = "transformer_loss_fit"  # the fact: correlation of the client's falls with the loss
MIN_FIT, MIN_PARTIAL_FIT = 0.6, 0.3  # correlations: from here on "fits" and "fits in part"


def register(site: Site) -> None:
    store = site.desk.store

    @site.page("/transformer/<path:transformer_id>")
    def transformer(transformer_id: str):
        balance = store.find_balance(transformer_id)
        clients = store.clients_of_transformer(transformer_id, MAX_CLIENTS)
        if balance is None and not clients:
            raise NotFound
        ids = [client.client_id for client in clients]
        fits = store.fact_of(ids, FIT)
        fitting = [client_id for client_id in ids if fits.get(client_id, 0.0) >= MIN_PARTIAL_FIT]
        falls = falls_by_week(balance, store.series_of(fitting), fitting) if balance else None
        return render(
            "transformer.html",
            transformer_id=transformer_id,
            balance=balance,
            clients=sorted(clients, key=lambda client: -fits.get(client.client_id, -1.0)),
            fits=fits,
            fit_word=fit_word,
            unexplained=unexplained(balance, falls) if balance else None,
            ended=ended_on(balance) if balance else None,
            most=MAX_CLIENTS,
            course=delivery_chart(balance, falls) if balance else None,
        )


def transformer_context(store: Store, profile: ClientProfile) -> dict[str, Any]:
    """What client_transformer.html receives: balance, loss_chart, fit (correlation) and fit_word."""
    balance = store.find_balance(profile.client["transformer_id"])
    if balance is None:
        return {"balance": None}
    fit = profile.facts.get(FIT)
    return {"balance": balance, "loss_chart": loss_chart(balance), "fit": fit, "fit_word": fit_word(fit)}


def fit_word(fit: float | None) -> str | None:
    """The suffix of the text on a correlation: fits, partly or not; None without one."""
    if fit is None:
        return None
    return "fits" if fit >= MIN_FIT else "partly" if fit >= MIN_PARTIAL_FIT else "not"


# --- charts -----------------------------------------------------------------------------------------------------------


def delivery_chart(balance: EnergyBalance, falls: Sequence[float] | None = None) -> charts.Chart:
    """Energy delivered by week: accounted for, and lost; over it what clients that fit used less. [kWh]"""
    weeks = week_starts(balance)
    pairs = list(zip(balance.delivered_weeks, balance.lost_weeks, strict=True))
    accounted = [None if d is None or lost is None else round(d - max(lost, 0.0), 1) for d, lost in pairs]
    lost = [None if lost is None else round(lost, 1) for _, lost in pairs]
    hover = {"hovertemplate": "%{x|%d %b %Y}: %{y:,.0f} kWh<extra></extra>"}
    stacks = [
        charts.bars(weeks, accounted, i18n.text("transformer.accounted"), "var(--line-2)", **hover),
        charts.bars(weeks, lost, i18n.text("transformer.lost"), charts.BAD, **hover),
    ]
    if falls:
        stacks.append(charts.line(weeks, falls, i18n.text("transformer.falls"), "var(--ink)", **hover))
    shapes, notes = onset_marks(balance)
    layout = {"barmode": "relative", "bargap": 0.1, "showlegend": True, "shapes": shapes, "annotations": notes}
    layout |= {"yaxis": {"title": i18n.text("transformer.kwh_week"), "rangemode": "tozero"}, "xaxis": {"type": "date"}}
    below = {"orientation": "h", "y": -0.14, "yanchor": "top", "x": 0}
    return charts.chart(*stacks, **layout, legend=below, margin={"l": 56, "r": 16, "t": 28, "b": 36})


def loss_chart(balance: EnergyBalance) -> charts.Chart:
    """The lost share of the delivered energy by week. [0..1]"""
    shares = [
        None if not delivered or lost is None else round(lost / delivered, 4)
        for delivered, lost in zip(balance.delivered_weeks, balance.lost_weeks, strict=True)
    ]
    hover = {"hovertemplate": "%{x|%d %b %Y}: %{y:.0%}<extra></extra>"}
    line = charts.line(week_starts(balance), shares, colour=charts.BAD, **hover)
    shapes, notes = onset_marks(balance)
    axes = {"yaxis": {"tickformat": ".0%", "rangemode": "tozero", "nticks": 4}, "xaxis": {"type": "date"}}
    return charts.chart(line, **axes, shapes=shapes, annotations=notes, margin={"l": 48, "r": 16, "t": 28, "b": 32})


def onset_marks(balance: EnergyBalance) -> tuple[list[dict], list[dict]]:
    """The shape and annotation of the first week with a loss; none where that is the first week of all."""
    if balance.since_on is None or balance.since_on == balance.weeks_from:
        return [], []
    shape, note = charts.vertical_line(balance.since_on.isoformat(), i18n.text("transformer.since"))
    return [shape], [note]


def week_starts(balance: EnergyBalance) -> Sequence[str]:
    """The first day of each week of the balance, in ISO format."""
    return [(balance.weeks_from + timedelta(weeks=n)).isoformat() for n in range(len(balance.delivered_weeks))]
