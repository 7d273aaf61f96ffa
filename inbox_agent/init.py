"""`inbox-agent init`: a configuration by asking. Nothing is overwritten; passwords go into files of their own."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from inbox_agent.errors import AgentError
from inbox_agent.offer import PUBLIC_DOMAINS
from inbox_agent.offers import ADDRESS
from inbox_agent.outgoing import is_addr_spec

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")

# Servers of the providers that associations use most; others are guessed as imap. and smtp. of the domain.
_KNOWN = {
    "gmail.com": ("imap.gmail.com", "smtp.gmail.com"),
    "orange.fr": ("imap.orange.fr", "smtp.orange.fr"),
    "wanadoo.fr": ("imap.orange.fr", "smtp.orange.fr"),
    "free.fr": ("imap.free.fr", "smtp.free.fr"),
    "laposte.net": ("imap.laposte.net", "smtp.laposte.net"),
    "outlook.com": ("outlook.office365.com", "smtp.office365.com"),
    "outlook.fr": ("outlook.office365.com", "smtp.office365.com"),
}
_TEMPLATE = """\
# Written by "inbox-agent init". Every key is explained in config.example.toml.
state = {state}
rules = "rules"

[organisation]
name = {name}
address = {address}

[[mailboxes]]
name = "direction"
[mailboxes.imap]
host = {imap}
port = 993
tls = "implicit"
user = {user}
password = {{ file = "imap-password" }}

[smtp]
host = {smtp}
port = {smtp_port}
tls = {smtp_tls}
user = {user}
password = {{ file = "imap-password" }}

[replies]
mode = "draft"     # replies wait among the drafts; "send" once you trust them

[archive]
root = {archive}

[digest]
to = {digest}
at = "18:00"
"""
_OFFER = """\
# One file for each published offer; more keys are shown in the offer that ships with the program.
id = {id}
title = {title}
addressed_to = {addressed_to}
in_copy = {in_copy}
{deadline}
required = ["cv", "letter"]
keywords = []                   # words that only this post has
"""


def interview(path: Path) -> None:
    """Ask, then write `path`, its offer and the password beside it. Raises AgentError if one of them is there."""
    _refuse_to_overwrite(path, path.parent / "imap-password")
    if not path.parent.is_dir():
        raise AgentError(f"there is no folder {path.parent}. Create it first.")
    typer.echo("Each answer can be changed later in the file. Enter takes what stands in brackets.\n")
    name = typer.prompt("Name of the organisation")
    address = _ask("Address that candidates write to (the mailbox to read)", _address)
    domain = address.rpartition("@")[2]
    imap_guess, smtp_guess = _KNOWN.get(domain, (f"imap.{domain}", f"smtp.{domain}"))
    user = typer.prompt("Login", default=address)
    imap = typer.prompt("IMAP server", default=imap_guess)
    smtp = typer.prompt("SMTP server", default=smtp_guess)
    implicit = typer.confirm("Does it take TLS at once, on port 465? (no: STARTTLS on 587)", default=True)
    password = typer.prompt("Password (kept in a file that only you can read)", hide_input=True)
    archive = typer.prompt("Shared folder for the applications", default="Candidatures")
    state = typer.prompt("Folder for the agent's own state, on a local disk", default="state")
    digest = _ask("Who gets the daily digest (addresses, separated by commas)", _addresses, default=address)
    offer = _ask_offer(address)
    answers = {
        "state": state,
        "name": name,
        "address": address,
        "imap": imap,
        "user": user,
        "smtp": smtp,
        "smtp_port": 465 if implicit else 587,
        "smtp_tls": "implicit" if implicit else "starttls",
        "archive": archive,
        "digest": digest,
    }
    folder = path.parent
    _write_offer(folder / "rules" / "offers", offer)
    _write_private(folder / "imap-password", password)
    _write_readable(path, _TEMPLATE.format(**_toml(answers)))
    (folder / Path(archive).expanduser()).mkdir(parents=True, exist_ok=True)
    typer.echo(f"\nWritten: {path} and its offer. Next:\n  inbox-agent check --config {path}")
    typer.echo(f"  inbox-agent once --config {path}")
    if domain in PUBLIC_DOMAINS:
        typer.echo(f"Note: anybody can have an address at {domain}. List your team's addresses under staff = […].")


def _refuse_to_overwrite(*paths: Path) -> None:
    for path in paths:
        if path.exists():
            raise AgentError(f"{path} exists and is not overwritten. Move it away first, or work in another folder.")


def _ask(question: str, read: Callable[[str], Answer], **options: Any) -> Answer:
    """Ask until `read` takes the answer; it raises ValueError with what is wrong."""
    while True:
        try:
            return read(typer.prompt(question, **options))
        except ValueError as error:
            typer.echo(f"  {error}")


def _address(text: str) -> str:
    address = text.strip().lower()
    if not (ADDRESS.fullmatch(address) and is_addr_spec(address)):
        raise ValueError(f'"{text}" is no e-mail address; write it as name@example.org, without accents')
    return address


def _addresses(text: str) -> list[str]:
    return [_address(item) for item in text.split(",") if item.strip()]


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip()) if text.strip() else None
    except ValueError:
        raise ValueError(f'"{text}" is no day; write it as 2024-02-15') from None


def _ask_offer(address: str) -> dict[str, Any]:
    title = typer.prompt("Title of the offer, as published")
    optional = {"default": "", "show_default": False}
    copy = _ask("Address that candidates put in copy (empty: nobody)", _addresses, **optional)
    day = _ask("Applications before which day (2024-02-15; empty: none)", _day, **optional)
    return {"id": _slug(title, day), "title": title, "addressed_to": [address], "in_copy": copy, "deadline": day}


def _slug(title: str, day: date | None) -> str:
    """An offer id from its title: `charge-de-mission-2024`."""
    plain = unicodedata.normalize("NFKD", re.sub(r"·\w*", "", title.lower()))
    words = re.findall(r"[a-z0-9]+", "".join(char for char in plain if not unicodedata.combining(char)))
    return "-".join([*words[:4], *([str(day.year)] if day else [])]) or "offre"


def _write_offer(folder: Path, offer: dict[str, Any]) -> None:
    path = folder / f"{offer['id']}.toml"
    _refuse_to_overwrite(path)
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    day = offer.pop("deadline")
    text = _OFFER.format(**_toml(offer), deadline=f"deadline = {day}" if day else "# deadline = 2024-02-15")
    _write_readable(path, text)


def _toml(values: dict[str, Any]) -> dict[str, str]:
    """Strings, numbers and lists of strings are written alike in JSON and TOML."""
    return {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}


def _write_readable(path: Path, text: str) -> None:
    """For the service's own user too; there is no secret in it."""
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)


def _write_private(path: Path, secret: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(secret)
