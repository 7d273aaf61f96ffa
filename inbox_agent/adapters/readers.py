"""The child processes that read messages: started, fed, limited, ended and replaced by the parent.

A child is forked by its mould, `python -I -m inbox_agent.read` with an empty environment, which has rules and libraries
in memory and reads no mail itself. It is given open files, never paths of other people's messages, and one folder of
its own to write in. The parent believes nothing it says before it is checked.

How long a child lives: `ReaderLimits.messages` messages (1: a child for each message), and `documents_alone` gives
each document a process of its own besides. Measured on 2 cores with 2 children, an application with a PDF and a Word
file costs 25 ms of processor time with a child for 200 messages, 44 ms with a process for each document, 290 ms with
a child for each message. performance.md asks for the first, reliability.md for the second, since pdfium aborts on
some bombs. The default is 500 messages (a start costs as much as 20 of them), and a message whose child died is read
again in a child of its own, each document in a process of its own, by the readers that survive most. So a good
message pays nothing, a bad document costs itself alone (of the 72 hostile files none costs its message, the slowest
takes 8 s), and what a child that was taken over could see is the messages that it is given until it is replaced.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import json
import logging
import os
import re
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import types
import typing
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inbox_agent.application import Reading
from inbox_agent.errors import AgentError, FileStoreError, TryAgainError
from inbox_agent.failpoint import reach
from inbox_agent.ports import Unread
from inbox_agent.sandbox import Confinement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from inbox_agent.offer import Offer, Staff

logger = logging.getLogger(__name__)

# Jobs in a child: a batch's share, so that it does not wait for us while we decide, file and answer.
_AHEAD = 16
_PIPE = 1 << 20  # octets of answers that may wait for us (a Reading has 5 to 20 kB); Linux gives 64 kB unasked
_WORTH_A_CHILD = 3  # jobs waiting for each child before another is started: a start costs 0.2 s of processor time
_WINDOW = 64  # readings kept while an earlier one is not there yet
_START_SECONDS = 30  # from fork to "ready", on a busy machine
_WORLD = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO))  # no message is to blame for these
_GONE = frozenset((errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EBADF))
_STILLBORN_MAX = 3  # children that end before they are ready, in a row: the installation is broken
_SHA256_NAME = re.compile(r"[0-9a-f]{64}")
_FILE_NAME = re.compile(r"[1-9]\d{0,3}\.(?:bin|txt)")
_UNSOUND = re.compile(rb"(?<!\\)(?:\\\\)*\\u(?:[dD][89a-fA-F]|000)")  # lone surrogates and controls, escaped


@dataclass(frozen=True, slots=True)
class ReaderLimits:
    """What one child may use, and how long it lives.

    Sizes in octets, times in seconds. `cpu` and `wall` are for one message; `retry_wall` for the second try, in which
    a document has `document_wall`. `answer` is the length of one Reading as JSON, `file` of one decoded document.
    `messages` is how many a child reads before it is replaced, `documents_alone` gives each document a process of its
    own at the first try already. `idle` is after how long without work a child ends. Where tesseract is installed,
    `ocr_pages` of a document, 0 for none, are given to it at the first try, for `ocr_seconds` of a message at most.
    """

    memory: int = 1 << 30
    cpu: int = 10
    wall: int = 12
    retry_wall: int = 20
    document_wall: int = 5
    answer: int = 2_000_000
    file: int = 256_000_000
    messages: int = 500
    documents_alone: bool = False
    idle: int = 300
    ocr_pages: int = 4
    ocr_seconds: int = 10


@dataclass(slots=True)
class _Job:
    rank: int
    path: Path
    sha256: str
    why: str = ""  # why the first try failed


class ChildReaders:
    """Implements ports.Readers. Not for several threads at once.

    `scratch` is a folder on the file system of the spool; the documents of `<spool>/<sha256>.eml` are left in
    `<spool>/<sha256>.d/`, durably. With None nothing is written.
    """

    def __init__(  # noqa: PLR0913 what a child must know, by name
        self,
        rules: Path,
        offers: Sequence[Offer],
        staff: Staff,
        *,
        limits: ReaderLimits | None = None,
        scratch: Path | None = None,
        workers: int = 2,
    ) -> None:
        self._limits = limits or ReaderLimits()
        self._settings = {
            "rules": str(rules),
            "offers": [offer.to_json() for offer in offers],
            "addresses": sorted(staff.addresses),
            "domains": sorted(staff.domains),
            "idle": self._limits.idle,
            "memory": self._limits.memory,
            "file": self._limits.file,
            "ocr_pages": self._limits.ocr_pages,
            "ocr_seconds": self._limits.ocr_seconds,
            "document_wall": self._limits.document_wall + self._ocr_seconds,
        }
        self._scratch = scratch
        self._workers = workers
        self._stillborn = 0
        self._confined: Confinement | None = None
        self._unsynced: set[Path] = set()
        self._children: list[_Child] = []
        self._mould: _Mould | None = None
        self._selector = selectors.DefaultSelector()
        self._swept = scratch is None

    @cached_property
    def _ocr_seconds(self) -> int:
        """What tesseract may add to the time of a message."""
        installed = shutil.which("tesseract", path="/usr/bin:/usr/local/bin:/bin")
        return self._limits.ocr_seconds if installed and self._limits.ocr_pages else 0

    def read(self, spooled: Sequence[Path]) -> Iterator[Reading | Unread]:
        """Readings in the order asked for. A child that dies, hangs or says nonsense gives an Unread.

        The children begin at once; what an earlier call was not asked for to the end is given up.
        """
        self._give_up()
        waiting = deque(_Job(rank, path, _sha256(path)) for rank, path in enumerate(spooled))
        results: dict[int, Reading | Unread] = {}
        self._feed(waiting, results, _WINDOW)
        return self._told(len(spooled), waiting, results)

    def _told(
        self, count: int, waiting: deque[_Job], results: dict[int, Reading | Unread]
    ) -> Iterator[Reading | Unread]:
        try:
            for rank in range(count):
                self._feed(waiting, results, rank + _WINDOW)
                while rank not in results:
                    self._listen(waiting, results)
                    self._feed(waiting, results, rank + _WINDOW)
                self._sync()
                yield results.pop(rank)
        finally:  # Left early: what is being read is for nobody.
            self._give_up()

    def _give_up(self) -> None:
        for child in [child for child in self._children if child.jobs]:
            self._end(child)

    def warm(self) -> None:
        """Start the first child now, without waiting: it gets ready while the caller prepares its work."""
        if not self._children:
            self._start(cautious=False)

    def close(self) -> None:
        """End the children: all are told before any is waited for."""
        for child in self._children:
            child.dismiss()
        for child in list(self._children):
            self._end(child)
        if self._mould is not None:
            self._mould.close()
            self._mould = None

    def _sync(self) -> None:
        """Make the new names durable; one call serves all readings that are waiting to be told."""
        while self._unsynced:
            _synced(self._unsynced.pop())

    # --- Work to the children ---------------------------------------------------------------------------------

    def _feed(self, waiting: deque[_Job], results: dict[int, Reading | Unread], before: int) -> None:
        while waiting and waiting[0].rank < before:
            job = waiting[0]
            child = self._child_for(job, len(waiting))
            if child is None:
                return
            waiting.popleft()
            try:
                file = job.path.open("rb")
            except OSError as error:
                results[job.rank] = Unread(job.sha256, f"no longer there: {type(error).__name__}")
                continue
            with file:
                taken = child.take(job, file.fileno(), self._wall(child))
            if not taken:
                waiting.appendleft(job)
                self._lost(child, waiting, results)

    def _wall(self, child: _Child) -> int:
        return self._limits.retry_wall if child.cautious else self._limits.wall + self._ocr_seconds

    def _child_for(self, job: _Job, waiting: int) -> _Child | None:
        """A child with room for the job, a new one where that is worth it, None where the job must wait."""
        cautious = bool(job.why)
        alike = [child for child in self._children if child.cautious == cautious]
        room = [child for child in alike if len(child.jobs) < (1 if cautious else _AHEAD) and child.served < child.life]
        idle = next((child for child in room if not child.jobs), None)
        if idle:
            return idle
        limit = 1 if cautious else self._workers
        outstanding = waiting + sum(len(child.jobs) for child in alike)
        if not alike or (len(alike) < limit and outstanding > _WORTH_A_CHILD * len(alike)):
            return self._start(cautious=cautious)
        return min(room, key=lambda child: len(child.jobs), default=None)

    def _own_folder(self) -> Path | None:
        """A new folder for a child. Before the first, and not sooner, what an earlier run left is removed.

        Who only looks at an installation makes a ChildReaders too, beside the service whose folders these are.
        """
        if self._scratch is None:
            return None
        try:
            if not self._swept:
                _swept(self._scratch)
                self._swept = True
            return Path(tempfile.mkdtemp(prefix="reader-", dir=self._scratch)).resolve()
        except OSError as error:
            raise FileStoreError(f"the folder {self._scratch} cannot be written ({error.strerror}).") from error

    def _start(self, *, cautious: bool) -> _Child:
        folder = self._own_folder()
        settings: dict[str, Any] = {
            "folder": str(folder) if folder else None,
            "cautious": cautious,
            "alone": cautious or self._limits.documents_alone,
        }
        if cautious:
            settings |= {"ocr_pages": 0, "document_wall": self._limits.document_wall}
        life = 1 if cautious else self._limits.messages
        try:
            if self._mould is None or self._mould.has_ended:
                self._mould = _Mould(self._settings)
            child = _Child(self._mould, settings, folder, life=life, cpu=self._limits.cpu)
        except OSError as error:
            raise TryAgainError(
                f"no reading process can be started ({error.strerror}): check TasksMax= and the free memory"
            ) from error
        self._children.append(child)
        self._selector.register(child.answers, selectors.EVENT_READ, child)
        return child

    # --- Answers from the children ------------------------------------------------------------------------------

    def _listen(self, waiting: deque[_Job], results: dict[int, Reading | Unread]) -> None:
        busy = [child for child in self._children if child.jobs]
        soonest = min((child.deadline for child in busy), default=time.monotonic())
        for key, _ in self._selector.select(max(soonest - time.monotonic(), 0.0)):
            child: _Child = key.data
            alive = child.receive(self._limits.answer)
            for answer in child.answered():
                self._take(child, answer, waiting, results)
            if not alive or child.why:
                self._lost(child, waiting, results)
            elif child.served >= child.life and not child.jobs:
                self._end(child)
        now = time.monotonic()
        for child in [child for child in self._children if child.jobs and child.deadline < now]:
            child.why = child.why or f"killed: {child.seconds} s wall time"
            self._lost(child, waiting, results)

    def _take(
        self, child: _Child, answer: dict[str, Any], waiting: deque[_Job], results: dict[int, Reading | Unread]
    ) -> None:
        if "ready" in answer:
            child.begin(self._wall(child))
            self._tell(Confinement(answer.get("landlock"), seccomp=bool(answer.get("seccomp"))))
            return
        if not child.jobs or answer.get("job") != child.jobs[0].rank:
            child.why = "nonsense: an answer that was not asked for"
            return
        job = child.jobs.popleft()
        child.begin(self._wall(child))
        try:
            reading = self._checked(child, job, answer)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            why = str(answer.get("error", "")) or f"nonsense: {type(error).__name__}"
            if answer.get("errno") in _WORLD:
                raise FileStoreError(
                    f"the spool cannot be written ({os.strerror(answer['errno'])}). Free some space."
                ) from None
            self._failed(job, why[:100], waiting, results)
            return
        results[job.rank] = reading

    def _tell(self, confined: Confinement) -> None:
        if confined != self._confined:
            self._confined = confined
            for warning in confined.warnings:
                logger.warning("readers: %s", warning)

    def _checked(self, child: _Child, job: _Job, answer: dict[str, Any]) -> Reading:
        """The Reading if every part of it is what it must be; its documents are then in their place."""
        reading = Reading.from_json(answer["reading"])
        _check_types(reading)
        if reading.sha256 != job.sha256:
            raise ValueError("about another message")
        if child.folder is not None:
            _settle(reading, child.folder / str(job.rank), job.path.parent / f"{job.sha256}.d")
            self._unsynced.add(job.path.parent)
        elif any(document.file for document in reading.documents):
            raise ValueError("files without a folder")
        return reading

    def _lost(self, child: _Child, waiting: deque[_Job], results: dict[int, Reading | Unread]) -> None:
        """A child is gone, or must be: the message in hand failed, those behind it did not."""
        self._end(child)
        jobs = list(child.jobs)
        child.jobs.clear()
        self._stillborn = 0 if child.ready else self._stillborn + 1
        if self._stillborn >= _STILLBORN_MAX:
            raise AgentError(
                f"the reading processes do not start ({_death(child.status)}). "
                "Run: python -I -m inbox_agent.read < /dev/null"
            )
        blameless = not child.ready or (child.status == 0 and not child.why)
        for job in reversed(jobs if blameless else jobs[1:]):
            waiting.appendleft(job)
        if jobs and not blameless:
            self._failed(jobs[0], child.why or _death(child.status), waiting, results)

    def _failed(self, job: _Job, why: str, waiting: deque[_Job], results: dict[int, Reading | Unread]) -> None:
        logger.warning("%s unread: %s%s", job.sha256[:12], why, " again" if job.why else ", tried again")
        if job.why:
            results[job.rank] = Unread(job.sha256, why)
            return
        job.why = why
        waiting.appendleft(job)

    def _end(self, child: _Child) -> None:
        if child in self._children:
            self._children.remove(child)
            self._selector.unregister(child.answers)
            child.end()


class _Mould:
    """The process that forks children and, as their parent, ends them and tells how they ended."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 our own interpreter and module
                _command(),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"},
                cwd="/",
                start_new_session=True,
            )
        self._made = 0
        with tempfile.TemporaryFile() as file:  # A packet may be too small for hundreds of offers.
            file.write(json.dumps(settings).encode())
            file.flush()
            _send(self._orders, {"settings": True}, file.fileno())

    @property
    def pid(self) -> int:
        """The process whose children the readers are."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether another is needed: it ends when there was nothing to do for a while."""
        return self._process.poll() is not None

    def make(self, settings: dict[str, Any], jobs: socket.socket, answers: int) -> int:
        """Ask for a child with these two ends; its number. If there will be none, the other ends are closed."""
        self._made += 1
        _send(self._orders, settings | {"child": self._made}, jobs.fileno(), answers)
        return self._made

    def end(self, number: int, patience: float) -> int:
        """End a child that is given so many seconds to do so itself; its exit status, or that of the mould."""
        if _send(self._orders, {"end": number, "patience": patience}):
            self._orders.settimeout(patience + _START_SECONDS)
            with contextlib.suppress(OSError, ValueError):
                return int(json.loads(self._orders.recv(1000))["status"])
        self.close()
        return self._process.returncode

    def close(self) -> None:
        """End it; children that it leaves end when their sockets do. Its end of the socket closes when it has ended."""
        with contextlib.suppress(OSError):
            self._orders.shutdown(socket.SHUT_WR)
            self._orders.settimeout(1)
            while self._orders.recv(1000):
                pass
        self._orders.close()
        self._process.kill()
        self._process.wait()


