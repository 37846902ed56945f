"""Transformers at the desk, end to end: the demonstration loads them, routes and pages show them, alerts name them."""

import json
import re

import numpy as np
import pytest

from fairmeter.analysis.invoice_checks import check_invoices
from fairmeter.web.http.auth import THIS_MACHINE
from fairmeter.web.pages.transformers.transformer import fit_word, loss_chart
from tests.builders.desk import desk_app
from tests.builders.pages import HOSTILE, open_desk, seen
from tests.builders.service import a_body
from tests.builders.store import UNJUDGED, a_balance, clients_of, score_of, shipped_rules, write

LIMIT = next(rule.limit for rule in shipped_rules().rules if rule.name == "transformer loss")


def of_worst(store):
    """The transformer that loses most beyond the rule's limit, and a client of it that the loss is told of."""
    worst = next(row for row in store.worst_transformers() if row.lost_share > LIMIT)
    ids = [row.client_id for row in store.clients_of_transformer(worst.transformer_id)]
    return worst, next(id_ for id_ in ids if alert_of(store, id_))


def alert_of(store, client_id):
    """The client's open alert that tells of the loss, where nobody visits it already."""
    alert = store.open_alert_of(client_id)
    return alert if alert and "transformer loss" in {rule["rule"] for rule in alert.rules} else None


# --- from file to alert -----------------------------------------------------------------------------------------------


def test_the_demonstration_brings_what_its_transformers_lose(demo_store, metered_utility):
    n_metered = int(metered_utility.transformers["has_meter"].sum())
    known = demo_store.balances_of(metered_utility.transformers["transformer_id"].tolist())
    assert len(known) == n_metered
    worst, client_id = of_worst(demo_store)
    facts = demo_store.find_profile(client_id).facts
    assert facts["transformer_loss_share"] == pytest.approx(worst.lost_share)


def test_clients_behind_a_lossy_transformer_have_an_alert_that_says_so(demo_store):
    worst, client_id = of_worst(demo_store)
    rules = {rule["rule"]: rule for rule in alert_of(demo_store, client_id).rules}
    assert rules["transformer loss"]["value"] == pytest.approx(worst.lost_share)
    assert f"{worst.lost_share:.0%} is not accounted for" in rules["transformer loss"]["sentence"]


def test_the_demonstration_brings_invoices_what_peers_use_and_the_weather(demo_store):
    ledger = demo_store.find_profile("demo-normal").invoices
    assert set(ledger["energy"]) == {0}
    assert sum(map(bool, check_invoices(ledger))) <= len(ledger) / 4
    first, last = (np.datetime64(int(day), "D").item() for day in ledger["day"][[0, -1]])
    assert len(demo_store.temperatures(first, last)) > 300
    assert demo_store.find_band(11.0, 101.0).n_clients > 20


def test_a_client_that_is_sent_alone_keeps_what_its_transformer_loses(demo_store, store):
    _, client_id = of_worst(demo_store)
    write(store, score_of(client_id), facts=[{"transformer_loss_share": 0.3, "spike_ratio": 9.0}])
    answer = desk_app(store, THIS_MACHINE).test_client().post("/predict?record=1", json=a_body(client_id))
    assert answer.status_code == 200
    facts = store.find_profile(client_id).facts
    assert facts["transformer_loss_share"] == 0.3
    assert "spike_ratio" not in facts


# --- routes and pages -------------------------------------------------------------------------------------------------


@pytest.fixture
def small(store):
    """Two transformers, one with a name that somebody made up to do harm, and a third that was never measured."""
    ids = ["c-1", "c-2", "c-3", "c-4"]
    clients = clients_of(
        client_id=ids, transformer_id=["t-1", "t-1", HOSTILE, "t-3"], region=[101.0] * 4,
        latitude=[36.0, 36.1, 36.2, 36.3], longitude=[10.0, 10.1, 10.2, 10.3],
    )  # fmt: skip
    told = {"transformer_loss_share": 0.1, "transformer_loss_fit": 0.72}
    balances = [a_balance("t-1"), a_balance(HOSTILE, 45.0)]
    write(store, *(score_of(id_) for id_ in ids), clients=clients, facts=[told] * 4, balances=balances)
    return store


