"""Cursors of the store -> links to the pages before and after.

In:  the request's arguments: `after`, the cursor of this page; `trail`, the cursors of the pages before it.
Out: Pager. The store only goes forward; what was passed is remembered in the address, up to MOST pages of it.
"""

from typing import NamedTuple
from urllib.parse import urlencode

from flask import request, url_for

MOST = 12  # cursors in an address, some 100 characters each; servers take lines of 4,000
FIRST = "-"  # in a trail: the first page, which has no cursor
AWAY = frozenset({"after", "trail"})


class Pager(NamedTuple):
    """Addresses; None where there is no such page."""

    first: str | None
    previous: str | None
    next: str | None
    number: int


def here(**changed) -> str:
    """This page's address with some arguments changed; None takes one away."""
    kept = request.args.to_dict() | changed
    given = {name: value for name, value in kept.items() if value not in (None, "")}
    address = url_for(request.endpoint, **(request.view_args or {}))
    return f"{address}?{urlencode(given)}" if given else address


def from_the_top(**changed) -> str:
    """As `here`, from the first page: for another sort or filter."""
    return here(**dict.fromkeys(AWAY), **changed)


def after() -> str | None:
    return request.args.get("after") or None


def pager(next_cursor: str | None) -> Pager:
    trail = [part for part in request.args.get("trail", "").split(".") if part]
    current = after()
    first = from_the_top() if current else None
    previous = None
    if current and trail:
        *rest, last = trail
        previous = here(after=None if last == FIRST else last, trail=".".join(rest))
    longer = ".".join([*trail, current or FIRST][-MOST:])
    following = here(after=next_cursor, trail=longer) if next_cursor else None
    return Pager(first, previous, following, len(trail) + 1)
