"""Folder names of IMAP: ours ("Candidatures/x"), the server's with its prefix and separator, and special folders.

A part of our name that holds the server's separator has "-" in its place there. Pure: nothing here speaks to a
server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# RFC 6154 attribute → names that mail programs give such folders in French and English, in lower case, the
# likeliest first.
_SPECIAL = {
    "\\Drafts": ("drafts", "brouillons", "draft", "brouillon"),
    "\\Sent": (
        "sent",
        "sent items",
        "sent messages",
        "sent mail",
        "envoyés",
        "éléments envoyés",
        "messages envoyés",
        "objets envoyés",
        "courrier envoyé",
        "envoyes",
    ),
    "\\Junk": ("junk", "spam", "indésirables", "courrier indésirable", "junk e-mail", "pourriel"),
    "\\Trash": ("trash", "corbeille", "deleted items", "deleted messages", "éléments supprimés"),
    "\\Archive": ("archive", "archives"),
}


@dataclass(frozen=True, slots=True)
class ListedFolder:
    """A line of LIST. `wire` is the name in the server's octets, `attributes` are in lower case."""

    wire: bytes
    name: str
    attributes: frozenset[str]

    @property
    def can_be_opened(self) -> bool:
        """Whether it holds messages, or only other folders."""
        return not self.attributes & {"\\noselect", "\\nonexistent"}


@dataclass(frozen=True, slots=True)
class FolderNames:
    """How a server names personal folders (RFC 2342); `separator` None: it has no levels."""

    prefix: str = ""
    separator: str | None = "/"

    @classmethod
    def shown_by(cls, separator: str | None, names: Iterable[str]) -> FolderNames:
        """What the names of a server without NAMESPACE show: a prefix that all but INBOX have."""
        beneath_inbox = f"INBOX{separator}"
        others = [name for name in names if name.upper() != "INBOX"]
        if separator and others and all(name.upper().startswith(beneath_inbox) for name in others):
            return cls(others[0][: len(beneath_inbox)], separator)
        return cls("", separator)

    def theirs(self, folder: str) -> str:
        """The server's name for one of ours."""
        if folder.upper() == "INBOX":
            return "INBOX"
        separator = self.separator or "-"
        return self.prefix + separator.join(part.replace(separator, "-") for part in folder.split("/"))

    def ours(self, text: str) -> str:
        """Our name for one of the server's."""
        if text.upper() == "INBOX":
            return "INBOX"
        inner = text.removeprefix(self.prefix)
        return inner.replace(self.separator, "/") if self.separator else inner

    def by_our_name(self, lines: Iterable[tuple[bytes, str, frozenset[str]]]) -> dict[str, ListedFolder]:
        """What LIST showed (octets, text, attributes).

        Two may have one name of ours (INBOX.Sent and Sent): the one under the prefix is meant.
        """
        found: dict[str, ListedFolder] = {}
        for wire, text, attributes in lines:
            name = self.ours(text)
            if name not in found or text.startswith(self.prefix):
                found[name] = ListedFolder(wire, name, attributes)
        return found


def special_folder(folders: Sequence[ListedFolder], use: str) -> str | None:
    """The folder with that attribute of RFC 6154, or else with one of its usual names, the highest one up."""
    usable = [folder for folder in folders if folder.can_be_opened]
    for folder in usable:
        if use.lower() in folder.attributes:
            return folder.name
    usual = _SPECIAL.get(use, ())
    ranked = [
        (usual.index(last), folder.name.count("/"), folder.name)
        for folder in usable
        if (last := folder.name.rpartition("/")[2].lower()) in usual
    ]
    return min(ranked)[2] if ranked else None
