"""Scores -> the same with their reasons in words, and which harmless causes were checked.

In:  the model, scores as it gave them, and what it judged: evidence and tables; or aggregates as older scripts send.
Out: the scores with `reasons`, `typical` and `explanations`. A client that was not judged has no reasons.

Explaining costs ten times what judging does, so it is a call of its own, for those clients that somebody looks at.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairmeter.core.types import FeatureMatrix, Score, StoredInvoiceScore, Table
from fairmeter.data.daily import DailyConsumption
from fairmeter.explanation.billed import BillingHistory, billed_clients
from fairmeter.explanation.harmless_causes import CauseInputs, explanations_of
from fairmeter.explanation.invoice_sentences import told_of_invoices
from fairmeter.explanation.reading_sentences import told_of_days
from fairmeter.explanation.reasons import LEAST_EFFECT, reasons_of
from fairmeter.explanation.sentence_inputs import InvoiceContext, ReadingContext, Sentence
from fairmeter.explanation.shapley import CombinedModel, EnsembleInput, shares
from fairmeter.explanation.topics import INVOICES, READINGS, Topic
from fairmeter.models.ensemble import Ensemble, log_odds_of
from fairmeter.models.fraud_model import FraudModel, aggregate_names
from fairmeter.models.reading_model import LEAST_DAYS

NOBODY_LIKE_IT = "other clients"


@dataclass(frozen=True)
class ScoringContext:
    """What the scores of some clients are computed from: canonical tables and the features made of them.

    All parts list the clients in the same order, which is also that of the scores.
    """

    clients: Table
    invoices: Table
    invoice_features: FeatureMatrix
    daily_consumption: DailyConsumption | None = None
    reading_features: FeatureMatrix | None = None
    # One a client: the score of an earlier run, for a client whose invoices are no longer available.
    stored_invoice_scores: Sequence[StoredInvoiceScore | None] | None = None


def explained(model: FraudModel, scores: list[Score], known: ScoringContext) -> list[Score]:
    """The scores of judge(), each with its reasons and harmless explanations."""
    histories = billed_clients(known.clients, known.invoices)
    rows = _rows(model, known)
    out = []
    for i, (score, history) in enumerate(zip(scores, histories, strict=True)):
        seen = _seen(history, known.daily_consumption, i)
        parts = [part for part in (of_kind.get(i) for of_kind in rows) if part is not None]
        tellers = [_teller(model, part, known.invoice_features.features[i], history, seen) for part in parts]
        score = replace(score, explanations=explanations_of(seen))
        earlier = (
            known.stored_invoice_scores[i]
            if known.stored_invoice_scores and [part.kind for part in parts] == [READINGS]
            else None
        )
        out.append(_with_reasons(model, score, parts, tellers, earlier))
    return out


def explained_aggregates(model: FraudModel, scores: list[Score], rows: list[dict]) -> list[Score]:
    """The scores of judge_aggregates(), each with its reasons; what harmless causes ask for is not in aggregates."""
    if model.aggregates is None:
        return scores
    names = aggregate_names(model)
    out = []
    for score, given in zip(scores, rows, strict=True):
        values = {name: np.nan if given.get(name) is None else float(given[name]) for name in names}
        part = EnsembleInput(model.aggregates, INVOICES, np.array([values[name] for name in names], dtype=np.float32))
        teller = _teller_of_features(model, part, values, {})
        out.append(_with_reasons(model, score, [part], [teller]))
    return out


def _with_reasons(
    model: FraudModel,
    score: Score,
    parts: list[EnsembleInput],
    tellers: list,
    earlier: StoredInvoiceScore | None = None,
) -> Score:
    if score.probability is None or any(part.ensemble.typical is None for part in parts):
        return score
    found = shares(parts, _constant(model, parts, earlier), LEAST_EFFECT, earlier and _whole(model, earlier))
    reasons = reasons_of(found, lambda i, aspect: tellers[i](aspect), earlier.text if earlier else "")
    return replace(score, reasons=reasons, typical=found.typical)


def _whole(model: FraudModel, earlier: StoredInvoiceScore) -> CombinedModel:
    """What the invoices came to, beside those of the typical client; without an ensemble on them that is the prior."""
    ensemble, typical = model.invoices, _log_odds(model.manifest["fraud_rate"])
    if ensemble is not None and ensemble.typical is not None:
        typical = float(ensemble.log_odds(ensemble.typical[None])[0])
    return CombinedModel(float(log_odds_of(earlier.probability)), typical)


# --- what the ensembles saw -------------------------------------------------------------------------------------------


def _rows(model: FraudModel, known: ScoringContext) -> list[dict[int, EnsembleInput]]:
    """By client, the part of its score that invoices make, and the one that readings make."""
    of_invoices, of_readings = {}, {}
    if model.invoices is not None:
        of_invoices = _parts(model.invoices, INVOICES, known.invoice_features, known.invoice_features.n_records > 0)
    if model.readings is not None and known.reading_features is not None:
        of_readings = _parts(
            model.readings.ensemble, READINGS, known.reading_features, known.reading_features.n_records >= LEAST_DAYS
        )
    return [of_invoices, of_readings]


def _parts(ensemble: Ensemble, kind: str, evidence: FeatureMatrix, judged: np.ndarray) -> dict[int, EnsembleInput]:
    if not judged.any():
        return {}
    matrix = ensemble.inputs.matrix(evidence if judged.all() else evidence.of(judged))
    return {
        i: EnsembleInput(ensemble, kind, row) for i, row in zip(np.flatnonzero(judged).tolist(), matrix, strict=True)
    }


def _constant(model: FraudModel, parts: list[EnsembleInput], earlier: StoredInvoiceScore | None) -> float:
    """What FraudModel.probability adds to the ensembles' log-odds."""
    kinds = [part.kind for part in parts]
    if READINGS not in kinds:
        return 0.0
    has_prior = INVOICES in kinds or earlier is not None
    return -_log_odds(model.readings.theft_share) + (0.0 if has_prior else _log_odds(model.manifest["fraud_rate"]))


