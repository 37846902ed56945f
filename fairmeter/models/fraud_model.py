"""Fitted fraud model: features of invoices and of readings -> one Score a client.

In:  FeatureMatrix of invoices and of readings, or finished features by name as older scripts send them.
Out: a Score for each client. With both kinds of features their log-odds add up, less those of the prior, which both
     contain. A model without labels gives places among its training clients instead (ranks.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fairmeter.core.claims import claims_probability, joint_thresholds
from fairmeter.core.code_names import CodeNames
from fairmeter.core.types import (
    HELD_BACK,
    INSUFFICIENT_HISTORY,
    FeatureMatrix,
    QualityFlag,
    Score,
    StoredInvoiceScore,
    Table,
)
from fairmeter.data.daily import DailyConsumption
from fairmeter.features.invoices.invoice_rows import INVOICE_ROWS
from fairmeter.features.readings.covariates import TransformerLosses
from fairmeter.models import ranks
from fairmeter.models.ensemble import Ensemble, log_odds_of, probability_of
from fairmeter.models.reading_model import MIN_DAYS, ReadingModel, onset_day

SHORT_HISTORY = 4  # invoices: with fewer there is no full year, and no season
SHORT_READING_DAYS = 60  # days: with fewer, the last month has nothing to be compared with
MONTHLY = "elec_monthly_mean"  # [kWh]
FAR_BEYOND = 100.0  # times what nine of ten training clients use at most: as if written in Wh
CHUNK = 20_000  # clients scored at a time, to limit the memory
IGNORED_FIELDS = frozenset({"client_id", "target", "label"})
# A client has these without any invoice, so they are not enough for a score.
ACCOUNT_FEATURES = ("category", "region", "district", "age_months", "n_invoices")

Quality = list[tuple[QualityFlag, ...]]  # one tuple a client


@dataclass(frozen=True)
class FraudModel:
    """Content of model.bin: ensembles on invoices, on aggregates of older scripts, and on readings; each may be None.

    The manifest names the expected features ("features") and the view. Its "threshold" and "severities" are those of
    invoices, those in its "readings" of readings; one scale for all clients follows (core/claims.py). "fraud_rate" is
    the prior. "ranks" are those of the training clients' scores, of a model without labels. sha256: of the file that it
    was read from.
    """

    invoices: Ensemble | None
    aggregates: Ensemble | None
    readings: ReadingModel | None
    manifest: dict
    sha256: str | None = None

    @cached_property
    def claims_probability(self) -> bool:
        """Whether scores are probabilities; a model that was trained without labels claims ranks only."""
        return claims_probability(self.manifest)

    @property
    def prior(self) -> float:
        """Share of frauds among the clients that are scored; a half where no label says one. [0..1]"""
        return self.manifest.get("fraud_rate", 0.5)

    @property
    def group_key_names(self) -> tuple[str, ...]:
        """Names of the group keys that the target encoding needs, and INVOICE_ROWS if single invoices are."""
        if self.invoices is None:
            return ()
        inputs = self.invoices.inputs
        names = () if inputs.rates is None else tuple(inputs.rates.keys)
        return names if inputs.invoices is None else (*names, INVOICE_ROWS)

    def judge(
        self, invoices: FeatureMatrix, readings: FeatureMatrix | None
    ) -> tuple[FeatureMatrix, FeatureMatrix | None]:
        """The features with what the ensembles make of them, so that score, reasons and drift share it."""
        if self.invoices is not None:
            invoices = self.invoices.judge(invoices)
        if self.readings is not None and readings is not None:
            readings = self.readings.ensemble.judge(readings, MIN_DAYS)
        return invoices, readings

    @cached_property
    def code_names(self) -> CodeNames:
        """Names of the codes of the training data that were texts; none in older models."""
        return CodeNames.from_json(self.manifest.get("code_names"))

    @cached_property
    def feature_places(self) -> dict[str, int]:
        """Number of each feature of invoices by its name."""
        return {name: i for i, name in enumerate(self.manifest["features"])}

    @cached_property
    def _last_on(self) -> int:
        """Number of the feature that holds the day of the last invoice."""
        return self.manifest["features"].index("last_invoice_on")

    @cached_property
    def _most_usual(self) -> tuple[int, float]:
        """Number of the feature of monthly consumption, and what nine of ten training clients use at most. [kWh]"""
        features, invoices = self.manifest["features"], self.invoices
        number = features.index(MONTHLY) if MONTHLY in features else -1
        if invoices is None or invoices.fingerprint is None or number not in invoices.inputs.columns:
            return number, np.inf
        edges = invoices.fingerprint.edges[list(invoices.inputs.columns).index(number)]
        return number, max(edges[np.isfinite(edges)].tolist(), default=np.inf)

    def features_from_readings(self, readings: Table, n_clients: int) -> FeatureMatrix | None:
        """Input of the ensemble on readings (canonical table); None without readings or without such an ensemble."""
        if not len(readings["client"]):
            return None
        return self.features_from_days(DailyConsumption.from_readings(readings, n_clients))

    def features_from_days(
        self, days: DailyConsumption, losses: TransformerLosses | None = None
    ) -> FeatureMatrix | None:
        """Input of the ensemble on readings by day; None without such an ensemble.

        losses: losses of the clients' transformers, by day.
        """
        if self.readings is None:
            return None
        return self.readings.features(days, replace(self.readings.surroundings, losses=losses))

    def probability(
        self, invoices: FeatureMatrix, readings: FeatureMatrix | None = None, stored: np.ndarray | None = None
    ) -> np.ndarray:
        """Calibrated score of each client; NaN with neither invoices nor enough readings. [0..1]

        stored: scores from invoices that are no longer available, NaN if none. Readings add to them; a stored score
        alone gives no score.
        """
        log_odds = self._invoice_log_odds(invoices)
        if self.readings is not None and readings is not None:
            ratio, rate = self.readings.log_ratio(readings), self.prior
            before = np.where(np.isnan(log_odds), np.log(rate / (1.0 - rate)), log_odds)
            if stored is not None:
                before = np.where(np.isnan(log_odds) & ~np.isnan(stored), log_odds_of(stored), before)
            log_odds = np.where(np.isnan(ratio), log_odds, before + ratio)
        return probability_of(log_odds)

    def values(
        self, invoices: FeatureMatrix, readings: FeatureMatrix | None = None, stored: np.ndarray | None = None
    ) -> np.ndarray:
        """What clients are ordered by: `probability`, or the rank share of a model without labels. [0..1]"""
        of = self.probability if self.claims_probability else self.rank_share
        return of(invoices, readings, stored)

    def rank_share(
        self, invoices: FeatureMatrix, readings: FeatureMatrix | None = None, stored: np.ndarray | None = None
    ) -> np.ndarray:
        """Share of the training clients with a lower score; the mean of both shares with invoices and readings. [0..1]

        NaN and stored: as in `probability`.
        """
        shares = self._lower_share("invoices", self._invoice_log_odds(invoices))
        if self.readings is None or readings is None:
            return shares
        by_readings = self._lower_share("readings", self.readings.log_ratio(readings))
        before = shares if stored is None else np.where(np.isnan(shares), stored, shares)
        both = np.where(np.isnan(before), by_readings, (before + by_readings) / 2.0)
        return np.where(np.isnan(by_readings), shares, both)

    def _lower_share(self, part: str, log_odds: np.ndarray) -> np.ndarray:
        return ranks.lower_share(log_odds, *self._rank_references.get(part, (None, None)))

    @cached_property
    def _rank_references(self) -> dict[str, tuple]:
        """By part, the quantiles of its training clients and its drift reference; of readings, without their prior."""
        found, given = {}, self.manifest.get("ranks") or {}
        if self.invoices is not None:
            found["invoices"] = given.get("invoices"), self.invoices.fingerprint
        if self.readings is not None:
            found["readings"] = given.get("readings"), self.readings.ensemble.fingerprint
        return found

    @cached_property
    def _n_ranked(self) -> int:
        return max((ranks.n_training_clients(*each) for each in self._rank_references.values()), default=0)

    def _invoice_log_odds(self, features: FeatureMatrix) -> np.ndarray:
        """Log-odds from invoices; NaN without an invoice. [float64, one a client]"""
        out = np.full(len(features), np.nan)
        if self.invoices is None:
            return out
        with_invoices = np.flatnonzero(features.n_records > 0)
        for start in range(0, len(with_invoices), CHUNK):
            part = with_invoices[start : start + CHUNK]
            is_all = len(part) == len(features)
            out[part] = self.invoices.judged(features if is_all else features.of(part)).log_odds
        return out

    def score_clients(
        self,
        invoices: FeatureMatrix,
        client_ids: list[str],
        quality: Quality,
        readings: FeatureMatrix | None = None,
        stored: Sequence[StoredInvoiceScore | None] | None = None,
    ) -> list[Score]:
        """One Score a client, with its quality flags and those that limit the score.

        stored: one a client, the score from invoices that are no longer available, or None.
        """
        scores = None if stored is None else np.array([np.nan if one is None else one.value for one in stored])
        values = self.values(invoices, readings, scores)
        n_days = np.zeros(len(invoices), np.int64) if readings is None else readings.n_records
        last_on = invoices.features[:, self._last_on]
        monthly, usual = self._most_usual
        is_far = invoices.features[:, monthly] > FAR_BEYOND * usual
        onset = np.full(len(invoices), np.nan) if readings is None else onset_day(readings)
        rows = zip(client_ids, values, quality, invoices.n_records, last_on, n_days, onset, is_far, strict=True)
        return [
            self._score(
                client_id, value, (*flags, *self._limits(int(n), last, far), *self._reading_limits(days)), days, day
            )
            for client_id, value, flags, n, last, days, day, far in rows
        ]

    def score_aggregates(self, rows: list[dict], client_ids: list[str]) -> list[Score]:
        """Scores of clients that are given as finished features by name, as older scripts send them.

        Values are float32 numbers or None; names that the ensemble does not use get a quality flag.
        """
        if self.aggregates is None:
            flag = QualityFlag("aggregates_unknown", 1, "This model judges no aggregates: send invoices or readings.")
            return [self._score(client_id, np.nan, (flag,)) for client_id in client_ids]
        names = aggregate_names(self)
        matrix = np.array([[_number(row.get(name)) for name in names] for row in rows], dtype=np.float32)
        matrix = matrix.reshape(len(rows), len(names))
        of_use = [i for i, name in enumerate(names) if name not in ACCOUNT_FEATURES]
        is_enough = np.isfinite(matrix[:, of_use]).any(axis=1)
        probability = np.where(is_enough, probability_of(self.aggregates.log_odds(matrix)), np.nan)
        return [
            self._score(client_id, p, _aggregate_flags(row, names))
            for client_id, p, row in zip(client_ids, probability, rows, strict=True)
        ]

    @cached_property
    def thresholds(self) -> dict:
        """Threshold and severities of all clients. [keys "threshold" and "severities"]"""
        return joint_thresholds(self.manifest) if self.claims_probability else ranks.RANK_THRESHOLDS

    def _score(
        self,
        client_id: str,
        value: float,
        quality: tuple[QualityFlag, ...],
        n_days: int = 0,
        onset: float = np.nan,
    ) -> Score:
        thresholds = self.thresholds
        if np.isnan(value) or any(flag.flag in HELD_BACK for flag in quality):
            return Score(client_id, None, INSUFFICIENT_HISTORY, thresholds["threshold"], quality=quality)
        severity = severity_of(value, thresholds["severities"])
        is_suspected = value >= thresholds["threshold"] and n_days >= MIN_DAYS and not np.isnan(onset)
        onset_on = str(np.datetime64(int(onset), "D")) if is_suspected else None
        found = {"client_id": client_id, "severity": severity, "threshold": thresholds["threshold"]}
        found |= {"quality": quality, "onset_on": onset_on}
        if self.claims_probability:
            return Score(**found, probability=float(value))
        rank = ranks.place_of(float(value), self._n_ranked)
        return Score(**found, probability=None, rank_share=float(value), rank=rank)

    def _limits(self, n: int, last_on: float, is_far: bool = False) -> tuple[QualityFlag, ...]:
        """Quality flags for few invoices, an ended account, and a consumption that the model has not seen.

        n: invoices; last_on: days since 1970; is_far: whether it uses FAR_BEYOND times what is usual.
        """
        flags = []
        if is_far:
            text = f"Uses over {FAR_BEYOND:.0f} times what nine of ten clients do: check that consumption is in kWh."
            flags.append(QualityFlag("far_beyond_training", 1, text))
        if 0 < n < SHORT_HISTORY:
            counted = "1 invoice" if n == 1 else f"{n} invoices"
            flags.append(QualityFlag("short_history", n, f"Only {counted}: the score rests on little."))
        if self.manifest["view"] == "prospective" and last_on < self.manifest["active_from"]:
            since = f"The last invoice is of {np.datetime64(int(last_on), 'D')}"
            flags.append(QualityFlag("inactive", 1, f"{since}: the model was trained on accounts that go on longer."))
        return tuple(flags)

    def _reading_limits(self, n_days: int) -> tuple[QualityFlag, ...]:
        """Quality flag for few days with readings."""
        if not 0 < n_days < SHORT_READING_DAYS:
            return ()
        use = "too few to judge by" if n_days < MIN_DAYS else "the score rests on little"
        counted = "1 day" if n_days == 1 else f"{n_days} days"
        return (QualityFlag("short_readings", int(n_days), f"Only {counted} with readings: {use}."),)


def aggregate_names(model: FraudModel) -> list[str]:
    """Names of the features of the ensemble on aggregates, in its order. The model must have such an ensemble."""
    return [model.manifest["features"][column] for column in model.aggregates.inputs.columns]


def severity_of(value: float, severities: list[dict]) -> str:
    """The highest severity whose score is reached. Each has an out-of-fold precision."""
    return next((cut["severity"] for cut in severities if cut["score"] is not None and value >= cut["score"]), "low")


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _aggregate_flags(row: dict, names: list[str]) -> tuple[QualityFlag, ...]:
    unknown = sorted(name for name in row if name not in names and name not in IGNORED_FIELDS)
    n_missing = sum(row.get(name) is None for name in names)
    flags = [QualityFlag("aggregates_only", 1, "Scored from aggregates: send the invoices for a sharper score.")]
    if unknown:
        named = ", ".join(name[:40] for name in unknown[:5])
        flags.append(QualityFlag("unknown_fields", len(unknown), f"Not used: {named}."))
    if n_missing:
        text = f"{n_missing} of {len(names)} aggregates are not given."
        flags.append(QualityFlag("missing_aggregates", n_missing, text))
    return tuple(flags)
