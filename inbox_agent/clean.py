"""Octets to text that is safe to store, print and send: NFC, no NUL, no lone surrogates, no controls."""

from __future__ import annotations

import codecs
import re
import unicodedata
from typing import Literal

# Text codecs that mail uses, by their canonical Python name. Python has others ("zip", "hex", "unicode_escape")
# that a hostile charset parameter must never reach.
_CHARSETS = frozenset(
    (
        *(f"iso8859-{n}" for n in range(1, 17)),
        *(f"cp{n}" for n in (437, 850, 852, 858, 866, 874, 932, 949, 950, *range(1250, 1259))),
        *("ascii", "utf-8", "utf-8-sig", "utf-7", "utf-16", "utf-16-le", "utf-16-be"),
        *("utf-32", "utf-32-le", "utf-32-be", "koi8-r", "koi8-u", "mac-roman", "gb2312", "gbk", "gb18030"),
        *("big5", "big5hkscs", "shift_jis", "euc_jp", "euc_kr", "iso2022_jp", "iso2022_jp_2", "iso2022_kr"),
        *("hz", "tis-620", "johab"),
    )
)

_LABEL_MAX = 40  # characters; the longest label in the IANA registry has fewer

# Charsets whose label is so often wrong that octets which are valid UTF-8 beyond ASCII are taken for UTF-8.
_DOUBTFUL = frozenset(("ascii", "iso8859-1", "iso8859-15", "cp1252", "utf-8", "utf-8-sig"))

_LINE_ENDS = re.compile("[\u2028\u2029\x85\x0b\x0c]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_BLANKS = re.compile(r"[\s\x85]+")

# unicodedata.normalize sorts a run of combining marks in quadratic time (300 000 of them: 68 s), hence pieces. A
# letter can only be parted from its accent in a line longer than this.
_PIECE = re.compile(r"[^\n]{1,500}\n?|\n")
# What a normal form may change, or join to what stands before it; French has none of it, but for NFKC the "…" and "²".
_CHANGED = {
    "NFC": re.compile("[\u0300-\u2001\u20d0-\U0010ffff]"),
    "NFKC": re.compile("[^\x00-\x7f¡-§©«¬®°±¶·»¿À-ÿŒœŸ–—‘’“”•€‐]"),
}


def normal(text: str, form: Literal["NFC", "NFKC"] = "NFC") -> str:
    """Unicode's normal form, in time linear in the length."""
    if text.isascii() or not _CHANGED[form].search(text):
        return text
    return "".join(unicodedata.normalize(form, piece) for piece in _PIECE.findall(text))


def clean_text(text: str) -> str:
    """Text of several lines: line feeds and tabs stay, every other control goes."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.replace("\n", "").isprintable():
        text = _SURROGATES.sub("\ufffd", _CONTROLS.sub("", _LINE_ENDS.sub("\n", text)))
    return normal(text)


def clean_line(text: str) -> str:
    """Text of one line: every run of blanks and line ends is one space."""
    if text.isascii() and text.isprintable() and "  " not in text:  # Nearly every value of a header field.
        return text.strip(" ")
    return _BLANKS.sub(" ", clean_text(text)).strip()


def charset_of(name: str | None) -> str | None:
    """The Python codec for a charset label, None if it is absent, unknown or no text codec."""
    if name is None or len(name) > _LABEL_MAX or not name.isascii():
        return None
    try:
        found = codecs.lookup(name.strip(" \"'").lower().removeprefix("x-")).name
    except (LookupError, ValueError):
        return None
    return found if found in _CHARSETS else None


def decode(octets: bytes, charset: str | None = None) -> tuple[str, bool]:
    """Text of octets, not cleaned yet, and whether the label could be believed.

    UTF-8 and then Windows-1252 are tried where the label is absent, unknown, wrong or doubtful.
    """
    codec = charset_of(charset)
    if codec is not None and codec not in _DOUBTFUL:
        try:
            return octets.decode(codec), True
        except (UnicodeError, ValueError):
            return octets.decode(codec, "replace"), False
    known = charset is None or codec is not None
    if octets.isascii():
        return octets.decode("ascii"), known
    try:
        return octets.decode("utf-8"), known and codec in {None, "utf-8", "utf-8-sig"}
    except UnicodeDecodeError:
        pass
    # More sound characters than broken ones: UTF-8 that was cut or mended badly.
    text = octets.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    if len(octets) - len(text) >= broken and codec not in {"iso8859-1", "iso8859-15", "cp1252"}:
        return text, False
    western = "iso8859-15" if codec == "iso8859-15" else "cp1252"
    return octets.decode(western, "replace"), codec in {"iso8859-1", "iso8859-15", "cp1252"}
