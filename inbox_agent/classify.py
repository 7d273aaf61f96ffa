"""What a document is: CV, letter, both in one file, or something else; by content first, and with its reasons.

A letter is looked for as a passage: the run of lines in which someone says "je" to someone else. What
lies outside of that passage is then judged as a CV, so that a file that holds both is found in either
order, and a letter that tells a whole career stays a letter. A CV need have neither headings nor lists: one
person who can be reached, deeds and dates in sentences, spoken to nobody, are one too; headings without a
person are none. Without text the file name and the look count, and the evidence says so.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inbox_agent.application import DocumentKind, DocumentState, Evidence
from inbox_agent.document_rules import SMALL_WORDS, DocumentRules, load_document_rules
from inbox_agent.document_text import Line, Passage, age_in, fold, read_passage, squeeze, stem, words_of, words_of_plain
from inbox_agent.given_names import GIVEN_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from inbox_agent.document_rules import Headings, Mark, Phrase, Possible, Scale, Shape

__all__ = ["Classified", "DocumentRules", "classify", "classify_body", "load_document_rules"]

NOTHING_WORDS = 8  # fewer words than this are a stamp or a page number, no text.
HEADING_WORDS, HEADING_LETTERS = 7, 45  # the longest heading, alone on its line, and before a colon.
SHARED_LINE_WORDS = 14  # the longest line in which a heading in capitals stands beside another column.
LONGEST_HEADING = 5  # words of a heading beside another column.
SHORT_HEADING = 6  # letters; a shorter word in capitals within a line is an abbreviation.
ABOVE_LETTER, BELOW_LETTER = 12, 5  # lines: address, date, object and salutation above; formula and name below.
ABOVE_CAREER, BELOW_CAREER = 12, 3  # lines before the first and after the last sign of a CV that belong to it.
FORM_SECTIONS = 3  # sections of a CV that make its form plain.
FEW_SIGNS = 4  # with fewer signs of a CV nothing can be told apart.
BRIEF_WORDS = 80  # words; a CV that is shorter shows less of everything, a letter without manners is none.
LEAST_ARGUMENT = 6  # words of a sentence that can put something forward.
LONG_SENTENCE = 30  # words; a longer one says more than its polite turn.
GREETING_WORDS, SIGNATURE_WORDS, SIGNED_WITHIN = 8, 4, 2  # words of such lines, lines below a letter
A_SAYING = 60  # characters; a title or a motto is shorter
QUOTED_SHARE = 0.35  # of a paper; more than that are the words of others
TOP_OF_CV, FOOT_OF_CV = 5, 3  # lines that say whose a CV is.
NAME_ALONE = 0.25  # a name without an address proves little.
NAME_LETTERS = 3  # of a name that is looked for in an address
TOLD = 0.5  # a date in a sentence counts half of one in a line of its own.
PHONE_DIGITS = 9  # a telephone number has nine and more.
OWN_ADDRESSES = 3  # numbers or addresses of one person, or of one and a referee; more are a directory.
MONOLOGUE = 0.25  # what is left of the weight of "je" against a CV where nobody is spoken to.
ARGUED_AT_LEAST = 0.15  # of the weight of arguments
BY_A_LANDLINE, BY_AGE = 0.7, 0.7  # a number that a firm may have; portraits of people tell an age
SHOWN = 4  # findings quoted in one piece of evidence.
SLIGHT = 0.05  # a weight below it is not worth a line of evidence.
NAME_OF_A_SCAN = 2.5  # times the weight of a name, since a page is seldom read without faults
NAMED_LIKE_A_PERSON = range(2, 5)  # words of a file name: "Jeanne Dupont.pdf".
PAGES_OF_A_CV = 4

# Scans lose the full stop: "paul@example org".
_EMAIL = re.compile(r"[\w.+-]+ ?@ ?[\w-]+(?:\.[\w.]+|[ ,]{1,2}(?:org|com|fr|net|eu|be|ch)\b)")
_AFTER_NAME = re.compile(r" ?[,|(:;/]| -+ | ?\d")
_INTRODUCED = re.compile(r"(?i:\bje m'appelle|\bmoi,? c'est|\bje suis|\bi'?m|\bi am|\bmy name is) ([^\W\d_]+)")
# Telephones and towns begin with their first sign, what stands before it is looked at after: four times as fast.
_MOBILE = re.compile(
    r"(?=[+0])(?:\b0 ?[67](?:[ .\-/]?\d\d){4}\b|\+(?!33)\d{1,3}[ \d().\-]{8,}\d|\+ ?33 ?(?:\(0\) ?)?[67])"
)
_OFFICE = re.compile(
    r"(?:contact|infos?|accueil|formations?|mairie|secretariat|recrutement|rh|administration|direction)\b"
)
_PHONE = re.compile(
    r"[+0](?:(?:(?<=\+) ?33|(?<=0)033|(?<=\+)32|(?<=\+)41|(?<=0)(?<!\w0)) ?(?:\(0\) ?)?[1-9](?:[ .\-/]?\d\d){4}\b"
    r"|(?<=\+)\d{1,3}[ \d().\-]{8,}\d)"
)
_CAPITALS = re.compile(r"[A-ZÀ-Þ]{2}")
_TOWN = re.compile(r"\d(?<!\w\d)\d ?\d{3} +[a-z]{3,}")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
# How headings begin that people find themselves; with "je" or "mon" in them they need not.
_OF_ONESELF = (" ce que ", " ce qui ", " ou j", " d ou je ", " la ou j", " qui suis ", " hors travail ", " en dehors ")
_LANGUAGE = (
    "anglais|espagnol|allemand|italien|portugais|arabe|chinois|russe|turc|neerlandais|polonais|roumain|wolof"
    "|creole|breton|lsf|english|french|spanish|german|italian|portuguese|arabic|chinese|russian|dutch"
)
_LANGUAGES = frozenset(f"{_LANGUAGE}|toeic|toefl|ielts".split("|"))
_LEVEL = re.compile(
    rf"\b(?:{_LANGUAGE})\b[^\n]{{0,25}}?"
    r"(?:\b[abc][12]\b|courant|bilingue|notion|scolaire|lu\b|parle|maternel|intermediaire|debutant|professionnel"
    r"|bon niveau|niveau|technique|couramment|native|fluent|basic|intermediate|advanced|proficient|conversational)"
    r"|\btoe(?:ic|fl)\b|\bielts\b"
)
# What a model leaves to fill in: brackets and angle brackets with words, boxes to tick behind words (but no row of
# them: that rates a skill), XX for digits, rules to write on.
_BLANK = re.compile(
    r"\[[^\]\d\n]{3,50}\]|(?<=\w )\[[ x]\](?! ?\[)|<[^>@/\d]{3,50}>|\b(?:19|20)?[Xx]{2,}\b|[Xx]{2}/[Xx]{2,}"
    r"|(?<=\w )_{4,}|: ?[_.]{4,}|(?<=\w )\.{8,}(?=\s*$)",
    re.MULTILINE,
)
_PARTICLES = re.compile(r"^(?:(?:de|du|des|d'|le|la|el|ben|van|von|da|do|di) ?)+(?=[A-ZÀ-Þ])")
_ELIDED = re.compile(r"^[dlDL]['’]")
_APPLICATION_OF = re.compile(
    r"\b(?:candidature|demande|dossier|embauche|recrutement|application) (?:de |d'|of )(?!stage|emploi|poste)"
)
# Schools, streets and hospitals bear names of persons.
_NAMED_PLACES = re.compile(
    r"(?:lycee|college|ecole|universite|hopital|clinique|rue|avenue|boulevard|place|quai|square|salle|centre|institut"
    r"|residence|espace|theatre|mediatheque|stade|gymnase|foyer|ehpad|maison|prix|fondation|station)$"
)
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n\s*\n")
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,5}$")
_QUOTATION = re.compile(
    r"-{3,} ?(?:message|original|forwarded)|_{10,}|(?:le|on) .{5,120}(?:a écrit|wrote) ?:", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Classified:
    """What a document is, why (heaviest first; positive weights speak for the verdict), and how sure, 0 to 1."""

    kind: DocumentKind
    evidence: tuple[Evidence, ...]
    confidence: float


@dataclass(frozen=True, slots=True)
class _Score:
    total: float
    evidence: tuple[Evidence, ...]

    @property
    def probability(self) -> float:
        return 1 / (1 + math.exp(-max(min(self.total, 30.0), -30.0)))


@dataclass(frozen=True, slots=True)
class _Look:
    """What is known of a document beside its text."""

    name: str
    state: DocumentState
    pages: int | None
    images: int
    media_type: str
    named: frozenset[DocumentKind]
    body: bool = False  # of a message


def classify(  # noqa: PLR0913 what is known of one document, all by keyword
    text: str,
    *,
    name: str,
    state: DocumentState,
    pages: int | None,
    images: int,
    media_type: str,
    vocabulary: DocumentRules,
) -> Classified:
    """What the document is. `images` are the pages that are pictures; `text` is all that could be read, or ""."""
    look = _Look(name, state, pages, images, media_type, _kinds_named(name, vocabulary))
    if state is DocumentState.REFUSED:
        return Classified(DocumentKind.OTHER, (Evidence("refused", "never opened: its name proves nothing", 1.0),), 1.0)
    passage = read_passage(text)
    scanty = passage.count < vocabulary.few_words and (images > 0 or state is not DocumentState.READ)
    read = _by_content(passage, look, vocabulary) if passage.count >= NOTHING_WORDS else None
    if read and not scanty:
        return read
    if read and read.kind is not DocumentKind.OTHER:  # A few words of a scan prove what it is, never what it is not.
        return read
    return _by_name(passage, look, vocabulary)


def _by_content(passage: Passage, look: _Look, vocabulary: DocumentRules) -> Classified:
    sight = _Sight.of(passage, vocabulary)
    span = _letter_passage(passage)
    letter = _letter_score(passage, span, sight, look, vocabulary)
    holds_letter = letter.total >= vocabulary.letter.threshold
    outside = passage.without(*span) if holds_letter else passage
    return _verdict(_cv_score(outside, sight, look, vocabulary, whole=not holds_letter), letter, vocabulary)


def classify_body(text: str, vocabulary: DocumentRules, *, wish_is_known: bool = False) -> Classified | None:
    """The body of a message as the letter, or letter and CV; None when it is a cover note, or anything else.

    `wish_is_known` when something else says already that work is wanted: the subject above a CV.
    """
    passage = read_passage(_own_words(text))
    rules = vocabulary.body
    is_this = any(_has(phrase, passage) for phrase in rules.letter_is_this)
    announced = not is_this and any(_has(phrase, passage) for phrase in rules.letter_is_announced)
    needed = rules.argument_words_when_letter_is_announced if announced else rules.argument_words
    argument = _argument_words(passage, vocabulary)
    if argument < needed or any(_has(phrase, passage) for phrase in rules.not_a_letter):
        return None
    if argument < rules.argument_words_beside_a_question and any(_has(phrase, passage) for phrase in rules.asks):
        return None
    look = _Look("", DocumentState.READ, None, 0, "text/plain", frozenset(), body=True)
    sight = _Sight.of(passage, vocabulary)
    span = _letter_passage(passage)
    letter = _letter_score(passage, span, sight, look, vocabulary)
    if letter.total < vocabulary.letter.threshold or not (wish_is_known or _asks_for_work(letter)):
        return None
    cv = _cv_score(passage.without(*span), sight, look, vocabulary, whole=False)
    return _verdict(cv, letter, vocabulary)


def _asks_for_work(letter: _Score) -> bool:
    """A file sent to a recruiter may leave its purpose unsaid; the body of any mail must speak of working there."""
    return any(item.test in {"letter_wish", "letter_subject", "letter_title"} for item in letter.evidence)


# --- Verdict ----------------------------------------------------------------------------------------------


def _verdict(cv: _Score, letter: _Score, rules: DocumentRules) -> Classified:
    is_cv, is_letter = cv.total >= rules.cv.threshold, letter.total >= rules.letter.threshold
    sure_cv = cv.probability if is_cv else 1 - cv.probability
    sure_letter = letter.probability if is_letter else 1 - letter.probability
    match is_cv, is_letter:
        case True, True:
            kind, evidence = DocumentKind.CV_AND_LETTER, cv.evidence + letter.evidence
        case True, False:
            kind, evidence = DocumentKind.CV, cv.evidence
        case False, True:
            kind, evidence = DocumentKind.LETTER, letter.evidence
        case _:
            kind, evidence = DocumentKind.OTHER, _against(cv, letter)
    return Classified(kind, _ordered(evidence), round(sure_cv * sure_letter, 3))


def _against(cv: _Score, letter: _Score) -> tuple[Evidence, ...]:
    """Why it is neither: what spoke against the likelier of the two, with the sign turned."""
    nearer = cv if cv.total > letter.total else letter
    return tuple(Evidence(item.test, item.found, -item.weight) for item in nearer.evidence)


def _ordered(evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
    return tuple(sorted(evidence, key=lambda item: -abs(item.weight)))


def _score(scale: Scale, evidence: Iterable[Evidence]) -> _Score:
    kept = tuple(
        Evidence(item.test, item.found, round(item.weight, 2)) for item in evidence if abs(item.weight) >= SLIGHT
    )
    return _Score(sum(item.weight for item in kept) - scale.needed, kept)


# --- The CV -----------------------------------------------------------------------------------------------


def _cv_score(part: Passage, sight: _Sight, look: _Look, rules: DocumentRules, *, whole: bool) -> _Score:
    """How much of a CV the part is; beside a letter (not the `whole`) whoever signs it is known already."""
    scale = rules.cv
    headings = _headings(part, rules.headings)
    career = _career(part, [at for at, _, _ in headings])
    evidence = [*_sections(headings, rules)]
    evidence += [finding.evidence("cv", finding.mark.cv) for finding in _findings(sight.possible.cv, part)]
    speech = _Speech.of(part, headings, evidence)
    evidence += [
        _weigh("cv", shape, *_cv_shape(shape.name, part, speech, rules))
        for shape in scale.shapes
        if shape.name not in _ASIDES and (whole or shape.name != "identity")
    ]
    form = _form(evidence, scale)
    evidence += [
        _aside(shape, part, speech, form * scale.trade_discount) for shape in scale.shapes if shape.name in _ASIDES
    ]
    titled = {part.lines[at].words for at, _, _ in headings if at}
    others = sight.anywhere + _findings(sight.possible.near, career)
    discount = scale.trade_discount * form
    evidence += [item.evidence("other", item.mark.cv, discount) for item in others if not item.heads_only(titled)]
    return _score(scale, [*evidence, *_name_evidence(look, DocumentKind.CV, scale)])


@dataclass(frozen=True, slots=True)
class _Speech:
    """How a CV speaks: of whom, to whom, and under headings in whose words. Headings are left out of the counts."""

    i: int
    you: int
    own_headings: tuple[str, ...]
    people: frozenset[str]
    many: int  # names, numbers or addresses, whichever are more
    contacts: tuple[str, ...]
    address: str | None  # where there is one
    personal: bool
    addressed: bool
    works: bool

    @classmethod
    def of(cls, part: Passage, headings: list[tuple[int, str, str]], evidence: list[Evidence]) -> _Speech:
        headed = {at for at, _, _ in headings}
        own = {at for at, line in enumerate(part.lines[:-1]) if at not in headed and _heads_in_own_words(line)}
        if len(own) + len(headings) == 1:  # One short line may be anything.
            own = set()
        i = part.persons.i - sum([part.lines[at].i for at in headed | own])
        you = part.persons.you - sum([part.lines[at].you for at in headed | own])
        personal = bool(i or own) or any(item.test == "cv_person" for item in evidence)
        addressed = you > 1
        addresses = _addresses(part)
        contacts = tuple(_contacts(part, addresses))
        address = addresses[1][0] if len(set(addresses[1])) == 1 else None
        people = frozenset(" ".join(line.tokens[:2]) for line in part.lines if _opens_with_a_person(line))
        works = any(item.test.startswith(_OF_A_CAREER) for item in evidence)
        works = works or any(line.dated or line.told for line in part.lines)
        many = max(len(people) + 1, *(len(set(found)) for found in addresses))
        own_headings = tuple(part.lines[at].raw for at in sorted(own))
        return cls(i, you, own_headings, people, many, contacts, address, personal, addressed, works)


def _heads_in_own_words(line: Line) -> bool:
    """Whether a line is a heading that its writer found: "Ce que j'ai fait", "D'où je viens"."""
    relative = line.words.startswith(_OF_ONESELF)
    if relative and ":" in line.plain:
        return line.plain.index(":") < HEADING_LETTERS
    short = 1 < line.length <= HEADING_WORDS and (relative or line.i > 0)
    return short and line.raw[0].isupper() and line.raw[-1].isalpha()


def _identity(part: Passage, speech: _Speech, rules: DocumentRules) -> tuple[float, str]:
    """1 for one name with its owner's own address, on the lines where a paper says whose it is; less for the name."""
    if speech.addressed or len(speech.people) > 1 or not speech.works:
        return 0, ""
    edges = (*part.lines[:TOP_OF_CV], *part.lines[TOP_OF_CV:][-FOOT_OF_CV:])
    name = next(
        (line.raw for line in edges if _opens_with_a_person(line) or _bears_the_name(line, speech.address)), None
    )
    guess = edges[0].raw if _looks_like_a_name(edges[0].raw) and not _in_titles(edges[0], rules) else None
    own = [found for line in edges for found in (*_MOBILE.findall(line.plain), *_EMAIL.findall(line.plain))]
    if any(not _OFFICE.match(found) for found in own) and (name or guess):
        return 1.0, f"{name or guess}, and how to reach them"
    if any(age_in(line.plain) for line in edges) and (name or guess):
        return BY_AGE, f"{name or guess}, and an age"
    if name and any(_PHONE.search(line.plain) and not _OFFICE.match(line.plain) for line in edges):
        return BY_A_LANDLINE, f"{name}, and a telephone"
    return (NAME_ALONE, name) if name else (0, "")


