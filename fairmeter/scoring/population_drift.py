"""Population drift of a scoring run against the training data, by ensemble and by feature.

In:  a FraudModel, and chunk by chunk the features of the clients that it scores.
Out: a drift, a dict that json.dumps accepts:
     model        {"version", "trained_at"} of the model
     parts        by name ("invoices", "readings"), of ensembles with a reference distribution and some client:
                  {"n_then", "n_now": clients; "n_features", "n_shifted", "n_shifting", "n_constant": features,
                  "max_psi", "median_psi"; "score": {"psi", "chance", "level", "above_then", "above_now": share of
                  clients above the score that one in ten was above}; "features": the MAX_FEATURES with the highest
                  index, each {"feature", "group", "text", "psi", "chance", "level", "is_constant", "missing_then",
                  "missing_now"}}
     untold       names of the parts that scored clients and have no reference distribution
     ranks        why scores are ranks and no probabilities, and their reference (run_claims.py); only where they are
     level        of all: the first of "shifted", "shifting", "stable" that a part's score or a feature has;
                  "too few clients"; None where drift cannot be measured
"""

from collections.abc import Iterator, Mapping

import numpy as np

from fairmeter.core.claims import run_ranks_of
from fairmeter.core.types import FeatureMatrix
from fairmeter.evaluation import drift
from fairmeter.evaluation.drift import SHIFTED, SHIFTING, STABLE, TOO_FEW
from fairmeter.explanation.explain import ScoringContext
from fairmeter.explanation.topics import FITTED_ON_OTHERS, INVOICES, READINGS, describe_column
from fairmeter.models.ensemble import Ensemble
from fairmeter.models.fraud_model import FraudModel
from fairmeter.models.reading_model import MIN_DAYS
from fairmeter.wording.phrases import Phrase, text_of

MAX_FEATURES = 30  # listed one by one
UNLIKE_SHARE = 0.25  # of the features that have shifted, from which on clients are unlike those in training
# Measured by benchmarks/quality/drift_bound.py (docs/model.md): beyond it the probabilities were wrong by far.
MAX_MEDIAN_PSI = 0.5  # of the features of an ensemble, up to which its scores are probabilities
MIN_JUDGED = 300  # clients: with fewer the index is high by chance, and nothing is concluded from it
MAX_SAMPLED = 10_000  # clients that show such a shift as clearly as all would
WORST_FIRST = (SHIFTED, SHIFTING, STABLE, TOO_FEW)


