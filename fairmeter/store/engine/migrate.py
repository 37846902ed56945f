"""Migration of a database to the schema of this version.

In:  a database of any earlier version, or an empty one.
Out: the newest tables with all rows of the old ones. Several workers may start at once: the first one migrates in one
     transaction, the others wait for it and find nothing left to do.
"""

from pathlib import Path

from sqlalchemy import Connection, func, inspect, select, text

from fairmeter.store.engine.database import Database, StoreError
from fairmeter.store.engine.schema import COUNTED_TABLES

HEAD = "0022"  # the newest migration in migrations/versions; a test compares them
MIGRATIONS = Path(__file__).parents[1] / "migrations"
MIGRATION_LOCK = 0x66616D69  # PostgreSQL advisory lock: one migration at a time


class NewerStore(StoreError):
    """A later version of Fairmeter has migrated this database."""


class Migrations(Database):
    """Creates and upgrades the tables."""

    def migrate(self, to: str = HEAD) -> bool:
        """Bring the tables up to date; True if anything was changed. Raises StoreUnavailable, NewerStore."""
        with self.reading() as connection:
            if revision_of(connection) == to:
                return False  # without loading Alembic
        with self.migrating() as connection:
            if not self.is_sqlite:
                connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            found = revision_of(connection)
            if found != to:
                _upgrade(connection, found, to)
        if found != to:
            self.vacuum(*COUNTED_TABLES)  # a rebuilt table has no visibility map, so counts would read the table itself
        return found != to


def revision_of(connection: Connection) -> str | None:
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
            f"The database is at version {found}; this Fairmeter supports {', '.join(sorted(known))}. A newer release "
            "has migrated it: start that release, or give DATABASE_URL another database."
        )
    command.upgrade(config, to)
