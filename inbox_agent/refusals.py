"""Logins that a server refused, remembered in the store, so that no account is locked.

A service that is restarted, and `once` that cron starts every minute, would try a wrong password again and again.
The same password is tried once in ten minutes, a new one at once. Of the password a salted hash is kept, and only
until a login succeeds.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from inbox_agent.errors import AuthenticationError
from inbox_agent.installation import connect_mailbox

if TYPE_CHECKING:
    from inbox_agent.config import MailboxSection
    from inbox_agent.execute import Account
    from inbox_agent.installation import Installation

REST = timedelta(minutes=10)


def connect_unless_refused(installation: Installation, name: str) -> Account:
    """Log in, as connect_mailbox does. Raises AuthenticationError without asking the server while it rests."""
    section = installation.section(name)
    if section.imap.oauth is not None:
        return connect_mailbox(section)  # No password that could be locked; oauth.py has a memory of its own.
    password = section.imap.password.read() if section.imap.password else ""
    _require_rested(installation, section, password)
    try:
        account = connect_mailbox(section)
    except AuthenticationError as error:
        _remember(installation, section, password, error)
        raise
    if installation.journal.fact(_fact(name)):
        installation.journal.note_fact(_fact(name), "")
    return account


def _require_rested(installation: Installation, section: MailboxSection, password: str) -> None:
    kept = installation.journal.fact(_fact(section.name))
    if not kept:
        return
    refused = json.loads(kept)
    until = datetime.fromisoformat(refused["at"]) + REST
    if installation.clock.now() >= until or refused["hash"] != _hash(section, password, refused["salt"]):
        return
    raise AuthenticationError(
        f"{refused['said']}. It is not tried again before {until.astimezone(installation.zone):%H:%M}, so that the "
        "account is not locked; a changed password is tried at once"
    )


def _remember(installation: Installation, section: MailboxSection, password: str, error: AuthenticationError) -> None:
    salt = secrets.token_hex(16)
    at = installation.clock.now().isoformat()
    refused = {"at": at, "said": str(error), "salt": salt, "hash": _hash(section, password, salt)}
    installation.journal.note_fact(_fact(section.name), json.dumps(refused))


def _fact(name: str) -> str:
    return f"refused:{name}"


def _hash(section: MailboxSection, password: str, salt: str) -> str:
    """Of all that a login is made of; slow on purpose (16 MB, 50 ms)."""
    login = "\0".join((section.imap.host, str(section.imap.port), section.imap.user, password))
    return hashlib.scrypt(login.encode(), salt=bytes.fromhex(salt), n=2**14, r=8, p=1).hex()
