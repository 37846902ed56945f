"""What inspections teach: labels for training, hit rates with intervals.

In:  inspections, as the store gives them.
Out: Label, one a client; HitRate by week, region, reason group or severity, visits drawn at random beside chosen ones.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from datetime import date, timedelta
from typing import NamedTuple

from fairmeter.casework.types import Inspection
from fairmeter.casework.workflow import SEEN
from fairmeter.evaluation.metrics import wilson_interval

LABELS = {"confirmed": 1, "cleared": 0}


class Label(NamedTuple):
    """What the last visit that tells says of a client: 1 confirmed, 0 cleared.

    A faulty meter is neither honest nor theft; no access and a refusal say nothing: they give no label.
    is_random: drawn at random; the others were chosen for their score, and training weighs them by how.
    probability: the score when the visit was decided, None where there was none.
    """

    client_id: str
    label: int
    inspected_on: date
    is_random: bool
    probability: float | None = None


class HitRate(NamedTuple):
    """Confirmed among inspected, with a 95 % interval (Wilson 1927). n_seen: visits at which the meter was seen."""

    group: Hashable
    is_random: bool
    n_inspected: int
    n_seen: int
    n_confirmed: int
    hit_rate: float
    low: float
    high: float


def labels_of(inspections: Iterable[Inspection]) -> list[Label]:
    """The newest label of each client, by client. Inspections in any order."""
    told = [i for i in inspections if i.outcome in LABELS]
    newest = {i.client_id: i for i in sorted(told, key=lambda i: (i.inspected_on, i.inspection_id))}
    return [
        Label(client_id, LABELS[i.outcome], i.inspected_on, i.is_random, i.probability)
        for client_id, i in sorted(newest.items())
    ]


def hit_rates(inspections: Iterable[Inspection], by: Callable[[Inspection], Hashable]) -> list[HitRate]:
    """Hit rates of each group that `by` gives (below), chosen and random visits apart, groups in their order."""
    groups = defaultdict(list)
    for inspection in inspections:
        groups[by(inspection), inspection.is_random].append(inspection.outcome)
    ordered = sorted(groups, key=lambda key: (key[0] is None, key[0] if key[0] is not None else 0, key[1]))
    return [_rate(group, is_random, groups[group, is_random]) for group, is_random in ordered]


def _rate(group: Hashable, is_random: bool, outcomes: list[str]) -> HitRate:
    n, n_confirmed = len(outcomes), outcomes.count("confirmed")
    n_seen = sum(outcome in SEEN for outcome in outcomes)
    low, high = (float(end) for end in wilson_interval(n_confirmed, n))
    return HitRate(group, is_random, n, n_seen, n_confirmed, n_confirmed / n, low, high)


# --- groups -----------------------------------------------------------------------------------------------------------


def everything(_inspection: Inspection) -> str:
    return "all"


def week(inspection: Inspection) -> date:
    """The Monday of the visit's week."""
    return inspection.inspected_on - timedelta(days=inspection.inspected_on.weekday())


def region(inspection: Inspection) -> float | None:
    return inspection.region


def reason_group(inspection: Inspection) -> str | None:
    """The evidence group that spoke loudest when the case was opened."""
    return inspection.reason_group


def severity(inspection: Inspection) -> str | None:
    return inspection.severity
