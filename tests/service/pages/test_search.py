"""The page of search: what a few typed characters lead to."""

import numpy as np
import pytest

from fairmeter.store.engine.packing import INVOICE_DTYPE
from fairmeter.web.pages.frame import search
from tests.builders.pages import open_desk, seen
from tests.builders.store import clients_of, score_of, write

METER = 473_692.0


@pytest.fixture
def desk(store):
    """Two clients at one transformer; the second has an invoice of the meter."""
    ids = ["AB-1", "ab-12"]
    invoices = np.zeros(2, INVOICE_DTYPE)
    invoices["meter_id"] = METER
    clients = clients_of(client_id=ids, transformer_id=["T-7", "T-7"], region=[101.0, 102.0])
    write(store, *map(score_of, ids), clients=clients, invoice_histories={"ab-12": invoices})
    return open_desk(store)


def found(desk, typed: str, address: str = "/desk/search/found") -> list[str]:
    """The addresses that a search leads to."""
    page = seen(desk.get(address, query_string={"q": typed}))
    assert page.status == 200
    main = page.whole.partition("<main")[2] or page.whole
    return [link for link in page.links if link.startswith("/desk/") and f'href="{link}"' in main]


@pytest.mark.parametrize("address", ["/desk/search", "/desk/search/found"])
def test_the_number_of_a_meter_leads_to_its_client(desk, address):
    assert "/desk/client/ab-12" in found(desk, "473692", address)
    assert not [link for link in found(desk, "47369", address) if link.startswith("/desk/client/")]


def test_the_meters_of_a_very_large_base_are_not_looked_through(desk, monkeypatch):
    monkeypatch.setattr(search, "MAX_METER_CLIENTS", 1)
    assert found(desk, "473692") == []


def test_ids_transformers_cases_regions_and_pages_are_found(store, desk):
    case = store.open_case("AB-1", "anna", "Fall since March.")
    assert found(desk, "ab-1")[:2] == ["/desk/client/AB-1", "/desk/client/ab-12"]
    assert "/desk/transformer/T-7" in found(desk, "t-7")
    assert f"/desk/cases/{case.case_id}" in found(desk, f"#{case.case_id}")
    assert "/desk/suspects?region=101" in found(desk, "101")
    assert "/desk/plan" in found(desk, "plan")


@pytest.mark.parametrize("typed", ["", " ", "\0", "%", "9" * 30, "x" * 500, "²"])
def test_a_text_that_nothing_fits_finds_nothing(desk, typed):
    assert found(desk, typed) == []
