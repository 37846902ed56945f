"""Texts of the pages by key, and template filters that write numbers, amounts and moments, in the reader's language.

In:  a key ("list.title") with the values for the braces in its text; numbers, moments (UTC) and days.
Out: text. The texts stand in languages/, one file per language. A text whose wording depends on a number is a table of
     plural forms, named as in Unicode's CLDR. Energy is in kWh, MWh or GWh by its size; None becomes a dash.

The language is the user's choice, else the browser's first that there is, else that of the settings.
"""

import math
import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from flask import Flask, current_app, g, has_app_context, has_request_context, request

from fairmeter.core.code_names import shown
from fairmeter.core.types import DataIncident, QualityFlag
from fairmeter.web.http.code_names import named
from fairmeter.wording import phrases
from fairmeter.wording.locales import ENGLISH, Locale, locale_of, preferred
from fairmeter.wording.rendering import name_of

FOLDER = Path(__file__).parents[1] / "languages"
COOKIE = "language"  # the choice of a reader without an account, and of a user before signing in
EXTENSION = "language"  # of the app: what gives the locale of the settings
DASH = "\u2013"
THIN = "\u202f"  # between a number and its unit, where no line may break
MINUS = "\u2212"
ENERGIES = ((1e6, "gwh"), (1e3, "mwh"))


# --- the reader's language --------------------------------------------------------------------------------------------


def register(app: Flask, default: Callable[[], Locale]) -> None:
    """Write the app's pages in this language where a reader chose none and the browser asks for none of ours."""
    app.extensions[EXTENSION] = default


def default_locale() -> Locale:
    """The locale of the settings; English outside of an app."""
    registered = current_app.extensions.get(EXTENSION) if has_app_context() else None
    return registered() if registered else locale_of(ENGLISH)


def current_locale() -> Locale:
    """The reader's locale, chosen once a request."""
    if not has_request_context():
        return default_locale()
    if "locale" not in g:
        g.locale = _reader_locale()
    return g.locale


def use(locale: Locale) -> None:
    """Write the rest of this request in a language."""
    g.locale = locale


def _reader_locale() -> Locale:
    """By the user's choice, the cookie, the browser, the settings. A territory comes from the browser or the settings.

    Arabic of Egypt has other digits than Arabic of Tunisia: a browser that says which is believed.
    """
    default, wanted = default_locale(), [tag for tag, _ in request.accept_languages]
    chosen = [tag for tag in (g.get("language_of_user"), request.cookies.get(COOKIE)) if tag]
    found = preferred(chosen) or preferred(wanted) or default
    same = next((tag for tag in wanted if tag.startswith(f"{found.language}-")), found.language)
    return preferred([same, found.language], default.territory) or found


# --- texts ------------------------------------------------------------------------------------------------------------


class PageText(str):
    """A text of the pages: already in the reader's language."""

    __slots__ = ()


class MissingText(LookupError):
    """A page uses a key that no language's file has."""


@cache
def texts_of(language: str) -> dict[str, str | dict[str, str]]:
    """Every text by its whole key; a table of plural forms counts as one text."""
    with (FOLDER / f"{language}.toml").open("rb") as stream:
        return dict(_flat(tomllib.load(stream)))


@cache
def all_texts(language: str) -> dict[str, str | dict[str, str]]:
    """The texts of a language; what it lacks is in English."""
    return texts_of(ENGLISH) | texts_of(language)


def _flat(table: dict, before: str = ""):
    for name, value in table.items():
        if isinstance(value, dict) and "other" not in value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def text(key: str, n: float | None = None, **values) -> PageText:
    """The text of a key with its values in place. Raises MissingText."""
    locale = current_locale()
    found = all_texts(locale.language).get(key)
    if found is None:
        raise MissingText(f"There is no text {key!r} in {ENGLISH}.toml; add it to its page's section.")
    if isinstance(found, dict):
        found = found["other"] if n is None else found.get(locale.plural(n), found["other"])
    if n is None and not values:
        return PageText(found)
    given = {name: _placed(value, locale) for name, value in values.items()}
    return PageText(found.format(n=_placed(n, locale), **given))


def readable(message: str, key: str) -> str:
    """A message in the reader's language; of one in English only, for other readers the text of the key."""
    is_readable = message and (isinstance(message, PageText) or current_locale().language == ENGLISH)
    return message if is_readable else text(key)


