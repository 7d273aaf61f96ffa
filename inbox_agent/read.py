"""Octets to Reading: parse, extract and recognise in a row, in a child process that can be lost.

`python -I -m inbox_agent.read` is the mould of such children. It has what all of them need in memory, the rules and the
libraries, reads nothing that came from outside, and forks one child for each packet on its standard input that asks for
one: that takes 5 ms instead of 250, and what is in memory already is there once. Of a child that is to end it tells the
status, since it is the parent. When a child gives its first scan into its pipe, the mould forks the process that reads
them for that child (ocr.py), without looking at what is in the pipe.

A child is given a socket of jobs, one packet for each message, each with the open file that it is about, and a pipe for
its answers, in frames of four octets of length and JSON. It confines itself before the first job (sandbox.py) and ends
when the socket does, or when nothing has been asked for a while.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import gc
import hashlib
import importlib
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inbox_agent.application import Document, DocumentState, Kind, Reading, Where
from inbox_agent.extract import Extract, extract
from inbox_agent.formats import ocr
from inbox_agent.formats.content import Limits
from inbox_agent.offer import Offer, Staff
from inbox_agent.parse import parse
from inbox_agent.recognise import candidates_words, recognise
from inbox_agent.rules import load_rules
from inbox_agent.sandbox import Ceiling, allow_seconds, confine, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    from inbox_agent.message import Attachment, Message
    from inbox_agent.rules import Rules

    Extractor = Callable[[Attachment, Where], tuple[Extract, ...]]

# Nothing of these kinds is ever filed, so nothing of them is written down.
_LEFT = frozenset((Kind.AUTOMATIC, Kind.BULK, Kind.INTERNAL))
_DOCUMENTS_MAX = 100
_OPEN_MAX = 16  # files that wait to be synced; a child may have 64 open


def read(  # noqa: PLR0913 the interface of the step
    octets: bytes,
    rules: Rules,
    offers: tuple[Offer, ...],
    staff: Staff,
    *,
    output: Path | None = None,
    extractor: Extractor | None = None,
) -> Reading:
    """What a message is. With `output`, an empty folder, its documents are written there, synced, and named.

    Raises nothing but OSError (the folder) and what a bug raises; the process may die of a document.
    """
    ocr.begin()
    message = parse(octets)
    extracts = tuple(extracts_of(message, extractor or _within_limits(Limits())))
    reading = recognise(message, extracts, offers, rules, staff)
    if output is None or reading.kind in _LEFT:
        return reading
    return dataclasses.replace(
        reading, documents=tuple(_written(reading, message, extracts, staff=staff, output=output))
    )


def _within_limits(limits: Limits) -> Extractor:
    return lambda attachment, where: extract(attachment, limits, where=where)


def extracts_of(message: Message, extractor: Extractor) -> Iterator[Extract]:
    """Every document of a message and of those enclosed in it, in their order, decoration left out."""
    count = 0
    for attachment, where in _attachments(message, Where.ATTACHMENT):
        for extracted in extractor(attachment, where):
            if extracted.decoration:
                continue
            yield extracted
            count += 1
            if count >= _DOCUMENTS_MAX:
                return


def _attachments(message: Message, where: Where) -> Iterator[tuple[Attachment, Where]]:
    for attachment in message.attachments:
        if attachment.media_type not in {"message/delivery-status", "text/calendar"}:
            yield attachment, where
    for enclosed in message.enclosed:
        yield from _attachments(enclosed, Where.FORWARDED)


def _written(
    reading: Reading, message: Message, extracts: Iterable[Extract], *, staff: Staff, output: Path
) -> Iterator[Document]:
    octets_of = {extracted.part: extracted.octets for extracted in extracts}
    files: list[int] = []
    try:
        for rank, document in enumerate(reading.documents, 1):
            if document.part == "body":
                octets, name = candidates_words(message, staff).encode(), f"{rank}.txt"
            else:
                octets, name = octets_of.get(document.part, b""), f"{rank}.bin"
            if not octets:
                yield document
                continue
            _write(output / name, octets, files)
            digest = hashlib.sha256(octets).hexdigest() if document.part == "body" else document.sha256
            yield dataclasses.replace(document, file=name, size=len(octets), sha256=digest)
        files.append(os.open(output, os.O_RDONLY | os.O_DIRECTORY))
        _sync(files)
    finally:
        for file in files:  # None, but after an error.
            os.close(file)


def _write(path: Path, octets: bytes, files: list[int]) -> None:
    """A new file, added to those that are open and to be synced: together they take a quarter less time."""
    if len(files) >= _OPEN_MAX:
        _sync(files)
    files.append(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    rest = memoryview(octets)
    while rest:
        rest = rest[os.write(files[-1], rest) :]


def _sync(files: list[int]) -> None:
    while files:
        os.fsync(files[0])
        os.close(files.pop(0))


# --- A document in a process of its own -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Alone:
    """Extracts each document in a forked process: what kills it is damaged, and the rest of the message is read."""

    limits: Limits
    seconds: float  # wall time of one document

    def __call__(self, attachment: Attachment, where: Where) -> tuple[Extract, ...]:
        """As extract.extract; a process that dies or hangs gives one damaged document."""
        answer, pipe = os.pipe()
        pid = os.fork()
        if pid == 0:
            _answer_and_end(pipe, attachment, self.limits, where)
        os.close(pipe)
        octets = _until_closed(answer, time.monotonic() + self.seconds)
        os.close(answer)
        if octets is None:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if octets is None or status != 0:
            return (_unread(attachment, where),)
        return tuple(_extract_from(value) for value in json.loads(octets))


def _answer_and_end(pipe: int, attachment: Attachment, limits: Limits, where: Where) -> None:
    status = 1
    try:
        plain = [
            dataclasses.asdict(found) | {"octets": base64.b64encode(found.octets).decode("ascii")}
            for found in extract(attachment, limits, where=where)
        ]
        with os.fdopen(pipe, "wb") as stream:
            stream.write(json.dumps(plain).encode())
        status = 0
    finally:
        os._exit(status)


def _until_closed(descriptor: int, deadline: float) -> bytes | None:
    pieces: list[bytes] = []
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([descriptor], [], [], left)[0]:
            break
        piece = os.read(descriptor, 1 << 20)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
    return None


def _extract_from(value: dict[str, Any]) -> Extract:
    return Extract(
        **{
            **value,
            "where": Where(value["where"]),
            "state": DocumentState(value["state"]),
            "notes": tuple(value["notes"]),
            "octets": base64.b64decode(value["octets"]),
        }
    )


def _unread(attachment: Attachment, where: Where) -> Extract:
    return Extract(
        part=attachment.part,
        name=attachment.name or "",
        where=where,
        media_type=attachment.media_type,
        octets=attachment.octets,
        text="",
        state=DocumentState.DAMAGED,
        pages=None,
        notes=("lecture interrompue : fichier anormal",),
        language=None,
        images=0,
    )


# --- The mould --------------------------------------------------------------------------------------------------

_PACKET_MAX = 65_536  # octets of one job, or order
_PROGRAMS = (Path("/usr"), Path("/lib"), Path("/etc/ld.so.cache"))  # where tesseract is, with what it needs
_LONGER = 5  # seconds without an order after those that a child waits for a job


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What every child has from its mould."""

    settings: dict[str, Any]
    rules: Rules
    offers: tuple[Offer, ...]
    staff: Staff


