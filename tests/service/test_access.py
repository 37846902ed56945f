"""Who may score: anybody by default, with API_KEY whoever has it; nothing is open by being forgotten."""

import pytest

from fairmeter.scoring.problems import Problem
from fairmeter.web.app import create_app
from fairmeter.web.http import auth, forwarding
from fairmeter.web.http.auth import DeskAccess, FailedAttempts, Identity
from tests.builders.service import LIMITS, ByConsumption, a_body, error_in

KEY = "s3cret-of-a-script"  # of 18 characters
SHORT = "s3cret"
OPEN = {
    "/health",
    "/ready",
    "/ready/scoring",
    "/model",
    "/docs",
    "/openapi.json",
    "/v2",
    "/v2/health/live",
    "/v2/models/fraud",
}


@pytest.fixture
def client():
    return create_app(ByConsumption(), LIMITS, KEY).test_client()


def scored(client, **headers):
    return client.post("/predict", json=a_body(), headers=headers)


def test_without_a_key_set_anybody_scores_and_a_key_that_is_sent_does_no_harm():
    client = create_app(ByConsumption(), LIMITS).test_client()
    assert scored(client).status_code == 200
    assert scored(client, Authorization="Bearer whatever").status_code == 200
    assert client.get("/metrics").status_code == 200


def test_the_key_is_taken_as_a_bearer_token_and_in_its_own_header(client):
    assert scored(client, Authorization=f"Bearer {KEY}").status_code == 200
    assert scored(client, Authorization=f"bearer  {KEY}").status_code == 200
    assert scored(client, **{"X-API-Key": KEY}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": f"Basic {KEY}"},
        {"X-API-Key": ""},
        {"X-API-Key": "\xff"},
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/batch", "/v2/models/fraud/infer", "/metrics"])
def test_scoring_and_counts_ask_for_the_key(client, path, headers):
    method = "GET" if path == "/metrics" else "POST"
    answer = client.open(path, method=method, json=a_body(), headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert KEY not in answer.text


def test_a_refusal_has_the_shape_of_errors(client):
    assert error_in(scored(client), 401)["code"] == "unauthorized"


def test_what_tells_nothing_of_clients_stays_open(client):
    for path in OPEN:
        assert client.get(path).status_code == 200, path


def test_a_route_that_names_no_role_is_closed(client):
    client.application.add_url_rule("/forgotten", "forgotten", lambda: "all the rows")
    assert client.get("/forgotten").status_code == 401
    assert client.get("/forgotten", headers={"X-API-Key": KEY}).status_code == 403


def test_the_right_key_opens_however_often_others_at_its_address_failed(client):
    tried = [scored(client, **{"X-API-Key": "guessed"}).status_code for _ in range(auth.FAILURES + 1)]
    assert tried == [401] * auth.FAILURES + [429]
    assert scored(client, **{"X-API-Key": KEY}).status_code == 200


def test_a_short_key_that_could_be_guessed_waits_after_failures():
    client = create_app(ByConsumption(), LIMITS, SHORT).test_client()
    for _ in range(auth.FAILURES):
        assert scored(client, **{"X-API-Key": "guessed"}).status_code == 401
    answer = scored(client, **{"X-API-Key": SHORT})
    assert error_in(answer, 429)["code"] == "too_many_requests"
    assert 0 < int(answer.headers["Retry-After"]) <= auth.WINDOW
    from_elsewhere = client.post(
        "/predict", json=a_body(), headers={"X-API-Key": SHORT}, environ_overrides={"REMOTE_ADDR": "10.0.0.9"}
    )
    assert from_elsewhere.status_code == 200


def test_failures_are_forgotten_after_the_window_and_only_so_many_are_remembered():
    now = [0.0]
    failures = FailedAttempts(most=2, window=10, clock=lambda: now[0])
    failures.add("a")
    now[0] = 4.0
    failures.add("a")
    with pytest.raises(Problem) as refused:
        failures.check("a")
    assert refused.value.headers == {"Retry-After": "6"}
    now[0] = 10.0
    failures.check("a")
    for i in range(auth.MAX_ADDRESSES + 5):
        failures.add(str(i))
    assert len(failures._at) == auth.MAX_ADDRESSES


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("127.0.0.1:9696", "127.0.0.1"),
        ("LOCALHOST", "localhost"),
        ("[::1]:80", "::1"),
        ("localhost.evil.example:80", "localhost.evil.example"),
        ("[::1", ""),
        ("", ""),
    ],
)
def test_the_name_in_a_host_header_is_read_with_and_without_a_port(host, name):
    assert auth.host_name(host) == name


