"""How long an application is kept (CNIL, guide du recrutement, 30 January 2023). Pure.

The clock starts at the last contact, or at the offer's deadline if that is later: the process is not over
before it. Three months by default; two years only where the candidate's agreement is on record.
"""

from __future__ import annotations

import calendar
from datetime import date, timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from inbox_agent.installation import Installation


class Kept(Protocol):
    """What retention needs to know of an application."""

    @property
    def offer(self) -> str | None:
        """Its offer id."""

    @property
    def last_contact(self) -> datetime:
        """When the candidate or the association last wrote."""

    @property
    def keep_agreed(self) -> bool:
        """Whether the candidate agreed to be kept longer."""


def purge_day(kept: Kept, installation: Installation) -> date:
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
