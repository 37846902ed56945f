"""The clients that a model is trained on: features, labels, activity and views.

In:  tables (fairmeter/data/tables.py), their FeatureMatrix and the names of its features.
Out: `Dataset`, which gives row numbers of clients, groups for the report, and a fingerprint of the data.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fairmeter.core.types import FeatureMatrix, Table
from fairmeter.data.tables import Tables, select_clients
from fairmeter.evaluation.model_evaluation import history_quintile

PROSPECTIVE, ALL = VIEWS = ("prospective", "all")
# An account is active if its last invoice is in the last 7 calendar years of the data (STEG: 2013 or later).
ACTIVE_YEARS = 7
FindTables = Callable[[np.ndarray], tuple[Table, Table]]
MIN_UNLABELLED = 40  # clients: among fewer a rank says little
MIN_PER_LABEL = 20  # clients: fewer cannot be split into folds and bins


class TrainingError(Exception):
    """Data or places to write that training cannot use; the message says what to do."""


@dataclass(frozen=True)
class Dataset:
    """Clients with their features and labels (1, 0, NaN unknown). [active_from: days since 1970]

    find: returns clients and invoices of some clients [row numbers, ascending]; None where `tables` holds all invoices.
    weight: number of clients that each labelled one represents; None for equal weights.
    """

    name: str
    tables: Tables
    evidence: FeatureMatrix
    feature_names: tuple[str, ...]
    label: np.ndarray
    active_from: float
    find: FindTables | None = None
    weight: np.ndarray | None = None

    @classmethod
    def from_tables(
        cls,
        name: str,
        tables: Tables,
        evidence: FeatureMatrix,
        feature_names: tuple[str, ...],
        find: FindTables | None = None,
    ) -> "Dataset":
        """Raises TrainingError."""
        label = tables.clients.get("label", np.full(len(tables.clients["client_id"]), np.nan))
        if not (evidence.n_records > 0).any():
            raise TrainingError(f"{name} has no invoice of any of its clients, so there is nothing to learn from.")
        last_on = evidence.features[:, feature_names.index("last_invoice_on")]
        # Not the maximum: one invoice dated years ahead by mistake would make all other clients inactive.
        latest = np.nanquantile(last_on, 0.999)
        year = np.datetime64(int(latest), "D").astype("datetime64[Y]")
        active_from = (year - (ACTIVE_YEARS - 1)).astype("datetime64[D]").astype(np.int64)
        return cls(name, tables, evidence, feature_names, label, float(active_from), find)

    def column(self, feature: str) -> np.ndarray:
        """One feature of all clients. [float32]"""
        return self.evidence.features[:, self.feature_names.index(feature)]

    def is_active(self) -> np.ndarray:
        """Whether each client's last invoice is dated `active_from` or later. [bool, all clients]"""
        return self.column("last_invoice_on") >= self.active_from

    @property
    def has_labels(self) -> bool:
        """Whether any client has a label."""
        return not np.isnan(self.label).all()

    def scored_clients(self, view: str) -> np.ndarray:
        """Row numbers of the clients that a model of this view is for: with invoices, and for `prospective` active."""
        wanted = self.evidence.n_records > 0
        return np.flatnonzero(wanted & self.is_active() if view == PROSPECTIVE else wanted)

    def unlabelled_clients(self, view: str) -> np.ndarray:
        """Row numbers of the view's clients, of which none has a label.

        Raises TrainingError where there are fewer than MIN_UNLABELLED.
        """
        clients = self.scored_clients(view)
        if len(clients) < MIN_UNLABELLED:
            raise TrainingError(
                f"{self.name} has no labels (raw name: target), and only {len(clients):,} clients with invoices "
                f"(view {view}); to rank clients without labels at least {MIN_UNLABELLED} are needed."
            )
        return clients

    def clients(self, view: str) -> np.ndarray:
        """Row numbers of the view's clients: labelled, with invoices, and for `prospective` active.

        Raises TrainingError where fewer than MIN_PER_LABEL have one of the labels.
        """
        scored = self.scored_clients(view)
        wanted = np.zeros(len(self.label), dtype=bool)
        wanted[scored[~np.isnan(self.label[scored])]] = True
        n, n_frauds = int(wanted.sum()), int(self.label[wanted].sum())
        if min(n_frauds, n - n_frauds) < MIN_PER_LABEL:
            raise TrainingError(
                f"{self.name} has {n_frauds:,} clients labelled 1 and {n - n_frauds:,} labelled 0 to learn from "
                f"(view {view}); at least {MIN_PER_LABEL} of each kind are needed."
            )
        return np.flatnonzero(wanted)

    def weight_of(self, clients: np.ndarray) -> np.ndarray | None:
        """Weights of some clients; None for equal weights. [row numbers]"""
        return None if self.weight is None else self.weight[clients]

    def groups(self, clients: np.ndarray) -> dict[str, np.ndarray]:
        """Group names of some clients, one array of texts for each grouping of the report."""
        return {
            "history quintile": history_quintile(self.evidence.n_records[clients]),
            "region": self._names("region", clients),
            "category": self._names("category", clients),
        }

    def _names(self, column: str, clients: np.ndarray) -> np.ndarray:
        """Codes of some clients as texts, "unknown" for NaN. [str]"""
        codes, place = np.unique(self.column(column)[clients], return_inverse=True)
        names = ["unknown" if np.isnan(code) else self.tables.code_names.name(column, code) for code in codes]
        return np.array(names)[place]

    def fingerprint(self) -> str:
        """SHA-256 of features and labels, which identifies the data without revealing it."""
        digest = hashlib.sha256(np.ascontiguousarray(self.evidence.features))
        digest.update(np.ascontiguousarray(self.label))
        return digest.hexdigest()

    def select_clients(self, clients: np.ndarray) -> tuple[Table, Table]:
        """Clients and invoices of some clients. [row numbers, ascending]"""
        return self.find(clients) if self.find else select_clients(clients, self.tables.clients, self.tables.invoices)

    @property
    def n_invoices(self) -> int:
        return int(self.evidence.n_records.sum())

    @property
    def fraud_rate(self) -> float:
        """Share of the labelled clients that are labelled 1; NaN without labels. [0..1]"""
        return float(np.nanmean(self.label)) if self.has_labels else np.nan

    def summary(self) -> str:
        """One line on the data: clients, invoices and labels."""
        counted = f"{self.name}: {len(self.label):,} clients, {self.n_invoices:,} invoices"
        return f"{counted}, {describe_labels(self.label)}; {self.is_active().sum():,} active."


def describe_labels(label: np.ndarray) -> str:
    """How many clients are labelled fraud, of how many with a label. [1, 0, NaN unknown]"""
    n_unknown, n_frauds = int(np.isnan(label).sum()), int(np.nansum(label))
    if n_unknown == len(label):
        return "none of them labelled"
    if n_unknown:
        return f"{n_frauds:,} of {len(label) - n_unknown:,} inspected labelled fraud, {n_unknown:,} unknown"
    return f"{n_frauds / len(label):.2%} labelled fraud"


def describe_selection(label: np.ndarray) -> list[str]:
    """A sentence on labels of the inspected alone; none where all clients have one, or none has."""
    n_unknown = int(np.isnan(label).sum())
    if n_unknown in (0, len(label)):
        return []
    return [
        f"Labels: {describe_labels(label)}. The inspected were chosen, not drawn at random: figures hold for clients "
        "chosen like them, and say less of all others."
    ]
