"""One metric at a time: areas, curves, calibration, and the 95 % interval of each.

In:  y (0 or 1, one a client) and score (one a client, higher = more suspicious; who cannot be judged is left out).
Out: floats (NaN where undefined: one class only, nobody suspected), or dicts and lists that json.dumps takes.
     An estimate is {"value": x, "interval": [lo, hi]}, None where undefined.
NumPy only, since the server imports it. Clients with equal scores are one rung of the ranked list, so no figure depends
on the order of the rows; a list that ends inside a rung has its frauds in proportion, as a draw would on average.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

Z95 = 1.959963984540054  # normal quantile of a two-sided 95 % interval
T95 = (12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157)  # t, 1..9 degrees
BINS = 10  # of equal size: at 6 % fraud even the lower ones hold some frauds in a test part of 20,000
RESAMPLES = 400  # with 200 the 2.5 % quantiles themselves wobble
N_POINTS = 400  # of a stored curve: more than a screen shows


class ScoreError(ValueError):
    """Labels and scores that cannot be measured; the message says what was there."""


@dataclass(frozen=True, slots=True)
class CumulativeHits:
    """The ranked list, one rung a distinct score, the highest first.

    order: rows by falling score; ends: place in it of each rung's last row; score: the rungs' scores;
    n, hits: clients and frauds at or above each rung, weighted once resampled.
    """

    y: np.ndarray
    order: np.ndarray
    ends: np.ndarray
    score: np.ndarray
    n: np.ndarray
    hits: np.ndarray

    def weighted(self, weights: np.ndarray) -> "CumulativeHits":
        """The same list with each row counted `weights` times."""
        ranked = weights[self.order]
        hits = np.cumsum(ranked * self.y[self.order])[self.ends]
        return replace(self, n=np.cumsum(ranked, dtype=float)[self.ends], hits=hits)

    def effective(self, weights: np.ndarray) -> "CumulativeHits":
        """The same list, n as many rows of equal weight as tell as much (Kish 1965), hits by their weighted share."""
        heavy = self.weighted(weights)
        n = heavy.n**2 / np.cumsum(weights[self.order] ** 2)[self.ends]
        return replace(self, n=n, hits=n * ratio(heavy.hits, heavy.n))

    def by_row(self, of_rung: np.ndarray) -> np.ndarray:
        """A value of each rung, for each row in the order of the input."""
        of_row = np.empty(self.y.size, of_rung.dtype)
        of_row[self.order] = np.repeat(of_rung, np.diff(self.ends, prepend=-1))
        return of_row

    def hits_in(self, visits: np.ndarray) -> np.ndarray:
        """Frauds among so many highest scores."""
        return np.interp(visits, np.append(0, self.n), np.append(0, self.hits))

    def precision_at(self, shares: Sequence[float]) -> np.ndarray:
        """Precision among the highest scores, for each share of the clients. [0..1]"""
        visits = n_visits(self.y.size, shares)
        return self.hits_in(visits) / visits

    def pr_auc(self) -> float:
        """Average precision: precision at each rung weighted by the recall it adds. [0..1]"""
        gained = np.diff(self.hits, prepend=0)
        found = gained > 0
        return float(ratio(gained[found] @ (self.hits[found] / self.n[found]), self.hits[-1]))


def ladder(y: np.ndarray, score: np.ndarray) -> CumulativeHits:
    """Ranked list of y (n,) and score (n,). Raises ScoreError for unequal lengths, NaN, labels other than 0 and 1."""
    y, score = np.asarray(y, float), np.asarray(score, float)
    if y.ndim != 1 or y.shape != score.shape or not y.size:
        raise ScoreError(f"Labels have shape {y.shape}, scores {score.shape}; give one of each a client, one at least.")
    if not ((y == 0) | (y == 1)).all():
        raise ScoreError(f"Labels must be 0 or 1; got {np.unique(y)[:5].tolist()}. Leave out clients without a label.")
    if np.isnan(score).any():
        raise ScoreError(
            f"{np.isnan(score).sum()} of {score.size} scores are NaN. Leave out clients that cannot be judged."
        )
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    return CumulativeHits(y, order, ends, ranked[ends], ends + 1.0, np.cumsum(y[order])[ends])


def n_visits(n: int, shares: Sequence[float]) -> np.ndarray:
    """Clients in each share (0..1) of n, at least one."""
    return np.maximum(np.round(np.asarray(shares) * n), 1)


def ratio(part, whole) -> np.ndarray:
    """part / whole, NaN where whole is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


