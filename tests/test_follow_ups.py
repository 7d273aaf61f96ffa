"""An application lives: what its candidate sends later, each situation of issue 5 as a scenario of the whole agent."""

from __future__ import annotations

import json
import re
from email import message_from_bytes, policy
from typing import TYPE_CHECKING

import pytest

from association import DIRECTRICE, OFFER, PARIS, SECOND_OFFER, SECRETARY, TUESDAY, association, candidature
from making import eml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from association import Association

COMPLETE = f"Candidatures/{OFFER}/Complètes"
INCOMPLETE = f"Candidatures/{OFFER}/Incomplètes"
LATE = f"Candidatures/{OFFER}/Hors délai"


@pytest.fixture
def asso(tmp_path: Path) -> Iterator[Association]:
    with association(tmp_path) as made:
        yield made


def receive(asso: Association, octets: bytes, **later: float) -> None:
    asso.clock.later(**later)
    asso.deliver(octets)
    asso.run_pass()


def records(asso: Association) -> list[dict]:
    found = [json.loads(path.read_text(encoding="utf-8")) for path in asso.archive.rglob("candidature.json")]
    return sorted(found, key=lambda record: record["number"])


def only_cv(name: str = "Paul Morin", **more: object) -> bytes:
    return candidature(name, bring=("cv",), message_id="<1@example.org>", **more)


def letter(name: str = "Paul Morin", **more: object) -> bytes:
    told = {
        "bring": ("letter",),
        "message_id": "<2@example.org>",
        "subject": "Ma lettre de motivation",
        "text": f"Bonjour,\n\nVoici la lettre de motivation que j'avais oubliée.\n\n{name}\n",
    }
    return candidature(name, **{**told, **more})


def our_reply(asso: Association) -> str:
    """The Message-ID of the latest reply."""
    return str(message_from_bytes(asso.replies[-1].octets, policy=policy.default)["Message-ID"])


def test_the_missing_letter_in_the_thread_completes_the_application(asso):
    receive(asso, only_cv())
    assert asso.where("<1@example.org>") == [INCOMPLETE]

    receive(asso, letter(answers=our_reply(asso), subject="Re: Candidature"), days=1)
    receive(asso, letter(answers=our_reply(asso), subject="Re: Candidature"), minutes=5)

    assert asso.reply_templates == ["incomplete", "completed"]
    assert asso.folders()[COMPLETE] == ["<1@example.org>", "<2@example.org>", "<2@example.org>"]
    (record,) = records(asso)
    assert record["application"]["status"] == "complete"
    assert [item for item in asso.files() if "/LM_" in item]


def test_the_missing_letter_outside_the_thread_from_the_same_address_does_too(asso):
    receive(asso, only_cv())

    receive(asso, letter(), days=1)

    assert asso.reply_templates == ["incomplete", "completed"]
    assert len(records(asso)) == 1


def test_the_missing_letter_from_another_address_in_the_thread_does_too(asso):
    receive(asso, only_cv())

    receive(asso, letter(address="paul@autre.example", answers=our_reply(asso), subject="Re: Candidature"), days=1)

    assert asso.reply_templates[0] == "incomplete"
    assert len(records(asso)) == 1
    assert records(asso)[0]["application"]["status"] == "complete"
    assert asso.reply_templates == ["incomplete", "completed"]


def test_a_name_alone_is_a_suggestion_and_joins_nothing(asso):
    receive(asso, only_cv())

    receive(asso, letter(address="paul.morin@autre.example"), days=1)

    assert asso.reply_templates.count("completed") == 0
    assert "peut-être la même personne" in " ".join(asso.digest().get_body(("plain",)).get_content().split())
    assert records(asso)[0]["application"]["status"] == "incomplete"


def test_a_second_version_of_a_cv_is_kept_beside_the_first_and_is_the_current_one(asso):
    receive(asso, candidature("Paul Morin", message_id="<1@example.org>"))

    newer = candidature(
        "Paul Morin",
        bring=("cv",),
        trade="social",
        subject="Mon CV mis à jour",
        text="Bonjour,\n\nVeuillez trouver ci-joint mon CV mis à jour, qui remplace le précédent.\n\nPaul Morin\n",
        message_id="<2@example.org>",
    )
    receive(asso, newer, days=1)

    (record,) = records(asso)
    versions = [(item["stored_as"], item["current"]) for item in record["files"] if item["document"]["kind"] == "cv"]
    assert versions == [("CV_MORIN-Paul.pdf", False), ("CV_MORIN-Paul_2.pdf", True)]
    assert asso.reply_templates == ["complete"]


