"""What the service costs when nothing comes: start, memory, processor time, octets of a poll.

`python bench/idle.py [--seconds 60] [--folders 100,100000]`. It polls every 5 s to be measured, and looks at what staff
moved every fifth time: twelve times as often as it does by default. A day has 1,440 polls, those looks included, and 24
whole passes, which are measured by themselves: a write of somebody else into the store has one made.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path

from agent import Service, Sink, install
from line import Line
from mailboxes import PASSWORD, Server, small, start_server
from measure import cpu_of_living, machine, pss, rss, tree

_POLLS_A_DAY, _PASSES_A_DAY = 24 * 60, 24
_PASSES = 6  # that are measured
_READY, _MEMORY, _CPU, _OCTETS = 1.0, 60.0, 1.0, 300.0  # s, MB, s a day, octets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--folders", default="100,100000", help="how many messages the folder holds, with commas")
    options = parser.parse_args()
    print(machine())
    columns = ("messages", "ready s", "main RSS MB", "all PSS MB", "CPU ms a poll", "a whole pass", "CPU s a day")
    print(f"| {' | '.join(columns)} | octets a poll | processes |\n|{'---|' * 9}")
    missed = False
    server = start_server()
    try:
        for number in map(int, options.folders.split(",")):
            missed |= one_folder(server, number, options.seconds)
    finally:
        server.close()
    raise SystemExit(missed)


def one_folder(server: Server, number: int, seconds: int) -> bool:
    folder = Path(tempfile.mkdtemp(prefix="inbox-agent-bench-"))
    user = server.mailbox(islice(cycle(small(100)), number))
    try:
        with Sink(folder) as sink, Line(server.dovecot.imap) as line:
            install(
                folder, imap=line.port, user=user, password=PASSWORD, smtp=sink.port, first_run="new", poll_seconds=5
            )
            config = folder / "config.toml"
            config.write_text(config.read_text().replace("poll_seconds = 5", "poll_seconds = 5\nlook_seconds = 25"))
            with Service(folder) as service:
                pid = service.process.pid
                time.sleep(20)  # The first poll learns folders; the index of a large one is made.
                before, then = received(line), cpu_of_living(pid)
                time.sleep(seconds)
                after, now = received(line), cpu_of_living(pid)
                octets, cpu = (after - before) / (seconds / 5), (now - then) / (seconds / 5)
                main_rss, memory = rss(pid), sum(pss(one) for one in tree(pid))
                whole = passes(folder, pid) - cpu
                day = cpu * _POLLS_A_DAY + whole * _PASSES_A_DAY
                print(
                    f"| {number} | {service.ready:.2f} | {main_rss:.1f} | {memory:.0f} | {1000 * cpu:.2f} "
                    f"| {1000 * whole:.1f} | {day:.2f} | {octets:.0f} | {len(tree(pid))} |",
                    flush=True,
                )
        return service.ready > _READY or main_rss > _MEMORY or day > _CPU or octets > _OCTETS
    finally:
        server.forget(user)
        shutil.rmtree(folder, ignore_errors=True)


def passes(folder: Path, pid: int) -> float:
    """What each of some polls costs of which a whole pass is made."""
    then = cpu_of_living(pid)
    for number in range(_PASSES):
        with closing(sqlite3.connect(folder / "state" / "journal.db")) as store, store:
            store.execute("INSERT OR REPLACE INTO facts VALUES ('bench', ?)", [str(number)])
        time.sleep(5)
    return (cpu_of_living(pid) - then) / _PASSES


def received(line: Line) -> int:
    """Octets that came over the connection that polls use."""
    return max(line.talks, key=lambda talk: talk.commands.count("NOOP")).received


if __name__ == "__main__":
    main()
