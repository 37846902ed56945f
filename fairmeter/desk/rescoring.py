"""A scorer as the desk takes it (fairmeter/desk/service.py, Science): clients judged by all that is known of them.

In:  clients as they are sent, their profiles, the readings and the transformers' losses that the store keeps.
Out: scores, and what is kept beside them. Invoices are kept nowhere: what they said counts as it was scored (a fact,
     score_of_invoices), and is a reason by itself.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np

from fairmeter.analysis.client_facts import CONTEXT_FACTS, ConsumptionSeries, client_facts, consumption_series
from fairmeter.core.formatting import share
from fairmeter.core.segments import Segments
from fairmeter.core.types import SEVERITIES, QualityFlag, Score, StoredInvoiceScore, Table
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.json_records import tables_from_records
from fairmeter.data.reading_cleaning import clean_readings
from fairmeter.desk.service import LostDays, ProfileUpdate
from fairmeter.explanation.reasons import LOWERS, STORED_SCORE_GROUP
from fairmeter.features.readings.covariates import TransformerLosses
from fairmeter.scoring.batches import Scorer, score_rows
from fairmeter.scoring.client_tables import ClientTables, read_client_tables
from fairmeter.scoring.payloads import AggregatedClient, RawClient
from fairmeter.scoring.problems import Problem
from fairmeter.store import Profile, Series, invoice_histories

OF_INVOICES = "score_of_invoices"  # a fact: the score by invoices alone, to which readings that come later add
TOLD = SEVERITIES[:-1]  # severities of which reasons are worked out when readings come in
AGGREGATED = "By aggregates of its invoices alone its probability is {}."
NEVER = np.datetime64("9999-01-01")


class StoredContext(NamedTuple):
    """What clients are judged by: canonical tables, flags of each, what invoices said that are not at hand.

    losses: what their transformers lost, as far as it is known.
    """

    clients: Table
    invoices: Table
    readings: Table
    quality: list[tuple[QualityFlag, ...]]
    earlier: list[StoredInvoiceScore | None] | None = None
    losses: TransformerLosses | None = None


class Rescorer:
    """A scorer, as keeping.py takes it (Science). Its manifest has the fraud_rate too, and what holds for readings."""

    def __init__(self, scorer: Scorer) -> None:
        self.manifest, self._scorer = scorer.manifest, scorer

    def judged(self, rows: Sequence[RawClient], with_reasons: bool = False) -> list[Score]:
        """Scores of clients of whom nothing is kept. Raises Problem."""
        outcomes = list(score_rows(rows, self._scorer, with_reasons))
        if bad := next((outcome for outcome in outcomes if isinstance(outcome, Problem)), None):
            raise bad
        return outcomes

    def timeline(self, series: Series) -> dict[str, np.ndarray]:
        """By detector how unusual each day was; nothing of months."""
        if series.step != "day" or not len(series.kwh):
            return {}
        first = np.datetime64(series.first_on, "D").astype(np.int64)
        kwh = np.array(series.kwh, np.float64)
        days = DailyConsumption(Segments(np.array([len(kwh)])), first + np.arange(len(kwh)), kwh)
        return self._scorer.anomaly_timeline(days)

    def recorded(
        self, row: RawClient | AggregatedClient, score: Score, before: Profile | None, readings: Table, losses: LostDays
    ) -> tuple[Score, ProfileUpdate]:
        """The score that is kept of a client that was judged: joined with what else is known of it, if anything is."""
        profiles = {score.client_id: before} if before else {}
        if isinstance(row, AggregatedClient):
            return self._recorded_aggregates(score, known_of([score.client_id], profiles, readings, losses), before)
        clients, invoices, sent, quality = read_client_tables([row.client], [row.invoices], [row.readings])
        history, said = with_history(readings, profiles), None if len(invoices["client"]) else said_before(before)
        quality = [(*quality[0], as_scored(before))] if said else quality
        behind = clients.get("transformer_id", [before and before.client.get("transformer_id")])
        known = StoredContext(clients, invoices, beside(sent, history), quality, [said], losses_of(behind, losses))
        if said is None and known.losses is None and not len(history["read_at"]):
            return score, self.kept_of(known)
        [joined], kept = self._judged(known, [score if said is None else before.score])
        return joined, with_facts(kept, [before.facts if said else {}])

    def _recorded_aggregates(
        self, score: Score, known: StoredContext, before: Profile | None
    ) -> tuple[Score, ProfileUpdate]:
        """Aggregates are of invoices: readings add to their score, those of today and those to come."""
        if score.probability is None:
            return score, ProfileUpdate(None, [{}], {}, lasting_facts=CONTEXT_FACTS)
        said = {OF_INVOICES: score.probability}
        if not len(known.readings["client"]):
            return score, ProfileUpdate(None, [said], {}, lasting_facts=CONTEXT_FACTS)
        earlier = StoredInvoiceScore(score.probability, AGGREGATED.format(share(score.probability)))
        [joined], kept = self._judged(known._replace(quality=[score.quality], earlier=[earlier]), [score])
        old = before.facts if before else {}
        return joined, kept._replace(facts=[{**old, **kept.facts[0], **said}])

    def judged_anew(
        self, client_ids: Sequence[str], profiles: Mapping[str, Profile], readings: Table, losses: LostDays
    ) -> tuple[list[Score], ProfileUpdate]:
        """Scores by all readings of some clients; what their invoices said before counts as it was scored."""
        before = [profiles.get(client_id) for client_id in client_ids]
        known = known_of(client_ids, profiles, readings, losses)
        scores, kept = self._judged(known, [profile and profile.score for profile in before])
        return scores, with_facts(kept, [profile.facts if profile else {} for profile in before])

    def judged_together(self, known: StoredContext) -> tuple[list[Score], ProfileUpdate]:
        """Scores of clients of whom nothing is kept by all that is known, and what is to be kept."""
        return self._judged(known, [None] * len(known.quality))

    def _judged(self, known: StoredContext, otherwise: Sequence[Score | None]) -> tuple[list[Score], ProfileUpdate]:
        """Scores by all that is known, and what is kept. [otherwise: for whom there is too little to judge by]"""
        found = zip(self._with_reasons(self._judge(known), known), otherwise, strict=True)
        return [other or score if score.probability is None else score for score, other in found], self.kept_of(known)

    def _judge(self, known: StoredContext, with_reasons: bool = False) -> list[Score]:
        return self._scorer.score(ClientTables(*known[:4]), with_reasons, known.earlier, known.losses)

    def _with_reasons(self, scores: list[Score], known: StoredContext) -> list[Score]:
        """Reasons take ten times as long as the score: they are worked out where there is something to tell."""
        told = np.array([score.severity in TOLD for score in scores], bool)
        if not told.any():
            return scores
        explained = iter(self._judge(part_of(known, told), with_reasons=True))
        return [next(explained) if is_told else score for is_told, score in zip(told, scores, strict=True)]

    def kept_of(self, known: StoredContext) -> ProfileUpdate:
        """Of clients that were judged."""
        n, invoices = len(known.quality), known.invoices
        days = DailyConsumption.from_readings(known.readings, n) if len(known.readings["client"]) else None
        facts = client_facts(invoices, days, n)
        if len(invoices["client"]):
            no_readings = {name: column[:0] for name, column in known.readings.items()}
            billed = self._judge(known._replace(readings=no_readings, earlier=None))
            for told, score in zip(facts, billed, strict=True):
                told |= {} if score.probability is None else {OF_INVOICES: score.probability}
        ids, courses = known.clients["client_id"], consumption_series(invoices, days, n)
        histories = invoice_histories(ids, invoices)
        return ProfileUpdate(
            known.clients, facts, series_of(ids, courses), lasting_facts=CONTEXT_FACTS, invoice_histories=histories
        )


def with_facts(kept: ProfileUpdate, before: Sequence[Mapping[str, float]]) -> ProfileUpdate:
    """With the facts of before, where none of now stands in their place."""
    return kept._replace(facts=[{**old, **new} for old, new in zip(before, kept.facts, strict=True)])


def series_of(client_ids: Sequence[str], courses: Sequence[ConsumptionSeries | None]) -> dict[str, Series]:
    """The consumption of each client that has one, by its id."""
    told = zip(client_ids, courses, strict=True)
    return {str(id_): Series(c.step, c.first_on.astype(date), c.kwh) for id_, c in told if c is not None}


# --- what invoices said -----------------------------------------------------------------------------------------------


def said_before(profile: Profile | None) -> StoredInvoiceScore | None:
    """What a client's invoices said, if they were scored before."""
    probability = profile and profile.facts.get(OF_INVOICES)
    if not probability:
        return None
    told = next((reason.text for reason in profile.score.reasons if reason.group == STORED_SCORE_GROUP), None)
    if told is not None:  # they are the same invoices
        return StoredInvoiceScore(probability, told.replace(LOWERS, "."))
    by_them = profile.score.probability == probability
    first = next((reason.text for reason in profile.score.reasons if by_them and reason.effect > 0), "")
    when = f"By its invoices alone, as they were scored on {profile.scored_at:%Y-%m-%d} or before,"
    text = f"{when} its probability is {share(probability)}"
    return StoredInvoiceScore(probability, f"{text}; above all for this: {first}" if first else f"{text}.")