def _bears_the_name(line: Line, address: str | None) -> bool:
    """Whether a short line holds words of the address: "par Hélène Sauvage" of "helene.sauvage@example.org"."""
    if address is None or line.length > GREETING_WORDS or "@" in line.raw:
        return False
    owner = address.partition("@")[0]
    return sum(len(word) >= NAME_LETTERS and word in owner for word in line.tokens) > 1


def _opens_with_a_person(line: Line) -> bool:
    """Whether a line opens with a first name and a surname, in either order: "Amel BOUCHAREB, couturière"."""
    if not line.raw[0].isupper() and not line.i:
        return False
    if line.i and (introduced := _INTRODUCED.search(line.raw)) and fold(introduced[1]) in GIVEN_NAMES:
        return True
    first, _, rest = line.raw.partition(" ")
    if fold(first).rstrip(",") in GIVEN_NAMES and age_in(line.plain):  # "Tom, 17 ans"
        return True
    rest = _PARTICLES.sub("", rest)
    if not rest or not first[0].isupper() or not rest[0].isupper():
        return False
    if fold(first).partition("-")[0] in GIVEN_NAMES:
        return True
    return (
        first.isupper()
        and len(first) > len("DE")
        and not _NAMED_PLACES.match(fold(first))
        and fold(rest.split()[0].rstrip(",")) in GIVEN_NAMES
    )


