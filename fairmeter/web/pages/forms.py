"""What forms send -> the API's own models of it, and the photos of a visit.

In:  a form's fields and files; the utility's zone.
Out: models of desk_asked.py, pictures' bytes; a Problem in words for what cannot be used.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import request
from pydantic import BaseModel, ValidationError

from fairmeter.desk.service import DeskService
from fairmeter.scoring.problems import Problem
from fairmeter.web.desk_api import requests as asks
from fairmeter.web.http import texts
from fairmeter.web.http.auth import VIEWER


def sent(model: type[BaseModel], form: Mapping[str, str], **more: Any) -> Any:
    """A form as the API's own model of it; an empty field counts as not sent. Raises Problem. [more: no text]"""
    given = {name: value.strip() for name, value in form.items() if name in model.model_fields}
    try:
        return model.model_validate({name: value for name, value in given.items() if value or name == "why"} | more)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = texts.text_or_default(f"cases.field.{first['loc'][0]}", str(first["loc"][0]))
        raise Problem(422, "bad_value", f"{name}: {first['msg'].removeprefix('Value error, ')}.") from None


def visit_sent(zone: ZoneInfo) -> asks.NewInspection:
    """What a visit found, as the request's form says it; the photos are among its files. Raises Problem."""
    found = sent(asks.NewInspection, request.form)
    check_day(found.inspected_on, zone)
    return found


def photos_sent() -> list[bytes]:
    """The files of a form; a field in which none was chosen comes as one without a name."""
    return [file.read() for file in request.files.getlist("photos") if file.filename]


def check_day(day: date, zone: ZoneInfo) -> None:
    """Raises Problem for a visit that is still to come."""
    if day > datetime.now(zone).date():
        raise Problem(422, "bad_value", texts.text("cases.in_future"))


def people(desk: DeskService) -> list[str]:
    """Who may be given a case."""
    return [user.name for user in desk.store.list_users() if user.is_active and user.role != VIEWER]
