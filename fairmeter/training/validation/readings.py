"""Fit the ensemble on readings and measure it on held-out households. Training only.

In:  honest households for injected thefts, clients with labels, or clients without.
Out: `ReadingTrainingResult`: the model of all clients, its thresholds, and metrics of a model fitted without the
     held-out households.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairmeter.core.claims import UNLABELLED
from fairmeter.core.types import FeatureMatrix
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.exogenous import NO_EXOGENOUS, Exogenous
from fairmeter.evaluation import model_evaluation, reading_metrics
from fairmeter.evaluation.drift import ReferenceDistribution
from fairmeter.evaluation.reading_metrics import DELAYS, RATES
from fairmeter.features.readings.covariates import Covariates, TransformerLosses
from fairmeter.models.ensemble import probability_of
from fairmeter.models.ranks import RANK_THRESHOLDS, rank_reference
from fairmeter.models.reading_model import MIN_DAYS, ReadingModel, onset_day, reading_matrix
from fairmeter.simulation.compositions import HELD_OUT
from fairmeter.training.attacks import (
    BROAD,
    HONEST,
    PUBLISHED,
    AttackedHouseholds,
    AttackPlan,
    HonestHouseholds,
    split,
)
from fairmeter.training.dataset import MIN_PER_LABEL, TrainingError
from fairmeter.training.ensemble_fitting import Fitted, stratified_folds
from fairmeter.training.reading_fitting import (
    DETECTOR_FEATURES,
    FEW_TRAINING_PLANS,
    QUICK_TRAINING_PLANS,
    TRAINING_PLANS,
    OnStep,
    Sample,
    fit_labelled,
    fit_networks,
    fit_unlabelled,
    learn_convolution,
    make_sample,
    make_training_sets,
    representative_clients,
)

HOUSEHOLD_SHARES = (0.1, 0.7, 0.2)  # of the households: for the networks, for the ensemble, held out
TEST_SETS = 3  # attacked sets that each held-out household is in
FOLDS = 5
LARGE_LOSS = 0.5  # share of the energy: days to detection are measured for such thefts
MIN_DAYS_BEFORE = 60  # days before the onset, for thieves scored as their series grows
MIN_HOUSEHOLDS, MIN_HOUSEHOLD_DAYS = (
    60,
    100,
)  # households to attack; days of each: the past of a shorter series has no window
PAST_SHARE = 0.6  # share of the calendar on which the past-to-future model is fitted
ATTACKS = {"as published": PUBLISHED, "wider than published": BROAD}
UNKNOWN = replace(BROAD, composed=1.0, compositions=HELD_OUT)  # thefts with a part that no training file has


@dataclass(frozen=True)
class ReadingTrainingResult:
    """The model, its thresholds (threshold, severities, theft_share) and the metrics for the report.

    A run that only measures has no model and empty thresholds. ranks: of a model without labels, the training clients'
    scores (models/ranks.py); such a model has no theft_share.
    """

    model: ReadingModel | None
    thresholds: dict
    metrics: dict
    ranks: dict | None = None


# --- honest households, attacked --------------------------------------------------------------------------------------


def train_on_attacks(
    base: HonestHouseholds,
    theft_share: float,
    promised_precision: Mapping[str, float],
    seed: int,
    quick: bool,
    on_step: OnStep,
    exogenous: Exogenous = NO_EXOGENOUS,
    only_measure: bool = False,
    convolution: bool = False,
) -> ReadingTrainingResult:
    """Inject thefts into honest households, fit on these, and measure on held-out households.

    theft_share: of the clients that will be scored; of the injected sets half are thieves. [0..1] Raises TrainingError.
    """
    _check_enough(np.count_nonzero(~np.isnan(base.kwh), axis=1), MIN_HOUSEHOLD_DAYS, MIN_HOUSEHOLDS)
    network_part, ensemble_part, held_out = split(len(base.kwh), seed, HOUSEHOLD_SHARES)
    plans = QUICK_TRAINING_PLANS if quick else TRAINING_PLANS
    covariates = Covariates.from_consumption(base.days(np.concatenate([network_part, ensemble_part])), None, *exogenous)
    networks = fit_networks(base.days(network_part), covariates, seed, quick, on_step)
    files = make_training_sets(base, ensemble_part, covariates, plans, seed)

    def to_measure(what: str) -> None:
        on_step(f"{what}, to measure")

    all_networks, sample = learn_convolution(files, networks, seed, convolution, to_measure)
    measured, _ = fit_labelled(sample, all_networks, covariates, seed, quick, to_measure)
    metrics = {"made": "injected", "parts": [len(network_part), len(ensemble_part), len(held_out)]}
    metrics |= measure_attacks(measured, base, held_out, seed)
    metrics["metered"] = _measure_ranking(measured, base, held_out, replace(PUBLISHED, is_metered=True), seed + 2)
    metrics["unknown"] = _measure_ranking(measured, base, held_out, UNKNOWN, seed + 5)
    metrics["past_to_future"] = _measure_past_to_future(
        base, network_part, ensemble_part, held_out, seed, quick, on_step, exogenous
    )
    if only_measure:
        return ReadingTrainingResult(None, {}, metrics)
    all_covariates = Covariates.from_consumption(base.days(np.arange(len(base.kwh))), None, *exogenous)
    rest = np.concatenate([ensemble_part, held_out])
    files = make_training_sets(base, rest, all_covariates, plans, seed + 1)
    networks, sample = learn_convolution(files, networks, seed + 1, convolution, on_step)
    is_representative = representative_clients(base, files, theft_share, seed)
    model, fitted = fit_labelled(sample, networks, all_covariates, seed, quick, on_step, is_representative)
    return ReadingTrainingResult(
        model, fit_thresholds(fitted.log_odds, sample.label, theft_share, promised_precision), metrics
    )


def measure_attacks(model: ReadingModel, base: HonestHouseholds, held_out: np.ndarray, seed: int) -> dict:
    """Metrics on held-out households with thefts as published, and with the wider ranges used in training."""
    return {words: measure_plan(model, base, held_out, plan, seed + 2) for words, plan in ATTACKS.items()}


def measure_plan(
    model: ReadingModel, base: HonestHouseholds, held_out: np.ndarray, plan: AttackPlan, seed: int
) -> dict:
    """Metrics of the model for one plan of thefts: figures, model comparison, days to detection, onset error."""
    files = make_training_sets(base, held_out, model.surroundings, [plan] * TEST_SETS, seed)
    evidence = [reading_matrix(file.days, model.networks, file.covariates) for file in files]
    label, kind, loss, household, onset = (_concatenate(files, name) for name in PER_CLIENT)
    score = np.concatenate([model.log_ratio(part) for part in evidence])
    singles = [detector_scores(model, part) for part in evidence]
    scores = {name: np.concatenate([single[name] for single in singles]) for name in singles[0]}
    least = reading_metrics.score_at_rate(score[label == 0], RATES[0])
    suspected = (label == 1) & (score >= least)
    estimated_onset = np.concatenate([onset_day(part) for part in evidence])
    done = reading_metrics.AttackOutcome(kind, loss, household)
    return reading_metrics.figures(label, score, done, HONEST) | {
        "models": reading_metrics.compare(label, scores | {"ensemble": score}, household),
        "latency": reading_metrics.latency(np.concatenate([_scores_over_time(model, file) for file in files]), least),
        "onset": reading_metrics.onset_error(onset[suspected], estimated_onset[suspected]),
    }


def _measure_ranking(
    model: ReadingModel, base: HonestHouseholds, held_out: np.ndarray, plan: AttackPlan, seed: int
) -> dict:
    """Ranking alone, where daily transformer losses are measured, or where thefts are of unknown kinds."""
    files = make_training_sets(base, held_out, model.surroundings, [plan] * TEST_SETS, seed)
    test = make_sample(files, model.networks)
    ranking = reading_metrics.ranking(test.label, model.log_ratio(test.evidence), test.household)
    return {"n": len(test.label), "n_thieves": int(test.label.sum()), "ranking": ranking}


PER_CLIENT = ("label", "kind", "loss", "household", "onset")


def _concatenate(files: Sequence[AttackedHouseholds], name: str) -> np.ndarray:
    return np.concatenate([getattr(file, name) for file in files])


def detector_scores(model: ReadingModel, evidence: FeatureMatrix) -> dict[str, np.ndarray]:
    """Scores of each detector, network and member alone; higher = more suspicious, NaN where not computable."""
    inputs = model.ensemble.inputs
    matrix = inputs.matrix(evidence)

    def column(name: str) -> np.ndarray:
        return matrix[:, inputs.names.index(name)].astype(np.float64)

    # Less than before, or than forecast, is suspicious.
    scores = {"ratio of the last 30 days": -column("ratio_last_30")}
    scores |= {name.replace("_", " "): column(name) for name in DETECTOR_FEATURES}
    if "autoencoder" in model.networks:
        scores["autoencoder"] = column("weeks_distance_recent")
    if "forecaster" in model.networks:
        scores["forecaster"] = -column("month_ahead_error_30")
    members = model.ensemble.member_log_odds(matrix)
    return scores | {
        name.replace("_", " "): values for name, values in zip(model.ensemble.members, members.T, strict=True)
    }


def _scores_over_time(model: ReadingModel, file: AttackedHouseholds) -> np.ndarray:
    """Scores of large thefts on each of DELAYS after their onset; NaN after the series' end. [(thieves, DELAYS)]"""
    first, last = (end(file.days.day.astype(np.float64)) for end in (file.days.segments.first, file.days.segments.last))
    is_large = (file.label == 1) & (file.loss >= LARGE_LOSS) & (file.onset - first >= MIN_DAYS_BEFORE)
    out = np.full((int(is_large.sum()), len(DELAYS)), np.nan)
    covariates = file.covariates and file.covariates.for_clients(is_large)
    for i, delay in enumerate(DELAYS):
        until = file.onset + delay - 1
        days = file.days.until(until, is_large)
        score = model.log_ratio(reading_matrix(days, model.networks, covariates))
        out[:, i] = np.where((last >= until)[is_large], score, np.nan)
    return out


