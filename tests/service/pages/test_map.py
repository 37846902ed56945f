"""The map: cells, clients and transformers worked by hand, and the page that shows them."""

import re
from datetime import UTC, date, datetime, timedelta
from itertools import chain

import pytest

from fairmeter.casework.types import PlanVisit
from fairmeter.store import Area
from tests.builders.pages import HOSTILE, open_desk, seen
from tests.builders.store import clients_of, score_of, write

WHOLE = Area(36.0, 10.0, 37.0, 11.0)


@pytest.fixture
def placed_store(store):
    """Two suspected clients and another near each other, a distant one, and one without coordinates."""
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
    assert placed_store.area() == WHOLE._replace(is_whole=True)


def test_all_of_the_area_holds_the_same_as_its_bounds(placed_store):
    whole = placed_store.area()
    assert placed_store.cells(whole, 4) == placed_store.cells(WHOLE, 4)
    assert placed_store.transformers(whole, 9) == placed_store.transformers(WHOLE, 9)


def test_a_client_has_the_last_coordinates_that_a_run_gave(placed_store):
    moved = clients_of(client_id=["c-1"], latitude=[36.9], longitude=[10.9], transformer_id=["t-2"])
    write(placed_store, score_of("c-1", 0.9, "critical"), clients=moved)
    write(placed_store, score_of("c-1", 0.9, "critical"))  # a run that brings no coordinates
    (client,) = (one for one in placed_store.placed_clients(WHOLE, 9) if one.client_id == "c-1")
    assert (client.latitude, client.longitude) == (36.9, 10.9)
    assert {one.transformer_id: one.n_clients for one in placed_store.transformers(WHOLE, 9)} == {"t-1": 2, "t-2": 2}


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
    assert "\\u0026lt;script" in block  # as text even where hover texts are read as markup


def test_legend_and_filter_are_one_and_count_what_is_suspected_here(placed_store):
    desk = open_desk(placed_store)
    assert legend(desk.get("/desk/map")) == {"Critical": "2", "High": "1", "Medium": "0", "Low": "0"}
    high = desk.get("/desk/map?severity=high")
    assert legend(high) == {"Critical": "2", "High": "1", "Medium": "0", "Low": "0"}
    assert 'aria-current="true"' in high.text
    assert '"name": "Critical"' not in high.text  # neither in the drawing
    assert legend(desk.get("/desk/map?severity=high&region=102")) == dict.fromkeys(("Medium", "Low", "High"), "0") | {
        "Critical": "1"
    }
    assert 'name="severity"' not in desk.get("/desk/map").text  # the legend is the filter


def legend(answer):
    """Number by severity."""
    chips = re.findall(r'<a class="chip.*?</svg>(.*?)</span> (.*?)</a>', answer.text)
    return dict(chips)


def test_the_map_shows_the_part_that_it_was_moved_to(placed_store):
    desk = open_desk(placed_store)
    page = seen(desk.get("/desk/map?box=35.9,9.9,36.5,10.5"))
    assert "2 suspected clients among 3" in page.text
    assert "Whole area" in page.text
    for box in ("x", "1,2,3", "9,9,1,1", "nan,0,1,1", "-91,0,1,1", "0,0,1e999,1"):
        assert "among 4" in seen(desk.get(f"/desk/map?box={box}")).text, box


def test_ways_of_crews_are_drawn_for_a_day_that_has_a_plan(placed_store):
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    crew = placed_store.add_crew("<b>North", "anna")
    placed_store.save_plans(tomorrow, {crew.crew_id: [PlanVisit("c-1"), PlanVisit("c-2"), PlanVisit("c-5")]}, "anna")
    desk = open_desk(placed_store)
    assert f'<option value="{tomorrow}">' in desk.get("/desk/map").text
    page = desk.get(f"/desk/map?ways={tomorrow}").text
    assert "var(--crew-0)" in page
    assert '"x": [10.0, 10.01]' in page  # c-5 has no place
    assert "\\u0026lt;b\\u0026gt;North, 1: c-1" in page


# --- hot spots --------------------------------------------------------------------------------------------------------


def crowd(n, latitude, step, prefix):
    """Suspected clients in a row to the north. [step: degrees]"""
    return [f"{prefix}-{i}" for i in range(n)], [latitude + i * step for i in range(n)], [10.2] * n


