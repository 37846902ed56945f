"""Alert rules over a score and facts: which fire, with which sentence, and errors of a bad file."""

from dataclasses import replace
from datetime import date

import pytest

from fairmeter.casework.alert_rules import (
    AlertRule,
    AnomalyRule,
    BadRules,
    alert_severity,
    hits_of_rows,
    quiet_until,
    read_rules,
    rule_hits,
)
from fairmeter.core.types import ANOMALY_PATTERNS, Anomaly, Reason
from fairmeter.wording.phrases import Phrase
from tests.builders.store import ROOT, score_of, shipped_rules

RULE = """
[[rule]]
name = "fall"
fact = "fall_share"
comparison = ">"
limit = 0.6
severity = "high"
sentence = "Fell {value:.0%}, limit {limit:.0%}."
"""
QUIET = """
[quiet_days]
confirmed = 180
fault = 90
cleared = 365
no_access = 14
refused = 7
no_visit = 30
"""


def rules_of(tmp_path, text: str):
    path = tmp_path / "alerts.toml"
    path.write_text(text)
    return read_rules(path)


LOW = score_of(probability=0.02, severity="low")


@pytest.mark.parametrize(
    ("facts", "rules", "severity"),
    [
        ({"n_index_rollbacks": 1}, ["index rollback"], "critical"),
        ({"n_index_rollbacks": 0}, [], None),
        ({"zero_months_occupied": 3}, ["zero use in an occupied home"], "high"),
        ({"transformer_loss_share": 0.16}, ["transformer loss"], "medium"),
        ({"transformer_loss_share": 0.15}, [], None),
        (
            {"transformer_loss_share": 0.2, "n_index_rollbacks": 2},
            ["index rollback", "transformer loss"],
            "critical",
        ),
        ({"transformer_loss_share": float("nan")}, [], None),
        ({}, [], None),
    ],
)
def test_each_delivered_rule_fires_from_its_limit_the_most_severe_first(facts, rules, severity):
    hits = rule_hits(shipped_rules(), LOW, facts)
    assert [hit.rule for hit in hits] == rules
    assert not hits or alert_severity(hits) == severity


def anomaly_of(pattern, severity):
    return Anomaly(pattern, severity, "2026-01-03", "2026-02-01", 1.4, "Far above the usual.")


@pytest.mark.parametrize(
    ("pattern", "severity", "raised"),
    [
        ("sudden spike", "high", "medium"),
        ("sudden spike", "medium", None),
        ("zero or low use", "critical", "medium"),
        ("gradual change", "medium", "high"),
        ("gradual change", "low", None),
        ("change from own history", "medium", "high"),
        ("neighbour deviation", "high", "medium"),
        ("irregular hours", "critical", "medium"),
        ("tampering signature", "low", "high"),
    ],
)
def test_an_anomaly_raises_an_alert_from_a_severity_up(pattern, severity, raised):
    hits = rule_hits(shipped_rules(), replace(LOW, anomalies=(anomaly_of(pattern, severity),)), {})
    assert [(hit.rule, hit.severity, hit.fact, hit.value, hit.sentence) for hit in hits] == (
        [(pattern, raised, pattern, 1.4, "Far above the usual.")] if raised else []
    )


def test_every_pattern_has_a_delivered_rule():
    assert {rule.anomaly for rule in shipped_rules().rules if isinstance(rule, AnomalyRule)} == set(ANOMALY_PATTERNS)


def test_a_sentence_holds_the_value_and_the_limit(tmp_path):
    (hit,) = rule_hits(rules_of(tmp_path, RULE + QUIET), LOW, {"fall_share": 0.72})
    assert (hit.sentence, hit.fact, hit.value, hit.limit) == (
        "Fell 72%, limit 60%.",
        "fall_share",
        0.72,
        0.6,
    )


@pytest.mark.parametrize(
    ("severity", "is_raised"), [("critical", True), ("high", True), ("medium", True), ("low", False)]
)
def test_the_score_alone_raises_an_alert_from_a_severity_up(severity, is_raised):
    hits = rule_hits(shipped_rules(), score_of(severity=severity), {})
    assert [hit.severity for hit in hits] == ([severity] if is_raised else [])


