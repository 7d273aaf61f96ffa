"""A mail of ours as octets, built so that nothing from outside can add a header.

Every header value passes `clean_header`; addresses and message identifiers are accepted by form or not at
all; the octets are parsed again before they are returned and must say exactly what was meant.
We fold and encode the fields ourselves. The standard library would parse a value that is set and decode the encoded
words in it, so that a stranger's "=?utf-8?Q?x=0ABcc:_victim?=" became a line break; its refolding loses spaces between
encoded words and encodes long message identifiers in several Python versions (reliability.md, fact 1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from email.charset import QP, Charset
from email.header import Header, decode_header, make_header
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.utils import format_datetime, parseaddr, quote
from functools import lru_cache
from itertools import zip_longest
from typing import TYPE_CHECKING

from inbox_agent.message import Address

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

HEADER_CAP = 200  # characters of one unstructured value (reliability.md threat 1)
MESSAGE_ID_CAP = 250  # characters of one identifier (reliability.md section 2)
REFERENCES_CAP = 20  # identifiers kept of a thread: the first and the latest ones
_LINE = 76  # octets of an encoded line, RFC 2047 2

# C0, DEL, C1, the Unicode line and paragraph separators, and lone surrogates.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,248}>")
# An addr-spec we are willing to write: RFC 5321 4.1.2 dot-string, domain of letters, digits and hyphens.
_ADDR_SPEC = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
)
# A display name that needs no quotes (RFC 5322 3.2.3, atoms).
_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_MIME = frozenset({"content-type", "content-transfer-encoding", "mime-version"})
_QUOTED_PRINTABLE = Charset("utf-8")
_QUOTED_PRINTABLE.body_encoding = QP


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A mail ready for the outbox. `envelope_from` may be empty (RFC 3834 4: the null reverse-path)."""

    envelope_from: str
    recipient: str
    message_id: str
    octets: bytes


class HeaderMismatchError(RuntimeError):
    """Our own octets do not say what was meant: a bug of ours. Names the fields, never their values."""


def clean_header(value: str, cap: int = HEADER_CAP) -> str:
    """One line without control characters, runs of spaces made one, at most `cap` characters."""
    line = " ".join(_FORBIDDEN.sub(" ", value[: 8 * cap]).split())
    return line if len(line) <= cap else line[: cap - 1].rstrip() + "…"


def is_addr_spec(value: str) -> bool:
    """Whether we are willing to write to that address: plain ASCII, one @, nothing quoted."""
    return _ADDR_SPEC.fullmatch(value) is not None and ".." not in value


def is_message_id(value: str) -> bool:
    """Whether it is one <…> token of visible ASCII, at most 250 characters."""
    return len(value) <= MESSAGE_ID_CAP and _MESSAGE_ID.fullmatch(value) is not None


def thread_headers(in_reply_to: str | None, references: Sequence[str]) -> list[tuple[str, str]]:
    """In-Reply-To and References (RFC 5322 3.6.4) of the identifiers that are sound; the others are dropped."""
    chain = list(dict.fromkeys(item for item in references if is_message_id(item)))
    parent = in_reply_to if in_reply_to is not None and is_message_id(in_reply_to) else None
    if parent is not None:
        chain = [item for item in chain if item != parent] + [parent]
    if len(chain) > REFERENCES_CAP:
        chain = [chain[0], *chain[1 - REFERENCES_CAP :]]
    fields = [] if parent is None else [("In-Reply-To", parent)]
    return fields + ([("References", " ".join(chain))] if chain else [])


def compose(
    headers: Sequence[tuple[str, str | Address]], *, text: str, html: str | None = None, flowed: bool = False
) -> bytes:
    """A whole mail: these fields in this order, a text part, and an HTML alternative if there is one.

    Raises ValueError for an address that cannot be written, HeaderMismatchError if the octets do not parse
    back to exactly the fields meant.
    """
    meant = [(name, _value(value)) for name, value in headers]
    content = _text_alone(text, flowed=flowed) if html is None else _alternatives(text, html)
    octets = b"".join(_field(name, value) for name, value in meant) + content
    _verify(octets, meant)
    return octets


def date_header(moment: datetime) -> str:
    """RFC 5322 3.3, in the moment's own zone."""
    return format_datetime(moment)