FORWARDED = (
    "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Anything", "Forwarded", "Via", "X-Real-IP",
    "True-Client-IP", "CF-Connecting-IP", "X-Envoy-External-Address",
)  # fmt: skip


def test_a_proxy_that_the_service_was_not_told_of_is_warned_of_once(caplog):
    for proxies, n_expected in ((0, 1), (1, 0)):
        app = create_app(ByConsumption(), LIMITS)
        forwarding.warn_of_unexpected(app, proxies)
        caplog.clear()
        for _ in range(3):
            app.test_client().get("/model", headers={"X-Forwarded-For": "10.0.0.9"})
        found = [record.fields for record in caplog.records if record.getMessage() == "security"]
        assert [line["kind"] for line in found] == ["forwarded_unexpected"] * n_expected


# --- a desk that is open to this machine ------------------------------------------------------------------------------


class OpenDesk:
    """A desk with one route, as far as the guard knows one."""

    def __init__(self, open_to):
        self.access = DeskAccess(open_to=open_to)

    def register(self, app, guard):
        app.add_url_rule("/rows", "rows", lambda: guard.identity().name, methods=["GET", "POST"])
        guard.set_roles(rows=auth.INVESTIGATOR)

    def following(self, scorer):
        return scorer

    def ready(self):
        raise Problem(503, "store_unavailable", "The database does not answer.")


def of_desk(open_to):
    return create_app(ByConsumption(), LIMITS, None, OpenDesk(open_to)).test_client()


@pytest.mark.parametrize(
    ("open_to", "request_", "status"),
    [
        (auth.THIS_MACHINE, {"base_url": "http://127.0.0.1:9696"}, 200),
        (auth.THIS_MACHINE, {"base_url": "http://localhost:9696"}, 200),
        (auth.THIS_MACHINE, {"base_url": "http://evil.example"}, 401),
        *((auth.THIS_MACHINE, {"headers": {name: "10.0.0.9"}}, 401) for name in FORWARDED),
        (auth.THIS_MACHINE, {"environ_overrides": {"REMOTE_ADDR": "10.0.0.9"}}, 401),
        (auth.EVERYBODY, {"base_url": "http://evil.example"}, 200),
        (auth.NO_ONE, {}, 401),
    ],
)
def test_an_open_desk_is_open_to_whoever_sits_at_the_machine(open_to, request_, status):
    assert of_desk(open_to).get("/rows", **request_).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_a_page_of_another_site_writes_nothing_at_an_open_desk(headers, status):
    client = of_desk(auth.THIS_MACHINE)
    assert client.post("/rows", headers=headers).status_code == status
    assert client.get("/rows", headers=headers).status_code == 200


def test_each_role_may_what_the_one_before_may_and_no_more():
    app = create_app(ByConsumption(), LIMITS)
    for role, may in (("viewer", 1), ("investigator", 2), ("admin", 3)):
        desk = DeskAccess(identity_of_key=lambda _key, role=role: Identity("k", role, "key"))
        guard = auth.AccessControl(app, None, desk)
        assert [refusal_of(app, guard, asked) for asked in auth.ROLES] == [None] * may + [403] * (3 - may)


def refusal_of(app, guard, role):
    """The status with which the guard refuses a key, None where it does not."""
    with app.test_request_context(headers={"X-API-Key": "any"}):
        try:
            guard.require(role)
        except Problem as problem:
            return problem.status
    return None


def test_it_is_not_ready_when_the_database_does_not_answer():
    client = of_desk(auth.THIS_MACHINE)
    assert error_in(client.get("/ready"), 503)["code"] == "store_unavailable"
    assert client.get("/ready/scoring").json["status"] == "ready", "scores need no database"
    assert client.get("/health").status_code == 200


def test_recording_is_refused_where_nothing_is_kept():
    client = create_app(ByConsumption(), LIMITS).test_client()
    error = error_in(client.post("/predict?record=1", json=a_body()), 422)
    assert error["fields"][0]["path"] == "record"
    assert client.post("/predict?record=0", json=a_body()).status_code == 200
    assert error_in(client.post("/predict?record=yes", json=a_body()), 422)["fields"][0]["path"] == "record"
