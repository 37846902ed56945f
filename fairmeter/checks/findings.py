"""What a check found wrong: the level, the table, a sentence, and the line of the map that mends it."""

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from fairmeter.core.types import QualityFlag


class CheckLevel(IntEnum):
    """How much a finding matters; the number is the exit code of a check whose worst finding it is."""

    FINE = 0
    LOOK = 1
    UNUSABLE = 2


class CheckFinding(NamedTuple):
    """One finding.

    table: "clients", "invoices", "readings", "files"; text: a Phrase, but of a file that cannot be read English; line:
    for the map, where one mends it; flag: that the finding is about.
    """

    level: CheckLevel
    table: str
    text: str
    line: str | None = None
    flag: QualityFlag | None = None


def exit_code(findings: Iterable[CheckFinding]) -> int:
    """0 fine, 1 to be looked at, 2 cannot be used."""
    return max((finding.level for finding in findings), default=CheckLevel.FINE).value
