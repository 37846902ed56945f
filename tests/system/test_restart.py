"""A PostgreSQL that is restarted in mid-load: 503 while it is away, then all goes on, and nothing is half written."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest
import requests

from benchmarks.helpers.servers import served
from fairmeter.store import Store
from fairmeter.web.http.auth import INVESTIGATOR
from tests.builders.desk import with_key
from tests.builders.postgresql import own_cluster
from tests.builders.store import score_of, shipped_rules
from tests.builders.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "model.bin").exists(), reason="model.bin is not there; train.py makes it")
LONGEST = 120  # seconds
N_METERS, N_CASES, A_BATCH = 3, 3, 24  # a batch is a day of hours, kept as a whole or not at all
AFTERWARDS = 5  # requests of each that must be well again


class Load:
    """Requests of several people and meters, one after the other, each again until it is acknowledged."""

    def __init__(self, port: int, headers: dict) -> None:
        self._at, self._headers = f"http://127.0.0.1:{port}", headers
        self.statuses, self.enough = Counter(), Event()
        self.days, self.whys = Counter(), set()

    def ask(self, method: str, path: str, body: dict | None = None) -> requests.Response:
        answer = requests.request(method, self._at + path, json=body, headers=self._headers, timeout=LONGEST)
        self.statuses[answer.status_code] += 1
        return answer

    def send_readings(self, meter: int) -> None:
        """Day after day."""
        while not self.enough.is_set():
            day = time.strftime("%Y-%m-%d", time.gmtime(86400 * (16000 + self.days[meter])))
            hours = [
                {"client_id": f"m-{meter}", "read_at": f"{day}T{i:02}:00", "consumption_kwh": 1} for i in range(24)
            ]
            if self.ask("POST", "/readings", {"readings": hours}).status_code == 200:
                self.days[meter] += 1

    def move(self, case_id: int) -> None:
        """Assigns a case and gives it back, again and again; of a move that failed nobody knows whether it was made."""
        n = 0
        while not self.enough.is_set():
            seen = self.ask("GET", f"/cases/{case_id}")
            if seen.status_code != 200:
                continue
            case, n = seen.json(), n + 1
            why = f"move {n} of {case_id}"
            to = "assigned" if case["state"] == "new" else "new"
            body = {"to": to, "why": why, "version": case["version"], "assignee": "anna"}
            if self.ask("POST", f"/cases/{case_id}/moves", body).status_code == 200:
                self.whys.add(why)

    def goes_on(self) -> None:
        """Until each of them was acknowledged some times more."""
        days, whys = self.days.copy(), len(self.whys)
        wait_until(lambda: all(self.days[meter] >= days[meter] + AFTERWARDS for meter in range(N_METERS)))
        wait_until(lambda: len(self.whys) >= whys + AFTERWARDS)


@pytest.mark.nightly
def test_a_postgresql_that_is_restarted_in_mid_load_is_found_again_and_nothing_is_half_written():
    with own_cluster() as cluster, closing(Store(cluster.url)) as store:
        store.migrate()
        headers = with_key(store, INVESTIGATOR)
        store.write_run([score_of(f"c-{i}") for i in range(N_CASES)], "1", shipped_rules())
        cases = [store.open_case(f"c-{i}", "anna", "to begin with").case_id for i in range(N_CASES)]
        settings = {"GUNICORN_CMD_ARGS": "--workers 2", "LOG_LEVEL": "ERROR"}
        with (
            served("predict:app", DATABASE_URL=cluster.url, **settings) as server,
            ThreadPoolExecutor(N_METERS + N_CASES) as threads,
        ):
            load = Load(server.port, headers)
            running = [threads.submit(load.send_readings, meter) for meter in range(N_METERS)]
            running += [threads.submit(load.move, case_id) for case_id in cases]
            try:
                load.goes_on()
                cluster.control("stop", "-m", "immediate")
                wait_until(lambda: load.statuses[503] >= 2 * len(running))
                cluster.control("start")
                load.goes_on()
                cluster.control("restart", "-m", "immediate")
                load.goes_on()
            finally:
                load.enough.set()
            assert [thread.result() for thread in running] == [None] * len(running)
            assert requests.get(f"http://127.0.0.1:{server.port}/ready", timeout=LONGEST).status_code == 200
        assert set(load.statuses) <= {200, 409, 503}, "no 500: whoever waits and asks again is well"
        found = store.readings_of(f"m-{meter}" for meter in range(N_METERS))
        n_kept = Counter(found["client_id"].tolist())
        for meter in range(N_METERS):
            n_days, rest = divmod(n_kept[f"m-{meter}"], A_BATCH)
            assert rest == 0, "half a batch was kept"
            assert n_days - load.days[meter] in (0, 1), "what was acknowledged is there; the last may be there unsaid"
        kept = [move.why for case_id in cases for move in store.moves_of(case_id)[1:]]
        assert len(kept) == len(set(kept))
        assert load.whys <= set(kept)
        assert store.verify_chain() is None
