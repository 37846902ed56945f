"""The Flask application class: documents its routes as OpenAPI 3.1, parses JSON once, keeps uploads in memory."""

from io import BytesIO
from typing import Any

from flask import Request
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


class InMemoryRequest(Request):
    """A request whose uploads stay in memory: bodies are bounded, and a container's root may be read-only."""

    def _get_file_stream(self, *_args, **_kwargs) -> BytesIO:
        return BytesIO()

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
        self.openapi_version = "3.1.0"
        self.json.sort_keys = False
        self.components_schemas.update({name: Schema(**schema) for name, schema in components.items()})
        self.config |= {"MAX_CONTENT_LENGTH": max_body_bytes, "SWAGGER_CONFIG": SWAGGER_CONFIG}
