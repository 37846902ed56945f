"""Names of codes that were texts: tables hold every code as a number, and the names of texts are kept beside it.

In:  columns by name, each with its codes and the texts from which they were computed.
Out: the name of a code for sentences, pages and files. A code that was a number is shown as that number.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

MAX_NAME = 80  # characters; longer texts are cut
EXACT_SINGLE = 2.0**24  # features are float32, which rounds larger codes
PLACES = ("category", "region", "district")  # columns that are features as they stand


@dataclass(frozen=True)
class CodeNames:
    """Names by column and code, and the texts that share a code. An empty one names no code.

    clashes: (column, one text, the other text), for texts of a column with the same code.
    """

    by_column: Mapping[str, Mapping[float, str]] = field(default_factory=dict)
    clashes: tuple[tuple[str, str, str], ...] = ()

    @classmethod
    def of_column(cls, column: str, named: Iterable[tuple[float, str]], numbers: Iterable[float] = ()) -> "CodeNames":
        """The names of a column. [named: (code, text); numbers: codes of the column that were numbers]"""
        names: dict[float, str] = {}
        clashes = [clash for code, text in named for clash in _add(names, column, float(code), text[:MAX_NAME])]
        for number in numbers if names else ():
            if number in names:
                clashes += _add(names, column, number, shown(number))
        return cls({column: names} if names else {}, tuple(clashes))

    def __bool__(self) -> bool:
        return bool(self.by_column)

    def __or__(self, other: "CodeNames") -> "CodeNames":
        """Names of both; a code with two names has both, and they are among the clashes."""
        if not (self and other):
            return self or other
        merged = defaultdict(dict, {column: dict(names) for column, names in self.by_column.items()})
        clashes = list(dict.fromkeys(self.clashes + other.clashes))
        for column, names in other.by_column.items():
            clashes += [clash for code, name in names.items() for clash in _add(merged[column], column, code, name)]
        return CodeNames(dict(merged), tuple(clashes))

    def name(self, column: str, code: float) -> str:
        """The name of a code, or the number itself. The code may have been rounded to float32, as features are."""
        names = self.by_column.get(column)
        if not names:
            return shown(code)
        code = float(code)
        if code not in names and code >= EXACT_SINGLE:
            code = next((each for each in names if float(np.float32(each)) == code), code)
        return names.get(code) or shown(code)

    def codes(self, column: str) -> np.ndarray:
        """The codes of a column that were texts. [float64]"""
        return np.array(list(self.by_column.get(column, ())), np.float64)

    def without(self, columns: Collection[str]) -> "CodeNames":
        """The names of all other columns."""
        return CodeNames({column: names for column, names in self.by_column.items() if column not in columns})

    def indistinct(self) -> list[tuple[str, str, str]]:
        """Texts that share a code, and names of places whose codes differ by less than a feature can hold."""
        found = list(self.clashes)
        for column in PLACES:
            names: dict[float, str] = {}
            for code, name in self.by_column.get(column, {}).items():
                found += _add(names, column, float(np.float32(code)), name)
        return found

    def to_json(self) -> dict[str, dict[str, str]]:
        """As `from_json` reads it: texts only, for manifests and metadata."""
        return {column: {repr(code): name for code, name in names.items()} for column, names in self.by_column.items()}

    @classmethod
    def from_json(cls, given: Mapping[str, Mapping[str, str]] | None) -> "CodeNames":
        """The names of a manifest; none for a manifest without them."""
        return cls(
            {column: {float(code): name for code, name in names.items()} for column, names in (given or {}).items()}
        )


def _add(names: dict[float, str], column: str, code: float, name: str) -> list[tuple[str, str, str]]:
    """Add a name; if the code has another name already, join the two and return the clash."""
    before = names.setdefault(code, name)
    if before == name or name in before.split(OR):
        return []
    names[code] = f"{before}{OR}{name}"
    return [(column, before, name)]


OR = " or "
NO_CODE_NAMES = CodeNames()


def shown(code: float) -> str:
    """A code that is a number, as text: 103; 1.5."""
    return f"{code:.0f}" if float(code).is_integer() else f"{code:g}"
