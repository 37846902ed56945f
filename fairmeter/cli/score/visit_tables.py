"""Tables of the expected hits, costs and value of visits, printed by score.py.

In:  scores, visits, a rich console.
Out: lines on the console. Energy where there is no price.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table as Sheet

from fairmeter.core.types import Score
from fairmeter.evaluation import inspection_value
from fairmeter.evaluation.conformal_selection import ConformalSelection
from fairmeter.planning.inspection_list import PlannedVisit, expected_values, visit_values
from fairmeter.planning.list_files import claims_probability

RANKS_OF_RUN = "Clients are ranked among those of this run, and what visits find is known only after some of them."
RANKS_ONLY = (
    "The model was trained without labels: clients are ranked among its training clients, and what visits find is "
    "known only after some of them."
)
SHOWN = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000)  # numbers of visits


def print_worth(scores: list[Score], n_asked: int | None, cost: float, price: float | None, console: Console) -> None:
    """Print hits, costs and value of visits, estimated from scores; energy where there is no price.

    Of ranks nothing is expected: one sentence says so.
    """
    if not claims_probability(scores):
        is_of_run = any(score.withheld is not None for score in scores)
        console.print(RANKS_OF_RUN if is_of_run else RANKS_ONLY, soft_wrap=True)
        return
    scored = [score for score in scores if score.probability is not None]
    hit = np.array([score.probability for score in scored])
    value = expected_values(scored, price)[:, 0]
    has_price = bool((~np.isnan(value)).any())
    energy = np.array([np.nan if score.recovery is None else score.recovery.kwh for score in scored])
    order = np.argsort(-visit_values(scored, value, cost), kind="stable")
    with np.errstate(divide="ignore", invalid="ignore"):
        stake = (value / hit if has_price else energy)[order]
    cost = cost if has_price else 0.0
    asked = sorted({*SHOWN, *([n_asked] if n_asked else [])})
    said = inspection_value.profit_curve(hit[order], stake, cost, has_labels=False, visit_counts=asked)
    by_severity = inspection_value.profit_by_severity(
        [scored[i].severity for i in order], hit[order], stake, cost, False
    )
    unit = "net value" if has_price else "kWh"
    console.print(sheet(("visits", "hits", "hit rate", f"expected {unit}"), map(worth_cells, said)))
    console.print(sheet(("severity", "clients", "hits", "cost", f"expected {unit}"), map(severity_cells, by_severity)))
    if has_price:
        best = inspection_value.best_visit_count(hit[order], stake, cost, has_labels=False)
        console.print(f"Most is left after {best['visits']:,} visits: {in_brackets(best['net'], ',.0f')}.")


def sheet(heads: tuple[str, ...], rows: Iterable[tuple]) -> Sheet:
    made = Sheet(box=None, pad_edge=False)
    for head in heads:
        made.add_column(head, justify="right")
    for row in rows:
        made.add_row(*row)
    return made


def worth_cells(row: dict) -> tuple:
    return (
        f"{row['visits']:,}",
        f"{row['hits']:,.0f}",
        in_brackets(row["precision"], ".0%"),
        in_brackets(row["net"], ",.0f"),
    )


def severity_cells(row: dict) -> tuple:
    return (
        row["severity"],
        f"{row['n']:,}",
        f"{row['hits']:,.0f}",
        f"{row['costs']:,.0f}",
        in_brackets(row["net"], ",.0f"),
    )


def in_brackets(figure: dict, form: str) -> str:
    low, high = figure["interval"]
    return f"{figure['value']:{form}} ({low:{form}} to {high:{form}})"


def print_list(
    visits: list[PlannedVisit], selection: ConformalSelection | None, n_asked: int | None, place: Path, console: Console
) -> None:
    """Print the length of the list, and the reason where it is shorter than asked for."""
    n_random = sum(visit.is_random for visit in visits)
    console.print(f"{len(visits):,} visits, {n_random:,} of them random: {place}", soft_wrap=True)
    if n_asked is not None and len(visits) < n_asked and selection is None:
        console.print("Fewer than asked for: no other client can be visited, or is worth more than a visit costs.")
    if selection is None:
        return
    n = int(selection.is_listed.sum())
    if n:
        line = f"{n:,} clients: the expected share of false alarms is at most {selection.share:.0%}"
        console.print(f"{line}, for clients that the model was not trained on.", soft_wrap=True)
    elif selection.smallest is not None:
        smallest = f"the smallest possible share is {selection.smallest:.0%}"
        console.print(f"No list keeps at most {selection.share:.0%} false alarms; {smallest}.", soft_wrap=True)
