"""Journal → the rows and views that digest, board and register show. Reads the store, writes nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from inbox_agent.application import DocumentState, Kind, Status, Timing
from inbox_agent.decision import REPLIES, ActKind, ActState
from inbox_agent.digest import (
    Balance,
    Correction,
    Digest,
    Doubt,
    DraftWaiting,
    Enquiry,
    FollowUp,
    Health,
    LikelyAnswer,
    Purge,
    Quarantined,
    Unanswered,
    UncertainReply,
)
from inbox_agent.journal import REPLIES_STOPPED, SENDING_TROUBLE, moment, text
from inbox_agent.listing import ApplicationRow, FiledPiece, ReplyState, offer_states
from inbox_agent.retention import Retained, announced, purge_day
from inbox_agent.schema import acts, applications, documents, events, mailboxes, messages
from inbox_agent.silence import in_french

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from zoneinfo import ZoneInfo

    from inbox_agent.installation import Installation

_TEMPLATE_WORDS = {
    "complete": "accusé de réception",
    "incomplete": "pièces manquantes",
    "late": "arrivée après la date limite",
    "completed": "dossier complété",
    "still_incomplete": "pièces encore manquantes",
    "withdrawn": "retrait",
}


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` (included) to `end` (excluded), aware."""

    start: datetime
    end: datetime

    def holds(self, column: sa.Column[str]) -> sa.ColumnElement[bool]:
        """The condition that a stored moment is within."""
        return sa.and_(column >= text(self.start), column < text(self.end))


def application_rows(
    connection: sa.Connection, zone: ZoneInfo, condition: sa.ColumnElement[bool] | None = None
) -> tuple[ApplicationRow, ...]:
    """Applications that fulfil `condition`, oldest first, their times in `zone`."""
    query = sa.select(applications).where(applications.c.set_aside_at.is_(None))
    query = query.order_by(applications.c.received_at, applications.c.id)
    if condition is not None:
        query = query.where(condition)
    found = connection.execute(query).all()
    ids = [row.id for row in found] if condition is not None else None
    pieces = _pieces(connection, ids)
    replies = _replies(connection, ids)
    reasons = _reasons(connection, ids)
    return tuple(_row(row, zone, pieces.get(row.id, ()), replies.get(row.id), reasons.get(row.id)) for row in found)


def _row(
    row: sa.Row[Any], zone: ZoneInfo, pieces: Sequence[FiledPiece], reply: sa.Row[Any] | None, reason: str | None
) -> ApplicationRow:
    return ApplicationRow(
        number=row.id,
        offer=row.offer,
        name=row.name or row.address or "Sans nom",
        address=row.address,
        received_at=moment(row.received_at).astimezone(zone),
        timing=Timing(row.timing) if row.timing else None,
        status=Status(row.status),
        pieces=tuple(pieces),
        missing=tuple(row.missing),
        folder=row.path,
        reply=_reply_state(reply),
        reply_at=moment(reply.done_at).astimezone(zone) if reply is not None and reply.done_at else None,
        reply_reason=in_french(reason) if reply is None and reason else None,
        notes=tuple(row.notes),
        withdrawn=row.withdrawn_at is not None,
    )


def _reply_state(reply: sa.Row[Any] | None) -> ReplyState:
    if reply is None:
        return ReplyState.NONE
    match reply.state, reply.kind:
        case ActState.DONE, ActKind.DRAFT if reply.settled == "deleted":
            return ReplyState.DELETED
        case ActState.DONE, ActKind.DRAFT if reply.settled is None:
            return ReplyState.DRAFT
        case ActState.DONE, _:
            return ReplyState.BOUNCED if reply.payload.get("bounced") else ReplyState.SENT
        case ActState.CANCELLED, _:
            return ReplyState.NONE
        case ActState.FAILED, _:
            return ReplyState.FAILED
        case ActState.IN_DOUBT, _:
            return ReplyState.IN_DOUBT
        case _:
            return ReplyState.PENDING


