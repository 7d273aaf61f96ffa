"""Octets to Message: what a mail says, whatever is wrong with it.

`parse` is total: a Message comes of any octets, in time and memory bounded by their number. The MIME tree comes
from the standard library with policy.compat32, the only one of the readers tried (policy.default, mail-parser)
that no corpus mail defeats; a scan of the octets beforehand cuts what makes it hang or recurse (200 000 fields,
100 000 parts, 1 000 levels). Every field value is decoded by fields.py.

mail-parser gives a second opinion (second_opinion.py) where ours finds no sender or no date.

BUGS: an enclosed message's `sha256` is taken over what was decoded, since its octets are not kept apart.
"""

from __future__ import annotations

import binascii
import hashlib
import logging
import re
from dataclasses import dataclass, field, replace
from email import policy
from email.parser import BytesParser
from typing import TYPE_CHECKING

from inbox_agent.clean import clean_line, clean_text, decode
from inbox_agent.fields import (
    addresses,
    base64_octets,
    decode_words,
    identifiers,
    moment,
    parameters,
    raw_text,
    received_moment,
)
from inbox_agent.html_text import html_text
from inbox_agent.message import Address, Attachment, Message
from inbox_agent.second_opinion import second_opinion
from inbox_agent.skeleton import Bodies, DoubtError, skeleton

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from email.message import Message as Entity

logger = logging.getLogger(__name__)

# Limits of reliability.md section 3, threats 10 and 11: beyond them the standard library hangs or recurses.
HEADER_MAX = 256 * 1024  # octets of one header section
FIELD_MAX = 64 * 1024  # octets of one field, folded
FIELDS_MAX = 1000  # fields of one header section
PARTS_MAX = 400  # lines that look like a boundary followed by a header section
LEVELS_MAX = 90  # multipart and message types declared: the parser recurses once for each
ENCLOSED_MAX = 8  # forwards within forwards
TEXT_MAX = 1_000_000  # characters of body text kept
VALUE_MAX = 16 * 1024  # characters of one decoded value kept
ADDRESSES_MAX = 2000

# Formats known by their first octets, whatever the part claims to be.
_MAGIC = (b"%PDF-", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"{\\rtf", b"\xff\xd8\xff", b"\x89PNG", b"Rar!")
_SIGNATURES = frozenset(("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"))
_OPAQUE = frozenset(("application/pkcs7-mime", "application/x-pkcs7-mime"))


def parse(octets: bytes) -> Message:
    """A Message from any octets, with `defects` for whatever had to be cut or guessed.

    Raises nothing but MemoryError.
    """
    sha256 = hashlib.sha256(octets).hexdigest()
    try:
        message = _parsed(_from_first_field(octets), prefix="", level=0)
    except MemoryError:  # Nothing is known about the message then: another try may have more.
        raise
    except Exception as error:  # noqa: BLE001 the one barrier around a foreign parser
        logger.warning("%s defeats the MIME parser: %s", sha256[:12], type(error).__name__)
        message = _flat(octets, type(error).__name__)
    return replace(message, sha256=sha256, size=len(octets))


_BEFORE_FIELDS = re.compile(rb"(?:\xef\xbb\xbf|\s){1,100}(?=[!-9;-~]{1,60}:)")


def _from_first_field(octets: bytes) -> bytes:
    """Without the byte order mark and the empty lines that editors put before a saved mail."""
    before = _BEFORE_FIELDS.match(octets)
    return octets[before.end() :] if before else octets


def _parsed(octets: bytes, *, prefix: str, level: int) -> Message:
    """A message from its octets, without its large bodies where these can be told, else as it is."""
    small, bodies = skeleton(octets)
    try:
        return _parsed_with(small, bodies, prefix=prefix, level=level)
    except DoubtError:
        return _parsed_with(octets, Bodies(octets), prefix=prefix, level=level)


def _parsed_with(octets: bytes, bodies: Bodies, *, prefix: str, level: int) -> Message:
    bounded, defects = _bounded(octets)
    entity = BytesParser(policy=policy.compat32).parsebytes(bounded)
    message = _message(entity, bodies, prefix=prefix, level=level)
    bodies.settle()
    return replace(message, defects=(*defects, *message.defects))


