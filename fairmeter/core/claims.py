"""What the scores of a model may claim: probabilities, or ranks alone where it was trained without labels.

In:  the manifest of a model.
Out: whether its scores are probabilities; its severities, none of them below the threshold.
"""

from collections.abc import Mapping, Sequence

UNLABELLED = "without labels"  # how an ensemble was made, in the manifest


def claims_probability(manifest: Mapping) -> bool:
    """Whether scores of this model are probabilities; False where any of its ensembles was fitted without labels."""
    return not manifest.get("ranks") and (manifest.get("readings") or {}).get("made") != UNLABELLED


def severities_from(threshold: float, severities: Sequence[Mapping]) -> list[dict]:
    """The severities, none from a score below the threshold: a client that is not suspected has the severity low.

    Older models have such scores, where their promise of precision asks for less than the threshold does.
    """
    return [dict(cut) if cut["score"] is None else cut | {"score": max(cut["score"], threshold)} for cut in severities]
