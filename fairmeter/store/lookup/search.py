"""Clients, transformers and cases by a few typed characters.

In:  a text, whatever its case, from anywhere within an id; a number.
Out: FoundClient, ids of transformers, cases.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Column, ColumnElement, LargeBinary, Select, case, func, literal, select

from fairmeter.casework.types import Case
from fairmeter.store.cases import CASE_FIELDS, case_of
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.packing import unpack_invoices
from fairmeter.store.engine.paging import check_text
from fairmeter.store.engine.schema import balances, cases, code_names, findings, profiles

CLIENT_COLUMNS = [profiles.c[name] for name in ("client_id", "severity", "probability", "transformer_id", "region")]
METER = "meter_id"  # its field of code names
MAX_DIGITS = 15  # of a meter's number: more are not exact in a float64


@dataclass(frozen=True, slots=True)
class FoundClient:
    """A client that a search found."""

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

    def search_meters(self, text: str, limit: int = 4) -> list[FoundClient]:
        """Clients with an invoice of this meter, whatever the case of its number. Raises BadQuery.

        Meters stand in packed invoices, which are all looked through: 135,000 clients take some tenths of a second.
        """
        with self.reading() as connection:
            named = select(code_names.c.code).where(code_names.c.field == METER, same_text(code_names.c.name, text))
            meters = {*connection.scalars(named), *([float(text)] if is_number(text) else [])}
            found = []
            for meter in sorted(meters):
                query = select(*CLIENT_COLUMNS, findings.c.invoices)
                query = query.join_from(profiles, findings, findings.c.client_id == profiles.c.client_id)
                rows = connection.execute(query.where(self._packed_with(meter)).limit(limit)).mappings()
                found += [found_client(row) for row in rows if has_meter(row["invoices"], meter)]
        return found[:limit]

    def _packed_with(self, meter: float) -> ColumnElement[bool]:
        """Condition: the packed invoices hold the bytes of this number."""
        needle = literal(np.float64(meter).tobytes(), LargeBinary)
        if self.is_sqlite:
            return func.instr(findings.c.invoices, needle) > 0
        return func.position(needle.op("IN")(findings.c.invoices)) > 0

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


def found_client(row: Mapping) -> FoundClient:
    return FoundClient(**{name: row[name] for name in FoundClient.__dataclass_fields__})


def has_meter(packed: bytes, meter: float) -> bool:
    """Whether one of the packed invoices is of this meter: the same bytes may stand across two values."""
    return bool((unpack_invoices(bytes(packed))["meter_id"] == meter).any())


def is_number(text: str) -> bool:
    """Whether a text can be the number of a meter."""
    return text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS


def same_text(column: Column, text: str) -> ColumnElement[bool]:
    """Condition: the column is the text, whatever its case. Raises BadQuery."""
    return func.lower(column) == check_text("q", text).lower()


def holds(column: Column, text: str) -> ColumnElement[bool]:
    """Condition: the text stands anywhere within the column, whatever its case. Raises BadQuery."""
    return column.icontains(check_text("q", text), autoescape=True)


def nearness(column: Column, text: str) -> ColumnElement[int]:
    """0 where the column is the text, 1 where it begins with it, else 2."""
    return case((func.lower(column) == text.lower(), 0), (column.istartswith(text, autoescape=True), 1), else_=2)


def _ids_with(column: Column, text: str, limit: int) -> Select:
    query = select(column).distinct().where(column.is_not(None), holds(column, text))
    return query.order_by(column).limit(limit)