def _measure_past_to_future(
    base: HonestHouseholds,
    network_part: np.ndarray,
    ensemble_part: np.ndarray,
    held_out: np.ndarray,
    seed: int,
    quick: bool,
    on_step: OnStep,
    exogenous: Exogenous,
) -> dict:
    """Fit on the past of some households, measure on others whose thefts begin after it."""
    n_past, n = int(PAST_SHARE * base.kwh.shape[1]), base.kwh.shape[1]
    past = HonestHouseholds(base.kwh[:, :n_past], base.first_day)
    covariates = Covariates.from_consumption(past.days(np.concatenate([network_part, ensemble_part])), None, *exogenous)
    networks = fit_networks(
        past.days(network_part), covariates, seed, quick, lambda what: on_step(f"{what}, on the past")
    )
    sample = make_sample(
        make_training_sets(past, ensemble_part, covariates, FEW_TRAINING_PLANS * 2, seed + 3), networks
    )
    model, _ = fit_labelled(sample, networks, None, seed, quick, lambda what: on_step(f"{what}, on the past"))
    # Only households with readings to the end; a theft of the others could lie in the past.
    lasting = held_out[~np.isnan(base.kwh[held_out, -7:]).all(axis=1)]
    plan = replace(PUBLISHED, age=(PUBLISHED.age[0], float(n - n_past)))
    test = make_sample(make_training_sets(base, lasting, covariates, [plan] * TEST_SETS, seed + 4), networks)
    ranking = reading_metrics.ranking(test.label, model.log_ratio(test.evidence), test.household)
    return {"until": str(np.datetime64(base.first_day + n_past - 1, "D")), "n": len(test.label), "ranking": ranking}


