"""The Open Inference Protocol: the same scores as /predict gives, by the specification and by a published client."""

import json
import struct
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.serving import make_server

from fairmeter.scoring import examples
from fairmeter.web.app import create_app
from fairmeter.web.scoring_api import schemas
from tests.builders.service import FUZZ, JSON_VALUES, LIMITS, MANIFEST, Broken, ByConsumption, a_body, fuzzed, predicted

INFER = "/v2/models/fraud/infer"


@pytest.fixture(scope="module")
def client():
    return create_app(ByConsumption(), LIMITS).test_client()


def tensor(name, *data, datatype="FP64", shape=None):
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": list(data)}


def texts(*bodies):
    return tensor("client", *map(json.dumps, bodies), datatype="BYTES")


def inferred(client, *inputs, **more):
    answer = client.post(INFER, json={"inputs": list(inputs)} | more)
    assert answer.status_code == 200, answer.json
    return {output["name"]: output for output in answer.json["outputs"]}


def refused(client, body, status=400, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.post(INFER, data=data, headers=headers, content_type="application/json")
    assert answer.status_code == status, answer.text
    assert list(answer.json) == ["error"]
    return answer.json["error"]


def test_it_says_that_it_is_alive_ready_and_what_it_is(client):
    assert client.get("/v2/health/live").json == {"live": True}
    assert client.get("/v2/health/ready").json == {"ready": True}
    assert client.get("/v2").json == {"name": "fairmeter", "version": "1.0", "extensions": ["binary_tensor_data"]}
    assert client.get("/v2/models/fraud/ready").json == {"name": "fraud", "ready": True}
    assert create_app(Broken(), LIMITS).test_client().get("/v2/health/ready").status_code == 503


def test_the_model_names_its_tensors(client):
    named = client.get("/v2/models/fraud").json
    assert (named["name"], named["versions"]) == ("fraud", ["1.0"])
    assert named["inputs"] == [{"name": "client", "datatype": "BYTES", "shape": [-1]}]
    assert {output["name"] for output in named["outputs"]} >= {"prediction", "probability", "severity"}


MODELS = {"/v2": schemas.ProtocolServer, "/v2/health/live": schemas.ProtocolLive}
MODELS |= {"/v2/health/ready": schemas.ProtocolReady, "/v2/models/fraud": schemas.ProtocolModel}
MODELS |= {"/v2/models/fraud/ready": schemas.ProtocolReady, "/v2/models/fraud/infer": schemas.ProtocolAnswer}


@pytest.mark.parametrize(("path", "model"), MODELS.items())
def test_the_document_says_what_the_protocol_answers_and_that_its_errors_are_sentences(client, path, model):
    [operation] = client.get("/openapi.json").json["paths"][path].values()
    told = {
        status: answer["content"]["application/json"]["schema"] for status, answer in operation["responses"].items()
    }
    assert told.pop("200") == schemas.reference(model)
    assert "default" in told
    assert all(schema == schemas.reference(schemas.ProtocolError) for schema in told.values())
    if "requestBody" not in operation:
        model.model_validate(client.get(path).json, extra="forbid")
        return
    examples = operation["requestBody"]["content"]["application/json"]["examples"].values()
    for example in examples:
        model.model_validate(client.post(path, json=example["value"]).json, extra="forbid")
    schemas.ProtocolError.model_validate(client.post(path, json={}).json, extra="forbid")


def test_another_model_and_another_version_are_not_found(client):
    assert client.get("/v2/models/other").status_code == 404
    assert client.get("/v2/models/fraud/versions/1.0").json["versions"] == ["1.0"]
    answer = client.get("/v2/models/fraud/versions/2")
    assert answer.status_code == 404
    assert "1.0" in answer.json["error"]


def test_clients_as_json_texts_get_what_predict_gives(client):
    bodies = [a_body("c-1", level=150), examples.READ, {"invoices": []}]
    found = inferred(client, texts(*bodies))
    answers = [client.post("/predict?reasons=0", json=body).json for body in bodies]
    for name in ("prediction", "probability", "threshold", "severity"):
        assert found[name]["data"] == [answer[name] for answer in answers]
        assert found[name]["shape"] == [3]
    assert found["client_id"]["data"] == ["c-1", "c-18", ""]
    assert [json.loads(text) for text in found["answer"]["data"]] == answers


def test_a_tensor_for_each_feature_gets_what_the_flat_object_gives(client):
    found = inferred(
        client,
        tensor("client_id", "a", "b", datatype="BYTES"),
        tensor("client_catg", "client_catg_11", 12, datatype="BYTES"),
        tensor("age_months", [196], [None], shape=[2, 1]),
    )
    assert found["probability"]["data"] == [0.25, 0.25]
    assert found["client_id"]["data"] == ["a", "b"]


def test_the_id_and_the_outputs_that_are_asked_for_come_back(client):
    asked = {"id": "42", "inputs": [texts(a_body())], "outputs": [{"name": "severity"}, {"name": "probability"}]}
    answer = client.post(INFER, json=asked).json
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("42", "fraud", MANIFEST["version"])
    assert [output["name"] for output in answer["outputs"]] == ["severity", "probability"]


def test_tensors_may_follow_the_json_as_bytes(client):
    text = json.dumps(a_body("é")).encode()
    element = struct.pack("<I", len(text)) + text
    numbers = struct.pack("<2d", 3.5, float("nan"))
    for head, tail in (
        ([{"name": "client", "datatype": "BYTES", "shape": [2]}], element * 2),
        (
            [
                {"name": "age_months", "datatype": "FP64", "shape": [2]},
                {"name": "x", "datatype": "INT32", "shape": [2]},
            ],
            numbers + struct.pack("<2i", -1, 2),
        ),
    ):
        sizes = [len(element) * 2] if len(head) == 1 else [16, 8]
        inputs = [one | {"parameters": {"binary_data_size": n}} for one, n in zip(head, sizes, strict=True)]
        asked = json.dumps({"inputs": inputs}).encode()
        length = {"Inference-Header-Content-Length": str(len(asked))}
        answer = client.post(INFER, data=asked + tail, headers=length, content_type="application/octet-stream")
        assert answer.status_code == 200, answer.json
        assert answer.json["outputs"][0]["shape"] == [2]


BAD = {
    "not json": b"{",
    "a list": [],
    "no inputs": {},
    "no tensor": {"inputs": [1]},
    "no name": {"inputs": [{"datatype": "FP64", "shape": [1], "data": [1]}]},
    "no datatype": {"inputs": [{"name": "x", "shape": [1], "data": [1]}]},
    "an unknown datatype": {"inputs": [tensor("x", 1, datatype="FP16")]},
    "a shape of letters": {"inputs": [tensor("x", 1, shape=["1"])]},
    "a matrix": {"inputs": [tensor("x", 1, 2, 3, 4, shape=[2, 2])]},
    "another length than its shape": {"inputs": [tensor("x", 1, 2, shape=[3])]},
    "no data": {"inputs": [{"name": "x", "datatype": "FP64", "shape": [1]}]},
    "two lengths": {"inputs": [tensor("x", 1), tensor("y", 1, 2)]},
    "one name twice": {"inputs": [tensor("x", 1), tensor("x", 1)]},
    "no clients": {"inputs": [tensor("x", shape=[0])]},
    "a client beside features": {"inputs": [texts(a_body()), tensor("x", 1)]},
    "a client that is no text": {"inputs": [tensor("client", 1)]},
    "a client that is not json": {"inputs": [tensor("client", "{", datatype="BYTES")]},
    "a feature that is no number": {"inputs": [tensor("age_months", "old", datatype="BYTES")]},
    "more bytes than came": {"inputs": [tensor("x", 1) | {"parameters": {"binary_data_size": 8}}]},
    "parameters that are none": {"inputs": [tensor("x", 1) | {"parameters": 1}]},
    "an unknown output": {"inputs": [tensor("x", 1)], "outputs": [{"name": "mood"}]},
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
def test_what_cannot_be_read_is_a_400_with_a_sentence(client, body):
    assert refused(client, body).endswith(".")


def test_a_bad_client_is_named_by_its_place(client):
    assert "Client 1: invoices.0.invoice_on" in refused(client, {"inputs": [texts(a_body(), {"invoices": [{}]})]})


@pytest.mark.parametrize("length", ["x", "-1", "999999"])
def test_a_length_of_the_json_that_is_none_is_a_400(client, length):
    headers = {"Inference-Header-Content-Length": length}
    assert refused(client, {"inputs": [tensor("x", 1)]}, **headers)


def test_more_clients_than_a_batch_may_hold_are_refused(client):
    assert refused(client, {"inputs": [tensor("x", *[1] * (LIMITS.clients + 1))]}, 413)


# --- a published client -----------------------------------------------------------------------------------------------

BY_PUBLISHED_CLIENT = """
import json, sys
from open_inference.openapi.client import OpenInferenceClient, InferenceRequest
client = OpenInferenceClient(base_url=sys.argv[1])
client.check_server_liveness(), client.check_server_readiness(), client.check_model_readiness("fraud")
named = client.read_model_metadata("fraud")
request = InferenceRequest(id="7", inputs=[json.loads(tensor) for tensor in sys.argv[2:]])
answer = client.model_infer("fraud", request=request)
outputs = {output.name: output.data.__root__ for output in answer.outputs}
print(json.dumps([named.name, answer.id, outputs["severity"], outputs["probability"]], default=list))
"""


@pytest.fixture(scope="module")
def address(client):
    """The same app, by HTTP."""
    server = make_server("127.0.0.1", 0, client.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_client_that_the_protocols_group_publishes_works_unchanged(client, address):
    pytest.importorskip("open_inference.openapi", reason="open-inference-openapi is not here: make install")
    body = a_body("c-1", level=150)
    # In a process of its own: the client's generated code warns of what pydantic has put away.
    command = [sys.executable, "-W", "ignore", "-c", BY_PUBLISHED_CLIENT, address, json.dumps(texts(body))]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == ["fraud", "7", ["high"], [predicted(client, body)["probability"]]]


# --- anything ---------------------------------------------------------------------------------------------------------

TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["client", "age_months", "region"]) | JSON_VALUES,
        "datatype": st.sampled_from(["FP64", "BYTES", "INT8"]) | JSON_VALUES,
        "shape": st.sampled_from([[1], [2], [1, 1]]) | JSON_VALUES,
        "data": st.lists(st.integers() | st.text() | st.just(json.dumps(a_body())), max_size=2) | JSON_VALUES,
    },
    optional={"parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-1, 9) | JSON_VALUES})},
)


@FUZZ
@given(st.fixed_dictionaries({"inputs": st.lists(TENSORS, max_size=2) | JSON_VALUES}), st.binary(max_size=12))
def test_no_tensors_are_ever_a_500(client, body, tail):
    data = fuzzed(body)
    headers = {"Inference-Header-Content-Length": str(len(data))}
    answer = client.post(INFER, data=data + tail, headers=headers, content_type="application/json")
    assert answer.status_code in (200, 400, 413), answer.text
