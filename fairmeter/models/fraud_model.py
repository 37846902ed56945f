"""The fitted model as it judges: evidence of invoices and of readings -> one Score a client.

In:  FeatureMatrix of invoices (features.py), of readings (reading_model.py), or finished features by name as older scripts
     send them.
Out: a Score each client. Both kinds of evidence: their log-odds add, less the prior's, which both contain.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fairmeter.core.types import INSUFFICIENT_HISTORY, FeatureMatrix, QualityFlag, Score, StoredInvoiceScore, Table
from fairmeter.data.daily import DailyConsumption
from fairmeter.features.readings.covariates import TransformerLosses
from fairmeter.models.ensemble import Ensemble, log_odds_of, probability_of
from fairmeter.models.reading_model import LEAST_DAYS, ReadingModel, onset_day

SHORT_HISTORY = 4  # invoices: a year of them, the least in which a season shows
SHORT_READINGS = 60  # days: with fewer, nothing is left to compare the last month with
CHUNK = 20_000  # clients scored at a time: bounds the memory
KNOWN_ELSEWHERE = frozenset({"client_id", "target", "label"})
# What a client has without one invoice: these alone judge nobody.
OF_THE_ACCOUNT = ("category", "region", "district", "age_months", "n_invoices")

Quality = list[tuple[QualityFlag, ...]]  # of each client


@dataclass(frozen=True)
class FraudModel:
    """What model.bin holds: ensembles on invoices, on older scripts' aggregates, on readings; each may be missing.

    The manifest says which features the model expects ("features"), and of which view it is. Its "threshold" and
    "severities" are for invoices, those in its "readings" for whoever has readings. "fraud_rate" is the prior.
    """

    invoices: Ensemble | None
    aggregates: Ensemble | None
    readings: ReadingModel | None
    manifest: dict

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the cells whose rates the model looks up."""
        rates = self.invoices and self.invoices.inputs.rates
        return () if rates is None else tuple(rates.keys)

    @cached_property
    def _last_on(self) -> int:
        """The column of the last invoice's day."""
        return self.manifest["features"].index("last_invoice_on")

    def evidence_of_readings(self, readings: Table, n_clients: int) -> FeatureMatrix | None:
        """What the model sees of readings (canonical table); None where there are none, or it judges none."""
        if not len(readings["client"]):
            return None
        return self.evidence_of_days(DailyConsumption.from_readings(readings, n_clients))

    def evidence_of_days(self, days: DailyConsumption, losses: TransformerLosses | None = None) -> FeatureMatrix | None:
        """The same of their days, beside what their transformers lost; None where the model judges no readings."""
        if self.readings is None:
            return None
        return self.readings.evidence(days, replace(self.readings.surroundings, losses=losses))

    def probability(
        self, invoices: FeatureMatrix, readings: FeatureMatrix | None = None, earlier: np.ndarray | None = None
    ) -> np.ndarray:
        """Calibrated score of each client; NaN with neither invoices nor enough readings. [0..1]

        earlier: what invoices that are not at hand said, NaN nothing: readings add to it, alone it judges nobody.
        """
        log_odds = self._of_invoices(invoices)
        if self.readings is not None and readings is not None:
            ratio, rate = self.readings.log_ratio(readings), self.manifest["fraud_rate"]
            before = np.where(np.isnan(log_odds), np.log(rate / (1.0 - rate)), log_odds)
            if earlier is not None:
                before = np.where(np.isnan(log_odds) & ~np.isnan(earlier), log_odds_of(earlier), before)
            log_odds = np.where(np.isnan(ratio), log_odds, before + ratio)
        return probability_of(log_odds)

    def _of_invoices(self, evidence: FeatureMatrix) -> np.ndarray:
        out = np.full(len(evidence), np.nan)
        if self.invoices is None:
            return out
        with_invoices = np.flatnonzero(evidence.n_records > 0)
        for start in range(0, len(with_invoices), CHUNK):
            part = with_invoices[start : start + CHUNK]
            whole = len(part) == len(evidence)
            out[part] = self.invoices.log_odds(self.invoices.inputs.matrix(evidence if whole else evidence.of(part)))
        return out

    def judge(
        self,
        invoices: FeatureMatrix,
        client_ids: list[str],
        quality: Quality,
        readings: FeatureMatrix | None = None,
        earlier: Sequence[StoredInvoiceScore | None] | None = None,
    ) -> list[Score]:
        """One Score a client, in their order, with what the tables said of them and what limits the score.

        earlier: of each what its invoices said, where they are not at hand.
        """
        said = None if earlier is None else np.array([np.nan if one is None else one.probability for one in earlier])
        probability = self.probability(invoices, readings, said)
        n_days = np.zeros(len(invoices), np.int64) if readings is None else readings.n_records
        last_on = invoices.features[:, self._last_on]
        onset = np.full(len(invoices), np.nan) if readings is None else onset_day(readings)
        known = zip(client_ids, probability, quality, invoices.n_records, last_on, n_days, onset, strict=True)
        return [
            self._score(client_id, p, (*flags, *self._limits(int(n), last), *self._limits_of_readings(days)), days, day)
            for client_id, p, flags, n, last, days, day in known
        ]

    def judge_aggregates(self, rows: list[dict], client_ids: list[str]) -> list[Score]:
        """Scores of clients given as finished features by name, as older scripts send them.

        Values are numbers that float32 can hold, or None; other names than the ensemble's are flagged and not used.
        """
        if self.aggregates is None:
            flag = QualityFlag("aggregates_unknown", 1, "This model judges no aggregates: send invoices or readings.")
            return [self._score(client_id, np.nan, (flag,)) for client_id in client_ids]
        names = aggregate_names(self)
        matrix = np.array([[_number(row.get(name)) for name in names] for row in rows], dtype=np.float32)
        matrix = matrix.reshape(len(rows), len(names))
        of_use = [i for i, name in enumerate(names) if name not in OF_THE_ACCOUNT]
        is_enough = np.isfinite(matrix[:, of_use]).any(axis=1)
        probability = np.where(is_enough, probability_of(self.aggregates.log_odds(matrix)), np.nan)
        return [
            self._score(client_id, p, _aggregate_flags(row, names))
            for client_id, p, row in zip(client_ids, probability, rows, strict=True)
        ]

    def cuts(self, n_days: int = 0) -> dict:
        """Where threshold and severities of a client with so many days of readings stand."""
        has_readings = self.readings is not None and n_days >= LEAST_DAYS
        return self.manifest["readings"] if has_readings else self.manifest

    def _score(
        self,
        client_id: str,
        probability: float,
        quality: tuple[QualityFlag, ...],
        n_days: int = 0,
        onset: float = np.nan,
    ) -> Score:
        cuts = self.cuts(n_days)
        if np.isnan(probability):
            return Score(client_id, None, INSUFFICIENT_HISTORY, cuts["threshold"], quality=quality)
        severity = severity_of(probability, cuts["severities"])
        is_suspected = probability >= cuts["threshold"] and n_days >= LEAST_DAYS and not np.isnan(onset)
        onset_on = str(np.datetime64(int(onset), "D")) if is_suspected else None
        return Score(client_id, float(probability), severity, cuts["threshold"], (), quality, onset_on)

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

    def _limits_of_readings(self, n_days: int) -> tuple[QualityFlag, ...]:
        if not 0 < n_days < SHORT_READINGS:
            return ()
        use = "too few to judge by" if n_days < LEAST_DAYS else "the score rests on little"
        counted = "1 day" if n_days == 1 else f"{n_days} days"
        return (QualityFlag("short_readings", int(n_days), f"Only {counted} with readings: {use}."),)


def aggregate_names(model: FraudModel) -> list[str]:
    """What the ensemble on aggregates looks at, in its order; the model must have one."""
    return [model.manifest["features"][column] for column in model.aggregates.inputs.columns]


def severity_of(probability: float, cuts: list[dict]) -> str:
    """The highest severity whose cut-off the score reaches; each is a promise of precision measured out of fold."""
    return next((cut["severity"] for cut in cuts if cut["score"] is not None and probability >= cut["score"]), "low")


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
