"""Message × extracts × offers × rules → Reading: what kind of message this is, for which offer, from whom, and why.

A forward by staff is judged by the message inside it, a job board's by the candidate whom it names. Reasons are
French: staff read them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inbox_agent import guards, second_look, verdict
from inbox_agent.answers import answers_digest, commands_in
from inbox_agent.application import Candidate, DocumentState, Evidence, Kind, Reading
from inbox_agent.extract import language_of
from inbox_agent.offer_choice import Choice, choose, names_one
from inbox_agent.person import (
    PersonName,
    Traces,
    addresses_written,
    at_the_end,
    candidate_of,
    child_of,
    name_of,
    name_on_paper,
    passed_on,
    words_of_file,
)
from inbox_agent.phrases import fold
from inbox_agent.pieces import (
    BODY_PART,
    as_announced,
    candidates_part,
    letter_as_announced,
    letter_in_body,
    pieces_of,
    without_other_letters,
)
from inbox_agent.quoting import Forwarded, Written, take_apart
from inbox_agent.recipients import addressed
from inbox_agent.rules import Place, Speaks
from inbox_agent.sight import Sight, bare_subject, find_hits, is_forward_prefix, is_from, is_public, see
from inbox_agent.verdict import Verdict

if TYPE_CHECKING:
    from inbox_agent.extract import Extract
    from inbox_agent.message import Address, Message
    from inbox_agent.offer import Offer, Staff
    from inbox_agent.rules import Rules

_EVIDENCE_SHOWN = 14
_A_SENTENCE = 5  # words above a forwarded message; fewer only pass it on.
_FEW_WORDS = 25  # of who passes on what had been passed on to him.
_HEAD = 600  # characters at the head of a CV, where its owner's name stands.
_SIGNED = 60  # characters at the end of a text, where people sign.
_UNREAD = ("MIME structure unreadable", "cut after", "header section cut")  # of parse.py
_SECOND_LETTER = 150  # words: a shorter body beside an attached letter goes with it.
_REPORTS = ("message/delivery-status", "message/disposition-notification", "message/feedback-report")
_PERSONAL = frozenset({Kind.APPLICATION, Kind.FOLLOW_UP, Kind.WITHDRAWAL, Kind.ENQUIRY, Kind.DOUBT})
_FOR_AN_OFFER = frozenset({Kind.APPLICATION, Kind.FOLLOW_UP, Kind.WITHDRAWAL, Kind.ENQUIRY, Kind.DOUBT})


@dataclass(frozen=True, slots=True)
class _Case:
    """Everything that the judging of one message needs; `inner` is the message inside a forward."""

    message: Message
    extracts: tuple[Extract, ...]
    offers: tuple[Offer, ...]
    rules: Rules
    staff: Staff
    written: Written
    inner: Message | None
    body: Written

    @property
    def text(self) -> str:
        """The words that count, without what they quote."""
        return self.body.own

    @property
    def judged(self) -> Message:
        """The message whose words count."""
        return self.inner or self.message


def recognise(
    message: Message, extracts: tuple[Extract, ...], offers: tuple[Offer, ...], rules: Rules, staff: Staff
) -> Reading:
    """The reading of one message. Pure; the octets were read before."""
    case = _case(_without_list(message, staff), extracts, offers, rules, staff)
    sight = _sight(case)
    found = _verdict(case, sight)
    choice = _choice(case, sight, found)
    found = _damaged(case, _doubtful_offer(found, choice))
    candidate = _candidate(case, sight, found) if found.kind in _PERSONAL else None
    return Reading(
        sha256=message.sha256,
        size=message.size,
        fingerprint=_fingerprint(case, sight),
        kind=found.kind,
        offer=choice.offer.id if choice.offer is not None else None,
        candidate=candidate,
        sender=message.from_[0].addr_spec if message.from_ and "@" in message.from_[0].addr_spec else None,
        subject=message.subject,
        message_id=message.message_id,
        thread=tuple(dict.fromkeys((*message.references, *message.in_reply_to))),
        language=_language(case, sight),
        received=message.received[0] if message.received else None,
        date=message.date,
        documents=tuple(piece.document for piece in sight.pieces),
        evidence=_evidence(sight, found, choice),
        never_answer=_never_answer(case, found, candidate),
        authentication=message.all_headers("authentication-results"),
        bounced=_bounced(message) if found.kind is Kind.AUTOMATIC else None,
        doubt=found.doubt,
        notes=_notes(case, sight, found, choice),
        links=sight.links,
        likely=choice.likely,
        answers=commands_in(case.written.own) if answers_digest((*message.references, *message.in_reply_to)) else (),
    )


def candidates_words(message: Message, staff: Staff) -> str:
    """The body as a letter would be filed: what the candidate wrote, without quotes, also from inside a forward."""
    written = take_apart(message.text)
    inner = _inner(message, written, staff)
    return written.own if inner is None else take_apart(inner.text).own


def _without_list(message: Message, staff: Staff) -> Message:
    """The message as its sender sent it, where a list of ours put itself in From ("Jeanne Dupont via Contact")."""
    sender = next(iter(message.from_), None)
    writers = [one for one in message.reply_to if "@" in one.addr_spec and not staff.includes(one.addr_spec)]
    if sender is None or not staff.includes(sender.addr_spec) or len(writers) != 1 or " via " not in sender.name:
        return message
    name = writers[0].name or sender.name.partition(" via ")[0].strip(" '\"")
    return dataclasses.replace(message, from_=(dataclasses.replace(writers[0], name=name),), sender=None)


# --- What is judged -------------------------------------------------------------------------------------------


def _case(
    message: Message, extracts: tuple[Extract, ...], offers: tuple[Offer, ...], rules: Rules, staff: Staff
) -> _Case:
    written = take_apart(message.text)
    inner = _inner(message, written, staff)
    if inner is not None and (
        _speaks_for_himself(message, written, rules, staff) or _brings_his_own(message, extracts, rules, staff)
    ):
        inner = None
    body = written if inner is None else take_apart(inner.text)
    return _Case(message, extracts, offers, rules, staff, written, inner, body)


_OF_ONESELF = ("applies", "encloses_papers", "asks_about_post", "chaser", "later", "withdraws", "internship")
_OF_ANOTHER = ("somebody_else", "adviser_transmits", "acquaintance", "relative", "circulate_offer", "agency")


def _speaks_for_himself(message: Message, written: Written, rules: Rules, staff: Staff) -> bool:
    """Whether what is passed on, mostly our own offer, only goes with the sender's question or application."""
    if any(staff.includes(address.addr_spec) for address in message.from_) or len(written.own.split()) < _A_SENTENCE:
        return False
    hits = find_hits(rules.recognition, [(Place.BODY, written.own)])
    return any(cue in hits for cue in _OF_ONESELF) and not any(cue in hits for cue in _OF_ANOTHER)


