"""Energy balances of transformers, as of the last run with transformer totals.

In:  rows of EnergyBalance in the transaction of a run; ids.
Out: EnergyBalance. Lists leave out the weeks, which only the page of one transformer draws. All leave out the days,
     which only scoring needs.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime

import numpy as np
from sqlalchemy import Connection, delete, select

from fairmeter.core.types import EnergyBalance
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.packing import Series, pack_series, unpack_series
from fairmeter.store.engine.schema import balances, profiles
from fairmeter.store.engine.upsert import MAX_IDS, write_rows
from fairmeter.store.profiles import ROW_COLUMNS, ProfileRow, profile_row_of

WEEKS = ("delivered_weeks", "lost_weeks")
DAYS = "lost_days"
PLAIN = tuple(name for name in EnergyBalance.__dataclass_fields__ if name not in (*WEEKS, DAYS))
COLUMNS = (*PLAIN, *WEEKS, DAYS, "written_at")
LISTED = select(*(balances.c[name] for name in PLAIN))


class TransformerStore(Database):
    """Reads balances and losses of transformers."""

    def worst_transformers(self, limit: int = 10) -> list[EnergyBalance]:
        """Transformers with a positive loss, the largest unaccounted energy first."""
        query = LISTED.where(balances.c.lost_share.is_not(None), balances.c.lost_kwh > 0)
        query = query.order_by(balances.c.lost_kwh.desc(), balances.c.transformer_id).limit(limit)
        with self.reading() as connection:
            return [EnergyBalance(**row) for row in connection.execute(query).mappings()]

    def balances_of(self, transformer_ids: Sequence[str]) -> dict[str, EnergyBalance]:
        """Balances of some transformers, by id; unmeasured ones are left out."""
        found = {}
        with self.reading() as connection:
            for i in range(0, len(transformer_ids), MAX_IDS):
                query = LISTED.where(balances.c.transformer_id.in_(transformer_ids[i : i + MAX_IDS]))
                found |= {row["transformer_id"]: EnergyBalance(**row) for row in connection.execute(query).mappings()}
        return found

    def find_balance(self, transformer_id: str | None) -> EnergyBalance | None:
        """The balance of one transformer with its weeks; None if it was never measured."""
        query = select(*(balances.c[name] for name in (*PLAIN, *WEEKS)))
        with self.reading() as connection:
            row = connection.execute(query.where(balances.c.transformer_id == transformer_id)).mappings().first()
        return row and EnergyBalance(**{**row, **{name: _weeks(bytes(row[name])) for name in WEEKS}})

    def losses_of(self, transformer_ids: Collection[str]) -> dict[str, Series]:
        """Daily losses of some transformers, by id; those without data are left out. [kWh, NaN not computed]"""
        query = select(balances.c.transformer_id, balances.c.weeks_from, balances.c[DAYS])
        query = query.where(balances.c.transformer_id.in_(transformer_ids), balances.c[DAYS].is_not(None))
        with self.reading() as connection:
            return {id_: unpack_series("day", first_on, bytes(kwh)) for id_, first_on, kwh in connection.execute(query)}

    def clients_of_transformer(self, transformer_id: str, limit: int = 200) -> list[ProfileRow]:
        """Clients of a transformer, highest score first."""
        query = select(*ROW_COLUMNS).where(profiles.c.transformer_id == transformer_id)
        with self.reading() as connection:
            rows = connection.execute(query.order_by(profiles.c.by_score.desc(), profiles.c.client_id).limit(limit))
            return [profile_row_of(row) for row in rows.mappings()]


def write_balances(connection: Connection, rows: Sequence[EnergyBalance], now: datetime) -> None:
    """Replace all balances: transformers that are no longer measured must not keep an old one."""
    ordered = sorted(rows, key=lambda row: row.transformer_id)  # one lock order for all writers: see RunStore.write_run
    values = ((*(_value(row, name) for name in (*PLAIN, *WEEKS)), _days(row), now) for row in ordered)
    write_rows(connection, balances, COLUMNS, values)
    connection.execute(delete(balances).where(balances.c.written_at < now))


def _value(row: EnergyBalance, name: str) -> object:
    value = getattr(row, name)
    if name not in WEEKS:
        return value
    return pack_series(Series("week", row.weeks_from, np.array([np.nan if kwh is None else kwh for kwh in value])))


def _days(row: EnergyBalance) -> bytes | None:
    return None if row.lost_days is None else pack_series(Series("day", row.weeks_from, row.lost_days))


def _weeks(kwh: bytes) -> tuple[float | None, ...]:
    return tuple(None if v != v else v for v in unpack_series("week", date.min, kwh).kwh.tolist())
