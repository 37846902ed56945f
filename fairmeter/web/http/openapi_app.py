"""The Flask application class: documents its routes as OpenAPI 3.1, parses JSON once, bounds uploads."""

from io import BytesIO
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, NamedTuple

from flask import Request, current_app
from flask.json.provider import DefaultJSONProvider
from flask_openapi import Info, OpenAPI, Schema
from pydantic import BaseModel
from pydantic_core import from_json

from fairmeter.scoring.payloads import BYTE_ORDER_MARK
from fairmeter.web.http import errors
from fairmeter.web.http.errors import JSON

ABOUT = "Which clients of a utility are worth an inspection. A high score is a reason to look, not a finding."
API_VERSION = "1"
SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "a key"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "a key"},
    "session": {"type": "apiKey", "in": "cookie", "name": "fairmeter", "description": "a user's session"},
}
SWAGGER_CONFIG = {"validatorUrl": None}  # else Swagger UI asks a validator on the internet about our document


MAX_PARTS = 500  # of a form: files and fields
IN_MEMORY = 2**16  # bytes of an uploaded file, before it is written to the disk


class UploadSpace(NamedTuple):
    """Where the files of large uploads go while they arrive, and how large a body may be."""

    folder: Path
    max_bytes: int


class InMemoryRequest(Request):
    """A request whose uploads stay in memory: bodies are bounded, and a container's root may be read-only.

    Endpoints that keep_uploads() names take larger ones, in files without a name, which nobody else can open.
    """

    @property
    def max_content_length(self) -> int | None:
        """The limit of the endpoint."""
        space = self._space()
        return current_app.config["MAX_CONTENT_LENGTH"] if space is None else space.max_bytes

    def _space(self) -> UploadSpace | None:
        return current_app.upload_spaces.get(self.endpoint)

    def _get_file_stream(self, *_args, **_kwargs) -> BinaryIO:
        space = self._space()
        if space is None:
            return BytesIO()
        space.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return SpooledTemporaryFile(IN_MEMORY, dir=space.folder)

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = False) -> Any:
        """The parsed body, not cached: a body of photos would otherwise stay in memory twice, as bytes and as text."""
        return super().get_json(force, silent, cache)


class StrictJsonProvider(DefaultJSONProvider):
    """Reads JSON as /predict does. The standard parser exceeds its recursion limit on nested lists, and accepts NaN."""

    def loads(self, text: str | bytes, **_options) -> Any:
        """Raises ValueError."""
        data = text.encode() if isinstance(text, str) else text
        return from_json(data.removeprefix(BYTE_ORDER_MARK), allow_inf_nan=False)


class Api(OpenAPI):
    """A Flask app that documents its routes as OpenAPI 3.1.

    max_body_bytes: of a request; error_model: the shape of every error answer; components: schemas by name.
    """

    request_class = InMemoryRequest
    json_provider_class = StrictJsonProvider

    def __init__(self, max_body_bytes: int, error_model: type[BaseModel], components: dict[str, dict]) -> None:
        # Every operation names its errors as "default"; the library would add a 422 of another shape to each.
        schema = {"$ref": f"#/components/schemas/{error_model.__name__}"}
        answer = {"description": "what is wrong", "content": {JSON: {"schema": schema}}}
        super().__init__(
            "fairmeter.web",
            info=Info(title="Fairmeter", version=API_VERSION, description=ABOUT),
            doc_ui=False,
            responses={"default": answer},
            security_schemes=SCHEMES,
            validation_error_callback=errors.validation_error_response,
            validation_error_status="default",
            validation_error_model=error_model,
            static_folder=None,
        )
        self.upload_spaces: dict[str | None, UploadSpace] = {}
        self.openapi_version = "3.1.0"
        self.json.sort_keys = False
        self.components_schemas.update({name: Schema(**schema) for name, schema in components.items()})
        self.config |= {
            "MAX_CONTENT_LENGTH": max_body_bytes,
            "MAX_FORM_PARTS": MAX_PARTS,
            "SWAGGER_CONFIG": SWAGGER_CONFIG,
        }

    def keep_uploads(self, endpoint: str, folder: Path, max_bytes: int) -> None:
        """Let an endpoint take uploads of this size, through files in this folder."""
        self.upload_spaces[endpoint] = UploadSpace(folder, max_bytes)
