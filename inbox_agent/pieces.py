"""Extracts and body → Documents: each with its kind and why. Logos, signatures and calendars are no documents."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inbox_agent.application import Document, DocumentKind, DocumentState, Evidence, Where
from inbox_agent.classify import classify, classify_body
from inbox_agent.phrases import fold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inbox_agent.classify import Classified
    from inbox_agent.document_rules import DocumentRules
    from inbox_agent.extract import Extract

BODY_NAME = "corps du message"
BODY_PART = "body"
# Parts that mail programs add by themselves.
_NO_DOCUMENTS = frozenset(
    {
        "application/pgp-signature",
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
        "application/pgp-keys",
        "application/pgp-encrypted",
        "text/calendar",
        "application/ics",
        "text/vcard",
        "text/x-vcard",
        "text/directory",
        "message/delivery-status",
        "message/disposition-notification",
        "text/rfc822-headers",
    }
)
_OPAQUE = (DocumentState.SCANNED, DocumentState.LOCKED, DocumentState.DAMAGED)
_CVS = frozenset({DocumentKind.CV, DocumentKind.CV_AND_LETTER})
_LETTERS = frozenset({DocumentKind.LETTER, DocumentKind.CV_AND_LETTER})


@dataclass(frozen=True, slots=True)
class Piece:
    """A document with its text and how sure its kind is, 0 to 1; `by_name` where only the file name speaks."""

    document: Document
    text: str
    confidence: float
    by_name: bool

    @property
    def is_cv(self) -> bool:
        """Whether it holds a CV."""
        return self.document.kind in _CVS

    @property
    def is_letter(self) -> bool:
        """Whether it holds a letter."""
        return self.document.kind in _LETTERS

    @property
    def is_paper(self) -> bool:
        """Whether it is one of the pieces of an application."""
        return self.is_cv or self.is_letter


def pieces_of(extracts: Sequence[Extract], rules: DocumentRules, *, forwarded: bool) -> tuple[Piece, ...]:
    """The documents among the extracts, in their order."""
    return tuple(
        _piece(extract, rules, forwarded=forwarded)
        for extract in extracts
        if not extract.decoration and extract.media_type not in _NO_DOCUMENTS
    )


def _piece(extract: Extract, rules: DocumentRules, *, forwarded: bool) -> Piece:
    judged = classify(
        extract.text,
        name=extract.name,
        state=extract.state,
        pages=extract.pages,
        images=extract.images,
        media_type=extract.media_type,
        vocabulary=rules,
    )
    document = Document(
        name=extract.name or "sans nom",
        kind=judged.kind,
        where=Where.FORWARDED if forwarded else extract.where,
        state=extract.state,
        pages=extract.pages,
        part=extract.part,
        media_type=extract.media_type,
        size=len(extract.octets),
        sha256=hashlib.sha256(extract.octets).hexdigest(),
        notes=extract.notes,
        why=judged.evidence,
    )
    by_name = extract.state is not DocumentState.READ or len(extract.text.split()) < rules.few_words
    return Piece(document, extract.text, judged.confidence, by_name)


_OF_APPLICATIONS = re.compile(
    r"candidat|candidac|postul|\bpostes?\b|offre d.emploi|\bstages?\b|alternance|apprentissage|recrut|curriculum"
    r"|\bc\.?v\b|embauch|\bemplois?\b|service civique|\bposition\b|application"
    r"|\bapply|internship|\brole\b|vacancy|annonce"
)


def _wants_work(piece: Piece) -> bool:
    """Whether the letter says so in whatever words, or its file is called a letter of motivation."""
    wishes = any(item.test in _WISHES and item.weight >= _SOME for item in piece.document.why)
    return wishes or _named_motivation(piece) or _OF_APPLICATIONS.search(fold(piece.text[:6000])) is not None


def _named_motivation(piece: Piece) -> bool:
    return _MOTIVATION.search(fold(piece.document.name).replace("_", " ")) is not None


_WISHES = frozenset({"letter_wish", "letter_subject", "letter_title"})
_SOME = 1.0  # weight in classify.py: two wishes, or the subject itself; "votre équipe" alone is in any letter.
_MOTIVATION = re.compile(r"\blm\b|motivation|cover ?letter")


def without_other_letters(pieces: tuple[Piece, ...], said: str) -> tuple[Piece, ...]:
    """Faint letters that speak of no post are of a mayor or a supplier, unless a CV lies beside or the mail does.

    One that is plainly somebody's, who tells of oneself and would like to come, stays a letter: a person looks.
    """
    if any(piece.is_cv for piece in pieces) or _OF_CANDIDATES.search(fold(said[:3000])):
        return pieces
    return tuple(
        dataclasses.replace(piece, document=dataclasses.replace(piece.document, kind=DocumentKind.OTHER))
        if piece.is_letter and not piece.by_name and piece.confidence < _SURELY and not _wants_work(piece)
        else piece
        for piece in pieces
    )


_SURELY = 0.9  # confidence; a programme of a candidate for a seat has 0.5, people who tell of their work 0.93 and more.
_OF_CANDIDATES = re.compile(
    r"\b(?:ma|mon|votre|your|my) (?:candidature|dossier de candidature|application)\b|lettre de motivation"
    r"|\bje candidate\b|cover letter|\bpostul|offre d.emploi|\bau poste d|\bpour (?:le|ce|votre) poste\b"
    r"|\bvotre (?:offre|annonce)\b"
)
_ANNOUNCED = re.compile(
    r"\b(?:voici|voila|voilou|ci-joint|joint|joins|joignant|envoie?|mets?|transmets|trouverez|pj|piece jointe|attached"
    r"|here is)\b[^.!?\n]{0,30}\b(?:cv|c\.v|curriculum|resume)\b"
    r"|\b(?:photographie|scanne|numerise|filme|pris en photo|prends en photo)e?r?\b[^.!?\n]{0,20}\b(?:mon|le|du|my)"
    r" (?:cv|curriculum|resume)\b"
    r"|\b(?:cv|curriculum)\b[^.!?\n]{0,20}\b(?:ci-joint|joint|en pj|en piece|en photo|en image|scanne|attached)\b"
    r"|\b(?:photo|capture d.ecran|screenshot|scan|image)s?\b[^.!?\n]{0,12}\b(?:mon|du|de|of my)"
    r" (?:cv|curriculum|resume)\b"
)


def letter_as_announced(pieces: tuple[Piece, ...], said: str) -> tuple[Piece, ...]:
    """The file that the message announces as a letter of motivation, and whose name says so too, is one."""
    if any(piece.is_letter for piece in pieces):
        return pieces
    besides = [piece for piece in pieces if _named_letter(piece) and _reads_as_letter(piece)]
    if len(besides) == 1 and any(piece.is_cv and piece is not besides[0] for piece in pieces) and not besides[0].is_cv:
        why = Evidence("named_letter", "une lettre, par son nom et sa forme, à côté d’un CV", 2.0)
        return _with_kind(pieces, besides[0], DocumentKind.LETTER, why)
    named = [piece for piece in pieces if _named_motivation(piece)]
    if len(named) != 1 or not _MY_LETTER.search(fold(said[:3000])):
        return pieces
    (one,) = named
    if one.is_paper or one.document.state not in (DocumentState.READ, *_OPAQUE):
        return pieces
    why = Evidence("announced_letter", "le message annonce une lettre, et le fichier en porte le nom", 2.0)
    return _with_kind(pieces, one, DocumentKind.LETTER, why)


def _named_letter(piece: Piece) -> bool:
    """Whether the file is called a letter, and no other letter than the candidate's own."""
    name = re.sub(r"[_\-.]+", " ", fold(piece.document.name))
    return re.search(r"\b(?:lettre|letter|motiv\w*|lm)\b", name) is not None and not _OTHER_LETTERS.search(name)