def main() -> None:
    """Make and end children as told, until the socket on standard input is closed or nobody needs any."""
    orders = socket.socket(fileno=0)
    settings, _ = _receive(orders)
    if settings is None:
        return
    loaded = _Loaded(
        settings,
        load_rules(Path(settings["rules"])),
        tuple(Offer.from_json(offer) for offer in settings["offers"]),
        Staff(frozenset(settings["addresses"]), frozenset(settings["domains"])),
    )
    loaded.rules.recognition.book.prepare()
    for name in ("lxml.etree", "pypdfium2"):
        importlib.import_module(name)
    prepare()
    gc.collect()
    gc.freeze()  # What is never looked at by the collector stays shared with the children.
    _serve(orders, loaded)


@dataclass(slots=True)
class _Fork:
    """A child as its mould knows it: with the pipes of its scans until the first comes, then with who reads them."""

    pid: int
    pipes: ocr.Pipes | None
    scanner: int | None = None

    def close(self) -> None:
        """Let go of the pipes."""
        if self.pipes is not None:
            self.pipes.close_answering()
            self.pipes = None


def _serve(orders: socket.socket, loaded: _Loaded) -> None:
    forks: dict[int, _Fork] = {}
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # It waits until it is asked for.
    while True:
        poll = select.poll()
        poll.register(orders, select.POLLIN)
        waiting = {fork.pipes.pictures: fork for fork in forks.values() if fork.pipes is not None}
        for pictures in waiting:
            poll.register(pictures, select.POLLIN)
        ready = dict(poll.poll((loaded.settings["idle"] + _LONGER) * 1000))
        if not ready and all(_has_ended(fork.pid) for fork in forks.values()):
            return
        for pictures in waiting.keys() & ready.keys():
            _scan_or_close(waiting[pictures], loaded, comes=bool(ready[pictures] & select.POLLIN))
        if orders.fileno() in ready and not _obey(orders, loaded, forks):
            return


def _obey(orders: socket.socket, loaded: _Loaded, forks: dict[int, _Fork]) -> bool:
    """Make or end a child; False at the end of orders."""
    order, descriptors = _receive(orders)
    if order is None:
        return False
    if "end" in order:
        status = _ended(forks.pop(order["end"]), order["patience"])
        orders.send(json.dumps({"status": status}).encode())
        return True
    settings = loaded.settings | order
    pipes = ocr.Pipes.new() if settings["ocr_pages"] and not settings["alone"] and ocr.tesseract() else None
    pid = os.fork()
    if pid == 0:
        for other in forks.values():
            other.close()
        _be_child(orders, descriptors, loaded, settings, pipes)
    forks[order["child"]] = _Fork(pid, pipes)
    with contextlib.suppress(OSError):  # It has done so itself.
        os.setpgid(pid, pid)
    if pipes is not None:
        pipes.close_asking()
    for descriptor in descriptors:
        os.close(descriptor)
    return True


