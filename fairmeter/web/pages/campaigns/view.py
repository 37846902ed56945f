"""Campaigns: a row each with visits, hit rate, what was recovered and what it cost, against random visits.

In:  a form for a new campaign; the number of a campaign.
Out: the pages at /desk/campaigns, and the same as a file.
"""

from typing import Any, NamedTuple

from flask import flash, redirect, request, url_for

from fairmeter.casework.campaign_results import RANDOM, CampaignResult
from fairmeter.casework.hit_rates import HitRate
from fairmeter.casework.workflow import CaseError
from fairmeter.desk.fieldwork.campaigns import campaign_report, list_campaign_reports
from fairmeter.desk.fieldwork.desk_settings import desk_settings
from fairmeter.scoring.problems import Problem
from fairmeter.store import StoreError, StoreUnavailable
from fairmeter.web.desk_api.fieldwork_models import NewCampaign
from fairmeter.web.exports.files import export_response
from fairmeter.web.http import i18n
from fairmeter.web.http.auth import INVESTIGATOR
from fairmeter.web.pages import error_pages
from fairmeter.web.pages.campaigns.rows import CampaignRow, campaign_row
from fairmeter.web.pages.forms import parse_form
from fairmeter.web.pages.site import Site, render

MIN_SEEN = 20  # visits at which the meter was seen: with fewer the interval is wider than 40 percentage points
CHOICES = ("both", "list", RANDOM)
GROUPS = ("pattern", "region", "crew", "reason_group", "week")
FORMATS = ("csv", "xlsx")


class GroupRow(NamedTuple):
    """A group of visits with the hit rates of chosen and of random ones, None where it has none."""

    group: Any
    chosen: HitRate | None
    random: HitRate | None


def register(site: Site) -> None:
    store = site.desk.store

    @site.page("/campaigns")
    def campaigns():
        return render("campaigns.html", **list_context(site))

    @site.page("/campaigns/<int:campaign_id>")
    def campaigns_one(campaign_id: int):
        report = campaign_report(store, campaign_id)
        groups = {name: group_rows(report.hit_rates[name]) for name in GROUPS}
        groups["week"].sort(key=lambda row: row.group, reverse=True)
        return render("campaigns_one.html", report=report, verdict=verdict(report.result), groups=groups)

    @site.page("/campaigns.<kind>")
    def campaigns_file(kind: str):
        if kind not in FORMATS:
            raise Problem(404, "not_found", i18n.text("campaigns.no_format", kinds=", ".join(FORMATS)))
        rows = map(campaign_row, list_campaign_reports(store))
        return export_response(kind, CampaignRow, rows, "campaigns", {})

    @site.page("/campaigns/add", INVESTIGATOR, methods=("POST",))
    def campaigns_add():
        try:
            asked = parse_form(NewCampaign, campaign_fields())
            added = store.add_campaign(**asked.model_dump(), user=site.guard.identity().signature)
        except StoreUnavailable:
            raise
        except (CaseError, StoreError, Problem) as error:
            context = list_context(site) | {"typed": request.form, "problem": error_pages.error_sentence(error)}
            return render("campaigns.html", **context), error_pages.describe_error(error)[0]
        return redirect(url_for("desk.campaigns_one", campaign_id=added.campaign_id))

    @site.page("/campaigns/<int:campaign_id>/delete", INVESTIGATOR, methods=("POST",))
    def campaigns_delete(campaign_id: int):
        store.delete_campaign(campaign_id)
        flash(i18n.text("campaigns.deleted"), "done")
        return redirect(url_for("desk.campaigns"))


def list_context(site: Site) -> dict[str, Any]:
    """What the template of the list receives."""
    store = site.desk.store
    reports = list_campaign_reports(store)
    return {
        "reports": [(report, verdict(report.result)) for report in reports],
        "choices": CHOICES,
        "regions": [code for code in store.list_codes()["region"] if code is not None],
        "defaults": desk_settings(store),
        "files": {kind: url_for("desk.campaigns_file", kind=kind) for kind in FORMATS},
        "typed": {},
    }


def campaign_fields() -> dict[str, str]:
    """The fields of the form; the random share is in percent there."""
    fields = request.form.to_dict()
    percent = fields.pop("random_percent", "").strip()
    try:
        return fields | ({"random_share": f"{float(percent) / 100:g}"} if percent else {})
    except ValueError:
        return fields | {"random_share": percent}


def verdict(result: CampaignResult) -> str:
    """What can be said of a campaign against random visits: a key of campaigns.verdict."""
    if result.n_seen < MIN_SEEN:
        return "too_few"
    against = result.against_random
    if against is None or against.n_random < MIN_SEEN:
        return "no_random"
    return "better" if against.low > 0 else "worse" if against.high < 0 else "unclear"


def group_rows(rates: list[HitRate]) -> list[GroupRow]:
    """Hit rates by group, the groups with most visits first."""
    found: dict[Any, dict[bool, HitRate]] = {}
    for rate in rates:
        found.setdefault(rate.group, {})[rate.is_random] = rate
    rows = [GroupRow(group, of_group.get(False), of_group.get(True)) for group, of_group in found.items()]
    return sorted(rows, key=lambda row: -sum(rate.n_inspected for rate in (row.chosen, row.random) if rate))
