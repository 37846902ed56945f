"""What an operator does from a shell: users, keys, the audit, notices; and the settings that the desk starts with."""

import json
import re
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from pydantic import ValidationError

from fairmeter.cli import desk as commands
from fairmeter.cli.settings import Settings
from fairmeter.desk import runs
from fairmeter.desk.notify import Delivery
from fairmeter.desk.photos import Photos
from fairmeter.store import Store, StoreUnavailable
from fairmeter.web.app import create_app
from fairmeter.web.desk_api.bodies import WHITE_PNG
from fairmeter.web.http.auth import INVESTIGATOR
from tests.builders.desk import PASSWORD, add_user, desk_app, moved, opened, recorded, signed_in, with_key
from tests.builders.service import LIMITS, ByConsumption
from tests.builders.store import score_of, shipped_rules

AUDIT_KEY = b"a key of the tests alone"


@contextmanager
def shell(app, service, broker=None, load_demo=lambda: 0, channels=None, model=None):
    """Runs commands; what they say and their exit code."""
    commands.register(app, service, commands.ExternalServices(channels or {}, broker, load_demo, model))
    runner = app.test_cli_runner()

    def run(*arguments, stdin=""):
        return runner.invoke(args=arguments, input=stdin)

    yield run


@pytest.fixture
def app(store):
    return desk_app(store)


@pytest.fixture
def run(app, store):
    with shell(app, runs.DeskService(store, shipped_rules(), runs.Rescorer(ByConsumption()), runs.plan_visits)) as run:
        yield run


def test_a_key_may_end_and_have_a_limit(run, store):
    assert run("add-key", "nightly", "--days", "30", "--per-minute", "60").exit_code == 0
    (key,) = store.list_keys()
    assert timedelta(days=29) < key.expires_at - datetime.now(UTC) <= timedelta(days=30)
    assert key.per_minute == 60
    assert f"never used, until {key.expires_at:%Y-%m-%d %H:%M} UTC" in run("users").output


def test_the_second_factor_of_a_lost_phone_is_removed(run, store):
    add_user(store)
    store.set_totp("anna", "SECRET")
    assert run("change-user", "anna", "--without-second-factor").exit_code == 0
    assert not store.find_user("anna").has_totp


# --- users and keys ---------------------------------------------------------------------------------------------------


def test_the_first_admin_is_made_by_a_command_that_reads_the_password(app, run):
    made = run("add-user", "anna", "--role", "admin", stdin=f"{PASSWORD}\n")
    assert (made.exit_code, made.output) == (0, "anna may sign in as admin.\n")
    client, _ = signed_in(app)
    assert client.get("/session").json["role"] == "admin"


def test_a_name_that_is_taken_and_a_password_that_is_too_short_are_refused_in_a_sentence(run, store):
    add_user(store)
    for arguments, stdin, said in (
        (("add-user", "anna"), PASSWORD, "exists already"),
        (("add-user", "ben"), "short", "12 to 200"),
        (("add-user", "ben"), "", "12 to 200"),
        (("change-user", "ben", "--role", "admin"), "", "no 'ben'"),
        (("revoke-key", "none"), "", "no 'none'"),
    ):
        refused = run(*arguments, stdin=f"{stdin}\n")
        assert refused.exit_code == 1
        assert said in refused.output
    assert [user.name for user in store.list_users()] == ["anna"]


def test_a_role_that_is_none_is_refused(run):
    assert run("add-user", "ben", "--role", "king", stdin=PASSWORD).exit_code == 2


def test_a_key_is_shown_once_and_opens_what_its_role_may(app, run):
    key = run("add-key", "nightly", "--role", INVESTIGATOR).stdout.splitlines()[-1]
    assert re.fullmatch(r"fm_[\w-]{43}", key)
    assert key not in run("users").output
    assert "nightly, never used" in run("users").output
    client, headers = app.test_client(), {"Authorization": f"Bearer {key}"}
    assert client.get("/cases", headers=headers).status_code == 200
    assert "nightly, last used" in run("users").output
    assert run("revoke-key", "nightly").exit_code == 0
    assert client.get("/cases", headers=headers).status_code == 401


def test_a_user_gets_another_role_or_password_or_is_taken_out(app, run, store):
    add_user(store)
    assert run("change-user", "anna", "--role", "viewer").output == "anna is viewer.\n"
    assert run("change-user", "anna", "--password", stdin="another few words\n").exit_code == 0
    assert app.test_client().post("/session", json={"name": "anna", "password": PASSWORD}).status_code == 401
    assert run("change-user", "anna", "--out").output == "anna is viewer, and may not sign in.\n"


