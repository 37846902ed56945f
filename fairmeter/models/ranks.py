"""Places among the training clients, which are all that a model without labels claims.

In:  the manifest; log-odds of clients by one ensemble.
Out: the share of the training clients with a lower score [0..1]: a rank, never a probability of theft.

A manifest holds `ranks`, by the name of each part ("invoices", "readings"), where the model was trained without labels:
{"n": training clients, "knots": quantiles of their log-odds}. Older unlabelled models hold none; for them the deciles
of the drift reference serve.
"""

from collections.abc import Mapping

import numpy as np

from fairmeter.evaluation.drift import ReferenceDistribution

N_STEPS = 1000  # between the quantiles that are kept
FIRST_SHARE = 0.05  # of clients like the training clients: suspected, where no label gives a threshold
# No label promises a precision, so no severity is above medium: clients of the first ranks are for the next round.
RANK_THRESHOLDS = {
    "threshold": 1.0 - FIRST_SHARE,
    "severities": [{"severity": "medium", "score": 1.0 - FIRST_SHARE}],
}


def rank_reference(log_odds: np.ndarray) -> dict:
    """The entry of a part in the manifest's `ranks`. [log_odds: of the training clients]"""
    return {"n": len(log_odds), "knots": np.quantile(log_odds, np.linspace(0.0, 1.0, N_STEPS + 1)).tolist()}


def lower_share(log_odds: np.ndarray, reference: Mapping | None, drift: ReferenceDistribution | None) -> np.ndarray:
    """Share of the training clients with lower log-odds, equal ones counting half. [float64, NaN where log_odds is]

    A higher score never has a lower share, beyond the training clients' scores either. drift: used without a reference.
    """
    knots, steps = _quantiles(reference) if reference else _deciles(drift)
    if not len(knots):  # all training clients had one score, or nothing is known of them
        return np.where(np.isnan(log_odds), np.nan, 0.5)
    # For equal knots `interp` gives the last of them; on reversed signs it gives the first.
    inside = (np.interp(log_odds, knots, steps) + np.interp(-log_odds, -knots[::-1], steps[::-1])) / 2.0
    scale = max(float(knots[-1] - knots[0]), 1e-6)
    above, below = np.maximum(log_odds - knots[-1], 0.0) / scale, np.maximum(knots[0] - log_odds, 0.0) / scale
    inside = np.where(above > 0, 1.0 - (1.0 - steps[-1]) / (1.0 + above), inside)
    return np.where(below > 0, steps[0] / (1.0 + below), inside)


def place_of(share: float, n: int) -> int:
    """The place among n training clients of a client with this share of them below it; 1 is the highest score."""
    return 1 + round((1.0 - share) * n)


def n_training_clients(reference: Mapping | None, drift: ReferenceDistribution | None) -> int:
    """Number of training clients of a part; 0 where it is not known."""
    return int(reference["n"]) if reference else (0 if drift is None else drift.n)


def _quantiles(reference: Mapping) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles and their shares, which leave room for scores beyond those of the training clients."""
    n, knots = reference["n"], np.array(reference["knots"], dtype=np.float64)
    return knots, (np.linspace(0.0, 1.0, len(knots)) * n + 0.5) / (n + 1.0)


def _deciles(drift: ReferenceDistribution | None) -> tuple[np.ndarray, np.ndarray]:
    if drift is None:
        return np.empty(0), np.empty(0)
    edges = drift.edges[-1].astype(np.float64)
    is_edge = np.isfinite(edges)
    return edges[is_edge], np.cumsum(drift.shares[-1].astype(np.float64))[: len(edges)][is_edge]
