"""`inbox-agent outbox`: the replies and reports, and a person's word on an uncertain one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from inbox_agent.corrections import Saying, request
from inbox_agent.decide import IMPLAUSIBLE
from inbox_agent.decision import ActState
from inbox_agent.errors import AgentError
from inbox_agent.holding import DESK, demand
from inbox_agent.journal import REPLIES_RESUMED, REPLIES_STOPPED, text
from inbox_agent.schema import messages
from inbox_agent.table import minute, table_of

if TYPE_CHECKING:
    from datetime import tzinfo

    from inbox_agent.installation import Installation
    from inbox_agent.journal import PlannedAct


def listed(installation: Installation) -> list[dict[str, Any]]:
    """The latest mails, newest first."""
    return [
        {
            "id": act.id,
            "state": act.state.value,
            "way": act.kind.value,
            "template": act.payload["template"],
            "to": act.recipient,
            "application": act.application_id,
            "created_at": act.created_at.isoformat(timespec="seconds"),
            "attempts": act.attempts,
            "result": act.result,
        }
        for act in installation.journal.mail_acts()
    ]


def table(rows: list[dict[str, Any]], zone: tzinfo) -> str:
    """The list for a terminal, in local time."""
    if not rows:
        return "The outbox is empty: nothing was written yet."
    columns = ("id", "state", "way", "template", "to", "created_at", "result")
    shown = [{**row, "created_at": minute(row["created_at"], zone)} for row in rows]
    return table_of(columns, [[str(row[column] or "") for column in columns] for row in shown])


def show(installation: Installation, number: int) -> str:
    """One mail whole, as it is or will be sent."""
    return (_mail(installation, number).octets or b"").decode("ascii", "replace")


def say_sent(installation: Installation, number: int) -> str:
    """A person found that an uncertain mail was sent."""
    act = _ours(installation, number)
    if act.state not in (ActState.IN_DOUBT, ActState.PENDING, ActState.FAILED):
        raise AgentError(f"mail {number} is {act.state}: only an open or refused one can be settled.")
    installation.journal.done([(act, "sent, by a person's word")])
    return f"Mail {number} counts as sent."


def send_again(installation: Installation, number: int) -> str:
    """A person wants an uncertain or refused mail to be sent again, with the same octets."""
    act = _ours(installation, number)
    if act.state not in (ActState.IN_DOUBT, ActState.FAILED):
        raise AgentError(f"mail {number} is {act.state}: only an uncertain or refused one is sent again.")
    installation.journal.resend(act, "again, by a person's word")
    return f"Mail {number} will be sent at the next pass."


def resume(installation: Installation, *, answer: bool = False) -> str:
    """A person has looked at why replies were stopped: they go on, counted anew.

    With `answer`, who wrote meanwhile is answered too, by the rules as they are at the next pass.
    """
    if not installation.journal.fact(REPLIES_STOPPED):
        return "Replies were not stopped."
    with installation.journal.transaction("resume") as write:
        write.note_fact(REPLIES_RESUMED, text(installation.clock.now()))
        write.note_fact(REPLIES_STOPPED, "")
    with installation.journal.snapshot() as connection:
        silent = sa.and_(messages.c.no_reply_reason == IMPLAUSIBLE, messages.c.id == messages.c.application_id)
        unanswered = connection.scalars(sa.select(messages.c.id).where(silent).order_by(messages.c.id)).all()
    if not answer:
        return f"Replies go on. {len(unanswered)} who wrote meanwhile were not answered: see --answer, or the board."
    for number in unanswered:
        request(installation, number, Saying.ANSWER, None, who="outbox --resume --answer")
    return f"Replies go on. {len(unanswered)} who wrote meanwhile are answered at the next pass."


def _ours(installation: Installation, number: int) -> PlannedAct:
    """A mail that no other host sends or settles meanwhile: as it is once we hold its mailbox, a report's the desk."""
    demand(installation.holding, [_mail(installation, number).mailbox or DESK])
    return _mail(installation, number)


def _mail(installation: Installation, number: int) -> PlannedAct:
    act = installation.journal.act(number)
    if act is None or act.octets is None:
        raise AgentError(f"there is no mail {number}. List them with: inbox-agent outbox")
    return act
