"""Messages read by workers on any host: handed out by procrastinate on the store's PostgreSQL, as ports.Readers.

DESCRIPTION
    The octets of a message wait in a table for whoever takes its task; the reading and the decoded documents come
    back the same way. The table is UNLOGGED: what a crash of PostgreSQL empties is in the spool and in the mailbox.
    A queue belongs to one set of rules and one version of the program, so that every host reads alike. Where no
    worker lives, or none answers for a while, the message is read here, by the children that every host has.
DIAGNOSTICS
    StoreError: PostgreSQL cannot be used.
BUGS
    A message and its documents are held whole in memory, and cross the network twice.
"""

from __future__ import annotations

import io
import logging
import os
import tarfile
import tempfile
import time
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import sqlalchemy as sa
from procrastinate import App, SyncPsycopgConnector  # type: ignore[attr-defined,unused-ignore]
from procrastinate.exceptions import ProcrastinateException
from sqlalchemy import exc

from inbox_agent.adapters.readers import _check_types, _settle, _synced
from inbox_agent.application import Reading
from inbox_agent.errors import StoreError
from inbox_agent.failpoint import reach
from inbox_agent.holding import POSTGRESQL_ARGUMENTS, unreachable
from inbox_agent.ports import Unread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from inbox_agent.ports import Readers

_log = logging.getLogger(__name__)

TASK = "inbox_agent.read"
_LOOK = 0.05  # seconds between looks for answers
_PATIENCE = 30  # seconds without any answer after which messages are read here
_ALIVE = 30  # seconds since the last sign of life of a worker (it gives one each 10 s)
_LARGEST = 32 * 2**20  # octets; a larger message is read here rather than carried twice through the database
_TABLES = 0x1A6E0004  # of our advisory locks (holding.py)

_work = sa.Table(
    "reading_work",
    sa.MetaData(),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("octets", sa.LargeBinary, nullable=False),
    sa.Column("answer", sa.JSON),
    sa.Column("files", sa.LargeBinary),
    sa.Column("since", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    prefixes=["UNLOGGED"],
)


def work_engine(url: str) -> sa.Engine:
    """The database of the tasks, its tables made. Raises StoreError."""
    engine = sa.create_engine(url, pool_pre_ping=True, hide_parameters=True, connect_args=POSTGRESQL_ARGUMENTS)
    with translated(), engine.begin() as connection:
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:ours, 0)"), {"ours": _TABLES})
        _work.create(connection, checkfirst=True)
        connection.execute(sa.delete(_work).where(_work.c.since < sa.text("now() - interval '1 day'")))
        if not sa.inspect(connection).has_table("procrastinate_jobs"):
            # Many statements at once: psycopg takes them without parameters only.
            connection.connection.cursor().execute(App(connector=SyncPsycopgConnector()).schema_manager.get_schema())
    return engine


def conninfo(url: str) -> str:
    """The same place in libpq's words."""
    return sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def translated() -> Iterator[None]:
    """What goes wrong with PostgreSQL, as StoreError."""
    try:
        yield
    except exc.DBAPIError as error:
        raise StoreError(unreachable(error)) from error
    except ProcrastinateException as error:
        raise StoreError(f"the tasks on PostgreSQL cannot be used ({type(error).__name__}). Start it.") from error