def _in_titles(line: Line, rules: DocumentRules) -> bool:
    return not rules.of_titles.isdisjoint(map(stem, line.tokens[:2]))


def _looks_like_a_name(raw: str) -> bool:
    """Whether a line could open with a rare name: two capitalised words."""
    tokens = _AFTER_NAME.split(raw)[0].split()[:2]
    return len(tokens) == len(("first", "last")) and all(token[0].isupper() for token in tokens)


def _nobody(part: Passage, speech: _Speech) -> float:
    """1 where no person stands behind the text, 0.5 where only a number or a town does, which may be a firm's."""
    dated = [line for line in part.lines if line.dated]
    if speech.personal or len(dated) > 1 or any(_YEAR.search(line.plain) for line in dated):
        return 0.0
    if "e-mail" in speech.contacts or "age" in speech.contacts:
        return 0.0
    return 0.5 if speech.contacts else 1.0


_OF_A_CAREER = ("cv_section_e", "cv_section_skills", "cv_degrees", "cv_deeds", "cv_told")
_ASIDES = frozenset({"first_person", "second_person"})


def _aside(shape: Shape, part: Passage, speech: _Speech, discount: float) -> Evidence:
    """What "je" and "vous" weigh against a CV: little where its form is plain, or where nobody is spoken to."""
    # Once is chance: "You can reach me at".
    count, shown = (speech.i, "je") if shape.name == "first_person" else (max(speech.you - 1, 0), "vous")
    told_to_nobody = MONOLOGUE if shape.name == "first_person" and not speech.addressed else 1.0
    item = _weigh("cv", shape, *_per_hundred(count, part, shown))
    return Evidence(item.test, item.found, item.weight * told_to_nobody * (1 - discount))


