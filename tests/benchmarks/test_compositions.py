"""Compositions: what each mix of training files holds, whom it is measured on, and what is written of it."""

import json

import numpy as np
import pytest

from benchmarks.quality import compositions
from benchmarks.quality.compositions import FILES, MEASURED, MIXES, households
from fairmeter.simulation.compositions import HELD_OUT
from fairmeter.training.attacks import HONEST, HonestHouseholds, split
from fairmeter.training.options import SEED
from fairmeter.training.validation.readings import HOUSEHOLD_SHARES
from tests.builders.readings import FIRST, readings_text, town


def test_a_mix_sets_the_thefts_and_the_solar_homes_of_every_file():
    for mix in MIXES:
        plans = mix.plans(len(FILES))
        assert len(plans) == len(FILES)
        assert {(plan.composed, plan.solar) for plan in plans} == {(mix.composed, mix.solar)}
        assert {plan.is_mirrored for plan in plans} == {False, True}
        assert not {each for plan in plans for each in plan.compositions} & set(HELD_OUT)


def test_the_test_part_of_a_training_run_is_neither_learned_nor_measured():
    base = HonestHouseholds(np.ones((200, 2)), FIRST)
    _, _, held_out = split(200, SEED, HOUSEHOLD_SHARES)
    learning, measuring = households(base)
    assert not (set(learning) & set(measuring)) | (set(held_out) & set(learning) | set(held_out) & set(measuring))
    assert len(learning) + len(measuring) == 140


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(compositions, "MIXES", MIXES[1:2])
    monkeypatch.setattr(compositions, "TEST_SETS", 1)
    monkeypatch.setattr(compositions, "HARMLESS_SETS", 1)


@pytest.mark.nightly
@pytest.mark.usefixtures("small")
def test_the_figures_are_printed_and_written_with_their_intervals(tmp_path, capsys):
    file, out = tmp_path / "readings.csv", tmp_path / "found.json"
    file.write_text(readings_text(town(150, 200)))
    assert compositions.main([str(file), "--files", "2", "--out", str(out)]) == 0
    (mix,), printed = json.loads(out.read_text())["mixes"], capsys.readouterr().out
    assert set(mix["thefts"]) == set(MEASURED)
    for row in mix["thefts"].values():
        low, high = row["roc_auc"]["interval"]
        assert low <= row["roc_auc"]["value"] <= high
        assert f"{row['roc_auc']['value']:.3f}" in printed
    assert mix["suspected"][HONEST]["value"] <= 0.05


def test_the_delivered_figures_are_of_the_command_as_it_stands():
    figures = json.loads(compositions.OUT.read_text())
    assert figures["files"] == len(FILES)
    assert [(mix["name"], mix["composed"], mix["solar"]) for mix in figures["mixes"]] == [tuple(mix) for mix in MIXES]
