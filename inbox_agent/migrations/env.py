"""Alembic's entry: it runs inside the connection that migrate.py gives it."""

from __future__ import annotations

from alembic import context

from inbox_agent.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
