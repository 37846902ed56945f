"""The pages of imports: each step on one page, texts of files shown as texts, maps in a form."""

import pytest

from fairmeter.web.http.auth import THIS_MACHINE
from tests.builders.desk import add_user, desk_app, signed_in, with_key
from tests.builders.imports import MAP, upload, with_imports
from tests.builders.pages import seen

BILLS = ("bills.csv", b"Nr,Data,kWh\n7,2026-01-31,120\n")


class Desk:
    """A browser at a desk that takes files."""

    def __init__(self, store, folder, **options) -> None:
        self.store = store
        self.app = desk_app(store, THIS_MACHINE, imports=lambda service: self._take(service, folder, options))
        self.client = self.app.test_client()

    def _take(self, service, folder, options) -> None:
        self.steps = with_imports(service, folder, **options)

    def page(self, address: str = "/desk/import/1"):
        return seen(self.client.get(address))

    def post(self, rest: str, **form):
        return self.client.post(f"/desk/import/1{rest}", data=form)

    def at(self, state: str) -> "Desk":
        """The first import, in this state."""
        upload(self.client, BILLS, address="/desk/import")
        self.steps.do()
        for step in {"mapped": (), "checked": ("check",), "scored": ("check", "score")}[state]:
            self.post(f"/{step}")
            self.steps.do()
        return self


@pytest.fixture
def desk(store, tmp_path):
    return Desk(store, tmp_path / "imports")


def rows_of_form(text: str, **changed: str) -> dict:
    """The fields that the page's form sends, with other columns for some fields of the clients."""
    from fairmeter.data.maps.map_form import form_rows

    form: dict[str, list[str]] = {f"row_{name}": [] for name in ("table", "field", "column", "unit", "format")}
    for row in form_rows(text):
        is_changed = row.table == "clients" and row.field in changed
        values = (row.table, row.field, changed[row.field] if is_changed else row.column, row.unit, row.format)
        for name, value in zip(form, values, strict=True):
            form[name].append(value or "")
    return form | {"map": text}


def test_an_upload_leads_to_its_page_which_says_what_is_being_done(desk):
    answer = upload(desk.client, BILLS, address="/desk/import")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/desk/import/1")
    page = desk.page()
    assert "Waits: another import is being worked on." in page.text
    assert 'data-import="/import/1"' in page.whole


def test_the_list_names_the_files_and_the_state_of_each_import(desk):
    desk.at("mapped")
    page = desk.page("/desk/import")
    assert "Import 1 bills.csv Has a map" in page.text
    assert "1.0 MiB at most" in page.text


def test_the_map_is_shown_in_rows_and_as_text(desk):
    page = desk.at("mapped").page()
    assert MAP.replace('"', "&#34;") in page.whole
    assert '<option value="Data" selected>' in page.whole
    assert "Save and check" in page.text


def test_texts_of_files_are_never_markup(desk):
    whole = desk.at("scored").page().whole
    assert "<img src=x" not in whole
    assert "&lt;img src=x onerror=alert(1)&gt;" in whole
    assert "<b>7</b>" not in whole


def test_a_column_that_is_chosen_in_a_row_comes_into_the_text(desk):
    desk.at("mapped").post("/map", **rows_of_form(MAP, region="Data"))
    assert 'region = "Data"' in desk.store.find_import(1, "open").map_text


def test_text_and_rows_can_be_changed_together(desk):
    form = rows_of_form(MAP, region="Data") | {"map": MAP + "# mine\n"}
    desk.at("mapped").post("/map", **form)
    text = desk.store.find_import(1, "open").map_text
    assert 'region = "Data"' in text
    assert text.endswith("# mine\n")


def test_saving_and_checking_asks_for_the_check(desk):
    desk.at("mapped").post("/map", **rows_of_form(MAP), then="check")
    assert desk.store.find_import(1, "open").step == "check"


def test_a_map_with_errors_is_shown_as_typed_with_each_error_beside_it(desk):
    wrong = MAP + "[redings]\n\n[invoice]\n"
    page = seen(desk.at("mapped").post("/map", map=wrong))
    assert page.status == 422
    assert "The map cannot be used yet" in page.text
    assert "[readings]" in page.text
    assert "[redings]" in page.whole
    assert desk.store.find_import(1, "open").map_text == MAP


