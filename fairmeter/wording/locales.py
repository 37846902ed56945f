"""How a language writes numbers, days, months and plurals, by Unicode's CLDR (Babel has its data).

In:  a tag: "fr", "ar-TN". Without a territory it is that of DEFAULT_TERRITORY.
Out: a Locale; languages that are not in LANGUAGES are refused.
"""

import re
from collections.abc import Iterable
from datetime import date
from functools import cache, cached_property
from typing import Any

from fairmeter.core import formatting

LANGUAGES = {"en": "English", "fr": "Fran\u00e7ais", "ar": "\u0627\u0644\u0639\u0631\u0628\u064a\u0629"}  # in itself
ENGLISH = "en"
RIGHT_TO_LEFT = frozenset({"ar"})
# Digits, separators and names of months differ between countries that share a language. CLDR has no English of Tunisia.
DEFAULT_TERRITORY = {"ar": "TN"}
TAG = re.compile(r"([a-z]{2})(?:[-_]([A-Za-z]{2}))?")
# As <bdi> in markup: what stands between has a direction of its own, that of its first letter or from the left.
FIRST_ISOLATE, LEFT_ISOLATE, END_ISOLATE = "\u2068", "\u2066", "\u2069"


class UnknownLanguage(ValueError):
    """A tag of no language that the pages have."""


class Locale:
    """A language of a territory. tag: "ar-TN"; babel: Babel's locale."""

    def __init__(self, language: str, territory: str | None) -> None:
        self.language, self.territory = language, territory
        self.tag = f"{language}-{territory}" if territory else language

    @property
    def direction(self) -> str:
        return "rtl" if self.language in RIGHT_TO_LEFT else "ltr"

    @cached_property
    def babel(self) -> Any:
        from babel import Locale as BabelLocale

        return BabelLocale(self.language, territory=self.territory)

    @cached_property
    def _characters(self) -> dict[int, str]:
        """What stands for the digits and separators of Python's own format."""
        if self.language == ENGLISH:
            return {}
        system = self.babel.default_numbering_system
        symbols = self.babel.number_symbols[system]
        zero = {"arab": 0x0660, "arabext": 0x06F0}.get(system, ord("0"))
        digits = {ord("0") + i: chr(zero + i) for i in range(10)}
        return digits | {ord(","): symbols["group"], ord("."): symbols["decimal"]}

    def number(self, value: float, digits: int = 0) -> str:
        """1234567.8 -> 1,234,568"""
        return self.localized(f"{value:,.{digits}f}")

    def localized(self, number: str) -> str:
        """A number that Python wrote, in the digits and separators of the language."""
        return number.translate(self._characters)

    def digits(self, value: object) -> str:
        """A number as it is, such as one of a case: no separators, digits of the language."""
        return str(value).translate({at: to for at, to in self._characters.items() if chr(at).isdecimal()})

    def plural(self, n: float) -> str:
        """CLDR's plural form of a number: zero, one, two, few, many or other."""
        if self.language == ENGLISH:
            return "one" if n == 1 else "other"
        n = abs(n)
        return self.babel.plural_form(int(n) if n == int(n) else n)

    @cached_property
    def plural_forms(self) -> frozenset[str]:
        """The plural forms that the language has."""
        return self.babel.plural_form.tags | {"other"}

    def month_name(self, number: int, width: str = "abbreviated") -> str:
        """[number: 1 to 12; width: abbreviated or wide]"""
        if self.language == ENGLISH:
            return formatting.MONTHS[number - 1][: 3 if width == "abbreviated" else None]
        return self.babel.months["stand-alone" if width == "abbreviated" else "format"][width][number]

    def weekday_name(self, number: int, width: str = "abbreviated") -> str:
        """[number: 0 is Monday]"""
        return self.babel.days["format"][width][number]

    def day(self, on: date, width: str = "abbreviated") -> str:
        """24 Mar 2014; width wide: 24 March 2014"""
        day = "1er" if self.language == "fr" and on.day == 1 else on.day
        return self.digits(f"{day} {self.month_name(on.month, width)} {on.year}")

    def month(self, on: date, width: str = "abbreviated") -> str:
        """Mar 2014; width wide: March 2014"""
        return self.digits(f"{self.month_name(on.month, width)} {on.year}")

    def currency(self, code: str) -> str:
        """The symbol of a currency by its ISO code; any other name as it is."""
        return visible(self.babel.currency_symbols.get(code, code)) if self.language != ENGLISH else code

    def isolate(self, value: object) -> str:
        """A value within a text: where the text runs right to left, it keeps a direction of its own."""
        if self.direction == "ltr":
            return str(value)
        has_letters = any("\u0590" <= character <= "\u08ff" for character in str(value))
        return f"{FIRST_ISOLATE if has_letters else LEFT_ISOLATE}{value}{END_ISOLATE}"


def locale_of(tag: str, territory: str | None = None) -> Locale:
    """The locale of a tag. Raises UnknownLanguage. [territory: where the tag has none]"""
    found = TAG.fullmatch(tag.strip())
    if found is None or found[1] not in LANGUAGES:
        raise UnknownLanguage(f"must be one of {', '.join(LANGUAGES)}, with a country if need be, such as ar-TN")
    return _locale(found[1], (found[2] or territory or DEFAULT_TERRITORY.get(found[1], "")).upper())


def preferred(tags: Iterable[str], territory: str | None = None) -> Locale | None:
    """The locale of the first tag that is known; None without one."""
    for tag in tags:
        try:
            return locale_of(tag, territory)
        except UnknownLanguage:
            continue
    return None


@cache
def _locale(language: str, territory: str) -> Locale:
    """One locale for each pair; a territory for which CLDR has no such language is left out."""
    from babel import Locale as BabelLocale
    from babel import UnknownLocaleError

    if territory:
        try:
            BabelLocale(language, territory=territory)
        except UnknownLocaleError:
            territory = DEFAULT_TERRITORY.get(language, "")
    return Locale(language, territory or None)


def visible(text: str) -> str:
    """A text without the marks of directions, as a reader copies it from a page into a search."""
    return re.sub("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]", "", text)
