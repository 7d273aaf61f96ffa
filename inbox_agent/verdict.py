"""Sight → kind: what an experienced secretary would make of a message, in the order in which she would ask.

Machines first (their headers, then their words), then mail to many, then our own staff, then people. An
application is never judged as anything else without a doubt; what is plainly no application is not hidden in one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from inbox_agent.application import DocumentState, Evidence, Kind
from inbox_agent.person import name_of
from inbox_agent.phrases import cut, fold
from inbox_agent.pieces import BODY_PART
from inbox_agent.rules import Place, Speaks
from inbox_agent.sight import answers_a_candidate

if TYPE_CHECKING:
    from inbox_agent.pieces import Piece
    from inbox_agent.sight import Sight

# What one's own application says of itself; words about posts and candidates alone do not count.
_FIRST_PERSON = ("applies", "encloses_papers", "about_oneself", "greets_as_candidate")
_BUSINESS = (
    "money",
    "call_for_projects",
    "meeting",
    "circulate_offer",
    "job_description",
    "agency",
    "agency_sender",
    "organisation_applies",
    "supplier",
    "another_purpose",
)
_OPAQUE = (DocumentState.SCANNED, DocumentState.LOCKED, DocumentState.DAMAGED)
_NAMED_PAPERS = ("cv", "resume", "curriculum", "lettre", "letter", "candidature")
_AS_ASKED = ("comme", "que vous m", "vous m", "vous me", "suite a votre demande", "conformement", "as requested")
_OTHER_DATES = (
    "report", "decal", "deplacer", "repouss", "resched", "autre date", "autre jour", "autre creneau", "autre moment",
    "semaine prochaine", "another day", "another date", "another time",
)  # fmt: skip
STRONG, FAIR, WEAK = 4.0, 2.5, 1.5


@dataclass(frozen=True, slots=True)
class Verdict:
    """The kind, the tests that decided (their ids), and for a doubt its reason in French; it `hesitates` over words."""

    kind: Kind
    because: tuple[str, ...] = ()
    doubt: str | None = None
    evidence: tuple[Evidence, ...] = ()
    notes: tuple[str, ...] = ()
    third_party: bool = False
    hesitates: bool = False


def hesitation(reason: str, *because: str) -> Verdict:
    """The words allow more than one reading: a person must look, unless all that was found at once is plain."""
    return Verdict(Kind.DOUBT, because, reason, hesitates=True)


def doubt(reason: str, *because: str) -> Verdict:
    """A person must look, because."""
    return Verdict(Kind.DOUBT, because, reason)


# --- People ---------------------------------------------------------------------------------------------------


def of_a_person(sight: Sight) -> Verdict:
    """The kind of a message that a person wrote who is none of our staff."""
    for ask in (
        _not_the_one,
        _their_data,
        _withdrawal,
        _written_by_a_machine,
        _to_many,
        _passed_on,
        _plainly_other,
        _business,
        _of_several,
        _somebody_else,
        _of_an_agency,
        _afterwards,
        _of_another,
        _for_another,
        _question,
    ):
        verdict = ask(sight)
        if verdict is not None:
            return verdict
    return _application(sight)


def first_person(sight: Sight) -> float:
    """How strongly somebody applies for himself, in words."""
    return sum(sight.hits[cue].cue.weight for cue in _FIRST_PERSON if declares(sight, cue))


def declares(sight: Sight, *cues: str) -> bool:
    """Whether one of these is said, and not only asked about; what comes with its papers is said."""
    return any(cue in sight.hits and (bool(sight.papers) or not sight.hits[cue].asked) for cue in cues)


def papers_weight(sight: Sight) -> float:
    """What the documents weigh: a CV and a letter once each, less where only a file name speaks."""
    cv = max(
        ((sight.weights["named_cv"] if piece.by_name else sight.weights["cv"]) for piece in sight.cvs), default=0.0
    )
    letters = [piece for piece in sight.letters if piece.document.part != "body"]
    letter = max(
        ((sight.weights["named_letter"] if piece.by_name else sight.weights["letter"]) for piece in letters),
        default=0.0,
    )
    body = sight.weights["letter_in_body"] if len(letters) < len(sight.letters) else 0.0
    return cv + max(letter, body)


# What says that somebody wants to be hired is a small vocabulary; what else a CV can be sent for is without end.
_WANTS = {
    "applies": 3.0,
    "spontaneous": 3.0,
    "internship": 3.0,
    "subject_application": 2.0,
    "seeks_work": 2.0,
    "any_work": 2.0,
    "the_job": 1.5,
    "internship_words": 1.0,
    "encloses_papers": 1.0,
    "greets_as_candidate": 1.0,
    "about_oneself": 1.0,
}
_AGAINST = (
    *_BUSINESS,
    "serves",
    "research",
    "governance",
    "solicits",
    "favour",
    "volunteers",
    "about_our_candidacy",
)
_GOAL = 2.5  # something that is no job is looked for, or the CV is for it
_OF_WORK = (*_BUSINESS, "serves")
_BARE_WORDS = ("cv", "curriculum vitae", "resume")
_NOTE, _SHORT_NOTE = 25, 12  # words; a CV that hardly anything is said about is sent to be hired.
_A_LETTER = 120  # words; who gives up says so in fewer.


def wants_work(sight: Sight) -> float:
    """How plainly somebody wants to be hired, by words and papers."""
    said = sum(weight for cue, weight in _WANTS.items() if declares(sight, cue))
    if sight.has("subject_application") and _only_says_cv(sight):
        said -= _WANTS["subject_application"]
    length = len(sight.own.split())
    bare = 2.5 if length < _SHORT_NOTE else 1.0 if length < _NOTE else 0.0
    for_work = sight.has("the_job", "subject_application", "applies", "seeks_work")
    own = 1.5 * (sight.own_cv and for_work) + bare * bool(sight.cvs)
    attached = any(piece.document.part != BODY_PART for piece in sight.letters)
    letter = 2.0 * bool(sight.letters) + 1.0 * attached - 2.0 * (sight.institution and bool(sight.letters))
    return said + own + letter + 2.0 * bool(sight.trade_in_subject or sight.names_offer) + 1.0 * bool(sight.says_trade)


def says_why(sight: Sight) -> bool:
    """Whether something says that papers were sent to be hired: that they came, and of whom they tell, does not."""
    cues = [cue for cue in _WANTS if cue not in ("encloses_papers", "greets_as_candidate", "about_oneself")]
    if sight.has("subject_application") and _only_says_cv(sight):
        cues.remove("subject_application")
    named = sight.trade_in_subject or sight.says_trade or sight.names_offer
    return bool(sight.letters or named) or declares(sight, *cues)


def wants_else(sight: Sight) -> float:
    """How plainly something else is wanted of us, or for somebody else: the strongest reason, and that there are more.

    One phrase in the body may be of a candidate's work, and weighs less.
    """
    return said_else(sight) + 2.0 * sight.institution + 1.0 * sight.we + 2.0 * sight.others_cv


def said_else(sight: Sight) -> float:
    """The part of it that stands in the words, whoever writes and whosever CV it is."""
    weights = [_weight_against(sight, cue) for cue in _AGAINST if cue in sight.hits]
    found = sorted((*weights, *([_GOAL] if sight.other_goal and sight.cvs else [])), reverse=True)
    return sum(found[:1]) + 0.5 * sum(weight >= FAIR for weight in found[1:])


def _weight_against(sight: Sight, cue: str) -> float:
    hit = sight.hits[cue]
    if cue == "agency_sender" and sight.private_sender:
        return 0.0  # "RH" at a public provider is nobody's office.
    in_passing = bool(sight.cvs) and cue in _OF_WORK and _said_once(sight, cue) and not sight.institution
    return hit.cue.weight * ((0.4 if sight.private_sender else 0.7) if in_passing else 1.0)


def body_is_no_letter(sight: Sight) -> bool:
    """Whether words that are built like a letter of motivation are about something else than a job here."""
    if declares(sight, "applies", "spontaneous", "internship") or sight.has("subject_application", "seeks_work"):
        return False
    other = said_else(sight)
    if sight.has("this_offer", "the_job", "any_work", "encloses_papers"):
        return other >= STRONG and not sight.cvs
    return not (sight.own_cv and sight.private_sender and not other)


def _their_data(sight: Sight) -> Verdict | None:
    if not sight.has("asks_erasure") or (sight.cvs and sight.has("applies")):
        return None
    notes = ("demande relative aux données personnelles : délai légal d’un mois",)
    if sight.has("withdraws") and (withdrawn := _withdrawal(sight)) is not None:
        return replace(withdrawn, notes=notes)
    applied = _speaks_of_candidature(sight) or sight.has("encloses_papers", "refused") or sight.cvs
    if not applied and _SUBSCRIBES.search(fold(f"{sight.subject}\n{sight.own[:2000]}")):
        return Verdict(Kind.OTHER, ("asks_erasure",), notes=notes)
    return doubt("demande à effacer ou à connaître ses données : délai légal d’un mois", "asks_erasure")


# Who is in our files for something else than an application.
_SUBSCRIBES = re.compile(
    r"invitation|newsletter|lettres? d.info|adher|abonn|inscri|cotis|mailing|listes? de diffusion|envois?\b|participa"
    r"|evenement|\bdons?\b|donat|fournisseur|client|beneficiaire|subscri|mailing list|unsubscribe|member"
)


def _not_the_one(sight: Sight) -> Verdict | None:
    """Somebody says that a mail of ours should not have gone to him."""
    if not sight.has("not_the_one") or sight.papers or declares(sight, "applies", "encloses_papers"):
        return None
    answered = sight.answers and answers_a_candidate(sight.quoted)
    if not (answered or _speaks_of_candidature(sight) or "postul" in sight.own.lower()):
        return None
    return doubt("dit n’avoir pas postulé : un message de notre part s’est-il trompé d’adresse ?", "not_the_one")


def _withdrawal(sight: Sight) -> Verdict | None:
    if sight.has("comes_back") and not sight.papers and (sight.has("withdraws", "gives_up") or of_the_job(sight)):
        return Verdict(Kind.FOLLOW_UP, ("comes_back",))
    if sight.has("call_for_projects", "organisation_applies") or _for_an_agency(sight):
        return None
    if not sight.has("withdraws"):
        return Verdict(Kind.WITHDRAWAL, ("gives_up",)) if _gives_up(sight) else None
    if sight.cvs and not sight.in_subject("withdraws"):
        return None
    if sight.has("governance", "another_purpose", "volunteers") and not sight.has("the_job", "interview"):
        return None  # A seat, a prize, a stand.
    if sight.in_subject("other_object") or (sight.has("other_object") and not of_the_job(sight)):
        return None  # A place in a course.
    if sight.has("interview") and _moves(sight):
        return None
    if sight.familiar and not sight.answers and not _speaks_of_candidature(sight):
        return None  # A friend's news.
    if not (of_the_job(sight) or _speaks_of_work(sight)):
        return None
    return Verdict(Kind.WITHDRAWAL, ("withdraws",))


def _for_an_agency(sight: Sight) -> bool:
    """Whether an agency speaks, of one whom it had proposed."""
    speaks = sight.has("agency") or (sight.has("agency_sender") and not sight.for_oneself)
    return (
        speaks
        and not sight.private_sender
        and "ma candidature" not in fold(sight.own)
        and not declares(sight, "applies")
    )


def _of_an_agency(sight: Sight) -> Verdict | None:
    if not _for_an_agency(sight) or sight.papers or not sight.has("agency"):
        return None
    return Verdict(Kind.OTHER, ("agency", "agency_sender"))


def _gives_up(sight: Sight) -> bool:
    """Whether somebody who brings nothing and asks nothing says in soft words that he is no candidate any more."""
    short = len(sight.own.split()) < _A_LETTER and not sight.attached and not sight.links
    if not sight.has("gives_up") or not short or sight.question or sight.institution:
        return False
    if wants_else(sight) >= FAIR or (sight.has("interview") and _moves(sight)):
        return False
    if sight.answers and answers_a_candidate(sight.quoted):
        return True
    of_work = _RECRUITING.search(fold(sight.own)) is not None
    return sight.for_oneself and (of_the_job(sight) or sight.has("the_job", "interview") or of_work)


_WORK = (
    "convocation",
    "creneau",
    "jury",
    "audition",
    "candidat",
    "entretien",
    "cdi",
    "cdd",
    "emploi",
    "embauch",
    "recrut",
    "travail",
    "interview",
    "position",
    "application",
)


def of_the_job(sight: Sight) -> bool:
    """Whether the candidature or the post is spoken of."""
    return _speaks_of_candidature(sight) or sight.has("mentions_post") or sight.names_offer


def _speaks_of_work(sight: Sight) -> bool:
    """Whether it is a job, or the talk about one, that is given up: not a course, not an appointment."""
    words = fold(f"{sight.subject} {sight.own} {sight.quoted[:3000] if sight.answers else ''}")
    return any(word in words for word in _WORK)


def _speaks_of_candidature(sight: Sight) -> bool:
    return sight.has("subject_application", "applies", "applied_before") or "candidature" in sight.own.lower()


def _written_by_a_machine(sight: Sight) -> Verdict | None:
    """Out of office and non-delivery without a header that says so."""
    if sight.papers:
        return None
    if _says_plainly(sight, "delivery_failure"):
        return Verdict(Kind.AUTOMATIC, ("delivery_failure",))
    if first_person(sight) >= FAIR:
        return None
    to_somebody = sight.question and not sight.in_subject("out_of_office")  # A program asks nothing.
    if _says_plainly(sight, "out_of_office") and not sight.has("chaser", "adds") and not to_somebody:
        return Verdict(Kind.AUTOMATIC, ("out_of_office",))
    if sight.has("receipt") and "automati" in fold(sight.hits["receipt"].quote):
        return Verdict(Kind.AUTOMATIC, ("receipt",))  # It says so of itself.
    if _says_plainly(sight, "receipt") and not sight.question and not (sight.answers and sight.has("chaser", "thanks")):
        return Verdict(Kind.AUTOMATIC, ("receipt",))
    return None


def _says_plainly(sight: Sight, cue: str) -> bool:
    """In the subject, or more than once."""
    return cue in sight.hits and (sight.in_subject(cue) or sight.hits[cue].count > 1)


def _to_many(sight: Sight) -> Verdict | None:
    bulk = sight.score(Speaks.BULK)
    if bulk < STRONG or sight.papers:
        return None
    if first_person(sight) > bulk or (sight.has("agency") and not sight.has("newsletter")):
        return None
    if sight.private_sender and sight.for_oneself and len(sight.own.split()) < _NOTE:
        return None  # Who wants to be taken off our list.
    return Verdict(Kind.BULK, ("newsletter", "advert"))


def _passed_on(sight: Sight) -> Verdict | None:
    """One person's papers, from somebody whose work it is to place that person, or whom she asked to send them."""
    attached = [piece for piece in sight.papers if piece.document.part != BODY_PART]
    if not attached or sight.own_cv or sight.has("favour", "not_the_one"):
        return None
    if _by_a_service(sight) and sight.cvs:
        return _by_an_adviser(sight)
    business = sight.has("agency", "agency_sender", "supplier", "organisation_applies")
    others = sight.others_cv or (not sight.cvs and sight.has("somebody_else") and not declares(sight, *_FIRST_PERSON))
    if len(sight.cvs) > 1 or not others or business:
        return None
    if sight.has("acquaintance") and not sight.has("speaks_for"):
        return None
    if sight.has("employment_adviser", "speaks_for") and wants_work(sight) >= WEAK and not sight.has(*_FOR_OTHERS):
        return _by_an_adviser(sight)
    return None


