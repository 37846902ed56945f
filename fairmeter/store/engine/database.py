"""One database, SQLite or PostgreSQL: its connections, its transactions, its errors as one exception.

In:  a URL: sqlite:///fairmeter.db, postgresql://user:password@host:5432/name (or postgres://, as hosting services do).
Out: `reading()` and `writing()`, each a transaction that is committed as a whole or rolled back.
"""

import os
import sqlite3
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

from sqlalchemy import Connection, Engine, create_engine, event, exc, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, InternalError, OperationalError

BUSY_TIMEOUT = 30  # seconds that a writer on SQLite waits for another writer
RETRY_DELAY = 0.02  # seconds
LOW_BYTE = 0xFF  # of SQLite's extended error codes: the primary code
CONNECT_TIMEOUT = 5  # seconds for a connection to PostgreSQL
POOL_SIZE, POOL_OVERFLOW = 4, 16  # connections of a worker: threads of all places, and a listener
POOL_TIMEOUT = 10  # seconds that a thread waits for a connection
OWNER_ONLY = 0o600  # mode of SQLite's file: it holds clients, and hashes of passwords
UNDEFINED_TABLE = "42P01"  # PostgreSQL's code
NO_ANSWER = "The database does not answer ({}). Nothing was written; try again."
TRANSIENT = (OperationalError, InterfaceError, InternalError)


class StoreError(Exception):
    """The store cannot do what was asked; the message says why and what to do."""


class BadStoreUrl(StoreError):
    """The URL is not that of a supported database."""


class StoreUnavailable(StoreError):
    """The database does not answer, stayed locked or closed the connection. Nothing was written; try again."""


class ValueOutOfRange(StoreError):
    """The database cannot represent a text, a number or a moment. Nothing was written."""


