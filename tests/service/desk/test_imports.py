"""Imports by the API: files in private folders, steps in their order, and callers who may not."""

import gzip
import stat
import zipfile
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest

from fairmeter.desk.import_files import MAX_FILES, safe_name
from fairmeter.store.imports import KEPT, STOPPED
from fairmeter.web.http.auth import THIS_MACHINE
from tests.builders.desk import add_user, desk_app, signed_in, with_key
from tests.builders.imports import MAP, upload, with_imports

BILLS = ("bills.csv", b"Nr,Data,kWh\n7,2026-01-31,120\n")


class Desk:
    """A desk that takes files; its steps are done when the test says so."""

    def __init__(self, store, folder, **options) -> None:
        self.store, self.folder = store, folder
        self.app = desk_app(store, THIS_MACHINE, imports=lambda service: self._take(service, **options))
        self.client = self.app.test_client()

    def _take(self, service, **options) -> None:
        self.imports_of = service
        self.steps = with_imports(service, self.folder, **options)

    def begin(self) -> int:
        answer = upload(self.client, BILLS)
        assert answer.status_code == 201, answer.text
        return answer.json["import_id"]

    def step(self, import_id: int, name: str):
        answer = self.client.post(f"/import/{import_id}/{name}")
        assert answer.status_code == 202, answer.text
        self.steps.do()
        return self.client.get(f"/import/{import_id}").json

    def scored(self) -> int:
        import_id = self.begin()
        self.steps.do()
        self.step(import_id, "check")
        self.step(import_id, "score")
        return import_id

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def desk(store, tmp_path):
    return Desk(store, tmp_path / "imports")


def test_an_upload_goes_by_map_check_and_trial_to_the_desk(desk):
    import_id = desk.begin()
    assert desk.client.get(f"/import/{import_id}").json["step"] == "guess"
    desk.steps.do()
    mapped = desk.client.get(f"/import/{import_id}").json
    assert (mapped["state"], mapped["map"], mapped["step"]) == ("mapped", MAP, None)
    assert desk.step(import_id, "check")["checked"]["exit_code"] == 1
    assert desk.step(import_id, "score")["trial"]["n_clients"] == 1
    assert desk.store.count_profiles() == 0
    stored = desk.step(import_id, "confirm")
    assert (stored["state"], stored["outcome"]["n_profiles"], stored["trial"]) == ("stored", 1, None)


def test_files_lie_where_nobody_else_reads_them(desk):
    desk.begin()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in desk.folder.rglob("*") if path.is_dir()}
    assert modes | {stat.S_IMODE(desk.folder.stat().st_mode)} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in desk.folder.rglob("*") if path.is_file()} == {0o600}
    assert desk.files() == ["bills.csv"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd.csv", "passwd.csv"),
        ("C:\\Users\\me\\bills.csv", "bills.csv"),
        (".hidden.csv", "hidden.csv"),
        ("a\tb\r\n.csv", "ab.csv"),
        ("عدادات 2026.csv", "عدادات 2026.csv"),
        ("=cmd|' /C calc'!A0.csv", "C calc'!A0.csv"),
    ],
)
def test_names_lose_what_leads_out_of_the_folder(desk, given, kept):
    assert safe_name(given) == kept
    desk.imports_of.imports.begin("anna", [(given, BytesIO(b"a,b\n1,2\n"))])
    assert desk.files() == [kept]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([], "none came"),
        ([("...", b"a")], "no usable name"),
        ([("x" * 200 + ".csv", b"a")], "no usable name"),
        ([("a/bills.csv", b"1"), ("b/Bills.csv", b"2")], "two files are named Bills.csv"),
        ([(f"{n}.csv", b"1") for n in range(MAX_FILES + 1)], f"more than {MAX_FILES} files"),
    ],
)
def test_uploads_that_cannot_be_used_are_refused_and_leave_nothing(desk, files, sentence):
    answer = upload(desk.client, *files)
    assert (answer.status_code, sentence in answer.json["error"]["message"]) == (422, True), answer.text
    assert desk.files() == []
    assert desk.store.list_imports("open") == []


def test_an_upload_past_the_limit_is_a_413_and_leaves_nothing(desk):
    answer = upload(desk.client, ("big.csv", b"x" * 2**20))
    assert (answer.status_code, answer.json["error"]["code"]) == (413, "too_large")
    assert not list(desk.folder.rglob("*.csv"))


