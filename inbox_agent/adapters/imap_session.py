"""imapclient, with what it lacks for a daemon: deadlines, caps, response codes, and an IDLE that can end.

Knows the internals of imaplib and imapclient so that imap.py need not. What was measured about them is in the
comments. Raises their exceptions and OSError; imap.py translates.
"""

from __future__ import annotations

import imaplib
import logging
import re
import select
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError
from imapclient.imap_utf7 import decode as decode_utf7
from imapclient.imap_utf7 import encode as encode_utf7

from inbox_agent.adapters.connection import TimedSocket, TimedTlsSocket, arm_handshake, oauth_response, open_socket

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

# It logs what servers say and what we send: names of folders, Message-IDs.
logging.getLogger("imapclient").setLevel(logging.CRITICAL)

Error = IMAPClientError
AbortError = IMAPClientAbortError
LARGEST_LITERAL = 128 * 2**20  # octets; a hostile {9999999999999} was a MemoryError.
LARGEST_LINE = 16 * 2**20  # octets; imaplib's 1,000,000 broke a SEARCH that found 200,000 messages.
_LARGEST_SET = 1_000_000  # numbers in one range of COPYUID; we ask for 200 at most
_COPYUID = re.compile(rb"(\d+) ([\d:,]+) ([\d:,]+)")
_APPENDUID = re.compile(rb"(\d+) (\d+)")
_CODE = re.compile(r"\[([A-Z][A-Z0-9-]*)")
_A_RESPONSE = 60.0  # seconds for one that has begun
_NO_NEWS = b"* OK Still here"  # what Dovecot says every two minutes to who waits


class _Wire(imaplib.IMAP4):
    """One connection of imaplib over a socket of ours; counts its commands."""

    def __init__(self, host: str, port: int, *, timeout: SocketTimeout, implicit_tls: ssl.SSLContext | None) -> None:
        self.commands = 0
        self._ahead: bytes | None = None  # A line that was looked at before it is read.
        self._times = timeout
        self._implicit_tls = implicit_tls
        super().__init__(host, port)

    def _create_socket(self, _timeout: float | None = None) -> socket.socket:
        sock: socket.socket = open_socket(self.host, self.port, self._times.connect)
        if self._implicit_tls is not None:
            sock = self._implicit_tls.wrap_socket(sock, server_hostname=self.host)
        self._arm(sock)
        return sock

    def _arm(self, sock: socket.socket) -> None:
        """Bound what comes before the first `allow`: greeting and capabilities."""
        if isinstance(sock, TimedSocket | TimedTlsSocket):
            sock.patience = self._times.read
            sock.deadline = time.monotonic() + self._times.connect + self._times.read

    def _new_tag(self) -> bytes:
        self.commands += 1
        tag: bytes = super()._new_tag()  # type: ignore[misc] # Not in typeshed.
        return tag

    def read(self, size: int) -> bytes:
        if size > LARGEST_LITERAL:
            raise self.abort(f"a literal of {size} octets is more than {LARGEST_LITERAL}")
        octets = super().read(size)
        if len(octets) < size:
            raise self.abort("the connection ended within a literal")
        return octets

    def look_ahead(self) -> bytes:
        """The line that is read next."""
        if self._ahead is None:
            self._ahead = self.readline()
        return self._ahead

    def readline(self) -> bytes:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            return ahead
        line: bytes = self.file.readline(LARGEST_LINE + 1)  # type: ignore[assignment] # Opened in binary.
        if len(line) > LARGEST_LINE:
            raise self.abort(f"a line of more than {LARGEST_LINE} octets")
        return line


