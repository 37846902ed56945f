"""Moments of EDIFACT -> ISO texts.

In:  the text and the format code of a DTM: 303 with its zone, 203 without, 102 a date.
Out: "2026-03-31T22:00:00Z" of a moment with a zone, otherwise the clock on the wall without one.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

PATTERNS = {"102": "%Y%m%d", "203": "%Y%m%d%H%M", "204": "%Y%m%d%H%M%S", "303": "%Y%m%d%H%M"}


def moment_of(text: str, code: str) -> str:
    """ISO text of a moment. Raises ValueError."""
    if code not in PATTERNS:
        raise ValueError(code)
    wall = text[:12] if code == "303" else text
    moment = datetime.strptime(wall, PATTERNS[code])
    if code != "303":
        return moment.isoformat()
    offset = int(text[12:] or 0)  # hours; without one it is UTC
    return f"{(moment - timedelta(hours=offset)).isoformat()}Z"


def minutes_between(begin: str, end: str) -> str:
    """The minutes from one ISO text to another; empty if they are not of one clock."""
    if begin.endswith("Z") != end.endswith("Z"):
        return ""
    span = _moment(end) - _moment(begin)
    return f"{span.total_seconds() / 60:g}"


@lru_cache(maxsize=2**17)
def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
