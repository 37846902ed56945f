"""Lines above the header -> the client's id and the unit that stand there.

In:  the lines, joined by line ends.
Out: a pattern for `above` of a map; a unit.
"""

import re

from fairmeter.data.guess.columns import SURE_FIT
from fairmeter.data.guess.vocabulary import UNITS, fit_of, words_of

SEPARATORS = ";,\t|"
VALUE = re.compile(r"\w*\d{4,}\w*")


def id_above(above: str) -> str | None:
    """The pattern of an id that stands beside or below its name; None without one."""
    lines = above.split("\n")
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        mark = max(SEPARATORS, key=line.count)
        cells = [cell.strip().strip('"') for cell in re.split(r"[;,\t|:]", line)]
        for i, cell in enumerate(cells):
            if fit_of("client_id", cell) < SURE_FIT or any(map(str.isdigit, cell)):
                continue
            if i + 1 < len(cells) and VALUE.fullmatch(cells[i + 1]):
                return rf'{re.escape(cell)}"?[:{mark}]\s*"?(\w+)'
            values = [value.strip().strip('"') for value in below.split(mark)]
            if i < len(values) and VALUE.fullmatch(values[i]):
                return rf"{re.escape(cell)}[^\n]*\n" + rf"(?:[^{mark}\n]*{mark})" * i + r'"?(\w+)'
    return None


def unit_above(above: str) -> str | None:
    """The unit among the cells above the header; None without one, or with several."""
    cells = re.split(r"[;,\t|:\n]", above)
    found = {UNITS[word[0]] for cell in cells if len(word := words_of(cell)) == 1 and word[0] in UNITS}
    return found.pop() if len(found) == 1 else None
