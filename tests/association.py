"""An association with its mailbox on embedded servers, a clock that is held, and the whole real agent.

`association(folder)` opens one; messages are read in this process, everything else is as in production. Staff act
through IMAP as their mail program would.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import unicodedata
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from itertools import count
from typing import TYPE_CHECKING
from uuid import uuid4
from zoneinfo import ZoneInfo

from imapclient import IMAPClient
from inbox_agent import installation as installing
from inbox_agent.adapters.connection import tls_context
from inbox_agent.adapters.servers import DemoServers, Received, demo_servers
from inbox_agent.config import load_config
from inbox_agent.daemon import Daemon
from inbox_agent.ports import Unread
from inbox_agent.read import read
from inbox_agent.report import send_due_digest
from inbox_agent.rules import load_rules

import making
import papers
from configuring import configuration, keep_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from email.message import EmailMessage
    from pathlib import Path

    from inbox_agent.application import Reading
    from inbox_agent.installation import Installation
    from inbox_agent.journal import Journal
    from inbox_agent.offer import Offer, Staff

    from servers.dovecot import Dovecot

PARIS = ZoneInfo("Europe/Paris")
DIRECTRICE = "marienoelle.pinson@villesaucarre.org"
SECRETARY = "helene.dugue@villesaucarre.org"
OFFER = "charge-de-mission-2024"
SECOND_OFFER = "comptable-2024"
TUESDAY = datetime(2024, 2, 13, 9, 0, tzinfo=PARIS)
_PASSWORD = "secret"
_OFFERS = {
    OFFER: """
id = "charge-de-mission-2024"
title = "Chargé·e de mission questions urbaines et territoriales"
addressed_to = ["marienoelle.pinson@villesaucarre.org"]
in_copy = ["helene.dugue@villesaucarre.org"]
deadline = 2024-02-15
keywords = ["chargé de mission", "politique de la ville", "renouvellement urbain"]
""",
    SECOND_OFFER: """
