"""What a message costs when the store holds no, 10,000 and 50,000 applications, and the folder they were moved to too.

`python bench/growth.py [--sizes 0,10000,50000] [--messages 50]`. Fifty applications go the whole way; their rows are
multiplied, with other names, addresses and numbers, and so is their mail in the folder. Then so many messages more
are delivered and one poll is measured: processor time of the main process, statements of SQL, wall time and that of
moving. Beside it: a look at what staff moved, and a rebuild of board and register, which rest in proportion.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inbox_agent.adapters.imap import ImapMailbox
from inbox_agent.config import load_config
from inbox_agent.daemon import Daemon
from inbox_agent.installation import locked, opened
from inbox_agent.publish import publish
from sqlalchemy import event

from agent import Sink, install
from mailboxes import PASSWORD, Server, small, start_server
from measure import machine, rss

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SEED, _WARM = 50, 20
_FLAT = 1.25  # times what a message costs in an empty store


@dataclass
class Cost:
    """Seconds of wall and of the main process's processor time, and statements of SQL."""

    wall: float = 0.0
    main: float = 0.0
    statements: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="0,10000,50000")
    parser.add_argument("--messages", type=int, default=50)
    options = parser.parse_args()
    print(machine())
    columns = (
        "applications",
        "CPU ms a message, main",
        "statements",
        "wall ms",
        "of which moving",
        "a look, ms",
        "a rebuild, s",
    )
    print(f"| {' | '.join(columns)} | RSS MB after poll, look, rebuild |\n|---|---|---|---|---|---|---|---|")
    server = start_server()
    try:
        costs = [one_size(server, size, options.messages) for size in map(int, options.sizes.split(","))]
    finally:
        server.close()
    grown = max(costs) / costs[0]
    print(f"the most expensive is {grown:.2f} times the first (at most {_FLAT})")
    raise SystemExit(grown > _FLAT)


