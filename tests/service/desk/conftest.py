"""A desk with the demonstration's data, for tests that only read it."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC

import pytest

from fairmeter.desk import demo_data, runs
from fairmeter.desk.service import DeskService
from fairmeter.simulation.utility import write_zip
from fairmeter.store import Store
from tests.builders.desk import ForDesk
from tests.builders.store import shipped_rules


@pytest.fixture(scope="session")
def demo_store(templates, metered_utility, tmp_path_factory) -> Iterator[Store]:
    """That utility as `flask --app predict demo` loads it; read by many tests, changed by none."""
    folder = tmp_path_factory.mktemp("demo")
    write_zip(folder / "utility.zip", *metered_utility)
    with templates.copied("sqlite", folder) as url, closing(Store(url)) as store:
        scorer = ForDesk()
        service = DeskService(store, shipped_rules(), runs.Rescorer(scorer), runs.plan_visits)
        n_clients = demo_data.load_demo(service, scorer, folder / "utility.zip", UTC)
        assert n_clients == len(metered_utility.clients["client_id"])
        yield store
