"""Fitting an ensemble: everything that sees a label is fitted inside the fold. Training only.

In:  FeatureMatrix and labels of the training clients, the names of the features a view may see.
Out: an Ensemble, its out-of-fold scores, and what the report shows of its members.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from fairmeter.core.types import FeatureMatrix
from fairmeter.evaluation.drift import ReferenceDistribution
from fairmeter.models.detectors.classical import Detectors
from fairmeter.models.ensemble import Ensemble, EnsembleInputs, calibrate, probability_of
from fairmeter.models.peer_groups import PEER_FEATURES, USUAL_FEATURES, PeerGroups
from fairmeter.models.target_encoding import GroupRates, column_names, out_of_fold
from fairmeter.training.member_fitting import MEMBERS, TREES, FittedMember
from fairmeter.training.sample_weights import effective_size, like_everybody, medians, tamed

STACK_FOLDS = 2  # each costs a fit of every member, and three weights ask for no more
# For the neighbours' rates of the training clients themselves: cheap, and the more the nearer to serving.
RATE_FOLDS = 5
CALIBRATION_BINS = 40  # at most
FRAUDS_A_BIN = 10  # on average, at least: a bin's share of frauds must say something
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
LOOKS_AT = {
    "z_score": Z_SCORE_FEATURES,
    "moving_average": MOVING_AVERAGE_FEATURES,
    "quartiles": Z_SCORE_FEATURES,
    "isolation_forest": Z_SCORE_FEATURES + MOVING_AVERAGE_FEATURES,
}


@dataclass(frozen=True)
class Fitted:
    """An ensemble, its members' own models by name, and each training client's calibrated log-odds out of fold."""

    ensemble: Ensemble
    natives: dict[str, object]
    log_odds: np.ndarray

    @property
    def probability(self) -> np.ndarray:
        """Of the training clients, out of fold: what thresholds and severities are fitted on. [0..1]"""
        return probability_of(self.log_odds)


@dataclass(frozen=True)
class EnsembleConfig:
    """What an ensemble is made of. `names` are all features' names, `seen` those this view may use.

    cells: the neighbours whose rates it may see. looks_at: the detectors, each with the names of its features.
    only_falls: to them no rise is odd.
    has_peers: with the deviations from the peers.
    missing_share: of the values, that are hidden from the members in training. [0..1]
    """

    names: tuple[str, ...]
    seen: tuple[str, ...]
    cells: tuple[str, ...] = ()
    members: tuple[str, ...] = TREES
    looks_at: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    only_falls: bool = False
    has_peers: bool = False
    quick: bool = False
    missing_share: float = 0.0


def fit_ensemble(
    evidence: FeatureMatrix,
    label: np.ndarray,
    plan: EnsembleConfig,
    seed: int,
    tell: Callable[[str], None] = lambda _: None,
    household: np.ndarray | None = None,
    alike: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> Fitted:
    """Members out of fold, stacking and calibration on those, then members on all clients. [label: 1 or 0]

    `tell` hears what is about to run: STACK_FOLDS + 1 times each member. household: whose clients are never in two
    folds, where several clients are of one. alike: who of the clients is like those that will be judged, for the
    fingerprint; None, all are. [mask]
    weight: how many of those that will be judged each client stands for (weighing.py); None, as many each. Members
    learn from it tamed, the level of the score is that of the whole weights. Neighbours' rates, peers and detectors are
    columns like others, the same when they serve: they are not weighted.
    """
    light = None if weight is None else tamed(weight)
    alike = like_everybody(weight, seed) if alike is None and weight is not None else alike
    folds = stratified_folds(label, STACK_FOLDS, seed) if household is None else folds_of(household, STACK_FOLDS, seed)
    out_of_fold_log_odds = _members_out_of_fold(evidence, label, folds, plan, seed, tell, light)
    inputs, matrix = fit_inputs(evidence, label, plan, seed)
    members = _fit_members(matrix, label, plan, seed, lambda name: tell(f"{name}, all clients"), light)
    weights, intercept = _stack(out_of_fold_log_odds, label, light)
    stacked = out_of_fold_log_odds @ weights + intercept
    knots, heights = fit_calibration(stacked, label, weight)
    serving = {name: member.serving for name, member in members.items()}
    log_odds = calibrate(stacked, knots, heights)
    # Values hidden on purpose are no sign of what callers will leave out.
    fingerprint = None if plan.missing_share else ReferenceDistribution.from_clients(matrix, log_odds, alike)
    told = typical_client(matrix, label, light), usual_values(evidence, label, plan), fingerprint
    ensemble = Ensemble(inputs, serving, weights, intercept, knots, heights, *told)
    return Fitted(ensemble, {name: member.native for name, member in members.items()}, log_odds)


def _members_out_of_fold(
    evidence: FeatureMatrix,
    label: np.ndarray,
    folds: np.ndarray,
    plan: EnsembleConfig,
    seed: int,
    tell: Callable[[str], None],
    weight: np.ndarray | None = None,
) -> np.ndarray:
    """Each member's log-odds of clients that neither it nor its inputs were fitted on. [float64, (clients, members)]"""
    out = np.empty((len(label), len(plan.members)))
    for fold in range(STACK_FOLDS):
        mine, part = folds == fold, f"fold {fold + 1} of {STACK_FOLDS}"
        inputs, matrix = fit_inputs(evidence.of(~mine), label[~mine], plan, seed)
        held_out = _masked(inputs.matrix(evidence.of(mine)), plan, seed + fold)
        others = None if weight is None else weight[~mine]
        members = _fit_members(
            matrix, label[~mine], plan, seed + fold, lambda name, part=part: tell(f"{name}, {part}"), others
        )
        for i, member in enumerate(members.values()):
            out[mine, i] = member.serving.values(held_out)
    return out


