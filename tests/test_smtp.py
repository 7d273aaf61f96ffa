"""Submission: what each answer means, and that nothing is accepted before what is uncertain was written down."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
from dataclasses import replace

import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inbox_agent.adapters.imap import ImapMailbox, ImapSettings
from inbox_agent.adapters.servers import demo_servers
from inbox_agent.adapters.smtp import PasswordLogin, SmtpSender, SmtpSettings, TokenLogin
from inbox_agent.errors import AuthenticationError, SendRefusedError, SendUnknownError, TlsError, TryAgainError

from servers.scripted_smtp import Drop, ScriptedSmtp

REPLY = b"From: d@x.fr\r\nTo: j@example.org\r\nSubject: Re: Candidature\r\n\r\nBonjour,\r\n"
FROM, TO = "d@x.fr", "j@example.org"


def nothing():
    """For tests that do not look at the moment before the dot."""


def send(sender, octets=REPLY, before_dot=nothing, recipient=TO):
    return sender.send(octets, envelope_from=FROM, recipient=recipient, before_dot=before_dot)


@contextlib.contextmanager
def sending(port, **changes):
    base = SmtpSettings("127.0.0.1", port, "none", connect_timeout=2, command_timeout=1, done_timeout=1)
    sender = SmtpSender(replace(base, **changes))
    try:
        yield sender
    finally:
        sender.close()


# Real servers.


def test_a_reply_arrives_as_it_was_written():
    with demo_servers({FROM: "pw"}) as servers, sending(servers.smtp_port) as sender:
        assert send(sender).startswith("250 ")
        (received,) = servers.received
        assert (received.envelope_from, received.recipients, received.octets) == (FROM, (TO,), REPLY)


def test_what_is_uncertain_is_written_down_before_the_server_can_accept():
    with demo_servers({FROM: "pw"}) as servers, sending(servers.smtp_port) as sender:
        seen = []

        def before_dot():
            time.sleep(0.1)
            seen.append(len(servers.received))

        send(sender, before_dot=before_dot)
        assert seen == [0]
        assert len(servers.received) == 1


LINES = st.lists(st.sampled_from([b"", b".", b"..", b". ", b".\r", b"a", b"a.", b"From me", b"\r", b"caf\xc3\xa9"]))


@given(lines=LINES, ending=st.sampled_from([b"\r\n", b"\n"]), closed=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_dots_and_line_ends_come_through_whatever_they_are(demo, lines, ending, closed):
    servers, sender = demo
    octets = b"Subject: x" + ending + ending + ending.join(lines) + (ending if closed else b"")
    before = len(servers.received)
    send(sender, octets)
    (received,) = servers.received[before:]
    wanted = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    assert received.octets == (wanted if wanted.endswith(b"\r\n") else wanted + b"\r\n")


@pytest.fixture(scope="module")
def demo():
    with demo_servers({FROM: "pw"}) as servers, sending(servers.smtp_port, command_timeout=10) as sender:
        yield servers, sender


@pytest.mark.parametrize("word", ["pw", "mot de passé"])
def test_a_login_is_checked(word):
    with demo_servers({FROM: word}) as servers:
        with sending(servers.smtp_port, login=PasswordLogin(FROM, word), command_timeout=5) as sender:
            send(sender)
        assert servers.received[0].login == FROM
        with (
            sending(servers.smtp_port, login=PasswordLogin(FROM, "wrong"), command_timeout=5) as sender,
            pytest.raises(AuthenticationError, match="check user and password"),
        ):
            send(sender)
    assert len(servers.received) == 1


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def tls(authority, tmp_path):
    """A server's context and the file of the authority that signed for it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return context, tmp_path / "ca.pem"


def test_starttls_is_verified_and_the_login_comes_after_it(tls):
    context, ca_file = tls
    login = PasswordLogin(FROM, "pw")
    with demo_servers({FROM: "pw"}, tls=context, authenticate=True) as servers:
        port = servers.smtp_port
        with sending(port, tls="starttls", ca_file=ca_file, login=login, command_timeout=5) as sender:
            send(sender)
            send(sender)
        with (
            sending(port, tls="starttls", login=login, command_timeout=5) as sender,
            pytest.raises(TlsError, match="set ca_file"),
        ):
            send(sender)
    assert [received.login for received in servers.received] == [FROM, FROM]


