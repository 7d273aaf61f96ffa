"""The text of a document as lines and words that can be compared.

PDF readers give columns interleaved, headings with spaced-out letters, accents set apart and ligatures;
people write without accents or in capitals. All of that is levelled here, once, before anything is judged.
"""

from __future__ import annotations

import itertools
import re
import string
import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

LONGEST = 40_000  # characters read of a document: a CV of ten pages; more only costs time.

# Characters that NFKD would not turn into what they stand for.
_STANDS_FOR = {
    "’": "'",
    "‘": "'",
    "ʼ": "'",
    "′": "'",
    "“": '"',
    "”": '"',
    "«": '"',
    "»": '"',
    "–": "-",
    "—": "-",
    "‐": "-",
    "‑": "-",
    "‒": "-",
    "−": "-",
    "→": "-",
    "œ": "oe",
    "Œ": "OE",
    "æ": "ae",
    "Æ": "AE",
    "ß": "ss",
    "ø": "o",
    "Ø": "O",
    "ı": "i",
    "\u00ad": "",
    "\u200b": "",
    "\u200c": "",
    "\u200d": "",
    "\ufeff": "",
    "\u00a0": " ",
    "\u202f": " ",
    "\r": "\n",
    "\x0b": "\n",
    "\x0c": "\n",
    "\x85": "\n",
    "\u2028": "\n",
    "\u2029": "\n",
    "•": " * ",
    "▪": " * ",
    "●": " * ",
    "■": " * ",
    "◦": " * ",
    "€": " eur ",
    "²": " ",
    "³": " ",
    "☐": " [ ] ",
    "□": " [ ] ",
    "☑": " [x] ",
    "☒": " [x] ",
    "…": "...",
}
_TO_REPLACE = re.compile(f"[{''.join(_STANDS_FOR)}]")
_DIGIT = re.compile(r"\d")
_WORD_SIGNS = f"{string.ascii_lowercase}{string.digits}\n"
_NO_LETTERS = re.compile(r"[^a-z0-9\n]+")
_ONLY_WORDS = bytes(octet if chr(octet) in _WORD_SIGNS else 32 for octet in range(256))
_ELISION_BY_ACCENT = re.compile(r"(?<![^\W\d_])([ldjnmstcLDJNMSTC]|[Qq]u)[´`](?=[^\W\d_])")
_LONE_ACCENT = re.compile(r"[´`ˆ¨¸˜](?=[^\W\d_])|(?<=[^\W\d_])[´ˆ¨¸]")  # LaTeX's old fonts: "exp´erience".
_SPACED_LETTERS = re.compile(r"(?<!\S)(?:[^\W\d_] ){3,}[^\W\d_](?!\S)")
_LONE_LETTERS = re.compile(r" [^\W\d_] [^\W\d_] ")  # in the middle of those; quicker to look for.
_INCLUSIVE_SIGNS = ("·", "•", "‧", "∙", "⋅", "(e", "(s", "(n", "(t", ".e", ".s", ".n", ".t")
# The sign is looked for first and the letter before it afterwards: that is eight times faster.
_INCLUSIVE = re.compile(
    r"(?:[·•‧∙.⋅](?<=[^\W\d_].)(?:e|es|ne|nes|trice|trices|euse|euses|s)\b)+|\((?<=[^\W\d_].)(?:e|es|ne|s|trice)\)"
)
_GLUED_I = re.compile(r"\b([Jj])(?=(?:ai|aime|adore|étais|habite|aimerais)\b)")  # "jai", as on a telephone.
_BROKEN_WORD = re.compile(r"-\n(?<=[^\W\d_]-\n)(?=[a-zà-ÿ])")
_GLUED = 9  # letters a word on average; French has five, and beyond nine the spaces were lost on the way.
_COLUMN_BREAK = re.compile(" {3,}")


