"""The plots of the training report; the only module that imports Plotly.

In:  results of fairmeter/evaluation, by their label in the plot.
Out: Plotly figures; `inline` turns one into HTML for a page that contains `plotly_script` once.
Colours are readable on light and dark pages; backgrounds are transparent, and the page's CSS colours axes and text.
"""

import html
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

BLUE, ORANGE, GREY, BAND = "#3d84d6", "#e08a2e", "#8b93a1", "rgba(61,132,214,0.22)"
COLOURS = (BLUE, ORANGE, "#2fa58a", "#b569c9", "#d65f5f", GREY)
N_BINS = 60  # of a histogram
# Plotly writes numbers on these shades; both ends have enough contrast.
SHADES = [[0, "#dce8f6"], [1, "#2563a8"]]


def plotly_script() -> Markup:
    """Plotly.js of the installed package, so that the page works offline."""
    return Markup("<script>{}</script>").format(Markup(get_plotlyjs()))  # noqa: S704  the package's own script


def inline(figure: go.Figure, name: str) -> Markup:
    """The figure as HTML; `name` is its element id."""
    config = {"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["select2d", "lasso2d"]}
    drawn = figure.to_html(
        full_html=False, include_plotlyjs=False, div_id=name, config=config, default_height=f"{figure.layout.height}px"
    )
    return Markup(drawn)  # noqa: S704  Plotly escapes what stands in its JSON


def roc(curves: Mapping[str, dict]) -> go.Figure:
    """ROC curves by label, with chance as the diagonal."""
    figure = _figure("False-positive rate", "Recall", 400)
    dots = {"color": GREY, "dash": "dot"}
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=dots, name="chance", showlegend=False)
    return _lines(figure, curves, "false_positive_rate", "recall")


def pr(curves: Mapping[str, dict]) -> go.Figure:
    """Precision against recall by label."""
    return _lines(_figure("Recall", "Precision", 400), curves, "recall", "precision")


def visits(curve: Mapping[str, list], base_rate: float, tops: Sequence[Mapping]) -> go.Figure:
    """Precision against number of visits with its interval; `tops` are marked on the line."""
    figure = _figure("Visits, from the top of the list (logarithmic)", "Precision", 420)
    band = {"x": curve["visits"] + curve["visits"][::-1], "y": curve["high"] + curve["low"][::-1]}
    figure.add_scatter(**band, fill="toself", fillcolor=BAND, line={"width": 0}, hoverinfo="skip", name="95 % interval")
    line = {"color": BLUE, "width": 2.5}
    figure.add_scatter(x=curve["visits"], y=curve["precision"], mode="lines", line=line, name="precision")
    ends = [curve["visits"][0], curve["visits"][-1]]
    dots = {"color": GREY, "dash": "dot"}
    figure.add_scatter(x=ends, y=[base_rate] * 2, mode="lines", line=dots, name="visits at random")
    marks = {"x": [top["visits"] for top in tops], "y": [top["precision"]["value"] for top in tops]}
    labels = [f"top {top['share']:.0%}" for top in tops]
    style = {"marker": {"color": ORANGE, "size": 9}, "textposition": "top right", "text": labels}
    figure.add_scatter(**marks, **style, mode="markers+text", name="headline shares")
    figure.update_xaxes(type="log", dtick=1)
    return _percent(figure, y=[0, 1.01])


def worth(curves: Mapping[str, Sequence[Mapping]]) -> go.Figure:
    """Net energy against number of visits with its 95 % interval, one line for each order of the list."""
    figure = _figure("Visits, from the top of the list (logarithmic)", "Net energy [kWh]", 420)
    for (name, rows), colour in zip(curves.items(), COLOURS, strict=False):
        x, net = [row["visits"] for row in rows], [row["net"] for row in rows]
        line = {"color": colour, "width": 2.5}
        y = [each["value"] for each in net]
        figure.add_scatter(x=x, y=y, error_y=_bars(net), mode="lines+markers", line=line, name=_text(name))
    return figure.update_xaxes(type="log", dtick=1)


def calibration(rows: Sequence[Mapping]) -> go.Figure:
    """Share of frauds against mean score for each bin of reliability_table."""
    figure = _figure("Mean score of the bin", "Share that was fraud", 400)
    shares = [row["fraud_share"] for row in rows]
    means = [row["mean_score"] for row in rows]
    top = 1.05 * max([*means, *(share["interval"][1] for share in shares)])
    figure.add_scatter(x=[0, top], y=[0, top], mode="lines", line={"color": GREY, "dash": "dot"}, name="exact")
    style = {"marker": {"color": BLUE, "size": 8}, "error_y": _bars(shares), "mode": "markers"}
    figure.add_scatter(x=means, y=[share["value"] for share in shares], **style, name="a bin of equal size")
    return _percent(figure, x=[0, top], y=[0, top])


