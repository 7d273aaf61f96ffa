"""The reading child with a stand-in for recognition: run by tests of the readers, so that rules play no part.

Every attachment is a document of its kind "other"; a text of 60 characters or more is a body document. Some subjects
make it misbehave, as a reader that a document has killed or taken over would.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import time
import types
from pathlib import Path

from inbox_agent.application import Document, DocumentKind, DocumentState, Evidence, Kind, Reading, Where


def recognise(message, extracts, offers, rules, staff):
    misbehave(message.subject)
    documents = [
        Document(
            name=extract.name,
            kind=DocumentKind.OTHER,
            where=extract.where,
            state=extract.state,
            pages=extract.pages,
            part=extract.part,
            media_type=extract.media_type,
            size=len(extract.octets),
            sha256=hashlib.sha256(extract.octets).hexdigest(),
            notes=extract.notes,
            why=(Evidence("text", extract.text[:60], 0.0),),
        )
        for extract in extracts
    ]
    if len(message.text) >= 60:
        body = message.text.encode()
        digest = hashlib.sha256(body).hexdigest()
        documents.append(
            Document(
                "", DocumentKind.LETTER, Where.BODY, DocumentState.READ, None, "body", "text/plain", len(body), digest
            )
        )
    return Reading(
        sha256="0" * 64 if message.subject == "lie" else message.sha256,
        size=message.size,
        fingerprint=message.sha256,
        kind=Kind.BULK if message.subject == "bulk" else Kind.APPLICATION,
        offer=None,
        candidate=None,
        sender=message.from_[0].addr_spec if message.from_ else None,
        subject=message.subject,
        message_id=message.message_id,
        thread=(),
        language="fr",
        received=None,
        date=message.date,
        documents=tuple(documents),
        evidence=tuple(Evidence("tried", what, 0.0) for what in attempts(message.subject)),
    )


def misbehave(subject: str) -> None:  # noqa: C901 a table of misdeeds
    match subject:
        case "die":
            os.abort()
        case "hang":
            while True:
                time.sleep(1)
        case "burn":
            while True:
                pass
        case "raise":
            raise ValueError("a bug")
        case "eat":
            bytearray(3 << 30)
        case "nonsense":
            sys.stdout.flush()
            os.write(STATE.answers, b"\x00\x00\x00\x05hello")
        case "flood":
            os.write(STATE.answers, b"\x7f\xff\xff\xff" + bytes(100_000))
            for _ in range(100):
                os.write(STATE.answers, bytes(100_000))
        case "die once" if STATE.fork_denied:
            os.abort()


def attempts(subject: str) -> list[str]:
    """What a child that was taken over would try; each line says how it went."""
    if subject != "escape":
        return []
    tries = {
        "socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        "exec": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606 it must fail
        "fork": os.fork,
        "read": lambda: Path("/etc/passwd").read_bytes(),
        "list": lambda: list(Path("/home").iterdir()),
        "write": lambda: Path("/tmp/inbox-agent-escape").write_bytes(b"x"),  # noqa: S108 it must fail
        "kill": lambda: os.kill(os.getppid(), 0),
        "environment": lambda: os.environ["INBOX_AGENT_SECRET"],
    }
    said = []
    for name, attempt in tries.items():
        try:
            attempt()
        except (OSError, KeyError) as error:
            said.append(f"{name}: {type(error).__name__}")
        else:
            said.append(f"{name}: done")
    return said


STATE = types.SimpleNamespace(answers=0, fork_denied=False)


def main() -> None:
    stub = types.ModuleType("inbox_agent.recognise")
    stub.recognise = recognise
    stub.candidates_words = lambda message, _staff: message.text
    sys.modules["inbox_agent.recognise"] = stub
    from inbox_agent import read  # noqa: PLC0415 after the stand-in is in its place

    confine = read.confine

    def confine_and_tell(*args, fork, **more):
        STATE.fork_denied = not fork
        return confine(*args, fork=fork, **more)

    answer = read._answer

    def answer_and_tell(stream, value):
        STATE.answers = stream.fileno()
        answer(stream, value)

    read.confine = confine_and_tell
    read._answer = answer_and_tell
    read.main()


if __name__ == "__main__":
    main()