def _form(evidence: list[Evidence], scale: Scale) -> float:
    """How plainly a CV stands there, 0 to 1: dated lines above all, with a way to reach someone and sections."""
    shares = {f"cv_{shape.name}": shape.weight for shape in scale.shapes}
    weights = {item.test: item.weight for item in evidence}
    dated = weights.get("cv_dated_lines", 0.0) / (shares["cv_dated_lines"] or 1.0)
    contact = weights.get("cv_contact", 0.0) / (shares["cv_contact"] or 1.0)
    sections = min(sum(test.startswith("cv_section_") for test in weights) / FORM_SECTIONS, 1.0)
    return dated * (0.5 + 0.25 * contact + 0.25 * sections)


def _career(part: Passage, headed: list[int]) -> Passage:
    """The lines of the CV itself, without what people append to it."""
    signs = sorted({*headed, *(at for at, line in enumerate(part.lines) if line.dated)})
    return part.part(signs[0] - ABOVE_CAREER, signs[-1] + 1 + BELOW_CAREER) if len(signs) >= FEW_SIGNS else part


def _sections(headings: list[tuple[int, str, str]], rules: DocumentRules) -> Iterator[Evidence]:
    found = {section: heading for _, section, heading in reversed(headings)}
    for section in rules.sections:
        if section.name in found:
            yield Evidence(f"cv_section_{section.name}", f"heading “{found[section.name]}”", section.weight)


def _headings(part: Passage, headings: Headings) -> list[tuple[int, str, str]]:
    """Line, section and text of every heading. Those beside another column count where they are several."""
    found: list[tuple[int, str, str]] = []
    beside: list[tuple[int, str, str]] = []
    for at, line in enumerate(part.lines):
        words = line.tokens
        familiar = line.length <= SHARED_LINE_WORDS and not headings.known.isdisjoint(map(stem, words))
        pairs = _headings_of(line, words, headings, familiar=familiar)
        found += [(at, *pair) for pair in pairs]
        if familiar and not pairs and not line.sentence:
            beside += [(at, *pair) for pair in _headings_beside(line, words, headings)]
    sections = {section for _, section, _ in found + beside}
    return found + beside if len(sections) >= FORM_SECTIONS else found


def _headings_of(line: Line, words: list[str], headings: Headings, *, familiar: bool) -> list[tuple[str, str]]:
    """Sections whose heading this line is, opens with before a colon, or shows in capitals beside something else.

    `familiar` lines hold a word of some heading, rightly spelt.
    """
    if line.length <= HEADING_WORDS and (section := headings.section(words)):
        return [(section, line.raw)]
    before, colon, _ = line.plain.partition(":")
    if colon and len(before) < HEADING_LETTERS and (section := headings.section(words_of_plain(before))):
        return [(section, before.strip())]
    if not familiar:
        return []
    if _CAPITALS.search(line.raw):
        in_capitals = [pair for run in _runs_of_capitals(line.raw) for pair in _headings_within(run, headings)]
        if in_capitals:
            return in_capitals
    return _side_by_side(line, words, headings)


