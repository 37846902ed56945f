"""The only SQL: clients, their scores, alerts, cases, inspections, people, readings, notices, transformers.

In:  a URL of SQLite or PostgreSQL.
Out: Store, whose methods are each one transaction. What they raise: StoreError and, where the database does not answer,
     StoreUnavailable; of cases, CaseError (fairmeter/casework/workflow.py).

A room a subject, each a part of the one Store; schema.py has the tables, migrations/ how they came about.
"""

from fairmeter.store.alerts import AlertStore
from fairmeter.store.cases import CaseStore
from fairmeter.store.engine.database import BadStoreUrl, StoreError, StoreUnavailable, ValueOutOfRange
from fairmeter.store.engine.migrate import Migrations
from fairmeter.store.engine.packing import Ledgers, ledgers_of
from fairmeter.store.engine.paging import BadQuery, Page
from fairmeter.store.engine.series import Series
from fairmeter.store.ingestion import IngestionStore, IngestionTotals, ReceivedBatch, RejectedMessage
from fairmeter.store.neighbours import Neighbour, NeighbourStore
from fairmeter.store.notifications import ClaimedNotice, NotificationStore
from fairmeter.store.places import Area, Cell, PlacedClient, PlaceStore, Transformer
from fairmeter.store.profiles import Profile, ProfileRow, ProfileStore, RegionCount, Run, StoredDrift
from fairmeter.store.readings import IngestionResult, ReadingStore
from fairmeter.store.reference import NOTHING_AROUND, ReferenceData, ReferenceStore
from fairmeter.store.runs import PopulationCounts, RunStore, RunSummary
from fairmeter.store.transformers import TransformerStore
from fairmeter.store.users import ApiKey, BadRole, LoginLimits, NameTaken, NoSuchName, TooManyTries, User, UserStore

__all__ = [
    "NOTHING_AROUND",
    "ApiKey",
    "Area",
    "BadQuery",
    "BadRole",
    "BadStoreUrl",
    "Cell",
    "ClaimedNotice",
    "IngestionResult",
    "IngestionTotals",
    "Ledgers",
    "LoginLimits",
    "NameTaken",
    "Neighbour",
    "NoSuchName",
    "Page",
    "PlacedClient",
    "PopulationCounts",
    "Profile",
    "ProfileRow",
    "ReceivedBatch",
    "ReferenceData",
    "RegionCount",
    "RejectedMessage",
    "Run",
    "RunSummary",
    "Series",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "StoredDrift",
    "TooManyTries",
    "Transformer",
    "User",
    "ValueOutOfRange",
    "ledgers_of",
]


class Store(
    RunStore,
    ProfileStore,
    ReferenceStore,
    NeighbourStore,
    PlaceStore,
    TransformerStore,
    AlertStore,
    CaseStore,
    ReadingStore,
    IngestionStore,
    NotificationStore,
    UserStore,
    Migrations,
):
    """Store("sqlite:///fairmeter.db").migrate(), then everything else. Threads share one; processes open their own."""
