"""score.py says at once that clients are unlike those in training, and scores by the model that is named."""

import pytest

import score
from benchmarks.helpers.invented_utilities import brazilian
from fairmeter.scoring.population_drift import describe_unlike
from tests.builders.invented import csv_of


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """The files of another utility, monthly instead of every four months."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name, text in csv_of(brazilian(120, 5)).items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def test_clients_of_another_utility_are_called_unlike_without_a_report(elsewhere, trained, tmp_path, capsys):
    """MODEL_PATH is not set: the model is the one that is named."""
    assert score.main([str(elsewhere), "--model", str(trained.model), "--out", str(tmp_path / "scores.csv")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.count("Warning: these clients are unlike those that the model was trained on") == 1
    assert "features of their invoices have shifted (" in printed
    assert "Drift of the invoices" not in printed


def test_the_training_clients_themselves_are_called_nothing(trained, tmp_path, capsys):
    assert score.main([str(trained.data), "--model", str(trained.model), "--out", str(tmp_path / "scores.csv")]) == 0
    assert "Warning" not in capsys.readouterr().out


def test_a_model_that_is_named_and_missing_ends_in_one_sentence(trained, tmp_path, capsys):
    assert score.main([str(trained.data), "--model", str(tmp_path / "none.bin")]) == 2
    assert "none.bin cannot be read" in capsys.readouterr().err


def a_part(n_shifted, n_features=560, level="stable", n_now=5000):
    return {"n_shifted": n_shifted, "n_features": n_features, "score": {"level": level}, "n_now": n_now}


@pytest.mark.parametrize(("n_shifted", "is_unlike"), [(537, True), (140, True), (139, False), (0, False)])
def test_a_quarter_of_shifted_features_is_said_with_its_share(n_shifted, is_unlike):
    said = describe_unlike({"parts": {"readings": a_part(n_shifted)}})
    assert bool(said) is is_unlike
    if is_unlike:
        assert f"{n_shifted} of 560 features of their readings have shifted ({n_shifted / 560:.0%})" in said
