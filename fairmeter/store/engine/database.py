"""One database, SQLite or PostgreSQL: its connections, its transactions, its errors as one exception.

In:  a URL: sqlite:///fairmeter.db, postgresql://user:password@host:5432/name (postgres:// as hosts write it works too).
Out: `reading()` and `writing()`, each a transaction that ends well or leaves nothing behind.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep

from sqlalchemy import Connection, Engine, create_engine, event, exc, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, InternalError, OperationalError

BUSY = 30  # seconds that a writer waits for another one on SQLite before it gives up
SHORTLY = 0.02  # seconds
LOW_BYTE = 0xFF  # of SQLite's codes: the kind, before what exactly
CONNECT = 5  # seconds that a connection to PostgreSQL may take
POOL, OVERFLOW = 4, 6  # connections of a worker: eight threads, a listener, a health check
POOL_WAIT = 10  # seconds that a thread waits for a connection
UNDEFINED_TABLE = "42P01"  # PostgreSQL's code
GONE = "The database does not answer ({}); nothing was written, try again."
TRANSIENT = (OperationalError, InterfaceError, InternalError)


class StoreError(Exception):
    """The store cannot do what is wanted; one sentence."""


class BadStoreUrl(StoreError):
    """The URL names no database that can be used."""


class StoreUnavailable(StoreError):
    """The database does not answer, is locked too long or went away: nothing was written, try again."""


class ValueOutOfRange(StoreError):
    """A text, a number or a moment is none that a database can hold or look for; nothing was written."""


class Database:
    """A database and its transactions."""

    def __init__(self, url: str) -> None:
        self.url = url_of(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite(self.url) if self.is_sqlite else _postgresql(self.url)

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads. Raises StoreUnavailable."""
        with _translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes; it is undone where the block raises. Raises StoreUnavailable."""
        with _translated(), self.engine.connect().execution_options(is_writing=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def outside_transactions(self) -> Iterator[Connection]:
        """For what PostgreSQL does in no transaction: each statement by itself. Raises StoreUnavailable."""
        options = {"isolation_level": "AUTOCOMMIT"}
        with _translated(), self.engine.connect().execution_options(**options) as connection:
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A transaction that may make tables anew: on SQLite with foreign keys unchecked until its end."""
        options = {"is_writing": True, "is_migrating": True}
        try:
            with _translated(), self.engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection
                if self.is_sqlite and (lost := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
                    raise StoreError(
                        f"The migration would leave {len(lost)} rows without what they refer to: {lost[0]}."
                    )
        finally:
            self.close()  # its connection checks no foreign keys: none like it goes back to the pool

    def vacuum(self, *tables: str) -> None:
        """Lets PostgreSQL count in indexes alone from now on, not after its own vacuum has come by, if it ever does."""
        if not self.is_sqlite:
            with suppress(StoreError), self.outside_transactions() as connection:
                connection.execute(text(f"VACUUM {', '.join(tables)}"))

    def ping(self) -> None:
        """Raises StoreUnavailable where the database does not answer."""
        with self.reading() as connection:
            connection.execute(text("SELECT 1"))


def url_of(url: str) -> URL:
    """A URL with the driver that is installed. Raises BadStoreUrl, which never shows a password."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise BadStoreUrl(
            "DATABASE_URL is no URL of a database; write sqlite:///fairmeter.db or postgresql://user@host/name."
        ) from None
    if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in ("sqlite", "sqlite+pysqlite") and parsed.database not in (None, "", ":memory:"):
        return parsed
    raise BadStoreUrl(
        f"DATABASE_URL begins with {parsed.drivername}:// and names {parsed.database!r}; it must be a file of SQLite "
        "(sqlite:///fairmeter.db) or PostgreSQL (postgresql://user@host/name)."
    )


# --- engines ----------------------------------------------------------------------------------------------------------


def _postgresql(url: URL) -> Engine:
    """Connections are tried before use, so that a PostgreSQL that was restarted is found again by itself."""
    return create_engine(
        url, pool_pre_ping=True, pool_size=POOL, max_overflow=OVERFLOW, pool_timeout=POOL_WAIT,
        connect_args={"connect_timeout": CONNECT, "application_name": "fairmeter"},
    )  # fmt: skip


def _sqlite(url: URL) -> Engine:
    engine = create_engine(
        url, connect_args={"timeout": BUSY}, pool_size=POOL, max_overflow=OVERFLOW, pool_timeout=POOL_WAIT
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection, _record) -> None:
    # The driver would begin transactions late, and only for some statements; _begin does it instead.
    connection.isolation_level = None
    _write_ahead(connection)
    for pragma in ("foreign_keys = ON", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}").close()


def _write_ahead(connection) -> None:
    """The file's journal mode. While others that start at once set it too, SQLite answers "locked" without waiting."""
    until = monotonic() + BUSY
    while True:
        try:
            return connection.execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & LOW_BYTE != sqlite3.SQLITE_BUSY or monotonic() > until:
                raise
        sleep(SHORTLY)


def _begin(connection: Connection) -> None:
    # A writer takes the lock at once: one that reads first and writes later fails where two do so.
    options = connection.get_execution_options()
    if options.get("is_migrating"):  # a table that is made anew is dropped: what refers to it would go, or stop it
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    is_writing = options.get("is_writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")


# --- errors -----------------------------------------------------------------------------------------------------------


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except exc.TimeoutError:
        raise StoreUnavailable("All connections to the database are in use; try again.") from None
    except (exc.DataError, UnicodeEncodeError, OverflowError):
        raise ValueOutOfRange("A value is too large, or a text holds a character that no text may hold.") from None
    except DBAPIError as error:
        if isinstance(error, TRANSIENT) or error.connection_invalidated or _lacks_tables(error):
            raise StoreUnavailable(_words(error)) from error
        raise


@contextmanager
def answering(connection: Connection) -> Iterator[None]:
    """What a driver's own call raises, where SQLAlchemy does not stand between."""
    try:
        yield
    except connection.dialect.dbapi.OperationalError as error:
        connection.invalidate()
        raise StoreUnavailable(GONE.format(type(error).__name__)) from error


def _lacks_tables(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == UNDEFINED_TABLE or "no such table" in str(error.orig)


def _words(error: DBAPIError) -> str:
    if _lacks_tables(error):
        return "The database holds no tables of Fairmeter: run `flask --app predict migrate`."
    said = str(error.orig).splitlines()[0] if isinstance(error.orig, sqlite3.Error) else type(error.orig).__name__
    return GONE.format(said)
