"""Sentences in every language: the same codes and values, its plural forms, numbers and days by CLDR."""

import copy
import json
import pickle
from string import Formatter

import numpy as np
import pytest

from fairmeter.wording.locales import ENGLISH, LANGUAGES, locale_of, visible
from fairmeter.wording.phrases import (
    Phrase,
    clauses_of,
    data_of,
    known_sentence,
    newest_day,
    sentence,
    text_of,
    with_clause,
    without_clause,
    worded,
)
from fairmeter.wording.rendering import FORMATS, entries_of

OTHERS = [language for language in LANGUAGES if language != ENGLISH]
LOWERS = Phrase("reason.lowers")


def forms_of(entry):
    return list(entry.values()) if isinstance(entry, dict) else [entry]


def braces(entry):
    return {name for form in forms_of(entry) for _, name, _, _ in Formatter().parse(form) if name}


def formats(entry):
    return {spec for form in forms_of(entry) for _, name, spec, _ in Formatter().parse(form) if name and spec}


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_exists_in_every_language_with_the_same_values(language):
    english, other = entries_of(ENGLISH), entries_of(language)
    assert english.keys() <= other.keys()
    for code, entry in english.items():
        assert braces(other[code]) - {"n"} == braces(entry) - {"n"}, code


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_that_depends_on_a_number_has_the_plural_forms_of_the_language(language):
    wanted = locale_of(language).plural_forms
    for code, entry in entries_of(ENGLISH).items():
        found = entries_of(language)[code]
        if isinstance(entry, dict):
            assert isinstance(found, dict), code
        if isinstance(found, dict) and language != ENGLISH:
            assert wanted <= found.keys(), code


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_format_in_a_sentence_exists(language):
    entries = entries_of(language)
    words = {code.partition(".")[0] for code in entries}
    for code, entry in entries.items():
        for form in formats(entry):
            assert form in FORMATS or form in words or form in entries, (code, form)


def test_a_phrase_is_its_english_text_and_survives_what_a_text_survives():
    text = sentence(Phrase("cause.exchange.days", days=[16130, 16800]), Phrase("cause.exchange.unchanged"))
    assert text == (
        "The meter was exchanged by March 2014 and December 2015; but the level of consumption never changed clearly."
    )
    stored = text_of(json.loads(json.dumps(data_of(text))))
    for again in (copy.deepcopy(text), pickle.loads(pickle.dumps(text)), stored):  # noqa: S301  our own bytes
        assert again == text
        assert again.code == text.code
        assert again.values == text.values
    assert json.dumps([text]) == json.dumps([str(text)])


def test_a_text_of_an_earlier_version_stays_as_it_is():
    assert text_of("Consumption fell.") == "Consumption fell."
    assert worded("Consumption fell.", locale_of("fr")) == "Consumption fell."
    assert worded(None, locale_of("fr")) is None


def test_values_of_numpy_are_stored_as_plain_numbers():
    text = Phrase("pattern.invoice", on=np.datetime64("2014-03-24"))
    assert data_of(text) == {"code": "pattern.invoice", "values": {"on": 16153}}
    assert data_of(Phrase("reading.peak", part=np.float32(0.5))) == {"code": "reading.peak", "values": {"part": 0.5}}


def test_a_clause_is_added_and_taken_away():
    text = sentence(Phrase("reading.peak", part=0.5))
    longer = with_clause(text, LOWERS)
    assert longer == "The highest hour takes 50 % of a day's energy; this lowers the score."
    assert without_clause(longer, LOWERS) == text
    assert with_clause("Old text.", LOWERS) == "Old text; this lowers the score."
    assert without_clause("Old text; this lowers the score.", LOWERS) == "Old text."
    assert (clauses_of(text), clauses_of("Old text.")) == ([Phrase("reading.peak", part=0.5)], ["Old text"])


def test_the_newest_day_of_a_sentence_is_found_in_its_clauses():
    text = sentence(
        Phrase("invoice.change.fell", energy="gas", before=3.0, after=1.0, since=14000, part=0.6),
        Phrase("usual.clearest_change", like=Phrase("like.others"), usual=0.1),
        Phrase("pattern.invoice", on=16314),
    )
    assert newest_day(text) == 16314
    assert newest_day(sentence(Phrase("reading.peak", part=0.5))) is None
    assert newest_day("Old text of 2014.") is None


def test_a_utilitys_own_sentence_is_not_translated():
    delivered = "The meter's index went back 3 times; an index that runs back is never regular."
    own = "L'index a reculé 3 fois."
    assert isinstance(known_sentence(delivered, "fact.n_index_rollbacks", value=3, limit=1), Phrase)
    assert known_sentence(own, "fact.n_index_rollbacks", value=3, limit=1) is own
    assert known_sentence(own, "fact.of_their_own", value=3, limit=1) is own


def test_a_sentence_in_french():
    text = sentence(
        Phrase("reading.change.fell", part=0.625, since=16314.0, before=1234.5, after=8.25),
        Phrase("pattern.invoice", on=16314),
    )
    french = worded(text, locale_of("fr"))
    assert french == (
        "Consommation en baisse de 62\u00a0% à partir du 1er septembre 2014, de 1\u202f234 à 8,2 kWh par jour\u00a0; "
        "sa facture de septembre 2014 ressemble le plus à celles d'abonnés signalés."
    )


def test_elisions_in_french():
    assert "facture d'août 2014" in worded(sentence(Phrase("pattern.invoice", on=16285)), locale_of("fr"))


@pytest.mark.parametrize(
    ("n", "expected"),
    [(0, "لا فاتورة"), (1, "فاتورة واحدة"), (2, "فاتورتان"), (5, "5 فواتير"), (11, "11 فاتورة"), (100, "100 فاتورة")],
)
def test_counts_in_arabic_have_six_forms(n, expected):
    text = Phrase("account.has", n=n)
    assert visible(worded(text, locale_of("ar"))) == f"له {expected}"


def test_names_from_the_data_keep_their_direction_in_arabic():
    arabic = worded(Phrase("place.region", name="Sfax 2"), locale_of("ar"))
    assert arabic == "الجهة \u2066Sfax 2\u2069"


def test_digits_in_arabic_are_those_of_the_country():
    text = Phrase("reading.ceiling", height=1234.5, n=3, part=0.5)
    assert "1.234" in worded(text, locale_of("ar-TN"))
    assert "\u0661\u066c\u0662\u0663\u0664" in worded(text, locale_of("ar-EG"))
