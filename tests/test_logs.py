"""What candidates write, and what unlocks the mailbox, is in no log: grepped after mail has gone through."""

from __future__ import annotations

import email
import email.header
import os
import random
import re
from email.utils import getaddresses
from pathlib import Path

import pytest

from laboratory import Mail

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

OURS = re.compile(rb"villesaucarre|fresh\.test|127\.0\.0\.1", re.IGNORECASE)
HERE = Path(__file__).parent


def private_words(octets: bytes) -> set[str]:
    """Addresses, names of people and the subject of a message: enough of each to be no word of a program."""
    found = {text.decode("ascii") for text in re.findall(rb"[\w.+-]{3,64}@[\w-]+\.[\w.-]*\w", octets) if text.isascii()}
    found = {text for text in found if not OURS.search(text.encode())}
    message = email.message_from_bytes(octets)
    for field in ("From", "Reply-To", "Subject"):
        for value in message.get_all(field, []):
            text = decoded(value)
            names = [name for name, _ in getaddresses([text])] if field != "Subject" else [text]
            found |= {" ".join(name.split()) for name in names if len(name) > 8 and " " in name.strip()}
    return found


def decoded(value: object) -> str:
    try:
        return str(email.header.make_header(email.header.decode_header(str(value))))
    except (LookupError, ValueError, email.errors.HeaderParseError):
        return str(value)


def leaks(log: str, mails: list[Mail]) -> list[str]:
    flat = " ".join(log.split())
    return [word for mail in mails for word in private_words(mail.octets) if word in flat]


def test_the_words_that_are_looked_for_are_found_where_they_are():
    octets = b"From: Jeanne Dupont <jeanne.dupont@example.org>\r\nSubject: Candidature de J. D.\r\n\r\nBonjour\r\n"
    assert private_words(octets) == {"jeanne.dupont@example.org", "Jeanne Dupont", "Candidature de J. D."}
    assert leaks("refused jeanne.dupont@example.org\n", [Mail("x", octets, 1)]) == ["jeanne.dupont@example.org"]


def through_the_program(laboratory, mails: list[Mail]) -> None:
    lab = laboratory(largest=20)
    (lab.folder / "password").write_text("fresh")
    lab.deliver(*mails)
    assert lab.once() == 0, lab.errors()
    assert lab.once(digest=True, ahead=90000) == 0, lab.errors()
    log = (lab.folder / "errors.log").read_text(errors="replace")
    assert log.count("decided message=") + log.count("unread message=") >= len(mails)
    assert leaks(log, mails) == []
    assert re.search(r"\bfresh\b(?!\.test)", log) is None
    assert lab.rows("SELECT COUNT(*) FROM messages WHERE state = 'received'") == [(0,)]


def test_nothing_of_the_labelled_messages_is_in_the_logs(laboratory):
    paths = [*(HERE.parent / "inbox_agent" / "demo_messages").glob("*.eml"), *(HERE / "messages").glob("*.eml")]
    chosen = random.Random(1).sample(sorted(paths), min(60, len(paths)))  # noqa: S311 # A sample.
    through_the_program(laboratory, [Mail(path.name, path.read_bytes(), 5) for path in chosen])


def test_nothing_of_mail_in_doubt_or_in_error_is_in_the_logs(laboratory, sink):
    mails = [
        Mail(path.name, path.read_bytes(), 5) for path in (HERE.parent / "inbox_agent" / "demo_messages").glob("*.eml")
    ]
    lab = laboratory("no evidence, ask")
    sink.answers = {"RCPT": ["550 karim.benali@example.net unknown", "451 later", "550 no"]}
    lab.deliver(*mails)
    lab.once(failpoint="smtp.dot.before:3:kill")
    lab.settle()
    log = (lab.folder / "errors.log").read_text(errors="replace")
    assert leaks(log, mails) == []


@pytest.mark.corpora
def test_nothing_of_the_corpora_is_in_the_logs(laboratory):
    folder = os.environ.get("INBOX_AGENT_CORPORA")
    if not folder:
        pytest.skip("INBOX_AGENT_CORPORA names no folder")
    paths = [path for path in (Path(folder) / "mails").rglob("*") if path.is_file() and path.stat().st_size < 2**20]
    count = int(os.environ.get("INBOX_AGENT_LOG_SAMPLE", "150"))
    chosen = random.Random(4).sample(sorted(paths), min(count, len(paths)))  # noqa: S311 # A sample.
    mails = [Mail(path.name, octets, 5) for path in chosen if (octets := path.read_bytes()).strip()]
    through_the_program(laboratory, mails)
