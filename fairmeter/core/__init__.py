"""Types, reductions over clients' rows, geometry, and text formatting: what all packages may import."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairmeter.core.segments import Segments
    from fairmeter.core.types import (
        INSUFFICIENT_HISTORY,
        SEVERITIES,
        DataIncident,
        EnergyBalance,
        FeatureMatrix,
        HarmlessCause,
        QualityFlag,
        Reason,
        RecoveryEstimate,
        Score,
        Table,
    )

__all__ = [
    "INSUFFICIENT_HISTORY",
    "SEVERITIES",
    "DataIncident",
    "EnergyBalance",
    "FeatureMatrix",
    "HarmlessCause",
    "QualityFlag",
    "Reason",
    "RecoveryEstimate",
    "Score",
    "Segments",
    "Table",
]


def __getattr__(name: str) -> Any:
    # Loaded on first use: gunicorn's master process imports this package and does without NumPy.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("fairmeter.core.segments" if name == "Segments" else "fairmeter.core.types"), name)
