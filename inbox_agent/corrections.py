"""What staff say of a message or an application, carried out: by moving mail, by command, by answering a digest.

Acts: fetches octets once more, writes the journal; execute.py does the rest. Every correction is idempotent,
undone by the opposite one, kept as an event with who and when, and never makes a second reply.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from inbox_agent import assess
from inbox_agent.answers import read_command, refusal
from inbox_agent.application import Document, Kind, Status, Timing
from inbox_agent.archive import offer_folder
from inbox_agent.decide import (
    COMPLETE_FOLDER,
    DOUBT_FOLDER,
    INCOMPLETE_FOLDER,
    LATE_FOLDER,
    SPONTANEOUS_FOLDER,
    state_folder,
)
from inbox_agent.decision import OPEN, REPLIES, Act, ActKind, ActState, Told
from inbox_agent.errors import AgentError
from inbox_agent.fetch import spool_again_from
from inbox_agent.journal import Event, moment, text
from inbox_agent.schema import acts, applications, documents, messages, requests

if TYPE_CHECKING:
    from inbox_agent.application import Reading
    from inbox_agent.decision import Decision
    from inbox_agent.execute import Account
    from inbox_agent.installation import Installation
    from inbox_agent.journal import Write

# Beneath the archive's root: what staff said is no application, until it is purged.
ASIDE_FOLDER = "_ecartees"
_FILED = (Kind.APPLICATION, Kind.FOLLOW_UP, Kind.WITHDRAWAL)
_BUSY_KINDS = (ActKind.FILE, ActKind.REFILE, ActKind.MOVE)


class Saying(StrEnum):
    """What can be said of a number."""

    YES = "yes"
    NO = "no"
    OFFER = "offer"
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    LATE = "late"
    ANSWER = "answer"
    PLACED = "placed"
    DOUBT = "doubt"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a folder of our tree says of what lies in it. `status` and `timing` None: nothing."""

    offer: str | None
    status: Status | None = None
    timing: Timing | None = None
    doubt: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """One correction. `folder` is where a message was put by hand, `meaning` what that says.

    `occasion` is the same when the same correction is seen again, and no other's.
    """

    saying: Saying
    who: str
    occasion: str
    offer: str | None = None
    folder: str | None = None
    meaning: Meaning | None = None


def meaning_of(folder: str, target: str, offers: tuple[str, ...]) -> Meaning | None:
    """What a folder beneath `target` means; None for one that belongs to no known offer."""
    parts = [unicodedata.normalize("NFC", part) for part in folder.removeprefix(target).strip("/").split("/")]
    if len(parts) > 2:  # noqa: PLR2004 - offer and state
        return None
    if parts[0] == DOUBT_FOLDER:
        return Meaning(None, doubt=True) if len(parts) == 1 else None
    if parts[0] not in (*offers, SPONTANEOUS_FOLDER):
        return None
    offer = None if parts[0] == SPONTANEOUS_FOLDER else parts[0]
    match parts[1:]:
        case []:
            return Meaning(offer)
        case [state] if state == COMPLETE_FOLDER:
            return Meaning(offer, Status.COMPLETE, Timing.ON_TIME)
        case [state] if state == INCOMPLETE_FOLDER:
            return Meaning(offer, Status.INCOMPLETE, Timing.ON_TIME)
        case [state] if state == LATE_FOLDER:
            return Meaning(offer, None, Timing.LATE)
        case _:
            return None


