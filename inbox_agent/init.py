"""`inbox-agent init`: a configuration by asking. Nothing is overwritten; passwords go into files of their own."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from datetime import date
from pathlib import Path
from typing import Any

import typer

from inbox_agent.errors import AgentError
from inbox_agent.offer import PUBLIC_DOMAINS

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
    """Ask, then write `path` and the password beside it. Raises AgentError if `path` is there."""
    if path.exists():
        raise AgentError(f"{path} exists and is not overwritten. Name another file, or remove it first.")
    typer.echo("Each answer can be changed later in the file. Enter takes what stands in brackets.\n")
    name = typer.prompt("Name of the organisation")
    address = typer.prompt("Address that candidates write to (the mailbox to read)").strip().lower()
    domain = address.rpartition("@")[2]
    imap_guess, smtp_guess = _KNOWN.get(domain, (f"imap.{domain}", f"smtp.{domain}"))
    user = typer.prompt("Login", default=address)
    imap = typer.prompt("IMAP server", default=imap_guess)
    smtp = typer.prompt("SMTP server", default=smtp_guess)
    implicit = typer.confirm("Does it take TLS at once, on port 465? (no: STARTTLS on 587)", default=True)
    password = typer.prompt("Password (kept in a file that only you can read)", hide_input=True)
    archive = typer.prompt("Shared folder for the applications", default="Candidatures")
    state = typer.prompt("Folder for the agent's own state, on a local disk", default="state")
    digest = typer.prompt("Who gets the daily digest (addresses, separated by commas)", default=address)
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
        "digest": [item.strip() for item in digest.split(",") if item.strip()],
    }
    folder = path.parent
    _write_private(folder / "imap-password", password)
    _write_offer(folder / "rules" / "offers", offer)
    path.write_text(_TEMPLATE.format(**_toml(answers)), encoding="utf-8")
    (folder / Path(archive).expanduser()).mkdir(parents=True, exist_ok=True)
    typer.echo(f"\nWritten: {path} and its offer. Next:\n  inbox-agent check --config {path}")
    typer.echo(f"  inbox-agent once --config {path}")
    if domain in PUBLIC_DOMAINS:
        typer.echo(f"Note: anybody can have an address at {domain}. List your team's addresses under staff = […].")


def _ask_offer(address: str) -> dict[str, Any]:
    title = typer.prompt("Title of the offer, as published")
    copy = typer.prompt("Address that candidates put in copy (empty: nobody)", default="", show_default=False)
    deadline = typer.prompt("Applications before which day (2024-02-15; empty: none)", default="", show_default=False)
    try:
        day = date.fromisoformat(deadline) if deadline else None
    except ValueError:
        raise AgentError(f'"{deadline}" is no day; write it as 2024-02-15. Nothing was written.') from None
    return {
        "id": _slug(title, day),
        "title": title,
        "addressed_to": [address],
        "in_copy": [copy.strip().lower()] if copy.strip() else [],
        "deadline": day,
    }


def _slug(title: str, day: date | None) -> str:
    """An offer id from its title: `charge-de-mission-2024`."""
    plain = unicodedata.normalize("NFKD", title.lower().replace("·", ""))
    words = re.findall(r"[a-z0-9]+", "".join(char for char in plain if not unicodedata.combining(char)))
    return "-".join([*words[:4], *([str(day.year)] if day else [])]) or "offre"


def _write_offer(folder: Path, offer: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    day = offer.pop("deadline")
    text = _OFFER.format(**_toml(offer), deadline=f"deadline = {day}" if day else "# deadline = 2024-02-15")
    (folder / f"{offer['id']}.toml").write_text(text, encoding="utf-8")


def _toml(values: dict[str, Any]) -> dict[str, str]:
    """Strings, numbers and lists of strings are written alike in JSON and TOML."""
    return {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}


def _write_private(path: Path, secret: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(secret)
