"""Single metrics: areas, curves, calibration, and the 95 % interval of each.

In:  y (0 or 1 per client) and score (per client, higher = more suspicious), without clients that have no score.
Out: floats (NaN where undefined: one class only, no client suspected), or dicts and lists that json.dumps takes.
     An estimate is {"value": x, "interval": [lo, hi]}, None where undefined.

NumPy only, since the service imports it. Clients with equal scores form one step of the ranked list, so that no figure
depends on the order of the rows. A list that ends inside a step has the step's frauds in proportion, the mean over
random orders.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

Z95 = 1.959963984540054  # normal quantile of a two-sided 95 % interval
T95 = (12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157)  # t, 1..9 degrees
BINS = 10  # of equal size: at 6 % fraud, even the lowest of 20,000 test clients hold some frauds
FEW = 100  # clients of a class: with fewer, resampling and DeLong's variance give too narrow intervals
RESAMPLES = 400  # with 200 the 2.5 % quantiles are unstable
N_POINTS = 400  # of a stored curve: more than a chart resolves


class ScoreError(ValueError):
    """Labels and scores from which no metric can be computed; the message says what was found."""


@dataclass(frozen=True, slots=True)
class CumulativeHits:
    """The ranked list as cumulative counts, one step per distinct score, the highest first.

    order: rows by falling score; ends: position in it of each step's last row; score: of each step;
    n, hits: clients and frauds at or above each step, weighted where resampled.
    """

    y: np.ndarray
    order: np.ndarray
    ends: np.ndarray
    score: np.ndarray
    n: np.ndarray
    hits: np.ndarray

    def weighted(self, weights: np.ndarray) -> "CumulativeHits":
        """The same list with each row counted `weights` times. [weights: per row of the input]"""
        ranked = weights[self.order]
        hits = np.cumsum(ranked * self.y[self.order])[self.ends]
        return replace(self, n=np.cumsum(ranked, dtype=float)[self.ends], hits=hits)

    def effective(self, weights: np.ndarray) -> "CumulativeHits":
        """The weighted list with effective sample sizes (Kish 1965) as n, and hits in proportion."""
        weighted = self.weighted(weights)
        n = weighted.n**2 / np.cumsum(weights[self.order] ** 2)[self.ends]
        return replace(self, n=n, hits=n * ratio(weighted.hits, weighted.n))

    def by_row(self, values: np.ndarray) -> np.ndarray:
        """Repeat the value of each step for its rows, in the order of the input."""
        of_row = np.empty(self.y.size, values.dtype)
        of_row[self.order] = np.repeat(values, np.diff(self.ends, prepend=-1))
        return of_row

    def hits_in(self, visits: np.ndarray) -> np.ndarray:
        """Frauds among the `visits` highest scores."""
        return np.interp(visits, np.append(0, self.n), np.append(0, self.hits))

    def precision_at(self, shares: Sequence[float]) -> np.ndarray:
        """Precision among the highest scores, for each share of the clients. [0..1]"""
        visits = n_visits(self.y.size, shares)
        return self.hits_in(visits) / visits

    def pr_auc(self) -> float:
        """Average precision: precision at each step weighted by the recall it adds. [0..1]"""
        gained = np.diff(self.hits, prepend=0)
        found = gained > 0
        return float(ratio(gained[found] @ (self.hits[found] / self.n[found]), self.hits[-1]))


def cumulative_hits(y: np.ndarray, score: np.ndarray) -> CumulativeHits:
    """Ranked list of y (n,) and score (n,). Raises ScoreError for unequal lengths, NaN or other labels."""
    y, score = np.asarray(y, float), np.asarray(score, float)
    if y.ndim != 1 or y.shape != score.shape or not y.size:
        raise ScoreError(
            f"Labels have shape {y.shape} and scores {score.shape}. Give one of each per client (at least one)."
        )
    if not ((y == 0) | (y == 1)).all():
        raise ScoreError(f"Labels must be 0 or 1; got {np.unique(y)[:5].tolist()}. Leave out clients without a label.")
    if np.isnan(score).any():
        raise ScoreError(f"{np.isnan(score).sum()} of {score.size} scores are NaN. Leave out clients without a score.")
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    return CumulativeHits(y, order, ends, ranked[ends], ends + 1.0, np.cumsum(y[order])[ends])


def n_visits(n: int, shares: Sequence[float]) -> np.ndarray:
    """Number of clients in each share (0..1) of n, at least one."""
    return np.maximum(np.round(np.asarray(shares) * n), 1)


def ratio(part, whole) -> np.ndarray:
    """part / whole, NaN where whole is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


