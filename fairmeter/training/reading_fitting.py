"""Fitting a ReadingModel: on honest households attacked here, on labelled clients, or without labels. Training only.

In:  Samples: evidence, labels, and whose each client is; networks learnt on other clients.
Out: the model and its out-of-fold scores.

The networks learn on honest clients of their own, whom the ensemble never sees: on clients that they know they err
less, and honest would be known by that.
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
from fairmeter.models.reading_model import Networks, ReadingModel, reading_matrix, reading_matrix_names
from fairmeter.training.attacks import (
    BROAD,
    HONEST,
    PUBLISHED,
    WIDE,
    AttackedHouseholds,
    AttackPlan,
    HonestHouseholds,
    attacked_file,
)
from fairmeter.training.ensemble_fitting import EnsembleConfig, Fitted, fit_ensemble, fit_inputs, typical_client
from fairmeter.training.member_fitting import MEMBERS

Tell = Callable[[str], None]

BESIDE = ("model", "file", "model", None)  # what an attacked file's clients are compared with, in turn
# Of the honest, with a harmless change, and how often it is panels: more than in a test, so that fewer of them are
# taken for thieves. With a share of 0.5 and panels as often as the others, half of the homes that got some were.
HARMLESS_SHARE, SOLAR = 0.5, 4.0


def _to_train(*plans: AttackPlan) -> tuple[AttackPlan, ...]:
    return tuple(replace(plan, harmless=HARMLESS_SHARE, solar=SOLAR) for plan in plans)


# The plans of the files that a household is in once each. Of PUBLISHED alone, too little is learnt of other ranges; of
# METERED ones the model learns what a transformer's loss says, and no less of clients whose transformer has no meter.
METERED = tuple(replace(plan, is_metered=True) for plan in (PUBLISHED, PUBLISHED, BROAD))
AS_THEY_WERE = _to_train(*(PUBLISHED, PUBLISHED, BROAD) * 16, *(WIDE,) * 8, *METERED * 4)
# Homes whose use fell of itself are few, and taken for thieves; those where it rose are such homes backwards in time.
TO_TRAIN = (*AS_THEY_WERE, *(replace(plan, is_mirrored=True) for plan in AS_THEY_WERE))
TO_TRAIN_QUICKLY = _to_train(PUBLISHED, BROAD, WIDE, PUBLISHED)
SEEDS_APART = 1000  # files of one seed

# What the detectors look at: how far the last days, and what follows the clearest step, lie below what was before.
# By benchmarks/unlabelled.py, the mean rank of detectors that took a rise for as odd as a fall, and looked at no year
# before, had ROC-AUC 0.77; this one has 0.87.
OFF = (*(f"adjusted_z_{days}" for days in (14, 30, 90)), *(f"adjusted_year_on_year_{days}" for days in (28, 91)))
FALLS = (*OFF, *(f"ratio_last_{days}" for days in (14, 30, 90)), "off_usual_step_size")
LOOKS_AT = {"z_score": FALLS, "moving_average": OFF, "quartiles": FALLS, "isolation_forest": FALLS}


@dataclass(frozen=True)
class Sample:
    """Clients to fit on or to measure on. household: whose each is; clients of one household are never apart."""

    evidence: FeatureMatrix
    label: np.ndarray
    household: np.ndarray

    def of(self, clients: np.ndarray) -> "Sample":
        """[mask]"""
        return Sample(self.evidence.of(clients), self.label[clients], self.household[clients])


def fit_networks(
    days: DailyConsumption, surroundings: Covariates | None, seed: int, quick: bool, tell: Tell
) -> Networks:
    """By name those for which the series are long and many enough; none where it must be quick. [of honest clients]"""
    if quick:  # TensorFlow alone takes ten seconds to load
        return {}
    factor = None if surroundings is None else np.exp(surroundings.at(days.segments.index, days.day)[0])
    networks = {}
    for name, kind in {"autoencoder": Autoencoder, "forecaster": Forecaster}.items():
        tell(name)
        with suppress(TooFewSeries):
            networks[name] = kind.fit(days, seed, factor=factor)
    return networks


def attacked_files(
    base: HonestHouseholds, households: np.ndarray, surroundings: Covariates, plans: Sequence[AttackPlan], seed: int
) -> list[AttackedHouseholds]:
    """Each household once in each file, a file a plan, beside each of BESIDE in turn."""
    beside = [surroundings if name == "model" else name for name in BESIDE]
    return [
        attacked_file(base, households, SEEDS_APART * seed + i, beside[i % len(beside)], plan=plan)
        for i, plan in enumerate(plans)
    ]


def sample_of(files: Sequence[AttackedHouseholds], networks: Networks) -> Sample:
    evidence = [reading_matrix(file.days, networks, file.surroundings) for file in files]
    label, household = (np.concatenate([getattr(file, name) for file in files]) for name in ("label", "household"))
    return Sample(FeatureMatrix.concatenated(evidence), label, household)


def alike(base: HonestHouseholds, files: Sequence[AttackedHouseholds], theft_share: float, seed: int) -> np.ndarray:
    """Who of `sample_of(files)` is like the clients that will be judged, for the fingerprint. [mask]

    Of those beside neighbours, behind no measured transformer and not mirrored, who keep all of their base's readings:
    the honest without any change, and of the thieves as many as their share among clients. [0..1]
    """
    rng, chosen = np.random.default_rng(seed), []
    n_readings = np.count_nonzero(~np.isnan(base.kwh), axis=1)
    for file in files:
        n_kept = file.days.segments.total((~np.isnan(file.days.kwh)).astype(np.int64))
        is_usual = file.surroundings is not None and not file.plan.is_metered and not file.plan.is_mirrored
        is_whole = (n_kept == n_readings[file.household]) & is_usual
        is_honest, is_thief = is_whole & (file.kind == HONEST), is_whole & (file.label == 1)
        share = theft_share / (1.0 - theft_share) * is_honest.sum() / max(int(is_thief.sum()), 1)
        chosen.append(is_honest | (is_thief & (rng.random(len(is_thief)) < share)))
    return np.concatenate(chosen)


def fit_labelled(
    sample: Sample,
    networks: Networks,
    surroundings: Covariates | None,
    seed: int,
    quick: bool,
    tell: Tell,
    alike: np.ndarray | None = None,
) -> tuple[ReadingModel, Fitted]:
    """The same members, stacking and calibration as for invoices, and a dense network where much can be learnt.

    alike: mask, see there; None, all are.
    """
    is_once = len(np.unique(sample.household)) == len(sample.household)
    household = None if is_once else sample.household  # who is there once is split evenly by label
    plan = _plan(networks, quick)
    if not is_once and not quick:  # attacked anew in file after file
        plan = replace(plan, members=tuple(MEMBERS))
    fitted = fit_ensemble(sample.evidence, sample.label, plan, seed, tell, household, alike)
    kept = surroundings and surroundings.without_transformer_losses()
    return ReadingModel(fitted.ensemble, networks, kept, float(sample.label.mean())), fitted


def fit_unlabelled(
    evidence: FeatureMatrix, networks: Networks, surroundings: Covariates | None, seed: int
) -> tuple[ReadingModel, np.ndarray]:
    """Without labels the detectors' ranks are the score. Returns the model, and its log-odds of these clients."""
    nobody = np.zeros(len(evidence))
    inputs, matrix = fit_inputs(evidence, nobody, _plan(networks, quick=False), seed)
    judges = np.array([i for i, name in enumerate(inputs.names) if name in LOOKS_AT])
    ranks = MeanRank.fit(matrix, judges)
    one, none = np.ones(1), np.zeros(1)
    # One knot at 0: calibration leaves the ranks as they are.
    typical = typical_client(matrix, nobody)
    ensemble = Ensemble(inputs, {"ranks": ranks}, one, 0.0, none, none, typical)
    log_odds = ensemble.log_odds(matrix)
    ensemble = replace(ensemble, fingerprint=ReferenceDistribution.from_clients(matrix, log_odds))
    return ReadingModel(ensemble, networks, surroundings, 0.5), log_odds


def _plan(networks: Networks, quick: bool) -> EnsembleConfig:
    names = reading_matrix_names(networks)
    return EnsembleConfig(names, names, looks_at=LOOKS_AT, only_falls=True, quick=quick)
