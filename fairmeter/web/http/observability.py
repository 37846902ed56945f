"""Request ids, JSON log lines and Prometheus metrics.

In:  an app and the manifest of its model.
Out: X-Request-ID on every answer (the caller's where it is valid, otherwise a new one); JSON lines in the log; Metrics,
     whose text GET /metrics returns.
Neither lines nor metrics hold personal data: routes appear as templates ("/consumer/{client_id}"); no address, body or
user name; of an exception only its type and place, as its message may quote a value. Security events are the exception.
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
VALID_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
LOGGER = "fairmeter"  # the parent of every logger in this package
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
FREQUENT = frozenset(
    {"/health", "/ready", "/metrics", "/v2/health/live", "/v2/health/ready"}
)  # asked every few seconds
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds
PLAIN_TEXT = "text/plain; version=0.0.4; charset=utf-8"

Source = Callable[[], list[Metric]]

log = logging.getLogger(__name__)


class Metrics:
    """The service's metrics. With several workers, each writes into files, which the answering worker adds up."""

    def __init__(self, model: dict) -> None:
        self._registry = own = CollectorRegistry()
        labels = ("method", "route", "status")
        self.requests = Counter("fairmeter_requests", "Requests answered.", labels, registry=own)
        self.seconds = Histogram(
            "fairmeter_request_seconds", "Time to answer.", labels[:2], registry=own, buckets=BUCKETS
        )
        self.scores = Counter("fairmeter_scores", "Clients judged.", ["severity"], registry=own)
        self.store_errors = Counter("fairmeter_store_errors", "Times the database did not answer.", registry=own)
        self.readings = Counter("fairmeter_readings", "Readings taken in, by what they were.", ["kind"], registry=own)
        self.refusals = Counter("fairmeter_refusals", "Requests turned away at the door.", ["reason"], registry=own)
        self.security_events = Counter("fairmeter_security_events", "Security events.", ["kind"], registry=own)
        version = Gauge("fairmeter_model", "The model.", ["version", "view"], registry=own, multiprocess_mode="livemax")
        version.labels(model["version"], model["view"]).set(1)
        self._sources: list[Source] = []

    def add_source(self, source: Source) -> None:
        """Add metrics that are read anew for each scrape, by the worker that answers."""
        self._sources.append(source)

    def count_scores(self, scores: Iterable[Score]) -> None:
        """Count scored clients by severity."""
        for score in scores:
            self.scores.labels(score.severity).inc()

    def text(self) -> bytes:
        """All metrics in Prometheus' text format, summed over workers."""
        registry = self._registry
        if values.ValueClass._multiprocess:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        lazy = CollectorRegistry()
        lazy.register(LazyCollector(self._sources))
        return generate_latest(registry) + generate_latest(lazy)


class LazyCollector(Collector):
    """Sources as a collector of prometheus_client."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        for source in self._sources:
            yield from source()

    def describe(self) -> list[Metric]:
        return []  # otherwise registering would read the sources


def metrics_of(app: Flask) -> Metrics:
    """The metrics of an app."""
    return app.extensions["metrics"]


def register(app: Flask, model: dict) -> Metrics:
    """Give every request of the app an id, a log line and its metrics. [model: the manifest]"""
    metrics = app.extensions["metrics"] = Metrics(model)
    app.before_request(_begin)
    app.after_request(lambda response: _end(response, metrics))
    return metrics


def route_name() -> str:
    """The template of the request's route.

    Unknown paths share one name, so that callers cannot create unlimited series.
    """
    rule = request.url_rule
    return "none" if rule is None else re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


def _begin() -> None:
    given = request.headers.get(REQUEST_ID, "")
    g.request_id = given if VALID_ID.fullmatch(given) else uuid4().hex
    g.started = perf_counter()


def _end(response: Response, metrics: Metrics) -> Response:
    route, method = route_name(), request.method if request.method in METHODS else "other"
    seconds = perf_counter() - g.started
    metrics.requests.labels(method, route, response.status_code).inc()
    metrics.seconds.labels(method, route).observe(seconds)
    response.headers[REQUEST_ID] = g.request_id
    level = logging.DEBUG if route in FREQUENT and response.status_code < 400 else logging.INFO
    if log.isEnabledFor(level):
        fields = {"method": method, "route": route, "status": response.status_code, "ms": round(seconds * 1e3, 2)}
        log.log(level, "request", extra={"fields": fields})
    return response


# --- the log ----------------------------------------------------------------------------------------------------------


class JsonLines(logging.Formatter):
    """One JSON object a line: at, level, event, request_id, and the record's `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")}
        line |= {"level": record.levelname.lower(), "event": record.getMessage()}
        if has_request_context() and "request_id" in g:
            line["request_id"] = g.request_id
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0]:
            line |= {"exception": record.exc_info[0].__name__, "frames": _frames(record.exc_info[2])}
        return json.dumps(line)


def _frames(trace) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]


def log_as_json(level: str) -> None:
    """Write this package's log to stderr as JSON lines, from this level on."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logger = logging.getLogger(LOGGER)
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(level)


def metrics_response(metrics: Metrics) -> Response:
    """The answer to a scrape."""
    return Response(metrics.text(), content_type=PLAIN_TEXT)
