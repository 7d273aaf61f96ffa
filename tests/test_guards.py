"""RFC 3834, RFC 5230 and the cases of Pigeonhole's vacation tests, by name."""

from __future__ import annotations

import pytest
from inbox_agent.guards import is_system_name, never_answer
from inbox_agent.offer import Staff
from inbox_agent.parse import parse

STAFF = Staff(frozenset({"director@villes.example"}), frozenset({"villes.example"}))


def mail(*fields: str, sender: str = "Jeanne Dupont <jeanne@example.org>") -> bytes:
    head = [f"From: {sender}", "To: director@villes.example", "Subject: Candidature", "Message-ID: <a@example.org>"]
    return "\r\n".join([*head, *fields, "", "Bonjour"]).encode()


def reason(*fields: str, sender: str = "Jeanne Dupont <jeanne@example.org>") -> str | None:
    return never_answer(parse(mail(*fields, sender=sender)), STAFF)


def test_a_person_may_be_answered():
    assert reason("Return-Path: <jeanne@example.org>", "Auto-Submitted: no", "X-Mailer: Outlook") is None


@pytest.mark.parametrize(
    "field",
    [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: auto-generated; owner-email=x@example.org",
        "AUTO-SUBMITTED: Auto-Notified",
        "Return-Path: <>",
        "List-Id: <list.example.org>",
        "List-Unsubscribe: <mailto:stop@example.org>",
        "List-Post: <mailto:list@example.org>",
        "List-Help: <mailto:help@example.org>",
        "List-Owner: <mailto:owner@example.org>",
        "List-Archive: <https://example.org>",
        "List-Subscribe: <mailto:join@example.org>",
        "Precedence: bulk",
        "Precedence: list",
        "Precedence: Junk",
        "X-Auto-Response-Suppress: All",
        "X-Auto-Response-Suppress: OOF",
        "X-Auto-Response-Suppress: DR, OOF, RN",
        "X-Autoreply: yes",
        "X-Failed-Recipients: x@example.org",
        "X-Inbox-Agent-Ref: 1",
        "Content-Type: multipart/report; boundary=x; report-type=delivery-status",
        "Content-Type: text/calendar; method=REPLY",
        "Reply-To: a@example.org, b@example.org",
        "Reply-To: director@villes.example",
        "Reply-To: noreply@example.org",
        "Sender: owner-list@example.org",
    ],
)
def test_nobody_is_answered_after(field):
    assert reason(field)


@pytest.mark.parametrize(
    "local",
    [
        "MAILER-DAEMON",
        "LISTSERV",
        "majordomo",
        "postmaster",
        "owner-list",
        "list-request",
        "noreply",
        "no-reply",
        "ne-pas-repondre",
        "nepasrepondre",
        "do_not_reply",
        "bounces+123",
        "indeed-noreply",
    ],
)
def test_a_system_address_is_never_answered(local):
    assert reason(sender=f"X <{local}@example.org>")
    assert is_system_name(f"{local}@example.org".lower())


@pytest.mark.parametrize(
    "local", ["jeanne", "norbert.repond", "jean-noel", "request.marie", "marie.postel", "donatien"]
)
def test_a_persons_address_is_no_system_address(local):
    assert not is_system_name(f"{local}@example.org")


def test_our_own_addresses_are_never_answered():
    assert reason(sender="Director <DIRECTOR@villes.example>") == "sent from one of our own addresses"
    assert reason(sender="Scanner <scan+1@villes.example>")


def test_a_message_without_a_sender_is_never_answered():
    octets = b"To: director@villes.example\r\nSubject: x\r\n\r\nBonjour"

    assert never_answer(parse(octets), STAFF) == "there is no sender to answer"


def test_a_reply_to_of_ones_own_elsewhere_is_no_reason_for_silence():
    assert reason("Reply-To: jeanne.dupont@gmail.example") is None