def _text_alone(text: str, *, flowed: bool) -> bytes:
    """Fields that are always the same and the text: the library would parse them four times (0.4 ms)."""
    parameters = '; format="flowed"' if flowed else ""
    fields = (
        f'Content-Type: text/plain; charset="utf-8"{parameters}',
        "Content-Transfer-Encoding: quoted-printable",
        "MIME-Version: 1.0",
    )
    body = _QUOTED_PRINTABLE.body_encode(b"\n".join([*text.encode().splitlines(), b""]))
    return "\r\n".join([*fields, "", *body.split("\n")]).encode("ascii")


def _alternatives(text: str, html: str) -> bytes:
    from email import policy  # noqa: PLC0415 - it loads a parser that a service at rest does without

    message = EmailMessage(policy=policy.SMTP.clone(cte_type="7bit"))
    message.set_content(text, charset="utf-8", cte="quoted-printable")
    message.add_alternative(html, subtype="html", charset="utf-8", cte="quoted-printable")
    return message.as_bytes()


def _value(value: str | Address) -> str | Address:
    if isinstance(value, str):
        return clean_header(value, REFERENCES_CAP * (MESSAGE_ID_CAP + 1))
    if not is_addr_spec(value.addr_spec):
        raise ValueError("not an address that can be written in a header")
    return replace(value, name=clean_header(value.name, 100))


def _field(name: str, value: str | Address) -> bytes:
    if isinstance(value, Address):
        return _address_field(name, value)
    if name.lower() in {"message-id", "in-reply-to", "references"}:
        return (f"{name}: " + "\r\n ".join(value.split()) + "\r\n").encode("ascii")
    return f"{name}: {_unstructured(name, value)}\r\n".encode("ascii")


@lru_cache(maxsize=64)  # Our own name and the usual subjects: an encoded word takes the library 0.2 ms.
def _unstructured(name: str, value: str) -> str:
    """ASCII folded at spaces; anything else, or what could be taken for an encoded word, encoded.

    "Re: " stays readable, since some programs thread by it without decoding.
    """
    if value.isascii() and "=?" not in value:
        if len(name) + 2 + len(value) <= _LINE:
            return value  # Most of them: the library takes 0.1 ms to come to the same.
        return Header(value, "us-ascii", maxlinelen=_LINE, header_name=name).encode(linesep="\r\n")
    head, rest = ("Re:", value[4:]) if value.startswith("Re: ") else ("", value)
    header = Header(head, "us-ascii", maxlinelen=_LINE, header_name=name) if head else Header(header_name=name)
    header.append(rest, "utf-8")
    return header.encode(linesep="\r\n", maxlinelen=_LINE)


def _address_field(name: str, address: Address) -> bytes:
    if not address.name:
        return f"{name}: {address.addr_spec}\r\n".encode("ascii")
    if not address.name.isascii() or "=?" in address.name:
        phrase = _unstructured(name, address.name)
    elif _PHRASE.fullmatch(address.name):
        phrase = address.name
    else:
        phrase = f'"{quote(address.name)}"'
    return f"{name}: {phrase}\r\n <{address.addr_spec}>\r\n".encode("ascii")


def _verify(octets: bytes, meant: Sequence[tuple[str, str | Address]]) -> None:
    """Compare what a receiver will read with what was meant, field by field."""
    fields = octets.partition(b"\r\n\r\n")[0]
    found = list(BytesHeaderParser().parsebytes(fields).raw_items())
    ours = len(meant)
    names = [name.lower() for name, _ in found]
    more = [name for name, _ in found[ours:]]
    wrong = {name for name in more if name.lower() not in _MIME or names.count(name.lower()) > 1}
    for (name, value), read in zip_longest(meant, found[:ours]):
        if read is None or read[0] != name or not _says(name, read[1], value):
            wrong.add(name)
    if wrong:
        raise HeaderMismatchError(f"generated header fields differ from those meant: {', '.join(sorted(wrong))}")
    if any(len(line) > 998 or not line.isascii() for line in fields.split(b"\r\n")):  # noqa: PLR2004, RFC 5322 2.1.1.
        raise HeaderMismatchError("a generated header line is longer than 998 octets or not ASCII")


def _says(name: str, raw: str, meant: str | Address) -> bool:
    """An address is decoded by the old functions: the new parser of Python 3.11 puts spaces between encoded words."""
    if isinstance(meant, str):
        if raw == meant and "=?" not in raw:
            return True
        from email import policy  # noqa: PLC0415 - see _alternatives

        return str(policy.default.header_fetch_parse(name, raw)) == meant
    phrase, addr_spec = parseaddr(raw)
    return (str(make_header(decode_header(phrase))), addr_spec) == (meant.name, meant.addr_spec)
