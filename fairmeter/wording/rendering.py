"""Patterns of a language -> texts.

In:  a code, its values, a Locale; the patterns of languages/LANGUAGE.toml.
Out: the text.

A pattern is a text with braces: {name} is another phrase or a name, {name:format} a value in one of FORMATS or in the
forms of an entry: {n:counted.day} is the entry counted.day with this n. {name:of} is the word of.VALUE. An entry with
several forms chooses by the number `n`, or by the value named in `on`: "=0" is exactly 0, others are CLDR's.
"""

import tomllib
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Any

import numpy as np

from fairmeter.core import formatting
from fairmeter.wording.locales import ENGLISH, Locale

LANGUAGES = files(__package__) / "languages"  # on Spark the package is a zip
EPOCH = date(1970, 1, 1)
EVEN = 0.005  # of a ratio: a smaller change is described as none
REPLACE = "replace."
MINUS = "\u2212"
Values = Mapping[str, Any]
Entry = str | dict[str, str]


@cache
def entries_of(language: str) -> dict[str, Entry]:
    """Every pattern of a language by its whole code."""
    with (LANGUAGES / f"{language}.toml").open("rb") as stream:
        return dict(_flat(tomllib.load(stream)))


def _flat(table: dict, before: str = ""):
    for name, value in table.items():
        if isinstance(value, dict) and "other" not in value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def name_of(kind: str, name: str, locale: Locale) -> str:
    """A name that the data have, with a capital; an unknown one as it is. [kind: group, cause_name]"""
    code = f"{kind}.{name}"
    text = rendered(code, {}, locale) if has_entry(code) else name
    return f"{text[:1].upper()}{text[1:]}"


def has_entry(code: str) -> bool:
    return code in entries_of(ENGLISH)


def rendered(code: str, values: Values, locale: Locale) -> str:
    """The text of a code. A code that the language lacks is written in English."""
    if code == "sentence":
        return _sentence(values["clauses"], locale)
    entry = entries_of(locale.language).get(code) or entries_of(ENGLISH)[code]
    if isinstance(entry, dict):
        entry = _form(entry, values, locale)
    found = [
        literal if name is None else literal + _value(values[name], form, locale)
        for literal, name, form in _parts(entry)
    ]
    return _elided("".join(found), locale)


def _elided(text: str, locale: Locale) -> str:
    """The text after the replacements of the language, such as d'avril for de avril."""
    for before, after in _replacements(locale.language):
        text = text.replace(before, after)
    return text


@cache
def _replacements(language: str) -> list[tuple[str, str]]:
    entries = entries_of(language).items()
    return [(code.removeprefix(REPLACE), after) for code, after in entries if code.startswith(REPLACE)]


@cache
def _parts(pattern: str) -> tuple[tuple[str, str | None, str], ...]:
    return tuple((literal, name, form or "") for literal, name, form, _ in Formatter().parse(pattern))


def _form(entry: dict[str, str], values: Values, locale: Locale) -> str:
    n = values[entry.get("on", "n")]
    exact = f"={n:g}"
    if exact in entry:
        return entry[exact]
    return entry.get(locale.plural(n if locale.language == ENGLISH else round(n)), entry["other"])


def _sentence(clauses: list[str], locale: Locale) -> str:
    return _clauses(clauses, locale) + entries_of(locale.language)["join.end"]


def _clauses(clauses: list[str], locale: Locale) -> str:
    text = entries_of(locale.language)["join.clauses"].join(_text(clause, locale) for clause in clauses)
    return f"{text[:1].upper()}{text[1:]}"


def _text(value: Any, locale: Locale) -> str:
    """A phrase within a phrase; of a name that is data, the name."""
    code = getattr(value, "code", None)
    if code is not None:
        return str(value) if locale.language == ENGLISH else rendered(code, value.values, locale)
    if isinstance(value, list):
        return _joined(value, locale)
    if isinstance(value, str):
        return value if locale.language == ENGLISH else locale.isolate(value)
    return locale.localized(f"{value:g}" if isinstance(value, float) else str(value))


def _joined(values: list, locale: Locale) -> str:
    return _and([_text(value, locale) for value in values], locale)


