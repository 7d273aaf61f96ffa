"""A consistent copy of the agent's own state in one file, made while it runs. Restored by unpacking it."""

from __future__ import annotations

import io
import os
import sqlite3
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from inbox_agent.errors import AgentError, FileStoreError, StoreError
from inbox_agent.failpoint import reach

if TYPE_CHECKING:
    from collections.abc import Callable

    from inbox_agent.installation import Installation

_STORE = "journal.db"


def back_up(installation: Installation, target: Path, progress: Callable[[int, int], None]) -> int:
    """Write store and spool into a new tar.gz, durably, readable by its owner alone; its size in octets.

    Raises AgentError if the file exists or the store is no file.
    """
    engine = installation.journal.engine
    path = sa.make_url(str(engine.url)).database
    if engine.dialect.name != "sqlite" or not path:
        raise AgentError("the store is on a database server: back it up there (pg_dump), and the spool as files")
    if target.exists():
        raise AgentError(f"{target} exists already. Choose another name.")
    partial = target.with_name(f"{target.name}.part")
    try:
        with tempfile.TemporaryDirectory(dir=installation.config.state) as folder:
            copy = Path(folder) / _STORE
            # The spool before and after the store: whatever the copied store needs is in one of both.
            before = _spooled(installation)
            _copy_store(Path(path), copy, progress)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as tar:
                    tar.add(copy, _STORE)
                    for name, octets in {**before, **_spooled(installation)}.items():
                        entry = tarfile.TarInfo(name)
                        entry.size, entry.mode = len(octets), 0o600
                        tar.addfile(entry, io.BytesIO(octets))
                file.flush()
                os.fsync(file.fileno())
        reach("backup.rename.before")
        partial.rename(target)
        _synchronise(target.absolute().parent)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()  # It takes the space that is missing.
        raise FileStoreError(f"{target} cannot be written ({error.strerror}). Free some space.") from error
    return target.stat().st_size


def _copy_store(source: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """By SQLite's own means: a copy of one moment, whatever is written meanwhile."""
    try:
        original, copy = sqlite3.connect(source), sqlite3.connect(target)
        try:
            original.backup(copy, pages=1024, progress=lambda _, left, total: progress(total - left, total))
            (found,) = copy.execute("PRAGMA integrity_check").fetchone()
        finally:
            copy.close()
            original.close()
    except sqlite3.Error as error:
        raise StoreError(f"the store could not be copied: {error}") from error
    if found != "ok":
        raise StoreError(f"the copy of the store is damaged, and so is the store: {found}. Restore an older backup.")


def _spooled(installation: Installation) -> dict[str, bytes]:
    """Octets of messages in hand, by their path in the state folder."""
    found: dict[str, bytes] = {}
    state = installation.config.state
    for path in sorted((state / "spool").rglob("*")):
        if path.suffix == ".part" or not path.is_file():
            continue
        try:
            found[str(path.relative_to(state))] = path.read_bytes()
        except FileNotFoundError:
            continue  # Filed meanwhile.
    return found


def _synchronise(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
