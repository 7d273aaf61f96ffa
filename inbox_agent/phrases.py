"""Finding phrases in text that people typed: without accents, with typing errors, in capitals.

A phrase is words; `word*` lets the word go on, `a|b` is one of two words, `(a|b c)` one of several groups of
words (or none of them: `(a|)`), `_` stands for at most two further words, `…` for at most six, `^` at its start
for the beginning of the text. A gap never crosses the end of a sentence. A question mark is a word of its own,
so that a phrase may end with one.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

LONGEST = 30_000  # characters of one text that are looked at: ten pages; what follows changes no verdict.
_TOKEN = re.compile(r"[^\W_]+|\?|[.!;](?=\s|$)|\n[ \t\r]*\n")
# "intéressé(e)", "candidat·e", "motivé.e.s": the endings say nothing and would part the words of a phrase.
# The sign is looked for first and the letter before it afterwards: that is faster.
_INCLUSIVE = re.compile(
    r"(?:[·•∙⋅‧.](?<=[^\W\d_].)(?:e|es|ne|nes|le|trice|rice|euse|se|s)\b)+"
    r"|\((?<=[^\W\d_]\()(?:e|es|ne|le|s|trice|rice|euse|se)\)"
)
_MAY_COMBINE = re.compile("[\u0483-\u1fff\u20d0-\U0010ffff]")  # where the others are
_APOSTROPHES = re.compile(r"['’-]")
_ACCENTS = re.compile("[\u0300-\u034e\u0350-\u036f]+")  # combining, as nearly all accents are; U+034F is no accent
_URL = re.compile(r"\b(?:https?://|www\.)[^\s<>\"]{1,2000}", re.IGNORECASE)  # its "?" asks nothing.
_GAPS = {"_": 2, "…": 6, "...": 6}
_KNOWN_MAX = 50_000  # words remembered; beyond that somebody sends noise to fill memory.
_SHORTEST_CORRECTED = 6  # letters; shorter words have too many neighbours that are words of their own.
_BREAK = "."
_STOPS = frozenset((_BREAK, "?"))
_CHOICE = re.compile(r"[a-z0-9]+\*?|\?")
_GROUP = re.compile(r"\(([^()]*)\)")


@dataclass(frozen=True)
class Words:
    """A text cut into folded words; `level` is the text with what parts no words blanked out."""

    text: str
    level: str
    words: tuple[str, ...]

    @cached_property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """The places of the words in the text; most texts are never quoted."""
        return tuple(token.span() for token in _TOKEN.finditer(self.level))

    def quote(self, first: int, last: int, *, longest: int = 70) -> str:
        """The text from one word to another, `last` excluded, on one line."""
        cut = " ".join(self.text[self.spans[first][0] : self.spans[last - 1][1]].split())
        return cut if len(cut) <= longest else cut[: longest - 1].rstrip() + "…"


@dataclass(frozen=True, slots=True)
class Found:
    """A phrase of `key` from one word to another, `last` excluded."""

    key: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class _Element:
    words: frozenset[str]
    stems: tuple[str, ...]
    gap: int

    def fits(self, word: str) -> bool:
        return word in self.words or (bool(self.stems) and word.startswith(self.stems))


@dataclass(frozen=True, slots=True)
class _Phrase:
    """`next` is the second element where it follows the first without a gap: it decides nearly every time.

    `wanted` are the words of an element, one of which must be in the text; None where stems would do as well.
    """

    key: str
    elements: tuple[_Element, ...]
    at_start: bool
    next: _Element | None
    wanted: frozenset[str] | None


def fold(text: str) -> str:
    """Lower case, no accents: "Médiathèque" becomes "mediatheque", "Œuvre" "oeuvre"."""
    return _folded_word(text) if len(text) <= _WORD_MAX else _folded_text(text)


_WORD_MAX = 60  # characters; what is longer is a text, and goes when its message does


def _folded(text: str) -> str:
    plain = text.casefold().replace("œ", "oe").replace("æ", "ae")
    if plain.isascii():
        return plain
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", plain))
    if plain.isascii() or not _MAY_COMBINE.search(plain):
        return plain
    return "".join([letter for letter in plain if not unicodedata.combining(letter)])


_folded_word = lru_cache(maxsize=8_000)(_folded)
_folded_text = lru_cache(maxsize=32)(_folded)


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])


@lru_cache(maxsize=32)  # the texts of one message, each asked for by several tests
def cut(text: str) -> Words:
    """The words of a text, as phrases are compared with them."""
    text = text[:LONGEST]
    level = _URL.sub(_blank, text) if "://" in text or "www." in text.lower() else text
    level = _INCLUSIVE.sub(_blank, level)
    return Words(text, level, tuple(map(_word, _TOKEN.findall(level))))


# As people write on a telephone.
_SHORT = {
    "tjr": "toujours",
    "tjs": "toujours",
    "tjrs": "toujours",
    "bjr": "bonjour",
    "bsr": "bonsoir",
    "slt": "salut",
    "pr": "pour",
    "vs": "vous",
    "ns": "nous",
    "ds": "dans",
    "qd": "quand",
    "bcp": "beaucoup",
    "mtn": "maintenant",
    "msg": "message",
    "rep": "reponse",
    "recep": "reception",
    "cdt": "cordialement",
}


@lru_cache(maxsize=20_000)
def _word(found: str) -> str:
    if not found[0].isalnum():
        return "?" if found == "?" else _BREAK
    plain = fold(found)
    return _SHORT.get(plain, plain)


class PhraseBook:
    """Phrases compiled once; `find` costs about a millisecond for a page."""

    def __init__(self, phrases: Iterable[tuple[str, str]], real_words: Collection[str] = ()) -> None:
        """`phrases` are pairs of a key and a phrase as written. Raises ValueError for one that cannot be.

        `real_words` are never taken for typing errors: "fracture" is no "facture".
        """
        self._by_word: dict[str, list[_Phrase]] = {}
        self._by_stem: dict[str, list[_Phrase]] = {}
        vocabulary: set[str] = set()
        stems: set[str] = set()
        for phrase in (_compiled(key, plain) for key, written in phrases for plain in _expanded(written)):
            for word in phrase.elements[0].words:
                self._by_word.setdefault(word, []).append(phrase)
            for stem in phrase.elements[0].stems:
                self._by_stem.setdefault(stem, []).append(phrase)
            for element in phrase.elements:
                vocabulary |= element.words
                stems |= set(element.stems)
        self._stem_lengths = tuple(sorted({len(stem) for stem in self._by_stem}))
        self._real_words = frozenset(fold(word) for word in real_words)
        self._stems = tuple(stems)
        self._vocabulary = frozenset(vocabulary)
        self._known: dict[str, tuple[str, tuple[_Phrase, ...]]] = {}
        self._pairs: dict[tuple[str, str], tuple[_Phrase, ...]] = {}

    def find(self, text: Words) -> Iterator[Found]:
        """Every phrase that is there; one phrase may be found several times."""
        known = self._known
        looked_up = [known.get(word) or self._look_up(word) for word in text.words]
        words = [word for word, _ in looked_up]
        distinct = set(words)
        for place, (_, phrases) in enumerate(looked_up):
            if not phrases:
                continue
            following = words[place + 1] if place + 1 < len(words) else ""
            for phrase in self._going_on(text.words[place], phrases, following):
                if (phrase.at_start and place) or (phrase.wanted is not None and phrase.wanted.isdisjoint(distinct)):
                    continue
                last = _end(phrase, words, place)
                if last:
                    yield Found(phrase.key, place, last)

    def _going_on(self, word: str, phrases: tuple[_Phrase, ...], following: str) -> tuple[_Phrase, ...]:
        """Those of the phrases that begin with `word` which may go on with the next."""
        known = self._pairs.get((word, following))
        if known is None:
            known = tuple(phrase for phrase in phrases if phrase.next is None or phrase.next.fits(following))
            if len(self._pairs) < _KNOWN_MAX:
                self._pairs[word, following] = known
        return known

    @cached_property
    def _one_letter_less(self) -> dict[str, tuple[str, ...]]:
        """The words of the vocabulary by what is left of them when one letter is missing."""
        less: dict[str, tuple[str, ...]] = {}
        for word in self._vocabulary:
            if len(word) >= _SHORTEST_CORRECTED:
                alone = (word,)
                for shorter in {word[:at] + word[at + 1 :] for at in range(len(word))}:
                    others = less.get(shorter)
                    less[shorter] = alone if others is None else others + alone
        return less

    def prepare(self) -> None:
        """Make now what is made for the first word that may be misspelt: 3 MB that forked processes then share."""
        _ = self._one_letter_less

    def _look_up(self, word: str) -> tuple[str, tuple[_Phrase, ...]]:
        known = self._known.get(word)
        if known is None:
            known = self._phrases_of(word)
            if len(self._known) < _KNOWN_MAX:
                self._known[word] = known
        return known

    def _phrases_of(self, word: str) -> tuple[str, tuple[_Phrase, ...]]:
        phrases = list(self._by_word.get(word, ()))
        for length in self._stem_lengths:
            phrases += self._by_stem.get(word[:length], ()) if len(word) >= length else ()
        known = phrases or word in self._real_words or word in self._vocabulary or word.startswith(self._stems)
        if known or len(word) < _SHORTEST_CORRECTED:
            return word, tuple(phrases)
        meant = self._corrected(word)
        return (word, ()) if meant is None else (meant, tuple(self._by_word.get(meant, ())))

    def _corrected(self, word: str) -> str | None:
        """The word of the vocabulary that is one typing error away, if there is one."""
        if word.isdigit():
            return None
        shorter = {word[:at] + word[at + 1 :] for at in range(len(word))}
        near = {less for less in shorter if less in self._vocabulary and len(less) >= _SHORTEST_CORRECTED}
        near.update(self._one_letter_less.get(word, ()))
        for less in shorter:
            near |= {meant for meant in self._one_letter_less.get(less, ()) if _one_error(word, meant)}
        return min((meant for meant in near if meant[0] == word[0]), default=None)


def check_phrase(written: str) -> None:
    """Raise ValueError if it cannot be looked for."""
    for plain in _expanded(written):
        _elements(plain.removeprefix("^"))


def _expanded(written: str) -> tuple[str, ...]:
    """The phrase with each of the choices in parentheses."""
    group = _GROUP.search(written)
    if group is None:
        if "(" in written or ")" in written:
            raise ValueError("a parenthesis is open")
        return (written,)
    head, tail = written[: group.start()], written[group.end() :]
    return tuple(plain for choice in group[1].split("|") for plain in _expanded(f"{head}{choice}{tail}"))


def _compiled(key: str, written: str) -> _Phrase:
    elements = _elements(written.removeprefix("^"))
    following = elements[1] if len(elements) > 1 and not elements[1].gap else None
    wanted = next(
        (element.words for element in elements[:0:-1] if element is not following and not element.stems), None
    )
    return _Phrase(key, elements, written.startswith("^"), following, wanted)


@lru_cache(maxsize=4096)  # each phrase is read twice: to see that it can be, and into the book of all
def _elements(written: str) -> tuple[_Element, ...]:
    elements: list[_Element] = []
    gap = 0
    for piece in _APOSTROPHES.sub(" ", written).split():
        if piece in _GAPS:
            gap = _GAPS[piece]
            continue
        elements.append(_element(piece, gap))
        gap = 0
    if not elements or elements[0].gap or gap:
        raise ValueError("a phrase begins and ends with a word")
    return tuple(elements)


@lru_cache(maxsize=4096)
def _element(piece: str, gap: int) -> _Element:
    choices = [fold(choice) for choice in piece.split("|")]
    if not all(_CHOICE.fullmatch(choice) for choice in choices):
        raise ValueError(f'"{piece}" is no word')
    stems = tuple(choice[:-1] for choice in choices if choice.endswith("*"))
    return _Element(frozenset(choice for choice in choices if not choice.endswith("*")), stems, gap)


def _end(phrase: _Phrase, words: list[str], place: int) -> int:
    """Where the phrase that begins at `place` ends, 0 if it is not there. That its `next` is there was seen before."""
    ends = {place + 1 if phrase.next is None else place + 2}
    for element in phrase.elements[1 if phrase.next is None else 2 :]:
        whole, stems = element.words, element.stems
        following: set[int] = set()
        for end in ends:
            for at, word in enumerate(words[end : end + element.gap + 1], end + 1):
                if word in whole or (stems and word.startswith(stems)):
                    following.add(at)
                if word in _STOPS:
                    break
        if not following:
            return 0
        ends = following
    return min(ends)


def _one_error(word: str, meant: str) -> bool:
    """Whether two words of equal length differ in one letter or in two neighbours that changed places."""
    if len(word) != len(meant):
        return False
    differ = [at for at in range(len(word)) if word[at] != meant[at]]
    match differ:
        case [_]:
            return True
        case [first, second]:
            return second == first + 1 and word[first] == meant[second] and word[second] == meant[first]
        case _:
            return False
