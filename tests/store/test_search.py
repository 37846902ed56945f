"""Search: ids from anywhere within them, meters by their number, transformers, cases."""

import numpy as np
import pytest

from fairmeter.store import BadQuery
from fairmeter.store.engine.packing import INVOICE_DTYPE
from tests.builders.store import clients_of, score_of, write

METER = 473_692.0


@pytest.fixture
def filled(store):
    ids = ["AB-1", "ab-12", "x_ab", "y%b"]
    invoices = np.zeros(2, INVOICE_DTYPE)
    invoices["meter_id"] = METER
    clients = clients_of(client_id=ids, transformer_id=["T-7", "T-7", "t-70", "u"])
    write(store, *map(score_of, ids), clients=clients, invoice_histories={"ab-12": invoices})
    return store


@pytest.mark.parametrize(
    ("typed", "found"),
    [("ab-1", ["AB-1", "ab-12"]), ("AB", ["AB-1", "ab-12", "x_ab"]), ("_", ["x_ab"]), ("%", ["y%b"]), ("zz", [])],
)
def test_clients_are_found_from_anywhere_whatever_the_case(filled, typed, found):
    assert [one.client_id for one in filled.search_clients(typed)] == found


def test_a_meter_is_found_by_its_whole_number_or_its_name(filled):
    assert [one.client_id for one in filled.search_meters("473692")] == ["ab-12"]
    assert filled.search_meters("47369") == []
    assert filled.search_meters("not a meter") == []


def test_transformers_and_cases_are_found(filled):
    assert filled.search_transformers("t-7") == ["T-7", "t-70"]
    case = filled.open_case("AB-1", "anna", "Fall since March.")
    assert [one.client_id for one in filled.search_cases(case.case_id)] == ["AB-1"]
    assert filled.search_cases(999) == []


def test_a_text_that_no_database_holds_is_refused(filled):
    for typed in ("a\0", "\ud800"):
        with pytest.raises(BadQuery):
            filled.search_clients(typed)


def test_consumption_and_places_of_some_clients_are_read_at_once(filled):
    assert filled.series_of(["AB-1", "nobody"]).keys() <= {"AB-1"}
    assert filled.places_of(["nobody"]) == {}