def test_the_alert_of_a_score_has_the_text_of_its_main_reason():
    (hit,) = rule_hits(shipped_rules(), score_of(), {})
    assert (hit.rule, hit.sentence, hit.value) == ("score", "Electricity fell 62 % after March 2026.", 0.7)


def test_the_alert_of_a_score_prefers_a_reason_that_raises_it():
    lowering, raising = Reason("account history", -0.3, "Old account."), Reason("fall in consumption", 0.2, "It fell.")
    [hit] = rule_hits(shipped_rules(), replace(score_of(), reasons=(lowering, raising)), {})
    assert hit.sentence == "It fell."
    [hit] = rule_hits(shipped_rules(), replace(score_of(), reasons=(lowering,)), {})
    assert hit.sentence == "Old account."


def test_only_facts_raise_alerts_without_a_score():
    unknown = score_of(probability=None)
    assert rule_hits(shipped_rules(), unknown, {}) == ()
    assert [hit.rule for hit in rule_hits(shipped_rules(), unknown, {"n_index_rollbacks": 1})] == ["index rollback"]


@pytest.mark.parametrize(
    ("outcome", "until"),
    [("cleared", date(2027, 11, 2)), ("no_access", date(2026, 11, 16)), (None, date(2026, 12, 2))],
)
def test_quiet_days_depend_on_the_outcome(outcome, until):
    assert quiet_until(shipped_rules(), outcome, date(2026, 11, 2)) == until


def test_a_visit_of_the_last_year_there_is_overflows_nothing():
    assert quiet_until(shipped_rules(), "cleared", date.max) == date.max


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[rule]", "cannot be read as TOML"),
        (RULE.replace('severity = "high"', 'severity = "grave"') + QUIET, "'grave'; it must be one of critical"),
        (RULE.replace('">"', '"=="') + QUIET, "the comparison '=='"),
        (RULE.replace("0.6", '"much"') + QUIET, "the limit 'much'"),
        (RULE.replace("0.6", "true") + QUIET, "the limit True"),
        (RULE.replace("{value:.0%}", "{worth}") + QUIET, "cannot be formatted"),
        (RULE.replace('fact = "fall_share"', "") + QUIET, "rule 1 has the entries"),
        (RULE + RULE + QUIET, "two rules have the same name"),
        (RULE.replace('"fall"', '"score"') + QUIET, "named 'score'"),
        (RULE, "quiet_days is {}"),
        (RULE + QUIET.replace("180", "-1"), "quiet_days is"),
        (RULE + QUIET + "[alarm]\n", "unknown entries alarm; allowed are"),
        (RULE + QUIET + '[[notice]]\nchannel = "desk"\nleast = "high"\nhour = 24\n', "an hour from 0 to 23"),
    ],
)
def test_an_invalid_file_raises_with_the_reason(tmp_path, text, message):
    with pytest.raises(BadRules, match=r"alerts\.toml") as raised:
        rules_of(tmp_path, text)
    assert message in str(raised.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadRules, match=r"none\.toml"):
        read_rules(tmp_path / "none.toml")


def test_the_delivered_file_explains_every_fact_of_its_rules():
    comments = [line for line in (ROOT / "data/alerts.toml").read_text().splitlines() if line.startswith("#   ")]
    explained = {line.split()[1] for line in comments}
    assert {rule.fact for rule in shipped_rules().rules if isinstance(rule, AlertRule)} <= explained


# --- languages --------------------------------------------------------------------------------------------------------


def test_the_sentence_of_every_delivered_rule_on_a_fact_is_known_in_all_languages():
    rules = shipped_rules()
    facts = {rule.fact: rule.limit + 1 for rule in rules.rules if isinstance(rule, AlertRule)}
    hits = rule_hits(rules, LOW, facts)
    assert len(hits) == len(facts)
    assert all(isinstance(hit.sentence, Phrase) for hit in hits)


def test_alerts_of_an_earlier_version_have_their_sentences_in_all_languages_too():
    text = "Of what the client's transformer delivered in 90 days, 34% is not accounted for; the rule's limit is 15%."
    row = {"rule": "x", "severity": "medium", "sentence": text, "fact": "transformer_loss_share", "value": 0.34}
    known, own = hits_of_rows([row | {"limit": 0.15}, row | {"limit": 0.15, "sentence": "Une perte."}])
    assert isinstance(known["sentence"], Phrase)
    assert (known["sentence"], own["sentence"]) == (text, "Une perte.")
