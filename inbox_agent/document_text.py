"""The text of a document as lines and words that can be compared.

PDF readers give columns interleaved, headings with spaced-out letters, accents set apart and ligatures;
people write without accents or in capitals. All of that is levelled here, once, before anything is judged.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

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
    "☐": " [ ] ",
    "□": " [ ] ",
    "☑": " [x] ",
    "☒": " [x] ",
    "…": "...",
}
_TO_REPLACE = re.compile(f"[{''.join(_STANDS_FOR)}]")
_DIGIT = re.compile(r"\d")
_NO_LETTERS = re.compile(r"[^a-z0-9\n]+")
_ELISION_BY_ACCENT = re.compile(r"(?<![^\W\d_])([ldjnmstcLDJNMSTC]|[Qq]u)[´`](?=[^\W\d_])")
_LONE_ACCENT = re.compile(r"[´`ˆ¨¸˜](?=[^\W\d_])|(?<=[^\W\d_])[´ˆ¨¸]")  # LaTeX's old fonts: "exp´erience".
_SPACED_LETTERS = re.compile(r"(?<!\S)(?:[^\W\d_] ){3,}[^\W\d_](?!\S)")
# The sign is looked for first and the letter before it afterwards: that is eight times faster.
_INCLUSIVE = re.compile(
    r"(?:[·•‧∙.⋅](?<=[^\W\d_].)(?:e|es|ne|nes|trice|trices|euse|euses|s)\b)+|\((?<=[^\W\d_].)(?:e|es|ne|s|trice)\)"
)
_BROKEN_WORD = re.compile(r"(?<=[^\W\d_])-\n(?=[a-zà-ÿ])")
_GLUED = 9  # letters a word on average; French has five, and beyond nine the spaces were lost on the way.
_CELL_BREAK = re.compile(r"\t+|\|| {3,}")


# Dates as careers write them, in folded text.
_MONTH = (
    r"(?:janv(?:ier)?|fevr?(?:ier)?|mars|avr(?:il)?|mai|juin|juil(?:let)?|aout|sept(?:embre)?|oct(?:obre)?"
    r"|nov(?:embre)?|dec(?:embre)?|jan(?:uary)?|feb(?:ruary)?|march|mar|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|september|october|november|december)\.?"
)
_YEAR = r"(?:19[5-9]\d|20[0-4]\d)"
_DATE = rf"(?:(?:\d\d?[/.]){{0,2}}{_YEAR}|(?:\d\d?(?:er)? )?{_MONTH} ?{_YEAR}|{_MONTH}/{_YEAR})"
_NOW = r"(?:present|aujourd'?hui|ce jour|maintenant|actuel(?:lement)?|en cours|date|today|now|current|ongoing|\.\.\.)"
_SPAN = re.compile(
    rf"(?:{_DATE}|{_MONTH}|\d\d?[/.]\d\d) ?(?:-+|/|a|au|to|until|jusqu'?(?:a|en|au)|>|~) ?(?:{_DATE}|{_NOW}|\d\d\b)"
    rf"|\b{_YEAR} {_YEAR}\b"
    rf"|\b(?:depuis|since|des|until) (?:le )?{_DATE}|\bjusqu'?en {_DATE}"
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
# Words that only sentences need; lists of jobs and degrees do without.
_OF_SENTENCES = _set(
    "je j me vous nous que qui ne pas est ai suis ce cette ces c mais si car donc ainsi afin dont ou comme plus tres"
    " aussi il elle on se s m y sont etre avoir ont avait etait sera peut leur cela tout bien"
    " i you we that which is am are was have has this would will can but because not it be been as"
)
_TOP_LINES, _TOP_AT_LEAST, _TITLE_WORDS = 12, 3, 12  # a sidebar may come before the title.
_SENTENCE = 6  # words at least in a line that counts as one of a sentence.


@dataclass(frozen=True, slots=True)
class Line:
    """A line, or a cell of a line where columns or tables show.

    `raw` is as written; `plain` in lower case ASCII with its punctuation; `words` only letters and digits,
    with a space before, between and after, so that a phrase is found by `" phrase " in line.words`.
    `i`, `you`, `we` and `third` count the pronouns and possessives of each person, in French and English.
    `dated` counts the dates of a career: 1 for a line of it, several for a paragraph that tells one;
    `told` the years and lengths of time in a sentence that is not such a line and says neither "nous" nor "vous";
    `sentence` is a line that is part of a sentence.
    """

    raw: str
    plain: str
    words: str
    count: int
    i: int
    you: int
    we: int
    third: int
    sentence: bool
    dated: int
    told: int

    @property
    def place_and_date(self) -> bool:
        """Whether it is the line that opens a letter: "Tours, le 12 janvier 2024"."""
        return self.count < _SENTENCE * 2 and bool(_PLACE_AND_DATE.match(self.plain))


@dataclass(frozen=True, slots=True)
class Passage:
    """Lines in their order.

    `words` are all of them in one string, so that a phrase may cross a line break; `starts` the lines one by
    one, each after a line feed, so that a phrase at the start of a line is found; `distinct` each word once.
    """

    lines: tuple[Line, ...]
    words: str
    starts: str
    distinct: frozenset[str]
    count: int
    glued: bool

    @property
    def top(self) -> Passage:
        """The short lines among the first, where a title stands; fewer where the text is short, none below dates.

        The first line itself may hold a year: "Rapport d'activité 2023".
        """
        lines = self.lines[: min(_TOP_LINES, max(_TOP_AT_LEAST, len(self.lines) // 3))]
        above_dates = itertools.takewhile(lambda line: not line.dated, lines[1:])
        return _passage(tuple(line for line in (*lines[:1], *above_dates) if line.count <= _TITLE_WORDS))

    def part(self, first: int, last: int) -> Passage:
        """The lines first to last, last excluded; a first before the beginning is the beginning."""
        return _passage(self.lines[max(first, 0) : last])

    def without(self, first: int, last: int) -> Passage:
        """All the lines but first to last, last excluded."""
        return _passage(self.lines[:first] + self.lines[last:])


def fold(text: str) -> str:
    """Lower case ASCII, punctuation kept, lines kept: "Née à Évry" becomes "nee a evry"."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()


