"""What a pass asks of the server, counted: no clock is read, so this holds on the busiest machine."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from inbox_agent.adapters.readers import ChildReaders
from inbox_agent.config import load_config
from inbox_agent.daemon import Daemon
from inbox_agent.installation import locked, opened
from inbox_agent.offer import Staff
from inbox_agent.publish import _lines
from inbox_agent.shipped import shipped

if TYPE_CHECKING:
    from collections.abc import Iterator

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
from agent import install
from line import Line
from mailboxes import small

pytestmark = pytest.mark.real
_MESSAGES = 60


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _installed(folder: Path, port: int, user: str, **settings) -> Path:
    install(folder, imap=port, user=user, password="fresh", smtp=9, **settings)
    config = folder / "config.toml"
    config.write_text(config.read_text().replace('mode = "send"', 'mode = "off"'))
    return config


@contextmanager
def _prepared(folder: Path, port: int, user: str) -> Iterator[Daemon]:
    config = load_config(_installed(folder, port, user))
    with locked(config.state), opened(config) as installation:
        daemon = Daemon(installation)
        daemon.prepare()
        yield daemon
        daemon.close()


def test_a_thousand_messages_take_at_most_150_commands_and_a_quiet_poll_300_octets(folder, dovecot):
    user = f"economy{os.getpid()}@fresh.test"
    with Line(dovecot.imap) as line, _prepared(folder, line.port, user) as daemon:
        daemon.poll("direction")
        made = len(line.talks[0].commands)
        for path in small(_MESSAGES):
            dovecot.deliver(user, path.read_bytes())
        daemon.poll("direction")
        assert daemon.installation.journal.ledger().filed == _MESSAGES
        first = line.talks[0].commands[made:]
        # Three batches of FETCH, SELECT and MOVE; the rest is said once in a pass.
        assert first.count("FETCH") == 1 + 3
        assert first.count("MOVE") == 3
        assert len(first) <= 3 * 3 + 16

        daemon.poll("direction")
        received, commands = line.talks[0].received, len(line.talks[0].commands)
        for _ in range(3):
            daemon.poll("direction")
        assert line.talks[0].commands[commands:] == ["NOOP"] * 3
        assert line.talks[0].received - received <= 3 * 100

        daemon.lines["direction"].quiet = None
        received = line.talks[0].received
        daemon.poll("direction")
        assert line.talks[0].received - received <= 300 + 100  # and what the next quiet polls are compared with


def test_a_quiet_poll_ends_when_mail_comes_or_anybody_writes_into_the_store(folder, dovecot):
    user = f"quiet{os.getpid()}@fresh.test"
    with _prepared(folder, dovecot.imap, user) as daemon:
        line = daemon.lines["direction"]
        daemon.poll("direction")
        daemon.poll("direction")
        assert daemon._is_quiet(line)

        daemon.installation.journal.note_fact("anything", "1")
        assert not daemon._is_quiet(line)
        daemon.poll("direction")
        assert daemon._is_quiet(line)

        dovecot.deliver(user, small(_MESSAGES)[0].read_bytes())
        assert not daemon._is_quiet(line)
        daemon.poll("direction")
        assert daemon.installation.journal.ledger().messages == 1


def test_a_look_is_no_whole_pass_and_sees_what_staff_moved(folder, dovecot):
    user = f"look{os.getpid()}@fresh.test"
    with _prepared(folder, dovecot.imap, user) as daemon:
        line = daemon.lines["direction"]
        for path in small(2):
            dovecot.deliver(user, path.read_bytes())
        for _ in range(3):
            daemon.poll("direction")

        for _ in range(2):  # The first one asks the store what the folders held, the next ones know.
            line.quiet = replace(line.quiet, look_at=0.0)
            assert daemon._is_quiet(line)
            assert line.quiet.look_at > 0.0
        line.quiet = replace(line.quiet, look_at=0.0)
        by_staff = small(3)[-1].read_bytes()
        line.account.mailbox.append("Candidatures/À vérifier", by_staff, (), daemon.installation.clock.now())
        assert not daemon._is_quiet(line)
        daemon.poll("direction")
        assert daemon.installation.journal.ledger().messages == 3


def test_between_polls_what_others_ask_for_is_done_and_a_bug_keeps_nobody_from_it(folder, dovecot, caplog):
    user = f"errands{os.getpid()}@fresh.test"
    with _prepared(folder, dovecot.imap, user) as daemon:
        daemon.errands.put(lambda: 1 // 0)
        daemon.errands.put(lambda: daemon._poll_soon("direction"))
        daemon.errands.put(daemon.stop.set)
        daemon._serve()

        assert [record.message for record in caplog.records if record.exc_info] == ["errand-broke"]
        # One at the start, one that was asked for: nothing to do is remembered then.
        assert daemon._is_quiet(daemon.lines["direction"])


def test_children_begin_before_anybody_asks_for_a_reading(tmp_path):
    spool = tmp_path / "spool"
    spool.mkdir()
    paths = []
    for path in small(_MESSAGES)[:4]:
        paths.append(spool / path.name)
        paths[-1].write_bytes(path.read_bytes())
    readers = ChildReaders(shipped("rules"), (), Staff.of((), ()), scratch=tmp_path / "scratch")
    try:
        asked = readers.read(paths)
        deadline = time.monotonic() + 60
        while not any((tmp_path / "scratch").glob("reader-*/[0-9]*/*")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert sum(1 for _ in asked) == len(paths)
    finally:
        readers.close()


def test_a_record_is_json_with_a_line_for_each_item():
    record = {"a": [{"b": 1}, {"c": "é"}], "d": [], "e": None, "f": {"g": [1, 2]}}
    written = _lines(record)
    assert json.loads(written) == record
    assert written.count(b"\n") == 9