# Intervals


def estimate(value: float, interval: Sequence[float] = (np.nan, np.nan)) -> dict | None:
    """An estimate as JSON; None where the value is undefined, its interval None where that is unknown."""
    if not np.isfinite(value):
        return None
    return {"value": float(value), "interval": [float(e) for e in interval] if np.isfinite(interval).all() else None}


def wilson_interval(hits, n) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of a share (Wilson 1927, JASA 22): (lo, hi), each of the inputs' shape, NaN for n = 0. [0..1]"""
    hits, n = np.asarray(hits, float), np.asarray(n, float)
    share, total = ratio(hits, n), n + Z95**2
    middle = (hits + Z95**2 / 2) / total
    half = Z95 / total * np.sqrt(np.maximum(n * share * (1 - share), 0) + Z95**2 / 4)
    # Rounding may leave the ends of 0 / n and n / n beyond the share itself.
    return np.clip(middle - half, 0, share), np.clip(middle + half, share, 1)


def share_estimate(hits: float, n: float) -> dict | None:
    """hits / n with its Wilson interval."""
    return estimate(float(ratio(hits, n)), wilson_interval(hits, n))


def f1_estimate(hits: float, suspected: float, frauds: float) -> dict | None:
    """F1 with its interval. [0..1]

    F1 = 2J / (1 + J) is monotonic in J = hits / (suspected or fraud), a share of clients, so that the Wilson interval
    of J carries over.
    """
    either = suspected + frauds - hits
    jaccard = np.array([ratio(hits, either), *wilson_interval(hits, either)])
    value, *interval = 2 * jaccard / (1 + jaccard)
    return estimate(value, interval)


def delong_interval(y: np.ndarray, score: np.ndarray) -> tuple[float, float]:
    """95 % interval of ROC-AUC in O(n log n), clipped to 0..1; NaN with fewer than two clients of a class.

    Sun & Xu, Fast implementation of DeLong's algorithm for comparing the areas under correlated receiver operating
    characteristic curves, IEEE Signal Processing Letters 21(11), 2014. Mid-ranks come from the counts of each step.
    """
    steps = cumulative_hits(y, score)
    frauds, others = np.diff(steps.hits, prepend=0), np.diff(steps.n - steps.hits, prepend=0)
    if min(frauds.sum(), others.sum()) < 2:
        return np.nan, np.nan
    beaten = 1 - (np.cumsum(others) - others / 2) / others.sum()  # by a fraud of this step
    beating = (np.cumsum(frauds) - frauds / 2) / frauds.sum()  # an honest client of this step
    auc = frauds @ beaten / frauds.sum()
    half = Z95 * np.sqrt(_variance_of_mean(beaten, frauds) + _variance_of_mean(beating, others))
    return max(auc - half, 0.0), min(auc + half, 1.0)


def auc_estimate(y: np.ndarray, score: np.ndarray) -> dict | None:
    """ROC-AUC with its interval: DeLong's; of few clients the hull of that and the score interval.

    DeLong's variance is 0 where the classes do not overlap, which few clients reach by chance.
    """
    value, interval, n = roc_auc(y, score), delong_interval(y, score), np.sum(y)
    least = min(n, len(y) - n)
    if least < 2 or (least >= FEW and interval[0] < interval[1]):
        return estimate(value, interval)
    low, high = score_interval_of_auc(value, n, len(y) - n)
    return estimate(value, (min(low, interval[0]), max(high, interval[1])))


def score_interval_of_auc(value: float, n_frauds: float, n_others: float) -> tuple[float, float]:
    """95 % interval of a ROC-AUC by inverting its score test, which keeps its width at 0 and 1.

    Method 5 of Newcombe, Confidence intervals for an effect size measure based on the Mann-Whitney statistic, Part 2,
    Statistics in Medicine 25 (2006), with the variance of Hanley and McNeil.
    """
    auc = np.linspace(0.0, 1.0, 20_001)
    more = (n_frauds + n_others) / 2.0 - 1.0
    variance = auc * (1 - auc) * (1 + more * (1 - auc) / (2 - auc) + more * auc / (1 + auc)) / (n_frauds * n_others)
    inside = auc[np.abs(auc - value) <= Z95 * np.sqrt(variance) + 1e-12]
    return float(min(inside.min(), value)), float(max(inside.max(), value))


