"""More filed messages leave our folders than people move: a backup, a migration, a renamed folder, and no verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from inbox_agent.adapters.imap import ImapMailbox
from inbox_agent.errors import AgentError, ImplausibleError

from association import association, candidature
from test_corrections import COMPLETE, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from association import Association

NAMES = (
    "Paul Morin",
    "Jeanne Petit",
    "Anne Roux",
    "Yves Blanc",
    "Lucie Faure",
    "Karim Benali",
)
IDS = tuple(f"<{number}@example.org>" for number in range(len(NAMES)))


@pytest.fixture
def asso(tmp_path: Path) -> Iterator[Association]:
    with association(tmp_path) as made:
        for name, identifier in zip(NAMES, IDS, strict=True):
            made.deliver(candidature(name, message_id=identifier))
        made.run_pass()
        assert made.folders() == {COMPLETE: sorted(IDS)}
        yield made


def take_out(asso: Association, *identifiers: str, folder: str = "INBOX") -> None:
    for identifier in identifiers:
        asso.move(identifier, folder)


def set_aside(asso: Association) -> int:
    return len({name.split("/")[2] for name in asso.files() if name.startswith("_ecartees/")})


def trouble(asso: Association) -> str:
    return run(asso, "status")[1]


@pytest.mark.parametrize("folder", ["INBOX", "Divers"])
def test_many_filed_messages_that_come_back_at_once_stop_the_agent_until_they_are_gone(asso, folder):
    files = asso.files()
    take_out(asso, *IDS, folder=folder)

    for _ in range(2):
        with pytest.raises(ImplausibleError, match="than people move"):
            asso.run_pass()

    assert asso.files() == files
    assert asso.journal.ledger().filed == len(IDS)
    assert "corrections --accept" in trouble(asso)
    take_out(asso, *IDS, folder=COMPLETE)
    asso.run_pass()
    asso.run_pass()
    assert (asso.files(), set_aside(asso)) == (files, 0)
    assert "than people move" not in trouble(asso)
    assert asso.reply_templates == ["complete"] * len(IDS)


def test_the_digest_says_why_the_agent_stopped(asso):
    take_out(asso, *IDS)
    with pytest.raises(ImplausibleError):
        asso.run_pass()
    asso.clock.moment = asso.clock.moment.replace(hour=18, minute=0, second=30)
    before = len(asso.servers.received)
    asso.daemon.digest()
    asso.daemon.poll("direction")
    assert any(b"than people move" in mail.octets.replace(b"=\r\n", b"") for mail in asso.servers.received[before:])


@pytest.mark.parametrize("folder", ["INBOX", "Divers"])
def test_a_few_are_what_people_take_out(asso, folder):
    take_out(asso, *IDS[:5], folder=folder)
    asso.run_pass()
    asso.run_pass()
    assert set_aside(asso) == 5


def test_a_backup_that_comes_slowly_stops_the_agent_after_a_few(asso):
    for identifier in IDS[:5]:
        take_out(asso, identifier)
        asso.run_pass()
    asso.run_pass()
    assert set_aside(asso) == 5
    take_out(asso, IDS[5])
    with pytest.raises(ImplausibleError):
        asso.run_pass()
    asso.clock.later(hours=2)
    asso.run_pass()
    asso.run_pass()
    assert set_aside(asso) == 6


@pytest.mark.parametrize("folder", ["INBOX", "Divers"])
def test_so_many_are_believed_once_a_person_says_so(asso, folder):
    take_out(asso, *IDS, folder=folder)
    with pytest.raises(ImplausibleError):
        asso.run_pass()
    status, said = run(asso, "corrections", "--accept")
    assert (status, "believed" in said) == (0, True)
    asso.run_pass()
    asso.run_pass()
    assert set_aside(asso) == len(IDS)


def test_they_go_back_to_their_folders_once_a_person_says_so(asso):
    files = asso.files()
    take_out(asso, *IDS)
    asso.deliver(candidature("Zoé Martin", message_id="<new@example.org>"))
    with pytest.raises(ImplausibleError):
        asso.run_pass()
    assert run(asso, "corrections", "--put-back")[0] == 0
    asso.run_pass()
    asso.run_pass()
    assert asso.folders() == {COMPLETE: sorted((*IDS, "<new@example.org>"))}
    assert set(files) < set(asso.files())
    assert set_aside(asso) == 0
    assert asso.reply_templates == ["complete"] * (len(IDS) + 1)
    ledger = asso.journal.ledger()
    assert (ledger.filed, ledger.pending, ledger.balances) == (len(IDS) + 1, 0, True)
    # Said of what was there: what is taken out afterwards is a person's word again.
    take_out(asso, IDS[0])
    asso.run_pass()
    asso.run_pass()
    assert set_aside(asso) == 1


def test_a_renamed_tree_says_nothing_of_anybody(asso):
    files = asso.files()
    with asso.imap() as client:
        client.rename_folder("Candidatures", "Recrutement")
    with pytest.raises(ImplausibleError, match="renamed"):
        asso.run_pass()
    with asso.imap() as client:
        client.rename_folder("Recrutement", "Candidatures")
    asso.run_pass()
    asso.run_pass()
    assert (asso.files(), set_aside(asso)) == (files, 0)


def test_a_copy_is_no_word_of_staff_while_the_folder_of_the_first_may_not_be_opened(asso, monkeypatch):
    select = ImapMailbox.select

    def refuse(self, folder):
        if folder == COMPLETE:
            raise AgentError("the account has no right to it")
        return select(self, folder)

    (octets,) = [path.read_bytes() for path in asso.archive.rglob("message.eml") if "MORIN" in str(path)]
    monkeypatch.setattr(ImapMailbox, "select", refuse)
    asso.deliver(octets)
    with pytest.raises(AgentError, match="no right"):  # What the folder holds cannot be looked at: that is told.
        asso.run_pass()

    assert set_aside(asso) == 0
    assert asso.reply_templates == ["complete"] * len(IDS)
