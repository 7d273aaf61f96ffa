"""What a message says once it is read: its documents, its verdict, and the evidence.

A `Reading` depends on the octets and the rules alone; it is made in a child process and comes back
as JSON (`to_json`, `from_json`), so every field is plain.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """The verdicts of design section 5."""

    APPLICATION = "application"
    FOLLOW_UP = "follow_up"
    ENQUIRY = "enquiry"
    WITHDRAWAL = "withdrawal"
    AUTOMATIC = "automatic"
    BULK = "bulk"
    INTERNAL = "internal"
    OTHER = "other"
    DOUBT = "doubt"


class DocumentKind(StrEnum):
    """What a document is, by content first."""

    CV = "cv"
    LETTER = "letter"
    CV_AND_LETTER = "cv_and_letter"
    OTHER = "other"


class DocumentState(StrEnum):
    """Whether a document could be read, or why not."""

    READ = "read"
    SCANNED = "scanned"
    LOCKED = "locked"
    DAMAGED = "damaged"
    EMPTY = "empty"
    UNSUPPORTED = "unsupported"
    REFUSED = "refused"


class Where(StrEnum):
    """Where in the message a document was found."""

    ATTACHMENT = "attachment"
    BODY = "body"
    ARCHIVE = "archive"
    FORWARDED = "forwarded"


class Timing(StrEnum):
    """Arrival against the deadline of the offer (design section 4)."""

    ON_TIME = "on_time"
    BOUNDARY = "boundary"
    LATE = "late"


class Status(StrEnum):
    """Whether what the offer requires is there."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    DOUBT = "doubt"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One finding: which test, what it found (short, may quote the message), how much it weighs.

    Positive weights speak for an application. `found` of a message that is no application is
    printed by `explain` and stored nowhere.
    """

    test: str
    found: str
    weight: float


_LOGO = 30_000  # octets


@dataclass(frozen=True, slots=True)
class Document:
    """One piece of an application, without its octets.

    `part` is that of the Attachment, or "body". `file` is the name under which the reader left the
    decoded octets in its output folder, None when it was not asked to or when there are none.
    `size` is in octets, decoded. `notes` are facts for staff in French ("macro présente").
    """

    name: str
    kind: DocumentKind
    where: Where
    state: DocumentState
    pages: int | None
    part: str
    media_type: str
    size: int
    sha256: str
    file: str | None = None
    notes: tuple[str, ...] = ()
    why: tuple[Evidence, ...] = ()

    @property
    def is_logo(self) -> bool:
        """A small picture that is no document: of a mail signature."""
        return self.kind is DocumentKind.OTHER and self.media_type.startswith("image/") and self.size < _LOGO

    def to_json(self) -> dict[str, Any]:
        """Plain types only; the inverse is `from_json`."""
        return {name: _plain(getattr(self, name)) for name in self.__slots__}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Document:
        """A Document from what `to_json` gave."""
        fields: dict[str, Any] = {
            **value,
            "kind": DocumentKind(value["kind"]),
            "where": Where(value["where"]),
            "state": DocumentState(value["state"]),
            "notes": tuple(value["notes"]),
            "why": tuple(Evidence(**item) for item in value["why"]),
        }
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person. `name` is as it will be written ("Jeanne Dupont"), `surname` the part that is filed under.

    `address` is where a reply goes: From, or the candidate's own address found behind a platform or a
    forward; None when nobody can be answered.
    """

    name: str
    given: str
    surname: str
    address: str | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What one message is, by its octets and the rules.

    `offer` is an offer id or None. `never_answer` is the reason of RFC 3834 and section 5 why nobody
    may be answered automatically, known from the message alone (an English sentence), or None.
    `fingerprint` is the application id of reliability.md section 2: SHA-256 over Message-ID, From and body,
    the same for two deliveries of one message.
    `received` is the topmost Received date, `date` the sender's Date; both aware or None.
    `authentication` are the Authentication-Results values, topmost first, untrusted until compared with
    the configured server. `thread` are the Message-IDs it answers or refers to.
    `bounced` is the Message-ID of the message of ours that a delivery report is about.
    `likely` are the ids of the offers it could be for, best first. `links` are cloud links (WeTransfer, Drive)
    that stand for files.
    `doubt` is why a person must look, in French, for kind doubt.
    `notes` are what was unusual, in French, for the digest. `answers` are commands in an answer to a digest ("oui 12").
    """

    sha256: str
    size: int
    fingerprint: str
    kind: Kind
    offer: str | None
    candidate: Candidate | None
    sender: str | None
    subject: str
    message_id: str | None
    thread: tuple[str, ...]
    language: str
    received: datetime | None
    date: datetime | None
    documents: tuple[Document, ...]
    evidence: tuple[Evidence, ...]
    never_answer: str | None = None
    authentication: tuple[str, ...] = ()
    bounced: str | None = None
    doubt: str | None = None
    notes: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    likely: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain types only; the inverse is `from_json`."""
        return {name: _plain(getattr(self, name)) for name in self.__slots__}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Reading:
        """A Reading from what `to_json` gave. Raises KeyError, TypeError or ValueError on anything else."""
        candidate = value["candidate"]
        fields: dict[str, Any] = {
            **value,
            "kind": Kind(value["kind"]),
            "candidate": None if candidate is None else Candidate(**candidate),
            "thread": tuple(value["thread"]),
            "received": _moment(value["received"]),
            "date": _moment(value["date"]),
            "documents": tuple(Document.from_json(document) for document in value["documents"]),
            "evidence": tuple(Evidence(**item) for item in value["evidence"]),
            "authentication": tuple(value["authentication"]),
            "notes": tuple(value["notes"]),
            "links": tuple(value["links"]),
            "likely": tuple(value["likely"]),
            "answers": tuple(value["answers"]),
        }
        return cls(**fields)


def _moment(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


_PLAIN = frozenset((str, int, float, bool, type(None)))


def _plain(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    return {name: _plain(getattr(value, name)) for name in value.__slots__}  # A dataclass of this module.
