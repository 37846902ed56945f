"""What is kept of a client is judged by all that is known: invoices as they were scored, readings, what is sent."""

from datetime import date

import numpy as np
import pytest

from fairmeter.desk import runs
from fairmeter.desk.rescoring import Rescorer, transformer_losses
from fairmeter.desk.service import DeskService
from fairmeter.explanation.reasons import LOWERS, MIN_EFFECT, STORED_SCORE_GROUP
from fairmeter.features.base import REASON_GROUPS
from fairmeter.features.readings.covariates import TransformerLosses
from fairmeter.models import model_file
from fairmeter.scoring.client_tables import read_client_tables
from fairmeter.scoring.payloads import RawClient
from fairmeter.scoring.predictor import Predictor
from fairmeter.store import Series, Store
from fairmeter.web.http.auth import INVESTIGATOR, THIS_MACHINE
from tests.builders.desk import ForDesk, desk_app, recorded, some_readings, with_key
from tests.builders.service import a_body, a_reading
from tests.builders.store import ROOT, a_balance, clients_of, score_of, shipped_rules, write
from tests.builders.tables import a_client, an_invoice

FLAT = {"client_id": "c-1", "age_months": 3}  # the scorer gives it 0.25


@pytest.fixture
def script(store):
    """A script at the desk, with an investigator's key."""
    client = desk_app(store).test_client()
    client.environ_base["HTTP_X_API_KEY"] = with_key(store, INVESTIGATOR)["X-API-Key"]
    return client


def posted(script, body, path="/predict?record=1"):
    answer = script.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json


def profile_of(script, client_id="c-1"):
    return script.get(f"/consumer/{client_id}").json


def odds(*probabilities):
    """Of all together, over those of the prior, 1 to 9."""
    product = np.prod([p / (1 - p) for p in probabilities]) * 9.0
    return pytest.approx(product / (1 + product))


# --- invoices that come to readings -----------------------------------------------------------------------------------


def test_invoices_alone_join_the_readings_that_are_known(script):
    posted(script, some_readings("c-1", n_days=3), "/readings")
    body = a_body("c-1", n_invoices=1, level=67)
    answer = posted(script, body)
    assert answer["probability"] == pytest.approx(67 / 167), "the answer is of what was sent"
    profile = profile_of(script)
    assert profile["probability"] == pytest.approx((67 + 33) / 200), "and the profile is of all that is known"
    assert (profile["series"]["step"], profile["series"]["kwh"]) == ("day", [10.0, 11.0, 12.0])
    assert profile["facts"]["score_of_invoices"] == pytest.approx(67 / 167)
    assert "invoices_as_scored" not in [flag["flag"] for flag in profile["quality"]], "they are at hand"


def test_whatever_came_first_the_next_reading_finds_the_same_invoices(script):
    recorded(script, ["c-1"], {}, level=50)
    posted(script, some_readings("c-1", n_days=3), "/readings")
    before = profile_of(script)
    recorded(script, ["c-1"], {}, level=50)
    posted(script, some_readings("c-1", n_days=4), "/readings")
    assert before["probability"] == odds(0.5, 33 / 133)
    assert profile_of(script)["probability"] == odds(0.5, 46 / 146)


def test_readings_that_are_sent_stand_beside_those_of_other_days(script):
    posted(script, some_readings("c-1", n_days=3), "/readings")
    sent = {"client": {"client_id": "c-1"}, "readings": [a_reading(3, 100.0), a_reading(4, 57.0)]}
    posted(script, sent)
    profile = profile_of(script)
    assert profile["series"]["kwh"] == [10.0, 11.0, 100.0, 57.0]
    assert profile["probability"] == pytest.approx(178 / 278)


def test_readings_alone_that_are_recorded_join_what_the_invoices_said(script):
    recorded(script, ["c-1"], {}, level=50)
    posted(script, {"client": {"client_id": "c-1"}, "readings": [a_reading(1, 20.0), a_reading(2, 80.0)]})
    profile = profile_of(script)
    assert profile["probability"] == odds(0.5, 0.5)
    assert profile["facts"]["score_of_invoices"] == 0.5
    assert profile["reasons"][0]["group"] == STORED_SCORE_GROUP


def test_a_client_without_anything_new_keeps_the_score_that_it_has(script):
    recorded(script, ["c-1"], {}, level=50)
    posted(script, {"client": {"client_id": "c-1"}, "invoices": []})
    assert profile_of(script)["probability"] == 0.5


def test_readings_add_to_aggregates_and_aggregates_to_readings(script):
    posted(script, FLAT)
    posted(script, some_readings("c-1", n_days=3), "/readings")
    assert profile_of(script)["probability"] == odds(0.25, 33 / 133)
    posted(script, FLAT)
    profile = profile_of(script)
    assert profile["probability"] == odds(0.25, 33 / 133)
    assert profile["series"]["kwh"] == [10.0, 11.0, 12.0]
    assert "By aggregates of its invoices alone its probability is 25 %" in profile["reasons"][0]["text"]
    assert "unknown_features" in [flag["flag"] for flag in profile["quality"]]


