"""Where suspected clients live and when their consumption began to change, for the map; the scores of all clients."""

from datetime import date

import pytest

from fairmeter.casework.workflow import ClientHasCase
from tests.builders.store import clients_of, score_of, write


@pytest.fixture
def regions(store):
    """Region 101 with three suspected clients of four, 102 with one of two; the change of one has no date."""
    began = {"a": "2026-03-02", "b": "2026-03-31", "c": None, "d": "2024-01-15"}
    scores = [score_of(id_, onset_on=day) for id_, day in began.items()]
    scores += [score_of("e", 0.1, "low"), score_of("f", 0.1, "low")]
    places = {"latitude": [36.0, 36.1, 36.2, 37.0, 36.3, 37.1], "longitude": [10.0, 10.1, 10.2, 11.0, 10.3, 11.1]}
    code = [101.0, 101.0, 101.0, 102.0, 101.0, 102.0]
    write(store, *scores, clients=clients_of(client_id=list("abcdef"), region=code, **places))
    return store


def test_suspected_clients_are_counted_by_region_and_month(regions):
    assert regions.onsets_by_month() == {(101.0, date(2026, 3, 1)): 2, (102.0, date(2024, 1, 1)): 1}
    assert regions.onsets_by_month(region=102.0) == {(102.0, date(2024, 1, 1)): 1}


def test_clients_of_an_area_are_counted_and_the_suspected_listed(regions):
    whole = regions.area()
    assert regions.count_placed(whole) == 6
    assert regions.count_placed(whole, region=102.0) == 2
    assert {one.client_id for one in regions.placed_clients(whole, 9, region=102.0)} == {"d"}  # the suspected


def test_the_newest_score_of_each_client_is_found_by_its_id(regions):
    write(regions, score_of("a", 0.9), score_of("g", None))
    assert regions.newest_scores() == {"a": 0.9} | dict.fromkeys("bcd", 0.7) | dict.fromkeys("ef", 0.1)


def test_a_second_case_of_a_client_names_the_first_and_its_holder(store):
    write(store, score_of("a"))
    store.open_case("a", "anna", "On the list.", assignee="anna")
    with pytest.raises(ClientHasCase, match="has an open case already, number 1; anna has it"):
        store.open_case("a", "otto", "On the list.")
