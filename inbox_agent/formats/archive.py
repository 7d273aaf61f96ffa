"""ZIP archives: their members in memory, within limits. Nothing is ever unpacked to a path."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inbox_agent.application import DocumentState
from inbox_agent.clean import clean_line
from inbox_agent.formats.content import Content, damaged, locked
from inbox_agent.formats.package import BROKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inbox_agent.formats.content import Limits

_IGNORED = ("__macosx/", ".ds_store", "thumbs.db", "desktop.ini")
_SMALL = 1_000_000  # octets that no ratio makes dangerous


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive. `octets` is None where it cannot be read without a password."""

    name: str
    octets: bytes | None


def members(octets: bytes, limits: Limits) -> tuple[Member, ...] | Content:
    """The files inside, in their order; a Content where the archive as a whole says no."""
    try:
        with zipfile.ZipFile(io.BytesIO(octets)) as archive:
            entries = [entry for entry in archive.infolist() if not _ignored(entry)]
            if refusal := _refusal(entries, len(octets), limits):
                return Content(DocumentState.REFUSED, notes=(refusal,))
            found = tuple(_read(archive, entries[: limits.archive_documents], limits))
    except BROKEN:
        return damaged("archive endommagée")
    if not found:
        return Content(DocumentState.EMPTY, notes=("archive vide",))
    if all(member.octets is None for member in found):
        return locked("archive protégée par un mot de passe")
    return found


def _ignored(entry: zipfile.ZipInfo) -> bool:
    name = entry.filename.lower().replace("\\", "/")
    return entry.is_dir() or name.endswith("/") or name.startswith(_IGNORED) or name.rpartition("/")[2] in _IGNORED


def _refusal(entries: list[zipfile.ZipInfo], packed: int, limits: Limits) -> str | None:
    if len(entries) > limits.archive_entries:
        return f"archive de plus de {limits.archive_entries} fichiers, non lue"
    total = sum(entry.file_size for entry in entries)
    if total > limits.archive_octets or (total > _SMALL and total > packed * limits.archive_ratio):
        return "archive démesurée une fois décompressée, non lue"
    return None


def _read(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], limits: Limits) -> Iterator[Member]:
    left = limits.archive_octets
    for entry in entries:
        name = _name(entry)
        if entry.flag_bits & 0x1:  # encrypted
            yield Member(name, None)
            continue
        with archive.open(entry) as source:
            octets = source.read(min(entry.file_size, left) + 1)
        if len(octets) > entry.file_size:
            raise zipfile.BadZipFile("a member is longer than it says")
        left -= len(octets)
        yield Member(name, octets)


def _name(entry: zipfile.ZipInfo) -> str:
    """The member's own name without its folders; Windows writes cp850, macOS UTF-8 without saying so."""
    name = entry.filename
    if not entry.flag_bits & 0x800:  # language encoding flag (APPNOTE 4.4.4): set for UTF-8
        raw = name.encode("cp437", "replace")
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            name = raw.decode("cp850", "replace")
    return clean_line(name.replace("\\", "/").rpartition("/")[2])[:300]
