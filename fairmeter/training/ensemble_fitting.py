"""Fit an ensemble; every step that uses labels is fitted inside the fold. Training only.

In:  FeatureMatrix and labels of the training clients, the names of the features that a view may use.
Out: an Ensemble, its out-of-fold scores, and the members' native models for the report.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from fairmeter.core.types import FeatureMatrix
from fairmeter.evaluation.drift import ReferenceDistribution
from fairmeter.models.detectors.classical import Detectors
from fairmeter.models.ensemble import Ensemble, EnsembleInputs, OutOfFold, calibrate, probability_of
from fairmeter.models.invoice_evidence import COLUMN_NAMES as INVOICE_COLUMNS
from fairmeter.models.peer_groups import PEER_FEATURES, USUAL_FEATURES, PeerGroups
from fairmeter.models.runtime.column_member import ColumnMember
from fairmeter.models.target_encoding import GroupRates, column_names, out_of_fold
from fairmeter.training.invoice_evidence_fitting import TREE_FOLDS, fit_invoice_evidence
from fairmeter.training.member_fitting import MEMBERS, TREES, FittedMember
from fairmeter.training.sample_weights import cap_weights, effective_size, representative_sample, weighted_medians

STACK_FOLDS = 2  # each costs a fit of every member; three stacking weights need no more
# Target encoding of the training clients: cheap, and with more folds closer to the encoding used for serving.
RATE_FOLDS = 5
MAX_CALIBRATION_BINS = 40
MIN_FRAUDS_PER_BIN = 10  # on average: fewer give no reliable share of frauds
SAME_SCORE = 1e-9  # log-odds
MEMBER_SEED = 17

Z_SCORE_FEATURES = tuple(
    f"{energy}_{name}"
    for energy in ("elec", "gas")
    for name in (
        "level_mean", "level_std", "level_skew", "level_last", "monthly_mean", "monthly_max", "change_min",
        "change_max", "change_std", "jump_mean", "year_on_year_median", "year_on_year_min", "zero_share",
        "near_zero_share", "halves_change", "last_3_change", "slope", "gap_mean", "gap_max", "gap_excess_max",
        "split_level_size", "split_level_explained", "mismatch_share", "months_std", "level_1_share_mean",
    )
)  # fmt: skip
MOVING_AVERAGE_FEATURES = tuple(
    f"{energy}_off_average_{name}" for energy in ("elec", "gas") for name in ("min", "max", "std", "last")
)
DETECTOR_FEATURES = {
    "z_score": Z_SCORE_FEATURES,
    "moving_average": MOVING_AVERAGE_FEATURES,
    "quartiles": Z_SCORE_FEATURES,
    "isolation_forest": Z_SCORE_FEATURES + MOVING_AVERAGE_FEATURES,
}


@dataclass(frozen=True)
class Fitted:
    """An ensemble, its members' native models by name, and the training clients' calibrated out-of-fold log-odds."""

    ensemble: Ensemble
    natives: dict[str, object]
    log_odds: np.ndarray

    @property
    def probability(self) -> np.ndarray:
        """Out-of-fold scores of the training clients, on which thresholds and severities are fitted. [0..1]"""
        return probability_of(self.log_odds)


@dataclass(frozen=True)
class EnsembleConfig:
    """Inputs and members of an ensemble. `names` are all features' names, `used` those that this view may use.

    group_keys: names of group keys for target encoding. detector_features: feature names by detector.
    only_falls: detectors score falls alone, not rises. has_peers: with deviations from peer groups.
    has_invoice_rows: with the evidence of single invoices.
    missing_share: share of values hidden from the members in training. [0..1]
    passed_on: columns by member: log-odds of networks, which are members as they are and hidden from all others.
    """

    names: tuple[str, ...]
    used: tuple[str, ...]
    group_keys: tuple[str, ...] = ()
    members: tuple[str, ...] = TREES
    detector_features: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    only_falls: bool = False
    has_peers: bool = False
    has_invoice_rows: bool = False
    quick: bool = False
    missing_share: float = 0.0
    passed_on: Mapping[str, str] = field(default_factory=dict)


def fit_ensemble(
    evidence: FeatureMatrix,
    label: np.ndarray,
    config: EnsembleConfig,
    seed: int,
    on_step: Callable[[str], None] = lambda _: None,
    household: np.ndarray | None = None,
    representative: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> Fitted:
    """Fit members out of fold, stack and calibrate their scores, then fit members on all clients. [label: 1 or 0]

    on_step: called with the name of each fit, STACK_FOLDS + 1 times a member. household: clients of one household are
    kept in one fold. representative: mask of the clients like those that will be scored, for the drift reference; None
    for all.
    weight: inverse-probability weights (sample_weights.py); None for equal weights. Members use capped weights,
    calibration the full ones. Target encoding, peers and detectors are inputs that must be the same in serving: they
    are not weighted.
    """
    capped = None if weight is None else cap_weights(weight)
    representative = (
        representative_sample(weight, seed) if representative is None and weight is not None else representative
    )
    folds = (
        stratified_folds(label, STACK_FOLDS, seed)
        if household is None
        else household_folds(household, STACK_FOLDS, seed)
    )
    out_of_fold_log_odds = _members_out_of_fold(evidence, label, folds, config, seed, on_step, capped)
    inputs, matrix = fit_inputs(evidence, label, config, seed)
    members = _fit_members(inputs, matrix, label, config, seed, lambda name: on_step(f"{name}, all clients"), capped)
    weights, intercept = _stack(out_of_fold_log_odds, label, capped)
    stacked = out_of_fold_log_odds @ weights + intercept
    knots, heights = fit_calibration(stacked, label, weight)
    serving = {name: member.serving for name, member in members.items()}
    log_odds = calibrate(stacked, knots, heights)
    # Values hidden on purpose do not show which ones callers will leave out.
    fingerprint = None if config.missing_share else ReferenceDistribution.from_clients(matrix, log_odds, representative)
    references = reference_client(matrix, label, capped), usual_values(evidence, label, config), fingerprint
    ensemble = Ensemble(inputs, serving, weights, intercept, knots, heights, *references)
    return Fitted(ensemble, {name: member.native for name, member in members.items()}, log_odds)


def _members_out_of_fold(
    evidence: FeatureMatrix,
    label: np.ndarray,
    folds: np.ndarray,
    config: EnsembleConfig,
    seed: int,
    on_step: Callable[[str], None],
    weight: np.ndarray | None = None,
) -> np.ndarray:
    """Each member's log-odds for held-out clients of its fold. [float64, (clients, members)]"""
    out = np.empty((len(label), len(config.members) + len(config.passed_on)))
    for fold in range(STACK_FOLDS):
        mine, part = folds == fold, f"fold {fold + 1} of {STACK_FOLDS}"
        inputs, matrix = fit_inputs(evidence.of(~mine), label[~mine], config, seed)
        held_out = _hide_values(inputs.matrix(evidence.of(mine)), config, seed + fold)
        others = None if weight is None else weight[~mine]
        members = _fit_members(
            inputs,
            matrix,
            label[~mine],
            config,
            seed + fold,
            lambda name, part=part: on_step(f"{name}, {part}"),
            others,
        )
        for i, member in enumerate(members.values()):
            out[mine, i] = member.serving.values(held_out)
    return out