def _log_odds(rate: float) -> float:
    return float(np.log(rate / (1.0 - rate)))


# --- what sentences read ----------------------------------------------------------------------------------------------


def _seen(history: dict[str, BillingHistory], days: DailyConsumption | None, client: int) -> CauseInputs:
    if days is None:
        return CauseInputs(history, np.empty(0), np.empty(0), None)
    rows = slice(int(days.segments.starts[client]), int(days.segments.ends[client]))
    return CauseInputs(history, days.day[rows], days.kwh[rows], None if days.hours is None else days.hours[rows])


def _teller(
    model: FraudModel, part: EnsembleInput, features: np.ndarray, history: dict[str, BillingHistory], seen: CauseInputs
):
    """The sentence of an aspect of this part, by the aspect."""
    if part.kind == READINGS:
        told = ReadingContext(seen.day, seen.kwh, part.ensemble, part.layout, part.row)
        return lambda aspect: told_of_days(told, aspect)
    values = dict(zip(model.manifest["features"], features.tolist(), strict=True))
    return _teller_of_features(model, part, values, history)


def _teller_of_features(
    model: FraudModel, part: EnsembleInput, values: dict[str, float], history: dict[str, BillingHistory]
):
    usual, like = _usual(model, part.ensemble, values)

    def tell(aspect: Topic) -> Sentence | None:
        told = InvoiceContext(
            aspect.energy,
            history.get(aspect.energy),
            part.ensemble,
            part.layout,
            part.row,
            lambda name: values.get(name, np.nan),
            lambda name: usual.get(name, np.nan),
            like,
        )
        return told_of_invoices(told, aspect)

    return tell


def _usual(model: FraudModel, ensemble: Ensemble, values: dict[str, float]) -> tuple[dict[str, float], str]:
    """The medians of clients like this one by the features' names, and who they are in words."""
    peers = ensemble.usual
    if peers is None:
        return {}, NOBODY_LIKE_IT
    region, category = values["region"], values["category"]
    group = int(peers.group(np.array([[region, category]], dtype=np.float32))[0])
    names = (model.manifest["features"][column] for column in peers.columns.tolist())
    medians = dict(zip(names, peers.medians[group].tolist(), strict=True))
    if group == len(peers.groups) or np.isnan(region + category):
        return medians, NOBODY_LIKE_IT
    return medians, f"clients of category {category:.0f} in region {region:.0f}"
