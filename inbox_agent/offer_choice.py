"""Which offer a message is about: by reference, title, keywords and recipients; none for a post nobody published."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from inbox_agent.application import Evidence
from inbox_agent.phrases import cut, fold
from inbox_agent.pieces import BODY_PART

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from inbox_agent.offer import Offer
    from inbox_agent.rules import RecognitionRules
    from inbox_agent.sight import Sight

_NAMED_POST = re.compile(
    r"\b(?:postes?|place|emplois?|fonctions?|offre(?: d['’]emploi)?|annonce|candidatures?|postul\w*|candidat\w*"
    r"|recrutement|position|post|role|job|application|vacancy)(?: vacante?| actuellement| spontan[ée]e?)?\s*"
    r"(?::|[-–—]|d['’]|pour le poste d['’]|(?:de la|des|de|du|en tant que?|comme|pour le poste de|pour|au|a|à|of|as|for"
    r"|intitul[ée]e?)\b)"
    r"[\s:–—\"«'’-]*"
    r"(?P<post>[^\W\d_][^\n.;:!?()«»\"|]{2,90})",
    re.IGNORECASE,
)
# "Candidature secrétaire": without a word between, only a trade is meant.
_BARE_POST = re.compile(
    r"\b(?:candidature|poste|emploi)s?\s+(?P<post>[^\W\d_]{4,}[^\n.;:!?()«»\"|]{0,60})", re.IGNORECASE
)
_TRADE_FIELD = re.compile(
    r"\b(?:travail|travailler|emploi|job|poste|boulot|cdi|cdd|contrat|mission)s?\s+"
    r"(?:dans|en)\s+(?:le |la |les |l['’])?"
    r"(?P<post>m[ée]nage|cantine|nettoyage|restauration|b[âa]timent|vente|cuisine|espaces verts|jardinage"
    r"|secr[ée]tariat"
    r"|comptabilit[ée]|manutention|logistique|s[ée]curit[ée]|gardiennage|peinture|livraison|informatique|petite enfance"
    r"|aide [àa] (?:domicile|la personne)|entretien|transports?|h[ôo]tellerie|coiffure|m[ée]canique)\b",
    re.IGNORECASE,
)
_AS = re.compile(
    r"\b(?:en tant que?|en qualité de|comme|as an?)\s+(?P<post>[^\W\d_][^\n.,;:!?()«»\"|]{2,60})", re.IGNORECASE
)
_AS_WORKER = re.compile(
    r"\b(?:travailler|embauche|emploi|engagement|postule|candidate?|recrutement)\s+(?:\w+\s+){0,2}?"
    r"(?:comme|en tant qu[e'’]|en qualité d[e'’])\s*"
    r"(?P<post>[^\W\d_][^\n.,;:!?()«»\"|]{2,60})",
    re.IGNORECASE,
)
_ODD_JOB = re.compile(
    r"\b(?:(?:re)?cherche|souhait|postul|candidat|int[ée]gr|demande)\w*(?:\W+[^\W\d_]+){0,5}?\W+"
    r"(?:emploi|job|contrat|travail|poste)s? "
    r"(?:saisonniers?|administratifs?|similaires?|d['’]été|étudiants?|de vacances|d['’]appoint)\b"
    r"|\bjobs? d['’]été\b",
    re.IGNORECASE,
)
_ENOUGH = 2.0
_MOST_OF_IT = 0.6  # of the words of a title.
_WHOLE = 4.0  # the title in full, or the reference.


@dataclass(frozen=True, slots=True)
class Choice:
    """`offer` is None where none is meant; `tied` where several are as likely and nothing tells."""

    offer: Offer | None
    likely: tuple[str, ...]
    tied: bool
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class _Scored:
    offer: Offer
    named: float
    recipients: float
    evidence: tuple[Evidence, ...]

    @property
    def total(self) -> float:
        return self.named + self.recipients


def choose(
    sight: Sight, offers: tuple[Offer, ...], rules: RecognitionRules, day: date | None, *, first: bool
) -> Choice:
    """The offer that is meant, by the candidate's own words, then by the recipients where that leaves but one.

    `first` says that it is a first application: for what follows one, a guess would part it from its application.
    """
    texts = _texts(sight)
    mailboxes = _mailboxes(sight)
    scored = sorted((_score(offer, texts, mailboxes, rules) for offer in offers), key=lambda one: -one.total)
    if not scored:
        return Choice(None, (), tied=False, evidence=())
    likely = tuple(one.offer.id for one in scored if one.total > 0)
    strongest = max(one.named for one in scored)
    named = [one for one in scored if one.named >= max(_ENOUGH, strongest - 0.01)]
    named = [one for one in named if one.named >= _WHOLE or not _opens_later(one.offer, day)]
    if named and not _elsewhere(sight, named[0]):
        return _among(named, likely, day, first=first)
    relative = sight.has("relative") and (sight.in_subject("relative") or not sight.has("subject_application"))
    for_another = (
        sight.cvs and not sight.own_cv and (relative or (sight.others_cv and sight.has("seeks_work", "speaks_for")))
    )
    anything = (for_another or sight.has("any_work")) and not sight.has("this_offer")
    training = sight.in_subject("internship_words") and not sight.in_subject("this_offer")
    if anything or _unasked(sight) or sight.has("internship") or training:
        return Choice(None, likely, tied=False, evidence=_why_none(sight))
    addressed = [one for one in scored if one.recipients > 0] or scored
    opened = [one for one in addressed if not _opens_later(one.offer, day)] or addressed
    possible = [one for one in opened if another_post(sight, one.offer, rules, hinted=one.named > 0) is None]
    if not possible:
        return Choice(None, likely, tied=False, evidence=_why_none(sight))
    hinted = [one for one in possible if one.named > 0]
    return _among(hinted or possible, likely, day, first=first)


def names_one(subject: str, text: str, offers: tuple[Offer, ...], rules: RecognitionRules) -> bool:
    """Whether a subject bears most of the title of an offer, or the message its reference."""
    said = (("message", f"{subject}\n{text[:3000]}", 1.0),)
    return any(
        _share(significant(offer.title, rules.lists["empty_words"]), subject) >= _MOST_OF_IT
        or _by_reference(offer, said, rules)[0] > 0
        for offer in offers
    )


def _unasked(sight: Sight) -> bool:
    """Whether it is spontaneous: who says so of her answer to an offer means that she writes of her own accord."""
    return sight.has("spontaneous") and _ANSWERS_AN_OFFER.search(fold(sight.own[:3000])) is None


_ANSWERS_AN_OFFER = re.compile(r"\brepon(?:d|ds|dre|se|dant) a (?:l['’ ]|votre |cette |vos )(?:offre|annonce)")


def _elsewhere(sight: Sight, best: _Scored) -> bool:
    """An internship or a spontaneous application that only touches the offer's subject is not for the post."""
    if sight.has("spontaneous") and not _unasked(sight):
        return False
    if not (sight.has("internship") or any(map(sight.in_subject, ("internship_words", "spontaneous")))):
        return False
    title = fold(best.offer.title)
    if any(word in title for word in ("stage", "stagiaire", "alternan", "apprenti", "service civique", "volontaire")):
        return False
    return best.named < _WHOLE or any(map(sight.in_subject, ("internship", "internship_words", "spontaneous")))