def words_of(text: str) -> str:
    """The words of one phrase, as `Line.words` has them."""
    return f" {' '.join(_NO_LETTERS.sub(' ', fold(_level(text))).split())} "


def words_of_plain(plain: str) -> list[str]:
    """The words of a piece of `Line.plain`."""
    return [plain] if plain.isalnum() else _NO_LETTERS.sub(" ", plain).split()


def squeeze(words: str) -> str:
    """Without spaces, for headings and texts whose letters are glued."""
    return words.replace(" ", "")


@lru_cache(maxsize=4096)
def stem(word: str) -> str:
    """A word without the endings that number, gender and haste change: professionnelles, professionnel."""
    word = word.rstrip("s").rstrip("e")
    return word[:-1] if len(word) > 1 and word[-1] == word[-2] else word


def read_passage(text: str) -> Passage:
    """The text of a document or a body, levelled; what comes after `LONGEST` characters is left out."""
    levelled = _BROKEN_WORD.sub("", _level(text[:LONGEST]))
    raws = [raw for line in levelled.split("\n") for cell in _CELL_BREAK.split(line) if (raw := " ".join(cell.split()))]
    if not raws:
        return _passage(())
    plains = fold("\n".join(raws)).split("\n")
    words = _NO_LETTERS.sub(" ", "\n".join(plains)).split("\n")
    return _passage(
        tuple(
            _line(raw, plain, tokens)
            for raw, plain, line in zip(raws, plains, words, strict=True)
            if (tokens := line.split())
        )
    )


def _passage(lines: tuple[Line, ...]) -> Passage:
    starts = "\n" + "\n".join(line.words for line in lines)
    tokens = starts.split()
    words = f" {' '.join(tokens)} "
    count = len(tokens)
    glued = count > 0 and (len(words) - count - 1) / count > _GLUED
    return Passage(lines, words, starts, frozenset(tokens), count, glued)


def _level(text: str) -> str:
    text = _INCLUSIVE.sub("", text)
    if any(accent in text for accent in "´`ˆ¨¸˜"):
        text = _LONE_ACCENT.sub("", _ELISION_BY_ACCENT.sub(r"\1'", text))
    text = unicodedata.normalize("NFKC", _TO_REPLACE.sub(lambda found: _STANDS_FOR[found[0]], text))
    return _SPACED_LETTERS.sub(lambda found: found[0].replace(" ", ""), text)


def _line(raw: str, plain: str, tokens: list[str]) -> Line:
    count = len(tokens)
    words = frozenset(tokens)
    persons = [0, 0, 0, 0]
    if not words.isdisjoint(_PERSONS):
        for token in tokens:
            if token in _PERSONS:
                persons[_PERSONS[token]] += 1
    dated = 0 if not words.isdisjoint(_SPEAKERS) else _dated(plain, count)
    told = 0 if dated or persons[_YOU] or persons[_WE] else _told(plain, words)
    return Line(
        raw,
        plain,
        f" {' '.join(tokens)} ",
        count,
        persons[_I],
        persons[_YOU],
        persons[_WE],
        persons[_THIRD],
        sentence=count >= _SENTENCE and not words.isdisjoint(_OF_SENTENCES),
        dated=dated,
        told=told,
    )


def _told(plain: str, words: frozenset[str]) -> int:
    if (words.isdisjoint(_UNITS) and not _DIGIT.search(plain)) or _PLACE_AND_DATE.match(plain):
        return 0
    if _ASKED_FOR.search(plain):
        return 0
    return sum(bool(fact) for fact in _TOLD.findall(AGE.sub("", plain)))


def _dated(plain: str, count: int) -> int:
    """Spans of dates, a date at the beginning or the end, or how long a job lasted."""
    if not _DIGIT.search(plain) or _PLACE_AND_DATE.match(plain):
        return 0
    spans = len(_SPAN.findall(plain))
    if count > _CAREER_LINE:
        return spans if spans > 1 else 0
    if spans or _STARTS_WITH_DATE.match(plain) or (count > 1 and _ENDS_WITH_DATE.search(plain)):
        return min(max(spans, 1), 2)
    worked = count <= _WORK_LINE and bool(_LENGTH_OF_WORK.search(plain)) and not AGE.search(plain)
    return int(worked and not _ASKED_FOR.search(plain))
