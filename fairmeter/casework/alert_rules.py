"""When the system says: look at this client. Rules over a client's score and facts, read from a file.

In:  data/alerts.toml (which says what each fact means, with its unit); a Score; the client's facts, numbers by name.
Out: which rules speak for an alert, each with its sentence; how long a client is left in peace after a visit.
"""

import math
import operator
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

from fairmeter.casework.workflow import OUTCOMES
from fairmeter.core.types import INSUFFICIENT_HISTORY, SEVERITIES, Score

COMPARISONS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
OPEN, IN_CASE, LAPSED = "open", "in case", "lapsed"  # states of an alert
SCORE = "score"  # the name of the rule that the score itself is
NO_VISIT = "no_visit"  # a case that was closed without one
RANKS = {severity: rank for rank, severity in enumerate(reversed((*SEVERITIES, INSUFFICIENT_HISTORY)))}


class BadRules(Exception):
    """The file of rules cannot be used; one sentence."""


@dataclass(frozen=True, slots=True)
class AlertRule:
    """`fact comparison limit` raises an alert of a severity; the sentence may show {value} and {limit}."""

    name: str
    fact: str
    comparison: str
    limit: float
    severity: str
    sentence: str


@dataclass(frozen=True, slots=True)
class NotificationRule:
    """Alerts from a severity up are told to a channel: at once (hour None), or gathered until an hour. [UTC]"""

    channel: str
    least: str
    hour: int | None


@dataclass(frozen=True, slots=True)
class AlertRules:
    """What raises alerts, whom they are told, and quiet days by outcome (and for a case closed without a visit)."""

    least: str
    rules: tuple[AlertRule, ...]
    quiet_days: Mapping[str, int]
    notices: tuple[NotificationRule, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleHit:
    """A rule that speaks for an alert, with the value that it saw."""

    rule: str
    severity: str
    sentence: str
    fact: str
    value: float
    limit: float


def hits_of(rules: AlertRules, score: Score, facts: Mapping[str, float]) -> tuple[RuleHit, ...]:
    """The rules that speak for an alert, the gravest first. A fact that is missing or NaN speaks for nothing."""
    of_facts = [_hit(rule, facts[rule.fact]) for rule in rules.rules if _holds(rule, facts.get(rule.fact))]
    hits = [*_of_score(rules, score), *of_facts]
    return tuple(sorted(hits, key=lambda hit: -RANKS[hit.severity]))


def severity_of(hits: tuple[RuleHit, ...]) -> str:
    """An alert is as grave as its gravest rule."""
    return hits[0].severity


def rows_of(hits: tuple[RuleHit, ...]) -> list[dict]:
    """As an Alert holds them."""
    return [asdict(hit) for hit in hits]


def quiet_until(rules: AlertRules, outcome: str | None, ended_on: date) -> date:
    """The first day on which a client may be alerted again after a visit, or after a case that had none."""
    return ended_on + timedelta(days=rules.quiet_days[outcome or NO_VISIT])


def _of_score(rules: AlertRules, score: Score) -> list[RuleHit]:
    if score.probability is None or RANKS[score.severity] < RANKS[rules.least]:
        return []
    why = score.main_reason.text if score.main_reason else f"The model's severity is {score.severity}."
    return [RuleHit(SCORE, score.severity, why, "probability", score.probability, score.threshold)]


def _holds(rule: AlertRule, value: float | None) -> bool:
    return value is not None and not math.isnan(value) and COMPARISONS[rule.comparison](value, rule.limit)


def _hit(rule: AlertRule, value: float) -> RuleHit:
    sentence = rule.sentence.format(value=value, limit=rule.limit)
    return RuleHit(rule.name, rule.severity, sentence, rule.fact, float(value), rule.limit)


# --- the file ---------------------------------------------------------------------------------------------------------


def read_rules(path: Path) -> AlertRules:
    """The rules of a file. Raises BadRules."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadRules(
            f"{path} cannot be read as TOML: {error}. Correct it, or take the one that was delivered."
        ) from None
    try:
        return _rules_of(told)
    except BadRules as error:
        raise BadRules(f"{path}: {error}") from None


def _rules_of(told: dict) -> AlertRules:
    unknown = set(told) - {"score", "quiet_days", "rule", "notice"}
    if unknown:
        raise BadRules(f"has {', '.join(sorted(unknown))}; it may have score, quiet_days, rule and notice.")
    rules = tuple(_rule(row, i) for i, row in enumerate(told.get("rule", []), 1))
    if len({rule.name for rule in rules} | {SCORE}) != len(rules) + 1:
        raise BadRules(f"two rules have one name, or one is named {SCORE!r}; give each a name of its own.")
    least = _severity(told.get("score", {}).get("least", "medium"), "score.least")
    return AlertRules(least, rules, _quiet(told.get("quiet_days", {})), tuple(map(_notice, told.get("notice", []))))


def _rule(row: dict, number: int) -> AlertRule:
    wanted = set(AlertRule.__dataclass_fields__)
    if set(row) != wanted:
        raise BadRules(f"rule {number} has {sorted(row)}; it must have {sorted(wanted)}.")
    rule = AlertRule(**row)
    _severity(rule.severity, f"rule {rule.name!r}, severity")
    if rule.comparison not in COMPARISONS:
        raise BadRules(
            f"rule {rule.name!r} compares by {rule.comparison!r}; it must be one of {', '.join(COMPARISONS)}."
        )
    if isinstance(rule.limit, bool) or not isinstance(rule.limit, int | float) or not math.isfinite(rule.limit):
        raise BadRules(f"rule {rule.name!r} has the limit {rule.limit!r}; it must be a number.")
    try:
        _hit(rule, rule.limit)
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise BadRules(f"rule {rule.name!r} has a sentence that cannot be filled in: {error}.") from None
    return rule


def _quiet(told: dict) -> dict[str, int]:
    wanted = {*OUTCOMES, NO_VISIT}
    if set(told) != wanted or not all(type(days) is int and days >= 0 for days in told.values()):
        raise BadRules(f"quiet_days has {told}; it must have whole days for each of {', '.join(sorted(wanted))}.")
    return told


def _notice(row: dict) -> NotificationRule:
    hour = row.get("hour")
    if set(row) - {"hour"} != {"channel", "least"} or (hour is not None and hour not in range(24)):
        raise BadRules(
            f"a notice is {row}; it must have channel, least and, where it is gathered, an hour from 0 to 23."
        )
    return NotificationRule(row["channel"], _severity(row["least"], "notice.least"), hour)


def _severity(word: str, where: str) -> str:
    if word not in SEVERITIES:
        raise BadRules(f"{where} is {word!r}; it must be one of {', '.join(SEVERITIES)}.")
    return word
