"""How long a message waits for the network at 50 ms of round-trip time, and how many IMAP commands it takes.

`python bench/latency.py [--messages 300] [--round-trip 0.05]`. Waiting is the wall time over the long line less that
over a short one; commands are counted on the line.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from agent import Sink, command, install
from line import Line
from mailboxes import PASSWORD, generated, start_server
from measure import machine, measured

_WAITING, _COMMANDS = 10.0, 150  # ms for a message; commands for 1,000 messages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=300)
    parser.add_argument("--round-trip", type=float, default=0.05)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(machine())
    walls: dict[float, list[float]] = {0.0: [], options.round_trip: []}
    for _ in range(options.rounds):
        for late, found in walls.items():
            wall, sent = one_run(options.messages, late)
            found.append(wall)
    waiting = 1000 * (min(walls[options.round_trip]) - min(walls[0.0])) / options.messages
    per_thousand = 1000 * len(sent) / options.messages
    print(f"waiting: {waiting:.1f} ms a message at {1000 * options.round_trip:.0f} ms (at most {_WAITING})")
    print(f"commands: {len(sent)} for {options.messages}, {per_thousand:.0f} for 1,000 (at most {_COMMANDS})")
    print(", ".join(f"{sent.count(name)} {name}" for name in sorted(set(sent), key=sent.count, reverse=True)))
    raise SystemExit(waiting > _WAITING or per_thousand > _COMMANDS)


def one_run(messages: int, late: float) -> tuple[float, list[str]]:
    server = start_server()
    folder = Path(tempfile.mkdtemp(prefix="inbox-agent-bench-"))
    try:
        user = server.mailbox(generated(messages))
        with Sink(folder) as sink, Line(server.dovecot.imap, late) as line:
            install(folder, imap=line.port, user=user, password=PASSWORD, smtp=sink.port)
            cost = measured(command("once"), folder=folder)
            if cost.status:
                raise SystemExit(cost.output)
            return cost.wall, [name for talk in line.talks for name in talk.commands]
    finally:
        server.close()


if __name__ == "__main__":
    main()