def _headings_beside(line: Line, words: list[str], headings: Headings) -> list[tuple[str, str]]:
    """A heading at the beginning or the end of a line that two columns share: "Formation 06 12 34 56 78"."""
    tokens = line.raw.split()
    if len(words) == len(tokens) and headings.known.isdisjoint((stem(words[0]), stem(words[-1]))):
        return []
    edges = [words_of_plain(fold(tokens[at])) for at in (0, -1)]
    if not any(all(stem(word) in headings.known for word in edge) for edge in edges):
        return []
    folded = (
        [[word] for word in words] if len(words) == len(tokens) else [words_of_plain(fold(token)) for token in tokens]
    )
    cuts: list[tuple[int, int]] = []
    if all(stem(word) in headings.known for word in folded[0]):
        cuts += [(0, at) for at in range(1, min(len(tokens), LONGEST_HEADING + 1)) if not tokens[at][0].islower()]
    if all(stem(word) in headings.known for word in folded[-1]):
        cuts += [(at, len(tokens)) for at in range(len(tokens) - 1, max(0, len(tokens) - 1 - LONGEST_HEADING), -1)]
    for first, last in cuts:
        piece = [word for token in folded[first:last] for word in token]
        if tokens[first][0].isupper() and sum(map(len, piece)) >= SHORT_HEADING and (section := headings.exact(piece)):
            return [(section, " ".join(tokens[first:last]))]
    return []


def _runs_of_capitals(raw: str) -> list[list[str]]:
    """Neighbouring words in capitals."""
    runs: list[list[str]] = [[]]
    for token in raw.split():
        if token.isupper() or (runs[-1] and token in {"&", "-", "/"}):
            runs[-1].append(token)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _headings_within(run: list[str], headings: Headings) -> list[tuple[str, str]]:
    """The headings that fill a run of capitals, longest first; none if anything is left over."""
    found: list[tuple[str, str]] = []
    folded = [word for token in run for word in words_of_plain(fold(token))]
    start = 0
    while start < len(folded):
        pieces = ((end, folded[start:end]) for end in range(len(folded), start, -1))
        long = ((end, piece) for end, piece in pieces if sum(map(len, piece)) >= SHORT_HEADING)
        match = next(((end, section) for end, piece in long if (section := headings.section(piece))), None)
        if match is None:
            return []
        found.append((match[1], " ".join(folded[start : match[0]])))
        start = match[0]
    return found


def _side_by_side(line: Line, words: list[str], headings: Headings) -> list[tuple[str, str]]:
    """Two headings that fill a line together: "Formation Compétences"."""
    if line.length > HEADING_WORDS or not (words[0] in SMALL_WORDS or stem(words[0]) in headings.known):
        return []
    for cut in range(1, len(words)):
        left = headings.exact(words[:cut])
        if left and (right := headings.section(words[cut:])) and left != right:
            return [(left, line.raw), (right, line.raw)]
    return []


def _cv_shape(name: str, part: Passage, speech: _Speech, rules: DocumentRules) -> tuple[float, str]:
    """The measure of one test of form, and what to show for it."""
    match name:
        case "dated_lines":
            return _dates(part, speech)
        case "language_levels":
            levels = [] if _LANGUAGES.isdisjoint(part.distinct) else _levels(part)
            return len(levels), _quote(levels)
        case "fragments":
            share = [line.sentence for line in part.lines].count(False) / max(len(part.lines), 1)
            return share, f"{share:.0%} of the lines are no sentences"
        case "blanks":
            return _blanks(part)
        case "questions":
            asked = [line.raw for line in part.lines if line.raw.endswith("?")]
            return len(asked), _quote(asked)
        case "brevity":
            return max(0.0, 1 - part.count / BRIEF_WORDS), f"{part.count} words"
        case _:
            return _whose(name, part, speech, rules)


def _levels(part: Passage) -> list[str]:
    lines = [line for line in part.lines if not line.sentence and not _LANGUAGES.isdisjoint(line.tokens)]
    return [line.raw for line in lines if _LEVEL.search(line.plain)]


def _whose(name: str, part: Passage, speech: _Speech, rules: DocumentRules) -> tuple[float, str]:
    """The measure of one test of who speaks, and of whom."""
    match name:
        case "contact":
            return len(speech.contacts), ", ".join(speech.contacts)
        case "identity":
            return _identity(part, speech, rules)
        case "own_headings":
            return len(speech.own_headings), _quote(speech.own_headings)
        case "we":
            return _per_hundred(part.persons.we, part, "nous")
        case "several_people":
            return max(0, speech.many - OWN_ADDRESSES), f"{speech.many} names, telephone numbers or addresses"
        case _:
            return _nobody(part, speech), "nothing personal, no years"


def _dates(part: Passage, speech: _Speech) -> tuple[float, str]:
    """The dates of a career in its lines, and, half as much, those told in sentences of a person."""
    dated = list({line.raw: line for line in part.lines if line.dated}.values())  # A page's head repeats its date.
    told = [line for line in part.lines if line.told] if speech.personal or speech.contacts else []
    measure = sum(line.dated for line in dated) + TOLD * sum(line.told for line in told)
    return measure, _quote(line.raw for line in (*dated, *told))


def _contacts(part: Passage, reached: tuple[list[str], list[str]]) -> list[str]:
    """How its owner can be reached; the address of an office is nobody's."""
    numbers, addresses = reached
    tests = (
        ("e-mail", any(not _OFFICE.match(address) for address in addresses)),
        ("telephone", bool(numbers)),
        ("town", _TOWN.search(part.plain)),
        ("age", age_in(part.plain)),
    )
    return [kind for kind, found in tests if found]


def _addresses(part: Passage) -> tuple[list[str], list[str]]:
    """Telephone numbers and e-mail addresses, as found."""
    at_signs = "\n".join([line.plain for line in part.lines if "@" in line.plain])
    numbers = [number for number in _PHONE.findall(part.plain) if sum(map(str.isdigit, number)) >= PHONE_DIGITS]
    return numbers, _EMAIL.findall(at_signs)


