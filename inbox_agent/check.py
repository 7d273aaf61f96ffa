"""`inbox-agent check`: everything that can be wrong before it is. Sends nothing, moves nothing."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from inbox_agent.errors import EXIT_CONFIG, EXIT_FAILED, AgentError, ConfigError, Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from inbox_agent.config import Config, MailboxSection, Server

_LEAST_FREE_MB = 200
_SANE_CLOCK = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: well, or what is wrong and the remedy."""

    subject: str
    said: str
    well: bool
    config: bool = False

    @property
    def exit_status(self) -> int:
        """78 for a fault of the configuration, 1 for another, 0 for none."""
        if self.well:
            return 0
        return EXIT_CONFIG if self.config else EXIT_FAILED

    def line(self) -> str:
        """For a terminal."""
        return f"{'ok   ' if self.well else 'WRONG'}  {self.subject}: {self.said}"

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        return {"subject": self.subject, "said": self.said, "well": self.well}


def check_all(given: Path | None) -> Iterator[Finding]:
    """Look at everything, in an order in which the first fault explains the later ones."""
    from inbox_agent.config import config_path, load_config  # noqa: PLC0415 - slow to import

    try:
        path = config_path(given)
        config = load_config(path)
    except ConfigError as error:
        yield from _faults("configuration", error.faults)
        return
    yield Finding("configuration", str(path), well=True)
    yield from _rules(config)
    yield from _templates(config)
    yield from _secrets(config)
    yield from _places(config)
    yield _store(config)
    yield from _clock(config)
    yield _confinement()
    for section in config.mailboxes:
        yield from _mailbox(section)
    yield from _smtp(config)


def _faults(subject: str, faults: tuple[Fault, ...]) -> Iterator[Finding]:
    for fault in faults:
        yield Finding(subject, str(fault), well=False, config=True)


def _rules(config: Config) -> Iterator[Finding]:
    from inbox_agent.installation import offers_of  # noqa: PLC0415 - slow to import
    from inbox_agent.rules import load_rules  # noqa: PLC0415 - the same

    try:
        offers = offers_of(config)
        yield Finding("offers", ", ".join(offer.id for offer in offers), well=True)
    except ConfigError as error:
        yield from _faults("offers", error.faults)
    try:
        load_rules(config.rules_folder)
        yield Finding("rules", str(config.rules_folder), well=True)
    except ConfigError as error:
        yield from _faults("rules", error.faults)


def _templates(config: Config) -> Iterator[Finding]:
    from inbox_agent.samples import check_templates  # noqa: PLC0415 - slow to import

    faults = check_templates(config.templates)
    yield from _faults("templates", faults)
    if not faults:
        yield Finding("templates", "all render with sample data", well=True)


def _secrets(config: Config) -> Iterator[Finding]:
    servers: list[tuple[str, Server]] = [(f"mailbox {section.name}", section.imap) for section in config.mailboxes]
    if config.smtp is not None:
        servers.append(("smtp", config.smtp))
    for subject, server in servers:
        if server.password is None:
            continue
        try:
            empty = not server.password.read()
        except AgentError as error:
            yield Finding(f"secret of {subject}", str(error), well=False)
        else:
            said = "is empty. Write the password there." if empty else "found"
            yield Finding(f"secret of {subject}", said, well=not empty)


def _places(config: Config) -> Iterator[Finding]:
    yield _writable("state folder", config.state)
    yield _archive(config)
    if config.replies.trusted_authserv_id is None:
        said = "are not believed, so the digest does not ask for them: set replies.trusted_authserv_id for that"
        yield Finding("answers to the digest", said, well=True)


def _archive(config: Config) -> Finding:
    """Of a remote one: a file is put there, read and removed."""
    from inbox_agent.installation import file_store  # noqa: PLC0415 - slow to import

    try:
        files = file_store(config)
        files.check()
        free = files.free()
    except AgentError as error:
        return Finding("archive", str(error), well=False)
    left = "" if free is None else f", {free // 2**20} MB free"
    return Finding("archive", f"{config.archive.root.partition('?')[0]} can be written{left}", well=True)


def _store(config: Config) -> Finding:
    """Only looked at: tables are made or brought up to date by `run` and `once`."""
    from inbox_agent.journal import survey_store  # noqa: PLC0415 - slow to import

    try:
        return Finding("store", survey_store(config.store_url), well=True)
    except AgentError as error:
        return Finding("store", str(error), well=False)


def _writable(subject: str, folder: Path) -> Finding:
    existing = folder if folder.exists() else folder.parent
    if not existing.is_dir():
        return Finding(subject, f"{existing} does not exist. Create it.", well=False)
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding(subject, f"{existing} cannot be written by this user. Change its owner.", well=False)
    free = shutil.disk_usage(existing).free // 2**20
    if free < _LEAST_FREE_MB:
        return Finding(subject, f"{folder} has {free} MB left. Free some space.", well=False)
    return Finding(subject, f"{folder}, {free} MB free", well=True)


def _clock(config: Config) -> Iterator[Finding]:
    now = datetime.now(UTC)
    said = f"{now.astimezone(ZoneInfo(config.timezone)):%Y-%m-%d %H:%M} in {config.timezone}, {now:%H:%M} UTC"
    yield Finding("clock", said if now > _SANE_CLOCK else f"{said} is in the past. Set it.", well=now > _SANE_CLOCK)


def _confinement() -> Finding:
    from inbox_agent.sandbox import confinement  # noqa: PLC0415 - slow to import

    said = "; ".join(confinement().warnings) or "Landlock and seccomp"
    return Finding("confinement of readers", said, well=True)


def _mailbox(section: MailboxSection) -> Iterator[Finding]:
    from inbox_agent.installation import connect_mailbox  # noqa: PLC0415 - slow to import

    subject = f"mailbox {section.name}"
    try:
        account = connect_mailbox(section)
        state = account.mailbox.select(section.folder)
        folders = account.mailbox.folders()
    except AgentError as error:
        yield Finding(subject, str(error), well=False)
        return
    yield Finding(subject, f"logged in; {section.folder} holds {state.exists} messages", well=True)
    drafts = "exists" if account.drafts in folders else "will be created"
    yield Finding(f"{subject}, drafts", f"{account.drafts} {drafts}", well=True)
    yield Finding(f"{subject}, sent mail", account.sent or "not found: no evidence for uncertain replies", well=True)
    account.mailbox.close()


def _smtp(config: Config) -> Iterator[Finding]:
    from inbox_agent.installation import smtp_sender  # noqa: PLC0415 - slow to import

    if config.smtp is None:
        yield Finding("smtp", "not configured: replies wait as drafts, the digest is not mailed", well=True)
        return
    sender = None
    try:
        sender = smtp_sender(config)
        assert sender is not None  # noqa: S101 - for the type checker: [smtp] is there
        sender.connect()
    except AgentError as error:
        yield Finding("smtp", str(error), well=False)
    else:
        yield Finding("smtp", f"logged in at {config.smtp.host}:{config.smtp.port}", well=True)
    finally:
        if sender is not None:
            sender.close()
