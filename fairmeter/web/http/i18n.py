"""Texts of the pages by key, and template filters that write numbers, amounts and moments.

In:  a key ("list.title") with the values for the braces in its text; numbers, moments (UTC) and days.
Out: text. The texts stand in languages/, one file per language. A text whose wording depends on a number is a table of
     plural forms, named as in Unicode's CLDR. Energy is in kWh, MWh or GWh by its size; None becomes a dash.
"""

import math
import tomllib
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from fairmeter.core.code_names import shown
from fairmeter.web.http.code_names import named

FOLDER = Path(__file__).parents[1] / "languages"
LANGUAGE = "en"
RIGHT_TO_LEFT = frozenset({"ar"})
DASH = "\u2013"
THIN = "\u202f"  # between a number and its unit, where no line may break
ENERGIES = ((1e6, "GWh"), (1e3, "MWh"))


# --- texts ------------------------------------------------------------------------------------------------------------


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


# --- filters ----------------------------------------------------------------------------------------------------------


def number(value: float | None, digits: int = 0) -> str:
    """1234567.8 -> 1,234,568"""
    return DASH if _is_nothing(value) else f"{value:,.{digits}f}"


def percent(share: float | None, digits: int = 0) -> str:
    """0.123 -> 12 %; a share that would round to 0 is shown as below the smallest one. [share: 0..1]"""
    if _is_nothing(share):
        return DASH
    least = 10.0 ** -(digits + 2)
    if 0 < share < least / 2:
        return f"<{THIN}{least * 100:.{digits}f}{THIN}%"
    return f"{share * 100:.{digits}f}{THIN}%"


def score(scored: object) -> str:
    """A score's probability as a percentage; of a model without labels, its percentile: "percentile 97.3"."""
    percentile = getattr(scored, "percentile", None)
    if percentile is None:
        return percent(scored.probability)
    return text("score.percentile", place=number(percentile, 1))


def signed(effect: float) -> str:
    """A part of a score with its sign: +12 %; below one percent with a tenth."""
    digits = 0 if abs(effect) >= 0.01 else 1
    return f"{effect * 100:+.{digits}f}{THIN}%".replace("-", "\u2212")


def energy(kwh: float | None) -> str:
    """12345 -> 12.3 MWh"""
    if _is_nothing(kwh):
        return DASH
    factor, unit = next(((f, u) for f, u in ENERGIES if abs(kwh) >= 10 * f), (1.0, "kWh"))
    return f"{_three_digits(kwh / factor)}{THIN}{unit}"


def distance(metres: int) -> str:
    """500 -> 500 m; 3000 -> 3 km"""
    return f"{metres:g}{THIN}m" if metres < 1000 else f"{metres / 1000:g}{THIN}km"


def money(value: float | None, currency: str = "") -> str:
    """An amount with the currency of the settings, without one a bare number."""
    return DASH if _is_nothing(value) else f"{value:,.0f}{THIN}{currency}".rstrip(THIN)


def code(value: float | str | None, column: str = "") -> str:
    """A code of the utility, by its name if the column has one: 103.0 -> 103, Feira de Santana"""
    value = named(column, value)
    if isinstance(value, str):
        return value
    return DASH if _is_nothing(value) else shown(value)


def day(value: date | datetime | str | None) -> str:
    """2014-03-24 -> 24 Mar 2014"""
    if value is None:
        return DASH
    value = date.fromisoformat(value) if isinstance(value, str) else value
    return f"{value.day} {text(f'months.m{value.month}')} {value.year}"


def age(moment: datetime | None, now: datetime | None = None) -> str:
    """Time since a moment in the largest unit: 3 h, 5 d."""
    if moment is None:
        return DASH
    seconds = max(((now or datetime.now(UTC)) - moment).total_seconds(), 0)
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= length:
            return text(f"ago.{unit}", n=int(seconds // length))
    return text("ago.now")


def moment_in_zone(zone: ZoneInfo) -> Callable[[datetime | None], str]:
    """A filter: moment -> 24 Mar 2014, 15:04 in that zone."""

    def moment(value: datetime | None) -> str:
        if value is None:
            return DASH
        there = value.astimezone(zone)
        return f"{day(there.date())}, {there:%H:%M}"

    return moment


def day_in_zone(zone: ZoneInfo) -> Callable[[datetime | None], str]:
    """A filter: moment -> 24 Mar 2014 in that zone."""
    return lambda value: DASH if value is None else day(value.astimezone(zone).date())


def filters(zone: ZoneInfo, currency: str) -> dict[str, Callable]:
    """All filters by name."""
    return {
        "number": number,
        "percent": percent,
        "score": score,
        "signed": signed,
        "energy": energy,
        "distance": distance,
        "money": lambda value: money(value, currency),
        "code": code,
        "day": day,
        "moment": moment_in_zone(zone),
        "moment_day": day_in_zone(zone),
        "ago": age,
    }


def _is_nothing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def _three_digits(value: float) -> str:
    digits = 0 if abs(value) >= 100 else 1
    return f"{value:,.{digits}f}".removesuffix(".0")
