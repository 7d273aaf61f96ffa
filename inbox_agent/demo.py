"""`inbox-agent demo`: a dozen sample messages through the real daemon, over real IMAP and SMTP on loopback.

The clock stands at the evening of 16 February 2024, when the last of them has come. Everything is left in a
folder that is named at the end.
"""

from __future__ import annotations

import email
import email.policy
import re
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from inbox_agent.adapters.servers import DemoServers, demo_servers
from inbox_agent.config import load_config
from inbox_agent.daemon import Daemon
from inbox_agent.decision import ActKind, ActState
from inbox_agent.errors import AgentError
from inbox_agent.installation import locked, opened
from inbox_agent.report import preview, send_due_digest
from inbox_agent.schema import acts, messages
from inbox_agent.shipped import shipped
from inbox_agent.table import table_of

if TYPE_CHECKING:
    from inbox_agent.installation import Installation

DIRECTRICE = "marienoelle.pinson@villesaucarre.org"
SECRETARY = "helene.dugue@villesaucarre.org"
_EVENING = datetime(2024, 2, 16, 18, 0, 30, tzinfo=ZoneInfo("Europe/Paris"))
_PASSWORD = "demo"  # noqa: S105 - of a server that lives for a second, on loopback
_CONFIG = """\
# Written by "inbox-agent demo": the same file as a real installation has.
state = "state"
rules = "rules"
timezone = "Europe/Paris"
first_run = "all"

[organisation]
name = "Villes au Carré"
address = "{directrice}"
address_name = "Marie-Noëlle Pinson"
signature = ["Marie-Noëlle Pinson", "Directrice de Villes au Carré"]
recipients = "à la directrice et à la secrétaire générale"

[[mailboxes]]
name = "direction"
[mailboxes.imap]
host = "127.0.0.1"
port = {imap}
tls = "none"
user = "{directrice}"
password = {{ file = "password" }}

[smtp]
host = "127.0.0.1"
port = {smtp}
tls = "none"

[replies]
mode = "send"
answer_since = 2024-02-01

[archive]
root = "archive"

[digest]
to = ["{directrice}", "{secretary}"]
at = "18:00"
"""


