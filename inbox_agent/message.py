"""A mail as a value: what the octets say, decoded once, judged nowhere.

Everything here comes from outside. Text is NFC, free of NUL, lone surrogates and C0 controls
(but line feeds and tabs in bodies); header values hold no line breaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox of RFC 5322 3.4.

    `addr_spec` is in lower case, as it is compared; it proves something, `name` never does.
    """

    name: str
    addr_spec: str

    @property
    def domain(self) -> str:
        """What follows the last @, or the empty string."""
        return self.addr_spec.rpartition("@")[2] if "@" in self.addr_spec else ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part with a file name or a Content-Disposition, or any part that is a document by its content.

    `part` numbers it as RFC 9051 6.4.5 does ("1.2"); a member of an archive or a container adds
    "!" and its rank ("1.2!3"). `name` is as the sender wrote it, decoded, None if absent.
    `disposition` is "attachment", "inline" or None.
    """

    part: str
    name: str | None
    media_type: str
    disposition: str | None
    content_id: str | None
    octets: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """One RFC 5322 message, decoded.

    `headers` are all fields in their order, names in lower case, values decoded and capped.
    `received` are the dates of the Received fields, topmost (latest) first, aware.
    `text` is the body as a person reads it: the plain part, else the HTML turned into text.
    `html` is the raw HTML body if there is one. `enclosed` are the message/rfc822 parts.
    `defects` say what had to be guessed.
    """

    sha256: str
    size: int
    message_id: str | None
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]
    date: datetime | None
    received: tuple[datetime, ...]
    return_path: str | None
    from_: tuple[Address, ...]
    sender: Address | None
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    delivered_to: tuple[Address, ...]
    subject: str
    headers: tuple[tuple[str, str], ...]
    text: str
    html: str | None
    attachments: tuple[Attachment, ...]
    enclosed: tuple[Message, ...]
    media_type: str
    defects: tuple[str, ...] = ()

    def header(self, name: str) -> str | None:
        """The first field of that name (lower case), or None."""
        for field, value in self.headers:
            if field == name:
                return value
        return None

    def all_headers(self, name: str) -> tuple[str, ...]:
        """Every field of that name (lower case), in order."""
        return tuple(value for field, value in self.headers if field == name)