def _by_a_service(sight: Sight) -> bool:
    return any(note.startswith("service de l’emploi") for note in sight.notes)


# What somebody else's CV is sent for, when it is not to be hired here.
_FOR_OTHERS = ("research", "governance", "money", "meeting", "call_for_projects", "serves")


def _plainly_other(sight: Sight) -> Verdict | None:
    """A CV or a "candidature" for something else than a job here: a tender, a talk, a council, a prize, a fee."""
    if sight.has("private") and not (sight.has("the_job") and declares(sight, "applies")):
        if not sight.attached:
            return Verdict(Kind.OTHER, ("private",))
        if not sight.has("favour", "the_job", "this_offer", "relative", "subject_application"):
            return doubt("un CV, mais le message est celui d’un proche", "private")
    own = declares(sight, "applies") or sight.has("this_offer")
    if sight.has("favour") and (sight.others_cv or not own):
        return Verdict(Kind.OTHER, ("favour",))
    if _for_a_seat(sight):
        return Verdict(Kind.OTHER, ("governance", "another_purpose"))
    because = tuple(cue for cue in ("supplier", "another_purpose") if sight.has(cue))
    if not because or (not sight.papers and _seeks_work(sight)):
        return None
    if sight.has("interview") and sight.for_oneself and sight.private_sender and not sight.papers:
        return None
    says_so = declares(sight, "applies") or sight.own_cv or sight.has("adds", "chaser", "applied_before")
    her_own = sight.private_sender and sight.for_oneself and declares(sight, "encloses_papers", "about_oneself")
    for_a_job = sight.has("the_job") and (says_so or (her_own and sight.has("this_offer")))
    letters = [piece for piece in sight.letters if piece.document.part != BODY_PART]
    if (for_a_job and not sight.others_cv) or (letters and not sight.has("supplier")):
        return None
    if sight.cvs and not sight.others_cv:
        return _for_what(sight)
    return Verdict(Kind.OTHER, because)


