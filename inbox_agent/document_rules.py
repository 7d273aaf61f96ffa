"""The vocabulary and weights of documents.toml, as values; every fault in the file at once.

stdlib only: this is imported in the child that reads messages, whose start-up time counts.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from inbox_agent.document_text import squeeze, stem, words_of
from inbox_agent.errors import ConfigError, Fault

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from inbox_agent.document_text import Passage

# Words that headings have or lack at will: "Mes expériences", "Parcours de formation".
SMALL_WORDS = frozenset(
    (
        "mes",
        "mon",
        "ma",
        "my",
        "nos",
        "le",
        "la",
        "les",
        "l",
        "d",
        "de",
        "des",
        "du",
        "et",
        "en",
        "the",
        "of",
        "and",
        "a",
    )
)
_MISSPELT_WORDS = 3  # longer headings are rare, and correcting every line costs time.
_REMEMBERED = 50_000  # words that were looked at for misspelling; beyond that somebody sends noise to fill memory.
_CORRECTABLE = 7  # letters of a stem from which one wrong letter is forgiven; shorter words are too near each other.
PLACES = ("anywhere", "line", "title")
SHAPES_OF_CV = (
    "dated_lines",
    "contact",
    "language_levels",
    "fragments",
    "first_person",
    "second_person",
    "we",
    "identity",
    "own_headings",
    "questions",
    "nobody",
    "several_people",
    "blanks",
    "brevity",
)
SHAPES_OF_LETTER = (
    "first_person",
    "second_person",
    "third_person",
    "you_more_than_i",
    "purposeless",
    "blanks",
    "addressed_to_nobody",
    "length",
    "place_and_date",
    "framed",
    "of_another",
    "shown",
    "argument",
)


@dataclass(frozen=True, slots=True)
class Phrase:
    """One phrase: as written in the rules, and as it is looked for. A final * lets the word go on.

    `key` is its longest whole word, `others` are its other ones: a text without them cannot hold the phrase.
    """

    written: str
    words: str
    squeezed: str
    key: str | None
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """Phrases that say one thing together.

    `place`: anywhere, at the start of a line, or at the start of one of the first lines (title).
    `full` is how many different phrases give the whole weight. For marks of other documents the weights
    are against a CV and against a letter; for the others only the one that concerns them is set.
    `annex`: only counts near the CV or the letter itself, since people append such papers to their file.
    `trade`: its words are also the daily words of some trade, and count less where the form of a CV or the
    voice of a letter is plain.
    """

    name: str
    place: str
    annex: bool
    trade: bool
    full: int
    cv: float
    letter: float
    phrases: tuple[Phrase, ...]


class Possible(NamedTuple):
    """Marks with those of their phrases that a text may hold: of a CV, of a letter, of other papers (two kinds)."""

    cv: list[tuple[Mark, list[Phrase]]]
    letter: list[tuple[Mark, list[Phrase]]]
    anywhere: list[tuple[Mark, list[Phrase]]]
    near: list[tuple[Mark, list[Phrase]]]


@dataclass(frozen=True, slots=True)
class Marks:
    """All marks, in the order of `Possible`, looked for at once.

    Of some thousand phrases a page can hold some dozens: those whose words it holds. `keyed` says for the longest word
    which phrases they are, by the numbers of group, mark and phrase, and their other words; `keyless` are those without
    a whole word.
    """

    groups: tuple[tuple[Mark, ...], ...]
    keyed: dict[str, tuple[tuple[int, int, int, tuple[str, ...]], ...]]
    keyless: tuple[tuple[int, int, int], ...]

    @classmethod
    def of(cls, *groups: tuple[Mark, ...]) -> Marks:
        """With the places of their phrases."""
        keyed: dict[str, list[tuple[int, int, int, tuple[str, ...]]]] = {}
        keyless: list[tuple[int, int, int]] = []
        for group, marks in enumerate(groups):
            for number, mark in enumerate(marks):
                for at, phrase in enumerate(mark.phrases):
                    if phrase.key is None:
                        keyless.append((group, number, at))
                    else:
                        keyed.setdefault(phrase.key, []).append((group, number, at, phrase.others))
        return cls(groups, {key: tuple(places) for key, places in keyed.items()}, tuple(keyless))

    def possible(self, passage: Passage) -> Possible:
        """What the passage, or any part of it, may hold."""
        if passage.glued:
            return Possible(*([(mark, list(mark.phrases)) for mark in marks] for marks in self.groups))
        places, distinct = [*self.keyless], passage.distinct
        holds = distinct.issuperset
        for key in self.keyed.keys() & distinct:
            places += [(group, number, at) for group, number, at, others in self.keyed[key] if holds(others)]
        found: tuple[dict[int, list[Phrase]], ...] = tuple({} for _ in self.groups)
        for group, number, at in sorted(places):
            found[group].setdefault(number, []).append(self.groups[group][number].phrases[at])
        return Possible(
            *(
                [(marks[number], phrases) for number, phrases in here.items()]
                for marks, here in zip(self.groups, found, strict=True)
            )
        )


@dataclass(frozen=True, slots=True)
class Shape:
    """A test of form, named in the code: its weight, and the measure at which it has all its weight."""

    name: str
    weight: float
    full: float


@dataclass(frozen=True, slots=True)
class SectionRule:
    """A section of a CV: what it weighs, the headings that open it as `heading_key` has them, and glued."""

    name: str
    weight: float
    headings: frozenset[str]
    glued: frozenset[str]


@dataclass(frozen=True, slots=True)
class Scale:
    """What makes a CV, or a letter: the score from which it is one, and its tests."""

    needed: float
    threshold: float
    name_weight: float
    trade_discount: float
    shapes: tuple[Shape, ...]
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Names:
    """Words of file names.

    What is `surely_other` is so even beside "CV"; a `sure_letter` even beside "diplôme". A `medium` ("photo")
    says other only where no kind is named.
    """

    cv: tuple[Phrase, ...]
    letter: tuple[Phrase, ...]
    sure_letter: tuple[Phrase, ...]
    surely_other: tuple[Phrase, ...]
    application: tuple[Phrase, ...]
    both: tuple[Phrase, ...]
    other: tuple[Phrase, ...]
    generic: tuple[Phrase, ...]
    medium: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True)
class BodyRules:
    """When the body of a message is itself the letter. Words are counted in sentences that argue."""

    argument_words: int
    argument_words_when_letter_is_announced: int
    argument_words_beside_a_question: int
    politeness: tuple[Phrase, ...]
    letter_is_this: tuple[Phrase, ...]
    letter_is_announced: tuple[Phrase, ...]
    not_a_letter: tuple[Phrase, ...]
    asks: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True)
class Headings:
    """All headings of a CV, found again in spite of plurals, possessives, small words and one wrong letter."""

    sections: dict[str, str]
    glued: dict[str, str]
    known: frozenset[str]
    misspelt: dict[str, str]
    corrected: dict[str, str] = field(default_factory=dict, compare=False)  # what `_corrected` has found before

    @classmethod
    def of(cls, sections: tuple[SectionRule, ...], words: frozenset[str]) -> Headings:
        """From the sections, and from every stem that their headings are made of."""
        long = {word for word in words if len(word) >= _CORRECTABLE}
        misspelt = {wrong: word for word in sorted(long) for wrong in _one_letter_less(word)}
        keys = {key: section.name for section in sections for key in section.headings}
        glued = {stem(text): section.name for section in sections for text in section.glued}
        return cls(keys, glued, words, misspelt)

    def exact(self, words: list[str]) -> str | None:
        """The section that these words open as they are, but for endings and small words."""
        return self.sections.get("".join([stem(word) for word in words if word not in SMALL_WORDS]))

    def section(self, words: list[str]) -> str | None:
        """The section that these words open, or None. Words as `Line.words` has them."""
        if len(words) == 1 and (found := self.glued.get(stem(words[0]))):
            return found
        exact = [stem(word) for word in words if word not in SMALL_WORDS]
        if (found := self.sections.get("".join(exact))) or len(exact) > _MISSPELT_WORDS:
            return found
        unknown = [word for word in exact if word not in self.known]
        if not unknown or min(map(len, unknown)) < _CORRECTABLE - 1:
            return None
        return self.sections.get("".join([self._corrected(word) for word in exact]))

    def _corrected(self, word: str) -> str:
        """The heading's word that differs by one letter left out, added or changed (Levenshtein), or the word."""
        if word in self.known:
            return word
        found = self.corrected.get(word)
        if found is None:
            near = (self.misspelt[wrong] for wrong in (word, *_one_letter_less(word)) if wrong in self.misspelt)
            found = next(near, word)
            if len(self.corrected) < _REMEMBERED:
                self.corrected[word] = found
        return found


