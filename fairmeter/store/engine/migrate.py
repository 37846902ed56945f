"""The tables of a database brought to where this version of Fairmeter needs them.

In:  any database that an earlier version left, or an empty one.
Out: the newest tables, with all that was in the old ones. Several workers may start at once: the first one migrates in
     one transaction, the others wait for it and find nothing left to do.
"""

from pathlib import Path

from sqlalchemy import Connection, func, inspect, select, text

from fairmeter.store.engine.database import Database, StoreError
from fairmeter.store.engine.schema import COUNTED

HEAD = "0011"  # the newest migration in migrations/versions; a test compares them
MIGRATIONS = Path(__file__).parents[1] / "migrations"
MIGRATION_LOCK = 0x66616D69  # of PostgreSQL's advisory locks: who migrates


class NewerStore(StoreError):
    """A later version of Fairmeter has made these tables."""


class Migrations(Database):
    """The tables themselves."""

    def migrate(self, to: str = HEAD) -> bool:
        """Brings the tables up to date; whether there was anything to do. Raises StoreUnavailable, NewerStore."""
        with self.reading() as connection:
            if _revision(connection) == to:
                return False  # nothing is loaded that only a migration needs
        with self.migrating() as connection:
            if not self.is_sqlite:
                connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            found = _revision(connection)
            if found != to:
                _upgrade(connection, found, to)
        if found != to:
            self.vacuum(*COUNTED)  # a table that was made anew is counted in none of its indexes alone
        return found != to


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection, found: str | None, to: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise NewerStore(
            f"The database is at version {found}, this Fairmeter knows {', '.join(sorted(known))}: a newer one has "
            "changed it. Start that one, or give DATABASE_URL another database."
        )
    command.upgrade(config, to)
