"""Courier IMAP 5.0 on loopback.

Its login wants a daemon at a fixed place of the system, so the port is ours: who has said LOGIN (with any password)
goes on with the real `imapd`, as after Courier's own `imaplogin`, in a Maildir of that name. Debian's package would
remove Dovecot's, so it is unpacked in a folder: see servers.cyrus.
"""

from __future__ import annotations

import os
import re
import shutil
import socketserver
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from servers.cyrus import libraries, unpacked
from servers.dovecot import _owner

if TYPE_CHECKING:
    import socket

_LOGIN = re.compile(rb'(\S+) (CAPABILITY|NOOP|LOGOUT|LOGIN "?([\w@.-]+)"? \S+)\r\n', re.IGNORECASE)
# As Debian's /etc/courier/imapd has it.
_CAPABILITY = "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE"
_SETTINGS = {
    "IMAP_CAPABILITY": _CAPABILITY,
    "IMAP_KEYWORDS": "1",
    "IMAP_IDLE_TIMEOUT": "60",
    "IMAP_ENHANCEDIDLE": "0",
    "IMAP_CHECK_ALL_FOLDERS": "0",
    "IMAP_USELOCKS": "1",
    "IMAP_MAILBOX_SANITY_CHECK": "1",
    "IMAP_TRASHFOLDERNAME": "Trash",
    "IMAP_EMPTYTRASH": "Trash:7",
    "IMAP_MOVE_EXPUNGE_TO_TRASH": "0",
    "PROTOCOL": "IMAP",
    "TCPREMOTEIP": "127.0.0.1",
    "HOSTNAME": "courier.lab.test",
    "SHELL": "/bin/sh",
}


class _Greeting(socketserver.StreamRequestHandler):
    """Until the login; then the socket is imapd's."""

    rbufsize = 0

    def handle(self) -> None:
        self.wfile.write(f"* OK [CAPABILITY {_CAPABILITY}] Courier-IMAP ready.\r\n".encode())
        while match := _LOGIN.fullmatch(self.rfile.readline()):
            tag, verb, user = match.groups()
            if user:
                self.server.courier.serve(self.request, tag.decode(), user.decode())
                return
            if verb.upper() == b"CAPABILITY":
                self.wfile.write(f"* CAPABILITY {_CAPABILITY}\r\n".encode())
            self.wfile.write(tag + b" OK done\r\n")
            if verb.upper() == b"LOGOUT":
                return


class Courier:
    def __init__(self) -> None:
        self.packages = unpacked("usr/bin/imapd")
        self.folder = Path(tempfile.mkdtemp(prefix="courier-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.imap = 0
        self._running: set[subprocess.Popen[bytes]] = set()
        self.start()

    def start(self) -> None:
        socketserver.ThreadingTCPServer.allow_reuse_address = True
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", self.imap), _Greeting)
        self._server.daemon_threads = True
        self._server.courier = self
        self.imap = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for process in tuple(self._running):
            process.terminate()
            process.wait(10)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def serve(self, connection: socket.socket, tag: str, user: str) -> None:
        home = self.folder / user
        owner, group = _owner()
        for name in ("cur", "new", "tmp"):
            (home / "Maildir" / name).mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:  # imapd will not run as root.
            for path in (home, *home.rglob("*")):
                shutil.chown(path, owner, group)
        log = (self.folder / "log").open("ab")
        process = subprocess.Popen(
            [self.packages / "usr/bin/imapd", "Maildir"],
            cwd=home,
            env={
                **libraries(self.packages),
                **_SETTINGS,
                "AUTHENTICATED": user,
                "AUTHADDR": user,
                "HOME": str(home),
            },
            stdin=connection,
            stdout=subprocess.PIPE,
            bufsize=0,
            stderr=log,
            **({"user": owner, "group": group, "extra_groups": []} if os.geteuid() == 0 else {}),
        )
        log.close()
        self._running.add(process)
        with process, suppress(OSError):
            # Started by hand it greets with PREAUTH; the client has had a greeting, and waits for a tagged OK.
            while b"PREAUTH" not in process.stdout.readline():
                pass
            connection.sendall(f"{tag} OK LOGIN Ok.\r\n".encode())
            while said := process.stdout.read(65536):
                connection.sendall(said)
        self._running.discard(process)