def _among(choices: list[_Scored], likely: tuple[str, ...], day: date | None, *, first: bool) -> Choice:
    """One of several: by what was said, then the one that is open, then the one that closed last."""
    if first and day is not None and len(choices) > 1:
        current = [one for one in choices if _is_current(one.offer, day)]
        latest = max((one.offer.deadline for one in choices if one.offer.deadline is not None), default=None)
        choices = current or [one for one in choices if one.offer.deadline == latest]
    best = max(one.total for one in choices)
    top = [one for one in choices if one.total >= best - 0.01]
    if len(top) > 1:
        ids = tuple(one.offer.id for one in top)
        return Choice(None, tuple(dict.fromkeys((*ids, *likely))), tied=first, evidence=())
    chosen = top[0]
    return Choice(chosen.offer, tuple(dict.fromkeys((chosen.offer.id, *likely))), tied=False, evidence=chosen.evidence)


def _opens_later(offer: Offer, day: date | None) -> bool:
    return day is not None and offer.opens is not None and day < offer.opens


def _is_current(offer: Offer, day: date) -> bool:
    if _opens_later(offer, day) or (offer.closed is not None and day >= offer.closed):
        return False
    return offer.deadline is None or day <= offer.deadline


def _texts(sight: Sight) -> tuple[tuple[str, str, float], ...]:
    """Name of the place, text, and how much a finding there counts."""
    places = [("objet", sight.subject, 1.5), ("message", sight.own[:6000], 1.0)]
    places += [
        (piece.document.name, piece.text[:6000], 0.8) for piece in sight.letters if piece.document.part != BODY_PART
    ]
    places += [(piece.document.name, re.sub(r"[_\-.]+", " ", piece.document.name), 0.6) for piece in sight.attached]
    places += [(piece.document.name, piece.text[:400], 0.4) for piece in sight.cvs]
    if sight.answers:
        places.append(("message cité", sight.quoted[:3000], 0.7))
    return tuple(places)


def _mailboxes(sight: Sight) -> set[str]:
    """Whom the message is addressed to, without what is added after a "+"."""
    specs = {address.addr_spec for address in (*sight.message.to, *sight.message.cc, *sight.message.delivered_to)}
    return {re.sub(r"\+[^@]*@", "@", spec) if "+" in spec else spec for spec in specs}


