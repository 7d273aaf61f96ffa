"""RFC 3834 and RFC 5230 for the whole program: the 51 cases of Pigeonhole's vacation tests, by their names.

Each case is a real application with something about it changed, and all go through one pass: who was answered, and
how, is what the SMTP server took. Where the answer differs, or there is nothing to ask, NOT_HERE says why.
"""

from __future__ import annotations

import email
import email.policy
import re

import pytest

from laboratory import DIRECTOR, Mail, samples

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

FROM_ELSEWHERE = "Reply to sender", "Reply to unknown", "Reply to (ignored envelope)"
LONG_IDS = (
    "<d660a7d1-43c9-47ea-a59a-0b29abc861d2@frop.example>",
    "<500510465.1519.d2ac1c0c-08f7-44fd-97aa-dd711411aacf.frobnitzm@dev.frobnitzm.example>",
    "<717028309.1200.aa78bea5-b5bc-4ab9-a64f-af96521e3af3.frobnitzm@dev.frobnitzm.example>",
    "<1813483923.1202.aa78bea5-b5bc-4ab9-a64f-af96521e3af3.frobnitzm@dev.frobnitzm.example>",
)
RUSSIAN = "Candidature : Я могу есть стекло, оно мне не вредит."
JAPANESE = "以つわづ聞65絵げま公存ょ愛益" * 30

# name → (fields in front of the message, address of the sender or None for a person's, whether there is a reply).
# A field that is there already is replaced; "-Subject" takes one away.
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
    "Reply for :addresses (case sensitivity)": ("To: MarieNoelle.Pinson@VillesAuCarre.org", None, True),
    "Reply for original recipient": ("X-Original-To: all@example.org\r\nTo: all@example.org", None, True),
    "Reply for user's explicitly configured email address": (f"To: {DIRECTOR}\r\nDelivered-To: x@y.test", None, True),
    "Reply for any recipient": ("To: all@example.org", None, True),
    # smtp.svtest
    "Basic": ("Return-Path: <{address}>", None, True),
    "Null Sender": ("Return-Path: <>", None, False),
    "Envelope.to == To": (f"Delivered-To: {DIRECTOR}\r\nTo: {DIRECTOR}\r\nCc: x@example.org", None, True),
    "Envelope.to != To": ("Delivered-To: autre@villesaucarre.org", None, True),
    "Cc": (f"To: x@example.org\r\nCc: {DIRECTOR}", None, True),
    "Bad recipient address (from message)": ("To: nicëøôçêè—öxample.org", None, True),
    "Bad recipient address (from envelope)": ("Delivered-To: nicëøôçêè—öxample.org", None, True),
    # message.svtest
    "Subject": ("Subject: No subject of discussion", None, True),
    "No subject": ("-Subject", None, True),
    "Extremely long subject": ("Subject: Candidature" + "\r\n tres tres long" * 600, None, True),
    "Extremely long japanese subject": (f"Subject: {JAPANESE}", None, True),
    "Reply to": ("", None, True),
    "Reply to sender": (
        'Sender: "Hendrik-Jan" <h.j@example.org>\r\nReturn-Path: <h.j@example.org>',
        None,
        True,
    ),
    "Reply to unknown": ("Return-Path: <arie.aardappel@example.org>", None, True),
    "Reply to (ignored envelope)": ("Return-Path: <srs0=hmc8=v7=example.com=arie@example.org>", None, True),
    "References": (
        "References: <1234@local.machine.example> <3456@example.net>\r\n <435444@ttms.example.org>",
        None,
        True,
    ),
    "References - long IDs": ("References: " + "\r\n ".join(LONG_IDS), None, True),
    "In-Reply-To": ("", None, True),
    "Variables": ("", None, True),
    "Send from recipient": ("", None, True),
    # utf-8.svtest
    "UTF-8 Subject": (f"Subject: {RUSSIAN}", None, True),
    "MIME Encoded Subject": ("Subject: Candidature =?utf-8?b?w4TDlsOc?= sadasd", None, True),
    "MIME Encoded From": ("", None, True),
    "MIME Encoded From - UTF-8 in phrase": ("", None, True),
    # execute.svtest
    "Action": ("", None, True),
    # RFC 3834 section 2 and 4: many, or elsewhere.
    "No reply to several Reply-To": ("Reply-To: a@example.org, b@example.org", None, False),
    "No reply to a Reply-To of ours": (f"Reply-To: {DIRECTOR}", None, False),
    "No reply to our own reply": ("X-Inbox-Agent-Ref: 0123456789abcdef", None, False),
    "No reply to a delivery report": ("X-Failed-Recipients: x@example.org", None, False),
    "No reply to feedback loops": ("Feedback-ID: 1:2:3:example", None, False),
}


