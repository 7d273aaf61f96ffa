"""The archive as a folder of this machine or a mounted share, as ports.FileStore.

DESCRIPTION
    Every file is opened beneath the root by folder descriptors, never following a link, and never over
    another file. What a method has returned from is on disk: file and folder entries are synchronised.
    Storage is trusted to keep what fsync acknowledged, and rename and link to be atomic.
DIAGNOSTICS
    FileStoreError names the path and what a person can do. FileExistsError: other octets are there.
    ValueError: a path that leaves the root, which is our own bug.
BUGS
    One writer at a time: two processes under one root could replace each other's temporary files.
    A share that cannot synchronise folders (some SMB servers) loses the newest entries in a power cut.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import PurePath, PurePosixPath
from typing import TYPE_CHECKING

from inbox_agent.errors import FileStoreError
from inbox_agent.failpoint import reach
from inbox_agent.ports import Filing
from inbox_agent.synchronise import synchronise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # A pipe put there must not hold us up.
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 2**20  # octets
_TOGETHER = 128  # files that wait for the disk together: with their folders far below the usual 1,024 descriptors
_TEMPORARY = ".tmp-"
# What link(2) says when a file system has no links, when source and target are on two of them, or when the
# inode has too many.
_NO_LINK = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}
)
_REMEDIES = {
    errno.ENOSPC: "free some space on its disk",
    errno.EDQUOT: "raise the quota of the agent's user, or free some space",
    errno.EROFS: "mount its file system read-write again; under systemd, name it in ReadWritePaths= (docs/service.md)",
    errno.EACCES: "give the agent's user the right to write there",
    errno.EPERM: "give the agent's user the right to write there",
    errno.EIO: "the disk or the share fails: look at the system's log and at the backups",
    errno.ENOENT: "it is missing: mount the share or restore the folder",
    errno.ENOTDIR: "a file or a link stands where a folder should be: remove it",
    errno.ELOOP: "a link stands where a file or folder of ours should be: remove it",
    errno.ENAMETOOLONG: "the file system wants shorter names: choose a root with a shorter path",
    errno.ESTALE: "the share was lost: mount it again",
}


class LocalFiles:
    """A ports.FileStore under `root`, which must exist.

    `file_mode` and `folder_mode` are set whatever the umask; 0o640 and 0o2750 let a group read.
    """

    def __init__(self, root: Path, *, file_mode: int = 0o600, folder_mode: int = 0o700) -> None:
        self.root = root
        self._file_mode = file_mode
        self._folder_mode = folder_mode

    def put(self, source: Path, target: PurePosixPath) -> None:
        """Link `source`, or copy it where it cannot be linked; see ports.FileStore.

        A linked file is one file under two names: its mode becomes ours, and nobody may write into it.
        """
        (error,) = self.put_all([Filing(target.parent, ((source, target.name),))])
        if error is not None:
            raise error

    def put_all(self, filings: Sequence[Filing]) -> tuple[FileStoreError | FileExistsError | None, ...]:
        """As `put` each, but all wait for the disk together; see ports.FileStore."""
        shares = [
            (number, _Share(_inside(filing.folder / some[0][1])[:-1], filing.folder, pieces=some))
            for number, filing in enumerate(filings)
            for some in _cut(filing.pieces)
        ]
        for together in _portions([share for _, share in shares]):
            with _Opened(self.root, self._folder_mode) as opened:
                self._each(together, lambda share: self._open_sources(share, opened))
                self._synchronise(together, lambda share: share.sources)
                self._each(together, lambda share: self._link_or_copy(share, opened))
                self._finish(together)
        errors = {number: share.error for number, share in reversed(shares) if share.error is not None}
        return tuple(errors.get(number) for number in range(len(filings)))

    def write(self, target: PurePosixPath, octets: bytes) -> None:
        """Replace a file in one step; see ports.FileStore."""
        self.write_all([(target, octets)])

    def write_all(self, files: Sequence[tuple[PurePosixPath, bytes]]) -> None:
        """As `write` each, but all wait for the disk together; see ports.FileStore."""
        shares = [_Share(_inside(target)[:-1], target, octets=octets) for target, octets in files]
        for together in _portions(shares):
            with _Opened(self.root, self._folder_mode) as opened:
                self._each(together, lambda share: self._write(share, opened))
                self._finish(together)
        for share in shares:
            if share.error is not None:
                raise share.error

    def read(self, target: PurePosixPath) -> bytes | None:
        """Octets of a regular file; see ports.FileStore."""
        parts = _inside(target)
        with self._translated(target), self._root() as root, _descend(root, parts[:-1]) as folder:
            if folder is None or not _is_there(folder, parts[-1]):
                return None
            with os.fdopen(os.open(parts[-1], _READ, dir_fd=folder), "rb") as file:
                return file.read()

    def list(self, folder: PurePosixPath) -> Sequence[PurePosixPath]:
        """All regular files beneath, ours that are not finished excepted; empty if there is no such folder."""
        parts = _inside(folder) if folder.parts else ()
        with self._translated(folder), self._root() as root, _descend(root, parts) as top:
            return [] if top is None else sorted(folder / path for path in _regular_files(top))

    def move(self, source: PurePosixPath, target: PurePosixPath) -> None:
        """Rename a folder; see ports.FileStore. Raises FileExistsError if something is at `target` already."""
        old, new = _inside(source), _inside(target)
        with self._translated(source), self._root() as root:
            with _descend(root, old[:-1]) as before, _descend(root, new[:-1]) as after:
                gone = before is None or not _is_there(before, old[-1])
                taken = after is not None and _is_there(after, new[-1])
            if gone and taken:
                return
            if taken:
                raise _taken(self.root / target)
            with _Opened(self.root, self._folder_mode) as opened:
                from_way, to_way = opened.way(old[:-1], create=False), opened.way(new[:-1])
                reach("files.move.before")
                os.rename(old[-1], new[-1], src_dir_fd=from_way[-1], dst_dir_fd=to_way[-1])
                for folder in dict.fromkeys((*reversed(to_way), from_way[-1])):
                    _synchronise_folder(folder)

    def remove(self, folder: PurePosixPath) -> None:
        """Remove a folder, or a file, and what is beneath; see ports.FileStore."""
        parts = _inside(folder)
        with self._translated(folder), self._root() as root, _descend(root, parts[:-1]) as parent:
            if parent is None or not _is_there(parent, parts[-1]):
                return
            reach("files.remove.before")
            if stat.S_ISDIR(os.lstat(parts[-1], dir_fd=parent).st_mode):
                shutil.rmtree(parts[-1], dir_fd=parent)
            else:
                os.unlink(parts[-1], dir_fd=parent)
            _synchronise_folder(parent)

    def free(self) -> int | None:
        """Octets that an ordinary user may still write."""
        with self._translated(PurePosixPath()):
            volume = os.statvfs(self.root)
            return volume.f_bavail * volume.f_frsize

    def check(self) -> None:
        """Write and remove a file at the root; see ports.FileStore."""
        with self._translated(PurePosixPath()), _Opened(self.root, self._folder_mode) as opened:
            (root,) = opened.way(())
            temporary, descriptor = self._temporary("check", root, (b"",), opened)
            reach("files.check.before")
            try:
                os.fsync(descriptor)
            finally:
                os.unlink(temporary, dir_fd=root)
            _synchronise_folder(root)

    @contextmanager
    def _root(self) -> Iterator[int]:
        # The root itself may be a link: it is the owner's word, from the configuration.
        descriptor = os.open(self.root, _FOLDER & ~os.O_NOFOLLOW)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _each(self, shares: Iterable[_Share], step: Callable[[_Share], None]) -> None:
        """A step of all with which nothing is wrong; what goes wrong ends one and no other."""
        for share in shares:
            if share.error is None:
                try:
                    with self._translated(share.told):
                        step(share)
                except (FileStoreError, FileExistsError) as error:
                    share.give_up(error)

    def _synchronise(self, shares: Iterable[_Share], wrote: Callable[[_Share], Iterable[int]]) -> None:
        """The descriptors that each `wrote` are on disk, or it ends. Failpoints were passed by the step before."""
        going = [share for share in shares if share.error is None]
        refused = synchronise(dict.fromkeys(descriptor for share in going for descriptor in wrote(share)))
        for share in going:
            if (error := next((refused[one] for one in wrote(share) if one in refused), None)) is not None:
                share.give_up(FileStoreError(_sentence(error, self.root / share.told)))

    def _open_sources(self, share: _Share, opened: _Opened) -> None:
        share.way = opened.way(share.folder)
        for source, _ in share.pieces:
            with self._translated(source):
                share.sources.append(opened.file(source, _READ))
            # Before the link: after a failed fsync the kernel may say yes to the next one.
            reach("files.source.fsync.before")

    def _link_or_copy(self, share: _Share, opened: _Opened) -> None:
        for (source, name), descriptor in zip(share.pieces, share.sources, strict=True):
            with self._translated(share.told / name):
                if not self._link(source, descriptor, name, share.way[-1]):
                    self._begin(share, name, _chunks(descriptor), opened)

    def _link(self, source: Path, descriptor: int, name: str, folder: int) -> bool:
        """Whether the file has its name now; False where it has to be copied."""
        if _is_there(folder, name):
            self._accept_or_refuse(descriptor, name, folder)
            return True
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileStoreError(f"{source} is no regular file: remove it")
        try:
            reach("files.link.before")
            os.link(source, name, dst_dir_fd=folder, follow_symlinks=False)
            os.fchmod(descriptor, self._file_mode)
        except FileExistsError:
            self._accept_or_refuse(descriptor, name, folder)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            return False
        return True

    def _write(self, share: _Share, opened: _Opened) -> None:
        share.way = opened.way(share.folder)
        self._begin(share, share.told.name, (share.octets,), opened)

    def _begin(self, share: _Share, name: str, chunks: Iterable[bytes], opened: _Opened) -> None:
        """Everything but the name, which is given to what is on disk."""
        temporary, descriptor = self._temporary(name, share.way[-1], chunks, opened)
        share.unfinished.append((temporary, descriptor, name))

    def _finish(self, shares: Sequence[_Share]) -> None:
        """Content is durable before its name, and every name on the way before anybody is told."""
        self._synchronise(shares, lambda share: [descriptor for _, descriptor, _ in share.unfinished])
        self._each(shares, _give_names)
        self._synchronise(shares, lambda share: share.way)

    def _accept_or_refuse(self, descriptor: int, name: str, folder: int) -> None:
        """Make sure that the file which is there has these octets, and that it is on disk."""
        try:
            there = os.open(name, _READ, dir_fd=folder)
        except OSError as error:
            raise _taken(name) from error
        try:
            if not stat.S_ISREG(os.fstat(there).st_mode) or not _same_octets(descriptor, there):
                raise _taken(name)
            reach("files.there.fsync.before")
            os.fsync(there)
        finally:
            os.close(there)

    def _temporary(self, name: str, folder: int, chunks: Iterable[bytes], opened: _Opened) -> tuple[str, int]:
        """A file beside `name` with those octets, to be synchronised; what a crash left of it is replaced."""
        temporary = _TEMPORARY + hashlib.sha256(name.encode()).hexdigest()[:16]
        reach("files.temporary.before")
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        descriptor = opened.file(temporary, _CREATE, self._file_mode, folder)
        try:
            os.fchmod(descriptor, self._file_mode)
            for chunk in chunks:
                _write_all(descriptor, chunk)
            reach("files.temporary.fsync.before")
        except OSError:
            os.unlink(temporary, dir_fd=folder)
            raise
        return temporary, descriptor

    @contextmanager
    def _translated(self, path: PurePath) -> Iterator[None]:
        try:
            yield
        except FileExistsError:
            raise
        except OSError as error:
            raise FileStoreError(_sentence(error, self.root / path)) from error


@dataclass(slots=True)
class _Share:
    """Files of one folder, which fare alike; `error` ends them.

    `told` is what an error names, `way` the descriptors from the root to the folder. `unfinished`: what has no name
    yet, as (temporary name, descriptor, the name it is to get).
    """

    folder: tuple[str, ...]
    told: PurePosixPath
    pieces: Sequence[tuple[Path, str]] = ()
    octets: bytes = b""
    way: tuple[int, ...] = ()
    sources: list[int] = field(default_factory=list)
    unfinished: list[tuple[str, int, str]] = field(default_factory=list)
    error: FileStoreError | FileExistsError | None = None

    def give_up(self, error: FileStoreError | FileExistsError) -> None:
        """Nothing more is done, and nothing unfinished is left."""
        self.error = error
        for temporary, _, _ in self.unfinished:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=self.way[-1])


class _Opened(ExitStack):
    """What is open at a time, each folder once, to be closed together."""

    def __init__(self, root: Path, folder_mode: int) -> None:
        super().__init__()
        self._root = root
        self._folder_mode = folder_mode
        self._folders: dict[tuple[str, ...], int] = {}

    def file(self, path: Path | str, flags: int, mode: int = 0, folder: int | None = None) -> int:
        """Open a file or folder."""
        descriptor = os.open(path, flags, mode, dir_fd=folder)
        self.callback(os.close, descriptor)
        return descriptor

    def way(self, parts: tuple[str, ...], *, create: bool = True) -> tuple[int, ...]:
        """From the root to that folder; what is missing is made. All of it is to be synchronised.

        Also what was there: a crash may have come between making a folder and synchronising the one that it is in.
        """
        way: list[int] = []
        for depth in range(len(parts) + 1):
            here = parts[:depth]
            if here not in self._folders:
                # The root itself may be a link: it is the owner's word, from the configuration.
                root = self._root, _FOLDER & ~os.O_NOFOLLOW
                self._folders[here] = self._enter(here[-1], way[-1], create=create) if here else self.file(*root)
            way.append(self._folders[here])
        return tuple(way)

    def _enter(self, name: str, folder: int, *, create: bool) -> int:
        try:
            return self.file(name, _FOLDER, folder=folder)
        except FileNotFoundError:
            if not create:
                raise
        reach("files.mkdir.before")
        os.mkdir(name, self._folder_mode & 0o777, dir_fd=folder)
        descriptor = self.file(name, _FOLDER, folder=folder)
        _set_folder_mode(descriptor, self._folder_mode)
        return descriptor


def _cut(pieces: Sequence[tuple[Path, str]]) -> Iterator[Sequence[tuple[Path, str]]]:
    return (pieces[start : start + _TOGETHER] for start in range(0, len(pieces), _TOGETHER))


def _portions(shares: Iterable[_Share]) -> Iterator[list[_Share]]:
    portion: list[_Share] = []
    files = 0
    for share in shares:
        weight = max(1, len(share.pieces))
        if portion and files + weight > _TOGETHER:
            yield portion
            portion, files = [], 0
        portion.append(share)
        files += weight
    if portion:
        yield portion


def _give_names(share: _Share) -> None:
    """Nobody else writes here (see BUGS), so that nothing appears under them meanwhile."""
    for temporary, _, name in share.unfinished:
        reach("files.replace.before")
        os.rename(temporary, name, src_dir_fd=share.way[-1], dst_dir_fd=share.way[-1])
    reach("files.folders.fsync.before")


def _inside(path: PurePosixPath) -> tuple[str, ...]:
    parts = path.parts
    if not parts or path.is_absolute() or ".." in parts or any("\0" in part for part in parts):
        raise ValueError(f"no path within the archive: {path}")
    return parts


@contextmanager
def _descend(root: int, parts: tuple[str, ...]) -> Iterator[int | None]:
    """The folder beneath `root`, or None if it is not there."""
    descriptor = os.dup(root)
    try:
        for part in parts:
            inner = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        found: int | None = descriptor
    except FileNotFoundError:
        found = None
    except OSError:
        os.close(descriptor)
        raise
    try:
        yield found
    finally:
        os.close(descriptor)


def _is_there(folder: int, name: str) -> bool:
    try:
        os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def _regular_files(top: int) -> Iterator[PurePosixPath]:
    def give_up(error: OSError) -> None:
        raise error

    for path, _, names, folder in os.fwalk(".", dir_fd=top, onerror=give_up):
        for name in names:
            if not name.startswith(_TEMPORARY) and stat.S_ISREG(os.lstat(name, dir_fd=folder).st_mode):
                yield PurePosixPath(path, name)


def _chunks(descriptor: int) -> Iterator[bytes]:
    offset = 0
    while chunk := os.pread(descriptor, _CHUNK, offset):
        offset += len(chunk)
        yield chunk


def _write_all(descriptor: int, octets: bytes) -> None:
    reach("files.write.before")
    rest = memoryview(octets)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _same_octets(one: int, other: int) -> bool:
    if os.fstat(one).st_size != os.fstat(other).st_size:
        return False
    return all(left == right for left, right in zip_longest(_chunks(one), _chunks(other)))


def _set_folder_mode(descriptor: int, mode: int) -> None:
    """A unit with RestrictSUIDSGID= may not set the setgid bit: there the group is the service's own (Group=)."""
    try:
        os.fchmod(descriptor, mode)
    except PermissionError:
        if not mode & stat.S_ISGID:
            raise
        os.fchmod(descriptor, mode & 0o777)


def _synchronise_folder(descriptor: int) -> None:
    reach("files.folder.fsync.before")
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # What a share says that cannot (see BUGS).
            raise


def _taken(path: Path | str) -> FileExistsError:
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def _sentence(error: OSError, path: Path) -> str:
    number = error.errno or 0
    remedy = _REMEDIES.get(number, "look at the system's log")
    return f"cannot use {path}: {os.strerror(number)}: {remedy}"
