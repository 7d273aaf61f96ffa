"""The program in processes that can be killed, without paying its start each time.

As a script: reads orders (JSON, one a line), forks a process for each that does one pass with the real daemon, and
answers with its wait status. The parent has imported everything and started nothing, so a child is as good as new.
"""

# ruff: noqa: PLC0415 - the parent imports everything before the first order, so that children find it there
from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any


@dataclass
class Shifted:
    """The system's clock, so many seconds ahead."""

    seconds: float

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return time.monotonic()


def one_pass(order: dict[str, Any]) -> int:
    """One pass over every mailbox, and the digest if asked for; the exit status."""
    from inbox_agent import failpoint
    from inbox_agent.config import load_config
    from inbox_agent.daemon import Daemon
    from inbox_agent.errors import AgentError
    from inbox_agent.installation import locked, opened
    from inbox_agent.logs import start_logging
    from inbox_agent.report import send_due_digest

    if order.get("patience"):
        _be_impatient(order["patience"])
    clock = Shifted(order.get("ahead", 0))
    failpoint._PLAN, failpoint._LOG = order.get("failpoint", ""), order.get("log", "")
    start_logging(verbose=True)
    try:
        config = load_config(Path(order["config"]))
        with locked(config.state), opened(config, clock) as installation:
            daemon = Daemon(installation)
            daemon.prepare()
            # A poll swallows trouble, as in the service; a pass raises it, as `once` does.
            polls = order.get("polls", 1 if order.get("poll") else 0)
            try:
                if order.get("digest") and polls:
                    daemon.digest()
                for _ in range(polls):
                    for name in daemon.lines:
                        daemon.poll(name)
                    clock.seconds += order.get("every", 0)
                if polls:
                    return 0
                for line in daemon.lines.values():
                    daemon.pass_over(line)
                if order.get("digest"):
                    send_due_digest(installation)
                    for line in daemon.lines.values():
                        daemon.pass_over(line)
            finally:
                daemon.close()
    except AgentError as error:
        sys.stderr.write(f"inbox-agent: {error}\n")
        return error.exit_status
    return 0


def _be_impatient(seconds: float) -> None:
    """Wait less for servers than a real installation does."""
    from inbox_agent.adapters import imap, smtp

    imap.ImapSettings = functools.partial(imap.ImapSettings, read_timeout=seconds, command_timeout=2 * seconds)
    settings = smtp.SmtpSettings
    smtp.SmtpSettings = lambda **given: settings(
        **{**given, "done_timeout": seconds, "command_timeout": seconds, "data_timeout": seconds}
    )


def _serve() -> None:
    for name in ("daemon", "installation", "register", "board", "report", "logs", "migrate"):
        __import__(f"inbox_agent.{name}")
    for name in ("imap", "smtp", "files", "readers"):
        __import__(f"inbox_agent.adapters.{name}")
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            status = 70
            with Path(order["errors"]).open("ab", buffering=0) as errors:
                os.dup2(errors.fileno(), 2)
            try:
                status = one_pass(order)
            except BaseException:  # noqa: BLE001 - whatever it is, the log shows it and the status says so
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


class Program:
    """Runs passes of an installation, each in a process of its own."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lock = threading.Lock()

    def once(self, config: Path, **order: Any) -> int:
        """The exit status; -9 for one that was killed. Standard error is appended to errors.log beside the config."""
        whole = {"config": str(config), "errors": str(config.parent / "errors.log"), **order}
        with self._lock:
            self._server.stdin.write(json.dumps(whole) + "\n")
            self._server.stdin.flush()
            return int(self._server.stdout.readline())

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._server.stdin.close()
        self._server.wait(10)
        self._server.stdout.close()


if __name__ == "__main__":
    _serve()