# --- clients with labels, and without ---------------------------------------------------------------------------------


def train_on_labels(
    days: DailyConsumption,
    label: np.ndarray,
    theft_share: float,
    promised_precision: Mapping[str, float],
    measured_folds: int,
    seed: int,
    quick: bool,
    on_step: OnStep,
    exogenous: Exogenous = NO_EXOGENOUS,
    only_measure: bool = False,
    transformer_losses: TransformerLosses | None = None,
) -> ReadingTrainingResult:
    """Measure on the first `measured_folds` of FOLDS outer folds, then fit on all labelled clients. [label: 1, 0, NaN]

    transformer_losses: of the clients' transformers, where measured. Raises TrainingError where fewer than
    MIN_PER_LABEL clients of a label have enough readings.
    """
    is_scored = days.segments.total((~np.isnan(days.kwh)).astype(np.int64)) >= MIN_DAYS
    known, scored_days = ~np.isnan(label) & is_scored, days.for_clients(is_scored)
    days, label = days.for_clients(known), label[known]
    _check_kinds(label)
    covariates = replace(
        Covariates.from_consumption(days, None, *exogenous),
        losses=transformer_losses and transformer_losses.for_clients(known),
    )
    folds = stratified_folds(label, FOLDS, seed)
    score, rows = np.full(len(label), np.nan), {}
    for fold in range(measured_folds):
        mine, part = folds == fold, f"outer fold {fold + 1} of {FOLDS}"
        model, _, _ = _fit_on(
            days, label, ~mine, covariates, seed + fold, quick, lambda what, p=part: on_step(f"{what}, {p}")
        )
        evidence = reading_matrix(days.for_clients(mine), model.networks, covariates.for_clients(mine))
        score[mine] = model.log_ratio(evidence)
        for name, values in detector_scores(model, evidence).items():
            rows.setdefault(name, np.full(len(label), np.nan))[mine] = values
    clients = np.flatnonzero(folds < measured_folds)
    metrics = {"made": "labelled", "n": len(clients), "n_thieves": int(label[clients].sum()), "folds": measured_folds}
    metrics["ranking"] = reading_metrics.ranking(label[clients], score[clients], clients)
    scores = {name: values[clients] for name, values in (rows | {"ensemble": score}).items()}
    metrics["models"] = reading_metrics.compare(label[clients], scores, clients)
    if only_measure:
        return ReadingTrainingResult(None, {}, metrics)
    model, sample, fitted = _fit_on(days, label, np.ones(len(label), bool), covariates, seed, quick, on_step)
    if len(label) < is_scored.sum():
        model = _with_drift_reference(model, scored_days, exogenous)
    return ReadingTrainingResult(
        model, fit_thresholds(fitted.log_odds, sample.label, theft_share, promised_precision), metrics
    )


