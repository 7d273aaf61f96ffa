"""What IMAP and SMTP connections share: who logs in, verified TLS, sockets with a deadline, and error sentences."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from inbox_agent.errors import AgentError, AuthenticationError, TlsError, TryAgainError
from inbox_agent.failpoint import reach

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Tls = Literal["implicit", "starttls", "none"]


@dataclass(frozen=True, slots=True)
class PasswordLogin:
    """A user and a password."""

    user: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if any(control in self.password for control in "\r\n\0"):
            raise AuthenticationError(
                f"the password of {self.user} holds a line break: check the file or command that it is read from"
            )


def _nothing() -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class TokenLogin:
    """A user and what gives an OAuth 2.0 access token (XOAUTH2 or OAUTHBEARER, RFC 7628).

    `refused` is told when a server did not take it, so that the next one is fresh.
    """

    user: str
    token: Callable[[], str] = field(repr=False)
    refused: Callable[[], None] = field(default=_nothing, repr=False)


Login = PasswordLogin | TokenLogin


def require_private(host: str, tls: Tls) -> None:
    """Raise TlsError if a connection would be in the clear beyond this machine."""
    if tls == "none" and not is_loopback(host):
        raise TlsError(
            f'clear text to {host} is refused: set tls to "implicit" or "starttls" ("none" is for this machine only)'
        )


def is_loopback(host: str) -> bool:
    """Whether that name or address can only be this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """A context that verifies chain and name; `ca_file` replaces the system's authorities by one's own."""
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:  # Includes ssl.SSLError: a file that holds no certificate.
        raise TlsError(f"cannot read certificates from {ca_file}: {error.strerror or error}: check ca_file") from error
    context.sslsocket_class = TimedTlsSocket
    return context


class _Timed:
    """A deadline over all that a socket does, beside the time-out of each call.

    Without it a server that sends one octet now and then holds a call for ever: each recv is quick.
    """

    deadline: float | None = None
    patience: float = 60.0  # seconds for one recv or send

    def arm(self, sock: socket.socket) -> None:
        """Give the next call what is left of the deadline."""
        now = sock.gettimeout()
        if now == 0:
            return  # A non-blocking look never waits.
        left = self.patience if self.deadline is None else min(self.patience, self.deadline - time.monotonic())
        if left <= 0:
            raise TimeoutError("the operation took too long")
        if left != now:
            sock.settimeout(left)  # A system call each time.


class TimedSocket(_Timed, socket.socket):
    """A plain socket that keeps to `deadline` (time.monotonic) and `patience` (seconds)."""

    def recv_into(self, *args: Any) -> int:  # noqa: D102 # Documented by the standard library.
        self.arm(self)
        return super().recv_into(*args)

    def sendall(self, *args: Any) -> None:  # noqa: D102 # The same.
        self.arm(self)
        super().sendall(*args)


class TimedTlsSocket(_Timed, ssl.SSLSocket):
    """The same over TLS."""

    def recv_into(self, *args: Any) -> int:  # noqa: D102 # Documented by the standard library.
        self.arm(self)
        return super().recv_into(*args)

    def send(self, *args: Any) -> int:  # noqa: D102 # The same.
        self.arm(self)
        return super().send(*args)


def arm_handshake(context: ssl.SSLContext, plain: TimedSocket) -> None:
    """Let the TLS socket that STARTTLS makes of `plain` begin with its times: libraries speak on it at once."""
    times = {"patience": plain.patience, "deadline": plain.deadline}
    context.sslsocket_class = type("ArmedTlsSocket", (TimedTlsSocket,), times)


def open_socket(host: str, port: int, timeout: float) -> TimedSocket:
    """A TCP connection that sends small commands at once: Nagle's algorithm cost 40 ms per SEARCH."""
    reach("network.connect.before")
    plain = socket.create_connection((host, port), timeout=timeout)
    timed = TimedSocket(plain.family, plain.type, plain.proto, fileno=plain.detach())
    timed.settimeout(timeout)
    timed.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    timed.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return timed


def network_error(error: OSError, place: str, doing: str, *, established: bool = False) -> AgentError:
    """Our error for one of the network or of TLS. `place` is "imap.example.org:993".

    Once a connection is established, an error of TLS is one of the line, not of trust.
    """
    match error:
        case ssl.SSLError() if established:
            return _lost(place, doing)
        case ssl.SSLCertVerificationError():
            return TlsError(
                f"the certificate of {place} is not trusted ({error.verify_message}): "
                "set ca_file to the authority that signed it, or use the name that it was made for"
            )
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return _lost(place, doing)
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "HTTP_REQUEST"):
            return TlsError(f'{place} does not speak TLS at once: check the port, or set tls to "starttls"')
        case ssl.SSLError():
            return TlsError(f"TLS with {place} failed ({error.reason or error}): check its TLS settings")
        case socket.gaierror():
            return TryAgainError(f"the name in {place} cannot be resolved: check it, or the DNS of this machine")
        case TimeoutError():
            return TryAgainError(f"{place} was too slow while {doing}: it will be tried again")
        case ConnectionRefusedError():
            return TryAgainError(f"nothing answers at {place}: check host and port, or wait for the server")
        case ConnectionError():
            return _lost(place, doing)
    return TryAgainError(f"{place} cannot be reached while {doing} ({error.strerror or error}): check the network")


def _lost(place: str, doing: str) -> TryAgainError:
    return TryAgainError(f"{place} closed the connection while {doing}: it will be tried again")


def oauth_response(user: str, token: str, mechanism: str, place: tuple[str, int]) -> str:
    """The first message of OAUTHBEARER (RFC 7628 3.1) or XOAUTH2."""
    if mechanism == "XOAUTH2":
        return f"user={user}\1auth=Bearer {token}\1\1"
    name = user.replace("=", "=3D").replace(",", "=2C")
    return f"n,a={name},\1host={place[0]}\1port={place[1]}\1auth=Bearer {token}\1\1"
