"""Mailboxes of generated applications in a Dovecot of our own, a fresh copy for whoever asks.

The messages are made once and kept in the folder of temporary files. A copy is hard links to them in a Maildir with
their sizes in the names, as a delivery by LMTP leaves it; Dovecot indexes it when it is first opened, for everybody
alike.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from imapclient import IMAPClient
from imapclient.imap_utf7 import encode as encode_utf7

from french_applications import applications
from measure import Group

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from servers.dovecot import Dovecot, start_dovecot, stop_dovecot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PASSWORD = "fresh"  # noqa: S105 - of a server that lives for the bench, on loopback
_EDITION = 2  # of french_applications.py: raise it when its messages change


@dataclass
class Server:
    """A Dovecot and the users that were made in it."""

    dovecot: Dovecot
    group: Group
    _numbers: Iterable[int] = field(default_factory=count)

    def mailbox(self, messages: Iterable[Path]) -> str:
        """A new user with those messages in INBOX; its name."""
        user = f"bench{next(iter(self._numbers))}@fresh.test"
        folder = self.dovecot.maildir(user)
        for name in ("cur", "new", "tmp"):
            (folder / name).mkdir(parents=True)
        self.deliver(user, messages)
        self._own(self.dovecot.folder / "mail" / user, folder, *folder.iterdir())
        return user

    def deliver(self, user: str, messages: Iterable[Path]) -> None:
        """More of them into INBOX."""
        self._link(self.dovecot.maildir(user) / "new", messages, "")

    def fill(self, user: str, folder: str, messages: Iterable[Path]) -> list[int]:
        """Read ones into a folder that there is; the UIDs of all that it holds then."""
        wire = encode_utf7(folder.replace("/", ".")).decode("ascii")
        self._link(self.dovecot.maildir(user) / f".{wire}" / "cur", messages, ":2,S")
        with IMAPClient("127.0.0.1", self.dovecot.imap, ssl=False, timeout=600) as client:
            client.login(user, PASSWORD)
            client.select_folder(folder, readonly=True)
            return list(client.search())

    def _link(self, folder: Path, messages: Iterable[Path], flags: str) -> None:
        for path in messages:
            status, rank = path.stat(), next(iter(self._numbers))
            lines = int(path.name.partition(".")[0].partition("-")[2])
            name = f"{int(status.st_mtime)}.M{rank:06}.bench,S={status.st_size},W={status.st_size + lines}{flags}"
            (folder / name).hardlink_to(path)
            # As those that the server delivered: of another's files it makes no links, but copies them to move them.
            self._own(folder / name)

    def _own(self, *paths: Path) -> None:
        owner = self.dovecot.folder.stat()
        for path in paths if os.geteuid() == 0 else ():
            os.chown(path, owner.st_uid, owner.st_gid)

    def forget(self, user: str) -> None:
        """Remove a user's mail."""
        shutil.rmtree(self.dovecot.folder / "mail" / user, ignore_errors=True)

    def left(self, user: str) -> int:
        """How many messages INBOX holds."""
        folder = self.dovecot.maildir(user)
        return sum(1 for name in ("cur", "new") for _ in (folder / name).iterdir())

    def close(self) -> None:
        """End it."""
        stop_dovecot(self.dovecot)
        self.group.close()


def start_server() -> Server:
    """A Dovecot whose processor time is counted apart from its clients'."""
    dovecot = start_dovecot()
    group = Group("server")
    pid = dovecot.folder / "run" / "master.pid"
    while not pid.exists() or not pid.read_text():  # It listens first.
        time.sleep(0.02)
    group.take(int(pid.read_text()))
    return Server(dovecot, group)


def cache() -> Path:
    """Where the messages are kept."""
    return Path(tempfile.gettempdir()) / f"inbox-agent-bench-{os.getuid()}"


def generated(number: int) -> list[Path]:
    """The first so many applications of 450 kB."""
    return kept("applications", number, lambda: ((int(at.timestamp()), octets) for at, octets in applications(number)))


def small(number: int) -> list[Path]:
    """So many applications of 2 kB, all different: text alone, the letter in the body and the CV too."""
    return kept("small", number, lambda: (_small(rank) for rank in range(number)))


def kept(kind: str, number: int, make: Callable[[], Iterable[tuple[int, bytes]]]) -> list[Path]:
    """Messages with their dates of arrival, made once."""
    folder = cache() / f"{kind}-{_EDITION}-{number}"
    if not folder.exists():
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for rank, (at, octets) in enumerate(make()):
            stored = octets.replace(b"\r\n", b"\n")
            lines = stored.count(b"\n")
            path = unfinished / f"{rank:06}-{lines}.eml"
            path.write_bytes(stored)
            path.chmod(0o644)
            os.utime(path, (at, at))
        unfinished.rename(folder)
    return sorted(folder.iterdir())


def _small(rank: int) -> tuple[int, bytes]:
    at = 1_705_305_600 + rank * 20  # 15 January 2024, 8:00 UTC, and every 20 s
    who = f"Candidate{rank:06}"
    name = "".join(chr(ord("A") + int(digit)) for digit in f"{rank:06}")
    text = f"""\
Received: from mx.example.org by mail.example.org; Mon, 15 Jan 2024 09:00:00 +0100
From: Camille {name} <{who.lower()}@example.org>
To: marienoelle.pinson@villesaucarre.org
Cc: helene.dugue@villesaucarre.org
Subject: Candidature au poste de chargé de mission
Date: Mon, 15 Jan 2024 09:00:00 +0100
Message-ID: <small-{rank}@example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="=-b"

--=-b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Madame,

Veuillez trouver ci-joint mon CV et ma lettre de motivation pour le poste de chargé de mission.

Cordialement,
Camille {name}
--=-b
Content-Type: text/plain; charset=utf-8; name="CV.txt"
Content-Disposition: attachment; filename="CV.txt"
Content-Transfer-Encoding: 8bit

Camille {name}
06 12 34 56 78
EXPÉRIENCE PROFESSIONNELLE
2019 - 2023 : agent de développement local
FORMATION
2012 : master Urbanisme et aménagement
COMPÉTENCES
Diagnostic territorial
LANGUES
Anglais courant
--=-b
Content-Type: text/plain; charset=utf-8; name="Lettre.txt"
Content-Disposition: attachment; filename="Lettre.txt"
Content-Transfer-Encoding: 8bit

Objet : candidature au poste de chargé de mission

Madame la Directrice,

Actuellement agent de développement local, je souhaite rejoindre votre équipe.
Je vous prie d’agréer, Madame la Directrice, l’expression de mes salutations distinguées.
Camille {name}
--=-b--
"""
    return at, text.encode()
