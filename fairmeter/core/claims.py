"""What scores may claim: probabilities, or ranks alone.

In:  the manifest of a model; the drift that the desk stored with its last run.
Out: whether scores are probabilities; one threshold and one scale of severities for all clients, and what each
     severity promised.

Scores are ranks where the model was trained without labels, and where the clients of the last run were too far from
those in training (scoring/run_claims.py).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

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


def joint_thresholds(manifest: Mapping) -> dict:
    """Threshold and severities of all clients, whatever their score rests on. [keys "threshold" and "severities"]

    The manifest keeps those of invoices and, in "readings", those of readings. The score is calibrated over both, so
    that one score means the same for every client: it is cut where invoices are, whose labels are inspections. A
    severity that invoices never reached, and every one of a model without invoices, is cut where readings are.
    """
    readings = manifest.get("readings") or {}
    if not manifest.get("severities") and readings:
        return _scale(readings["threshold"], readings["severities"], ())
    return _scale(manifest["threshold"], manifest.get("severities", ()), readings.get("severities", ()))


def _scale(threshold: float, severities: Sequence[Mapping], others: Sequence[Mapping]) -> dict:
    """A threshold and its severities, each never cut below the next lower one."""
    of_others, lowest, cuts = {cut["severity"]: cut for cut in others}, threshold, []
    for cut in reversed(severities_from(threshold, severities)):
        found = cut if cut["score"] is not None else {**of_others.get(cut["severity"], cut)}
        if found["score"] is not None:
            lowest = max(found["score"], lowest)
            found["score"] = lowest
        cuts.insert(0, found)
    return {"threshold": threshold, "severities": cuts}


class SeverityPromise(NamedTuple):
    """What a severity promised in training. [shares: 0..1]

    score: from which a client has it; None where no client can. promised: share of true cases that was asked for, None
    of ranks. precision, low, high: measured on clients that the model had not seen, with a 95 % interval; n: these.
    """

    severity: str
    score: float | None
    promised: float | None
    precision: float | None
    low: float | None
    high: float | None
    n: int | None


def severity_promises(manifest: Mapping) -> list[SeverityPromise]:
    """What each severity of joint_thresholds promised, the highest first; pages and answers say it in one sentence."""
    return [_promise(cut) for cut in joint_thresholds(manifest)["severities"]]


def _promise(cut: Mapping) -> SeverityPromise:
    found = cut.get("precision") or {}
    low, high = found.get("interval") or (None, None)
    return SeverityPromise(
        cut["severity"], cut["score"], cut.get("promised"), found.get("value"), low, high, cut.get("n")
    )
