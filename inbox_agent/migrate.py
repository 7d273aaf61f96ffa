"""Brings an older store to this program's version, after a backup. Downgrades are refused in journal.py."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from inbox_agent.errors import StoreError
from inbox_agent.failpoint import reach

if TYPE_CHECKING:
    from collections.abc import Callable


_MIGRATION = 0x1A6E0003  # of our advisory locks (holding.py)


def upgrade(engine: sa.Engine, url: str, found: str | None) -> None:
    """Run the migrations that are missing; a SQLite file is copied beside itself first."""
    path = sa.make_url(url).database
    if found is not None and engine.dialect.name == "sqlite" and path:
        _back_up(Path(path), Path(f"{path}.before-upgrade-from-{found}"))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # Several hosts may start at once.
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:ours, 0)"), {"ours": _MIGRATION})
        command.upgrade(alembic_config(connection), "head")


def alembic_config(connection: sa.Connection) -> Config:
    """Alembic's configuration, in the program and not in a file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _back_up(source: Path, target: Path) -> None:
    """A consistent copy by SQLite's own means; never over an earlier one."""
    if target.exists():
        return
    partial = target.with_suffix(".tmp")
    try:
        _copy(source, partial)
        reach("migrate.rename.before")
        partial.rename(target)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(
            f"no backup before the upgrade could be made at {target} ({error}). Free some space."
        ) from error


def _copy(source: Path, target: Path, progress: Callable[[int, int, int], None] | None = None) -> None:
    original, copy = sqlite3.connect(source), sqlite3.connect(target)
    try:
        original.backup(copy, pages=1024, progress=progress)
    finally:
        copy.close()
        original.close()
