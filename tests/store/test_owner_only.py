"""What is stored in files is its owner's alone, whatever the umask allows."""

import os
import stat
from contextlib import closing

import pytest

from fairmeter.desk.photos import Photos
from fairmeter.store import Store
from tests.builders.photos import a_photo


@pytest.fixture(autouse=True)
def _everything_is_allowed():
    before = os.umask(0)
    yield
    os.umask(before)


def mode_of(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_database_file_and_its_journal_are_its_owners_alone(tmp_path):
    with closing(Store(f"sqlite:///{tmp_path}/desk.db")) as store:
        store.migrate()
        store.secret("session")
        files = {path.name: mode_of(path) for path in tmp_path.iterdir()}
    assert {"desk.db", "desk.db-wal"} <= files.keys()
    assert set(files.values()) == {0o600}


def test_a_database_file_of_before_is_closed_to_others(tmp_path):
    path = tmp_path / "desk.db"
    path.touch(0o666)
    Store(f"sqlite:///{path}").close()
    assert mode_of(path) == 0o600


def test_photos_are_their_owners_alone(tmp_path):
    with Photos(tmp_path / "photos").saved([a_photo()]) as (name,):
        assert mode_of(tmp_path / "photos" / name) == 0o600
        assert mode_of(tmp_path / "photos") == 0o700
