"""Rows of a list -> a file: CSV for programs, XLSX for spreadsheets, PDF for print.

In:  rows as the API tells them; what was asked for.
Out: the answer that holds the file. CSV and XLSX have every row and column, under their names in the API; what is
     printed has the columns of PRINTED, written for people, and no more rows than somebody carries.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any

from flask import Response, current_app
from flask_openapi import MediaType
from pydantic import BaseModel

from fairmeter.data.writers import csv_lines
from fairmeter.web.app import Api
from fairmeter.web.exports.process import file_answer
from fairmeter.web.http import i18n

CSV, PDF = "text/csv", "application/pdf"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
KINDS = (CSV, XLSX, PDF)
MOST_PRINTED = 2000  # rows: sixty pages
# Which columns are printed of a list, by its name.
PRINTED = {
    "clients": (
        "client_id", "severity", "probability", "expected_recovery_kwh", "region", "district", "category",
        "reason_group", "recommendation", "onset_on", "scored_at",
    ),
    "list": (
        "visit", "client_id", "severity", "probability", "is_random", "expected_recovery_kwh", "expected_net_value",
        "recommendation", "reason",
    ),
    "alerts": ("alert_id", "client_id", "severity", "state", "probability", "region", "rules", "raised_at"),
    "cases": ("case_id", "client_id", "severity", "state", "assignee", "outcome", "region", "opened_at", "updated_at"),
    "inspections": (
        "inspected_on", "client_id", "outcome", "user", "is_random", "recovered_kwh", "recovered_value", "severity",
        "probability", "reason_group", "region", "note",
    ),
}  # fmt: skip
WORDS = ("severity", "state", "outcome", "recommendation")  # columns whose values the texts know
FILTERS = {"probability": "percent", "region": "code", "category": "code", "district": "code"}
ENDINGS = {"_kwh": "energy", "_value": "money"}
IS_NUMBER = ("_id", "_kwh", "_value", "visit", "probability")
Rows = Iterable[BaseModel]


def file_of(kind: str, row: type[BaseModel], rows: Rows, name: str, asked: Mapping[str, Any]) -> Response:
    """[kind: csv, xlsx or pdf; asked: what the rows are filtered by, to be said on paper] Raises Problem."""
    return MAKERS[kind](row, rows, name, asked)


def documented(app: Api, *paths: str) -> None:
    """Says of these routes that they answer with files too."""
    for path in paths:
        app.paths[path].get.responses["200"].content |= {kind: MediaType() for kind in KINDS}


def _csv(row: type[BaseModel], rows: Rows, name: str, _asked: Mapping) -> Response:
    lines = csv_lines(list(row.model_fields), map(cells, rows))
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(lines, content_type=f"{CSV}; charset=utf-8", headers=headers)


def _xlsx(row: type[BaseModel], rows: Rows, name: str, _asked: Mapping) -> Response:
    told = {"kind": "book", "columns": list(row.model_fields)}
    return file_answer(told, map(cells, rows), f"{name}.xlsx", XLSX)


def _pdf(_row: type[BaseModel], rows: Rows, name: str, asked: Mapping) -> Response:
    found = list(islice(rows, MOST_PRINTED + 1))
    columns = PRINTED[name]
    notes = [
        filters_in_words(asked),
        *([i18n.text("paper.cut", shown=f"{MOST_PRINTED:,}")] if len(found) > MOST_PRINTED else []),
    ]
    title, now = i18n.text(f"paper.title.{name}"), written("moment", datetime.now(UTC))
    told = {
        "kind": "table",
        "title": title,
        "notes": [note for note in notes if note],
        "columns": [i18n.text(f"paper.column.{column}") for column in columns],
        "is_number": [column.endswith(IS_NUMBER) and column != "client_id" for column in columns],
        "foot": i18n.text("paper.foot", title=title, when=now),
        "page": i18n.text("paper.page"),
        "empty": i18n.text("paper.empty"),
    }
    return file_answer(told, printed(found[:MOST_PRINTED], columns), f"{name}.pdf", PDF)


MAKERS: dict[str, Callable[[type[BaseModel], Rows, str, Mapping], Response]] = {
    "csv": _csv,
    "xlsx": _xlsx,
    "pdf": _pdf,
}


# --- cells ------------------------------------------------------------------------------------------------------------


def cells(row: BaseModel) -> list:
    """Lists of names, and of rules as theirs, so that a cell holds one text."""
    values = row.model_dump(mode="json").values()
    return [_listed(value) if isinstance(value, list) else value for value in values]


def _listed(value: list) -> str:
    return ";".join(part if isinstance(part, str) else part["rule"] for part in value)


def printed(rows: Rows, columns: tuple[str, ...]) -> list[list[str]]:
    """At once, while the request lasts: how it is written depends on the app."""
    return [[in_words(column, getattr(row, column)) for column in columns] for row in rows]


def in_words(column: str, value: Any) -> str:
    """A value as the pages write it, empty where there is none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return i18n.text("paper.yes") if value else ""
    if column in WORDS:
        return i18n.text_or_default(f"{column}.{value}", str(value))
    if isinstance(value, list):
        return _listed(value)
    if isinstance(value, date):
        return written("moment" if isinstance(value, datetime) else "day", value)
    kind = FILTERS.get(column) or next((kind for end, kind in ENDINGS.items() if column.endswith(end)), None)
    return written(kind, value) if kind else str(value)


def written(kind: str, value: float | date | datetime) -> str:
    """As a filter of the templates writes it, in the utility's zone and currency."""
    return current_app.jinja_env.filters[kind](value)


def filters_in_words(asked: Mapping[str, Any]) -> str:
    """Severity: High; region: 103."""
    given = {name: value for name, value in asked.items() if value not in (None, "")}
    return "; ".join(
        f"{i18n.text_or_default(f'paper.filter.{n}', n)}: {in_words(n, value)}" for n, value in given.items()
    )
