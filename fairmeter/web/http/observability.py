"""Requests -> what is known of them afterwards: an id, one line in the log, counts for Prometheus.

In:  an app and the model it serves.
Out: X-Request-ID on every answer (the caller's where it is sane, else a new one); JSON lines in the log; a `Meters`,
     whose text GET /metrics sends.
Neither lines nor counts hold personal data: routes stand as they are written ("/consumer/{client_id}"), never as they
were called; no address, body or name of a user; of an exception its type and place, as its words may quote a value.
"""

import json
import logging
import re
import traceback
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from time import perf_counter
from uuid import uuid4

from flask import Flask, Response, g, has_request_context, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from fairmeter.core.types import Score

REQUEST_ID = "X-Request-ID"
SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
LOGGER = "fairmeter"  # the parent of every logger in this package
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
QUIET = frozenset({"/health", "/ready", "/metrics", "/v2/health/live", "/v2/health/ready"})  # asked every few seconds
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds
PLAIN_TEXT = "text/plain; version=0.0.4; charset=utf-8"

Source = Callable[[], list[Metric]]

log = logging.getLogger(__name__)


class Metrics:
    """What is counted. In a service of several workers each counts into files that whoever answers adds up."""

    def __init__(self, model: dict) -> None:
        self._registry = own = CollectorRegistry()
        asked = ("method", "route", "status")
        self.requests = Counter("fairmeter_requests", "Requests answered.", asked, registry=own)
        self.seconds = Histogram(
            "fairmeter_request_seconds", "Time to answer.", asked[:2], registry=own, buckets=BUCKETS
        )
        self.scores = Counter("fairmeter_scores", "Clients judged.", ["severity"], registry=own)
        self.store_errors = Counter("fairmeter_store_errors", "Times the database did not answer.", registry=own)
        self.readings = Counter("fairmeter_readings", "Readings taken in, by what they were.", ["kind"], registry=own)
        self.refusals = Counter("fairmeter_refusals", "Requests turned away at the door.", ["reason"], registry=own)
        named = Gauge("fairmeter_model", "The model.", ["version", "view"], registry=own, multiprocess_mode="livemax")
        named.labels(model["version"], model["view"]).set(1)
        self._sources: list[Source] = []

    def also(self, source: Source) -> None:
        """Metrics that are read anew whenever somebody asks, by whichever worker answers."""
        self._sources.append(source)

    def scored(self, scores: Iterable[Score]) -> None:
        for score in scores:
            self.scores.labels(score.severity).inc()

    def text(self) -> bytes:
        """Everything in Prometheus' text format, over all workers."""
        registry = self._registry
        if values.ValueClass._multiprocess:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        read = CollectorRegistry()
        read.register(LazyCollector(self._sources))
        return generate_latest(registry) + generate_latest(read)


class LazyCollector(Collector):
    """Sources as prometheus_client takes them."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        for source in self._sources:
            yield from source()

    def describe(self) -> list[Metric]:
        return []  # else registering would read them


def meters_of(app: Flask) -> Metrics:
    return app.extensions["meters"]


def register(app: Flask, model: dict) -> Metrics:
    """Gives every request of the app an id, a line and its place in the counts. [model: version, view, ...]"""
    meters = app.extensions["meters"] = Metrics(model)
    app.before_request(_begin)
    app.after_request(lambda response: _end(response, meters))
    return meters


def route_called() -> str:
    """The route as the document writes it; what nobody serves is one route, or anyone could make up thousands."""
    rule = request.url_rule
    return "none" if rule is None else re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


def _begin() -> None:
    given = request.headers.get(REQUEST_ID, "")
    g.request_id = given if SANE_ID.fullmatch(given) else uuid4().hex
    g.started = perf_counter()


def _end(response: Response, meters: Metrics) -> Response:
    route, method = route_called(), request.method if request.method in METHODS else "other"
    seconds = perf_counter() - g.started
    meters.requests.labels(method, route, response.status_code).inc()
    meters.seconds.labels(method, route).observe(seconds)
    response.headers[REQUEST_ID] = g.request_id
    level = logging.DEBUG if route in QUIET and response.status_code < 400 else logging.INFO
    if log.isEnabledFor(level):
        said = {"method": method, "route": route, "status": response.status_code, "ms": round(seconds * 1e3, 2)}
        log.log(level, "request", extra={"said": said})
    return response


# --- the log ----------------------------------------------------------------------------------------------------------


class JsonLines(logging.Formatter):
    """One JSON object a line: at, level, event, request_id, and what the record says in its `said`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")}
        line |= {"level": record.levelname.lower(), "event": record.getMessage()}
        if has_request_context() and "request_id" in g:
            line["request_id"] = g.request_id
        line |= getattr(record, "said", {})
        if record.exc_info and record.exc_info[0]:
            line |= {"exception": record.exc_info[0].__name__, "frames": _frames(record.exc_info[2])}
        return json.dumps(line)


def _frames(trace) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]


def log_as_json(level: str) -> None:
    """Whatever this package logs goes to stderr as JSON lines, from that level on."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logger = logging.getLogger(LOGGER)
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(level)


def metrics_answer(meters: Metrics) -> Response:
    return Response(meters.text(), content_type=PLAIN_TEXT)
