"""Campaigns: what visits of a period brought, against random ones."""

from datetime import UTC, date, datetime, timedelta
from io import BytesIO

import pytest
from python_calamine import CalamineWorkbook

from tests.builders.pages import inspected, open_desk, seen
from tests.builders.store import clients_of, score_of, write

TODAY = datetime.now(UTC).date()
WEEK_AGO = TODAY - timedelta(days=7)
N = 60


@pytest.fixture
def visited(store):
    """Thirty chosen visits of which half are confirmed, thirty random ones of which one is."""
    ids = [f"c-{n:02}" for n in range(N)]
    write(store, *map(score_of, ids), clients=clients_of(client_id=ids, region=[101.0 + n % 2 for n in range(N)]))
    for n, client_id in enumerate(ids):
        is_random = n >= N // 2
        is_hit = n % 2 == 0 if not is_random else n == N - 1
        billed = {"recovered_kwh": 1000.0, "recovered_value": 200.0} if is_hit else {}
        inspected(store, client_id, "confirmed" if is_hit else "cleared", is_random, **billed)
    return store


@pytest.fixture
def desk(store):
    return open_desk(store)


def add(desk, **fields):
    form = {"name": "Autumn", "since": WEEK_AGO, "until": TODAY, "choice": "both", **fields}
    return desk.post("/desk/campaigns/add", data=form, follow_redirects=True)


def test_a_campaign_says_what_it_brought_and_that_it_beats_chance(desk, visited):  # noqa: ARG001
    page = seen(add(desk, cost_per_visit="10"))
    for text in ("Autumn", "60 the meter was seen at 60", "16 of chosen visits 50", "after 600", "2,600"):
        assert text in page.text, text
    assert "Chosen visits found more than random ones" in page.text
    for title in ("Pattern", "Region", "Crew", "First reason", "Visits a day"):
        assert title in page.text
    assert "more found than at random" in seen(desk.get("/desk/campaigns")).text


def test_too_few_visits_say_so_and_name_no_winner(store, desk):
    write(store, score_of("c-1"), score_of("c-2"))
    inspected(store, "c-1", "confirmed")
    inspected(store, "c-2", "no_access")
    page = seen(add(desk))
    assert "At 1 visit the meter was seen: too few" in page.text
    assert "too few visits to say: 1 seen" in seen(desk.get("/desk/campaigns")).text


def test_visits_where_nobody_was_seen_are_not_in_the_hit_rate(store, desk):
    write(store, *map(score_of, ("c-1", "c-2", "c-3")))
    for client_id, outcome in (("c-1", "confirmed"), ("c-2", "no_access"), ("c-3", "cleared")):
        inspected(store, client_id, outcome)
    assert "of chosen visits 50" in seen(add(desk)).text


def test_random_visits_alone_and_a_region_are_counted_alone(desk, visited):  # noqa: ARG001
    assert "30 the meter was seen at 30" in seen(add(desk, choice="random")).text
    assert "30 the meter was seen at 30" in seen(add(desk, name="South", region="102")).text


def test_the_export_has_a_row_each_with_intervals(desk, visited):  # noqa: ARG001
    add(desk)
    header, row = desk.get("/desk/campaigns.csv").text.splitlines()
    found = dict(zip(header.split(","), row.split(","), strict=True))
    assert (found["n_visits"], float(found["hit_rate"]), found["random_n_seen"]) == ("60", 0.5, "30")
    assert 0 < float(found["difference_low"]) < float(found["difference"]) < float(found["difference_high"])
    book = CalamineWorkbook.from_filelike(BytesIO(desk.get("/desk/campaigns.xlsx").data))
    assert book.get_sheet_by_index(0).to_python()[1][0] == "Autumn"
    assert desk.get("/desk/campaigns.exe").status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"since": "x"},
        {"since": TODAY, "until": WEEK_AGO},
        {"cost_per_visit": "-1"},
        {"cost_per_visit": "nan"},
        {"choice": "all"},
        {"random_percent": "x"},
        {"name": "a\0b"},
    ],
)
def test_a_bad_form_comes_back_with_words_and_what_was_typed(desk, wrong):
    answer = add(desk, **wrong)
    assert answer.status_code == 422
    assert 'class="flash error"' in answer.text
    assert f'value="{wrong.get("until", TODAY)}"' in answer.text


def test_a_name_is_taken_once_and_a_campaign_can_be_deleted(store, desk):
    add(desk)
    assert "choose another name" in seen(add(desk)).text
    campaign = store.list_campaigns()[0]
    desk.post(f"/desk/campaigns/{campaign.campaign_id}/delete")
    assert store.list_campaigns() == []
    assert desk.get(f"/desk/campaigns/{campaign.campaign_id}").status_code == 404


def test_a_period_without_visits_is_no_failure(desk, store):  # noqa: ARG001
    assert "too few" in seen(add(desk, since=date(2020, 1, 1), until=date(2020, 2, 1))).text