def stratified_folds(label: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Each client's fold, 0..n-1, with the frauds spread evenly. [label: 1 or 0, no NaN]"""
    rng = np.random.default_rng(seed)
    folds = np.empty(len(label), dtype=np.int64)
    for value in (0, 1):
        rows = np.flatnonzero(label == value)
        folds[rng.permutation(rows)] = np.arange(len(rows)) % n
    return folds


def household_folds(household: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Each client's fold, 0..n-1, with equally many whole households in each. [household: int, one a client]"""
    names, number = np.unique(household, return_inverse=True)
    return (np.random.default_rng(seed).permutation(len(names)) % n)[number]


def fit_inputs(
    evidence: FeatureMatrix, label: np.ndarray, config: EnsembleConfig, seed: int
) -> tuple[EnsembleInputs, np.ndarray]:
    """Fit the inputs; returns them and the training clients' matrix, its columns from labels out of fold."""
    columns = np.array([config.names.index(name) for name in config.used])
    keys = {name: evidence.group_keys[name] for name in config.group_keys}
    peers = PeerGroups.fit(evidence.features, config.names) if config.has_peers else None
    detectors = None
    if config.detector_features:
        detectors = Detectors.fit(evidence.features, config.names, config.detector_features, seed, config.only_falls)
    names = (
        *config.used,
        *column_names(config.group_keys),
        *(f"{name}_against_peers" for name in PEER_FEATURES if config.has_peers),
        *config.detector_features,
        *(INVOICE_COLUMNS if config.has_invoice_rows else ()),
    )
    rates = GroupRates.fit(keys, label) if keys else None
    training_rates = out_of_fold(keys, label, stratified_folds(label, RATE_FOLDS, seed + 1)) if keys else None
    of_invoices = training_columns = None
    if config.has_invoice_rows:
        folds = stratified_folds(label, TREE_FOLDS, seed + 2)
        of_invoices, training_columns = fit_invoice_evidence(evidence.invoices, label, folds, seed, config.quick)
    inputs = EnsembleInputs(names, columns, rates, peers, detectors, of_invoices)
    matrix = inputs.matrix(evidence, OutOfFold(training_rates, training_columns))
    return inputs, _hide_values(matrix, config, seed)


def reference_client(matrix: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Median of each column over clients not labelled 1, NaN where most have no value. [float32, (width,)]"""
    honest = matrix[label != 1]
    if weight is not None:
        return weighted_medians(honest, weight[label != 1]).astype(np.float32)
    is_rare = np.isnan(honest).mean(axis=0) > 0.5
    typical = np.full(honest.shape[1], np.nan, dtype=np.float32)
    typical[~is_rare] = np.nanmedian(honest[:, ~is_rare], axis=0)
    return typical


def usual_values(evidence: FeatureMatrix, label: np.ndarray, config: EnsembleConfig) -> PeerGroups | None:
    """Medians by region and category over clients not labelled 1, which sentences compare with; None without places.

    The features are those of USUAL_FEATURES that this view may use, in their order.
    """
    wanted = tuple(name for name in USUAL_FEATURES if name in config.used)
    if not wanted or not {"region", "category"} <= set(config.names):
        return None
    return PeerGroups.fit(evidence.features[label != 1], config.names, wanted, default=np.nan)


def _hide_values(matrix: np.ndarray, config: EnsembleConfig, seed: int) -> np.ndarray:
    """Hide values at random, so that trees learn to score clients whose caller leaves some out."""
    if not config.missing_share:
        return matrix
    gone = np.random.default_rng(seed).random(matrix.shape) < config.missing_share
    return np.where(gone, np.float32(np.nan), matrix)


def _fit_members(
    inputs: EnsembleInputs,
    matrix: np.ndarray,
    label: np.ndarray,
    config: EnsembleConfig,
    seed: int,
    on_step: Callable[[str], None],
    weight: np.ndarray | None = None,
) -> dict[str, FittedMember]:
    passed_on = {member: inputs.names.index(column) for member, column in config.passed_on.items()}
    members, seen = {}, _without(matrix, list(passed_on.values()))
    for name in config.members:
        on_step(name)
        members[name] = MEMBERS[name](seen, label, MEMBER_SEED + seed, config.quick, weight)
    return members | {name: FittedMember(ColumnMember(column), None) for name, column in passed_on.items()}


def _without(matrix: np.ndarray, columns: list[int]) -> np.ndarray:
    """The matrix with these columns missing, so that no member is fitted on them."""
    if not columns:
        return matrix
    seen = matrix.copy()
    seen[:, columns] = np.nan
    return seen


def _stack(log_odds: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """Fit each member's weight (0 or more) and the intercept. [log_odds: float64, (clients, members)]"""
    from sklearn.linear_model import LogisticRegression

    weights, active = np.zeros(log_odds.shape[1]), np.arange(log_odds.shape[1])
    while True:
        model = LogisticRegression(C=1e3, max_iter=1000).fit(log_odds[:, active], label, sample_weight=weight)
        found = model.coef_[0]
        # A negative weight is noise of members that agree; on few clients it reverses the ranking.
        if (found >= 0).all() or len(active) == 1:
            weights[active] = found
            return weights, float(model.intercept_[0])
        active = np.delete(active, found.argmin())


def fit_calibration(
    log_odds: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Knots and heights [log-odds, rising]: isotonic regression of the share of frauds over equally large bins."""
    from sklearn.isotonic import IsotonicRegression

    knots, n, frauds, mass = _bins(log_odds, label, weight)
    # Half a fraud and half an honest client are added to each bin: without both kinds its log-odds would be infinite.
    # With weights, one client may outweigh its bin and be less reliable than that half: the client added is average.
    more = 0.5 if weight is None else np.average(label, weights=weight)
    rising = IsotonicRegression().fit_transform(knots, (frauds + more) / (n + 1.0), sample_weight=mass)
    heights = np.log(rising / (1.0 - rising))
    # Isotonic steps are flat: a slight slope preserves the order of clients within a step.
    return knots, np.maximum.accumulate(heights + 1e-3 * (knots - knots[0]))


def _bins(
    log_odds: np.ndarray, label: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean score, effective clients, frauds and weight of equally large bins, by rising score."""
    n_frauds = label.sum() if weight is None else effective_size(weight[label == 1])
    n_bins = min(MAX_CALIBRATION_BINS, max(1, int(n_frauds) // MIN_FRAUDS_PER_BIN))
    bins = np.array_split(np.argsort(log_odds, kind="stable"), n_bins)
    rows = [_bin(log_odds[b], label[b], None if weight is None else weight[b]) for b in bins]
    mean, n, frauds, mass = np.array(rows).T
    # Equal scores may fill several bins; these are merged, because a regression has no solution at equal knots.
    first = np.flatnonzero(np.diff(mean, prepend=-np.inf) > SAME_SCORE)
    return mean[first], *(np.add.reduceat(counts, first) for counts in (n, frauds, mass))


def _bin(log_odds: np.ndarray, label: np.ndarray, weight: np.ndarray | None) -> tuple[float, float, float, float]:
    if weight is None:
        return log_odds.mean(), len(label), label.sum(), len(label)
    n = effective_size(weight)
    return np.average(log_odds, weights=weight), n, n * np.average(label, weights=weight), weight.sum()
