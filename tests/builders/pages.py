"""A desk with pages over a small store, in this process; a browser's view of it."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from datetime import date, timedelta
from html import unescape
from threading import Condition, Thread
from types import SimpleNamespace

import numpy as np
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.serving import WSGIRequestHandler, make_server

from fairmeter.core.types import RecoveryEstimate
from fairmeter.store import Series, Store
from fairmeter.web.http.auth import THIS_MACHINE
from tests.builders.desk import desk_app
from tests.builders.store import clients_of, score_of, write

HOSTILE = "<script>alert(1)</script>"  # a client id
FORMULA = "=1+1"  # another
SEVERITY_OF = ("critical", "high", "medium", "low")
N_CLIENTS = 130  # three pages
LONGEST_ANSWER = 60  # seconds


def a_client(number: int):
    share = 1 - number / N_CLIENTS
    severity = SEVERITY_OF[min(int((1 - share) * 4), 3)]
    recovery = RecoveryEstimate(1000.0 * share + 1, 500.0, 2000.0, 12.0, "Own level of the year before.", 200.0 * share)
    return score_of(f"c-{number:03}", round(0.95 * share, 3), severity, recovery=recovery, onset_on="2026-03-01")


def filled(store: Store) -> None:
    """Clients of two regions, two of them with ids that somebody made up to do harm."""
    scores = [score_of(HOSTILE, 0.97, "critical"), score_of(FORMULA, 0.96, "critical")]
    scores += [a_client(n) for n in range(N_CLIENTS - 2)]
    ids = [score.client_id for score in scores]
    region = [101.0 + n % 2 for n in range(len(ids))]
    first_on = date(2025, 11, 1)
    days = np.r_[np.full(120, 9.0), np.full(60, 3.0)].astype(np.float32)
    days[7] = np.nan
    series = {id_: Series("day", first_on, days) for id_ in ids}
    write(store, *scores, clients=clients_of(client_id=ids, region=region, category=[11.0] * len(ids)), series=series)


def inspected(store: Store, client_id: str, outcome: str, is_random: bool = False, **found) -> None:
    """A case from its opening to its outcome, visited yesterday."""
    case = store.open_case(client_id, "anna", "On the list.", assignee="anna", is_random=is_random)
    case = store.move_case(case.case_id, "inspecting", "anna", "Going there.")
    store.record_inspection(case.case_id, outcome, date.today() - timedelta(days=1), "anna", **found)


class Counted(WSGIRequestHandler):
    """Answers one request, and says so while it does."""

    running: Callable[[], AbstractContextManager]

    def run_wsgi(self) -> None:
        with self.running():
            super().run_wsgi()


class Served:
    """Apps on one port of this machine, one after another; threads answer.

    They share an address, so that a browser need not read Plotly anew.
    """

    def __init__(self) -> None:
        self._app, self._n_running, self._changed = None, 0, Condition()
        self._open(0)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _open(self, port: int) -> None:
        handler = type("Handler", (Counted,), {"running": self._running})
        self._server = make_server("127.0.0.1", port, self._answered, threaded=True, request_handler=handler)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _answered(self, asked, start):
        return (self._app or ServiceUnavailable())(asked, start)

    @contextmanager
    def _running(self):
        with self._changed:
            self._n_running += 1
        try:
            yield
        finally:
            with self._changed:
                self._n_running -= 1
                self._changed.notify_all()

    @contextmanager
    def serving(self, app):
        """The app answers here, then the former one again, or nobody.

        At the end none of its requests runs any more, so that its store can be closed.
        """
        former, self._app = self._app, app
        try:
            yield self
        finally:
            self._app = former
            with self._changed:
                assert self._changed.wait_for(lambda: not self._n_running, LONGEST_ANSWER), "a request never ended"

    @contextmanager
    def away(self):
        """Nobody answers at its address. A browser that is told to be offline still sends what a worker lets pass."""
        port = self._server.server_port
        self.close()
        yield
        self._open(port)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def open_desk(store: Store):
    """A desk that asks this machine for nothing, and a client of it."""
    return desk_app(store, THIS_MACHINE).test_client()


def seen(answer) -> SimpleNamespace:
    """A page as somebody reads it: status, text without tags, links, the whole."""
    page = answer.get_data(as_text=True)
    bare = re.sub(r"<(script|svg|head)\b.*?</\1>", " ", page, flags=re.DOTALL)
    words = " ".join(unescape(re.sub(r"<[^>]+>", " ", bare)).split())
    links = [unescape(link) for link in re.findall(r'href="([^"]+)"', page)]
    return SimpleNamespace(status=answer.status_code, text=words, links=links, whole=page)
