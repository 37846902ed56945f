"""A service that goes on: a new model under load, a fresh worker, an end that finishes what is under way."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from threading import Event

import psutil
import pytest
import requests

from benchmarks.helpers.bodies import as_json
from benchmarks.helpers.servers import Connection, got, posted, served
from fairmeter.models import model_file
from tests.builders.service import a_body
from tests.builders.waiting import wait_until

LONGEST = 60  # seconds
FORMER, NEW = "1.former", "2.new"
N_CLIENTS = 4000  # of a batch that takes a while


@pytest.fixture
def model_path(small_model, tmp_path):
    """A model of its own, under its former version."""
    return versioned(small_model, tmp_path / "model.bin", FORMER)


def versioned(model, path, version):
    model_file.save(replace(model, manifest=model.manifest | {"version": version}), path)
    return path


def workers_of(server):
    return {process.pid for process in psutil.Process(server.pid).children()}


def version_of(answer):
    return json.loads(answer)["model"]["version"]


# --- SIGHUP -----------------------------------------------------------------------------------------------------------


class Caller:
    """Asks until it is told to stop; every failure is raised. [keeps: one connection, as long as the service does]"""

    def __init__(self, port, keeps):
        self.versions, self._port, self._session = [], port, requests.Session()
        self._headers = {} if keeps else {"Connection": "close"}

    def ask(self, is_enough):
        at = f"http://127.0.0.1:{self._port}/predict?reasons=0"
        while not is_enough():
            answer = self._session.post(at, json=a_body(), headers=self._headers, timeout=LONGEST)
            assert answer.status_code == 200, answer.text
            self.versions.append(version_of(answer.content))


def test_a_new_model_is_taken_at_sighup_without_a_failed_request_and_versions_change_once(small_model, model_path):
    settings = {"MODEL_PATH": str(model_path), "LOG_LEVEL": "ERROR"}
    with served("predict:app", **settings) as server, ThreadPoolExecutor(6) as threads:
        callers, enough = [Caller(server.port, keeps=i % 2 == 0) for i in range(6)], Event()
        asking = [threads.submit(caller.ask, enough.is_set) for caller in callers]
        try:
            wait_until(lambda: all(len(caller.versions) > 5 for caller in callers))
            former = workers_of(server)
            versioned(small_model, model_path, NEW)
            os.kill(server.pid, signal.SIGHUP)
            wait_until(
                lambda: all(caller.versions.count(NEW) > 5 for caller in callers) or any(a.done() for a in asking)
            )
        finally:
            enough.set()
        assert [told.result() for told in asking] == [None] * len(callers)
        wait_until(lambda: not workers_of(server) & former)
    assert [[version for version, _ in groupby(caller.versions)] for caller in callers] == [[FORMER, NEW]] * 6


def test_a_damaged_model_at_sighup_is_refused_in_a_sentence_and_the_former_one_goes_on(
    small_model, model_path, tmp_path
):
    settings = {"MODEL_PATH": str(model_path), "LOG_LEVEL": "ERROR"}
    log, request = tmp_path / "log", posted("/predict?reasons=0", as_json(a_body()))
    with (
        log.open("wb") as stream,
        served("predict:app", log=stream, **settings) as server,
        Connection(server.port) as asker,
    ):
        former = workers_of(server)
        good = model_path.read_bytes()
        model_path.write_bytes(good[:-100])
        os.kill(server.pid, signal.SIGHUP)
        wait_until(lambda: "Not reloaded" in log.read_text())
        assert f"{model_path} " in log.read_text(), "the sentence of the start stands before it"
        assert workers_of(server) == former
        assert version_of(asker.ask(request)) == FORMER
        os.kill(*former, signal.SIGKILL)
        wait_until(lambda: workers_of(server) and not workers_of(server) & former)
        with Connection(server.port) as another:
            assert version_of(another.ask(request)) == FORMER, "a worker that begins now has the last good model too"
        former = workers_of(server)

        versioned(small_model, model_path, NEW)
        os.kill(server.pid, signal.SIGHUP)
        wait_until(lambda: not workers_of(server) & former)
        with Connection(server.port) as another:
            assert version_of(another.ask(request)) == NEW


# --- max_requests -----------------------------------------------------------------------------------------------------

ENOUGH = {"LOG_LEVEL": "ERROR", "GUNICORN_CMD_ARGS": "--max-requests 40"}


@pytest.mark.nightly
def test_a_worker_that_answered_enough_makes_way_for_a_fresh_one_without_a_failed_request(model_path):
    with served("predict:app", MODEL_PATH=str(model_path), **ENOUGH) as server, ThreadPoolExecutor(2) as threads:
        callers, enough = [Caller(server.port, keeps) for keeps in (True, False)], Event()
        former, asking = workers_of(server), [threads.submit(caller.ask, enough.is_set) for caller in callers]
        try:
            wait_until(lambda: not workers_of(server) & former or any(told.done() for told in asking))
            by_then = [len(caller.versions) for caller in callers]
            wait_until(lambda: all(len(c.versions) > n + 5 for c, n in zip(callers, by_then, strict=True)))
        finally:
            enough.set()
        assert [told.result() for told in asking] == [None, None]


@pytest.mark.nightly
def test_a_worker_that_answered_enough_finishes_a_batch_while_others_are_answered(model_path):
    request = posted("/batch", as_json([a_body(f"c-{i}") for i in range(N_CLIENTS)]))
    with (
        served("predict:app", MODEL_PATH=str(model_path), MAX_CLIENTS=str(N_CLIENTS), **ENOUGH) as server,
        Connection(server.port) as asker,
        Connection(server.port) as other,
        ThreadPoolExecutor(1) as threads,
    ):
        former = workers_of(server)
        answer, n_answered = threads.submit(asker.ask, request), 0
        while not answer.done():
            assert other.ask(got("/health"))
            n_answered += 1
        assert n_answered > 60, "the batch was too small to be under way when enough were answered"
        assert len(json.loads(answer.result())["results"]) == N_CLIENTS
        wait_until(lambda: workers_of(server) and not workers_of(server) & former)


@pytest.mark.nightly
def test_a_worker_that_answered_enough_goes_on_where_a_fresh_one_would_not_start(model_path, tmp_path):
    log = tmp_path / "log"
    with log.open("wb") as stream, served("predict:app", log=stream, MODEL_PATH=str(model_path), **ENOUGH) as server:
        former = workers_of(server)
        model_path.write_bytes(model_path.read_bytes()[:-100])
        with Connection(server.port) as asker:
            for times in (1, 2):
                for _ in range(50):
                    assert asker.ask(got("/health"))
                wait_until(lambda: log.read_text().count("Not reloaded") == times)  # noqa: B023  (called at once)
        assert workers_of(server) == former


# --- SIGTERM ----------------------------------------------------------------------------------------------------------


def test_what_is_under_way_is_finished_at_sigterm_and_nothing_new_is_taken(model_path):
    settings = {"MODEL_PATH": str(model_path), "LOG_LEVEL": "ERROR", "MAX_CLIENTS": str(N_CLIENTS)}
    request = posted("/batch", as_json([a_body(f"c-{i}") for i in range(N_CLIENTS)]))
    with (
        served("predict:app", **settings) as server,
        Connection(server.port) as asker,
        ThreadPoolExecutor(1) as threads,
    ):
        (worker,) = workers_of(server)
        used = psutil.Process(worker).cpu_times().user
        answer = threads.submit(asker.ask, request)
        wait_until(lambda: psutil.Process(worker).cpu_times().user > used + 0.05)
        assert not answer.done(), "the batch was too small to be under way"
        os.kill(server.pid, signal.SIGTERM)
        assert len(json.loads(answer.result(LONGEST))["results"]) == N_CLIENTS
        wait_until(lambda: not psutil.pid_exists(worker))
        with pytest.raises(ConnectionRefusedError), Connection(server.port) as late:
            late.ask(got("/health"))


# --- connections that say nothing -------------------------------------------------------------------------------------


def test_idle_connections_neither_delay_a_request_nor_the_end(model_path):
    """A worker that stops has ten minutes here: it is gone much sooner, as nothing is under way."""
    settings = {"MODEL_PATH": str(model_path), "LOG_LEVEL": "ERROR", "GUNICORN_CMD_ARGS": "--graceful-timeout 600"}
    with served("predict:app", **settings) as server:
        idle = [Connection(server.port) for _ in range(12)]
        with Connection(server.port) as asker:
            assert asker.ask(got("/health"))
        (worker,) = workers_of(server)
        os.kill(server.pid, signal.SIGTERM)
        wait_until(lambda: not psutil.pid_exists(worker), LONGEST)
        for connection in idle:
            connection.__exit__()