def test_an_import_may_be_larger_than_other_bodies(store, tmp_path):
    desk = Desk(store, tmp_path / "imports", max_bytes=2**26)
    most = desk.app.config["MAX_CONTENT_LENGTH"]
    assert upload(desk.client, ("big.csv", b"x" * (most + 1))).status_code == 201
    assert desk.client.post("/predict", data=b"x" * (most + 1), content_type="application/json").status_code == 413


def zipped(n_bytes: int) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bills.csv", bytes(n_bytes))
    return packed.getvalue()


@pytest.mark.parametrize("name", ["bomb.zip", "bomb.xlsx"])
def test_a_zip_that_unpacks_to_far_more_than_the_limit_is_refused(desk, name):
    answer = upload(desk.client, (name, zipped(40 * 2**20)))
    assert (answer.status_code, "unpacks to" in answer.json["error"]["message"]) == (422, True)
    assert desk.files() == []


def test_a_zip_and_a_gz_of_usual_size_are_taken(desk):
    assert upload(desk.client, ("a.zip", zipped(1000)), ("b.csv.gz", gzip.compress(b"a,b\n"))).status_code == 201


def test_another_user_finds_no_import_and_changes_none(desk):
    import_id = desk.scored()
    other = with_key(desk.store, "admin", "other")
    calls = [("get", ""), ("get", "/map"), ("get", "/report"), ("post", "/check"), ("post", "/confirm"), ("delete", "")]
    for method, rest in calls:
        answer = getattr(desk.client, method)(f"/import/{import_id}{rest}", headers=other)
        assert (answer.status_code, answer.json["error"]["code"]) == (404, "not_found"), rest
    answer = desk.client.put(f"/import/{import_id}/map", json={"map": MAP}, headers=other)
    assert answer.status_code == 404
    assert desk.client.get("/import", headers=other).json["rows"] == []
    assert desk.client.get(f"/import/{import_id}").json["state"] == "scored"


@pytest.mark.parametrize("role", ["viewer", "investigator"])
def test_only_an_admin_imports(desk, role):
    assert upload(desk.client, BILLS, headers=with_key(desk.store, role)).status_code == 403


def test_a_form_without_the_sessions_token_or_from_another_site_is_refused(desk):
    add_user(desk.store, role="admin")
    client, token = signed_in(desk.app)
    assert upload(client, BILLS).json["error"]["code"] == "bad_token"
    elsewhere = token | {"Origin": "https://example.org"}
    assert upload(client, BILLS, headers=elsewhere).json["error"]["code"] == "other_origin"
    assert upload(client, BILLS, csrf_token=token["X-CSRF-Token"]).status_code == 201


def test_steps_before_their_turn_and_twice_at_once_are_conflicts(desk):
    import_id = desk.begin()
    early = desk.client.post(f"/import/{import_id}/score")
    assert (early.status_code, early.json["error"]["code"]) == (409, "import_conflict")
    desk.steps.do()
    answers = [desk.client.post(f"/import/{import_id}/check").status_code for _ in range(2)]
    assert answers == [202, 409]
    assert desk.client.put(f"/import/{import_id}/map", json={"map": MAP}).status_code == 409


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[redings]\n", "readings"),
        ('[clients]\nclient_id = "a\\d"\n', "backslash"),
        ("[clients]\nclient_id = 'A\n", "not closed"),
        ("[clients]\nclient_id = " + "[" * 30_000, "map"),
        ("[clients]\0", "U+0000"),
    ],
)
def test_a_map_with_errors_is_refused_with_a_sentence_for_each(desk, text, sentence):
    import_id = desk.begin()
    desk.steps.do()
    answer = desk.client.put(f"/import/{import_id}/map", json={"map": text})
    assert (answer.status_code, answer.json["error"]["code"]) == (422, "bad_map"), answer.text
    assert any(sentence in problem["message"] for problem in answer.json["error"]["fields"])
    assert desk.client.get(f"/import/{import_id}/map").text == MAP


