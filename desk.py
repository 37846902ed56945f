"""The desk behind the service: predict.py loads it where a database is set or OPEN is, and where a command asks for it.

In:  settings, a scorer.
Out: DeskService over an open store whose tables are up to date; the model as the desk needs it. Science and desk meet
     here: what is judged there is kept here.
"""

import csv
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from io import BytesIO, TextIOWrapper
from pathlib import Path
from statistics import fmean
from typing import NamedTuple
from zipfile import ZipFile

import numpy as np

from desk_science import OF_INVOICES, DeskScience, Known, series_of
from fraud.alerts import BadRules, read_rules
from fraud.balance import Balances, balances_of
from fraud.bands import bands_of
from fraud.days import Days
from fraud.facts import OF_TRANSFORMER, courses_of, facts_beside_others, facts_of
from fraud.planning import inspection_list
from fraud.records import Score, Table
from fraud.segments import Segments
from fraud.store import Around, Store, StoreError, StoreUnavailable, Written, ledgers_of
from fraud.tables import Tables
from fraud.transformer_tables import TransformerTables, transformers_from_records
from fraud.web.auth import NO_ONE
from fraud.web.bodies import Limits
from fraud.web.desk import DeskService
from fraud.web.judging import Scorer, chunks
from fraud.web.keeping import Keeping, Kept, Planned
from fraud.web.pages.site import PageSettings
from fraud.web.photos import Photos
from fraud.web.uploads import read_upload

NO_LIMITS = Limits(*[sys.maxsize] * 4)
DATABASE = "sqlite:///fairmeter.db"  # where none is named: a file in the working directory
RULES = Path(__file__).parent / "data" / "alerts.toml"
CANNOT_OPEN = (StoreError, BadRules)
PATIENCE = 30  # seconds that a database may take to answer when the service starts: they often start together


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
    drift: dict | None = None,
    weather: tuple[np.ndarray, np.ndarray] | None = None,
) -> Written:
    """Keeps a scoring of the client base, in one transaction. [billed: scores by invoices alone, NaN without]

    balances: None keeps those that are known, and what they say of the clients. drift: as likeness.py tells it.
    weather: days since 1970 and their temperatures, for charts. Raises StoreError, BadRules.
    """
    facts = facts_of(tables.invoices, days, len(scores))
    beside = facts_beside_others(tables.clients, days, balances)
    for told, of_others, score in zip(facts, beside, billed, strict=True):
        told |= of_others | ({} if math.isnan(score) else {OF_INVOICES: float(score)})
    ids = tables.clients["client_id"]
    series = series_of(ids, courses_of(tables.invoices, days, len(scores)))
    kept = Kept(tables.clients, facts, series, balances and balances.rows, () if balances else OF_TRANSFORMER)
    around = Around(bands_of(tables.clients, series), () if weather is None else temperatures_of(*weather))
    kept = kept._replace(ledgers=ledgers_of(ids, tables.invoices), around=around)
    return store.write_run(scores, version, read_rules(rules), **kept._asdict(), drift=drift)


def temperatures_of(days: np.ndarray, degrees: np.ndarray) -> list[tuple[date, float]]:
    return list(zip(days.astype("datetime64[D]").tolist(), degrees.tolist(), strict=True))


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
        weather = _weather_of(_rows_of(archive, "weather"))
    rows, _ = read_upload(files, NO_LIMITS)
    science, scores, parts, seen = DeskScience(scorer), [], [], []
    for chunk in chunks(rows):
        known = Known(*scorer.tables(*map(list, zip(*chunk, strict=True))))
        scores += science.with_reasons(scorer.judge(known[:4]), known)
        parts.append(science.kept_of(known))
        days = Days.of(known.readings, len(known.quality))
        seen.append((known.invoices, replace(days, hours=None)))  # hours would take a hundred megabytes
    kept = joined(parts)
    kept = kept._replace(around=Around(bands_of(kept.clients, kept.series), weather))
    keeping.write(scores, with_balances(kept, seen, measured), is_run=True)
    return len(scores)


def _rows_of(archive: ZipFile, name: str) -> list[dict[str, str]]:
    with archive.open(f"{name}.csv") as stream, TextIOWrapper(stream, "utf-8-sig", newline="") as text:
        return list(csv.DictReader(text))


def _weather_of(rows: list[dict[str, str]]) -> list[tuple[date, float]]:
    """The mean of all regions, by day."""
    by_day: dict[str, list[float]] = {}
    for row in rows:
        by_day.setdefault(row["measured_on"], []).append(float(row["temperature_c"]))
    return [(date.fromisoformat(day), fmean(degrees)) for day, degrees in by_day.items()]


def joined(parts: Sequence[Kept]) -> Kept:
    series, ledgers = (
        {id_: one for part in parts for id_, one in (getattr(part, of) or {}).items()} for of in ("series", "ledgers")
    )
    facts = [facts for part in parts for facts in part.facts]
    return Kept(_stacked([part.clients for part in parts]), facts, series, ledgers=ledgers)


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
