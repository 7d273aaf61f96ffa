"""What staff did with the replies that wait in their Drafts: sent from there, or deleted.

Acts: asks the mailbox, writes the journal. A mail program may give a draft another Message-ID when it is edited or
sent; then our own header tells, or the message it answers and to whom it goes.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from email import message_from_bytes
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from inbox_agent.decision import ActKind, ActState
from inbox_agent.failpoint import reach
from inbox_agent.journal import Event, text
from inbox_agent.schema import acts, applications, messages

if TYPE_CHECKING:
    from inbox_agent.execute import Account
    from inbox_agent.installation import Installation

_log = logging.getLogger(__name__)

# A program that sends a draft first deletes it and then files the copy, or the other way round: not at one moment.
_PATIENCE = timedelta(minutes=2)
_BY_HAND = "messagerie"


def look_at_drafts(installation: Installation, account: Account, mailbox: str) -> bool:
    """Settle the drafts that no longer wait; whether any waited. One STATUS while nothing changed in Drafts."""
    waiting = _waiting(installation, mailbox)
    if not waiting:
        return False
    reach("drafts.before")
    fact = f"drafts:{mailbox}"
    state = account.mailbox.state(account.drafts)
    seen = "" if state is None else f"{state.uidvalidity}.{state.uidnext}.{state.exists}.{len(waiting)}"
    if seen and installation.journal.fact(fact) == seen:
        return True
    undecided = [act for act in waiting if not _settled(installation, account, act)]
    if not any("absent_at" in act.payload for act in _waiting(installation, mailbox)):
        installation.journal.note_fact(fact, seen if len(undecided) == len(waiting) else "")
    account.mailbox.select(account.folder)
    return True


def _waiting(installation: Installation, mailbox: str) -> list[sa.Row[Any]]:
    with installation.journal.snapshot() as connection:
        return list(connection.execute(_DRAFTS, {"mailbox": mailbox}))


_DRAFTS = (
    sa.select(acts)
    .join(messages, messages.c.id == acts.c.message_id)
    .where(acts.c.kind == ActKind.DRAFT, acts.c.state == ActState.DONE, acts.c.settled.is_(None))
    .where(messages.c.mailbox == sa.bindparam("mailbox"))
    .order_by(acts.c.id)
)


def _settled(installation: Installation, account: Account, act: sa.Row[Any]) -> bool:
    if _lies_in(account, account.drafts, act):
        _note_absence(installation, act, None)
        return False
    now = installation.clock.now()
    if account.sent is not None and _lies_in(account, account.sent, act):
        _settle(installation, act, "sent", "réponse envoyée depuis vos brouillons")
        return True
    absent_at = act.payload.get("absent_at")
    if absent_at is None:
        _note_absence(installation, act, now)
        return False
    if now - datetime.fromisoformat(absent_at) < _PATIENCE:
        return False
    _settle(installation, act, "deleted", "brouillon supprimé : aucune réponse n’est partie d’ici")
    return True


def _lies_in(account: Account, folder: str, act: sa.Row[Any]) -> bool:
    mailbox = account.mailbox
    if mailbox.find(folder, act.mail_id or ""):
        return True
    from email import policy  # noqa: PLC0415 - loads a parser, where a draft was edited or sent

    made = message_from_bytes(act.octets or b"", policy=policy.default)
    reference = str(made.get("X-Inbox-Agent-Ref", ""))
    if reference and mailbox.find_fields(folder, {"X-Inbox-Agent-Ref": reference}):
        return True
    answered = str(made.get("In-Reply-To", ""))
    return bool(answered) and bool(mailbox.find_fields(folder, {"In-Reply-To": answered, "To": act.recipient or ""}))


def _note_absence(installation: Installation, act: sa.Row[Any], at: datetime | None) -> None:
    payload = {key: value for key, value in act.payload.items() if key != "absent_at"}
    if at is not None:
        payload["absent_at"] = text(at)
    if payload != act.payload:
        with installation.journal.transaction("draft_absent") as write:
            write.connection.execute(sa.update(acts).where(acts.c.id == act.id).values(payload=payload))


def _settle(installation: Installation, act: sa.Row[Any], how: str, said: str) -> None:
    now = text(installation.clock.now())
    payload = {key: value for key, value in act.payload.items() if key != "absent_at"}
    with installation.journal.transaction("draft_settled") as write:
        write.connection.execute(
            sa.update(acts).where(acts.c.id == act.id).values(settled=how, done_at=now, payload=payload)
        )
        if act.application_id is not None:
            values: dict[str, Any] = {"revision": applications.c.revision + 1}
            if how == "sent":
                values["last_contact_at"] = now
            write.connection.execute(
                sa.update(applications).where(applications.c.id == act.application_id).values(**values)
            )
        write.note(Event("correction", said, act.application_id, act.message_id, _BY_HAND))
    _log.info("draft-%s act=%d", how, act.id)
