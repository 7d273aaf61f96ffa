"""What today's rules would decide differently about filed applications, and putting it right without any reply.

Reads the first message of each application from the archive, as `explain` would. What staff decided is not
asked again; that a filed message would be no application now is told and left to a person.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from inbox_agent import assess
from inbox_agent.application import Kind, Reading, Status, Timing
from inbox_agent.archive import offer_folder
from inbox_agent.corrections import mark_stale, present_documents
from inbox_agent.decide import SPONTANEOUS_FOLDER, decide, state_folder
from inbox_agent.decision import Act, ActKind, History
from inbox_agent.installation import policy_for
from inbox_agent.journal import Event, moment
from inbox_agent.schema import applications, documents, messages
from inbox_agent.table import table_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from inbox_agent.decision import Decision
    from inbox_agent.installation import Installation
    from inbox_agent.journal import Write

_COMPARED = ("kind", "offer", "timing", "status", "missing")


@dataclass(frozen=True, slots=True)
class Difference:
    """One application that would be judged differently. `changes` are (what, then, now)."""

    number: int
    name: str
    changes: tuple[tuple[str, Any, Any], ...]
    applicable: bool
    reading: Reading | None = None
    decision: Decision | None = None

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "number": self.number,
            "name": self.name,
            "changes": {what: {"then": then, "now": now} for what, then, now in self.changes},
            "applicable": self.applicable,
        }


def replay(installation: Installation, progress: Callable[[int, int], None]) -> tuple[Difference, ...]:
    """Every filed application that nobody of the staff placed, read again."""
    founding = sa.select(applications, messages).join(messages, messages.c.id == applications.c.id)
    query = founding.where(applications.c.set_aside_at.is_(None), applications.c.staff_placed.is_(False))
    with installation.journal.snapshot() as connection:
        found_rows = connection.execute(
            query.where(messages.c.kind == Kind.APPLICATION)
            .order_by(applications.c.id)
            .with_only_columns(
                applications.c.id,
                applications.c.name,
                applications.c.path,
                messages.c.sha256,
                messages.c.mailbox,
                messages.c.internaldate,
                messages.c.decision,
                messages.c.told,
            )
        ).all()
    # What staff said of it stands.
    rows: list[Any] = [row for row in found_rows if (row.told or {}).get("saying") != "application"]
    found = []
    with tempfile.TemporaryDirectory(dir=installation.config.state) as folder:
        for done, row in enumerate(rows, start=1):
            difference = _difference(installation, row, Path(folder))
            if difference is not None:
                found.append(difference)
            progress(done, len(rows))
    return tuple(found)


def _difference(installation: Installation, row: sa.Row[Any], folder: Path) -> Difference | None:
    octets = filed_message(installation, row.path, row.sha256)
    if octets is None:
        return Difference(row.id, row.name, (("message", "filed", "missing in the archive"),), applicable=False)
    path = folder / f"{row.sha256}.eml"
    path.write_bytes(octets)
    reading = next(iter(installation.readers.read([path])))
    if not isinstance(reading, Reading):
        return Difference(row.id, row.name, (("reading", "read", reading.why),), applicable=False)
    policy = installation.policy
    offer = policy.offer(reading.offer)
    received = moment(row.internaldate).astimezone(ZoneInfo(offer.timezone) if offer else installation.zone)
    decision = decide(reading, received, History(), policy)
    now = {
        "kind": decision.kind.value,
        "offer": decision.offer,
        "timing": decision.timing.value if decision.timing else None,
        "status": decision.status.value if decision.status else None,
        "missing": list(decision.missing),
        "documents": [f"{document.name}: {document.kind}" for document in decision.documents],
    }
    then = dict(row.decision or {})
    then["documents"] = [f"{document['name']}: {document['kind']}" for document in then.get("documents", [])]
    compared = (*_COMPARED, "documents")
    changes = tuple((what, then.get(what), now[what]) for what in compared if then.get(what) != now[what])
    if not changes:
        return None
    # Mail can be moved only in a mailbox that is still read.
    moves = any(section.name == row.mailbox for section in installation.config.mailboxes)
    return Difference(row.id, row.name, changes, moves and decision.kind is Kind.APPLICATION, reading, decision)


def filed_message(installation: Installation, path: str, sha256: str) -> bytes | None:
    """The octets of a message in the archive, beneath an application's path."""
    for found in installation.files.list(PurePosixPath(path)):
        octets = installation.files.read(found) if found.suffix == ".eml" else None
        if octets is not None and hashlib.sha256(octets).hexdigest() == sha256:
            return octets
    return None


