"""OAuth 2.0 access tokens for Microsoft 365, Google and others (RFC 6749), as what TokenLogin asks for.

DESCRIPTION
    A person signs in once (`sign_in`, by device code, RFC 8628, or by a link whose answer is pasted back); the
    refresh token is kept in a file of mode 0600, replaced whenever the server gives a new one. Without such a
    file, and with a client secret, the program signs in for itself (client credentials, Microsoft only).
    A token is used until five minutes before its end: asking at each poll gets accounts revoked.
DIAGNOSTICS
    AuthenticationError: the sign-in is over or the client is wrong, and a person must act; not asked again for
    ten minutes, so that nothing is locked. TryAgainError: the token server or the network is away.
SECURITY
    Tokens and secrets are in no message and no log. Only https, but to this machine.
BUGS
    Google allows no mail by device code: its sign-in is by link. Its service accounts are not supported.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import secrets
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from inbox_agent.adapters.connection import arm_handshake, is_loopback, network_error, open_socket, tls_context
from inbox_agent.errors import AgentError, AuthenticationError, TryAgainError
from inbox_agent.failpoint import reach

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

Provider = Literal["microsoft", "google", "custom"]

_EARLY = 300.0  # seconds before its end from which a token is no longer used
_REST = 600.0  # seconds after a refusal in which nothing is asked: at most one attempt in 10 minutes
_TIMEOUT = 30.0  # seconds for one answer of a token server, in all
_LARGEST = 2**20  # octets of one answer; a token of Microsoft 365 has about 2,000
_REDIRECT = "http://127.0.0.1:8400/"  # Nothing listens there: the person copies the address from the browser.
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_OURS = {"invalid_client", "unauthorized_client", "invalid_scope", "unsupported_grant_type", "invalid_request"}


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a provider signs people in, and the scopes that reading and sending mail need."""

    token: str
    authorize: str = ""
    device: str = ""
    scopes: tuple[str, ...] = ()
    own_scopes: tuple[str, ...] = ()  # For a program that signs in for itself.


@dataclass(frozen=True, slots=True)
class OAuthSettings:
    """Who asks, for what, and where the refresh token is kept; see `endpoints` for the provider's addresses."""

    endpoints: Endpoints
    client_id: str
    token_file: Path
    client_secret: str | None = field(default=None, repr=False)
    ca_file: Path | None = None


def endpoints(
    provider: Provider, *, tenant: str = "common", token_url: str | None = None, scopes: tuple[str, ...] = ()
) -> Endpoints:
    """The addresses of a provider; `scopes` replace its usual ones. "custom" has only `token_url`."""
    match provider:
        case "microsoft":
            base = f"https://login.microsoftonline.com/{urllib.parse.quote(tenant, safe='')}/oauth2/v2.0"
            usual = (
                "https://outlook.office.com/IMAP.AccessAsUser.All",
                "https://outlook.office.com/SMTP.Send",
                "offline_access",
            )
            own = ("https://outlook.office365.com/.default",)
            return Endpoints(f"{base}/token", f"{base}/authorize", f"{base}/devicecode", scopes or usual, own)
        case "google":
            return Endpoints(
                "https://oauth2.googleapis.com/token",
                "https://accounts.google.com/o/oauth2/v2/auth",
                scopes=scopes or ("https://mail.google.com/",),
            )
        case "custom":
            return Endpoints(token_url or "", scopes=scopes, own_scopes=scopes)


@dataclass(frozen=True, slots=True)
class _Tokens:
    access: str
    expires_at: float  # Seconds since the epoch: it is kept over a restart.
    refresh: str | None