def test_the_dashboard_tells_transformers_with_most_energy_lost(small):
    told = open_desk(small).get("/dashboard").json["transformers"]
    assert [row["transformer_id"] for row in told] == ["t-1", HOSTILE]
    assert (told[0]["lost_kwh"], told[0]["lost_share"], told[0]["since_on"]) == (90.0, 0.1, "2026-09-07")


def test_the_overview_leads_to_them(small):
    page = seen(open_desk(small).get("/desk/today"))
    assert "Transformers with most energy not accounted for" in page.text
    assert "10.0 % 8.0 %" in page.text
    assert "/desk/transformer/t-1" in page.links


def test_the_overview_says_nothing_of_transformers_where_none_was_measured(store):
    write(store, score_of())
    assert "Transformers with most" not in seen(open_desk(store).get("/desk/today")).text


def test_a_transformer_has_a_page_with_its_course_and_its_clients(small):
    page = seen(open_desk(small).get("/desk/transformer/t-1"))
    assert "10.0 %" in page.text
    assert "19 / 20" in page.text
    assert {"/desk/client/c-1", "/desk/client/c-2"} <= set(page.links)
    assert "/desk/client/c-3" not in page.links
    chart = json.loads(re.search(r'id="chart-course">(.*?)</script>', page.whole, re.DOTALL)[1])
    assert chart["data"][0]["y"] == [70.0, 73.0, None]
    assert chart["data"][1]["y"] == [0.0, 7.5, None]
    assert chart["data"][0]["x"] == ["2026-08-31", "2026-09-07", "2026-09-14"]


def test_a_transformer_that_was_never_measured_shows_its_clients(small):
    page = seen(open_desk(small).get("/desk/transformer/t-3"))
    assert "never read" in page.text
    assert "/desk/client/c-4" in page.links


def test_a_transformer_that_cannot_be_judged_says_why(store):
    write(store, score_of(), balances=[a_balance("t-1", n_days=28, **UNJUDGED)])
    assert "on 28 of the last 90 days" in seen(open_desk(store).get("/desk/transformer/t-1")).text


def test_a_transformer_that_nobody_knows_is_not_found(small):
    assert open_desk(small).get("/desk/transformer/t-9").status_code == 404


def test_a_transformer_whose_name_is_a_script_is_text_everywhere(small):
    desk_ = open_desk(small)
    for address in ("/desk/today", "/desk/map", f"/desk/transformer/{HOSTILE}", "/desk/client/c-3"):
        answer = desk_.get(address)
        assert answer.status_code == 200, address
        assert "<script>alert" not in answer.text


def test_the_map_colours_transformers_by_what_they_lose(small):
    page = seen(open_desk(small).get("/desk/map"))
    chart = json.loads(re.search(r'id="chart-map">(.*?)</script>', page.whole, re.DOTALL)[1])
    measured = next(trace for trace in chart["data"] if trace["name"] == "Transformers, measured")
    assert measured["marker"]["color"] == [0.1, 0.05]
    assert "10.0\u202f% of its energy not accounted for" in measured["text"][0]
    assert measured["customdata"][0] == "/desk/transformer/t-1"
    others = next(trace for trace in chart["data"] if trace["name"] == "Transformers")
    assert others["customdata"] == ["/desk/transformer/t-3"]


def test_a_clients_page_shows_its_transformers_loss_and_whether_it_fits(small):
    desk_ = open_desk(small)
    page = seen(desk_.get("/desk/client/c-1"))
    assert "10.0 % of what it delivered in 90 days is not accounted for (8.0 % to 12.0 % by 95 %)." in page.text
    assert "(correlation 0.72): it fits this client." in page.text
    assert "Its transformer" not in seen(desk_.get("/desk/client/c-4")).text


@pytest.mark.parametrize(("fit", "word"), [(None, None), (0.8, "fits"), (0.6, "fits"), (0.4, "partly"), (-0.5, "not")])
def test_a_fit_is_told_in_words(fit, word):
    assert fit_word(fit) == word


def test_the_loss_by_week_is_a_share_and_leaves_gaps():
    [line] = loss_chart(a_balance())["data"]
    assert line["y"] == [0.0, round(7.5 / 80.5, 4), None]
