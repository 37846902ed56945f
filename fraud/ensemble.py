"""The fitted model as it serves: evidence -> the members' input -> log-odds of each member -> one calibrated score.

In:  Evidence (features.py), or finished features by name as older scripts send them.
Out: a Score each client. NumPy and ONNX Runtime only; fitting.py makes these objects, model_file.py keeps them.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fraud.detectors import Detectors
from fraud.neighbours import CellRates
from fraud.peers import Peers
from fraud.records import INSUFFICIENT_HISTORY, Evidence, QualityFlag, Score

SHORT_HISTORY = 4  # invoices: a year of them, the least in which a season shows
CHUNK = 20_000  # clients scored at a time: bounds the memory
KNOWN_ELSEWHERE = frozenset({"client_id", "target", "label"})
# What a client has without one invoice: these alone judge nobody.
OF_THE_ACCOUNT = ("category", "region", "district", "age_months", "n_invoices")


@dataclass(frozen=True)
class Inputs:
    """Evidence -> what the members see: chosen features, neighbours' rates, deviations from peers, detectors' scores.

    `names` are the members' columns, `columns` the places of the chosen features among all.
    """

    names: tuple[str, ...]
    columns: np.ndarray
    rates: CellRates | None
    peers: Peers | None
    detectors: Detectors | None

    def matrix(self, evidence: Evidence, rates: np.ndarray | None = None) -> np.ndarray:
        """[float32, (clients, len(names))]; `rates` replaces the fitted ones by those out of fold, in training."""
        parts = [evidence.features[:, self.columns]]
        if self.rates is not None:
            parts.append(self.rates.columns(evidence.cells) if rates is None else rates)
        if self.peers is not None:
            parts.append(self.peers.deviations(evidence.features))
        if self.detectors is not None:
            parts.append(self.detectors.scores(evidence.features))
        return np.ascontiguousarray(np.concatenate(parts, axis=1), dtype=np.float32)


class Member(Protocol):
    """A fitted member as it serves: OnnxTrees or SymmetricTrees."""

    def values(self, matrix: np.ndarray) -> np.ndarray:
        """Log-odds of fraud. [float32, (clients, width) -> float64, (clients,)]"""


@dataclass(frozen=True)
class Ensemble:
    """Members stacked by a logistic regression on their log-odds; `knots` and `heights` calibrate what comes out."""

    inputs: Inputs
    members: dict[str, Member]
    weights: np.ndarray
    intercept: float
    knots: np.ndarray
    heights: np.ndarray

    def member_log_odds(self, matrix: np.ndarray) -> np.ndarray:
        """Each member's log-odds of fraud. [float64, (clients, members)]"""
        return np.stack([member.values(matrix) for member in self.members.values()], axis=1)

    def log_odds(self, matrix: np.ndarray) -> np.ndarray:
        """Calibrated log-odds of fraud, from the members' input. [float64, one a client]"""
        # Not a matrix product: its last bit would depend on how many clients are scored together.
        stacked = (self.member_log_odds(matrix) * self.weights).sum(axis=1) + self.intercept
        return calibrated(stacked, self.knots, self.heights)

    def probability(self, evidence: Evidence) -> np.ndarray:
        """Calibrated probability of fraud, whatever is missing. [0..1, one a client]"""
        return probability_of(self.log_odds(self.inputs.matrix(evidence)))