def widened(found: dict | None, n: float) -> dict | None:
    """An estimate of a share; of few clients with an interval of at least Wilson's width. [n: clients of the share]"""
    if found is None or found["interval"] is None or n <= 0:
        return found
    low, high = found["interval"]
    if n >= FEW and low < high:
        return found
    least, most = wilson_interval(found["value"] * n, n)
    return found | {"interval": [float(min(low, least)), float(max(high, most))]}


def bootstrap(
    y: np.ndarray,
    score: np.ndarray,
    figures: Callable[[CumulativeHits, np.ndarray], Sequence[float]],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> np.ndarray:
    """Bootstrap replicates of figures(list, weights), weights being the draws of each row. [(resamples, figures)]

    Clients are resampled without stratification, because the fraud rate is uncertain too. Equal seed and n give the
    same resamples, so that the differences of two models' replicates are paired.
    """
    steps, n, rng = cumulative_hits(y, score), len(y), np.random.default_rng(seed)
    draws = (np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(resamples))
    return np.array([figures(steps.weighted(weights), weights) for weights in draws], float)


def percentiles(draws: np.ndarray) -> tuple[float, float]:
    """95 % percentile interval of bootstrap replicates, without undefined ones."""
    defined = draws[np.isfinite(draws)]
    return tuple(np.quantile(defined, (0.025, 0.975))) if defined.size else (np.nan, np.nan)


def mean_estimate(values: Sequence[float]) -> dict | None:
    """Mean over outer folds with its t-interval, and the values of the folds.

    The interval covers the chance of the split and of the sample. It is somewhat too narrow, because folds share
    training clients (Bengio & Grandvalet 2004).
    """
    values = np.asarray(values, float)
    half = t95(values.size - 1) * values.std(ddof=1) / np.sqrt(values.size) if values.size > 1 else np.nan
    pooled = estimate(values.mean(), (values.mean() - half, values.mean() + half))
    return pooled and pooled | {"folds": values.tolist()}


def t95(degrees: int) -> float:
    """t quantile of a two-sided 95 % interval; beyond the table by the Cornish-Fisher expansion, exact to 1e-4."""
    if degrees <= len(T95):
        return T95[degrees - 1]
    z, v = Z95, degrees
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    return z + (z**3 + z) / (4 * v) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2) + third


# Ranking


