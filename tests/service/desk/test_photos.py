"""Photos with a visit, by the API and by the pages: all of it is on record, or nothing is."""

import base64
import errno
import io

import pytest

from fairmeter.desk import photos
from fairmeter.desk.runs import photo_folder
from fairmeter.web.http.auth import INVESTIGATOR, THIS_MACHINE, VIEWER
from tests.builders.desk import WHY, add_user, desk_app, signed_in, with_key
from tests.builders.pages import seen
from tests.builders.photos import a_photo, seen_picture
from tests.builders.service import LIMITS, error_in
from tests.builders.store import score_of, write

FOUND = {"outcome": "confirmed", "inspected_on": "2026-03-02"}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "photos"


@pytest.fixture
def desk(store, folder):
    """A desk that is open to this machine, with a case of its user under inspection and one only assigned."""
    write(store, score_of("c-1"), score_of("c-2"))
    case = store.open_case("c-1", "anna", WHY, assignee="open")
    store.move_case(case.case_id, "inspecting", "open", WHY)
    store.open_case("c-2", "anna", WHY, assignee="open")
    return desk_app(store, THIS_MACHINE, photos=folder).test_client()


def as_text(photo=None):
    return base64.b64encode(photo or a_photo()).decode()


def files(folder):
    return sorted(path.name for path in folder.glob("*"))


def form(*sent, **more):
    return FOUND | {"photos": [(io.BytesIO(photo), "../../no name of ours.jpg") for photo in sent]} | more


