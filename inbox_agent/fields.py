"""Values of header fields, however they were written: encoded words, parameters, addresses, dates, identifiers.

Everything is total and linear in the length of the value. The standard library's own readers raise or hang on
hostile values (cpython#83281, #134155), and mail-parser drops what it does not understand.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz
from urllib.parse import unquote_to_bytes

from inbox_agent.clean import clean_line, decode
from inbox_agent.message import Address

# RFC 2047 section 2, with the language tag of RFC 2231 section 5; blanks inside the text are a common fault.
_ENCODED_WORD = re.compile(r"=\?([^?*\s]{1,40})(?:\*[^?]{0,20})?\?([bBqQ])\?([^?]*)\?=")
_PARAMETER = re.compile(r"([^\s=*;]{1,60})(?:\*(\d{1,4}))?(\*)?[ \t]*=[ \t]*")
_MESSAGE_ID = re.compile(r"<\s*([^<>\s]{1,998})\s*>")
_ADDR_SPEC = re.compile(r"[^\s<>()\[\]\",;:@]{1,320}@[^\s<>()\",;:@]{1,255}")
_MONTH_DATE = re.compile(
    r"\d{1,2}\s+(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\s+\d{2,4}.{0,60}", re.IGNORECASE
)

_PARAMETERS_MAX = 200


def raw_text(raw: str) -> str:
    """A value as email.policy.compat32 gives it (8-bit octets as surrogates), unfolded, as text."""
    octets = raw.encode("utf-8", "surrogateescape")
    return decode(octets.replace(b"\r", b"").replace(b"\n", b""))[0]


def decode_words(text: str) -> str:
    """One line of clean text, its encoded words decoded, also those in quotes or glued to other text."""
    if "=?" not in text:
        return clean_line(text)
    pieces: list[str] = []
    pending: tuple[str, bytes] | None = None
    end = 0
    for word in _ENCODED_WORD.finditer(text):
        between = text[end : word.start()]
        charset, octets = word[1].lower(), _word_octets(word[2], word[3])
        if pending and not between.strip():
            # A character may be split between two words (Outlook does it): octets are joined before they are read.
            if pending[0] == charset:
                pending = (charset, pending[1] + octets)
            else:
                pieces.append(decode(pending[1], pending[0])[0])
                pending = (charset, octets)
        else:
            if pending:
                pieces.append(decode(pending[1], pending[0])[0])
            pieces.append(between)
            pending = (charset, octets)
        end = word.end()
    if pending:
        pieces.append(decode(pending[1], pending[0])[0])
    return clean_line("".join((*pieces, text[end:])))


def _word_octets(encoding: str, text: str) -> bytes:
    raw = text.encode("utf-8", "surrogatepass")
    if encoding in "qQ":
        return binascii.a2b_qp(raw.replace(b"_", b" ").replace(b"\n", b""), header=True)
    return base64_octets(raw)


def base64_octets(raw: bytes) -> bytes:
    """What base64 says, whatever is wrong with its alphabet or its padding."""
    try:
        return binascii.a2b_base64(raw)
    except binascii.Error:
        kept = re.sub(rb"[^A-Za-z0-9+/]", b"", raw)
        return base64.b64decode(kept[: len(kept) - (len(kept) % 4 == 1)] + b"==")


def parameters(text: str) -> tuple[str, dict[str, str]]:
    """The value before the first ";" in lower case, and the parameters by lower-case name.

    RFC 2231 extended and continued parameters win over plain ones; encoded words, raw 8-bit and unquoted
    values with spaces are understood, since mail is full of them.
    """
    main, _, rest = text.partition(";")
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    plain: dict[str, str] = {}
    at = 0
    for _count in range(_PARAMETERS_MAX):
        found = _PARAMETER.search(rest, at)
        if not found:
            break
        value, at = _parameter_value(rest, found.end())
        name = found[1].lower()
        if found[2] is not None or found[3]:
            sections.setdefault(name, {}).setdefault(int(found[2] or 0), (value, bool(found[3])))
        else:
            plain.setdefault(name, decode_words(value))
    extended = {name: _joined(parts) for name, parts in sections.items()}
    return clean_line(main).lower(), plain | {name: value for name, value in extended.items() if value}


def _parameter_value(text: str, at: int) -> tuple[str, int]:
    if text[at : at + 1] != '"':
        end = text.find(";", at)
        end = len(text) if end < 0 else end
        return text[at:end].strip(), end
    value: list[str] = []
    at += 1
    while at < len(text):
        stop = min((place for place in (text.find('"', at), text.find("\\", at)) if place >= 0), default=len(text))
        value.append(text[at:stop])
        if text[stop : stop + 1] != "\\":
            at = stop + 1
            break
        value.append(text[stop + 1 : stop + 2])
        at = stop + 2
    end = text.find(";", at)
    return "".join(value), len(text) if end < 0 else end


def _joined(parts: dict[int, tuple[str, bool]]) -> str:
    charset: str | None = None
    first, extended = parts.get(0, ("", False))
    if extended and first.count("'") >= 2:  # noqa: PLR2004 RFC 2231 section 4: charset'language'text
        charset, _, first = first.split("'", 2)
    octets: list[bytes] = []
    for number in sorted(parts):
        value, percent = parts[number]
        value = first if number == 0 else value
        octets.append(unquote_to_bytes(value) if percent else value.encode("utf-8", "surrogatepass"))
    return decode_words(decode(b"".join(octets), charset)[0])


def addresses(text: str) -> tuple[Address, ...]:
    """Every mailbox of an address list, also inside groups; what is no address but a word keeps its word.

    `text` is unfolded, its encoded words still encoded: decoded, they may hold commas and angles.
    """
    found: list[Address] = []
    waiting = ""  # "DUPONT, Jeanne <j@x>" without quotes: the word before the comma belongs to the name.
    for item, separator in _items(text):
        address = _mailbox(item, waiting)
        if address is None:
            waiting = ""
            continue
        if "@" not in address.addr_spec and separator == "," and not waiting:
            waiting = item.phrase.strip()
            word = address
            continue
        if waiting and not item.angle:
            found.append(word)
        waiting = ""
        found.append(address)
    if waiting:
        found.append(word)
    return tuple(found)


class _Item:
    """One list element while it is read."""

    __slots__ = ("angle", "comment", "phrase")

    def __init__(self) -> None:
        self.phrase = ""
        self.angle: str | None = None
        self.comment = ""


_COMMENT = re.compile(r"\([^()]{0,200}\)")
# Blanks around the dots of a domain, RFC 5322 4.4.
_SPREAD_OUT = re.compile(r"[^\s@]+ ?@ ?[\w-]+(?: ?\. ?[\w-]+)+")
_DELIMITERS = re.compile(r'[",;:<(\\]')


def _items(text: str) -> list[tuple[_Item, str]]:
    items: list[tuple[_Item, str]] = []
    item, at = _Item(), 0
    while at < len(text):
        found = _DELIMITERS.search(text, at)
        if not found:
            item.phrase += text[at:]
            break
        item.phrase += text[at : found.start()]
        at = found.end()
        match found[0]:
            case '"':
                quoted, at = _until(text, at, '"')
                item.phrase += quoted
            case "(":
                comment, at = _comment(text, at)
                item.comment += comment
            case "<":
                end = text.find(">", at)
                end = len(text) if end < 0 else end
                item.angle = text[at:end] if not item.angle else item.angle
                at = end + 1
            case ":":
                # The name of a group (RFC 5322 3.4) ends here, but for "mailto:" and the like.
                item = _Item()
            case "\\":
                item.phrase += text[at : at + 1]
                at += 1
            case separator:
                items.append((item, separator))
                item = _Item()
    items.append((item, ""))
    return items


def _until(text: str, at: int, end: str) -> tuple[str, int]:
    pieces: list[str] = []
    stops = re.compile(f"[{end}\\\\]")
    while found := stops.search(text, at):
        pieces.append(text[at : found.start()])
        if found[0] == end:
            return "".join(pieces), found.end()
        pieces.append(text[found.end() : found.end() + 1])
        at = found.end() + 1
    return "".join((*pieces, text[at:])), len(text)


def _comment(text: str, at: int) -> tuple[str, int]:
    depth, start = 1, at
    for found in re.finditer(r"[()\\]", text[at:]):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth == 0:
            return text[start : at + found.start()], at + found.end()
    return text[start:], len(text)


def _mailbox(item: _Item, before: str) -> Address | None:
    phrase, comment = clean_line(item.phrase), item.comment
    if item.angle is not None:
        name = decode_words(f"{before}, {phrase}" if before else phrase) or decode_words(comment)
        spec = _addr_spec(item.angle) or (_addr_spec(phrase) if "@" in phrase else "")
        return Address(name.strip(" '\""), spec) if spec or name else None
    if not phrase:
        return None
    if "@" in phrase:
        if _SPREAD_OUT.fullmatch(phrase):
            return Address(decode_words(comment), _addr_spec(phrase))
        found = _ADDR_SPEC.search(phrase)
        spec = _addr_spec(found[0] if found else phrase)
        name = decode_words(comment) or decode_words(phrase.replace(found[0], "") if found else "")
        return Address(name.strip(" '\""), spec)
    decoded = decode_words(phrase)
    if "@" in decoded and (found := _ADDR_SPEC.search(decoded)):  # The whole mailbox in one encoded word.
        return Address(decoded.replace(found[0], "").strip(" <>'\""), _addr_spec(found[0]))
    return Address(decoded, "" if " " in decoded else decoded.lower())


def _addr_spec(text: str) -> str:
    text = _COMMENT.sub("", clean_line(text)).strip(" '\"<>").removeprefix("mailto:").removeprefix("MAILTO:")
    if text.startswith("@") and ":" in text:  # An obsolete route, RFC 5322 4.4.
        text = text.rpartition(":")[2]
    text = text.replace(" ", "") if text.count("@") == 1 else text
    return text.rstrip(".").lower()


def moment(text: str) -> datetime | None:
    """An aware time from a date-time (RFC 5322 3.3); a zone that is not told is UTC. None if it is none."""
    try:
        parsed = parsedate_tz(text[:200])
    except (ValueError, IndexError, TypeError, OverflowError):
        parsed = None
    if not parsed:
        return None
    *fields, offset = parsed
    year, month, day, hour, minute, second = fields[:6]
    try:
        zone = timezone(timedelta(seconds=offset)) if offset else UTC
        return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone)
    except (ValueError, OverflowError, TypeError):
        return None


def received_moment(text: str) -> datetime | None:
    """The time of a Received field: what follows the last ";", else whatever looks like a date."""
    told = moment(text.rpartition(";")[2].strip()) if ";" in text else None
    if told:
        return told
    found = _MONTH_DATE.search(text)
    return moment(found[0]) if found else None


def identifiers(text: str) -> tuple[str, ...]:
    """Message identifiers with their angles, in order, each once; a bare word is given its angles."""
    found = tuple(dict.fromkeys(f"<{inner}>" for inner in _MESSAGE_ID.findall(text)))
    if found:
        return found
    words = clean_line(text).split()
    return (f"<{words[0].strip('<>')}>",) if len(words) == 1 and "@" in words[0] else ()