def test_a_chaser_is_tied_to_its_application_listed_and_not_answered(asso):
    receive(asso, candidature("Paul Morin", message_id="<1@example.org>"))

    chaser = eml(
        from_="Paul Morin <paul.morin@example.org>",
        subject="Suite à ma candidature",
        text="Bonjour,\n\nAvez-vous bien reçu ma candidature au poste de chargé de mission ? "
        "Je reste sans nouvelles.\n\nPaul Morin\n",
        message_id="<2@example.org>",
    )
    receive(asso, chaser, days=1)

    assert asso.reply_templates == ["complete"]
    (record,) = records(asso)
    assert len(record["messages"]) == 2
    assert "Compléments reçus" in asso.digest().get_body(("html",)).get_content()


def test_the_same_message_to_both_addresses_is_one_application(asso):
    octets = candidature("Paul Morin", message_id="<1@example.org>")
    receive(asso, b"Received: from a by b; Tue, 13 Feb 2024 09:00:00 +0100\r\n" + octets)
    receive(asso, b"Received: from c by d; Tue, 13 Feb 2024 09:00:01 +0100\r\n" + octets, seconds=1)

    assert len(records(asso)) == 1
    assert asso.reply_templates == ["complete"]


def test_one_candidate_for_two_offers_is_two_applications(asso):
    receive(asso, candidature("Paul Morin", message_id="<1@example.org>"))

    second = candidature(
        "Paul Morin",
        subject="Candidature au poste de comptable, référence COMPTA-24",
        trade="comptable",
        message_id="<2@example.org>",
    )
    receive(asso, second, days=1)

    assert [record["application"]["offer"] for record in records(asso)] == [OFFER, SECOND_OFFER]
    assert asso.reply_templates == ["complete", "complete"]


def test_a_couple_at_one_address_are_two_candidates(asso):
    receive(asso, candidature("Paul Morin", address="famille.morin@example.org", message_id="<1@example.org>"))

    receive(
        asso, candidature("Jeanne Morin", address="famille.morin@example.org", message_id="<2@example.org>"), hours=1
    )

    assert [record["application"]["given"] for record in records(asso)] == ["Paul", "Jeanne"]
    assert asso.reply_templates == ["complete", "complete"]


def test_a_withdrawal_is_filed_answered_and_shown(asso):
    receive(asso, candidature("Paul Morin", message_id="<1@example.org>"))

    withdrawal = eml(
        from_="Paul Morin <paul.morin@example.org>",
        subject="Retrait de ma candidature",
        text="Madame,\n\nJe vous informe que je retire ma candidature au poste de chargé de mission.\n\nPaul Morin\n",
        message_id="<2@example.org>",
    )
    receive(asso, withdrawal, days=1)
    receive(asso, withdrawal.replace(b"<2@", b"<3@"), days=1)

    assert asso.reply_templates == ["complete", "withdrawn"]
    (record,) = records(asso)
    assert record["application"]["withdrawn_at"]
    assert "retirée" in (asso.archive / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("rule", "status", "templates"),
    [
        ("accept", "complete", ["incomplete", "completed"]),
        ("flag", "complete", ["incomplete", "completed"]),
        ("refuse", "incomplete", ["incomplete"]),
    ],
)
def test_a_piece_after_the_deadline_follows_the_rule_of_the_offer(tmp_path, rule, status, templates):
    with association(tmp_path, offer=f'late_documents = "{rule}"\n') as asso:
        receive(asso, only_cv())

        receive(asso, letter(), days=4)

        (record,) = records(asso)
        assert (record["application"]["status"], record["application"]["timing"]) == (status, "on_time")
        assert asso.reply_templates == templates
        noted = any("après la date limite" in note for note in record["application"]["notes"])
        assert noted is (rule != "accept")


