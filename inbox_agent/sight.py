"""What is to be seen in a message before anything is judged: words, thread, links, documents.

Quoted text is no word of the sender's own, nor is what stands below "Cordialement".
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from inbox_agent.application import DocumentKind, Evidence
from inbox_agent.given_names import GIVEN_NAMES
from inbox_agent.offer import PUBLIC_DOMAINS
from inbox_agent.person import name_of
from inbox_agent.phrases import Words, cut, fold
from inbox_agent.pieces import BODY_PART
from inbox_agent.quoting import without_closing
from inbox_agent.rules import Place, Speaks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from inbox_agent.message import Address, Message
    from inbox_agent.pieces import Piece
    from inbox_agent.quoting import Written
    from inbox_agent.recipients import Addressed
    from inbox_agent.rules import Cue, RecognitionRules

_PREFIX = re.compile(
    r"^\s*(?:\[[^\]]{1,30}\]\s*)?(?P<prefix>re|réf|rép|rep|aw|sv|tr|fwd|fw|wg|i|transf|transfert|réponse)(?:\s*\[\d+\]|\(\d+\))?\s*:\s*",
    re.IGNORECASE,
)
_FORWARD_PREFIXES = frozenset({"tr", "fwd", "fw", "wg", "i", "transf", "transfert"})
_LINK = re.compile(r"https?://(?P<host>[\w.-]{3,120})(?P<path>/[^\s<>\"')\]]{0,300})?", re.IGNORECASE)
_WE = frozenset({"nous", "notre", "nos", "our", "we", "us"})
_FAMILIAR = frozenset({"tu", "te", "toi", "ton", "ta", "tes"})
_I = frozenset({"je", "j", "mon", "ma", "mes", "moi", "me", "m", "i", "my"})
_PLAINLY_NAMED = 0.7  # confidence of classify.py, 0 to 1
_A_BARE_SUBJECT = 4  # words
_A_TELLING_NAME = 6  # letters of a site's name; shorter ones are words too.
_CONTENT_CHARACTERS = 2500  # of an attachment that is no paper: its first page says what it is.


@dataclass(frozen=True, slots=True)
class Hit:
    """A cue that was found: where, and how often. `asked` when only in sentences that end in "?"."""

    cue: Cue
    places: frozenset[Place]
    quote: str
    count: int
    asked: bool

    def evidence(self) -> Evidence:
        """As it is shown: positive weights speak for an application."""
        against = self.cue.speaks not in (Speaks.APPLICATION, Speaks.FOLLOW_UP, Speaks.FACT)
        return Evidence(
            self.cue.id, f"{self.cue.says} : « {self.quote} »", -self.cue.weight if against else self.cue.weight
        )


@dataclass(frozen=True, slots=True)
class Sight:
    """One message, or the one inside a forward, as far as words and pieces go."""

    message: Message
    subject: str
    answers: bool
    own: str
    quoted: str
    pieces: tuple[Piece, ...]
    hits: Mapping[str, Hit]
    links: tuple[str, ...]
    recipients: tuple[Evidence, ...]
    notes: tuple[str, ...]
    question: bool
    we: bool
    for_oneself: bool
    weights: Mapping[str, float]
    institution: bool = False
    names_offer: bool = False
    other_goal: str | None = None
    private_sender: bool = False
    familiar: bool = False
    trade_in_subject: str | None = None
    says_trade: str | None = None
    own_cv: bool = False
    others_cv: bool = False
    several_owners: bool = False
    scores: Mapping[Speaks, float] = field(default_factory=dict)

    def has(self, *cues: str) -> bool:
        """Whether one of these cues was found."""
        return any(cue in self.hits for cue in cues)

    def score(self, speaks: Speaks) -> float:
        """The weights of all cues that speak for that."""
        return self.scores.get(speaks, 0.0)

    def in_subject(self, cue: str) -> bool:
        """Whether the subject itself says it."""
        return cue in self.hits and Place.SUBJECT in self.hits[cue].places

    @property
    def papers(self) -> tuple[Piece, ...]:
        """CVs and letters."""
        return tuple(piece for piece in self.pieces if piece.is_paper)

    @property
    def cvs(self) -> tuple[Piece, ...]:
        """The documents that hold a CV."""
        return tuple(piece for piece in self.pieces if piece.is_cv)

    @property
    def sure_cvs(self) -> tuple[Piece, ...]:
        """Those that can be read, or that are plainly named."""
        return tuple(piece for piece in self.cvs if not piece.by_name or piece.confidence >= _PLAINLY_NAMED)

    @property
    def letters(self) -> tuple[Piece, ...]:
        """The documents that hold a letter, the body among them."""
        return tuple(piece for piece in self.pieces if piece.is_letter)

    @property
    def attached(self) -> tuple[Piece, ...]:
        """All documents but the body."""
        return tuple(piece for piece in self.pieces if piece.document.part != BODY_PART)


def bare_subject(subject: str) -> tuple[str, tuple[str, ...]]:
    """The subject without "Re:", "TR:" and the like, and those prefixes in lower case."""
    prefixes: list[str] = []
    while (found := _PREFIX.match(subject)) is not None and len(prefixes) < 10:  # noqa: PLR2004 nobody reads further
        prefixes.append(fold(found["prefix"]))
        subject = subject[found.end() :]
    return subject.strip(), tuple(prefixes)


def is_forward_prefix(prefixes: Collection[str]) -> bool:
    """Whether the outermost prefix says that the message was forwarded."""
    return next(iter(prefixes), "") in _FORWARD_PREFIXES


def find_hits(rules: RecognitionRules, texts: Iterable[tuple[Place, str]]) -> dict[str, Hit]:
    """Every cue found in the texts that it is looked for in; a cancelled phrase is not found."""
    hits: dict[str, Hit] = {}
    for place, text in texts:
        words = cut(text)
        found = list(rules.book.find(words))
        cancelled: dict[str, list[tuple[int, int]]] = {}
        for one in found:
            if one.key.endswith("!"):
                cancelled.setdefault(one.key[:-1], []).append((one.first, one.last))
        for one in found:
            cue = rules.cues.get(one.key)
            if cue is None or place not in cue.places:
                continue
            if any(one.first < last and first < one.last for first, last in cancelled.get(one.key, ())):
                continue
            asked = _is_asked(words, one.last)
            before = hits.get(one.key)
            if before is None:
                hits[one.key] = Hit(cue, frozenset({place}), words.quote(one.first, one.last), 1, asked)
            else:
                quote = words.quote(one.first, one.last) if before.asked and not asked else before.quote
                hits[one.key] = Hit(cue, before.places | {place}, quote, before.count + 1, before.asked and asked)
    return hits


_ON_PAPER = frozenset({Place.NAMES, Place.DOCUMENTS})
_APPLYING = ("applies", "encloses_papers", "greets_as_candidate", "subject_application")


def _as_written(hits: dict[str, Hit], pieces: tuple[Piece, ...], *, is_answer: bool, ours: bool) -> dict[str, Hit]:
    """Where somebody applies, or answers our mail to a candidate, the words of a diploma or a pay slip are left out."""
    papers = any(piece.is_paper and piece.document.part != BODY_PART for piece in pieces)
    says_so = "applies" in hits and not hits["applies"].asked
    if not (
        says_so
        or ours
        or (papers and any(cue in hits for cue in _APPLYING))
        or (is_answer and ("adds" in hits or "subject_application" in hits))
    ):
        return hits
    return {
        name: dataclasses.replace(hit, places=hit.places - _ON_PAPER) if hit.cue.speaks is Speaks.OTHER else hit
        for name, hit in hits.items()
        if not (hit.cue.speaks is Speaks.OTHER and hit.places <= _ON_PAPER)
    }


def _is_asked(words: Words, last: int) -> bool:
    """Whether the sentence goes on to a question mark."""
    return next((word == "?" for word in words.words[last - 1 :] if word in (".", "?")), False)


# What we write to somebody who has applied; an offer that we sent out says "candidatures" as well.
_OUR_ANSWER = re.compile(
    r"(?:votre|ta|your|ma|mon|my) (?:candidature|dossier|application)|(?:ma|mon|my) (?:cv|lettre)"
    r"|(?:un|une|l'|l’|the|an|votre|your|cet|notre|d'|d’) ?(?:entretien|interview|audition)\b|manqu|missing|illisible"
    r"|pas (?:lisible|ouvr)"
)
_INVITED = re.compile(r"(?:envoy|adress|transm|depos|parvenir|recevoir|send|submit|si |before)[^.!?\n]{0,40}$")


def answers_a_candidate(quoted: str) -> bool:
    """Whether what is answered speaks of an application that was made, and not of how to make one."""
    beneath = fold(quoted[:6000])
    return any(not _INVITED.search(beneath[: found.start()][-60:]) for found in _OUR_ANSWER.finditer(beneath))


def scores_of(hits: Mapping[str, Hit]) -> dict[Speaks, float]:
    """The sum of weights by what they speak for."""
    scores: dict[Speaks, float] = {}
    for hit in hits.values():
        scores[hit.cue.speaks] = scores.get(hit.cue.speaks, 0.0) + hit.cue.weight
    return scores


def see(
    message: Message, written: Written, pieces: tuple[Piece, ...], to_us: Addressed, rules: RecognitionRules
) -> Sight:
    """All that words, recipients and pieces say about one message."""
    subject, prefixes = bare_subject(message.subject)
    said, signature = without_closing(written.own)
    texts = [(Place.SUBJECT, subject), (Place.BODY, said)]
    texts += ((Place.SENDER, _shown(address)) for address in message.from_[:1])
    hits = find_hits(rules, [*texts, *_texts_of(pieces)])
    for name, hit in find_hits(rules, [(Place.BODY, signature)]).items():
        if hit.cue.speaks is Speaks.FACT:
            hits.setdefault(name, hit)
    is_answer = bool(message.in_reply_to)
    hits = _as_written(hits, pieces, is_answer=is_answer, ours=is_answer and answers_a_candidate(written.quoted))
    in_the_plural = _in_the_plural(said)
    return Sight(
        message=message,
        subject=subject,
        answers=bool(message.in_reply_to) or ("re" in prefixes or "rep" in prefixes or "aw" in prefixes),
        own=written.own,
        quoted=written.quoted,
        pieces=pieces,
        hits=hits,
        links=cloud_links(written.own, message.html, rules.lists["cloud_hosts"]),
        recipients=to_us.evidence,
        notes=to_us.notes,
        question="?" in cut(written.own).words,
        we=in_the_plural,
        for_oneself=not in_the_plural and bool(_I & set(cut(said).words)),
        weights=rules.weights,
        other_goal=other_goal(f"{subject}\n{said}", rules.lists["job_words"] | rules.lists["trades"]),
        institution=any(
            is_institution(address, rules.lists["no_names"], rules.lists["shared_names"])
            for address in message.from_[:1]
        ),
        private_sender=any(is_public(address.domain) for address in message.from_[:1]),
        familiar=bool(_FAMILIAR & set(cut(written.own).words)),
        trade_in_subject=trade_in_subject(subject, rules.lists["trades"]),
        says_trade=says_trade(said, rules.lists["trades"]),
        scores=scores_of(hits),
    )


def is_public(domain: str) -> bool:
    """Whether anybody can have an address there: by the provider's name, under any top-level domain."""
    labels = domain.split(".")
    name = labels[-3] if len(labels) > 2 and labels[-2] in ("co", "com") else labels[-2] if len(labels) > 1 else ""  # noqa: PLR2004
    return domain in PUBLIC_DOMAINS or name in _PROVIDERS


