"""The service as a process: ready, woken by IDLE, ended by SIGTERM, killed and started again."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from inbox_agent.daemon import Daemon
from inbox_agent.errors import TryAgainError

from association import association
from real_association import MESSAGES, Association

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def running(
    association: Association, tmp_path: Path, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`inbox-agent run`, and what it told systemd."""
    address = str(tmp_path / "notify")
    told: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(address)
        channel.settimeout(60)
        whole = {"NOTIFY_SOCKET": address, "PATH": "/usr/bin:/bin", **environment}
        process = subprocess.Popen(association.command("run"), env=whole, text=True)
        try:
            while not any(line.startswith("READY=1") for line in told):
                told.append(channel.recv(4096).decode())
            yield process, told
        finally:
            process.kill()
            process.wait()


def until(condition: Callable[[], bool], seconds: float = 45) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.2)


def filed(association: Association) -> int:
    return len(list((association.folder / "archive").rglob("candidature.json")))


@pytest.mark.real
def test_idle_wakes_it_long_before_the_next_poll_and_sigterm_ends_it_well(tmp_path, dovecot, postfix):
    association = Association(tmp_path, dovecot, postfix, mailbox="poll_seconds = 3600\n")
    with running(association, tmp_path) as (process, told):
        until(lambda: _polled(association))
        time.sleep(1.0)
        association.append((MESSAGES / "01-complete.eml").read_bytes())
        until(lambda: filed(association) == 1)
        until(lambda: len(association.mail_of("claire.lefevre")) == 1)

        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=20) == 0
    assert told[0].startswith("READY=1")


def _polled(association: Association) -> bool:
    found = json.loads(association.run("status", "--json", check=False).stdout)
    return bool(found["last_polls"].get("direction"))


@pytest.mark.real
def test_killed_in_mid_run_and_started_again_nothing_is_lost_or_doubled(tmp_path, dovecot, postfix):
    association = Association(tmp_path, dovecot, postfix)
    for path in sorted(MESSAGES.glob("*.eml")):
        association.append(path.read_bytes())
    # At a place of its own: at a moment of ours it might be in SMTP's window, of which test_crash.py tells.
    with running(association, tmp_path, INBOX_AGENT_FAILPOINT="file.put.after:3:kill") as (process, _):
        assert process.wait(60) == -signal.SIGKILL

    (tmp_path / "notify").unlink()
    ledger = json.loads(association.run("once", "--json").stdout)

    assert (ledger["messages"], ledger["filed"], ledger["left"], ledger["pending"]) == (13, 9, 4, 0)
    assert filed(association) == 7
    for name, replies in (("claire.lefevre", 1), ("karim.benali", 1), ("thomas.moreau", 2), ("nadia.roussel", 1)):
        assert len(association.mail_of(name)) == replies, name


@pytest.mark.real
def test_once_beside_a_running_daemon_says_so_and_exits_75(tmp_path, dovecot, postfix):
    association = Association(tmp_path, dovecot, postfix)
    with running(association, tmp_path):
        ran = association.run("once", check=False)

    assert ran.returncode == 75
    assert "another inbox-agent uses" in ran.stderr


@pytest.mark.real
def test_a_refused_password_reaches_the_operator_at_once_and_once(tmp_path, dovecot, postfix):
    told = tmp_path / "told"
    command = f'["sh", "-c", "cat >> {told}; echo ---- >> {told}"]'
    association = Association(tmp_path, dovecot, postfix, mailbox="poll_seconds = 5\n")
    with (tmp_path / "config.toml").open("a") as config:
        config.write(f"[alerts]\ncommand = {command}\n")
    (tmp_path / "imap-password").write_text("wrong")

    with running(association, tmp_path):
        until(told.exists)
        time.sleep(12)

    said = told.read_text()
    assert said.count("----") == 1
    assert "La boîte direction refuse la connexion" in said
    assert "refuses the login" in said


def test_a_poll_that_failed_is_tried_again_before_the_next_one_would_come(tmp_path, monkeypatch):
    def lost(*_):
        raise TryAgainError("the server closed the connection")

    with association(tmp_path, mailbox="poll_seconds = 60\n") as asso:
        (line,) = asso.daemon.lines.values()
        waits = []
        monkeypatch.setattr(Daemon, "pass_over", lost)
        for _ in range(4):
            asso.daemon.poll(line.name)
            waits.append(asso.daemon.next_poll(line) - asso.clock.monotonic())
            asso.clock.later(seconds=waits[-1])
        monkeypatch.undo()
        asso.clock.later(minutes=5)
        asso.daemon.poll(line.name)
        assert [*waits, asso.daemon.next_poll(line) - asso.clock.monotonic()] == [5, 15, 60, 60, 60]