def one_size(server: Server, size: int, number: int) -> float:
    """Seconds of the main process's processor time for a message."""
    folder = Path(tempfile.mkdtemp(prefix="inbox-agent-bench-"))
    user = server.mailbox([])
    messages = small(_SEED + _WARM + number)
    os.chdir(folder)
    try:
        with Sink(folder) as sink:
            install(folder, imap=server.dovecot.imap, user=user, password=PASSWORD, smtp=sink.port)
            config = load_config(folder / "config.toml")
            with locked(config.state), opened(config) as installation, serving(Daemon(installation)) as daemon:
                daemon.poll("direction")
                server.deliver(user, messages[:_SEED])
                daemon.poll("direction")
            if size:
                multiply(folder, server, user, size // _SEED)
            with locked(config.state), opened(config) as installation, serving(Daemon(installation)) as daemon:
                return measured_polls(daemon, server, user, messages[_SEED:], size)
    finally:
        server.forget(user)
        shutil.rmtree(folder, ignore_errors=True)


def measured_polls(daemon: Daemon, server: Server, user: str, messages: Sequence[Path], size: int) -> float:
    daemon.poll("direction")  # Dovecot indexes the folder, the first look is made.
    line = daemon.lines["direction"]
    daemon.rhythm.not_before = float("inf")  # Measured alone, below.
    server.deliver(user, messages[:_WARM])
    daemon.poll("direction")
    server.deliver(user, messages[_WARM:])
    number = len(messages) - _WARM
    with counted(daemon) as poll, timed_moves() as moves:
        daemon.poll("direction")
    filed = daemon.installation.journal.ledger().filed
    if filed != max(size, _SEED) + len(messages):
        raise SystemExit(f"{filed} filed of {size} and {len(messages)}")
    memory = [rss(os.getpid())]
    line.looked_at = None
    with counted(daemon) as look:
        daemon.poll("direction")
    memory.append(rss(os.getpid()))
    with counted(daemon) as rebuild:
        publish(daemon.installation)
    memory.append(rss(os.getpid()))
    each = [f"{1000 * one / number:.1f}" for one in (poll.main, poll.wall, sum(moves))]
    print(
        f"| {size} | {each[0]} | {poll.statements / number:.0f} | {each[1]} | {each[2]} "
        f"| {1000 * look.main:.0f} | {rebuild.main:.1f} | {', '.join(f'{one:.0f}' for one in memory)} |",
        flush=True,
    )
    return poll.main / number


@contextmanager
def serving(daemon: Daemon) -> Iterator[Daemon]:
    daemon.prepare()
    try:
        yield daemon
    finally:
        daemon.close()


@contextmanager
def timed_moves() -> Iterator[list[float]]:
    """Seconds of each MOVE, the server's time included."""
    took: list[float] = []
    real = ImapMailbox.move

    def move(mailbox: ImapMailbox, uids: Sequence[int], folder: str) -> Any:
        began = time.monotonic()
        try:
            return real(mailbox, uids, folder)
        finally:
            took.append(time.monotonic() - began)

    ImapMailbox.move = move  # type: ignore[method-assign]
    try:
        yield took
    finally:
        ImapMailbox.move = real  # type: ignore[method-assign]


@contextmanager
def counted(daemon: Daemon) -> Iterator[Cost]:
    """What the main process spends and asks the store meanwhile."""
    cost = Cost()

    def count(*_: Any) -> None:
        cost.statements += 1

    engine = daemon.installation.journal.engine
    event.listen(engine, "before_cursor_execute", count)
    wall, main = time.monotonic(), time.process_time()
    try:
        yield cost
    finally:
        cost.wall, cost.main = time.monotonic() - wall, time.process_time() - main
        event.remove(engine, "before_cursor_execute", count)


# --- many of them ---------------------------------------------------------------------------------------

# Columns that tell one row from another, by table; {} is the copy's number.
_OTHER = {
    "messages": {
        "sha256": "substr(sha256, 1, 56) || printf('%08x', {0})",
        "uidvalidity": "uidvalidity + 1",
        "uid": "uid + {0} * 1000",
        "fingerprint": "substr(fingerprint, 1, 56) || printf('%08x', {0})",
        "folder_uid": "NULL",
    },
    "applications": {
        "fingerprint": "substr(fingerprint, 1, 56) || printf('%08x', {0})",
        "name": "name || ' ' || char({0} / 676 + 65, {0} / 26 % 26 + 65, {0} % 26 + 65)",
        "surname": "surname || char({0} / 676 + 65, {0} / 26 % 26 + 65, {0} % 26 + 65)",
        "folded_name": "folded_name || lower(char({0} / 676 + 65, {0} / 26 % 26 + 65, {0} % 26 + 65))",
        "address": "'c{0}.' || address",
        "path": "path || '{0}'",
    },
    "threads": {"message_id": "'{0}.' || message_id"},
    "documents": {},
    # As many replies in an hour as no installation sends would make the counts of the kill switch slow.
    "acts": {
        "created_at": "'2024' || substr(created_at, 5)",
        "key": "key || ':{0}'",
        "mail_id": "'{0}.' || mail_id",
        "recipient": "'c{0}.' || recipient",
    },
    "events": {},
}
_NUMBERS = {"id", "application_id", "message_id"}


def multiply(folder: Path, server: Server, user: str, copies: int) -> None:
    """Every application so many times, in the store, the archive and the mailbox."""
    with closing(sqlite3.connect(folder / "state" / "journal.db")) as store, store:
        # Copies for Sent are due a minute after a reply: those of the past were made.
        store.execute("UPDATE acts SET state = 'done' WHERE state = 'pending'")
        last = max(store.execute(f"SELECT max(id) FROM {table}").fetchone()[0] or 0 for table in ("messages", "acts"))  # noqa: S608 - our own names
        for table, other in _OTHER.items():
            columns = [row[1] for row in store.execute(f"PRAGMA table_info({table})")]
            for copy in range(1, copies):
                values = [_value(table, column, other, copy, copy * (last + 1)) for column in columns]
                first = f"FROM {table} WHERE {_first(table, last)}"
                store.execute(f"INSERT INTO {table} SELECT {', '.join(values)} {first}")
        paths = [row[0] for row in store.execute("SELECT path FROM applications")]
        mail = dict(store.execute("SELECT folder, count(*) FROM messages WHERE folder_uid IS NULL GROUP BY folder"))
        for name, number in mail.items():
            known = {row[0] for row in store.execute("SELECT folder_uid FROM messages WHERE folder = ?", [name])}
            uids = [uid for uid in server.fill(user, name, islice(cycle(small(_SEED)), number)) if uid not in known]
            unplaced = "SELECT id FROM messages WHERE folder_uid IS NULL AND folder = ? ORDER BY id"
            rows = [row[0] for row in store.execute(unplaced, [name])]
            store.executemany("UPDATE messages SET folder_uid = ? WHERE id = ?", zip(uids, rows, strict=True))
    for path in paths:
        (folder / "archive" / path).mkdir(parents=True, exist_ok=True)


def _first(table: str, last: int) -> str:
    return f"application_id <= {last}" if table == "threads" else f"id <= {last}"


def _value(table: str, column: str, other: dict[str, str], copy: int, shift: int) -> str:
    if column in other:
        return other[column].format(copy)
    if column in _NUMBERS and not (table == "threads" and column == "message_id"):
        return f"{column} + {shift}"
    return column


if __name__ == "__main__":
    main()
