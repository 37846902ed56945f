"""The pages of imports: files, their map in a form, the check, the trial, and the confirmation.

In:  uploads or names of files; rows and text of the map; buttons of the steps.
Out: the pages at /desk/import. A map with errors is shown again as it was typed, each error in a sentence beside it.
"""

from collections.abc import Sequence
from typing import Any

from flask import flash, redirect, request, url_for

from fairmeter.data.maps.map_form import FormRow, RowChange, form_rows, with_changes
from fairmeter.data.maps.toml_text import MapError
from fairmeter.scoring.problems import Problem
from fairmeter.store import Import, ImportConflict
from fairmeter.store.imports import CHECK, CONFIRM, GUESS, SCORE, STEPS
from fairmeter.web.desk_api.imports import begin
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import ADMIN
from fairmeter.web.pages.site import Site, render

MAX_CHOICES = 300  # columns in the list of one field; others are written into the text
UNITS = ("Wh", "kWh", "MWh", "kVAh", "m3", "ft3", "therm", "W", "kW", "MW")
ROW_FIELDS = ("table", "field", "column", "unit", "format")
SEE_OTHER = 303


def register(site: Site) -> None:
    desk = site.desk

    def user() -> str:
        return site.guard.identity().signature

    def page_of(found: Import, text: str | None = None, problems: Sequence[str] = ()) -> str:
        return render("imports_one.html", **import_context(found, text, problems))

    def back(import_id: int):
        return redirect(url_for("desk.imports_one", import_id=import_id), SEE_OTHER)

    @site.page("/import", ADMIN)
    def imports():
        files = desk.imports.files
        return render(
            "imports.html",
            rows=desk.store.list_imports(user()),
            offered=files.list_offered(),
            can_take=files.folder is not None,
            most=files.max_bytes,
        )

    @site.page("/import", ADMIN, methods=("POST",))
    def imports_begin():
        return back(begin(desk.imports, user()).import_id)

    @site.page("/import/<int:import_id>", ADMIN)
    def imports_one(import_id: int):
        return page_of(desk.imports.find(user(), import_id))

    @site.page("/import/<int:import_id>/map", ADMIN, methods=("POST",))
    def imports_map(import_id: int):
        found, text = desk.imports.find(user(), import_id), request.form.get("map", "").replace("\r\n", "\n")
        try:
            text = with_changes(text, changed_rows(found.map_text or ""))
            desk.imports.set_map(user(), import_id, text)
        except MapError as error:
            return page_of(found, text, str(error).splitlines()), 422
        except Problem as error:
            return page_of(found, text, error.message.splitlines()), error.status
        if request.form.get("then") == CHECK:
            desk.imports.ask(user(), import_id, CHECK)
        else:
            flash(i18n.text("import.map_saved"), "done")
        return back(import_id)

    @site.page("/import/<int:import_id>/guess", ADMIN, methods=("POST",))
    def imports_guess(import_id: int):
        found = desk.imports.find(user(), import_id)
        if found.guess is None:
            desk.imports.ask(user(), import_id, GUESS)
        else:
            desk.store.set_import_map(import_id, found.guess)
        return back(import_id)

    @site.page("/import/<int:import_id>/<any(check, score, confirm):step>", ADMIN, methods=("POST",))
    def imports_step(import_id: int, step: str):
        options = {"accept_fewer": bool(request.form.get("accept_fewer"))} if step == CONFIRM else {}
        try:
            desk.imports.ask(user(), import_id, step, **options)
        except ImportConflict as error:  # two tabs, or a button that was pressed twice
            flash(str(error), "error")
        return back(import_id)

    @site.page("/import/<int:import_id>/cancel", ADMIN, methods=("POST",))
    def imports_cancel(import_id: int):
        desk.imports.cancel(user(), import_id)
        flash(i18n.text("import.cancelled", n=import_id), "done")
        return redirect(url_for("desk.imports"), SEE_OTHER)


def changed_rows(former: str) -> list[RowChange]:
    """The rows of the form that differ from what the page showed of the former map."""
    columns = [request.form.getlist(f"row_{name}") for name in ROW_FIELDS]
    rows = [RowChange(*values) for values in zip(*columns, strict=False)]
    try:
        shown = {(row.table, row.field): (row.column, row.unit or "", row.format or "") for row in form_rows(former)}
    except MapError:
        return []
    return [row for row in rows if shown.get(row[:2], row[2:]) != row[2:]]


def import_context(found: Import, text: str | None, problems: Sequence[str]) -> dict[str, Any]:
    """What the page of an import shows. [text: of the map as it was typed, None: as it is stored]"""
    shown = found.map_text or "" if text is None else text
    try:
        rows = form_rows(shown)
    except MapError as error:
        rows, problems = [], problems or str(error).splitlines()
    return {
        "found": found,
        "map_text": shown,
        "rows": [row._asdict() | {"choices": choices_of(row, found.headers)} for row in rows],
        "problems": problems,
        "units": UNITS,
        "possible": {step: found.step is None and found.state in STEPS[step].after for step in (CHECK, SCORE, CONFIRM)},
        "has_fewer": "accept_fewer" in (found.error or ""),
        "is_writing": found.step == CONFIRM and found.is_running,
    }


def choices_of(row: FormRow, headers: dict | None) -> list[str]:
    """The columns of the files, that of the row among them."""
    names = dict.fromkeys(name for table in (headers or {}).get("tables", ()) for name in table["columns"] if name)
    found = list(names)[:MAX_CHOICES]
    return found if not row.column or row.column in found else [row.column, *found]