def stratified_folds(label: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Each client's fold, 0..n-1, with the frauds spread evenly. [label: 1 or 0, nothing else]"""
    rng = np.random.default_rng(seed)
    folds = np.empty(len(label), dtype=np.int64)
    for value in (0, 1):
        rows = np.flatnonzero(label == value)
        folds[rng.permutation(rows)] = np.arange(len(rows)) % n
    return folds


def folds_of(household: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Each client's fold, 0..n-1, that of its household; as many households in each. [household: int, one a client]"""
    names, number = np.unique(household, return_inverse=True)
    return (np.random.default_rng(seed).permutation(len(names)) % n)[number]


def fit_inputs(
    evidence: FeatureMatrix, label: np.ndarray, plan: EnsembleConfig, seed: int
) -> tuple[EnsembleInputs, np.ndarray]:
    """The fitted inputs, and the training clients' own matrix, their neighbours' rates out of fold."""
    columns = np.array([plan.names.index(name) for name in plan.seen])
    cells = {name: evidence.group_keys[name] for name in plan.cells}
    peers = PeerGroups.fit(evidence.features, plan.names) if plan.has_peers else None
    detectors = None
    if plan.looks_at:
        detectors = Detectors.fit(evidence.features, plan.names, plan.looks_at, seed, plan.only_falls)
    names = (
        *plan.seen,
        *column_names(plan.cells),
        *(f"{name}_against_peers" for name in PEER_FEATURES if plan.has_peers),
        *plan.looks_at,
    )
    inputs = EnsembleInputs(names, columns, GroupRates.fit(cells, label) if cells else None, peers, detectors)
    rates = out_of_fold(cells, label, stratified_folds(label, RATE_FOLDS, seed + 1)) if cells else None
    return inputs, _masked(inputs.matrix(evidence, rates), plan, seed)


def typical_client(matrix: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Median of each column over the clients that are not labelled 1, NaN where most have none. [float32, (width,)]"""
    honest = matrix[label != 1]
    if weight is not None:
        return medians(honest, weight[label != 1]).astype(np.float32)
    is_rare = np.isnan(honest).mean(axis=0) > 0.5
    typical = np.full(honest.shape[1], np.nan, dtype=np.float32)
    typical[~is_rare] = np.nanmedian(honest[:, ~is_rare], axis=0)
    return typical


def usual_values(evidence: FeatureMatrix, label: np.ndarray, plan: EnsembleConfig) -> PeerGroups | None:
    """Medians by region and category, over the same clients, of what sentences name; None where nothing tells places.

    Its features are those of USUAL_FEATURES that this view may see, in their order.
    """
    wanted = tuple(name for name in USUAL_FEATURES if name in plan.seen)
    if not wanted or not {"region", "category"} <= set(plan.names):
        return None
    return PeerGroups.fit(evidence.features[label != 1], plan.names, wanted, default=np.nan)


def _masked(matrix: np.ndarray, plan: EnsembleConfig, seed: int) -> np.ndarray:
    """Values taken away at random, so that trees learn what to do where a caller leaves them out."""
    if not plan.missing_share:
        return matrix
    gone = np.random.default_rng(seed).random(matrix.shape) < plan.missing_share
    return np.where(gone, np.float32(np.nan), matrix)


def _fit_members(
    matrix: np.ndarray,
    label: np.ndarray,
    plan: EnsembleConfig,
    seed: int,
    tell: Callable[[str], None],
    weight: np.ndarray | None = None,
) -> dict[str, FittedMember]:
    members = {}
    for name in plan.members:
        tell(name)
        members[name] = MEMBERS[name](matrix, label, MEMBER_SEED + seed, plan.quick, weight)
    return members


def _stack(log_odds: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """Each member's weight, 0 or more, and the intercept. [log_odds: float64, (clients, members)]"""
    from sklearn.linear_model import LogisticRegression

    weights, kept = np.zeros(log_odds.shape[1]), np.arange(log_odds.shape[1])
    while True:
        model = LogisticRegression(C=1e3, max_iter=1000).fit(log_odds[:, kept], label, sample_weight=weight)
        found = model.coef_[0]
        # A negative weight is fitted noise of members that agree: on few clients it turns the ranking round.
        if (found >= 0).all() or len(kept) == 1:
            weights[kept] = found
            return weights, float(model.intercept_[0])
        kept = np.delete(kept, found.argmin())


def fit_calibration(
    log_odds: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Knots and heights [log-odds, rising]: isotonic regression of the frauds' share over equally large bins."""
    from sklearn.isotonic import IsotonicRegression

    knots, n, frauds, mass = _bins(log_odds, label, weight)
    # Half a fraud and half an honest client more a bin: a bin of one kind alone has no finite log-odds. A bin that one
    # client outweighs tells less than the half would: there the client that is added is of the average kind.
    more = 0.5 if weight is None else np.average(label, weights=weight)
    rising = IsotonicRegression().fit_transform(knots, (frauds + more) / (n + 1.0), sample_weight=mass)
    heights = np.log(rising / (1.0 - rising))
    # The isotonic steps are flat: a slight slope keeps the order of clients inside a step.
    return knots, np.maximum.accumulate(heights + 1e-3 * (knots - knots[0]))


def _bins(
    log_odds: np.ndarray, label: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean score, clients, frauds and weight of equally large bins, by rising score. [clients: of equal weight]"""
    n_frauds = label.sum() if weight is None else effective_size(weight[label == 1])
    n_bins = min(CALIBRATION_BINS, max(1, int(n_frauds) // FRAUDS_A_BIN))
    bins = np.array_split(np.argsort(log_odds, kind="stable"), n_bins)
    told = [_bin(log_odds[b], label[b], None if weight is None else weight[b]) for b in bins]
    mean, n, frauds, mass = np.array(told).T
    # Equal scores may fill several bins: those are one, for no regression has an answer to knots that coincide.
    first = np.flatnonzero(np.diff(mean, prepend=-np.inf) > SAME_SCORE)
    return mean[first], *(np.add.reduceat(counts, first) for counts in (n, frauds, mass))


def _bin(log_odds: np.ndarray, label: np.ndarray, weight: np.ndarray | None) -> tuple[float, float, float, float]:
    if weight is None:
        return log_odds.mean(), len(label), label.sum(), len(label)
    n = effective_size(weight)
    return np.average(log_odds, weights=weight), n, n * np.average(label, weights=weight), weight.sum()
