"""Clients, transformers and cases by a few typed characters.

In:  a text, whatever its case, from anywhere within an id; a number.
Out: FoundClient, ids of transformers, cases.
"""

from dataclasses import dataclass

from sqlalchemy import Column, ColumnElement, Select, case, func, select

from fairmeter.casework.types import Case
from fairmeter.store.cases import CASE_FIELDS, case_of
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.paging import check_text
from fairmeter.store.engine.schema import balances, cases, profiles

CLIENT_COLUMNS = [profiles.c[name] for name in ("client_id", "severity", "probability", "transformer_id", "region")]


@dataclass(frozen=True, slots=True)
class FoundClient:
    """A client whose id, or whose transformer's, holds the text."""

    client_id: str
    severity: str
    probability: float | None
    transformer_id: str | None
    region: float | None


class SearchStore(Database):
    """Finds clients, transformers and cases."""

    def search_clients(self, text: str, limit: int = 8) -> list[FoundClient]:
        """Clients whose id holds the text: first the id itself, then ids that begin with it, then the highest scores.

        Raises BadQuery.
        """
        query = select(*CLIENT_COLUMNS).where(holds(profiles.c.client_id, text))
        query = query.order_by(nearness(profiles.c.client_id, text), profiles.c.by_score.desc(), profiles.c.client_id)
        with self.reading() as connection:
            return [FoundClient(**row) for row in connection.execute(query.limit(limit)).mappings()]

    def search_transformers(self, text: str, limit: int = 4) -> list[str]:
        """Transformers, measured or with clients, whose id holds the text. Raises BadQuery."""
        with self.reading() as connection:
            found: set[str] = set()
            for column in (balances.c.transformer_id, profiles.c.transformer_id):
                found.update(connection.scalars(_ids_with(column, text, limit)))
        exact = text.lower()
        return sorted(found, key=lambda id_: (id_.lower() != exact, not id_.lower().startswith(exact), id_))[:limit]

    def search_cases(self, number: int) -> list[Case]:
        """The case of that number, if any."""
        with self.reading() as connection:
            rows = connection.execute(select(*CASE_FIELDS).where(cases.c.case_id == number)).mappings()
            return [case_of(row) for row in rows]


def holds(column: Column, text: str) -> ColumnElement[bool]:
    """Condition: the text stands anywhere within the column, whatever its case. Raises BadQuery."""
    return column.icontains(check_text("q", text), autoescape=True)


def nearness(column: Column, text: str) -> ColumnElement[int]:
    """0 where the column is the text, 1 where it begins with it, else 2."""
    return case((func.lower(column) == text.lower(), 0), (column.istartswith(text, autoescape=True), 1), else_=2)


def _ids_with(column: Column, text: str, limit: int) -> Select:
    query = select(column).distinct().where(column.is_not(None), holds(column, text))
    return query.order_by(column).limit(limit)
