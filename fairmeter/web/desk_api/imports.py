"""Routes of imports: files -> a map, a check, a trial, the desk.

In:  files as multipart/form-data; a map as TOML in JSON; steps that are asked for.
Out: the import after the change. A step goes on after the answer: GET /import/{import_id} says how far it is.

An import belongs to the user or key that began it; to all others it does not exist.
"""

from flask import Response, request

from fairmeter.desk.imports import Imports
from fairmeter.scoring.problems import Problem
from fairmeter.store import Import
from fairmeter.store.imports import CHECK, CONFIRM, SCORE
from fairmeter.web.app import Api
from fairmeter.web.desk_api import requests, schemas
from fairmeter.web.desk_api.read import SECURITY, json_response
from fairmeter.web.http.auth import ADMIN, AccessControl

CREATED, ACCEPTED = 201, 202
TOML, HTML = "application/toml", "text/html"
UPLOAD = {
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {
                    "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    "names": {
                        "type": "array",
                        "items": {"type": "string"},
                        "description": "instead of files: names in the folder IMPORT_FROM",
                    },
                },
            }
        }
    }
}
# The report holds scripts of its own charts. In a sandbox it has no origin: it reads no cookie and no page of ours,
# and sends nothing anywhere.
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
)
REPORT_HEADERS = {"Content-Security-Policy": REPORT_POLICY, "Referrer-Policy": "no-referrer"}
MAP_HEADERS = {"Content-Disposition": 'attachment; filename="map.toml"', "Content-Security-Policy": "sandbox"}


def register(app: Api, guard: AccessControl, imports: Imports) -> None:
    """Add the routes, each for the role admin: an import replaces what all users see."""
    _add_files(app, guard, imports)
    _add_steps(app, guard, imports)
    names = ("begin_import", "list_imports", "read_import", "cancel_import", "read_import_map", "set_import_map")
    names += ("check_import", "score_import", "confirm_import", "read_import_report")
    guard.set_roles(**dict.fromkeys(names, ADMIN))
    if imports.files.folder is not None:
        for endpoint in ("begin_import", "desk.imports_begin"):
            app.keep_uploads(endpoint, imports.files.folder, imports.files.max_bytes)


def uploads_of_request() -> list[tuple[str, object]]:
    """Name and stream of each uploaded file; fields that were left empty are none."""
    return [(file.filename, file.stream) for file in request.files.getlist("files") if file.filename]


def begin(imports: Imports, owner: str) -> Import:
    """The import of a request with files or with names. Raises Problem, StoreError."""
    uploads, names = uploads_of_request(), request.form.getlist("names")
    return imports.begin_named(owner, names) if names and not uploads else imports.begin(owner, uploads)


def _answer(found: Import, status: int = 200) -> Response:
    return json_response(schemas.ImportResponse.model_validate(found), status)


def _add_files(app: Api, guard: AccessControl, imports: Imports) -> None:
    def user() -> str:
        return guard.identity().signature

    @app.post("/import", responses={CREATED: schemas.ImportResponse}, request_body=UPLOAD, security=SECURITY)
    def begin_import():
        """Upload files of clients, invoices or readings; their map is then guessed."""
        return _answer(begin(imports, user()), CREATED)

    @app.get("/import", responses={200: schemas.ImportList}, security=SECURITY)
    def list_imports():
        """Your imports, the newest first."""
        found = imports.store.list_imports(user())
        return json_response(schemas.ImportList(rows=[schemas.ImportResponse.model_validate(each) for each in found]))

    @app.get("/import/<int:import_id>", responses={200: schemas.ImportResponse}, security=SECURITY)
    def read_import(path: requests.ImportPath):
        """An import: its state, the step that runs, and what was found."""
        return _answer(imports.find(user(), path.import_id))

    @app.delete("/import/<int:import_id>", responses={200: schemas.ImportResponse}, security=SECURITY)
    def cancel_import(path: requests.ImportPath):
        """Throw an import away, with its files. 409 while it is being stored."""
        return _answer(imports.cancel(user(), path.import_id))

    @app.get("/import/<int:import_id>/map", responses={200: {"content": {TOML: {}}}}, security=SECURITY)
    def read_import_map(path: requests.ImportPath):
        """The map as a file."""
        found = imports.find(user(), path.import_id)
        if found.map_text is None:
            raise Problem(404, "not_found", "This import has no map: it is not guessed yet, or the import is closed.")
        return Response(found.map_text, content_type=f"{TOML}; charset=utf-8", headers=MAP_HEADERS)

    @app.put("/import/<int:import_id>/map", responses={200: schemas.ImportResponse}, security=SECURITY)
    def set_import_map(path: requests.ImportPath, body: requests.NewMap):
        """Replace the map. 422 with a sentence for each of its errors."""
        return _answer(imports.set_map(user(), path.import_id, body.map))

    @app.get("/import/<int:import_id>/report", responses={200: {"content": {HTML: {}}}}, security=SECURITY)
    def read_import_report(path: requests.ImportPath):
        """The whole report of the check, as a page."""
        report = imports.report(user(), path.import_id)
        return Response(report.read_bytes(), content_type=f"{HTML}; charset=utf-8", headers=REPORT_HEADERS)


def _add_steps(app: Api, guard: AccessControl, imports: Imports) -> None:
    def ask(import_id: int, step: str, **options: object) -> Response:
        return _answer(imports.ask(guard.identity().signature, import_id, step, **options), ACCEPTED)

    responses = {ACCEPTED: schemas.ImportResponse}

    @app.post("/import/<int:import_id>/check", responses=responses, security=SECURITY)
    def check_import(path: requests.ImportPath):
        """Ask for the check: what is in the files, and what looks wrong. 409 without a map."""
        return ask(path.import_id, CHECK)

    @app.post("/import/<int:import_id>/score", responses=responses, security=SECURITY)
    def score_import(path: requests.ImportPath):
        """Ask for a trial: the files are scored, and nothing is replaced. 409 before the check."""
        return ask(path.import_id, SCORE)

    @app.post("/import/<int:import_id>/confirm", responses=responses, security=SECURITY)
    def confirm_import(path: requests.ImportPath, query: requests.ConfirmQuery):
        """Ask for the trial to be stored, as score.py --store does. 409 without a trial."""
        return ask(path.import_id, CONFIRM, accept_fewer=query.accept_fewer)
