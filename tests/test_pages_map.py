"""Where clients are: cells, clients and transformers by hand, and the page that shows them."""

import re
from datetime import date

import pytest
from page_builders import HOSTILE, open_desk, seen
from store_builders import clients_of, score_of, write

from fraud.store import Area

WHOLE = Area(36.0, 10.0, 37.0, 11.0)


@pytest.fixture
def placed_store(store):
    """Two suspected clients and one other near each other, one far away, one of whom nobody knows where it is."""
    scores = [
        score_of("c-1", 0.9, "critical", onset_on="2026-03-01"),
        score_of("c-2", 0.6, "high", onset_on="2026-05-01"),
        score_of("c-3", 0.1, "low", onset_on=None),
        score_of(HOSTILE, 0.95, "critical", onset_on=None),
        score_of("c-5", 0.8, "high"),
    ]
    clients = clients_of(
        client_id=["c-1", "c-2", "c-3", HOSTILE, "c-5"],
        latitude=[36.0, 36.01, 36.02, 37.0, float("nan")],
        longitude=[10.0, 10.01, 10.02, 11.0, 10.0],
        transformer_id=["t-1", "t-1", "t-1", "t-2", ""],
        region=[101.0, 101.0, 102.0, 102.0, 102.0],
    )
    write(store, *scores, clients=clients)
    return store


def test_the_area_is_what_all_clients_with_coordinates_lie_in(placed_store):
    assert placed_store.area() == WHOLE


def test_a_store_without_coordinates_has_no_area(store):
    write(store)
    assert store.area() is None


def test_neighbours_share_a_cell_with_their_middle_and_what_is_expected_of_the_suspected(placed_store):
    near, far = placed_store.cells(WHOLE, 4)
    assert (near.n_clients, near.n_suspected) == (3, 2)
    assert near.latitude == pytest.approx(36.01)
    assert near.expected_recovery_kwh == pytest.approx(0.9 * 1000 + 0.6 * 1000)
    assert (far.n_clients, far.n_suspected) == (1, 1)


def test_filters_leave_clients_out_of_cells_and_points(placed_store):
    began = {"onset_since": date(2026, 4, 1), "onset_until": date(2026, 12, 31)}
    assert [c.client_id for c in placed_store.placed_clients(WHOLE, 9, **began)] == ["c-2"]
    assert [c.n_clients for c in placed_store.cells(WHOLE, 4, severity="critical")] == [1, 1]
    assert [c.client_id for c in placed_store.placed_clients(WHOLE, 9, region=101.0)] == ["c-1", "c-2"]


def test_suspected_clients_of_an_area_come_with_the_highest_score_first(placed_store):
    assert [c.client_id for c in placed_store.placed_clients(WHOLE, 2)] == [HOSTILE, "c-1"]
    south = Area(36.0, 10.0, 36.5, 10.5)
    assert [c.client_id for c in placed_store.placed_clients(south, 9)] == ["c-1", "c-2"]


def test_a_transformer_stands_in_the_middle_of_its_clients(placed_store):
    first, second = placed_store.transformers(WHOLE, 9)
    assert (first.transformer_id, first.n_clients, first.n_suspected) == ("t-1", 3, 2)
    assert first.longitude == pytest.approx(10.01)
    assert second.transformer_id == "t-2"


def test_the_map_leads_to_clients_and_to_places_step_by_step(placed_store):
    desk = open_desk(placed_store)
    page = seen(desk.get("/desk/map"))
    assert "3 suspected clients among 4" in page.text
    assert any(link.endswith("/desk/client/c-1") for link in page.links)
    nearer = seen(desk.get(next(link for link in page.links if "near=1" in link)))
    assert "among 3" in nearer.text
    assert "Whole area" in nearer.text


def test_a_client_whose_id_is_a_script_is_text_on_the_map_too(placed_store):
    page = seen(open_desk(placed_store).get("/desk/map"))
    assert "<script>alert" not in page.whole
    block = re.search(r'id="chart-map">(.*?)</script>', page.whole, re.DOTALL)[1]
    assert "\\u0026lt;script" in block  # as text even for who reads the chart's hover texts as marks


def test_regions_stand_in_where_no_client_has_coordinates(store):
    write(store, score_of("c-1"), clients=clients_of(client_id=["c-1"], region=[101.0]))
    page = seen(open_desk(store).get("/desk/map"))
    assert "Region 101" in page.text
    assert "/desk/list?region=101" in page.links


@pytest.mark.parametrize("query", ["near=x", "near=99&lat=nan&lon=1e999", "severity=none", "onset_since=x", "region=a"])
def test_an_address_that_cannot_be_used_shows_a_map_all_the_same(placed_store, query):
    assert open_desk(placed_store).get(f"/desk/map?{query}").status_code == 200
