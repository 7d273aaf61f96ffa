"""Scanned pages by tesseract, where it is installed and asked for; nothing otherwise."""

from __future__ import annotations

import logging
import shutil
import subprocess
import time
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inbox_agent.formats.content import Limits

logger = logging.getLogger(__name__)


@cache
def tesseract() -> str | None:
    """The path of the program, None where it is not installed."""
    return shutil.which("tesseract", path="/usr/bin:/usr/local/bin:/bin")


_spent: dict[str, float] = {"seconds": 0.0}


def begin() -> None:
    """A new document: its pages share `Limits.ocr_seconds`."""
    _spent["seconds"] = 0.0


def recognise_page(picture: bytes, limits: Limits) -> str:
    """The text of one picture (PNM, PNG, JPEG, TIFF), "" if there is none or no time is left."""
    program = tesseract()
    left = limits.ocr_seconds - _spent["seconds"]
    if program is None or left <= 0:
        return ""
    begun = time.monotonic()
    try:
        done = subprocess.run(  # noqa: S603 a fixed program; the picture is its standard input
            [program, "stdin", "stdout", "-l", "fra+eng"],
            input=picture,
            capture_output=True,
            timeout=left,
            check=False,
            env={"OMP_THREAD_LIMIT": "1", "LC_ALL": "C.UTF-8"},
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        logger.warning("ocr gave up: %s", type(error).__name__)
        return ""
    finally:
        _spent["seconds"] += time.monotonic() - begun
    return done.stdout[:1_000_000].decode("utf-8", "replace")
