"""What visits would have found among clients without part in the fit, and whether the promise holds. Training only.

In:  a Dataset, a Split, and the ensemble fitted on its `train`.
Out: the part `visits` of what report.py shows.

Who was caught is known, what came back is not: energy is estimated (recovery.py), and a visit costs what is assumed.
"""

from collections.abc import Mapping

import numpy as np

from fairmeter.evaluation import conformal_selection, inspection_value, model_evaluation
from fairmeter.models.fraud_model import severity_of
from fairmeter.planning.recovery import recovery_estimates
from fairmeter.training.dataset import Dataset
from fairmeter.training.ensemble_fitting import Fitted
from fairmeter.training.validation.invoices import TestSplit

# What a visit costs, in the energy that pays for it. Assumed: no utility's own figure, so the report shows several.
COSTS_KWH = (50.0, 100.0, 200.0, 500.0)
COST_KWH = 200.0
BY_SCORE, BY_ENERGY = "by score", "by expected energy"


def visits_measured(study: Dataset, split: TestSplit, fitted: Fitted, promises: Mapping[str, float], seed: int) -> dict:
    """Curves of both orders, the best number by cost, severities, promises; on the test clients of the split."""
    train, label, weight = study.label[split.train], study.label[split.test], study.weight_of(split.train)
    score = fitted.ensemble.probability(study.evidence.of(split.test))
    stake = stakes(study, split.test, fitted)
    cuts = [
        {"severity": name} | cut
        for name, cut in model_evaluation.severity_thresholds(
            train, fitted.probability, promises, weight=weight
        ).items()
    ]
    severity = [severity_of(p, cuts) for p in score]
    table = conformal_selection.calibration_table(train, fitted.probability)
    orders = {
        BY_SCORE: np.argsort(-score, kind="stable"),
        BY_ENERGY: np.argsort(-score * inspection_value.fill_missing_stakes(stake), kind="stable"),
    }
    energy = orders[BY_ENERGY]
    return {
        "cost_kwh": COST_KWH,
        "n": len(label),
        "n_estimated": int((~np.isnan(stake)).sum()),
        "curves": {
            name: inspection_value.profit_curve(label[order], stake[order], COST_KWH, has_labels=True)
            for name, order in orders.items()
        },
        "best": [
            {"cost_kwh": cost} | inspection_value.best_visit_count(label[energy], stake[energy], cost, has_labels=True)
            for cost in COSTS_KWH
        ],
        "severities": inspection_value.profit_by_severity(severity, label, stake, COST_KWH, has_labels=True),
        "promise": {
            "splits": conformal_selection.measure_on_splits(train, fitted.probability, seed=seed),
            "others": conformal_selection.measure_on_test(label, score, table),
        },
    }


def stakes(study: Dataset, clients: np.ndarray, fitted: Fitted) -> np.ndarray:
    """Energy at stake with each of the clients, if it steals. [kWh, NaN where nothing can be estimated]"""
    order = np.argsort(clients)
    found = recovery_estimates(*study.select_clients(clients[order]), fitted.ensemble.inputs.peers)
    kwh = np.empty(len(clients))
    kwh[order] = [np.nan if each is None else each.kwh for each in found]
    return kwh