# Dates as careers write them, in folded text.
_MONTH = (
    r"(?:janv(?:ier)?|fevr?(?:ier)?|mars|avr(?:il)?|mai|juin|juil(?:let)?|aout|sept(?:embre)?|oct(?:obre)?"
    r"|nov(?:embre)?|dec(?:embre)?|jan(?:uary)?|feb(?:ruary)?|march|mar|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|september|october|november|december)\.?"
)
_YEAR = r"(?:19[5-9]\d|20[0-4]\d)"
_DATE = rf"(?:(?:\d\d?[/.]){{0,2}}{_YEAR}|(?:\d\d?(?:er)? )?{_MONTH} ?{_YEAR}|{_MONTH}/{_YEAR})"
_NOW = r"(?:present|aujourd'?hui|ce jour|maintenant|actuel(?:lement)?|en cours|date|today|now|current|ongoing|\.\.\.)"
# What a span begins with is looked at first: twice as fast.
_SPAN = re.compile(
    r"(?=\d|[jfmasondu][acenopuiv])"
    rf"(?:(?:{_DATE}|{_MONTH}|\d\d?[/.]\d\d) ?(?:-+|/|a|au|to|until|jusqu'?(?:a|en|au)|>|~) ?(?:{_DATE}|{_NOW}|\d\d\b)"
    rf"|\b{_YEAR} {_YEAR}\b"
    rf"|\b(?:depuis|since|des|until) (?:le )?{_DATE}|\bjusqu'?en {_DATE})"
)
# A day alone dates a paper or a birth; careers count in months and years.
_MONTH_OR_YEAR = rf"(?:(?:\d\d?[/.]|{_MONTH}[ /])?{_YEAR})"
_STARTS_WITH_DATE = re.compile(rf"[\W_]*(?:en |etes? |in |summer |fin |debut |annees? )?{_MONTH_OR_YEAR}(?![\w/])")
_ENDS_WITH_DATE = re.compile(rf"(?<![\w/.])(?<!\d )(?<!\der ){_MONTH_OR_YEAR}[\W_]*$")
# "5 ans chez Chronopost", "interim 3 mois"; but an age stands alone: "45 ans".
_LENGTH_OF_WORK = re.compile(r"\b\d{1,2} (?:ans|annees|mois|years|months)\b")
# "Niort, 24 ans", "j'ai 41 ans", "age : 30 ans"; never the 20 years of an experience.
AGE = re.compile(
    r"(?:(?:^[\W_]*|[,(|/-] ?)(?:1[4-9]|[2-6]\d) ?ans(?= *(?:$|[,.;|)/-]))|(?:j'ai |\bage.{0,4} )\d\d ?ans\b)(?! d)",
    re.MULTILINE,
)
_SOME_AGE = re.compile(r"\d ?ans\b")  # quicker to look for; AGE holds it.
# What a requirement asks for, not what someone did: "2 ans souhaites", "5 ans d'experience exiges".
_ASKED_FOR = re.compile(r"\b(?:souhaite|exige|requis|minimum|attendu|apprecie|required|preferred)")
# Years and lengths of time within a sentence; days (the first alternative) date papers.
_TOLD = re.compile(
    rf"\d\d?(?:er)?[ /.-](?:{_MONTH}|\d\d?)[ /.-]\d{{2,4}}"
    rf"|(\b{_YEAR}\b|\b(?:\d{{1,2}}|une?|deux|trois|quatre|cinq|six|sept|huit|neuf|dix|onze|douze|quinze|vingt"
    r"|one|two|three|four|five|seven|eight|nine|ten)"
    r" (?:ans?|annees?|mois|saisons?|etes?|years?|months?|seasons?|summers?)\b)"
)
_PLACE_AND_DATE = re.compile(
    rf"(?:fait )?(?:a )?[a-z][a-z' -]{{1,40}},? ?(?:le )?"
    rf"(?:lundi |mardi |mercredi |jeudi |vendredi |samedi |dimanche )?"
    rf"\d\d?(?:er)?[ /.-]+(?:{_MONTH}|\d\d?)[ /.-]+\d{{2,4}}\W*$"
    rf"|[a-z][a-z' -]{{1,40}}, le \d\d?(?:er)? {_MONTH}\W*$"
)
_CAREER_LINE = 22  # words at most in a line of a career; longer is prose.
_WORK_LINE = 9  # the same, where only a length of time tells.


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_UNITS = _set("an ans annee annees mois saison saisons ete etes year years month months season seasons summer summers")
_I, _YOU, _WE, _THIRD = range(4)
_PERSONS = {
    **dict.fromkeys(_set("je j me mon ma mes moi i my myself"), _I),
    **dict.fromkeys(_set("vous votre vos you your yours"), _YOU),
    **dict.fromkeys(_set("nous notre nos we our us"), _WE),
    **dict.fromkeys(_set("il elle ils elles lui he she him her his their they"), _THIRD),
}
_SPEAKERS = _set("je j vous nous i you we")  # who uses them tells; a line of a career lists.
# What one word tells of a line, as bits.
_SPEAKS, _MEASURES, _IN_SENTENCES = 16, 32, 64
# Words that only sentences need; lists of jobs and degrees do without.
_OF_SENTENCES = _set(
    "je j me vous nous que qui ne pas est ai suis ce cette ces c mais si car donc ainsi afin dont ou comme plus tres"
    " aussi il elle on se s m y sont etre avoir ont avait etait sera peut leur cela tout bien"
    " i you we that which is am are was have has this would will can but because not it be been as"
)
_TELLS = {
    word: (
        (1 << _PERSONS[word] if word in _PERSONS else 0)
        | (_SPEAKS if word in _SPEAKERS else 0)
        | (_MEASURES if word in _UNITS else 0)
        | (_IN_SENTENCES if word in _OF_SENTENCES else 0)
    )
    for word in (*_PERSONS, *_SPEAKERS, *_UNITS, *_OF_SENTENCES)
}
_TOP_LINES, _TOP_AT_LEAST, _TITLE_WORDS = 12, 3, 12  # a sidebar may come before the title.
_SENTENCE = 6  # words at least in a line that counts as one of a sentence.