def _within(column: sa.Column[int], ids: Sequence[int] | None) -> sa.ColumnElement[bool]:
    return column.is_not(None) if ids is None else column.in_(ids)


def _pieces(connection: sa.Connection, ids: Sequence[int] | None) -> dict[int, list[FiledPiece]]:
    found: dict[int, list[FiledPiece]] = {}
    query = (
        sa.select(documents.c.application_id, documents.c.stored_as, documents.c.document, applications.c.path)
        .join(applications, applications.c.id == documents.c.application_id)
        .where(_within(documents.c.application_id, ids), documents.c.current)
        .order_by(documents.c.id)
    )
    for row in connection.execute(query):
        document = row.document
        path = f"{row.path}/{row.stored_as}" if document["file"] else None
        piece = FiledPiece(document["kind"], document["state"], row.stored_as, path, document["pages"])
        found.setdefault(row.application_id, []).append(piece)
    return found


def _replies(connection: sa.Connection, ids: Sequence[int] | None) -> dict[int, sa.Row[Any]]:
    columns = (acts.c.application_id, acts.c.kind, acts.c.state, acts.c.done_at, acts.c.payload, acts.c.settled)
    query: sa.Select[Any] = (
        sa.select(*columns).where(_within(acts.c.application_id, ids), acts.c.kind.in_(REPLIES)).order_by(acts.c.id)
    )
    found: dict[int, sa.Row[Any]] = {}
    for row in connection.execute(query):
        found[row.application_id] = row
    return found


def _reasons(connection: sa.Connection, ids: Sequence[int] | None) -> dict[int, str]:
    query = (
        sa.select(messages.c.application_id, messages.c.no_reply_reason)
        .where(_within(messages.c.application_id, ids), messages.c.no_reply_reason.is_not(None))
        .order_by(messages.c.id.desc())
    )
    return {row.application_id: row.no_reply_reason for row in connection.execute(query)}


# --- the digest ---------------------------------------------------------------------------------------


def digest_view(installation: Installation, day: date, span: Span) -> Digest:
    """Everything that the digest of `day` tells: what happened within `span`, and what waits now."""
    zone = installation.zone
    with installation.journal.snapshot() as connection:
        everything = application_rows(connection, zone)
        by_number = {row.number: row for row in everything}
        new = _founded(connection, span, by_number)
        return Digest(
            day=day,
            organisation=installation.config.organisation.name,
            generated_at=installation.now(),
            health=_health(connection, installation),
            doubts=_doubts(connection, installation, by_number),
            uncertain=(*_uncertain(connection, by_number, zone), *_bounced(connection, span, by_number, zone)),
            quarantined=_quarantined(connection, zone),
            drafts=_drafts(connection, installation, by_number),
            new=new,
            follow_ups=_follow_ups(connection, span, by_number),
            offers=offer_states(installation.offers, everything, day),
            unanswered=tuple(
                Unanswered(row.number, row.name, row.reply_reason)
                for row in new
                if row.reply is ReplyState.NONE and row.reply_reason
            ),
            enquiries=_enquiries(connection, installation, span),
            withdrawals=_withdrawals(connection, span, by_number),
            corrections=_corrections(connection, span, by_number),
            purges=_purges(connection, installation),
            archive=installation.config.archive.web_prefix or installation.config.archive.root,
            can_answer=_can_answer(installation),
        )


def _founded(connection: sa.Connection, span: Span, rows: dict[int, ApplicationRow]) -> tuple[ApplicationRow, ...]:
    query = (
        sa.select(messages.c.id)
        .where(messages.c.id == messages.c.application_id, span.holds(messages.c.decided_at))
        .where(messages.c.kind != Kind.WITHDRAWAL)
        .order_by(messages.c.id)
    )
    return tuple(rows[number] for number in connection.scalars(query) if number in rows)


