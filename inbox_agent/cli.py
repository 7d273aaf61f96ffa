"""The commands (design section 9). Each does its work elsewhere: this module parses words and prints.

Imports stand in the commands, so that `explain` does not pay for the store and `--help` pays for nothing.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inbox_agent.errors import EXIT_FAILED, EXIT_USAGE, AgentError
from inbox_agent.table import many

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from inbox_agent.config import Config
    from inbox_agent.installation import Installation


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - only here

        typer.echo(f"inbox-agent {version('inbox-agent')}")
        raise typer.Exit


app = typer.Typer(
    name="inbox-agent",
    help="Reads a mailbox, recognises job applications, files them, acknowledges them in good French, "
    "and reports once a day.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Plain help: rich's shows "<bool>" beside a switch, and breaks lines where the code does.
)


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Reads a mailbox, recognises job applications, files and acknowledges them, and reports once a day."""
    del version  # Its callback has printed it.


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="The configuration; else $INBOX_AGENT_CONFIG, ./config.toml, /etc/inbox-agent."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Log each step, not trouble alone.")]
_LARGEST_NUMBER = 2**31 - 1  # of the store


def number(text: str) -> int:
    """A number of the store, as a word of the command line."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= _LARGEST_NUMBER):
        raise typer.BadParameter(f'"{text}" is no number; write digits alone, as the lists show them.')
    return int(text)


def number_option(said: str) -> Any:
    """An option that takes the number of one thing."""
    return typer.Option(parser=number, metavar="N", help=said)


def main() -> None:
    """The entry point: an AgentError is one sentence and its exit status, Ctrl-C is 130."""
    os.umask(0o077)  # What the agent writes is for its user alone; the archive sets its own modes.
    try:
        app()
    except AgentError as error:
        sys.stderr.write(f"inbox-agent: {error}\n")
        raise SystemExit(error.exit_status) from None
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise SystemExit(0) from None
    except OSError as error:
        sys.stderr.write(f"inbox-agent: the system refuses: {error}\n")
        raise SystemExit(EXIT_FAILED) from None


def _console() -> Console:
    from rich.console import Console  # noqa: PLC0415 - slow to import

    return Console(highlight=False, soft_wrap=True)


def _config(path: Path | None) -> Config:
    from inbox_agent.config import config_path, load_config  # noqa: PLC0415 - slow to import

    return load_config(config_path(path))


@contextmanager
def _installation(path: Path | None, *, lock: bool = True) -> Iterator[Installation]:
    from inbox_agent.installation import locked, opened  # noqa: PLC0415 - slow to import

    config = _config(path)
    if not lock:
        with opened(config) as installation:
            yield installation
        return
    with locked(config.state), opened(config) as installation:
        yield installation


@contextmanager
def _alone(path: Path | None) -> Iterator[Installation]:
    """The installation with no agent at work on it, here or on another host."""
    from inbox_agent.holding import demand, everything  # noqa: PLC0415 - slow to import

    with _installation(path) as installation:
        demand(installation.holding, everything(installation))
        yield installation


@app.command()
def demo(
    keep: Annotated[Path | None, typer.Option(help="Leave archive, digest and store in this folder.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Sample messages through the real agent, on its own servers.

    They listen on loopback and end with the command. Nothing of this machine is read or written.
    """
    from inbox_agent.demo import demo_in_words, run_demo  # noqa: PLC0415 - the servers are an extra

    result = run_demo(keep)
    typer.echo(json.dumps(result.summary(), ensure_ascii=False) if as_json else demo_in_words(result))


@app.command()
def run(config: ConfigOption = None, verbose: VerboseOption = False) -> None:
    """Serve: poll, answer, report once a day, until SIGTERM."""
    from inbox_agent.daemon import Daemon  # noqa: PLC0415 - slow to import
    from inbox_agent.heap import keep_loaded, keep_small  # noqa: PLC0415 - the same
    from inbox_agent.logs import start_logging  # noqa: PLC0415 - the same

    keep_small()
    keep_loaded()
    start_logging(verbose=verbose)
    with _installation(config) as installation:
        Daemon(installation).run()


