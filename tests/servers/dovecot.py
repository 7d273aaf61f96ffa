"""Dovecot 2.3 on loopback, as an ordinary user, with its own authority; and the fixtures that give it.

Accounts are director, secretary and other at lab.test, and anybody at fresh.test with the password "fresh": a
test that wants an empty mailbox invents a name. At large.test too, where a mailbox bears tens of thousands (mdbox).
Tokens signed with TOKEN_KEY are taken too. Mail arrives by LMTP or APPEND. `stop_dovecot` ends it by pid.
"""

from __future__ import annotations

import base64
import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from smtplib import LMTP

import pytest
import trustme

PASSWORDS = {"director@lab.test": "dirpw", "secretary@lab.test": "secpw", "other@lab.test": "mot de passé"}
TOKEN_KEY = b"a shared secret of thirty-two oct"
_PROGRAM = "/usr/sbin/dovecot"
_START_TIMEOUT = 15.0  # seconds; measured 0.6


@dataclass(frozen=True)
class Dovecot:
    folder: Path
    imap: int
    imaps: int
    lmtp: int
    sasl: int
    ca_file: Path

    @property
    def log(self) -> str:
        return (self.folder / "dovecot.log").read_text()

    def deliver(self, recipient: str, octets: bytes, envelope_from: str = "candidate@example.org") -> None:
        """One message by LMTP (RFC 2033)."""
        with LMTP("127.0.0.1", self.lmtp) as lmtp:
            lmtp.sendmail(envelope_from, [recipient], octets)

    def maildir(self, user: str) -> Path:
        return self.folder / "mail" / user / "Maildir"

    def take_in(self, user: str, maildir: Path) -> None:
        """A whole Maildir into the INBOX of somebody at large.test, in seconds."""
        command = ["doveadm", "-c", str(self.folder / "dovecot.conf")]
        if os.geteuid() == 0:
            user_, group = _owner()
            for path in (maildir, *maildir.iterdir()):
                shutil.chown(path, user_, group)
            command = ["setpriv", f"--reuid={user_}", f"--regid={group}", "--clear-groups", *command]
        subprocess.run([*command, "import", "-u", user, f"maildir:{maildir}", "", "ALL"], check=True, timeout=600)

    def renumber(self, user: str) -> None:
        """Another UIDVALIDITY for INBOX, as after a restored backup. Wants a new connection to be seen."""
        time.sleep(1.1)  # UIDVALIDITY is a time in seconds.
        for path in self.maildir(user).glob("dovecot*"):
            path.unlink()


def missing(reason: str) -> None:
    """Skip, but where everything must be there (CI) fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI is true")
    pytest.skip(reason)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for_port(port: int, why: str) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"{why} did not answer within {_START_TIMEOUT:.0f} s")


def make_certificates(folder: Path) -> Path:
    authority = trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1", "mail.lab.test")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    server.private_key_pem.write_to_path(folder / "srv.key")
    (folder / "srv.pem").write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
    return folder / "ca.pem"


def start_dovecot() -> Dovecot:
    if not Path(_PROGRAM).exists():
        missing("Dovecot is not installed (apt-get install dovecot-imapd dovecot-lmtpd)")
    # Sockets have short paths, and another user must get in: not below pytest's own folder.
    folder = Path(tempfile.mkdtemp(prefix="dovecot-", dir="/tmp"))
    imap, imaps, lmtp, sasl = free_ports(4)
    ca_file = make_certificates(folder)
    for name in ("run", "mail", "keys/default/HS256"):
        (folder / name).mkdir(parents=True)
    (folder / "users").write_text("".join(f"{user}:{{PLAIN}}{word}::::::\n" for user, word in PASSWORDS.items()))
    (folder / "keys/default/HS256/default").write_text(base64.b64encode(TOKEN_KEY).decode())
    user, group = _owner()
    (folder / "oauth2.conf").write_text(_OAUTH2.format(folder=folder))
    (folder / "dovecot.conf").write_text(
        _CONFIG.format(folder=folder, user=user, group=group, imap=imap, imaps=imaps, lmtp=lmtp, sasl=sasl)
    )
    command = [_PROGRAM, "-c", str(folder / "dovecot.conf")]
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, user, group)
        command = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *command]
    folder.chmod(0o755)
    subprocess.run(command, check=True, timeout=30)
    wait_for_port(imap, "Dovecot")
    return Dovecot(folder, imap, imaps, lmtp, sasl, ca_file)


def stop_dovecot(server: Dovecot) -> None:
    pid_file = server.folder / "run" / "master.pid"
    if pid_file.exists():
        pid = int(pid_file.read_text())
        os.kill(pid, signal.SIGTERM)
        for _ in range(100):
            if not pid_file.exists():
                break
            time.sleep(0.05)
    shutil.rmtree(server.folder, ignore_errors=True)


def _owner() -> tuple[str, str]:
    if os.geteuid() == 0:
        return "nobody", "nogroup"
    return pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name


@pytest.fixture(scope="session")
def dovecot():
    server = start_dovecot()
    yield server
    stop_dovecot(server)


_CONFIG = r"""
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 0
first_valid_gid = 0
mail_home = {folder}/mail/%u
mail_location = %{{if;%d;eq;large.test;mdbox\:~/mdbox;maildir\:~/Maildir}}
mail_max_userip_connections = 100
ssl = required
ssl_cert = <{folder}/srv.pem
ssl_key = <{folder}/srv.key
auth_failure_delay = 0
auth_mechanisms = plain login xoauth2 oauthbearer
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/users
}}
passdb {{
  driver = static
  username_filter = *@fresh.test *@large.test
  args = password=fresh
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/mail/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Drafts {{
    special_use = \Drafts
    auto = subscribe
  }}
  mailbox Envoi {{
    special_use = \Sent
    auto = subscribe
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service auth {{
  inet_listener {{
    address = 127.0.0.1
    port = {sasl}
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
protocol lmtp {{
  postmaster_address = postmaster@lab.test
}}
"""

_OAUTH2 = """
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={folder}/keys/
username_attribute = email
"""