def test_a_saved_map_is_what_is_downloaded_and_drops_the_trial(desk):
    import_id = desk.scored()
    changed = MAP.replace("kWh", "Wh")
    assert desk.client.put(f"/import/{import_id}/map", json={"map": changed}).json["trial"] is None
    answer = desk.client.get(f"/import/{import_id}/map")
    assert answer.text == changed
    assert "attachment" in answer.headers["Content-Disposition"]


def test_the_report_has_no_origin_of_ours(desk):
    import_id = desk.begin()
    desk.steps.do()
    assert desk.client.get(f"/import/{import_id}/report").status_code == 404
    desk.step(import_id, "check")
    found = desk.store.find_import(import_id, "open")
    desk.imports_of.imports.files.report(found.folder).write_text("<script>1</script>")
    answer = desk.client.get(f"/import/{import_id}/report")
    policy = answer.headers["Content-Security-Policy"]
    assert answer.text == "<script>1</script>"
    assert "sandbox allow-scripts;" in policy
    assert "default-src 'none'" in policy
    assert "allow-same-origin" not in policy


def test_what_is_thrown_away_is_gone_from_the_disk(desk):
    import_id = desk.scored()
    assert desk.client.delete(f"/import/{import_id}").json["state"] == "cancelled"
    assert list(desk.folder.iterdir()) == []
    assert desk.client.post(f"/import/{import_id}/confirm").status_code == 409


def test_files_that_nobody_confirms_within_a_day_are_removed(desk, monkeypatch):
    desk.begin()
    desk.steps.do()
    later = datetime.now(UTC) + KEPT + timedelta(hours=1)
    expire = desk.store.expire_imports
    monkeypatch.setattr(desk.store, "expire_imports", lambda: expire(later))
    restarted = Desk(desk.store, desk.folder)
    assert restarted.client.get("/ready").status_code == 200
    assert list(desk.folder.iterdir()) == []


def test_a_folder_that_is_no_import_is_left_alone(desk):
    (desk.folder / "mine").mkdir(parents=True)
    desk.begin()
    assert (desk.folder / "mine").is_dir()


def test_a_step_that_fails_says_why_and_can_be_asked_for_again(desk):
    import_id = desk.begin()
    run = desk.steps.run

    def fails(_claim, _tell):
        raise RecursionError

    desk.steps.run = fails
    desk.steps.do()
    failed = desk.client.get(f"/import/{import_id}").json
    assert (failed["state"], failed["step"]) == ("uploaded", None)
    assert "RecursionError" in failed["error"]
    desk.steps.run = run
    desk.store.queue_step(import_id, "guess")
    desk.steps.do()
    assert desk.client.get(f"/import/{import_id}").json["state"] == "mapped"


def test_a_process_that_is_asked_to_end_says_so(desk):
    import_id = desk.begin()

    def ends(_claim, _tell):
        raise SystemExit

    desk.steps.run = ends
    with pytest.raises(SystemExit):
        desk.steps.do()
    assert desk.client.get(f"/import/{import_id}").json["error"] == STOPPED


def test_a_step_whose_process_never_came_is_started_again_when_somebody_looks(desk):
    import_id = desk.begin()
    assert desk.steps.n_launched == 1
    desk.client.get(f"/import/{import_id}")
    assert desk.steps.n_launched == 2


def test_files_on_the_server_are_taken_by_name_and_stay(store, tmp_path):
    offered = tmp_path / "exports"
    offered.mkdir()
    (offered / "bills.csv").write_bytes(BILLS[1])
    (tmp_path / "secret.csv").write_text("x")
    (offered / "link.csv").symlink_to(tmp_path / "secret.csv")
    desk = Desk(store, tmp_path / "imports", offered=offered)
    for name in ("../secret.csv", "link.csv", "none.csv", str(tmp_path / "secret.csv")):
        assert desk.client.post("/import", data={"names": [name]}).status_code == 422, name
    found = desk.client.post("/import", data={"names": ["bills.csv"]}).json
    assert found["files"] == [{"name": "bills.csv", "n_bytes": len(BILLS[1])}]
    desk.client.delete(f"/import/{found['import_id']}")
    assert (offered / "bills.csv").exists()


def test_a_service_without_a_folder_refuses_and_says_what_to_set(store):
    answer = upload(desk_app(store, THIS_MACHINE).test_client(), BILLS)
    assert (answer.status_code, "IMPORTS" in answer.json["error"]["message"]) == (422, True)
