"""Octets to Reading: parse, extract and recognise in a row, in a child process that can be lost.

`python -I -m inbox_agent.read` is that child. Its standard input is a socket of packets: first the settings, then one
job for each message, each with the open file that it is about. It answers on standard output in frames of four octets
of length and JSON. It confines itself before the first job (sandbox.py) and ends when the socket does, or when nothing
has been asked for a while.
"""

from __future__ import annotations

import base64
import dataclasses
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
from inbox_agent.sandbox import Ceiling, allow_seconds, confine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from inbox_agent.message import Attachment, Message
    from inbox_agent.rules import Rules

    Extractor = Callable[[Attachment, Where], tuple[Extract, ...]]

# Nothing of these kinds is ever filed, so nothing of them is written down.
_LEFT = frozenset((Kind.AUTOMATIC, Kind.BULK, Kind.INTERNAL))
_DOCUMENTS_MAX = 100


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
    for rank, document in enumerate(reading.documents, 1):
        if document.part == "body":
            octets, name = candidates_words(message, staff).encode(), f"{rank}.txt"
        else:
            octets, name = octets_of.get(document.part, b""), f"{rank}.bin"
        if not octets:
            yield document
            continue
        _write(output / name, octets)
        digest = hashlib.sha256(octets).hexdigest() if document.part == "body" else document.sha256
        yield dataclasses.replace(document, file=name, size=len(octets), sha256=digest)
    folder = os.open(output, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(path: Path, octets: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        rest = memoryview(octets)
        while rest:
            rest = rest[os.write(file, rest) :]
        os.fsync(file)
    finally:
        os.close(file)


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


# --- The child ------------------------------------------------------------------------------------------------

_PACKET_MAX = 65_536  # octets of one job
_PROGRAMS = (Path("/usr"), Path("/lib"), Path("/etc/ld.so.cache"))  # where tesseract is, with what it needs


def main() -> None:
    """Serve jobs until the socket on standard input is closed."""
    jobs = socket.socket(fileno=0)
    settings, _ = _receive(jobs)
    if settings is None:
        return
    ceiling = Ceiling(memory=settings["memory"], file=settings["file"])
    scans = bool(settings["ocr_pages"] and ocr.tesseract())
    if scans and not settings["alone"]:
        ocr.start(lambda: confine(ceiling, writable=None, programs=_PROGRAMS, fork=True))
    rules = load_rules(Path(settings["rules"]))
    offers = tuple(Offer.from_json(offer) for offer in settings["offers"])
    staff = Staff(frozenset(settings["addresses"]), frozenset(settings["domains"]))
    extractor = _extractor(settings)
    if settings["alone"]:
        _import_readers(cautious=settings["cautious"])
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # Whatever a library prints is no answer.
    confined = confine(
        ceiling,
        writable=Path(settings["folder"]) if settings["folder"] else None,
        programs=_PROGRAMS if scans and settings["alone"] else (),
        fork=settings["alone"],
    )
    _answer(answers, {"ready": True, "landlock": confined.landlock, "seccomp": confined.seccomp})
    jobs.settimeout(settings["idle"])
    while True:
        job, descriptor = _receive(jobs)
        if job is None or descriptor is None:
            return
        signal.setitimer(signal.ITIMER_REAL, job["wall"] + 1)  # Should the parent be gone, nobody else ends us.
        allow_seconds(job["cpu"])
        with os.fdopen(descriptor, "rb") as file:
            octets = file.read()
        output = Path(job["output"]) if job["output"] else None
        answer = _attempt(
            lambda: read(octets, rules, offers, staff, output=output, extractor=extractor)  # noqa: B023 called at once
        )
        _answer(answers, answer | {"job": job["job"]})
        signal.setitimer(signal.ITIMER_REAL, 0)
        if answer.get("error") == "MemoryError":
            return


def _import_readers(*, cautious: bool) -> None:
    """Have the libraries in memory before processes are forked, which would each import them again."""
    for name in ("lxml.etree", "pypdf" if cautious else "pypdfium2"):
        importlib.import_module(name)


def _extractor(settings: dict[str, Any]) -> Extractor:
    limits = Limits(ocr_pages=settings["ocr_pages"], ocr_seconds=settings["ocr_seconds"], cautious=settings["cautious"])
    return Alone(limits, settings["document_wall"]) if settings["alone"] else _within_limits(limits)


def _attempt(reading: Callable[[], Reading]) -> dict[str, Any]:
    try:
        return {"reading": reading().to_json()}
    except OSError as error:
        return {"error": type(error).__name__, "errno": error.errno}
    except Exception as error:  # noqa: BLE001 the barrier: one message must not end the child's others
        return {"error": type(error).__name__}


def _receive(jobs: socket.socket) -> tuple[dict[str, Any] | None, int | None]:
    """The next packet and the file that came with it; (None, None) at the end or when idle for too long."""
    try:
        packet, descriptors, _, _ = socket.recv_fds(jobs, _PACKET_MAX, 1)
    except TimeoutError:
        return None, None
    if not packet:
        return None, None
    value: dict[str, Any] = json.loads(packet)
    if value.get("settings"):
        with os.fdopen(descriptors[0], "rb") as file:
            file.seek(0)
            value = json.loads(file.read())
        return value, None
    return value, descriptors[0]


def _answer(stream: Any, value: dict[str, Any]) -> None:
    octets = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    stream.write(struct.pack(">I", len(octets)) + octets)
    stream.flush()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
