"""Rules that raise alerts from a client's score, anomalies and facts, read from a file.

In:  data/alerts.toml (which defines each fact and its unit); a Score; the client's facts, numbers by name.
Out: the rules that fire, each with its sentence; the day until which no alert is raised after a visit.
"""

import math
import operator
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

from fairmeter.casework.workflow import OUTCOMES
from fairmeter.core.types import (
    ANOMALY_PATTERNS,
    INSUFFICIENT_HISTORY,
    IRREGULAR_HOURS,
    LOW_USE,
    NEIGHBOUR_DEVIATION,
    OWN_HISTORY,
    SEVERITIES,
    SUDDEN_SPIKE,
    TAMPERING,
    Anomaly,
    Score,
)
from fairmeter.wording.phrases import Phrase, data_of, known_sentence, sentence, text_of

COMPARISONS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
OPEN, IN_CASE, LAPSED, DISMISSED = "open", "in case", "lapsed", "dismissed"  # states of an alert
SNOOZED = "snoozed"  # an open alert that nobody wants to see before a day
ALERT_STATES = (OPEN, SNOOZED, DISMISSED, IN_CASE, LAPSED)
SCORE = "score"  # name of the rule on the score itself
NO_VISIT = "no_visit"  # a case that was closed without a visit
RANKS = {severity: rank for rank, severity in enumerate(reversed((*SEVERITIES, INSUFFICIENT_HISTORY)))}
# The pattern that a rule on a fact is of, so that alerts of all ages are found by pattern.
PATTERN_OF_FACT = {
    "fall_90_days_share": OWN_HISTORY, "spike_ratio": SUDDEN_SPIKE, "n_index_rollbacks": TAMPERING,
    "zero_months_occupied": LOW_USE, "night_share_rise": IRREGULAR_HOURS, "neighbour_share": NEIGHBOUR_DEVIATION,
}  # fmt: skip


class BadRules(Exception):
    """The file of rules is invalid; the message names the entry, its value, and what is allowed."""


@dataclass(frozen=True, slots=True)
class AlertRule:
    """Raises an alert of a severity where `fact comparison limit`; the sentence may hold {value} and {limit}."""

    name: str
    fact: str
    comparison: str
    limit: float
    severity: str
    sentence: str


@dataclass(frozen=True, slots=True)
class AnomalyRule:
    """Raises an alert of a severity where an anomaly of a pattern has at least the severity `least`."""

    name: str
    anomaly: str
    least: str
    severity: str


@dataclass(frozen=True, slots=True)
class NotificationRule:
    """Sends alerts from a severity up to a channel: at once (hour None), or once a day at an hour. [UTC]"""

    channel: str
    min_severity: str
    hour: int | None