class _Child:
    """One process, its socket and its pipe."""

    def __init__(self, mould: _Mould, settings: dict[str, Any], folder: Path | None, *, life: int, cpu: int) -> None:
        self._jobs, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours, answers = os.pipe()
        self.answers = os.fdopen(ours, "rb", buffering=0)
        os.set_blocking(ours, False)
        with contextlib.suppress(OSError):  # A user may have too many pipes for it (fs.pipe-user-pages-soft).
            fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, _PIPE)
        self._mould = mould
        with theirs:
            self._number = mould.make(settings, theirs, answers)
        os.close(answers)
        self.status = 0  # once it has ended
        self.folder = folder
        self.life, self.cautious, self.cpu = life, bool(settings["cautious"]), cpu
        self.served = 0
        self.jobs: deque[_Job] = deque()
        self.seconds = _START_SECONDS
        self.deadline = time.monotonic() + _START_SECONDS
        self.why = ""
        self.ready = False
        self._buffer = bytearray()

    def take(self, job: _Job, descriptor: int, wall: int) -> bool:
        """Hand over a job; False if the child is gone."""
        output = None
        if self.folder is not None:
            output = self.folder / str(job.rank)
            shutil.rmtree(output, ignore_errors=True)
            try:
                output.mkdir(mode=0o700)
            except OSError:
                return False  # Its folder is gone: another child has one of its own.
        if not self.jobs:
            self.begin(wall)
        packet = {"job": job.rank, "output": str(output) if output else None, "wall": wall, "cpu": self.cpu}
        sent = _send(self._jobs, packet, descriptor)
        if sent:
            self.jobs.append(job)
            self.served += 1
        return sent

    def begin(self, wall: int) -> None:
        """The clock of the message in hand starts, but never before the child has said that it is ready."""
        self.seconds = wall if self.ready else _START_SECONDS
        self.deadline = time.monotonic() + self.seconds

    def receive(self, answer_max: int) -> bool:
        """Take what has come; False at the end of the pipe or when it is too much."""
        try:
            piece = os.read(self.answers.fileno(), 1 << 18)
        except BlockingIOError:
            return True
        self._buffer += piece
        if len(self._buffer) > answer_max + 4:
            self.why = f"nonsense: more than {answer_max} octets"
            return False
        return bool(piece)

    def answered(self) -> Iterator[dict[str, Any]]:
        """Whole answers among what has come."""
        while len(self._buffer) >= 4:  # noqa: PLR2004 octets of length
            length = struct.unpack_from(">I", self._buffer)[0]
            if len(self._buffer) < 4 + length:
                return
            octets = bytes(self._buffer[4 : 4 + length])
            del self._buffer[: 4 + length]
            try:
                value = json.loads(octets) if b"\\u" not in octets or not _UNSOUND.search(octets) else None
            except (ValueError, RecursionError):
                value = None
            if not isinstance(value, dict):
                self.why = "nonsense: no JSON object"
                return
            self.ready = self.ready or "ready" in value
            yield value

    def dismiss(self) -> None:
        """Tell the process that there are no more jobs."""
        self._jobs.close()

    def end(self) -> None:
        """End the process, its children and its folder."""
        self.dismiss()
        self.status = self._mould.end(self._number, 0.02 if self.jobs or self.why else 0.5)
        self.answers.close()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def _send(packets: socket.socket, packet: dict[str, Any], *descriptors: int) -> bool:
    """Send a packet with open files; False if nobody is there to take it."""
    try:
        socket.send_fds(packets, [json.dumps(packet).encode()], descriptors)
    except OSError as error:
        if error.errno in _GONE:
            return False
        raise
    return True


