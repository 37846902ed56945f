"""Campaigns as rows of a file.

In:  a campaign with its result.
Out: CampaignRow, with units and intervals in columns of their own.
"""

from datetime import date

from pydantic import BaseModel

from fairmeter.casework.hit_rates import HitRate
from fairmeter.desk.fieldwork.campaigns import CampaignReport
from fairmeter.web.http import i18n


class CampaignRow(BaseModel):
    """A row. Rates and shares are from 0 to 1; values in the desk's currency; empty where nothing was seen."""

    name: str
    since: date
    until: date
    choice: str
    region: str | None
    n_visits: int
    n_seen: int
    n_confirmed: int
    hit_rate: float | None
    hit_rate_low: float | None
    hit_rate_high: float | None
    random_n_seen: int
    random_hit_rate: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    recovered_kwh: float
    recovered_value: float
    cost: float
    net: float
    visits_a_day: float | None


def campaign_row(report: CampaignReport) -> CampaignRow:
    """The row of a campaign."""
    campaign, result = report.campaign, report.result
    chosen, random, against = result.chosen, result.random, result.against_random
    own = {name: getattr(campaign, name) for name in ("name", "since", "until", "choice")}
    figures = ("n_visits", "n_seen", "n_confirmed", "recovered_kwh", "recovered_value", "cost", "net")
    return CampaignRow(
        **own,
        **{name: getattr(result, name) for name in figures},
        region=None if campaign.region is None else i18n.code(campaign.region, "region"),
        hit_rate=_rate(chosen),
        hit_rate_low=chosen and chosen.low,
        hit_rate_high=chosen and chosen.high,
        random_n_seen=random.n_seen if random else 0,
        random_hit_rate=_rate(random),
        difference=against and against.difference,
        difference_low=against and against.low,
        difference_high=against and against.high,
        visits_a_day=mean_visits_a_day(result.visits_a_day),
    )


def _rate(rate: HitRate | None) -> float | None:
    return rate and rate.hit_rate


def mean_visits_a_day(by_user: dict[str, float]) -> float | None:
    """The mean over the users; None without visits."""
    return sum(by_user.values()) / len(by_user) if by_user else None