@app.command()
def once(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
    trust_clock: Annotated[bool, typer.Option("--trust-clock", help="The clock was wrong and is right now.")] = False,
) -> None:
    """One pass over every mailbox, then end."""
    from inbox_agent.daemon import Daemon  # noqa: PLC0415 - slow to import
    from inbox_agent.heap import keep_loaded, keep_small  # noqa: PLC0415 - the same
    from inbox_agent.logs import start_logging  # noqa: PLC0415 - the same

    keep_small()
    keep_loaded()
    if verbose:
        start_logging(verbose=True)
    with _installation(config) as installation:
        if trust_clock:
            installation.journal.note_fact("last_run", installation.clock.now().isoformat())
        daemon = Daemon(installation)
        daemon.prepare()
        try:
            with _progress("messages") as progress:
                decided, failures = daemon.pass_over_all(progress)
        finally:
            daemon.close()
        ledger = installation.journal.ledger()
    if as_json:
        from dataclasses import asdict  # noqa: PLC0415 - only here

        troubles = {name: str(error) for name, error in failures.items()}
        found = {"decided": decided, **asdict(ledger), "balances": ledger.balances, "troubles": troubles}
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        typer.echo(f"{decided} decided. {_ledger_words(ledger)}")
    for name, error in failures.items():
        typer.echo(f"inbox-agent: mailbox {name}: {error}", err=True)
    raise typer.Exit(max((error.exit_status for error in failures.values()), default=0))


def _ledger_words(ledger: Any) -> str:
    parts = ("filed", "left", "doubt", "quarantined", "pending")
    counts = ", ".join(f"{getattr(ledger, part)} {part}" for part in parts)
    return f"{many(ledger.messages, 'message')} in scope: {counts}."


@contextmanager
def _progress(what: str) -> Iterator[Any]:
    """A bar on a terminal, nothing elsewhere; gives a function of (done, total)."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - the same

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


@app.command()
def explain(
    files: Annotated[
        list[str], typer.Argument(help="Messages: .eml, .mbox, a folder of them, or - for standard input.")
    ],
    rules: Annotated[
        Path | None, typer.Option(help="A rules folder; what it lacks comes from the rules that ship.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Take rules and reply modes from it.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what would be decided about messages in files, and why. Connects nowhere, changes nothing."""
    from inbox_agent.explain import explained_files, in_words  # noqa: PLC0415 - slow to import

    try:
        for explained in explained_files(files, rules, config):
            typer.echo(explained.as_json() if as_json else in_words(explained))
    except FileNotFoundError as error:
        typer.echo(f"inbox-agent: there is no file {error}", err=True)
        raise typer.Exit(EXIT_USAGE) from None
    except ValueError as error:
        typer.echo(f"inbox-agent: {error}", err=True)
        raise typer.Exit(EXIT_USAGE) from None


