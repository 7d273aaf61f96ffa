"""The commands about what is kept: corrections, personal data, the tools of store and archive.

Like cli.py, which imports it, this module parses words and prints; imports stand in the commands.
"""


from __future__ import annotations

import getpass
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from inbox_agent.cli import ConfigOption, JsonOption, _installation, _store, app
from inbox_agent.errors import EXIT_FAILED, EXIT_USAGE

_WORDS = ("yes", "no", "offer", "complete", "incomplete", "late", "answer")


def _who() -> str:
    try:
        return f"commande ({getpass.getuser()})"
    except (KeyError, OSError):  # A service account without a name.
        return "commande"


@app.command()
def correct(
    number: Annotated[int, typer.Argument(help="The number that digest and board show.")],
    word: Annotated[str, typer.Argument(help=f"What it is: {', '.join(_WORDS)}.")],
    offer: Annotated[str | None, typer.Argument(help='The offer\'s id, with "offer".')] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Correct the agent: what a message is, for which offer, where it belongs. The next poll does it.

    yes: it is an application. no: it is none. offer ID: it is for that offer. complete, incomplete, late: staff's
    word, which the agent never overrules. answer: send the reply that was withheld. Nobody gets a second reply.
    """
    from inbox_agent.corrections import Saying, check_request, request  # noqa: PLC0415 - slow to import

    if word not in _WORDS or (word == "offer") != (offer is not None):
        typer.echo(f'inbox-agent: say one of {", ".join(_WORDS)}; "offer" and only it wants an id', err=True)
        raise typer.Exit(EXIT_USAGE)
    with _store(config) as installation:
        check_request(installation, number, offer)
        asked = request(installation, number, Saying(word), offer, who=_who())
    if as_json:
        typer.echo(json.dumps({"request": asked, "number": number, "saying": word, "offer": offer}))
    else:
        typer.echo(
            f"Noted for number {number}. The running agent does it at its next poll; without one: inbox-agent once"
        )


@app.command()
def corrections(
    export: Annotated[
        Path | None, typer.Option(help="Write each corrected message with its label here, for inbox-agent evaluate.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What staff corrected, latest first. With --export the messages themselves: they hold personal data."""
    from inbox_agent.corrections_export import export_cases, listed, table  # noqa: PLC0415 - slow to import

    with _store(config) as installation:
        if export is None:
            rows = listed(installation)
            typer.echo(json.dumps(rows, ensure_ascii=False) if as_json else table(rows))
            return
        written, lost = export_cases(installation, export)
    if as_json:
        typer.echo(json.dumps({"written": written, "octets_gone": lost}))
    else:
        typer.echo(f"{written} labelled messages in {export}; of {lost} the octets are no longer kept.")


@app.command()
def purge(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what is due.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete the applications whose retention is over: files, register, store, and their mail in our folders.

    The running agent does it each night and announces it a week ahead in the digest.
    """
    from inbox_agent import purge as purging  # noqa: PLC0415 - slow to import
    from inbox_agent.erase import connections  # noqa: PLC0415 - the same

    if dry_run:
        with _store(config) as installation:
            rows = purging.due(installation)
        typer.echo(json.dumps(rows, ensure_ascii=False) if as_json else purging.table(rows))
        return
    with _installation(config) as installation:
        rows = purging.due(installation)
        if rows and not as_json:
            typer.echo(purging.table(rows))
        if rows:
            _confirm(f"Delete {len(rows)} applications for good?", yes=yes)
        with connections(installation) as connect:
            gone = purging.purge(installation, connect)
    if as_json:
        typer.echo(json.dumps(asdict(gone)))
    else:
        typer.echo(f"{gone.applications} applications deleted, {gone.removed_from_mailbox} messages in the mailbox.")


def _confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal; elsewhere --yes must be said."""
    if yes:
        return
    if not sys.stdin.isatty():
        typer.echo("inbox-agent: nothing was deleted; say --yes to do it without being asked", err=True)
        raise typer.Exit(EXIT_USAGE)
    if not typer.confirm(question):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def erase(
    address: Annotated[str, typer.Argument(help="The candidate's e-mail address.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase everything that is kept of a candidate (RGPD, article 17). It cannot be undone.

    Files, register, store and spool; in the mailbox the messages of the applications, our replies in Drafts and
    Sent, and our digests that name the person. An anonymous count is left. Stop the service first.
    """
    from inbox_agent import erase as erasing  # noqa: PLC0415 - slow to import

    with _installation(config) as installation:
        with installation.journal.snapshot() as connection:
            kept = erasing.kept_of(connection, address)
        if kept.empty:
            typer.echo(f"inbox-agent: nothing is kept of {address}", err=True)
            raise typer.Exit(EXIT_FAILED)
        counts = f"{len(kept.applications)} applications and {len(kept.messages)} messages"
        _confirm(f"Erase {counts} of {address} for good?", yes=yes)
        with erasing.connections(installation) as connect:
            gone = erasing.erase(installation, address, connect)
    if gone is None:
        return
    if as_json:
        typer.echo(json.dumps(asdict(gone)))
    else:
        typer.echo(
            f"Erased: {gone.applications} applications, {gone.messages} messages in the store, "
            f"{gone.removed_from_mailbox} mails in the mailbox. Other mail of that person in the mailbox, and backups, "
            "are yours to delete."
        )


@app.command()
def export(
    address: Annotated[str, typer.Argument(help="The candidate's e-mail address.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The ZIP to write.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Everything that is kept of a candidate in one ZIP, with a summary in French (RGPD, articles 15 and 20)."""
    from inbox_agent.export import export as write_export  # noqa: PLC0415 - slow to import

    with _store(config) as installation:
        target = output or Path(f"export-{installation.now():%Y-%m-%d-%H%M%S}.zip")
        if target.exists():
            typer.echo(f"inbox-agent: {target} exists already; choose another name", err=True)
            raise typer.Exit(EXIT_FAILED)
        count = write_export(installation, address, target)
    if count is None:
        typer.echo(f"inbox-agent: nothing is kept of {address}", err=True)
        raise typer.Exit(EXIT_FAILED)
    typer.echo(
        json.dumps({"file": str(target), "applications": count}) if as_json else f"{count} applications in {target}"
    )


@app.command()
def agree(
    number: Annotated[int, typer.Argument(help="The application's number.")],
    withdraw: Annotated[bool, typer.Option("--withdraw", help="The agreement no longer holds.")] = False,
    config: ConfigOption = None,
) -> None:
    """Record that a candidate agreed to be kept longer than the retention (retention.agreed_months)."""
    from inbox_agent.purge import agree as record  # noqa: PLC0415 - slow to import

    with _store(config) as installation:
        record(installation, number, agreed=not withdraw, who=_who())
    typer.echo(f"Application {number}: agreement {'withdrawn' if withdraw else 'recorded'}.")
