"""Imports from the upload to the desk, by the process that the service starts, and as score.py --store writes them."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import score
from benchmarks.helpers.exports import brazilian
from fairmeter.cli.import_steps import ImportSteps, hash_of_headers
from fairmeter.cli.imports import COMMAND, DONE, Launcher, work_on_steps
from fairmeter.desk import runs
from fairmeter.desk.import_files import ImportFiles
from fairmeter.desk.imports import Imports
from fairmeter.planning.recovery import BILLABLE_MONTHS
from fairmeter.store import Store
from tests.builders.waiting import wait_until


class Desk:
    """A desk over a database file, whose steps are done in this process."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.url = f"sqlite:///{folder / 'desk.db'}"
        self.store, self.files = runs.open_store(self.url), ImportFiles(folder / "imports")
        steps = ImportSteps(self.store, self.files, model, None, runs.RULES, BILLABLE_MONTHS)
        self.run = steps.run
        self.imports = Imports(self.store, self.files, self.do)

    def do(self) -> None:
        work_on_steps(self.store, lambda claim, tell: self.run(claim, tell), lambda: None)

    def begin(self, *paths: Path):
        uploads = [(path.name, path.open("rb")) for path in paths]
        found = self.imports.begin("anna", uploads)
        for _, stream in uploads:
            stream.close()
        return self.found(found)

    def found(self, found):
        return self.store.find_import(found.import_id, "anna")

    def ask(self, found, *steps: str):
        for step in steps:
            self.imports.ask("anna", found.import_id, step)
        return self.found(found)


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    return brazilian(tmp_path_factory.mktemp("brazil"))


@pytest.fixture
def desk(tmp_path, trained):
    opened = Desk(tmp_path, trained.model)
    yield opened
    opened.store.close()


@pytest.fixture
def uploaded(desk, export):
    return desk.begin(*export.files.iterdir())


def contents(store: Store) -> list[str]:
    """What a run leaves of each client, whenever it was."""
    profiles = (store.find_profile(client_id) for client_id in sorted(store.newest_scores()))
    return [repr((p.score, p.client, p.facts, p.series and p.series.kwh.tolist())) for p in profiles]


def test_the_files_of_a_utility_come_to_the_desk_as_score_py_stores_them(
    desk, uploaded, export, tmp_path, monkeypatch, trained
):
    assert (uploaded.state, uploaded.error) == ("mapped", None)
    assert 'decimal = ","' in uploaded.map_text
    stored = desk.ask(uploaded, "check", "score", "confirm")
    assert (stored.state, stored.error) == ("stored", None)
    (tmp_path / "guessed.toml").write_text(uploaded.map_text, encoding="utf-8")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'other.db'}")
    monkeypatch.setenv("MODEL_PATH", str(trained.model))
    monkeypatch.chdir(tmp_path)
    arguments = [*map(str, export.files.iterdir()), "--map", "guessed.toml", "--store"]
    assert score.main(arguments) == 0
    with closing(Store(os.environ["DATABASE_URL"])) as other:
        assert contents(desk.store) == contents(other)
        assert len(contents(other)) == stored.outcome["n_profiles"] == 40


def test_a_trial_shows_what_would_come_and_replaces_nothing(desk, uploaded):
    found = desk.ask(uploaded, "check", "score")
    assert (found.trial["n_clients"], len(found.trial["first"])) == (40, 10)
    assert sum(found.trial["n_by_severity"].values()) == 40
    assert found.trial["drift"]
    assert desk.store.count_profiles() == 0
    assert desk.store.list_runs(1) == []


def test_the_check_shows_three_rows_and_leaves_a_private_report(desk, uploaded):
    found = desk.ask(uploaded, "check")
    samples = found.checked["tables"][0]["samples"]
    assert len(samples) == 3
    assert samples[0]["found"]["Instalação"] == samples[0]["understood"]["client_id"]
    report = desk.imports.report("anna", found.import_id)
    assert report.stat().st_mode & 0o777 == 0o600
    assert "plotly" in report.read_text(encoding="utf-8").lower()


def test_no_path_of_the_server_is_on_the_page(desk, uploaded):
    wrong = '[invoices]\nclient_id = "No"\ninvoice_on = "Nothing"\nconsumption = "Nil"\n'
    desk.imports.set_map("anna", uploaded.import_id, wrong)
    found = desk.ask(uploaded, "check")
    assert found.checked["exit_code"] == 2
    assert str(desk.files.folder) not in repr((found.checked, found.headers, found.error))


def test_a_confirmed_map_is_offered_for_the_next_files_with_such_headers(desk, uploaded, export):
    mine = export.map.read_text(encoding="utf-8") + "# mine\n"
    desk.imports.set_map("anna", uploaded.import_id, mine)
    desk.ask(uploaded, "check", "score")
    assert desk.begin(*export.files.iterdir()).kept is None
    desk.ask(uploaded, "confirm")
    again = desk.begin(*export.files.iterdir())
    assert again.map_text == mine
    assert again.kept["by"] == "anna"
    assert again.guess != mine


