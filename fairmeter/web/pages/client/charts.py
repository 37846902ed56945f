"""The charts of a client's page: consumption with its onset, anomalies, the score as a waterfall, former scores.

In:  the profile as the API returns it.
Out: charts for the template, each None without data for it.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from statistics import median
from typing import Any, NamedTuple

from fairmeter.desk.client_profile import ClientProfile, ConsumptionHistory, StoredScore
from fairmeter.web.http import i18n
from fairmeter.web.pages import charts
from fairmeter.web.pages.client.context import ClientSurroundings, describe_peers, peer_traces, temperature_trace

YEAR = {"day": 365, "month": 12}  # steps in a year before the onset, so that each season counts once
WEEK = 7  # days
SMOOTH = 7  # days; a whole week removes the weekly pattern
LEGEND_BELOW = {"orientation": "h", "y": -0.14, "yanchor": "top", "x": 0}  # above, it would cover the onset's label
TEMPERATURE_AXIS = {
    "overlaying": "y",
    "side": "right",
    "showgrid": False,
    "zeroline": False,
    "tickmode": "auto",
    "nticks": 5,
}
WIDTH = 24  # characters in a line of a label
MIN_REST = 0.005  # of a score; a smaller rest would round to 0


class Level(NamedTuple):
    """Median consumption per step before and after the onset; None without values. [kWh]"""

    before: float | None
    after: float | None


def client_charts(
    profile: ClientProfile, unusual: Mapping[str, Sequence[float]], surroundings: ClientSurroundings
) -> dict[str, Any]:
    """What the template receives: consumption, peers, level, timeline, waterfall, past.

    unusual: by detector, an anomaly value per day; from 1 on a day is unusual.
    """
    series, onset = profile.series, profile.onset_on and date.fromisoformat(profile.onset_on)
    level = median_levels(series, onset) if series and onset else None
    return {
        "consumption": consumption_chart(series, onset, level, surroundings) if series else None,
        "peers": describe_peers(surroundings.band),
        "level": level,
        "timeline": anomaly_chart(series, unusual) if unusual else None,
        "waterfall": waterfall_chart(profile) if profile.reasons and profile.typical is not None else None,
        "past": past_scores_chart(profile.trend) if _has_past(profile.trend) else None,
    }


# --- consumption ------------------------------------------------------------------------------------------------------


def step_starts(series: ConsumptionHistory) -> list[date]:
    """The first day of each step of a series."""
    if series.step == "day":
        return [series.first_on + timedelta(days=n) for n in range(len(series.kwh))]
    month = series.first_on.year * 12 + series.first_on.month - 1
    return [date((month + n) // 12, (month + n) % 12 + 1, 1) for n in range(len(series.kwh))]


def median_levels(series: ConsumptionHistory, onset: date) -> Level:
    """The median of the year before the onset, and of all steps from it on."""
    measured = [(day, kwh) for day, kwh in zip(step_starts(series), series.kwh, strict=True) if kwh is not None]
    before = [kwh for day, kwh in measured if day < onset][-YEAR[series.step] :]
    after = [kwh for day, kwh in measured if day >= onset]
    return Level(median(before) if before else None, median(after) if after else None)


def consumption_chart(
    series: ConsumptionHistory, onset: date | None, level: Level | None, surroundings: ClientSurroundings
) -> charts.Chart:
    """Consumption with that of peers, the temperature, the likely onset of the change, and the levels around it."""
    starts = step_starts(series)
    days = [day.isoformat() for day in starts]
    unit = i18n.text(f"client.kwh_{series.step}")
    hover = {"hovertemplate": "%{x|%d %b %Y}: %{y:,.1f} kWh<extra></extra>"}
    if series.step == "day":
        thin = {"width": 1}
        traces = [
            charts.line(
                days, series.kwh, i18n.text("client.each_day"), "var(--line-2)", line=thin, showlegend=False, **hover
            )
        ]
        traces += [charts.line(days, rolling_mean(series.kwh), i18n.text("client.smoothed"), **hover)]
    else:
        traces = [charts.bars(days, series.kwh, unit, **hover)]
    traces = [*(peer_traces(surroundings.band, series.step, starts[0], starts[-1]) if starts else ()), *traces]
    shapes, notes = onset_marks(days, onset, level)
    layout = {"yaxis": {"title": unit, "rangemode": "tozero"}, "xaxis": {"type": "date"}, "bargap": 0.1}
    if starts and (temperature := temperature_trace(surroundings.temperatures, series.step, starts[-1])):
        traces = [*traces, temperature]
        layout["yaxis2"] = TEMPERATURE_AXIS | {"title": i18n.text("client.temperature_axis")}
    layout |= {"shapes": shapes, "annotations": notes, "showlegend": len(traces) > 1, "zoom": True}
    return charts.chart(
        *traces,
        **layout,
        legend=LEGEND_BELOW,
        margin={"l": 52, "r": 52 if "yaxis2" in layout else 16, "t": 28, "b": 36},
    )


def onset_marks(days: list[str], onset: date | None, level: Level | None) -> tuple[list[dict], list[dict]]:
    """Shapes and annotations of the onset and the levels around it."""
    if onset is None or level is None:
        return [], []
    at = onset.isoformat()
    shape, note = charts.vertical_line(at, i18n.text("client.onset"))
    ends = ((days[0], at, level.before), (at, days[-1], level.after))
    return [shape, *(level_line(start, end, kwh) for start, end, kwh in ends if kwh is not None)], [note]


def level_line(start: str, end: str, kwh: float) -> dict:
    """A horizontal line between two days."""
    return {"type": "line", "x0": start, "x1": end, "y0": kwh, "y1": kwh, "line": {"color": charts.BAD, "width": 2}}


def rolling_mean(kwh: Sequence[float | None]) -> list[float | None]:
    """The mean of the last seven days; None with fewer than four known."""
    parts = [[v for v in kwh[max(i - SMOOTH + 1, 0) : i + 1] if v is not None] for i in range(len(kwh))]
    return [sum(part) / len(part) if len(part) > SMOOTH // 2 else None for part in parts]


def anomaly_chart(series: ConsumptionHistory, unusual: Mapping[str, Sequence[float]]) -> charts.Chart:
    """Mean anomaly of each week, one row per detector; from 1 on a day is unusual."""
    days = step_starts(series)
    weeks = range(0, len(days), WEEK)
    rows = [[week_mean(values[start : start + WEEK]) for start in weeks] for values in unusual.values()]
    names = [i18n.text(f"detector.{name}") for name in unusual]
    trace = {
        "type": "heatmap", "x": [days[start].isoformat() for start in weeks], "y": names, "z": rows,
        "zmin": 0, "zmax": 2, "colorscale": [[0, "var(--card)"], [0.5, "var(--line-2)"], [1, charts.BAD]],
        "colorbar": {"thickness": 10, "tickvals": [0, 1, 2], "outlinewidth": 0}, "ygap": 3, "hoverongaps": False,
        "hovertemplate": "%{x|%d %b %Y}, %{y}: %{z:.1f}<extra></extra>",
    }  # fmt: skip
    axes = {"xaxis": {"type": "date", "showgrid": False}, "yaxis": {"autorange": "reversed", "showgrid": False}}
    return charts.chart(trace, **axes, margin={"l": 8, "r": 8, "t": 8, "b": 32})


def week_mean(values: Sequence[float]) -> float | None:
    """The mean of a week's known days; None without any."""
    finite = [float(value) for value in values if not math.isnan(value)]
    return round(sum(finite) / len(finite), 2) if finite else None


