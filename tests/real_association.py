"""A real installation in a folder: the program's own commands, Dovecot, Postfix; candidates live at fresh.test."""

from __future__ import annotations

import re
import subprocess
import sys
from email import message_from_bytes, policy
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from imapclient import IMAPClient
from inbox_agent.adapters.connection import tls_context

from configuring import configuration, keep_secret

if TYPE_CHECKING:
    from servers.dovecot import Dovecot
    from servers.postfix import Postfix

MESSAGES = Path(__file__).parent.parent / "inbox_agent" / "demo_messages"
DIRECTOR = "director@lab.test"
OFFER = """
id = "charge-de-mission-2024"
title = "Chargé·e de mission questions urbaines et territoriales"
addressed_to = ["marienoelle.pinson@villesaucarre.org"]
in_copy = ["helene.dugue@villesaucarre.org"]
deadline = 2024-02-15
required = ["cv", "letter"]
keywords = ["chargé de mission", "politique de la ville", "renouvellement urbain"]
"""


class Association:
    """An installation in a folder, its mailbox on Dovecot, candidates at fresh.test that Postfix delivers to."""

    def __init__(
        self, folder: Path, dovecot: Dovecot, postfix: Postfix, *, mode: str = "send", mailbox: str = "", top: str = ""
    ) -> None:
        self.folder, self.dovecot = folder, dovecot
        self.user = f"d{uuid4().hex[:8]}@fresh.test"
        self.mark = uuid4().hex[:8]
        (folder / "rules" / "offers").mkdir(parents=True)
        (folder / "rules" / "offers" / "offre.toml").write_text(OFFER, encoding="utf-8")
        (folder / "archive").mkdir()
        imap = f'port = {dovecot.imaps}\nca_file = "{dovecot.ca_file}"\nuser = "{self.user}"'
        smtp = f'port = {postfix.submission}\ntls = "starttls"\nca_file = "{dovecot.ca_file}"\nuser = "{DIRECTOR}"'
        text = configuration(
            address=DIRECTOR,
            imap=f"{imap}\n{keep_secret(folder, 'imap-password', 'fresh')}",
            smtp=f"{smtp}\n{keep_secret(folder, 'smtp-password', 'dirpw')}",
            digest=["secretary@lab.test"],
            mode=mode,
            mailbox=mailbox,
            top=f'rules = "rules"\nfirst_run = "all"\n{top}',
        )
        (folder / "config.toml").write_text(text, encoding="utf-8")

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "inbox_agent", *words, "--config", str(self.folder / "config.toml")]

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        ran = subprocess.run(self.command(*words), capture_output=True, text=True, check=False, timeout=110)
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