def confusion(counts: Mapping[str, int]) -> go.Figure:
    """Counts of clients by label and suspicion, shaded by their share of the label."""
    figure = _figure("", "", 300)
    rows = [
        [counts["true_positive"], counts["false_negative"]],
        [counts["false_positive"], counts["true_negative"]],
    ]
    shares = [[cell / max(sum(row), 1) for cell in row] for row in rows]
    said = [
        [f"{cell:,}<br>{share:.1%} of the row" for cell, share in zip(*pair, strict=True)]
        for pair in zip(rows, shares, strict=True)
    ]
    axes = {"x": ["suspected", "not suspected"], "y": ["labelled fraud", "not labelled"]}
    look = {"colorscale": SHADES, "zmin": 0, "zmax": 1, "showscale": False, "xgap": 3, "ygap": 3}
    figure.add_heatmap(z=shares, text=said, texttemplate="%{text}", hoverinfo="skip", **axes, **look)
    return figure.update_yaxes(autorange="reversed", showgrid=False).update_xaxes(showgrid=False, side="top")


def importance(values: Mapping[str, float], unit: str) -> go.Figure:
    """Bars by name, the largest on top."""
    names = sorted(values, key=values.get)
    figure = _figure(unit, "", 90 + 24 * len(names))
    figure.add_bar(x=[values[name] for name in names], y=[_text(name) for name in names], orientation="h")
    return figure.update_traces(marker_color=BLUE).update_layout(bargap=0.3, showlegend=False)


def groups(rows: Sequence[Mapping], overall: float | None) -> go.Figure:
    """ROC-AUC by group with its interval, compared with that of all clients."""
    known = [row for row in rows if row["roc_auc"] and row["roc_auc"]["interval"]][::-1]
    figure = _figure("ROC-AUC", "", 120 + 26 * len(known))
    auc = [row["roc_auc"] for row in known]
    style = {"marker": {"color": BLUE, "size": 8}, "error_x": _bars(auc), "mode": "markers", "name": "group"}
    figure.add_scatter(x=[e["value"] for e in auc], y=[_text(row["value"]) for row in known], **style)
    if overall is not None and known:
        ends = [_text(known[0]["value"]), _text(known[-1]["value"])]
        dots = {"color": ORANGE, "dash": "dot"}
        figure.add_scatter(x=[overall] * 2, y=ends, mode="lines", line=dots, name="all clients")
    return figure.update_yaxes(type="category", range=[-0.7, len(known) - 0.3])


def recalls(rows: Mapping[str, Mapping], columns: Mapping[str, str]) -> go.Figure:
    """Recall of each row, the first on top. [columns: key of the rows by label]"""
    figure = _figure("Recall", "", 120 + 24 * len(rows))
    names = [_text(name) for name in rows]
    for (words, key), colour in zip(columns.items(), COLOURS, strict=False):
        marker = {"color": colour, "size": 9}
        figure.add_scatter(x=[row[key] for row in rows.values()], y=names, mode="markers", marker=marker, name=words)
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%")
    return figure.update_yaxes(type="category", range=[len(rows) - 0.3, -0.7])


def bars(values: Mapping[str, float], unit: str) -> go.Figure:
    """A bar for each name, in the order given."""
    figure = _figure("", unit, 260)
    figure.add_bar(x=[_text(name) for name in values], y=list(values.values()), marker={"color": BLUE})
    return figure.update_xaxes(type="category")


def histogram(values: Sequence[float], unit: str) -> go.Figure:
    """How many values lie where, on a logarithmic scale; zeros and missing values are left out."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known) & (known > 0)]
    figure = _figure(unit, "clients", 260)
    if len(known):
        edges = np.geomspace(known.min(), max(known.max(), known.min() * 1.001), N_BINS + 1)
        counts, _ = np.histogram(known, edges)
        middle, width = np.sqrt(edges[1:] * edges[:-1]), np.diff(edges)
        figure.add_bar(x=middle, y=counts, width=width, marker={"color": BLUE})
    return figure.update_xaxes(type="log")


def _figure(x: str, y: str, height: int) -> go.Figure:
    figure = go.Figure()
    clear = {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)"}
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    margin = {"l": 10, "r": 16, "t": 40, "b": 10}
    figure.update_layout(template="none", height=height, legend=legend, margin=margin, **clear)
    figure.update_xaxes(title={"text": x, "standoff": 8}, automargin=True, zeroline=False)
    return figure.update_yaxes(title={"text": y, "standoff": 8}, automargin=True, zeroline=False, ticklabelstandoff=6)


def _lines(figure: go.Figure, curves: Mapping[str, dict], x: str, y: str) -> go.Figure:
    """One line for each label, the first on top; labels beyond the colours are left out."""
    for (label, curve), colour in reversed(list(zip(curves.items(), COLOURS, strict=False))):
        line = {"color": colour, "width": 2.5}
        figure.add_scatter(x=curve[x], y=curve[y], mode="lines", line=line, name=_text(label))
    return _percent(figure, x=[0, 1], y=[0, 1.01]).update_layout(legend_traceorder="reversed")


def _percent(figure: go.Figure, x: list | None = None, y: list | None = None) -> go.Figure:
    if x:
        figure.update_xaxes(range=x, tickformat=".0%")
    return figure.update_yaxes(range=y, tickformat=".0%")


def _bars(estimates: Sequence[Mapping]) -> dict:
    up = [e["interval"][1] - e["value"] for e in estimates]
    down = [e["value"] - e["interval"][0] for e in estimates]
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "color": GREY, "thickness": 1.5}


def _text(name) -> str:
    """Escape a name, because Plotly interprets HTML in names."""
    return html.escape(str(name))
