"""What a document is: CV, letter, both in one file, or something else; by content first, and with its reasons.

A letter is looked for as a passage: the run of lines in which someone says "je" to someone else. What
lies outside of that passage is then judged as a CV, so that a file that holds both is found in either
order, and a letter that tells a whole career stays a letter. Without text the file name and the look
count, and the evidence says so.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inbox_agent.application import DocumentKind, DocumentState, Evidence
from inbox_agent.document_rules import DocumentRules, load_document_rules
from inbox_agent.document_text import Line, Passage, read_passage, squeeze, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inbox_agent.document_rules import Mark, Phrase, Scale, Shape

__all__ = ["Classified", "DocumentRules", "classify", "classify_body", "load_document_rules"]

_TITLE_LINES = 12  # lines from the top in which a title stands; PDF readers put a sidebar first.
_SHOWN = 4  # findings quoted in one piece of evidence.
_LONG_PAGES, _LONG_WORDS = 8, 3000  # an academic CV has eight pages; reports and theses have more.

_MONTH = (
    r"(?:janv(?:ier)?|fevr?(?:ier)?|mars|avr(?:il)?|mai|juin|juil(?:let)?|aout|sept(?:embre)?|oct(?:obre)?"
    r"|nov(?:embre)?|dec(?:embre)?|jan(?:uary)?|feb(?:ruary)?|march|mar|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|september|october|november|december)\.?"
)
_YEAR = r"(?:19[5-9]\d|20[0-4]\d)"
_DATE = rf"(?:(?:\d\d?[/.]){{0,2}}{_YEAR}|(?:\d\d?(?:er)? )?{_MONTH} ?{_YEAR}|{_MONTH}/{_YEAR})"
_NOW = r"(?:present|aujourd'?hui|ce jour|maintenant|actuel(?:lement)?|en cours|today|now|current|ongoing|\.\.\.)"
_SPAN = re.compile(
    rf"(?:{_DATE}|{_MONTH}|\d\d?[/.]\d\d|{_YEAR}) ?(?:-+|/|a|au|to|until|jusqu'?(?:a|en|au)|>|~) ?(?:{_DATE}|{_NOW}|\d\d\b)"
    rf"|\b(?:depuis|since|des) (?:le )?{_DATE}"
)
_STARTS_WITH_DATE = re.compile(rf"^[\W_]*(?:en |ete |in |summer |fin |debut )?{_DATE}(?!\w)")
_ENDS_WITH_DATE = re.compile(rf"(?<!\w){_DATE}[\W_]*$")
_EMAIL = re.compile(r"[\w.+-]+ ?@ ?[\w-]+\.[\w.]+")
_PHONE = re.compile(r"(?:\+ ?33|0033|\+32|\+41|\b0) ?(?:\(0\) ?)?[1-9](?:[ .\-/]?\d\d){4}\b|\+\d{1,3}[ \d().\-]{8,}\d")
_TOWN = re.compile(r"\b\d{2} ?\d{3} +[a-z]{3,}")
_LEVEL = re.compile(
    r"\b(?:anglais|espagnol|allemand|italien|portugais|arabe|chinois|russe|turc|neerlandais|polonais|roumain|wolof|creole|breton|lsf"
    r"|english|french|spanish|german|italian|portuguese|arabic|chinese|russian|dutch)\b[^\n]{0,25}?"
    r"(?:\b[abc][12]\b|courant|bilingue|notion|scolaire|lu\b|parle|maternel|intermediaire|debutant|professionnel|bon niveau|niveau"
    r"|technique|couramment|native|fluent|basic|intermediate|advanced|proficient|conversational)|\btoe(?:ic|fl)\b|\bielts\b"
)
_PLACE_AND_DATE = re.compile(
    rf"^(?:fait )?(?:a )?[a-z][a-z' -]{{1,40}},? ?(?:le )?(?:lundi |mardi |mercredi |jeudi |vendredi |samedi |dimanche )?"
    rf"\d\d?(?:er)?[ /.-]+(?:{_MONTH}|\d\d?)[ /.-]+\d{{2,4}}\W*$"
)
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n\s*\n")

_I = frozenset("je j me mon ma mes moi i my me myself".split())
_YOU = frozenset("vous votre vos you your yours".split())
_WE = frozenset("nous notre nos we our us".split())
_THIRD = frozenset("il elle ils elles lui he she him her his their they".split())
# Words that only sentences need; lists of jobs and degrees do without.
_OF_SENTENCES = frozenset(
    "je j me vous nous que qui ne pas est ai suis ce cette ces c mais si car donc ainsi afin dont ou comme plus tres aussi"
    " il elle on se s m y sont etre avoir ont avait etait sera peut leur cela tout bien"
    " i you we that which is am are was have has this would will can but because not it be been as".split()
)


@dataclass(frozen=True, slots=True)
class Classified:
    """What a document is, why (heaviest first; positive weights speak for what it was judged), and how sure, 0 to 1."""

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


def classify(
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
    passage = read_passage(text)
    if passage.count < 8 or (passage.count < vocabulary.few_words and (images or state is not DocumentState.READ)):
        return _by_name(name, state, pages, images, media_type, vocabulary)
    named = _kinds_named(name, vocabulary)
    others = tuple(_found_marks(vocabulary.other, passage, passage))
    first, last = _letter_passage(passage)
    letter = _letter_score(passage, first, last, pages, named, others, vocabulary)
    if letter.total < vocabulary.letter.threshold:
        cv = _cv_score(passage, passage, pages, named, others, vocabulary)
        return _verdict(cv, letter, vocabulary)
    return _verdict(
        _cv_score(passage.without(first, last), passage, pages, named, others, vocabulary), letter, vocabulary
    )


def classify_body(text: str, vocabulary: DocumentRules) -> Classified | None:
    """The body of a message as the letter; None when it is a cover note, or anything else."""
    own = _own_words(text)
    passage = read_passage(own)
    rules = vocabulary.body
    announced = any(_has(phrase, passage) for phrase in rules.letter_is_announced)
    needed = rules.argument_words_when_letter_is_announced if announced else rules.argument_words
    argument = _argument_words(passage, vocabulary)
    if argument < needed or any(_has(phrase, passage) for phrase in rules.not_a_letter):
        return None
    others = tuple(_found_marks(vocabulary.other, passage, passage))
    letter = _letter_score(passage, *_letter_passage(passage), None, frozenset(), others, vocabulary)
    if letter.total < vocabulary.letter.threshold:
        return None
    reason = Evidence("body_argues", f"{argument} words that put something forward", 1.0)
    return Classified(DocumentKind.LETTER, (reason, *letter.evidence), round(letter.probability, 3))


# --- Verdict


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
    ordered = tuple(sorted(evidence, key=lambda item: -abs(item.weight)))
    return Classified(kind, ordered, round(sure_cv * sure_letter, 3))


def _against(cv: _Score, letter: _Score) -> tuple[Evidence, ...]:
    """Why it is neither: what spoke against the likelier of the two, with the sign turned."""
    nearer = cv if cv.total > letter.total else letter
    return tuple(Evidence(item.test, item.found, -item.weight) for item in nearer.evidence)


def _score(scale: Scale, evidence: Iterable[Evidence]) -> _Score:
    kept = tuple(
        Evidence(item.test, item.found, round(item.weight, 2)) for item in evidence if abs(item.weight) >= 0.05
    )
    return _Score(sum(item.weight for item in kept) - scale.needed, kept)


# --- The CV


def _cv_score(
    part: Passage,
    whole: Passage,
    pages: int | None,
    named: frozenset[DocumentKind],
    others: tuple[tuple[Mark, float, str], ...],
    rules: DocumentRules,
) -> _Score:
    scale = rules.cv
    evidence = [*_sections(part, rules)]
    evidence += [
        Evidence(f"cv_{mark.name}", found, mark.cv * value)
        for mark, value, found in _found_marks(scale.marks, part, whole)
    ]
    evidence += [Evidence(f"other_{mark.name}", found, mark.cv * value) for mark, value, found in others]
    evidence += [_weigh("cv", shape, *_cv_shape(shape.name, part, pages)) for shape in scale.shapes]
    evidence += _name_evidence(named, DocumentKind.CV, scale)
    return _score(scale, evidence)


def _sections(part: Passage, rules: DocumentRules) -> list[Evidence]:
    found: dict[str, str] = {}
    for line in part.lines:
        for section, heading in _headings_of(line, rules.headings):
            found.setdefault(section, heading)
    return [
        Evidence(f"cv_section_{section.name}", f"heading “{found[section.name]}”", section.weight)
        for section in rules.sections
        if section.name in found
    ]


def _headings_of(line: Line, headings: dict[str, str]) -> list[tuple[str, str]]:
    """Sections whose heading this line is, opens with before a colon, or shows in capitals beside something else."""
    if line.count <= 7 and (section := headings.get(squeeze(line.words))):
        return [(section, line.raw)]
    before, colon, _ = line.plain.partition(":")
    if colon and len(before) < 45 and (section := headings.get(squeeze(words_of(before)))):
        return [(section, before.strip())]
    if line.count > 14:
        return []
    tokens = line.raw.split()
    runs = _runs_of_capitals(tokens)
    return [pair for run in runs for pair in _windows(run, headings)] or _side_by_side(line, headings)


def _runs_of_capitals(tokens: list[str]) -> list[list[str]]:
    """Neighbouring words in capitals, short words between them included."""
    runs: list[list[str]] = [[]]
    for token in tokens:
        if token.isupper() or (runs[-1] and token in {"&", "-", "/"}):
            runs[-1].append(token)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _windows(run: list[str], headings: dict[str, str]) -> list[tuple[str, str]]:
    """Headings within a run of capitals, longest first, each word used once."""
    found: list[tuple[str, str]] = []
    start = 0
    folded = [squeeze(words_of(token)) for token in run]
    while start < len(run):
        for end in range(min(len(run), start + 5), start, -1):
            glued = "".join(folded[start:end])
            if len(glued) > 5 and (section := headings.get(glued)):
                found.append((section, " ".join(run[start:end])))
                start = end - 1
                break
        start += 1
    return found


def _side_by_side(line: Line, headings: dict[str, str]) -> list[tuple[str, str]]:
    """Two headings that fill a line together: "Formation Compétences"."""
    words = line.words.split()
    for cut in range(1, len(words)):
        left, right = headings.get("".join(words[:cut])), headings.get("".join(words[cut:]))
        if left and right and left != right:
            return [(left, line.raw), (right, line.raw)]
    return []


def _cv_shape(name: str, part: Passage, pages: int | None) -> tuple[float, str]:
    """The measure of one test of form, and what to show for it."""
    match name:
        case "dated_lines":
            dated = [line for line in part.lines if _is_dated(line)]
            return len(dated), _quote(line.raw for line in dated)
        case "contact":
            plain = "\n".join(line.plain for line in part.lines)
            kinds = [
                kind
                for kind, pattern in (("e-mail", _EMAIL), ("telephone", _PHONE), ("town", _TOWN))
                if pattern.search(plain)
            ]
            return len(kinds), ", ".join(kinds)
        case "language_levels":
            levels = [line.raw for line in part.lines if line.count < 25 and _LEVEL.search(line.plain)]
            return len(levels), _quote(levels)
        case "fragments":
            share = _share_of_fragments(part)
            return share, f"{share:.0%} of the lines are no sentences"
        case "first_person":
            return _per_hundred(part, _I, "je")
        case "second_person":
            return _per_hundred(part, _YOU, "vous")
        case "we":
            return _per_hundred(part, _WE, "nous")
        case _:
            return _length_beyond(part, pages)


def _is_dated(line: Line) -> bool:
    """Whether a line is one of a career: short, with a span of dates, or a date at its beginning or end."""
    if line.count > 22 or not any(character.isdigit() for character in line.plain):
        return False
    if any(f" {word} " in line.words for word in ("je", "j", "vous", "nous")):
        return False
    if _PLACE_AND_DATE.match(line.plain):
        return False
    return bool(
        _SPAN.search(line.plain)
        or _STARTS_WITH_DATE.match(line.plain)
        or (line.count > 1 and _ENDS_WITH_DATE.search(line.plain))
    )


def _share_of_fragments(part: Passage) -> float:
    if not part.lines:
        return 0.0
    return sum(not _is_sentence(line) for line in part.lines) / len(part.lines)


def _is_sentence(line: Line) -> bool:
    return line.count >= 6 and any(word in _OF_SENTENCES for word in line.words.split())


# --- The letter


def _letter_passage(passage: Passage) -> tuple[int, int]:
    """The lines, first to last, in which someone says "je" to someone: the run with the greatest sum.

    Lines of sentences count for it, the more for each "je" and "vous"; lines of lists, dates and headings
    against it (Kadane's maximum subarray).
    """
    best, best_range = 0.0, (0, 0)
    running, start = 0.0, 0
    for index, line in enumerate(passage.lines):
        if running <= 0:
            running, start = 0.0, index
        running += _letter_likeness(line)
        if running > best:
            best, best_range = running, (start, index + 1)
    return best_range


def _letter_likeness(line: Line) -> float:
    words = line.words.split()
    personal = sum(word in _I or word in _YOU for word in words)
    if personal:
        return 4.0 * personal + 0.2 * line.count
    if _is_dated(line):
        return -4.0
    # Six words and more in a row without one: the middle of a sentence, mostly.
    return 0.1 * line.count if _is_sentence(line) or line.count >= 11 else -1.5


def _letter_score(
    passage: Passage,
    first: int,
    last: int,
    pages: int | None,
    named: frozenset[DocumentKind],
    others: tuple[tuple[Mark, float, str], ...],
    rules: DocumentRules,
) -> _Score:
    scale = rules.letter
    core = passage.part(first, last)
    # Objet, date and salutation stand above the sentences, the formula and the signature below.
    part = passage.part(first - 12, last + 5)
    evidence = [
        Evidence(f"letter_{mark.name}", found, mark.letter * value)
        for mark, value, found in _found_marks(scale.marks, part, part)
    ]
    evidence += [Evidence(f"other_{mark.name}", found, mark.letter * value) for mark, value, found in others]
    evidence += [
        _weigh("letter", shape, *_letter_shape(shape.name, core, part, pages, rules)) for shape in scale.shapes
    ]
    evidence += _name_evidence(named, DocumentKind.LETTER, scale)
    if core.count < rules.least_letter_words:
        evidence.append(Evidence("letter_too_short", f"{core.count} words in sentences", -5.0))
    return _score(scale, evidence)


def _letter_shape(
    name: str, core: Passage, part: Passage, pages: int | None, rules: DocumentRules
) -> tuple[float, str]:
    match name:
        case "first_person":
            return _per_hundred(core, _I, "je")
        case "second_person":
            return _per_hundred(core, _YOU, "vous")
        case "we_more_than_i":
            return _more_than_i(core, _WE, "nous")
        case "third_person":
            return _more_than_i(core, _THIRD, "il, elle")
        case "length":
            return core.count, f"{core.count} words"
        case "place_and_date":
            dated = [line.raw for line in part.lines if _PLACE_AND_DATE.match(line.plain)]
            return len(dated), _quote(dated)
        case "argument":
            words = _argument_words(core, rules)
            return words, f"{words} words that put something forward"
        case _:
            return _length_beyond(core, pages)


def _argument_words(passage: Passage, rules: DocumentRules) -> int:
    """Words in sentences that say "je" and are no mere politeness or question."""
    total = 0
    text = "\n".join(line.plain for line in passage.lines)
    for sentence in _SENTENCE_END.split(text):
        words = words_of(sentence)
        tokens = words.split()
        if len(tokens) < 6 or sentence.rstrip().endswith("?") or not any(token in _I for token in tokens):
            continue
        if len(tokens) < 30 and any(phrase.words in words for phrase in rules.body.politeness):
            continue
        total += len(tokens)
    return total


def _more_than_i(core: Passage, others: frozenset[str], shown: str) -> tuple[float, str]:
    """0 when "je" is clearly more frequent, 1 when it is not."""
    tokens = core.words.split()
    mine, theirs = sum(token in _I for token in tokens), sum(token in others for token in tokens)
    if theirs < 2:
        return 0.0, ""
    return max(0.0, (theirs - 0.5 * mine) / (theirs + mine)), f"{theirs} times “{shown}”, {mine} times “je”"


# --- Marks and measures common to both


def _found_marks(marks: tuple[Mark, ...], part: Passage, whole: Passage) -> Iterable[tuple[Mark, float, str]]:
    for mark in marks:
        found = list(
            dict.fromkeys(phrase.written for phrase in mark.phrases if _stands(phrase, mark.place, part, whole))
        )
        if found:
            # One phrase of several is weaker than its share: words stray into any document.
            yield mark, min(len(found) / mark.full, 1.0) ** 1.5, _quote(found)


def _stands(phrase: Phrase, place: str, part: Passage, whole: Passage) -> bool:
    match place:
        case "line":
            return any(line.words.startswith(phrase.words) for line in part.lines)
        case "title":
            return any(line.count <= 12 and line.words.startswith(phrase.words) for line in whole.lines[:_TITLE_LINES])
        case _:
            return _has(phrase, part)


def _has(phrase: Phrase, passage: Passage) -> bool:
    if passage.glued:
        return len(phrase.squeezed) > 6 and phrase.squeezed in squeeze(passage.words)
    return phrase.words in passage.words


def _weigh(scale: str, shape: Shape, measure: float, found: str) -> Evidence:
    return Evidence(f"{scale}_{shape.name}", found, shape.weight * min(measure / shape.full, 1.0))


def _per_hundred(passage: Passage, of: frozenset[str], shown: str) -> tuple[float, str]:
    if not passage.count:
        return 0.0, ""
    count = sum(token in of for token in passage.words.split())
    return 100 * count / passage.count, f"“{shown}” {count} times in {passage.count} words"


def _length_beyond(passage: Passage, pages: int | None) -> tuple[float, str]:
    beyond = max((pages or 1) / _LONG_PAGES - 1, passage.count / _LONG_WORDS - 1, 0.0)
    return beyond, f"{pages or '?'} pages, {passage.count} words"


def _quote(found: Iterable[str]) -> str:
    shown = list(found)
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(f"“{text[:60]}”" for text in shown[:_SHOWN]) + more


# --- The name and the look


def _kinds_named(name: str, rules: DocumentRules) -> frozenset[DocumentKind]:
    """What a file name says: one kind, several, or none."""
    stem = re.sub(r"\.[A-Za-z0-9]{1,5}$", "", name)
    stem = re.sub(r"(?<=[a-zà-ÿ])(?=[A-ZÀ-Ý])|(?<=[A-Z]{2})(?=[A-Z][a-z])", " ", stem)
    words = words_of(re.sub(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])", " ", stem))
    kinds = {
        kind
        for kind, phrases in (
            (DocumentKind.CV, rules.names.cv),
            (DocumentKind.LETTER, rules.names.letter),
            (DocumentKind.CV_AND_LETTER, rules.names.both),
            (DocumentKind.OTHER, rules.names.other),
        )
        if any(phrase.words in words for phrase in phrases)
    }
    return frozenset(kinds)


def _name_evidence(named: frozenset[DocumentKind], kind: DocumentKind, scale: Scale) -> list[Evidence]:
    if not named:
        return []
    speaks_for = kind in named or DocumentKind.CV_AND_LETTER in named
    return [
        Evidence(
            "file_name", f"says {', '.join(sorted(named))}", scale.name_weight if speaks_for else -scale.name_weight
        )
    ]


def _by_name(
    name: str, state: DocumentState, pages: int | None, images: int, media_type: str, rules: DocumentRules
) -> Classified:
    named = _kinds_named(name, rules)
    nothing_read = Evidence(
        "no_text", f"judged by name and look, state {state}, {pages or '?'} pages, {images} of them pictures", 0.0
    )
    if kind := _kind_by_name(named):
        said = Evidence("file_name", f"“{name}” says {kind}", 2.0)
        return Classified(kind, (said, nothing_read), 0.85 if len(named) == 1 else 0.7)
    kind, why = _kind_by_look(name, state, pages, media_type, rules)
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


def _kind_by_look(
    name: str, state: DocumentState, pages: int | None, media_type: str, rules: DocumentRules
) -> tuple[DocumentKind, str]:
    """Without text and without a telling name: a page or two under a person's name are mostly the CV."""
    words = words_of(re.sub(r"\.[A-Za-z0-9]{1,5}$", "", name))
    tokens = words.split()
    generic = any(phrase.words in words for phrase in rules.names.generic)
    personal = 2 <= len(tokens) <= 4 and not generic and all(token.isalpha() and len(token) > 1 for token in tokens)
    if personal and (pages or 1) <= 4 and state is not DocumentState.EMPTY and not media_type.startswith("image/"):
        return DocumentKind.CV, f"“{name}” is named like a person, as a CV often is"
    return DocumentKind.OTHER, f"“{name}” says nothing of what it holds"


# --- The body


def _own_words(text: str) -> str:
    """The body without what it quotes, and without its signature."""
    lines: list[str] = []
    for line in text.split("\n"):
        if line.lstrip().startswith(">"):
            continue
        if line.rstrip() == "--" or re.match(
            r"-{3,} ?(?:message|original|forwarded)|_{10,}|(?:le|on) .{5,120}(?:a écrit|wrote) ?:",
            line.strip(),
            re.IGNORECASE,
        ):
            break
        lines.append(line)
    return "\n".join(lines)
