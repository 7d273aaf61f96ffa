"""How fast the whole job is, beside what people would use instead and beside the least that must be done.

`python bench/run.py [--messages 300,1000] [--rounds 5] [--json FILE] [--only NAME,NAME] [--gate]`. See README.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import venv
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from agent import Sink, command, install
from french_applications import NEWSLETTER_EACH
from mailboxes import PASSWORD, Server, cache, generated, start_server
from measure import Cost, machine, measured

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_HERE = Path(__file__).parent
_PEERS = ("attachment-downloader==1.4.1", "imap-tools==1.16.0")
# What the issue asks for, as (what, numerator, denominator, "at least" or "at most", bound).
_TARGETS = (
    ("wall, times attachment-downloader", "attachment-downloader", "inbox-agent", ">=", 1.8),
    ("wall, times an imap_tools script", "imap_tools", "inbox-agent", ">=", 1.3),
    ("wall, times the obvious agent", "obvious", "inbox-agent", ">=", 4.0),
    ("wall, part of the floor's speed, 2 processes", "floor2", "inbox-agent", ">=", 0.5),
    ("processor, times the floor", "inbox-agent", "floor1", "<=", 2.0),
)


@dataclass(frozen=True)
class Task:
    """One run: a user's mailbox on a server, a sink for replies, an empty folder to work in."""

    server: Server
    user: str
    sink: int
    folder: Path
    messages: int

    @property
    def account(self) -> list[str]:
        """As the scripts take it."""
        return ["127.0.0.1", str(self.server.dovecot.imap), self.user, PASSWORD, str(self.folder / "saved")]


def agent(task: Task) -> list[str]:
    install(task.folder, imap=task.server.dovecot.imap, user=task.user, password=PASSWORD, smtp=task.sink)
    return command("once", "--json")


def attachment_downloader(task: Task) -> list[str]:
    host, port, user, password, saved = task.account
    where = ["--host", host, "--port", port, "--unsecure", "--username", user, "--password", password]
    how = ["--imap-folder", "INBOX", "--output", saved, "--log-level", "ERROR"]
    return [str(peers() / "attachment-downloader"), *where, *how, "--filename-template", _TEMPLATE]


_TEMPLATE = "{{ message_id }}_{{ attachment_idx }}_{{ attachment_name }}"


def imap_tools(task: Task) -> list[str]:
    return [str(peers() / "python"), str(_HERE / "contestants" / "save_with_imap_tools.py"), *task.account]


def obvious(task: Task) -> list[str]:
    return [sys.executable, str(_HERE / "contestants" / "obvious.py"), *task.account]


def floor1(task: Task) -> list[str]:
    return [sys.executable, str(_HERE / "contestants" / "floor.py"), *task.account]


def floor2(task: Task) -> list[str]:
    return [*floor1(task), "2"]


CONTESTANTS: dict[str, Callable[[Task], list[str]]] = {
    "inbox-agent": agent,
    "attachment-downloader": attachment_downloader,
    "imap_tools": imap_tools,
    "obvious": obvious,
    "floor1": floor1,
    "floor2": floor2,
}


def peers() -> Path:
    """The programs of the peers, in an environment of their own that is made with pip the first time."""
    folder = cache() / "peers"
    if not (folder / "bin" / "attachment-downloader").exists():
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", *_PEERS], check=True)
    return folder / "bin"


@dataclass(frozen=True)
class Result:
    """One run of one contestant."""

    name: str
    messages: int
    round: int
    wall: float
    cpu: float
    server_cpu: float
    main_rss: float
    tree_pss: float
    load: float


def one_run(server: Server, name: str, messages: Sequence[Path], turn: int) -> Result:
    """A contestant on a fresh copy; raises SystemExit when it did not do its job."""
    folder = Path(tempfile.mkdtemp(prefix="inbox-agent-bench-"))
    (folder / "saved").mkdir()
    user = server.mailbox(messages)
    try:
        with Sink(folder) as sink:
            task = Task(server, user, sink.port, folder, len(messages))
            line = CONTESTANTS[name](task)
            load = Path("/proc/loadavg").read_text().split()[0]
            before = server.group.cpu()
            cost = measured(line, folder=folder)
            served = server.group.cpu() - before
            check(name, task, cost, sink.taken)
    finally:
        server.forget(user)
        shutil.rmtree(folder, ignore_errors=True)
    sizes = (cost.wall, cost.cpu, served, cost.main_rss, cost.tree_pss)
    return Result(name, len(messages), turn, *(round(value, 3) for value in sizes), load=float(load))


