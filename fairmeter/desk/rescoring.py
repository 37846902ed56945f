"""Scoring of clients by all that is stored of them, each client once (service.ScoringBackend).

In:  clients as they are sent, their profiles, stored readings, daily losses of transformers.
Out: scores, and the profile data to store with them. Invoices themselves are not stored in full: their score is a fact
     (score_of_invoices), which stands in for them when later readings arrive, and is a reason of its own then.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import NamedTuple

import numpy as np

from fairmeter.analysis.client_facts import CONTEXT_FACTS, ConsumptionSeries, client_facts, consumption_series
from fairmeter.analysis.shared_traits import shared_traits
from fairmeter.core.claims import UNLIKE_TRAINING
from fairmeter.core.segments import Segments
from fairmeter.core.types import SAME_FACTOR, SEVERITIES, QualityFlag, Score, StoredInvoiceScore, Table
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.json_records import tables_from_records
from fairmeter.data.reading_cleaning import OPTIONAL, clean_readings, with_optional_columns
from fairmeter.data.tables import flags_by_client
from fairmeter.desk.service import DailyLosses, ProfileUpdate
from fairmeter.explanation.reasons import LOWERS, STORED_SCORE_GROUP
from fairmeter.features.readings.covariates import TransformerLosses
from fairmeter.scoring.batches import Scorer, score_rows
from fairmeter.scoring.client_tables import ClientTables, read_client_tables
from fairmeter.scoring.payloads import AggregatedClient, RawClient
from fairmeter.scoring.problems import Problem
from fairmeter.scoring.run_claims import BY_INVOICES
from fairmeter.store import Profile, Series, invoice_histories
from fairmeter.wording.phrases import Phrase, clauses_of, sentence, without_clause

INVOICE_SCORE = "score_of_invoices"  # a fact: the score by invoices alone, with which later readings are combined
EXPLAINED_SEVERITIES = SEVERITIES[:-1]  # reasons take ten times as long as the score: low ones have none


class ScoringInputs(NamedTuple):
    """What some clients are scored by. stored: their stored invoice scores, where the invoices are not at hand.

    losses: of the clients' transformers, None without any.
    """

    tables: ClientTables
    stored: list[StoredInvoiceScore | None] | None = None
    losses: TransformerLosses | None = None

    def of_clients(self, chosen: np.ndarray) -> "ScoringInputs":
        """The inputs of some clients. [mask]"""
        clients, invoices, readings, quality, names = self.tables
        row, owned = np.cumsum(chosen) - 1, []
        for table in (invoices, readings):
            is_theirs = chosen[table["client"]]
            owned.append({name: column[is_theirs] for name, column in table.items()})
            owned[-1]["client"] = row[owned[-1]["client"]]
        rows = np.flatnonzero(chosen).tolist()
        tables = ClientTables(
            {name: column[chosen] for name, column in clients.items()}, *owned, [quality[i] for i in rows], names
        )
        losses = self.losses and self.losses.for_clients(chosen)
        return ScoringInputs(tables, self.stored and [self.stored[i] for i in rows], losses)


class Rescorer:
    """Scores clients by all that is stored of them. The scorer's manifest must hold fraud_rate and readings too."""

    def __init__(self, scorer: Scorer) -> None:
        self.manifest, self._scorer = scorer.manifest, scorer

    def score(self, rows: Sequence[RawClient], with_reasons: bool = False) -> list[Score]:
        """Scores by the given data alone. Raises Problem."""
        outcomes = list(score_rows(rows, self._scorer, with_reasons))
        if problem := next((outcome for outcome in outcomes if isinstance(outcome, Problem)), None):
            raise problem
        return outcomes

    def anomaly_timeline(self, series: Series) -> Mapping[str, np.ndarray]:
        """By detector, how unusual each day was; empty for monthly series."""
        if series.step != "day" or not len(series.kwh):
            return {}
        first = np.datetime64(series.first_on, "D").astype(np.int64)
        kwh = np.array(series.kwh, np.float64)
        days = DailyConsumption(Segments(np.array([len(kwh)])), first + np.arange(len(kwh)), kwh)
        return self._scorer.anomaly_timeline(days)

    def score_to_store(
        self, row: RawClient | AggregatedClient, score: Score, before: Profile | None, readings: Table,
        losses: DailyLosses,
    ) -> tuple[Score, ProfileUpdate]:  # fmt: skip
        """The score to store for a client that was scored by `row`: combined with its stored data, if there are any."""
        profiles = {score.client_id: before} if before else {}
        if isinstance(row, AggregatedClient):
            return self._aggregates_to_store(score, before, readings, losses)
        clients, invoices, sent, quality, names = read_client_tables([row.client], [row.invoices], [row.readings])
        history = with_stored_days(readings, profiles)
        stored = None if len(invoices["client"]) else stored_invoice_score(before)
        quality = [(*quality[0], as_scored_flag(before))] if stored else quality
        transformers = clients.get("transformer_id", [before and before.client.get("transformer_id")])
        tables = ClientTables(clients, invoices, merge_readings(sent, history), quality, names)
        inputs = ScoringInputs(tables, [stored], transformer_losses(transformers, losses))
        if stored is None and inputs.losses is None and not len(history["read_at"]):
            return score, profile_update(inputs, self._invoice_scores(inputs, [score]))
        # Where no readings were sent, the given score is that by invoices alone.
        invoice_scores = None if len(sent["client"]) else [score]
        [combined], update = self._score(inputs, [score if stored is None else before.score], invoice_scores)
        return combined, with_facts(update, [before.facts if stored else {}])

    def _aggregates_to_store(
        self, score: Score, before: Profile | None, readings: Table, losses: DailyLosses
    ) -> tuple[Score, ProfileUpdate]:
        """Aggregates are of invoices: their score is combined with stored readings now, and with later ones then."""
        if score.value is None:
            return score, ProfileUpdate(None, [{}], {}, lasting_facts=CONTEXT_FACTS)
        facts = {INVOICE_SCORE: score.model_value}
        inputs = inputs_from_store([score.client_id], {score.client_id: before} if before else {}, readings, losses)
        if not len(inputs.tables.readings["client"]):
            return score, ProfileUpdate(None, [facts], {}, lasting_facts=CONTEXT_FACTS)
        stored = StoredInvoiceScore(score.model_value, sentence(stated(score, score.model_value)))
        inputs = inputs._replace(tables=inputs.tables._replace(quality=[score.quality]), stored=[stored])
        [combined], update = self._score(inputs, [score])
        old = before.facts if before else {}
        return combined, update._replace(facts=[{**old, **update.facts[0], **facts}])

    def rescore(
        self,
        client_ids: Sequence[str],
        profiles: Mapping[str, Profile],
        readings: Table,
        losses: DailyLosses,
        lost: Collection[str] = (),
    ) -> tuple[list[Score], ProfileUpdate]:
        """Scores by all stored readings; the stored invoice score stands in for the invoices.

        lost: clients whose readings were deleted: with too few left they have no score, and keep no former one.
        """
        before = [profiles.get(client_id) for client_id in client_ids]
        inputs = inputs_from_store(client_ids, profiles, readings, losses)
        fallback = [profile and profile.score for profile in before]
        fallback = [None if id_ in lost else score for id_, score in zip(client_ids, fallback, strict=True)]
        scores, update = self._score(inputs, fallback)
        return scores, with_facts(update, [profile.facts if profile else {} for profile in before])

    def score_new(self, inputs: ScoringInputs) -> tuple[list[Score], ProfileUpdate]:
        """Scores of clients of which nothing is stored yet, and the profile data to store."""
        return self._score(inputs, [None] * len(inputs.tables.quality))

    def _score(
        self,
        inputs: ScoringInputs,
        fallback: Sequence[Score | None],
        invoice_scores: Sequence[Score | None] | None = None,
    ) -> tuple[list[Score], ProfileUpdate]:
        """Scores with reasons where their severity asks for them, and the profile data to store.

        fallback: scores for clients with too little data; invoice_scores: by invoices alone, None to compute them.
        """
        scores = self._scorer.score(inputs.tables, EXPLAINED_SEVERITIES, inputs.stored, inputs.losses)
        update = profile_update(inputs, invoice_scores or self._invoice_scores(inputs, scores))
        found = zip(scores, fallback, strict=True)
        return [_or_former(score, other) for score, other in found], update

    def _invoice_scores(self, inputs: ScoringInputs, scores: Sequence[Score]) -> list[Score | None]:
        """Scores by invoices alone, None without invoices; computed only for clients that have readings too."""
        n, (_, invoices, readings, *_) = len(scores), inputs.tables
        has_invoices, has_readings = (np.bincount(table["client"], minlength=n) > 0 for table in (invoices, readings))
        found = [score if has else None for score, has in zip(scores, has_invoices, strict=True)]
        if (has_both := has_invoices & has_readings).any():
            tables = inputs.of_clients(has_both).tables
            no_readings = {name: column[:0] for name, column in readings.items()}
            computed = self._scorer.score(tables._replace(readings=no_readings))
            for row, score in zip(np.flatnonzero(has_both).tolist(), computed, strict=True):
                found[row] = score
        return found


