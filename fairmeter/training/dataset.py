"""What is trained on: clients with labels, who of them is active, and whom a view is about.

In:  tables (tables.py), their FeatureMatrix and its features' names (features.py).
Out: `Study`, which gives row numbers of clients, groups for the report, and a fingerprint of the data.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fairmeter.core.types import FeatureMatrix, Table
from fairmeter.data.tables import Tables, select_clients
from fairmeter.evaluation.model_evaluation import history_quintile

PROSPECTIVE, ALL = VIEWS = ("prospective", "all")
# The last invoice in this many last calendar years of the data (STEG: 2013 or later): an account to visit.
ACTIVE_YEARS = 7
Find = Callable[[np.ndarray], tuple[Table, Table]]
LEAST_OF_A_KIND = 20  # frauds, and others: fewer cannot be split into folds and bins


class TrainingError(Exception):
    """Data or a place to write that training cannot work with; the message says what to do."""


@dataclass(frozen=True)
class Dataset:
    """Clients with their evidence and labels (1, 0, NaN unknown). [active_from: days since 1970]

    find: gives clients and invoices of some clients [row numbers, ascending]; without it `tables` holds all invoices.
    weight: how many clients each labelled one stands for; None, all count alike.
    """

    name: str
    tables: Tables
    evidence: FeatureMatrix
    feature_names: tuple[str, ...]
    label: np.ndarray
    active_from: float
    find: Find | None = None
    weight: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        name: str,
        tables: Tables,
        evidence: FeatureMatrix,
        feature_names: tuple[str, ...],
        find: Find | None = None,
    ) -> "Dataset":
        """Raises TrainingError."""
        label = tables.clients.get("label")
        if label is None or np.isnan(label).all():
            raise TrainingError(
                f"{name} has no label (raw name: target) in its clients, so there is nothing to learn from."
            )
        if not (evidence.n_records > 0).any():
            raise TrainingError(f"{name} has no invoice of any of its clients, so there is nothing to learn from.")
        last_on = evidence.features[:, feature_names.index("last_invoice_on")]
        # Not the very last: one invoice dated years ahead by mistake would make everybody else inactive.
        latest = np.nanquantile(last_on, 0.999)
        year = np.datetime64(int(latest), "D").astype("datetime64[Y]")
        active_from = (year - (ACTIVE_YEARS - 1)).astype("datetime64[D]").astype(np.int64)
        return cls(name, tables, evidence, feature_names, label, float(active_from), find)

    def column(self, feature: str) -> np.ndarray:
        """One feature of all clients. [float32]"""
        return self.evidence.features[:, self.feature_names.index(feature)]

    def is_active(self) -> np.ndarray:
        """Whether the last invoice is of `active_from` or later. [bool, all clients]"""
        return self.column("last_invoice_on") >= self.active_from

    def clients(self, view: str) -> np.ndarray:
        """Row numbers of the clients this view is about: labelled, with invoices, and for `prospective` active.

        Raises TrainingError where too few of them are frauds, or too few are not.
        """
        wanted = (self.evidence.n_records > 0) & ~np.isnan(self.label)
        if view == PROSPECTIVE:
            wanted &= self.is_active()
        n, n_frauds = int(wanted.sum()), int(self.label[wanted].sum())
        if min(n_frauds, n - n_frauds) < LEAST_OF_A_KIND:
            raise TrainingError(
                f"{self.name} has {n_frauds:,} clients labelled 1 and {n - n_frauds:,} labelled 0 to learn from "
                f"(view {view}); at least {LEAST_OF_A_KIND} of each kind are needed."
            )
        return np.flatnonzero(wanted)

    def weight_of(self, clients: np.ndarray) -> np.ndarray | None:
        """Of some clients; None where all count alike. [row numbers]"""
        return None if self.weight is None else self.weight[clients]

    def groups(self, clients: np.ndarray) -> dict[str, np.ndarray]:
        """What the report breaks the figures down by: a text a client, by the grouping's name."""
        return {
            "history quintile": history_quintile(self.evidence.n_records[clients]),
            "region": code_names(self.column("region")[clients]),
            "category": code_names(self.column("category")[clients]),
        }

    def fingerprint(self) -> str:
        """Names the data without telling it: SHA-256 of features and labels."""
        digest = hashlib.sha256(np.ascontiguousarray(self.evidence.features))
        digest.update(np.ascontiguousarray(self.label))
        return digest.hexdigest()

    def select_clients(self, clients: np.ndarray) -> tuple[Table, Table]:
        """The clients and the invoices of some. [row numbers, ascending]"""
        return self.find(clients) if self.find else select_clients(clients, self.tables.clients, self.tables.invoices)

    @property
    def n_invoices(self) -> int:
        return int(self.evidence.n_records.sum())

    @property
    def fraud_rate(self) -> float:
        """Share of the labelled clients that are labelled 1. [0..1]"""
        return float(np.nanmean(self.label))

    def summary(self) -> str:
        return (
            f"{self.name}: {len(self.label):,} clients, {self.n_invoices:,} invoices, "
            f"{self.fraud_rate:.2%} labelled fraud; {self.is_active().sum():,} active."
        )


def code_names(codes: np.ndarray) -> np.ndarray:
    """Codes as text. [float -> str]"""
    return np.array(["unknown" if np.isnan(code) else f"{code:.0f}" for code in codes])