# --- The letter -------------------------------------------------------------------------------------------


def _letter_passage(passage: Passage) -> tuple[int, int]:
    """The lines, first to last, in which someone says "je" to someone: the run with the greatest sum.

    Lines of sentences count for it, the more for each "je" and "vous"; lines of lists, dates and headings
    against it (Kadane's maximum subarray).
    """
    best, best_range = 0.0, (0, 0)
    running, start = 0.0, 0
    for at, line in enumerate(passage.lines):
        if running <= 0:
            running, start = 0.0, at
        running += _letter_likeness(line)
        if running > best:
            best, best_range = running, (start, at + 1)
    return best_range


def _letter_likeness(line: Line) -> float:
    if line.i or line.you:
        return 4.0 * (line.i + line.you) + 0.2 * line.length
    if line.dated:
        return -4.0
    # Eleven words and more without a list's form: the middle of a sentence.
    return 0.1 * line.length if line.sentence or line.length >= 11 else -1.5  # noqa: PLR2004 said above


def _letter_score(passage: Passage, span: tuple[int, int], sight: _Sight, look: _Look, rules: DocumentRules) -> _Score:
    scale = rules.letter
    first, last = span
    core = passage.part(first, last)
    part = passage.part(first - ABOVE_LETTER, last + BELOW_LETTER)
    manners = _findings(sight.possible.letter, part)
    evidence = [finding.evidence("letter", finding.mark.letter) for finding in manners]
    evidence += [
        _weigh("letter", shape, *_letter_shape(shape.name, core, part, rules))
        for shape in scale.shapes
        if shape.name not in {"framed", "purposeless", "addressed_to_nobody"}
    ]
    if not look.body:  # Every message is signed.
        evidence += _framed(passage, span, evidence, scale)
    evidence += _lacks(scale, evidence, core, look)
    discount = scale.trade_discount * _voice(evidence, scale)
    others = sight.anywhere + _findings(sight.possible.near, part)
    evidence += [finding.evidence("other", finding.mark.letter, discount) for finding in others]
    if core.count < _least_words(evidence, scale, rules):
        evidence.append(Evidence("letter_too_short", f"{core.count} words in sentences", -scale.needed))
    return _score(scale, [*evidence, *_name_evidence(look, DocumentKind.LETTER, scale)])


def _framed(passage: Passage, span: tuple[int, int], evidence: list[Evidence], scale: Scale) -> Iterator[Evidence]:
    """Who greets and signs in words of their own: a short line with a comma above what is said, a name below it."""
    first, last = span
    if not passage.part(first, last).persons.you:
        return
    said = {item.test for item in evidence}
    above, below = passage.lines[max(first - 1, 0) : first + 1], passage.lines[last : last + SIGNED_WITHIN]
    found: list[str] = []
    if "letter_salutation" not in said:
        found += [line.raw for line in above if line.length <= GREETING_WORDS and line.raw.endswith((",", "!"))][:1]
    if "letter_closing" not in said:
        found += [line.raw for line in below if _is_signature(line)][:1]
    if found:
        shape = next(shape for shape in scale.shapes if shape.name == "framed")
        yield _weigh("letter", shape, len(found), _quote(found))


def _is_signature(line: Line) -> bool:
    """Whether the line is a name with at most a number: "Gaël", "Thibault Ngo, 06 12 34 56 78"."""
    name = _AFTER_NAME.split(line.raw)[0]
    if any(map(str.isalpha, line.raw.removeprefix(name))) or len(name.split()) > SIGNATURE_WORDS:
        return False
    return _opens_with_a_person(line) or (name.isalpha() and name[0].isupper() and fold(name) in GIVEN_NAMES)


def _least_words(evidence: list[Evidence], scale: Scale, rules: DocumentRules) -> int:
    """How short a letter may be: between a salutation and a formula few words will do, if they argue."""
    weights = {item.test: item.weight for item in evidence}
    argued = weights.get("letter_argument", 0.0) / (_share(scale, "argument") or 1.0)
    framed = (
        len({"letter_salutation", "letter_closing", "letter_framed"} & weights.keys()) > 1 and argued >= ARGUED_AT_LEAST
    )
    return rules.least_framed_letter_words if framed else rules.least_letter_words


def _share(scale: Scale, name: str) -> float:
    return next((shape.weight for shape in scale.shapes if shape.name == name), 0.0)


def _voice(evidence: list[Evidence], scale: Scale) -> float:
    """How plainly a candidate speaks, 0 to 1: "je", arguments, and what for."""
    shares = {f"letter_{shape.name}": shape.weight for shape in scale.shapes}
    weights = {item.test: item.weight for item in evidence}
    spoken = weights.get("letter_first_person", 0.0) / (shares["letter_first_person"] or 1.0)
    argued = weights.get("letter_argument", 0.0) / (shares["letter_argument"] or 1.0)
    aims = min(sum(weights.get(f"letter_{mark}", 0.0) for mark in ("wish", "subject", "title")), 1.0)
    return spoken * argued * aims


def _lacks(scale: Scale, evidence: list[Evidence], core: Passage, look: _Look) -> Iterator[Evidence]:
    """What a letter must not lack: what it is about, and, unless its file is called a letter, an addressee."""
    weights = {item.test: item.weight for item in evidence}
    purpose = sum(weights.get(f"letter_{mark}", 0.0) for mark in ("wish", "reasons", "subject", "title"))
    manners = {f"letter_{mark}" for mark in ("salutation", "closing", "framed", "subject", "title")} & weights.keys()
    called_so = DocumentKind.LETTER in look.named and "letter_wish" in weights
    for shape in scale.shapes:
        if shape.name == "purposeless":
            yield _weigh("letter", shape, max(0.0, 1 - purpose), "asks for no post and puts little forward")
        if shape.name == "addressed_to_nobody" and not manners and not called_so:
            measure = 1.0 if not core.persons.you else 0.5 if core.count < BRIEF_WORDS else 0.0
            yield _weigh("letter", shape, measure, "no salutation, no formula, no object")


