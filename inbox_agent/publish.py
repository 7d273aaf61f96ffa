"""What staff read beside the files, rebuilt from the store after changes: candidature.json, register, board.

A change costs the same with 10 and with 50,000 applications: candidature.json at once, register and board in a rhythm.

Acts: writes files of ours in the archive, atomically. Nothing here is a source of truth; a crash in the
middle leaves `revision` ahead of `written_revision`, and the next pass writes again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from inbox_agent.archive import offer_folder
from inbox_agent.decision import OPEN, ActKind
from inbox_agent.schema import acts, applications, documents, events, facts, messages, threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inbox_agent.installation import Installation

# Facts that name an offer whose register and board are behind: here, corrections.py, erase.py, replay.py.
_STALE = "stale:"
_AT_ONCE = 50  # applications whose records are in memory together, with a fiftieth of 9 queries each
_MANY = 2000  # applications from which on register and board are rebuilt in a process of their own
_QUICK = 0.5  # seconds that a rebuild may take without a rest after it
_REST = 20  # times as long as a rebuild of register and board took, none is made


@dataclass(slots=True)
class Rhythm:
    """When register and board are due again: a rebuild reads every application, so it rests in proportion.

    Their share of the time stays below 1 in 20 however many applications there are; with hundreds, a rebuild is quick
    and each change is shown at once.
    """

    not_before: float = 0.0  # time.monotonic()

    def rest(self, began: float, ended: float) -> None:
        """Note that a rebuild took so long."""
        if ended - began > _QUICK:
            self.not_before = ended + _REST * (ended - began)


def publish(installation: Installation, rhythm: Rhythm | None = None, *, everything: bool = False) -> int:
    """Write what changed; how many applications that were. `everything` writes all of it anew.

    With a rhythm, register and board wait until they are due; what they lack is written down.
    """
    monotonic = installation.clock.monotonic
    written = _write_records(installation, everything=everything)
    if rhythm is not None and monotonic() < rhythm.not_before:
        return written
    with installation.journal.snapshot() as connection:
        stale = connection.scalars(sa.select(facts.c.name).where(facts.c.name.startswith(_STALE))).all()
    if not (stale or everything):
        return written
    began = monotonic()
    (_rebuild_apart if _are_many(installation) else rebuild)(installation, stale)
    with installation.journal.transaction("published") as write:
        write.connection.execute(sa.delete(facts).where(facts.c.name.in_(stale)))
    if rhythm is not None:
        rhythm.rest(began, monotonic())
    return written


def rebuild(installation: Installation, stale: Sequence[str]) -> None:
    """The registers of those offers, and the board."""
    for name in stale:
        _write_register(installation, name.removeprefix(_STALE) or None)
    _write_board(installation)


def _are_many(installation: Installation) -> bool:
    some = sa.select(applications.c.id).limit(_MANY).subquery()
    with installation.journal.snapshot() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(some)) == _MANY


def _rebuild_apart(installation: Installation, stale: Sequence[str]) -> None:
    """The same in a process that takes its memory with it when it ends: 10,000 rows leave 35 MB behind, 50,000 130."""
    from inbox_agent import rebuild_apart  # noqa: PLC0415 - only where there are many

    rebuild_apart.run(installation.config, stale)


def _write_records(installation: Installation, *, everything: bool) -> int:
    """Each changed application's candidature.json, some hundred at a time; their offers' registers are stale then."""
    changed = sa.true() if everything else applications.c.revision > applications.c.written_revision
    # A folder that is on its way elsewhere is written to when it is there.
    on_its_way = sa.select(acts.c.application_id).where(acts.c.kind == ActKind.REFILE, acts.c.state.in_(OPEN))
    query = sa.select(applications).where(changed, applications.c.id.not_in(on_its_way))
    written, last = 0, 0
    while True:
        with installation.journal.snapshot() as connection:
            some = query.where(applications.c.id > last).order_by(applications.c.id).limit(_AT_ONCE)
            rows = connection.execute(some).all()
            if not rows:
                return written
            records = records_of(connection, rows)
        installation.files.write_all(
            [(PurePosixPath(row.path, "candidature.json"), _lines(records[row.id])) for row in rows]
        )
        with installation.journal.transaction("published") as write:
            write.published({row.id: row.revision for row in rows})
            for offer in {row.offer or "" for row in rows}:
                write.note_fact(f"{_STALE}{offer}", "1")
        written, last = written + len(rows), rows[-1].id


def _lines(record: dict[str, Any]) -> bytes:
    """JSON with a line for each key and each item of a list: json's own indent takes ten times as long."""
    dump = json.JSONEncoder(ensure_ascii=False).encode
    parts = []
    for key, value in record.items():
        many = isinstance(value, list) and value
        text = "[\n  " + ",\n  ".join(map(dump, value)) + "\n ]" if many else dump(value)
        parts.append(f" {dump(key)}: {text}")
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode()


