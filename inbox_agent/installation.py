"""The configuration, opened: everything an installation works with, made once at start."""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from inbox_agent.adapters.clock import SystemClock
from inbox_agent.decide import Policy
from inbox_agent.decision import ReplyMode
from inbox_agent.errors import (
    AgentError,
    AnotherInstanceError,
    ConfigError,
    Fault,
    FileStoreError,
    ImplausibleError,
    StoreError,
)
from inbox_agent.execute import Account, World
from inbox_agent.holding import Alone, SharedHolding
from inbox_agent.journal import Journal
from inbox_agent.message import Address
from inbox_agent.offer import Offer, Staff
from inbox_agent.offers import load_offers
from inbox_agent.plan import Stationery
from inbox_agent.reply import Organisation, Privacy
from inbox_agent.templates import templates_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inbox_agent.adapters.connection import Login
    from inbox_agent.adapters.oauth import OAuthSettings, TokenSource
    from inbox_agent.adapters.readers import ChildReaders
    from inbox_agent.config import Config, MailboxSection, OAuth, Secret, Server
    from inbox_agent.holding import Holding
    from inbox_agent.ports import Clock, FileStore, Mailbox, Readers, Sender

_SUDDENLY = 10  # messages that do not go at once when people tidy up
_DRAFTS, _SENT = r"\Drafts", r"\Sent"


