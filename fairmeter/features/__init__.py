"""Tables -> feature matrices, the same for training, the service and Spark."""

from fairmeter.features.base import EVIDENCE_GROUPS, Feature
from fairmeter.features.invoices.matrix import FEATURE_NAMES, FEATURES, client_features
from fairmeter.features.readings.covariates import Covariates, TransformerLosses
from fairmeter.features.readings.matrix import reading_features

__all__ = [
    "EVIDENCE_GROUPS",
    "FEATURES",
    "FEATURE_NAMES",
    "Covariates",
    "Feature",
    "TransformerLosses",
    "client_features",
    "reading_features",
]
