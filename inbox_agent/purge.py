"""What is kept no longer than needed: applications, and doubts that nobody resolved, when their retention is over.

Of a message in quarantine, of which nobody knows whose it is, only our copy goes: in the mailbox it is not ours.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from inbox_agent.erase import Forgotten, forget_applications
from inbox_agent.errors import AgentError
from inbox_agent.journal import Event, moment, text
from inbox_agent.retention import Retained, purge_day
from inbox_agent.schema import acts, applications, messages
from inbox_agent.survey import kept_applications, kept_doubts
from inbox_agent.table import table_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from inbox_agent.execute import Account
    from inbox_agent.installation import Installation

_log = logging.getLogger(__name__)

# The octets of a digest that was sent are no longer needed to send it; they name people.
_DIGESTS_KEPT = timedelta(days=31)


def due(installation: Installation, *, ahead: timedelta = timedelta()) -> list[dict[str, Any]]:
    """What has its day today or earlier, or within `ahead`; the oldest day first."""
    until = installation.now().date() + ahead
    with installation.journal.snapshot() as connection:
        days = {row.id: purge_day(row, installation) for row in kept_applications(connection)}
        doubts = {row.id: purge_day(row, installation) for row in kept_doubts(connection)}
        filed = sa.select(applications).where(applications.c.id.in_(_before(until, days)))
        doubtful = sa.select(messages).where(messages.c.id.in_(_before(until, doubts)))
        rows = [
            {
                "number": row.id,
                "kind": "application",
                "name": row.name or row.address or "",
                "offer": row.offer,
                "last_contact": row.last_contact_at[:10],
                "keep_agreed": row.keep_agreed,
                "day": days[row.id].isoformat(),
            }
            for row in connection.execute(filed)
        ] + [
            {
                "number": row.id,
                "kind": "doubt",
                "name": (row.doubt_from or {}).get("name") or (row.doubt_from or {}).get("address") or "",
                "offer": row.offer,
                "last_contact": row.internaldate[:10],
                "keep_agreed": False,
                "day": doubts[row.id].isoformat(),
            }
            for row in connection.execute(doubtful)
        ]
    rows += [row for row in _unreadable(installation) if row["day"] <= until.isoformat()]
    return sorted(rows, key=lambda row: (row["day"], row["number"]))


def _unreadable(installation: Installation) -> list[dict[str, Any]]:
    """Messages in quarantine, with the day on which our copy of each is let go."""
    rows = []
    for row in installation.journal.quarantined():
        day = purge_day(Retained(row.id, None, moment(row.internaldate)), installation)
        shown = {"number": row.id, "kind": "quarantine", "name": "", "offer": None, "keep_agreed": False}
        rows.append({**shown, "last_contact": row.internaldate[:10], "day": day.isoformat()})
    return rows


def _before(until: date, days: dict[int, date]) -> list[int]:
    return [number for number, day in days.items() if day <= until]


def table(rows: list[dict[str, Any]]) -> str:
    """The list for a terminal."""
    if not rows:
        return "Nothing is due for deletion."
    columns = ("number", "kind", "name", "offer", "last_contact", "day")
    return table_of(columns, [[str(row[column] or "") for column in columns] for row in rows])


def purge(installation: Installation, connect: Callable[[str], Account]) -> Forgotten:
    """Delete what is due: files, rows, spool, and the messages in our own folders."""
    rows = due(installation)
    numbers, doubts, unreadable = (
        [row["number"] for row in rows if row["kind"] == kind] for kind in ("application", "doubt", "quarantine")
    )
    with installation.journal.transaction("digests_forgotten") as write:
        long_ago = text(installation.clock.now() - _DIGESTS_KEPT)
        sent = sa.and_(acts.c.key.startswith("digest:"), acts.c.done_at < long_ago)
        write.connection.execute(sa.update(acts).where(sent).values(octets=None))
        for number in unreadable:
            write.release(number)
    if not (numbers or doubts):
        return Forgotten(0, 0, 0)
    gone = forget_applications(installation, numbers, connect, doubts)
    _log.info("purged applications=%d doubts=%d messages=%d", gone.applications, len(doubts), gone.messages)
    return gone


def agree(installation: Installation, number: int, *, agreed: bool, who: str) -> None:
    """Record that a candidate agreed to be kept longer, or no longer does. Raises AgentError for no application."""
    said = "accord pour être conservée plus longtemps" if agreed else "n’est plus d’accord pour être conservée"
    with installation.journal.transaction("agreed") as write:
        changed = write.connection.execute(
            sa.update(applications)
            .where(applications.c.id == number)
            .values(keep_agreed=agreed, revision=applications.c.revision + 1)
        )
        if changed.rowcount == 0:
            raise AgentError(f"there is no application {number}. The board shows the numbers.")
        write.note(Event("correction", said, number, number, who))
