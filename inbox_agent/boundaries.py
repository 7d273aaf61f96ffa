"""Lines that part a multipart message, found without a pattern of their own (importing this changes email.feedparser).

The standard library compiles a pattern for each boundary, and no two mails have the same: that was a twentieth of the
time that reading a message takes. What is known of a boundary is that a line begins with it; what may follow is one
pattern for all.
"""

from __future__ import annotations

import re
from email import feedparser

_BEFORE = "(?P<sep>"
_AFTER = r"(?P<end>--)?(?P<ws>[ \t]*)(?P<linesep>\r\n|\r|\n)?$"
_END = re.compile(_AFTER)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class _Boundary:
    """A pattern of the standard library's shape, as far as its parser asks."""

    def __init__(self, start: str) -> None:
        self._start = start

    def match(self, line: str) -> re.Match[str] | None:
        return _END.match(line, len(self._start)) if line.startswith(self._start) else None


class _Patterns:
    """The module `re`, as email.feedparser uses it."""

    escape = staticmethod(re.escape)

    @staticmethod
    def compile(pattern: str) -> _Boundary | re.Pattern[str]:
        if not (pattern.startswith(_BEFORE) and pattern.endswith(f"){_AFTER}")):
            return re.compile(pattern)  # Another version of Python.
        escaped = pattern[len(_BEFORE) : -len(_AFTER) - 1]
        return _Boundary(_ESCAPED.sub(r"\1", escaped))


if hasattr(feedparser, "re"):
    feedparser.re = _Patterns()