def _or_former(score: Score, former: Score | None) -> Score:
    """The score, or where it has no value the former one, with the new anomalies if there are any."""
    if score.value is not None or former is None:
        return score
    return replace(former, anomalies=score.anomalies) if score.anomalies else former


def profile_update(inputs: ScoringInputs, invoice_scores: Sequence[Score | None]) -> ProfileUpdate:
    """The data to store of scored clients. [invoice_scores: by invoices alone, None without any]"""
    clients, invoices, readings, quality, names = inputs.tables
    n, ids = len(quality), clients["client_id"]
    days = DailyConsumption.from_readings(readings, n) if len(readings["client"]) else None
    facts = client_facts(invoices, days, n)
    for of_client, score in zip(facts, invoice_scores, strict=True):
        if score is not None and score.model_value is not None:
            of_client[INVOICE_SCORE] = score.model_value
    series, histories = series_by_client(ids, consumption_series(invoices, days, n)), invoice_histories(ids, invoices)
    return ProfileUpdate(
        clients, facts, series, lasting_facts=CONTEXT_FACTS, invoice_histories=histories, code_names=names,
        traits=shared_traits(ids, invoices),
    )  # fmt: skip


def with_facts(update: ProfileUpdate, before: Sequence[Mapping[str, float]]) -> ProfileUpdate:
    """The update with former facts added; new ones of the same name take precedence."""
    return update._replace(facts=[{**old, **new} for old, new in zip(before, update.facts, strict=True)])


