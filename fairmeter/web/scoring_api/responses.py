"""Scores -> JSON answers of /predict and /batch.

In:  a score, or each row's outcome of a batch.
Out: JSON objects. With too little history, prediction, probability and rank are null, never low.
     Ranks have no prediction and no probability, but a percentile and a rank: of a model without labels, and of clients
     too far from those in training.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from pydantic_core import to_json

from fairmeter.core.types import QualityFlag, Score
from fairmeter.scoring.batches import Outcome
from fairmeter.scoring.population_drift import describe_unlike
from fairmeter.scoring.problems import Problem, error_of
from fairmeter.scoring.run_claims import RunRanks

RANKS_ONLY = "A model without labels ranks clients; what a visit would bring back is not estimated."
RANKS_OF_RUN = "Clients unlike those in training are only ranked; what a visit would bring back is not estimated."
NOT_ESTIMATED = "Nothing can be estimated of what a visit would bring back."


def score_response(score: Score) -> dict:
    """The answer for one client, without the model."""
    return {
        "prediction": None if score.probability is None else int(score.is_suspected),
        "probability": score.probability,
        "severity": score.severity,
        "threshold": score.threshold,
        "client_id": score.client_id or None,
        "reasons": [{"group": r.group, "effect": r.effect, "text": r.text} for r in score.reasons],
        "harmless": [{"cause": e.cause, "verdict": e.verdict, "text": e.text} for e in score.explanations],
        "typical_probability": score.typical,
        "quality": [_flag(flag) for flag in score.quality],
        "onset_on": score.onset_on,
        "expected_recovery_kwh": score.expected_recovery_kwh,
        "expected_recovery_range_kwh": _range(score),
        "expected_recovery_text": _recovery_text(score),
        "recommendation": score.recommendation,
        "anomalies": [asdict(anomaly) for anomaly in score.anomalies],
    } | ({} if score.rank_share is None else {"percentile": score.percentile, "rank": score.rank})


def _range(score: Score) -> list[float] | None:
    if score.recovery is None or score.probability is None:
        return None
    return [score.probability * score.recovery.low_kwh, score.probability * score.recovery.high_kwh]


def _recovery_text(score: Score) -> str:
    if score.rank_share is not None:
        return RANKS_ONLY if score.withheld is None else RANKS_OF_RUN
    return NOT_ESTIMATED if score.recovery is None else score.recovery.text


def _flag(flag: QualityFlag) -> dict:
    return {"flag": flag.flag, "text": flag.text}


def batch_response(
    outcomes: Sequence[Outcome], quality: list[QualityFlag], drift: dict | None = None, model: dict | None = None
) -> bytes:
    """The answer for a batch as JSON: results by rank, then those without a score, and the bad rows.

    drift: of its clients; where they are unlike those in training, the answer has a warning, and too far from them it
    has ranks instead of probabilities. Each result becomes text by itself: as objects, all would take five times that.
    """
    ranks = _ranks_of(outcomes, drift)
    scores, errors = _parted(outcomes if ranks is None else _as_ranks(outcomes, ranks))
    warning = ranks.why if ranks else describe_unlike(drift) if drift else None
    head = _json({"n_results": len(scores), "n_errors": len(errors)})
    tail = {"errors": errors, "quality": [_flag(flag) for flag in quality]}
    tail |= {"warning": f"{warning[0].upper()}{warning[1:]}"} if warning else {}
    results = b",".join(_json(result) for result in _ranked(scores))
    return b'%s,"results":[%s],%s' % (head[:-1], results, _json(tail | {"model": model})[1:])


def _json(answer: dict) -> bytes:
    return to_json(answer, inf_nan_mode="null")


def _parted(outcomes: Iterable[Outcome]) -> tuple[list[tuple[int, Score]], list[dict]]:
    """The scores with their rows, and the bad rows."""
    scores, errors = [], []
    for row, outcome in enumerate(outcomes):
        if isinstance(outcome, Problem):
            errors.append({"row": row, "error": error_of(outcome)})
        else:
            scores.append((row, outcome))
    return scores, errors


def _ranks_of(outcomes: Sequence[Outcome], drift: dict | None) -> RunRanks | None:
    return RunRanks.of_scores(drift, [outcome for outcome in outcomes if not isinstance(outcome, Problem)])


def _as_ranks(outcomes: Sequence[Outcome], ranks: RunRanks) -> list[Outcome]:
    ranked = iter(ranks.ranked([outcome for outcome in outcomes if not isinstance(outcome, Problem)]))
    return [outcome if isinstance(outcome, Problem) else next(ranked) for outcome in outcomes]


def _ranked(scores: list[tuple[int, Score]]) -> Iterator[dict]:
    """The results in the order of their ranks."""
    scored = sorted((s for s in scores if s[1].value is not None), key=lambda s: -s[1].value)
    unscored = [s for s in scores if s[1].value is None]
    ranks = [*range(1, len(scored) + 1), *[None] * len(unscored)]
    for rank, (row, score) in zip(ranks, scored + unscored, strict=True):
        yield {"row": row} | score_response(score) | {"rank": rank}
