"""Reasons and harmless causes of clients that a fitted model judged."""

import re
from dataclasses import replace

import numpy as np
import pytest

from fairmeter.core.types import StoredInvoiceScore
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.json_records import tables_from_records
from fairmeter.explanation.explain import ScoringContext, explain, explain_aggregates
from fairmeter.explanation.harmless_causes import CAUSES
from fairmeter.explanation.reasons import LOWERS, MIN_EFFECT, STORED_SCORE_GROUP, make_reasons
from fairmeter.explanation.sentence_inputs import Sentence
from fairmeter.explanation.shapley import ShapleyValues
from fairmeter.explanation.topics import READINGS, Topic, column_topics, topic_of
from fairmeter.features.base import FALL, LOW, REASON_GROUPS
from fairmeter.features.invoices.matrix import client_features
from fairmeter.models.invoice_evidence import InvoiceEvidence
from tests.builders.tables import a_client, an_invoice

MISSING_EFFECTS = len(REASON_GROUPS) * MIN_EFFECT  # what the effects too small to tell may come to
LEVELS = [600, 640, 600, 620, 200, 210, 190, 205]


def a_history(levels=LEVELS, **changes):
    days = [f"{2016 + i // 3}-{('03', '07', '11')[i % 3]}-20" for i in range(len(levels))]
    return [
        an_invoice(invoice_on=day, consumption_level_1=level, **changes)
        for day, level in zip(days, levels, strict=True)
    ]


def known_of(model, histories, readings=None):
    clients, invoices, _ = tables_from_records([a_client(f"c-{i}") for i in range(len(histories))], histories)
    billed = client_features(clients, invoices, model.group_key_names)
    if readings is None:
        return ScoringContext(clients, invoices, billed)
    days = DailyConsumption.from_readings(readings, len(histories))
    return ScoringContext(clients, invoices, billed, days, model.readings.features(days))


def explained_by(model, histories, readings=None):
    known = known_of(model, histories, readings)
    n = len(histories)
    return explain(
        model, model.score_clients(known.invoice_features, [""] * n, [()] * n, known.reading_features), known
    )


def readings_of(*series):
    """Daily readings of clients from 2014 on, as a canonical table."""
    day = np.datetime64("2014-01-01") + np.concatenate([np.arange(len(kwh)) for kwh in series])
    return {
        "client": np.repeat(np.arange(len(series)), [len(kwh) for kwh in series]),
        "read_at": day.astype("datetime64[m]"),
        "consumption_kwh": np.concatenate(series).astype(float),
    }


def total(score):
    return sum(reason.effect for reason in score.reasons)


def test_reasons_sum_to_the_score_less_the_typical_clients(small_model):
    for score in explained_by(small_model, [a_history(), a_history([90] * 5), a_history([300])]):
        assert total(score) == pytest.approx(score.probability - score.typical, abs=MISSING_EFFECTS)
        assert [abs(r.effect) for r in score.reasons] == sorted((abs(r.effect) for r in score.reasons), reverse=True)


def test_reasons_sum_where_readings_stand_beside_invoices_and_where_they_are_alone(metered_model):
    both, alone = explained_by(metered_model, [a_history(), []], readings_of(FALLEN, FALLEN))
    for score in (both, alone):
        assert score.reasons
        assert total(score) == pytest.approx(score.probability - score.typical, abs=MISSING_EFFECTS)
    assert not {"tariff and invoice configuration"} & {reason.group for reason in alone.reasons}


FALLEN = np.where(np.arange(200) < 120, 10.0, 3.0) + np.sin(np.arange(200))


def explained_after(model, histories, earlier):
    """By readings, and what invoices said that are not at hand."""
    known = replace(known_of(model, histories, readings_of(*[FALLEN] * len(histories))), stored_invoice_scores=earlier)
    n = len(histories)
    return explain(
        model, model.score_clients(known.invoice_features, [""] * n, [()] * n, known.reading_features, earlier), known
    )


def test_what_the_invoices_said_is_a_reason_and_the_reasons_sum(metered_model):
    for probability in (0.001, 0.05, 0.6, 0.999):
        earlier = StoredInvoiceScore(probability, "By its invoices alone.")
        (score,) = explained_after(metered_model, [[]], [earlier])
        assert total(score) == pytest.approx(score.probability - score.typical, abs=MISSING_EFFECTS)
        told = [reason for reason in score.reasons if reason.group == STORED_SCORE_GROUP]
        assert len(told) == 1
        assert told[0].text == ("By its invoices alone." if told[0].effect > 0 else f"By its invoices alone; {LOWERS}.")


