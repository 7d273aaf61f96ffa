"""What was received, decided and done, on disk before it is done: the memory of the agent.

Acts: it writes the store, and nothing else. One method is one transaction; a transaction is durable when
the method returns (SQLite: WAL, synchronous=FULL). SQLAlchemy is the port to the database: the same
statements run on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event, exc

from inbox_agent.application import Candidate, Document, DocumentKind, Kind, Status, Timing
from inbox_agent.decision import OPEN, REPLIES, Act, ActKind, ActState, Earlier, History, ReplyTemplate
from inbox_agent.errors import StoreError
from inbox_agent.failpoint import reach
from inbox_agent.holding import POSTGRESQL_ARGUMENTS, unreachable
from inbox_agent.schema import (
    acts,
    applications,
    documents,
    events,
    facts,
    mailboxes,
    messages,
    metadata,
    requests,
    threads,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from inbox_agent.application import Reading
    from inbox_agent.decision import Decision, Planned
    from inbox_agent.ports import Clock, Listed, Moved

# The version of the tables that this program knows: the last file of migrations/versions.
SCHEMA_VERSION = "0002"
# A message that its reader did not survive so often is quarantined (reliability.md, I6).
MAX_ATTEMPTS = 3
# An application is thought of, for a mail from the same address, this long after the last contact.
_MEMORY = timedelta(days=365)
# Delays before an act is tried again (Postfix's order of magnitude), the last one for ever after.
_BACKOFF = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
# A mail that could not be sent for so long is given up; filing and moving are never given up.
_GIVE_UP = timedelta(days=4)
# Facts: since when replies are stopped ("" when they are not), and when a person last let them go on.
REPLIES_STOPPED, REPLIES_RESUMED = "replies_stopped", "replies_resumed"
# Facts: what the submission server refused us for, and until when it is not asked again; "" when it is in order.
SENDING_TROUBLE, SENDING_RESTS = "sending_trouble", "sending_rests_until"
# Fact of a mailbox: a blind copy of a reply from there came back to it, so that one that does not come was not sent.
COPIES_COME = "copies_come"
_STUCK = 2  # attempts after which people are told that one of these cannot be done
_TOLD = (ActKind.FILE, ActKind.REFILE, ActKind.MOVE, ActKind.DRAFT)
_OURS = "our own digest"  # messages.why
# Of these an application has one that is current.
_SUPERSEDED = (DocumentKind.CV, DocumentKind.LETTER, DocumentKind.CV_AND_LETTER)


def text(moment: datetime) -> str:
    """A moment as the store keeps it: UTC, sortable."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def moment(value: str) -> datetime:
    """The inverse of `text`."""
    return datetime.fromisoformat(value)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a mailbox has been read."""

    uidvalidity: int | None
    last_uid: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message whose octets are durable in the spool; `partial` when only the beginning is, for its size."""

    uid: int
    sha256: str
    size: int
    internaldate: datetime
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that is received and not yet decided. `attempts` includes the one under way.

    `told` is what staff said of it, `place` where it is now if not where it is read (folder, UIDVALIDITY, UID).
    """

    id: int
    sha256: str
    mailbox: str
    uid: int
    internaldate: datetime
    attempts: int
    uidvalidity: int = 0
    application_id: int | None = None
    told: dict[str, Any] | None = None
    place: tuple[str, int, int] | None = None


@dataclass(frozen=True, slots=True)
class PlannedAct:
    """An act of the journal, ready to be performed."""

    id: int
    message_id: int | None
    application_id: int | None
    kind: ActKind
    state: ActState
    payload: dict[str, Any]
    octets: bytes | None
    recipient: str | None
    mail_id: str | None
    attempts: int
    created_at: datetime
    sha256: str | None
    mailbox: str | None
    uidvalidity: int | None
    uid: int | None
    result: str | None
    size: int | None = None
    internaldate: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """Every message in scope, once: their sum is `messages`, unless one is in no state that there is."""

    messages: int
    filed: int
    left: int
    doubt: int
    quarantined: int
    pending: int

    @property
    def balances(self) -> bool:
        """The equation of design section 8."""
        return self.messages == self.filed + self.left + self.doubt + self.quarantined + self.pending


class Journal:
    """The store, opened."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._watcher: sqlite3.Connection | None = None

    @classmethod
    def open(cls, url: str, clock: Clock) -> Journal:
        """Open, create or migrate the store. Raises StoreError."""
        with _translated():
            engine = _engine(url)
            _bring_up_to_date(engine, url)
            journal = cls(engine, clock)
            journal._note_installation()
            return journal

    def close(self) -> None:
        """Give the connections back."""
        if self._watcher is not None:
            self._watcher.close()
        self._engine.dispose()

    # --- the installation ---------------------------------------------------------------------------

    @property
    def engine(self) -> sa.Engine:
        """For readers of whole tables: fsck, backup, rebuild."""
        return self._engine

    def installed_at(self) -> datetime:
        """When this store began: what is older is never answered."""
        return moment(self.fact("installed_at") or text(self._clock.now()))

    def facts(self, *names: str) -> dict[str, str]:
        """Those of these small facts that are known."""
        with self._reading() as connection:
            return {row.name: row.value for row in connection.execute(_FACTS, {"names": names})}

    def fact(self, name: str) -> str | None:
        """A small fact by name."""
        with self._reading() as connection:
            return connection.scalar(_FACT, {"name": name})

    def note_fact(self, name: str, value: str) -> None:
        """Write or replace a small fact."""
        with self.transaction("fact") as write:
            write.note_fact(name, value)

    def _note_installation(self) -> None:
        with self._reading() as connection:
            if connection.scalar(sa.select(facts.c.value).where(facts.c.name == "installed_at")):
                return
        with self.transaction("installation") as write:
            write.note_fact("installed_at", text(self._clock.now()))

    # --- receiving ----------------------------------------------------------------------------------

    def position(self, mailbox: str) -> Position:
        """How far `mailbox` has been read; (None, 0) if never."""
        with self._reading() as connection:
            row = connection.execute(sa.select(mailboxes).where(mailboxes.c.name == mailbox)).one_or_none()
        return Position(None, 0) if row is None else Position(row.uidvalidity, row.last_uid)

    def begin_at(self, mailbox: str, uidvalidity: int, last_uid: int) -> None:
        """Take up a mailbox under this UIDVALIDITY, everything up to `last_uid` being out of scope or known."""
        with self.transaction("begin") as write:
            write.place(mailbox, uidvalidity, last_uid)

    def polled(self, mailbox: str, trouble: str | None) -> None:
        """A poll ended: well (None) or with a sentence of what is wrong."""
        now = text(self._clock.now())
        with self.transaction("polled") as write:
            write.polled(mailbox, now, trouble)

    def version(self) -> int | None:
        """A number that changes when anybody writes into the store; None where there is none (PostgreSQL)."""
        watcher = self._watching()
        if watcher is None:
            return None
        try:
            return int(watcher.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error as error:
            raise _refusal(error) from error

    def polled_quietly(self, mailbox: str) -> None:
        """As `polled` when all is well; `version` stays as it is, which counts the writes of others."""
        watcher = self._watching()
        if watcher is None:
            self.polled(mailbox, None)
            return
        now = text(self._clock.now())
        try:
            watcher.execute("UPDATE mailboxes SET polled_at = ? WHERE name = ?", (now, mailbox))
        except sqlite3.Error as error:
            raise _refusal(error) from error

    def _watching(self) -> sqlite3.Connection | None:
        """A connection that stays open: `data_version` counts what all others write. A poll is little else."""
        if self._watcher is None and self._engine.dialect.name == "sqlite":
            with _translated():
                pooled = self._engine.raw_connection()
                pooled.detach()
                watcher: Any = pooled.dbapi_connection
                # What it writes itself, that a poll was made, need not survive a power cut.
                watcher.execute("PRAGMA synchronous=NORMAL")
                self._watcher = watcher
        return self._watcher

    def next_work(self) -> datetime | None:
        """When something is to be done although nothing comes: now, if anything waits already; None for never."""
        received = sa.select(messages.c.id).where(messages.c.state == "received").limit(1)
        asked = sa.select(requests.c.id).where(requests.c.done_at.is_(None)).limit(1)
        due = sa.select(sa.func.min(acts.c.next_at)).where(acts.c.state.in_(OPEN))
        with self._reading() as connection:
            if connection.scalar(received) or connection.scalar(asked):
                return self._clock.now()
            next_at = connection.scalar(due)
        return moment(next_at) if next_at else None

    def known_uids(self, mailbox: str, uidvalidity: int, first: int) -> frozenset[int]:
        """UIDs from `first` on that are in the journal already."""
        query = sa.select(messages.c.uid).where(
            messages.c.mailbox == mailbox, messages.c.uidvalidity == uidvalidity, messages.c.uid >= first
        )
        with self._reading() as connection:
            return frozenset(connection.scalars(query))

    def receive(
        self, mailbox: str, uidvalidity: int, arrived: Sequence[Arrived], last_uid: int, too_large: str
    ) -> None:
        """Octets are durable: write down that we have them, and how far the mailbox is read.

        `too_large` is the folder for what was fetched in part only.
        """
        with self.transaction("receive") as write:
            write.receive(mailbox, uidvalidity, arrived, too_large)
            write.place(mailbox, uidvalidity, last_uid)

    def recognise(self, mailbox: str, uidvalidity: int, listed: Sequence[Listed]) -> None:
        """After a renumbering: give messages that we know their new UIDs, where size and date leave no doubt.

        What is left is fetched again, and known by its octets.
        """
        with self.transaction("recognise") as write:
            write.recognise(mailbox, uidvalidity, listed)

    # --- reading ------------------------------------------------------------------------------------

    def waiting(self, mailbox: str, limit: int) -> tuple[Waiting, ...]:
        """Received messages of a mailbox that are not decided, oldest first."""
        received = (messages.c.state == "received", messages.c.mailbox == mailbox)
        query = sa.select(messages).where(*received).order_by(messages.c.id).limit(limit)
        with self._reading() as connection:
            return tuple(_waiting(row) for row in connection.execute(query))

    def start(self, waiting: Sequence[Waiting], folder: str) -> tuple[Waiting, ...]:
        """Count the attempt before the octets are touched.

        Those that may not be tried again are quarantined, and moved to `folder`.
        """
        if not waiting:
            return ()
        again = tuple(
            replace(message, attempts=message.attempts + 1) for message in waiting if message.attempts < MAX_ATTEMPTS
        )
        with self.transaction("attempt") as write:
            write.count_attempt(again)
            for message in waiting:
                if message.attempts >= MAX_ATTEMPTS:
                    # The whole process died with it: even the children did not shield us.
                    write.quarantine(message.id, f"the agent ended {MAX_ATTEMPTS} times while it read it", folder)
        return again

    def take_back(self, waiting: Sequence[Waiting]) -> None:
        """The readers could not work at all: these attempts do not count."""
        with self.transaction("take_back") as write:
            write.count_attempt(waiting, by=-1)

    def quarantined(self) -> tuple[sa.Row[Any], ...]:
        """Rows of messages in quarantine."""
        query = sa.select(messages).where(messages.c.state == "quarantined").order_by(messages.c.id)
        with self._reading() as connection:
            return tuple(connection.execute(query))

    # --- acts ---------------------------------------------------------------------------------------

    def due(self, limit: int = 200, held: frozenset[str] | None = None, after: int = 0) -> tuple[PlannedAct, ...]:
        """Acts to perform now, in order: of each message, only the first that is open.

        `held`: of these mailboxes only, None for all; what belongs to no mailbox (a report) is of "".
        `after`: the id of the last one that was looked at.
        """
        known = {"now": text(self._clock.now()), "after": after, "limit": limit}
        with self._reading() as connection:
            if held is None:
                found = connection.execute(_due(everywhere=True), known)
            else:
                found = connection.execute(_due(everywhere=False), {**known, "held": list(held)})
            return tuple(_planned(row) for row in found)

    def stuck(self) -> tuple[PlannedAct, ...]:
        """What could not be filed, moved or put among the drafts, more than once."""
        query = _acts_query().where(acts.c.kind.in_(_TOLD), acts.c.state.in_(OPEN), acts.c.attempts >= _STUCK)
        with self._reading() as connection:
            return tuple(_planned(row) for row in connection.execute(query.order_by(acts.c.id)))

    def mail_acts(self, limit: int = 200) -> tuple[PlannedAct, ...]:
        """The latest replies and reports, newest first: `inbox-agent outbox`."""
        query = _acts_query().where(acts.c.octets.is_not(None)).order_by(acts.c.id.desc()).limit(limit)
        with self._reading() as connection:
            return tuple(_planned(row) for row in connection.execute(query))

    def act(self, number: int) -> PlannedAct | None:
        """One act, None if there is none of that number."""
        with self._reading() as connection:
            row = connection.execute(_acts_query().where(acts.c.id == number)).one_or_none()
        return None if row is None else _planned(row)

    def claim(self, pending: Sequence[PlannedAct]) -> tuple[PlannedAct, ...]:
        """Take pending mails for sending; those of them that no other process has."""
        with self.transaction("claim") as write:
            return write.claim(pending)

    def unclaim(self, claimed: Sequence[PlannedAct]) -> None:
        """Mails that were claimed and not offered to any server wait again."""
        if claimed:
            with self.transaction("unclaim") as write:
                write.unclaim(claimed)

    def in_doubt(self, act: PlannedAct) -> None:
        """The final dot goes out next: from here on only evidence, or 250, says what happened."""
        with self.transaction("in_doubt") as write:
            write.doubt(act, text(self._clock.now()))

    def done(self, finished: Sequence[tuple[PlannedAct, str]]) -> None:
        """Acts that were performed, each with what the world said."""
        now = text(self._clock.now())
        with self.transaction("done") as write:
            write.finish_all([(act, ActState.DONE, result) for act, result in finished], now)

    def sent(self, act: PlannedAct, answer: str, keep_after: timedelta | None) -> None:
        """The server took a mail; `keep_after` is when to see that the Sent folder has it, None for never."""
        now = self._clock.now()
        with self.transaction("sent") as write:
            write.finish(act, ActState.DONE, answer, text(now))
            if keep_after is not None:
                keep = Act(ActKind.KEEP, f"keep:{act.id}", {"of": act.id, "mailbox": act.mailbox})
                write.plan([keep], None, act.application_id, text(now + keep_after))

    def moved(self, moves: Sequence[tuple[PlannedAct, Moved | None]]) -> None:
        """Moves that were verified; None for a message that a person moved or deleted meanwhile."""
        now = text(self._clock.now())
        with self.transaction("moved") as write:
            write.moved_all(moves, now)

    def failed(self, act: PlannedAct, result: str) -> None:
        """An act that will never succeed: it stays, and heads the digest."""
        with self.transaction("failed") as write:
            write.finish(act, ActState.FAILED, result, text(self._clock.now()))

    def postpone(self, act: PlannedAct, result: str) -> None:
        """Try again later, with growing delays. A mail goes back to pending; after four days it has failed."""
        now = self._clock.now()
        if act.kind in REPLIES and now - act.created_at > _GIVE_UP:
            self.failed(act, result)
            return
        delay = _BACKOFF[min(act.attempts, len(_BACKOFF) - 1)]
        with self.transaction("postpone") as write:
            write.postpone(act, text(now + delay), result)

    def keep_in_doubt(self, act: PlannedAct, result: str, look_again: timedelta) -> None:
        """Nobody can tell yet whether it was sent."""
        with self.transaction("postpone") as write:
            write.keep_in_doubt(act, text(self._clock.now() + look_again), result)

    def resend(self, act: PlannedAct, result: str) -> None:
        """By policy, an uncertain mail may be sent once more, with the same octets and Message-ID."""
        with self.transaction("postpone") as write:
            write.resend(act, text(self._clock.now()), result)

    def recover(self, held: frozenset[str] | None = None) -> int:
        """At start: what was claimed and not in doubt was never transmitted, so it is pending again.

        `held`: of these mailboxes only, None for all.
        """
        sending = sa.select(acts.c.id).where(acts.c.state == ActState.SENDING).limit(1)
        with self._reading() as connection:
            if connection.scalar(sending) is None:
                return 0
        with self.transaction("recover") as write:
            return write.release_claims(held)

    # --- looking back -------------------------------------------------------------------------------

    def ledger(self) -> Ledger:
        """Where every message in scope is, our own digests excepted.

        What a person took away before the agent counts as left.
        """
        others = messages.c.why.is_distinct_from(_OURS)
        by = messages.c.kind, messages.c.state
        query = sa.select(*by, sa.func.count()).where(others).group_by(*by)
        with self._reading() as connection:
            counts = [(state, kind, count) for kind, state, count in connection.execute(query)]
        return _ledger(counts)

    def places(self, mailbox: str, folder: str) -> frozenset[tuple[int, int]]:
        """Where in a folder (UIDVALIDITY, UID) messages are that we know to have been moved there."""
        query = sa.select(messages.c.folder_uidvalidity, messages.c.folder_uid).where(
            messages.c.mailbox == mailbox, messages.c.folder == folder, messages.c.folder_uid.is_not(None)
        )
        with self._reading() as connection:
            return frozenset((row.folder_uidvalidity, row.folder_uid) for row in connection.execute(query))

    def spooled(self) -> frozenset[str]:
        """SHA-256 of the messages whose octets are still needed."""
        query = sa.select(messages.c.sha256).where(messages.c.state.in_(("received", "decided", "quarantined")))
        with self._reading() as connection:
            return frozenset(connection.scalars(query))

    @contextlib.contextmanager
    def transaction(self, name: str) -> Iterator[Write]:
        """One transaction; failpoints `commit.<name>.before` and `.after` around its commit."""
        with _translated(), self._engine.connect() as connection, connection.begin() as transaction:
            write = Write(connection, self._clock)
            yield write
            write.flush()
            reach(f"commit.{name}.before")
            transaction.commit()
            reach(f"commit.{name}.after")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with _translated(), self._engine.connect().execution_options(reading=True) as connection:
            yield connection

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """A connection for reading only."""
        with self._reading() as connection:
            yield connection


class Write:
    """The statements of one open transaction.

    What is recorded of a message is kept until the batch is complete, or until anything is asked or written by
    `connection`, and then written together: a statement for each table instead of a dozen for each message.
    """

    def __init__(self, connection: sa.Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._later = _Later()
        self._ahead: _Ahead | None = None

    @property
    def connection(self) -> sa.Connection:
        """For a statement; everything that was recorded before is written then."""
        self.flush()
        return self._connection

    def flush(self) -> None:
        """Write what was recorded, in the order that foreign keys want; an act whose key is known is not written."""
        later, self._later = self._later, _Later()
        if self._ahead is not None:
            self._ahead.unwritten.clear()
        for statement, rows in (
            (_NEW_APPLICATIONS, later.applications),
            (_DECIDED, later.decided),
            (_NEW_DOCUMENTS, later.documents),
        ):
            if rows:
                self._connection.execute(statement, rows)
        if later.acts:
            self._write_acts(later)
        if later.threads:
            threaded = set(self._connection.scalars(_KNOWN_THREADS, {"keys": list(later.threads)}))
            rows = [{"message_id": name, "application_id": number} for name, number in later.threads.items()]
            if fresh := [row for row in rows if row["message_id"] not in threaded]:
                self._connection.execute(_NEW_THREADS, fresh)

    def _write_acts(self, later: _Later) -> None:
        known = set(self._connection.scalars(_KNOWN_KEYS, {"keys": list(later.acts)}))
        fresh = [act for key, act in later.acts.items() if key not in known]
        if fresh:
            self._connection.execute(_NEW_ACTS, fresh)
        for act in fresh:
            if act["mail_id"] and act["application_id"] is not None:
                later.threads.setdefault(act["mail_id"], act["application_id"])
        later.again |= {later.acts[key]["message_id"] for key in known} - {None}
        if later.again:
            self._close_message(*later.again)

    # --- receiving ----------------------------------------------------------------------------------

    def note_fact(self, name: str, value: str) -> None:
        """Write or replace a small fact."""
        self._ahead = None  # It may be one that decisions rest on.
        self.connection.execute(sa.delete(facts).where(facts.c.name == name))
        self.connection.execute(sa.insert(facts).values(name=name, value=value))

    def place(self, mailbox: str, uidvalidity: int, last_uid: int) -> None:
        """How far a mailbox is read."""
        values = {"uidvalidity": uidvalidity, "last_uid": last_uid}
        updated = self.connection.execute(sa.update(mailboxes).where(mailboxes.c.name == mailbox).values(**values))
        if updated.rowcount == 0:
            self.connection.execute(sa.insert(mailboxes).values(name=mailbox, **values))

    def polled(self, mailbox: str, now: str, trouble: str | None) -> None:
        """See Journal.polled."""
        if trouble is None:
            values: dict[str, Any] = {"polled_at": now, "trouble": None, "trouble_since": None}
        else:
            values = {"trouble": trouble, "trouble_since": sa.func.coalesce(mailboxes.c.trouble_since, now)}
        updated = self.connection.execute(sa.update(mailboxes).where(mailboxes.c.name == mailbox).values(**values))
        if updated.rowcount == 0:
            first = {**values, "trouble_since": now if trouble else None}
            self.connection.execute(sa.insert(mailboxes).values(name=mailbox, last_uid=0, **first))

    def receive(self, mailbox: str, uidvalidity: int, arrived: Sequence[Arrived], too_large: str) -> None:
        """Messages in scope. Under a new UIDVALIDITY the same octets are the message we know, at a new UID."""
        here = {"mailbox": mailbox, "uidvalidity": uidvalidity}
        known = set(self.connection.scalars(_KNOWN_UIDS, {**here, "uids": [message.uid for message in arrived]}))
        elsewhere: dict[str, list[int]] = {}
        for row in self.connection.execute(_RENUMBERED, {**here, "sums": [message.sha256 for message in arrived]}):
            elsewhere.setdefault(row.sha256, []).append(row.id)
        fresh = []
        for message in arrived:
            if message.uid in known:
                continue
            if renumbered := elsewhere.get(message.sha256):
                place = {"uidvalidity": uidvalidity, "uid": message.uid}
                self.connection.execute(sa.update(messages).where(messages.c.id == renumbered.pop(0)).values(**place))
            elif message.partial:
                self._receive_partial(here, message, too_large)
            else:
                fresh.append(_received(here, message))
        if fresh:
            self.connection.execute(sa.insert(messages), fresh)

    def _receive_partial(self, here: dict[str, Any], message: Arrived, too_large: str) -> None:
        inserted = self.connection.execute(sa.insert(messages).values(**_received(here, message)))
        number = int((inserted.inserted_primary_key or (0,))[0])
        self.plan([Act(ActKind.MOVE, f"move:{number}", {"folder": too_large, "partial": True})], number, None)
        self.quarantine(number, f"{message.size} octets are more than max_message_mb", None)

    def recognise(self, mailbox: str, uidvalidity: int, listed: Sequence[Listed]) -> None:
        """See Journal.recognise."""
        old = sa.select(messages.c.id, messages.c.size, messages.c.internaldate).where(
            messages.c.mailbox == mailbox, messages.c.uidvalidity != uidvalidity, messages.c.folder.is_(None)
        )
        known: dict[tuple[int, str], list[int]] = {}
        for row in self.connection.execute(old):
            known.setdefault((row.size, row.internaldate), []).append(row.id)
        present: dict[tuple[int, str], list[int]] = {}
        for message in listed:
            present.setdefault((message.size, text(message.internaldate)), []).append(message.uid)
        for looks, uids in present.items():
            ids = known.get(looks, [])
            if len(uids) == len(ids) == 1:
                self.connection.execute(
                    sa.update(messages).where(messages.c.id == ids[0]).values(uidvalidity=uidvalidity, uid=uids[0])
                )

    def count_attempt(self, waiting: Sequence[Waiting], by: int = 1) -> None:
        """One more attempt for each; with -1, one that was none."""
        ids = [message.id for message in waiting]
        self.connection.execute(
            sa.update(messages).where(messages.c.id.in_(ids)).values(attempts=messages.c.attempts + by)
        )

    def quarantine(self, message_id: int, why: str, folder: str | None) -> None:
        """Keep the octets, move the message to where people look, if a folder is given, and tell them."""
        if folder is not None:
            self.plan([Act(ActKind.MOVE, f"move:{message_id}", {"folder": folder})], message_id, None)
        self.connection.execute(
            sa.update(messages)
            .where(messages.c.id == message_id)
            .values(state="quarantined", why=why, decided_at=text(self._clock.now()))
        )

    def back_to_received(self, message_id: int) -> None:
        """Out of quarantine: to be read again."""
        self.connection.execute(
            sa.update(messages).where(messages.c.id == message_id).values(state="received", attempts=0, why=None)
        )

    def release(self, message_id: int) -> None:
        """Out of quarantine: left to people."""
        self.connection.execute(
            sa.update(messages).where(messages.c.id == message_id).values(state="done", kind=Kind.OTHER)
        )

    def published(self, revisions: Mapping[int, int]) -> None:
        """The archive tells these revisions of applications, by their numbers."""
        rows = [{"application": number, "told": revision} for number, revision in revisions.items()]
        self.connection.execute(_PUBLISHED, rows)

    # --- deciding -----------------------------------------------------------------------------------

    def look_ahead(self, readings: Mapping[int, Reading], day_start: datetime) -> None:
        """Learn for a whole batch what its messages, by id, may have to do with; `history` then asks for that only.

        `day_start` is midnight of the installation's day.
        """
        found = self.connection.execute(_FACTS, {"names": (REPLIES_STOPPED, REPLIES_RESUMED)})
        said = {row.name: row.value for row in found}
        resumed = said.get(REPLIES_RESUMED) or ""
        since = {"day": max(text(day_start), resumed)}
        since["hour"] = max(text(self._clock.now() - timedelta(hours=1)), resumed)
        last_hour, today = self.connection.execute(_COUNT_REPLIES, {"first": min(since.values()), **since}).one()
        sought: dict[str, set[str]] = {}
        for reading in readings.values():
            for by, keys in _keys(reading).items():
                sought.setdefault(by, set()).update(keys)
        to = {"day": since["day"], "to": list(sought.get("address", ()))}
        to_address = {row.recipient: row.number for row in self.connection.execute(_COUNT_TO, to)}
        known = {
            (by, key)
            for by, keys in sought.items()
            if keys
            for key in self.connection.scalars(_KNOWN[by], {"keys": list(keys)})
        }
        stopped = bool(said.get(REPLIES_STOPPED))
        self._ahead = _Ahead(set(readings), known, stopped, last_hour, today, Counter(to_address))

    def history(self, reading: Reading, message_id: int, day_start: datetime) -> History:
        """What was before this message; `day_start` is midnight of the installation's day."""
        if self._ahead is None or message_id not in self._ahead.covered:
            self.look_ahead({message_id: reading}, day_start)
        ahead = self._ahead
        assert ahead is not None  # noqa: S101 - for the type checker: it was made above
        address = reading.candidate.address if reading.candidate else None
        return History(
            earlier=tuple(self._earlier(reading, message_id, ahead)),
            replies_to_address_today=ahead.to_address[address] if address else 0,
            replies_last_hour=ahead.last_hour,
            replies_today=ahead.today,
            stopped=ahead.stopped,
        )

    def _fact(self, name: str) -> str | None:
        return self.connection.scalar(_FACT, {"name": name})

    def _earlier(self, reading: Reading, message_id: int, ahead: _Ahead) -> Iterator[Earlier]:
        seen: set[int] = set()
        ways = _keys(reading)
        if self._later.joined or any((by, key) in ahead.unwritten for by, keys in ways.items() for key in keys):
            self.flush()
        for by, keys in ways.items():
            if by == "reply" or not any((by, key) in ahead.known for key in keys):
                continue
            known = {"keys": keys, "message": message_id, "since": text(self._clock.now() - _MEMORY)}
            rows = self._connection.execute(_EARLIER[by], known)
            for row in rows.all():
                if row.id not in seen and (row.set_aside_at is None or by == "message"):
                    seen.add(row.id)
                    yield self._known(row, by)

    def earlier(self, application_id: int, by: str) -> Earlier:
        """One application as history has it."""
        row = self.connection.execute(sa.select(applications).where(applications.c.id == application_id)).one()
        return self._known(row, by)

    def _known(self, row: sa.Row[Any], by: str) -> Earlier:
        """Whatever concerns that application is written: who asks saw to it."""
        pieces = self._connection.execute(_PIECES, {"application": row.id})
        replied = self._connection.scalars(_REPLIED, {"application": row.id})
        return Earlier(
            id=row.id,
            offer=row.offer,
            by=by,
            documents=tuple(Document.from_json(piece.document) for piece in pieces),
            missing=tuple(row.missing),
            status=Status(row.status),
            timing=Timing(row.timing) if row.timing else None,
            folder=row.folder,
            candidate=Candidate(row.name, row.given, row.surname, row.address),
            replied=frozenset(ReplyTemplate(payload["template"]) for payload in replied),
            withdrawn=row.withdrawn_at is not None,
            staff_placed=row.staff_placed,
            set_aside=row.set_aside_at is not None,
        )

    def stop_replies(self) -> None:
        """The kill switch: nobody is answered until a person says so."""
        if not self._fact(REPLIES_STOPPED):
            self.note_fact(REPLIES_STOPPED, text(self._clock.now()))

    def own_reply(self, message_id: str | None) -> PlannedAct | None:
        """The reply of ours that has this Message-ID."""
        if message_id is None or (self._ahead is not None and ("reply", message_id) not in self._ahead.known):
            return None
        query = _acts_query().where(
            acts.c.mail_id == message_id, acts.c.kind == ActKind.SEND, acts.c.application_id.is_not(None)
        )
        row = self.connection.execute(query).one_or_none()
        return None if row is None else _planned(row)

    def own_digest(self, message_id: str | None) -> PlannedAct | None:
        """The digest of ours that has this Message-ID."""
        if message_id is None or not message_id.startswith("<digest."):
            return None
        query = _acts_query().where(acts.c.mail_id == message_id, acts.c.key.startswith("digest:"))
        row = self.connection.execute(query).one_or_none()
        return None if row is None else _planned(row)

    def record_digest(self, message_id: int) -> None:
        """Our own digest came to the mailbox that is read: it stays there, and is no message to account for."""
        values = {"state": "done", "kind": Kind.INTERNAL, "why": _OURS, "decided_at": text(self._clock.now())}
        self.connection.execute(sa.update(messages).where(messages.c.id == message_id).values(**values))

    def bounced(self, mail_id: str, message_id: int) -> None:
        """A delivery report says that a reply of ours did not arrive: staff are told, the register shows it."""
        mine = (acts.c.mail_id == mail_id, acts.c.kind.in_(REPLIES), acts.c.application_id.is_not(None))
        act = self.connection.execute(sa.select(acts).where(*mine)).one_or_none()
        if act is None or act.payload.get("bounced"):
            return
        payload = {**act.payload, "bounced": text(self._clock.now())}
        self.connection.execute(sa.update(acts).where(acts.c.id == act.id).values(payload=payload))
        self.touch(act.application_id)
        self.note(Event("bounce", "réponse revenue : adresse injoignable", act.application_id, message_id))

    def record_own(self, message_id: int, act: PlannedAct, sent: str | None) -> None:
        """The blind copy of a reply came: it was sent. The copy itself is moved to the folder `sent`, if any."""
        now = text(self._clock.now())
        if act.state in OPEN:
            self.finish(act, ActState.DONE, "its blind copy came: it was sent", now)
        came = sa.select(messages.c.mailbox).where(messages.c.id == message_id)
        if self.connection.scalar(came) == act.mailbox and self._fact(f"{COPIES_COME}:{act.mailbox}") is None:
            self.note_fact(f"{COPIES_COME}:{act.mailbox}", "yes")
        self.connection.execute(
            sa.update(messages)
            .where(messages.c.id == message_id)
            .values(state="decided" if sent else "done", kind=Kind.INTERNAL, decided_at=now)
        )
        if sent:
            self.plan([Act(ActKind.MOVE, f"move:{message_id}", {"folder": sent})], message_id, None)

    def taken_names(self, application_id: int) -> frozenset[str]:
        """File names that the folder of an application has in use."""
        stored = self.connection.scalars(
            sa.select(documents.c.stored_as).where(documents.c.application_id == application_id)
        )
        filed = self.connection.scalars(
            sa.select(acts.c.payload).where(acts.c.application_id == application_id, acts.c.kind == ActKind.FILE)
        )
        return frozenset(stored) | {name for payload in filed for _, name in payload["files"]}

    def application_path(self, application_id: int) -> str:
        """The folder of an application beneath the archive's root."""
        query = sa.select(applications.c.path).where(applications.c.id == application_id)
        return str(self.connection.scalar(query))

    def record(self, message_id: int, reading: Reading, decision: Decision, planned: Planned) -> None:
        """The commit point: the verdict, the application and every act with its octets, together."""
        application_id = self._application(message_id, reading, decision, planned)
        if application_id is not None:
            self._join(application_id, message_id, reading, decision, planned)
        filed = application_id is not None
        self._later.decided.append(
            {
                "message": message_id,
                "new_state": "decided" if planned.acts else "done",
                "new_fingerprint": reading.fingerprint,
                "new_kind": decision.kind,
                "new_offer": decision.offer,
                "new_application": application_id,
                "new_silence": decision.no_reply_reason,
                "new_why": decision.doubt,
                "new_from": planned.doubt_from,
                "new_decision": planned.decision_json if filed else None,
                "new_time": text(self._clock.now()),
            }
        )
        self.plan(planned.acts, message_id, application_id)
        self._later.joined |= decision.application is not None
        if self._ahead is not None:
            self._ahead.learn(reading, decision, planned.acts, application_id)
        if decision.application is not None:
            self.gather(decision.application, message_id, decision.folder)

    def gather(self, application_id: int, message_id: int, folder: str | None) -> None:
        """The earlier messages of an application follow it when its state, and so its folder, has changed."""
        query = sa.select(messages).where(
            messages.c.application_id == application_id,
            messages.c.id != message_id,
            messages.c.folder.is_not(None),
            messages.c.folder != (folder or ""),
            messages.c.folder_uid.is_not(None),
        )
        if folder is None:
            return
        self._retarget(application_id, message_id, folder)
        for row in self.connection.execute(query).all():
            place = {"from": row.folder, "uidvalidity": row.folder_uidvalidity, "uid": row.folder_uid}
            act = Act(ActKind.MOVE, f"move:{row.id}:{message_id}", {"folder": folder, **place})
            self.plan([act], row.id, application_id)

    def _retarget(self, application_id: int, message_id: int, folder: str) -> None:
        """A move that is written down and not done yet goes to the new folder at once."""
        waiting = sa.select(acts.c.id, acts.c.payload).where(
            acts.c.application_id == application_id,
            acts.c.message_id != message_id,
            acts.c.kind == ActKind.MOVE,
            acts.c.state == ActState.PENDING,
        )
        for row in self.connection.execute(waiting).all():
            payload = {**row.payload, "folder": folder}
            self.connection.execute(sa.update(acts).where(acts.c.id == row.id).values(payload=payload))

    def plan(
        self,
        planned: Iterable[Act],
        message_id: int | None,
        application_id: int | None,
        next_at: str | None = None,
    ) -> None:
        """Write acts down, to be done from `next_at` (now) on; one whose key is known is not written again."""
        now = text(self._clock.now())
        for act in planned:
            row = {
                "message_id": message_id,
                "application_id": application_id,
                "kind": act.kind,
                "key": act.key,
                "state": ActState.PENDING,
                "payload": dict(act.payload),
                "octets": act.octets,
                "recipient": act.recipient,
                "mail_id": act.mail_id,
                "created_at": now,
                "next_at": next_at or now,
            }
            if act.key in self._later.acts and message_id is not None:
                self._later.again.add(message_id)
            self._later.acts.setdefault(act.key, row)

    def _application(self, message_id: int, reading: Reading, decision: Decision, planned: Planned) -> int | None:
        if not decision.filed:
            return None
        if decision.application is not None:
            self._update(decision.application, decision)
            return decision.application
        candidate = decision.candidate
        self._later.applications.append(
            {
                "id": message_id,
                "offer": decision.offer,
                "fingerprint": reading.fingerprint,
                "name": candidate.name if candidate else "",
                "given": candidate.given if candidate else "",
                "surname": candidate.surname if candidate else "",
                "folded_name": folded_name(candidate) if candidate else "",
                "address": candidate.address if candidate else None,
                "language": reading.language,
                "received_at": text(decision.received_at),
                "last_contact_at": text(decision.received_at),
                "timing": decision.timing,
                "status": decision.status or Status.INCOMPLETE,
                "missing": list(decision.missing),
                "notes": list(decision.notes),
                "path": planned.path,
                "folder": decision.folder,
                "withdrawn_at": text(decision.received_at) if decision.kind is Kind.WITHDRAWAL else None,
            }
        )
        return message_id

    def _update(self, application_id: int, decision: Decision) -> None:
        row = self.connection.execute(sa.select(applications).where(applications.c.id == application_id)).one()
        values: dict[str, Any] = {
            "last_contact_at": max(row.last_contact_at, text(decision.received_at)),
            "notes": [*row.notes, *(note for note in decision.notes if note not in row.notes)],
            "revision": applications.c.revision + 1,
        }
        if decision.kind is Kind.WITHDRAWAL:
            values["withdrawn_at"] = row.withdrawn_at or text(decision.received_at)
        elif decision.status is not None:
            values |= {"status": decision.status, "missing": list(decision.missing), "folder": decision.folder}
        self.connection.execute(sa.update(applications).where(applications.c.id == application_id).values(**values))

    def _join(
        self, application_id: int, message_id: int, reading: Reading, decision: Decision, planned: Planned
    ) -> None:
        if reading.message_id:
            self._later.threads.setdefault(reading.message_id, application_id)
        if decision.application is not None:
            for document, _ in planned.documents:
                self._supersede(application_id, document)
        last = {document.kind: rank for rank, (document, _) in enumerate(planned.documents)}
        self._later.documents += [
            {
                "application_id": application_id,
                "message_id": message_id,
                "stored_as": stored_as,
                "current": document.kind not in _SUPERSEDED or last[document.kind] == rank,
                "document": document.to_json(),
            }
            for rank, (document, stored_as) in enumerate(planned.documents)
        ]
        if decision.kind is Kind.WITHDRAWAL:
            self.note(Event("withdrawal", "", application_id, message_id))

    def _supersede(self, application_id: int, document: Document) -> None:
        """A newer CV or letter is the current one; the older stays beside it."""
        if document.kind not in _SUPERSEDED:
            return
        rows = self.connection.execute(
            sa.select(documents.c.id, documents.c.document).where(
                documents.c.application_id == application_id, documents.c.current
            )
        )
        older = [row.id for row in rows if row.document["kind"] == document.kind]
        if older:
            self.connection.execute(sa.update(documents).where(documents.c.id.in_(older)).values(current=False))

    def note(self, happened: Event) -> None:
        """Something the digest tells."""
        self.connection.execute(
            sa.insert(events).values(
                at=text(self._clock.now()),
                kind=happened.kind,
                application_id=happened.application_id,
                message_id=happened.message_id,
                who=happened.who,
                detail=happened.detail,
            )
        )

    # --- acts ---------------------------------------------------------------------------------------

    def claim(self, pending: Sequence[PlannedAct]) -> tuple[PlannedAct, ...]:
        """See Journal.claim."""
        ids = [act.id for act in pending]
        free = set(self.connection.scalars(_PENDING, {"ids": ids}))
        self.connection.execute(_CLAIM, {"ids": list(free), "before": ActState.PENDING, "after": ActState.SENDING})
        return tuple(act for act in pending if act.id in free)

    def unclaim(self, claimed: Sequence[PlannedAct]) -> None:
        """See Journal.unclaim."""
        ids = [act.id for act in claimed]
        self.connection.execute(_CLAIM, {"ids": ids, "before": ActState.SENDING, "after": ActState.PENDING})

    def doubt(self, act: PlannedAct, now: str) -> None:
        """See Journal.in_doubt. The moment is kept: evidence is looked for from then on."""
        payload = {**act.payload, "in_doubt_at": now}
        self.connection.execute(_DOUBT, {"act": act.id, "told": payload})

    def finish(self, act: PlannedAct, state: ActState, result: str, now: str) -> None:
        """An act is over; so is its message when it was the last one."""
        self.finish_all([(act, state, result)], now)

    def finish_all(self, finished: Sequence[tuple[PlannedAct, ActState, str]], now: str) -> None:
        """See finish."""
        if not finished:
            return
        ends = [{"act": act.id, "after": state, "said": result, "at": now} for act, state, result in finished]
        self.connection.execute(_FINISH, ends)
        if applications_ := {act.application_id for act, _, _ in finished if act.application_id is not None}:
            self.touch(*applications_)
        if messages_ := {act.message_id for act, _, _ in finished if act.message_id is not None}:
            self._close_message(*messages_)

    def moved_all(self, moves: Sequence[tuple[PlannedAct, Moved | None]], now: str) -> None:
        """Moves are over; each message is where its place says, or gone."""
        ends: list[tuple[PlannedAct, ActState, str]] = []
        places: list[dict[str, Any]] = []
        for act, place in moves:
            values: dict[str, Any]
            if place is None:
                ends.append((act, ActState.CANCELLED, "the message was moved or deleted by a person"))
                values = {"why": "moved or deleted by a person before the agent"}
                if "from" in act.payload:
                    values |= {"folder": None, "folder_uidvalidity": None, "folder_uid": None}
            elif act.payload.get("back") and place.uid is not None:
                # Back where it is read: known there, and never read again.
                ends.append((act, ActState.DONE, "moved back"))
                values = {"uidvalidity": place.uidvalidity, "uid": place.uid, "folder": None}
                values |= {"folder_uidvalidity": None, "folder_uid": None}
            else:
                ends.append((act, ActState.DONE, "moved"))
                where = {"folder": act.payload["folder"], "validity": place.uidvalidity, "number": place.uid}
                places.append({"message": act.message_id, **where})
                continue
            self.connection.execute(sa.update(messages).where(messages.c.id == act.message_id).values(**values))
        self.finish_all(ends, now)
        if places:
            self.connection.execute(_PLACE, places)

    def replace_source(self, message_id: int, uidvalidity: int, uid: int) -> None:
        """A message has a new number in the folder that a waiting move takes it from."""
        waiting = sa.select(acts.c.id, acts.c.payload).where(
            acts.c.message_id == message_id, acts.c.kind == ActKind.MOVE, acts.c.state == ActState.PENDING
        )
        for row in self.connection.execute(waiting).all():
            if "from" in row.payload:
                payload = {**row.payload, "uidvalidity": uidvalidity, "uid": uid}
                self.connection.execute(sa.update(acts).where(acts.c.id == row.id).values(payload=payload))

    def postpone(self, act: PlannedAct, next_at: str, result: str) -> None:
        """See Journal.postpone."""
        self.connection.execute(
            sa.update(acts)
            .where(acts.c.id == act.id)
            .values(state=ActState.PENDING, next_at=next_at, result=result, attempts=acts.c.attempts + 1)
        )

    def keep_in_doubt(self, act: PlannedAct, next_at: str, result: str) -> None:
        """See Journal.keep_in_doubt."""
        self.connection.execute(
            sa.update(acts)
            .where(acts.c.id == act.id)
            .values(next_at=next_at, result=result, attempts=acts.c.attempts + 1)
        )

    def resend(self, act: PlannedAct, now: str, result: str) -> None:
        """See Journal.resend."""
        payload = {**act.payload, "resent": int(act.payload.get("resent", 0)) + 1}
        self.connection.execute(
            sa.update(acts)
            .where(acts.c.id == act.id)
            .values(state=ActState.PENDING, next_at=now, result=result, payload=payload)
        )

    def release_claims(self, held: frozenset[str] | None = None) -> int:
        """See Journal.recover."""
        ours = _acts_query().with_only_columns(acts.c.id).where(acts.c.state == ActState.SENDING, _held(held))
        released = self.connection.execute(sa.update(acts).where(acts.c.id.in_(ours)).values(state=ActState.PENDING))
        return released.rowcount

    def touch(self, *applications_: int) -> None:
        """Something about applications changed: candidature.json, register and board are due."""
        self.connection.execute(_TOUCH, {"ids": applications_})

    def _close_message(self, *messages_: int) -> None:
        self.connection.execute(_CLOSE, {"ids": messages_})


# Statements of every message, built once: SQLAlchemy then finds their text without walking them again.
_FINISH = (
    sa.update(acts)
    .where(acts.c.id == sa.bindparam("act"))
    .values(
        state=sa.bindparam("after"),
        result=sa.bindparam("said"),
        done_at=sa.bindparam("at"),
        attempts=acts.c.attempts + 1,
    )
)
_PLACE = (
    sa.update(messages)
    .where(messages.c.id == sa.bindparam("message"))
    .values(
        folder=sa.bindparam("folder"),
        folder_uidvalidity=sa.bindparam("validity"),
        folder_uid=sa.bindparam("number"),
    )
)
_IDS: sa.BindParameter[int] = sa.bindparam("ids", expanding=True)
_PENDING = sa.select(acts.c.id).where(acts.c.id.in_(_IDS), acts.c.state == ActState.PENDING).with_for_update()
_CLAIM = (
    sa.update(acts)
    .where(acts.c.id.in_(_IDS), acts.c.state == sa.bindparam("before"))
    .values(state=sa.bindparam("after"))
)
_DOUBT = (
    sa.update(acts)
    .where(acts.c.id == sa.bindparam("act"), acts.c.state == ActState.SENDING)
    .values(state=ActState.IN_DOUBT, payload=sa.bindparam("told"))
)
_TOUCH = sa.update(applications).where(applications.c.id.in_(_IDS)).values(revision=applications.c.revision + 1)
_CLOSE = (
    sa.update(messages)
    .where(messages.c.id.in_(_IDS), messages.c.state == "decided")
    .where(~sa.exists().where(acts.c.message_id == messages.c.id, acts.c.state.in_(OPEN)))
    .values(state="done")
)
_PUBLISHED = (
    sa.update(applications)
    .where(applications.c.id == sa.bindparam("application"))
    .values(written_revision=sa.bindparam("told"))
)
_DECIDED = (
    sa.update(messages)
    .where(messages.c.id == sa.bindparam("message"))
    .values(
        state=sa.bindparam("new_state"),
        fingerprint=sa.bindparam("new_fingerprint"),
        kind=sa.bindparam("new_kind"),
        offer=sa.bindparam("new_offer"),
        application_id=sa.bindparam("new_application"),
        no_reply_reason=sa.bindparam("new_silence"),
        why=sa.bindparam("new_why"),
        doubt_from=sa.bindparam("new_from"),
        decision=sa.bindparam("new_decision"),
        decided_at=sa.bindparam("new_time"),
    )
)
_NEW_APPLICATIONS, _NEW_DOCUMENTS = sa.insert(applications), sa.insert(documents)
_NEW_ACTS, _NEW_THREADS = sa.insert(acts), sa.insert(threads)
_FACT = sa.select(facts.c.value).where(facts.c.name == sa.bindparam("name"))
_KEYS: sa.BindParameter[str] = sa.bindparam("keys", expanding=True)
_FACTS = sa.select(facts).where(facts.c.name.in_(sa.bindparam("names", expanding=True)))
_KNOWN_KEYS = sa.select(acts.c.key).where(acts.c.key.in_(_KEYS))
_KNOWN_THREADS = sa.select(threads.c.message_id).where(threads.c.message_id.in_(_KEYS))
_KNOWN_UIDS = sa.select(messages.c.uid).where(
    messages.c.mailbox == sa.bindparam("mailbox"),
    messages.c.uidvalidity == sa.bindparam("uidvalidity"),
    messages.c.uid.in_(sa.bindparam("uids", expanding=True)),
)
_RENUMBERED = (
    sa.select(messages.c.sha256, messages.c.id)
    .where(
        # Not by the index of mailboxes, which SQLite would walk from end to end.
        messages.c.mailbox.concat("") == sa.bindparam("mailbox"),
        messages.c.uidvalidity != sa.bindparam("uidvalidity"),
        messages.c.sha256.in_(sa.bindparam("sums", expanding=True)),
        messages.c.folder.is_(None),
    )
    .order_by(messages.c.id)
)
# Which of these keys lead to an application, by the way in which they do.
_KNOWN = {
    "message": sa.select(messages.c.fingerprint).where(
        messages.c.fingerprint.in_(_KEYS), messages.c.application_id.is_not(None)
    ),
    "thread": _KNOWN_THREADS,
    "address": sa.select(applications.c.address).where(applications.c.address.in_(_KEYS)),
    "name": sa.select(applications.c.folded_name).where(applications.c.folded_name.in_(_KEYS)),
    "reply": sa.select(acts.c.mail_id).where(acts.c.mail_id.in_(_KEYS)),
}
_RECENT = applications.c.last_contact_at >= sa.bindparam("since")
# The applications that these keys lead to.
_EARLIER = {
    by: sa.select(applications).where(way).order_by(applications.c.last_contact_at.desc()).limit(20)
    for by, way in {
        "message": applications.c.id.in_(
            sa.select(messages.c.application_id).where(
                messages.c.fingerprint.in_(_KEYS), messages.c.id != sa.bindparam("message")
            )
        ),
        "thread": applications.c.id.in_(sa.select(threads.c.application_id).where(threads.c.message_id.in_(_KEYS))),
        "address": sa.and_(applications.c.address.in_(_KEYS), _RECENT),
        "name": sa.and_(applications.c.folded_name.in_(_KEYS), _RECENT),
    }.items()
}
_PIECES = (
    sa.select(documents.c.document)
    .where(documents.c.application_id == sa.bindparam("application"))
    .order_by(documents.c.id)
)
_REPLIED = sa.select(acts.c.payload).where(
    acts.c.application_id == sa.bindparam("application"),
    acts.c.kind.in_(REPLIES),
    acts.c.state != ActState.CANCELLED,
)
_ARE_REPLIES = (acts.c.kind.in_(REPLIES), acts.c.application_id.is_not(None))
_COUNT_REPLIES = sa.select(
    sa.func.count().filter(acts.c.created_at >= sa.bindparam("hour")),
    sa.func.count().filter(acts.c.created_at >= sa.bindparam("day")),
).where(*_ARE_REPLIES, acts.c.created_at >= sa.bindparam("first"))
_COUNT_TO = (
    sa.select(acts.c.recipient, sa.func.count().label("number"))
    .where(*_ARE_REPLIES, acts.c.created_at >= sa.bindparam("day"))
    .where(acts.c.recipient.in_(sa.bindparam("to", expanding=True)))
    .group_by(acts.c.recipient)
)


@dataclass(slots=True)
class _Later:
    """What was recorded and is not written yet: rows of tables; acts and threads by their key.

    `again`: messages of which an act was written down before. It may be that nothing is left to do for them.
    `joined`: something of it belongs to an application that there was before.
    """

    applications: list[dict[str, Any]] = field(default_factory=list)
    decided: list[dict[str, Any]] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)
    acts: dict[str, dict[str, Any]] = field(default_factory=dict)
    threads: dict[str, int] = field(default_factory=dict)
    again: set[int] = field(default_factory=set)
    joined: bool = False


@dataclass(slots=True)
class _Ahead:
    """What the store knows that the messages of a batch, `covered` by id, may have to do with.

    `known` are keys of theirs that lead to an application or to a reply, `unwritten` those that lead to one which is
    recorded and not written yet; the counts are of replies.
    """

    covered: set[int]
    known: set[tuple[str, str]]
    stopped: bool
    last_hour: int
    today: int
    to_address: Counter[str]
    unwritten: set[tuple[str, str]] = field(default_factory=set)

    def learn(self, reading: Reading, decision: Decision, planned: Iterable[Act], application_id: int | None) -> None:
        """A message of the batch was recorded: those after it may have to do with it."""
        if application_id is None:
            return
        new = {(by, key) for by, keys in _keys(reading).items() for key in keys if by != "thread"}
        if reading.message_id:
            new.add(("thread", reading.message_id))
        if decision.candidate is not None:
            new.add(("name", folded_name(decision.candidate)))
            new.add(("address", decision.candidate.address or ""))
        for act in planned:
            if act.kind in REPLIES:
                new.update((by, act.mail_id or "") for by in ("thread", "reply"))
                self.last_hour += 1
                self.today += 1
                self.to_address[act.recipient or ""] += 1
        self.known |= new
        self.unwritten |= new


def _keys(reading: Reading) -> dict[str, list[str]]:
    """By what a message is tied to an application, the surest first; "reply": as the copy of one of ours."""
    candidate = reading.candidate
    folded = folded_name(candidate) if candidate else ""
    # Other mail names no candidate, but one may have written it.
    address = candidate.address if candidate else reading.sender if reading.kind is Kind.OTHER else None
    return {
        "message": [reading.fingerprint],
        "thread": list(reading.thread),
        "address": [address] if address else [],
        "name": [folded] if folded else [],
        "reply": [reading.message_id] if reading.message_id else [],
    }


def _received(here: dict[str, Any], message: Arrived) -> dict[str, Any]:
    return {
        **here,
        "sha256": message.sha256,
        "size": message.size,
        "uid": message.uid,
        "internaldate": text(message.internaldate),
        "state": "received",
    }


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened besides the messages. `detail` is French."""

    kind: str
    detail: str
    application_id: int | None = None
    message_id: int | None = None
    who: str | None = None


def folded_name(candidate: Candidate) -> str:
    """A name as it is compared: the parts without case, accents or order."""
    import unicodedata  # noqa: PLC0415 - used here alone

    folded = unicodedata.normalize("NFKD", f"{candidate.given} {candidate.surname}".casefold())
    plain = "".join(char if char.isalnum() else " " for char in folded if not unicodedata.combining(char))
    return " ".join(sorted(plain.split()))


def _waiting(row: sa.Row[Any]) -> Waiting:
    return Waiting(
        id=row.id,
        sha256=row.sha256,
        mailbox=row.mailbox,
        uid=row.uid,
        internaldate=moment(row.internaldate),
        attempts=row.attempts,
        uidvalidity=row.uidvalidity,
        application_id=row.application_id,
        told=row.told,
        place=None if row.folder_uid is None else (row.folder, row.folder_uidvalidity, row.folder_uid),
    )


def _acts_query() -> sa.Select[Any]:
    columns = (
        messages.c.sha256,
        messages.c.mailbox,
        messages.c.uidvalidity,
        messages.c.uid,
        messages.c.size,
        messages.c.internaldate,
    )
    return sa.select(acts, *columns).select_from(acts.outerjoin(messages, acts.c.message_id == messages.c.id))


@cache
def _due(*, everywhere: bool) -> sa.Select[Any]:
    """What may be done now; see Journal.due. Built once: it is asked some times in every pass."""
    earlier = acts.alias("earlier")
    blocked = sa.exists().where(
        earlier.c.message_id == acts.c.message_id, earlier.c.id < acts.c.id, earlier.c.state.in_(OPEN)
    )
    due = (acts.c.next_at <= sa.bindparam("now"), acts.c.id > sa.bindparam("after"))
    query = _acts_query().where(acts.c.state.in_(OPEN), *due, ~blocked)
    if not everywhere:
        query = query.where(_MAILBOX.in_(sa.bindparam("held", expanding=True)))
    return query.order_by(acts.c.id).limit(sa.bindparam("limit"))


# Which mailbox an act is of; a KEEP names its own.
_MAILBOX = sa.func.coalesce(messages.c.mailbox, acts.c.payload["mailbox"].as_string(), "")


def _held(names: frozenset[str] | None) -> sa.ColumnElement[bool]:
    """Which acts are of these mailboxes, None for all."""
    return sa.true() if names is None else _MAILBOX.in_(names)


def _planned(row: sa.Row[Any]) -> PlannedAct:
    return PlannedAct(
        id=row.id,
        message_id=row.message_id,
        application_id=row.application_id,
        kind=ActKind(row.kind),
        state=ActState(row.state),
        payload=row.payload,
        octets=row.octets,
        recipient=row.recipient,
        mail_id=row.mail_id,
        attempts=row.attempts,
        created_at=moment(row.created_at),
        sha256=row.sha256,
        mailbox=row.mailbox,
        uidvalidity=row.uidvalidity,
        uid=row.uid,
        result=row.result,
        size=row.size,
        internaldate=moment(row.internaldate) if row.internaldate else None,
    )


def _ledger(counts: Sequence[tuple[str, str | None, int]]) -> Ledger:
    total = dict.fromkeys(("filed", "left", "doubt", "quarantined", "pending"), 0)
    for state, kind, count in counts:
        match state, kind:
            case (("received" | "decided"), _):
                total["pending"] += count
            case "quarantined", _:
                total["quarantined"] += count
            case "done", Kind.DOUBT:
                total["doubt"] += count
            case "done", (Kind.APPLICATION | Kind.FOLLOW_UP | Kind.WITHDRAWAL):
                total["filed"] += count
            case "done", str():
                total["left"] += count
    return Ledger(messages=sum(count for _, _, count in counts), **total)


# --- the engine ---------------------------------------------------------------------------------------


# What to do, by what SQLite says (https://www.sqlite.org/rescode.html).
_DAMAGED = "Stop the service; then put a backup in its place, or move it away and run: inbox-agent rebuild"
_REMEDIES = {
    "file is not a database": _DAMAGED,
    "malformed": _DAMAGED,
    "disk is full": "Free some space; it is tried again.",
    "disk I/O error": "Look at the disk; it is tried again.",
    "readonly database": "Run as the user whom the state folder belongs to.",
    "unable to open": "Run as the user whom the state folder belongs to.",
    "locked": "Another program has it open; it is tried again.",
}


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except exc.DBAPIError as error:
        if isinstance(error, exc.OperationalError) and "psycopg" in type(error.orig).__module__:
            raise StoreError(unreachable(error)) from error
        raise _refusal(error.orig) from error
    except sqlite3.Error as error:  # Of a connection that is used without SQLAlchemy.
        raise _refusal(error) from error
    except exc.SQLAlchemyError as error:
        raise StoreError(f"the store refuses: {type(error).__name__}") from error
    except OSError as error:
        raise StoreError(f"the store cannot be written ({error.strerror}). Look at the disk.") from error


def _refusal(said: object) -> StoreError:
    remedy = next((remedy for words, remedy in _REMEDIES.items() if words in str(said)), "Look at the disk.")
    return StoreError(f"the store refuses: {said}. {remedy}")


def _engine(url: str) -> sa.Engine:
    remote = url.startswith("postgresql")
    arguments = POSTGRESQL_ARGUMENTS if remote else {}
    try:
        engine = sa.create_engine(url, pool_pre_ping=remote, hide_parameters=True, connect_args=arguments)
    except ImportError as error:
        raise StoreError("the store on PostgreSQL needs psycopg. Install inbox-agent[postgres].") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _tune_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def survey_store(url: str) -> str:
    """Which store that is and how old its tables are, for `check`; nothing is made. Raises StoreError."""
    place = sa.make_url(url)
    local = place.get_backend_name() == "sqlite"
    if local and not (place.database and Path(place.database).exists()):
        return f"SQLite, {place.database}, will be created"
    with _translated():
        engine = _engine(url)
        try:
            with engine.connect().execution_options(reading=True) as connection:
                server = ".".join(map(str, connection.dialect.server_version_info or ()))
                version = _version(connection)
        finally:
            engine.dispose()
    _refuse_newer(version)
    older = version is not None and version < SCHEMA_VERSION
    said = f"tables of version {version}" if version else "empty, tables will be created"
    said += ", will be brought up to date" if older else ""
    if local:
        return f"SQLite, {place.database}, {said}"
    return f"PostgreSQL {server} at {place.host or 'its socket'}, database {place.database}, {said}"


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer takes its lock at the start, so that it never fails half-way; a reader takes none.
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _tune_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # SQLAlchemy begins the transactions, so that each write lock is taken at its start.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _bring_up_to_date(engine: sa.Engine, url: str) -> None:
    """Alembic is slow to import (0.4 s, 12 MB): it is asked only for a store that is older, or shared by hosts.

    A new file has the tables as they are now; a test holds the migrations to the same.
    """
    with engine.connect().execution_options(reading=True) as connection:
        tables = sa.inspect(connection).get_table_names()
        found = _version(connection)
    if found == SCHEMA_VERSION:
        return
    if not tables and engine.dialect.name == "sqlite":
        _make_new(engine)
        return
    _refuse_newer(found)
    from inbox_agent.migrate import upgrade  # noqa: PLC0415 - slow to import, seldom needed

    upgrade(engine, url, found)


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return str(connection.scalar(sa.text("SELECT version_num FROM alembic_version")))


def _refuse_newer(version: str | None) -> None:
    if version is not None and version > SCHEMA_VERSION:
        raise StoreError(
            f"the store has version {version} and this program knows {SCHEMA_VERSION}. Install the newer program "
            "again, or restore the backup that was made before the upgrade."
        )


def _make_new(engine: sa.Engine) -> None:
    """All tables and the version that they are of, in one transaction."""
    version = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))
    with engine.begin() as connection:
        metadata.create_all(connection)
        version.create(connection)
        connection.execute(sa.insert(version).values(version_num=SCHEMA_VERSION))
        reach("create.before")