class DriftMonitor:
    """Counts the clients of a run in the bins of the model's reference distributions, a chunk at a time."""

    def __init__(self, model: FraudModel, n_clients: int | None = None, max_sampled: int = MAX_SAMPLED) -> None:
        """n_clients: of the whole run, of which a sample of max_sampled is counted; None counts all."""
        self.model = model
        self._step, self._n_seen = max(-(-(n_clients or 0) // max_sampled), 1), 0
        self.counts: dict[str, np.ndarray] = {}
        self._unmeasured: set[str] = set()

    def add(self, context: ScoringContext) -> None:
        """Count those clients of a chunk that are of the kind each ensemble was trained on."""
        n = len(context.invoice_features)
        is_sampled = (self._n_seen + np.arange(n)) % self._step == 0
        self._n_seen += n
        self._add(INVOICES, context.invoice_features, is_sampled & self._is_in_scope(context.invoice_features))
        if context.reading_features is not None:
            is_read = context.reading_features.n_records >= MIN_DAYS
            self._add(READINGS, context.reading_features, is_sampled & is_read)

    def counted(self) -> dict:
        """The counts so far, for JSON: of a part of a run, to be added to those of others."""
        return {name: counts.tolist() for name, counts in self.counts.items()}

    def add_counted(self, counted: Mapping) -> None:
        """Add what another monitor of the same model `counted`."""
        for name, counts in counted.items():
            self.counts[name] = self.counts.get(name, 0) + np.array(counts, dtype=np.int64)

    def drift(self) -> dict:
        """The drift of all clients so far, as described above."""
        parts = {name: _part(dict(ensembles(self.model))[name], n, name) for name, n in self.counts.items()}
        levels = [level for part in parts.values() for level in _levels(part)]
        manifest = self.model.manifest
        return {
            "model": {name: manifest[name] for name in ("version", "trained_at") if name in manifest},
            "parts": parts,
            "untold": sorted(self._unmeasured),
            "level": min(levels, key=WORST_FIRST.index, default=None),
        }

    def _add(self, name: str, evidence: FeatureMatrix, is_in_scope: np.ndarray) -> None:
        ensemble = dict(ensembles(self.model)).get(name)
        if ensemble is None or not is_in_scope.any():
            return
        if ensemble.fingerprint is None:
            self._unmeasured.add(name)
            return
        judged = ensemble.judged(evidence if is_in_scope.all() else evidence.of(is_in_scope))
        found = ensemble.fingerprint.counts(judged.inputs, judged.log_odds)
        self.counts[name] = self.counts.get(name, 0) + found

    def _is_in_scope(self, invoice_features: FeatureMatrix) -> np.ndarray:
        """Clients with invoices, for the prospective view active ones: the model was trained on these. [mask]"""
        manifest = self.model.manifest
        has_invoices = invoice_features.n_records > 0
        if manifest["view"] != "prospective":
            return has_invoices
        last_on = invoice_features.features[:, manifest["features"].index("last_invoice_on")]
        return has_invoices & (last_on >= manifest["active_from"])


def ensembles(model: FraudModel) -> Iterator[tuple[str, Ensemble]]:
    """The model's ensembles on invoices and on readings, by the name of their data."""
    if model.invoices is not None:
        yield INVOICES, model.invoices
    if model.readings is not None:
        yield READINGS, model.readings.ensemble


def describe_references(model: FraudModel) -> dict[str, dict]:
    """Each reference distribution's clients, features, and features that never vary, for the model card."""
    found = {name: ensemble for name, ensemble in ensembles(model) if ensemble.fingerprint is not None}
    return {name: _facts(ensemble) for name, ensemble in found.items()}


def monitored_columns(ensemble: Ensemble) -> list[int]:
    """Places of the columns whose drift is measured: all but those that are fitted on other clients.

    A client base is mostly scored by a model that was trained on it. There these columns hold the clients' own labels
    and values, while the reference holds other clients' only, so that they would look shifted every week.
    """
    return [place for place, name in enumerate(ensemble.inputs.names) if not name.startswith(FITTED_ON_OTHERS)]


def _compared(ensemble: Ensemble) -> list[int]:
    """Monitored columns that some client of the reference has: new evidence is no change of the old.

    Otherwise every run of a utility with measured transformers would report drift, as the reference of readings was
    made of clients without one.
    """
    is_new = drift.is_missing(ensemble.fingerprint)
    return [place for place in monitored_columns(ensemble) if not is_new[place]]


def _facts(ensemble: Ensemble) -> dict:
    is_constant = drift.is_constant(ensemble.fingerprint)[monitored_columns(ensemble)]
    return {"n": ensemble.fingerprint.n, "n_features": len(is_constant), "n_constant": int(is_constant.sum())}


def _part(ensemble: Ensemble, counts: np.ndarray, kind: str) -> dict:
    reference = ensemble.fingerprint
    found = {name: column.tolist() for name, column in drift.compare_columns(reference, counts).items()}
    rows = [
        {"feature": ensemble.inputs.names[place]} | {name: column[place] for name, column in found.items()}
        for place in _compared(ensemble)
    ]
    levels, score = [row["level"] for row in rows], {name: found[name][-1] for name in ("psi", "chance", "level")}
    rows.sort(key=lambda row: -row["psi"])
    return {
        "n_then": reference.n,
        "n_now": int(counts[0].sum()),
        "n_features": len(rows),
        "n_shifted": levels.count(SHIFTED),
        "n_shifting": levels.count(SHIFTING),
        "n_constant": sum(row["is_constant"] for row in rows),
        "max_psi": rows[0]["psi"],
        "median_psi": float(np.median([row["psi"] for row in rows])),
        "score": score
        | dict(zip(("above_then", "above_now"), drift.share_above_top_decile(reference, counts), strict=True)),
        "features": [row | describe_column(row["feature"], kind) for row in rows[:MAX_FEATURES]],
    }


def _levels(part: dict) -> list[str]:
    return [part["score"]["level"], *(row["level"] for row in part["features"])]


# --- sentences --------------------------------------------------------------------------------------------------------


def describe_unlike(drift: Mapping) -> str | None:
    """The sentence that clients are unlike those in training; None where they are not, or are too few to say.

    They are where UNLIKE_SHARE of the features of an ensemble have shifted. Of a run with ranks, the sentence why.
    """
    if ranks := run_ranks_of(drift):
        return text_of(ranks["why"])
    found = [_shifted(name, part) for name, part in drift["parts"].items() if _is_unlike(part)]
    if not found:
        return None
    few = any(part["n_now"] < MIN_JUDGED for part in drift["parts"].values() if _is_unlike(part))
    return Phrase("drift.unlike_few", parts=found, least=MIN_JUDGED) if few else Phrase("drift.unlike", parts=found)


def describe_beyond_bound(drift: Mapping) -> str | None:
    """The sentence why scores are ranks; None where they may be probabilities, or where the clients are too few.

    They may not where half of an ensemble's features have an index beyond MAX_MEDIAN_PSI.
    """
    found = [_middle(name, part) for name, part in drift["parts"].items() if _is_beyond_bound(part)]
    if not found:
        return None
    return Phrase("drift.too_far", parts=found)


def _is_beyond_bound(part: Mapping) -> bool:
    return part["n_now"] >= MIN_JUDGED and part["median_psi"] > MAX_MEDIAN_PSI


def _middle(name: str, part: Mapping) -> Phrase:
    values = {"index": part["median_psi"], "bound": MAX_MEDIAN_PSI}
    return Phrase("drift.middle", shifted=_shifted(name, part), of=name, **values)


def _is_unlike(part: Mapping) -> bool:
    # The score alone may shift with the share of thieves, which is what a model is there to see.
    return part["n_features"] > 0 and part["n_shifted"] >= UNLIKE_SHARE * part["n_features"]


def _shifted(name: str, part: Mapping) -> Phrase:
    share = part["n_shifted"] / max(part["n_features"], 1)
    values = {"n": part["n_shifted"], "n_features": part["n_features"], "share": share}
    return Phrase("drift.shifted", of=name, **values)


def describe_drift(drift: Mapping) -> list[str]:
    """A sentence for each ensemble: how far its clients moved, and what to do."""
    sentences = [_describe_part(name, part) for name, part in drift["parts"].items()]
    for name in drift["untold"]:
        sentences.append(Phrase("drift.no_reference", of=name))
    return sentences or [Phrase("drift.none")]


def _describe_part(name: str, part: Mapping) -> Phrase:
    score = part["score"]
    if score["level"] == TOO_FEW:
        return Phrase("drift.too_few", of=name, n=part["n_now"])
    values = {name: part[name] for name in ("n_shifted", "n_features", "n_shifting", "max_psi")}
    return Phrase(f"drift.part.{score['level']}", of=name, **values, psi=score["psi"])
