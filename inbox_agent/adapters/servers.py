"""An IMAP and an SMTP server on loopback, for `inbox-agent demo` and the fast tests.

pymap (IMAP) and aiosmtpd (SMTP) run on free ports in one thread and forget everything at the end.
pymap's internals are used, hence its exact pin: everything that knows them is in this file.

BUGS: pymap has no SPECIAL-USE, CONDSTORE, NAMESPACE or OAuth; five bad commands in a row end a connection.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from argparse import Namespace
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from inbox_agent.errors import AgentError

try:
    from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
    from proxyprotocol.result import ProxyResultLocal
    from proxyprotocol.sock import SocketInfo
    from pymap.backend.dict import Config, Login
    from pymap.backend.dict.filter import FilterSet
    from pymap.backend.dict.mailbox import MailboxData, MailboxSet
    from pymap.concurrent import Subsystem
    from pymap.imap import IMAPServer
    from pymap.parsing.message import AppendMessage
    from pymap.parsing.specials.flag import Flag, Wildcard
    from pymap.user import UserMetadata
    from pysasl.hashing import Cleartext
except ImportError as error:
    raise AgentError(
        f"the demo servers are not installed ({error.name} is missing): pip install 'inbox-agent[demo]'"
    ) from error

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

_LOOPBACK = "127.0.0.1"
_START_TIMEOUT = 10.0  # seconds; measured 0.25 to 0.4
_LARGEST = 64 * 2**20  # octets of one message; ours carry files, aiosmtpd's default is 32 MiB


@dataclass(frozen=True, slots=True)
class Received:
    """One message that the SMTP server accepted: the envelope, and the octets as they came over the wire.

    `login` is who had authenticated, None if nobody had.
    """

    envelope_from: str
    recipients: tuple[str, ...]
    octets: bytes
    login: str | None = None


@dataclass(frozen=True, slots=True)
class DemoServers:
    """What runs: its ports, and every message that SMTP accepted, in order.

    A recipient that is the login of an account has the message in its INBOX too.
    """

    imap_port: int
    smtp_port: int
    received: list[Received] = field(repr=False)
    _deliver: Callable[[str, bytes, datetime], int] = field(repr=False)

    def deliver(self, login: str, octets: bytes, internaldate: datetime | None = None) -> int:
        """Put octets as they are into the INBOX of an account, dated `internaldate` (now); the UID."""
        return self._deliver(login, octets, internaldate or datetime.now(UTC))


@contextmanager
def demo_servers(
    accounts: Mapping[str, str], *, tls: ssl.SSLContext | None = None, authenticate: bool = False
) -> Iterator[DemoServers]:
    """Both servers, while the context lasts, for these logins and passwords.

    With `tls` (a server context) both offer STARTTLS. With `authenticate` SMTP takes mail only after AUTH;
    without it AUTH is possible and a wrong password is refused.
    """
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd warns of its own deprecated attributes.
    servers = _Servers(accounts, tls=tls, authenticate=authenticate)
    thread = threading.Thread(target=lambda: asyncio.run(servers.serve()), name="demo-servers", daemon=True)
    thread.start()
    try:
        yield servers.started()
    finally:
        servers.stop()
        thread.join()


class _Folder(MailboxData):  # type: ignore[misc] # pymap is not followed, see pyproject.toml.
    """A folder that keeps every keyword: pymap drops those it does not know without a word."""

    @property
    def permanent_flags(self) -> frozenset[Any]:
        return frozenset({*super().permanent_flags, Wildcard})


class _Folders(MailboxSet):  # type: ignore[misc] # The same.
    """The folders of one account."""

    def __init__(self) -> None:
        super().__init__()
        self._inbox = self._new()

    async def add_mailbox(self, name: str) -> Any:
        async with self._set_lock.write_lock():
            if name in self._set:
                raise ValueError(name)
            self._set[name] = folder = self._new()
            return folder.mailbox_id

    def _new(self) -> _Folder:
        return _Folder(self._content_cache, self._thread_cache)


class _Plaintext(Cleartext):
    """Passwords of a demo, compared as they are: hashing them took 0.3 s a login, and pysasl wants ASCII."""

    def verify(self, secret: str, hash: str) -> bool:  # noqa: A002 # pysasl's name.
        return secrets.compare_digest(secret.encode(), hash.encode())


class _Config(Config):  # type: ignore[misc] # The same.
    @property
    def greeting(self) -> bytes:
        """Without the look-up of the machine's name, which may take seconds."""
        return b"demo server ready"


