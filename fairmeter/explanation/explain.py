"""Scores -> scores with their reasons in sentences, and with the harmless causes that were checked.

In:  the model, its scores, and what they were computed from: a ScoringContext, or features that a client sent.
Out: the scores with `reasons`, `typical` and `explanations`. A client without a score has no reasons.

An explanation costs ten times as much as a score, so it is a call of its own, for clients that a user looks at.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairmeter.core.caller import check_caller
from fairmeter.core.code_names import NO_CODE_NAMES, CodeNames
from fairmeter.core.types import FeatureMatrix, Score, StoredInvoiceScore, Table
from fairmeter.data.daily import DailyConsumption
from fairmeter.explanation.billing_history import BillingHistory, billing_histories
from fairmeter.explanation.harmless_causes import CauseInputs, harmless_causes
from fairmeter.explanation.invoice_sentences import invoice_sentence
from fairmeter.explanation.reading_sentences import reading_sentence
from fairmeter.explanation.reasons import MIN_EFFECT, make_reasons
from fairmeter.explanation.sentence_inputs import InvoiceContext, ReadingContext, Sentence
from fairmeter.explanation.shapley import CombinedModel, EnsembleInput, shapley_values
from fairmeter.explanation.topics import INVOICES, READINGS, Topic
from fairmeter.features.invoices.series import InvoiceSeries
from fairmeter.models.ensemble import Ensemble, log_odds_of
from fairmeter.models.fraud_model import FraudModel, aggregate_names
from fairmeter.models.reading_model import MIN_DAYS
from fairmeter.wording.phrases import Phrase

OTHER_CLIENTS = "like.others"  # where no region and category are known
SentenceOfTopic = Callable[[Topic], Sentence | None]
FeatureValue = Callable[[str], float]  # of a feature by name; NaN where it is unknown


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
    code_names: CodeNames = NO_CODE_NAMES  # of codes of these clients that are texts
    series: InvoiceSeries | None = None  # of the invoices, of few clients


def explain(model: FraudModel, scores: list[Score], context: ScoringContext) -> list[Score]:
    """The scores of FraudModel.score_clients with their reasons and harmless causes."""
    histories = billing_histories(context.clients, context.invoices, context.series)
    inputs = _inputs_by_client(model, context)
    names = context.code_names | model.code_names
    out = []
    for i, (score, history) in enumerate(zip(scores, histories, strict=True)):
        check_caller()
        cause_inputs = _cause_inputs(history, context.daily_consumption, i)
        parts = [part for part in (of_kind.get(i) for of_kind in inputs) if part is not None]
        features = context.invoice_features.features[i]
        sentences = [_sentences(model, part, features, history, cause_inputs, names) for part in parts]
        onset = score.onset_on and float(np.datetime64(score.onset_on, "D").astype(int))
        score = replace(score, explanations=harmless_causes(cause_inputs._replace(onset=onset)))
        is_alone = [part.kind for part in parts] == [READINGS]
        stored = context.stored_invoice_scores[i] if context.stored_invoice_scores and is_alone else None
        out.append(_with_reasons(model, score, parts, sentences, stored))
    return out


def explain_aggregates(model: FraudModel, scores: list[Score], rows: list[dict]) -> list[Score]:
    """The scores of FraudModel.score_aggregates with their reasons; aggregates do not show harmless causes."""
    if model.aggregates is None:
        return scores
    names = aggregate_names(model)
    out = []
    for score, given in zip(scores, rows, strict=True):
        check_caller()
        values = {name: np.nan if given.get(name) is None else float(given[name]) for name in names}
        part = EnsembleInput(model.aggregates, INVOICES, np.array([values[name] for name in names], dtype=np.float32))
        sentences = _invoice_sentences(model, part, lambda name, of=values: of.get(name, np.nan), {}, model.code_names)
        out.append(_with_reasons(model, score, [part], [sentences]))
    return out


def _with_reasons(
    model: FraudModel,
    score: Score,
    parts: list[EnsembleInput],
    sentences: list[SentenceOfTopic],
    stored: StoredInvoiceScore | None = None,
) -> Score:
    if score.value is None or any(part.ensemble.typical is None for part in parts):
        return score
    found = shapley_values(parts, _constant(model, parts, stored), MIN_EFFECT, stored and _stored_part(model, stored))
    reasons = make_reasons(found, lambda i, topic: sentences[i](topic), stored.text if stored else "")
    # Without labels the effects are in mean ranks, and only their order and signs say anything.
    return replace(score, reasons=reasons, typical=found.typical if score.rank_share is None else None)


def _stored_part(model: FraudModel, stored: StoredInvoiceScore) -> CombinedModel:
    """Log-odds of a stored invoice score and of the typical client, which are the prior's without an ensemble."""
    ensemble, typical = model.invoices, _log_odds(model.prior)
    if ensemble is not None and ensemble.typical is not None:
        typical = float(ensemble.log_odds(ensemble.typical[None])[0])
    return CombinedModel(float(log_odds_of(stored.value)), typical)


