"""A client's profile -> its charts: consumption with its onset, the score as a waterfall, former scores.

In:  the profile as the API tells it.
Out: charts for the page, each None where the store holds nothing to draw.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from statistics import median
from typing import Any, NamedTuple

from fairmeter.web.desk_api import schemas as told
from fairmeter.web.http import i18n
from fairmeter.web.pages import charts
from fairmeter.web.pages.client.context import ClientSurroundings, peers, peers_in_words, weather

YEAR = {"day": 365, "month": 12}  # steps before the onset: one year, so that each season counts once
WEEK = 7  # days
SMOOTH = 7  # days, so that a week's rhythm does not hide the course
BELOW = {"orientation": "h", "y": -0.14, "yanchor": "top", "x": 0}  # above it would cover the onset
DEGREES = {"overlaying": "y", "side": "right", "showgrid": False, "zeroline": False, "tickmode": "auto", "nticks": 5}
WIDTH = 24  # characters of a label's line
LEAST_REST = 0.005  # of a score: less than the figures beside the bars show


class Level(NamedTuple):
    """Consumption before and after the onset, per step; None where there is none to tell. [kWh]"""

    before: float | None
    after: float | None


def pictures(
    profile: told.RiskProfile, unusual: Mapping[str, Sequence[float]], around: ClientSurroundings
) -> dict[str, Any]:
    """consumption, peers, level, timeline, waterfall, past. [unusual: by detector, a value a day]"""
    series, onset = profile.series, profile.onset_on and date.fromisoformat(profile.onset_on)
    level = levels(series, onset) if series and onset else None
    return {
        "consumption": consumption(series, onset, level, around) if series else None,
        "peers": peers_in_words(around.band),
        "level": level,
        "timeline": timeline(series, unusual) if unusual else None,
        "waterfall": waterfall(profile) if profile.reasons and profile.typical is not None else None,
        "past": past(profile.trend) if len(profile.trend) > 1 else None,
    }


# --- consumption ------------------------------------------------------------------------------------------------------


def days_of(series: told.SeriesResponse) -> list[date]:
    """The first day of each step."""
    if series.step == "day":
        return [series.first_on + timedelta(days=n) for n in range(len(series.kwh))]
    month = series.first_on.year * 12 + series.first_on.month - 1
    return [date((month + n) // 12, (month + n) % 12 + 1, 1) for n in range(len(series.kwh))]


def levels(series: told.SeriesResponse, onset: date) -> Level:
    """The median of the year before the onset, and of all that follows."""
    known = [(day, kwh) for day, kwh in zip(days_of(series), series.kwh, strict=True) if kwh is not None]
    before = [kwh for day, kwh in known if day < onset][-YEAR[series.step] :]
    after = [kwh for day, kwh in known if day >= onset]
    return Level(median(before) if before else None, median(after) if after else None)


def consumption(
    series: told.SeriesResponse, onset: date | None, level: Level | None, around: ClientSurroundings
) -> charts.Chart:
    """What was used beside what peers use and the temperature; the likely onset of the change, the levels around it."""
    known = days_of(series)
    days = [day.isoformat() for day in known]
    unit = i18n.text(f"client.kwh_{series.step}")
    hover = {"hovertemplate": "%{x|%d %b %Y}: %{y:,.1f} kWh<extra></extra>"}
    if series.step == "day":
        thin = {"width": 1}
        traces = [
            charts.line(
                days, series.kwh, i18n.text("client.each_day"), "var(--line-2)", line=thin, showlegend=False, **hover
            )
        ]
        traces += [charts.line(days, smoothed(series.kwh), i18n.text("client.smoothed"), **hover)]
    else:
        traces = [charts.bars(days, series.kwh, unit, **hover)]
    traces = [*(peers(around.band, series.step, known[0], known[-1]) if known else ()), *traces]
    shapes, notes = marks(days, onset, level)
    layout = {"yaxis": {"title": unit, "rangemode": "tozero"}, "xaxis": {"type": "date"}, "bargap": 0.1}
    if known and (warm := weather(around.temperatures, series.step, known[-1])):
        traces, layout["yaxis2"] = [*traces, warm], DEGREES | {"title": i18n.text("client.temperature_axis")}
    layout |= {"shapes": shapes, "annotations": notes, "showlegend": len(traces) > 1}
    return charts.chart(
        *traces, **layout, legend=BELOW, margin={"l": 52, "r": 52 if "yaxis2" in layout else 16, "t": 28, "b": 36}
    )


def marks(days: list[str], onset: date | None, level: Level | None) -> tuple[list[dict], list[dict]]:
    """Shapes and annotations of the onset and the levels around it."""
    if onset is None or level is None:
        return [], []
    at = onset.isoformat()
    shape, note = charts.upright(at, i18n.text("client.onset"))
    ends = ((days[0], at, level.before), (at, days[-1], level.after))
    return [shape, *(flat(start, end, kwh) for start, end, kwh in ends if kwh is not None)], [note]


def flat(start: str, end: str, kwh: float) -> dict:
    return {"type": "line", "x0": start, "x1": end, "y0": kwh, "y1": kwh, "line": {"color": charts.BAD, "width": 2}}


def smoothed(kwh: Sequence[float | None]) -> list[float | None]:
    """The mean of the last seven days, of four at least."""
    parts = [[v for v in kwh[max(i - SMOOTH + 1, 0) : i + 1] if v is not None] for i in range(len(kwh))]
    return [sum(part) / len(part) if len(part) > SMOOTH // 2 else None for part in parts]


def timeline(series: told.SeriesResponse, unusual: Mapping[str, Sequence[float]]) -> charts.Chart:
    """How unusual each week was, a row a detector; from 1 on a day is unusual."""
    days = days_of(series)
    weeks = range(0, len(days), WEEK)
    rows = [[week_of(values[start : start + WEEK]) for start in weeks] for values in unusual.values()]
    names = [i18n.text(f"detector.{name}") for name in unusual]
    trace = {
        "type": "heatmap", "x": [days[start].isoformat() for start in weeks], "y": names, "z": rows,
        "zmin": 0, "zmax": 2, "colorscale": [[0, "var(--card)"], [0.5, "var(--line-2)"], [1, charts.BAD]],
        "colorbar": {"thickness": 10, "tickvals": [0, 1, 2], "outlinewidth": 0}, "ygap": 3, "hoverongaps": False,
        "hovertemplate": "%{x|%d %b %Y}, %{y}: %{z:.1f}<extra></extra>",
    }  # fmt: skip
    axes = {"xaxis": {"type": "date", "showgrid": False}, "yaxis": {"autorange": "reversed", "showgrid": False}}
    return charts.chart(trace, **axes, margin={"l": 8, "r": 8, "t": 8, "b": 32})


def week_of(values: Sequence[float]) -> float | None:
    """The mean of a week's known days, None of none."""
    known = [float(value) for value in values if not math.isnan(value)]
    return round(sum(known) / len(known), 2) if known else None