def _doubts(
    connection: sa.Connection, installation: Installation, rows: dict[int, ApplicationRow]
) -> tuple[Doubt, ...]:
    """Messages that nobody could judge and that still wait, and applications of which a scan hides the kind."""
    query = (
        sa.select(messages)
        .where(messages.c.kind == Kind.DOUBT, messages.c.resolved_at.is_(None))
        .order_by(messages.c.id)
    )
    found = []
    for row in connection.execute(query):
        who = row.doubt_from or {}
        found.append(
            Doubt(
                number=row.id,
                name=who.get("name"),
                address=who.get("address"),
                received_at=moment(row.internaldate).astimezone(installation.zone),
                reason=row.why or "verdict incertain",
                likely=likely_answers(row.id) if _can_answer(installation) else (),
            )
        )
    found.extend(
        Doubt(
            number=row.number,
            name=row.name,
            address=row.address,
            received_at=row.received_at,
            reason="un document numérisé (image) peut être la pièce qui semble manquer",
            likely=()
            if not _can_answer(installation)
            else (
                LikelyAnswer(f"oui {row.number}", "le dossier est complet"),
                LikelyAnswer(f"répondre {row.number}", "demander la pièce qui manque"),
            ),
        )
        for row in rows.values()
        if row.status is Status.DOUBT and not row.withdrawn
    )
    return tuple(found)


def _can_answer(installation: Installation) -> bool:
    """Whether an answer to the digest would be believed: without a trusted server nobody's is (corrections.py)."""
    return installation.config.replies.trusted_authserv_id is not None


def likely_answers(number: int) -> tuple[LikelyAnswer, ...]:
    """The two answers that a message in doubt waits for."""
    return (
        LikelyAnswer(f"oui {number}", "c’est une candidature"),
        LikelyAnswer(f"non {number}", "ce n’en est pas une"),
    )


def _uncertain(
    connection: sa.Connection, rows: dict[int, ApplicationRow], zone: ZoneInfo
) -> tuple[UncertainReply, ...]:
    query = sa.select(acts).where(_UNCERTAIN, acts.c.application_id.is_not(None)).order_by(acts.c.id)
    return tuple(
        UncertainReply(
            number=row.application_id,
            name=rows[row.application_id].name if row.application_id in rows else "",
            address=row.recipient or "",
            at=moment(row.created_at).astimezone(zone),
            what=(
                "envoi refusé par le serveur : répondre vous-même"
                if row.state == ActState.FAILED
                else "peut-être partie, peut-être pas : vérifier avant d’écrire"
            ),
        )
        for row in connection.execute(query)
    )


_UNCERTAIN = sa.and_(acts.c.kind.in_(REPLIES), acts.c.state.in_((ActState.IN_DOUBT, ActState.FAILED)))


def _bounced(
    connection: sa.Connection, span: Span, rows: dict[int, ApplicationRow], zone: ZoneInfo
) -> tuple[UncertainReply, ...]:
    """Replies that came back within the span."""
    query = sa.select(events).where(events.c.kind == "bounce", span.holds(events.c.at)).order_by(events.c.id)
    return tuple(
        UncertainReply(
            number=row.application_id,
            name=rows[row.application_id].name,
            address=rows[row.application_id].address or "",
            at=moment(row.at).astimezone(zone),
            what="réponse revenue, adresse injoignable : joindre la personne autrement",
        )
        for row in connection.execute(query)
        if row.application_id in rows
    )


def _quarantined(connection: sa.Connection, zone: ZoneInfo) -> tuple[Quarantined, ...]:
    query = sa.select(messages).where(messages.c.state == "quarantined").order_by(messages.c.id)
    return tuple(
        Quarantined(row.id, moment(row.internaldate).astimezone(zone), row.size, "le message n’a pas pu être lu")
        for row in connection.execute(query)
    )


