"""What a file is, by its octets. A name or a declared type decides only among kinds of text and refused scripts."""

from __future__ import annotations

import io
import re
import zipfile
from enum import StrEnum

from inbox_agent.formats.package import BROKEN


class Format(StrEnum):
    """The formats told apart."""

    NOTHING = "nothing"
    PDF = "pdf"
    WORD = "word"
    DOC = "doc"
    OPENDOCUMENT = "opendocument"
    FLAT_OPENDOCUMENT = "flat_opendocument"
    RTF = "rtf"
    TEXT = "text"
    HTML = "html"
    WEB_ARCHIVE = "web_archive"
    PICTURE = "picture"
    SLIDES = "slides"
    CELLS = "cells"
    ZIP = "zip"
    TNEF = "tnef"
    OUTLOOK = "outlook"
    LOCKED = "locked"
    UNSUPPORTED = "unsupported"
    REFUSED = "refused"
    DAMAGED = "damaged"
    UNKNOWN = "unknown"


OOXML = "application/vnd.openxmlformats-officedocument."
MEDIA_TYPES = {
    Format.PDF: "application/pdf",
    Format.WORD: OOXML + "wordprocessingml.document",
    Format.DOC: "application/msword",
    Format.OPENDOCUMENT: "application/vnd.oasis.opendocument.text",
    Format.FLAT_OPENDOCUMENT: "application/vnd.oasis.opendocument.text-flat-xml",
    Format.RTF: "application/rtf",
    Format.TEXT: "text/plain",
    Format.HTML: "text/html",
    Format.WEB_ARCHIVE: "multipart/related",
    Format.SLIDES: OOXML + "presentationml.presentation",
    Format.CELLS: OOXML + "spreadsheetml.sheet",
    Format.ZIP: "application/zip",
    Format.TNEF: "application/ms-tnef",
    Format.OUTLOOK: "application/vnd.ms-outlook",
}

_PICTURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"BM", "image/bmp"),
)
_EXECUTABLES = (
    b"MZ",
    b"\x7fELF",
    b"\xcf\xfa\xed\xfe",
    b"\xce\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"#!",
    b"L\x00\x00\x00\x01\x14\x02\x00",
)
_ARCHIVES = (
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"\x1f\x8b", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\x00", "application/x-xz"),
    (b"MSCF", "application/vnd.ms-cab-compressed"),
)
# Scripts and shortcuts are text to look at; only their name tells what a double click would do.
_SCRIPTS = frozenset(
    [
        "exe",
        "com",
        "scr",
        "pif",
        "bat",
        "cmd",
        "vbs",
        "vbe",
        "js",
        "jse",
        "wsf",
        "wsh",
        "hta",
        "ps1",
        "msi",
        "msp",
        "jar",
        "lnk",
        "reg",
        "cpl",
        "dll",
        "app",
        "sh",
        "py",
        "chm",
        "sct",
    ]
)
_SHORTCUTS = frozenset(["gdoc", "gsheet", "gslides", "url", "webloc", "desktop", "website"])
_BLANK = b"\x00 \t\r\n"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HTML = re.compile(
    rb"\s*(?:<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html|head|body|meta|title)\b", re.IGNORECASE | re.DOTALL
)
# Word's "single file web page", often under the name x.doc.
_WEB_ARCHIVE = re.compile(rb"(?:mime-version:|from: <saved by)", re.IGNORECASE)
_TEXT_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def format_of(octets: bytes, name: str | None, declared: str) -> tuple[Format, str]:  # noqa: C901, PLR0912 a table
    """The format and its media type; `declared` stays where the octets do not tell better."""
    extension = (name or "").rpartition(".")[2].lower().strip() if "." in (name or "") else ""
    head = octets[:1024]
    if not head.strip(_BLANK) and not octets.strip(_BLANK):
        return Format.NOTHING, declared
    if b"%PDF-" in head and not _HTML.match(head):
        return Format.PDF, MEDIA_TYPES[Format.PDF]
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip(octets, declared)
    if head.startswith(_OLE):
        return _compound(octets, declared, extension)
    for magic, media_type in _PICTURES:
        if head.startswith(magic) and (magic != b"BM" or head[6:10] == bytes(4)):
            return Format.PICTURE, media_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Format.PICTURE, "image/webp"
    if head[4:8] == b"ftyp" and head[8:12] in {b"heic", b"heix", b"mif1", b"msf1", b"avif"}:
        return Format.PICTURE, "image/heic"
    if head.startswith(b"\x78\x9f\x3e\x22"):
        return Format.TNEF, MEDIA_TYPES[Format.TNEF]
    for magic, media_type in _ARCHIVES:
        if head.startswith(magic):
            return Format.UNSUPPORTED, media_type
    if head.startswith(_EXECUTABLES) or extension in _SCRIPTS:
        return Format.REFUSED, declared
    if extension in _SHORTCUTS or head.startswith(b"[InternetShortcut]"):
        return Format.UNSUPPORTED, declared
    if declared in {"application/pkcs7-mime", "application/x-pkcs7-mime"} or b"-----BEGIN PGP MESSAGE-----" in head:
        return Format.LOCKED, declared
    return _textual(octets, head.lstrip(), declared, extension)