def roc_auc(y: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve; pairs of equal scores count half. [0..1]"""
    steps = cumulative_hits(y, score)
    hits, falses = np.append(0, steps.hits), np.append(0, steps.n - steps.hits)
    return float(ratio(np.trapezoid(hits, falses), hits[-1] * falses[-1]))


def pr_auc(y: np.ndarray, score: np.ndarray) -> float:
    """Average precision, as scikit-learn defines it. [0..1, chance = fraud rate]"""
    return cumulative_hits(y, score).pr_auc()


def precision_at_k(y: np.ndarray, score: np.ndarray, share: float) -> float:
    """Share of true cases among the `share` (0..1) highest scores, at least one client. [0..1]"""
    return float(cumulative_hits(y, score).precision_at([share])[0])


def roc_curve(y: np.ndarray, score: np.ndarray, n_points: int = N_POINTS) -> dict[str, list]:
    """{"false_positive_rate", "recall", "score"} from (0, 0), thinned to n_points; the first score is None."""
    steps = cumulative_hits(y, score)
    chosen, falses = _thinned(steps, n_points - 1), steps.n - steps.hits
    return {
        "false_positive_rate": [0.0, *_json_list(ratio(falses, falses[-1])[chosen])],
        "recall": [0.0, *_json_list(ratio(steps.hits, steps.hits[-1])[chosen])],
        "score": [None, *_json_list(steps.score[chosen])],
    }


def pr_curve(y: np.ndarray, score: np.ndarray, n_points: int = N_POINTS) -> dict[str, list]:
    """{"recall", "precision", "score"} by falling score, thinned to n_points."""
    steps = cumulative_hits(y, score)
    chosen = _thinned(steps, n_points)
    recall, precision = ratio(steps.hits, steps.hits[-1]), steps.hits / steps.n
    return {
        "recall": _json_list(recall[chosen]),
        "precision": _json_list(precision[chosen]),
        "score": _json_list(steps.score[chosen]),
    }


def visits_curve(y: np.ndarray, score: np.ndarray, n_points: int = 80) -> dict[str, list]:
    """{"visits", "precision", "low", "high", "recall"} of the first 10 .. n visits; low and high by Wilson."""
    steps = cumulative_hits(y, score)
    visits = np.unique(np.geomspace(min(10, steps.y.size), steps.y.size, n_points).round())
    hits = steps.hits_in(visits)
    low, high = wilson_interval(hits, visits)
    curve = {"precision": hits / visits, "low": low, "high": high, "recall": ratio(hits, steps.hits[-1])}
    return {"visits": visits.astype(int).tolist()} | {key: _json_list(values) for key, values in curve.items()}


# Calibration


def brier(y: np.ndarray, score: np.ndarray) -> float:
    """Mean squared error of the probability. [0 = perfect; rate * (1 - rate) = a constant forecast of the rate]"""
    return float(np.mean((np.asarray(score, float) - np.asarray(y, float)) ** 2))


def score_bins(steps: CumulativeHits, bins: int = BINS) -> np.ndarray:
    """Bin of equal size per row, 0 the lowest scores. Equal scores share the bin of their middle rank."""
    size = np.diff(steps.ends, prepend=-1)
    place = (steps.ends + 1 - size / 2) / steps.y.size
    return steps.by_row(bins - 1 - (place * bins).astype(int).clip(0, bins - 1))


def calibration_error(y: np.ndarray, score: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: mean |score - fraud rate| over bins of equal size. [0..1]"""
    gap = np.asarray(score, float) - np.asarray(y, float)
    return binned_calibration_error(gap, score_bins(cumulative_hits(y, score), bins), np.ones(gap.size))


def binned_calibration_error(gap: np.ndarray, bins: np.ndarray, weights: np.ndarray) -> float:
    """Calibration error from score - y, bin and weight of each row. [0..1]"""
    return float(np.abs(np.bincount(bins, gap * weights)).sum() / weights.sum())


def calibration_noise(score: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error of perfect probabilities on as many clients, by chance. [0..1]"""
    score = np.asarray(score, float)
    variance = np.bincount(score_bins(cumulative_hits(np.zeros(score.size), score), bins), score * (1 - score))
    return float(np.sqrt(2 / np.pi * variance).sum() / score.size)


def calibration_slope(y: np.ndarray, score: np.ndarray) -> dict | None:
    """Slope of the outcome on the score's log-odds (Cox 1958), Wald interval. [1 = calibrated, < 1 = too extreme]"""
    chance = np.clip(np.asarray(score, float), 1e-6, 1 - 1e-6)
    columns = np.column_stack([np.ones(chance.size), np.log(chance / (1 - chance))])
    y, fitted = np.asarray(y, float), np.zeros(2)
    for _ in range(30):
        chance = 1 / (1 + np.exp(-np.clip(columns @ fitted, -30, 30)))
        hessian = (columns * (chance * (1 - chance))[:, None]).T @ columns
        if np.linalg.cond(hessian) > 1e12:  # one score for all, or separable classes: the slope is undefined
            return None
        step = np.linalg.solve(hessian, columns.T @ (y - chance))
        fitted = fitted + step
        if np.abs(step).max() < 1e-9:
            half = Z95 * np.sqrt(np.linalg.inv(hessian)[1, 1])
            return estimate(fitted[1], (fitted[1] - half, fitted[1] + half))
    return None


def reliability_table(y: np.ndarray, score: np.ndarray, bins: int = BINS) -> list[dict]:
    """Per bin of equal size, the lowest first: n, score (lowest and highest), mean_score, fraud_share."""
    steps, score = cumulative_hits(y, score), np.asarray(score, float)
    number = score_bins(steps, bins)
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


def _json_list(values: np.ndarray) -> list:
    return [None if np.isnan(value) else value for value in np.asarray(values, float).round(6).tolist()]


def _variance_of_mean(values: np.ndarray, counts: np.ndarray) -> float:
    n = counts.sum()
    return counts @ (values - counts @ values / n) ** 2 / (n - 1) / n


def _thinned(steps: CumulativeHits, n_points: int) -> np.ndarray:
    """Steps of a thinned curve: half even in recall, half geometric in rank for the top of the list."""
    n, half = steps.n.size, n_points // 2
    if n <= n_points:
        return np.arange(n)
    even = np.searchsorted(steps.hits, np.linspace(0, steps.hits[-1], half))
    ranks = np.geomspace(1, n, half).round().astype(int) - 1
    return np.unique(np.concatenate([even, ranks]))
