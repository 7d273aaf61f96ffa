"""The digest of a day is made once, tells everything once, and is mailed where there is a server that takes it."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import pytest
from inbox_agent import survey
from inbox_agent.adapters.files import LocalFiles
from inbox_agent.adapters.imap import ImapMailbox
from inbox_agent.errors import AgentError, ConfigError, FileStoreError
from inbox_agent.report import send_due_digest
from inbox_agent.status import read_status

from association import DIRECTRICE, OFFER, SECOND_OFFER, association, candidature
from test_corrections import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from association import Association


@pytest.fixture
def asso(tmp_path) -> Iterator[Association]:
    with association(tmp_path) as made:
        made.run_pass()
        made.clock.later(days=1)
        yield made


def test_what_comes_while_a_digest_is_made_is_in_the_next_one(asso, monkeypatch):
    view_of = survey.digest_view

    def slowly(*asked):
        view = view_of(*asked)
        asso.deliver(candidature("Jeanne Dupont", message_id="<1@example.org>"))
        asso.clock.later(seconds=1)
        asso.run_pass()
        asso.clock.later(seconds=1)
        return view

    with monkeypatch.context() as while_it_is_made:
        while_it_is_made.setattr(survey, "digest_view", slowly)
        assert send_due_digest(asso.installation)
    asso.run_pass()

    asso.clock.later(days=1)
    assert "1 nouvelle" in " ".join(asso.digest()["Subject"].split())


def without_smtp(asso: Association) -> None:
    asso.close()
    text = re.sub(r"\[smtp\][^\[]*", "", asso.config.read_text(encoding="utf-8"))
    asso.config.write_text(text.replace('mode = "send"', 'mode = "draft"'), encoding="utf-8")


def test_where_nothing_can_be_sent_the_digest_is_no_mail_that_fails(asso):
    without_smtp(asso)

    assert not send_due_digest(asso.installation)

    assert asso.journal.mail_acts() == ()


def test_a_digest_that_was_refused_is_told_as_one_and_not_as_an_answer_to_somebody(asso):
    assert send_due_digest(asso.installation)
    mail, *_ = [act for act in asso.journal.mail_acts() if act.recipient == DIRECTRICE]
    asso.journal.failed(mail, "550 no such user")

    asso.clock.later(days=1)
    said = asso.digest().get_body(("plain",)).get_content()

    assert "Réponses à contrôler" not in said
    assert f"parvenu à {DIRECTRICE}" in " ".join(said.split())
    assert any("outbox" in trouble for trouble in read_status(asso.installation).troubles)


def test_a_message_that_cannot_be_read_is_where_the_digest_says(asso):
    octets = asso.deliver(candidature("Jeanne Dupont", message_id="<1@example.org>"))
    asso.installation.readers.poison.add(hashlib.sha256(octets).hexdigest())
    for _ in range(3):
        asso.run_pass()

    said = " ".join(asso.digest().get_body(("plain",)).get_content().split())

    assert asso.where("<1@example.org>") == ["Candidatures/À vérifier"]
    assert "Ils sont dans le dossier « À vérifier »" in said


def test_an_offer_that_wants_its_replies_sent_where_nothing_can_be_is_a_fault(asso):
    without_smtp(asso)
    path = asso.folder / "rules" / "offers" / f"{OFFER}.toml"
    path.write_text('reply = "send"\n' + path.read_text(encoding="utf-8"), encoding="utf-8")

    with pytest.raises(ConfigError, match=rf'{OFFER}\.toml: reply: "send", and the configuration has no \[smtp\]'):
        assert asso.daemon


def test_a_draft_that_the_server_refuses_keeps_no_mail_from_being_read(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise AgentError("the mailbox is full")

    monkeypatch.setattr(ImapMailbox, "append", refuse)
    with association(tmp_path, mode="draft") as asso:
        asso.deliver(candidature("Jeanne Dupont", message_id="<1@example.org>"))
        asso.run_pass()
        asso.clock.later(hours=2)
        asso.deliver(candidature("Paul Morin", message_id="<2@example.org>"))
        asso.run_pass()

        assert asso.where("<2@example.org>") == [f"Candidatures/{OFFER}/Complètes"]
        (act,) = asso.journal.stuck()
        assert (act.kind, act.result) == ("draft", "the mailbox is full")


def test_a_folder_of_the_archive_that_cannot_be_moved_is_told(asso, monkeypatch):
    def refuse(*_: object) -> None:
        raise FileStoreError("the share is read-only")

    monkeypatch.setattr(LocalFiles, "move", refuse)
    asso.deliver(candidature("Jeanne Dupont", message_id="<1@example.org>"))
    asso.run_pass()
    run(asso, "correct", "1", "offer", SECOND_OFFER)
    for _ in range(3):
        asso.run_pass()
        asso.clock.later(hours=2)

    assert any("to be filed, moved" in trouble for trouble in read_status(asso.installation).troubles)
    assert "à classer, à déplacer" in " ".join(asso.digest().get_body(("plain",)).get_content().split())
