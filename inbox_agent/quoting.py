"""What a sender wrote, parted from the signature, from what is quoted below, and from what is forwarded.

Written for the forms of Outlook, Gmail, Apple Mail, Thunderbird, Zimbra, Roundcube, Yahoo, Orange and the
phones, in French and English. One pass over the lines: the time is linear whatever the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from inbox_agent.message import Address
from inbox_agent.phrases import fold

LONGEST = 200_000  # characters; the rest of a longer body is quoted mail or noise.
_SIGNATURE_LINES = 12
_FIELDS_ENOUGH = 3  # From and two more: an empty line after them ends the block
_CLOSING_LINES = 25  # name, function, address, slogan and a disclaimer

_INTRODUCES = re.compile(
    r"^\W{0,3}(?:le\b.{4,200}\ba [eé]crit\s*:?|on\b.{4,200}\bwrote\s*:?|el\b.{4,200}\bescribi[oó]\s*:?"
    r"|am\b.{4,200}\bschrieb.{0,80}:)\s*$",
    re.IGNORECASE,
)
_INTRODUCTION_BEGINS = re.compile(r"^\W{0,3}(?:le|on|el|am)\b.*(?:\d|@|<)", re.IGNORECASE)
_SEPARATOR = re.compile(
    r"^[>\s]*[-_*=~–—]{2,}\s*(?P<words>[^\W\d_][^-_*=~–—]{3,60}?)\s*[-_*=~–—]{2,}\s*:?\s*$|^[>\s]*(?P<bare>[^\W\d_][^:]{5,50}?)\s*:\s*$"
)
_RULE = re.compile(r"^\s*[_-]{10,}\s*$")
_ORIGINAL = re.compile(
    r"message d ?origine|message original|mail original|original message|courriel original|message initial"
)
_FORWARDED = re.compile(
    r"message (?:transfere|reexpedie|transmis)|mail transfere|courriel transfere|forwarded message|message forwarded|"
    r"begin forwarded message|debut du message (?:transfere|reexpedie)|forwarded mail|weitergeleitete nachricht"
)
_FIELD = re.compile(
    r"^[>\s*]*\**(?P<field>de|from|von|exp[eé]diteur|envoy[eé](?: le| par)?|sent|date|[àa]|to|pour|destinataire|cc"
    r"|copie(?: [àa])?|objet|sujet|subject|re)"
    r"\**\s*:\**\s*(?P<value>.*)$",
    re.IGNORECASE,
)
_FROM_FIELDS = frozenset({"de", "from", "von", "expediteur", "envoye par"})
_OTHER_FIELDS = {
    "envoye": "date",
    "envoye le": "date",
    "sent": "date",
    "date": "date",
    "a": "to",
    "to": "to",
    "pour": "to",
    "destinataire": "to",
    "cc": "cc",
    "copie": "cc",
    "copie a": "cc",
    "objet": "subject",
    "sujet": "subject",
    "subject": "subject",
    "re": "subject",
}
_ORANGE = re.compile(r"^\s*>?\s*message du \d{1,2}/\d{1,2}/\d{2,4}", re.IGNORECASE)
_QUOTED = re.compile(r"^\s{0,3}>")
_CLOSING = re.compile(
    r"^\W*(?:(?:bien |tr[eè]s )?(?:cordialement|sinc[eè]rement|respectueusement|amicalement)|cordiales salutations"
    r"|bien [àa] (?:vous|toi)|cdlt|cdt|bav|salutations|(?:kind|best|warm)? ?regards|yours (?:faithfully|sincerely)"
    r"|sincerely|best wishes|avec mes (?:salutations|remerciements)|belle journ[ée]e"
    r"|bonne (?:journ[ée]e|r[ée]ception|soir[ée]e))\b.{0,40}$",
    re.IGNORECASE,
)
_PHONE = re.compile(
    r"^\W*(?:envoy[eé] (?:de|depuis|[àa] partir)|sent from (?:my )?|t[eé]l[eé]charge[zr] outlook|obtenez outlook"
    r"|obtenir outlook|get outlook|envoy[eé] avec|provenance\s*:)",
    re.IGNORECASE,
)
_MAILBOX = re.compile(
    r"(?P<name>[^<>\[\]\n]{0,120}?)\s*[<\[(]?\s*(?:mailto:)?(?P<spec>[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-]+(?:\.[\w-]+)+)",
    re.UNICODE,
)


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A message inside the text of another, as the header lines above it say; `whole` with what it quotes itself."""

    from_: Address | None
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    subject: str
    text: str
    whole: str


@dataclass(frozen=True, slots=True)
class Written:
    """A body taken apart. `signature` is part of nothing else; `below` is the first message beneath, of any kind.

    `announced` says whether the text itself calls it forwarded ("Message transféré").
    """

    own: str
    signature: str
    quoted: str
    below: Forwarded | None
    announced: bool


def take_apart(text: str) -> Written:
    """The parts of a body, as a person would see them."""
    lines = text[:LONGEST].replace("\r", "").split("\n")
    cut, announced = _where_quoting_begins(lines)
    above = [line for line in lines[:cut] if not _QUOTED.match(line)]
    interleaved = [line.lstrip(" >") for line in lines[:cut] if _QUOTED.match(line)]
    own, signature = _without_signature(above)
    beneath = [re.sub(r"^[\s>]*>\s?", "", line) for line in lines[cut:]]
    return Written(
        own="\n".join(own).strip(),
        signature="\n".join(signature).strip(),
        quoted="\n".join(interleaved + beneath).strip(),
        below=_first_below(beneath),
        announced=announced,
    )


