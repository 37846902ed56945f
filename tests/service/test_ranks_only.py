"""Where only ranks are claimed, no terminal, file, answer, page or export says how likely a theft is.

They are claimed of a model without labels, and of clients too far from those that a model with labels was trained on.
"""

import csv
import io
import json
import re
import shutil
from functools import cache

import numpy as np
import pytest

import score
import train
from benchmarks.helpers.invented_utilities import brazilian
from fairmeter.casework.alert_rules import read_rules
from fairmeter.core import paths
from fairmeter.desk import runs
from fairmeter.desk.service import DeskService
from fairmeter.models import model_file
from fairmeter.scoring.predictor import Predictor
from fairmeter.store import Store
from fairmeter.web.app import create_app
from fairmeter.web.desk import DeskExtension
from fairmeter.web.http.auth import THIS_MACHINE
from tests.builders.desk import SECRET
from tests.builders.invented import csv_of
from tests.builders.readings import readings_in
from tests.builders.service import LIMITS

# Claims of a probability. A percentage of consumption ("fell 75 %") is none, nor is that of the inspections made.
CLAIMS = re.compile(
    r"expected (recovery|hit rate|kwh|to be confirmed|net)|hits\b|hit rate of|labelled fraud|fraud rate"
    r"|likely (to steal|a theft|fraud|frauds|thieves)"
    r"|frauds it learn|share of frauds?\b|\d\s?% (probab|likely|of them frauds)|promises? (a|at least)|precision"
)
PROBABILITY = re.compile(r"probability")
ALLOWED = (
    "a rank is no probability", "no probability of theft", "a rank is not a probability",
    "scores are ranks among these clients and no probabilities", "--false-alarms needs probabilities",
    '"precision":null',
)  # fmt: skip
N_CLIENTS, N_FAR = 120, 320
TABLES = ("clients", "invoices")


INVOICES, READINGS, FAR = "invoices", "readings", "clients that are far away"


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory, trained):
    """By name, a folder with a model and the words that name the data; each is made once."""

    @cache
    def make(name):
        folder = tmp_path_factory.mktemp(name.replace(" ", "_"))
        if name == READINGS:
            data = ["--readings", str(readings_in(folder))]
        else:
            data = [str(folder / f"{table}.csv") for table in TABLES]
            for table, text in csv_of(brazilian(N_FAR if name == FAR else N_CLIENTS, 5)).items():
                (folder / f"{table}.csv").write_text(text)
        if name == FAR:
            for file in (trained.model, trained.model.with_name("model.bin.sha256")):
                shutil.copy(file, folder)
        else:
            out = ["--quick", "--out", str(folder / "model.bin"), "--report", str(folder / "report")]
            assert train.main([*data, *out]) == 0
        return folder, data

    return make


@pytest.fixture(params=[INVOICES, READINGS])
def unlabelled(request, folder_of):
    """A folder with the model that train.py made of data without labels, and the words that name these data."""
    return folder_of(request.param)


@pytest.fixture(params=[INVOICES, READINGS, FAR])
def ranked(request, folder_of):
    """As `unlabelled`; and a model with labels beside the data of another utility."""
    return folder_of(request.param)


def claims_in(text: str) -> list[str]:
    """What a text claims of a probability, each with its surroundings."""
    text = re.sub(r"\s+", " ", text.lower())
    for allowed in ALLOWED:
        text = text.replace(allowed, "")
    found = [*CLAIMS.finditer(text), *PROBABILITY.finditer(text)]
    return [text[max(m.start() - 60, 0) : m.end() + 40] for m in found]


def shown(html: str) -> str:
    """The text of a page that a user sees: no scripts, tags, or names of fields."""
    html = re.sub(r"<(script|style)\b.*?</\1>", " ", html, flags=re.S)
    return re.sub(r"<[^>]+>", " ", html)


def test_training_says_ranks_in_the_terminal_the_report_and_the_card(unlabelled, capsys):
    folder, data = unlabelled
    again = ["--quick", "--out", str(folder / "again.bin"), "--report", str(folder / "report")]
    assert train.main([*data, *again]) == 0
    printed = capsys.readouterr().out
    assert "a rank is no probability" in printed
    assert claims_in(printed) == []
    assert claims_in(shown((folder / "report" / "report.html").read_text())) == []
    assert claims_in((folder / "report" / "model_card.md").read_text()) == []
    metrics = json.loads((folder / "report" / "metrics.json").read_text())
    assert "fraud_rate" not in json.dumps(metrics)
    assert not {"fraud_rate", "metrics", "promise"} & model_file.load(folder / "model.bin").manifest.keys()


def test_scoring_writes_percentiles_and_ranks_and_nothing_that_is_expected(ranked, tmp_path, monkeypatch, capsys):
    folder, data = ranked
    monkeypatch.setenv("MODEL_PATH", str(folder / "model.bin"))
    files = ["--out", tmp_path / "scores.csv", "--list", tmp_path / "visits.csv", "--report", tmp_path / "report"]
    given = [*data, "--visits", "20", "--cost", "10", "--price", "0.2", *map(str, files)]
    assert score.main(given) == 0
    assert claims_in(capsys.readouterr().out) == []
    for name in ("scores.csv", "visits.csv"):
        with (tmp_path / name).open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert "percentile" in rows[0]
        assert not {"score", "probability"} & rows[0].keys()
        assert not [column for column in rows[0] if column.startswith(("expected", "at_stake", "net_"))]
        assert all(0 <= float(row["percentile"]) <= 100 for row in rows if row["percentile"])
        assert claims_in((tmp_path / name).read_text()) == []
    with (tmp_path / "scores.csv").open(newline="") as stream:
        places = [float(row["percentile"]) for row in csv.DictReader(stream) if row["percentile"]]
    assert places == sorted(places, reverse=True)
    assert claims_in(shown((tmp_path / "report" / "report.html").read_text())) == []


