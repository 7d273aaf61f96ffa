"""How long an application is kept (CNIL, guide du recrutement, 30 January 2023). Pure.

The clock starts at the last contact, or at the offer's deadline if that is later: the process is not over
before it. Three months by default; two years only where the candidate's agreement is on record.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from inbox_agent.installation import Installation


@dataclass(frozen=True, slots=True)
class Retained:
    """What the rule needs of an application, or of a message in doubt.

    `last_contact` is when the candidate or the association last wrote; `keep_agreed`: may be kept longer.
    """

    id: int
    offer: str | None
    last_contact: datetime
    keep_agreed: bool = False


def purge_day(kept: Retained, installation: Installation) -> date:
    """The day on which an application is deleted."""
    retention = installation.config.retention
    offer = installation.policy.offer(kept.offer)
    start = kept.last_contact.astimezone(installation.zone).date()
    if offer and offer.deadline:
        start = max(start, offer.deadline)
    months = retention.months
    if offer and offer.retention_months is not None:
        months = offer.retention_months
    return months_after(start, max(months, retention.agreed_months) if kept.keep_agreed else months)


def months_after(day: date, months: int) -> date:
    """The same day of the month, or the last one of a shorter month."""
    years, month = divmod(day.month - 1 + months, 12)
    last = calendar.monthrange(day.year + years, month + 1)[1]
    return date(day.year + years, month + 1, min(day.day, last))


def announced(installation: Installation) -> timedelta:
    """How long before it the digest tells of a deletion."""
    return timedelta(days=installation.config.retention.announce_days)