def _score(
    offer: Offer, texts: tuple[tuple[str, str, float], ...], mailboxes: set[str], rules: RecognitionRules
) -> _Scored:
    evidence: list[Evidence] = []
    named = 0.0
    for finder in (_by_reference, _by_title, _by_keywords):
        weight, found = finder(offer, texts, rules)
        if weight:
            named += weight
            evidence.append(found)
    recipients = 0.6 * bool(mailboxes & set(offer.addressed_to)) + 0.4 * bool(mailboxes & set(offer.in_copy))
    if not recipients and named < rules.weights["offer_reference"]:
        named *= 0.5  # Published for another mailbox.
    return _Scored(offer, named, recipients, tuple(evidence))


def _by_reference(
    offer: Offer, texts: tuple[tuple[str, str, float], ...], rules: RecognitionRules
) -> tuple[float, Evidence]:
    weight = rules.weights["offer_reference"]
    folded = [(place, fold(text)) for place, text, _ in texts]
    for wanted in (offer.reference, offer.id):
        if not wanted:
            continue
        pieces, pattern = _reference(wanted)
        if pattern is None:
            continue
        for place, text in folded:
            if all(piece in text for piece in pieces) and pattern.search(text):
                return weight, Evidence("offer_reference", f"référence {wanted} ({place})", weight)
    return 0.0, Evidence("offer_reference", "", 0.0)


@lru_cache(maxsize=1000)
def _reference(wanted: str) -> tuple[tuple[str, ...], re.Pattern[str] | None]:
    """The letters and numbers of a reference, quick to look for, and how they follow each other."""
    folded = fold(wanted)
    if len(re.sub(r"[^a-z0-9]+", "", folded)) < 4:  # noqa: PLR2004 shorter is found in any text
        return (), None
    pieces = tuple(re.findall(r"[a-z]+|\d+", folded))
    return pieces, re.compile(r"(?<![a-z0-9])" + r"[^a-z0-9]*".join(pieces) + r"(?![a-z0-9])")


def _by_title(
    offer: Offer, texts: tuple[tuple[str, str, float], ...], rules: RecognitionRules
) -> tuple[float, Evidence]:
    wanted = significant(offer.title, rules.lists["empty_words"])
    best, shown = 0.0, ""
    for place, text, factor in texts:
        share = _share(wanted, text)
        if share * factor > best:
            best, shown = share * factor, f"{round(share * 100)} % des mots de l’intitulé ({place})"
    weight = round(rules.weights["offer_title"] * 2 * best, 2) if best >= 0.35 else 0.0  # noqa: PLR2004 a third of a title is chance
    return weight, Evidence("offer_title", shown, weight)


_OF_KEYWORDS = frozenset({"e", "de", "d", "du", "des", "la", "le", "l"})  # words that say nothing


def _by_keywords(
    offer: Offer, texts: tuple[tuple[str, str, float], ...], rules: RecognitionRules
) -> tuple[float, Evidence]:
    found: dict[str, float] = {}
    for keyword in offer.keywords:
        words = significant(keyword, _OF_KEYWORDS)
        for _, text, factor in texts:
            if _window(words, text):
                found[keyword] = max(found.get(keyword, 0.0), factor)
    weight = round(rules.weights["offer_keyword"] * min(sum(found.values()), 3.0), 2)
    return weight, Evidence("offer_keyword", ", ".join(f"« {keyword} »" for keyword in found), weight)


