"""A scorer without a model, and what is sent to the service in the tests of it."""

import io
import json
import re

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from benchmarks.helpers.bodies import as_json
from benchmarks.helpers.servers import Connection
from benchmarks.helpers.servers import posted as posted_to
from fairmeter.core.types import INSUFFICIENT_HISTORY, QualityFlag, Reason, Score
from fairmeter.data.readings import READING_FIELDS
from fairmeter.data.tables import CLIENT_FIELDS, INVOICE_FIELDS
from fairmeter.scoring.payloads import RequestLimits
from fairmeter.scoring.problems import InvalidRow
from fairmeter.web.scoring_api import schemas
from tests.builders.tables import a_client, an_invoice

LIMITS = RequestLimits(body_bytes=2**20, clients=600, invoices=40, readings=100)
PRIVATE = "Xq7-private"  # stands for what must not come back
MANIFEST = {"version": "1.0", "view": "prospective", "trained_at": "2026-11-21T10:00:00Z", "threshold": 0.5}
THRESHOLD = MANIFEST["threshold"]
REASONS = (Reason("level", 0.2, "High."),)


class ByConsumption:
    """A scorer without a model: real tables, and a probability that grows with what was billed and read."""

    manifest = MANIFEST

    def __init__(self):
        self.n_scored = 0

    def score(self, tables, with_reasons=False, stored=None, losses=None):  # noqa: ARG002  (the contract's)
        clients, invoices, readings, quality, _ = tables
        self.n_scored += len(quality)
        billed = np.bincount(invoices["client"], invoices["consumption_level_1"], minlength=len(quality))
        read = np.bincount(readings["client"], np.nan_to_num(readings["consumption_kwh"]), minlength=len(quality))
        n_records = np.bincount(np.append(invoices["client"], readings["client"]), minlength=len(quality))
        return [
            Score(client_id, float(kwh / (kwh + 100)), "high", THRESHOLD, REASONS if with_reasons else (), flags)
            if n
            else Score(client_id, None, INSUFFICIENT_HISTORY, THRESHOLD, (), flags)
            for client_id, kwh, n, flags in zip(clients["client_id"], billed + read, n_records, quality, strict=True)
        ]

    def score_aggregates(self, features, client_ids, with_reasons=False):  # noqa: ARG002  (the contract's)
        for i, row in enumerate(features):
            if not isinstance(row.get("age_months", 0), int | float | None):
                raise InvalidRow(i, "age_months", "not a number")
        flag = QualityFlag("unknown_features", 1, "Features that the model does not know: 1.")
        return [Score(client_id, 0.25, "low", THRESHOLD, (), (flag,)) for client_id in client_ids]


class Broken(ByConsumption):
    def score(self, _tables, with_reasons=False, stored=None, losses=None):  # noqa: ARG002  (the contract's)
        raise RuntimeError(PRIVATE)


def version_at(port):
    """The version of the model with which a service answers. Raises OSError."""
    with Connection(port) as connection:
        return json.loads(connection.ask(posted_to("/predict?reasons=0", as_json(a_body()))))["model"]["version"]


# --- sent and answered ------------------------------------------------------------------------------------------------


def a_body(client_id="c-1", n_invoices=2, level=90, **changes):
    days = [f"20{14 + i // 12}-{1 + i % 12:02d}-24" for i in range(n_invoices)]
    invoices = [an_invoice(invoice_on=day, consumption_level_1=level, **changes) for day in days]
    return {"client": a_client(client_id), "invoices": invoices, "readings": []}


def predicted(client, body):
    answer = client.post("/predict", json=body)
    assert answer.status_code == 200, answer.json
    return answer.json


def error_in(answer, status):
    """The error of an answer that must have that status and the one shape of errors."""
    assert answer.status_code == status
    assert answer.mimetype == "application/json"
    schemas.ErrorAnswer.model_validate(answer.json, extra="forbid")
    assert PRIVATE not in answer.text
    return answer.json["error"]


def posted(client, data, path="/predict", kind="application/json"):
    return client.post(path, data=data, content_type=kind)


def a_reading(day=1, kwh=9.5):
    return {"read_at": f"2014-03-{day:02d}", "consumption_kwh": kwh}


def uploaded(client, clients=None, invoices=None, readings=None):
    texts = {"clients": clients, "invoices": invoices, "readings": readings}
    files = {name: (io.BytesIO(text), "any name.csv") for name, text in texts.items() if text is not None}
    return client.post("/batch", data=files)


def without_model(answer):
    return {name: value for name, value in answer.items() if name != "model"}


def without_errors(batch):
    assert batch.status_code == 200, batch.json
    assert batch.json["errors"] == []
    return batch.json["results"]


# --- anything ---------------------------------------------------------------------------------------------------------

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4),
    max_leaves=10,
)
NAMES = sorted({name for field in CLIENT_FIELDS + INVOICE_FIELDS for name in field[:2]})
RECORDS = st.dictionaries(st.sampled_from(NAMES), JSON_VALUES, max_size=4)
MOMENTS = st.sampled_from(["2014-03-24", "24/03/2014 13:30", "2014-03-24T13:30:00Z", "0001-01-01", "9999-12-31"])
READINGS = st.lists(
    st.fixed_dictionaries(
        {"read_at": MOMENTS | JSON_VALUES, "consumption_kwh": st.none() | st.floats() | JSON_VALUES},
        optional={"x": JSON_VALUES},
    )
    | st.dictionaries(st.sampled_from([field.name for field in READING_FIELDS]), JSON_VALUES),
    max_size=5,
)
BODIES = (
    st.fixed_dictionaries({}, optional={"client": RECORDS, "invoices": st.lists(RECORDS, max_size=3), "x": JSON_VALUES})
    | st.fixed_dictionaries({"readings": READINGS}, optional={"client": RECORDS})
    | st.fixed_dictionaries({"client": JSON_VALUES, "invoices": JSON_VALUES, "readings": JSON_VALUES})
    | st.dictionaries(st.sampled_from([*NAMES, "age_months"]), JSON_VALUES, max_size=4)
    | JSON_VALUES
)
FUZZ = settings(suppress_health_check=[HealthCheck.too_slow])


def fuzzed(body):
    """Whatever floats are in it, as JSON; those that JSON does not know are too large instead."""
    return re.sub(r"\b(NaN|Infinity)\b", "1e999", json.dumps(body)).encode()
