"""Metrics with intervals, conformal selection, drift, and profit curves."""

from fairmeter.evaluation.conformal_selection import ConformalSelection, select
from fairmeter.evaluation.drift import ReferenceDistribution, list_overlap, psi
from fairmeter.evaluation.metrics import pr_auc, precision_at_k, roc_auc, share_estimate
from fairmeter.evaluation.model_evaluation import evaluate

__all__ = [
    "ConformalSelection",
    "ReferenceDistribution",
    "evaluate",
    "list_overlap",
    "pr_auc",
    "precision_at_k",
    "psi",
    "roc_auc",
    "select",
    "share_estimate",
]
