"""What scores may claim: probabilities, or ranks alone.

In:  the manifest of a model; the drift that the desk stored with its last run.
Out: whether scores are probabilities; the model's severities, none of them below the threshold.

Scores are ranks where the model was trained without labels, and where the clients of the last run were too far from
those in training (scoring/run_claims.py).
"""

from collections.abc import Mapping, Sequence

UNLABELLED = "without labels"  # how an ensemble was made, in the manifest
RUN_RANKS = "ranks"  # the entry of a run's drift that says why its scores are ranks, and gives the places
UNLIKE_TRAINING = "unlike_training"  # the quality flag of each score that is a rank for that


def claims_probability(manifest: Mapping) -> bool:
    """Whether scores of this model are probabilities; False where any of its ensembles was fitted without labels."""
    return not manifest.get("ranks") and (manifest.get("readings") or {}).get("made") != UNLABELLED


def run_ranks_of(drift: Mapping | None) -> Mapping | None:
    """Why a run has ranks alone, and their reference; None where it claims probabilities. [drift: as stored]"""
    return None if drift is None else drift.get(RUN_RANKS)


def severities_from(threshold: float, severities: Sequence[Mapping]) -> list[dict]:
    """The severities, none from a score below the threshold: a client that is not suspected has the severity low.

    Older models have such scores, where their promise of precision asks for less than the threshold does.
    """
    return [dict(cut) if cut["score"] is None else cut | {"score": max(cut["score"], threshold)} for cut in severities]
