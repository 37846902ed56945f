"""What the store's last runs found of drift and of the list's stability -> gauges for Prometheus, read when asked.

In:  a store.
Out: metrics for Meters.also: of each part ("invoices", "readings") the highest index of a feature, how many features
     have shifted, the score's index and the share of clients above what one in ten was above in training; when that
     was measured; for each length of the list, its Jaccard index beside the run before.

A database that does not answer leaves them out: the other counts are told all the same.
"""

from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from fairmeter.store import Store, StoreUnavailable

OF_PARTS = {
    "fairmeter_drift_max_psi": ("The highest population stability index of a feature.", lambda part: part["max_psi"]),
    "fairmeter_drift_features_shifted": ("Features whose index is 0.25 or more.", lambda part: part["n_shifted"]),
    "fairmeter_drift_score_psi": ("Population stability index of the score.", lambda part: part["score"]["psi"]),
    "fairmeter_drift_score_above": (
        "Share of clients above the score that one in ten was above in training.",
        lambda part: part["score"]["above_now"],
    ),
}


def of_runs(store: Store, failed: Callable[[], None]) -> Callable[[], list[Metric]]:
    """A source of metrics. [failed: called where the database did not answer]"""

    def read() -> list[Metric]:
        try:
            return [*_drift(store), *_stability(store)]
        except StoreUnavailable:
            failed()
            return []

    return read


def _drift(store: Store) -> Iterator[Metric]:
    last = store.last_drift()
    if last is None:
        return
    for name, (said, value) in OF_PARTS.items():
        gauge = GaugeMetricFamily(name, said, labels=["part"])
        for part, found in last.found["parts"].items():
            gauge.add_metric([part], value(found))
        yield gauge
    when = GaugeMetricFamily("fairmeter_drift_measured_timestamp_seconds", "When drift was measured last.")
    when.add_metric([], last.scored_at.timestamp())
    yield when


def _stability(store: Store) -> Iterator[Metric]:
    runs = store.list_runs(1)
    if not runs or not runs[0].stability:
        return
    said = "Jaccard index of the first so many clients, at the last run beside the one before."
    gauge = GaugeMetricFamily("fairmeter_list_jaccard", said, labels=["first"])
    for row in runs[0].stability:
        gauge.add_metric([str(row["k"])], row["jaccard"])
    yield gauge