def _drafts(
    connection: sa.Connection, installation: Installation, rows: dict[int, ApplicationRow]
) -> tuple[DraftWaiting, ...]:
    titles = {offer.id: offer.title for offer in installation.offers}
    query = (
        sa.select(acts)
        .where(acts.c.kind == ActKind.DRAFT, acts.c.state == ActState.DONE, acts.c.settled.is_(None))
        .order_by(acts.c.id)
    )
    return tuple(
        DraftWaiting(
            number=row.application_id,
            name=rows[row.application_id].name,
            offer_title=titles.get(rows[row.application_id].offer or ""),
            what=_TEMPLATE_WORDS.get(row.payload["template"], row.payload["template"]),
            since=moment(row.done_at).astimezone(installation.zone),
        )
        for row in connection.execute(query)
        if row.application_id in rows
    )


def _follow_ups(connection: sa.Connection, span: Span, rows: dict[int, ApplicationRow]) -> tuple[FollowUp, ...]:
    query = (
        sa.select(messages.c.id, messages.c.kind, messages.c.application_id)
        .where(messages.c.application_id.is_not(None), messages.c.application_id != messages.c.id)
        .where(messages.c.kind.in_((Kind.FOLLOW_UP, Kind.APPLICATION)), span.holds(messages.c.decided_at))
        .order_by(messages.c.id)
    )
    return tuple(
        FollowUp(
            rows[row.application_id],
            "le même message une seconde fois"
            if row.kind == Kind.APPLICATION
            else _brought(connection, row.id, rows[row.application_id]),
        )
        for row in connection.execute(query).all()
        if row.application_id in rows
    )


def _brought(connection: sa.Connection, message_id: int, row: ApplicationRow) -> str:
    words = {"cv": "CV reçu", "letter": "lettre reçue", "cv_and_letter": "CV et lettre reçus"}
    kinds = [
        piece["kind"]
        for piece in connection.scalars(sa.select(documents.c.document).where(documents.c.message_id == message_id))
        if piece["state"] in (DocumentState.READ, DocumentState.SCANNED)
    ]
    brought = [words[kind] for kind in dict.fromkeys(kinds) if kind in words]
    if not brought:
        return "message sans nouvelle pièce"
    return f"{', '.join(brought)} : dossier {'complet' if row.status is Status.COMPLETE else 'encore incomplet'}"


def _enquiries(connection: sa.Connection, installation: Installation, span: Span) -> tuple[Enquiry, ...]:
    titles = {offer.id: offer.title for offer in installation.offers}
    query = (
        sa.select(messages.c.internaldate, messages.c.offer)
        .where(messages.c.kind == Kind.ENQUIRY, span.holds(messages.c.decided_at))
        .order_by(messages.c.id)
    )
    return tuple(
        Enquiry(moment(row.internaldate).astimezone(installation.zone), titles.get(row.offer or ""))
        for row in connection.execute(query)
    )


def _withdrawals(connection: sa.Connection, span: Span, rows: dict[int, ApplicationRow]) -> tuple[ApplicationRow, ...]:
    query = sa.select(events.c.application_id).where(events.c.kind == "withdrawal", span.holds(events.c.at))
    return tuple(rows[number] for number in dict.fromkeys(connection.scalars(query)) if number in rows)


def _corrections(connection: sa.Connection, span: Span, rows: dict[int, ApplicationRow]) -> tuple[Correction, ...]:
    query = sa.select(events).where(events.c.kind == "correction", span.holds(events.c.at)).order_by(events.c.id)
    return tuple(
        Correction(
            number=row.message_id or row.application_id or 0,
            name=rows[row.application_id].name if row.application_id in rows else "",
            what=row.detail,
        )
        for row in connection.execute(query)
    )


