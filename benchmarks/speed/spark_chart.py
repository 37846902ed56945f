"""Draw the measurements of benchmarks/speed/spark.py: processor time and memory against clients.

    python -m benchmarks.speed.spark_chart    benchmarks/results/spark.json -> docs/images/spark.svg

In:  the runs and lines of spark.json.
Out: an SVG: a point per run, the straight line through each way's processor seconds, dotted up to 30 million clients;
     memory likewise where it grows with the base.
"""

import argparse
import json
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

ROOT = Path(__file__).resolve().parents[2]
MEASURED, DRAWN = ROOT / "benchmarks" / "results" / "spark.json", ROOT / "docs" / "images" / "spark.svg"
NATION = 30e6  # clients
NAMES = {"whole": "in memory", "memory": "--memory 2GB", "spark": "--spark local[*]"}
LOOKS = {"whole": ("#c2410c", "s"), "memory": ("#1d4ed8", "o"), "spark": ("#047857", "^")}
# Text stays text: a tenth of the size, and it can be searched. Nothing of when or where it was drawn.
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "spark", "font.size": 10, "font.family": "sans-serif"}


def main() -> int:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    measured = json.loads(MEASURED.read_text())
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 4.0), layout="constrained", facecolor="white")
        time, memory = figure.subplots(1, 2)
        draw_time(time, measured)
        draw_memory(memory, measured)
        figure.savefig(DRAWN, metadata={"Date": None})
    return 0


def draw_time(axes: Axes, measured: dict) -> None:
    """Points, and lines that are dashed beyond the largest run."""
    for way, runs in by_way(measured).items():
        colour, mark = LOOKS[way]
        clients = np.array([run["n_clients"] for run in runs])
        axes.plot(clients, [run["processor_seconds"] / 60 for run in runs], mark, color=colour, label=NAMES[way])
        if line := measured["lines"][way]:
            for reach, dashes in ((clients.max(), "-"), (NATION, ":")):
                x = np.geomspace(clients.min() if dashes == "-" else clients.max(), reach, 50)
                y = (line["processor_seconds_of_nothing"] + line["a_million"] * x / 1e6) / 60
                axes.plot(x, y, dashes, color=colour, linewidth=1.2)
    framed(axes, "processor time (minutes of one core)")


def draw_memory(axes: Axes, measured: dict) -> None:
    for way, runs in by_way(measured).items():
        colour, mark = LOOKS[way]
        clients, held = zip(*((run["n_clients"], run["peak_mb"] / 1024) for run in runs), strict=True)
        axes.plot(clients, held, mark + "-", color=colour, linewidth=1.2, label=NAMES[way])
        if way == "whole" and len(clients) > 1:  # the others have a bound, this one grows with the base
            x = np.geomspace(clients[-1], NATION, 50)
            axes.plot(x, np.polyval(np.polyfit(clients, held, 1), x), ":", color=colour, linewidth=1.2)
    framed(axes, "memory at the peak (GB)")


def by_way(measured: dict) -> dict[str, list[dict]]:
    """The runs that ended, of simulated bases, the smallest first; ways without any are left out."""
    ended = sorted((run for run in measured["runs"] if run["n_clients"] and "failed" not in run), key=n_clients)
    found = {way: [run for run in ended if run["way"] == way] for way in NAMES}
    return {way: runs for way, runs in found.items() if runs}


def n_clients(run: dict) -> int:
    return run["n_clients"]


def framed(axes: Axes, title: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(7e4, 1.2 * NATION)
    axes.set_xlabel("clients")
    axes.set_title(title, loc="left", fontsize=10)
    axes.xaxis.set_major_formatter(FuncFormatter(describe_number))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(color="#d4d4d8", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="upper left")


def describe_number(value: float, _position: int) -> str:
    return f"{value / 1e6:g} million" if value >= 1e6 else f"{value:,.0f}"


if __name__ == "__main__":
    sys.exit(main())
