"""A small utility with a model of its own, made once for all tests that need a real one."""

from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest
from hypothesis import settings
from pyarrow import parquet

import train
from fairmeter.data.tables import read_tables
from fairmeter.desk import demo_data, runs
from fairmeter.desk.service import DeskService
from fairmeter.features.invoices.matrix import FEATURE_NAMES, client_features
from fairmeter.models import model_file
from fairmeter.models.fraud_model import FraudModel
from fairmeter.simulation.utility import Utility, simulate, simulate_utility, write_zip
from fairmeter.store import Store
from fairmeter.training.dataset import Dataset
from tests.builders.browser import PHONE, Visitor, chromium, context
from tests.builders.desk import ForDesk
from tests.builders.pages import Served
from tests.builders.store import DATABASES, empty_database, shipped_rules

settings.register_profile("any machine", deadline=None)  # how long an example takes is asserted nowhere
settings.load_profile("any machine")

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
def small_study(small_utility) -> Dataset:
    """What the small model was trained on."""
    tables = read_tables(small_utility)
    evidence = client_features(tables.clients, tables.invoices)
    return Dataset.of("utility.zip", tables, evidence, FEATURE_NAMES)


@pytest.fixture(scope="session")
def metered_utility() -> Utility:
    """All tables of a utility with smart meters."""
    return simulate_utility(N_METERED, SEED, FRAUD_RATE)


@pytest.fixture(scope="session")
def demo_store(metered_utility, tmp_path_factory) -> Iterator[Store]:
    """That utility as `flask --app predict demo` loads it; read by many tests, changed by none."""
    folder = tmp_path_factory.mktemp("demo")
    write_zip(folder / "utility.zip", *metered_utility)
    with empty_database("sqlite", folder) as url:
        store, scorer = Store(url), ForDesk()
        store.migrate()
        keeping = DeskService(store, shipped_rules(), runs.Rescorer(scorer), runs.plan)
        n_clients = demo_data.load_demo(keeping, scorer, folder / "utility.zip", UTC)
        assert n_clients == len(metered_utility.clients["client_id"])
        yield store
        store.close()


@pytest.fixture(scope="session")
def metered(metered_utility, trained, tmp_path_factory) -> Metered:
    """`train.py --onto model.bin --readings readings.parquet --quick`, ended well."""
    folder = tmp_path_factory.mktemp("metered")
    made = Metered(folder / "utility.zip", folder / "readings.parquet", folder / "model.bin", folder / "report")
    write_zip(made.data, *metered_utility)
    write_labelled(metered_utility, made.readings)
    asked = ["--onto", trained.model, "--readings", made.readings, "--quick", "--out", made.model]
    assert train.main([str(word) for word in [*asked, "--report", made.report]]) == 0
    return made


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


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests that need one."""
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def desktop(browser, front) -> Visitor:
    return Visitor(context(browser), front.url)


@pytest.fixture(scope="session")
def phone(browser, front) -> Visitor:
    return Visitor(context(browser, PHONE), front.url)


@pytest.fixture(scope="session")
def front(browser) -> Iterator[Served]:  # noqa: ARG001  without a browser nothing is served
    """An address of this machine at which each test serves its own app."""
    server = Served()
    yield server
    server.close()


@pytest.fixture(params=DATABASES)
def database_url(request, tmp_path) -> Iterator[str]:
    """An empty database: once a file of SQLite, once a schema of PostgreSQL."""
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def store(database_url) -> Iterator[Store]:
    """A store with all its tables and nothing in them."""
    opened = Store(database_url)
    opened.migrate()
    yield opened
    opened.close()
