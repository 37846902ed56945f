"""Alembic's entry point: runs the migrations on the connection and in the transaction of engine/migrate.py."""

from alembic import context

from fairmeter.store.engine.schema import metadata

# SQLite changes foreign keys and unique constraints only by rebuilding the table, which a batch does.
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
