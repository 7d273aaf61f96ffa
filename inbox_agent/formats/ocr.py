"""Scanned pages by tesseract, where it is installed and asked for; nothing otherwise.

The child that reads messages runs no program: it gives pictures into one pipe and takes texts from another (`ask`). At
their other ends is a process that does nothing but give pictures to tesseract (`serve`); the mould forks it when the
first picture comes, since most children never meet one and it takes 9 MB.

Measured on 42 photographed and tilted pages: at the picture's own resolution, in French alone, tesseract's text is
judged as right as the text itself and takes 0.6 s a page; drawn larger the grain becomes letters (7 of 16 right instead
of 14), and French with English takes twice as long for the same words.
"""

from __future__ import annotations

import logging
import os
import re
import select
import shutil
import struct
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from inbox_agent.formats.content import Limits

logger = logging.getLogger(__name__)

_TEXT_MAX = 1_000_000  # octets of one page
_QUESTION = struct.Struct(">IdI")  # its number, seconds, octets of the picture
_ANSWER = struct.Struct(">II")  # the number of its question, octets of the text
_DESCRIPTORS = 1024


@cache
def tesseract() -> str | None:
    """The path of the program, None where it is not installed."""
    return shutil.which("tesseract", path="/usr/bin:/usr/local/bin:/bin")


@cache
def _installed(model: str) -> bool:
    folders = ("tesseract-ocr/*/tessdata", "tesseract/tessdata", "tessdata", "tesseract-ocr/tessdata")
    roots = (Path("/usr/share"), Path("/usr/local/share"))
    return any(any(root.glob(f"{folder}/{model}.traineddata")) for root in roots for folder in folders)


def _language() -> str:
    return "fra" if _installed("fra") else "eng"


@dataclass(slots=True)
class _State:
    """What this process has spent on the message at hand, and the pipes to who runs the program."""

    seconds: float = 0.0
    pipes: tuple[int, int] | None = None  # where pictures go, where texts come from
    asked: int = 0  # questions so far


_state = _State()


def begin() -> None:
    """A new message: its pages share `Limits.ocr_seconds`."""
    _state.seconds = 0.0


def recognise_page(picture: bytes, limits: Limits) -> str:
    """The text of one picture (PNM, PNG, JPEG, TIFF), "" if there is none or no time is left."""
    left = limits.ocr_seconds - _state.seconds
    if tesseract() is None or left <= 0:
        return ""
    begun = time.monotonic()
    try:
        text = _asked(_state.pipes, picture, left) if _state.pipes else _run(picture, left)
    except (OSError, EOFError) as error:
        logger.warning("ocr gave up: %s", type(error).__name__)
        _state.seconds = float("inf")
        return ""
    _state.seconds += time.monotonic() - begun
    return text.decode("utf-8", "replace")


def _run(picture: bytes, seconds: float) -> bytes:
    """The text in French; again where there are no words, for the page may lie on its side or its head (--psm 1).

    And again where it is English: the French model reads "1" for "I".
    """
    deadline = time.monotonic() + seconds
    text, turned = _read(picture, seconds, _language()), False
    if _words(text) < _A_PAGE:
        text = _looked_for(picture, deadline, text)
    signs = len(text.split())
    if signs >= _A_PAGE and _installed("osd") and _share(text, _FRENCH + _ENGLISH) < _SMALL_WORDS:
        upright = _read(picture, deadline - time.monotonic(), _language(), *_TURN)
        if turned := _share(upright, _FRENCH + _ENGLISH) > _share(text, _FRENCH + _ENGLISH):
            text = upright
    english = _language() != "eng" and _share(text, _ENGLISH) > _share(text, _FRENCH)
    if english and _installed("eng") and len(_NO_I.findall(text)) > 1:
        text = _read(picture, deadline - time.monotonic(), "eng", *(_TURN if turned else ())) or text
        text = _BAR_FOR_I.sub(b"I", text)
    return text


def _looked_for(picture: bytes, deadline: float, text: bytes) -> bytes:
    """The text of a page on which next to none was found: it may lie aslant, and is one block, or hide on its side."""
    for how in (("--psm", "6"), ("--psm", "12")):
        again = _read(picture, deadline - time.monotonic(), _language(), *how)
        if _words(again) >= _A_PAGE:
            return again
    return text


def _words(text: bytes) -> int:
    return len(_WORD.findall(text.decode("utf-8", "replace")))