id = "comptable-2024"
title = "Comptable de l’association"
addressed_to = ["marienoelle.pinson@villesaucarre.org"]
deadline = 2024-03-15
reference = "COMPTA-24"
keywords = ["comptable", "comptabilité", "paie"]
""",
}


@dataclass
class HeldClock:
    """Stands still until it is moved; counts seconds for what must not stand still."""

    moment: datetime = TUESDAY

    def now(self) -> datetime:
        return self.moment.astimezone(UTC)

    def monotonic(self) -> float:
        return self.moment.timestamp()

    def later(self, **by: float) -> None:
        self.moment += timedelta(**by)


class InProcessReaders:
    """Reads as the children do, here: a start of a process for each test costs more than the test."""

    def __init__(self, rules: Path, offers: Sequence[Offer], staff: Staff) -> None:
        self._rules, self._offers, self._staff = load_rules(rules), tuple(offers), staff
        self.poison: set[str] = set()

    def read(self, spooled: Sequence[Path]) -> Iterator[Reading | Unread]:
        for path in spooled:
            octets = path.read_bytes()
            sha256 = hashlib.sha256(octets).hexdigest()
            if sha256 in self.poison:
                yield Unread(sha256, "killed")
                continue
            output = path.with_suffix(".d")
            shutil.rmtree(output, ignore_errors=True)
            output.mkdir()
            yield read(octets, self._rules, self._offers, self._staff, output=output)

    def close(self) -> None:
        """Nothing to end."""


@dataclass
class Association:
    """One installation. `reopen` is what a crash and a new start are; the servers go on."""

    folder: Path
    servers: DemoServers
    clock: HeldClock
    dovecot: Dovecot | None = None
    user: str = DIRECTRICE
    _stack: ExitStack = field(default_factory=ExitStack)
    _daemon: Daemon | None = None

    @property
    def daemon(self) -> Daemon:
        if self._daemon is None:
            config = load_config(self.folder / "config.toml")
            self._stack.enter_context(installing.locked(config.state))
            opened = self._stack.enter_context(installing.opened(config, self.clock))
            self._daemon = Daemon(opened)
            self._daemon.prepare()
            self._stack.callback(self._daemon.close)
        return self._daemon

    @property
    def installation(self) -> Installation:
        return self.daemon.installation

    @property
    def journal(self) -> Journal:
        return self.installation.journal

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    def close(self) -> None:
        self._stack.close()
        self._stack, self._daemon = ExitStack(), None

    def reopen(self) -> None:
        self.close()
        assert self.daemon

    # The world.

    def deliver(self, octets: bytes, at: datetime | None = None) -> bytes:
        """A message comes into the mailbox, now unless told."""
        octets = re.sub(rb"\r?\n", b"\r\n", octets)
        if self.dovecot is None:
            self.servers.deliver(DIRECTRICE, octets, at or self.clock.moment)
        else:
            with self.imap() as client:
                client.append("INBOX", octets, msg_time=at or self.clock.moment)
        return octets

    def run_pass(self) -> int:
        """One poll, looking at the folders too, as `once` does."""
        line = self.daemon.lines["direction"]
        line.looked_at = None
        return self.daemon.pass_over(line)

    def digest(self) -> EmailMessage:
        """The clock goes to the evening and the digest of the day goes out: the one that the directrice gets."""
        self.clock.moment = self.clock.moment.replace(hour=18, minute=0, second=30)
        before = len(self.servers.received)
        assert send_due_digest(self.installation), "no digest was due"
        self.run_pass()
        made = [mail for mail in self.servers.received[before:] if b"\nList-Id:" in mail.octets]
        (mail,) = [mail for mail in made if mail.recipients == (DIRECTRICE,)]
        return message_from_bytes(mail.octets, policy=policy.default)

    @property
    def replies(self) -> list[Received]:
        """Replies that left, in order."""
        return [mail for mail in self.servers.received if b"\nX-Inbox-Agent-Ref:" in mail.octets]

    @property
    def reply_templates(self) -> list[str]:
        """Which replies left: the Message-ID begins with the template's name."""
        found = [re.search(rb"^Message-ID:\s+<(\w+)\.", mail.octets, re.MULTILINE) for mail in self.replies]
        return [match[1].decode() for match in found if match]

    # What staff do and see.

    @contextmanager
    def imap(self) -> Iterator[IMAPClient]:
        if self.dovecot is None:
            port, context = self.servers.imap_port, None
        else:
            port, context = self.dovecot.imaps, tls_context(self.dovecot.ca_file)
        with IMAPClient("127.0.0.1", port, ssl=context is not None, ssl_context=context, timeout=20) as client:
            client.login(self.user, self.password)
            yield client

    @property
    def password(self) -> str:
        return _PASSWORD if self.dovecot is None else "fresh"

    def folders(self) -> dict[str, list[str]]:
        """Folder by name → the Message-IDs in it; empty folders are left out."""
        found = {}
        with self.imap() as client:
            for flags, _, name in client.list_folders():
                if b"\\Noselect" in flags:
                    continue
                client.select_folder(name, readonly=True)
                uids = client.search()
                fetched = client.fetch(uids, ["BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"]) if uids else {}
                fields = [
                    next(value for key, value in item.items() if key.startswith(b"BODY")) for item in fetched.values()
                ]
                if fields:
                    found[name] = sorted(item.partition(b":")[2].strip().decode() for item in fields)
        return found

    def where(self, message_id: str) -> list[str]:
        """The folders that hold a message."""
        return [name for name, there in self.folders().items() if message_id in there]

    def move(self, message_id: str, target: str) -> None:
        """A member of staff drags a message into a folder."""
        (source,) = self.where(message_id)
        with self.imap() as client:
            if not client.folder_exists(target):
                client.create_folder(target)
            client.select_folder(source)
            client.move(client.search(["HEADER", "Message-ID", message_id]), target)

    def delete(self, message_id: str) -> None:
        """A member of staff deletes a message for good."""
        (source,) = self.where(message_id)
        with self.imap() as client:
            client.select_folder(source)
            client.delete_messages(client.search(["HEADER", "Message-ID", message_id]))
            client.expunge()

    def append(self, folder: str, octets: bytes) -> None:
        with self.imap() as client:
            if not client.folder_exists(folder):
                client.create_folder(folder)
            client.append(folder, octets, msg_time=self.clock.moment)

    def files(self) -> list[str]:
        """What lies in the archive, the board and registers left out."""
        return sorted(
            str(path.relative_to(self.archive))
            for path in self.archive.rglob("*")
            if path.is_file() and path.name not in {"index.html", "suivi.xlsx"}
        )