def without_closing(text: str) -> tuple[str, str]:
    """The words above the last "Cordialement", and what stands below it: name, title, slogan, disclaimer."""
    lines = text.split("\n")
    for at in range(len(lines) - 1, 0, -1):
        if _CLOSING.match(lines[at]):
            below = lines[at + 1 :]
            if len([line for line in below if line.strip()]) <= _CLOSING_LINES:
                return "\n".join(lines[:at]), "\n".join(below)
            return text, ""
    return text, ""


def addresses_in(value: str) -> tuple[Address, ...]:
    """The mailboxes of a line such as `De : "Jeanne Dupont" <jeanne@example.org>`."""
    found = []
    for mailbox in _MAILBOX.finditer(value[:2000]):
        name = re.sub(r"^[\s,;:\"'«]+|[\s,;:\"'»<\[(]+$", "", mailbox["name"])
        found.append(Address("" if "@" in name else name, mailbox["spec"].lower().strip(".'")))
    return tuple(found)


def _where_quoting_begins(lines: list[str]) -> tuple[int, bool]:
    """The first line that belongs to the message beneath, and whether it is said to be forwarded."""
    for at, line in enumerate(lines):
        if not line.strip():
            continue
        separator = _SEPARATOR.match(line)
        if separator is not None:
            words = " ".join(fold(separator["words"] or separator["bare"] or "").replace("'", " ").split())
            if _FORWARDED.search(words):
                return at, True
            if _ORIGINAL.search(words):
                return at, False
        if _is_introduced(lines, at) or _is_header_block(lines, at) or _ORANGE.match(line):
            return at, False
    return len(lines), False


def _is_introduced(lines: list[str], at: int) -> bool:
    """Whether "Le …, X a écrit :" begins here, on one line or folded into two or three."""
    if not _INTRODUCTION_BEGINS.match(lines[at]):
        return False
    return any(_INTRODUCES.match(" ".join(lines[at : at + count])[:400]) for count in (1, 2, 3))


def _is_header_block(lines: list[str], at: int) -> bool:
    """Whether "De : …" begins a block of header lines, as Outlook writes them."""
    first = _FIELD.match(lines[at])
    if first is None or fold(first["field"]) not in _FROM_FIELDS | {"objet", "sujet", "subject", "date"}:
        return False
    fields = {fold(first["field"])}
    for line in lines[at + 1 : at + 9]:
        field = _FIELD.match(line)
        if field is not None:
            fields.add(fold(field["field"]))
    kinds = {"from" if field in _FROM_FIELDS else _OTHER_FIELDS.get(field, "") for field in fields}
    return "from" in kinds and len(kinds & {"date", "to", "subject"}) >= 2  # noqa: PLR2004 one of them stands in any text


def _without_signature(lines: list[str]) -> tuple[list[str], list[str]]:
    """The text, and what stands below "-- ", as far as it is short; "Envoyé de mon iPhone" is dropped."""
    kept = [line for line in lines if not _PHONE.match(line) and not _RULE.match(line)]
    for at in range(len(kept) - 1, -1, -1):
        if kept[at].rstrip() == "--" and len(kept) - at <= _SIGNATURE_LINES + 1:
            return kept[:at], kept[at + 1 :]
    return kept, []


def _first_below(lines: list[str]) -> Forwarded | None:
    """The message whose header lines or introduction stand first; what it quotes itself is cut off."""
    for at in range(min(len(lines), 12)):
        if _is_header_block(lines, at):
            return _from_header_block(lines, at)
        if _is_introduced(lines, at):
            return _from_introduction(lines, at)
    return None


def _from_header_block(lines: list[str], at: int) -> Forwarded:
    values: dict[str, str] = {}
    end, field = at, ""
    for end in range(at, min(at + 14, len(lines))):
        line = lines[end].strip()
        found = _FIELD.match(line)
        if found is not None:
            name = fold(found["field"])
            field = "from" if name in _FROM_FIELDS else _OTHER_FIELDS.get(name, "")
            values.setdefault(field, found["value"])
        elif not line:
            if "from" in values and (len(values) >= _FIELDS_ENOUGH or _next_is_text(lines, end)):
                break
        elif field in ("to", "cc", "from") and ("@" in line or line.endswith((";", ","))):
            values[field] += " " + line
        else:
            break
    else:
        end += 1
    from_ = addresses_in(values.get("from", "")) or _name_only(values.get("from", ""))
    return Forwarded(
        from_=from_[0] if from_ else None,
        to=addresses_in(values.get("to", "")),
        cc=addresses_in(values.get("cc", "")),
        subject=values.get("subject", "").strip(),
        text=_cut_again(lines[end:]),
        whole="\n".join(lines[end:]).strip(),
    )


def _next_is_text(lines: list[str], at: int) -> bool:
    following = next((line for line in lines[at:] if line.strip()), "")
    return _FIELD.match(following) is None


def _name_only(value: str) -> tuple[Address, ...]:
    name = value.strip(" \t\"'<>*")
    return (Address(name, ""),) if name else ()


def _from_introduction(lines: list[str], at: int) -> Forwarded:
    introduction, end = lines[at], at + 1
    while end < min(at + 3, len(lines)) and not _INTRODUCES.match(introduction):
        introduction += " " + lines[end]
        end += 1
    addresses = addresses_in(introduction)
    whole = "\n".join(lines[end:]).strip()
    return Forwarded(addresses[-1] if addresses else None, (), (), "", _cut_again(lines[end:]), whole)


def _cut_again(lines: list[str]) -> str:
    cut, _ = _where_quoting_begins(lines)
    own, signature = _without_signature([line for line in lines[:cut] if not _QUOTED.match(line)])
    return "\n".join([*own, *signature]).strip()