def check(name: str, task: Task, cost: Cost, replies: int) -> None:
    """What is fast because it does nothing has not won."""
    wanted = task.messages - task.messages // NEWSLETTER_EACH
    if name == "inbox-agent":
        found = json.loads(cost.output.splitlines()[-1]) if cost.status == 0 else {}
        filed = sum(1 for _ in (task.folder / "archive").rglob("candidature.json"))
        moved = task.messages - task.server.left(task.user)
        done = (found.get("filed"), found.get("balances"), filed, moved, replies) == (
            wanted,
            True,
            wanted,
            wanted,
            wanted,
        )
    else:
        saved = [path for path in (task.folder / "saved").rglob("*") if path.is_file()]
        done = cost.status == 0 and sum(1 for path in saved if path.suffix in {".pdf", ".docx"}) == 2 * wanted
    if not done:
        raise SystemExit(f"{name} did not do its job (status {cost.status}, {replies} replies):\n{cost.output[-2000:]}")


def table(results: Sequence[Result]) -> str:
    """One row for each contestant and size: medians, and ratios to the agent in the same rounds."""
    lines = ["| messages | contestant | msg/s | wall s | CPU ms/msg | server ms/msg | main RSS MB | all PSS MB |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for messages in sorted({result.messages for result in results}):
        for name in CONTESTANTS:
            runs = [result for result in results if (result.name, result.messages) == (name, messages)]
            if not runs:
                continue
            wall, cpu = median(run.wall for run in runs), median(run.cpu for run in runs)
            served = median(run.server_cpu for run in runs)
            low, high = min(run.wall for run in runs), max(run.wall for run in runs)
            main, whole = max(run.main_rss for run in runs), max(run.tree_pss for run in runs)
            lines.append(
                f"| {messages} | {name} | {messages / wall:.1f} | {wall:.2f} ({low:.2f}-{high:.2f}) "
                f"| {1000 * cpu / messages:.1f} | {1000 * served / messages:.1f} | {main:.0f} | {whole:.0f} |"
            )
    return "\n".join(lines)


@dataclass(frozen=True)
class Verdict:
    """A target and what was measured: the median of the ratios within each round."""

    what: str
    messages: int
    measured: float
    wanted: str
    met: bool


def verdicts(results: Sequence[Result]) -> list[Verdict]:
    found = []
    for messages in sorted({result.messages for result in results}):
        for what, above, below, sense, bound in _TARGETS:
            quantity = what.partition(",")[0].replace("processor", "cpu")
            by_round = {(run.name, run.round): getattr(run, quantity) for run in results if run.messages == messages}
            rounds = {run.round for run in results}
            ratios = [
                by_round[above, turn] / by_round[below, turn]
                for turn in rounds
                if (above, turn) in by_round and (below, turn) in by_round
            ]
            if ratios:
                ratio = median(ratios)
                met = ratio >= bound if sense == ">=" else ratio <= bound
                found.append(Verdict(what, messages, round(ratio, 2), f"{sense} {bound}", met))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", default="300,1000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(CONTESTANTS), help="names of contestants, with commas")
    parser.add_argument("--json", type=Path, help="write every run there")
    parser.add_argument("--gate", action="store_true", help="exit with 1 when a target is missed")
    options = parser.parse_args()
    print(machine(), flush=True)
    results = []
    server = start_server()
    try:
        for number in map(int, options.messages.split(",")):
            messages = generated(number)
            for turn in range(options.rounds):
                for name in options.only.split(","):
                    results.append(one_run(server, name, messages, turn))
                    print(f"{results[-1]}", file=sys.stderr, flush=True)
    finally:
        server.close()
    print(table(results))
    told = verdicts(results)
    for verdict in told:
        met = "ok  " if verdict.met else "MISS"
        print(f"{met} {verdict.messages:5} {verdict.what}: {verdict.measured} ({verdict.wanted})")
    if options.json:
        whole = {"machine": machine(), "runs": [asdict(run) for run in results], "verdicts": [asdict(v) for v in told]}
        options.json.write_text(json.dumps(whole, indent=1))
    if options.gate and not all(verdict.met for verdict in told):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
