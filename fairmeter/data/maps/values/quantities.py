"""Numbers as utilities write them, and units -> kWh.

In:  a text with its decimal mark and thousands separator; a number with its unit.
Out: float64, NaN missing; None for a text that is no number. Gas in volumes stays in m3.
"""

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from fairmeter.data.files import NULLS

HOUR = 60  # minutes
BLANK_SEPARATORS = " \u00a0\u2007\u2009\u202f"
ISO_LENGTH = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.IGNORECASE)
CLOCK_LENGTH = re.compile(r"(\d{1,2}):(\d\d)(?::\d\d)?")


class Unit(NamedTuple):
    """A number of this unit times `multiplier`, divided by `divisor`, is kWh, or kW where is_power, or m3."""

    multiplier: float = 1.0
    divisor: float = 1.0
    is_power: bool = False
    is_volume: bool = False


# Division by 1,000 is exact to the last digit, multiplication by 0.001 is not.
UNITS = {
    "Wh": Unit(divisor=1000.0),
    "kWh": Unit(),
    "MWh": Unit(multiplier=1000.0),
    "kVAh": Unit(),
    "m3": Unit(is_volume=True),
    "ft3": Unit(multiplier=0.028316846592, is_volume=True),
    "therm": Unit(multiplier=29.307107),
    "W": Unit(divisor=1000.0, is_power=True),
    "kW": Unit(is_power=True),
    "MW": Unit(multiplier=1000.0, is_power=True),
}
APPARENT = "kVAh"


def find_unit(text: str) -> str | None:
    """The name of a unit in any case; None for one that is not listed."""
    plain = text.strip().lower().replace("³", "3")
    return next((name for name in UNITS if name.lower() == plain), None)


@lru_cache(maxsize=64)
def number_pattern(decimal: str, thousands: str | None) -> re.Pattern:
    """The pattern of a number without its sign. With separators, they stand before each third digit."""
    digits = r"\d+"
    if thousands:
        mark = f"[{BLANK_SEPARATORS}]" if thousands in BLANK_SEPARATORS else re.escape(thousands)
        digits = rf"(?:[1-9]\d{{0,2}}(?:{mark}\d{{3}})+|\d+)"
    point = re.escape(decimal)
    return re.compile(rf"(?P<whole>{digits})?(?:{point}(?P<part>\d*))?(?P<power>[eE][+-]?\d+)?")


def parse_decimal(value: object, decimal: str = ".", thousands: str | None = None) -> float | None:
    """A number as it is written: "12,5-" and "(12,5)" are negative. NaN if missing, None if it is no number."""
    if value is None:
        return np.nan
    if isinstance(value, int | float):
        return None if isinstance(value, bool) else float(value)
    text = str(value).strip()
    if text in NULLS:
        return np.nan
    sign, text = _sign(text)
    found = number_pattern(decimal, thousands).fullmatch(text)
    if not found or not (found["whole"] or found["part"]):
        return None
    whole = re.sub(r"\D", "", found["whole"] or "0")
    return float(f"{sign}{whole}.{found['part'] or '0'}{found['power'] or ''}")


def _sign(text: str) -> tuple[str, str]:
    if text[:1] == "(" and text[-1:] == ")":
        return "-", text[1:-1].strip()
    if text[:1] in "+-\u2212":
        return ("" if text[0] == "+" else "-"), text[1:].lstrip()
    if text[-1:] in "+-\u2212":
        return ("" if text[-1] == "+" else "-"), text[:-1].rstrip()
    return "", text


def parse_minutes(value: object) -> float | None:
    """A length in minutes: 30, "30", PT30M, PT1H, P1D or 00:30. NaN if missing, None if it is none."""
    if isinstance(value, str):
        text = value.strip()
        if found := CLOCK_LENGTH.fullmatch(text):
            return float(int(found[1]) * 60 + int(found[2])) or 1440.0
        found = ISO_LENGTH.fullmatch(text) if text[:1] in "pP" else None
        if found and any(found.groups()):
            days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
            return days * 1440.0 + hours * 60.0 + minutes + seconds / 60.0
    number = parse_decimal(value)
    return number if number is None or np.isnan(number) or number > 0 else None


def to_energy(value: np.ndarray, multiplier: np.ndarray | float, divisor: np.ndarray | float) -> np.ndarray:
    """Numbers of units as kWh, kW or m3."""
    return value * multiplier / divisor


def energy_of_power(power: np.ndarray, divisor: np.ndarray | float, minutes: np.ndarray) -> np.ndarray:
    """kWh of a mean power over some minutes, rounded once. [power / divisor: kW]"""
    with np.errstate(divide="ignore", invalid="ignore"):
        per_hour = HOUR / minutes
        return np.where(
            per_hour == np.rint(per_hour), power / (divisor * per_hour), power * minutes / (divisor * float(HOUR))
        )
