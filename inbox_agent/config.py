"""The configuration of one installation, `config.toml`: every key, its unit and its default.

`config.example.toml` says the same for people; a test keeps the two equal.
"""

from __future__ import annotations

import os
import stat
import subprocess
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from inbox_agent.errors import AuthenticationError, ConfigError, Fault
from inbox_agent.offers import AddressSpec, Zone
from inbox_agent.outgoing import is_addr_spec
from inbox_agent.shipped import shipped
from inbox_agent.toml_model import Section, identifier, load

_MAX_SECRET = 16 * 1024  # octets; a refresh token of Microsoft 365 has about 2 kB
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def _resolve(value: Any, info: ValidationInfo) -> Any:
    """A path of the file is relative to the file's folder."""
    folder = (info.context or {}).get("folder")
    if value == "":
        raise ValueError("is empty; Name a file or folder.")
    if isinstance(value, str) and folder is not None:
        try:
            return str(Path(folder).resolve() / Path(value).expanduser())
        except RuntimeError:
            raise ValueError(f'"{value}" is in the home of nobody known; Write the whole path.') from None
    return value


def _clock_time(value: Any) -> time:
    """To the minute, in the association's zone: at no other moment is the digest looked for."""
    try:
        at = value if isinstance(value, time) else time.fromisoformat(str(value))
    except ValueError:
        at = None
    if at is None or at != time(at.hour, at.minute):
        raise ValueError(f'"{value}" is no time of day; Write it as "18:00".')
    return at


def _writable(value: str) -> str:
    if not is_addr_spec(value):
        raise ValueError(f'"{value}" cannot be written to; Use letters without accents, and a domain as "xn--…".')
    return value


def _not_in_dst_gap(value: time) -> time:
    if value.hour == 2:  # noqa: PLR2004 - Europe changes its clocks at 02:00 or 03:00
        raise ValueError(f"{value:%H:%M} does not exist, or exists twice, when the clocks change; Choose another hour.")
    return value


