"""Clients that are measured were not fitted on, and every client of a view is measured once."""

import dataclasses

import numpy as np
import pytest

from fairmeter.features.base import EVIDENCE_GROUPS, UNUSUAL
from fairmeter.training.dataset import PROSPECTIVE, VIEWS
from fairmeter.training.ensemble_fitting import fit_ensemble
from fairmeter.training.invoice_pipeline import ensemble_config
from fairmeter.training.options import PROMISED_PRECISION
from fairmeter.training.validation import invoices
from fairmeter.training.validation.invoices import agreement, importance, outer_folds, splits

PARTS, SEED = 2, 5
PLANS = {view: dataclasses.replace(ensemble_config(view, quick=True), members=("xgboost",)) for view in VIEWS}


@pytest.fixture
def fits(monkeypatch):
    """Every call of fit_ensemble: the clients' features, and the seed."""
    calls = []

    def fit(evidence, label, plan, seed, tell, **weighed):
        calls.append((evidence.features, seed))
        return fit_ensemble(evidence, label, plan, seed, tell, **weighed)

    monkeypatch.setattr(invoices, "fit_ensemble", fit)
    return calls


@pytest.mark.parametrize("view", VIEWS)
def test_each_client_is_in_the_test_part_of_one_split(small_dataset, view):
    clients = small_dataset.clients(view)
    parts = splits(small_dataset, view, PARTS, SEED)
    assert np.array_equal(np.sort(np.concatenate([split.test for split in parts])), clients)
    for split in parts:
        assert np.array_equal(np.union1d(split.train, split.test), clients)
        assert not set(split.train) & set(split.test)
        frauds = [small_dataset.label[part].mean() for part in (split.train, split.test)]
        assert frauds[0] == pytest.approx(frauds[1], abs=0.02)


def test_outer_folds_of_all_clients_measure_all_and_the_active(small_dataset, fits):
    clients = small_dataset.clients("all")
    told = []
    (whole, active), models = outer_folds(small_dataset, "all", PLANS["all"], PARTS, SEED, told.append)
    n_active = small_dataset.is_active()[clients].sum()
    assert [(r["view"], r["clients"], r["n"]) for r in (whole, active)] == [
        ("all", "all clients", len(clients)),
        ("all", "active clients", n_active),
    ]
    assert [seed for _, seed in fits] == [SEED + part for part in range(PARTS)]
    for (features, _), split in zip(fits, splits(small_dataset, "all", PARTS, SEED), strict=True):
        np.testing.assert_array_equal(features, small_dataset.evidence.features[split.train])
    assert len(whole["roc_auc"]["folds"]) == PARTS
    assert sum(row["n"] for row in whole["groups"]["history quintile"]) == len(clients)
    assert models["rows"][-1]["model"] == "stack"
    assert told[0] == "xgboost, fold 1 of 2; outer fold 1 of 2, all"


def test_outer_folds_of_the_prospective_view_measure_active_clients_alone(small_dataset):
    (only,), models = outer_folds(small_dataset, "prospective", PLANS["prospective"], PARTS, SEED, str)
    assert (only["view"], only["clients"]) == ("prospective", "active clients")
    assert only["n"] == len(small_dataset.clients("prospective"))
    assert models["clients"] == "active clients"


# --- one test part ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted(small_dataset):
    """By view a split and the ensemble fitted on its training part."""
    made = {}
    for view, plan in PLANS.items():
        split = splits(small_dataset, view, PARTS, SEED)[0]
        made[view] = (
            split,
            fit_ensemble(small_dataset.evidence.of(split.train), small_dataset.label[split.train], plan, 1),
        )
    return made


@pytest.mark.parametrize("view", VIEWS)
def test_a_test_part_is_reported_beside_the_other_set_of_clients(small_dataset, fitted, view):
    split, ensemble = fitted[view]
    report = invoices.held_out_report(small_dataset, split, ensemble, ensemble, PROMISED_PRECISION, SEED)
    own, beside, older = report["results"]
    assert own["n"] == older["n"] == len(split.test)
    assert own["clients"] == invoices.CLIENT_SETS[view]
    assert older["clients"].endswith("older scripts send")
    if view == "prospective":
        n_others = len(small_dataset.clients("all")) - len(small_dataset.clients("prospective"))
        assert beside["clients"] == "all clients"
        assert beside["n"] == len(split.test) + -(-n_others // PARTS)
    else:
        assert beside["clients"] == "active clients"
        assert beside["n"] == small_dataset.is_active()[split.test].sum()
    assert {result["view"] for result in report["results"]} == {view}
    assert [row["severity"] for row in report["severities"]] == ["critical", "high", "medium", "low"]


def test_models_are_compared_on_the_same_clients(small_dataset, fitted):
    split, ensemble = fitted["all"]
    score = ensemble.ensemble.probability(small_dataset.evidence.of(split.test))
    rows = {row["model"]: row for row in invoices.compare_models(small_dataset, split, ensemble, score, SEED)}
    assert {row["at_top"][2]["visits"] for row in rows.values()} == {round(0.1 * len(split.test))}
    assert rows["majority"]["roc_auc"]["value"] == 0.5
    assert set(rows) > {"xgboost", "stack", "isolation forest", "decision tree on level statistics"}
    assert rows["z-score"]["brier"] is None, "a rank is no probability"
    assert rows["stack"]["brier"] is not None


def test_importance_is_of_every_column_the_largest_first(small_dataset, fitted):
    split, ensemble = fitted["all"]
    rows = importance(small_dataset, split, ensemble, lambda name: {"group": "g", "text": name.upper()}, SEED)
    assert {row["feature"] for row in rows} == set(ensemble.ensemble.inputs.names)
    assert [row["value"] for row in rows] == sorted((row["value"] for row in rows), reverse=True)
    assert all(row["text"] == row["feature"].upper() for row in rows)


def test_reasons_are_set_beside_tree_shap_group_by_group(small_dataset):
    split = splits(small_dataset, PROSPECTIVE, PARTS, SEED)[0]
    plan = dataclasses.replace(PLANS[PROSPECTIVE], detector_features={})
    fitted = fit_ensemble(small_dataset.evidence.of(split.train), small_dataset.label[split.train], plan, SEED)
    found = agreement(small_dataset, split, fitted, SEED)
    sizes = {row["group"]: (row["reason"], row["tree_shap"]) for row in found["rows"]}
    assert sizes.pop(UNUSUAL) == (0.0, 0.0)  # without detectors no column is of it
    assert set(sizes) == set(EVIDENCE_GROUPS)
    assert all((reason > 0) == (tree > 0) for reason, tree in sizes.values())
    assert -1 <= found["rank_correlation"] <= 1
    assert 0 < found["same_first"] <= found["one_of_two"] <= 1
