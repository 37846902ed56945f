"""Kinds of evidence: the pattern that each is of, and its sentence.

In:  an Occurrence with its figures.
Out: KINDS, by the kind of the Evidence.
"""

from collections.abc import Callable
from typing import NamedTuple

from fairmeter.analysis.anomalies.evidence import Occurrence
from fairmeter.core.types import (
    GRADUAL_CHANGE,
    IRREGULAR_HOURS,
    LOW_USE,
    NEIGHBOUR_DEVIATION,
    OWN_HISTORY,
    SUDDEN_SPIKE,
    TAMPERING,
)
from fairmeter.wording.phrases import Phrase, sentence


class AnomalyKind(NamedTuple):
    """The pattern of a kind of evidence, and what makes its sentence."""

    pattern: str
    sentence: Callable[[Occurrence], Phrase]


def _as(code: str) -> Callable[[Occurrence], Phrase]:
    """The sentence of a kind whose wording does not depend on its figures."""
    return lambda found: _phrase(code, found)


def _phrase(code: str, found: Occurrence) -> Phrase:
    return sentence(Phrase(f"anomaly.{code}", since=found.since, until=found.until, **found.figures))


def _spike(found: Occurrence) -> Phrase:
    during, before = found.figures["during"], found.figures["before"]
    if before <= 0:
        return _phrase("spike.far", found)
    times = Phrase("anomaly.spike.times", times=during / before, since=found.since, until=found.until, **found.figures)
    return sentence(times)


def _low_use(found: Occurrence) -> Phrase:
    has_usual = found.figures["before"] > found.figures["during"]
    return _phrase(f"low_use.{'beside' if has_usual else 'alone'}", found)


def _lost_phase(found: Occurrence) -> Phrase:
    return _phrase(f"lost_phase.{'one' if found.figures['share'] < 0.5 else 'two'}", found)


KINDS: dict[str, AnomalyKind] = {
    "spike": AnomalyKind(SUDDEN_SPIKE, _spike),
    "peak": AnomalyKind(SUDDEN_SPIKE, _as("peak")),
    "low_use": AnomalyKind(LOW_USE, _low_use),
    "gradual_fall": AnomalyKind(GRADUAL_CHANGE, _as("gradual_fall")),
    "own_fall": AnomalyKind(OWN_HISTORY, _as("own_fall")),
    "own_rise": AnomalyKind(OWN_HISTORY, _as("own_rise")),
    "neighbour_fall": AnomalyKind(NEIGHBOUR_DEVIATION, _as("neighbour_fall")),
    "neighbour_rise": AnomalyKind(NEIGHBOUR_DEVIATION, _as("neighbour_rise")),
    "flat_line": AnomalyKind(TAMPERING, _as("flat_line")),
    "copied_days": AnomalyKind(TAMPERING, _as("copied_days")),
    "rounded_values": AnomalyKind(TAMPERING, _as("rounded_values")),
    "stall": AnomalyKind(TAMPERING, _as("stall")),
    "stops": AnomalyKind(TAMPERING, _as("stops")),
    "lost_phase": AnomalyKind(TAMPERING, _lost_phase),
    "low_weekends": AnomalyKind(TAMPERING, _as("low_weekends")),
    "night_use": AnomalyKind(IRREGULAR_HOURS, _as("night_use")),
    "other_hours": AnomalyKind(IRREGULAR_HOURS, _as("other_hours")),
    "invoice_spike": AnomalyKind(SUDDEN_SPIKE, _as("invoice_spike")),
    "invoice_low_use": AnomalyKind(LOW_USE, _as("invoice_low_use")),
    "invoice_gradual_fall": AnomalyKind(GRADUAL_CHANGE, _as("invoice_gradual_fall")),
    "invoice_own_fall": AnomalyKind(OWN_HISTORY, _as("invoice_own_fall")),
    "invoice_own_rise": AnomalyKind(OWN_HISTORY, _as("invoice_own_rise")),
    "invoice_peer_fall": AnomalyKind(NEIGHBOUR_DEVIATION, _as("invoice_peer_fall")),
    "invoice_peer_rise": AnomalyKind(NEIGHBOUR_DEVIATION, _as("invoice_peer_rise")),
    "invoice_stall": AnomalyKind(TAMPERING, _as("invoice_stall")),
    "invoice_rollback": AnomalyKind(TAMPERING, _as("invoice_rollback")),
    "invoice_equal": AnomalyKind(TAMPERING, _as("invoice_equal")),
}