def _brings_his_own(message: Message, extracts: tuple[Extract, ...], rules: Rules, staff: Staff) -> bool:
    """Whether who passes on a text, such as our offer that a friend had sent, attaches papers with his own name."""
    sender = next(iter(message.from_), None)
    if sender is None or message.enclosed or staff.includes(sender.addr_spec):
        return False
    writer = name_of(sender.name, sender.addr_spec, rules.recognition.lists["no_names"])
    return writer is not None and any(_is_of(extract.text, writer) for extract in extracts if extract.text)


def _inner(message: Message, written: Written, staff: Staff) -> Message | None:
    """The message that somebody passes on: attached, or below the text. None where the sender speaks for himself."""
    if message.media_type == "multipart/report":
        return None
    by_staff = any(staff.includes(address.addr_spec) for address in message.from_)
    sender = message.from_[0].addr_spec if message.from_ else ""
    for enclosed in message.enclosed:
        from_ = enclosed.from_[0].addr_spec if enclosed.from_ else ""
        if from_ and not staff.includes(from_) and (by_staff or from_ != sender):
            return enclosed
        if from_ and staff.includes(from_) and by_staff:
            deeper = _inner(enclosed, take_apart(enclosed.text), staff)
            if deeper is not None:
                return deeper
    below = written.below
    if below is None or below.from_ is None:
        return None
    _, prefixes = bare_subject(message.subject)
    among_us = by_staff and message.attachments and all(staff.includes(one.addr_spec) for one in message.to)
    forwards = (
        written.announced or is_forward_prefix(prefixes) or (among_us and not staff.includes(below.from_.addr_spec))
    )
    if not forwards or _is_sender(message, below.from_):
        return None
    return _from_below(message, below, staff)


def _is_sender(message: Message, address: Address) -> bool:
    """Whether that is the sender again, by address, or by name where the address was left out."""
    if any(one.addr_spec == address.addr_spec for one in message.from_):
        return True
    names = {fold(one.name) for one in message.from_ if one.name}
    return not address.addr_spec and fold(address.name) in names


def _from_below(message: Message, below: Forwarded, staff: Staff) -> Message | None:
    """The forwarded text as a message, with the outer one's attachments; staff's own forwards are looked through."""
    assert below.from_ is not None  # noqa: S101 the caller has looked
    if staff.includes(below.from_.addr_spec):
        deeper = take_apart(below.whole)
        return _from_below(message, deeper.below, staff) if deeper.below and deeper.below.from_ else None
    further = _passed_on_again(below)
    if further is not None:
        return _from_below(message, further, staff)
    return dataclasses.replace(
        message,
        from_=(below.from_,),
        sender=None,
        reply_to=(),
        to=below.to,
        cc=below.cc,
        bcc=(),
        subject=below.subject or bare_subject(message.subject)[0],
        in_reply_to=(),
        references=(),
        text=below.text,
        html=None,
        enclosed=(),
    )


def _passed_on_again(below: Forwarded) -> Forwarded | None:
    """What stands below a text that only passes it on: "Bonjour, reçu ceci. Bon week-end."."""
    deeper = take_apart(below.whole)
    _, prefixes = bare_subject(below.subject or "")
    forwards = deeper.announced or is_forward_prefix(prefixes)
    few = len(deeper.own.split()) < _FEW_WORDS
    return deeper.below if forwards and few and deeper.below is not None and deeper.below.from_ is not None else None


