"""Campaigns: inspections of a period, and of a region if one is given, to be judged together.

In:  a name, a period, which visits count, what a visit costs.
Out: Campaign; its inspections, for casework/campaign_results.py.
"""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from fairmeter.casework.types import Campaign, Inspection
from fairmeter.store.access.roles import NameTaken
from fairmeter.store.cases import inspection_of
from fairmeter.store.engine.database import Database, StoreError, ValueOutOfRange
from fairmeter.store.engine.fieldwork_tables import campaigns
from fairmeter.store.engine.paging import check_text
from fairmeter.store.engine.schema import MAX_ID, inspections

CHOICES = ("list", "random", "both")
FIRST_DAY, LAST_DAY = date(1950, 1, 1), date(2200, 1, 1)
MAX_CAMPAIGNS = 500  # in a list
DEFAULTS = {
    "choice": "both", "random_share": None, "region": None, "cost_per_visit": 0.0, "price_per_kwh": 0.0, "note": "",
}  # fmt: skip
CHANGEABLE = ("name", "since", "until", *DEFAULTS)


class NoSuchCampaign(StoreError):
    """No campaign has this number."""


class CampaignStore(Database):
    """Keeps campaigns."""

    def add_campaign(self, name: str, since: date, until: date, user: str, **details: Any) -> Campaign:
        """Add a campaign. details, each optional: choice (list, random, both), random_share [0..1], region,
        cost_per_visit, price_per_kwh, note. Raises NameTaken, ValueOutOfRange.
        """
        row = DEFAULTS | {name: details[name] for name in DEFAULTS if details.get(name) is not None}
        row = _checked(row | {"name": name, "since": since, "until": until})
        row |= {"created_by": user, "created_at": datetime.now(UTC)}
        try:
            with self.writing() as connection:
                campaign_id = connection.execute(insert(campaigns).values(row)).inserted_primary_key[0]
        except IntegrityError:
            raise _name_taken(name) from None
        return Campaign(campaign_id=campaign_id, **row)

    def change_campaign(self, campaign_id: int, **changes: Any) -> Campaign:
        """Change what add_campaign takes. Raises NoSuchCampaign, NameTaken, ValueOutOfRange."""
        before = self.find_campaign(campaign_id)
        if before is None:
            raise NoSuchCampaign(f"There is no campaign {campaign_id}.")
        row = {name: getattr(before, name) for name in CHANGEABLE}
        row = _checked(row | {name: changes[name] for name in CHANGEABLE if name in changes})
        try:
            with self.writing() as connection:
                connection.execute(update(campaigns).where(campaigns.c.campaign_id == campaign_id).values(row))
        except IntegrityError:
            raise _name_taken(row["name"]) from None
        return Campaign(campaign_id, **row, created_by=before.created_by, created_at=before.created_at)

    def delete_campaign(self, campaign_id: int) -> None:
        """Delete a campaign; its inspections stay. Raises NoSuchCampaign."""
        with self.writing() as connection:
            gone = (
                0 < campaign_id <= MAX_ID
                and connection.execute(delete(campaigns).where(campaigns.c.campaign_id == campaign_id)).rowcount
            )
        if not gone:
            raise NoSuchCampaign(f"There is no campaign {campaign_id}.")

    def find_campaign(self, campaign_id: int) -> Campaign | None:
        """The campaign of this number, if any."""
        if not 0 < campaign_id <= MAX_ID:
            return None
        with self.reading() as connection:
            query = select(campaigns).where(campaigns.c.campaign_id == campaign_id)
            found = connection.execute(query).mappings().first()
        return found and Campaign(**found)

    def list_campaigns(self) -> list[Campaign]:
        """The campaigns, the latest first."""
        query = select(campaigns).order_by(campaigns.c.since.desc(), campaigns.c.campaign_id.desc())
        with self.reading() as connection:
            return [Campaign(**row) for row in connection.execute(query.limit(MAX_CAMPAIGNS)).mappings()]

    def inspections_of(self, campaign: Campaign) -> list[Inspection]:
        """The inspections of the campaign's period and region, chosen and random ones, oldest visit first."""
        day, place = inspections.c.inspected_on, inspections.c.region
        query = select(inspections).where(day >= campaign.since, day <= campaign.until)
        query = query if campaign.region is None else query.where(place == campaign.region)
        with self.reading() as connection:
            rows = connection.execute(query.order_by(day, inspections.c.inspection_id)).mappings()
            return [inspection_of(row) for row in rows]


def _name_taken(name: str) -> NameTaken:
    return NameTaken(f"There is a campaign {name!r} already; choose another name.")


def _checked(row: dict[str, Any]) -> dict[str, Any]:
    """The columns, if they can be kept. Raises ValueOutOfRange."""
    for name in ("name", "note"):
        check_text(name, row[name])
    if not row["name"].strip():
        raise ValueOutOfRange("The campaign has no name; give it one.")
    if not FIRST_DAY <= row["since"] <= row["until"] <= LAST_DAY:
        raise ValueOutOfRange(f"The campaign goes from {row['since']} to {row['until']}; until has to follow since.")
    if row["choice"] not in CHOICES:
        raise ValueOutOfRange(f"choice is {row['choice']!r}; use one of {', '.join(CHOICES)}.")
    if row["random_share"] is not None and not 0 <= row["random_share"] <= 1:
        raise ValueOutOfRange(f"random_share is {row['random_share']}; write a share from 0 to 1.")
    for name in ("cost_per_visit", "price_per_kwh"):
        if not 0 <= row[name] <= 1e9:
            raise ValueOutOfRange(f"{name} is {row[name]}; write an amount of at least 0.")
    return row
