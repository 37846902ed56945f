"""Readings of smart meters as they come in: late, twice, out of order.

In:  rows of (client_id, read_at, consumption_kwh): read_at as the clock on the wall showed it, without a zone.
Out: what was new, and whose consumption changed.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from fraud.records import Table
from fraud.store.database import Database


class Arrived(NamedTuple):
    """What became of some readings. n_new + n_duplicate + n_differing is how many came.

    n_duplicate: there already with the same value; n_differing: there already with another one, which stays.
    Of the new ones: n_late came more than two days after their time, n_out_of_order before a later one of their client.
    changed: the clients with new readings.
    """

    n_new: int
    n_duplicate: int
    n_differing: int
    n_late: int
    n_out_of_order: int
    changed: tuple[str, ...]


class Metered(Database):
    """Readings."""

    def add_readings(self, rows: Iterable[tuple[str, datetime, float]], received_at: datetime | None = None) -> Arrived:
        """Keeps readings, each client and time once, however often it comes. Raises BadReading, StoreUnavailable."""
        raise NotImplementedError

    def readings_of(self, client_ids: Iterable[str], since: datetime | None = None) -> Table:
        """Their readings by client and time: client_id [object], read_at [datetime64[s]], consumption_kwh."""
        raise NotImplementedError

    def count_readings(self) -> int:
        raise NotImplementedError
