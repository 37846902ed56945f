"""Hit rates and training labels from inspections.

In:  inspections, as the store returns them.
Out: Label, one per client; HitRate by week, region, reason group or severity, random visits apart from chosen ones.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from datetime import date, timedelta
from typing import NamedTuple

from fairmeter.casework.types import Inspection
from fairmeter.casework.workflow import METER_SEEN
from fairmeter.evaluation.metrics import wilson_interval

LABELS = {"confirmed": 1, "cleared": 0}


class Label(NamedTuple):
    """The label of a client's last conclusive visit: 1 confirmed, 0 cleared.

    Other outcomes give no label: a faulty meter is neither honest nor theft, and without access nothing was found.
    is_random: sampled at random; the other clients were chosen by score, which training corrects by weights.
    probability: the score when the visit was decided, None without one.
    """

    client_id: str
    label: int
    inspected_on: date
    is_random: bool
    probability: float | None = None


class HitRate(NamedTuple):
    """Confirmed among the visits at which the meter was seen, with its 95 % Wilson interval [0..1].

    n_inspected: all visits; n_seen: those at which the meter was seen. Without any of these there is no rate: None.
    """

    group: Hashable
    is_random: bool
    n_inspected: int
    n_seen: int
    n_confirmed: int
    hit_rate: float | None
    low: float | None
    high: float | None


def inspection_labels(inspections: Iterable[Inspection]) -> list[Label]:
    """The newest label of each client, by client id. Inspections in any order."""
    conclusive = [i for i in inspections if i.outcome in LABELS]
    newest = {i.client_id: i for i in sorted(conclusive, key=lambda i: (i.inspected_on, i.inspection_id))}
    return [
        Label(client_id, LABELS[i.outcome], i.inspected_on, i.is_random, i.probability)
        for client_id, i in sorted(newest.items())
    ]


def hit_rates(inspections: Iterable[Inspection], by: Callable[[Inspection], Hashable]) -> list[HitRate]:
    """Hit rate of each group that `by` returns (functions below), chosen and random visits apart, groups in order."""
    groups = defaultdict(list)
    for inspection in inspections:
        groups[by(inspection), inspection.is_random].append(inspection.outcome)
    ordered = sorted(groups, key=lambda key: (key[0] is None, key[0] if key[0] is not None else 0, key[1]))
    return [_rate(group, is_random, groups[group, is_random]) for group, is_random in ordered]


def _rate(group: Hashable, is_random: bool, outcomes: list[str]) -> HitRate:
    n, n_confirmed = len(outcomes), outcomes.count("confirmed")
    n_seen = sum(outcome in METER_SEEN for outcome in outcomes)
    if n_seen == 0:
        return HitRate(group, is_random, n, 0, 0, None, None, None)
    low, high = (float(end) for end in wilson_interval(n_confirmed, n_seen))
    return HitRate(group, is_random, n, n_seen, n_confirmed, n_confirmed / n_seen, low, high)


# --- groups -----------------------------------------------------------------------------------------------------------


def overall(_inspection: Inspection) -> str:
    """One group for all inspections."""
    return "all"


def week(inspection: Inspection) -> date:
    """The Monday of the visit's week."""
    return inspection.inspected_on - timedelta(days=inspection.inspected_on.weekday())


def region(inspection: Inspection) -> float | None:
    """The client's region."""
    return inspection.region


def reason_group(inspection: Inspection) -> str | None:
    """The evidence group of the main reason when the case was opened."""
    return inspection.reason_group


def severity(inspection: Inspection) -> str | None:
    """The severity when the case was opened."""
    return inspection.severity


def crew(inspection: Inspection) -> str:
    """The crew of the visit, else the user who recorded it."""
    return inspection.crew or inspection.user


def hit_rates_by_pattern(inspections: Iterable[Inspection]) -> list[HitRate]:
    """Hit rate by pattern of the client's anomalies; a visit counts for each of its patterns."""
    spread = [(inspection, pattern) for inspection in inspections for pattern in inspection.patterns]
    groups = defaultdict(list)
    for inspection, pattern in spread:
        groups[pattern, inspection.is_random].append(inspection.outcome)
    return [_rate(pattern, is_random, groups[pattern, is_random]) for pattern, is_random in sorted(groups)]
