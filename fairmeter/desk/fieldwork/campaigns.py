"""Campaigns with what they brought: the one calculation for page, API and export.

In:  the store; a campaign, or all.
Out: CampaignReport; hit rates of one campaign by region, crew, pattern and reason group.
"""

from typing import NamedTuple

from fairmeter.casework import hit_rates
from fairmeter.casework.campaign_results import CampaignResult, campaign_result
from fairmeter.casework.hit_rates import HitRate
from fairmeter.casework.types import Campaign
from fairmeter.store import NoSuchCampaign, Store

GROUPS = {"region": hit_rates.region, "crew": hit_rates.crew, "reason_group": hit_rates.reason_group}
GROUPS |= {"week": hit_rates.week}


class CampaignReport(NamedTuple):
    """A campaign and its result. hit_rates: by group, where they were asked for."""

    campaign: Campaign
    result: CampaignResult
    hit_rates: dict[str, list[HitRate]]


def list_campaign_reports(store: Store) -> list[CampaignReport]:
    """All campaigns with their results, the latest first."""
    everywhere = store.inspections()
    return [
        CampaignReport(one, campaign_result(one, store.inspections_of(one), everywhere), {})
        for one in store.list_campaigns()
    ]


def campaign_report(store: Store, campaign_id: int) -> CampaignReport:
    """A campaign with its result and hit rates. Raises NoSuchCampaign."""
    campaign = store.find_campaign(campaign_id)
    if campaign is None:
        raise NoSuchCampaign(f"There is no campaign {campaign_id}.")
    found = store.inspections_of(campaign)
    rates = {name: hit_rates.hit_rates(found, group) for name, group in GROUPS.items()}
    rates["pattern"] = hit_rates.hit_rates_by_pattern(found)
    return CampaignReport(campaign, campaign_result(campaign, found, store.inspections()), rates)
