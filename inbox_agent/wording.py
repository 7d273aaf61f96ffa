"""Dates, counts and strangers' text as people read them, in French and in English.

Days are written out ("le 15 février 2024"), never by number, and without a locale of the system.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

NBSP = "\u00a0"
SHOWN_CAP = 120  # characters of a stranger's text shown in one place (reliability.md threat 22)

_MONTHS = {
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "en": "January February March April May June July August September October November December",
}
_DAYS = {
    "fr": "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
}

# UAX 9 directional controls: they make "CV_fdp.exe" look like "CV_exe.pdf".
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
# Characters that show nothing and only hide something. ZWJ and ZWNJ stay: Persian and emoji need them.
_INVISIBLE = "\u00ad\u180e\u200b\u2060-\u2064\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
_CONTROLS = "\u0000-\u001f\u007f-\u009f\u2028\u2029"
_UNSAFE = re.compile(f"[{_BIDI}{_INVISIBLE}{_CONTROLS}\ud800-\udfff\ufffe\uffff]")
# Combining marks in a row: Vietnamese needs two, text that climbs over its neighbours uses dozens.
_MARK = r"[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_MARKS = re.compile(f"({_MARK}{{4}}){_MARK}+")


def day_words(day: date, language: str = "fr", *, weekday: bool = False, year: bool = True) -> str:
    """Say "15 février 2024" or "mardi 13 février"; the first of a month is "1er"."""
    number = f"{day.day}er" if language == "fr" and day.day == 1 else str(day.day)
    words = [number, _MONTHS[language].split()[day.month - 1]]
    if weekday:
        words.insert(0, _DAYS[language].split()[day.weekday()])
    if year:
        words.append(str(day.year))
    return " ".join(words)


def clock_words(moment: datetime, language: str = "fr") -> str:
    """Say "9 h 05", or "09:05" in English. The moment is shown in its own zone."""
    if language == "fr":
        return f"{moment.hour}{NBSP}h{NBSP}{moment.minute:02d}"
    return f"{moment:%H:%M}"


def moment_words(moment: datetime, language: str = "fr", *, weekday: bool = False, year: bool = True) -> str:
    """Day and hour: "13 février 2024 à 9 h 05"."""
    joint = "à" if language == "fr" else "at"
    return f"{day_words(moment, language, weekday=weekday, year=year)} {joint} {clock_words(moment, language)}"


def count_words(number: int, one: str, many: str | None = None) -> str:
    """Say "1 nouvelle", "3 nouvelles"; zero is singular in French."""
    return f"{thousands(number)}{NBSP}{one if abs(number) < 2 else many or one + 's'}"  # noqa: PLR2004, French plurals start at two.


def thousands(number: int) -> str:
    """Group digits by three with a space that does not break."""
    return f"{number:,}".replace(",", NBSP)


def size_words(octets: int) -> str:
    """Say "850 octets", "12 Ko", "3,4 Mo", by thousands."""
    if octets < 1000:  # noqa: PLR2004, the prefix kilo.
        return count_words(octets, "octet")
    if octets < 1_000_000:  # noqa: PLR2004, the prefix mega.
        return f"{octets // 1000}{NBSP}Ko"
    return f"{octets / 1_000_000:.1f}".replace(".", ",") + f"{NBSP}Mo"


def spark(columns: Sequence[tuple[date, int]]) -> str:
    """A chart of one line of text: "··▂·█"; a day without any is a dot."""
    top = max((count for _, count in columns), default=0)
    return "".join("▁▂▃▄▅▆▇█"[(8 * count - 1) // top] if count else "·" for _, count in columns)


def enumeration(items: Sequence[str], language: str = "fr") -> str:
    """Join as in "votre CV, votre lettre et un diplôme"."""
    if len(items) < 2:  # noqa: PLR2004, nothing to join.
        return "".join(items)
    return ", ".join(items[:-1]) + (" et " if language == "fr" else " and ") + items[-1]


def visible(text: str, cap: int = SHOWN_CAP) -> str:
    """A stranger's text made safe to show on one line.

    Directional and invisible characters are named ("‹U+202E›"), controls become spaces, runs of spaces one,
    heaps of combining marks are thinned, and the middle of what is longer than `cap` gives way to "…"
    (the end matters: it is the extension of a file).
    """
    if len(text) > 8 * cap:
        text = text[: 4 * cap] + text[-4 * cap :]
    text = " ".join(_UNSAFE.sub(_named, text).split())
    text = _MARKS.sub(r"\1", text)
    if len(text) <= cap:
        return text
    tail = min(16, cap // 3)
    return f"{text[: cap - tail - 1].rstrip()}…{text[-tail:].lstrip()}"


def _named(match: re.Match[str]) -> str:
    character = match.group()
    if character <= "\x1f" or "\x7f" <= character <= "\x9f" or character in "\u2028\u2029":
        return " "
    return f"‹U+{ord(character):04X}›"


_BEFORE = re.compile(r" ([:;?!»%€])")
_AFTER = re.compile(r"« ")


def french_spaces(text: str) -> str:
    """Put the spaces that French typography wants unbreakable: before : ; ? ! » % € and after «."""
    return _AFTER.sub(f"«{NBSP}", _BEFORE.sub(rf"{NBSP}\1", text))
