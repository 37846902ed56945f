"""The only SQL: Store holds clients, scores, alerts, cases, users, readings and notifications."""

from fairmeter.store.access.invitations import InvitationEnded, InvitationStore
from fairmeter.store.access.keys import ApiKey, KeyStore
from fairmeter.store.access.roles import BadRole, NameTaken, NoSuchName
from fairmeter.store.access.sign_ins import LoginLimits, SignInStore, TooManyTries
from fairmeter.store.access.users import NO_PASSWORD, LastAdmin, User, UserStore
from fairmeter.store.audit import AuditEnd, AuditStore
from fairmeter.store.corrections import CorrectionStore, FormerReading, Mark, Sender
from fairmeter.store.engine.database import BadStoreUrl, StoreError, StoreUnavailable, ValueOutOfRange
from fairmeter.store.engine.exclusive import ExclusiveWork, Hold
from fairmeter.store.engine.migrate import Migrations
from fairmeter.store.engine.packing import InvoiceHistories, Series, invoice_histories
from fairmeter.store.engine.paging import BadQuery, Page
from fairmeter.store.fieldwork.alert_actions import AlertActionStore, AlertNotFound
from fairmeter.store.fieldwork.campaigns import CampaignStore, NoSuchCampaign
from fairmeter.store.fieldwork.changes import Change, ChangeStore
from fairmeter.store.fieldwork.counts import VisitCountStore
from fairmeter.store.fieldwork.crews import CrewStore, NoSuchCrew
from fairmeter.store.fieldwork.desk_settings import DeskSettingStore, DeskValue
from fairmeter.store.fieldwork.notices import CommentStore
from fairmeter.store.fieldwork.plans import NoSuchPlan, PlanChanged, PlanStore, PublishedPlan
from fairmeter.store.fieldwork.rule_inputs import RuleInputStore
from fairmeter.store.fieldwork.sites import ClientSite, SiteStore
from fairmeter.store.imports import Import, ImportConflict, ImportStore, KeptMap, NoSuchImport, StepClaim
from fairmeter.store.ingestion import IngestionStore, IngestionTotals, ReceivedBatch, RejectedMessage
from fairmeter.store.keeping.copies import CopyNotPossible, CopyStore, TableCopy, check_copied
from fairmeter.store.keeping.erasure import ErasedClient, ErasureStore
from fairmeter.store.keeping.retention import Purged, RetentionStore
from fairmeter.store.lookup.relations import (
    MAX_SHARING,
    RELATION_KINDS,
    RelatedClient,
    RelationGroup,
    Relations,
    RelationStore,
)
from fairmeter.store.lookup.search import FoundClient, SearchStore
from fairmeter.store.lookup.series import SeriesStore
from fairmeter.store.notifications import ClaimedNotice, NotificationStore
from fairmeter.store.places import Area, Cell, Neighbour, PlacedClient, PlaceStore, Transformer
from fairmeter.store.profiles import Profile, ProfileRow, ProfileStore, RegionCount, Run, StoredDrift
from fairmeter.store.readings import QUALITIES, UNNAMED, IngestionResult, MeterReading, ReadingStore
from fairmeter.store.reference import NO_REFERENCE_DATA, ReferenceData, ReferenceStore
from fairmeter.store.runs import PopulationCounts, RunStore, RunSummary, population_of
from fairmeter.store.transformers import TransformerStore

__all__ = [
    "MAX_SHARING",
    "NO_PASSWORD",
    "NO_REFERENCE_DATA",
    "QUALITIES",
    "RELATION_KINDS",
    "UNNAMED",
    "AlertNotFound",
    "ApiKey",
    "Area",
    "AuditEnd",
    "BadQuery",
    "BadRole",
    "BadStoreUrl",
    "Cell",
    "Change",
    "ClaimedNotice",
    "ClientSite",
    "CopyNotPossible",
    "DeskValue",
    "ErasedClient",
    "FormerReading",
    "FoundClient",
    "Hold",
    "Import",
    "ImportConflict",
    "IngestionResult",
    "IngestionTotals",
    "InvitationEnded",
    "InvoiceHistories",
    "KeptMap",
    "LastAdmin",
    "LoginLimits",
    "Mark",
    "MeterReading",
    "NameTaken",
    "Neighbour",
    "NoSuchCampaign",
    "NoSuchCrew",
    "NoSuchImport",
    "NoSuchName",
    "NoSuchPlan",
    "Page",
    "PlacedClient",
    "PlanChanged",
    "PopulationCounts",
    "Profile",
    "ProfileRow",
    "PublishedPlan",
    "Purged",
    "ReceivedBatch",
    "ReferenceData",
    "RegionCount",
    "RejectedMessage",
    "RelatedClient",
    "RelationGroup",
    "Relations",
    "Run",
    "RunSummary",
    "Sender",
    "Series",
    "StepClaim",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "StoredDrift",
    "TableCopy",
    "TooManyTries",
    "Transformer",
    "User",
    "ValueOutOfRange",
    "check_copied",
    "invoice_histories",
    "population_of",
]


class Store(
    RunStore,
    ProfileStore,
    ReferenceStore,
    PlaceStore,
    SearchStore,
    RelationStore,
    SeriesStore,
    TransformerStore,
    AlertActionStore,
    PlanStore,
    CrewStore,
    CampaignStore,
    SiteStore,
    VisitCountStore,
    ChangeStore,
    DeskSettingStore,
    RuleInputStore,
    CommentStore,
    AuditStore,
    ReadingStore,
    CorrectionStore,
    ErasureStore,
    RetentionStore,
    CopyStore,
    IngestionStore,
    NotificationStore,
    ImportStore,
    UserStore,
    InvitationStore,
    KeyStore,
    SignInStore,
    ExclusiveWork,
    Migrations,
):
    """A database of SQLite or PostgreSQL, given by its URL; call migrate() first. Each method is one transaction.

    audit_key: seals the audit chain; it must not be kept in the database. Threads share one Store, processes open their
    own. Methods raise StoreError, StoreUnavailable if the database does not answer, and CaseError
    (fairmeter/casework/workflow.py) for cases.
    """
