"""What a run tells of drift: of the clients that each part was trained on, in JSON and in sentences."""

import dataclasses
import json

import numpy as np
import pytest

from fairmeter.evaluation.drift import SHIFTED, STABLE, TOO_FEW, is_missing
from fairmeter.explanation.explain import ScoringContext
from fairmeter.explanation.topics import FITTED_ON_OTHERS
from fairmeter.features.readings.matrix import FEATURE_NAMES as READING_FEATURES
from fairmeter.scoring.population_drift import MAX_FEATURES, DriftMonitor, describe_drift, describe_references


def known(evidence, metered=None):
    return ScoringContext({}, {}, evidence, None, metered)


def drift_of(model, *chunks):
    watch = DriftMonitor(model)
    for chunk in chunks:
        watch.add(chunk)
    return watch.drift()


@pytest.fixture(scope="module")
def as_trained(small_model, small_dataset):
    return drift_of(small_model, known(small_dataset.evidence))


def test_the_clients_of_the_training_are_like_themselves(as_trained, small_dataset):
    part = as_trained["parts"]["invoices"]
    assert part["n_now"] == part["n_then"] == len(small_dataset.clients("prospective"))
    assert (part["n_shifted"], part["n_shifting"]) == (0, 0)
    assert part["max_psi"] < 0.01
    assert as_trained["untold"] == []


def test_columns_from_labels_are_left_out_for_they_hold_the_clients_own_labels(as_trained, small_model):
    part = as_trained["parts"]["invoices"]
    names = small_model.invoices.inputs.names
    n_shares = sum(name.startswith(FITTED_ON_OTHERS) for name in names)
    assert n_shares > 0
    is_monitored = [not name.startswith(FITTED_ON_OTHERS) for name in names]
    n_missing = int(is_missing(small_model.invoices.fingerprint)[: len(names)][is_monitored].sum())
    assert len(names) - n_shares == describe_references(small_model)["invoices"]["n_features"]
    assert part["n_features"] == len(names) - n_shares - n_missing
    assert not [row for row in part["features"] if row["feature"].startswith(FITTED_ON_OTHERS)]


def test_clients_judged_in_parts_are_counted_as_at_once(as_trained, small_model, small_dataset):
    halves = np.arange(len(small_dataset.evidence)) % 2 == 0
    parts = (known(small_dataset.evidence.of(half)) for half in (halves, ~halves))
    assert drift_of(small_model, *parts) == as_trained


def test_what_changed_comes_first_with_its_group_and_its_meaning(small_model, small_dataset):
    features = small_dataset.evidence.features.copy()
    features[:, small_dataset.feature_names.index("elec_gap_mean")] *= 3
    found = drift_of(small_model, known(dataclasses.replace(small_dataset.evidence, features=features)))
    part = found["parts"]["invoices"]
    first = part["features"][0]
    assert (first["feature"], first["level"], first["group"]) == ("elec_gap_mean", SHIFTED, "account history")
    assert "invoices" in first["text"]
    assert first["psi"] == part["max_psi"] > 0.25
    assert len(part["features"]) == MAX_FEATURES
    assert found["level"] == SHIFTED
    json.dumps(found, allow_nan=False)


def test_the_inactive_and_those_without_invoices_are_not_counted(small_model, small_dataset):
    evidence = small_dataset.evidence
    n_records = evidence.n_records.copy()
    clients = small_dataset.clients("prospective")
    n_records[clients[:10]] = 0
    found = drift_of(small_model, known(dataclasses.replace(evidence, n_records=n_records)))
    assert found["parts"]["invoices"]["n_now"] == len(clients) - 10


def test_few_clients_are_called_too_few(small_model, small_dataset):
    some = small_dataset.evidence.of(small_dataset.clients("prospective")[:20])
    found = drift_of(small_model, known(some))
    assert found["level"] == TOO_FEW
    assert describe_drift(found) == ["Drift of the invoices: 20 clients are too few to measure it."]


def test_nobody_to_tell_of_is_a_sentence(small_model, small_dataset):
    found = drift_of(small_model, known(small_dataset.evidence.of(np.array([], dtype=int))))
    assert (found["parts"], found["level"]) == ({}, None)
    assert describe_drift(found) == [
        "No client is of the kind that the model was trained on: drift cannot be measured."
    ]


def test_a_model_of_before_there_were_fingerprints_says_so(small_model, small_dataset):
    older = dataclasses.replace(small_model, invoices=dataclasses.replace(small_model.invoices, fingerprint=None))
    found = drift_of(older, known(small_dataset.evidence))
    assert (found["untold"], found["level"], found["parts"]) == (["invoices"], None, {})
    assert "no reference distribution of its invoices" in describe_drift(found)[0]
    assert describe_references(older) == {}


def test_readings_are_told_of_beside_invoices(metered_model, metered_utility, small_dataset):
    readings = metered_utility.readings
    metered = metered_model.features_from_readings(readings, len(metered_utility.clients["client_id"]))
    none = small_dataset.evidence.of(np.arange(len(metered)))
    billed = dataclasses.replace(none, n_records=np.zeros(len(metered), int))
    part = drift_of(metered_model, known(billed, metered))["parts"]["readings"]
    assert part["n_now"] > 100
    assert part["n_shifted"] < part["n_features"] / 20
    assert all(row["text"] and row["group"] for row in part["features"])


def test_evidence_that_no_client_of_the_training_had_is_no_drift(metered_model, metered_utility, small_dataset):
    n = len(metered_utility.clients["client_id"])
    metered = metered_model.features_from_readings(metered_utility.readings, n)
    place = READING_FEATURES.index("transformer_lost_30")
    assert np.isnan(metered.features[:, place]).all()
    behind = metered.features.copy()
    behind[:, place] = np.arange(n)
    nobody = small_dataset.evidence.of(np.arange(n))
    billed = dataclasses.replace(nobody, n_records=np.zeros(n, int))
    parts = [
        drift_of(metered_model, known(billed, evidence))["parts"]["readings"]
        for evidence in (metered, dataclasses.replace(metered, features=behind))
    ]
    assert not [row for row in parts[1]["features"] if row["feature"] == "transformer_lost_30"]
    assert parts[1]["n_features"] == parts[0]["n_features"] < len(metered_model.readings.ensemble.inputs.names)


def test_scores_that_moved_ask_for_training_and_features_alone_do_not():
    part = {"n_now": 900, "n_features": 10, "n_shifted": 1, "n_shifting": 2, "max_psi": 0.3}
    moved, still = (
        {"parts": {"invoices": part | {"score": {"psi": psi, "level": level}}}, "untold": []}
        for psi, level in ((0.4, SHIFTED), (0.01, STABLE))
    )
    assert describe_drift(moved)[0].endswith(
        "the score is shifted (0.40). Train again (train.py) with invoices up to today and with what the crews found."
    )
    assert describe_drift(still)[0].endswith("the score is stable (0.01).")
    assert "1 of 10 features have shifted and 2 are shifting (the highest index is 0.30)" in describe_drift(still)[0]
