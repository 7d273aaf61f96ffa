"""Application → folder and file names (design section 7). Pure: a name from outside never becomes a path.

Folder and document names are ours; only documents of kind `other` keep their own, cleaned.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from inbox_agent.application import DocumentKind, DocumentState

if TYPE_CHECKING:
    from datetime import datetime

    from inbox_agent.application import Candidate, Document

SPONTANEOUS_FOLDER = "spontanees"
_PREFIX = {DocumentKind.CV: "CV", DocumentKind.LETTER: "LM", DocumentKind.CV_AND_LETTER: "CV-LM"}
_EXTENSION = {
    "application/pdf": ".pdf",
    "application/msword": ".doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.ms-word.document.macroEnabled.12": ".docm",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.template": ".dotx",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/rtf": ".rtf",
    "text/rtf": ".rtf",
    "text/plain": ".txt",
    "text/html": ".html",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/tiff": ".tif",
    "image/heic": ".heic",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "application/zip": ".zip",
}
# Names that Windows keeps for devices: a shared folder is opened there too.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_NAME_LIMIT = 80  # characters; with the folder well below the 255 of Windows paths
_SAFE_EXTENSION = re.compile(r"\.[a-z0-9]{1,5}")


def offer_folder(offer: str | None) -> str:
    """The folder of an offer's applications, beneath the root."""
    return offer or SPONTANEOUS_FOLDER


def application_folder(
    offer: str | None, received_at: datetime, candidate: Candidate | None, fingerprint: str
) -> PurePosixPath:
    """`<offer id>/<received date>_<NOM>-<Prenom>_<6 hex>`; the date is that of `received_at`'s own zone."""
    name = person_name(candidate)
    return PurePosixPath(offer_folder(offer), f"{received_at:%Y-%m-%d}_{name}_{fingerprint[:6]}")


def person_name(candidate: Candidate | None) -> str:
    """`DUPONT-Jeanne`, in ASCII letters, digits and hyphens; `Inconnu` for nobody."""
    if candidate is None:
        return "Inconnu"
    surname, given = _ascii(candidate.surname).upper(), _ascii(candidate.given)
    name = "-".join(part for part in (surname, given) if part) or _ascii(candidate.name)
    return name[:60].strip("-") or "Inconnu"


def document_names(
    documents: tuple[Document, ...], candidate: Candidate | None, taken: frozenset[str]
) -> tuple[str, ...]:
    """A file name for each document, none of them in `taken`, compared without case."""
    used = {name.casefold() for name in taken}
    names = []
    for document in documents:
        name = _free(_document_name(document, candidate), used)
        used.add(name.casefold())
        names.append(name)
    return tuple(names)


def message_name(taken: frozenset[str]) -> str:
    """The next of `message.eml`, `message-2.eml` and so on."""
    number = 1
    while (name := "message.eml" if number == 1 else f"message-{number}.eml") in taken:
        number += 1
    return name


def clean_name(name: str) -> str:
    """A file name that is safe on Linux, macOS and Windows: one component, visible, not hidden, not a device."""
    text = unicodedata.normalize("NFC", name)
    text = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    text = re.sub(r'[<>:"/\\|?*]+', "-", text)
    text = re.sub(r" +", " ", text).strip(" .-")
    stem, dot, extension = text.rpartition(".")
    if dot and len(extension) <= 5 and stem:  # noqa: PLR2004 - the longest usual extension: ".pages" has 5
        text = f"{stem[:_NAME_LIMIT].rstrip(' .')}.{extension}"
    else:
        text = text[:_NAME_LIMIT].rstrip(" .")
    if not text:
        return "document"
    return f"_{text}" if _RESERVED.fullmatch(text) else text


def _document_name(document: Document, candidate: Candidate | None) -> str:
    prefix = _PREFIX.get(document.kind)
    if document.state is DocumentState.REFUSED:
        # A double click must not start it.
        return f"{clean_name(document.name)}.refuse"
    if prefix is None:
        return clean_name(document.name)
    return f"{prefix}_{person_name(candidate)}{_extension(document)}"


def _extension(document: Document) -> str:
    known = _EXTENSION.get(document.media_type)
    if known:
        return known
    own = PurePosixPath(clean_name(document.name)).suffix.lower()
    return own if _SAFE_EXTENSION.fullmatch(own) else ".bin"


def _free(name: str, used: set[str]) -> str:
    if name.casefold() not in used:
        return name
    path = PurePosixPath(name)
    number = 2
    while (candidate := f"{path.stem}_{number}{path.suffix}").casefold() in used:
        number += 1
    return candidate


def _ascii(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.replace("œ", "oe").replace("Œ", "OE").replace("æ", "ae"))
    plain = "".join(char for char in folded if not unicodedata.combining(char))
    return re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-")