# --- how often a client is scored -------------------------------------------------------------------------------------


class Counting(ForDesk):
    """Notes of each call: its clients, whether reasons were asked for, whether there were invoices and readings."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def score(self, tables, with_reasons=False, stored=None, losses=None):
        has_invoices, has_readings = (len(table["client"]) > 0 for table in (tables.invoices, tables.readings))
        self.calls.append((len(tables.quality), bool(with_reasons), has_invoices, has_readings))
        return super().score(tables, with_reasons, stored, losses)


INVOICES_WITH_REASONS = (1, True, True, False)
BOTH_WITH_REASONS = (1, True, True, True)
INVOICES_ALONE = (1, False, True, False)


@pytest.mark.parametrize(
    ("n_stored", "n_sent", "calls"),
    [
        (0, 0, [INVOICES_WITH_REASONS]),
        (0, 2, [BOTH_WITH_REASONS, INVOICES_ALONE]),
        (3, 0, [INVOICES_WITH_REASONS, BOTH_WITH_REASONS]),  # what was sent; what is stored
        (3, 2, [BOTH_WITH_REASONS, BOTH_WITH_REASONS, INVOICES_ALONE]),
    ],
)
def test_a_client_that_is_recorded_is_scored_once_by_the_same_data(store, n_stored, n_sent, calls):
    scorer = Counting()
    script = desk_app(store, THIS_MACHINE, scorer=scorer).test_client()
    if n_stored:
        posted(script, some_readings("c-1", n_days=n_stored), "/readings")
    scorer.calls.clear()
    sent = [a_reading(day, 10.0) for day in range(10, 10 + n_sent)]
    answer = posted(script, a_body("c-1", n_invoices=1, level=67) | {"readings": sent})
    assert scorer.calls == calls
    assert profile_of(script)["facts"]["score_of_invoices"] == pytest.approx(67 / 167)
    assert answer["reasons"]


def test_clients_whose_readings_arrive_together_are_scored_at_once(store):
    scorer = Counting()
    script = desk_app(store, THIS_MACHINE, scorer=scorer).test_client()
    readings = [row for id_ in ("m-1", "m-2", "m-3") for row in some_readings(id_, n_days=3)["readings"]]
    posted(script, {"readings": readings}, "/readings")
    assert scorer.calls == [(3, True, False, True)]
    assert profile_of(script, "m-2")["reasons"]


# --- the reason that invoices are -------------------------------------------------------------------------------------


def test_what_the_invoices_said_is_told_with_its_day_and_its_first_reason_from_reading_to_reading(script):
    recorded(script, ["c-1"], {}, level=50)
    scored_on = profile_of(script)["scored_at"][:10]
    for n_days in (3, 4):
        posted(script, some_readings("c-1", n_days=n_days), "/readings")
        told = {reason["group"]: reason["text"] for reason in profile_of(script)["reasons"]}
        when = f"By its invoices alone, as they were scored on {scored_on} or before,"
        assert told[STORED_SCORE_GROUP] == f"{when} its probability is 50 %; above all for this: High."


@pytest.fixture(scope="module")
def real_scorer(metered_model):
    """The metered model as predict.py serves it, suspecting so early that everybody's reasons are told."""
    early = metered_model.manifest["readings"] | {"severities": [{"severity": "medium", "score": 0.0}]}
    scorer = Predictor(metered_model)
    scorer._model.manifest["readings"] = early
    return scorer


def total(score):
    return sum(reason.effect for reason in score.reasons)


def fallen(n_days=200):
    """Days of a home that loses two thirds of its consumption."""
    kwh = np.where(np.arange(n_days) < 120, 10.0, 3.0) + np.sin(np.arange(n_days))
    day = np.datetime64("2014-01-01", "s") + np.arange(n_days) * np.timedelta64(86400, "s")
    return [("c-1", moment, value) for moment, value in zip(day.astype(object), kwh.tolist(), strict=True)]


def invoices_of(levels=(600, 640, 600, 620, 200, 210)):
    days = [f"{2012 + i // 3}-{('03', '07', '11')[i % 3]}-20" for i in range(len(levels))]
    return [an_invoice(invoice_on=on, consumption_level_1=kwh) for on, kwh in zip(days, levels, strict=True)]


