"""The Flask application class: documents its routes as OpenAPI 3.1, parses JSON once, bounds uploads."""

from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, NamedTuple

from flask import Request, current_app, request
from flask.json.provider import DefaultJSONProvider
from flask_openapi import Info, OpenAPI, Schema
from pydantic import BaseModel
from pydantic_core import from_json
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from fairmeter.scoring.payloads import BYTE_ORDER_MARK, check_text
from fairmeter.web.http import errors
from fairmeter.web.http.errors import JSON
from fairmeter.web.server import policies
from fairmeter.web.server.front import REFUSAL, Front
from fairmeter.web.server.policies import RoutePolicy

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
MAX_PATHS = 1024  # whose endpoints are remembered


class UploadSpace(NamedTuple):
    """Where the files of large uploads go while they arrive, and how large a body may be."""

    folder: Path
    max_bytes: int


class BoundedJson:
    """How bodies are parsed: as the app's JSON, once their structure shows that this takes little memory."""

    @staticmethod
    def loads(data: bytes) -> Any:
        """Raises ValueError, and Problem for what would take too much memory."""
        check_text(data)
        return current_app.json.loads(data)


class InMemoryRequest(Request):
    """A request whose uploads stay in memory: bodies are bounded, and a container's root may be read-only.

    Endpoints that keep_uploads() names take larger ones, in files without a name, which nobody else can open.
    """

    json_module = BoundedJson

    @property
    def max_content_length(self) -> int | None:
        """The limit of the endpoint."""
        return current_app.policy_of_endpoint(self.endpoint).max_bytes

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
    """A Flask app that documents its routes as OpenAPI 3.1, for WSGI servers and for ASGI ones.

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
            operation_id_callback=lambda *, name, path, method: name,  # noqa: ARG005  (the library's)
            validation_error_callback=errors.validation_error_response,
            validation_error_status="default",
            validation_error_model=error_model,
            static_folder=None,
        )
        self.upload_spaces: dict[str | None, UploadSpace] = {}
        self.max_body_bytes = max_body_bytes
        self._policies: dict[str | None, RoutePolicy] = {}
        self._default_policy = RoutePolicy(max_bytes=min(policies.SMALL_BODY, max_body_bytes))
        self._endpoint_of = lru_cache(maxsize=MAX_PATHS)(self._find_endpoint)
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
        self.set_policies(**{endpoint: RoutePolicy(policies.UPLOADS, max_bytes, is_streamed=True)})

    def set_policies(self, **found: RoutePolicy) -> None:
        """Set where requests of endpoints are computed and how large their bodies may be, by the endpoints' names."""
        self._policies |= found

    def policy_of(self, method: str, path: str) -> RoutePolicy:
        """The policy of a request."""
        return self.policy_of_endpoint(self._endpoint_of(method, path))

    def policy_of_endpoint(self, endpoint: str | None) -> RoutePolicy:
        """The policy of an endpoint; None: of what is at no address."""
        return self._policies.get(endpoint, self._default_policy)

    def _find_endpoint(self, method: str, path: str) -> str | None:
        try:
            return self._adapter.match(path, method)[0]
        except HTTPException:  # there is no such route, or it redirects
            return None

    @cached_property
    def _adapter(self) -> MapAdapter:
        return self.url_map.bind("localhost")

    @cached_property
    def _front(self) -> Front:
        return Front(self)

    def __call__(self, *request: Any) -> Any:
        """WSGI's (environ, start_response) or ASGI's (scope, receive, send)."""
        return self._front(*request) if len(request) == 3 else super().__call__(*request)


def raise_refusal() -> None:
    """Answer with the error that the front has found."""
    if REFUSAL in request.environ:
        raise request.environ[REFUSAL]