_OTHER_LETTERS = re.compile(
    r"recommand|recommend|reference|mission|employeur|engagement|soutien|accord|attestation|demission|embauche"
    r"|licenciement|resiliation|preavis|relance|rappel|rupture|refus|admission|acceptation|president|maire|intention"
    r"|info|newsletter|ouverte|type|modele|exemple"
)
_SALUTES = re.compile(r"^\W*(?:ch[eè]re?s? )?(?:madame|monsieur|mesdames|bonjour|dear)\b", re.IGNORECASE | re.MULTILINE)


def _reads_as_letter(piece: Piece) -> bool:
    """Whether it is prose in the first person that greets somebody."""
    words = re.findall(r"[a-z]+", fold(piece.text[:6000]))
    speaks = sum(word in ("je", "j", "mon", "ma", "mes", "i", "my") for word in words)
    return len(words) >= _PROSE and speaks >= _SPEAKS and _SALUTES.search(piece.text[:3000]) is not None


_PROSE, _SPEAKS = 80, 4  # words, of which so many of oneself
_MY_LETTER = re.compile(r"\bma lettre\b|\bmy (?:cover|motivation) letter\b")


def as_announced(pieces: tuple[Piece, ...], said: str) -> tuple[Piece, ...]:
    """The one attachment that nobody could read is the CV where the message says that it is there."""
    attached = [piece for piece in pieces if piece.document.part != BODY_PART]
    if len(attached) != 1 or attached[0].is_paper or not attached[0].by_name or not _ANNOUNCED.search(fold(said)):
        return pieces
    (one,) = attached
    if one.document.state not in _OPAQUE and not one.document.media_type.startswith("image/"):
        return pieces
    why = Evidence("announced_cv", "le message annonce un CV, et c’est la seule pièce", 2.0)
    return _with_kind(pieces, one, DocumentKind.CV, why)


