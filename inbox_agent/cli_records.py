"""The commands about what is kept: corrections, personal data, the tools of store and archive.

Like cli.py, which imports it, this module parses words and prints; imports stand in the commands.
"""

from __future__ import annotations

import getpass
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from inbox_agent.cli import ConfigOption, JsonOption, _alone, _config, _progress, _store, app, number
from inbox_agent.errors import EXIT_FAILED, EXIT_USAGE
from inbox_agent.table import many

_WORDS = ("yes", "no", "offer", "complete", "incomplete", "late", "answer")


def number_argument(said: str) -> Any:
    """An argument that is the number of a message or application."""
    return typer.Argument(parser=number, metavar="NUMBER", help=said)


def _who() -> str:
    try:
        return f"commande ({getpass.getuser()})"
    except (KeyError, OSError):  # A service account without a name.
        return "commande"


@app.command()
def correct(
    number: Annotated[int, number_argument("The number that digest and board show.")],
    word: Annotated[str, typer.Argument(help=f"What it is: {', '.join(_WORDS)}.")],
    offer: Annotated[str | None, typer.Argument(help='The offer\'s id, with "offer".')] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a message is, for which offer, where it belongs.

    The next poll does it.

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
    accept: Annotated[
        bool, typer.Option("--accept", help="After the agent stopped for it: people did take out so many messages.")
    ] = False,
    put_back: Annotated[
        bool, typer.Option("--put-back", help="After the same: messages that came back go to their folders again.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What staff corrected, latest first. With --export the messages themselves: they hold personal data."""
    from inbox_agent.corrections_export import export_cases, listed, table  # noqa: PLC0415 - slow to import

    with _store(config) as installation:
        if accept or put_back:
            from inbox_agent.watch import BELIEVED, PUT_BACK, say  # noqa: PLC0415 - slow to import

            typer.echo(say(installation, BELIEVED if accept else PUT_BACK))
            return
        if export is None:
            rows = listed(installation)
            typer.echo(json.dumps(rows, ensure_ascii=False) if as_json else table(rows, installation.zone))
            return
        written, lost = export_cases(installation, export)
    if as_json:
        typer.echo(json.dumps({"written": written, "octets_gone": lost}))
    else:
        typer.echo(f"{many(written, 'labelled message')} in {export}; of {lost} the octets are no longer kept.")


@app.command()
def purge(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what is due.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete what is kept no longer: files, store and mail.

    Applications and unresolved doubts whose retention is over, with their mail in our folders.

    The running agent does it each night and announces it a week ahead in the digest.
    """
    from inbox_agent import purge as purging  # noqa: PLC0415 - slow to import
    from inbox_agent.erase import connections  # noqa: PLC0415 - the same

    if dry_run:
        with _store(config) as installation:
            rows = purging.due(installation)
        typer.echo(json.dumps(rows, ensure_ascii=False) if as_json else purging.table(rows))
        return
    with _alone(config) as installation:
        rows = purging.due(installation)
        if rows and not as_json:
            typer.echo(purging.table(rows))
        if rows:
            _confirm(f"Delete these {len(rows)} for good?", yes=yes)
        with connections(installation) as connect:
            gone = purging.purge(installation, connect)
    if as_json:
        typer.echo(json.dumps(asdict(gone)))
    else:
        typer.echo(
            f"{many(gone.applications, 'application')} deleted, "
            f"{many(gone.removed_from_mailbox, 'message')} in the mailbox."
        )


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
    """Erase everything that is kept of a candidate.

    RGPD, article 17. It cannot be undone.

    Files, register, store and spool; in the mailbox the messages of the applications, our replies in Drafts and
    Sent, and our digests that name the person. An anonymous count is left. Stop the service first.
    """
    from inbox_agent import erase as erasing  # noqa: PLC0415 - slow to import

    with _alone(config) as installation:
        with installation.journal.snapshot() as connection:
            kept = erasing.kept_of(connection, address)
        if kept.empty:
            typer.echo(f"inbox-agent: nothing is kept of {address}", err=True)
            raise typer.Exit(EXIT_FAILED)
        counts = f"{many(len(kept.applications), 'application')} and {many(len(kept.messages), 'message')}"
        _confirm(f"Erase {counts} of {address} for good?", yes=yes)
        with erasing.connections(installation) as connect:
            gone = erasing.erase(installation, address, connect)
    if gone is None:
        return
    if as_json:
        typer.echo(json.dumps(asdict(gone)))
    else:
        typer.echo(
            f"Erased: {many(gone.applications, 'application')}, {many(gone.messages, 'message')} in the store, "
            f"{many(gone.removed_from_mailbox, 'mail')} in the mailbox. Other mail of that person in the mailbox, "
            "and backups, are yours to delete."
        )


@app.command()
def export(
    address: Annotated[str, typer.Argument(help="The candidate's e-mail address.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The ZIP to write.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Everything that is kept of a candidate, in one ZIP.

    With a summary in French (RGPD, articles 15 and 20).
    """
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
        json.dumps({"file": str(target), "applications": count})
        if as_json
        else f"{many(count, 'application')} in {target}"
    )


@app.command()
def agree(
    number: Annotated[int, number_argument("The application's number.")],
    withdraw: Annotated[bool, typer.Option("--withdraw", help="The agreement no longer holds.")] = False,
    config: ConfigOption = None,
) -> None:
    """Record that a candidate agreed to be kept longer.

    For retention.agreed_months, instead of retention.months.
    """
    from inbox_agent.purge import agree as record  # noqa: PLC0415 - slow to import

    with _store(config) as installation:
        record(installation, number, agreed=not withdraw, who=_who())
    typer.echo(f"Application {number}: agreement {'withdrawn' if withdraw else 'recorded'}.")


@app.command()
def offers(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """What is open, until when, and what becomes of mail now."""
    from inbox_agent.offers import load_offers  # noqa: PLC0415 - slow to import
    from inbox_agent.open_offers import described, table  # noqa: PLC0415 - the same

    settings = _config(config)
    rows = described(load_offers(settings.rules_folder), settings.replies.mode)
    typer.echo(json.dumps(rows, ensure_ascii=False) if as_json else table(rows))


@app.command()
def replay(
    apply: Annotated[bool, typer.Option("--apply", help="File anew what changed. Nobody gets a reply.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What today's rules would decide differently.

    About the applications in the archive; nothing is sent. What staff placed stands and is left out. With --apply the
    next poll moves mail and files; the service must not run meanwhile. An application that would be none today is only
    told.
    """
    from inbox_agent import replay as replaying  # noqa: PLC0415 - slow to import

    applied = 0
    with _alone(config) if apply else _store(config) as installation:
        with _progress("applications") as progress:
            found = replaying.replay(installation, progress)
        if apply:
            applied = replaying.apply(installation, found)
    if as_json:
        told = {"differences": [item.to_json() for item in found], "applied": applied}
        typer.echo(json.dumps(told, ensure_ascii=False))
    else:
        typer.echo(replaying.table(found))
        if apply:
            typer.echo(f"{many(applied, 'application')} filed anew; the next poll moves their mail and files.")


@app.command()
def backfill(
    since: Annotated[str, typer.Option(help="The first day to take in, as 2024-01-15.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take old mail into scope, and answer nobody.

    It is judged and filed like new mail. Stop the service first.
    """
    from datetime import date  # noqa: PLC0415 - only here

    from inbox_agent.backfill import take_in  # noqa: PLC0415 - slow to import
    from inbox_agent.daemon import Daemon  # noqa: PLC0415 - the same
    from inbox_agent.installation import connect_mailbox  # noqa: PLC0415 - the same

    try:
        day = date.fromisoformat(since)
    except ValueError:
        typer.echo(f'inbox-agent: "{since}" is no day; write it as 2024-01-15', err=True)
        raise typer.Exit(EXIT_USAGE) from None
    taken = decided = 0
    with _alone(config) as installation:
        daemon = Daemon(installation)
        daemon.prepare()
        try:
            with _progress("messages") as progress:
                for line in daemon.lines.values():
                    line.account = connect_mailbox(installation.section(line.name))
                    taken += take_in(installation, line.account, line.name, day, progress)
                    decided += daemon.pass_over(line, progress)
        finally:
            daemon.close()
    if as_json:
        typer.echo(json.dumps({"taken": taken, "decided": decided}))
    else:
        typer.echo(
            f"{many(taken, 'old message')} taken in, {many(decided, 'message')} decided. "
            "None of the old ones was answered."
        )


@app.command()
def fsck(
    repair: Annotated[bool, typer.Option("--repair", help="Write candidature.json, registers and board anew.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify every filed file, and the store against the archive.

    Each against its hash. Exit status 1 if one is wrong.
    """
    from inbox_agent.fsck import fsck as verify  # noqa: PLC0415 - slow to import
    from inbox_agent.publish import publish  # noqa: PLC0415 - the same

    with _alone(config) if repair else _store(config) as installation:
        if repair:
            publish(installation, everything=True)
        with _progress("applications") as progress:
            flaws = verify(installation, progress)
    if as_json:
        typer.echo(json.dumps([flaw.to_json() for flaw in flaws], ensure_ascii=False))
    else:
        typer.echo("\n".join(map(str, flaws)) or "Everything that was filed is there, byte for byte.")
    raise typer.Exit(EXIT_FAILED if flaws else 0)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The tar.gz to write; it must not exist.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the agent's state into one file while it runs.

    That is the store and the messages in hand.

    To restore: stop the service, unpack the file into the state folder, start it. The archive is a folder of
    files that your usual backup copies; fsck compares the two.
    """
    from inbox_agent.backup import back_up  # noqa: PLC0415 - slow to import

    with _store(config) as installation, _progress("pages") as progress:
        size = back_up(installation, file, progress)
    typer.echo(json.dumps({"file": str(file), "octets": size}) if as_json else f"{file}, {size} octets")


@app.command()
def rebuild(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Make the store anew from the archive, after it was lost.

    The present store must be empty or away.
    """
    from inbox_agent.rebuild import rebuild as rebuild_store  # noqa: PLC0415 - slow to import

    with _alone(config) as installation, _progress("applications") as progress:
        count, wrong = rebuild_store(installation, progress)
    if as_json:
        typer.echo(json.dumps({"applications": count, "not_understood": list(wrong)}, ensure_ascii=False))
    else:
        typer.echo(f"{many(count, 'application')}. " + "".join(f"\nnot understood: {path}" for path in wrong))
    raise typer.Exit(EXIT_FAILED if wrong else 0)
