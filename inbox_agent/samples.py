"""Sample days and replies: what `templates preview` shows and what the templates are checked with.

Nobody in them exists. Every branch of the shipped templates is taken by some sample, so that an unknown variable
in an organisation's own template is found before a candidate is answered.
"""

from __future__ import annotations

import dataclasses
import difflib
import traceback
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from jinja2 import TemplateError, TemplateSyntaxError, meta, nodes

from inbox_agent import board, digest, reply
from inbox_agent.application import Candidate, Document, DocumentKind, DocumentState, Status, Timing, Where
from inbox_agent.decision import ReplyTemplate
from inbox_agent.errors import Fault
from inbox_agent.listing import ApplicationRow, FiledPiece, ReplyState, offer_states
from inbox_agent.offer import DeadlineDay, Offer
from inbox_agent.shipped import shipped
from inbox_agent.templates import Templates, compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_REMEDY = "Correct the template, or delete it to use the shipped one."
PARIS = ZoneInfo("Europe/Paris")
DAY = date(2024, 2, 13)
_AT = datetime(2024, 2, 13, 9, 22, 1, tzinfo=PARIS)

OFFER = Offer(
    id="charge-de-mission-2024",
    title="Chargé·e de mission questions urbaines et territoriales",
    addressed_to=("direction@example.org",),
    deadline=date(2024, 2, 15),
    reference="CM-2024",
)
OTHER_OFFER = Offer(
    id="assistant-administratif-2024",
    title="Assistant·e administratif·ve (H/F)",
    addressed_to=("direction@example.org",),
    deadline=date(2024, 3, 1),
    deadline_day=DeadlineDay.ON_TIME,
)
ORGANISATION = reply.Organisation(
    name="Villes au Carré",
    signature=("L’équipe de Villes au Carré",),
    privacy=reply.Privacy(
        controller="Villes au Carré",
        contact="contact@example.org",
        recipients="à la directrice et à la secrétaire générale",
        retention_months=24,
    ),
    contact="Hélène Dugué, secrétaire générale (helene.dugue@example.org)",
)


def _document(
    name: str,
    kind: DocumentKind,
    state: DocumentState = DocumentState.READ,
    where: Where = Where.ATTACHMENT,
) -> Document:
    return Document(name, kind, where, state, 1, "2", "application/pdf", 84_000, "0" * 64)


_CV = _document("CV_Dupont_Jeanne.pdf", DocumentKind.CV)
_LETTER = _document("LM_Dupont_Jeanne.docx", DocumentKind.LETTER)
_BODY = _document("", DocumentKind.LETTER, where=Where.BODY)
_DIPLOMA = _document("Master urbanisme.pdf", DocumentKind.OTHER)
_LOCKED = _document("CV_Dupont_Jeanne.pdf", DocumentKind.CV, DocumentState.LOCKED)
_DAMAGED = _document("Lettre.docx", DocumentKind.LETTER, DocumentState.DAMAGED)
_EMPTY = _document("CV.pdf", DocumentKind.CV, DocumentState.EMPTY)
_PAGES = _document("candidature.pages", DocumentKind.OTHER, DocumentState.UNSUPPORTED)
_REFUSED = _document("dossier.zip", DocumentKind.OTHER, DocumentState.REFUSED)


