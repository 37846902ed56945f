"""What is computed once for a request: series, members' input, trees, names of codes."""

import numpy as np
import pytest

from fairmeter.data import json_records
from fairmeter.features.invoices.series import InvoiceSeries
from fairmeter.models.ensemble import EnsembleInputs
from fairmeter.models.runtime.onnx_trees import OnnxTrees
from fairmeter.scoring.batches import MonitoredScorer, score_rows
from fairmeter.scoring.payloads import RawClient
from fairmeter.scoring.predictor import Predictor
from tests.builders.tables import a_client, an_invoice


@pytest.fixture
def rows():
    invoices = [an_invoice(invoice_on=f"20{16 + i // 3}-0{1 + 4 * (i % 3)}-15") for i in range(9)]
    return [RawClient(a_client(f"c-{i}"), invoices, []) for i in range(3)]


def counted(monkeypatch, owner, name):
    """Calls of a method from here on; each is the number of clients or rows."""
    calls, inner = [], getattr(owner, name)

    def count(*given):
        calls.append(len(given[-1]))
        return inner(*given)

    monkeypatch.setattr(owner, name, count)
    return calls


def test_score_reasons_and_drift_share_the_members_input_and_the_trees(small_model, rows, monkeypatch):
    inputs = counted(monkeypatch, EnsembleInputs, "matrix")
    trees = counted(monkeypatch, OnnxTrees, "values")
    monitored = MonitoredScorer(Predictor(small_model))
    assert all(score.reasons for score in score_rows(rows, monitored, with_reasons=True))
    assert monitored.drift()["parts"]
    assert inputs == [3]
    members = zip(small_model.invoices.members.values(), small_model.invoices.weights, strict=True)
    n_forests = sum(isinstance(member, OnnxTrees) and weight != 0 for member, weight in members)
    assert trees.count(3) == n_forests  # once for all three clients, and for single invoices beside


def test_features_recovery_and_reasons_share_the_series_of_invoices(small_model, rows, monkeypatch):
    made, inner = [], InvoiceSeries.from_tables.__func__
    monkeypatch.setattr(InvoiceSeries, "from_tables", classmethod(lambda cls, *t: made.append(1) or inner(cls, *t)))
    assert len(list(score_rows(rows, Predictor(small_model), with_reasons=True))) == 3
    assert len(made) == 1


def test_names_of_codes_are_looked_for_once_and_only_where_they_are_given(small_model, rows, monkeypatch):
    looked, inner = [], json_records._named
    monkeypatch.setattr(
        json_records, "_named", lambda rows, name, types: looked.append(name) or inner(rows, name, types)
    )
    list(score_rows(rows, Predictor(small_model)))
    assert len(looked) == len(set(looked)) > 0
    assert set(looked) <= set(rows[0].client) | set(rows[0].invoices[0])


def test_a_true_is_no_code_though_it_equals_one():
    named = json_records._named([{"tariff": True}, {"tariff": 1}, {"tariff": None}, {}], "tariff", {int, str})
    assert named == {1}
    assert all(type(value) is int for value in named)


def test_sharing_changes_no_score(small_model, rows):
    predictor = Predictor(small_model)
    together = list(score_rows(rows, predictor, with_reasons=True))
    alone = [next(score_rows([row], predictor, with_reasons=True)) for row in rows]
    assert [score.probability for score in together] == [score.probability for score in alone]
    assert [[r.text for r in score.reasons] for score in together] == [[r.text for r in s.reasons] for s in alone]
    assert not np.isnan([score.probability for score in together]).any()
