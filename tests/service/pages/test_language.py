"""The language of the pages: who chooses it, and what a page then says of itself."""

import re
from contextlib import closing

import pytest

from fairmeter.store import Store
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import EVERYBODY
from fairmeter.web.pages.site import PageSettings
from fairmeter.wording.locales import LANGUAGES, UnknownLanguage, locale_of, preferred, visible
from tests.builders.desk import PASSWORD, add_user, desk_app
from tests.builders.pages import filled


@pytest.fixture
def store(templates, tmp_path):
    with templates.copied("sqlite", tmp_path) as url, closing(Store(url)) as store:
        yield store


def language_of(browser, **headers):
    page = browser.get("/desk/today", headers=headers)
    assert page.status_code == 200
    return re.search(r'<html lang="([^"]+)" dir="([^"]+)"', page.text).groups()


def open_browser(store, **settings):
    return desk_app(store, EVERYBODY, None, None, PageSettings(**settings)).test_client()


def test_the_setting_chooses_where_nobody_else_does(store):
    assert language_of(open_browser(store, language="fr")) == ("fr", "ltr")
    assert language_of(open_browser(store, language="ar-EG")) == ("ar-EG", "rtl")


def test_the_browser_chooses_before_the_setting(store):
    browser = open_browser(store, language="fr")
    assert language_of(browser, Accept_Language="de, ar;q=0.8, en;q=0.5") == ("ar-TN", "rtl")
    assert language_of(browser, Accept_Language="ar-EG") == ("ar-EG", "rtl")
    assert language_of(browser, Accept_Language="de, *;q=0.1, \x3cscript\x3e") == ("fr", "ltr")


def test_a_reader_without_an_account_chooses_by_a_cookie(store):
    browser = open_browser(store)
    answer = browser.post("/desk/language", data={"language": "ar", "next": "/desk/list"})
    assert (answer.status_code, answer.location) == (302, "/desk/list")
    assert language_of(browser, Accept_Language="fr") == ("ar-TN", "rtl")


def test_the_choice_leads_to_no_other_site_and_takes_no_other_language(store):
    browser = open_browser(store)
    away = browser.post("/desk/language", data={"language": "fr", "next": "https://example.org/desk/"})
    assert away.location == "/desk/today"
    assert browser.post("/desk/language", data={"language": "../en"}).status_code == 422
    assert browser.post("/desk/language").status_code == 422
    foreign = browser.post("/desk/language", data={"language": "fr"}, headers={"Origin": "https://example.org"})
    assert foreign.status_code == 403


def test_a_users_choice_is_stored_and_holds_in_every_browser(store):
    add_user(store, "anna", "viewer")
    app = desk_app(store)
    first, second = app.test_client(), app.test_client()
    for browser in (first, second):
        browser.post("/desk/sign-in", data={"name": "anna", "password": PASSWORD})
    first.post("/desk/language", data={"language": "fr"})
    assert store.find_user("anna").language == "fr"
    assert language_of(second, Accept_Language="ar") == ("fr", "ltr")


def test_numbers_days_and_amounts_are_written_by_the_language(store):
    filled(store)
    app = desk_app(store, EVERYBODY)
    with app.test_request_context(headers={"Accept-Language": "fr-TN"}):
        assert i18n.number(1234567.8, 1) == "1\u202f234\u202f567,8"
        assert i18n.day("2014-08-03") == "3 ao\u00fbt 2014"
        assert i18n.money(1234.0, "TND") == "1\u202f234\u202fDT"
    with app.test_request_context(headers={"Accept-Language": "ar-EG"}):
        assert visible(i18n.number(1234.5, 1)) == "\u0661\u066c\u0662\u0663\u0664\u066b\u0665"
    with app.test_request_context(headers={"Accept-Language": "ar"}):
        assert i18n.day("2014-08-03") == "3 \u0623\u0648\u062a 2014"
        assert i18n.energy(12_340.0).startswith("\u2068")


def test_a_key_that_exists_in_english_only_is_shown_in_english(store, monkeypatch):
    app = desk_app(store, EVERYBODY)
    monkeypatch.setitem(i18n.all_texts("fr"), "only.english", "Only {n} here")
    with app.test_request_context(headers={"Accept-Language": "fr"}):
        assert i18n.text("only.english", n=3) == "Only 3 here"
        with pytest.raises(i18n.MissingText, match=r"only\.nowhere"):
            i18n.text("only.nowhere")


@pytest.mark.parametrize("tag", ["", "de", "fr_FRA", "ar-TN-u-nu-latn", "EN"])
def test_a_tag_of_no_language_here_is_refused(tag):
    with pytest.raises(UnknownLanguage, match="en, fr, ar"):
        locale_of(tag)


def test_a_country_without_that_language_counts_as_none():
    assert (locale_of("fr-ZZ").tag, locale_of("en-TN").tag, locale_of("ar-ZZ").tag) == ("fr", "en", "ar-TN")
    assert preferred(["de", "pt-BR"]) is None
    assert preferred(["de", "fr"], "TN").tag == "fr-TN"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_a_file(language):
    assert i18n.texts_of(language)


def test_a_search_is_the_same_with_the_marks_that_a_copied_number_brings(store):
    filled(store)
    browser = open_browser(store)
    plain, copied = (browser.get(f"/desk/search?q={q}").text for q in ("c-001", "\u2066c-001\u2069"))
    assert plain.count("/desk/client/c-001") == copied.count("/desk/client/c-001") > 0