def _for_a_seat(sight: Sight) -> bool:
    """A candidature that says that it is for a board, a council or a prize, and that speaks of no job."""
    often = sight.has("governance") and sight.hits["governance"].count > 1
    seat = often and (sight.in_subject("governance") or sight.has("another_purpose"))
    says = seat or (sight.in_subject("another_purpose") and sight.in_subject("subject_application"))
    named = says and sight.in_subject("governance") and sight.in_subject("subject_application")
    return says and (named or not sight.has("the_job", "this_offer", "seeks_work"))


def _seeks_work(sight: Sight) -> bool:
    """Whether a person asks to be hired, whatever else is spoken of."""
    asks = declares(sight, "spontaneous", "internship") or sight.has("seeks_work")
    asks = asks or (declares(sight, "applies") and sight.has("the_job", "this_offer"))
    return asks and sight.for_oneself and not sight.institution and wants_work(sight) >= wants_else(sight) - WEAK


def _said_once(sight: Sight, cue: str) -> bool:
    """One phrase in the body, which a candidate may have used of her work."""
    return sight.hits[cue].count == 1 and not sight.in_subject(cue)


def _business(sight: Sight) -> Verdict | None:
    """Invoices, calls for projects, offers to circulate, agencies: other mail, unless somebody applies in it."""
    other = sum(sight.hits[cue].cue.weight for cue in _BUSINESS if cue in sight.hits)
    because = tuple(cue for cue in _BUSINESS if cue in sight.hits)
    if other < STRONG or _own_application(sight) or (not sight.papers and _seeks_work(sight)):
        return None
    if set(because) <= {"meeting", "money"} and sight.has("interview") and sight.for_oneself and sight.private_sender:
        return None
    if not sight.has("applies", "encloses_papers", "internship"):
        return _without_application(sight, other, because)
    applying, papers = first_person(sight), papers_weight(sight)
    on_paper = any(sight.hits[cue].places != {Place.BODY} for cue in because)
    if applying + papers >= other + 1 and not (on_paper and not sight.has("applies", "internship")):
        return None
    structures = sight.has("organisation_applies", "agency", "circulate_offer", "call_for_projects")
    if not papers and applying < other:
        return Verdict(Kind.OTHER, because)
    if structures and not sight.papers and applying < other:
        return Verdict(Kind.OTHER, because)
    if sight.cvs:
        return _for_what(sight)
    return hesitation("parle d’une candidature, mais aussi d’autre chose (facture, devis, projet, cabinet…)", *because)