class Database:
    """A database and its transactions.

    audit_key: seals the audit chain, None: it is not sealed. four_eyes: no user closes a case alone.
    """

    def __init__(self, url: str, audit_key: bytes | None = None, four_eyes: bool = False) -> None:
        self.url, self.audit_key, self.four_eyes = url_of(url), audit_key, four_eyes
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite(self.url) if self.is_sqlite else _postgresql(self.url)

    @property
    def folder(self) -> Path | None:
        """The folder of the database's file; None for a database server."""
        return Path(self.url.database).absolute().parent if self.is_sqlite else None

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads. Raises StoreUnavailable."""
        with _translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes, rolled back where the block raises. Raises StoreUnavailable."""
        with _translated(), self.engine.connect().execution_options(is_writing=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def outside_transactions(self) -> Iterator[Connection]:
        """A connection that commits each statement, for what PostgreSQL refuses in a transaction.

        Raises StoreUnavailable.
        """
        options = {"isolation_level": "AUTOCOMMIT"}
        with _translated(), self.engine.connect().execution_options(**options) as connection:
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A transaction that may rebuild tables; SQLite checks foreign keys only at its end."""
        options = {"is_writing": True, "is_migrating": True}
        try:
            with _translated(), self.engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection
                if self.is_sqlite and (dangling := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
                    raise StoreError(
                        f"The migration would break {len(dangling)} foreign keys, the first: {dangling[0]}. Nothing "
                        "was changed; restore the missing rows or a backup, then migrate again."
                    )
        finally:
            self.close()  # this connection checks no foreign keys: it must not return to the pool

    def vacuum(self, *tables: str) -> None:
        """Run PostgreSQL's VACUUM, so that counts read indexes alone without waiting for autovacuum."""
        if not self.is_sqlite:
            with suppress(StoreError), self.outside_transactions() as connection:
                connection.execute(text(f"VACUUM {', '.join(tables)}"))

    def ping(self) -> None:
        """Check that the database answers. Raises StoreUnavailable."""
        with self.reading() as connection:
            connection.execute(text("SELECT 1"))


def url_of(url: str) -> URL:
    """The URL with the installed driver. Raises BadStoreUrl, whose message never shows a password."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise BadStoreUrl(
            "DATABASE_URL is not a database URL. Write sqlite:///fairmeter.db or postgresql://user@host/name."
        ) from None
    if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in ("sqlite", "sqlite+pysqlite") and parsed.database not in (None, "", ":memory:"):
        return parsed
    raise BadStoreUrl(
        f"DATABASE_URL begins with {parsed.drivername}:// and names the database {parsed.database!r}. Give a file of "
        "SQLite (sqlite:///fairmeter.db) or a database of PostgreSQL (postgresql://user@host/name)."
    )


# --- engines ----------------------------------------------------------------------------------------------------------


def _postgresql(url: URL) -> Engine:
    """An engine that tests connections before use, so that a restart of PostgreSQL needs no restart here."""
    return create_engine(
        url, pool_pre_ping=True, pool_size=POOL_SIZE, max_overflow=POOL_OVERFLOW, pool_timeout=POOL_TIMEOUT,
        connect_args={"connect_timeout": CONNECT_TIMEOUT, "application_name": "fairmeter"},
    )  # fmt: skip


def _sqlite(url: URL) -> Engine:
    _keep_to_owner(url.database)
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_TIMEOUT},
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_timeout=POOL_TIMEOUT,
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _keep_to_owner(path: str) -> None:
    """Let the database's file be its owner's alone; those of its journal get the same mode from SQLite.

    What the system refuses, as of another user's file, stays as it is: opening the database says what is wrong.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT, OWNER_ONLY))
        os.chmod(path, OWNER_ONLY)


def _prepare(connection, _record) -> None:
    # The driver would begin transactions late, and only for some statements; _begin does it instead.
    connection.isolation_level = None
    _write_ahead(connection)
    for pragma in ("foreign_keys = ON", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}").close()


def _write_ahead(connection) -> None:
    """Set the file's journal mode, and retry: SQLite answers "locked" at once while another process sets it too."""
    until = monotonic() + BUSY_TIMEOUT
    while True:
        try:
            return connection.execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & LOW_BYTE != sqlite3.SQLITE_BUSY or monotonic() > until:
                raise
        sleep(RETRY_DELAY)


def _begin(connection: Connection) -> None:
    # A writer takes the lock at once: of two that read first and write later, one fails.
    options = connection.get_execution_options()
    if options.get("is_migrating"):  # rebuilding drops the old table, which foreign keys would forbid or cascade
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    is_writing = options.get("is_writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")


# --- errors -----------------------------------------------------------------------------------------------------------


def _is_of_driver(error: Exception) -> bool:
    """Whether an error was raised while a value was handed to the database."""
    *_, (innermost, _) = traceback.walk_tb(error.__traceback__)
    return "sqlalchemy" in innermost.f_code.co_filename


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except exc.TimeoutError:
        raise StoreUnavailable(
            f"All {POOL_SIZE + POOL_OVERFLOW} connections to the database are in use; try again."
        ) from None
    except (exc.DataError, UnicodeEncodeError, OverflowError) as error:
        if isinstance(error, OverflowError) and not _is_of_driver(error):
            raise  # a calculation of ours, which is no mistake of the caller
        raise ValueOutOfRange(
            "A value is too large, or a text holds a character that the database cannot store (NUL or a surrogate). "
            "Correct it and send it again."
        ) from None
    except DBAPIError as error:
        if isinstance(error, TRANSIENT) or error.connection_invalidated or _lacks_tables(error):
            raise StoreUnavailable(_message(error)) from error
        raise


@contextmanager
def driver_errors(connection: Connection) -> Iterator[None]:
    """Translate errors of direct driver calls, which SQLAlchemy does not wrap, into StoreUnavailable."""
    try:
        yield
    except connection.dialect.dbapi.OperationalError as error:
        connection.invalidate()
        raise StoreUnavailable(NO_ANSWER.format(type(error).__name__)) from error


def _lacks_tables(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == UNDEFINED_TABLE or "no such table" in str(error.orig)


def _message(error: DBAPIError) -> str:
    if _lacks_tables(error):
        return "The database holds no tables of Fairmeter: run `flask --app predict migrate`."
    # PostgreSQL's own text may hold host and user: only its kind is shown.
    reason = str(error.orig).splitlines()[0] if isinstance(error.orig, sqlite3.Error) else type(error.orig).__name__
    return NO_ANSWER.format(reason)
