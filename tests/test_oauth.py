"""Access tokens against a token server of our own, and against Dovecot's own check of what it signs."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import logging
import os
import socket
import ssl
import stat
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
import trustme
from inbox_agent.adapters import oauth
from inbox_agent.adapters.imap import ImapMailbox, ImapSettings, TokenLogin
from inbox_agent.adapters.oauth import Endpoints, OAuthSettings, TokenSource, endpoints, sign_in
from inbox_agent.adapters.smtp import SmtpSender, SmtpSettings
from inbox_agent.errors import AuthenticationError, TlsError, TryAgainError

from servers.dovecot import TOKEN_KEY


def jwt(user, lasts=3600, key=TOKEN_KEY):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    now = int(time.time())
    claims = {"email": user, "sub": user, "iat": now - 10, "nbf": now - 10, "exp": now + lasts, "azp": "default"}
    signed = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(claims)
    signature = base64.urlsafe_b64encode(hmac.digest(key, signed, hashlib.sha256)).rstrip(b"=")
    return (signed + b"." + signature).decode()


class TokenServer:
    """Answers each request with the next of `answers` (status, JSON), the last for ever; keeps the forms."""

    def __init__(self):
        self.answers = [(200, {"access_token": "first", "expires_in": 3600, "refresh_token": "refresh-1"})]
        self.forms = []

    def __enter__(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                octets = self.rfile.read(int(self.headers["Content-Length"]))
                outer.forms.append({name: values[0] for name, values in parse_qs(octets.decode()).items()})
                status, answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if status == 302:
                    self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def secure(self, context):
        """Speak TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server():
    with TokenServer() as running:
        yield running


@pytest.fixture
def settings(server, tmp_path):
    where = Endpoints(
        f"{server.url}/token", f"{server.url}/authorize", f"{server.url}/device", ("mail", "offline"), ("own",)
    )
    return OAuthSettings(where, "client-1", tmp_path / "oauth.json")


def kept(settings):
    return json.loads(settings.token_file.read_text())


def signed_in(settings, server, lasts=3600):
    """As after `init`."""
    server.answers = [
        (200, {"device_code": "d", "user_code": "ABCD", "verification_uri": "u", "interval": 0}),
        (200, {"access_token": "first", "expires_in": lasts, "refresh_token": "refresh-1"}),
        (200, {"access_token": "second", "expires_in": 3600, "refresh_token": "refresh-2"}),
    ]
    sign_in(settings, show=lambda _: None, ask=input)
    server.forms.clear()


def test_a_person_signs_in_by_device_code(settings, server):
    shown = []
    server.answers = [
        (200, {"device_code": "d", "user_code": "ABCD", "verification_uri": "https://x/device", "interval": 0}),
        (400, {"error": "authorization_pending"}),
        (200, {"access_token": "first", "expires_in": 3600, "refresh_token": "refresh-1"}),
    ]
    sign_in(settings, show=shown.append, ask=input)
    assert shown == ["Open https://x/device in any browser, and enter the code ABCD."]
    assert server.forms[0]["scope"] == "mail offline"
    assert server.forms[2]["device_code"] == "d"
    assert kept(settings)["refresh_token"] == "refresh-1"
    assert stat.S_IMODE(settings.token_file.stat().st_mode) == 0o600


@pytest.mark.parametrize("error", ["access_denied", "expired_token"])
def test_a_sign_in_that_is_refused_keeps_nothing(settings, server, error):
    server.answers = [
        (200, {"device_code": "d", "user_code": "ABCD", "verification_uri": "u", "interval": 0}),
        (400, {"error": error}),
    ]
    with pytest.raises(AuthenticationError, match=error):
        sign_in(settings, show=lambda _: None, ask=input)
    assert not settings.token_file.exists()


def test_a_person_signs_in_by_a_link_whose_answer_is_pasted_back(settings, server):
    settings = OAuthSettings(
        Endpoints(settings.endpoints.token, "https://x/auth", scopes=("mail",)), "client-1", settings.token_file
    )
    shown = []

    def ask(_):
        query = parse_qs(urlsplit(shown[0].split()[-1]).query)
        shown.append(query["code_challenge"][0])
        return f"http://127.0.0.1:8400/?code=abc&state={query['state'][0]}"

    sign_in(settings, show=shown.append, ask=ask)
    form = server.forms[0]
    challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
    assert (form["code"], challenge) == ("abc", shown[-1])
    assert kept(settings)["refresh_token"] == "refresh-1"


