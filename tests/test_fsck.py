"""fsck finds every changed byte; a backup is whole; the store comes back from the archive."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from inbox_agent import failpoint
from inbox_agent.adapters.imap import ImapMailbox
from inbox_agent.errors import AgentError
from inbox_agent.schema import applications, documents, events, messages, threads

from association import OFFER, SECOND_OFFER, association, candidature
from test_corrections import doubtful, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from association import Association


@pytest.fixture
def asso(tmp_path: Path) -> Iterator[Association]:
    """Complete, incomplete then completed, set aside, moved to another offer, and a letter in the body."""
    with association(tmp_path) as made:
        made.deliver(candidature("Jeanne Dupont", message_id="<1@example.org>"))
        made.deliver(candidature("Paul Morin", bring=("cv",), message_id="<2@example.org>"))
        made.deliver(candidature("Anne Petit", message_id="<3@example.org>"))
        made.deliver(candidature("Yves Roux", message_id="<4@example.org>"))
        made.deliver(doubtful())
        made.run_pass()
        made.deliver(
            candidature("Paul Morin", bring=("letter",), answers="<2@example.org>", message_id="<5@example.org>")
        )
        made.move("<3@example.org>", "INBOX")
        made.move("<4@example.org>", f"Candidatures/{SECOND_OFFER}/Complètes")
        made.run_pass()
        made.run_pass()
        yield made


def test_a_sound_installation_has_no_flaw(asso):
    status, said = run(asso, "fsck", "--json")

    assert (status, json.loads(said)) == (0, [])


@pytest.mark.parametrize("name", ["CV_DUPONT-Jeanne.pdf", "message.eml", "candidature.json"])
@pytest.mark.parametrize("fault", ["changed", "missing"])
def test_every_damaged_file_is_named(asso, name, fault):
    (path,) = [found for found in asso.archive.rglob(name) if "DUPONT" in str(found)]
    if fault == "missing":
        path.unlink()
    else:
        octets = bytearray(path.read_bytes())
        octets[len(octets) // 2] ^= 1
        if name == "candidature.json":
            octets[:1] = b"x"
        path.unlink()
        path.write_bytes(octets)

    status, said = run(asso, "fsck", "--json")

    assert status == 1
    (flaw,) = json.loads(said)
    assert flaw["place"].endswith(name)


def test_what_the_store_does_not_know_is_named_and_repair_writes_our_files_anew(asso):
    (path,) = [found for found in asso.archive.rglob("candidature.json") if "DUPONT" in str(found)]
    stranger = asso.archive / OFFER / "2020-01-01_INCONNU_000000"
    stranger.mkdir()
    shutil.copy(path, stranger / "candidature.json")
    path.unlink()
    asso.close()

    status, said = run(asso, "fsck", "--repair")

    assert status == 1
    assert "not in the store" in said
    assert path.exists()


def test_a_backup_made_while_the_agent_runs_is_whole_and_restores(asso, tmp_path):
    target = tmp_path / "backup.tar.gz"

    status, said = run(asso, "backup", str(target))

    assert status == 0, said
    before = content(asso)
    asso.close()
    shutil.rmtree(asso.folder / "state")
    (asso.folder / "state").mkdir()
    with tarfile.open(target) as tar:
        tar.extractall(asso.folder / "state", filter="data")
    with sqlite3.connect(asso.folder / "state" / "journal.db") as store:
        assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert content(asso) == before
    assert run(asso, "backup", str(target))[0] == 1


def test_a_backup_that_finds_no_room_leaves_nothing_behind(asso, tmp_path, monkeypatch):
    monkeypatch.setattr(failpoint, "_PLAN", "backup.rename.before:1:enospc")
    monkeypatch.setattr(failpoint, "_reached", failpoint.Counter())

    status, said = run(asso, "backup", str(tmp_path / "backup.tar.gz"))

    assert (status, "Free some space" in said) == (1, True)
    assert list(tmp_path.glob("backup*")) == []


def content(asso: Association) -> dict[str, list[Any]]:
    """What a rebuilt store must hold, table by table."""
    found: dict[str, list[Any]] = {}
    of_applications = messages.c.application_id.is_not(None)
    told = events.c.application_id.is_not(None)
    with asso.journal.snapshot() as connection:
        for table, condition in (
            (applications, sa.true()),
            (documents, sa.true()),
            (threads, sa.true()),
            (messages, of_applications),
            (events, told),
        ):
            key = next(iter(table.primary_key))
            rows = connection.execute(sa.select(table).where(condition).order_by(key))
            found[table.name] = [
                {name: value for name, value in row._mapping.items() if name != "written_revision"} for row in rows
            ]
    return found


def test_a_store_rebuilt_from_the_archive_equals_the_original(asso):
    original = content(asso)
    asso.close()
    for path in (asso.folder / "state").glob("journal.db*"):
        path.unlink()

    status, said = run(asso, "rebuild", "--json")

    assert status == 0, said
    assert json.loads(said) == {"applications": len(original["applications"]), "not_understood": []}
    assert content(asso) == original
    assert run(asso, "fsck")[0] == 0
    sent = len(asso.replies)
    asso.run_pass()
    asso.run_pass()
    assert len(asso.replies) == sent
    assert len(content(asso)["applications"]) == len(original["applications"])


def test_a_move_that_was_still_to_be_made_is_made_by_the_store_that_was_rebuilt(tmp_path, monkeypatch):
    with association(tmp_path) as made:
        made.deliver(candidature("Jeanne Dupont", message_id="<1@example.org>"))
        with monkeypatch.context() as server:
            server.setattr(ImapMailbox, "move", refuse)
            made.run_pass()
        assert made.where("<1@example.org>") == ["INBOX"]
        made.close()
        for path in (made.folder / "state").glob("journal.db*"):
            path.unlink()

        assert run(made, "rebuild")[0] == 0
        made.clock.later(hours=1)
        made.run_pass()

        assert made.where("<1@example.org>") == [f"Candidatures/{OFFER}/Complètes"]
        assert (made.journal.ledger().filed, made.journal.ledger().pending) == (1, 0)


def refuse(*_: object) -> None:
    raise AgentError("the server refuses")


def test_a_store_that_holds_messages_is_not_overwritten(asso):
    asso.close()

    status, said = run(asso, "rebuild")

    assert status == 1
    assert "holds messages already" in said