def _sight(case: _Case) -> Sight:
    forwarded = case.inner is not None
    text = case.text
    if not forwarded and case.written.below is not None and _own_again(case):
        text = f"{text}\n\n{case.written.below.text}"
    said = f"{case.judged.subject}\n{text}"
    found = pieces_of(case.extracts, case.rules.documents, forwarded=forwarded)
    pieces = letter_as_announced(without_other_letters(found, said), said)
    letter = candidates_part(text) if _writes_for_others(case) else text
    body = letter_in_body(letter, case.rules.documents, forwarded=forwarded, beside=pieces, subject=case.judged.subject)
    if body is not None and body.is_cv and guards.machine_header(case.message) is not None:
        body = None  # The dates of a delivery report are no career.
    if body is not None and any(piece.is_letter for piece in pieces) and len(text.split()) < _SECOND_LETTER:
        body = None
    if body is not None:
        pieces = (*pieces, body)
    pieces = as_announced(pieces, said)
    recognition = case.rules.recognition
    to_us = addressed(case.judged, case.offers, case.staff, weights=recognition.weights)
    sight = see(case.judged, dataclasses.replace(case.body, own=text), pieces, to_us, recognition)
    is_own = _names_the_writer(case, sight)
    named = names_one(sight.subject, sight.own, case.offers, recognition)
    sight = dataclasses.replace(
        sight,
        names_offer=named,
        own_cv=is_own is True,
        others_cv=is_own is False,
        several_owners=_several_owners(case, sight),
    )
    passes_on = is_own is False and bool(sight.cvs)  # Who does writes no letter of hers.
    if body is not None and not body.is_cv and (passes_on or verdict.body_is_no_letter(sight)):
        sight = dataclasses.replace(sight, pieces=sight.attached)
    service = is_from(case.judged.from_, case.rules.recognition.lists["employment_services"])
    if service is None and case.judged.from_ and _SERVICE.search(fold(case.judged.from_[0].name)):
        service = case.judged.from_[0].name
    if service is not None:
        sight = dataclasses.replace(sight, notes=(*sight.notes, f"service de l’emploi ({service})"))
    return sight


_SERVICE = re.compile(r"\b(?:mission locale|france travail|pole emploi|cap emploi|plie|maison de l.emploi|e2c)\b")


def _writes_for_others(case: _Case) -> bool:
    """Whether a site or a machine wrote the message."""
    lists = case.rules.recognition.lists
    boards = lists["job_boards"] - lists["employment_services"]
    return is_from(case.judged.from_, boards) is not None or any(
        _no_reply(address, lists["no_reply_names"]) for address in case.judged.from_
    )


def _names_the_writer(case: _Case, sight: Sight) -> bool | None:
    """True where the CVs bear the sender's first name, False where nothing names their owners, None in between."""
    no_names = case.rules.recognition.lists["no_names"]
    papers = [piece for piece in sight.cvs if not piece.by_name and piece.document.part != BODY_PART]
    sender = next(iter(case.judged.from_), None)
    writer = name_of(sender.name, sender.addr_spec, no_names) if sender is not None else None
    if not papers or sender is None or writer is None:
        return None
    ours = [name_of(one.name, one.addr_spec, no_names) for one in case.message.to if case.staff.includes(one.addr_spec)]
    if any(_is_of(piece.text, one) for piece in papers for one in ours if one is not None):
        return False
    if all(_is_of(piece.text, writer) or _signed_by(piece.text, writer, sender.addr_spec) for piece in papers):
        return True
    if not is_public(sender.domain) and not any(_bears(piece.text, writer) for piece in papers):
        return False
    owners = [name_on_paper(piece.text, no_names) for piece in papers]
    found = [owner for owner in owners if owner is not None]
    shown = fold(f"{sender.name} {sender.addr_spec}")
    if len(found) < len(owners):
        return None
    if all(any(part in shown for part in fold(owner.given).split()) for owner in found):
        return True
    shown += fold(f"{case.text[-_SIGNED:]} {case.body.signature}")
    words = [word for owner in found for word in owner.folded if len(word) > 2]  # noqa: PLR2004 initials are in any text
    return None if any(word in shown for word in words) else False


def _is_of(text: str, person: PersonName) -> bool:
    """Whether that name stands at the head of a paper."""
    return person.folded <= set(re.findall(r"[a-z]+", fold(text[:_HEAD])))


def _signed_by(text: str, writer: PersonName, addr_spec: str) -> bool:
    """Whether a paper bears that address, or the whole name somewhere, as in a column that is read last."""
    plain = fold(text[:12_000])
    if is_public(addr_spec.partition("@")[2]) and addr_spec in plain:
        return True
    given, surname = fold(writer.given), fold(writer.surname)
    return bool(given and surname) and re.search(rf"\b{re.escape(given)}\s+{re.escape(surname)}\b", plain) is not None


def _bears(text: str, writer: PersonName) -> bool:
    """Whether a paper shows any word of that name."""
    words = set(re.findall(r"[a-z]+", fold(text[:4000])))
    return any(part in words for part in writer.folded if len(part) > 2)  # noqa: PLR2004 initials


_TWO_PEOPLE = re.compile(r"\w (?:et|and|&) \w", re.IGNORECASE)


