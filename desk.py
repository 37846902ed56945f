"""The desk behind the service: predict.py loads it where a database is set or OPEN is, and where a command asks for it.

In:  settings, a scorer.
Out: DeskService over an open store whose tables are up to date; the model as the desk needs it. Science and desk meet
     here: what is judged there is kept here.
"""

import csv
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import numpy as np

from fraud.alerts import BadRules, read_rules
from fraud.balance import Balances, balances_of
from fraud.days import Days
from fraud.ensemble import log_odds_of, probability_of
from fraud.facts import BESIDE_OTHERS, OF_TRANSFORMER, Course, courses_of, facts_beside_others, facts_of
from fraud.model import severity_of
from fraud.planning import inspection_list
from fraud.reading_cleaning import clean_readings
from fraud.records import SEVERITIES, QualityFlag, Score, Table
from fraud.segments import Segments
from fraud.store import Profile, Series, Store, StoreError, StoreUnavailable, Written
from fraud.tables import Tables, tables_from_records
from fraud.transformer_tables import TransformerTables, transformers_from_records
from fraud.web.auth import NO_ONE
from fraud.web.bodies import FlatClient, Limits, RawClient
from fraud.web.desk import DeskService
from fraud.web.errors import Problem
from fraud.web.judging import Scorer, chunks, judged
from fraud.web.keeping import Keeping, Kept, Planned
from fraud.web.pages.site import PageSettings
from fraud.web.photos import Photos
from fraud.web.uploads import read_upload

NO_LIMITS = Limits(*[sys.maxsize] * 4)
DATABASE = "sqlite:///fairmeter.db"  # where none is named: a file in the working directory
RULES = Path(__file__).parent / "data" / "alerts.toml"
CANNOT_OPEN = (StoreError, BadRules)
PATIENCE = 30  # seconds that a database may take to answer when the service starts: they often start together
OF_INVOICES = "score_of_invoices"  # a fact: the score by invoices alone, to which readings that come later add
TOLD = SEVERITIES[:-1]  # severities of which reasons are worked out when readings come in


class DeskSettings(NamedTuple):
    """What the desk is started with. [open_to: who may come in without a key]"""

    url: str
    rules: Path
    secret: str | None
    open_to: str = NO_ONE
    pages: PageSettings = PageSettings()
    photos: Path | None = None  # None: beside the database where that is a file, else none are taken


def open_desk(settings: DeskSettings, scorer: Scorer, wait: Callable = time.sleep) -> DeskService:
    """Raises what CANNOT_OPEN names."""
    science = DeskScience(scorer)
    rules = read_rules(settings.rules)
    store = open_store(settings.url, wait)
    secret = settings.secret or store.secret("session")
    keeping = Keeping(store, rules, science, plan, Photos(settings.photos or beside(store)))
    return DeskService(keeping, secret, settings.open_to, settings.pages)


def beside(store: Store) -> Path | None:
    """The folder of photos beside a database that is a file. One on a server may be asked by many machines: none."""
    return Path(store.url.database).parent / "photos" if store.is_sqlite else None


def open_store(url: str, wait: Callable = time.sleep) -> Store:
    """A store whose tables are up to date. Raises StoreError."""
    store = Store(url)
    _migrate(store, wait)
    return store


def _migrate(store: Store, wait: Callable) -> None:
    """Raises StoreUnavailable where the database does not answer for half a minute."""
    for attempt in range(PATIENCE, -1, -1):
        try:
            store.migrate()
        except StoreUnavailable:
            if attempt == 0:
                raise
            wait(1)
        else:
            return


def keep_run(
    store: Store,
    rules: Path,
    scores: Sequence[Score],
    version: str,
    tables: Tables,
    days: Days | None,
    billed: Sequence,
    balances: Balances | None = None,
) -> Written:
    """Keeps a scoring of the client base, in one transaction. [billed: scores by invoices alone, NaN without]

    balances: None keeps those that are known, and what they say of the clients. Raises StoreError, BadRules.
    """
    facts = facts_of(tables.invoices, days, len(scores))
    beside = facts_beside_others(tables.clients, days, balances)
    for told, of_others, score in zip(facts, beside, billed, strict=True):
        told |= of_others | ({} if math.isnan(score) else {OF_INVOICES: float(score)})
    series = _series(tables.clients["client_id"], courses_of(tables.invoices, days, len(scores)))
    kept = Kept(tables.clients, facts, series, balances and balances.rows, () if balances else OF_TRANSFORMER)
    return store.write_run(scores, version, read_rules(rules), **kept._asdict())


def plan(scores: list[Score], visits: int, cost: float = 0.0, price: float | None = None) -> list[Planned]:
    """The best by what a visit is expected to bring, or by score where no price is known."""
    listed = inspection_list(scores, visits, cost, price, random_share=0.0)
    return [Planned(visit.score, visit.is_random, visit.net) for visit in listed]