@pytest.fixture
def desk(ranked, tmp_path, monkeypatch):
    """A browser at the desk of that model, its clients scored, one of them with a case."""
    folder, data = ranked
    url = f"sqlite:///{tmp_path}/desk.db"
    monkeypatch.setenv("MODEL_PATH", str(folder / "model.bin"))
    monkeypatch.setenv("DATABASE_URL", url)
    assert score.main([*data, "--store", "--out", str(tmp_path / "scores.csv")]) == 0
    predictor = Predictor(model_file.load(folder / "model.bin"))
    store = Store(url)
    backend = runs.Rescorer(runs.following(predictor, store))
    service = DeskService(store, read_rules(paths.ALERT_RULES), backend, runs.plan_visits)
    app = create_app(predictor, LIMITS, None, DeskExtension(service, SECRET, THIS_MACHINE))
    first = store.list_profiles(limit=1).rows[0]
    store.open_case(first.client_id, "anna", "First of the list.")
    yield app.test_client(), first.client_id, store
    store.close()


def test_no_page_of_the_desk_claims_a_probability(desk):
    browser, client_id, _ = desk
    pages = ["today", "list", "suspects", f"client/{client_id}", "map", "model", "live", "cases", "cases/1", "field"]
    pages += ["demo", "alerts", "plan", "campaigns"]
    found = {page: claims_in(shown(browser.get(f"/desk/{page}").text)) for page in pages}
    assert {page: claims for page, claims in found.items() if claims} == {}
    for page in ("list", "suspects", f"client/{client_id}"):
        assert "percentile 9" in shown(browser.get(f"/desk/{page}").text), page


def test_the_api_of_the_desk_and_its_files_hold_percentiles(desk):
    browser, client_id, store = desk
    for address in ("/clients", "/list"):
        rows = browser.get(f"{address}?limit=20" if address == "/clients" else f"{address}?visits=20").json["rows"]
        assert all(row["probability"] is None for row in rows)
        assert rows[0]["percentile"] > 90
        assert all(row["expected_recovery_kwh"] is None for row in rows)
    profile = browser.get(f"/consumer/{client_id}").json
    assert (profile["probability"], profile["typical"], profile["recovery"]) == (None, None, None)
    assert profile["percentile"] > 90
    assert claims_in(browser.get("/dashboard").text) == []
    for alert in store.list_alerts(state=None, limit=50).rows:
        assert alert.probability is None
        assert not any("probab" in rule["sentence"] for rule in alert.rules)


@pytest.mark.parametrize("name", ["clients", "list?visits=20", "alerts", "cases"])
def test_no_printed_list_has_a_score_in_per_cent(desk, name, monkeypatch):
    from fairmeter.web.exports import files

    drawn = []
    monkeypatch.setattr(files, "file_response", lambda header, rows, *_: drawn.append((header, list(rows))) or "")
    browser, _, _ = desk
    joined = "&" if "?" in name else "?"
    browser.get(f"/{name}{joined}format=pdf")
    header, rows = drawn[0]
    text = json.dumps([header["columns"], rows])
    assert claims_in(text) == []
    if rows and name.startswith(("clients", "list")):
        assert "Percentile" in header["columns"]
        assert not {"Expected recovery", "Score"} & set(header["columns"])
    workbook = browser.get(f"/{name}{joined}format=csv").text
    assert all(not row.get("probability") for row in csv.DictReader(io.StringIO(workbook)))


def test_a_crew_sheet_gives_the_place_among_the_training_clients(desk, monkeypatch):
    from fairmeter.web.pages.client import crew_sheet

    drawn = []
    monkeypatch.setattr(crew_sheet, "file_response", lambda header, *_: drawn.append(header) or "")
    browser, client_id, _ = desk
    browser.get(f"/desk/crew-sheet/{client_id}")
    text = json.dumps(drawn[0], default=str)
    assert "percentile 9" in text
    assert claims_in(text) == []


def test_answers_hold_a_percentile_and_a_rank_instead_of_a_probability(desk):
    browser, _, _ = desk
    days = [f"20{20 + i // 12}-{1 + i % 12:02d}-05" for i in range(36)]
    bills = [
        {"invoice_on": day, "energy": "ELEC", "months": 1, "consumption_level_1": 300 if i < 24 else 60}
        for i, day in enumerate(days)
    ]
    readings = [
        {"read_at": str(np.datetime64("2024-01-01") + i), "consumption_kwh": 10.0 if i < 50 else 2.0} for i in range(90)
    ]
    body = {"client": {"client_id": "x"}, "invoices": bills, "readings": readings}
    answer = browser.post("/predict", json=body).json
    assert (answer["prediction"], answer["probability"], answer["typical_probability"]) == (None, None, None)
    assert answer["expected_recovery_kwh"] is None
    assert 50 < answer["percentile"] <= 100
    assert 1 <= answer["rank"] <= N_FAR // 2
    batch = browser.post("/batch?reasons=1", json=[body, body]).json["results"]
    assert [row["rank"] for row in batch] == [1, 2]
    assert {row["probability"] for row in batch} == {None}
    assert {row["percentile"] for row in batch} == {answer["percentile"]}
    assert claims_in(json.dumps(answer["quality"])) == []


def test_the_manifest_of_a_model_without_labels_holds_no_figure_of_them(unlabelled):
    folder, _ = unlabelled
    predictor = Predictor(model_file.load(folder / "model.bin"))
    manifest = create_app(predictor, LIMITS).test_client().get("/model").json
    assert not {"fraud_rate", "metrics", "promise"} & manifest.keys()
    assert not re.search(r"probab|fraud_rate", json.dumps(manifest))
