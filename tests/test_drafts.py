"""In draft mode the reply waits in the staff's Drafts, and the agent notices what becomes of it."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from typing import TYPE_CHECKING

import pytest

from association import association, candidature

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from association import Association


@pytest.fixture
def asso(tmp_path: Path) -> Iterator[Association]:
    with association(tmp_path, mode="draft", mailbox='drafts = "Brouillons"\nsent = "Envoyés"') as made:
        made.deliver(candidature(message_id="<1@example.org>"))
        made.run_pass()
        yield made


def take_draft(asso: Association) -> bytes:
    """The draft, which is gone from the folder then."""
    with asso.imap() as client:
        client.select_folder("Brouillons")
        (uid,) = client.search()
        octets = client.fetch([uid], ["BODY.PEEK[]"])[uid][b"BODY[]"]
        client.delete_messages([uid])
        client.expunge()
    return octets


def board_of(asso: Association) -> str:
    return (asso.archive / "index.html").read_text(encoding="utf-8")


def look(asso: Association) -> None:
    asso.clock.later(minutes=5)
    asso.run_pass()


def test_a_draft_waits_threaded_and_ready_and_nothing_leaves(asso):
    look(asso)

    assert asso.servers.received == []
    draft = message_from_bytes(take_draft(asso), policy=policy.default)
    assert draft["In-Reply-To"] == "<1@example.org>"
    assert "Brouillons à relire" in asso.digest().get_body(("html",)).get_content()


def sent_as_it_is(octets: bytes) -> bytes:
    return octets


def sent_with_another_message_id(octets: bytes) -> bytes:
    return re.sub(rb"(?im)^Message-ID:[^\n]*\n(?: [^\n]*\n)*", b"Message-ID: <neu@client>\r\n", octets)


def sent_without_our_header(octets: bytes) -> bytes:
    octets = sent_with_another_message_id(octets)
    return re.sub(rb"(?im)^X-Inbox-Agent-Ref:[^\n]*\n(?: [^\n]*\n)*", b"", octets)


@pytest.mark.parametrize("as_sent", [sent_as_it_is, sent_with_another_message_id, sent_without_our_header])
def test_a_draft_that_was_sent_is_noticed_in_the_sent_folder(asso, as_sent):
    asso.append("Envoyés", as_sent(take_draft(asso)))

    look(asso)
    look(asso)

    assert "envoyée" in board_of(asso)
    html = asso.digest().get_body(("html",)).get_content()
    assert "Brouillons à relire" not in html
    assert html.count("envoyée depuis vos brouillons") == 1


def test_a_deleted_draft_is_told_and_not_made_again(asso):
    take_draft(asso)

    look(asso)
    look(asso)
    look(asso)

    assert "Brouillons" not in asso.folders()
    assert "brouillon supprimé" in board_of(asso)
    assert asso.digest().get_body(("html",)).get_content().count("brouillon supprimé") == 1


def test_an_edited_draft_still_waits(asso):
    asso.append("Brouillons", sent_without_our_header(take_draft(asso)))

    look(asso)
    look(asso)

    assert "Brouillons à relire" in asso.digest().get_body(("html",)).get_content()


def test_a_draft_between_two_folders_is_not_taken_for_deleted(asso):
    octets = take_draft(asso)
    asso.clock.later(minutes=1)
    asso.run_pass()

    asso.append("Envoyés", octets)
    look(asso)

    assert "envoyée" in board_of(asso)
    assert "supprimé" not in asso.digest().get_body(("html",)).get_content()