def _without_application(sight: Sight, other: float, because: tuple[str, ...]) -> Verdict | None:
    """Business where nobody says that he applies: a CV, or a word to follow an application, still is no business."""
    if sight.cvs and not sight.has("agency", "circulate_offer", "call_for_projects", "organisation_applies"):
        return None
    if sight.own_cv:
        return _for_what(sight)
    structures = sight.has("call_for_projects", "organisation_applies", "agency")
    afterwards = sight.has("chaser", "adds", "applied_before") and _speaks_of_candidature(sight)
    if afterwards and not structures and other < 2 * STRONG:
        return None
    return Verdict(Kind.OTHER, because)


def _own_application(sight: Sight) -> bool:
    """The writer's own CV, with a letter or for a job that is named: whatever else she speaks of is her work."""
    if not sight.own_cv or sight.we:
        return False
    if _own_dossier(sight):
        return True
    if sight.has("agency", "circulate_offer"):
        return False
    return sight.has("the_job") or (_letter_attached(sight) and not sight.has("supplier"))


def _own_dossier(sight: Sight) -> bool:
    """The writer's own CV and letter, both attached: whatever she answers, and whatever else she speaks of."""
    for_else = sight.has("agency", "supplier", "another_purpose", "governance", "favour", "organisation_applies")
    return sight.own_cv and _letter_attached(sight) and not sight.we and not for_else


def _letter_attached(sight: Sight) -> bool:
    """Whether a letter came as a document, and is one by what it says."""
    return any(piece.document.part != BODY_PART and not piece.by_name for piece in sight.letters)


def _somebody_else(sight: Sight) -> Verdict | None:
    """A relative, an adviser, or somebody who recommends."""
    if sight.cvs and not sight.own_cv and wants_work(sight) < FAIR and wants_else(sight) >= STRONG + FAIR:
        return Verdict(Kind.OTHER, tuple(cue for cue in _AGAINST if sight.has(cue)))
    if sight.has("unaware") and sight.has("somebody_else", "relative", "acquaintance") and not sight.own_cv:
        return doubt("quelqu’un écrit pour une personne qui ne le sait pas : elle n’a pas postulé", "unaware")
    if sight.has("acquaintance") and sight.cvs and not sight.own_cv:
        return doubt("quelqu’un transmet le CV d’une connaissance : à qui répondre ?", "acquaintance", "cv")
    if sight.has("relative") and not (sight.has("applies") and first_person(sight) > FAIR + STRONG):
        return _by_a_relative(sight)
    advises = sight.institution and sight.has("employment_adviser") and not sight.has("agency", "supplier")
    if sight.cvs and (advises or _by_a_service(sight)):
        return _by_an_adviser(sight)
    if sight.others_cv and sight.has("somebody_else") and not sight.letters:
        return _others_papers(sight)
    if sight.others_cv and not declares(sight, "applies", "encloses_papers", "greets_as_candidate"):
        return _others_papers(sight)
    if not sight.has("somebody_else") or sight.own_cv:
        return None
    if sight.has("about_oneself", "encloses_papers", "adds", "applied_before"):
        return None
    return _spoken_for(sight)


