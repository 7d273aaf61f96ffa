"""Cyrus IMAP 3.6 on loopback, as an ordinary user.

Debian's package would remove Dovecot's, so it is unpacked in a folder and run from there: `unpacked`. Anybody logs in
with any password, and has an INBOX, a folder for drafts and one for sent mail from then on. How folders are named is
for who starts it to choose: `Naming`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from servers.dovecot import _owner, free_ports, wait_for_port


def unpacked(program: str) -> Path:
    """The folder with that program of a mail server's package; skips without."""
    for folder in (os.environ.get("INBOX_AGENT_SERVERS"), "/"):
        if folder is not None and (Path(folder) / program).exists():
            return Path(folder)
    pytest.skip(f"no {program} in the folder that INBOX_AGENT_SERVERS names (.ci/run unpacks Debian's packages there)")


def libraries(packages: Path) -> dict[str, str]:
    """The environment in which programs of that folder find their own."""
    folders = [packages / "usr/lib", *packages.glob("usr/lib/*-linux-gnu"), *packages.glob("lib/*-linux-gnu")]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, folders))} if packages != Path("/") else {**os.environ}


@dataclass(frozen=True)
class Naming:
    """`slashes`: "/" between levels, else "."; `beneath_inbox`: one's folders are INBOX's (INBOX.Drafts)."""

    slashes: bool = True
    beneath_inbox: bool = False


@dataclass
class Cyrus:
    folder: Path
    packages: Path
    imap: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        master = str(self.packages / "usr/lib/cyrus/bin/master")
        command = [master, "-C", "imapd.conf", "-M", "cyrus.conf", "-p", "master.pid"]
        if os.geteuid() == 0:
            user, group = _owner()
            command = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *command]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=libraries(self.packages), stdout=log, stderr=log
            )
        wait_for_port(self.imap, "Cyrus")

    def stop(self) -> None:
        """The master and, with it, everything that it started."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
            self.process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def start_cyrus(naming: Naming) -> Cyrus:
    packages = unpacked("usr/lib/cyrus/bin/master")
    folder = Path(tempfile.mkdtemp(prefix="cyrus-", dir="/tmp"))
    (port,) = free_ports(1)
    server = Cyrus(folder, packages, port)
    for name in ("config/socket", "config/proc", "config/db", "config/log", "mail"):
        (folder / name).mkdir(parents=True)
    user, group = _owner()
    (folder / "imapd.conf").write_text(
        _IMAPD.format(folder=folder, user=user, slashes=int(naming.slashes), apart=int(not naming.beneath_inbox))
    )
    (folder / "cyrus.conf").write_text(_MASTER.format(bin=packages / "usr/lib/cyrus/bin", port=port))
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, user, group)
    folder.chmod(0o755)
    server.start()
    return server


_IMAPD = """
configdirectory: {folder}/config
partition-default: {folder}/mail
defaultpartition: default
proc_path: {folder}/config/proc
mboxname_lockpath: {folder}/config/lock
idlesocket: {folder}/config/socket/idle
cyrus_user: {user}
admins: cyrus
servername: cyrus.lab.test
unixhierarchysep: {slashes}
altnamespace: {apart}
virtdomains: off
allowplaintext: yes
sasl_pwcheck_method: alwaystrue
sasl_mech_list: PLAIN
autocreate_quota: 0
autocreate_inbox_folders: Drafts | Envoi
autocreate_subscribe_folders: Drafts | Envoi
xlist-drafts: Drafts
xlist-sent: Envoi
sievedir: {folder}/config/sieve
tls_sessions_db_path: {folder}/config/tls.db
syslog_prefix: cyrus
"""

_MASTER = """
START {{
  recover cmd="{bin}/ctl_cyrusdb -r -C imapd.conf"
  idled cmd="{bin}/idled -C imapd.conf"
}}
SERVICES {{
  imap cmd="{bin}/imapd -C imapd.conf -U 30" listen="127.0.0.1:{port}" prefork=0
}}
EVENTS {{
}}
"""
