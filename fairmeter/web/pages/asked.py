"""What an address or a form asks for -> a checked query, and what is wrong with it in words.

In:  a model of pydantic (desk_asked.py: the API's own), the request's arguments; empty fields count as not given.
Out: the query, defaults in place of what cannot be used; sentences for the page to show.
"""

from datetime import date, datetime, time
from typing import TypeVar
from zoneinfo import ZoneInfo

from flask import request
from pydantic import BaseModel, ValidationError

Query = TypeVar("Query", bound=BaseModel)


def asked(model: type[Query], **fixed) -> tuple[Query, list[str]]:
    """What the address asks for. [fixed: what the page itself says, before what the address does]"""
    given = {name: value.strip() for name, value in request.args.items() if name in model.model_fields}
    given = {name: value for name, value in given.items() if value} | fixed
    problems = []
    for _ in range(len(given) + 1):
        try:
            return model.model_validate(given), problems
        except ValidationError as error:
            for bad in error.errors(include_url=False, include_input=False, include_context=False):
                name = str(bad["loc"][0])
                problems.append(f"{name.replace('_', ' ').capitalize()}: {bad['msg'].removeprefix('Value error, ')}.")
                given.pop(name, None)
    return model(), problems


def day_asked(name: str, zone: ZoneInfo) -> datetime | None:
    """When a day of the address begins where the utility is; None where none is given or it is no day."""
    try:
        return datetime.combine(date.fromisoformat(request.args.get(name, "")), time(), zone)
    except ValueError:
        return None


def local(address: str, otherwise: str) -> str:
    """An address among the pages, as a form sends it along; none that leads elsewhere."""
    is_ours = address.startswith("/desk/") and "\\" not in address and address.isprintable()
    return address if is_ours else otherwise