def _by_a_relative(sight: Sight) -> Verdict | None:
    if not (sight.cvs or (sight.has("internship") and not sight.has("refused")) or sight.links):
        if sight.has("refused"):
            return Verdict(Kind.ENQUIRY, ("refused", "relative"))
        work = sight.has("seeks_work", "any_work") or (sight.has("asks_about_post") and sight.has("the_job"))
        asks = work and sight.question and not sight.answers and not sight.familiar
        return Verdict(Kind.ENQUIRY, ("relative", "question_mark")) if asks else None
    note = "envoyée par un proche du candidat"
    return Verdict(Kind.APPLICATION, ("relative", "cv"), notes=(note,), third_party=True)


def _spoken_for(sight: Sight) -> Verdict | None:
    """Somebody is spoken of in the third person, and nothing is said of oneself."""
    if sight.cvs and sight.has("employment_adviser"):
        return _by_an_adviser(sight)
    if sight.has("applies"):
        return None
    if sight.cvs:
        return doubt("quelqu’un transmet ou recommande le CV d’une autre personne", "somebody_else", "cv")
    if sight.answers or sight.has("chaser") or _asks_about_the_post(sight):
        return None
    return Verdict(Kind.OTHER, ("somebody_else",))


def _by_an_adviser(sight: Sight) -> Verdict:
    if len(sight.cvs) > 1:
        return doubt(
            "un conseiller transmet plusieurs CV : une candidature pour chacun, s’il y a lieu", "adviser_transmits"
        )
    service = _by_a_service(sight) or sight.has("employment_adviser")
    note = "transmise par un conseiller à l’emploi" if service else "transmise par un tiers, à la demande du candidat"
    return Verdict(Kind.APPLICATION, ("adviser_transmits", "cv"), notes=(note,), third_party=True)


def _of_several(sight: Sight) -> Verdict | None:
    """CVs of several people: an organisation's are what it offers, a person's are to be sorted out."""
    if len(sight.cvs) < 2 or sight.has("employment_adviser"):  # noqa: PLR2004 two are several
        return None
    if not (sight.several_owners or sight.institution):
        return None  # Two of one person are two versions.
    other = not sight.private_sender and (sight.has("another_purpose", "agency") or sight.other_goal is not None)
    if (sight.institution or other) and not declares(sight, "applies"):
        return Verdict(Kind.OTHER, ("cv", *(cue for cue in _AGAINST if sight.has(cue))))
    return doubt("les CV de plusieurs personnes en un seul message", "cv")


def _others_papers(sight: Sight) -> Verdict:
    """A CV that is not the writer's, without a word of who applies: an adviser's work, or a person's to sort out."""
    named = sight.has(
        "the_job", "seeks_work", "subject_application", "adviser_transmits", "acquaintance", "somebody_else"
    )
    if sight.has("agency", "agency_sender"):
        return Verdict(Kind.OTHER, tuple(cue for cue in _AGAINST if sight.has(cue)))
    if said_else(sight) >= WEAK and wants_else(sight) >= STRONG and not sight.has("the_job", "subject_application"):
        named = False
    if not sight.private_sender and not named and len(sight.own.split()) >= _SHORT_NOTE:
        return Verdict(Kind.OTHER, ("cv", *(cue for cue in _AGAINST if sight.has(cue))))
    if sight.has("employment_adviser") and sight.has("adviser_transmits", "somebody_else"):
        return _by_an_adviser(sight)
    return doubt("le CV joint n’est pas celui de la personne qui écrit", "cv")


def _afterwards(sight: Sight) -> Verdict | None:
    """What adds to an application, corrects or chases it; what is sent again, since it was lost, is the first."""
    sent_again = sight.has("came_back") and sight.cvs and not answers_a_candidate(sight.quoted)
    return None if sent_again else _follows(sight)


def _follows(sight: Sight) -> Verdict | None:
    chases, adds, before = sight.has("chaser"), sight.has("adds"), sight.has("applied_before")
    whole = bool(sight.cvs) and (bool(sight.letters) or sight.has("applies"))
    because = tuple(cue for cue in ("chaser", "adds", "applied_before") if sight.has(cue))
    if whole and not (sight.answers or before) and not sight.in_subject("adds") and not sight.in_subject("chaser"):
        return _correction(sight, because)
    if sight.has("refused") and sight.question and not sight.papers:
        return Verdict(Kind.ENQUIRY, ("refused", "question_mark"))
    if sight.has("interview") and sight.for_oneself and not sight.cvs:
        return _about_the_interview(sight)
    of_oneself = sight.for_oneself or sight.answers or of_the_job(sight)  # A supplier chases too.
    if chases and of_oneself and not (sight.cvs and not (sight.answers or before)):
        return Verdict(Kind.FOLLOW_UP, because)
    # "Comme convenu" goes with anything; "il manquait ma lettre" does not.
    vague = adds and fold(sight.hits["adds"].quote).startswith(_AS_ASKED)
    if _answers_an_invitation(sight, whole=whole, vague=vague):
        return None
    if vague and not (sight.answers or before):
        return Verdict(Kind.FOLLOW_UP, because) if _brings_a_letter(sight) else None
    if adds and _adds_to_it(sight, before=before, pieces=sight.letters if vague else sight.papers):
        return Verdict(Kind.FOLLOW_UP, because)
    if sight.answers:
        return _in_a_thread(sight, whole=whole)
    ours = sight.has("subject_application", "the_job") or _OF_MINE.search(fold(sight.own)) is not None
    if before and not sight.has("applies") and (sight.papers or ours):
        return Verdict(Kind.FOLLOW_UP, because)
    return None


def _answers_an_invitation(sight: Sight, *, whole: bool, vague: bool) -> bool:
    """Whether we had been asked about the post, or had asked for a CV, and here is the first application."""
    if not sight.quoted.strip() or sight.has("applied_before") or answers_a_candidate(sight.quoted):
        return False
    return (whole and (vague or not sight.has("adds"))) or (bool(sight.cvs) and vague and sight.has("the_job"))