def _with_kind(pieces: tuple[Piece, ...], one: Piece, kind: DocumentKind, why: Evidence) -> tuple[Piece, ...]:
    """The same pieces, of which one is what the message says that it is."""
    document = dataclasses.replace(one.document, kind=kind, why=(why,))
    return tuple(dataclasses.replace(piece, document=document) if piece is one else piece for piece in pieces)


# "Message du candidat :" in what a site passes on; what stands before and after are the site's own words.
_RELAYED = re.compile(r"^\W*(?:(?:son|votre|le) )?message\b[^:\n]{0,40}:?[ \t]*$", re.IGNORECASE | re.MULTILINE)
_SITES_END = re.compile(
    r"^.*(?:pi[eè]ces? jointes?|espace (?:employeur|recruteur)|©|se d[ée]sabonner|connectez-vous).*$",
    re.IGNORECASE | re.MULTILINE,
)


def candidates_part(text: str) -> str:
    """What a candidate wrote in a message that a site wrote."""
    begins = _RELAYED.search(text)
    if begins is None:
        return ""
    rest = text[begins.end() :]
    ends = _SITES_END.search(rest)
    return rest[: ends.start()] if ends is not None else rest


# "Ma lettre ci-après": the body is it, and the sentence that says so is no sign of another.
_BELOW = re.compile(
    r"[^.!?;\n]*\b(?:ma lettre|lettre de motivation|my (?:cover )?letter)\b[^.!?;\n]*[.!?;:]?", re.IGNORECASE
)
_HERE = re.compile(r"\b(?:ici|ci-apr[eè]s|ci-dessous|dans ce (?:mail|message)|below)\b", re.IGNORECASE)


# A subject that says what a CV is for.
_NAMES_A_POST = re.compile(
    r"candidat|postul|\bpostes?\b|\bemploi|\bstage|charge[er]?s? de mission|application|position|\bjob\b"
)


# "Je n'ai pas rédigé de lettre": then this is none.
_NO_LETTER = re.compile(
    r"\blettre\b[^.!?;\n]{0,40}\b(?:attendre|attendra|suivra|suit|suivre|arrive|arrivera|viendra|parviendra|plus tard"
    r"|demain|bient[oô]t|prochainement|ult[eé]rieurement|(?:lun|mar|mercre|jeu|vendre|same)di|dimanche|ce soir)\b|"
    r"\b(?:pas|sans|ni)\b[^.!?;\n]{0,40}\b(?:de|ma) lettre\b(?!,? mais)|\b(?:no|without a) (?:cover )?letter\b",
    re.IGNORECASE,
)
_A_LETTER = 120  # words; who says so in more writes one after all.
_YEAR = re.compile(r"\b(?:19[5-9]|20[0-4])\d\b")
_YEARS = 3  # a career has as many; most mails are not looked at more closely.


def _cv_in_body(text: str, rules: DocumentRules, subject: str) -> Classified | None:
    """A CV that was pasted into the message, as somebody does who cannot attach a file."""
    said = f"{subject}\n{text[:6000]}"
    if len(_YEAR.findall(text[:6000])) < _YEARS or not _OF_APPLICATIONS.search(fold(said)):
        return None
    judged = classify(
        text,
        name="",
        state=DocumentState.READ,
        pages=None,
        images=0,
        media_type="text/plain",
        vocabulary=rules,
    )
    return judged if judged.kind in _CVS else None


def letter_in_body(
    text: str, rules: DocumentRules, *, forwarded: bool, beside: tuple[Piece, ...], subject: str
) -> Piece | None:
    """The candidate's words as a letter or a CV, None when they only go with attachments: those `beside`."""
    alone = not beside
    with_cv = any(piece.is_cv for piece in beside) and _NAMES_A_POST.search(fold(subject)) is not None
    none = _NO_LETTER.search(text) and len(text.split()) < _A_LETTER
    judged = None if none else classify_body(text, rules, wish_is_known=with_cv)
    if judged is None:
        said = [found[0] for found in _BELOW.finditer(text[:3000]) if alone or _HERE.search(found[0])]
        rest = text
        for sentence in said:
            rest = rest.replace(sentence, " ", 1)
        judged = classify_body(rest, rules) if said else None
    if judged is None and alone:
        judged = _cv_in_body(text, rules, subject)
    if judged is None:
        return None
    octets = text.encode()
    document = Document(
        name=BODY_NAME,
        kind=judged.kind,
        where=Where.FORWARDED if forwarded else Where.BODY,
        state=DocumentState.READ,
        pages=None,
        part=BODY_PART,
        media_type="text/plain",
        size=len(octets),
        sha256=hashlib.sha256(octets).hexdigest(),
        why=judged.evidence,
    )
    return Piece(document, text, judged.confidence, by_name=False)
