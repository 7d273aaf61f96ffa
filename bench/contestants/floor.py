"""The least that must be done: raw pipelined FETCH, a2b_base64, write, pdfium's text, fsync. Nothing is judged or kept.

`python floor.py HOST PORT USER PASSWORD FOLDER [PROCESSES]`: the processes divide the messages. It knows how the
generated mail is built, and parses no more than it must.
"""

from __future__ import annotations

import binascii
import os
import re
import socket
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pypdfium2

if TYPE_CHECKING:
    from collections.abc import Iterator

_WINDOW = 8  # FETCH commands on their way
_XML = re.compile(r"<[^>]+>")


@dataclass(frozen=True)
class Account:
    """Who asks whom."""

    host: str
    port: int
    user: str
    password: str


def main(host: str, port: str, user: str, password: str, folder: str, processes: str = "1") -> None:  # noqa: PLR0913, PLR0917 - a command line
    account, shares = Account(host, int(port), user, password), int(processes)
    for share in range(1, shares):
        if os.fork() == 0:
            work(account, Path(folder), share, shares)
            os._exit(0)
    work(account, Path(folder), 0, shares)
    for _ in range(1, shares):
        os.wait()


def work(account: Account, folder: Path, share: int, shares: int) -> None:
    sock = socket.create_connection((account.host, account.port))
    reader = sock.makefile("rb", 1 << 18)
    reader.readline()
    for command in (f"a LOGIN {account.user} {account.password}", "b EXAMINE INBOX"):
        sock.sendall(f"{command}\r\n".encode())
        while not (line := reader.readline()).startswith(command[:2].encode()):
            if line.endswith(b" EXISTS\r\n"):
                total = int(line.split()[1])
    mine = range(1 + share, total + 1, shares)
    asked = iter(mine)
    for _ in range(_WINDOW):
        ask(sock, asked)
    for number in mine:
        octets = answer(reader)
        ask(sock, asked)
        handle(octets, folder, number)
    sock.sendall(b"z LOGOUT\r\n")


def ask(sock: socket.socket, numbers: Iterator[int]) -> None:
    number = next(numbers, None)
    if number is not None:
        sock.sendall(b"f FETCH %d (BODY.PEEK[])\r\n" % number)


def answer(reader: BinaryIO) -> bytes:
    """The next literal. Dovecot answers several FETCH at once and says OK to them later."""
    while not (line := reader.readline()).endswith(b"}\r\n"):
        pass
    return reader.read(int(line[line.rindex(b"{") + 1 : -3]))


def handle(octets: bytes, folder: Path, number: int) -> None:
    written = []
    at = 0
    while (named := octets.find(b'filename="', at)) >= 0:
        start = octets.index(b"\r\n\r\n", named) + 4
        at = octets.index(b"\r\n--", start)
        content = binascii.a2b_base64(octets[start:at])
        name = octets[named + 10 : octets.index(b'"', named + 10)].decode()
        path = folder / f"{number}_{name}"
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
        os.write(descriptor, content)
        written.append(descriptor)
        text_of(path, content)
    for descriptor in written:
        os.fsync(descriptor)
        os.close(descriptor)


def text_of(path: Path, content: bytes) -> str:
    if path.suffix == ".pdf":
        document = pypdfium2.PdfDocument(content)
        text = "".join(page.get_textpage().get_text_range() for page in document)
        document.close()
        return text
    with zipfile.ZipFile(path) as archive:
        return _XML.sub("", archive.read("word/document.xml").decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
