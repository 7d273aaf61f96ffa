"""The service: polls on the main thread, digest and nightly jobs on a scheduler, reports on a thread of their own.

The main thread does all that touches mail, one pass per mailbox at a time; the scheduler hands it what is for it. It
polls by itself, for that is all that happens in most minutes of a year (docs/performance.md). IDLE, on a connection
of its own, is a hint that makes the next poll come at once (libraries.md: it is never more than a hint). SIGTERM ends
after the message in hand. The watchdog is fed by passes that made progress and, between them, by the main thread
itself while no poll is overdue: a thread that hangs and a poll that always breaks both starve it.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from apscheduler.executors.base import BaseExecutor, run_job
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from inbox_agent.alert import NOTHING_IS_SENT, REPLIES_ARE_STOPPED, TROUBLE_KINDS, Alarm, trouble_of
from inbox_agent.cycle import Pass, run_pass
from inbox_agent.drafts import look_at_drafts
from inbox_agent.errors import AgentError, AnotherInstanceError, AuthenticationError, StoreError
from inbox_agent.execute import execute
from inbox_agent.holding import DESK, elsewhere
from inbox_agent.installation import connect_mailbox, smtp_sender, system_errors
from inbox_agent.journal import REPLIES_STOPPED, SENDING_TROUBLE
from inbox_agent.logs import for_log
from inbox_agent.publish import Rhythm, publish
from inbox_agent.refusals import REST, connect_unless_refused
from inbox_agent.report import send_due_digest
from inbox_agent.take_over import fill_spool
from inbox_agent.watch import still, unmoved

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from inbox_agent.execute import Account
    from inbox_agent.installation import Installation
    from inbox_agent.ports import FolderState, Sender
    from inbox_agent.watch import Seen

_log = logging.getLogger(__name__)

# Waits between tries to connect. A wrong password is tried more seldom still (refusals.py), an OAuth login too.
_BACKOFF = (timedelta(seconds=5), timedelta(seconds=15), timedelta(minutes=1), timedelta(minutes=5))
_STAND_BY = 5  # seconds between looks whether another host let a mailbox go
_OVERDUE_POLLS = 3  # intervals without an ended poll after which the mail thread no longer vouches for itself
_PURGE_HOUR = 4
# At the latest so often a pass is made although nothing came, nothing is due and nobody moved anything, which a look
# finds out every `look_seconds`. Only the whole pass notices what no mail tells of: an archive that cannot be written,
# a disk that fills up, a clock that was set back. A message that comes has it made before it is touched: the hour is
# how late people hear of such trouble in a mailbox where nothing happens.
_WHOLE_PASS = 3600
_IDLE_SECONDS = 9 * 60  # of silence: shorter than any NAT forgets a connection (reliability.md threat 9)


def notify(state: str) -> None:
    """Tell systemd (sd_notify(3)); nothing happens without it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect("\0" + address[1:] if address.startswith("@") else address)
        channel.sendall(state.encode())


def _watchdog_seconds() -> float:
    """WatchdogSec= of the unit (sd_watchdog_enabled(3)), 0 without one."""
    return int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6


@dataclass(frozen=True, slots=True)
class Quiet:
    """What a pass left when there was nothing to do: the folder, the store, and until when nothing becomes due.

    `look_at` is when to look again at what staff move and what came untold. Both are of Clock.monotonic. What the first
    look saw is kept for the next ones: our folders, and whether drafts wait.
    """

    state: FolderState
    last_uid: int
    version: int
    until: float
    look_at: float
    tree: Seen | None = None
    drafts: bool = True


@dataclass(slots=True)
class Line:
    """The connection to one mailbox, kept between polls; when it may be tried again after a failure.

    Moments of Clock.monotonic: the next poll is due at `due`; `alive_at` is its latest progress, a poll that ended,
    well or not, or a batch; `looked_at` the latest look at the folders that staff move mail between, None before the
    first.
    """

    name: str
    account: Account | None = None
    failures: int = 0
    not_before: datetime | None = None
    due: float = 0.0
    alive_at: float = 0.0
    looked_at: float | None = None
    quiet: Quiet | None = None

    def drop(self) -> None:
        """Forget the connection."""
        self.quiet = None
        if self.account is not None:
            self.account.mailbox.close()
        self.account = None