@contextmanager
def association(
    folder: Path,
    *,
    mode: str = "send",
    replies: str = "",
    mailbox: str = "",
    sections: str = "",
    top: str = "",
    offer: str = "",
    dovecot: Dovecot | None = None,
) -> Iterator[Association]:
    """An association in `folder`; the keywords add lines to the configuration or to the first offer.

    With `dovecot` its mailbox is a new one there.
    """
    (folder / "rules" / "offers").mkdir(parents=True)
    (folder / "archive").mkdir()
    for name, text in _OFFERS.items():
        more = offer if name == OFFER else ""
        (folder / "rules" / "offers" / f"{name}.toml").write_text(text + more, encoding="utf-8")
    secret = keep_secret(folder, "password", _PASSWORD if dovecot is None else "fresh")
    user = DIRECTRICE if dovecot is None else f"m{uuid4().hex[:10]}@fresh.test"
    before, clock = installing._readers, installing.SystemClock
    installing._readers = lambda config, offers, staff: InProcessReaders(config.rules_folder, offers, staff)
    try:
        with demo_servers({DIRECTRICE: _PASSWORD, SECRETARY: _PASSWORD}) as servers:
            text = configuration(
                address=DIRECTRICE,
                imap=f"{_imap_lines(servers, dovecot, user)}\n{secret}",
                smtp=f'port = {servers.smtp_port}\ntls = "none"',
                digest=[DIRECTRICE, SECRETARY],
                mode=mode,
                replies=replies,
                mailbox=mailbox,
                sections=sections,
                top=f'rules = "rules"\nfirst_run = "all"\n{top}',
            )
            (folder / "config.toml").write_text(text, encoding="utf-8")
            made = Association(folder, servers, HeldClock(), dovecot, user)
            # A command of the program that a test runs lives at the same moment.
            installing.SystemClock = lambda: made.clock
            try:
                yield made
            finally:
                made.close()
    finally:
        installing._readers, installing.SystemClock = before, clock


def _imap_lines(servers: DemoServers, dovecot: Dovecot | None, user: str) -> str:
    if dovecot is None:
        return f'port = {servers.imap_port}\ntls = "none"\nuser = "{user}"'
    return f'port = {dovecot.imaps}\nca_file = "{dovecot.ca_file}"\nuser = "{user}"'


_numbers = count(1)


def paper(kind: str, name: str, address: str, trade: str = "urbanisme") -> bytes:
    """A CV or a letter ("cv", "letter") as a PDF."""
    return making.pdf(papers.lines(kind, name, address, trade, 1))


def candidature(
    name: str = "Jeanne Dupont",
    *,
    address: str | None = None,
    bring: Sequence[str] = ("cv", "letter"),
    subject: str = "Candidature au poste de chargée de mission",
    text: str | None = None,
    message_id: str | None = None,
    answers: str | None = None,
    trade: str = "urbanisme",
    to: str = DIRECTRICE,
    attachments: Sequence[tuple[str, bytes]] = (),
    headers: dict[str, str] | None = None,
) -> bytes:
    """A mail of a candidate. `answers` is the Message-ID it replies to."""
    address = address or f"{address_of(name)}@example.org"
    names = {"cv": "CV.pdf", "letter": "Lettre de motivation.pdf"}
    files = [(names[kind], paper(kind, name, address, trade)) for kind in bring]
    said = text or f"Bonjour,\n\nVeuillez trouver ma candidature ci-jointe.\n\nCordialement,\n{name}\n"
    thread = {"In-Reply-To": answers, "References": answers} if answers else {}
    return making.eml(
        from_=f"{name} <{address}>",
        to=to,
        cc=SECRETARY,
        subject=subject,
        text=said,
        attachments=[*files, *attachments],
        headers={**thread, **(headers or {})},
        message_id=message_id or f"<c{next(_numbers)}@example.org>",
    )


def address_of(name: str) -> str:
    """`jeanne.dupont` of "Jeanne Dupont"."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))
    return re.sub(r"[^a-z]+", ".", plain.lower())
