"""Postfix 3.7 on loopback, delivering to the Dovecot of dovecot.py by LMTP; needs root, as its master does.

Port `smtp` is for mail from outside, `submission` wants TLS and AUTH (RFC 6409) with Dovecot's passwords.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from servers.dovecot import PASSWORDS, Dovecot, free_ports, missing, wait_for_port

_PROGRAM = "/usr/sbin/postfix"
LARGEST = 2 * 2**20  # octets


@dataclass(frozen=True)
class Postfix:
    folder: Path
    smtp: int
    submission: int
    ca_file: Path

    @property
    def log(self) -> str:
        return (self.folder / "postfix.log").read_text()

    def rest(self) -> None:
        """Wait until nobody is connected and everything that was taken is delivered."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            log = self.log
            if log.count("]: connect from") == log.count("]: disconnect from") and "is empty" in self.queue():
                return
            time.sleep(0.1)
        pytest.fail(f"Postfix is not at rest: {self.queue()}")

    def queue(self) -> str:
        command = ["/usr/sbin/postqueue", "-c", str(self.folder / "etc"), "-p"]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=30).stdout


def start_postfix(dovecot: Dovecot) -> Postfix:
    if not Path(_PROGRAM).exists():
        missing("Postfix is not installed (apt-get install postfix)")
    if os.geteuid() != 0:
        missing("Postfix's master must be started as root")
    folder = Path(tempfile.mkdtemp(prefix="postfix-", dir="/tmp"))
    folder.chmod(0o755)
    smtp, submission = free_ports(2)
    for name in ("etc", "spool", "data", "tls"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    for name in ("srv.pem", "srv.key"):
        shutil.copy(dovecot.folder / name, folder / "tls" / name)
    etc = folder / "etc"
    (etc / "main.cf").write_text(_MAIN.format(folder=folder, lmtp=dovecot.lmtp, sasl=dovecot.sasl, largest=LARGEST))
    (etc / "master.cf").write_text(_MASTER.format(smtp=smtp, submission=submission))
    (etc / "vmbox").write_text("".join(f"{user} x\n" for user in (*PASSWORDS, "@fresh.test")))
    (etc / "valias").write_text("jobs@lab.test director@lab.test, secretary@lab.test\n")
    # Postfix warns on standard error of what does not matter here (other users' files, no /etc/aliases).
    subprocess.run([_PROGRAM, "-c", str(etc), "start"], check=True, timeout=60, capture_output=True)
    wait_for_port(submission, "Postfix")
    return Postfix(folder, smtp, submission, dovecot.ca_file)


def stop_postfix(server: Postfix) -> None:
    command = [_PROGRAM, "-c", str(server.folder / "etc"), "stop"]
    subprocess.run(command, check=False, timeout=60, capture_output=True)
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postfix(dovecot):
    server = start_postfix(dovecot)
    yield server
    stop_postfix(server)


_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.lab.test
mydestination =
mynetworks = 127.0.0.0/8
default_transport = error:5.1.2 lab: no outside mail
relay_transport = error:5.1.2 lab: no outside mail
virtual_mailbox_domains = lab.test fresh.test
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
virtual_mailbox_maps = texthash:{folder}/etc/vmbox
virtual_alias_maps = texthash:{folder}/etc/valias
alias_maps =
alias_database =
message_size_limit = {largest}
smtpd_tls_cert_file = {folder}/tls/srv.pem
smtpd_tls_key_file = {folder}/tls/srv.key
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{sasl}
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions = reject_unlisted_recipient
smtpd_delay_reject = yes
smtputf8_enable = yes
"""

_MASTER = """
127.0.0.1:{smtp} inet n - n - - smtpd
127.0.0.1:{submission} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
virtual   unix  -       n       n       -       -       virtual
lmtp      unix  -       -       n       -       -       lmtp
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
showq     unix  n       -       n       -       -       showq
postlog   unix-dgram n  -       n       -       1       postlogd
"""