_PROVIDERS = frozenset(label for domain in PUBLIC_DOMAINS if len(label := domain.split(".")[-2]) > 3)  # noqa: PLR2004


def is_institution(address: Address, no_names: Collection[str], shared: Collection[str]) -> bool:
    """Whether an organisation's own address shows no person's name."""
    if not address.domain or is_public(address.domain):
        return False
    if _ORGANISATION.match(fold(address.name)):
        return True  # "Collège Jean-Philippe Rameau" bears a person's name, and is none.
    local, domain = fold(address.addr_spec.partition("@")[0]), fold(address.domain)
    words = [word for word in re.findall(r"[a-z]+", fold(address.name)) if len(word) > 2]  # noqa: PLR2004 particles
    if any(word in GIVEN_NAMES or (word in local and word not in shared) for word in words):
        return False
    if re.split(r"[.\-_+\d]", local)[0] in shared or any(len(word) > 3 and word in domain for word in words):  # noqa: PLR2004
        return True
    return bool(address.name) and name_of(address.name, address.addr_spec, no_names) is None


_ORGANISATION = re.compile(
    r"\W*(?:le |la |les |l'|l’)?(?:college|lycee|ecole|universite|iut|cfa|mairie|ville|commune|communaute|agglomeration"
    r"|metropole|departement|region|prefecture|ministere|direction|service|secretariat|association|federation|syndicat"
    r"|fondation|comite|conseil|chambre|caisse|maison|centre|institut|office|agence|cabinet|societe|groupe|compagnie"
    r"|cie|theatre|musee|atelier|studio|bureau|mediatheque|bibliotheque|hopital|clinique|banque|collectif|reseau|equipe|regie|union)"
    r"\b(?! [a-z]\.)"
)
_LOOKS_FOR = re.compile(
    r"\b(?:je|j'|nous|i am|i'm|et) (?:re)?cherch\w+ +(?P<sought>(?:[\w'’-]+ ?){1,5})"
    r"|\b(?:looking|searching) for +(?P<wanted>(?:[\w'’-]+ ?){1,5})"
    r"|\b(?:cv|curriculum(?: vitae)?|resume|parcours|bio(?:graphie)?|notice|lettre de motivation)\b[^.!?\n]{0,40}?"
    r" (?:pour|for) (?P<purpose>(?:l[ae]s?|l'|l’|votre|vos|notre|une?|mon|the|your|our|a) ?(?:[\w'’-]+ ?){1,3})"
)


