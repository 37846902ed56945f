"""Readings: fitted on some households, measured on others. Training only.

In:  honest households to be attacked, clients with labels, or clients without.
Out: `Outcome`: the model of all of them, its cut-offs, and the metrics of one that had not seen the test households.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairmeter.core.types import FeatureMatrix
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.exogenous import NO_EXOGENOUS, Exogenous
from fairmeter.evaluation import model_evaluation, reading_metrics
from fairmeter.evaluation.reading_metrics import DELAYS, RATES
from fairmeter.features.readings.covariates import Covariates, TransformerLosses
from fairmeter.models.ensemble import probability_of
from fairmeter.models.reading_model import MIN_DAYS, ReadingModel, onset_day, reading_matrix
from fairmeter.training import attacks
from fairmeter.training.attacks import HONEST, AttackedHouseholds, HonestHouseholds, split
from fairmeter.training.dataset import LEAST_OF_A_KIND, TrainingError
from fairmeter.training.ensemble_fitting import Fitted, stratified_folds
from fairmeter.training.reading_fitting import (
    LOOKS_AT,
    TO_TRAIN,
    TO_TRAIN_QUICKLY,
    Sample,
    Tell,
    alike,
    attacked_files,
    fit_labelled,
    fit_networks,
    fit_unlabelled,
    sample_of,
)

PARTS = (0.1, 0.7, 0.2)  # of the households: for the networks, for the ensemble, kept back
TEST_FILES = 3  # that each household kept back is in, attacked anew
FOLDS = 5
LARGE_LOSS = 0.5  # of the energy: of such thefts the days to detection are told
LEAST_BEFORE = 60  # days before the onset, for who is judged as its series grows
LEAST_HOUSEHOLDS, LONG_ENOUGH = 60, 100  # to attack; days: the past of fewer is shorter than a window
PAST_SHARE = 0.6  # of the calendar: the past, on which the second report trains
ATTACKS = {"as published": attacks.PUBLISHED, "wider than published": attacks.BROAD}
UNLABELLED_SHARE = 0.05  # of the clients are suspected where no label says what precision would be


@dataclass(frozen=True)
class ReadingTrainingResult:
    """What training on readings gives: the model, where it suspects (threshold, severities), and what was measured.

    Where it only measures: no model, and nowhere to suspect.
    """

    model: ReadingModel | None
    cuts: dict
    metrics: dict


# --- honest households, attacked --------------------------------------------------------------------------------------


def of_attacked(
    base: HonestHouseholds,
    theft_share: float,
    promises: Mapping[str, float],
    seed: int,
    quick: bool,
    tell: Tell,
    almanac: Exogenous = NO_EXOGENOUS,
    only_measure: bool = False,
) -> ReadingTrainingResult:
    """theft_share: of the clients that will be judged, for half of those attacked here are thieves. [0..1]

    Raises TrainingError.
    """
    _check_enough(np.count_nonzero(~np.isnan(base.kwh), axis=1), LONG_ENOUGH, LEAST_HOUSEHOLDS)
    watched, fit_on, kept = split(len(base.kwh), seed, PARTS)
    plans = TO_TRAIN_QUICKLY if quick else TO_TRAIN
    surroundings = Covariates.from_consumption(base.days(np.concatenate([watched, fit_on])), None, *almanac)
    networks = fit_networks(base.days(watched), surroundings, seed, quick, tell)
    sample = sample_of(attacked_files(base, fit_on, surroundings, plans, seed), networks)
    measured, _ = fit_labelled(sample, networks, surroundings, seed, quick, lambda what: tell(f"{what}, to measure"))
    metrics = {"made": "injected", "parts": [len(watched), len(fit_on), len(kept)]}
    metrics |= attacked_metrics(measured, base, kept, seed)
    metrics["metered"] = _metered(measured, base, kept, seed)
    metrics["past_to_future"] = _past_to_future(base, watched, fit_on, kept, seed, quick, tell, almanac)
    if only_measure:
        return ReadingTrainingResult(None, {}, metrics)
    everybody = Covariates.from_consumption(base.days(np.arange(len(base.kwh))), None, *almanac)
    rest = np.concatenate([fit_on, kept])
    files = attacked_files(base, rest, everybody, plans, seed + 1)
    sample, judged = sample_of(files, networks), alike(base, files, theft_share, seed)
    model, fitted = fit_labelled(sample, networks, everybody, seed, quick, tell, judged)
    return ReadingTrainingResult(model, cuts_of(fitted.log_odds, sample.label, theft_share, promises), metrics)


def attacked_metrics(model: ReadingModel, base: HonestHouseholds, kept: np.ndarray, seed: int) -> dict:
    """On households that nothing was fitted on: attacked as published, and by the wider ranges that trained."""
    return {words: plan_metrics(model, base, kept, plan, seed + 2) for words, plan in ATTACKS.items()}


def plan_metrics(
    model: ReadingModel, base: HonestHouseholds, kept: np.ndarray, plan: attacks.AttackPlan, seed: int
) -> dict:
    """What one way to attack shows of the model: all of reading_evaluation.py, and models side by side."""
    files = attacked_files(base, kept, model.surroundings, [plan] * TEST_FILES, seed)
    evidence = [reading_matrix(file.days, model.networks, file.surroundings) for file in files]
    label, kind, loss, household, onset = (_column(files, name) for name in PER_CLIENT)
    score = np.concatenate([model.log_ratio(part) for part in evidence])
    singles = [single_scores(model, part) for part in evidence]
    scores = {name: np.concatenate([single[name] for single in singles]) for name in singles[0]}
    least = reading_metrics.score_at_rate(score[label == 0], RATES[0])
    suspected = (label == 1) & (score >= least)
    told = np.concatenate([onset_day(part) for part in evidence])
    done = reading_metrics.AttackOutcome(kind, loss, household)
    return reading_metrics.figures(label, score, done, HONEST) | {
        "models": reading_metrics.compare(label, scores | {"ensemble": score}, household),
        "latency": reading_metrics.latency(np.concatenate([_growing(model, file) for file in files]), least),
        "onset": reading_metrics.onset_error(onset[suspected], told[suspected]),
    }


def _metered(model: ReadingModel, base: HonestHouseholds, kept: np.ndarray, seed: int) -> dict:
    """The thefts of the first of ATTACKS once more, what their transformers lose being measured."""
    plan = replace(attacks.PUBLISHED, is_metered=True)
    files = attacked_files(base, kept, model.surroundings, [plan] * TEST_FILES, seed + 2)
    test = sample_of(files, model.networks)
    ranking = reading_metrics.ranking(test.label, model.log_ratio(test.evidence), test.household)
    return {"n": len(test.label), "n_thieves": int(test.label.sum()), "ranking": ranking}


PER_CLIENT = ("label", "kind", "loss", "household", "onset")


def _column(files: Sequence[AttackedHouseholds], name: str) -> np.ndarray:
    return np.concatenate([getattr(file, name) for file in files])


def single_scores(model: ReadingModel, evidence: FeatureMatrix) -> dict[str, np.ndarray]:
    """Each detector, network and member by itself; higher = more suspicious, NaN where it cannot tell."""
    inputs = model.ensemble.inputs
    matrix = inputs.matrix(evidence)

    def column(name: str) -> np.ndarray:
        return matrix[:, inputs.names.index(name)].astype(np.float64)

    # What is less than before, or than foretold, is suspicious.
    scores = {"ratio of the last 30 days": -column("ratio_last_30")}
    scores |= {name.replace("_", " "): column(name) for name in LOOKS_AT}
    if "autoencoder" in model.networks:
        scores["autoencoder"] = column("weeks_distance_recent")
    if "forecaster" in model.networks:
        scores["forecaster"] = -column("month_ahead_error_30")
    members = model.ensemble.member_log_odds(matrix)
    return scores | {
        name.replace("_", " "): values for name, values in zip(model.ensemble.members, members.T, strict=True)
    }


def _growing(model: ReadingModel, file: AttackedHouseholds) -> np.ndarray:
    """Scores of the file's large thefts, judged on each of DELAYS; NaN after the series' end. [(thieves, DELAYS)]"""
    first, last = (end(file.days.day.astype(np.float64)) for end in (file.days.segments.first, file.days.segments.last))
    is_large = (file.label == 1) & (file.loss >= LARGE_LOSS) & (file.onset - first >= LEAST_BEFORE)
    out = np.full((int(is_large.sum()), len(DELAYS)), np.nan)
    surroundings = file.surroundings and file.surroundings.for_clients(is_large)
    for i, delay in enumerate(DELAYS):
        until = file.onset + delay - 1
        days = file.days.until(until, is_large)
        score = model.log_ratio(reading_matrix(days, model.networks, surroundings))
        out[:, i] = np.where((last >= until)[is_large], score, np.nan)
    return out


def _past_to_future(
    base: HonestHouseholds,
    watched: np.ndarray,
    fit_on: np.ndarray,
    kept: np.ndarray,
    seed: int,
    quick: bool,
    tell: Tell,
    almanac: Exogenous,
) -> dict:
    """Fitted on some households as far as the past goes, measured on others whose thefts begin after it."""
    n_past, n = int(PAST_SHARE * base.kwh.shape[1]), base.kwh.shape[1]
    past = HonestHouseholds(base.kwh[:, :n_past], base.first_day)
    surroundings = Covariates.from_consumption(past.days(np.concatenate([watched, fit_on])), None, *almanac)
    networks = fit_networks(past.days(watched), surroundings, seed, quick, lambda what: tell(f"{what}, on the past"))
    sample = sample_of(attacked_files(past, fit_on, surroundings, TO_TRAIN_QUICKLY * 2, seed + 3), networks)
    model, _ = fit_labelled(sample, networks, None, seed, quick, lambda what: tell(f"{what}, on the past"))
    # Only households that go on to the end: of the others, a theft could lie in the past.
    lasting = kept[~np.isnan(base.kwh[kept, -7:]).all(axis=1)]
    plan = replace(attacks.PUBLISHED, age=(attacks.PUBLISHED.age[0], float(n - n_past)))
    test = sample_of(attacked_files(base, lasting, surroundings, [plan] * TEST_FILES, seed + 4), networks)
    ranking = reading_metrics.ranking(test.label, model.log_ratio(test.evidence), test.household)
    return {"until": str(np.datetime64(base.first_day + n_past - 1, "D")), "n": len(test.label), "ranking": ranking}


# --- clients with labels, and without ---------------------------------------------------------------------------------


def of_labelled(
    days: DailyConsumption,
    label: np.ndarray,
    theft_share: float,
    promises: Mapping[str, float],
    measured: int,
    seed: int,
    quick: bool,
    tell: Tell,
    almanac: Exogenous = NO_EXOGENOUS,
    only_measure: bool = False,
    losses: TransformerLosses | None = None,
) -> ReadingTrainingResult:
    """Labels of inspections [1, 0, NaN unknown]: so many of FOLDS outer folds measure, then all clients are fitted on.

    losses: of the clients' transformers, where these are measured. Raises TrainingError where too few clients of a kind
    have readings.
    """
    known = ~np.isnan(label) & (days.segments.total((~np.isnan(days.kwh)).astype(np.int64)) >= MIN_DAYS)
    days, label = days.for_clients(known), label[known]
    _check_kinds(label)
    surroundings = replace(
        Covariates.from_consumption(days, None, *almanac), losses=losses and losses.for_clients(known)
    )
    folds = stratified_folds(label, FOLDS, seed)
    score, rows = np.full(len(label), np.nan), {}
    for fold in range(measured):
        mine, part = folds == fold, f"outer fold {fold + 1} of {FOLDS}"
        model, _, _ = _fit_on(
            days, label, ~mine, surroundings, seed + fold, quick, lambda what, p=part: tell(f"{what}, {p}")
        )
        evidence = reading_matrix(days.for_clients(mine), model.networks, surroundings.for_clients(mine))
        score[mine] = model.log_ratio(evidence)
        for name, values in single_scores(model, evidence).items():
            rows.setdefault(name, np.full(len(label), np.nan))[mine] = values
    clients = np.flatnonzero(folds < measured)
    metrics = {"made": "labelled", "n": len(clients), "n_thieves": int(label[clients].sum()), "folds": measured}
    metrics["ranking"] = reading_metrics.ranking(label[clients], score[clients], clients)
    scores = {name: values[clients] for name, values in (rows | {"ensemble": score}).items()}
    metrics["models"] = reading_metrics.compare(label[clients], scores, clients)
    if only_measure:
        return ReadingTrainingResult(None, {}, metrics)
    model, sample, fitted = _fit_on(days, label, np.ones(len(label), bool), surroundings, seed, quick, tell)
    return ReadingTrainingResult(model, cuts_of(fitted.log_odds, sample.label, theft_share, promises), metrics)


def _fit_on(
    days: DailyConsumption,
    label: np.ndarray,
    used: np.ndarray,
    surroundings: Covariates,
    seed: int,
    quick: bool,
    tell: Tell,
) -> tuple[ReadingModel, Sample, Fitted]:
    """Networks on a part of the honest, the ensemble on the other clients; on all where series are too short."""
    honest = np.flatnonzero(used & (label == 0))
    watched = np.zeros(len(label), dtype=bool)
    watched[np.random.default_rng(seed).permutation(honest)[: int(PARTS[0] * len(honest))]] = True
    networks = fit_networks(days.for_clients(watched), surroundings, seed, quick, tell)
    rest = used & ~watched if networks else used
    evidence = reading_matrix(days.for_clients(rest), networks, surroundings.for_clients(rest))
    sample = Sample(evidence, label[rest], np.flatnonzero(rest))
    model, fitted = fit_labelled(sample, networks, surroundings, seed, quick, tell)
    return model, sample, fitted


def _check_kinds(label: np.ndarray) -> None:
    n, n_thieves = len(label), int(label.sum())
    if min(n_thieves, n - n_thieves) < LEAST_OF_A_KIND:
        raise TrainingError(
            f"{n_thieves:,} clients labelled 1 and {n - n_thieves:,} labelled 0 have at least {MIN_DAYS} days with "
            f"readings; at least {LEAST_OF_A_KIND} of each kind are needed. Without labels, leave the column out."
        )


def _check_enough(n_known: np.ndarray, n_days: int, least: int) -> None:
    """[n_known: days with readings, one a client]"""
    if (n := int(np.count_nonzero(n_known >= n_days))) < least:
        raise TrainingError(f"{n:,} clients have at least {n_days} days with readings; at least {least} are needed.")


def of_unlabelled(
    days: DailyConsumption, theft_share: float, seed: int, quick: bool, tell: Tell, almanac: Exogenous = NO_EXOGENOUS
) -> ReadingTrainingResult:
    """The detectors' ranks: suspected are the UNLABELLED_SHARE that are most unlike the others. Raises TrainingError."""
    _check_enough(days.segments.total((~np.isnan(days.kwh)).astype(np.int64)), MIN_DAYS, LEAST_OF_A_KIND)
    surroundings = Covariates.from_consumption(days, None, *almanac)
    networks = fit_networks(days, surroundings, seed, quick, tell)
    evidence = reading_matrix(days, networks, surroundings)
    model, log_odds = fit_unlabelled(evidence.of(evidence.n_records >= MIN_DAYS), networks, surroundings, seed)
    score = probability_of(log_odds + _shift(model.theft_share, theft_share))
    threshold = float(np.quantile(score, 1.0 - UNLABELLED_SHARE))
    cuts = {"threshold": threshold, "severities": [], "theft_share": theft_share}
    return ReadingTrainingResult(model, cuts, {"made": "without labels", "n": len(log_odds)})


# --- where to suspect -------------------------------------------------------------------------------------------------


def cuts_of(log_odds: np.ndarray, label: np.ndarray, theft_share: float, promises: Mapping[str, float]) -> dict:
    """Threshold and severities from out-of-fold log-odds, where the share of thieves is another than among these."""
    shift = _shift(label.mean(), theft_share)
    score, weight = probability_of(log_odds + shift), float(np.exp(-shift))
    cuts = model_evaluation.severity_thresholds(label, score, promises, weight, per_client=True)
    return {
        "threshold": model_evaluation.best_threshold(label, score, weight),
        "severities": [{"severity": name} | cut for name, cut in cuts.items()],
        "theft_share": theft_share,
    }


def _shift(here: float, there: float) -> float:
    """What is added to log-odds where the share of thieves is `there` instead of `here`. [0..1]"""
    return float(np.log(there / (1.0 - there)) - np.log(here / (1.0 - here)))