def _several_owners(case: _Case, sight: Sight) -> bool:
    """Whether two CVs are of two people, by the names on them, or in the names of the files."""
    no_names = case.rules.recognition.lists["no_names"]
    if len(sight.cvs) > 1 and any(_TWO_PEOPLE.search(address.name) for address in case.judged.from_[:1]):
        return True
    owners = []
    for piece in sight.cvs[:4]:
        found = None if piece.by_name else name_on_paper(piece.text, no_names)
        words = found.folded if found is not None else frozenset()
        if piece.by_name:
            words = words_of_file(piece.document.name, no_names)
        if words:
            owners.append(words)
    return any(not one & other for at, one in enumerate(owners) for other in owners[at + 1 :])


def _own_again(case: _Case) -> bool:
    """Whether what stands below is the sender's own earlier mail, sent again ("je vous renvoie ma candidature")."""
    below = case.written.below
    _, prefixes = bare_subject(case.message.subject)
    if below is None or below.from_ is None or not (case.written.announced or is_forward_prefix(prefixes)):
        return False
    return _is_sender(case.message, below.from_)


# --- The verdict ----------------------------------------------------------------------------------------------


def _verdict(case: _Case, sight: Sight) -> Verdict:
    return (
        _report(case)
        or _calendar(case, sight)
        or _transfer(case, sight)
        or _job_board(case, sight)
        or _machine(case, sight)
        or _bulk(case, sight)
        or _staff(case, sight)
        or _person(case, sight)
    )


def _report(case: _Case) -> Verdict | None:
    weights = case.rules.recognition.weights
    message = case.message
    if message.media_type == "multipart/report" or any(
        attachment.media_type in _REPORTS for attachment in message.attachments
    ):
        shown = Evidence("delivery_report", f"rapport de remise ({message.media_type})", -weights["delivery_report"])
        return Verdict(Kind.AUTOMATIC, ("delivery_report",), evidence=(shown,))
    return None


def _calendar(case: _Case, sight: Sight) -> Verdict | None:
    message = case.message
    has = message.media_type == "text/calendar" or any(
        attachment.media_type in ("text/calendar", "application/ics") for attachment in message.attachments
    )
    if not has or sight.papers:
        return None
    shown = Evidence("calendar", "invitation ou réponse d’agenda", -case.rules.recognition.weights["calendar"])
    return Verdict(Kind.AUTOMATIC, ("calendar",), evidence=(shown,))


def _transfer_service(case: _Case) -> str | None:
    return is_from(case.judged.from_, case.rules.recognition.lists["transfer_services"])


def _transfer(case: _Case, sight: Sight) -> Verdict | None:
    """A service that keeps files for others announces some: it relays a candidate's words, as a job board does."""
    service = _transfer_service(case)
    if service is None:
        return None
    shown = (Evidence("cloud_link", f"service de transfert : {service}", case.rules.recognition.weights["cloud_link"]),)
    if sight.has("transfer_receipt") or not sight.has(
        "lists_papers", "encloses_papers", "applies", "subject_application"
    ):
        return Verdict(Kind.AUTOMATIC, ("transfer_receipt",), evidence=shown)
    note = ("reçue par un service de transfert : pièces à télécharger par une personne",)
    because = ("lists_papers", "encloses_papers", "applies")
    return Verdict(Kind.APPLICATION, because, evidence=shown, notes=note, third_party=True)


def _job_board(case: _Case, sight: Sight) -> Verdict | None:
    """A site that passes on an application in its own name."""
    message, recognition = case.judged, case.rules.recognition
    board = is_from(message.from_, recognition.lists["job_boards"])
    by_machine = guards.machine_header(message) is not None or any(
        _no_reply(address, recognition.lists["no_reply_names"]) or guards.is_system_name(address.addr_spec)
        for address in message.from_
    )
    relayed = board is not None or by_machine or (sight.institution and sight.has("somebody_applied"))
    if not relayed or any(case.staff.includes(address.addr_spec) for address in message.from_):
        return None
    weight = recognition.weights["job_board_sender"]
    shown = (Evidence("job_board_sender", f"site d’emploi : {board}", weight),) if board else ()
    if sight.in_subject("money") and not sight.papers and not sight.has("receipt", "out_of_office"):
        return Verdict(Kind.OTHER, ("money",), evidence=shown)
    if (
        sight.has("somebody_wrote")
        and not sight.cvs
        and sight.has("asks_about_post", "applies", "encloses_papers", "mentions_post")
    ):
        return dataclasses.replace(
            verdict.doubt("un site transmet les mots d’une personne, qu’il faut aller y lire", "somebody_wrote"),
            evidence=shown,
        )
    if sight.has("board_passes_on"):
        return _passed_on_by_board(case, sight, shown)
    if sight.cvs and (board or sight.has("applies", "encloses_papers", "subject_application")):
        return Verdict(Kind.APPLICATION, ("cv", "job_board_sender"), evidence=shown, third_party=board is not None)
    if board and sight.has("newsletter", "advert"):
        return Verdict(Kind.BULK, ("newsletter", "advert"), evidence=shown)
    if board and is_from(message.from_, recognition.lists["employment_services"]) is None:
        return Verdict(Kind.AUTOMATIC, ("job_board_sender", "receipt"), evidence=shown)
    return None


