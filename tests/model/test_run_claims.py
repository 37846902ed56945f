"""Where a run's clients are far away, its scores are places among them; near ones stay as they are to the bit."""

import numpy as np
import pytest

from benchmarks.helpers.invented_utilities import brazilian
from fairmeter.core.claims import UNLIKE_TRAINING
from fairmeter.core.types import Reason, RecoveryEstimate, Score
from fairmeter.data.tables import Tables
from fairmeter.explanation.reasons import STORED_SCORE_GROUP
from fairmeter.scoring.population import ClientBase
from fairmeter.scoring.population_drift import (
    MAX_MEDIAN_PSI,
    MIN_JUDGED,
    DriftMonitor,
    describe_beyond_bound,
    describe_unlike,
)
from fairmeter.scoring.run_claims import MAX_AGE, FollowingScorer, LastRunClaims, RunRanks
from fairmeter.simulation.utility import simulate

WHY = "These clients are too far away."


def a_drift(median_psi=3.0, n_now=5000):
    part = {"n_now": n_now, "n_features": 600, "n_shifted": 580, "median_psi": median_psi}
    return {"parts": {"invoices": part}}


def a_score(probability, client_id="c-1", **changes):
    return Score(client_id, probability, "critical", 0.4, **changes)


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(1)
    return [a_score(float(p), f"c-{i}") for i, p in enumerate(rng.beta(1, 9, 1000))]


@pytest.fixture(scope="module")
def ranks(scores):
    return RunRanks.of_scores(a_drift(), scores)


# --- the bound --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("median_psi", "n_now", "is_beyond"),
    [
        (MAX_MEDIAN_PSI + 0.01, MIN_JUDGED, True),
        (MAX_MEDIAN_PSI, MIN_JUDGED, False),
        (9.0, MIN_JUDGED - 1, False),
        (0.02, 50_000, False),
    ],
)
def test_the_middle_index_of_enough_clients_says_whether_a_run_has_ranks(median_psi, n_now, is_beyond):
    drift = a_drift(median_psi, n_now)
    assert (describe_beyond_bound(drift) is not None) is is_beyond
    assert (RunRanks.of_scores(drift, [a_score(0.3)]) is not None) is is_beyond


def test_the_sentence_gives_the_figures_and_what_to_do():
    said = describe_beyond_bound(a_drift(2.5))
    assert "580 of 600 features of their invoices have shifted (97%)" in said
    assert "2.50" in said
    assert "train a model on this utility's own data" in said


def test_of_few_clients_it_is_said_that_nothing_is_judged():
    assert f"fewer than {MIN_JUDGED} clients" in describe_unlike(a_drift(9.0, 120))
    assert "fewer than" not in describe_unlike(a_drift(9.0, 5000))


def drift_of(model, clients, invoices):
    monitor = DriftMonitor(model)
    tables = Tables(clients, invoices, [], [()] * len(clients["client_id"]))
    scores = [score for part in ClientBase.from_tables(model, tables).scored(on_chunk=monitor.add) for score in part]
    return monitor.drift(), scores


def test_clients_of_the_same_utility_keep_their_probabilities(small_model):
    drift, scores = drift_of(small_model, *simulate(600, 77, 0.2)[:2])
    assert drift["parts"]["invoices"]["n_now"] >= MIN_JUDGED
    assert RunRanks.of_scores(drift, scores) is None


def test_those_of_another_one_have_ranks_with_the_same_order(small_model):
    utility = brazilian(400, 5)
    drift, scores = drift_of(small_model, utility.clients, utility.invoices)
    found = RunRanks.of_scores(drift, scores).ranked(scores)
    assert {score.probability for score in found} == {None}
    before, after = (np.array([score.value for score in each]) for each in (scores, found))
    assert (np.diff(after[np.argsort(before, kind="stable")]) >= 0).all()
    assert 0.03 < np.mean([score.is_suspected for score in found]) < 0.07


