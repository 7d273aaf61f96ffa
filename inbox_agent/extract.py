"""Attachment to text, or why not: every attachment gets exactly one state.

Formats are told by their octets (formats/kind.py), each is read by its module, archives and Outlook's containers
give one Extract for each file inside. Nothing here judges what a document is.

BUGS: RAR, 7z, Pages, old spreadsheets and slides are `unsupported`; a template's macros are noted, never looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from inbox_agent.application import DocumentState, Where
from inbox_agent.clean import clean_text, decode, normal
from inbox_agent.formats import archive, doc, outlook, package, pdf, picture, rtf
from inbox_agent.formats.content import Content, Limits, damaged, found, locked
from inbox_agent.formats.kind import Format, format_of
from inbox_agent.html_text import html_text
from inbox_agent.parse import parse

if TYPE_CHECKING:
    from inbox_agent.message import Attachment

__all__ = ["Extract", "Limits", "extract", "language_of"]


@dataclass(frozen=True, slots=True)
class Extract:
    """One document with its text.

    `media_type` is by content where the content tells. `octets` are empty for a member that a password keeps.
    `pages` is None where the format does not tell; `images` counts pages that are pictures. `language` is "fr",
    "en" or None. `decoration` marks a picture too small to be a page: a logo, an icon.
    """

    part: str
    name: str
    where: Where
    media_type: str
    octets: bytes
    text: str
    state: DocumentState
    pages: int | None
    notes: tuple[str, ...]
    language: str | None
    images: int
    decoration: bool = False


def extract(attachment: Attachment, limits: Limits, *, where: Where = Where.ATTACHMENT) -> tuple[Extract, ...]:
    """The documents in an attachment: one, or those inside an archive. Never empty."""
    file = _File(attachment.part, attachment.name or "", attachment.media_type, attachment.octets, where)
    return _extract(file, limits, depth=0)


@dataclass(frozen=True, slots=True)
class _File:
    """What is to be read: an attachment, or a file inside one."""

    part: str
    name: str
    declared: str
    octets: bytes
    where: Where


def _extract(file: _File, limits: Limits, *, depth: int) -> tuple[Extract, ...]:
    kind, media_type = format_of(file.octets, file.name, file.declared)
    if kind not in {Format.ZIP, Format.TNEF, Format.OUTLOOK}:
        return (_made(file, media_type, _content(kind, file.octets, limits)),)
    inside = _members(kind, file.octets, limits, depth)
    if isinstance(inside, Content):
        return (_made(file, media_type, inside),)
    where = _within(kind, file.where)
    found_inside = [
        extracted
        for rank, member in enumerate(inside, 1)
        for extracted in _member(member, f"{file.part}!{rank}", limits, where=where, depth=depth)
    ]
    if len(inside) >= limits.archive_documents:
        note = f"archive lue jusqu’au {limits.archive_documents}e fichier"
        found_inside[-1] = replace(found_inside[-1], notes=(*found_inside[-1].notes, note))
    return tuple(found_inside)


def _member(member: archive.Member, part: str, limits: Limits, *, where: Where, depth: int) -> tuple[Extract, ...]:
    file = _File(part, member.name, "application/octet-stream", member.octets or b"", where)
    if member.octets is None:
        return (_made(file, file.declared, locked()),)
    return _extract(file, limits, depth=depth + 1)


def _within(kind: Format, where: Where) -> Where:
    """Where the files of a container are: a ZIP is an archive, winmail.dat is Outlook's way to attach."""
    return Where.ARCHIVE if kind is Format.ZIP else where


def _members(kind: Format, octets: bytes, limits: Limits, depth: int) -> tuple[archive.Member, ...] | Content:
    if depth >= limits.archive_depth:
        return Content(DocumentState.REFUSED, notes=("archives trop imbriquées, non lues",))
    if kind is Format.ZIP:
        return archive.members(octets, limits)
    read = outlook.tnef_members if kind is Format.TNEF else outlook.outlook_members
    inside = read(octets, limits)
    if inside is None:
        return Content(DocumentState.UNSUPPORTED, notes=("format d’Outlook non lu",))
    return inside or Content(DocumentState.EMPTY, notes=("aucun fichier à l’intérieur",))


def _made(file: _File, media_type: str, content: Content) -> Extract:
    text = normal(content.text, "NFKC")
    return Extract(
        part=file.part,
        name=file.name,
        where=file.where,
        media_type=media_type,
        octets=file.octets,
        text=text,
        state=content.state,
        pages=content.pages,
        notes=content.notes,
        language=language_of(text),
        images=content.images,
        decoration=content.decoration,
    )


def _content(kind: Format, octets: bytes, limits: Limits) -> Content:  # noqa: C901, PLR0912 a table in words
    match kind:
        case Format.NOTHING:
            return Content(DocumentState.EMPTY, notes=("fichier vide",))
        case Format.PDF:
            return pdf.read(octets, limits)
        case Format.WORD:
            return package.read_word(octets, limits)
        case Format.DOC:
            return doc.read(octets, limits)
        case Format.OPENDOCUMENT:
            return package.read_opendocument(octets, limits)
        case Format.FLAT_OPENDOCUMENT:
            return package.read_flat_opendocument(octets, limits)
        case Format.SLIDES:
            return package.read_slides(octets, limits)
        case Format.CELLS:
            return package.read_cells(octets, limits)
        case Format.RTF:
            return rtf.read(octets, limits)
        case Format.PICTURE:
            return picture.read(octets, limits)
        case Format.TEXT:
            return found(clean_text(_text(octets[: 4 * limits.text])).strip()[: limits.text])
        case Format.HTML:
            return found(html_text(_text(octets[: 4 * limits.text]))[: limits.text])
        case Format.WEB_ARCHIVE:
            return found(parse(octets).text[: limits.text])
        case Format.LOCKED:
            return locked("chiffré ou protégé par un mot de passe")
        case Format.REFUSED:
            return Content(DocumentState.REFUSED, notes=("programme ou script, jamais ouvert",))
        case Format.DAMAGED:
            return damaged()
        case Format.UNSUPPORTED | Format.UNKNOWN:
            return Content(DocumentState.UNSUPPORTED, notes=("format non lu",))
        case Format.ZIP | Format.TNEF | Format.OUTLOOK:
            raise ValueError(f"{kind} is a container")
    assert_never(kind)


def _text(octets: bytes) -> str:
    for mark, codec in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if octets.startswith(mark):
            return octets.decode(codec, "replace")
    return decode(octets)[0]


_FRENCH_WORDS = (
    "le la les des et est une un du au aux dans pour avec sur par mon ma mes votre vos je nous vous que "
    "qui ce cette en expérience formation compétences de"
)
_FRENCH = frozenset(_FRENCH_WORDS.split())
_ENGLISH_WORDS = (
    "the and of to in for with on my your i we you that this is are was have has at by from as it "
    "experience education skills an"
)
_ENGLISH = frozenset(_ENGLISH_WORDS.split())


def language_of(text: str) -> str | None:
    """Language by the small words: "fr", "en", None where there are too few to tell."""
    words = text[:20_000].lower().split()
    french = sum(map(_FRENCH.__contains__, words))
    english = sum(map(_ENGLISH.__contains__, words))
    if max(french, english) < 3 or french == english:  # noqa: PLR2004 three words may be a name
        return None
    return "fr" if french > english else "en"