def _passed_on_by_board(case: _Case, sight: Sight, shown: tuple[Evidence, ...]) -> Verdict | None:
    because = ("board_passes_on", "job_board_sender", "cv")
    named = _named_inside(case) is not None
    if sight.papers or named:
        note = ("reçue par un site d’emploi",)
        return Verdict(Kind.APPLICATION, because, evidence=shown, notes=note, third_party=True)
    if sight.in_subject("somebody_applied"):
        return dataclasses.replace(
            verdict.doubt("un site annonce une candidature qu’il faut aller y chercher", *because), evidence=shown
        )
    if sight.has("newsletter", "advert"):
        return Verdict(Kind.BULK, ("newsletter", "advert"), evidence=shown)
    if sight.in_subject("receipt") and fold(sight.subject).startswith(_OF_OUR_OFFER):
        return Verdict(Kind.AUTOMATIC, ("receipt",), evidence=shown)
    if shown:
        return dataclasses.replace(
            verdict.doubt("un site d’emploi annonce une candidature qu’il faut aller y chercher", *because),
            evidence=shown,
        )
    return None


_OF_OUR_OFFER = ("votre offre", "votre annonce")  # What became of it; the applications that it may bring are to come.


def _no_reply(address: Address, names: frozenset[str]) -> bool:
    return any(name in address.addr_spec.partition("@")[0] for name in names)


def _machine(case: _Case, sight: Sight) -> Verdict | None:
    """Headers of automatic mail: a verdict, unless somebody's papers come with them."""
    message = case.message
    field = guards.machine_header(message)
    ours = any(case.staff.includes(address.addr_spec) for address in message.from_)
    sender = next((a.addr_spec for a in message.from_ if guards.is_system_name(a.addr_spec) and not ours), None)
    if field is None and sender is None:
        return None
    weights = case.rules.recognition.weights
    if field is not None:
        shown = Evidence("automatic_header", field, -weights["automatic_header"])
    else:
        shown = Evidence("no_reply_sender", f"From: {sender}", -weights["no_reply_sender"])
    if case.inner is not None and any(case.staff.includes(address.addr_spec) for address in message.from_):
        return None
    if sight.cvs or (sight.papers and verdict.first_person(sight) >= verdict.FAIR):
        return Verdict(Kind.APPLICATION, ("cv", "letter", "applies"), evidence=(shown,))
    replied = field is not None and field.startswith("Auto-Submitted: auto-replied")
    to_many = sight.has("newsletter") or guards.bulk_header(message) is not None
    if not replied and to_many and not _notifies(sight, field):
        return Verdict(Kind.BULK, ("newsletter", "advert"), evidence=(shown,))
    if field is not None and field.startswith("X-Auto-Response-Suppress"):
        return None
    if verdict.first_person(sight) >= verdict.STRONG + verdict.WEAK and sight.has("applies"):
        return verdict.doubt("les mots d’une candidature, mais un envoi automatique", "automatic_header", "applies")
    return Verdict(
        Kind.AUTOMATIC, ("automatic_header", "receipt", "out_of_office", "delivery_failure"), evidence=(shown,)
    )


def _notifies(sight: Sight, field: str | None) -> bool:
    """Whether a program made it for this one reader: what happened, not what is advertised."""
    made = field is not None and field.startswith("Auto-Submitted")
    advertises = sight.has("advert") or sight.in_subject("newsletter")
    return made and not advertises and ("newsletter" not in sight.hits or sight.hits["newsletter"].count == 1)


def _bulk(case: _Case, sight: Sight) -> Verdict | None:
    field = guards.bulk_header(case.message)
    if field is None or any(domain in field for domain in case.staff.domains):
        return None
    shown = Evidence("bulk_header", field, -case.rules.recognition.weights["bulk_header"])
    if sight.cvs and verdict.first_person(sight) >= verdict.WEAK and not sight.has("agency", "circulate_offer"):
        return Verdict(Kind.APPLICATION, ("cv", "letter", "applies"), evidence=(shown,))
    if sight.in_subject("out_of_office") and not sight.has("newsletter", "advert"):
        # A program that answers for who is away: many write "Precedence: bulk", so that nobody answers them.
        return Verdict(Kind.AUTOMATIC, ("out_of_office",), evidence=(shown,))
    return Verdict(Kind.BULK, ("bulk_header", "newsletter", "advert"), evidence=(shown,))


