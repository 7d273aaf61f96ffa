"""The store made anew from the archive: candidature.json tells everything of an application.

What is not in the archive cannot come back: messages that are no applications (they are read again and never
answered, being older than the new store) and the octets of replies.
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from inbox_agent.decision import OPEN, ActKind, ActState
from inbox_agent.errors import AgentError, FileStoreError
from inbox_agent.schema import acts, applications, documents, events, messages, threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from inbox_agent.installation import Installation


def rebuild(installation: Installation, progress: Callable[[int, int], None]) -> tuple[int, tuple[str, ...]]:
    """Fill an empty store from the archive; how many applications, and which files could not be understood.

    Raises AgentError when the store holds messages already.
    """
    with installation.journal.snapshot() as connection:
        if connection.scalar(sa.select(sa.func.count()).select_from(messages)):
            raise AgentError(
                "the store holds messages already. Move it away first (journal.db in the state folder), and start anew."
            )
    paths = [path for path in installation.files.list(PurePosixPath()) if path.name == "candidature.json"]
    records, wrong = _records(installation, paths)
    with installation.journal.transaction("rebuild") as write:
        for done, (path, record) in enumerate(records, start=1):
            _insert(write.connection, path, record)
            progress(done, len(records))
        _continue_numbering(write.connection)
    return len(records), wrong


def _records(
    installation: Installation, paths: list[PurePosixPath]
) -> tuple[list[tuple[PurePosixPath, dict[str, Any]]], tuple[str, ...]]:
    found: dict[int, tuple[PurePosixPath, dict[str, Any]]] = {}
    wrong: list[str] = []
    for path in paths:
        try:
            record = json.loads(installation.files.read(path) or b"")
            number = int(record["number"])
            complete = all(
                name in record for name in ("application", "messages", "files", "threads", "actions", "events")
            )
        except (ValueError, KeyError, TypeError, FileStoreError):
            wrong.append(str(path))
            continue
        if not complete or number in found:
            wrong.append(str(path))
        else:
            found[number] = (path, record)
    return [found[number] for number in sorted(found)], tuple(wrong)


def _insert(connection: sa.Connection, path: PurePosixPath, record: dict[str, Any]) -> None:
    application = {**record["application"], "path": str(path.parent)}
    application["written_revision"] = application["revision"]
    connection.execute(sa.insert(applications).values(**_known(applications, application)))
    actions = [_settled(row) for row in record["actions"]]
    still = {row["message_id"] for row in actions if row["state"] in OPEN}
    for table, rows in (
        (messages, [_closed(row, still) for row in record["messages"]]),
        (documents, record["files"]),
        (threads, record["threads"]),
        (acts, actions),
        (events, record["events"]),
    ):
        for row in rows:
            connection.execute(sa.insert(table).values(**_known(table, row)))


def _continue_numbering(connection: sa.Connection) -> None:
    """PostgreSQL counts on from its own sequence, which knows nothing of numbers that were given."""
    if connection.dialect.name != "postgresql":
        return
    for table in (messages, documents, acts, events):
        highest = connection.scalar(sa.select(sa.func.max(table.c.id)))
        if highest is not None:
            connection.execute(sa.select(sa.func.setval(sa.func.pg_get_serial_sequence(table.name, "id"), highest)))


def _known(table: sa.Table, row: dict[str, Any]) -> dict[str, Any]:
    """The columns that there are: an older record may lack some, a newer one have more."""
    return {column.name: row[column.name] for column in table.columns if column.name in row}


def _settled(act: dict[str, Any]) -> dict[str, Any]:
    """An act that was still to be done: its octets, or those of the spool, are gone; a move needs none."""
    if act["state"] not in OPEN or act["kind"] == ActKind.MOVE:
        return act
    return {**act, "state": ActState.CANCELLED.value, "result": "lost with the store"}


def _closed(message: dict[str, Any], still: set[int]) -> dict[str, Any]:
    """A message for which nothing is left to do is over: no act would ever say so."""
    return {**message, "state": "done"} if message["state"] == "decided" and message["id"] not in still else message
