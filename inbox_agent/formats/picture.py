"""Pictures: a photographed page is a scan, a logo is decoration. Only the size is read, from the header."""

from __future__ import annotations

import struct

from inbox_agent.application import DocumentState
from inbox_agent.clean import clean_text
from inbox_agent.formats.content import Content, Limits
from inbox_agent.formats.ocr import recognise_page

# A page needs about 60 dpi to be read: A4 is then 500 by 700 points. Logos, icons and banners are smaller one way.
_SHORT_SIDE_MIN = 400
_LONG_SIDE_MIN = 550


_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # JPEG markers, ITU-T T.81 table B.1


def read(octets: bytes, limits: Limits) -> Content:
    """A picture of whatever kind; one that does not tell its size may be a page."""
    size = dimensions(octets)
    if size and (min(size) < _SHORT_SIDE_MIN or max(size) < _LONG_SIDE_MIN):
        return Content(DocumentState.SCANNED, pages=1, images=1, notes=("petite image",), decoration=True)
    text = clean_text(recognise_page(octets, limits)).strip() if limits.ocr_pages else ""
    state = DocumentState.READ if text else DocumentState.SCANNED
    return Content(state, text[: limits.text], pages=1, images=1)


def dimensions(octets: bytes) -> tuple[int, int] | None:
    """Width and height in pixels of PNG, GIF, BMP, JPEG and WebP; None where they are not told."""
    try:
        if octets.startswith(b"\x89PNG"):
            return struct.unpack(">II", octets[16:24])
        if octets.startswith(b"GIF8"):
            return struct.unpack("<HH", octets[6:10])
        if octets.startswith(b"BM"):
            width, height = struct.unpack("<ii", octets[18:26])
            return abs(width), abs(height)
        if octets.startswith(b"\xff\xd8"):
            return _jpeg(octets)
        if octets[12:16] == b"VP8X":
            return 1 + int.from_bytes(octets[24:27], "little"), 1 + int.from_bytes(octets[27:30], "little")
    except (struct.error, IndexError):
        pass
    return None


def _jpeg(octets: bytes) -> tuple[int, int] | None:
    at = 2
    for _segment in range(200):
        if octets[at : at + 1] != b"\xff":
            return None
        marker, length = octets[at + 1], struct.unpack(">H", octets[at + 2 : at + 4])[0]
        if marker in _START_OF_FRAME:
            height, width = struct.unpack(">HH", octets[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None
