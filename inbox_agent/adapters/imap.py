r"""One account over IMAP (RFC 3501 and 9051), as ports.Mailbox.

DESCRIPTION
    Reading is BODY.PEEK[]: nothing here sets a flag on a message that stays, and nothing expunges what it did
    not move itself. Folder names are ours ("Candidatures/x"); the server's prefix and separator are found out
    at the start. A part of a name that holds the server's separator has "-" in its place.
DIAGNOSTICS
    TryAgainError: the server or the network is away, or refuses for now; the connection may be dead, so make a
    new one. AuthenticationError, TlsError: a person must look. AgentError: the server refuses for good.
    Every sentence names host and port and what to do.
BUGS
    Not for several threads. After a crash between MOVE and its commit a new connection cannot tell where the
    message went: look for it in the target from the UIDNEXT on that was recorded (`state`).
    A name of the server with "/" in it, where the separator is another, cannot be told from two levels.
    Without UIDPLUS and MOVE, what moved stays behind marked \Deleted if others' deleted mail is there too.
    An APPEND whose answer is lost may have been done: `find` first, by Message-ID.
"""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from imapclient import SocketTimeout
from imapclient.datetime_util import format_criteria_date
from imapclient.exceptions import CapabilityError, IMAPClientReadOnlyError

from inbox_agent.adapters.connection import (
    PasswordLogin,
    TokenLogin,
    network_error,
    require_private,
    tls_context,
)
from inbox_agent.adapters.folder_names import FolderNames, ListedFolder, special_folder
from inbox_agent.adapters.imap_session import (
    AbortError,
    Error,
    Session,
    code_of,
    from_wire,
    to_wire,
    uid_set,
)
from inbox_agent.errors import AgentError, AuthenticationError, TlsError, TryAgainError
from inbox_agent.failpoint import reach
from inbox_agent.ports import FolderState, Listed, Moved

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from inbox_agent.adapters.connection import Login, Tls

