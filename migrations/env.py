"""What Alembic runs. `erfnet_jobs.registry.migrate` gives it a connection that is in a transaction already."""

from alembic import context

from erfnet_jobs.registry.tables import Base

connection = context.config.attributes["connection"]
# SQLite cannot alter most of a table in place: batch mode copies it.
batch = connection.dialect.name == "sqlite"
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=batch)
with context.begin_transaction():
    context.run_migrations()
