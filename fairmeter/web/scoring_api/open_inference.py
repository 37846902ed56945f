"""The Open Inference Protocol v2, used by clients of KServe, MLServer and Triton: tensors -> scores.

In:  POST /v2/models/fraud/infer with either one BYTES tensor "client", each element the JSON text of a body
     of /predict; or flat aggregates, a tensor for each feature under its name in /predict (FP64 and other numbers, or
     BYTES), all of one length, one element a client. Shapes are [n] or [n, 1]; data is JSON, or follows the
     JSON as bytes (the protocol's binary tensor data extension).
Out: tensors of n elements: prediction, probability, threshold (FP64; NaN is not JSON, so a missing score is null)
     and severity, client_id, answer (BYTES; the last is /predict's whole answer). Errors are {"error": "a sentence"}.
A bad value in one client refuses the request: the protocol has no place for an error beside results.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from flask import Response, request
from flask_openapi import OpenAPI
from pydantic import BaseModel
from pydantic_core import to_json

from fairmeter.core.types import Score
from fairmeter.scoring import examples
from fairmeter.scoring.batches import Outcome
from fairmeter.scoring.payloads import RequestLimits, Row, check_number, parse_json, parse_row
from fairmeter.scoring.problems import Problem
from fairmeter.web.http.auth import ANYBODY, SCORING, AccessControl
from fairmeter.web.http.errors import JSON
from fairmeter.web.http.openapi_app import Api
from fairmeter.web.scoring_api import schemas
from fairmeter.web.scoring_api.responses import score_response
from fairmeter.web.server import policies
from fairmeter.web.server.policies import RoutePolicy

NAME, PLATFORM = "fraud", "onnx"
CLIENT = "client"
MODEL, VERSIONED = f"/v2/models/{NAME}", f"/v2/models/{NAME}/versions/<version>"
JSON_LENGTH = "Inference-Header-Content-Length"  # where the JSON ends and the bytes of tensors begin
NUMBERS = {"INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "UINT8": "<u1", "UINT16": "<u2"}
NUMBERS |= {"UINT32": "<u4", "UINT64": "<u8", "FP32": "<f4", "FP64": "<f8"}
READY_POLICY = RoutePolicy(policies.DESK_READINESS)
OUTPUTS = {"prediction": "FP64", "probability": "FP64", "threshold": "FP64"}
OUTPUTS |= {"severity": "BYTES", "client_id": "BYTES", "answer": "BYTES"}
CODES = frozenset({"client_id", "category", "client_catg", "region", "district", "disrict"})  # often texts


class Service(NamedTuple):
    """The parts of the service that the routes use. [ready: raises Problem; model: version, view, ...]"""

    score: Callable[[Iterator[Row]], list[Outcome]]
    body: Callable[[], bytes]
    ready: Callable[[], None]
    limits: RequestLimits
    model: dict
    features: tuple[str, ...]  # the aggregates of the model


def register(app: Api, guard: AccessControl, service: Service) -> None:
    """Add the protocol's routes."""
    _add_health(app, service)
    infer = RoutePolicy(policies.SCORING, service.limits.body_bytes, policies.LIGHT_BODY, policies.BATCHES)
    for prefix, suffix in ((MODEL, ""), (VERSIONED, "_of_version")):
        _add_model(app, service, prefix, suffix)
        guard.set_roles(**{f"v2_infer{suffix}": SCORING})
        app.set_policies(
            **{f"v2_infer{suffix}": infer, f"v2_model_ready{suffix}": RoutePolicy(policies.DESK_READINESS)}
        )
        guard.set_roles(**{f"{name}{suffix}": ANYBODY for name in ("v2_model", "v2_model_ready")})
    guard.set_roles(v2_live=ANYBODY, v2_ready=ANYBODY, v2_server=ANYBODY)
    app.set_policies(v2_live=RoutePolicy(policies.HEALTH), v2_ready=READY_POLICY)


def _add_health(app: OpenAPI, service: Service) -> None:
    @app.get("/v2/health/live", responses=_responses(schemas.ProtocolLive))
    def v2_live():
        """Open Inference Protocol: is the server alive?"""
        return _json({"live": True})

    @app.get("/v2/health/ready", responses=_responses(schemas.ProtocolReady))
    def v2_ready():
        """Open Inference Protocol: can it infer?"""
        service.ready()
        return _json({"ready": True})

    @app.get("/v2", responses=_responses(schemas.ProtocolServer))
    def v2_server():
        """Open Inference Protocol: the server's name and version."""
        version = str(service.model["version"])
        return _json({"name": "fairmeter", "version": version, "extensions": ["binary_tensor_data"]})