def _placed(value: object, locale: Locale) -> object:
    """A value for a text's braces; in a text that runs right to left it keeps a direction of its own."""
    if locale.language == ENGLISH:
        return value
    if isinstance(value, phrases.Phrase):
        return phrases.worded(value, locale)
    plain = locale.digits(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    return locale.isolate(plain)


def text_or_default(key: str, default: str) -> str:
    """The text of a key; without one, the value from the data itself: a severity, a flag, a group."""
    found = all_texts(current_locale().language).get(key)
    return found if isinstance(found, str) else default


def texts_below(prefix: str) -> dict[str, str]:
    """The texts below a key, without the prefix, for a script of a page."""
    whole = f"{prefix}."
    texts = all_texts(current_locale().language)
    return {key.removeprefix(whole): value for key, value in texts.items() if key.startswith(whole)}


# --- sentences and names from the data --------------------------------------------------------------------------------


def worded(value: object) -> object:
    """A sentence (fairmeter/wording/phrases.py) in the reader's language; anything else as it is."""
    return phrases.worded(value, current_locale()) if isinstance(value, phrases.Phrase) else value


def group(name: str) -> str:
    """An evidence group for people: Fall in consumption."""
    return name_of("group", name, current_locale())


def cause(name: str) -> str:
    """A harmless cause for people: Vacant home."""
    return name_of("cause_name", name, current_locale())


def flag(found: QualityFlag | Mapping) -> str:
    """What was found in the data: in English its sentence, in other languages the flag's name and a count."""
    code, n, own = (
        found[name] if isinstance(found, Mapping) else getattr(found, name) for name in ("flag", "n", "text")
    )
    return own if current_locale().language == ENGLISH else _named_flag(code, n)


def incident(found: DataIncident) -> str:
    """A fault of the data at many clients, as `flag` writes one."""
    return found.text if current_locale().language == ENGLISH else _named_flag(found.kind, found.n_clients)


def _named_flag(code: str, n: int) -> str:
    return text("site.named", name=name_of("flag", code, current_locale()), value=number(n))


# --- filters ----------------------------------------------------------------------------------------------------------


def number(value: float | None, digits: int = 0) -> str:
    """1234567.8 -> 1,234,568"""
    return DASH if _is_nothing(value) else current_locale().number(value, digits)


def percent(share: float | None, digits: int = 0) -> str:
    """0.123 -> 12 %; a share that would round to 0 is shown as below the smallest one. [share: 0..1]"""
    if _is_nothing(share):
        return DASH
    least = 10.0 ** -(digits + 2)
    share = 0.0 if -least / 2 < share < 0 else share  # no -0 %
    if 0 < share < least / 2:
        return _isolated(f"<{THIN}{number(least * 100, digits)}{THIN}%")
    return _isolated(f"{number(share * 100, digits)}{THIN}%")


def score(scored: object) -> str:
    """A score's probability as a percentage; of a model without labels, its percentile: "percentile 97.3"."""
    percentile = getattr(scored, "percentile", None)
    if percentile is None:
        return percent(scored.probability)
    return text("score.percentile", place=number(percentile, 1))


def signed(effect: float) -> str:
    """A part of a score with its sign: +12 %; below one percent with a tenth."""
    digits = 0 if abs(effect) >= 0.01 else 1
    sign = MINUS if effect < 0 else "+"
    return _isolated(f"{sign}{number(abs(effect) * 100, digits)}{THIN}%")


def energy(kwh: float | None) -> str:
    """12345 -> 12.3 MWh"""
    if _is_nothing(kwh):
        return DASH
    factor, unit = next(((f, u) for f, u in ENERGIES if abs(kwh) >= 10 * f), (1.0, "kwh"))
    return _isolated(f"{_three_digits(kwh / factor)}{THIN}{text(f'unit.{unit}')}")


def distance(metres: int) -> str:
    """500 -> 500 m; 3000 -> 3 km"""
    value, unit = (metres, "m") if metres < 1000 else (metres / 1000, "km")
    digits = 0 if float(value).is_integer() else 1
    return _isolated(f"{number(value, digits)}{THIN}{text(f'unit.{unit}')}")


def money(value: float | None, currency: str = "") -> str:
    """An amount with the currency of the settings, without one a bare number."""
    if _is_nothing(value):
        return DASH
    return _isolated(f"{number(value)}{THIN}{current_locale().currency(currency)}".rstrip(THIN))


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
    return current_locale().day(value)


def month(value: date) -> str:
    """2014-03-24 -> Mar 2014"""
    return current_locale().month(value)


def month_name(number: int) -> str:
    """3 -> Mar"""
    return current_locale().month_name(number)


def weekday(number: int) -> str:
    """0 -> Mon"""
    return current_locale().weekday_name(number)


def age(moment: datetime | None, now: datetime | None = None) -> str:
    """Time since a moment in the largest unit: 3 h, 5 d."""
    if moment is None:
        return DASH
    seconds = max(((now or datetime.now(UTC)) - moment).total_seconds(), 0)
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= length:
            return text(f"ago.{unit}", n=int(seconds // length))
    return text("ago.now")


def moment_in_zone(zone: Callable[[], ZoneInfo]) -> Callable[[datetime | None], str]:
    """A filter: moment -> 24 Mar 2014, 15:04 in that zone."""

    def moment(value: datetime | None) -> str:
        if value is None:
            return DASH
        there = value.astimezone(zone())
        return f"{day(there.date())}{text('site.comma')}{current_locale().digits(f'{there:%H:%M}')}"

    return moment


def day_in_zone(zone: Callable[[], ZoneInfo]) -> Callable[[datetime | None], str]:
    """A filter: moment -> 24 Mar 2014 in that zone."""
    return lambda value: DASH if value is None else day(value.astimezone(zone()).date())


def filters(zone: Callable[[], ZoneInfo], currency: Callable[[], str]) -> dict[str, Callable]:
    """All filters by name. [zone, currency: of the request]"""
    return {
        "number": number,
        "percent": percent,
        "score": score,
        "signed": signed,
        "energy": energy,
        "distance": distance,
        "money": lambda value: money(value, currency()),
        "code": code,
        "day": day,
        "month": month,
        "month_name": month_name,
        "weekday": weekday,
        "worded": worded,
        "readable": readable,
        "group": group,
        "cause": cause,
        "flag": flag,
        "incident": incident,
        "moment": moment_in_zone(zone),
        "moment_day": day_in_zone(zone),
        "ago": age,
    }


def _is_nothing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def _three_digits(value: float) -> str:
    digits = 0 if abs(value) >= 100 or f"{value:.1f}".endswith(".0") else 1
    return number(value, digits)


def _isolated(value: str) -> str:
    """A number with its unit: in a text that runs right to left, their order is their own."""
    return current_locale().isolate(value)
