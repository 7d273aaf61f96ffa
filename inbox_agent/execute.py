"""Performs what the journal holds, once: file, move, draft, send. The one module that changes the world.

Each act is idempotent or asks the world first, so that doing it again after a crash does nothing twice;
the window of SMTP, where neither is possible, is kept small and said aloud (reliability.md section 2).
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
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
from inbox_agent.journal import COPIES_COME, REPLIES_STOPPED, SENDING_RESTS, SENDING_TROUBLE
from inbox_agent.ports import Filing, Moved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from inbox_agent.journal import Journal, PlannedAct
    from inbox_agent.ports import Clock, FileStore, Listed, Mailbox, Sender

_log = logging.getLogger(__name__)

# A server that keeps what it sent shows it in Sent at once (Gmail and Microsoft 365: within seconds).
_KEEP_AFTER = timedelta(minutes=1)
_LOOK_AGAIN = timedelta(minutes=1)  # while evidence may still come
_LOOK_SELDOM = timedelta(hours=1)  # once it is a person's turn
# After a refused login or certificate no server is asked again for so long, so that no account is locked.
_REST = timedelta(minutes=10)
# A proof that fails so often is none: a mail is not sent each quarter of an hour for four days.
_PROOFS = 3
_REFUSALS_IN_A_ROW = 3  # temporary ones; then the server is left alone until the next pass
_CLAIMED_AT_ONCE = 10  # mails that still go out after somebody has stopped the replies


@dataclass(frozen=True, slots=True)
class Account:
    """A mailbox of the world: its connection, the folder it reads, where drafts wait and sent mail is kept."""

    mailbox: Mailbox
    folder: str
    drafts: str
    sent: str | None


@dataclass(frozen=True, slots=True)
class World:
    """What can be acted upon. `evidence` is how long to look for an uncertain mail before the policy decides.

    `held`: the mailboxes that this host has, None for all; `still` raises TryAgainError when it has lost them.
    """

    accounts: dict[str, Account]
    files: FileStore
    sender: Sender | None
    spool: Path
    clock: Clock
    copy_to: str | None = None
    resend_in_doubt: bool = True
    evidence: timedelta = timedelta(minutes=15)
    keep_in_sent: bool = True
    held: Callable[[], frozenset[str] | None] = lambda: None
    still: Callable[[], None] = lambda: None


def execute(journal: Journal, world: World, *, reports_only: bool = False) -> int:
    """Perform every act that is due, until none is; how many were tried.

    `reports_only` leaves out what belongs to a message: a digest goes out although a mailbox is away.
    """
    tried = 0
    seen: set[int] = set()
    held = world.held()
    while due := _due(journal, held, seen, reports_only=reports_only):
        seen.update(act.id for act in due)
        for kind, group in _by_kind(due):
            world.still()
            acts = list(group)
            tried += len(acts)
            match kind:
                case ActKind.FILE:
                    _file(journal, world, acts)
                case ActKind.REFILE:
                    _refile(journal, world, acts)
                case ActKind.MOVE:
                    _move(journal, world, acts)
                case ActKind.DRAFT:
                    _draft(journal, world, acts)
                case ActKind.SEND:
                    _send(journal, world, acts)
                case ActKind.KEEP:
                    _keep(journal, world, acts)
    return tried


def _due(
    journal: Journal, held: frozenset[str] | None, seen: set[int], *, reports_only: bool
) -> tuple[PlannedAct, ...]:
    """The next acts that were not tried. Hundreds that have to wait must not stand before one that has not."""
    after = 0
    while page := journal.due(held=held, after=after):
        fresh = tuple(act for act in page if act.id not in seen and not (reports_only and _of_a_candidate(act)))
        if fresh:
            return fresh
        after = page[-1].id
    return ()


def _of_a_candidate(act: PlannedAct) -> bool:
    return act.message_id is not None or act.application_id is not None


def _by_kind(acts: Sequence[PlannedAct]) -> Iterator[tuple[ActKind, Iterator[PlannedAct]]]:
    order = list(ActKind)
    return groupby(sorted(acts, key=lambda act: (order.index(act.kind), act.id)), key=lambda act: act.kind)


# --- file ---------------------------------------------------------------------------------------------


def _file(journal: Journal, world: World, acts: Sequence[PlannedAct]) -> None:
    errors = world.files.put_all([_filing(world, act) for act in acts])
    finished: list[tuple[PlannedAct, str]] = []
    for act, error in zip(acts, errors, strict=True):
        reach("file.put.after")
        match error:
            case None:
                finished.append((act, "filed"))
            case FileExistsError():
                # Never given up: until a person makes room the message stays where it is (I1).
                journal.postpone(act, f"another file stands in its place: {error.filename}")
                _log.error("archive-occupied act=%d", act.id)
            case FileStoreError():
                journal.postpone(act, str(error))
                _log.warning("archive-refuses act=%d %s", act.id, type(error).__name__)
    if finished:
        journal.done(finished)


def _filing(world: World, act: PlannedAct) -> Filing:
    reach("file.put.before")
    spool = world.spool / (act.mailbox or "")
    pieces = tuple((spool / source, name) for source, name in act.payload["files"])
    return Filing(PurePosixPath(act.payload["path"]), pieces)


def _refile(journal: Journal, world: World, acts: Sequence[PlannedAct]) -> None:
    """Whole folders of the archive go elsewhere, by staff's word."""
    for act in acts:
        try:
            reach("refile.before")
            world.files.move(PurePosixPath(act.payload["from"]), PurePosixPath(act.payload["to"]))
            reach("refile.after")
        except (FileStoreError, FileExistsError) as error:
            journal.postpone(act, f"the folder cannot be moved ({type(error).__name__})")
            _log.error("refile-refused act=%d %s", act.id, type(error).__name__)
        else:
            journal.done([(act, "moved in the archive")])


