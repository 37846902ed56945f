"""Where the energy of each transformer went, as the last run that was given their totals found it.

In:  rows of Balance in the transaction of a run; ids.
Out: Balance; lists leave its weeks out, which only one transformer's page draws, and all leave its days out, which
     only its clients' scores want.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime

import numpy as np
from sqlalchemy import Connection, delete, select

from fairmeter.core.types import EnergyBalance
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.schema import balances, profiles
from fairmeter.store.engine.series import Series, packed, unpacked
from fairmeter.store.engine.upsert import FEW, write_rows
from fairmeter.store.profiles import ROW_COLUMNS, ProfileRow, profile_row_of

WEEKS = ("delivered_weeks", "lost_weeks")
DAYS = "lost_days"
PLAIN = tuple(name for name in EnergyBalance.__dataclass_fields__ if name not in (*WEEKS, DAYS))
COLUMNS = (*PLAIN, *WEEKS, DAYS, "written_at")
LISTED = select(*(balances.c[name] for name in PLAIN))


class TransformerStore(Database):
    """Transformers by what they lose."""

    def worst_transformers(self, limit: int = 10) -> list[EnergyBalance]:
        """Those with most energy not accounted for, of those that could be judged and lose any."""
        query = LISTED.where(balances.c.lost_share.is_not(None), balances.c.lost_kwh > 0)
        query = query.order_by(balances.c.lost_kwh.desc(), balances.c.transformer_id).limit(limit)
        with self.reading() as connection:
            return [EnergyBalance(**row) for row in connection.execute(query).mappings()]

    def balances_of(self, transformer_ids: Sequence[str]) -> dict[str, EnergyBalance]:
        """Those of some transformers that were measured, by id."""
        found = {}
        with self.reading() as connection:
            for i in range(0, len(transformer_ids), FEW):
                query = LISTED.where(balances.c.transformer_id.in_(transformer_ids[i : i + FEW]))
                found |= {row["transformer_id"]: EnergyBalance(**row) for row in connection.execute(query).mappings()}
        return found

    def find_balance(self, transformer_id: str | None) -> EnergyBalance | None:
        """With its weeks; None where the transformer was never measured."""
        query = select(*(balances.c[name] for name in (*PLAIN, *WEEKS)))
        with self.reading() as connection:
            row = connection.execute(query.where(balances.c.transformer_id == transformer_id)).mappings().first()
        return row and EnergyBalance(**{**row, **{name: _weeks(bytes(row[name])) for name in WEEKS}})

    def losses_of(self, transformer_ids: Collection[str]) -> dict[str, Series]:
        """What some transformers lost each day, by id; without those of which no day is known. [kWh, NaN not judged]"""
        query = select(balances.c.transformer_id, balances.c.weeks_from, balances.c[DAYS])
        query = query.where(balances.c.transformer_id.in_(transformer_ids), balances.c[DAYS].is_not(None))
        with self.reading() as connection:
            return {id_: unpacked("day", first_on, bytes(kwh)) for id_, first_on, kwh in connection.execute(query)}

    def clients_of_transformer(self, transformer_id: str, limit: int = 200) -> list[ProfileRow]:
        """Its clients by score, the highest first."""
        query = select(*ROW_COLUMNS).where(profiles.c.transformer_id == transformer_id)
        with self.reading() as connection:
            rows = connection.execute(query.order_by(profiles.c.by_score.desc(), profiles.c.client_id).limit(limit))
            return [profile_row_of(row) for row in rows.mappings()]


def write_balances(connection: Connection, rows: Sequence[EnergyBalance], now: datetime) -> None:
    """In place of those that are there: what is no longer measured would stand there as if it still were."""
    ordered = sorted(rows, key=lambda row: row.transformer_id)  # one order for all: see Runs.write_run
    values = ((*(_value(row, name) for name in (*PLAIN, *WEEKS)), _days(row), now) for row in ordered)
    write_rows(connection, balances, COLUMNS, values)
    connection.execute(delete(balances).where(balances.c.written_at < now))


def _value(row: EnergyBalance, name: str) -> object:
    value = getattr(row, name)
    if name not in WEEKS:
        return value
    return packed(Series("week", row.weeks_from, np.array([np.nan if kwh is None else kwh for kwh in value])))


def _days(row: EnergyBalance) -> bytes | None:
    return None if row.lost_days is None else packed(Series("day", row.weeks_from, row.lost_days))


def _weeks(kwh: bytes) -> tuple[float | None, ...]:
    return tuple(None if v != v else v for v in unpacked("week", date.min, kwh).kwh.tolist())