# --- the score --------------------------------------------------------------------------------------------------------


def waterfall(profile: told.RiskProfile) -> charts.Chart:
    """From the typical client's score to this one's, one step an evidence group."""
    steps = [(i18n.text("client.typical"), "absolute", profile.typical)]
    steps += [(reason.group, "relative", reason.effect) for reason in profile.reasons]
    rest = profile.probability - profile.typical - sum(reason.effect for reason in profile.reasons)
    steps += [(i18n.text("client.rest"), "relative", rest)] if abs(rest) >= LEAST_REST else []
    steps += [(i18n.text("client.this"), "total", profile.probability)]
    labels, measures, values = map(list, zip(*steps, strict=True))
    labels = [charts.lines_of(label, WIDTH) for label in labels]
    trace = {
        "type": "waterfall", "orientation": "h", "y": labels, "measure": measures, "x": values,
        "increasing": {"marker": {"color": charts.BAD}}, "decreasing": {"marker": {"color": charts.GOOD}},
        "totals": {"marker": {"color": charts.QUIET}}, "connector": {"line": {"color": "var(--line-2)", "width": 1}},
        "hovertemplate": "%{y}: %{x:.1%}<extra></extra>", "textposition": "outside", "cliponaxis": False,
        "text": [f"{value:+.0%}" if kind == "relative" else f"{value:.0%}" for _, kind, value in steps],
    }  # fmt: skip
    axes = {"xaxis": {"tickformat": ".0%", "nticks": 5}, "yaxis": {"autorange": "reversed", "showgrid": False}}
    return charts.chart(trace, **axes, margin={"l": 8, "r": 44, "t": 8, "b": 32})


def past(trend: Sequence[told.PastScore]) -> charts.Chart:
    """The client's scores so far, each with the shape of its severity."""
    at, scores = [score.scored_at.isoformat() for score in trend], [score.probability for score in trend]
    colours = [charts.COLOURS[score.severity] for score in trend]
    shapes = [charts.SHAPES.get(score.severity, "x") for score in trend]
    dots = charts.points(at, scores, marker={"color": colours, "symbol": shapes})
    whole = charts.line(at, scores, colour="var(--line-2)", hoverinfo="skip")
    axes = {"yaxis": {"tickformat": ".0%", "rangemode": "tozero"}, "xaxis": {"type": "date"}}
    return charts.chart(whole, dots | {"hovertemplate": "%{x|%d %b %Y}: %{y:.0%}<extra></extra>"}, **axes)
