"""RFC 3834 and RFC 5230 for the whole program: the cases of Pigeonhole's vacation tests, by their names.

Each case is a real application with something about it changed, and all go through one pass: who was answered is
what the SMTP server took. Cases of Pigeonhole's own language (errors, variables, :handle, :mime) have no like here.
"""

from __future__ import annotations

import email
import email.policy
import re

import pytest

from laboratory import DIRECTOR, Mail, samples

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

# name → (fields in front of the message, address of the sender or None for a person's, whether there is a reply).
CASES: dict[str, tuple[str, str | None, bool]] = {
    # reply.svtest
    "No reply to own address": ("", DIRECTOR, False),
    "No reply to alternative address": ("", "accueil@villesaucarre.org", False),
    "No reply to mailing list": ("List-ID: <dovecot.lists.example.com>", None, False),
    "No reply to mailing list (bounces)": (
        "Return-Path: <dovecot-bounces+timo=example.com@lists.example.com>",
        None,
        False,
    ),
    "No reply to bulk mail": ("Precedence: bulk", None, False),
    "No reply to junk mail": ("Precedence: junk", None, False),
    "No reply to list mail": ("Precedence: list", None, False),
    "No reply to auto-submitted mail": ("Auto-submitted: yes", None, False),
    "No reply to auto-replied mail": ("Auto-Submitted: auto-replied", None, False),
    "No reply to auto-generated mail with parameters": ("Auto-Submitted: auto-generated; type=x", None, False),
    "No reply to Microsoft X-Auto-Response-Suppress - All": ("X-Auto-Response-Suppress: All", None, False),
    "No reply to Microsoft X-Auto-Response-Suppress - OOF": ("X-Auto-Response-Suppress: OOF", None, False),
    "No reply to Microsoft X-Auto-Response-Suppress - DR,OOF,RN": (
        "X-Auto-Response-Suppress: DR,OOF,RN",
        None,
        False,
    ),
    "No reply to system address": ("Return-Path: <dovecot-request@lists.example.com>", None, False),
    "No reply to owner-": ("", "owner-liste@example.org", False),
    "No reply to -request": ("", "liste-request@example.org", False),
    "No reply to MAILER-DAEMON": ("", "MAILER-DAEMON@example.org", False),
    "No reply to LISTSERV": ("", "LISTSERV@example.org", False),
    "No reply to majordomo": ("", "majordomo@example.org", False),
    "No reply to noreply": ("", "no-reply@example.org", False),
    "No reply to List-Unsubscribe": ("List-Unsubscribe: <mailto:stop@example.org>", None, False),
    "Reply for normal mail": ("Auto-submitted: no\r\nPrecedence: normal", None, True),
    "Reply for :addresses": ("X-Original-To: jobs@villesaucarre.org", None, True),
    # smtp.svtest
    "Basic": ("Return-Path: <{address}>", None, True),
    "Null Sender": ("Return-Path: <>", None, False),
    # message.svtest
    "References": (
        "References: <1234@local.machine.example> <3456@example.net>\r\n <435444@ttms.example.org>",
        None,
        True,
    ),
    "Extremely long subject": ("", None, True),
    # RFC 3834 section 2 and 4: many, or elsewhere.
    "No reply to several Reply-To": ("Reply-To: a@example.org, b@example.org", None, False),
    "No reply to a Reply-To of ours": (f"Reply-To: {DIRECTOR}", None, False),
    "No reply to our own reply": ("X-Inbox-Agent-Ref: 0123456789abcdef", None, False),
    "No reply to a delivery report": ("X-Failed-Recipients: x@example.org", None, False),
    "No reply to feedback loops": ("Feedback-ID: 1:2:3:example", None, False),
}


def address_of(name: str) -> str:
    return CASES[name][1] or "c" + re.sub(r"\W+", "", name.lower()) + "@example.org"


def case(name: str) -> Mail:
    fields, _, _ = CASES[name]
    octets = samples("03")[0].octets
    address = address_of(name).encode()
    octets = octets.replace(b"thomas.moreau@example.org", address)
    identifier = re.sub(rb"\W+", b"", name.encode())
    octets = octets.replace(b"<demo-03@example.org>", b"<%b@example.org>" % identifier)
    octets = octets.replace(b"MOREAU Thomas", b"MOREAU " + identifier)
    if name == "Extremely long subject":
        octets = re.sub(rb"Subject: ([^\r]*)", rb"Subject: \1" + b"\r\n tres tres long" * 600, octets, count=1)
    if name.startswith("No reply to our own") or fields:
        octets = fields.format(address=address.decode()).encode() + b"\r\n" + octets
    return Mail(name, octets, 5)


def test_every_case_by_name(laboratory):
    lab = laboratory()
    lab.deliver(*(case(name) for name in CASES))
    assert lab.once() == 0, lab.errors()
    recipients = [recipient for recipient, _, _ in lab.sink.replies()]
    assert {name: address_of(name) in recipients for name in CASES} == {name: CASES[name][2] for name in CASES}
    assert len(recipients) == len(set(recipients)) == sum(reply for _, _, reply in CASES.values())
    replies = {
        envelope[0]: email.message_from_bytes(octets, policy=email.policy.default)
        for envelope, octets in lab.sink.accepted
    }
    # In-Reply-To and References (message.svtest).
    reply = replies[address_of("References")]
    assert reply["In-Reply-To"] == "<References@example.org>"
    for identifier in ("1234@local.machine.example", "3456@example.net", "435444@ttms.example.org", "References@"):
        assert identifier in reply["References"]
    # Extremely long subject (message.svtest): cut, not refused.
    assert 10 < len(replies[address_of("Extremely long subject")]["Subject"]) < 250
    for reply in replies.values():
        assert reply["Auto-Submitted"] == "auto-replied"
        assert reply["X-Auto-Response-Suppress"] == "All"
        assert len(reply["To"].addresses) == 1


def test_our_replies_are_never_answered_by_another_agent(laboratory):
    """What one agent says is no application for another, even with an application quoted below it."""
    lab = laboratory()
    lab.deliver(*samples("01", "03"))
    assert lab.once() == 0, lab.errors()
    ours = [octets for _, octets in lab.sink.accepted]
    assert len(ours) == 2
    other = laboratory()
    other.deliver(*(Mail(f"ours-{number}", octets, 1) for number, octets in enumerate(ours)))
    assert other.once() == 0, other.errors()
    assert other.sink.replies() == []