def told_of(stored: dict[str, Any], place: tuple[str, int, int] | None) -> Told | None:
    """The word that the journal keeps with a message that is to be read again."""
    if stored.get("saying") != "application":
        return None
    return Told(
        offer=stored["offer"],
        occasion=stored["occasion"],
        folder=stored["folder"],
        status=Status(stored["status"]) if stored["status"] else None,
        timing=Timing(stored["timing"]) if stored["timing"] else None,
        answer=stored["answer"],
        place=place,
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a word, in French. `done`: something changed, and an event tells it already."""

    said: str
    done: bool = False


@dataclass(frozen=True, slots=True)
class _Case:
    """A word, and what it is about. `application` is None for a message that is filed nowhere."""

    installation: Installation
    account: Account
    row: sa.Row[Any]
    application: sa.Row[Any] | None
    word: Word

    @property
    def target(self) -> str:
        """The folder above all of ours."""
        return self.installation.section(self.row.mailbox).target


def carry_out(installation: Installation, account: Account, number: int, word: Word) -> Outcome | None:
    """Do what was said of `number`; what came of it, in French, or None if it must wait for the next pass."""
    with installation.journal.snapshot() as connection:
        row = connection.execute(sa.select(messages).where(messages.c.id == number)).one_or_none()
        if row is None:
            return Outcome(f"aucun message ne porte le n° {number}")
        application = _application_of(connection, row)
        if _busy(connection, row, application):
            return None
    case = _Case(installation, account, row, application, word)
    if word.saying is Saying.OFFER and not _known(installation, word.offer):
        known = ", ".join(offer.id for offer in installation.offers)
        return Outcome(f"aucune offre ne s’appelle « {word.offer} » ; offres connues : {known}")
    return _of_message(case) if application is None else _of_application(case, application)


def _known(installation: Installation, offer: str | None) -> bool:
    return offer is None or installation.policy.offer(offer) is not None


def _application_of(connection: sa.Connection, row: sa.Row[Any]) -> sa.Row[Any] | None:
    """The application of a message; of a copy of one that was set aside, that one."""
    if row.application_id is not None:
        condition = applications.c.id == row.application_id
    elif row.fingerprint is not None:
        condition = sa.and_(applications.c.fingerprint == row.fingerprint, applications.c.set_aside_at.is_not(None))
    else:
        return None
    return connection.execute(sa.select(applications).where(condition)).one_or_none()


def _busy(connection: sa.Connection, row: sa.Row[Any], application: sa.Row[Any] | None) -> bool:
    """Whether something is still under way: a correction waits until files and messages are where they belong."""
    if row.state in ("received", "decided") and application is None:
        return True
    about = acts.c.message_id == row.id
    if application is not None:
        about = sa.or_(about, acts.c.application_id == application.id)
    query = sa.select(acts.c.id).where(about, acts.c.kind.in_(_BUSY_KINDS), acts.c.state.in_(OPEN))
    return connection.execute(query.limit(1)).one_or_none() is not None


# --- a message that is filed nowhere ------------------------------------------------------------------


def _of_message(case: _Case) -> Outcome:
    match case.word.saying:
        case Saying.NO:
            return _dismiss(case)
        case Saying.DOUBT:
            return _put_in_doubt(case)
        case Saying.PLACED:
            meaning = case.word.meaning or Meaning(None)
            return _read_again(case, meaning.offer, meaning.status, meaning.timing)
        case Saying.COMPLETE:
            return _read_again(case, _likely(case), Status.COMPLETE, None)
        case Saying.INCOMPLETE:
            return _read_again(case, _likely(case), Status.INCOMPLETE, None)
        case Saying.LATE:
            return _read_again(case, _likely(case), None, Timing.LATE)
        case Saying.OFFER:
            return _read_again(case, case.word.offer, None, None)
        case _:
            return _read_again(case, _likely(case), None, None, answer=case.word.saying is Saying.ANSWER)


def _likely(case: _Case) -> str | None:
    """The offer that was recognised; failing that the only one there is."""
    if case.row.offer is not None:
        return str(case.row.offer)
    offers = case.installation.offers
    return offers[0].id if len(offers) == 1 else None


def _dismiss(case: _Case) -> Outcome:
    """A message in doubt is none: nothing of it is kept but its identity and the verdict (promise 3)."""
    row, word = case.row, case.word
    if row.kind != Kind.DOUBT and row.state != "quarantined":
        return Outcome("ce message n’est déjà pas une candidature : rien n’a changé")
    said = "ce n’est pas une candidature"
    with case.installation.journal.transaction("dismiss") as write:
        write.connection.execute(
            sa.update(messages)
            .where(messages.c.id == row.id)
            .values(
                state="done",
                kind=Kind.OTHER,
                doubt_from=None,
                why=None,
                resolved_at=text(case.installation.clock.now()),
                told={"saying": "none", "before": row.kind, "who": word.who},
            )
        )
        if word.folder is None and row.folder is not None:
            _plan_move(write, row, case.account.folder, word.occasion, None, back=True)
        write.note(Event("correction", said, None, row.id, word.who))
    return Outcome(said, done=True)


def _put_in_doubt(case: _Case) -> Outcome:
    said = "à vérifier, à votre demande"
    with case.installation.journal.transaction("doubt") as write:
        write.connection.execute(
            sa.update(messages)
            .where(messages.c.id == case.row.id)
            .values(kind=Kind.DOUBT, resolved_at=None, why=said, state="done", told=None)
        )
        write.note(Event("correction", said, None, case.row.id, case.word.who))
    return Outcome(said, done=True)


def _read_again(
    case: _Case, offer: str | None, status: Status | None, timing: Timing | None, *, answer: bool = False
) -> Outcome:
    """It is an application: read once more, filed and answered by the normal rules."""
    row, installation = case.row, case.installation
    spool = installation.spool(row.mailbox)
    copies = _archived(case) if case.application is not None else ()
    folder = row.folder or case.account.folder
    place = (row.folder_uidvalidity, row.folder_uid) if row.folder else (row.uidvalidity, row.uid)
    if not spool_again_from(case.account.mailbox, folder, place, row.sha256, spool, copies):
        return Outcome("le message n’est plus dans la messagerie : rien n’a changé")
    told = {
        "saying": "application",
        "offer": offer,
        "folder": case.word.folder,
        "status": status,
        "timing": timing,
        "answer": answer,
        "occasion": case.word.occasion,
        "who": case.word.who,
        "before": row.kind,
    }
    with installation.journal.transaction("told") as write:
        write.connection.execute(
            sa.update(messages).where(messages.c.id == row.id).values(state="received", attempts=0, told=told)
        )
    return Outcome("pris en compte", done=True)


def _archived(case: _Case) -> tuple[bytes, ...]:
    """The message as it was filed, where the mailbox has it no longer."""
    assert case.application is not None  # noqa: S101 - for the type checker: the caller has looked
    files = case.installation.files
    found = files.list(PurePosixPath(case.application.path))
    return tuple(octets for path in found if path.suffix == ".eml" and (octets := files.read(path)) is not None)


def heed(write: Write, message_id: int, decision: Decision, told: Told, stored: dict[str, Any]) -> None:
    """After the decision: the doubt is resolved, the placement is staff's, and the next digest says so."""
    application_id = decision.application or message_id
    write.connection.execute(
        sa.update(messages).where(messages.c.id == message_id).values(resolved_at=messages.c.decided_at)
    )
    computed = assess.status(decision.documents, decision.missing)
    if told.timing is Timing.LATE or (told.status is not None and told.status is not computed):
        write.connection.execute(
            sa.update(applications).where(applications.c.id == application_id).values(staff_placed=True)
        )
    said = f"c’est une candidature, classée dans {decision.folder}"
    write.note(Event("correction", said, application_id, message_id, stored.get("who")))


# --- an application -----------------------------------------------------------------------------------


def _of_application(case: _Case, application: sa.Row[Any]) -> Outcome:  # noqa: C901 - a table of what can be said
    aside = application.set_aside_at is not None
    in_doubt = application.status == Status.DOUBT and not aside
    saying, meaning = case.word.saying, case.word.meaning
    match saying:
        case Saying.NO if aside:
            return Outcome("déjà écartée : rien n’a changé")
        case Saying.NO if _is_further_message(case, application):
            return _detach(case, application)
        case Saying.NO:
            return _set_aside(case, application)
        case Saying.YES if aside:
            return _place(case, application, application.offer, None, None)
        case Saying.YES if in_doubt:
            return _read_again(_founding(case, application), application.offer, Status.COMPLETE, None)
        case Saying.YES:
            return Outcome("c’est déjà une candidature : rien n’a changé")
        case Saying.OFFER if application.offer == case.word.offer and not aside:
            return Outcome("c’est déjà pour cette offre : rien n’a changé")
        case Saying.OFFER:
            return _place(case, application, case.word.offer, None, None)
        case Saying.COMPLETE | Saying.INCOMPLETE | Saying.LATE:
            wanted = Meaning(application.offer, *_WORDS[saying])
            return _settle(case, application, wanted, in_doubt=in_doubt)
        case Saying.PLACED:
            return _settle(case, application, meaning or Meaning(application.offer), in_doubt=in_doubt)
        case Saying.DOUBT:
            return _place(case, application, application.offer, Status.DOUBT, None)
        case _:
            return _answer(case, application)


_WORDS: dict[Saying, tuple[Status | None, Timing | None]] = {
    Saying.COMPLETE: (Status.COMPLETE, Timing.ON_TIME),
    Saying.INCOMPLETE: (Status.INCOMPLETE, Timing.ON_TIME),
    Saying.LATE: (None, Timing.LATE),
}


def _is_further_message(case: _Case, application: sa.Row[Any]) -> bool:
    """One that came later, moved out by hand: the application stays."""
    return case.word.folder is not None and case.row.id != application.id


def _founding(case: _Case, application: sa.Row[Any]) -> _Case:
    """The same word, about the first message."""
    if case.row.id == application.id:
        return case
    with case.installation.journal.snapshot() as connection:
        row = connection.execute(sa.select(messages).where(messages.c.id == application.id)).one()
    return _Case(case.installation, case.account, row, application, case.word)


def _settle(case: _Case, application: sa.Row[Any], wanted: Meaning, *, in_doubt: bool) -> Outcome:
    """Staff said complete, incomplete or late; an application in doubt is answered now, for the first time."""
    if in_doubt and (wanted.status or wanted.timing) and case.row.id == application.id:
        return _read_again(case, wanted.offer, wanted.status, wanted.timing)
    return _place(case, application, wanted.offer, wanted.status, wanted.timing)


def _answer(case: _Case, application: sa.Row[Any]) -> Outcome:
    with case.installation.journal.snapshot() as connection:
        query = sa.select(acts.c.id).where(
            acts.c.application_id == application.id, acts.c.kind.in_(REPLIES), acts.c.state != ActState.CANCELLED
        )
        if connection.execute(query.limit(1)).one_or_none() is not None:
            return Outcome("déjà répondu : aucune seconde réponse")
    if application.withdrawn_at or application.set_aside_at:
        return Outcome("candidature retirée ou écartée : à vous de répondre")
    status = None if application.status == Status.DOUBT else Status(application.status)
    timing = Timing(application.timing) if application.timing else None
    return _read_again(_founding(case, application), application.offer, status, timing, answer=True)


def _set_aside(case: _Case, application: sa.Row[Any]) -> Outcome:
    """Out of the register, never answered; the files stay where a person finds them."""
    path = f"{ASIDE_FOLDER}/{application.path}"
    said = f"ce n’est pas une candidature : retirée du suivi, fichiers rangés dans {path}"
    now = text(case.installation.clock.now())
    with case.installation.journal.transaction("set_aside") as write:
        _cancel_replies(write, application.id)
        _refile(write, application, path, case.word.occasion)
        write.connection.execute(
            sa.update(applications)
            .where(applications.c.id == application.id)
            .values(set_aside_at=now, path=path, folder=None, revision=applications.c.revision + 1)
        )
        for row in _messages_of(write, application.id):
            told = {"saying": "none", "before": row.kind, "who": case.word.who}
            write.connection.execute(
                sa.update(messages).where(messages.c.id == row.id).values(kind=Kind.OTHER, told=told, resolved_at=now)
            )
            if row.folder is not None and not _by_hand(case, row):
                _plan_move(write, row, case.account.folder, case.word.occasion, application.id, back=True)
        mark_stale(write, application.offer)
        write.note(Event("correction", said, application.id, application.id, case.word.who))
    return Outcome(said, done=True)


def _detach(case: _Case, application: sa.Row[Any]) -> Outcome:
    said = "ce message ne fait pas partie du dossier ; ses pièces y restent, à vous de voir"
    with case.installation.journal.transaction("detach") as write:
        told = {"saying": "none", "before": case.row.kind, "who": case.word.who}
        write.connection.execute(
            sa.update(messages).where(messages.c.id == case.row.id).values(kind=Kind.OTHER, told=told)
        )
        _touch(write, application.id)
        write.note(Event("correction", said, application.id, case.row.id, case.word.who))
    return Outcome(said, done=True)


def _place(
    case: _Case, application: sa.Row[Any], offer: str | None, status: Status | None, timing: Timing | None
) -> Outcome:
    """An application where staff want it; its other messages and its files follow. Undone by placing it back."""
    values = _values(case, application, offer, status, timing)
    unchanged = all(getattr(application, name) == value for name, value in values.items() if name != "staff_placed")
    same_place = case.word.folder is None or case.row.folder == values["folder"]
    if unchanged and application.set_aside_at is None and same_place and case.row.kind in _FILED:
        return Outcome("rien à changer")
    said = f"classée dans {values['folder']}"
    with case.installation.journal.transaction("place") as write:
        if values["path"] != application.path:
            _refile(write, application, values["path"], case.word.occasion)
        write.connection.execute(
            sa.update(applications)
            .where(applications.c.id == application.id)
            .values(set_aside_at=None, revision=applications.c.revision + 1, **values)
        )
        for row in _messages_of(write, application.id):
            if row.kind == Kind.OTHER and (application.set_aside_at or row.id == case.row.id):
                _restore(write, row)
            if row.folder != values["folder"] and not _by_hand(case, row):
                _plan_move(write, row, values["folder"], case.word.occasion, application.id)
        for told_of_it in {application.offer, offer}:
            mark_stale(write, told_of_it)
        write.note(Event("correction", said, application.id, case.row.id, case.word.who))
    return Outcome(said, done=True)


def _values(
    case: _Case, application: sa.Row[Any], offer: str | None, status: Status | None, timing: Timing | None
) -> dict[str, Any]:
    """The new columns of an application that staff place."""
    word = case.word
    by_word = status is not None or timing is not None
    known = case.installation.policy.offer(offer)
    with case.installation.journal.snapshot() as connection:
        pieces = present_documents(connection, application.id)
    # Where the offer's file is gone, what it asked for is what it was.
    lacking = assess.missing(pieces, known) if _known(case.installation, offer) else tuple(application.missing)
    if offer != application.offer and not by_word:
        status = assess.status(pieces, lacking)
        timing = assess.arrival(known, moment(application.received_at), None).timing
    status = status or Status(application.status)
    timing = _timing(application, timing)
    if status is Status.DOUBT:
        folder = f"{case.target}/{DOUBT_FOLDER}"
    else:
        folder = f"{case.target}/{offer or SPONTANEOUS_FOLDER}/{state_folder(timing, status)}"
    name = PurePosixPath(application.path).name
    return {
        "offer": offer,
        "status": status.value,
        "timing": timing.value if timing else None,
        "missing": [] if status is Status.COMPLETE else list(lacking),
        "folder": word.folder or folder,
        "path": str(PurePosixPath(offer_folder(offer), name)),
        "staff_placed": bool(application.staff_placed or by_word or word.folder is not None),
    }


def _timing(application: sa.Row[Any], wanted: Timing | None) -> Timing | None:
    """Late or not is staff's word; on the day itself stays what it was."""
    had = Timing(application.timing) if application.timing else None
    if wanted is None or (wanted is Timing.ON_TIME and had is not Timing.LATE):
        return had
    return wanted


# --- statements ---------------------------------------------------------------------------------------


def present_documents(connection: sa.Connection, application_id: int) -> tuple[Document, ...]:
    """Those of an application that no later one replaces, in the order they came."""
    query = sa.select(documents.c.document).where(documents.c.application_id == application_id, documents.c.current)
    return tuple(Document.from_json(value) for value in connection.scalars(query.order_by(documents.c.id)))


def _messages_of(write: Write, application_id: int) -> list[sa.Row[Any]]:
    query = sa.select(messages).where(messages.c.application_id == application_id).order_by(messages.c.id)
    return list(write.connection.execute(query))


def _restore(write: Write, row: sa.Row[Any]) -> None:
    before = (row.told or {}).get("before") or Kind.APPLICATION
    write.connection.execute(sa.update(messages).where(messages.c.id == row.id).values(kind=before, told=None))


def _by_hand(case: _Case, row: sa.Row[Any]) -> bool:
    """Whether staff moved this very message: it is never moved by us."""
    return case.word.folder is not None and row.id == case.row.id


def _plan_move(  # noqa: PLR0913 - the facts of one move
    write: Write, row: sa.Row[Any], target: str, occasion: str, application_id: int | None, *, back: bool = False
) -> None:
    """From where the message is now; what is nowhere any more is left alone."""
    place: dict[str, Any] = {}
    if row.folder is not None:
        if row.folder_uid is None:
            return
        place = {"from": row.folder, "uidvalidity": row.folder_uidvalidity, "uid": row.folder_uid}
    payload = {"folder": target, **place, **({"back": True} if back else {})}
    write.plan([Act(ActKind.MOVE, f"move:{row.id}:{occasion}", payload)], row.id, application_id)


def _refile(write: Write, application: sa.Row[Any], path: str, occasion: str) -> None:
    payload = {"from": application.path, "to": path}
    act = Act(ActKind.REFILE, f"refile:{application.id}:{occasion}", payload)
    write.plan([act], application.id, application.id)


def _cancel_replies(write: Write, application_id: int) -> None:
    write.connection.execute(
        sa.update(acts)
        .where(acts.c.application_id == application_id, acts.c.kind.in_(REPLIES), acts.c.state == ActState.PENDING)
        .values(state=ActState.CANCELLED, result="set aside by staff")
    )


def _touch(write: Write, application_id: int) -> None:
    write.connection.execute(
        sa.update(applications).where(applications.c.id == application_id).values(revision=applications.c.revision + 1)
    )


def mark_stale(write: Write, offer: str | None) -> None:
    """The register of an offer that an application left must be written anew."""
    write.note_fact(f"stale:{offer or ''}", "1")


# --- requests -----------------------------------------------------------------------------------------


def ask(  # noqa: PLR0913 - one request
    write: Write, number: int, saying: Saying, argument: str | None, *, who: str, at: str
) -> None:
    """Write down what staff want done; the next pass over the message's mailbox does it."""
    write.connection.execute(
        sa.insert(requests).values(at=at, who=who, number=number, saying=saying, argument=argument)
    )


def check_request(installation: Installation, number: int, offer: str | None) -> None:
    """Raises AgentError for a number or an offer that is not known."""
    with installation.journal.snapshot() as connection:
        if connection.scalar(sa.select(messages.c.id).where(messages.c.id == number)) is None:
            raise AgentError(f"there is no message {number}. The digest and the board show the numbers.")
    if not _known(installation, offer):
        known = ", ".join(sorted(item.id for item in installation.offers))
        raise AgentError(f'there is no offer "{offer}". There are: {known}')


def request(installation: Installation, number: int, saying: Saying, offer: str | None, *, who: str) -> int:
    """Write down what a command asks for; the number of the request."""
    with installation.journal.transaction("asked") as write:
        ask(write, number, saying, offer, who=who, at=text(installation.clock.now()))
        return int(write.connection.scalar(sa.select(sa.func.max(requests.c.id))) or 0)


def hear(write: Write, installation: Installation, message_id: int, reading: Reading) -> None:
    """What an answer to a digest asks for; from anybody who cannot be believed, that it was refused."""
    config = installation.config
    digests = sa.select(acts.c.id).where(acts.c.mail_id.in_(reading.thread), acts.c.key.startswith("digest:"))
    if write.connection.execute(digests.limit(1)).one_or_none() is None:
        return  # It looks like one of ours and is none.
    why = refusal(
        reading.sender,
        reading.authentication,
        staff=installation.policy.staff.addresses | frozenset(address.lower() for address in config.digest.to),
        trusted=config.replies.trusted_authserv_id,
    )
    if why is not None:
        said = f"réponse au bulletin refusée : {why} ; rien n’a changé"
        write.note(Event("correction", said, None, message_id, None))
        return
    now = text(installation.clock.now())
    for answer in map(read_command, reading.answers):
        ask(write, answer.number, Saying(answer.saying), answer.offer, who=reading.sender or "", at=now)


def carry_out_requests(installation: Installation, account: Account, mailbox: str) -> int:
    """Everything that was asked for by command or by mail, in order; how many were done."""
    with installation.journal.snapshot() as connection:
        mine = sa.or_(messages.c.mailbox == mailbox, messages.c.id.is_(None))
        query = sa.select(requests).outerjoin(messages, messages.c.id == requests.c.number)
        waiting = connection.execute(query.where(requests.c.done_at.is_(None), mine).order_by(requests.c.id)).all()
    done = 0
    for request in waiting:
        word = Word(Saying(request.saying), request.who, f"request{request.id}", offer=request.argument)
        outcome = carry_out(installation, account, request.number, word)
        if outcome is None:
            continue
        now = text(installation.clock.now())
        with installation.journal.transaction("request") as write:
            write.connection.execute(
                sa.update(requests).where(requests.c.id == request.id).values(done_at=now, outcome=outcome.said)
            )
            if not outcome.done:
                write.note(Event("correction", outcome.said, None, request.number, request.who))
        done += 1
    return done