# --- inputs of the ensembles ------------------------------------------------------------------------------------------


def _inputs_by_client(model: FraudModel, context: ScoringContext) -> list[dict[int, EnsembleInput]]:
    """By client, the input of the ensemble on invoices, and that of the ensemble on readings."""
    of_invoices, of_readings = {}, {}
    invoice_features, reading_features = context.invoice_features, context.reading_features
    if model.invoices is not None:
        of_invoices = _inputs(model.invoices, INVOICES, invoice_features, invoice_features.n_records > 0)
    if model.readings is not None and reading_features is not None:
        of_readings = _inputs(
            model.readings.ensemble, READINGS, reading_features, reading_features.n_records >= MIN_DAYS
        )
    return [of_invoices, of_readings]


def _inputs(ensemble: Ensemble, kind: str, features: FeatureMatrix, scored: np.ndarray) -> dict[int, EnsembleInput]:
    """Input of each scored client by its number. [scored: mask]"""
    if not scored.any():
        return {}
    matrix = ensemble.inputs_of(features if scored.all() else features.of(scored))
    return {
        i: EnsembleInput(ensemble, kind, row) for i, row in zip(np.flatnonzero(scored).tolist(), matrix, strict=True)
    }


def _constant(model: FraudModel, parts: list[EnsembleInput], stored: StoredInvoiceScore | None) -> float:
    """The log-odds that FraudModel.probability adds to those of the ensembles."""
    kinds = [part.kind for part in parts]
    if READINGS not in kinds:
        return 0.0
    has_prior = INVOICES in kinds or stored is not None
    return -_log_odds(model.readings.theft_share) + (0.0 if has_prior else _log_odds(model.prior))


def _log_odds(rate: float) -> float:
    return float(np.log(rate / (1.0 - rate)))


# --- inputs of the sentences ------------------------------------------------------------------------------------------


def _cause_inputs(history: dict[str, BillingHistory], days: DailyConsumption | None, client: int) -> CauseInputs:
    if days is None:
        return CauseInputs(history, np.empty(0), np.empty(0), None)
    rows = slice(int(days.segments.starts[client]), int(days.segments.ends[client]))
    optional = (None if column is None else column[rows] for column in (days.hours, days.export_kwh, days.is_spread))
    return CauseInputs(history, days.day[rows], days.kwh[rows], *optional)


def _sentences(
    model: FraudModel,
    part: EnsembleInput,
    features: np.ndarray,
    history: dict[str, BillingHistory],
    cause_inputs: CauseInputs,
    names: CodeNames,
) -> SentenceOfTopic:
    """The function that gives a part's sentence on a topic."""
    if part.kind == READINGS:
        context = ReadingContext(cause_inputs.day, cause_inputs.kwh, part.ensemble, part.columns, part.row)
        return lambda topic: reading_sentence(context, topic)
    places = model.feature_places
    return _invoice_sentences(model, part, lambda name: _value(features, places.get(name)), history, names)


def _value(values: np.ndarray, place: int | None) -> float:
    return np.nan if place is None else float(values[place])


def _invoice_sentences(
    model: FraudModel,
    part: EnsembleInput,
    value: FeatureValue,
    history: dict[str, BillingHistory],
    names: CodeNames,
) -> SentenceOfTopic:
    usual, like = _usual(model, part.ensemble, value, names)

    def sentence_of(topic: Topic) -> Sentence | None:
        context = InvoiceContext(
            topic.energy,
            history.get(topic.energy),
            part.ensemble,
            part.columns,
            part.row,
            value,
            usual,
            like,
            names,
        )
        return invoice_sentence(context, topic)

    return sentence_of


def _usual(model: FraudModel, ensemble: Ensemble, value: FeatureValue, names: CodeNames) -> tuple[FeatureValue, Phrase]:
    """Medians of features by name among clients like this one, and a phrase that names these clients."""
    peers = ensemble.usual
    if peers is None:
        return lambda _: np.nan, Phrase(OTHER_CLIENTS)
    region, category = value("region"), value("category")
    group = int(peers.group(np.array([[region, category]], dtype=np.float32))[0])
    medians, places = peers.medians[group], peers.places

    def usual(name: str) -> float:
        return _value(medians, places.get(model.feature_places.get(name)))

    if group == len(peers.groups) or np.isnan(region + category):
        return usual, Phrase(OTHER_CLIENTS)
    named = {name: str(names.name(name, code)) for name, code in (("category", category), ("region", region))}
    return usual, Phrase("like.peers", **named)
