"""Value of inspections and validity of conformal selection on held-out clients. Training only.

In:  a Dataset, a TestSplit, and the ensemble fitted on its `train`.
Out: the entry `visits` of the report's metrics.

Labels are known, recovered energy is not: it is estimated (fairmeter/planning/recovery.py). A visit's cost is assumed.
"""

from collections.abc import Mapping

import numpy as np

from fairmeter.evaluation import conformal_selection, inspection_value, model_evaluation
from fairmeter.models.fraud_model import severity_of
from fairmeter.planning.recovery import recovery_estimates
from fairmeter.training.dataset import Dataset
from fairmeter.training.ensemble_fitting import Fitted
from fairmeter.training.validation.invoices import TestSplit

# Cost of a visit, as the energy that pays for it. An assumption, no utility's figure, so the report shows several.
COSTS_KWH = (50.0, 100.0, 200.0, 500.0)
COST_KWH = 200.0
BY_SCORE, BY_ENERGY = "by score", "by expected energy"


def measure_inspections(
    dataset: Dataset, split: TestSplit, fitted: Fitted, promised_precision: Mapping[str, float], seed: int
) -> dict:
    """Profit curves of both orders, best numbers of visits, value by severity, false-alarm bounds, on test clients."""
    train, label, weight = dataset.label[split.train], dataset.label[split.test], dataset.weight_of(split.train)
    score = fitted.ensemble.probability(dataset.evidence.of(split.test))
    stake = energy_at_stake(dataset, split.test, fitted)
    threshold = model_evaluation.best_threshold(train, fitted.probability, weight=weight)
    cuts = model_evaluation.severity_thresholds(
        train, fitted.probability, promised_precision, weight=weight, threshold=threshold
    )
    severities = [{"severity": name} | cut for name, cut in cuts.items()]
    severity = [severity_of(p, severities) for p in score]
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


def energy_at_stake(dataset: Dataset, clients: np.ndarray, fitted: Fitted) -> np.ndarray:
    """Energy recovered from each client if it steals. [kWh, NaN where it cannot be estimated]"""
    order = np.argsort(clients)
    found = recovery_estimates(*dataset.select_clients(clients[order]), fitted.ensemble.inputs.peers)
    kwh = np.empty(len(clients))
    kwh[order] = [np.nan if each is None else each.kwh for each in found]
    return kwh