def series_by_client(client_ids: Sequence[str], courses: Sequence[ConsumptionSeries | None]) -> dict[str, Series]:
    """The consumption of each client that has any, by client id."""
    pairs = zip(client_ids, courses, strict=True)
    return {str(id_): Series(c.step, c.first_on.astype(date), c.kwh) for id_, c in pairs if c is not None}


# --- stored invoice scores --------------------------------------------------------------------------------------------


def stored_invoice_score(profile: Profile | None) -> StoredInvoiceScore | None:
    """The score by invoices that a profile holds, with the sentence of its reason; None without one."""
    value = profile and profile.facts.get(INVOICE_SCORE)
    if not value:
        return None
    text = next((reason.text for reason in profile.score.reasons if reason.group == STORED_SCORE_GROUP), None)
    if text is not None:  # the same invoices stood in for an earlier rescoring
        return StoredInvoiceScore(value, without_clause(text, LOWERS))
    is_by_invoices = profile.score.value == value
    first = next((reason.text for reason in profile.score.reasons if is_by_invoices and reason.effect > 0), "")
    if any(flag.flag == UNLIKE_TRAINING for flag in profile.score.quality):
        return StoredInvoiceScore(value, BY_INVOICES)
    above_all = Phrase("stored.above_all", clauses=clauses_of(first)) if first else ""
    return StoredInvoiceScore(value, sentence(stated(profile.score, value, profile.scored_at), above_all))


def stated(score: Score, value: float, scored_at: datetime | None = None) -> Phrase:
    """A value of its kind: a probability, or a percentile where the score claims ranks only.

    scored_at: of stored invoices; None for aggregates that were just sent.
    """
    kind, value = ("probability", value) if score.rank_share is None else ("percentile", 100 * value)
    if scored_at is None:
        return Phrase(f"stored.aggregated_{kind}", value=value)
    return Phrase(f"stored.{kind}", on=np.datetime64(scored_at.date()), value=value)


def as_scored_flag(profile: Profile) -> QualityFlag:
    """The flag that the stored invoice score stands in for the invoices."""
    text = f"The invoices count as they were scored on {profile.scored_at:%Y-%m-%d} or before."
    return QualityFlag("invoices_as_scored", 1, text)


# --- tables of what is stored -----------------------------------------------------------------------------------------


