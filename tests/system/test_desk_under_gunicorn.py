"""The desk as it runs: workers of gunicorn over one database, of which one is killed at its work."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from benchmarks.helpers.servers import NOT_PASSED_ON, DidNotStart, served
from fairmeter.scoring import examples
from fairmeter.store import Store
from fairmeter.web.http.auth import INVESTIGATOR
from tests.builders.desk import with_key
from tests.builders.store import score_of, shipped_rules
from tests.builders.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
N_CASES, N_MOVES, N_READINGS = 20, 200, 200
LONGEST = 60  # seconds
CLOSE = {"Connection": "close"}  # the next request may go to another worker, and no worker waits for us at its end
SETTINGS = ("DATABASE_URL", "OPEN", "API_KEY", "SECRET_KEY", "NOTIFY_URLS", "MQTT_URL", *NOT_PASSED_ON)
needs_model = pytest.mark.skipif(not (ROOT / "model.bin").exists(), reason="model.bin is not there; train.py makes it")
pytestmark = needs_model


def environment(**values):
    return {name: value for name, value in os.environ.items() if name not in SETTINGS} | values


def flask(*arguments, stdin="", **values):
    """`flask --app predict ...`, ended."""
    command = [sys.executable, "-m", "flask", "--app", "predict", *arguments]
    options = {"cwd": ROOT, "env": environment(**values), "input": stdin, "capture_output": True, "text": True}
    return subprocess.run(command, **options, timeout=LONGEST)


# --- killed -----------------------------------------------------------------------------------------------------------


class Script:
    """Posts, and tries again where a worker was killed before it answered."""

    def __init__(self, port, headers):
        self._at, self._headers = f"http://127.0.0.1:{port}", headers
        self.n_broken = 0

    def ask(self, method, path, body=None):
        """The answer; nothing where it is not known whether a move was done."""
        answers = []

        def is_done():
            try:
                asked = self._at + path
                answers.append(requests.request(method, asked, json=body, headers=self._headers, timeout=LONGEST))
            except requests.RequestException:
                self.n_broken += 1
                if method == "POST" and path.startswith("/cases"):
                    answers.append(None)
            return answers

        return wait_until(is_done, LONGEST)[0]


def move_along(script, case_id):
    """Assigns a case and gives it back, again and again; the reasons of the moves that were acknowledged."""
    acknowledged = []
    for i in range(N_MOVES // N_CASES):
        case = script.ask("GET", f"/cases/{case_id}").json()
        to, why = ("assigned" if case["state"] == "new" else "new"), f"move {i} of {case_id}"
        body = {"to": to, "why": why, "version": case["version"], "assignee": "anna"}
        answer = script.ask("POST", f"/cases/{case_id}/moves", body)
        if answer is not None:
            assert answer.status_code == 200, answer.text
            acknowledged.append(why)
    return acknowledged


def send_reading(script, i):
    reading = {"client_id": f"m-{i % 7}", "read_at": f"2014-{1 + i // 28:02d}-{1 + i % 28:02d}", "consumption_kwh": i}
    answer = script.ask("POST", "/readings", {"readings": [reading]})
    assert answer.status_code == 200, answer.text
    return answer.json()["n_new"] + answer.json()["n_duplicate"]


def kill_workers(server, when):
    """Kills a worker, and the one that is there some time later."""
    for wait in when:
        time.sleep(wait)
        workers = psutil.Process(server.pid).children()
        if workers:
            os.kill(workers[0].pid, signal.SIGKILL)


@pytest.mark.nightly
def test_what_was_acknowledged_is_there_once_though_workers_are_killed(database_url):
    store = Store(database_url)
    store.migrate()
    headers = with_key(store, INVESTIGATOR)
    store.write_run([score_of(f"c-{i}") for i in range(N_CASES)], "1", shipped_rules())
    cases = [store.open_case(f"c-{i}", "anna", "to begin with").case_id for i in range(N_CASES)]
    with (
        served("predict:app", DATABASE_URL=database_url, GUNICORN_CMD_ARGS="--workers 2", LOG_LEVEL="ERROR") as server,
        ThreadPoolExecutor(8) as threads,
    ):
        script = Script(server.port, headers)
        killer = threads.submit(kill_workers, server, (0.5, 1.5, 1.5))
        moves = [threads.submit(move_along, script, case_id) for case_id in cases]
        readings = [threads.submit(send_reading, script, i) for i in range(N_READINGS)]
        acknowledged = [why for told in moves for why in told.result()]
        assert all(told.result() == 1 for told in readings)
        killer.result()
    assert script.n_broken > 0, "no request was under way when a worker was killed"
    kept = [move.why for case_id in cases for move in store.moves_of(case_id)[1:]]
    assert len(kept) == len(set(kept))
    assert set(acknowledged) <= set(kept)
    assert store.verify_chain() is None
    assert store.count_readings() == N_READINGS
    store.close()


# --- several workers --------------------------------------------------------------------------------------------------


def test_counts_are_those_of_all_workers():
    with served("predict:app", GUNICORN_CMD_ARGS="--workers 2", LOG_LEVEL="ERROR") as server:
        at = f"http://127.0.0.1:{server.port}"
        for _ in range(40):  # a connection each: either worker takes some
            assert requests.post(f"{at}/predict?reasons=0", json=examples.FLAT, timeout=LONGEST).ok
        lines = requests.get(f"{at}/metrics", timeout=LONGEST).text.splitlines()
        counted = [line for line in lines if line.startswith("fairmeter_requests_total") and '"/predict"' in line]
        assert [float(line.split()[-1]) for line in counted] == [40.0]
        os.kill(psutil.Process(server.pid).children()[0].pid, signal.SIGKILL)
        lines = requests.get(f"{at}/metrics", timeout=LONGEST).text.splitlines()
        assert [float(line.split()[-1]) for line in lines if line == counted[0]] == [40.0]


@pytest.mark.nightly
def test_a_session_of_one_worker_is_known_to_the_other_and_after_a_restart(tmp_path):
    url = f"sqlite:///{tmp_path}/desk.db"
    assert flask("add-user", "anna", stdin="four words of a poem\n", DATABASE_URL=url).returncode == 0
    session = requests.Session()
    for is_first in (True, False):
        with served("predict:app", DATABASE_URL=url, GUNICORN_CMD_ARGS="--workers 2", LOG_LEVEL="ERROR") as server:
            at = f"http://127.0.0.1:{server.port}"
            if is_first:
                body = {"name": "anna", "password": "four words of a poem"}
                assert session.post(f"{at}/session", json=body, headers=CLOSE, timeout=LONGEST).ok
            for _ in range(10):
                answer = session.get(f"{at}/session", headers=CLOSE, timeout=LONGEST)
                assert answer.json()["name"] == "anna"


# --- open -------------------------------------------------------------------------------------------------------------


def test_open_is_for_this_machine_alone():
    command = [sys.executable, "-m", "gunicorn", "--bind", "0.0.0.0:0", "predict:app"]
    options = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": LONGEST}
    ended = subprocess.run(command, env=environment(OPEN="1"), **options)
    assert ended.returncode != 0
    assert "bind 127.0.0.1" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_open_desk_says_so_and_asks_for_nothing(tmp_path, capfd):
    url = f"sqlite:///{tmp_path}/desk.db"
    with served("predict:app", OPEN="1", DATABASE_URL=url) as server:
        at = f"http://127.0.0.1:{server.port}"
        assert requests.get(f"{at}/dashboard", timeout=LONGEST).json()["n_clients"] == 0
        assert requests.get(f"{at}/dashboard", headers={"Host": "evil.example"}, timeout=LONGEST).status_code == 401
    said = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    assert [line["event"] for line in said if line["level"] == "warning"] == [
        "OPEN is set: the desk asks for no key and no password"
    ]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"DATABASE_URL": "mysql://somebody:hush@host/db"}, "mysql"),
        ({"SECRET_KEY": "hush"}, "SECRET_KEY is set"),
        ({"ALERT_RULES": "/nowhere.toml", "OPEN": "1"}, "nowhere.toml"),
    ],
)
def test_a_bad_setting_of_the_desk_stops_the_start_and_shows_no_secret(values, said, capfd, tmp_path):
    values = {"DATABASE_URL": f"sqlite:///{tmp_path}/desk.db"} | values
    with pytest.raises(DidNotStart), served("predict:app", **values):
        pass
    told = capfd.readouterr().err
    assert said in told
    assert "hush" not in told
    assert "Traceback" not in told
