"""One pass over one mailbox: fetch, read, decide, write down, execute, in batches.

While the children read one batch, the next one is fetched, and the one before is decided. A message is
decided in the order of its UID, so that history is complete when it is looked at.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from inbox_agent.application import Reading
from inbox_agent.backfill import BACKFILL
from inbox_agent.corrections import carry_out_requests, hear, heed, told_of
from inbox_agent.decide import DOUBT_FOLDER, IMPLAUSIBLE, decide
from inbox_agent.drafts import look_at_drafts
from inbox_agent.errors import AgentError, TryAgainError
from inbox_agent.execute import execute
from inbox_agent.fetch import batches, fetch, spool_again, spooled, sweep
from inbox_agent.installation import check_plausible, check_populated, note_populated, policy_for
from inbox_agent.journal import MAX_ATTEMPTS
from inbox_agent.plan import Place, plan
from inbox_agent.ports import Unread
from inbox_agent.watch import begin, check_returning, look_around, returned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date, datetime

    from inbox_agent.decision import Decision, Earlier, Told
    from inbox_agent.execute import Account
    from inbox_agent.installation import Installation
    from inbox_agent.journal import Waiting, Write
    from inbox_agent.offer import Offer
    from inbox_agent.ports import Sender

_log = logging.getLogger(__name__)

# An offer that does not say when it opened is taken to have been published at most so long before its deadline.
_LONGEST_PUBLICATION = timedelta(days=92)
_READ_AT_ONCE = 28  # messages read in one batch: those of a fetch, or that a crash left received
_SWEEP_EVERY = 20  # batches; the spool of a first run must not come to hold the whole mailbox
_SUSPECT = 2  # attempts that failed; the next one is made alone, so that only the culprit comes to quarantine


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass: which mailbox, and how it is stopped and watched.

    `progress` is called after each batch; `stopping` says whether to end after the message in hand. `look`: see
    too what staff moved between the folders.
    """

    installation: Installation
    name: str
    account: Account
    sender: Sender | None
    progress: Callable[[int, int], None]
    stopping: Callable[[], bool]
    look: bool = False


def run_pass(now: Pass) -> int:
    """Everything that is to be done in one mailbox; how many messages were decided.

    Raises the errors of errors.py; what was done until then is done, the rest is done by the next pass.
    """
    installation = now.installation
    # A store that refused in the middle of a pass left what was claimed.
    installation.journal.recover(installation.holding.held())
    check_plausible(installation)
    mailbox, folder = now.account.mailbox, now.account.folder
    state = mailbox.select(folder)
    check_populated(installation, now.name, state.exists)
    begin(installation, now.account, now.name)
    decided = _catch_up(now)
    _execute(now)
    uidvalidity, uids = _scope(now)
    check_returning(installation, now.account, now.name, uids)
    fresh, withheld = _read_new(now, uidvalidity, uids)
    decided += fresh + _catch_up(now)
    _execute(now)
    decided += _correct(now)
    sweep(installation.spool(now.name), installation.journal.spooled())
    note_populated(installation, now.name, mailbox.select(folder).exists if decided else state.exists)
    if withheld:
        raise TryAgainError(
            f"the server lists {len(withheld)} messages of {now.name} and does not give them (UID {min(withheld)}): "
            "they are asked for again; look at them with a mail program"
        )
    return decided


def _correct(now: Pass) -> int:
    """What staff said by command, by mail or by moving mail; how many messages were decided anew."""
    if now.look:
        look_around(now.installation, now.account, now.name)
        look_at_drafts(now.installation, now.account, now.name)
    asked = carry_out_requests(now.installation, now.account, now.name)
    if not (now.look or asked):
        return 0
    now.account.mailbox.select(now.account.folder)
    decided = _catch_up(now)
    _execute(now)
    return decided


def _scope(now: Pass) -> tuple[int, Sequence[int]]:
    """The UIDVALIDITY, and the UIDs that are new to us."""
    journal, mailbox = now.installation.journal, now.account.mailbox
    state = mailbox.select(now.account.folder)
    position = journal.position(now.name)
    if position.uidvalidity is None:
        uids = _first_scope(now, state.uidnext)
        before = (min(uids) - 1) if uids else (state.uidnext or 1) - 1
        journal.begin_at(now.name, state.uidvalidity, before)
        _log.info("first-run mailbox=%s in-scope=%d", now.name, len(uids))
        return state.uidvalidity, uids
    if position.uidvalidity != state.uidvalidity:
        return state.uidvalidity, _renumbered(now, state.uidvalidity)
    first = position.last_uid + 1
    known = journal.known_uids(now.name, state.uidvalidity, first)
    return state.uidvalidity, [uid for uid in mailbox.list_uids(first) if uid >= first and uid not in known]