FilePath = Annotated[Path, BeforeValidator(_resolve)]
TimeOfDay = Annotated[time, BeforeValidator(_clock_time), AfterValidator(_not_in_dst_gap)]
Recipient = Annotated[AddressSpec, AfterValidator(_writable)]
Word = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Secret(Section):
    """Where a secret is, never the secret itself. Exactly one of the four."""

    credential: Word | None = None
    file: FilePath | None = None
    env: Word | None = None
    command: Annotated[list[str], Field(min_length=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_plain_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError(  # noqa: TRY004 - pydantic collects ValueError
                "a secret stands in the file itself; Name where it is instead: "
                '{ credential = "…" }, { file = "…" }, { env = "…" } or { command = ["…"] }.'
            )
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(source is not None for source in (self.credential, self.file, self.env, self.command)) != 1:
            raise ValueError("names not exactly one source; Give credential, file, env or command.")
        return self

    def read(self) -> str:
        """The secret, without its last line break. Raises AuthenticationError naming the source."""
        match self:
            case Secret(credential=str(name)):
                return _read_credential(name)
            case Secret(file=Path() as path):
                _refuse_open_file(path)
                return _read_file(path)
            case Secret(env=str(name)):
                return _read_environment(name)
            case _:
                return _run_command(self.command or [])


def _read_credential(name: str) -> str:
    """What systemd gives the service (LoadCredential=); no other process has it."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder is None:
        raise AuthenticationError(
            f'the credential "{name}" is known to the service alone, and this is not the service. Look from inside: '
            f"systemd-run --pipe --wait -p User=inbox-agent -p LoadCredential={name}:inbox-agent.{name} "
            "inbox-agent check"
        )
    if not (Path(folder) / name).exists():
        raise AuthenticationError(
            f'the service was given no credential "{name}". Write it to /etc/credstore/inbox-agent.{name}, for another '
            f"name or place add LoadCredential={name}:FILE to inbox-agent.service, and restart it."
        )
    return _read_file(Path(folder) / name)


def _read_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")[:_MAX_SECRET].rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise AuthenticationError(f"the secret {path} cannot be read ({type(error).__name__}). Create it.") from None


def _refuse_open_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # _read_file says it better.
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise AuthenticationError(f"the secret {path} can be read by others. Run: chmod 600 {path}")


def _read_environment(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise AuthenticationError(f"the environment variable {name} holds no secret. Set it.") from None


def _run_command(command: list[str]) -> str:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)  # noqa: S603 - the operator's own command
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        failed = f"the secret command {command[0]} failed ({type(error).__name__}). Run it by hand to see why."
        raise AuthenticationError(failed) from None
    return ran.stdout[:_MAX_SECRET].rstrip("\r\n")


class OAuth(Section):
    """OAuth 2.0 instead of a password (RFC 7628)."""

    provider: Literal["microsoft", "google", "custom"] = "microsoft"
    tenant: str = "common"
    client_id: str
    client_secret: Secret | None = None
    token_url: str | None = None
    scopes: list[str] = []
    token_file: FilePath
    ca_file: FilePath | None = None

    @model_validator(mode="after")
    def _addressed(self) -> Self:
        if self.provider == "custom" and not self.token_url:
            raise ValueError('provider = "custom" lacks token_url; Add it.')
        return self


class Server(Section):
    """A server and who we are there."""

    host: Word
    port: Port
    tls: Literal["implicit", "starttls", "none"] = "implicit"
    ca_file: FilePath | None = None
    user: str = ""
    password: Secret | None = None
    oauth: OAuth | None = None

    @model_validator(mode="after")
    def _plausible(self) -> Self:
        if self.tls == "none" and self.host not in _LOOPBACK:
            raise ValueError('tls = "none" to another machine; Use "implicit" or "starttls".')
        if self.password and self.oauth:
            raise ValueError("has both password and oauth; Keep one.")
        return self


class Imap(Server):
    """Reading: IMAP (RFC 9051)."""

    port: Port = 993

    @model_validator(mode="after")
    def _identified(self) -> Self:
        if not self.user or not (self.password or self.oauth):
            raise ValueError("lacks user, or password or oauth; Add them.")
        return self


class MailboxSection(Section):
    """One account and folder that the agent reads."""

    name: Annotated[str, AfterValidator(identifier(32))]
    imap: Imap
    folder: str = "INBOX"
    target: str = "Candidatures"
    drafts: str | None = None
    sent: str | None = None
    poll_seconds: Annotated[int, Field(ge=5, le=3600)] = 60
    look_seconds: Annotated[int, Field(ge=5, le=86400)] = 300
    idle: bool = True
    max_message_mb: Annotated[int, Field(ge=1, le=500)] = 60


class Smtp(Server):
    """Sending: submission (RFC 6409)."""

    port: Port = 465
    answer_seconds: Annotated[int, Field(ge=10, le=1800)] = 600


class Replies(Section):
    """Who is answered, how, and how much at most."""

    mode: Literal["draft", "send", "off"] = "draft"
    answer_since: date | None = None
    in_doubt: Literal["resend_once", "ask"] = "resend_once"
    evidence_copy: bool = False
    keep_in_sent: bool = True
    evidence_minutes: Annotated[int, Field(ge=0, le=1440)] = 15
    per_address_per_day: Annotated[int, Field(ge=0, le=20)] = 3
    per_hour: Annotated[int, Field(ge=1, le=10000)] = 60
    per_day: Annotated[int, Field(ge=1, le=100000)] = 300
    trusted_authserv_id: str | None = None


class Archive(Section):
    """Where applications are filed."""

    root: str
    group_readable: bool = True
    web_prefix: str | None = None
    password: Secret | None = None
    user: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _resolved(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, dict) and isinstance(value.get("root"), str) and "://" not in value["root"]:
            return {**value, "root": _resolve(value["root"], info)}
        return value


class DigestSection(Section):
    """The daily report to staff."""

    to: Annotated[list[Recipient], Field(min_length=1)]
    at: TimeOfDay = time(18, 0)
    days: list[Weekday] = ["mon", "tue", "wed", "thu", "fri"]
    heartbeat: bool = True


class Organisation(Section):
    """Who speaks in the replies."""

    name: Word
    address: Recipient
    address_name: str = ""
    reply_to: Recipient | None = None
    signature: list[str] = []
    contact: str | None = None
    next_steps: str | None = None
    controller: str | None = None
    recipients: str | None = None
    privacy_contact: str | None = None


class Retention(Section):
    """How long applications are kept, counted from the last contact."""

    months: Annotated[int, Field(ge=0, le=120)] = 3
    agreed_months: Annotated[int, Field(ge=0, le=120)] = 24
    announce_days: Annotated[int, Field(ge=0, le=60)] = 7
    purge: bool = True


class StoreSection(Section):
    """The store of the journal."""

    url: str | None = None


class ReaderSection(Section):
    """The child processes that read messages, and their limits."""

    workers: Annotated[int, Field(ge=1, le=64)] = 2
    lifetime_messages: Annotated[int, Field(ge=1, le=100000)] = 500
    memory_mb: Annotated[int, Field(ge=128, le=8192)] = 1024
    cpu_seconds: Annotated[int, Field(ge=1, le=600)] = 10
    wall_seconds: Annotated[int, Field(ge=1, le=600)] = 12
    ocr: bool = True
    ocr_pages: Annotated[int, Field(ge=1, le=50)] = 4
    queued: bool = False


class Alerts(Section):
    """Who hears of trouble at once."""

    to: list[Recipient] = []
    command: list[str] | None = None
    after_minutes: Annotated[int, Field(ge=1, le=1440)] = 15


class Config(Section):
    """`config.toml`."""

    state: FilePath
    rules: FilePath | None = None
    templates: FilePath | None = None
    timezone: Zone = "Europe/Paris"
    staff: list[AddressSpec] = []
    first_run: Literal["offers", "new", "all"] = "offers"
    organisation: Organisation
    mailboxes: Annotated[list[MailboxSection], Field(min_length=1)]
    smtp: Smtp | None = None
    replies: Replies = Replies()
    archive: Archive
    digest: DigestSection
    store: StoreSection = StoreSection()
    reader: ReaderSection = ReaderSection()
    retention: Retention = Retention()
    alerts: Alerts = Alerts()

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.smtp is None and self.replies.mode == "send":
            raise ValueError('replies.mode is "send" and there is no [smtp]; Add [smtp] or choose "draft".')
        if self.smtp is None and self.alerts.to:
            raise ValueError("alerts.to is set and there is no [smtp]; Add [smtp], or use alerts.command instead.")
        if self.reader.queued and not self.store_url.startswith("postgresql"):
            raise ValueError("reader.queued needs a store that workers reach; Set store.url to a PostgreSQL.")
        names = [mailbox.name for mailbox in self.mailboxes]
        if len(set(names)) != len(names):
            raise ValueError("two mailboxes have one name; Names are unique.")
        return self

    @property
    def rules_folder(self) -> Path:
        """The installation's own rules, else those that ship."""
        return self.rules or shipped("rules")

    @property
    def store_url(self) -> str:
        """The SQLAlchemy URL of the store; SQLite in the state folder unless said otherwise."""
        return self.store.url or f"sqlite:///{self.state / 'journal.db'}"


def load_config(path: Path) -> Config:
    """Raises ConfigError with every fault."""
    return load(path, Config)


def config_path(given: Path | None) -> Path:
    """The file to use: the one given, $INBOX_AGENT_CONFIG, ./config.toml, /etc/inbox-agent/config.toml.

    Raises ConfigError when there is none.
    """
    if given is not None:
        return given
    named = os.environ.get("INBOX_AGENT_CONFIG")
    places = [Path(named)] if named else [Path("config.toml"), Path("/etc/inbox-agent/config.toml")]
    for place in places:
        if place.exists():
            return place
    remedy = 'Run "inbox-agent init", or name one with --config.'
    raise ConfigError((Fault(str(places[-1]), "file", "there is no configuration", remedy),))