def _brings_a_letter(sight: Sight) -> bool:
    """A letter without the CV, by content or by a private person's name for the file."""
    if sight.cvs:
        return False
    names = " ".join(fold(piece.document.name) for piece in sight.attached)
    return bool(sight.letters) or (sight.private_sender and ("lettre" in names or "motivation" in names))


def _adds_to_it(sight: Sight, *, before: bool, pieces: tuple[Piece, ...]) -> bool:
    """Whether what is completed or corrected is an application."""
    if sight.other_goal and not sight.has("the_job", "this_offer", "applied_before"):
        return False
    if sight.has("encloses_papers", "subject_application"):
        return True
    own = fold(sight.own)
    file = "mon dossier" in own and not sight.has("other_object") and sight.for_oneself
    ours = sight.has("this_offer", "the_job") or file or any(words in own for words in _MY_PAPERS)
    if sight.private_sender and ours and wants_else(sight) < WEAK:
        return True
    concerned = pieces or before or _speaks_of_candidature(sight) or sight.has("mentions_post")
    return bool(concerned and (sight.attached or sight.answers or before or sight.links))


_OF_MINE = re.compile(r"\bma candidature\b|\bpostul|\bcandidate\b|\bapplied\b")
_MY_PAPERS = ("ma candidature", "mon cv", "ma lettre de motivation", "mon dossier de candidature")


def _moves(sight: Sight) -> bool:
    """Whether another date is asked for."""
    words = fold(sight.own)
    return any(word in words for word in _OTHER_DATES)


def _about_the_interview(sight: Sight) -> Verdict:
    """Whoever confirms an interview follows up; whoever asks about it is answered by a person."""
    asks = sight.question or sight.has("asks_about_post")
    if asks and not _moves(sight) and "confirm" not in fold(sight.own):
        return Verdict(Kind.ENQUIRY, ("interview", "question_mark"))
    return Verdict(Kind.FOLLOW_UP, ("interview",))


def _correction(sight: Sight, because: tuple[str, ...]) -> Verdict | None:
    """A whole application that replaces an earlier one is a follow-up, where its first words say so."""
    if not sight.has("adds"):
        return None
    words = sight.hits["adds"].quote.lower()
    if "renvoie" in words and sight.has("applies") and sight.letters and not sight.has("chaser"):
        return None  # It came back; where the first one did arrive, history joins the two.
    replaces = any(
        word in words
        for word in (
            "annule",
            "remplace",
            "renvoie",
            "corrig",
            "erreur",
            "mauvais",
            "tromp",
            "version",
            "oubli",
            "tenir compte",
            "premier",
            "precedent",
            "manqu",
        )
    )
    return Verdict(Kind.FOLLOW_UP, because) if replaces else None


def _in_a_thread(sight: Sight, *, whole: bool) -> Verdict | None:
    """An answer to a mail of ours without words that tell: its pieces and what it answers do."""
    known = answers_a_candidate(sight.quoted)
    if whole and (sight.has("applies") or not (known or sight.message.in_reply_to)):
        return None
    if sight.papers and not known and sight.quoted.strip() and declares(sight, "applies") and not sight.has("adds"):
        return None
    if sight.cvs and not (sight.message.in_reply_to or sight.quoted.strip()):
        return None  # "Re: annonce" typed as a subject: it answers no mail.
    if sight.papers:
        return Verdict(Kind.FOLLOW_UP, ("thread", "cv", "letter"))
    if sight.has("asks_about_post") and sight.question:
        return None
    colleague = sight.familiar or (sight.we and not sight.private_sender)
    of_another = sight.in_subject("somebody_else")
    if sight.has("later") or ((colleague or of_another) and not first_person(sight)):
        return None
    if sight.quoted.strip() and not known and not sight.has("applied_before") and not first_person(sight):
        return None  # What we wrote was no word to a candidate.
    if (known or sight.has("subject_application", "applied_before")) and wants_else(sight) < FAIR:
        return Verdict(Kind.FOLLOW_UP, ("thread", "subject_application"))
    return None


def _of_another(sight: Sight) -> Verdict | None:
    """A question about something else, or the offer of one who wants to sell, to write or to be elected."""
    if sight.papers or first_person(sight) >= STRONG or _seeks_work(sight):
        return None
    relays_a_question = sight.question and sight.has("this_offer") and not said_else(sight)
    speaks = sight.has("employment_adviser", "applies", "encloses_papers") or sight.answers or relays_a_question
    if sight.institution and not speaks:
        return Verdict(Kind.OTHER, tuple(cue for cue in _AGAINST if sight.has(cue)))
    about_us = sight.has("asks_about_post", "chaser", "adds", "interview") or (
        sight.question and sight.has("the_job") and not sight.has("circulate_offer", "relative")
    )
    if sight.familiar and not first_person(sight) and not about_us:
        return Verdict(Kind.OTHER, ("somebody_else",))
    if wants_else(sight) < FAIR + first_person(sight) + 2 * sight.answers:
        return None
    return Verdict(Kind.OTHER, tuple(cue for cue in _AGAINST if sight.has(cue)))


def _for_another(sight: Sight) -> Verdict | None:
    """Who asks on behalf of somebody, and sends nothing of theirs: that one has not applied."""
    if sight.attached or sight.links or sight.papers or sight.has("internship", "encloses_papers", "attaches"):
        return None
    if sight.has("relative") and _SAYS_I.isdisjoint(cut(sight.own).words):
        return Verdict(Kind.ENQUIRY if sight.question else Kind.OTHER, ("relative",))
    advises = sight.has("employment_adviser") or _by_a_service(sight)
    if advises and sight.question and (sight.has("this_offer", "applies") or _asks_about_the_post(sight)):
        return Verdict(Kind.ENQUIRY, ("employment_adviser", "question_mark"))
    return None


_SAYS_I = frozenset({"je", "j", "i"})  # "Mon fils" says nothing of oneself.


