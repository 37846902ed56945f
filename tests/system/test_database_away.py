"""A database that is away when the service starts: clients are scored, and the desk opens once it is there."""

import os
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests

from benchmarks.helpers.servers import free_port
from fairmeter.scoring import examples
from fairmeter.store import Store
from tests.builders.desk import PASSWORD, add_user
from tests.builders.postgresql import own_cluster
from tests.builders.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "model.bin").exists(), reason="model.bin is not there; train.py makes it")
LONGEST = 60  # seconds


@contextmanager
def started(url: str):
    """A service that answers /health; where it is."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--log-level", "error", "predict:app"]
    environment = os.environ | {"DATABASE_URL": url, "LOG_LEVEL": "ERROR"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    at = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: status(at, "/health") == 200 or process.poll() is not None, LONGEST)
        yield at
    finally:
        process.terminate()
        process.wait()


def status(at: str, path: str) -> int | None:
    try:
        return requests.get(at + path, timeout=LONGEST, allow_redirects=False).status_code
    except requests.ConnectionError:
        return None


def test_the_service_scores_without_its_database_and_the_desk_opens_once_it_is_there():
    with own_cluster() as cluster:
        cluster.control("stop", "-m", "immediate")
        try:
            with started(cluster.url) as at:
                scored = requests.post(at + "/predict", json=examples.RAW, timeout=LONGEST)
                assert (status(at, "/health"), scored.status_code, status(at, "/ready/scoring")) == (200, 200, 200)
                away = requests.get(at + "/clients", timeout=LONGEST)
                assert (away.status_code, away.json()["error"]["code"]) == (503, "store_unavailable")
                assert away.headers["Retry-After"]
                desk = ("/ready", "/session", "/desk/", "/desk/sign-in", "/metrics")
                assert [status(at, path) for path in desk] == [503] * len(desk)
                cluster.control("start")
                wait_until(lambda: status(at, "/ready") == 200, LONGEST)
                assert status(at, "/desk/sign-in") == 200
                with closing(Store(cluster.url)) as store:
                    add_user(store)
                browser = requests.Session()
                right = {"name": "anna", "password": PASSWORD}
                assert browser.post(at + "/session", json=right, timeout=LONGEST).status_code == 200
                assert browser.get(at + "/clients", timeout=LONGEST).status_code == 200
        finally:
            cluster.control("restart", "-m", "immediate")  # own_cluster stops what runs
