"""What can go wrong with the world, by who can mend it. Our own bugs are plain exceptions.

Expected outcomes (no application, an unreadable PDF, a late mail) are values, never exceptions.
A library's exceptions are translated into these in its adapter and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_TRY_AGAIN = 75  # sysexits.h EX_TEMPFAIL
EXIT_CONFIG = 78  # sysexits.h EX_CONFIG


class AgentError(Exception):
    """The root: `str()` is one sentence that names the thing and the remedy, free of secrets."""

    exit_status = EXIT_FAILED


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a file that people write.

    `place` is a line ("line 12") or a dotted key ("mailbox[0].imap.port"); `value` is omitted for secrets.
    """

    file: str
    place: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: {self.place}: {self.problem}. {self.remedy}"


class ConfigError(AgentError):
    """The configuration, an offer, a rule or a template is wrong: every fault at once."""

    exit_status = EXIT_CONFIG

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class TryAgainError(AgentError):
    """The world may mend itself: a server that is away, a network that is cut, a 4xx answer."""

    exit_status = EXIT_TRY_AGAIN


class AnotherInstanceError(TryAgainError):
    """The state folder is locked by a running agent."""


class ImplausibleError(TryAgainError):
    """The world looks wrong (empty mailbox, clock before the last run, no archive): we stop, and say why."""


class AuthenticationError(AgentError):
    """The server refused our credentials: never retried quickly, so that no account is locked."""


class TlsError(AgentError):
    """The server's certificate is not trusted, or it offers no TLS: we never go on in the clear."""


class StoreError(AgentError):
    """The store is unreadable, newer than this program, or refuses to write."""


class FileStoreError(AgentError):
    """The archive refuses to be written: full, read-only, missing."""


class SendRefusedError(AgentError):
    """The server refused this message for good (5xx). `code` is its reply code."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(f"the mail server refused the message: {code} {sentence}")
        self.code = code


class SendUnknownError(AgentError):
    """The connection was lost after the final dot: nobody knows whether the server took the message."""