def _question(sight: Sight) -> Verdict | None:
    """A question about the post, where nobody applies yet."""
    asks = _asks_about_the_post(sight)
    hesitates = sight.has("later") and not declares(sight, "applies")
    came = any(piece.is_paper for piece in (sight.attached if hesitates else sight.pieces))
    if not asks or came or (sight.has("internship") and sight.for_oneself):
        return None
    if sight.has("any_work") and sight.for_oneself and not sight.question and wants_work(sight) >= STRONG:
        return None
    if sight.has("later") and not sight.attached and not sight.links:
        return Verdict(Kind.ENQUIRY, ("later", "asks_about_post", "question_mark"))
    if sight.links and declares(sight, "encloses_papers", "applies"):
        return None
    if _announces_attachments(sight) and declares(sight, "applies", "encloses_papers"):
        return None
    weight = sight.weights["question_mark"] * sight.question
    if "asks_about_post" in sight.hits:
        hit = sight.hits["asks_about_post"]
        weight += hit.cue.weight + min(hit.count - 1, 4) * 0.4
    applying = first_person(sight)
    if sight.has("spontaneous") and applying > weight:
        return None
    if applying >= weight + STRONG or (
        declares(sight, "applies") and not sight.has("asks_about_post") and applying >= STRONG
    ):
        return None
    return Verdict(Kind.ENQUIRY, ("asks_about_post", "question_mark", "mentions_post"))


def _asks_about_the_post(sight: Sight) -> bool:
    """Whether there is a question, and the post or an application is what it is about."""
    about = sight.has("mentions_post", "subject_application", "encloses_papers") or sight.answers
    of_the_papers = sight.private_sender and "lettre de motivation" in fold(sight.own)
    return (sight.has("asks_about_post") and about) or (
        sight.question and (sight.has("mentions_post") or of_the_papers)
    )


def _announces_attachments(sight: Sight) -> bool:
    return declares(sight, "attaches")


def _application(sight: Sight) -> Verdict:
    """An application by its pieces or its words, a doubt where they are thin, other mail where there is neither."""
    if not sight.papers and any(piece.document.state is DocumentState.REFUSED for piece in sight.attached):
        return _a_program(sight)
    for_a_job = sight.has("the_job", "this_offer", "applies", "spontaneous", "internship", "seeks_work")
    came = sight.cvs or any(piece.document.part != BODY_PART for piece in sight.letters)
    if sight.other_goal and not came and not for_a_job:
        return Verdict(Kind.OTHER, ("another_purpose",))
    return _by_papers(sight) or _by_words(sight) or _asking(sight) or _thin(sight) or Verdict(Kind.OTHER)


def _a_program(sight: Sight) -> Verdict:
    """A program in the place of papers: never answered, and seen by a person where it calls itself a CV."""
    named = any(word in fold(piece.document.name) for piece in sight.attached for word in _NAMED_PAPERS)
    if named or sight.score(Speaks.APPLICATION) >= FAIR:
        return doubt("le fichier joint est un programme, pas un document : ne pas l’ouvrir", "refused")
    return Verdict(Kind.OTHER, ("refused",))


def _because(sight: Sight) -> tuple[str, ...]:
    cues = (*_FIRST_PERSON, "subject_application", "spontaneous", "internship", "seeks_work")
    return tuple(cue for cue in cues if sight.has(cue))


def _from_nobody(sight: Sight) -> bool:
    """Whether all that came is an archive that could not be opened, from an address that tells no name."""
    closed = all(piece.by_name and piece.document.name.lower().endswith(_ARCHIVES) for piece in sight.attached)
    signed = any(name_of(address.name, address.addr_spec) for address in sight.message.from_)
    return bool(sight.attached) and closed and not (sight.private_sender or signed or sight.names_offer)


_ARCHIVES = (".zip", ".rar", ".7z", ".tar", ".gz")
_ENCRYPTED = (".p7m", ".asc", ".gpg", ".pgp")


def _by_papers(sight: Sight) -> Verdict | None:
    if (
        sight.attached
        and not sight.own.strip()
        and all(piece.document.name.lower().endswith(_ENCRYPTED) for piece in sight.attached)
    ):
        return doubt("un message chiffré, que personne n’a pu lire", "unreadable")
    if _from_nobody(sight):
        return doubt("une archive que personne n’a pu ouvrir, d’un expéditeur sans nom", "unreadable")
    words = sight.score(Speaks.APPLICATION)
    attached = any(piece.document.part != BODY_PART for piece in sight.letters)
    if sight.sure_cvs or (sight.cvs and words >= WEAK):
        return _for_what(sight)
    if sight.letters and (first_person(sight) >= WEAK or (attached and words >= FAIR)):
        return _for_what(sight)
    if (
        sight.letters
        and sight.has("this_offer")
        and sight.for_oneself
        and not sight.institution
        and not wants_else(sight)
    ):
        return _for_what(sight)
    if words >= FAIR and (_unreadable(sight) or sight.links):
        return Verdict(Kind.APPLICATION, ("cloud_link", *_because(sight)))
    return None


def _for_what(sight: Sight) -> Verdict:
    """Papers of an application came: they are one where somebody wants to be hired, and nothing speaks louder."""
    wants, other = wants_work(sight), wants_else(sight)
    application = Verdict(Kind.APPLICATION, ("cv", "letter", *_because(sight)))
    if (sight.answers and not other) or _own_dossier(sight):
        return application
    if not sight.cvs and said_else(sight) >= STRONG and not _names_work(sight):
        return Verdict(Kind.OTHER, tuple(cue for cue in _AGAINST if sight.has(cue)))
    told = says_why(sight) or len(sight.own.split()) < _SHORT_NOTE
    at_work = not sight.private_sender and not sight.letters  # From there CVs go out for many ends, with trades named.
    if wants >= other + 0.5 and told and not (at_work and not _names_job(sight)):
        return application
    because = tuple(cue for cue in _AGAINST if sight.has(cue))
    colleague = sight.familiar and not sight.private_sender
    plainly = sight.institution or any(map(sight.in_subject, because))
    if (
        (because or sight.institution)
        and other >= FAIR
        and (wants < FAIR or (plainly and other > wants) or (colleague and other >= wants))
    ):
        return Verdict(Kind.OTHER, because)
    asked = sight.other_goal or any(cue not in _BUSINESS for cue in because)
    if asked and not says_why(sight):
        return Verdict(Kind.OTHER, because)
    if because:
        return hesitation("un CV, mais peut-être pour autre chose qu’un emploi chez nous", *because)
    return hesitation("un CV, mais le message parle d’autre chose", "cv")


