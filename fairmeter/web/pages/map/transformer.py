"""A transformer: where its energy went, week by week, and its clients by score.

In:  the transformer's id.
Out: the page at /desk/transformer/ID; what the page of a client shows of its transformer.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from werkzeug.exceptions import NotFound

from fairmeter.core.types import EnergyBalance
from fairmeter.store import Store
from fairmeter.web.desk_api import schemas as told
from fairmeter.web.http import i18n
from fairmeter.web.pages import charts
from fairmeter.web.pages.site import Site, render

MOST_CLIENTS = 200
FITS, PARTLY = 0.6, 0.3  # correlations, as a reader would take them


def register(site: Site) -> None:
    store = site.desk.store

    @site.page("/transformer/<path:transformer_id>")
    def transformer(transformer_id: str):
        balance = store.find_balance(transformer_id)
        clients = store.clients_of_transformer(transformer_id, MOST_CLIENTS)
        if balance is None and not clients:
            raise NotFound
        shown = {"transformer_id": transformer_id, "balance": balance, "clients": clients, "most": MOST_CLIENTS}
        return render("transformer.html", **shown, course=course(balance) if balance else None)


def panel(store: Store, profile: told.RiskProfile) -> dict[str, Any]:
    """What client_transformer.html shows: the transformer's balance, its course, and how well its loss fits."""
    balance = store.find_balance(profile.client["transformer_id"])
    if balance is None:
        return {"balance": None}
    fit = profile.facts.get("transformer_loss_fit")
    return {"balance": balance, "loss_course": loss_course(balance), "fit": fit, "fit_word": fit_word(fit)}


def fit_word(fit: float | None) -> str | None:
    if fit is None:
        return None
    return "fits" if fit >= FITS else "partly" if fit >= PARTLY else "not"


# --- charts -----------------------------------------------------------------------------------------------------------


def course(balance: EnergyBalance) -> charts.Chart:
    """What was delivered by week: accounted for, and lost on top of it."""
    weeks = weeks_of(balance)
    pairs = list(zip(balance.delivered_weeks, balance.lost_weeks, strict=True))
    accounted = [None if d is None or lost is None else round(d - max(lost, 0.0), 1) for d, lost in pairs]
    lost = [None if lost is None else round(lost, 1) for _, lost in pairs]
    hover = {"hovertemplate": "%{x|%d %b %Y}: %{y:,.0f} kWh<extra></extra>"}
    stacks = [
        charts.bars(weeks, accounted, i18n.text("transformer.accounted"), "var(--line-2)", **hover),
        charts.bars(weeks, lost, i18n.text("transformer.lost"), charts.BAD, **hover),
    ]
    shapes, notes = begin(balance)
    layout = {"barmode": "relative", "bargap": 0.1, "showlegend": True, "shapes": shapes, "annotations": notes}
    layout |= {"yaxis": {"title": i18n.text("transformer.kwh_week"), "rangemode": "tozero"}, "xaxis": {"type": "date"}}
    below = {"orientation": "h", "y": -0.14, "yanchor": "top", "x": 0}
    return charts.chart(*stacks, **layout, legend=below, margin={"l": 56, "r": 16, "t": 28, "b": 36})


def loss_course(balance: EnergyBalance) -> charts.Chart:
    """The share lost by week."""
    shares = [
        None if not delivered or lost is None else round(lost / delivered, 4)
        for delivered, lost in zip(balance.delivered_weeks, balance.lost_weeks, strict=True)
    ]
    hover = {"hovertemplate": "%{x|%d %b %Y}: %{y:.0%}<extra></extra>"}
    line = charts.line(weeks_of(balance), shares, colour=charts.BAD, **hover)
    shapes, notes = begin(balance)
    axes = {"yaxis": {"tickformat": ".0%", "rangemode": "tozero", "nticks": 4}, "xaxis": {"type": "date"}}
    return charts.chart(line, **axes, shapes=shapes, annotations=notes, margin={"l": 48, "r": 16, "t": 28, "b": 32})


def begin(balance: EnergyBalance) -> tuple[list[dict], list[dict]]:
    """The mark of the week since when energy is lost; none where that was so from the first week on."""
    if balance.since_on is None or balance.since_on == balance.weeks_from:
        return [], []
    shape, note = charts.upright(balance.since_on.isoformat(), i18n.text("transformer.since"))
    return [shape], [note]


def weeks_of(balance: EnergyBalance) -> Sequence[str]:
    """The first day of each."""
    return [(balance.weeks_from + timedelta(weeks=n)).isoformat() for n in range(len(balance.delivered_weeks))]
