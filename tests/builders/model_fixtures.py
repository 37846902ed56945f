"""A small utility with a model of its own: made once a run, whatever the number of workers. For conftest files."""

import fcntl
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest
from pyarrow import parquet

import train
from fairmeter.data.tables import read_tables
from fairmeter.features.invoices.matrix import FEATURE_NAMES, client_features
from fairmeter.models import model_file
from fairmeter.models.fraud_model import FraudModel
from fairmeter.simulation.utility import Utility, simulate, simulate_utility, write_zip
from fairmeter.training.dataset import Dataset

__all__ = ["metered", "metered_model", "metered_utility", "small_dataset", "small_model", "small_utility", "trained"]

N_CLIENTS, FRAUD_RATE, SEED = 500, 0.2, 3
N_METERED = 300  # three in five of them have a smart meter


class Trained(NamedTuple):
    """What train.py read and what it wrote."""

    data: Path
    model: Path
    report: Path


class Metered(NamedTuple):
    """A utility with smart meters, its readings with labels, and what train.py wrote."""

    data: Path
    readings: Path
    model: Path
    report: Path


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder of this run that the first worker fills; the others wait until it is whole."""
    of_run = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        of_run = of_run.parent  # each worker has a folder of its own below that of the run
    folder, is_whole = of_run / name, of_run / f"{name}.whole"
    with (of_run / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_whole.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed half-way
            folder.mkdir()
            make(folder)
            is_whole.touch()
    return folder


def train_well(*arguments: object) -> None:
    assert train.main([str(argument) for argument in arguments]) == 0


# --- invoices ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def small_utility(tmp_path_factory) -> Path:
    """A zip of simulated clients, one in five a fraud, so that few clients are enough."""

    def make(folder: Path) -> None:
        write_zip(folder / "utility.zip", *simulate(N_CLIENTS, SEED, FRAUD_RATE))

    return made_once(tmp_path_factory, "small_utility", make) / "utility.zip"


@pytest.fixture(scope="session")
def trained(small_utility, tmp_path_factory) -> Trained:
    """`train.py utility.zip --quick`, ended well."""

    def make(folder: Path) -> None:
        train_well(small_utility, "--quick", "--out", folder / "model.bin", "--report", folder / "report")

    folder = made_once(tmp_path_factory, "trained", make)
    return Trained(small_utility, folder / "model.bin", folder / "report")


@pytest.fixture(scope="session")
def small_model(trained) -> FraudModel:
    return model_file.load(trained.model)


@pytest.fixture(scope="session")
def small_dataset(small_utility) -> Dataset:
    """What the small model was trained on."""
    tables = read_tables(small_utility)
    evidence = client_features(tables.clients, tables.invoices)
    return Dataset.from_tables("utility.zip", tables, evidence, FEATURE_NAMES)


# --- readings ---------------------------------------------------------------------------------------------------------


@cache  # several conftest files have this fixture
def simulated() -> Utility:
    return simulate_utility(N_METERED, SEED, FRAUD_RATE)


@pytest.fixture(scope="session")
def metered_utility() -> Utility:
    """All tables of a utility with smart meters."""
    return simulated()


@pytest.fixture(scope="session")
def metered(metered_utility, trained, tmp_path_factory) -> Metered:
    """`train.py --onto model.bin --readings readings.parquet --quick`, ended well."""

    def files(folder: Path) -> Metered:
        return Metered(folder / "utility.zip", folder / "readings.parquet", folder / "model.bin", folder / "report")

    def make(folder: Path) -> None:
        made = files(folder)
        write_zip(made.data, *metered_utility)
        write_labelled(metered_utility, made.readings)
        options = ["--quick", "--out", made.model, "--report", made.report]
        train_well("--onto", trained.model, "--readings", made.readings, *options)

    return files(made_once(tmp_path_factory, "metered", make))


def write_labelled(utility: Utility, path: Path) -> None:
    """The readings with their clients' labels, as one file."""
    clients, readings = utility.clients, utility.readings
    columns = {
        "client_id": clients["client_id"][readings["client"]].astype(str),
        "read_at": readings["read_at"].astype("datetime64[s]"),
        "consumption_kwh": readings["consumption_kwh"],
        "label": clients["label"][readings["client"]],
    }
    parquet.write_table(pa.table(columns), path)


@pytest.fixture(scope="session")
def metered_model(metered) -> FraudModel:
    """The small model with an ensemble on readings beside those on invoices."""
    return model_file.load(metered.model)