def reply_samples(language: str) -> Iterator[tuple[str, ReplyTemplate, reply.ReplyView]]:
    """Every situation of every reply: its name, its template, its view."""

    def view(  # noqa: PLR0913, a situation is what differs from the plain one.
        *documents: Document,
        missing: tuple[str, ...] = (),
        earlier: tuple[Document, ...] = (),
        links: tuple[str, ...] = (),
        offer: Offer | None = OFFER,
        days: int = 0,
        timing: Timing | None = Timing.ON_TIME,
        name: str = "Jeanne Dupont",
        organisation: reply.Organisation = ORGANISATION,
    ) -> reply.ReplyView:
        return reply.reply_view(
            organisation=organisation,
            candidate=Candidate(name, "", "", "jeanne.dupont@example.org"),
            offer=offer,
            language=language,
            received_at=_AT + timedelta(days=days),
            timing=timing,
            documents=documents,
            missing=missing,
            earlier=earlier,
            links=links,
        )

    bare = reply.Organisation(
        "Villes au Carré", ("Villes au Carré",), reply.Privacy("Villes au Carré", "contact@example.org")
    )
    certificates = [_document(f"Attestation {number}.pdf", DocumentKind.OTHER) for number in range(1, 13)]
    template = ReplyTemplate
    yield "complete", template.COMPLETE, view(_CV, _LETTER, _DIPLOMA)
    yield "complete-letter-in-body", template.COMPLETE, view(_CV, _BODY)
    yield "complete-deadline-day", template.COMPLETE, view(_CV, _LETTER, days=2, timing=Timing.BOUNDARY)
    yield "complete-spontaneous", template.COMPLETE, view(_CV, _LETTER, offer=None, timing=None)
    yield "complete-no-name-no-contact", template.COMPLETE, view(_CV, _LETTER, name="", organisation=bare)
    yield "complete-many-files", template.COMPLETE, view(_CV, _LETTER, *certificates)
    yield "incomplete-letter", template.INCOMPLETE, view(_CV, missing=("letter",))
    yield "incomplete-both", template.INCOMPLETE, view(missing=("cv", "letter"), offer=OTHER_OFFER)
    yield "incomplete-deadline-day", template.INCOMPLETE, view(_CV, missing=("letter",), days=2, timing=Timing.BOUNDARY)
    yield "incomplete-spontaneous", template.INCOMPLETE, view(_LETTER, missing=("cv",), offer=None, timing=None)
    yield "incomplete-locked", template.INCOMPLETE, view(_LOCKED, _LETTER, missing=("cv",))
    yield "incomplete-damaged-and-empty", template.INCOMPLETE, view(_EMPTY, _DAMAGED, missing=("cv", "letter"))
    yield "incomplete-unknown-files", template.INCOMPLETE, view(_PAGES, _REFUSED, _LETTER, missing=("cv",))
    yield "incomplete-link", template.INCOMPLETE, view(missing=("cv", "letter"), links=("https://we.tl/t-x",))
    yield (
        "incomplete-unknown-link",
        template.INCOMPLETE,
        view(_LETTER, missing=("cv",), links=("https://example.com/x",)),
    )
    yield "late", template.LATE, view(_CV, _LETTER, days=3, timing=Timing.LATE)
    yield "late-included-day", template.LATE, view(_CV, _LETTER, days=20, timing=Timing.LATE, offer=OTHER_OFFER)
    yield "completed", template.COMPLETED, view(_LETTER, earlier=(_CV,))
    yield "still-incomplete", template.STILL_INCOMPLETE, view(_DIPLOMA, earlier=(_CV,), missing=("letter",))
    yield "still-incomplete-damaged", template.STILL_INCOMPLETE, view(_DAMAGED, earlier=(_CV,), missing=("letter",))
    again = view(_DIPLOMA, earlier=(_LOCKED,), missing=("cv", "letter"))
    yield "still-incomplete-earlier-locked", template.STILL_INCOMPLETE, again
    yield "withdrawn", template.WITHDRAWN, view()
    yield "withdrawn-no-contact", template.WITHDRAWN, view(organisation=bare)


_GIVEN = [
    "Jeanne",
    "Mehdi",
    "Aïcha",
    "Loïc",
    "Noémie",
    "Thi-Hà",
    "Jean-Baptiste",
    "Zoé",
    "Ousmane",
    "Maëlys",
    "Ivan",
    "Élodie",
]
_SURNAMES = [
    "Dupont",
    "Benali",
    "N’Diaye",
    "Le Goff",
    "O’Connor",
    "Nguyễn",
    "Martin",
    "Lefèvre",
    "Traoré",
    "d’Ormesson",
    "Ruiz",
    "Kowalczyk",
]


def application_rows(count: int, *, last: date = DAY) -> tuple[ApplicationRow, ...]:
    """So many applications over the three weeks up to `last`, latest first: every state and reply occurs."""
    return tuple(_row(number, count, last) for number in range(count, 0, -1))