def load_demo(keeping: Keeping, scorer: Scorer, path: Path) -> int:
    """Scores the simulated utility into a store that holds no client; how many clients. Raises OSError, StoreError.

    Some 15 s and 0.6 GB, so in a process of its own: a worker would not give the memory back.
    """
    if keeping.store.count_profiles():
        return 0
    with ZipFile(path) as archive:
        files = {name: BytesIO(archive.read(f"{name}.csv")) for name in ("clients", "invoices", "readings")}
        measured = transformers_from_records(
            *(_rows_of(archive, name) for name in ("transformer_totals", "transformers"))
        )
    rows, _ = read_upload(files, NO_LIMITS)
    science, scores, parts, seen = DeskScience(scorer), [], [], []
    for chunk in chunks(rows):
        tables = scorer.tables(*map(list, zip(*chunk, strict=True)))
        scores += science.with_reasons(scorer.judge(tables), tables)
        parts.append(science.kept_of_tables(*tables))
        days = Days.of(tables[2], len(tables[3]))
        seen.append((tables[1], replace(days, hours=None)))  # hours would take a hundred megabytes
    keeping.write(scores, with_balances(joined(parts), seen, measured), is_run=True)
    return len(scores)


def _rows_of(archive: ZipFile, name: str) -> list[dict[str, str]]:
    with archive.open(f"{name}.csv") as stream, TextIOWrapper(stream, "utf-8-sig", newline="") as text:
        return list(csv.DictReader(text))


def joined(parts: Sequence[Kept]) -> Kept:
    series = {id_: one for part in parts for id_, one in part.series.items()}
    return Kept(_stacked([part.clients for part in parts]), [facts for part in parts for facts in part.facts], series)


def _stacked(tables: Sequence[Table]) -> Table:
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def with_balances(kept: Kept, seen: Sequence[tuple[Table, Days]], measured: TransformerTables) -> Kept:
    """The same with what the clients together tell. [seen: invoices and days of each part of them]"""
    firsts = np.cumsum([0, *(len(days.segments) for _, days in seen)]).tolist()
    parts = zip(seen, firsts, strict=False)
    invoices = _stacked([invoices | {"client": invoices["client"] + first} for (invoices, _), first in parts])
    counts, day, kwh = zip(*((days.segments.counts, days.day, days.kwh) for _, days in seen), strict=True)
    days = Days(Segments(np.concatenate(counts)), np.concatenate(day), np.concatenate(kwh))
    balances = balances_of(measured, kept.clients["transformer_id"], days, invoices)
    beside = facts_beside_others(kept.clients, days, balances)
    facts = [own | of_others for own, of_others in zip(kept.facts, beside, strict=True)]
    return kept._replace(facts=facts, balances=balances.rows)