def _staff(case: _Case, sight: Sight) -> Verdict | None:
    """Our own people: what they pass on is judged by what is inside, the rest is theirs."""
    sender = next((a.addr_spec for a in case.message.from_ if case.staff.includes(a.addr_spec)), None)
    if sender is None:
        return None
    weight = -case.rules.recognition.weights["staff_sender"]
    shown = (Evidence("staff_sender", f"From: {sender}", weight),)
    local = re.split(r"[.\-_+\d@]", sender)[0]
    if local in _FORMS and case.inner is None:
        return _by_our_form(case, sight, shown)
    if local in _COPIERS and (sight.papers or sight.attached):
        return dataclasses.replace(
            verdict.doubt("un document numérisé par un de nos appareils : une candidature sur papier ?", "cv"),
            evidence=shown,
        )
    if case.inner is not None:
        inside = _judged(case, sight)
        if inside.kind in (Kind.APPLICATION, Kind.FOLLOW_UP, Kind.WITHDRAWAL, Kind.DOUBT):
            notes = (*inside.notes, "transférée par l’équipe")
            return dataclasses.replace(
                inside, notes=notes, evidence=(Evidence("forwarded_by", f"transféré par {sender}", 1.0),)
            )
        return Verdict(Kind.INTERNAL, ("staff_sender",), evidence=shown)
    if sight.has("received_on_paper") and (sight.papers or sight.attached):
        return Verdict(
            Kind.APPLICATION,
            ("received_on_paper", "cv"),
            evidence=shown,
            notes=("reçue sur papier ou en main propre, numérisée",),
            third_party=True,
        )
    says_so = verdict.declares(sight, "applies") and sight.has("encloses_papers", "subject_application")
    applies = sight.cvs and not sight.answers and (says_so or (sight.own_cv and sight.letters))
    if applies and not sight.has("somebody_else"):
        return dataclasses.replace(
            verdict.doubt("un membre de l’équipe semble postuler lui-même", "applies", "cv"), evidence=shown
        )
    if sight.cvs and len(sight.own.split()) < 3 and not sight.answers:  # noqa: PLR2004 a scanner's mail, or none but the file
        return dataclasses.replace(
            verdict.doubt("un CV envoyé depuis une de nos adresses, sans un mot", "cv"), evidence=shown
        )
    return Verdict(Kind.INTERNAL, ("staff_sender",), evidence=shown)


# Before the @ of our own web site's forms, and of our copiers.
_FORMS = frozenset(
    {"wordpress", "formulaire", "form", "contactform", "site", "web", "www", "webmaster", "noreply", "no"}
)
_COPIERS = frozenset(
    {
        "copieur",
        "copier",
        "scanner",
        "scan",
        "scans",
        "ricoh",
        "canon",
        "xerox",
        "konica",
        "kyocera",
        "imprimante",
        "mfp",
    }
    | {"multifonction", "numerisation", "photocopieur", "printer"}
)


def _by_our_form(case: _Case, sight: Sight, shown: tuple[Evidence, ...]) -> Verdict:
    """What somebody wrote into a form of our web site."""
    inside = _judged(case, dataclasses.replace(sight, institution=False, private_sender=True))
    if inside.kind not in _PERSONAL:
        return Verdict(Kind.INTERNAL, ("staff_sender",), evidence=shown)
    notes = (*inside.notes, "reçue par un formulaire de notre site")
    return dataclasses.replace(inside, evidence=(*inside.evidence, *shown), notes=notes, third_party=True)


def _judged(case: _Case, sight: Sight) -> Verdict:
    """What a person's words are, by the rules and by the second look."""
    return second_look.reconsider(verdict.of_a_person(sight), sight, case.rules.second_look)


def _person(case: _Case, sight: Sight) -> Verdict:
    found = _judged(case, sight)
    if case.inner is None or found.kind is not Kind.APPLICATION:
        return found
    by = case.message.from_[0].addr_spec if case.message.from_ else "?"
    note = "transmise par un tiers : l’adresse du candidat est à vérifier"
    return dataclasses.replace(
        found,
        notes=(*found.notes, note),
        evidence=(*found.evidence, Evidence("forwarded_by", f"transmis par {by}", 0.5)),
    )


# --- The offer ------------------------------------------------------------------------------------------------


def _choice(case: _Case, sight: Sight, found: Verdict) -> Choice:
    if found.kind not in _FOR_AN_OFFER:
        return Choice(None, (), tied=False, evidence=())
    when = case.message.received[0] if case.message.received else case.message.date
    outer = (*case.message.to, *case.message.cc, *case.message.delivered_to)
    judged = dataclasses.replace(sight.message, delivered_to=(*sight.message.delivered_to, *outer, *case.message.from_))
    first = found.kind in (Kind.APPLICATION, Kind.DOUBT)
    told = dataclasses.replace(sight, message=judged)
    return choose(told, case.offers, case.rules.recognition, when.date() if when else None, first=first)


def _damaged(case: _Case, found: Verdict) -> Verdict:
    """What is no application as far as it could be read, but was not read whole, is for a person."""
    if found.kind is not Kind.OTHER:
        return found
    message = case.message
    if not message.from_ and not message.subject and message.message_id is None:
        return dataclasses.replace(found, kind=Kind.DOUBT, doubt="ni expéditeur, ni objet : ce n’est guère un message")
    if not any(defect.startswith(_UNREAD) for defect in message.defects):
        return found
    return dataclasses.replace(found, kind=Kind.DOUBT, doubt="message abîmé : des pièces ont pu échapper à la lecture")


def _doubtful_offer(found: Verdict, choice: Choice) -> Verdict:
    if found.kind is not Kind.APPLICATION or not choice.tied:
        return found
    return dataclasses.replace(found, kind=Kind.DOUBT, doubt="rien ne dit à laquelle des offres la candidature répond")