class TokenSource:
    """Gives access tokens when called; asks for a new one when the last is near its end."""

    def __init__(self, settings: OAuthSettings) -> None:
        self._settings = settings
        self._own: _Tokens | None = None
        self._refusal: tuple[float, AuthenticationError] | None = None
        self._dropped: float | None = None

    def __call__(self) -> str:
        """An access token that lasts at least some minutes. Raises AuthenticationError or TryAgainError."""
        kept = _read(self._settings.token_file) if self._own is None else self._own
        if kept is not None and kept.access and kept.expires_at - _EARLY > time.time():
            return kept.access
        if self._refusal is not None and time.monotonic() - self._refusal[0] < _REST:
            raise self._refusal[1]
        try:
            return self._renewed(kept)
        except AuthenticationError as error:
            self._refusal = (time.monotonic(), error)
            raise

    def refused(self) -> None:
        """A mail server did not take the token: the next call asks for another, but not more often than that."""
        if self._dropped is not None and time.monotonic() - self._dropped < _REST:
            return
        self._dropped = time.monotonic()
        self._own = None
        kept = _read(self._settings.token_file)
        if kept is not None and kept.refresh:
            _write(self._settings.token_file, _Tokens("", 0.0, kept.refresh))

    def _renewed(self, kept: _Tokens | None) -> str:
        settings = self._settings
        if kept is not None and kept.refresh:
            form = {"grant_type": "refresh_token", "refresh_token": kept.refresh}
            tokens = _tokens(_ask(settings, settings.endpoints.token, form), kept.refresh)
            _write(settings.token_file, tokens)
            return tokens.access
        if settings.client_secret is None:
            raise AuthenticationError(f"nobody has signed in yet ({settings.token_file} is missing): {_SIGN_IN}")
        form = {"grant_type": "client_credentials", "scope": " ".join(settings.endpoints.own_scopes)}
        self._own = _tokens(_ask(settings, settings.endpoints.token, form), None)
        return self._own.access


_SIGN_IN = "run inbox-agent sign-in"


def sign_in(settings: OAuthSettings, *, show: Callable[[str], None], ask: Callable[[str], str]) -> None:
    """Let a person sign in, and keep the refresh token: by device code where there is one, else by link.

    `show` prints a line, `ask` prints one and gives the answer. Raises AuthenticationError if it was refused.
    """
    answer = _by_device(settings, show) if settings.endpoints.device else _by_link(settings, show, ask)
    tokens = _tokens(answer, None)
    if tokens.refresh is None:
        raise AuthenticationError(
            f"{_host(settings.endpoints.token)} gave no refresh token: allow offline access for this client"
        )
    _write(settings.token_file, tokens)


def _by_device(settings: OAuthSettings, show: Callable[[str], None]) -> dict[str, Any]:
    asked = _ask(settings, settings.endpoints.device, {"scope": " ".join(settings.endpoints.scopes)})
    where = asked.get("verification_uri") or asked.get("verification_url")
    show(f"Open {where} in any browser, and enter the code {asked.get('user_code')}.")
    form = {"grant_type": _DEVICE_GRANT, "device_code": str(asked.get("device_code"))}
    interval = float(asked.get("interval", 5))  # RFC 8628 3.2.
    until = time.monotonic() + float(asked.get("expires_in", 900))
    while time.monotonic() < until:
        time.sleep(interval)
        try:
            return _ask(settings, settings.endpoints.token, form)
        except _PendingError as pending:
            interval += 5 if pending.slow_down else 0
    raise AuthenticationError("nobody entered the code in time: start again")


def _by_link(settings: OAuthSettings, show: Callable[[str], None], ask: Callable[[str], str]) -> dict[str, Any]:
    """Authorization code with PKCE (RFC 7636)."""
    if not settings.endpoints.authorize:
        raise AuthenticationError("this provider has no sign-in: give a client_secret, or a token_file that is filled")
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    digest = hashlib.sha256(verifier.encode()).digest()
    query = {
        "response_type": "code",
        "client_id": settings.client_id,
        "redirect_uri": _REDIRECT,
        "scope": " ".join(settings.endpoints.scopes),
        "state": state,
        "access_type": "offline",
        "prompt": "consent",
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    show(f"Open this in a browser and sign in:\n{settings.endpoints.authorize}?{urllib.parse.urlencode(query)}")
    show("The browser then fails to open a page of this machine: that is expected.")
    pasted = ask("Paste the address of that page here: ")
    given = urllib.parse.parse_qs(urllib.parse.urlsplit(pasted.strip()).query)
    if given.get("state") != [state] or "code" not in given:
        raise AuthenticationError("that address holds no answer to this sign-in: start again")
    form = {
        "grant_type": "authorization_code",
        "code": given["code"][0],
        "redirect_uri": _REDIRECT,
        "code_verifier": verifier,
    }
    return _ask(settings, settings.endpoints.token, form)


class _PendingError(AgentError):
    """The person has not yet entered the code."""

    def __init__(self, *, slow_down: bool) -> None:
        super().__init__("the code was not entered yet")
        self.slow_down = slow_down


def _ask(settings: OAuthSettings, url: str, form: dict[str, str]) -> dict[str, Any]:
    """POST a form; the JSON that came back, or an error by its `error` member (RFC 6749 5.2)."""
    place = _host(url)
    parts = urllib.parse.urlsplit(url)
    secure = parts.scheme == "https"
    if not parts.hostname or not (secure or (parts.scheme == "http" and is_loopback(parts.hostname))):
        raise AuthenticationError(f"the token server {url!r} is no https address: check token_url")
    form = {"client_id": settings.client_id, **form}
    if settings.client_secret is not None:
        form["client_secret"] = settings.client_secret
    connection = _Connection(parts.hostname, parts.port, tls_context(settings.ca_file) if secure else None)
    reach("oauth.ask.before")
    try:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        connection.request("POST", parts.path or "/", urllib.parse.urlencode(form), headers)
        # No redirect is followed: secrets go where the configuration says, and nowhere else.
        response = connection.getresponse()
        status, octets = response.status, response.read(_LARGEST)
    except OSError as error:
        raise network_error(error, place, "asking for a token") from error
    except http.client.HTTPException as error:
        raise TryAgainError(f"{place} answered what makes no sense: it will be tried again") from error
    finally:
        connection.close()
    return _judged(status, octets, place)


class _Connection(http.client.HTTPConnection):
    """HTTP over a socket with a deadline, and over verified TLS if there is a context."""

    def __init__(self, host: str, port: int | None, context: ssl.SSLContext | None) -> None:
        super().__init__(host, port or (http.client.HTTP_PORT if context is None else http.client.HTTPS_PORT))
        self._context = context

    def connect(self) -> None:
        """Connect within the time that is left."""
        plain = open_socket(self.host, self.port, _TIMEOUT)
        plain.deadline = time.monotonic() + _TIMEOUT
        if self._context is None:
            self.sock = plain
            return
        arm_handshake(self._context, plain)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)