# --- the store --------------------------------------------------------------------------------------------------------


def test_tables_that_are_up_to_date_stay_so(run):
    assert run("migrate").output == "The tables are up to date.\n"


def test_the_audit_holds_until_a_move_is_changed(app, run, store, monkeypatch):
    client, headers = app.test_client(), with_key(store, INVESTIGATOR)
    recorded(client, ["c-1"], headers)
    opened(client, "c-1", headers)
    said = run("audit")
    assert said.output.startswith("Every move, inspection, photo, user and key is as it was written.\n")
    assert "AUDIT_KEY is not set. Whoever can write to the database could have rebuilt the whole chain" in said.output
    noted = re.search(r"the last one is (\d+:[0-9a-f]{64})", said.output)[1]
    assert run("audit", "--holds", noted).exit_code == 0
    assert "not the one that was noted" in run("audit", "--holds", f"1:{noted[2:]}").output
    assert run("audit", "--holds", "soon").exit_code == 2
    monkeypatch.setattr("fairmeter.casework.workflow.move_hash", lambda _move: "0" * 64)
    found = run("audit")
    assert (found.exit_code, "was changed after it was written" in found.output) == (1, True)


def test_a_chain_that_is_sealed_says_so_and_is_not_gone_on_with_without_its_key(database_url, store):
    with closing(Store(database_url, AUDIT_KEY)) as sealed:
        service = runs.DeskService(sealed, shipped_rules(), runs.Rescorer(ByConsumption()), runs.plan_visits)
        with shell(desk_app(sealed), service) as run:
            assert run("add-user", "anna", stdin=f"{PASSWORD}\n").exit_code == 0
            assert "sealed by AUDIT_KEY: nobody without this key rebuilt" in run("audit").output
    service = runs.DeskService(store, shipped_rules(), runs.Rescorer(ByConsumption()), runs.plan_visits)
    with shell(desk_app(store), service) as run:
        assert "AUDIT_KEY is not set here" in run("audit").output
        refused = run("add-user", "ben", stdin=f"{PASSWORD}\n")
        assert (refused.exit_code, "set it as the service has it" in refused.output) == (1, True)
        assert "AUDIT_KEY is not set" in run("seal", "--why", "so").output
    assert [user.name for user in store.list_users()] == ["anna"]


def test_a_key_that_is_set_later_seals_what_somebody_vouches_for(database_url, store):
    add_user(store)
    with closing(Store(database_url, AUDIT_KEY)) as sealed:
        service = runs.DeskService(sealed, shipped_rules(), runs.Rescorer(ByConsumption()), runs.plan_visits)
        with shell(desk_app(sealed), service) as run:
            assert "no valid seal of AUDIT_KEY" in run("audit").output
            assert run("seal", "--why", "The key is new.").exit_code == 0
            assert run("audit").exit_code == 0


def test_the_end_of_the_chain_and_the_whole_chain_go_elsewhere(run, app, store, tmp_path):
    client, headers = app.test_client(), with_key(store, INVESTIGATOR)
    recorded(client, ["c-1"], headers)
    opened(client, "c-1", headers)
    head = run("audit", "--head").output.strip()
    assert re.fullmatch(r"\d+:[0-9a-f]{64}", head)
    assert run("audit", "--holds", head).exit_code == 0
    assert run("audit", "--export", str(tmp_path / "chain.jsonl")).exit_code == 0
    lines = [json.loads(line) for line in (tmp_path / "chain.jsonl").read_text().splitlines()]
    assert f"{lines[-1]['seq']}:{lines[-1]['hash']}" == head
    assert [line["why"] for line in lines if line["chain"] == "move"]
    assert (tmp_path / "chain.jsonl").stat().st_mode & 0o777 == 0o600
    assert run("audit", "--export", str(tmp_path / "chain.jsonl")).exit_code == 1


def test_a_photo_that_was_changed_or_deleted_is_found(run, app, store, tmp_path):
    client, headers = app.test_client(), with_key(store, INVESTIGATOR)
    recorded(client, ["c-1"], headers)
    case = opened(client, "c-1", headers, assignee="anna")
    case = moved(client, case, "inspecting", headers).json
    body = {"outcome": "confirmed", "inspected_on": "2026-11-02", "photos": [WHITE_PNG]}
    names = client.post(f"/cases/{case['case_id']}/inspections", json=body, headers=headers).json["photos"]
    path = tmp_path / "photos" / names[0]
    service = runs.DeskService(store, shipped_rules(), runs.Rescorer(ByConsumption()), photos=Photos(path.parent))
    with shell(app, service) as run:
        assert run("audit").exit_code == 0
        path.write_bytes(path.read_bytes() + b"x")
        assert f"The photo {names[0]} is gone or was changed" in run("audit").output
        path.unlink()
        assert f"The photo {names[0]} is gone or was changed" in run("audit").output


