"""Alembic's own entry: runs the migrations on the connection that migrating.py hands over, in its transaction."""

from alembic import context

from fairmeter.store.engine.schema import metadata

# Foreign keys and unique constraints can be changed on SQLite only by making the table anew, which a batch does.
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
