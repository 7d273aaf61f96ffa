"""The operator hears of trouble once, not at every poll, and by something that works when the rest does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from inbox_agent.alert import Alarm, Trouble, salvaged_config, service_failed
from inbox_agent.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_AWAY = Trouble("poll:directrice", "La boîte directrice n’est plus lue", "connection refused", patient=True)
_REFUSED = Trouble("login:directrice", "Le mot de passe de la boîte directrice est refusé")


class Clock:
    def __init__(self):
        self.at = datetime(2026, 2, 13, 9, 0, tzinfo=UTC)

    def now(self):
        return self.at

    def monotonic(self):
        return self.at.timestamp()

    def pass_by(self, **span):
        self.at += timedelta(**span)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def heard(tmp_path):
    return tmp_path / "heard"


@pytest.fixture
def path(tmp_path, heard):
    said = tmp_path / "config.toml"
    said.write_text(_CONFIG.format(command=f'["tee", "-a", "{heard}"]'))
    (tmp_path / "state").mkdir()
    return said


@pytest.fixture
def alarm(path, clock):
    return Alarm(salvaged_config(path), clock)


def subjects(heard: Path) -> list[str]:
    text = heard.read_text() if heard.exists() else ""
    return [line for line in text.splitlines() if line.startswith("[inbox_agent]")]


def test_a_server_that_is_away_for_a_moment_alerts_nobody(alarm, clock, heard):
    assert not alarm.tell(_AWAY)
    clock.pass_by(minutes=14)
    assert not alarm.tell(_AWAY)
    assert not alarm.over(_AWAY.key)

    assert subjects(heard) == []


def test_a_server_that_stays_away_is_told_once_and_again_the_next_day(alarm, clock, heard):
    for _ in range(60 * 26):
        alarm.tell(_AWAY)
        clock.pass_by(minutes=1)

    assert subjects(heard) == ["[inbox_agent] La boîte directrice n’est plus lue"] * 2


def test_a_refused_login_is_told_at_once(alarm, heard):
    assert alarm.tell(_REFUSED)

    assert len(subjects(heard)) == 1


def test_the_end_is_told_to_who_heard_of_the_beginning(alarm, clock, heard):
    alarm.tell(_REFUSED)
    clock.pass_by(hours=1)

    assert alarm.over(_REFUSED.key)
    assert not alarm.over(_REFUSED.key)
    assert (
        subjects(heard)[-1]
        == "[inbox_agent] Rétabli\N{NO-BREAK SPACE}: Le mot de passe de la boîte directrice est refusé"
    )


def test_what_was_told_is_known_after_a_restart(alarm, path, clock, heard):
    alarm.tell(_REFUSED)
    clock.pass_by(minutes=5)

    assert not Alarm(salvaged_config(path), clock).tell(_REFUSED)
    assert len(subjects(heard)) == 1


def test_a_login_that_comes_and_goes_is_told_at_most_once_an_hour(alarm, clock, heard):
    for _ in range(120):
        alarm.tell(_REFUSED)
        clock.pass_by(seconds=30)
        alarm.over(_REFUSED.key)
        clock.pass_by(seconds=30)

    told = [line for line in subjects(heard) if "Rétabli" not in line]
    assert len(told) == 2


def test_a_day_has_at_most_twelve_alerts(alarm, clock, heard):
    for number in range(50):
        alarm.tell(Trouble(f"disk:{number}", f"Disque {number} plein"))
        clock.pass_by(seconds=1)

    assert len(subjects(heard)) == 12


def test_a_command_that_fails_is_tried_again_ten_minutes_later(path, clock, heard):
    path.write_text(_CONFIG.format(command='["false"]'))
    assert not Alarm(salvaged_config(path), clock).tell(_REFUSED)
    path.write_text(_CONFIG.format(command=f'["tee", "-a", "{heard}"]'))
    alarm = Alarm(salvaged_config(path), clock)

    clock.pass_by(minutes=9)
    assert not alarm.tell(_REFUSED)
    clock.pass_by(minutes=2)
    assert alarm.tell(_REFUSED)


def test_a_state_folder_that_is_gone_keeps_no_alert_back(path, clock, heard):
    (path.parent / "state").rmdir()

    assert Alarm(salvaged_config(path), clock).tell(_REFUSED)
    assert len(subjects(heard)) == 1


def test_a_wrong_configuration_still_says_whom_to_alert(path, clock, heard):
    path.write_text(path.read_text().replace("[digest]", "[digest]\nat = 25\nunknown = 1"))

    trouble = service_failed(
        "inbox-agent.service", {"MONITOR_EXIT_STATUS": "78", "MONITOR_SERVICE_RESULT": "exit-code"}
    )
    assert Alarm(salvaged_config(path), clock).tell(trouble)
    assert "inbox-agent check" in heard.read_text()


def test_an_address_that_cannot_be_written_keeps_no_alert_back(path, clock, heard):
    text = path.read_text().replace('address = "', 'address = "é')
    path.write_text(text.replace("[alerts]", '[alerts]\nto = ["operator@example.org"]'))

    assert Alarm(salvaged_config(path), clock).tell(_REFUSED)
    assert subjects(heard) == [f"[inbox_agent] {_REFUSED.what}"]


def test_a_file_that_is_no_toml_says_so(path):
    path.write_text("[[[")

    with pytest.raises(ConfigError, match="nobody can be alerted"):
        salvaged_config(path)


_CONFIG = """
state = "state"

[organisation]
name = "Ville & Territoires"
address = "candidatures@lab.test"

[[mailboxes]]
name = "directrice"
[mailboxes.imap]
host = "127.0.0.1"
user = "director@lab.test"
password = {{ credential = "imap-password" }}

[archive]
root = "archive"

[digest]
to = ["director@lab.test"]

[alerts]
command = {command}
after_minutes = 15
"""
