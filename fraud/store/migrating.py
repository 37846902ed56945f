"""The tables of a database brought to where this version of Fairmeter needs them.

In:  any database that an earlier version left, or an empty one.
Out: the newest tables, with all that was in the old ones; several workers may start at once.
"""

import fraud.store.schema as schema
from fraud.store.database import Database


class Migrating(Database):
    """The tables themselves."""

    def migrate(self) -> None:
        """Brings the tables up to date. Raises StoreUnavailable, NewerStore."""
        with self.writing() as connection:
            schema.metadata.create_all(connection)
