"""A utility's export in a real browser: upload, map, check, trial, the desk, by the process that the service starts."""

import sys
from pathlib import Path

import pytest

from benchmarks.helpers.exports import brazilian
from fairmeter.cli.imports import COMMAND, Launcher
from fairmeter.desk.import_files import ImportFiles
from fairmeter.desk.imports import Imports
from fairmeter.web.http.auth import THIS_MACHINE
from tests.builders.desk import desk_app

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "model.bin"
LONG = 120_000  # ms; a process starts for each step

pytestmark = pytest.mark.skipif(not MODEL.exists(), reason="model.bin is not there; train.py makes it")


@pytest.fixture
def desk(front, store, database_url, tmp_path):
    """A desk that starts the process of imports, as the service does."""
    settings = (f"DATABASE_URL={database_url}", f"MODEL_PATH={MODEL}", f"PYTHONPATH={ROOT}")

    def take_files(service) -> None:
        launch = Launcher(("/usr/bin/env", *settings, sys.executable, *COMMAND[1:]))
        service.imports = Imports(service.store, ImportFiles(tmp_path / "imports"), launch)

    with front.serving(desk_app(store, THIS_MACHINE, imports=take_files)) as served:
        yield served


@pytest.fixture
def visitor(desktop, desk):  # noqa: ARG001  the desk is served at its address
    return desktop.anew()


@pytest.fixture
def handset(phone, desk):  # noqa: ARG001
    return phone.anew()


@pytest.fixture
def export(tmp_path) -> Path:
    """A Brazilian file: a row a client, months beside each other, commas for decimals."""
    [path] = brazilian(tmp_path / "export").files.iterdir()
    return path


def uploaded(visitor, export) -> None:
    visitor.goto("/desk/import")
    visitor.page.set_input_files("input[type=file]", export)
    visitor.page.click("button:has-text('Upload')")
    visitor.page.wait_for_selector("textarea", timeout=LONG)


def test_an_export_with_decimal_commas_comes_to_the_desk_by_clicks_alone(visitor, store, export):
    page = visitor.page
    uploaded(visitor, export)
    assert 'decimal = ","' in page.input_value("textarea")
    assert page.input_value("select[aria-label='clients region Column']") == "Município"
    page.select_option("select[aria-label='clients district Column']", "Município")
    wrong = visitor.grave_violations()
    page.click("text=Save and check")
    page.wait_for_selector("text=As understood", timeout=LONG)
    assert 'district = "Município"' in page.input_value("textarea")
    page.click("text=Score as a trial")
    page.wait_for_selector("text=The first ten", timeout=LONG)
    assert store.count_profiles() == 0
    wrong += visitor.grave_violations()
    assert visitor.wider_than_its_window() <= 0
    page.click("text=Store at the desk")
    page.wait_for_selector("text=Stored: 40 clients", timeout=LONG)
    page.click("text=To the list")
    page.wait_for_selector("tbody >> text=Feira de Santana")
    assert store.count_profiles() == 40
    assert wrong == visitor.complaints == visitor.elsewhere == []


@pytest.mark.nightly
def test_the_report_draws_in_its_sandbox_and_reads_nothing_of_ours(visitor, export):
    uploaded(visitor, export)
    visitor.page.click("text=Save and check")
    visitor.page.wait_for_selector("text=The whole report", timeout=LONG)
    visitor.goto("/import/1/report")
    visitor.page.wait_for_selector(".plotly")
    assert visitor.page.evaluate("self.origin") == "null"
    assert visitor.elsewhere == []


@pytest.mark.nightly
def test_on_a_phone_a_wrong_map_is_shown_with_its_sentence(handset, export):
    uploaded(handset, export)
    handset.page.fill("textarea", "[redings]\n")
    handset.page.click("text=Save and check")
    handset.page.wait_for_selector("text=The map cannot be used yet")
    assert "[readings]" in handset.page.inner_text("#map-problems")
    assert handset.wider_than_its_window() <= 0
    assert handset.elsewhere == []
