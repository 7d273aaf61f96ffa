"""Ten lines with imap_tools that save attachments. `python save_with_imap_tools.py HOST PORT USER PASSWORD FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from imap_tools import MailBoxUnencrypted


def main(host: str, port: str, user: str, password: str, folder: str) -> None:
    with MailBoxUnencrypted(host, int(port)).login(user, password) as mailbox:
        for message in mailbox.fetch(mark_seen=False):
            for rank, attachment in enumerate(message.attachments):
                Path(folder, f"{message.uid}_{rank}_{attachment.filename}").write_bytes(attachment.payload)


if __name__ == "__main__":
    main(*sys.argv[1:])
