"""What a campaign brought: visits, hits, what was recovered, what it cost, and the same against random visits.

In:  a campaign and its inspections; random visits to compare with.
Out: CampaignResult. Hit rates count the visits at which somebody was seen: without access nothing can be found.
"""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

from fairmeter.casework.hit_rates import HitRate, hit_rates, overall
from fairmeter.casework.types import Campaign, Inspection

LIST, RANDOM, BOTH = "list", "random", "both"  # choices of a campaign


class RateDifference(NamedTuple):
    """How much higher the hit rate of chosen visits is than that of random ones, with its 95 % interval. [-1..1]

    Newcombe's interval for the difference of two shares (1998, Statistics in Medicine 17, method 10).
    n_random: random visits at which somebody was seen; is_own: they are of the campaign itself, not of the whole desk.
    """

    difference: float
    low: float
    high: float
    n_random: int
    is_own: bool


class CampaignResult(NamedTuple):
    """Figures of a campaign. [kwh; values in the desk's currency]

    chosen, random: hit rates, None without such visits that count. recovered_value: as billed, else recovered_kwh at
    the campaign's price. net: recovered_value less cost. against_random: None where one side has no visits.
    days: visits a day and user, averaged over the days on which the user was out.
    """

    n_visits: int
    n_seen: int
    n_confirmed: int
    chosen: HitRate | None
    random: HitRate | None
    recovered_kwh: float
    recovered_value: float
    cost: float
    net: float
    against_random: RateDifference | None
    visits_a_day: dict[str, float]


def campaign_result(
    campaign: Campaign, inspections: Sequence[Inspection], all_inspections: Sequence[Inspection] = ()
) -> CampaignResult:
    """The result of a campaign. [inspections: of its period and region; all_inspections: of the whole desk]

    Where the campaign has no random visits of its own, its chosen ones are compared with all random ones of the desk.
    """
    counted = [one for one in inspections if _counts(campaign, one)]
    rates = {rate.is_random: rate for rate in hit_rates(counted, overall)}
    chosen, own_random = rates.get(False), rates.get(True)
    elsewhere = next((rate for rate in hit_rates([i for i in all_inspections if i.is_random], overall)), None)
    recovered = sum(_value(campaign, one) for one in counted)
    cost = campaign.cost_per_visit * len(counted)
    return CampaignResult(
        n_visits=len(counted),
        n_seen=sum(rate.n_seen for rate in rates.values()),
        n_confirmed=sum(rate.n_confirmed for rate in rates.values()),
        chosen=chosen,
        random=own_random,
        recovered_kwh=sum(one.recovered_kwh or 0.0 for one in counted),
        recovered_value=recovered,
        cost=cost,
        net=recovered - cost,
        against_random=rate_difference(chosen, own_random or elsewhere, is_own=own_random is not None),
        visits_a_day=visits_a_day(counted),
    )


def rate_difference(chosen: HitRate | None, random: HitRate | None, is_own: bool = True) -> RateDifference | None:
    """The difference of two hit rates; None where one of them has no visit at which somebody was seen."""
    if chosen is None or random is None or not chosen.n_seen or not random.n_seen:
        return None
    a, b = chosen, random
    difference = a.hit_rate - b.hit_rate
    below = sqrt((a.hit_rate - a.low) ** 2 + (b.high - b.hit_rate) ** 2)
    above = sqrt((a.high - a.hit_rate) ** 2 + (b.hit_rate - b.low) ** 2)
    return RateDifference(difference, difference - below, difference + above, b.n_seen, is_own)


def visits_a_day(inspections: Sequence[Inspection]) -> dict[str, float]:
    """Mean number of visits on the days on which each user was out, by user."""
    days: dict[str, dict] = {}
    for one in inspections:
        of_user = days.setdefault(one.user, {})
        of_user[one.inspected_on] = of_user.get(one.inspected_on, 0) + 1
    return {user: sum(of_user.values()) / len(of_user) for user, of_user in sorted(days.items())}


def _counts(campaign: Campaign, inspection: Inspection) -> bool:
    return campaign.choice == BOTH or inspection.is_random == (campaign.choice == RANDOM)


def _value(campaign: Campaign, inspection: Inspection) -> float:
    if inspection.recovered_value is not None:
        return inspection.recovered_value
    return (inspection.recovered_kwh or 0.0) * campaign.price_per_kwh
