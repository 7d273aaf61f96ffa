"""Submission over SMTP (RFC 6409, RFC 5321), as ports.Sender.

DESCRIPTION
    DATA is sent by hand, so that what a crash would leave uncertain can be committed after the 354 and before
    the final dot, which is all that is left to send then. The connection is kept for the next message.
DIAGNOSTICS
    TryAgainError: nothing was accepted (4xx, or lost before the dot went out). SendRefusedError: 5xx.
    SendUnknownError: lost between the dot and its answer. AuthenticationError, TlsError: a person must look.
BUGS
    Not for several threads.
"""

from __future__ import annotations

import base64
import logging
import re
import select
import smtplib
import ssl
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inbox_agent.adapters.connection import (
    PasswordLogin,
    TokenLogin,
    arm_handshake,
    network_error,
    oauth_response,
    open_socket,
    require_private,
    tls_context,
)
from inbox_agent.errors import (
    AgentError,
    AuthenticationError,
    SendRefusedError,
    SendUnknownError,
    TlsError,
    TryAgainError,
)
from inbox_agent.failpoint import reach

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from inbox_agent.adapters.connection import Login, Tls
    from inbox_agent.ports import BeforeDot

__all__ = ["PasswordLogin", "SmtpSender", "SmtpSettings", "TokenLogin"]

