"""Mail server → spool: the octets of new messages, durable on our disk before anything else happens.

Acts: reads the mailbox with BODY.PEEK[], writes files beneath the spool. Messages are fetched in batches by
octets; a large one comes alone, in chunks, so that memory stays small (performance.md section 7).
"""

from __future__ import annotations

import hashlib
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from inbox_agent.errors import FileStoreError
from inbox_agent.failpoint import reach
from inbox_agent.journal import Arrived
from inbox_agent.synchronise import synchronise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from inbox_agent.journal import Waiting
    from inbox_agent.ports import Listed, Mailbox

_BATCH_OCTETS = 12 * 1024 * 1024
_BATCH_MESSAGES = 28
_ALONE = 5 * 1024 * 1024  # octets; a larger message is fetched alone, in chunks
_BEGINNING = 1024 * 1024  # octets fetched of a message that is too large, for who looks at the quarantine
_LIST_AT_ONCE = 200  # UIDs in one FETCH of sizes


def batches(mailbox: Mailbox, uids: Sequence[int]) -> Iterator[tuple[Listed, ...]]:
    """What is there of `uids`, cut into batches of at most 12 MB or 28 messages."""
    batch: list[Listed] = []
    octets = 0
    for start in range(0, len(uids), _LIST_AT_ONCE):
        for listed in mailbox.listed(uids[start : start + _LIST_AT_ONCE]):
            if batch and (octets + listed.size > _BATCH_OCTETS or len(batch) == _BATCH_MESSAGES):
                yield tuple(batch)
                batch, octets = [], 0
            batch.append(listed)
            octets += listed.size
    if batch:
        yield tuple(batch)


def fetch(mailbox: Mailbox, batch: Sequence[Listed], spool: Path, largest: int) -> tuple[Arrived, ...]:
    """The octets of a batch into `spool`/<sha256>.eml, synced. A message that vanished meanwhile is left out.

    Of one of more than `largest` octets only the beginning is fetched: it is for a person.
    """
    arrived: list[Arrived] = []
    dates = {listed.uid: listed.internaldate for listed in batch}
    small = [listed.uid for listed in batch if listed.size <= min(_ALONE, largest)]
    try:
        if small:
            reach("fetch.before")
            _spool_all(_arriving(mailbox.fetch(small), dates, arrived), spool)
        for listed in batch:
            if listed.size > min(_ALONE, largest):
                arrived.extend(_fetch_alone(mailbox, listed, spool, partial=listed.size > largest))
        _sync_folder(spool)
    except OSError as error:
        raise FileStoreError(f"the spool {spool} cannot be written ({error.strerror}). Free some space.") from error
    return tuple(sorted(arrived, key=lambda message: message.uid))


def spool_again(mailbox: Mailbox, message: Waiting, spool: Path) -> bool:
    """Fetch what the spool lost (a store restored without it); whether the octets are there now."""
    path = spooled(spool, message.sha256)
    if path.exists():
        return True
    reach("fetch.again.before")
    for _, octets in mailbox.fetch([message.uid]):
        if hashlib.sha256(octets).hexdigest() == message.sha256:
            _spool_all([(message.sha256, octets)], spool)
            _sync_folder(spool)
    return path.exists()


def spool_again_from(  # noqa: PLR0913, PLR0917 - where the octets may be
    mailbox: Mailbox,
    folder: str,
    place: tuple[int | None, int | None],
    sha256: str,
    spool: Path,
    copies: Sequence[bytes],
) -> bool:
    """The octets of a message that was read before, from the folder where it is now or from the archive's `copies`.

    Whether they are in the spool now. Another folder is selected after it.
    """
    if spooled(spool, sha256).exists():
        return True
    reach("fetch.from.before")
    found: list[bytes] = []
    uidvalidity, uid = place
    state = mailbox.select(folder)
    if uid is not None and state.uidvalidity == uidvalidity:
        found += [octets for _, octets in mailbox.fetch([uid])]
    for octets in (*found, *copies):
        if hashlib.sha256(octets).hexdigest() == sha256:
            _spool_all([(sha256, octets)], spool)
            _sync_folder(spool)
            return True
    return False


def spooled(spool: Path, sha256: str) -> Path:
    """Where the octets of a message are."""
    return spool / f"{sha256}.eml"


def _fetch_alone(mailbox: Mailbox, listed: Listed, spool: Path, *, partial: bool) -> tuple[Arrived, ...]:
    unfinished = spool / f"{listed.uid}.part"
    reach("fetch_to.before")
    unfinished.unlink(missing_ok=True)
    if not mailbox.fetch_to(listed.uid, unfinished, _BEGINNING if partial else None):
        return ()
    with unfinished.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size = os.fstat(file.fileno()).st_size
        reach("spool.fsync.before")
        os.fsync(file.fileno())
    reach("spool.rename.before")
    unfinished.rename(spooled(spool, sha256))
    return (Arrived(listed.uid, sha256, listed.size if partial else size, listed.internaldate, partial),)


def _arriving(
    fetched: Iterable[tuple[int, bytes]], dates: Mapping[int, datetime], arrived: list[Arrived]
) -> Iterator[tuple[str, bytes]]:
    for uid, octets in fetched:
        sha256 = hashlib.sha256(octets).hexdigest()
        yield sha256, octets
        arrived.append(Arrived(uid, sha256, len(octets), dates[uid]))


def _spool_all(messages: Iterable[tuple[str, bytes]], spool: Path) -> None:
    """Octets under their hashes. While one message comes, those before it are on their way to the disk."""
    unfinished: dict[str, Path] = {}
    with ExitStack() as opened:
        refused = synchronise(_written(messages, spool, unfinished, opened))
    for error in refused.values():
        raise error
    for sha256, partial in unfinished.items():
        reach("spool.rename.before")
        partial.rename(spooled(spool, sha256))


def _written(
    messages: Iterable[tuple[str, bytes]], spool: Path, unfinished: dict[str, Path], opened: ExitStack
) -> Iterator[int]:
    for sha256, octets in messages:
        if sha256 in unfinished or spooled(spool, sha256).exists():
            continue
        partial = spool / f"{sha256}.part"
        reach("spool.write.before")
        partial.unlink(missing_ok=True)  # After a failed fsync the kernel may say yes to the next one.
        file = opened.enter_context(partial.open("wb"))
        file.write(octets)
        file.flush()
        unfinished[sha256] = partial
        reach("spool.fsync.before")
        yield file.fileno()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        reach("spool.folder.fsync.before")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(spool: Path, needed: frozenset[str]) -> int:
    """Remove what no message needs any more, and what a crash left half-written; how many there were."""
    removed = 0
    reach("sweep.before")
    for path in spool.iterdir():
        if path.name.partition(".")[0] in needed and path.suffix in {".eml", ".d"}:
            continue
        if path.is_dir():
            for inner in path.iterdir():
                inner.unlink()
            path.rmdir()
        else:
            path.unlink()
        removed += 1
    return removed