def inputs_from_store(
    client_ids: Sequence[str], profiles: Mapping[str, Profile], readings: Table, losses: DailyLosses
) -> ScoringInputs:
    """The inputs of some clients from stored data alone. [readings: as the store lists them]"""
    readings = with_stored_days(readings, profiles)
    records = [_as_sent(profiles[id_].client) if id_ in profiles else {"client_id": id_} for id_ in client_ids]
    clients, invoices, quality = tables_from_records(records, [[]] * len(records))
    row_of = {id_: row for row, id_ in enumerate(client_ids)}
    owner = np.array([row_of[id_] for id_ in readings["client_id"]], np.int64)
    stored = [stored_invoice_score(profiles.get(id_)) for id_ in client_ids]
    rows = zip(client_ids, quality, stored, strict=True)
    quality = [(*flags, as_scored_flag(profiles[id_])) if score else flags for id_, flags, score in rows]
    quality = [(*flags, *_held_back(profiles.get(id_))) for id_, flags in zip(client_ids, quality, strict=True)]
    transformers = [record.get("transformer_id") for record in records]
    reading_table, flags = _reading_table(owner, readings, len(client_ids))
    quality = [of_client + of_readings for of_client, of_readings in zip(quality, flags, strict=True)]
    tables = ClientTables(clients, invoices, reading_table, quality)
    return ScoringInputs(tables, stored, transformer_losses(transformers, losses))


def _held_back(profile: Profile | None) -> list[QualityFlag]:
    """The flag with which the last run held the client's score back: one client cannot show what is at many."""
    return [flag for flag in profile.score.quality if flag.flag == SAME_FACTOR] if profile and profile.score else []


def transformer_losses(transformers: Sequence[str | None], losses: DailyLosses) -> TransformerLosses | None:
    """Losses of the clients' transformers on one calendar; None if there are none. [transformers: per client]

    Days after the run that computed the losses have none.
    """
    names = sorted(losses.keys() & set(transformers))
    if not names:
        return None
    firsts = [np.datetime64(losses[name].first_on, "D").astype(int) for name in names]
    ends = [first + len(losses[name].kwh) for first, name in zip(firsts, names, strict=True)]
    kwh = np.full((len(names), max(ends) - min(firsts)), np.nan)
    for row, first, name in zip(kwh, firsts, names, strict=True):
        row[first - min(firsts) :][: len(losses[name].kwh)] = losses[name].kwh
    row_of = {name: row for row, name in enumerate(names)}
    return TransformerLosses(int(min(firsts)), kwh, np.array([row_of.get(name, -1) for name in transformers], np.int64))


def merge_readings(sent: Table, history: Table) -> Table:
    """The readings of one client: those sent, and stored ones of other days. [sent: canonical]"""
    is_other = ~np.isin(history["read_at"].astype("datetime64[D]"), sent["read_at"].astype("datetime64[D]"))
    if not is_other.any():
        return sent
    given = {name: column[is_other] for name, column in history.items()}
    sent = with_optional_columns(sent)
    both = {
        name: np.concatenate([sent[name], given[name].astype(sent[name].dtype)]) for name in sent if name != "client"
    }
    return _reading_table(np.zeros(len(both["read_at"]), np.int64), both, 1)[0]


def _reading_table(owner: np.ndarray, readings: Table, n_clients: int) -> tuple[Table, list[tuple[QualityFlag, ...]]]:
    """(the canonical table, the flags of each client). [owner: each reading's row in the clients]"""
    order = np.argsort(owner, kind="stable")
    names = [name for name in ("consumption_kwh", *OPTIONAL) if name in readings]
    table = {"client": owner[order]} | {name: readings[name][order] for name in names}
    table, findings = clean_readings(table | {"read_at": readings["read_at"][order].astype("datetime64[m]")})
    return table, flags_by_client(findings, n_clients)


def with_stored_days(readings: Table, profiles: Mapping[str, Profile]) -> Table:
    """Readings, with the days of the profile's daily series that have none: they came in files."""
    parts = {name: [column] for name, column in with_optional_columns(readings).items()}
    for client_id, profile in profiles.items():
        series = profile.series
        if series is None or series.step != "day":
            continue
        day = np.datetime64(series.first_on, "s") + np.arange(len(series.kwh)) * np.timedelta64(86400, "s")
        own = readings["read_at"][readings["client_id"] == client_id]
        is_other = ~np.isin(day, own.astype("datetime64[D]")) & ~np.isnan(series.kwh)
        added = {
            "client_id": np.full(is_other.sum(), client_id, object),
            "read_at": day[is_other],
            "consumption_kwh": series.kwh[is_other].astype(np.float64),
        }
        for name, column in with_optional_columns(added).items():
            parts[name].append(column)
    return {name: np.concatenate(columns) for name, columns in parts.items()}


def _as_sent(client: Mapping) -> dict:
    """A stored client in the form in which clients are sent."""
    return {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in client.items()
        if value is not None
    }