def _add_model(app: OpenAPI, service: Service, prefix: str, suffix: str) -> None:
    tensors = [_tensor(name, "BYTES" if name in CODES | {CLIENT} else "FP64") for name in (CLIENT, *service.features)]
    description = {"inputs": tensors, "outputs": [_tensor(*output) for output in OUTPUTS.items()]}
    own = str(service.model["version"])
    is_shown = {"doc_ui": not suffix}  # the document shows each operation once

    @app.get(prefix, endpoint=f"v2_model{suffix}", responses=_responses(schemas.ProtocolModel), **is_shown)
    def v2_model():
        """Open Inference Protocol: the model's tensors."""
        _check_version(own)
        return _json({"name": NAME, "versions": [own], "platform": PLATFORM} | description)

    ready = _responses(schemas.ProtocolReady)

    @app.get(f"{prefix}/ready", endpoint=f"v2_model_ready{suffix}", responses=ready, **is_shown)
    def v2_model_ready():
        """Open Inference Protocol: can the model infer?"""
        _check_version(own)
        service.ready()
        return _json({"name": NAME, "ready": True})

    answer = _responses(schemas.ProtocolAnswer)

    @app.post(f"{prefix}/infer", endpoint=f"v2_infer{suffix}", request_body=BODY, responses=answer, **is_shown)
    def v2_infer():
        """Open Inference Protocol: score clients given as tensors."""
        _check_version(own)
        request_json, tail = _parts(service.body())
        outcomes = service.score(_rows(_tensors(request_json, tail), service.limits))
        _refuse_bad(outcomes)
        return _json(_answer(request_json, outcomes, service.model))


def _responses(model: type[BaseModel]) -> dict:
    """A route's answers for the OpenAPI document, errors in the protocol's shape."""
    return {200: model, "default": schemas.ProtocolError}


def _tensor(name: str, datatype: str) -> dict:
    return {"name": name, "datatype": datatype, "shape": [-1]}


def _check_version(own: str) -> None:
    if (request.view_args or {}).get("version", own) != own:
        raise Problem(404, "not_found", f"The model has no such version; its version is {own}.")


# --- requests -----------------------------------------------------------------------------------------------------


def _parts(data: bytes) -> tuple[dict, bytes]:
    """The JSON of a request and the bytes behind it. Raises Problem."""
    length = request.headers.get(JSON_LENGTH, str(len(data)))
    if not length.isdecimal() or int(length) > len(data):
        raise _bad(f"{JSON_LENGTH} is no number of bytes within the body")
    request_json = parse_json(data[: int(length)])
    inputs = request_json.get("inputs") if type(request_json) is dict else None
    if type(inputs) is not list or not inputs:
        raise _bad('the body is no object with "inputs", a list of tensors')
    return request_json, data[int(length) :]


def _tensors(request_json: dict, tail: bytes) -> dict[str, list]:
    """The values of each tensor, by its name. Raises Problem."""
    tensors = {}
    for tensor in request_json["inputs"]:
        name, datatype, length = _head(tensor)
        if name in tensors:
            raise _bad(f"the input {name} is given twice")
        size = (tensor.get("parameters") or {}).get("binary_data_size")
        if size is None:
            values = _flat(tensor.get("data"))
        else:
            values, tail = _unpacked(name, datatype, size, tail), tail[size:]
        if len(values) != length:
            raise _bad(f"the input {name} has {len(values):,} elements; its shape says {length:,}")
        tensors[name] = values
    if len({len(values) for values in tensors.values()}) > 1:
        raise _bad("the inputs differ in length; give each one element a client")
    return tensors


def _head(tensor: Any) -> tuple[str, str, int]:
    """Name, datatype and number of elements. Raises Problem."""
    if type(tensor) is not dict or type(tensor.get("name")) is not str:
        raise _bad("an input has no name")
    name, datatype, shape = tensor["name"], tensor.get("datatype"), tensor.get("shape")
    if datatype not in (*NUMBERS, "BYTES"):
        raise _bad(f"the input {name[:40]} has an unknown datatype; use BYTES, FP64 or another number")
    is_shape = type(shape) is list and all(type(n) is int and n >= 0 for n in shape)
    if not is_shape or len(shape) not in (1, 2) or shape[1:] not in ([], [1]):
        raise _bad(f"the input {name[:40]} has no shape [n] or [n, 1]")
    if type(tensor.get("parameters") or {}) is not dict:
        raise _bad(f"the parameters of the input {name[:40]} are no object")
    return name, datatype, shape[0]


def _flat(data: Any) -> list:
    """The elements of [1, 2] or of [[1], [2]]. Raises Problem."""
    if type(data) is not list:
        raise _bad("an input has no list as its data")
    return [v[0] if type(v) is list and len(v) == 1 else v for v in data]


