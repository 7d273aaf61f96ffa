"""RTF: striprtf, after pictures and objects have been cut out, which are most of a large file."""

from __future__ import annotations

import re

from inbox_agent.clean import clean_text
from inbox_agent.formats.content import Content, Limits, damaged, found

_PICTURE = re.compile(r"\\pict(?![a-z])")
_HEX = re.compile(r"[0-9a-fA-F\s]{400,}")
_BINARY = re.compile(rb"\\bin\d{3,9} ")
_LENGTH_MAX = 5_000_000  # characters without pictures


def read(octets: bytes, limits: Limits) -> Content:
    """The text; a file without any but with pictures is a scan."""
    from striprtf.striprtf import rtf_to_text  # noqa: PLC0415 rarely needed

    source = _without_binary(octets).decode("cp1252", "replace")
    images = len(_PICTURE.findall(source))
    source = _HEX.sub("", source)[:_LENGTH_MAX]
    try:
        text = rtf_to_text(source, encoding="cp1252", errors="ignore")
    except (ValueError, IndexError, LookupError, OverflowError, RecursionError, AttributeError, TypeError):
        return damaged()
    text = clean_text(text).strip()[: limits.text]
    return found(text, images=0 if text else images)


def _without_binary(octets: bytes) -> bytes:
    pieces: list[bytes] = []
    at = 0
    for binary in _BINARY.finditer(octets):
        if binary.start() < at:
            continue
        pieces.append(octets[at : binary.start()])
        at = binary.end() + int(binary[0][4:])
    return b"".join((*pieces, octets[at:]))
