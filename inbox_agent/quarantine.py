"""`inbox-agent quarantine`: messages that could not be read three times, and what a person does with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inbox_agent.errors import AgentError
from inbox_agent.fetch import spooled
from inbox_agent.holding import demand
from inbox_agent.table import minute, table_of

if TYPE_CHECKING:
    from datetime import tzinfo
    from pathlib import Path

    from inbox_agent.installation import Installation


def listed(installation: Installation) -> list[dict[str, Any]]:
    """Every message in quarantine: its identity and why, nothing of what it says."""
    return [
        {
            "id": row.id,
            "mailbox": row.mailbox,
            "uid": row.uid,
            "received_at": row.internaldate,
            "size": row.size,
            "sha256": row.sha256,
            "why": row.why,
        }
        for row in installation.journal.quarantined()
    ]


def table(rows: list[dict[str, Any]], zone: tzinfo) -> str:
    """The list for a terminal, in local time."""
    if not rows:
        return "Nothing is in quarantine."
    columns = ("id", "mailbox", "uid", "received_at", "size", "why")
    shown = [{**row, "received_at": minute(row["received_at"], zone)} for row in rows]
    return table_of(columns, [[str(row[column]) for column in columns] for row in shown])


def octets_of(installation: Installation, number: int) -> Path:
    """The file that holds one message. Raises AgentError where it is not: the host that read it has it."""
    row = _one(installation, number)
    path = spooled(installation.spool(row["mailbox"]), row["sha256"])
    if not path.exists():
        where = f"UID {row['uid']} of {row['mailbox']}, received {row['received_at']}"
        raise AgentError(f"the octets of message {number} are not on this machine. In the mailbox it is {where}.")
    return path


def retry(installation: Installation, number: int) -> str:
    """Have it read again at the next pass, three tries once more."""
    row = _ours(installation, number)
    octets = spooled(installation.spool(row["mailbox"]), row["sha256"])
    if octets.exists() and octets.stat().st_size < row["size"]:  # Octets that are not here are fetched again.
        raise AgentError(
            f"message {number} was too large to be fetched whole: look at it in the mailbox, and release it here."
        )
    with installation.journal.transaction("retry") as write:
        write.back_to_received(number)
    return f"Message {number} will be read at the next pass."


def release(installation: Installation, number: int) -> str:
    """A person has seen to it: it counts as a message left to people, and its octets are let go."""
    _ours(installation, number)
    with installation.journal.transaction("release") as write:
        write.release(number)
    return f"Message {number} is left to you."


def _ours(installation: Installation, number: int) -> dict[str, Any]:
    """One message, as it is once no other host works on its mailbox."""
    demand(installation.holding, [_one(installation, number)["mailbox"]])
    return _one(installation, number)


def _one(installation: Installation, number: int) -> dict[str, Any]:
    for row in listed(installation):
        if row["id"] == number:
            return row
    raise AgentError(f"message {number} is not in quarantine. List them with: inbox-agent quarantine")