def _judged(status: int, octets: bytes, place: str) -> dict[str, Any]:
    try:
        answer = json.loads(octets)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise TryAgainError(f"{place} answered {status} without JSON: it will be tried again")
    error = answer.get("error")
    if status == 200 and error is None:  # noqa: PLR2004 # RFC 6749 5.1.
        return answer
    if error in {"authorization_pending", "slow_down"}:
        raise _PendingError(slow_down=error == "slow_down")
    if status >= 500 or status == 429 or error in {"temporarily_unavailable", "server_error"}:  # noqa: PLR2004
        raise TryAgainError(f"{place} gives no token for now ({status}): it will be tried again")
    if error is None:
        raise TryAgainError(f"{place} answered {status} and no token: it will be tried again")
    # The description may name people: Microsoft's number is enough to look it up.
    number = next((word.rstrip(":") for word in str(answer.get("error_description", "")).split()[:1]), "")
    said = f"{error} {number}".strip() if number.startswith("AADSTS") else str(error)[:60]
    remedy = "check client_id, client_secret, tenant and scopes" if error in _OURS else _SIGN_IN
    raise AuthenticationError(f"{place} refuses a token ({status} {said}): {remedy}")


def _tokens(answer: dict[str, Any], refresh: str | None) -> _Tokens:
    access, lasts = answer.get("access_token"), answer.get("expires_in", 3600)
    if not isinstance(access, str) or not access:
        raise TryAgainError("the token server answered without a token: it will be tried again")
    given = answer.get("refresh_token")
    return _Tokens(access, time.time() + float(lasts), given if isinstance(given, str) else refresh)


def _read(path: Path) -> _Tokens | None:
    """What was kept; None if nothing was. Refuses a file that others can read."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise AuthenticationError(f"others can read {path}: chmod 600 {path}")
            kept = json.loads(file.read(_LARGEST))
        return _Tokens(kept["access_token"], float(kept["expires_at"]), kept["refresh_token"])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AuthenticationError(f"cannot read {path} ({error.strerror}): check its owner and mode") from error
    except (ValueError, KeyError, TypeError) as error:
        raise AuthenticationError(f"{path} holds no tokens of ours: {_SIGN_IN}") from error


def _write(path: Path, tokens: _Tokens) -> None:
    """Atomically and durably: a refresh token that was replaced is worth nothing any more."""
    kept = {"access_token": tokens.access, "expires_at": tokens.expires_at, "refresh_token": tokens.refresh}
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        reach("oauth.token.before")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(kept, file)
            file.flush()
            reach("oauth.fsync.before")
            os.fsync(file.fileno())
        reach("oauth.replace.before")
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            reach("oauth.folder.fsync.before")
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise AgentError(f"cannot keep the token in {path} ({error.strerror}): the agent must write there") from error


def _host(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return f"{parts.hostname}:{parts.port or 443}"