def other_goal(text: str, job_words: Collection[str]) -> str | None:
    """What the sender looks for, or sends a CV for, when it is no job: a room, a programme, a page."""
    for found in _LOOKS_FOR.finditer(fold(text[:3000])):
        goal: str = found["sought"] or found["wanted"] or found["purpose"]
        words = re.findall(r"[a-z]+", goal)[: 2 if found["purpose"] else None]
        if words and not any(_is_trade(word, job_words) for word in words):
            return goal.strip()
    return None


def trade_in_subject(subject: str, trades: Collection[str]) -> str | None:
    """The trade that a short subject is: "plombier chauffagiste"."""
    words = cut(subject).words
    found = (word for word in words if _is_trade(word, trades))
    return next(found, None) if len(words) <= _A_BARE_SUBJECT else None


def says_trade(text: str, trades: Collection[str]) -> str | None:
    """The trade that the sender says to be of: "je suis comptable", or "Comptable unique depuis 22 ans"."""
    words = cut(text).words
    for at, word in enumerate(words):
        near = words[at + 1 : at + 3] if word in ("suis", "am") else words[at + 1 : at + 2] if word == "." else ()
        if (found := next((one for one in near if _is_trade(one, trades)), None)) is not None:
            return found
    return None


def _is_trade(word: str, trades: Collection[str]) -> bool:
    return word in trades or word.rstrip("es") in trades or word.rstrip("s") in trades


