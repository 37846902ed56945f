"""Drift and the list's stability, as the pages Model and Overview tell them.

In:  what the store keeps of its runs (scoring/population_drift.py and evaluation/drift.py define the rows).
Out: plain values for the templates; a chart of how much of the list stayed from run to run.
"""

from collections.abc import Sequence
from typing import Any

from fairmeter.store import Run, Store
from fairmeter.web.http import texts
from fairmeter.web.pages import charts

N_FEATURES = 12  # shown; the report of score.py has thirty
N_RUNS = 30
# A level's shape and colour are those of a severity: pages know no other sign for "look here".
BADGES = {"shifted": "high", "shifting": "medium", "stable": "low", "too few clients": "insufficient history"}
LINES = ((charts.ACCENT, "solid"), ("var(--ink)", "dot"), (charts.QUIET, "dash"))


def drift_state(store: Store, version: str) -> dict[str, Any] | None:
    """What the last run that measured drift found, and whether it was another model's; None where none did."""
    last = store.last_drift()
    if last is None:
        return None
    parts = [part_state(name, part) for name, part in last.found["parts"].items()]
    told = {"scored_at": last.scored_at, "version": last.model_version, "parts": parts}
    return told | {"is_other": last.model_version != version, "untold": last.found["untold"]}


def part_state(name: str, part: dict[str, Any]) -> dict[str, Any]:
    rows = [row | {"badge": BADGES[row["level"]]} for row in part["features"][:N_FEATURES]]
    return part | {"name": name, "features": rows, "badge": BADGES[part["score"]["level"]]}


def kept_state(store: Store) -> dict[str, Any] | None:
    """How much of the list stayed at the last run, and from run to run; None where there was no run before it."""
    runs = [run for run in store.list_runs(N_RUNS) if run.stability]
    if not runs:
        return None
    return {"rows": runs[-1].stability, "scored_at": runs[-1].scored_at, "chart": trend(runs) if runs[1:] else None}


def trend(runs: Sequence[Run]) -> charts.Chart:
    """A line for each length of the list, by the moment of the run."""
    lengths = sorted({row["k"] for row in runs[-1].stability})
    lines = []
    for k, (colour, dash) in zip(lengths, LINES, strict=False):
        found = [next((row["jaccard"] for row in run.stability if row["k"] == k), None) for run in runs]
        name = texts.text("drift.first", n=k)
        when = [run.scored_at.isoformat() for run in runs]
        lines.append(charts.line(when, found, name, colour, mode="lines+markers", line={"dash": dash}))
    axes = {"xaxis": {"type": "date"}, "yaxis": {"range": [0, 1.05], "title": texts.text("drift.jaccard")}}
    return charts.chart(*lines, **axes, showlegend=len(lines) > 1)
