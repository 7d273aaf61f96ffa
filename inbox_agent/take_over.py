"""What another host left in its spool when it died, read again from the mailbox: a message is moved only when filed.

Acts: reads the mailbox, writes the spool. Reading is pure, so that the same octets give the same files.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import sqlalchemy as sa

from inbox_agent.decision import ActKind, ActState
from inbox_agent.fetch import spool_again_from, spooled
from inbox_agent.schema import acts, messages

if TYPE_CHECKING:
    from inbox_agent.execute import Account
    from inbox_agent.installation import Installation

_log = logging.getLogger(__name__)


def fill_spool(installation: Installation, account: Account, mailbox: str) -> int:
    """Make sure that what is to be filed is on this host; how many messages were fetched again."""
    query = (
        sa.select(messages.c.sha256, messages.c.uidvalidity, messages.c.uid, acts.c.payload)
        .join_from(acts, messages, acts.c.message_id == messages.c.id)
        .where(acts.c.kind == ActKind.FILE, acts.c.state == ActState.PENDING, messages.c.mailbox == mailbox)
        .order_by(acts.c.id)
    )
    with installation.journal.snapshot() as connection:
        rows = connection.execute(query).all()
    spool = installation.spool(mailbox)
    again = 0
    for row in rows:
        if all((spool / source).exists() for source, _ in row.payload["files"]):
            continue
        place = (row.uidvalidity, row.uid)
        if spool_again_from(account.mailbox, account.folder, place, row.sha256, spool, ()):
            list(installation.readers.read([spooled(spool, row.sha256)]))
            again += 1
    if again:
        _log.warning("fetched-again mailbox=%s messages=%d", mailbox, again)
    return again
