"""What the acting modules need from the world, as Protocols. The adapters implement them.

Every method may raise the errors of errors.py and nothing else that belongs to the world.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path, PurePosixPath

    from inbox_agent.application import Reading
    from inbox_agent.errors import FileStoreError


@dataclass(frozen=True, slots=True)
class Listed:
    """A message on the server, before its octets. `internaldate` is aware; `size` is RFC822.SIZE."""

    uid: int
    size: int
    internaldate: datetime


@dataclass(frozen=True, slots=True)
class FolderState:
    """The answer to SELECT: `uidnext` may be None on a server that does not say it."""

    uidvalidity: int
    uidnext: int | None
    exists: int


@dataclass(frozen=True, slots=True)
class Moved:
    """Where a message is after a verified move; `uid` is None when the server hides it."""

    uidvalidity: int
    uid: int | None


class Mailbox(Protocol):
    """One account over IMAP. Folder names are ours ("Candidatures/x"): the adapter maps prefix and separator.

    Nothing here sets a flag on a message that stays: reading is BODY.PEEK[].
    """

    def select(self, folder: str) -> FolderState:
        """Open a folder read-write and say what it holds."""

    def list_uids(self, first: int, last: int | None = None) -> Sequence[int]:
        """UIDs of the selected folder from `first` on, ascending. Cheap: UID SEARCH UID n:*."""

    def since(self, moment: datetime) -> Sequence[int]:
        """UIDs whose INTERNALDATE is on or after that day (server's day: a day early for safety)."""

    def listed(self, uids: Sequence[int]) -> Sequence[Listed]:
        """Size and date of those that are still there."""

    def fetch(self, uids: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Octets of small messages, in one command."""

    def fetch_to(self, uid: int, path: Path, at_most: int | None = None) -> bool:
        """Octets of a large message into a new file, in chunks, bounded memory; not yet synced to disk.

        False, and no file, if the message is gone. `at_most`: about so many octets of its beginning.
        """

    def move(self, uids: Sequence[int], folder: str) -> dict[int, Moved | None]:
        """Move out of the selected folder, create the target if needed, and verify each.

        None for one that is neither in the source nor provably in the target (a person moved it).
        """

    def remove(self, uids: Sequence[int]) -> None:
        """Delete for good out of the selected folder, and nothing else (UID EXPUNGE)."""

    def find(self, folder: str, message_id: str) -> Sequence[int]:
        """UIDs in a folder whose Message-ID is that one; empty also when the folder does not exist."""

    def find_fields(self, folder: str, fields: Mapping[str, str]) -> Sequence[int]:
        """UIDs in a folder whose header fields all contain those values; empty when the folder does not exist."""

    def append(self, folder: str, octets: bytes, flags: Sequence[str], at: datetime) -> int | None:
        """APPEND, creating the folder if needed; the new UID if the server tells (UIDPLUS)."""

    def special(self, use: str) -> str | None:
        r"""The folder with a SPECIAL-USE attribute ("\\Drafts", "\\Sent", RFC 6154), as one of our names."""

    def folders(self) -> Sequence[str]:
        """All folders by our names."""

    def state(self, folder: str) -> FolderState | None:
        """What a folder holds, without opening it (STATUS); None if there is no such folder."""

    def glance(self, folder: str) -> tuple[str, ...] | None:
        """What a folder and those beneath hold, fit to be compared with another glance and for nothing else.

        None where the server does not tell it at once.
        """

    def wait(self, silence: float) -> bool:
        """IDLE (or sleep, where there is none) until the server said nothing for so long, in seconds.

        True if something seems to be new.
        """

    def close(self) -> None:
        """Log out, never raising."""


class Sender(Protocol):
    """Submission (RFC 6409). One message at a time, connection reused."""

    def send(
        self, octets: bytes, *, envelope_from: str, recipient: str, before_dot: BeforeDot, copy_to: str | None = None
    ) -> str:
        """Submit; the server's last answer. `copy_to` is a blind copy in the same transaction: both or none.

        `before_dot` is called once the server has said 354 and everything but the final dot is out: what it
        commits is on disk before the server can accept. Raises TryAgainError (4xx, or lost before the dot),
        SendRefusedError (5xx), SendUnknownError (lost after the dot), AuthenticationError, TlsError.
        """

    def connect(self) -> None:
        """Connect, secure and log in now; nothing is sent."""

    def close(self) -> None:
        """Quit, never raising."""


class BeforeDot(Protocol):
    """See Sender.send."""

    def __call__(self) -> None:
        """Commit that the dot is about to be sent."""


@dataclass(frozen=True, slots=True)
class Filing:
    """Files for one folder of the archive, each with the name that it gets there."""

    folder: PurePosixPath
    pieces: tuple[tuple[Path, str], ...]


class FileStore(Protocol):
    """The archive: paths are relative, made by archive.py alone. Nothing is ever overwritten by `put`."""

    def put(self, source: Path, target: PurePosixPath) -> None:
        """File `source` durably under `target` (link or copy, fsync).

        Nothing to do if the same octets are there already.

        Raises FileExistsError if other octets are there.
        """

    def put_all(self, filings: Sequence[Filing]) -> tuple[FileStoreError | FileExistsError | None, ...]:
        """As `put` for each file, but together; what went wrong with each filing, of which some files may be there."""

    def write(self, target: PurePosixPath, octets: bytes) -> None:
        """Replace or create a file of ours (candidature.json, index.html) atomically and durably."""

    def write_all(self, files: Sequence[tuple[PurePosixPath, bytes]]) -> None:
        """As `write` for each file, but together. The first error is raised; the others may be written."""

    def read(self, target: PurePosixPath) -> bytes | None:
        """Octets, or None if there is no such file."""

    def list(self, folder: PurePosixPath) -> Sequence[PurePosixPath]:
        """All files beneath, relative to the root, sorted."""

    def move(self, source: PurePosixPath, target: PurePosixPath) -> None:
        """Rename a folder; nothing to do if `source` is gone and `target` is there."""

    def remove(self, folder: PurePosixPath) -> None:
        """Remove a folder and what is beneath; nothing to do if it is gone."""

    def free(self) -> int | None:
        """Free octets, None where the store has no such notion."""

    def check(self) -> None:
        """Raise FileStoreError if the root is missing or cannot be written."""


class Readers(Protocol):
    """The child processes that read messages."""

    def read(self, spooled: Sequence[Path]) -> Iterator[Reading | Unread]:
        """Readings in the order asked for. A child that dies, hangs or says nonsense gives an Unread."""

    def close(self) -> None:
        """End the children."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A message that defeated its reader. `why` is an English phrase ("killed: 30 s wall time")."""

    sha256: str
    why: str


class Clock(Protocol):
    """Time, so that tests can hold it."""

    def now(self) -> datetime:
        """The present, aware, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
