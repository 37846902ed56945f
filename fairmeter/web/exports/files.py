"""Rows of a list -> a file: CSV for programs, XLSX for spreadsheets, PDF for print.

In:  rows of the API's models, the filters that selected them, and what puts exports on record.
Out: the answer with the file. CSV and XLSX have every row and column, under their names in the API. A PDF has the
     columns of PRINTED_COLUMNS, formatted for people, and at most MAX_PRINTED rows.
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
from fairmeter.web.exports.process import file_response
from fairmeter.web.http import i18n

CSV, PDF = "text/csv", "application/pdf"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CONTENT_TYPES = (CSV, XLSX, PDF)
MAX_PRINTED = 2000  # rows: sixty pages
# The printed columns of each list.
PRINTED_COLUMNS = {
    "clients": (
        "client_id", "severity", "probability", "expected_recovery_kwh", "region", "district", "category",
        "reason_group", "state", "onset_on", "scored_at",
    ),
    "list": (
        "visit", "client_id", "severity", "probability", "is_random", "expected_recovery_kwh", "expected_net_value",
        "state", "reason",
    ),
    "alerts": ("alert_id", "client_id", "severity", "state", "probability", "region", "rules", "raised_at"),
    "cases": ("case_id", "client_id", "severity", "state", "assignee", "outcome", "region", "opened_at", "updated_at"),
    "inspections": (
        "inspected_on", "client_id", "outcome", "user", "is_random", "recovered_kwh", "recovered_value", "severity",
        "probability", "reason_group", "region", "note",
    ),
}  # fmt: skip
TRANSLATED = ("severity", "state", "outcome")  # columns whose values have texts
FILTERS = {"probability": "percent", "percentile": "number", "region": "code", "category": "code", "district": "code"}
ENDINGS = {"_kwh": "energy", "_value": "money"}
IS_NUMBER = ("_id", "_kwh", "_value", "visit", "probability", "percentile")
NAMING_CLIENTS = frozenset({"client_id", "id_prefix"})  # filters that stay out of the record, which forgets nobody
RECORDER = "export recorder"  # of the app: takes the list's name, and what of it was exported
Rows = Iterable[BaseModel]


def record_exports(app: Api, recorder: Callable[[str, str], None]) -> None:
    """Let this put every exported list on record."""
    app.extensions[RECORDER] = recorder


def export_response(kind: str, row: type[BaseModel], rows: Rows, name: str, filters: Mapping[str, Any]) -> Response:
    """The rows as a file, once this is on record. Raises Problem, StoreError.

    kind: csv, xlsx or pdf; filters: of the rows, printed on a PDF.
    """
    given = ", ".join(f"{key} {value}" for key, value in filters.items() if key not in NAMING_CLIENTS)
    current_app.extensions[RECORDER](name, f"{kind}: {given}" if given else kind)
    return WRITERS[kind](row, rows, name, filters)


def document_exports(app: Api, *paths: str) -> None:
    """Add the content types of files to these routes in the OpenAPI document."""
    for path in paths:
        app.paths[path].get.responses["200"].content |= {kind: MediaType() for kind in CONTENT_TYPES}


def _csv(row: type[BaseModel], rows: Rows, name: str, _filters: Mapping) -> Response:
    lines = csv_lines(list(row.model_fields), map(cells, rows))
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(lines, content_type=f"{CSV}; charset=utf-8", headers=headers)


def _xlsx(row: type[BaseModel], rows: Rows, name: str, _filters: Mapping) -> Response:
    header = {"kind": "book", "columns": list(row.model_fields)}
    return file_response(header, map(cells, rows), f"{name}.xlsx", XLSX)


def _pdf(_row: type[BaseModel], rows: Rows, name: str, filters: Mapping) -> Response:
    found = list(islice(rows, MAX_PRINTED + 1))
    columns = printed_columns(name, found)
    notes = [
        describe_filters(filters),
        *([i18n.text("paper.cut", shown=f"{MAX_PRINTED:,}")] if len(found) > MAX_PRINTED else []),
    ]
    title, now = i18n.text(f"paper.title.{name}"), filtered("moment", datetime.now(UTC))
    header = {
        "kind": "table",
        "title": title,
        "notes": [note for note in notes if note],
        "columns": [i18n.text(f"paper.column.{column}") for column in columns],
        "is_number": [column.endswith(IS_NUMBER) and column != "client_id" for column in columns],
        "foot": i18n.text("paper.foot", title=title, when=now),
        "page": i18n.text("paper.page"),
        "empty": i18n.text("paper.empty"),
        "direction": i18n.current_locale().direction,
    }
    return file_response(header, printed_rows(found[:MAX_PRINTED], columns), f"{name}.pdf", PDF)


WRITERS: dict[str, Callable[[type[BaseModel], Rows, str, Mapping], Response]] = {
    "csv": _csv,
    "xlsx": _xlsx,
    "pdf": _pdf,
}


def printed_columns(name: str, rows: list[BaseModel]) -> tuple[str, ...]:
    """The printed columns of a list; of ranks the percentile, and nothing that is expected of a probability."""
    columns = PRINTED_COLUMNS[name]
    if all(getattr(row, "percentile", None) is None for row in rows):
        return columns
    return tuple("percentile" if c == "probability" else c for c in columns if not c.startswith("expected_"))


# --- cells ------------------------------------------------------------------------------------------------------------


def cells(row: BaseModel) -> list:
    """A row's values for a file; lists of names or rules become one text."""
    values = row.model_dump(mode="json").values()
    return [_join(value) if isinstance(value, list) else value for value in values]


def _join(value: list) -> str:
    return ";".join(part if isinstance(part, str) else part["rule"] for part in value)


def printed_rows(rows: Rows, columns: tuple[str, ...]) -> list[list[str]]:
    """The rows as texts, at once: formatting needs the request's app."""
    return [[cell_text(column, getattr(row, column)) for column in columns] for row in rows]


def cell_text(column: str, value: Any) -> str:
    """A value formatted as on the pages, empty for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return i18n.text("paper.yes") if value else ""
    if column in TRANSLATED:
        return i18n.text_or_default(f"{column}.{value}", str(value))
    if isinstance(value, list):
        return _join(value)
    if isinstance(value, date):
        return filtered("moment" if isinstance(value, datetime) else "day", value)
    kind = FILTERS.get(column) or next((kind for end, kind in ENDINGS.items() if column.endswith(end)), None)
    if kind == "code":
        return i18n.code(value, column)
    return filtered(kind, value) if kind else str(value)


def filtered(kind: str, value: float | date | datetime) -> str:
    """A value through a filter of the templates, in the utility's zone and currency."""
    return current_app.jinja_env.filters[kind](value)


def describe_filters(filters: Mapping[str, Any]) -> str:
    """The filters as text: Severity: High; region: 103."""
    given = {name: value for name, value in filters.items() if value not in (None, "")}
    return i18n.text("paper.semicolon").join(
        f"{i18n.text_or_default(f'paper.filter.{n}', n)}: {cell_text(n, value)}" for n, value in given.items()
    )