@dataclass(frozen=True, slots=True)
class Held:
    """A clock that starts at a given moment."""

    start: datetime
    began: float

    def now(self) -> datetime:
        """The demo's present, UTC."""
        return (self.start + timedelta(seconds=time.monotonic() - self.began)).astimezone(UTC)

    def monotonic(self) -> float:
        """As ports.Clock has it."""
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo did. `decided` are rows for the table; `sent` the replies as (recipient, subject, text)."""

    folder: Path
    decided: tuple[tuple[str, ...], ...]
    tree: str
    sent: tuple[tuple[str, str, str], ...]
    numbers: dict[str, int]
    digest: Path
    seconds: float

    def summary(self) -> dict[str, Any]:
        """The JSON of `demo --json`."""
        return {**self.numbers, "digest": str(self.digest), "archive": str(self.folder / "archive")}


def run_demo(keep: Path | None) -> Demo:
    """Start the servers, deliver, run one pass, look at what came of it."""
    began = time.monotonic()
    folder = _folder(keep)
    clock = Held(_EVENING, began)
    with demo_servers({DIRECTRICE: _PASSWORD, SECRETARY: _PASSWORD}) as servers:
        subjects = _deliver(servers)
        config = load_config(_write_config(folder, servers))
        with locked(config.state), opened(config, clock) as installation:
            daemon = Daemon(installation)
            daemon.prepare()
            try:
                daemon.pass_over(daemon.lines["direction"])
                send_due_digest(installation)
                daemon.pass_over(daemon.lines["direction"])
            finally:
                daemon.close()
            digest = folder / "digest.html"
            preview(installation, clock.now().date(), digest)
            return Demo(
                folder=folder,
                decided=_decided(installation, subjects),
                tree=tree(folder / "archive"),
                sent=tuple(_reply(item.octets) for item in servers.received if _is_reply(item.octets)),
                numbers=_numbers(installation),
                digest=digest,
                seconds=time.monotonic() - began,
            )


def demo_in_words(demo: Demo) -> str:
    """What a stranger reads."""
    numbers = demo.numbers
    sections = [
        table_of(("message", "kind", "timing", "status", "reply"), demo.decided, title="What was decided"),
        f"Filed under {demo.folder / 'archive'}\n{demo.tree}",
        "Replies sent\n" + "\n".join(f"  {to}: {subject}" for to, subject, _ in demo.sent),
    ]
    if demo.sent:
        sections.append("The first of them\n" + "\n".join(f"  | {line}" for line in demo.sent[0][2].splitlines()))
    sections.append(
        f"{numbers['messages']} messages, {numbers['applications']} applications, {numbers['replies']} replies sent, "
        f"{numbers['drafts']} waiting as a draft, {numbers['doubts']} in doubt, in {demo.seconds:.1f} s.\n"
        f"The staff's board:  {demo.folder / 'archive' / 'index.html'}\n"
        f"The day's digest:   {demo.digest}"
    )
    return "\n\n".join(sections)


def _folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="inbox-agent-demo-"))
    keep.mkdir(parents=True, exist_ok=True)
    if any(keep.iterdir()):
        raise AgentError(f"{keep} is not empty. Name another folder, or remove what is in it.")
    return keep.resolve()


def _deliver(servers: DemoServers) -> dict[int, str]:
    """Put the samples into the mailbox, dated as they arrived; their names by UID."""
    names = {}
    for path in sorted((Path(__file__).parent / "demo_messages").glob("*.eml")):
        octets = path.read_bytes()
        received = email.message_from_bytes(octets)["Received"]
        arrived = parsedate_to_datetime(str(received).rpartition(";")[2].strip())
        names[servers.deliver(DIRECTRICE, octets, arrived)] = path.stem
    return names


def _write_config(folder: Path, servers: DemoServers) -> Path:
    (folder / "archive").mkdir(exist_ok=True)
    offers = folder / "rules" / "offers"
    offers.mkdir(parents=True, exist_ok=True)
    shipped_offer = (shipped("rules") / "offers" / "charge-de-mission-2024.toml").read_text(encoding="utf-8")
    late_as_draft = '\n[replies]\nlate = "draft"        # somebody reads these before they leave\n'
    (offers / "charge-de-mission-2024.toml").write_text(shipped_offer + late_as_draft, encoding="utf-8")
    password = folder / "password"
    password.touch(mode=0o600)
    password.write_text(_PASSWORD, encoding="ascii")
    path = folder / "config.toml"
    path.write_text(
        _CONFIG.format(directrice=DIRECTRICE, secretary=SECRETARY, imap=servers.imap_port, smtp=servers.smtp_port),
        encoding="utf-8",
    )
    return path


def _decided(installation: Installation, names: dict[int, str]) -> tuple[tuple[str, ...], ...]:
    with installation.journal.snapshot() as connection:
        rows = connection.execute(sa.select(messages).order_by(messages.c.id)).all()
        replies = {
            row.message_id: f"{row.payload['template']} ({'draft' if row.kind == ActKind.DRAFT else 'sent'})"
            for row in connection.execute(sa.select(acts).where(acts.c.octets.is_not(None)))
        }
    return tuple(
        (
            names[row.uid],
            row.kind or row.state,
            (row.decision or {}).get("timing") or "",
            (row.decision or {}).get("status") or "",
            replies.get(row.id) or f"none: {row.no_reply_reason}",
        )
        for row in rows
    )


def _numbers(installation: Installation) -> dict[str, int]:
    ledger = installation.journal.ledger()
    with installation.journal.snapshot() as connection:
        made = sa.select(acts.c.kind, sa.func.count()).where(
            acts.c.application_id.is_not(None), acts.c.octets.is_not(None), acts.c.state == ActState.DONE
        )
        replies = {str(kind): count for kind, count in connection.execute(made.group_by(acts.c.kind))}
        founded = sa.select(sa.func.count()).where(messages.c.id == messages.c.application_id)
        applications = connection.scalar(founded) or 0
    return {
        "messages": ledger.messages,
        "applications": applications,
        "replies": replies.get(ActKind.SEND, 0),
        "drafts": replies.get(ActKind.DRAFT, 0),
        "doubts": ledger.doubt,
    }


def _is_reply(octets: bytes) -> bool:
    return b"\nX-Inbox-Agent-Ref:" in octets


def _reply(octets: bytes) -> tuple[str, str, str]:
    message = email.message_from_bytes(octets, policy=email.policy.default)
    body = message.get_body(("plain",))
    text = body.get_content() if body else ""
    return str(message["To"]), str(message["Subject"]), re.sub(r" \n", "\n", text).strip()


def tree(root: Path, indent: str = "  ") -> str:
    """Folders and files beneath `root`, as people draw them."""
    lines = []
    for path in sorted(root.iterdir(), key=lambda item: (item.is_file(), item.name)):
        lines.append(f"{indent}{path.name}{'/' if path.is_dir() else ''}")
        if path.is_dir():
            lines.append(tree(path, indent + "  "))
    return "\n".join(lines)
