"""Whether the clients of a run are like those that its model learnt from: part by part, feature by feature.

In:  a FraudModel, and chunk by chunk the evidence of clients that it judges.
Out: a drift, a dict that json.dumps takes:
     model        {"version", "trained_at"} of the model
     parts        by name ("invoices", "readings"), of those with a fingerprint that some client has evidence for:
                  {"n_then", "n_now": clients; "n_features", "n_shifted", "n_shifting", "n_constant": features,
                  "max_psi"; "score": {"psi", "chance", "level", "above_then", "above_now": share of clients above the
                  score that one in ten was above}; "features": the MOST with the highest index, each {"feature",
                  "group", "text", "psi", "chance", "level", "is_constant", "missing_then", "missing_now"}}
     untold       names of the parts that judged clients and have no fingerprint
     level        of all: the first of "shifted", "shifting", "stable" that a part's score or a feature has;
                  "too few clients"; None where nothing can be told
"""

from collections.abc import Iterator, Mapping

import numpy as np

from fairmeter.core.types import FeatureMatrix
from fairmeter.evaluation import drift
from fairmeter.evaluation.drift import SHIFTED, SHIFTING, STABLE, TOO_FEW
from fairmeter.explanation.explain import ScoringContext
from fairmeter.explanation.meanings import described
from fairmeter.explanation.topics import INVOICES, NEIGHBOURS, READINGS
from fairmeter.models.ensemble import Ensemble
from fairmeter.models.fraud_model import FraudModel
from fairmeter.models.reading_model import LEAST_DAYS

MOST = 30  # features told one by one
RETRAIN = "Train again (train.py) with invoices up to today and with what the crews found."
WORST_FIRST = (SHIFTED, SHIFTING, STABLE, TOO_FEW)


class DriftMonitor:
    """Counts the clients of a run in the bins of the model's fingerprints, a chunk at a time."""

    def __init__(self, model: FraudModel) -> None:
        self.model = model
        self.counts: dict[str, np.ndarray] = {}
        self.untold: set[str] = set()

    def add(self, known: ScoringContext) -> None:
        """Those clients of a chunk that are of the kind each part was trained on."""
        self._add(INVOICES, known.invoice_features, self._is_judged(known.invoice_features))
        if known.reading_features is not None:
            self._add(READINGS, known.reading_features, known.reading_features.n_records >= LEAST_DAYS)

    def drift(self) -> dict:
        parts = {name: _part(dict(ensembles(self.model))[name], n, name) for name, n in self.counts.items()}
        levels = [level for part in parts.values() for level in _levels(part)]
        manifest = self.model.manifest
        return {
            "model": {name: manifest[name] for name in ("version", "trained_at") if name in manifest},
            "parts": parts,
            "untold": sorted(self.untold),
            "level": min(levels, key=WORST_FIRST.index, default=None),
        }

    def _add(self, name: str, evidence: FeatureMatrix, is_judged: np.ndarray) -> None:
        ensemble = dict(ensembles(self.model)).get(name)
        if ensemble is None or not is_judged.any():
            return
        if ensemble.fingerprint is None:
            self.untold.add(name)
            return
        matrix = ensemble.inputs.matrix(evidence if is_judged.all() else evidence.of(is_judged))
        found = ensemble.fingerprint.counts(matrix, ensemble.log_odds(matrix))
        self.counts[name] = self.counts.get(name, 0) + found

    def _is_judged(self, billed: FeatureMatrix) -> np.ndarray:
        """With invoices, and for the prospective view active: others were not trained on. [mask]"""
        manifest = self.model.manifest
        has_invoices = billed.n_records > 0
        if manifest["view"] != "prospective":
            return has_invoices
        last_on = billed.features[:, manifest["features"].index("last_invoice_on")]
        return has_invoices & (last_on >= manifest["active_from"])


