"""Names of columns that are dates, months, times of the day or slots -> the table `wide` of a map.

In:  the header of a table.
Out: WideGuess; None for a table whose rows hold one value each.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from fairmeter.data.guess.values import find_format

MIN_COLUMNS = 6  # of one shape; fewer are no wide table
TIME = re.compile(r"([01]?\d|2[0-4]):[0-5]\d(?::[0-5]\d)?")
SLOTS = {24: 60, 25: 60, 48: 30, 50: 30, 96: 15, 100: 15}  # columns a day: minutes
YEARLESS = re.compile(r"(?P<stem>\D*)(?P<month>0[1-9]|1[0-2])")


class WideGuess(NamedTuple):
    """Columns of one shape. [step: "month", "day" or "time"; text: of the map, without `to`]"""

    step: str
    columns: tuple[str, ...]
    text: str


def guess_wide(header: Sequence[str]) -> WideGuess | None:
    """The columns that hold one field each for a date or a time."""
    names = [name for name in header if name]
    return _times(names) or _slots(names) or _dates(names) or _months_without_year(names)


def _dates(names: Sequence[str]) -> WideGuess | None:
    for shape in dict.fromkeys(re.sub(r"[^\W\d_]+", "a", re.sub(r"\d", "0", name)) for name in names):
        pattern = re.sub("a", r"[^\\W\\d_]+\\.?", re.sub("0", r"\\d", re.escape(shape)))
        alike = tuple(name for name in names if re.fullmatch(pattern, name))
        found, locale, _ = find_format(alike) if len(alike) >= MIN_COLUMNS else (None, None, False)
        if found is not None:
            is_month = "%d" not in found
            extra = f', locale = "{locale}"' if locale else ""
            day = ', day = "last"' if is_month else ""
            text = f"columns = '{_pattern_of(alike)}', format = \"{found}\"{extra}{day}"
            return WideGuess("month" if is_month else "day", alike, text)
    return None


def _pattern_of(names: Sequence[str]) -> str:
    """A regular expression that fits these names, by runs of digits and of letters."""
    shapes = dict.fromkeys(tuple(_runs(name)) for name in names)
    kinds = {tuple(kind for kind, _ in shape) for shape in shapes}
    if len(kinds) > 1:
        return "|".join(map(re.escape, names))
    parts = []
    for i, kind in enumerate(next(iter(kinds))):
        lengths = sorted({len(shape[i][1]) for shape in shapes})
        count = f"{{{lengths[0]}}}" if len(lengths) == 1 else f"{{{lengths[0]},{lengths[-1]}}}"
        parts.append({"digits": r"\d" + count, "letters": r"[^\W\d_]" + count}.get(kind) or re.escape(kind))
    return "".join(parts)


def _runs(name: str) -> list[tuple[str, str]]:
    """("digits" or "letters", run) of a name; another sign is its own kind."""
    found = re.findall(r"(\d+)|([^\W\d_]+)|(.)", name)
    return [
        ("digits", digits) if digits else ("letters", letters) if letters else (sign, sign)
        for digits, letters, sign in found
    ]


def _times(names: Sequence[str]) -> WideGuess | None:
    alike = tuple(name for name in names if TIME.fullmatch(name))
    if len(alike) < MIN_COLUMNS:
        return None
    form = "%H:%M:%S" if alike[0].count(":") == 2 else "%H:%M"
    return WideGuess("time", alike, f"columns = '{_pattern_of(alike)}', format = \"{form}\"")


def _slots(names: Sequence[str]) -> WideGuess | None:
    by_stem: dict[str, list[str]] = {}
    for name in names:
        found = re.fullmatch(r"(.*?\D)(\d{1,3})", name)
        if found:
            by_stem.setdefault(found[1], []).append(name)
    for stem, alike in by_stem.items():
        numbers = sorted(int(re.search(r"\d+$", name)[0]) for name in alike)
        if len(alike) in SLOTS and numbers == list(range(numbers[0], numbers[0] + len(alike))) and numbers[0] in (0, 1):
            pattern = re.escape(stem) + r"\d{1,3}"
            slot = re.escape(stem) + r"(\d+)"
            return WideGuess(
                "time", tuple(alike), f"columns = '{pattern}', slot = '{slot}', minutes = {SLOTS[len(alike)]}"
            )
    return None


def _months_without_year(names: Sequence[str]) -> WideGuess | None:
    by_stem: dict[str, list[str]] = {}
    for name in names:
        found = YEARLESS.fullmatch(name)
        if found and found["stem"]:
            by_stem.setdefault(found["stem"], []).append(name)
    for stem, alike in by_stem.items():
        if len(alike) == 12:
            text = (
                f"columns = '{re.escape(stem)}\\d\\d', format = \"{stem}%m\", year = {{filename = '(20\\d\\d)'}}, "
                'day = "last"'
            )
            return WideGuess("month", tuple(alike), text)
    return None