def _names_work(sight: Sight) -> bool:
    """Whether anything names a job, or says that somebody wants one: a letter alone may be for a seat on a board."""
    return bool(sight.trade_in_subject or sight.says_trade) or _names_job(sight)


def _names_job(sight: Sight) -> bool:
    named = sight.has("the_job", "this_offer", "seeks_work", "any_work", "internship_words") or sight.names_offer
    calls_itself_one = sight.has("subject_application") and not _only_says_cv(sight)
    return named or calls_itself_one or declares(sight, "applies", "spontaneous", "internship")


def _only_says_cv(sight: Sight) -> bool:
    """Whether the subject is "CV": it says what came, not why."""
    return fold(sight.hits["subject_application"].quote) in _BARE_WORDS


def _by_words(sight: Sight) -> Verdict | None:
    """Somebody applies without a document of an application: forgotten, to follow, or not thought of."""
    words = sight.score(Speaks.APPLICATION)
    if sight.we and not sight.pieces and not declares(sight, "encloses_papers"):
        return Verdict(Kind.OTHER, ("organisation_applies",))
    if sight.has("internship") and words >= FAIR and sight.for_oneself:
        return Verdict(Kind.APPLICATION, _because(sight))
    hires = declares(sight, "spontaneous", "any_work", "seeks_work") and sight.for_oneself and not sight.institution
    if hires and not sight.question and wants_work(sight) >= STRONG + 2 * wants_else(sight):
        return Verdict(Kind.APPLICATION, _because(sight))
    if _only_other_papers(sight):
        return _what_came(sight)
    for_a_post = sight.has("mentions_post", "subject_application", "encloses_papers", "internship", "spontaneous")
    seeks = first_person(sight) >= FAIR or sight.has("internship", "spontaneous")
    says_so = declares(sight, "applies") or (sight.attached and declares(sight, "encloses_papers"))
    if words >= STRONG and for_a_post and seeks and (says_so or sight.has("internship", "spontaneous")):
        return Verdict(Kind.APPLICATION, _because(sight))
    if words >= FAIR and _announces_attachments(sight) and not sight.institution:
        return Verdict(Kind.APPLICATION, ("attaches", *_because(sight)))
    return None


def _only_other_papers(sight: Sight) -> bool:
    """Whether files came, all could be read, none is a paper of an application, and nobody says that he applies."""
    read = all(piece.document.state is DocumentState.READ and not piece.by_name for piece in sight.attached)
    says_so = declares(sight, "applies", "spontaneous", "internship", "seeks_work")
    return bool(sight.attached) and read and not sight.papers and not says_so


def _what_came(sight: Sight) -> Verdict | None:
    if sight.familiar or sight.institution or sight.other_goal:
        return Verdict(Kind.OTHER, ("somebody_else",))
    if sight.score(Speaks.APPLICATION) < FAIR:
        return None
    return hesitation("parle de candidature, mais aucune des pièces n’en est une", *_because(sight))


def _asking(sight: Sight) -> Verdict | None:
    words = sight.score(Speaks.APPLICATION)
    if _asks_about_the_post(sight) or (sight.question and words >= FAIR and not _announces_attachments(sight)):
        return Verdict(Kind.ENQUIRY, ("asks_about_post", "question_mark"))
    return None


_RECRUITING = re.compile(
    r"(?<!d')(?<!d’)\bentretiens?\b|\bjury\b|\bconvocation\b|\brecrutements?\b|\bmon dossier\b|\bembauch|\bpostul"
    r"|\bma (?:candidature|demande du|lettre de motivation)\b|\b(?:mon|le|du) cv\b|\bmy (?:application|cv)\b"
    r"|\bmot de passe\b"
)


def _thin(sight: Sight) -> Verdict | None:
    """What a person must look at: a letter or a word of candidature that nothing goes with, a scan without a word."""
    if sight.institution and not sight.attached and not first_person(sight):
        return Verdict(Kind.OTHER, tuple(cue for cue in _AGAINST if sight.has(cue)))
    if papers_weight(sight):
        return hesitation("une lettre, mais rien ne dit que quelqu’un postule", "letter")
    if sight.score(Speaks.APPLICATION) >= FAIR:
        return hesitation("parle de candidature, sans pièce et sans rien dire de précis", *_because(sight))
    brief = sight.for_oneself or len(sight.own.split()) < _NOTE
    recruits = sight.private_sender and brief and not sight.familiar and wants_else(sight) < WEAK
    if recruits and _RECRUITING.search(fold(f"{sight.subject}\n{sight.own[:2000]}")):
        return hesitation("une personne parle d’un recrutement, sans que l’on sache ce qu’elle demande")
    opaque = [piece for piece in _unreadable(sight) if piece.document.state in _OPAQUE]
    little = len(sight.own.split()) < _NOTE and (sight.private_sender or not sight.own.strip())
    if opaque and little and not sight.score(Speaks.OTHER) and not sight.institution:
        return doubt("un document que personne n’a pu lire, sans un mot d’explication", "unreadable")
    return None


def _unreadable(sight: Sight) -> tuple[Piece, ...]:
    return tuple(piece for piece in sight.attached if piece.document.state is not DocumentState.READ)