def _letter_shape(name: str, core: Passage, part: Passage, rules: DocumentRules) -> tuple[float, str]:
    i, you, _, third = core.persons
    match name:
        case "first_person":
            return _per_hundred(i, core, "je")
        case "second_person":
            return _per_hundred(you, core, "vous")
        case "third_person":
            return _more_than_i(third, i, "il, elle")
        case "you_more_than_i":
            return max(0.0, (you - 1.5 * i) / (you + i)) if you else 0.0, f"“vous” {you} times, “je” {i} times"
        case "blanks":
            return _blanks(part)
        case "length":
            return core.count, f"{core.count} words"
        case "place_and_date":
            dated = [line.raw for line in part.lines if line.place_and_date]
            return len(dated), _quote(dated)
        case "of_another":
            return _of_another(core)
        case "shown":
            return _shown(part)
        case _:
            words = _argument_words(core, rules)
            return words, f"{words} words that put something forward"


def _shown(part: Passage) -> tuple[float, str]:
    """2 where the letter stands in quotation marks; else how many further letters take their leave in the paper."""
    text = " ".join(line.plain for line in part.lines)
    pieces = text.split('"')
    inside = pieces[1::2] if len(pieces) % 2 else []  # An odd mark is an inch, or was lost by who read the scan.
    quoted = [said for said in inside if len(said) > A_SAYING and any(mine in words_of(said) for mine in _MINE)]
    share = sum(len(found) for found in quoted) / len(text) if text else 0
    if share > QUOTED_SHARE:
        return 2, f"in quotation marks: {_quote(quoted)}"
    letters = part.words.count(" salutations ")
    return max(letters - 1, 0), f"{letters} letters take their leave"


def _of_another(core: Passage) -> tuple[float, str]:
    """1 where somebody named in a sentence is who the letter is about; nearer to 0 the more it says "je"."""
    i, _, _, third = core.persons
    if third > 1:  # Alone "son" may be anything's.
        third += sum(core.words.count(f" {word} ") for word in ("son", "sa", "ses", "his", "her"))
    about = max(0.0, (2 * third - i) / (third + i)) if third > 1 else 0.0
    applied_for = any(_APPLICATION_OF.search(line.plain) for line in core.lines if line.sentence)
    if not about and not applied_for:
        return 0, ""
    named = [name for line in core.lines if line.sentence for name in _persons_in(line.raw)]
    if not named:
        return 0, ""
    if applied_for:
        return 1, f"the application of {named[0]}"
    return about, f"{named[0]}; “il, elle” {third} times, “je” {i} times"


def _persons_in(raw: str) -> Iterator[str]:
    """First names with surnames within a line: "la candidature de Victor Amblard"."""
    tokens = [_ELIDED.sub("", token) for token in raw.split()]
    for before, first, last in zip(["", *tokens], tokens, tokens[1:], strict=False):
        capitals = first[:1].isupper() and last[:1].isupper()
        if capitals and fold(first) in GIVEN_NAMES and not _NAMED_PLACES.match(fold(before)):
            yield f"{first} {last.rstrip(',.;:!?')}"


def _more_than_i(theirs: int, mine: int, shown: str) -> tuple[float, str]:
    """0 when "je" is clearly more frequent, near 1 when it is not; once is chance."""
    if theirs <= 1:
        return 0.0, ""
    return max(0.0, (theirs - 0.5 * mine) / (theirs + mine)), f"“{shown}” {theirs} times, “je” {mine} times"


def _argument_words(passage: Passage, rules: DocumentRules) -> int:
    """Words in sentences that say "je" and are no mere politeness or question."""
    return sum(_argument_in(sentence, rules) for sentence in _SENTENCE_END.split(passage.plain))


def _argument_in(sentence: str, rules: DocumentRules) -> int:
    tokens = words_of_plain(sentence)
    count, words = len(tokens), f" {' '.join(tokens)} "
    if count < LEAST_ARGUMENT or sentence.rstrip().endswith("?") or not any(mine in words for mine in _MINE):
        return 0
    polite = count < LONG_SENTENCE and any(phrase.words in words for phrase in rules.body.politeness)
    return 0 if polite else count


_MINE = (" je ", " j ", " mon ", " ma ", " mes ", " moi ", " me ", " i ", " my ")


# --- What both have in common -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Finding:
    """A mark that shows, its share of the weight, and the phrases found."""

    mark: Mark
    share: float
    phrases: tuple[Phrase, ...]

    @property
    def found(self) -> str:
        """The phrases, for people."""
        return _quote(phrase.written for phrase in self.phrases)

    def heads_only(self, headings: set[str]) -> bool:
        """Whether the title that it is, "Thèse", is only a heading of a section."""
        return self.mark.place == "title" and headings.issuperset(phrase.words for phrase in self.phrases)

    def evidence(self, prefix: str, weight: float, discount: float = 0.0) -> Evidence:
        kept = 1 - discount if self.mark.trade else 1.0
        return Evidence(f"{prefix}_{self.mark.name}", self.found, weight * self.share * kept)


@dataclass(frozen=True, slots=True)
class _Sight:
    """What the phrases of the rules tell of a whole text: which can be there at all, and which marks count anywhere."""

    possible: Possible
    anywhere: list[_Finding]

    @classmethod
    def of(cls, passage: Passage, rules: DocumentRules) -> _Sight:
        possible = rules.marks.possible(passage)
        return cls(possible, _findings(possible.anywhere, passage))


def _findings(marks: Iterable[tuple[Mark, list[Phrase]]], part: Passage) -> list[_Finding]:
    """The marks that show in the part."""
    findings = []
    for mark, phrases in marks:
        match mark.place:
            case "title":
                starts = part.top.starts
                found = tuple([phrase for phrase in phrases if f"\n{phrase.words}" in starts])
            case "line":
                found = tuple([phrase for phrase in phrases if f"\n{phrase.words}" in part.starts])
            case _ if part.glued:
                found = tuple([phrase for phrase in phrases if _has(phrase, part)])
            case _:
                found = tuple([phrase for phrase in phrases if phrase.words in part.words])
        if found:
            # One phrase of several is weaker than its share: words stray into any document.
            findings.append(_Finding(mark, min(len(found) / mark.full, 1.0) ** 1.5, found))
    return findings


