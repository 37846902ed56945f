"""The nouns that cross rooms. No room computes here.

A table is a dict of equally long NumPy columns: it needs no data-frame library, so the server can do without one.
"""

from dataclasses import dataclass, field

import numpy as np

Table = dict[str, np.ndarray]

INSUFFICIENT_HISTORY = "insufficient history"
SEVERITIES = ("critical", "high", "medium", "low")


@dataclass(frozen=True, slots=True)
class QualityFlag:
    """A named data problem, how many rows have it, and what was done about it."""

    flag: str
    n: int
    text: str


@dataclass(frozen=True, slots=True)
class Reason:
    """One evidence group's part in a score. [effect: log-odds, above 0 raises the score]"""

    group: str
    effect: float
    text: str


@dataclass(frozen=True, slots=True)
class Score:
    """What the model says of one client; probability is None where there is too little to judge."""

    client_id: str
    probability: float | None
    severity: str
    reasons: tuple[Reason, ...] = field(default=())
    quality: tuple[QualityFlag, ...] = field(default=())
