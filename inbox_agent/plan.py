"""Decision → the acts that carry it out, with every octet of them, and the names under which things are filed. Pure."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inbox_agent.application import Kind
from inbox_agent.archive import application_folder, document_names, message_name
from inbox_agent.decision import Act, ActKind, Earlier, Planned, ReplyMode, ReplyTemplate
from inbox_agent.explain import decision_json
from inbox_agent.reply import Organisation, render, reply_view, with_retention

if TYPE_CHECKING:
    from datetime import datetime

    from inbox_agent.application import Document, Reading
    from inbox_agent.decision import Decision, Told
    from inbox_agent.message import Address
    from inbox_agent.offer import Offer
    from inbox_agent.templates import Templates


@dataclass(frozen=True, slots=True)
class Stationery:
    """What every reply of an installation is written with. `key` makes Message-IDs that nobody can guess."""

    organisation: Organisation
    templates: Templates
    sender: Address
    reply_to: Address | None
    key: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """Where the application's folder is and which names it has in use; `path` None for a new application."""

    path: str | None = None
    taken: frozenset[str] = frozenset()


def plan(  # noqa: PLR0913 - the facts that a plan rests on, by name
    reading: Reading,
    decision: Decision,
    *,
    row: int,
    offer: Offer | None,
    earlier: Earlier | None,
    place: Place,
    stationery: Stationery,
    now: datetime,
    told: Told | None = None,
) -> Planned:
    """Everything that is to be written down about one message; `row` is its id in the journal."""
    known = {document.sha256 for document in earlier.documents} if earlier else set()
    new = tuple(document for document in reading.documents if document.sha256 not in known)
    path = _path(reading, decision, place)
    names = document_names(new, decision.candidate, place.taken)
    acts: list[Act] = []
    again = earlier is not None and earlier.by == "message"
    if decision.filed and path is not None and not again:
        acts.append(_file(row, reading, path, tuple(zip(new, names, strict=True)), place))
    if decision.folder is not None:
        acts.extend(_move(row, decision.folder, told))
    if decision.reply is not None:
        acts.append(_reply(reading, decision, offer, earlier, stationery, now))
    return Planned(
        acts=tuple(acts),
        path=path,
        documents=tuple(zip(new, names, strict=True)) if decision.filed else (),
        decision_json=decision_json(path or "", decision) if decision.filed else None,
        doubt_from=_doubt_from(reading, decision),
    )


def _path(reading: Reading, decision: Decision, place: Place) -> str | None:
    if not decision.filed:
        return None
    if place.path is not None:
        return place.path
    return str(application_folder(decision.offer, decision.received_at, decision.candidate, reading.fingerprint))


def _move(row: int, folder: str, told: Told | None) -> tuple[Act, ...]:
    """Into the folder; nothing where staff put it themselves or where it is already."""
    if told is None:
        return (Act(ActKind.MOVE, f"move:{row}", {"folder": folder}),)
    if told.folder == folder or (told.place and told.place[0] == folder):
        return ()
    place = dict(zip(("from", "uidvalidity", "uid"), told.place, strict=True)) if told.place else {}
    return (Act(ActKind.MOVE, f"move:{row}:{told.occasion}", {"folder": folder, **place}),)


def _file(row: int, reading: Reading, path: str, pieces: tuple[tuple[Document, str], ...], place: Place) -> Act:
    """The message and its pieces. Sources are relative to the spool, targets to the application's folder."""
    used = place.taken | {name for _, name in pieces}
    files = [[f"{reading.sha256}.eml", message_name(used)]]
    files += [[f"{reading.sha256}.d/{document.file}", name] for document, name in pieces if document.file]
    return Act(ActKind.FILE, f"file:{row}", {"path": path, "files": files})


def _reply(  # noqa: PLR0913, PLR0917 - the facts of one reply
    reading: Reading,
    decision: Decision,
    offer: Offer | None,
    earlier: Earlier | None,
    stationery: Stationery,
    now: datetime,
) -> Act:
    reply = decision.reply
    assert reply is not None  # noqa: S101 - for the type checker: the caller has looked
    key = _reply_key(reading, decision, reply.template)
    digest = hmac.new(stationery.key, key.encode(), hashlib.sha256).hexdigest()[:32]
    message_id = f"<{reply.template}.{digest}@{stationery.sender.domain}>"
    view = reply_view(
        organisation=with_retention(stationery.organisation, offer),
        candidate=decision.candidate,
        offer=offer,
        language=reply.language,
        received_at=decision.received_at,
        timing=decision.timing,
        documents=reading.documents,
        missing=decision.missing,
        earlier=earlier.documents if earlier else (),
        links=reading.links,
    )
    outgoing = render(
        reply,
        view,
        stationery.templates,
        message_id=message_id,
        sent_at=now.astimezone(decision.received_at.tzinfo),
        sender=stationery.sender,
        reference=digest,
        envelope_from=stationery.sender.addr_spec,
        reply_to=stationery.reply_to,
    )
    return Act(
        ActKind.SEND if reply.mode is ReplyMode.SEND else ActKind.DRAFT,
        key,
        {"template": reply.template.value, "envelope_from": outgoing.envelope_from},
        octets=outgoing.octets,
        recipient=outgoing.recipient,
        mail_id=message_id,
    )


def _reply_key(reading: Reading, decision: Decision, template: ReplyTemplate) -> str:
    """One reply of a kind per application, for ever; `still_incomplete` may follow each new piece."""
    application = f"new:{reading.fingerprint}" if decision.application is None else f"{decision.application}"
    occasion = f":{reading.fingerprint}" if template is ReplyTemplate.STILL_INCOMPLETE else ""
    return f"reply:{application}:{template}{occasion}"


def _doubt_from(reading: Reading, decision: Decision) -> dict[str, str | None] | None:
    """Who a person has to think of; of no other kind is anything kept (promise 3)."""
    if decision.kind is not Kind.DOUBT:
        return None
    candidate = decision.candidate
    address = candidate.address if candidate and candidate.address else reading.sender
    return {"name": candidate.name if candidate else None, "address": address, "subject": reading.subject}
