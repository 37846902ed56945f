"""Scores -> profiles, past scores and alerts, in one transaction: a crash half-way leaves what was there before.

In:  scores with the clients they are of; facts and series where there are some; the rules of alerts.
Out: Written, what changed.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from fraud.alerts import AlertRules
from fraud.records import Score, Table
from fraud.store.database import Database
from fraud.store.series import Series


class Written(NamedTuple):
    """What a run changed: profiles written; alerts raised, updated, lapsed."""

    n_profiles: int
    n_raised: int
    n_updated: int
    n_lapsed: int


class Runs(Database):
    """Writing scores."""

    def write_run(
        self,
        scores: Sequence[Score],
        model_version: str,
        rules: AlertRules,
        *,
        clients: Table | None = None,
        facts: Sequence[Mapping[str, float]] | None = None,
        series: Mapping[str, Series] | None = None,
        scored_at: datetime | None = None,
        is_run: bool = True,
    ) -> Written:
        """Profiles, past scores and alerts of some clients; those that are not among them stay as they are.

        clients: the canonical table (data/README.md), any order, at least the ids that are scored; None keeps what is
        known of them. facts: of each score, in order. is_run: a scoring of the client base, which the trend counts;
        False for single clients in between. Raises BadRun (an id twice or empty), StoreUnavailable.
        """
        raise NotImplementedError