def _and(texts: list[str], locale: Locale) -> str:
    entries, (*first, last) = entries_of(locale.language), texts
    return f"{entries['join.comma'].join(first)}{entries['join.and']}{last}" if first else last


def _value(value: Any, form: str, locale: Locale) -> str:
    if not form:
        return _text(value, locale)
    known = FORMATS.get(form)
    if known is not None:
        return known(value, locale)
    return rendered(form, {"n": value}, locale) if "." in form else rendered(f"{form}.{value}", {}, locale)


# --- formats ----------------------------------------------------------------------------------------------------------


def _share(part: float, locale: Locale) -> str:
    return _percent(formatting.share(part), locale)


def _percent(text: str, locale: Locale) -> str:
    sign = entries_of(locale.language)["number.percent"]
    return locale.localized(text.removesuffix(" %")) + sign


def _whole_share(part: float, locale: Locale) -> str:
    text = f"{part:.0%}"
    return text if locale.language == ENGLISH else _percent(text.removesuffix("%"), locale)


def _share_or_none(part: float, locale: Locale) -> str:
    return _share(part, locale) if part else entries_of(locale.language)["number.none"]


def _gap(ratio: float, locale: Locale) -> str:
    """A difference with its sign: +12 %. [ratio: one / other - 1]"""
    return locale.isolate(f"{MINUS if ratio < 0 else '+'}{_share(abs(ratio), locale)}")


def _on(day: Any) -> date:
    """[a date of NumPy, or days since 1970]"""
    return EPOCH + timedelta(days=int(np.datetime64(day, "D").astype(int) if isinstance(day, np.datetime64) else day))


def _month(day: Any, locale: Locale) -> str:
    return locale.month(_on(day), "wide")


def _date(day: Any, locale: Locale) -> str:
    return locale.day(_on(day), "wide")


def _months(days: list[float], locale: Locale) -> str:
    return _and([_month(day, locale) for day in days], locale)


def _iso_date(day: float, locale: Locale) -> str:
    return str(_on(day)) if locale.language == ENGLISH else _date(day, locale)


def _commas(values: list, locale: Locale) -> str:
    return entries_of(locale.language)["join.comma"].join(_text(value, locale) for value in values)


def _lines(values: list, locale: Locale) -> str:
    return "\n".join(f"- {_text(value, locale)}" for value in values)


def _change(ratio: float, locale: Locale) -> str:
    """A fall of 4 %, a rise of 12 %, hardly any change. [ratio: after / before - 1]"""
    kind = "none" if abs(ratio) < EVEN else "fall" if ratio < 0 else "rise"
    return rendered(f"change.{kind}", {"part": abs(ratio)}, locale)


def _compared(ratio: float, locale: Locale) -> str:
    """4 % lower than, 12 % higher than, about the same as. [ratio: one / other - 1]"""
    kind = "same" if abs(ratio) < EVEN else "lower" if ratio < 0 else "higher"
    return rendered(f"compared.{kind}", {"part": abs(ratio)}, locale)


def _number(pattern: str) -> Callable[[float, Locale], str]:
    return lambda value, locale: locale.localized(format(value, pattern))


def _signed(value: float, locale: Locale) -> str:
    return locale.isolate(locale.localized(f"{value:+.1f}"))


FORMATS: dict[str, Callable[[Any, Locale], str]] = {
    "figure": lambda value, locale: locale.localized(formatting.figure(value)),
    "integer": _number(",.0f"),
    "plain": _number(".0f"),
    "tenth": _number(".1f"),
    "hundredth": _number(".2f"),
    "thousandth": _number(".3f"),
    "general": _number("g"),
    "signed": _signed,
    "share": _share,
    "share_or_none": _share_or_none,
    "whole_share": _whole_share,
    "rate": lambda part, locale: _percent(formatting.rate(part), locale),
    "gap": _gap,
    "month": _month,
    "date": _date,
    "months": _months,
    "iso_date": _iso_date,
    "commas": _commas,
    "lines": _lines,
    "clauses": lambda clauses, locale: _clauses(clauses, locale),
    "change": _change,
    "compared": _compared,
}