def _flat(octets: bytes, why: str) -> Message:
    """The header section alone and the rest as text: for what defeats the MIME parser."""
    bounded, defects = _bounded(octets)
    head, _, body = bounded.replace(b"\r\n", b"\n").partition(b"\n\n")
    entity = BytesParser(policy=policy.compat32).parsebytes(head[:HEADER_MAX], headersonly=True)
    message = _headers(entity)
    text = clean_text(decode(body[:TEXT_MAX])[0])
    return replace(
        message,
        text=text,
        defects=(*defects, f"MIME structure unreadable ({why}): taken as one text", *message.defects),
    )


# --- Limits ---------------------------------------------------------------------------------------------------

_STRUCTURE = re.compile(rb"^content-type[ \t]*:[ \t\r\n]*(?:multipart|message)/", re.IGNORECASE | re.MULTILINE)


def _bounded(octets: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The octets, cut where they would defeat the MIME parser, and what was cut."""
    if octets.count(b"\r") - octets.count(b"\r\n") > 1000:  # noqa: PLR2004 bare CR would hide lines from the scan
        octets = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    defects: list[str] = []
    lower = octets.lower()  # Counting is quicker than finding them, and few are there.
    many = lower.count(b"multipart/") + lower.count(b"message/") > LEVELS_MAX
    structures = [found.start() for found in _first(_STRUCTURE.finditer(octets), LEVELS_MAX + 1)] if many else []
    if len(structures) > LEVELS_MAX:
        octets = octets[: structures[LEVELS_MAX]]
        defects.append(f"cut after {LEVELS_MAX} multipart or message types")
    starts, cut = _sections(octets, nested=b"message/" in lower)
    if cut is not None:
        octets = octets[:cut]
        defects.append(f"cut after {PARTS_MAX} parts")
    pieces: list[bytes] = []
    copied = 0
    for start in starts:
        if start < copied:
            continue
        end, kept = _section(octets, start)
        if kept is not None:
            pieces += (octets[copied:start], kept)
            copied = end
            defects.append("header section cut")
    if not pieces:
        return octets, tuple(defects)
    return b"".join((*pieces, octets[copied:])), tuple(dict.fromkeys(defects))


def _first(found: Iterator[re.Match[bytes]], count: int) -> Iterator[re.Match[bytes]]:
    for _, item in zip(range(count), found, strict=False):
        yield item


def _sections(octets: bytes, *, nested: bool) -> tuple[list[int], int | None]:
    """Where header sections may start, and where to cut if there are too many. `nested`: messages may be within."""
    starts, at = [0], 0
    while (at := octets.find(b"\n--", at)) >= 0:
        line_end = octets.find(b"\n", at + 1)
        if line_end < 0:
            break
        # Boundaries are followed by a field or an empty line; a signature's "-- " and a drawn line rarely are.
        if _FIELD_OR_EMPTY.match(octets, line_end + 1):
            if len(starts) > PARTS_MAX:
                return starts, at
            starts.append(line_end + 1)
        at = line_end
    if nested:
        starts += (found.end() for found in _first(_NESTED.finditer(octets), LEVELS_MAX))
    return sorted(starts), None


_FIELD_OR_EMPTY = re.compile(rb"[!-9;-~]{1,100}[ \t]*:|\r?\n")
_NESTED = re.compile(
    rb"^content-type[ \t]*:[ \t\r\n]*message/[^\n]*\n(?:[^\r\n]+\r?\n){0,50}\r?\n", re.IGNORECASE | re.MULTILINE
)


def _section(octets: bytes, start: int) -> tuple[int, bytes | None]:
    """The end of the header section at `start`, and what to put in its place if it is beyond the limits."""
    window = octets[start : start + HEADER_MAX]
    blank = _BLANK_LINE.search(window)
    section = window[: blank.start()] if blank else window
    end = start + len(section)
    if len(section) < FIELD_MAX // 4 and section.count(b"\n") < FIELDS_MAX:
        return end, None
    if not blank and len(window) == HEADER_MAX:
        found = _BLANK_LINE.search(octets, start)
        end = found.start() if found else len(octets)
        if not _FIELD_OR_EMPTY.match(window):  # No header section at all: the body of a part without fields.
            return end, None
    kept: list[bytes] = []
    fields = 0
    length = 0
    for line in section.splitlines(keepends=True):
        folded = line[:1] in b" \t"
        fields += not folded
        length = length + len(line) if folded else len(line)
        if fields > FIELDS_MAX:
            break
        if length <= FIELD_MAX:
            kept.append(line)
        elif not folded:
            kept.append(line[:FIELD_MAX].rstrip(b"\r\n") + b"\r\n")
    together = b"".join(kept)
    return end, None if together == octets[start:end] else together


_BLANK_LINE = re.compile(rb"(?<=\n)\r?\n")


# --- Header sections ------------------------------------------------------------------------------------------


def _headers(entity: Entity) -> Message:
    """A Message without body from the fields of an entity."""
    raw = [(name.lower(), raw_text(str(value)[:FIELD_MAX])) for name, value in entity.raw_items()][:FIELDS_MAX]

    def all_of(*names: str) -> list[str]:
        return [value for name, value in raw if name in names]

    def first(name: str) -> str:
        return next((value for field_name, value in raw if field_name == name), "")

    def mailboxes(*names: str) -> tuple[Address, ...]:
        lists = (addresses(value) for value in all_of(*names))
        return tuple(dict.fromkeys(address for found in lists for address in found))[:ADDRESSES_MAX]

    from_, date = mailboxes("from"), moment(first("date"))
    unclear = not any("@" in address.addr_spec for address in from_)
    asked = (first("from") and unclear) or (first("date") and date is None)
    if asked:
        opinion = second_opinion(_section_of(entity))
        from_, date = (opinion.from_ or from_) if unclear else from_, date or opinion.date
    received = (received_moment(value) for value in all_of("received")[:200])
    media_type, _ = parameters(first("content-type"))
    return Message(
        sha256="",
        size=0,
        message_id=next(iter(identifiers(first("message-id"))), None),
        in_reply_to=identifiers(" ".join(all_of("in-reply-to"))),
        references=identifiers(" ".join(all_of("references")))[-200:],
        date=date,
        received=tuple(time for time in received if time),
        return_path=_return_path(all_of("return-path")),
        from_=from_,
        sender=next(iter(mailboxes("sender")), None),
        reply_to=mailboxes("reply-to"),
        to=mailboxes("to", "apparently-to"),
        cc=mailboxes("cc"),
        bcc=mailboxes("bcc"),
        delivered_to=mailboxes(
            "delivered-to", "x-delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-rcpt-to"
        ),
        subject=decode_words(first("subject"))[:VALUE_MAX],
        headers=tuple((clean_line(name), decode_words(value[:VALUE_MAX])) for name, value in raw),
        text="",
        html=None,
        attachments=(),
        enclosed=(),
        media_type=_media_type(media_type, "text/plain"),
        defects=tuple(_header_defects(all_of, from_)),
    )


def _section_of(entity: Entity) -> bytes:
    lines = (f"{name}: {value}" for name, value in entity.raw_items() if name.lower() in {"from", "date", "sender"})
    return "\r\n".join(lines)[:FIELD_MAX].encode("utf-8", "surrogateescape")


def _header_defects(all_of: Callable[[str], list[str]], from_: tuple[Address, ...]) -> Iterator[str]:
    for name in ("from", "subject", "date", "message-id", "to", "cc"):
        if len(all_of(name)) > 1:
            yield f"field {name} repeated"
    if not from_:
        yield "no sender"


def _return_path(values: list[str]) -> str | None:
    """The envelope sender, "" for the null one, None where the field is missing."""
    if not values:
        return None
    found = addresses(values[0])
    return found[0].addr_spec if found else ""


def _media_type(text: str, default: str) -> str:
    return text if re.fullmatch(r"[\w.+-]{1,80}/[\w.+-]{1,127}", text) else default


# --- The tree -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Found:
    """What the walk of one message has gathered so far."""

    bodies: Bodies
    texts: list[str] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    enclosed: list[Message] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Leaf:
    """What a part's own fields say."""

    media_type: str
    charset: str | None
    flowed: bool
    name: str | None
    disposition: str | None
    content_id: str | None


def _message(entity: Entity, bodies: Bodies, *, prefix: str, level: int) -> Message:
    message = _headers(entity)
    found = _Found(bodies)
    _walk(entity, prefix, found, level)
    texts = (html_text(piece) if isinstance(piece, _Markup) else piece for piece in found.texts)
    text = clean_text("\n\n".join(piece for piece in texts if piece.strip()))[:TEXT_MAX]
    html = clean_text("\n".join(found.html)) if found.html else None
    return replace(
        message,
        sha256=_digest(message, text, found.attachments) if level else "",
        size=len(text) + sum(len(attachment.octets) for attachment in found.attachments),
        text=text,
        html=html,
        attachments=tuple(found.attachments),
        enclosed=tuple(found.enclosed),
        defects=(*message.defects, *dict.fromkeys(found.defects)),
    )


def _digest(message: Message, text: str, attachments: Sequence[Attachment]) -> str:
    digest = hashlib.sha256(repr((message.headers, text)).encode("utf-8", "replace"))
    for attachment in attachments:
        digest.update(attachment.octets)
    return digest.hexdigest()


def _walk(entity: Entity, part: str, found: _Found, level: int) -> None:
    leaf = _leaf(entity)
    found.defects += (f"part {part or '1'}: {type(defect).__name__}" for defect in entity.defects[:20])
    if entity.is_multipart() and leaf.media_type.startswith("multipart/"):
        _walk_multipart(leaf, _parts(entity), part, found, level)
    elif leaf.media_type in {"message/rfc822", "message/global"}:
        _walk_message(entity, part or "1", found, level)
    else:
        octets = found.bodies.whole(_octets(entity))
        _take(leaf, octets, part or "1", found, level)


def _walk_multipart(leaf: _Leaf, parts: list[Entity], part: str, found: _Found, level: int) -> None:
    number = f"{part}.{{}}" if part else "{}"
    if leaf.media_type == "multipart/alternative":
        alternatives = _Found(found.bodies)
        for rank, entity in enumerate(parts, 1):
            _walk(entity, number.format(rank), alternatives, level)
        _choose(alternatives, found)
        return
    for rank, entity in enumerate(parts, 1):
        if leaf.media_type == "multipart/signed" and _leaf(entity).media_type in _SIGNATURES:
            continue
        _walk(entity, number.format(rank), found, level)


def _choose(alternatives: _Found, found: _Found) -> None:
    """Take the plain text, unless it only says that the HTML should be read."""
    plain = [text for text in alternatives.texts if not isinstance(text, _Markup)]
    rich = [text for text in alternatives.texts if isinstance(text, _Markup)]
    found.texts += rich if rich and _says_little(plain, rich) else plain
    found.html += alternatives.html
    found.attachments += alternatives.attachments
    found.enclosed += alternatives.enclosed
    found.defects += alternatives.defects


_STUB_WORDS = 25  # "Votre logiciel de messagerie n'affiche pas le HTML…" in every wording has fewer


def _says_little(plain: list[str], rich: list[_Markup]) -> bool:
    plain_words = sum(len(text.split()) for text in plain)
    if plain_words >= _STUB_WORDS:
        return False
    return not plain_words or sum(len(html_text(text).split()) for text in rich) > 3 * plain_words


class _Markup(str):
    """HTML that may be the body; it is turned into text where it is."""

    __slots__ = ()


def _walk_message(entity: Entity, part: str, found: _Found, level: int) -> None:
    inner = next(iter(_parts(entity)), None)
    if level >= ENCLOSED_MAX or inner is None:
        found.defects.append(f"part {part}: enclosed message not read")
        return
    encoding = _field(_fields(entity), "content-transfer-encoding").lower()
    if encoding in {"base64", "quoted-printable"}:
        # Forbidden by RFC 2046 5.2.1, and done: what was parsed as a message is its encoded form.
        octets = found.bodies.whole(_transfer_decoded(inner.as_bytes(), encoding))
        found.enclosed.append(_again(octets, part, level + 1))
        return
    found.enclosed.append(_message(inner, found.bodies, prefix=part, level=level + 1))


def _again(octets: bytes, part: str, level: int) -> Message:
    """A message that was inside a part as octets."""
    message = _parsed(octets, prefix=part, level=level)
    return replace(message, sha256=hashlib.sha256(octets).hexdigest(), size=len(octets))


def _transfer_decoded(octets: bytes, encoding: str) -> bytes:
    return base64_octets(octets) if encoding == "base64" else binascii.a2b_qp(octets)


def _fields(entity: Entity) -> dict[str, str]:
    """The first field of each name, in lower case."""
    values: dict[str, str] = {}
    for key, value in entity.raw_items():
        values.setdefault(key.lower(), value)
    return values


def _field(values: dict[str, str], name: str) -> str:
    return raw_text(str(values[name])[:FIELD_MAX]).strip() if name in values else ""


def _leaf(entity: Entity) -> _Leaf:
    fields = _fields(entity)
    declared, content = parameters(_field(fields, "content-type"))
    disposed, disposition = parameters(_field(fields, "content-disposition"))
    name = disposition.get("filename") or content.get("name")
    identifier = identifiers(_field(fields, "content-id"))
    return _Leaf(
        media_type=_media_type(declared, "text/plain" if not declared else "application/octet-stream"),
        charset=content.get("charset"),
        flowed=content.get("format", "").lower() == "flowed",
        name=clean_line(name)[:1000] if name else None,
        disposition="inline" if disposed == "inline" else "attachment" if disposed else None,
        content_id=identifier[0] if identifier else None,
    )


def _parts(entity: Entity) -> list[Entity]:
    payload = entity.get_payload()
    return [part for part in payload if not isinstance(part, str)] if isinstance(payload, list) else []


def _octets(entity: Entity) -> bytes:
    if entity.is_multipart():  # message/delivery-status: a list of header sections
        return "\n".join(
            "".join(f"{name}: {raw_text(str(value))}\n" for name, value in section.raw_items())
            for section in _parts(entity)
        ).encode("utf-8", "replace")
    octets = entity.get_payload(decode=True)
    return octets if isinstance(octets, bytes) else b""


def _take(leaf: _Leaf, octets: bytes, part: str, found: _Found, level: int) -> None:
    """One leaf: a body, an attachment, a message in disguise."""
    if leaf.media_type in _OPAQUE and (content := signed_content(octets)) is not None:
        inner = _again(content, part, level + 1) if level < ENCLOSED_MAX else None
        if inner:
            found.texts.append(inner.text)
            found.html += (inner.html,) if inner.html else ()
            found.attachments += inner.attachments
            found.enclosed += inner.enclosed
            return
    if leaf.media_type == "text/rfc822-headers" or _is_message(leaf, octets):
        if level < ENCLOSED_MAX:
            found.enclosed.append(_again(octets, part, level + 1))
        return
    if level < ENCLOSED_MAX and (mail := _outlook_mail(octets)) is not None:
        found.enclosed.append(_again(mail, part, level + 1))
        return
    if not _is_body(leaf, octets):
        found.attachments.append(
            Attachment(part, leaf.name, leaf.media_type, leaf.disposition, leaf.content_id, octets)
        )
        return
    text, believed = decode(octets[: 4 * TEXT_MAX], leaf.charset)
    if not believed:
        found.defects.append(f"part {part}: charset guessed")
    if leaf.media_type == "text/html":
        found.html.append(text[: 2 * TEXT_MAX])
        found.texts.append(_Markup(text[: 2 * TEXT_MAX]))
        return
    text = _unarmoured(clean_text(text))
    found.texts.append(_without_uuencoded(_unflowed(text) if leaf.flowed else text, part, found))


def _is_body(leaf: _Leaf, octets: bytes) -> bool:
    if leaf.disposition == "attachment" or leaf.name or octets.startswith(_MAGIC):
        return False
    return leaf.media_type in {"text/plain", "text/html", "text/enriched", "text/markdown", "text/x-amp-html"}


_FIELDS_OF_A_MESSAGE = re.compile(rb"(?:[!-9;-~]{1,60}:[^\n]*\n(?:[ \t][^\n]*\n){0,50}){2}", re.MULTILINE)


def _is_message(leaf: _Leaf, octets: bytes) -> bool:
    """A message as an attached file (Outlook on the web names it x.eml and calls it octet-stream)."""
    named = bool(leaf.name and leaf.name.lower().endswith(".eml"))
    return named and bool(_FIELDS_OF_A_MESSAGE.match(octets[: 64 * 1024].lstrip()))


def _outlook_mail(octets: bytes) -> bytes | None:
    """The mail in a .msg, which is how Outlook attaches one; None if it is none or cannot be read here."""
    if not octets.startswith(_COMPOUND) or _OUTLOOK_STREAM not in octets:
        return None
    from inbox_agent.formats.outlook import outlook_octets  # noqa: PLC0415 needs an extra, rarely

    return outlook_octets(octets)


_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OUTLOOK_STREAM = "__properties_version1.0".encode("utf-16-le")


# --- What hides in bodies -------------------------------------------------------------------------------------

_UUENCODED = re.compile(
    r"^begin [0-7]{3,4} ([^\n]{1,300})\n((?:[ -`]{1,90}\n){0,400000}?)(?:[` ]?\n)?end[ \t]*$", re.MULTILINE
)


def _without_uuencoded(text: str, part: str, found: _Found) -> str:
    if "\nend" not in text or (not text.startswith("begin ") and "\nbegin " not in text):
        return text
    pieces: list[str] = []
    at = 0
    for rank, file in enumerate(_UUENCODED.finditer(text), 1):
        octets = b"".join(_uu_line(line) for line in file[2].splitlines())
        pieces.append(text[at : file.start()])
        at = file.end()
        name = clean_line(file[1])
        found.attachments.append(
            Attachment(f"{part}!{rank}", name, "application/octet-stream", "attachment", None, octets)
        )
    return "".join((*pieces, text[at:]))


def _uu_line(line: str) -> bytes:
    raw = line.encode("ascii")
    try:
        return binascii.a2b_uu(raw)
    except binascii.Error:
        length = ((raw[0] - 32) & 63) * 4 // 3 + 4  # The standard library's own work-around for padded lines.
        try:
            return binascii.a2b_uu(raw[: 1 + (length - length % 4)])
        except binascii.Error:
            return b""


def _unflowed(text: str) -> str:
    """Paragraphs in one line each again (RFC 3676 section 4): a line that ends in a blank goes on."""
    lines: list[list[str]] = []
    flowing: str | None = None  # the quotation marks of the paragraph in the making
    for line in text.split("\n"):
        marks = line[: len(line) - len(line.lstrip(">"))]
        content = line[len(marks) :].removeprefix(" ")
        if flowing == marks and content != "-- ":
            lines[-1].append(content)
        else:
            lines.append([marks, " ", content] if marks else [content])
        flowing = marks if content.endswith(" ") and content != "-- " else None
    whole = ("".join(pieces) for pieces in lines)
    return "\n".join(line.rstrip(" ") if line != "-- " else line for line in whole)


def _unarmoured(text: str) -> str:
    """The text of a clear-signed PGP message (RFC 4880 section 7), without its armour."""
    begin, end = "-----BEGIN PGP SIGNED MESSAGE-----\n", "-----BEGIN PGP SIGNATURE-----"
    if begin not in text or end not in text:
        return text
    before, _, rest = text.partition(begin)
    signed, _, after = rest.partition(end)
    after = after.partition("-----END PGP SIGNATURE-----")[2]
    signed = signed.partition("\n\n")[2]
    return before + re.sub(r"^- ", "", signed, flags=re.MULTILINE) + after


def signed_content(octets: bytes) -> bytes | None:
    """The MIME entity inside a CMS SignedData (RFC 5652 section 5), None if this is none. Nothing is verified."""
    if octets[:5] == b"-----":
        octets = base64_octets(b"".join(octets.splitlines()[1:-1]))
    at = octets.find(_SIGNED_DATA, 0, 64)
    inner = octets.find(_CMS_DATA, at) if at >= 0 else -1
    if inner < 0:
        return None
    return _explicit_string(octets, inner + len(_CMS_DATA))


_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_CMS_DATA = bytes.fromhex("06092a864886f70d010701")


def _explicit_string(octets: bytes, at: int) -> bytes | None:
    """The octet string in an explicit [0] at `at`, in one piece or in several (BER)."""
    explicit = _tag(octets, at)
    if explicit is None or explicit[0] != 0xA0:  # noqa: PLR2004 [0] EXPLICIT
        return None
    string = _tag(octets, explicit[1])
    if string is None:
        return None
    kind, at, length = string
    if kind == 0x04:  # noqa: PLR2004 OCTET STRING
        return octets[at : at + (length or 0)]
    if kind != 0x24:  # noqa: PLR2004 constructed OCTET STRING
        return None
    end = len(octets) if length is None else at + length
    pieces: list[bytes] = []
    while at < end and (piece := _tag(octets, at)) and piece[0] == 0x04 and piece[2] is not None:  # noqa: PLR2004
        pieces.append(octets[piece[1] : piece[1] + piece[2]])
        at = piece[1] + piece[2]
    return b"".join(pieces)


def _tag(octets: bytes, at: int) -> tuple[int, int, int | None] | None:
    """Tag, start of the content and its length (None: indefinite) of the BER element at `at`."""
    if at + 2 > len(octets):
        return None
    kind, length, at = octets[at], octets[at + 1], at + 2
    if length == 0x80:  # noqa: PLR2004 indefinite
        return kind, at, None
    if length > 0x80:  # noqa: PLR2004 long form
        count = length & 0x7F
        length, at = int.from_bytes(octets[at : at + min(count, 8)], "big"), at + count
    return kind, at, length
