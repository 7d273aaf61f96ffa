"""What staff corrected, as a list and as labelled messages for `evaluate`. Reads store, archive and mailboxes."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from inbox_agent.application import Kind
from inbox_agent.errors import AgentError
from inbox_agent.installation import connect_mailbox
from inbox_agent.replay import filed_message
from inbox_agent.schema import applications, events, messages
from inbox_agent.table import minute, table_of

if TYPE_CHECKING:
    from datetime import tzinfo
    from pathlib import Path

    from inbox_agent.execute import Account
    from inbox_agent.installation import Installation

_OF_CANDIDATES = (Kind.APPLICATION, Kind.FOLLOW_UP, Kind.WITHDRAWAL)


def listed(installation: Installation) -> list[dict[str, Any]]:
    """Every correction, latest first."""
    query = sa.select(events).where(events.c.kind == "correction").order_by(events.c.id.desc())
    with installation.journal.snapshot() as connection:
        return [
            {
                "at": row.at,
                "number": row.message_id or row.application_id,
                "who": row.who,
                "what": row.detail,
            }
            for row in connection.execute(query)
        ]


def table(rows: list[dict[str, Any]], zone: tzinfo) -> str:
    """The list for a terminal, in local time."""
    if not rows:
        return "Staff corrected nothing yet."
    columns = ("at", "number", "who", "what")
    shown = [{**row, "at": minute(row["at"], zone)} for row in rows]
    return table_of(columns, [[str(row[column] or "") for column in columns] for row in shown])


def export_cases(installation: Installation, folder: Path) -> tuple[int, int]:
    """Write NUMBER.eml and NUMBER.json for each corrected message; how many, and of how many the octets are gone."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    accounts: dict[str, Account] = {}
    written = lost = 0
    try:
        for row, path, offer in _corrected(installation):
            octets = filed_message(installation, path, row.sha256) if path else None
            octets = octets or _in_mailbox(installation, row, accounts)
            if octets is None:
                lost += 1
                continue
            theirs = row.kind in _OF_CANDIDATES
            label = {"kind": row.kind if theirs else Kind.OTHER, "offer": offer if theirs else None}
            (folder / f"{row.id}.eml").write_bytes(octets)
            (folder / f"{row.id}.json").write_text(json.dumps(label, indent=1) + "\n", encoding="utf-8")
            written += 1
    finally:
        for account in accounts.values():
            account.mailbox.close()
    return written, lost


def _corrected(installation: Installation) -> list[tuple[sa.Row[Any], str | None, str | None]]:
    """Messages that staff spoke of and that are settled, with their application's path and offer."""
    spoken_of = sa.select(sa.func.coalesce(events.c.message_id, events.c.application_id)).where(
        events.c.kind == "correction"
    )
    query = (
        sa.select(messages, applications.c.path, applications.c.offer.label("filed_for"))
        .outerjoin(applications, applications.c.id == messages.c.application_id)
        .where(messages.c.id.in_(spoken_of), messages.c.kind.is_not(None), messages.c.kind != Kind.DOUBT)
        .where(sa.or_(messages.c.kind.in_(_OF_CANDIDATES), messages.c.resolved_at.is_not(None)))
        .order_by(messages.c.id)
    )
    with installation.journal.snapshot() as connection:
        return [(row, row.path, row.filed_for) for row in connection.execute(query)]


def _in_mailbox(installation: Installation, row: sa.Row[Any], accounts: dict[str, Account]) -> bytes | None:
    """From where it lies now; a server that is away counts as gone."""
    try:
        if row.mailbox not in accounts:
            accounts[row.mailbox] = connect_mailbox(installation.section(row.mailbox))
        account = accounts[row.mailbox]
        state = account.mailbox.select(row.folder or account.folder)
        validity, uid = (row.folder_uidvalidity, row.folder_uid) if row.folder else (row.uidvalidity, row.uid)
        if uid is None or state.uidvalidity != validity:
            return None
        found = next((octets for _, octets in account.mailbox.fetch([uid])), None)
    except AgentError:
        return None
    return found if found is not None and hashlib.sha256(found).hexdigest() == row.sha256 else None