def test_readings_add_to_what_the_invoices_said_as_to_the_invoices_themselves(metered_model):
    history = a_history()
    known = known_of(metered_model, [history])
    (alone,) = metered_model.score_clients(known.invoice_features, [""], [()])
    (both,) = explained_by(metered_model, [history], readings_of(FALLEN))
    (later,) = explained_after(metered_model, [[]], [StoredInvoiceScore(alone.probability, "Said.")])
    assert later.probability == pytest.approx(both.probability, abs=1e-9)
    assert later.typical == pytest.approx(both.typical, abs=1e-7)  # leaves are summed in float32 here
    assert later.severity == both.severity


def test_invoices_that_are_at_hand_count_and_what_they_said_before_does_not(metered_model):
    (both,) = explained_by(metered_model, [a_history()], readings_of(FALLEN))
    assert explained_after(metered_model, [a_history()], [StoredInvoiceScore(0.9, "Said.")]) == [both]


def test_what_the_invoices_said_judges_nobody_by_itself(metered_model):
    known = known_of(metered_model, [[]], readings_of(FALLEN[:5]))
    (score,) = metered_model.score_clients(
        known.invoice_features, [""], [()], known.reading_features, [StoredInvoiceScore(0.9, "Said.")]
    )
    assert score.probability is None


def test_explaining_changes_nothing_of_the_score_itself(small_model):
    known = known_of(small_model, [a_history(), []])
    (judged, unjudged) = small_model.score_clients(known.invoice_features, ["a", "b"], [(), ()])
    told = explain(small_model, [judged, unjudged], known)
    assert [replace(score, reasons=(), typical=None, explanations=()) for score in told] == [judged, unjudged]


def test_single_invoices_are_scored_once_for_score_and_reasons_and_as_without_sharing(small_model, monkeypatch):
    known, calls = known_of(small_model, [a_history(), a_history(LEVELS[:2])]), []
    columns = InvoiceEvidence.columns
    monkeypatch.setattr(InvoiceEvidence, "columns", lambda self, rows: calls.append(1) or columns(self, rows))
    judged, _ = small_model.judge(known.invoice_features, None)
    shared = replace(known, invoice_features=judged)
    scores = [
        explain(small_model, small_model.score_clients(each.invoice_features, ["a", "b"], [(), ()]), each)
        for each in (shared, known)
    ]
    assert scores[0] == scores[1]
    assert len(calls) == 1 + 2
    some = judged.of(np.array([1]))
    np.testing.assert_array_equal(some.judged.inputs, judged.judged.inputs[1:])
    np.testing.assert_array_equal(some.judged.log_odds, judged.judged.log_odds[1:])


def test_what_one_ensemble_made_of_clients_is_no_other_ensembles(small_model):
    known = known_of(small_model, [a_history()])
    judged, _ = small_model.judge(known.invoice_features, None)
    other = replace(small_model.invoices, intercept=small_model.invoices.intercept + 1.0)
    assert other.judged(judged).log_odds == other.log_odds(judged.judged.inputs)
    assert small_model.invoices.judged(judged) is judged.judged


def test_clients_without_invoices_are_not_judged_among_others(small_model):
    known = known_of(small_model, [[], a_history(), []])
    judged, _ = small_model.judge(known.invoice_features, None)
    assert np.isnan(judged.judged.log_odds).tolist() == [True, False, True]
    alone, _ = small_model.judge(known.invoice_features.of(np.array([1])), None)
    np.testing.assert_array_equal(judged.judged.inputs[1:2], alone.judged.inputs)


def test_a_client_gets_the_same_reasons_alone_and_among_others(small_model):
    histories = [a_history(), [], a_history([50] * 6), a_history(energy="GAZ")]
    together = explained_by(small_model, histories)
    for history, score in zip(histories, together, strict=True):
        (alone,) = explained_by(small_model, [history])
        assert [(r.group, r.text) for r in alone.reasons] == [(r.group, r.text) for r in score.reasons]
        assert alone.explanations == score.explanations


def test_whom_nobody_can_judge_has_no_reasons_but_his_harmless_causes(small_model):
    (score,) = explained_by(small_model, [[]])
    assert (score.reasons, score.typical) == ((), None)
    assert tuple(each.cause for each in score.explanations) == CAUSES