# --- move ---------------------------------------------------------------------------------------------


def _move(journal: Journal, world: World, acts: Sequence[PlannedAct]) -> None:
    for (name, source, target), group in _by_way(acts):
        moving = list(group)
        account = world.accounts.get(name)
        if account is None:
            continue  # Another process has that mailbox.
        try:
            _move_group(journal, account, source or account.folder, target, moving)
        except (AuthenticationError, TlsError):
            raise
        except AgentError as error:
            for act in moving:
                journal.postpone(act, str(error))
            if isinstance(error, TryAgainError):
                raise
            _log.error("move-refused acts=%d", len(moving))
        if source:
            account.mailbox.select(account.folder)  # What is fetched next comes from there.


def _by_way(acts: Sequence[PlannedAct]) -> Iterator[tuple[tuple[str, str, str], Iterator[PlannedAct]]]:
    """Grouped by mailbox, source ("" is the folder that is read) and target."""

    def way(act: PlannedAct) -> tuple[str, str, str]:
        return act.mailbox or "", act.payload.get("from", ""), act.payload["folder"]

    return groupby(sorted(acts, key=way), key=way)


def _place(act: PlannedAct) -> tuple[int | None, int | None]:
    """UIDVALIDITY and UID of the message where it is to be taken from."""
    if "from" in act.payload:
        return act.payload["uidvalidity"], act.payload["uid"]
    return act.uidvalidity, act.uid


def _move_group(journal: Journal, account: Account, source: str, target: str, acts: Sequence[PlannedAct]) -> None:
    state = account.mailbox.select(source)
    current: dict[int, PlannedAct] = {}
    for act in acts:
        uidvalidity, uid = _place(act)
        if uidvalidity == state.uidvalidity and uid is not None:
            current[uid] = act
        else:
            journal.postpone(act, "the folder was renumbered (UIDVALIDITY): the message will be found again")
    if not current:
        return
    reach("move.before")
    places = account.mailbox.move(list(current), target)
    reach("move.after")
    lost = [act for uid, act in current.items() if places.get(uid) is None]
    found = _follow(journal, account, target, lost) if lost else {}
    journal.moved([(act, places.get(uid) or found.get(act.id)) for uid, act in current.items()])


def _follow(journal: Journal, account: Account, folder: str, acts: Sequence[PlannedAct]) -> dict[int, Moved]:
    """Where in the target messages are that a move put there whose commit was lost, or a person: by their octets."""
    try:
        state = account.mailbox.select(folder)
    except TryAgainError:
        raise
    except AgentError:
        return {}
    found: dict[int, Moved] = {}
    taken = {uid for validity, uid in journal.places(acts[0].mailbox or "", folder) if validity == state.uidvalidity}
    since = account.mailbox.since(min(act.internaldate for act in acts if act.internaldate))
    there = account.mailbox.listed([uid for uid in since if uid not in taken])
    for act in acts:
        for listed in there:
            if listed.uid not in taken and _is_that(account, act, listed):
                taken.add(listed.uid)
                found[act.id] = Moved(state.uidvalidity, listed.uid)
                break
    account.mailbox.select(account.folder)
    return found