class QueuedReaders:
    """A ports.Readers that defers to workers and awaits them; `here` reads what they do not.

    `scratch` is a folder on the file system of the spool.
    """

    def __init__(self, url: str, queue: str, here: Readers, scratch: Path, *, patience: float = _PATIENCE) -> None:
        self._engine = work_engine(url)
        self._app = App(
            connector=SyncPsycopgConnector(conninfo=conninfo(url), kwargs=POSTGRESQL_ARGUMENTS, min_size=1, max_size=2)
        )
        self._queue = queue
        self._here = here
        self._scratch = scratch
        self._patience = patience
        self._open = False

    def read(self, spooled: Sequence[Path]) -> Iterator[Reading | Unread]:
        """See ports.Readers. The tasks are out when this returns."""
        if not spooled or not self._workers():
            return self._here.read(spooled)
        return self._collected(spooled, self._deferred(spooled))

    def close(self) -> None:
        """End the connections and the children."""
        if self._open:
            self._app.close()
        self._engine.dispose()
        self._here.close()

    def _workers(self) -> int:
        alive = "last_heartbeat > now() - :alive * interval '1 second'"
        query = sa.text(f"SELECT count(*) FROM procrastinate_workers WHERE {alive}")  # noqa: S608 - our own words
        with translated(), self._engine.connect() as connection:
            return int(connection.scalar(query, {"alive": _ALIVE}) or 0)

    def _deferred(self, spooled: Sequence[Path]) -> dict[Path, str]:
        """Path → the number of its task, for what was handed out."""
        if not self._open:
            self._app.open()
            self._open = True
        numbers = {}
        with translated():
            for path in spooled:
                if not path.exists() or path.stat().st_size > _LARGEST:
                    continue
                number = str(uuid4())
                with self._engine.begin() as connection:
                    connection.execute(sa.insert(_work).values(id=number, octets=path.read_bytes()))
                self._app.configure_task(TASK, queue=self._queue).defer(number=number, sha256=path.stem)
                numbers[path] = number
        return numbers

    def _collected(self, spooled: Sequence[Path], numbers: dict[Path, str]) -> Iterator[Reading | Unread]:
        waiting = deque(spooled)
        last_answer = time.monotonic()
        given_up = False
        try:
            while waiting:
                path = waiting[0]
                number = numbers.get(path)
                found = None if number is None or given_up else self._answer(path, number)
                if found is not None:
                    last_answer = time.monotonic()
                elif number is None or given_up:
                    found = next(iter(self._here.read([path])))
                elif time.monotonic() - last_answer > self._patience:
                    given_up = True
                    _log.warning("no-worker-answers messages=%d: read here", len(waiting))
                    continue
                else:
                    time.sleep(_LOOK)
                    continue
                waiting.popleft()
                yield found
        finally:
            with translated(), self._engine.begin() as connection:
                connection.execute(sa.delete(_work).where(_work.c.id.in_(list(numbers.values()))))

    def _answer(self, path: Path, number: str) -> Reading | Unread | None:
        query = sa.select(_work.c.answer, _work.c.files).where(_work.c.id == number, _work.c.answer.is_not(None))
        with translated(), self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        if "unread" in row.answer:
            return Unread(path.stem, str(row.answer["unread"])[:100])
        try:
            return self._settled(path, row.answer, row.files)
        except (KeyError, TypeError, ValueError, AttributeError, tarfile.TarError) as error:
            return Unread(path.stem, f"nonsense from a worker: {type(error).__name__}")

    def _settled(self, path: Path, answer: Any, files: bytes) -> Reading:
        reading = Reading.from_json(answer)
        _check_types(reading)
        if reading.sha256 != path.stem:
            raise ValueError("about another message")
        with tempfile.TemporaryDirectory(prefix="queued-", dir=self._scratch) as folder:
            made = Path(folder, "documents")
            made.mkdir()
            unpacked(files, made)
            _settle(reading, made, path.parent / f"{reading.sha256}.d")
        _synced(path.parent)
        return reading


def packed(folder: Path) -> bytes:
    """The files of a folder, for the way back; nothing where there is no folder."""
    octets = io.BytesIO()
    with tarfile.open(fileobj=octets, mode="w") as archive:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            archive.add(path, path.name, recursive=False)
    return octets.getvalue()


def unpacked(octets: bytes, folder: Path) -> None:
    """The inverse of `packed`, durably; only plain names and plain files are taken."""
    with tarfile.open(fileobj=io.BytesIO(octets)) as archive:
        for member in archive:
            source = archive.extractfile(member)
            if source is None or Path(member.name).name != member.name:
                raise ValueError("not a plain file")
            write_durably(folder / member.name, source.read())


def write_durably(path: Path, octets: bytes) -> None:
    """A file with those octets, synchronised."""
    with path.open("wb") as file:
        file.write(octets)
        file.flush()
        reach("queued.fsync.before")
        os.fsync(file.fileno())


def take_octets(engine: sa.Engine, number: str) -> bytes | None:
    """What a worker is to read; None when nobody waits for it any more."""
    with translated(), engine.connect() as connection:
        return connection.scalar(sa.select(_work.c.octets).where(_work.c.id == number))


def give_answer(engine: sa.Engine, number: str, answer: dict[str, Any], files: bytes) -> None:
    """What a worker has read."""
    with translated(), engine.begin() as connection:
        connection.execute(sa.update(_work).where(_work.c.id == number).values(answer=answer, files=files))