class _Servers:
    """Both servers and their event loop; `serve` runs in a thread of its own."""

    def __init__(self, accounts: Mapping[str, str], *, tls: ssl.SSLContext | None, authenticate: bool) -> None:
        self._accounts = dict(accounts)
        self._tls = tls
        self._authenticate = authenticate
        self._received: list[Received] = []
        self._ready = threading.Event()
        self._config = _Config(
            Namespace(passlib_cfg=None, proxy_protocol=None),
            host=_LOOPBACK,
            port=0,
            demo_data=False,
            demo_user="",
            demo_password="",
            hash_context=_Plaintext(),
            cpu_subsystem=Subsystem.for_asyncio(),
            invalid_user_sleep=0.0,
            tls_enabled=tls is not None,
            ssl_context=tls,
        )
        self._ports = (0, 0)

    async def serve(self) -> None:
        """Both servers until `stop`."""
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._config.apply_context()
        self._config.set_cache.update({login: (_Folders(), FilterSet()) for login in self._accounts})
        imap = await asyncio.start_server(self._imap_server(), _LOOPBACK, 0)
        smtp = await self._loop.create_server(self._smtp_server, _LOOPBACK, 0)
        self._ports = (imap.sockets[0].getsockname()[1], smtp.sockets[0].getsockname()[1])
        self._ready.set()
        await self._stop.wait()
        imap.close()
        smtp.close()

    def started(self) -> DemoServers:
        """Wait until both listen."""
        if not self._ready.wait(_START_TIMEOUT):
            raise AgentError(f"the demo servers did not start within {_START_TIMEOUT:.0f} s: try again")
        return DemoServers(*self._ports, self._received, self._deliver)

    def stop(self) -> None:
        """End `serve` from another thread."""
        if self._ready.is_set():
            self._loop.call_soon_threadsafe(self._stop.set)

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 # aiosmtpd's name.
        """Take a message, and file it in the INBOX of each recipient that has an account; a hook of aiosmtpd."""
        octets = envelope.original_content
        login = session.auth_data.decode() if session.authenticated else None
        self._received.append(Received(envelope.mail_from, tuple(envelope.rcpt_tos), octets, login))
        now = datetime.now(UTC)
        for recipient in envelope.rcpt_tos:
            if recipient in self._accounts:
                await self._append(recipient, _trace(envelope.mail_from, recipient, now) + octets, now)
        return "250 2.0.0 taken"

    def _imap_server(self) -> Any:
        login = Login(self._config)
        for name, password in self._accounts.items():
            login.users_dict[name] = UserMetadata(self._config, name, password=password)
        server = IMAPServer(login, self._config)

        async def connected(reader: Any, writer: Any) -> None:
            # pymap's own way in starts a task that nothing refers to: on Python 3.13 the garbage collector
            # closed connections in the middle.
            await server(reader, writer, SocketInfo.get(writer, ProxyResultLocal(), unique_id=uuid4().bytes))

        return connected

    def _smtp_server(self) -> Any:
        return SMTP(
            self,
            hostname="demo.localhost",
            data_size_limit=_LARGEST,
            enable_SMTPUTF8=True,
            tls_context=self._tls,
            auth_required=self._authenticate and self._tls is not None,
            auth_require_tls=self._tls is not None,
            authenticator=self._check,
            loop=self._loop,
        )

    def _check(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, credentials: Any) -> Any:
        if not isinstance(credentials, LoginPassword):
            return AuthResult(success=False, handled=False)
        login, password = credentials.login.decode(), credentials.password.decode()
        known = self._accounts.get(login) == password
        return AuthResult(success=known, handled=False, auth_data=credentials.login)

    def _deliver(self, login: str, octets: bytes, internaldate: datetime) -> int:
        return asyncio.run_coroutine_threadsafe(self._append(login, octets, internaldate), self._loop).result()

    async def _append(self, login: str, octets: bytes, internaldate: datetime) -> int:
        self._config.apply_context()
        folders, _ = self._config.set_cache[login]
        inbox = await folders.get_mailbox("INBOX")
        message = await inbox.append(AppendMessage(octets, internaldate, frozenset[Flag]()), recent=True)
        return int(message.uid)


def _trace(envelope_from: str, recipient: str, moment: datetime) -> bytes:
    """What final delivery adds (RFC 5321 4.4)."""
    return (
        f"Return-Path: <{envelope_from}>\r\n"
        f"Delivered-To: {recipient}\r\n"
        f"Received: from localhost by demo.localhost; {format_datetime(moment)}\r\n"
    ).encode()
