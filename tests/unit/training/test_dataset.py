"""Who is trained on: the labelled, with invoices, and for the prospective view those whose account goes on."""

import numpy as np
import pytest

from fairmeter.data.json_records import names_from_records, tables_from_records
from fairmeter.data.tables import Tables
from fairmeter.features.invoices.matrix import FEATURE_NAMES, client_features
from fairmeter.training.dataset import Dataset, TrainingError
from tests.builders.tables import a_client, an_invoice

YEARS = (2019, 2013, 2012, None)  # of the last invoice: active, just active, not active, no invoice at all
LABELS = (1, 0, None)


def study_of(clients, invoices):
    """A dataset of clients and their invoices, one list a client."""
    table, bills, quality = tables_from_records(clients, invoices)
    if "label" in clients[0]:  # the service reads none
        table["label"] = np.array([client["label"] for client in clients], dtype=float)
    return Dataset.from_tables(
        "data.zip", Tables(table, bills, [], quality), client_features(table, bills), FEATURE_NAMES
    )


@pytest.fixture
def dataset():
    """Twenty clients of each kind."""
    kinds = [(year, label) for year in YEARS for label in LABELS] * 20
    clients = [a_client(f"c-{i}", label=label) for i, (_, label) in enumerate(kinds)]
    invoices = [[] if year is None else [an_invoice(invoice_on=f"{year}-06-15")] for year, _ in kinds]
    return study_of(clients, invoices)


def kinds_of(rows):
    """Year and label of clients by their row numbers."""
    n = len(LABELS)
    return {(YEARS[row % (len(YEARS) * n) // n], LABELS[row % n]) for row in rows}


def test_all_takes_every_labelled_client_with_invoices(dataset):
    assert kinds_of(dataset.clients("all")) == {(year, label) for year in (2019, 2013, 2012) for label in (1, 0)}
    assert len(dataset.clients("all")) == 6 * 20


def test_prospective_takes_those_billed_in_the_last_seven_years_of_the_data(dataset):
    assert kinds_of(dataset.clients("prospective")) == {(2019, 1), (2019, 0), (2013, 1), (2013, 0)}
    assert np.datetime64(int(dataset.active_from), "D") == np.datetime64("2013-01-01")


def test_rows_come_in_ascending_order(dataset):
    assert (np.diff(dataset.clients("prospective")) > 0).all()


def test_it_says_what_it_is_about(dataset):
    assert (
        dataset.summary()
        == "data.zip: 240 clients, 180 invoices, 80 of 160 inspected labelled fraud, 80 unknown; 120 active."
    )


def test_a_view_with_too_few_frauds_is_refused_and_named(dataset):
    label = np.where((dataset.label == 1) & dataset.is_active(), np.nan, dataset.label)
    few = Dataset(dataset.name, dataset.tables, dataset.evidence, dataset.feature_names, label, dataset.active_from)
    with pytest.raises(TrainingError, match=r"0 clients labelled 1 and 40 labelled 0 .*view prospective"):
        few.clients("prospective")
    assert len(few.clients("all"))


def test_groups_name_each_clients_place_and_history(dataset):
    groups = dataset.groups(dataset.clients("all"))
    assert set(groups) == {"history quintile", "region", "category"}
    assert set(groups["region"]) == {"103"}
    assert set(groups["category"]) == {"11"}


def test_groups_have_the_names_of_codes_and_unknown_without_one():
    clients = [a_client("c-1", region="Ilhéus", label=1), a_client("c-2", region=103), a_client("c-3", region=None)]
    invoices = [an_invoice(invoice_on="2019-01-24")]
    table, of_all, quality = tables_from_records(clients, [invoices] * 3)
    names = names_from_records(clients, invoices)
    tables = Tables(table, of_all, [], quality, names)
    study = Dataset.from_tables("data.zip", tables, client_features(table, of_all), FEATURE_NAMES)
    assert study.groups(np.arange(3))["region"].tolist() == ["Ilhéus", "103", "unknown"]


def test_the_fingerprint_follows_features_and_labels_alone(dataset):
    def fingerprint(name="data.zip", label=dataset.label, features=dataset.evidence.features):
        evidence = type(dataset.evidence)(features, dataset.evidence.n_records, dataset.evidence.group_keys)
        return Dataset(name, dataset.tables, evidence, dataset.feature_names, label, dataset.active_from).fingerprint()

    assert fingerprint() == fingerprint(name="renamed.zip") == dataset.fingerprint()
    assert fingerprint(label=np.where(np.arange(240) == 0, 0.0, dataset.label)) != dataset.fingerprint()
    assert fingerprint(features=dataset.evidence.features + np.float32(1)) != dataset.fingerprint()
    assert len(dataset.fingerprint()) == 64


def test_data_without_labels_are_ranked_where_there_are_enough_clients():
    for client in (a_client(), a_client(label=None)):
        few = study_of([client], [[an_invoice()]])
        assert not few.has_labels
        with pytest.raises(TrainingError, match=r"data\.zip has no labels .* only 1 clients .* at least 40"):
            few.unlabelled_clients("all")


def test_data_without_invoices_are_refused():
    with pytest.raises(TrainingError, match=r"data\.zip has no invoice"):
        study_of([a_client(label=1)], [[]])
