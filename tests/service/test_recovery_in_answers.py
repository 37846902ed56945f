"""What the service says a visit is worth."""

import numpy as np
import pytest

from fairmeter.core.types import INSPECT_NOW, INSUFFICIENT_HISTORY, NOT_ENOUGH, WATCH, RecoveryEstimate, Score
from fairmeter.planning.inspection_list import estimate_recoveries
from fairmeter.scoring.client_tables import read_client_tables
from fairmeter.scoring.predictor import Predictor
from fairmeter.web.scoring_api.responses import score_response
from tests.builders.tables import a_client, an_invoice

MONTHS = [str(np.datetime64("2014-01") + i) for i in range(30)]
FALLEN = [300] * 24 + [60] * 6


def answers_of(small_model, *bodies):
    """Of the small model, as predict.py serves it."""
    clients, invoices = zip(*bodies, strict=True)
    tables = read_client_tables(list(clients), list(invoices), [[]] * len(bodies))
    return [score_response(score) for score in Predictor(small_model).score(tables)]


def invoices_of(kwh):
    return [
        an_invoice(invoice_on=f"{month}-20", months=1, consumption_level_1=level)
        for month, level in zip(MONTHS, kwh, strict=False)
    ]


def test_an_answer_multiplies_what_is_at_stake_with_the_probability():
    score = Score("c", 0.5, "high", 0.2, recovery=RecoveryEstimate(900.0, 400.0, 1600.0, 12.0, "As before."))
    answer = score_response(score)
    assert answer["expected_recovery_kwh"] == 450
    assert answer["expected_recovery_range_kwh"] == [200, 800]
    assert answer["expected_recovery_text"] == "As before."


def test_an_answer_says_where_nothing_can_be_estimated():
    answer = score_response(Score("c", 0.5, "high", 0.2, recommendation=INSPECT_NOW))
    assert (answer["expected_recovery_kwh"], answer["expected_recovery_range_kwh"]) == (None, None)
    assert answer["expected_recovery_text"].startswith("Nothing can be estimated")
    assert answer["recommendation"] == INSPECT_NOW


def test_the_service_estimates_a_fall_and_recommends(small_model):
    fallen, none = answers_of(small_model, (a_client("a"), invoices_of(FALLEN)), (a_client("b"), []))
    assert fallen["recommendation"] in (INSPECT_NOW, WATCH, "next round")
    low, high = fallen["expected_recovery_range_kwh"]
    assert 0 < low < fallen["expected_recovery_kwh"] < high
    assert "before December 2015 it was 310" in fallen["expected_recovery_text"]
    assert (none["severity"], none["recommendation"]) == (INSUFFICIENT_HISTORY, NOT_ENOUGH)
    assert none["expected_recovery_kwh"] is None


def test_a_model_without_invoices_estimates_by_the_past_alone(small_model):
    from dataclasses import replace

    from fairmeter.data.json_records import tables_from_records

    clients, invoices, _ = tables_from_records([a_client("a")] * 2, [invoices_of(FALLEN), invoices_of([60] * 30)])
    fallen, always_low = estimate_recoveries(replace(small_model, invoices=None), clients, invoices)
    assert fallen.months == pytest.approx(6)
    assert always_low is None
