"""Performs what the journal holds, once: file, move, draft, send. The one module that changes the world.

Each act is idempotent or asks the world first, so that doing it again after a crash does nothing twice;
the window of SMTP, where neither is possible, is kept small and said aloud (reliability.md section 2).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from inbox_agent.decision import ActKind, ActState
from inbox_agent.errors import (
    AgentError,
    AuthenticationError,
    FileStoreError,
    SendRefusedError,
    SendUnknownError,
    TlsError,
    TryAgainError,
)
from inbox_agent.failpoint import reach

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from inbox_agent.journal import Journal, PlannedAct
    from inbox_agent.ports import Clock, FileStore, Mailbox, Sender

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Account:
    """A mailbox of the world: its connection, the folder it reads, where drafts wait and sent mail is kept."""

    mailbox: Mailbox
    folder: str
    drafts: str
    sent: str | None


@dataclass(frozen=True, slots=True)
class World:
    """What can be acted upon. `evidence` is how long to look for an uncertain mail before the policy decides."""

    accounts: dict[str, Account]
    files: FileStore
    sender: Sender | None
    spool: Path
    clock: Clock
    copy_to: str | None = None
    resend_in_doubt: bool = True
    evidence: timedelta = timedelta(minutes=15)


def execute(journal: Journal, world: World) -> int:
    """Perform every act that is due, until none is; how many were tried."""
    tried = 0
    seen: set[int] = set()
    while due := [act for act in journal.due() if act.id not in seen]:
        seen.update(act.id for act in due)
        for kind, group in _by_kind(due):
            acts = list(group)
            tried += len(acts)
            match kind:
                case ActKind.FILE:
                    _file(journal, world, acts)
                case ActKind.MOVE:
                    _move(journal, world, acts)
                case ActKind.DRAFT:
                    _draft(journal, world, acts)
                case ActKind.SEND:
                    _send(journal, world, acts)
    return tried


def _by_kind(acts: Sequence[PlannedAct]) -> Iterator[tuple[ActKind, Iterator[PlannedAct]]]:
    order = list(ActKind)
    return groupby(sorted(acts, key=lambda act: (order.index(act.kind), act.id)), key=lambda act: act.kind)


# --- file ---------------------------------------------------------------------------------------------


def _file(journal: Journal, world: World, acts: Sequence[PlannedAct]) -> None:
    finished: list[tuple[PlannedAct, str]] = []
    for act in acts:
        try:
            _file_one(world, act)
        except FileExistsError as error:
            journal.failed(act, f"another file stands in its place: {error}")
        except FileNotFoundError:
            journal.failed(act, "its octets are no longer in the spool")
        except FileStoreError as error:
            journal.postpone(act, str(error))
            _log.warning("archive-refuses act=%d %s", act.id, type(error).__name__)
        else:
            finished.append((act, "filed"))
    if finished:
        journal.done(finished)


def _file_one(world: World, act: PlannedAct) -> None:
    folder = PurePosixPath(act.payload["path"])
    for source, name in act.payload["files"]:
        reach("file.put.before")
        world.files.put(world.spool / (act.mailbox or "") / source, folder / name)
    reach("file.put.after")


# --- move ---------------------------------------------------------------------------------------------


def _move(journal: Journal, world: World, acts: Sequence[PlannedAct]) -> None:
    for (name, folder), group in _by_target(acts):
        moving = list(group)
        account = world.accounts.get(name)
        if account is None:
            continue  # Another process has that mailbox.
        try:
            _move_group(journal, account, folder, moving)
        except TryAgainError as error:
            for act in moving:
                journal.postpone(act, str(error))
            raise


def _by_target(acts: Sequence[PlannedAct]) -> Iterator[tuple[tuple[str, str], Iterator[PlannedAct]]]:
    def target(act: PlannedAct) -> tuple[str, str]:
        return act.mailbox or "", act.payload["folder"]

    return groupby(sorted(acts, key=target), key=target)


def _move_group(journal: Journal, account: Account, folder: str, acts: Sequence[PlannedAct]) -> None:
    state = account.mailbox.select(account.folder)
    current = [act for act in acts if act.uidvalidity == state.uidvalidity]
    for act in acts:
        if act.uidvalidity != state.uidvalidity:
            journal.postpone(act, "the folder was renumbered (UIDVALIDITY): the message will be found again")
    uids = [act.uid for act in current if act.uid is not None]
    if not uids:
        return
    reach("move.before")
    places = account.mailbox.move(uids, folder)
    reach("move.after")
    journal.moved([(act, places.get(act.uid or 0)) for act in current])


# --- draft --------------------------------------------------------------------------------------------


def _draft(journal: Journal, world: World, acts: Sequence[PlannedAct]) -> None:
    for act in acts:
        account = world.accounts.get(act.mailbox or "")
        if account is None or act.octets is None or act.mail_id is None:
            continue
        try:
            if _found(account, (account.drafts, account.sent), act.mail_id):
                journal.done([(act, "found among the drafts")])
                continue
            reach("draft.append.before")
            account.mailbox.append(account.drafts, act.octets, (r"\Draft", r"\Seen"), world.clock.now())
            reach("draft.append.after")
        except TryAgainError as error:
            journal.postpone(act, str(error))
            raise
        journal.done([(act, "waits among the drafts")])


def _found(account: Account, folders: Sequence[str | None], mail_id: str) -> bool:
    return any(account.mailbox.find(folder, mail_id) for folder in folders if folder is not None)


# --- send ---------------------------------------------------------------------------------------------


def _send(journal: Journal, world: World, acts: Sequence[PlannedAct]) -> None:
    for act in acts:
        if act.state is ActState.IN_DOUBT:
            _settle(journal, world, act)
        elif world.sender is None:
            journal.postpone(act, "no [smtp] is configured")
        elif journal.claim(act):
            _submit(journal, world, world.sender, act)


def _submit(journal: Journal, world: World, sender: Sender, act: PlannedAct) -> None:
    def before_dot() -> None:
        journal.in_doubt(act)
        reach("send.dot.before")

    try:
        reach("send.before")
        answer = sender.send(
            act.octets or b"",
            envelope_from=act.payload["envelope_from"],
            recipient=act.recipient or "",
            before_dot=before_dot,
            copy_to=world.copy_to,
        )
        reach("send.after")
    except SendUnknownError as error:
        journal.keep_in_doubt(act, str(error))
    except SendRefusedError as error:
        journal.failed(act, str(error))
    except (TryAgainError, AuthenticationError, TlsError) as error:
        journal.postpone(act, str(error))
        if not isinstance(error, TryAgainError):
            raise
    else:
        journal.done([(act, answer)])


def _settle(journal: Journal, world: World, act: PlannedAct) -> None:
    """A mail that the server may have taken: look for it, then follow the policy."""
    proof = _evidence(world, act)
    if proof is not None:
        journal.done([(act, proof)])
        return
    waited = world.clock.now() - act.created_at >= world.evidence
    if not waited:
        journal.keep_in_doubt(act, "looked for in Sent: not found yet")
    elif world.sender is None or act.payload.get("resent") or not (world.resend_in_doubt or world.copy_to):
        journal.keep_in_doubt(act, "nothing can tell whether it was sent: a person must look")
    else:
        journal.resend(act, "not found: sent once more, with the same Message-ID")


def _evidence(world: World, act: PlannedAct) -> str | None:
    for account in world.accounts.values():
        places = (account.sent, account.folder if world.copy_to else None)
        try:
            if act.mail_id and _found(account, places, act.mail_id):
                return "found in the mailbox: it was sent"
        except AgentError as error:
            _log.warning("evidence-unavailable act=%d %s", act.id, type(error).__name__)
    return None