@pytest.fixture
def full_disk(monkeypatch):
    def fails(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(photos.os, "fsync", fails)


# --- by the API -------------------------------------------------------------------------------------------------------


def test_photos_of_an_inspection_are_kept_named_and_given_back(store, desk, folder):
    answer = desk.post("/cases/1/inspections", json=FOUND | {"photos": [as_text(), as_text(a_photo((3000, 20)))]})
    assert answer.status_code == 201, answer.text
    names = answer.json["photos"]
    assert sorted(names) == files(folder)
    assert store.inspections()[0].photos == tuple(names)
    given = desk.get(f"/photos/{names[1]}")
    assert (given.status_code, given.mimetype) == (200, "image/jpeg")
    assert seen_picture(given.data).size == (1600, 11)
    assert names[0] in desk.get("/inspections.csv").text


def test_a_photo_is_given_to_who_may_look_alone_and_tells_the_browser_what_it_is(store, folder):
    app = desk_app(store, photos=folder)
    write(store)
    case = store.open_case("c-1", "anna", WHY, assignee="anna")
    store.move_case(case.case_id, "inspecting", "anna", WHY)
    body = FOUND | {"photos": [as_text()]}
    script = app.test_client()
    [name] = script.post("/cases/1/inspections", json=body, headers=with_key(store, INVESTIGATOR)).json["photos"]
    assert script.get(f"/photos/{name}").status_code == 401
    add_user(store, "vera", VIEWER)
    vera, _ = signed_in(app, "vera")
    given = vera.get(f"/photos/{name}")
    assert given.status_code == 200
    assert given.headers["X-Content-Type-Options"] == "nosniff"
    assert given.headers["Content-Disposition"] == f'inline; filename="{name}"'
    assert given.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert given.headers["Cache-Control"] == "private, no-cache"
    assert vera.get(f"/photos/{name}", headers={"If-None-Match": given.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize("name", ["x.jpg", "..%2fstore.db", "../store.db", "%2e%2e/store.db", "a" * 300, "%00"])
def test_no_other_name_opens_a_file(desk, folder, name):
    folder.mkdir()
    (folder / "x.jpg").write_text("not ours")
    assert desk.get(f"/photos/{name}").status_code in (404, 422)


@pytest.mark.parametrize(
    "sent",
    [["x"], "x", [None], [as_text(b"no picture")], [as_text()] * 7, None, [{}], {"0": as_text()}, [as_text(), ""]],
)
def test_what_is_no_photo_is_refused_and_leaves_the_case_as_it_was(store, desk, folder, sent):
    error = error_in(desk.post("/cases/1/inspections", json=FOUND | {"photos": sent}), 422)
    assert error["fields"][0]["path"].startswith("photos")
    assert (store.find_case(1).state, files(folder)) == ("inspecting", [])


def test_where_somebody_was_first_no_photo_stays(desk, folder):
    answer = desk.post("/cases/1/inspections", json=FOUND | {"photos": [as_text()], "version": 1})
    assert error_in(answer, 409)["code"] == "case_taken"
    assert files(folder) == []


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_said_and_nothing_is_recorded(store, desk, folder):
    error = error_in(desk.post("/cases/1/inspections", json=FOUND | {"photos": [as_text()]}), 507)
    assert "nothing was recorded" in error["message"].lower()
    assert (store.find_case(1).state, store.inspections(), files(folder)) == ("inspecting", [], [])


def test_a_visit_without_photos_needs_no_folder(store):
    write(store)
    case = store.open_case("c-1", "anna", WHY, assignee="open")
    store.move_case(case.case_id, "inspecting", "open", WHY)
    desk = desk_app(store, THIS_MACHINE, photos=None).test_client()
    assert desk.post("/cases/1/inspections", json=FOUND).json["photos"] == []


def test_photos_lie_beside_a_database_that_is_a_file_and_a_server_needs_a_folder_named(store, tmp_path):
    assert photo_folder(store) == (tmp_path / "photos" if store.is_sqlite else None)


# --- by the pages -----------------------------------------------------------------------------------------------------


def test_a_form_brings_photos_which_the_case_then_shows(store, desk, folder):
    answer = desk.post("/desk/cases/1/inspections", data=form(a_photo(), a_photo()))
    assert answer.status_code == 302, answer.text
    page = seen(desk.get("/desk/cases/1"))
    assert all(f'src="/photos/{name}"' in page.whole for name in files(folder))
    assert len(store.inspections()[0].photos) == len(files(folder)) == 2


def test_a_form_in_which_no_photo_was_chosen_brings_none(store, desk):
    empty = FOUND | {"photos": (io.BytesIO(b""), "")}
    assert desk.post("/desk/cases/1/inspections", data=empty).status_code == 302
    assert store.inspections()[0].photos == ()


@pytest.mark.parametrize(
    ("sent", "more", "told"),
    [
        ([a_photo(), b"<svg/>"], {}, "Photo 2 cannot be read as a picture"),
        ([a_photo()] * 7, {}, "7 photos; the limit is 6 a visit"),
        ([a_photo()], {"inspected_on": "2999-01-01"}, "lies in the future"),
        ([a_photo()], {"version": "1"}, "has changed since you loaded it"),
    ],
)
def test_what_a_form_brings_wrong_is_said_with_what_was_typed_and_no_photo_stays(store, desk, folder, sent, more, told):
    page = seen(desk.post("/desk/cases/1/inspections", data=form(*sent, **more, note="Seal <whole>.")))
    assert page.status in (409, 422)
    assert told in page.text
    assert "Seal &lt;whole&gt;." in page.whole
    assert "Choose the photos again" in page.text
    assert (store.find_case(1).state, files(folder)) == ("inspecting", [])


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_a_sentence_on_the_page(store, desk, folder):
    page = seen(desk.post("/desk/cases/1/inspections", data=form(a_photo())))
    assert (page.status, "The disk is full" in page.text) == (507, True)
    assert (store.find_case(1).state, files(folder)) == ("inspecting", [])


def test_a_desk_without_a_folder_asks_for_no_photos(store):
    write(store)
    case = store.open_case("c-1", "anna", WHY, assignee="open")
    desk = desk_app(store, THIS_MACHINE).test_client()
    desk.application.extensions["site"].desk.photos.folder = None
    assert 'type="file"' not in seen(desk.get("/desk/field")).whole
    store.move_case(case.case_id, "inspecting", "open", WHY)
    assert 'type="file"' not in seen(desk.get("/desk/cases/1")).whole
    page = seen(desk.post("/desk/cases/1/inspections", data=form(a_photo())))
    assert (page.status, "PHOTOS names no folder" in page.text) == (422, True)


def test_the_page_of_a_client_takes_photos_too(store, desk, folder):
    answer = desk.post("/desk/record-inspection", data=form(a_photo(), client_id="c-2"))
    assert answer.status_code == 302, answer.text
    assert list(store.inspections()[0].photos) == files(folder) != []
    assert 'type="file"' in seen(desk.get("/desk/client/c-2")).whole


def test_a_bad_photo_on_the_page_of_a_client_leaves_its_case_where_it_was(store, desk, folder):
    page = seen(desk.post("/desk/record-inspection", data=form(b"<svg/>", client_id="c-2")))
    assert (page.status, "Photo 1 cannot be read as a picture" in page.text) == (422, True)
    assert (store.find_case(2).state, files(folder)) == ("assigned", [])


# --- from the field ---------------------------------------------------------------------------------------------------

TOLD = FOUND | {"assignee": "open"}


def test_photos_from_the_field_are_recorded_once_however_often_they_come(store, desk, folder):
    states = [desk.post("/desk/field/2", json=TOLD | {"photos": [as_text()]}).json["state"] for _ in range(2)]
    assert states == ["saved", "already"]
    assert list(store.inspections()[0].photos) == files(folder)


@pytest.mark.parametrize("sent", ["x", [1], [as_text(b"no picture")]])
def test_a_bad_photo_from_the_field_leaves_the_case_where_it_was(store, desk, folder, sent):
    answer = desk.post("/desk/field/2", json=TOLD | {"photos": sent})
    assert (answer.status_code, bool(answer.json["message"])) == (422, True)
    assert (store.find_case(2).state, files(folder)) == ("assigned", [])


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_the_visit_on_the_phone(store, desk):
    answer = desk.post("/desk/field/2", json=TOLD | {"photos": [as_text()]})
    assert (answer.status_code, "disk is full" in answer.json["message"]) == (507, True)
    assert store.find_case(2).state == "assigned"


def test_more_than_the_service_takes_at_once_is_told_to_the_phone(desk):
    answer = desk.post("/desk/field/2", json=TOLD | {"note": "x" * (LIMITS.body_bytes + 1)})
    assert (answer.status_code, bool(answer.json["message"])) == (413, True)


def test_the_worker_of_the_field_page_is_asked_for_anew_and_may_see_to_the_desk(desk):
    worker = desk.get("/desk/worker.js")
    assert (worker.status_code, worker.mimetype) == (200, "text/javascript")
    assert worker.headers["Cache-Control"] == "no-cache"
    assert "connect-src 'self'" in worker.headers["Content-Security-Policy"]
