"""One client's score and data -> a Plotly figure of its consumption.

In:  a Score with reasons, and the ScoringContext of that client alone.
Out: a figure: kWh a month by period, of each energy and of the readings; the onset of the change where there is one.
"""

import plotly.graph_objects as go

from fairmeter.core.types import Score
from fairmeter.explanation.billing_history import (
    ConsumptionPeriods,
    billing_histories,
    periods_from_invoices,
    periods_from_readings,
)
from fairmeter.explanation.explain import ScoringContext


def client_figure(score: Score, context: ScoringContext) -> go.Figure:
    """Consumption by period, with the score and its main reason as the title. [context: of this client alone]"""
    figure = go.Figure()
    for periods in _periods(context):
        moments = periods.end.astype("int64").astype("datetime64[D]")
        name = f"{periods.source} [{periods.unit} a month]"
        figure.add_scatter(x=moments, y=periods.rate, mode="lines+markers", line={"shape": "vh"}, name=name)
    if score.onset_on:
        figure.add_vline(x=score.onset_on, line={"dash": "dot"})
        figure.add_annotation(x=score.onset_on, y=1.0, yref="paper", text="onset", showarrow=False, xanchor="left")
    title = {"text": _title(score), "font": {"size": 15}}
    figure.update_layout(title=title, height=420, showlegend=True, yaxis={"rangemode": "tozero"})
    return figure


def _periods(context: ScoringContext) -> list[ConsumptionPeriods]:
    histories = billing_histories(context.clients, context.invoices)[0]
    found = [periods_from_invoices(history, energy) for energy, history in histories.items()]
    if context.daily_consumption is not None:
        found.append(periods_from_readings(context.daily_consumption.day, context.daily_consumption.kwh))
    return [periods for periods in found if len(periods)]


def _title(score: Score) -> str:
    value = "no score" if score.value is None else f"score {score.value:.2f}"
    value = value if score.percentile is None else f"percentile {score.percentile:.1f}"
    reason = f"<br><sub>{score.main_reason.text}</sub>" if score.main_reason else ""
    return f"Client {score.client_id}: {value}, {score.severity}{reason}"
