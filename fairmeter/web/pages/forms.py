"""Parse query strings and forms, and build the links between the pages of a list.

In:  the request's arguments, form fields and files; the request models of fairmeter/web/desk_api/requests.py.
Out: checked models with sentences for what is wrong; photos as bytes; a Pager from the store's cursors.
"""

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import request, url_for
from pydantic import BaseModel, ValidationError

from fairmeter.desk.service import DeskService
from fairmeter.scoring.problems import Problem
from fairmeter.web.desk_api import requests
from fairmeter.web.http import i18n
from fairmeter.web.pages.field_problems import problem_of

MAX_TRAIL = 12  # cursors in an address, some 100 characters each; servers take lines of 4,000
FIRST_PAGE = "-"  # in a trail: the first page has no cursor
CURSOR_ARGUMENTS = frozenset({"after", "trail"})

Query = TypeVar("Query", bound=BaseModel)


# --- query strings ----------------------------------------------------------------------------------------------------


def parse_query(model: type[Query], **fixed: Any) -> tuple[Query, list[str]]:
    """Parse the address's arguments; unusable values fall back to defaults, with a sentence for each.

    fixed: values that replace those of the address. Empty arguments count as absent.
    """
    given = {name: value.strip() for name, value in request.args.items() if name in model.model_fields}
    given = {name: value for name, value in given.items() if value} | fixed
    problems = []
    for _ in range(len(given) + 1):
        try:
            return model.model_validate(given), problems
        except ValidationError as error:
            for bad in error.errors(include_url=False, include_input=False):
                problems.append(problem_of(bad))
                given.pop(str(bad["loc"][0]), None)
    return model(), problems


def start_of_day(name: str, zone: ZoneInfo, arguments: Mapping[str, str] | None = None) -> datetime | None:
    """Midnight, in the utility's time zone, of a day in the address; None without a valid day.

    arguments: those of another address than the request's.
    """
    given = request.args if arguments is None else arguments
    try:
        return datetime.combine(date.fromisoformat(given.get(name, "")), time(), zone)
    except ValueError:
        return None


def local_address(address: str, default: str) -> str:
    """An address below /desk/ as it is; the default for any other, so that no redirect leaves the site."""
    is_ours = address.startswith("/desk/") and "\\" not in address and address.isprintable()
    return address if is_ours else default


# --- forms ------------------------------------------------------------------------------------------------------------


def parse_form(model: type[BaseModel], form: Mapping[str, str], **more: Any) -> Any:
    """Parse a form as one of the API's request models; empty fields count as absent. Raises Problem.

    more: values that are no text, such as photos.
    """
    given = {name: value.strip() for name, value in form.items() if name in model.model_fields}
    try:
        return model.model_validate({name: value for name, value in given.items() if value or name == "why"} | more)
    except ValidationError as error:
        raise Problem(422, "bad_value", problem_of(error.errors(include_url=False, include_input=False)[0])) from None


def parse_inspection(zone: ZoneInfo) -> requests.NewInspection:
    """Parse the form of an inspection, without its photos. Raises Problem."""
    inspection = parse_form(requests.NewInspection, request.form)
    check_not_in_future(inspection.inspected_on, zone)
    return inspection


def uploaded_photos() -> list[bytes]:
    """The files of the request's form; a field without a chosen file arrives as one without a name."""
    return [file.read() for file in request.files.getlist("photos") if file.filename]


def check_not_in_future(day: date, zone: ZoneInfo) -> None:
    """Raise Problem for the day of a visit after today in the utility's time zone."""
    if day > datetime.now(zone).date():
        raise Problem(422, "bad_value", i18n.text("cases.in_future"))


def assignable_users(desk: DeskService) -> list[str]:
    """Names of the active users and crews to whom a case can be assigned."""
    return desk.store.assignees()


# --- pages of a list --------------------------------------------------------------------------------------------------


class Pager(NamedTuple):
    """Addresses of the neighbouring pages, None where there is none, and the number of this one."""

    first: str | None
    previous: str | None
    next: str | None
    number: int


def address_with(**changed: Any) -> str:
    """This page's address with some arguments changed; None removes one."""
    arguments = request.args.to_dict() | changed
    given = {name: value for name, value in arguments.items() if value not in (None, "")}
    address = url_for(request.endpoint, **(request.view_args or {}))
    return f"{address}?{urlencode(given)}" if given else address


def first_page_with(**changed: Any) -> str:
    """As `address_with`, from the first page on: for another sort or filter."""
    return address_with(**dict.fromkeys(CURSOR_ARGUMENTS), **changed)


def current_cursor() -> str | None:
    """The store's cursor of this page; None on the first page."""
    return request.args.get("after") or None


def pager(next_cursor: str | None) -> Pager:
    """Links around this page. The store only pages forward, so the address keeps up to MAX_TRAIL former cursors."""
    trail = [part for part in request.args.get("trail", "").split(".") if part]
    current = current_cursor()
    first = first_page_with() if current else None
    previous = None
    if current and trail:
        *rest, last = trail
        previous = address_with(after=None if last == FIRST_PAGE else last, trail=".".join(rest))
    longer = ".".join([*trail, current or FIRST_PAGE][-MAX_TRAIL:])
    following = address_with(after=next_cursor, trail=longer) if next_cursor else None
    return Pager(first, previous, following, len(trail) + 1)
