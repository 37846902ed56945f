"""The nouns that cross rooms. No room computes here.

A table is a dict of equally long NumPy columns: it needs no data-frame library, so the server can do without one.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple

import numpy as np

Table = dict[str, np.ndarray]

INSUFFICIENT_HISTORY = "insufficient history"
SEVERITIES = ("critical", "high", "medium", "low")


class GroupKeys(NamedTuple):
    """What clients share with neighbours: `counts` keys a client [int64], the keys one after the other [uint64]."""

    counts: np.ndarray
    keys: np.ndarray


@dataclass(frozen=True, slots=True)
class FeatureMatrix:
    """What is known of some clients: features [float32, (clients, features)], how much they rest on, cells by name.

    n_records: a client's invoices, or its days with readings; 0 where there is nothing to judge by.
    """

    features: np.ndarray
    n_records: np.ndarray
    cells: dict[str, GroupKeys]

    def __len__(self) -> int:
        return len(self.features)

    @classmethod
    def concatenated(cls, parts: list["FeatureMatrix"]) -> "FeatureMatrix":
        cells = {
            name: GroupKeys(
                *(np.concatenate(columns) for columns in zip(*(part.cells[name] for part in parts), strict=True))
            )
            for name in parts[0].cells
        }
        return cls(
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.n_records for part in parts]),
            cells,
        )

    def of(self, clients: np.ndarray) -> "FeatureMatrix":
        """The evidence of some clients. [mask or row numbers, ascending]"""
        keep = np.zeros(len(self), dtype=bool)
        keep[clients] = True
        cells = {name: GroupKeys(c.counts[keep], c.keys[np.repeat(keep, c.counts)]) for name, c in self.cells.items()}
        return FeatureMatrix(self.features[keep], self.n_records[keep], cells)


@dataclass(frozen=True, slots=True)
class QualityFlag:
    """A named data problem, how many rows have it, and what was done about it."""

    flag: str
    n: int
    text: str


@dataclass(frozen=True, slots=True)
class Reason:
    """One evidence group's part in a score. [effect: in probability, above 0 raises the score]"""

    group: str
    effect: float
    text: str


class StoredInvoiceScore(NamedTuple):
    """What a client's invoices said by themselves when they were scored, where they are not at hand any more.

    probability: 0..1; text: the sentence that tells it.
    """

    probability: float
    text: str


FITS, DOES_NOT_FIT, CANNOT_TELL = "fits", "does not fit", "cannot tell"


@dataclass(frozen=True, slots=True)
class HarmlessCause:
    """A harmless cause of what looks suspicious; whether it fits (FITS, DOES_NOT_FIT, CANNOT_TELL), on what ground."""

    cause: str
    verdict: str
    text: str


@dataclass(frozen=True, slots=True)
class RecoveryEstimate:
    """What may be billed back if the client steals: energy not registered, most likely and from low to high. [kWh]

    months: that it is counted over; value: in the currency of the client's tariff, None without one; text: how it was
    estimated.
    """

    kwh: float
    low_kwh: float
    high_kwh: float
    months: float
    text: str
    value: float | None = None


INSPECT_NOW, NEXT_ROUND, WATCH, NOT_ENOUGH = "inspect now", "next round", "watch", "not enough to say"


@dataclass(frozen=True, slots=True)
class Score:
    """What the model says of one client; probability is None where there is too little to judge.

    The client is suspected when its probability reaches the threshold; onset_on is then the most likely first day of
    the change in its readings, where it has some. `reasons` sum to probability less `typical`, the typical client's.
    `recovery` is what the visit brings if the client steals; None where nothing can be estimated.
    """

    client_id: str
    probability: float | None
    severity: str
    threshold: float
    reasons: tuple[Reason, ...] = field(default=())
    quality: tuple[QualityFlag, ...] = field(default=())
    onset_on: str | None = None
    typical: float | None = None
    explanations: tuple[HarmlessCause, ...] = field(default=())
    recovery: RecoveryEstimate | None = None
    recommendation: str | None = None

    @property
    def main_reason(self) -> Reason | None:
        """What raises the score most; where nothing does, what moves it most."""
        return next((reason for reason in self.reasons if reason.effect > 0), next(iter(self.reasons), None))

    @property
    def expected_recovery_kwh(self) -> float | None:
        """Energy that the visit is expected to bring back: probability times what is at stake. [kWh]"""
        return None if self.recovery is None or self.probability is None else self.probability * self.recovery.kwh


@dataclass(frozen=True, slots=True)
class EnergyBalance:
    """Where a transformer's energy went in the last 90 days, over those on which enough meters were read. [kWh]

    n_clients: with an open account; n_read: whose meters were read; n_days: judged. lost_kwh: delivered less technical
    losses, registered and estimated. Shares are of what was delivered, None where too few days were judged: lost, its
    95 % band, and the same days a year before. since_on: the first day of the week since when energy is lost, where it
    surely is. Weeks: sums of the judged days, from weeks_from on, None where these are too few. lost_days: of the same
    days each [float32, NaN not judged], for its clients' scores; two records that differ in it alone are equal.
    """

    transformer_id: str
    until_on: date
    n_clients: int
    n_read: int
    n_days: int
    delivered_kwh: float
    losses_kwh: float
    registered_kwh: float
    estimated_kwh: float
    lost_kwh: float
    lost_share: float | None
    low_share: float | None
    high_share: float | None
    before_share: float | None
    since_on: date | None = None
    region: float | None = None
    latitude: float | None = None
    longitude: float | None = None
    weeks_from: date | None = None
    delivered_weeks: tuple[float | None, ...] = ()
    lost_weeks: tuple[float | None, ...] = ()
    lost_days: np.ndarray | None = field(default=None, compare=False, repr=False)


# --- the desk ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Alert:
    """The system says: look at this client. One open alert a client; scoring again updates it.

    state: open, in case (somebody works on it), lapsed (nothing speaks for it any more). rules: which rules raised it,
    each {"rule", "severity", "sentence", "fact", "value", "limit"}; the score itself is the rule "score".
    """

    alert_id: int
    client_id: str
    severity: str
    state: str
    rules: tuple[dict, ...]
    raised_at: datetime
    updated_at: datetime
    region: float | None = None
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A person's work on a client. version: the number of its moves; who moves it says which version they saw."""

    case_id: int
    client_id: str
    state: str
    version: int
    severity: str
    opened_by: str
    opened_at: datetime
    updated_at: datetime
    assignee: str | None = None
    outcome: str | None = None
    closed_at: datetime | None = None
    alert_id: int | None = None
    is_random: bool = False
    region: float | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """One change of a case's state: who, when, why. seq counts all moves, version those of the case."""

    seq: int
    case_id: int
    version: int
    from_state: str | None
    to_state: str
    user: str
    why: str
    assignee: str | None
    outcome: str | None
    at: datetime
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """A visit and its outcome, with what was known of the client when its case was opened.

    recovered_kwh, recovered_value: billed after confirmation; photos: file names.
    """

    inspection_id: int
    case_id: int | None
    client_id: str
    inspected_on: date
    outcome: str
    user: str
    is_random: bool
    recorded_at: datetime
    note: str = ""
    recovered_kwh: float | None = None
    recovered_value: float | None = None
    photos: tuple[str, ...] = ()
    severity: str | None = None
    probability: float | None = None
    reason_group: str | None = None
    region: float | None = None


class ChainBreak(NamedTuple):
    """The first move of the chain that is not as it was written, and what is wrong with it."""

    seq: int
    text: str
