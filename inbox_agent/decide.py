"""Reading × history → Decision: what a sensible secretary would do, in order. Pure; no clock is read here."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from inbox_agent import assess
from inbox_agent.application import DocumentKind, Evidence, Kind, Status, Timing
from inbox_agent.decision import Decision, Earlier, History, Reply, ReplyMode, ReplyTemplate, Told
from inbox_agent.offer import LateDocuments, Offer, Staff
from inbox_agent.reply_subject import reply_subject

if TYPE_CHECKING:
    from datetime import datetime

    from inbox_agent.application import Candidate, Reading

FILED_KINDS = frozenset({Kind.APPLICATION, Kind.FOLLOW_UP, Kind.WITHDRAWAL})
COMPLETE_FOLDER, INCOMPLETE_FOLDER, LATE_FOLDER = "Complètes", "Incomplètes", "Hors délai"
DOUBT_FOLDER = "À vérifier"
SPONTANEOUS_FOLDER = "Spontanées"

IMPLAUSIBLE = "more replies than is plausible: sending is stopped until a person looks"
# Words of the reasons for doubt that tell that who wrote is not who applies: nobody is answered then.
_SOMEBODY_ELSE = ("d’une autre personne", "transmet plusieurs CV", "n’est pas celui de la personne")
_UNANSWERED = {
    Kind.ENQUIRY: "an enquiry: a person answers it",
    Kind.AUTOMATIC: "automatic mail is never answered (RFC 3834)",
    Kind.BULK: "bulk mail is never answered",
    Kind.INTERNAL: "mail among staff",
    Kind.OTHER: "no application",
    Kind.DOUBT: "in doubt: a person must look first",
}


@dataclass(frozen=True, slots=True)
class Policy:
    """What the installation wants. `answer_since` is None when age is no reason for silence (explain).

    `remembers`: history is all that was before, so what it does not hold is unknown. Explain has none to look into.
    """

    offers: tuple[Offer, ...]
    staff: Staff
    mode: ReplyMode = ReplyMode.DRAFT
    target: str = "Candidatures"
    answer_since: datetime | None = None
    trusted_authserv_id: str | None = None
    per_address_per_day: int = 3
    per_hour: int = 60
    per_day: int = 300
    own_addresses: frozenset[str] = field(default_factory=frozenset)
    remembers: bool = False

    def offer(self, offer_id: str | None) -> Offer | None:
        """The offer of that id, None for None or one that is no longer published."""
        return next((offer for offer in self.offers if offer.id == offer_id), None)


def decide(
    reading: Reading, received_at: datetime, history: History, policy: Policy, told: Told | None = None
) -> Decision:
    """The whole verdict on one message; `told` is what staff said of it, which stands above every rule."""
    if told is not None:
        reading = _as_told(reading, told)
    earlier = _joined(reading, history)
    if earlier is not None and earlier.set_aside:
        # A copy of what staff said is none.
        reading, earlier = replace(reading, kind=Kind.OTHER), None
    elif told is None and (writes := _known_writer(reading, history)) is not None:
        reading = _to_be_looked_at(reading, writes)
    if told is None and policy.remembers and earlier is None and _follows_nothing(reading):
        reading = replace(reading, kind=Kind.DOUBT, doubt="la suite d’une candidature qui n’est pas connue ici")
    kind = _kind(reading, earlier)
    offer = policy.offer(earlier.offer if earlier else reading.offer)
    state = _State.of(reading, kind, offer, earlier, received_at)
    if told is not None:
        state = _state_as_told(state, told)
    template, silence = _template(kind, state, earlier)
    if told is not None and state.status is Status.DOUBT:
        # Filed, since they said so, and not answered: what the scan is they did not say.
        state = replace(state, status=Status.INCOMPLETE if state.missing else Status.COMPLETE)
    silence = silence or _silence(reading, received_at, history, policy, asked=told is not None and told.answer)
    reply = None
    if template is not None and silence is None:
        reply, silence = _reply(reading, template, offer, policy, asked=told is not None and told.answer)
    suggested = next((known.id for known in history.earlier if known.by == "name"), None)
    return Decision(
        sha256=reading.sha256,
        kind=kind,
        offer=earlier.offer if earlier else reading.offer,
        candidate=_candidate(reading, earlier),
        received_at=received_at,
        timing=state.timing,
        documents=reading.documents,
        missing=state.missing,
        status=state.status,
        reply=reply,
        no_reply_reason=silence,
        folder=(told and told.folder)
        or _folder(kind, state, earlier, earlier.offer if earlier else reading.offer, policy.target),
        evidence=(*reading.evidence, *state.evidence),
        filed=kind in FILED_KINDS,
        application=earlier.id if earlier else None,
        suggested=suggested if earlier is None else None,
        doubt=reading.doubt if kind is Kind.DOUBT else None,
        # How a further message was addressed says nothing of the application.
        notes=(
            *(() if earlier else reading.notes),
            *state.notes,
            *_suggestion(kind, suggested if earlier is None else None),
        ),
    )


def _known_writer(reading: Reading, history: History) -> Earlier | None:
    """The application of whoever writes what reads as other mail: it may be about it, in words that do not tell."""
    if reading.kind is not Kind.OTHER or reading.sender is None:
        return None
    theirs = (known for known in history.earlier if known.candidate and known.candidate.address == reading.sender)
    return next((known for known in theirs if not known.set_aside), None)


def _to_be_looked_at(reading: Reading, known: Earlier) -> Reading:
    doubt = f"de la même adresse que la candidature n° {known.id} : peut-être à son sujet"
    return replace(reading, kind=Kind.DOUBT, candidate=known.candidate, offer=known.offer, doubt=doubt)


def _follows_nothing(reading: Reading) -> bool:
    """A chaser or a word about an application that is not known, without a CV or letter: there is nothing to file."""
    papers = any(document.kind is not DocumentKind.OTHER for document in reading.documents)
    return reading.kind is Kind.FOLLOW_UP and not papers


def _suggestion(kind: Kind, number: int | None) -> tuple[str, ...]:
    """A name alone joins nothing: a person is told."""
    if number is None or kind not in FILED_KINDS:
        return ()
    return (f"même nom que la candidature n° {number} : peut-être la même personne",)


@dataclass(frozen=True, slots=True)
class _State:
    """The application after this message: its pieces, timing and status. All None for what is none."""

    missing: tuple[str, ...] = ()
    timing: Timing | None = None
    status: Status | None = None
    brought: bool = False
    refused: bool = False
    evidence: tuple[Evidence, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, reading: Reading, kind: Kind, offer: Offer | None, earlier: Earlier | None, received_at: datetime
    ) -> _State:
        if kind not in (Kind.APPLICATION, Kind.FOLLOW_UP, Kind.DOUBT, Kind.WITHDRAWAL):
            return cls()
        arrival = assess.arrival(offer, received_at, reading.date)
        if kind is Kind.WITHDRAWAL:
            return cls(timing=earlier.timing if earlier else arrival.timing, evidence=arrival.evidence)
        if kind is Kind.DOUBT:
            lacking = assess.missing(reading.documents, offer)
            return cls(lacking, arrival.timing, Status.DOUBT, evidence=arrival.evidence, notes=arrival.notes)
        if earlier is None:
            lacking = assess.missing(reading.documents, offer)
            status = assess.status(reading.documents, lacking)
            return cls(lacking, arrival.timing, status, evidence=arrival.evidence, notes=arrival.notes)
        return _joining(reading, offer, earlier, arrival)


def _as_told(reading: Reading, told: Told) -> Reading:
    """The reading as staff's word has it. Whose application it is remains unknown where somebody else wrote."""
    candidate = reading.candidate
    if any(words in (reading.doubt or "") for words in _SOMEBODY_ELSE):
        candidate = None
    return replace(reading, kind=Kind.APPLICATION, offer=told.offer, candidate=candidate, doubt=None)


