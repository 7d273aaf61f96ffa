"""A small SMTP server that answers each step as it is told, or breaks off there.

`answers` maps a step (GREETING, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, DOT, RSET, QUIT, or BODY: while lines come)
to a line, to None for silence, or to Drop; what is not named is answered as usual. `messages` are those that
were accepted, with dots undone.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field

_USUAL = {
    "GREETING": b"220 scripted ESMTP",
    "EHLO": b"250-scripted\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN",
    "AUTH": b"235 ok",
    "MAIL": b"250 ok",
    "RCPT": b"250 ok",
    "DATA": b"354 go on",
    "DOT": b"250 2.0.0 taken",
    "RSET": b"250 ok",
    "QUIT": b"221 bye",
}

_PIPELINES = b"250-scripted\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN"


class Drop(Exception):  # noqa: N818 # The connection is closed.
    pass


@dataclass
class ScriptedSmtp:
    answers: dict[str, bytes | type[Drop] | None] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    pipelines: bool = False

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()

    def drop(self):
        """Close every connection."""
        while self._open:
            connection = self._open.pop()
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        file = connection.makefile("rb")
        with contextlib.suppress(OSError, ValueError, Drop):
            self._step(connection, "GREETING")
            while line := file.readline():
                verb = line.split()[0].decode().upper() if line.strip() else ""
                if self._step(connection, verb) and verb == "DATA":
                    self._body(connection, file)
                if verb == "QUIT":
                    break
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    def _step(self, connection, step) -> bool:
        """Whether it was granted."""
        self.steps.append(step)
        usual = _PIPELINES if self.pipelines and step == "EHLO" else _USUAL.get(step, b"502 no")
        answer = self.answers.get(step, usual)
        if answer is Drop:
            raise Drop
        if answer is not None:
            connection.sendall(answer + b"\r\n")
        return answer is not None and answer[:1] in b"23"

    def _body(self, connection, file):
        lines = []
        while (line := file.readline()) != b".\r\n":
            if not line:
                raise Drop
            if "BODY" in self.answers:
                self._step(connection, "BODY")
            lines.append(line[1:] if line.startswith(b".") else line)
        if self._step(connection, "DOT"):
            self.messages.append(b"".join(lines))
