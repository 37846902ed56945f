"""The only SQL: clients, their scores, alerts, cases, inspections, people, readings, notices, transformers.

In:  a URL of SQLite or PostgreSQL.
Out: Store, whose methods are each one transaction. What they raise: StoreError and, where the database does not answer,
     StoreUnavailable; of cases, CaseError (fraud/cases.py).

A room a subject, each a part of the one Store; schema.py has the tables, migrations/ how they came about.
"""

from fraud.store.alerting import Alerting
from fraud.store.around import NOTHING_AROUND, Around, Surrounding
from fraud.store.arriving import Arriving, Batch, Refusal, Tally
from fraud.store.balances import Balanced
from fraud.store.casework import Casework
from fraud.store.database import BadStoreUrl, BadValue, StoreError, StoreUnavailable
from fraud.store.ledgers import Ledgers, ledgers_of
from fraud.store.metered import Arrived, Metered
from fraud.store.migrating import Migrating
from fraud.store.neighbours import Near, Neighbour
from fraud.store.outbox import Claim, Outbox
from fraud.store.paging import BadQuery, Page
from fraud.store.people import ApiKey, BadRole, NameTaken, NoSuchName, Patience, People, TooManyTries, User
from fraud.store.places import Area, Cell, PlacedClient, Places, Transformer
from fraud.store.profiles import Drift, HotSpot, Profile, ProfileRow, Profiles, Run
from fraud.store.runs import Runs, Whole, Written
from fraud.store.series import Series

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
