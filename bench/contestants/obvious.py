"""The obvious agent: the standard library's IMAP and e-mail, pypdf, one message at a time, one file after another.

It saves each message and its attachments, reads their text, takes a guess, notes it in SQLite and moves the message.
It neither answers nor synchronises its files. `python obvious.py HOST PORT USER PASSWORD FOLDER`.
"""

from __future__ import annotations

import imaplib
import io
import re
import sqlite3
import sys
from email import message_from_bytes, policy
from pathlib import Path

import docx
import pypdf


def main(host: str, port: str, user: str, password: str, folder: str) -> None:
    client = imaplib.IMAP4(host, int(port))
    client.login(user, password)
    client.create("Candidatures")
    client.select("INBOX")
    store = sqlite3.connect(Path(folder, "store.db"))
    store.execute("CREATE TABLE seen (uid, sender, subject, files, kind)")
    _, (found,) = client.uid("SEARCH", "ALL")
    for uid in found.split():
        _, parts = client.uid("FETCH", uid.decode(), "(BODY.PEEK[])")
        octets = parts[0][1]
        message = message_from_bytes(octets, policy=policy.default)
        place = Path(folder, uid.decode())
        place.mkdir()
        (place / "message.eml").write_bytes(octets)
        names, words = [], str(message["Subject"])
        for part in message.iter_attachments():
            name, content = Path(part.get_filename("x")).name, part.get_content()
            (place / name).write_bytes(content)
            names.append(name)
            words += text_of(name, content)
        is_application = bool(re.search(r"candidature|motivation|exp[ée]rience", words, re.IGNORECASE) and names)
        sender, subject = str(message["From"]), str(message["Subject"])
        store.execute(
            "INSERT INTO seen VALUES (?, ?, ?, ?, ?)", (uid, sender, subject, ",".join(names), is_application)
        )
        store.commit()
        if is_application:
            client.uid("MOVE", uid.decode(), "Candidatures")
    client.logout()


def text_of(name: str, content: bytes) -> str:
    if name.endswith(".pdf"):
        return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)
    if name.endswith(".docx"):
        return "\n".join(paragraph.text for paragraph in docx.Document(io.BytesIO(content)).paragraphs)
    return ""


if __name__ == "__main__":
    main(*sys.argv[1:])