_WORD = re.compile(r"[^\W\d_]{3,}")
_TURN = ("--psm", "1")
_A_PAGE = 20  # words or what looks like them; fewer are on a photo or a logo.
_NO_I = re.compile(rb"(?<!\S)[1|!l4](?= [a-z])")  # "1 would like": as the French model reads it.
_BAR_FOR_I = re.compile(rb"(?<!\S)\|(?= [a-z])")  # "| would like"; a bar that parts is followed by a capital.
_FRENCH = (b"le", b"la", b"les", b"et", b"de", b"des", b"du", b"en", b"\xc3\xa0", b"je")
_ENGLISH = (b"the", b"and", b"of", b"to", b"in", b"for", b"my")
_SMALL_WORDS = 0.05  # of all words; a list of jobs has 0.08, a page upside down 0.01.


def _share(text: bytes, words: tuple[bytes, ...]) -> float:
    tokens = text.lower().split()
    return sum(map(tokens.count, words)) / max(len(tokens), 1)


# Sauvola's threshold looks at the surroundings of each point: shadows on a photographed page swallow no lines. On 21
# pages it found as many words as Otsu's or more (35 for 8 on a photo), in the same time. Tesseract 4 passes it over.
_THRESHOLD = ("-c", "thresholding_method=2")


def _read(picture: bytes, seconds: float, language: str, *how: str) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 a fixed program; the picture is its standard input
            [tesseract() or "", "stdin", "stdout", "-l", language, *_THRESHOLD, *how],
            input=picture,
            capture_output=True,
            timeout=max(seconds, 0.0),
            check=False,
            env={"OMP_THREAD_LIMIT": "1", "LC_ALL": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired:
        return b""
    return done.stdout[:_TEXT_MAX]


# --- The process that runs it ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pipes:
    """Two pipes: the ends of who asks, where pictures go and texts come from, and those of who answers."""

    to_it: int
    from_it: int
    pictures: int
    texts: int

    @classmethod
    def new(cls) -> Pipes:
        """Both, open."""
        pictures, to_it = os.pipe()
        from_it, texts = os.pipe()
        return cls(to_it, from_it, pictures, texts)

    def close_asking(self) -> None:
        """For who answers, or does neither."""
        os.close(self.to_it)
        os.close(self.from_it)

    def close_answering(self) -> None:
        """For who asks; while anybody else held these ends open, the end of who answers would not be seen."""
        os.close(self.pictures)
        os.close(self.texts)


def ask(pipes: Pipes) -> None:
    """Give pictures of this process into these pipes from now on."""
    pipes.close_answering()
    _state.pipes = pipes.to_it, pipes.from_it


def serve(pipes: Pipes, confine: Callable[[], object]) -> None:
    """Be the process that may run tesseract, and nothing else once it has called `confine`; never comes back."""
    try:
        _installed("fra"), _installed("eng"), _installed("osd")  # Asked for here, while the folders can be seen.
        _be_alone_with(pipes.pictures, pipes.texts)
        confine()
        while _serve():
            pass
    finally:
        os._exit(0)


def _be_alone_with(pictures: int, texts: int) -> None:
    """Keep two pipes; an answer's end held open here would hide that the child is gone."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    kept = [os.dup(pipe) for pipe in (pictures, texts, nothing)]  # None of them is 0, 1 or 2: those are taken.
    for number, pipe in enumerate(kept):
        os.dup2(pipe, number)
    os.closerange(len(kept), _DESCRIPTORS)


def _serve() -> bool:
    """Answer one question; False at the end."""
    try:
        number, seconds, length = _QUESTION.unpack(_exactly(0, _QUESTION.size))
        text = _run(_exactly(0, length), seconds)
        _write(1, _ANSWER.pack(number, len(text)) + text)
    except (EOFError, OSError):
        return False
    return True


def _asked(pipes: tuple[int, int], picture: bytes, seconds: float) -> bytes:
    """The text of a picture from the other process. Raises EOFError, OSError.

    An answer that was given up for late is still in the pipe: it belongs to another page, perhaps of somebody else.
    """
    to_it, from_it = pipes
    _state.asked += 1
    deadline = time.monotonic() + seconds + 1
    _write(to_it, _QUESTION.pack(_state.asked, seconds, len(picture)) + picture)
    while select.select([from_it], [], [], max(deadline - time.monotonic(), 0))[0]:
        number, length = _ANSWER.unpack(_exactly(from_it, _ANSWER.size))
        text = _exactly(from_it, length)
        if number == _state.asked:
            return text
    raise TimeoutError


def _exactly(pipe: int, length: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < length:
        piece = os.read(pipe, min(length - len(pieces), 1 << 20))
        if not piece:
            raise EOFError
        pieces += piece
    return bytes(pieces)


def _write(pipe: int, octets: bytes) -> None:
    rest = memoryview(octets)
    while rest:
        rest = rest[os.write(pipe, rest) :]
