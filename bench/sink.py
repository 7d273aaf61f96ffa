"""An SMTP server that takes everything: `python sink.py FILE` writes its port and its count of messages there.

Thin on purpose: it shares the processors with what is measured. It offers PIPELINING, as Postfix, Exim and the large
providers do.
"""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path

_GREETING = b"220 sink ESMTP\r\n"
_EHLO = b"250-sink\r\n250-PIPELINING\r\n250-SIZE 50000000\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"


class Sink:
    """Counts the messages it took."""

    def __init__(self, note: Path) -> None:
        self._note = note
        self._lock = threading.Lock()
        self.taken = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._tell()

    def _tell(self) -> None:
        self._note.write_text(f"{self.listener.getsockname()[1]} {self.taken}")

    def serve(self) -> None:
        """One thread for each connection, until killed."""
        while True:
            connection, _ = self.listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            connection.sendall(_GREETING)
            for line in lines:
                match line[:4].upper():
                    case b"EHLO" | b"HELO":
                        connection.sendall(_EHLO)
                    case b"DATA":
                        connection.sendall(b"354 go on\r\n")
                        while lines.readline() not in {b".\r\n", b""}:
                            pass
                        with self._lock:
                            self.taken += 1
                            self._tell()
                        connection.sendall(b"250 taken\r\n")
                    case b"QUIT":
                        connection.sendall(b"221 bye\r\n")
                        return
                    case _:
                        connection.sendall(b"250 ok\r\n")


if __name__ == "__main__":
    Sink(Path(sys.argv[1])).serve()
