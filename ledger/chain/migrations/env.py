"""Run by Alembic: on the connection that `ledger.chain.migrations.migrate` hands over."""

from alembic import context

from ledger.chain import schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.metadata,
    render_as_batch=True,
    # Both databases undo changes of tables with the transaction, SQLite since we begin it.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