@pytest.mark.parametrize(
    "pasted", ["", "http://127.0.0.1:8400/?code=abc&state=forged", "http://127.0.0.1:8400/?state="]
)
def test_an_answer_to_another_sign_in_is_refused(settings, server, pasted):
    settings = OAuthSettings(Endpoints(settings.endpoints.token, "https://x/auth"), "client-1", settings.token_file)
    with pytest.raises(AuthenticationError, match="holds no answer to this sign-in"):
        sign_in(settings, show=lambda _: None, ask=lambda _: pasted)
    assert server.forms == []


def test_a_token_is_used_until_five_minutes_before_its_end_also_after_a_restart(settings, server):
    signed_in(settings, server)
    assert [TokenSource(settings)() for _ in range(3)] == ["first"] * 3
    assert server.forms == []
    with time_machine.travel(time.time() + 3600 - 299, tick=True):
        source = TokenSource(settings)
        assert [source(), source()] == ["second", "second"]
    assert [form["refresh_token"] for form in server.forms] == ["refresh-1"]


def test_a_new_refresh_token_replaces_the_old_one(settings, server):
    signed_in(settings, server, lasts=0)
    assert TokenSource(settings)() == "second"
    assert kept(settings)["refresh_token"] == "refresh-2"
    assert [path.name for path in settings.token_file.parent.iterdir()] == ["oauth.json"]
    assert stat.S_IMODE(settings.token_file.stat().st_mode) == 0o600


def test_a_refresh_token_that_is_not_replaced_is_kept(settings, server):
    signed_in(settings, server, lasts=0)
    server.answers = [(200, {"access_token": "second", "expires_in": 3600})]
    assert TokenSource(settings)() == "second"
    assert kept(settings)["refresh_token"] == "refresh-1"


def test_a_revoked_sign_in_is_told_and_not_asked_again_at_once(settings, server):
    signed_in(settings, server, lasts=0)
    server.answers = [
        (400, {"error": "invalid_grant", "error_description": "AADSTS700082: The token of jeanne@x.fr has expired."})
    ]
    source = TokenSource(settings)
    for _ in range(3):
        with pytest.raises(AuthenticationError, match=r"AADSTS700082.*sign-in") as error:
            source()
        assert "jeanne" not in str(error.value)
    assert len(server.forms) == 1


@pytest.mark.parametrize("error", ["invalid_client", "unauthorized_client", "invalid_scope"])
def test_a_wrong_client_says_what_to_check(settings, server, error):
    signed_in(settings, server, lasts=0)
    server.answers = [(401, {"error": error})]
    with pytest.raises(AuthenticationError, match="check client_id, client_secret, tenant and scopes"):
        TokenSource(settings)()


@pytest.mark.parametrize(
    "answer",
    [
        (500, {"error": "server_error"}),
        (503, b"<html>"),
        (429, {"error": "too_many"}),
        (400, {"error": "temporarily_unavailable"}),
        (200, b"<html>captive portal"),
        (200, [1]),
        (200, {"token_type": "Bearer"}),
        (302, {}),
    ],
)
def test_a_token_server_that_cannot_now_is_tried_again(settings, server, answer):
    signed_in(settings, server, lasts=0)
    server.answers = [answer]
    source = TokenSource(settings)
    with pytest.raises(TryAgainError, match="tried again"):
        source()
    server.answers = [(200, {"access_token": "second", "expires_in": 3600})]
    assert source() == "second"


def test_a_network_that_is_away_is_no_refusal(settings, server):
    signed_in(settings, server, lasts=0)
    server.__exit__()
    with pytest.raises(TryAgainError, match="nothing answers at 127"):
        TokenSource(settings)()
    server.__enter__()


def test_nobody_has_signed_in_yet(settings):
    with pytest.raises(AuthenticationError, match=r"nobody has signed in yet .*run inbox-agent sign-in"):
        TokenSource(settings)()


def test_a_program_signs_in_for_itself_with_its_secret(server, tmp_path):
    where = Endpoints(f"{server.url}/token", own_scopes=("own/.default",))
    source = TokenSource(OAuthSettings(where, "client-1", tmp_path / "oauth.json", client_secret="geheim"))
    assert [source(), source()] == ["first", "first"]
    assert server.forms == [
        {
            "client_id": "client-1",
            "client_secret": "geheim",
            "grant_type": "client_credentials",
            "scope": "own/.default",
        }
    ]
    assert not (tmp_path / "oauth.json").exists()


def test_a_token_file_that_others_can_read_is_refused(settings, server):
    signed_in(settings, server)
    settings.token_file.chmod(0o640)
    with pytest.raises(AuthenticationError, match="chmod 600"):
        TokenSource(settings)()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"access_token": 1, "expires_at": "x", "refresh_token": null}'])
def test_a_token_file_that_is_none_is_told(settings, content):
    settings.token_file.write_text(content)
    settings.token_file.chmod(0o600)
    with pytest.raises(AuthenticationError, match="holds no tokens of ours"):
        TokenSource(settings)()


