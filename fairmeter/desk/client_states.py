"""Rows of clients with the one state that every page, answer and export shows.

In:  rows of the store, the desk's service with its rules.
Out: ListedClient. Where a case decides the state there is no recommendation: a confirmed client needs no inspection.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fairmeter.casework.client_state import client_state
from fairmeter.desk.service import DeskService
from fairmeter.store import Page, ProfileRow


@dataclass(frozen=True, slots=True)
class ListedClient(ProfileRow):
    """A client in a list with its state (fairmeter/casework/client_state.py)."""

    state: str = ""


def list_clients(desk: DeskService, **options) -> Page:
    """A page of ListedClient. [options: as Store.list_profiles takes them] Raises BadQuery."""
    page = desk.store.list_profiles(**options)
    return page._replace(rows=with_states(desk, page.rows))


def with_states(desk: DeskService, rows: Sequence[ProfileRow]) -> list[ListedClient]:
    """The rows with the state of each client."""
    found = desk.store.work_states(desk.rules, ids=[row.client_id for row in rows])
    names = ProfileRow.__dataclass_fields__
    listed = []
    for row in rows:
        work = found.get(row.client_id)
        values = {name: getattr(row, name) for name in names}
        values["recommendation"] = None if work else row.recommendation
        listed.append(ListedClient(**values, state=client_state(work, row.recommendation)))
    return listed
