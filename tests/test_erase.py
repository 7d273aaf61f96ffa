"""The right to be forgotten: after `erase` no file, no row, no mail of ours holds a trace."""

from __future__ import annotations

import base64
import quopri
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from inbox_agent import erase as erasing
from inbox_agent.adapters.imap import ImapMailbox
from inbox_agent.cli import app
from inbox_agent.errors import AgentError
from inbox_agent.schema import facts
from typer.testing import CliRunner

from association import OFFER, association, candidature
from test_corrections import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from association import Association

WORDS = ("zephyrine", "quatrefages")


@pytest.fixture
def asso(tmp_path: Path) -> Iterator[Association]:
    with association(tmp_path, mailbox='drafts = "Brouillons"\nsent = "Envoyés"') as made:
        yield made


def traces(asso: Association) -> list[str]:
    """Where the words of the person still are: files of state and archive, and every mail of the mailbox."""
    found = []
    for top in ("state", "archive"):
        for path in (asso.folder / top).rglob("*"):
            octets = path.read_bytes() if path.is_file() else b""
            if holds(octets) or any(word in path.name.lower() for word in WORDS):
                found.append(str(path.relative_to(asso.folder)))
    with asso.imap() as client:
        for flags, _, name in client.list_folders():
            if b"\\Noselect" in flags:
                continue
            client.select_folder(name, readonly=True)
            uids = client.search()
            found += (
                [f"{name} {uid}" for uid, item in client.fetch(uids, ["BODY.PEEK[]"]).items() if holds(item[b"BODY[]"])]
                if uids
                else []
            )
    return found


def holds(octets: bytes) -> bool:
    forms = [octets, quopri.decodestring(octets.replace(b"=\r\n", b"").replace(b"=\n", b""))]
    for word in WORDS:
        coded = base64.b64encode(word.encode()).rstrip(b"=")
        if any(word.encode() in form.lower() for form in forms) or coded in octets:
            return True
    return False


def filed(asso: Association, mode: str = "send") -> None:
    asso.deliver(candidature("Zéphyrine Quatrefages", bring=("cv",), message_id="<z1@example.org>"))
    asso.deliver(candidature("Jeanne Dupont", message_id="<j1@example.org>"))
    asso.run_pass()
    asso.clock.later(minutes=2)
    asso.run_pass()
    asso.digest()
    asso.clock.later(hours=15)
    asso.deliver(
        candidature(
            "Zéphyrine Quatrefages",
            bring=("letter",),
            subject="Lettre de motivation",
            text="Bonjour,\n\nVoici la lettre oubliée.\n\nZéphyrine Quatrefages\n",
            message_id="<z2@example.org>",
        )
    )
    asso.run_pass()
    asso.clock.later(minutes=2)
    asso.run_pass()


def erase(asso: Association, address: str) -> erasing.Forgotten | None:
    with erasing.connections(asso.installation) as connect:
        return erasing.erase(asso.installation, address, connect)


def test_nothing_of_the_person_is_left_and_others_stay(asso):
    filed(asso)
    assert len(traces(asso)) > 8, "the search must find what is there"

    gone = erase(asso, "Zephyrine.Quatrefages@example.org")
    asso.close()

    assert gone is not None
    assert (gone.applications, gone.messages) == (1, 2)
    assert traces(asso) == []
    assert asso.where("<j1@example.org>") == [f"Candidatures/{OFFER}/Complètes"]
    assert any("DUPONT" in name for name in asso.files())
    assert "Dupont" in (asso.archive / "index.html").read_text(encoding="utf-8")
    with asso.journal.snapshot() as connection:
        assert connection.scalar(sa.select(facts.c.value).where(facts.c.name == "erased_applications")) == "1"
    assert asso.journal.ledger().balances
    asso.run_pass()
    assert traces(asso) == []


def test_a_draft_goes_too(tmp_path):
    with association(tmp_path, mode="draft", mailbox='drafts = "Brouillons"\nsent = "Envoyés"') as asso:
        asso.deliver(candidature("Zéphyrine Quatrefages", message_id="<z1@example.org>"))
        asso.run_pass()
        assert "Brouillons" in asso.folders()

        erase(asso, "zephyrine.quatrefages@example.org")
        asso.close()

        assert "Brouillons" not in asso.folders()
        assert traces(asso) == []


def test_what_staff_set_aside_goes_too(asso):
    asso.deliver(candidature("Zéphyrine Quatrefages", message_id="<z1@example.org>"))
    asso.run_pass()
    asso.move("<z1@example.org>", "INBOX")
    asso.run_pass()

    erase(asso, "zephyrine.quatrefages@example.org")
    asso.close()

    assert traces(asso) == []


def test_a_folder_that_may_not_be_opened_is_not_taken_for_one_that_is_gone(asso, monkeypatch):
    filed(asso)
    select = ImapMailbox.select

    def refuse(self, folder):
        if folder.startswith("Candidatures/"):
            raise AgentError("the account has no right to it")
        return select(self, folder)

    monkeypatch.setattr(ImapMailbox, "select", refuse)

    with pytest.raises(AgentError, match="no right"):
        erase(asso, "zephyrine.quatrefages@example.org")

    with asso.journal.snapshot() as connection:
        assert not erasing.kept_of(connection, "zephyrine.quatrefages@example.org").empty


def test_an_unknown_address_gets_a_clear_answer_and_nothing_changes(asso):
    filed(asso)
    before = asso.files()
    asso.close()

    status, said = run(asso, "erase", "personne@example.org", "--yes")

    assert status == 1
    assert "nothing is kept of personne@example.org" in said
    assert asso.files() == before


def test_it_asks_first_and_does_nothing_without_an_answer(asso):
    filed(asso)
    asso.close()

    result = CliRunner().invoke(app, ["erase", "jeanne.dupont@example.org", "--config", str(asso.config)])

    assert result.exit_code == 2
    assert "--yes" in result.output
    assert asso.where("<j1@example.org>")


def test_the_command_erases(asso):
    filed(asso)
    asso.close()

    status, said = run(asso, "erase", "zephyrine.quatrefages@example.org", "--yes", "--json")

    assert status == 0, said
    assert '"applications": 1' in said
    assert traces(asso) == []


def test_a_running_agent_is_not_disturbed(asso):
    filed(asso)

    status, said = run(asso, "erase", "zephyrine.quatrefages@example.org", "--yes")

    assert status == 75
    assert "another inbox-agent" in said


def test_a_crash_in_the_middle_is_ended_by_the_same_command(asso, monkeypatch):
    filed(asso)
    with monkeypatch.context() as broken:
        broken.setattr(erasing, "_delete_rows", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            erase(asso, "zephyrine.quatrefages@example.org")
    asso.reopen()

    erase(asso, "zephyrine.quatrefages@example.org")
    asso.close()

    assert traces(asso) == []
