"""The subject of a reply. Apart from reply.py, since deciding needs it and no templates."""

from __future__ import annotations

import re

from inbox_agent.outgoing import clean_header

# Prefixes that mail programs put before a subject, in the languages met in France; "RE[2]:" and "RE :" too.
_PREFIX = re.compile(
    r"\s*(?:re|r[ée]p|fwd?|tr|aw|wg|sv|vs|rv|res|enc|antw)\s*(?:\[\d+\]|\(\d+\))?\s*[:：]\s*", re.IGNORECASE
)


def reply_subject(subject: str, language: str) -> str:
    """One "Re:" and the subject without the prefixes that piled up before it."""
    rest = clean_header(subject)
    while (prefix := _PREFIX.match(rest)) is not None:
        rest = rest[prefix.end() :]
    if not rest:
        rest = "your application" if language == "en" else "votre candidature"
    return clean_header(f"Re: {rest}")
