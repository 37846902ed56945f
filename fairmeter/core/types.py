"""Types that the packages exchange: tables, features, scores and their parts.

A table is a dict of equally long NumPy columns, so that the service needs no data-frame library.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

import numpy as np

Table = dict[str, np.ndarray]

SAME_FACTOR = "same_factor"  # flag of clients whose readings changed alike on one day: the data's fault, no score
TOTAL_ROW = "total_row"  # flag of a row that stands for all clients: it is none
HELD_BACK = frozenset({SAME_FACTOR, TOTAL_ROW})  # flags of clients that their data do not describe: no score
INSUFFICIENT_HISTORY = "insufficient history"
SEVERITIES = ("critical", "high", "medium", "low")


class GroupKeys(NamedTuple):
    """Groups of each client, for target encoding: `counts` keys per client [int64], all keys in a row [uint64]."""

    counts: np.ndarray
    keys: np.ndarray


class InvoiceRows(NamedTuple):
    """Every invoice of each client: `counts` invoices per client [int64], and for all in a row the key of the clients
    read with it [uint64] and its values [float32, (invoices, columns)].
    """

    counts: np.ndarray
    mates: np.ndarray
    values: np.ndarray

    @classmethod
    def concatenated(cls, parts: list["InvoiceRows"]) -> "InvoiceRows":
        """The clients of all parts, in order; at least one part."""
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def of(self, chosen: np.ndarray) -> "InvoiceRows":
        """The invoices of some clients. [mask]"""
        is_kept = np.repeat(chosen, self.counts)
        return InvoiceRows(self.counts[chosen], self.mates[is_kept], self.values[is_kept])


class JudgedClients(NamedTuple):
    """What an ensemble made of clients' features, so that all who ask for it share it.

    ensemble: the one that did; inputs: its members' input [float32, (clients, width)]; log_odds: calibrated [float64].
    Both are NaN for clients without enough records.
    """

    ensemble: object
    inputs: np.ndarray
    log_odds: np.ndarray


@dataclass(frozen=True, slots=True)
class FeatureMatrix:
    """Features of some clients [float32, (clients, features)], the records behind them, and group keys by name.

    n_records: number of invoices or of days with readings per client; 0 where there is nothing to score.
    invoices: every invoice by itself, None where that was not asked for. judged: what an ensemble made of all, None
    where it has not yet.
    """

    features: np.ndarray
    n_records: np.ndarray
    group_keys: dict[str, GroupKeys]
    invoices: InvoiceRows | None = None
    judged: JudgedClients | None = None

    def __len__(self) -> int:
        return len(self.features)

    @classmethod
    def concatenated(cls, parts: list["FeatureMatrix"]) -> "FeatureMatrix":
        """The clients of all parts, in order; at least one part."""
        group_keys = {
            name: GroupKeys(
                *(np.concatenate(columns) for columns in zip(*(part.group_keys[name] for part in parts), strict=True))
            )
            for name in parts[0].group_keys
        }
        return cls(
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.n_records for part in parts]),
            group_keys,
            None if parts[0].invoices is None else InvoiceRows.concatenated([part.invoices for part in parts]),
        )

    def of(self, clients: np.ndarray) -> "FeatureMatrix":
        """The matrix of some clients, in the order of this one. [mask or row numbers]"""
        chosen = np.zeros(len(self), dtype=bool)
        chosen[clients] = True
        group_keys = {
            name: GroupKeys(c.counts[chosen], c.keys[np.repeat(chosen, c.counts)])
            for name, c in self.group_keys.items()
        }
        invoices = None if self.invoices is None else self.invoices.of(chosen)
        judged = self.judged
        if judged is not None:
            judged = judged._replace(inputs=judged.inputs[chosen], log_odds=judged.log_odds[chosen])
        return FeatureMatrix(self.features[chosen], self.n_records[chosen], group_keys, invoices, judged)


@dataclass(frozen=True, slots=True)
class QualityFlag:
    """A named data problem, the number of rows that have it, and a sentence on what was done."""

    flag: str
    n: int
    text: str


@dataclass(frozen=True, slots=True)
class DataIncident:
    """A fault of the data at many clients alike, which says nothing of any of them.

    kind: a name such as "same_factor"; text: a sentence on what was found and done; n_clients: clients that have it;
    since_on: its first day, None where it has none; n_held_back: clients whose scores are held back for it.
    """

    kind: str
    text: str
    n_clients: int
    since_on: date | None = None
    n_held_back: int = 0


@dataclass(frozen=True, slots=True)
class Reason:
    """The contribution of one evidence group to a score. [effect: probability; positive raises the score]"""

    group: str
    effect: float
    text: str


class StoredInvoiceScore(NamedTuple):
    """The invoice-only score of an earlier run, used when the invoices are no longer available.

    value: as Score.value, 0..1; text: the sentence that describes it.
    """

    value: float
    text: str


SUDDEN_SPIKE, LOW_USE, IRREGULAR_HOURS = "sudden spike", "zero or low use", "irregular hours"
GRADUAL_CHANGE, NEIGHBOUR_DEVIATION = "gradual change", "neighbour deviation"
OWN_HISTORY, TAMPERING = "change from own history", "tampering signature"
ANOMALY_PATTERNS = (
    SUDDEN_SPIKE, LOW_USE, IRREGULAR_HOURS, GRADUAL_CHANGE, NEIGHBOUR_DEVIATION, OWN_HISTORY, TAMPERING,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Anomaly:
    """An unusual pattern in a client's consumption or invoices, beside and apart from its score.

    pattern: of ANOMALY_PATTERNS; severity: of SEVERITIES, by how few honest clients reach the strength; since, until:
    ISO dates; strength: times the limit from which it counts, at least 1.
    """

    pattern: str
    severity: str
    since: str
    until: str
    strength: float
    text: str


FITS, DOES_NOT_FIT, CANNOT_TELL = "fits", "does not fit", "cannot tell"


@dataclass(frozen=True, slots=True)
class HarmlessCause:
    """A harmless cause of suspicious consumption, a verdict (FITS, DOES_NOT_FIT, CANNOT_TELL) and its grounds."""

    cause: str
    verdict: str
    text: str


@dataclass(frozen=True, slots=True)
class RecoveryEstimate:
    """Unregistered energy that can be billed if the client steals: most likely value and range. [kWh]

    months: period of the estimate; value: in the currency of the client's tariff, None without a tariff; text: how it
    was estimated.
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
    """Score of one client; probability is None where the history is too short, or where the model claims ranks only.

    rank_share: share of the training clients with a lower score [0..1], rank: the client's place among them; both only
    of a model without labels, whose scores are no probabilities (models/ranks.py), and which expects no recovery. In a
    run whose clients are too far from those in training, they are places among the run's clients, and `withheld` is the
    probability that is not claimed; later readings add to it (scoring/run_claims.py).
    The client is suspected when its probability, or else its rank_share, reaches the threshold. `onset_on` is then the
    most likely first day of the change in its readings, if it has any. The effects of `reasons` sum to probability -
    `typical`, the probability of a typical client. `explanations` are harmless causes. `recovery` is what an inspection
    yields if the client steals; None where it cannot be estimated. `anomalies` say what is unusual, theft or not.
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
    rank_share: float | None = None
    rank: int | None = None
    withheld: float | None = None
    anomalies: tuple[Anomaly, ...] = field(default=())

    @property
    def value(self) -> float | None:
        """What clients are ordered by: the probability, or the rank_share of a model without labels. [0..1]"""
        return self.rank_share if self.probability is None else self.probability

    @property
    def model_value(self) -> float | None:
        """What the model gave, to which later readings add: the value, or the withheld probability. [0..1]"""
        return self.value if self.withheld is None else self.withheld

    @property
    def is_suspected(self) -> bool:
        """Whether the score reaches the threshold."""
        return self.value is not None and self.value >= self.threshold

    @property
    def percentile(self) -> float | None:
        """The rank_share as a percentage; None where the score is a probability. [0..100]"""
        return None if self.rank_share is None else 100.0 * self.rank_share

    @property
    def main_reason(self) -> Reason | None:
        """The reason that raises the score most; without one, the reason with the largest effect."""
        return next((reason for reason in self.reasons if reason.effect > 0), next(iter(self.reasons), None))

    @property
    def expected_recovery_kwh(self) -> float | None:
        """Expected recovery of an inspection: probability times energy at stake. [kWh]"""
        return None if self.recovery is None or self.probability is None else self.probability * self.recovery.kwh


@dataclass(frozen=True, slots=True)
class EnergyBalance:
    """Energy balance of a transformer in the last 90 days, over the days on which enough meters were read. [kWh]

    n_clients: clients with an open account; n_read: clients whose meters were read; n_days: days of the balance.
    lost_kwh: delivered - technical losses - registered - estimated. Shares are of the delivered energy and None with
    too few days: lost, its 95 % interval, and lost on the same days a year before. since_on: first day of the week
    since which energy is lost, where the loss is significant. Weeks are sums over days of the balance from weeks_from
    on, None with too few days. lost_days: loss of each of those days [float32, NaN where not computed], a feature of
    the transformer's clients; equality ignores it.
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
