"""Scores -> reasons and harmless causes in sentences."""

from fairmeter.explanation.explain import ScoringContext, explain, explain_aggregates

__all__ = ["ScoringContext", "explain", "explain_aggregates"]