@pytest.mark.real
def test_a_reply_goes_through_postfix_to_dovecot(postfix, dovecot):
    login = PasswordLogin("secretary@lab.test", "secpw")
    changes = {"tls": "starttls", "ca_file": postfix.ca_file, "login": login, "command_timeout": 20, "done_timeout": 20}
    octets = b"From: secretary@lab.test\r\nMessage-ID: <postfix-1@lab.test>\r\nSubject: x\r\n\r\n.\r\n..dots\r\n"
    with sending(postfix.submission, **changes) as sender:
        answer = sender.send(
            octets, envelope_from="secretary@lab.test", recipient="director@lab.test", before_dot=nothing
        )
        assert "queued as" in answer
        with pytest.raises(SendRefusedError, match=r"550 5\.1\.1") as unknown:
            send(sender, recipient="nobody@lab.test")
        with pytest.raises(SendRefusedError, match="552"):
            sender.send(REPLY + b"x" * 3_000_000, envelope_from=FROM, recipient="director@lab.test", before_dot=nothing)
        assert unknown.value.code == 550
    mailbox = ImapMailbox.connect(
        ImapSettings(
            "127.0.0.1",
            dovecot.imaps,
            "implicit",
            PasswordLogin("director@lab.test", "dirpw"),
            ca_file=dovecot.ca_file,
        )
    )
    mailbox.select("INBOX")
    until = time.monotonic() + 10
    while not (found := mailbox.find("INBOX", "<postfix-1@lab.test>")) and time.monotonic() < until:
        mailbox.wait(1)
    ((_, received),) = mailbox.fetch(found)
    mailbox.close()
    assert received.endswith(b"\r\n\r\n.\r\n..dots\r\n")


@pytest.mark.real
def test_postfix_refuses_a_wrong_password_and_a_port_without_tls(postfix):
    wrong = PasswordLogin("secretary@lab.test", "wrong")
    with (
        sending(postfix.submission, tls="starttls", ca_file=postfix.ca_file, login=wrong, command_timeout=20) as sender,
        pytest.raises(AuthenticationError),
    ):
        sender.connect()
    with (
        sending(postfix.submission, tls="implicit", ca_file=postfix.ca_file, login=wrong) as sender,
        pytest.raises(TlsError, match='set tls to "starttls"'),
    ):
        sender.connect()


@pytest.mark.real
def test_a_password_that_was_corrected_is_used_at_the_next_connection(postfix):
    passwords = ["wrong", "dirpw"]

    def login():
        return PasswordLogin("director@lab.test", passwords.pop(0))

    with sending(
        postfix.submission, tls="starttls", ca_file=postfix.ca_file, login=login, command_timeout=20
    ) as sender:
        with pytest.raises(AuthenticationError):
            sender.connect()
        sender.connect()
    assert passwords == []


# Each answer, and each place to break off.


@pytest.mark.parametrize("pipelines", [False, True])
@pytest.mark.parametrize("step", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize("answer", [b"421 4.3.2 going down", b"451 4.7.1 greylisted", b"452 4.3.1 full"])
def test_a_refusal_for_now_is_tried_again(step, answer, pipelines):
    with ScriptedSmtp({step: answer}, pipelines=pipelines) as server, sending(server.port) as sender:
        with pytest.raises(TryAgainError, match=answer[4:].decode()) as error:
            send(sender)
        assert f"127.0.0.1:{server.port}" in str(error.value)
        server.answers.clear()
        assert send(sender).startswith("250")
    assert len(server.messages) == 1


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "DOT"])
def test_a_refusal_for_good_is_told_with_its_code_and_the_next_message_goes_out(step):
    with ScriptedSmtp({step: b"554 5.7.1 no"}) as server, sending(server.port) as sender:
        with pytest.raises(SendRefusedError, match=r"554 5\.7\.1 no") as error:
            send(sender)
        assert error.value.code == 554
        server.answers.clear()
        send(sender)
    assert (len(server.messages), server.connections) == (1, 1)


@pytest.mark.parametrize("pipelines", [False, True])
@pytest.mark.parametrize("step", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "BODY"])
@pytest.mark.parametrize("what", [Drop, None])
def test_lost_before_the_dot_is_tried_again_and_nothing_is_in_doubt(step, what, pipelines):
    if (step, what) == ("BODY", None):
        pytest.skip("silence while lines come is what every server does")
    doubts = []
    with ScriptedSmtp({step: what}, pipelines=pipelines) as server, sending(server.port) as sender:
        with pytest.raises(TryAgainError):
            send(sender, REPLY * 100, before_dot=lambda: (time.sleep(0.1), doubts.append(1)))
        server.answers.clear()
        send(sender)
    assert len(server.messages) == 1
    if step != "BODY":
        assert doubts == []


def test_a_server_that_has_gone_by_the_time_of_the_dot_leaves_nothing_in_doubt():
    with ScriptedSmtp() as server, sending(server.port) as sender:

        def before_dot():
            server.drop()
            time.sleep(0.1)

        with pytest.raises(TryAgainError):
            send(sender, before_dot=before_dot)
    assert server.messages == []


