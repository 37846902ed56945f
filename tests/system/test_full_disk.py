"""A disk that is full or read-only: one sentence, the old files stay, and all goes on when there is room again."""

import os
import re
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

import score
from fairmeter.models import model_file
from fairmeter.store import Store, StoreUnavailable
from fairmeter.web.http.auth import EVERYBODY
from tests.builders.desk import desk_app, opened, recorded, some_readings
from tests.builders.service import a_body, error_in
from tests.builders.store import score_of, write

ROOM = 4 * 2**20  # bytes of the whole disk


class Disk:
    """A little file system of its own, on which a file takes what room there is."""

    def __init__(self, path: Path) -> None:
        self.path, self._ballast = path, path / "ballast"

    def fill(self) -> None:
        with self._ballast.open("wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(4096))
            except OSError:
                return

    def free(self) -> None:
        self._ballast.unlink()

    def lock(self, is_locked: bool = True) -> None:
        """Nobody writes there, root neither."""
        self._run("mount", "-o", f"remount,{'ro' if is_locked else 'rw'}", str(self.path))

    def mount(self) -> None:
        self._run("mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(self.path))

    def unmount(self) -> None:
        self._run("umount", "--lazy", str(self.path))

    @staticmethod
    def _run(*command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"{command[0]} is not allowed here: {done.stderr.strip()}")

    def files(self) -> dict[str, bytes]:
        return {
            str(file.relative_to(self.path)): file.read_bytes()
            for file in self.path.rglob("*")
            if file.is_file() and file != self._ballast
        }


@pytest.fixture
def disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root may mount a disk to fill")
    folder = tmp_path / "disk"
    folder.mkdir()
    small = Disk(folder)
    small.mount()
    yield small
    small.unmount()


@pytest.fixture(params=["full", "read-only"])
def spoiled(request, disk):
    """What makes the disk unusable, and what makes it well again."""
    if request.param == "full":
        return disk.fill, disk.free
    return disk.lock, lambda: disk.lock(False)


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_model_that_finds_no_room_leaves_the_old_one_whole(disk, spoiled, small_model):
    spoil, mend = spoiled
    path = disk.path / "model.bin"
    model_file.save(small_model, path)
    before = disk.files()
    spoil()
    with pytest.raises(OSError, match=r"No space left on device|Read-only file system"):
        model_file.save(small_model, path)
    assert disk.files() == before
    assert model_file.load(path).manifest == small_model.manifest
    mend()
    model_file.save(small_model, path)


def test_a_list_that_finds_no_room_is_one_sentence_and_the_old_list_stays(disk, spoiled, trained, monkeypatch, capsys):
    spoil, mend = spoiled
    monkeypatch.setenv("MODEL_PATH", str(trained.model))
    command = [str(word) for word in (trained.data, "--out", disk.path / "scores.csv", "--report", disk.path / "run")]
    assert score.main(command) == 0
    before = disk.files()
    assert {"scores.csv", "run/report.html", "run/drift.json"} <= before.keys()
    spoil()
    capsys.readouterr()
    assert score.main(command) == score.BAD_USE
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1, said
    assert re.search(r"cannot be written|can be written to; name another", said[0])
    assert disk.files() == before
    mend()
    assert score.main(command) == 0


# --- the desk ---------------------------------------------------------------------------------------------------------


def test_a_desk_without_room_goes_on_telling_and_scoring_and_keeps_again_when_there_is(disk):
    with closing(Store(f"sqlite:///{disk.path}/desk.db")) as store:
        store.migrate()
        desk = desk_app(store, EVERYBODY).test_client()
        recorded(desk, ["c-1", "c-2"], {})
        opened(desk, "c-1", {})
        before = desk.get("/clients").json, desk.get("/cases").json
        disk.fill()
        for n in range(500):  # until the room that SQLite holds already is used up
            answer = desk.post("/readings", json=some_readings(f"m-{n}", n_days=28))
            if answer.status_code != 200:
                break
        error = error_in(answer, 503)
        assert error["code"] == "store_unavailable"
        assert "disk is full" in error["message"]
        assert error_in(desk.get("/ready"), 503)["code"] == "disk_full"
        assert desk.get("/ready/scoring").status_code == 200
        assert (desk.get("/cases").json, desk.post("/predict", json=a_body()).status_code) == (before[1], 200)
        kept = {row["client_id"] for row in desk.get("/clients?limit=1000").json["rows"]}
        assert kept >= {"c-1", "c-2"}
        assert f"m-{n}" not in kept, "half of a batch was kept"
        disk.free()
        assert desk.get("/ready").status_code == 200
        assert desk.post("/readings", json=some_readings(f"m-{n}", n_days=28)).status_code == 200
        assert desk.get("/cases").json == before[1]


def test_a_database_file_that_may_grow_no_more_is_unavailable_and_leaves_what_was_there(tmp_path):
    """Needs no disk of its own: SQLite says the same where its file may not grow."""
    with closing(Store(f"sqlite:///{tmp_path}/desk.db")) as store:
        store.migrate()
        write(store, score_of("c-0"))
        with store.writing() as connection:
            n_pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {n_pages + 4}")
        with pytest.raises(StoreUnavailable, match="database or disk is full"):
            write(store, *(score_of(f"c-{i}", 0.9, "critical") for i in range(2000)))
        assert [row.client_id for row in store.list_profiles().rows] == ["c-0"]
        assert sum(store.count_alerts().values()) == 1
