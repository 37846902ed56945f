"""Rank clients by their invoices without labels: the mean rank of detectors that look for falls. Training only.

In:  FeatureMatrix of invoices, the features that a view may use.
Out: an Ensemble of one member, the mean rank, and the log-odds of the clients that it was fitted on.

Falls count and rises do not: a theft lowers what is registered. By benchmarks/quality/unlabelled_invoices.py the mean
rank of these detectors ranks better than the ratio of the last six invoices to those before.
"""

from dataclasses import replace

import numpy as np

from fairmeter.core.types import FeatureMatrix
from fairmeter.evaluation.drift import ReferenceDistribution
from fairmeter.explanation.topics import FALL_DETECTOR_PREFIX
from fairmeter.models.detectors.mean_rank import MeanRank
from fairmeter.models.ensemble import Ensemble
from fairmeter.training.ensemble_fitting import EnsembleConfig, fit_inputs, reference_client, usual_values

# How far consumption fell, seen in ways that err differently: at the clearest step, lately, between the halves of the
# history, by its trend, and against the same season a year before.
FALLS = tuple(
    f"{energy}_{name}"
    for energy in ("elec", "gas")
    for name in (
        "split_level_size", "last_3_change", "halves_change", "slope", "off_average_mean", "year_on_year_last",
        "year_on_year_median",
    )
)  # fmt: skip
FALL_DETECTORS = dict.fromkeys(("z_score", "moving_average", "quartiles", "isolation_forest"), FALLS)


def fit_unlabelled_invoices(evidence: FeatureMatrix, config: EnsembleConfig, seed: int) -> tuple[Ensemble, np.ndarray]:
    """Fit the detectors; returns the ensemble and its log-odds of these clients. [config: gives names and used]"""
    no_label = np.zeros(len(evidence))
    config = EnsembleConfig(
        config.names, config.used, detector_features=FALL_DETECTORS, only_falls=True, has_peers=config.has_peers
    )
    inputs, matrix = fit_inputs(evidence, no_label, config, seed)
    columns = np.array([i for i, name in enumerate(inputs.names) if name in FALL_DETECTORS])
    names = (FALL_DETECTOR_PREFIX + name if name in FALL_DETECTORS else name for name in inputs.names)
    inputs = replace(inputs, names=tuple(names))  # reasons are on falls: these detectors see nothing else
    one, none = np.ones(1), np.zeros(1)  # with one knot at 0, calibration does not change the ranks
    ranks = {"ranks": MeanRank.fit(matrix, columns)}
    ensemble = Ensemble(inputs, ranks, one, 0.0, none, none)
    log_odds = ensemble.log_odds(matrix)
    reference = reference_client(matrix, no_label), usual_values(evidence, no_label, config)
    fingerprint = ReferenceDistribution.from_clients(matrix, log_odds)
    return Ensemble(inputs, ranks, one, 0.0, none, none, *reference, fingerprint), log_odds