def _state_as_told(state: _State, told: Told) -> _State:
    status = told.status or state.status
    if told.answer and status is Status.DOUBT:
        status = Status.INCOMPLETE if state.missing else Status.COMPLETE
    missing = () if told.status is Status.COMPLETE else state.missing
    timing = state.timing
    if told.timing is not None and (told.timing is Timing.LATE or timing is Timing.LATE):
        timing = told.timing
    return replace(state, status=status, missing=missing, timing=timing)


def _joining(reading: Reading, offer: Offer | None, earlier: Earlier, arrival: assess.Arrival) -> _State:
    """An earlier application with this message's pieces added to it."""
    known = {document.sha256 for document in earlier.documents}
    new = tuple(document for document in reading.documents if document.sha256 not in known)
    after_deadline = arrival.timing is Timing.LATE and earlier.timing is not Timing.LATE
    notes: tuple[str, ...] = ()
    refused = False
    if after_deadline and new and offer is not None:
        match offer.late_documents:
            case LateDocuments.REFUSE:
                refused, notes = True, ("pièce reçue après la date limite : non prise en compte, selon l'offre",)
            case LateDocuments.FLAG:
                notes = ("pièce reçue après la date limite, pour une candidature reçue à temps",)
            case LateDocuments.ACCEPT:
                pass
    pieces = earlier.documents if refused else (*earlier.documents, *new)
    lacking = assess.missing(pieces, offer)
    status: Status | None = assess.status(pieces, lacking)
    if earlier.staff_placed:
        lacking, status = earlier.missing, earlier.status  # Their word stands.
    if earlier.withdrawn:
        notes = (*notes, "la candidature avait été retirée")
    return _State(lacking, earlier.timing, status, bool(new), refused, arrival.evidence, notes)