# Of Pigeonhole's names, those that ask nothing here, or to which the answer is another one.
NOT_HERE = {
    "Action conflicts: reject <-> vacation": "nothing here rejects mail",
    "Action conflicts: vacation <-> reject": "the same",
    "No :handle specified": "a reply's handle is its Message-ID, made of application and template: I3, test_crash.py",
    "Using :seconds tag": "there is no period after which the same is said again",
    "Subject - explicit": "the subject is the candidate's own after Re:, and no setting changes it",
    "Subject - configured, no subject": "the same",
    "Subject - configured": "the same",
    "Subject - configured, full variable": "the same",
    "NULL Sender": "a bounce must come back, so that the register shows it; it is never answered. Send from recipient",
    "No reply for implicitly delivered message": "an application by an alias or a blind copy is one: any recipient",
    "No reply for original recipient": "the same",
}
PIGEONHOLE = """
Action conflicts: reject <-> vacation; Action conflicts: vacation <-> reject; Action; No :handle specified;
Using :seconds tag; Subject; Subject - explicit; Subject - configured, no subject; Subject - configured;
Subject - configured, full variable; No subject; Extremely long subject; Extremely long japanese subject; Reply to;
Reply to sender; Reply to unknown; Reply to (ignored envelope); References; References - long IDs; In-Reply-To;
Variables; NULL Sender; Send from recipient; No reply to own address; No reply to alternative address;
No reply to mailing list; No reply to bulk mail; No reply to auto-submitted mail;
No reply to Microsoft X-Auto-Response-Suppress - All; No reply to Microsoft X-Auto-Response-Suppress - OOF;
No reply to Microsoft X-Auto-Response-Suppress - DR,OOF,RN; No reply to system address;
No reply for implicitly delivered message; No reply for original recipient; Reply for normal mail;
Reply for :addresses; Reply for :addresses (case sensitivity); Reply for original recipient;
Reply for user's explicitly configured email address; Reply for any recipient; Basic; Null Sender; Envelope.to == To;
Envelope.to != To; Cc; Bad recipient address (from message); Bad recipient address (from envelope); UTF-8 Subject;
MIME Encoded Subject; MIME Encoded From; MIME Encoded From - UTF-8 in phrase
"""


def address_of(name: str) -> str:
    word = re.sub(r"\W+", "", name.replace("!=", "not").lower())
    return CASES[name][1] or f"c{word}@example.org"


def case(name: str) -> Mail:
    fields, _, _ = CASES[name]
    octets = samples("03")[0].octets
    address = address_of(name).encode()
    octets = octets.replace(b"thomas.moreau@example.org", address)
    identifier = re.sub(r"\W+", "", name.replace("!=", "Not")).encode()
    octets = octets.replace(b"<demo-03@example.org>", b"<%b@example.org>" % identifier)
    octets = octets.replace(b"MOREAU Thomas", b"MOREAU " + identifier)
    for field in re.findall(r"^-?(To|Cc|Subject)\b", fields, re.MULTILINE):
        octets = re.sub(rb"(?mi)^%b:.*\r\n(?:[ \t].*\r\n)*" % field.encode(), b"", octets, count=1)
    if fields and not fields.startswith("-"):
        octets = fields.format(address=address.decode()).encode() + b"\r\n" + octets
    return Mail(name, octets, 5)


def test_every_name_of_pigeonhole_is_a_case_or_says_why_not():
    names = [" ".join(name.split()) for name in PIGEONHOLE.split(";")]
    assert len(set(names)) == 51
    assert set(names) <= CASES.keys() | NOT_HERE.keys()
    assert not CASES.keys() & NOT_HERE.keys()
    assert NOT_HERE.keys() <= set(names)


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
    require_threads(replies)
    require_subjects(replies)
    for reply in replies.values():
        assert reply["Auto-Submitted"] == "auto-replied"
        assert reply["X-Auto-Response-Suppress"] == "All"
        assert len(reply["To"].addresses) == 1
        # MIME Encoded From, both; Envelope.to == To and != To; Cc: always the organisation's one address.
        assert reply["From"] == f"Villes au Carré <{DIRECTOR}>"
    # Reply to: whoever typed or passed it on, the candidate is who is answered.
    for name in FROM_ELSEWHERE:
        assert replies[address_of(name)]["To"] == address_of(name)
    # Variables.
    assert "Villes au Carré" in replies[address_of("Variables")].get_content()
    # Send from recipient: a bounce comes back to us.
    envelopes = lab.rows("SELECT DISTINCT json_extract(payload, '$.envelope_from') FROM acts WHERE kind = 'send'")
    assert envelopes == [(DIRECTOR,)]
    # Action: what is answered is filed too, and moved.
    filed = [path for path in lab.archive() if path.endswith(".eml")]
    assert len(filed) >= len(replies)


def require_threads(replies) -> None:
    reply = replies[address_of("References")]
    assert reply["In-Reply-To"] == "<References@example.org>"
    for identifier in ("1234@local.machine.example", "3456@example.net", "435444@ttms.example.org", "References@"):
        assert identifier in reply["References"]
    assert set(LONG_IDS) < set(replies[address_of("References - long IDs")]["References"].split())
    assert replies[address_of("In-Reply-To")]["In-Reply-To"] == "<InReplyTo@example.org>"


def require_subjects(replies) -> None:
    """Cut, not refused; decoded and encoded, never twice."""
    said = {name: replies[address_of(name)]["Subject"] for name, (_, _, reply) in CASES.items() if reply}
    assert said["Subject"] == "Re: No subject of discussion"
    assert said["No subject"] == "Re: votre candidature"
    assert 10 < len(said["Extremely long subject"]) < 250
    assert 100 < len(said["Extremely long japanese subject"]) < 250
    assert said["Extremely long japanese subject"].endswith("\N{HORIZONTAL ELLIPSIS}")
    assert said["UTF-8 Subject"] == f"Re: {RUSSIAN}"
    assert said["MIME Encoded Subject"] == "Re: Candidature ÄÖÜ sadasd"


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
