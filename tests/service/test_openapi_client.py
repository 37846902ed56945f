"""A client that others generate from our OpenAPI document: every route, without a warning."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.desk import desk_app

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "deploy" / "openapi-client.yaml"
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def document(store):
    return desk_app(store).test_client().get("/openapi.json").json


def operations(document):
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


def test_every_operation_has_a_short_id_a_tag_and_its_errors(document):
    found = operations(document)
    ids = [operation["operationId"] for _, _, operation in found]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9_]{3,30}", name) for name in ids), ids
    known = {tag["name"] for tag in document["tags"]}
    for path, _, operation in found:
        assert set(operation["tags"]) <= known, path
        assert operation["tags"], path
        answers = set(operation["responses"])
        assert answers & {"200", "201", "202", "204"}, path
        assert {"429", "503", "default"} <= answers, path
        if "requestBody" in operation:
            assert {"400", "413", "415"} <= answers, path
        if "{" in path and not path.startswith("/v2"):
            assert "404" in answers, path


def test_errors_have_the_one_shape_and_those_of_the_protocol_its_own(document):
    for path, _, operation in operations(document):
        schema = "ProtocolError" if path.startswith("/v2") else "ErrorAnswer"
        for status, answer in operation["responses"].items():
            if status.startswith(("4", "5")):
                assert answer["content"]["application/json"]["schema"]["$ref"].endswith(f"/{schema}"), (path, status)


def test_arrays_say_what_is_in_them(document):
    def arrays(node):
        if isinstance(node, dict):
            if node.get("type") == "array":
                yield node
            for value in node.values():
                yield from arrays(value)
        elif isinstance(node, list):
            for value in node:
                yield from arrays(value)

    assert [array for array in arrays(document) if not {"items", "prefixItems"} & set(array)] == []


@pytest.mark.nightly
def test_a_client_is_generated_of_all_routes_without_a_warning(document, tmp_path):
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--config", CONFIG]
    places = ["--path", tmp_path / "openapi.json", "--output-path", tmp_path / "client"]
    ended = subprocess.run([*command, *places], capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "WARNING" not in ended.stdout + ended.stderr
    made = {path.stem for path in (tmp_path / "client" / "api").glob("*/*.py")}
    assert {operation["operationId"] for _, _, operation in operations(document)} <= made