class Line(NamedTuple):
    """A line, or a cell of a line where columns or tables show.

    `raw` is as written; `plain` in lower case ASCII with its punctuation; `words` only letters and digits,
    with a space before, between and after, so that a phrase is found by `" phrase " in line.words`; `tokens` are they,
    and `length` is how many.
    `i`, `you`, `we` and `third` count the pronouns and possessives of each person, in French and English.
    `dated` counts the dates of a career: 1 for a line of it, several for a paragraph that tells one;
    `told` the years and lengths of time in a sentence that is not such a line and says neither "nous" nor "vous";
    `sentence` is a line that is part of a sentence.
    """

    raw: str
    plain: str
    words: str
    length: int
    i: int
    you: int
    we: int
    third: int
    sentence: bool
    dated: int
    told: int
    tokens: list[str]

    @property
    def place_and_date(self) -> bool:
        """Whether it is the line that opens a letter: "Tours, le 12 janvier 2024"."""
        return self.length < _SENTENCE * 2 and _is_place_and_date(self.plain)


class Persons(NamedTuple):
    """How often each person speaks or is spoken of."""

    i: int
    you: int
    we: int
    third: int


@dataclass(frozen=True)
class Passage:
    """Lines in their order; what else is asked of them is made when it is first asked for."""

    lines: tuple[Line, ...]

    @cached_property
    def starts(self) -> str:
        """The lines one by one, each after a line feed, so that a phrase at the start of a line is found."""
        return "\n" + "\n".join([line.words for line in self.lines])

    @cached_property
    def words(self) -> str:
        """All words in one string, so that a phrase may cross a line break."""
        return f" {' '.join([line.words[1:-1] for line in self.lines])} "

    @cached_property
    def distinct(self) -> frozenset[str]:
        """Each word once."""
        return frozenset(self.words.split())

    @cached_property
    def count(self) -> int:
        """How many words."""
        return sum([line.length for line in self.lines])

    @cached_property
    def glued(self) -> bool:
        """Whether spaces were lost on the way."""
        return self.count > 0 and (len(self.words) - self.count - 1) / self.count > _GLUED

    @cached_property
    def plain(self) -> str:
        """All lines as `Line.plain`."""
        return "\n".join([line.plain for line in self.lines])

    @cached_property
    def persons(self) -> Persons:
        """The sums of its lines."""
        i = you = we = third = 0
        for line in self.lines:
            i, you, we, third = i + line.i, you + line.you, we + line.we, third + line.third
        return Persons(i, you, we, third)

    @cached_property
    def top(self) -> Passage:
        """The short lines among the first, where a title stands; fewer where the text is short, none below dates.

        The first line itself may hold a year: "Rapport d'activité 2023".
        """
        lines = self.lines[: min(_TOP_LINES, max(_TOP_AT_LEAST, len(self.lines) // 3))]
        above_dates = itertools.takewhile(lambda line: not line.dated, lines[1:])
        return Passage(tuple(line for line in (*lines[:1], *above_dates) if line.length <= _TITLE_WORDS))

    def part(self, first: int, last: int) -> Passage:
        """The lines first to last, last excluded; a first before the beginning is the beginning."""
        return Passage(self.lines[max(first, 0) : last])

    def without(self, first: int, last: int) -> Passage:
        """All the lines but first to last, last excluded."""
        return Passage(self.lines[:first] + self.lines[last:])


def age_in(plain: str) -> bool:
    """Whether somebody's age is told in folded text."""
    return _SOME_AGE.search(plain) is not None and AGE.search(plain) is not None


def _is_place_and_date(plain: str) -> bool:
    ends = plain.rstrip(_CLOSING)[-1:].isdigit() or ", le " in plain
    return ends and _PLACE_AND_DATE.match(plain) is not None


_CLOSING = " " + string.punctuation


def fold(text: str) -> str:
    """Lower case ASCII, punctuation kept, lines kept: "Née à Évry" becomes "nee a evry"."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()


@lru_cache(maxsize=4096)  # each phrase of the rules is read three times
def words_of(text: str) -> str:
    """The words of one phrase, as `Line.words` has them."""
    return f" {' '.join(_NO_LETTERS.sub(' ', fold(_level(text))).split())} "


def words_of_plain(plain: str) -> list[str]:
    """The words of a piece of `Line.plain`."""
    return [plain] if plain.isalnum() else plain.encode().translate(_ONLY_WORDS).decode().split()


def squeeze(words: str) -> str:
    """Without spaces, for headings and texts whose letters are glued."""
    return words.replace(" ", "")


@lru_cache(maxsize=8_000)
def stem(word: str) -> str:
    """A word without the endings that number, gender and haste change: professionnelles, professionnel."""
    word = word.rstrip("s").rstrip("e")
    return word[:-1] if len(word) > 1 and word[-1] == word[-2] else word


def read_passage(text: str) -> Passage:
    """The text of a document or a body, levelled; what comes after `LONGEST` characters is left out."""
    levelled = _BROKEN_WORD.sub("", _level(text[:LONGEST]))
    levelled = levelled.replace("\t", "\n").replace("|", "\n")
    if "   " in levelled:
        levelled = _COLUMN_BREAK.sub("\n", levelled)
    raws = [raw for cell in levelled.split("\n") if (raw := _single_spaced(cell))]
    if not raws:
        return Passage(())
    plains = fold("\n".join(raws)).split("\n")
    words = "\n".join(plains).encode().translate(_ONLY_WORDS).decode().split("\n")
    return Passage(
        tuple(
            _line(raw, plain, tokens)
            for raw, plain, line in zip(raws, plains, words, strict=True)
            if (tokens := line.split())
        )
    )


def _single_spaced(cell: str) -> str:
    return " ".join(cell.split()) if "  " in cell else cell.strip()


def _level(text: str) -> str:
    if any(sign in text for sign in _INCLUSIVE_SIGNS):
        text = _INCLUSIVE.sub("", text)
    if any(accent in text for accent in "´`ˆ¨¸˜"):
        text = _LONE_ACCENT.sub("", _ELISION_BY_ACCENT.sub(r"\1'", text))
    if "jai" in text or "Jai" in text:
        text = _GLUED_I.sub(r"\1'", text)
    text = unicodedata.normalize("NFKC", _TO_REPLACE.sub(lambda found: _STANDS_FOR[found[0]], text))
    return _SPACED_LETTERS.sub(lambda found: found[0].replace(" ", ""), text) if _LONE_LETTERS.search(text) else text


def _line(raw: str, plain: str, tokens: list[str]) -> Line:
    count = len(tokens)
    i = you = we = third = tells = 0
    for bits in filter(None, map(_TELLS.get, tokens)):
        tells |= bits
        i, you, we, third = i + (bits & 1), you + (bits >> 1 & 1), we + (bits >> 2 & 1), third + (bits >> 3 & 1)
    dated = told = 0
    digits = _DIGIT.search(plain) is not None
    if (digits or tells & _MEASURES) and not (digits and _is_place_and_date(plain)):
        dated = _dated(plain, count) if digits and not tells & _SPEAKS else 0
        told = 0 if dated or you or we or not (tells & _MEASURES or "19" in plain or "20" in plain) else _told(plain)
    sentence = count >= _SENTENCE and tells & _IN_SENTENCES > 0
    return Line(raw, plain, f" {' '.join(tokens)} ", count, i, you, we, third, sentence, dated, told, tokens)


def _told(plain: str) -> int:
    facts = _TOLD.findall(AGE.sub("", plain) if _SOME_AGE.search(plain) else plain)
    told = len([fact for fact in facts if fact])
    return told if told and not _ASKED_FOR.search(plain) else 0


def _ends_with_date(plain: str) -> bool:
    return not plain.rstrip(_CLOSING)[-1:].isalpha() and _ENDS_WITH_DATE.search(plain) is not None


def _dated(plain: str, count: int) -> int:
    """Spans of dates, a date at the beginning or the end, or how long a job lasted."""
    spans = len(_SPAN.findall(plain))
    if count > _CAREER_LINE:
        return spans if spans > 1 else 0
    if spans or _STARTS_WITH_DATE.match(plain) or (count > 1 and _ends_with_date(plain)):
        return min(max(spans, 1), 2)
    worked = count <= _WORK_LINE and bool(_LENGTH_OF_WORK.search(plain)) and not AGE.search(plain)
    return int(worked and not _ASKED_FOR.search(plain))