def _joined(reading: Reading, history: History) -> Earlier | None:
    """The earlier application this message belongs to for certain: by staff's word, itself, thread or address."""
    if reading.kind not in (Kind.APPLICATION, Kind.FOLLOW_UP, Kind.WITHDRAWAL):
        return None
    for by in ("told", "message", "thread", "address"):
        matching = [known for known in history.earlier if known.by == by]
        if by == "address":
            matching = [known for known in matching if _same_post(reading, known) and _may_be_one(reading, known)]
            if len(matching) > 1 and reading.offer is None:
                return None  # Two applications and nothing that tells which: a person says.
        if matching:
            return matching[0]
    return None


def _may_be_one(reading: Reading, known: Earlier) -> bool:
    """Whether names allow it: a couple or a family may write from one address, each for themselves."""
    one, other = reading.candidate, known.candidate
    return one is None or other is None or not different_people(one, other)


def different_people(one: Candidate, other: Candidate) -> bool:
    """Whether two names are clearly those of two persons; a maiden name, an initial or a missing part are not."""
    mine, theirs = _names(f"{one.given} {one.surname}"), _names(f"{other.given} {other.surname}")
    if mine <= theirs or theirs <= mine:
        return False
    if _names(one.given) & _names(other.given):
        return False
    return not any(
        (len(short) == 1 and long.startswith(short)) or (len(long) == 1 and short.startswith(long))
        for short in mine - theirs
        for long in theirs - mine
    )


def _names(text: str) -> frozenset[str]:
    folded = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(char if char.isalnum() else " " for char in folded if not unicodedata.combining(char))
    return frozenset(plain.split())


def _same_post(reading: Reading, known: Earlier) -> bool:
    """Whether a message from a known address may be about that application: one candidate, two offers, two files."""
    if reading.kind is Kind.APPLICATION:
        return known.offer == reading.offer
    return reading.offer is None or known.offer == reading.offer


def _kind(reading: Reading, earlier: Earlier | None) -> Kind:
    if reading.kind is Kind.APPLICATION and earlier is not None and earlier.by not in ("told", "message"):
        return Kind.FOLLOW_UP
    return reading.kind


def _candidate(reading: Reading, earlier: Earlier | None) -> Candidate | None:
    return earlier.candidate if earlier and earlier.candidate else reading.candidate


def _template(kind: Kind, state: _State, earlier: Earlier | None) -> tuple[ReplyTemplate | None, str | None]:
    """The reply that fits, or the reason why none does."""
    match kind:
        case Kind.WITHDRAWAL:
            return (
                (None, "the withdrawal was acknowledged already")
                if earlier and earlier.withdrawn
                else (
                    ReplyTemplate.WITHDRAWN,
                    None,
                )
            )
        case Kind.APPLICATION if earlier is not None and earlier.by == "message":
            return None, "the same message again: answered already"
        case Kind.APPLICATION if earlier is not None and earlier.replied:
            return None, "answered already"
        case Kind.APPLICATION if state.status is Status.DOUBT:
            return None, "a document that was not recognised may be the missing piece: a person must look first"
        case Kind.APPLICATION if state.timing is Timing.LATE:
            return ReplyTemplate.LATE, None
        case Kind.APPLICATION if state.status is Status.INCOMPLETE:
            return ReplyTemplate.INCOMPLETE, None
        case Kind.APPLICATION:
            return ReplyTemplate.COMPLETE, None
        case Kind.FOLLOW_UP:
            return _follow_up_template(state, earlier)
        case _:
            return None, _UNANSWERED[kind]