def test_counts_of_parts_add_up_to_those_of_the_whole(small_model):
    clients, invoices, _ = simulate(120, 5, 0.2)
    tables = Tables(clients, invoices, [], [()] * len(clients["client_id"]))
    base, whole, parts = ClientBase.from_tables(small_model, tables), DriftMonitor(small_model), []
    for rows in (np.arange(50), np.arange(50, len(tables.quality))):
        whole.add(base.context(rows))
        parts.append(DriftMonitor(small_model))
        parts[-1].add(base.context(rows))
    added = DriftMonitor(small_model)
    for part in parts:
        added.add_counted(part.counted())
    assert added.drift() == whole.drift()


# --- ranks ------------------------------------------------------------------------------------------------------------


def test_a_place_is_the_share_of_the_run_below(scores, ranks):
    order = np.argsort([score.probability for score in scores])
    middle = scores[order[500]]
    ranked = ranks.ranked([middle])[0]
    assert ranked.rank_share == pytest.approx(0.5, abs=0.002)
    assert ranked.rank == pytest.approx(500, abs=3)
    assert (ranked.withheld, ranked.model_value) == (middle.probability, middle.probability)


def test_nothing_that_a_probability_promises_is_left(ranks):
    recovery = RecoveryEstimate(100.0, 50.0, 150.0, 12.0, "Some 100 kWh.", 20.0)
    reasons = (Reason(STORED_SCORE_GROUP, 0.2, "Its probability is 37 %."), Reason("level", 0.1, "Low."))
    ranked = ranks.ranked([a_score(0.2, recovery=recovery, typical=0.1, reasons=reasons)])[0]
    assert (ranked.probability, ranked.typical, ranked.recovery, ranked.expected_recovery_kwh) == (None,) * 4
    assert ranked.severity in {"medium", "low"}
    assert "%" not in "".join(reason.text for reason in ranked.reasons)
    assert [flag.text for flag in ranked.quality if flag.flag == UNLIKE_TRAINING] == [ranks.why]


def test_a_client_without_a_score_and_a_rank_stay_as_they_are(ranks):
    others = [Score("c-1", None, "insufficient history", 0.4), Score("c-2", None, "low", 0.95, rank_share=0.3, rank=7)]
    assert ranks.ranked(others) == others


def test_what_is_stored_with_a_run_gives_the_same_ranks(scores, ranks):
    stored = ranks.stored_in(a_drift())
    assert RunRanks.from_drift(stored).ranked(scores) == ranks.ranked(scores)
    assert describe_unlike(stored) == ranks.why


@pytest.mark.parametrize("drift", [None, {"parts": {}}, a_drift(9.0)])
def test_a_run_that_was_stored_before_this_rule_keeps_its_claims(drift):
    assert RunRanks.from_drift(drift) is None


# --- clients that are scored for themselves ---------------------------------------------------------------------------


class Fixed:
    manifest = {"version": "1"}  # noqa: RUF012

    def score(self, tables, with_reasons=False, stored=None, losses=None, on_context=None):  # noqa: ARG002
        return [a_score(0.2)]

    def score_aggregates(self, features, client_ids, with_reasons=False):  # noqa: ARG002
        return [a_score(0.2)]


def test_a_scorer_follows_the_last_run(ranks):
    near, far = (FollowingScorer(Fixed(), lambda found=found: found) for found in (None, ranks))
    assert near.score(None) == near.score_aggregates([], []) == [a_score(0.2)]
    assert far.score(None) == far.score_aggregates([], []) == ranks.ranked([a_score(0.2)])


def test_the_last_run_is_read_again_after_a_while_and_stays_while_the_store_is_away(ranks):
    now, answers = [0.0], [None, ranks.stored_in(a_drift())]

    def read():
        if not answers:
            raise OSError
        return answers.pop(0)

    last = LastRunClaims(read, OSError, lambda: now[0])
    assert last() is None
    assert last() is None
    assert len(answers) == 1
    now[0] += MAX_AGE
    assert last().why == ranks.why
    now[0] += MAX_AGE
    assert last().why == ranks.why
