"""Crews: people who go out together, their base and capacity, and who may be given a case.

In:  a name, a base, a capacity [visits a day], names of users.
Out: Crew; what a user's crews are; whether an assignee exists.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from fairmeter.casework.audit_chain import CREW
from fairmeter.casework.types import Crew
from fairmeter.casework.workflow import MoveNotAllowed
from fairmeter.store.access.roles import NameTaken
from fairmeter.store.audit import append_entry
from fairmeter.store.engine.database import Database, StoreError, ValueOutOfRange
from fairmeter.store.engine.fieldwork_tables import crew_members, crews
from fairmeter.store.engine.paging import check_text
from fairmeter.store.engine.schema import MAX_ID, cases, users

MAX_CAPACITY = 100  # visits of a crew a day
CREW_COLUMNS = [crews.c[name] for name in Crew.__dataclass_fields__ if name != "members"]
CHANGEABLE = ("name", "base_place", "latitude", "longitude", "capacity", "is_active")


class NoSuchCrew(StoreError):
    """No crew has this number."""


class CrewStore(Database):
    """Keeps crews and their members. A crew is never deleted, as its visits name it: set is_active to False."""

    def add_crew(
        self, name: str, user: str, *, base_place: str = "", latitude: float | None = None,
        longitude: float | None = None, capacity: int = 8, members: Iterable[str] = (),
    ) -> Crew:  # fmt: skip
        """Add a crew. [user: for the audit chain] Raises NameTaken, ValueOutOfRange, MoveNotAllowed (no such user)."""
        row = {"base_place": base_place, "latitude": latitude, "longitude": longitude, "capacity": capacity}
        row = _checked(row | {"name": name}) | {"is_active": True, "created_at": datetime.now(UTC)}
        with _unique_name(name), self.writing() as connection:
            crew_id = connection.execute(insert(crews).values(row)).inserted_primary_key[0]
            _set_members(connection, crew_id, members)
            append_entry(connection, self.audit_key, CREW, name, user, f"added, {capacity} visits a day")
            return _crew(connection, crew_id)

    def change_crew(self, crew_id: int, user: str, members: Iterable[str] | None = None, **changes: Any) -> Crew:
        """Change a crew's name, base_place, latitude, longitude, capacity, is_active; members replaces all of them.

        Cases and plans of the crew follow a new name. Raises NoSuchCrew, NameTaken, ValueOutOfRange, MoveNotAllowed.
        """
        changes = _checked({name: changes[name] for name in CHANGEABLE if name in changes})
        with _unique_name(str(changes.get("name"))), self.writing() as connection:
            before = _crew(connection, crew_id)
            if changes:
                connection.execute(update(crews).where(crews.c.crew_id == crew_id).values(changes))
            if members is not None:
                _set_members(connection, crew_id, members)
            after = _crew(connection, crew_id)
            if after.name != before.name:
                connection.execute(update(cases).where(cases.c.crew == before.name).values(crew=after.name))
            append_entry(connection, self.audit_key, CREW, after.name, user, ", ".join([*changes, "members"]))
            return after

    def find_crew(self, crew_id: int) -> Crew | None:
        """The crew of this number, if any."""
        with self.reading() as connection:
            return next(iter(_crews(connection, select(*CREW_COLUMNS).where(crews.c.crew_id == crew_id))), None)

    def list_crews(self, is_active: bool | None = True) -> list[Crew]:
        """The crews by name; is_active: False for those that are no more, None for all."""
        query = select(*CREW_COLUMNS).order_by(crews.c.name)
        with self.reading() as connection:
            return _crews(connection, query if is_active is None else query.where(crews.c.is_active == is_active))

    def crews_of_user(self, user: str) -> list[str]:
        """Names of the active crews that a user is a member of: their visits are the user's too."""
        query = select(crews.c.name).join(crew_members, crew_members.c.crew_id == crews.c.crew_id)
        query = query.where(crew_members.c.user == check_text("user", user), crews.c.is_active).order_by(crews.c.name)
        with self.reading() as connection:
            return list(connection.scalars(query))

    def assignees(self) -> list[str]:
        """Names to whom a case can be given: active users who are no viewers, and active crews."""
        with self.reading() as connection:
            return sorted(_assignees(connection))


@contextmanager
def _unique_name(name: str) -> Iterator[None]:
    """Translate a second crew of the same name into NameTaken."""
    try:
        yield
    except IntegrityError:
        raise NameTaken(f"There is a crew {name!r} already; choose another name.") from None


def check_assignee(connection: Connection, assignee: str, user: str) -> None:
    """Raise MoveNotAllowed unless the assignee exists: an active user or crew, or the caller itself.

    A desk without users and without crews has nobody to compare with: there any name will do.
    """
    names = _assignees(connection)
    if names and assignee not in names and assignee != user:
        raise MoveNotAllowed(f"There is no active user or crew {assignee!r}; choose one of {_some(names)}.")


# --- within a transaction ---------------------------------------------------------------------------------------------


def _assignees(connection: Connection) -> set[str]:
    people = select(users.c.name).where(users.c.is_active, users.c.role != "viewer")
    return {*connection.scalars(people), *connection.scalars(select(crews.c.name).where(crews.c.is_active))}


def _some(names: Collection[str], most: int = 8) -> str:
    found = sorted(names)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")


def _crews(connection: Connection, query: Select) -> list[Crew]:
    rows = connection.execute(query).mappings().all()
    ids = [row["crew_id"] for row in rows]
    of_crews = select(crew_members).where(crew_members.c.crew_id.in_(ids)).order_by(crew_members.c.user)
    members: dict[int, list[str]] = {crew_id: [] for crew_id in ids}
    for crew_id, user in connection.execute(of_crews):
        members[crew_id].append(user)
    return [Crew(**row, members=tuple(members[row["crew_id"]])) for row in rows]


def _crew(connection: Connection, crew_id: int) -> Crew:
    """The crew of this number. Raises NoSuchCrew."""
    found = 0 < crew_id <= MAX_ID and _crews(connection, select(*CREW_COLUMNS).where(crews.c.crew_id == crew_id))
    if not found:
        raise NoSuchCrew(f"There is no crew {crew_id}.")
    return found[0]


def _set_members(connection: Connection, crew_id: int, members: Iterable[str]) -> None:
    wanted = sorted(set(members))
    known = set(connection.scalars(select(users.c.name).where(users.c.name.in_(wanted), users.c.is_active)))
    if missing := [name for name in wanted if name not in known]:
        raise MoveNotAllowed(f"There is no active user {missing[0]!r}; members of a crew are users of the desk.")
    connection.execute(delete(crew_members).where(crew_members.c.crew_id == crew_id))
    if wanted:
        connection.execute(insert(crew_members), [{"crew_id": crew_id, "user": name} for name in wanted])


def _checked(row: dict[str, Any]) -> dict[str, Any]:
    """The columns, if they can be kept. Raises ValueOutOfRange."""
    for name in {"name", "base_place"} & row.keys():
        check_text(name, row[name])
    if "name" in row and not row["name"].strip():
        raise ValueOutOfRange("The crew has no name; give it one.")
    if not 1 <= row.get("capacity", 1) <= MAX_CAPACITY:
        raise ValueOutOfRange(f"capacity is {row['capacity']}; write the visits of a day, 1 to {MAX_CAPACITY}.")
    for name, limit in (("latitude", 90.0), ("longitude", 180.0)):
        if row.get(name) is not None and not -limit <= row[name] <= limit:
            raise ValueOutOfRange(f"{name} is {row[name]}; write degrees, -{limit:.0f} to {limit:.0f}.")
    return row