_log = logging.getLogger(__name__)
_GOODBYE = 5.0  # seconds for QUIT
_NOT_AN_ADDRESS = re.compile(r"[\x00-\x20\x7f<>]")
# Answers by which a step is granted (RFC 5321 4.3.2).
_DONE, _DONE_OR_FORWARDED, _GO_ON = frozenset({250}), frozenset({250, 251}), frozenset({354})
_LINE_END = re.compile(rb"\r\n|\r|\n")
_LINE_DOT = re.compile(rb"^\.", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """Where and as whom; no login for a server on this machine that wants none.

    A function as `login` is asked at each connection, so that a new password is used without a restart.
    `tls` "none" is for this machine only; `ca_file` replaces the system's authorities. Times are in seconds:
    to connect, for a command (RFC 5321 4.5.3.2 gives 300), for the message to go out, and for the answer to
    the final dot (600: a server may still be filtering; to give up early is how answers are sent twice).
    `local_name` is what EHLO says.
    """

    host: str
    port: int
    tls: Tls
    login: Login | Callable[[], Login] | None = None
    ca_file: Path | None = None
    local_name: str = "[127.0.0.1]"
    connect_timeout: float = 10.0
    command_timeout: float = 300.0
    data_timeout: float = 600.0
    done_timeout: float = 600.0

    @property
    def place(self) -> str:
        """As error sentences name the server."""
        return f"{self.host}:{self.port}"


class SmtpSender:
    """A ports.Sender; connects when there is something to send."""

    def __init__(self, settings: SmtpSettings) -> None:
        require_private(settings.host, settings.tls)
        self._settings = settings
        self._wire: _Wire | None = None

    def send(
        self, octets: bytes, *, envelope_from: str, recipient: str, before_dot: BeforeDot, copy_to: str | None = None
    ) -> str:
        """Submit one message to one recipient, and a blind copy to us; see ports.Sender."""
        body = _transparent(octets)
        recipients = (recipient, copy_to) if copy_to else (recipient,)
        try:
            with self._translated("offering a message"):
                wire = self._offer(body, envelope_from, recipients)
        except SendRefusedError:
            raise  # The connection is in order: RSET comes before the next message.
        except BaseException:
            self._drop()
            raise
        try:
            with self._translated("sending a message"):
                reach("smtp.data.before")
                wire.transmit(body, self._settings.data_timeout)
                self._require_silence(wire)
            before_dot()
            with self._translated("ending a message"):
                self._require_silence(wire)
                reach("smtp.dot.before")
                wire.transmit(b".\r\n", self._settings.command_timeout)
                reach("smtp.dot.after")
        except BaseException:
            # Without its dot the server forgets the message; RSET would be taken for a line of it.
            self._drop()
            raise
        return self._outcome(wire)

    def connect(self) -> None:
        """Connect, secure and log in now; nothing is sent. For `inbox-agent check`."""
        if self._wire is None:
            self._wire = self._connected()

    def close(self) -> None:
        """Quit, never raising."""
        if self._wire is None:
            return
        try:
            self._wire.allow(_GOODBYE)
            self._wire.quit()
        except (OSError, ValueError):  # smtplib's exceptions are OSErrors.
            _log.debug("smtp_quit_failed place=%s", self._settings.place)
        self._drop()

    def _connected(self) -> _Wire:
        settings = self._settings
        context = None if settings.tls == "none" else tls_context(settings.ca_file)
        with self._translated("connecting", established=False):
            wire = _Wire(settings, context if settings.tls == "implicit" else None)
        try:
            with self._translated("connecting", established=False):
                self._greet(wire)
                if settings.tls == "starttls" and context is not None:
                    self._secure(wire, context)
            with self._translated("logging in"):
                if settings.login is not None:
                    self._log_in(wire, settings.login() if callable(settings.login) else settings.login)
        except AgentError:
            wire.close()
            raise
        return wire

    def _greet(self, wire: _Wire) -> None:
        wire.allow(self._settings.command_timeout)
        code, text = wire.ehlo()
        if code != 250:  # noqa: PLR2004
            raise self._for_now(code, text, "refuses our greeting")

    def _secure(self, wire: _Wire, context: ssl.SSLContext) -> None:
        if not wire.has_extn("starttls"):
            raise TlsError(
                f"{self._settings.place} offers no STARTTLS: somebody may listen on the line; "
                'check the port, or set tls to "implicit"'
            )
        arm_handshake(context, wire.sock)
        # smtplib begins to read anew after the handshake: what came in the clear is forgotten.
        code, text = wire.starttls(context=context)
        if code != 220:  # noqa: PLR2004
            raise self._for_now(code, text, "refuses STARTTLS")
        self._greet(wire)

    def _log_in(self, wire: _Wire, login: Login) -> None:
        offered = set(wire.esmtp_features.get("auth", "").upper().split())
        if not offered:
            raise AuthenticationError(
                f"{self._settings.place} offers no login: use its submission port (465 or 587), or leave out the user"
            )
        match login:
            case TokenLogin(user, token):
                code, text = wire.log_in_with_token(user, token(), offered)
            case PasswordLogin(user, password):
                code, text = wire.log_in_with_password(user, password, offered)
        if code in {235, 503}:  # 503: already logged in.
            return
        if 400 <= code < 500:  # noqa: PLR2004
            raise self._for_now(code, text, "cannot check a login")
        if isinstance(login, TokenLogin):
            login.refused()
        raise AuthenticationError(
            f"{self._settings.place} refuses the login of {user} ({code} {_quoted(text)}): "
            "check user and password, or renew the token"
        )

    def _offer(self, body: bytes, envelope_from: str, recipients: tuple[str, ...]) -> _Wire:
        """MAIL, RCPT for each, DATA, up to the 354, on a connection that answers.

        All answers are read, so that the next one read is to what comes next; the first refusal counts.
        """
        wire, answers = self._asked(body, envelope_from, recipients)
        refused: AgentError | None = None
        code = 0
        try:
            for expected in (_DONE, *(_DONE_OR_FORWARDED for _ in recipients), _GO_ON):
                code, text = next(answers)
                try:
                    self._require(expected, code, text)
                except AgentError as error:
                    refused = refused or error
                    if not wire.pipelines:
                        break
        except OSError:
            self._drop()
            if refused is None:
                raise
        if refused is not None:
            if code in _GO_ON:
                # It waits for a message for the other recipient: without a dot it forgets all (RFC 2920 3.1).
                self._drop()
            raise refused
        return wire

    def _asked(
        self, body: bytes, envelope_from: str, recipients: tuple[str, ...]
    ) -> tuple[_Wire, Iterator[tuple[int, bytes]]]:
        """The connection that we have, if RSET says so, or a new one; and its answers, to be read."""
        seconds = self._settings.command_timeout
        if self._wire is not None:
            answers = self._wire.ask(("RSET", *self._commands(self._wire, body, envelope_from, recipients)), seconds)
            with suppress(OSError):
                if next(answers)[0] in _DONE:
                    return self._wire, answers
            self._drop()
        self._wire = self._connected()
        return self._wire, self._wire.ask(self._commands(self._wire, body, envelope_from, recipients), seconds)

    def _commands(self, wire: _Wire, body: bytes, envelope_from: str, recipients: tuple[str, ...]) -> tuple[str, ...]:
        options = self._options(wire, body, envelope_from, *recipients)
        return (
            f"MAIL FROM:<{envelope_from}>{options}",
            *(f"RCPT TO:<{recipient}>" for recipient in recipients),
            "DATA",
        )

    def _options(self, wire: _Wire, body: bytes, *addresses: str) -> str:
        """The parameters of MAIL that this message needs, of those that the server has."""
        if any(_NOT_AN_ADDRESS.search(address) for address in addresses):
            raise ValueError("an address with a control, a space or an angle bracket")
        options = ""
        wire.command_encoding = "ascii"
        if wire.has_extn("size"):
            limit = wire.esmtp_features["size"]
            if limit.isdigit() and 0 < int(limit) < len(body):
                raise SendRefusedError(552, f"{len(body)} octets are more than its {limit}")
            options += f" SIZE={len(body)}"
        if not body.isascii():
            options += self._needs(wire, "8bitmime", " BODY=8BITMIME")
        if not all(address.isascii() for address in addresses):
            options += self._needs(wire, "smtputf8", " SMTPUTF8")
            wire.command_encoding = "utf-8"
        return options

    def _needs(self, wire: _Wire, extension: str, option: str) -> str:
        if not wire.has_extn(extension):
            raise SendRefusedError(554, f"{self._settings.place} has no {extension.upper()}, which the message needs")
        return option

    def _require(self, expected: frozenset[int], code: int, text: bytes) -> None:
        if code in expected:
            return
        if 500 <= code < 600:  # noqa: PLR2004
            raise SendRefusedError(code, _quoted(text))
        raise self._for_now(code, text, "refuses the message")

    def _require_silence(self, wire: _Wire) -> None:
        """Before the dot a server has nothing to say: if it does, or has gone, nothing was accepted."""
        if wire.has_spoken():
            self._require(frozenset(), *wire.getreply())

    def _outcome(self, wire: _Wire) -> str:
        """What the server says to the dot."""
        wire.allow(self._settings.done_timeout)
        try:
            code, text = wire.getreply()
        except OSError as error:
            self._drop()
            raise self._unknown(error) from error
        if 200 <= code < 300:  # noqa: PLR2004
            return f"{code} {_quoted(text)}"
        if code == 421:  # noqa: PLR2004 # It closes.
            self._drop()
        if not 400 <= code < 600:  # noqa: PLR2004
            self._drop()
            raise self._unknown(code)
        self._require(_DONE, code, text)
        raise AssertionError(code)

    def _unknown(self, what: object) -> SendUnknownError:
        return SendUnknownError(
            f"{self._settings.place} did not say whether it took the message ({_quoted(what)}): "
            "look for it in the Sent folder"
        )

    def _for_now(self, code: int, text: bytes | str, what: str) -> TryAgainError:
        return TryAgainError(f"{self._settings.place} {what} ({code} {_quoted(text)}): it will be tried again")

    @contextmanager
    def _translated(self, doing: str, *, established: bool = True) -> Iterator[None]:
        place = self._settings.place
        try:
            yield
        except smtplib.SMTPConnectError as error:
            raise self._for_now(error.smtp_code, error.smtp_error, "does not take connections") from error
        except smtplib.SMTPResponseException as error:
            raise self._for_now(error.smtp_code, error.smtp_error, "answered oddly") from error
        except smtplib.SMTPException as error:
            cause = error.__context__
            lost = cause if isinstance(cause, OSError) else ConnectionResetError()
            raise network_error(lost, place, doing, established=True) from error
        except OSError as error:
            raise network_error(error, place, doing, established=established) from error

    def _drop(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None


class _Wire(smtplib.SMTP):
    """One connection of smtplib over a socket of ours, greeted when made."""

    sock: Any
    file: Any

    def __init__(self, settings: SmtpSettings, implicit_tls: ssl.SSLContext | None) -> None:
        self._implicit_tls = implicit_tls
        self._place = (settings.host, settings.port)
        super().__init__(
            settings.host, settings.port, local_hostname=settings.local_name, timeout=settings.connect_timeout
        )

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock: Any = open_socket(host, port, timeout)
        if self._implicit_tls is not None:
            sock = self._implicit_tls.wrap_socket(sock, server_hostname=host)
        sock.deadline = time.monotonic() + timeout
        return sock  # type: ignore[no-any-return] # Either of our two kinds.

    def allow(self, seconds: float) -> None:
        """Give what follows so long in all, and each recv as long as that."""
        if self.sock is not None:
            self.sock.deadline = time.monotonic() + seconds
            self.sock.patience = seconds

    def transmit(self, octets: bytes, seconds: float) -> None:
        """Send octets as they are. If this raises, the last of them did not go out."""
        self.allow(seconds)
        self.sock.sendall(octets)

    @property
    def pipelines(self) -> bool:
        """Whether the server takes several commands in one write (RFC 2920)."""
        return self.has_extn("pipelining")

    def ask(self, commands: Sequence[str], seconds: float) -> Iterator[tuple[int, bytes]]:
        """The answer to each command, which has so long. Where the server does not pipeline, each waits to be asked."""
        self.allow(seconds)
        if self.pipelines:
            self.send("".join(f"{command}\r\n" for command in commands))
        for command in commands:
            self.allow(seconds)
            if not self.pipelines:
                self.putcmd(command)
            yield self.getreply()

    def has_spoken(self) -> bool:
        """Whether the server has said something, or has gone."""
        before = self.sock.gettimeout()
        self.sock.settimeout(0)
        try:
            if self.file is not None and self.file.peek(1):
                return True
        except (BlockingIOError, ssl.SSLWantReadError):
            return False  # TLS has records of its own.
        except OSError:
            return True
        finally:
            self.sock.settimeout(before)
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))

    def log_in_with_password(self, user: str, password: str, offered: set[str]) -> tuple[int, bytes]:
        """AUTH PLAIN (RFC 4616), else LOGIN."""
        if "PLAIN" in offered:
            return self.docmd("AUTH", f"PLAIN {_base64(f'{chr(0)}{user}{chr(0)}{password}')}")
        if "LOGIN" in offered:
            code, text = self.docmd("AUTH", f"LOGIN {_base64(user)}")
            return self.docmd(_base64(password)) if code == 334 else (code, text)  # noqa: PLR2004
        return (504, b"neither PLAIN nor LOGIN is offered")

    def log_in_with_token(self, user: str, token: str, offered: set[str]) -> tuple[int, bytes]:
        """AUTH OAUTHBEARER where the server has it, else XOAUTH2."""
        mechanism = "OAUTHBEARER" if "OAUTHBEARER" in offered else "XOAUTH2"
        first = oauth_response(user, token, mechanism, self._place)
        code, text = self.docmd("AUTH", f"{mechanism} {_base64(first)}")
        if code == 334:  # noqa: PLR2004 # A refusal with its reason, which wants an empty answer (RFC 7628 3.2.3).
            return self.docmd(_base64("\1") if mechanism == "OAUTHBEARER" else "")
        return code, text


def _transparent(octets: bytes) -> bytes:
    """Lines that end with CR LF, with their dots doubled (RFC 5321 4.5.2): no lone CR or LF can end the message."""
    body = _LINE_DOT.sub(b"..", _LINE_END.sub(b"\r\n", octets))
    return body if body.endswith(b"\r\n") else body + b"\r\n"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _quoted(text: object) -> str:
    """What the server said, fit for a sentence."""
    words = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return "".join(character if character.isprintable() else " " for character in words)[:160]
