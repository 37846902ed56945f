"""A model at an address: fetched at the start, and there for later workers whatever becomes of the address."""

import os
import signal

import psutil
import pytest

from benchmarks.helpers.servers import served
from fairmeter.models import model_file
from tests.builders.service import version_at
from tests.builders.waiting import wait_until

LONGEST = 60  # seconds


@pytest.mark.nightly
def test_a_worker_that_is_killed_while_the_address_is_away_is_followed_by_one_with_the_same_model(
    small_model, tmp_path
):
    place = tmp_path / "bucket" / "model.bin"
    place.parent.mkdir()
    model_file.save(small_model, place)
    with served("predict:app", MODEL_PATH=f"file://{place}", LOG_LEVEL="ERROR") as server:
        version = version_at(server.port)
        model_file.remove(place)
        (worker,) = psutil.Process(server.pid).children()
        os.kill(worker.pid, signal.SIGKILL)

        def is_back():
            try:
                return version_at(server.port) == version
            except OSError:
                return False

        wait_until(is_back, LONGEST)
