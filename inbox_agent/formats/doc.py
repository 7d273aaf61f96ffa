"""DOC, the binary Word format (MS-DOC): the text through the piece table, by olefile, without a converter.

Word 97 and later keep their text in pieces, 8-bit or UTF-16 (MS-DOC 2.4.1); Word 6 and 95 in one run.
"""

from __future__ import annotations

import io
import re
import struct

from inbox_agent.clean import clean_text
from inbox_agent.formats.content import Content, Limits, damaged, found, locked

_FIB_MAGIC = (0xA5EC, 0xA5DC)
_WORD_97 = 0x00C1  # nFib of the first version with a piece table
_ENCRYPTED, _OTHER_TABLE = 0x0100, 0x0200  # FibBase bits F and G
_CLX = 0x01A2  # offset of fcClx in the file information block of Word 97
_PCDT = 0x02  # MS-DOC 2.9.177
_PIECES_MAX = 100_000

# Fields are kept between these: instruction, separator, result, end. The instruction is no text.
_FIELD_INSTRUCTION = re.compile("\x13[^\x13\x14\x15]{0,4000}(?:\x14|(?=\x15))")
_MARKS = str.maketrans(
    {
        "\r": "\n",
        "\x07": "\t",
        "\x0b": "\n",
        "\x0c": "\n",
        "\x1e": "-",
        "\x1f": None,
        "\x14": None,
        "\x15": None,
        "\x01": None,
        "\x08": None,
    }
)


def read(octets: bytes, limits: Limits) -> Content:
    """The main text, footnotes, headers and text boxes, in the order the file keeps them."""
    import olefile  # noqa: PLC0415 rarely needed

    try:
        with olefile.OleFileIO(io.BytesIO(octets)) as compound:
            if compound.exists("EncryptedPackage"):
                return locked()
            if not compound.exists("WordDocument"):
                return damaged("document sans contenu")
            stream = compound.openstream("WordDocument").read()
            magic, version = struct.unpack_from("<HH", stream)
            flags = struct.unpack_from("<H", stream, 0x0A)[0]
            if magic not in _FIB_MAGIC:
                return damaged()
            if flags & _ENCRYPTED:
                return locked()
            table_name = "1Table" if flags & _OTHER_TABLE else "0Table"
            table = compound.openstream(table_name).read() if compound.exists(table_name) else b""
            macro = compound.exists("Macros") or compound.exists("_VBA_PROJECT_CUR")
            pictures = compound.exists("Data")
            pages = compound.get_metadata().num_pages
    except (OSError, struct.error, ValueError, IndexError, TypeError, AttributeError, OverflowError):
        return damaged()  # olefile raises all of these on broken files.
    text = _pieces(stream, table) if version >= _WORD_97 else _run(stream)
    if text is None:
        return damaged()
    notes = ("macro présente, jamais exécutée",) if macro else ()
    text = tidy(text)[: limits.text]
    return found(
        text,
        pages=pages if isinstance(pages, int) and pages > 0 else None,
        images=int(pictures and not text),
        notes=notes,
    )


def tidy(text: str) -> str:
    """Fields replaced by their results, marks by line ends and tabs."""
    return clean_text(_FIELD_INSTRUCTION.sub("", text).translate(_MARKS)).strip()


def _pieces(stream: bytes, table: bytes) -> str | None:
    try:
        offset, length = struct.unpack_from("<II", stream, _CLX)
    except struct.error:
        return None
    clx = table[offset : offset + length]
    at = 0
    while at + 5 <= len(clx) and clx[at] == 0x01:  # Prc: formatting that precedes the table.
        at += 3 + struct.unpack_from("<H", clx, at + 1)[0]
    if at + 5 > len(clx) or clx[at] != _PCDT:
        return None
    size = struct.unpack_from("<I", clx, at + 1)[0]
    plc = clx[at + 5 : at + 5 + size]
    count = (len(plc) - 4) // 12
    if not 0 < count <= _PIECES_MAX:
        return None
    ends = struct.unpack_from(f"<{count + 1}I", plc)
    texts: list[str] = []
    for index in range(count):
        characters = ends[index + 1] - ends[index]
        place = struct.unpack_from("<I", plc, 4 * (count + 1) + 8 * index + 2)[0]
        if characters < 0:
            return None
        if place & 0x40000000:  # fCompressed: 8 bits a character, at half the offset
            start = (place & 0x3FFFFFFF) // 2
            texts.append(stream[start : start + characters].decode("cp1252", "replace"))
        else:
            texts.append(stream[place : place + 2 * characters].decode("utf-16-le", "replace"))
    return "".join(texts)


def _run(stream: bytes) -> str | None:
    try:
        start, end = struct.unpack_from("<II", stream, 0x18)  # fcMin, fcMac
    except struct.error:
        return None
    return stream[start:end].decode("cp1252", "replace") if start < end else None