# Intervals


def estimate(value: float, interval: Sequence[float] = (np.nan, np.nan)) -> dict | None:
    """An estimate for the report; its interval is None where unknown, all of it where the value is undefined."""
    if not np.isfinite(value):
        return None
    return {"value": float(value), "interval": [float(e) for e in interval] if np.isfinite(interval).all() else None}


def wilson(hits, n) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of a share, Wilson 1927: (lo, hi), each of the inputs' shape, NaN for n = 0."""
    hits, n = np.asarray(hits, float), np.asarray(n, float)
    share, total = ratio(hits, n), n + Z95**2
    middle = (hits + Z95**2 / 2) / total
    half = Z95 / total * np.sqrt(np.maximum(n * share * (1 - share), 0) + Z95**2 / 4)
    # Rounding may leave the ends of 0 / n and n / n a hair beyond the share itself.
    return np.clip(middle - half, 0, share), np.clip(middle + half, share, 1)


def share_estimate(hits: float, n: float) -> dict | None:
    """hits / n with its Wilson interval."""
    return estimate(float(ratio(hits, n)), wilson(hits, n))


def f1_estimate(hits: float, suspected: float, frauds: float) -> dict | None:
    """F1 with its interval. [0..1]

    F1 = 2J / (1 + J) rises with J = hits / (suspected or fraud), a share of clients: J's Wilson interval carries over.
    """
    either = suspected + frauds - hits
    jaccard = np.array([ratio(hits, either), *wilson(hits, either)])
    value, *interval = 2 * jaccard / (1 + jaccard)
    return estimate(value, interval)


def delong_interval(y: np.ndarray, score: np.ndarray) -> tuple[float, float]:
    """95 % interval of ROC-AUC, O(n log n), cut to 0..1; NaN with fewer than two clients of a class.

    Sun & Xu, Fast implementation of DeLong's algorithm for comparing the areas under correlated receiver operating
    characteristic curves, IEEE Signal Processing Letters 21(11), 2014. Mid-ranks come from the counts on each rung.
    """
    steps = ladder(y, score)
    frauds, others = np.diff(steps.hits, prepend=0), np.diff(steps.n - steps.hits, prepend=0)
    if min(frauds.sum(), others.sum()) < 2:
        return np.nan, np.nan
    beaten = 1 - (np.cumsum(others) - others / 2) / others.sum()  # by a fraud on this rung
    beating = (np.cumsum(frauds) - frauds / 2) / frauds.sum()  # someone honest on this rung
    auc = frauds @ beaten / frauds.sum()
    half = Z95 * np.sqrt(_variance_of_mean(beaten, frauds) + _variance_of_mean(beating, others))
    return max(auc - half, 0.0), min(auc + half, 1.0)


