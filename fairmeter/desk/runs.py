"""Opening the desk's service, and storing a scoring of the client base.

In:  settings, a scorer; scores with the tables and features that they are of.
Out: DeskService over an open store; profiles, alerts and a run in the store.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np

from fairmeter.analysis.client_facts import TRANSFORMER_FACTS, client_facts, consumption_series, context_facts
from fairmeter.analysis.energy_balance import EnergyBalances
from fairmeter.analysis.peer_consumption import consumption_bands
from fairmeter.analysis.shared_traits import shared_traits
from fairmeter.casework.alert_rules import BadRules, read_rules
from fairmeter.core import paths
from fairmeter.core.types import INSUFFICIENT_HISTORY, DataIncident, Score
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.tables import Tables
from fairmeter.desk.photos import Photos
from fairmeter.desk.rescoring import INVOICE_SCORE, Rescorer, series_by_client
from fairmeter.desk.service import DeskService, ProfileUpdate, RankedVisit
from fairmeter.planning.inspection_list import inspection_list
from fairmeter.scoring.batches import Scorer
from fairmeter.scoring.run_claims import FollowingScorer, LastRunClaims
from fairmeter.store import (
    NO_REFERENCE_DATA,
    PopulationCounts,
    ReferenceData,
    RunSummary,
    Store,
    StoreError,
    StoreUnavailable,
    invoice_histories,
    population_of,
)

DATABASE = "sqlite:///fairmeter.db"  # the default: a file in the working directory
RULES = paths.ALERT_RULES
OPEN_ERRORS = (StoreError, BadRules)
MIN_JUDGED_SHARE = 0.8  # of the clients that the last run judged
RETRY = 2.0  # seconds between two attempts to open the desk; others are answered at once meanwhile
MAX_WAIT = 30  # seconds for the database to answer a command: both often start together


log = logging.getLogger(__name__)


class FewerClients(StoreError):
    """A run judges far fewer clients than the last one: most often a file or a join is broken."""


class DeskOpening:
    """Opens the desk once its database answers. [then: called once after the tables are up to date]"""

    def __init__(self, store: Store, then: Sequence[Callable[[], None]] = ()) -> None:
        self._store, self._then = store, [*then]
        self._lock, self._is_open = Lock(), False
        self._tried_at, self._why = -RETRY, "The database is being opened; try again."

    @property
    def is_open(self) -> bool:
        """Whether the database was reached, and its tables are up to date."""
        return self._is_open

    def when_open(self, call: Callable[[], None]) -> None:
        """Call this once the desk is open: now, or later."""
        if self._is_open:
            call()
        else:
            self._then.append(call)

    def check(self) -> None:
        """Raises StoreUnavailable while the database is away, StoreError where it cannot be used."""
        if self._is_open:
            return
        if not self._lock.acquire(blocking=False):
            raise StoreUnavailable(self._why)
        try:
            if not self._is_open and time.monotonic() - self._tried_at < RETRY:
                raise StoreUnavailable(self._why)
            self._open()
        finally:
            self._lock.release()

    def _open(self) -> None:
        try:
            self._store.migrate()
            for call in self._then:
                call()
        except StoreUnavailable as error:
            log.warning("the desk waits for its database: %s", error)
            self._tried_at, self._why = time.monotonic(), str(error)
            raise
        self._is_open = True


def open_desk(
    url: str,
    rules: Path,
    scorer: Scorer,
    photos: Path | None = None,
    audit_key: bytes | None = None,
    four_eyes: bool = False,
) -> DeskService:
    """The desk's service over its database, which is not opened yet (DeskOpening). Raises OPEN_ERRORS.

    photos: folder; None: beside a database that is a file, otherwise photos are refused. audit_key: seals the audit
    chain. four_eyes: no user closes a case alone.
    """
    alert_rules = read_rules(rules)
    store = Store(url, audit_key, four_eyes)
    backend = Rescorer(following(scorer, store))
    return DeskService(store, alert_rules, backend, plan_visits, Photos(photos or photo_folder(store)))


def following(scorer: Scorer, store: Store) -> Scorer:
    """The scorer, claiming no more than the last run that this model scored into the store."""
    read = partial(store.last_run_drift, str(scorer.manifest["version"]))
    return FollowingScorer(scorer, LastRunClaims(read, StoreUnavailable))


def photo_folder(store: Store) -> Path | None:
    """The default folder of photos, beside a database file; None for a database server, which many machines may use."""
    return Path(store.url.database).parent / "photos" if store.is_sqlite else None


def open_store(url: str, wait: Callable = time.sleep, audit_key: bytes | None = None) -> Store:
    """A store with up-to-date tables. Raises StoreError."""
    store = Store(url, audit_key)
    _migrate(store, wait)
    return store


def _migrate(store: Store, wait: Callable) -> None:
    """Raises StoreUnavailable if the database does not answer within MAX_WAIT."""
    for attempt in range(MAX_WAIT, -1, -1):
        try:
            store.migrate()
        except StoreUnavailable:
            if attempt == 0:
                raise
            wait(1)
        else:
            return


def save_run(
    store: Store,
    rules: Path,
    scores: Sequence[Score],
    version: str,
    tables: Tables,
    days: DailyConsumption | None,
    invoice_scores: Sequence,
    balances: EnergyBalances | None = None,
    drift: dict | None = None,
    weather: tuple[np.ndarray, np.ndarray] | None = None,
    population: tuple | None = None,
    incidents: Sequence[DataIncident] = (),
    accept_fewer: bool = False,
) -> RunSummary:
    """Store a scoring of the client base, in one transaction. Raises StoreError, BadRules.

    invoice_scores: by invoices alone, NaN without any. balances: None keeps the stored ones and the facts from them.
    drift: as scoring/population_drift.py computes it. weather: days since 1970 and their temperatures [degrees C].
    population: fields of PopulationCounts if these clients are a part of the base. Consumption bands are then left
    unchanged: the highest scores do not represent other clients. incidents: what is the data's fault at many clients.
    accept_fewer: also a run that judges far fewer clients than the last one; without it, raises FewerClients.
    """
    part = population and PopulationCounts(*population)
    if not accept_fewer:
        _check_judged(store, part or population_of(scores))
    facts = client_facts(tables.invoices, days, len(scores))
    context = context_facts(tables.clients, days, balances)
    for of_client, from_context, score in zip(facts, context, invoice_scores, strict=True):
        of_client |= from_context | ({} if math.isnan(score) else {INVOICE_SCORE: float(score)})
    ids = tables.clients["client_id"]
    series = series_by_client(ids, consumption_series(tables.invoices, days, len(scores)))
    bands = consumption_bands(tables.clients, series) if population is None else NO_REFERENCE_DATA.bands
    update = ProfileUpdate(
        tables.clients,
        facts,
        series,
        balances=balances and balances.rows,
        lasting_facts=() if balances else TRANSFORMER_FACTS,
        invoice_histories=invoice_histories(ids, tables.invoices),
        reference=ReferenceData(bands, () if weather is None else daily_temperatures(*weather)),
        code_names=tables.code_names,
        traits=shared_traits(ids, tables.invoices),
    )
    options = update._asdict() | {"drift": drift, "incidents": incidents, "population": part}
    return store.write_run(scores, version, read_rules(rules), **options)


def _check_judged(store: Store, now: PopulationCounts) -> None:
    """Raises FewerClients."""
    last = next(iter(store.list_runs(1)), None)
    n_before, n_now = (
        run.n_clients - run.n_by_severity.get(INSUFFICIENT_HISTORY, 0) if run else 0 for run in (last, now)
    )
    if n_now < MIN_JUDGED_SHARE * n_before:
        raise FewerClients(
            f"This run judges {n_now:,} clients, the last one at the desk {n_before:,}: alerts of the others would "
            "lapse. The desk is as it was. See whether all files and joins are right; if so, add --accept-fewer."
        )


def daily_temperatures(days: np.ndarray, degrees: np.ndarray) -> list[tuple[date, float]]:
    """Pairs of day and temperature. [days since 1970; degrees C]"""
    return list(zip(days.astype("datetime64[D]").tolist(), degrees.tolist(), strict=True))


def plan_visits(scores: list[Score], visits: int, cost: float = 0.0, price: float | None = None) -> list[RankedVisit]:
    """The visits with the highest expected net value, or with the highest scores where no price is known."""
    listed = inspection_list(scores, visits, cost, price, random_share=0.0)
    return [RankedVisit(visit.score, visit.is_random, visit.net) for visit in listed]