# --- The candidate --------------------------------------------------------------------------------------------


def _candidate(case: _Case, sight: Sight, found: Verdict) -> Candidate | None:
    message = case.judged
    no_names = case.rules.recognition.lists["no_names"]
    sender = _sender(case, message)
    papers = list(sight.cvs) + [
        piece for piece in sight.letters if not piece.is_cv and piece.document.part != BODY_PART
    ]
    traces = Traces(
        sender=sender,
        text=f"{case.text}\n{case.written.signature if case.inner is None else ''}",
        papers=tuple(piece.text for piece in papers),
        file_names=tuple(piece.document.name for piece in papers),
        no_names=no_names,
    )
    address = _address(case, sight, found, sender)
    named = _named_inside(case) if sender is None or found.third_party else None
    if named is None and found.third_party and not papers and sight.has("relative") and sender is not None:
        named = child_of(case.text, name_of(sender.name, sender.addr_spec, no_names))
    if named is not None:
        return Candidate(name=named.full, given=named.given, surname=named.surname, address=address)
    if found.kind is Kind.DOUBT and sender is None and not papers:
        return None
    relayed = _transfer_service(case) is not None and not papers
    return candidate_of(traces, address, papers_first=(found.third_party or sender is None) and not relayed)


def _sender(case: _Case, message: Message) -> Address | None:
    """The person who writes: From, or Reply-To where From is a machine's; never staff, never a site.

    Of "Jeanne Dupont via Indeed" only the name is hers.
    """
    boards = case.rules.recognition.lists["job_boards"] | case.rules.recognition.lists["transfer_services"]
    through: Address | None = None
    for address in (*message.from_, *message.reply_to):
        if case.staff.includes(address.addr_spec):
            continue
        if re.split(r"[.\-_+\d@]", address.addr_spec)[0] in _COPIERS:
            continue  # Whose papers it read it does not say.
        if guards.is_system_name(address.addr_spec) or is_from((address,), boards) is not None:
            if " via " in address.name:
                through = dataclasses.replace(address, addr_spec="")
            continue
        if through is not None:
            return dataclasses.replace(address, name=address.name or through.name)
        return _where_he_reads(case, address, message)
    return through


def _where_he_reads(case: _Case, sender: Address, message: Message) -> Address:
    """The sender at the address that he names in Reply-To, as RFC 5322 3.6.2 has it; not that of a site or of ours."""
    others = [address for address in message.reply_to if address.addr_spec != sender.addr_spec]
    if len(others) != 1 or not _may_be_a_candidate(case, others[0].addr_spec):
        return sender
    return dataclasses.replace(sender, addr_spec=others[0].addr_spec)


def _address(case: _Case, sight: Sight, found: Verdict, sender: Address | None) -> str | None:
    """Where a reply may go: the sender, or the candidate's own address in the papers or the text."""
    inside = [piece.text for piece in sight.cvs] + [piece.text for piece in sight.letters]
    texts = (case.text, *inside[:3], case.judged.subject) if sender is None else (*inside[:3], case.text)
    written = [spec for text in texts for spec in addresses_written(text) if _may_be_a_candidate(case, spec)]
    if sender is None or not sender.addr_spec or found.third_party:
        if sender is not None and sender.addr_spec and _through_reply_to(case, sender):
            return sender.addr_spec
        adviser = sender.addr_spec if sender is not None else ""
        own = [spec for spec in written if spec != adviser]
        if own:
            return own[0]
        if sender is not None and sender.addr_spec and sight.has("relative"):
            return sender.addr_spec
        return next((spec for text in texts for spec in addresses_written(text) if _is_relay(case, spec)), None)
    return sender.addr_spec


def _through_reply_to(case: _Case, sender: Address) -> bool:
    replies = {address.addr_spec for address in case.judged.reply_to}
    return sender.addr_spec in replies - {address.addr_spec for address in case.judged.from_}


def _may_be_a_candidate(case: _Case, spec: str) -> bool:
    domain = spec.rpartition("@")[2]
    boards = case.rules.recognition.lists["job_boards"] | case.rules.recognition.lists["employment_services"]
    boards |= case.rules.recognition.lists["transfer_services"]
    return not (
        case.staff.includes(spec)
        or any(guards.is_system_name(one.addr_spec) and domain == one.domain for one in case.judged.from_)
        or guards.is_system_name(spec)
        or any(domain == board or domain.endswith("." + board) for board in boards)
    )


def _is_relay(case: _Case, spec: str) -> bool:
    """Whether a site made that address for one candidate, and passes on to her what is sent there."""
    local, _, domain = spec.partition("@")
    lists = case.rules.recognition.lists
    boards = lists["job_boards"] - lists["employment_services"]
    if not any(domain == board or domain.endswith("." + board) for board in boards):
        return False
    if guards.is_system_name(spec) or any(name in local for name in lists["no_reply_names"]):
        return False
    named = _named_inside(case)
    return named is not None and any(len(part) > 2 and part in fold(local) for part in named.folded)  # noqa: PLR2004 initials


def _named_inside(case: _Case) -> PersonName | None:
    no_names = case.rules.recognition.lists["no_names"]
    if _writes_for_others(case) and (named := at_the_end(case.judged.subject, no_names)) is not None:
        return named
    return passed_on(f"{bare_subject(case.judged.subject)[0]}.\n{case.judged.text}", no_names)


