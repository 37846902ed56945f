"""Routes of campaigns: what inspections of a period brought, against random visits.

In:  a name, a period, which visits count, what a visit costs.
Out: campaigns with their results (fairmeter/desk/fieldwork/campaigns.py).
"""

from fairmeter.desk.fieldwork.campaigns import CampaignReport, campaign_report, list_campaign_reports
from fairmeter.desk.service import DeskService
from fairmeter.web.app import Api
from fairmeter.web.desk_api import fieldwork_models as models
from fairmeter.web.desk_api.read import SECURITY, json_response
from fairmeter.web.desk_api.schemas import Rate
from fairmeter.web.http.auth import INVESTIGATOR, VIEWER, AccessControl
from fairmeter.web.http.code_names import named

CREATED = 201
NULLABLE = {"random_share", "region"}
RATES = {200: models.CampaignRates}


def register(app: Api, guard: AccessControl, desk: DeskService) -> None:
    """Add the routes: reading for viewers, changes for investigators."""
    _add_reading(app, desk)
    _add_changes(app, guard, desk)
    guard.set_roles(campaigns=VIEWER, campaign=VIEWER)
    guard.set_roles(**dict.fromkeys(("add_campaign", "change_campaign", "delete_campaign"), INVESTIGATOR))


def result_of(report: CampaignReport) -> models.CampaignResultResponse:
    """A campaign with what it brought, as a model."""
    return models.CampaignResultResponse.model_validate(_fields(report))


def rates_of(report: CampaignReport) -> models.CampaignRates:
    """A campaign with what it brought and its hit rates, as a model."""
    rates = {
        by: [Rate.model_validate(rate._asdict() | {"group": _group(by, rate.group)}) for rate in found]
        for by, found in report.hit_rates.items()
    }
    return models.CampaignRates.model_validate(_fields(report) | {"hit_rates": rates})


def _fields(report: CampaignReport) -> dict:
    own = {name: getattr(report.campaign, name) for name in models.CampaignResponse.model_fields}
    return own | report.result._asdict()


def _group(by: str, group: object) -> object:
    return named("region", group) if by == "region" else group


def _add_reading(app: Api, desk: DeskService) -> None:
    store = desk.store

    @app.get("/campaigns", responses={200: models.CampaignList}, security=SECURITY)
    def campaigns():
        """Campaigns with what they brought, the latest first."""
        return json_response(models.CampaignList(rows=[result_of(one) for one in list_campaign_reports(store)]))

    @app.get("/campaigns/<int:campaign_id>", responses=RATES, security=SECURITY)
    def campaign(path: models.CampaignPath):
        """A campaign with what it brought, and its hit rates by region, crew, pattern, reason group and week."""
        return json_response(rates_of(campaign_report(store, path.campaign_id)))


def _add_changes(app: Api, guard: AccessControl, desk: DeskService) -> None:
    store = desk.store

    @app.post("/campaigns", responses={CREATED: models.CampaignRates}, security=SECURITY)
    def add_campaign(body: models.NewCampaign):
        """Add a campaign, of a period that is over, that goes on, or that is to come."""
        added = store.add_campaign(**body.model_dump(), user=guard.identity().signature)
        return json_response(rates_of(campaign_report(store, added.campaign_id)), CREATED)

    @app.patch("/campaigns/<int:campaign_id>", responses=RATES, security=SECURITY)
    def change_campaign(path: models.CampaignPath, body: models.ChangedCampaign):
        """Change a campaign."""
        given = models.given_changes(body)
        changes = {name: value for name, value in given.items() if value is not None or name in NULLABLE}
        store.change_campaign(path.campaign_id, **changes)
        return json_response(rates_of(campaign_report(store, path.campaign_id)))

    @app.delete("/campaigns/<int:campaign_id>", responses={204: None}, security=SECURITY)
    def delete_campaign(path: models.CampaignPath):
        """Delete a campaign; its inspections stay."""
        store.delete_campaign(path.campaign_id)
        return "", 204
