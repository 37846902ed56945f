"""Names that utilities give to the columns of their exports, by field.

In:  the name of a column.
Out: how well it fits a field: words in English, French, Portuguese, Spanish, German, Dutch and Arabic.

A phrase fits a name that has all of its words. The more of the name's words it covers, the better it fits.
"""

import re
import tomllib
import unicodedata
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Words(NamedTuple):
    """Words for what was used and what was fed in, for price levels, cancelled bills, and estimates."""

    imports: frozenset[str]
    exports: frozenset[str]
    levels: frozenset[str]
    cancelled: frozenset[str]
    yes: frozenset[str]
    quality: dict[str, frozenset[str]]


def _read_words() -> Words:
    found = tomllib.loads((Path(__file__).parent / "words.toml").read_text(encoding="utf-8"))
    sets = (frozenset(found[name]) for name in ("import", "export", "level", "cancelled", "yes"))
    return Words(*sets, {meaning: frozenset(words) for meaning, words in found["quality"].items()})


PHRASES: dict[str, list[str]] = tomllib.loads((Path(__file__).parent / "vocabulary.toml").read_text(encoding="utf-8"))
WORDS = _read_words()
UNITS = {"kwh": "kWh", "wh": "Wh", "mwh": "MWh", "kvah": "kVAh", "kw": "kW", "w": "W", "mw": "MW", "m3": "m3"}
FULL_COVER = 1.0


@cache
def words_of(name: str) -> tuple[str, ...]:
    """The words of a name in small letters without accents: "Tot (datum)" gives tot, datum; "readAt" read, at."""
    split = re.sub(r"(?<=[a-z][a-z0-9])(?=[A-Z])", " ", name)
    plain = "".join(c for c in unicodedata.normalize("NFKD", split.casefold()) if not unicodedata.combining(c))
    return tuple(re.findall(r"[^\W_]+", plain))


def fit_of(field: str, name: str) -> float:
    """How well a name fits a field: 0 not at all, up to 1 for a phrase that is the whole name."""
    words = words_of(name)
    return max((_fit(phrase, place, words) for place, phrase in enumerate(_phrases(field))), default=0.0)


@cache
def _phrases(field: str) -> tuple[tuple[str, ...], ...]:
    return tuple(words_of(phrase) for phrase in PHRASES[field])


def _fit(phrase: tuple[str, ...], place: int, words: tuple[str, ...]) -> float:
    if not words or not set(phrase) <= set(words):
        return 0.0
    cover = sum(map(len, phrase)) / sum(map(len, words))
    # An earlier phrase is the more telling one; the place decides between equal covers.
    return cover * FULL_COVER - place * 1e-3


def unit_in(name: str) -> str | None:
    """The unit that a name states, as "USAGE (kWh)"; None without one."""
    return next((UNITS[word] for word in reversed(words_of(name)) if word in UNITS), None)


def expected_names(fields: Collection[str] | None = None) -> frozenset[str]:
    """The phrases of some fields, of all by default, as names of columns by which a header is recognised."""
    joins = (" ", "_", "")
    return frozenset(
        written
        for field in PHRASES
        if fields is None or field in fields
        for phrase in PHRASES[field]
        for join in joins
        for written in (phrase.replace(" ", join), phrase.replace(" ", join).upper(), phrase.replace(" ", join).title())
    )