def _command() -> list[str]:
    return [sys.executable, "-I", "-m", "inbox_agent.read"]


def _death(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    names = {signal.SIGXCPU: "processor time", signal.SIGALRM: "wall time", signal.SIGKILL: "killed"}
    number = -status
    return f"died: {names.get(signal.Signals(number), signal.Signals(number).name)}"


def _sha256(path: Path) -> str:
    """From the name where the spool gave it one, from the octets otherwise; "" if there are none to be had."""
    if _SHA256_NAME.fullmatch(path.stem):
        return path.stem
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _swept(scratch: Path) -> None:
    """Remove what children of an earlier run left."""
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in scratch.glob("reader-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _settle(reading: Reading, made: Path, place: Path) -> None:
    """Put the folder of documents in its place, once each file is what the reading says."""
    expected = {document.file: document.size for document in reading.documents if document.file is not None}
    for name, size in expected.items():
        try:
            status = (made / name).lstat() if _FILE_NAME.fullmatch(name) else None
        except OSError:
            status = None
        if status is None or not 0o100000 <= status.st_mode < 0o110000 or status.st_nlink != 1:  # noqa: PLR2004 S_IFREG
            raise ValueError("not a file of the reader's own")
        if status.st_size != size:
            raise ValueError("a file of another size")
    if {entry.name for entry in made.iterdir()} != set(expected):
        raise ValueError("files that nobody named")
    try:
        _moved(made, place if expected else None)
    except OSError as error:
        raise FileStoreError(f"the spool {place.parent} cannot be written ({error.strerror}).") from error


def _moved(made: Path, place: Path | None) -> None:
    reach("readers.rename.before")
    if place is None:
        made.rmdir()
        return
    shutil.rmtree(place, ignore_errors=True)
    made.rename(place)


def _synced(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            reach("readers.folder.fsync.before")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise FileStoreError(f"the spool {folder} cannot be written ({error.strerror}).") from error


def _check_types(value: object) -> None:
    """Raise TypeError unless it is a Reading all through: a child that was taken over may say anything."""
    _checker(Reading)(value)


@cache
def _checker(declared: Any) -> Callable[[object], None]:
    """What raises TypeError for a value of any other type; made once for each type."""
    if isinstance(declared, types.UnionType):
        (kind,) = (kind for kind in declared.__args__ if kind is not types.NoneType)
        return _or_none(_checker(kind))
    if typing.get_origin(declared) is tuple:
        return _each(_checker(declared.__args__[0]))
    if dataclasses.is_dataclass(declared):
        return _fields(typing.cast("type", declared))
    if declared is datetime:
        return _aware
    return _one_of((float, int) if declared is float else (declared,))


def _one_of(kinds: tuple[type, ...]) -> Callable[[object], None]:
    def check(value: object) -> None:
        if type(value) not in kinds:
            raise TypeError(f"{kinds[0].__name__} expected")

    return check


def _or_none(inner: Callable[[object], None]) -> Callable[[object], None]:
    return lambda value: None if value is None else inner(value)


def _each(inner: Callable[[object], None]) -> Callable[[object], None]:
    def check(value: object) -> None:
        if type(value) is not tuple:
            raise TypeError("tuple expected")
        for item in value:
            inner(item)

    return check


def _fields(kind: type) -> Callable[[object], None]:
    checkers = tuple((name, _checker(declared)) for name, declared in typing.get_type_hints(kind).items())

    def check(value: object) -> None:
        if type(value) is not kind:
            raise TypeError(f"{kind.__name__} expected")
        for name, inner in checkers:
            inner(getattr(value, name))

    return check


def _aware(value: object) -> None:
    if type(value) is not datetime or value.tzinfo is None:
        raise TypeError("an aware time expected")