def _textual(octets: bytes, head: bytes, declared: str, extension: str) -> tuple[Format, str]:
    if head.startswith(b"{\\rtf"):
        return Format.RTF, MEDIA_TYPES[Format.RTF]
    if b"office:document" in head and b"opendocument" in head:
        return Format.FLAT_OPENDOCUMENT, MEDIA_TYPES[Format.FLAT_OPENDOCUMENT]
    if head.startswith(b"<svg") or b"<svg" in head[:400]:
        return Format.UNSUPPORTED, "image/svg+xml"
    if _HTML.match(head) or (extension in {"html", "htm"} and b"<" in head):
        return Format.HTML, MEDIA_TYPES[Format.HTML]
    if _WEB_ARCHIVE.match(head):
        return Format.WEB_ARCHIVE, MEDIA_TYPES[Format.WEB_ARCHIVE]
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Format.TEXT, MEDIA_TYPES[Format.TEXT]
    if len(_TEXT_CONTROLS.findall(octets[:20_000])) <= len(octets[:20_000]) // 100:
        return Format.TEXT, declared if declared.startswith("text/") else MEDIA_TYPES[Format.TEXT]
    if declared.startswith("image/"):
        return Format.PICTURE, declared
    known = extension in {"pdf", "doc", "docx", "odt", "rtf", "zip"} or declared in MEDIA_TYPES.values()
    return (Format.DAMAGED if known else Format.UNKNOWN), declared


def _zip(octets: bytes, declared: str) -> tuple[Format, str]:
    try:
        with zipfile.ZipFile(io.BytesIO(octets)) as package:
            names = set(package.namelist()[:20_000])
            mimetype = package.read("mimetype")[:100] if "mimetype" in names else b""
    except BROKEN:
        return Format.DAMAGED, declared if declared != "application/octet-stream" else "application/zip"
    except RuntimeError:
        return Format.ZIP, MEDIA_TYPES[Format.ZIP]
    if mimetype.startswith(b"application/vnd.oasis.opendocument"):
        return Format.OPENDOCUMENT, mimetype.decode("ascii", "replace").strip()
    if "[Content_Types].xml" in names:
        for folder, kind in (("word/", Format.WORD), ("ppt/", Format.SLIDES), ("xl/", Format.CELLS)):
            if any(name.startswith(folder) for name in names):
                return kind, declared if declared.startswith("application/vnd.") else MEDIA_TYPES[kind]
    if any(name.startswith("Index/") and name.endswith(".iwa") for name in names) or "Index.zip" in names:
        return Format.UNSUPPORTED, "application/vnd.apple.pages"
    if "META-INF/MANIFEST.MF" in names or "AndroidManifest.xml" in names:
        return Format.REFUSED, "application/java-archive"
    if mimetype == b"application/epub+zip":
        return Format.UNSUPPORTED, "application/epub+zip"
    return Format.ZIP, MEDIA_TYPES[Format.ZIP]


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-le")


def _compound(octets: bytes, declared: str, extension: str) -> tuple[Format, str]:
    """Which program wrote a compound file, by the names of its streams in the directory."""
    for name, kind, media_type in (
        ("EncryptedPackage", Format.LOCKED, declared),
        ("__properties_version1.0", Format.OUTLOOK, MEDIA_TYPES[Format.OUTLOOK]),
        ("WordDocument", Format.DOC, MEDIA_TYPES[Format.DOC]),
        ("PowerPoint Document", Format.UNSUPPORTED, "application/vnd.ms-powerpoint"),
        ("Workbook", Format.UNSUPPORTED, "application/vnd.ms-excel"),
    ):
        if _utf16(name) in octets:
            return kind, media_type
    if declared == MEDIA_TYPES[Format.DOC] or extension in {"doc", "dot"}:
        return Format.DAMAGED, declared
    return Format.UNSUPPORTED, declared