# --- The rest of the reading ----------------------------------------------------------------------------------


def _never_answer(case: _Case, found: Verdict, candidate: Candidate | None) -> str | None:
    message = case.message
    reason = guards.never_answer(message, case.staff) or _dangerous(case)
    service = _transfer_service(case)
    if service is not None:
        return reason or f"sent by {service}: the candidate's address is not certain"
    by_staff = any(case.staff.includes(address.addr_spec) for address in message.from_)
    if case.inner is not None:
        if not by_staff:
            return reason or "passed on by somebody who is not staff: the candidate's address is not certain"
        enclosed = case.inner in message.enclosed
        return guards.never_answer(case.inner, case.staff) if enclosed else None
    if reason is None or candidate is None or candidate.address is None:
        return reason
    senders = {address.addr_spec for address in message.from_}
    headers = guards.machine_header(message) or guards.bulk_header(message)
    if found.third_party and headers is None and candidate.address not in senders and not by_staff:
        return None  # The board's own address reads nothing, the candidate's own does.
    return reason


def _dangerous(case: _Case) -> str | None:
    refused = (extract for extract in case.extracts if extract.state is DocumentState.REFUSED)
    if any(note.startswith("programme") for extract in refused for note in extract.notes):
        return "a program is attached"
    return None


def _fingerprint(case: _Case, sight: Sight) -> str:
    message = case.message
    sender = message.from_[0].addr_spec if message.from_ else ""
    digests = {piece.document.part: piece.document.sha256 for piece in sight.pieces}
    known = {id(extract.octets): digests[extract.part] for extract in case.extracts if extract.part in digests}
    attached = "".join(
        known.get(id(attachment.octets)) or hashlib.sha256(attachment.octets).hexdigest()
        for attachment in message.attachments
    )
    inside = "".join(enclosed.sha256 for enclosed in message.enclosed)
    body = f"{message.text}\0{message.html if not message.text else ''}\0{attached}\0{inside}"
    head = (message.message_id, sender) if message.message_id else (sender, message.subject, str(message.date))
    return hashlib.sha256("\0".join((*head, body)).encode("utf-8", "replace")).hexdigest()


def _bounced(message: Message) -> str | None:
    """The Message-ID of the message of ours that a delivery report is about."""
    for enclosed in message.enclosed:
        if enclosed.message_id:
            return enclosed.message_id
    return next(iter((*message.in_reply_to, *message.references[::-1])), None)


def _language(case: _Case, sight: Sight) -> str:
    told = language_of(case.text) if len(case.text.split()) > 5 else None  # noqa: PLR2004 fewer tell nothing
    if told is not None:
        return told
    papers = [language_of(piece.text) for piece in sight.papers]
    return next((language for language in papers if language is not None), language_of(sight.subject) or "fr")


def _evidence(sight: Sight, found: Verdict, choice: Choice) -> tuple[Evidence, ...]:
    """What decided first, then the rest by weight."""
    pieces = [
        Evidence(
            piece.document.kind.value if piece.document.part != BODY_PART else "letter_in_body",
            f"{piece.document.name} : {_PIECE[piece.document.kind.value]}",
            round(_PIECE_WEIGHT[piece.document.kind.value] * (0.75 if piece.by_name else 1.0), 1),
        )
        for piece in sight.pieces
    ]
    words = [
        hit.evidence()
        for name, hit in sight.hits.items()
        if hit.cue.weight and (hit.cue.speaks is not Speaks.FACT or name in found.because)
    ]
    links = [Evidence("cloud_link", link[:80], 1.0) for link in sight.links[:2]]
    everything = [*found.evidence, *pieces, *words, *sight.recipients, *choice.evidence, *links]
    rank = {test: at for at, test in enumerate(found.because)}
    ordered = sorted(everything, key=lambda item: (rank.get(item.test, len(rank)), -abs(item.weight)))
    return tuple(ordered[:_EVIDENCE_SHOWN])


_PIECE = {
    "cv": "un CV",
    "letter": "une lettre de motivation",
    "cv_and_letter": "CV et lettre en un fichier",
    "other": "autre document",
}
_PIECE_WEIGHT = {"cv": 4.0, "letter": 3.0, "cv_and_letter": 5.0, "other": 0.0}


def _notes(case: _Case, sight: Sight, found: Verdict, choice: Choice) -> tuple[str, ...]:
    if found.kind not in _PERSONAL:
        return ()
    notes = [*found.notes, *([] if case.inner is not None else sight.notes)]
    if sight.links:
        notes.append("pièces déposées sur un service de partage : à télécharger par une personne")
    if (
        sight.has("attaches", "encloses_papers")
        and not sight.attached
        and not sight.links
        and found.kind is Kind.APPLICATION
    ):
        notes.append("annonce des pièces jointes, mais aucune n’est là")
    if found.kind is Kind.APPLICATION and choice.offer is None and not choice.tied:
        notes.append("hors offre publiée (candidature spontanée, stage ou autre poste)")
    return tuple(dict.fromkeys(notes))
