"""What staff read beside the files, rebuilt from the store after changes: candidature.json, register, board.

Acts: writes files of ours in the archive, atomically. Nothing here is a source of truth; a crash in the
middle leaves `revision` ahead of `written_revision`, and the next pass writes again.
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from inbox_agent.archive import offer_folder
from inbox_agent.decision import ActKind, ActState
from inbox_agent.failpoint import reach
from inbox_agent.listing import SPONTANEOUS, offer_states
from inbox_agent.schema import acts, applications, documents, events, facts, messages, threads
from inbox_agent.survey import application_rows

if TYPE_CHECKING:
    from inbox_agent.installation import Installation

_OPEN = (ActState.PENDING, ActState.SENDING, ActState.IN_DOUBT)
# Facts that name an offer whose register lost an application: corrections.py, purge.py.
_STALE = "stale:"


def publish(installation: Installation, *, everything: bool = False) -> int:
    """Write what changed; how many applications that were. `everything` writes all of it anew."""
    with installation.journal.snapshot() as connection:
        changed = applications.c.revision > applications.c.written_revision
        query = sa.select(applications) if everything else sa.select(applications).where(changed)
        # A folder that is on its way elsewhere is written to when it is there.
        on_its_way = sa.select(acts.c.application_id).where(acts.c.kind == ActKind.REFILE, acts.c.state.in_(_OPEN))
        query = query.where(applications.c.id.not_in(on_its_way))
        rows = connection.execute(query.order_by(applications.c.id)).all()
        files = [(row.path, record_of(connection, row)) for row in rows]
        left = connection.scalars(sa.select(facts.c.name).where(facts.c.name.startswith(_STALE))).all()
    if not (rows or left or everything):
        return 0
    for path, content in files:
        reach("publish.write.before")
        octets = json.dumps(content, ensure_ascii=False, indent=1).encode()
        installation.files.write(PurePosixPath(path, "candidature.json"), octets)
    for offer in {row.offer for row in rows} | {name.removeprefix(_STALE) or None for name in left}:
        _write_register(installation, offer)
    _write_board(installation)
    with installation.journal.transaction("published") as write:
        for row in rows:
            write.published(row.id, row.revision)
        write.connection.execute(sa.delete(facts).where(facts.c.name.in_(left)))
    return len(rows)


def record_of(connection: sa.Connection, row: sa.Row[Any]) -> dict[str, Any]:
    """All that the store knows of one application: enough to rebuild the store from the archive."""
    own = row.id
    founding = connection.execute(sa.select(messages.c.decision).where(messages.c.id == own)).scalar_one_or_none()
    return {
        **(founding or {}),
        **_present(connection, row),
        "number": own,
        "application": _plain(row),
        "messages": _rows(connection, sa.select(messages).where(messages.c.application_id == own), messages.c.id),
        "files": _rows(connection, sa.select(documents).where(documents.c.application_id == own), documents.c.id),
        "threads": _rows(connection, sa.select(threads).where(threads.c.application_id == own), threads.c.message_id),
        "actions": _rows(
            connection,
            sa.select(*(column for column in acts.c if column is not acts.c.octets)).where(
                acts.c.application_id == own
            ),
            acts.c.id,
        ),
        "events": _rows(connection, sa.select(events).where(events.c.application_id == own), events.c.id),
    }


def _present(connection: sa.Connection, row: sa.Row[Any]) -> dict[str, Any]:
    """What the decision of the first message has become since: the keys of design section 6, as of now."""
    pieces = connection.execute(
        sa.select(documents).where(documents.c.application_id == row.id).order_by(documents.c.id)
    )
    keys = ("name", "kind", "where", "state", "pages", "sha256", "size")
    return {
        "source": "message.eml",
        "timing": row.timing,
        "status": row.status,
        "missing": row.missing,
        "folder": row.folder,
        "documents": [
            {**{key: piece.document[key] for key in keys}, "file": piece.stored_as, "current": piece.current}
            for piece in pieces
        ],
    }


def _rows(connection: sa.Connection, query: sa.Select[Any], order: sa.Column[Any]) -> list[dict[str, Any]]:
    return [_plain(row) for row in connection.execute(query.order_by(order))]


def _plain(row: sa.Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name for a row as a mapping


def _write_register(installation: Installation, offer: str | None) -> None:
    from inbox_agent.register import Register, render_register  # noqa: PLC0415 - xlsxwriter loads only to write

    with installation.journal.snapshot() as connection:
        condition = applications.c.offer.is_(None) if offer is None else applications.c.offer == offer
        rows = application_rows(connection, installation.zone, condition)
    known = installation.policy.offer(offer)
    title = known.title if known else SPONTANEOUS if offer is None else offer
    octets = render_register(Register(title, known.deadline if known else None, offer_folder(offer), rows))
    installation.files.write(PurePosixPath(offer_folder(offer), "suivi.xlsx"), octets)


def _write_board(installation: Installation) -> None:
    from inbox_agent.board import Board, render_board  # noqa: PLC0415 - loads only to write

    with installation.journal.snapshot() as connection:
        rows = application_rows(connection, installation.zone)
    now = installation.now()
    view = Board(installation.config.organisation.name, now, offer_states(installation.offers, rows, now.date()), rows)
    octets = render_board(view, installation.stationery.templates)
    installation.files.write(PurePosixPath("index.html"), octets)