# --- the score --------------------------------------------------------------------------------------------------------


def waterfall_chart(profile: ClientProfile) -> charts.Chart:
    """Steps from the typical client's score to this one's, one for each evidence group."""
    steps = [(i18n.text("client.typical"), "absolute", profile.typical)]
    steps += [(i18n.group(reason.group), "relative", reason.effect) for reason in profile.reasons]
    rest = profile.probability - profile.typical - sum(reason.effect for reason in profile.reasons)
    steps += [(i18n.text("client.rest"), "relative", rest)] if abs(rest) >= MIN_REST else []
    steps += [(i18n.text("client.this"), "total", profile.probability)]
    labels, measures, values = map(list, zip(*steps, strict=True))
    labels = [charts.wrap_label(label, WIDTH) for label in labels]
    trace = {
        "type": "waterfall", "orientation": "h", "y": labels, "measure": measures, "x": values,
        "increasing": {"marker": {"color": charts.BAD}}, "decreasing": {"marker": {"color": charts.GOOD}},
        "totals": {"marker": {"color": charts.QUIET}}, "connector": {"line": {"color": "var(--line-2)", "width": 1}},
        "hovertemplate": "%{y}: %{x:.1%}<extra></extra>", "textposition": "outside", "cliponaxis": False,
        "text": [f"{value:+.0%}" if kind == "relative" else f"{value:.0%}" for _, kind, value in steps],
    }  # fmt: skip
    axes = {"xaxis": {"tickformat": ".0%", "nticks": 5}, "yaxis": {"autorange": "reversed", "showgrid": False}}
    return charts.chart(trace, **axes, margin={"l": 8, "r": 44, "t": 8, "b": 32})


def _has_past(trend: Sequence[StoredScore]) -> bool:
    """Whether there is a course to show: ranks of different models are no course."""
    return len(trend) > 1 and any(score.probability is not None for score in trend)


def past_scores_chart(trend: Sequence[StoredScore]) -> charts.Chart:
    """The client's scores over time, each with the shape of its severity."""
    at, scores = [score.scored_at.isoformat() for score in trend], [score.probability for score in trend]
    colours = [charts.COLOURS[score.severity] for score in trend]
    shapes = [charts.SHAPES.get(score.severity, "x") for score in trend]
    dots = charts.points(at, scores, marker={"color": colours, "symbol": shapes})
    whole = charts.line(at, scores, colour="var(--line-2)", hoverinfo="skip")
    axes = {"yaxis": {"tickformat": ".0%", "rangemode": "tozero"}, "xaxis": {"type": "date"}}
    return charts.chart(whole, dots | {"hovertemplate": "%{x|%d %b %Y}: %{y:.0%}<extra></extra>"}, **axes)
