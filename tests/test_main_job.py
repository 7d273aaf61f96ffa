"""The whole job through the real program, Dovecot and Postfix: `check`, `once`, again `once`."""

from __future__ import annotations

import hashlib
import json
from email import message_from_bytes, policy

import pytest

from real_association import MESSAGES, Association


@pytest.mark.real
def test_the_sample_messages_go_their_way_on_dovecot_and_postfix(tmp_path, dovecot, postfix):
    association = Association(tmp_path, dovecot, postfix)
    delivered = [association.append(path.read_bytes()) for path in sorted(MESSAGES.glob("*.eml"))]

    check = association.run("check")
    once = association.run("once", "--json")
    again = association.run("once", "--json")

    assert "WRONG" not in check.stdout
    ledger = json.loads(once.stdout)
    assert (ledger["messages"], ledger["filed"], ledger["left"], ledger["pending"]) == (13, 9, 4, 0)
    assert ledger["balances"]
    assert json.loads(again.stdout)["decided"] == 0
    folders = association.folders()
    assert folders["INBOX"] == 4
    assert folders["Candidatures/charge-de-mission-2024/Complètes"] == 8
    assert folders["Candidatures/charge-de-mission-2024/Hors délai"] == 1
    # The incomplete one was completed by its follow-up: its first mail followed it.
    filed = sorted((tmp_path / "archive").rglob("message*.eml"))
    hashes = {hashlib.sha256(path.read_bytes()).hexdigest() for path in filed}
    assert len(filed) == 8
    assert hashes < {hashlib.sha256(octets).hexdigest() for octets in delivered}


@pytest.mark.real
def test_a_reply_reaches_the_candidate_threaded_and_marked(tmp_path, dovecot, postfix):
    association = Association(tmp_path, dovecot, postfix)
    association.append((MESSAGES / "01-complete.eml").read_bytes())

    association.run("once")

    (octets,) = association.mail_of("claire.lefevre")
    reply = message_from_bytes(octets, policy=policy.default)
    assert reply["Auto-Submitted"] == "auto-replied"
    assert reply["In-Reply-To"] == f"<demo-01.{association.mark}@fresh.test>"
    assert reply["Subject"].startswith("Re: Candidature au poste")
    assert "Bonjour Claire Lefèvre," in reply.get_content()


@pytest.mark.real
def test_in_draft_mode_the_reply_waits_and_nothing_leaves(tmp_path, dovecot, postfix):
    association = Association(tmp_path, dovecot, postfix, mode="draft")
    association.append((MESSAGES / "03-cv-only.eml").read_bytes())

    association.run("once")
    association.run("once")

    assert association.folders()["Drafts"] == 1
    assert association.mail_of("thomas.moreau") == []
    with association.imap() as client:
        client.select_folder("Drafts", readonly=True)
        (found,) = client.fetch(client.search(), ["FLAGS", "BODY.PEEK[]"]).values()
    assert b"\\Draft" in found[b"FLAGS"]
    assert "lettre de motivation" in message_from_bytes(found[b"BODY[]"], policy=policy.default).get_content()


@pytest.mark.real
def test_other_mail_stays_unread_where_it_is(tmp_path, dovecot, postfix):
    association = Association(tmp_path, dovecot, postfix)
    for name in ("05-a-question", "06-an-invoice", "07-out-of-office", "08-a-bounce"):
        association.append((MESSAGES / f"{name}.eml").read_bytes())

    association.run("once")

    with association.imap() as client:
        client.select_folder("INBOX", readonly=True)
        flags = client.fetch(client.search(), ["FLAGS"])
    assert len(flags) == 4
    assert all(b"\\Seen" not in item[b"FLAGS"] for item in flags.values())
    store = (
        (tmp_path / "state" / "journal.db").read_bytes() + (tmp_path / "state" / "journal.db-wal").read_bytes()
        if (tmp_path / "state" / "journal.db-wal").exists()
        else (tmp_path / "state" / "journal.db").read_bytes()
    )
    for trace in (b"imprimerie", b"sophie.martin", b"Facture", "télétravail".encode(), b"paul.girard"):
        assert trace not in store
    assert list((tmp_path / "state" / "spool" / "direction").iterdir()) == []


@pytest.mark.real
@pytest.mark.parametrize("file", ["imap-password", "smtp-password"])
def test_check_tells_a_wrong_password_from_everything_else(tmp_path, dovecot, postfix, file):
    association = Association(tmp_path, dovecot, postfix)
    (tmp_path / file).write_text("wrong")

    ran = association.run("check", check=False)

    assert ran.returncode == 1
    wrong = [line for line in ran.stdout.splitlines() if line.startswith("WRONG")]
    assert len(wrong) == 1
    assert "refuses the login" in wrong[0]
    assert "wrong" not in wrong[0].removeprefix("WRONG")
    assert "b'" not in wrong[0]
