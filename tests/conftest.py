"""A small utility with a model of its own, made once for all tests that need a real one."""

from pathlib import Path
from typing import NamedTuple

import pytest

import train
from features import FEATURE_NAMES, client_features
from fraud import model_file
from fraud.model import FraudModel
from fraud.simulate import simulate, write_zip
from fraud.study import Study
from fraud.tables import read_tables

N_CLIENTS, FRAUD_RATE, SEED = 500, 0.2, 3


class Trained(NamedTuple):
    """What train.py read and what it wrote."""

    data: Path
    model: Path
    report: Path


@pytest.fixture(scope="session")
def small_utility(tmp_path_factory) -> Path:
    """A zip of simulated clients, one in five a fraud, so that few clients are enough."""
    path = tmp_path_factory.mktemp("utility") / "utility.zip"
    write_zip(path, *simulate(N_CLIENTS, SEED, FRAUD_RATE))
    return path


@pytest.fixture(scope="session")
def trained(small_utility, tmp_path_factory) -> Trained:
    """`train.py utility.zip --quick`, ended well."""
    folder = tmp_path_factory.mktemp("trained")
    made = Trained(small_utility, folder / "model.bin", folder / "report")
    asked = [made.data, "--quick", "--out", made.model, "--report", made.report]
    assert train.main([str(word) for word in asked]) == 0
    return made


@pytest.fixture(scope="session")
def small_model(trained) -> FraudModel:
    return model_file.load(trained.model)


@pytest.fixture(scope="session")
def small_study(small_utility) -> Study:
    """What the small model was trained on."""
    tables = read_tables(small_utility)
    evidence = client_features(tables.clients, tables.invoices)
    return Study.of("utility.zip", tables, evidence, FEATURE_NAMES)
