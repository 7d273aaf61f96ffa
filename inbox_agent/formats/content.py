"""What a format module gives back, and the limits it keeps to."""

from __future__ import annotations

from dataclasses import dataclass

from inbox_agent.application import DocumentState


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of one document is read.

    `ocr_pages` is how many scanned pages are given to tesseract, 0 for none; `ocr_seconds` is for all of them.
    `cautious` reads with the readers that survive anything: the second try after a child has died.
    """

    text: int = 400_000  # characters, two hundred pages
    pages: int = 40  # nobody's curriculum vitae is longer; a thesis is recognised by its first 40 pages
    xml: int = 30_000_000  # octets of one XML member, unpacked
    archive_entries: int = 2000
    archive_octets: int = 200_000_000  # unpacked, all members together
    archive_ratio: int = 100  # unpacked to packed, for members beyond 1 MB
    archive_depth: int = 3
    archive_documents: int = 60
    ocr_pages: int = 0
    ocr_seconds: int = 20
    cautious: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """The text of a document, or why there is none.

    `pages` is None where the format does not tell. `images` counts pages that are pictures. `notes` are French.
    `decoration` is for pictures too small to be a page.
    """

    state: DocumentState
    text: str = ""
    pages: int | None = None
    images: int = 0
    notes: tuple[str, ...] = ()
    decoration: bool = False


def found(text: str, *, pages: int | None = None, images: int = 0, notes: tuple[str, ...] = ()) -> Content:
    """READ where there is text, SCANNED where there are only pictures, else EMPTY."""
    if text.strip():
        return Content(DocumentState.READ, text, pages, images, notes)
    return Content(DocumentState.SCANNED if images else DocumentState.EMPTY, "", pages, images, notes)


def damaged(note: str = "fichier endommagé", *, pages: int | None = None) -> Content:
    """What the format's own reader cannot open."""
    return Content(DocumentState.DAMAGED, pages=pages, notes=(note,))


def locked(note: str = "protégé par un mot de passe") -> Content:
    """What asks for a password."""
    return Content(DocumentState.LOCKED, notes=(note,))