def _has(phrase: Phrase, passage: Passage) -> bool:
    if passage.glued:
        return len(phrase.squeezed) > SHORT_HEADING and phrase.squeezed in squeeze(passage.words)
    return (phrase.key is None or phrase.key in passage.distinct) and phrase.words in passage.words


def _weigh(scale: str, shape: Shape, measure: float, found: str) -> Evidence:
    return Evidence(f"{scale}_{shape.name}", found, shape.weight * min(measure / shape.full, 1.0))


def _per_hundred(count: int, passage: Passage, shown: str) -> tuple[float, str]:
    return 100 * count / max(passage.count, 1), f"“{shown}” {count} times in {passage.count} words"


def _blanks(part: Passage) -> tuple[float, str]:
    text = "\n".join(line.raw for line in part.lines)
    gaps = _BLANK.findall(text) if any(sign in text for sign in ("[", "<", "__", "...", "XX", "xx")) else []
    return len(gaps), _quote(gaps)


def _quote(found: Iterable[str]) -> str:
    shown = list(found)
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    return ", ".join(f"“{text[:60]}”" for text in shown[:SHOWN]) + more


# --- The name and the look --------------------------------------------------------------------------------


def _words_of_name(name: str) -> str:
    """The words of a file name, without its ending, parted where capitals and digits begin."""
    stem = _ENDING.sub("", name)
    stem = re.sub(r"(?<=[a-zà-ÿ])(?=[A-ZÀ-Ý])|(?<=[A-Z]{2})(?=[A-Z][a-z])", " ", stem)
    return words_of(re.sub(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])", " ", stem))


def _kinds_named(name: str, rules: DocumentRules) -> frozenset[DocumentKind]:
    """What a file name says: one kind, several, or none."""
    words = _words_of_name(name)
    said = (
        (DocumentKind.CV, rules.names.cv),
        (DocumentKind.LETTER, rules.names.letter),
        (DocumentKind.CV_AND_LETTER, rules.names.both),
        (DocumentKind.OTHER, rules.names.other),
    )
    kinds = frozenset(kind for kind, phrases in said if any(phrase.words in words for phrase in phrases))
    if not kinds and any(phrase.words in words for phrase in rules.names.medium):
        return frozenset({DocumentKind.OTHER})
    if any(phrase.words in words for phrase in rules.names.surely_other):
        return frozenset({DocumentKind.OTHER})
    if any(phrase.words in words for phrase in rules.names.sure_letter):
        return kinds - {DocumentKind.OTHER}
    return kinds


def _name_evidence(look: _Look, kind: DocumentKind, scale: Scale) -> list[Evidence]:
    if not look.named:
        return []
    speaks_for = kind in look.named or DocumentKind.CV_AND_LETTER in look.named
    weight = scale.name_weight * (NAME_OF_A_SCAN if look.images else 1)
    return [Evidence("file_name", f"says {', '.join(sorted(look.named))}", weight if speaks_for else -weight)]


def _by_name(passage: Passage, look: _Look, rules: DocumentRules) -> Classified:
    nothing_read = Evidence(
        "no_text",
        f"judged by name and look: state {look.state}, {look.pages or '?'} pages, {look.images} of them pictures",
        0.0,
    )
    if named := _kind_by_name(look.named):
        said = Evidence("file_name", f"“{look.name}” says {named}", 2.0)
        return Classified(named, (said, nothing_read), 0.85 if len(look.named) == 1 else 0.7)
    kind, why = _kind_by_look(passage, look, rules)
    return Classified(kind, (Evidence("look", why, 0.5), nothing_read), 0.4)


def _kind_by_name(named: frozenset[DocumentKind]) -> DocumentKind | None:
    both = {DocumentKind.CV, DocumentKind.LETTER} <= named or DocumentKind.CV_AND_LETTER in named
    match named:
        case _ if not named:
            return None
        case _ if both and DocumentKind.OTHER not in named:
            return DocumentKind.CV_AND_LETTER
        case _ if DocumentKind.CV in named:
            return DocumentKind.CV
        case _ if DocumentKind.OTHER in named:
            return DocumentKind.OTHER
        case _ if both:
            return DocumentKind.CV_AND_LETTER
        case _:
            return DocumentKind.LETTER


def _kind_by_look(passage: Passage, look: _Look, rules: DocumentRules) -> tuple[DocumentKind, str]:
    """Without a telling name: two headings read of it, or a page or two under a person's name, are mostly the CV."""
    headings = {section: heading for _, section, heading in _headings(passage, rules.headings)}
    if len(headings) > 1:
        return DocumentKind.CV, f"{_quote(headings.values())}: headings of a CV are nearly all that could be read"
    words = _words_of_name(look.name)
    if any(phrase.words in words for phrase in rules.names.application):
        kind = DocumentKind.LETTER if look.pages == 1 else DocumentKind.CV_AND_LETTER
        return kind, f"“{look.name}” says that it is an application, on {look.pages or '?'} pages"
    tokens = words.split()
    generic = any(phrase.words in words for phrase in rules.names.generic)
    personal = (
        not generic
        and len(tokens) in NAMED_LIKE_A_PERSON
        and all(token.isalpha() and len(token) > 1 for token in tokens)
        and (SMALL_WORDS.isdisjoint(tokens) or not GIVEN_NAMES.isdisjoint(tokens))
    )
    picture = look.media_type.startswith("image/")
    if personal and not picture and (look.pages or 1) <= PAGES_OF_A_CV and look.state is not DocumentState.EMPTY:
        return DocumentKind.CV, f"“{look.name}” is named like a person, as a CV often is"
    return DocumentKind.OTHER, f"“{look.name}” says nothing of what it holds"


# --- The body ---------------------------------------------------------------------------------------------


def _own_words(text: str) -> str:
    """The body without what it quotes, and without its signature."""
    lines: list[str] = []
    for line in text.split("\n"):
        if line.rstrip() == "--" or _QUOTATION.match(line.strip()):
            break
        if not line.lstrip().startswith(">"):
            lines.append(line)
    return "\n".join(lines)