@pytest.fixture
def crowded(store):
    """Six suspected clients eleven metres apart with an honest one among them, four 222 metres apart, three alone."""
    parts = crowd(6, 36.5, 1e-4, "a"), crowd(4, 36.9, 2e-3, "b"), (["x", "y", "z"], [36.0, 36.2, 37.0], [10, 10.5, 11])
    ids, latitude, longitude = ([*chain(*columns)] for columns in zip(*parts, strict=True))
    places = {"latitude": [*latitude, 36.50015], "longitude": [*longitude, 10.2]}
    regions = [*(101.0 if id_[0] == "a" else 102.0 for id_ in ids), 101.0]
    clients = clients_of(client_id=[*ids, "honest"], region=regions, **places)
    write(store, *map(score_of, ids), score_of("honest", 0.1, "low"), clients=clients)
    return open_desk(store)


def test_hot_spots_are_where_suspected_clients_crowd_the_largest_first(crowded):
    page = seen(crowded.get("/desk/map"))
    assert "101 36.500, 10.200 6 / 7 4,200" in page.text  # named by the region of its clients
    assert page.text.index("36.500, 10.200") < page.text.index("36.903, 10.200 4 / 4")
    assert page.whole.count('"type": "circle"') == 2


def test_radius_and_filters_decide_what_a_hot_spot_is(crowded):
    hover_text = "Hot spot: 4 of 4 clients suspected"
    assert hover_text in seen(crowded.get("/desk/map?radius=500")).whole
    assert hover_text not in seen(crowded.get("/desk/map?radius=250")).whole
    assert hover_text not in seen(crowded.get("/desk/map?region=101")).whole
    assert "Nobody is suspected" in seen(crowded.get("/desk/map?severity=low")).text
    assert "No place has 4 suspected clients within 250" in seen(crowded.get("/desk/map?radius=250&region=102")).text


def test_a_hot_spot_links_to_the_highest_zoom_that_shows_all_of_it(crowded):
    links = seen(crowded.get("/desk/map")).links
    small, wide = (next(link for link in links if f"lat={latitude}" in link) for latitude in ("36.50", "36.90"))
    assert ("near=6" in small, "near=4" in wide) == (True, True)
    assert "6 suspected clients among 7" in seen(crowded.get(small)).text
    assert "4 suspected clients among 4" in seen(crowded.get(wide)).text


# --- without coordinates ----------------------------------------------------------------------------------------------


@pytest.fixture
def placeless(store):
    """Region 101 with three suspected clients of four, 102 with one of two; one without a date of onset."""
    began = {"a": "2026-03-02", "b": "2026-03-31", "c": None, "d": "2024-01-15"}
    scores = [score_of(id_, onset_on=day) for id_, day in began.items()]
    scores += [score_of("e", 0.1, "low"), score_of("f", 0.1, "low")]
    regions = [101.0, 101.0, 101.0, 102.0, 101.0, 102.0]
    write(store, *scores, clients=clients_of(client_id=list("abcdef"), region=regions))
    return store


def test_regions_by_month_stand_in_where_no_client_has_coordinates(placeless):
    assert placeless.onsets_by_month() == {(101.0, date(2026, 3, 1)): 2, (102.0, date(2024, 1, 1)): 1}
    desk = open_desk(placeless)
    page = seen(desk.get("/desk/map"))
    assert "101 3 / 4 75.0" in page.text
    assert page.text.index("101 3 / 4") < page.text.index("102 1 / 2")
    assert "Region 101, Mar 2026: 2 suspected clients" in page.whole
    assert "Jan 2024" not in page.whole  # two years before the last onset
    assert "/desk/suspects?region=101" in page.links
    tile = next(link for link in page.links if "onset_since=2026-03-01" in link)
    assert "3 clients" in seen(desk.get(tile)).text  # with one that is not suspected


def test_filters_leave_regions_and_months_out(placeless):
    desk = open_desk(placeless)
    page = seen(desk.get("/desk/map?region=102&onset_until=2025-01-01"))
    assert "Region 102, Jan 2024: 1 suspected client" in page.whole
    assert "101 3 / 4" not in page.text
    assert "No client that fits the filters" in seen(desk.get("/desk/map?severity=critical")).text


def test_a_tile_leads_to_what_the_filters_leave_of_its_month(placeless):
    page = seen(open_desk(placeless).get("/desk/map?onset_since=2026-03-20"))
    assert any("onset_since=2026-03-20" in link and "onset_until=2026-03-31" in link for link in page.links)
    assert "Region 101, Mar 2026: 1 suspected client" in page.whole


@pytest.mark.parametrize(
    "query", ["near=x", "near=99&lat=nan&lon=1e999", "severity=none", "onset_since=x", "region=a", "radius=7"]
)
def test_an_invalid_address_still_shows_a_map(placed_store, query):
    assert open_desk(placed_store).get(f"/desk/map?{query}").status_code == 200