@app.command()
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Look for all that can be wrong, before it is.

    Configuration, rules, templates, secrets, login, folders, SMTP, clock, disk, archive and store. Sends nothing,
    moves nothing.
    """
    from inbox_agent.check import check_all  # noqa: PLC0415 - slow to import

    findings = list(check_all(config))
    if as_json:
        typer.echo(json.dumps([finding.to_json() for finding in findings], ensure_ascii=False))
    else:
        console = _console()
        for finding in findings:
            console.print(finding.line(), markup=False, style=None if finding.well else "bold red")
    worst = max((finding.exit_status for finding in findings), default=0)
    raise typer.Exit(worst)


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="Where to write the configuration.")] = Path("config.toml"),
) -> None:
    """Write a configuration by asking. Nothing is overwritten, no password is written into it."""
    from inbox_agent.init import interview  # noqa: PLC0415 - only here

    interview(path)


@app.command()
def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """What is wrong and what to do, then the numbers."""
    from inbox_agent.status import before_the_store, read_status  # noqa: PLC0415 - slow to import

    settings = _config(config)
    if lacking := _lacking_store(settings):
        found = before_the_store(lacking)
    else:
        with _store(config) as installation:
            found = read_status(installation)
    typer.echo(json.dumps(found.to_json(), ensure_ascii=False) if as_json else found.in_words(settings.timezone))
    raise typer.Exit(0 if found.well else 1)


def _lacking_store(config: Config) -> str | None:
    """What to say where there is no store yet; a remote one is asked when it is opened."""
    place = config.store_url.removeprefix("sqlite:///")
    if place == config.store_url or Path(place).exists():
        return None
    return f"there is no store at {place} yet. Start the service, or run: inbox-agent once"


@contextmanager
def _store(path: Path | None) -> Iterator[Installation]:
    """The installation for looking: a running agent is not disturbed, and where there is no store none is made."""
    if lacking := _lacking_store(_config(path)):
        raise AgentError(lacking)
    with _installation(path, lock=False) as installation:
        yield installation


@app.command()
def digest(
    config: ConfigOption = None,
    date: Annotated[str | None, typer.Option(help="The day, as 2024-02-13; today if not given.")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Open it in the browser.")] = False,
    output: Annotated[Path | None, typer.Option(help="Write the HTML here.")] = None,
) -> None:
    """Write the digest of a day as HTML. Nothing is sent: the running agent does that at its hour."""
    import webbrowser  # noqa: PLC0415 - only here
    from datetime import date as day_of  # noqa: PLC0415 - the option has its name

    from inbox_agent.report import preview as write_preview  # noqa: PLC0415 - slow to import

    with _store(config) as installation:
        try:
            day = day_of.fromisoformat(date) if date else installation.now().date()
        except ValueError:
            typer.echo(f'inbox-agent: "{date}" is no day; write it as 2024-02-13', err=True)
            raise typer.Exit(EXIT_USAGE) from None
        path = output or installation.config.state / "digests" / f"{day}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_preview(installation, day, path)
    typer.echo(str(path))
    if preview and not webbrowser.open(path.resolve().as_uri()):
        typer.echo("inbox-agent: no browser was found here: open this file where there is one.", err=True)


@app.command()
def outbox(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    show: Annotated[int | None, number_option("Print one mail whole.")] = None,
    sent: Annotated[int | None, number_option("Say that an uncertain one was sent.")] = None,
    resend: Annotated[int | None, number_option("Send an uncertain or refused one again.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Answer again after the agent stopped, having had too much to say.")
    ] = False,
    answer: Annotated[bool, typer.Option("--answer", help="With --resume: answer those who wrote meanwhile.")] = False,
) -> None:
    """Replies and reports: sent, waiting, uncertain.

    --sent and --resend are for a service that is stopped.
    """
    from inbox_agent import outbox as box  # noqa: PLC0415 - slow to import

    if answer and not resume:
        typer.echo("inbox-agent: --answer goes with --resume", err=True)
        raise typer.Exit(EXIT_USAGE)
    acting = sent is not None or resend is not None
    with _installation(config) if acting else _store(config) as installation:
        match show, sent, resend:
            case _ if resume:
                typer.echo(box.resume(installation, answer=answer))
            case int(number), _, _:
                typer.echo(box.show(installation, number))
            case _, int(number), _:
                typer.echo(box.say_sent(installation, number))
            case _, _, int(number):
                typer.echo(box.send_again(installation, number))
            case _:
                rows = box.listed(installation)
                typer.echo(json.dumps(rows) if as_json else box.table(rows, installation.zone))


@app.command()
def quarantine(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    retry: Annotated[int | None, number_option("Read one again.")] = None,
    release: Annotated[int | None, number_option("A person has seen to it: let it go.")] = None,
    show: Annotated[int | None, number_option("The file with the octets of one.")] = None,
) -> None:
    """Messages that could not be read: list, show, retry, release.

    Each was tried three times. --retry and --release are for a service that is stopped.
    """
    from inbox_agent import quarantine as ward  # noqa: PLC0415 - slow to import

    acting = retry is not None or release is not None
    with _installation(config) if acting else _store(config) as installation:
        match show, retry, release:
            case int(number), _, _:
                typer.echo(str(ward.octets_of(installation, number)))
            case _, int(number), _:
                typer.echo(ward.retry(installation, number))
            case _, _, int(number):
                typer.echo(ward.release(installation, number))
            case _:
                rows = ward.listed(installation)
                typer.echo(json.dumps(rows) if as_json else ward.table(rows, installation.zone))


@app.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(help="Messages (.eml), each with its expected values beside it (.json).")],
    rules: Annotated[
        Path | None, typer.Option(help="A rules folder; what it lacks comes from the rules that ship.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """How often the rules are right on messages you have labelled.

    With a confusion matrix and every miss.
    """
    from inbox_agent.evaluate import MEASURES, report  # noqa: PLC0415 - slow to import
    from inbox_agent.evaluate import evaluate as measure  # noqa: PLC0415 - the command has its name
    from inbox_agent.explain import explainer  # noqa: PLC0415 - slow to import

    if not folder.is_dir():
        typer.echo(f"inbox-agent: there is no folder {folder}", err=True)
        raise typer.Exit(EXIT_USAGE)
    beside = folder / "rules"
    with explainer(rules or (beside if beside.is_dir() else None)) as explain_file:
        found = measure(folder, explain_file)
    if not found.cases:
        typer.echo(f"inbox-agent: {folder} holds no message with its expected values (X.eml beside X.json)", err=True)
        raise typer.Exit(EXIT_USAGE)
    if as_json:
        shares = {name: found.share(name) for name in MEASURES}
        typer.echo(json.dumps({"cases": len(found.cases), "shares": shares, "lost": found.lost}))
    else:
        typer.echo(report(found))


templates_app = typer.Typer(help="The words of replies and digest: list, preview, check.")
app.add_typer(templates_app, name="templates", no_args_is_help=True)
TemplatesOption = Annotated[
    Path | None, typer.Option("--templates", help="A folder; what it lacks comes from those that ship.")
]


@templates_app.command("list")
def templates_list(folder: TemplatesOption = None) -> None:
    """Every template: yours, or the one that ships."""
    from inbox_agent.shipped import shipped  # noqa: PLC0415 - cheap, and only here

    for path in sorted(shipped("templates").rglob("*.j2")):
        name = path.relative_to(shipped("templates"))
        own = folder is not None and (folder / name).exists()
        typer.echo(f"{'yours  ' if own else 'shipped'}  {name}")


@templates_app.command("preview")
def templates_preview(
    language: Annotated[str, typer.Option(help="fr or en.")] = "fr", folder: TemplatesOption = None
) -> None:
    """Every reply with sample data, as the candidate reads it."""
    from inbox_agent.reply import LANGUAGES, render_text  # noqa: PLC0415 - slow to import
    from inbox_agent.samples import reply_samples  # noqa: PLC0415 - the same
    from inbox_agent.templates import load_templates  # noqa: PLC0415 - the same

    if language not in LANGUAGES:
        typer.echo(
            f'inbox-agent: "{language}" is no language of the replies; there are {", ".join(LANGUAGES)}', err=True
        )
        raise typer.Exit(EXIT_USAGE)
    templates = load_templates(folder)
    for name, template, view in reply_samples(language):
        typer.echo(f"─── {name}\n{render_text(template, view, templates)}\n")


@templates_app.command("check")
def templates_check(folder: TemplatesOption = None) -> None:
    """Render all with sample data; tell faults with file and line."""
    from inbox_agent.errors import ConfigError  # noqa: PLC0415 - only here
    from inbox_agent.samples import check_templates  # noqa: PLC0415 - slow to import

    faults = check_templates(folder)
    if faults:
        raise ConfigError(faults)
    typer.echo("All templates render.")


@app.command("sign-in")
def sign_in(
    config: ConfigOption = None,
    mailbox: Annotated[str | None, typer.Option(help="The mailbox, where there are several.")] = None,
    smtp: Annotated[bool, typer.Option("--smtp", help="For the smtp section instead of a mailbox.")] = False,
) -> None:
    """Sign in at Microsoft 365 or Google (OAuth).

    The refresh token is kept, for a mailbox or for sending.
    """
    from inbox_agent.adapters.oauth import sign_in as sign_in_there  # noqa: PLC0415 - only here
    from inbox_agent.installation import oauth_settings  # noqa: PLC0415 - slow to import

    settings = _config(config)
    servers = [settings.smtp] if smtp else [item.imap for item in settings.mailboxes if mailbox in (None, item.name)]
    found = next((server.oauth for server in servers if server is not None and server.oauth is not None), None)
    if found is None:
        typer.echo("inbox-agent: there is no oauth section for that server; see config.example.toml", err=True)
        raise typer.Exit(EXIT_USAGE)
    sign_in_there(oauth_settings(found), show=typer.echo, ask=typer.prompt)
    typer.echo(f"Signed in: the token is kept in {found.token_file}")


@app.command()
def metrics(
    config: ConfigOption = None,
    output: Annotated[
        Path | None, typer.Option(help="Replace this file, for node_exporter's textfile collector.")
    ] = None,
) -> None:
    """The numbers of the agent in Prometheus's text format."""
    from inbox_agent.metrics import exposition, write_textfile  # noqa: PLC0415 - only here

    with _store(config) as installation:
        text = exposition(installation.journal)
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_textfile(output, text)


@app.command()
def worker(config: ConfigOption = None, verbose: VerboseOption = False) -> None:
    """Read messages for other hosts, from the queue on PostgreSQL.

    Until SIGTERM. It decides and does nothing.
    """
    from inbox_agent.config import config_path, load_config  # noqa: PLC0415 - slow to import
    from inbox_agent.logs import start_logging  # noqa: PLC0415 - the same
    from inbox_agent.worker import serve  # noqa: PLC0415 - the same

    start_logging(verbose=verbose)
    file = config_path(config)
    serve(load_config(file), file)


# Adds its commands to `app`.
import inbox_agent.cli_records  # noqa: E402, F401
