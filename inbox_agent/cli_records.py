"""The commands about what is kept: corrections, personal data, the tools of store and archive.

Like cli.py, which imports it, this module parses words and prints; imports stand in the commands.
"""

from __future__ import annotations

import getpass
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from inbox_agent.cli import ConfigOption, JsonOption, _installation, _progress, _store, app
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


_ = (_installation, _progress, sys, EXIT_FAILED)
