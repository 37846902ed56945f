"""Crews, users and keys; alert rules; settings."""

import json
import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from fairmeter.core.types import TAMPERING, Anomaly
from fairmeter.web.http.auth import THIS_MACHINE
from fairmeter.web.pages.site import PageSettings
from tests.builders.desk import desk_app
from tests.builders.pages import open_desk, seen
from tests.builders.store import clients_of, score_of, write


@pytest.fixture
def desk(store):
    return open_desk(store)


def test_each_rule_says_how_many_clients_it_concerns(store, desk):
    tampered = (Anomaly(TAMPERING, "high", "2026-01-01", "2026-02-01", 2.0, "The index went back."),)
    scores = score_of("c-1", anomalies=tampered), score_of("c-2", 0.1, "low", anomalies=tampered), score_of("c-3")
    write(store, *scores, score_of("c-4", 0.1, "low"), facts=[{"n_index_rollbacks": 1.0}, {}, {}, {}])
    store.open_case("c-1", "anna", "Looked at.")
    page = seen(desk.get("/desk/rules"))
    assert "Tampering signature" in page.text
    assert "Count clients now" in page.text
    counted = seen(desk.get("/desk/rules?count=1"))
    numbers = rule_numbers(counted.whole)
    assert numbers["Tampering signature"] == ("1", "2")
    assert numbers["Index rollback"] == ("0", "1")
    assert numbers["Score"] == ("1", "2")


def rule_numbers(page):
    """Open alerts and clients by rule."""
    rows = re.findall(r"<tr><td><b>(.*?)</b>.*?<td class=\"num\">(.*?)</td><td class=\"num\">(.*?)</td></tr>", page)
    return {name: (n_open, n_would) for name, n_open, n_would in rows}


def test_the_rules_say_their_file_quiet_days_and_who_is_told(desk):
    page = seen(desk.get("/desk/rules"))
    for text in ("alerts.toml", "365 days", "desk: Critical and higher, at once"):
        assert text in page.text, text


def test_settings_are_saved_and_hold_at_once(store, desk):
    form = {"currency": "TND", "price_per_kwh": "0.2", "cost_per_visit": "30", "random_percent": "10"}
    page = seen(desk.post("/desk/settings", data=form, follow_redirects=True))
    assert "The settings are saved." in page.text
    assert {name: found.value for name, found in store.desk_values().items()} == {
        "currency": "TND",
        "price_per_kwh": 0.2,
        "cost_per_visit": 30.0,
        "random_share": 0.1,
    }
    assert 'name="random" min="0" max="100" step="any" value="10"' in plan_page(store, desk)
    desk.post("/desk/settings", data={"currency": "", "random_percent": ""})
    assert store.desk_values() == {}


def plan_page(store, desk):
    store.add_crew("North", "anna")
    return desk.get("/desk/plan").text


def test_what_comes_from_the_environment_is_said_and_cannot_be_changed_here(store):
    settings = PageSettings(currency="EUR", from_environment=frozenset({"currency", "time_zone"}))
    desk = desk_app(store, THIS_MACHINE, None, None, settings).test_client()
    desk.post("/desk/settings", data={"currency": "TND", "random_percent": "5"})
    page = seen(desk.get("/desk/settings"))
    assert "EUR the environment, variable CURRENCY" in page.text
    assert "UTC the environment, variable TIME_ZONE" in page.text
    assert "currency" not in store.desk_values()


def test_time_zone_language_and_map_are_set_here_and_hold_at_once(store, desk):
    form = {
        "time_zone": "Pacific/Kiritimati", "language": "fr", "map_tiles": "https://tiles.example/{z}/{x}/{y}.png",
        "map_credit": "© Somebody",
    }  # fmt: skip
    write(store, score_of("c-1"), clients=clients_of(client_id=["c-1"], latitude=[36.8], longitude=[10.2]))
    page = seen(desk.post("/desk/settings", data=form, follow_redirects=True))
    assert "Les paramètres sont enregistrés." in page.text, "no language of the browser's: that of the settings"
    assert {name: found.value for name, found in store.desk_values().items()} == form
    answer = desk.get("/desk/map")
    assert "https://tiles.example/" in answer.headers["Content-Security-Policy"]
    assert "© Somebody" in answer.text
    today = datetime.now(ZoneInfo("Pacific/Kiritimati")).date()
    assert f'max="{today}"' in desk.get("/desk/changes").text
    static = desk.get(re.search(r'/desk/static/[^"]+desk.css', answer.text)[0])
    assert "tiles.example" not in static.headers["Content-Security-Policy"]


def test_a_setting_that_changes_is_on_record_with_who_set_it(store):
    store.set_desk_values({"language": "fr", "currency": "TND"}, "anna")
    store.set_desk_values({"language": "ar", "currency": "TND"}, "ben")
    store.set_desk_values({"language": None}, "ben")
    entries = [one for one in map(json.loads, store.chain_lines()) if one.get("kind") == "setting"]
    assert [(one["subject"], one["user"], one["details"]) for one in entries] == [
        ("currency", "anna", '"TND"'),
        ("language", "anna", '"fr"'),
        ("language", "ben", '"ar"'),
        ("language", "ben", "not set"),
    ]
    assert store.desk_values()["currency"].changed_by == "anna"


def test_what_is_the_default_anyway_counts_as_not_set(store, desk):
    desk.post("/desk/settings", data={"time_zone": "UTC", "language": "en"})
    assert store.desk_values() == {}


def test_a_time_zone_that_this_machine_does_not_know_is_left_out(store, desk):
    store.set_desk_values({"time_zone": "Mars/Olympus"}, "anna")
    assert desk.get("/desk/today").status_code == 200


