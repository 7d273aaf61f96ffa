"""Every filed byte against its hash, the store against the archive. Reads, changes nothing."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from inbox_agent.decision import ActKind, ActState
from inbox_agent.schema import acts, applications, documents, messages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inbox_agent.installation import Installation


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is not as it should be: where, what, and what a person can do."""

    place: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}. {self.remedy}"

    def to_json(self) -> dict[str, str]:
        """For scripts."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Expected:
    """A file of an application, by the store."""

    path: PurePosixPath
    sha256: str


def fsck(installation: Installation, progress: Callable[[int, int], None]) -> tuple[Flaw, ...]:
    """Everything that is wrong; `progress` is called with (applications done, all)."""
    return tuple(_flaws(installation, progress))


def _flaws(installation: Installation, progress: Callable[[int, int], None]) -> Iterator[Flaw]:
    yield from _store(installation)
    yield from _spool(installation)
    with installation.journal.snapshot() as connection:
        rows = connection.execute(sa.select(applications).order_by(applications.c.id)).all()
        expected = {row.id: tuple(_expected(connection, row)) for row in rows}
        moving = set(
            connection.scalars(
                sa.select(acts.c.application_id).where(
                    acts.c.kind.in_((ActKind.FILE, ActKind.REFILE)), acts.c.state == ActState.PENDING
                )
            )
        )
    for done, row in enumerate(rows, start=1):
        if row.id not in moving:
            yield from _application(installation, row, expected[row.id])
        progress(done, len(rows))
    yield from _strangers(installation, {row.path for row in rows})


def _store(installation: Installation) -> Iterator[Flaw]:
    if installation.journal.engine.dialect.name == "sqlite":
        with installation.journal.snapshot() as connection:
            found = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if found != ["ok"] or broken:
            yield Flaw(
                "the store", f"is damaged ({found[0]}, {len(broken)} loose rows)", "Restore a backup, or rebuild."
            )
    if not installation.journal.ledger().balances:
        yield Flaw("the ledger", "does not balance: a message is in no state", "Report it with the log.")


def _spool(installation: Installation) -> Iterator[Flaw]:
    query = sa.select(messages.c.mailbox, messages.c.sha256).where(
        messages.c.state.in_(("received", "decided")), messages.c.folder.is_(None)
    )
    with installation.journal.snapshot() as connection:
        waiting = connection.execute(query).all()
    for row in waiting:
        path = installation.spool(row.mailbox) / f"{row.sha256}.eml"
        if not path.exists():
            continue  # It is fetched again.
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != row.sha256:
                yield Flaw(str(path), "holds other octets than its name says", "Remove it: it is fetched again.")


def _expected(connection: sa.Connection, row: sa.Row[Any]) -> Iterator[_Expected]:
    """The files of an application: its messages by their own hash, its documents by theirs."""
    folder = PurePosixPath(row.path)
    filed = sa.select(acts.c.payload).where(
        acts.c.application_id == row.id, acts.c.kind == ActKind.FILE, acts.c.state == ActState.DONE
    )
    for payload in connection.scalars(filed.order_by(acts.c.id)):
        for source, name in payload["files"]:
            if source.endswith(".eml"):
                yield _Expected(folder / name, source.removesuffix(".eml"))
    pieces = sa.select(documents.c.stored_as, documents.c.document).where(documents.c.application_id == row.id)
    for piece in connection.execute(pieces.order_by(documents.c.id)):
        if piece.document["file"]:
            yield _Expected(folder / piece.stored_as, piece.document["sha256"])


def _application(installation: Installation, row: sa.Row[Any], expected: tuple[_Expected, ...]) -> Iterator[Flaw]:
    for file in expected:
        octets = installation.files.read(file.path)
        if octets is None:
            yield Flaw(str(file.path), "is missing", "Restore it from a backup of the archive.")
        elif hashlib.sha256(octets).hexdigest() != file.sha256:
            yield Flaw(str(file.path), "was changed since it was filed", "Restore it from a backup of the archive.")
    if row.revision > row.written_revision:
        return  # The next pass writes it.
    octets = installation.files.read(PurePosixPath(row.path, "candidature.json"))
    if octets is None:
        yield Flaw(f"{row.path}/candidature.json", "is missing", "Run: inbox-agent fsck --repair")
        return
    try:
        told = json.loads(octets)
        same = told["number"] == row.id and told["application"]["revision"] == row.revision
    except (ValueError, KeyError, TypeError):
        same = False
    if not same:
        yield Flaw(
            f"{row.path}/candidature.json", "does not tell what the store knows", "Run: inbox-agent fsck --repair"
        )


def _strangers(installation: Installation, known: set[str]) -> Iterator[Flaw]:
    """Applications of the archive that the store does not know. What staff added beside them is theirs."""
    for path in installation.files.list(PurePosixPath()):
        if path.name == "candidature.json" and str(path.parent) not in known:
            yield Flaw(
                str(path.parent),
                "is in the archive and not in the store",
                "See: inbox-agent rebuild --help, or remove it.",
            )
