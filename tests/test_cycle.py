"""The pass itself: what is nobody's fault counts for nobody, and a bug of ours harms one message alone."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest
from inbox_agent import cycle, fetch, outbox, publish, rebuild_apart
from inbox_agent.cli import app
from inbox_agent.decision import Act, ActKind, ActState
from inbox_agent.errors import FileStoreError, TryAgainError
from inbox_agent.journal import MAX_ATTEMPTS
from typer.testing import CliRunner

from association import DIRECTRICE, association, candidature


@pytest.fixture
def villes(tmp_path):
    with association(tmp_path) as opened:
        yield opened


def test_readers_that_cannot_start_are_no_message_s_fault(villes, monkeypatch):
    villes.deliver(candidature("Jeanne Dupont"))
    readers = villes.installation.readers

    def refuse(_spooled):
        raise TryAgainError("no reading process can be started")

    with monkeypatch.context() as broken:
        broken.setattr(readers, "read", refuse)
        for _ in range(MAX_ATTEMPTS + 2):
            with pytest.raises(TryAgainError, match="no reading process"):
                villes.run_pass()

    villes.run_pass()
    ledger = villes.journal.ledger()
    assert (ledger.filed, ledger.quarantined, ledger.pending) == (1, 0, 0)


def test_a_bug_of_ours_keeps_its_message_for_a_person_and_harms_no_other(villes, monkeypatch):
    villes.deliver(candidature("Jeanne Dupont"))
    villes.deliver(candidature("Karim Benali"))
    real = cycle.decide

    def stumble(reading, *rest):
        if reading.candidate and reading.candidate.surname == "Dupont":
            raise ZeroDivisionError
        return real(reading, *rest)

    monkeypatch.setattr(cycle, "decide", stumble)
    villes.run_pass()

    ledger = villes.journal.ledger()
    assert (ledger.filed, ledger.quarantined, ledger.pending, ledger.balances) == (1, 1, 0, True)
    assert len(villes.replies) == 1
    assert len(villes.folders()["Candidatures/À vérifier"]) == 1


def test_a_report_that_was_claimed_when_the_store_refused_goes_out_with_the_next_pass(villes):
    octets = b"Subject: x\r\n\r\nx\r\n"
    payload = {"template": "digest", "envelope_from": DIRECTRICE}
    with villes.journal.transaction("test") as write:
        write.plan([Act(ActKind.SEND, "digest:x", payload, octets, "staff@example.org", "<d@x>")], None, None)
    (claimed,) = villes.journal.claim(villes.journal.due())

    villes.run_pass()

    assert villes.journal.act(claimed.id).state is ActState.DONE


def test_after_the_kill_switch_a_person_may_have_everybody_answered(tmp_path):
    with association(tmp_path, replies="per_hour = 2\n") as villes:
        for name in ("Jeanne Dupont", "Karim Benali", "Claire Lefèvre", "Hugo Blanc"):
            villes.deliver(candidature(name))
        villes.run_pass()
        assert villes.replies == []  # What was written already waits too: a person looks first.

        villes.clock.later(hours=2)
        said = outbox.resume(villes.installation, answer=True)
        villes.run_pass()

        assert "2 who wrote meanwhile are answered" in said
        assert len(villes.replies) == 4


def test_a_long_pass_does_not_gather_the_mailbox_in_its_spool(villes, monkeypatch):
    monkeypatch.setattr(cycle, "_SWEEP_EVERY", 1)
    monkeypatch.setattr(fetch, "_BATCH_MESSAGES", 2)
    for name in ("Jeanne Dupont", "Karim Benali", "Claire Lefèvre", "Hugo Blanc", "Anne Roux", "Yves Blanc"):
        villes.deliver(candidature(name))
    spool = villes.installation.spool("direction")
    held: list[int] = []
    villes.daemon.pass_over(villes.daemon.lines["direction"], lambda _done, _all: held.append(len([*spool.iterdir()])))
    assert len(held) == 3
    assert max(held) <= 4  # Two messages that are read, with the folders of their documents.
    assert villes.journal.ledger().filed == 6
    assert list(spool.iterdir()) == []


def test_our_own_digest_in_the_mailbox_is_no_message_to_account_for(villes):
    villes.deliver(candidature("Jeanne Dupont"))
    villes.run_pass()
    before = villes.journal.ledger()

    villes.digest()
    villes.run_pass()
    assert villes.journal.ledger() == before
    assert len(villes.folders()["INBOX"]) == 1

    (digest,) = [mail.octets for mail in villes.servers.received if DIRECTRICE in mail.recipients]
    head, _, _ = digest.partition(b"\r\n\r\n")
    villes.deliver(head + b"\r\n\r\nan advertisement under the digest's name")
    villes.run_pass()
    after = villes.journal.ledger()
    assert (after.messages, after.left) == (before.messages + 1, before.left + 1)


def test_register_and_board_of_many_applications_are_written_by_a_process_of_their_own(villes, monkeypatch):
    monkeypatch.setattr(publish, "_MANY", 1)
    monkeypatch.setattr(publish, "rebuild", None)  # Not here.
    villes.deliver(candidature("Jeanne Dupont"))

    villes.run_pass()

    assert "Dupont" in (villes.archive / "index.html").read_text(encoding="utf-8")
    assert len(list(villes.archive.glob("*/suivi.xlsx"))) == 1


def test_a_rebuild_that_fails_elsewhere_is_told_and_made_by_the_next_pass(villes, monkeypatch):
    villes.deliver(candidature("Jeanne Dupont"))
    with monkeypatch.context() as broken:
        broken.setattr(publish, "_MANY", 1)
        broken.setattr(rebuild_apart, "_COMMAND", ("/bin/sh", "-c", "echo the archive is full >&2; exit 1"))
        with pytest.raises(FileStoreError, match="the archive is full"):
            villes.run_pass()

    villes.run_pass()

    assert "Dupont" in (villes.archive / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("found", [True, False], ids=["a browser", "none"])
def test_the_digest_s_preview_says_where_it_is_whether_a_browser_opens_it_or_not(villes, monkeypatch, found):
    villes.run_pass()
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda uri: opened.append(uri) or found)
    result = CliRunner().invoke(app, ["digest", "--preview", "--config", str(villes.config)])
    path = Path(result.stdout.strip())
    assert (result.exit_code, opened) == (0, [path.as_uri()])
    assert "<html" in path.read_text(encoding="utf-8")
    assert ("no browser was found" in result.stderr) is not found