class Session(IMAPClient):  # type: ignore[misc] # imapclient has no types, see pyproject.toml.
    """One connection. Folder names are octets in modified UTF-7, as on the wire."""

    def __init__(self, host: str, port: int, *, implicit_tls: ssl.SSLContext | None, timeout: SocketTimeout) -> None:
        super().__init__(host, port, ssl=implicit_tls is not None, ssl_context=implicit_tls, timeout=timeout)
        # imapclient sets 5, and imaplib then repr()s each literal twice: 20 times the CPU.
        self._imap.debug = 0
        self.normalise_times = False  # Else INTERNALDATE is naive, in local time.
        self.folder_encode = False

    def _create_IMAP4(self) -> _Wire:  # noqa: N802 # imapclient's name.
        return _Wire(self.host, self.port, timeout=self._timeout, implicit_tls=self.ssl_context)

    @property
    def commands(self) -> int:
        """How many commands were sent."""
        return int(self._imap.commands)

    def allow(self, seconds: float) -> None:
        """Give what follows so long in all."""
        self._imap.sock.deadline = time.monotonic() + seconds

    def forget(self) -> None:
        """Drop what was said so far: imaplib would keep it for the whole connection."""
        self._imap.untagged_responses = {}

    def noop(self) -> None:
        """NOOP; what it tells is for `said_number`.

        Nearly always it tells nothing, and a poll is little else: that answer does not go through imaplib's parser.
        """
        wire = self._imap
        tag = wire._new_tag()  # noqa: SLF001 # imaplib has no other way.
        wire.send(tag + b" NOOP\r\n")
        said = wire.look_ahead()
        if said.startswith(tag + b" OK ") and b"[" not in said and said.endswith(b"\r\n"):
            wire.readline()
            del wire.tagged_commands[tag]
            return
        self._checkok("noop", *wire._command_complete("NOOP", tag))  # noqa: SLF001 # The same.

    def end(self) -> None:
        """Close the socket without a word; nothing happens to one that is closed."""
        with suppress(OSError):
            self._imap.shutdown()

    def is_preauthenticated(self) -> bool:
        """Whether the greeting was PREAUTH."""
        return bool(self._imap.state == "AUTH")

    def secure(self, context: ssl.SSLContext) -> None:
        """STARTTLS. What came in the clear is forgotten: a new reader begins after the handshake."""
        arm_handshake(context, self._imap.sock)
        self.starttls(context)

    def log_in_with_password(self, user: str, password: str) -> None:
        """LOGIN, or AUTHENTICATE PLAIN for what LOGIN cannot carry."""
        if (user + password).isascii():
            self._reveal(self.login, user, password)
        else:
            self._reveal(self.plain_login, user, password)
        self._cached_capabilities = None

    def log_in_with_token(self, user: str, token: str) -> None:
        """OAUTHBEARER where the server has it, else XOAUTH2."""
        mechanism = "OAUTHBEARER" if self.has_capability("AUTH=OAUTHBEARER") else "XOAUTH2"
        # A refusal comes as a challenge with its reason, which wants an empty answer (RFC 7628 3.2.3).
        answers = iter([oauth_response(user, token, mechanism, (self.host, self.port))])
        empty = "\1" if mechanism == "OAUTHBEARER" else ""
        self._reveal(self.sasl_login, mechanism, lambda _: next(answers, empty))
        self._cached_capabilities = None

    def _reveal(self, login: Any, *args: Any) -> None:
        """Log in; a lost connection is told apart from a refusal, which imapclient does not do."""
        try:
            login(*args)
        except LoginError as error:
            if isinstance(error.__context__, AbortError):
                raise error.__context__ from error
            raise

    def statuses(self, pattern: bytes) -> tuple[str, ...]:
        """The STATUS of every folder of such a name, as it came, sorted (RFC 5819)."""
        items = "RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY))"
        self._checkok("list", *self._imap._simple_command("LIST", '""', pattern, items))  # noqa: SLF001 # The same.
        return tuple(sorted(map(repr, self._imap.untagged_responses.get("STATUS", ()))))

    def uid_search(self, *criteria: bytes) -> list[int]:
        """UIDs, ascending, of one or several untagged SEARCH responses."""
        lines = self._raw_command_untagged(b"SEARCH", list(criteria))
        return sorted({int(word) for line in lines if line for word in line.split()})

    def said_number(self, name: str) -> int | None:
        """The last number of that name ("EXISTS", "UIDVALIDITY") since `forget`, None if there was none."""
        values = self._imap.untagged_responses.get(name)
        return int(values[-1]) if values and values[-1].isdigit() else None

    def said_bye(self) -> bool:
        """Whether the server said that it closes."""
        return "BYE" in self._imap.untagged_responses

    def expunged(self) -> int:
        """How many EXPUNGE responses came since `forget`."""
        return len(self._imap.untagged_responses.get("EXPUNGE", ()))

    def copied(self) -> dict[int, tuple[int, int]]:
        """What COPYUID told (RFC 4315): uid → (uidvalidity, uid) in the target; empty without."""
        found: dict[int, tuple[int, int]] = {}
        for value in self._imap.untagged_responses.get("COPYUID", ()):
            if match := _COPYUID.match(value):
                sources, targets = _uids(match[2]), _uids(match[3])
                if len(sources) == len(targets):
                    found |= {old: (int(match[1]), new) for old, new in zip(sources, targets, strict=True)}
        return found

    def appended(self) -> int | None:
        """The UID that APPENDUID told."""
        values = self._imap.untagged_responses.get("APPENDUID", ())
        match = _APPENDUID.match(values[-1]) if values else None
        return int(match[2]) if match else None

    def start_idle(self) -> None:
        """IDLE, up to the continuation; responses before it are kept, not taken for an error."""
        self._idle_tag = self._imap._command("IDLE")  # noqa: SLF001 # imaplib has no other way before 3.14.
        while self._imap._get_response() is not None:  # noqa: SLF001 # The same.
            if self._imap.tagged_commands[self._idle_tag]:
                kind, texts = self._imap.tagged_commands.pop(self._idle_tag)
                raise Error(f"IDLE failed: {kind} {texts[0]!r}")

    def hear(self, silence: float, until: float) -> bool:
        """During IDLE: read a response that tells something. False: there was such a silence first, or the end."""
        poll = select.poll()
        poll.register(self._imap.sock, select.POLLIN)
        while self._has_buffered() or poll.poll(max(0.0, min(silence, until - time.monotonic())) * 1000):
            self.allow(_A_RESPONSE)
            if not self._imap.look_ahead().startswith(_NO_NEWS):
                self._imap._get_response()  # noqa: SLF001 # Raises "socket error: EOF" where idle_check said [] for ever.
                return True
            self._imap.readline()
        return False

    def stop_idle(self) -> None:
        """DONE, and what was still to be said."""
        self._imap.send(b"DONE\r\n")
        while not self._imap.tagged_commands[self._idle_tag]:
            self._imap._get_response()  # noqa: SLF001 # The same.
        self._imap.tagged_commands.pop(self._idle_tag)

    def _has_buffered(self) -> bool:
        """Whether something was read from the socket already, where poll cannot see it."""
        sock = self._imap.sock
        before = sock.gettimeout()
        sock.settimeout(0)
        try:
            return bool(self._imap.file.peek(1))
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        finally:
            sock.settimeout(before)


