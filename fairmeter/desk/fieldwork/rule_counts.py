"""How many clients each alert rule concerns: by the open alerts, and by the stored facts as the rules are now.

In:  the service.
Out: RuleCount for each rule.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from fairmeter.casework.alert_rules import SCORE, AlertRule, AlertRules, AnomalyRule, rule_hits
from fairmeter.desk.service import DeskService
from fairmeter.store import Store


class RuleCount(NamedTuple):
    """A rule, None for the one on the score. n_open: open alerts that name it; n_would: clients that it fires for now.

    n_would: None where it was not asked for.
    """

    name: str
    rule: AlertRule | AnomalyRule | None
    severity: str
    n_open: int
    n_would: int | None


def rule_counts(service: DeskService, with_clients: bool = False) -> list[RuleCount]:
    """The rules with their counts. with_clients: also for how many clients each fires now, which reads all of them."""
    rules, n_open = service.rules, count_open(service.store)
    would = count_would(service.store, rules) if with_clients else None
    named: list[tuple[str, AlertRule | AnomalyRule | None, str]] = [(SCORE, None, rules.min_severity)]
    named += [(rule.name, rule, rule.severity) for rule in rules.rules]
    return [
        RuleCount(name, rule, severity, n_open[name], None if would is None else would[name])
        for name, rule, severity in named
    ]


def count_open(store: Store) -> Counter[str]:
    """Number of open alerts by the rules that they name."""
    return Counter(row["rule"] for rules in store.open_alert_rules() for row in rules)


def count_would(store: Store, rules: AlertRules) -> Counter[str]:
    """Number of clients that each rule fires for, as their scores and facts are stored."""
    return Counter(name for score, facts in store.rule_inputs() for name in _names(rule_hits(rules, score, facts)))


def _names(hits: Iterable) -> set[str]:
    """Names of the rules; a client with two anomalies of a pattern counts once."""
    return {hit.rule for hit in hits}