def bootstrap(
    y: np.ndarray,
    score: np.ndarray,
    figures: Callable[[CumulativeHits, np.ndarray], Sequence[float]],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> np.ndarray:
    """Resampled figures, (resamples, figures); figures(ladder, weights) gets how often each row was drawn.

    Clients are drawn plainly, not by class: the fraud rate is uncertain too. Equal seed and n draw equal clients, so
    the difference of two models' draws is a paired one.
    """
    steps, n, rng = ladder(y, score), len(y), np.random.default_rng(seed)
    draws = (np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(resamples))
    return np.array([figures(steps.weighted(weights), weights) for weights in draws], float)


def percentiles(draws: np.ndarray) -> tuple[float, float]:
    """95 % percentile interval of resampled figures; draws where the figure is undefined are left out."""
    known = draws[np.isfinite(draws)]
    return tuple(np.quantile(known, (0.025, 0.975))) if known.size else (np.nan, np.nan)


def mean_estimate(values: Sequence[float]) -> dict | None:
    """Mean over outer folds with its t-interval, and the folds' values.

    It holds the chance of the split and of the sample; but folds share training clients, so it is somewhat too narrow
    (Bengio & Grandvalet 2004).
    """
    values = np.asarray(values, float)
    half = t95(values.size - 1) * values.std(ddof=1) / np.sqrt(values.size) if values.size > 1 else np.nan
    pooled = estimate(values.mean(), (values.mean() - half, values.mean() + half))
    return pooled and pooled | {"folds": values.tolist()}


def t95(degrees: int) -> float:
    """t quantile of a two-sided 95 % interval; beyond the table Cornish and Fisher's expansion, right to 1e-4."""
    if degrees <= len(T95):
        return T95[degrees - 1]
    z, v = Z95, degrees
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    return z + (z**3 + z) / (4 * v) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2) + third


# Ranking


