"""What the service costs when nothing comes: start, memory, processor time, octets of a poll.

`python bench/idle.py [--seconds 60] [--folders 100,100000]`. It polls every 5 s to be measured; a day has 1,440 polls
at the 60 s that are the default.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from agent import Service, Sink, install
from line import Line
from mailboxes import PASSWORD, Server, small, start_server
from measure import cpu_of_tree, machine, pss, rss, tree

_POLLS_A_DAY = 24 * 60
_READY, _MEMORY, _CPU, _OCTETS = 1.0, 60.0, 1.0, 300.0  # s, MB, s a day, octets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--folders", default="100,100000", help="how many messages the folder holds, with commas")
    options = parser.parse_args()
    print(machine())
    print("| messages | ready s | main RSS MB | all PSS MB | CPU ms a poll | CPU s a day | octets a poll | processes |")
    print("|---|---|---|---|---|---|---|---|")
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
            with Service(folder) as service:
                pid = service.process.pid
                time.sleep(20)  # The first poll learns folders; the index of a large one is made.
                before, then = polls(line), cpu_of_tree(pid)
                time.sleep(seconds)
                after, now = polls(line), cpu_of_tree(pid)
                count = after[0] - before[0]
                octets, cpu = (after[1] - before[1]) / count, (now - then) / count
                main_rss, whole = rss(pid), sum(pss(one) for one in tree(pid))
                print(
                    f"| {number} | {service.ready:.2f} | {main_rss:.0f} | {whole:.0f} | {1000 * cpu:.1f} "
                    f"| {cpu * _POLLS_A_DAY:.1f} | {octets:.0f} | {len(tree(pid))} |",
                    flush=True,
                )
        return service.ready > _READY or main_rss > _MEMORY or cpu * _POLLS_A_DAY > _CPU or octets > _OCTETS
    finally:
        server.forget(user)
        shutil.rmtree(folder, ignore_errors=True)


def polls(line: Line) -> tuple[int, int]:
    """How many there were, and what came over the connection that they use."""
    talk = max(line.talks, key=lambda talk: talk.commands.count("NOOP"))
    return talk.commands.count("NOOP"), talk.received


if __name__ == "__main__":
    main()