def _follow_up_template(state: _State, earlier: Earlier | None) -> tuple[ReplyTemplate | None, str | None]:
    if earlier is None:
        return None, "a follow-up of an application that is not known here: a person must look"
    if earlier.withdrawn:
        return None, "the application was withdrawn: a person must look"
    if earlier.staff_placed:
        return None, "staff placed the application themselves: a person answers"
    if earlier.timing is Timing.LATE:
        return None, "the application is late: a person answers"
    if state.refused:
        return None, "a piece after the deadline, refused by the offer's rule: a person answers"
    if earlier.status is Status.COMPLETE or not state.brought:
        return None, "nothing changed in the state of the application"
    match state.status:
        case Status.COMPLETE:
            return ReplyTemplate.COMPLETED, None
        case Status.INCOMPLETE:
            return ReplyTemplate.STILL_INCOMPLETE, None
        case _:
            return None, "a document that was not recognised may be the missing piece: a person must look first"


def _silence(reading: Reading, received_at: datetime, history: History, policy: Policy, *, asked: bool) -> str | None:
    """Why nobody may be answered whatever the reply would be (RFC 3834, design section 5); `asked` by a person."""
    address = reading.candidate.address if reading.candidate else None
    if reading.never_answer:
        return reading.never_answer
    if address is None:
        return "no address of the candidate is certain"
    if policy.staff.includes(address) or address in policy.own_addresses:
        return "the address is one of ours"
    if asked:
        return None
    if policy.answer_since is not None and received_at < policy.answer_since:
        return "older than the installation"
    if failed_authentication(reading.authentication, policy.trusted_authserv_id):
        return "the trusted server's DMARC check failed: the sender may be forged"
    if history.replies_to_address_today >= policy.per_address_per_day:
        return "the address has had its replies for today"
    if history.stopped or history.replies_last_hour >= policy.per_hour or history.replies_today >= policy.per_day:
        return IMPLAUSIBLE
    return None


def failed_authentication(results: tuple[str, ...], trusted: str | None) -> bool:
    """Whether the trusted server (RFC 8601 authserv-id) says dmarc=fail. Others' headers prove nothing."""
    if trusted is None:
        return False
    for value in results:
        authserv_id, _, methods = value.partition(";")
        words = authserv_id.split()
        if words and words[0].lower() == trusted.lower():
            # The topmost is the one our own server wrote; below it anybody may have written the same name.
            return re.search(r"\bdmarc\s*=\s*(fail|permerror)\b", methods, re.IGNORECASE) is not None
    return False


def _reply(
    reading: Reading, template: ReplyTemplate, offer: Offer | None, policy: Policy, *, asked: bool
) -> tuple[Reply | None, str | None]:
    modes = dict(offer.reply_modes) if offer else {}
    mode = ReplyMode(modes.get(template, modes.get("*", policy.mode)))
    if mode is ReplyMode.OFF and asked:
        mode = ReplyMode.DRAFT
    if mode is ReplyMode.OFF:
        return None, "replies are switched off"
    if reading.candidate is None or reading.candidate.address is None:
        return None, "no address of the candidate is certain"
    references = tuple(dict.fromkeys((*reading.thread, *((reading.message_id,) if reading.message_id else ()))))
    return (
        Reply(
            template=template,
            to=reading.candidate.address,
            subject=reply_subject(reading.subject, reading.language),
            language=reading.language,
            in_reply_to=reading.message_id,
            references=references,
            mode=mode,
        ),
        None,
    )


def _folder(kind: Kind, state: _State, earlier: Earlier | None, offer: str | None, target: str) -> str | None:
    if kind is Kind.DOUBT or (kind is Kind.APPLICATION and state.status is Status.DOUBT and earlier is None):
        return f"{target}/{DOUBT_FOLDER}"
    if kind not in FILED_KINDS:
        return None
    if earlier and (earlier.staff_placed or kind is Kind.WITHDRAWAL or earlier.by == "message"):
        return earlier.folder
    return f"{target}/{offer or SPONTANEOUS_FOLDER}/{state_folder(state.timing, state.status)}"


def state_folder(timing: Timing | None, status: Status | None) -> str:
    """Which of an offer's three folders: lateness first."""
    if timing is Timing.LATE:
        return LATE_FOLDER
    return COMPLETE_FOLDER if status is Status.COMPLETE else INCOMPLETE_FOLDER
