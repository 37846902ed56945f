"""Texts of the pages by key: one file a language in languages/, each text once.

In:  a key ("list.title") and the values for the braces in the text; `n` where its wording depends on a number.
Out: the text; MissingText for an unknown key (a test looks up every key that the pages use).

A text that depends on a number is a table of plural forms, named as in Unicode's CLDR.
"""

import tomllib
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "languages"
LANGUAGE = "en"
RIGHT_TO_LEFT = frozenset({"ar"})


class MissingText(LookupError):
    """A page uses a key that the language's file does not have."""


@cache
def texts_of(language: str) -> dict[str, str | dict[str, str]]:
    """Every text by its whole key; a table of plural forms counts as one text."""
    with (FOLDER / f"{language}.toml").open("rb") as stream:
        return dict(_flat(tomllib.load(stream)))


def _flat(table: dict, before: str = ""):
    for name, value in table.items():
        if isinstance(value, dict) and "other" not in value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def text(key: str, n: float | None = None, language: str = LANGUAGE, **values) -> str:
    """The text of a key with its values in place. Raises MissingText."""
    found = texts_of(language).get(key)
    if found is None:
        raise MissingText(f"There is no text {key!r} in {language}.toml; add it to its page's section.")
    if isinstance(found, dict):
        found = found.get(plural(n, language), found["other"])
    return found.format(n=n, **values) if values or n is not None else found


def text_or_default(key: str, default: str) -> str:
    """The text of a key; without one, the value from the data itself: a severity, a flag, a group."""
    found = texts_of(LANGUAGE).get(key)
    return found if isinstance(found, str) else default


def plural(n: float | None, language: str) -> str:
    """The plural form of a number. (CLDR, for the languages here)"""
    if language == "fr":
        return "one" if n in (0, 1) else "other"
    return "one" if n == 1 else "other"


def texts_below(prefix: str) -> dict[str, str]:
    """The texts below a key, without the prefix, for a script of a page."""
    whole = f"{prefix}."
    return {key.removeprefix(whole): value for key, value in texts_of(LANGUAGE).items() if key.startswith(whole)}


def direction(language: str = LANGUAGE) -> str:
    return "rtl" if language in RIGHT_TO_LEFT else "ltr"