def test_aggregates_have_reasons_in_simpler_sentences(small_model):
    row = {"consumption_level_1_mean": 934.46, "consumption_level_1_min": 165.0, "consumption_level_1_max": 2090.0}
    row |= {"region": 103.0, "category": 11.0, "district": 69.0, "age_months": 196.0}
    (score,) = explain_aggregates(small_model, small_model.score_aggregates([row], ["a"]), [row])
    assert total(score) == pytest.approx(score.probability - score.typical, abs=MISSING_EFFECTS)
    told = " ".join(reason.text for reason in score.reasons)
    assert "An invoice bills 934 kWh on average at the first price level, from 165 to 2,090" in told
    assert score.explanations == ()


def test_no_sentence_names_a_feature(metered_model):
    wavy = 10.0 + np.sin(np.arange(150))
    scores = explained_by(metered_model, [a_history(), a_history([0, 0, 900, 5])], readings_of(wavy, wavy / 2))
    texts = [part.text for score in scores for part in (*score.reasons, *score.explanations)]
    assert len(texts) > 2 * len(CAUSES)
    assert not [text for text in texts if re.search(r"_|\bnan\b", text)]


def test_an_ensemble_without_a_typical_client_gives_no_reasons(small_model):
    older = replace(small_model, invoices=replace(small_model.invoices, typical=None))
    (score,) = explained_by(older, [a_history()])
    assert (score.reasons, score.typical) == ((), None)


# --- which sentence a group gets --------------------------------------------------------------------------------------

RISE, DROPS, ZEROS = (Topic(group, name, "elec") for group, name in ((FALL, "change"), (FALL, "drops"), (LOW, "zero")))


def reasons_from(effects, moves, sentences):
    values = np.array([effects.get(group, 0.0) for group in REASON_GROUPS])
    found = ShapleyValues(0.5, 0.1, values, {(0, aspect): move for aspect, move in moves.items()})
    return make_reasons(found, lambda _part, aspect: sentences.get(aspect))


def test_the_sentence_is_of_the_aspect_that_moves_the_score_most_the_groups_way():
    moves, sentences = {RISE: 0.2, DROPS: 0.7}, {RISE: Sentence("One.", 1), DROPS: Sentence("Two.", 1)}
    assert [reason.text for reason in reasons_from({FALL: 0.3}, moves, sentences)] == ["Two."]
    assert [reason.text for reason in reasons_from({FALL: -0.3}, moves, {DROPS: Sentence("Two.", -1)})] == [
        f"Two; {LOWERS}."
    ]


def test_a_sentence_that_sounds_the_other_way_gives_way_to_the_next():
    moves, sentences = {RISE: 0.9, DROPS: 0.1}, {RISE: Sentence("It rose.", -1), DROPS: Sentence("It fell.", 1)}
    assert [reason.text for reason in reasons_from({FALL: 0.3}, moves, sentences)] == ["It fell."]
    assert [reason.text for reason in reasons_from({FALL: 0.3}, moves, {RISE: sentences[RISE]})] == ["It rose."]


def test_a_group_without_any_sentence_still_says_that_it_counts():
    (reason,) = reasons_from({LOW: 0.2}, {ZEROS: 0.1}, {})
    assert reason.text.startswith(f"No single figure of {LOW} stands out")


def test_effects_too_small_to_show_are_left_out():
    assert reasons_from({LOW: MIN_EFFECT / 2}, {ZEROS: 0.1}, {}) == ()


def test_readings_speak_of_electricity_alone():
    assert topic_of("off_usual_step_size", READINGS) == Topic(FALL, "change", "elec")


# --- evidence groups --------------------------------------------------------------------------------------------------


def test_every_column_of_a_fitted_model_belongs_to_a_group_and_an_aspect(metered_model):
    kinds = {"invoices": metered_model.invoices, "readings": metered_model.readings.ensemble}
    for kind, ensemble in kinds.items():
        layout = column_topics(ensemble.inputs.names, kind)
        assert len(layout.group) == len(ensemble.inputs.names) == len(ensemble.typical)
        assert {REASON_GROUPS[group] for group in layout.group} == set(REASON_GROUPS) - (
            {"discrepancies of index, remarks and meter status", "tariff and invoice configuration"}
            if kind == "readings"
            else set()
        )


def test_an_ensemble_keeps_no_row_of_a_client_as_its_typical_one(small_dataset, small_model):
    inputs = small_model.invoices.inputs.matrix(small_dataset.evidence)
    typical = small_model.invoices.typical
    assert not (np.isnan(inputs) & np.isnan(typical) | (inputs == typical)).all(axis=1).any()
