"""What a run may claim: probabilities, or ranks alone where its clients are too far from those in training.

In:  scores of a whole client base with their drift (population_drift.py); the drift that the desk stored with its run.
Out: `RunRanks`: why, and each score as its place among the clients of the run; None where probabilities stand.

One client shows no population. So what is scored for itself follows the last run of the desk by the same model.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fairmeter.core.claims import RUN_RANKS, UNLIKE_TRAINING, run_ranks_of
from fairmeter.core.types import QualityFlag, Reason, Score, StoredInvoiceScore
from fairmeter.explanation.reasons import STORED_SCORE_GROUP
from fairmeter.models.ensemble import log_odds_of
from fairmeter.models.fraud_model import severity_of
from fairmeter.models.ranks import RANK_THRESHOLDS, lower_share, place_of, rank_reference
from fairmeter.planning.inspection_list import recommendation
from fairmeter.scoring.batches import Scorer
from fairmeter.scoring.client_tables import ClientTables
from fairmeter.scoring.population_drift import describe_beyond_bound
from fairmeter.wording.phrases import Phrase, data_of, sentence, text_of

BY_INVOICES = sentence(Phrase("stored.before"))
MAX_AGE = 5.0  # seconds for which the last run's claims are not read again


@dataclass(frozen=True)
class RunRanks:
    """Ranks among the clients of a run. [why: a sentence; reference: as models/ranks.py makes it of their log-odds]"""

    why: str
    reference: Mapping[str, Any]

    @classmethod
    def of_probabilities(cls, why: str, probability: np.ndarray) -> "RunRanks":
        """Ranks among all clients with a score. [probability: theirs, at least one]"""
        return cls(why, rank_reference(log_odds_of(probability)))

    @classmethod
    def of_scores(cls, drift: Mapping | None, scores: Sequence[Score]) -> "RunRanks | None":
        """None where the run claims probabilities, where it has none, and where its scores are ranks already."""
        why = None if drift is None else describe_beyond_bound(drift)
        found = [score.probability for score in scores if score.probability is not None]
        return cls.of_probabilities(why, np.array(found, np.float64)) if why and found else None

    @classmethod
    def from_drift(cls, drift: Mapping | None) -> "RunRanks | None":
        """Those that were stored with a run; None where it claimed probabilities, or is older than this rule."""
        stored = run_ranks_of(drift)
        return stored and cls(text_of(stored["why"]), stored["reference"])

    def stored_in(self, drift: Mapping) -> dict:
        """The drift as the desk stores it with the run."""
        return {**drift, RUN_RANKS: {"why": data_of(self.why), "reference": self.reference}}

    def share(self, probability: np.ndarray) -> np.ndarray:
        """Share of the run's clients with a lower score. [0..1, NaN where probability is]"""
        return lower_share(log_odds_of(probability), self.reference, None)

    def severity(self, share: float) -> str:
        return severity_of(share, RANK_THRESHOLDS["severities"])

    def ranked(self, scores: Sequence[Score]) -> list[Score]:
        """The scores with places instead of probabilities, and with a flag that says why; ranks stay as they are."""
        found = np.array([np.nan if score.probability is None else score.probability for score in scores], np.float64)
        return [self._ranked(score, share) for score, share in zip(scores, self.share(found).tolist(), strict=True)]

    def columns(self, values: Mapping[str, list]) -> dict[str, list]:
        """The columns score, severity and quality of a ranked list, as `ranked` gives them. [values: without ranks]"""
        shares = self.share(np.array(values["score"], dtype=np.float64)).tolist()
        has_score = [score is not None for score in values["score"]]
        quality = [";".join(filter(None, (flags, UNLIKE_TRAINING))) for flags in values["quality"]]
        columns = {"score": shares, "severity": list(map(self.severity, shares)), "quality": quality}
        unscored = {"score": [None] * len(shares), "severity": values["severity"], "quality": values["quality"]}
        return {
            name: [new if has else old for new, old, has in zip(column, unscored[name], has_score, strict=True)]
            for name, column in columns.items()
        }

    def _ranked(self, score: Score, share: float) -> Score:
        if score.probability is None:
            return score
        threshold = RANK_THRESHOLDS["threshold"]
        ranked = replace(
            score,
            probability=None,
            withheld=score.probability,
            rank_share=share,
            rank=place_of(share, self.reference["n"]),
            severity=self.severity(share),
            threshold=threshold,
            typical=None,
            recovery=None,
            reasons=tuple(map(_without_number, score.reasons)),
            onset_on=score.onset_on if share >= threshold else None,
            quality=(*score.quality, QualityFlag(UNLIKE_TRAINING, 1, self.why)),
        )
        return replace(ranked, recommendation=recommendation(ranked))


def as_claimed(scores: list[Score], drift: dict) -> tuple[list[Score], dict]:
    """The scores of a whole run as it may claim them, and its drift as the desk stores it."""
    ranks = RunRanks.of_scores(drift, scores)
    return (scores, drift) if ranks is None else (ranks.ranked(scores), ranks.stored_in(drift))


def _without_number(reason: Reason) -> Reason:
    """The reason, the one for stored invoices without the probability that it names."""
    return replace(reason, text=BY_INVOICES) if reason.group == STORED_SCORE_GROUP else reason


class LastRunClaims:
    """The ranks of the desk's last run, read at most once in MAX_AGE; None where that run claims probabilities."""

    def __init__(
        self,
        read: Callable[[], Mapping | None],
        unavailable: type[Exception] = OSError,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """read: the drift stored with the last run of this model; while it is `unavailable`, what was read stays."""
        self._read, self._unavailable, self._clock, self._read_at = read, unavailable, clock, -np.inf
        self._found: RunRanks | None = None

    def __call__(self) -> RunRanks | None:
        if self._clock() - self._read_at >= MAX_AGE:
            self._read_at = self._clock()
            with suppress(self._unavailable):
                self._found = RunRanks.from_drift(self._read())
        return self._found


class FollowingScorer:
    """A scorer that claims no more than the desk's last run did (batches.Scorer)."""

    def __init__(self, scorer: Scorer, last_run: Callable[[], RunRanks | None]) -> None:
        self._scorer, self._last_run = scorer, last_run
        self.manifest = scorer.manifest

    def __getattr__(self, name: str) -> Any:
        """What else the scorer offers: its drift monitor, its timeline, the names of its aggregates."""
        return getattr(self._scorer, name)

    def score(
        self,
        tables: ClientTables,
        with_reasons: bool | Collection[str] = False,
        stored: Sequence[StoredInvoiceScore | None] | None = None,
        losses: Any = None,
        **more: Any,
    ) -> list[Score]:
        """As the scorer's, as ranks of the last run where that run has ranks."""
        ranks = self._last_run()
        if ranks is None:
            return self._scorer.score(tables, with_reasons, stored, losses, **more)
        # Which severity a rank has shows only afterwards, so all of them get reasons where any severity does.
        return ranks.ranked(self._scorer.score(tables, bool(with_reasons), stored, losses, **more))

    def score_aggregates(self, features: list[dict], client_ids: list[str], with_reasons: bool = False) -> list[Score]:
        """As the scorer's. Raises InvalidRow."""
        scores, ranks = self._scorer.score_aggregates(features, client_ids, with_reasons), self._last_run()
        return scores if ranks is None else ranks.ranked(scores)