def test_an_erased_client_takes_its_photos_along(app, store, tmp_path):
    client, headers = app.test_client(), with_key(store, INVESTIGATOR)
    recorded(client, ["c-1"], headers)
    case = opened(client, "c-1", headers, assignee="anna")
    case = moved(client, case, "inspecting", headers).json
    body = {"outcome": "cleared", "inspected_on": "2026-11-02", "photos": [WHITE_PNG]}
    client.post(f"/cases/{case['case_id']}/inspections", json=body, headers=headers)
    folder = tmp_path / "photos"
    service = runs.DeskService(store, shipped_rules(), runs.Rescorer(ByConsumption()), photos=Photos(folder))
    with shell(app, service) as run:
        assert run("forget", "c-1", "--why", "asked for").output.startswith("Erased; its cases")
        assert list(folder.iterdir()) == []
        assert "no client 'c-1'" in run("forget", "c-1", "--why", "asked for").output
        assert run("audit").exit_code == 0


# --- copies -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def visited(app, store, tmp_path):
    """A service with a client that was visited, with a photo."""
    client, headers = app.test_client(), with_key(store, INVESTIGATOR)
    recorded(client, ["c-1", "c-2"], headers)
    case = moved(client, opened(client, "c-1", headers, assignee="anna"), "inspecting", headers).json
    body = {"outcome": "confirmed", "inspected_on": "2026-11-02", "photos": [WHITE_PNG]}
    client.post(f"/cases/{case['case_id']}/inspections", json=body, headers=headers)
    return service_with(store, tmp_path / "photos")


def service_with(store, folder):
    return runs.DeskService(store, shipped_rules(), runs.Rescorer(ByConsumption()), photos=Photos(folder))


def test_a_backup_under_load_is_a_whole_desk_elsewhere(app, store, visited, templates, tmp_path):
    model, done = tmp_path / "model.bin", Event()
    model.write_bytes(b"a model")

    def write_on():
        while not done.is_set():
            store.add_readings([("c-2", datetime.now(), 1.0)], datetime.now(UTC))

    with shell(app, visited, model=model) as run, ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write_on)
        try:
            said = run("backup", str(tmp_path / "desk.zip"))
        finally:
            done.set()
        writing.result()
        assert re.search(r"desk.zip: \d+ rows, 1 photos, with the model", said.output)
        assert (tmp_path / "desk.zip").stat().st_mode & 0o777 == 0o600
        assert "nothing is overwritten" in run("backup", str(tmp_path / "desk.zip")).output
    (tmp_path / "other").mkdir()
    with templates.copied("sqlite", tmp_path / "other") as url, closing(Store(url)) as other:
        service = service_with(other, tmp_path / "other" / "photos")
        with shell(desk_app(other), service) as run:
            arguments = (
                "restore",
                str(tmp_path / "desk.zip"),
                "--model",
                str(tmp_path / "other.bin"),
                "--why",
                "moved",
            )
            assert run(*arguments).exit_code == 0
            assert (tmp_path / "other.bin").read_bytes() == b"a model"
            assert run("audit").exit_code == 0
            assert other.list_cases().rows == store.list_cases().rows
            assert "nothing is overwritten" in run(*arguments).output


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def changed(path):
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data.replace(b"confirmed", b"cleared") if name.startswith("tables/") else data)