@pytest.mark.parametrize("url", ["http://login.example.org/token", "ftp://127.0.0.1/token", "", "https:///x"])
def test_secrets_go_only_to_https(tmp_path, url):
    settings = OAuthSettings(Endpoints(url, own_scopes=("x",)), "c", tmp_path / "oauth.json", client_secret="geheim")
    with pytest.raises(AuthenticationError, match="is no https address") as error:
        TokenSource(settings)()
    assert "geheim" not in str(error.value)


def test_the_certificate_of_a_token_server_is_verified(tmp_path):
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with TokenServer() as server:
        server.secure(context)
        where = Endpoints(f"{server.url}/token", own_scopes=("x",))
        trusting = OAuthSettings(where, "c", tmp_path / "o", client_secret="s", ca_file=tmp_path / "ca.pem")
        assert TokenSource(trusting)() == "first"
        with pytest.raises(TlsError, match="set ca_file"):
            TokenSource(OAuthSettings(where, "c", tmp_path / "o", client_secret="s"))()


def test_a_token_server_that_drips_is_given_up_as_a_whole(settings, server, monkeypatch):
    signed_in(settings, server, lasts=0)
    monkeypatch.setattr(oauth, "_TIMEOUT", 1.0)
    listener = socket.create_server(("127.0.0.1", 0))

    def drip():
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            while True:
                connection.sendall(b"H")
                time.sleep(0.1)

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    slow = Endpoints(f"http://127.0.0.1:{listener.getsockname()[1]}/token")
    start = time.monotonic()
    with pytest.raises(TryAgainError, match="too slow while asking for a token"):
        TokenSource(OAuthSettings(slow, "c", settings.token_file))()
    assert time.monotonic() - start < 4
    thread.join()
    listener.close()


def test_neither_token_nor_secret_show_anywhere(settings, server, caplog):
    caplog.set_level(logging.DEBUG)
    signed_in(settings, server)
    secret = OAuthSettings(settings.endpoints, "c", settings.token_file, client_secret="geheim")
    TokenSource(secret)()
    for word in ("geheim", "first", "refresh-1"):
        assert word not in repr(secret) + caplog.text


def test_providers_have_their_addresses():
    microsoft = endpoints("microsoft", tenant="../evil")
    assert microsoft.token == "https://login.microsoftonline.com/..%2Fevil/oauth2/v2.0/token"
    assert "offline_access" in microsoft.scopes
    assert endpoints("google").scopes == ("https://mail.google.com/",)
    assert endpoints("custom", token_url="https://x/token", scopes=("a",)).token == "https://x/token"


@pytest.mark.real
def test_dovecot_takes_a_token_that_was_renewed(dovecot, settings, server):
    user = "oauth@fresh.test"
    signed_in(settings, server, lasts=0)
    server.answers = [(200, {"access_token": jwt(user), "expires_in": 3600, "refresh_token": "refresh-2"})]
    login = TokenLogin(user, source := TokenSource(settings), source.refused)
    mailbox = ImapMailbox.connect(ImapSettings("127.0.0.1", dovecot.imaps, "implicit", login, ca_file=dovecot.ca_file))
    assert mailbox.select("INBOX").exists == 0
    mailbox.close()


@pytest.mark.real
@pytest.mark.parametrize("token", [jwt("oauth@fresh.test", lasts=-60), jwt("oauth@fresh.test", key=b"x"), "garbage"])
def test_dovecot_refuses_a_token_that_is_over_or_forged_and_the_next_is_fresh(dovecot, settings, server, token):
    user = "oauth@fresh.test"
    signed_in(settings, server, lasts=0)
    server.answers = [
        (200, {"access_token": token, "expires_in": 3600}),
        (200, {"access_token": jwt(user), "expires_in": 3600}),
    ]
    login = TokenLogin(user, source := TokenSource(settings), source.refused)
    where = ImapSettings("127.0.0.1", dovecot.imaps, "implicit", login, ca_file=dovecot.ca_file)
    with pytest.raises(AuthenticationError, match="renew the token"):
        ImapMailbox.connect(where)
    ImapMailbox.connect(where).close()


@pytest.mark.real
def test_postfix_takes_a_token(postfix):
    login = TokenLogin("oauth@lab.test", lambda: jwt("oauth@lab.test"))
    sender = SmtpSender(SmtpSettings("127.0.0.1", postfix.submission, "starttls", login, ca_file=postfix.ca_file))
    sender.connect()
    sender.close()


def test_a_crash_while_keeping_a_token_leaves_the_old_file(settings, server, monkeypatch):
    signed_in(settings, server, lasts=0)

    def crash(_descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        TokenSource(settings)()
    assert kept(settings)["refresh_token"] == "refresh-1"