def _texts_of(pieces: tuple[Piece, ...]) -> Iterator[tuple[Place, str]]:
    """The names of what is attached, and the first page of what is no paper."""
    for piece in pieces:
        if piece.document.part == BODY_PART:
            continue
        yield Place.NAMES, re.sub(r"[_\-.]+", " ", piece.document.name)
        if piece.document.kind is DocumentKind.OTHER:
            yield Place.DOCUMENTS, piece.text[:_CONTENT_CHARACTERS]


def _in_the_plural(text: str) -> bool:
    """Whether an organisation speaks: more "nous" than "je"."""
    words = cut(text).words
    we = sum(word in _WE for word in words)
    return we >= 2 and we > sum(word in _I for word in words)  # noqa: PLR2004 one "nous rencontrer" is everybody's


def _shown(address: Address) -> str:
    """A sender as words: what a mail program shows and the domain; a public provider's says nothing."""
    domain = "" if address.domain in PUBLIC_DOMAINS else re.sub(r"[.\-_]+", " ", address.domain)
    return f"{address.name}. {domain}"


def cloud_links(text: str, html: str | None, hosts: Collection[str]) -> tuple[str, ...]:
    """Links to services that keep files for others; each once."""
    links: dict[str, None] = {}
    for found in _LINK.finditer(text[:100_000] + "\n" + (html or "")[:300_000]):
        host = found["host"].lower().removeprefix("www.")
        if any(host == known or host.endswith("." + known) for known in hosts) and len(found["path"] or "") > 1:
            links[found[0].rstrip(".,;")] = None
    return tuple(links)[:20]


def is_from(addresses: Iterable[Address], domains: Collection[str]) -> str | None:
    """The first of these domains that one of the addresses is under, or None; an entry may be a whole address.

    The name of a site counts under any top-level domain: hellowork.fr is hellowork.com.
    """
    names = _site_names(frozenset(domains))
    for address in addresses:
        labels = address.domain.split(".")
        for domain in (".".join(labels[at:]) for at in range(len(labels))):
            if domain in domains:
                return domain
        if address.addr_spec in domains:
            return address.addr_spec
        for label in labels[-3:-1]:
            if label in names:
                return address.domain
    return None


@lru_cache(maxsize=8)
def _site_names(domains: frozenset[str]) -> frozenset[str]:
    labels = (domain.split(".")[-2] for domain in domains if "@" not in domain and domain.count(".") == 1)
    return frozenset(label for label in labels if len(label) >= _A_TELLING_NAME and label not in PUBLIC_NAMES)


PUBLIC_NAMES = frozenset({"talent", "icloud", "monster", "google", "dropbox"})  # words, or providers of mailboxes too