def _unpacked(name: str, datatype: str, size: Any, tail: bytes) -> list:
    """The elements in the first `size` bytes. Raises Problem."""
    if type(size) is not int or not 0 <= size <= len(tail):
        raise _bad(f"the input {name[:40]} gives a binary_data_size that the body does not have")
    if datatype == "BYTES":
        return list(_texts(tail[:size]))
    dtype = np.dtype(NUMBERS[datatype])
    if size % dtype.itemsize:
        raise _bad(f"the input {name[:40]} ends within an element")
    numbers = np.frombuffer(tail, dtype, size // dtype.itemsize)
    return [None if value != value else value for value in numbers.tolist()]  # NaN: missing


def _texts(data: bytes) -> Iterator[str]:
    """Texts, each after its length in four bytes. Raises Problem."""
    at = 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        if end > len(data) or at + 4 > len(data):
            raise _bad("a BYTES tensor ends within an element")
        try:
            yield data[at + 4 : end].decode()
        except UnicodeDecodeError:
            raise _bad("an element of a BYTES tensor is not UTF-8") from None
        at = end


def _rows(tensors: dict[str, list], limits: RequestLimits) -> Iterator[Row]:
    """A row for each element. Raises Problem."""
    n_clients = len(next(iter(tensors.values())))
    check_number(n_clients, limits)
    if CLIENT not in tensors:
        return (
            parse_row(dict(zip(tensors, values, strict=True)), limits) for values in zip(*tensors.values(), strict=True)
        )
    if len(tensors) > 1:
        raise _bad(f"the input {CLIENT} holds whole clients; give no other beside it")
    if any(type(text) is not str for text in tensors[CLIENT]):
        raise _bad(f"an element of the input {CLIENT} is no JSON text")
    return (parse_row(parse_json(text.encode("utf-8", "replace")), limits) for text in tensors[CLIENT])


def _bad(what: str) -> Problem:
    return Problem(422, "bad_value", f"{what[0].upper()}{what[1:]}.")


# --- answers -------------------------------------------------------------------------------------------------


def _refuse_bad(outcomes: list[Outcome]) -> None:
    """The protocol has no place for one client's error beside the others' results. Raises Problem."""
    for i, outcome in enumerate(outcomes):
        if isinstance(outcome, Problem):
            raise _bad(f"client {i}: {outcome.message.removesuffix('.')}")


def _answer(request_json: dict, scores: list[Score], model: dict) -> dict:
    names = _wanted_outputs(request_json)
    answers = [score_response(score) for score in scores]
    outputs = [_output(name, answers, model) for name in names]
    given_id = {"id": request_json["id"]} if type(request_json.get("id")) is str else {}
    return {"model_name": NAME, "model_version": str(model["version"])} | given_id | {"outputs": outputs}


def _wanted_outputs(request_json: dict) -> list[str]:
    """The outputs that are asked for, all of them where none is named. Raises Problem."""
    wanted = request_json.get("outputs") or [{"name": name} for name in OUTPUTS]
    if type(wanted) is not list or any(type(o) is not dict or o.get("name") not in OUTPUTS for o in wanted):
        raise _bad(f"the outputs are {', '.join(OUTPUTS)}")
    return [output["name"] for output in wanted]


def _output(name: str, answers: list[dict], model: dict) -> dict:
    if name == "answer":
        data = [to_json(answer | {"model": model}, inf_nan_mode="null").decode() for answer in answers]
    else:
        data = [answer[name] for answer in answers]
        data = ["" if value is None else value for value in data] if OUTPUTS[name] == "BYTES" else data
    return {"name": name, "datatype": OUTPUTS[name], "shape": [len(data)], "data": data}


def _json(answer: dict) -> Response:
    return Response(to_json(answer, inf_nan_mode="null"), mimetype=JSON)


_WHOLE = {"name": CLIENT, "shape": [2], "datatype": "BYTES"}
_WHOLE |= {"data": [to_json(examples.RAW).decode(), to_json(examples.READ).decode()]}
_FLAT = [
    {"name": name, "shape": [1], "datatype": "BYTES" if type(value) is str else "FP64", "data": [value]}
    for name, value in examples.FLAT.items()
]
_TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"type": "string", "enum": ["BYTES", *NUMBERS]},
        "data": {"type": "array", "items": {}},
        "parameters": {"type": "object"},
    },
}
_INPUTS = {
    "id": {"type": "string"},
    "inputs": {"type": "array", "items": _TENSOR},
    "outputs": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
}
BODY = {
    "content": {
        JSON: {
            "schema": {"type": "object", "required": ["inputs"], "properties": _INPUTS},
            "examples": {
                "clients": {"summary": "whole clients, as JSON texts", "value": {"id": "1", "inputs": [_WHOLE]}},
                "features": {"summary": "a tensor for each aggregate", "value": {"id": "2", "inputs": _FLAT}},
            },
        }
    }
}
