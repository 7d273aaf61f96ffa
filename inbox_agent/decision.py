"""What is to be done about one message: a value, written down whole before anything is done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any

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


@dataclass(frozen=True, slots=True)
class Earlier:
    """An application that is known already and may be the one a message belongs to.

    `by` says why it is thought of: "told" (staff speak of this very application), "message" (the very same
    message), "thread", "address", or "name", which is a suggestion only. `folder` is its IMAP folder;
    `staff_placed` that staff put it there; `set_aside` that staff said it is none.
    """

    id: int
    offer: str | None
    by: str
    documents: tuple[Document, ...]
    missing: tuple[str, ...]
    status: Status | None
    timing: Timing | None
    folder: str | None
    candidate: Candidate | None
    replied: frozenset[ReplyTemplate] = frozenset()
    withdrawn: bool = False
    staff_placed: bool = False
    set_aside: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What staff said of a message: it is an application, for `offer` (None: spontaneous).

    `folder` is where they put it with their own hands, None where the agent is to move it. `status` and `timing`
    are their word, None: computed. `answer`: they asked for the reply. `place` is where the message is now (folder,
    UIDVALIDITY, UID), None where it is read. `occasion` makes the keys of the acts unique.
    """

    offer: str | None
    occasion: str
    folder: str | None = None
    status: Status | None = None
    timing: Timing | None = None
    answer: bool = False
    place: tuple[str, int, int] | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What was before this message. The counts are of replies made, drafts and sent ones alike.

    `stopped`: more replies than is plausible were wanted, and no person has looked since.
    """

    earlier: tuple[Earlier, ...] = ()
    replies_to_address_today: int = 0
    replies_last_hour: int = 0
    replies_today: int = 0
    stopped: bool = False


class ActKind(StrEnum):
    """What is done to the world, in the order in which it is done for one message."""

    FILE = "file"
    REFILE = "refile"
    MOVE = "move"
    DRAFT = "draft"
    SEND = "send"
    KEEP = "keep"


# The kinds of mails of ours.
REPLIES = (ActKind.DRAFT, ActKind.SEND)


class ActState(StrEnum):
    """Where an act is. `in_doubt`: the server may or may not have taken the message (SMTP's window)."""

    PENDING = "pending"
    SENDING = "sending"
    IN_DOUBT = "in_doubt"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


# The states of what is still to be done.
OPEN = (ActState.PENDING, ActState.SENDING, ActState.IN_DOUBT)


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to do, complete: what is written in the journal is enough to do it after a crash.

    `key` is unique for ever: writing the same intention twice writes it once. `octets`, `recipient` and
    `mail_id` (the Message-ID) belong to mail.
    """

    kind: ActKind
    key: str
    payload: Mapping[str, Any]
    octets: bytes | None = None
    recipient: str | None = None
    mail_id: str | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """What a decision means for the world: the acts, and where the pieces go.

    `documents` pairs each new document with its file name; `path` is the application's folder;
    `doubt_from` names who wrote a message in doubt.
    """

    acts: tuple[Act, ...]
    path: str | None
    documents: tuple[tuple[Document, str], ...]
    decision_json: dict[str, Any] | None
    doubt_from: dict[str, Any] | None = None
