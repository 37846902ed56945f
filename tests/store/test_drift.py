"""What a run keeps of drift and of its list's stability, on SQLite and PostgreSQL."""

from datetime import timedelta

from fairmeter.casework.alert_rules import read_rules
from fairmeter.evaluation.drift import OVERLAP_LENGTHS
from tests.builders.store import NOW, ROOT, score_of

RULES = read_rules(ROOT / "data" / "alerts.toml")
DRIFT = {"parts": {"invoices": {"max_psi": 0.31}}, "untold": [], "level": "shifted"}


def kept(store, scores, after=0, **given):
    """A run, so many hours after NOW. [scores: probability by client]"""
    given = {"drift": None} | given
    rows = [score_of(client_id, probability) for client_id, probability in scores.items()]
    store.write_run(rows, "2026.11.1", RULES, scored_at=NOW + timedelta(hours=after), **given)


def some(n, first=0):
    return {f"c-{i:04d}": 0.9 - i / 10_000 for i in range(first, first + n)}


def test_the_first_run_has_nothing_to_be_compared_with(store):
    kept(store, some(3))
    assert [run.stability for run in store.list_runs()] == [[]]
    assert store.last_drift() is None


def test_a_run_keeps_how_much_of_the_list_stayed_however_others_are_scored_between(store):
    kept(store, some(100))
    kept(store, {f"c-{i:04d}": 0.1 for i in range(25)}, 1, is_run=False)  # single clients, who leave the first fifty
    kept(store, some(100), 2)
    last = store.list_runs()[-1].stability
    assert [row["k"] for row in last] == [k for k in OVERLAP_LENGTHS if k <= 100]
    assert last[0] == {"k": 50, "n_both": 25, "jaccard": 25 / 75}
    assert len(store.list_runs()) == 2


def test_clients_without_a_score_are_on_no_list(store):
    kept(store, {"a": 0.5, "b": None})
    kept(store, {"a": 0.5, "b": None}, 1)
    assert store.list_runs()[-1].stability == [{"k": 1, "n_both": 1, "jaccard": 1.0}]


def test_the_last_drift_is_that_of_the_last_run_that_measured_one(store):
    kept(store, some(3), drift=DRIFT)
    kept(store, some(3), 1)
    found = store.last_drift()
    assert (found.found, found.scored_at, found.model_version) == (DRIFT, NOW, "2026.11.1")
    kept(store, some(3), 2, drift=DRIFT | {"level": "stable"})
    assert store.last_drift().found["level"] == "stable"