def table(differences: tuple[Difference, ...]) -> str:
    """The list for a terminal."""
    if not differences:
        return "Today's rules decide the same about every filed application."
    rows = [
        [str(item.number), item.name, what, _shown(then), _shown(now)]
        for item in differences
        for what, then, now in item.changes
    ]
    return table_of(("number", "name", "what", "then", "now"), rows)


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)


def apply(installation: Installation, differences: tuple[Difference, ...]) -> int:
    """File anew what can be: documents, offer, state, folders. The next pass moves; nobody is written to."""
    done = 0
    for difference in differences:
        if not difference.applicable or difference.reading is None or difference.decision is None:
            continue
        with installation.journal.transaction("replay") as write:
            _apply(installation, write, difference.reading, difference.decision, difference.number)
        done += 1
    return done


def _apply(installation: Installation, write: Write, reading: Reading, decision: Decision, number: int) -> None:
    row = write.connection.execute(sa.select(applications).where(applications.c.id == number)).one()
    first = write.connection.execute(sa.select(messages).where(messages.c.id == number)).one()
    _correct_documents(write, reading, number)
    policy = policy_for(installation, first.mailbox)
    offer = policy.offer(decision.offer)
    pieces = present_documents(write.connection, number)
    lacking = assess.missing(pieces, offer)
    status, timing = assess.status(pieces, lacking), decision.timing
    state = state_folder(timing, status)
    folder = f"{policy.target}/{decision.offer or SPONTANEOUS_FOLDER}/{state}"
    path = str(PurePosixPath(offer_folder(decision.offer), PurePosixPath(row.path).name))
    if status is Status.DOUBT:
        folder = row.folder
    values = {
        "offer": decision.offer,
        "timing": timing.value if isinstance(timing, Timing) else None,
        "status": status.value,
        "missing": list(lacking),
        "folder": folder,
        "path": path,
        "revision": applications.c.revision + 1,
    }
    write.connection.execute(sa.update(applications).where(applications.c.id == number).values(**values))
    if path != row.path:
        refile = Act(ActKind.REFILE, f"refile:{number}:replay{row.revision}", {"from": row.path, "to": path})
        write.plan([refile], number, number)
    mark_stale(write, row.offer)
    for message in write.connection.execute(sa.select(messages).where(messages.c.application_id == number)).all():
        if message.folder and message.folder_uid and message.folder != folder:
            place = {"from": message.folder, "uidvalidity": message.folder_uidvalidity, "uid": message.folder_uid}
            key = f"move:{message.id}:replay{row.revision}"
            write.plan([Act(ActKind.MOVE, key, {"folder": folder, **place})], message.id, number)
    told = {**(first.decision or {}), **_told(decision)}
    write.connection.execute(
        sa.update(messages).where(messages.c.id == number).values(decision=told, offer=decision.offer)
    )
    write.note(Event("correction", f"reclassée selon les règles d’aujourd’hui dans {folder}", number, number, "replay"))


def _told(decision: Decision) -> dict[str, Any]:
    from inbox_agent.explain import decision_json  # noqa: PLC0415 - beside its only use

    told = decision_json("", decision)
    return {key: told[key] for key in ("kind", "offer", "timing", "documents", "missing", "status", "evidence")}


def _correct_documents(write: Write, reading: Reading, number: int) -> None:
    """The same files under what they are taken for now."""
    read = {document.sha256: document for document in reading.documents}
    query = sa.select(documents).where(documents.c.application_id == number, documents.c.message_id == number)
    for row in write.connection.execute(query).all():
        now = read.get(row.document["sha256"])
        if now is not None:
            value = {**now.to_json(), "file": row.document["file"]}
            write.connection.execute(sa.update(documents).where(documents.c.id == row.id).values(document=value))
