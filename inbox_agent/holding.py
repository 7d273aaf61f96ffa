"""Which host has which mailbox, when several share one store on PostgreSQL.

DESCRIPTION
    A mailbox is held by a session-level advisory lock on a connection of its own. When the process or the host
    dies, or is cut off, PostgreSQL ends the session and another host takes the mailbox up. Every transaction that
    writes takes one lock for all writers first, as SQLite's BEGIN IMMEDIATE does, and then looks whether this
    host's session still has its locks: a host that lost them cannot commit anything, however late it wakes up.
    So a decision always sees every earlier one, of whatever host.
    The name "" is the desk: who has it sends the digest and writes board and registers.
DIAGNOSTICS
    TryAgainError: the hold is lost, nothing more may be done. StoreError: PostgreSQL cannot be reached.
BUGS
    Between the last look and what a host does to the world may lie one IMAP or archive command.
    Not through a pooler that shares sessions (PgBouncer in transaction mode): connect to the server itself.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import sqlalchemy as sa
from sqlalchemy import event, exc

from inbox_agent.errors import AnotherInstanceError, StoreError, TryAgainError
from inbox_agent.schema import mailboxes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inbox_agent.installation import Installation

_log = logging.getLogger(__name__)

DESK = ""
# First numbers of our advisory locks, of the mailboxes and of the one for writers; any two numbers do.
_MAILBOXES, _WRITERS = 0x1A6E0001, 0x1A6E0002
# Seconds. Both ends notice a peer that is gone after idle + count * interval = 20 s; a transaction of a host that
# stopped in its middle holds up the others for at most a minute.
_IDLE, _INTERVAL, _COUNT = 5, 5, 3
_SERVER = {
    "tcp_keepalives_idle": _IDLE,
    "tcp_keepalives_interval": _INTERVAL,
    "tcp_keepalives_count": _COUNT,
    "tcp_user_timeout": 20_000,
    "lock_timeout": 60_000,
    "idle_in_transaction_session_timeout": 60_000,
}
POSTGRESQL_ARGUMENTS = {
    # What another host is told of who holds a mailbox; PostgreSQL keeps 63 octets of it.
    "application_name": f"inbox-agent on {socket.gethostname()[:30]}, process {os.getpid()}",
    "connect_timeout": 10,
    "keepalives_idle": _IDLE,
    "keepalives_interval": _INTERVAL,
    "keepalives_count": _COUNT,
    "tcp_user_timeout": 20_000,
    "options": " ".join(f"-c {name}={value}" for name, value in _SERVER.items()),
}
_OURS = sa.text(
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = :kind AND objsubid = 2 AND pid = :pid "
    "AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_HOLDER = sa.text(
    "SELECT application_name, host(client_addr) AS client_addr FROM pg_locks JOIN pg_stat_activity USING (pid) "
    "WHERE locktype = 'advisory' AND classid = :kind AND objid = :key AND objsubid = 2 AND granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class Holding(Protocol):
    """The mailboxes that this process has. `shared`: other hosts may have others."""

    @property
    def shared(self) -> bool:
        """Whether there may be other hosts."""

    def holds(self, name: str) -> bool:
        """Whether we have that mailbox, as far as we know."""

    def take(self, name: str) -> bool:
        """Have that mailbox from now on; False when another host has it. Raises StoreError."""

    def holder(self, name: str) -> str | None:
        """Who has that mailbox, in words; None when that cannot be told."""

    def held(self) -> frozenset[str] | None:
        """What we have; None for everything."""

    def still(self) -> None:
        """Ask whether we still have what we have. Raises TryAgainError."""

    def close(self) -> None:
        """Let everything go."""


class Alone:
    """The store is a file of this machine and the lock of the state folder is enough."""

    shared = False

    def holds(self, name: str) -> bool:  # noqa: ARG002 - every mailbox is ours
        """Always."""
        return True

    def take(self, name: str) -> bool:  # noqa: ARG002 - every mailbox is ours
        """Always."""
        return True

    def holder(self, name: str) -> str | None:  # noqa: ARG002 - every mailbox is ours
        """Nobody else."""
        return None

    def held(self) -> frozenset[str] | None:
        """Everything."""
        return None

    def still(self) -> None:
        """Always."""

    def close(self) -> None:
        """Nothing to let go."""


class SharedHolding:
    """The mailboxes of this process among several hosts. `engine` is the journal's: its writers are fenced."""

    shared = True

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = sa.create_engine(
            engine.url,
            poolclass=sa.NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args=POSTGRESQL_ARGUMENTS,
            hide_parameters=True,
        )
        self._guard = threading.RLock()
        self._session: sa.Connection | None = None
        self._pid = 0
        self._taken: dict[str, int] = {}  # name → the session it was taken in
        event.listen(engine, "begin", self._fence)

    def holds(self, name: str) -> bool:
        """Whether it was taken in the present session."""
        return self._session is not None and self._taken.get(name) == self._pid

    def held(self) -> frozenset[str] | None:
        """What was taken in the present session."""
        return frozenset(name for name in list(self._taken) if self.holds(name))

    def take(self, name: str) -> bool:
        """See Holding. What was lost and taken by another host meanwhile is given up."""
        with self._guard:
            if self.holds(name):
                return True
            try:
                if self._session is None:
                    self._open()
                query = sa.text("SELECT pg_try_advisory_lock(:kind, :key)")
                won = bool(self._asked(query, kind=_MAILBOXES, key=_key(name)))
            except exc.DBAPIError as error:
                self._drop()
                raise StoreError(unreachable(error)) from error
            if won:
                self._taken[name] = self._pid
                _log.info("taken mailbox=%s", name or "(desk)")
            else:
                self._taken.pop(name, None)
            return won

    def holder(self, name: str) -> str | None:
        """See Holding: what the session that has the lock calls itself, and where it comes from."""
        query = _HOLDER, {"kind": _MAILBOXES, "key": _key(name) & 0xFFFFFFFF}
        try:
            with self._engine.connect() as connection:
                row = connection.execute(*query).one_or_none()
        except exc.DBAPIError:
            return None
        return None if row is None else f"{row.application_name} ({row.client_addr or 'this machine'})"

    def still(self) -> None:
        """See Holding: one question on the session itself."""
        with self._guard:
            try:
                if not self._sound() or self._asked(_OURS, kind=_MAILBOXES, pid=self._pid) < len(self._taken):
                    raise _lost()
            except exc.DBAPIError as error:
                self._drop()
                raise _lost() from error

    def close(self) -> None:
        """The session ends, and with it every lock."""
        with self._guard:
            self._drop()
            self._taken.clear()
            self._engine.dispose()

    def _open(self) -> None:
        self._session = self._engine.connect()
        self._pid = int(self._asked(sa.text("SELECT pg_backend_pid()")))

    def _asked(self, query: sa.TextClause, **values: int) -> int:
        assert self._session is not None  # noqa: S101 - for the type checker
        return int(self._session.scalar(query, values) or 0)

    def _sound(self) -> bool:
        return self._session is not None and all(pid == self._pid for pid in self._taken.values())

    def _drop(self) -> None:
        session, self._session, self._pid = self._session, None, 0
        if session is not None:
            _log.warning("session-ended mailboxes=%d", len(self._taken))
            with suppress(exc.SQLAlchemyError):
                session.invalidate()
                session.close()

    def _fence(self, connection: sa.Connection) -> None:
        """Before each transaction that writes: the writers' lock, then whether the mailboxes are still ours."""
        if connection.get_execution_options().get("reading", False):
            return
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:kind, 0)"), {"kind": _WRITERS})
        taken, pid = dict(self._taken), self._pid
        if not taken:
            return
        if any(known != pid for known in taken.values()):
            raise _lost()
        if int(connection.scalar(_OURS, {"kind": _MAILBOXES, "pid": pid}) or 0) < len(taken):
            with self._guard:
                if self._pid == pid:
                    self._drop()
            raise _lost()


