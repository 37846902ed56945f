"""Every text of the pages in every language, and no page that shows the text of another one.

Pages are read as text without tags. Names and numbers from the data may have Latin letters; words may not, in Arabic,
and no common word of English may be on a French page.
"""

import re
import string
from contextlib import closing
from dataclasses import replace
from html import unescape

import pytest

from fairmeter.core.types import CANNOT_TELL, FITS, Anomaly, HarmlessCause, Reason, RecoveryEstimate
from fairmeter.store import Store
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import EVERYBODY
from fairmeter.wording.locales import ENGLISH, LANGUAGES, locale_of
from fairmeter.wording.phrases import Phrase, sentence
from tests.builders.desk import desk_app
from tests.builders.pages import inspected
from tests.builders.store import clients_of, score_of, write

OTHERS = [language for language in LANGUAGES if language != ENGLISH]
PAGES = (
    "", "today", "alerts", "suspects", "list", "plan", "cases", "cases/1", "client/c-1", "client/c-2", "field", "map",
    "transformers", "live", "model", "demo", "import", "search?q=c", "me", "crews", "campaigns", "rules", "settings",
    "nothing/here",
)  # fmt: skip
# Product names, formats, units, and the utility's own: users, ids, what somebody wrote.
DATA = {
    "fairmeter", "csv", "xlsx", "pdf", "json", "toml", "xml", "zip", "excel", "parquet", "jpeg", "png", "jaccard",
    "dbscan", "roc", "auc", "lstm", "post", "predict", "record", "py", "store", "score", "readings", "flask", "app",
    "listen", "imports", "train", "report", "metrics", "report_path", "data", "sample", "mqtt", "psi", "kwh", "api",
    "prospective", "path", "all",  # of the model
    "anna", "written", "here", "english", "français", "ctrl", "esc", "enter", "id", "add", "user", "name", "role",
    "utc", "en", "desk", "channel",
    "admin",
}  # fmt: skip
ENGLISH_WORDS = {
    "the", "of", "and", "with", "are", "was", "has", "by", "from", "its", "which", "what", "when", "where", "who",
    "whose", "this", "these", "nobody", "nothing", "yet", "clients", "client", "cases",
    "invoices", "meter", "severity", "since", "until",
}  # fmt: skip


def braces(text):
    forms = text.values() if isinstance(text, dict) else [text]
    return {name for form in forms for _, name, _, _ in string.Formatter().parse(form) if name}


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_exists_in_every_language_and_no_other(language):
    english, other = i18n.texts_of(ENGLISH), i18n.texts_of(language)
    assert english.keys() - other.keys() == set(), "translate these"
    assert other.keys() - english.keys() == set(), "remove these"


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_has_the_same_values_and_the_plural_forms_of_its_language(language):
    wanted, english = locale_of(language).plural_forms, i18n.texts_of(ENGLISH)
    for key, text in i18n.texts_of(language).items():
        assert isinstance(text, dict) == isinstance(english[key], dict), key
        assert braces(text) - {"n"} == braces(english[key]) - {"n"}, key
        assert not isinstance(text, dict) or text.keys() == wanted, key


# --- pages ------------------------------------------------------------------------------------------------------------


REASONS = (
    Reason("fall in consumption", 0.3, sentence(
        Phrase("invoice.change.fell", energy="electricity", before=300.0, after=100.0, since=16130, part=0.67),
        Phrase("usual.clearest_change", like=Phrase("like.peers", category="11", region="101"), usual=-0.1),
    )),
    Reason("low or zero use", -0.1, sentence(Phrase("reading.peak", part=0.5), Phrase("reason.lowers"))),
)  # fmt: skip
CAUSES = (
    HarmlessCause("vacant home", FITS, sentence(Phrase("cause.vacant.never", source=Phrase("source.readings")))),
    HarmlessCause("solar panels", CANNOT_TELL, sentence(Phrase("cause.solar.unknown"))),
)
FLAT = Phrase("anomaly.flat_line", kwh=8.2, since=18000, until=18300)
RECOVERY = RecoveryEstimate(
    900.0, 500.0, 2000.0, 12.0, sentence(Phrase("recovery.over", months=Phrase("recovery.months", n=12))), 200.0
)


def a_score(number):
    score = score_of(f"c-{number}", 0.9 - number / 20, "critical" if number < 6 else "low", recovery=RECOVERY)
    anomalies = (Anomaly("tampering signature", "high", "2019-04-14", "2020-02-08", 2.0, sentence(FLAT)),)
    return replace(score, reasons=REASONS, explanations=CAUSES, anomalies=anomalies, onset_on="2026-03-01")


@pytest.fixture(scope="module")
def app(templates, tmp_path_factory):
    with templates.copied("sqlite", tmp_path_factory.mktemp("languages")) as url, closing(Store(url)) as store:
        scores = [a_score(n) for n in range(1, 13)]
        ids = [score.client_id for score in scores]
        write(store, *scores, clients=clients_of(client_id=ids, region=[101.0] * 12, category=[11.0] * 12))
        store.open_case("c-2", "anna", "Written here.", assignee="anna")
        inspected(store, "c-3", "confirmed")
        yield desk_app(store, EVERYBODY)


def words_of(page):
    """The words on a page, without those of scripts and codes; texts for readers of a screen count."""
    bare = re.sub(r"<(script|style|svg|head|code|textarea|kbd|pre)\b.*?</\1>", " ", page, flags=re.DOTALL)
    titles = re.findall(r'(?:title|aria-label|placeholder|alt)="([^"]*)"', bare)
    text = " ".join([re.sub(r"<[^>]+>", " ", bare), *titles])
    text = re.sub(r"\S*/\S+", " ", unescape(text))  # addresses and paths
    return [word.lower() for word in re.findall(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*", text)]


def read(app, language, page):
    answer = app.test_client().get(f"/desk/{page}", headers={"Accept-Language": language}, follow_redirects=True)
    assert answer.status_code == (404 if page == "nothing/here" else 200), page
    return words_of(answer.text)


@pytest.mark.parametrize("page", PAGES)
def test_an_arabic_page_shows_no_word_in_latin_letters(app, page):
    foreign = {word for word in read(app, "ar", page) if re.search("[a-z]{2}", word)}
    assert foreign - DATA == set()


@pytest.mark.parametrize("page", PAGES)
def test_a_french_page_shows_no_word_of_english(app, page):
    words = set(read(app, "fr", page))
    assert words & ENGLISH_WORDS == set()
