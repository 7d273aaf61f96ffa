"""The pass itself: what is nobody's fault counts for nobody, and a bug of ours harms one message alone."""

from __future__ import annotations

import pytest
from inbox_agent import cycle, outbox
from inbox_agent.errors import TryAgainError
from inbox_agent.journal import MAX_ATTEMPTS

from association import association, candidature


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