@dataclass(frozen=True, slots=True)
class AlertRules:
    """All rules of the file: of alerts, quiet days by outcome (or NO_VISIT), notifications."""

    min_severity: str
    rules: tuple[AlertRule | AnomalyRule, ...]
    quiet_days: Mapping[str, int]
    notices: tuple[NotificationRule, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleHit:
    """A rule that fired, with the value of its fact; of an anomaly, the fact is its pattern, the value its strength."""

    rule: str
    severity: str
    sentence: str
    fact: str
    value: float
    limit: float


def rule_hits(rules: AlertRules, score: Score, facts: Mapping[str, float]) -> tuple[RuleHit, ...]:
    """The rules that fire, the most severe first. A missing or NaN fact fires none."""
    of_facts = [rule for rule in rules.rules if isinstance(rule, AlertRule)]
    hits = _score_hits(rules, score)
    hits += [_hit(rule, facts[rule.fact]) for rule in of_facts if _holds(rule, facts.get(rule.fact))]
    hits += [_anomaly_hit(rule, one) for rule in rules.rules for one in score.anomalies if _is_of(rule, one)]
    return tuple(sorted(hits, key=lambda hit: -RANKS[hit.severity]))


def alert_severity(hits: tuple[RuleHit, ...]) -> str:
    """The severity of the most severe rule; at least one hit."""
    return hits[0].severity


def stored_hits(hits: tuple[RuleHit, ...]) -> list[dict]:
    """The hits as JSON holds them, their sentences as code and values."""
    return [asdict(hit) | {"sentence": data_of(hit.sentence)} for hit in hits]


def hits_of_rows(rows: list[dict]) -> list[dict]:
    """The hits as Alert.rules holds them; those of an earlier version have their sentence as a text."""
    return [row | {"sentence": _stored_sentence(row)} for row in rows]


def _stored_sentence(row: Mapping) -> str:
    text = text_of(row["sentence"])
    if isinstance(text, Phrase) or row.keys() < {"fact", "value", "limit"}:
        return text
    return known_sentence(text, f"fact.{row['fact']}", value=row["value"], limit=row["limit"])


def is_dismissed(hits: tuple[RuleHit, ...], dismissed: Sequence[Mapping]) -> bool:
    """Whether a dismissed alert answers what fires now: no other rule, and none more severe.

    dismissed: the rules of the dismissed alert, as Alert.rules holds them.
    """
    severities = {row["rule"]: row["severity"] for row in dismissed}
    return all(hit.rule in severities and RANKS[hit.severity] <= RANKS[severities[hit.rule]] for hit in hits)


def quiet_until(rules: AlertRules, outcome: str | None, ended_on: date) -> date:
    """The first day with alerts again after a visit, or after a case without one (outcome None)."""
    quiet = timedelta(days=rules.quiet_days[outcome or NO_VISIT])
    return ended_on + min(quiet, date.max - ended_on)  # an older version took visits of the year 9999


def _score_hits(rules: AlertRules, score: Score) -> list[RuleHit]:
    if score.value is None or RANKS[score.severity] < RANKS[rules.min_severity]:
        return []
    why = score.main_reason.text if score.main_reason else _severity_sentence(score)
    if score.probability is None:
        return [RuleHit(SCORE, score.severity, why, "percentile", score.percentile, 100.0 * score.threshold)]
    return [RuleHit(SCORE, score.severity, why, "probability", score.probability, score.threshold)]


def _severity_sentence(score: Score) -> str:
    return sentence(Phrase("rule.severity", severity=score.severity))


def _holds(rule: AlertRule, value: float | None) -> bool:
    return value is not None and not math.isnan(value) and COMPARISONS[rule.comparison](value, rule.limit)


def _is_of(rule: AlertRule | AnomalyRule, anomaly: Anomaly) -> bool:
    is_pattern = isinstance(rule, AnomalyRule) and rule.anomaly == anomaly.pattern
    return is_pattern and RANKS[anomaly.severity] >= RANKS[rule.least]


def _anomaly_hit(rule: AnomalyRule, anomaly: Anomaly) -> RuleHit:
    return RuleHit(rule.name, rule.severity, anomaly.text, anomaly.pattern, anomaly.strength, 1.0)


def _hit(rule: AlertRule, value: float) -> RuleHit:
    own = rule.sentence.format(value=value, limit=rule.limit)
    text = known_sentence(own, f"fact.{rule.fact}", value=value, limit=rule.limit)
    return RuleHit(rule.name, rule.severity, text, rule.fact, float(value), rule.limit)


# --- the file ---------------------------------------------------------------------------------------------------------


def read_rules(path: Path) -> AlertRules:
    """Read the rules from a TOML file. Raises BadRules."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadRules(f"{path} cannot be read as TOML: {error}. Correct it, or use the delivered one.") from None
    try:
        return _parse_rules(content)
    except BadRules as error:
        raise BadRules(f"{path}: {error}") from None


def _parse_rules(content: dict) -> AlertRules:
    unknown = set(content) - {"score", "quiet_days", "rule", "notice"}
    if unknown:
        raise BadRules(f"unknown entries {', '.join(sorted(unknown))}; allowed are score, quiet_days, rule and notice.")
    rules = tuple(_parse_rule(row, i) for i, row in enumerate(content.get("rule", []), 1))
    if len({rule.name for rule in rules} | {SCORE}) != len(rules) + 1:
        raise BadRules(f"two rules have the same name, or one is named {SCORE!r}; give each its own name.")
    min_severity = _checked_severity(content.get("score", {}).get("least", "medium"), "score.least")
    quiet_days = _parse_quiet_days(content.get("quiet_days", {}))
    return AlertRules(min_severity, rules, quiet_days, tuple(map(_parse_notice, content.get("notice", []))))


def _parse_rule(row: dict, number: int) -> AlertRule | AnomalyRule:
    if "anomaly" in row:
        return _parse_anomaly_rule(row, number)
    wanted = set(AlertRule.__dataclass_fields__)
    if set(row) != wanted:
        raise BadRules(f"rule {number} has the entries {sorted(row)}; it must have {sorted(wanted)}.")
    rule = AlertRule(**row)
    _checked_severity(rule.severity, f"rule {rule.name!r}, severity")
    if rule.comparison not in COMPARISONS:
        raise BadRules(
            f"rule {rule.name!r} has the comparison {rule.comparison!r}; it must be one of {', '.join(COMPARISONS)}."
        )
    if isinstance(rule.limit, bool) or not isinstance(rule.limit, int | float) or not math.isfinite(rule.limit):
        raise BadRules(f"rule {rule.name!r} has the limit {rule.limit!r}; it must be a number.")
    try:
        _hit(rule, rule.limit)
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise BadRules(
            f"rule {rule.name!r} has a sentence that cannot be formatted: {error}. Use {{value}} and {{limit}} only."
        ) from None
    return rule


def _parse_anomaly_rule(row: dict, number: int) -> AnomalyRule:
    wanted = set(AnomalyRule.__dataclass_fields__)
    if set(row) != wanted:
        raise BadRules(f"rule {number} has the entries {sorted(row)}; one on an anomaly must have {sorted(wanted)}.")
    rule = AnomalyRule(**row)
    if rule.anomaly not in ANOMALY_PATTERNS:
        allowed = ", ".join(ANOMALY_PATTERNS)
        raise BadRules(f"rule {rule.name!r} has the anomaly {rule.anomaly!r}; it must be one of {allowed}.")
    for name in ("least", "severity"):
        _checked_severity(getattr(rule, name), f"rule {rule.name!r}, {name}")
    return rule


def _parse_quiet_days(days_of: dict) -> dict[str, int]:
    wanted = {*OUTCOMES, NO_VISIT}
    if set(days_of) != wanted or not all(type(days) is int and days >= 0 for days in days_of.values()):
        raise BadRules(f"quiet_days is {days_of}; give whole days for each of {', '.join(sorted(wanted))}.")
    return days_of


def _parse_notice(row: dict) -> NotificationRule:
    hour = row.get("hour")
    if set(row) - {"hour"} != {"channel", "least"} or (hour is not None and hour not in range(24)):
        raise BadRules(f"a notice is {row}; it must have channel and least, and for a daily one an hour from 0 to 23.")
    return NotificationRule(row["channel"], _checked_severity(row["least"], "notice.least"), hour)


def _checked_severity(severity: str, where: str) -> str:
    if severity not in SEVERITIES:
        raise BadRules(f"{where} is {severity!r}; it must be one of {', '.join(SEVERITIES)}.")
    return severity