def test_a_server_that_refuses_while_lines_come_is_heard_before_the_dot():
    doubts = []
    with ScriptedSmtp({"BODY": b"552 5.3.4 too large"}) as server, sending(server.port) as sender:
        with pytest.raises(SendRefusedError, match="552"):
            send(sender, REPLY * 1000, before_dot=lambda: doubts.append(time.sleep(0.2)))
        server.answers.clear()
        send(sender)
    assert len(server.messages) == 1


@pytest.mark.parametrize("what", [Drop, None, b"hello", b"354 more"])
def test_lost_after_the_dot_is_unknown_and_says_where_to_look(what):
    with ScriptedSmtp({"DOT": what}) as server, sending(server.port) as sender:
        with pytest.raises(SendUnknownError, match="look for it in the Sent folder"):
            send(sender)
        server.answers.clear()
        send(sender)
    assert server.connections == 2


def test_the_answer_to_the_dot_is_waited_for_longer_than_that_to_a_command():
    class Slow(dict):
        def get(self, step, usual):
            if step == "DOT":
                time.sleep(0.6)
            return super().get(step, usual)

    with ScriptedSmtp(Slow()) as server, sending(server.port, command_timeout=0.4, done_timeout=5) as sender:
        assert send(sender).startswith("250")


def test_what_goes_wrong_in_writing_down_keeps_the_message_from_being_accepted():
    with ScriptedSmtp() as server, sending(server.port) as sender:

        def before_dot():
            raise KeyError("disk full")

        with pytest.raises(KeyError):
            send(sender, before_dot=before_dot)
        send(sender)
    assert server.messages == [REPLY]


def test_a_connection_that_died_meanwhile_is_replaced():
    with ScriptedSmtp() as server, sending(server.port) as sender:
        send(sender)
        server.drop()
        send(sender)
    assert (len(server.messages), server.connections) == (2, 2)


def test_one_connection_serves_for_many_messages_with_rset_between():
    with ScriptedSmtp() as server, sending(server.port) as sender:
        for _ in range(3):
            send(sender)
    each = ["MAIL", "RCPT", "DATA", "DOT"]
    assert server.connections == 1
    assert server.steps == ["GREETING", "EHLO", *each, "RSET", *each, "RSET", *each, "QUIT"]


def test_with_pipelining_a_message_takes_two_writes_and_each_answer_is_to_its_command():
    with ScriptedSmtp(pipelines=True) as server, sending(server.port) as sender:
        send(sender)
        written = []
        transmit = sender._wire.sock.sendall
        sender._wire.sock.sendall = lambda octets: (written.append(bytes(octets)), transmit(octets))
        send(sender)
    assert [octets.count(b"\r\n") for octets in written[:3]] == [4, REPLY.count(b"\r\n"), 1]
    assert written[0].startswith(b"RSET\r\nMAIL FROM:<d@x.fr>")
    assert server.messages == [REPLY, REPLY]


@pytest.mark.parametrize("step", ["MAIL", "RCPT"])
@pytest.mark.parametrize(("data", "connections"), [(b"503 no recipients", 1), (b"354 go on", 2)])
def test_what_is_refused_in_a_pipeline_is_never_sent_although_the_server_would_take_it(step, data, connections):
    doubts = []
    answers = {step: b"554 5.7.1 no", "DATA": data}
    with ScriptedSmtp(answers, pipelines=True) as server, sending(server.port) as sender:
        with pytest.raises(SendRefusedError, match=r"554 5\.7\.1 no"):
            send(sender, before_dot=lambda: doubts.append(1))
        server.answers.clear()
        send(sender)
    assert (doubts, server.messages, server.connections) == ([], [REPLY], connections)


def test_a_connection_that_died_meanwhile_is_replaced_in_a_pipeline_too():
    with ScriptedSmtp(pipelines=True) as server, sending(server.port) as sender:
        send(sender)
        server.drop()
        send(sender)
    assert (server.messages, server.connections) == ([REPLY, REPLY], 2)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"535 5.7.8 no", AuthenticationError),
        (b"534 5.7.9 stronger please", AuthenticationError),
        (b"454 4.7.0 temporary", TryAgainError),
        (b"421 busy", TryAgainError),
        (Drop, TryAgainError),
        (None, TryAgainError),
    ],
)
def test_a_refused_login_is_told_apart_from_a_server_that_cannot_now(answer, kind):
    login = PasswordLogin(FROM, "pw")
    with (
        ScriptedSmtp({"AUTH": answer}) as server,
        sending(server.port, login=login) as sender,
        pytest.raises(kind) as error,
    ):
        send(sender)
    assert type(error.value) is kind


def test_a_server_without_login_gets_no_password():
    with (
        ScriptedSmtp({"EHLO": b"250 scripted"}) as server,
        sending(server.port, login=PasswordLogin(FROM, "pw")) as sender,
        pytest.raises(AuthenticationError, match="offers no login"),
    ):
        send(sender)
    assert "AUTH" not in server.steps


