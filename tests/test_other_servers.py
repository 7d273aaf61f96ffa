"""The whole agent on real servers that are not Dovecot: what they say and how they name folders is their own."""

from __future__ import annotations

import itertools
import re
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from imapclient import IMAPClient
from inbox_agent.adapters.imap import ImapMailbox, ImapSettings, PasswordLogin
from inbox_agent.errors import TryAgainError

from laboratory import SCENARIOS, Laboratory, Mail, broken_invariants, end_state, samples
from servers.courier import Courier
from servers.cyrus import Naming, start_cyrus
from test_corrections import DOUBT, doubtful

pytestmark = pytest.mark.real
MAIL = b"Message-ID: <one@example.org>\r\nSubject: x\r\n\r\nBonjour\r\n"
_DOUBT = re.sub(rb"\r?\n", b"\r\n", doubtful())
_NUMBERS = itertools.count(1)


@dataclass
class Named(Laboratory):
    """A mailbox whose folders the server names in its own way."""

    prefix: str = ""
    separator: str = "/"

    def ours(self, name: str) -> str:
        return name.removeprefix(self.prefix).replace(self.separator, "/")

    def theirs(self, name: str) -> str:
        return name if name == "INBOX" else self.prefix + name.replace("/", self.separator)

    def mailbox(self) -> dict[str, list[tuple[str, tuple[bytes, ...]]]]:
        return {self.ours(name): mails for name, mails in super().mailbox().items()}


_SERVERS = {
    "cyrus": (lambda: start_cyrus(Naming()), "", "/"),
    "cyrus with INBOX. and dots": (lambda: start_cyrus(Naming(slashes=False, beneath_inbox=True)), "INBOX.", "."),
    "courier": (Courier, "INBOX.", "."),
}


@pytest.fixture(scope="module", params=_SERVERS)
def running(request):
    """A server, its prefix and its separator."""
    start, prefix, separator = _SERVERS[request.param]
    server = start()
    yield server, prefix, separator
    server.remove()


@pytest.fixture
def account(running):
    """A client of staff, and its name."""
    server, prefix, _ = running
    user = f"staff{next(_NUMBERS)}"
    with IMAPClient("127.0.0.1", server.imap, ssl=False, timeout=20) as client:
        client.normalise_times = False
        client.login(user, "any")
        yield client, user, prefix


def connect(running, user) -> ImapMailbox:
    mailbox = ImapMailbox.connect(ImapSettings("127.0.0.1", running[0].imap, "none", PasswordLogin(user, "any")))
    mailbox.select("INBOX")
    return mailbox


def test_a_mailbox_ends_as_on_dovecot_and_a_second_pass_does_nothing(dovecot, running, sink, program, tmp_path):
    server, prefix, separator = running
    mails = [*samples("01", "02-letter", "03", "06", "12"), Mail("doubt", _DOUBT, 4)]
    sink.accepted, sink.answers, sink.on_accept = [], {}, None
    before = Laboratory(tmp_path / "dovecot", dovecot, sink, program, replies=SCENARIOS["no evidence, ask"])
    before.deliver(*mails)
    before.settle()
    expected = end_state(before)

    sink.accepted = []
    lab = Named(
        tmp_path / "other",
        server,
        sink,
        program,
        replies=SCENARIOS["no evidence, ask"],
        user=f"lab{next(_NUMBERS)}",
        prefix=prefix,
        separator=separator,
    )
    with lab.imap() as client:
        client.create_folder(lab.theirs("Éléments archivés/Août"))
    lab.deliver(*mails)
    lab.settle()
    assert broken_invariants(lab, expected) == []

    there, sent = lab.mailbox(), len(sink.accepted)
    assert there[DOUBT]
    lab.once()
    assert (lab.mailbox(), len(sink.accepted)) == (there, sent)


def test_a_draft_is_added_where_one_was_looked_for(running, account):
    client, user, prefix = account
    mailbox = connect(running, user)
    assert mailbox.find("Drafts", "<one@example.org>") == []
    uid = mailbox.append("Drafts", MAIL, ("\\Draft",), datetime.now(UTC))
    assert mailbox.find("Drafts", "<one@example.org>") == [uid]
    mailbox.close()
    client.select_folder(f"{prefix}Drafts")
    assert b"\\Draft" in client.get_flags([uid])[uid]


def test_mail_that_comes_is_heard_of(running, account):
    client, user, _ = account
    mailbox = connect(running, user)
    hear = threading.Timer(0.5, client.append, ("INBOX", MAIL))
    hear.start()
    assert any(mailbox.wait(2) for _ in range(15))  # Courier tells at the end of IDLE.
    hear.join()
    assert len(mailbox.list_uids(1)) == 1
    mailbox.close()


def test_a_folder_that_was_made_anew_is_told_from_the_old_one(running, account):
    client, user, prefix = account
    mailbox = connect(running, user)
    name = mailbox.append("À lire", MAIL, (), datetime.now(UTC)) and f"{prefix}À lire"
    old = mailbox.select("À lire").uidvalidity
    mailbox.close()
    client.delete_folder(name)
    time.sleep(1.1)  # UIDVALIDITY may be a time in seconds.
    client.create_folder(name)
    mailbox = connect(running, user)
    assert mailbox.select("À lire").uidvalidity != old
    mailbox.close()


def test_a_server_that_was_started_again_serves_a_new_connection(running, account):
    client, user, _ = account
    client.append("INBOX", MAIL)
    mailbox = connect(running, user)
    running[0].stop()
    with pytest.raises(TryAgainError):
        mailbox.list_uids(1)
    mailbox.close()
    running[0].start()
    mailbox = connect(running, user)
    (uid,) = mailbox.list_uids(1)
    assert list(mailbox.fetch([uid])) == [(uid, MAIL)]
    mailbox.close()