def ensembles(model: FraudModel) -> Iterator[tuple[str, Ensemble]]:
    """The model's ensembles on invoices and on readings, by the name of what they see."""
    if model.invoices is not None:
        yield INVOICES, model.invoices
    if model.readings is not None:
        yield READINGS, model.readings.ensemble


def fingerprints(model: FraudModel) -> dict[str, dict]:
    """What the model card says of each part's fingerprint: clients, features, those that never vary."""
    kept = {name: ensemble for name, ensemble in ensembles(model) if ensemble.fingerprint is not None}
    return {name: _facts(ensemble) for name, ensemble in kept.items()}


def watched(ensemble: Ensemble) -> list[int]:
    """Places of the columns that drift is told of: all but the neighbours' shares.

    A client base is mostly scored by a model that was trained on it: there these hold the clients' own labels, in the
    fingerprint those of others alone, and they would look shifted every week.
    """
    return [place for place, name in enumerate(ensemble.inputs.names) if not name.startswith(NEIGHBOURS)]


def _compared(ensemble: Ensemble) -> list[int]:
    """Those of them that some client of the fingerprint has: new evidence is no change of the old.

    Else a utility whose transformers are measured would be told of drift at every run: the clients that the fingerprint
    of readings is made of stand behind none.
    """
    is_new = drift.is_missing(ensemble.fingerprint)
    return [place for place in watched(ensemble) if not is_new[place]]


def _facts(ensemble: Ensemble) -> dict:
    is_constant = drift.is_constant(ensemble.fingerprint)[watched(ensemble)]
    return {"n": ensemble.fingerprint.n, "n_features": len(is_constant), "n_constant": int(is_constant.sum())}


def _part(ensemble: Ensemble, counts: np.ndarray, kind: str) -> dict:
    fingerprint = ensemble.fingerprint
    found = {name: column.tolist() for name, column in drift.compare_columns(fingerprint, counts).items()}
    rows = [
        {"feature": ensemble.inputs.names[place]} | {name: column[place] for name, column in found.items()}
        for place in _compared(ensemble)
    ]
    levels, score = [row["level"] for row in rows], {name: found[name][-1] for name in ("psi", "chance", "level")}
    rows.sort(key=lambda row: -row["psi"])
    return {
        "n_then": fingerprint.n,
        "n_now": int(counts[0].sum()),
        "n_features": len(rows),
        "n_shifted": levels.count(SHIFTED),
        "n_shifting": levels.count(SHIFTING),
        "n_constant": sum(row["is_constant"] for row in rows),
        "max_psi": rows[0]["psi"],
        "score": score
        | dict(zip(("above_then", "above_now"), drift.share_above_top_decile(fingerprint, counts), strict=True)),
        "features": [row | described(row["feature"], kind) for row in rows[:MOST]],
    }


def _levels(part: dict) -> list[str]:
    return [part["score"]["level"], *(row["level"] for row in part["features"])]


# --- in words ---------------------------------------------------------------------------------------------------------


def drift_said(drift: Mapping) -> list[str]:
    """What moved, part by part, and what to do; a sentence where nothing can be told."""
    said = [_part_said(name, part) for name, part in drift["parts"].items()]
    for name in drift["untold"]:
        said.append(f"The model keeps no fingerprint of its {name}: train it again to be told of drift.")
    return said or ["No client is of the kind that the model learnt from: nothing can be told of drift."]


def _part_said(name: str, part: Mapping) -> str:
    score = part["score"]
    if score["level"] == TOO_FEW:
        return f"Drift of the {name}: {part['n_now']:,} clients are too few to tell it by."
    counted = f"{part['n_shifted']:,} of {part['n_features']:,} features have shifted and {part['n_shifting']:,} are "
    counted += f"shifting (the highest index is {part['max_psi']:.2f}), the score is {score['level']}"
    so = {SHIFTED: f". {RETRAIN}", SHIFTING: ", watch it."}.get(score["level"], ".")
    return f"Drift of the {name}: {counted} ({score['psi']:.2f}){so}"