def test_a_refused_token_is_answered_and_reported():
    answers = {
        "EHLO": b"250-scripted\r\n250 AUTH XOAUTH2",
        "AUTH": b"334 eyJzdGF0dXMiOiI0MDEifQ==",
        "": b"535 5.7.8 no",
    }
    with (
        ScriptedSmtp(answers) as server,
        sending(server.port, login=TokenLogin(FROM, lambda: "token")) as sender,
        pytest.raises(AuthenticationError, match="renew the token"),
    ):
        send(sender)


def test_a_line_without_starttls_is_not_used_in_the_clear():
    with (
        ScriptedSmtp() as server,
        sending(server.port, tls="starttls", login=PasswordLogin(FROM, "pw")) as sender,
        pytest.raises(TlsError, match="offers no STARTTLS"),
    ):
        send(sender)
    assert server.steps == ["GREETING", "EHLO"]


def test_what_was_said_before_tls_is_forgotten(tls):
    """CVE-2011-0411: an answer that somebody slipped in behind that to STARTTLS is not read as one under TLS."""
    context, ca_file = tls
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        plain, _ = listener.accept()
        file = plain.makefile("rb")
        plain.sendall(b"220 hi\r\n")
        file.readline()
        plain.sendall(b"250-hi\r\n250 STARTTLS\r\n")
        file.readline()
        plain.sendall(b"220 go\r\n250-injected\r\n250 AUTH PLAIN\r\n")
        file.close()
        with context.wrap_socket(plain, server_side=True) as secure:
            secure.recv(1000)
            secure.sendall(b"250 secure\r\n")
            secure.recv(1000)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    login = PasswordLogin(FROM, "pw")
    port = listener.getsockname()[1]
    with (
        sending(port, tls="starttls", ca_file=ca_file, login=login, command_timeout=5) as sender,
        pytest.raises(AuthenticationError, match="offers no login"),
    ):
        send(sender)
    thread.join()
    listener.close()


@pytest.mark.parametrize("host", ["smtp.example.org", "10.0.0.1", "192.168.0.2"])
def test_clear_text_is_refused_beyond_this_machine(host):
    with pytest.raises(TlsError, match="clear text"):
        SmtpSender(SmtpSettings(host, 25, "none"))


@pytest.mark.parametrize("address", ["a@b>\r\nRCPT TO:<c@d", "a b@c", "a@b\n", "<a@b>", "a@b\0"])
def test_an_address_cannot_bring_a_command_with_it(address):
    with ScriptedSmtp() as server, sending(server.port) as sender, pytest.raises(ValueError, match="an address with"):
        send(sender, recipient=address)
    assert server.steps.count("RCPT") == 0


def test_what_the_server_cannot_carry_is_refused_before_it_is_sent():
    with ScriptedSmtp({"EHLO": b"250-scripted\r\n250 SIZE 50"}) as server, sending(server.port) as sender:
        with pytest.raises(SendRefusedError, match="552"):
            send(sender)
        with pytest.raises(SendRefusedError, match="8BITMIME"):
            send(sender, b"Subject: x\r\n\r\n\xe9\r\n")
        with pytest.raises(SendRefusedError, match="SMTPUTF8"):
            send(sender, b"\r\n", recipient="é@example.org")
    assert "MAIL" not in server.steps


def test_an_address_with_accents_goes_where_smtputf8_is():
    with ScriptedSmtp({"EHLO": b"250-scripted\r\n250 SMTPUTF8"}) as server, sending(server.port) as sender:
        send(sender, recipient="é@example.org")
    assert len(server.messages) == 1


def test_closing_twice_or_before_anything_is_no_error():
    with ScriptedSmtp({"QUIT": Drop}) as server:
        sender = SmtpSender(SmtpSettings("127.0.0.1", server.port, "none"))
        sender.close()
        send(sender)
        sender.close()
        sender.close()


def test_an_answer_that_drips_is_given_up_as_a_whole():
    listener = socket.create_server(("127.0.0.1", 0))

    def drip():
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            while True:
                connection.sendall(b"2")
                time.sleep(0.1)

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    start = time.monotonic()
    port = listener.getsockname()[1]
    with sending(port, connect_timeout=1) as sender, pytest.raises(TryAgainError, match="too slow while connecting"):
        send(sender)
    assert time.monotonic() - start < 3
    thread.join()
    listener.close()


def test_neither_password_nor_mail_reach_the_log(caplog):
    caplog.set_level(logging.DEBUG)
    login = PasswordLogin(FROM, "tres-secret")
    with ScriptedSmtp() as server, sending(server.port, login=login) as sender:
        send(sender)
    said = caplog.text
    for secret in ("tres-secret", "dHJlcy1zZWNyZXQ", TO, "Bonjour"):
        assert secret not in said
    assert "tres-secret" not in repr(SmtpSettings("h", 1, "implicit", login))
