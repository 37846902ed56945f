"""EDIFACT files -> segments, whatever separators they use.

In:  bytes that may begin with UNA and the separators; otherwise : + . ? ' are those.
Out: segments with the line on which each begins, split into elements and components where they are needed.
"""

import io
import re
from collections.abc import Iterator
from typing import NamedTuple

from fairmeter.data.files import DamagedFile, TableFile

CHUNK = 2**18  # characters
HIDDEN = 0xE000  # of the private use area: no character of ISO 8859 is there
SHOWN = {HIDDEN + code: chr(code) for code in range(256)}
MAX_SEGMENT = 2**16  # characters; a segment has some hundred


class Separators(NamedTuple):
    """The characters that a UNA segment states, in its order."""

    component: str = ":"
    element: str = "+"
    mark: str = "."
    release: str = "?"
    reserved: str = " "
    end: str = "'"

    def split(self, segment: str) -> list[list[str]]:
        """Elements with their components. What follows a release character separates nothing."""
        if self.release not in segment:
            return [element.split(self.component) for element in segment.split(self.element)]
        hidden = re.sub(re.escape(self.release) + "(.)", lambda found: chr(HIDDEN + ord(found[1])), segment)
        return [
            [component.translate(SHOWN) for component in element.split(self.component)]
            for element in hidden.split(self.element)
        ]


def separators_of(source: TableFile) -> Separators:
    """What the file's UNA states, or the usual ones."""
    with source.open() as stream:
        start = stream.read(64).decode("latin-1").removeprefix("ï»¿").lstrip()
    return Separators(*start[3:9]) if start.startswith("UNA") and len(start) >= 9 else Separators()


def segments_of(source: TableFile, separators: Separators) -> Iterator[tuple[int, str]]:
    """(line, segment) without its end. Raises DamagedFile where the last one does not end."""
    text = io.TextIOWrapper(source.open(), encoding="latin-1", newline="")
    line, rest, is_first = 1, "", True
    while chunk := text.read(CHUNK):
        *parts, rest = (rest + chunk).split(separators.end)
        held = ""
        for part in parts:
            segment = held + part
            if _is_released(segment, separators.release):
                held = segment + separators.end
                continue
            held = ""
            begins = line
            if "\n" in segment:
                begins += segment[: len(segment) - len(segment.lstrip())].count("\n")
                line += segment.count("\n")
            if not (is_first and "UNA" in segment[:6]):
                yield begins, segment.strip()
            is_first = False
        rest = held + rest
        if len(rest) > MAX_SEGMENT:
            raise DamagedFile(f"{source}, line {line:,}: a segment without an end; it is no EDIFACT, or damaged.")
    if rest.strip():
        raise DamagedFile(
            f"{source}, line {line:,}: ends within the segment {rest.strip()[:30]!r}; download the file again."
        )


def _is_released(segment: str, release: str) -> bool:
    """Whether the separator after it is part of a value: after an odd number of release characters."""
    return segment[-1:] == release != " " and (len(segment) - len(segment.rstrip(release))) % 2 == 1
