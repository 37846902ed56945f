"""The alert rules, with how many clients each concerns.

In:  ?count=1 to count the clients that each rule fires for now.
Out: the page at /desk/rules.
"""

from flask import request

from fairmeter.casework.alert_rules import AlertRule, AnomalyRule
from fairmeter.desk.fieldwork.rule_counts import rule_counts
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import ADMIN
from fairmeter.web.pages.site import Site, render
from fairmeter.web.server.policies import RoutePolicy

COUNTED = (("count", ("",)),)  # of the address: reads every client


def register(site: Site) -> None:
    @site.page("/rules", ADMIN)
    def rules():
        is_counted = bool(request.args.get("count"))
        found = rule_counts(site.desk, is_counted)
        return render(
            "rules.html",
            counts=found,
            is_counted=is_counted,
            condition_of=condition_of,
            quiet_days=site.desk.rules.quiet_days,
            notices=site.desk.rules.notices,
            path=site.settings.rules_path,
        )

    site.set_policies(RoutePolicy(heavy_queries=COUNTED), "rules")


def condition_of(rule: AlertRule | AnomalyRule | None, severity: str) -> str:
    """When a rule fires, in words."""
    if rule is None:
        return i18n.text("rules.by_score", severity=i18n.text(f"severity.{severity}"))
    if isinstance(rule, AnomalyRule):
        pattern = i18n.text_or_default(f"pattern.{rule.anomaly}", rule.anomaly)
        return i18n.text("rules.by_anomaly", pattern=pattern, severity=i18n.text(f"severity.{rule.least}"))
    fact = i18n.text_or_default(f"rules.fact.{rule.fact}", rule.fact)
    return i18n.text("rules.by_fact", fact=fact, comparison=rule.comparison, limit=f"{rule.limit:g}")
