"""Plotly traces and layouts for charts.js, with the theme's variables as colours.

In:  lists of plain values.
Out: {"data": [...], "layout": {...}}, for a block of JSON. charts.js replaces "var(--x)" by the theme's colour, again
     whenever the theme changes.
"""

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from fairmeter.core.types import SEVERITIES

Chart = dict[str, Any]
SHAPES = {"critical": "diamond", "high": "triangle-up", "medium": "circle", "low": "circle-open"}
COLOURS = {severity: f"var(--{severity})" for severity in (*SEVERITIES, "insufficient history")}
COLOURS["insufficient history"] = "var(--unknown)"
ACCENT, QUIET, GOOD, BAD = "var(--accent)", "var(--ink-3)", "var(--good)", "var(--bad)"


def chart(*traces: dict, **layout: Any) -> Chart:
    """Traces with their layout."""
    return {"data": list(traces), "layout": layout}


def bars(x: Sequence, y: Sequence, name: str = "", colour: str | list[str] = ACCENT, **more: Any) -> dict:
    """A bar trace."""
    return {"type": "bar", "x": list(x), "y": list(y), "name": name, "marker": {"color": colour}, **more}


def line(x: Sequence, y: Sequence, name: str = "", colour: str = ACCENT, **more: Any) -> dict:
    """A line trace; None leaves a gap."""
    style = {"color": colour, "width": 2} | more.pop("line", {})
    return {"type": "scatter", "mode": "lines", "x": list(x), "y": list(y), "name": name, "line": style, **more}


def points(x: Sequence, y: Sequence, name: str = "", colour: str = ACCENT, **more: Any) -> dict:
    """A trace of markers."""
    marker = {"color": colour, "size": 9} | more.pop("marker", {})
    return {"type": "scatter", "mode": "markers", "x": list(x), "y": list(y), "name": name, "marker": marker, **more}


def band(x: Sequence, low: Sequence, high: Sequence, name: str = "", colour: str = "var(--accent-soft)") -> list[dict]:
    """Two traces that fill the area between two lines."""
    bare = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    return [
        bare | {"x": list(x), "y": list(low)},
        bare | {"x": list(x), "y": list(high), "fill": "tonexty", "fillcolor": colour, "name": name},
    ]


def wrap_label(label: str, width: int) -> str:
    """Wrap a label at `width` characters and escape its markup, which Plotly would interpret."""
    return "<br>".join(line.replace("&", "&amp;").replace("<", "&lt;") for line in wrap(label, width))


def vertical_line(x: Any, text: str = "", colour: str = BAD) -> tuple[dict, dict]:
    """The shape and the annotation of a vertical line, for a layout's `shapes` and `annotations`."""
    shape = {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper"}
    shape["line"] = {"color": colour, "width": 2, "dash": "dot"}
    note = {"x": x, "y": 1, "yref": "paper", "yanchor": "bottom", "text": text, "showarrow": False}
    return shape, note | {"font": {"color": colour}}
