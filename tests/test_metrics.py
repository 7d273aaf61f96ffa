"""What monitoring sees: every state from the start, numbers that follow the journal, nobody's name."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from inbox_agent.errors import FileStoreError
from inbox_agent.journal import Arrived, Journal
from inbox_agent.metrics import exposition, write_textfile

_START = datetime(2026, 2, 13, 9, 0, tzinfo=UTC)
_NAME = r"inbox_agent_[a-z_]+"
_LINE = re.compile(rf'# HELP {_NAME} [^\n]+|# TYPE {_NAME} gauge|{_NAME}(\{{[a-z]+="[^"\n]*"\}})? -?[0-9.e+]+')


class Clock:
    def now(self):
        return _START

    def monotonic(self):
        return 0.0


@pytest.fixture
def journal(tmp_path):
    opened = Journal.open(f"sqlite:///{tmp_path / 'journal.db'}", Clock())
    yield opened
    opened.close()


def samples(text: str) -> dict[str, float]:
    rows = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in rows}


def test_every_line_is_of_the_format_and_every_metric_is_explained_once(journal):
    journal.polled("directrice", None)
    lines = exposition(journal).splitlines()

    assert [line for line in lines if not _LINE.fullmatch(line)] == []
    explained = [line.split()[2] for line in lines if line.startswith("# HELP")]
    assert len(explained) == len(set(explained))
    assert {line.partition("{")[0].split()[0] for line in lines if not line.startswith("#")} <= set(explained)


def test_states_that_never_occurred_are_zero_and_not_absent(journal):
    found = samples(exposition(journal))

    assert found['inbox_agent_messages{state="quarantined"}'] == 0
    assert found['inbox_agent_mails{state="in_doubt"}'] == 0
    assert found["inbox_agent_ledger_balanced"] == 1


def test_a_message_that_waits_is_counted_and_a_poll_leaves_its_moment(journal):
    journal.receive("directrice", 1, [Arrived(5, "a" * 64, 100, _START)], 5, "Candidatures/À vérifier")
    journal.polled("directrice", None)
    found = samples(exposition(journal))

    assert found['inbox_agent_messages{state="pending"}'] == 1
    assert found['inbox_agent_last_poll_timestamp_seconds{mailbox="directrice"}'] == _START.timestamp()
    assert found['inbox_agent_mailbox_trouble{mailbox="directrice"}'] == 0


def test_a_poll_that_fails_is_trouble_and_moves_no_clock(journal):
    journal.polled("directrice", "connection refused")
    text = exposition(journal)

    assert samples(text)['inbox_agent_mailbox_trouble{mailbox="directrice"}'] == 1
    assert "inbox_agent_last_poll_timestamp_seconds{" not in text
    assert "refused" not in text


def test_the_file_is_replaced_whole_and_may_be_read_by_the_collector(tmp_path):
    path = tmp_path / "inbox_agent.prom"
    write_textfile(path, "first\n")
    write_textfile(path, "second\n")

    assert path.read_text() == "second\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileStoreError, match="nowhere"):
        write_textfile(tmp_path / "nowhere" / "x.prom", "")