class DeskScience:
    """A scorer, as keeping.py takes it (Science). Its manifest has the fraud_rate too, and what holds for readings."""

    def __init__(self, scorer: Scorer) -> None:
        self.manifest, self._scorer = scorer.manifest, scorer

    def judged(self, rows: Sequence[RawClient], with_reasons: bool = False) -> list[Score]:
        """Scores of clients of whom nothing is kept. Raises Problem."""
        outcomes = list(judged(rows, self._scorer, with_reasons))
        if bad := next((outcome for outcome in outcomes if isinstance(outcome, Problem)), None):
            raise bad
        return outcomes

    def timeline(self, series: Series) -> dict[str, np.ndarray]:
        """By detector how unusual each day was; nothing of months."""
        if series.step != "day" or not len(series.kwh):
            return {}
        first = np.datetime64(series.first_on, "D").astype(np.int64)
        kwh = np.array(series.kwh, np.float64)
        days = Days(Segments(np.array([len(kwh)])), first + np.arange(len(kwh)), kwh)
        return self._scorer.timeline(days)

    def kept_of(self, row: RawClient | FlatClient) -> Kept:
        """Of a row that was judged before: its values are known to be good."""
        if isinstance(row, FlatClient):
            return Kept(None, [{}], {}, lasting=BESIDE_OTHERS)
        tables = self._scorer.tables([row.client], [row.invoices], [row.readings])
        return self.kept_of_tables(*tables)

    def kept_of_tables(self, clients: Table, invoices: Table, readings: Table, quality: list) -> Kept:
        n = len(quality)
        days = Days.of(readings, n) if len(readings["client"]) else None
        facts = facts_of(invoices, days, n)
        if len(invoices["client"]):
            no_readings = {name: column[:0] for name, column in readings.items()}
            billed = self._scorer.judge((clients, invoices, no_readings, quality))
            for told, score in zip(facts, billed, strict=True):
                told |= {} if score.probability is None else {OF_INVOICES: score.probability}
        return Kept(clients, facts, _series(clients["client_id"], courses_of(invoices, days, n)), lasting=BESIDE_OTHERS)

    def judged_anew(
        self, client_ids: Sequence[str], known: Mapping[str, Profile], readings: Table
    ) -> tuple[list[Score], Kept]:
        """Scores by all readings of some clients; what their invoices said before counts as it was scored."""
        tables = self._tables(client_ids, known, readings)
        scores = self.with_reasons(self._scorer.judge(tables), tables)
        kept = self.kept_of_tables(*tables)
        before = [known[id_].facts if id_ in known else {} for id_ in client_ids]
        facts = [{**old, **new} for old, new in zip(before, kept.facts, strict=True)]
        scores = [self._joined(score, known.get(score.client_id)) for score in scores]
        return scores, kept._replace(facts=facts)

    def _tables(self, client_ids: Sequence[str], known: Mapping[str, Profile], readings: Table) -> tuple:
        readings = with_history(readings, known)
        given = [_as_sent(known[id_].client) if id_ in known else {"client_id": id_} for id_ in client_ids]
        clients, invoices, quality = tables_from_records(given, [[]] * len(given))
        row_of = {id_: row for row, id_ in enumerate(client_ids)}
        owner = np.array([row_of[id_] for id_ in readings["client_id"]], np.int64)
        order = np.argsort(owner, kind="stable")
        table = {"client": owner[order], "consumption_kwh": readings["consumption_kwh"][order]}
        table["read_at"] = readings["read_at"][order].astype("datetime64[m]")
        return clients, invoices, clean_readings(table)[0], quality

    def with_reasons(self, scores: list[Score], tables: tuple) -> list[Score]:
        """Reasons take ten times as long as the score: they are worked out where there is something to tell."""
        told = np.array([score.severity in TOLD for score in scores], bool)
        if not told.any():
            return scores
        explained = iter(self._scorer.judge(part_of(tables, told), with_reasons=True))
        return [next(explained) if is_told else score for is_told, score in zip(told, scores, strict=True)]

    def _joined(self, score: Score, before: Profile | None) -> Score:
        """A score by readings and the one by invoices: log-odds add, less the prior's, which both contain."""
        if score.probability is None:
            return before.score if before else score
        billed = before and before.facts.get(OF_INVOICES)
        if not billed:
            return score
        by_readings, by_invoices, prior = log_odds_of([score.probability, billed, self.manifest["fraud_rate"]])
        probability = float(probability_of(by_readings + by_invoices - prior))
        text = f"The invoices count as they were scored on {before.scored_at:%Y-%m-%d} or before."
        quality = (*score.quality, QualityFlag("invoices_as_scored", 1, text))
        severity = severity_of(probability, self.manifest["readings"]["severities"])
        return replace(score, probability=probability, severity=severity, quality=quality)


def with_history(readings: Table, known: Mapping[str, Profile]) -> Table:
    """Readings, and before a client's first one the days that its profile keeps: those came in files."""
    parts = {name: [column] for name, column in readings.items()}
    for client_id, profile in known.items():
        series = profile.series
        if series is None or series.step != "day":
            continue
        day = np.datetime64(series.first_on, "s") + np.arange(len(series.kwh)) * np.timedelta64(86400, "s")
        own = readings["read_at"][readings["client_id"] == client_id]
        is_before = day < (own.min().astype("datetime64[D]") if len(own) else np.datetime64("9999-01-01"))
        parts["client_id"].append(np.full(is_before.sum(), client_id, object))
        parts["read_at"].append(day[is_before])
        parts["consumption_kwh"].append(series.kwh[is_before].astype(np.float64))
    return {name: np.concatenate(columns) for name, columns in parts.items()}


def part_of(tables: tuple, chosen: np.ndarray) -> tuple:
    """Clients, invoices, readings and quality of some clients. [mask]"""
    clients, invoices, readings, quality = tables
    row = np.cumsum(chosen) - 1
    owned = []
    for table in (invoices, readings):
        is_theirs = chosen[table["client"]]
        owned.append({name: column[is_theirs] for name, column in table.items()})
        owned[-1]["client"] = row[owned[-1]["client"]]
    some = {name: column[chosen] for name, column in clients.items()}
    return some, *owned, [flags for flags, is_chosen in zip(quality, chosen, strict=True) if is_chosen]


def _as_sent(client: Mapping) -> dict:
    """A client as it is kept, as it would be sent."""
    return {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in client.items()
        if value is not None
    }


def _series(client_ids: Sequence[str], courses: Sequence[Course | None]) -> dict[str, Series]:
    told = zip(client_ids, courses, strict=True)
    return {str(id_): Series(c.step, c.first_on.astype(date), c.kwh) for id_, c in told if c is not None}
