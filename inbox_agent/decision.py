"""What is to be done about one message: a value, written down whole before anything is done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from inbox_agent.application import Candidate, Document, Evidence, Kind, Status, Timing


class ReplyTemplate(StrEnum):
    """The replies of design section 5, one template file each."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    LATE = "late"
    COMPLETED = "completed"
    STILL_INCOMPLETE = "still_incomplete"
    WITHDRAWN = "withdrawn"


class ReplyMode(StrEnum):
    """What happens to a reply: waits in the staff's Drafts, is sent, or is not made."""

    DRAFT = "draft"
    SEND = "send"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to be written. `subject` is final, without line breaks; `to` is one addr-spec."""

    template: ReplyTemplate
    to: str
    subject: str
    language: str
    in_reply_to: str | None
    references: tuple[str, ...]
    mode: ReplyMode


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict on one message with history taken into account.

    `application` is the row id of an earlier application that this message joins, None for a new one or
    none at all. `folder` is the IMAP folder without the server's prefix, parts joined by "/", None to leave
    the message where it is. `filed` says whether it goes into the archive. `missing` holds document kinds
    ("cv", "letter"). `no_reply_reason` is an English sentence, None when there is a reply.
    `suggested` is the row id of an application that this may belong to, for a person to say.
    """

    sha256: str
    kind: Kind
    offer: str | None
    candidate: Candidate | None
    received_at: datetime
    timing: Timing | None
    documents: tuple[Document, ...]
    missing: tuple[str, ...]
    status: Status | None
    reply: Reply | None
    no_reply_reason: str | None
    folder: str | None
    evidence: tuple[Evidence, ...]
    filed: bool
    application: int | None = None
    suggested: int | None = None
    doubt: str | None = None
    notes: tuple[str, ...] = ()
