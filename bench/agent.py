"""An installation of the agent in a folder, and the SMTP server that its replies go to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from configuring import configuration, keep_secret

if TYPE_CHECKING:
    from typing import Self

_HERE = Path(__file__).parent


def install(  # noqa: PLR0913 - what an installation is made of, by name
    folder: Path, *, imap: int, user: str, password: str, smtp: int, first_run: str = "all", poll_seconds: int = 60
) -> None:
    """Configuration, secret and archive; two readers, replies sent, rules as they ship."""
    (folder / "archive").mkdir()
    config = configuration(
        address="marienoelle.pinson@villesaucarre.org",
        top=f'first_run = "{first_run}"',
        mailbox=f"poll_seconds = {poll_seconds}",
        imap=f'port = {imap}\ntls = "none"\nuser = "{user}"\n{keep_secret(folder, "password", password)}',
        smtp=f'port = {smtp}\ntls = "none"',
        replies="per_hour = 10000\nper_day = 100000",
        digest=["helene.dugue@villesaucarre.org"],
    )
    (folder / "config.toml").write_text(config)


def command(*words: str) -> list[str]:
    """The program's own command line, to be run in the installation's folder."""
    return [sys.executable, "-m", "inbox_agent", *words, "--config", "config.toml"]


class Sink:
    """The SMTP server that replies go to, a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._note = folder / "sink"
        self._process = subprocess.Popen([sys.executable, str(_HERE / "sink.py"), str(self._note)])
        while not self._note.exists() or not self._note.read_text():
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._note.read_text().split()[0])

    @property
    def taken(self) -> int:
        """How many messages it took."""
        return int(self._note.read_text().split()[1])


class Service:
    """`inbox-agent run`, as systemd starts it; `ready` is how many seconds it took to say so."""

    def __init__(self, folder: Path) -> None:
        address = folder / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
            notices.bind(str(address))
            notices.settimeout(60)
            began = time.monotonic()
            environment = {**os.environ, "NOTIFY_SOCKET": str(address)}
            with (folder / "service.log").open("wb") as log:
                self.process = subprocess.Popen(
                    command("run"), cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
                )
            while b"READY=1" not in notices.recv(4096):
                pass
            self.ready = time.monotonic() - began

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