def test_a_reply_that_bounces_is_told_and_shown(asso):
    receive(asso, candidature("Paul Morin", message_id="<1@example.org>"))
    original = asso.replies[0].octets
    boundary = "b0"
    report = (
        (
            f"From: Mail Delivery System <MAILER-DAEMON@mx.example.org>\nTo: {DIRECTRICE}\n"
            "Return-Path: <>\nSubject: Undelivered Mail Returned to Sender\nMessage-ID: <dsn@mx.example.org>\n"
            "Auto-Submitted: auto-replied\nMIME-Version: 1.0\nDate: Tue, 13 Feb 2024 09:05:00 +0100\n"
            f'Content-Type: multipart/report; report-type=delivery-status; boundary="{boundary}"\n\n'
            f"--{boundary}\nContent-Type: text/plain\n\nThe mail system: user unknown\n\n"
            f"--{boundary}\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.org\n\n"
            "Final-Recipient: rfc822; paul.morin@example.org\nAction: failed\nStatus: 5.1.1\n\n"
            f"--{boundary}\nContent-Type: message/rfc822\n\n"
        ).encode()
        + original
        + f"\n--{boundary}--\n".encode()
    )
    receive(asso, report, minutes=5)

    assert "adresse injoignable" in (asso.archive / "index.html").read_text(encoding="utf-8")
    html = asso.digest().get_body(("html",)).get_content()
    assert "revenue" in html
    assert asso.where("<dsn@mx.example.org>") == ["INBOX"]
    assert len(asso.replies) == 1


def test_a_late_application_is_told_so_once_and_its_chaser_is_for_a_person(asso):
    asso.clock.moment = TUESDAY.replace(day=20)
    receive(asso, only_cv())

    receive(asso, letter(), hours=1)

    assert asso.reply_templates == ["late"]
    assert asso.where("<1@example.org>") == [LATE]
    assert asso.where("<2@example.org>") == [LATE]


def test_the_night_of_the_deadline_is_judged_in_paris(asso):
    receive(asso, candidature("Paul Morin", message_id="<1@example.org>"))
    asso.deliver(
        candidature("Anne Petit", message_id="<2@example.org>"), TUESDAY.replace(day=14, hour=23, minute=59, second=59)
    )
    asso.deliver(candidature("Yves Roux", message_id="<3@example.org>"), TUESDAY.replace(day=16, hour=0, tzinfo=PARIS))
    asso.run_pass()

    timings = [record["application"]["timing"] for record in records(asso)]
    assert timings == ["on_time", "on_time", "late"]


def test_a_follow_up_before_its_application_is_known_is_listed_and_not_answered(asso):
    receive(asso, letter(answers="<inconnu@example.org>", subject="Re: Candidature"))

    assert asso.reply_templates in ([], ["incomplete"])
    assert asso.journal.ledger().balances


def test_a_reply_to_staff_by_the_secretary_changes_nothing(asso):
    receive(asso, candidature("Paul Morin", message_id="<1@example.org>"))

    internal = eml(
        from_=f"Hélène Dugué <{SECRETARY}>",
        to=DIRECTRICE,
        cc=None,
        subject="Re: Candidature de Paul Morin",
        text="On le reçoit mardi ?\nHélène\n",
        message_id="<interne@villesaucarre.org>",
        headers={"In-Reply-To": "<1@example.org>", "References": "<1@example.org>"},
    )
    receive(asso, internal, hours=1)

    assert asso.where("<interne@villesaucarre.org>") == ["INBOX"]
    assert asso.reply_templates == ["complete"]
    assert not re.search("interne", json.dumps(records(asso)))


def test_mail_of_a_candidate_that_tells_nothing_is_shown_to_a_person_and_that_of_others_stays(asso):
    receive(asso, candidature("Paul Morin", message_id="<1@example.org>"))

    for number, writer in ((2, "Paul Morin <paul.morin@example.org>"), (3, "Anne Roux <anne.roux@example.org>")):
        words = "Bonjour,\n\nTours attendra, finalement.\nBon courage pour la suite.\n"
        receive(
            asso,
            eml(
                from_=writer, to=DIRECTRICE, cc=None, subject="Hélas", text=words, message_id=f"<{number}@example.org>"
            ),
            days=1,
        )

    assert asso.where("<2@example.org>") == ["Candidatures/À vérifier"]
    assert asso.where("<3@example.org>") == ["INBOX"]
    assert asso.reply_templates == ["complete"]
    assert "n° 1 : peut-être à son sujet" in " ".join(asso.digest().get_body(("plain",)).get_content().split())
    assert asso.journal.ledger().balances
