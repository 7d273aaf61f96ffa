"""A small IMAP server that lies and lacks on demand: what Dovecot cannot be made to do.

`ScriptedImap(...)` is a context; its fields say what it can and how it names folders. `hooks` maps a regular
expression over a command line (without its tag) to a function that may say something of its own instead.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

FULL = ("IMAP4rev1", "NAMESPACE", "UIDPLUS", "MOVE", "IDLE")
COURIER = ("IMAP4rev1", "NAMESPACE", "UIDPLUS", "IDLE")  # No MOVE; quotes the names of fields it tells.
OLD = ("IMAP4rev1",)  # As RFC 3501 has it, without any extension.


@dataclass
class Mail:
    uid: int
    octets: bytes
    date: str = "14-Feb-2024 09:00:00 +0100"
    flags: set[str] = field(default_factory=set)


@dataclass
class Folder:
    uidvalidity: int = 1000
    uidnext: int = 1
    mails: list[Mail] = field(default_factory=list)

    def add(self, octets: bytes, date: str = "14-Feb-2024 09:00:00 +0100") -> int:
        self.mails.append(Mail(self.uidnext, octets, date))
        self.uidnext += 1
        return self.uidnext - 1


class Hang(Exception):  # noqa: N818 # Not an error: the connection is left open without a word.
    pass


class Drop(Exception):  # noqa: N818 # The connection is closed.
    pass


Hook = Callable[["Conversation", str, str], list[bytes] | None]


@dataclass
class ScriptedImap:
    capabilities: tuple[str, ...] = FULL
    prefix: str = ""
    separator: str = "/"
    greeting: bytes = b"* OK ready"
    codes: bool = True  # Whether COPYUID, APPENDUID and TRYCREATE are told.
    permanent: bool = True
    folders: dict[str, Folder] = field(default_factory=lambda: {"INBOX": Folder()})
    hooks: dict[str, Hook] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    idling: threading.Event = field(default_factory=threading.Event)
    port: int = 0

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
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=Conversation(self, connection).run, daemon=True).start()


class Conversation:
    def __init__(self, server: ScriptedImap, connection: socket.socket) -> None:
        self.server = server
        self.connection = connection
        self.file = connection.makefile("rb")
        self.selected: Folder | None = None

    def say(self, *lines: bytes) -> None:
        self.connection.sendall(b"".join(line + b"\r\n" for line in lines))

    def run(self) -> None:
        try:
            self.say(self.server.greeting)
            while line := self.file.readline():
                tag, _, command = line.decode("latin-1").rstrip("\r\n").partition(" ")
                self._command(tag, command)
        except (OSError, ValueError, Drop):
            pass
        except Hang:
            return
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _command(self, tag: str, command: str) -> None:
        self.server.commands.append(command)
        for pattern, hook in self.server.hooks.items():
            if re.match(pattern, command):
                answer = hook(self, tag, command)
                if answer is not None:
                    self.say(*answer)
                    return
        words = command.split(" ")
        uid = words[0].upper() == "UID"
        name = words[1 if uid else 0].lower()
        method = getattr(self, f"_{name}", None)
        if method is None or (name == "move" and "MOVE" not in self.server.capabilities):
            self.say(f"{tag} BAD unknown".encode())
            return
        rest = command.split(" ", 2 if uid else 1)[-1]
        for line in method(rest):
            self.say(line)
        code = getattr(self, "_code", b"")
        self._code = b""
        self.say((code or f"{tag} OK done".encode()).replace(b"TAG", tag.encode()))

    def _no(self, text: str) -> list[bytes]:
        self._code = f"TAG NO {text}".encode()
        return []

    def _capability(self, _):
        yield f"* CAPABILITY {' '.join(self.server.capabilities)}".encode()

    def _login(self, rest):
        return [] if '"right"' in rest or " right" in rest else self._no("[AUTHENTICATIONFAILED] wrong")

    def _namespace(self, _):
        yield f'* NAMESPACE (("{self.server.prefix}" "{self.server.separator}")) NIL NIL'.encode()

    def _list(self, rest):
        if rest == '"" ""':
            yield f'* LIST (\\Noselect) "{self.server.separator}" ""'.encode()
            return
        for name in sorted(self.server.folders):
            yield f'* LIST (\\HasNoChildren) "{self.server.separator}" "{name}"'.encode()

    def _folder(self, text: str) -> Folder | None:
        name = re.match(r'"?([^"]*)"?', text)[1]
        return self.server.folders.get("INBOX" if name.upper() == "INBOX" else name)

    def _select(self, rest):
        self.selected = folder = self._folder(rest)
        if folder is None:
            return self._no("no such folder")
        return [
            f"* {len(folder.mails)} EXISTS".encode(),
            b"* 0 RECENT",
            b"* FLAGS (\\Seen \\Deleted)",
            f"* OK [UIDVALIDITY {folder.uidvalidity}] ok".encode(),
            f"* OK [UIDNEXT {folder.uidnext}] ok".encode(),
        ]

    _examine = _select

    def _status(self, rest):
        folder = self._folder(rest)
        if folder is None:
            return self._no("no such folder")
        name = rest[: rest.rindex(" (")]
        return [
            f"* STATUS {name} (MESSAGES {len(folder.mails)} UIDNEXT {folder.uidnext} "
            f"UIDVALIDITY {folder.uidvalidity})".encode()
        ]

    def _create(self, rest):
        name = rest.strip('"')
        if not name.startswith(self.server.prefix):
            return self._no("folders are beneath the prefix")
        self.server.folders[name] = Folder(uidvalidity=2000)
        return []

    def _subscribe(self, _):
        return []

    def _noop(self, _):
        if self.selected is not None:
            yield f"* {len(self.selected.mails)} EXISTS".encode()

    def _logout(self, _):
        yield b"* BYE goodbye"

    def _matching(self, numbers: str) -> list[Mail]:
        found = []
        top = max((mail.uid for mail in self.selected.mails), default=0)
        for part in numbers.split(","):
            low, _, high = part.partition(":")
            first, last = sorted(top if end == "*" else int(end) for end in (low, high or low))
            found += [mail for mail in self.selected.mails if first <= mail.uid <= last]
        return found

    def _search(self, rest):
        mails = self.selected.mails
        if rest.startswith("UID "):
            mails = self._matching(rest[4:])
        elif rest.startswith("HEADER Message-ID "):
            wanted = rest[18:].strip('"').encode()
            mails = [mail for mail in mails if wanted in _message_id(mail.octets)]
        elif rest.startswith("DELETED"):
            mails = [mail for mail in mails if "\\Deleted" in mail.flags]
        yield ("* SEARCH " + " ".join(str(mail.uid) for mail in mails)).encode()

    def _fetch(self, rest):
        numbers, _, items = rest.partition(" ")
        for mail in self._matching(numbers):
            yield self._described(mail, items)

    def _described(self, mail: Mail, items: str) -> bytes:
        parts = [f"UID {mail.uid}".encode()]
        if "RFC822.SIZE" in items:
            parts.append(f"RFC822.SIZE {len(mail.octets)}".encode())
        if "INTERNALDATE" in items:
            parts.append(f'INTERNALDATE "{mail.date}"'.encode())
        if "HEADER.FIELDS" in items:
            octets = b"Message-ID: " + _message_id(mail.octets) + b"\r\n\r\n"
            name = b'"MESSAGE-ID"' if self.server.capabilities == COURIER else b"MESSAGE-ID"
            parts.append(b"BODY[HEADER.FIELDS (%b)] {%d}\r\n%b" % (name, len(octets), octets))
        if partial := re.search(r"BODY\.PEEK\[\](?:<(\d+)\.(\d+)>)?", items):
            start = int(partial[1] or 0)
            octets = mail.octets[start : start + int(partial[2] or len(mail.octets))]
            where = b"<%d>" % start if partial[1] else b""
            parts.append(b"BODY[]%b {%d}\r\n%b" % (where, len(octets), octets))
        sequence = self.selected.mails.index(mail) + 1
        return b"* %d FETCH (%b)" % (sequence, b" ".join(parts))

    def _copy(self, rest):
        numbers, _, name = rest.partition(" ")
        target = self._folder(name)
        if target is None:
            return self._no("[TRYCREATE] no such folder" if self.server.codes else "no such folder")
        mails = self._matching(numbers)
        new = [target.add(mail.octets, mail.date) for mail in mails]
        if new and self.server.codes and "UIDPLUS" in self.server.capabilities:
            old = ",".join(str(mail.uid) for mail in mails)
            text = ",".join(str(uid) for uid in new)
            self._code = f"TAG OK [COPYUID {target.uidvalidity} {old} {text}] copied".encode()
        return []

    def _move(self, rest):
        mails = self._matching(rest.partition(" ")[0])
        answer = self._copy(rest)
        if getattr(self, "_code", b"").startswith(b"TAG NO"):
            return answer
        lines = []
        if self._code:
            lines.append(self._code.replace(b"TAG", b"*"))
            self._code = b""
        return lines + self._removed(mails)

    def _removed(self, mails: list[Mail]) -> list[bytes]:
        lines = []
        for mail in mails:
            lines.append(b"* %d EXPUNGE" % (self.selected.mails.index(mail) + 1))
            self.selected.mails.remove(mail)
        return lines

    def _store(self, rest):
        for mail in self._matching(rest.partition(" ")[0]):
            mail.flags |= set(re.findall(r"\\\w+", rest))
        return []

    def _expunge(self, rest):
        mails = self.selected.mails if rest.upper() == "EXPUNGE" else self._matching(rest)
        return self._removed([mail for mail in mails if "\\Deleted" in mail.flags])

    def _append(self, rest):
        size = int(re.search(r"\{(\d+)\}$", rest)[1])
        folder = self._folder(rest)
        if folder is None:
            return self._no("[TRYCREATE] no such folder" if self.server.codes else "no such folder")
        self.say(b"+ go on")
        uid = folder.add(self.file.read(size))
        self.file.readline()
        if self.server.codes and "UIDPLUS" in self.server.capabilities:
            self._code = f"TAG OK [APPENDUID {folder.uidvalidity} {uid}] added".encode()
        return []

    def _idle(self, _):
        self.say(b"+ idling")
        self.server.idling.set()
        assert self.file.readline().strip() == b"DONE"
        self.server.idling.clear()
        return []


def _message_id(octets: bytes) -> bytes:
    match = re.search(rb"(?im)^message-id:[ \t]*(\S+)", octets)
    return match[1] if match else b""
