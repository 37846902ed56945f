"""The desk behind the service: predict.py loads it where a database is set or OPEN is, and where a command asks for it.

In:  settings, a scorer.
Out: DeskExtension over an open store whose tables are up to date; the model as the desk needs it. Science and desk meet
     here: what is judged there is kept here.
"""

import math
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import numpy as np

from fairmeter.analysis.client_facts import TRANSFORMER_FACTS, client_facts, consumption_series, context_facts
from fairmeter.analysis.energy_balance import EnergyBalances
from fairmeter.analysis.peer_consumption import consumption_bands
from fairmeter.casework.alert_rules import BadRules, read_rules
from fairmeter.core import paths
from fairmeter.core.types import Score
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.tables import Tables
from fairmeter.desk.photos import Photos
from fairmeter.desk.rescoring import OF_INVOICES, Rescorer, series_of
from fairmeter.desk.service import DeskService, ProfileUpdate, VisitPlanner
from fairmeter.planning.inspection_list import inspection_list
from fairmeter.scoring.batches import Scorer
from fairmeter.store import (
    NO_REFERENCE_DATA,
    PopulationCounts,
    ReferenceData,
    RunSummary,
    Store,
    StoreError,
    StoreUnavailable,
    invoice_histories,
)

DATABASE = "sqlite:///fairmeter.db"  # where none is named: a file in the working directory
RULES = paths.ALERT_RULES
CANNOT_OPEN = (StoreError, BadRules)
PATIENCE = 30  # seconds that a database may take to answer when the service starts: they often start together


def open_desk(
    url: str, rules: Path, scorer: Scorer, photos: Path | None = None, wait: Callable = time.sleep
) -> DeskService:
    """The desk over its database. [photos: folder; None: beside a database that is a file, else none are taken]

    Raises what CANNOT_OPEN names.
    """
    alert_rules = read_rules(rules)
    store = open_store(url, wait)
    return DeskService(store, alert_rules, Rescorer(scorer), plan, Photos(photos or beside(store)))


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
    days: DailyConsumption | None,
    billed: Sequence,
    balances: EnergyBalances | None = None,
    drift: dict | None = None,
    weather: tuple[np.ndarray, np.ndarray] | None = None,
    whole: tuple | None = None,
) -> RunSummary:
    """Keeps a scoring of the client base, in one transaction. [billed: scores by invoices alone, NaN without]

    balances: None keeps those that are known, and what they say of the clients. drift: as likeness.py tells it.
    weather: days since 1970 and their temperatures, for charts. whole: fields of Whole, where these are a part of it:
    the highest scores do not tell what others use. Raises StoreError, BadRules.
    """
    facts = client_facts(tables.invoices, days, len(scores))
    beside = context_facts(tables.clients, days, balances)
    for told, of_others, score in zip(facts, beside, billed, strict=True):
        told |= of_others | ({} if math.isnan(score) else {OF_INVOICES: float(score)})
    ids = tables.clients["client_id"]
    series = series_of(ids, consumption_series(tables.invoices, days, len(scores)))
    kept = ProfileUpdate(
        tables.clients, facts, series, balances and balances.rows, () if balances else TRANSFORMER_FACTS
    )
    bands = consumption_bands(tables.clients, series) if whole is None else NO_REFERENCE_DATA.bands
    reference = ReferenceData(bands, () if weather is None else temperatures_of(*weather))
    kept = kept._replace(invoice_histories=invoice_histories(ids, tables.invoices), reference=reference)
    part = whole and PopulationCounts(*whole)
    return store.write_run(scores, version, read_rules(rules), **kept._asdict(), drift=drift, population=part)


def temperatures_of(days: np.ndarray, degrees: np.ndarray) -> list[tuple[date, float]]:
    return list(zip(days.astype("datetime64[D]").tolist(), degrees.tolist(), strict=True))


def plan(scores: list[Score], visits: int, cost: float = 0.0, price: float | None = None) -> list[VisitPlanner]:
    """The best by what a visit is expected to bring, or by score where no price is known."""
    listed = inspection_list(scores, visits, cost, price, random_share=0.0)
    return [VisitPlanner(visit.score, visit.is_random, visit.net) for visit in listed]
