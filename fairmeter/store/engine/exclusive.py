"""Work that one process at a time may do on a database, as long as it runs.

In:  a database, a number that names the work.
Out: a Hold, or None where another process has it. It ends with the process, whatever becomes of it.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from sqlalchemy import Connection, func, select, text

from fairmeter.store.engine.database import OWNER_ONLY, Database, StoreError


class Hold(NamedTuple):
    """The work is this process's alone. [connection: of PostgreSQL, whose session holds the lock]"""

    connection: Connection | None

    def lasts(self) -> bool:
        """Whether it still is: a database that was restarted has forgotten the lock."""
        if self.connection is None:
            return True
        with suppress(Exception):  # of whatever kind: the lock is lost with the connection
            self.connection.execute(text("SELECT 1"))
            return True
        return False


class ExclusiveWork(Database):
    """Gives work to one process at a time."""

    @contextmanager
    def held_alone(self, work: int) -> Iterator[Hold | None]:
        """A Hold of this work, None where another process has it. Raises StoreUnavailable."""
        with self._locked_file(work) if self.is_sqlite else self._locked_session(work) as hold:
            yield hold

    @contextmanager
    def _locked_session(self, work: int) -> Iterator[Hold | None]:
        with self.outside_transactions() as connection:
            is_held = connection.execute(select(func.pg_try_advisory_lock(work))).scalar_one()
            try:
                yield Hold(connection) if is_held else None
            finally:
                with suppress(Exception):  # a connection that broke holds nothing
                    connection.execute(select(func.pg_advisory_unlock_all()))

    @contextmanager
    def _locked_file(self, work: int) -> Iterator[Hold | None]:
        path = f"{self.url.database}.{work:x}.lock"
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY)
        except OSError as error:
            raise StoreError(f"{path} cannot be opened ({error.strerror}); one process at a time needs it.") from None
        try:
            yield Hold(None) if _is_locked(file) else None
        finally:
            os.close(file)


def _is_locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
