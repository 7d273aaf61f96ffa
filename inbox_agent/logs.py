"""Logging to stderr: for journald with priorities, for a terminal with times. Message keys first, no personal data."""

from __future__ import annotations

import logging
import os
import sys

# sd-daemon(3): the priority of a line for journald.
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class _Journald(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record).replace("\n", " | ")
        return f"<{_PRIORITY.get(record.levelno, 6)}>{line}"


def start_logging(*, verbose: bool = False) -> None:
    """Send our own records, and others' warnings, to stderr."""
    stream = logging.StreamHandler(sys.stderr)
    if os.environ.get("JOURNAL_STREAM"):
        stream.setFormatter(_Journald("%(name)s %(message)s"))
    else:
        stream.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[stream], force=True)
    logging.getLogger("inbox_agent").setLevel(logging.DEBUG if verbose else logging.INFO)