def test_what_was_stored_is_removed_from_the_disk(desk, uploaded):
    desk.ask(uploaded, "check", "score", "confirm")
    assert list(desk.files.folder.iterdir()) == []


def test_scores_that_differ_from_those_of_the_trial_are_not_stored(desk, uploaded):
    found = desk.ask(uploaded, "check", "score")
    path = desk.files.sources(found.folder, [found.files[0]["name"]], False)[0]
    path.write_bytes(path.read_bytes().replace(b";RESIDENCIAL;", b";COMERCIAL;").replace(b"0000000017", b"0000000016"))
    refused = desk.ask(found, "confirm")
    assert refused.state == "scored"
    assert "not those of the trial" in refused.error
    assert desk.store.count_profiles() == 0


def test_a_run_that_judges_far_fewer_clients_is_stored_only_where_that_is_accepted(desk, uploaded, export, tmp_path):
    desk.ask(uploaded, "check", "score", "confirm")
    [path] = export.files.iterdir()
    (tmp_path / path.name).write_bytes(b"\r\n".join(path.read_bytes().split(b"\r\n")[:11]))
    found = desk.begin(tmp_path / path.name)
    refused = desk.ask(found, "check", "score", "confirm")
    assert (refused.state, refused.trial["n_clients"]) == ("scored", 10)
    assert "accept_fewer" in refused.error
    desk.imports.ask("anna", found.import_id, "confirm", accept_fewer=True)
    assert desk.found(found).state == "stored"


def test_an_import_that_was_cancelled_meanwhile_is_not_stored(desk, uploaded, monkeypatch):
    desk.ask(uploaded, "check", "score")
    monkeypatch.setattr(desk.store, "beat_step", lambda *_args, **_kwargs: False)
    refused = desk.ask(uploaded, "confirm")
    assert desk.store.count_profiles() == 0
    assert "cancelled" in (refused.error or "cancelled")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b""),
        ("a.csv", b"\0\1\2" * 99),
        ("a.zip", b"PK\3\4"),
        ("a.pdf", b"%PDF"),
        ("a.xlsx", b"no"),
        ("a.txt", b"hello"),
    ],
)
def test_files_that_are_no_tables_end_in_a_sentence(desk, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    found = desk.begin(tmp_path / name)
    if found.error is None:
        found = desk.ask(found, "check")
        assert found.error or found.checked["exit_code"] == 2
    assert "Error" not in (found.error or "")


def test_numbers_in_names_of_columns_do_not_count_for_the_kept_map():
    of_january, of_march = ({"columns": ["Nr", f"01/{year}", "PONTO 1"]} for year in (2021, 2022))
    assert hash_of_headers([of_january]) == hash_of_headers([of_march]) != hash_of_headers([{"columns": ["Nr"]}])


# --- the process ------------------------------------------------------------------------------------------------------


@pytest.fixture
def started(desk, trained):
    """Starts the process that the service starts, with the service's settings."""
    environment = dict(os.environ) | {"DATABASE_URL": desk.url, "MODEL_PATH": str(trained.model)}

    def start(*command: str) -> subprocess.Popen:
        return subprocess.Popen(command or COMMAND, env=environment, cwd=Path(score.__file__).parent)

    return start


def test_the_process_does_what_waits_and_ends(desk, export, started):
    desk.imports._launch = lambda: None
    waiting = [desk.begin(*export.files.iterdir()) for _ in range(2)]
    assert started().wait(timeout=300) == DONE
    assert {desk.found(each).state for each in waiting} == {"mapped"}


def test_a_process_that_is_asked_to_end_leaves_a_step_that_can_be_asked_for_again(desk, export, started):
    desk.imports._launch = lambda: None
    waiting = desk.begin(*export.files.iterdir())
    sleeps = "imports.ImportSteps.run = lambda *_: time.sleep(600)"
    code = f"import time; from fairmeter.cli import imports; {sleeps}; imports.main()"
    process = started(sys.executable, "-c", code)
    wait_until(lambda: desk.found(waiting).is_running, 120)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == DONE
    stopped = desk.found(waiting)
    assert (stopped.state, stopped.step) == ("uploaded", None)
    assert "Start the step again" in stopped.error


def test_the_process_needs_nothing_that_only_training_has():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('rich', 'pandas', 'sklearn', 'tensorflow'))); "
        "import fairmeter.cli.imports, fairmeter.checks.check_files, fairmeter.reports.check_report; "
        "from fairmeter.data.guess import guess_map"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(score.__file__).parent)


def test_a_launcher_starts_one_process_at_a_time(tmp_path):
    mark = f"import time; open(r'{tmp_path}/' + str(time.time_ns()), 'w'); time.sleep(1)"
    launch = Launcher((sys.executable, "-c", mark))
    launch()
    launch()
    wait_until(lambda: launch._process.poll() is not None, 60)
    assert len(list(tmp_path.iterdir())) == 1
    launch()
    wait_until(lambda: launch._process.poll() is not None, 60)
    assert len(list(tmp_path.iterdir())) == 2
