"""The fitted model as it serves: evidence -> the members' input -> log-odds of each member -> one calibrated score.

In:  Evidence (features.py).
Out: Score a client. NumPy and ONNX Runtime only; fitting.py makes these objects, model_file.py keeps them.
"""

from dataclasses import dataclass

import numpy as np

from fraud import onnx_graphs
from fraud.detectors import Detectors
from fraud.neighbours import CellRates
from fraud.peers import Peers
from fraud.records import INSUFFICIENT_HISTORY, Evidence, QualityFlag, Score

SHORT_HISTORY = 4  # invoices: a year of them, the least in which a season shows
CHUNK = 20_000  # clients scored at a time: bounds the memory
KNOWN_ELSEWHERE = frozenset({"client_id", "target", "label"})


@dataclass(frozen=True)
class Inputs:
    """Evidence -> what the members see: chosen features, neighbours' rates, deviations from peers, detectors' scores."""

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


@dataclass(frozen=True)
class Ensemble:
    """Members stacked by a logistic regression on their log-odds; its output is calibrated by `knots`."""

    inputs: Inputs
    graphs: dict[str, bytes]
    weights: np.ndarray
    intercept: float
    knots: np.ndarray
    heights: np.ndarray

    def member_log_odds(self, matrix: np.ndarray) -> np.ndarray:
        """[float64, (clients, members)]"""
        return np.stack([onnx_graphs.run(graph, matrix)[:, 0] for graph in self.graphs.values()], axis=1).astype(np.float64)

    def log_odds(self, matrix: np.ndarray) -> np.ndarray:
        return calibrated(self.member_log_odds(matrix) @ self.weights + self.intercept, self.knots, self.heights)

    def probability(self, evidence: Evidence) -> np.ndarray:
        return probability_of(self.log_odds(self.inputs.matrix(evidence)))


def calibrated(log_odds: np.ndarray, knots: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Straight lines between the knots, parallel to the identity beyond them: order is never changed."""
    inside = np.interp(log_odds, knots, heights)
    return inside + np.minimum(log_odds - knots[0], 0.0) + np.maximum(log_odds - knots[-1], 0.0)


def probability_of(log_odds: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(log_odds, -40.0, 40.0)))


@dataclass(frozen=True)
class FraudModel:
    """What model.bin holds: the ensemble on invoices, the one on older scripts' aggregates, and the manifest."""

    invoices: Ensemble
    aggregates: Ensemble
    manifest: dict

    @property
    def threshold(self) -> float:
        return self.manifest["threshold"]

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
        limits = zip(evidence.n_invoices, last_on, strict=True)
        return [
            self._score(client_id, p, (*flags, *self._limits(int(n), last)))
            for client_id, p, flags, (n, last) in zip(client_ids, self.probability(evidence), quality, limits, strict=True)
        ]

    def judge_aggregates(self, rows: list[dict], client_ids: list[str]) -> list[Score]:
        """Scores of clients given as finished features by name, as older scripts send them. Values are numbers or None."""
        names = self.manifest["features"]
        at = {names[column]: i for i, column in enumerate(self.aggregates.inputs.columns)}
        matrix = np.full((len(rows), len(at)), np.nan, dtype=np.float32)
        for i, row in enumerate(rows):
            for name, value in row.items():
                if name in at and value is not None:
                    matrix[i, at[name]] = value
        probabilities = probability_of(self.aggregates.log_odds(matrix))
        return [
            self._score(client_id, float(p) if np.isfinite(found).any() else np.nan, _aggregate_flags(row, at))
            for client_id, p, row, found in zip(client_ids, probabilities, rows, matrix, strict=True)
        ]

    def _score(self, client_id: str, probability: float, quality: tuple[QualityFlag, ...]) -> Score:
        if np.isnan(probability):
            return Score(client_id, None, INSUFFICIENT_HISTORY, quality=quality)
        return Score(client_id, float(probability), self.severity(probability), quality=quality)

    def severity(self, probability: float) -> str:
        """The highest severity whose cut-off the score reaches; each is a promise of precision measured out of fold."""
        cuts = self.manifest["severities"]
        return next((cut["severity"] for cut in cuts if cut["score"] is not None and probability >= cut["score"]), "low")

    def _limits(self, n: int, last_on: float) -> tuple[QualityFlag, ...]:
        if n == 0:
            return ()
        flags = []
        if n < SHORT_HISTORY:
            flags.append(QualityFlag("short_history", n, f"Only {n} invoices: the score rests on little."))
        if last_on < self.manifest["active_from"]:
            since = np.datetime64(int(last_on), "D")
            flags.append(QualityFlag("inactive", 1, f"The last invoice is of {since}: the model was trained on accounts that go on longer."))
        return tuple(flags)


def _aggregate_flags(row: dict, known: dict[str, int]) -> tuple[QualityFlag, ...]:
    unknown = sorted(name for name in row if name not in known and name not in KNOWN_ELSEWHERE)
    missing = [name for name in known if row.get(name) is None]
    flags = [QualityFlag("aggregates_only", 1, "Scored from aggregates: send the invoices for a sharper score.")]
    if unknown:
        flags.append(QualityFlag("unknown_fields", len(unknown), f"Not used: {', '.join(name[:40] for name in unknown[:5])}."))
    if missing:
        flags.append(QualityFlag("missing_aggregates", len(missing), f"{len(missing)} of {len(known)} aggregates are not given."))
    return tuple(flags)