def test_a_syntax_error_is_a_sentence_too(desk):
    page = seen(desk.at("mapped").post("/map", map='[clients]\nclient_id = "A\\d"\n'))
    assert page.status == 422
    assert "single quotes" in page.text


def test_a_huge_map_is_refused(desk):
    assert desk.at("mapped").post("/map", map="#" * 100_001).status_code == 422
    assert desk.post("/map", map="#" * 600_000).status_code == 413


def test_the_check_shows_rows_as_found_and_as_understood_and_the_line_to_write(desk):
    text = desk.at("checked").page().text
    assert 'this looks like Wh In the map, write: unit = "Wh"' in text
    assert "Row: bills.csv, line 2 As it stands Nr <b>7</b> As understood client_id 7" in text
    assert "1 clients, 11 invoices, 0 readings. Left out Twice: 1. Invoices: bills.csv" in text
    assert "region: comparison with its region" in text


@pytest.mark.parametrize("language", ["fr", "ar"])
def test_what_check_and_trial_found_is_in_the_readers_language(desk, language):
    desk.at("scored").client.set_cookie("language", language)
    page = desk.page()
    for english in ("Half fell at once", "looks like", "comparison with", "Days without readings", "Unusable"):
        assert english not in page.text, english
    assert 'bdi lang="en">bills.csv holds &lt;b&gt;nothing' in page.whole


def test_the_trial_shows_clients_and_drift_and_asks_for_a_confirmation(desk):
    text = desk.at("scored").page().text
    assert "The first ten" in text
    assert "=cmd|7" in text
    assert "These are unlike. Against the training data Nothing has drifted." in text
    assert "Store at the desk" in text
    assert desk.store.count_profiles() == 0


def test_a_stored_import_says_what_came_to_the_desk(desk):
    desk.at("scored").post("/confirm")
    desk.steps.do()
    assert "Stored: 1 clients at the desk; alerts: 1 raised, 0 updated, 0 lapsed." in desk.page().text


def test_a_failed_step_is_shown_with_its_sentence(desk):
    upload(desk.client, BILLS, address="/desk/import")

    def fails(_claim, _tell):
        raise MemoryError

    desk.steps.run = fails
    desk.steps.do()
    page = desk.page()
    assert "The last step failed" in page.text
    assert "more memory" in page.text
    assert "Guess the map" in page.text


def test_a_button_pressed_twice_says_that_the_step_waits_already(desk):
    desk.at("mapped").post("/check")
    assert desk.post("/check").status_code == 303
    assert "its step check is waiting" in desk.page().text


def test_throwing_away_leads_back_to_the_list(desk):
    answer = desk.at("scored").post("/cancel")
    assert answer.headers["Location"] == "/desk/import"
    assert "Import 1 and its files are thrown away." in desk.page("/desk/import").text


def test_only_admins_see_the_link_and_the_pages(desk):
    add_user(desk.store)
    client, _ = signed_in(desk.app)
    assert "/desk/import" not in seen(client.get("/desk/today")).links
    assert client.get("/desk/import").status_code == 403
    assert "/desk/import" in desk.page("/desk/today").links


def test_the_import_of_another_is_not_there(desk):
    desk.at("scored")
    other = with_key(desk.store, "admin", "other")
    for address in ("/desk/import/1", "/desk/import/99"):
        assert desk.client.get(address, headers=other).status_code == 404
    assert desk.client.post("/desk/import/1/cancel", headers=other).status_code == 404


def test_a_form_without_its_token_is_refused(desk):
    desk.at("scored")
    add_user(desk.store, role="admin")
    client, _ = signed_in(desk.app)
    assert client.post("/desk/import/1/cancel").status_code == 403
    assert upload(client, BILLS, address="/desk/import").status_code == 403


def test_a_service_without_a_folder_says_what_to_set(store):
    page = seen(desk_app(store, THIS_MACHINE).test_client().get("/desk/import"))
    assert "IMPORTS" in page.text


def test_files_on_the_server_are_offered(store, tmp_path):
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "march <b>.csv").write_text("a")
    desk = Desk(store, tmp_path / "imports", offered=tmp_path / "exports")
    assert "march &lt;b&gt;.csv" in desk.page("/desk/import").whole
