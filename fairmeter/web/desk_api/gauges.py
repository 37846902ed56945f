"""Drift and list stability of the last runs -> gauges for Prometheus, computed at each scrape.

In:  a store.
Out: a source for Metrics.add_source. For each part ("invoices", "readings"): the highest index of a feature, the number
     of shifted features, the index of the score, the share of clients above the training's 90 % quantile; the time of
     that measurement. For each length of the list: its Jaccard index with the run before. For each kind of data
     incident of the last run: its clients, and how many scores it holds back. Clients that wait to be judged.

Where the database does not answer, these gauges are left out and the other metrics stay.
"""

from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from fairmeter.core.types import DataIncident
from fairmeter.store import Store, StoreUnavailable

DRIFT_GAUGES = {
    "fairmeter_drift_max_psi": ("The highest population stability index of a feature.", lambda part: part["max_psi"]),
    "fairmeter_drift_features_shifted": ("Features whose index is 0.25 or more.", lambda part: part["n_shifted"]),
    "fairmeter_drift_score_psi": ("Population stability index of the score.", lambda part: part["score"]["psi"]),
    "fairmeter_drift_score_above": (
        "Share of clients above the score that one in ten was above in training.",
        lambda part: part["score"]["above_now"],
    ),
}


def run_metrics(store: Store, on_failure: Callable[[], None]) -> Callable[[], list[Metric]]:
    """A function that returns the gauges. [on_failure: called where the database does not answer]"""

    def read() -> list[Metric]:
        try:
            return [*_drift(store), *_stability(store), *_incidents(store), _waiting(store)]
        except StoreUnavailable:
            on_failure()
            return []

    return read


def _drift(store: Store) -> Iterator[Metric]:
    last = store.last_drift()
    if last is None:
        return
    for name, (help_text, value) in DRIFT_GAUGES.items():
        gauge = GaugeMetricFamily(name, help_text, labels=["part"])
        for part, found in last.found["parts"].items():
            gauge.add_metric([part], value(found))
        yield gauge
    measured_at = GaugeMetricFamily("fairmeter_drift_measured_timestamp_seconds", "When drift was measured last.")
    measured_at.add_metric([], last.scored_at.timestamp())
    yield measured_at


def _stability(store: Store) -> Iterator[Metric]:
    runs = store.list_runs(1)
    if not runs or not runs[0].stability:
        return
    help_text = "Jaccard index of the first clients of the list, between the last run and the one before."
    gauge = GaugeMetricFamily("fairmeter_list_jaccard", help_text, labels=["first"])
    for row in runs[0].stability:
        gauge.add_metric([str(row["k"])], row["jaccard"])
    yield gauge


def _incidents(store: Store) -> Iterator[Metric]:
    clients = GaugeMetricFamily(
        "fairmeter_data_incident_clients", "Clients of data incidents, last run.", labels=["kind"]
    )
    held_back = GaugeMetricFamily("fairmeter_scores_held_back", "Scores that incidents hold back.", labels=["kind"])
    by_kind: dict[str, list[DataIncident]] = {}
    for incident in store.last_incidents():
        by_kind.setdefault(incident.kind, []).append(incident)
    for kind, found in by_kind.items():
        clients.add_metric([kind], sum(incident.n_clients for incident in found))
        held_back.add_metric([kind], sum(incident.n_held_back for incident in found))
    return iter((clients, held_back))


def _waiting(store: Store) -> Metric:
    gauge = GaugeMetricFamily("fairmeter_clients_unjudged", "Clients whose readings changed since they were judged.")
    gauge.add_metric([], store.count_unjudged())
    return gauge
