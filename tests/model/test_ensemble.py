"""What a fitted model says of clients: the same alone as among others, whatever of them is missing."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairmeter.core.types import INSUFFICIENT_HISTORY, QualityFlag
from fairmeter.data.json_records import tables_from_records
from fairmeter.features.invoices.matrix import client_features
from fairmeter.models import fraud_model as model
from fairmeter.models.ensemble import calibrate, log_odds_of, probability_of
from fairmeter.models.fraud_model import ACCOUNT_FEATURES, severity_of
from tests.builders.tables import a_client, an_invoice

FLAT = {"category": 11, "region": 103, "district": 69, "age_months": 196, "n_invoices": 20}
FLAT |= {"consumption_level_1_mean": 934.46, "consumption_level_1_std": 302.85, "consumption_level_1_max": 2090.0}


# --- builders ---------------------------------------------------------------------------------------------------------


def judged(model, *clients):
    """Scores of (client, invoices) pairs."""
    tables = tables_from_records([client for client, _ in clients], [invoices for _, invoices in clients])
    ids = [client["client_id"] for client, _ in clients]
    return model.score_clients(client_features(tables[0], tables[1]), ids, [()] * len(ids))


def billed(n, year=2017, **changes):
    """n invoices, one every four months up to that year's end."""
    months = [12 * year + 11 - 4 * i for i in range(n)]
    return [an_invoice(invoice_on=f"{month // 12}-{month % 12 + 1:02d}-20", **changes) for month in months]


def flags_of(score):
    return {flag.flag: flag for flag in score.quality}


def with_manifest(model, **changes):
    return dataclasses.replace(model, manifest=model.manifest | changes)


# --- one client, many clients -----------------------------------------------------------------------------------------


def test_a_client_alone_scores_as_in_the_batch_to_the_last_bit(small_model, small_dataset):
    evidence = small_dataset.evidence
    together = small_model.probability(evidence)
    for client in range(0, len(evidence), 25):
        alone = small_model.probability(evidence.of(np.array([client])))
        np.testing.assert_array_equal(alone, together[[client]])


def test_clients_scored_in_parts_score_as_at_once(small_model, small_dataset, monkeypatch):
    at_once = small_model.probability(small_dataset.evidence)
    monkeypatch.setattr(model, "CHUNK", 64)
    np.testing.assert_array_equal(small_model.probability(small_dataset.evidence), at_once)


def test_scores_come_in_the_order_of_the_clients(small_model, small_dataset):
    evidence = small_dataset.evidence
    ids = [f"c-{i}" for i in range(len(evidence))]
    scores = small_model.score_clients(evidence, ids, [()] * len(ids))
    assert [score.client_id for score in scores] == ids
    assert [score.probability for score in scores if score.probability is not None] == [
        p for p in small_model.probability(evidence).tolist() if not np.isnan(p)
    ]


# --- what is missing --------------------------------------------------------------------------------------------------


def test_a_client_without_invoices_gets_no_score_and_no_low_one(small_model):
    none, some = judged(small_model, (a_client("none"), []), (a_client("some"), billed(9)))
    assert none.probability is None
    assert none.severity == INSUFFICIENT_HISTORY
    assert 0 < some.probability < 1
    assert some.severity != INSUFFICIENT_HISTORY


ODD_CLIENTS = {
    "no date of creation": (a_client(created_on=None), billed(9)),
    "created after its invoices": (a_client(created_on="2019-01-01"), billed(9)),
    "a place and category never seen": (a_client(category="new", region=999, district="nowhere"), billed(9)),
    "no place and no category": (a_client(category=None, region=None, district=None), billed(9)),
    "gas alone": (a_client(), billed(9, energy="GAZ")),
    "one invoice": (a_client(), billed(1)),
    "several invoices on one day": (a_client(), billed(1) * 5),
    "a date and nothing else": (a_client(), [{"invoice_on": "2017-03-24"}]),
    "codes never seen": (a_client(), billed(9, tariff=99, meter_status=4, meter_code=1, remark=7)),
    "huge consumption": (a_client(), billed(9, consumption_level_4=1e12)),
}


@pytest.mark.parametrize("client", ODD_CLIENTS.values(), ids=ODD_CLIENTS)
def test_an_odd_client_gets_a_probability_all_the_same(small_model, client):
    (score,) = judged(small_model, client)
    assert type(score.probability) is float
    assert 0 < score.probability < 1


# --- severity and flags -----------------------------------------------------------------------------------------------

CUTS = [("critical", 0.6), ("high", None), ("medium", 0.2)]


@pytest.mark.parametrize(
    ("probability", "severity"),
    [(0.99, "critical"), (0.6, "critical"), (0.59, "medium"), (0.2, "medium"), (0.1999, "low"), (0.0, "low")],
)
def test_a_severity_begins_at_its_cut_and_one_without_a_cut_is_nobodys(probability, severity):
    assert severity_of(probability, [{"severity": name, "score": score} for name, score in CUTS]) == severity


