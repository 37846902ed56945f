"""Routes of field work: crews, plans of their days, comments on cases, and the notices of the caller.

In:  bodies, checked by the models of fieldwork_models.py.
Out: crews, plans, comments and notices after the change, which is stored before the answer is sent.
"""

from fairmeter.casework.types import PlanVisit
from fairmeter.casework.workflow import CaseNotFound
from fairmeter.desk.service import DeskService
from fairmeter.scoring.problems import bad_value
from fairmeter.store import NoSuchCrew, NoSuchPlan
from fairmeter.web.app import Api
from fairmeter.web.desk_api import fieldwork_models as models
from fairmeter.web.desk_api.read import SECURITY, json_response
from fairmeter.web.desk_api.requests import CasePath
from fairmeter.web.http.auth import ADMIN, INVESTIGATOR, VIEWER, AccessControl

CREATED = 201


def register(app: Api, guard: AccessControl, desk: DeskService) -> None:
    """Add the routes: reading for viewers, plans and comments for investigators, crews for admins."""
    _add_crews(app, guard, desk)
    _add_plans(app, guard, desk)
    _add_comments(app, guard, desk)
    reading = ("crews", "crew", "plans", "plan", "case_comments", "notices", "read_notices")
    guard.set_roles(**dict.fromkeys(reading, VIEWER))
    guard.set_roles(**dict.fromkeys(("save_plans", "publish_plan", "delete_plan", "add_comment"), INVESTIGATOR))
    guard.set_roles(add_crew=ADMIN, change_crew=ADMIN)


def _add_crews(app: Api, guard: AccessControl, desk: DeskService) -> None:
    store, one = desk.store, {200: models.CrewResponse}

    @app.get("/crews", responses={200: models.CrewList}, security=SECURITY)
    def crews(query: models.CrewQuery):
        """Crews by name, with their base, capacity and members."""
        rows = [models.CrewResponse.model_validate(crew) for crew in store.list_crews(None if query.all else True)]
        return json_response(models.CrewList(rows=rows, assignees=store.assignees()))

    @app.get("/crews/<int:crew_id>", responses=one, security=SECURITY)
    def crew(path: models.CrewPath):
        """A crew."""
        found = store.find_crew(path.crew_id)
        if found is None:
            raise NoSuchCrew(f"There is no crew {path.crew_id}.")
        return json_response(models.CrewResponse.model_validate(found))

    @app.post("/crews", responses={CREATED: models.CrewResponse}, security=SECURITY)
    def add_crew(body: models.NewCrew):
        """Add a crew."""
        details = body.model_dump(exclude={"name"})
        added = store.add_crew(body.name, guard.identity().signature, **details)
        return json_response(models.CrewResponse.model_validate(added), CREATED)

    @app.patch("/crews/<int:crew_id>", responses=one, security=SECURITY)
    def change_crew(path: models.CrewPath, body: models.ChangedCrew):
        """Change a crew; is_active false ends it, its visits stay."""
        nullable = {"latitude", "longitude"}
        changes = {k: v for k, v in models.given_changes(body).items() if v is not None or k in nullable}
        changed = store.change_crew(path.crew_id, guard.identity().signature, **changes)
        return json_response(models.CrewResponse.model_validate(changed))


def _add_plans(app: Api, guard: AccessControl, desk: DeskService) -> None:
    store = desk.store

    @app.get("/plans", responses={200: models.PlanList}, security=SECURITY)
    def plans(query: models.PlanQuery):
        """Plans of a period with their visits, by day and crew."""
        found = store.list_plans(query.since, query.until, query.crew_id)
        return json_response(models.PlanList(rows=[models.PlanResponse.model_validate(plan) for plan in found]))

    @app.get("/plans/<int:plan_id>", responses={200: models.PlanResponse}, security=SECURITY)
    def plan(path: models.PlanPath):
        """A plan with its visits."""
        found = store.find_plan(path.plan_id)
        if found is None:
            raise NoSuchPlan(f"There is no plan {path.plan_id}.")
        return json_response(models.PlanResponse.model_validate(found))

    @app.put("/plans", responses={200: models.PlanList}, security=SECURITY)
    def save_plans(body: models.NewPlans):
        """Save the plans of some crews for a day, as drafts. 409 where another user changed one first."""
        if len({plan.crew_id for plan in body.plans}) < len(body.plans):
            raise bad_value("plans", "names a crew twice; give each crew one plan")
        visits = {plan.crew_id: [PlanVisit(**v.model_dump()) for v in plan.visits] for plan in body.plans}
        versions = {plan.crew_id: plan.version for plan in body.plans if plan.version is not None}
        notes = {plan.crew_id: plan.note for plan in body.plans if plan.note is not None}
        user = guard.identity().signature
        saved = store.save_plans(body.planned_on, visits, user, versions=versions, notes=notes)
        return json_response(models.PlanList(rows=[models.PlanResponse.model_validate(plan) for plan in saved]))

    @app.post("/plans/<int:plan_id>/publish", responses={200: models.PublishedPlanResponse}, security=SECURITY)
    def publish_plan(path: models.PlanPath):
        """Publish a plan: its crew has its visits on the phone, its clients are planned."""
        published = store.publish_plan(path.plan_id, guard.identity().signature)
        return json_response(models.PublishedPlanResponse.model_validate(published))

    @app.delete("/plans/<int:plan_id>", responses={204: None}, security=SECURITY)
    def delete_plan(path: models.PlanPath):
        """Delete a plan; its clients are planned no more."""
        store.delete_plan(path.plan_id, guard.identity().signature)
        return "", 204


def _add_comments(app: Api, guard: AccessControl, desk: DeskService) -> None:
    store, comments = desk.store, "/cases/<int:case_id>/comments"

    @app.get(comments, responses={200: models.CommentList}, security=SECURITY)
    def case_comments(path: CasePath):
        """Comments on a case, oldest first."""
        if store.find_case(path.case_id) is None:
            raise CaseNotFound(f"There is no case {path.case_id}.")
        rows = [models.CommentResponse.model_validate(one) for one in store.comments_of(path.case_id)]
        return json_response(models.CommentList(rows=rows))

    @app.post(comments, responses={CREATED: models.CommentResponse}, security=SECURITY)
    def add_comment(path: CasePath, body: models.NewComment):
        """Comment on a case; users that the text names as @name get a notice."""
        added = store.add_comment(path.case_id, guard.identity().signature, body.text)
        return json_response(models.CommentResponse.model_validate(added), CREATED)

    @app.get("/notices", responses={200: models.UserNoticeList}, security=SECURITY)
    def notices(query: models.NoticeQuery):
        """What the caller is to notice, newest first: mentions, and cases or alerts that were assigned."""
        user = guard.identity().signature
        rows = [models.UserNoticeResponse.model_validate(one) for one in store.list_user_notices(user, query.unread)]
        return json_response(models.UserNoticeList(rows=rows, n_unread=store.count_unread_notices(user)))

    @app.post("/notices/read", responses={200: models.UserNoticeList}, security=SECURITY)
    def read_notices(body: models.ReadNotices):
        """Mark the caller's notices as read."""
        user = guard.identity().signature
        store.mark_notices_read(user, body.up_to)
        rows = [models.UserNoticeResponse.model_validate(one) for one in store.list_user_notices(user)]
        return json_response(models.UserNoticeList(rows=rows, n_unread=store.count_unread_notices(user)))