def as_scored(profile: Profile) -> QualityFlag:
    text = f"The invoices count as they were scored on {profile.scored_at:%Y-%m-%d} or before."
    return QualityFlag("invoices_as_scored", 1, text)


# --- tables of what is known ------------------------------------------------------------------------------------------


def known_of(
    client_ids: Sequence[str], profiles: Mapping[str, Profile], readings: Table, losses: LostDays
) -> StoredContext:
    """What the store knows of some clients. [readings: client_id, read_at, consumption_kwh]"""
    readings = with_history(readings, profiles)
    given = [_as_sent(profiles[id_].client) if id_ in profiles else {"client_id": id_} for id_ in client_ids]
    clients, invoices, quality = tables_from_records(given, [[]] * len(given))
    row_of = {id_: row for row, id_ in enumerate(client_ids)}
    owner = np.array([row_of[id_] for id_ in readings["client_id"]], np.int64)
    earlier = [said_before(profiles.get(id_)) for id_ in client_ids]
    told = zip(client_ids, quality, earlier, strict=True)
    quality = [(*flags, as_scored(profiles[id_])) if said else flags for id_, flags, said in told]
    behind = [client.get("transformer_id") for client in given]
    return StoredContext(clients, invoices, _readings_of(owner, readings), quality, earlier, losses_of(behind, losses))


