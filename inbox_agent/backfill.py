"""Old mail taken into scope: read, judged and filed like any other, and never answered."""

from __future__ import annotations

from datetime import datetime, time
from typing import TYPE_CHECKING

import sqlalchemy as sa

from inbox_agent.decide import DOUBT_FOLDER
from inbox_agent.errors import AgentError
from inbox_agent.fetch import batches, fetch
from inbox_agent.installation import policy_for
from inbox_agent.schema import messages

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from inbox_agent.execute import Account
    from inbox_agent.installation import Installation

# What a message that came by backfill carries until it is decided; told_of ignores it, and so does everybody else.
BACKFILL = "backfill"


def take_in(
    installation: Installation,
    account: Account,
    name: str,
    since: date,
    progress: Callable[[int, int], None],
) -> int:
    """Fetch what of one mailbox arrived on that day or later and is not known; how many. The next pass decides.

    Raises AgentError for a mailbox that was never read.
    """
    state = account.mailbox.select(account.folder)
    position = installation.journal.position(name)
    if position.uidvalidity != state.uidvalidity:
        raise AgentError(f"{name} was not read yet under its present numbers. Run first: inbox-agent once")
    start = datetime.combine(since, time(), installation.zone)
    known = installation.journal.known_uids(name, state.uidvalidity, 1)
    uids = [uid for uid in account.mailbox.since(start) if uid <= position.last_uid and uid not in known]
    # SINCE is by the server's day, and a day early for safety.
    uids = [listed.uid for listed in account.mailbox.listed(uids) if listed.internaldate >= start]
    spool, section = installation.spool(name), installation.section(name)
    too_large = f"{policy_for(installation, name).target}/{DOUBT_FOLDER}"
    taken = 0
    for batch in batches(account.mailbox, uids):
        arrived = fetch(account.mailbox, batch, spool, section.max_message_mb * 2**20)
        with installation.journal.transaction("backfill") as write:
            write.receive(name, state.uidvalidity, arrived, too_large)
            write.connection.execute(
                sa.update(messages)
                .where(messages.c.mailbox == name, messages.c.uidvalidity == state.uidvalidity)
                .where(messages.c.uid.in_([message.uid for message in arrived]), messages.c.state == "received")
                .values(told={"saying": BACKFILL})
            )
        taken += len(arrived)
        progress(taken, len(uids))
    return taken
