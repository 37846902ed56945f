"""What the service says is unusual: in every answer, beside the score, the same alone and in a batch."""

import json
from pathlib import Path

import numpy as np
import pytest

from fairmeter.core.types import Anomaly, Score
from fairmeter.models import model_file
from fairmeter.planning import list_files
from fairmeter.scoring.payloads import RequestLimits
from fairmeter.scoring.predictor import Predictor
from fairmeter.web.app import create_app
from fairmeter.web.scoring_api.responses import score_response
from tests.builders.readings import town
from tests.builders.tables import a_client, an_invoice

MODEL = Path(__file__).resolve().parents[2] / "model.bin"
N_DAYS = 450
SPIKE = Anomaly("sudden spike", "high", "2014-01-03", "2014-01-22", 1.4, "3.1 times the usual.")


@pytest.fixture(scope="module")
def client():
    limits = RequestLimits(2_000_000, 100, 1000, 10_000)
    return create_app(Predictor(model_file.load(MODEL)), limits).test_client()


def a_home(kwh, client_id="h"):
    first = np.datetime64("2012-12-01")
    readings = [{"read_at": str(first + n), "consumption_kwh": float(value)} for n, value in enumerate(kwh)]
    return {"client": {"client_id": client_id}, "readings": readings}


def spiking(kwh):
    kwh = kwh.copy()
    kwh[-40:-18] *= 4.0
    return kwh


def anomalies_of(client, body):
    return client.post("/predict?reasons=0", json=body).json["anomalies"]


HOMES = town(4, N_DAYS, seed=8)


def test_a_spike_is_named_with_its_time_and_says_nothing_of_theft(client):
    answer = client.post("/predict?reasons=0", json=a_home(spiking(HOMES[0]))).json
    [spike] = answer["anomalies"]
    assert list(spike) == ["pattern", "severity", "since", "until", "strength", "text"]
    assert spike["pattern"] == "sudden spike"
    assert (spike["since"], spike["until"]) == ("2014-01-15", "2014-02-05")
    assert spike["strength"] > 1
    assert spike["text"].startswith("3.8 times the usual consumption from 15 January 2014 to 5 February 2014: 20 kWh")
    assert answer["prediction"] == 0


def test_a_plain_client_has_no_anomaly(client):
    assert anomalies_of(client, a_home(HOMES[1])) == []


def test_a_client_with_invoices_only_has_those_of_its_invoices(client):
    kwh = [400, 430, 380] * 5 + [2900]
    first = np.datetime64("2008-01-15")
    invoices = [
        an_invoice(invoice_on=str(first + 122 * i), consumption_level_1=value, old_index=500 * i, new_index=500 * i)
        for i, value in enumerate(kwh)
    ]
    found = anomalies_of(client, {"client": a_client(), "invoices": invoices})
    assert "sudden spike" in {one["pattern"] for one in found}
    assert anomalies_of(client, {"client": a_client(), "invoices": invoices[:-1]}) == []


def test_aggregates_have_none(client):
    answer = client.post("/predict", json={"client_id": "f", "consumption_level_1_mean": 300.0}).json
    assert answer["anomalies"] == []


def test_a_batch_names_the_same_as_single_requests(client):
    bodies = [a_home(kwh, f"h-{i}") for i, kwh in enumerate([spiking(HOMES[0]), HOMES[1], HOMES[2] * 0.0, HOMES[3]])]
    bodies[3]["readings"] = bodies[3]["readings"][:30]
    results = client.post("/batch?reasons=0", json=bodies).json["results"]
    together = {one["row"]: one["anomalies"] for one in results}
    assert [together[row] for row in range(4)] == [anomalies_of(client, body) for body in bodies]
    assert [bool(together[row]) for row in range(4)] == [True, False, True, False]


def test_the_document_describes_them(client):
    schemas = client.get("/openapi.json").json["components"]["schemas"]
    described = schemas["AnomalyResponse"]["properties"]
    assert list(described) == ["pattern", "severity", "since", "until", "strength", "text"]
    assert len(described["pattern"]["enum"]) == 7
    assert schemas["Answer"]["properties"]["anomalies"]["items"] == {"$ref": "#/components/schemas/AnomalyResponse"}


def test_a_list_has_them_as_text_in_csv_and_as_records_in_parquet(tmp_path):
    from pyarrow import parquet

    from fairmeter.data.writers import write

    columns = list_files.score_columns(
        [Score("a", 0.4, "low", 0.2, anomalies=(SPIKE, SPIKE)), Score("b", 0.1, "low", 0.2)]
    )
    for name in ("scores.csv", "scores.parquet"):
        write(columns, tmp_path / name, list_files.COLUMN_TYPES)
    lines = (tmp_path / "scores.csv").read_text().splitlines()
    one = "sudden spike (high) 2014-01-03 to 2014-01-22"
    assert lines[0].endswith(",anomalies")
    assert [line.rpartition(",")[2] for line in lines[1:]] == [f"{one}; {one}", ""]
    records = parquet.read_table(tmp_path / "scores.parquet")["anomalies"].to_pylist()
    assert records[0][0] == score_response(Score("a", 0.4, "low", 0.2, anomalies=(SPIKE,)))["anomalies"][0]
    assert json.loads(json.dumps(records[1])) == []