def losses_of(behind: Sequence[str | None], known: LostDays) -> TransformerLosses | None:
    """What the transformers of some clients lost; None where none of them is known. [behind: each client's, None none]

    Of days that came after the run that found them nothing is known.
    """
    names = sorted(known.keys() & set(behind))
    if not names:
        return None
    firsts = [np.datetime64(known[name].first_on, "D").astype(int) for name in names]
    ends = [first + len(known[name].kwh) for first, name in zip(firsts, names, strict=True)]
    kwh = np.full((len(names), max(ends) - min(firsts)), np.nan)
    for row, first, name in zip(kwh, firsts, names, strict=True):
        row[first - min(firsts) :][: len(known[name].kwh)] = known[name].kwh
    row_of = {name: row for row, name in enumerate(names)}
    return TransformerLosses(int(min(firsts)), kwh, np.array([row_of.get(name, -1) for name in behind], np.int64))


def beside(sent: Table, history: Table) -> Table:
    """The readings of one client that were sent, and those that are known of other days. [sent: canonical]"""
    is_other = ~np.isin(history["read_at"].astype("datetime64[D]"), sent["read_at"].astype("datetime64[D]"))
    if not is_other.any():
        return sent
    names = ("read_at", "consumption_kwh")
    both = {name: np.concatenate([sent[name], history[name][is_other].astype(sent[name].dtype)]) for name in names}
    return _readings_of(np.zeros(len(both["read_at"]), np.int64), both)


def _readings_of(owner: np.ndarray, readings: Table) -> Table:
    """The canonical table. [owner: each reading's row in the clients]"""
    order = np.argsort(owner, kind="stable")
    table = {"client": owner[order], "consumption_kwh": readings["consumption_kwh"][order]}
    return clean_readings(table | {"read_at": readings["read_at"][order].astype("datetime64[m]")})[0]


def with_history(readings: Table, profiles: Mapping[str, Profile]) -> Table:
    """Readings, and before a client's first one the days that its profile keeps: those came in files."""
    parts = {name: [column] for name, column in readings.items()}
    for client_id, profile in profiles.items():
        series = profile.series
        if series is None or series.step != "day":
            continue
        day = np.datetime64(series.first_on, "s") + np.arange(len(series.kwh)) * np.timedelta64(86400, "s")
        own = readings["read_at"][readings["client_id"] == client_id]
        is_before = day < (own.min().astype("datetime64[D]") if len(own) else NEVER)
        parts["client_id"].append(np.full(is_before.sum(), client_id, object))
        parts["read_at"].append(day[is_before])
        parts["consumption_kwh"].append(series.kwh[is_before].astype(np.float64))
    return {name: np.concatenate(columns) for name, columns in parts.items()}


def part_of(known: StoredContext, chosen: np.ndarray) -> StoredContext:
    """Of some clients. [mask]"""
    row, owned = np.cumsum(chosen) - 1, []
    for table in (known.invoices, known.readings):
        is_theirs = chosen[table["client"]]
        owned.append({name: column[is_theirs] for name, column in table.items()})
        owned[-1]["client"] = row[owned[-1]["client"]]
    some = {name: column[chosen] for name, column in known.clients.items()}
    rows = np.flatnonzero(chosen).tolist()
    earlier = known.earlier and [known.earlier[i] for i in rows]
    losses = known.losses and known.losses.for_clients(chosen)
    return StoredContext(some, *owned, [known.quality[i] for i in rows], earlier, losses)


def _as_sent(client: Mapping) -> dict:
    """A client as it is kept, as it would be sent."""
    return {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in client.items()
        if value is not None
    }