def _first_scope(now: Pass, uidnext: int | None) -> Sequence[int]:
    """What of an old mailbox is ours to judge: mail since the oldest offer was published."""
    installation = now.installation
    match installation.config.first_run:
        case "all":
            return now.account.mailbox.list_uids(1)
        case "new":
            mailbox = now.account.mailbox
            return mailbox.list_uids(uidnext) if uidnext else mailbox.since(installation.journal.installed_at())
        case _:
            since = min(_published(offer, installation.now().date()) for offer in installation.offers)
            return now.account.mailbox.since(
                installation.day_start().replace(year=since.year, month=since.month, day=since.day)
            )


def _renumbered(now: Pass, uidvalidity: int) -> Sequence[int]:
    """What to fetch under a new UIDVALIDITY: all in scope that size and date do not prove to be known."""
    journal, mailbox = now.installation.journal, now.account.mailbox
    _log.warning("renumbered mailbox=%s: every message is looked at again", now.name)
    listed = mailbox.listed(_first_scope(now, None))
    if now.installation.config.first_run == "new":
        listed = [message for message in listed if message.internaldate >= journal.installed_at()]
    journal.recognise(now.name, uidvalidity, listed)
    uids = [message.uid for message in listed]
    journal.begin_at(now.name, uidvalidity, min(uids) - 1 if uids else 0)
    known = journal.known_uids(now.name, uidvalidity, 1)
    return [uid for uid in uids if uid not in known]


def _published(offer: Offer, today: date) -> date:
    return offer.opens or (offer.deadline or today) - _LONGEST_PUBLICATION


@dataclass(frozen=True, slots=True)
class _Batch:
    """Messages whose reading is under way."""

    waiting: tuple[Waiting, ...]
    results: Iterator[Reading | Unread]


def _read_new(now: Pass, uidvalidity: int, uids: Sequence[int]) -> tuple[int, set[int]]:
    """How many were decided, and which UIDs the server lists but does not give."""
    journal, section = now.installation.journal, now.installation.section(now.name)
    withheld: set[int] = set()
    under_way: _Batch | None = None
    decided = 0
    spool = now.installation.spool(now.name)
    for number, batch in enumerate(batches(now.account.mailbox, uids), start=1):
        if now.stopping():
            break
        arrived = fetch(now.account.mailbox, batch, spool, section.max_message_mb * 2**20)
        withheld |= _still_there(now, {listed.uid for listed in batch} - {message.uid for message in arrived})
        # Whatever vanished while it was fetched was taken by a person: the position passes it.
        last_uid = min(withheld) - 1 if withheld else max(listed.uid for listed in batch)
        arrived = returned(now.installation, now.account, now.name, uidvalidity, arrived)
        journal.receive(now.name, uidvalidity, arrived, last_uid, _doubt_folder(now))
        read = _collect(now, under_way)
        under_way = _start(now, frozenset(row.id for row, _ in read))
        decided += _finish(now, read)
        if number % _SWEEP_EVERY == 0:
            sweep(spool, journal.spooled())
        now.progress(decided, len(uids))  # What is decided is filed, moved and answered too.
    return decided + _finish(now, _collect(now, under_way)), withheld


def _still_there(now: Pass, missing: set[int]) -> set[int]:
    """Of those that a fetch did not give, those that nobody took away."""
    return missing & set(now.account.mailbox.list_uids(min(missing), max(missing))) if missing else set()


def _doubt_folder(now: Pass) -> str:
    return f"{policy_for(now.installation, now.name).target}/{DOUBT_FOLDER}"


def _catch_up(now: Pass) -> int:
    """Messages that are received and not decided: a crash, or a reader that died."""
    decided = 0
    while not now.stopping():
        batch = _start(now, frozenset())
        if not batch.waiting:
            break
        decided += _finish(now, _collect(now, batch))
        now.progress(0, 0)
    return decided


_Read = list[tuple["Waiting", Reading | Unread]]


def _collect(now: Pass, batch: _Batch | None) -> _Read:
    """Wait for the children. Where they cannot work at all, that is no message's fault: the attempt is taken back."""
    if batch is None:
        return []
    try:
        return list(zip(batch.waiting, batch.results, strict=True))
    except AgentError:
        now.installation.journal.take_back(batch.waiting)
        raise


def _start(now: Pass, in_flight: frozenset[int]) -> _Batch:
    """Hand the received messages to the children; the attempt is counted before they touch the octets."""
    installation = now.installation
    received = installation.journal.waiting(now.name, _READ_AT_ONCE + len(in_flight))
    fresh = [row for row in received if row.id not in in_flight]
    suspects = [row for row in fresh if row.attempts >= _SUSPECT]
    started = installation.journal.start(suspects[:1] or fresh, _doubt_folder(now))
    spool = installation.spool(now.name)
    waiting = tuple(row for row in started if spool_again(now.account.mailbox, row, spool))
    if len(waiting) < len(started):
        with installation.journal.transaction("lost") as write:
            for row in started:
                if row not in waiting:
                    write.quarantine(row.id, "its octets are neither in the spool nor in the mailbox", None)
    paths = [spooled(spool, row.sha256) for row in waiting]
    try:
        return _Batch(waiting, installation.readers.read(paths))
    except AgentError:
        installation.journal.take_back(waiting)
        raise