def _purges(connection: sa.Connection, installation: Installation) -> tuple[Purge, ...]:
    """What will be deleted within the announced time, by day and offer."""
    until = installation.now().date() + announced(installation)

    def days(kept: Sequence[Retained]) -> Counter[tuple[date, str | None]]:
        return Counter((day, row.offer) for row in kept if (day := purge_day(row, installation)) <= until)

    filed, doubts = days(kept_applications(connection)), days(kept_doubts(connection))
    titles = {offer.id: offer.title for offer in installation.offers}
    return tuple(
        Purge(day, filed[day, offer], titles.get(offer or ""), doubts[day, offer])
        for day, offer in sorted({*filed, *doubts}, key=str)
    )


def kept_applications(connection: sa.Connection) -> tuple[Retained, ...]:
    """Every application, for the retention rule."""
    columns = (applications.c.id, applications.c.offer, applications.c.last_contact_at, applications.c.keep_agreed)
    return tuple(
        Retained(row.id, row.offer, moment(row.last_contact_at), row.keep_agreed)
        for row in connection.execute(sa.select(*columns).order_by(applications.c.id))
    )


def kept_doubts(connection: sa.Connection) -> tuple[Retained, ...]:
    """Every message in doubt of which nobody said what it is; what one has been looked at since is not ours."""
    query = sa.select(messages.c.id, messages.c.offer, messages.c.internaldate).where(
        messages.c.kind == Kind.DOUBT,
        messages.c.state == "done",
        messages.c.application_id.is_(None),
        messages.c.resolved_at.is_(None),
    )
    return tuple(
        Retained(row.id, row.offer, moment(row.internaldate))
        for row in connection.execute(query.order_by(messages.c.id))
    )


def _health(connection: sa.Connection, installation: Installation) -> Health:
    rows = connection.execute(sa.select(mailboxes)).all()
    polls = [moment(row.polled_at) for row in rows if row.polled_at]
    ledger = installation.journal.ledger()
    return Health(
        last_poll=min(polls).astimezone(installation.zone) if polls else None,
        balance=Balance(ledger.messages, ledger.filed, ledger.left, ledger.doubt, ledger.quarantined, ledger.pending),
        errors=tuple(
            f"{row.name} : {row.trouble} (depuis le {_since(row.trouble_since, installation.zone)})"
            for row in rows
            if row.trouble and row.trouble_since
        )
        + _hindrances(installation)
        + _lost_reports(connection),
    )


def _hindrances(installation: Installation) -> tuple[str, ...]:
    """What keeps the agent from answering or filing, and what to do."""
    found = []
    if since := installation.journal.fact(REPLIES_STOPPED):
        found.append(
            f"réponses suspendues depuis le {_since(since, installation.zone)} : il y en avait plus que "
            "vraisemblable. Vérifiez les candidatures, puis faites lancer « inbox-agent outbox --resume »"
        )
    if trouble := installation.journal.fact(SENDING_TROUBLE):
        found.append(f"rien ne peut être envoyé : {trouble}")
    if stuck := installation.journal.stuck():
        found.append(f"à classer, à déplacer ou à mettre en brouillon, sans succès : {len(stuck)} ({stuck[0].result})")
    return tuple(found)


def _lost_reports(connection: sa.Connection) -> tuple[str, ...]:
    """Digests that somebody may not have got."""
    query = sa.select(acts.c.recipient).where(_UNCERTAIN, acts.c.application_id.is_(None)).distinct()
    return tuple(
        f"un bulletin n’est peut-être pas parvenu à {recipient} : voir « inbox-agent outbox »"
        for recipient in connection.scalars(query.order_by(acts.c.recipient))
    )


def _since(stored: str, zone: ZoneInfo) -> str:
    return f"{moment(stored).astimezone(zone):%d/%m à %H h %M}"


def span_of_day(installation: Installation, day: date) -> Span:
    """That day, from midnight to midnight, in the association's zone."""
    start = datetime(day.year, day.month, day.day, tzinfo=installation.zone)
    following = day + timedelta(days=1)
    return Span(start, datetime(following.year, following.month, following.day, tzinfo=installation.zone))