def quiet_after(installation: Installation, line: Line, rebuild_at: float) -> Quiet | None:
    """What the next polls are compared with, None if there is something to do already.

    The version of the store is taken first: what is written from then on shows in it, and what was before is looked
    for here. A folder that the adapter finds as it was is the same value, not an equal one.
    """
    journal, clock = installation.journal, installation.clock
    version = journal.version()
    if version is None or line.account is None or line.looked_at is None or installation.holding.shared:
        return None
    now = clock.monotonic()
    until = now + _WHOLE_PASS
    if rebuild_at > now:
        until = min(until, rebuild_at)
    if next_work := journal.next_work():
        until = min(until, now + (next_work - clock.now()).total_seconds())
    mailbox = line.account.mailbox
    state = mailbox.select(line.account.folder)
    last_uid = journal.position(line.name).last_uid
    if until <= now or mailbox.list_uids(last_uid + 1):
        return None
    return Quiet(state, last_uid, version, until, line.looked_at + installation.section(line.name).look_seconds)


class _MainThread(BaseExecutor):  # type: ignore[misc] # apscheduler has no types, see pyproject.toml.
    """Has the main thread do what the scheduler starts."""

    def __init__(self, errands: SimpleQueue[Callable[[], object]]) -> None:
        super().__init__()
        self._errands = errands

    def _do_submit_job(self, job: Any, run_times: Any) -> None:
        self._errands.put(partial(self._do, job, run_times))

    def _do(self, job: Any, run_times: Any) -> None:
        events = run_job(job, job._jobstore_alias, run_times, self._logger.name)  # noqa: SLF001 - as its executors do
        self._run_job_success(job.id, events)


