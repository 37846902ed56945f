"""The only SQL: clients, their scores, alerts, cases, inspections, people, readings, notices, transformers.

In:  a URL of SQLite or PostgreSQL.
Out: Store, whose methods are each one transaction. What they raise: StoreError and, where the database does not answer,
     StoreUnavailable; of cases, CaseError (fairmeter/casework/workflow.py).

A room a subject, each a part of the one Store; schema.py has the tables, migrations/ how they came about.
"""

from fairmeter.store.alerts import Alerting
from fairmeter.store.cases import Casework
from fairmeter.store.engine.database import BadStoreUrl, BadValue, StoreError, StoreUnavailable
from fairmeter.store.engine.migrate import Migrating
from fairmeter.store.engine.packing import Ledgers, ledgers_of
from fairmeter.store.engine.paging import BadQuery, Page
from fairmeter.store.engine.series import Series
from fairmeter.store.ingestion import Arriving, Batch, Refusal, Tally
from fairmeter.store.neighbours import Near, Neighbour
from fairmeter.store.notifications import Claim, Outbox
from fairmeter.store.places import Area, Cell, PlacedClient, Places, Transformer
from fairmeter.store.profiles import Drift, HotSpot, Profile, ProfileRow, Profiles, Run
from fairmeter.store.readings import Arrived, Metered
from fairmeter.store.reference import NOTHING_AROUND, Around, Surrounding
from fairmeter.store.runs import Runs, Whole, Written
from fairmeter.store.transformers import Balanced
from fairmeter.store.users import ApiKey, BadRole, NameTaken, NoSuchName, Patience, People, TooManyTries, User

__all__ = [
    "NOTHING_AROUND",
    "ApiKey",
    "Area",
    "Around",
    "Arrived",
    "BadQuery",
    "BadRole",
    "BadStoreUrl",
    "BadValue",
    "Batch",
    "Cell",
    "Claim",
    "Drift",
    "HotSpot",
    "Ledgers",
    "NameTaken",
    "Neighbour",
    "NoSuchName",
    "Page",
    "Patience",
    "PlacedClient",
    "Profile",
    "ProfileRow",
    "Refusal",
    "Run",
    "Series",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "Tally",
    "TooManyTries",
    "Transformer",
    "User",
    "Whole",
    "Written",
    "ledgers_of",
]


class Store(
    Runs,
    Profiles,
    Surrounding,
    Near,
    Places,
    Balanced,
    Alerting,
    Casework,
    Metered,
    Arriving,
    Outbox,
    People,
    Migrating,
):
    """Store("sqlite:///fairmeter.db").migrate(), then everything else. Threads share one; processes open their own."""