@dataclass(frozen=True, slots=True)
class Installation:
    """All that stays the same while the agent runs."""

    config: Config
    offers: tuple[Offer, ...]
    policy: Policy
    stationery: Stationery
    journal: Journal
    files: FileStore
    readers: Readers
    clock: Clock
    holding: Holding

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the association's days."""
        return ZoneInfo(self.config.timezone)

    def now(self) -> datetime:
        """The present, in the association's zone."""
        return self.clock.now().astimezone(self.zone)

    def day_start(self) -> datetime:
        """Midnight of the association's present day."""
        return datetime.combine(self.now().date(), time(), self.zone)

    def spool(self, mailbox: str) -> Path:
        """The folder of one mailbox's octets."""
        return self.config.state / "spool" / mailbox

    def section(self, mailbox: str) -> MailboxSection:
        """The configuration of one mailbox. Raises AgentError for one that is in the store and no longer there."""
        for section in self.config.mailboxes:
            if section.name == mailbox:
                return section
        raise AgentError(f'the configuration has no mailbox "{mailbox}". Give it back that name, if it was renamed.')

    def world(self, accounts: dict[str, Account], sender: Sender | None) -> World:
        """What the acts of these accounts may touch."""
        replies = self.config.replies
        return World(
            accounts=accounts,
            files=self.files,
            sender=sender,
            spool=self.config.state / "spool",
            clock=self.clock,
            copy_to=self.config.organisation.address if replies.evidence_copy else None,
            resend_in_doubt=replies.in_doubt == "resend_once",
            evidence=timedelta(minutes=replies.evidence_minutes),
            keep_in_sent=replies.keep_in_sent,
            held=self.holding.held,
            still=self.holding.still,
        )


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """The state folder for this process alone. Raises AnotherInstanceError when an agent runs."""
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        state.chmod(0o700)  # Names, addresses and replies are in it.
        descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FileStoreError(f"the state folder {state} cannot be used ({error.strerror}). Check its owner.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AnotherInstanceError(f"another inbox-agent uses {state}. Stop it, or wait until it has ended.") from None
    else:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def system_errors() -> Iterator[None]:
    """The barrier for what no adapter stands before: the system's refusal is the world's fault, never a bug of ours."""
    try:
        yield
    except OSError as error:
        what = ": ".join(str(said) for said in (error.strerror or type(error).__name__, error.filename) if said)
        raise FileStoreError(f"the system refuses ({what}). Look at the disk and at the system's log.") from error


@contextmanager
def opened(config: Config, clock: Clock | None = None) -> Iterator[Installation]:
    """The whole installation. Raises ConfigError, StoreError; the state folder must be locked by the caller."""
    clock = clock or SystemClock()
    _check_own_templates(config)
    offers = offers_of(config)
    staff = staff_of(config, offers)
    with system_errors():
        for mailbox in config.mailboxes:
            (config.state / "spool" / mailbox.name).mkdir(parents=True, exist_ok=True, mode=0o700)
    journal = Journal.open(config.store_url, clock)
    readers = _readers(config, offers, staff)
    # Several hosts may share a store on PostgreSQL; a file has this host alone, which locked its state folder.
    holding = SharedHolding(journal.engine) if journal.engine.dialect.name == "postgresql" else Alone()
    try:
        yield Installation(
            config=config,
            offers=offers,
            policy=_policy(config, offers, staff, journal),
            stationery=_stationery(config, journal),
            journal=journal,
            files=file_store(config),
            readers=readers,
            clock=clock,
            holding=holding,
        )
    finally:
        readers.close()
        holding.close()
        journal.close()


def _check_own_templates(config: Config) -> None:
    """Words of an organisation's own are tried out before a reply depends on them; those that ship are tested."""
    if config.templates is None:
        return
    from inbox_agent.samples import check_templates  # noqa: PLC0415 - only where there are any

    if faults := check_templates(config.templates):
        raise ConfigError(faults)


def offers_of(config: Config) -> tuple[Offer, ...]:
    """The published offers. Raises ConfigError for faults in them, and for one whose replies nobody could send."""
    offers = load_offers(config.rules_folder)
    sent = [offer for offer in offers if config.smtp is None and "send" in dict(offer.reply_modes).values()]
    if sent:
        folder, remedy = config.rules_folder / "offers", 'Add [smtp], or choose "draft".'
        unsent = '"send", and the configuration has no [smtp]'
        raise ConfigError(tuple(Fault(str(folder / f"{offer.id}.toml"), "reply", unsent, remedy) for offer in sent))
    return offers


def staff_of(config: Config, offers: tuple[Offer, ...]) -> Staff:
    """Who is not a candidate."""
    return Staff.of(offers, (*config.staff, config.organisation.address))


def _readers(config: Config, offers: tuple[Offer, ...], staff: Staff) -> Readers:
    scratch = config.state / "scratch"
    children = child_readers(config, offers, staff, scratch, config.reader.workers)
    if not config.reader.queued:
        return children
    try:
        from inbox_agent.adapters.queued_readers import QueuedReaders  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise StoreError("reader.queued needs more programs. Install inbox-agent[scale].") from error
    from inbox_agent.worker import queue_of  # noqa: PLC0415 - only where there are workers

    queue = queue_of(config.rules_folder, offers, staff)
    return QueuedReaders(config.store_url, queue, children, scratch)


def child_readers(config: Config, offers: tuple[Offer, ...], staff: Staff, scratch: Path, workers: int) -> ChildReaders:
    """The children of this host."""
    from inbox_agent.adapters.readers import ChildReaders, ReaderLimits  # noqa: PLC0415 - adapters load when used

    reader = config.reader
    limits = ReaderLimits(
        memory=reader.memory_mb * 2**20,
        cpu=reader.cpu_seconds,
        wall=reader.wall_seconds,
        messages=reader.lifetime_messages,
        ocr_pages=reader.ocr_pages if reader.ocr else 0,
    )
    with system_errors():
        scratch.mkdir(exist_ok=True, mode=0o700)
    return ChildReaders(config.rules_folder, offers, staff, limits=limits, scratch=scratch, workers=workers)


def file_store(config: Config) -> FileStore:
    """The archive: a local folder, or a store named by its URL. Raises FileStoreError for one that cannot be used."""
    if "://" in config.archive.root:
        from inbox_agent.adapters.remote_files import remote_files  # noqa: PLC0415 - one of two

        password = partial(_secret, config.archive.password)
        return remote_files(config.archive.root, config.archive.user or "", password)
    from inbox_agent.adapters.files import LocalFiles  # noqa: PLC0415 - one of two

    # The shared folder's group stays the group of what is made in it (setgid).
    modes = (0o640, 0o2750) if config.archive.group_readable else (0o600, 0o700)
    return LocalFiles(Path(config.archive.root), file_mode=modes[0], folder_mode=modes[1])


def connect_mailbox(section: MailboxSection) -> Account:
    """Log in and learn where drafts and sent mail are. Raises AuthenticationError, TlsError, TryAgainError."""
    from inbox_agent.adapters.imap import ImapMailbox, ImapSettings  # noqa: PLC0415 - imapclient is slow to import

    settings = ImapSettings(
        host=section.imap.host,
        port=section.imap.port,
        tls=section.imap.tls,
        ca_file=section.imap.ca_file,
        login=_login(section.imap),
    )
    mailbox: Mailbox = ImapMailbox.connect(settings)
    drafts = section.drafts or mailbox.special(_DRAFTS) or "Drafts"
    return Account(mailbox, section.folder, drafts, section.sent or mailbox.special(_SENT))


def smtp_sender(config: Config) -> Sender | None:
    """The submission server, None when there is none. It connects when it first sends."""
    if config.smtp is None:
        return None
    from inbox_agent.adapters.smtp import SmtpSender, SmtpSettings  # noqa: PLC0415 - only where mail is sent

    return SmtpSender(
        SmtpSettings(
            host=config.smtp.host,
            port=config.smtp.port,
            tls=config.smtp.tls,
            ca_file=config.smtp.ca_file,
            login=partial(_login, config.smtp) if config.smtp.user else None,
            done_timeout=config.smtp.answer_seconds,
            local_name=config.organisation.address.rpartition("@")[2],
        )
    )


def check_plausible(installation: Installation) -> None:
    """Stop before anything is done when the world looks wrong. Raises ImplausibleError or FileStoreError."""
    journal, clock = installation.journal, installation.clock
    last = journal.fact("last_run")
    if last is not None and clock.now() < datetime.fromisoformat(last) - timedelta(minutes=5):
        raise ImplausibleError(
            f"the clock says {clock.now():%Y-%m-%d %H:%M} and the last run was later. Set the clock, "
            "or if it is right now, run once: inbox-agent once --trust-clock"
        )
    installation.files.check()
    largest = max(section.max_message_mb for section in installation.config.mailboxes) * 2**20
    for where, free in (("archive", installation.files.free()), ("state folder", _free(installation.config.state))):
        if free is not None and free < 3 * largest:
            raise ImplausibleError(
                f"the {where} has {free // 2**20} MB left, less than three of the largest messages "
                f"({3 * largest // 2**20} MB). Free some space."
            )
    journal.note_fact("last_run", clock.now().isoformat())


def check_populated(installation: Installation, mailbox: str, exists: int) -> None:
    """Stop when a folder that held many messages holds none. Raises ImplausibleError."""
    before = int(installation.journal.fact(f"exists:{mailbox}") or 0)
    if exists == 0 and before >= _SUDDENLY:
        raise ImplausibleError(
            f"the folder of {mailbox} held {before} messages at the last look and is empty now: is it the right "
            "account, and is its mail still there? The agent goes on by itself when there is a message."
        )


def note_populated(installation: Installation, mailbox: str, exists: int) -> None:
    """How many messages a pass left in the folder."""
    if installation.journal.fact(f"exists:{mailbox}") != str(exists):
        installation.journal.note_fact(f"exists:{mailbox}", str(exists))


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _login(server: Server) -> Login:
    from inbox_agent.adapters.connection import PasswordLogin, TokenLogin  # noqa: PLC0415 - adapters load when used

    if server.oauth is not None:
        source = token_source(server.oauth)
        return TokenLogin(server.user, source, source.refused)
    return PasswordLogin(server.user, _secret(server.password))


def oauth_settings(oauth: OAuth) -> OAuthSettings:
    """What the OAuth adapter needs of the configuration. Raises AuthenticationError for a secret that is not there."""
    from inbox_agent.adapters.oauth import OAuthSettings, endpoints  # noqa: PLC0415 - adapters load when used

    places = endpoints(oauth.provider, tenant=oauth.tenant, token_url=oauth.token_url, scopes=tuple(oauth.scopes))
    secret = oauth.client_secret.read() if oauth.client_secret else None
    return OAuthSettings(places, oauth.client_id, oauth.token_file, secret, oauth.ca_file)


_token_sources: dict[Path, TokenSource] = {}


def token_source(oauth: OAuth) -> TokenSource:
    """One source for each token file, so that a refusal is remembered over reconnections (no account is locked)."""
    from inbox_agent.adapters.oauth import TokenSource  # noqa: PLC0415 - adapters load when used

    if oauth.token_file not in _token_sources:
        _token_sources[oauth.token_file] = TokenSource(oauth_settings(oauth))
    return _token_sources[oauth.token_file]


def _secret(secret: Secret | None) -> str:
    return "" if secret is None else secret.read()


def _policy(config: Config, offers: tuple[Offer, ...], staff: Staff, journal: Journal) -> Policy:
    since = config.replies.answer_since
    zone = ZoneInfo(config.timezone)
    return Policy(
        offers=offers,
        staff=staff,
        mode=ReplyMode(config.replies.mode),
        target=config.mailboxes[0].target,
        answer_since=datetime.combine(since, time(), zone) if since else journal.installed_at(),
        trusted_authserv_id=config.replies.trusted_authserv_id,
        per_address_per_day=config.replies.per_address_per_day,
        per_hour=config.replies.per_hour,
        per_day=config.replies.per_day,
        own_addresses=frozenset({config.organisation.address}),
        remembers=True,
    )


def policy_for(installation: Installation, mailbox: str) -> Policy:
    """The policy with that mailbox's own target folder."""
    return replace(installation.policy, target=installation.section(mailbox).target)


def _stationery(config: Config, journal: Journal) -> Stationery:
    organisation = config.organisation
    return Stationery(
        organisation=Organisation(
            name=organisation.name,
            signature=tuple(organisation.signature) or (organisation.name,),
            privacy=Privacy(
                controller=organisation.controller or organisation.name,
                contact=organisation.privacy_contact or organisation.address,
                recipients=organisation.recipients,
                retention_months=config.retention.months,
            ),
            contact=organisation.contact,
            next_steps=organisation.next_steps,
        ),
        templates=templates_of(config.templates),
        sender=Address(organisation.address_name or organisation.name, organisation.address),
        reply_to=Address("", organisation.reply_to) if organisation.reply_to else None,
        key=_key(journal),
    )


def _key(journal: Journal) -> bytes:
    """The secret behind our Message-IDs, made once."""
    known = journal.fact("key")
    if known is None:
        known = secrets.token_hex(32)
        journal.note_fact("key", known)
    return bytes.fromhex(known)