def _row(number: int, count: int, last: date) -> ApplicationRow:
    """The remainders only have to be varied, and the same in every run."""
    pick = number.__mod__
    name = f"{_GIVEN[number * 7 % len(_GIVEN)]} {_SURNAMES[(number * 5 + number // 12) % len(_SURNAMES)]}"
    offer = (OFFER, OFFER, OTHER_OFFER, OFFER, None)[pick(5)]
    noon = datetime(last.year, last.month, last.day, 8 + pick(11), number * 13 % 60, tzinfo=PARIS)
    at = noon - timedelta(days=(count - number) * 21 // max(count, 1))
    missing = (("letter",), (), (), ("cv",), (), (), (), ())[pick(8)]
    folder = f"{'spontanees' if offer is None else offer.id}/{at:%Y-%m-%d}_{number:06x}"
    reply_state = (*[ReplyState.SENT] * 4, ReplyState.DRAFT, ReplyState.NONE, ReplyState.PENDING)[pick(7)]
    return ApplicationRow(
        number=number,
        offer=None if offer is None else offer.id,
        name=name,
        address=f"personne{number}@example.org",
        received_at=at,
        timing=None if offer is None else (Timing.ON_TIME, Timing.LATE)[not pick(17)],
        status=Status.INCOMPLETE if missing else Status.COMPLETE,
        pieces=_filed(folder, missing, diploma=not pick(3), scan=not pick(9)),
        missing=missing,
        folder=folder,
        reply=reply_state,
        reply_at=at + timedelta(minutes=2) if reply_state is ReplyState.SENT else None,
        reply_reason="message transféré par une collègue" if reply_state is ReplyState.NONE else None,
        notes=() if pick(10) else ("copie à la secrétaire générale absente",),
        withdrawn=not pick(23),
    )


def _filed(folder: str, missing: tuple[str, ...], *, diploma: bool, scan: bool) -> tuple[FiledPiece, ...]:
    cv = FiledPiece("cv", "scanned" if scan else "read", "CV.pdf", f"{folder}/CV.pdf", 2)
    letter = FiledPiece("letter", "read", "LM.docx", f"{folder}/LM.docx", 1)
    other = FiledPiece("other", "read", "Diplôme.pdf", f"{folder}/Diplôme.pdf", 1)
    return tuple(piece for piece in (cv, letter, *[other] * diploma) if piece.kind not in missing)


def digest_samples() -> Iterator[tuple[str, digest.Digest]]:
    """A full day, an ordinary one, an empty one, and one on which the agent is unwell."""
    rows = application_rows(40)
    offers = offer_states((OFFER, OTHER_OFFER), rows, DAY)
    evening = datetime(2024, 2, 13, 18, 0, tzinfo=PARIS)
    well = digest.Health(evening - timedelta(minutes=4), digest.Balance(58, 40, 15, 2, 1, 0))
    today = tuple(row for row in rows if row.received_at.date() == DAY)
    empty = digest.Digest(DAY, ORGANISATION.name, evening, well, offers=offers[:2])
    yield "empty", empty
    unwell = digest.Health(
        None, digest.Balance(9, 4, 4, 0, 0, 0), ("Le serveur de messagerie refuse le mot de passe depuis 14 h 10.",)
    )
    yield "unwell", digest.Digest(DAY, ORGANISATION.name, evening, unwell)
    yield (
        "full",
        digest.Digest(
            day=DAY,
            organisation=ORGANISATION.name,
            generated_at=evening,
            health=well,
            doubts=_doubts(),
            uncertain=(
                digest.UncertainReply(
                    31,
                    "Loïc Martin",
                    "loic.martin@example.org",
                    evening - timedelta(hours=3),
                    "Regardez dans les messages envoyés : si la réponse n’y est pas, répondez « répondre 31 ».",
                ),
            ),
            quarantined=(
                digest.Quarantined(
                    7, evening - timedelta(hours=7), 18_400_000, "la lecture a dépassé 30 secondes, trois fois"
                ),
            ),
            drafts=(
                digest.DraftWaiting(
                    38, "Noémie Lefèvre", OFFER.title, "pièces manquantes", evening - timedelta(days=1)
                ),
            ),
            new=today,
            follow_ups=(digest.FollowUp(rows[8], "lettre reçue, le dossier est maintenant complet"),),
            offers=offers,
            unanswered=(digest.Unanswered(36, "Mehdi Benali", "le message porte la marque d’un envoi automatique"),),
            enquiries=(
                digest.Enquiry(evening - timedelta(hours=5), OFFER.title),
                digest.Enquiry(evening - timedelta(hours=1), None),
            ),
            withdrawals=tuple(row for row in rows if row.withdrawn)[:1],
            corrections=(digest.Correction(29, "Zoé Ruiz", "message replacé dans « Complètes », dossier reclassé"),),
            purges=(digest.Purge(date(2024, 3, 1), 12, "Animateur·rice de réseau (2022)"),),
            archive="https://partage.example.org/candidatures",
        ),
    )


def board_samples() -> Iterator[tuple[str, board.Board]]:
    """The board of a busy spring, and that of a first day."""
    evening = datetime(2024, 2, 13, 18, 0, tzinfo=PARIS)
    closed = dataclasses.replace(
        OTHER_OFFER, id="animation-2023", title="Animateur·rice de réseau", deadline=date(2023, 12, 1)
    )
    rows = application_rows(40)
    yield "full", board.Board(ORGANISATION.name, evening, offer_states((OFFER, OTHER_OFFER, closed), rows, DAY), rows)
    yield "empty", board.Board(ORGANISATION.name, evening, (), ())


def _doubts() -> tuple[digest.Doubt, ...]:
    answers = (
        digest.LikelyAnswer("oui 12", "c’est une candidature : elle est classée et une réponse est préparée"),
        digest.LikelyAnswer("non 12", "ce n’en est pas une : le message revient dans la boîte"),
    )
    return (
        digest.Doubt(
            12,
            "Thi-Hà Nguyễn",
            "thiha.nguyen@example.org",
            datetime(2024, 2, 13, 11, 3, tzinfo=PARIS),
            "Un CV est joint, mais le message propose les services d’un bureau d’études.",
            answers,
        ),
        digest.Doubt(
            13,
            None,
            None,
            datetime(2024, 2, 13, 16, 47, tzinfo=PARIS),
            "Deux offres sont possibles et rien ne permet de choisir.",
            (
                digest.LikelyAnswer("offre 13 charge-de-mission-2024", "candidature pour « Chargé·e de mission »"),
                digest.LikelyAnswer("offre 13 assistant-administratif-2024", "candidature pour « Assistant·e »"),
            ),
        ),
    )


def check_templates(folder: Path | None = None) -> tuple[Fault, ...]:
    """Every fault of an organisation's templates: syntax, unknown variables, and what fails on the samples.

    Reads files, sends nothing. Faults name the file and the line.
    """
    strange = tuple(_strange_files(folder)) if folder is not None else ()
    templates, broken = compiled(folder)
    faults = [*strange, *broken, *_unknown_variables(templates)]
    for language in reply.LANGUAGES:
        for name, template, view in reply_samples(language):
            faults += _trial(
                f"{language}/{template}.txt.j2", name, partial(reply.render_text, template, view, templates)
            )
    for name, day in digest_samples():
        faults += _trial("fr/digest.txt.j2", name, partial(digest.text, day, templates))
        faults += _trial("fr/digest.html.j2", name, partial(digest.html, day, templates))
    for name, whole in board_samples():
        faults += _trial("fr/board.html.j2", name, partial(board.render_board, whole, templates))
    return tuple({(fault.file, fault.place): fault for fault in faults}.values())


def _strange_files(folder: Path) -> Iterator[Fault]:
    """A folder that is not there, and files in it that nothing would ever read."""
    if not folder.is_dir():
        yield Fault(str(folder), "folder", "there is no such folder", "Check the path.")
        return
    known = {str(path.relative_to(shipped("templates"))) for path in shipped("templates").rglob("*.j2")}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")):
        name = str(path.relative_to(folder))
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            remedy = f'Did you mean "{near[0]}"?' if near else "See: inbox-agent templates list"
            yield Fault(str(path), "file name", "no template of that name is ever used", remedy)


_UNCOMPILED = (TemplateSyntaxError, UnicodeDecodeError)
# What a template can get wrong when it runs: Jinja's own errors, and a filter given the wrong thing.
_FAILURES = (TemplateError, TypeError, ValueError, AttributeError, ArithmeticError, LookupError)


def _trial(template: str, sample: str, render: Callable[[], object]) -> list[Fault]:
    try:
        render()
    except _UNCOMPILED:
        return []  # Told already; the others are tried all the same.
    except _FAILURES as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
        file, place = (frames[-1].filename, f"line {frames[-1].lineno}") if frames else (template, "whole file")
        problem = f"{str(error).rstrip('.') or type(error).__name__} (with the sample {sample})"
        return [Fault(file, place, problem, _REMEDY)]
    return []


def _unknown_variables(templates: Templates) -> Iterator[Fault]:
    """Names that no view has, also where no sample passes."""
    environment = templates.environment
    for name in environment.list_templates():
        if environment.loader is None or not name.endswith(".j2"):
            continue
        try:
            source, file, _ = environment.loader.get_source(environment, name)
            tree = environment.parse(source, name)
        except _UNCOMPILED:
            continue
        known = _variables(name, templates)
        for variable in sorted(meta.find_undeclared_variables(tree) - known):
            lines = [found.lineno for found in tree.find_all(nodes.Name) if found.name == variable]
            near = difflib.get_close_matches(variable, known, 1)
            remedy = f'Did you mean "{near[0]}"?' if near else f"Known here: {', '.join(sorted(known))}."
            yield Fault(file or name, f"line {lines[0] if lines else 1}", f'unknown variable "{variable}"', remedy)


def _variables(name: str, templates: Templates) -> set[str]:
    """The variables of a template, by what it renders."""
    always = {"caller", "loop", "police"}
    if any(part in name for part in ("digest", "bulletin")):
        _, day = next(digest_samples())
        return always | {field.name for field in dataclasses.fields(day)} | set(digest.variables(day))
    if "board" in name:
        _, whole = next(board_samples())
        return always | {field.name for field in dataclasses.fields(whole)} | set(board.variables(whole, templates))
    return always | {field.name for field in dataclasses.fields(reply.ReplyView)}
