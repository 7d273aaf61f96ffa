"""The whole job through the real program, Dovecot and Postfix: `check`, `once`, again `once`."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from email import message_from_bytes, policy
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from imapclient import IMAPClient
from inbox_agent.adapters.connection import tls_context

if TYPE_CHECKING:
    from servers.dovecot import Dovecot
    from servers.postfix import Postfix

MESSAGES = Path(__file__).parent.parent / "inbox_agent" / "demo_messages"
OFFER = """
id = "charge-de-mission-2024"
title = "Chargé·e de mission questions urbaines et territoriales"
addressed_to = ["marienoelle.pinson@villesaucarre.org"]
in_copy = ["helene.dugue@villesaucarre.org"]
deadline = 2024-02-15
required = ["cv", "letter"]
keywords = ["chargé de mission", "politique de la ville", "renouvellement urbain"]
"""
CONFIG = """
state = "state"
rules = "rules"
first_run = "all"
[organisation]
name = "Villes au Carré"
address = "director@lab.test"
[[mailboxes]]
name = "direction"
[mailboxes.imap]
host = "127.0.0.1"
port = {imaps}
ca_file = "{ca}"
user = "{user}"
password = {{ file = "imap-password" }}
[smtp]
host = "127.0.0.1"
port = {submission}
tls = "starttls"
ca_file = "{ca}"
user = "director@lab.test"
password = {{ file = "smtp-password" }}
[replies]
mode = "{mode}"
answer_since = 2024-01-01
[archive]
root = "archive"
[digest]
to = ["secretary@lab.test"]
"""


class Association:
    """An installation in a folder, its mailbox on Dovecot, candidates at fresh.test that Postfix delivers to."""

    def __init__(self, folder: Path, dovecot: Dovecot, postfix: Postfix, mode: str = "send") -> None:
        self.folder, self.dovecot = folder, dovecot
        self.user = f"d{uuid4().hex[:8]}@fresh.test"
        self.mark = uuid4().hex[:8]
        (folder / "rules" / "offers").mkdir(parents=True)
        (folder / "rules" / "offers" / "offre.toml").write_text(OFFER, encoding="utf-8")
        (folder / "archive").mkdir()
        for name, secret in (("imap-password", "fresh"), ("smtp-password", "dirpw")):
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(secret)
        text = CONFIG.format(
            imaps=dovecot.imaps, submission=postfix.submission, ca=dovecot.ca_file, user=self.user, mode=mode
        )
        (folder / "config.toml").write_text(text, encoding="utf-8")

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "inbox_agent", *words, "--config", str(self.folder / "config.toml")]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
        assert not check or ran.returncode == 0, ran.stdout + ran.stderr
        return ran

    def imap(self, user: str | None = None) -> IMAPClient:
        context = tls_context(self.dovecot.ca_file)
        client = IMAPClient("127.0.0.1", self.dovecot.imaps, ssl_context=context, timeout=20)
        client.login(user or self.user, "fresh")
        return client

    def append(self, octets: bytes) -> bytes:
        """Into INBOX, with the date of arrival that the message tells; candidates become people at fresh.test."""
        octets = re.sub(
            rb"(\w[\w.]*)@example\.(?:org|net|com|fr)", rb"\1." + self.mark.encode() + rb"@fresh.test", octets
        )
        octets = re.sub(rb"\r?\n", b"\r\n", octets)
        arrived = message_from_bytes(octets, policy=policy.default)["Received"].rpartition(";")[2]
        with self.imap() as client:
            client.append("INBOX", octets, msg_time=policy.default.header_factory("date", arrived).datetime)
        return octets

    def folders(self) -> dict[str, int]:
        with self.imap() as client:
            names = [name for flags, _, name in client.list_folders() if b"\\Noselect" not in flags]
            return {name: client.folder_status(name, ["MESSAGES"])[b"MESSAGES"] for name in names}

    def mail_of(self, name: str) -> list[bytes]:
        with self.imap(f"{name}.{self.mark}@fresh.test") as client:
            client.select_folder("INBOX", readonly=True)
            return [item[b"BODY[]"] for item in client.fetch(client.search(), ["BODY.PEEK[]"]).values()]


@pytest.mark.real
def test_the_sample_messages_go_their_way_on_dovecot_and_postfix(tmp_path, dovecot, postfix):
    association = Association(tmp_path, dovecot, postfix)
    delivered = [association.append(path.read_bytes()) for path in sorted(MESSAGES.glob("*.eml"))]

    check = association.run("check")
    once = association.run("once", "--json")
    again = association.run("once", "--json")

    assert "WRONG" not in check.stdout
    ledger = json.loads(once.stdout)
    assert (ledger["messages"], ledger["filed"], ledger["left"], ledger["pending"]) == (13, 9, 4, 0)
    assert ledger["balances"]
    assert json.loads(again.stdout)["decided"] == 0
    folders = association.folders()
    assert folders["INBOX"] == 4
    assert folders["Candidatures/charge-de-mission-2024/Complètes"] == 8
    assert folders["Candidatures/charge-de-mission-2024/Hors délai"] == 1
    # The incomplete one was completed by its follow-up: its first mail followed it.
    filed = sorted((tmp_path / "archive").rglob("message*.eml"))
    hashes = {hashlib.sha256(path.read_bytes()).hexdigest() for path in filed}
    assert len(filed) == 8
    assert hashes < {hashlib.sha256(octets).hexdigest() for octets in delivered}


@pytest.mark.real
def test_a_reply_reaches_the_candidate_threaded_and_marked(tmp_path, dovecot, postfix):
    association = Association(tmp_path, dovecot, postfix)
    association.append((MESSAGES / "01-complete.eml").read_bytes())

    association.run("once")

    (octets,) = association.mail_of("claire.lefevre")
    reply = message_from_bytes(octets, policy=policy.default)
    assert reply["Auto-Submitted"] == "auto-replied"
    assert reply["In-Reply-To"] == f"<demo-01.{association.mark}@fresh.test>"
    assert reply["Subject"].startswith("Re: Candidature au poste")
    assert "Bonjour Claire Lefèvre," in reply.get_content()


@pytest.mark.real
def test_in_draft_mode_the_reply_waits_and_nothing_leaves(tmp_path, dovecot, postfix):
    association = Association(tmp_path, dovecot, postfix, mode="draft")
    association.append((MESSAGES / "03-cv-only.eml").read_bytes())

    association.run("once")
    association.run("once")

    assert association.folders()["Drafts"] == 1
    assert association.mail_of("thomas.moreau") == []
    with association.imap() as client:
        client.select_folder("Drafts", readonly=True)
        (found,) = client.fetch(client.search(), ["FLAGS", "BODY.PEEK[]"]).values()
    assert b"\\Draft" in found[b"FLAGS"]
    assert "lettre de motivation" in message_from_bytes(found[b"BODY[]"], policy=policy.default).get_content()


@pytest.mark.real
def test_other_mail_stays_unread_where_it_is(tmp_path, dovecot, postfix):
    association = Association(tmp_path, dovecot, postfix)
    for name in ("05-a-question", "06-an-invoice", "07-out-of-office", "08-a-bounce"):
        association.append((MESSAGES / f"{name}.eml").read_bytes())

    association.run("once")

    with association.imap() as client:
        client.select_folder("INBOX", readonly=True)
        flags = client.fetch(client.search(), ["FLAGS"])
    assert len(flags) == 4
    assert all(b"\\Seen" not in item[b"FLAGS"] for item in flags.values())
    store = (
        (tmp_path / "state" / "journal.db").read_bytes() + (tmp_path / "state" / "journal.db-wal").read_bytes()
        if (tmp_path / "state" / "journal.db-wal").exists()
        else (tmp_path / "state" / "journal.db").read_bytes()
    )
    for trace in (b"imprimerie", b"sophie.martin", b"Facture", "télétravail".encode(), b"paul.girard"):
        assert trace not in store
    assert list((tmp_path / "state" / "spool" / "direction").iterdir()) == []


@pytest.mark.real
@pytest.mark.parametrize("file", ["imap-password", "smtp-password"])
def test_check_tells_a_wrong_password_from_everything_else(tmp_path, dovecot, postfix, file):
    association = Association(tmp_path, dovecot, postfix)
    (tmp_path / file).write_text("wrong")

    ran = association.run("check", check=False)

    assert ran.returncode == 1
    wrong = [line for line in ran.stdout.splitlines() if line.startswith("WRONG")]
    assert len(wrong) == 1
    assert "refuses the login" in wrong[0]
    assert "wrong" not in wrong[0].removeprefix("WRONG")