__all__ = ["ImapMailbox", "ImapSettings", "PasswordLogin", "TokenLogin"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_SET = 200  # UIDs in one command; a line stays far below the 8,192 octets of RFC 7162 4.
_CHUNK = 2**20  # octets of a large message in one FETCH: +5 MB of memory for 40 MB, at the same speed
_REMEMBERED = 10_000  # messages whose size and date are kept, for verifying a move without asking again
_GOODBYE = 5.0  # seconds for LOGOUT
_OCTETS = re.compile(r"""\bb(['"])(.*?)\1""")  # as Python shows octets
_STILL_HERE = 29 * 60.0  # seconds; RFC 2177: a server may log out who idles longer
# RFC 9051 7.1 and RFC 5530: what each response code means for us.
_CODES: dict[str, type[AgentError]] = {
    "UNAVAILABLE": TryAgainError,
    "INUSE": TryAgainError,
    "LIMIT": TryAgainError,
    "SERVERBUG": TryAgainError,
    "EXPUNGEISSUED": TryAgainError,
    "TIMEOUT": TryAgainError,
    "THROTTLED": TryAgainError,
    "AUTHENTICATIONFAILED": AuthenticationError,
    "AUTHORIZATIONFAILED": AuthenticationError,
    "EXPIRED": AuthenticationError,
    "PRIVACYREQUIRED": TlsError,
    "OVERQUOTA": AgentError,
    "TOOBIG": AgentError,
    "NOPERM": AgentError,
    "CANNOT": AgentError,
    "NONEXISTENT": AgentError,
    "CORRUPTION": AgentError,
    "CONTACTADMIN": AgentError,
}
# What servers without response codes say when they refuse a login for now.
_FOR_NOW = ("temporar", "try again", "too many", "unavailable", "not connected", "rate limit", "internal error", "busy")
_REMEDIES = {
    "OVERQUOTA": "the mailbox is full: free some space or raise its quota",
    "TOOBIG": "the server takes no message of this size",
    "NOPERM": "give the account the right to do so",
    "NONEXISTENT": "check the folder's name in the configuration",
    "CORRUPTION": "the server's administrator must repair the mailbox",
    "CONTACTADMIN": "ask the server's administrator",
    "PRIVACYREQUIRED": 'set tls to "implicit" or "starttls"',
}


@dataclass(frozen=True, slots=True)
class ImapSettings:
    """Where and as whom. `tls` "none" is for this machine only; `ca_file` replaces the system's authorities.

    Times are in seconds: to connect, for one answer to begin or go on, and for one command in all.
    """

    host: str
    port: int
    tls: Tls
    login: Login
    ca_file: Path | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    command_timeout: float = 300.0

    @property
    def place(self) -> str:
        """As error sentences name the server."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class _Facts:
    """By what a message is known again after a move: COPY and MOVE keep all three."""

    size: int
    internaldate: datetime
    message_id: bytes


@dataclass(slots=True)
class _Target:
    """A folder that we move into: from which UID on it holds what we moved, on this connection."""

    uidvalidity: int
    first: int
    taken: set[int] = field(default_factory=set)


class ImapMailbox:
    """A ports.Mailbox; make one with `connect`, and a new one after any TryAgainError."""

    def __init__(self, session: Session, settings: ImapSettings) -> None:
        self._session = session
        self._settings = settings
        self._lost: str | None = None
        self._naming = FolderNames()
        self._known: dict[str, ListedFolder] = {}  # By our names, as LIST last showed them.
        self._selected: tuple[bytes, FolderState] | None = None  # What the caller selected.
        self._open: bytes | None = None  # What is selected on the wire, for writing.
        self._examined: bytes | None = None  # What was opened for reading last.
        self._changed = False  # Whether the server told of arrivals or removals there since.
        self._facts: dict[int, _Facts] = {}
        self._targets: dict[bytes, _Target] = {}

    @classmethod
    def connect(cls, settings: ImapSettings) -> ImapMailbox:
        """Connect, secure, log in, and learn the server's names. Takes 4 to 6 commands."""
        require_private(settings.host, settings.tls)
        mailbox = cls(_session(settings), settings)
        try:
            mailbox._run("securing the connection", mailbox._secure)
            mailbox._run("logging in", mailbox._log_in)
            mailbox._run("asking for its namespace", mailbox._learn_names)
        except AgentError as error:
            mailbox._session.end()
            if isinstance(error, AuthenticationError) and isinstance(settings.login, TokenLogin):
                settings.login.refused()
            raise
        return mailbox

    @property
    def commands(self) -> int:
        """How many commands were sent on this connection."""
        return self._session.commands

    # ports.Mailbox.

    def select(self, folder: str) -> FolderState:
        """Open a folder read-write; see ports.Mailbox. Raises AgentError if there is no such folder.

        One that is open already is asked for news only (NOOP), and opened again if there are any.
        """
        wire = self._wire(folder)
        if self._selected is not None and self._open == self._selected[0] == wire and self._is_quiet():
            return self._selected[1]
        self._selected = None
        self._facts.clear()
        try:
            state = self._run(f"opening {folder}", self._select, wire, folder)
        except AgentError as error:
            if self._lost is not None or self._exists(wire):
                raise
            raise AgentError(
                f"there is no folder {folder} at {self._settings.place}: check its name in the configuration"
            ) from error
        self._selected = (wire, state)
        self._session.forget()
        self._changed = False
        return state

    def list_uids(self, first: int, last: int | None = None) -> Sequence[int]:
        """UIDs from `first` on; see ports.Mailbox."""
        self._reopen()
        # NOOP before: Courier shows what came since the last command only then.
        self._run("asking for news", self._session.noop)
        found = self._run("listing messages", self._session.uid_search, b"UID", b"%d:%s" % (first, _upper(last)))
        # "9:*" finds the last message even if its UID is below 9 (RFC 9051 9, seq-range).
        return [uid for uid in found if uid >= first and (last is None or uid <= last)]

    def since(self, moment: datetime) -> Sequence[int]:
        """UIDs of that day on; see ports.Mailbox."""
        self._reopen()
        day = (moment.astimezone(UTC) - timedelta(days=1)).date()
        self._run("asking for news", self._session.noop)
        return self._run("listing messages", self._session.uid_search, b"SINCE", format_criteria_date(day))

    def listed(self, uids: Sequence[int]) -> Sequence[Listed]:
        """Size and date; see ports.Mailbox. One command for 200."""
        self._reopen()
        found = []
        for some in _batches(uids):
            for uid, answer in self._fetch(some, "RFC822.SIZE", "INTERNALDATE").items():
                size, date = answer.get(b"RFC822.SIZE"), answer.get(b"INTERNALDATE")
                if isinstance(size, int):
                    found.append(Listed(uid, size, self._dated(uid, date)))
        if len(self._facts) + len(found) <= _REMEMBERED:
            self._facts |= {item.uid: _Facts(item.size, item.internaldate, b"") for item in found}
        return found

    def fetch(self, uids: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Octets of those that are still there, in one command for 200; see ports.Mailbox."""
        for some in _batches(uids):
            self._reopen()
            answers = self._fetch(some, "BODY.PEEK[]")
            for uid in some:
                octets = answers.pop(uid, {}).get(b"BODY[]")
                if isinstance(octets, bytes):
                    yield uid, octets

    def fetch_to(self, uid: int, path: Path, at_most: int | None = None) -> bool:
        """Octets in chunks into a new file; see ports.Mailbox."""
        self._reopen()
        offset = 0
        with path.open("wb") as file:
            while (at_most is None or offset < at_most) and (chunk := self._chunk(uid, offset)):
                file.write(chunk)
                offset += len(chunk)
        if not offset:
            path.unlink()
        return offset > 0

    def move(self, uids: Sequence[int], folder: str) -> dict[int, Moved | None]:
        """Move and verify; see ports.Mailbox. One MOVE for 200.

        Raises TryAgainError if the server left one where it was; what it did move then is told as None later.
        """
        self._reopen()
        wire = self._wire(folder)
        if wire == self._open:
            return self._already_there(uids)
        moved: dict[int, Moved | None] = {}
        for some in _batches(uids):
            target = self._target(wire, folder)
            moved |= self._move(some, wire, folder, target)
        return moved

    def remove(self, uids: Sequence[int]) -> None:
        """Delete for good; see ports.Mailbox. Raises AgentError where others' deleted mail would go with it."""
        self._reopen()
        for some in _batches(uids):
            kept = self._delete(some)
            if kept:
                raise AgentError(
                    f"{self._settings.place} holds mail marked as deleted that is not ours: empty the folder's "
                    f"deleted messages; {len(kept)} of ours are marked too"
                )

    def find(self, folder: str, message_id: str) -> Sequence[int]:
        """UIDs by Message-ID; see ports.Mailbox. Reads the folder without opening it for writing."""
        wire = self._wire(folder)
        if any(control in message_id for control in "\r\n\0") or not self._examine(wire):
            return []
        return sorted(self._with_message_id(message_id.strip().encode()))

    def find_fields(self, folder: str, fields: Mapping[str, str]) -> Sequence[int]:
        """UIDs by header fields; see ports.Mailbox."""
        wire = self._wire(folder)
        if any(control in value for value in fields.values() for control in "\r\n\0") or not self._examine(wire):
            return []
        criteria: list[bytes] = []
        for name, value in fields.items():
            criteria += [b"HEADER", name.encode(), _quote(value.strip().encode())]
        return self._run("looking for a message", self._session.uid_search, *criteria)

    def append(self, folder: str, octets: bytes, flags: Sequence[str], at: datetime) -> int | None:
        """Put a message there; see ports.Mailbox."""
        wire = self._wire(folder)

        def append() -> int | None:
            self._session.append(wire, octets, flags, at)
            return self._session.appended()

        doing = f"adding a message to {folder}"
        try:
            return self._creating(wire, folder, doing, append)
        except TryAgainError:
            # Courier adds nothing to the folder that is open for reading, as after `find`.
            if self._lost is not None or self._selected is None or self._open is not None or self._examined != wire:
                raise
        self._reopen()
        return self._creating(wire, folder, doing, append)

    def special(self, use: str) -> str | None:
        """The folder of that use, by attribute or else by name in French or English; see ports.Mailbox."""
        return special_folder(self._list(), use)

    def folders(self) -> Sequence[str]:
        """Every folder that can be opened, by our names, sorted."""
        return sorted(item.name for item in self._list() if item.can_be_opened)

    def wait(self, silence: float) -> bool:
        """IDLE, or sleep and NOOP; see ports.Mailbox. A server that speaks has not lost the connection."""
        self._reopen()
        if not self._session.has_capability("IDLE"):
            time.sleep(silence)
            self._run("asking for news", self._session.noop)
            return self._news()
        self._run("starting to wait", self._session.start_idle)
        until = time.monotonic() + _STILL_HERE
        heard = True
        while heard and not self._news():
            heard = self._run("waiting for mail", self._session.hear, silence, until, forget=False)
        self._run("waiting for mail", self._session.stop_idle, forget=False)
        return self._news()

    def state(self, folder: str) -> FolderState | None:
        """What a folder holds, without opening it (STATUS); None if there is no such folder."""
        return self._status(self._wire(folder))

    def glance(self, folder: str) -> tuple[str, ...] | None:
        """LIST-STATUS (RFC 5819), one command for a whole tree; see ports.Mailbox."""
        if not self._session.has_capability("LIST-STATUS"):
            return None
        try:
            return self._run("looking at folders", self._session.statuses, _quote(self._wire(folder) + b"*"))
        except AgentError:
            if self._lost is not None:
                raise
            return None

    def close(self) -> None:
        """Log out, never raising."""
        try:
            if self._lost is None:
                self._session.allow(_GOODBYE)
                self._session.logout()
        except (Error, OSError, ValueError):
            _log.debug("imap_logout_failed place=%s", self._settings.place)
        self._session.end()

    # Connecting.

    def _secure(self) -> None:
        if self._settings.tls != "starttls":
            return
        if self._session.is_preauthenticated() or not self._session.has_capability("STARTTLS"):
            raise TlsError(
                f"{self._settings.place} offers no STARTTLS: somebody may listen on the line; "
                'check the port, or set tls to "implicit"'
            )
        self._session.secure(tls_context(self._settings.ca_file))

    def _log_in(self) -> None:
        if self._session.is_preauthenticated():
            return
        match self._settings.login:
            case PasswordLogin(user, password):
                self._session.log_in_with_password(user, password)
            case TokenLogin(user, token):
                self._session.log_in_with_token(user, token())
        self._session.capabilities()

    def _learn_names(self) -> None:
        """Prefix and separator of the personal folders: by NAMESPACE, else by what LIST shows."""
        if self._session.has_capability("NAMESPACE") and (personal := self._session.namespace().personal):
            prefix, separator = personal[0]
            self._naming = FolderNames(from_wire(prefix) or "", separator or None)
            return
        root = self._session.list_folders("", "")
        names = [from_wire(name) or "" for _, _, name in self._session.list_folders()]
        self._naming = FolderNames.shown_by(_text(root[0][1]) or None if root else "/", names)

    # Names.

    def _wire(self, folder: str) -> bytes:
        known = self._known.get(folder)
        return to_wire(self._naming.theirs(folder)) if known is None else known.wire

    def _ours(self, wire: bytes) -> str:
        return self._naming.ours(from_wire(wire) or "")

    def _list(self) -> list[ListedFolder]:
        lines = []
        for attributes, _, name in self._run("listing folders", self._session.list_folders):
            text = from_wire(name)
            if text is None:
                _log.warning("imap_folder_name_undecodable place=%s", self._settings.place)
                continue
            wire = to_wire(text) if isinstance(name, str) else name
            lines.append((wire, text, frozenset(_text(item).lower() for item in attributes)))
        self._known = self._naming.by_our_name(lines)
        return list(self._known.values())

    # Opening.

    def _is_quiet(self) -> bool:
        """Whether the open folder is as it was when it was opened."""
        if not self._changed:
            self._run("asking for news", self._session.noop)
        self._changed = self._changed or self._news() or self._session.expunged() > 0
        return not self._changed

    def _select(self, wire: bytes, folder: str) -> FolderState:
        self._open = None
        try:
            answer = self._session.select_folder(wire)
        except IMAPClientReadOnlyError as error:
            raise AgentError(
                f"{folder} at {self._settings.place} is read-only: give the account the right to move messages"
            ) from error
        uidvalidity = answer.get(b"UIDVALIDITY")
        if not isinstance(uidvalidity, int):
            raise AgentError(
                f"{self._settings.place} tells no UIDVALIDITY for {folder}: "
                "messages cannot be told apart safely there; ask the server's administrator"
            )
        self._open = wire
        return FolderState(uidvalidity, answer.get(b"UIDNEXT"), answer.get(b"EXISTS", 0))

    def _reopen(self) -> None:
        """Come back to the folder that the caller selected, if something else was open meanwhile."""
        if self._selected is None:
            raise ValueError("select a folder first")
        wire, before = self._selected
        if self._open == wire:
            return
        state = self._run("opening the folder again", self._select, wire, self._ours(wire))
        self._changed = True  # What the caller knows of it is older.
        self._require_same(state.uidvalidity, before.uidvalidity)

    def _examine(self, wire: bytes) -> bool:
        """Open for reading; False if there is no such folder. The caller's comes back by `_reopen`."""
        self._open = None
        try:
            self._run("opening a folder", self._session.select_folder, wire, True)  # noqa: FBT003 # readonly.
            self._examined = wire
        except AgentError:
            if self._lost is None and not self._exists(wire):
                return False
            raise
        return True

    def _exists(self, wire: bytes) -> bool:
        return any(item.wire == wire or item.wire.upper() == wire.upper() == b"INBOX" for item in self._list())

    def _status(self, wire: bytes) -> FolderState | None:
        try:
            answer = self._run(
                "asking about a folder",
                self._session.folder_status,
                wire,
                ["MESSAGES", "UIDNEXT", "UIDVALIDITY"],
            )
        except AgentError:
            if self._lost is None and not self._exists(wire):
                return None
            raise
        return FolderState(answer.get(b"UIDVALIDITY", 0), answer.get(b"UIDNEXT"), answer.get(b"MESSAGES", 0))

    def _create(self, wire: bytes, folder: str) -> None:
        """CREATE, also what is above where the server does not do so, and SUBSCRIBE, for mail programs."""
        doing = f"creating {folder}"
        try:
            self._run(doing, self._session.create_folder, wire)
        except AgentError:
            if self._lost is not None:
                raise
            if not self._exists(wire):
                parts = folder.split("/")
                for depth in range(1, len(parts)):
                    above = self._wire("/".join(parts[:depth]))
                    if not self._exists(above):
                        self._run(doing, self._session.create_folder, above)
                self._run(doing, self._session.create_folder, wire)
        try:
            self._run(doing, self._session.subscribe_folder, wire)
        except AgentError:
            if self._lost is not None:
                raise
            _log.info("imap_subscribe_refused place=%s", self._settings.place)

    def _creating(self, wire: bytes, folder: str, doing: str, verb: Callable[[], _T]) -> _T:
        """Do it; where the folder turns out to be missing, create it and do it again."""
        try:
            return self._despite_expunged(doing, verb)
        except AgentError as error:
            if self._lost is not None or (_code(error) != "TRYCREATE" and self._exists(wire)):
                raise
        self._create(wire, folder)
        return self._despite_expunged(doing, verb)

    def _despite_expunged(self, doing: str, verb: Callable[..., _T], *args: Any) -> _T:
        """Do it again after a NOOP, where Dovecot stumbled over messages that somebody expunged meanwhile."""
        try:
            return self._run(doing, verb, *args)
        except TryAgainError as error:
            if self._lost is not None or _code(error) != "EXPUNGEISSUED":
                raise
        self._run("asking for news", self._session.noop)
        return self._run(doing, verb, *args)

    # Reading.

    def _fetch(self, uids: Sequence[int], *items: str) -> dict[int, dict[bytes, Any]]:
        return self._despite_expunged("reading messages", self._session.fetch, list(uids), list(items))

    def _chunk(self, uid: int, offset: int) -> bytes:
        """Octets from there on; none at the end, or when the message is gone."""
        answer = self._fetch([uid], f"BODY.PEEK[]<{offset}.{_CHUNK}>").get(uid, {})
        return _section(answer, b"BODY[]") or b""

    def _dated(self, uid: int, date: object) -> datetime:
        if isinstance(date, datetime) and date.tzinfo is not None:
            return date
        # No message is lost for it: it counts as arriving now.
        _log.warning("imap_internaldate_unreadable place=%s uid=%d", self._settings.place, uid)
        return datetime.now(UTC)

    def _described(self, uids: Sequence[int]) -> dict[int, _Facts]:
        """What identifies messages of the folder that is open."""
        found = {}
        item = "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"
        for some in _batches(uids):
            for uid, answer in self._fetch(some, "RFC822.SIZE", "INTERNALDATE", item).items():
                size, date = answer.get(b"RFC822.SIZE"), answer.get(b"INTERNALDATE")
                if isinstance(size, int) and isinstance(date, datetime):
                    header = _section(answer, b"BODY[HEADER.FIELDS ") or b""
                    found[uid] = _Facts(size, date, header.partition(b":")[2].strip())
        return found

    def _with_message_id(self, message_id: bytes) -> dict[int, _Facts]:
        """Messages of the folder that is open with exactly that Message-ID: HEADER finds what contains it."""
        quoted = _quote(message_id)
        found = self._run("looking for a message", self._session.uid_search, b"HEADER", b"Message-ID", quoted)
        return {uid: facts for uid, facts in self._described(found).items() if facts.message_id == message_id}

    # Moving.

    def _already_there(self, uids: Sequence[int]) -> dict[int, Moved | None]:
        """The target is the source."""
        _, state = self._selected or ("", FolderState(0, None, 0))
        there = set(self._remaining(uids))
        return {uid: Moved(state.uidvalidity, uid) if uid in there else None for uid in uids}

    def _target(self, wire: bytes, folder: str) -> _Target:
        """The target with the UID from which on our messages are, made if it is missing; asked for once."""
        if wire not in self._targets:
            state = self._status(wire)
            if state is None:
                self._create(wire, folder)
                state = self._status(wire) or FolderState(0, None, 0)
            self._targets[wire] = _Target(state.uidvalidity, state.uidnext or 1)
        return self._targets[wire]

    def _move(self, uids: Sequence[int], wire: bytes, folder: str, target: _Target) -> dict[int, Moved | None]:
        can_move = self._session.has_capability("MOVE")
        tells = self._session.has_capability("UIDPLUS")
        if not (can_move and tells):
            self._facts |= self._described([uid for uid in uids if uid not in self._facts or not can_move])
        known = {uid: self._facts[uid] for uid in uids if uid in self._facts}
        if can_move:
            copied, kept = self._by_move(uids, wire, folder), set[int]()
        else:
            copied, kept = self._by_copy(uids, wire, folder, known, target)
        settled: dict[int, Moved | None] = {uid: Moved(validity, new) for uid, (validity, new) in copied.items()}
        unsettled = [uid for uid in uids if uid not in settled]
        if unsettled or not can_move or self._session.expunged() != len(copied):
            still = set(self._remaining(uids)) - kept
            if still:
                raise TryAgainError(
                    f"{self._settings.place} left {len(still)} of {len(uids)} messages where they were, "
                    f"on their way to {folder}: it will be tried again"
                )
        if unsettled:
            settled |= self._recognised(unsettled, wire, known, target)
        for uid in uids:
            self._facts.pop(uid, None)
        return settled

    def _by_move(self, uids: Sequence[int], wire: bytes, folder: str) -> dict[int, tuple[int, int]]:
        copied: dict[int, tuple[int, int]] = {}

        def move() -> None:
            try:
                self._session.move(list(uids), wire)
            finally:
                copied.update(self._session.copied())

        self._creating(wire, folder, f"moving messages to {folder}", move)
        return copied

    def _by_copy(
        self,
        uids: Sequence[int],
        wire: bytes,
        folder: str,
        known: Mapping[int, _Facts],
        target: _Target,
    ) -> tuple[dict[int, tuple[int, int]], set[int]]:
        r"""COPY, \Deleted, UID EXPUNGE (RFC 6851 3.3), and which had to stay, marked.

        What an earlier attempt left in the target, octet by octet the same, is not copied again.
        """
        present = [uid for uid in uids if uid in known]
        copied = self._copied_before(present, wire, known, target)
        fresh = [uid for uid in present if uid not in copied]

        def copy() -> dict[int, tuple[int, int]]:
            self._session.copy(fresh, wire)
            return self._session.copied()

        if fresh:
            told = self._creating(wire, folder, f"copying messages to {folder}", copy)
            copied |= told or self._verified_copies(fresh, wire, known, target)
        gone = [uid for uid in present if uid in copied]
        return copied, self._delete(gone) if gone else set()

    def _copied_before(
        self, uids: Sequence[int], wire: bytes, known: Mapping[int, _Facts], target: _Target
    ) -> dict[int, tuple[int, int]]:
        """Those of which the target holds the very octets already."""
        if not self._examine(wire):
            return {}
        named = [uid for uid in uids if known[uid].message_id]
        alike: dict[int, _Facts] = {}
        for uid in named:
            alike |= self._with_message_id(known[uid].message_id)
        found: dict[int, tuple[int, int]] = {}
        for uid in named:
            for candidate, facts in alike.items():
                free = candidate not in target.taken and _same(known[uid], facts)
                if free and self._octets(uid) == self._octets(candidate, wire):
                    target.taken.add(candidate)
                    found[uid] = (target.uidvalidity, candidate)
                    break
        self._reopen()
        return found

    def _octets(self, uid: int, wire: bytes | None = None) -> bytes | None:
        """A message of the selected folder, or of another."""
        if wire is None:
            self._reopen()
        elif not self._examine(wire):
            return None
        octets = self._fetch([uid], "BODY.PEEK[]").get(uid, {}).get(b"BODY[]")
        return octets if isinstance(octets, bytes) else None

    def _verified_copies(
        self, uids: Sequence[int], wire: bytes, known: Mapping[int, _Facts], target: _Target
    ) -> dict[int, tuple[int, int]]:
        """Where the copies are, by what they are; nothing is deleted that has none."""
        seen = self._recognised(uids, wire, known, target)
        self._reopen()
        return {uid: (moved.uidvalidity, moved.uid) for uid, moved in seen.items() if moved and moved.uid}

    def _delete(self, uids: Sequence[int]) -> set[int]:
        r"""Remove what was copied, and nothing else; those that had to stay, marked \Deleted."""
        self._run("deleting what was copied", self._session.delete_messages, list(uids), True)  # noqa: FBT003 # silent.
        if self._session.has_capability("UIDPLUS"):
            self._run("deleting what was copied", self._session.uid_expunge, list(uids))
            return set()
        marked = self._run("looking for deleted messages", self._session.uid_search, b"DELETED")
        if set(marked) <= set(uids):
            self._run("deleting what was copied", self._session.expunge)
            return set()
        # EXPUNGE would remove others' deleted mail, which they may still want back.
        _log.warning("imap_expunge_withheld place=%s messages=%d", self._settings.place, len(uids))
        return set(uids)

    def _remaining(self, uids: Sequence[int]) -> list[int]:
        self._reopen()
        return self._run("verifying a move", self._session.uid_search, b"UID", uid_set(uids))

    def _recognised(
        self, uids: Sequence[int], wire: bytes, known: Mapping[int, _Facts], target: _Target
    ) -> dict[int, Moved | None]:
        """Find moved messages in the target, among what came there since we first looked."""
        if not any(uid in known for uid in uids) or not self._examine(wire):
            return dict.fromkeys(uids)
        arrived = self._run("verifying a move", self._session.uid_search, b"UID", b"%d:*" % target.first)
        there = self._described([uid for uid in arrived if uid >= target.first and uid not in target.taken])
        found: dict[int, Moved | None] = {}
        for uid in uids:
            match = next((new for new, facts in there.items() if uid in known and _same(known[uid], facts)), None)
            found[uid] = None if match is None else Moved(target.uidvalidity, match)
            if match is not None:
                target.taken.add(match)
                del there[match]
        return found

    # The wire.

    def _news(self) -> bool:
        return self._session.said_number("EXISTS") is not None

    def _require_same(self, uidvalidity: int | None, before: int) -> None:
        if uidvalidity is not None and uidvalidity != before:
            self._lost = "the folder was renumbered"
            raise TryAgainError(
                f"{self._settings.place} renumbered the folder (UIDVALIDITY {before}, now {uidvalidity}): "
                "it will be listed again"
            )

    def _run(self, doing: str, verb: Callable[..., _T], *args: Any, forget: bool = True) -> _T:
        """Everything that is said to the server goes through here: in time, and with errors of ours."""
        place = self._settings.place
        if self._lost is not None:
            raise TryAgainError(f"the connection to {place} is no longer usable ({self._lost}): make a new one")
        try:
            self._session.allow(self._settings.command_timeout)
            if forget:
                self._changed = self._changed or self._news() or self._session.expunged() > 0
                self._session.forget()
            reach("imap.command.before")
            answer = verb(*args)
            reach("imap.command.after")
        except AbortError as error:
            self._lost = doing
            raise TryAgainError(
                f"{place} broke off while {doing} ({_quoted(error)}): it will be tried again"
            ) from error
        except CapabilityError as error:
            raise AgentError(f"{place} cannot do what is needed while {doing} ({_quoted(error)})") from error
        except Error as error:
            raise self._refused(error, doing, logging_in=verb == self._log_in) from error
        except (OSError, ValueError, TypeError) as error:
            # ValueError and TypeError: what imapclient's parser says of an answer that makes no sense.
            self._lost = doing
            raise self._broken(error, doing, securing=verb == self._secure) from error
        if self._session.said_bye():
            self._lost = doing
            raise TryAgainError(f"{place} said goodbye while {doing}: it will be tried again")
        if self._selected is not None and self._open == self._selected[0]:
            self._require_same(self._session.said_number("UIDVALIDITY"), self._selected[1].uidvalidity)
        return answer

    def _refused(self, error: Error, doing: str, *, logging_in: bool) -> AgentError:
        """A NO or BAD, by its response code (RFC 5530), else by when it came and what it says."""
        place, text, code = self._settings.place, _quoted(error), code_of(error)
        kind = _CODES.get(code or "")
        if kind is None and any(word in text.lower() for word in _FOR_NOW):
            kind = TryAgainError
        if logging_in and kind in {None, AgentError, AuthenticationError}:
            return AuthenticationError(
                f"{place} refuses the login of {self._settings.login.user} ({text}): "
                "check user and password, or renew the token"
            )
        remedy = _REMEDIES.get(code or "", "it will be tried again")
        return (kind or TryAgainError)(f"{place} refuses {doing} ({text}): {remedy}")

    def _broken(self, error: Exception, doing: str, *, securing: bool) -> AgentError:
        if isinstance(error, OSError):
            return network_error(error, self._settings.place, doing, established=not securing)
        return TryAgainError(
            f"{self._settings.place} answered what makes no sense while {doing} ({_quoted(error)}): "
            "it will be tried again"
        )


def _session(settings: ImapSettings) -> Session:
    """Connected, greeted, and secured if TLS is implicit."""
    context: ssl.SSLContext | None = None
    if settings.tls == "implicit":
        context = tls_context(settings.ca_file)
    timeout = SocketTimeout(connect=settings.connect_timeout, read=settings.read_timeout)
    try:
        return Session(settings.host, settings.port, implicit_tls=context, timeout=timeout)
    except Error as error:  # An EOF, a BYE, or no IMAP at all.
        raise TryAgainError(
            f"{settings.place} does not greet as an IMAP server ({_quoted(error)}): check the port, or wait"
        ) from error
    except OSError as error:
        raise network_error(error, settings.place, "connecting") from error


def _section(answer: Mapping[bytes, Any], name: bytes) -> bytes | None:
    """The octets of a section: servers write the rest of its name as they like (Courier quotes the field)."""
    return next((value for key, value in answer.items() if key.startswith(name) and isinstance(value, bytes)), None)


def _same(one: _Facts, other: _Facts) -> bool:
    """Whether it may be one message; a Message-ID that was not asked for says nothing."""
    if one.message_id and other.message_id and one.message_id != other.message_id:
        return False
    return one.size == other.size and one.internaldate == other.internaldate


def _quote(value: bytes) -> bytes:
    """A quoted string (RFC 9051 9)."""
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _batches(uids: Sequence[int]) -> Iterator[list[int]]:
    for start in range(0, len(uids), _SET):
        yield list(uids[start : start + _SET])


def _upper(last: int | None) -> bytes:
    return b"*" if last is None else b"%d" % last


def _text(value: bytes | str | None) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value or ""


def _code(error: AgentError) -> str | None:
    return None if error.__cause__ is None else code_of(error.__cause__)


def _quoted(error: BaseException) -> str:
    """What the server said, fit for a sentence: imaplib gives octets, which imapclient shows as b'…'."""
    text = _OCTETS.sub(r"\2", str(error))
    return "".join(character if character.isprintable() else " " for character in text)[:160]