def record_of(connection: sa.Connection, row: sa.Row[Any]) -> dict[str, Any]:
    """All that the store knows of one application: enough to rebuild the store from the archive."""
    return records_of(connection, [row])[row.id]


def records_of(connection: sa.Connection, rows: Sequence[sa.Row[Any]]) -> dict[int, dict[str, Any]]:
    """The same of several, by number."""
    ids = [row.id for row in rows]
    decisions = sa.select(messages.c.id, messages.c.decision).where(messages.c.id.in_(ids))
    founding = {found.id: found.decision for found in connection.execute(decisions)}
    own = {
        "messages": _by_application(connection, messages, ids, messages.c.id),
        "files": _by_application(connection, documents, ids, documents.c.id),
        "threads": _by_application(connection, threads, ids, threads.c.message_id),
        "actions": _by_application(connection, acts, ids, acts.c.id),
        "events": _by_application(connection, events, ids, events.c.id),
    }
    return {
        row.id: {
            **(founding.get(row.id) or {}),
            **_present(row, own["files"].get(row.id, [])),
            **_latest_reply(own["messages"].get(row.id, [])),
            "number": row.id,
            "application": _plain(row),
            **{name: found.get(row.id, []) for name, found in own.items()},
        }
        for row in rows
    }


def _by_application(
    connection: sa.Connection, table: sa.Table, ids: Sequence[int], order: sa.Column[Any]
) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    columns = [column for column in table.c if column is not acts.c.octets]
    query = sa.select(*columns).where(table.c.application_id.in_(ids)).order_by(order)
    for row in connection.execute(query):
        found.setdefault(row.application_id, []).append(_plain(row))
    return found


def _present(row: sa.Row[Any], files: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the decision of the first message has become since: the keys of design section 6, as of now."""
    keys = ("name", "kind", "where", "state", "pages", "sha256", "size")
    return {
        "source": "message.eml",
        "timing": row.timing,
        "status": row.status,
        "missing": row.missing,
        "folder": row.folder,
        "documents": [
            {**{key: piece["document"][key] for key in keys}, "file": piece["stored_as"], "current": piece["current"]}
            for piece in files
        ],
    }


def _latest_reply(received: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The last answer that any of its messages was given; nothing where none was."""
    replies = [message["decision"]["reply"] for message in received if message["decision"]]
    given = [reply for reply in replies if reply is not None]
    return {"reply": given[-1], "no_reply_reason": None} if given else {}


def _plain(row: sa.Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name for a row as a mapping


def _write_register(installation: Installation, offer: str | None) -> None:
    from inbox_agent.listing import SPONTANEOUS  # noqa: PLC0415 - loads only to write
    from inbox_agent.register import Register, render_register  # noqa: PLC0415 - the same, xlsxwriter with it
    from inbox_agent.survey import application_rows  # noqa: PLC0415 - the same

    with installation.journal.snapshot() as connection:
        condition = applications.c.offer.is_(None) if offer is None else applications.c.offer == offer
        rows = application_rows(connection, installation.zone, condition)
    known = installation.policy.offer(offer)
    title = known.title if known else SPONTANEOUS if offer is None else offer
    octets = render_register(Register(title, known.deadline if known else None, offer_folder(offer), rows))
    installation.files.write(PurePosixPath(offer_folder(offer), "suivi.xlsx"), octets)


def _write_board(installation: Installation) -> None:
    from inbox_agent.board import Board, render_board  # noqa: PLC0415 - loads only to write
    from inbox_agent.listing import offer_states  # noqa: PLC0415 - the same
    from inbox_agent.survey import application_rows  # noqa: PLC0415 - the same

    with installation.journal.snapshot() as connection:
        rows = application_rows(connection, installation.zone)
    now = installation.now()
    view = Board(installation.config.organisation.name, now, offer_states(installation.offers, rows, now.date()), rows)
    octets = render_board(view, installation.stationery.templates)
    installation.files.write(PurePosixPath("index.html"), octets)
