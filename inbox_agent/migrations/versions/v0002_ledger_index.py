"""The ledger is counted from an index: after every pass it read every message."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Beside that of states alone, by which what waits is found in the order of its number."""
    op.create_index("ix_messages_kind_state_why", "messages", ["kind", "state", "why"], unique=False)
