"""What a model says of clients by their invoices, their readings, or both."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from fairmeter.core.types import INSUFFICIENT_HISTORY, FeatureMatrix, JudgedClients, QualityFlag
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.readings import read_readings
from fairmeter.data.tables import read_tables
from fairmeter.evaluation.drift import ReferenceDistribution
from fairmeter.features.invoices.matrix import client_features
from fairmeter.models.fraud_model import MONTHLY, SHORT_READING_DAYS, FraudModel
from fairmeter.models.reading_model import LAST_DAY_COLUMN, MIN_DAYS, ONSET_COLUMN, ReadingModel

FRAUD_RATE = 0.2  # odds of 1 to 4
MANIFEST = {"view": "all", "fraud_rate": FRAUD_RATE, "features": ["last_invoice_on", "odds"], "threshold": 0.6}
MANIFEST |= {"severities": [{"severity": "critical", "score": 0.9}, {"severity": "medium", "score": 0.3}]}
OF_READINGS = {"threshold": 0.4, "severities": [{"severity": "high", "score": 0.5}]}
ENOUGH = SHORT_READING_DAYS
LAST = int(np.datetime64("2014-03-31", "D").astype(int))  # of the readings


# --- builders ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Odds:
    """An ensemble, and its own inputs, that says the odds which stand in a column of the evidence."""

    column: int = -1
    fingerprint: object = None
    columns: tuple[int, ...] = ()
    rates = None

    @property
    def inputs(self):
        return self

    def matrix(self, evidence):
        return evidence.features

    def log_odds(self, matrix):
        return np.log(matrix[:, self.column].astype(np.float64))

    def judged(self, evidence):
        return JudgedClients(self, evidence.features, self.log_odds(evidence.features))


def evidence_of(odds, n_records):
    """A client each, with the odds that its evidence speaks for."""
    return FeatureMatrix(np.array([[0.0, o] for o in odds], np.float32), np.array(n_records), {})


def billed(*odds, n=9):
    """FeatureMatrix of invoices; None has none."""
    return evidence_of([o or np.nan for o in odds], [n if o else 0 for o in odds])


def metered(*odds, n_days=ENOUGH):
    """FeatureMatrix of readings, odds where half of the clients steal; the change began ten days before the end."""
    features = np.zeros((len(odds), ONSET_COLUMN + 2), np.float32)
    features[:, 0], features[:, ONSET_COLUMN], features[:, LAST_DAY_COLUMN] = odds, 10, LAST
    return FeatureMatrix(features, np.broadcast_to(n_days, len(odds)), {})


BOTH = FraudModel(Odds(), None, ReadingModel(Odds(0), {}, None, 0.5), MANIFEST | {"readings": OF_READINGS})
INVOICES_ALONE = replace(BOTH, readings=None, manifest=MANIFEST)
READINGS_ALONE = replace(BOTH, invoices=None)


def judged(model, invoices, readings=None):
    ids = [f"c-{i}" for i in range(len(invoices))]
    return model.score_clients(invoices, ids, [()] * len(ids), readings)


def flags_of(score):
    return {flag.flag: flag for flag in score.quality}


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_invoices_alone_score_what_their_ensemble_says():
    for readings in (None, metered(3.0, n_days=0)):
        assert BOTH.probability(billed(1.0), readings) == pytest.approx([0.5])
    (score,) = judged(BOTH, billed(1.0))
    assert (score.threshold, score.severity) == (0.6, "low")


def test_readings_alone_move_the_prior_by_what_they_say():
    """They speak for theft 3 to 1, where 1 steals for 4 who do not: 3 to 4."""
    assert BOTH.probability(billed(None), metered(3.0)) == pytest.approx([3 / 7])


def test_both_add_their_log_odds_and_count_the_prior_once():
    """Invoices say 1 to 1 with the prior in it, readings 3 to 1 without: 3 to 1."""
    assert BOTH.probability(billed(1.0), metered(3.0)) == pytest.approx([0.75])
    prior = FRAUD_RATE / (1 - FRAUD_RATE)
    assert BOTH.probability(billed(prior), metered(3.0)) == pytest.approx(BOTH.probability(billed(None), metered(3.0)))


def test_readings_that_say_nothing_change_nothing():
    assert BOTH.probability(billed(0.7), metered(1.0)) == pytest.approx(BOTH.probability(billed(0.7)))


@pytest.mark.parametrize("theft_share", [0.1, 0.5, 0.9])
def test_the_share_of_thieves_in_training_is_taken_out(theft_share):
    """Odds of just that share tell nothing of the client."""
    model = replace(BOTH, readings=replace(BOTH.readings, theft_share=theft_share))
    found = model.probability(billed(None), metered(theft_share / (1 - theft_share)))
    assert found == pytest.approx([FRAUD_RATE])


def test_a_suspected_client_is_told_when_the_change_in_its_readings_began():
    suspected, cleared, unread = judged(
        BOTH, billed(None, None, 6.0), metered(6.0, 0.1, 6.0, n_days=[ENOUGH, ENOUGH, 0])
    )
    assert suspected.onset_on == "2014-03-22"
    assert (cleared.onset_on, unread.onset_on) == (None, None)


def test_no_severity_begins_below_the_threshold():
    """Medium promises its precision from 0.3 on, where nobody is suspected yet."""
    assert [score.severity for score in judged(BOTH, billed(0.5, 1.0, 1.6, 20.0))] == [
        "low",
        "low",
        "medium",
        "critical",
    ]


# --- who is judged by what --------------------------------------------------------------------------------------------


def test_one_score_has_one_threshold_and_one_severity_whatever_it_rests_on():
    """Invoices say 6 to 1; or they say 1 to 1 and readings 6 to 1."""
    alone, both = judged(BOTH, billed(6.0, 1.0), metered(1.0, 6.0, n_days=[0, ENOUGH]))
    assert alone.probability == pytest.approx(both.probability)
    assert (alone.threshold, alone.severity) == (both.threshold, both.severity) == (0.6, "medium")


def test_a_model_on_readings_alone_is_cut_where_readings_are():
    manifest = MANIFEST | {"threshold": 1.0, "severities": [], "readings": OF_READINGS}
    (score,) = judged(replace(READINGS_ALONE, manifest=manifest), billed(None), metered(6.0))
    assert (score.threshold, score.severity) == (0.4, "high")


def test_too_few_days_judge_nobody_and_leave_the_score_of_invoices():
    invoices, short = billed(None, 1.0), metered(9.0, 9.0, n_days=MIN_DAYS - 1)
    none, some = judged(BOTH, invoices, short)
    assert none.probability is None
    assert none.severity == INSUFFICIENT_HISTORY
    assert some.probability == pytest.approx(0.5)
    assert some.threshold == 0.6
    assert judged(BOTH, invoices, metered(9.0, 9.0, n_days=MIN_DAYS))[0].probability > FRAUD_RATE


@pytest.mark.parametrize(
    ("n_days", "words"),
    [
        (0, None),
        (1, "Only 1 day with readings: too few to judge by."),
        (MIN_DAYS - 1, f"Only {MIN_DAYS - 1} days with readings: too few to judge by."),
        (MIN_DAYS, f"Only {MIN_DAYS} days with readings: the score rests on little."),
        (SHORT_READING_DAYS - 1, f"Only {SHORT_READING_DAYS - 1} days with readings: the score rests on little."),
        (SHORT_READING_DAYS, None),
    ],
)
def test_few_days_are_flagged(n_days, words):
    (score,) = judged(BOTH, billed(None), metered(1.0, n_days=n_days))
    assert [flag.text for flag in score.quality] == ([words] if words else [])
    assert not words or (flags_of(score)["short_readings"].n == n_days)


def test_a_model_without_an_ensemble_on_readings_ignores_them(metered_model):
    one, same = judged(INVOICES_ALONE, billed(1.0), metered(9.0)), judged(INVOICES_ALONE, billed(1.0))
    assert [(s.probability, s.threshold) for s in one] == [(s.probability, s.threshold) for s in same]
    readings = {"client": np.zeros(1, np.int64), "read_at": np.zeros(1, "M8[m]"), "consumption_kwh": np.ones(1)}
    assert INVOICES_ALONE.features_from_readings(readings, 1) is None
    assert metered_model.features_from_readings(readings, 1).n_records.tolist() == [1]


def test_a_model_on_readings_alone_judges_nobody_else():
    with_readings, billed_alone = judged(READINGS_ALONE, billed(1.0, 1.0), metered(3.0, 3.0, n_days=[ENOUGH, 0]))
    assert with_readings.probability == pytest.approx(3 / 7)
    assert billed_alone.probability is None
    assert billed_alone.severity == INSUFFICIENT_HISTORY


def test_a_model_without_aggregates_says_so():
    (score,) = READINGS_ALONE.score_aggregates([{"age_months": 3.0, "odds": 9.0}], ["c-1"])
    assert score.probability is None
    assert score.severity == INSUFFICIENT_HISTORY
    assert "invoices or readings" in flags_of(score)["aggregates_unknown"].text


# --- a fitted model ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def known(metered, metered_model):
    """FeatureMatrix of invoices and of readings of a utility's clients, and the days."""
    tables = read_tables(metered.data)
    n = len(tables.clients["client_id"])
    days = DailyConsumption.from_readings(
        read_readings(metered.data).for_clients(tables.clients["client_id"]).readings, n
    )
    invoices = client_features(tables.clients, tables.invoices, metered_model.group_key_names)
    return invoices, metered_model.readings.features(days), days


