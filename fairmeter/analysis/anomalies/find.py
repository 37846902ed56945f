"""Anomalies of clients: readings and invoices -> what is unusual, since when, and how rare it is among honest clients.

In:  canonical invoices; DailyConsumption, with Covariates where the neighbours are known; deviations from peers.
Out: for each client its anomalies, at most one of each pattern, the most severe first.

A client's anomalies depend on its own data, on the neighbours' factor and on its peers' median alone, to the last bit.
Readings go before invoices, because their dates are finer.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from fairmeter.analysis.anomalies.evidence import Evidence
from fairmeter.analysis.anomalies.hours import hour_evidence
from fairmeter.analysis.anomalies.invoices import invoice_evidence
from fairmeter.analysis.anomalies.level_changes import level_evidence
from fairmeter.analysis.anomalies.limits import ALONE, INVOICES, LIMITS, NEIGHBOURS
from fairmeter.analysis.anomalies.recent_days import RecentDays
from fairmeter.analysis.anomalies.tampering import tampering_evidence
from fairmeter.analysis.anomalies.wording import KINDS
from fairmeter.core.segments import Segments
from fairmeter.core.types import SEVERITIES, TAMPERING, Anomaly, Table
from fairmeter.data.daily import DailyConsumption
from fairmeter.features.readings.covariates import Covariates
from fairmeter.features.readings.resolution import steps_per_kwh

CLIENTS_AT_ONCE = 32  # with readings: more take memory, and are not faster
MAX_STEP = 0.2  # of a usual day: with larger steps, flat lines and copies are chance
NEVER = (np.inf,)  # of a kind that has no limits, as of neighbours where none are known
RARENESS = {severity: rank for rank, severity in enumerate(reversed(SEVERITIES))}

Anomalies = tuple[Anomaly, ...]


def find_anomalies(
    n_clients: int,
    invoices: Table,
    days: DailyConsumption | None = None,
    covariates: Covariates | None = None,
    peer_gap: np.ndarray | None = None,
) -> list[Anomalies]:
    """The anomalies of each client.

    covariates: of these clients; peer_gap: log ratio of each client's last year to its peers, NaN where unknown.
    """
    found = [{} for _ in range(n_clients)]
    if days is not None:
        _add_of_readings(found, days, covariates)
    clients, evidence = invoice_evidence(invoices, peer_gap)
    _add(found, clients, evidence, np.full(len(clients), INVOICES, object))
    return [_in_order(of_client.values()) if of_client else () for of_client in found]


def reading_evidence(days: DailyConsumption, covariates: Covariates | None = None) -> tuple[RecentDays, list[Evidence]]:
    """Evidence of all kinds in readings. [every client has a day]"""
    recent = RecentDays.of(days, covariates)
    with np.errstate(invalid="ignore", divide="ignore"):
        return recent, [*level_evidence(recent), *tampering_evidence(recent), *hour_evidence(recent)]


def _add_of_readings(found: list[dict], days: DailyConsumption, covariates: Covariates | None) -> None:
    days = days.without_spread()
    filled = np.flatnonzero(days.segments.counts)
    for start in range(0, len(filled), CLIENTS_AT_ONCE):
        clients = filled[start : start + CLIENTS_AT_ONCE]
        chosen = np.zeros(len(days.segments), bool)
        chosen[clients] = True
        own = days.for_clients(chosen)
        own = replace(own, segments=Segments(own.segments.counts))
        recent, evidence = reading_evidence(own, covariates and covariates.for_clients(clients))
        is_coarse = _is_coarse(own)
        evidence = [_unless(is_coarse, each) for each in evidence] if is_coarse.any() else evidence
        _add(found, clients, evidence, np.where(recent.is_covered, NEIGHBOURS, ALONE))


def _is_coarse(days: DailyConsumption) -> np.ndarray:
    """Whether a step of the readings is so large a share of a usual day that days repeat by chance. [(clients,)]"""
    usual = np.nan_to_num(days.segments.mean(days.kwh))
    return 1.0 / steps_per_kwh(days) > MAX_STEP * usual


def _unless(is_coarse: np.ndarray, evidence: Evidence) -> Evidence:
    """The evidence without that on repeated values, where days repeat by chance."""
    if KINDS[evidence.kind].pattern != TAMPERING:
        return evidence
    return replace(evidence, value=np.where(is_coarse, np.nan, evidence.value))


def _add(found: list[dict], clients: np.ndarray, evidence: list[Evidence], basis: np.ndarray) -> None:
    """Add what is beyond its limits, unless a stronger one of its pattern is there. [basis: a key of LIMITS each]"""
    earlier = [set(found[client]) for client in clients.tolist()]
    for each in evidence:
        least = np.array([LIMITS[one].get(each.kind, NEVER)[0] for one in basis])
        for row in (each.value >= least).nonzero()[0].tolist():
            pattern, own = KINDS[each.kind].pattern, found[clients[row]]
            if pattern not in earlier[row]:
                one = _anomaly(each, row, LIMITS[basis[row]][each.kind])
                own[pattern] = max(own.get(pattern, one), one, key=_rank)


def _anomaly(evidence: Evidence, row: int, limits: tuple[float, ...]) -> Anomaly:
    value, found = float(evidence.value[row]), evidence.occurrence(row)
    kind = KINDS[evidence.kind]
    severity = SEVERITIES[-sum(value >= limit for limit in limits)]
    since, until = (str(np.datetime64(day, "D")) for day in (found.since, found.until))
    return Anomaly(kind.pattern, severity, since, until, round(value / limits[0], 3), kind.sentence(found))


def _rank(anomaly: Anomaly) -> tuple[int, float]:
    return RARENESS[anomaly.severity], anomaly.strength


def _in_order(anomalies: Iterable[Anomaly]) -> Anomalies:
    return tuple(sorted(anomalies, key=_rank, reverse=True))