def _finish(now: Pass, read: _Read) -> int:
    """Decide what was read, in order, and write it down; then do what can be done.

    The one barrier of the main process: where a bug of ours meets one of a batch, nothing of the batch is written,
    and each goes alone, so that the one harms no other and is not lost.
    """
    if not read:
        return 0
    try:
        _write_down(now, read)
    except (AgentError, sa.exc.SQLAlchemyError):
        raise  # The world's fault, not a message's.
    except Exception:  # noqa: BLE001 - whatever it is, it comes again when its message goes alone, and is told then
        for one in read:
            _alone(now, one)
    _execute(now)
    return len(read)


def _alone(now: Pass, one: tuple[Waiting, Reading | Unread]) -> None:
    row, _ = one
    try:
        _write_down(now, [one])
    except (AgentError, sa.exc.SQLAlchemyError):
        raise
    except Exception as error:  # noqa: BLE001 - the barrier: the message is kept for a person
        _log.exception("bug message=%d", row.id)
        _write_down(now, [(row, Unread(row.sha256, f"a bug: {type(error).__name__}"))])


def _write_down(now: Pass, read: _Read) -> None:
    """One transaction."""
    readings = {row.id: result for row, result in read if isinstance(result, Reading)}
    with now.installation.journal.transaction("record") as write:
        write.look_ahead(readings, now.installation.day_start())
        for row, result in read:
            if isinstance(result, Unread):
                _unread(now, write, row, result.why)
            elif not _own_copy(now, write, row, result):
                _record(now, write, row, result)


def _own_copy(now: Pass, write: Write, row: Waiting, reading: Reading) -> bool:
    """The blind copy of a reply of ours is evidence, a digest of ours no mail to judge. A Message-ID proves nothing."""
    digest = write.own_digest(reading.message_id)
    act = digest or write.own_reply(reading.message_id)
    if act is None or act.octets is None:
        return False
    octets = spooled(now.installation.spool(now.name), row.sha256).read_bytes()
    if _body(octets) != _body(act.octets):
        return False
    if digest is not None:
        write.record_digest(row.id)
        return True
    write.record_own(row.id, act, now.account.sent)
    _log.info("own-copy message=%d act=%d", row.id, act.id)
    return True


def _body(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n").partition(b"\n\n")[2].rstrip()


def _record(now: Pass, write: Write, row: Waiting, reading: Reading) -> None:
    installation = now.installation
    policy = policy_for(installation, now.name)
    if row.told is not None and row.told.get("saying") == BACKFILL:
        policy = replace(policy, answer_since=installation.clock.now())
    told = _told(row)
    history = write.history(reading, row.id, installation.day_start())
    if told is not None and row.application_id is not None:
        known = write.earlier(row.application_id, "told")
        history = replace(history, earlier=(known, *history.earlier))
    offer_id = told.offer if told else reading.offer
    decision = decide(reading, _received_at(row, offer_id, installation), history, policy, told)
    earlier = next((known for known in history.earlier if known.id == decision.application), None)
    planned = plan(
        reading,
        decision,
        row=row.id,
        offer=policy.offer(decision.offer),
        earlier=earlier,
        place=_place(write, earlier),
        stationery=installation.stationery,
        now=installation.clock.now(),
        told=told,
    )
    write.record(row.id, reading, decision, planned)
    if reading.bounced:
        write.bounced(reading.bounced, row.id)
    if reading.answers:
        hear(write, installation, row.id, reading)
    if told is not None:
        heed(write, row.id, decision, told, row.told or {})
    if decision.no_reply_reason == IMPLAUSIBLE:
        write.stop_replies()
    _log.info("decided message=%d kind=%s%s", row.id, decision.kind, _answered(decision))


def _told(row: Waiting) -> Told | None:
    """What staff said of a message, and where it is now."""
    return None if row.told is None else told_of(row.told, row.place)


def _answered(decision: Decision) -> str:
    return f" reply={decision.reply.template}" if decision.reply else ""


def _place(write: Write, earlier: Earlier | None) -> Place:
    if earlier is None:
        return Place()
    return Place(write.application_path(earlier.id), write.taken_names(earlier.id))


def _received_at(row: Waiting, offer_id: str | None, installation: Installation) -> datetime:
    """INTERNALDATE, in the offer's zone."""
    offer = installation.policy.offer(offer_id)
    return row.internaldate.astimezone(ZoneInfo(offer.timezone) if offer else installation.zone)


def _unread(now: Pass, write: Write, row: Waiting, why: str) -> None:
    """A message that its reader did not survive: once more, and at the third time a person looks."""
    _log.warning("unread message=%d attempt=%d why=%s", row.id, row.attempts, why)
    if row.attempts < MAX_ATTEMPTS:
        return
    write.quarantine(row.id, why, _doubt_folder(now))


def _execute(now: Pass) -> None:
    execute(now.installation.journal, now.installation.world({now.name: now.account}, now.sender))
