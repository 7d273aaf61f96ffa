"""The servers of the demo: what they keep, deliver and say when they are missing."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from smtplib import SMTP

import pytest
from imapclient import IMAPClient
from inbox_agent.adapters.servers import demo_servers

MAIL = b"Subject: x\r\n\r\n.dot\r\n"


@pytest.fixture
def servers():
    with demo_servers({"a@x.fr": "pw", "b@x.fr": "pw"}) as running:
        yield running


def inbox(servers, login):
    client = IMAPClient("127.0.0.1", servers.imap_port, ssl=False, timeout=10)
    client.normalise_times = False
    client.login(login, "pw")
    client.select_folder("INBOX")
    return client


def test_octets_are_delivered_as_they_are_with_their_date(servers):
    at = datetime(2024, 2, 15, 23, 30, tzinfo=UTC)
    uid = servers.deliver("a@x.fr", b"Subject: \xe9\r\n\r\n", at)
    with inbox(servers, "a@x.fr") as client:
        answer = client.fetch([uid], ["BODY.PEEK[]", "INTERNALDATE"])[uid]
        assert client.get_flags([uid])[uid] == (b"\\Recent",)
    assert (answer[b"BODY[]"], answer[b"INTERNALDATE"]) == (b"Subject: \xe9\r\n\r\n", at)
    with inbox(servers, "b@x.fr") as client:
        assert client.search() == []


def test_mail_for_an_account_is_in_its_inbox_and_all_mail_is_kept(servers):
    with SMTP("127.0.0.1", servers.smtp_port) as smtp:
        smtp.sendmail("b@x.fr", ["a@x.fr", "j@example.org"], MAIL)
    with inbox(servers, "a@x.fr") as client:
        (uid,) = client.search()
        octets = client.fetch([uid], ["BODY.PEEK[]"])[uid][b"BODY[]"]
    assert octets.startswith(b"Return-Path: <b@x.fr>\r\n")
    assert octets.endswith(MAIL)
    assert [(one.recipients, one.octets) for one in servers.received] == [(("a@x.fr", "j@example.org"), MAIL)]


def test_keywords_are_kept(servers):
    uid = servers.deliver("a@x.fr", MAIL)
    with inbox(servers, "a@x.fr") as client:
        client.add_flags([uid], [b"$Done"])
    with inbox(servers, "a@x.fr") as client:
        assert b"$Done" in client.get_flags([uid])[uid]


def test_two_pairs_of_servers_run_side_by_side(servers):
    with demo_servers({"a@x.fr": "pw"}) as others:
        others.deliver("a@x.fr", MAIL)
        with inbox(servers, "a@x.fr") as client:
            assert client.search() == []
        assert others.imap_port != servers.imap_port


def test_without_the_extra_the_error_says_what_to_install():
    program = (
        "import sys; sys.modules['pymap.backend.dict'] = None\n"
        "from inbox_agent.errors import AgentError\n"
        "try: import inbox_agent.adapters.servers\n"
        "except AgentError as error: print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install 'inbox-agent[demo]'" in ran.stdout