@lru_cache(maxsize=32)
def _places(text: str) -> dict[str, list[int]]:
    """Where each word of a text stands, by its stem."""
    places: dict[str, list[int]] = {}
    for at, word in enumerate(map(stem, cut(text).words)):
        places.setdefault(word, []).append(at)
    return places


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """Without the endings that gender and number make: "chargée", "chargés" and "chargé" are one."""
    for ending in ("trices", "trice", "teurs", "teur", "euses", "euse", "eurs", "eur", "ees", "ee", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:  # noqa: PLR2004 a shorter stem says nothing
            return word[: -len(ending)]
    return word


@lru_cache(maxsize=1000)
def significant(title: str, empty: frozenset[str]) -> tuple[str, ...]:
    """The words of a title that tell, as stems."""
    return tuple(
        dict.fromkeys(stem(word) for word in cut(title).words if word not in empty and word.isalnum() and len(word) > 1)
    )


def _share(wanted: tuple[str, ...], text: str) -> float:
    """How many of the wanted words stand close together, as a share."""
    places = _places(text)
    stands = sorted([(at, word) for word in wanted if word in places for at in places[word]])
    if len(stands) < 2:  # noqa: PLR2004 a word alone
        return 1.0 if stands and len(wanted) == 1 else 0.0
    span = 2 * len(wanted) + 4
    best = max((len({word for at, word in stands if start <= at < start + span}) for start, _ in stands), default=0)
    return best / len(wanted) if (wanted and best > 1) or len(wanted) == 1 else 0.0


def _window(wanted: tuple[str, ...], text: str) -> bool:
    """Whether the wanted words stand close together, the first of them first."""
    places = _places(text)
    for word in wanted:
        if word not in places:
            return False
    if not wanted:
        return False
    span = len(wanted) + 3
    return any(
        all(any(start <= at < start + span for at in places[word]) for word in wanted) for start in places[wanted[0]]
    )


def another_post(sight: Sight, offer: Offer, rules: RecognitionRules, *, hinted: bool = False) -> str | None:
    """The trade that the candidate names when it is not that of the offer, or None."""
    vague = rules.lists["vague_posts"] | rules.lists["empty_words"]
    ours = {word for text in (offer.title, *offer.keywords) for word in significant(text, rules.lists["empty_words"])}
    named = [
        *_NAMED_POST.finditer(sight.subject),
        *_AS.finditer(sight.subject),
        *_BARE_POST.finditer(sight.subject),
        *_NAMED_POST.finditer(sight.own[:4000]),
        *_AS_WORKER.finditer(sight.own[:4000]),
    ]
    if (odd := _ODD_JOB.search(f"{sight.subject}\n{sight.own[:2000]}")) is not None:
        return odd[0]
    other = None if hinted or sight.answers else _own_trade(sight, ours)
    if (trade := _TRADE_FIELD.search(f"{sight.subject}\n{sight.own[:2000]}")) is not None:
        other = None if any(stem(word) in ours for word in cut(trade["post"]).words) else trade["post"]
    names = _people(sight)
    for found in named:
        words = [word for word in cut(found["post"]).words if word.isalpha()][:7]
        telling = [word for word in words if word not in vague and len(word) > 2 and word not in names]  # noqa: PLR2004
        if not telling:
            continue
        if any(stem(word) in ours for word in telling):
            return None
        if other is None and _looks_like_trade(telling[0], rules.lists["trades"]):
            other = " ".join(found["post"].split()[:6])
    return other


_TRADE = re.compile(
    r"(?:.*(?:eur|euse|trice|teur|ier|iere|iste|ien|ienne|logue|graphe|tant|tante|aire|ant|ante|ent|ente)|charge|chargee|charges|chef|cheffe|aide|agent|agente|hote|hotesse|assistant|assistante|cadre|avocat|juriste|apprenti|apprentie|maitre|manager|expert|experte|adjoint|adjointe|delegue|deleguee|redac\w*|webmaster|community|graphiste|comptable|developer|officer|assistant|accountant|engineer|designer)s?"
)


def _own_trade(sight: Sight, ours: Collection[str]) -> str | None:
    """The trade alone in the subject, or the sender's where no published offer is spoken of."""
    said = None if sight.has("this_offer") else sight.says_trade
    trade = sight.trade_in_subject or said
    words = {stem(word) for word in cut(sight.subject).words} if sight.trade_in_subject else set()
    return trade if trade is not None and not (stem(trade) in ours or words & set(ours)) else None


_NO_TRADE = re.compile(
    r".*ments?|.*iere(?:ment)?|dernier|premier|entier|particulier|regulier|hier|janvier|fevrier|dossier|courrier|papier"
    r"|quartiers?|metiers?|chantiers?|avant|pendant|suivante?|maintenant|important|interessante?|precedente?|presente?"
    r"|meilleur|plusieurs|valeur|secteur|ailleurs|heures?|vacante?|urgente?|differente?|permanente?|couverture|contraire"
    r"|salaire|honoraires?|horaires?|necessaire|complementaire|affaires?|paire|faire|plaire|annuaire|existante?"
)


def _looks_like_trade(word: str, trades: Collection[str]) -> bool:
    if word in trades or word.rstrip("s") in trades:
        return True
    return bool(_TRADE.fullmatch(word)) and not _NO_TRADE.fullmatch(word)


def _people(sight: Sight) -> set[str]:
    return {
        fold(part)
        for address in (*sight.message.from_, *sight.message.to, *sight.message.cc)
        for part in re.findall(r"[^\W\d_]+", f"{address.name} {address.addr_spec.partition('@')[0]}")
    }


def _why_none(sight: Sight) -> tuple[Evidence, ...]:
    for cue in ("spontaneous", "internship", "internship_words", "any_work"):
        if cue in sight.hits:
            return (Evidence("no_offer", f"aucune offre visée : « {sight.hits[cue].quote} »", 0.0),)
    return (Evidence("no_offer", "le poste nommé n’est aucune de nos offres", 0.0),)