def code_of(error: BaseException) -> str | None:
    """The response code (RFC 9051 7.1) in a refusal, "TRYCREATE" for instance."""
    match = _CODE.search(str(error))
    return match[1] if match else None


def to_wire(name: str) -> bytes:
    """A folder name in modified UTF-7."""
    octets: bytes = encode_utf7(name)
    return octets


def from_wire(name: bytes | str) -> str | None:
    """A folder name as text; None for octets that are none."""
    if isinstance(name, str):
        return name
    try:
        text: str = decode_utf7(name)
    except (UnicodeError, ValueError):
        return None
    return text


def uid_set(uids: Iterable[int]) -> bytes:
    """A sequence set with ranges: 1,2,3,7 as "1:3,7"."""
    ranges: list[list[int]] = []
    for uid in sorted(uids):
        if ranges and uid == ranges[-1][1] + 1:
            ranges[-1][1] = uid
        else:
            ranges.append([uid, uid])
    return b",".join(b"%d" % low if low == high else b"%d:%d" % (low, high) for low, high in ranges)


def _uids(text: bytes) -> list[int]:
    """The numbers of a set, in its order."""
    found: list[int] = []
    for part in text.split(b","):
        low, _, high = part.partition(b":")
        numbers = range(int(low), int(high or low) + 1)
        if len(numbers) > _LARGEST_SET:
            raise AbortError(f"a set of {len(numbers)} numbers")
        found += numbers
    return found