def demand(holding: Holding, names: Iterable[str]) -> None:
    """Have these mailboxes for an act of a person. Raises AnotherInstanceError when another host has one."""
    for name in names:
        if not holding.take(name):
            raise elsewhere(holding, name)


def everything(installation: Installation) -> tuple[str, ...]:
    """Every mailbox of the configuration and of the store, and the desk."""
    with installation.journal.snapshot() as connection:
        known = connection.scalars(sa.select(mailboxes.c.name)).all()
    return (*sorted({*known, *(section.name for section in installation.config.mailboxes)}), DESK)


def elsewhere(holding: Holding, name: str) -> AnotherInstanceError:
    """What is said when another host has it."""
    what = f"the mailbox {name}" if name else "the desk (digest and board)"
    who = holding.holder(name) or "another host"
    return AnotherInstanceError(f"{who} works on {what}. Stop it there, or wait: it is taken up when it is free.")


def unreachable(error: exc.DBAPIError) -> str:
    """A sentence for who runs the server; psycopg's own message names host and user, never the password."""
    said = " ".join(str(error.orig).split())[:300]
    return f"the store on PostgreSQL cannot be used ({said}). Start it, or mend store.url; nothing is lost meanwhile."


def _lost() -> TryAgainError:
    return TryAgainError(
        "the session with PostgreSQL ended and with it the hold on the mailboxes: another host may work on them. "
        "They are taken up again when they are free."
    )


def _key(name: str) -> int:
    """32 bits, signed as PostgreSQL has them."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big", signed=True)
