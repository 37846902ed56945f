"""Fit a ReadingModel on injected thefts, on labelled clients, or without labels. Training only.

In:  Samples: features, labels and the household of each client; networks fitted on other clients.
Out: the model and its out-of-fold scores.

The networks are fitted on honest clients that the ensemble is not fitted on. Their errors are smaller on their own
training clients, and the ensemble would take a small error for honesty.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from fairmeter.core.types import FeatureMatrix
from fairmeter.data.daily import DailyConsumption
from fairmeter.evaluation.drift import ReferenceDistribution
from fairmeter.features.readings.covariates import Covariates
from fairmeter.models.detectors.autoencoder import Autoencoder
from fairmeter.models.detectors.forecaster import Forecaster
from fairmeter.models.detectors.keras_fit import TooFewSeries
from fairmeter.models.detectors.mean_rank import MeanRank
from fairmeter.models.ensemble import Ensemble
from fairmeter.models.reading_model import (
    LAST_DAY_COLUMN,
    Networks,
    ReadingModel,
    reading_matrix,
    reading_matrix_names,
)
from fairmeter.training.attacks import (
    BROAD,
    HONEST,
    PUBLISHED,
    WIDE,
    AttackedHouseholds,
    AttackPlan,
    HonestHouseholds,
    attack_households,
)
from fairmeter.training.convolution_fitting import MIN_FILES, fit_convolutions
from fairmeter.training.convolution_fitting import NAME as CONVOLUTION
from fairmeter.training.ensemble_fitting import EnsembleConfig, Fitted, fit_ensemble, fit_inputs, reference_client

OnStep = Callable[[str], None]

COVARIATE_SOURCES = ("model", "file", "model", None)  # source of each training set's covariates, in turn
# Share of honest clients with a harmless change, higher than in a test, so that fewer such clients are suspected.
# Solar panels are as frequent as any other change: more of them hide subtractions (benchmarks/quality/compositions.py).
HARMLESS_SHARE, SOLAR_WEIGHT = 0.5, 1.0
COMPOSED_SHARE = 0.5  # of the thefts: compositions, which no list of patterns names


def _for_training(*plans: AttackPlan) -> tuple[AttackPlan, ...]:
    return tuple(replace(plan, harmless=HARMLESS_SHARE, solar=SOLAR_WEIGHT, composed=COMPOSED_SHARE) for plan in plans)


# One plan for each training set; every household is in each of them once. PUBLISHED alone covers too few ranges.
# Metered plans teach the model to use transformer losses without ranking clients behind unmetered transformers worse.
METERED_PUBLISHED, METERED_BROAD = (replace(plan, is_metered=True) for plan in (PUBLISHED, BROAD))
# In this order each kind of plan meets each of COVARIATE_SOURCES.
ROUND = _for_training(
    PUBLISHED, PUBLISHED, BROAD, PUBLISHED, WIDE, BROAD, PUBLISHED, BROAD, METERED_PUBLISHED, WIDE, METERED_BROAD, WIDE,
)  # fmt: skip
ROUNDS = 4  # each takes two full fits some minutes longer on two cores
FORWARD_PLANS = ROUND * ROUNDS
# Few homes have a natural fall in consumption, which would look like theft; a natural rise reversed in time is one.
TRAINING_PLANS = (*FORWARD_PLANS, *(replace(plan, is_mirrored=True) for plan in FORWARD_PLANS))
FEW_TRAINING_PLANS = _for_training(PUBLISHED, BROAD, WIDE, PUBLISHED)
# Compositions are too many for a few files: among them a small utility would not learn what a by-pass looks like.
QUICK_TRAINING_PLANS = tuple(replace(plan, composed=0.0) for plan in FEW_TRAINING_PLANS)
# CatBoost takes most of the time of a fit on many files, and ranks no better than XGBoost there.
ATTACKED_MEMBERS = ("xgboost", "random_forest", "dense_network")
SEED_STRIDE = 1000  # the most training sets of one seed

# The detectors' features: how far recent days, and days after the clearest step, are below earlier ones. By
# benchmarks/quality/unlabelled.py the mean rank of these detectors has a ROC-AUC of 0.87. It was 0.77 with detectors
# that scored rises like falls and did not compare with the year before.
DEVIATIONS = (*(f"adjusted_z_{days}" for days in (14, 30, 90)), *(f"adjusted_year_on_year_{days}" for days in (28, 91)))
FALLS = (*DEVIATIONS, *(f"ratio_last_{days}" for days in (14, 30, 90)), "off_usual_step_size")
DETECTOR_FEATURES = {"z_score": FALLS, "moving_average": DEVIATIONS, "quartiles": FALLS, "isolation_forest": FALLS}


@dataclass(frozen=True)
class Sample:
    """Clients to fit or to measure on. [household: int; clients of one household are in one fold]"""

    evidence: FeatureMatrix
    label: np.ndarray
    household: np.ndarray

    def of(self, clients: np.ndarray) -> "Sample":
        """[mask]"""
        return Sample(self.evidence.of(clients), self.label[clients], self.household[clients])


def fit_networks(
    days: DailyConsumption, covariates: Covariates | None, seed: int, quick: bool, on_step: OnStep
) -> Networks:
    """Fit on honest clients the networks for which there are enough long series, by name; none if quick."""
    if quick:  # TensorFlow alone takes ten seconds to load
        return {}
    factor = None if covariates is None else np.exp(covariates.at(days.segments.index, days.day)[0])
    networks = {}
    for name, kind in {"autoencoder": Autoencoder, "forecaster": Forecaster}.items():
        on_step(name)
        with suppress(TooFewSeries):
            networks[name] = kind.fit(days, seed, factor=factor)
    return networks


def make_training_sets(
    base: HonestHouseholds, households: np.ndarray, covariates: Covariates, plans: Sequence[AttackPlan], seed: int
) -> list[AttackedHouseholds]:
    """One set of attacked households for each plan, with covariates from COVARIATE_SOURCES in turn."""
    sources = [covariates if name == "model" else name for name in COVARIATE_SOURCES]
    return [
        attack_households(base, households, SEED_STRIDE * seed + i, sources[i % len(sources)], plan=plan)
        for i, plan in enumerate(plans)
    ]


def make_sample(
    files: Sequence[AttackedHouseholds], networks: Networks, out_of_fold: np.ndarray | None = None
) -> Sample:
    """Concatenate the sets and compute their features.

    out_of_fold: columns of a further network, which is fitted on these very clients. [float32, (clients, columns)]
    """
    evidence = [reading_matrix(file.days, networks, file.covariates) for file in files]
    label, household = (np.concatenate([getattr(file, name) for file in files]) for name in ("label", "household"))
    made = FeatureMatrix.concatenated(evidence)
    if out_of_fold is not None:  # before the last day, where reading_matrix puts the networks' columns
        made = replace(made, features=np.insert(made.features, [LAST_DAY_COLUMN], out_of_fold, axis=1))
    return Sample(made, label, household)


def learn_convolution(
    files: Sequence[AttackedHouseholds], networks: Networks, seed: int, is_asked: bool, on_step: OnStep
) -> tuple[Networks, Sample]:
    """The networks, where it is asked with a convolution fitted on these files; and the sample of the files."""
    if not is_asked or len(files) < MIN_FILES:
        return networks, make_sample(files, networks)
    fitted = fit_convolutions(files, seed, on_step)
    return networks | {CONVOLUTION: fitted.serving}, make_sample(files, networks, fitted.columns)


def representative_clients(
    base: HonestHouseholds, files: Sequence[AttackedHouseholds], theft_share: float, seed: int
) -> np.ndarray:
    """Which clients of `make_sample(files)` are like those that will be scored, for the drift reference. [mask]

    They have covariates, no transformer losses, no mirrored time, and all readings of their household. All honest ones
    without a change are taken, and thieves up to theft_share. [0..1]
    """
    rng, chosen = np.random.default_rng(seed), []
    n_readings = np.count_nonzero(~np.isnan(base.kwh), axis=1)
    for file in files:
        n_left = file.days.segments.total((~np.isnan(file.days.kwh)).astype(np.int64))
        is_usual = file.covariates is not None and not file.plan.is_metered and not file.plan.is_mirrored
        is_whole = (n_left == n_readings[file.household]) & is_usual
        is_honest, is_thief = is_whole & (file.kind == HONEST), is_whole & (file.label == 1)
        share = theft_share / (1.0 - theft_share) * is_honest.sum() / max(int(is_thief.sum()), 1)
        chosen.append(is_honest | (is_thief & (rng.random(len(is_thief)) < share)))
    return np.concatenate(chosen)


def fit_labelled(
    sample: Sample,
    networks: Networks,
    covariates: Covariates | None,
    seed: int,
    quick: bool,
    on_step: OnStep,
    representative: np.ndarray | None = None,
) -> tuple[ReadingModel, Fitted]:
    """Fit members, stacking and calibration as for invoices; with injected thefts also a dense network.

    representative: mask of `representative_clients`; None for all.
    """
    is_once = len(np.unique(sample.household)) == len(sample.household)
    household = None if is_once else sample.household  # clients that occur once are split evenly by label
    config = _ensemble_config(networks, quick)
    if not is_once and not quick:  # many training sets of the same households
        config = replace(config, members=ATTACKED_MEMBERS)
    fitted = fit_ensemble(sample.evidence, sample.label, config, seed, on_step, household, representative)
    served_covariates = covariates and covariates.without_transformer_losses()
    return ReadingModel(fitted.ensemble, networks, served_covariates, float(sample.label.mean())), fitted


def fit_unlabelled(
    evidence: FeatureMatrix, networks: Networks, covariates: Covariates | None, seed: int
) -> tuple[ReadingModel, np.ndarray]:
    """Score by the detectors' mean rank; returns the model and its log-odds of these clients."""
    no_label = np.zeros(len(evidence))
    inputs, matrix = fit_inputs(evidence, no_label, _ensemble_config(networks, quick=False), seed)
    detector_columns = np.array([i for i, name in enumerate(inputs.names) if name in DETECTOR_FEATURES])
    ranks = MeanRank.fit(matrix, detector_columns)
    one, none = np.ones(1), np.zeros(1)
    # With one knot at 0, calibration does not change the ranks.
    reference = reference_client(matrix, no_label)
    ensemble = Ensemble(inputs, {"ranks": ranks}, one, 0.0, none, none, reference)
    log_odds = ensemble.log_odds(matrix)
    ensemble = replace(ensemble, fingerprint=ReferenceDistribution.from_clients(matrix, log_odds))
    return ReadingModel(ensemble, networks, covariates, 0.5), log_odds


def _ensemble_config(networks: Networks, quick: bool) -> EnsembleConfig:
    names = reading_matrix_names(networks)
    passed_on = {name: networks[name].names[0] for name in (CONVOLUTION,) if name in networks}
    return EnsembleConfig(
        names, names, detector_features=DETECTOR_FEATURES, only_falls=True, quick=quick, passed_on=passed_on
    )
