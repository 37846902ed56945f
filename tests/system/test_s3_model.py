"""A model in a bucket of S3, over HTTP: fetched, exchanged at a reload, and refused without harm where it is damaged.

The bucket is moto's server (`pip install moto[server]`), which speaks S3 on this machine alone.
"""

import os
import shutil
import signal
import socket
import subprocess
from dataclasses import replace

import psutil
import pytest

from benchmarks.helpers.servers import free_port, served
from fairmeter.models import model_file
from fairmeter.models.remote_files import fetch
from tests.builders.service import version_at
from tests.builders.waiting import wait_until

MOTO = shutil.which("moto_server")
FORMER, NEW = "1.former", "2.new"
ADDRESS = "s3://models/fraud/model.bin"

pytestmark = [pytest.mark.nightly, pytest.mark.skipif(MOTO is None, reason="moto's server of S3 is not there")]


@pytest.fixture
def bucket(monkeypatch):
    """A file system of S3 with an empty bucket."""
    s3fs = pytest.importorskip("s3fs")
    port = free_port()
    settings = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in (settings | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}).items():
        monkeypatch.setenv(name, value)
    process = subprocess.Popen([MOTO, "-H", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: is_listening(port))
        files = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
        files.mkdir("models")
        yield files
    finally:
        process.terminate()
        process.wait()


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def put(bucket, small_model, tmp_path):
    """Puts a version of the model into the bucket; `damage` changes its bytes, not its seal."""

    def put_version(version, damage=lambda data: data):
        path = tmp_path / "model.bin"
        model_file.save(replace(small_model, manifest=small_model.manifest | {"version": version}), path)
        path.write_bytes(damage(path.read_bytes()))
        for suffix in ("", ".sha256"):
            bucket.put(f"{path}{suffix}", f"{ADDRESS}{suffix}")

    return put_version


def workers_of(server):
    return {process.pid for process in psutil.Process(server.pid).children()}


def test_a_model_of_a_bucket_is_served_exchanged_and_kept_whatever_becomes_of_the_bucket(bucket, put, tmp_path):
    put(FORMER)
    log = tmp_path / "log"
    with log.open("wb") as stream, served("predict:app", log=stream, MODEL_PATH=ADDRESS, LOG_LEVEL="ERROR") as server:
        assert version_at(server.port) == FORMER

        former = workers_of(server)
        put(NEW)
        os.kill(server.pid, signal.SIGHUP)
        wait_until(lambda: not workers_of(server) & former)
        assert version_at(server.port) == NEW

        put("3.damaged", lambda data: data[:-100])
        os.kill(server.pid, signal.SIGHUP)
        wait_until(lambda: "Not reloaded" in log.read_text())
        bucket.rm("models", recursive=True)
        (worker,) = former = workers_of(server)
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: workers_of(server) and not workers_of(server) & former)
        wait_until(lambda: is_listening(server.port))
        assert version_at(server.port) == NEW


def test_what_is_wrong_with_a_bucket_is_said_in_a_sentence(bucket, tmp_path, monkeypatch):
    for address in (ADDRESS, "s3://elsewhere/model.bin"):
        with pytest.raises(model_file.ModelError, match="see that it is there, and the rights"):
            fetch(address, tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    bucket.clear_instance_cache()
    with pytest.raises(model_file.ModelError, match=r"EndpointConnectionError"):
        fetch(ADDRESS, tmp_path)
