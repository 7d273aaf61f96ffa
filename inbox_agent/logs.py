"""Logging to stderr: for journald with priorities, for a terminal with times. Message keys first, no personal data."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from typing import TYPE_CHECKING

from inbox_agent.errors import AgentError, FileStoreError

if TYPE_CHECKING:
    from types import TracebackType

# sd-daemon(3): the priority of a line for journald.
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_FRAMES = 6  # innermost ones of a traceback


class _Plain(logging.Formatter):
    """Our own records begin with their message key, others' with the name of the library."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record).replace("\n", " | ")
        return line if record.name.startswith("inbox_agent") else f"{record.name} {line}"

    def formatException(  # noqa: N802 - logging's name
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        """Where and of what type, never the exception's own words: they may quote a message."""
        kind, error, trace = ei
        if kind is None or error is None:
            return ""
        frames = traceback.extract_tb(trace)[-_FRAMES:]
        places = " > ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames)
        return f"{kind.__name__} at {places}"


class _Journald(_Plain):
    def format(self, record: logging.LogRecord) -> str:
        return f"<{_PRIORITY.get(record.levelno, 6)}>{super().format(record)}"


def start_logging(*, verbose: bool = False) -> None:
    """Send our own records, and others' warnings, to stderr."""
    stream = logging.StreamHandler(sys.stderr)
    if _is_journal():
        stream.setFormatter(_Journald("%(message)s"))
    else:
        stream.setFormatter(_Plain("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[stream], force=True)
    logging.getLogger("inbox_agent").setLevel(logging.DEBUG if verbose else logging.INFO)
    # A poll that falls due while a pass is under way is left out, which is meant and no warning.
    logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)


def _is_journal() -> bool:
    """Whether stderr is the journal's: a terminal of a desktop session inherits the variable (systemd.exec(5))."""
    try:
        stderr = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stderr.st_dev}:{stderr.st_ino}"


def for_log(error: AgentError) -> str:
    """An error without what may name a candidate: the archive's folders do, so of theirs only the kind is said."""
    kind = type(error).__name__
    if isinstance(error, FileStoreError):
        return f"{kind}: the sentence names files, see inbox-agent status"
    return f"{kind}: {error}"