def _is_that(account: Account, act: PlannedAct, listed: Listed) -> bool:
    if act.internaldate != listed.internaldate and act.size != listed.size:
        return False
    if act.payload.get("partial"):  # Its octets were never fetched whole.
        return act.internaldate == listed.internaldate and act.size == listed.size
    return any(hashlib.sha256(octets).hexdigest() == act.sha256 for _, octets in account.mailbox.fetch([listed.uid]))


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
            world.still()
            reach("draft.append.before")
            account.mailbox.append(account.drafts, act.octets, (r"\Draft", r"\Seen"), world.clock.now())
            reach("draft.append.after")
        except (AuthenticationError, TlsError):
            raise
        except AgentError as error:
            journal.postpone(act, str(error))
            if isinstance(error, TryAgainError):
                raise
            _log.error("draft-refused act=%d", act.id)
        else:
            journal.done([(act, "waits among the drafts")])


def _found(account: Account, folders: Sequence[str | None], mail_id: str) -> bool:
    return any(account.mailbox.find(folder, mail_id) for folder in folders if folder is not None)


# --- send ---------------------------------------------------------------------------------------------


def _send(journal: Journal, world: World, acts: Sequence[PlannedAct]) -> None:
    for act in acts:
        if act.state is ActState.IN_DOUBT:
            _settle(journal, world, act)
    fresh = [act for act in acts if act.state is not ActState.IN_DOUBT]
    for start in range(0, len(fresh), _CLAIMED_AT_ONCE):
        if not _send_some(journal, world, fresh[start : start + _CLAIMED_AT_ONCE]):
            return


def _send_some(journal: Journal, world: World, acts: Sequence[PlannedAct]) -> bool:
    """Claim and offer a few; whether the server may be asked for more."""
    if world.sender is None:
        for act in acts:
            journal.postpone(act, "no [smtp] is configured")
        return True
    said = journal.facts(SENDING_RESTS, SENDING_TROUBLE, REPLIES_STOPPED)
    claimed = journal.claim([act for act in acts if not _held(said, world, act)])
    refusals = 0
    for rank, act in enumerate(claimed, start=1):
        if _submit(journal, world, world.sender, act):
            refusals = 0
            if said.pop(SENDING_TROUBLE, ""):
                _work_again(journal)
            continue
        refusals += 1
        if refusals == _REFUSALS_IN_A_ROW or _held(journal.facts(SENDING_RESTS), world, act):
            journal.unclaim(claimed[rank:])
            return False
    return True


def _held(said: Mapping[str, str], world: World, act: PlannedAct) -> bool:
    """Whether it has to wait: replies are stopped until a person acts, or the server refused our login just now."""
    rests_until = said.get(SENDING_RESTS)
    if rests_until and world.clock.now() < datetime.fromisoformat(rests_until):
        return True
    return act.application_id is not None and bool(said.get(REPLIES_STOPPED))


def _submit(journal: Journal, world: World, sender: Sender, act: PlannedAct) -> bool:
    """Offer a claimed mail; whether the server is in order."""

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
            copy_to=world.copy_to if act.application_id is not None else None,
        )
        reach("send.after")
    except SendUnknownError as error:
        journal.keep_in_doubt(act, str(error), _LOOK_AGAIN)
    except SendRefusedError as error:
        journal.failed(act, str(error))
    except TryAgainError as error:
        journal.postpone(act, str(error))
        return False
    except (AuthenticationError, TlsError) as error:
        # Reading and filing go on without it.
        _rest(journal, world, str(error))
        journal.postpone(act, str(error))
        _log.error("sending-refused %s", type(error).__name__)
        return False
    else:
        journal.sent(act, answer, _KEEP_AFTER if _is_kept(world, act) else None)
    return True


def _rest(journal: Journal, world: World, trouble: str) -> None:
    with journal.transaction("rest") as write:
        write.note_fact(SENDING_RESTS, (world.clock.now() + _REST).isoformat())
        write.note_fact(SENDING_TROUBLE, trouble)


