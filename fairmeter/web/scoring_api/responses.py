"""Scores -> JSON answers of /predict and /batch.

In:  a score, or each row's outcome of a batch.
Out: JSON objects. With too little history, prediction, probability and rank are null, never low.
     Answers of a model without labels have no prediction and no probability, but a percentile and a rank.
"""

from collections.abc import Iterable

from fairmeter.core.types import QualityFlag, Score
from fairmeter.scoring.batches import Outcome
from fairmeter.scoring.population_drift import describe_unlike
from fairmeter.scoring.problems import Problem, error_of

RANKS_ONLY = "A model without labels ranks clients; what a visit would bring back is not estimated."
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
    } | ({} if score.rank_share is None else {"percentile": score.percentile, "rank": score.rank})


def _range(score: Score) -> list[float] | None:
    if score.recovery is None or score.probability is None:
        return None
    return [score.probability * score.recovery.low_kwh, score.probability * score.recovery.high_kwh]


def _recovery_text(score: Score) -> str:
    if score.rank_share is not None:
        return RANKS_ONLY
    return NOT_ESTIMATED if score.recovery is None else score.recovery.text


def _flag(flag: QualityFlag) -> dict:
    return {"flag": flag.flag, "text": flag.text}


def batch_response(outcomes: Iterable[Outcome], quality: list[QualityFlag], drift: dict | None = None) -> dict:
    """The answer for a batch, without the model: results by rank, then those without a score, and the bad rows.

    drift: of its clients; where they are unlike those in training, the answer has a warning.
    """
    scores, errors = [], []
    for row, outcome in enumerate(outcomes):
        if isinstance(outcome, Problem):
            errors.append({"row": row, "error": error_of(outcome)})
        else:
            scores.append((row, outcome))
    results = _ranked(scores)
    counts = {"n_results": len(results), "n_errors": len(errors)}
    warning = describe_unlike(drift) if drift else None
    answer = counts | {"results": results, "errors": errors, "quality": [_flag(flag) for flag in quality]}
    return answer | ({"warning": f"{warning[0].upper()}{warning[1:]}"} if warning else {})


def _ranked(scores: list[tuple[int, Score]]) -> list[dict]:
    scored = sorted((s for s in scores if s[1].value is not None), key=lambda s: -s[1].value)
    unscored = [s for s in scores if s[1].value is None]
    ranks = [*range(1, len(scored) + 1), *[None] * len(unscored)]
    return [
        {"row": row} | score_response(score) | {"rank": rank}
        for rank, (row, score) in zip(ranks, scored + unscored, strict=True)
    ]