def test_reasons_of_a_joined_score_sum_to_it_less_the_typical_clients(tmp_path, real_scorer):
    store = Store(f"sqlite:///{tmp_path}/desk.db")
    store.migrate()
    service = DeskService(store, shipped_rules(), Rescorer(real_scorer), runs.plan_visits)
    row = RawClient(a_client("c-1"), invoices_of(), [])
    [by_invoices] = service.backend.score([row], with_reasons=True)
    service.record(row, by_invoices)
    service.take_readings(fallen())
    joined = store.find_profile("c-1").score
    assert joined.probability != by_invoices.probability
    missing = (len(REASON_GROUPS) + 1) * MIN_EFFECT  # effects too small to tell
    assert total(joined) == pytest.approx(joined.probability - joined.typical, abs=missing)
    [said] = [reason.text for reason in joined.reasons if reason.group == STORED_SCORE_GROUP]
    first = next(reason.text for reason in by_invoices.reasons if reason.effect > 0)
    assert first.removesuffix(".") in said.replace(f"; {LOWERS}.", ".")
    service.record(row, by_invoices)
    whole = store.find_profile("c-1").score
    assert whole.probability == pytest.approx(joined.probability, abs=1e-6), "the invoices at hand say what they said"
    assert STORED_SCORE_GROUP not in [reason.group for reason in whole.reasons]
    assert total(whole) == pytest.approx(whole.probability - whole.typical, abs=missing)
    store.close()


def test_reasons_of_some_severities_are_those_that_all_clients_would_have(metered_model):
    scorer = Predictor(metered_model)
    readings = [{"read_at": f"{moment:%Y-%m-%d}", "consumption_kwh": kwh} for _, moment, kwh in fallen()]
    clients = [a_client("nothing"), a_client("both"), a_client("invoices")]
    tables = read_client_tables(clients, [[], invoices_of(), invoices_of()], [[], readings, []])
    explained = scorer.score(tables, with_reasons=True)
    severities = {score.severity for score in explained}
    assert len(severities) > 1
    for severity in severities:
        for found, score in zip(scorer.score(tables, {severity}), explained, strict=True):
            assert found.probability == score.probability
            assert found.reasons == (score.reasons if score.severity == severity else ())
            assert found.explanations == (score.explanations if score.severity == severity else ())


# --- what transformers lost -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def delivered():
    """The model that is delivered: it learnt what transformers lose, and the small ones did not."""

    return Predictor(model_file.load(ROOT / "model.bin"))


@pytest.fixture
def service(tmp_path, delivered):
    """A desk that knows the transformer of c-1, which loses as much as c-1's meter registers less since day 120."""
    store = Store(f"sqlite:///{tmp_path}/desk.db")
    store.migrate()
    lost = np.where(np.arange(190) < 120, 0.0, 7.0 + np.sin(np.arange(190)))
    balance = a_balance("t-1", weeks_from=date(2014, 1, 1), lost_days=lost.astype(np.float32))
    of_transformer = clients_of(client_id=["c-1"], transformer_id=["t-1"])
    write(store, score_of("c-1", 0.1), clients=of_transformer, balances=[balance])
    yield DeskService(store, shipped_rules(), Rescorer(delivered), runs.plan_visits)
    store.close()


def scored_by(scorer, readings, losses):
    """The probability of one client by such readings."""
    rows = [{"read_at": f"{moment:%Y-%m-%d}", "consumption_kwh": kwh} for _, moment, kwh in readings]
    return scorer.score(read_client_tables([{"client_id": "c-1"}], [[]], [rows]), losses=losses)[0].probability


def test_readings_that_come_are_judged_beside_what_the_transformer_lost_and_days_after_it_without(service, delivered):
    service.take_readings(fallen())
    [lost] = service.store.losses_of(["t-1"]).values()
    losses = TransformerLosses(16071, lost.kwh[None].astype(np.float64), np.zeros(1, np.int64))  # days from 2014-01-01
    beside, without = (scored_by(delivered, fallen(), known) for known in (losses, None))
    assert service.store.find_profile("c-1").score.probability == beside
    assert beside > without


@pytest.mark.parametrize("sent", [{"transformer_id": "t-1"}, {}])
def test_a_client_that_is_sent_is_kept_beside_what_its_transformer_lost(service, sent):
    readings = [{"read_at": f"{moment:%Y-%m-%d}", "consumption_kwh": kwh} for _, moment, kwh in fallen()]
    row = RawClient({"client_id": "c-1"} | sent, [], readings)
    [alone] = service.backend.score([row])
    service.record(row, alone)
    kept = service.store.find_profile("c-1").score.probability
    service.take_readings(fallen())
    assert kept != alone.probability
    assert kept == pytest.approx(service.store.find_profile("c-1").score.probability, abs=1e-6)


def test_transformers_with_different_first_days_stand_on_one_calendar():
    known = {
        "b": Series("day", date(2014, 1, 3), np.array([3.0, 4.0], np.float32)),
        "a": Series("day", date(2014, 1, 1), np.array([1.0], np.float32)),
    }
    losses = transformer_losses(["b", None, "a", "unmeasured"], known)
    assert losses.transformer.tolist() == [1, -1, 0, -1]
    client, day = np.array([0, 0, 2, 2, 1, 3]), 16071 + np.array([1, 3, 0, 1, 0, 0])
    assert losses.at(client, day).tolist() == pytest.approx([np.nan, 4.0, 1.0, np.nan, np.nan, np.nan], nan_ok=True)
    assert transformer_losses(["unmeasured", None], known) is None
