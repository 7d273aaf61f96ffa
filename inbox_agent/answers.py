"""Short words with which staff answer a digest ("oui 12"), and whether a mail with them may be believed. Pure.

Imported by the reading child: standard library only.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MOST_LINES = 200  # of one mail; a digest shows 60 rows a section
_LONGEST_LINE = 120  # characters; a command is short, and prose is none
_NUMBER = r"(?:n(?:um(?:ero)?|[o°º])?\s*[.:°º]*\s*|#\s*)?(?P<number>\d{1,9})"
_WORD = r"(?P<word>oui|non|repondre|reponds|repondez|offre|yes|no)"
_REST = r"(?:\s*[:=,]?\s*(?P<offer>[a-z0-9][a-z0-9._-]{0,79}))?"
_COMMANDS = (
    re.compile(rf"{_WORD}\s*(?:a|au|le|la|pour|:|,)?\s*{_NUMBER}{_REST}"),
    re.compile(rf"{_NUMBER}\s*[:=,.)-]?\s*{_WORD}{_REST}"),
)
_SAYINGS = {
    "oui": "yes",
    "yes": "yes",
    "non": "no",
    "no": "no",
    "repondre": "answer",
    "reponds": "answer",
    "repondez": "answer",
    "offre": "offer",
}
_DIGEST_ID = re.compile(r"<digest\.[0-9a-f]{32}@[^<>\s]+>")


@dataclass(frozen=True, slots=True)
class Answer:
    """One command. `saying` is a value of corrections.Saying; `offer` belongs to "offer" alone."""

    saying: str
    number: int
    offer: str | None = None


def answers_digest(thread: Iterable[str]) -> bool:
    """Whether a message answers a mail whose Message-ID looks like that of a digest of ours."""
    return any(_DIGEST_ID.fullmatch(identifier) for identifier in thread)


def commands_in(text: str) -> tuple[str, ...]:
    """The lines of a mail's own text that are commands, in one spelling ("oui 12", "offre 12 comptable")."""
    found = [line for line in text.splitlines() if len(line) <= _LONGEST_LINE]
    pieces = [piece for line in found for piece in re.split(r"[;,]|\bet\b", line)]
    whole = [_spelled(line) for line in found]
    parts = [_spelled(piece) for piece in pieces]
    # "offre 12, comptable" is one command, "oui 12, non 13" are two.
    chosen = whole if sum(map(bool, whole)) >= sum(map(bool, parts)) else parts
    return tuple(dict.fromkeys(command for command in chosen if command))[:_MOST_LINES]


def _spelled(line: str) -> str | None:
    plain = unicodedata.normalize("NFKD", line.casefold())
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    plain = re.sub(r"[\s\u00a0\u202f]+", " ", plain).strip(" .!*-–—→>«»\"'’“”")
    for pattern in _COMMANDS:
        match = pattern.fullmatch(plain)
        if match is not None and (match["word"] == "offre") == (match["offer"] is not None):
            offer = f" {match['offer'].rstrip('.')}" if match["offer"] else ""
            return f"{match['word']} {int(match['number'])}{offer}"
    return None


def read_command(command: str) -> Answer:
    """What `commands_in` spelled."""
    word, number, *offer = command.split(" ", 2)
    return Answer(_SAYINGS[word], int(number), offer[0] if offer else None)


def refusal(
    sender: str | None, authentication: Sequence[str], *, staff: frozenset[str], trusted: str | None
) -> str | None:
    """Why an answer is not believed, in French, or None: a staff address, vouched for by the trusted server."""
    if sender is None or sender.lower() not in staff:
        return "elle ne vient pas d’une adresse de l’équipe"
    if trusted is None:
        return "aucun serveur de confiance n’est configuré (replies.trusted_authserv_id)"
    if not authenticated(sender.lower(), authentication, trusted):
        return "le serveur de confiance n’a pas pu vérifier l’expéditeur"
    return None


def authenticated(sender: str, authentication: Sequence[str], trusted: str) -> bool:
    """Whether the trusted server's topmost Authentication-Results (RFC 8601) vouch for the From address.

    DMARC that passed; without a DMARC result DKIM or SPF aligned with the domain, or a login as that very address.
    """
    for value in authentication:
        authserv_id, _, methods = value.partition(";")
        words = authserv_id.split()
        if words and words[0].lower() == trusted.lower():
            return _vouched(sender, _results(methods))
    return False


def _results(methods: str) -> list[tuple[str, str, dict[str, str]]]:
    """(method, result, properties) of each; comments in parentheses prove nothing and are left out."""
    plain = re.sub(r"\([^()]*\)", " ", methods.lower())
    found = []
    for part in plain.split(";"):
        match = re.match(r"\s*([a-z0-9_-]+)(?:/\d+)?\s*=\s*([a-z]+)", part)
        if match is not None:
            properties = dict(re.findall(r"([a-z]+\.[a-z-]+)\s*=\s*\"?([^\s\";]+)", part))
            found.append((match[1], match[2], properties))
    return found


def _vouched(sender: str, results: Sequence[tuple[str, str, dict[str, str]]]) -> bool:
    domain = sender.rpartition("@")[2]
    dmarc = [(result, properties) for method, result, properties in results if method == "dmarc"]
    if dmarc:
        return all(result == "pass" and properties.get("header.from", domain) == domain for result, properties in dmarc)
    for method, result, properties in results:
        if result != "pass":
            continue
        match method:
            case "dkim" if _aligned(properties.get("header.d") or properties.get("header.i", ""), domain):
                return True
            case "spf" if _aligned(properties.get("smtp.mailfrom", ""), domain):
                return True
            case "auth" if properties.get("smtp.auth") == sender or properties.get("smtp.mailfrom") == sender:
                return True
            case _:
                pass
    return False


def _aligned(found: str, domain: str) -> bool:
    return found.rpartition("@")[2] == domain
