"""A run of score.py -> report.html (one file, offline, light and dark) and drift.json, in a folder.

In:  a run, a dict:
     title        of the page; scored_at; data: what was read, in words; model {"version", "trained_at"}
     n_by_severity  clients by severity; n_suspected
     drift        as likeness.py tells it
     stability    rows of evaluation.drift.list_overlap, None where no former list was named; former: its name
Out: the files.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from markupsafe import Markup

from fairmeter.core.types import INSUFFICIENT_HISTORY, SEVERITIES
from fairmeter.data.writers import OutputError
from fairmeter.evaluation.drift import MIN_SHIFTED_PSI, MIN_SHIFTING_PSI
from fairmeter.reports.html import NOTHING, SECTION, joined, list_of, shown, table_of
from fairmeter.reports.invoice_sections import TILE, page_of
from fairmeter.scoring.population_drift import describe_drift

WHAT_IT_IS = (
    f"The population stability index compares shares of clients in ten bins and of missing values: from {MIN_SHIFTING_PSI} on "
    f"a feature is shifting, from {MIN_SHIFTED_PSI} on it has shifted, if it is also more than chance does once in a thousand "
    "times with so many clients."
)
WHAT_IT_IS_NOT = (
    "A feature that has shifted does not say that scores are wrong, but that they are told of clients whom the model "
    "has not learnt from. Dates grow older by themselves, and what readings said lately follows the season. "
    "Neighbours' shares are left out: of clients that a model was trained on, they hold their own labels."
)
LOOK = "Look at the first features below: have the clients changed, or the way in which their data are exported?"
OVERLAP = (
    "Of the first clients on this list, how many were among the first of the former one. The Jaccard index is those "
    "on both lists by those on either: 1 is the same list, 0 another one altogether."
)
HEADS = ("feature", "index", "by chance", "level", "missing then", "missing now", "meaning and evidence group")
BAR = Markup('<span class="index"><span class="bar" style="width:{}px"></span> {}</span>')
MEANING = Markup('{}<div class="soft">{}</div>')
STYLE = Markup(
    "<style>.bar{display:inline-block;height:.7em;background:var(--mark);border-radius:2px}"
    ".index{white-space:nowrap}</style>"
)
WIDEST = 80  # pixels of a bar, for an index of 1 or more


def write_run_report(run: Mapping, folder: Path) -> None:
    """Both files into `folder`, made where missing; each is the old one or the whole new one. Raises OutputError."""
    kept = {name: value for name, value in run.items() if name != "title"}
    files = {"drift.json": json.dumps(kept, indent=1, ensure_ascii=False, allow_nan=False) + "\n"}
    files["report.html"] = run_html(run)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            beside = folder / f".{name}.part"
            beside.write_text(text, encoding="utf-8")
            beside.replace(folder / name)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written to ({error.strerror}); name another folder.") from error


# --- the page ---------------------------------------------------------------------------------------------------------


def run_html(run: Mapping) -> str:
    """The whole page."""
    drift, title = run["drift"], run.get("title", "Fairmeter: a run")
    said = [SECTION.format("Drift", WHAT_IT_IS, list_of([*describe_drift(drift), WHAT_IT_IS_NOT]))]
    parts = [
        joined("<h1>{}</h1>", [title]),
        joined('<p class="soft">{}</p>', _facts(run)),
        _tiles(run),
        _severities(run),
        _stability(run),
        *said,
        *(_drift_of(name, part) for name, part in drift["parts"].items()),
        STYLE,
    ]
    return page_of(title, parts)


def _facts(run: Mapping) -> list[str]:
    model = run["model"]
    trained = f", trained {model['trained_at']}" if "trained_at" in model else ""
    return [f"Scored {run['scored_at']}: {run['data']}.", f"Model {model['version']}{trained}."]


def _tiles(run: Mapping) -> Markup:
    n = sum(run["n_by_severity"].values())
    tiles = [("Clients", f"{n:,}", f"{run['n_suspected']:,} of them suspected.")]
    for name, part in run["drift"]["parts"].items():
        score = part["score"]
        tiles.append((f"Score of {name}", f"{score['psi']:.2f}", f"Index of the score: {score['level']}."))
        of = f"of {part['n_features']:,}, the highest index is {part['max_psi']:.2f}."
        tiles.append((f"Features of {name} shifted", f"{part['n_shifted']:,}", of))
    for row in (run["stability"] or [])[:1]:
        tiles.append((f"First {row['k']:,} kept", f"{row['n_both']:,}", f"Jaccard index {row['jaccard']:.2f}."))
    return joined('<div class="tiles">{}</div>', [NOTHING.join(TILE.format(a, b, "", c) for a, b, c in tiles)])


def _severities(run: Mapping) -> Markup:
    counts, n = run["n_by_severity"], max(sum(run["n_by_severity"].values()), 1)
    rows = [
        [name, f"{counts.get(name, 0):,}", shown(counts.get(name, 0) / n, ".1%")]
        for name in (*SEVERITIES, INSUFFICIENT_HISTORY)
    ]
    return SECTION.format("Clients by severity", "", table_of(["severity", "clients", "share"], rows))


def _stability(run: Mapping) -> Markup:
    rows = run["stability"]
    if rows is None:
        return NOTHING
    cells = [[f"{r['k']:,}", f"{r['n_both']:,}", f"{r['k'] - r['n_both']:,}", f"{r['jaccard']:.2f}"] for r in rows]
    table = table_of(["first clients", "on both lists", "new on this one", "Jaccard index"], cells)
    said = f"{OVERLAP} The former one: {run['former']}."
    return SECTION.format("Stability of the list", said, table if cells else "One of both lists names nobody.")


def _drift_of(name: str, part: Mapping) -> Markup:
    score = part["score"]
    said = [f"{part['n_now']:,} clients beside {part['n_then']:,} in training."]
    above = [shown(score[when], ".1%") for when in ("above_then", "above_now")]
    said.append(f"Above the score that {above[0]} of the training clients were above are {above[1]}.")
    if part["n_constant"]:
        said.append(f"{part['n_constant']:,} features had one value for all training clients.")
    if part["n_shifted"]:
        said.append(LOOK)
    table = table_of(HEADS, [_cells(row) for row in part["features"]], "prose")
    return SECTION.format(f"Features of {name} by drift", " ".join(said), table)


def _cells(row: Mapping) -> list:
    width = round(min(row["psi"], 1.0) * WIDEST)
    missing = [shown(row[when], ".1%") for when in ("missing_then", "missing_now")]
    level = row["level"] + (" (constant in training)" if row["is_constant"] else "")
    told = [f"{row['chance']:.3f}", level, *missing, MEANING.format(row["text"], row["group"])]
    return [row["feature"], BAR.format(width, f"{row['psi']:.3f}"), *told]
