"""The guard counts clients by the exchanges of their meters, whatever their energy."""

import json

import numpy as np

from fairmeter.cli.console import describe_guard
from fairmeter.core.types import FeatureMatrix
from fairmeter.features.base import ENERGIES
from fairmeter.training.dataset import Dataset
from fairmeter.training.validation.exchange_guard import (
    EXCHANGED,
    exchange_guard,
    exchanged_recently,
    without_exchange,
)

NEW, OLD, NEVER = 16000.0, 12000.0, np.nan  # days since 1970; accounts are active from day 15706 on
NAMES = tuple(f"{energy}_{name}_{s}" for energy in ENERGIES for name in EXCHANGED for s in ("changes", "changed_on"))


def dataset(label, **changed_on):
    """Clients whose meters or codes changed once on these days."""
    columns = np.full((len(label), len(NAMES)), np.nan, np.float32)
    for name, days in changed_on.items():
        columns[:, NAMES.index(f"{name}_changed_on")] = days
        columns[:, NAMES.index(f"{name}_changes")] = ~np.isnan(days)
    evidence = FeatureMatrix(columns, np.ones(len(label), int), {})
    return Dataset("x", None, evidence, NAMES, np.array(label, float), 15706.0)


SIX = dataset(
    [1, 0, 0, 0, 1, 0],
    elec_meter=[NEW, NEW, OLD, NEVER, NEVER, NEVER],
    gas_meter_code=[NEVER, NEVER, NEVER, NEW, NEVER, NEVER],
)
SCORE = np.array([0.9, 0.8, 0.1, 0.2, 0.7, 0.3])


def test_a_change_of_meter_or_code_of_any_energy_is_an_exchange():
    assert without_exchange(SIX).tolist() == [False, False, False, False, True, True]


def test_only_exchanges_of_meters_since_accounts_are_active_are_recent():
    assert exchanged_recently(SIX).tolist() == [True, True, False, False, False, False]


def test_the_ranking_without_exchanges_and_that_of_honest_exchanges_are_measured():
    guard = exchange_guard(SIX, np.arange(6), SCORE)
    ranking = guard["without_exchange"]
    assert (ranking["n"], ranking["n_fraud"]) == (2, 1)
    assert (ranking["roc_auc"]["value"], ranking["pr_auc"]["value"]) == (1.0, 1.0)
    assert ranking["pr_auc"]["interval"][0] < 0.5
    exchanged = guard["exchanged"]
    assert (exchanged["n"], exchanged["n_exchanged"], exchanged["roc_auc"]["value"]) == (4, 1, 1.0)
    assert json.dumps(guard, allow_nan=False)


def test_a_score_that_does_not_follow_exchanges_has_an_area_of_a_half():
    guard = exchange_guard(SIX, np.arange(6), np.full(6, 0.5))
    assert guard["exchanged"]["roc_auc"]["value"] == 0.5


def test_one_class_alone_has_no_figures():
    some = np.array([4])
    guard = exchange_guard(SIX, some, SCORE[some])
    assert guard["without_exchange"] == {"n": 1, "n_fraud": 1, "roc_auc": None, "pr_auc": None}
    assert guard["exchanged"]["roc_auc"] is None


def test_the_terminal_names_both_and_is_silent_without_exchanges():
    lines = list(describe_guard(exchange_guard(SIX, np.arange(6), SCORE)))
    assert "without an exchange of meter or code: ROC-AUC 1.000" in lines[0]
    assert "recent exchange among honest clients: 1.000" in lines[1]
    assert lines[1].endswith("at most 0.72")
    never = dataset([1, 0, 0])
    assert list(describe_guard(exchange_guard(never, np.arange(3), SCORE[:3]))) == []
    assert list(describe_guard(None)) == []