def test_clients_without_readings_score_as_by_their_invoices_alone(known, metered_model, small_model):
    invoices, readings, _ = known
    silent = readings.n_records == 0
    assert silent.any()
    with_readings, without = metered_model.probability(invoices, readings), small_model.probability(invoices)
    np.testing.assert_array_equal(with_readings[silent], without[silent])
    assert (with_readings[~silent] != without[~silent]).mean() > 0.9


def test_a_client_alone_scores_as_in_the_batch_to_the_last_bit(known, metered_model):
    invoices, readings, days = known
    together = metered_model.probability(invoices, readings)
    for client in range(0, len(invoices), 15):
        own_days = metered_model.readings.features(days.slice(client, client + 1))
        alone = metered_model.probability(invoices.of(np.array([client])), own_days)
        np.testing.assert_array_equal(alone, together[[client]])


def test_every_client_with_readings_has_a_probability_and_all_severities_are_names(known, metered_model):
    invoices, readings, _ = known
    nobody = replace(invoices, n_records=np.zeros_like(invoices.n_records))
    for score, n_days in zip(judged(metered_model, nobody, readings), readings.n_records, strict=True):
        assert (score.probability is not None) == (n_days >= MIN_DAYS)
        assert score.severity in ("critical", "high", "medium", "low", INSUFFICIENT_HISTORY)


def test_a_row_of_totals_gets_no_score():
    total = QualityFlag("total_row", 1, "")
    [score] = INVOICES_ALONE.score_clients(billed(4.0), ["TOTAL"], [(total,)])
    assert (score.probability, score.severity) == (None, INSUFFICIENT_HISTORY)
    assert "total_row" in flags_of(score)


@pytest.mark.parametrize(("monthly", "is_far"), [(30_000.0, False), (31_100.0, True), (np.nan, False)])
def test_a_consumption_far_beyond_that_of_the_training_clients_is_flagged(monthly, is_far):
    edges = np.array([[100.0, 310.0, np.inf]], np.float32)
    known = replace(Odds(), fingerprint=ReferenceDistribution(edges, np.ones((1, 4), np.float32), 9))
    manifest = MANIFEST | {"features": [*MANIFEST["features"], MONTHLY]}
    width = len(manifest["features"])
    rows = np.full((1, width), 2.0, np.float32)
    rows[0, width - 1] = monthly
    model = replace(INVOICES_ALONE, invoices=replace(known, columns=(width - 1,)), manifest=manifest)
    [score] = judged(model, FeatureMatrix(rows, np.array([9]), {}))
    assert ("far_beyond_training" in flags_of(score)) == is_far
