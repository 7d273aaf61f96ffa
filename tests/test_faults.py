"""Connections cut, reset, stalled and slowed at each step of IMAP and SMTP, by a proxy before real servers.

What must hold: the error is one to try again after (or one of doubt, once the dot went out), it comes in time,
and afterwards every message is in exactly one place, octet by octet.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from imapclient import IMAPClient
from inbox_agent.adapters.imap import ImapMailbox, ImapSettings, PasswordLogin
from inbox_agent.adapters.servers import demo_servers
from inbox_agent.adapters.smtp import SmtpSender, SmtpSettings
from inbox_agent.errors import SendUnknownError, TlsError, TryAgainError

from servers.proxy import Fault

MAIL = b"Message-ID: <one@example.org>\r\nSubject: Candidature\r\n\r\n" + b"".join(b"%06d\r\n" % n for n in range(2000))
PATIENCE = 0.7  # seconds for one recv
IN_TIME = 5.0  # seconds until an error must have come, far below the defaults

IMAP_STEPS = {
    "greeting": Fault("cut", pattern=rb"^\* OK", before=True),
    "capabilities": Fault("cut", pattern=rb"\* CAPABILITY", before=True),
    "login is sent": Fault("cut", "to_server", pattern=rb" LOGIN ", before=True),
    "login is answered": Fault("cut", "to_server", pattern=rb" LOGIN [^\r]*\r\n"),
    "select is sent": Fault("cut", "to_server", pattern=rb" SELECT ", before=True),
    "select is half answered": Fault("cut", pattern=rb"UIDVALIDITY"),
    "search is answered": Fault("cut", pattern=rb"\* SEARCH", before=True),
    "within the literal": Fault("cut", pattern=rb"000999\r\n"),
    "behind the literal": Fault("cut", pattern=rb"001999\r\n"),
    "move is sent": Fault("cut", "to_server", pattern=rb" UID MOVE ", before=True),
    "move is half sent": Fault("cut", "to_server", pattern=rb" UID MOVE \d"),
    "move is done, nothing told": Fault("cut", pattern=rb"\[COPYUID", before=True),
    "move is done, its OK lost": Fault("cut", pattern=rb"\* 1 EXPUNGE", before=True),
    "idle begins": Fault("cut", pattern=rb"\+ [iI]dling", before=True),
    "within idle": Fault("cut", pattern=rb"\+ [iI]dling[^\r]*\r\n"),
    "idle ends": Fault("cut", "to_server", pattern=rb"DONE\r\n", before=True),
}


@pytest.fixture(scope="module")
def pymap():
    with demo_servers({f"{n}@fresh.test": "fresh" for n in range(200)}) as servers:
        servers_users = iter(range(200))
        yield servers.imap_port, lambda: f"{next(servers_users)}@fresh.test"


@pytest.fixture(params=["pymap", pytest.param("dovecot", marks=pytest.mark.real)])
def account(request):
    """A mailbox with one message, straight and through a proxy."""
    if request.param == "pymap":
        port, new_user = request.getfixturevalue("pymap")
        user = new_user()
    else:
        port, user = request.getfixturevalue("dovecot").imap, f"{uuid.uuid4().hex}@fresh.test"
    with IMAPClient("127.0.0.1", port, ssl=False, timeout=10) as client:
        client.login(user, "fresh")
        client.append("INBOX", MAIL, msg_time=datetime(2024, 2, 14, 12, tzinfo=UTC))
    proxy = request.getfixturevalue("proxied")(port)
    direct = ImapSettings("127.0.0.1", port, "none", PasswordLogin(user, "fresh"), read_timeout=10)
    return (
        direct,
        replace(direct, port=proxy.port, connect_timeout=1, read_timeout=PATIENCE, command_timeout=1.5),
        proxy,
    )


def session(settings):
    """All that the agent does in a poll; whether the move was told as done."""
    mailbox = ImapMailbox.connect(settings)
    try:
        mailbox.select("INBOX")
        uids = mailbox.list_uids(1)
        for _, octets in mailbox.fetch([item.uid for item in mailbox.listed(uids)]):
            assert octets == MAIL
        moved = mailbox.move(uids, "Candidatures/À vérifier")
        mailbox.wait(0.05)
        return bool(uids) and None not in moved.values()
    finally:
        mailbox.close()


def holding(settings):
    """Where the message is, by a connection without faults."""
    mailbox = ImapMailbox.connect(settings)
    places = []
    for folder in ("INBOX", "Candidatures/À vérifier"):
        if mailbox.state(folder) is not None:
            mailbox.select(folder)
            places += [folder for _, octets in mailbox.fetch(mailbox.list_uids(1)) if octets == MAIL]
    mailbox.close()
    return places


@pytest.mark.parametrize("what", ["cut", "reset", "stall"])
@pytest.mark.parametrize("step", IMAP_STEPS)
def test_imap_broken_off_at_a_step_is_tried_again_and_loses_nothing(account, step, what):
    direct, through, proxy = account
    proxy.fault = replace(IMAP_STEPS[step], what=what)
    start = time.monotonic()
    with pytest.raises(TryAgainError) as error:
        session(through)
    assert time.monotonic() - start < IN_TIME
    assert f"127.0.0.1:{proxy.port}" in str(error.value)
    assert proxy.fault.struck == 1
    assert len(holding(direct)) == 1
    session(through)  # The proxy breaks off once: this is the next try.
    assert holding(direct) == ["Candidatures/À vérifier"]


@pytest.mark.parametrize("share", [n / 20 for n in range(20)])
def test_imap_cut_at_any_octet_is_tried_again_and_loses_nothing(account, share):
    direct, through, proxy = account
    proxy.fault = Fault("cut", octets=20 + int(share * (len(MAIL) + 1200)))
    with pytest.raises(TryAgainError):
        session(through)
    assert len(holding(direct)) == 1
    session(through)
    assert holding(direct) == ["Candidatures/À vérifier"]


@pytest.mark.parametrize("pattern", [rb"^", rb"UIDVALIDITY", rb"000999", rb"\+ [iI]dling"])
def test_imap_slowed_to_an_octet_at_a_time_ends_in_time(account, pattern):
    direct, through, proxy = account
    proxy.fault = Fault("trickle", pattern=pattern, seconds=0.1)
    start = time.monotonic()
    with pytest.raises(TryAgainError, match="too slow"):
        session(through)
    assert time.monotonic() - start < IN_TIME
    assert len(holding(direct)) == 1


def test_imap_delayed_below_the_limit_is_no_error(account):
    direct, through, proxy = account
    proxy.fault = replace(IMAP_STEPS["within the literal"], what="delay", seconds=PATIENCE / 2)
    assert session(through) is True
    assert holding(direct) == ["Candidatures/À vérifier"]


def test_a_move_that_was_done_but_not_told_is_found_in_the_target(account):
    """How execute recovers: nothing in the source, and the target holds it from the recorded UIDNEXT on."""
    direct, through, proxy = account
    proxy.fault = replace(IMAP_STEPS["move is done, nothing told"])
    before = ImapMailbox.connect(direct)
    recorded = before.state("Candidatures/À vérifier")
    before.close()
    with pytest.raises(TryAgainError):
        session(through)
    mailbox = ImapMailbox.connect(direct)
    mailbox.select("INBOX")
    (uid,) = mailbox.find("Candidatures/À vérifier", "<one@example.org>")
    assert uid >= (recorded.uidnext if recorded else 1)
    assert mailbox.list_uids(1) == []
    mailbox.close()


@pytest.mark.real
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("cut", "to_server", pattern=rb"STARTTLS", before=True), TryAgainError),
        (Fault("cut", pattern=rb"OK Begin TLS", before=True), TryAgainError),
        (Fault("cut", pattern=rb"OK Begin TLS[^\r]*\r\n"), TryAgainError),
        (Fault("reset", "to_server", pattern=rb"STARTTLS\r\n.{40}"), TryAgainError),
        (Fault("stall", pattern=rb"OK Begin TLS[^\r]*\r\n"), TryAgainError),
        (Fault("cut", pattern=rb"OK Begin TLS[^\r]*\r\n.{900}"), TryAgainError),
    ],
)
def test_imap_broken_off_around_starttls_is_tried_again(dovecot, proxied, fault, kind):
    proxy = proxied(dovecot.imap)
    proxy.fault = fault
    login = PasswordLogin("director@lab.test", "dirpw")
    settings = ImapSettings("127.0.0.1", proxy.port, "starttls", login, dovecot.ca_file, read_timeout=1)
    with pytest.raises(kind):
        ImapMailbox.connect(settings)
    assert proxy.fault.struck == 1
    ImapMailbox.connect(settings).close()


@pytest.mark.real
def test_imap_whose_starttls_somebody_strips_is_not_used(dovecot, proxied):
    proxy = proxied(dovecot.imap)
    proxy.change = lambda way, octets: octets.replace(b"STARTTLS", b"XTARTTLS") if way == "to_client" else octets
    login = PasswordLogin("director@lab.test", "dirpw")
    with pytest.raises(TlsError, match="somebody may listen on the line"):
        ImapMailbox.connect(ImapSettings("127.0.0.1", proxy.port, "starttls", login, dovecot.ca_file))
    assert b"dirpw" not in proxy.seen["to_server"]


REPLY = b"Message-ID: <reply@x.fr>\r\nSubject: Re: x\r\n\r\n" + b"Bonjour\r\n" * 50
SMTP_STEPS = {
    "greeting": (Fault("cut", pattern=rb"^220", before=True), TryAgainError, 0),
    "ehlo is answered": (Fault("cut", pattern=rb"250[ -]", before=True), TryAgainError, 0),
    "mail is sent": (Fault("cut", "to_server", pattern=rb"MAIL", before=True), TryAgainError, 0),
    "mail is answered": (Fault("cut", "to_server", pattern=rb"MAIL[^\r]*\r\n"), TryAgainError, 0),
    "rcpt is answered": (Fault("cut", "to_server", pattern=rb"RCPT[^\r]*\r\n"), TryAgainError, 0),
    "data is answered": (Fault("cut", pattern=rb"354", before=True), TryAgainError, 0),
    "after 354": (Fault("cut", pattern=rb"354[^\r]*\r\n"), TryAgainError, 0),
    "before the dot arrives": (Fault("cut", "to_server", pattern=rb"\r\n\.\r\n", before=True), SendUnknownError, 0),
    "after the dot, before 250": (Fault("cut", "to_server", pattern=rb"\r\n\.\r\n"), SendUnknownError, None),
    "250 is lost": (Fault("cut", pattern=rb"250 2\.0\.0 taken", before=True), SendUnknownError, 1),
}


# A stalled line cannot be told from a slow one: whoever was told 354 sends the dot. And behind the dot, the way
# to the server is no longer needed.
SMTP_CASES = [
    (step, what, SendUnknownError if (step, what) == ("after 354", "stall") else kind)
    for step, (_, kind, _) in SMTP_STEPS.items()
    for what in ("cut", "reset", "stall")
    if (step, what) != ("after the dot, before 250", "stall")
]


@pytest.mark.parametrize(("step", "what", "kind"), SMTP_CASES)
def test_smtp_broken_off_at_a_step_is_in_doubt_only_after_the_dot(proxied, step, what, kind):
    fault, usual, accepted = SMTP_STEPS[step]
    with demo_servers({}) as servers:
        proxy = proxied(servers.smtp_port)
        proxy.fault = replace(fault, what=what)
        settings = SmtpSettings(
            "127.0.0.1", proxy.port, "none", connect_timeout=PATIENCE, command_timeout=PATIENCE, done_timeout=PATIENCE
        )
        sender = SmtpSender(settings)
        written_down = []

        def before_dot():
            time.sleep(0.1)  # Time enough for the news that the line is cut.
            written_down.append(1)

        def send():
            sender.send(REPLY, envelope_from="d@x.fr", recipient="j@y.fr", before_dot=before_dot)

        start = time.monotonic()
        with pytest.raises(kind) as error:
            send()
        assert type(error.value) is kind
        assert time.monotonic() - start < IN_TIME
        assert proxy.fault.struck == 1
        time.sleep(0.1)
        if accepted is not None and kind is usual:
            assert len(servers.received) == accepted
        if kind is SendUnknownError:
            assert len(written_down) == 1
            return
        send()
        sender.close()
        assert [received.octets for received in servers.received] == [REPLY]
