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

from collections.abc import Iterator

import numpy as np

from fraud import drift
from fraud.aspects import INVOICES, READINGS
from fraud.drift import MOVED, MOVING, STABLE, TOO_FEW, Fingerprint
from fraud.ensemble import Ensemble
from fraud.meanings import described
from fraud.model import FraudModel
from fraud.reading_model import LEAST_DAYS
from fraud.records import Evidence

MOST = 30  # features told one by one
WORST_FIRST = (MOVED, MOVING, STABLE, TOO_FEW)


class Watch:
    """Counts the clients of a run in the bins of the model's fingerprints, a chunk at a time."""

    def __init__(self, model: FraudModel) -> None:
        self.model = model
        self.counts: dict[str, np.ndarray] = {}
        self.untold: set[str] = set()

    def add(self, billed: Evidence, metered: Evidence | None = None) -> None:
        """Those clients of a chunk that are of the kind each part was trained on."""
        self._add(INVOICES, billed, self._is_judged(billed))
        if metered is not None:
            self._add(READINGS, metered, metered.n_records >= LEAST_DAYS)

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

    def _add(self, name: str, evidence: Evidence, is_judged: np.ndarray) -> None:
        ensemble = dict(ensembles(self.model)).get(name)
        if ensemble is None or not is_judged.any():
            return
        if ensemble.fingerprint is None:
            self.untold.add(name)
            return
        matrix = ensemble.inputs.matrix(evidence if is_judged.all() else evidence.of(is_judged))
        found = ensemble.fingerprint.counts(matrix, ensemble.log_odds(matrix))
        self.counts[name] = self.counts.get(name, 0) + found

    def _is_judged(self, billed: Evidence) -> np.ndarray:
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
    return {name: _facts(ensemble.fingerprint) for name, ensemble in kept.items()}


def _facts(fingerprint: Fingerprint) -> dict:
    is_constant = drift.is_constant(fingerprint)[:-1]
    return {"n": fingerprint.n, "n_features": len(is_constant), "n_constant": int(is_constant.sum())}


def _part(ensemble: Ensemble, counts: np.ndarray, kind: str) -> dict:
    fingerprint = ensemble.fingerprint
    found = {name: column.tolist() for name, column in drift.compared(fingerprint, counts).items()}
    rows = [
        {"feature": feature} | {name: column[place] for name, column in found.items()}
        for place, feature in enumerate(ensemble.inputs.names)
    ]
    levels, score = found["level"][:-1], {name: found[name][-1] for name in ("psi", "chance", "level")}
    rows.sort(key=lambda row: -row["psi"])
    return {
        "n_then": fingerprint.n,
        "n_now": int(counts[0].sum()),
        "n_features": len(rows),
        "n_shifted": levels.count(MOVED),
        "n_shifting": levels.count(MOVING),
        "n_constant": sum(found["is_constant"][:-1]),
        "max_psi": rows[0]["psi"],
        "score": score | dict(zip(("above_then", "above_now"), drift.above(fingerprint, counts), strict=True)),
        "features": [row | described(row["feature"], kind) for row in rows[:MOST]],
    }


def _levels(part: dict) -> list[str]:
    return [part["score"]["level"], *(row["level"] for row in part["features"])]