@pytest.mark.parametrize(
    "form",
    [
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../etc/passwd"},
        {"language": "xx"},
        {"map_tiles": "javascript:alert(1)"},
        {"map_tiles": "https://tiles.example/{z}/{x}.png"},
        {"map_tiles": "https://tiles.example/{z}/{x}/{y}.png; script-src *"},
        {"map_credit": "x" * 201},
    ],
)
def test_a_place_that_cannot_be_is_refused_and_nothing_is_stored(store, desk, form):
    assert desk.post("/desk/settings", data=form).status_code == 422
    assert store.desk_values() == {}


@pytest.mark.parametrize(
    "form", [{"price_per_kwh": "-1"}, {"price_per_kwh": "nan"}, {"random_percent": "101"}, {"currency": "x" * 9}]
)
def test_settings_that_cannot_be_are_refused_in_words(store, desk, form):
    answer = desk.post("/desk/settings", data=form)
    assert answer.status_code == 422
    assert 'class="flash error"' in answer.text
    assert store.desk_values() == {}


# --- crews, users, keys -----------------------------------------------------------------------------------------------


def test_a_crew_is_added_changed_and_ended(store, desk):
    form = {"name": "North", "capacity": "6", "base_place": "Ariana", "latitude": "36.8", "longitude": "10.2"}
    desk.post("/desk/crews/save", data=form)
    crew = store.list_crews()[0]
    assert (crew.name, crew.capacity, crew.base_place, crew.latitude) == ("North", 6, "Ariana", 36.8)
    store.add_user("ben", "hash", "investigator")
    changed = form | {"crew_id": crew.crew_id, "member": ["ben"], "capacity": "9", "ended": "on"}
    page = seen(desk.post("/desk/crews/save", data=changed, follow_redirects=True))
    assert store.list_crews() == []
    assert (store.find_crew(crew.crew_id).members, store.find_crew(crew.crew_id).capacity) == (("ben",), 9)
    assert "Goes out no more" in page.text


def test_a_crew_without_users_says_that_nobody_sees_its_visits(store, desk):
    store.add_crew("North", "anna")
    assert "nobody sees its visits on a phone" in seen(desk.get("/desk/crews")).text


def test_a_new_user_has_a_link_that_is_shown_once_and_is_in_its_crew(store, desk):
    crew = store.add_crew("North", "anna")
    answer = desk.post("/desk/crews/users", data={"name": "ben", "role": "investigator", "crew_id": crew.crew_id})
    assert answer.headers["Cache-Control"] == "no-store"
    link = re.search(r"shown-once\"><bdi>(.*?)</bdi>", answer.text).group(1)
    assert link.startswith("http://localhost/desk/invitation/")
    assert link not in desk.get("/desk/crews").text
    assert store.find_crew(crew.crew_id).members == ("ben",)


def test_a_users_role_access_and_password_change(store, desk):
    store.add_user("zoe", "hash", "admin")
    store.add_user("ben", "hash", "viewer")
    desk.post("/desk/crews/users/change", data={"name": "ben", "role": "investigator", "is_active": "on"})
    assert (store.find_user("ben").role, store.find_user("ben").is_active) == ("investigator", True)
    answer = desk.post("/desk/crews/users/change", data={"name": "ben", "reset": "1"})
    assert "shown-once" in answer.text
    assert store.find_user("ben").password_hash != "hash"  # noqa: S105
    desk.post("/desk/crews/users/change", data={"name": "ben", "role": "investigator"})
    assert not store.find_user("ben").is_active


def test_the_last_admin_stays_one(store, desk):
    store.add_user("zoe", "hash", "admin")
    page = desk.post("/desk/crews/users/change", data={"name": "zoe", "role": "viewer", "is_active": "on"})
    assert 'class="flash error"' in page.text
    assert store.find_user("zoe").role == "admin"


def test_a_key_is_shown_once_ends_and_is_revoked(store, desk):
    answer = desk.post("/desk/crews/keys", data={"name": "loader", "role": "viewer", "days": "30"})
    key = re.search(r"shown-once\"><bdi>(.*?)</bdi>", answer.text).group(1)
    assert key not in desk.get("/desk/crews").text
    made = store.list_keys()[0]
    assert 29 <= (made.expires_at - made.created_at).days <= 30
    closed = desk_app(store).test_client()
    assert closed.get("/clients", headers={"X-API-Key": key}).status_code == 200
    desk.post("/desk/crews/keys/revoke", data={"name": "loader"})
    assert closed.get("/clients", headers={"X-API-Key": key}).status_code == 401
    assert "revoked" in seen(desk.get("/desk/crews")).text


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("save", {"name": ""}),
        ("save", {"name": "N", "capacity": "0"}),
        ("save", {"name": "N", "latitude": "91"}),
        ("save", {"name": "N", "member": "nobody"}),
        ("save", {"crew_id": "99", "name": "N"}),
        ("users", {"name": "", "role": "viewer"}),
        ("users", {"name": "x", "role": "king"}),
        ("users/change", {"name": "nobody", "role": "viewer"}),
        ("keys", {"name": "", "role": "viewer"}),
        ("keys/revoke", {"name": "nobody"}),
    ],
)
def test_what_cannot_be_saved_is_said_in_words(desk, address, form):
    answer = desk.post(f"/desk/crews/{address}", data=form)
    assert 400 <= answer.status_code < 500
    assert 'class="flash error"' in answer.text


@pytest.mark.parametrize("page", ["crews", "rules", "settings"])
def test_setup_is_for_admins_alone(store, page):
    from fairmeter.web.http.sessions import new_key

    key, key_hash = new_key()
    store.add_key("looker", key_hash, "investigator")
    closed = desk_app(store).test_client()
    assert closed.get(f"/desk/{page}", headers={"X-API-Key": key}).status_code == 403