@dataclass(slots=True)
class Daemon:
    """A running installation. `errands` is what the main thread does next, whoever asks for it."""

    installation: Installation
    stop: threading.Event = field(default_factory=threading.Event)
    errands: SimpleQueue[Callable[[], object]] = field(default_factory=SimpleQueue)
    lines: dict[str, Line] = field(default_factory=dict)
    sender: Sender | None = None
    rhythm: Rhythm = field(default_factory=Rhythm)
    alarm: Alarm = field(init=False)

    def __post_init__(self) -> None:
        self.alarm = Alarm(self.installation.config, self.installation.clock)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        self.prepare()
        scheduler = self._scheduler()
        scheduler.start()
        notify("READY=1\nSTATUS=En service")
        _log.info("ready mailboxes=%d", len(self.lines))
        self._watch()
        self._serve()
        notify("STOPPING=1")
        scheduler.shutdown(wait=True)
        self.close()
        _log.info("stopped")

    def _end(self, *_: object) -> None:
        """A signal may come between any two steps of the main thread: it must not hold the lock of `stop` ever."""
        self.stop.set()
        self.errands.put(lambda: None)  # Wakes it.

    def _serve(self) -> None:
        """Poll when it is time, and do between polls what others ask for, until a signal comes."""
        feed_every = _watchdog_seconds() / 3 or math.inf
        clock = self.installation.clock
        feed_at = clock.monotonic() + feed_every
        while not self.stop.is_set():
            line = min(self.lines.values(), key=lambda line: line.due)
            if line.due <= clock.monotonic():
                self._do(partial(self.poll, line.name))
                line.due = self.next_poll(line)
            now = clock.monotonic()
            next_poll = min(line.due for line in self.lines.values())
            if feed_at <= max(now, next_poll):
                # Before it is due, rather than wake for it alone.
                self.beat()
                feed_at = now + feed_every
            with suppress(Empty):
                self._do(self.errands.get(timeout=max(0.0, min(next_poll, feed_at) - now)))

    def next_poll(self, line: Line) -> float:
        """When the next one is due: after one that failed as soon as it may try again, if that is sooner."""
        clock = self.installation.clock
        wait = float(self.installation.section(line.name).poll_seconds)
        if line.not_before is not None and (rest := (line.not_before - clock.now()).total_seconds()) > 0:
            wait = min(wait, rest)
        return clock.monotonic() + wait

    @staticmethod
    def _do(errand: Callable[[], object]) -> None:
        try:
            errand()
        except Exception:  # noqa: BLE001 - a bug keeps no other from its turn; where polls always break, no watchdog is fed
            _log.exception("errand-broke")

    def prepare(self) -> None:
        """Make good what a crash left; no connection yet. Among several hosts each mailbox waits for who takes it."""
        if not self.installation.holding.shared:
            self._recover(None)
        now = self.installation.clock.monotonic()
        self.lines = {
            section.name: Line(section.name, due=now, alive_at=now) for section in self.installation.config.mailboxes
        }
        self.sender = smtp_sender(self.installation.config)

    def _recover(self, held: frozenset[str] | None) -> None:
        recovered = self.installation.journal.recover(held)
        if recovered:
            _log.warning("recovered claimed-replies=%d", recovered)

    def _take(self, name: str) -> bool:
        """Have a mailbox, or the desk; what its last holder left is made good then. False: another host has it."""
        holding = self.installation.holding
        if holding.holds(name):
            return True
        if not holding.take(name):
            return False
        self._recover(frozenset({name}))
        return True

    def stand_by(self) -> None:
        """Take up what another host let go."""
        for name in self.lines:
            if not self.installation.holding.holds(name):
                self.poll(name)

    def close(self) -> None:
        """Log out everywhere."""
        for line in self.lines.values():
            line.drop()
        if self.sender is not None:
            self.sender.close()

    def poll(self, name: str, progress: Callable[[int, int], None] | None = None) -> None:
        """One pass, whose trouble is written down and told, never raised: the next poll comes."""
        line = self.lines[name]
        if line.not_before is not None and self.installation.clock.now() < line.not_before:
            self._send_reports()
            self._alive(line)
            return
        try:
            if self._is_quiet(line):
                line.alive_at = self.installation.clock.monotonic()
                return
            self.pass_over(line, progress)
        except AnotherInstanceError:
            line.drop()  # Another host has it: we stand by.
        except AgentError as error:
            self._failed(line, error)
            self._send_reports()
        else:
            line.failures, line.not_before = 0, None
            self._recovered(line)
        self._alive(line)
        with suppress(StoreError):
            notify(f"STATUS={self._status()}")

    def pass_over_all(self, progress: Callable[[int, int], None] | None = None) -> tuple[int, dict[str, AgentError]]:
        """One pass over every mailbox, for `once`: how many were decided, and what went wrong by mailbox.

        One that fails keeps no other from its pass, and whoever is to be alerted hears of it.
        """
        decided = 0
        failures: dict[str, AgentError] = {}
        for name, line in self.lines.items():
            try:
                decided += self.pass_over(line, progress)
            except AnotherInstanceError as error:
                failures[name] = error
            except AgentError as error:
                failures[name] = error
                self.alarm.tell(trouble_of(name, error))
            else:
                self._recovered(line)
        return decided, failures

    def pass_over(self, line: Line, progress: Callable[[int, int], None] | None = None) -> int:
        """One pass; raises what went wrong, which status and digest tell from then on."""
        try:
            with system_errors():
                return self._pass(line, progress)
        except AnotherInstanceError:
            raise
        except AgentError as error:
            with suppress(StoreError):  # It may be the store that refuses.
                self.installation.journal.polled(line.name, str(error))
            raise

    def _pass(self, line: Line, progress: Callable[[int, int], None] | None) -> int:
        if not self._take(line.name):
            raise elsewhere(self.installation.holding, line.name)
        if line.account is None:
            line.account = connect_unless_refused(self.installation, line.name)
        desk = self._take(DESK)
        if self.installation.holding.shared:
            line.account.mailbox.select(line.account.folder)
            fill_spool(self.installation, line.account, line.name)
        began = self.installation.clock.monotonic()
        look_seconds = self.installation.section(line.name).look_seconds
        look = line.looked_at is None or began - line.looked_at >= look_seconds
        decided = run_pass(
            Pass(
                installation=self.installation,
                name=line.name,
                account=line.account,
                sender=self.sender,
                progress=lambda done, total: self._progress(line, done, total, progress),
                stopping=self.stop.is_set,
                look=look,
            )
        )
        if look:
            line.looked_at = began
        if desk:
            publish(self.installation, self.rhythm)
        self.installation.journal.polled(line.name, None)
        line.quiet = None if decided or not desk else quiet_after(self.installation, line, self.rhythm.not_before)
        return decided

    def _is_quiet(self, line: Line) -> bool:
        """Whether nothing came and nothing is to be done: then a poll is one NOOP and a note that it was made."""
        quiet, account, journal = line.quiet, line.account, self.installation.journal
        now = self.installation.clock.monotonic()
        if quiet is None or account is None or now >= quiet.until:
            return False
        if journal.version() != quiet.version or account.mailbox.select(account.folder) is not quiet.state:
            return False
        if now >= quiet.look_at:
            line.quiet = self._look(line.name, account, quiet)
            line.looked_at = now if line.quiet else None
            if line.quiet is None:
                return False
        journal.polled_quietly(line.name)
        return True

    def _look(self, name: str, account: Account, quiet: Quiet) -> Quiet | None:
        """For what no server need tell here: mail that came (UID SEARCH), what staff did with ours. None: something."""
        installation, section = self.installation, self.installation.section(name)
        drafts = quiet.drafts and look_at_drafts(installation, account, name)
        if quiet.tree is None:
            tree = unmoved(installation, account, name)
        else:
            tree = quiet.tree if still(account, section.target, quiet.tree) else None
        if tree is None or account.mailbox.list_uids(quiet.last_uid + 1):
            return None
        if drafts and installation.journal.version() != quiet.version:
            return None  # One was settled, which is to be published.
        return replace(quiet, look_at=installation.clock.monotonic() + section.look_seconds, tree=tree, drafts=drafts)

    def digest(self) -> None:
        """Send the digest if it is due and has not been sent."""
        try:
            with system_errors():
                if self._take(DESK):
                    send_due_digest(self.installation)
        except AgentError as error:
            _log.error("digest-failed %s", for_log(error))

    def _send_reports(self) -> None:
        """A digest goes out although the mailbox is away: it is what says so. On the mail thread, as all sending."""
        try:
            with system_errors():
                execute(self.installation.journal, self.installation.world({}, self.sender), reports_only=True)
        except AgentError as error:
            _log.error("reports-failed %s", for_log(error))

    def purge(self) -> None:
        """Delete what is kept no longer; what goes wrong is told, and tried again the next night."""
        from inbox_agent.erase import connections  # noqa: PLC0415 - once a night
        from inbox_agent.purge import purge  # noqa: PLC0415 - the same

        try:
            if not self._take(DESK):
                return
            with system_errors(), connections(self.installation) as connect:
                purge(self.installation, connect)
        except AgentError as error:
            _log.error("purge-failed %s", for_log(error))

    def beat(self) -> None:
        """Feed the watchdog between passes. Runs on the main thread, so a pass that hangs holds it up."""
        now = self.installation.clock.monotonic()
        for section in self.installation.config.mailboxes:
            # The other mailboxes have the thread too, each for less than the watchdog's patience.
            patience = max(_OVERDUE_POLLS * section.poll_seconds, _watchdog_seconds())
            if now - self.lines[section.name].alive_at > patience:
                _log.error("poll-overdue mailbox=%s", section.name)
                return
        notify("WATCHDOG=1")

    def _alive(self, line: Line) -> None:
        line.alive_at = self.installation.clock.monotonic()
        notify("WATCHDOG=1")

    def _progress(self, line: Line, done: int, total: int, further: Callable[[int, int], None] | None) -> None:
        self._alive(line)
        if further is not None:
            further(done, total)

    def _failed(self, line: Line, error: AgentError) -> None:
        line.drop()
        wait = _BACKOFF[min(line.failures, len(_BACKOFF) - 1)]
        if isinstance(error, AuthenticationError) and self.installation.section(line.name).imap.oauth is not None:
            wait = REST
        line.failures += 1
        line.not_before = self.installation.clock.now() + wait
        _log.error("poll-failed mailbox=%s %s", line.name, for_log(error))
        self.alarm.tell(trouble_of(line.name, error))

    def _recovered(self, line: Line) -> None:
        journal = self.installation.journal
        for kind in TROUBLE_KINDS:
            self.alarm.over(f"{kind}:{line.name}")
        for trouble, fact in ((REPLIES_ARE_STOPPED, REPLIES_STOPPED), (NOTHING_IS_SENT, SENDING_TROUBLE)):
            detail = journal.fact(fact)
            if not detail:
                self.alarm.over(trouble.key)
            else:
                self.alarm.tell(replace(trouble, detail=detail))

    def _status(self) -> str:
        ledger = self.installation.journal.ledger()
        said = f"{ledger.messages} messages, {ledger.pending} en attente, {ledger.doubt} à vérifier"
        failing = ", ".join(line.name for line in self.lines.values() if line.failures)
        return f"{said}, sans accès\N{NO-BREAK SPACE}: {failing}" if failing else said

    def _scheduler(self) -> BackgroundScheduler:
        """Libraries.md: no grace time, one instance, reports on a thread that no poll can hold up."""
        config = self.installation.config
        scheduler = BackgroundScheduler(
            executors={"main": _MainThread(self.errands), "reports": ThreadPoolExecutor(1)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone=self.installation.zone,
        )
        if self.installation.holding.shared:
            scheduler.add_job(self.stand_by, IntervalTrigger(seconds=_STAND_BY), id="stand-by", executor="main")
        # A trigger has a zone of its own, the machine's where none is given.
        zone, at = self.installation.zone, config.digest.at
        days = ",".join(config.digest.days)
        trigger = CronTrigger(day_of_week=days, hour=at.hour, minute=at.minute, timezone=zone)
        if config.retention.purge:
            # A quiet hour that no change of clocks touches; on the main thread, for it moves mail and deletes files.
            scheduler.add_job(
                self.purge, CronTrigger(hour=_PURGE_HOUR, minute=20, timezone=zone), id="purge", executor="main"
            )
        # At start too: a digest that was due while the agent was down is sent once, late.
        scheduler.add_job(self.digest, trigger, id="digest", executor="reports")
        scheduler.add_job(self.digest, id="digest-missed", executor="reports")
        return scheduler

    def _watch(self) -> None:
        for section in self.installation.config.mailboxes:
            if section.idle:
                threading.Thread(
                    target=self._idle, args=(section.name,), name=f"idle-{section.name}", daemon=True
                ).start()

    def _unread(self, name: str, state: FolderState) -> bool:
        """Whether the folder holds, or may hold, a message beyond the last one that is known."""
        position = self.installation.journal.position(name)
        return state.uidnext is None or state.uidnext > position.last_uid + 1

    def _poll_soon(self, name: str) -> None:
        self.lines[name].due = 0.0

    def _idle(self, name: str) -> None:
        """Wait for the server's hint and make the next poll come at once; lost connections are polls' business."""
        section = self.installation.section(name)
        while not self.stop.is_set():
            if self.lines[name].account is None:
                self.stop.wait(5)  # The poll tries logins first: a refused one is not tried twice as often.
                continue
            try:
                account = connect_mailbox(section)
                # What came before this connection opened the folder is not announced on it.
                news = self._unread(name, account.mailbox.select(account.folder))
                while not self.stop.is_set():
                    if news:
                        self.errands.put(partial(self._poll_soon, name))
                    news = account.mailbox.wait(_IDLE_SECONDS)
            except AuthenticationError:
                self.stop.wait(REST.total_seconds())
            except AgentError as error:
                _log.info("idle-lost mailbox=%s %s", name, type(error).__name__)
                self.stop.wait(60)