def roc_auc(y: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve, equal scores counted half. [0..1]"""
    steps = ladder(y, score)
    hits, falses = np.append(0, steps.hits), np.append(0, steps.n - steps.hits)
    return float(ratio(np.trapezoid(hits, falses), hits[-1] * falses[-1]))


def pr_auc(y: np.ndarray, score: np.ndarray) -> float:
    """Average precision, as scikit-learn defines it. [0..1, chance = fraud rate]"""
    return ladder(y, score).pr_auc()


def precision_at_k(y: np.ndarray, score: np.ndarray, share: float) -> float:
    """Share of true cases among the `share` (0..1) highest scores, at least one client. [0..1]"""
    return float(ladder(y, score).precision_at([share])[0])


def lift_at_k(y: np.ndarray, score: np.ndarray, share: float) -> float:
    """precision_at_k over the fraud rate. [1 = as good as chance]"""
    return float(ratio(precision_at_k(y, score, share), np.mean(y)))


def roc_curve(y: np.ndarray, score: np.ndarray, n_points: int = N_POINTS) -> dict[str, list]:
    """{"false_positive_rate", "recall", "score"} from (0, 0) on, thinned to n_points; the first score is None."""
    steps = ladder(y, score)
    kept, falses = _thinned(steps, n_points - 1), steps.n - steps.hits
    return {
        "false_positive_rate": [0.0, *_listed(ratio(falses, falses[-1])[kept])],
        "recall": [0.0, *_listed(ratio(steps.hits, steps.hits[-1])[kept])],
        "score": [None, *_listed(steps.score[kept])],
    }


def pr_curve(y: np.ndarray, score: np.ndarray, n_points: int = N_POINTS) -> dict[str, list]:
    """{"recall", "precision", "score"} by falling score, thinned to n_points."""
    steps = ladder(y, score)
    kept = _thinned(steps, n_points)
    recall, precision = ratio(steps.hits, steps.hits[-1]), steps.hits / steps.n
    return {"recall": _listed(recall[kept]), "precision": _listed(precision[kept]), "score": _listed(steps.score[kept])}


def visits_curve(y: np.ndarray, score: np.ndarray, n_points: int = 80) -> dict[str, list]:
    """{"visits", "precision", "low", "high", "recall"}: what the first 10 .. n visits find; low and high by Wilson."""
    steps = ladder(y, score)
    visits = np.unique(np.geomspace(min(10, steps.y.size), steps.y.size, n_points).round())
    hits = steps.hits_in(visits)
    low, high = wilson(hits, visits)
    curve = {"precision": hits / visits, "low": low, "high": high, "recall": ratio(hits, steps.hits[-1])}
    return {"visits": visits.astype(int).tolist()} | {key: _listed(values) for key, values in curve.items()}


# Calibration


def brier(y: np.ndarray, score: np.ndarray) -> float:
    """Mean squared distance of probability and outcome. [0 = perfect; rate * (1 - rate) = knows the rate only]"""
    return float(np.mean((np.asarray(score, float) - np.asarray(y, float)) ** 2))


def bin_of(steps: CumulativeHits, bins: int = BINS) -> np.ndarray:
    """Each row's bin of equal size, 0 the lowest scores, by the middle of its rung: equal scores share a bin."""
    size = np.diff(steps.ends, prepend=-1)
    place = (steps.ends + 1 - size / 2) / steps.y.size
    return steps.by_row(bins - 1 - (place * bins).astype(int).clip(0, bins - 1))


def calibration_error(y: np.ndarray, score: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: mean |score - fraud rate| over bins of equal size. [0..1]"""
    gap = np.asarray(score, float) - np.asarray(y, float)
    return binned_error(gap, bin_of(ladder(y, score), bins), np.ones(gap.size))


def binned_error(gap: np.ndarray, bins: np.ndarray, weights: np.ndarray) -> float:
    """Calibration error from score - y, each row's bin and weight. [0..1]"""
    return float(np.abs(np.bincount(bins, gap * weights)).sum() / weights.sum())


def calibration_noise(score: np.ndarray, bins: int = BINS) -> float:
    """The calibration error that perfect probabilities would show by chance on so many clients. [0..1]"""
    score = np.asarray(score, float)
    variance = np.bincount(bin_of(ladder(np.zeros(score.size), score), bins), score * (1 - score))
    return float(np.sqrt(2 / np.pi * variance).sum() / score.size)


def calibration_slope(y: np.ndarray, score: np.ndarray) -> dict | None:
    """Slope of the outcome on the score's log-odds (Cox 1958), Wald interval. [1 = right, below 1 = too sure]"""
    chance = np.clip(np.asarray(score, float), 1e-6, 1 - 1e-6)
    columns = np.column_stack([np.ones(chance.size), np.log(chance / (1 - chance))])
    y, fitted = np.asarray(y, float), np.zeros(2)
    for _ in range(30):
        chance = 1 / (1 + np.exp(-np.clip(columns @ fitted, -30, 30)))
        hessian = (columns * (chance * (1 - chance))[:, None]).T @ columns
        if np.linalg.cond(hessian) > 1e12:  # one score for all, or the classes lie apart: there is no slope
            return None
        step = np.linalg.solve(hessian, columns.T @ (y - chance))
        fitted = fitted + step
        if np.abs(step).max() < 1e-9:
            half = Z95 * np.sqrt(np.linalg.inv(hessian)[1, 1])
            return estimate(fitted[1], (fitted[1] - half, fitted[1] + half))
    return None


def calibration_table(y: np.ndarray, score: np.ndarray, bins: int = BINS) -> list[dict]:
    """Per bin, the lowest first: n, score (its lowest and highest), mean_score, fraud_share."""
    steps, score = ladder(y, score), np.asarray(score, float)
    number = bin_of(steps, bins)
    members = [np.flatnonzero(number == one) for one in np.unique(number)]
    return [
        {
            "n": rows.size,
            "score": [float(score[rows].min()), float(score[rows].max())],
            "mean_score": float(score[rows].mean()),
            "fraud_share": share_estimate(steps.y[rows].sum(), rows.size),
        }
        for rows in members
    ]


# Inside


def _listed(values: np.ndarray) -> list:
    return [None if np.isnan(value) else value for value in np.asarray(values, float).round(6).tolist()]


def _variance_of_mean(values: np.ndarray, counts: np.ndarray) -> float:
    n = counts.sum()
    return counts @ (values - counts @ values / n) ** 2 / (n - 1) / n


def _thinned(steps: CumulativeHits, n_points: int) -> np.ndarray:
    """Rungs to keep: half even in recall, half geometric in rank, for the top of the list."""
    n, half = steps.n.size, n_points // 2
    if n <= n_points:
        return np.arange(n)
    even = np.searchsorted(steps.hits, np.linspace(0, steps.hits[-1], half))
    ranks = np.geomspace(1, n, half).round().astype(int) - 1
    return np.unique(np.concatenate([even, ranks]))
