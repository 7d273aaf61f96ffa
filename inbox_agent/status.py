"""`inbox-agent status`: one line that says what is wrong and what to do, then the numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from inbox_agent.decision import ActState
from inbox_agent.journal import REPLIES_STOPPED, SENDING_TROUBLE, Ledger, moment
from inbox_agent.schema import acts, applications, digests, mailboxes
from inbox_agent.table import many, minute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inbox_agent.installation import Installation

# A poll that is so many intervals old means that the agent does not run.
_STALE_INTERVALS = 5


@dataclass(frozen=True, slots=True)
class Status:
    """What `status` says. `troubles` are sentences, each with what to do; none: all is well."""

    troubles: tuple[str, ...]
    ledger: Ledger
    applications: int
    replies: dict[str, int]
    last_polls: dict[str, str | None]
    last_digest: str | None

    @property
    def well(self) -> bool:
        """Whether nothing needs a person."""
        return not self.troubles

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        return {"well": self.well, **asdict(self)}

    def in_words(self, timezone: str) -> str:
        """For a terminal, in local time."""
        zone = ZoneInfo(timezone)
        ledger = self.ledger
        replies = ", ".join(f"{count} {state}" for state, count in sorted(self.replies.items())) or "none"
        polls = (
            ", ".join(f"{name} {minute(at, zone) if at else 'never'}" for name, at in self.last_polls.items())
            or "never"
        )
        return "\n".join(
            (
                "well" if self.well else "\n".join(f"WRONG  {trouble}" for trouble in self.troubles),
                f"messages      {ledger.messages} in scope: {_ledger_words(ledger)}",
                f"applications  {self.applications}",
                f"mails         {replies}",
                f"last poll     {polls}",
                f"last digest   {self.last_digest or 'never'}",
            )
        )


def _ledger_words(ledger: Ledger) -> str:
    parts = {
        "filed": "filed",
        "left": "left",
        "doubt": "in doubt",
        "quarantined": "in quarantine",
        "pending": "pending",
    }
    return ", ".join(f"{getattr(ledger, part)} {words}" for part, words in parts.items())


def before_the_store(why: str) -> Status:
    """Nothing was done yet."""
    return Status((why,), Ledger(0, 0, 0, 0, 0, 0), 0, {}, {}, None)


def read_status(installation: Installation) -> Status:
    """Look at the store; the mail servers are not asked."""
    ledger = installation.journal.ledger()
    with installation.journal.snapshot() as connection:
        polls = {row.name: row for row in connection.execute(sa.select(mailboxes))}
        count = connection.scalar(sa.select(sa.func.count()).select_from(applications)) or 0
        mails = sa.select(acts.c.state, sa.func.count()).where(acts.c.octets.is_not(None)).group_by(acts.c.state)
        replies = {str(state): number for state, number in connection.execute(mails)}
        last_digest = connection.scalar(sa.select(sa.func.max(digests.c.day)))
    return Status(
        troubles=tuple(_troubles(installation, polls, replies, ledger)),
        ledger=ledger,
        applications=count,
        replies=replies,
        last_polls={name: row.polled_at for name, row in polls.items()},
        last_digest=last_digest,
    )


def _troubles(installation: Installation, polls: dict[str, Any], replies: dict[str, int], ledger: Ledger) -> list[str]:
    return [
        *_poll_troubles(installation, polls),
        *_store_troubles(installation, ledger),
        *_mail_troubles(installation, replies),
    ]


def _poll_troubles(installation: Installation, polls: dict[str, Any]) -> Iterator[str]:
    for section in installation.config.mailboxes:
        row = polls.get(section.name)
        if row is None or row.polled_at is None:
            yield f"{section.name} was never read. Start the service, or run: inbox-agent once"
        elif _age(installation, row.polled_at) > timedelta(seconds=_STALE_INTERVALS * section.poll_seconds):
            yield (
                f"{section.name} was last read at {minute(row.polled_at, installation.zone)}. "
                "Is the service running? systemctl status inbox-agent"
            )
        if row is not None and row.trouble:
            yield f"{section.name}: {row.trouble}"


def _mail_troubles(installation: Installation, replies: dict[str, int]) -> Iterator[str]:
    if installation.journal.fact(REPLIES_STOPPED):
        yield (
            "replies are stopped: there was more to answer than is plausible. Look at why, then run: "
            "inbox-agent outbox --resume"
        )
    if trouble := installation.journal.fact(SENDING_TROUBLE):
        yield f"nothing can be sent: {trouble}"
    uncertain = replies.get(ActState.IN_DOUBT, 0) + replies.get(ActState.FAILED, 0)
    if uncertain:
        yield f"{many(uncertain, 'mail')} uncertain or refused. See: inbox-agent outbox"


def _store_troubles(installation: Installation, ledger: Ledger) -> Iterator[str]:
    if stuck := installation.journal.stuck():
        yield f"{many(len(stuck), 'message')} still to be filed, moved or put among the drafts: {stuck[0].result}"
    if not ledger.balances:
        yield "the ledger does not balance: a message is in no state. Run: inbox-agent fsck"
    if ledger.quarantined:
        yield f"{many(ledger.quarantined, 'message')} could not be read. See: inbox-agent quarantine"


def _age(installation: Installation, polled_at: str) -> timedelta:
    return installation.clock.now() - moment(polled_at)