def _with_drift_reference(model: ReadingModel, days: DailyConsumption, exogenous: Exogenous) -> ReadingModel:
    """The model with a drift reference of all clients that are scored, not of those alone that have a label."""
    evidence = model.features(days, Covariates.from_consumption(days, None, *exogenous))
    matrix = model.ensemble.inputs.matrix(evidence)
    reference = ReferenceDistribution.from_clients(matrix, model.ensemble.log_odds(matrix))
    return replace(model, ensemble=replace(model.ensemble, fingerprint=reference))


def _fit_on(
    days: DailyConsumption,
    label: np.ndarray,
    used: np.ndarray,
    covariates: Covariates,
    seed: int,
    quick: bool,
    on_step: OnStep,
) -> tuple[ReadingModel, Sample, Fitted]:
    """Fit networks on a part of the honest clients and the ensemble on the rest; on all if series are too short."""
    honest = np.flatnonzero(used & (label == 0))
    network_part = np.zeros(len(label), dtype=bool)
    network_part[np.random.default_rng(seed).permutation(honest)[: int(HOUSEHOLD_SHARES[0] * len(honest))]] = True
    networks = fit_networks(days.for_clients(network_part), covariates, seed, quick, on_step)
    rest = used & ~network_part if networks else used
    evidence = reading_matrix(days.for_clients(rest), networks, covariates.for_clients(rest))
    sample = Sample(evidence, label[rest], np.flatnonzero(rest))
    model, fitted = fit_labelled(sample, networks, covariates, seed, quick, on_step)
    return model, sample, fitted


def _check_kinds(label: np.ndarray) -> None:
    n, n_thieves = len(label), int(label.sum())
    if min(n_thieves, n - n_thieves) < MIN_PER_LABEL:
        raise TrainingError(
            f"{n_thieves:,} clients labelled 1 and {n - n_thieves:,} labelled 0 have at least {MIN_DAYS} days with "
            f"readings; at least {MIN_PER_LABEL} of each kind are needed. Without labels, leave the column out."
        )


def _check_enough(n_known: np.ndarray, n_days: int, least: int) -> None:
    """Raise TrainingError if fewer than `least` clients have n_days readings. [n_known: days, one a client]"""
    if (n := int(np.count_nonzero(n_known >= n_days))) < least:
        raise TrainingError(f"{n:,} clients have at least {n_days} days with readings; at least {least} are needed.")


def train_without_labels(
    days: DailyConsumption,
    seed: int,
    quick: bool,
    on_step: OnStep,
    exogenous: Exogenous = NO_EXOGENOUS,
) -> ReadingTrainingResult:
    """Rank clients by the mean of detectors; the first FIRST_SHARE are suspected. Raises TrainingError."""
    _check_enough(days.segments.total((~np.isnan(days.kwh)).astype(np.int64)), MIN_DAYS, MIN_PER_LABEL)
    covariates = Covariates.from_consumption(days, None, *exogenous)
    networks = fit_networks(days, covariates, seed, quick, on_step)
    evidence = reading_matrix(days, networks, covariates)
    model, log_odds = fit_unlabelled(evidence.of(evidence.n_records >= MIN_DAYS), networks, covariates, seed)
    metrics = {"made": UNLABELLED, "n": len(log_odds)}
    return ReadingTrainingResult(model, dict(RANK_THRESHOLDS), metrics, rank_reference(log_odds))


# --- thresholds -------------------------------------------------------------------------------------------------------


def fit_thresholds(
    log_odds: np.ndarray, label: np.ndarray, theft_share: float, promised_precision: Mapping[str, float]
) -> dict:
    """Threshold and severities from out-of-fold log-odds, adjusted to theft_share instead of the sample's share."""
    shift = _log_odds_shift(label.mean(), theft_share)
    score, weight = probability_of(log_odds + shift), float(np.exp(-shift))
    threshold = model_evaluation.best_threshold(label, score, weight)
    severities = model_evaluation.severity_thresholds(
        label, score, promised_precision, weight, per_client=True, threshold=threshold
    )
    return {
        "threshold": threshold,
        "severities": [{"severity": name} | cut for name, cut in severities.items()],
        "theft_share": theft_share,
    }


def _log_odds_shift(here: float, there: float) -> float:
    """Difference in log-odds between the shares of thieves `there` and `here`. [shares: 0..1]"""
    return float(np.log(there / (1.0 - there)) - np.log(here / (1.0 - here)))
