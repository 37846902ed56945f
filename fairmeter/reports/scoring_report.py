"""A run of score.py -> report.html (one file, offline, light and dark) and drift.json, in a folder.

In:  a run, a dict:
     title        of the page; scored_at; data: description of the input; model {"version", "trained_at"}
     n_by_severity  clients by severity; n_suspected
     drift        of fairmeter/scoring/population_drift.py
     stability    rows of evaluation.drift.list_overlap, None without a previous list; former: its name
Out: the files.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from fairmeter.core.types import INSUFFICIENT_HISTORY, SEVERITIES
from fairmeter.data.writers import OutputError
from fairmeter.evaluation.drift import MIN_SHIFTED_PSI, MIN_SHIFTING_PSI
from fairmeter.reports.rendering import render
from fairmeter.scoring.population_drift import describe_drift


def write_scoring_report(run: Mapping, folder: Path) -> None:
    """Write both files into `folder`, each of them complete or not at all. Raises OutputError."""
    figures = {name: value for name, value in run.items() if name != "title"}
    files = {"drift.json": json.dumps(figures, indent=1, ensure_ascii=False, allow_nan=False) + "\n"}
    files["report.html"] = scoring_page(run)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            partial = folder / f".{name}.part"
            partial.write_text(text, encoding="utf-8")
            partial.replace(folder / name)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written to ({error.strerror}); name another folder.") from error


def scoring_page(run: Mapping) -> str:
    """report.html of a run."""
    counts, model = run["n_by_severity"], run["model"]
    trained = f", trained {model['trained_at']}" if "trained_at" in model else ""
    return render(
        "scoring_report.html",
        title=run.get("title", "Fairmeter: a run"),
        facts=[f"Scored {run['scored_at']}: {run['data']}.", f"Model {model['version']}{trained}."],
        run=run,
        n_clients=sum(counts.values()),
        severities=[(name, counts.get(name, 0)) for name in (*SEVERITIES, INSUFFICIENT_HISTORY)],
        drift_sentences=list(describe_drift(run["drift"])),
        shifting=MIN_SHIFTING_PSI,
        shifted=MIN_SHIFTED_PSI,
    )