def _one_letter_less(word: str) -> list[str]:
    return [word[:at] + word[at + 1 :] for at in range(len(word))]


def heading_key(text: str) -> str:
    """A heading as `Headings.section` compares it."""
    return "".join(stem(word) for word in words_of(text).split() if word not in SMALL_WORDS)


@dataclass(frozen=True, slots=True)
class DocumentRules:
    """Everything of documents.toml, with an index of its marks and of its headings."""

    few_words: int
    least_letter_words: int
    least_framed_letter_words: int
    sections: tuple[SectionRule, ...]
    cv: Scale
    letter: Scale
    marks: Marks
    names: Names
    body: BodyRules
    headings: Headings
    of_titles: frozenset[str]  # words of titles and headings: "FICHE CLIENT" is nobody's name


def load_document_rules(path: Path) -> DocumentRules:
    """The rules at `path`. Raises ConfigError with every fault in the file."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            (Fault(str(path), "file", f"cannot be read ({error.strerror})", "Check the path."),)
        ) from None
    except UnicodeDecodeError:
        raise ConfigError((Fault(str(path), "file", "is not UTF-8", "Save it as UTF-8."),)) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError((Fault(str(path), "syntax", str(error), "Correct the TOML there."),)) from None
    faults: list[Fault] = []
    rules = _rules(_Table(str(path), "", table, faults))
    if faults:
        raise ConfigError(tuple(faults))
    return rules


class _Table:
    """A TOML table that notes what is wrong with it instead of raising."""

    def __init__(self, file: str, place: str, content: dict[str, Any], faults: list[Fault]) -> None:
        self.file, self.place, self.content, self.faults = file, place, content, faults

    def dotted(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place else key

    def fault(self, key: str, problem: str, remedy: str) -> None:
        self.faults.append(Fault(self.file, self.dotted(key), problem, remedy))

    def only(self, *known: str) -> None:
        for key in self.content:
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
                remedy = f'Did you mean "{close[0]}"?' if close else f"Known here: {', '.join(known)}."
                self.fault(key, "unknown key", remedy)

    def table(self, key: str) -> _Table:
        content = self.content.get(key)
        if not isinstance(content, dict):
            self.fault(key, "is missing" if content is None else "is not a table", f"Write [{self.dotted(key)}].")
            content = {}
        return _Table(self.file, self.dotted(key), content, self.faults)

    def tables(self) -> list[tuple[str, _Table]]:
        return [(key, self.table(key)) for key in self.content]

    def number(self, key: str, default: float | None = None) -> float:
        value = self.content.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fault(key, "is missing" if value is None else "is not a number", "Write a number, such as 1.5.")
            return 0.0
        return float(value)

    def whole(self, key: str, default: int | None = None) -> int:
        value = self.content.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            self.fault(key, "is missing" if value is None else "is not a whole number above 0", "Write 1 or more.")
            return 1
        return value

    def yes(self, key: str) -> bool:
        value = self.content.get(key, False)
        if not isinstance(value, bool):
            self.fault(key, "is neither true nor false", "Write true or false.")
        return bool(value)

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.content.get(key)
        if not isinstance(value, list) or not all(isinstance(text, str) and words_of(text).strip() for text in value):
            self.fault(key, "is missing" if value is None else "is not a list of phrases", 'Write ["one", "two"].')
            return ()
        return tuple(value)

    def phrases(self, key: str) -> tuple[Phrase, ...]:
        return tuple(_phrase(text) for text in self.texts(key))

    def place_of_mark(self) -> str:
        value = self.content.get("place", "anywhere")
        if value not in PLACES:
            self.fault("place", f"is not one of {', '.join(PLACES)}", "Write one of them.")
            return "anywhere"
        return str(value)


@cache
def _phrase(text: str) -> Phrase:
    words = words_of(text)
    whole = words.split()
    if text.endswith("*"):
        words = words.rstrip(" ")
        whole = whole[:-1]
    key = max(whole, key=len, default=None)
    return Phrase(text.removesuffix("*"), words, squeeze(words), key, tuple(word for word in whole if word != key))


def _rules(top: _Table) -> DocumentRules:
    numbers = ("few_words", "least_letter_words", "least_framed_letter_words")
    top.only(*numbers, "sections", "cv", "letter", "other", "names", "body")
    tables = top.table("sections").tables()
    sections = tuple(_section(name, table) for name, table in tables)
    stems = frozenset(
        stem(word)
        for _, table in tables
        for text in table.content.get("headings", ())
        for word in words_of(str(text)).split()
    )
    others = tuple(_mark_of_other(name, table) for name, table in top.table("other").tables())
    cv = _scale(top.table("cv"), SHAPES_OF_CV, cv=True)
    letter = _scale(top.table("letter"), SHAPES_OF_LETTER, cv=False)
    return DocumentRules(
        few_words=top.whole("few_words"),
        least_letter_words=top.whole("least_letter_words"),
        least_framed_letter_words=top.whole("least_framed_letter_words"),
        sections=sections,
        cv=cv,
        letter=letter,
        marks=Marks.of(
            cv.marks,
            letter.marks,
            tuple(mark for mark in others if not mark.annex),
            tuple(mark for mark in others if mark.annex),
        ),
        names=_names(top.table("names")),
        body=_body(top.table("body")),
        headings=Headings.of(sections, stems),
        of_titles=stems | _words_of_titles(others),
    )


def _words_of_titles(marks: Iterable[Mark]) -> frozenset[str]:
    titles = [phrase.words for mark in marks if mark.place == "title" for phrase in mark.phrases]
    return frozenset(stem(word) for title in titles for word in title.split())


def _section(name: str, table: _Table) -> SectionRule:
    table.only("weight", "headings")
    headings = table.texts("headings")
    return SectionRule(
        name,
        table.number("weight"),
        frozenset(map(heading_key, headings)),
        frozenset(squeeze(words_of(text)) for text in headings),
    )


def _scale(table: _Table, known_shapes: tuple[str, ...], *, cv: bool) -> Scale:
    table.only("needed", "threshold", "name_weight", "trade_discount", "shape", "marks")
    shapes = table.table("shape")
    shapes.only(*known_shapes)
    for missing in (name for name in known_shapes if name not in shapes.content):
        shapes.fault(missing, "is missing", "Write its weight and full; a weight of 0 switches it off.")
    return Scale(
        needed=table.number("needed"),
        threshold=table.number("threshold"),
        name_weight=table.number("name_weight"),
        trade_discount=table.number("trade_discount"),
        shapes=tuple(_shape(name, shape) for name, shape in shapes.tables()),
        marks=tuple(_mark(name, mark, cv=cv) for name, mark in table.table("marks").tables()),
    )


def _shape(name: str, table: _Table) -> Shape:
    table.only("weight", "full")
    full = table.number("full")
    if full <= 0:
        table.fault("full", "is not above 0", "Write the measure at which the test has its whole weight.")
    return Shape(name, table.number("weight"), full or 1.0)


def _mark(name: str, table: _Table, *, cv: bool) -> Mark:
    table.only("weight", "full", "place", "phrases")
    weight = table.number("weight")
    return Mark(
        name,
        table.place_of_mark(),
        annex=False,
        trade=False,
        full=table.whole("full", 1),
        cv=weight if cv else 0.0,
        letter=0.0 if cv else weight,
        phrases=table.phrases("phrases"),
    )


def _mark_of_other(name: str, table: _Table) -> Mark:
    table.only("against_cv", "against_letter", "annex", "trade", "full", "place", "phrases")
    against_cv, against_letter = table.number("against_cv"), table.number("against_letter")
    return Mark(
        name,
        table.place_of_mark(),
        annex=table.yes("annex"),
        trade=table.yes("trade"),
        full=table.whole("full", 1),
        cv=-against_cv,
        letter=-against_letter,
        phrases=table.phrases("phrases"),
    )


def _names(table: _Table) -> Names:
    keys = ("cv", "letter", "sure_letter", "surely_other", "application", "both", "other", "generic", "medium")
    table.only(*keys)
    return Names(*(table.phrases(key) for key in keys))


def _body(table: _Table) -> BodyRules:
    numbers = (
        "argument_words",
        "argument_words_when_letter_is_announced",
        "argument_words_beside_a_question",
    )
    phrases = ("politeness", "letter_is_this", "letter_is_announced", "not_a_letter", "asks")
    table.only(*numbers, *phrases)
    least, announced, beside_a_question = (table.whole(key) for key in numbers)
    return BodyRules(least, announced, beside_a_question, *(table.phrases(key) for key in phrases))