def _scan_or_close(fork: _Fork, loaded: _Loaded, *, comes: bool) -> None:
    """Fork who reads the scans of a child when the first comes; where the child is gone, none will."""
    if comes and fork.pipes is not None:
        ceiling = _ceiling(loaded.settings)
        fork.scanner = os.fork()
        if fork.scanner == 0:
            ocr.serve(fork.pipes, lambda: confine(ceiling, writable=None, programs=_PROGRAMS, fork=True))
        with contextlib.suppress(OSError):  # Ended already.
            os.setpgid(fork.scanner, fork.pid)
    fork.close()


def _ceiling(settings: dict[str, Any]) -> Ceiling:
    return Ceiling(memory=settings["memory"], file=settings["file"])


def _has_ended(pid: int) -> bool:
    """Whether a child has; it keeps its number until its status is asked for."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _ended(fork: _Fork, patience: float) -> int:
    """End a child, those it has made and who reads its scans; its exit status, negative for a signal."""
    deadline = time.monotonic() + patience
    while not _has_ended(fork.pid) and (left := deadline - time.monotonic()) > 0:
        signal.sigtimedwait({signal.SIGCHLD}, left)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(fork.pid, signal.SIGKILL)
    fork.close()
    if fork.scanner is not None:
        os.kill(fork.scanner, signal.SIGKILL)
        os.waitpid(fork.scanner, 0)
    return os.waitstatus_to_exitcode(os.waitpid(fork.pid, 0)[1])


def _be_child(
    orders: socket.socket, descriptors: list[int], loaded: _Loaded, settings: dict[str, Any], pipes: ocr.Pipes | None
) -> None:
    """The forked process; never comes back."""
    status = 1
    try:
        os.setpgid(0, 0)
        orders.close()
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        if pipes is not None:
            ocr.ask(pipes)
        jobs, answers = descriptors
        _read_jobs(socket.socket(fileno=jobs), os.fdopen(answers, "wb"), loaded, settings)
        status = 0
    finally:
        os._exit(status)


# --- The child ------------------------------------------------------------------------------------------------


def _read_jobs(jobs: socket.socket, answers: BinaryIO, loaded: _Loaded, settings: dict[str, Any]) -> None:
    """Serve jobs until their socket is closed."""
    scans_alone = bool(settings["alone"] and settings["ocr_pages"] and ocr.tesseract())
    extractor = _extractor(settings)
    if settings["cautious"]:
        importlib.import_module("pypdf")  # Once, instead of in each process that is forked for a document.
    confined = confine(
        _ceiling(settings),
        writable=Path(settings["folder"]) if settings["folder"] else None,
        programs=_PROGRAMS if scans_alone else (),
        fork=settings["alone"],
    )
    _answer(answers, {"ready": True, "landlock": confined.landlock, "seccomp": confined.seccomp})
    jobs.settimeout(settings["idle"])
    while True:
        try:
            job, descriptors = _receive(jobs)
        except TimeoutError:
            return
        if job is None or not descriptors:
            return
        signal.setitimer(signal.ITIMER_REAL, job["wall"] + 1)  # Should the parent be gone, nobody else ends us.
        allow_seconds(job["cpu"])
        with os.fdopen(descriptors[0], "rb") as file:
            octets = file.read()
        answer = _attempt(octets, loaded, Path(job["output"]) if job["output"] else None, extractor)
        _answer(answers, answer | {"job": job["job"]})
        signal.setitimer(signal.ITIMER_REAL, 0)
        if answer.get("error") == "MemoryError":
            return


def _extractor(settings: dict[str, Any]) -> Extractor:
    limits = Limits(ocr_pages=settings["ocr_pages"], ocr_seconds=settings["ocr_seconds"], cautious=settings["cautious"])
    return Alone(limits, settings["document_wall"]) if settings["alone"] else _within_limits(limits)


def _attempt(octets: bytes, loaded: _Loaded, output: Path | None, extractor: Extractor) -> dict[str, Any]:
    try:
        reading = read(octets, loaded.rules, loaded.offers, loaded.staff, output=output, extractor=extractor)
        return {"reading": reading.to_json()}
    except OSError as error:
        return {"error": type(error).__name__, "errno": error.errno}
    except Exception as error:  # noqa: BLE001 the barrier: one message must not end the child's others
        return {"error": type(error).__name__}


def _receive(packets: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """The next packet and the files that came with it; None at the end. Raises TimeoutError."""
    packet, descriptors, _, _ = socket.recv_fds(packets, _PACKET_MAX, 2)
    if not packet:
        return None, []
    value: dict[str, Any] = json.loads(packet)
    if value.get("settings"):
        with os.fdopen(descriptors[0], "rb") as file:
            file.seek(0)
            value = json.loads(file.read())
        return value, []
    return value, descriptors


def _answer(stream: BinaryIO, value: dict[str, Any]) -> None:
    octets = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    stream.write(struct.pack(">I", len(octets)) + octets)
    stream.flush()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