def calibrated(log_odds: np.ndarray, knots: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Straight lines between the knots, parallel to the identity beyond them: order is never changed."""
    inside = np.interp(log_odds, knots, heights)
    return inside + np.minimum(log_odds - knots[0], 0.0) + np.maximum(log_odds - knots[-1], 0.0)


def probability_of(log_odds: np.ndarray) -> np.ndarray:
    """[0..1]; beyond 40 the exponential gains nothing and would overflow."""
    return 1.0 / (1.0 + np.exp(-np.clip(log_odds, -40.0, 40.0)))


@dataclass(frozen=True)
class FraudModel:
    """What model.bin holds: the ensemble on invoices, the one on older scripts' aggregates, and the manifest.

    The manifest says which features the model expects ("features"), the threshold, the severities' cut-offs, the view.
    """

    invoices: Ensemble
    aggregates: Ensemble
    manifest: dict

    @property
    def threshold(self) -> float:
        """A client is suspected when its score reaches this. [0..1]"""
        return self.manifest["threshold"]

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the cells whose rates the model looks up."""
        rates = self.invoices.inputs.rates
        return () if rates is None else tuple(rates.keys)

    def probability(self, evidence: Evidence) -> np.ndarray:
        """Calibrated score of each client; NaN without invoices. [0..1]"""
        out = np.full(len(evidence), np.nan)
        with_invoices = np.flatnonzero(evidence.n_invoices > 0)
        for start in range(0, len(with_invoices), CHUNK):
            part = with_invoices[start : start + CHUNK]
            whole = len(part) == len(evidence)
            out[part] = self.invoices.probability(evidence if whole else evidence.of(part))
        return out

    def judge(self, evidence: Evidence, client_ids: list[str], quality: list[tuple[QualityFlag, ...]]) -> list[Score]:
        """One Score a client, in their order, with what the tables said of them and what limits the score."""
        last_on = evidence.features[:, self.manifest["features"].index("last_invoice_on")]
        known = zip(client_ids, self.probability(evidence), quality, evidence.n_invoices, last_on, strict=True)
        return [
            self._score(client_id, probability, (*flags, *self._limits(int(n), last)))
            for client_id, probability, flags, n, last in known
        ]

    def judge_aggregates(self, rows: list[dict], client_ids: list[str]) -> list[Score]:
        """Scores of clients given as finished features by name, as older scripts send them.

        Values are numbers that float32 can hold, or None; other names than the ensemble's are flagged and not used.
        """
        names = [self.manifest["features"][column] for column in self.aggregates.inputs.columns]
        matrix = np.array([[_number(row.get(name)) for name in names] for row in rows], dtype=np.float32)
        matrix = matrix.reshape(len(rows), len(names))
        of_use = [i for i, name in enumerate(names) if name not in OF_THE_ACCOUNT]
        is_enough = np.isfinite(matrix[:, of_use]).any(axis=1)
        probability = np.where(is_enough, probability_of(self.aggregates.log_odds(matrix)), np.nan)
        return [
            self._score(client_id, p, _aggregate_flags(row, names))
            for client_id, p, row in zip(client_ids, probability, rows, strict=True)
        ]

    def _score(self, client_id: str, probability: float, quality: tuple[QualityFlag, ...]) -> Score:
        if np.isnan(probability):
            return Score(client_id, None, INSUFFICIENT_HISTORY, quality=quality)
        return Score(client_id, float(probability), self.severity(probability), quality=quality)

    def severity(self, probability: float) -> str:
        """The highest severity whose cut-off the score reaches; each is a promise of precision measured out of fold."""
        cuts = self.manifest["severities"]
        return next(
            (cut["severity"] for cut in cuts if cut["score"] is not None and probability >= cut["score"]), "low"
        )

    def _limits(self, n: int, last_on: float) -> tuple[QualityFlag, ...]:
        """What the reader of a score should know of it. [n: invoices, last_on: days since 1970]"""
        flags = []
        if 0 < n < SHORT_HISTORY:
            counted = "1 invoice" if n == 1 else f"{n} invoices"
            flags.append(QualityFlag("short_history", n, f"Only {counted}: the score rests on little."))
        if self.manifest["view"] == "prospective" and last_on < self.manifest["active_from"]:
            since = f"The last invoice is of {np.datetime64(int(last_on), 'D')}"
            flags.append(QualityFlag("inactive", 1, f"{since}: the model was trained on accounts that go on longer."))
        return tuple(flags)


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _aggregate_flags(row: dict, names: list[str]) -> tuple[QualityFlag, ...]:
    unknown = sorted(name for name in row if name not in names and name not in KNOWN_ELSEWHERE)
    n_missing = sum(row.get(name) is None for name in names)
    flags = [QualityFlag("aggregates_only", 1, "Scored from aggregates: send the invoices for a sharper score.")]
    if unknown:
        named = ", ".join(name[:40] for name in unknown[:5])
        flags.append(QualityFlag("unknown_fields", len(unknown), f"Not used: {named}."))
    if n_missing:
        text = f"{n_missing} of {len(names)} aggregates are not given."
        flags.append(QualityFlag("missing_aggregates", n_missing, text))
    return tuple(flags)
