"""Labels of the inspected only: who is inspected in the simulated utilities, and what is written of the measurement."""

import json

import numpy as np

from benchmarks.quality import inspected_only
from benchmarks.quality.inspected_only import CHOSEN, INSPECTED, METHODS, inspected
from fairmeter.features.invoices.matrix import FEATURE_NAMES
from fairmeter.training.unlabelled_invoices import FALLS


def test_most_inspected_clients_fell_and_some_are_chosen_by_chance():
    features = np.zeros((1000, len(FEATURE_NAMES)), np.float32)
    fall = np.linspace(-3.0, 0.0, 1000)
    features[:, FEATURE_NAMES.index(FALLS[0])] = fall
    chosen = inspected(features, np.random.default_rng(1))
    assert chosen.sum() == 1000 * INSPECTED
    assert chosen[:200].sum() >= CHOSEN * chosen.sum()
    assert chosen[500:].any()


def test_the_figures_are_printed_and_written_with_their_intervals(tmp_path, capsys):
    out = tmp_path / "found.json"
    assert inspected_only.main(["--seeds", "2", "--clients", "500", "--out", str(out)]) == 0
    figures, printed = json.loads(out.read_text())["roc_auc"], capsys.readouterr().out
    assert set(METHODS) < figures.keys()
    for row in figures.values():
        assert row["interval"][0] <= row["value"] <= row["interval"][1]
        assert f"{row['value']:+.3f}" in printed


def test_the_delivered_figures_are_of_the_command_as_it_stands():
    figures = json.loads(inspected_only.OUT.read_text())
    assert (figures["clients"], figures["seeds"], figures["inspected"]) == (8000, 4, INSPECTED)
