"""Forgetting: everything that is kept of an application goes, from files, mailbox, spool and store alike.

Acts. The rows go last, so that what a crash leaves is found again and the same command ends it. Used by
`erase ADDRESS` (a person's right) and by the nightly purge (retention).
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from inbox_agent.application import Kind
from inbox_agent.corrections import mark_stale
from inbox_agent.decision import ActKind
from inbox_agent.errors import AgentError, StoreError
from inbox_agent.failpoint import reach
from inbox_agent.installation import connect_mailbox
from inbox_agent.schema import acts, applications, documents, events, facts, messages, requests, threads
from inbox_agent.watch import look_around

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from inbox_agent.execute import Account
    from inbox_agent.installation import Installation
    from inbox_agent.journal import Write

_log = logging.getLogger(__name__)

# What a message's row says of somebody.
_SAID = ("offer", "decision", "told", "no_reply_reason", "doubt_from", "why")


@contextmanager
def connections(installation: Installation) -> Iterator[Callable[[str], Account]]:
    """Gives a function that connects to a mailbox by its name, once; all are closed at the end."""
    open_ones: dict[str, Account] = {}

    def connect(name: str) -> Account:
        if name not in open_ones:
            open_ones[name] = connect_mailbox(installation.section(name))
        return open_ones[name]

    try:
        yield connect
    finally:
        for account in open_ones.values():
            account.mailbox.close()


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of somebody: rows of `applications` and of `messages`, and our mails as rows of `acts`."""

    applications: tuple[sa.Row[Any], ...]
    messages: tuple[sa.Row[Any], ...]
    mails: tuple[sa.Row[Any], ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing."""
        return not (self.applications or self.messages or self.mails)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much went."""

    applications: int
    messages: int
    removed_from_mailbox: int


def kept_of(connection: sa.Connection, address: str) -> Kept:
    """Everything about an address: applications that have it, were written from it as doubts, or answered there."""
    wanted = address.strip().lower()
    answered = sa.select(acts.c.application_id).where(sa.func.lower(acts.c.recipient) == wanted)
    numbers = set(
        connection.scalars(
            sa.select(applications.c.id).where(
                sa.or_(sa.func.lower(applications.c.address) == wanted, applications.c.id.in_(answered))
            )
        )
    )
    doubts = [
        row.id
        for row in connection.execute(
            sa.select(messages.c.id, messages.c.doubt_from).where(messages.c.doubt_from.is_not(None))
        )
        if str((row.doubt_from or {}).get("address") or "").lower() == wanted
    ]
    return kept_of_applications(connection, sorted(numbers), doubts)


def kept_of_applications(connection: sa.Connection, numbers: Sequence[int], doubts: Sequence[int] = ()) -> Kept:
    """Everything about these applications, and these messages in doubt."""
    of_them = sa.or_(messages.c.application_id.in_(numbers), messages.c.id.in_(doubts))
    return Kept(
        tuple(connection.execute(sa.select(applications).where(applications.c.id.in_(numbers)))),
        tuple(connection.execute(sa.select(messages).where(of_them).order_by(messages.c.id))),
        tuple(
            connection.execute(sa.select(acts).where(acts.c.application_id.in_(numbers), acts.c.octets.is_not(None)))
        ),
    )


def erase(installation: Installation, address: str, connect: Callable[[str], Account]) -> Forgotten | None:
    """Forget an address everywhere, digests of ours that name it included; None if nothing is kept of it."""
    with installation.journal.snapshot() as connection:
        if kept_of(connection, address).empty:
            return None
    accounts = {section.name: connect(section.name) for section in installation.config.mailboxes}
    for name, account in accounts.items():
        look_around(installation, account, name)
    with installation.journal.snapshot() as connection:
        kept = kept_of(connection, address)
    removed = _out_of_mailboxes(kept, accounts, everywhere=True)
    words = {address.strip().lower(), *(row.name.lower() for row in kept.applications if row.name)}
    removed += _digests_out_of_mailboxes(installation, accounts, words)
    _forget(installation, kept, digests_naming=words)
    _log.info("erased applications=%d messages=%d", len(kept.applications), len(kept.messages))
    return Forgotten(len(kept.applications), len(kept.messages), removed)


def forget_applications(
    installation: Installation,
    numbers: Sequence[int],
    connect: Callable[[str], Account],
    doubts: Sequence[int] = (),
) -> Forgotten:
    """Forget applications, and messages in doubt, whose time is over: files, rows, spool, and mail in our own folders.

    A doubt that staff resolved since, which the look at the folders shows, is none of them any more.
    """
    with installation.journal.snapshot() as connection:
        concerned = {row.mailbox for row in kept_of_applications(connection, numbers, doubts).messages}
    known = {section.name for section in installation.config.mailboxes}
    accounts = {name: connect(name) for name in sorted(concerned & known)}
    for name, account in accounts.items():
        look_around(installation, account, name)
    with installation.journal.snapshot() as connection:
        still = sa.select(messages.c.id).where(messages.c.id.in_(doubts), messages.c.kind == Kind.DOUBT)
        kept = kept_of_applications(connection, numbers, connection.scalars(still).all())
    removed = _out_of_mailboxes(kept, accounts, everywhere=False)
    _forget(installation, kept, digests_naming=None)
    return Forgotten(len(kept.applications), len(kept.messages), removed)


# --- the mailbox ----------------------------------------------------------------------------------------


def _out_of_mailboxes(kept: Kept, accounts: dict[str, Account], *, everywhere: bool) -> int:
    """Delete their messages where we know them to be; with `everywhere` our replies in Sent and Drafts too."""
    removed = 0
    for row in kept.messages:
        account = accounts.get(row.mailbox)
        if account is None or (row.folder is None and not everywhere):
            continue
        folder = row.folder or account.folder
        place = (row.folder_uidvalidity, row.folder_uid) if row.folder else (row.uidvalidity, row.uid)
        removed += _remove_one(account, folder, place, row.sha256)
    if everywhere:
        mailbox_of = {row.id: row.mailbox for row in kept.messages}
        for act in kept.mails:
            account = accounts.get(mailbox_of.get(act.message_id, ""))
            for one in [account] if account else accounts.values():
                removed += _remove_reply(one, act)
    for account in accounts.values():
        account.mailbox.select(account.folder)
    return removed


def _remove_one(account: Account, folder: str, place: tuple[int | None, int | None], sha256: str) -> int:
    """Delete one message, if its octets are still those that we know."""
    uidvalidity, uid = place
    try:
        state = account.mailbox.select(folder)
    except AgentError:
        if account.mailbox.state(folder) is not None:
            raise  # What we may not open now must not be forgotten: nothing else knows that it is there.
        return 0
    if uid is None or state.uidvalidity != uidvalidity:
        return 0
    if not any(hashlib.sha256(octets).hexdigest() == sha256 for _, octets in account.mailbox.fetch([uid])):
        return 0
    reach("remove.before")
    account.mailbox.remove([uid])
    return 1


def _remove_reply(account: Account, act: sa.Row[Any]) -> int:
    """A reply of ours among drafts and sent mail, found by Message-ID or by our own header."""
    made = message_from_bytes(act.octets or b"", policy=policy.default)
    reference = str(made.get("X-Inbox-Agent-Ref", ""))
    removed = 0
    for folder in filter(None, (account.drafts, account.sent)):
        found = set(account.mailbox.find(folder, act.mail_id)) if act.mail_id else set()
        if reference:
            found |= set(account.mailbox.find_fields(folder, {"X-Inbox-Agent-Ref": reference}))
        if found:
            account.mailbox.select(folder)
            reach("remove.before")
            account.mailbox.remove(sorted(found))
            removed += len(found)
    return removed


def _digests_out_of_mailboxes(installation: Installation, accounts: dict[str, Account], words: set[str]) -> int:
    """Digests of ours that name the person, where they came in or were kept as sent."""
    query = sa.select(acts.c.mail_id, acts.c.octets).where(acts.c.key.startswith("digest:"))
    with installation.journal.snapshot() as connection:
        mails = [row for row in connection.execute(query) if row.octets is None or _names(row.octets, words)]
    removed = 0
    for account in accounts.values():
        for folder in filter(None, (account.folder, account.sent)):
            for mail in mails:
                uids = account.mailbox.find(folder, mail.mail_id)
                if not uids:
                    continue
                account.mailbox.select(folder)
                naming = [uid for uid, octets in account.mailbox.fetch(uids) if _names(octets, words)]
                if naming:
                    reach("remove.before")
                    account.mailbox.remove(naming)
                    removed += len(naming)
        account.mailbox.select(account.folder)
    return removed


def _names(octets: bytes, words: set[str]) -> bool:
    """Whether a mail of our own making names somebody."""
    mail = message_from_bytes(octets, policy=policy.default)
    parts = [part.get_content() for part in mail.walk() if part.get_content_maintype() == "text"]
    text = " ".join(str(part) for part in parts).lower().replace("\N{NO-BREAK SPACE}", " ")
    plain = " ".join(text.split())
    return any(" ".join(word.split()) in plain for word in words)


# --- the disk -------------------------------------------------------------------------------------------


def _forget(installation: Installation, kept: Kept, *, digests_naming: set[str] | None) -> None:
    from inbox_agent.publish import publish  # noqa: PLC0415 - what renders loads only to write

    for application in kept.applications:
        reach("archive.remove.before")
        installation.files.remove(PurePosixPath(application.path))
    for row in kept.messages:
        spool = installation.spool(row.mailbox)
        (spool / f"{row.sha256}.eml").unlink(missing_ok=True)
        shutil.rmtree(spool / f"{row.sha256}.d", ignore_errors=True)
    if digests_naming is not None:
        # Previews can be made again.
        shutil.rmtree(installation.config.state / "digests", ignore_errors=True)
    with installation.journal.transaction("forget") as write:
        if digests_naming is None:
            kept = _keep_identities(write, kept)
        _delete_rows(write, kept)
        _forget_digests(write, digests_naming)
        for application in kept.applications:
            mark_stale(write, application.offer)
        write.note_fact("erased_applications", str(_count(write, "erased_applications") + len(kept.applications)))
        write.note_fact("erased_messages", str(_count(write, "erased_messages") + len(kept.messages)))
    scrub(installation)
    publish(installation)


def _keep_identities(write: Write, kept: Kept) -> Kept:
    """What staff put back where mail is read stays there: so does its identity, else it would be read anew."""
    staying = [row.id for row in kept.messages if row.folder is None and row.uidvalidity]
    write.connection.execute(
        sa.update(messages)
        .where(messages.c.id.in_(staying))
        .values(application_id=None, kind=Kind.OTHER, **dict.fromkeys(_SAID))
    )
    return Kept(kept.applications, tuple(row for row in kept.messages if row.id not in staying), kept.mails)


def _delete_rows(write: Write, kept: Kept) -> None:
    numbers = [row.id for row in kept.applications]
    ids = [row.id for row in kept.messages]
    run = write.connection.execute
    run(sa.delete(documents).where(sa.or_(documents.c.application_id.in_(numbers), documents.c.message_id.in_(ids))))
    run(sa.delete(threads).where(threads.c.application_id.in_(numbers)))
    run(sa.delete(acts).where(sa.or_(acts.c.application_id.in_(numbers), acts.c.message_id.in_(ids))))
    run(sa.delete(events).where(sa.or_(events.c.application_id.in_(numbers), events.c.message_id.in_(ids))))
    run(sa.delete(requests).where(requests.c.number.in_(ids)))
    run(sa.delete(messages).where(messages.c.id.in_(ids)))
    run(sa.delete(applications).where(applications.c.id.in_(numbers)))


def _forget_digests(write: Write, naming: set[str] | None) -> None:
    """The octets of sent digests name people: those that name the erased one go, the rows stay."""
    if naming is None:
        return
    query = sa.select(acts.c.id, acts.c.octets).where(
        acts.c.kind == ActKind.SEND, acts.c.application_id.is_(None), acts.c.octets.is_not(None)
    )
    mine = [row.id for row in write.connection.execute(query).all() if _names(row.octets, naming)]
    write.connection.execute(sa.update(acts).where(acts.c.id.in_(mine)).values(octets=None))


def _count(write: Write, name: str) -> int:
    return int(write.connection.scalar(sa.select(facts.c.value).where(facts.c.name == name)) or 0)


def scrub(installation: Installation) -> None:
    """Leave no trace of deleted rows in the files of the store."""
    engine = installation.journal.engine
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            driver = connection.connection.driver_connection
            if engine.dialect.name != "sqlite" or driver is None:
                connection.exec_driver_sql("VACUUM")
                return
            for statement in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                driver.execute(statement).fetchall()
    except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
        raise StoreError(f"the deleted rows could not be wiped from the store: {type(error).__name__}") from error