def _work_again(journal: Journal) -> None:
    with journal.transaction("rest") as write:
        write.note_fact(SENDING_RESTS, "")
        write.note_fact(SENDING_TROUBLE, "")


def _settle(journal: Journal, world: World, act: PlannedAct) -> None:
    """A mail that the server may have taken: look for it, then follow the policy."""
    if not world.accounts:
        return  # Where nobody can be asked, nothing is proven: a pass over a mailbox will look.
    try:
        proof = _evidence(world, act)
    except AgentError as error:
        journal.keep_in_doubt(act, "the mailbox cannot be asked whether it was sent", _LOOK_AGAIN)
        _log.warning("evidence-unavailable act=%d %s", act.id, type(error).__name__)
        return
    if proof is not None:
        journal.done([(act, proof)])
        return
    since = act.payload.get("in_doubt_at")
    waited = world.clock.now() - (datetime.fromisoformat(since) if since else act.created_at)
    if waited < world.evidence:
        journal.keep_in_doubt(act, "looked for in Sent: not found yet", _LOOK_AGAIN)
    elif world.sender is not None and _may_go_again(journal, world, act):
        journal.resend(act, "not found: sent once more, with the same Message-ID")
    else:
        journal.keep_in_doubt(act, "nothing can tell whether it was sent: a person must look", _LOOK_SELDOM)


def _may_go_again(journal: Journal, world: World, act: PlannedAct) -> bool:
    """Where a sent mail would have been found, its absence proves that it was not; elsewhere the policy says."""
    again = int(act.payload.get("resent", 0))
    if again < _PROOFS and _would_be_found(journal, world, act):
        return True
    return world.resend_in_doubt and not again


def _would_be_found(journal: Journal, world: World, act: PlannedAct) -> bool:
    """Whether earlier ones were: of a copy that a filter takes, or that goes elsewhere, the absence proves nothing."""
    if act.application_id is None:
        return False
    if world.copy_to is not None and journal.fact(f"{COPIES_COME}:{act.mailbox}") == "yes":
        return True
    return journal.fact(f"keeps_sent:{act.mailbox}") == "yes"


def _evidence(world: World, act: PlannedAct) -> str | None:
    """Where the mail was found. Raises AgentError when a mailbox could not be asked."""
    names = [act.mailbox] if act.mailbox in world.accounts else list(world.accounts)
    # Our own copy, or a report to the very person whose mailbox this is.
    inbox = world.copy_to is not None or act.application_id is None
    for account in (world.accounts[name] for name in names if name is not None):
        if act.mail_id and _found(account, (account.sent, account.folder if inbox else None), act.mail_id):
            return "found in the mailbox: it was sent"
    return None


# --- keep ---------------------------------------------------------------------------------------------


def _is_kept(world: World, act: PlannedAct) -> bool:
    """Whether we see to it that Sent has the reply; our blind copy is moved there when it comes."""
    account = world.accounts.get(act.mailbox or "")
    return world.keep_in_sent and world.copy_to is None and account is not None and account.sent is not None


def _keep(journal: Journal, world: World, acts: Sequence[PlannedAct]) -> None:
    for act in acts:
        account = world.accounts.get(act.payload["mailbox"])
        sent = journal.act(act.payload["of"])
        if account is None or account.sent is None or sent is None or sent.mail_id is None:
            continue
        try:
            journal.done([(act, _keep_one(journal, account, world.clock.now(), sent))])
        except (AuthenticationError, TlsError):
            raise
        except AgentError as error:
            if isinstance(error, TryAgainError):
                journal.postpone(act, str(error))
                raise
            journal.failed(act, str(error))
            _log.warning("keep-refused act=%d", act.id)


def _keep_one(journal: Journal, account: Account, now: datetime, sent: PlannedAct) -> str:
    """See that Sent holds a reply; learn on the way whether the server puts it there itself."""
    fact = f"keeps_sent:{sent.mailbox}"
    if account.sent is None or _found(account, (account.sent,), sent.mail_id or ""):
        if journal.fact(fact) is None:
            journal.note_fact(fact, "yes")
        return "the server keeps it"
    if journal.fact(fact) != "no":
        # Before the first copy of ours: what we put there must never be taken for the server's.
        journal.note_fact(fact, "no")
    reach("keep.append.before")
    account.mailbox.append(account.sent, sent.octets or b"", (r"\Seen",), now)
    reach("keep.append.after")
    return "put into Sent"
