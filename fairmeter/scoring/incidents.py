"""Data incidents of a run -> the same with the number of scores that each holds back.

In:  incidents as cleaning found them, the scores of the run.
Out: incidents with n_held_back.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from fairmeter.core.types import DataIncident, Score


def counted_incidents(incidents: Iterable[DataIncident], scores: Sequence[Score]) -> tuple[DataIncident, ...]:
    """The incidents; where cleaning has not counted, clients without a score that have the flag of its kind count."""
    held_back = Counter(flag.flag for score in scores if score.probability is None for flag in score.quality)
    return tuple(replace(one, n_held_back=one.n_held_back or held_back[one.kind]) for one in incidents)
