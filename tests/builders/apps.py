"""What the apps of one process share, so that the many made by tests cost half: OpenAPI schemas, compiled templates."""

import io
from copy import deepcopy
from functools import cache

import flask_openapi.utils
from jinja2 import BytecodeCache

from fairmeter.web.http.openapi_app import Api


class SharedTemplates(BytecodeCache):
    """Compiled templates in memory, by template and source."""

    def __init__(self) -> None:
        self._compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket) -> None:
        if bucket.key in self._compiled:
            bucket.load_bytecode(io.BytesIO(self._compiled[bucket.key]))

    def dump_bytecode(self, bucket) -> None:
        self._compiled[bucket.key] = bucket.bytecode_to_string()


def share_among_apps() -> None:
    """Let all apps that this process makes from here on share both."""
    schema_of = cache(flask_openapi.utils.get_model_schema)
    flask_openapi.utils.get_model_schema = lambda *model, **mode: deepcopy(schema_of(*model, **mode))
    Api.jinja_options = {**Api.jinja_options, "bytecode_cache": SharedTemplates()}
