"""The digest, made once a day and written down before it is sent, like every other mail of ours."""

from __future__ import annotations

import hashlib
import hmac
import logging
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from inbox_agent.decision import Act, ActKind
from inbox_agent.journal import moment, text
from inbox_agent.schema import digests

if TYPE_CHECKING:
    from pathlib import Path

    from inbox_agent.digest import Digest
    from inbox_agent.installation import Installation

_log = logging.getLogger(__name__)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def send_due_digest(installation: Installation) -> bool:
    """Write the digest of the latest day on which one was due into the outbox, unless it is there already."""
    due = last_due(installation)
    if due is None:
        return False
    with installation.journal.snapshot() as connection:
        if connection.scalar(sa.select(digests.c.day).where(digests.c.day == due.date().isoformat())):
            return False
        before = connection.scalar(sa.select(sa.func.max(digests.c.until)))
    from inbox_agent.survey import Span, digest_view  # noqa: PLC0415 - once a day

    with installation.journal.transaction("until"):
        # Nobody else writes now: what was decided until here can be read, what is decided later is the next digest's.
        until = installation.clock.now()
    start = moment(before) if before else installation.journal.installed_at()
    view = digest_view(installation, due.date(), Span(start, until))
    silent = view.empty and not installation.config.digest.heartbeat
    return _write(installation, view, until, () if silent else _mails(installation, view))


def last_due(installation: Installation) -> datetime | None:
    """The latest moment at which a digest was due since the installation, None if there was none."""
    config, now = installation.config.digest, installation.now()
    for back in range(8):
        day = now.date() - timedelta(days=back)
        due = datetime.combine(day, config.at, installation.zone)
        if due <= now and _WEEKDAYS[day.weekday()] in config.days:
            return due if due >= installation.journal.installed_at() else None
    return None


def preview(installation: Installation, day: date, path: Path) -> Digest:
    """The digest of any day as an HTML file; nothing is sent or written down."""
    from inbox_agent.digest import html  # noqa: PLC0415 - asked for by a person
    from inbox_agent.survey import digest_view, span_of_day  # noqa: PLC0415 - the same

    view = digest_view(installation, day, span_of_day(installation, day))
    path.write_text(html(view, installation.stationery.templates), encoding="utf-8")
    return view


def _mails(installation: Installation, view: Digest) -> tuple[Act, ...]:
    """One for each who is to get it; none where nothing can be sent, which `inbox-agent check` says."""
    if installation.config.smtp is None:
        return ()
    from inbox_agent.digest import render_digest  # noqa: PLC0415 - once a day

    stationery = installation.stationery
    acts = []
    for number, recipient in enumerate(installation.config.digest.to):
        key = f"digest:{view.day}:{number}"
        token = hmac.new(stationery.key, key.encode(), hashlib.sha256).hexdigest()[:32]
        mail = render_digest(
            view,
            stationery.templates,
            message_id=f"<digest.{token}@{stationery.sender.domain}>",
            sent_at=installation.now(),
            sender=stationery.sender,
            recipient=recipient,
            list_id=f"candidatures.{stationery.sender.domain}",
            envelope_from=stationery.sender.addr_spec,
        )
        payload = {"template": "digest", "envelope_from": mail.envelope_from}
        acts.append(Act(ActKind.SEND, key, payload, mail.octets, mail.recipient, mail.message_id))
    return tuple(acts)


def _write(installation: Installation, view: Digest, until: datetime, mails: tuple[Act, ...]) -> bool:
    """The digest and the note that it was made, in one transaction; execute sends it."""
    made_at = text(installation.clock.now())
    with installation.journal.transaction("digest") as write:
        row = {"day": view.day.isoformat(), "until": text(until), "made_at": made_at}
        write.connection.execute(sa.insert(digests).values(**row))
        write.plan(mails, None, None)
    _log.info("digest day=%s mails=%d empty=%s", view.day, len(mails), view.empty)
    return bool(mails)
