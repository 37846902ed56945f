"""Invoices without labels: detectors find the thefts of invented utilities at least as well as the plain ratio."""

import json

import numpy as np
import pytest

from benchmarks.helpers.invented_utilities import HIDDEN, THEFT_SHARES, UTILITIES
from benchmarks.quality import unlabelled_invoices
from benchmarks.quality.unlabelled_invoices import RANK, RATIO, measure


@pytest.mark.parametrize("name", UTILITIES)
def test_the_mean_rank_of_detectors_ranks_no_worse_than_the_plain_ratio(name):
    found = [measure(UTILITIES[name](400, seed)) for seed in (100, 101, 102)]
    ours, plain = (np.mean([each[score]["roc_auc"] for each in found]) for score in (RANK, RATIO))
    assert plain > 0.8  # the thefts can be found at all
    assert ours >= plain - 0.02


@pytest.mark.parametrize("name", UTILITIES)
def test_a_tenth_of_the_invented_clients_steal_and_what_is_billed_shows_it(name):
    utility = UTILITIES[name](500, 7)
    assert THEFT_SHARES[0] <= utility.is_thief.mean() <= THEFT_SHARES[1]
    ratio = -utility.plain_ratio()
    fall = 1 - np.median(ratio[utility.is_thief]) / np.median(ratio[~utility.is_thief])
    assert HIDDEN[0] / 2 < fall < HIDDEN[1]


def test_the_figures_are_printed_and_written_with_their_intervals(tmp_path, capsys):
    out = tmp_path / "found.json"
    assert unlabelled_invoices.main(["--seeds", "2", "--clients", "200", "--out", str(out)]) == 0
    figures, printed = json.loads(out.read_text())["utilities"], capsys.readouterr().out
    assert figures.keys() == UTILITIES.keys()
    for rows in figures.values():
        low, high = rows[RANK]["roc_auc"]["interval"]
        assert low < rows[RANK]["roc_auc"]["value"] < high
        assert f"{rows[RATIO]['roc_auc']['value']:.3f}" in printed