def rewritten(path, change):
    """The zip with another manifest."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(content["backup.json"])
    change(manifest)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (content | {"backup.json": json.dumps(manifest)}).items():
            archive.writestr(name, data)


def with_a_photo_elsewhere(path):
    rewritten(path, lambda manifest: manifest["members"].update({"photos/../../x.jpg": "0"}))


def with_a_member_that_is_gone(path):
    rewritten(path, lambda manifest: manifest["members"].update({"photos/" + "0" * 32 + "-00000000.jpg": "0"}))


@pytest.mark.parametrize("spoil", [cut, changed, with_a_photo_elsewhere, with_a_member_that_is_gone])
def test_a_damaged_backup_restores_nothing(app, visited, templates, tmp_path, spoil):
    path = tmp_path / "desk.zip"
    with shell(app, visited) as run:
        assert run("backup", str(path)).exit_code == 0
    spoil(path)
    (tmp_path / "other").mkdir()
    with templates.copied("sqlite", tmp_path / "other") as url, closing(Store(url)) as other:
        with shell(desk_app(other), service_with(other, tmp_path / "other")) as run:
            found = run("restore", str(path), "--why", "moved")
            assert (found.exit_code, "damaged" in found.output) == (1, True)
        assert other.list_cases().rows == []


def test_an_export_and_a_purge_are_commands(app, visited, tmp_path):
    with shell(app, visited) as run:
        assert run("export", "c-1", str(tmp_path / "c-1.zip"), "--why", "asked for").exit_code == 0
        with zipfile.ZipFile(tmp_path / "c-1.zip") as archive:
            assert json.loads(archive.read("client.json"))["clients"][0]["client_id"] == "c-1"
            assert sum(name.startswith("photos/") for name in archive.namelist()) == 1
        assert "Name what is purged" in run("purge", "--why", "old").output
        assert run("purge", "--photos", "1", "--sign-ins", "400", "--why", "old").output.startswith("Deleted: 1 photos")
        assert list((tmp_path / "photos").iterdir()) == []
        assert run("audit").exit_code == 0


def test_clients_that_wait_to_be_judged_are_judged_with_the_notices(run, store):
    store.add_readings([("c-1", datetime(2026, 11, 1), 5.0)], datetime.now(UTC) - timedelta(hours=1))
    assert run("notify").exit_code == 0
    assert store.find_profile("c-1") is not None


def test_notices_that_are_due_are_sent_and_what_fails_ends_with_a_1(run, store, monkeypatch):
    store.write_run([score_of("c-1", severity="critical")], "1", shipped_rules())
    sent = []
    monkeypatch.setattr(
        "fairmeter.desk.notify.by_apprise", lambda _to, title, _body: sent.append(title) or Delivery(1, None)
    )
    assert run("notify").output == "1 notices sent, 0 to be tried again.\n"
    assert len(sent) == 1
    store.write_run([score_of("c-2", severity="critical")], "1", shipped_rules())
    monkeypatch.setattr("fairmeter.desk.notify.by_apprise", lambda *_: Delivery(0, "no route"))
    assert run("notify").exit_code == 1


def test_a_database_that_does_not_answer_is_a_sentence(run, store, monkeypatch):
    def gone():
        raise StoreUnavailable("The database does not answer; nothing was written, try again.")

    monkeypatch.setattr(store, "list_users", gone)
    said = run("users")
    assert (said.exit_code, said.output) == (
        1,
        "Error: The database does not answer; nothing was written, try again.\n",
    )


def test_the_demo_says_what_it_did(app, store):
    service = runs.DeskService(store, shipped_rules(), runs.Rescorer(ByConsumption()), runs.plan_visits)
    for n, said in ((2000, "2,000 clients"), (0, "nothing was changed")):
        with shell(app, service, load_demo=lambda n=n: n) as run:
            assert said in run("demo").output


def test_without_a_desk_or_a_broker_a_command_says_what_to_set(run):
    assert "MQTT_URL is not set" in run("listen").output
    with shell(create_app(ByConsumption(), LIMITS), None) as alone:
        for command in ("users", "migrate", "audit", "notify", "listen", "demo"):
            ended = alone(command)
            assert ended.exit_code == 1
            assert "set DATABASE_URL" in ended.output


# --- settings ---------------------------------------------------------------------------------------------------------

WRONG = {
    "OPEN": "yes",
    "SECRET_KEY": "short",
    "PROXIES": "-1",
    "LOG_LEVEL": "loud",
    "NOTIFY_URLS": "mailto://host",
}


@pytest.mark.parametrize(("name", "value"), WRONG.items(), ids=WRONG.keys())
def test_a_setting_that_means_nothing_is_refused_by_its_name(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as refused:
        Settings.from_environment()
    assert refused.value.errors()[0]["loc"][0] == name.lower()


def test_an_empty_setting_counts_as_unset_and_channels_have_addresses(monkeypatch):
    for name in WRONG:
        monkeypatch.setenv(name, "")
    assert Settings.from_environment().open == "0"
    monkeypatch.setenv("NOTIFY_URLS", "desk=mailto://a desk=mailto://b?x=1 crews=json://host/p")
    channels = Settings.from_environment().channels
    assert channels == {"desk": ["mailto://a", "mailto://b?x=1"], "crews": ["json://host/p"]}
