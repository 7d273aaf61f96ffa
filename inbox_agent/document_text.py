"""The text of a document as lines and words that can be compared.

PDF readers give columns interleaved, headings with spaced-out letters, accents set apart and ligatures;
people write without accents or in capitals. All of that is levelled here, once, before anything is judged.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

LONGEST = 40_000  # characters read of a document: a CV of ten pages; more only costs time.

# Characters that NFKD would not turn into what they stand for.
_STANDS_FOR = str.maketrans(
    {
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
)
_NO_LETTERS = re.compile(r"[^a-z0-9\n]+")
_ELISION_BY_ACCENT = re.compile(r"(?<![^\W\d_])([ldjnmstcLDJNMSTC]|[Qq]u)[´`](?=[^\W\d_])")
_LONE_ACCENT = re.compile(r"[´`ˆ¨¸˜](?=[^\W\d_])|(?<=[^\W\d_])[´ˆ¨¸]")  # LaTeX's old fonts: "exp´erience".
_SPACED_LETTERS = re.compile(r"(?<!\S)(?:[^\W\d_] ){3,}[^\W\d_](?!\S)")
_INCLUSIVE = re.compile(
    r"(?<=[^\W\d_])(?:[·•‧∙.⋅](?:e|es|ne|nes|trice|trices|euse|euses|s)\b)+|(?<=[^\W\d_])\((?:e|es|ne|s|trice)\)"
)
_BROKEN_WORD = re.compile(r"(?<=[^\W\d_])-\n(?=[a-zà-ÿ])")
_CELL_BREAK = re.compile(r"\t+|\|| {3,}")


@dataclass(frozen=True, slots=True)
class Line:
    """A line, or a cell of a line where columns or tables show.

    `raw` is as written; `plain` in lower case ASCII with its punctuation; `words` only letters and digits,
    with a space before, between and after, so that a phrase is found by `" phrase " in line.words`.
    """

    raw: str
    plain: str
    words: str
    count: int

    @property
    def in_capitals(self) -> bool:
        """Whether it is written in capitals, as headings often are."""
        return self.raw.isupper()


@dataclass(frozen=True, slots=True)
class Passage:
    """Lines in their order, and all their words in one string, so that a phrase may cross a line break."""

    lines: tuple[Line, ...]
    words: str
    count: int
    glued: bool

    def part(self, first: int, last: int) -> Passage:
        """The lines first to last, last excluded."""
        return passage_of(self.lines[max(first, 0) : last])

    def without(self, first: int, last: int) -> Passage:
        """All the lines but first to last, last excluded."""
        return passage_of(self.lines[:first] + self.lines[last:])


def fold(text: str) -> str:
    """Lower case ASCII, punctuation kept, lines kept: "Née à Évry" becomes "nee a evry"."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()


def words_of(text: str) -> str:
    """The words of one phrase, as `Line.words` has them."""
    return f" {' '.join(_NO_LETTERS.sub(' ', fold(_level(text))).split())} "


def squeeze(words: str) -> str:
    """Without spaces, for headings and texts whose letters are glued."""
    return words.replace(" ", "")


def read_passage(text: str) -> Passage:
    """The text of a document or a body, levelled; what comes after `LONGEST` characters is left out."""
    levelled = _level(text[:LONGEST])
    levelled = _BROKEN_WORD.sub("", levelled)
    cells = [cell for line in levelled.split("\n") for cell in _CELL_BREAK.split(line) if cell.strip()]
    return passage_of(tuple(line for cell in cells if (line := _line(cell)) is not None))


def passage_of(lines: tuple[Line, ...]) -> Passage:
    """These lines as a passage."""
    count = sum(line.count for line in lines)
    words = f" {' '.join(line.words.strip() for line in lines)} "
    letters = len(words) - count - 1
    # French words have five letters on average; beyond nine the spaces were lost on the way.
    return Passage(lines, words, count, glued=count > 0 and letters / count > 9)


def _level(text: str) -> str:
    text = _INCLUSIVE.sub("", text)
    if any(accent in text for accent in "´`ˆ¨¸˜"):
        text = _LONE_ACCENT.sub("", _ELISION_BY_ACCENT.sub(r"\1'", text))
    text = unicodedata.normalize("NFKC", text.translate(_STANDS_FOR))
    return _SPACED_LETTERS.sub(lambda found: found[0].replace(" ", ""), text)


def _line(cell: str) -> Line | None:
    raw = cell.strip()
    plain = fold(raw)
    words = _NO_LETTERS.sub(" ", plain).split()
    return Line(raw, plain, f" {' '.join(words)} ", len(words)) if words else None
