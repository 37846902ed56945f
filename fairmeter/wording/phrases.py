"""Texts that keep the code and the values that they were made of, so that a reader's language can be chosen at the end.

In:  the code of a pattern in languages/ and its values: numbers, days since 1970, names, other phrases, lists of these.
Out: Phrase, a str that is the English text; `worded` gives it in another language; `data_of` and `text_of` for storing.

A Phrase is a str as Markup is one: whatever takes a text takes it, and what does not know of languages writes English.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np

from fairmeter.wording.locales import ENGLISH, Locale, locale_of
from fairmeter.wording.rendering import has_entry, rendered

CODED = {"code", "values"}
DAYS = frozenset({"since", "until", "at", "on", "last", "changed"})  # values that are days
SENTENCE = "sentence"  # the code of clauses that make a sentence
LOCALE = locale_of(ENGLISH)


class Phrase(str):
    """A text in English with its code and values, of which each language has a pattern."""

    code: str
    values: Mapping[str, Any]
    __slots__ = ("code", "values")

    def __new__(cls, code: str, /, **values: Any) -> Self:
        # Written before they are made plain: a float32 rounds by itself, and texts of answers stay what they were.
        made = super().__new__(cls, rendered(code, values, LOCALE))
        made.code, made.values = code, {name: _plain(value) for name, value in values.items()}
        return made

    def __reduce__(self) -> tuple:
        return text_of, (data_of(self),)

    def __deepcopy__(self, _memo: dict) -> Self:
        return self


def sentence(*clauses: str) -> Phrase:
    """Clauses as a sentence with capital and full stop, semicolons between; empty clauses are left out."""
    return Phrase(SENTENCE, clauses=[clause for clause in clauses if clause])


def known_sentence(own: str, code: str, **values: Any) -> str:
    """The sentence of a code where it is the given text, which is then known in all languages; else the text."""
    known = sentence(Phrase(code, **values)) if has_entry(code) else None
    return known if known == own else own


def with_clause(text: str, clause: Phrase) -> str:
    """A sentence with one more clause."""
    if isinstance(text, Phrase) and text.code == SENTENCE:
        return sentence(*text.values["clauses"], clause)
    return f"{text.removesuffix('.')}; {clause}."


def without_clause(text: str, clause: Phrase) -> str:
    """A sentence without a clause that `with_clause` added."""
    if isinstance(text, Phrase) and text.code == SENTENCE:
        return sentence(*(one for one in text.values["clauses"] if one != clause))
    return text.replace(f"; {clause}.", ".")


def clauses_of(text: str) -> list[str]:
    """The clauses of a sentence, to stand within another one."""
    if isinstance(text, Phrase) and text.code == SENTENCE:
        return text.values["clauses"]
    return [text.removesuffix(".")]


def worded(text: str | None, locale: Locale) -> str | None:
    """The text in a language; a text without a code, of an earlier version or of a utility's own, as it is."""
    if not isinstance(text, Phrase) or locale.language == ENGLISH:
        return text
    return rendered(text.code, text.values, locale)


def newest_day(text: Any) -> int | None:
    """The latest day that a text names, as days since 1970; None where it names none."""
    if isinstance(text, list):
        return max(filter(None, map(newest_day, text)), default=None)
    if not isinstance(text, Phrase):
        return None
    own = [int(value) for name, value in text.values.items() if name in DAYS]
    return max([*own, *filter(None, map(newest_day, text.values.values()))], default=None)


# --- storing ----------------------------------------------------------------------------------------------------------


def data_of(text: Any) -> Any:
    """What JSON holds of a text, or of what has texts: {"code", "values"} of a Phrase, anything else as it is."""
    if isinstance(text, Phrase):
        return {"code": text.code, "values": {name: data_of(value) for name, value in text.values.items()}}
    if isinstance(text, Mapping):
        return {name: data_of(value) for name, value in text.items()}
    return [data_of(one) for one in text] if isinstance(text, list | tuple) else text


def text_of(data: Any) -> Any:
    """The texts that `data_of` wrote, or those of an earlier version."""
    if isinstance(data, Mapping):
        values = {name: text_of(value) for name, value in (data["values"] if data.keys() == CODED else data).items()}
        return Phrase(data["code"], **values) if data.keys() == CODED else values
    return [text_of(one) for one in data] if isinstance(data, list) else data


def packed(text: str) -> str:
    """A text in one string, for a column that holds texts."""
    return json.dumps(data_of(text), ensure_ascii=False) if isinstance(text, Phrase) else text


def unpacked(stored: str) -> str:
    """The text that `packed` wrote, or one of an earlier version."""
    return text_of(json.loads(stored)) if stored.startswith('{"code":') else stored


def _plain(value: Any) -> Any:
    """A value without NumPy's types; a date as days since 1970."""
    if type(value) in (float, int, str, Phrase):
        return value
    if isinstance(value, np.datetime64):
        return int(value.astype("datetime64[D]").astype(np.int64))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return value
