"""The report's sections on visits: what they find, cost and bring, and whether the false-alarm promise holds.

In:  metrics["visits"], as visit_study.py makes it, already plain.
Out: Markup; nothing where it was not measured.
"""

from collections.abc import Mapping

from markupsafe import Markup

from fairmeter.reports import figures
from fairmeter.reports.html import NOTHING, PAIR, SECTION, bracketed, share_cell, shown, table_of

WORTH = (
    "Who was caught is known of the clients kept back, what came back is not: energy is estimated from each client's "
    "own past or from clients like it, over the months that may be billed back, and a visit is assumed to cost what "
    "{:,.0f} kWh bring. Intervals hold the chance of who steals, not the error of the estimate. Net: energy brought "
    "less cost. {:,} of {:,} clients have an estimate; the others count with the median."
)
PROMISE = (
    "A list promises that on average no more than a share of it are false alarms (labelled 0), whatever the model is "
    "worth. Left: random halves of the out-of-fold scores; one makes the table, lists are drawn from the other, and an "
    "empty list has no false alarms. Right: one list of each promise among the clients kept back, by the model fitted "
    "on the others; a single list may lie above its promise."
)


def visits_sections(found: Mapping | None) -> Markup:
    if not found:
        return NOTHING
    said = WORTH.format(found["cost_kwh"], found["n_estimated"], found["n"])
    parts = [figures.inline(figures.worth(found["curves"]), "worth"), _numbers(found), _best(found), _severities(found)]
    worth = SECTION.format("What visits bring", said, NOTHING.join(parts))
    promised = PAIR.format(_splits(found["promise"]["splits"]), _others(found["promise"]["others"]))
    return worth + SECTION.format("The false-alarm promise", PROMISE, promised)


def _numbers(found: Mapping) -> Markup:
    heads, columns = ["visits"], []
    for name, rows in found["curves"].items():
        heads += [f"precision, {name}", f"net, {name} [kWh]"]
        columns.append([(share_cell(row["precision"]), _kwh(row["net"])) for row in rows])
    numbers = [f"{row['visits']:,}" for row in next(iter(found["curves"].values()))]
    rows = [
        [number, *(cell for pair in cells for cell in pair)] for number, *cells in zip(numbers, *columns, strict=True)
    ]
    return table_of(heads, rows)


def _best(found: Mapping) -> Markup:
    rows = [[f"{row['cost_kwh']:,.0f}", f"{row['visits']:,}", _kwh(row["net"])] for row in found["best"]]
    return table_of(["a visit costs [kWh]", "best number of visits, by expected energy", "net [kWh]"], rows)


def _severities(found: Mapping) -> Markup:
    rows = [
        [
            row["severity"],
            f"{row['n']:,}",
            share_cell(row["precision"]),
            f"{row['costs']:,.0f}",
            f"{row['brings']:,.0f}",
            _kwh(row["net"]),
        ]
        for row in found["severities"]
    ]
    return table_of(["severity", "clients", "precision", "costs [kWh]", "brings [kWh]", "net [kWh]"], rows)


def _splits(rows: list) -> Markup:
    cells = [
        [
            shown(row["promised"], ".0%"),
            share_cell(row["realised"]),
            "{} to {}".format(*(shown(end, ".0%") for end in row["range"])),
            f"{row['n']:,.0f}",
            shown(row["empty_share"], ".0%"),
        ]
        for row in rows
    ]
    heads = ["promised", "realised, mean of splits", "95 % of splits", "clients listed, mean", "splits without a list"]
    return table_of(heads, cells)


def _others(rows: list) -> Markup:
    cells = [
        [
            shown(row["promised"], ".0%"),
            share_cell(row["realised"]),
            f"{row['n']:,}",
            shown(row["smallest"], ".0%"),
        ]
        for row in rows
    ]
    return table_of(["promised", "realised", "clients listed", "smallest share that a list keeps"], cells)


def _kwh(figure: Mapping) -> Markup:
    return Markup("{} {}").format(shown(figure["value"], ",.0f"), bracketed(figure, ",.0f"))
