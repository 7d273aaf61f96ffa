"""The configuration of an installation that a test or a bench makes, and the secrets that it names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TEXT = """\
state = "state"
{top}
[organisation]
name = "Villes au Carré"
address = "{address}"

[[mailboxes]]
name = "direction"
{mailbox}
[mailboxes.imap]
host = "127.0.0.1"
{imap}

[smtp]
host = "127.0.0.1"
{smtp}

[replies]
mode = "{mode}"
answer_since = {since}
{replies}

[archive]
root = "archive"

[digest]
to = {digest}
{sections}
"""


def configuration(
    *,
    address: str,
    imap: str,
    smtp: str,
    digest: Sequence[str],
    mode: str = "send",
    since: str = "2024-01-01",
    top: str = 'rules = "rules"\nfirst_run = "all"\n',
    mailbox: str = "",
    replies: str = "",
    sections: str = "",
) -> str:
    """Lines of TOML go where their names say; `sections` follow [digest]."""
    return _TEXT.format(
        address=address,
        imap=imap,
        smtp=smtp,
        digest=json.dumps(list(digest)),
        mode=mode,
        since=since,
        top=top,
        mailbox=mailbox,
        replies=replies,
        sections=sections,
    )


def keep_secret(folder: Path, name: str, secret: str) -> str:
    """A secret in a file that only its owner reads; the line that names it."""
    path = folder / name
    path.touch(mode=0o600)
    path.write_text(secret)
    return f'password = {{ file = "{name}" }}'