@pytest.mark.parametrize(("n", "words"), [(1, "Only 1 invoice:"), (3, "Only 3 invoices:")])
def test_a_short_history_is_flagged(small_model, n, words):
    (score,) = judged(small_model, (a_client(), billed(n)))
    assert flags_of(score)["short_history"].text.startswith(words)
    assert flags_of(score)["short_history"].n == n


def test_a_usual_client_is_not_flagged(small_model):
    (score,) = judged(small_model, (a_client(), billed(4, year=2019)))
    assert score.quality == ()


@pytest.mark.parametrize(("view", "is_flagged"), [("prospective", True), ("all", False)])
def test_an_account_that_ended_is_flagged_where_the_model_was_not_trained_on_such(small_model, view, is_flagged):
    (score,) = judged(with_manifest(small_model, view=view), (a_client(), billed(9, year=2009)))
    assert ("inactive" in flags_of(score)) is is_flagged
    assert not is_flagged or "2009-12-20" in flags_of(score)["inactive"].text


def test_flags_of_the_tables_come_first(small_model, small_dataset):
    flag = QualityFlag("unknown_remark", 2, "...")
    one = small_dataset.evidence.of(np.array([0]))
    (score,) = small_model.score_clients(one, ["c"], [(flag,)])
    assert score.quality[0] is flag


# --- aggregates -------------------------------------------------------------------------------------------------------


def test_aggregates_are_scored_whatever_their_order_and_what_else_is_sent(small_model):
    rows = [FLAT, dict(reversed(FLAT.items())), FLAT | {"favourite_colour": "red", "client_id": "c", "target": 1}]
    scores = small_model.score_aggregates(rows, ["a", "b", "c"])
    assert [score.client_id for score in scores] == ["a", "b", "c"]
    assert len({score.probability for score in scores}) == 1
    assert "favourite_colour" in flags_of(scores[2])["unknown_fields"].text
    assert flags_of(scores[2])["unknown_fields"].n == 1
    assert "unknown_fields" not in flags_of(scores[0])


def test_missing_aggregates_are_counted(small_model):
    (score,) = small_model.score_aggregates([FLAT | {"consumption_level_1_max": None}], ["a"])
    n_known = len(small_model.aggregates.inputs.columns)
    assert flags_of(score)["missing_aggregates"].n == n_known - (len(FLAT) - 1)


def test_another_consumption_gives_another_score(small_model):
    tiny = {name: value / 1000 if name.startswith("consumption") else value for name, value in FLAT.items()}
    one, other = small_model.score_aggregates([FLAT, tiny], ["a", "b"])
    assert one.probability != other.probability


NOTHING = {
    "no field": {},
    "fields that nobody knows": {"favourite_colour": 3},
    "what the account tells": dict.fromkeys(ACCOUNT_FEATURES, 1.0),
    "a consumption that is not known": {"region": 103, "consumption_level_1_mean": None},
}


@pytest.mark.parametrize("row", NOTHING.values(), ids=NOTHING)
def test_aggregates_without_any_consumption_judge_nobody(small_model, row):
    (score,) = small_model.score_aggregates([row], ["a"])
    assert score.probability is None
    assert score.severity == INSUFFICIENT_HISTORY


# --- calibration ------------------------------------------------------------------------------------------------------

KNOTS, HEIGHTS = np.array([-3.0, -1.0, 2.0]), np.array([-4.0, -1.5, 0.0])


@given(st.floats(-50, 50), st.floats(-50, 50))
def test_calibration_never_changes_the_order(one, other):
    low, high = calibrate(np.sort([one, other]), KNOTS, HEIGHTS)
    assert low <= high


def test_calibration_follows_the_knots_and_goes_on_beside_them():
    found = calibrate(np.array([-5.0, -3.0, -2.0, 2.0, 10.0]), KNOTS, HEIGHTS)
    assert found == pytest.approx([-6, -4, -2.75, 0, 8])


def test_a_probability_stays_between_0_and_1_however_sure():
    found = probability_of(np.array([-1e9, 0.0, 1e9]))
    assert 0 < found[0] < 1e-15
    assert found[1:] == pytest.approx([0.5, 1])


def test_log_odds_are_the_inverse_of_probabilities_and_finite_at_the_ends():
    log_odds = log_odds_of(np.array([0.0, 0.2, 0.5, 1.0]))
    assert log_odds[1:3] == pytest.approx([np.log(0.25), 0.0])
    assert np.isfinite(log_odds).all()
    assert probability_of(log_odds) == pytest.approx([0.0, 0.2, 0.5, 1.0], abs=1e-8)
